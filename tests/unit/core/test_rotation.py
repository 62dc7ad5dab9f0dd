"""When connections are rotated: spread, inside of a window, and never too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.rotation import (
    DAY,
    RotationDue,
    RotationWindow,
    parse_window,
    place_of,
    rotation_due,
)

NO, DUE, OVERDUE = RotationDue.NO, RotationDue.DUE, RotationDue.OVERDUE
NAMES = [f"pool-{number}" for number in range(1, 301)]
HOUR = 3600.0
THREE_TO_FOUR = RotationWindow(3 * HOUR, HOUR)
#: How often a simulated connection is looked at: when something may happen, and else.
SHORT_STEP, LONG_STEP = 30.0, 1800.0


class Rotation(NamedTuple):
    name: str
    at: float  # seconds since the first midnight
    local: float  # seconds of the day
    age: float
    due: RotationDue


def live(
    names: list[str],
    *,
    max_age: float,
    days: float,
    window: RotationWindow | None = None,
    born: float = 12 * HOUR,
    shift: float = 0.0,
    shift_at: float = 1e9,
    veto: bool = False,
    cut_at: float | None = None,
) -> Iterator[Rotation]:
    """Let connections live for days; each that is due is replaced within the step.

    :param born: when all of them are opened.
    :param shift: seconds by which the clock on the wall is changed at ``shift_at``.
    :param veto: against every rotation that is only due.
    :param cut_at: when the exchange would cut it.
    """
    for name in names:
        now = birth = born
        while now < days * DAY:
            local = (now + (shift if now >= shift_at else 0.0)) % DAY
            age = now - birth
            due = rotation_due(
                age,
                max_age=max_age,
                name=name,
                seconds_of_day=local,
                window=window,
                cut_at=cut_at,
            )
            if due is OVERDUE or (due is DUE and not veto):
                yield Rotation(name, now, local, age, due)
                birth = now
            is_near = window is not None and window.offset(local + LONG_STEP) is not None
            is_open = window is not None and window.offset(local) is not None
            is_old = age > 0.86 * (cut_at or max_age)
            now += SHORT_STEP if is_near or is_open or is_old else LONG_STEP


# The place of a connection.


def test_places_are_the_same_in_every_process_and_evenly_spread() -> None:
    assert place_of("pool-1") == 0.9491998688317835
    places = sorted(map(place_of, NAMES))
    assert all(0.0 <= place < 1.0 for place in places)
    tenths = Counter(int(10 * place) for place in places)
    assert len(tenths) == 10
    assert max(tenths.values()) <= 60


@given(st.text())
def test_any_name_has_a_place(name: str) -> None:
    assert 0.0 <= place_of(name) < 1.0


# Without a window.


@given(st.sampled_from(NAMES), st.floats(0.001, 2 * DAY), st.floats(0.0, DAY - 1))
def test_a_connection_is_due_at_88_to_98_percent_and_overdue_before_it_is_cut(
    name: str, max_age: float, seconds_of_day: float
) -> None:
    def at(part: float) -> RotationDue:
        return rotation_due(
            part * max_age,
            max_age=max_age,
            name=name,
            seconds_of_day=seconds_of_day,
            cut_at=2 * max_age,
        )

    assert at(0.879) is NO
    assert at(0.981) is DUE
    assert at(1.9) is DUE
    assert at(1.9997) is OVERDUE


def test_connections_that_were_opened_together_are_replaced_over_time() -> None:
    rotations = list(live(NAMES, max_age=DAY, days=1.6))

    assert len(rotations) == len(NAMES)
    assert {rotation.due for rotation in rotations} == {DUE}
    ages = [rotation.age for rotation in rotations]
    assert 0.879 * DAY < min(ages) < max(ages) < 0.981 * DAY
    # 300 over 2.4 hours: one in half a minute
    assert max(Counter(rotation.at for rotation in rotations).values()) <= 8


def test_no_age_is_too_old_without_a_limit() -> None:
    assert rotation_due(1e9, max_age=None, name="a", seconds_of_day=0.0) is NO


# With a window.


@pytest.mark.parametrize("born", [0.0, 2.99 * HOUR, 3.0 * HOUR, 3.3 * HOUR, 5 * HOUR, 23 * HOUR])
def test_connections_of_24_hours_are_replaced_inside_of_the_window_only(born: float) -> None:
    """But for the first night of those that come up when it has just begun."""
    names = NAMES[::50]
    rotations = list(live(names, max_age=DAY, days=20, window=THREE_TO_FOUR, born=born))

    outside = [rotation for rotation in rotations if not 3 * HOUR <= rotation.local < 4 * HOUR]
    assert outside == []
    assert max(rotation.age for rotation in rotations) < DAY
    nights = Counter((rotation.name, int(rotation.at // DAY)) for rotation in rotations)
    assert max(nights.values()) <= 2
    assert len(rotations) < 20 * len(names) * 1.2  # a second one in a night is rare


def test_the_window_is_used_over_its_length() -> None:
    first_night = [
        rotation.local - 3 * HOUR
        for rotation in live(NAMES, max_age=DAY, days=1.5, window=THREE_TO_FOUR)
    ]

    assert len(first_night) == len(NAMES)
    assert min(first_night) < 0.15 * HOUR
    assert 0.7 * HOUR < max(first_night) <= 0.8 * HOUR + SHORT_STEP


def test_connections_that_last_for_days_are_replaced_in_the_last_window_before_their_end() -> None:
    rotations = list(live(NAMES[:20], max_age=3 * DAY, days=9, window=THREE_TO_FOUR))

    assert {int(rotation.local // HOUR) for rotation in rotations} == {3}
    ages = [rotation.age / DAY for rotation in rotations]
    assert 1.9 < min(ages) < max(ages) < 3.0


def test_connections_that_cannot_wait_for_the_window_are_replaced_once_in_each() -> None:
    """Older than max_age, since the user asks for the window."""
    rotations = list(live(NAMES[:20], max_age=10 * HOUR, days=6, window=THREE_TO_FOUR))

    assert {int(rotation.local // HOUR) for rotation in rotations} == {3}
    nightly = Counter((rotation.name, int(rotation.at // DAY)) for rotation in rotations)
    assert set(nightly.values()) == {1}
    assert len(rotations) == 20 * 5


def test_connections_that_would_be_cut_before_the_window_are_replaced_outside_of_it() -> None:
    rotations = list(
        live(NAMES[:20], max_age=10 * HOUR, cut_at=11 * HOUR, days=6, window=THREE_TO_FOUR)
    )

    assert 10 * HOUR < max(rotation.age for rotation in rotations) < 11 * HOUR
    nightly = Counter(
        (rotation.name, int(rotation.at // DAY))
        for rotation in rotations
        if 3 * HOUR <= rotation.local < 4 * HOUR
    )
    assert set(nightly.values()) == {1}
    assert len(rotations) <= 20 * 6 * 4


def test_connections_of_minutes_are_replaced_all_through_the_window() -> None:
    rotations = list(live(NAMES[:20], max_age=600.0, days=1.5, window=THREE_TO_FOUR))

    assert {int(rotation.local // HOUR) for rotation in rotations} == {3}
    counts = Counter(rotation.name for rotation in rotations)
    assert min(counts.values()) >= 6


def test_a_window_may_go_over_midnight() -> None:
    window = parse_window(("23:30", "00:30"))
    rotations = list(live(NAMES[:20], max_age=DAY, days=10, window=window))

    assert {int(rotation.local // (HOUR / 2)) for rotation in rotations} == {0, 47}
    assert max(rotation.age for rotation in rotations) < DAY


@pytest.mark.parametrize("shift", [HOUR, -HOUR])
@pytest.mark.parametrize("start", ["02:00", "03:00"])
def test_nothing_gets_too_old_when_the_clocks_change(shift: float, start: str) -> None:
    window = parse_window((start, f"0{int(start[1]) + 1}:00"))
    assert window is not None
    rotations = list(
        live(
            NAMES[:15],
            max_age=DAY,
            cut_at=DAY,
            days=8,
            window=window,
            shift=shift,
            shift_at=4 * DAY + 2 * HOUR,
        )
    )

    assert max(rotation.age for rotation in rotations) < DAY
    outside = [rotation for rotation in rotations if window.offset(rotation.local) is None]
    # Only in the night of the change, or the first one after a window that was skipped.
    assert all(4 * DAY <= rotation.at < 5 * DAY + 4 * HOUR for rotation in outside)
    nights = Counter((rotation.name, int(rotation.at // DAY)) for rotation in rotations)
    assert max(nights.values()) <= 3


@pytest.mark.parametrize("window", [None, THREE_TO_FOUR])
def test_a_veto_holds_for_ever_where_nobody_cuts_connections(window: Any) -> None:
    assert list(live(NAMES[:10], max_age=DAY, days=3, window=window, veto=True)) == []


def test_a_veto_delays_it_until_it_is_overdue() -> None:
    for window in (None, THREE_TO_FOUR):
        rotations = list(
            live(NAMES[:10], max_age=20 * HOUR, cut_at=DAY, days=3, window=window, veto=True)
        )

        assert {rotation.due for rotation in rotations} == {OVERDUE}
        left = [DAY - rotation.age for rotation in rotations]
        assert 30.0 <= min(left) < max(left) <= 300.0


@given(
    st.sampled_from(NAMES),
    st.floats(1.0, 5 * DAY),
    st.floats(0.0, 5 * DAY),
    st.floats(0.0, DAY - 1),
    st.floats(1.0, DAY - 1),
    st.floats(0.0, DAY - 1),
)
def test_once_overdue_it_stays_so_and_it_always_is_before_its_end(
    name: str, max_age: float, age: float, start: float, length: float, seconds_of_day: float
) -> None:
    window = RotationWindow(start, length)

    def at(age: float) -> RotationDue:
        return rotation_due(
            age,
            max_age=0.9 * max_age,
            name=name,
            seconds_of_day=seconds_of_day,
            window=window,
            cut_at=max_age,
        )

    assert at(max_age) is OVERDUE
    if at(age) is OVERDUE:
        assert at(age + 1.0) is OVERDUE
    if window.offset(seconds_of_day) is None:
        assert at(age) is not DUE


# What a window may be.


@pytest.mark.parametrize(
    ("window", "start", "length"),
    [
        (("03:00", "04:00"), 10_800.0, 3600.0),
        (["3:00", "04:30:15"], 10_800.0, 5415.0),
        (("23:30", "00:30"), 84_600.0, 3600.0),
        (("22:00", "24:00"), 79_200.0, 7200.0),
        (("24:00", "01:00"), 0.0, 3600.0),
        (("00:00", "23:59:59"), 0.0, 86_399.0),
    ],
)
def test_a_window_is_two_times_of_the_day(window: Any, start: float, length: float) -> None:
    assert parse_window(window) == RotationWindow(start, length)


def test_a_whole_day_is_no_window() -> None:
    assert parse_window(None) is None
    assert parse_window(("00:00", "24:00")) is None


def test_a_window_knows_how_long_it_has_been_open() -> None:
    window = RotationWindow(23 * HOUR, 2 * HOUR)

    assert window.offset(23 * HOUR) == 0.0
    assert window.offset(0.5 * HOUR) == 1.5 * HOUR
    assert window.offset(1 * HOUR) is None
    assert window.offset(22.99 * HOUR) is None


@pytest.mark.parametrize(
    "window",
    [
        "03:00-04:00",
        ("03:00",),
        ("03:00", "04:00", "05:00"),
        ("03:00", "03:00"),
        ("24:00", "00:00"),
        ("03:60", "04:00"),
        ("25:00", "04:00"),
        ("24:01", "04:00"),
        ("3", "4"),
        ("03:00 ", "04:00"),
        ("٠٣:00", "04:00"),
        (3, 4),
        (None, "04:00"),
        5,
        (),
    ],
)
def test_what_is_no_window_is_refused(window: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"rotate_window is .*allowed: two different times"
    ):
        parse_window(window)
