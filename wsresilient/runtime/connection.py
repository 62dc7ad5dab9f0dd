"""ResilientWebSocket: what a user holds of one stream that stays up.

It takes the arguments apart; sending, asking and pulling is in ``messages.py``, the topics are in
``topics.py``, starting and stopping in ``lifecycle.py``, the reconnect loop in ``supervisor.py``,
the decisions in ``core/``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..config import ConnectionConfig, check_callable, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.credentials import Credentials
from ..core.endpoints import EndpointPolicy
from ..core.events import Message
from ..core.failure import Failure
from ..core.frames import Payload
from ..errors import ConfigurationError
from ..venues.base import Venue
from .arguments import (
    checked_dispatcher,
    checked_name,
    configured,
    make_subscriber,
    registry_of,
)
from .dispatcher import Dispatcher
from .handlers import EVENTS
from .messages import ConnectionMessages
from .options import ConnectionOptions
from .registry import register

__all__ = ["ResilientWebSocket", "connect"]

Headers = Mapping[str, str | None] | Callable[[], Mapping[str, str | None]] | None
URL = str | Sequence[str] | Callable[[], str | Sequence[str]]
HandlerT = TypeVar("HandlerT", bound=Callable[..., object])


class ResilientWebSocket(ConnectionMessages):
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
    :param connect_limiter: a :class:`~wsresilient.ConnectLimiter` or
        :class:`~wsresilient.RateLimiter`, the budget of connects that it shares with others:
        every attempt waits for its turn.
    :param decoder: ``(payload) -> object`` for on_data and request(); None: JSON for a venue.
    :param reconnect: when to try again; None: ``ReconnectPolicy()``.
    :param classify: ``(failure: Failure) -> Failure``, the last word on a failure. While a
        connection is replaced (``rotation="make_before_break"``) it may be asked on two threads.
    :param endpoint_policy: when one of several URLs is left alone for a while, and which is
        preferred; None: ``EndpointPolicy()``.
    :param message_key: ``(message: Message) -> hashable``, with rotation="make_before_break": by
        what the same message is known that comes over two connections, where the venue does not
        know. None: the venue's identity; without a venue the payload, as where it raises: its first
        error is told like that of a handler.
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
        message_key: Callable[[Message], Hashable] | None = None,
        config: ConnectionConfig | None = None,
        dispatcher: Dispatcher | None = None,
        monitor: Any = None,
        **settings: Any,
    ) -> None:
        check_callable("decoder", decoder)
        check_callable("message_key", message_key)
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
            message_key=message_key,
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
            life.links.wake()  # what waited to be pulled is for this handler


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
