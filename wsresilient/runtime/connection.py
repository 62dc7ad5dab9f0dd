"""ResilientWebSocket: what a user holds of one stream that stays up.

It starts and stops lives (``supervisor.py``), sends, pulls and tells; the decisions are in
``core/``, the state is in ``status.py``.
"""

from __future__ import annotations

import contextlib
import copy
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from ..config import ConnectionConfig, check_callable, check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.encoding import encode_outgoing
from ..core.events import Message
from ..core.failure import Failure
from ..core.frames import Payload
from ..core.outbox import Outbox, OutgoingMessage
from ..core.state import ConnectionState
from ..errors import (
    ConfigurationError,
    NotConnectedError,
    SendTimeoutError,
    WSResilientError,
)
from .clock import monotonic, wall_clock
from .delivery import Delivery
from .dispatcher import Dispatcher, default_dispatcher
from .handlers import EVENTS, HandlerSet
from .options import ConnectionOptions
from .ratelimit import RateLimiter
from .registry import default_registry, register
from .status import Status
from .supervisor import Supervisor
from .threads import gather
from .transport import GateClosedError
from .watchdog import default_watchdog

__all__ = ["ResilientWebSocket", "connect"]

Headers = Mapping[str, str | None] | Callable[[], Mapping[str, str | None]] | None
URL = str | Sequence[str] | Callable[[], str | Sequence[str]]
HandlerT = TypeVar("HandlerT", bound=Callable[..., object])

CONNECTED, DISCONNECTED, FAILED = (
    ConnectionState.CONNECTED,
    ConnectionState.DISCONNECTED,
    ConnectionState.FAILED,
)


class ResilientWebSocket:
    """One WebSocket that is kept alive by a thread of its own.

    Nothing happens before :meth:`start`: the constructor does no I/O and starts no thread.
    All members may be used from any thread. Handlers run on the dispatcher's threads, one
    at a time, in the order of what happened.

    :param url: ``ws://`` or ``wss://``; several in failover order; or a callable returning
        either, called once per attempt on the connection's thread.
    :param name: its name in logs and in the monitor; None: host and path.
    :param on_message: ``(payload: str | bytes)`` for each message.
    :param on_data: ``(message: Message)``, decoded; needs a decoder.
    :param on_open: ``(ws)`` after every successful (re)connect.
    :param on_close: ``(code: int | None, reason: str)``, once for each on_open.
    :param on_error: ``(error: Exception)``: failures and errors of handlers, each once.
    :param on_state_change: ``(change: StateChange)``.
    :param on_stats: ``(stats: dict)`` every ``stats_interval`` seconds.
    :param on_gap: ``(gap: Gap)`` where messages may be missing.
    :param headers: additional ones of the handshake, or a callable returning them.
    :param subprotocols: offered ones, in the order of preference.
    :param proxy: URL of an HTTP or SOCKS proxy (extra ``proxy``); "direct" for none; None:
        what http_proxy, https_proxy, all_proxy and no_proxy say.
    :param ssl_context: None: the system's certificates, verified.
    :param decoder: ``(payload) -> object`` for on_data and request().
    :param reconnect: when to try again; None: ``ReconnectPolicy()``.
    :param classify: ``(failure: Failure) -> Failure``, the last word on a failure.
    :param config: a :class:`~wsresilient.config.ConnectionConfig`; its fields may also be
        given by keyword.
    :param dispatcher: threads of its own for handlers; None: those that all share.
    :param monitor: where it is seen; None: ``get_monitor()``.
    :raises ConfigurationError: an argument is wrong; the text says which.
    """

    def __init__(
        self,
        url: URL | None = None,
        *,
        name: str | None = None,
        on_message: Callable[[Payload], object] | None = None,
        on_data: Callable[[Message], object] | None = None,
        on_open: Callable[[ResilientWebSocket], object] | None = None,
        on_close: Callable[[int | None, str], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        on_state_change: Callable[[Any], object] | None = None,
        on_stats: Callable[[dict[str, Any]], object] | None = None,
        on_gap: Callable[[Any], object] | None = None,
        headers: Headers = None,
        subprotocols: Iterable[str] | None = None,
        proxy: str | None = None,
        ssl_context: Any = None,
        venue: Any = None,
        auth: Any = None,
        decoder: Callable[[Payload], Any] | None = None,
        reconnect: ReconnectPolicy | None = None,
        classify: Callable[[Failure], Failure] | None = None,
        config: ConnectionConfig | None = None,
        dispatcher: Dispatcher | None = None,
        monitor: Any = None,
        **settings: Any,
    ) -> None:
        _refuse_unavailable(venue=venue, auth=auth)
        self._config = _configured(config, settings)
        self._options = ConnectionOptions.checked(
            url=url,
            headers=headers,
            subprotocols=subprotocols,
            proxy=proxy,
            ssl_context=ssl_context,
            reconnect=reconnect,
            classify=classify,
        )
        self._name = _checked_name(name) or self._options.default_name()
        self._decoder = decoder
        check_callable("decoder", decoder)
        self._handlers = HandlerSet(self._name)
        given = {
            "message": on_message,
            "data": on_data,
            "open": on_open,
            "close": on_close,
            "error": on_error,
            "state": on_state_change,
            "stats": on_stats,
            "gap": on_gap,
        }
        for event, handler in given.items():
            argument = {"state": "on_state_change"}.get(event, f"on_{event}")
            check_callable(argument, handler)
            if handler is not None:
                self._add_handler(event, handler)
        if dispatcher is not None and not isinstance(dispatcher, Dispatcher):
            raise ConfigurationError(
                f"dispatcher is {dispatcher!r:.60}; allowed: a Dispatcher, or None"
            )
        self._dispatcher = dispatcher or default_dispatcher()
        self._limiter = _limiter(self._config.send_rate)
        registry = default_registry() if monitor is None else getattr(monitor, "registry", None)
        if registry is None:
            raise ConfigurationError(f"monitor is {monitor!r:.60}; allowed: a Monitor, or None")
        self._status = Status(self._name, self._options.shown_url(), self._config)
        self._outbox = Outbox(self._config.send_queue_size)  # guarded by _status.changed
        self._life: Supervisor | None = None
        register(self, registry)

    def __repr__(self) -> str:
        status = self._status
        return (
            f"<ResilientWebSocket {self._name!r} {status.state} url={status.url!r} "
            f"messages={status.counters.messages} reconnects={status.counters.reconnects}>"
        )

    # Lifecycle.

    def start(self) -> ResilientWebSocket:
        """Start the connection; does nothing while it runs.

        :returns: itself.
        :raises WSResilientError: it is being stopped and did not end within 10 s.
        """
        life = self._life
        if life is not None and not life.ended.is_set():
            if not life.is_over:
                return self
            self._wait_for_end(life)
        self._status.retry_count = 0
        delivery = Delivery(
            self._name, self._config, self._handlers, self._dispatcher, self._decoder
        )
        self._life = Supervisor(
            options=self._options,
            config=self._config,
            status=self._status,
            handlers=self._handlers,
            delivery=delivery,
            outbox=self._outbox,
            limiter=self._limiter,
            on_open=lambda: self._handlers.call("open", self),
            stats=self.get_stats,
        )
        self._life.start(default_watchdog())
        return self

    def _wait_for_end(self, life: Supervisor) -> None:
        thread = life.thread
        if life.is_own_thread():
            # Called from a handler: the lane can only end after it has returned.
            if thread is not None and not gather([thread], timeout=10.0):
                return
        elif life.ended.wait(10.0):
            return
        raise WSResilientError(f"{self._name} is still stopping; start it again when it has ended")

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
        life = self._life
        if life is None:
            return True
        deadline = monotonic() + timeout
        life.request_stop("stop() was called")
        thread = life.thread
        if life.is_own_thread():
            return thread is None or not thread.is_alive()
        assert thread is not None
        patience = min(self._config.close_timeout + 0.5, 0.7 * timeout)
        if gather([thread], timeout=patience):
            attempt = life.attempt
            if attempt is not None:
                attempt.cut()
        gather([thread], timeout=deadline - monotonic())
        ended = life.ended.wait(max(0.0, deadline - monotonic()))
        self._settle(life)
        return (
            ended
            and not thread.is_alive()
            and self._dispatcher.join(timeout=deadline - monotonic())
            and default_watchdog().join(timeout=deadline - monotonic())
        )

    def _settle(self, life: Supervisor) -> None:
        """A stopped connection is disconnected, also if it had failed before."""
        if life.ended.is_set() and self._status.state is FAILED:
            self._status.advance(DISCONNECTED, "stop() was called")

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the connection has ended: stopped or failed.

        :param timeout: seconds; None waits for ever.
        :returns: whether it has ended.
        """
        life = self._life
        return life is None or self._status.wait_for(life.ended.is_set, timeout)

    def __enter__(self) -> ResilientWebSocket:
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
                self.stop()
            return
        self._raise_if_failed()

    def wait_until_connected(self, timeout: float | None = None) -> bool:
        """Wait for the connection, or for its return.

        :param timeout: seconds; None waits for ever.
        :returns: whether it is connected; False also when it was stopped meanwhile.
        :raises ConnectionFailedError: it was given up.
        """
        life = self._life

        def decided() -> bool:
            state = self._status.state
            return state in (CONNECTED, FAILED) or (life is not None and life.ended.is_set())

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
        return life is not None and not life.ended.is_set()

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

    @property
    def subscriptions(self) -> frozenset[str]:
        """The topics that are wanted; without a venue there are none."""
        return frozenset()

    def get_stats(self) -> dict[str, Any]:
        """Return everything that is known in one dict of plain values."""
        life = self._life
        return self._status.stats(
            attempt=life.attempt if life is not None else None,
            delivery=life.delivery if life is not None else None,
            handlers=self._handlers,
            subscribed=len(self.subscriptions),
        )

    def is_fresh(self, topic: str | None = None, *, max_age: float) -> bool:
        """Tell whether data has come lately.

        :param topic: None: any data of the connection.
        :param max_age: seconds.
        :raises ConfigurationError: a topic, where there is no venue.
        """
        check_seconds("max_age", max_age)
        if topic is not None:
            _refuse_topics(topic)
        age = self._status.last_message_age
        return age is not None and age <= max_age

    # Handlers.

    def on(self, event: str, handler: HandlerT | None = None) -> Any:
        """Add a handler; without one, a decorator: ``@ws.on("message")``.

        :param event: message, data, open, close, error, state, stats, gap, unrouted, and ping
            and pong with their payloads.
        :returns: the handler, or the decorator.
        :raises ConfigurationError: there is no such event, or it cannot be called.
        """
        if handler is None:
            if event not in EVENTS:
                self._handlers.add(event, print)  # raises, naming the events there are
            return lambda decorated: self.on(event, decorated)
        self._add_handler(event, handler)
        return handler

    def _add_handler(self, event: str, handler: Callable[..., object]) -> None:
        if event == "data" and self._decoder is None:
            raise ConfigurationError("on_data needs decoder=, a function from payload to object")
        self._handlers.add(event, handler)

    # Sending.

    def send(
        self,
        data: Any,
        *,
        timeout: float | None = None,
        queue: bool = False,
        ttl: float | None = None,
    ) -> str:
        """Send one message.

        :param data: str is text, bytes are binary, dict and list become JSON.
        :param timeout: seconds; None takes ``send_timeout``. A message that the peer does not
            take in time ends the connection, since part of it may be out.
        :param queue: keep it while not connected, up to ``send_queue_size`` messages.
        :param ttl: seconds after which a queued message is forgotten; None: never.
        :returns: "sent" or "queued".
        :raises NotConnectedError: there is no connection, or the queue is full.
        :raises SendTimeoutError: the peer, or the send rate, did not let it out in time.
        :raises ConfigurationError: it is nothing that can be sent.
        """
        payload, text = encode_outgoing(data)
        check_seconds("timeout", timeout, exclusive=True, optional=True)
        check_seconds("ttl", ttl, optional=True)
        patience = self._config.send_timeout if timeout is None else timeout
        if not queue:
            self._send_now(payload, text=text, timeout=patience)
            return "sent"
        if self._may_overtake_queue():
            # Nothing has left when the gate is closed, so queueing cannot send it twice.
            with contextlib.suppress(GateClosedError):
                self._send_now(payload, text=text, timeout=patience)
                return "sent"
        self._enqueue(payload, text=text, ttl=ttl)
        return "queued"

    def _may_overtake_queue(self) -> bool:
        """Whether there is nothing that has to go out before."""
        life = self._life
        if life is None or not self.is_connected:
            return False
        return self._handlers.is_calling() or (life.has_greeted and not len(self._outbox))

    def _send_now(self, payload: bytes, *, text: bool, timeout: float) -> None:
        deadline = monotonic() + timeout
        life = self._life
        attempt = life.attempt if life is not None else None
        if attempt is None or not attempt.is_open:
            raise GateClosedError(f"not connected: {self._name} is {self._status.state}")
        if self._limiter is not None and not self._limiter.acquire(timeout=timeout):
            raise SendTimeoutError(
                f"nothing was sent: {self._limiter!r} let nothing out within {timeout:g} s"
            )
        attempt.send(payload, text=text, timeout=max(0.001, deadline - monotonic()))

    def _enqueue(self, payload: bytes, *, text: bool, ttl: float | None) -> None:
        now = monotonic()
        message = OutgoingMessage(payload, text, None if ttl is None else now + ttl)
        life = self._life
        if life is None or life.is_over:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        with self._status.changed:
            self._outbox.add(message, now=now)
            attempt = life.attempt
        if attempt is not None:
            attempt.wake()

    def request(
        self,
        payload: Any,
        *,
        timeout: float,
        match: Callable[[Message], object] | None = None,
    ) -> Any:
        """Send, and wait for the answer.

        :param payload: as for :meth:`send`.
        :param timeout: seconds for all of it.
        :param match: tells whether a message is the answer; runs on the calling thread.
        :returns: the decoded answer.
        :raises TimeoutError: no answer came in time.
        :raises NotConnectedError: not connected, or the link dropped meanwhile.
        """
        check_seconds("timeout", timeout, exclusive=True)
        check_callable("match", match)
        if match is None:
            raise ConfigurationError("request() needs match=, which tells the answer")
        life = self._life
        if life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        deadline = monotonic() + timeout
        waiter = life.delivery.wait_for_answers()
        try:
            self.send(payload, timeout=timeout)
            return self._await_answer(life, waiter, match, deadline, timeout)
        finally:
            life.delivery.stop_waiting(waiter)

    def _await_answer(
        self,
        life: Supervisor,
        waiter: queue.SimpleQueue[list[Payload] | None],
        match: Callable[[Message], object],
        deadline: float,
        timeout: float,
    ) -> Any:
        while True:
            try:
                batch = waiter.get(timeout=max(0.0, deadline - monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no answer to the request within {timeout:g} s") from None
            if batch is None:
                raise NotConnectedError("the connection ended before the answer came")
            for payload in batch:
                data = life.delivery.decode(payload)
                message = Message(
                    data=data,
                    received_at=wall_clock(),
                    connection=self._name,
                    generation=self.generation,
                    raw=data,
                )
                if match(message):
                    return data

    # Pulling.

    def recv(self, timeout: float | None = None) -> Payload:
        """Take the next message, over reconnects; only without on_message and on_data.

        :param timeout: seconds; None waits for ever.
        :raises TimeoutError: none came in time.
        :raises NotConnectedError: it is not running, or was stopped.
        :raises ConnectionFailedError: it was given up.
        """
        check_seconds("timeout", timeout, optional=True)
        if self._handlers.has("message") or self._handlers.has("data"):
            raise ConfigurationError("recv() is for connections without on_message and on_data")
        life = self._life
        if life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        payload = life.delivery.inbox.get(timeout)
        if payload is None:
            self._raise_if_failed()
            raise NotConnectedError(f"{self._name} was stopped")
        return payload

    def __iter__(self) -> Iterator[Payload]:
        """Iterate over messages, over reconnects, until it is stopped.

        :raises ConnectionFailedError: it was given up.
        """
        while True:
            try:
                yield self.recv()
            except NotConnectedError:
                return

    # Subscriptions belong to a venue.

    def subscribe(self, *topics: Any, handler: Callable[[Message], object] | None = None) -> None:
        """Subscribe topics of a venue.

        :raises ConfigurationError: there is no venue.
        """
        _refuse_topics(*topics, handler)

    def unsubscribe(self, *topics: Any) -> None:
        """Unsubscribe topics of a venue.

        :raises ConfigurationError: there is no venue.
        """
        _refuse_topics(*topics)

    def set_subscriptions(self, topics: Iterable[Any]) -> None:
        """Make these the topics that are wanted.

        :raises ConfigurationError: there is no venue.
        """
        _refuse_topics(topics)

    def add_pair(self, symbol: str) -> None:
        """Subscribe the configured channels of a symbol.

        :raises ConfigurationError: there is no venue.
        """
        _refuse_topics(symbol)

    def remove_pair(self, symbol: str) -> None:
        """Unsubscribe the configured channels of a symbol.

        :raises ConfigurationError: there is no venue.
        """
        _refuse_topics(symbol)

    def forget_after_fork(self) -> None:
        """In a child: let go of the parent's connection without touching it."""
        life, self._life = self._life, None
        self._status.forget_after_fork()
        self._dispatcher.forget_threads()
        if life is not None and life.attempt is not None:
            life.attempt.close_descriptors()


def connect(url: URL, **settings: Any) -> ResilientWebSocket:
    """Make a :class:`ResilientWebSocket` and start it.

    :param url: see there, like all other arguments.
    :returns: the started connection; it may not be connected yet.
    """
    return ResilientWebSocket(url, **settings).start()


def _configured(config: ConnectionConfig | None, settings: dict[str, Any]) -> ConnectionConfig:
    if config is not None and not isinstance(config, ConnectionConfig):
        raise ConfigurationError(f"config is {config!r:.60}; allowed: a ConnectionConfig, or None")
    merged = (config or ConnectionConfig()).replace(**settings)
    if merged.rotation == "make_before_break":
        _refuse_unavailable(**{"rotation='make_before_break'": True})
    return merged


def _checked_name(name: object) -> str | None:
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"name is {name!r:.60}; allowed: a str that is not empty, or None")
    return name


def _limiter(rate: Any) -> RateLimiter | None:
    return RateLimiter(rate) if isinstance(rate, (int, float)) else rate


def _refuse_unavailable(**arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None:
            raise ConfigurationError(f"{name} is not available in this version; leave it out")


def _refuse_topics(*wanted: object) -> NoReturn:
    raise ConfigurationError(
        f"{wanted!r:.80}: topics belong to a venue, and this connection has none"
    )
