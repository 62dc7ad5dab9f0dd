"""What a pool does over time: warm-up, rotation, moves, restarts. One thread, many small steps.

It waits for nothing but its next look: connections are asked to start and to stop, handovers go
on by themselves. Which topics go where is the pool's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from ..core.events import Message
from ..core.placement import Move
from ..core.pool_settings import PoolSettings
from ..core.warmup import start_delay
from .clock import monotonic
from .handover import CATCH_UP, Handover, Phase
from .logs import Log
from .pool_member import PoolMember
from .pool_roster import PoolRoster
from .threads import gather, spawn

__all__ = ["PoolKeeper"]

log = Log("wsresilient.pool")

#: Seconds between two looks while something is under way, and while nothing is.
BUSY_PAUSE = 0.02
IDLE_PAUSE = 1.0
#: Rotations at a time: each needs a connection more than there are.
MOST_ROTATIONS = 4
#: Seconds after which a rotation that did not work is tried again.
ROTATE_AGAIN = 60.0


@dataclass(eq=False, slots=True)
class _Moving:
    """A handover and what it is for.

    :ivar retires: whether the old connection ends with it.
    :ivar done_at: monotonic time of the switch.
    """

    handover: Handover
    old: PoolMember
    new: PoolMember
    retires: bool
    done_at: float = 0.0


class PoolKeeper:
    """Looks after the members of one pool.

    :param name: of the pool.
    :param roster: the members.
    :param make: makes the successor of a member, not started.
    :param subscribe: subscribes topics, with their handlers, on a member.
    :param key_of: names a message.
    :param is_due: tells whether a member of this name and age is to be rotated.
    :param has_spare: tells whether so many connections more may be open for a while.
    """

    def __init__(
        self,
        name: str,
        settings: PoolSettings,
        roster: PoolRoster,
        *,
        make: Callable[[PoolMember], PoolMember],
        subscribe: Callable[[PoolMember, Iterable[str]], None],
        key_of: Callable[[Message], Hashable],
        is_due: Callable[[str, float], bool],
        has_spare: Callable[[int], bool],
    ) -> None:
        self._name = name
        self._settings = settings
        self._roster = roster
        self._make = make
        self._subscribe = subscribe
        self._key_of = key_of
        self._is_due = is_due
        self._has_spare = has_spare
        # Guarded by the roster's lock:
        self._to_start: deque[tuple[float, PoolMember]] = deque()  # when, who
        self._warm_up_from = 0.0
        self._warmed = 0  # members since then
        self._to_rotate: dict[str, str] = {}  # name -> why
        self._moving: list[_Moving] = []
        self._draining: list[_Moving] = []
        self._rotate_not_before: dict[str, float] = {}
        self.rotations = 0
        self._duplicates = 0  # of moves that are over
        self._wake = threading.Event()
        self._progress = threading.Event()  # never set: a wait that names what it is for
        self._stopping = False
        self._thread: threading.Thread | None = None

    # From any thread.

    def start_later(self, member: PoolMember) -> None:
        """Start a member when its turn in the warm-up comes."""
        now = monotonic()
        with self._roster.hold():
            due = self._warm_up_from + self._delay_of(self._warmed)
            if due < now and not self._to_start:
                # The last one was long ago: a warm-up of its own.
                self._warm_up_from, self._warmed, due = now, 0, now
            self._warmed += 1
            self._to_start.append((due, member))
        self._wake.set()

    def _delay_of(self, index: int) -> float:
        return start_delay(
            index,
            batch_size=self._settings.connect_batch_size,
            batch_interval=self._settings.connect_batch_interval,
        )

    def rotate_soon(self, name: str, why: str) -> None:
        """Replace a member as soon as possible; it must not wait, and does not."""
        with self._roster.hold():
            self._to_rotate.setdefault(name, why)
        self._wake.set()

    def move(self, moves: Iterable[Move]) -> None:
        """Begin to move topics between members, without a hole."""
        pairs: dict[tuple[str, str], list[str]] = {}
        for one in moves:
            pairs.setdefault((one.source, one.target), []).append(one.topic)
        now = monotonic()
        with self._roster.hold():
            for (source, target), topics in pairs.items():
                old, new = self._roster.get(source), self._roster.get(target)
                if old is not None and new is not None:
                    self._begin(topics, old, new, retires=False, now=now)
        self._wake.set()

    @property
    def is_moving(self) -> bool:
        """Whether topics are on their way from one member to another."""
        return bool(self._moving or self._to_rotate)

    @property
    def waiting(self) -> int:
        """Members whose turn has not come."""
        return len(self._to_start)

    def duplicates_dropped(self) -> int:
        """Tell how many messages came over both connections of a move."""
        with self._roster.hold():
            under_way = [*self._moving, *self._draining]
            return self._duplicates + sum(one.handover.duplicates for one in under_way)

    def topics_under_way(self) -> set[str]:
        """Give the topics that are moving; the roster's lock is held."""
        return {topic for one in self._moving for topic in one.handover.topics}

    def wait_for_progress(self, timeout: float) -> None:
        """Wait a little, at most so many seconds."""
        self._progress.wait(timeout)

    def start(self) -> None:
        """Begin to look after the members."""
        self._stopping = False
        self._thread = spawn(self._run, name=f"wsr-pool-{self._name}")

    def request_stop(self) -> None:
        """Do nothing more."""
        self._stopping = True
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end."""
        thread = self._thread
        return thread is None or not gather([thread], timeout=timeout)

    # The thread.

    def _run(self) -> None:
        while not self._stopping:
            pause = IDLE_PAUSE
            try:
                pause = self._look(monotonic())
            except Exception:
                # A bug in one step must not end the care for all.
                log.exception("%s: looking after the pool failed", self._name)
            self._wake.wait(pause)
            self._wake.clear()

    def _look(self, now: float) -> float:
        """Make all steps that are due; returns seconds until the next look."""
        pause = self._start_due(now)
        self._begin_rotations(now)
        self._step_moves(now)
        self._step_draining(now)
        self._watch_health(now)
        self._roster.forget_ended()
        return BUSY_PAUSE if self._moving else min(pause, IDLE_PAUSE)

    def _start_due(self, now: float) -> float:
        """Start the members whose turn has come; returns seconds until the next one's."""
        started = []
        pause = IDLE_PAUSE
        with self._roster.hold():
            wanted = set(self._roster.members())
            while self._to_start:
                due, member = self._to_start[0]
                if due > now:
                    pause = due - now
                    break
                self._to_start.popleft()
                if member in wanted:
                    member.is_started = True
                    started.append(member)
        for member in started:
            member.ws.start()
        return pause

    # Rotation and moves.

    def _begin_rotations(self, now: float) -> None:
        for member in self._roster.members():
            age = member.age
            if age is not None and self._is_due(member.name, age):
                self.rotate_soon(member.name, "planned rotation")
        with self._roster.hold():
            for name, why in list(self._to_rotate.items()):
                if sum(one.retires for one in self._moving) >= MOST_ROTATIONS:
                    return
                del self._to_rotate[name]
                found = self._roster.get(name)
                if found is not None and now >= self._rotate_not_before.get(name, 0.0):
                    self._rotate(found, why, now)

    def _rotate(self, member: PoolMember, why: str, now: float) -> None:
        """Replace a member; the roster's lock is held."""
        self._rotate_not_before[member.name] = now + ROTATE_AGAIN
        busy = any(member in (one.old, one.new) for one in self._moving)
        extra = sum(one.retires for one in self._moving) + 1
        if self._settings.rotation == "break_before_make" or not self._has_spare(extra):
            member.ws.reconnect(why)
            self.rotations += 1
        elif not busy:
            successor = self._make(member)
            self._begin(member.topics(), member, successor, retires=True, now=now)

    def _begin(
        self, topics: Iterable[str], old: PoolMember, new: PoolMember, *, retires: bool, now: float
    ) -> None:
        """Begin a handover; the roster's lock is held."""
        names = list(topics)

        def begin_new() -> None:
            self._subscribe(new, names)
            if retires:
                new.ws.start()

        handover = Handover(
            names,
            old=old,
            new=new,
            identify=lambda payload: old.identify(payload, self._key_of),
            begin_new=begin_new,
            timeout=self._settings.handover_timeout,
            now=now,
        )
        self._moving.append(_Moving(handover, old, new, retires))

    def _step_moves(self, now: float) -> None:
        for one in list(self._moving):
            phase = one.handover.step(now)
            if phase is Phase.DONE:
                self._finish(one, now)
            elif phase is Phase.FAILED:
                self._abandon(one)

    def _finish(self, one: _Moving, now: float) -> None:
        one.done_at = now
        with self._roster.hold():
            self._moving.remove(one)
            self._draining.append(one)
            if one.retires:
                self.rotations += 1
                self._roster.add(one.new)
                self._roster.let_go(one.old)
        if one.retires:
            one.new.is_started = True
            one.old.leave("replaced by a new connection")
            log.info("%s: %s has a new connection", self._name, one.new.name)
        else:
            one.old.ws.unsubscribe(*one.handover.topics)

    def _abandon(self, one: _Moving) -> None:
        with self._roster.hold():
            self._moving.remove(one)
        log.warning(
            "%s: the new connection for %s was not ready in %g s; the old one stays",
            self._name,
            one.old.name,
            self._settings.handover_timeout,
        )
        if one.retires:
            one.new.leave("it was not ready in time")
            with self._roster.hold():
                self._roster.let_go(one.new)
        else:
            one.new.ws.unsubscribe(*one.handover.topics)

    def _step_draining(self, now: float) -> None:
        """Look no more at moved topics once both servers' sides of the move are over."""
        for one in list(self._draining):
            gone = not one.old.is_connected or one.old.has_left(one.handover.topics)
            if not gone or now < one.done_at + CATCH_UP:
                continue
            self._draining.remove(one)
            self._duplicates += one.handover.duplicates
            one.new.after_queued(one.handover.release_new)
            if not one.retires:
                one.old.after_queued(one.handover.release_old)
                self._close_if_empty(one.old)

    def _close_if_empty(self, member: PoolMember) -> None:
        with self._roster.hold():
            busy = any(member in (one.old, one.new) for one in self._moving)
            if member.topics() or busy:
                return
            self._roster.let_go(member)
        member.leave("no topics are left on it")

    def close_empty(self) -> None:
        """Close the members that have no topics left."""
        for member in self._roster.members():
            self._close_if_empty(member)

    # Health.

    def _watch_health(self, now: float) -> None:
        if not self._settings.auto_restart:
            return
        for member in self._roster.members():
            if not member.is_started or member.is_refused:
                continue
            lasted = member.note_health(now)
            since = now - (member.restarted_at or -self._settings.unhealthy_after)
            if lasted >= self._settings.unhealthy_after <= since:
                log.warning("%s: %s is unhealthy and restarted", self._name, member.name)
                member.restart()
