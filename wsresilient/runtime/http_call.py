"""One HTTP request under one deadline: what requests and urllib3 leave open is closed here.

Their timeouts hold for one address, one ``recv`` at a time, so that a server which drips bytes is
never late, and nobody can give a request up from outside. Here every wait of a call knows when the
call has to be over: looking up the name, connecting (both by ``opener.py``), and each ``recv``.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from .clock import monotonic
from .opener import connect_any, resolve
from .wire import Waker, shut_down

__all__ = ["Call", "DeadlineAdapter"]


class Call:
    """One request and its answer.

    :param deadline: monotonic time at which it has to be over.
    :param silence: seconds for which the server may say nothing.
    """

    def __init__(self, *, deadline: float, silence: float) -> None:
        self.deadline = deadline
        self.silence = silence
        self.waker = Waker()
        self._lock = threading.Lock()  # guards the fields below
        self._sockets: list[socket.socket] = []
        self._duplicates: list[socket.socket] = []
        self._aborted = False

    @property
    def aborted(self) -> bool:
        """Whether somebody gave it up."""
        return self._aborted

    @property
    def is_late(self) -> bool:
        """Whether its deadline has passed."""
        return monotonic() >= self.deadline

    def patience(self) -> float:
        """Tell for how many seconds to wait now.

        :raises TimeoutError: the deadline has passed, or the call was given up.
        """
        rest = min(self.silence, self.deadline - monotonic())
        if rest <= 0.0 or self._aborted:
            raise TimeoutError("timed out")
        return rest

    def adopt(self, sock: socket.socket, *, about_to_move: bool = False) -> None:
        """Take a socket that :meth:`abort` cuts.

        :param about_to_move: TLS will take the descriptor from this object, so another one is kept.
        """
        kept = sock.dup() if about_to_move else sock
        with self._lock:
            self._sockets.append(kept)
            if about_to_move:
                self._duplicates.append(kept)
            aborted = self._aborted
        if aborted:
            shut_down(kept, socket.SHUT_RDWR)

    def abort(self) -> None:
        """Give the call up, in whatever phase it is; from any thread."""
        with self._lock:
            self._aborted = True
            sockets = list(self._sockets)
        self.waker.wake()
        for sock in sockets:
            shut_down(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Free what it holds."""
        with self._lock:
            duplicates, self._duplicates, self._sockets = self._duplicates, [], []
        self.waker.close()
        for duplicate in duplicates:
            duplicate.close()

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Make it the call that this thread's connections work for."""
        _current.call = self
        try:
            yield
        finally:
            _current.call = None


# urllib3 makes connections and answers itself; on which thread's behalf, only the thread knows.
_current = threading.local()


def _current_call() -> Call:
    call: Call = _current.call
    return call


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket; each ``recv`` waits only as long as the call may."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        self._sock, self._call = sock, call
        # Keeps the socket open after close(), as http.client expects it of a file.
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.patience())
        return self._file.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Answering:
    """What http.client wants of a socket in order to read an answer: a file."""

    def __init__(self, sock: socket.socket, call: Call) -> None:
        call.adopt(sock)
        self._reader = _DeadlineReader(sock, call)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # always "rb"
        return io.BufferedReader(self._reader)


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(_Answering(sock, _current_call()), *args, **options)  # type: ignore[arg-type]


class _Connecting:
    """The part of a connection that connects."""

    response_class = _Response
    host: str
    port: int
    timeout: Any

    def _new_conn(self) -> socket.socket:
        call = _current_call()
        limit = monotonic() + call.patience()
        host = self.host.strip("[]")
        addresses = resolve(host, self.port, deadline=limit, waker=call.waker)
        sock, _ = connect_any(addresses, deadline=limit, waker=call.waker)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A TLS handshake is one wait in Python, so this bounds all of it.
            sock.settimeout(call.patience())
            call.adopt(sock, about_to_move=True)
        except BaseException:
            sock.close()
            raise
        return sock


class _HTTPConnection(_Connecting, HTTPConnection):  # type: ignore[misc]
    """Plain."""


class _HTTPSConnection(_Connecting, HTTPSConnection):  # type: ignore[misc]
    """With TLS, which requests sets up and verifies."""


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Makes requests use connections that know the thread's current call."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):  # those have connections of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def close(self) -> None:
        """Close all connections now; urllib3 would do so when the last reference is collected."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it cannot be iterated otherwise
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()
