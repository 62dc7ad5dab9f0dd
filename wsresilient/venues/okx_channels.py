"""The channels of OKX: which there are, on which of its three URLs, and how a topic spells one.

A topic is "channel:instrument?parameter=value"; on the wire it is a JSON object (``arg``). After
https://www.okx.com/docs-v5/en/ as of 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..config import unknown_name
from ..errors import ConfigurationError
from .base import join_topic, split_topic

__all__ = ["CHANNEL_TYPES", "argument_of", "build", "channels_of", "needs_login", "topic_of"]

CHANNEL_TYPES = ("public", "private", "business")

_BARS = (
    *("1s", "1m", "3m", "5m", "15m", "30m"),
    *("1H", "2H", "4H", "6H", "12H", "1D", "2D", "3D", "5D", "1W", "1M", "3M"),
    *("6Hutc", "12Hutc", "1Dutc", "2Dutc", "3Dutc", "5Dutc", "1Wutc", "1Mutc", "3Mutc"),
)
#: Channels that end with the length of a bar.
_CANDLES = ("candle", "mark-price-candle", "index-candle", "sprd-candle")

#: Channels of one instrument each.
_OF_INSTRUMENT = frozenset(
    {
        *("tickers", "trades", "trades-all", "block-tickers", "public-block-trades"),
        *("books", "books5", "bbo-tbt", "books-l2-tbt", "books50-l2-tbt"),
        *("books-elp", "books-rpi", "books-elp-all", "call-auction-details"),
        *("open-interest", "funding-rate", "price-limit", "mark-price", "index-tickers"),
        *("candle", "mark-price-candle", "index-candle"),
    }
)

_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "public": (
        *("tickers", "trades", "option-trades"),
        *("books", "books5", "bbo-tbt", "books-l2-tbt", "books50-l2-tbt", "books-elp", "books-rpi"),
        *("instruments", "open-interest", "funding-rate", "price-limit", "mark-price"),
        *("index-tickers", "opt-summary", "estimated-price", "liquidation-orders", "adl-warning"),
        *("call-auction-details", "status"),
    ),
    "private": (
        *("account", "positions", "balance_and_position", "orders", "fills"),
        *("liquidation-warning", "account-greeks"),
    ),
    "business": (
        *_CANDLES,
        *("trades-all", "books-elp-all", "block-tickers", "public-block-trades"),
        *("public-struc-block-trades", "economic-calendar"),
        *("sprd-bbo-tbt", "sprd-books5", "sprd-books-l2-tbt", "sprd-public-trades"),
        *("sprd-tickers", "sprd-orders", "sprd-trades"),
        *("orders-algo", "algo-advance", "algo-recurring-buy"),
        *("grid-orders-spot", "grid-orders-contract", "grid-positions", "grid-sub-orders"),
        *("copytrading-lead-notification", "deposit-info", "withdrawal-info"),
        *("rfqs", "quotes", "struc-block-trades"),
    ),
}

#: Channels that are not on /private and yet need a login.
_BEHIND_LOGIN = frozenset(
    {
        *("books-l2-tbt", "books50-l2-tbt"),
        *("orders-algo", "algo-advance", "algo-recurring-buy", "sprd-orders", "sprd-trades"),
        *("grid-orders-spot", "grid-orders-contract", "grid-positions", "grid-sub-orders"),
        *("copytrading-lead-notification", "deposit-info", "withdrawal-info"),
        *("rfqs", "quotes", "struc-block-trades", "economic-calendar"),
    }
)

_PARAMETERS = (
    *("instType", "instFamily", "instId", "sprdId", "uly", "ccy"),
    *("algoId", "algoClOrdId", "extraParams"),
)
_INSTRUMENT = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9_.]+)+")


def channels_of(channel_type: str) -> tuple[str, ...]:
    """Name the channels of one URL; those of candles end where the bar begins."""
    return _CHANNELS[channel_type]


def needs_login(topic: str) -> bool:
    """Tell whether a topic of /public or /business needs a login."""
    return split_topic(topic)[0] in _BEHIND_LOGIN


def build(
    channel_type: str, channel: str, symbol: str | None, parameters: Mapping[str, Any]
) -> str:
    """Build a topic, or check one that was taken apart.

    :raises ConfigurationError: there is no such channel, it is on another URL, its instrument is
        missing or none, or a parameter is unknown.
    """
    given = dict(parameters)
    if channel in _CANDLES and "bar" in given:
        channel = f"{channel}{given.pop('bar')}"
    name = _checked_channel(channel_type, channel)
    for parameter in given:
        if parameter not in _PARAMETERS:
            raise unknown_name("parameter of an OKX channel", parameter, _PARAMETERS)
    key = _symbol_key(channel)
    symbol = given.pop(key, None) if symbol is None else symbol
    if symbol is None:
        if name in _OF_INSTRUMENT:
            raise ConfigurationError(
                f"the channel {channel!r} needs an instrument; "
                f"write topic({channel!r}, 'BTC-USDT') or '{channel}:BTC-USDT'"
            )
        return join_topic(channel, None, given)
    return join_topic(channel, _checked_symbol(symbol), given)


def _checked_channel(channel_type: str, channel: str) -> str:
    """Check a channel and give its name without a bar."""
    for candles in _CANDLES:
        if channel.startswith(candles) and channel[len(candles) :] not in _BARS:
            allowed = ", ".join(candles + bar for bar in _BARS)
            raise ConfigurationError(f"channel is {channel!r:.60}; allowed: {allowed}")
    name = next((candles for candles in _CANDLES if channel.startswith(candles)), channel)
    if name in _CHANNELS[channel_type]:
        return name
    for other, names in _CHANNELS.items():
        if name in names:
            raise ConfigurationError(
                f"the channel {channel!r} is not on OKX's /{channel_type} URL; "
                f"write OKX(channel_type={other!r})"
            )
    raise unknown_name("channel", channel, tuple(n for names in _CHANNELS.values() for n in names))


def _checked_symbol(symbol: object) -> str:
    if isinstance(symbol, str) and _INSTRUMENT.fullmatch(symbol):
        return symbol.upper()
    hint = "'BTC-USDT', 'BTC-USDT-SWAP'"
    if isinstance(symbol, str) and re.fullmatch(r"\w+[/_ ]\w+", symbol):
        hint = repr(re.sub(r"[/_ ]", "-", symbol).upper())
    raise ConfigurationError(f"symbol is {symbol!r:.40}; OKX spells it with hyphens: {hint}")


def _symbol_key(channel: str) -> str:
    return "sprdId" if channel.startswith("sprd-") else "instId"


def argument_of(topic: str) -> dict[str, str]:
    """Write a topic as OKX's ``arg``.

    >>> argument_of("orders:BTC-USDT?instType=SPOT")
    {'channel': 'orders', 'instType': 'SPOT', 'instId': 'BTC-USDT'}
    """
    channel, symbol, parameters = split_topic(topic)
    argument = {"channel": channel, **parameters}
    if symbol is not None:
        argument[_symbol_key(channel)] = symbol
    return argument


def topic_of(argument: Mapping[str, Any]) -> str | None:
    """Read an ``arg`` of OKX's as a topic; None: it is none.

    The account's number (``uid``), which OKX adds to what it sends, is left out.
    """
    channel = argument.get("channel")
    if not isinstance(channel, str):
        return None
    key = _symbol_key(channel)
    symbol = argument.get(key)
    left_out = ("channel", "uid", key)
    parameters = {name: value for name, value in argument.items() if name not in left_out}
    return join_topic(channel, symbol if isinstance(symbol, str) else None, parameters)
