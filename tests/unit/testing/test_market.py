"""The made-up market, and the feed that lets its topics take turns."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import Kind, Quote, Stream, Ticker, Trade
from wsresilient.testing.feed import Feed
from wsresilient.testing.market import Market

BTC = Stream("BTCUSDT", Kind.TRADE)
ETH = Stream("ETHUSDT", Kind.TRADE)


def trades(market: Market, symbol: str, count: int) -> list[Trade]:
    follower = market.follow(Stream(symbol, Kind.TRADE))
    events = [follower.next(at) for at in range(count)]
    return [event for event in events if isinstance(event, Trade)]


def feed_of(*streams: Stream, rate: float = 100.0) -> Feed:
    feed = Feed(Market(["BTCUSDT", "ETHUSDT"], seed=1), rate)
    for stream in streams:
        feed.add(stream.symbol.lower(), stream)
    return feed


def test_trades_are_numbered_without_a_hole_for_each_symbol() -> None:
    market = Market(["BTCUSDT", "ETHUSDT"])
    first = trades(market, "BTCUSDT", 5)
    trades(market, "ETHUSDT", 3)
    second = trades(market, "BTCUSDT", 5)

    ids = [trade.trade_id for trade in first + second]

    assert ids == list(range(ids[0], ids[0] + 10))


def test_prices_walk_and_stay_positive() -> None:
    prices = [trade.price for trade in trades(Market(["BTCUSDT"]), "BTCUSDT", 1000)]

    assert len(set(prices)) > 900
    assert min(prices) > 0
    assert all(abs(b / a - 1) < 0.001 for a, b in itertools.pairwise(prices))


def test_the_ticker_sums_up_the_trades() -> None:
    market = Market(["BTCUSDT"])
    follower = market.follow(Stream("BTCUSDT", Kind.TICKER))
    before = follower.next(76)
    made = trades(market, "BTCUSDT", 10)

    ticker = follower.next(77)

    assert isinstance(before, Ticker)
    assert isinstance(ticker, Ticker)
    assert ticker.trade_count == 10
    assert ticker.last_trade_id == made[-1].trade_id
    volume = sum(trade.quantity for trade in made)
    assert ticker.volume - before.volume == pytest.approx(volume)
    assert ticker.low <= ticker.last_price <= ticker.high
    assert ticker.bid < ticker.ask
    assert ticker.at == 77


def test_symbols_are_ranked_by_turnover_in_their_order() -> None:
    market = Market(["XRPUSDT", "BTCUSDT", "ETHUSDT"])
    trades(market, "ETHUSDT", 100)
    tickers = [market.instrument(symbol) for symbol in market.symbols]

    turnovers = [each.ticker(0).turnover for each in tickers if each is not None]

    assert len(turnovers) == 3
    assert turnovers == sorted(turnovers, reverse=True)


def test_quotes_have_growing_numbers() -> None:
    market = Market(["BTCUSDT"])
    follower = market.follow(Stream("BTCUSDT", Kind.QUOTE))
    quotes = [follower.next(0) for _ in range(3)]

    numbers = [quote.update_id for quote in quotes if isinstance(quote, Quote)]

    assert len(numbers) == 3
    assert numbers == sorted(set(numbers))


def test_the_same_seed_gives_the_same_market() -> None:
    one, same, other = (trades(Market(["BTCUSDT"], seed=seed), "BTCUSDT", 3) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_symbols_are_known_without_regard_to_case() -> None:
    market = Market(["btcusdt"])

    assert market.symbols == ("BTCUSDT",)
    assert "BTCUSDT" in market
    assert "ETHUSDT" not in market
    assert repr(market) == "<Market BTCUSDT>"
    assert repr(Market(["A", "B", "C", "D", "E", "F", "G"])) == "<Market A, B, C, D, E and 2 more>"


def test_a_market_without_symbols_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="symbols must name at least one symbol"):
        Market([])


def test_as_many_events_are_due_as_the_rate_says() -> None:
    feed = feed_of(BTC, rate=150.0)

    counts = [feed.due(tick * 0.02) for tick in range(501)]

    assert counts[0] == 0
    assert sum(counts) == pytest.approx(1500, abs=1)
    assert set(counts[1:]) <= {2, 3, 4}  # 0.06 is not quite 3 * 0.02


def test_fractions_are_carried_over() -> None:
    feed = feed_of(BTC, rate=10.0)

    assert sum(feed.due(tick * 0.02) for tick in range(501)) == pytest.approx(100, abs=1)


def test_a_long_pause_is_not_made_up_for() -> None:
    feed = feed_of(BTC, rate=100.0)
    feed.due(0.0)

    assert feed.due(1000.0) == 10


def test_a_stopped_feed_owes_nothing() -> None:
    feed = feed_of(BTC)
    feed.due(0.0)
    feed.is_running = False
    assert feed.due(0.05) == 0
    feed.is_running = True

    assert feed.due(0.10) == 5


def test_topics_take_turns() -> None:
    feed = feed_of(BTC, ETH)

    made = [topic for topic, _ in feed.events(5, at=0)]

    assert made == ["btcusdt", "ethusdt", "btcusdt", "ethusdt", "btcusdt"]
    assert [topic for topic, _ in feed.events(1, at=0)] == ["ethusdt"]


def test_a_silenced_topic_passes_its_turns() -> None:
    feed = feed_of(BTC, ETH)
    feed.silenced.add("btcusdt")

    assert not feed.tells("btcusdt")
    assert feed.tells("ethusdt")
    assert [topic for topic, _ in feed.events(4, at=0)] == ["ethusdt", "ethusdt"]

    feed.silenced.discard("btcusdt")
    assert [topic for topic, _ in feed.events(2, at=0)] == ["btcusdt", "ethusdt"]


def test_a_topic_is_in_it_once_and_can_leave() -> None:
    feed = feed_of(BTC, ETH, ETH)
    feed.remove("btcusdt")
    feed.remove("never there")

    assert feed.topics == ("ethusdt",)
    assert Counter(topic for topic, _ in feed.events(4, at=0)) == {"ethusdt": 4}


def test_a_symbol_that_does_not_exist_gets_no_turn() -> None:
    feed = feed_of(Stream("NOSUCH", Kind.TRADE))

    assert feed.topics == ()
    assert list(feed.events(3, at=0)) == []
    assert feed.due(0.0) == feed.due(1.0) == 0


def test_the_rate_is_checked_and_shown() -> None:
    feed = feed_of(BTC, rate=5)
    assert repr(feed) == "<Feed running rate=5 topics=1>"

    with pytest.raises(ConfigurationError, match="rate must be 0 or more messages per second"):
        feed.rate = -1

    assert feed.rate == 5
