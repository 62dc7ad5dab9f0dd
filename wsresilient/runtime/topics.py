"""The topics of a connection: what is wanted, what there is of it, and how fresh it is.

The part of :class:`~wsresilient.runtime.connection.ResilientWebSocket` that has to do with
subscriptions; the registry behind it is in ``subscriber.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..config import check_seconds
from ..core.events import Message
from ..core.frames import Payload
from ..errors import ConfigurationError, SubscriptionError
from ..venues.base import Venue
from .clock import wall_clock
from .lanes import Batch
from .lifecycle import ConnectionLifecycle
from .routing import Router
from .subscriber import Subscriber, spelled_topics

__all__ = ["ConnectionTopics"]


class ConnectionTopics(ConnectionLifecycle):
    """Subscribes and tells. See :class:`ResilientWebSocket` for the arguments."""

    # What it is.

    @property
    def subscriptions(self) -> frozenset[str]:
        """The topics that are wanted; without a venue there are none."""
        return frozenset() if self._subscriber is None else self._subscriber.wanted

    @property
    def confirmed_subscriptions(self) -> frozenset[str]:
        """The topics that the server has confirmed on the running connection."""
        return frozenset() if self._subscriber is None else self._subscriber.confirmed

    @property
    def failed_subscriptions(self) -> dict[str, SubscriptionError]:
        """The topics that the server has refused or not answered for, and why."""
        return {} if self._subscriber is None else self._subscriber.failed

    @property
    def subscriber(self) -> Subscriber:
        """What holds its topics, for pools.

        :raises ConfigurationError: there is no venue.
        """
        return self._need_topics()[0]

    @property
    def venue(self) -> Venue | None:
        """The exchange, or None."""
        return self._options.venue

    @property
    def is_healthy(self) -> bool:
        """Whether it is connected and its feed alive."""
        return self._status.is_healthy()

    def message_of(self, payload: Payload) -> Message | None:
        """Decode a payload and give it its topic; None where it cannot be read."""
        if self._router is None:
            return None
        try:
            return self._router.message(payload, Batch([], 0, self.generation, wall_clock()))
        except Exception:  # whoever delivers it finds it again, and tells it
            return None

    def is_fresh(self, topic: str | None = None, max_age: float = 60.0) -> bool:
        """Tell whether data has come lately.

        Where nobody takes messages apart (only on_message), topics are told apart from the first
        question on; until then the data of the connection counts for each confirmed one.

        :param topic: None: any data of the connection.
        :param max_age: seconds.
        :raises ConfigurationError: a topic, where there is no venue.
        """
        check_seconds("max_age", max_age)
        age = self._status.last_message_age
        if topic is not None:
            subscriber, router = self._need_topics(topic)
            (checked,) = spelled_topics(subscriber.venue, [topic])
            if not router.is_needed:
                router.begin_freshness(self.confirmed_subscriptions, age)
            age = router.age(checked)
        return age is not None and age <= max_age

    # Subscriptions.

    def _need_topics(self, *wanted: object) -> tuple[Subscriber, Router]:
        if self._subscriber is None or self._router is None:
            shown = ", ".join(map(repr, wanted)) or "topics"
            raise ConfigurationError(
                f"{shown:.80}: topics belong to a venue, and this connection has none; give venue="
            )
        return self._subscriber, self._router

    def _topics_changed(self, group_changed: bool) -> None:
        life = self._life
        if life is None:
            return
        if group_changed and self._options.url is None:
            life.request_reconnect("the topics are on another route of the exchange")
        life.links.wake()

    def subscribe(self, *topics: Any, handler: Callable[[Message], object] | None = None) -> None:
        """Want these topics too: now, or as soon as there is a connection. Idempotent.

        It returns at once; the server's answer shows in :attr:`confirmed_subscriptions` or
        :attr:`failed_subscriptions`.

        :param topics: in the venue's notation, or pairs ``(channel, symbol)``.
        :param handler: ``(message: Message)`` for just these topics, beside on_data.
        :raises ConfigurationError: there is no venue, or one is no topic of it.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        subscriber, _ = self._need_topics(*topics)
        self._topics_changed(subscriber.subscribe(topics, handler))

    def unsubscribe(self, *topics: Any) -> None:
        """Want these topics no more; their handlers go with them. Idempotent.

        :param topics: as for :meth:`subscribe`.
        :raises ConfigurationError: there is no venue, or one is no topic of it.
        """
        subscriber, _ = self._need_topics(*topics)
        self._topics_changed(subscriber.unsubscribe(topics))

    def set_subscriptions(self, topics: Iterable[Any]) -> None:
        """Make these the topics that are wanted; only the difference goes out.

        :param topics: as for :meth:`subscribe`.
        :raises ConfigurationError: there is no venue, or one is no topic of it.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        subscriber, _ = self._need_topics(topics)
        self._topics_changed(subscriber.replace(topics))

    def add_pair(self, symbol: str) -> None:
        """Subscribe the configured channels of a symbol.

        :raises ConfigurationError: there is no venue, there are no ``channels``, or the symbol
            is none.
        """
        subscriber, _ = self._need_topics(symbol)
        self.subscribe(*subscriber.pair_topics(symbol))

    def remove_pair(self, symbol: str) -> None:
        """Unsubscribe the configured channels of a symbol.

        :raises ConfigurationError: as :meth:`add_pair`.
        """
        subscriber, _ = self._need_topics(symbol)
        self.unsubscribe(*subscriber.pair_topics(symbol))
