"""The threads of one life."""

from __future__ import annotations

import threading

from tests.support import BOUND, Gate, eventually
from wsresilient.runtime.crew import Crew


def test_those_who_have_ended_are_forgotten_and_one_is_in_charge() -> None:
    crew, gate, seen = Crew("wsr-test"), Gate(), list[bool]()

    def work() -> None:
        crew.take_charge()
        seen.append(crew.is_in_charge() and crew.is_member())
        gate.pass_through()

    crew.spawn(work)
    gate.wait_for_arrival()
    (first,) = crew.members
    assert (first.name, first.daemon, crew.in_charge) == ("wsr-test", True, first)
    assert seen == [True]
    assert not crew.is_in_charge()
    assert not crew.is_member()

    crew.wait_for_others(0.01)
    assert first.is_alive()
    gate.open()
    crew.wait_for_others(BOUND)
    assert not first.is_alive()

    crew.spawn(gate.open)
    assert first not in crew.members
    assert repr(crew) == "<Crew of 1 wsr-test>"
    assert eventually(lambda: not any(one.is_alive() for one in crew.members))


def test_a_thread_does_not_wait_for_itself() -> None:
    crew = Crew("wsr-test")
    crew.take_charge()

    crew.wait_for_others(BOUND)

    assert crew.members == (threading.current_thread(),)
