"""What an exchange allows, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Limits", "Rate"]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds.

    :ivar count: how many.
    :ivar seconds: in which time.
    """

    count: int
    seconds: float

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

    def room(self, kept: Sequence[str], added: Sequence[str]) -> int:
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
