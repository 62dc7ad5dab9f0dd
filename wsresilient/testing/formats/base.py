"""What the fake exchange asks of a venue's format; one module beside this one per venue.

A format is pure: it turns a client's message into actions and events into messages. It knows no
socket, no clock, and not who is subscribed; what it must remember of one connection is in the
connection's :class:`Session`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wsresilient.testing.market import Event, Kind

__all__ = [
    "Action",
    "ExchangeFormat",
    "ListTopics",
    "Refusal",
    "Reply",
    "Session",
    "Stream",
    "Subscribe",
    "Unsubscribe",
]


@dataclass
class Session:
    """What a format remembers of one connection.

    :ivar variant: which of the format's spellings the connection gets its data in. A message is
        made once for each variant and not for each connection.
    :ivar topics: what the URL subscribed to.
    """

    variant: str
    topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """What a topic stands for. A symbol that the market does not have gets no data."""

    symbol: str
    kind: Kind


@dataclass(frozen=True)
class Refusal:
    """Why a topic is refused, in the venue's terms."""

    code: int
    message: str


@dataclass(frozen=True)
class Subscribe:
    """The client wants topics.

    :ivar request_id: what the answer must carry, as the client wrote it.
    """

    topics: tuple[str, ...]
    request_id: object = None


@dataclass(frozen=True)
class Unsubscribe:
    """The client does not want topics any more."""

    topics: tuple[str, ...]
    request_id: object = None


@dataclass(frozen=True)
class ListTopics:
    """The client asks what it is subscribed to."""

    request_id: object = None


@dataclass(frozen=True)
class Reply:
    """The format answers by itself: a text ping, a property, a request that is wrong."""

    payload: str = field(repr=False)


Action = Subscribe | Unsubscribe | ListTopics | Reply


class ExchangeFormat(Protocol):
    """How one venue speaks."""

    @property
    def name(self) -> str:
        """The venue's name, in lower case."""

    @property
    def default_symbols(self) -> tuple[str, ...]:
        """Symbols in the venue's spelling."""

    @property
    def max_topics(self) -> int | None:
        """How many topics one connection may have; None: any number."""

    @property
    def refuses_whole_requests(self) -> bool:
        """Whether one bad topic refuses all topics of its request."""

    def target(self, topics: Sequence[str]) -> str:
        """Give path and query of the URL that connects and, where possible, subscribes.

        :raises ConfigurationError: the venue has no subscription by URL and there are topics.
        """

    def open(self, target: str) -> Session | None:
        """Begin a connection with this path and query; None: there is no such path."""

    def stream(self, topic: str) -> Stream | None:
        """Tell what a topic stands for; None: there is no such stream, it is refused."""

    def refusal(self, topic: str) -> Refusal:
        """Say why a topic is refused when nothing else was set."""

    def parse(self, payload: str | bytes, session: Session) -> list[Action]:
        """Understand what a client sent; what is wrong becomes a :class:`Reply`."""

    def answer(
        self,
        request: Subscribe | Unsubscribe,
        accepted: Sequence[str],
        refused: Mapping[str, Refusal],
    ) -> list[str]:
        """Make the acknowledgements and errors that answer a request."""

    def too_many(self, request: Subscribe) -> list[str]:
        """Make the answer to a request that goes beyond :attr:`max_topics`."""

    def listing(self, request: ListTopics, topics: Sequence[str]) -> list[str]:
        """Make the answer to a :class:`ListTopics`."""

    def data(self, event: Event, topic: str, variant: str) -> str:
        """Make the message of an event."""
