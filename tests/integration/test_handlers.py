"""Handlers: isolated, in order, counted; what one does is nothing to the stream or to others."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from wsresilient import ConfigurationError, Dispatcher, Message

from .clients import quick, running
from .servers import PATIENCE, TEXT, Behaviour, Peer, raw_server, serve_nothing, wait_until

DISPATCH = pytest.mark.parametrize("dispatch", ["thread", "inline"])


def sending(*texts: str) -> Behaviour:
    """Make a server that sends these texts, in one piece, and then is silent."""

    def behave(peer: Peer) -> None:
        peer.text(*texts)
        peer.serve()

    return behave


class Worse(BaseException):
    pass


@DISPATCH
@pytest.mark.parametrize("error", [ValueError, Worse, KeyboardInterrupt, SystemExit])
def test_handler_that_always_raises_still_gets_every_message(
    error: type[BaseException], dispatch: str, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[str] = []

    def handle(message: str) -> None:
        got.append(message)
        raise error("no " + message)

    texts = [str(n) for n in range(50)]
    with (
        raw_server(sending(*texts)) as server,
        running(server.url, on_message=handle, dispatch=dispatch) as (ws, seen),
    ):
        wait_until(lambda: len(seen.errors) == 50)
        assert got == texts
        stats = ws.get_stats()
        assert stats["callback_errors"] == 50
        assert stats["error_count"] == stats["reconnect_count"] == 0
        assert ws.is_connected
        assert "no 7" in str(seen.errors[7])
        assert 0 < caplog.text.count("Traceback (most recent call last)") <= 5
        assert "in handle" in caplog.text


@DISPATCH
@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_decoder_that_raises_costs_one_message_only(
    error: type[BaseException], dispatch: str
) -> None:
    def decode(payload: str | bytes) -> int:
        if payload == "x":
            raise error("not a number")
        return int(payload)

    got: list[int] = []
    with raw_server(sending("1", "x", "2")) as server:
        settings: dict[str, Any] = {"decoder": decode, "dispatch": dispatch, "on_message": None}
        with running(server.url, on_data=lambda m: got.append(m.data), **settings) as (ws, seen):
            wait_until(lambda: got == [1, 2])
            assert ws.get_stats()["callback_errors"] == 1
            assert len(seen.errors) == 1


def test_data_handler_gets_decoded_messages_that_say_where_they_came_from() -> None:
    got: list[Message] = []
    with (
        raw_server(sending("7")) as server,
        running(server.url, decoder=int, on_data=got.append) as (ws, _),
    ):
        wait_until(lambda: bool(got))
        message = got[0]
        assert (message.data, message.raw, message.connection) == (7, 7, "test")
        assert (message.generation, message.source) == (ws.generation, "websocket")
        assert message.received_at > 1e9


@pytest.mark.parametrize("event", ["open", "close", "state", "gap", "error"])
def test_any_callback_may_raise(event: str) -> None:
    def behave(peer: Peer) -> None:
        peer.text("x")
        if peer.number > 1:
            peer.serve()

    with raw_server(behave) as server, running(server.url, connected=False) as (ws, seen):

        @ws.on(event)  # type: ignore[untyped-decorator]
        def fail(*_args: object) -> None:
            raise Worse(event)

        seen.wait_for_messages(2)
        wait_until(lambda: ws.get_stats()["callback_errors"] >= 1)
        assert ws.is_connected

        def told() -> int:
            return sum("Worse" in str(error) for error in seen.errors)

        if event == "error":  # counted and logged, but not told to on_error again
            assert told() == 0
        else:
            wait_until(lambda: told() == ws.get_stats()["callback_errors"])


def test_blocked_handler_holds_up_its_own_connection_only() -> None:
    go_on, entered = threading.Event(), threading.Event()

    def block(_message: object) -> None:
        entered.set()
        go_on.wait(PATIENCE)

    def behave(peer: Peer) -> None:
        for _ in range(20):
            peer.read_until(TEXT)
            peer.text("answer")
        peer.serve()

    with (
        raw_server(sending("x", "y")) as slow,
        raw_server(behave) as fast,
        running(slow.url, on_message=block),
        running(slow.url, on_message=block),
        running(slow.url, on_message=block),
        running(fast.url) as (ws, seen),
    ):
        assert entered.wait(PATIENCE)
        for count in range(20):
            ws.send("question")
            seen.wait_for_messages(count + 1)
        go_on.set()


def test_slow_handler_is_reported_with_where_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    def dawdle(_message: object) -> None:
        go_on.wait(PATIENCE)

    with (
        raw_server(sending("x")) as server,
        running(server.url, on_message=dawdle, slow_handler_after=0.1),
    ):
        wait_until(lambda: "slow handler" in caplog.text)
        go_on.set()
    reports = [line for line in caplog.messages if "slow handler" in line]
    assert len(reports) == 1
    assert "dawdle" in reports[0]
    assert f"{__file__}:{dawdle.__code__.co_firstlineno + 1}" in reports[0]


def test_many_quick_calls_are_no_slow_handler(caplog: pytest.LogCaptureFixture) -> None:
    pause = threading.Event()
    texts = [str(n) for n in range(40)]
    with (
        raw_server(sending(*texts)) as server,
        running(server.url, on_message=lambda _: pause.wait(0.01), slow_handler_after=0.2) as (
            ws,
            _,
        ),
    ):
        wait_until(lambda: ws.get_stats()["message_count"] == 40)
        wait_until(lambda: ws.get_stats()["queue_depth"] == 0)
    assert "slow handler" not in caplog.text


def test_handler_added_later_gets_what_waited() -> None:
    got: list[object] = []

    def behave(peer: Peer) -> None:
        peer.text("early")
        peer.read_until(TEXT)
        peer.text("late")
        peer.serve()

    with raw_server(behave) as server, running(server.url, on_message=None) as (ws, _):
        wait_until(lambda: ws.get_stats()["message_count"] == 1)
        ws.on("message", got.append)
        ws.send("go on")
        wait_until(lambda: got == ["early", "late"])


def test_several_handlers_of_one_event_are_all_called_each_isolated() -> None:
    got: list[tuple[str, object]] = []
    with raw_server(sending("x", "y")) as server:
        ws = quick(server.url)

        @ws.on("message")  # type: ignore[untyped-decorator]
        def first(message: object) -> None:
            got.append(("first", message))
            raise ValueError

        @ws.on("message")  # type: ignore[untyped-decorator]
        def second(message: object) -> None:
            got.append(("second", message))

        with ws:
            wait_until(lambda: len(got) == 4)
        assert got == [("first", "x"), ("second", "x"), ("first", "y"), ("second", "y")]
        assert ws.get_stats()["callback_errors"] == 2


def test_inline_handlers_run_on_the_connections_thread() -> None:
    names: set[str] = set()

    def note(*_args: object) -> None:
        names.add(threading.current_thread().name)

    with (
        raw_server(sending("x")) as server,
        running(server.url, dispatch="inline", on_message=note, on_open=note),
    ):
        wait_until(lambda: bool(names))
    assert names == {"wsr-test"}


def test_handlers_run_one_at_a_time_on_the_dispatchers_threads() -> None:
    names: set[str] = set()
    inside, most = 0, 0
    pause = threading.Event()

    def note(*_args: object) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        names.add(threading.current_thread().name.rpartition("-")[0])
        pause.wait(0.01)
        inside -= 1

    def behave(peer: Peer) -> None:
        for number in range(20):
            peer.text(str(number))
        peer.serve()

    with (
        raw_server(behave) as server,
        running(server.url, on_message=note, on_open=note, on_state_change=note) as (ws, _),
    ):
        wait_until(lambda: ws.get_stats()["message_count"] == 20)
        wait_until(lambda: ws.get_stats()["queue_depth"] == 0)
    assert names == {"wsr-dispatch"}
    assert most == 1


def test_dispatcher_of_ones_own_is_used_and_ends() -> None:
    names: list[str] = []
    own = Dispatcher(workers=1, name="mine")
    with (
        raw_server(sending("x")) as server,
        running(
            server.url,
            dispatcher=own,
            on_message=lambda _: names.append(threading.current_thread().name),
        ),
    ):
        wait_until(lambda: bool(names))
    assert names == ["mine-1"]
    assert own.thread_count == 0


def test_stats_are_given_and_logged_at_their_interval(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="wsresilient")
    given: list[dict[str, object]] = []
    with (
        raw_server(serve_nothing) as server,
        running(server.url, stats_interval=0.1, on_stats=given.append),
    ):
        wait_until(lambda: len(given) >= 2)
    assert given[0]["name"] == "test"
    assert any("status: connected" in line for line in caplog.messages)


def test_unknown_event_is_refused() -> None:
    ws = quick("ws://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="message"):
        ws.on("mesage")
    with pytest.raises(ConfigurationError, match="decoder"):
        ws.on("data", print)
