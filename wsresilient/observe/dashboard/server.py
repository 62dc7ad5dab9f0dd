"""One thread that serves a few clients at a time, however slow they are.

A selector rather than a thread for each client: two hundred clients that send a byte a second
cost two hundred entries of a table and no thread, and end by their deadlines. It knows nothing
of monitors; what is answered comes from a function.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable

from ...runtime.clock import monotonic, wall_clock
from ...runtime.threads import gather, spawn
from .client import Client
from .request import Request
from .response import Response

__all__ = ["PageServer"]

logger = logging.getLogger("wsresilient.observe")

#: Open at one time; a page needs one or two. The descriptors are the streams' as well.
MAX_CLIENTS = 64
#: Accepted in one turn, before those that wait with their requests have theirs.
ACCEPTED_AT_ONCE = 16
#: Seconds without accepting when the process has no descriptor left.
ACCEPT_PAUSE = 1.0

_READ = selectors.EVENT_READ


class PageServer:
    """Answers on a listening socket until it is stopped.

    The newest client always gets in. When there are too many, the one that has been here longest
    makes room: with status 503 when it has not been answered yet.

    :param listener: is its own from now on, and closed with it.
    :param respond: called on the server's thread; must not raise, must not block.
    :raises OSError: no descriptors are left.
    """

    def __init__(self, listener: socket.socket, respond: Callable[[Request], Response]) -> None:
        self._listener = listener
        self._respond = respond
        self._clients: dict[socket.socket, Client] = {}  # the oldest first; of the thread alone
        self._accepts_again_at: float | None = None
        self._lock = threading.Lock()  # guards _is_stopping, and _waker against its close
        self._is_stopping = False
        listener.setblocking(False)
        with contextlib.ExitStack() as undo:
            undo.callback(listener.close)
            self._waker, self._wakened = socket.socketpair()
            undo.callback(self._waker.close)
            undo.callback(self._wakened.close)
            self._waker.setblocking(False)
            self._selector = selectors.DefaultSelector()
            undo.callback(self._selector.close)
            self._selector.register(self._wakened, _READ)
            self._selector.register(listener, _READ)
            self._thread = spawn(self._run, name="wsr-dashboard")
            undo.pop_all()

    @property
    def is_running(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """End it, and cut off who is still being served.

        :param timeout: seconds.
        :returns: whether its thread has ended.
        """
        with self._lock:
            if not self._is_stopping:
                self._is_stopping = True
                self._waker.send(b"!")
        return not gather([self._thread], timeout=timeout) and not self.is_running

    def forget_after_fork(self) -> None:
        """In a child, which has no such thread: close its copies of the sockets."""
        self._lock = threading.Lock()
        self._is_stopping = True
        self._close_all()

    # On its thread.

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                self._turn()
        except Exception:
            logger.exception("the dashboard has ended: an error of its own")
        finally:
            with self._lock:
                self._is_stopping = True
                self._close_all()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, Client):
                self._serve(key.data)
        now = monotonic()
        for client in list(self._clients.values()):
            if client.is_due(now):
                client.run_out(now)
                self._settle(client)
        if self._accepts_again_at is not None and now >= self._accepts_again_at:
            self._accepts_again_at = None
            self._selector.register(self._listener, _READ)

    def _patience(self) -> float | None:
        """Seconds until something is due; None when nothing is."""
        due = [client.deadline for client in self._clients.values()]
        if self._accepts_again_at is not None:
            due.append(self._accepts_again_at)
        return max(0.0, min(due) - monotonic()) if due else None

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                logger.warning("the dashboard accepts nobody for a moment: %s", error)
                self._selector.unregister(self._listener)
                self._accepts_again_at = monotonic() + ACCEPT_PAUSE
                return
            if len(self._clients) >= MAX_CLIENTS:
                self._make_room()
            accepted.setblocking(False)
            client = Client(accepted, self._respond, monotonic(), wall_clock)
            self._clients[accepted] = client
            self._selector.register(accepted, client.interest, client)
            self._serve(client)  # its request is often here already

    def _make_room(self) -> None:
        oldest = next(iter(self._clients.values()))
        oldest.turn_away(monotonic())
        self._drop(oldest)

    def _serve(self, client: Client) -> None:
        if client.socket in self._clients:  # else it made room for another in this very turn
            client.proceed(monotonic())
            self._settle(client)

    def _settle(self, client: Client) -> None:
        """Go on with a client as it wants to, or let it go."""
        if client.is_over:
            self._drop(client)
        elif self._selector.get_key(client.socket).events != client.interest:
            self._selector.modify(client.socket, client.interest, client)

    def _drop(self, client: Client) -> None:
        del self._clients[client.socket]
        self._selector.unregister(client.socket)
        client.socket.close()

    def _close_all(self) -> None:
        for closing in (*self._clients, self._listener, self._wakened, self._waker):
            closing.close()
        self._clients.clear()
        self._selector.close()
