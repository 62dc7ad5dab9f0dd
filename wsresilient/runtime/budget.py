"""A budget of connects for one address: over pools of a process, and over processes.

Exchanges count new connections by address, so all that connect from one share a limit. A
:class:`ConnectLimiter` books connects and never waits: whoever may not connect yet is told when
to ask again.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ..config import check_integer, check_seconds
from ..core.warmup import window_wait
from ..errors import ConfigurationError, describe
from .clock import monotonic
from .logs import Log

__all__ = ["ConnectLimiter"]

log = Log("wsresilient.budget")

#: Seconds until a lock that another process holds is asked for again; it is held for microseconds.
LOCK_PAUSE = 0.01
#: What a state file begins with, so that no other file is overwritten by mistake.
HEADER = b"wsresilient connects 1\n"
#: Times in a state file: enough for those who share it with other limits than ours.
MOST_KEPT = 1000
KEPT_FOR = 600.0
#: msvcrt locks bytes, also such as no file has; those in use must stay readable.
LOCKED_BYTE = 0x7FFF_0000


def _module(name: str) -> Any:
    """Import a module that only some systems have, or give None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl = _module("fcntl")
_msvcrt = _module("msvcrt")  # Windows


class ConnectLimiter:
    """Lets ``count`` connects pass in any ``seconds``, for all that share it.

    :param count: how many connects.
    :param seconds: in which time: a rolling window, not a fixed one.
    :param path: a file, made where it is missing, through which processes of one machine share
        the budget; all of them give the same count and seconds. Its folder must exist. None:
        this process only. A process that dies, also while it uses the file, leaves no lock behind.
    :param margin: seconds by which the window is longer than the exchange's, since connects
        arrive later than they are booked, and some later than others. None: a tenth of
        ``seconds``, at most one second.
    :param clock: gives monotonic seconds that all processes of the machine have in common.
    :raises ConfigurationError: a value is not allowed, or the file cannot be used.
    """

    def __init__(
        self,
        count: int,
        seconds: float,
        *,
        path: str | os.PathLike[str] | None = None,
        margin: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        check_integer("count", count, minimum=1)
        check_seconds("seconds", seconds, exclusive=True)
        check_seconds("margin", margin, optional=True)
        self._count = count
        self._seconds = float(seconds)
        self._window = seconds + (min(1.0, 0.1 * seconds) if margin is None else margin)
        self._clock = clock
        self._lock = threading.Lock()  # guards _times
        self._times: list[float] = []  # of this process, or of all while the file fails
        self._complaint = ""
        self._shared = None if path is None else _SharedTimes(path, most=max(count, MOST_KEPT))
        if self._shared is not None:
            self._shared.check()
        _all.add(self)

    def __repr__(self) -> str:
        where = "" if self._shared is None else f" shared in {self._shared.path}"
        return f"<ConnectLimiter {self._count} in {self._seconds:g} s{where}>"

    def reserve(self) -> float:
        """Book a connect if there is one left; never waits.

        :returns: 0.0 when it was booked: connect now. Else seconds after which to ask again;
            nothing was booked.
        """
        if self._shared is not None:
            try:
                return self._reserve_shared(self._shared)
            except OSError as error:
                # Better our own share of the budget than none at all.
                self._complain(describe(error))
        with self._lock:
            wait, times = self._book(self._times, self._clock())
            self._times = times[-self._count :]
            return wait

    def _reserve_shared(self, shared: _SharedTimes) -> float:
        with shared.locked() as descriptor:
            if descriptor is None:
                return LOCK_PAUSE
            now = self._clock()
            # A time to come is from before the machine was started again.
            times = [time for time in shared.read(descriptor) if time <= now]
            wait, times = self._book(times, now)
            if not wait:
                shared.write(descriptor, times)
        self._complaint = ""
        if not wait:
            with self._lock:  # for the case that the file fails later
                self._times = [*self._times, now][-self._count :]
        return wait

    def _book(self, times: list[float], now: float) -> tuple[float, list[float]]:
        wait = window_wait(times, now, count=self._count, seconds=self._window)
        if wait:
            return wait, times
        oldest = now - max(self._window, KEPT_FOR)
        return 0.0, [*(time for time in times if time > oldest), now]

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            self._complaint = text
            log.error("%r: %s; other processes are not counted until it works again", self, text)

    def forget_after_fork(self) -> None:
        """In a child: nobody holds the lock."""
        self._lock = threading.Lock()


_all: weakref.WeakSet[ConnectLimiter] = weakref.WeakSet()


def _forget_locks_in_child() -> None:
    for limiter in list(_all):
        limiter.forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks_in_child)


class _SharedTimes:
    """The times of connects in a file, under a lock that the system gives back when we die.

    The lock belongs to the open file: it keeps out the other threads of this process too.

    :param most: times that are kept.
    """

    def __init__(self, path: str | os.PathLike[str], *, most: int) -> None:
        self._most = most
        try:
            self.path = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"path is {path!r:.80}; allowed: the path of a file, or None"
            ) from None

    def check(self) -> None:
        """Make sure that the file can be used.

        :raises ConfigurationError: it cannot.
        """
        if _fcntl is None and _msvcrt is None:
            raise ConfigurationError(
                "path needs file locks, which this system has not; leave it out"
            )
        try:
            with self.locked() as descriptor:
                if descriptor is not None:
                    self.read(descriptor)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"path is {self.path!r}, which cannot be used: {describe(error)}; allowed: a file "
                "of its own in a folder where this process may write"
            ) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[int | None]:
        """Open the file and lock it; gives its descriptor, or None: another has the lock.

        :raises OSError: it cannot be opened.
        """
        binary = getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | binary, 0o666)
        try:
            if not _lock(descriptor):
                yield None
                return
            try:
                yield descriptor
            finally:
                # Closing is not enough: a child forked just now has the descriptor too.
                _unlock(descriptor)
        finally:
            os.close(descriptor)

    def read(self, descriptor: int) -> list[float]:
        """Return the times in ascending order.

        :raises OSError: it cannot be read, or is somebody else's file.
        """
        os.lseek(descriptor, 0, os.SEEK_SET)
        content = os.read(descriptor, len(HEADER) + 32 * self._most)
        if content and not content.startswith(HEADER[: len(content)]):
            raise OSError("it holds something else than times of connects")
        times = []
        for line in content[len(HEADER) :].split(b"\n"):
            with contextlib.suppress(ValueError):  # a line of which a dead process wrote a part
                times.append(float(line))
        return sorted(times)

    def write(self, descriptor: int, times: list[float]) -> None:
        """Replace what it holds, in one piece.

        :raises OSError: the disk is full, or the like.
        """
        # The latest first: who reads less of it than we write misses the oldest.
        lines = [f"{time!r}\n".encode("ascii") for time in reversed(times[-self._most :])]
        content = HEADER + b"".join(lines)
        os.lseek(descriptor, 0, os.SEEK_SET)
        if os.write(descriptor, content) < len(content):
            raise OSError("only a part could be written")
        os.ftruncate(descriptor, len(content))


def _lock(descriptor: int) -> bool:
    """Lock a file, without waiting; says whether that worked."""
    try:
        if _fcntl is not None:
            _fcntl.flock(descriptor, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _unlock(descriptor: int) -> None:
    if _fcntl is not None:
        _fcntl.flock(descriptor, _fcntl.LOCK_UN)
    else:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        _msvcrt.locking(descriptor, _msvcrt.LK_UNLCK, 1)
