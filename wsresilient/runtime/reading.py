"""The loop that reads: bytes in, batches and control frames out, until the connection ends.

It never blocks inside a frame, sleeps no longer than its next deadline, and leaves by one of
three ways: an exception, a close that we wanted, or a close of the server. It knows
nothing of websocket-client but a function that makes it read one control frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ..config import ConnectionConfig
from ..core.closing import ClosedByUs, close_text, eof_error, protocol_close_reason
from ..core.control import CLOSE, ControlFrame
from ..core.frames import FrameParser, Payload
from ..core.redact import Redactor, shorten
from ..errors import (
    ConnectionLostError,
    NotConnectedError,
    PingTimeoutError,
    ProtocolError,
    SendTimeoutError,
)
from .clock import monotonic
from .ending import Ending
from .sending import FrameBuilder, FrameSender
from .wire import READ, READ_SIZE, Stream, Waker, WouldBlock, new_selector, wait

__all__ = ["ReadHooks", "ReadLoop"]

logger = logging.getLogger("wsresilient.transport")

#: The loop looks at its deadlines at least so often while messages flow.
TICK = 1.0
#: And so often while it is quiet: whoever gives it something to do sooner wakes it.
QUIET_TICK = 15.0
#: After a read of at least so much, more is likely to be there: read again without asking.
BUSY = 16 * 1024
#: Seconds that the peer gets to read our close frame before the socket is closed under it.
LINGER = 1.0


class ReadHooks(Protocol):
    """What the loop tells, on the connection's thread."""

    def deliver(self, messages: list[Payload], size: int) -> None:
        """Complete messages of one read; ``size`` is how many bytes they hold."""

    def tick(self, now: float) -> float:
        """About once a second while messages flow, and whenever the waker was woken.

        :returns: seconds after which it must be called again even if nothing happens.
        """


class ReadLoop:
    """Reads one connection.

    :param stream: connected, the handshake over.
    :param parser: takes the bytes apart.
    :param sender: for close frames; tells when pings went out.
    :param ending: why it is to end, once somebody wants it to.
    :param waker: makes the loop look around.
    :param build_frame: masks.
    :param redact: hides secrets in the server's reasons.
    """

    def __init__(
        self,
        *,
        stream: Stream,
        parser: FrameParser,
        sender: FrameSender,
        ending: Ending,
        waker: Waker,
        config: ConnectionConfig,
        hooks: ReadHooks,
        build_frame: FrameBuilder,
        redact: Redactor,
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._sender = sender
        self._ending = ending
        self._waker = waker
        self._config = config
        self._hooks = hooks
        self._build_frame = build_frame
        self._redact = redact
        self._close_by: float | None = None  # monotonic; set once our close frame is out
        #: Of the close frame that ended it, theirs or ours.
        self.close_code: int | None = None
        self.close_reason = ""
        self.bytes_received = 0
        self.last_received_at = monotonic()
        self.ping_rtt: float | None = None

    def run(self, first: bytes, answer: Callable[[bytes], None]) -> None:
        """Read until the end; returns after a close that we wanted.

        :param first: bytes that came in one piece with the handshake.
        :param answer: makes websocket-client read one ping or pong, and answer it.
        :raises ConnectionLostError: it ended otherwise; OSError for what the socket says.
        """
        try:
            self._read(first, answer)
        except ClosedByUs:
            self._linger()
        except ProtocolError as error:
            self.close_code, self.close_reason = error.close_code, protocol_close_reason(error)
            self._say_goodbye(self.close_code or 1002, self.close_reason)
            self._linger()
            raise
        finally:
            self._sender.gate_open = False

    def _read(self, chunk: bytes, answer: Callable[[bytes], None]) -> None:
        receive = self._stream.receive
        # What TLS has decrypted already, no selector sees: read once before the first wait.
        busy = True
        next_tick = must_tick = 0.0
        with new_selector() as selector:
            selector.register(self._stream.raw, READ)
            selector.register(self._waker, READ)
            while True:
                now = monotonic()
                if chunk:
                    self.last_received_at = now
                    self.bytes_received += len(chunk)
                    self._take(chunk, answer)
                if now >= next_tick or self._ending.recorded is not None:
                    self._check_closing(now)
                    pause = self._hooks.tick(now)
                    next_tick, must_tick = now + min(TICK, pause), now + min(QUIET_TICK, pause)
                busy = busy or len(chunk) >= BUSY
                chunk = b""  # before the next read, which then gets the same warm memory
                if not busy:
                    ready = selector.select(self._patience(monotonic(), must_tick))
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

    def _take(self, chunk: bytes, answer: Callable[[bytes], None]) -> None:
        """Parse what was read; messages and control frames keep their order."""
        parser = self._parser
        messages = parser.feed(chunk)
        while True:
            if messages:
                self._hooks.deliver(messages, parser.size)
            control = parser.control
            if control is not None:
                if control.opcode == CLOSE:
                    self._take_close(control)
                answer(control.raw)
            if not parser.more:
                break
            messages = parser.feed(b"")
        if parser.failure is not None:
            raise parser.failure

    def _take_close(self, frame: ControlFrame) -> None:
        self.close_code = frame.close_code
        self.close_reason = shorten(self._redact(frame.close_reason), 125)
        if self._close_by is not None:
            raise ClosedByUs
        self._say_goodbye(frame.close_code, "")
        self._linger()
        raise ConnectionLostError(
            close_text(self.close_code, self.close_reason),
            close_code=self.close_code,
            reason=self.close_reason,
        )

    def pong_came(self) -> None:
        """Note a sign of life, and how long it took."""
        pings = self._sender.pings
        if pings:
            self.ping_rtt = monotonic() - pings[-1]
            pings.clear()

    def _patience(self, now: float, must_tick: float) -> float:
        """Seconds to wait for bytes before the deadlines are looked at."""
        until = max(must_tick, now)
        if self._close_by is not None:
            until = min(until, self._close_by)
        if self._sender.pings and self._sender.due is None:
            until = min(until, self._ping_deadline())
        return max(0.0, until - now)

    def _ping_deadline(self) -> float:
        # Any byte is a sign of life; what counts is the oldest ping that nothing answered.
        return max(self._sender.pings[0], self.last_received_at) + self._config.ping_timeout

    def _check_ping(self, now: float) -> None:
        """Called only when there was nothing to read, so a held-back reader is not a dead peer."""
        if self._sender.due is not None:
            return  # a large message is on its way, and has a deadline of its own
        if self._sender.pings and now >= self._ping_deadline():
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
        elif self._ending.recorded is not None:
            if not self._ending.graceful:
                raise ClosedByUs
            self._close_by = now + self._config.close_timeout
            self._say_goodbye(1000, "")
            self.close_code = 1000

    def _say_goodbye(self, code: int | None, reason: str) -> None:
        """Send a close frame; a peer that cannot take it has nothing to lose by it."""
        self._sender.gate_open = False
        body = b"" if code is None else code.to_bytes(2, "big") + reason.encode("utf-8")[:123]
        frame = self._build_frame(CLOSE, body, False)
        patience = min(self._config.send_timeout, self._config.close_timeout)
        try:
            self._sender.send_frame(frame, timeout=patience)
        except (NotConnectedError, SendTimeoutError) as error:
            logger.debug("no close frame sent: %s", error)

    def _linger(self) -> None:
        """Let the peer read our close frame: closing under unread data would reset it away."""
        if self._ending.recorded is not None and not self._ending.graceful:
            return
        deadline = monotonic() + min(LINGER, self._config.close_timeout)
        if self._close_by is not None:
            deadline = min(deadline, self._close_by)
        self._stream.half_close()
        while monotonic() < deadline:
            try:
                if not self._stream.receive(READ_SIZE):
                    return
            except WouldBlock:
                wait(self._stream.raw, READ, None, deadline)
            except OSError:
                return
