"""Which connections this process has: for the monitor, the end of the process, and forks.

It holds them weakly; a running connection is kept alive by its own thread. What is kept of one
that is gone is its record, which refers to nothing of the user's.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
import weakref
from typing import Any, Protocol

from ..core.history import ConnectionHistory
from ..core.state import ConnectionState
from .clock import monotonic
from .dispatcher import default_dispatcher
from .watchdog import default_watchdog

__all__ = ["ConnectionRegistry", "Entry", "Record", "Registered", "default_registry", "register"]

#: Seconds in which a process that ends closes what still runs.
EXIT_PATIENCE = 3.0
#: Records of connections that are gone.
MOST_RECORDS = 100


class Record(Protocol):
    """What is known of a connection, also when it is gone."""

    name: str
    state: ConnectionState
    history: ConnectionHistory
    ended_at: float | None

    def last_stats(self) -> dict[str, Any]:
        """The stats as they were when it ended; empty before that."""


class Registered(Protocol):
    """What is asked of a connection here, and by a monitor."""

    @property
    def record(self) -> Record:
        """What stays of it when it is gone."""

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


class Entry:
    """A place in a registry.

    :ivar number: in the order in which connections were made.
    :ivar record: what is known of the connection.
    """

    __slots__ = ("_reference", "number", "record")

    def __init__(self, number: int, connection: Registered) -> None:
        self.number = number
        self.record = connection.record
        self._reference = weakref.ref(connection)

    @property
    def connection(self) -> Registered | None:
        """The connection, or None: it is gone."""
        return self._reference()


class ConnectionRegistry:
    """A weak set of connections, in the order in which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _connections and _entries
        self._numbers = itertools.count()
        self._connections: weakref.WeakSet[Registered] = weakref.WeakSet()
        self._entries: list[Entry] = []

    def attach(self, connection: Registered) -> None:
        """Add a connection; twice is once."""
        with self._lock:
            if connection not in self._connections:
                self._connections.add(connection)
                self._entries.append(Entry(next(self._numbers), connection))
                if len(self._entries) > len(self._connections) + 2 * MOST_RECORDS:
                    self._forget_old_records()

    def _forget_old_records(self) -> None:
        """Drop what was never started, and all but the latest records; the lock is held."""
        kept = {entry for entry in self._entries if entry.connection is not None}
        gone = [
            entry
            for entry in self._entries
            if entry not in kept and entry.record.ended_at is not None
        ]
        kept.update(gone[-MOST_RECORDS:])
        self._entries = [entry for entry in self._entries if entry in kept]

    def entries(self) -> list[Entry]:
        """Those that exist, and the latest of those that have ended and are gone, oldest first."""
        with self._lock:
            self._forget_old_records()
            return list(self._entries)

    def replace(self, connection: Registered, successor: Registered) -> None:
        """Let another connection stand where one stood, under its number; at once."""
        with self._lock:
            self._connections.discard(connection)
            self._connections.add(successor)
            self._entries = [
                Entry(one.number, successor) if one.connection is connection else one
                for one in self._entries
            ]

    def connections(self) -> list[Registered]:
        """Those that exist, oldest first."""
        with self._lock:
            entries = list(self._entries)
        found = (entry.connection for entry in entries)
        return [connection for connection in found if connection is not None]

    def forget_threads(self) -> None:
        """In a child after a fork, which owns no connection until it starts one."""
        self._lock = threading.Lock()
        self._connections = weakref.WeakSet()
        self._entries = []


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
    connections = [entry.connection for entry in _all._entries]
    for registry in (_all, _default):
        registry.forget_threads()
    for connection in connections:
        if connection is not None:
            connection.forget_after_fork()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
