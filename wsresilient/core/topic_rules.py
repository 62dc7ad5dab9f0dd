"""What the registry of subscriptions asks of a venue, and the states that a topic goes through."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from .limits import Limits

__all__ = ["SubscriptionRules", "TopicState"]


class SubscriptionRules(Protocol):
    """What the registry asks of a venue."""

    limits: Limits
    acknowledges: bool
    data_confirms: bool

    def is_implicit(self, topic: str) -> bool:
        """Whether it comes by itself."""

    def is_private(self, topic: str) -> bool:
        """Whether it needs credentials: an account may do nothing for days."""

    def ends_with(self, topic: str, other: str) -> bool:
        """Whether unsubscribing a topic ends another one too."""

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        """What its acknowledgement names instead of an id."""

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        """The request; a function of the user's may raise."""

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        """The request; a function of the user's may raise."""


class TopicState(str, enum.Enum):
    """What the server has of a topic; a topic without a state is not there."""

    SUBSCRIBING = "subscribing"
    PRESENT = "present"
    UNSUBSCRIBING = "unsubscribing"
    UNKNOWN = "unknown"  # a request for it was not answered in time
