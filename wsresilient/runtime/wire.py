"""Bytes over a socket that never blocks: plain or TLS, with deadlines and one way to cut it.

TLS works on memory buffers, not on the socket, so that reading and writing from two threads
cannot meet inside OpenSSL, and so that the raw socket can be shut down at any moment without
ciphertext ever being taken for frames. It knows nothing of WebSocket.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Protocol

from ..errors import NotConnectedError, SendTimeoutError
from .clock import monotonic

__all__ = ["READ_SIZE", "PlainStream", "Stream", "TLSStream", "Waker", "WouldBlock", "wait"]

#: Bytes asked for at a time: many frames a system call, and still inside the cache.
READ_SIZE = 256 * 1024

WouldBlock = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# poll() takes no descriptor of its own, unlike epoll and kqueue, and has no limit of 1024.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.DefaultSelector
)


def new_selector() -> selectors.BaseSelector:
    """Make the selector that suits a handful of sockets."""
    return _Selector()


def wait(sock: socket.socket | Waker, event: int, waker: Waker | None, deadline: float) -> bool:
    """Wait until a socket is ready, the waker is woken, or the deadline has passed.

    :param event: ``READ`` or ``WRITE``.
    :param deadline: monotonic time.
    :returns: whether the socket is ready.
    """
    with new_selector() as selector:
        selector.register(sock, event)
        if waker is not None:
            selector.register(waker, READ)
        ready = selector.select(max(0.0, deadline - monotonic()))
        return any(key.fileobj is sock for key, _ in ready)


class Waker:
    """Wakes a thread that waits on sockets: an eventfd where there is one, else a socket pair."""

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None
        # Guards _fd and _pair against a wake() during close(). Reentrant, like all locks that
        # stop() takes: it may be called by a signal handler.
        self._lock = threading.RLock()
        if hasattr(os, "eventfd"):
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._pair = socket.socketpair()
            for end in self._pair:
                end.setblocking(False)
            self._fd = self._pair[0].fileno()

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._fd

    def wake(self) -> None:
        """Make it readable; from any thread, any number of times, also after close()."""
        with self._lock:
            if self._fd < 0:
                return
            try:
                if self._pair is None:
                    os.eventfd_write(self._fd, 1)
                else:
                    self._pair[1].send(b"\0")
            except BlockingIOError:
                return  # full, so it is readable already

    def drain(self) -> None:
        """Make it unreadable again."""
        try:
            if self._pair is None:
                os.eventfd_read(self._fd)
            else:
                self._pair[0].recv(4096)
        except BlockingIOError:
            return  # nobody woke it

    def close(self) -> None:
        """Free the descriptors."""
        with self._lock:
            descriptor, self._fd = self._fd, -1
            if self._pair is not None:
                for end in self._pair:
                    end.close()
            elif descriptor >= 0:
                os.close(descriptor)

    def forget_after_fork(self) -> None:
        """In a child: free the descriptors, though a thread that is no more may hold the lock."""
        self._lock = threading.RLock()
        self.close()


class Stream(Protocol):
    """What a connection needs of its socket."""

    raw: socket.socket

    def receive(self, size: int) -> bytes:
        """Return what is there, b"" at the end; raise one of WouldBlock if there is nothing."""

    def send(self, data: bytes, *, deadline: float, waker: Waker | None = None) -> None:
        """Send everything, or raise SendTimeoutError."""

    def cut(self) -> None:
        """Shut the raw socket down: wakes every thread that waits on it. From any thread."""

    def half_close(self) -> None:
        """Say that no more will be sent."""

    def close(self) -> None:
        """Free the descriptor."""


class PlainStream:
    """A connected TCP socket.

    :param raw: becomes non-blocking and is owned from here on.
    """

    def __init__(self, raw: socket.socket) -> None:
        raw.setblocking(False)
        self.raw = raw
        #: See :class:`Stream`. The socket's own method: this is the hot path.
        self.receive: Callable[[int], bytes] = raw.recv

    def send(self, data: bytes, *, deadline: float, waker: Waker | None = None) -> None:
        """See :class:`Stream`."""
        send_all(self.raw, data, deadline=deadline, waker=waker)

    def cut(self) -> None:
        """See :class:`Stream`."""
        shut_down(self.raw, socket.SHUT_RDWR)

    def half_close(self) -> None:
        """See :class:`Stream`."""
        shut_down(self.raw, socket.SHUT_WR)

    def close(self) -> None:
        """See :class:`Stream`."""
        self.raw.close()


class TLSStream:
    """TLS over a connected socket, through memory buffers.

    :param raw: becomes non-blocking and is owned from here on.
    :param context: verifies the certificate and the name, unless it was told otherwise.
    :param server_hostname: for SNI and the check of the name.
    """

    def __init__(
        self, raw: socket.socket, context: ssl.SSLContext, *, server_hostname: str
    ) -> None:
        raw.setblocking(False)
        self.raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        # Guards _tls, _incoming, _outgoing; held for computing only, never while waiting.
        self._tls_lock = threading.Lock()
        # Keeps ciphertext in the order of its encryption; held while sending, with a deadline.
        self._send_lock = threading.Lock()
        self._ended = False

    def handshake(self, *, deadline: float, waker: Waker) -> None:
        """Run the TLS handshake.

        :raises TimeoutError: the deadline passed, or the waker was woken.
        :raises ssl.SSLError: it failed; the certificate's errors are a subclass.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(deadline=deadline, waker=waker)
                if not wait(self.raw, READ, waker, deadline):
                    raise TimeoutError("the TLS handshake was not finished in time") from None
                self._fill()
            except ssl.SSLError:
                # The alert tells the server why; it is a courtesy, so its loss is none of ours.
                try:
                    self._flush(deadline=min(deadline, monotonic() + 1.0), waker=waker)
                except OSError:
                    self._outgoing.read()
                raise
            else:
                self._flush(deadline=deadline, waker=waker)
                return

    def _fill(self) -> None:
        """Read ciphertext; raises BlockingIOError when there is none."""
        data = self.raw.recv(READ_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._ended = True
            self._incoming.write_eof()

    def receive(self, size: int) -> bytes:
        """See :class:`Stream`. Takes all records that are there, up to ``size``."""
        with self._tls_lock:
            data = self._decrypt(size)
            if not data and not self._ended:
                self._fill()
                data = self._decrypt(size)
            owed = self._outgoing.pending
        if owed:
            self._flush_if_free()
        if not data and not self._ended:
            raise BlockingIOError
        return data

    def _decrypt(self, size: int) -> bytes:
        pieces: list[bytes] = []
        room = size
        while room > 0:
            try:
                piece = self._tls.read(room)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLEOFError:
                # A missing close_notify: WebSocket has its own close, so this is an end like any.
                piece = b""
            except ssl.SSLZeroReturnError:
                piece = b""
            if not piece:
                self._ended = True
                break
            pieces.append(piece)
            room -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes, *, deadline: float, waker: Waker | None = None) -> None:
        """See :class:`Stream`."""
        if not self._send_lock.acquire(timeout=max(0.0, deadline - monotonic())):
            raise SendTimeoutError("another send held the connection for the whole send timeout")
        try:
            with self._tls_lock:
                self._tls.write(data)
                ciphertext = self._outgoing.read()
            send_all(self.raw, ciphertext, deadline=deadline, waker=waker)
        finally:
            self._send_lock.release()

    def _flush(self, *, deadline: float, waker: Waker | None = None) -> None:
        with self._send_lock:
            with self._tls_lock:
                ciphertext = self._outgoing.read()
            send_all(self.raw, ciphertext, deadline=deadline, waker=waker)

    def _flush_if_free(self) -> None:
        """Send what reading made necessary (a key update). A running send takes it with it."""
        if self._send_lock.acquire(blocking=False):
            try:
                with self._tls_lock:
                    ciphertext = self._outgoing.read()
                send_all(self.raw, ciphertext, deadline=monotonic() + 1.0, waker=None)
            finally:
                self._send_lock.release()

    def cut(self) -> None:
        """See :class:`Stream`. On the raw socket: SSLSocket.shutdown would unwrap it."""
        shut_down(self.raw, socket.SHUT_RDWR)

    def half_close(self) -> None:
        """See :class:`Stream`."""
        shut_down(self.raw, socket.SHUT_WR)

    def close(self) -> None:
        """See :class:`Stream`."""
        self.raw.close()


def send_all(
    raw: socket.socket, data: bytes, *, deadline: float, waker: Waker | None = None
) -> None:
    """Send everything over a non-blocking socket.

    :param deadline: monotonic time.
    :param waker: None, or what may end the wait early.
    :raises SendTimeoutError: the peer did not take it in time; part of it may be out.
    :raises OSError: the connection is gone.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[raw.send(rest) :]
        except BlockingIOError:
            if raw.fileno() < 0:
                raise NotConnectedError("the connection was closed while sending") from None
            if not wait(raw, WRITE, waker, deadline):
                raise SendTimeoutError(
                    f"the peer did not take the last {len(rest)} of {len(data)} bytes in time"
                ) from None


def shut_down(raw: socket.socket, how: int) -> None:
    """Shut a raw socket down without TLS having a say; a socket that is gone is fine."""
    try:
        socket.socket.shutdown(raw, how)
    except OSError:
        return
