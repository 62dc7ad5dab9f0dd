"""Connections to the fake exchange, with quick settings, and what is waited for."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from wsresilient import Credentials, Message, ResilientWebSocket
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.venues import Heartbeat, Venue

from .clients import QUICK, STOP_BOUND, Seen, quick
from .servers import PATIENCE

__all__ = ["CREDENTIALS", "PUBLIC", "Case", "Listening", "hasty", "listening"]

#: Those that the fake exchange knows.
CREDENTIALS = Credentials("key", "secret", "pass")


class Case(NamedTuple):
    """How an exchange is tried."""

    venue: str
    first: str
    second: str
    pair: tuple[str, str]


PUBLIC = {
    "binance": Case("binance", "btcusdt@trade", "ethusdt@bookTicker", ("trade", "SOLUSDT")),
    "binance-futures": Case(
        "binance-futures", "btcusdt@aggTrade", "ethusdt@markPrice", ("aggTrade", "SOLUSDT")
    ),
    "okx": Case("okx", "tickers:BTC-USDT", "trades:ETH-USDT", ("tickers", "SOL-USDT")),
    "bybit": Case(
        "bybit", "publicTrade.BTCUSDT", "orderbook.50.ETHUSDT", ("publicTrade", "SOLUSDT")
    ),
    "mexc": Case("mexc", "deal:BTC_USDT", "ticker:ETH_USDT", ("deal", "SOL_USDT")),
}


def hasty(venue: Venue, *, interval: float = 0.1) -> Venue:
    """Give the venue heartbeats and messages that suit a test."""
    beat = venue.heartbeat
    if beat is None:
        return venue
    quicker: Heartbeat = dataclasses.replace(beat, interval=interval, timeout=PATIENCE)
    return venue.replace(heartbeat=quicker)


class Listening(NamedTuple):
    """A client of a venue, and what it was told."""

    ws: ResilientWebSocket
    seen: Seen
    messages: list[Message]

    def wait_for_topics(self, *topics: str) -> None:
        """Wait until just these are wanted and confirmed."""
        wanted = frozenset(topics)

        def settled() -> bool:
            return self.ws.subscriptions == wanted == self.ws.confirmed_subscriptions

        wait_until(settled, PATIENCE, f"{sorted(wanted)} to be confirmed")

    def wait_for_data(self, *topics: str, since: int | None = None) -> None:
        """Wait until each of them has brought something new.

        :param since: how many messages there were before; None: as many as there are now.
        """
        before = len(self.messages) if since is None else since

        def all_came() -> bool:
            return set(topics) <= {message.topic for message in self.messages[before:]}

        wait_until(all_came, PATIENCE, f"data of {sorted(topics)}")


@contextlib.contextmanager
def listening(
    exchange: FakeExchange,
    *topics: Any,
    venue: Venue | None = None,
    url: Any = None,
    **settings: Any,
) -> Iterator[Listening]:
    """Run a client that subscribes; at the end it must stop cleanly."""
    seen = Seen()
    messages: list[Message] = []
    chosen = exchange.venue if venue is None else venue
    handlers = {name: one for name, one in seen.handlers().items() if name != "on_message"}
    ws = quick(
        url,
        venue=chosen,
        **{"on_data": messages.append, "reconnect": QUICK, **handlers, **settings},
    )
    ws.subscribe(*topics)
    ws.start()
    try:
        yield Listening(ws, seen, messages)
    finally:
        before = time.monotonic()
        assert ws.stop(timeout=PATIENCE)
        assert time.monotonic() - before < STOP_BOUND
