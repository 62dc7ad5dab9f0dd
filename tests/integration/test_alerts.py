"""Alerts to a real receiver of HTTP that is down, slow, broken or endless, beside a stream."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wsresilient import Monitor, ReconnectPolicy, Thresholds
from wsresilient.core.alerting import ISSUES, Alert, AlertRule
from wsresilient.observe.alerts import AlertManager
from wsresilient.observe.webhook import WebhookNotifier

from .clients import Session, running
from .servers import LOCALHOST, PATIENCE, Peer, free_port, raw_server, serve_nothing, wait_until

QUICK = ReconnectPolicy(initial_delay=0.02, max_delay=0.05, jitter=0.0)
TOKEN = "T0KEN-xyz-123"
TESTS = Path(__file__).parent.parent
ALERT = Alert("lost_connections", "feed", "firing", "Not connected for 31 s.", "Look.", at=0.0)


class Receiver:
    """An HTTP server that keeps what is posted; ``answer`` may do anything with a request."""

    def __init__(self, port: int = 0) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.tries = 0
        self.answer: Callable[[Any], object] = ok
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.tries += 1
                receiver.paths.append(self.path)
                self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with contextlib.suppress(OSError):  # the client may have left
                    receiver.answer(self)

            def log_message(self, *_arguments: object) -> None:
                """Stay quiet."""

            def taken(self) -> None:
                receiver.bodies.append(self.body)

        self._server = http.server.ThreadingHTTPServer((LOCALHOST, port), Handler)
        self._server.daemon_threads = False
        self.port = self._server.server_address[1]
        self.url = f"http://{LOCALHOST}:{self.port}/hooks/{TOKEN}?key={TOKEN}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(body["connection"], body["state"]) for body in self.bodies]

    def wait_for(self, *told: tuple[str, str]) -> None:
        wait_until(lambda: len(self.told) >= len(told), PATIENCE, f"{told}")
        assert self.told == list(told)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def ok(request: Any) -> None:
    request.taken()
    request.send_response(200)
    request.end_headers()


def status(number: int, body: bytes = b"", **headers: str) -> Callable[[Any], object]:
    def answer(request: Any) -> None:
        request.send_response(number)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def first(times: int, answer: Callable[[Any], object]) -> Callable[[Any], object]:
    """Answer so many requests in one way and then well."""
    left = iter(range(times))

    def either(request: Any) -> None:
        (ok if next(left, None) is None else answer)(request)

    return either


@contextlib.contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


class LostOnly:
    """Finds what is not connected, without the patience of the real diagnosis."""

    def __init__(self) -> None:
        self.monitor = Monitor()

    def diagnose_connection_issues(self) -> dict[str, list[dict[str, Any]]]:
        connections = self.monitor.get_summary()["connections"]
        return {
            "lost_connections": [
                {"connection": name, "detail": f"It is {stats['state']}.", "suggestion": "Look."}
                for name, stats in connections.items()
                if stats["state"] in ("connecting", "reconnecting", "failed")
            ]
        }

    def lose(self, name: str) -> None:
        self.monitor.record_state(name, "reconnecting")

    def find(self, name: str) -> None:
        self.monitor.record_state(name, "connected")


@contextlib.contextmanager
def numbered_stream() -> Iterator[Session]:
    """A stream of numbers, which must neither pause nor lose one to the end."""
    stop = threading.Event()

    def count(peer: Peer) -> None:
        number = 0
        while not stop.wait(0.002):
            peer.text(str(number))
            number += 1
        peer.serve()

    with raw_server(count) as server, running(server.url) as session:
        session.seen.wait_for_messages(5)
        yield session
        stop.set()
        assert session.seen.messages == [str(n) for n in range(len(session.seen.messages))]
        assert session.seen.errors == []
        assert session.ws.generation == 1


def goes_on(session: Session) -> None:
    """Wait for more of the stream."""
    session.seen.wait_for_messages(len(session.seen.messages) + 20)


@pytest.fixture
def lost() -> LostOnly:
    return LostOnly()


@contextlib.contextmanager
def alerting(lost: LostOnly, url: str, **settings: Any) -> Iterator[AlertManager]:
    webhook = WebhookNotifier(url, retry=QUICK, **settings)
    rules = [AlertRule("lost_connections", clear_seconds=0.0)]
    with AlertManager(rules, [webhook], lost, check_interval=0.01) as alerts:
        yield alerts
        assert alerts.stop(PATIENCE)


def test_a_receiver_that_is_down_is_told_later_once(lost: LostOnly) -> None:
    port = free_port()
    url = f"http://{LOCALHOST}:{port}/{TOKEN}"
    with numbered_stream() as stream, alerting(lost, url) as alerts:
        lost.lose("feed")
        wait_until(lambda: "1 waiting" in repr(alerts))
        goes_on(stream)
        lost.find("feed")
        wait_until(lambda: "2 waiting" in repr(alerts))
        with receiving(port) as receiver:
            receiver.wait_for(("feed", "firing"), ("feed", "resolved"))
            goes_on(stream)
            assert receiver.tries == 2


def test_a_receiver_that_is_slow_holds_up_no_stream_and_is_told_once(lost: LostOnly) -> None:
    gate = threading.Event()

    def slow(request: Any) -> None:
        gate.wait(PATIENCE)
        ok(request)

    with receiving() as receiver, numbered_stream() as stream, alerting(lost, receiver.url):
        receiver.answer = slow
        lost.lose("feed")
        wait_until(lambda: receiver.tries == 1)
        goes_on(stream)
        assert receiver.told == []
        gate.set()
        receiver.wait_for(("feed", "firing"))
        lost.find("feed")
        receiver.wait_for(("feed", "firing"), ("feed", "resolved"))
        assert receiver.tries == 2


def test_a_receiver_that_answers_500_is_told_later_once(lost: LostOnly) -> None:
    with receiving() as receiver, numbered_stream() as stream, alerting(lost, receiver.url):
        receiver.answer = first(3, status(500, b"oops"))
        lost.lose("feed")
        receiver.wait_for(("feed", "firing"))
        goes_on(stream)
        assert receiver.tries == 4


def test_a_receiver_that_never_answers_is_given_up_in_time_and_asked_again(lost: LostOnly) -> None:
    gate = threading.Event()
    with receiving() as receiver, alerting(lost, receiver.url, timeout=0.1):
        receiver.answer = first(1, lambda _: gate.wait(PATIENCE))
        lost.lose("feed")
        receiver.wait_for(("feed", "firing"))
        gate.set()
        assert receiver.tries == 2


def test_a_lost_stream_is_told_and_its_return() -> None:
    """With the real diagnosis and all rules."""
    monitor = Monitor(thresholds=Thresholds(lost_after=0.05, error_rate=None, gaps=None))
    port = free_port()
    url = f"ws://{LOCALHOST}:{port}"
    with (
        receiving() as receiver,
        raw_server(serve_nothing, port=port) as server,
        running(url, monitor=monitor, name="feed"),
        AlertManager(
            notifiers=[WebhookNotifier(receiver.url, retry=QUICK)],
            monitor=monitor,
            check_interval=0.01,
            rules=[AlertRule(issue, clear_seconds=0.0) for issue in ISSUES],
        ),
    ):
        server.close()
        receiver.wait_for(("feed", "firing"))
        with raw_server(serve_nothing, port=port):
            receiver.wait_for(("feed", "firing"), ("feed", "resolved"))

    firing, resolved = receiver.bodies
    assert firing["issue"] == "lost_connections"
    assert firing["threshold"] == 0.05
    assert firing["value"] > 0.05
    assert "refused" in firing["detail"]
    assert firing["suggestion"]
    assert resolved["since"] == firing["since"] <= firing["at"] <= resolved["at"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"format": "slack"}, {"text"}),
        ({"format": "telegram", "chat_id": 5}, {"chat_id", "text"}),
    ],
)
def test_presets_send_what_the_services_take(settings: dict[str, Any], expected: set[str]) -> None:
    with receiving() as receiver:
        assert WebhookNotifier(receiver.url, **settings).send(ALERT).delivered

    (body,) = receiver.bodies
    assert set(body) == expected
    assert "FIRING lost connections: feed\nNot connected for 31 s.\nTo do: Look." in body["text"]


def test_a_redirect_is_not_followed() -> None:
    with receiving() as target, receiving() as receiver:
        receiver.answer = status(307, Location=target.url)
        receipt = WebhookNotifier(receiver.url).send(ALERT)

    assert (receipt.delivered, receipt.may_retry) == (False, False)
    assert "redirects are not followed" in receipt.text
    assert target.tries == 0


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    def endless(request: Any) -> None:
        request.send_response(500)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 65_536)

    with receiving() as receiver:
        receiver.answer = endless
        receipt = WebhookNotifier(receiver.url).send(ALERT)

    assert receipt.text.startswith("HTTP 500: xxx")
    assert len(receipt.text) < 300


@pytest.mark.parametrize("drips_head", [True, False])
def test_a_receiver_that_drips_is_given_up_in_time(drips_head: bool) -> None:
    gate = threading.Event()

    def drip(request: Any) -> None:
        request.wfile.write(b"HTTP/1.1 500 No\r\n" + (b"" if drips_head else b"\r\n"))
        with contextlib.suppress(OSError):
            while not gate.wait(0.02):
                request.wfile.write(b"x")

    with receiving() as receiver:
        receiver.answer = drip
        receipt = WebhookNotifier(receiver.url, timeout=0.2).send(ALERT)
        gate.set()

    assert (receipt.delivered, receipt.may_retry) == (False, True)
    assert receipt.text.startswith("it took too long" if drips_head else "HTTP 500")


@pytest.mark.parametrize("answer", [ok, status(404, f"no such path: {TOKEN}".encode())])
def test_the_token_is_in_no_log(
    answer: Callable[[Any], object], caplog: pytest.LogCaptureFixture, lost: LostOnly
) -> None:
    caplog.set_level(logging.DEBUG)
    dead = f"http://{LOCALHOST}:{free_port()}/{TOKEN}"
    with receiving() as receiver, alerting(lost, receiver.url), alerting(lost, dead):
        receiver.answer = answer
        lost.lose("feed")
        wait_until(lambda: receiver.tries == 1 and "refused; again" in caplog.text)

    assert all(TOKEN in path for path in receiver.paths)
    assert TOKEN not in caplog.text


def test_urllib3_logs_for_others_as_before(caplog: pytest.LogCaptureFixture) -> None:
    import requests

    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    with receiving() as receiver:
        WebhookNotifier(receiver.url).send(ALERT)
        assert caplog.text == ""
        requests.post(receiver.url, json={}, timeout=PATIENCE)

    assert "POST /hooks/" in caplog.text


def test_a_process_that_ends_says_why_first(tmp_path: Path) -> None:
    # The tests' folder comes last, so that the library is the one that is installed.
    code = """
import sys, wsresilient
sys.path.append(sys.argv[2])
from wsresilient.observe.alerts import AlertManager
from tests.integration.test_alerts import LostOnly
lost = LostOnly()
ws = wsresilient.connect(sys.argv[1], monitor=lost.monitor, name="feed",
                         reconnect=wsresilient.ReconnectPolicy(max_attempts=0))
alerts = AlertManager(None, [lambda alert: print(alert.title, flush=True)], lost,
                      check_interval=3600.0).start()
ws.join()
"""
    url = f"ws://{LOCALHOST}:{free_port()}"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, url, str(TESTS.parent)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        cwd=tmp_path,
    )

    assert ended.stdout.splitlines() == ["FIRING lost connections: feed"]
