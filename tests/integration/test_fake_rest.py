"""The fake exchanges' REST as any HTTP client sees it: in line with the streams, or broken."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import trustme
import urllib3

from wsresilient.testing import FakeExchange

from .venue_peers import TIMEOUT, get_json, opened


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("binance", rate=500.0) as exchange:
        yield exchange


def get(exchange: FakeExchange, path: str) -> Any:
    status, body = get_json(f"{exchange.rest_url}{path}")
    assert status == 200
    return body


# What is told.


@pytest.mark.parametrize(
    ("venue", "path"),
    [
        ("binance", "/api/v3/time"),
        ("binance-futures", "/fapi/v1/time"),
        ("okx", "/api/v5/public/time"),
        ("bybit", "/v5/market/time"),
        ("mexc", "/api/v1/contract/ping"),
    ],
)
def test_each_venue_has_its_own_paths(venue: str, path: str) -> None:
    with FakeExchange(venue) as exchange:
        exchange.shift_clock(-3600.0)
        text = json.dumps(get(exchange, path))
        hour_ago = int(time.time()) - 3600

        assert any(str(hour_ago + second) in text for second in (-2, -1, 0, 1))
        assert get_json(f"{exchange.rest_url}/nothing")[0] == 404


def test_the_book_over_rest_leads_into_the_stream(exchange: FakeExchange) -> None:
    with opened(exchange.url_for("btcusdt@depth"), lambda m: "stream" in m) as client:
        updates = [message["data"] for message in client.data(3)]
        book = get(exchange, "/api/v3/depth?symbol=BTCUSDT&limit=5000")
        updates += [message["data"] for message in client.data(30)]

    number = book["lastUpdateId"]
    sides = {"b": dict(book["bids"]), "a": dict(book["asks"])}
    for update in updates:
        if update["u"] <= number:
            continue
        assert update["U"] <= number + 1
        number = update["u"]
        for name, side in sides.items():
            side.update(update[name])
    bids = [float(price) for price, size in sides["b"].items() if float(size)]
    asks = [float(price) for price, size in sides["a"].items() if float(size)]
    assert number == updates[-1]["u"] > book["lastUpdateId"]
    assert max(bids) < min(asks)


def test_trades_that_were_lost_are_there(exchange: FakeExchange) -> None:
    with opened(exchange.url_for("btcusdt@aggTrade"), lambda m: "stream" in m) as client:
        ids = [message["data"]["a"] for message in client.data(3)]
        exchange.lose_messages(5)
        while ids[-1] - ids[-2] == 1:
            ids.append(client.data(1)[0]["data"]["a"])
        first, last = ids[-2] + 1, ids[-1]

        path = f"/api/v3/aggTrades?symbol=BTCUSDT&fromId={first}&limit={last - first}"
        assert [trade["a"] for trade in get(exchange, path)] == list(range(first, last))


def test_candles_agree_with_the_stream(exchange: FakeExchange) -> None:
    with opened(exchange.url_for("btcusdt@kline_1s"), lambda m: "stream" in m) as client:
        closed: dict[str, Any] = {}
        while not closed.get("x"):
            closed = client.data(1)[0]["data"]["k"]
        path = f"/api/v3/klines?symbol=BTCUSDT&interval=1s&startTime={closed['t']}&limit=1"

        (row,) = get(exchange, path)

    assert row[:5] == [closed["t"], closed["o"], closed["h"], closed["l"], closed["c"]]


def test_many_symbols_are_ranked() -> None:
    symbols = [f"S{number}USDT" for number in range(750)]
    with FakeExchange("binance", symbols=symbols) as exchange:
        tickers = get(exchange, "/api/v3/ticker/24hr")

    ranked = sorted(tickers, key=lambda ticker: -float(ticker["quoteVolume"]))
    assert [ticker["symbol"] for ticker in ranked] == symbols


# What goes wrong on demand.


def test_errors_on_demand(exchange: FakeExchange) -> None:
    exchange.respond_rest(429, {"Retry-After": "7"}, b"slow down", path="/api/v3/depth")
    exchange.respond_rest(418, count=2)
    url = f"{exchange.rest_url}/api/v3"

    statuses = [requests.get(f"{url}/time", timeout=TIMEOUT).status_code for _ in range(3)]
    limited = requests.get(f"{url}/depth", {"symbol": "BTCUSDT"}, timeout=TIMEOUT)

    assert statuses == [418, 418, 200]
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert limited.content == b"slow down"
    exchange.respond_rest(500, count=None)
    assert requests.get(f"{url}/time", timeout=TIMEOUT).status_code == 500
    exchange.respond_rest_normally()
    assert requests.get(f"{url}/time", timeout=TIMEOUT).status_code == 200


def test_requests_are_written_down(exchange: FakeExchange) -> None:
    before = time.monotonic()
    url = f"{exchange.rest_url}/api/v3/klines?symbol=BTCUSDT"
    requests.post(url, data=b"body", headers={"X-Token": "secret"}, timeout=TIMEOUT)

    (record,) = exchange.rest_requests

    assert before <= record.at <= time.monotonic()
    assert (record.method, record.path, record.query) == (
        *("POST", "/api/v3/klines", {"symbol": "BTCUSDT"}),
    )
    assert (record.headers["x-token"], record.body, record.status) == ("secret", b"body", 404)
    assert "secret" not in repr(record)


def test_answers_take_a_while(exchange: FakeExchange) -> None:
    exchange.delay_rest(30.0)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{exchange.rest_url}/api/v3/time", timeout=0.05)
    exchange.delay_rest(0.0)

    assert get(exchange, "/api/v3/time")["serverTime"]


# HTTP.


def test_a_connection_is_kept(exchange: FakeExchange) -> None:
    client = http.client.HTTPConnection(exchange.rest_url.removeprefix("http://"), timeout=TIMEOUT)
    with contextlib.closing(client):
        client.connect()
        sock = client.sock
        for _ in range(3):
            client.request("GET", "/api/v3/time")
            assert client.getresponse().read()
            assert client.sock is sock
        client.request("GET", "/api/v3/ping", headers={"Connection": "close"})
        response = client.getresponse()
        assert response.getheader("Connection") == "close"
        assert response.read() == b"{}"
        assert client.sock is None


def talk(exchange: FakeExchange, *pieces: bytes) -> bytes:
    """Send pieces of HTTP and give all that comes until the end."""
    host, _, port = exchange.rest_url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT) as client:
        for piece in pieces:
            client.sendall(piece)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(65536):
                received += data
    return received


def test_requests_in_pieces_and_in_one_piece(exchange: FakeExchange) -> None:
    ping = b"GET /api/v3/ping HTTP/1.1\r\nHost: h\r\n\r\n"
    last = b"GET /api/v3/time HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"

    received = talk(exchange, ping + ping + ping[:10], ping[10:] + last, b"a", b"bc")

    assert received.count(b"HTTP/1.1 200 OK") == 4
    assert received.count(b"\r\n\r\n{}") == 3
    assert b"serverTime" in received
    assert exchange.rest_requests[-1].body == b"abc"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"x" * 100_000, b"413"),
    ],
)
def test_what_is_no_request_is_answered_and_survived(
    exchange: FakeExchange, data: bytes, status: bytes
) -> None:
    received = talk(exchange, data)

    assert received.startswith(b"HTTP/1.1 " + status) or not received
    assert get(exchange, "/api/v3/ping") == {}


def test_https(exchange: FakeExchange) -> None:
    del exchange
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with (
        FakeExchange("okx", ssl_context=context) as exchange,
        urllib3.PoolManager(ssl_context=trust) as pool,
    ):
        assert exchange.rest_url.startswith("https://")
        answer = pool.request("GET", f"{exchange.rest_url}/api/v5/public/time", timeout=TIMEOUT)

    assert answer.json()["code"] == "0"


def test_rest_goes_on_while_the_streams_restart(exchange: FakeExchange) -> None:
    url = exchange.rest_url
    exchange.pause_accepting()
    assert get(exchange, "/api/v3/ping") == {}
    exchange.resume_accepting()
    exchange.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/api/v3/ping", timeout=TIMEOUT)

    with exchange.start():
        assert exchange.rest_url == url
        assert get(exchange, "/api/v3/ping") == {}


def test_stop_ends_connections_that_are_kept(exchange: FakeExchange) -> None:
    client = http.client.HTTPConnection(exchange.rest_url.removeprefix("http://"), timeout=TIMEOUT)
    with contextlib.closing(client):
        client.request("GET", "/api/v3/ping")
        client.getresponse().read()
        exchange.stop()
        assert client.sock is not None
        with contextlib.suppress(ConnectionResetError):
            assert client.sock.recv(1) == b""
