"""Calls for a reader that makes them itself."""

from __future__ import annotations

import threading

from tests.support import Running
from wsresilient.runtime.inline import InlineCalls


def test_the_reader_makes_calls_at_once_and_others_wait_for_it() -> None:
    calls, made = InlineCalls(), list[str]()
    calls.adopt(threading.get_ident())

    assert calls.put(lambda: made.append("own"))
    assert made == ["own"]
    assert Running(lambda: calls.put(lambda: made.append("other"))).result() is False
    assert made == ["own"]
    calls.run()

    assert made == ["own", "other"]


def test_only_the_reader_makes_calls() -> None:
    calls, made = InlineCalls(), list[str]()
    calls.adopt(threading.get_ident() + 1)
    calls.put(lambda: made.append("other"))
    calls.run()
    assert made == []

    calls.adopt(threading.get_ident())
    calls.run()
    assert made == ["other"]


def test_a_call_may_pass_the_rest_on_to_another_reader() -> None:
    calls, made = InlineCalls(), list[str]()
    me = threading.get_ident()
    calls.adopt(me + 1)
    calls.put(lambda: calls.adopt(me + 1))
    calls.put(lambda: made.append("for the other"))
    calls.adopt(me)
    calls.run()
    assert made == []

    calls.adopt(me)
    calls.run()
    assert made == ["for the other"]


def test_a_call_inside_of_a_call_is_made_inside() -> None:
    calls, made = InlineCalls(), list[str]()
    calls.adopt(threading.get_ident())

    def outer() -> None:
        calls.put(lambda: made.append("inner"))
        made.append("outer")

    calls.put(outer)
    assert made == ["inner", "outer"]


def test_calls_can_be_forgotten() -> None:
    calls, made = InlineCalls(), list[str]()
    calls.put(lambda: made.append("never"))
    calls.clear()
    calls.adopt(threading.get_ident())
    calls.run()

    assert made == []


def test_a_call_is_made_in_the_readers_turn() -> None:
    calls, made = InlineCalls(), list[bool]()
    calls.adopt(threading.get_ident())

    def is_free() -> bool:
        free = calls.turn.acquire(blocking=False)
        if free:
            calls.turn.release()
        return free

    calls.put(lambda: made.append(Running(is_free).result()))

    assert made == [False]
    assert Running(is_free).result() is True
