"""MEXC's topics: the channels, their symbols and parameters, and how a request carries them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..config import check_choice, unknown_name
from ..core.topic_index import LONGEST_REMEMBERED
from ..errors import ConfigurationError
from .base import join_topic, split_topic

__all__ = [
    "CHANNELS",
    "checked_topic",
    "ended_together",
    "is_private",
    "params_of",
    "same_stream",
    "wire_topic",
]

_WITH_SYMBOL = (
    "deal",
    "depth",
    "depth.full",
    "depth.step",
    "fair.price",
    "funding.rate",
    "index.price",
    "kline",
    "ticker",
)
_WITHOUT_SYMBOL = ("contract", "tickers")
_PRIVATE_PREFIX = "personal."
_PRIVATE = (
    "personal.adl.level",
    "personal.asset",
    "personal.liquidate.risk",
    "personal.order",
    "personal.order.deal",
    "personal.plan.order",
    "personal.position",
    "personal.position.mode",
    "personal.risk.limit",
    "personal.stop.order",
    "personal.stop.planorder",
    "personal.track.order",
)
CHANNELS = (*_WITH_SYMBOL, *_WITHOUT_SYMBOL, *_PRIVATE)

_YES_NO = ("false", "true")
_INTERVALS = (
    "Min1",
    "Min5",
    "Min15",
    "Min30",
    "Min60",
    "Hour4",
    "Hour8",
    "Day1",
    "Week1",
    "Month1",
)
#: The parameters of a channel, and the values that each may have; empty: any.
_PARAMETERS: dict[str, dict[str, tuple[str, ...]]] = {
    "deal": {"compress": _YES_NO},
    "depth": {"compress": _YES_NO},
    "depth.full": {"limit": ("5", "10", "20")},
    "depth.step": {"step": ()},
    "kline": {"interval": _INTERVALS},
}
#: Without these a request is not complete.
_REQUIRED = {"depth.step": "step", "kline": "interval"}
#: These end a topic by its symbol alone, whatever its parameters.
_ENDED_BY_SYMBOL = frozenset({"deal", "depth", "kline"})

_SYMBOL = re.compile(r"[^\W_]+(_[^\W_]+)+")


def is_private(topic: str) -> bool:
    """Whether a topic comes after the login by itself."""
    return topic.startswith(_PRIVATE_PREFIX)


def checked_topic(topic: str) -> str:
    """Check a topic and write it in the one way that compares.

    :raises ConfigurationError: there is no such channel, symbol, parameter or value.
    """
    channel, symbol, given = split_topic(topic)
    if channel not in CHANNELS:
        raise unknown_name("channel of MEXC", channel, CHANNELS)
    _check_symbol(channel, symbol)
    known = _PARAMETERS.get(channel, {})
    parameters = {}
    for name, value in given.items():
        if name not in known:
            raise _unknown_parameter(channel, name, known)
        parameters[name] = value.lower() if known[name] is _YES_NO else value
        if known[name]:
            check_choice(f"{name} of {channel!r}", parameters[name], known[name])
    required = _REQUIRED.get(channel)
    if required is not None and not parameters.get(required):
        example = known[required][4] if known[required] else "10"
        raise ConfigurationError(
            f"{topic!r:.80} has no {required}; write '{channel}:{symbol}?{required}={example}'"
        )
    return join_topic(channel, symbol, parameters)


def _check_symbol(channel: str, symbol: str | None) -> None:
    if channel not in _WITH_SYMBOL:
        if symbol is not None:
            raise ConfigurationError(
                f"{channel!r} has no symbol, it brings all of them; {symbol!r:.80} was given"
            )
        return
    if not symbol:
        raise ConfigurationError(f"{channel!r} has no symbol; write '{channel}:BTC_USDT'")
    if not _SYMBOL.fullmatch(symbol) or symbol.islower():
        plain = re.sub(r"[\W_]+", "_", symbol).strip("_").upper()
        example = plain if "_" in plain else "BTC_USDT"
        raise ConfigurationError(
            f"{symbol!r:.80} is no symbol of MEXC's, which spells them like {example!r:.80}"
        )


def _unknown_parameter(channel: str, name: str, known: Mapping[str, object]) -> ConfigurationError:
    if known:
        return unknown_name(f"parameter of {channel!r}", name, tuple(known))
    return ConfigurationError(f"{channel!r} has no parameters; {name!r:.80} was given")


def params_of(
    channel: str, symbol: str | None, parameters: Mapping[str, str], *, subscribing: bool
) -> dict[str, Any] | None:
    """Make the ``param`` of a request; None: it has none."""
    if channel == "contract":
        return None
    param: dict[str, Any] = {} if symbol is None else {"symbol": symbol}
    if subscribing or channel not in _ENDED_BY_SYMBOL:
        param.update({name: _typed(name, value) for name, value in parameters.items()})
    return param


def _typed(name: str, value: str) -> Any:
    if name == "compress":
        return value == "true"
    return int(value) if name == "limit" else value


def wire_topic(channel: str, symbol: str | None, interval: str | None) -> str:
    """Name the topic of a push.

    :param interval: of a candle, the one parameter that a push tells.
    """
    length = len(channel) + len(symbol or "") + len(interval or "")
    make = _join_and_remember if length <= LONGEST_REMEMBERED else _join
    return make(channel, symbol, interval)


def _join(channel: str, symbol: str | None, interval: str | None) -> str:
    if symbol is None or channel in _WITHOUT_SYMBOL or is_private(channel):
        return channel
    return join_topic(channel, symbol, {} if interval is None else {"interval": interval})


_join_and_remember = lru_cache(maxsize=8192)(_join)


def ended_together(topic: str, other: str) -> bool:
    """Tell whether the request that ends one topic ends another: "unsub.kline" by its symbol."""
    channel, symbol, _ = split_topic(topic)
    return channel in _ENDED_BY_SYMBOL and (channel, symbol) == split_topic(other)[:2]


def same_stream(subscribed: str, received: str) -> bool:
    """Tell whether a topic of the wire belongs to one that was subscribed with more parameters."""
    channel, symbol, asked = split_topic(subscribed)
    wire_channel, wire_symbol, told = split_topic(received)
    same = (channel, symbol) == (wire_channel, wire_symbol)
    return same and all(asked.get(name, value) == value for name, value in told.items())
