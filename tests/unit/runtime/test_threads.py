"""Threads: named, daemons, and joined under one bound."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from tests.support import BOUND, Gate, Running
from wsresilient.runtime import threads as module
from wsresilient.runtime.threads import gather, spawn


def test_a_thread_is_a_daemon_with_its_name_and_its_arguments() -> None:
    seen: list[tuple[str, bool, tuple[object, ...]]] = []

    def look(*args: object) -> None:
        me = threading.current_thread()
        seen.append((me.name, me.daemon, args))

    thread = spawn(look, 1, "b", name="wsr-test")
    thread.join(BOUND)

    assert seen == [("wsr-test", True, (1, "b"))]


def test_a_daemon_s_child_is_no_exception() -> None:
    daemons: list[bool] = []

    def look() -> None:
        daemons.append(threading.current_thread().daemon)

    Running(lambda: spawn(look, name="wsr-test").join(BOUND)).result()

    assert daemons == [True]


def test_threads_are_joined_and_those_that_still_run_are_told() -> None:
    gate = Gate()
    quick = [spawn(lambda: None, name=f"wsr-quick-{n}") for n in range(3)]
    slow = spawn(gate.pass_through, name="wsr-slow")
    gate.wait_for_arrival()

    assert gather(quick, timeout=BOUND) == []
    assert gather([*quick, slow], timeout=0.0) == [slow]
    assert gather(iter([slow]), timeout=-1.0) == [slow]
    gate.open()
    assert gather([slow], timeout=BOUND) == []
    assert gather([], timeout=0.0) == []


def test_the_bound_is_for_all_threads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waits = 1000.0, []

    class Endless(threading.Thread):
        """Never ends, and lets time pass for whoever waits for it."""

        def join(self, timeout: float | None = None) -> None:
            nonlocal now
            assert timeout is not None
            waits.append(timeout)
            now += min(timeout, 2.0)

        def is_alive(self) -> bool:
            return True

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    endless = [Endless() for _ in range(50)]

    assert gather(endless, timeout=3.0) == endless
    assert waits == [3.0, 1.0] + [0.0] * 48


def test_the_calling_thread_does_not_wait_for_itself() -> None:
    assert gather([threading.current_thread()], timeout=BOUND) == []
