"""Binance: spot, and USD-M futures with their three routes.

After https://github.com/binance/binance-spot-api-docs and the USD-M pages of
developers.binance.com, both of 2026. The names of the streams, the servers, the events and the
answers each have a module beside this one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..config import check_choice, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import encode_json
from ..core.incoming import Answer, Incoming
from . import binance_events
from .base import Heartbeat, Limits, ListenKey, Rate, SequenceNumbers, Venue
from .binance_answers import hashable_id, login_request, read_answer
from .binance_streams import FUTURES, PRIVATE, SPOT, USER_DATA
from .binance_urls import (
    ENVIRONMENTS,
    MARKETS,
    SERVERS,
    is_raw,
    listen_keys_in,
    topics_in,
    with_path,
)
from .rest_binance import BinanceRest

__all__ = ["Binance"]

_LIMITS = {
    "spot": Limits(
        topics_per_request=200,
        # Not documented: larger requests were passed over without an answer.
        request_size=4096,
        topics_per_connection=1024,
        # Five a second are allowed, our pongs among them, in a strictly rolling window; who goes
        # beyond is cut with 1008 and comes back to the same. So: one every 250 ms, no burst.
        messages=Rate(4, 1.0),
        connects=Rate(300, 300.0),
        max_age=86400.0,
    ),
    "futures": Limits(
        topics_per_request=200,
        request_size=4096,
        # 1024 by the documents of 2026, 200 by those before.
        topics_per_connection=200,
        messages=Rate(8, 1.0),  # of ten
        connects=Rate(300, 300.0),  # not published: as for spot
        max_age=86400.0,
    ),
}

# Binance pings (spot every 20 s, futures every 3 minutes) and the pongs are sent by themselves. Our
# own pings find a dead link sooner on the futures; one a minute is nothing in the allowance.
_SHARED_SETTINGS = {"ping_interval": 60.0, "ping_timeout": 30.0, "max_age": 23.5 * 3600}
_SETTINGS = {
    "spot": MappingProxyType({**_SHARED_SETTINGS, "stale_after": 60.0}),
    # Liquidations and the like pause for longer.
    "futures": MappingProxyType({**_SHARED_SETTINGS, "stale_after": 120.0}),
}
# An account may do nothing for days.
_PRIVATE_SETTINGS = MappingProxyType({**_SHARED_SETTINGS, "stale_after": None})


class Binance(Venue):
    """Binance spot or USD-M futures.

    A topic is Binance's stream name, "btcusdt@trade" or "!miniTicker@arr"; "userData" is the own
    account. On the futures a topic belongs to the group "public", "market" or "private", each of
    which needs a connection of its own; on spot only "userData" does.

    :param market: "spot" or "futures" (USD-M).
    :param environment: "live", "testnet" or "demo"; for the futures the last two are one system.
    :param url: as for :class:`Venue`. A URL without a path ("ws://127.0.0.1:9000") gets Binance's
        own, and on one of Binance's paths the route is that of the topics.
    :raises ConfigurationError: there is no such market or environment.
    """

    name = "binance"
    private_topics = (USER_DATA,)
    # Not '"data":': an error of the WebSocket API has that too.
    data_mark = '"stream":"'
    control_marks = tuple(binance_events.NOTICES)

    def __init__(
        self,
        market: str = "spot",
        environment: str = "live",
        *,
        url: str | Sequence[str] | None = None,
        rest_url: str | None = None,
        heartbeat: Heartbeat | None = None,
        limits: Limits | None = None,
    ) -> None:
        check_choice("market", market, MARKETS)
        check_choice("environment", environment, ENVIRONMENTS)
        self.market = market
        self.environment = environment
        self.limits = _LIMITS[market]
        self.settings = _SETTINGS[market]
        self._servers = SERVERS[market, environment]
        self._streams = SPOT if market == "spot" else FUTURES
        self.channels = self._streams.channels
        super().__init__(url=url, rest_url=rest_url, heartbeat=heartbeat, limits=limits)

    def __repr__(self) -> str:
        return f"Binance({self.market!r}, {self.environment!r})"

    def policy(self) -> ReconnectPolicy:
        """Make the policy that suits Binance: 300 connects in 5 minutes are allowed."""
        return ReconnectPolicy(initial_delay=1.0, max_delay=30.0)

    def settings_for(self, *, group: str | None = None) -> Mapping[str, Any]:
        """Give the settings that suit a connection; a private one is never stale."""
        return _PRIVATE_SETTINGS if group == PRIVATE else self.settings

    # Where.

    def urls(self, *, group: str | None = None, listen_key: str | None = None) -> tuple[str, ...]:
        """Give the URLs, in failover order.

        :param group: None on the futures: the route "market".
        :param listen_key: stands in the path: whoever shows the URL hides it.
        """
        if self._url is not None:
            bases = super().urls()
        elif self.market == "spot" and group == PRIVATE:
            bases = self._servers.api
        else:
            bases = self._servers.streams
        return tuple(
            with_path(base, market=self.market, group=group, listen_key=listen_key)
            for base in bases
        )

    @property
    def rest_url(self) -> str:
        """Base URL for REST without a slash at the end."""
        return (self._rest_url or self._servers.rest).rstrip("/")

    @property
    def rest(self) -> BinanceRest:
        """How its REST speaks."""
        return BinanceRest(self.market)

    def url_topics(self, url: str) -> tuple[str, ...]:
        """Give the streams that stand in a URL."""
        return topics_in(url)

    def secrets_in(self, url: str) -> tuple[str, ...]:
        """Give the listen keys that stand in a URL."""
        return listen_keys_in(url)

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a stream name.

        >>> Binance().topic("trade", "BTCUSDT")
        'btcusdt@trade'
        >>> Binance().topic("kline", "BTCUSDT", interval="1m")
        'btcusdt@kline_1m'
        >>> Binance().topic("depth", "BTCUSDT", levels=5, speed="100ms")
        'btcusdt@depth5@100ms'

        :param channel: "trade", "kline_1m", "depth5@100ms", "!miniTicker@arr", "userData".
        :param symbol: "BTCUSDT", in either case; None for a stream without one.
        :param parameters: interval, window, levels, speed.
        :raises ConfigurationError: there is no such channel, or the symbol is not one.
        """
        if not isinstance(channel, str):
            raise unknown_name("channel", str(channel), self.channels)
        channel, _, own = channel.partition("?")
        pairs = (pair.partition("=") for pair in own.split("&") if pair)
        given = {name: value for name, _, value in pairs}
        return self._streams.topic(channel, symbol, {**given, **parameters})

    def checked(self, topic: Any) -> str:
        """Check a topic and write its symbol in lower case, without which it stays silent."""
        given = super().checked(topic)
        return self._streams.checked(given)

    def group_of(self, topic: str) -> str | None:
        """Tell the route of a stream."""
        return self._streams.group_of(topic)

    def symbol_of(self, topic: str) -> str | None:
        """Tell the symbol of a stream, in capitals, or None."""
        symbol, at, _ = topic.partition("@")
        return symbol.upper() if at and not symbol.startswith("!") else None

    def covers(self, subscribed: str, received: Any) -> bool:
        """Tell whether an event may belong to a stream.

        On a raw connection the event does not say at which speed its stream comes.
        """
        return subscribed == received.topic or subscribed.startswith(f"{received.topic}@")

    def names_data(self, topic: str, url: str) -> bool:
        """Whether events say of which stream they are: all do but some of a raw connection."""
        return not is_raw(url) or binance_events.tells_stream(topic)

    def is_implicit(self, topic: str) -> bool:
        """Whether a topic comes by itself: the login, or the URL, has asked for it."""
        return topic == USER_DATA

    # Requests.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for these streams."""
        return _request("SUBSCRIBE", topics, request_id)

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these streams."""
        return _request("UNSUBSCRIBE", topics, request_id)

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether it is the WebSocket API of spot; the futures take the key in the URL."""
        return self.market == "spot" and group == PRIVATE

    def logs_in(self, *, group: str | None = None) -> bool:
        """Whether it is a private connection: market streams take no login."""
        return group == PRIVATE

    def login(self, credentials: Credentials, now: float) -> str | None:
        """Make the signed request for the user's data; None on the futures."""
        return login_request(credentials, now) if self.market == "spot" else None

    def listen_key(self, *, group: str | None = None) -> ListenKey | None:
        """How the futures' private stream gets the key in its URL."""
        if self.market == "spot" or group != PRIVATE:
            return None
        # It is good for an hour.
        return ListenKey(path="/fapi/v1/listenKey", header="X-MBX-APIKEY", interval=1800.0)

    # Answers and data.

    def read(self, message: Any) -> Incoming:
        """Tell what a message is."""
        if isinstance(message, list):
            return binance_events.read_event(message)
        if not isinstance(message, dict):
            return Answer()
        stream = message.get("stream")
        if isinstance(stream, str) and "data" in message:
            return binance_events.read_stream(stream, message["data"])
        if not message.keys().isdisjoint(("id", "result", "code", "error")):
            return read_answer(message)
        return binance_events.read_event(message.get("event", message))

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request an id, unless it has one."""
        own = hashable_id(request)
        return (request, own) if own is not None else ({**request, "id": request_id}, request_id)

    def answer_id(self, message: Any) -> Hashable:
        """Give the id that an answer carries, or None."""
        return hashable_id(message)

    def identity(self, message: Any) -> Hashable | None:
        """Name a message by its trade, its update or its candle; None: it has no name."""
        return binance_events.identity(message.channel, message.data)

    def sequence(self, message: Any) -> SequenceNumbers | None:
        """Give the numbers of trades and of depth updates."""
        return binance_events.sequence(self.market, message.channel, message.symbol, message.data)


def _request(method: str, topics: Sequence[str], request_id: int) -> str:
    return encode_json({"method": method, "params": list(topics), "id": request_id})
