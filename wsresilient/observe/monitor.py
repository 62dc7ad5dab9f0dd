"""The monitor: one place that can tell how all connections of a process are.

Connections of the library are read when somebody asks; they never call it, so being seen
costs them nothing. Connections of other libraries are told to it with ``record_*``.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Container
from typing import Any, TextIO

from ..config import check_choice, check_integer
from ..core.state import ConnectionState
from ..errors import ConfigurationError
from ..runtime.clock import monotonic, wall_clock
from ..runtime.registry import ConnectionRegistry, Registered, default_registry
from .foreign import ForeignConnection, error_text
from .report import format_report
from .summary import summarise

__all__ = ["Monitor", "get_monitor", "get_summary", "print_connection_report"]

_STATES = tuple(state.value for state in ConnectionState)


class Monitor:
    """Tells how connections are. All members may be used from any thread.

    A connection belongs to the monitor that it was made with (``monitor=``), else to the
    default one (:func:`get_monitor`). It is seen as long as it exists.

    :param registry: which connections it reads; None: one of its own, for
        ``ResilientWebSocket(monitor=...)``.
    """

    def __init__(self, *, registry: ConnectionRegistry | None = None) -> None:
        if registry is not None and not isinstance(registry, ConnectionRegistry):
            raise ConfigurationError(
                f"registry is {registry!r:.60}; allowed: a ConnectionRegistry, or None"
            )
        self.registry = ConnectionRegistry() if registry is None else registry
        self._began = monotonic()
        self._lock = threading.Lock()  # guards _foreign, what is in it, and _names
        self._foreign: dict[str, ForeignConnection] = {}
        self._names: weakref.WeakKeyDictionary[Registered, str] = weakref.WeakKeyDictionary()
        _all.add(self)

    def __repr__(self) -> str:
        with self._lock:
            recorded = len(self._foreign)
        return f"<Monitor of {len(self.registry.connections())} connections, {recorded} recorded>"

    # What it tells.

    def get_summary(self) -> dict[str, Any]:
        """Return how all connections are, as plain values that JSON can hold.

        Keys: total_connections, healthy_connections, active_connections, total_subscriptions,
        messages_per_minute, uptime (seconds since the monitor began), routing_stats,
        connections {name: stats}, status and return_code
        (:func:`~wsresilient.observe.summary.overall_status` has the rule). The names are
        unique: the second of two connections with one name is "name#2". Sums always match:
        routed and unrouted messages make total_messages, the sum of all message_count.
        """
        stats = {
            name: connection.get_stats() | {"name": name}
            for name, connection in self._named_connections()
        }
        now, wall = monotonic(), wall_clock()
        with self._lock:
            for foreign in self._foreign.values():
                name = _free_name(foreign.name, stats)
                stats[name] = foreign.stats(now, wall) | {"name": name}
        return summarise(stats, uptime=now - self._began)

    def print_connection_report(self, file: TextIO | None = None) -> None:
        """Print a table that reads well in 80 columns, without colours.

        :param file: where to; None: standard output.
        """
        text = format_report(self.get_summary())
        stream = sys.stdout if file is None else file
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # A name that the terminal cannot show must not cost the report.
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)

    # Connections of other libraries.

    def record_message(self, name: str, count: int = 1, size: int = 0) -> None:
        """Count messages that a connection of another library has received.

        :param name: any; the first use makes the connection known.
        :param count: how many messages.
        :param size: bytes of all of them.
        :raises ConfigurationError: an argument is wrong.
        """
        check_integer("count", count, minimum=0)
        check_integer("size", size, minimum=0)
        with self._lock:
            now = monotonic()
            self._recorded(name, now).add_messages(count, size, now)

    def record_error(self, name: str, error: BaseException | str) -> None:
        """Count an error of such a connection, and keep its text as last_error, redacted.

        :raises ConfigurationError: the name is wrong.
        """
        text = error_text(error)
        with self._lock:
            self._recorded(name, monotonic()).add_error(text)

    def record_reconnect(self, name: str) -> None:
        """Count that such a connection has come back.

        :raises ConfigurationError: the name is wrong.
        """
        with self._lock:
            now = monotonic()
            self._recorded(name, now).add_reconnect(now)

    def record_state(self, name: str, state: str) -> None:
        """Note the state of such a connection.

        A connection whose state is never told counts as connected from its first message on.
        A change of state is not counted as a reconnect.

        :param state: a :class:`~wsresilient.ConnectionState`, or its value.
        :raises ConfigurationError: there is no such state, or the name is wrong.
        """
        check_choice("state", state, _STATES)
        with self._lock:
            now = monotonic()
            self._recorded(name, now).change_state(ConnectionState(state), now)

    def _recorded(self, name: str, now: float) -> ForeignConnection:
        """Find a connection, or begin one; the lock is held."""
        name = _checked_name(name)
        known = self._foreign.get(name)
        if known is None:
            known = self._foreign[name] = ForeignConnection(name, now)
        return known

    # Names.

    def _named_connections(self) -> list[tuple[str, Registered]]:
        """Give each connection a name of its own, which it keeps as long as it runs.

        A stopped connection gives way: a script that stops one and makes the next finds the
        next one under the plain name.
        """
        named: dict[str, Registered] = {}
        with self._lock:
            connections = self.registry.connections()
            running = {connection for connection in connections if connection.is_running}
            for connection in sorted(
                connections, key=lambda one: (one not in running, one not in self._names)
            ):
                name = self._names.get(connection)
                if name is None or name in named:
                    name = _free_name(connection.name, named)
                self._names[connection] = name
                named[name] = connection
        order = {connection: number for number, connection in enumerate(connections)}
        return sorted(named.items(), key=lambda item: order[item[1]])

    def _forget_threads(self) -> None:
        """In a child after a fork: the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name is {name!r:.60}; allowed: a str that is not empty")
    return name


def _free_name(name: str, taken: Container[str]) -> str:
    """Return the name, or "name#2", "name#3" where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


_all: weakref.WeakSet[Monitor] = weakref.WeakSet()
_default = Monitor(registry=default_registry())


def _forget_threads_in_child() -> None:
    for monitor in list(_all):
        monitor._forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_in_child)


def get_monitor() -> Monitor:
    """Return the monitor that sees every connection made without ``monitor=``."""
    return _default


def get_summary() -> dict[str, Any]:
    """Return :meth:`Monitor.get_summary` of the default monitor."""
    return _default.get_summary()


def print_connection_report(file: TextIO | None = None) -> None:
    """Call :meth:`Monitor.print_connection_report` of the default monitor.

    :param file: where to; None: standard output.
    """
    _default.print_connection_report(file)
