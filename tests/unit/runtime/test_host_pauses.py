"""Hosts that are left alone: for as long as the longest pause says, and not a moment longer."""

from __future__ import annotations

import pytest

from wsresilient.runtime import host_pauses as module
from wsresilient.runtime.host_pauses import HostPauses, default_host_pauses


class Clock:
    """A monotonic clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


def test_a_pause_ends(clock: Clock) -> None:
    pauses = HostPauses()
    pauses.begin("a:443", seconds=10.0, why="HTTP 429")

    running = pauses.running("a:443")
    assert running is not None
    assert (running.ends_at, running.why) == (1010.0, "HTTP 429")
    assert pauses.running("b:443") is None
    clock.now = 1009.99
    assert pauses.running("a:443") is not None
    clock.now = 1010.0
    assert pauses.running("a:443") is None


def test_a_pause_is_made_longer_and_never_shorter(clock: Clock) -> None:
    pauses = HostPauses()
    pauses.begin("a", seconds=10.0, why="first")
    pauses.begin("a", seconds=5.0, why="shorter")
    assert pauses.running("a") == module.Pause(1010.0, "first")

    pauses.begin("a", seconds=20.0, why="longer")
    assert pauses.running("a") == module.Pause(1020.0, "longer")


def test_a_pause_that_is_told_by_mistake_does_not_last_for_ever(clock: Clock) -> None:
    pauses = HostPauses()
    pauses.begin("a", seconds=9e8, why="Retry-After: 900000000")

    assert pauses.running("a") == module.Pause(1000.0 + 3 * 86400.0, "Retry-After: 900000000")


def test_a_pause_is_logged(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    HostPauses().begin("a:443", seconds=10.0, why="HTTP 429")

    assert caplog.messages == ["a:443 is left alone for 10.0 s: HTTP 429"]


def test_what_is_over_is_forgotten(clock: Clock) -> None:
    pauses = HostPauses()
    for n in range(1000):
        pauses.begin(f"host{n}", seconds=1.0, why="x")
        clock.now += 0.1

    assert len(pauses._pauses) <= 11


def test_there_is_one_for_all() -> None:
    assert default_host_pauses() is default_host_pauses()
