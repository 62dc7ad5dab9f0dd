"""Pull style: every message once and in order, bounds, timeouts, and an end for those who wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import BOUND, Running, eventually
from wsresilient import ConnectionConfig
from wsresilient.runtime.inbox import Inbox

from .lane_tools import batch, ignore


def inbox_of(*, on_overflow: Callable[[int], None] = ignore, **settings: Any) -> Inbox:
    return Inbox(ConnectionConfig(**settings), on_overflow=on_overflow)


def pull_all(inbox: Inbox) -> list[object]:
    pulled: list[object] = []
    while True:
        try:
            pulled.append(inbox.get(0.0))
        except TimeoutError:
            return pulled


def pulling(inbox: Inbox, timeout: float | None = BOUND) -> Running:
    """Pull on another thread, which already waits when this returns."""
    run = Running(inbox.get, timeout)
    assert run.waits_in("_wait") or run.is_over
    return run


def test_messages_are_pulled_one_by_one_in_the_order_in_which_they_came() -> None:
    inbox = inbox_of()
    inbox.put(batch("a", "b"))
    inbox.put(batch(b"c"))

    assert [inbox.get(0.0) for _ in range(3)] == ["a", "b", b"c"]


def test_whoever_waits_gets_what_comes() -> None:
    inbox = inbox_of()
    for timeout in (None, BOUND):
        waiting = pulling(inbox, timeout)
        inbox.put(batch("a"))
        assert waiting.result() == "a"


@pytest.mark.parametrize("timeout", [0.0, 0.01])
def test_without_a_message_in_time_it_says_for_how_long_it_waited(timeout: float) -> None:
    inbox = inbox_of()
    with pytest.raises(TimeoutError, match=f"no message within {timeout:g} s"):
        inbox.get(timeout)
    inbox.put(batch("a"))
    assert inbox.get(timeout) == "a"


def test_a_timeout_holds_however_often_messages_were_there_at_once() -> None:
    inbox = inbox_of()
    for _ in range(1000):
        inbox.put(batch("a"))
        assert inbox.get(0.0) == "a"

    with pytest.raises(TimeoutError):
        inbox.get(0.0)


def test_a_timeout_of_centuries_is_as_good_as_none() -> None:
    inbox = inbox_of()
    inbox.put(batch("a"))

    assert inbox.get(1e300) == "a"


def test_somebody_else_s_wait_for_a_message_does_not_prolong_one_s_own() -> None:
    inbox = inbox_of()
    first = pulling(inbox)

    with pytest.raises(TimeoutError, match="no message within"):
        inbox.get(0.01)

    inbox.put(batch("a"))
    assert first.result() == "a"


def test_several_who_pull_get_every_message_once() -> None:
    inbox = inbox_of()
    count, pulled, lock = 3000, [], threading.Lock()

    def pull() -> None:
        while (message := inbox.get(BOUND)) is not None:
            with lock:
                pulled.append(message)

    pullers = [Running(pull) for _ in range(4)]
    for n in range(0, count, 3):
        inbox.put(batch(*[str(n + m) for m in range(3)]))
    inbox.close(discard=False)
    for puller in pullers:
        puller.result()

    assert sorted(pulled, key=int) == [str(n) for n in range(count)]


# Bounds.


def test_while_nobody_has_ever_pulled_a_full_inbox_drops_its_oldest() -> None:
    inbox = inbox_of(queue_size=3)
    for text in "abcde":
        inbox.put(batch(text))

    assert (inbox.depth, inbox.dropped, inbox.held_back_since) == (3, 2, None)
    assert pull_all(inbox) == ["c", "d", "e"]


def test_once_somebody_pulls_a_full_inbox_holds_the_reader_back() -> None:
    inbox = inbox_of(queue_size=2)
    inbox.put(batch("a"))
    assert inbox.get(0.0) == "a"
    inbox.put(batch("b", "c"))
    writing = Running(inbox.put, batch("d"))
    assert eventually(lambda: inbox.held_back_since is not None)

    assert inbox.get(0.0) == "b"
    assert inbox.get(0.0) == "c"
    assert inbox.get(BOUND) == "d"  # which lets the reader go on
    writing.result()
    assert inbox.dropped == 0


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [
        ("drop_oldest", ["c", "d", "e"]),
        ("drop_newest", ["a", "b", "c"]),
        ("keep_latest", ["d", "e"]),
    ],
)
def test_another_policy_holds_from_the_beginning(overflow: str, kept: list[str]) -> None:
    inbox = inbox_of(queue_size=3, overflow=overflow)
    for text in "abcde":
        inbox.put(batch(text))

    assert pull_all(inbox) == kept
    assert inbox.dropped == 5 - len(kept)


def test_what_is_dropped_is_told_once_there_is_somebody_who_pulls() -> None:
    told: list[int] = []
    inbox = inbox_of(queue_size=2, overflow="drop_oldest", on_overflow=told.append)
    inbox.put(batch("a", "b", "c", "d"))
    assert told == []
    assert inbox.get(0.0) == "c"
    inbox.put(batch("e", "f", "g"))

    assert sum(told) == inbox.dropped - 2 > 0


def test_what_has_been_pulled_makes_room() -> None:
    inbox = inbox_of(queue_size=3)
    for round_ in range(10):
        inbox.put(batch(*[f"{round_}{n}" for n in range(3)]))
        assert [inbox.get(0.0) for _ in range(3)] == [f"{round_}{n}" for n in range(3)]
    with pytest.raises(TimeoutError):
        inbox.get(0.0)

    assert inbox.depth == 0


# The end.


def test_after_a_close_the_rest_is_pulled_and_then_none() -> None:
    inbox = inbox_of()
    inbox.put(batch("a", "b"))
    inbox.put(batch("c"))
    inbox.close(discard=False)

    assert [inbox.get(None) for _ in range(5)] == ["a", "b", "c", None, None]


def test_a_close_with_discard_leaves_nothing_not_even_of_the_batch_that_is_pulled() -> None:
    inbox = inbox_of()
    inbox.put(batch("a", "b", "c"))
    inbox.put(batch("d"))
    assert inbox.get(0.0) == "a"

    inbox.close(discard=True)
    inbox.put(batch("e"))

    assert [inbox.get(None) for _ in range(2)] == [None, None]
    assert inbox.depth == 0


@pytest.mark.parametrize("discard", [False, True])
def test_a_close_lets_all_go_who_wait(discard: bool) -> None:
    inbox = inbox_of()
    waiting = [Running(inbox.get, timeout) for timeout in (None, None, BOUND)]
    assert eventually(lambda: any(run.waits_in("_wait") for run in waiting))

    inbox.close(discard=discard)

    assert [run.result() for run in waiting] == [None] * 3


def test_a_close_with_discard_lets_the_reader_go() -> None:
    inbox = inbox_of(queue_size=1)
    with pytest.raises(TimeoutError):
        inbox.get(0.0)
    inbox.put(batch("a"))
    writing = Running(inbox.put, batch("b"))
    assert eventually(lambda: inbox.held_back_since is not None)

    inbox.close(discard=True)

    writing.result()
    assert inbox.get(None) is None


# A handler that came later.


def test_everything_can_be_taken_for_a_handler_that_came_later() -> None:
    inbox = inbox_of()
    inbox.put(batch("a", "b", generation=1))
    inbox.put(batch("c", generation=2))

    taken = inbox.take_all()

    assert [(each.messages, each.count, each.generation) for each in taken] == [
        (["a", "b"], 2, 1),
        (["c"], 1, 2),
    ]
    assert inbox.depth == 0
    assert inbox.take_all() == []


def test_what_has_been_pulled_of_a_batch_is_not_taken_again_and_the_rest_is_not_lost() -> None:
    inbox = inbox_of()
    inbox.put(batch("a", "b", "c", size=300, generation=4))
    inbox.put(batch("d"))
    assert inbox.get(0.0) == "a"

    taken = inbox.take_all()

    assert [each.messages for each in taken] == [["b", "c"], ["d"]]
    assert (taken[0].count, taken[0].size, taken[0].generation) == (2, 200, 4)
    assert inbox.depth == 0
    inbox.put(batch("e"))
    assert inbox.get(0.0) == "e"


def test_nothing_is_taken_from_under_the_hands_of_somebody_who_waits() -> None:
    inbox = inbox_of()
    waiting = pulling(inbox)

    assert inbox.take_all() == []
    inbox.put(batch("a"))

    assert waiting.result() == "a"
