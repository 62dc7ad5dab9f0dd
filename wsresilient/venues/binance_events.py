"""What Binance's events carry: their stream, their symbol, and the numbers that order them.

After Binance's web-socket-streams.md, user-data-stream.md and the USD-M pages. Whatever comes,
nothing here raises: what is not understood has no name and no number.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..core.encoding import encode_json
from ..core.incoming import Answer, Data, Incoming, Notice
from .base import SequenceNumbers
from .binance_streams import USER_DATA, is_market_stream

__all__ = ["NOTICES", "identity", "read_event", "read_stream", "sequence", "tells_stream"]

#: Events about the connection or the session, which go on over a new connection only.
NOTICES = {
    "serverShutdown": "the server is about to shut down (serverShutdown)",
    "eventStreamTerminated": "the user data subscription has ended (eventStreamTerminated)",
    "listenKeyExpired": "the listen key has expired (listenKeyExpired)",
}

#: Channels of events that come without the envelope in which the stream is named.
_CHANNELS = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "blockTrade": "blockTrade",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "1hTicker": "ticker_1h",
    "4hTicker": "ticker_4h",
    "1dTicker": "ticker_1d",
    "bookTicker": "bookTicker",
    "avgPrice": "avgPrice",
    "markPriceUpdate": "markPrice",
    "forceOrder": "forceOrder",
    "compositeIndex": "compositeIndex",
    "assetIndexUpdate": "assetIndex",
    "depthUpdate": "depth",  # at whatever speed
}
_TOLD = frozenset(_CHANNELS.values())

#: Events of the account on spot; those of the futures are in capitals.
_SPOT_USER_EVENTS = frozenset(
    {
        "executionReport",
        "outboundAccountPosition",
        "balanceUpdate",
        "listStatus",
        "externalLockUpdate",
    }
)


# Which stream, which symbol.


def read_stream(stream: str, data: Any) -> Incoming:
    """Read an event with its stream name, as combined streams and ``/stream`` give it."""
    kind = data.get("e") if isinstance(data, dict) else None
    if isinstance(kind, str) and kind in NOTICES:
        return Notice(NOTICES[kind], reconnect=True)
    if not is_market_stream(stream):
        return _user_event(data)  # the stream is a listen key, which is nobody's business
    symbol, _, channel = stream.partition("@")
    if stream.startswith("!") or not channel:
        return Data(stream, stream, _symbol_of(data), data)
    return Data(stream, channel, _symbol_of(data) or symbol.upper(), data)


def read_event(event: Any) -> Incoming:
    """Read an event that has no envelope: of a raw stream, or of the account.

    What its stream was cannot always be told; then it is an :class:`Answer`.
    """
    if isinstance(event, list):
        kind = event[0].get("e") if event and isinstance(event[0], dict) else None
        channel = _CHANNELS.get(kind) if isinstance(kind, str) else None
        topic = f"!{channel}@arr"
        return Data(topic, topic, None, event) if channel else Answer()
    if not isinstance(event, dict):
        return Answer()
    kind = event.get("e")
    if isinstance(kind, str) and kind in NOTICES:
        return Notice(NOTICES[kind], reconnect=True)
    if isinstance(kind, str) and (kind in _SPOT_USER_EVENTS or kind.isupper()):
        return _user_event(event)
    channel = _raw_channel(kind, event)
    symbol = _symbol_of(event)
    if kind == "continuous_kline":
        symbol = f"{event.get('ps')}_{event.get('ct')}"
    if channel is None or symbol is None:
        return Answer()
    return Data(f"{symbol.lower()}@{channel}", channel, symbol, event)


def tells_stream(topic: str) -> bool:
    """Tell whether :func:`read_event` finds a stream in its events, or one that covers it."""
    symbol, _, channel = topic.partition("@")
    if topic.startswith("!"):
        # Those of "!bookTicker" and "!forceOrder@arr" come one by one, as if of a symbol's stream.
        return channel.startswith("arr") and symbol != "!forceOrder" and symbol[1:] in _TOLD
    kind = channel.partition("@")[0]
    return kind in _TOLD or kind.startswith(("kline_", "continuousKline_"))


def _user_event(event: Any) -> Data:
    return Data(USER_DATA, USER_DATA, _symbol_of(event), event)


def _raw_channel(kind: object, event: dict[str, Any]) -> str | None:
    if kind == "kline" or kind == "continuous_kline":
        candle = event.get("k")
        interval = candle.get("i") if isinstance(candle, dict) else None
        name = "kline" if kind == "kline" else "continuousKline"
        return f"{name}_{interval}" if isinstance(interval, str) else None
    if kind is None and {"u", "s", "b", "a"} <= event.keys():
        return "bookTicker"  # on spot it does not say what it is
    return _CHANNELS.get(kind) if isinstance(kind, str) else None


def _symbol_of(event: Any) -> str | None:
    """Give the symbol in Binance's capitals; liquidations and orders have it one level below."""
    if not isinstance(event, dict):
        return None
    symbol = event.get("s")
    if symbol is None and isinstance(order := event.get("o"), dict):
        symbol = order.get("s")
    return symbol if isinstance(symbol, str) else None


# What is the same, what follows what.


def identity(channel: str | None, data: Any) -> Hashable | None:
    """Name an event so that the same one over two connections is known; None: it has no name."""
    if channel is None or not isinstance(data, dict):
        return None
    if channel == USER_DATA:
        return _user_identity(data)
    if channel.startswith(("kline_", "continuousKline_")):
        candle = data.get("k")
        if not isinstance(candle, dict):
            return None
        # A candle is sent again and again while it grows.
        return _named(data.get("E"), candle.get("t"), candle.get("x"))
    if channel.startswith(("depth", "rpiDepth")):
        return _named(data["u"]) if "u" in data else _named(data.get("lastUpdateId"))
    key = {"trade": "t", "aggTrade": "a", "bookTicker": "u", "!bookTicker": "u"}.get(channel)
    return _named(data.get(key), data.get("s")) if key else None


def _named(*parts: Any) -> Hashable | None:
    """Join what an event is called by; None where a part is missing."""
    return parts if all(isinstance(part, (int, str)) for part in parts) else None


def _user_identity(event: dict[str, Any]) -> Hashable | None:
    if event.get("e") == "executionReport":
        return _named("executionReport", event.get("I"), event.get("i"), event.get("t"))
    # The others have no id. They are rare, and each carries its time: the whole text is the name.
    try:
        return encode_json(event)
    except (TypeError, ValueError, RecursionError):
        return None


#: Fields with the first and the last number that an event covers, and with the last one of the
#: event before. Trades of the futures are left out: they may skip numbers (insurance fund, ADL).
_COUNTED: dict[tuple[str, str], tuple[str, ...]] = {
    ("spot", "trade"): ("t", "t"),
    ("spot", "aggTrade"): ("a", "a"),
    ("futures", "aggTrade"): ("a", "a"),
    ("spot", "depth"): ("U", "u"),
    ("spot", "depth@100ms"): ("U", "u"),
    ("futures", "depth"): ("U", "u", "pu"),
    ("futures", "depth@100ms"): ("U", "u", "pu"),
    ("futures", "depth@500ms"): ("U", "u", "pu"),
}


def sequence(
    market: str, channel: str | None, symbol: str | None, data: Any
) -> SequenceNumbers | None:
    """Give the numbers of an event within its stream; None: it is in no gapless count."""
    fields = _COUNTED.get((market, channel or ""))
    if fields is None or not isinstance(data, dict):
        return None
    numbers = [number for field in fields if isinstance(number := data.get(field), int)]
    if len(numbers) < len(fields):
        return None
    first, last, *before = numbers
    return SequenceNumbers((channel, symbol), first, last, before[0] if before else None)
