"""Which connections this process has: for the monitor, the end of the process, and forks.

It holds them weakly; a running connection is kept alive by its own thread.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import weakref
from typing import Any, Protocol

from .clock import monotonic
from .dispatcher import default_dispatcher
from .watchdog import default_watchdog

__all__ = ["ConnectionRegistry", "Registered", "default_registry", "register"]

#: Seconds in which a process that ends closes what still runs.
EXIT_PATIENCE = 3.0


class Registered(Protocol):
    """What is asked of a connection here, and by a monitor."""

    @property
    def name(self) -> str:
        """Its name."""

    stop_timed_out: bool

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""

    def get_stats(self) -> dict[str, Any]:
        """All that is known of it."""

    def request_stop(self, reason: str) -> None:
        """Ask for its end."""

    def end(self, timeout: float) -> bool:
        """End it without a word."""

    def forget_after_fork(self) -> None:
        """Let go of it, in a child."""


class ConnectionRegistry:
    """A weak set of connections, in the order in which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _connections
        self._numbers = itertools.count()
        self._connections: weakref.WeakKeyDictionary[Registered, int] = weakref.WeakKeyDictionary()

    def attach(self, connection: Registered) -> None:
        """Add a connection; twice is once."""
        with self._lock:
            self._connections.setdefault(connection, next(self._numbers))

    def connections(self) -> list[Registered]:
        """Those that exist, oldest first."""
        with self._lock:
            pairs = list(self._connections.items())
        return [connection for connection, _ in sorted(pairs, key=lambda pair: pair[1])]

    def forget_threads(self) -> None:
        """In a child after a fork, which owns no connection until it starts one."""
        self._lock = threading.Lock()
        self._connections = weakref.WeakKeyDictionary()


_default = ConnectionRegistry()
# Every connection, whichever registry its monitor reads: for exit and fork.
_all = ConnectionRegistry()


def default_registry() -> ConnectionRegistry:
    """Return the one that the default monitor reads."""
    return _default


def register(connection: Registered, registry: ConnectionRegistry) -> None:
    """Add a new connection to a registry and to what the process cleans up."""
    registry.attach(connection)
    _all.attach(connection)


def _stop_all() -> None:
    running = [
        connection
        for connection in _all.connections()
        if connection.is_running and not connection.stop_timed_out
    ]
    for connection in running:
        connection.request_stop("the process is ending")
    deadline = monotonic() + EXIT_PATIENCE
    for connection in running:
        connection.end(max(0.0, deadline - monotonic()))


def _forget_all_in_child() -> None:
    default_dispatcher().forget_threads()
    default_watchdog().forget_threads()
    # Without the lock, which a thread that is no more may hold; nobody else is here.
    connections = list(_all._connections)
    for registry in (_all, _default):
        registry.forget_threads()
    for connection in connections:
        connection.forget_after_fork()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
