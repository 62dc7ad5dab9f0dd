"""Two streams become one: nothing lost, nothing twice, in order, whoever is ahead."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core import takeover as module
from wsresilient.core.coverage import Coverage
from wsresilient.core.takeover import CATCH_UP, Held, Takeover


class Handed:
    """What a user gets of two streams that an overlap joins; messages are "topic" and number."""

    def __init__(self, coverage: Coverage | None = None) -> None:
        self.takeover = Takeover(coverage=coverage)
        self.got: list[str] = []

    def old(self, *messages: str) -> None:
        for message in messages:
            self.takeover.note_delivered(message[0], message)
            self.got.append(message)

    def new(self, *messages: str) -> None:
        for message in messages:
            self.takeover.hold(Held(message[0], message, message, 0.0))

    def switch(self) -> None:
        self.got += [str(held.payload) for held in self.takeover.settle()]

    def after(self, *messages: str) -> None:
        for message in messages:
            if not self.takeover.is_repeated(message[0], message):
                self.got.append(message)


def named(topic: str, numbers: Iterable[int]) -> list[str]:
    return [f"{topic}{number}" for number in numbers]


def test_what_came_over_both_is_delivered_once() -> None:
    feed = Handed()
    feed.old("a1", "a2")
    feed.new("a2", "a3", "a4")
    feed.old("a3")
    feed.switch()
    feed.after("a5")

    assert feed.got == ["a1", "a2", "a3", "a4", "a5"]
    assert feed.takeover.repeated == 2
    assert feed.takeover.is_caught_up


def test_what_the_old_stream_was_ahead_with_is_not_delivered_again() -> None:
    feed = Handed()
    feed.old("a1", "a2", "a3", "a4")
    feed.new("a2")
    feed.switch()
    assert not feed.takeover.is_caught_up
    feed.after("a3", "a4", "a5")

    assert feed.got == ["a1", "a2", "a3", "a4", "a5"]
    assert feed.takeover.is_caught_up


def test_topics_are_joined_each_by_itself() -> None:
    feed = Handed()
    feed.new("a1", "a2", "b1", "b2")
    feed.old("b1", "b2", "b3", "a1")  # ahead with b, behind with a
    feed.switch()
    feed.after("b3", "b4", "a3")

    assert feed.got == ["b1", "b2", "b3", "a1", "a2", "b4", "a3"]


def test_a_snapshot_before_what_both_have_brought_is_left_out() -> None:
    # Its state is older than what the user has got already.
    feed = Handed()
    feed.new("a-snapshot", "a2", "a3")
    feed.old("a1", "a2")
    feed.switch()

    assert feed.got == ["a1", "a2", "a3"]


def test_a_snapshot_of_a_quiet_topic_is_delivered() -> None:
    feed = Handed()
    feed.new("a-snapshot")
    feed.switch()

    assert feed.got == ["a-snapshot"]


def test_messages_that_look_alike_are_left_out_once_each_behind_the_switch() -> None:
    feed = Handed()
    feed.old("a7", "a7", "a8")
    feed.new("a7")
    feed.switch()
    feed.after("a8", "a8")

    assert feed.got == ["a7", "a7", "a8", "a8"]


def test_a_heartbeat_between_the_messages_joins_nothing() -> None:
    # The new stream is ahead: its latest heartbeat is another one than that of the old stream.
    feed = Handed()
    feed.old("a1", "a-beat", "a2")
    feed.new("a1", "a-beat", "a2", "a3", "a-beat", "a4")
    feed.switch()
    assert feed.got == ["a1", "a-beat", "a2", "a3", "a-beat", "a4"]

    # And it is behind.
    feed = Handed()
    feed.old("a1", "a-beat", "a2", "a3", "a-beat", "a4", "a-beat")
    feed.new("a1", "a-beat")
    feed.switch()
    feed.after("a2", "a3", "a-beat", "a4", "a-beat", "a5")
    assert feed.got == ["a1", "a-beat", "a2", "a3", "a-beat", "a4", "a-beat", "a5"]


@given(
    old=st.integers(2, 60),
    begin=st.integers(0, 60),
    held=st.integers(2, 60),
    every=st.integers(2, 9),
)
def test_heartbeats_neither_hide_messages_nor_double_them(
    old: int, begin: int, held: int, every: int
) -> None:
    stream = ["abeat" if number % every == 0 else f"a{number}" for number in range(1, 150)]
    begin = min(begin, old - 2)  # one message that is unlike all others has come over both
    feed = Handed()
    feed.old(*stream[:old])
    feed.new(*stream[begin : begin + held])
    feed.switch()
    feed.after(*stream[begin + held :])

    assert feed.got == stream


def test_the_old_stream_stays_until_the_two_have_met() -> None:
    feed = Handed()
    assert not feed.takeover.may_end(1000.0)
    feed.takeover.confirm(1000.0)
    assert not feed.takeover.may_end(1000.4)
    assert feed.takeover.may_end(1000.5)  # nothing comes over either

    feed.new("a2")
    assert not feed.takeover.may_end(1001.0)
    feed.old("a1")
    assert not feed.takeover.may_end(1001.0)
    feed.old("a2")
    assert feed.takeover.may_end(1001.0)


@pytest.mark.parametrize("seed", range(50))
def test_topics_that_nobody_tells_apart_may_overtake_each_other(seed: int) -> None:
    order = random.Random(seed)

    def stream() -> list[str]:
        # Each topic is in order, and none is ahead of the other by more than a few.
        both = [
            (number + 3 * order.random(), f"{topic}{number}")
            for number in range(60)
            for topic in "xy"
        ]
        for topic in "xy":
            places = sorted(place for place, one in both if one[0] == topic)
            names = [one for _, one in both if one[0] == topic]
            both = [pair for pair in both if pair[1][0] != topic] + list(
                zip(places, names, strict=True)
            )
        return ["first", *(one for _, one in sorted(both))]

    old, new = stream(), stream()
    feed = Handed()
    end, held = order.randint(1, 60), order.randint(1, 60)
    for message in old[:end]:
        feed.takeover.note_delivered("", message)
        feed.got.append(message)
    for message in new[:held]:
        feed.takeover.hold(Held("", message, message, 0.0))
    feed.switch()
    feed.got += [one for one in new[held:] if not feed.takeover.is_repeated("", one)]

    assert sorted(feed.got) == sorted(old)
    for topic in "xy":
        assert [one for one in feed.got if one[0] == topic] == [
            one for one in old if one[0] == topic
        ]


def test_heartbeats_do_not_prove_that_the_two_have_met() -> None:
    feed = Handed()
    feed.takeover.confirm(0.0)
    feed.old("a1", "a-beat", "a2", "a-beat", "a3")
    feed.new("a-beat", "a5", "a-beat", "a6")
    assert not feed.takeover.may_end(1.0)
    feed.old("a-beat", "a4", "a-beat", "a5")
    assert feed.takeover.may_end(1.0)
    feed.switch()
    assert feed.got[-5:] == ["a4", "a-beat", "a5", "a-beat", "a6"]


def test_streams_of_nothing_but_the_same_meet_too() -> None:
    feed = Handed()
    feed.takeover.confirm(0.0)
    feed.old("a-beat", "a-beat")
    feed.new("a-beat")
    assert feed.takeover.may_end(1.0)


def test_a_topic_that_only_the_old_stream_brings_keeps_it_for_a_while() -> None:
    feed = Handed()
    feed.old("b1")  # before anybody could know of the new stream
    feed.takeover.confirm(0.0)
    assert feed.takeover.may_end(1.0)
    feed.old("a1")
    assert not feed.takeover.may_end(9.9)
    assert feed.takeover.may_end(10.0)


def test_without_topics_the_overlap_has_to_be_proved() -> None:
    feed = Handed(Coverage())
    feed.takeover.confirm(0.0)
    feed.old("a1", "a2", "a3")
    feed.new("auth ok", "a2", "a3")
    assert not feed.takeover.may_end(5.0)
    assert not feed.takeover.is_hopeless(5.0)
    assert not feed.takeover.may_end(10.0)
    assert feed.takeover.is_hopeless(10.0)

    feed.new("a4")
    feed.old("a4")
    assert feed.takeover.may_end(10.0)
    assert not feed.takeover.is_hopeless(10.0)
    feed.switch()
    assert feed.got == ["a1", "a2", "a3", "a4"]


def test_without_topics_and_without_messages_it_takes_its_time() -> None:
    feed = Handed(Coverage())
    feed.takeover.confirm(0.0)
    assert not feed.takeover.may_end(9.9)
    assert feed.takeover.may_end(10.0)
    assert not feed.takeover.is_hopeless(10.0)


def test_what_cannot_be_proved_is_given_up_when_too_much_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 10)
    feed = Handed(Coverage())
    feed.takeover.confirm(0.0)
    feed.new(*named("a", range(10)))
    assert not feed.takeover.may_end(1.0)
    assert feed.takeover.is_hopeless(1.0)


def test_few_messages_are_held_while_the_old_stream_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 10)
    feed = Handed()
    for number in range(100):
        feed.old(f"a{number}")
        feed.new(f"a{number}")
        assert not feed.takeover.may_end(0.0)
    feed.switch()
    feed.after("a100")

    assert feed.got == named("a", range(101))
    assert feed.takeover.is_caught_up


def test_too_many_that_the_old_stream_does_not_bring_end_the_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 10)
    feed = Handed()
    feed.new(*named("a", range(10)))
    assert feed.takeover.may_end(0.0)
    feed.switch()

    assert feed.got == named("a", range(10))


def test_what_does_not_match_is_not_gone_through_for_each_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", 10)
    looks: list[int] = []
    feed = Handed()
    join = feed.takeover._join

    def counted(*, mixed: str | None) -> tuple[dict[str, int], dict[Any, int]]:
        looks.append(len(looks))
        return join(mixed=mixed)

    monkeypatch.setattr(feed.takeover, "_join", counted)
    feed.new(*named("a", range(1000)))
    assert len(looks) < 10
    feed.switch()

    assert feed.got == named("a", range(1000))


def test_old_messages_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 10)
    feed = Handed()
    feed.old(*named("a", range(100)))
    feed.new(*named("a", range(95, 105)))
    feed.switch()

    assert feed.got == named("a", range(105))
    assert len(feed.takeover._delivered) == 0


def test_there_is_time_to_catch_up() -> None:
    assert CATCH_UP > 0.0
    assert "held=0" in repr(Takeover())


@given(
    old_end=st.integers(1, 30),
    new_begin=st.integers(0, 30),
    new_held=st.integers(0, 30),
    order=st.randoms(use_true_random=False),
)
def test_wherever_the_switch_is_every_number_comes_once_and_in_order(
    old_end: int, new_begin: int, new_held: int, order: object
) -> None:
    # The new stream begins while the old one is there, else nobody could know of a hole.
    new_begin = min(new_begin, old_end)
    feed = Handed()
    steps = ["old"] * old_end + ["new"] * new_held
    order.shuffle(steps)  # type: ignore[attr-defined]
    old, new = iter(range(old_end)), iter(range(new_begin, new_begin + new_held))
    for step in steps:
        if step == "old":
            feed.old(f"a{next(old)}")
        else:
            feed.new(f"a{next(new)}")
    feed.switch()
    feed.after(*named("a", range(new_begin + new_held, 70)))

    assert feed.got == named("a", range(70))
