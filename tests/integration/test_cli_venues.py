"""``listen --venue`` against the fake exchange."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support import Running
from wsresilient.cli import main
from wsresilient.testing import FakeExchange, wait_until

PATIENCE = 30.0


class Run:
    """A run of the command within this process, to its end.

    :param arguments: of ``listen``; the exchange's URLs are added.
    """

    def __init__(
        self, exchange: FakeExchange, capsys: pytest.CaptureFixture[str], *arguments: str
    ) -> None:
        urls = ("--url", exchange.url, "--rest-url", exchange.rest_url)
        self.code = main(["listen", *arguments, *urls, "--duration", f"{PATIENCE:g}"])
        captured = capsys.readouterr()
        self.errors = captured.err
        self.messages: list[Any] = [json.loads(line) for line in captured.out.splitlines()]


@pytest.mark.parametrize(
    ("venue", "channel", "symbols", "mark"),
    [
        ("binance", "trade", "BTCUSDT,ETHUSDT", "stream"),
        ("binance-futures", "aggTrade", "BTCUSDT,ETHUSDT", "stream"),
        ("okx", "tickers", "BTC-USDT,ETH-USDT", "arg"),
        ("okx-business", "candle1m", "BTC-USDT,ETH-USDT", "arg"),
        ("bybit", "publicTrade", "BTCUSDT,ETHUSDT", "topic"),
        ("bybit-spot", "tickers", "BTCUSDT,ETHUSDT", "topic"),
        ("bybit-inverse", "publicTrade", "BTCUSD,ETHUSD", "topic"),
        ("bybit-option", "tickers", "BTC-25DEC26-60000-C,BTC-25DEC26-60000-P", "topic"),
        ("mexc", "deal", "BTC_USDT,ETH_USDT", "channel"),
    ],
)
def test_the_data_of_an_exchange_is_printed_as_it_came(
    venue: str, channel: str, symbols: str, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with FakeExchange(venue) as exchange:
        run = Run(
            exchange, capsys,
            "--venue", venue, "--channel", channel, "--symbols", symbols, "--count", "20", "-q",
        )  # fmt: skip

    assert (run.code, run.errors) == (0, "")
    # Data only: acknowledgements, greetings and pongs have no "data" beside the mark.
    assert all({mark, "data"} <= message.keys() for message in run.messages)
    assert len(run.messages) == 20
    text = json.dumps(run.messages)
    assert all(symbol in text or symbol.lower() in text for symbol in symbols.split(","))


def test_decoded_messages_have_their_topic(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeExchange("okx") as exchange:
        run = Run(
            exchange, capsys,
            "--venue", "okx", "--channel", "tickers", "--symbols", "BTC-USDT",
            "--decoded", "--count", "3",
        )  # fmt: skip

    assert run.code == 0
    for message in run.messages:
        assert list(message) == ["topic", "channel", "symbol", "data", "received_at"]
        assert message["topic"] == "tickers:BTC-USDT"
        assert (message["channel"], message["symbol"]) == ("tickers", "BTC-USDT")
        assert message["data"][0]["instId"] == "BTC-USDT"
        assert message["received_at"] > 1.6e9


def test_a_refused_symbol_is_answered_with_the_nearest_and_the_others_live(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with FakeExchange("okx") as exchange:
        exchange.silence("tickers:ETH-USDT")
        running = Running(
            Run, exchange, capsys,
            "--venue", "okx", "--channel", "tickers", "--symbols", "BTC-USDX,ETH-USDT",
            "--count", "3", "-q",
        )  # fmt: skip
        wait_until(lambda: "did you mean" in caplog.text, PATIENCE)
        exchange.unsilence("tickers:ETH-USDT")
        run = running.result()

    assert run.code == 0
    assert {message["arg"]["instId"] for message in run.messages} == {"ETH-USDT"}
    assert "'tickers:BTC-USDX' was refused" in run.errors
    assert "okx has no symbol 'BTC-USDX'; did you mean BTC-USDT" in run.errors


def test_it_ends_when_all_topics_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeExchange("mexc") as exchange:
        run = Run(
            exchange, capsys,
            "--venue", "mexc", "--channel", "deal,ticker", "--symbols", "ETH_USDC", "-q",
        )  # fmt: skip
        asked = [request.path for request in exchange.rest_requests]

    assert (run.code, run.messages) == (1, [])
    assert "mexc has no symbol 'ETH_USDC'; did you mean ETH_USDT" in run.errors
    assert run.errors.count("has no symbol") == 1
    assert len(asked) == 1
    assert "the exchange has refused all topics" in run.errors


def test_a_symbol_that_stays_silent_is_looked_up(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wsresilient.cli.listen.FIRST_DATA", 0.1)
    with FakeExchange("binance") as exchange:
        exchange.silence("ethusdt@trade")
        running = Running(
            Run, exchange, capsys,
            "--venue", "binance", "--channel", "trade", "--symbols", "ETHUSDT,BTCUSDX",
            "--count", "1", "-q",
        )  # fmt: skip
        wait_until(lambda: "did you mean" in caplog.text, PATIENCE)
        exchange.unsilence("ethusdt@trade")
        run = running.result()

    assert run.code == 0
    assert "'btcusdx@trade' is confirmed and has brought no data" in run.errors
    assert "binance has no symbol 'BTCUSDX'; did you mean BTCUSDT" in run.errors
    assert "'ETHUSDT' is traded on binance: it may just be quiet" in run.errors


def test_at_the_end_a_symbol_without_a_message_is_looked_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FakeExchange("binance") as exchange:
        given = ("--venue", "binance", "--channel", "trade", "--symbols", "BTCUSDX", "-q")
        urls = ("--url", exchange.url, "--rest-url", exchange.rest_url)
        code = main(["listen", *given, *urls, "--duration", "1"])

    assert code == 0
    assert "binance has no symbol 'BTCUSDX'" in capsys.readouterr().err


def test_without_its_rest_nobody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with FakeExchange("mexc") as exchange:
        given = ("--venue", "mexc", "--channel", "deal", "--symbols", "ETH_USDC", "-q")
        code = main(["listen", *given, "--url", exchange.url])
        asked = exchange.rest_requests

    errors = capsys.readouterr().err
    assert (code, asked) == (1, [])
    assert "the exchange has refused all topics" in errors
    assert "has no symbol" not in errors


def test_more_topics_than_fit_are_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    symbols = ",".join(f"A{number}_USDT" for number in range(101))
    code = main(["listen", "--venue", "mexc", "--channel", "deal", "--symbols", symbols])

    assert code == 2
    assert "101 more topics were asked for and 100 fit" in capsys.readouterr().err


def log_in_with(secret: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Put credentials into the environment; return the command that needs them."""
    monkeypatch.setenv("WSR_API_KEY", "key")
    monkeypatch.setenv("WSR_API_SECRET", secret)
    monkeypatch.setenv("WSR_PASSPHRASE", "pass")
    return ("--venue", "okx-private", "--channel", "account", "--count", "1")


def test_private_topics_log_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = log_in_with("secret", monkeypatch)
    with FakeExchange("okx-private") as exchange:
        running = Running(Run, exchange, capsys, *arguments)
        wait_until(lambda: exchange.push_private("account", [{"totalEq": "1"}]), PATIENCE)
        run = running.result()

    assert run.code == 0
    assert "logged in" in run.errors
    assert run.messages[0]["data"] == [{"totalEq": "1"}]


def test_a_refused_login_ends_it_and_shows_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = log_in_with("hunter2hunter2", monkeypatch)
    with FakeExchange("okx-private") as exchange:
        run = Run(exchange, capsys, *arguments)

    assert run.code == 1
    assert "AuthenticationError" in run.errors
    assert "hunter2" not in run.errors


def test_as_a_process_over_a_restart() -> None:
    marked = '{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"last":"the end"}]}'
    command = [sys.executable, "-m", "wsresilient", "listen", "--venue", "okx"]
    command += ["--channel", "tickers", "--symbols", "BTC-USDT,ETH-USDT", "--initial-delay", "0.05"]
    with (
        FakeExchange("okx") as exchange,
        subprocess.Popen(
            [*command, "--url", exchange.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["data"]
        exchange.restart(0.1)
        wait_until(lambda: len(exchange.subscriptions) == 2, PATIENCE)
        exchange.broadcast(marked)
        assert any(line.rstrip() == marked for line in process.stdout)
        process.stdout.close()  # whoever reads has seen enough
        errors = process.stderr.read()
        code = process.wait(PATIENCE)

    assert code == 0
    assert "connected after" in errors
