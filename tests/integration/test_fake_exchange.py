"""The fake exchange as a client sees it, over real sockets: streams, requests and the feed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from wsresilient.errors import ConfigurationError
from wsresilient.testing import FakeExchange, wait_until

from .binance_peers import (
    A_MOMENT,
    TICKER,
    TIMEOUT,
    TRADE,
    answer,
    ask,
    connect,
    end_of,
    holes,
    is_silent,
    receive,
    trade_ids,
)


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange(rate=500.0) as exchange:
        yield exchange


# Streams and requests.


def test_a_combined_stream_by_url(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE, TICKER)) as client:
        messages = [receive(client) for _ in range(20)]

    assert {m["stream"] for m in messages} == {TRADE, TICKER}
    trades = [m["data"] for m in messages if m["stream"] == TRADE]
    assert {t["e"] for t in trades} == {"trade"}
    assert {t["s"] for t in trades} == {"BTCUSDT"}
    assert holes([t["t"] for t in trades]) == 0
    now = time.time() * 1000
    assert all(now - 60_000 < t["E"] <= now for t in trades)


def test_a_raw_stream_by_url(exchange: FakeExchange) -> None:
    with connect(f"ws://{exchange.host}:{exchange.port}/ws/{TRADE}") as client:
        assert receive(client)["e"] == "trade"


def test_subscribe_list_and_unsubscribe(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        assert is_silent(client)
        assert ask(client, "SUBSCRIBE", TRADE, TICKER, request_id=7) == {"result": None, "id": 7}
        assert {receive(client)["stream"] for _ in range(10)} == {TRADE, TICKER}
        assert exchange.subscriptions == {TRADE: 1, TICKER: 1}

        assert ask(client, "UNSUBSCRIBE", TRADE, request_id=8) == {"result": None, "id": 8}
        assert {receive(client)["stream"] for _ in range(10)} == {TICKER}
        assert ask(client, "LIST_SUBSCRIPTIONS") == {"result": [TICKER], "id": 1}
        assert exchange.subscriptions == {TICKER: 1}

    wait_until(lambda: exchange.subscriptions == {})
    assert [r.message["method"] for r in exchange.requests] == [
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "LIST_SUBSCRIPTIONS",
    ]
    assert [r.connection for r in exchange.requests] == [1, 1, 1]
    assert [r.at for r in exchange.requests] == sorted(r.at for r in exchange.requests)


def test_each_connection_has_its_own_topics_and_envelope(exchange: FakeExchange) -> None:
    raw = f"ws://{exchange.host}:{exchange.port}/ws"
    with connect(raw) as one, connect(exchange.url) as two:
        assert ask(one, "SUBSCRIBE", TRADE)["result"] is None
        assert ask(two, "SUBSCRIBE", TRADE)["result"] is None
        assert exchange.subscriptions == {TRADE: 2}
        assert exchange.connection_count == 2

        # Both get the same trades.
        ids = {receive(one)["t"] for _ in range(30)}
        assert set(trade_ids(two, 10)) & ids

    wait_until(lambda: exchange.connection_count == 0)


def test_subscribing_twice_gives_nothing_twice(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        ask(client, "SUBSCRIBE", TRADE)

        assert exchange.subscriptions == {TRADE: 1}
        assert holes(trade_ids(client, 20)) == 0


def test_a_symbol_that_does_not_exist_is_acknowledged_and_silent(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        assert ask(client, "SUBSCRIBE", "nosuch@trade", "BTCUSDT@trade") == {
            "result": None,
            "id": 1,
        }
        assert is_silent(client)


def test_one_bad_stream_refuses_the_whole_request(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        refused = ask(client, "SUBSCRIBE", TRADE, "btcusdt@nonsense", request_id=5)

        assert refused == {"error": {"code": 2, "msg": "Invalid request: invalid stream"}, "id": 5}
        assert exchange.subscriptions == {}


def test_more_topics_than_fit_are_refused(exchange: FakeExchange) -> None:
    exchange.change_limits(max_request_size=None)
    with connect(exchange.url) as client:
        many = [f"s{number}@trade" for number in range(1024)]
        assert ask(client, "SUBSCRIBE", *many)["result"] is None

        assert ask(client, "SUBSCRIBE", TRADE, many[0])["error"] == {
            "code": 4,
            "msg": "Too many subscriptions",
        }
        assert ask(client, "SUBSCRIBE", many[0])["result"] is None
        assert len(exchange.subscriptions) == 1024


def test_what_is_no_request_gets_an_error_and_changes_nothing(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        client.send("nonsense")
        assert answer(client)["code"] == 3
        client.send(b"\x00\xff")
        assert answer(client)["code"] == 3

        assert receive(client)["stream"] == TRADE
        assert [r.payload for r in exchange.requests] == ["nonsense", b"\x00\xff"]


def test_text_that_is_not_utf8_ends_the_connection(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        client.send(b"\xff", text=True)

        assert end_of(client).rcvd is not None
        assert client.close_code == 1007


def test_a_fragmented_request(exchange: FakeExchange) -> None:
    with connect(exchange.url) as client:
        client.send(iter(['{"method":"SUBSCRIBE",', '"params":["btcusdt@trade"],', '"id":9}']))

        assert answer(client) == {"result": None, "id": 9}


def test_what_is_sent_to_echo_comes_back(exchange: FakeExchange) -> None:
    with connect(exchange.echo_url) as client:
        for payload in ("", "text \u20ac", b"", b"\x00\xff", "x" * 100_000, b"y" * 1_000_000):
            client.send(payload)
            assert client.recv(timeout=TIMEOUT) == payload
        client.send(iter(["a", "b", "c"]))
        assert client.recv(timeout=TIMEOUT) == "abc"

    assert exchange.requests == []
    assert exchange.sent_count == 0


def test_other_paths_do_not_exist(exchange: FakeExchange) -> None:
    with pytest.raises(InvalidStatus) as rejected:
        connect(f"ws://{exchange.host}:{exchange.port}/nothing")

    assert rejected.value.response.status_code == 404
    assert [(h.target, h.status) for h in exchange.handshakes] == [("/nothing", 404)]


def test_handshakes_are_written_down(exchange: FakeExchange) -> None:
    before = time.monotonic()
    with connect(exchange.url_for(TRADE), additional_headers={"X-Token": "abc"}):
        (handshake,) = exchange.handshakes

    assert before <= handshake.at <= time.monotonic()
    assert handshake.target == f"/stream?streams={TRADE}"
    assert handshake.headers["x-token"] == "abc"
    assert (handshake.connection, handshake.status) == (1, 101)


def test_what_is_no_handshake_is_survived(exchange: FakeExchange) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b""):
        with socket.create_connection((exchange.host, exchange.port), TIMEOUT) as client:
            client.sendall(noise)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                continue

    with connect(exchange.url_for(TRADE)) as client:
        assert receive(client)["stream"] == TRADE


# The feed.


def test_the_feed_keeps_its_rate_and_counts(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        receive(client)
        exchange.rate = 20_000
        started, count = time.monotonic(), exchange.sent_count
        ids = trade_ids(client, 10_000)
        elapsed = time.monotonic() - started

        assert holes(ids) == 0
        # Never faster than asked for; how much slower is the machine's business.
        assert 9_000 < exchange.sent_count - count < 20_000 * (elapsed + 0.2)
        exchange.rate = 0
        assert is_silent(client)
        with pytest.raises(ConfigurationError, match="rate must be 0 or more"):
            exchange.rate = -1


def test_a_stopped_feed_is_a_stalled_feed(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        before = trade_ids(client, 5)
        exchange.stop_feed()
        while True:
            try:
                before.append(json.loads(client.recv(timeout=A_MOMENT))["data"]["t"])
            except TimeoutError:
                break

        assert client.ping().wait(TIMEOUT)
        assert ask(client, "LIST_SUBSCRIPTIONS")["result"] == [TRADE]
        assert exchange.connection_count == 1

        exchange.resume_feed()
        assert holes([before[-1], *trade_ids(client, 5)]) == 0


def test_lost_messages_leave_a_hole(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE, TICKER)) as client:
        ids: list[int] = []

        def has_hole() -> bool:
            message = receive(client)
            ids.extend([message["data"]["t"]] if message["stream"] == TRADE else [])
            return holes(ids) > 0

        wait_until(lambda: has_hole() or len(ids) > 3)
        assert holes(ids) == 0
        exchange.lose_messages(3, topic=TRADE)

        wait_until(has_hole)
        for _ in range(20):
            has_hole()
        assert holes(ids) == 3


def test_the_market_goes_on_while_nobody_is_connected(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        (last,) = trade_ids(client, 1)
        exchange.abort_all()
    # Another topic, so that the time that passes can be seen.
    with connect(exchange.url_for(TICKER)) as client:
        for _ in range(20):
            receive(client)
    with connect(exchange.url_for(TRADE)) as client:
        ids = [m["data"]["t"] for m in (receive(client) for _ in range(10))]

    assert ids[0] > last + 5
    assert holes(ids) == 0


def test_a_topic_that_nobody_wants_any_more_leaves_the_market(exchange: FakeExchange) -> None:
    with connect(exchange.url_for(TRADE)) as client:
        ids = trade_ids(client, 5)
        ask(client, "UNSUBSCRIBE", TRADE)
        assert is_silent(client)
        ask(client, "SUBSCRIBE", TRADE)
        again = trade_ids(client, 5)

    assert again[0] > ids[-1]
    assert holes(again) == 0


def test_broadcast(exchange: FakeExchange) -> None:
    with connect(exchange.url) as one, connect(exchange.echo_url) as two:
        assert exchange.broadcast('{"e":"serverShutdown"}') == 2
        assert exchange.broadcast(b"\x00") == 2
        for client in (one, two):
            assert client.recv(timeout=TIMEOUT) == '{"e":"serverShutdown"}'
            assert client.recv(timeout=TIMEOUT) == b"\x00"
        assert exchange.sent_count == 4


def test_who_does_not_read_is_cut() -> None:
    with (
        FakeExchange(rate=100.0, max_unsent=1_000_000) as exchange,
        socket.create_connection((exchange.host, exchange.port), TIMEOUT) as client,
    ):
        client.sendall(
            b"GET /stream HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        wait_until(lambda: exchange.connection_count == 1)

        wait_until(lambda: exchange.broadcast("x" * 500_000) == 0)

        wait_until(lambda: exchange.close_codes == [1006])
