"""stop() from inside handlers and callables, from several threads, twice; and start() after it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from wsresilient import ResilientWebSocket

from .clients import Seen, library_threads, quick, running, started, stop_in_time
from .servers import (
    LOCALHOST,
    PATIENCE,
    TEXT,
    Peer,
    free_port,
    raw_server,
    serve_nothing,
    wait_until,
)

EVENTS = ["message", "open", "state", "error", "close", "gap"]


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
@pytest.mark.parametrize("event", EVENTS)
def test_from_inside_a_handler(event: str, dispatch: str) -> None:
    returned = threading.Event()
    seen = Seen()

    def behave(peer: Peer) -> None:
        peer.text("a", "b", "c")
        if peer.number > 1:
            peer.serve()

    with raw_server(behave) as server:
        ws = quick(server.url, dispatch=dispatch, **seen.handlers())

        def stop(*_args: object) -> None:
            before = time.monotonic()
            ws.stop(timeout=PATIENCE)
            assert time.monotonic() - before < PATIENCE / 2
            returned.set()

        ws.on(event, stop)
        ws.start()
        assert returned.wait(PATIENCE)
        assert ws.join(PATIENCE)
        stop_in_time(ws)
        assert ws.get_stats()["callback_errors"] == 0
        assert len(seen.opens) == len(seen.closes)


@pytest.mark.parametrize("argument", ["url", "headers", "classify"])
def test_from_inside_a_callable_argument(argument: str) -> None:
    with raw_server(lambda peer: None) as server:
        holder: list[ResilientWebSocket] = []

        def stop(*given: object) -> object:
            holder[0].stop(timeout=30.0)
            return {"url": server.url, "headers": {}, "classify": given and given[0]}[argument]

        arguments: dict[str, object] = {"url": server.url, argument: stop}
        holder.append(quick(**arguments))
        holder[0].start()
        assert holder[0].join(PATIENCE)
        stop_in_time(holder[0])


@pytest.mark.parametrize("kind", ["message", "data"])
@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_from_inside_a_message_handler_delivers_no_other_message(dispatch: str, kind: str) -> None:
    got: list[object] = []

    def behave(peer: Peer) -> None:
        peer.text(*map(str, range(100)))
        peer.serve()

    with raw_server(behave) as server:
        ws = quick(server.url, dispatch=dispatch, decoder=int)

        @ws.on(kind)  # type: ignore[untyped-decorator]
        def stop(message: object) -> None:
            got.append(message)
            ws.stop()

        ws.start()
        assert ws.join(PATIENCE)
        stop_in_time(ws)
    assert len(got) == 1


def test_twice_and_before_the_start_and_of_a_failed_one() -> None:
    ws = quick(f"ws://{LOCALHOST}:{free_port()}", classify=lambda f: f.replace(retryable=False))
    assert ws.stop()
    ws.start()
    assert ws.join(PATIENCE)
    assert ws.state == "failed"
    stop_in_time(ws)
    stop_in_time(ws)


def test_from_eight_threads_at_once() -> None:
    answers: list[bool] = []
    with raw_server(serve_nothing) as server, started(server.url) as (ws, seen):
        assert ws.wait_until_connected(PATIENCE)
        ready = threading.Barrier(8)

        def stop() -> None:
            ready.wait()
            answers.append(ws.stop())

        stoppers = [threading.Thread(target=stop) for _ in range(8)]
        for thread in stoppers:
            thread.start()
        for thread in stoppers:
            thread.join(PATIENCE)
        assert answers == [True] * 8
        assert library_threads() == []
        assert len(seen.closes) == 1


@pytest.mark.parametrize("wait", ["recv", "join", "wait_until_connected", "iterate", "request"])
def test_ends_whatever_waits(wait: str) -> None:
    with raw_server(Peer.ignore, handshake=wait != "wait_until_connected") as server:
        ws = quick(server.url).start()
        if wait != "wait_until_connected":
            assert ws.wait_until_connected(PATIENCE)
        calls: dict[str, Callable[[], object]] = {
            "recv": ws.recv,
            "join": ws.join,
            "wait_until_connected": ws.wait_until_connected,
            "iterate": lambda: list(ws),
            "request": lambda: ws.request("x", timeout=60.0, match=bool),
        }
        entered, left = threading.Event(), threading.Event()

        def call() -> None:
            entered.set()
            with contextlib.suppress(ConnectionError):
                calls[wait]()
            left.set()

        waiter = threading.Thread(target=call)
        waiter.start()
        assert entered.wait(PATIENCE)
        stop_in_time(ws)
        assert left.wait(PATIENCE)
        waiter.join()


def test_start_works_again_after_stop() -> None:
    with raw_server(serve_nothing) as server, started(server.url) as (ws, seen):
        for count in range(1, 4):
            ws.start()
            assert ws.wait_until_connected(PATIENCE)
            assert ws.start() is ws
            stop_in_time(ws)
            assert server.count == count
        assert len(seen.opens) == len(seen.closes) == 3


def test_no_worker_is_left_after_both_have_worked() -> None:
    """Two workers at least, both idle in the end, must both hear that there is nothing left."""

    def behave(peer: Peer) -> None:
        peer.text("x")
        peer.serve()

    with raw_server(behave) as server:
        for _ in range(10):
            everybody = threading.Barrier(2)

            def meet(_message: object, meeting: threading.Barrier = everybody) -> None:
                meeting.wait(PATIENCE)

            pair = [quick(server.url, on_message=meet).start() for _ in range(2)]
            wait_until(lambda: all(ws.get_stats()["message_count"] for ws in pair))  # noqa: B023
            wait_until(lambda: not any(ws.get_stats()["queue_depth"] for ws in pair))  # noqa: B023
            assert all(ws.stop() for ws in pair)
            assert library_threads() == []


def test_leaves_a_connection_beside_it_alone() -> None:
    def behave(peer: Peer) -> None:
        peer.read_until(TEXT)
        peer.text("answer")
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (other, seen):
        with started(server.url) as (ws, _):
            assert ws.wait_until_connected(PATIENCE)
            assert ws.stop()
        other.send("still there?")
        assert seen.wait_for_messages(1) == ["answer"]


def test_server_sees_the_end_of_tcp() -> None:
    ended = threading.Event()

    def behave(peer: Peer) -> None:
        peer.serve()
        peer.wait_until_gone()
        ended.set()

    with raw_server(behave) as server, started(server.url) as (ws, _):
        assert ws.wait_until_connected(PATIENCE)
        stop_in_time(ws)
        assert ended.wait(PATIENCE)
