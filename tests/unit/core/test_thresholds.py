"""Thresholds: their defaults, and what is not allowed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wsresilient import ConfigurationError, Thresholds
from wsresilient.core.thresholds import checked_thresholds


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert dataclasses.asdict(Thresholds()) == {
        "window": 300.0,
        "error_rate": 0.05,
        "min_errors": 1,
        "reconnects_per_hour": 10,
        "stale_after": 60.0,
        "lost_after": 30.0,
        "ping_rtt": 1.0,
        "slow_handler_after": 1.0,
        "dropped_messages": 0,
        "subscription_share": 0.9,
        "failed_subscriptions": 0,
        "gaps": 0,
    }


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("window", 0, "a number > 0"),
        ("window", None, "a number > 0"),
        ("window", 3601.0, "at most 3600 seconds"),
        ("error_rate", -0.1, "a number >= 0"),
        ("error_rate", "5%", "a number >= 0"),
        ("min_errors", -1, "a whole number >= 0"),
        ("min_errors", None, "a whole number >= 0"),
        ("reconnects_per_hour", 1.5, "a whole number >= 0, or None"),
        ("stale_after", float("nan"), "a number >= 0"),
        ("lost_after", True, "a number >= 0"),
        ("ping_rtt", -1.0, "or None"),
        ("slow_handler_after", "1", "or None"),
        ("dropped_messages", -1, "a whole number >= 0"),
        ("subscription_share", 0.0, "a number > 0"),
        ("subscription_share", 90, "a number > 0 and <= 1, or None"),
        ("failed_subscriptions", 0.5, "a whole number >= 0"),
        ("gaps", "none", "a whole number >= 0"),
    ],
)
def test_what_is_not_allowed_is_told_by_name(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Thresholds(**{name: value})

    assert str(caught.value).startswith(f"{name} is ")
    assert allowed in str(caught.value)


def test_none_switches_every_issue_off() -> None:
    names = {field.name for field in dataclasses.fields(Thresholds)} - {"window", "min_errors"}

    thresholds = Thresholds(**dict.fromkeys(names))  # type: ignore[arg-type]

    assert {getattr(thresholds, name) for name in names} == {None}


@pytest.mark.parametrize(
    ("stale_after", "own", "allowed"),
    [
        (60.0, 0.0, 60.0),  # nobody chose anything
        (60.0, 20.0, 60.0),
        (60.0, 600.0, 600.0),
        (60.0, None, None),
        (0.5, 600.0, 0.5),  # what was written holds for all
        (900.0, 600.0, 900.0),
        (0.5, None, None),
        (None, 600.0, None),
    ],
)
def test_silence_is_judged_by_who_knows_the_stream(
    stale_after: float | None, own: float | None, allowed: float | None
) -> None:
    assert Thresholds(stale_after=stale_after).silence_allowed(own) == allowed


def test_thresholds_are_checked_where_they_are_given() -> None:
    usual, own = Thresholds(), Thresholds(gaps=3)

    assert checked_thresholds(None, usual) is usual
    assert checked_thresholds(own, usual) is own
    with pytest.raises(ConfigurationError, match=r"thresholds is \{'gaps': 3\}"):
        checked_thresholds({"gaps": 3}, usual)
