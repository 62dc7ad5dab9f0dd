"""The channels of OKX: on which URL each is, what it is about, and whether it needs a login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wsresilient.testing.events import SILENT, Kind, Stream
from wsresilient.testing.rest_shapes.okx import BARS
from wsresilient.venues.base import join_topic, split_topic

__all__ = ["Channel", "argument_of", "look_up", "topic_of"]

_PUBLIC: dict[str, Kind | None] = {
    "tickers": Kind.TICKER,
    "trades": Kind.TRADE,
    "books": Kind.DEPTH,
    "books5": Kind.BOOK,
    "bbo-tbt": Kind.BOOK,
    "mark-price": Kind.MARK,
    "index-tickers": Kind.MARK,
    "funding-rate": Kind.MARK,
    # Accepted, and silent here.
    **dict.fromkeys(("instruments", "open-interest", "price-limit", "opt-summary", "status")),
    **dict.fromkeys(("estimated-price", "liquidation-orders", "adl-warning", "option-trades")),
}
_TICK_BY_TICK = ("books-l2-tbt", "books50-l2-tbt")
_PRIVATE = (
    *("account", "positions", "balance_and_position", "orders", "fills"),
    *("liquidation-warning", "account-greeks"),
)
_BUSINESS_PRIVATE = (
    *("orders-algo", "algo-advance", "algo-recurring-buy"),
    *("grid-orders-spot", "grid-orders-contract", "grid-positions", "grid-sub-orders"),
    *("deposit-info", "withdrawal-info", "copytrading-lead-notification"),
)
_LEVELS = {"books5": 5, "bbo-tbt": 1}


class Channel(NamedTuple):
    """What a topic stands for, and whether it needs a login."""

    stream: Stream
    needs_login: bool = False


def look_up(topic: str, route: str) -> Channel | None:
    """Find what a topic stands for on a URL; None: it is not there."""
    name, symbol, _ = split_topic(topic)
    if route == "public" and name in _PUBLIC:
        return _of_market(name, symbol, _PUBLIC[name])
    if route == "public" and name in _TICK_BY_TICK and symbol is not None:
        depth = Stream(symbol, Kind.DEPTH, begins_with_snapshot=True)
        return Channel(depth, needs_login=True)
    if route == "private" and name in _PRIVATE:
        return Channel(SILENT, needs_login=True)
    if route == "business":
        return _of_business(name, symbol)
    return None


def _of_market(name: str, symbol: str | None, kind: Kind | None) -> Channel | None:
    if kind is None:
        return Channel(SILENT)
    if symbol is None:
        return None
    if kind is Kind.DEPTH:
        # An update without changes now and then: the real ones come after a minute of nothing.
        return Channel(Stream(symbol, kind, begins_with_snapshot=True, is_repeated=True))
    return Channel(Stream(symbol, kind, levels=_LEVELS.get(name)))


def _of_business(name: str, symbol: str | None) -> Channel | None:
    if name in _BUSINESS_PRIVATE:
        return Channel(SILENT, needs_login=True)
    if symbol is None:
        return None
    if name == "trades-all":
        return Channel(Stream(symbol, Kind.TRADE))
    for prefix in ("candle", "mark-price-candle", "index-candle"):
        bar = name.removeprefix(prefix)
        if name.startswith(prefix) and bar in BARS:
            return Channel(Stream(symbol, Kind.KLINE, interval=BARS[bar]))
    return None


def argument_of(topic: str) -> dict[str, str]:
    """Write a topic as an ``arg``.

    >>> argument_of("orders:BTC-USDT?instType=SPOT")
    {'channel': 'orders', 'instType': 'SPOT', 'instId': 'BTC-USDT'}
    """
    channel, symbol, parameters = split_topic(topic)
    argument = {"channel": channel, **parameters}
    return argument if symbol is None else {**argument, "instId": symbol}


def topic_of(argument: Mapping[str, Any]) -> str | None:
    """Read an ``arg`` as a topic; None: it is none."""
    if not all(isinstance(value, str) for value in argument.values()):
        return None
    rest = dict(argument)
    channel, symbol = rest.pop("channel", None), rest.pop("instId", None)
    return None if not channel else join_topic(channel, symbol, rest)
