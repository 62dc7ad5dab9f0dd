"""The monitor: one place that can tell how all connections of a process are.

Connections of the library are read when somebody asks; they never call it, so being seen
costs them nothing. Connections of other libraries are told to it with ``record_*``.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from typing import Any, TextIO

from ..config import check_choice, check_integer, check_seconds
from ..core.history import ConnectionHistory
from ..core.state import ConnectionState
from ..core.thresholds import Thresholds, checked_thresholds
from ..errors import ConfigurationError
from ..runtime.clock import monotonic, wall_clock
from ..runtime.registry import ConnectionRegistry, default_registry
from .diagnosis import Observation, diagnose
from .foreign import ForeignConnection, error_text
from .report import format_report
from .roster import Roster, free_name
from .summary import summarise

__all__ = [
    "Monitor",
    "diagnose_connection_issues",
    "get_monitor",
    "get_summary",
    "print_connection_report",
]

#: Messages or bytes that one call may add.
MOST_COUNTED = 2**63 - 1

_STATES = tuple(state.value for state in ConnectionState)


class Monitor:
    """Tells how connections are. All members may be used from any thread.

    A connection belongs to the monitor that it was made with (``monitor=``), else to the
    default one (:func:`get_monitor`). It is seen as long as it exists, and for a while after
    its end: then with its last stats, even when the object is gone.

    :param registry: which connections it reads; None: one of its own, for
        ``ResilientWebSocket(monitor=...)``.
    :param thresholds: from where on something is an issue; None: ``Thresholds()``.
    :param keep_stopped: seconds for which a connection is seen after it was stopped. One that
        has failed is seen as long as the object exists.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        *,
        registry: ConnectionRegistry | None = None,
        thresholds: Thresholds | None = None,
        keep_stopped: float = 3600.0,
    ) -> None:
        if registry is not None and not isinstance(registry, ConnectionRegistry):
            raise ConfigurationError(
                f"registry is {registry!r:.60}; allowed: a ConnectionRegistry, or None"
            )
        check_seconds("keep_stopped", keep_stopped)
        self.registry = ConnectionRegistry() if registry is None else registry
        self.thresholds = checked_thresholds(thresholds, Thresholds())
        self._keep_stopped = keep_stopped
        self._began = monotonic()
        self._roster = Roster(self.registry, keep_stopped)
        self._lock = threading.Lock()  # guards _foreign and what is in it
        self._foreign: dict[str, ForeignConnection] = {}
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
        return self._summarise(self._look())

    def diagnose_connection_issues(
        self, thresholds: Thresholds | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what is wrong, and what to do.

        :param thresholds: from where on something is an issue; None: the monitor's.
        :returns: {issue: [{connection, value, threshold, detail, suggestion}]}, JSON can hold
            it. The issues are always all there, and empty when fine: high_error_rate,
            frequent_reconnects, stale_connections, lost_connections, slow_handlers,
            dropped_messages, high_latency, subscription_limits, data_gaps.
        :raises ConfigurationError: thresholds is something else.
        """
        return diagnose(self._look(), checked_thresholds(thresholds, self.thresholds))

    def get_history(self, name: str | None = None, *, since: float = 0.0) -> dict[str, Any]:
        """Return what has happened, as plain values that JSON can hold, oldest first.

        :param name: of one connection, as it stands in the summary; None: all of them.
        :param since: wall clock; leave out what was over before it.
        :returns: {"at": wall clock, "connections": {name: {"events": [{at, kind, close_code,
            text, attempts, lasted}], "errors": [{at, text}], "rates": [[at, messages a minute]],
            "rtt": [[at, seconds]], "gaps": [{at, reason, topics, started_at, ended_at,
            recovered}]}}}; a name that is not known is left out.

        An event is an outage: from the end of a connection, or the first failed attempt, its
        cause, the attempts that have failed since, and the seconds until there was a connection
        again, or None. There is one point of rates and rtt a minute, for a day, and one for
        the minute that is running.
        """
        histories = self._histories(monotonic())
        if name is not None:
            histories = {name: histories[name]} if name in histories else {}
        return {
            "at": wall_clock(),
            "connections": {one: history.as_dict(since) for one, history in histories.items()},
        }

    def print_connection_report(self, file: TextIO | None = None) -> None:
        """Print a table and the issues, to be read in 80 columns, without colours.

        :param file: where to; None: standard output.
        """
        look = self._look()
        events = {
            name: {"events": [outage.as_dict() for outage in seen.history.outages_since(0.0)]}
            for name, seen in look.items()
        }
        text = format_report(
            self._summarise(look),
            issues=diagnose(look, self.thresholds),
            history={"at": wall_clock(), "connections": events},
        )
        stream = sys.stdout if file is None else file
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # A name that the terminal cannot show must not cost the report.
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)

    # How it looks.

    def _look(self) -> dict[str, Observation]:
        """Look at every connection once; what is told afterwards is all of this look."""
        now, wall = monotonic(), wall_clock()
        look: dict[str, Observation] = {}
        for name, seen in self._roster.named(now).items():
            stats = seen.stats()
            stats["name"] = name
            is_stopped = stats["state"] == ConnectionState.DISCONNECTED
            look[name] = Observation(stats, seen.history, now, is_stopped)
        with self._lock:
            for foreign in self._foreign_seen(now):
                name = free_name(foreign.name, look)
                stats = foreign.stats(now, wall) | {"name": name}
                look[name] = Observation(
                    stats, foreign.history, now, foreign.stopped_at is not None
                )
        return look

    def _summarise(self, look: dict[str, Observation]) -> dict[str, Any]:
        stats = {name: seen.stats for name, seen in look.items()}
        return summarise(stats, uptime=monotonic() - self._began)

    def _histories(self, now: float) -> dict[str, ConnectionHistory]:
        histories = {name: seen.history for name, seen in self._roster.named(now).items()}
        with self._lock:
            for foreign in self._foreign_seen(now):
                histories[free_name(foreign.name, histories)] = foreign.history
        return histories

    def _foreign_seen(self, now: float) -> list[ForeignConnection]:
        """Those recorded, without those that were stopped long ago; the lock is held."""
        for name, foreign in list(self._foreign.items()):
            stopped_at = foreign.stopped_at
            if stopped_at is not None and now - stopped_at > self._keep_stopped:
                del self._foreign[name]
        return list(self._foreign.values())

    # Connections of other libraries.

    def record_message(self, name: str, count: int = 1, size: int = 0) -> None:
        """Count messages that a connection of another library has received.

        :param name: any; the first use makes the connection known.
        :param count: how many messages, at most 2**63 - 1.
        :param size: bytes of all of them, likewise.
        :raises ConfigurationError: an argument is wrong.
        """
        _check_count("count", count)
        _check_count("size", size)
        with self._lock:
            now = monotonic()
            self._recorded(name, now).add_messages(count, size, now)

    def record_error(self, name: str, error: BaseException | str) -> None:
        """Count an error of such a connection, and keep its text as last_error, redacted.

        :raises ConfigurationError: the name is wrong.
        """
        text = error_text(error)
        with self._lock:
            now = monotonic()
            self._recorded(name, now).add_error(text, now)

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
        name, wall = _checked_name(name), wall_clock()
        known = self._foreign.get(name)
        if known is None:
            known = self._foreign[name] = ForeignConnection(name, now, wall)
        known.wall_ahead = wall - now
        return known

    def _forget_threads(self) -> None:
        """In a child after a fork: a lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()
        self._roster.forget_threads()


def _check_count(name: str, value: object) -> None:
    """Check what is added up: more than 64 bits neither JSON nor a metric could hold."""
    check_integer(name, value, minimum=0)
    if isinstance(value, int) and value > MOST_COUNTED:
        raise ConfigurationError(
            f"{name} has {value.bit_length()} bits; allowed: at most 2**63 - 1, {MOST_COUNTED:,}"
        )


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name is {name!r:.60}; allowed: a str that is not empty")
    return name


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


def diagnose_connection_issues(
    thresholds: Thresholds | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return :meth:`Monitor.diagnose_connection_issues` of the default monitor.

    :param thresholds: from where on something is an issue; None: ``Thresholds()``.
    """
    return _default.diagnose_connection_issues(thresholds)


def print_connection_report(file: TextIO | None = None) -> None:
    """Call :meth:`Monitor.print_connection_report` of the default monitor.

    :param file: where to; None: standard output.
    """
    _default.print_connection_report(file)
