"""Subscriptions as users handle them: from any thread, at any time, over all reconnects.

It checks topics with the venue, keeps the registry behind a lock, and tells the connection's
thread that there is something to do. It sends nothing: ``session.py`` does.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from types import MappingProxyType
from typing import Any

from ..config import ConnectionConfig, check_callable
from ..core.events import Message
from ..core.subscriptions import SubscriptionRegistry
from ..core.topic_index import TopicIndex
from ..errors import ConfigurationError, SubscriptionError
from ..venues.base import Venue, check_told_apart
from .logs import Log

__all__ = ["Subscriber", "TopicHandler", "checked_topics", "spelled_topics"]

log = Log("wsresilient.connection")

TopicHandler = Callable[[Message], object]


def spelled_topics(venue: Venue, topics: Iterable[Any]) -> tuple[str, ...]:
    """Write topics as the venue does, each once.

    :raises ConfigurationError: one is none.
    """
    if isinstance(topics, (str, bytes)) or not isinstance(topics, Iterable):
        raise ConfigurationError(f"topics are {topics!r:.60}; allowed: a list of topics")
    return tuple(dict.fromkeys(venue.checked(topic) for topic in topics))


def checked_topics(
    venue: Venue, topics: Iterable[Any], *, has_credentials: bool
) -> tuple[str, ...]:
    """Write topics that are to be wanted as the venue does, each once.

    :raises ConfigurationError: one is none, or is private where there are no credentials.
    """
    checked = spelled_topics(venue, topics)
    for topic in checked:
        if venue.is_private(topic) and not has_credentials:
            raise ConfigurationError(
                f"{topic!r:.60} is private: {venue!r} needs auth=Credentials(api_key, secret) "
                "for it"
            )
    return checked


class Subscriber:
    """The subscriptions of one connection.

    :param venue: checks and writes topics.
    :param config: ack_timeout, ack_retries, first_data_timeout.
    :param channels: those that :meth:`pair_topics` gives of a symbol.
    :param url_topics: those that the connection's own URL subscribes; None: a function gives the
        URL, so that each attempt tells (:meth:`want_of_url`).
    :param has_credentials: whether there will be a login, without which private topics are silent.
    :raises ConfigurationError: a topic of the URL cannot bring anything.
    """

    def __init__(
        self,
        venue: Venue,
        config: ConnectionConfig,
        *,
        channels: Iterable[str] = (),
        url_topics: Iterable[str] | None = (),
        has_credentials: bool = False,
    ) -> None:
        self.venue = venue
        self.channels = tuple(channels)
        self._has_credentials = has_credentials
        #: Topics that there may be, for the diagnosis; None where somebody else sees to that.
        self.shown_limit = venue.limits.topics_per_connection
        #: Whether topics of an attempt's URL become wanted; a pool ends them.
        self.follows_url = url_topics is None
        self.url_topics = tuple(url_topics or ())
        self._check_url_topics()
        # Guards the registries, and the writing of the fields below.
        self._lock = threading.RLock()
        #: Of the running connection.
        self.current = SubscriptionRegistry(
            venue,
            ack_timeout=config.ack_timeout,
            ack_retries=config.ack_retries,
            first_data_timeout=config.first_data_timeout,
        )
        self._next: SubscriptionRegistry | None = None  # of the connection that succeeds it
        self.index = TopicIndex((), venue.covers)  # of the topics that are wanted
        self._grouped: dict[str, str] = {}  # those of them that have a group; all have the same
        self._handlers: dict[str, tuple[TopicHandler, ...]] = {}
        #: A view for readers, who look for one topic at a time.
        self.handlers = MappingProxyType(self._handlers)
        self.group: str | None = None
        self._changed(added=self.current.want(self.url_topics))

    def __repr__(self) -> str:
        return f"<Subscriber {self.venue!r} {self.current!r}>"

    @contextlib.contextmanager
    def registry(self, which: SubscriptionRegistry | None = None) -> Iterator[SubscriptionRegistry]:
        """Hold a registry; nothing may be sent, logged or called while it is held.

        :param which: of one connection; None: of the running one.
        """
        with self._lock:
            yield self.current if which is None else which

    # A successor of the running connection.

    def begin_succession(self) -> SubscriptionRegistry:
        """Make a registry for a second connection; from now on both want the same."""
        with self._lock:
            self._next = self.current.beside()
            return self._next

    def succeed(self) -> None:
        """Let the second connection be the running one: it alone gets what is wanted now."""
        with self._lock:
            if self._next is None:
                return
            before, self.current, self._next = self.current, self._next, None
            refused = [topic for topic in before.failed if topic not in self.current.failed]
            self.current.unwant(refused)
            self.current.failed.update({topic: before.failed[topic] for topic in refused})
            self._changed()

    def end_succession(self, registry: SubscriptionRegistry | None) -> None:
        """Forget the second connection, unless there is another one by now.

        :param registry: its.
        """
        with self._lock:
            if self._next is registry:
                self._next = None

    # What is seen.

    @property
    def wanted(self) -> frozenset[str]:
        """The topics that are wanted."""
        with self._lock:
            return self.current.wanted

    @property
    def confirmed(self) -> frozenset[str]:
        """The topics that the server has confirmed on the running connection."""
        with self._lock:
            return self.current.confirmed

    @property
    def expects_data(self) -> bool:
        """Whether silence means something: a market is never silent, an account may be."""
        return any(not self.venue.is_implicit(topic) for topic in self.wanted)

    @property
    def failed(self) -> dict[str, SubscriptionError]:
        """The topics that were refused or never answered."""
        with self._lock:
            return dict(self.current.failed)

    def stats(self) -> dict[str, Any]:
        """Counts for the monitor."""
        with self._lock:
            registry = self.current
            return {
                "subscribed_pairs": len(registry.wanted),
                "confirmed_subscriptions": len(registry.confirmed),
                "failed_subscriptions": len(registry.failed),
                "subscription_limit": self.shown_limit,
            }

    # What is asked for, from any thread.

    def checked(self, topics: Iterable[Any]) -> tuple[str, ...]:
        """Check topics and write them as the venue does.

        :raises ConfigurationError: one is none; nothing has changed.
        """
        return checked_topics(self.venue, topics, has_credentials=self._has_credentials)

    def pair_topics(self, symbol: str) -> tuple[str, ...]:
        """Give the topics of a symbol in all configured channels.

        :raises ConfigurationError: there are no channels, or the symbol is none.
        """
        if not self.channels:
            raise ConfigurationError(
                "add_pair() and remove_pair() need channels=[...], the channels of each symbol"
            )
        if not symbol or not isinstance(symbol, str):
            raise ConfigurationError(f"symbol is {symbol!r:.60}; allowed: a str, such as 'BTCUSDT'")
        return tuple(self.venue.topic(channel, symbol) for channel in self.channels)

    def subscribe(self, topics: Iterable[Any], handler: TopicHandler | None = None) -> bool:
        """Want these topics too.

        :returns: whether the group has changed (see :meth:`Venue.group_of`).
        :raises ConfigurationError: one is no topic of the venue, or belongs elsewhere.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        check_callable("handler", handler)
        checked = self.checked(topics)
        with self._lock:
            self._drop_failed()
            check_told_apart(self.venue, chain(self.index, checked))
            self._check_groups((*islice(self._grouped, 1), *checked))
            if self._next is not None:
                # It may want more than the running one, which has been refused some.
                self._next.check_room(checked)
            added = self.current.want(checked)
            if self._next is not None:
                self._next.want(checked)
            if handler is not None:
                self._add_handler(checked, handler)
            return self._changed(added=added)

    def want_of_url(self, topics: Iterable[str]) -> None:
        """Want what a function's URL subscribes; what was ended since it was new stays so.

        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        if not self.follows_url:
            return
        with self._lock:
            known, implicit = frozenset(self.url_topics), self.venue.is_implicit
            new = tuple(one for one in topics if one not in known and not implicit(one))
            added = self.current.want(new)
            if self._next is not None:
                self._next.want(new)
            self.url_topics += new
            self._changed(added=added)

    def _check_url_topics(self) -> None:
        """Refuse topics of the URL that are spelled wrongly, since they stay silent for ever."""
        for topic in self.url_topics:
            try:
                spelled = self.venue.checked(topic)
            except ConfigurationError as error:  # the exchange may have more than we know
                log.warning("the URL subscribes %.80r, which may bring nothing: %s", topic, error)
                continue
            if spelled != topic:
                raise ConfigurationError(
                    f"the URL subscribes {topic!r:.80}, which brings nothing: {self.venue!r} "
                    f"spells it {spelled!r:.80}; a URL that a function gives is not checked"
                )
        self._check_groups(self.url_topics)

    def unsubscribe(self, topics: Iterable[Any]) -> bool:
        """Want these topics no more.

        :returns: whether the group has changed.
        :raises ConfigurationError: one is no topic of the venue.
        """
        checked = spelled_topics(self.venue, topics)
        with self._lock:
            for registry in (self.current, *([] if self._next is None else [self._next])):
                registry.unwant(checked)
                for topic in checked:
                    registry.failed.pop(topic, None)
            self._drop_handlers(checked)
            return self._changed(removed=checked)

    def replace(self, topics: Iterable[Any]) -> bool:
        """Want just these topics.

        :returns: whether the group has changed.
        :raises ConfigurationError: one is no topic of the venue, or belongs elsewhere.
        :raises SubscriptionLimitError: not all of them fit; nothing has changed.
        """
        checked = self.checked(topics)
        with self._lock:
            check_told_apart(self.venue, checked)
            self._check_groups(checked)
            added, removed = self.current.replace(checked)
            if self._next is not None:
                self._next.replace(checked)
            self._drop_handlers(removed)
            return self._changed(added=added, removed=removed)

    def _check_groups(self, topics: Iterable[str]) -> None:
        groups: dict[str, str] = {}
        for topic in topics:
            group = self.venue.group_of(topic)
            if group is not None:
                groups.setdefault(group, topic)
        if len(groups) > 1:
            shown = ", ".join(f"{topic!r} on {group!r}" for group, topic in groups.items())
            raise ConfigurationError(
                f"topics of one connection must be on one route of {self.venue!r}, and these are "
                f"not: {shown:.200}; use one connection for each route, or a ConnectionPool"
            )

    def _add_handler(self, topics: Iterable[str], handler: TopicHandler) -> None:
        for topic in topics:
            present = self._handlers.get(topic, ())
            if handler not in present:
                self._handlers[topic] = (*present, handler)

    def _drop_handlers(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._handlers.pop(topic, None)

    def _changed(self, *, added: Sequence[str] = (), removed: Sequence[str] = ()) -> bool:
        """Bring what readers look at up to date; the lock is held.

        :returns: whether the group has changed.
        """
        self.index.change(added=added, removed=removed)
        for topic in removed:
            self._grouped.pop(topic, None)
        for topic in added:
            group = self.venue.group_of(topic)
            if group is not None:
                self._grouped[topic] = group
        self._drop_failed()
        before, self.group = self.group, next(iter(self._grouped.values()), self.group)
        return self.leads_elsewhere(before)

    def _drop_failed(self) -> None:
        """Let go of topics that the registry has given up by itself; mostly there are none."""
        if len(self.index) != self.current.wanted_count:
            wanted = self.current.wanted
            gone = [topic for topic in self.index if topic not in wanted]
            self.index.change(removed=gone)
            for topic in gone:
                self._grouped.pop(topic, None)

    def leads_elsewhere(self, group: str | None) -> bool:
        """Tell whether the topics need other URLs than those of a group."""
        if group == self.group:
            return False
        return self.venue.urls(group=group) != self.venue.urls(group=self.group)

    def forget_after_fork(self) -> None:
        """In a child: the lock may have been held by a thread that is no more."""
        self._lock = threading.RLock()
        self._next = None
        self.current.lost()
