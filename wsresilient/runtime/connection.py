"""ResilientWebSocket: what a user holds of one stream that stays up.

It sends, pulls and asks; the topics are in ``topics.py``, starting and stopping in
``lifecycle.py``, the reconnect loop in ``supervisor.py``, the decisions in ``core/``.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ..config import ConnectionConfig, check_callable, check_seconds, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.encoding import encode_outgoing
from ..core.endpoints import EndpointPolicy
from ..core.events import Message
from ..core.failure import Failure
from ..core.frames import Payload
from ..errors import ConfigurationError, NotConnectedError
from ..venues.base import Venue
from .arguments import (
    checked_dispatcher,
    checked_name,
    configured,
    make_subscriber,
    registry_of,
)
from .clock import monotonic, wall_clock
from .dispatcher import Dispatcher
from .handlers import EVENTS
from .options import ConnectionOptions
from .registry import register
from .sending import GateClosedError
from .topics import ConnectionTopics

__all__ = ["ResilientWebSocket", "connect"]

Headers = Mapping[str, str | None] | Callable[[], Mapping[str, str | None]] | None
URL = str | Sequence[str] | Callable[[], str | Sequence[str]]
HandlerT = TypeVar("HandlerT", bound=Callable[..., object])


class ResilientWebSocket(ConnectionTopics):
    """One WebSocket that is kept alive by a thread of its own.

    Nothing happens before :meth:`start`: the constructor does no I/O and starts no thread.
    All members may be used from any thread. Handlers run on the dispatcher's threads, one
    at a time, in the order of what happened.

    :param url: ``ws://`` or ``wss://``; several in failover order; or a callable returning
        either, called once per attempt on the connection's thread.
    :param name: its name in logs and in the monitor, without what looks like a secret when it
        is a URL; None: host and path.
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
    :param venue: the exchange (:mod:`wsresilient.venues`): topics, login, heartbeat, settings
        that suit it; ``url`` may be left out then.
    :param auth: Credentials, or a callable returning them, asked at every login.
    :param channels: what :meth:`add_pair` subscribes of a symbol.
    :param connect_limiter: a :class:`~wsresilient.ConnectLimiter`, the budget of connects that
        it shares with others: every attempt waits for its turn.
    :param decoder: ``(payload) -> object`` for on_data and request(); None: JSON for a venue.
    :param reconnect: when to try again; None: ``ReconnectPolicy()``.
    :param classify: ``(failure: Failure) -> Failure``, the last word on a failure.
    :param endpoint_policy: when one of several URLs is left alone for a while, and which is
        preferred; None: ``EndpointPolicy()``.
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
        venue: Venue | None = None,
        auth: Credentials | Callable[[], Credentials] | None = None,
        channels: Iterable[str] | None = None,
        connect_limiter: Any = None,
        decoder: Callable[[Payload], Any] | None = None,
        reconnect: ReconnectPolicy | None = None,
        classify: Callable[[Failure], Failure] | None = None,
        endpoint_policy: EndpointPolicy | None = None,
        config: ConnectionConfig | None = None,
        dispatcher: Dispatcher | None = None,
        monitor: Any = None,
        **settings: Any,
    ) -> None:
        check_callable("decoder", decoder)
        options = ConnectionOptions.checked(
            url=url,
            headers=headers,
            subprotocols=subprotocols,
            proxy=proxy,
            ssl_context=ssl_context,
            reconnect=reconnect,
            classify=classify,
            venue=venue,
            auth=auth,
            endpoint_policy=endpoint_policy,
            connect_limiter=connect_limiter,
        )
        checked = configured(config, settings, options, arguments=ARGUMENTS)
        super().__init__(
            name=checked_name(name) or options.default_name(),
            options=options,
            config=checked,
            decoder=decoder,
            dispatcher=checked_dispatcher(dispatcher),
            subscriber=make_subscriber(options, checked, channels),
        )
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
            check_callable("on_state_change" if event == "state" else f"on_{event}", handler)
            if handler is not None:
                self._add_handler(event, handler)
        self._registry = registry_of(monitor)
        register(self, self._registry)

    def start(self) -> ResilientWebSocket:
        """See :meth:`ConnectionLifecycle.start`."""
        register(self, self._registry)  # again, in a child after a fork
        return super().start()

    def forget_after_fork(self) -> None:
        """In a child: let go of the parent's connection without touching it."""
        self._registry.forget_threads()
        super().forget_after_fork()

    # Handlers.

    def on(self, event: str, handler: HandlerT | None = None) -> Any:
        """Add a handler; without one, a decorator: ``@ws.on("message")``.

        :param event: message, data, open, close, error, state, stats, gap, unrouted, and ping
            and pong with their payloads.
        :returns: the handler, or the decorator.
        :raises ConfigurationError: there is no such event, or it cannot be called.
        """
        if event not in EVENTS:
            if not isinstance(event, str):
                raise ConfigurationError("on() takes the name of an event: @ws.on('message')")
            raise unknown_name("event", event, EVENTS)
        if handler is None:
            return lambda decorated: self.on(event, decorated)
        self._add_handler(event, handler)
        return handler

    def _add_handler(self, event: str, handler: Callable[..., object]) -> None:
        if event == "data" and self._decoder is None and self._subscriber is None:
            raise ConfigurationError(
                "on_data needs venue=, or decoder=, a function from payload to object"
            )
        self._handlers.add(event, handler)
        life = self._life
        if life is not None and event in ("message", "data"):
            life.wake()  # what waited to be pulled is for this handler

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
            try:
                self._send_now(payload, text=text, timeout=patience)
            except GateClosedError as error:
                raise NotConnectedError(str(error)) from None
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
        return self._handlers.is_calling() or (life.has_greeted and not self._outgoing.waiting)

    def _send_now(self, payload: bytes, *, text: bool, timeout: float) -> None:
        life = self._life
        attempt = life.attempt if life is not None else None
        # An open gate is not enough: a login may be under way.
        if attempt is None or not attempt.is_open or not self.is_connected:
            raise GateClosedError(self._why_not_connected())
        self._outgoing.send(attempt, payload, text=text, timeout=timeout)

    def _why_not_connected(self) -> str:
        life = self._life
        if life is None or life.is_over:
            return f"not connected: {self._name} is {self._status.state}; call start()"
        return (
            f"not connected: {self._name} is {self._status.state}; wait_until_connected() waits "
            "for it, send(..., queue=True) keeps the message until then"
        )

    def _enqueue(self, payload: bytes, *, text: bool, ttl: float | None) -> None:
        self._outgoing.enqueue(payload, text=text, ttl=ttl)
        life = self._life
        if life is not None:
            life.flush_soon()

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
        :param match: tells whether a message is the answer; runs on the calling thread. None: the
            venue's rule, which compares ids; an id that is missing in the payload is added.
        :returns: the decoded answer.
        :raises TimeoutError: no answer came in time.
        :raises NotConnectedError: not connected, or the link dropped meanwhile.
        """
        check_seconds("timeout", timeout, exclusive=True)
        check_callable("match", match)
        request_id: Hashable = None
        if match is None:
            payload, request_id = self._with_id(payload)
        life = self._life
        if life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        if self._config.dispatch == "inline" and life.is_own_thread():
            raise ConfigurationError(
                "request() inside a handler with dispatch='inline' would wait for itself; allowed: "
                "dispatch='thread', or request() on another thread"
            )
        deadline = monotonic() + timeout
        answers = life.delivery.answers
        if match is None:
            with answers.waiting_for(request_id) as waiter:
                self.send(payload, timeout=timeout)
                return waiter.get(deadline)
        with answers.waiting() as looker:
            self.send(payload, timeout=timeout)
            for answer in looker.payloads(deadline):
                data = life.delivery.decode(answer)
                if match(self.message_of(answer) or self._answer_message(data)):
                    return data
        raise AssertionError("who looks at messages ends with an answer or an exception")

    def _answer_message(self, data: Any) -> Message:
        return Message(
            data=data,
            received_at=wall_clock(),
            connection=self._name,
            generation=self.generation,
            raw=data,
        )

    def _with_id(self, payload: Any) -> tuple[Any, Hashable]:
        """Give a request the id by which the venue will answer it."""
        venue = self._options.venue
        if venue is None or self._subscriber is None:
            raise ConfigurationError("request() needs match=, which tells the answer, or a venue")
        if not isinstance(payload, dict):
            raise ConfigurationError(
                f"request() without match= takes a dict, not a {type(payload).__name__}"
            )
        with self._subscriber.registry() as registry:
            number = registry.next_id()
        payload, request_id = venue.with_id(dict(payload), number)
        if request_id is None:
            raise ConfigurationError(
                f"{venue!r} answers without ids; request() needs match=, which tells the answer"
            )
        return payload, request_id

    # Pulling.

    def recv(self, timeout: float | None = None) -> Payload:
        """Take the next message, over reconnects; only without on_message and on_data.

        :param timeout: seconds; None waits for ever.
        :raises TimeoutError: none came in time.
        :raises NotConnectedError: it is not running, or was stopped.
        :raises ConnectionFailedError: it was given up.
        """
        check_seconds("timeout", timeout, optional=True)
        has_topics = self._router is not None and self._router.has_handlers
        if self._handlers.has("message") or self._handlers.has("data") or has_topics:
            raise ConfigurationError(
                "recv() is for connections without on_message, on_data and handlers of topics"
            )
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
        if self._life is None:
            raise NotConnectedError(f"{self._name} is {self._status.state}; call start()")
        while True:
            try:
                yield self.recv()
            except NotConnectedError:
                return


ARGUMENTS = tuple(
    name
    for name, parameter in inspect.signature(ResilientWebSocket.__init__).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
)


def connect(url: URL | None = None, **settings: Any) -> ResilientWebSocket:
    """Make a :class:`ResilientWebSocket` and start it.

    :param url: see there, like all other arguments; None: the venue's.
    :returns: the started connection; it may not be connected yet.
    """
    return ResilientWebSocket(url, **settings).start()
