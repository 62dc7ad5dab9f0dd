"""How the fake exchange speaks MEXC futures. What is expected is copied from what is documented."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import (
    ALL_SYMBOLS,
    SILENT,
    Depth,
    Kind,
    Kline,
    Mark,
    Quote,
    Stream,
    Ticker,
    Trade,
)
from wsresilient.testing.formats.base import (
    Close,
    Heartbeat,
    Login,
    Refusal,
    Reply,
    Session,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.mexc import MEXCFormat
from wsresilient.testing.limits import Limit, Sign

MEXC = MEXCFormat()
NOW = 1789498321790
CREDENTIALS = Credentials("mxU1TzSmRDW1o5AsE", "the-secret")


def session(*topics: str, is_logged_in: bool = False) -> Session:
    return Session(
        "edge",
        route="edge",
        connection=7,
        subscribed=dict.fromkeys(topics),
        is_logged_in=is_logged_in,
        now=NOW,
    )


def parse(message: object, at: Session | None = None) -> Any:
    text = message if isinstance(message, (str, bytes)) else json.dumps(message)
    actions = MEXC.parse(text, at or session())
    assert len(actions) <= 1
    return actions[0] if actions else None


# Connections.


def test_two_paths_are_one_socket() -> None:
    assert MEXC.target([]) == "/edge"
    assert MEXC.open("/edge") == MEXC.open("/ws") == Session("edge", route="edge")
    assert MEXC.open("/") is None
    assert MEXC.open("/edge/x") is None


def test_no_topic_fits_into_the_url() -> None:
    with pytest.raises(ConfigurationError, match="no subscription by URL"):
        MEXC.target(["deal:BTC_USDT"])


def test_only_a_heartbeat_keeps_a_connection() -> None:
    assert MEXC.limits.signs_of_life == {Sign.HEARTBEAT}
    assert MEXC.limits.idle_limit == 60.0
    assert (MEXC.limits.max_topics, MEXC.limits.max_connections) == (100, 10)


# Topics and requests.


@pytest.mark.parametrize(
    ("method", "param", "topic", "stream"),
    [
        ("ticker", {"symbol": "A_USDT"}, "ticker:A_USDT", Stream("A_USDT", Kind.TICKER)),
        ("tickers", {}, "tickers", Stream(ALL_SYMBOLS, Kind.TICKER)),
        ("deal", {"symbol": "A_USDT"}, "deal:A_USDT", Stream("A_USDT", Kind.TRADE)),
        (
            "deal",
            {"symbol": "A_USDT", "compress": False},
            "deal:A_USDT?compress=false",
            Stream("A_USDT", Kind.TRADE),
        ),
        (
            "kline",
            {"symbol": "A_USDT", "interval": "Min60"},
            "kline:A_USDT?interval=Min60",
            Stream("A_USDT", Kind.KLINE, interval=3600),
        ),
        ("depth", {"symbol": "A_USDT"}, "depth:A_USDT", Stream("A_USDT", Kind.DEPTH)),
        (
            "depth",
            {"symbol": "A_USDT", "compress": False},
            "depth:A_USDT?compress=false",
            Stream("A_USDT", Kind.DEPTH, one_by_one=True),
        ),
        (
            "depth.full",
            {"symbol": "A_USDT", "limit": 5},
            "depth.full:A_USDT?limit=5",
            Stream("A_USDT", Kind.BOOK, levels=5),
        ),
        (
            "depth.full",
            {"symbol": "A_USDT"},
            "depth.full:A_USDT",
            Stream("A_USDT", Kind.BOOK, levels=20),
        ),
        ("depth.step", {"symbol": "A_USDT", "step": "10"}, "depth.step:A_USDT?step=10", SILENT),
        (
            "funding.rate",
            {"symbol": "A_USDT"},
            "funding.rate:A_USDT",
            Stream("A_USDT", Kind.MARK),
        ),
        ("index.price", {"symbol": "A_USDT"}, "index.price:A_USDT", Stream("A_USDT", Kind.MARK)),
        ("fair.price", {"symbol": "A_USDT"}, "fair.price:A_USDT", Stream("A_USDT", Kind.MARK)),
        ("contract", None, "contract", SILENT),
    ],
)
def test_topics(method: str, param: dict[str, Any] | None, topic: str, stream: Stream) -> None:
    message: dict[str, Any] = {"method": f"sub.{method}"}
    if param is not None:
        message["param"] = {**param, "unknown": 1}

    assert parse(message) == Subscribe((topic,), name=f"sub.{method}")
    assert MEXC.stream(topic, session()) == stream


@pytest.mark.parametrize(
    "topic",
    [
        "kline:A_USDT",
        "kline:A_USDT?interval=Min2",
        "depth.full:A_USDT?limit=7",
        "trade:A_USDT",
        "deal",
        "",
    ],
)
def test_what_is_no_topic(topic: str) -> None:
    assert isinstance(MEXC.stream(topic, session()), Refusal)


def test_a_contract_that_does_not_exist_is_named_in_a_text() -> None:
    assert MEXC.refuses_unknown_symbols
    refusal = MEXC.refusal("deal:NOPE_USDT?compress=false")

    answers = MEXC.answer(
        Subscribe(("deal:NOPE_USDT",), name="sub.deal"), [], {"deal:NOPE_USDT": refusal}, session()
    )

    assert answers == [
        '{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1789498321790}'
    ]


def test_an_acknowledgement_names_the_method_only() -> None:
    request = Subscribe(("depth:A_USDT",), name="sub.depth")

    assert MEXC.answer(request, request.topics, {}, session()) == [
        '{"channel":"rs.sub.depth","data":"success","ts":1789498321790}'
    ]


def test_an_unsubscribe_request_ends_all_topics_of_channel_and_symbol() -> None:
    at = session(
        "kline:A_USDT?interval=Min1",
        "kline:A_USDT?interval=Min60",
        "kline:B_USDT?interval=Min1",
        "depth:A_USDT",
        "tickers",
    )

    request = parse({"method": "unsub.kline", "param": {"symbol": "A_USDT"}}, at)

    assert request == Unsubscribe(
        ("kline:A_USDT?interval=Min1", "kline:A_USDT?interval=Min60"), name="unsub.kline"
    )
    assert MEXC.answer(request, request.topics, {}, at) == [
        '{"channel":"rs.unsub.kline","data":"success","ts":1789498321790}'
    ]
    assert parse({"method": "unsub.tickers"}, at).topics == ("tickers",)
    assert parse({"method": "unsub.deal", "param": {"symbol": "A_USDT"}}, at).topics == ()


@pytest.mark.parametrize("method", ["usub.depth.full", "unsub.depth.full"])
def test_the_full_depth_may_be_ended_as_the_documentation_prints_it(method: str) -> None:
    at = session("depth.full:A_USDT?limit=5", "depth:A_USDT")

    request = parse({"method": method, "param": {"symbol": "A_USDT"}}, at)

    assert request == Unsubscribe(("depth.full:A_USDT?limit=5",), name=method)


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        b"\xff",
        [],
        {},
        {"method": 1},
        {"method": "sub"},
        {"method": "sub.nothing", "param": {"symbol": "A_USDT"}},
        {"method": "usub.deal", "param": {"symbol": "A_USDT"}},
        {"method": "SUB.deal", "param": {"symbol": "A_USDT"}},
    ],
)
def test_what_is_not_known_gets_no_answer(message: object) -> None:
    assert parse(message) is None


def test_a_request_without_a_symbol_is_refused() -> None:
    request = parse({"method": "sub.deal", "param": []})

    assert request.topics == ("deal:",)
    assert MEXC.refusal("deal:").message == "Contract [] not exists"


def test_a_ping_is_a_heartbeat() -> None:
    assert parse({"method": "ping"}) == Heartbeat(
        '{"channel":"pong","data":1789498321790,"ts":1789498321790}'
    )


# Limits.


def test_what_is_too_much() -> None:
    (too_many,) = MEXC.penalty(Limit.TOPICS, Subscribe(("deal:A_USDT",)), session())

    assert isinstance(too_many, str)
    assert json.loads(too_many)["channel"] == "rs.error"
    assert MEXC.penalty(Limit.IDLE, None, session()) == [Close(None)]
    (too_fast,) = MEXC.penalty(Limit.MESSAGES, None, session())
    assert isinstance(too_fast, Close)
    assert MEXC.connect_refusal(Limit.CONNECTIONS).status == 429


# Logins.


def sign(at: int, secret: bytes = b"the-secret") -> str:
    text = f"mxU1TzSmRDW1o5AsE{at}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def login(
    at: object = NOW,
    key: str = "mxU1TzSmRDW1o5AsE",
    signature: str | None = None,
    **more: Any,
) -> Login:
    parameters = {
        "apiKey": key,
        "reqTime": at,
        "signature": sign(NOW) if signature is None else signature,
    }
    action = parse({"method": "login", "param": parameters, **more})
    assert isinstance(action, Login)
    return action


@pytest.mark.parametrize("at", [NOW, str(NOW)])
def test_a_login_is_accepted(at: object) -> None:
    attempt = login(at)

    assert MEXC.check_login(attempt, CREDENTIALS, NOW) is None
    assert MEXC.login_answer(attempt, None, session()) == [
        '{"channel":"rs.login","data":"success","ts":1789498321790}'
    ]


@pytest.mark.parametrize(
    ("attempt", "now", "code"),
    [
        (login(key="another"), NOW, 401),
        (login(signature=sign(NOW, b"wrong")), NOW, 602),
        (login(signature="ü"), NOW, 602),
        (login(NOW + 1), NOW, 602),
        (login("", signature=sign(NOW)), NOW, 602),
        (login(), NOW + 10_001, 513),
        (login(), NOW - 10_001, 513),
        (parse({"method": "login"}), NOW, 401),
    ],
)
def test_a_login_is_refused(attempt: Login, now: int, code: int) -> None:
    refusal = MEXC.check_login(attempt, CREDENTIALS, now)

    assert refusal is not None
    assert refusal.code == code
    (answer,) = MEXC.login_answer(attempt, refusal, session())
    assert isinstance(answer, str)
    assert json.loads(answer) == {"channel": "rs.error", "data": refusal.message, "ts": NOW}


def test_a_time_that_is_no_number_is_refused() -> None:
    text = hmac.new(b"the-secret", b"mxU1TzSmRDW1o5AsEx", hashlib.sha256).hexdigest()

    refusal = MEXC.check_login(login("x", signature=text), CREDENTIALS, NOW)

    assert refusal is not None
    assert refusal.code == 513


# Private data.


def logged_in(**more: Any) -> Session:
    at = session(is_logged_in=True)
    MEXC.login_answer(login(**more), None, at)
    return at


def filtered(at: Session, *filters: Any) -> str:
    reply = parse({"method": "personal.filter", "param": {"filters": list(filters)}}, at)
    assert isinstance(reply, Reply)
    channel: str = json.loads(reply.payload)["channel"]
    return channel


ORDER = {"symbol": "BTC_USDT", "orderId": 1}


def test_after_a_login_everything_private_comes() -> None:
    at = logged_in()

    for topic in ("personal.order", "push.personal.asset", "personal.track.order"):
        assert MEXC.receives(topic, at, ORDER)
    assert not MEXC.receives("personal.order", session(), ORDER)


def test_a_refused_login_changes_nothing() -> None:
    at = session()

    MEXC.login_answer(login(), Refusal(602, "no"), at)

    assert at == session()


def test_the_client_may_not_want_private_data_at_first() -> None:
    at = logged_in(subscribe=False)
    assert not MEXC.receives("personal.order", at, ORDER)

    assert filtered(at) == "rs.personal.filter"
    assert MEXC.receives("personal.order", at, ORDER)


def test_a_filter_replaces_the_one_before() -> None:
    at = logged_in()

    assert filtered(at, {"filter": "order", "rules": ["BTC_USDT"]}, {"filter": "asset"}) == (
        "rs.personal.filter"
    )
    assert MEXC.receives("personal.order", at, ORDER)
    assert not MEXC.receives("personal.order", at, {"symbol": "ETH_USDT"})
    assert MEXC.receives("personal.asset", at, {"currency": "USDT"})
    assert not MEXC.receives("personal.order.deal", at, ORDER)

    assert filtered(at, {"filter": "order.deal"}) == "rs.personal.filter"
    assert MEXC.receives("personal.order.deal", at, ORDER)
    assert not MEXC.receives("personal.order", at, ORDER)


@pytest.mark.parametrize("each", [None, {}, {"filter": "nothing"}, {"rules": ["BTC_USDT"]}])
def test_a_filter_that_is_wrong_changes_nothing(each: object) -> None:
    at = logged_in()

    assert filtered(at, each) == "rs.error"
    assert MEXC.receives("personal.order", at, ORDER)


def test_a_filter_needs_a_login() -> None:
    assert filtered(session()) == "rs.error"


@pytest.mark.parametrize("topic", ["personal.order", "push.personal.order"])
def test_private_data_in_its_envelope(topic: str) -> None:
    assert json.loads(MEXC.private(topic, ORDER, logged_in(), NOW)) == {
        "channel": "push.personal.order",
        "data": ORDER,
        "ts": NOW,
    }


# Data.


def data(event: Any, topic: str) -> Any:
    return json.loads(MEXC.data(event, topic, "edge"))


TRADE = Trade("BTC_USDT", 13064218826, 115309.8, 0.055, True, 1755487578276)


def test_deals_are_a_list() -> None:
    assert data(TRADE, "deal:BTC_USDT") == {
        "symbol": "BTC_USDT",
        "data": [
            {
                "p": 115309.8,
                "v": 55,
                "T": 2,
                "O": 3,
                "M": 1,
                "t": 1755487578276,
                "i": 13064218826,
            }
        ],
        "channel": "push.deal",
        "ts": 1755487578276,
    }
    assert data(TRADE._replace(is_buyer_maker=False), "deal:BTC_USDT")["data"][0]["T"] == 1


def test_a_deal_without_aggregation_is_one_object() -> None:
    one = data(TRADE, "deal:BTC_USDT?compress=false")

    assert one["data"] == data(TRADE, "deal:BTC_USDT")["data"][0]


def test_the_smallest_quantity_is_one_contract() -> None:
    assert data(TRADE._replace(quantity=0.0001), "deal:BTC_USDT")["data"][0]["v"] == 1


DEPTH = Depth("A_USDT", 6, 7, 5, ((1233.04, 0.0),), ((1235.06, 0.606),), 1789498405579)


def test_depth_is_merged() -> None:
    assert data(DEPTH, "depth:A_USDT") == {
        "symbol": "A_USDT",
        "data": {
            "cts": 1789498405579,
            "asks": [[1235.06, 606, 1]],
            "bids": [[1233.04, 0, 0]],
            "end": 7,
            "begin": 6,
            "version": 7,
        },
        "channel": "push.depth",
        "ts": 1789498405579,
    }


def test_depth_without_aggregation_has_a_version_only() -> None:
    change = DEPTH._replace(first_id=7, last_id=7)

    body = data(change, "depth:A_USDT?compress=false")["data"]

    assert set(body) == {"cts", "asks", "bids", "version"}
    assert body["version"] == 7


def test_the_full_depth() -> None:
    message = data(DEPTH._replace(is_snapshot=True), "depth.full:A_USDT?limit=20")

    assert message["channel"] == "push.depth.full"
    assert set(message["data"]) == {"cts", "asks", "bids", "version"}


def test_a_candle_opens_in_seconds_and_never_says_that_it_is_closed() -> None:
    kline = Kline(
        symbol="BTC_USDT",
        interval=3600,
        opened_at=1587448800000,
        open=6894.5,
        high=6910.5,
        low=6885.0,
        close=6885.0,
        volume=1611.754,
        turnover=233.5,
        trade_count=5,
        first_trade_id=1,
        last_trade_id=5,
        is_closed=True,
        at=1587442022003,
    )

    assert data(kline, "kline:BTC_USDT?interval=Min60") == {
        "channel": "push.kline",
        "data": {
            "a": 233.5,
            "c": 6885,
            "h": 6910.5,
            "interval": "Min60",
            "l": 6885,
            "o": 6894.5,
            "q": 1611754,
            "symbol": "BTC_USDT",
            "t": 1587448800,
        },
        "symbol": "BTC_USDT",
        "ts": 1587442022003,
    }


TICKER = Ticker("BTC_USDT", 200.0, 210.0, 220.0, 190.0, 5.0, 1000.0, 3, 3, 209.9, 210.1, NOW)


def test_a_ticker_has_the_fields_of_the_real_one() -> None:
    message = data(TICKER, "ticker:BTC_USDT")

    assert (message["channel"], message["symbol"], message["ts"]) == (
        "push.ticker",
        "BTC_USDT",
        NOW,
    )
    assert set(message["data"]) == {
        *("ask1", "bid1", "contractId", "fairPrice", "fundingRate", "high24Price", "indexPrice"),
        *("lastPrice", "lower24Price", "maxBidPrice", "minAskPrice", "riseFallRate"),
        *("riseFallValue", "symbol", "timestamp", "holdVol", "volume24"),
    }
    assert message["data"]["riseFallRate"] == 0.05
    assert message["data"]["volume24"] == 5000


def test_tickers_of_all_are_a_list_and_name_no_symbol_outside_of_it() -> None:
    message = data(TICKER, "tickers")

    assert message["channel"] == "push.tickers"
    assert "symbol" not in message
    assert [each["symbol"] for each in message["data"]] == ["BTC_USDT"]


@pytest.mark.parametrize(
    ("topic", "channel", "body"),
    [
        ("fair.price:BTC_USDT", "push.fair.price", {"price": 75986}),
        ("index.price:BTC_USDT", "push.index.price", {"price": 75980}),
        (
            "funding.rate:BTC_USDT",
            "push.funding.rate",
            {"rate": 0.000081, "nextSettleTime": 1789516800000},
        ),
    ],
)
def test_mark_prices(topic: str, channel: str, body: dict[str, Any]) -> None:
    mark = Mark("BTC_USDT", 75986.0, 75980.0, 0.000081, 1789516800000, 1789498540821)

    assert data(mark, topic) == {
        "symbol": "BTC_USDT",
        "data": {"symbol": "BTC_USDT", **body},
        "channel": channel,
        "ts": 1789498540821,
    }


def test_there_are_no_other_events() -> None:
    with pytest.raises(TypeError, match="Quote"):
        MEXC.data(Quote("A_USDT", 1, 1, 1, 1, 1, 1), "x", "edge")
