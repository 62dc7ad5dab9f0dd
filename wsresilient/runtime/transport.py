"""One attempt: one socket, one ``WebSocketApp``, one ``run_forever``, and its end.

The only module that imports websocket-client, which does the handshake's request, masking,
pings (from its ping thread) and pongs. The loop that reads is ours: ``create_dispatcher``
is overridden, data frames go through ``core/frames.py``, only pings and pongs go through
websocket-client. It does not know what a reconnect is.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import websocket
from websocket import ABNF

from ..config import ConnectionConfig
from ..core.closing import ClosedByUs, close_text, eof_error, protocol_close_reason
from ..core.deflate import MessageDeflater, MessageInflater, offer
from ..core.failure import Failure, classify
from ..core.frames import CLOSE, PING, ControlFrame, FrameParser, Payload
from ..core.proxies import ProxyURL
from ..core.redact import Redactor, shorten
from ..core.urls import WebSocketURL
from ..errors import (
    ConnectError,
    ConnectionLostError,
    HandshakeError,
    NotConnectedError,
    PingTimeoutError,
    ProtocolError,
    SendTimeoutError,
    WSResilientError,
    describe,
)
from .clock import monotonic
from .opener import InterruptedOpenError, open_stream
from .prepared_socket import PreparedSocket
from .wire import READ, READ_SIZE, Stream, Waker, WouldBlock, new_selector, wait

__all__ = ["Attempt", "AttemptHooks", "AttemptRequest", "GateClosedError"]

#: The loop looks at its deadlines at least so often, whatever the traffic.
TICK = 1.0
#: After a read of at least so much, more is likely to be there: read again without asking.
BUSY = 16 * 1024
#: Seconds that the peer gets to read our close frame before the socket is closed under it.
LINGER = 1.0

_ours = threading.local()


def _not_ours(_record: logging.LogRecord) -> bool:
    """Let websocket-client log for others in this process, but not for our connections.

    Its lines repeat headers and bodies with their secrets; ours say the same without.
    """
    return not getattr(_ours, "attempt", False)


logging.getLogger("websocket").addFilter(_not_ours)


class GateClosedError(NotConnectedError):
    """Nothing was sent, since the connection is not open: it is safe to queue the message."""


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


class AttemptHooks(Protocol):
    """What an attempt tells its connection, on the connection's thread."""

    def opened(self) -> None:
        """The handshake is done; sending is possible."""

    def deliver(self, messages: list[Payload], size: int) -> None:
        """Complete messages of one read; ``size`` is how many bytes that read had."""

    def control(self, event: str, payload: bytes) -> None:
        """A "ping" (answered already) or a "pong"."""

    def tick(self, now: float) -> float:
        """About once a second, and whenever the waker was woken.

        :returns: seconds after which it would like to be called again, if that is sooner.
        """


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
        # _check compares wall clocks, so a clock step would kill a healthy link; see _check_ping.
        self._attempt.read_until_end(read_callback)

    def send(self, _sock: Any, data: bytes) -> int:
        return self._attempt.send_frame(data)


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
        self._stream: Stream | None = None
        self._socket: PreparedSocket | None = None
        self._app: _App | None = None
        self._parser: FrameParser | None = None
        self._deflater: MessageDeflater | None = None
        self._lock = threading.Lock()  # guards recorded, _graceful and the gate _can_send
        self._can_send = False
        self._graceful = False
        self.recorded: Failure | None = None
        # Held while one frame is sent, always with a deadline; see send_frame.
        self._send_lock = threading.Lock()
        self._error: Exception | None = None
        self._close_by: float | None = None
        self._pings: deque[float] = deque(maxlen=1000)  # appended by the ping thread
        self.deadline: float | None = monotonic() + config.open_timeout
        self.sending_since: float | None = None
        self.opened_at: float | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self.address: str | None = None
        self.bytes_received = 0
        self.last_received_at = monotonic()
        self.ping_rtt: float | None = None

    # From any thread.

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._can_send

    @property
    def subprotocol(self) -> str | None:
        """What the server chose, or None."""
        return self._socket.subprotocol if self._socket is not None else None

    def interrupt(self, reason: Failure, *, graceful: bool) -> bool:
        """Record why the attempt ends, then end it. The first reason wins.

        :param graceful: whether an open connection says goodbye with a close frame first.
        :returns: whether this reason was the first.
        """
        with self._lock:
            first = self.recorded is None
            if first:
                self.recorded = reason
                self._graceful = graceful and self._can_send
                if self._graceful:
                    self.deadline = monotonic() + self._config.close_timeout
            # The only way for a connection that is being cut is out; nothing is sent any more.
            self._can_send = False
        if first and not self._graceful:
            self.cut()
        self.wake()
        return first

    def wake(self) -> None:
        """Make the loop look around."""
        self._waker.wake()

    def cut(self) -> None:
        """Shut the raw socket down, which wakes whoever waits on it."""
        stream = self._stream
        if stream is not None:
            stream.cut()
        self.wake()

    def send(self, payload: bytes, *, text: bool, timeout: float) -> None:
        """Send one message.

        :param payload: UTF-8 where ``text``.
        :param timeout: seconds; a message that is not taken in time ends the connection.
        :raises NotConnectedError: there is no open connection.
        :raises SendTimeoutError: the peer did not take it in time.
        """
        deadline = monotonic() + timeout
        opcode = ABNF.OPCODE_TEXT if text else ABNF.OPCODE_BINARY
        if self._deflater is not None:
            # Compressing keeps a context, so order of compression is order of sending.
            self._send_compressed(self._deflater, payload, opcode, deadline)
        else:
            frame = ABNF.create_frame(payload, opcode).format()
            self.send_frame(frame, deadline=deadline, gated=True)

    def _send_compressed(
        self, deflater: MessageDeflater, payload: bytes, opcode: int, deadline: float
    ) -> None:
        self._acquire_send_lock(deadline)
        try:
            self._check_gate()
            deflated = deflater.deflate(payload)
            if deflated is None:
                frame = ABNF.create_frame(payload, opcode).format()
            else:
                frame = ABNF(1, 1, 0, 0, opcode, 1, deflated).format()
            self._send_locked(frame, deadline)
        finally:
            self._send_lock.release()

    def send_frame(
        self, frame: bytes, *, deadline: float | None = None, gated: bool = False
    ) -> int:
        """Send one masked frame; websocket-client's pings and pongs come here too.

        :param gated: refuse when the connection is not open for messages.
        """
        if frame[0] & 0x0F == PING:
            self._pings.append(monotonic())
        if deadline is None:
            deadline = monotonic() + self._config.send_timeout
        self._acquire_send_lock(deadline)
        try:
            if gated:
                self._check_gate()
            self._send_locked(frame, deadline)
        finally:
            self._send_lock.release()
        return len(frame)

    def _acquire_send_lock(self, deadline: float) -> None:
        if not self._send_lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise SendTimeoutError(
                "nothing was sent: an earlier send held the connection for the whole timeout"
            )

    def _check_gate(self) -> None:
        if not self._can_send:
            raise GateClosedError("not connected: the connection is closing or closed")

    def _send_locked(self, frame: bytes, deadline: float) -> None:
        """Send while holding _send_lock."""
        stream = self._stream
        if stream is None:
            raise NotConnectedError("not connected: there is no socket yet")
        self.sending_since = monotonic()
        try:
            stream.send(frame, deadline=deadline)
        except SendTimeoutError as error:
            # Part of the frame may be out, so nothing that follows could be understood.
            self.interrupt(classify(error), graceful=False)
            raise
        except OSError as error:
            raise NotConnectedError(
                f"the connection was lost while sending: {describe(error)}"
            ) from error
        finally:
            self.sending_since = None

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
        assert self._socket is not None
        inflater = None
        if self._socket.deflate is not None:
            inflater = MessageInflater(self._socket.deflate)
            self._deflater = MessageDeflater(self._socket.deflate)
        self._parser = FrameParser(max_size=self._config.max_size, inflater=inflater)
        now = monotonic()
        with self._lock:
            self.deadline = None
            self.opened_at = self.last_received_at = now
            self._can_send = self.recorded is None
        self._hooks.opened()

    def _on_ping(self, _app: Any, payload: bytes) -> None:
        self._hooks.control("ping", payload)

    def _on_pong(self, _app: Any, payload: bytes) -> None:
        if self._pings:
            self.ping_rtt = monotonic() - self._pings[-1]
            self._pings.clear()
        self._hooks.control("pong", payload)

    def read_until_end(self, read_callback: Callable[[], bool]) -> None:
        """Read until the connection ends; always ends with an exception or by our close.

        :param read_callback: makes websocket-client read one control frame.
        """
        try:
            self._read(read_callback)
        except ClosedByUs:
            self._linger()
        except ProtocolError as error:
            self._say_goodbye(error.close_code or 1002, protocol_close_reason(error))
            self.close_code = error.close_code
            self._linger()
            raise
        finally:
            with self._lock:
                self._can_send = False
            # websocket-client has nothing left to say; its ping thread must not be held up.
            if self._app is not None and self._app.sock is not None:
                self._app.sock.connected = False
            self.cut()

    def _read(self, read_callback: Callable[[], bool]) -> None:
        assert self._stream is not None and self._socket is not None
        receive = self._stream.receive
        # The handshake leaves bytes that came with it; polling first would hang the stream.
        chunk = self._socket.take_leftover()
        # What TLS has decrypted already, no selector sees: read once before the first wait.
        busy = True
        next_tick = 0.0
        with new_selector() as selector:
            selector.register(self._stream.raw, READ)
            selector.register(self._waker, READ)
            while True:
                now = monotonic()
                if chunk:
                    self.last_received_at = now
                    self.bytes_received += len(chunk)
                    self._take(chunk, read_callback)
                if now >= next_tick or self.recorded is not None:
                    self._check_closing(now)
                    next_tick = now + min(TICK, self._hooks.tick(now))
                busy = busy or len(chunk) >= BUSY
                chunk = b""  # before the next read, which then gets the same warm memory
                if not busy:
                    ready = selector.select(self._patience(monotonic(), next_tick))
                    if any(key.fileobj is self._waker for key, _ in ready):
                        self._waker.drain()
                        next_tick = 0.0
                    elif not ready:
                        self._check_ping(monotonic())
                        next_tick = 0.0
                        continue
                busy = False
                try:
                    chunk = receive(READ_SIZE)
                except WouldBlock:
                    continue
                if not chunk:
                    raise eof_error(self._parser)

    def _take(self, chunk: bytes, read_callback: Callable[[], bool]) -> None:
        """Parse what was read; messages and control frames keep their order."""
        parser = self._parser
        assert parser is not None
        messages = parser.feed(chunk)
        size = len(chunk)
        while True:
            if messages:
                self._hooks.deliver(messages, size)
                size = 0
            control = parser.control
            if control is None:
                break
            self._take_control(control, read_callback)
            messages = parser.feed(b"")
        if parser.failure is not None:
            raise parser.failure

    def _take_control(self, frame: ControlFrame, read_callback: Callable[[], bool]) -> None:
        if frame.opcode != CLOSE:
            assert self._socket is not None
            self._socket.load(frame.raw)
            read_callback()
            return
        self.close_code = frame.close_code
        self.close_reason = shorten(self._request.redact(frame.close_reason), 125)
        if self._close_by is not None:
            raise ClosedByUs
        self._say_goodbye(frame.close_code, "")
        self._linger()
        raise ConnectionLostError(
            close_text(self.close_code, self.close_reason),
            close_code=self.close_code,
            reason=self.close_reason,
        )

    def _patience(self, now: float, next_tick: float) -> float:
        """Seconds to wait for bytes before the deadlines are looked at."""
        until = max(next_tick, now)
        if self._close_by is not None:
            until = min(until, self._close_by)
        if self._pings:
            until = min(until, self._ping_deadline())
        return max(0.0, until - now)

    def _ping_deadline(self) -> float:
        # Any byte is a sign of life; what counts is the oldest ping that nothing answered.
        return max(self._pings[0], self.last_received_at) + self._config.ping_timeout

    def _check_ping(self, now: float) -> None:
        """Called only when there was nothing to read, so a held-back reader is not a dead peer."""
        if self._pings and now >= self._ping_deadline():
            silence = now - self.last_received_at
            raise PingTimeoutError(
                f"ping/pong timed out: nothing came for {silence:.1f} s, "
                f"ping_timeout is {self._config.ping_timeout:g} s"
            )

    def _check_closing(self, now: float) -> None:
        """Begin our close handshake when an end was recorded; give it up at its deadline."""
        if self._close_by is not None:
            if now >= self._close_by:
                raise ClosedByUs
        elif self.recorded is not None:
            if not self._graceful:
                raise ClosedByUs
            self._close_by = now + self._config.close_timeout
            self._say_goodbye(1000, "")
            self.close_code = 1000

    def _say_goodbye(self, code: int | None, reason: str) -> None:
        """Send a close frame; a peer that cannot take it has nothing to lose by it."""
        with self._lock:
            self._can_send = False
        body = b"" if code is None else code.to_bytes(2, "big") + reason.encode("utf-8")[:123]
        frame = ABNF.create_frame(body, ABNF.OPCODE_CLOSE).format()
        patience = min(self._config.send_timeout, self._config.close_timeout)
        try:
            self.send_frame(frame, deadline=monotonic() + patience)
        except (NotConnectedError, SendTimeoutError) as error:
            logging.getLogger("wsresilient.transport").debug("no close frame sent: %s", error)

    def _linger(self) -> None:
        """Let the peer read our close frame: closing under unread data would reset it away."""
        stream = self._stream
        assert stream is not None
        if self.recorded is not None and not self._graceful:
            return
        deadline = monotonic() + min(LINGER, self._config.close_timeout)
        if self._close_by is not None:
            deadline = min(deadline, self._close_by)
        stream.half_close()
        while monotonic() < deadline:
            try:
                if not stream.receive(READ_SIZE):
                    return
            except WouldBlock:
                wait(stream.raw, READ, None, deadline)
            except OSError:
                return

    def close_descriptors(self) -> None:
        """Close the descriptors and nothing else: for a child after a fork."""
        if self._stream is not None:
            self._stream.close()
        self._waker.close()

    def _finish(self) -> None:
        with self._lock:
            self._can_send = False
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
        if self.opened_at is None:
            if isinstance(error, websocket.WebSocketException):
                return HandshakeError(shorten(text))
            return ConnectError(text)
        lost = ConnectionLostError(text)
        if isinstance(error, OSError):
            lost.__cause__ = error
        return lost
