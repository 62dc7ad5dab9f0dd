"""What a message of an exchange turns out to be: data, or one of its few kinds of control.

A venue reads a decoded message into one of these values; the registry of subscriptions and the
session act on them. They know no exchange.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Acknowledged",
    "Answer",
    "Data",
    "Incoming",
    "LoggedIn",
    "LoginRefused",
    "Notice",
    "Pong",
    "Refused",
    "code_said",
    "text_said",
]

#: Characters of an answer's text that are looked at; the longest that is known has 300.
MOST_TEXT = 2000
#: Characters of a code, and the largest number that is one.
MOST_CODE, LARGEST_CODE = 40, 10**12


def text_said(given: object) -> str:
    """Give an answer's text, cut before anybody looks at it; "" where it is no text.

    Half a secret at the end of it is hidden by the redactor; so nothing may be put behind it.
    """
    return given[:MOST_TEXT] if isinstance(given, str) else ""


def code_said(given: object) -> int | str | None:
    """Give an answer's code, or None: there is none that could be one.

    It is never cut: a half of a secret in it would not be recognised as one.
    """
    if isinstance(given, str):
        return given if len(given) <= MOST_CODE else None
    return given if isinstance(given, int) and abs(given) <= LARGEST_CODE else None


@dataclass(frozen=True, slots=True)
class Data:
    """A message of a topic.

    :ivar topic: as the wire names it; what was subscribed may be wider (``Venue.covers``).
    :ivar channel: the topic without its symbol.
    :ivar symbol: the venue's spelling, or None.
    :ivar data: the payload without its envelope.
    """

    topic: str
    channel: str | None
    symbol: str | None
    data: Any


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A request, or some of its topics, was accepted.

    :ivar request_id: as we sent it, or None where the venue does not echo it.
    :ivar topics: which ones; empty: all of the request.
    :ivar tag: where there is no id: the oldest request with this tag is meant
        (``Venue.tag``, MEXC's method).
    """

    request_id: Hashable = None
    topics: tuple[str, ...] = ()
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A request, or some of its topics, was refused.

    :ivar request_id: as we sent it, or None.
    :ivar topics: which ones; empty: the venue does not say, so the request is split.
    :ivar code: the venue's, or None.
    :ivar text: what the venue says.
    :ivar whole_request: whether the other topics of the request were refused along with it and
        have to be asked for again.
    :ivar temporary: whether the same request may succeed later (too many requests).
    :ivar present: the refused topics are subscribed already, which is as good as accepted.
    :ivar accepted: topics of the same request that this very answer accepts.
    :ivar symbol: of the refused topic, where the venue names no more (MEXC).
    :ivar channel: of the refused topic, where the venue names no more (OKX's connection count).
    :ivar tag: where nothing else is named: the oldest request with this tag is meant.
        While a login is under way, a refusal that names nothing at all is the login's.
    :ivar of_topic: where nothing is named: it is one of the topics that are asked for (MEXC).
    """

    request_id: Hashable = None
    topics: tuple[str, ...] = ()
    code: int | str | None = None
    text: str = ""
    whole_request: bool = False
    temporary: bool = False
    present: bool = False
    accepted: tuple[str, ...] = ()
    symbol: str | None = None
    channel: str | None = None
    tag: str | None = None
    of_topic: bool = False

    @property
    def names_nothing(self) -> bool:
        """Whether it does not tell what it is about."""
        named = (self.request_id, self.symbol, self.channel, self.tag)
        return not self.topics and all(one is None for one in named)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The login was accepted."""


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """The login was refused.

    :ivar code: the venue's, or None.
    :ivar text: what the venue says.
    :ivar final: whether the same credentials can never succeed.
    :ivar retries: where not final: how often it may be tried again in a row; None: no limit.
    :ivar clock: whether the venue says that our clock is wrong.
    :ivar server_time: the venue's clock, seconds since the epoch, where it tells it.
    :ivar retry_after: seconds in which the venue will not let us in, where it says so.
    :ivar revoked: it may come later, too: what had logged in is so no more.
    """

    code: int | str | None = None
    text: str = ""
    final: bool = True
    retries: int | None = None
    clock: bool = False
    server_time: float | None = None
    retry_after: float | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a heartbeat."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The venue tells something about the connection.

    :ivar text: what.
    :ivar reconnect: whether the connection should be replaced now: it is about to end, or its
        session has.
    """

    text: str
    reconnect: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request of the user's, or something that nobody asked for.

    :ivar request_id: where it has one.
    """

    request_id: Hashable = None


Incoming = Data | Acknowledged | Refused | LoggedIn | LoginRefused | Pong | Notice | Answer
