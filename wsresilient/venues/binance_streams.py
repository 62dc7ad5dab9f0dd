"""The streams of Binance: which there are, how they are spelled, on which route they come.

Names only; what the streams carry is in ``binance_events.py``. A topic is the stream name itself.
After Binance's web-socket-streams.md and the USD-M pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from ..config import unknown_name
from ..errors import ConfigurationError

__all__ = ["FUTURES", "PRIVATE", "SPOT", "USER_DATA", "StreamTable", "is_market_stream"]

#: The topic of everything about the own account; Binance has no name for it on the wire.
USER_DATA = "userData"
#: The group of connections that it needs.
PRIVATE = "private"

_PUBLIC, _MARKET = "public", "market"

_MINUTES_UP = (
    *("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h"),
    *("1d", "3d", "1w", "1M"),
)
_WINDOWS = ("1h", "4h", "1d")
_PARAMETERS = ("interval", "levels", "speed", "window")


def _joined(*choices: Iterable[str]) -> tuple[str, ...]:
    return tuple("".join(parts) for parts in product(*choices))


@dataclass(frozen=True, slots=True)
class _Channel:
    """A channel with all that may follow its name, and the route on futures."""

    name: str
    endings: tuple[str, ...] = ("",)
    route: str | None = None


@dataclass(frozen=True)
class StreamTable:
    """The streams of one market.

    :ivar symbol: what a symbol looks like, in either case.
    :ivar by_symbol: channels of one symbol.
    :ivar whole: streams without a symbol, and their routes.
    :ivar retired: streams that were, and what Binance says instead.
    :ivar default_route: of streams that this table does not know, from a user's URL.
    """

    symbol: re.Pattern[str]
    by_symbol: tuple[_Channel, ...]
    whole: Mapping[str, str | None]
    retired: Mapping[str, str] = field(default_factory=dict)
    default_route: str | None = None

    @cached_property
    def _routes(self) -> dict[str, str | None]:
        return {
            channel.name + ending: channel.route
            for channel in self.by_symbol
            for ending in channel.endings
        }

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of all channels; one that goes on with a parameter ends with "_"."""
        return (*(channel.name for channel in self.by_symbol), *self.whole, USER_DATA)

    def group_of(self, topic: str) -> str | None:
        """Tell the route of a stream; None: this market has none."""
        if topic == USER_DATA:
            return PRIVATE
        if topic in self.whole:
            return self.whole[topic]
        return self._routes.get(topic.partition("@")[2]) or self.default_route

    def topic(self, channel: str, symbol: str | None, parameters: Mapping[str, Any]) -> str:
        """Build a stream name.

        :raises ConfigurationError: there is no such channel, or the symbol is not one.
        """
        channel = _with_parameters(channel, parameters)
        if channel == USER_DATA or channel in self.whole:
            if symbol is not None:
                raise ConfigurationError(
                    f"symbol is {symbol!r:.40}; the stream {channel!r} has none: leave it out"
                )
            return channel
        self._check_channel(channel)
        if symbol is None:
            raise ConfigurationError(
                f"the stream {channel!r} needs a symbol; write topic({channel!r}, 'BTCUSDT')"
            )
        return f"{self._lowered(symbol)}@{channel}"

    def checked(self, topic: str) -> str:
        """Check a stream name, and write its symbol in lower case.

        :raises ConfigurationError: there is no such stream.
        """
        if topic == USER_DATA or topic in self.whole:
            return topic
        if topic.startswith("!"):
            self._check_channel(topic)
        symbol, at, channel = topic.partition("@")
        if not at:
            raise ConfigurationError(
                f"a topic is {topic!r:.60}; allowed: <symbol>@<channel>, such as 'btcusdt@trade', "
                f"or a stream without a symbol: {', '.join(map(repr, (*self.whole, USER_DATA)))}"
            )
        self._check_channel(channel)
        return f"{self._lowered(symbol)}@{channel}"

    def _lowered(self, symbol: object) -> str:
        if isinstance(symbol, str) and self.symbol.fullmatch(symbol):
            return symbol.lower()
        letters = re.sub(r"[\W_]", "", symbol).upper() if isinstance(symbol, str) else ""
        raise ConfigurationError(
            f"symbol is {symbol!r:.40}; Binance spells it without a separator: "
            f"{letters or 'BTCUSDT'!r:.40}"
        )

    def _check_channel(self, channel: str) -> None:
        if channel in self._routes:
            return
        if channel in self.retired:
            raise ConfigurationError(f"the stream {channel!r} is no more: {self.retired[channel]}")
        for known in self.by_symbol:
            # "kline" alone, and "kline_7m": the name is right, what follows it is not.
            stem = known.name.rstrip("_")
            if known.name != stem and (channel == stem or channel.startswith(known.name)):
                allowed = ", ".join(known.name + ending for ending in known.endings)
                raise ConfigurationError(f"channel is {channel!r:.60}; allowed: {allowed}")
        raise unknown_name("channel", channel, self.channels)


def _with_parameters(channel: str, parameters: Mapping[str, Any]) -> str:
    """Write the parameters as Binance does: ``kline_1m``, ``depth5@100ms``, ``ticker_1h``."""
    for name in parameters:
        if name not in _PARAMETERS:
            raise unknown_name("parameter of a Binance stream", name, _PARAMETERS)
    for name in ("interval", "window"):
        if name in parameters:
            channel = f"{channel}_{parameters[name]}"
    if "levels" in parameters:
        channel = f"{channel}{parameters['levels']}"
    return f"{channel}@{parameters['speed']}" if "speed" in parameters else channel


def is_market_stream(name: str) -> bool:
    """Tell a stream of the market from a listen key, which may stand in its place."""
    return "@" in name or name.startswith("!") or name in FUTURES.whole


SPOT = StreamTable(
    symbol=re.compile(r"[^\W_]+"),
    by_symbol=(
        _Channel("trade"),
        _Channel("aggTrade"),
        _Channel("blockTrade"),
        _Channel("kline_", _joined(("1s", *_MINUTES_UP), ("", "@+08:00"))),
        _Channel("ticker"),
        _Channel("ticker_", _WINDOWS),
        _Channel("miniTicker"),
        _Channel("bookTicker"),
        _Channel("avgPrice"),
        _Channel("referencePrice"),
        _Channel("depth", _joined(("", "5", "10", "20"), ("", "@100ms"))),
    ),
    whole=dict.fromkeys(
        ("!miniTicker@arr", *(f"!ticker_{window}@arr" for window in _WINDOWS)), _MARKET
    ),
    default_route=_MARKET,  # one place for all of them, but another one than the user's data
    retired={"!ticker@arr": "Binance retired it on spot on 2026-03-26; '!miniTicker@arr' remains"},
)

FUTURES = StreamTable(
    # BTCUSDT, BTCUSDT_260925, and for continuous klines btcusdt_perpetual
    symbol=re.compile(
        r"[^\W_]+(?:_\d{6}|_perpetual|_current_quarter|_next_quarter)?", re.IGNORECASE
    ),
    by_symbol=(
        _Channel("aggTrade", route=_MARKET),
        # Undocumented; three reports say /public, one says /market.
        _Channel("trade", route=_PUBLIC),
        _Channel("kline_", _MINUTES_UP, _MARKET),
        _Channel("continuousKline_", ("1s", *_MINUTES_UP), _MARKET),
        _Channel("markPrice", ("", "@1s"), _MARKET),
        _Channel("ticker", route=_MARKET),
        _Channel("miniTicker", route=_MARKET),
        _Channel("forceOrder", route=_MARKET),
        _Channel("compositeIndex", route=_MARKET),
        _Channel("assetIndex", route=_MARKET),
        _Channel("bookTicker", route=_PUBLIC),
        _Channel("depth", _joined(("", "5", "10", "20"), ("", "@100ms", "@500ms")), _PUBLIC),
        _Channel("rpiDepth", ("", "@500ms"), _PUBLIC),
    ),
    whole={
        "!bookTicker": _PUBLIC,
        "!markPrice@arr": _MARKET,
        "!markPrice@arr@1s": _MARKET,
        "!ticker@arr": _MARKET,
        "!miniTicker@arr": _MARKET,
        "!forceOrder@arr": _MARKET,
        "!contractInfo": _MARKET,
        "!assetIndex@arr": _MARKET,
        "tradingSession": _MARKET,
    },
    default_route=_MARKET,
)
