"""The links of one life: which there are, and which of them is the running one.

There is one at a time, and two while a connection gets its successor. It makes and counts them;
what follows from their beginnings and ends is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from ..config import ConnectionConfig
from ..core.endpoints import EndpointList
from ..core.failure import Failure
from ..core.subscriptions import SubscriptionRegistry
from .delivery import Delivery
from .link import Link, LinkEnvironment, LinkHost
from .options import ConnectionOptions
from .pacing import Pacer
from .planner import AttemptPlanner
from .status import Status
from .subscriber import Subscriber
from .transport import Attempt

__all__ = ["Links"]


class Links:
    """The links of one life. What it holds may be read from any thread.

    :param options: where to and with what.
    :param config: settings.
    :param status: counts what they bring; its ``changed`` guards the fields.
    :param delivery: gets messages and events.
    :param subscriber: the topics, or None: there is no venue.
    :param pacer: what may go out when; each gets one like it.
    :param on_key_expired: is called when a listen key has ended; from any thread.
    :ivar endpoints: which URLs there are, and how good they are; of the running link.
    :ivar running: the running link, or the latest one; None before the first.
    :ivar present: those that have not ended, the running one first.
    :ivar hurry: whether the next attempt is wanted at once.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        config: ConnectionConfig,
        *,
        status: Status,
        delivery: Delivery,
        subscriber: Subscriber | None,
        pacer: Pacer,
        on_key_expired: Callable[[], object],
    ) -> None:
        name = status.name
        self._planner = AttemptPlanner(
            options, config, subscriber, name=name, on_key_expired=on_key_expired
        )
        self._environment = LinkEnvironment(
            name, config, options, self._planner, delivery, subscriber
        )
        self._status = status
        self._delivery = delivery
        self._subscriber = subscriber
        self._pacer = pacer
        self.endpoints = EndpointList(options.endpoint_policy, min_uptime=config.min_uptime)
        self.running: Link | None = None
        self.present: tuple[Link, ...] = ()
        self.hurry = False
        self._lost: Link | None = None  # whose successor took over since it was lost

    def __repr__(self) -> str:
        return f"<Links of {self._environment.name}: {len(self.present)}>"

    @property
    def attempt(self) -> Attempt | None:
        """That of the running link, or None."""
        link = self.running
        return None if link is None else link.attempt

    def begin(self, host: LinkHost) -> Link:
        """Make the next running link.

        :param host: is told what it tells.
        """
        registry = None if self._subscriber is None else self._subscriber.current
        with self._status.changed:
            self.running = link = self._make(host, self.endpoints, registry)
            self._status.generation = link.generation
        self._status.count(link)
        return link

    def begin_beside(self, host: LinkHost) -> Link:
        """Make a link that is to succeed the running one; see :meth:`begin`."""
        registry = None if self._subscriber is None else self._subscriber.begin_succession()
        with self._status.changed:
            return self._make(host, self.endpoints.beside(), registry)

    def _make(
        self, host: LinkHost, endpoints: EndpointList, registry: SubscriptionRegistry | None
    ) -> Link:
        """Make a link with a number of its own; the lock is held."""
        self._status.attempts += 1
        link = Link(
            self._environment,
            host,
            generation=self._status.attempts,
            endpoints=endpoints,
            pacer=self._pacer.for_connection(),
            registry=registry,
        )
        self.present = (*self.present, link)
        return link

    def promote(self, successor: Link, *, planned: bool) -> None:
        """Make a successor the running link; the lock is held.

        :param planned: False: the one before it was lost.
        """
        self._lost = None if planned else self.running
        self.running, self.endpoints = successor, successor.endpoints
        self.present = (successor, *(one for one in self.present if one is not successor))

    def was_lost(self, link: Link) -> bool:
        """Whether a link that has a successor was lost before that took over."""
        return self._lost is link

    def count_beside(self, messages: int) -> None:
        """See :meth:`wsresilient.runtime.status.Status.count_beside`."""
        self._status.count_beside(messages)

    def drop(self, link: Link) -> None:
        """Note that a link has ended."""
        with self._status.changed:
            self.present = tuple(kept for kept in self.present if kept is not link)
        # Whoever is to end must not be held up by a full lane, and whoever goes on must be.
        delivery = self._delivery
        delivery.let_reader_go(False)
        if any(kept.is_ending for kept in self.present):
            delivery.let_reader_go(True)

    def interrupt(self, reason: Failure) -> None:
        """End all of them."""
        self._planner.interrupt()
        for link in self.present:
            link.interrupt(reason, graceful=True)

    def cut(self) -> None:
        """Cut those that do not end by themselves."""
        for link in self.present:
            attempt = link.attempt
            if attempt is not None:
                attempt.cut()

    def close(self, *, timeout: float) -> None:
        """Make no more.

        :param timeout: seconds to wait for what is done beside them.
        """
        self._planner.stop(timeout=timeout)

    def wake(self) -> None:
        """Make their readers look around."""
        for link in self.present:
            link.wake()

    def close_descriptors(self) -> None:
        """Close the descriptors and nothing else: for a child after a fork."""
        for link in self.present:
            attempt = link.attempt
            if attempt is not None:
                attempt.close_descriptors()
