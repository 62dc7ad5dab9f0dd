"""One life of a connection, from start() to its end: the reconnect loop.

Every failure comes through one door: an attempt ends, ``core/failure.py`` says what it was,
``core/policing.py`` what follows, and this loop does it. It moves no bytes (``transport.py``)
and calls no handlers (``delivery.py``).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from typing import Any

from ..config import ConnectionConfig
from ..core.endpoints import EndpointList
from ..core.events import Gap
from ..core.failure import Failure, FailureKind, classify
from ..core.frames import Payload
from ..core.policing import NextStep, RetryHistory
from ..core.state import ConnectionState
from ..errors import (
    AuthenticationError,
    ConnectionFailedError,
    NotConnectedError,
    as_exception,
    describe,
)
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .handlers import HandlerSet
from .judging import final_word, planning_failed
from .logs import Log
from .options import ConnectionOptions
from .outgoing import Outgoing
from .pacing import Pacer
from .planner import AttemptPlanner
from .session import VenueSession
from .status import Status
from .subscriber import Subscriber
from .threads import spawn
from .transport import Attempt
from .vigil import Vigil
from .watchdog import Watchdog

__all__ = ["Supervisor"]

log = Log("wsresilient.connection")


class Supervisor:
    """Keeps one connection up until it is stopped or given up.

    :param options: where to and with what.
    :param config: settings.
    :param status: is written here, and only here.
    :param handlers: for their counters and slow calls.
    :param delivery: gets messages and events.
    :param outgoing: what waits to be sent goes out behind on_open.
    :param pacer: what may go out when.
    :param subscriber: the topics, or None: there is no venue.
    :param on_open: is called in the lane after each connect.
    :param stats: makes the dict for on_stats.
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
        on_open: Callable[[], None],
        stats: Callable[[], dict[str, object]],
    ) -> None:
        self._options = options
        self._config = config
        self._status = status
        self._handlers = handlers
        self.delivery = delivery
        self._outgoing = outgoing
        self._on_open = on_open
        self._history = RetryHistory(
            options.policy, credentials_can_change=options.credentials_can_change
        )
        self.endpoints = EndpointList(options.endpoint_policy, min_uptime=config.min_uptime)
        self._pause_due = True  # before the next attempt, if the latest has failed
        self._planner = AttemptPlanner(
            options,
            config,
            subscriber,
            self.endpoints,
            name=status.name,
            on_key_expired=lambda: self.request_reconnect("the listen key has expired"),
        )
        self._subscriber = subscriber
        self._session: VenueSession | None = None
        if subscriber is not None:
            self._session = VenueSession(subscriber, config, pacer, self, name=status.name)
        self._is_announced = False  # CONNECTED was told of the running attempt
        self._opened_before = False
        self._retries = 0  # since the latest connection
        self._lost_at = wall_clock()
        self._gap_reason = "reconnect"
        self._greeted = 0  # the latest generation whose on_open is over
        self._stats = stats
        delivery.wake = self.wake
        delivery.note_gap = status.note_gap
        self._vigil = Vigil(
            status=status,
            config=config,
            handlers=handlers,
            delivery=delivery,
            attempt=lambda: self.attempt,
            stats=stats,
            rotate=self.let_rotate,
            expects_data=lambda: subscriber is None or subscriber.expects_data,
        )
        # Guarded by status.changed:
        self.attempt: Attempt | None = None
        self.stopping: Failure | None = None
        self._hurry = False
        self.thread: threading.Thread | None = None
        self.ended = threading.Event()  # all of it: thread, lane, watchdog
        self.fatal: ConnectionFailedError | None = None
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
            self.thread = spawn(self._main, name=f"wsr-{self._status.name}")
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
            attempt = self.attempt
            self._status.changed.notify_all()
        self.delivery.discard()
        self._planner.interrupt()
        if attempt is not None:
            attempt.interrupt(reason, graceful=True)

    def let_rotate(self, reason: Failure) -> bool:
        """Ask whether somebody replaces this connection by another one; if not, it ends itself.

        From any thread; it must not wait.
        """
        return self.rotate is not None and self.rotate(reason)

    def request_reconnect(self, text: str) -> None:
        """End the running connection in favour of a new one, or skip the wait for one."""
        with self._status.changed:
            attempt = self.attempt
            self._hurry = attempt is None
            self._status.changed.notify_all()
        if attempt is not None and attempt.is_open:
            reason = Failure(
                FailureKind.REQUESTED, f"reconnect() was called: {text}", is_error=False
            )
            attempt.interrupt(reason, graceful=True)

    @property
    def is_over(self) -> bool:
        """Whether it has ended or is about to: stopped or given up."""
        return self.stopping is not None or self.fatal is not None or self.ended.is_set()

    def is_own_thread(self) -> bool:
        """Whether the calling thread is the connection's, or inside one of its handlers."""
        return threading.current_thread() is self.thread or self._handlers.is_calling()

    # The loop, on the connection's thread.

    def _main(self) -> None:
        # start() may not have come to it yet, and a handler may ask already.
        self.thread = threading.current_thread()
        self.delivery.adopt_thread()
        try:
            self._supervise()
        except BaseException as error:
            # A bug of the library: say so and leave the user with a state that is true.
            self._give_up(classify(as_exception(error, "the library")), "an internal error")
            log.exception("%s: the supervisor failed", self._status.name)
        finally:
            self._watchdog.remove(self._vigil)
            self._planner.stop(timeout=1.0)
            self._outgoing.clear()
            self.delivery.end(self._set_ended)

    def _set_ended(self) -> None:
        self._status.end_life(self._stats())
        self.ended.set()
        with self._status.changed:
            self._status.changed.notify_all()
        if self.restart is not None:
            self.restart()

    def _supervise(self) -> None:
        self._wait_for_turn()
        while not self._is_stopping():
            failure = self._attempt()
            if self._is_stopping():
                break
            delay = self._after(failure)
            if delay is None:
                return
            self._pause(delay)
            self._wait_for_turn()
        reason = self.stopping.text if self.stopping is not None else "stopped"
        if self._status.state is not ConnectionState.DISCONNECTED:
            self._advance(ConnectionState.DISCONNECTED, reason)
        log.info("%s: stopped: %s", self._status.name, reason)

    def _is_stopping(self) -> bool:
        return self.stopping is not None

    def _advance(self, new: ConnectionState, message: str) -> None:
        self.delivery.emit("state", self._status.advance(new, message))

    def _pause(self, delay: float) -> None:
        deadline = monotonic() + delay
        with self._status.changed:
            self._status.changed.wait_for(
                lambda: self.stopping is not None or self._hurry, max(0.0, deadline - monotonic())
            )
            self._hurry = False

    def _wait_for_turn(self) -> None:
        """Wait until the shared budget of connects has one for us."""
        limiter = self._options.connect_limiter
        while limiter is not None and not self._is_stopping():
            delay = limiter.reserve()
            if delay <= 0.0:
                return
            self._pause(delay)

    def _attempt(self) -> Failure:
        """Make one attempt and say how it ended."""
        status = self._status
        status.generation += 1
        self._is_announced = False
        attempt: Attempt | None = None
        try:
            request = self._planner.plan()
            shown = status.url = status.endpoint = request.url.shown
            self._handlers.redact = request.redact
            self._advance(ConnectionState.CONNECTING, f"connecting to {shown}")
            log.info("%s: connecting to %s", status.name, shown)
            attempt = Attempt(request, self._config, self)
            with self._status.changed:
                self._hurry = False  # this is the attempt that was wanted
            self.delivery.let_reader_go(False)
        except BaseException as error:  # a user's function may raise anything
            if status.state is not ConnectionState.CONNECTING:
                self._advance(ConnectionState.CONNECTING, "preparing an attempt")
            failure = self._judge(planning_failed(error, self._planner))
        else:
            failure = self._run(attempt)
        self._close_books(attempt, failure)
        return failure

    def _run(self, attempt: Attempt) -> Failure:
        with self._status.changed:
            self.attempt = attempt
            stopping = self.stopping
        if stopping is not None:
            attempt.interrupt(stopping, graceful=False)
        error = attempt.run()
        with self._status.changed:
            self.attempt = None
        if attempt.recorded is not None:
            # What was recorded is why it was cut; the exception is only how that looked.
            return self._judge(attempt.recorded)
        return self._judge(classify(error or NotConnectedError("the connection ended")))

    def _judge(self, failure: Failure) -> Failure:
        return final_word(failure, self._options, name=self._status.name)

    def _close_books(self, attempt: Attempt | None, failure: Failure) -> None:
        """Count and tell the end of an attempt: on_error, then on_close."""
        status = self._status
        opened_at = status.connected_at if self._is_announced else None
        self._pause_due = self.endpoints.ended(monotonic(), planned=failure.planned)
        if attempt is not None:
            status.counters.bytes_received += attempt.bytes_received
        if opened_at is None and not failure.planned:
            status.counters.failures += 1
        if opened_at is not None:
            self._note_uptime(monotonic() - opened_at)
            self._lost_at = wall_clock()
            rotated = failure.kind is FailureKind.ROTATION
            self._gap_reason = "rotation" if rotated else "reconnect"
        close_code = attempt.close_code if attempt is not None else None
        status.note_end(failure, close_code, was_open=opened_at is not None)
        status.connected_at = status.connected_wall = None
        self.delivery.answers.link_dropped()
        if self._session is not None:
            self._session.lost()
        if failure.is_error and self.stopping is None:
            status.note_error(failure.text)
            self.delivery.emit("error", failure.error or ConnectionFailedError(failure.text))
        if attempt is not None and opened_at is not None:
            reason = attempt.close_reason or (failure.text if attempt.close_code is None else "")
            self.delivery.emit("close", attempt.close_code, reason)

    def _after(self, failure: Failure) -> float | None:
        """Decide what follows; returns seconds to wait, or None: it is over."""
        status = self._status
        if failure.planned:
            self._advance(ConnectionState.RECONNECTING, failure.text)
            log.info("%s: %s; reconnecting now", status.name, failure.text)
            return 0.0
        step = self._next_step(failure, pause_due=self._pause_due)
        self._retries += 1
        status.retry_count = self._history.count
        if step.delay is None:
            self._give_up(failure, step.why_not)
            return None
        self._announce_retry(failure, step)
        return step.delay

    def _next_step(self, failure: Failure, *, pause_due: bool) -> NextStep:
        try:
            return self._history.failed(
                failure, now=monotonic(), pause_due=pause_due, record=self.endpoints.latest
            )
        except BaseException:  # a strategy of the user's may raise anything
            pause = 60.0
            log.exception("%s: wait= or stop= raised; pausing %g s", self._status.name, pause)
            return NextStep(pause, f"[{self._history.count}]")

    def _announce_retry(self, failure: Failure, step: NextStep) -> None:
        what = f"pause of {step.delay:.1f} s" if step.fresh_start else f"in {step.delay:.1f} s"
        message = f"retry {step.label} {what}: {failure.text}"
        self._advance(ConnectionState.RECONNECTING, message)
        log.warning("%s: %s: %s", self._status.name, failure.kind, message)

    def _give_up(self, failure: Failure, why: str) -> None:
        text = f"given up, since {why}: {failure.text}"
        error: ConnectionFailedError
        if isinstance(failure.error, AuthenticationError):
            error = AuthenticationError(text, status=failure.error.status)
        else:
            error = ConnectionFailedError(text)
        error.__cause__ = failure.error
        self.fatal = error
        self._advance(ConnectionState.FAILED, text)
        if failure.is_error:
            log.error("%s: failed: %s", self._status.name, text)
        else:
            log.info("%s: ended: %s", self._status.name, text)

    def _note_uptime(self, uptime: float) -> None:
        if uptime >= self._config.min_uptime and self._history.count:
            self._history.healthy()
            self._status.retry_count = 0

    # What the attempt tells, on the connection's thread.

    def opened(self) -> None:
        """See :class:`wsresilient.runtime.transport.AttemptHooks`."""
        attempt = self.attempt
        if self._session is None or attempt is None:
            self.session_ready()
        elif self._planner.leads_elsewhere():
            self.request_reconnect("the topics are on another route of the exchange")
        else:
            self._session.opened(attempt, self._planner.credentials, self._planner.redact)

    def session_ready(self) -> None:
        """The connection is up, and logged in where that is wanted: say so."""
        status, generation = self._status, self._status.generation
        self._is_announced = True
        status.connected_at, status.connected_wall = monotonic(), wall_clock()
        again, self._opened_before = self._opened_before, True
        status.counters.connects += 1
        if again:
            status.counters.reconnects += 1
        status.note_opened()
        self.endpoints.opened(status.connected_at)
        retries, self._retries = self._retries, 0
        after = f" after {retries} {'retry' if retries == 1 else 'retries'}" if retries else ""
        address = self.attempt.address if self.attempt is not None else "?"
        self._advance(ConnectionState.CONNECTED, f"connected to {status.url}{after}")
        log.info("%s: connected%s to %s (%s)", status.name, after, status.url, address)
        if again:
            self._tell_gap()
        self.delivery.emit_call(lambda: self._greet(generation))

    def _tell_gap(self) -> None:
        age, now = self._status.last_message_age, wall_clock()
        gap = Gap(
            connection=self._status.name,
            topics=(),
            reason=self._gap_reason,
            started_at=self._lost_at if age is None else min(self._lost_at, now - age),
            ended_at=now,
        )
        self.delivery.emit_gap(gap)

    def _greet(self, generation: int) -> None:
        """Call on_open, in the lane; what waits to be sent goes out behind it."""
        self._on_open()
        self._greeted = generation
        self.flush_soon()
        if self._session is not None:
            self.wake()  # topics may be asked for now

    def flush_soon(self) -> None:
        """Send what waits, on a thread that may wait; nothing while on_open is not over."""
        attempt = self.attempt
        if attempt is not None and self.has_greeted and self._outgoing.waiting:
            self.delivery.note(lambda: self._outgoing.flush(attempt))

    def interrupted(self) -> None:
        """See :class:`wsresilient.runtime.transport.AttemptHooks`."""
        self.delivery.let_reader_go(True)

    def deliver(self, messages: list[Payload], size: int) -> None:
        """See :class:`wsresilient.runtime.transport.AttemptHooks`; the hot path."""
        self.delivery.offer(messages)
        if self._session is not None:
            messages = self._session.sift(messages)
            if not messages:
                return
        counters = self._status.counters
        counters.messages += len(messages)
        counters.last_message_at = monotonic()
        self.delivery.deliver(messages, size, self._status.generation)

    def control(self, event: str, payload: bytes) -> None:
        """See :class:`wsresilient.runtime.transport.AttemptHooks`."""
        self.delivery.emit_bounded(event, payload)

    def tick(self, now: float) -> float:
        """See :class:`wsresilient.runtime.transport.AttemptHooks`."""
        status = self._status
        pause = math.inf
        if status.connected_at is not None and self._history.count:
            uptime = now - status.connected_at
            self._note_uptime(uptime)
            pause = max(0.05, self._config.min_uptime - uptime)
        self.delivery.run_inline_events()
        self.delivery.move_inbox()
        return pause if self._session is None else min(pause, self._session.tick(now))

    # What the session asks, on the connection's thread.

    def may_request(self) -> bool:
        """See :class:`wsresilient.runtime.session.SessionHooks`."""
        return self.has_greeted or not self._handlers.has("open")

    def take_answer(self, request_id: Hashable, message: Any) -> bool:
        """See :class:`wsresilient.runtime.session.SessionHooks`."""
        return self.delivery.answers.give(request_id, message)

    def report(self, error: Exception) -> None:
        """See :class:`wsresilient.runtime.session.SessionHooks`."""
        self._status.note_error(describe(error))
        self.delivery.emit_bounded("error", error)

    def wake(self) -> None:
        """Make the reader look around, if there is one."""
        attempt = self.attempt
        if attempt is not None:
            attempt.wake()

    @property
    def has_greeted(self) -> bool:
        """Whether on_open of the running connection is over."""
        return self._greeted == self._status.generation
