"""One life of a connection, from start() to its end: the reconnect loop.

Every failure comes through one door: a link ends, ``judging.py`` says why, ``retrying.py`` what
follows, and this loop does it. It moves no bytes (``transport.py``), calls no handlers
(``delivery.py``), and what is particular to one connection it leaves to its ``link.py``.

Each link has a thread. That of the running link is in charge: when the link ends, it goes on with
the loop. While a connection gets its successor (``succession.py``) there are two, and the thread
of a link that has a successor ends with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..config import ConnectionConfig
from ..core.failure import Failure, FailureKind, classify
from ..core.state import ConnectionState
from ..errors import ConnectionFailedError, as_exception
from .books import Books
from .clock import monotonic
from .crew import Crew
from .delivery import Delivery
from .handlers import HandlerSet
from .junction import Identifier
from .link import Link
from .links import Links
from .logs import Log
from .options import ConnectionOptions
from .outgoing import Outgoing
from .pacing import Pacer
from .reception import Reception
from .retrying import Retrying
from .status import Status
from .subscriber import Subscriber
from .succession import Succession
from .transport import Attempt
from .vigil import Vigil
from .watchdog import Watchdog

__all__ = ["Supervisor"]

log = Log("wsresilient.connection")

#: Seconds beyond close_timeout for which the thread of another link is waited for at the end.
PATIENCE = 1.5


class Supervisor:
    """Keeps one connection up until it is stopped or given up.

    :param options: where to and with what.
    :param config: settings.
    :param status: is written here, and only here.
    :param handlers: for their counters and slow calls.
    :param delivery: gets messages and events.
    :param outgoing: what waits to be sent goes out behind on_open.
    :param pacer: what may go out when; each link gets one like it.
    :param subscriber: the topics, or None: there is no venue.
    :param identify: names messages, so that the same one over two links is known.
    :param on_open: is called in the lane after each connect.
    :param stats: makes the dict for on_stats.
    :ivar links: the connections that it has now.
    """

    def __init__(
        self,
        *,
        options: ConnectionOptions,
        config: ConnectionConfig,
        status: Status,
        handlers: HandlerSet,
        delivery: Delivery,
        outgoing: Outgoing,
        pacer: Pacer,
        subscriber: Subscriber | None,
        identify: Identifier,
        on_open: Callable[[], None],
        stats: Callable[[], dict[str, Any]],
    ) -> None:
        self._options = options
        self._config = config
        self._status = status
        self._handlers = handlers
        self.delivery = delivery
        self._outgoing = outgoing
        self._subscriber = subscriber
        self._stats = stats
        self._books = Books(status, delivery, handlers)
        self._retrying = Retrying(options, config, status, self._books)
        self.links = Links(
            options,
            config,
            status=status,
            delivery=delivery,
            subscriber=subscriber,
            pacer=pacer,
            on_key_expired=lambda: self.request_reconnect("the listen key has expired"),
        )
        self.reception = Reception(
            links=self.links,
            books=self._books,
            retrying=self._retrying,
            status=status,
            handlers=handlers,
            delivery=delivery,
            outgoing=outgoing,
            on_open=on_open,
            rotate=self._let_rotate,
        )
        self._succession = Succession(
            self,
            name=status.name,
            config=config,
            delivery=delivery,
            identify=identify,
            needs_proof=subscriber is None,
        )
        self._vigil = Vigil(
            status=status,
            config=config,
            handlers=handlers,
            delivery=delivery,
            links=self.links,
            let_rotate=self.reception.let_rotate,
            step=self._succession.step,
            stats=stats,
            expects_data=lambda: subscriber is None or subscriber.expects_data,
        )
        delivery.wake = self.links.wake
        delivery.note_gap = status.note_gap
        self._pause_due = True  # before the next attempt, if the latest has failed
        self.crew = Crew(f"wsr-{status.name}")
        self.stopping: Failure | None = None  # guarded by status.changed
        self.ended = threading.Event()  # all of it: threads, lane, watchdog
        #: Asked before a planned rotation: whether somebody else brings a new connection.
        self.rotate: Callable[[Failure], bool] | None = None
        #: Called when all of it has ended: start() from inside one of its own handlers.
        self.restart: Callable[[], object] | None = None

    # Lifecycle, from any thread.

    def start(self, watchdog: Watchdog) -> None:
        """Begin; the thread is started last.

        :raises RuntimeError: the system makes no more threads; nothing is left behind.
        """
        self._watchdog = watchdog
        self.delivery.begin()
        try:
            watchdog.add(self._vigil)
            self.crew.spawn(self._main)
        except BaseException:
            watchdog.remove(self._vigil)
            self.delivery.end(self.ended.set)
            raise

    def request_stop(self, text: str) -> None:
        """Ask for the end; returns at once."""
        reason = Failure(FailureKind.STOPPED, text, is_error=False)
        with self._status.changed:
            self.restart = None
            if self.stopping is None:
                self.stopping = reason
            self._status.changed.notify_all()
        self.delivery.discard()
        self.links.interrupt(reason)

    def request_reconnect(self, text: str) -> None:
        """End the running connection in favour of a new one, or skip the wait for one."""
        text = f"reconnect() was called: {text}"
        self._succession.cancel(text)
        with self._status.changed:
            link = self.links.running
            self.links.hurry = self.attempt is None
            self._status.changed.notify_all()
        if link is not None and link.is_open:
            reason = Failure(FailureKind.REQUESTED, text, is_error=False)
            link.interrupt(reason, graceful=True)

    @property
    def attempt(self) -> Attempt | None:
        """That of the running link, or None."""
        return self.links.attempt

    @property
    def fatal(self) -> ConnectionFailedError | None:
        """Why it was given up, or None."""
        return self._retrying.fatal

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is about to: stopped or given up."""
        return self.stopping is not None or self.fatal is not None or self.ended.is_set()

    @property
    def has_greeted(self) -> bool:
        """Whether on_open of the running connection is over."""
        link = self.links.running
        return link is not None and link.has_greeted

    def is_own_thread(self) -> bool:
        """Whether the calling thread is the connection's, or inside one of its handlers."""
        return self.crew.is_member() or self._handlers.is_calling()

    # The loop, on the thread in charge.

    def _main(self) -> None:
        self.crew.take_charge()
        self.delivery.adopt_thread()
        self._look_after(None, None)

    def _look_after(self, link: Link | None, failure: Failure | None) -> None:
        """Run the loop, and end the life with it, unless another thread is in charge by then."""
        try:
            self._supervise(link, failure)
        except BaseException as error:
            # A bug of the library: say so and leave the user with a state that is true.
            failure = classify(as_exception(error, "the library"))
            self._retrying.give_up(failure, "an internal error")
            log.exception("%s: the supervisor failed", self._status.name)
        finally:
            if self.crew.is_in_charge():
                self._end()

    def _end(self) -> None:
        self._watchdog.remove(self._vigil)
        self._succession.close()
        # Also one that has a successor and was not closed yet: nobody would do so any more.
        self.links.interrupt(Failure(FailureKind.STOPPED, "the connection ends", is_error=False))
        # The other one says goodbye, too; whoever hangs in a user's function is not waited for.
        self.crew.wait_for_others(self._config.close_timeout + PATIENCE)
        self.links.close(timeout=1.0)
        self._outgoing.clear()
        self.delivery.adopt_thread()
        self.delivery.end(self._set_ended)

    def _set_ended(self) -> None:
        self._status.end_life(self._stats())
        self.ended.set()
        with self._status.changed:
            self._status.changed.notify_all()
        if self.restart is not None:
            self.restart()

    def _supervise(self, link: Link | None, failure: Failure | None) -> None:
        """Connect again and again.

        :param link: that has ended on this thread, or None: the first is to come.
        :param failure: why it has ended.
        """
        while True:
            if link is not None and failure is not None:
                if self._has_successor(link, failure):
                    return
                self._close(link, failure)
                if self._is_stopping():
                    break
                delay = self._retrying.after(
                    failure, pause_due=self._pause_due, record=self.links.endpoints.latest
                )
                if delay is None:
                    return
                self._pause(delay)
            self._wait_for_turn()
            if self._is_stopping():
                break
            link = self.links.begin(self.reception)
            failure = link.run()
        reason = "stopped" if self.stopping is None else self.stopping.text
        if self._status.state is not ConnectionState.DISCONNECTED:
            self._books.advance(ConnectionState.DISCONNECTED, reason)
        log.info("%s: stopped: %s", self._status.name, reason)

    def _is_stopping(self) -> bool:
        return self.stopping is not None

    def _close(self, link: Link, failure: Failure) -> None:
        """Close the books of a running link that has ended."""
        now = monotonic()
        self._pause_due = link.endpoints.ended(now, planned=failure.planned)
        self._retrying.note_uptime(link, now)
        self._books.ended(link, failure, is_stopping=self._is_stopping())
        self.links.drop(link)

    def _pause(self, delay: float) -> None:
        deadline = monotonic() + delay
        with self._status.changed:
            self._status.changed.wait_for(
                lambda: self.stopping is not None or self.links.hurry,
                max(0.0, deadline - monotonic()),
            )
            self.links.hurry = False

    def _wait_for_turn(self) -> None:
        """Wait until the shared budget of connects has one for us."""
        limiter = self._options.connect_limiter
        while limiter is not None and self.stopping is None:
            delay = limiter.reserve()
            if delay <= 0.0:
                return
            self._pause(delay)

    # Successors; see wsresilient.runtime.succession.SuccessionHost.

    def _let_rotate(self, reason: Failure) -> bool:
        """Tell whether the running link gets a successor; from any thread, it does not wait."""
        if self.rotate is not None:
            return self.rotate(reason)
        return self._succession.request(reason)

    def make_successor(self) -> Link:
        """Make a link beside the running one."""
        return self.links.begin_beside(self.reception)

    def start_successor(self, successor: Link) -> None:
        """Let it connect, on a thread of its own."""
        self.crew.spawn(self._main_of_successor, successor)

    def _main_of_successor(self, link: Link) -> None:
        """Connect beside the running link, and go on with the loop if it has become that."""
        self.crew.enter()
        try:
            failure = self._connect_in_turn(link)
        except BaseException as error:  # a bug of the library
            log.exception("%s: a successor failed", self._status.name)
            failure = classify(as_exception(error, "the library"))
        if self._succession.ended(link, failure):
            self._look_after(link, failure)

    def _connect_in_turn(self, link: Link) -> Failure:
        limiter = self._options.connect_limiter
        while True:
            delay = 0.0 if limiter is None else limiter.reserve()
            link.is_queueing = delay > 0.0
            if link.wait_for_end(delay):
                return Failure(FailureKind.STOPPED, "it is not wanted any more", is_error=False)
            if delay <= 0.0:
                return link.run()

    def promote(self, old: Link, successor: Link, reason: Failure) -> bool:
        """Make a successor the running link, and its thread the one in charge."""
        with self._status.changed:
            if self.links.running is not old or self.is_over:
                return self.links.running is successor
            self.links.promote(successor, planned=reason.planned)
            self.crew.in_charge = successor.thread
            self._books.promoted(successor, old, reason)
            errors, successor.errors = successor.errors, []
            if self._subscriber is not None:
                # Here, since the link may end at once, and the next one takes the topics of it.
                self._subscriber.succeed()
            self._status.changed.notify_all()
        if successor.is_ending:
            self.reception.interrupted(successor)  # it was not the running link then
        for error in errors:
            self._books.note_complaint(error)
        self.reception.flush_soon()
        return True

    def retire(self, old: Link, reason: Failure) -> None:
        """Close a link that has a successor."""
        self._books.retiring(reason)
        self._pass_reader_on(lambda: old.interrupt(reason, graceful=True))

    def _pass_reader_on(self, then: Callable[[], object] | None = None) -> None:
        """Let inline handlers run on the running link's thread, and then make a call."""
        thread = self.crew.in_charge

        def go_on() -> None:
            if then is not None:
                then()
            self.links.wake()

        self.delivery.pass_on(None if thread is None else thread.ident, go_on)

    def _has_successor(self, link: Link, failure: Failure) -> bool:
        """Close the books of a link that has ended if another one goes on in its place."""
        if not self._succession.inherits(link, failure):
            return False
        was_lost = self.links.was_lost(link)
        link.endpoints.ended(monotonic(), planned=not was_lost)
        self._books.succeeded(link, failure, was_lost=was_lost)
        self.links.drop(link)
        self._pass_reader_on()
        return True

    def forget(self, successor: Link, failure: Failure) -> None:
        """Close the books of a successor that never became the running link."""
        successor.endpoints.ended(monotonic(), planned=failure.planned)
        if self._subscriber is not None:
            self._subscriber.end_succession(successor.registry)
        self._books.forgotten(successor, failure, is_stopping=self._is_stopping())
        self.links.drop(successor)

    def tell_hole(self, failure: Failure) -> None:
        """Tell that messages may be missing here."""
        self._books.note_lost(self.links.running, failure)
        self._books.tell_hole()
