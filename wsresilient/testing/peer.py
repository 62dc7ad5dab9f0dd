"""One client of the fake exchange: its TCP connection, its handshake and its frames.

The protocol itself is the sans-I/O layer of the ``websockets`` library; what a client asks for and
gets is decided in ``server.py``. Everything runs on the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import Protocol, cast
from urllib.parse import urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from wsresilient.testing.enforcement import Meter
from wsresilient.testing.formats.base import Session
from wsresilient.testing.link import LINGER_ZERO
from wsresilient.testing.records import ScriptedResponse

__all__ = ["Peer", "PeerOwner", "text_frame"]

logger = logging.getLogger("wsresilient.testing")
# What the library says of each connection is of interest to who asks for it.
_wire_logger = logging.getLogger("wsresilient.testing.websockets")
_wire_logger.setLevel(logging.WARNING)

_CLOSE_TIMEOUT = 2.0  # how long the client may take to answer a close frame or an end of file
_MAX_REQUEST_SIZE = 16 * 1024 * 1024
_PONG_FIRST_BYTE = 0x80 | Opcode.PONG


class PeerOwner(Protocol):
    """Who decides what a client gets."""

    @property
    def is_ignoring_pings(self) -> bool:
        """Whether pings get no pong."""

    def on_connected(self, peer: Peer) -> None:
        """A TCP connection was accepted."""

    def on_handshake(self, peer: Peer, target: str) -> ScriptedResponse | Session | None:
        """Decide on a handshake; None: there is no such path."""

    def on_answered(self, peer: Peer, request: Request, status: int) -> None:
        """The handshake was answered; 101: the connection is open."""

    def on_message(self, peer: Peer, payload: str | bytes) -> None:
        """A complete message has come."""

    def on_ping(self, peer: Peer) -> None:
        """A ping has come."""

    def on_pong(self, peer: Peer, payload: bytes) -> None:
        """A pong has come."""

    def on_disconnected(self, peer: Peer) -> None:
        """The TCP connection has ended."""


class Peer(asyncio.Protocol):
    """One client's connection.

    :ivar number: counted from 1.
    :ivar session: what the format remembers of it; None: before the handshake, or an echo.
    :ivar meter: what is counted of it.
    :ivar address: of the client.
    :ivar is_open: the handshake is done and no close frame went either way.
    :ivar was_opened: the handshake has been done.
    """

    def __init__(self, owner: PeerOwner, number: int) -> None:
        self.number = number
        self.session: Session | None = None
        self.meter = Meter()
        self.address = ""
        self.is_open = False
        self.was_opened = False
        self._owner = owner
        self._protocol = ServerProtocol(max_size=_MAX_REQUEST_SIZE, logger=_wire_logger)
        self._transport: asyncio.Transport
        self._pending: list[bytes] = []
        self._fragments: list[bytes] = []
        self._is_text = False
        self._close_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else self._protocol.state.name.lower()
        return f"<Peer {self.number} {state} topics={len(self.topics)}>"

    @property
    def topics(self) -> dict[str, None]:
        """What it is subscribed to, in order."""
        return {} if self.session is None else self.session.subscribed

    @property
    def close_code(self) -> int | None:
        """The code of the client's close frame; 1006: there was none; None: not ended yet."""
        code = self._protocol.close_code
        return None if code is None else int(code)

    @property
    def unsent(self) -> int:
        """How many bytes the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.address = str(name[0]) if name else ""
        self._owner.on_connected(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()

    def eof_received(self) -> None:
        """Take the end of file; the loop then closes the connection."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if exc is not None:
            logger.debug("connection %d failed: %r", self.number, exc)
        if self._close_timer is not None:
            self._close_timer.cancel()
        self.is_open = False
        self._protocol.receive_eof()
        self._transport.close()  # does nothing but spare a ResourceWarning of TLS on Python 3.10
        self._owner.on_disconnected(self)

    # What the owner calls.

    @property
    def _may_write_frames(self) -> bool:
        """Whether no close frame went either way.

        The protocol knows before the owner: a request and the close frame behind it may come in
        one piece.
        """
        return self.is_open and self._protocol.state is State.OPEN

    def queue(self, frame: bytes) -> None:
        """Add a whole frame to what :meth:`write_queued` will write."""
        self._pending.append(frame)

    def write_queued(self) -> None:
        """Write what was queued, at once, since the last call."""
        if self._pending and self.is_open:
            self._transport.write(b"".join(self._pending))
            self.meter.sent_at = time.monotonic()
        self._pending.clear()

    def send(self, payload: str | bytes) -> None:
        """Send one message, behind those that are queued."""
        self.write_queued()
        if not self._may_write_frames:
            return
        if isinstance(payload, str):
            self._protocol.send_text(payload.encode())
        else:
            self._protocol.send_binary(payload)
        self.meter.sent_at = time.monotonic()
        self._flush()

    def ping(self, payload: bytes) -> None:
        """Send a ping, behind the messages that are queued."""
        self.write_queued()
        if self._may_write_frames:
            self._protocol.send_ping(payload)
            self._flush()

    def close(self, code: int | None, reason: str) -> None:
        """Begin the closing handshake of an open connection."""
        self.write_queued()
        if self._may_write_frames:
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Reset the connection, whatever it is at."""
        self.is_open = False
        raw: socket.socket | None = self._transport.get_extra_info("socket")
        if raw is not None:
            try:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            except OSError as error:
                logger.debug("connection %d has gone already: %r", self.number, error)
        self._transport.abort()

    # The handshake and the frames.

    def _answer(self, request: Request) -> None:
        verdict = self._owner.on_handshake(self, request.path)
        if isinstance(verdict, ScriptedResponse):
            self._owner.on_answered(self, request, verdict.status)
            self._transport.write(verdict.encode())
            self._end_writing()
            return
        if verdict is None and urlsplit(request.path).path != "/echo":
            response = self._protocol.reject(404, "There is no such path.\n")
        else:
            response = self._protocol.accept(request)
        self._protocol.send_response(response)
        self._flush()
        if response.status_code == 101:
            self.is_open = self.was_opened = True
            self.session = verdict
        self._owner.on_answered(self, request, response.status_code)

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                payload = b"".join(self._fragments)
                self._fragments.clear()
                self._on_message(payload)
        elif frame.opcode is Opcode.PING:
            self._owner.on_ping(self)
        elif frame.opcode is Opcode.PONG:
            self._owner.on_pong(self, bytes(frame.data))
        elif frame.opcode is Opcode.CLOSE:
            self.is_open = False

    def _on_message(self, data: bytes) -> None:
        try:
            payload: str | bytes = data.decode() if self._is_text else data
        except UnicodeDecodeError:
            self.close(1007, "invalid UTF-8")
            return
        if not self.is_open:
            return
        if self.session is None:
            self.send(payload)
        else:
            self._owner.on_message(self, payload)

    def _flush(self) -> None:
        """Write what the protocol has to say."""
        for data in self._protocol.data_to_send():
            if not data:
                self._end_writing()
            elif not (data[0] == _PONG_FIRST_BYTE and self._owner.is_ignoring_pings):
                self._transport.write(data)
        if self._protocol.state is not State.OPEN:
            self.is_open = False
        if self._protocol.close_expected():
            self._close_soon()

    def _end_writing(self) -> None:
        self.is_open = False  # whatever the protocol says: nothing can be written any more
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._close_soon()
        else:
            self._transport.close()  # TLS: the close notification goes out behind the data

    def _close_soon(self) -> None:
        if self._close_timer is None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(_CLOSE_TIMEOUT, self._transport.abort)


def text_frame(payload: str) -> bytes:
    r"""Write a text message as one frame of a server, once for all clients that get it.

    >>> text_frame("hi")
    b'\x81\x02hi'
    """
    data = payload.encode()
    size = len(data)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + data
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + data
    return b"\x81\x7f" + size.to_bytes(8, "big") + data
