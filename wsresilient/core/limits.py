"""What an exchange allows, as values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..config import check_integer, check_seconds
from ..errors import ConfigurationError

__all__ = ["Limits", "Rate"]

_NUMBERS = (
    *("topics_per_request", "request_size", "topics_per_connection", "topics_size"),
    "connections",
)
_RATES = ("connects", "messages", "requests")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds.

    :ivar count: how many; at least one.
    :ivar seconds: in which time; more than 0.
    :raises ConfigurationError: a number is not allowed.
    """

    count: int
    seconds: float

    def __post_init__(self) -> None:
        check_integer("count of Rate", self.count, minimum=1)
        check_seconds("seconds of Rate", self.seconds, exclusive=True)

    @property
    def per_second(self) -> float:
        """How many a second on average."""
        return self.count / self.seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an exchange allows; None: it sets no such limit, or tells none.

    :ivar topics_per_request: in one subscribe or unsubscribe request.
    :ivar request_size: bytes of such a request.
    :ivar topics_per_connection: topics on one connection.
    :ivar topics_size: characters of all topics of one connection together (Bybit).
    :ivar connections: connections of one address.
    :ivar connects: new connections of one address.
    :ivar messages: messages that we may send on one connection, pings included.
    :ivar burst: how many of them at once; the rest is spaced evenly.
    :ivar requests: subscribe, unsubscribe and login requests on one connection.
    :ivar idle: seconds after which the exchange cuts a connection without a heartbeat.
    :ivar max_age: seconds after which the exchange cuts every connection.
    :raises ConfigurationError: a value is not allowed: all numbers are greater than 0.
    """

    topics_per_request: int | None = None
    request_size: int | None = None
    topics_per_connection: int | None = None
    topics_size: int | None = None
    connections: int | None = None
    connects: Rate | None = None
    messages: Rate | None = None
    burst: int = 1
    requests: Rate | None = None
    idle: float | None = None
    max_age: float | None = None

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            check_integer(name, getattr(self, name), minimum=1, optional=True)
        check_integer("burst", self.burst, minimum=1)
        for name in _RATES:
            rate = getattr(self, name)
            if rate is not None and not isinstance(rate, Rate):
                raise ConfigurationError(
                    f"{name} is {rate!r:.60}; allowed: Rate(count, seconds), or None"
                )
        for name in ("idle", "max_age"):
            check_seconds(name, getattr(self, name), exclusive=True, optional=True)

    def room(self, kept: Collection[str], added: Sequence[str]) -> int:
        """Tell how many of the added topics fit on a connection beside those that it keeps."""
        fit = len(added)
        if self.topics_per_connection is not None:
            fit = min(fit, max(0, self.topics_per_connection - len(kept)))
        if self.topics_size is not None:
            size = sum(map(len, kept))
            for count, topic in enumerate(added[:fit]):
                size += len(topic)
                if size > self.topics_size:
                    return count
        return fit

    @property
    def topics_text(self) -> str:
        """Say in words what one connection may have."""
        bounds = ((self.topics_per_connection, "topics"), (self.topics_size, "characters of them"))
        return " and ".join(f"{n:,} {what}" for n, what in bounds if n is not None) or "any number"
