"""The dispatcher: one worker at a time for a lane, a slow one holds up itself, threads that end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import BOUND, Gate, Running, eventually
from wsresilient import ConfigurationError
from wsresilient.runtime import dispatcher as module
from wsresilient.runtime.dispatcher import (
    TURN,
    CallingThreadDispatcher,
    Dispatcher,
    default_dispatcher,
)
from wsresilient.runtime.lanes import Batch, Entry, Event, Lane
from wsresilient.runtime.threads import spawn

from .lane_tools import batch, lane_of


def serve(entry: Entry) -> None:
    if isinstance(entry, Event):
        entry.call()


def threads_of(dispatcher: Dispatcher) -> list[threading.Thread]:
    name = repr(dispatcher).split()[1].rstrip(":")
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"{name}-")]


@contextmanager
def running(**settings: Any) -> Iterator[Dispatcher]:
    """Make a dispatcher of which all threads must have ended at the end of the block."""
    dispatcher = Dispatcher(name="wsr-test", **settings)
    yield dispatcher
    assert dispatcher.join(timeout=BOUND)
    assert not threads_of(dispatcher)
    assert dispatcher.thread_count == 0


@contextmanager
def lanes_of(dispatcher: Dispatcher, count: int) -> Iterator[list[Lane]]:
    lanes = [lane_of(serve=serve) for _ in range(count)]
    for lane in lanes:
        dispatcher.attach(lane)
    yield lanes
    dispatcher.detach(*lanes)


def did_serve(lane: Lane) -> bool:
    """Tell whether something that is put into a lane now is served."""
    served = threading.Event()
    lane.put_event(served.set)
    return served.wait(BOUND)


# Threads.


def test_no_thread_runs_before_there_is_something_to_serve() -> None:
    with running() as dispatcher, lanes_of(dispatcher, 5):
        assert threads_of(dispatcher) == []


def test_threads_are_daemons_with_the_name_of_the_design() -> None:
    dispatcher = Dispatcher()
    names: list[tuple[str, bool]] = []
    with lanes_of(dispatcher, 1) as (lane,):
        lane.put_event(
            lambda: names.append(
                (threading.current_thread().name, threading.current_thread().daemon)
            )
        )
        assert did_serve(lane)
    assert dispatcher.join(timeout=BOUND)

    assert names == [("wsr-dispatch-1", True)]


def test_threads_end_with_the_last_lane_and_begin_again_with_the_next() -> None:
    with running() as dispatcher:
        for _ in range(3):
            with lanes_of(dispatcher, 2) as lanes:
                assert all(did_serve(lane) for lane in lanes)
                dispatcher.detach(lanes[0])
                assert did_serve(lanes[1])
                assert dispatcher.thread_count > 0
            assert dispatcher.join(timeout=BOUND)
            assert dispatcher.thread_count == 0


def test_threads_end_however_they_meet_with_the_end_of_the_last_lane() -> None:
    over = threading.Semaphore(0)
    with running(workers=3) as dispatcher:
        for round_ in range(300):
            lanes = [lane_of(serve=serve) for _ in range(1 + round_ % 4)]
            for lane in lanes:
                dispatcher.attach(lane)
                lane.put(batch("a"))
            for lane in lanes:
                # it takes its own lane off, as a connection that has ended does
                lane.put_event(lambda lane=lane: dispatcher.detach(lane))  # type: ignore[misc]
                lane.put_event(over.release)
            for _ in lanes:
                assert over.acquire(timeout=BOUND)
            if round_ % 3 == 0:
                assert dispatcher.join(timeout=BOUND), dispatcher


def test_join_waits_no_longer_than_it_may_for_a_blocked_handler() -> None:
    gate = Gate()
    with running() as dispatcher:
        with lanes_of(dispatcher, 1) as (lane,):
            lane.put_event(gate.pass_through)
            gate.wait_for_arrival()
        assert not dispatcher.join(timeout=0.0)
        gate.open()
        assert dispatcher.join(timeout=BOUND)


def test_join_waits_for_a_worker_that_is_on_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def spawn_lingering(work: Callable[..., None], *args: Any, name: str) -> threading.Thread:
        def linger() -> None:
            work(*args)
            may_end.wait(BOUND)

        return spawn(linger, name=name)

    monkeypatch.setattr(module, "spawn", spawn_lingering)
    with running() as dispatcher:
        with lanes_of(dispatcher, 1) as (lane,):
            assert did_serve(lane)
        assert eventually(lambda: dispatcher.thread_count == 0)
        assert not dispatcher.join(timeout=0.0)
        may_end.set()


def test_join_does_not_wait_for_threads_that_others_need() -> None:
    gate = Gate()
    with running() as dispatcher, lanes_of(dispatcher, 2) as (first, second):
        second.put_event(gate.pass_through)
        gate.wait_for_arrival()
        dispatcher.detach(first)
        assert dispatcher.join(timeout=0.0)
        gate.open()


def test_join_from_inside_a_handler_does_not_wait_for_itself() -> None:
    answers: list[bool] = []
    with running() as dispatcher:
        lane = lane_of(serve=serve)
        dispatcher.attach(lane)
        lane.put_event(lambda: dispatcher.detach(lane))
        lane.put_event(lambda: answers.append(dispatcher.join(timeout=BOUND)))
        assert lane.wait_until_idle(BOUND)
    assert answers == [True]


def test_what_comes_after_a_lane_was_taken_off_is_served_and_leaves_no_thread() -> None:
    with running() as dispatcher:
        with lanes_of(dispatcher, 1) as (lane,):
            assert did_serve(lane)
        assert dispatcher.join(timeout=BOUND)
        assert did_serve(lane)


# One worker at a time.


def test_a_lane_is_served_by_one_worker_at_a_time_in_order() -> None:
    inside = threading.Lock()
    overlaps = 0
    served: list[str] = []

    def serve_alone(entry: Entry) -> None:
        nonlocal overlaps
        if not inside.acquire(blocking=False):
            overlaps += 1
            return
        if isinstance(entry, Batch):
            served.extend(str(message) for message in entry.messages)
        else:
            entry.call()
        inside.release()

    over = threading.Event()
    expected = [f"{n}{m}" for n in range(3000) for m in "ab"]
    with running(workers=4) as dispatcher:
        lane = lane_of(serve=serve_alone, max_messages=100_000)
        dispatcher.attach(lane)
        others = [lane_of(serve=serve) for _ in range(3)]
        for other in others:
            dispatcher.attach(other)
        for n in range(3000):
            lane.put(batch(f"{n}a", f"{n}b"))
            others[n % 3].put(batch("x"))
        lane.put_event(over.set)
        assert over.wait(BOUND)
        dispatcher.detach(lane, *others)

    assert overlaps == 0
    assert served == expected


def test_many_lanes_keep_their_order_with_few_workers() -> None:
    served: list[list[object]] = [[] for _ in range(40)]
    over = threading.Semaphore(0)

    def write(lane: Lane, mine: list[object]) -> None:
        for n in range(200):
            lane.put(batch(str(n)))
            lane.put_event(lambda n=n: mine.append(n))  # type: ignore[misc]
        lane.put_event(over.release)

    with running(workers=2, max_workers=2) as dispatcher:
        lanes = []
        for mine in served:
            lane = lane_of(
                serve=lambda entry, mine=mine: (  # type: ignore[misc]
                    mine.extend(entry.messages) if isinstance(entry, Batch) else entry.call()
                )
            )
            dispatcher.attach(lane)
            lanes.append(lane)
        writers = [Running(write, *pair) for pair in zip(lanes, served, strict=True)]
        for writer in writers:
            writer.result()
        for _ in lanes:
            assert over.acquire(timeout=BOUND)
        assert dispatcher.thread_count <= 2
        dispatcher.detach(*lanes)

    expected = [item for n in range(200) for item in (str(n), n)]
    assert all(mine == expected for mine in served)


# A slow lane holds up only itself.


@pytest.mark.parametrize("slow", [1, 2, 3, 7])
def test_slow_lanes_hold_up_only_themselves_even_more_of_them_than_usual_workers(slow: int) -> None:
    gate = Gate()
    with running(workers=2) as dispatcher, lanes_of(dispatcher, slow + 2) as lanes:
        # Each is put into once, all at the same moment: nobody comes by a second time.
        for lane in lanes[:slow]:
            lane.put_event(gate.pass_through)
        quick = [threading.Event(), threading.Event()]
        for lane, done in zip(lanes[slow:], quick, strict=True):
            lane.put_event(done.set)

        for _ in range(slow):
            gate.wait_for_arrival()
        assert all(done.wait(BOUND) for done in quick)
        assert dispatcher.thread_count <= slow + 2
        for lane in lanes[slow:]:
            assert did_serve(lane)
        # what is behind the slow handler of the same lane waits
        behind = threading.Event()
        lanes[0].put_event(behind.set)
        assert not behind.is_set()
        gate.open()
        assert behind.wait(BOUND)


def test_no_more_workers_are_started_than_allowed() -> None:
    gates = [Gate() for _ in range(3)]
    with running(workers=1, max_workers=2) as dispatcher, lanes_of(dispatcher, 3) as lanes:
        for lane, gate in zip(lanes, gates, strict=True):
            lane.put_event(gate.pass_through)
        gates[0].wait_for_arrival()
        gates[1].wait_for_arrival()
        for _ in range(100):
            dispatcher.relieve()
        assert dispatcher.thread_count == 2
        gates[0].open()
        gates[2].wait_for_arrival()
        gates[1].open()
        gates[2].open()


def test_workers_beyond_the_usual_number_end_when_they_have_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SURPLUS_LIFE", 0.02)
    gate = Gate()
    with running(workers=2) as dispatcher, lanes_of(dispatcher, 6) as lanes:
        for lane in lanes:
            lane.put_event(gate.pass_through)
        for _ in lanes:
            gate.wait_for_arrival()
        assert dispatcher.thread_count == 6
        gate.open()
        # the lookout has nothing to look after either
        assert eventually(lambda: len(threads_of(dispatcher)) == dispatcher.thread_count == 2)
        assert all(did_serve(lane) for lane in lanes)


def test_a_lane_that_is_never_empty_lets_others_have_their_turn() -> None:
    gate, served = Gate(), threading.Event()
    order: list[str] = []
    with running(workers=1, max_workers=1) as dispatcher, lanes_of(dispatcher, 2) as (busy, quiet):
        busy.put_event(gate.pass_through)
        gate.wait_for_arrival()
        for _ in range(10 * TURN):
            busy.put_event(lambda: order.append("busy"))
        quiet.put_event(lambda: order.append("quiet"))
        busy.put_event(served.set)
        gate.open()
        assert served.wait(BOUND)

    assert order.index("quiet") <= TURN
    assert len(order) == 10 * TURN + 1


# What goes wrong.


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_serve_function_that_raises_costs_neither_the_lane_nor_the_worker(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error("a bug")

    with running(workers=1, max_workers=1) as dispatcher, lanes_of(dispatcher, 1) as (lane,):
        with caplog.at_level(logging.ERROR, "wsresilient.dispatcher"):
            for _ in range(3):
                lane.put_event(fail)
            assert did_serve(lane)
        assert dispatcher.thread_count == 1

    assert caplog.text.count("serving a lane failed") == 3
    assert caplog.text.count("a bug") >= 3


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": 1.5}, "workers"),
        ({"workers": 3, "max_workers": 2}, "max_workers"),
        ({"max_workers": None}, "max_workers"),
    ],
)
def test_a_wrong_number_of_workers_is_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is .*; allowed: a whole number >= "):
        Dispatcher(**settings)


def test_it_tells_how_it_stands() -> None:
    with running() as dispatcher, lanes_of(dispatcher, 3):
        assert repr(dispatcher) == "<Dispatcher wsr-test: 3 lanes, 0 workers, 0 of them idle>"


def test_all_connections_share_one_dispatcher() -> None:
    assert default_dispatcher() is default_dispatcher()


def test_after_a_fork_the_child_begins_anew() -> None:
    gate = Gate()
    dispatcher = Dispatcher(name="wsr-test")
    with lanes_of(dispatcher, 1) as (old,):
        old.put_event(gate.pass_through)
        gate.wait_for_arrival()
        worker = threads_of(dispatcher)
        dispatcher.forget_threads()
        assert dispatcher.thread_count == 0
        with lanes_of(dispatcher, 1) as (new,):
            assert did_serve(new)
        gate.open()
    assert dispatcher.join(timeout=BOUND)
    for thread in worker:
        thread.join(BOUND)


# On the thread of the caller.


def test_lanes_can_be_served_on_the_calling_thread_and_on_no_other() -> None:
    dispatcher = CallingThreadDispatcher()
    served: list[int] = []
    over = threading.Event()
    with lanes_of(dispatcher, 2) as lanes:
        for lane in lanes:
            for _ in range(3 * TURN):
                lane.put_event(lambda: served.append(threading.get_ident()))
        lanes[0].put_event(over.set)
        assert served == []
        dispatcher.serve_until(over.is_set)

    assert set(served) == {threading.get_ident()}
    assert len(served) == 6 * TURN
    assert dispatcher.join(timeout=0.0)
