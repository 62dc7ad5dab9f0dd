"""The handovers of a pool: members that are being replaced, and topics on their way to others.

One thread steps them (``pool_keeper.py``); any thread may ask what is under way. Which topics go
where, and which member is replaced when, is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..core.events import Gap, StateChange
from ..core.state import ConnectionState
from ..errors import describe
from .clock import wall_clock
from .handover import CATCH_UP, Handover, Phase
from .logs import Log
from .pool_member import PoolMember, Replacement
from .pool_roster import PoolRoster

__all__ = ["PoolMoves"]

log = Log("wsresilient.pool")

Subscribe = Callable[[PoolMember, Iterable[str]], None]

#: Seconds after which a handler of the old connection that is waited for holds up no others.
STUCK_AFTER = 1.0


@dataclass(eq=False, slots=True)
class _Moving:
    """A handover and what it is for.

    :ivar retires: whether the old connection ends with it.
    :ivar since: monotonic time of its beginning.
    :ivar done_at: monotonic time of its end; 0.0 before that.
    :ivar is_freeing: whether the side that has lost the topics was told that it is free.
    """

    handover: Handover
    old: PoolMember
    new: PoolMember
    retires: bool
    since: float
    done_at: float = 0.0
    is_freeing: bool = False

    @property
    def has_settled(self) -> bool:
        """Whether the topics may move again: nothing comes any more where they are not."""
        handover = self.handover
        if not handover.is_over:
            return False
        return handover.is_new_free if handover.phase is Phase.FAILED else handover.is_old_free


class PoolMoves:
    """What moves in one pool.

    :param name: of the pool.
    :param roster: the members; its lock guards the fields here.
    :param subscribe: subscribes topics, with their handlers, on a member.
    :param timeout: seconds in which a new connection has to be confirmed.
    :ivar rotations: connections that have been replaced.
    """

    def __init__(
        self, name: str, roster: PoolRoster, subscribe: Subscribe, *, timeout: float
    ) -> None:
        self._name = name
        self._roster = roster
        self._subscribe = subscribe
        self._timeout = timeout
        self._moving: list[_Moving] = []
        self._draining: list[_Moving] = []  # over, but for what may still come
        self._duplicates = 0  # of those that are forgotten
        self.rotations = 0

    def __repr__(self) -> str:
        return f"<PoolMoves {len(self._moving)} under way, {len(self._draining)} draining>"

    # What is under way; the roster's lock is held.

    @property
    def is_under_way(self) -> bool:
        """Whether topics are on their way."""
        return bool(self._moving)

    @property
    def has_settled(self) -> bool:
        """Whether every topic may move."""
        return all(one.has_settled or one.retires for one in (*self._moving, *self._draining))

    @property
    def replacing(self) -> int:
        """Connections that are open only until they take the place of another."""
        return sum(one.retires for one in self._moving)

    def opening(self, now: float) -> int:
        """Those of them that wait for the server, and not for a handler that is stuck."""
        return sum(
            (one.handover.has_begun or now < one.since + STUCK_AFTER)
            and one.handover.phase is not Phase.SWITCHING
            for one in self._moving
            if one.retires
        )

    def involves(self, member: PoolMember) -> bool:
        """Whether a member gives or gets topics right now."""
        return any(member in (one.old, one.new) for one in self._moving)

    @property
    def duplicates(self) -> int:
        """Messages that came over both connections of a move."""
        under_way = (*self._moving, *self._draining)
        return self._duplicates + sum(one.handover.duplicates for one in under_way)

    def forget(self, topics: Iterable[str]) -> None:
        """Let go of topics that are wanted no more."""
        gone = frozenset(topics)
        for one in (*self._moving, *self._draining):
            one.handover.forget(gone)

    # Beginnings; the roster's lock is held.

    def replace(self, old: PoolMember, new: PoolMember, now: float) -> None:
        """Begin to replace a member by another one that is not started."""
        new.is_hidden = True

        def begin() -> None:
            with self._roster.hold():
                if handover.is_over:
                    return
                topics = old.topics()
                handover.include(topics)
                self._subscribe(new, topics)
                new.is_started = True
            new.begin()

        handover = self._handover(old.topics(), old, new, begin, now)
        old.replacement = Replacement(new, handover)
        self._moving.append(_Moving(handover, old, new, retires=True, since=now))

    def move(self, topics: Iterable[str], old: PoolMember, new: PoolMember, now: float) -> None:
        """Begin to move topics from one member to another."""
        names = set(topics)
        if not old.is_started:  # nothing comes yet that could be lost
            self._subscribe(new, names)
            old.unsubscribe(names)
            return

        def begin() -> None:
            with self._roster.hold():
                new.incoming -= names
                if not handover.is_over:
                    self._subscribe(new, handover.topics)

        new.incoming |= names
        old.outgoing |= names
        handover = self._handover(names, old, new, begin, now)
        self._moving.append(_Moving(handover, old, new, retires=False, since=now))

    def _handover(
        self,
        topics: Iterable[str],
        old: PoolMember,
        new: PoolMember,
        begin: Callable[[], None],
        now: float,
    ) -> Handover:
        return Handover(
            topics,
            old=old,
            new=new,
            identify=old.identify,
            identify_new=new.identify,
            begin_new=begin,
            timeout=self._timeout,
            now=now,
            most_held=new.ws.config.queue_size,
            most_held_bytes=new.ws.config.queue_bytes,
        )

    def cancel(self) -> None:
        """Let go of everything, since the pool is being stopped: topics stay where they were."""
        moving, self._moving = self._moving, []
        draining, self._draining = self._draining, []
        for one in (*moving, *draining):
            one.handover.cancel()
            self._duplicates += one.handover.duplicates
        for one in moving:
            if one.retires:
                one.old.give_up_replacement()
                self._roster.let_go(one.new)
            else:
                one.new.unsubscribe(one.handover.topics)
                one.old.outgoing -= one.handover.topics

    # Steps, on the keeper's thread.

    def step(self, now: float) -> list[PoolMember]:
        """Go on with everything that is under way.

        :returns: members whose replacement did not work.
        """
        with self._roster.hold():
            moving, draining = list(self._moving), list(self._draining)
        abandoned = []
        for one in moving:
            if one.new.ws.state is ConnectionState.FAILED:
                one.handover.fail()
            elif one.handover.has_begun and one.new.generation == 0:
                one.handover.postpone(now)  # it waits for the budget of connects
            phase = one.handover.step(now)
            if phase is Phase.DONE:
                self._finish(one, now)
            elif phase is Phase.FAILED:
                self._abandon(one, now)
                if one.retires:
                    abandoned.append(one.old)
        for one in draining:
            self._drain(one, now)
        return abandoned

    def _end(self, one: _Moving, now: float) -> bool:
        """Take it out of those that are under way; False: it was cancelled. The lock is held."""
        if one not in self._moving:
            return False
        self._moving.remove(one)
        one.done_at = now
        return True

    def _finish(self, one: _Moving, now: float) -> None:
        """Let the topics be on the new connection alone."""
        old, new = one.old, one.new
        with self._roster.hold():
            if not self._end(one, now):
                return
            self._draining.append(one)
            state = old.ws.state
            if one.retires:
                self.rotations += 1
                old.replacement = None
                self._roster.add(new)
                new.ws.take_place_of(old.ws)
                old.is_hidden, new.is_hidden = True, False
            else:
                old.unsubscribe(one.handover.topics)
        if one.retires:
            old.leave("replaced by a new connection")
            log.info("%s: %s has a new connection", self._name, new.name)
            if state is not ConnectionState.CONNECTED:
                self._tell_state(new, state)
        if one.handover.has_hole:
            self._tell_hole(one)

    def _tell_state(self, new: PoolMember, previous: ConnectionState) -> None:
        """Say that a stream that was down is up again; users saw nothing of the new connection."""
        change = StateChange(
            state=new.ws.state,
            message="it has a new connection",
            retry_count=0,
            previous=previous,
            connection=new.name,
            at=wall_clock(),
        )
        new.ws.tell("state", change)

    def _tell_hole(self, one: _Moving) -> None:
        now, age = wall_clock(), one.old.ws.record.last_message_age
        gap = Gap(
            connection=one.new.name,
            topics=tuple(sorted(one.handover.topics)),
            reason="rotation",
            started_at=now if age is None else now - age,
            ended_at=now,
        )
        one.new.ws.tell_gap(gap)

    def _abandon(self, one: _Moving, now: float) -> None:
        """Leave the topics where they are, since the new connection did not get them."""
        new, error = one.new, one.handover.error
        with self._roster.hold():
            if not self._end(one, now):
                return
            if one.retires:
                one.old.give_up_replacement()
                self._roster.let_go(new)
            else:
                self._draining.append(one)
                new.unsubscribe(one.handover.topics)
                one.old.outgoing -= one.handover.topics
        why = new.ws.last_error or f"not ready within {self._timeout:g} s"
        log.warning(
            "%s: %s keeps its topics, since the new connection did not get them: %s",
            self._name,
            one.old.name,
            why if error is None else describe(error),
        )
        if one.retires:
            new.leave("it did not get the topics")

    def _drain(self, one: _Moving, now: float) -> None:
        """Look no more at moved topics once nothing can come any more where they are not."""
        handover = one.handover
        has_failed = handover.phase is Phase.FAILED
        loser, free = (
            (one.new, handover.release_new) if has_failed else (one.old, handover.release_old)
        )
        if not one.is_freeing and loser.has_left(handover.topics):
            one.is_freeing = True
            loser.after_queued(free)
        if not one.has_settled:
            return
        if not has_failed:
            if now < one.done_at + CATCH_UP:
                return
            one.new.after_queued(handover.release_new)
        with self._roster.hold():
            if one in self._draining:
                self._draining.remove(one)
                self._duplicates += handover.duplicates

    def forget_threads(self) -> None:
        """In a child after a fork: nothing is under way."""
        self._moving, self._draining = [], []
