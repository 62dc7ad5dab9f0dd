"""One attempt: one socket, one ``WebSocketApp``, one ``run_forever``, and its end.

The only module that imports websocket-client, which does the handshake's request, masking,
pings (from its ping thread) and pongs. The loop that reads is ours: ``create_dispatcher``
is overridden, data frames go through ``core/frames.py``, only pings and pongs go through
websocket-client. It does not know what a reconnect is.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import websocket
from websocket import ABNF

from ..config import ConnectionConfig
from ..core.deflate import MessageDeflater, MessageInflater, offer
from ..core.failure import Failure, classify
from ..core.frames import FrameParser
from ..core.proxies import ProxyURL
from ..core.redact import Redactor, shorten
from ..core.urls import WebSocketURL
from ..errors import (
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    WSResilientError,
    as_exception,
    describe,
)
from .clock import monotonic
from .ending import Ending
from .logs import Log
from .opener import InterruptedOpenError, open_stream
from .prepared_socket import PreparedSocket
from .reading import ReadHooks, ReadLoop
from .sending import FrameSender
from .wire import Stream, Waker

__all__ = ["Attempt", "AttemptHooks", "AttemptRequest"]

log = Log("wsresilient.transport")

_ours = threading.local()


def _not_ours(_record: logging.LogRecord) -> bool:
    """Let websocket-client log for others in this process, but not for our connections.

    Its lines repeat headers and bodies with their secrets; ours say the same without.
    """
    return not getattr(_ours, "attempt", False)


logging.getLogger("websocket").addFilter(_not_ours)


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """What one attempt needs to know; made anew for each.

    :ivar url: where to.
    :ivar headers: additional ones for the handshake; None suppresses one.
    :ivar subprotocols: offered ones.
    :ivar proxy: to go through, or None.
    :ivar ssl_context: None takes the system's certificates.
    :ivar redact: hides this attempt's secrets.
    """

    url: WebSocketURL
    headers: Mapping[str, str | None]
    subprotocols: Sequence[str]
    proxy: ProxyURL | None
    ssl_context: Any
    redact: Redactor


class AttemptHooks(ReadHooks, Protocol):
    """What an attempt tells its connection, on the connection's thread."""

    def opened(self) -> None:
        """The handshake is done; sending is possible."""

    def control(self, event: str, payload: bytes) -> None:
        """A "ping" (answered already) or a "pong"."""

    def interrupted(self) -> None:
        """The attempt is to end; from any thread. Whatever holds the reader up lets it go."""


def build_frame(opcode: int, payload: bytes, compressed: bool) -> bytes:
    """Build one masked frame (RFC 6455 section 5.2), RSV1 set where it is compressed."""
    return ABNF(1, int(compressed), 0, 0, opcode, 1, payload).format()


class _App(websocket.WebSocketApp):
    """WebSocketApp with our loop in place of its own."""

    attempt: Attempt

    def create_dispatcher(self, *_args: Any, **_kwargs: Any) -> Any:
        """Return the object that owns the loop and the sending."""
        return _Loop(self.attempt)


class _Loop:
    """What websocket-client calls its dispatcher."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def read(self, _sock: Any, read_callback: Callable[[], bool], _check: Any) -> None:
        # _check compares wall clocks, so a clock step would kill a healthy link; see ReadLoop.
        self._attempt.read_until_end(read_callback)

    def send(self, _sock: Any, data: bytes) -> int:
        self._attempt.sender.send_frame(data)
        return len(data)


class Attempt:
    """One attempt at a connection, from the name to the last byte.

    :param request: where to and with what.
    :param config: deadlines and limits.
    :param hooks: who is told.

    :meth:`run` belongs to the connection's thread; :meth:`interrupt`, :meth:`send`,
    :meth:`cut` and the attributes may be used from any thread.
    """

    def __init__(
        self, request: AttemptRequest, config: ConnectionConfig, hooks: AttemptHooks
    ) -> None:
        self._request = request
        self._config = config
        self._hooks = hooks
        self._waker = Waker()
        self._ending = Ending()
        self._stream: Stream | None = None
        self._socket: PreparedSocket | None = None
        self._app: _App | None = None
        self._loop: ReadLoop | None = None
        self._error: Exception | None = None
        self._lock = threading.RLock()  # guards the gate of the sender against interrupt()
        self.sender = FrameSender(config, build_frame, self._send_timed_out, self.wake)
        #: Monotonic time by which the present phase must be over, for the watchdog; or None.
        self.deadline: float | None = monotonic() + config.open_timeout
        self.opened_at: float | None = None
        self.address: str | None = None

    # From any thread.

    @property
    def recorded(self) -> Failure | None:
        """Why it was ended, where somebody ended it."""
        return self._ending.recorded

    @property
    def location(self) -> str:
        """The URL, with its secrets."""
        return self._request.url.location

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self.sender.gate_open

    @property
    def subprotocol(self) -> str | None:
        """What the server chose, or None."""
        return self._socket.subprotocol if self._socket is not None else None

    @property
    def bytes_received(self) -> int:
        """Bytes since the handshake."""
        return self._loop.bytes_received if self._loop is not None else 0

    @property
    def last_received_at(self) -> float:
        """Monotonic time of the latest byte, or of the handshake's end."""
        return self._loop.last_received_at if self._loop is not None else 0.0

    @property
    def ping_rtt(self) -> float | None:
        """Seconds that the latest pong took, or None."""
        return self._loop.ping_rtt if self._loop is not None else None

    @property
    def close_code(self) -> int | None:
        """Of the close frame that ended it, theirs or ours, or None."""
        return self._loop.close_code if self._loop is not None else None

    @property
    def close_reason(self) -> str:
        """Of the server's close frame, redacted, or ""."""
        return self._loop.close_reason if self._loop is not None else ""

    def interrupt(self, reason: Failure, *, graceful: bool) -> bool:
        """Record why the attempt ends, then end it. The first reason wins.

        :param graceful: whether an open connection says goodbye with a close frame first.
        :returns: whether this reason was the first.
        """
        with self._lock:
            graceful = graceful and self.sender.gate_open
            first = self._ending.record(reason, graceful=graceful)
            if first and graceful:
                self.deadline = monotonic() + self._config.close_timeout
            self.sender.gate_open = False
        self._hooks.interrupted()
        if first and not graceful:
            self.cut()
        self._waker.wake()
        return first

    def _send_timed_out(self, error: Exception) -> None:
        # Part of the frame may be out, so nothing that follows could be understood.
        self.interrupt(classify(error), graceful=False)
        self.cut()

    def wake(self) -> None:
        """Make the loop look around, if it is running: while opening, a wake-up means: give up."""
        if self.sender.gate_open:
            self._waker.wake()

    def cut(self) -> None:
        """Shut the raw socket down, which wakes whoever waits on it."""
        stream = self._stream
        if stream is not None:
            stream.cut()
        self._waker.wake()

    def close_descriptors(self) -> None:
        """Close the descriptors and nothing else: for a child after a fork."""
        if self._stream is not None:
            self._stream.close()
        self._waker.forget_after_fork()

    # On the connection's thread.

    def run(self) -> Exception | None:
        """Open, read until the end, close.

        :returns: what ended it, translated, or None for an end that we wanted. The reason
            in :attr:`recorded`, if any, takes precedence.
        """
        _ours.attempt = True
        try:
            self._open()
            self._run_app()
        except Exception as error:
            self._error = self._error or error
        finally:
            self._finish()
        if self._socket is not None and self._socket.error is not None:
            return self._socket.error
        return self._translated(self._error)

    def _open(self) -> None:
        assert self.deadline is not None
        request, config = self._request, self._config
        opened = open_stream(
            request.url,
            proxy=request.proxy,
            ssl_context=request.ssl_context,
            deadline=self.deadline,
            waker=self._waker,
            user_timeout=max(config.send_timeout, config.ping_timeout),
        )
        self._stream, self.address = opened.stream, opened.address
        self.sender.stream = opened.stream
        if self.recorded is not None:
            raise InterruptedOpenError("given up before the handshake")
        self._socket = PreparedSocket(
            opened.stream,
            deadline=self.deadline,
            waker=self._waker,
            redact=request.redact,
            subprotocols=request.subprotocols,
            compression=config.compression is not None,
        )

    def _run_app(self) -> None:
        request, config = self._request, self._config
        headers = {name.lower(): value for name, value in request.headers.items()}
        lines = [
            f"{name}: {value}"
            for name, value in request.headers.items()
            if value is not None and name.lower() not in ("host", "origin")
        ]
        if request.subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(request.subprotocols)}")
        if config.compression is not None:
            lines.append(f"Sec-WebSocket-Extensions: {offer()}")
        self._app = _App(
            request.url.location,
            header=lines,
            on_open=self._on_open,
            on_ping=self._on_ping,
            on_pong=self._on_pong,
            on_error=self._on_error,
            socket=cast("Any", self._socket),  # it has the methods that are called
        )
        self._app.attempt = self
        self._app.run_forever(
            ping_interval=config.ping_interval,
            ping_timeout=config.ping_timeout if config.ping_interval else None,
            skip_utf8_validation=True,
            host=headers.get("host") or request.url.host_header,
            origin=headers.get("origin", request.url.origin),
            suppress_origin="origin" in headers and headers["origin"] is None,
        )

    def _on_error(self, _app: Any, error: Exception) -> None:
        self._error = self._error or error

    def _on_open(self, _app: Any) -> None:
        assert self._socket is not None and self._stream is not None
        inflater = None
        if self._socket.deflate is not None:
            inflater = MessageInflater(self._socket.deflate)
            self.sender.deflater = MessageDeflater(self._socket.deflate)
        self._loop = ReadLoop(
            stream=self._stream,
            parser=FrameParser(
                max_size=self._config.max_size,
                inflater=inflater,
            ),
            sender=self.sender,
            ending=self._ending,
            waker=self._waker,
            config=self._config,
            hooks=self._hooks,
            build_frame=build_frame,
            redact=self._request.redact,
        )
        with self._lock:
            if self._ending.recorded is not None:
                self._loop = None  # ended while it was opening: it never was a connection
                return
            self.deadline = None
            self.opened_at = monotonic()
            self.sender.gate_open = True
        try:
            self._hooks.opened()
        except BaseException as error:  # websocket-client would swallow it, and nothing would end
            self.interrupt(classify(as_exception(error, "the venue")), graceful=True)

    def _on_ping(self, _app: Any, payload: bytes) -> None:
        self._hooks.control("ping", payload)

    def _on_pong(self, _app: Any, payload: bytes) -> None:
        if self._loop is not None:
            self._loop.pong_came()
        self._hooks.control("pong", payload)

    def read_until_end(self, read_callback: Callable[[], bool]) -> None:
        """Read until the connection ends; see :meth:`ReadLoop.run`.

        :param read_callback: makes websocket-client read one control frame.
        """
        prepared, loop = self._socket, self._loop
        if prepared is None or loop is None:
            return

        def answer(frame: bytes) -> None:
            prepared.load(frame)
            read_callback()

        try:
            # The handshake leaves bytes that came with it; polling first would hang the stream.
            loop.run(prepared.take_leftover(), answer)
        finally:
            # websocket-client has nothing left to say; its ping thread must not be held up.
            if self._app is not None and self._app.sock is not None:
                self._app.sock.connected = False
            self.cut()

    def _finish(self) -> None:
        with self._lock:
            self.sender.gate_open = False
            self.deadline = None
        if self._stream is not None:
            self._stream.cut()
            self._stream.close()
        self._waker.close()

    def _translated(self, error: Exception | None) -> Exception | None:
        """Translate what came out of websocket-client and the socket; the one place for it."""
        if error is None or isinstance(error, WSResilientError):
            return error
        text = self._request.redact(describe(error))
        if not isinstance(error, (OSError, websocket.WebSocketException)):
            # A bug of the library, or of what it calls: it is retried, but not in silence.
            trace = "".join(traceback.format_exception(error))
            log.error("an unexpected error ended an attempt:\n%s", self._request.redact(trace))
        if self.opened_at is None:
            if isinstance(error, websocket.WebSocketException):
                return HandshakeError(shorten(text))
            return ConnectError(text)
        lost = ConnectionLostError(text)
        if isinstance(error, OSError):
            lost.__cause__ = error
        return lost
