"""The command as a process: what it prints where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import requests

from wsresilient.testing import FakeExchange, FaultProxy, wait_until

PATIENCE = 30.0
MODULE = ("-m", "wsresilient")
#: A process that a shell has put into the background ignores SIGINT, and so do its children.
HEARS_CTRL_C = (
    "-c",
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from wsresilient.cli import main; sys.exit(main())",
)
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance") as running:
        yield running


class Command:
    """A running command whose output is collected, so that it is never held up.

    :param arguments: of the command.
    :param start: how Python gets there.
    """

    def __init__(self, *arguments: str, start: tuple[str, ...] = MODULE) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *start, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        )
        self.out: list[str] = []
        self.err: list[str] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for lines, stream in (
                (self.out, self._process.stdout),
                (self.err, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self.wait()

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return "".join(self.err)

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        return code

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)


def run(*arguments: str, start: tuple[str, ...] = MODULE) -> tuple[int, list[str], str]:
    """Run a command to its end: exit code, lines of standard output, standard error."""
    with Command(*arguments, start=start) as command:
        return command.wait(), command.out, command.errors


# listen


def test_listen_prints_as_many_messages_as_asked_for(exchange: FakeExchange) -> None:
    code, out, err = run("listen", exchange.url_for("btcusdt@trade"), "--count", "5")

    assert code == 0, err
    assert [json.loads(line)["data"]["s"] for line in out] == ["BTCUSDT"] * 5
    assert "connected to ws://127.0.0.1" in err
    assert "CONNECTION " in err


def test_listen_quietly_says_nothing_but_messages(exchange: FakeExchange) -> None:
    code, out, err = run("listen", exchange.echo_url, "--send", "hi", "--count", "1", "-q")

    assert (code, out, err) == (0, ["hi\n"], "")


def test_listen_sends_after_every_connect(exchange: FakeExchange) -> None:
    with Command(
        "listen", exchange.echo_url, "--send", "one", "--send", "two\n3",
        "--initial-delay", "0.05", "--count", "4",
    ) as command:  # fmt: skip
        wait_until(lambda: len(command.out) == 2, PATIENCE)
        exchange.abort_all()
        assert command.wait() == 0
    assert command.out == ["one\n", "two 3\n"] * 2
    assert "WARNING" in command.errors
    assert "connected after 1 retry" in command.errors


def test_listen_shakes_hands_as_told(exchange: FakeExchange) -> None:
    code, _, err = run(
        "listen", exchange.url_for("btcusdt@trade"), "--count", "1", "-v",
        "--header", "X-Token: hunter2hunter2", "--compression", "deflate",
    )  # fmt: skip

    assert code == 0, err
    (handshake,) = exchange.handshakes
    assert handshake.headers["x-token"] == "hunter2hunter2"
    assert "permessage-deflate" in handshake.headers["sec-websocket-extensions"]
    assert "hunter2" not in err


def test_listen_ends_after_its_duration(exchange: FakeExchange) -> None:
    code, out, err = run("listen", exchange.url_for("btcusdt@trade"), "--duration", "0.5")

    assert code == 0, err
    assert out


def test_listen_complains_of_too_few_messages(exchange: FakeExchange) -> None:
    code, out, err = run(
        "listen", exchange.echo_url, "--send", "hi", "--count", "2", "--duration", "0.5"
    )

    assert (code, out) == (1, ["hi\n"])
    assert "only 1 of 2 messages in 0.5 s" in err


def test_listen_complains_of_a_connection_that_never_was(exchange: FakeExchange) -> None:
    with FaultProxy(exchange.host, exchange.port) as proxy:
        proxy.refuse()
        code, out, err = run("listen", proxy.through(exchange.url), "--duration", "0.5")

    assert (code, out) == (1, [])
    assert "never connected within 0.5 s: ConnectError" in err


def test_listen_gives_up_with_the_reason(exchange: FakeExchange) -> None:
    exchange.respond_status(503, count=None)

    code, out, err = run("listen", exchange.url, "--max-attempts", "1", "--initial-delay", "0.05")

    assert (code, out) == (1, [])
    assert re.search(r"ERROR .*failed: given up.*HTTP 503", err)
    assert "Status: critical" in err


def test_listen_refuses_bad_arguments() -> None:
    code, out, err = run("listen", "ws://127.0.0.1:1/", "--ping-timeout", "99")

    assert (code, out) == (2, [])
    assert err.startswith("wsresilient listen: error: ping_interval is 60")


@needs_signals
def test_listen_ends_with_a_summary_on_ctrl_c(exchange: FakeExchange) -> None:
    with Command("listen", exchange.url_for("btcusdt@trade"), start=HEARS_CTRL_C) as command:
        wait_until(lambda: command.out, PATIENCE)
        command.interrupt()
        assert command.wait() == 0
    assert "Status: ok (1 of 1 active healthy)" in command.errors
    assert "Traceback" not in command.errors
    assert 1000 in exchange.close_codes


@needs_signals
def test_listen_ends_on_ctrl_c_while_it_is_waiting(exchange: FakeExchange) -> None:
    exchange.respond_status(503, count=None)

    with Command("listen", exchange.url, "--initial-delay", "60", start=HEARS_CTRL_C) as command:
        wait_until(lambda: "retry [1]" in command.errors, PATIENCE)
        command.interrupt()
        assert command.wait() == 0
    assert "Traceback" not in command.errors


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_listen_ends_quietly_when_nobody_reads(exchange: FakeExchange) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *MODULE, "listen", exchange.url_for("btcusdt@trade"), "-q"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    try:
        assert os.read(reader, 1)
    finally:
        os.close(reader)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


@needs_signals
def test_listen_ends_on_ctrl_c_although_nobody_takes_its_output(exchange: FakeExchange) -> None:
    exchange.rate = 5000.0
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, *HEARS_CTRL_C, "listen", exchange.url_for("btcusdt@trade")],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    try:
        # Far more than a pipe holds: by now the printing thread is held.
        wait_until(lambda: exchange.sent_count > 5000, PATIENCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        os.close(reader)
        process.kill()
    assert process.returncode == 0
    assert "Status: " in err
    assert "Fatal" not in err


# demo


@pytest.mark.timeout(90)
def test_demo_survives_one_of_each() -> None:
    code, out, err = run("demo", "--duration", "10")
    text = "".join(out)

    assert (code, err) == (0, ""), text
    survived = re.findall(r"\*\*\* survived: (.*?): .*; back after (\d+\.\d) s", text)
    assert [title for title, _ in survived] == [
        "cable pulled",
        "server frozen",
        "door shut",
        "feed silent",
    ]
    for word in (
        "network: retry",
        "ping: retry",
        "stalled: retry",
        "reconnecting, ",
        "connected, ",
    ):
        assert word in text
    assert "Status: ok (1 of 1 active healthy)" in text
    assert "What the stream went through" in text
    assert text.rstrip().endswith("4 faults, 4 survived, and no code of yours was needed. "
                                  "The stream is alive.")  # fmt: skip
    assert "\x1b" not in text


@needs_signals
def test_demo_shows_its_page() -> None:
    with Command("demo", "--plain", "--dashboard", "0", start=HEARS_CTRL_C) as command:
        wait_until(lambda: any(" connected, " in line for line in command.out), PATIENCE)
        url = command.out[0].removeprefix("dashboard: ").strip()
        summary = requests.get(f"{url}summary", timeout=PATIENCE).json()
        command.interrupt()
        code = command.wait()
    assert (code, command.errors) == (0, ""), "".join(command.out)
    assert list(summary["connections"]) == ["market"]


@needs_signals
def test_demo_ends_with_the_report_on_ctrl_c() -> None:
    with Command("demo", "--plain", start=HEARS_CTRL_C) as command:
        wait_until(lambda: any(" connected, " in line for line in command.out), PATIENCE)
        command.interrupt()
        code = command.wait()
    text = "".join(command.out)
    assert (code, command.errors) == (0, ""), text
    assert "CONNECTION " in text
    assert text.endswith("The stream is alive.\n")


def test_demo_says_which_extra_is_missing() -> None:
    code, out, err = run(
        "demo",
        start=(
            "-c",
            "import sys; sys.modules['websockets'] = None; "
            "from wsresilient.cli import main; sys.exit(main())",
        ),
    )

    assert (code, out) == (2, [])
    assert "wsresilient[demo]" in err
    assert "Traceback" not in err
