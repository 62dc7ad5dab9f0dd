"""One connection through the fault proxy: two sockets, and what waits to go out of each.

Only bookkeeping and the socket calls that concern one connection; when to do what is decided in
``relay.py``, how fast in ``pacing.py``.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from wsresilient.testing.pacing import Pipe

__all__ = ["LINGER_ZERO", "Address", "End", "Entry", "Fault", "Link"]

logger = logging.getLogger("wsresilient.testing")

#: family, type, protocol and address, as getaddrinfo gives them.
Address = tuple[int, int, int, Any]

# Linger for 0 seconds: close() throws away what was not sent and sends a reset.
LINGER_ZERO = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class End:
    """One socket of a link.

    :ivar outgoing: the bytes that wait to be written to this socket.
    :ivar events: what the selector watches it for; 0: it is not registered.
    :ivar is_blocked: the kernel took no more at the last write.
    :ivar read_closed: its peer sent the end of file.
    :ivar write_closed: we sent it the end of file.
    """

    def __init__(self, sock: socket.socket, outgoing: Pipe | None = None) -> None:
        self.socket = sock
        self.outgoing = Pipe() if outgoing is None else outgoing
        self.events = 0
        self.is_blocked = False
        self.read_closed = False
        self.write_closed = False
        sock.setblocking(False)
        try:
            # A slice is to leave as it is and not to wait for the next one.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:  # macOS, when the peer has gone
            logger.debug("TCP_NODELAY not set: %r", error)

    def finish_writing(self) -> None:
        """Send the end of file, once."""
        if self.write_closed:
            return
        self.write_closed = True
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            logger.debug("end of file not sent, the peer has gone: %r", error)

    def reset_on_close(self) -> None:
        """Let close() send a reset and not an end of file."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        except OSError as error:
            logger.debug("reset not prepared, the peer has gone: %r", error)


class Link:
    """One client's connection and the one to the target that belongs to it.

    :ivar server: None before the target is asked, and for good where it never will be.
    :ivar addresses: the target's addresses that have not been tried.
    :ivar is_connecting: ``server`` is not connected yet.
    :ivar is_sink: what the client sends is read and thrown away; there is no target.
    :ivar has_lost_bytes: something was swallowed; the stream cannot go on from here.
    :ivar fault_after: bytes towards the client until the armed fault strikes; None: no fault.
    :ivar close_at: monotonic time at which a link is closed whose end of file has been sent;
        None: it has not been sent.
    """

    def __init__(self, client: socket.socket, addresses: list[Address]) -> None:
        self.client = End(client)
        self.server: End | None = None
        self.addresses = addresses
        self.is_connecting = False
        self.is_sink = False
        self.has_lost_bytes = False
        self.fault_after: int | None = None
        self.close_at: float | None = None

    @property
    def ends(self) -> tuple[End, ...]:
        """The sockets that there are."""
        return (self.client,) if self.server is None else (self.client, self.server)

    @property
    def is_discarding(self) -> bool:
        """Whether what comes in is thrown away."""
        return self.is_sink or self.close_at is not None

    def other(self, end: End) -> End | None:
        """The end to which the bytes of this end go."""
        return self.server if end is self.client else self.client


class Entry(Enum):
    """What becomes of a new connection."""

    FORWARD = "forward"
    CLOSE = "accept_then_close"
    STALL = "stall_handshake"


@dataclass
class Fault:
    """Something that happens to a link after so many bytes towards its client.

    :ivar action: done to the link; returns whether the link still forwards.
    :ivar after: bytes, counted for each link from when the fault was armed.
    :ivar times: how many links it strikes; None: every one.
    :ivar needs_byte: it is done to the byte that follows, so it waits for one.
    """

    action: Callable[[Link], bool]
    after: int
    times: int | None
    needs_byte: bool = False
