"""The page over real sockets: good and bad requests, slow clients, tokens, and its end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.support import eventually
from wsresilient import ConfigurationError, Dashboard, Monitor, start_dashboard
from wsresilient.observe.dashboard import client as client_module
from wsresilient.observe.dashboard import server as server_module

from .clients import running
from .servers import LOCALHOST, PATIENCE, good_server

TOKEN = "correct-horse"


@pytest.fixture
def monitor() -> Monitor:
    made = Monitor()
    made.record_message("feed", 3, 300)
    return made


@pytest.fixture
def dashboard(monitor: Monitor) -> Iterator[Dashboard]:
    with start_dashboard(port=0, monitor=monitor) as running_one:
        yield running_one


@contextlib.contextmanager
def dialled(dashboard: Dashboard) -> Iterator[socket.socket]:
    with socket.create_connection((LOCALHOST, dashboard.port), PATIENCE) as sock:
        yield sock


def read_all(sock: socket.socket) -> bytes:
    """Read to the end; a reset is an end."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def exchange(dashboard: Dashboard, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; returns status, headers (lower case) and body."""
    with dialled(dashboard) as sock:
        with contextlib.suppress(ConnectionError):  # it may have refused what it has read so far
            sock.sendall(data)
        answer = read_all(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(status.split(" ")[1]), {key.lower(): headers[key] for key in headers}, body


def get(
    dashboard: Dashboard, target: str, *headers: str, method: str = "GET", host: str = "localhost"
) -> tuple[int, dict[str, str], bytes]:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    return exchange(dashboard, "\r\n".join(lines).encode())


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "wsr-dashboard"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/static/dashboard.js", "text/javascript"),
        ("/summary", "application/json"),
        ("/history", "application/json"),
        ("/metrics", "text/plain"),
        ("/healthz", "application/json"),
    ],
)
def test_every_path_answers_get_and_head(dashboard: Dashboard, path: str, kind: str) -> None:
    status, headers, body = get(dashboard, path)
    assert status == 200
    assert headers["content-type"].startswith(kind)
    assert int(headers["content-length"]) == len(body) > 0
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]

    status, headers, body = get(dashboard, path, method="HEAD")
    assert status == 200
    assert int(headers["content-length"]) > 0
    assert body == b""


def test_what_is_told_is_of_now(dashboard: Dashboard, monitor: Monitor) -> None:
    assert json.loads(get(dashboard, "/summary")[2])["status"] == "ok"
    monitor.record_state("feed", "failed")

    assert eventually(lambda: get(dashboard, "/healthz")[0] == 503)
    assert eventually(lambda: json.loads(get(dashboard, "/summary")[2])["return_code"] == 2)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b", 405),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
        (b"GET /" + b"x" * 100_000, 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n", 431),
    ],
)
def test_bad_requests_get_their_status(dashboard: Dashboard, data: bytes, status: int) -> None:
    told, headers, body = exchange(dashboard, data)

    assert told == status
    assert body.startswith(str(status).encode())
    assert headers["cache-control"] == "no-store"
    assert get(dashboard, "/healthz")[0] == 200


# Tokens and addresses.


def test_other_machines_need_a_token(monitor: Monitor) -> None:
    with pytest.raises(ConfigurationError, match=r"'0\.0\.0\.0', which other machines can reach"):
        start_dashboard("0.0.0.0", 0, monitor=monitor)

    with start_dashboard("0.0.0.0", 0, token=TOKEN, monitor=monitor) as dashboard:
        assert dashboard.url == f"http://127.0.0.1:{dashboard.port}/"
        assert get(dashboard, "/healthz")[0] == 401
        for target, header in (("/summary?token=" + TOKEN, "X: y"), ("/summary", bearer())):
            assert get(dashboard, target, header)[0] == 200
            assert get(dashboard, target, header, host="192.0.2.7:80")[0] == 200
            assert get(dashboard, target, header, host="evil.example")[0] == 403
        assert TOKEN not in repr(dashboard) + dashboard.url


def bearer() -> str:
    return f"Authorization: Bearer {TOKEN}"


def test_a_browser_gets_a_cookie_for_the_token(monitor: Monitor) -> None:
    with start_dashboard(port=0, token=TOKEN, monitor=monitor) as dashboard:
        status, headers, _ = get(dashboard, f"/?token={TOKEN}")
        assert (status, headers["location"]) == (303, "./")
        cookie = headers["set-cookie"].partition(";")[0]

        assert get(dashboard, "/", f"Cookie: {cookie}")[0] == 200
        assert get(dashboard, "/metrics", f"Cookie: {cookie}")[0] == 200
        assert get(dashboard, "/", f"Cookie: {cookie}x")[0] == 401


def test_a_name_of_a_reverse_proxy_can_be_allowed(monitor: Monitor) -> None:
    with start_dashboard(port=0, monitor=monitor, allowed_hosts=["Dash.example."]) as dashboard:
        assert get(dashboard, "/", host="dash.example")[0] == 200
        assert get(dashboard, "/", host="other.example")[0] == 403


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"host": ""}, "host is ''"),
        ({"host": None}, "host is None"),
        ({"host": "192.0.2.1", "token": TOKEN}, "cannot listen on '192.0.2.1'"),
        ({"host": "no such host"}, "cannot listen on 'no such host'"),
        ({"port": -1}, "port is -1"),
        ({"port": 65536}, "port is 65536"),
        ({"port": "8765"}, "port is '8765'"),
        ({"token": ""}, "token is not usable"),
        ({"token": "with space"}, "token is not usable"),
        ({"token": 5}, "token is not usable"),
        ({"monitor": object()}, "monitor is <object"),
        ({"allowed_hosts": [""]}, "allowed_hosts is"),
        ({"allowed_hosts": 5}, "allowed_hosts is [5]"),
        ({"allowed_hosts": "dash.example.com:443"}, "without scheme, port and path"),
        ({"allowed_hosts": ["https://x/"]}, "without scheme, port and path"),
    ],
)
def test_wrong_arguments_are_told(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        start_dashboard(**{"port": 0, **arguments})  # type: ignore[arg-type]

    assert said in str(caught.value)
    assert "with space" not in str(caught.value)


def test_a_port_that_is_taken_is_told(dashboard: Dashboard) -> None:
    with pytest.raises(ConfigurationError, match=f"port {dashboard.port}: .*in use"):
        start_dashboard(port=dashboard.port)


# Slow clients, and many.


def test_a_slow_request_ends_by_its_deadline(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REQUEST_TIMEOUT", 0.2)
    with start_dashboard(port=0, monitor=monitor) as dashboard, dialled(dashboard) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: loc")

        assert read_all(sock).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_who_does_not_take_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 30_000_000  # more than all buffers of the system hold

    class Endless(Monitor):
        def get_summary(self) -> dict[str, object]:
            return {"filler": "x" * size}

    monkeypatch.setattr(client_module, "ANSWER_TIMEOUT", 0.2)
    with start_dashboard(port=0, monitor=Endless()) as dashboard, dialled(dashboard) as sock:
        sock.sendall(b"GET /summary HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(8) == b"HTTP/1.1"
        assert eventually(lambda: not dashboard._server._clients)

        assert len(read_all(sock)) < size


def test_two_hundred_slow_clients_hold_nobody_up(dashboard: Dashboard, monitor: Monitor) -> None:
    with (
        good_server() as server,
        running(server.url, monitor=monitor, name="stream") as session,
        contextlib.ExitStack() as stack,
    ):
        slow = [stack.enter_context(dialled(dashboard)) for _ in range(200)]
        for sock in slow:
            with contextlib.suppress(ConnectionError):  # it has made room for others
                sock.sendall(b"GET /summary HTTP/1.1\r\nHo")

        assert get(dashboard, "/healthz")[0] == 200
        assert len(threads()) == 1
        assert eventually(lambda: len(dashboard._server._clients) <= server_module.MAX_CLIENTS)

        session.ws.send("still here")
        session.seen.wait_for_messages(1)
        assert session.seen.errors == []

        turned_away = read_all(slow[0])
        assert turned_away.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"Retry-After: 1\r\n" in turned_away


def test_many_quick_clients_are_all_served(dashboard: Dashboard) -> None:
    answers: list[int] = []

    def look() -> None:
        answers.extend(get(dashboard, "/summary")[0] for _ in range(20))

    workers = [threading.Thread(target=look) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(PATIENCE)

    assert answers == [200] * 160


def test_without_descriptors_it_waits_and_goes_on(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ACCEPT_PAUSE", 0.05)
    refusals = [OSError(errno.EMFILE, "Too many open files")] * 3
    accept = socket.socket.accept

    def refuse_at_first(listener: socket.socket) -> tuple[socket.socket, object]:
        if refusals:
            raise refusals.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", refuse_at_first)

    assert get(dashboard, "/healthz")[0] == 200
    assert refusals == []


# Its end.


def test_stop_is_quick_cuts_off_clients_and_may_come_twice(monitor: Monitor) -> None:
    dashboard = start_dashboard(port=0, monitor=monitor)
    with dialled(dashboard) as idle, dialled(dashboard) as half:
        half.sendall(b"GET / HT")
        assert eventually(lambda: len(dashboard._server._clients) == 2)

        assert dashboard.stop()
        assert dashboard.stop()

        assert not dashboard.is_running
        assert threads() == []
        assert read_all(idle) == read_all(half) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOCALHOST, dashboard.port), 1.0)
    assert "stopped" in repr(dashboard)


def test_the_port_can_be_had_again_at_once(dashboard: Dashboard, monitor: Monitor) -> None:
    assert get(dashboard, "/healthz")[0] == 200
    dashboard.stop()

    with start_dashboard(port=dashboard.port, monitor=monitor) as again:
        assert get(again, "/healthz")[0] == 200


def test_two_run_side_by_side(dashboard: Dashboard) -> None:
    other = Monitor()
    with start_dashboard(port=0, monitor=other) as second:
        assert json.loads(get(second, "/summary")[2])["total_connections"] == 0
        assert json.loads(get(dashboard, "/summary")[2])["total_connections"] == 1


def test_stop_is_bounded_while_an_answer_is_being_made() -> None:
    gate = threading.Event()
    entered = threading.Event()

    class Stuck(Monitor):
        def get_summary(self) -> dict[str, object]:
            entered.set()
            gate.wait(PATIENCE)
            return super().get_summary()

    dashboard = start_dashboard(port=0, monitor=Stuck())
    with dialled(dashboard) as sock:
        sock.sendall(b"GET /summary HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert entered.wait(PATIENCE)

        assert not dashboard.stop(timeout=0.05)

        gate.set()
        assert dashboard.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_does_not_keep_the_port() -> None:
    code = """
import os, sys, warnings
warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
import wsresilient
dashboard = wsresilient.start_dashboard(port=0)
parent, told = os.pipe()
child = os.fork()
if not child:
    os.write(told, b"1" if not dashboard.is_running and dashboard.stop() else b"0")
    sys.stdin.read()
    os._exit(0)
assert os.read(parent, 1) == b"1"
print("parent", dashboard.is_running, dashboard.stop(), flush=True)
try:
    wsresilient.start_dashboard(port=dashboard.port).stop()
    print("again", flush=True)
finally:
    os.kill(child, 9)
    os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {"parent True True", "again"} <= set(done.stdout.splitlines())
