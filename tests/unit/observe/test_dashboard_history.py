"""How the history is cut to what a page asks for."""

from __future__ import annotations

from typing import Any

import pytest

from wsresilient.observe.dashboard.history import MAX_ENTRIES, Window, bounded, thin, window_of
from wsresilient.observe.dashboard.request import RefusedRequestError

NOW = 100_000.0


def history(**kinds: Any) -> dict[str, Any]:
    return {"at": NOW, "connections": {"one": kinds, "two": {"events": []}}}


def test_without_parameters_it_is_the_last_hour_of_all() -> None:
    assert window_of({}, NOW) == Window(since=NOW - 3600.0, points=120, connection=None)


def test_parameters_are_read() -> None:
    assert window_of({"minutes": "5", "points": "10", "connection": "a"}, NOW) == Window(
        NOW - 300.0, 10, "a"
    )
    assert window_of({"since": "99999.5"}, NOW).since == 99999.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minutes", "-1"),
        ("minutes", "1441"),
        ("minutes", "many"),
        ("minutes", "nan"),
        ("since", ""),
        ("since", "inf"),
        ("points", "0"),
        ("points", "1e9"),
    ],
)
def test_bad_parameters_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(RefusedRequestError, match=f"400: {name} must be a number") as caught:
        window_of({name: value}, NOW)

    assert caught.value.status == 400


def test_the_shape_stays() -> None:
    whole = history(events=[{"at": 10.0}], rates=[[5.0, 1.0]], rtt=[], gaps=[{"at": 4.0}])

    assert bounded(whole, Window(since=0.0)) == whole


def test_series_are_thinned() -> None:
    told = bounded(history(rates=[[99_990.0 + n, 1.0] for n in range(10)]), Window(99_990.0, 5))

    assert len(told["connections"]["one"]["rates"]) == 5


def test_the_newest_of_many_entries_are_told() -> None:
    events = [{"at": float(at)} for at in range(1, MAX_ENTRIES + 100)]

    told = bounded(history(events=events), Window(0.0))["connections"]["one"]["events"]

    assert told == events[-MAX_ENTRIES:]


def test_few_points_stay_as_they_are() -> None:
    points = [[1.0, 5.0], [2.0, 6.0]]

    assert thin(points, 2, since=0.0, until=10.0) == points


def test_of_many_points_the_means_of_equal_spans_are_left() -> None:
    points = [[float(at), float(at)] for at in range(100)]

    thinned = thin(points, 4, since=0.0, until=100.0)

    assert thinned == [[24.0, 12.0], [49.0, 37.0], [74.0, 62.0], [99.0, 87.0]]


def test_points_beyond_the_window_do_not_make_more_of_them() -> None:
    points = [[float(at), 1.0] for at in range(-50, 150)]

    assert len(thin(points, 4, since=0.0, until=100.0)) == 4
    assert len(thin(points, 4, since=50.0, until=50.0)) <= 4
