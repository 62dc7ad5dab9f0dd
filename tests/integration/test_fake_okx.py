"""The fake OKX as a client sees it, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from wsresilient.testing import FakeExchange, wait_until
from wsresilient.testing.limits import Limit

from .venue_peers import VenuePeer, opened

TICKERS, TRADES, BOOK = "tickers:BTC-USDT", "trades:ETH-USDT", "books:BTC-USDT"
ORDERS = "orders?instType=ANY"


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange("okx", rate=500.0) as exchange:
        yield exchange


@pytest.fixture
def private() -> Iterator[FakeExchange]:
    with FakeExchange("okx-private", rate=500.0) as exchange:
        yield exchange


def connect(exchange: FakeExchange, path: str = "") -> AbstractContextManager[VenuePeer]:
    url = f"{exchange.base_url}{path}" if path else exchange.url
    return opened(url, lambda message: "data" in message and "arg" in message)


def arg(topic: str) -> dict[str, str]:
    head, _, query = topic.partition("?")
    channel, _, symbol = head.partition(":")
    pairs = dict(pair.split("=") for pair in query.split("&") if pair)
    return {"channel": channel, **pairs, **({"instId": symbol} if symbol else {})}


def subscribe(*topics: str, request_id: str = "1", op: str = "subscribe") -> dict[str, Any]:
    return {"id": request_id, "op": op, "args": [arg(topic) for topic in topics]}


def login(**changes: str) -> dict[str, Any]:
    timestamp = changes.get("timestamp", str(int(time.time())))
    text = f"{timestamp}GET/users/self/verify".encode()
    sign = base64.b64encode(hmac.new(b"secret", text, hashlib.sha256).digest()).decode()
    details = {"apiKey": "key", "passphrase": "pass", "timestamp": timestamp, "sign": sign}
    return {"op": "login", "args": [{**details, **changes}]}


# Topics.


def test_each_argument_is_acknowledged_by_itself(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.send(subscribe(TICKERS, "tickers:NO-PE", TRADES, request_id="1512"))
        answers = [client.answer() for _ in range(3)]

        assert {answer.pop("connId") for answer in answers} == {"a4d30001"}
        assert answers[0] == {"id": "1512", "event": "subscribe", "arg": arg(TICKERS)}
        assert (answers[1]["event"], answers[1]["code"]) == ("error", "60018")
        assert "channel:tickers,instId:NO-PE" in answers[1]["msg"]
        assert answers[2]["arg"] == arg(TRADES)
        assert {message["arg"]["channel"] for message in client.data(10)} == {"tickers", "trades"}
        assert exchange.subscriptions == {TICKERS: 1, TRADES: 1}
        assert exchange.active_topics(1) == (TICKERS, TRADES)
        assert exchange.active_topics(2) == ()

        assert client.ask(subscribe(TICKERS, op="unsubscribe"))["event"] == "unsubscribe"
        assert exchange.active_topics(1) == (TRADES,)
        assert {message["arg"]["channel"] for message in client.data(5)} == {"trades"}


def test_the_heartbeat_is_a_bare_word(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        assert client.ask("ping") == "pong"
        exchange.ignore_pings()
        client.send("ping")
        wait_until(lambda: exchange.ping_count == 2)
        exchange.answer_pings()
        assert client.ask(subscribe(TICKERS))["event"] == "subscribe"
        assert client.ask("ping") == "pong"

    assert exchange.ping_count == 3


def test_a_book_begins_with_a_snapshot_and_goes_on_from_it(exchange: FakeExchange) -> None:
    with connect(exchange) as client, connect(exchange) as later:
        client.ask(subscribe(BOOK))
        first = client.data(10)
        later.ask(subscribe(BOOK))
        second = later.data(10)

    for messages in (first, second):
        assert [message["action"] for message in messages] == ["snapshot", *["update"] * 9]
        books = [message["data"][0] for message in messages]
        assert books[0]["prevSeqId"] == -1
        assert all(b["prevSeqId"] == a["seqId"] for a, b in itertools.pairwise(books))
        assert {book["checksum"] for book in books} == {0}
        assert len(books[0]["asks"]) == len(books[0]["bids"]) == 50
    # An update without changes is no gap.
    assert any(b["seqId"] == b["prevSeqId"] for b in (m["data"][0] for m in first[1:]))


def test_a_snapshot_waits_for_a_feed_that_is_stopped(exchange: FakeExchange) -> None:
    exchange.stop_feed()
    with connect(exchange) as client:
        client.ask(subscribe(BOOK))
        assert client.ask("ping") == "pong"
        exchange.resume_feed()

        assert client.data(1)[0]["action"] == "snapshot"


def test_candles_are_on_business_only(exchange: FakeExchange) -> None:
    topic = "candle1m:BTC-USDT"
    with connect(exchange) as public, connect(exchange, "/ws/v5/business") as business:
        assert public.ask(subscribe(topic))["code"] == "60018"
        assert business.ask(subscribe(topic))["event"] == "subscribe"
        (message,) = business.data(1)

    assert message["arg"] == {"channel": "candle1m", "instId": "BTC-USDT"}
    assert len(message["data"][0]) == 9


# The own account.


def test_private_channels_need_a_login(private: FakeExchange) -> None:
    with connect(private) as client:
        assert client.ask(subscribe(ORDERS))["code"] == "60011"
        assert client.ask(login()) == {
            "event": "login",
            "code": "0",
            "msg": "",
            "connId": "a4d30001",
        }
        assert client.ask(subscribe(ORDERS))["event"] == "subscribe"
        assert private.push_private("orders:BTC-USDT?instType=SPOT", {"ordId": "7"}) == 1
        (message,) = client.data(1)

    assert message["arg"]["instId"] == "BTC-USDT"
    assert message["data"] == [{"ordId": "7"}]
    assert [(attempt.connection, attempt.was_accepted) for attempt in private.logins] == [(1, True)]
    assert private.logins[0].api_key == "key"
    assert "key" not in repr(private.logins[0]).replace("api_key", "")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sign": "wrong"}, 60007),
        ({"apiKey": "wrong"}, 60005),
        ({"passphrase": "wrong"}, 60024),
        ({"timestamp": "1538054050"}, 60006),
    ],
)
def test_a_bad_login_ends_the_connection(
    private: FakeExchange, changes: dict[str, str], code: int
) -> None:
    with connect(private) as client:
        assert client.ask(login(**changes))["code"] == str(code)
        closed = client.end().rcvd

    assert closed is not None
    assert closed.code == 4001
    (attempt,) = private.logins
    assert (attempt.code, attempt.was_accepted) == (code, False)


def test_a_clock_that_is_wrong(private: FakeExchange) -> None:
    private.shift_clock(60.0)
    with connect(private) as client:
        assert client.ask(login())["code"] == "60006"
    private.shift_clock(0.0)
    with connect(private) as client:
        assert client.ask(login())["event"] == "login"


def test_a_login_that_is_answered_late(private: FakeExchange) -> None:
    private.hold_logins()
    with connect(private) as client:
        client.send(login())
        assert client.ask(subscribe(ORDERS))["code"] == "60011"
        assert len(private.logins) == 1

        assert private.release_logins() == 1
        assert client.answer()["event"] == "login"
        assert client.ask(subscribe(ORDERS))["event"] == "subscribe"


def test_logins_take_a_while(private: FakeExchange) -> None:
    private.delay_logins(0.05)
    with connect(private) as client:
        started = time.monotonic()
        assert client.ask(login())["event"] == "login"

    assert time.monotonic() - started >= 0.05


def test_a_login_that_is_decided_when_the_client_has_gone(private: FakeExchange) -> None:
    private.hold_logins()
    with connect(private) as client:
        client.send(login())
        wait_until(lambda: len(private.logins) == 1)
    wait_until(lambda: private.connection_count == 0)

    assert private.release_logins() == 1
    with connect(private) as client:
        assert client.ask(login())["event"] == "login"


def test_logins_are_refused_on_demand(private: FakeExchange) -> None:
    private.reject_logins(60032, "API key doesn't exist.")
    with connect(private) as client:
        answer = client.ask(login())
        assert (answer["code"], answer["msg"]) == ("60032", "API key doesn't exist.")
    private.reject_logins()
    with connect(private) as client:
        assert client.ask(login())["code"] == "60005"
    private.accept_logins()
    with connect(private) as client:
        assert client.ask(login())["event"] == "login"

    assert [attempt.code for attempt in private.logins] == [60032, 60005, None]


# Notices and limits.


def test_the_end_is_announced(exchange: FakeExchange) -> None:
    with (
        connect(exchange) as public,
        connect(exchange, "/ws/v5/private") as private,
        connect(exchange, "/ws/v5/business") as business,
    ):
        assert exchange.announce_shutdown(close_after=0.02, code=1012) == 2
        for client in (public, private):
            assert client.answer()["code"] == "64008"
            closed = client.end().rcvd
            assert closed is not None
            assert closed.code == 1012
        assert business.ask("ping") == "pong"


def test_more_requests_than_an_hour_allows() -> None:
    with FakeExchange("okx", request_quota=2) as exchange, connect(exchange) as client:
        client.ask(subscribe(TICKERS, request_id="1"))
        client.ask(subscribe(TRADES, request_id="2"))

        refused = client.ask(subscribe(BOOK, request_id="3"))

        assert (refused["id"], refused["code"]) == ("3", "60014")
        assert exchange.active_topics(1) == (TICKERS, TRADES)
        assert [violation.what for violation in exchange.violations] == [Limit.REQUESTS]


def test_an_idle_connection_is_closed_with_its_own_code() -> None:
    with FakeExchange("okx", idle_limit=0.1) as exchange, connect(exchange) as client:
        closed = client.end().rcvd

        assert closed is not None
        assert (closed.code, closed.reason) == (4004, "No data received in 30s.")
        assert [violation.what for violation in exchange.violations] == [Limit.IDLE]


def test_a_request_that_is_too_long(exchange: FakeExchange) -> None:
    with connect(exchange) as client:
        client.send(subscribe(*[f"tickers:A{number}-USDT" for number in range(2000)]))
        closed = client.end().rcvd

    assert closed is not None
    assert closed.code == 1009


def test_all_a_subscription_may_be_told_after_its_acknowledgement(exchange: FakeExchange) -> None:
    error = '{"event":"channel-conn-count-error","channel":"orders","connCount":"30"}'
    with connect(exchange) as client:
        client.ask(subscribe(TICKERS))
        exchange.broadcast(error)

        assert client.answer()["event"] == "channel-conn-count-error"
