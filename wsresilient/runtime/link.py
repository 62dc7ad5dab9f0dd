"""One connection on its way through a life: from the plan of its attempt to its last byte.

It is what changes from connection to connection: the attempt, the session with the exchange, the
pace, what has come over it. What stays over all of them (the lane, the counters, the topics that
are wanted) belongs to the life, which is told what happens. A link does not know what follows
its end, nor whether there is another one beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from ..config import ConnectionConfig
from ..core.endpoints import EndpointList
from ..core.failure import Failure, FailureKind, classify
from ..core.frames import Payload
from ..core.subscriptions import SubscriptionRegistry
from ..errors import NotConnectedError
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .judging import final_word, planning_failed
from .lanes import Batch
from .options import ConnectionOptions
from .pacing import Pacer
from .planner import AttemptPlanner, Plan
from .sending import GateClosedError
from .session import VenueSession
from .subscriber import Subscriber
from .transport import Attempt

__all__ = ["Link", "LinkEnvironment", "LinkHost"]


class LinkHost(Protocol):
    """What a link tells its life, and asks it; on the link's thread."""

    def opening(self, link: Link) -> None:
        """It is about to connect; without a plan, the planning has failed."""

    def ready(self, link: Link) -> None:
        """It is open, and logged in where that is wanted."""

    def ticked(self, link: Link, now: float) -> float:
        """Its reader looks around; returns seconds until it has to do so again."""

    def may_request(self, link: Link) -> bool:
        """Whether topics may be asked for: on_open has returned."""

    def report(self, link: Link, error: Exception) -> None:
        """Tell an error after which it goes on."""

    def let_rotate(self, link: Link, reason: Failure) -> bool:
        """Whether somebody replaces it, so that it need not end itself."""

    def interrupted(self, link: Link) -> None:
        """It is to end; from any thread. Whatever holds its reader up lets it go."""


@dataclass(frozen=True, slots=True)
class LinkEnvironment:
    """What all links of a life share.

    :ivar name: the connection's.
    :ivar config: settings.
    :ivar options: where to and with what, as the user gave it.
    :ivar planner: the same for an attempt.
    :ivar delivery: gets messages and events.
    :ivar subscriber: the topics, or None: there is no venue.
    """

    name: str
    config: ConnectionConfig
    options: ConnectionOptions
    planner: AttemptPlanner
    delivery: Delivery
    subscriber: Subscriber | None


class Link:
    """One connection.

    :param environment: what it shares with those before and after it.
    :param host: its life.
    :param generation: its number.
    :param endpoints: choose among several URLs.
    :param pacer: what may go out when, over this one.
    :param registry: what the server has of the topics; None: there is no venue.
    :ivar attempt: while it is under way, else None.
    :ivar plan: of the attempt, once it is made.
    :ivar is_queueing: whether it waits for its turn in the budget of connects.
    :ivar thread: on which it runs, once it does.
    :ivar divert: is given what it brings while there is another link beside it, and says whether
        that has been taken; what has not, goes into the lane. It counts itself what is delivered.
        None: it is alone.
    :ivar messages: data messages that reached the lane while it was alone.
    :ivar errors: that are not told yet, since it is not the running link; its host's.
    :ivar connected_at: monotonic time at which it was ready, or None.
    :ivar connected_wall: the same by the wall clock.
    :ivar has_greeted: whether on_open is over.
    :ivar last_message_at: monotonic time, or None.
    :ivar close_code: of the close frame that ended it, or None.
    :ivar close_reason: that the server gave, or "".
    """

    def __init__(
        self,
        environment: LinkEnvironment,
        host: LinkHost,
        *,
        generation: int,
        endpoints: EndpointList,
        pacer: Pacer,
        registry: SubscriptionRegistry | None,
    ) -> None:
        self._environment = environment
        self._host = host
        self._delivery = environment.delivery
        self.generation = generation
        self.endpoints = endpoints
        self.pacer = pacer
        self._session: VenueSession | None = None
        if environment.subscriber is not None:
            self._session = VenueSession(
                environment.subscriber,
                environment.config,
                pacer,
                self,
                name=environment.name,
                registry=registry,
            )
        self.registry = registry
        self.plan: Plan | None = None
        self._lock = threading.Lock()  # guards attempt, _end_before, _errand and _is_over
        self.attempt: Attempt | None = None
        self._end_before: Failure | None = None  # why it is to end before it has an attempt
        self._end_wanted = threading.Event()
        self.is_queueing = False
        self.thread: threading.Thread | None = None
        self.divert: Callable[[Batch], bool] | None = None
        self._errand: Callable[[], object] | None = None
        self._is_over = False
        self.errors: list[Exception] = []
        self.connected_at: float | None = None
        self.connected_wall: float | None = None
        self.has_greeted = False
        self.messages = 0
        self.last_message_at: float | None = None
        self._bytes = 0
        self.close_code: int | None = None
        self.close_reason = ""

    def __repr__(self) -> str:
        state = "ready" if self.is_ready else ("open" if self.is_open else "not open")
        return f"<Link {self._environment.name!r} generation={self.generation} {state}>"

    # What it is, from any thread.

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent."""
        attempt = self.attempt
        return attempt is not None and attempt.is_open

    @property
    def was_ready(self) -> bool:
        """Whether it has become a connection: on_open was called, or is about to be."""
        return self.connected_at is not None

    @property
    def is_ready(self) -> bool:
        """Whether messages can be sent: it is open, and no login is under way."""
        return self.was_ready and self.is_open

    @property
    def is_ending(self) -> bool:
        """Whether its end has been asked for."""
        attempt = self.attempt
        return attempt is not None and attempt.recorded is not None

    @property
    def shown(self) -> str:
        """Its URL without secrets, or "" where nothing is planned."""
        return "" if self.plan is None else self.plan.request.url.shown

    @property
    def bytes_received(self) -> int:
        """Bytes so far."""
        attempt = self.attempt
        return self._bytes if attempt is None else attempt.bytes_received

    @property
    def wanted(self) -> frozenset[str] | None:
        """The topics that it should bring: without those that were refused; None: no venue."""
        subscriber, registry = self._environment.subscriber, self.registry
        if subscriber is None or registry is None:
            return None
        with subscriber.registry(registry):
            return registry.wanted

    @property
    def has_confirmed(self) -> bool:
        """Whether the server has confirmed, or refused, all topics that are wanted."""
        subscriber, registry = self._environment.subscriber, self.registry
        if subscriber is None or registry is None:
            return True
        with subscriber.registry(registry):
            return registry.wanted <= registry.confirmed

    def lacks(self, other: Link) -> bool:
        """Whether it is still to get a topic that the server has confirmed on another link."""
        subscriber, mine, theirs = self._environment.subscriber, self.registry, other.registry
        if subscriber is None or mine is None or theirs is None:
            return False
        with subscriber.registry(mine):
            return not (mine.wanted & theirs.confirmed) <= mine.confirmed

    @property
    def confirmed_count(self) -> int:
        """How many topics the server has confirmed."""
        subscriber, registry = self._environment.subscriber, self.registry
        if subscriber is None or registry is None:
            return 0
        with subscriber.registry(registry):
            return len(registry.confirmed)

    # From any thread.

    def send_message(self, payload: bytes, *, text: bool, timeout: float) -> None:
        """See :meth:`wsresilient.runtime.sending.FrameSender.send_message`."""
        attempt = self.attempt
        if attempt is None:
            raise GateClosedError("not connected: the connection is closed")
        attempt.sender.send_message(payload, text=text, timeout=timeout)

    def interrupt(self, reason: Failure, *, graceful: bool) -> None:
        """End it; the first reason counts. See :meth:`Attempt.interrupt`."""
        with self._lock:
            attempt = self.attempt
            if attempt is None:
                self._end_before = self._end_before or reason
        self._end_wanted.set()
        if attempt is not None:
            attempt.interrupt(reason, graceful=graceful)

    def wait_for_end(self, timeout: float) -> bool:
        """Wait until somebody wants its end; returns whether that is so."""
        return self._end_wanted.wait(timeout)

    def run_between_batches(self, errand: Callable[[], object]) -> None:
        """Make a call on its thread, between two batches; at once where none can come any more."""
        with self._lock:
            is_over = self._is_over
            if not is_over:
                self._errand = errand
        if is_over:
            errand()
        else:
            self.wake()

    def _run_errand(self) -> None:
        with self._lock:
            errand, self._errand = self._errand, None
        if errand is not None:
            errand()

    def wake(self) -> None:
        """Make its reader look around, if there is one."""
        attempt = self.attempt
        if attempt is not None:
            attempt.wake()

    # On its own thread.

    def run(self) -> Failure:
        """Connect, and read until the end.

        :returns: why it ended.
        """
        self.thread = threading.current_thread()
        attempt = self._prepare()
        self._host.opening(self)
        if isinstance(attempt, Failure):
            return self._judge(attempt)
        with self._lock:
            self.attempt, end = attempt, self._end_before
        if end is not None:
            attempt.interrupt(end, graceful=False)
        error_of_end = attempt.run()
        self._bytes = attempt.bytes_received
        self.close_code, self.close_reason = attempt.close_code, attempt.close_reason
        with self._lock:
            self.attempt, self._is_over = None, True
        self._run_errand()
        # What was recorded is why it was cut; the exception is only how that looked.
        ended = NotConnectedError("the connection ended")
        return self._judge(attempt.recorded or classify(error_of_end or ended))

    def _prepare(self) -> Attempt | Failure:
        """Plan the attempt, or say why there is none."""
        planner = self._environment.planner
        with planner.turn(self._end_wanted.is_set) as has_turn:
            if not has_turn:
                text = "it is not wanted any more"
                return self._end_before or Failure(FailureKind.STOPPED, text, is_error=False)
            try:
                self.plan = planner.plan(self.endpoints)
                return Attempt(self.plan.request, self._environment.config, self)
            except BaseException as error:  # a user's function may raise anything
                return planning_failed(error, planner)

    def _judge(self, failure: Failure) -> Failure:
        environment = self._environment
        return final_word(failure, environment.options, name=environment.name)

    def let_go(self) -> None:
        """Tell those who wait for something over this connection that it has ended."""
        self._delivery.answers.link_dropped(self.generation)
        if self._session is not None:
            self._session.lost()

    def emit_close(self, failure: Failure) -> None:
        """Tell of its end in the lane, if there was an on_open."""
        if self.was_ready:
            reason = self.close_reason or (failure.text if self.close_code is None else "")
            self._delivery.emit("close", self.close_code, reason)

    # What the attempt tells; see wsresilient.runtime.transport.AttemptHooks.

    def opened(self) -> None:
        """The handshake is done."""
        attempt, plan = self.attempt, self.plan
        assert attempt is not None and plan is not None, "who has opened is under way"
        if self._session is None:
            self.session_ready()
        elif self._environment.planner.leads_elsewhere(plan):
            text = "reconnect() was called: the topics are on another route of the exchange"
            attempt.interrupt(Failure(FailureKind.REQUESTED, text, is_error=False), graceful=True)
        else:
            self._session.opened(attempt, plan.credentials, plan.redact)

    def deliver(self, messages: list[Payload], size: int) -> None:
        """Bring what has come; the hot path."""
        delivery = self._delivery
        delivery.offer(messages)
        if self._session is not None:
            messages = self._session.sift(messages)
            if not messages:
                return
        self.last_message_at = monotonic()
        if self._errand is not None:
            self._run_errand()
        if self.divert is None:
            self.messages += len(messages)
        elif self.divert(Batch(messages, size, self.generation, wall_clock())):
            return
        delivery.deliver(messages, size, self.generation)

    def control(self, event: str, payload: bytes) -> None:
        """A ping or a pong has come."""
        self._delivery.emit_bounded(event, payload)

    def interrupted(self) -> None:
        """Whatever holds the reader up lets it go."""
        self._host.interrupted(self)

    def tick(self, now: float) -> float:
        """Look around."""
        if self._errand is not None:
            self._run_errand()
        pause = self._host.ticked(self, now)
        return pause if self._session is None else min(pause, self._session.tick(now))

    # What the session tells and asks; see wsresilient.runtime.session.SessionHooks.

    def session_ready(self) -> None:
        """The connection is up, and logged in where that is wanted."""
        self.connected_at, self.connected_wall = monotonic(), wall_clock()
        self.endpoints.opened(self.connected_at)
        self._host.ready(self)

    def may_request(self) -> bool:
        """Whether topics may be asked for."""
        return self._host.may_request(self)

    def take_answer(self, request_id: Hashable, message: Any) -> bool:
        """Give a message to the request() that waits for this id."""
        return self._delivery.answers.give(request_id, message)

    def report(self, error: Exception) -> None:
        """Tell an error after which the connection goes on."""
        self._host.report(self, error)

    def let_rotate(self, reason: Failure) -> bool:
        """Whether somebody replaces this connection."""
        return self._host.let_rotate(self, reason)
