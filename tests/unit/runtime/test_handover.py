"""Moves between two carriers that the test serves by hand; payloads are "topic:identity"."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import Running
from wsresilient.core.frames import Payload
from wsresilient.errors import SubscriptionLimitError
from wsresilient.runtime import handover as module
from wsresilient.runtime.carrier import Gate
from wsresilient.runtime.handover import OVERLAP, PROOF_TIMEOUT, Handover, Phase
from wsresilient.runtime.lanes import Batch

TIMEOUT = 60.0


def identify(payload: Payload) -> tuple[str | None, Hashable]:
    topic, colon, identity = str(payload).partition(":")
    return (topic, identity) if colon else (None, None)


class Carrier:
    """A connection with a lane that is served when the test says so."""

    def __init__(self, handled: list[str], *, connected: bool) -> None:
        self.is_connected = connected
        self.generation = 1
        self.confirmed: frozenset[str] = frozenset()
        self.gates: list[Gate] = []
        self.is_stuck = False
        self.released: list[tuple[list[Payload], float]] = []
        self._handled = handled
        self._lane: deque[Batch | Callable[[], object]] = deque()

    def has_confirmed(self, topics: frozenset[str]) -> bool:
        return topics <= self.confirmed

    def add_gate(self, gate: Gate) -> None:
        self.gates.append(gate)

    def remove_gate(self, gate: Gate) -> None:
        if gate in self.gates:
            self.gates.remove(gate)

    def replace_gate(self, gate: Gate, other: Gate) -> None:
        self.gates = [other if one == gate else one for one in self.gates]

    def after_queued(self, call: Callable[[], object]) -> None:
        self._lane.append(call)
        self.serve()

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        self._handled += map(str, payloads)
        self.released.append((payloads, received_at))

    def bring(self, *payloads: str, at: float = 0.0) -> None:
        """Receive a batch."""
        self._lane.append(Batch(list(payloads), 0, self.generation, at))
        self.serve()

    def serve(self) -> None:
        while self._lane and not self.is_stuck:
            entry = self._lane.popleft()
            if not isinstance(entry, Batch):
                entry()
                continue
            for gate in list(self.gates):
                entry = Batch(gate(entry), 0, entry.generation, entry.received_at)
            self.deliver_now(entry.messages, entry.received_at)

    def unstick(self) -> None:
        self.is_stuck = False
        self.serve()


class Move:
    """A handover of some topics, and its two sides."""

    def __init__(self, *topics: str, connected: bool = False, **settings: Any) -> None:
        self.handled: list[str] = []
        self.old = Carrier(self.handled, connected=True)
        self.new = Carrier(self.handled, connected=connected)
        self.begun = 0
        self.now = 0.0
        self.handover = Handover(
            topics or ("a",),
            old=self.old,
            new=self.new,
            identify=identify,
            begin_new=settings.pop("begin_new", self._begin),
            timeout=TIMEOUT,
            now=0.0,
            **settings,
        )

    def _begin(self) -> None:
        self.begun += 1

    def step(self, seconds: float = 0.0) -> Phase:
        self.now += seconds
        return self.handover.step(self.now)

    def confirm(self) -> Phase:
        """Let the new connection be up and have all topics."""
        self.step()
        self.new.is_connected = True
        self.new.confirmed = self.handover.topics
        return self.step()

    def both(self, *payloads: str) -> None:
        self.old.bring(*payloads)
        self.new.bring(*payloads)


def test_the_new_connection_is_asked_once_the_old_one_remembers() -> None:
    move = Move()
    assert move.begun == 0
    assert move.step() is Phase.OPENING
    assert move.begun == 1

    move.step()
    assert move.begun == 1


def test_a_batch_under_way_is_waited_for_before_it_begins() -> None:
    handled: list[str] = []
    old = Carrier(handled, connected=True)
    old.is_stuck = True
    begun: list[int] = []
    handover = Handover(
        ["a"],
        old=old,
        new=Carrier(handled, connected=False),
        identify=identify,
        begin_new=lambda: begun.append(1),
        timeout=TIMEOUT,
        now=0.0,
    )

    handover.step(1.0)
    assert begun == []
    old.unstick()
    handover.step(2.0)
    assert begun == [1]


def test_nothing_is_lost_and_nothing_comes_twice_when_the_old_one_is_behind() -> None:
    move = Move()
    move.old.bring("a:1")
    assert move.confirm() is Phase.OVERLAPPING
    move.new.bring("a:2", "a:3", "a:4")
    move.old.bring("a:2")
    assert move.step() is Phase.DONE
    move.old.bring("a:3", "a:4")
    move.new.bring("a:5")

    assert move.handled == ["a:1", "a:2", "a:3", "a:4", "a:5"]
    assert move.handover.duplicates == 1 + 2
    assert not move.handover.has_hole


def test_nothing_comes_twice_when_the_old_one_is_ahead() -> None:
    move = Move()
    move.confirm()
    move.old.bring("a:1", "a:2", "a:3")
    move.new.bring("a:1")
    assert move.step() is Phase.DONE
    move.new.bring("a:2")
    move.new.bring("a:3", "a:4")
    move.new.bring("a:5")

    assert move.handled == ["a:1", "a:2", "a:3", "a:4", "a:5"]


def test_topics_that_do_not_move_pass_on_both_sides() -> None:
    move = Move()
    move.confirm()
    move.old.bring("x:1", "no topic", "a:1")
    move.new.bring("y:1", "a:1")
    move.step()
    move.old.bring("x:2", "a:2")
    move.new.bring("y:2", "a:2")

    assert move.handled == ["x:1", "no topic", "a:1", "y:1", "x:2", "y:2", "a:2"]


def test_each_topic_has_to_meet() -> None:
    move = Move("a", "b")
    move.confirm()
    move.both("a:1")
    move.new.bring("b:1")
    assert move.step(OVERLAP) is Phase.OVERLAPPING
    move.old.bring("b:1")

    assert move.step() is Phase.DONE
    assert move.handled == ["a:1", "b:1"]


def test_a_quiet_topic_is_waited_for_a_little_and_then_taken_for_granted() -> None:
    move = Move("a", "quiet")
    move.confirm()
    move.both("a:1")
    assert move.step(OVERLAP - 0.1) is Phase.OVERLAPPING

    assert move.step(0.1) is Phase.DONE
    assert not move.handover.has_hole


def test_a_snapshot_that_only_the_new_one_got_is_older_than_what_was_delivered() -> None:
    """Delivered behind the changes, it would put an order book back."""
    move = Move()
    move.confirm()
    move.new.bring("a:snapshot")
    move.old.bring("a:1")
    assert move.step(OVERLAP) is Phase.OVERLAPPING
    move.both("a:2")
    move.new.bring("a:3")
    move.step()

    assert move.handled == ["a:1", "a:2", "a:3"]


def test_messages_that_never_match_are_not_waited_for_for_ever() -> None:
    move = Move()
    move.confirm()
    move.old.bring("a:old")
    move.new.bring("a:new")
    assert move.step(PROOF_TIMEOUT - 0.1) is Phase.OVERLAPPING

    assert move.step(0.1) is Phase.DONE
    assert move.handled == ["a:old", "a:new"]


def test_held_messages_keep_the_time_at_which_they_came() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    move.new.bring("a:2", "a:3", at=5.0)
    move.new.bring("a:4", at=6.0)
    move.new.released.clear()
    move.step()

    assert move.new.released == [(["a:2", "a:3"], 5.0), (["a:4"], 6.0)]


# Losses.


def test_the_new_one_lost_again_has_to_prove_itself_again() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    move.new.is_connected, move.new.confirmed = False, frozenset()
    assert move.step() is Phase.OPENING
    move.old.bring("a:2", "a:3")

    move.new.generation = 2
    assert move.confirm() is Phase.OVERLAPPING
    move.new.bring("a:4", "a:5")
    assert move.step(OVERLAP) is Phase.OVERLAPPING
    move.old.bring("a:4")
    assert move.step() is Phase.DONE
    assert move.handled == ["a:1", "a:2", "a:3", "a:4", "a:5"]


def test_a_loss_between_two_looks_is_noticed() -> None:
    """It was lost and is back, all before anybody looked; the old one is far behind."""
    move = Move()
    move.confirm()
    move.new.bring("a:1")
    move.new.generation = 2
    move.new.bring("a:5")
    move.old.bring("a:1")
    assert move.step(OVERLAP) is Phase.OVERLAPPING
    move.old.bring("a:2", "a:3", "a:4", "a:5")

    assert move.step(OVERLAP) is Phase.DONE
    assert move.handled == ["a:1", "a:2", "a:3", "a:4", "a:5"]


def test_a_new_one_that_does_not_come_back_leaves_the_topics_with_the_old_one() -> None:
    move = Move()
    move.confirm()
    move.new.bring("a:1")
    move.new.is_connected = False
    move.step(TIMEOUT)
    assert move.step(PROOF_TIMEOUT) is Phase.FAILED
    move.old.bring("a:1", "a:2")

    assert move.handled == ["a:1", "a:2"]


def test_the_old_one_lost_is_not_waited_for() -> None:
    move = Move()
    move.confirm()
    move.old.bring("a:1")
    move.new.bring("a:1", "a:2")
    move.old.is_connected = False

    assert move.step() is Phase.DONE
    assert move.handled == ["a:1", "a:2"]
    assert not move.handover.has_hole


def test_the_old_one_lost_before_they_met_may_leave_a_hole() -> None:
    move = Move()
    move.confirm()
    move.old.bring("a:1")
    move.new.bring("a:3")
    move.old.is_connected = False

    assert move.step() is Phase.DONE
    assert move.handled == ["a:1", "a:3"]
    assert move.handover.has_hole


def test_the_old_one_lost_before_the_new_one_was_confirmed_may_leave_a_hole() -> None:
    move = Move()
    move.old.is_connected = False
    assert move.step() is Phase.OPENING

    assert move.confirm() is Phase.DONE
    assert move.handover.has_hole


def test_an_old_one_that_is_back_makes_up_for_the_hole() -> None:
    move = Move()
    move.old.is_connected = False
    move.step()
    move.old.is_connected = True
    move.confirm()
    move.both("a:9")

    assert move.step() is Phase.DONE
    assert not move.handover.has_hole


# Failures.


def test_a_new_one_that_is_not_confirmed_in_time_is_given_up_and_stays_mute() -> None:
    move = Move()
    move.step()
    move.new.is_connected = True
    move.new.bring("a:1")
    assert move.step(TIMEOUT - 1.0) is Phase.OPENING

    assert move.step(1.0) is Phase.FAILED
    move.new.bring("a:2", "y:1")
    move.both("a:3")
    assert move.handled == ["y:1", "a:3"]
    move.handover.release_new()
    assert move.new.gates == move.old.gates == []
    assert move.handover.is_new_free


def test_a_new_one_that_may_not_try_yet_has_all_its_time_ahead() -> None:
    move = Move()
    move.step()
    move.now = TIMEOUT - 1.0
    move.handover.postpone(move.now)
    assert move.step(TIMEOUT - 1.0) is Phase.OPENING

    assert move.step(1.0) is Phase.FAILED


def test_what_asking_raises_ends_it() -> None:
    def refuse() -> None:
        raise SubscriptionLimitError("no room", topic="a")

    move = Move(begin_new=refuse)

    assert move.step() is Phase.FAILED
    assert isinstance(move.handover.error, SubscriptionLimitError)
    move.old.bring("a:1")
    assert move.handled == ["a:1"]


def test_failing_is_refused_once_the_new_one_has_taken_over() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    move.step()

    assert not move.handover.fail()
    assert move.handover.phase is Phase.DONE


@pytest.mark.parametrize("late", [False, True])
def test_cancelling_lets_go_of_both(late: bool) -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    if late:
        move.old.is_stuck = True
        assert move.step() is Phase.SWITCHING
    move.handover.cancel()
    move.old.unstick()

    assert move.handover.is_over
    assert move.step(1.0) is Phase.FAILED
    assert move.old.gates == move.new.gates == []


# Topics that come and go meanwhile.


def test_topics_that_join_are_waited_for() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    assert move.handover.include(["b"])
    assert move.step(OVERLAP) is Phase.OPENING
    move.both("b:1")
    move.new.confirmed = frozenset("ab")
    assert move.step() is Phase.DONE

    assert move.handled == ["a:1", "b:1"]


def test_topics_that_join_too_late_belong_to_the_new_one_alone() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    move.old.is_stuck = True
    assert move.step() is Phase.SWITCHING

    assert not move.handover.include(["b"])
    assert move.handover.topics == frozenset("a")


def test_topics_that_are_forgotten_are_nobodys_business() -> None:
    move = Move("a", "b")
    move.confirm()
    move.new.bring("a:1", "b:1")
    move.handover.forget(["b"])
    move.old.bring("a:1")
    assert move.step() is Phase.DONE
    move.old.bring("b:9")  # subscribed there again

    assert move.handled == ["a:1", "b:9"]


# Slow handlers, and memory.


def test_the_switch_waits_behind_what_the_old_one_has_queued() -> None:
    move = Move()
    move.confirm()
    move.both("a:1")
    move.old.is_stuck = True
    move.both("a:2", "a:3")
    move.new.bring("a:4")
    assert move.step() is Phase.SWITCHING
    assert move.handled == ["a:1"]
    move.old.unstick()

    assert move.step() is Phase.DONE
    assert move.handled == ["a:1", "a:2", "a:3", "a:4"]


@pytest.mark.parametrize("bound", [{"most_held": 10}, {"most_held_bytes": 35}], ids=str)
def test_while_the_old_handler_is_stuck_the_new_connection_waits_at_the_bound(
    bound: dict[str, Any],
) -> None:
    move = Move(**bound)
    move.confirm()
    move.both("a:0")
    move.old.is_stuck = True
    assert move.step() is Phase.SWITCHING
    numbers = [f"a:{number}" for number in range(1, 13)]
    serving = Running(move.new.bring, *numbers)
    assert serving.waits_in("_wait_for_old")
    assert move.handled == ["a:0"]
    move.old.unstick()
    serving.result()

    assert move.step() is Phase.DONE
    assert move.handled == ["a:0", *numbers]


def test_a_stop_lets_a_connection_go_that_waits_at_the_bound() -> None:
    move = Move(most_held=4)
    move.confirm()
    move.both("a:0")
    move.old.is_stuck = True
    move.step()
    serving = Running(move.new.bring, "a:1", "a:2", "a:3", "a:4")
    assert serving.waits_in("_wait_for_old")
    move.handover.cancel()

    serving.result()


def test_what_came_over_both_is_not_held() -> None:
    """Many topics, of which one is confirmed late: the others go on over both."""
    move = Move("a", "late", most_held=10)
    move.step()
    move.new.is_connected = True
    for number in range(100):
        move.both(f"a:{number}")
    move.confirm()
    move.step(OVERLAP)

    assert move.handled == [f"a:{number}" for number in range(100)]
    assert move.handover.phase is Phase.DONE


def test_before_the_new_connection_is_up_nothing_is_remembered_for_long() -> None:
    move = Move()
    for number in range(100):
        move.old.bring(f"a:{number}")
        move.step()

    assert len(move.handover._overlap) <= 2


def test_a_flood_that_cannot_be_remembered_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REMEMBERED", 10)
    move = Move(connected=True)
    move.step()
    move.old.bring(*(f"a:{number}" for number in range(10)))

    assert move.step() is Phase.FAILED


def test_behind_the_switch_looking_ends_when_all_has_been_brought() -> None:
    named: list[Payload] = []

    def note(payload: Payload) -> tuple[str | None, Hashable]:
        named.append(payload)
        return identify(payload)

    move = Move(identify_new=note)
    move.confirm()
    move.old.bring("a:1", "a:2")
    move.new.bring("a:1")
    move.step()
    move.new.bring("a:2")
    move.new.bring("a:3")

    assert named == ["a:1", "a:2"]
    assert move.handled == ["a:1", "a:2", "a:3"]


# Whatever the order of events.

steps = st.lists(
    st.sampled_from(["old", "new", "confirm", "step", "wait", "stick", "unstick", "lose new"]),
    max_size=60,
)


@given(steps, st.integers(1, 3))
def test_every_stream_comes_whole_once_and_in_order(plan: Iterable[str], topics: int) -> None:
    """One server numbers the messages of each topic; both connections bring them, late or soon."""
    names = [f"t{number}" for number in range(topics)]
    move = Move(*names)
    sent, old_at, new_at = 0, 0, 0  # positions in the server's stream

    def stream(begin: int, end: int) -> list[str]:
        return [f"{names[n % topics]}:{n}" for n in range(begin, end)]

    for action in plan:
        sent += 2
        if action == "old":
            move.old.bring(*stream(old_at, sent - 1))
            old_at = sent - 1
        elif action == "new" and move.new.is_connected:
            move.new.bring(*stream(new_at, sent))
            new_at = sent
        elif action == "confirm" and not move.new.is_connected and move.begun:
            move.new.is_connected, move.new.confirmed = True, move.handover.topics
            new_at = sent
        elif action == "lose new" and move.new.is_connected and not _decided(move):
            move.new.is_connected, move.new.confirmed = False, frozenset()
            move.new.generation += 1
        elif action == "stick":
            move.old.is_stuck = True
        elif action == "unstick":
            move.old.unstick()
        move.step(0.2 if action == "wait" else 0.0)
    # Let it come to its end.
    move.old.unstick()
    for _ in range(20):
        sent += topics
        if not move.new.is_connected:
            move.step()
            move.new.is_connected, move.new.confirmed = True, move.handover.topics
            new_at = sent
        move.old.bring(*stream(old_at, sent))
        old_at = sent
        move.new.bring(*stream(new_at, sent))
        new_at = sent
        move.step(0.2)

    assert move.handover.phase is Phase.DONE
    for name in names:
        got = [int(one.partition(":")[2]) for one in move.handled if one.startswith(f"{name}:")]
        assert got == list(range(got[0], sent, topics))


def _decided(move: Move) -> bool:
    return move.handover.phase not in (Phase.OPENING, Phase.OVERLAPPING)
