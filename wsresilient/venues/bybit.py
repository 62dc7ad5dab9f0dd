"""Bybit v5: one connection for each public market, and one for what is private.

Sources: Bybit's documentation ``docs/v5/websocket`` (2026-07). Its topics are in
``bybit_topics.py``, the reading of its messages in ``bybit_messages.py``, its REST in
``rest_bybit.py``.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from ..config import check_choice, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import encode_json
from ..core.incoming import Answer, Data, Incoming
from ..errors import ConfigurationError
from .base import (
    Heartbeat,
    Limits,
    Rate,
    SequenceNumbers,
    Venue,
    split_topic,
    with_default_path,
)
from .bybit_messages import (
    identity_of,
    read_control,
    request_id_of,
    sequence_of,
    symbol_in,
)
from .bybit_topics import (
    MARKETS,
    PARAMETERS,
    PRIVATE,
    check_private,
    check_public,
    is_private,
    is_public,
    private_head,
    public_channels,
    split,
)
from .rest_bybit import BybitRest

__all__ = ["Bybit"]

ENVIRONMENTS = ("live", "testnet", "demo")

#: The first host, then those to fall back to. Demo accounts see the live market.
_PUBLIC_HOSTS = {
    "live": ("stream.bybit.com", "stream.bytick.com"),
    "testnet": ("stream-testnet.bybit.com",),
    "demo": ("stream.bybit.com", "stream.bytick.com"),
}
_PRIVATE_HOSTS = {**_PUBLIC_HOSTS, "demo": ("stream-demo.bybit.com",)}
_REST = {
    "live": "https://api.bybit.com",
    "testnet": "https://api-testnet.bybit.com",
    "demo": "https://api-demo.bybit.com",
}

#: Seconds that a login stays valid. Bybit's sample has one, which users found too short.
_LOGIN_VALID = 10


class Bybit(Venue):
    """Bybit v5.

    Topics are Bybit's own: "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT", "kline.5.BTCUSDT";
    private ones have no symbol: "order", "execution", "wallet", "position.linear".

    :param market: "linear" (USDT and USDC contracts), "spot", "inverse" or "option".
    :param private: the connection for orders, executions, positions and the wallet; it needs
        ``auth``. It serves all markets; ``market`` then only says whose REST is asked.
    :param environment: "live", "testnet" or "demo" (a demo account; its public market is the
        live one).
    :param url: one URL, or several in failover order, in place of Bybit's own. A URL without a
        path ("wss://stream.bybit.eu") gets Bybit's.
    :param rest_url: base URL for REST in place of Bybit's own.
    :param heartbeat: in place of Bybit's own, a ping every 20 s.
    :param limits: in place of Bybit's own.
    :raises ConfigurationError: there is no such market or environment.
    """

    name = "bybit"
    data_mark = '"topic":"'
    heartbeat = Heartbeat(
        # Not the number alone, which is what requests are called.
        payload=lambda number: encode_json({"req_id": f"hb-{number}", "op": "ping"}),
        interval=20.0,
    )

    def __init__(
        self,
        market: str = "linear",
        private: bool = False,
        environment: str = "live",
        *,
        url: str | Sequence[str] | None = None,
        rest_url: str | None = None,
        heartbeat: Heartbeat | None = None,
        limits: Limits | None = None,
    ) -> None:
        check_choice("market", market, MARKETS)
        check_choice("private", private, (True, False))
        check_choice("environment", environment, ENVIRONMENTS)
        self.market, self.private, self.environment = market, private, environment
        self.channels = PRIVATE if private else public_channels(market)
        self.settings = _settings(market, private)
        if limits is None:
            limits = _private_limits() if private else _public_limits(market)
        super().__init__(url=url, rest_url=rest_url, heartbeat=heartbeat, limits=limits)

    def __repr__(self) -> str:
        private = ", private=True" if self.private else ""
        where = "" if self.environment == "live" else f", environment={self.environment!r}"
        return f"Bybit({self.market!r}{private}{where})"

    def policy(self) -> ReconnectPolicy:
        """Stay far below 500 connects in five minutes."""
        return ReconnectPolicy(max_delay=30.0)

    # Where.

    def urls(self, *, group: str | None = None, listen_key: str | None = None) -> tuple[str, ...]:
        """Give the URLs, in failover order."""
        hosts = (_PRIVATE_HOSTS if self.private else _PUBLIC_HOSTS)[self.environment]
        bases = super().urls() if self._url is not None else [f"wss://{host}" for host in hosts]
        path = "/v5/private" if self.private else f"/v5/public/{self.market}"
        return tuple(with_default_path(base, path) for base in bases)

    @property
    def rest_url(self) -> str:
        """Base URL for REST."""
        return (self._rest_url or _REST[self.environment]).rstrip("/")

    @property
    def rest(self) -> BybitRest:
        """How its REST speaks."""
        return BybitRest(self.market)

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a topic.

        >>> Bybit().topic("orderbook.50", "BTCUSDT")
        'orderbook.50.BTCUSDT'
        >>> Bybit().topic("kline", "BTCUSDT", interval=5)
        'kline.5.BTCUSDT'

        :param parameters: ``depth`` of "orderbook", ``interval`` of "kline".
        :raises ConfigurationError: there is no such channel, or the symbol is not one.
        """
        if "?" in channel:
            channel, _, given = split_topic(channel)
            parameters = {**given, **parameters}
        known = PARAMETERS.get(channel)
        for name in parameters:
            if known is None:
                raise ConfigurationError(f"{channel!r:.80} has no parameters; {name!r} was given")
            if name != known:
                raise unknown_name(f"parameter of {channel!r}", name, (known,))
        parts = (channel, *map(str, parameters.values()), *(() if symbol is None else (symbol,)))
        return self.checked(".".join(parts))

    def checked(self, topic: Any) -> str:
        """Check a topic, or a pair (channel, symbol).

        :raises ConfigurationError: it is no topic of this connection.
        """
        text = super().checked(topic)
        if self.private:
            if is_public(text):
                raise ConfigurationError(
                    f"{text!r:.80} is a public topic, and {self!r} has the private ones; give it "
                    f"to a connection of its own with venue=Bybit({self.market!r})"
                )
            check_private(text)
        else:
            if is_private(text):
                raise ConfigurationError(
                    f"{text!r:.80} is a private topic, and {self!r} has the public ones; give it "
                    f"to a connection with venue=Bybit({self.market!r}, private=True) and auth="
                )
            check_public(text, self.market)
        return text

    def symbol_of(self, topic: str) -> str | None:
        """Tell the symbol of a topic, or None."""
        return split(topic)[1]

    def is_private(self, topic: str) -> bool:
        """Whether a topic needs a login, as all of the private connection do."""
        return self.private

    def covers(self, subscribed: str, received: Any) -> bool:
        """Tell whether one is the all-in-one form ("order") of the other ("order.linear")."""
        topic: str = received.topic
        if subscribed == topic:
            return True
        head = private_head(topic)
        return head in PRIVATE and head == private_head(subscribed) and head in (subscribed, topic)

    # Requests.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for these topics."""
        return encode_json({"req_id": str(request_id), "op": "subscribe", "args": list(topics)})

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these topics."""
        return encode_json({"req_id": str(request_id), "op": "unsubscribe", "args": list(topics)})

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether it is the private connection."""
        return self.private

    def login(self, credentials: Credentials, now: float) -> str | None:
        """Make the login request; None for public connections, which know no login."""
        if not self.private:
            return None
        expires = int(now * 1000) + _LOGIN_VALID * 1000
        signature = credentials.hex_signature(f"GET/realtime{expires}")
        return encode_json(
            {"req_id": "auth", "op": "auth", "args": [credentials.api_key, expires, signature]}
        )

    # Answers.

    def read(self, message: Any) -> Incoming:
        """Tell what a message is."""
        if not isinstance(message, dict):
            return Answer()
        topic = message.get("topic")
        if not isinstance(topic, str) or "op" in message:
            return read_control(message)
        channel, symbol = split(topic)
        data = message.get("data")
        if symbol is None and is_private(topic):
            symbol = symbol_in(data)
        return Data(topic, channel, symbol, data)

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request a ``req_id``, unless it has one."""
        complete = {"req_id": str(request_id), **request}
        return complete, request_id_of(complete)

    def answer_id(self, message: Any) -> Hashable:
        """Give the ``req_id`` of an answer, as a number where it is one, or None."""
        return request_id_of(message) if isinstance(message, dict) else None

    # Data.

    def identity(self, message: Any) -> Hashable | None:
        """Name a message by its trades, its candle, its update number or its orders."""
        return identity_of(message)

    def sequence(self, message: Any) -> SequenceNumbers | None:
        """Give the update number of an order book.

        Bybit promises consecutive numbers for "orderbook.full"; of the other depths its REST
        documentation says "always in sequence". A snapshot begins anew.
        """
        return sequence_of(message)


def _settings(market: str, private: bool) -> dict[str, Any]:
    stale_after: float | None = 60.0
    if private:
        stale_after = None  # nothing comes while nothing happens in the account
    elif market == "option":
        stale_after = 300.0  # a single option may be quiet
    return {"ping_interval": 60.0, "ping_timeout": 30.0, "stale_after": stale_after}


def _public_limits(market: str) -> Limits:
    return Limits(
        topics_per_request=10 if market == "spot" else None,
        topics_per_connection=2000 if market == "option" else None,
        topics_size=21_000,
        connections=1000,
        connects=Rate(500, 300.0),
        messages=Rate(10, 1.0),  # not published: a careful choice
        idle=600.0,
    )


def _private_limits() -> Limits:
    return Limits(
        # "order" and "order.linear" must not stand in one request, and topics are few here.
        topics_per_request=1,
        connects=Rate(500, 300.0),
        messages=Rate(10, 1.0),  # not published: a careful choice
        idle=600.0,
    )
