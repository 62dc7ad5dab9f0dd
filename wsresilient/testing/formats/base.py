"""What the fake exchange asks of a venue's format; one module beside this one per venue.

A format is pure: it turns a client's message into actions and events into messages. It knows no
socket and no clock, and it keeps nothing: what it must remember of one connection is in the
connection's :class:`Session`. Topics are spelled as ``wsresilient.venues`` spells them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import SILENT, Event, Stream
from wsresilient.testing.limits import Limit, VenueLimits
from wsresilient.testing.rest_shapes.base import RestShape

__all__ = [
    "SILENT",
    "Action",
    "Answer",
    "Close",
    "ExchangeFormat",
    "Heartbeat",
    "HttpRefusal",
    "ListTopics",
    "Login",
    "Refusal",
    "Reply",
    "Request",
    "Session",
    "Stream",
    "Subscribe",
    "Unsubscribe",
]


@dataclass
class Session:
    """What is known of one connection.

    The format makes it in :meth:`ExchangeFormat.open`; the exchange fills in and keeps up to date
    what is marked so.

    :ivar variant: which of the format's spellings the connection gets its data in. A message is
        made once for each variant and not for each connection.
    :ivar topics: what the URL subscribed to.
    :ivar route: which of the venue's kinds of connection it is ("public", "private", "spot").
    :ivar listen_keys: the keys in the URL that stand for a login.
    :ivar memory: whatever else the format has to remember; its own business.
    :ivar connection: the connection's number, counted from 1 (kept by the exchange).
    :ivar subscribed: its topics, in the order in which they came (kept by the exchange).
    :ivar is_logged_in: whether a login was accepted, or a listen key is valid (kept by the
        exchange).
    :ivar now: the exchange's clock when the client's latest message came, milliseconds since 1970
        (kept by the exchange).
    """

    variant: str
    topics: tuple[str, ...] = ()
    route: str = ""
    listen_keys: tuple[str, ...] = ()
    memory: dict[str, Any] = field(default_factory=dict)
    connection: int = 0
    subscribed: dict[str, None] = field(default_factory=dict)
    is_logged_in: bool = False
    now: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why a topic or a login is refused, in the venue's terms."""

    code: int
    message: str


class HttpRefusal(NamedTuple):
    """What a handshake gets that is not accepted."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# What a client asks for.


@dataclass(frozen=True)
class Subscribe:
    """The client wants topics.

    :ivar request_id: what the answer must carry, as the client wrote it.
    :ivar name: what else the answer must carry, such as a method.
    """

    topics: tuple[str, ...]
    request_id: object = None
    name: str = ""


@dataclass(frozen=True)
class Unsubscribe:
    """The client does not want topics any more."""

    topics: tuple[str, ...]
    request_id: object = None
    name: str = ""


@dataclass(frozen=True)
class Login:
    """The client says who it is.

    :ivar api_key: as the client wrote it.
    :ivar details: what :meth:`ExchangeFormat.check_login` needs: signature, time, passphrase.
    :ivar topics: what the client is subscribed to by it, when it is accepted.
    """

    api_key: str = field(repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    topics: tuple[str, ...] = ()
    request_id: object = None


@dataclass(frozen=True)
class ListTopics:
    """The client asks what it is subscribed to."""

    request_id: object = None


@dataclass(frozen=True)
class Heartbeat:
    """The client asks for a sign of life; not a protocol ping.

    :ivar answer: what it gets.
    """

    answer: str


@dataclass(frozen=True)
class Reply:
    """The format answers by itself: a property, a filter, a request that is wrong."""

    payload: str = field(repr=False)


@dataclass(frozen=True)
class Close:
    """The connection is closed.

    :ivar code: of the close frame; None: a reset without one.
    """

    code: int | None
    reason: str = ""


#: No action at all is how a venue passes over a request without a word.
Action = Subscribe | Unsubscribe | Login | ListTopics | Heartbeat | Reply | Close
Request = Subscribe | Unsubscribe | Login
#: What a client gets for it: messages, and perhaps the end.
Answer = str | Close


class ExchangeFormat(ABC):
    """How one venue speaks. Subclasses say what is theirs.

    A message with data is made thousands of times a second: f-strings, no json.dumps.
    """

    #: The venue's name, in lower case.
    name: str
    #: Symbols in the venue's spelling.
    default_symbols: tuple[str, ...]
    #: What the real one enforces.
    limits: VenueLimits = VenueLimits()
    #: Whether one bad topic refuses all topics of its request.
    refuses_whole_requests: bool = False
    #: Whether a topic with a symbol that the market does not have is refused; else it is accepted
    #: and silent.
    refuses_unknown_symbols: bool = True

    # Connections.

    @abstractmethod
    def target(self, topics: Sequence[str]) -> str:
        """Give path and query of the URL that connects and, where possible, subscribes.

        :raises ConfigurationError: the venue has no subscription by URL and there are topics.
        """

    @abstractmethod
    def open(self, target: str) -> Session | None:
        """Begin a connection with this path and query; None: there is no such path."""

    # Topics.

    @abstractmethod
    def stream(self, topic: str, session: Session) -> Stream | Refusal:
        """Tell what a topic stands for on this connection, or why it is refused.

        :data:`SILENT` is accepted and gets no data. Whether the symbol exists is asked later.
        """

    @abstractmethod
    def refusal(self, topic: str) -> Refusal:
        """Say that there is no such topic, or that its symbol does not exist."""

    # Requests.

    def refuses_whole(self, session: Session) -> bool:
        """Whether one bad topic refuses all topics of its request on this connection."""
        del session
        return self.refuses_whole_requests

    @abstractmethod
    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand what a client sent; what is wrong becomes a :class:`Reply`."""

    @abstractmethod
    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
        session: Session,
    ) -> list[Answer]:
        """Make the acknowledgements and errors that answer a request."""

    def listing(self, request: ListTopics, session: Session) -> list[Answer]:
        """Make the answer to a :class:`ListTopics`, where :meth:`parse` makes such."""
        del request, session
        return []

    # Limits.

    def penalty(self, limit: Limit, request: Request | None, session: Session) -> list[Answer]:
        """Say what a client gets that went over a limit. Nothing that it asked for is done.

        :param request: the request that was too much; None: it was no request (idle, too old).
        """
        del request, session
        return [Close(1008, f"over the limit: {limit}")]

    def connect_refusal(self, limit: Limit) -> HttpRefusal:
        """Say what a handshake gets that is one too many (``CONNECTIONS``, ``CONNECTS``)."""
        del limit
        return HttpRefusal(429, {}, b"Too many requests.\n")

    # Who one is.

    #: What ``reject_logins()`` refuses with when it is told no code.
    login_refusal: Refusal = Refusal(0, "Login failed.")

    def check_login(self, login: Login, credentials: Credentials, now: int) -> Refusal | None:
        """Check key, signature and time of a login.

        :param now: the exchange's clock, milliseconds since 1970.
        :returns: why it is refused; None: it is accepted. Without logins, all are refused.
        """
        del login, credentials, now
        return self.login_refusal

    def login_answer(self, login: Login, refusal: Refusal | None, session: Session) -> list[Answer]:
        """Make the answer to a login, where :meth:`parse` makes such.

        :param refusal: why it is refused; None: it was accepted.
        """
        del login, refusal, session
        return []

    # Data.

    @abstractmethod
    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the message of an event."""

    def receives(self, topic: str, session: Session, data: object) -> bool:
        """Tell whether private data of a topic goes to this connection.

        :param data: as :meth:`private` will get it.
        """
        del data
        return session.is_logged_in and topic in session.subscribed

    @abstractmethod
    def private(self, topic: str, data: object, session: Session, at: int) -> str:
        """Make the message with private data.

        :param topic: as the test wrote it.
        :param data: what the test wants under the venue's envelope.
        :param at: milliseconds since 1970.
        """

    def shutdown_notice(self, session: Session, at: int) -> str | None:
        """Announce that the connection will soon end; None: the venue does not, or not here."""
        del session, at
        return None

    def expiry_notice(self, listen_key: str, session: Session, at: int) -> str | None:
        """Tell a connection that its listen key has expired; None: the venue has no such keys."""
        del listen_key, session, at
        return None

    # REST.

    def rest_shape(self) -> RestShape | None:
        """Give the shape of the venue's REST; None: it has none."""
        return None
