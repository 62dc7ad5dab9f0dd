"""Who is seen, and under which name: unique names that a connection keeps as long as it runs."""

from __future__ import annotations

import threading
from collections.abc import Container
from typing import Any, NamedTuple

from ..core.history import ConnectionHistory
from ..core.state import ConnectionState
from ..runtime.registry import ConnectionRegistry, Record, Registered

__all__ = ["Roster", "Seen", "free_name"]


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name, or "name#2", "name#3" where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


class Seen(NamedTuple):
    """A connection of the library.

    :ivar connection: None when the object is gone; then its last stats are shown.
    """

    number: int
    record: Record
    connection: Registered | None

    @property
    def history(self) -> ConnectionHistory:
        """Its past."""
        return self.record.history

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.connection is not None and self.connection.is_running

    def stats(self) -> dict[str, Any]:
        """Its stats, now or at its end."""
        if self.connection is not None:
            return self.connection.get_stats()
        return self.record.last_stats()


class Roster:
    """Names the connections of a registry.

    A stopped connection gives way: a script that stops one and makes the next finds the next
    one under the plain name. One that is gone is no longer seen once another of its name has
    been made.

    :param registry: whose connections.
    :param keep_stopped: seconds after its end for which a connection is seen. One that has
        failed is seen as long as it exists.
    """

    def __init__(self, registry: ConnectionRegistry, keep_stopped: float) -> None:
        self._registry = registry
        self._keep_stopped = keep_stopped
        self._lock = threading.Lock()  # guards _names
        self._names: dict[int, str] = {}  # by the number of the entry

    def named(self, now: float) -> dict[str, Seen]:
        """Those that are seen, by their names, oldest first.

        :param now: monotonic seconds.
        """
        seen = self._seen(now)
        names: dict[int, str] = {}
        taken: set[str] = set()
        with self._lock:
            known = self._names
            for one in sorted(seen, key=lambda one: (not one.is_running, one.number not in known)):
                name = known.get(one.number)
                if name is None or name in taken:
                    name = free_name(one.record.name, taken)
                taken.add(name)
                names[one.number] = name
            self._names = names
        return {names[one.number]: one for one in seen}

    def _seen(self, now: float) -> list[Seen]:
        seen: list[Seen] = []
        successors: set[str] = set()
        for entry in reversed(self._registry.entries()):
            one = Seen(entry.number, entry.record, entry.connection)
            is_replaced = one.connection is None and one.record.name in successors
            if is_replaced or self._is_past(one, now):
                continue
            successors.add(one.record.name)
            seen.append(one)
        seen.reverse()
        return seen

    def _is_past(self, one: Seen, now: float) -> bool:
        ended_at = one.record.ended_at
        if ended_at is None:
            return one.connection is None
        if now - ended_at <= self._keep_stopped or one.is_running:
            return False
        return one.connection is None or one.record.state is not ConnectionState.FAILED

    def forget_threads(self) -> None:
        """In a child after a fork: the lock may have been held by a thread that is no more."""
        self._lock = threading.Lock()
