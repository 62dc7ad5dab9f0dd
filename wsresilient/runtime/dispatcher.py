"""A few threads that serve all lanes, so that handlers never run on a reader's thread.

A lane is served by one worker at a time, but by any. When every worker is held by a slow
handler another one is started, up to a bound, so that a slow handler holds up its own
connection only. While lanes wait, a lookout sees to that. It knows lanes, not connections.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from ..config import check_integer
from .clock import monotonic
from .lanes import Lane
from .logs import Log
from .threads import gather, spawn

__all__ = ["CallingThreadDispatcher", "Dispatcher", "default_dispatcher"]

log = Log("wsresilient.dispatcher")

#: Seconds in one entry after which a worker counts as held.
HELD_AFTER = 0.05
#: Seconds that a worker beyond the usual number, or the lookout, stays without work.
SURPLUS_LIFE = 10.0
#: Entries of one lane before others get their turn.
TURN = 16


class _Worker:
    """What is known of one worker.

    :ivar since: monotonic time at which it took its current entry; inf while it has none.
    """

    __slots__ = ("since", "thread")

    def __init__(self) -> None:
        self.since = float("inf")
        self.thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether its thread exists, be it on its way out."""
        return self.thread is not None and self.thread.is_alive()


class Dispatcher:
    """Serves lanes with a few threads; shared by all connections unless you make your own.

    Threads run only while lanes are attached.

    :param workers: threads while nobody is held up.
    :param max_workers: the bound while handlers are slow.
    :param name: of the threads: ``wsr-dispatch-<n>``.
    :raises ConfigurationError: a number is not allowed.
    """

    def __init__(
        self, *, workers: int = 2, max_workers: int = 64, name: str = "wsr-dispatch"
    ) -> None:
        check_integer("workers", workers, minimum=1)
        check_integer("max_workers", max_workers, minimum=workers)
        self._usual = workers
        self._most = max_workers
        self._name = name
        self._started = 0  # guarded by _lock
        self._era = 0  # counts forks
        self._begin_anew()

    def _begin_anew(self) -> None:
        # None wakes an idle worker, to see whether its time is over.
        self._ready: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        # Set when lanes wait and no worker is idle.
        self._pressed = threading.Event()
        # Set while no lane is attached, so that the lookout need not be waited for.
        self._deserted = threading.Event()
        self._lock = threading.Lock()  # guards the fields below
        self._lanes: set[Lane] = set()
        self._workers: set[_Worker] = set()
        self._leaving: set[_Worker] = set()  # gone from the above, their threads not yet ended
        self._idle = 0
        self._lookout: _Worker | None = None

    def __repr__(self) -> str:
        with self._lock:
            return (
                f"<Dispatcher {self._name}: {len(self._lanes)} lanes, "
                f"{len(self._workers)} workers, {self._idle} of them idle>"
            )

    @property
    def thread_count(self) -> int:
        """Workers that exist now."""
        with self._lock:
            return len(self._workers)

    def attach(self, lane: Lane) -> None:
        """Serve a lane from now on."""
        with self._lock:
            self._lanes.add(lane)
            self._deserted.clear()
        lane.attach(self)

    def detach(self, *lanes: Lane) -> None:
        """Serve some lanes no more; with the last lane the threads end."""
        with self._lock:
            self._lanes.difference_update(lanes)
            if not self._lanes:
                self._pressed.set()
                self._deserted.set()
                if self._idle:
                    self._ready.put(None)

    def join(self, *, timeout: float) -> bool:
        """Wait for the threads to end, if no lane is attached.

        :param timeout: seconds.
        :returns: whether they have ended, or are needed by others; the caller does not count.
        """
        with self._lock:
            if self._lanes:
                return True
            everybody = [*self._workers, *self._leaving]
            if self._lookout is not None:
                everybody.append(self._lookout)
            threads = [worker.thread for worker in everybody if worker.thread is not None]
        return not gather(threads, timeout=timeout)

    def schedule(self, lane: Lane) -> None:
        """See :class:`wsresilient.runtime.lanes.LaneServer`."""
        self._ready.put(lane)
        self.relieve()

    def relieve(self) -> None:
        """Start a worker if lanes wait and all workers are held; cheap, called often."""
        if self._idle > 0:
            return
        with self._lock:
            if self._idle > 0 or self._ready.empty():
                return
            newcomer = _Worker()
            work: Callable[[_Worker], None]
            if self._needs_worker(monotonic()):
                self._workers.add(newcomer)
                work = self._work
            elif self._lookout is None and len(self._workers) < self._most:
                self._lookout = newcomer
                work = self._look_out
            else:
                self._pressed.set()
                return
            self._started += 1
            number = self._started
        try:
            newcomer.thread = spawn(work, newcomer, name=f"{self._name}-{number}")
        except RuntimeError as error:  # the interpreter is shutting down
            with self._lock:
                self._workers.discard(newcomer)
                if self._lookout is newcomer:
                    self._lookout = None
            log.debug("no more workers: %s", error)

    def _needs_worker(self, now: float) -> bool:
        count = len(self._workers)
        if count < self._usual:
            return True
        # The one that took its entry last tells whether any of them is on the move.
        youngest = max(worker.since for worker in self._workers)
        return count < self._most and youngest < now - HELD_AFTER

    def _look_out(self, me: _Worker) -> None:
        """Call relieve() while lanes wait, since those who put into them may not come again."""
        while True:
            self._deserted.wait(HELD_AFTER)
            self.relieve()
            if self._ready.empty():
                self._pressed.wait(SURPLUS_LIFE)
            with self._lock:
                if not self._lanes or (self._ready.empty() and not self._pressed.is_set()):
                    if self._lookout is me:
                        self._lookout = None
                    self._leave(me)
                    return
                self._pressed.clear()

    def _work(self, worker: _Worker) -> None:
        era = self._era
        while era == self._era:  # a handler that forks comes back in the child, too
            lane = self._next_lane(worker)
            if lane is None:
                return
            self._serve(lane, worker)

    def _next_lane(self, worker: _Worker) -> Lane | None:
        """Wait for a lane; None when this worker's time is over."""
        worker.since = float("inf")
        lane: Lane | None = None
        while lane is None:
            with self._lock:
                if not self._lanes and self._ready.empty():
                    self._leave(worker)
                    return None
                self._idle += 1
                surplus = len(self._workers) > self._usual
            lane = self._get(SURPLUS_LIFE if surplus else None)
            with self._lock:
                self._idle -= 1
                if lane is None:
                    # schedule() puts first and then looks at _idle, so one more look suffices.
                    lane = self._get(0.0)
                if lane is None and (not self._lanes or len(self._workers) > self._usual):
                    self._leave(worker)
                    if not self._lanes and self._idle:
                        self._ready.put(None)  # the next one's time is over too
                    return None
        if not self._ready.empty():
            self.relieve()  # a lane came while this worker still passed for idle
        return lane

    def _leave(self, worker: _Worker) -> None:
        """Count a worker no more, but let join() wait for its thread; _lock is held."""
        worker.thread = threading.current_thread()  # it may be quicker than who started it
        self._workers.discard(worker)
        self._leaving = {other for other in self._leaving if other.running} | {worker}

    def _get(self, timeout: float | None) -> Lane | None:
        try:
            return self._ready.get(timeout=timeout)
        except queue.Empty:
            return None

    def _serve(self, lane: Lane, worker: _Worker) -> None:
        try:
            again = serve_turn(lane, worker)
        except BaseException:
            # Handlers are isolated, so this is a bug; it must not cost the lane its worker.
            log.exception("serving a lane failed; it goes on")
            again = lane.hand_back()
        if again:
            self.schedule(lane)

    def forget_threads(self) -> None:
        """Begin anew in a child after a fork, where no thread of the parent exists."""
        self._era += 1
        self._begin_anew()


def serve_turn(lane: Lane, worker: _Worker) -> bool:
    """Serve some entries of a lane; returns whether it has to be scheduled again."""
    lane.begin()
    for _ in range(TURN):
        entry = lane.take()
        if entry is None:
            return False
        worker.since = monotonic()
        try:
            lane.serve(entry)
        finally:
            lane.done(entry)
    return lane.hand_back()


class CallingThreadDispatcher(Dispatcher):
    """Serves its lanes on the thread that calls :meth:`serve_until`, and on no other.

    For programs whose handlers rely on running where ``run_forever`` was called.
    """

    def __init__(self) -> None:
        super().__init__(name="wsr-dispatch-here")
        self._here = _Worker()

    def relieve(self) -> None:
        """Nothing: there is one thread, and it is the caller's."""

    def wake(self) -> None:
        """Let :meth:`serve_until` look; it takes no lock, so that a signal handler may call it."""
        self._ready.put(None)

    def serve_until(self, ended: Callable[[], bool]) -> None:
        """Serve lanes until ``ended`` says so; looks at least once a second."""
        while not ended():
            lane = self._get(1.0)
            if lane is not None and serve_turn(lane, self._here):
                self.schedule(lane)


_default = Dispatcher()


def default_dispatcher() -> Dispatcher:
    """Return the one that all connections share."""
    return _default
