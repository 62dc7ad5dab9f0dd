"""The watchdog: one thread while there is something to watch, and nobody is forgotten."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support import BOUND, Gate, eventually
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.watchdog import Watchdog, default_watchdog

NAME = "wsr-test"


class Watched:
    """Something that notes when it was looked at.

    :param pause: what each look returns, or raises.
    """

    def __init__(self, pause: float | Exception = 0.001) -> None:
        self.pause = pause
        self.looks: list[float] = []
        self.threads: set[str] = set()
        self.looked_at = threading.Semaphore(0)

    def watch(self, now: float) -> float:
        self.looks.append(now)
        self.threads.add(threading.current_thread().name)
        self.looked_at.release()
        if isinstance(self.pause, Exception):
            raise self.pause
        return self.pause

    def wait_for_looks(self, count: int) -> None:
        for _ in range(count):
            assert self.looked_at.acquire(timeout=BOUND), "nobody looks"


@contextmanager
def watching(*watched: Watched) -> Iterator[Watchdog]:
    """Watch some things; at the end of the block the thread must have ended."""
    watchdog = Watchdog(name=NAME)
    for each in watched:
        watchdog.add(each)
    yield watchdog
    for each in watched:
        watchdog.remove(each)
    assert watchdog.join(timeout=BOUND)
    assert eventually(lambda: not threads()), threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_one_thread_looks_at_all_again_and_again() -> None:
    watched = [Watched() for _ in range(20)]
    with watching(*watched):
        for each in watched:
            each.wait_for_looks(5)
        assert len(threads()) == 1
        assert threads()[0].daemon

    assert all(each.threads == {NAME} for each in watched)


def test_a_look_is_told_the_monotonic_time() -> None:
    begin = monotonic()
    watched = Watched()
    with watching(watched):
        watched.wait_for_looks(5)
    end = monotonic()

    assert all(begin <= look <= end for look in watched.looks)
    assert watched.looks == sorted(watched.looks)


def test_the_next_look_is_when_the_last_one_asked_for_it() -> None:
    rare, frequent = Watched(3600.0), Watched(0.001)
    with watching(rare, frequent):
        frequent.wait_for_looks(50)
        assert len(rare.looks) == 1


def test_without_anything_to_watch_there_is_no_thread() -> None:
    watchdog = Watchdog(name=NAME)

    assert threads() == []
    assert watchdog.join(timeout=0.0)


def test_what_is_removed_is_not_looked_at_any_more_and_the_rest_is() -> None:
    gone, stays = Watched(), Watched()
    with watching(gone, stays) as watchdog:
        gone.wait_for_looks(2)
        watchdog.remove(gone)
        stays.wait_for_looks(2)  # one look at most was under way
        before = len(gone.looks)
        stays.wait_for_looks(20)
        assert len(gone.looks) == before
        watchdog.remove(gone)


def test_the_thread_ends_with_the_last_and_begins_again_with_the_next() -> None:
    watchdog = Watchdog(name=NAME)
    for _ in range(100):
        watched = Watched(3600.0)
        watchdog.add(watched)
        watched.wait_for_looks(1)
        watchdog.remove(watched)
        assert watchdog.join(timeout=BOUND)
        assert eventually(lambda: not threads())


def test_one_thread_at_a_time_however_quickly_things_come_and_go() -> None:
    watchdog = Watchdog(name=NAME)
    for _ in range(300):
        watched = Watched(3600.0)
        watchdog.add(watched)
        watchdog.remove(watched)
        watchdog.add(watched)
        watched.wait_for_looks(1)
        watchdog.remove(watched)
    assert watchdog.join(timeout=BOUND)


def test_one_that_is_added_later_need_not_wait_for_those_that_sleep() -> None:
    sleeper = Watched(3600.0)
    with watching(sleeper) as watchdog:
        sleeper.wait_for_looks(1)
        late = Watched(3600.0)
        watchdog.add(late)
        late.wait_for_looks(1)
        watchdog.remove(late)


def test_one_that_removes_itself_while_it_is_looked_at_is_gone() -> None:
    watchdog = Watchdog(name=NAME)

    class Brief(Watched):
        def watch(self, now: float) -> float:
            watchdog.remove(self)
            return super().watch(now)

    brief = Brief()
    watchdog.add(brief)
    brief.wait_for_looks(1)

    assert watchdog.join(timeout=BOUND)
    assert len(brief.looks) == 1


def test_one_that_raises_leaves_the_others_watched_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, sound = Watched(ValueError("a bug")), Watched()
    with caplog.at_level(logging.ERROR, "wsresilient.watchdog"), watching(broken, sound):
        broken.wait_for_looks(1)
        sound.wait_for_looks(10)

    assert "a bug" in caplog.text


def test_join_does_not_wait_for_a_thread_that_others_need() -> None:
    gone, stays = Watched(3600.0), Watched(3600.0)
    with watching(stays) as watchdog:
        watchdog.add(gone)
        gone.wait_for_looks(1)
        watchdog.remove(gone)
        assert watchdog.join(timeout=0.0)


def test_join_waits_no_longer_than_it_may() -> None:
    gate = Gate()

    class Stuck(Watched):
        def watch(self, now: float) -> float:
            gate.pass_through()
            return 1.0

    stuck = Stuck()
    with watching(stuck) as watchdog:
        gate.wait_for_arrival()
        watchdog.remove(stuck)
        assert not watchdog.join(timeout=0.0)
        gate.open()
        assert watchdog.join(timeout=BOUND)


def test_join_from_its_own_thread_does_not_wait_for_itself() -> None:
    watchdog = Watchdog(name=NAME)
    answers: list[bool] = []

    class Joining(Watched):
        def watch(self, now: float) -> float:
            watchdog.remove(self)
            answers.append(watchdog.join(timeout=BOUND))
            return super().watch(now)

    joining = Joining()
    watchdog.add(joining)
    joining.wait_for_looks(1)

    assert watchdog.join(timeout=BOUND)
    assert answers == [True]


def test_after_a_fork_the_child_begins_anew() -> None:
    old, new = Watched(3600.0), Watched(3600.0)
    watchdog = Watchdog(name=NAME)
    watchdog.add(old)
    old.wait_for_looks(1)
    thread, lock = threads()[0], watchdog._changed
    watchdog.forget_threads()
    watchdog.add(new)
    new.wait_for_looks(1)
    assert len(old.looks) == 1
    watchdog.remove(new)
    assert watchdog.join(timeout=BOUND)
    # the parent's thread, which a real child would not have, looks up and finds nothing to do
    with lock:
        lock.notify_all()
    thread.join(BOUND)


def test_it_tells_how_many_it_watches() -> None:
    watched = Watched(3600.0)
    with watching(watched) as watchdog:
        assert repr(watchdog) == "<Watchdog of 1 connections>"


def test_all_connections_share_one_watchdog() -> None:
    assert default_watchdog() is default_watchdog()
