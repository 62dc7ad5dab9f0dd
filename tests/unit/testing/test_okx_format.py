"""How the fake exchange speaks OKX v5. What is expected is copied from the documentation."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import (
    SILENT,
    Depth,
    Event,
    Kind,
    Kline,
    Mark,
    Quote,
    Stream,
    Ticker,
    Trade,
)
from wsresilient.testing.formats.base import (
    Action,
    Answer,
    Close,
    Heartbeat,
    Login,
    Refusal,
    Reply,
    Session,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.okx import OKXFormat
from wsresilient.testing.limits import Limit

OKX = OKXFormat()
NOW = 1_538_054_050_000
CONNECTION_ID = "a4d30007"
CREDENTIALS = Credentials("the-key", "the-secret", "the-pass")
TICKERS = "tickers:BTC-USDT"


def session(route: str = "public", *topics: str, is_logged_in: bool = False) -> Session:
    subscribed = dict.fromkeys(topics)
    return Session(
        "json", route=route, connection=7, subscribed=subscribed, is_logged_in=is_logged_in
    )


def parse(message: object, at: Session | None = None) -> Action:
    text = message if isinstance(message, (str, bytes)) else json.dumps(message)
    (action,) = OKX.parse(text, at or session())
    return action


def data(event: Event, topic: str) -> Any:
    return json.loads(OKX.data(event, topic, "json"))


# Connections.


@pytest.mark.parametrize("route", ["public", "private", "business"])
def test_three_urls(route: str) -> None:
    assert OKXFormat(route).target([]) == f"/ws/v5/{route}"
    assert OKX.open(f"/ws/v5/{route}") == Session("json", route=route)
    assert OKX.open(f"/ws/v5/{route}?brokerId=9999") == Session("json", route=route)


@pytest.mark.parametrize("target", ["/", "/ws/v5", "/ws/v5/other", "/public", "/ws/v4/public"])
def test_other_paths_do_not_exist(target: str) -> None:
    assert OKX.open(target) is None


def test_what_there_is_not() -> None:
    with pytest.raises(ConfigurationError, match="channel_type is 'moon'; allowed: 'public'"):
        OKXFormat("moon")
    with pytest.raises(ConfigurationError, match="OKX has no subscription by URL"):
        OKX.target([TICKERS])


# Topics.


@pytest.mark.parametrize(
    ("topic", "route", "stream"),
    [
        (TICKERS, "public", Stream("BTC-USDT", Kind.TICKER)),
        ("trades:BTC-USDT", "public", Stream("BTC-USDT", Kind.TRADE)),
        ("books5:BTC-USDT", "public", Stream("BTC-USDT", Kind.BOOK, levels=5)),
        ("bbo-tbt:BTC-USDT", "public", Stream("BTC-USDT", Kind.BOOK, levels=1)),
        ("mark-price:BTC-USDT", "public", Stream("BTC-USDT", Kind.MARK)),
        ("funding-rate:BTC-USDT-SWAP", "public", Stream("BTC-USDT-SWAP", Kind.MARK)),
        ("instruments?instType=SPOT", "public", SILENT),
        ("candle1m:BTC-USDT", "business", Stream("BTC-USDT", Kind.KLINE, interval=60)),
        ("candle3Mutc:BTC-USDT", "business", Stream("BTC-USDT", Kind.KLINE, interval=7_776_000)),
        ("mark-price-candle1D:A", "business", Stream("A", Kind.KLINE, interval=86_400)),
        ("trades-all:BTC-USDT", "business", Stream("BTC-USDT", Kind.TRADE)),
    ],
)
def test_channels(topic: str, route: str, stream: Stream) -> None:
    assert OKX.stream(topic, session(route)) == stream


def test_a_book_begins_with_a_snapshot_and_may_be_told_again() -> None:
    assert OKX.stream("books:BTC-USDT", session()) == Stream(
        "BTC-USDT", Kind.DEPTH, begins_with_snapshot=True, is_repeated=True
    )


@pytest.mark.parametrize(
    ("topic", "route"),
    [
        ("candle1m:BTC-USDT", "public"),
        ("candle7m:BTC-USDT", "business"),
        ("trades-all:BTC-USDT", "public"),
        ("orders?instType=ANY", "public"),
        (TICKERS, "private"),
        (TICKERS, "business"),
        ("tickers", "public"),
        ("trades-all", "business"),
        ("nothing:BTC-USDT", "public"),
    ],
)
def test_a_channel_that_is_not_on_this_url_is_refused(topic: str, route: str) -> None:
    assert OKX.stream(topic, session(route)) == OKX.refusal(topic)


def test_a_refusal_names_channel_and_instrument_in_its_text() -> None:
    assert OKX.refusal("candle1s:BTC-USDT-SWAP") == Refusal(
        60018,
        "Wrong URL or channel:candle1s,instId:BTC-USDT-SWAP doesn't exist. Please use the correct"
        " URL, channel and parameters referring to API document.",
    )


@pytest.mark.parametrize(
    ("topic", "route"),
    [
        ("orders?instType=ANY", "private"),
        ("account", "private"),
        ("orders-algo?instType=ANY", "business"),
        ("books-l2-tbt:BTC-USDT", "public"),
    ],
)
def test_some_channels_need_a_login(topic: str, route: str) -> None:
    refusal = OKX.stream(topic, session(route))

    assert refusal == Refusal(60011, "Please log in")
    assert isinstance(OKX.stream(topic, session(route, is_logged_in=True)), Stream)


# Requests.


@pytest.mark.parametrize(
    ("operation", "make"), [("subscribe", Subscribe), ("unsubscribe", Unsubscribe)]
)
def test_requests(operation: str, make: type[Subscribe] | type[Unsubscribe]) -> None:
    args = [
        {"channel": "tickers", "instId": "BTC-USDT"},
        {"channel": "orders", "instType": "ANY"},
        {"instId": "BTC-USDT", "channel": "tickers"},
    ]

    assert parse({"id": "1512", "op": operation, "args": args}) == make(
        (TICKERS, "orders?instType=ANY"), "1512"
    )
    assert parse({"op": operation, "args": args[:1]}) == make((TICKERS,), None)


def test_the_heartbeat_is_no_json() -> None:
    assert parse("ping") == Heartbeat("pong")


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ("nonsense", "60012", "Invalid request: nonsense"),
        (b"\xff", "60012", "Invalid request: \ufffd"),
        ("[]", "60012", "Invalid request: []"),
        ({"id": "1", "args": []}, "60012", 'Invalid request: {"id": "1", "args": []}'),
        ({"id": "1", "op": "sub", "args": [{}]}, "60019", "Invalid op: sub"),
        ({"id": "1", "op": "subscribe"}, "60013", "Invalid args"),
        ({"id": "1", "op": "subscribe", "args": []}, "60013", "Invalid args"),
        ({"id": "1", "op": "subscribe", "args": [TICKERS]}, "60013", "Invalid args"),
        ({"id": "1", "op": "subscribe", "args": [{"instId": "A"}]}, "60013", "Invalid args"),
        ({"id": "1", "op": "subscribe", "args": [{"channel": 1}]}, "60013", "Invalid args"),
        ({"op": "login", "args": [{"apiKey": "k"}]}, "60013", "Invalid args"),
    ],
)
def test_what_is_no_request(message: object, code: str, text: str) -> None:
    reply = parse(message)

    assert isinstance(reply, Reply)
    error = json.loads(reply.payload)
    assert error.pop("id", "1") == "1"
    assert error == {"event": "error", "code": code, "msg": text, "connId": CONNECTION_ID}


def test_each_argument_has_an_answer_and_errors_carry_the_id_only() -> None:
    request = Subscribe((TICKERS, "a:B", "orders?instType=ANY"), "1512")
    refused = {"a:B": Refusal(60018, "no")}

    assert OKX.answer(request, [TICKERS, "orders?instType=ANY"], refused, session()) == [
        '{"id":"1512","event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},'
        f'"connId":"{CONNECTION_ID}"}}',
        f'{{"id":"1512","event":"error","code":"60018","msg":"no","connId":"{CONNECTION_ID}"}}',
        '{"id":"1512","event":"subscribe","arg":{"channel":"orders","instType":"ANY"},'
        f'"connId":"{CONNECTION_ID}"}}',
    ]
    assert OKX.answer(Unsubscribe((TICKERS,)), [TICKERS], {}, session()) == [
        '{"event":"unsubscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},'
        f'"connId":"{CONNECTION_ID}"}}'
    ]


@pytest.mark.parametrize(
    ("limit", "answer"),
    [
        (Limit.IDLE, Close(4004, "No data received in 30s.")),
        (Limit.REQUEST_SIZE, Close(1009, "Request frame too long")),
        (Limit.TOPICS, Close(4008, "The number of subscribed channels exceeds the maximum")),
        (Limit.AGE, Close(1001)),
        (Limit.PONG, Close(1008, "over the limit: pong")),
        (
            Limit.REQUESTS,
            '{"id":"3","event":"error","code":"60014","msg":"Requests too frequent",'
            f'"connId":"{CONNECTION_ID}"}}',
        ),
    ],
)
def test_penalties(limit: Limit, answer: Answer) -> None:
    assert OKX.penalty(limit, Subscribe((TICKERS,), "3"), session()) == [answer]


# Logins.


def login(**changes: str) -> Login:
    timestamp = changes.get("timestamp", "1538054050")
    text = f"{timestamp}GET/users/self/verify".encode()
    sign = base64.b64encode(hmac.new(b"the-secret", text, hashlib.sha256).digest()).decode()
    details = {
        **{"apiKey": "the-key", "passphrase": "the-pass", "timestamp": timestamp, "sign": sign},
        **changes,
    }
    action = parse({"op": "login", "args": [details]})
    assert isinstance(action, Login)
    return action


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"timestamp": "1538054021"}, None),
        ({"timestamp": "1538054079.5"}, None),
        ({"timestamp": "1538054019"}, 60006),
        ({"timestamp": "1538054081"}, 60006),
        ({"timestamp": "soon"}, 60004),
        ({"apiKey": "other"}, 60005),
        ({"sign": "other"}, 60007),
        ({"sign": "\u20ac"}, 60007),
        ({"passphrase": "other"}, 60024),
    ],
)
def test_a_login_is_checked(changes: dict[str, str], code: int | None) -> None:
    refusal = OKX.check_login(login(**changes), CREDENTIALS, NOW)

    assert (None if refusal is None else refusal.code) == code


def test_answers_to_a_login() -> None:
    assert OKX.login_answer(login(), None, session()) == [
        f'{{"event":"login","code":"0","msg":"","connId":"{CONNECTION_ID}"}}'
    ]
    assert OKX.login_answer(login(), OKX.login_refusal, session()) == [
        f'{{"event":"error","code":"60005","msg":"Invalid apiKey","connId":"{CONNECTION_ID}"}}',
        Close(4001, "Login failed."),
    ]
    assert "the-key" not in repr(login())


def test_nobody_logs_in_twice() -> None:
    again = parse(
        {"op": "login", "args": [dict(login().details)]}, session("private", is_logged_in=True)
    )

    assert isinstance(again, Reply)
    assert json.loads(again.payload)["code"] == "60031"


# Private data and notices.


@pytest.mark.parametrize(
    ("subscribed", "pushed", "gets"),
    [
        ("orders?instType=ANY", "orders:BTC-USDT?instType=SPOT", True),
        ("orders?instType=SPOT", "orders:BTC-USDT?instType=SPOT", True),
        ("orders?instType=SWAP", "orders:BTC-USDT?instType=SPOT", False),
        ("orders:BTC-USDT?instType=SPOT", "orders:ETH-USDT?instType=SPOT", False),
        ("orders:BTC-USDT?instType=SPOT", "orders:BTC-USDT?instType=SPOT", True),
        ("account", "account", True),
        ("account", "positions", False),
    ],
)
def test_who_gets_private_data(subscribed: str, pushed: str, gets: bool) -> None:
    at = session("private", subscribed, is_logged_in=True)

    assert OKX.receives(pushed, at, {}) is gets
    assert not OKX.receives(pushed, session("private", subscribed), {})


def test_private_data_names_the_account() -> None:
    message = OKX.private("orders:BTC-USDT?instType=SPOT", {"ordId": "1"}, session(), NOW)

    assert json.loads(message) == {
        "arg": {
            "channel": "orders",
            "instType": "SPOT",
            "instId": "BTC-USDT",
            "uid": "614488474791936",
        },
        "data": [{"ordId": "1"}],
    }
    rows = json.loads(OKX.private("account", [{"a": 1}, {"b": 2}], session(), NOW))["data"]
    assert rows == [{"a": 1}, {"b": 2}]


def test_the_end_is_announced_but_not_on_business() -> None:
    for route in ("public", "private"):
        assert OKX.shutdown_notice(session(route), NOW) == (
            '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a'
            f' service upgrade. Please reconnect.","connId":"{CONNECTION_ID}"}}'
        )
    assert OKX.shutdown_notice(session("business"), NOW) is None


# Data.


def test_a_ticker() -> None:
    ticker = Ticker(
        *("BTC-USDT", 9000.0, 9999.99, 10000.0, 8888.88, 2222.0, 2e7, 9, 9, 8888.88, 9999.99),
        NOW,
    )

    message = data(ticker, TICKERS)
    swap = data(ticker._replace(symbol="BTC-USDT-SWAP"), "tickers:BTC-USDT-SWAP")

    assert message["arg"] == {"channel": "tickers", "instId": "BTC-USDT"}
    (row,) = message["data"]
    assert list(row) == [
        *("instType", "instId", "last", "lastSz", "askPx", "askSz", "bidPx", "bidSz", "open24h"),
        *("high24h", "low24h", "volCcy24h", "vol24h", "sodUtc0", "sodUtc8", "ts"),
    ]
    assert all(isinstance(value, str) for value in row.values())
    assert (row["instType"], row["ts"], float(row["last"])) == ("SPOT", str(NOW), 9999.99)
    # Of a pair the turnover is in the currency of the price, of a swap in coins.
    assert float(row["volCcy24h"]) == 2e7
    assert (swap["data"][0]["instType"], float(swap["data"][0]["volCcy24h"])) == ("SWAP", 2222.0)


def test_trades() -> None:
    trade = Trade("BTC-USDT", 130639474, 42219.9, 0.12060306, False, 1630048897897)

    assert data(trade, "trades:BTC-USDT") == {
        "arg": {"channel": "trades", "instId": "BTC-USDT"},
        "data": [
            {
                "instId": "BTC-USDT",
                "tradeId": "130639474",
                "px": "42219.90000000",
                "sz": "0.12060306",
                "side": "buy",
                "ts": "1630048897897",
                "count": "1",
                "source": "0",
                "seqId": 130639474,
            }
        ],
    }
    (row,) = data(trade._replace(is_buyer_maker=True), "trades-all:BTC-USDT")["data"]
    assert list(row) == ["instId", "tradeId", "px", "sz", "side", "source", "ts"]
    assert row["side"] == "sell"


def test_a_candle() -> None:
    kline = Kline(
        *("BTC-USDT", 86_400, 1597026383085, 8533.02, 8553.74, 8527.17, 8548.26, 45247.0, 1.5),
        *(1, 1, 1, False, NOW),
    )

    message = data(kline, "candle1D:BTC-USDT")

    assert message == {
        "arg": {"channel": "candle1D", "instId": "BTC-USDT"},
        "data": [
            [
                *("1597026383085", "8533.02000000", "8553.74000000", "8527.17000000"),
                *("8548.26000000", "45247.00000000", "45247.00000000", "1.50000000", "0"),
            ]
        ],
    }
    assert data(kline._replace(is_closed=True), "candle1D:BTC-USDT")["data"][0][8] == "1"


def test_order_books() -> None:
    change = Depth(
        "BTC-USDT", 123457, 123460, 123456, ((8476.97, 256.0),), ((8476.98, 0.0),), 1597026383085
    )

    assert data(change, "books:BTC-USDT") == {
        "arg": {"channel": "books", "instId": "BTC-USDT"},
        "action": "update",
        "data": [
            {
                "asks": [["8476.98000000", "0", "0", "0"]],
                "bids": [["8476.97000000", "256.00000000", "0", "3"]],
                "ts": "1597026383085",
                "checksum": 0,
                "prevSeqId": 123456,
                "seqId": 123460,
            }
        ],
    }
    whole = change._replace(is_snapshot=True)
    snapshot = data(whole, "books:BTC-USDT")
    assert (snapshot["action"], snapshot["data"][0]["prevSeqId"]) == ("snapshot", -1)
    first_five, best = data(whole, "books5:BTC-USDT"), data(whole, "bbo-tbt:BTC-USDT")
    assert "action" not in first_five
    assert "action" not in best
    assert list(first_five["data"][0]) == ["asks", "bids", "instId", "ts", "seqId"]
    assert list(best["data"][0]) == ["asks", "bids", "ts", "seqId"]


def test_marks() -> None:
    mark = Mark("BTC-USDT-SWAP", 42310.6, 42300.0, 0.0001, 1703059200000, 1630049139746)

    (price,) = data(mark, "mark-price:BTC-USDT-SWAP")["data"]
    (index,) = data(mark, "index-tickers:BTC-USDT")["data"]
    (funding,) = data(mark, "funding-rate:BTC-USDT-SWAP")["data"]

    assert price == {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "markPx": "42310.60000000",
        "ts": "1630049139746",
    }
    assert index["idxPx"] == "42300.00000000"
    assert (funding["fundingRate"], funding["fundingTime"]) == ("0.00010000", "1703059200000")


def test_what_no_channel_tells_of() -> None:
    with pytest.raises(TypeError, match="no channel of OKX tells of Quote"):
        data(Quote("BTC-USDT", 1, 1.0, 1.0, 1.0, 1.0, 1), TICKERS)
