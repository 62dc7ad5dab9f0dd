"""The process around a connection: its end without stop(), Ctrl-C, fork. Each is a real one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .servers import (
    LOCALHOST,
    PATIENCE,
    TEXT,
    Behaviour,
    Peer,
    free_port,
    raw_server,
    serve_nothing,
    wait_until,
)

needs_signals = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# A process that a shell has put into the background ignores SIGINT, and so do its children.
BEGIN = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import wsresilient
url = sys.argv[1]
def told(*what):
    # In one write: print makes two when unbuffered, and a child's may come between.
    os.write(1, " ".join(map(str, what)).encode() + b"\\n")
"""
# A process with threads that forks is warned of by Python 3.12; here it is what is tested.
BEGIN_FORK = (
    "import warnings; warnings.filterwarnings('ignore', message='.*fork', "
    "category=DeprecationWarning)\n" + BEGIN
)


class Script:
    """A running script that is given the server's URL."""

    def __init__(self, code: str, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        """Wait for the next line of standard output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.process.communicate(timeout=PATIENCE)[1]
        return line

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; returns exit code, the rest of the output, and the errors."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@contextlib.contextmanager
def script(code: str, url: str, *, begin: str = BEGIN) -> Iterator[Script]:
    running = Script(begin + code, url)
    try:
        yield running
    finally:
        running.process.kill()
        with contextlib.suppress(ValueError):  # end() has closed the pipes
            running.process.communicate()


class Closings:
    """A server that is good, and notes the close code of each client; None for an end of file."""

    def __init__(self) -> None:
        self.codes: list[int | None] = []

    def behave(self, peer: Peer) -> None:
        code: int | None = None
        try:
            code = peer.serve().code
        finally:
            self.codes.append(code)


# The end of a script.


def test_script_that_ends_without_stop_says_goodbye() -> None:
    closings = Closings()
    code = """
ws = wsresilient.connect(url)
ws.wait_until_connected(30)
told("done")
"""
    with raw_server(closings.behave) as server, script(code, server.url) as running:
        assert running.line() == "done"
        assert running.end() == (0, "", "")
        wait_until(lambda: closings.codes == [1000])


@pytest.mark.parametrize(
    "then", ["sys.exit(3)", "raise LookupError('mine')", "os._exit(3)"], ids=str
)
def test_exit_code_stays_what_it_was(then: str) -> None:
    code = f"ws = wsresilient.connect(url); ws.wait_until_connected(30)\ntold('done')\n{then}"
    with raw_server(serve_nothing) as server, script(code, server.url) as running:
        assert running.line() == "done"
        status, _, errors = running.end()
        assert status == (1 if "raise" in then else 3)
        assert errors.count("Traceback") == ("raise" in then)


def silent(peer: Peer) -> None:
    peer.accept()
    peer.ignore()


@pytest.mark.parametrize("behave", [silent, Peer.ignore], ids=["silent", "no handshake"])
def test_peer_that_is_silent_does_not_keep_the_process(behave: Behaviour) -> None:
    code = "ws = wsresilient.connect(url); ws.wait_until_connected(0.3); told('done')"
    with raw_server(behave, handshake=False) as server, script(code, server.url) as running:
        assert running.line() == "done"
        assert running.end() == (0, "", "")


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_blocked_handler_does_not_keep_the_process(dispatch: str) -> None:
    def behave(peer: Peer) -> None:
        peer.text("x")
        peer.serve()

    code = f"""
entered = threading.Event()
def block(message):
    entered.set()
    threading.Event().wait()
ws = wsresilient.connect(url, on_message=block, dispatch={dispatch!r}, slow_handler_after=60)
entered.wait(30)
told("done")
"""
    with raw_server(behave) as server, script(code, server.url) as running:
        assert running.line() == "done"
        assert running.end() == (0, "", "")


def test_wait_for_the_next_attempt_does_not_keep_the_process() -> None:
    code = """
policy = wsresilient.ReconnectPolicy(initial_delay=60)
failed = threading.Event()
ws = wsresilient.connect(url, reconnect=policy, on_error=lambda error: failed.set())
failed.wait(30)
told("done")
"""
    with script(code, f"ws://{LOCALHOST}:{free_port()}") as running:
        assert running.line() == "done"
        status, out, errors = running.end()
        assert (status, out) == (0, "")
        assert "Traceback" not in errors  # the retry's warning is there


def test_many_connections_end_side_by_side() -> None:
    code = """
every = [wsresilient.connect(url, name=f"n{n}", close_timeout=1.0) for n in range(20)]
all(ws.wait_until_connected(30) for ws in every)
told("done")
"""
    with raw_server(silent, handshake=False) as server, script(code, server.url) as running:
        assert running.line() == "done"
        assert running.end() == (0, "", "")


# Ctrl-C.


@needs_signals
def test_ctrl_c_ends_run_forever_without_a_traceback() -> None:
    closings = Closings()
    code = """
ws = wsresilient.ResilientWebSocket(url, on_open=lambda ws: told("open"))
ws.run_forever()
told(ws.state, ws.is_running, threading.active_count())
"""
    with raw_server(closings.behave) as server, script(code, server.url) as running:
        assert running.line() == "open"
        running.interrupt()
        assert running.end() == (0, "disconnected False 1\n", "")
        wait_until(lambda: closings.codes == [1000])


@needs_signals
def test_second_ctrl_c_does_not_wait_for_the_close_handshake() -> None:
    code = """
ws = wsresilient.ResilientWebSocket(url, on_open=lambda ws: told("open"), close_timeout=60.0)
ws.run_forever()
told("returned")
os._exit(0)
"""
    asked = threading.Event()

    def behave(peer: Peer) -> None:
        peer.read_until(8)
        asked.set()
        peer.ignore()

    with raw_server(behave) as server, script(code, server.url) as running:
        assert running.line() == "open"
        running.interrupt()
        assert asked.wait(PATIENCE)
        running.interrupt()
        assert running.end() == (0, "returned\n", "")


@needs_signals
@pytest.mark.parametrize(
    "wait",
    [
        "ws.join()",
        "ws.recv()",
        "ws.wait_until_connected()",
        "list(ws)",
        "ws.request('x', timeout=60, match=bool)",
    ],
)
def test_ctrl_c_is_heard_by_whatever_waits(wait: str) -> None:
    connected = "wait_until" not in wait
    code = f"""
ws = wsresilient.connect(url)
told(ws.wait_until_connected(10 if {connected} else 0.1))
try:
    told("waiting")
    {wait}
except KeyboardInterrupt:
    told("interrupted")
"""
    with (
        raw_server(serve_nothing if connected else Peer.ignore, handshake=connected) as server,
        script(code, server.url) as running,
    ):
        assert running.line() == str(connected)
        assert running.line() == "waiting"
        running.interrupt()
        assert running.line() == "interrupted"
        assert running.end() == (0, "", "")


# Fork.


@needs_fork
def test_child_owns_no_connection_and_leaves_the_parents_alone() -> None:
    def behave(peer: Peer) -> None:
        peer.read_until(TEXT)
        peer.text("still here")
        peer.serve()

    code = """
ws = wsresilient.connect(url)
ws.wait_until_connected(30)
child = os.fork()
if not child:
    told("child", ws.state, ws.is_connected, ws.is_running, threading.active_count())
    told("child", ws.stop(), ws.join())
    try:
        ws.send("from the child")
    except wsresilient.NotConnectedError:
        told("child refused")
    sys.exit(0)  # with all exit hooks
os.waitpid(child, 0)
ws.send("?")
told("parent", ws.state, ws.recv(10), ws.get_stats()["reconnect_count"])
"""
    with raw_server(behave) as server, script(code, server.url, begin=BEGIN_FORK) as running:
        status, out, errors = running.end()
        assert errors == ""
        assert status == 0
        assert out.splitlines() == [
            "child disconnected False False 1",
            "child True True",
            "child refused",
            "parent connected still here 0",
        ]
        assert server.count == 1


@needs_fork
def test_child_may_connect_for_itself() -> None:
    code = """
ws = wsresilient.connect(url, name="parents")
ws.wait_until_connected(30)
child = os.fork()
if not child:
    told(ws.start().wait_until_connected(30), ws.stop())
    with wsresilient.ResilientWebSocket(url, name="childs") as own:
        told(own.wait_until_connected(30))
    told(own.state, threading.active_count())
    sys.exit(0)
os.waitpid(child, 0)
told(ws.state)
"""
    with raw_server(serve_nothing) as server, script(code, server.url, begin=BEGIN_FORK) as running:
        assert running.end() == (0, "True True\nTrue\ndisconnected 1\nconnected\n", "")
        assert server.count == 3


@needs_fork
def test_server_sees_the_parents_end_though_the_child_lives() -> None:
    ends: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.wait_until_gone()
        ends.append(peer.number)

    code = """
ws = wsresilient.connect(url)
ws.wait_until_connected(30)
child = os.fork()
if not child:
    told("child")
    signal.pause()
told(child)
sys.stdin.read()
os._exit(0)
"""
    with raw_server(behave) as server, script(code, server.url, begin=BEGIN_FORK) as running:
        lines = sorted([running.line(), running.line()])
        child = int(lines[0])
        try:
            running.process.kill()
            running.process.wait(PATIENCE)
            wait_until(lambda: ends == [1])
        finally:
            os.kill(child, signal.SIGKILL)
