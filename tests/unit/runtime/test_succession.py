"""How a succession goes on, step by step, without sockets, threads and real time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from wsresilient import ConnectionConfig, Failure, FailureKind, Gap
from wsresilient.core.takeover import CATCH_UP, LONGEST
from wsresilient.errors import OpenTimeoutError
from wsresilient.runtime import succession as module
from wsresilient.runtime.answers import Answers
from wsresilient.runtime.lanes import Batch
from wsresilient.runtime.succeeding import Phase
from wsresilient.runtime.succession import Succession

NOTICE = Failure(FailureKind.ROTATION, "the server asks for it", is_error=False)
LOST = Failure(FailureKind.NETWORK, "OSError: gone", error=OSError("gone"))
WANTED = Failure(FailureKind.REQUESTED, "reconnect() was called", is_error=False)
AGE = 1000.0
#: open_timeout + ack_timeout, and what comes on top.
LIMIT = 1.0 + 2.0 + module.PATIENCE


class FakeLink:
    """A connection that does nothing by itself."""

    def __init__(self, generation: int, connected_at: float | None = None) -> None:
        self.generation = generation
        self.connected_at = connected_at
        self.is_ready = connected_at is not None
        self.has_greeted = self.has_confirmed = self.is_ready
        self.wanted: frozenset[str] | None = None
        self.divert: Callable[[Batch], bool] | None = None
        self.ends: list[str] = []
        self.is_over = False
        self.has_less = False
        self.is_queueing = False
        self.confirmed_count = 0
        self.errands: list[Callable[[], object]] = []

    def come_up(self, now: float) -> None:
        self.connected_at = now
        self.is_ready = self.has_greeted = self.has_confirmed = True

    def lacks(self, _other: FakeLink) -> bool:
        return self.has_less

    def interrupt(self, reason: Failure, *, graceful: bool) -> None:
        assert graceful
        self.ends.append(reason.text)

    def run_between_batches(self, errand: Callable[[], object]) -> None:
        if self.is_over:
            errand()
        else:
            self.errands = [errand]

    def tick(self) -> None:
        errands, self.errands = self.errands, []
        for errand in errands:
            errand()


class FakeLane:
    """What a succession uses of a delivery; its calls are made by :meth:`serve`."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.is_behind = False
        self.sift: Callable[[Batch], list[Any]] | None = None
        self.waiting: list[Callable[[], object] | Batch] = []
        self.got: list[Any] = []

    def begin_succession(self, sift: Callable[[Batch], list[Any]]) -> None:
        self.sift = sift

    def end_succession(self) -> None:
        self.sift = None

    def emit_call(self, call: Callable[[], object]) -> None:
        self.waiting.append(call)

    def note(self, call: Callable[[], object]) -> None:
        call()

    def serve_now(self, batch: Batch) -> None:
        self.got += batch.messages

    def tell_gap_now(self, gap: Gap) -> None:
        self.got.append(f"gap: {gap.reason}")

    def serve(self) -> None:
        waiting, self.waiting = self.waiting, []
        for entry in waiting:
            if isinstance(entry, Batch):
                self.got += entry.messages if self.sift is None else self.sift(entry)
            else:
                entry()


class Life:
    """A life with two connections at most."""

    def __init__(self, rotation: str = "make_before_break") -> None:
        self.now = 0.0
        self.links = self  # the fake of both
        self.old: Any = FakeLink(1, 0.0)
        self.new: Any = FakeLink(2)
        self.running: Any = self.old
        self.present: tuple[Any, ...] = (self.old,)
        self.lost: Any = None
        self.counted = 0
        self.told: list[str] = []
        self.is_stopping = False
        self.cannot_start = False
        self.lane = FakeLane()
        config = ConnectionConfig(rotation=rotation, max_age=AGE, open_timeout=1.0, ack_timeout=2.0)
        lane: Any = self.lane
        host: Any = self
        self.succession = Succession(
            host, name="feed", config=config, delivery=lane, identify=lambda payload: ("", payload)
        )

    # As the succession sees it.

    def make_successor(self) -> FakeLink:
        # The very first is there already, so that a test can look at it.
        self.new = made = FakeLink(self.new.generation + (self.new.divert is not None))
        self.present = (*self.present, made)
        return made

    def start_successor(self, successor: FakeLink) -> None:
        if self.cannot_start:
            raise RuntimeError("no more threads")
        self.told.append(f"start {successor.generation}")

    def promote(self, old: FakeLink, successor: FakeLink, reason: Failure) -> bool:
        if self.is_stopping or self.running is not old:
            return self.running is successor
        self.lost = None if reason.planned else old
        self.running = successor
        self.told.append("promote" if reason.planned else "promote, since it was lost")
        return True

    def count_beside(self, messages: int) -> None:
        self.counted += messages

    def was_lost(self, link: FakeLink) -> bool:
        return self.lost is link

    def retire(self, old: FakeLink, reason: Failure) -> None:
        self.told.append(f"retire: {reason.text}")

    def forget(self, successor: FakeLink, failure: Failure) -> None:
        self.told.append(f"forget: {failure.text}")
        self.drop(successor)

    def tell_hole(self, failure: Failure) -> None:
        self.told.append("hole")

    # What happens.

    def drop(self, link: FakeLink) -> None:
        link.is_over = True
        self.present = tuple(one for one in self.present if one is not link)

    def bring(self, link: FakeLink, *payloads: str) -> None:
        batch = Batch(list(payloads), len(payloads), link.generation, 0.0)
        link.tick()
        if link.divert is None or not link.divert(batch):
            self.lane.waiting.append(batch)

    def step(self, seconds: float = 0.0) -> float:
        self.now += seconds
        return self.succession.step(self.now)

    def is_in(self, phase: Phase) -> bool:
        return self.succession.phase is phase


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    made = Life()
    monkeypatch.setattr(module, "monotonic", lambda: made.now)
    return made


def opening(life: Life) -> Life:
    """Ask for a successor, which begins."""
    assert life.succession.request(NOTICE)
    assert life.step() == module.STEP
    assert life.is_in(Phase.OPENING)
    return life


def overlapping(life: Life) -> Life:
    """Let it come up."""
    opening(life)
    life.new.come_up(life.now)
    life.step()
    assert life.is_in(Phase.OVERLAPPING)
    return life


def switched(life: Life) -> Life:
    """Let the two meet, and the new one take over."""
    overlapping(life)
    life.bring(life.old, "a")
    life.bring(life.new, "a")
    life.lane.serve()
    life.step(1.0)
    assert life.is_in(Phase.SWITCHING)
    life.old.tick()
    life.lane.serve()
    assert life.is_in(Phase.SWITCHED)
    return life


# As planned.


def test_nothing_happens_before_it_is_due(life: Life) -> None:
    assert life.step(0.5 * AGE) == float("inf")
    assert life.told == []

    assert life.step(0.49 * AGE) == module.STEP
    assert life.told == ["start 2"]
    assert "opening" in repr(life.succession)


def test_nothing_happens_where_it_is_not_wanted(life: Life) -> None:
    del life
    other = Life("break_before_make")

    assert not other.succession.request(NOTICE)
    assert other.step(AGE) == float("inf")


def test_nothing_happens_while_there_is_no_connection(life: Life) -> None:
    life.running = None
    assert not life.succession.request(NOTICE)
    life.running = FakeLink(1)
    assert not life.succession.request(NOTICE)

    life.step(AGE)
    assert life.told == []


def test_a_succession_from_the_beginning_to_the_end(life: Life) -> None:
    opening(life)
    life.bring(life.old, "a", "b")
    life.lane.serve()
    assert life.lane.got == ["a", "b"]

    life.new.come_up(life.now)
    life.step()
    life.bring(life.new, "b", "c")
    life.bring(life.old, "c")
    life.lane.serve()
    assert life.lane.got == ["a", "b", "c"]
    life.step(0.4)
    assert life.is_in(Phase.OVERLAPPING)  # not long enough

    life.step(0.1)
    assert life.is_in(Phase.SWITCHING)
    life.bring(life.new, "d")
    life.bring(life.old, "d")  # behind the last that counts
    life.lane.serve()
    assert life.is_in(Phase.SWITCHED)
    assert life.lane.got == ["a", "b", "c", "d"]
    assert life.told == ["start 2"]

    life.step()
    assert life.told[1:] == ["promote", "retire: the server asks for it"]
    life.bring(life.old, "e")
    life.bring(life.new, "e")
    life.drop(life.old)
    life.step()
    life.bring(life.new, "f")
    assert life.is_in(Phase.LEAVING)
    life.lane.serve()
    assert life.is_in(Phase.IDLE)
    life.bring(life.new, "g")
    life.lane.serve()

    assert life.lane.got == list("abcdefg")
    assert (life.new.divert, life.counted) == (None, 2)  # d, which was held, and e
    assert life.step() == float("inf")


def test_a_successor_is_not_ready_before_all_that_belongs_to_it(life: Life) -> None:
    opening(life)
    life.new.come_up(life.now)
    for missing in ("is_ready", "has_greeted", "has_confirmed"):
        setattr(life.new, missing, False)
        life.step(0.1)
        assert life.is_in(Phase.OPENING)
        setattr(life.new, missing, True)

    life.step(0.1)
    assert life.is_in(Phase.OVERLAPPING)


def test_requests_that_wait_for_their_answers_keep_the_old_one(life: Life) -> None:
    switched(life)
    with life.lane.answers.waiting(generation=1):
        life.step()
        assert life.told[-1] == "promote"
        life.step(module.LAST_ANSWERS - 0.1)
        assert life.told[-1] == "promote"
    life.step()
    assert life.told[-1].startswith("retire")


def test_nobody_waits_for_an_answer_for_ever(life: Life) -> None:
    switched(life)
    with life.lane.answers.waiting(generation=1):
        life.step()
        life.step(module.LAST_ANSWERS)
    assert life.told[-1].startswith("retire")


def test_what_the_old_one_was_ahead_with_is_looked_for_for_a_while(life: Life) -> None:
    overlapping(life)
    life.bring(life.old, "a", "b")
    life.bring(life.new, "a")
    life.lane.serve()
    life.step(1.0)
    life.old.tick()
    life.lane.serve()
    life.step()
    life.drop(life.old)
    life.step(CATCH_UP - 0.1)
    life.new.tick()
    assert life.is_in(Phase.SWITCHED)

    life.step(0.1)
    life.new.tick()
    assert life.is_in(Phase.LEAVING)


def test_a_successor_that_is_due_itself_does_not_wait_so_long(life: Life) -> None:
    switched(life)
    life.bring(life.old, "b")  # too late to be delivered
    life.step()
    life.drop(life.old)
    life.succession.request(NOTICE)
    life.step(module.CATCH_UP_AT_LEAST)
    life.new.tick()
    life.lane.serve()
    assert life.is_in(Phase.IDLE)

    life.new = life.running
    life.step()
    assert life.is_in(Phase.OPENING)


# The successor does not come up.


def test_a_successor_that_is_not_ready_in_time_is_given_up(life: Life) -> None:
    opening(life)
    life.step(LIMIT - 0.1)
    assert life.is_in(Phase.OPENING)
    life.step(0.1)
    assert life.is_in(Phase.FAILED)
    assert life.new.ends == [
        f"{OpenTimeoutError.__name__}: the successor was not ready within {LIMIT:g} s"
    ]

    assert not life.succession.ended(life.new, Failure(FailureKind.STOPPED, "x", is_error=False))
    assert life.told[-1] == f"forget: {life.new.ends[0]}"
    life.bring(life.new, "never")
    life.lane.serve()
    assert life.is_in(Phase.IDLE)
    assert life.lane.got == []


def test_after_a_failure_there_is_a_pause_and_at_max_age_no_other_try(life: Life) -> None:
    life.now = 0.99 * AGE
    life.step()
    life.new.is_over = True
    assert not life.succession.ended(life.new, LOST)
    assert life.told == ["start 2", "forget: OSError: gone"]
    life.lane.serve()

    life.step(4.9)
    assert life.is_in(Phase.IDLE)
    life.step(0.1)
    assert life.is_in(Phase.OPENING)
    assert life.succession.request(NOTICE)
    life.now = AGE + 0.1
    assert not life.succession.request(NOTICE)


def test_a_thread_that_cannot_be_started_is_a_failure(life: Life) -> None:
    life.cannot_start = True
    assert life.succession.request(NOTICE)
    life.step()

    assert life.told == ["forget: RuntimeError: no more threads"]
    life.lane.serve()
    assert life.is_in(Phase.IDLE)


def test_a_successor_that_holds_too_much_is_given_up(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsresilient.runtime.junction.MOST_HELD", 2)
    opening(life)
    life.bring(life.new, "a", "b", "c")
    life.step()

    assert life.is_in(Phase.FAILED)
    assert life.new.ends == ["the handlers were too slow to let a successor wait for them"]


def test_a_successor_whose_messages_match_nothing_is_given_up_before_it_is_up(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsresilient.core.takeover.MOST_HELD", 10)
    opening(life)
    life.bring(life.new, *map(str, range(10)))
    life.bring(life.old, "a")
    life.lane.serve()
    life.step()

    assert life.is_in(Phase.FAILED)


@pytest.mark.parametrize("how", ["planned", "lost"])
def test_what_cannot_wait_for_the_switch_is_told_as_a_gap(
    how: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlapping(life)
    life.bring(life.old, "a")
    life.bring(life.new, "a")
    life.lane.serve()
    life.now += 1.0
    if how == "planned":
        life.step()
        assert life.is_in(Phase.SWITCHING)
    monkeypatch.setattr("wsresilient.runtime.junction.MOST_HELD", 2)
    life.bring(life.new, "b", "c", "d")  # while the handlers are held up
    life.bring(life.new, "e")
    if how == "lost":
        assert life.succession.inherits(life.old, LOST)
    life.old.tick()
    life.lane.serve()
    life.bring(life.new, "f")
    life.lane.serve()

    assert life.lane.got == ["a", "gap: overflow", "f"]


def test_it_can_be_cancelled_until_it_is_decided(life: Life) -> None:
    overlapping(life)
    life.succession.cancel("reconnect() was called")
    assert life.is_in(Phase.FAILED)
    assert life.new.ends == ["reconnect() was called"]
    life.succession.cancel("again")
    assert len(life.new.ends) == 1


def test_it_cannot_be_cancelled_behind_the_switch(life: Life) -> None:
    switched(life)
    life.succession.cancel("too late")

    assert life.is_in(Phase.SWITCHED)
    assert life.new.ends == []


def test_a_life_that_ends_begins_no_more(life: Life) -> None:
    life.succession.close()
    life.succession.request(NOTICE)
    life.step()

    assert life.is_in(Phase.IDLE)
    assert life.told == []


# The old one ends.


def test_a_connection_that_is_lost_is_succeeded_at_once(life: Life) -> None:
    overlapping(life)
    life.bring(life.old, "a")
    life.bring(life.new, "c")

    assert life.succession.inherits(life.old, LOST)
    assert life.told[1:] == ["hole", "promote, since it was lost"]
    life.lane.serve()
    assert life.lane.got == ["a", "c"]
    life.drop(life.old)
    life.step()
    assert len(life.told) == 3  # there is nothing left to retire


def test_where_the_two_had_met_there_is_no_hole(life: Life) -> None:
    overlapping(life)
    life.bring(life.old, "a")
    life.bring(life.new, "a", "b")
    life.lane.serve()
    life.now += 1.0

    assert life.succession.inherits(life.old, LOST)
    assert "hole" not in life.told


@pytest.mark.parametrize("why", ["not up", "planned"])
def test_who_cannot_take_over_is_given_up(life: Life, why: str) -> None:
    if why == "not up":
        opening(life)
    else:
        overlapping(life)

    assert not life.succession.inherits(life.old, LOST if why == "not up" else WANTED)
    assert life.is_in(Phase.FAILED)
    assert life.new.ends == ["the connection that was to be succeeded has ended"]


def test_a_connection_that_ends_as_the_succession_begins_is_seen_later(life: Life) -> None:
    opening(life)
    life.running = FakeLink(3, 1.0)
    life.step()

    assert life.is_in(Phase.FAILED)


def test_a_connection_without_a_successor_has_nobody_who_inherits(life: Life) -> None:
    assert not life.succession.inherits(life.old, LOST)


def test_the_end_of_the_old_one_behind_the_switch_is_as_planned(life: Life) -> None:
    switched(life)

    assert life.succession.inherits(life.old, LOST)
    assert life.told[-1] == "promote"


def test_a_successor_that_is_lost_behind_the_switch_goes_on_in_its_place(life: Life) -> None:
    switched(life)

    assert life.succession.ended(life.new, LOST)
    assert life.told[-1] == "promote"
    life.step()
    life.drop(life.old)
    life.drop(life.new)
    life.step()
    life.lane.serve()
    assert life.is_in(Phase.IDLE)
    assert life.succession.ended(life.new, LOST)


def test_nobody_takes_over_while_all_is_being_stopped(life: Life) -> None:
    switched(life)
    life.is_stopping = True

    assert not life.succession.inherits(life.old, LOST)
    assert not life.succession.ended(life.new, LOST)
    life.step()
    assert life.told[-1] == "forget: OSError: gone"


def test_requests_from_many_threads_are_one(life: Life) -> None:
    threads = [threading.Thread(target=life.succession.request, args=(NOTICE,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    life.step()

    assert life.told == ["start 2"]


def test_a_topic_that_only_the_old_connection_has_yet_keeps_it(life: Life) -> None:
    overlapping(life)
    life.bring(life.old, "a")
    life.bring(life.new, "a")
    life.lane.serve()
    life.new.has_less = True
    life.step(5.0)
    assert life.is_in(Phase.OVERLAPPING)
    life.new.has_less = False
    life.step()
    assert life.is_in(Phase.SWITCHING)
    life.old.tick()
    assert "hole" not in life.told


@pytest.mark.parametrize("why", ["handlers", "topics"])
def test_a_switch_that_may_cost_messages_tells_of_a_hole(life: Life, why: str) -> None:
    overlapping(life)
    life.lane.is_behind = why == "handlers"
    life.new.has_less = why == "topics"
    life.bring(life.old, "a1")
    life.bring(life.new, "a9")
    life.lane.serve()
    life.step(LONGEST)
    assert life.is_in(Phase.SWITCHING)
    life.old.tick()
    assert life.told.count("hole") == 1


def test_streams_that_cannot_be_compared_are_no_hole(life: Life) -> None:
    overlapping(life)
    life.bring(life.old, "of the old one")
    life.bring(life.new, "of the new one")
    life.lane.serve()
    life.step(LONGEST)
    life.old.tick()
    assert life.is_in(Phase.SWITCHING)
    assert "hole" not in life.told


def test_a_successor_that_waits_for_its_turn_or_gets_on_is_not_late(life: Life) -> None:
    opening(life)
    life.new.is_queueing = True
    for _ in range(5):
        life.step(LIMIT)
    life.new.is_queueing = False
    for number in range(1, 5):
        life.new.confirmed_count = number
        life.step(LIMIT - 0.1)
    assert life.is_in(Phase.OPENING)
    life.step(LIMIT)
    assert life.is_in(Phase.FAILED)
