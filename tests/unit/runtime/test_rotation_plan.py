from __future__ import annotations

from typing import Any

import pytest

from wsresilient import ConfigurationError
from wsresilient.runtime import rotation_plan
from wsresilient.runtime.rotation_plan import RotationPlan

DAY = 86400.0
THREE = 3 * 3600.0


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the time of the day."""

    def set_time(seconds: float) -> None:
        monkeypatch.setattr(rotation_plan, "local_seconds_of_day", lambda: seconds)

    set_time(THREE)
    return set_time


def test_without_max_age_nothing_is_due() -> None:
    plan = RotationPlan(None)

    assert not plan.is_due("x", 1e6)
    assert "never" in repr(plan)


def test_without_a_window_it_is_a_matter_of_age() -> None:
    plan = RotationPlan(1000.0)

    assert not plan.is_due("x", 870.0)
    assert plan.is_due("x", 985.0)


def test_a_window_is_local_time(at: Any) -> None:
    plan = RotationPlan(DAY, window=("03:00", "04:00"))
    old = DAY - 4 * 3600.0

    at(THREE - 1.0)
    assert not plan.is_due("x", old)
    at(THREE + 0.79 * 3600.0)
    assert plan.is_due("x", old)


def test_a_veto_counts_until_it_is_overdue() -> None:
    asked: list[str] = []

    def veto(name: str) -> bool:
        asked.append(name)
        return False

    plan = RotationPlan(1000.0, may_rotate=veto, cut_at=2000.0)

    assert not plan.is_due("x", 100.0)
    assert asked == []
    assert not plan.is_due("x", 981.0)
    assert not plan.is_due("x", 1900.0)
    assert asked == ["x", "x"]
    assert plan.is_due("x", 1999.0)
    assert asked == ["x", "x"]


def test_who_asks_the_plan_comes_before_max_age() -> None:
    assert RotationPlan(None).ask_every == float("inf")
    assert RotationPlan(2.0).ask_every == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("settings", "is_restricted"),
    [({}, False), ({"window": ("03:00", "04:00")}, True), ({"may_rotate": bool}, True)],
)
def test_a_plan_tells_whether_it_may_let_connections_get_older(
    settings: dict[str, Any], is_restricted: bool
) -> None:
    assert RotationPlan(1000.0, **settings).is_restricted is is_restricted


def test_a_veto_that_raises_is_none(caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str) -> bool:
        raise SystemExit(name)

    assert RotationPlan(1000.0, may_rotate=broken).is_due("x-1", 981.0)
    assert "may_rotate raised for x-1" in caplog.text


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"window": "03:00"}, "rotate_window is '03:00'"),
        ({"window": ("03:00", "25:00")}, "rotate_window"),
        ({"may_rotate": 5}, "may_rotate is 5; allowed: a function"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        RotationPlan(1000.0, **settings)
