"""What waits to be sent: in order, bounded, and never sent when its time is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import NotConnectedError
from wsresilient.core.outbox import Outbox, OutgoingMessage


def message(name: str, expires_at: float | None = None) -> OutgoingMessage:
    return OutgoingMessage(name.encode(), True, expires_at)


def drain(outbox: Outbox, now: float = 0.0) -> list[str]:
    taken = []
    while (waiting := outbox.next(now=now)) is not None:
        taken.append(waiting.payload.decode())
    return taken


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    outbox = Outbox(10)
    for name in "abc":
        outbox.add(message(name), now=0.0)

    assert len(outbox) == 3
    assert drain(outbox) == ["a", "b", "c"]
    assert len(outbox) == 0
    assert outbox.next(now=0.0) is None


def test_one_more_than_fit_is_refused_with_the_bound_and_changes_nothing() -> None:
    outbox = Outbox(2)
    outbox.add(message("a"), now=0.0)
    outbox.add(message("b"), now=0.0)

    with pytest.raises(NotConnectedError, match=r"2 messages wait.*send_queue_size is 2"):
        outbox.add(message("c"), now=0.0)

    assert drain(outbox) == ["a", "b"]


def test_an_outbox_of_0_takes_nothing() -> None:
    with pytest.raises(NotConnectedError):
        Outbox(0).add(message("a"), now=0.0)


def test_a_message_whose_time_is_over_is_never_sent() -> None:
    outbox = Outbox(10)
    outbox.add(message("stale order", expires_at=5.0), now=0.0)
    outbox.add(message("for ever"), now=0.0)
    outbox.add(message("later", expires_at=9.0), now=0.0)

    assert drain(outbox, now=5.0) == ["for ever", "later"]


def test_a_message_goes_out_up_to_its_last_moment() -> None:
    outbox = Outbox(10)
    outbox.add(message("a", expires_at=5.0), now=0.0)

    assert drain(outbox, now=4.999) == ["a"]


def test_messages_whose_time_is_over_make_room() -> None:
    outbox = Outbox(2)
    outbox.add(message("old", expires_at=1.0), now=0.0)
    outbox.add(message("kept"), now=0.0)

    outbox.add(message("new"), now=2.0)

    assert drain(outbox, now=2.0) == ["kept", "new"]


def test_a_message_that_could_not_be_sent_is_the_first_again() -> None:
    outbox = Outbox(2)
    outbox.add(message("a"), now=0.0)
    outbox.add(message("b"), now=0.0)
    first = outbox.next(now=0.0)
    assert first is not None

    outbox.put_back(first)

    assert drain(outbox) == ["a", "b"]


def test_what_is_cleared_is_forgotten() -> None:
    outbox = Outbox(2)
    outbox.add(message("a"), now=0.0)

    outbox.clear()

    assert drain(outbox) == []


@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(st.floats(0.0, 10.0), st.none() | st.floats(0.0, 20.0), st.booleans()),
        max_size=30,
    ),
)
def test_order_bound_and_lifetime_hold_whatever_comes(
    size: int, steps: list[tuple[float, float | None, bool]]
) -> None:
    outbox, accepted, now = Outbox(size), [], 0.0
    for number, (pause, ttl, take) in enumerate(steps):
        now += pause
        expires_at = None if ttl is None else now + ttl
        try:
            outbox.add(message(str(number), expires_at), now=now)
            accepted.append((number, expires_at))
        except NotConnectedError:
            assert len(outbox) == size
        assert len(outbox) <= size
        if take:
            live = [n for n, end in accepted if end is None or now < end]
            taken = outbox.next(now=now)
            assert (int(taken.payload) if taken else None) == (live[0] if live else None)
            accepted = [(n, end) for n, end in accepted if n in live[1:]]
