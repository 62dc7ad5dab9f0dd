"""What the library tells its users: values that are made once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .state import ConnectionState

__all__ = ["Gap", "Message", "StateChange"]


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded message.

    :ivar data: the decoded payload, without its envelope where a venue knows it.
    :ivar topic: what it was subscribed as, or None.
    :ivar channel: the topic without its symbol, or None.
    :ivar symbol: the venue's spelling, or None.
    :ivar received_at: wall clock, seconds since the epoch.
    :ivar connection: the connection's name.
    :ivar generation: the attempt that it came over, counted from 1.
    :ivar source: "websocket" or "rest".
    :ivar raw: the whole decoded message.
    """

    data: Any
    topic: str | None = None
    channel: str | None = None
    symbol: str | None = None
    received_at: float = 0.0
    connection: str = ""
    generation: int = 0
    source: str = "websocket"
    raw: Any = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """One step of a connection's state.

    :ivar state: the new state.
    :ivar message: why, never empty.
    :ivar retry_count: attempts since the stream was last healthy.
    :ivar previous: the state before.
    :ivar connection: the connection's name.
    :ivar at: wall clock, seconds since the epoch.
    """

    state: ConnectionState
    message: str
    retry_count: int
    previous: ConnectionState
    connection: str
    at: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the stream, or where there may be one.

    :ivar connection: the connection's name.
    :ivar topics: the topics concerned, sorted: of a lost connection all that were wanted on it.
        Empty where nobody knows: without a venue, and of what was dropped in the lane.
    :ivar reason: "reconnect", "overflow", "rotation" or "sequence".
    :ivar started_at: wall clock of the last message before it.
    :ivar ended_at: wall clock of the first chance of a message after it.
    :ivar last_seen: sequence number or id before it, where one is known.
    :ivar first_seen: the same after it.
    :ivar recovered: whether the missing messages were fetched by other means.
    """

    connection: str
    topics: tuple[str, ...]
    reason: str
    started_at: float
    ended_at: float
    last_seen: Any = None
    first_seen: Any = None
    recovered: bool = False
