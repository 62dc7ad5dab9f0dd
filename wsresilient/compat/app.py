"""``WebSocketApp`` as scripts know it: its callbacks and its ``run_forever``, on one connection.

It knows nothing of sockets; how arguments are translated is in ``arguments.py``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError, NotConnectedError
from ..runtime.connection import ResilientWebSocket
from ..runtime.dispatcher import CallingThreadDispatcher
from ..runtime.interrupts import Interrupts
from .arguments import (
    effective_ping_timeout,
    proxy_url,
    reconnect_policy,
    refuse,
    split_headers,
    ssl_context_of,
)

__all__ = ["ABNF", "WebSocketApp", "enableTrace"]

logger = logging.getLogger("wsresilient.compat")

Callback = Callable[..., object]


class ABNF:
    """The opcodes that scripts pass to ``send``; it refuses those of pings and pongs."""

    OPCODE_TEXT = 0x1
    OPCODE_BINARY = 0x2
    OPCODE_PING = 0x9
    OPCODE_PONG = 0xA


def enableTrace(traceable: bool, handler: logging.Handler | None = None) -> None:  # noqa: N802
    """Show what the library does: its log at DEBUG, on standard error. Never shows secrets."""
    root = logging.getLogger("wsresilient")
    root.setLevel(logging.DEBUG if traceable else logging.NOTSET)
    if traceable and not root.handlers:
        root.addHandler(handler or logging.StreamHandler())


@dataclass(frozen=True, slots=True)
class _Sock:
    """What is left of ``ws.sock``: scripts ask it whether it is connected."""

    connected: bool


class WebSocketApp:
    """websocket-client's class on this library's engine.

    run_forever() returns when the connection ends, unless ``reconnect=N`` is given, which
    reconnects with backoff. Errors are this library's: NotConnectedError for a closed
    connection, ConfigurationError for wrong ping values and other wrong arguments.

    :param url: ``ws://`` or ``wss://``.
    :param header: list of "Name: value", mapping, or a callable returning either.
    :param on_open: ``(ws)``; on_reconnect takes its place at a reconnect, where it is given.
    :param on_message: ``(ws, message)``; on_data ``(ws, message, opcode, True)`` comes before it.
    :param on_error: ``(ws, error)``.
    :param on_close: ``(ws, code, reason)``, both None where there was no close frame; once, too,
        at the end of a run_forever() in which no connection opened.
    :param on_ping: ``(ws, payload)``; on_pong the same.
    :param cookie: value of a Cookie header.
    :param subprotocols: offered ones.
    :raises ConfigurationError: an argument is wrong, or asks for what this engine does itself.
    """

    def __init__(
        self,
        url: str,
        header: Any = None,
        on_open: Callback | None = None,
        on_reconnect: Callback | None = None,
        on_message: Callback | None = None,
        on_error: Callback | None = None,
        on_close: Callback | None = None,
        on_ping: Callback | None = None,
        on_pong: Callback | None = None,
        on_cont_message: Callback | None = None,
        keep_running: bool = True,  # noqa: ARG002 - obsolete there, ignored here
        get_mask_key: Callback | None = None,
        cookie: str | None = None,
        subprotocols: Sequence[str] | None = None,
        on_data: Callback | None = None,
        socket: Any = None,
    ) -> None:
        refuse(on_cont_message=on_cont_message, get_mask_key=get_mask_key, socket=socket)
        self.url = url
        self.header = header
        self.cookie = cookie
        self.subprotocols = subprotocols
        self.on_open = on_open
        self.on_reconnect = on_reconnect
        self.on_message = on_message
        self.on_data = on_data
        self.on_error = on_error
        self.on_close = on_close
        self.on_ping = on_ping
        self.on_pong = on_pong
        self.has_errored = False
        self._told_close = False
        self._connection: ResilientWebSocket | None = None

    def __repr__(self) -> str:
        return f"<WebSocketApp on {self._connection!r}>"

    def run_forever(
        self,
        sockopt: Any = None,
        sslopt: Mapping[str, Any] | None = None,
        ping_interval: float = 0,
        ping_timeout: float | None = None,
        ping_payload: str = "",
        http_proxy_host: str | None = None,
        http_proxy_port: int | str | None = None,
        http_no_proxy: list[str] | None = None,
        http_proxy_auth: tuple[str, str] | None = None,
        http_proxy_timeout: float | None = None,
        skip_utf8_validation: bool = False,  # noqa: ARG002 - costs nothing here, so it is done
        host: str | None = None,
        origin: str | None = None,
        dispatcher: Any = None,
        suppress_origin: bool = False,
        suppress_host: bool = False,
        proxy_type: str | None = None,
        reconnect: float | None = None,
    ) -> bool:
        """Connect and stay until the connection ends, or, with ``reconnect``, until close().

        With ``reconnect`` it also ends where trying again cannot help: refused credentials, a
        refused certificate, an address that is no WebSocket.

        :param sslopt: cert_reqs, check_hostname, ca_certs, ca_cert_path, certfile, keyfile,
            password, ciphers, context.
        :param ping_interval: seconds; 0: no pings.
        :param ping_timeout: seconds, less than ping_interval; None: half of it.
        :param reconnect: seconds before the first retry, times a random factor; they double from
            retry to retry. None or 0: none.
        :returns: whether a connection or an attempt failed; errors of callbacks do not count.
        :raises ConfigurationError: an argument is wrong.
        """
        refuse(dispatcher=dispatcher, ping_payload=ping_payload, suppress_host=suppress_host)
        refuse(http_no_proxy=http_no_proxy)
        if http_proxy_timeout:
            logger.warning("http_proxy_timeout is ignored: open_timeout covers the proxy too")
        if sockopt:
            logger.warning("sockopt is ignored: TCP_NODELAY and keep-alive are set anyway")
        if self._connection is not None:
            raise ConfigurationError("run_forever() is running already; use another WebSocketApp")
        here = CallingThreadDispatcher()

        def headers() -> dict[str, str | None]:
            return self._headers(host, origin, suppress_origin=suppress_origin)

        connection = ResilientWebSocket(
            self.url,
            # Only a callable could give other credentials after a 401.
            headers=headers if callable(self.header) else headers(),
            subprotocols=self.subprotocols,
            proxy=proxy_url(http_proxy_host, http_proxy_port, http_proxy_auth, proxy_type),
            ssl_context=ssl_context_of(sslopt),
            ping_interval=ping_interval,
            ping_timeout=effective_ping_timeout(ping_interval, ping_timeout),
            stale_after=None,
            max_age=None,
            reconnect=reconnect_policy(reconnect),
            dispatcher=here,
        )
        return self._run(connection, here)

    def _run(self, connection: ResilientWebSocket, here: CallingThreadDispatcher) -> bool:
        interrupts = Interrupts(here.wake)
        self._attach(connection, interrupts)
        self.has_errored = self._told_close = False
        self._connection = connection
        try:
            with interrupts:
                self._serve(connection, here, interrupts)
        finally:
            connection.stop()
            self._connection = None
        self.has_errored = _has_failed(connection)
        return self.has_errored

    def _serve(
        self,
        connection: ResilientWebSocket,
        here: CallingThreadDispatcher,
        interrupts: Interrupts,
    ) -> None:
        try:
            connection.start()
            here.serve_until(lambda: interrupts.was_noted or not connection.is_running)
        except KeyboardInterrupt:  # from a signal handler of the user's
            interrupts.was_noted = True
        if interrupts.was_noted:
            connection.request_stop("interrupted")
            here.serve_until(lambda: not connection.is_running)
        if not self._told_close:  # no connection opened
            connection._handlers.call("close", None, "")

    def _attach(self, connection: ResilientWebSocket, interrupts: Interrupts) -> None:
        """Call the callbacks as they are at the time: scripts assign them late."""
        calling = functools.partial(self._calling, interrupts)
        connection.on("message", calling(self._data))  # before on_message
        connection.on("message", calling(lambda payload: (self.on_message, payload)))
        connection.on("open", calling(self._opened))
        connection.on("error", calling(lambda error: self._failed(connection, error)))
        connection.on("close", calling(self._closed))
        connection.on("ping", calling(lambda payload: (self.on_ping, payload)))
        connection.on("pong", calling(lambda payload: (self.on_pong, payload)))

    def _calling(self, interrupts: Interrupts, choose: Callable[..., tuple[Any, ...]]) -> Callback:
        """Make a handler of what chooses a callback and its arguments."""

        def call(*args: object) -> None:
            callback: Any = choose
            try:
                callback, *rest = choose(*args)
                if callback is not None:
                    interrupts.call(callback, self, *rest)
            except KeyboardInterrupt:  # Ctrl-C while it ran on the main thread: end as ever
                self.close()
            except BaseException:
                # The log is to name the user's function.
                call.__qualname__ = getattr(callback, "__qualname__", type(callback).__qualname__)
                raise

        return call

    def _data(self, payload: str | bytes) -> tuple[Any, ...]:
        opcode = ABNF.OPCODE_TEXT if isinstance(payload, str) else ABNF.OPCODE_BINARY
        return self.on_data, payload, opcode, True

    def _opened(self, connection: ResilientWebSocket) -> tuple[Any, ...]:
        again = connection.get_stats()["reconnect_count"] > 0
        return (self.on_reconnect if again and self.on_reconnect else self.on_open,)

    def _failed(self, connection: ResilientWebSocket, error: Exception) -> tuple[Any, ...]:
        self.has_errored = _has_failed(connection)
        return self.on_error, error

    def _closed(self, code: int | None, reason: str) -> tuple[Any, ...]:
        self._told_close = True
        return self.on_close, code, None if code is None else reason or None

    def _headers(
        self, host: str | None, origin: str | None, *, suppress_origin: bool
    ) -> dict[str, str | None]:
        given = self.header() if callable(self.header) else self.header
        headers = dict(given) if isinstance(given, Mapping) else split_headers(given or ())
        if self.cookie:
            headers["Cookie"] = self.cookie
        if host:
            headers["Host"] = host
        if origin or suppress_origin:
            headers["Origin"] = None if suppress_origin else origin
        return headers

    def send(self, data: Any, opcode: int = ABNF.OPCODE_TEXT) -> None:
        """Send a message.

        :param opcode: OPCODE_TEXT or OPCODE_BINARY.
        :raises NotConnectedError: there is no connection.
        :raises ConfigurationError: another opcode; pings are sent by ``ping_interval``.
        """
        if opcode in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
            raise ConfigurationError(
                f"opcode is {opcode!r}, a ping or pong; pings are sent by ping_interval= of "
                "run_forever(), and pongs answer the server's pings by themselves"
            )
        if opcode not in (ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY):
            raise ConfigurationError(f"opcode is {opcode!r}; allowed: OPCODE_TEXT, OPCODE_BINARY")
        if opcode == ABNF.OPCODE_TEXT:
            data = data if isinstance(data, str) else str(data, "utf-8")
        else:
            data = data.encode("utf-8") if isinstance(data, str) else data
        connection = self._connection
        if connection is None:
            raise NotConnectedError("run_forever() is not running")
        connection.send(data)

    def send_text(self, text_data: str) -> None:
        """Send text; see :meth:`send`."""
        self.send(text_data)

    def send_bytes(self, data: bytes) -> None:
        """Send binary data; see :meth:`send`."""
        self.send(data, ABNF.OPCODE_BINARY)

    def close(self, **_arguments: Any) -> None:
        """End the connection and run_forever(); from any thread, also from a callback."""
        connection = self._connection
        if connection is not None:
            connection.request_stop("close() was called")

    @property
    def keep_running(self) -> bool:
        """Whether run_forever() is running; setting it to False ends it."""
        return self._connection is not None

    @keep_running.setter
    def keep_running(self, value: bool) -> None:
        if not value:
            self.close()

    @property
    def sock(self) -> _Sock | None:
        """Something with ``connected``, or None."""
        connection = self._connection
        return None if connection is None else _Sock(connected=connection.is_connected)

    def ready(self) -> bool:
        """Whether messages can be sent."""
        return self.sock is not None and self.sock.connected


def _has_failed(connection: ResilientWebSocket) -> bool:
    return bool(connection.get_stats()["error_count"])
