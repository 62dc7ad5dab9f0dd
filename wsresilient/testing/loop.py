"""A thread with a selector: what the fault proxy runs on.

It watches sockets, runs functions that other threads hand it, and calls its owner once a turn. It
knows nothing of connections, bytes or faults.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from wsresilient.errors import ConfigurationError
from wsresilient.runtime.threads import spawn

__all__ = ["READ", "WRITE", "Loop", "LoopOwner"]

logger = logging.getLogger("wsresilient.testing")

_Result = TypeVar("_Result")
_Callback = Callable[[int], None]

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
_CALL_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0


class LoopOwner(Protocol):
    """Whose sockets the loop watches; called on the loop's thread only."""

    def on_turn(self, now: float) -> float | None:
        """Do what is due at ``now`` (monotonic) and tell when to be called next at the latest.

        None: not before something happens.
        """

    def on_end(self) -> None:
        """Close the sockets; the loop ends."""


class Loop:
    """One thread that waits for sockets; every method but :meth:`watch` is thread-safe.

    :param name: the thread's name.
    :param owner: told of every turn and of the end.
    """

    def __init__(self, name: str, owner: LoopOwner) -> None:
        self.name = name
        self._owner = owner
        self._selector: selectors.BaseSelector
        # _lock guards the fields below, and keeps the wake-up socket open while it is written to.
        self._lock = threading.Lock()
        self._commands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._wake_in: socket.socket
        self._wake_out: socket.socket

    @property
    def is_running(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread.

        :raises ConfigurationError: it runs already.
        """
        with self._lock:
            if self._thread is not None:
                raise ConfigurationError(f"{self.name} is already started")
            self._selector = selectors.DefaultSelector()
            self._wake_in, self._wake_out = socket.socketpair()
            self._wake_in.setblocking(False)
            self._wake_out.setblocking(False)
            self._selector.register(self._wake_out, READ, self._on_wake)
            self._is_stopping = False
            self._thread = spawn(self._run, name=self.name)

    def stop(self) -> None:
        """End the thread and wait for that, within a bound; does nothing when there is none."""
        with self._lock:
            thread = self._thread
            if thread is None:
                return
            self._is_stopping = True
            self._wake()
        thread.join(_STOP_TIMEOUT)
        if thread.is_alive():
            logger.error("%s has not ended within %g s", self.name, _STOP_TIMEOUT)

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Run a function on the loop's thread and return what it returns, or raises.

        While the loop does not run, the function is run here.

        :raises TimeoutError: the loop has not come to it within 10 s.
        """
        future: Future[_Result] = Future()
        with self._lock:
            is_running = self._thread is not None
            if is_running:
                self._commands.append((function, future))
                self._wake()
        return future.result(_CALL_TIMEOUT) if is_running else function()

    def watch(self, sock: socket.socket, events: int, callback: _Callback) -> None:
        """Call back with the events when a socket is ready; 0 forgets it (loop's thread only)."""
        is_registered = sock.fileno() in self._selector.get_map()
        if not events:
            if is_registered:
                self._selector.unregister(sock)
        elif is_registered:
            self._selector.modify(sock, events, callback)
        else:
            self._selector.register(sock, events, callback)

    def _wake(self) -> None:
        """Interrupt the select; requires holding ``_lock``."""
        try:
            self._wake_in.send(b"\0")
        except BlockingIOError:
            logger.debug("%s has been woken already", self.name)

    def _on_wake(self, _events: int) -> None:
        self._wake_out.recv(4096)

    def _run(self) -> None:
        due: float | None = None
        try:
            while not self._is_stopping:
                pause = None if due is None else max(0.0, due - time.monotonic())
                for key, events in self._selector.select(pause):
                    callback: _Callback = key.data
                    callback(events)
                self._run_commands()
                due = self._owner.on_turn(time.monotonic())
        except Exception:
            logger.exception("%s failed and ends", self.name)
        finally:
            self._end()

    def _run_commands(self) -> None:
        while True:
            with self._lock:
                if not self._commands:
                    return
                function, future = self._commands.popleft()
            try:
                future.set_result(function())
            except BaseException as error:  # it belongs to the caller, who gets it by the future
                future.set_exception(error)

    def _end(self) -> None:
        self._owner.on_end()
        with self._lock:
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()
            self._thread = None
        # From here on call() runs a function where it is called; what was handed in before that
        # has nobody else to run it.
        self._run_commands()
