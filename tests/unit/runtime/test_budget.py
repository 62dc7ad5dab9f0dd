"""The budget of connects, with a clock of its own: windows, and what may befall the file."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.runtime import budget
from wsresilient.runtime.budget import HEADER, LOCK_PAUSE, ConnectLimiter

needs_flock = pytest.mark.skipif(budget._fcntl is None, reason="this system has no flock")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "connects"


def limiter(clock: Clock, count: int = 2, seconds: float = 10.0, **more: Any) -> ConnectLimiter:
    return ConnectLimiter(count, seconds, clock=clock, **({"margin": 0.0} | more))


def booked(one: ConnectLimiter, tries: int) -> int:
    return sum(one.reserve() == 0.0 for _ in range(tries))


@pytest.fixture(params=["process", "file"])
def options(request: pytest.FixtureRequest, path: Path) -> dict[str, Any]:
    """What holds for both kinds of budget."""
    return {} if request.param == "process" else {"path": path}


def test_so_many_connects_pass_and_then_one_is_told_to_wait(
    clock: Clock, options: dict[str, Any]
) -> None:
    one = limiter(clock, **options)

    assert one.reserve() == 0.0
    clock.now += 3.0
    assert one.reserve() == 0.0
    clock.now += 1.0
    assert one.reserve() == 6.0
    assert one.reserve() == 6.0  # asking costs nothing


def test_the_window_rolls(clock: Clock, options: dict[str, Any]) -> None:
    one = limiter(clock, **options)
    one.reserve()
    clock.now += 9.0
    one.reserve()
    clock.now += 1.0

    assert one.reserve() == 0.0
    assert one.reserve() == 9.0


def test_the_window_is_longer_by_the_margin(clock: Clock, options: dict[str, Any]) -> None:
    for seconds, margin, expected in ((300.0, None, 301.0), (1.0, None, 1.1), (10.0, 0.5, 10.5)):
        one = limiter(clock, 1, seconds, margin=margin, **options)
        clock.now += 1e4
        assert one.reserve() == 0.0
        assert one.reserve() == pytest.approx(expected)


@given(st.lists(st.floats(0.0, 4.0), max_size=60), st.integers(1, 5))
def test_no_window_sees_too_many(pauses: list[float], count: int) -> None:
    clock, times = Clock(), list[float]()
    one = limiter(clock, count)
    for pause in pauses:
        clock.now += pause
        if one.reserve() == 0.0:
            times.append(clock.now)
        assert len(one._times) <= count

    for earlier, later in zip(times, times[count:], strict=False):
        assert later - earlier >= 10.0 * (1 - 1e-9)


def test_threads_share_one_budget(clock: Clock, options: dict[str, Any]) -> None:
    one = limiter(clock, 50, **options)
    counts: list[int] = []

    def book() -> None:
        mine = 0
        while (wait := one.reserve()) in (0.0, LOCK_PAUSE):
            mine += wait == 0.0
        counts.append(mine)

    threads = [threading.Thread(target=book) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(counts) == 50


# The file.


def test_limiters_with_one_file_share_one_budget(clock: Clock, path: Path) -> None:
    one, other = limiter(clock, path=path), limiter(clock, path=str(path))

    assert one.reserve() == 0.0
    assert other.reserve() == 0.0
    assert one.reserve() == other.reserve() == 10.0


def test_the_budget_outlives_the_process(clock: Clock, path: Path) -> None:
    booked(limiter(clock, path=path), 2)

    assert limiter(clock, path=path).reserve() == 10.0


def test_times_from_before_the_machine_was_started_again_do_not_count(
    clock: Clock, path: Path
) -> None:
    clock.now = 1e6
    booked(limiter(clock, path=path), 2)
    clock.now = 50.0

    assert booked(limiter(clock, path=path), 5) == 2


def test_the_file_stays_small(clock: Clock, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_KEPT", 20)
    one = limiter(clock, 3, 1.0, path=path)
    for _ in range(200):
        clock.now += 0.4
        one.reserve()

    assert len(path.read_bytes().splitlines()) == 1 + 20
    clock.now += 1000.0
    one.reserve()
    assert path.read_bytes() == HEADER + f"{clock.now!r}\n".encode()


def test_a_limiter_that_keeps_less_keeps_the_latest(
    clock: Clock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MOST_KEPT", 10)
    assert booked(limiter(clock, 100, path=path), 100) == 100
    clock.now += 1.0

    assert limiter(clock, 5, path=path).reserve() == 9.0


def test_what_a_dying_process_wrote_in_part_is_passed_over(clock: Clock, path: Path) -> None:
    booked(limiter(clock, path=path), 2)
    path.write_bytes(path.read_bytes() + b"99x9.\n\0\0\n1000.0")

    assert limiter(clock, 3, path=path).reserve() == 10.0
    path.write_bytes(HEADER[:5])
    assert limiter(clock, path=path).reserve() == 0.0


@needs_flock
def test_a_lock_of_another_is_not_waited_for(clock: Clock, path: Path) -> None:
    one = limiter(clock, path=path)
    holder = os.open(path, os.O_RDWR)
    try:
        assert budget._lock(holder)
        assert one.reserve() == LOCK_PAUSE
        assert one.reserve() == LOCK_PAUSE
        budget._unlock(holder)
        assert one.reserve() == 0.0
    finally:
        os.close(holder)


def test_without_the_file_the_process_keeps_its_own_budget_and_says_so_once(
    clock: Clock, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = limiter(clock, 3, path=path)
    assert one.reserve() == 0.0
    path.unlink()
    path.mkdir()

    assert booked(one, 5) == 2
    assert caplog.text.count("other processes are not counted") == 1
    path.rmdir()
    assert one.reserve() == 0.0
    assert "IsADirectoryError" in caplog.text


def test_a_file_of_somebody_else_is_left_alone(clock: Clock, path: Path) -> None:
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")

    with pytest.raises(ConfigurationError, match="something else than times of connects"):
        limiter(clock, path=path)
    assert path.read_text().startswith("root:")


def test_a_folder_that_is_not_there_is_told_at_once(clock: Clock, path: Path) -> None:
    with pytest.raises(ConfigurationError, match="which cannot be used: FileNotFoundError"):
        limiter(clock, path=path / "connects")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_told_at_once(clock: Clock, path: Path) -> None:
    path.touch(mode=stat.S_IRUSR)

    with pytest.raises(ConfigurationError, match="which cannot be used: PermissionError"):
        limiter(clock, path=path)


def test_a_system_without_file_locks_is_told_so(
    clock: Clock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_fcntl", None)
    monkeypatch.setattr(budget, "_msvcrt", None)

    with pytest.raises(ConfigurationError, match="path needs file locks"):
        limiter(clock, path=path)
    assert limiter(clock).reserve() == 0.0


class WindowsLocks:
    """Stands for msvcrt: one byte of a file, locked by one descriptor."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.held_by: int | None = None

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (os.lseek(descriptor, 0, os.SEEK_CUR), count) == (budget.LOCKED_BYTE, 1)
        if mode == self.LK_UNLCK:
            assert self.held_by == descriptor
            self.held_by = None
        elif self.held_by is not None:
            raise PermissionError(13, "Permission denied")
        else:
            self.held_by = descriptor


def test_the_locks_of_windows_do_as_well(
    clock: Clock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = WindowsLocks()
    monkeypatch.setattr(budget, "_fcntl", None)
    monkeypatch.setattr(budget, "_msvcrt", locks)
    one = limiter(clock, path=path)

    assert booked(one, 5) == 2
    assert locks.held_by is None
    locks.held_by = -1
    assert one.reserve() == LOCK_PAUSE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are a thing of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_is_not_held_up_by_a_lock_of_its_parent(clock: Clock) -> None:
    one = limiter(clock)
    with one._lock:  # as if another thread were booking right now
        child = os.fork()
        if child == 0:
            os._exit(0 if one.reserve() == 0.0 else 1)

    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_it_tells_what_it_allows(clock: Clock, path: Path) -> None:
    assert repr(limiter(clock, 300, 300.0)) == "<ConnectLimiter 300 in 300 s>"
    assert repr(limiter(clock, path=path)) == f"<ConnectLimiter 2 in 10 s shared in {path}>"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"count": 0}, "count is 0; allowed: "),
        ({"count": 1.5}, "count is 1.5; allowed: "),
        ({"seconds": 0}, "seconds is 0; allowed: "),
        ({"margin": -1}, "margin is -1; allowed: "),
        ({"path": 5}, "path is 5; allowed: "),
        ({"path": "a\0b"}, "cannot be used: ValueError"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ConnectLimiter(**({"count": 1, "seconds": 1.0} | arguments))

    assert why in str(caught.value)
