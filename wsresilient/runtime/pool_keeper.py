"""What a pool does over time: warm-up, rotation, moves, restarts. One thread, many small steps.

It waits for nothing but its next look: connections are asked to start and to stop, handovers go
on by themselves (``pool_moves.py``). Which topics go where is the pool's business.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from ..core.placement import Move
from ..core.pool_settings import PoolSettings
from ..core.state import ConnectionState
from ..errors import WSResilientError, describe
from .clock import monotonic
from .logs import Log
from .pool_member import PoolMember
from .pool_moves import PoolMoves
from .pool_roster import PoolRoster
from .pool_warmup import WarmUp
from .rotation_plan import RotationPlan
from .threads import gather, spawn

__all__ = ["PoolKeeper"]

log = Log("wsresilient.pool")

#: Seconds between two looks while something is under way, and while nothing is.
BUSY_PAUSE = 0.02
IDLE_PAUSE = 1.0
#: Rotations at a time: each needs a connection more than there are, or makes a hole.
MOST_ROTATIONS = 4
#: Seconds after which a rotation that did not work is tried again.
ROTATE_AGAIN = 60.0
#: Seconds for which others wait for a connection that is gone and not back yet.
REJOIN_WITHIN = 10.0
#: Seconds after which a member that could not be started is tried again.
START_AGAIN = 0.2


class PoolKeeper:
    """Looks after the members of one pool.

    :param name: of the pool.
    :param settings: of the pool.
    :param roster: the members; its lock guards the fields here.
    :param moves: the handovers.
    :param make: makes the successor of a member, not started.
    :param plan: gives the moves that even the members out.
    :param rotation_plan: tells which members are to be rotated; it calls the user's veto.
    :param has_spare: tells whether one connection more may be open for a while.
    """

    def __init__(
        self,
        name: str,
        settings: PoolSettings,
        roster: PoolRoster,
        moves: PoolMoves,
        *,
        make: Callable[[PoolMember], PoolMember],
        plan: Callable[[], Iterable[Move]],
        rotation_plan: RotationPlan,
        has_spare: Callable[[], bool],
    ) -> None:
        self._name = name
        self._settings = settings
        self._roster = roster
        self._moves = moves
        self._make = make
        self._plan = plan
        self._rotation_plan = rotation_plan
        self._has_spare = has_spare
        self._warm_up = WarmUp(
            batch_size=settings.connect_batch_size,
            batch_interval=settings.connect_batch_interval,
        )
        self._to_rotate: dict[PoolMember, str] = {}  # who, why
        self._rejoining: dict[PoolMember, tuple[int, float]] = {}  # generation before, until when
        self._not_before: dict[str, float] = {}  # of rotations that did not work
        self._ask_at = 0.0  # when to ask again who is due
        self._is_uneven = False  # rebalance() was called
        self._rotations = 0  # break before make
        # Filled by any thread without the lock: whoever asks may not wait.
        self._asked: deque[tuple[PoolMember, str]] = deque()
        self._wake = threading.Event()
        self._running: object = None  # stands for one start(); None: stopped
        self._threads: list[threading.Thread] = []  # of earlier starts too, until they have ended

    def __repr__(self) -> str:
        return f"<PoolKeeper of {self._name}, {len(self._warm_up)} waiting, {self._moves!r}>"

    # From any thread.

    def start(self) -> None:
        """Begin to look after the members; the roster's lock is held."""
        self._asked.clear()
        self._to_rotate.clear()
        self._rejoining.clear()
        self._running = running = object()
        thread = spawn(self._run, running, name=f"wsr-pool-{self._name}")
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]

    def request_stop(self) -> None:
        """Do nothing more; the roster's lock is held."""
        self._running = None
        self._is_uneven = False
        self._warm_up.clear()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; the caller does not count."""
        return not gather(self._threads, timeout=timeout)

    def is_own_thread(self) -> bool:
        """Whether the calling thread is the keeper's: inside of the user's ``may_rotate``."""
        return threading.current_thread() in self._threads

    def start_later(self, member: PoolMember) -> None:
        """Start a member when its turn in the warm-up comes; the roster's lock is held."""
        self._warm_up.add(member, monotonic())
        self._wake.set()

    def rotate_soon(self, member: PoolMember, why: str) -> None:
        """Replace a member as soon as possible; it must not wait, and does not."""
        self._asked.append((member, why))
        self._wake.set()

    def even_out(self) -> None:
        """Move topics, as soon as nothing else moves; the roster's lock is held."""
        self._is_uneven = True
        self._begin_moves(monotonic())
        self._wake.set()

    @property
    def is_moving(self) -> bool:
        """Whether members are being replaced or topics are on their way; never when stopped."""
        now = monotonic()
        with self._roster.hold():
            # A step that was under way when it was stopped may ask for one more rotation.
            return self._running is not None and bool(
                self._asked
                or self._rejoining
                or self._is_uneven
                or self._moves.is_under_way
                or any(not self._is_early(member, now) for member in self._to_rotate)
            )

    @property
    def rotations(self) -> int:
        """Planned replacements of connections so far."""
        return self._rotations + self._moves.rotations

    # The thread.

    def _run(self, running: object) -> None:
        while self._running is running:
            pause = IDLE_PAUSE
            try:
                pause = self._look(running, monotonic())
            except Exception:
                # A bug in one step must not end the care for all.
                log.exception("%s: looking after the pool failed", self._name)
            self._wake.wait(pause)
            self._wake.clear()

    def _look(self, running: object, now: float) -> float:
        """Make all steps that are due; returns seconds until the next look."""
        self._ask_who_is_due(now)  # calls the user's function, so that much may be new after it
        self._start_due(running, now)
        with self._roster.hold():
            if self._running is not running:
                return IDLE_PAUSE
            self._begin_rotations(now)
            self._begin_moves(now)
        self._moves_step(now)
        self._watch_health(running, now)
        self.close_empty()
        self._roster.forget_ended()
        return self._pause(now)

    def _pause(self, now: float) -> float:
        with self._roster.hold():
            moves = self._moves
            if moves.is_under_way or not moves.has_settled or self._rejoining:
                return BUSY_PAUSE
            idle = min(IDLE_PAUSE, max(BUSY_PAUSE, self._rotation_plan.ask_every))
            if self._settings.auto_restart:
                idle = max(BUSY_PAUSE, min(idle, self._settings.unhealthy_after / 2))
            return min(idle, self._warm_up.wait(now))

    # Warm-up.

    def _start_due(self, running: object, now: float) -> None:
        """Start the members whose turn has come."""
        while True:
            with self._roster.hold():
                member = self._warm_up.take(now) if self._running is running else None
                if member is None:
                    return
                if not self._roster.has(member):
                    continue
                member.is_started = True
            if not self._begin(member):
                with self._roster.hold():
                    member.is_started = False
                    self._warm_up.postpone(member, now + START_AGAIN)

    def _begin(self, member: PoolMember) -> bool:
        try:
            return member.begin()
        except (WSResilientError, RuntimeError) as error:  # the latter: no more threads
            log.warning("%s: %s was not started: %s", self._name, member.name, describe(error))
            return False

    # Rotation.

    def _ask_who_is_due(self, now: float) -> None:
        if now < self._ask_at:
            return
        self._ask_at = now + min(IDLE_PAUSE, self._rotation_plan.ask_every)
        for member in self._roster.members():
            is_asked = member in self._to_rotate or member.replacement is not None
            age = None if is_asked else member.age
            if age is not None and self._rotation_plan.is_due(member.name, age):
                self.rotate_soon(member, "it is due")

    def _begin_rotations(self, now: float) -> None:
        """Begin what was asked for, a few at a time; the roster's lock is held."""
        while self._asked:
            member, why = self._asked.popleft()
            self._to_rotate.setdefault(member, why)
        for member, (generation, until) in list(self._rejoining.items()):
            is_back = member.generation > generation and member.is_connected
            if is_back or now >= until or not self._roster.has(member):
                del self._rejoining[member]
        for member, why in list(self._to_rotate.items()):
            is_done = not self._roster.has(member) or member.replacement is not None
            if is_done or not member.is_connected:
                del self._to_rotate[member]  # what is down gets a new connection anyway
            elif self._is_early(member, now):
                continue
            elif len(self._rejoining) + self._moves.opening(now) >= MOST_ROTATIONS:
                return
            elif not self._moves.involves(member) and self._rotate(member, why, now):
                del self._to_rotate[member]

    def _is_early(self, member: PoolMember, now: float) -> bool:
        return now < self._not_before.get(member.name, 0.0)

    def _rotate(self, member: PoolMember, why: str, now: float) -> bool:
        """Replace a member; False: not now. The roster's lock is held."""
        if self._settings.rotation == "make_before_break":
            if self._has_spare():
                self._moves.replace(member, self._make(member), now)
                return True
            if self._moves.replacing:
                return False  # there will be a spare one
        generation = member.generation
        if member.ws.rotate(why):
            self._rejoining[member] = (generation, now + REJOIN_WITHIN)
            self._rotations += 1
        return True

    def may_rotate_again(self, names: Iterable[str]) -> None:
        """Forget that rotations of these did not work."""
        with self._roster.hold():
            for name in names:
                self._not_before.pop(name, None)

    # Moves.

    def _begin_moves(self, now: float) -> None:
        """Even the members out when nothing else moves; the roster's lock is held."""
        if not self._is_uneven or self._moves.is_under_way or not self._moves.has_settled:
            return
        self._is_uneven = False
        pairs: dict[tuple[str, str], list[str]] = {}
        for one in self._plan():
            pairs.setdefault((one.source, one.target), []).append(one.topic)
        for (source, target), topics in pairs.items():
            old, new = self._roster.get(source), self._roster.get(target)
            if old is not None and new is not None:
                self._moves.move(topics, old, new, now)

    def _moves_step(self, now: float) -> None:
        for member in self._moves.step(now):
            self._not_before[member.name] = now + ROTATE_AGAIN
            self.rotate_soon(member, "it did not work before")

    def close_empty(self) -> None:
        """Let the members end that have no topics left."""
        with self._roster.hold():
            empty = [
                member
                for member in self._roster.members()
                if not member.load(by_rate=False).topics and not self._moves.involves(member)
            ]
            for member in empty:
                self._roster.let_go(member)
        for member in empty:
            member.leave("no topics are left on it")

    # Health.

    def _watch_health(self, running: object, now: float) -> None:
        for member in self._roster.members():
            if not member.is_started or self._running is not running:
                continue
            lasted = member.note_health(now)
            if member.ws.state is ConnectionState.DISCONNECTED and not member.ws.is_running:
                # Somebody has stopped it, but for us: stop() and start() of the pool at once.
                self._start_again(member)
            elif self._settings.auto_restart and member.is_given_up:
                pause = member.restart_pause(self._settings.unhealthy_after)
                if min(lasted, member.rested_for(now)) >= pause:
                    log.warning("%s: %s has failed and is restarted", self._name, member.name)
                    member.restarted_at = now
                    member.restarts += 1
                    self._begin(member)

    def _start_again(self, member: PoolMember) -> None:
        with self._roster.hold():
            if self._running is not None and self._roster.has(member):
                member.is_started = False
                self.start_later(member)

    def forget_threads(self) -> None:
        """In a child after a fork: the thread is no more."""
        self._running, self._threads = None, []
        self._wake = threading.Event()
        self._asked.clear()
        self._to_rotate.clear()
        self._rejoining.clear()
        self._is_uneven = False
        self._warm_up.clear()
        self._moves.forget_threads()
