"""How Binance spot speaks: its market streams, and its WebSocket API for the own account.

After https://github.com/binance/binance-spot-api-docs (web-socket-streams.md, web-socket-api.md).
A few things are as surprising here as they are there: a symbol that does not exist is acknowledged
and stays silent, and a request of more than 4096 bytes is passed over without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import ALL_SYMBOLS, Event, Kind
from wsresilient.testing.formats import binance_account
from wsresilient.testing.formats.base import (
    SILENT,
    Action,
    Answer,
    Login,
    Refusal,
    Session,
    Stream,
    Subscribe,
    Unsubscribe,
)
from wsresilient.testing.formats.binance_messages import spot_payload
from wsresilient.testing.formats.binance_requests import BinanceStreams, enveloped
from wsresilient.testing.limits import Rate, VenueLimits
from wsresilient.testing.rest_shapes.base import RestShape
from wsresilient.testing.rest_shapes.binance import INTERVALS, BinanceSpotShape

__all__ = ["BinanceFormat"]

_KINDS = {
    "trade": Kind.TRADE,
    "aggTrade": Kind.TRADE,
    "ticker": Kind.TICKER,
    "miniTicker": Kind.TICKER,
    "bookTicker": Kind.QUOTE,
    "depth": Kind.DEPTH,
    "depth@100ms": Kind.DEPTH,
}
# Accepted, and silent here.
_SILENT = frozenset({"avgPrice", "blockTrade", "referencePrice", "ticker_1h", "ticker_4h"})
_TOPIC = re.compile(r"(?P<symbol>[A-Za-z0-9]+)@(?P<channel>.+)")
_KLINE = re.compile(rf"kline_({'|'.join(INTERVALS)})(@\+08:00)?")
_PARTIAL_DEPTH = re.compile(r"depth(5|10|20)(@100ms)?")


class BinanceFormat(BinanceStreams):
    """Binance spot."""

    name = "binance"
    default_symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
    limits = VenueLimits(
        max_topics=1024,
        max_request_size=4096,
        message_rate=Rate(5, 1.0),
        connect_rate=Rate(300, 300.0),
        ping_interval=20.0,
        pong_timeout=60.0,
        max_age=86_400.0,
    )
    login_refusal = binance_account.WRONG_KEY

    def __repr__(self) -> str:
        return "BinanceFormat()"

    # Connections.

    def target(self, topics: Sequence[str]) -> str:
        """Give the path of the combined stream."""
        return f"/stream?streams={'/'.join(topics)}" if topics else "/stream"

    def open(self, target: str) -> Session | None:
        """Take ``/ws/<a>/<b>``, ``/stream?streams=<a>/<b>`` and ``/ws-api/v3``."""
        parts = urlsplit(target)
        segments = parts.path.strip("/").split("/")
        if segments == ["ws-api", "v3"]:
            return Session(binance_account.API, route=binance_account.API)
        return self.open_stream(segments, parts.query, "")

    # Topics.

    def stream(self, topic: str, session: Session) -> Stream | Refusal:
        """Tell what a stream stands for; in capitals its symbol is none, so it stays silent."""
        if session.route == binance_account.API:
            return SILENT
        if topic == "!miniTicker@arr":
            return Stream(ALL_SYMBOLS, Kind.TICKER)
        match = _TOPIC.fullmatch(topic)
        if match is None:
            return self.refusal(topic)
        symbol, channel = match["symbol"], match["channel"]
        symbol = symbol.upper() if symbol == symbol.lower() else ""
        if channel in _KINDS:
            return Stream(symbol, _KINDS[channel])
        if (kline := _KLINE.fullmatch(channel)) is not None:
            return Stream(symbol, Kind.KLINE, interval=INTERVALS[kline[1]])
        if (partial := _PARTIAL_DEPTH.fullmatch(channel)) is not None:
            return Stream(symbol, Kind.BOOK, levels=int(partial[1]))
        return SILENT if channel in _SILENT else self.refusal(topic)

    # Requests.

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand one request, to a stream or to the WebSocket API."""
        if session.route == binance_account.API:
            return binance_account.parse(payload, session)
        return super().parse(payload, session)

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Acknowledge, or refuse."""
        if session.route == binance_account.API:
            return [binance_account.done(request.request_id, {})]
        return super().answer(request, accepted, refused, session)

    # The own account.

    def check_login(self, login: Login, credentials: Credentials, now: int) -> Refusal | None:
        """Check key, signature and time of a signed request."""
        return binance_account.check(login, credentials, now)

    def login_answer(self, login: Login, refusal: Refusal | None, session: Session) -> list[Answer]:
        """Answer a request for the user data stream."""
        return [binance_account.login_answer(login, refusal, session)]

    def private(self, topic: str, data: object, session: Session, at: int) -> str:
        """Put an event of the account into its envelope."""
        del topic, at
        return binance_account.event(data, session)

    def shutdown_notice(self, session: Session, at: int) -> str | None:
        """Announce the end, in the envelope of the connection."""
        if session.route == binance_account.API:
            return f'{{"event":{{"e":"serverShutdown","E":{at}}}}}'
        return super().shutdown_notice(session, at)

    # Data.

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the payload, in its envelope for a combined stream."""
        return enveloped(spot_payload(event, topic), topic, variant)

    def rest_shape(self) -> RestShape:
        """Give the shape of ``/api/v3``."""
        return BinanceSpotShape()
