"""Sending over one connection: one frame at a time, each with a deadline, from any thread.

A send that is not taken in time may have left part of a frame behind, so it ends the
connection. It knows bytes and deadlines; frames are built by whoever masks them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..config import ConnectionConfig
from ..core.control import BINARY, PING, TEXT
from ..core.deflate import MessageDeflater
from ..errors import NotConnectedError, SendTimeoutError, describe
from .clock import monotonic
from .wire import WRITE, Stream, wait

__all__ = ["FrameBuilder", "FrameSender", "GateClosedError"]

#: Builds a masked frame: (opcode, payload, whether it is compressed).
FrameBuilder = Callable[[int, bytes, bool], bytes]


class GateClosedError(NotConnectedError):
    """Nothing was sent, since the connection is not open: it is safe to queue the message."""


class FrameSender:
    """Sends frames of one attempt.

    :param config: the send timeout.
    :param build_frame: masks.
    :param on_timeout: is called when the peer did not take a frame in time.
    :param on_ping: is called when a ping goes out, which sets the reader a deadline.
    """

    def __init__(
        self,
        config: ConnectionConfig,
        build_frame: FrameBuilder,
        on_timeout: Callable[[SendTimeoutError], None],
        on_ping: Callable[[], None],
    ) -> None:
        self._config = config
        self._build_frame = build_frame
        self._on_timeout = on_timeout
        self._on_ping = on_ping
        self._lock = threading.Lock()  # held while one frame is sent, always with a deadline
        self.stream: Stream | None = None
        self.deflater: MessageDeflater | None = None
        #: Whether messages may go out: between the handshake and the beginning of the end.
        self.gate_open = False
        #: Monotonic time by which the send that is under way must be over, or None.
        self.due: float | None = None
        #: When pings went out that nothing has answered; taken out by the reader.
        self.pings: deque[float] = deque(maxlen=1000)

    def send_message(self, payload: bytes, *, text: bool, timeout: float) -> None:
        """Send one message.

        :param payload: UTF-8 where ``text``.
        :param timeout: seconds.
        :raises GateClosedError: there is no open connection; nothing was sent.
        :raises NotConnectedError: it was lost while sending.
        :raises SendTimeoutError: the peer did not take it in time.
        """
        deadline = monotonic() + timeout
        opcode = TEXT if text else BINARY
        # Masking a large message takes a while; without a context it needs no lock.
        frame = self._build_frame(opcode, payload, False) if self.deflater is None else b""
        self._acquire(deadline)
        try:
            if not self.gate_open:
                raise GateClosedError("not connected: the connection is closing or closed")
            if self.deflater is not None:
                # Compressing keeps a context: the order of compression is that of sending.
                deflated = self.deflater.deflate(payload)
                compressed = deflated is not None
                frame = self._build_frame(
                    opcode, payload if deflated is None else deflated, compressed
                )
            self._send(frame, deadline)
        finally:
            self._lock.release()

    def try_send_text(self, payload: bytes) -> bool:
        """Send a short text message if nothing has to be waited for: for the reader's thread.

        :returns: False where another send is under way, or the peer takes nothing right now.
        :raises NotConnectedError: there is no open connection, or it was lost while sending.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            stream = self.stream
            if not self.gate_open or stream is None:
                raise GateClosedError("not connected: the connection is closing or closed")
            now = monotonic()
            if not wait(stream.raw, WRITE, None, now):
                return False
            deflated = None if self.deflater is None else self.deflater.deflate(payload)
            frame = self._build_frame(TEXT, deflated or payload, deflated is not None)
            self._send(frame, now + self._config.send_timeout)
            return True
        finally:
            self._lock.release()

    def send_frame(self, frame: bytes, *, timeout: float | None = None) -> None:
        """Send one masked frame, open gate or not: pings, pongs and close frames.

        :param timeout: seconds; None takes ``send_timeout``.
        """
        deadline = monotonic() + (self._config.send_timeout if timeout is None else timeout)
        is_ping = frame[0] & 0x0F == PING
        self._acquire(deadline)
        try:
            if is_ping:
                # Not before: it may have waited long behind a large message.
                self.pings.append(monotonic())
            self._send(frame, deadline)
        finally:
            self._lock.release()
        if is_ping:
            self._on_ping()

    def _acquire(self, deadline: float) -> None:
        if not self._lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise SendTimeoutError(
                "nothing was sent: an earlier send held the connection for the whole timeout"
            )

    def _send(self, frame: bytes, deadline: float) -> None:
        """Send while holding the lock."""
        stream = self.stream
        if stream is None:
            raise NotConnectedError("not connected: there is no socket yet")
        self.due = deadline
        try:
            stream.send(frame, deadline=deadline)
        except SendTimeoutError as error:
            self._on_timeout(error)
            raise
        except OSError as error:
            raise NotConnectedError(
                f"the connection was lost while sending: {describe(error)}"
            ) from error
        finally:
            self.due = None
