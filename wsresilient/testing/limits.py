"""What an exchange allows a client, and what happened when a client took more.

Values only: who counts, and what time it is, is decided in ``enforcement.py``. The numbers of a
venue are in its format, written down a second time and not taken from ``wsresilient.venues``, so
that a wrong number there is found here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, NamedTuple

from wsresilient.config import unknown_name
from wsresilient.errors import ConfigurationError
from wsresilient.venues.base import Rate

__all__ = ["Limit", "Rate", "Sign", "VenueLimits", "Violation"]


# In how many seconds, where only a number is given.
_PERIODS = {"message_rate": 1.0, "connect_rate": 1.0, "request_quota": 3600.0}


class Limit(str, Enum):
    """What can be exceeded."""

    #: ``max_topics``
    TOPICS = "topics"
    #: ``max_topics_size``
    TOPICS_SIZE = "topics_size"
    #: ``max_request_topics``
    REQUEST_TOPICS = "request_topics"
    #: ``max_request_size``
    REQUEST_SIZE = "request_size"
    #: ``message_rate``
    MESSAGES = "messages"
    #: ``request_quota``
    REQUESTS = "requests"
    #: ``max_connections``
    CONNECTIONS = "connections"
    #: ``connect_rate``
    CONNECTS = "connects"
    #: ``idle_limit``
    IDLE = "idle"
    #: ``pong_timeout``
    PONG = "pong"
    #: ``max_age``
    AGE = "age"

    def __str__(self) -> str:
        return self.value


class Sign(Enum):
    """What an exchange takes for a sign of life."""

    #: Anything that the client sends.
    RECEIVED = "received"
    #: Anything that the client is sent.
    SENT = "sent"
    #: The venue's own heartbeat, which is no protocol ping.
    HEARTBEAT = "heartbeat"


class Violation(NamedTuple):
    """A client went over a limit.

    :ivar at: seconds of time.monotonic().
    :ivar connection: the number of its connection, counted from 1.
    :ivar what: which limit.
    """

    at: float
    connection: int
    what: Limit


@dataclass(frozen=True, kw_only=True)
class VenueLimits:
    """The limits of one venue; None: there is none.

    :ivar max_topics: topics on one connection.
    :ivar max_topics_size: characters of all topics on one connection together.
    :ivar max_request_topics: topics in one request.
    :ivar max_request_size: bytes of one message of the client.
    :ivar message_rate: messages of one connection, pings and pongs counted too, in any window.
    :ivar request_quota: subscribe, unsubscribe and login requests of one connection.
    :ivar max_connections: connections of one address at the same time.
    :ivar connect_rate: handshakes of one address.
    :ivar idle_limit: seconds without a sign of life after which a connection is cut.
    :ivar signs_of_life: what counts as one.
    :ivar ping_interval: seconds between the protocol pings that the exchange sends.
    :ivar pong_timeout: seconds without a pong that answers one of them after which a connection is
        cut.
    :ivar max_age: seconds after which any connection is closed.
    """

    max_topics: int | None = None
    max_topics_size: int | None = None
    max_request_topics: int | None = None
    max_request_size: int | None = None
    message_rate: Rate | None = None
    request_quota: Rate | None = None
    max_connections: int | None = None
    connect_rate: Rate | None = None
    idle_limit: float | None = None
    signs_of_life: frozenset[Sign] = frozenset({Sign.RECEIVED, Sign.SENT})
    ping_interval: float | None = None
    pong_timeout: float | None = None
    max_age: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            amount = value.count if isinstance(value, Rate) else value
            if isinstance(amount, (int, float)) and amount <= 0:
                raise ConfigurationError(
                    f"{each.name} is {value!r}; allowed: above 0, or None for no limit"
                )

    def changed(self, changes: Mapping[str, Any]) -> VenueLimits:
        """Give other limits.

        :param changes: by name. A rate may be ``(count, seconds)`` too, or a count alone: in one
            second, ``request_quota`` in one hour.
        :raises ConfigurationError: there is no such limit, or it is not above 0.
        """
        names = tuple(each.name for each in fields(self))
        for name in changes:
            if name not in names:
                raise unknown_name("limit", name, names)
        return replace(self, **{name: _as_limit(name, value) for name, value in changes.items()})


def _as_limit(name: str, value: Any) -> Any:
    if name not in _PERIODS or value is None or isinstance(value, Rate):
        return value
    return Rate(*value) if isinstance(value, tuple) else Rate(value, _PERIODS[name])
