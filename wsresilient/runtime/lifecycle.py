"""The life of a connection: started, stopped, waited for, looked at.

The half of :class:`~wsresilient.runtime.connection.ResilientWebSocket` that has nothing to do
with messages. It starts one :class:`~wsresilient.runtime.supervisor.Supervisor` for each life.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from ..config import ConnectionConfig, check_seconds
from ..core.events import Message
from ..core.failure import Failure
from ..core.frames import Payload
from ..core.limits import Limits
from ..core.state import ConnectionState
from ..errors import ConnectionFailedError, NotConnectedError, WSResilientError
from .clock import monotonic
from .decoding import Decoder
from .delivery import Delivery
from .dispatcher import Dispatcher
from .handlers import HandlerSet
from .junction import Identifier
from .lanes import Batch
from .logs import Log
from .options import ConnectionOptions
from .outgoing import Outgoing
from .pacing import Pacer
from .routing import Router
from .status import Status
from .subscriber import Subscriber
from .supervisor import Supervisor
from .threads import gather
from .watchdog import default_watchdog

__all__ = ["ConnectionLifecycle"]

log = Log("wsresilient.connection")

Self = TypeVar("Self", bound="ConnectionLifecycle")

CONNECTED, DISCONNECTED, FAILED = (
    ConnectionState.CONNECTED,
    ConnectionState.DISCONNECTED,
    ConnectionState.FAILED,
)


class ConnectionLifecycle:
    """Starts, stops and tells. See :class:`ResilientWebSocket` for the arguments."""

    def __init__(
        self,
        *,
        name: str,
        options: ConnectionOptions,
        config: ConnectionConfig,
        decoder: Decoder | None,
        dispatcher: Dispatcher,
        subscriber: Subscriber | None = None,
        message_key: Callable[[Message], Hashable] | None = None,
    ) -> None:
        self._name = name
        self._options = options
        self._config = config
        self._decoder = decoder
        self._dispatcher = dispatcher
        self._handlers = HandlerSet(name)
        self._status = Status(name, options.shown_url(), config)
        self._handlers.note_error = self._status.note_handler_error
        limits = Limits() if options.venue is None else options.venue.limits
        self._pacer = Pacer(limits, config.send_rate)
        self._outgoing = Outgoing(config)
        self._subscriber = subscriber
        self._message_key = message_key
        self._router: Router | None = None
        if subscriber is not None:
            decode = decoder or subscriber.venue.decode
            self._router = Router(name, subscriber, decode, self._handlers)
        self._starting = threading.Lock()  # guards the writing of _life
        self._life: Supervisor | None = None
        self._gate: Callable[[Batch], list[Payload]] | None = None
        self._rotate: Callable[[Failure], bool] | None = None
        #: For pools: it has left for good, so that a start() that comes late must not begin.
        self.is_retired = False
        #: Whether stop() has waited in vain already, so that the end of the process need not.
        self.stop_timed_out = False

    def __repr__(self) -> str:
        status = self._status
        return (
            f"<{type(self).__name__} {self._name!r} {status.state} url={status.url!r} "
            f"messages={status.messages} reconnects={status.counters.reconnects}>"
        )

    def start(self: Self) -> Self:
        """Start the connection; does nothing while it runs.

        From inside one of its own handlers, after stop() or a failure, it begins when that
        handler has returned.

        :returns: itself.
        :raises WSResilientError: it is being stopped and did not end within 10 s.
        """
        while True:
            life = self._life
            if life is not None and not life.ended.is_set():
                if not life.is_over:
                    return self
                if life.is_own_thread():
                    # Its handlers never run side by side: begin when this one has returned.
                    life.restart = self.start
                    return self
                self._wait_for_end(life)
            with self._starting:
                if self.is_retired:
                    return self
                if self._life is life:  # and no other thread was quicker
                    if life is not None:
                        self._status.keep_counts(life.delivery)
                    self._life = self._new_life()  # before the start: its handlers use it
                    try:
                        self._life.start(default_watchdog())
                    except BaseException:
                        self._life = None
                        raise
                    return self

    def _new_life(self) -> Supervisor:
        self._status.begin_life()
        delivery = Delivery(
            self._name, self._config, self._handlers, self._dispatcher, self._decoder, self._router
        )
        delivery.gate = self._gate
        life = Supervisor(
            options=self._options,
            config=self._config,
            status=self._status,
            handlers=self._handlers,
            delivery=delivery,
            outgoing=self._outgoing,
            pacer=self._pacer,
            subscriber=self._subscriber,
            identify=Identifier(
                delivery.decoding.message, self._options.venue, self._message_key, self._handlers
            ),
            on_open=lambda: self._handlers.call("open", self),
            stats=self.get_stats,
        )
        life.rotate = self._rotate
        return life

    # For pools.

    def set_gate(self, gate: Callable[[Batch], list[Payload]] | None) -> None:
        """Let all batches go through a function; see :class:`Delivery`."""
        self._gate = gate
        life = self._life
        if life is not None:
            life.delivery.gate = gate

    def set_rotation(self, rotate: Callable[[Failure], bool]) -> None:
        """Ask this function before each planned rotation: whether somebody else does it."""
        self._rotate = rotate
        life = self._life
        if life is not None:
            life.rotate = rotate

    def after_queued(self, call: Callable[[], object]) -> None:
        """Make a call on the serving thread, behind all that is queued; at once where none is."""
        life = self._life
        if life is None or life.ended.is_set():
            call()
        else:
            life.delivery.emit_call(call)

    def deliver_now(self, payloads: list[Payload], received_at: float) -> None:
        """Give messages to the handlers past the gate; on the serving thread."""
        life = self._life
        if life is not None:
            size = sum(map(len, payloads))
            life.delivery.serve_now(Batch(payloads, size, self.generation, received_at))

    @property
    def connection_age(self) -> float | None:
        """Seconds since it connected, or None while it is not."""
        at = self._status.connected_at
        return None if at is None else monotonic() - at

    @property
    def fatal_error(self) -> ConnectionFailedError | None:
        """Why it was given up, or None."""
        life = self._life
        return None if life is None else life.fatal

    def _wait_for_end(self, life: Supervisor) -> None:
        if not life.ended.wait(10.0):
            raise WSResilientError(
                f"{self._name} is still stopping; start it again when it has ended"
            )

    def request_stop(self, reason: str = "stop() was called") -> None:
        """Ask for the end and return at once.

        :param reason: for the log and the last StateChange.
        """
        life = self._life
        if life is not None:
            life.request_stop(reason)

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop the connection; idempotent, from any thread, in every phase.

        From inside a handler it returns at once, and the rest ends after that handler returns.

        :param timeout: seconds for all of it. A close handshake gets ``close_timeout`` of it.
        :returns: whether every thread of the connection has ended, but for the caller's.
        """
        check_seconds("timeout", timeout)
        ended = self.end(timeout)
        life = self._life
        if not ended and life is not None and not life.is_own_thread():
            log.warning(
                "%s: not ended %g s after stop(): a handler is still running", self._name, timeout
            )
            self.stop_timed_out = True
        return ended

    def end(self, timeout: float) -> bool:
        """Stop without a word, for the end of the process; see :meth:`stop`."""
        life = self._life
        if life is None:
            return True
        deadline = monotonic() + timeout
        life.request_stop("stop() was called")
        if life.is_own_thread():
            return not any(thread.is_alive() for thread in life.crew.members)
        threads = life.crew.members
        patience = min(self._config.close_timeout + 0.5, 0.7 * timeout)
        if gather(threads, timeout=patience):
            life.links.cut()
        gather(threads, timeout=deadline - monotonic())
        ended = life.ended.wait(max(0.0, deadline - monotonic()))
        self._settle(life)
        if not ended or gather(life.crew.members, timeout=max(0.0, deadline - monotonic())):
            return False
        return self._dispatcher.join(timeout=deadline - monotonic()) and default_watchdog().join(
            timeout=deadline - monotonic()
        )

    def _settle(self, life: Supervisor) -> None:
        """A stopped connection is disconnected, also if it had failed before."""
        with self._status.changed:
            if life.ended.is_set() and self._status.state is FAILED:
                self._status.advance(DISCONNECTED, "stop() was called")

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the connection has ended: stopped or failed.

        :param timeout: seconds; None waits for ever.
        :returns: whether it has ended.
        """
        check_seconds("timeout", timeout, optional=True)
        return self._status.wait_for(lambda: not self.is_running, timeout)

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def run_forever(self) -> None:
        """Start, and block until stopped; Ctrl-C stops cleanly.

        :raises ConnectionFailedError: it was given up.
        """
        try:
            self.start()
            self.join()
        except KeyboardInterrupt:
            # A second Ctrl-C does not wait for the close handshake any more.
            with contextlib.suppress(KeyboardInterrupt):
                self.request_stop("interrupted (Ctrl-C)")
                self.stop()
            self.request_stop("interrupted (Ctrl-C)")  # the second may have come before the first
            return
        self._raise_if_failed()

    def wait_until_connected(self, timeout: float | None = None) -> bool:
        """Wait for the connection, or for its return.

        :param timeout: seconds; None waits for ever.
        :returns: whether it is connected; False also when it was stopped meanwhile.
        :raises ConnectionFailedError: it was given up.
        """
        check_seconds("timeout", timeout, optional=True)
        life = self._life

        def decided() -> bool:
            state = self._status.state
            # The life before this one may have failed, and this one not begun to connect.
            has_failed = state is FAILED and (life is None or life.fatal is not None)
            has_ended = life is not None and life.ended.is_set()
            return state is CONNECTED or has_failed or has_ended

        self._status.wait_for(decided, 0.0 if life is None and timeout is None else timeout)
        self._raise_if_failed()
        return self.is_connected

    def _raise_if_failed(self) -> None:
        life = self._life
        if self._status.state is FAILED and life is not None and life.fatal is not None:
            # A copy: several threads may raise it, and each adds its traceback.
            raise copy.copy(life.fatal) from life.fatal.__cause__

    def reconnect(self, reason: str = "requested") -> None:
        """Connect anew, now: ends the running connection, or skips the wait for the next.

        :param reason: for logs and the StateChange.
        :raises NotConnectedError: it is not running.
        """
        life = self._life
        if life is None or life.is_over:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        life.request_reconnect(reason)

    # What it is.

    @property
    def name(self) -> str:
        """Its name in logs and in the monitor."""
        return self._name

    @property
    def record(self) -> Status:
        """State, counters and history, for the monitor."""
        return self._status

    @property
    def config(self) -> ConnectionConfig:
        """Its settings."""
        return self._config

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection now."""
        return self._status.state is CONNECTED

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        life = self._life
        return life is not None and not (life.ended.is_set() and life.restart is None)

    @property
    def state(self) -> ConnectionState:
        """Where it stands."""
        return self._status.state

    @property
    def last_error(self) -> str:
        """Type and text of the latest failure, "" before the first."""
        return self._status.last_error

    @property
    def generation(self) -> int:
        """The number of the current or latest attempt, from 1."""
        return self._status.generation

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of the subprotocols, or None."""
        attempt = self._life.attempt if self._life is not None else None
        return None if attempt is None else attempt.subprotocol

    def get_stats(self) -> dict[str, Any]:
        """Return everything that is known in one dict of plain values."""
        life = self._life
        extra = {} if self._subscriber is None else self._subscriber.stats()
        if life is not None:
            extra["endpoints"] = life.links.endpoints.states(monotonic())
        return self._status.stats(
            attempt=life.attempt if life is not None else None,
            delivery=life.delivery if life is not None else None,
            handlers=self._handlers,
            extra=extra,
        )

    def forget_after_fork(self) -> None:
        """In a child: let go of the parent's connection without touching it."""
        life, self._life = self._life, None
        self._starting = threading.Lock()
        self._status.forget_after_fork()
        self._outgoing.forget_after_fork()
        if self._subscriber is not None:
            self._subscriber.forget_after_fork()
        self._dispatcher.forget_threads()
        if life is not None:
            life.delivery.abandon()
            life.links.close_descriptors()
