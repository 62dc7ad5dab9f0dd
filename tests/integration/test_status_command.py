"""``wsresilient status`` against a dashboard, and against what is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from wsresilient import Dashboard, Monitor, start_dashboard
from wsresilient.cli import main, status
from wsresilient.testing import wait_until

from .servers import LOCALHOST, PATIENCE, free_port

TOKEN = "correct-horse"
HEARS_CTRL_C = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from wsresilient.cli import main; sys.exit(main())"
)


@pytest.fixture
def monitor() -> Monitor:
    made = Monitor()
    made.record_message("feed", 3, 300)
    return made


@pytest.fixture
def dashboard(monitor: Monitor) -> Iterator[Dashboard]:
    with start_dashboard(port=0, monitor=monitor) as running:
        yield running


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer every request with the same bytes; gives the URL."""
    with socket.create_server((LOCALHOST, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock, contextlib.suppress(ConnectionError):
                        sock.recv(65536)
                        sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://{LOCALHOST}:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def http(status_line: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status_line}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


@pytest.mark.parametrize(
    ("states", "code", "said"),
    [
        ({}, 0, "Status: ok"),
        ({"feed": "reconnecting", "good": "connected"}, 1, "Status: warning"),
        ({"feed": "failed"}, 2, "Status: critical"),
    ],
)
def test_the_exit_code_is_the_return_code(
    dashboard: Dashboard,
    monitor: Monitor,
    capsys: pytest.CaptureFixture[str],
    states: dict[str, str],
    code: int,
    said: str,
) -> None:
    for name, state in states.items():
        monitor.record_state(name, state)

    assert main(["status", dashboard.url]) == code

    out, err = capsys.readouterr()
    assert said in out
    assert "feed" in out
    assert err == ""


def test_issues_and_causes_are_shown(
    dashboard: Dashboard, monitor: Monitor, capsys: pytest.CaptureFixture[str]
) -> None:
    monitor.record_state("feed", "failed")

    assert main(["status", dashboard.url]) == 2

    assert "lost connections" in capsys.readouterr().out


def test_as_json_it_is_the_summary(
    dashboard: Dashboard, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", dashboard.url, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["connections"]["feed"]["message_count"] == 3


def test_a_token_is_sent_and_never_shown(
    monitor: Monitor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_dashboard(port=0, token=TOKEN, monitor=monitor) as dashboard:
        assert main(["status", dashboard.url, "--token", TOKEN]) == 0
        assert main(["status", f"{dashboard.url}?token={TOKEN}"]) == 0
        assert main(["status", dashboard.url, "--token", "mistyped"]) == 3
        assert "HTTP 401: its token is needed" in capsys.readouterr().out
        monkeypatch.setenv(status.TOKEN_VARIABLE, TOKEN)
        assert main(["status", dashboard.url]) == 0
    assert main(["status", f"{dashboard.url}?token={TOKEN}"]) == 3
    assert TOKEN not in "".join(capsys.readouterr())


def test_nobody_there_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"{LOCALHOST}:{free_port()}"

    assert main(["status", url]) == 3
    out, err = capsys.readouterr()
    assert "Status: unknown" in out
    assert "ConnectionRefusedError" in out
    assert err == ""

    assert main(["status", url, "--json"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "unknown: no answer" in err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http("302 Found", b"", "Location: http://evil.example/"), "a redirect"),
        (http("200 OK", b"<html>"), "not with JSON"),
        (http("200 OK", b"[1]"), "not as a dashboard"),
        (http("200 OK", b'{"return_code": 7}'), "not as a dashboard"),
        (http("200 OK", b'{"return_code": 0}'), "not that of a dashboard"),
        (http("500 Oops"), "HTTP 500"),
        (b"SSH-2.0-OpenSSH\r\n", "no answer"),
        (http("200 OK", b" " * 5000), "larger than 4,096 bytes"),
    ],
)
def test_other_answers_are_unknown(
    answer: bytes,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "MAX_BODY", 4096)

    with answering(answer) as url:
        assert main(["status", url]) == 3

    assert said in capsys.readouterr().out


def test_a_server_that_says_nothing_is_unknown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "SILENCE", 0.1)
    with socket.create_server((LOCALHOST, 0)) as silent:
        assert main(["status", f"{LOCALHOST}:{silent.getsockname()[1]}"]) == 3

    assert "silent for 0.1 s" in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")
def test_watching_goes_on_over_an_outage_until_ctrl_c(
    dashboard: Dashboard, monitor: Monitor
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, "status", dashboard.url, "--watch", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(process.stdout,))
    reader.start()

    def shown(text: str, count: int) -> None:
        wait_until(lambda: sum(text in line for line in list(lines)) >= count, PATIENCE, text)

    try:
        shown("Status: ok", 2)
        dashboard.stop()
        shown("Status: unknown", 2)
        with start_dashboard(port=dashboard.port, monitor=monitor):
            monitor.record_state("feed", "failed")
            shown("Status: critical", 2)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 2
    finally:
        process.kill()
        reader.join(PATIENCE)
        errors = process.communicate()[1]
    assert errors == ""
    assert "\x1b" not in "".join(lines)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a thing of Linux")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_is_unknown(dashboard: Dashboard, options: list[str]) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "wsresilient", "status", dashboard.url, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "error: OSError: " in ended.stderr
