"""Who is in a pool: its members, those that are leaving, and the one lock over them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator

from ..core.placement import Load
from ..errors import SubscriptionError
from .pool_member import PoolMember

__all__ = ["PoolRoster"]


class PoolRoster:
    """The members of one pool, in the order in which they came.

    :meth:`hold` is the pool's lock: it guards the members, their fields, what is kept of those
    that are gone, and what the pool and its keeper plan with them. Nothing that waits and no
    handler is called while it is held; other locks are taken inside of it, never around it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._members: dict[str, PoolMember] = {}
        self._leaving: list[PoolMember] = []
        #: What members that are gone had counted, and the topics that were refused there.
        self.messages_before = 0
        self.reconnects_before = 0
        self.failed_before: dict[str, SubscriptionError] = {}

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the pool's lock."""
        with self._lock:
            yield

    def members(self) -> list[PoolMember]:
        """Give all that carry topics, or are to."""
        with self._lock:
            return list(self._members.values())

    def everybody(self) -> list[PoolMember]:
        """Give the members, those that are about to replace them, and those that are leaving."""
        with self._lock:
            members = list(self._members.values())
            successors = [one.replacement.member for one in members if one.replacement is not None]
            return [*members, *successors, *self._leaving]

    def get(self, name: str) -> PoolMember | None:
        """Find a member."""
        with self._lock:
            return self._members.get(name)

    def has(self, member: PoolMember) -> bool:
        """Whether it is a member, and not one that was replaced or has left."""
        with self._lock:
            return self._members.get(member.name) is member

    def has_left(self, member: PoolMember) -> bool:
        """Whether it was asked to end, and will not connect again."""
        with self._lock:
            return member in self._leaving

    def add(self, member: PoolMember) -> None:
        """Add a member; one of the same name gives way and leaves."""
        with self._lock:
            before = self._members.get(member.name)
            self._members[member.name] = member
            if before is not None:
                self._note_leaving(before)

    def let_go(self, member: PoolMember) -> None:
        """Let a member leave: it is asked to stop, and joined later."""
        with self._lock:
            if self._members.get(member.name) is member:
                del self._members[member.name]
            self._note_leaving(member)

    def _note_leaving(self, member: PoolMember) -> None:
        member.ws.is_retired = True
        if member not in self._leaving:
            self._leaving.append(member)
            wanted = {topic for one in self._members.values() for topic in one.topics()}
            failed = member.ws.failed_subscriptions.items()
            # A connection that did not get its topics may have been refused what lives elsewhere.
            self.failed_before |= {topic: error for topic, error in failed if topic not in wanted}

    def forget_failed(self, topics: Iterable[str]) -> None:
        """Forget that these topics were refused: they are asked for again, or wanted no more."""
        with self._lock:
            for topic in topics:
                self.failed_before.pop(topic, None)

    def forget_ended(self) -> None:
        """Forget those that have left, with all their threads."""
        with self._lock:
            for member in list(self._leaving):
                if member.ws.is_running or not member.ws.end(0.0):
                    continue
                self._leaving.remove(member)
                stats = member.ws.get_stats()
                self.messages_before += stats["message_count"]
                self.reconnects_before += stats["reconnect_count"]

    def loads(self, plane: int, *, by_rate: bool = False) -> list[Load]:
        """Say what the members of a plane carry."""
        return [member.load(by_rate=by_rate) for member in self.members() if member.plane == plane]

    def forget_threads(self) -> None:
        """In a child after a fork: nobody holds the lock, and nobody is leaving."""
        self._lock = threading.RLock()
        self._leaving = []
        for member in self._members.values():
            member.forget_threads()
