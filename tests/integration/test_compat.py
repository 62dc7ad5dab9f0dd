"""compat.WebSocketApp: scripts written against websocket-client run with one import changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.support import Running
from wsresilient import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
)
from wsresilient.compat import ABNF, WebSocketApp
from wsresilient.runtime.handlers import HandlerSet

from .apps import Recorder, run, sending
from .clients import library_threads
from .servers import (
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    free_port,
    raw_server,
    serve_nothing,
    wait_until,
)

# Callbacks.


def test_callbacks_are_called_with_the_app_in_order_on_the_calling_thread() -> None:
    seen = Recorder()
    with raw_server(sending("a", "b")) as server:
        app = WebSocketApp(server.url, **seen.all())
        assert app.run_forever() is False
        assert library_threads() == []
    assert seen.calls == [
        ("on_open",),
        ("on_message", "a"),
        ("on_message", "b"),
        ("on_close", 1000, "bye"),
    ]
    assert seen.apps == {app}
    assert seen.threads == {threading.current_thread().name}


def test_on_data_comes_before_on_message_with_the_opcode() -> None:
    def behave(peer: Peer) -> None:
        peer.text("text")
        peer.send(ABNF.OPCODE_BINARY, b"binary")
        peer.close(1000)

    seen = Recorder()
    with raw_server(behave) as server:
        app = WebSocketApp(server.url, on_message=seen("message"), on_data=seen("data"))
        run(app)
    assert seen.calls == [
        ("data", "text", 1, True),
        ("message", "text"),
        ("data", b"binary", 2, True),
        ("message", b"binary"),
    ]


def test_callbacks_may_be_assigned_late() -> None:
    seen = Recorder()

    def behave(peer: Peer) -> None:
        peer.text("1")
        peer.read_until(TEXT)
        sending("2")(peer)

    with raw_server(behave) as server:
        app = WebSocketApp(server.url)

        def first(ws: WebSocketApp, _message: object) -> None:
            ws.on_message = seen("later")
            ws.send("go on")

        app.on_message = first
        run(app)
    assert seen.calls == [("later", "2")]


def test_pings_and_pongs_are_told() -> None:
    def behave(peer: Peer) -> None:
        peer.send(PING, b"from the server")
        assert peer.read_until(PONG).payload == b"from the server"
        peer.send(PONG, peer.read_until(PING).payload)
        peer.close(1000)

    seen = Recorder()
    with raw_server(behave) as server:
        app = WebSocketApp(server.url, on_ping=seen("ping"), on_pong=seen("pong"))
        run(app, ping_interval=0.1, ping_timeout=0.09)
    assert seen.calls[0] == ("ping", b"from the server")
    assert "pong" in seen.names()


@pytest.mark.parametrize("callback", ["on_open", "on_message", "on_close", "on_error"])
def test_error_of_a_callback_ends_nothing_and_is_told(callback: str) -> None:
    seen = Recorder()

    def fail(_ws: object, *_args: object) -> None:
        raise LookupError(callback)

    with raw_server(sending("a", "b", code=1011)) as server:
        app = WebSocketApp(server.url, **{**seen.all(), callback: fail})
        assert run(app) is True
    told = [str(call[1]) for call in seen.calls if call[0] == "on_error"]
    if callback != "on_error":
        assert told.count(callback) == (2 if callback == "on_message" else 1)
    for other in ("on_open", "on_message", "on_close"):
        assert callback == other or other in seen.names()


@pytest.mark.parametrize(
    "callback", ["on_open", "on_data", "on_message", "on_ping", "on_pong", "on_close"]
)
def test_log_names_the_failing_callback_and_the_return_value_ignores_it(
    callback: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Recorder()

    def behave(peer: Peer) -> None:
        peer.send(PING, b"")
        peer.send(PONG, b"")
        sending("a")(peer)

    def fail_for_the_log(_ws: object, *_args: object) -> None:
        raise LookupError(callback)

    with raw_server(behave) as server:
        app = WebSocketApp(server.url, **{**seen.all(), callback: fail_for_the_log})
        assert run(app) is False
    assert app.has_errored is False
    assert [str(call[1]) for call in seen.calls if call[0] == "on_error"] == [callback]
    assert f"handler {fail_for_the_log.__qualname__} for " in caplog.text
    assert "WebSocketApp._" not in caplog.text


def test_error_in_on_data_does_not_cost_on_message_its_call() -> None:
    seen = Recorder()

    def fail(_ws: object, *_args: object) -> None:
        raise LookupError

    with raw_server(sending("a", "b")) as server:
        assert run(WebSocketApp(server.url, on_data=fail, **seen.all())) is False
    assert [call[1] for call in seen.calls if call[0] == "on_message"] == ["a", "b"]


# The end.


@pytest.mark.parametrize(
    ("code", "has_errored"), [(1000, False), (1001, False), (1011, True), (4000, True)]
)
def test_it_returns_at_a_close_and_tells_whether_that_was_an_error(
    code: int, has_errored: bool
) -> None:
    seen = Recorder()
    with raw_server(sending(code=code)) as server:
        app = WebSocketApp(server.url, **seen.all())
        assert run(app) is has_errored
        assert server.count == 1
    assert seen.calls[-1] == ("on_close", code, "bye")
    assert seen.names().count("on_error") == has_errored
    assert app.keep_running is False
    assert app.sock is None


def test_it_returns_when_there_is_no_server() -> None:
    seen = Recorder()
    app = WebSocketApp(f"ws://127.0.0.1:{free_port()}", **seen.all())
    assert run(app) is True
    assert app.has_errored is True
    assert seen.names() == ["on_error", "on_close"]
    assert isinstance(seen.calls[0][1], ConnectError)
    assert seen.calls[1] == ("on_close", None, None)
    assert len(seen.threads) == 1


def test_failed_on_close_without_a_connection_is_isolated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = Recorder()

    def fail(ws: WebSocketApp, code: object, reason: object) -> None:
        ws.close()
        raise LookupError((code, reason))

    app = WebSocketApp(f"ws://127.0.0.1:{free_port()}", on_close=fail, on_error=seen("on_error"))
    assert run(app) is True
    assert [type(call[1]) for call in seen.calls] == [ConnectError, LookupError]
    assert f"handler {fail.__qualname__} for 'close'" in caplog.text


def test_on_close_comes_once_when_all_retries_fail() -> None:
    seen = Recorder()

    def close_at_the_third(app: WebSocketApp, error: object) -> None:
        seen("on_error")(app, error)
        if len(seen.calls) == 3:
            app.close()

    callbacks: dict[str, Any] = {**seen.all(), "on_error": close_at_the_third}
    app = WebSocketApp(f"ws://127.0.0.1:{free_port()}", **callbacks)
    assert run(app, reconnect=0.01) is True
    assert seen.names().count("on_close") == 1
    assert seen.calls[-1] == ("on_close", None, None)


def test_it_returns_when_the_link_drops_without_a_code() -> None:
    seen = Recorder()
    with raw_server(lambda _: None) as server:
        assert run(WebSocketApp(server.url, **seen.all())) is True
    assert seen.names() == ["on_open", "on_error", "on_close"]
    assert seen.calls[-1] == ("on_close", None, None)


@pytest.mark.parametrize("way", ["close", "keep_running"])
@pytest.mark.parametrize("callback", ["on_open", "on_message", "on_close", "on_error"])
def test_close_from_inside_a_callback(callback: str, way: str) -> None:
    seen = Recorder()

    def behave(peer: Peer) -> None:
        peer.text("a", "b")
        if callback in ("on_close", "on_error"):
            peer.close(1011)
        peer.serve()

    def close(app: WebSocketApp, *args: object) -> None:
        seen(callback)(app, *args)
        if way == "close":
            app.close()
        else:
            app.keep_running = False

    with raw_server(behave) as server:
        app = WebSocketApp(server.url, **{**seen.all(), callback: close})
        run(app, reconnect=60)
        assert server.count == 1
    assert seen.names().count("on_close") == 1


@pytest.mark.parametrize("reconnect", [None, 1])
def test_close_from_another_thread(reconnect: int | None) -> None:
    seen = Recorder()
    with raw_server(serve_nothing) as server:
        app = WebSocketApp(server.url, **seen.all())
        running = Running(lambda: app.run_forever(reconnect=reconnect))
        wait_until(app.ready)
        assert app.keep_running is True
        assert app.sock is not None
        assert app.sock.connected is True
        app.close(status=1000, timeout=3)
        assert running.result() is False
    assert seen.calls == [("on_open",), ("on_close", 1000, None)]


def test_it_may_be_run_again() -> None:
    seen = Recorder()
    with raw_server(sending("x")) as server:
        app = WebSocketApp(server.url, **seen.all())
        for _ in range(3):
            assert run(app) is False
    assert seen.names() == ["on_open", "on_message", "on_close"] * 3


def test_it_runs_once_at_a_time() -> None:
    with raw_server(serve_nothing) as server:
        app = WebSocketApp(server.url)
        running = Running(app.run_forever)
        wait_until(app.ready)
        with pytest.raises(ConfigurationError, match="running already"):
            app.run_forever()
        app.close()
        running.result()


# Reconnect.


def test_reconnect_goes_on_until_close() -> None:
    seen = Recorder()

    def behave(peer: Peer) -> None:
        peer.text(str(peer.number))
        if peer.number == 3:
            peer.serve()

    def stop_at_three(app: WebSocketApp, message: str) -> None:
        seen("on_message")(app, message)
        if message == "3":
            app.close()

    with raw_server(behave) as server:
        callbacks: dict[str, Any] = {**seen.all(), "on_message": stop_at_three}
        app = WebSocketApp(server.url, on_reconnect=seen("on_reconnect"), **callbacks)
        run(app, reconnect=0.01)
    opens = [name for name in seen.names() if name in ("on_open", "on_reconnect")]
    assert opens == ["on_open", "on_reconnect", "on_reconnect"]
    assert [call[1] for call in seen.calls if call[0] == "on_message"] == ["1", "2", "3"]
    assert seen.names().count("on_close") == 3
    assert len(seen.threads) == 1


def test_reconnect_ends_when_trying_again_cannot_help() -> None:
    seen = Recorder()
    with raw_server(lambda peer: peer.refuse("401 No"), handshake=False) as server:
        assert run(WebSocketApp(server.url, **seen.all()), reconnect=0.01) is True
        assert server.count == 1
    assert seen.names() == ["on_error", "on_close"]
    assert isinstance(seen.calls[0][1], AuthenticationError)


# Ctrl-C.


@pytest.mark.parametrize("place", ["_enter", "_leave"])
def test_ctrl_c_between_callbacks_is_no_error_of_theirs(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, seen, interrupted = getattr(HandlerSet, place), Recorder(), list[bool]()

    def interrupt(*args: Any) -> Any:
        if seen.calls and not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGINT)
        return usual(*args)

    def behave(peer: Peer) -> None:
        peer.text("a")
        peer.serve()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(HandlerSet, place, interrupt)
    try:
        with raw_server(behave) as server:
            assert WebSocketApp(server.url, **seen.all()).run_forever(reconnect=5) is False
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted == [True]
    assert seen.names()[0] == "on_open"
    assert seen.names()[-1] == "on_close"
    assert "on_error" not in seen.names()
    assert library_threads() == []


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")
@pytest.mark.parametrize("place", ["waiting", "in a callback"])
def test_ctrl_c_closes_and_returns(place: str) -> None:
    code = f"""
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from wsresilient.compat import WebSocketApp
def opened(ws):
    print("open", flush=True)
    if {place == "in a callback"}:
        threading.Event().wait(60)
app = WebSocketApp(
    sys.argv[1],
    on_open=opened,
    on_error=lambda ws, error: print(type(error).__name__),
    on_close=lambda ws, code, reason: print("close", code),
)
app.run_forever(reconnect=5)
print("returned")
"""
    with raw_server(serve_nothing) as server:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline() == "open\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        assert process.returncode == 0
        assert out.endswith("close 1000\nreturned\n")
        assert "KeyboardInterrupt" not in err
