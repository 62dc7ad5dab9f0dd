"""What holds for every format: whatever comes is understood or answered, and data is JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.credentials import Credentials
from wsresilient.testing.formats import format_of
from wsresilient.testing.formats.base import (
    ExchangeFormat,
    ListTopics,
    Login,
    Refusal,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.limits import Limit
from wsresilient.testing.market import Market
from wsresilient.venues import VENUE_NAMES, venue_by_name

AT = 1_672_515_782_136
CREDENTIALS = Credentials("key", "secret", "pass")
FORMATS = {name: format_of(name) for name in VENUE_NAMES}
ROUTES = (
    *("/ws-api/v3", "/market/stream", "/private/ws/k", "/ws/v5/business", "/v5/public/option"),
    *("/v5/private", "/stream"),
)
# Words of the four venues, so that what is made up is now and then nearly right.
WORDS = st.sampled_from(
    [
        *("id", "op", "args", "method", "params", "param", "req_id", "channel", "instId", "symbol"),
        *("subscribe", "unsubscribe", "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "login"),
        *("auth", "ping", "sub.deal", "unsub.kline", "sub.kline", "personal.filter", "filters"),
        *("SET_PROPERTY", "GET_PROPERTY", "combined", "BTCUSDT", "BTC_USDT", "tickers", "orders"),
        *("userDataStream.subscribe.signature", "apiKey", "timestamp", "sign", "signature", "key"),
        *("passphrase", "interval", "Min1", "orderbook.50.BTCUSDT", "btcusdt@trade", "reqTime"),
    ]
)
VALUES = st.recursive(
    WORDS | st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=6)


def sessions(venue: ExchangeFormat) -> list[Session]:
    """Give a connection to each of the venue's paths."""
    found = [venue.open(path) for path in (venue.target([]), *ROUTES)]
    return [session for session in found if session is not None]


@pytest.mark.parametrize("venue", FORMATS.values(), ids=FORMATS)
@given(message=OBJECTS | VALUES)
def test_whatever_comes_is_understood_or_answered(venue: ExchangeFormat, message: Any) -> None:
    for session in sessions(venue):
        for action in venue.parse(json.dumps(message), session):
            if isinstance(action, Login):
                refusal = venue.check_login(action, CREDENTIALS, AT)
                assert venue.login_answer(action, refusal, session)
            elif isinstance(action, ListTopics):
                assert venue.listing(action, session)
            elif isinstance(action, (Subscribe, Unsubscribe)):
                found = {topic: venue.stream(topic, session) for topic in action.topics}
                refused = {t: each for t, each in found.items() if isinstance(each, Refusal)}
                accepted = [topic for topic in found if topic not in refused]
                assert venue.answer(action, accepted, refused, session)


@pytest.mark.parametrize("venue", FORMATS.values(), ids=FORMATS)
@given(payload=st.text(max_size=20) | st.binary(max_size=20))
def test_what_is_no_json_is_survived(venue: ExchangeFormat, payload: str | bytes) -> None:
    for session in sessions(venue):
        venue.parse(payload, session)


@pytest.mark.parametrize("venue", FORMATS.values(), ids=FORMATS)
def test_each_limit_has_a_penalty(venue: ExchangeFormat) -> None:
    for session in sessions(venue):
        for limit in Limit:
            for request in (Subscribe(("a",)), None):
                assert isinstance(venue.penalty(limit, request, session), list)
    assert all(400 <= venue.connect_refusal(limit).status <= 429 for limit in Limit)


TOPICS = {
    "binance": [
        *("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@ticker", "btcusdt@miniTicker"),
        *("!miniTicker@arr", "btcusdt@bookTicker", "btcusdt@kline_1m", "btcusdt@depth"),
        *("btcusdt@depth5",),
    ],
    "binance-futures": [
        *("btcusdt@aggTrade", "btcusdt@ticker", "!ticker@arr", "btcusdt@kline_1m"),
        *("btcusdt@markPrice", "!markPrice@arr", "!miniTicker@arr"),
    ],
    "okx": [
        *("tickers:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT", "books5:BTC-USDT"),
        *("bbo-tbt:BTC-USDT", "mark-price:BTC-USDT", "funding-rate:BTC-USDT-SWAP"),
        *("index-tickers:BTC-USDT",),
    ],
    "okx-business": ["candle1m:BTC-USDT", "trades-all:BTC-USDT"],
    "bybit": [
        *("publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT", "orderbook.1.BTCUSDT"),
        *("orderbook.50.BTCUSDT",),
    ],
    "bybit-spot": ["publicTrade.BTCUSDT", "tickers.BTCUSDT", "orderbook.50.BTCUSDT"],
    "mexc": [
        *("deal:BTC_USDT", "ticker:BTC_USDT", "kline:BTC_USDT?interval=Min1", "depth:BTC_USDT"),
        *("depth.full:BTC_USDT?limit=20", "fair.price:BTC_USDT", "funding.rate:BTC_USDT"),
        *("index.price:BTC_USDT", "tickers"),
    ],
}


@pytest.mark.parametrize(
    ("name", "topic"), [(name, topic) for name, topics in TOPICS.items() for topic in topics]
)
def test_data_is_json_and_tells_of_its_topic(name: str, topic: str) -> None:
    venue, library = FORMATS[name], venue_by_name(name)
    session = venue.open(venue.target([]))
    assert session is not None
    stream = venue.stream(topic, session)
    assert isinstance(stream, Stream)
    follower = Market(venue.default_symbols, seed=1).follow(stream)

    events = [follower.snapshot(AT)] if stream.begins_with_snapshot else []
    events += [follower.next(AT + number) for number in range(7)]
    for event in events:
        text = venue.data(event, topic, session.variant)
        incoming = library.read(library.decode(text))
        # The library, which was written apart, understands it as data of this topic.
        assert library.covers(topic, incoming), text
