"""What the library has to know of an exchange, and nothing else: tables and pure functions.

A venue describes; it holds no state, reads no clock and knows no socket. One exchange is one
module beside this one; ``custom.py`` makes a venue from a user's functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from ..config import check_choice, check_seconds, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import decode_json
from ..core.incoming import Answer, Incoming
from ..core.limits import Limits, Rate
from ..errors import ConfigurationError, named_type
from .dialect import RestDialect
from .notation import join_topic, split_topic, split_url, with_default_path

__all__ = [
    "Heartbeat",
    "Limits",
    "ListenKey",
    "Rate",
    "SequenceNumbers",
    "Venue",
    "check_told_apart",
    "join_topic",
    "split_topic",
    "split_url",
    "with_default_path",
]

VenueT = TypeVar("VenueT", bound="Venue")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """What we send so that the exchange keeps the connection, beside protocol pings.

    :ivar payload: the message, or a function of its number that makes it. An id in it should be
        none that a request may have: those are numbers.
    :ivar interval: seconds from one to the next.
    :ivar timeout: seconds in which something, anything, must come after it.
    :ivar when: "always", or "silent": only after ``interval`` seconds without a byte.
    :raises ConfigurationError: a value is not allowed: both times are greater than 0.
    """

    payload: str | Callable[[int], str]
    interval: float
    timeout: float = 10.0
    when: str = "always"

    def __post_init__(self) -> None:
        if not isinstance(self.payload, str) and not callable(self.payload):
            raise ConfigurationError(
                f"payload of Heartbeat is {named_type(self.payload)}; allowed: a str, or a "
                "function (number) -> str"
            )
        check_seconds("interval of Heartbeat", self.interval, exclusive=True)
        check_seconds("timeout of Heartbeat", self.timeout, exclusive=True)
        check_choice("when of Heartbeat", self.when, ("always", "silent"))

    def message(self, number: int) -> str:
        """Make the message with this number."""
        return self.payload(number) if callable(self.payload) else self.payload


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenKey:
    """A key, fetched over REST, that stands in the URL of a private stream (Binance futures).

    :ivar path: POST makes it or makes it last longer, PUT makes it last longer.
    :ivar header: carries the API key.
    :ivar interval: seconds between two PUTs.
    """

    path: str
    header: str
    interval: float


@dataclass(frozen=True, slots=True)
class SequenceNumbers:
    """The numbers of a message within its stream.

    :ivar key: of which stream: messages of one key follow each other.
    :ivar first: the first number that the message covers.
    :ivar last: the last one.
    :ivar previous: the number that must have come before; None: ``first - 1``.
    :ivar restart: the message begins a new count (a snapshot, a reset).
    """

    key: Hashable
    first: int
    last: int
    previous: int | None = None
    restart: bool = False


class Venue:
    """How one exchange speaks. Subclasses fill in what is theirs.

    All methods are pure. ``message`` is always what :meth:`decode` returned.

    :param url: one URL, or several in failover order, in place of the venue's own.
    :param rest_url: base URL for REST in place of the venue's own.
    :param heartbeat: in place of the venue's own.
    :param limits: in place of the venue's own.
    """

    #: Its name, in lower case.
    name: str = "custom"
    #: All channels that there are, for checks and error texts; empty: any is allowed. A channel
    #: with a parameter in its name ends where the parameter begins ("kline_", "orderbook.").
    channels: tuple[str, ...] = ()
    #: Topics that a connection with credentials has by itself (Binance: "userData").
    private_topics: tuple[str, ...] = ()
    #: A piece of text that stands in every data message and in no control message; None: each
    #: message has to be decoded to know. Only a short cut: without it nothing goes wrong.
    data_mark: str | None = None
    #: Pieces of text that make a message with the data mark a control message all the same.
    control_marks: tuple[str, ...] = ()
    #: Whether subscriptions are acknowledged; without, a sent request counts as confirmed.
    acknowledges: bool = True
    #: Whether data of a topic confirms its subscription (MEXC: acknowledgements have no names).
    data_confirms: bool = False
    #: Settings of a connection (:class:`~wsresilient.config.ConnectionConfig`) that suit it.
    settings: Mapping[str, Any] = MappingProxyType({})
    #: Close codes with which it says that these credentials can never succeed again.
    fatal_close_codes: frozenset[int] = frozenset()

    def __init__(
        self,
        *,
        url: str | Sequence[str] | None = None,
        rest_url: str | None = None,
        heartbeat: Heartbeat | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._url = url
        self._rest_url = rest_url
        if heartbeat is not None:
            self.heartbeat = heartbeat
        if limits is not None:
            self.limits = limits

    heartbeat: Heartbeat | None = None
    limits: Limits = Limits()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def replace(self: VenueT, **changes: Any) -> VenueT:
        """Return a copy with another url, rest_url, heartbeat or limits.

        :raises ConfigurationError: it is none of these.
        """
        fields = {
            "url": "_url",
            "rest_url": "_rest_url",
            "heartbeat": "heartbeat",
            "limits": "limits",
        }
        other = copy.copy(self)
        for name, value in changes.items():
            if name not in fields:
                raise unknown_name("venue field", name, tuple(fields))
            setattr(other, fields[name], value)
        return other

    def policy(self) -> ReconnectPolicy:
        """Make the policy that suits the exchange."""
        return ReconnectPolicy()

    def settings_for(self, *, group: str | None = None) -> Mapping[str, Any]:
        """Give the :attr:`settings` that suit a connection of this group of :meth:`group_of`.

        A private stream may be silent for hours, a market never is.
        """
        del group
        return self.settings

    # Where.

    def urls(self, *, group: str | None = None, listen_key: str | None = None) -> tuple[str, ...]:
        """Give the URLs, in failover order; ``url=`` overrides them.

        :param group: of :meth:`group_of`; None: no topic is wanted yet.
        :param listen_key: where :meth:`listen_key` asks for one.
        """
        if self._url is None:
            raise ConfigurationError(f"{self!r} has no URL; give url=")
        return (self._url,) if isinstance(self._url, str) else tuple(self._url)

    @property
    def rest_url(self) -> str | None:
        """Base URL for REST without a slash at the end, or None."""
        return self._rest_url

    @property
    def rest(self) -> RestDialect | None:
        """How its REST speaks, or None."""
        return None

    def url_topics(self, url: str) -> tuple[str, ...]:
        """Give the topics that a URL subscribes by itself."""
        return ()

    def secrets_in(self, url: str) -> tuple[str, ...]:
        """Give what nothing may show of a URL's path; user info and query are hidden anyway."""
        del url
        return ()

    # Topics.

    def topic(self, channel: str, symbol: str | None = None, /, **parameters: Any) -> str:
        """Build a topic, in the venue's own notation where it has one.

        :param channel: its name; parameters may follow it: "kline?interval=Min60".
        :param symbol: the venue's spelling; None: the channel has none.
        :param parameters: the others; they win over those that stand in the channel.
        :raises ConfigurationError: there is no such channel, or the symbol is not one.
        """
        if "?" in channel:
            channel, inner, given = split_topic(channel)
            return join_topic(channel, inner if symbol is None else symbol, given | parameters)
        return join_topic(channel, symbol, parameters)

    def checked(self, topic: Any) -> str:
        """Check a topic that a user gave: a str, or the pair (channel, symbol).

        :raises ConfigurationError: it is no topic; the text names the channels that exist.
        """
        if isinstance(topic, list):
            raise ConfigurationError(
                f"a topic is the list {topic!r:.60}; allowed: topics one by one, as in "
                "subscribe(*topics), each a str or a pair (channel, symbol)"
            )
        if isinstance(topic, tuple) and len(topic) == 2:
            channel, symbol = topic
            if isinstance(channel, str) and (symbol is None or isinstance(symbol, str)):
                return self.topic(channel, symbol)
        if not isinstance(topic, str) or not topic.strip():
            raise ConfigurationError(
                f"a topic is {topic!r:.60}; allowed: a str, or a pair (channel, symbol)"
            )
        return topic

    def group_of(self, topic: str) -> str | None:
        """Tell which kind of connection a topic needs (Binance futures' routes); None: any.

        Topics of different groups cannot be on one connection.
        """
        return None

    def symbol_of(self, topic: str) -> str | None:
        """Tell what a topic is about, or None: topics of one symbol stay together in a pool."""
        return split_topic(topic)[1]

    def covers(self, subscribed: str, received: Any) -> bool:
        """Tell whether :class:`~wsresilient.core.incoming.Data` belongs to a wider subscription.

        Asked only where its topic is not itself subscribed. "orders?instType=ANY" covers the
        orders of each instrument.
        """
        return bool(subscribed == received.topic)

    def ends_with(self, topic: str, other: str) -> bool:
        """Whether unsubscribing a topic ends another one too (MEXC: all candles of a symbol)."""
        return False

    def wire_name(self, topic: str) -> str:
        """Name a topic as its messages do, which may leave parameters out (MEXC's do).

        Of topics with the same name only one can be subscribed: nothing tells their data apart.
        """
        return topic

    def is_implicit(self, topic: str) -> bool:
        """Whether a topic comes by itself after the login: no request is sent for it."""
        return False

    def names_data(self, topic: str, url: str) -> bool:
        """Whether data of a topic say on this URL to which topic they belong."""
        return True

    def is_private(self, topic: str) -> bool:
        """Whether a topic needs credentials; nobody wonders when it brings nothing for long."""
        return self.is_implicit(topic)

    # Requests. Each is one message to send.

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request for these topics."""
        raise NotImplementedError(f"{type(self).__name__} has no subscribe()")

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """Make the request that ends these topics."""
        raise NotImplementedError(f"{type(self).__name__} has no unsubscribe()")

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        """What an acknowledgement without an id names (MEXC: the method), or None."""
        return None

    # Login.

    def needs_login(self, *, group: str | None = None) -> bool:
        """Whether nothing works on this connection without credentials."""
        return False

    def logs_in(self, *, group: str | None = None) -> bool:
        """Whether credentials, where there are any, are used for a login on this connection."""
        return True

    def check_credentials(self, credentials: Credentials) -> None:
        """Check that nothing is missing that the exchange wants.

        :raises ConfigurationError: something is.
        """

    def login(self, credentials: Credentials, now: float) -> str | None:
        """Make the login request; None: this venue has none.

        :param now: wall clock, seconds since the epoch.
        :raises ConfigurationError: a part of the credentials is missing.
        """
        return None

    def listen_key(self, *, group: str | None = None) -> ListenKey | None:
        """How a private stream gets the key in its URL, or None."""
        return None

    # Answers.

    def decode(self, payload: str | bytes) -> Any:
        """Decode a message.

        :raises ValueError: it cannot be.
        """
        return decode_json(payload)

    def read(self, message: Any) -> Incoming:
        """Tell what a message is. Whatever comes, it does not raise: unknown is an Answer."""
        del message
        return Answer()

    def with_id(self, request: dict[str, Any], request_id: int) -> tuple[dict[str, Any], Hashable]:
        """Give a user's request an id, unless it has one; returns both.

        :returns: the request and its id; the id is None where the venue has none.
        """
        del request_id
        return request, None

    def answer_id(self, message: Any) -> Hashable:
        """Give the id that an answer carries, or None."""
        del message
        return None

    # Data.

    def identity(self, message: Any) -> Hashable | None:
        """Name a :class:`~wsresilient.Message` so that the same one over two connections is known.

        None: it has no name of its own.
        """
        del message
        return None

    def sequence(self, message: Any) -> SequenceNumbers | None:
        """Give the numbers of a :class:`~wsresilient.Message` within its stream, or None."""
        del message
        return None


def check_told_apart(venue: Venue, topics: Iterable[str]) -> None:
    """Check that no two topics have the same :meth:`Venue.wire_name`.

    :raises ConfigurationError: two have.
    """
    if type(venue).wire_name is Venue.wire_name:
        return
    names: dict[str, str] = {}
    for topic in topics:
        other = names.setdefault(venue.wire_name(topic), topic)
        if other != topic:
            raise ConfigurationError(
                f"the topics {other!r:.80} and {topic!r:.80} cannot both be subscribed: "
                f"{venue!r} names both alike in their data; unsubscribe one of them, or give it "
                "to a connection of its own"
            )
