"""How Binance USD-M futures speak: three routes, and listen keys for the own account.

After the USD-M pages of developers.binance.com, as of 2026. The trap is here too: a stream on the
wrong route is acknowledged and stays silent, and a URL without a route has only the public ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import ALL_SYMBOLS, Event, Kind
from wsresilient.testing.formats.base import SILENT, Refusal, Session, Stream
from wsresilient.testing.formats.binance_futures_messages import futures_payload
from wsresilient.testing.formats.binance_requests import (
    COMBINED,
    RAW,
    BinanceStreams,
    enveloped,
)
from wsresilient.testing.limits import Rate, VenueLimits
from wsresilient.testing.rest_shapes.base import RestShape
from wsresilient.testing.rest_shapes.binance import INTERVALS, BinanceFuturesShape

__all__ = ["BinanceFuturesFormat"]

_PUBLIC, _MARKET, _PRIVATE = "public", "market", "private"
_ROUTES = (_PUBLIC, _MARKET, _PRIVATE)
_USER_DATA = "userData"

# On which route a channel is, and what it is about; None: accepted, and silent here.
_CHANNELS: dict[str, tuple[str, Kind | None]] = {
    "trade": (_PUBLIC, Kind.TRADE),
    "bookTicker": (_PUBLIC, Kind.QUOTE),
    "aggTrade": (_MARKET, Kind.TRADE),
    "markPrice": (_MARKET, Kind.MARK),
    "markPrice@1s": (_MARKET, Kind.MARK),
    "ticker": (_MARKET, Kind.TICKER),
    "miniTicker": (_MARKET, Kind.TICKER),
    "forceOrder": (_MARKET, None),
    "compositeIndex": (_MARKET, None),
}
_WHOLE: dict[str, tuple[str, Kind | None]] = {
    "!bookTicker": (_PUBLIC, Kind.QUOTE),
    "!markPrice@arr": (_MARKET, Kind.MARK),
    "!markPrice@arr@1s": (_MARKET, Kind.MARK),
    "!ticker@arr": (_MARKET, Kind.TICKER),
    "!miniTicker@arr": (_MARKET, Kind.TICKER),
    "!forceOrder@arr": (_MARKET, None),
    "!contractInfo": (_MARKET, None),
    "!assetIndex@arr": (_MARKET, None),
    "tradingSession": (_MARKET, None),
}
_TOPIC = re.compile(r"(?P<symbol>[A-Za-z0-9_]+)@(?P<channel>.+)")
_KLINE = re.compile(rf"(?P<continuous>continuousKline|kline)_(?P<interval>{'|'.join(INTERVALS)})")
_DEPTH = re.compile(r"(depth(?P<levels>5|10|20)?|rpiDepth)(@(100|250|500)ms)?")


class BinanceFuturesFormat(BinanceStreams):
    """Binance USD-M futures."""

    name = "binance-futures"
    default_symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
    limits = VenueLimits(
        max_topics=1024,
        message_rate=Rate(10, 1.0),
        ping_interval=180.0,
        pong_timeout=600.0,
        max_age=86_400.0,
    )

    def __repr__(self) -> str:
        return "BinanceFuturesFormat()"

    # Connections.

    def target(self, topics: Sequence[str]) -> str:
        """Give the path of the combined stream on the route of the topics.

        :raises ConfigurationError: they are on several routes.
        """
        routes = {route for topic in topics if (route := _route_of(topic)) is not None}
        if len(routes) > 1:
            raise ConfigurationError(
                f"topics are {', '.join(topics)}, which are on the routes {', '.join(routes)};"
                " allowed: topics of one route, each of which needs a URL of its own"
            )
        path = f"/{next(iter(routes), _MARKET)}/stream"
        return f"{path}?streams={'/'.join(topics)}" if topics else path

    def open(self, target: str) -> Session | None:
        """Take ``/<route>/ws/<a>/<b>``, ``/<route>/stream?streams=<a>/<b>``, and without route."""
        parts = urlsplit(target)
        segments = parts.path.strip("/").split("/")
        route = ""
        if segments[0] in _ROUTES:
            route, *segments = segments
        if not segments:
            return None
        if route == _PRIVATE:
            return _open_private(segments, parts.query)
        return self.open_stream(segments, parts.query, route)

    # Topics.

    def stream(self, topic: str, session: Session) -> Stream | Refusal:
        """Tell what a stream stands for; on the wrong route it is silent."""
        if session.route == _PRIVATE:
            return SILENT
        found = _stream_of(topic)
        if found is None:
            return self.refusal(topic)
        return found if _route_of(topic) == (session.route or _PUBLIC) else SILENT

    # The own account.

    def receives(self, topic: str, session: Session, data: object) -> bool:
        """Send events of the account to who has a valid listen key and wants such events."""
        events = session.memory.get("events")
        kind = data.get("e") if isinstance(data, dict) else None
        return topic == _USER_DATA and session.is_logged_in and (not events or kind in events)

    def private(self, topic: str, data: object, session: Session, at: int) -> str:
        """Put an event of the account into the envelope of a combined stream, if it is one."""
        del topic, at
        payload = json.dumps(data, separators=(",", ":"))
        return enveloped(payload, session.listen_keys[0], session.variant)

    def expiry_notice(self, listen_key: str, session: Session, at: int) -> str | None:
        """Tell that a listen key has expired; the time is a string, as observed."""
        event = f'{{"e":"listenKeyExpired","E":"{at}","listenKey":"{listen_key}"}}'
        return enveloped(event, listen_key, session.variant)

    # Data.

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the payload, in its envelope for a combined stream."""
        return enveloped(futures_payload(event, topic), topic, variant)

    def rest_shape(self) -> RestShape:
        """Give the shape of ``/fapi/v1``."""
        return BinanceFuturesShape()


def _open_private(segments: Sequence[str], query: str) -> Session | None:
    """Take ``ws?listenKey=<k>&events=<a>/<b>``, ``ws/<k>`` and ``stream?streams=<k>``."""
    first, *keys = segments
    if first not in ("ws", "stream") or (first == "stream" and keys):
        return None
    values = parse_qs(query)
    keys += values.get("listenKey", []) + values.get("streams", [])
    events = {name for value in values.get("events", []) for name in value.split("/")}
    variant = RAW if first == "ws" else COMBINED
    known = tuple(dict.fromkeys(key for key in keys if key))
    return Session(variant, route=_PRIVATE, listen_keys=known, memory={"events": events})


def _route_of(topic: str) -> str | None:
    """Tell the route of a stream; None: there is no such stream."""
    if topic in _WHOLE:
        return _WHOLE[topic][0]
    channel = topic.partition("@")[2]
    if channel in _CHANNELS:
        return _CHANNELS[channel][0]
    if _KLINE.fullmatch(channel):
        return _MARKET
    return _PUBLIC if _DEPTH.fullmatch(channel) else None


def _stream_of(topic: str) -> Stream | None:
    """Tell what a stream stands for on its own route; None: there is no such stream."""
    if topic in _WHOLE:
        kind = _WHOLE[topic][1]
        return SILENT if kind is None else Stream(ALL_SYMBOLS, kind)
    match = _TOPIC.fullmatch(topic)
    if match is None:
        return None
    symbol, channel = match["symbol"], match["channel"]
    symbol = symbol.upper() if symbol == symbol.lower() else ""
    if channel in _CHANNELS:
        kind = _CHANNELS[channel][1]
        return SILENT if kind is None else Stream(symbol, kind)
    if (kline := _KLINE.fullmatch(channel)) is not None:
        if kline["continuous"] != "kline":
            return SILENT
        return Stream(symbol, Kind.KLINE, interval=INTERVALS[kline["interval"]])
    if (depth := _DEPTH.fullmatch(channel)) is not None:
        if depth["levels"] is None:
            return Stream(symbol, Kind.DEPTH)
        return Stream(symbol, Kind.BOOK, levels=int(depth["levels"]))
    return None
