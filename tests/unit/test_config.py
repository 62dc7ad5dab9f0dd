"""Settings: the defaults of the API, and every wrong value told at once by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError, ConnectionConfig, RateLimiter
from wsresilient.config import (
    MOST,
    check_callable,
    check_choice,
    check_integer,
    check_seconds,
    unknown_name,
)

MIB = 1024 * 1024

# The table of API.md, word for word.
DEFAULTS = {
    "ping_interval": 60.0,
    "ping_timeout": 30.0,
    "open_timeout": 10.0,
    "close_timeout": 3.0,
    "send_timeout": 10.0,
    "stale_after": 300.0,
    "max_age": 86400.0,
    "rotation": "break_before_make",
    "check_interval": 1.0,
    "max_size": 16 * MIB,
    "compression": None,
    "dispatch": "thread",
    "queue_size": 100_000,
    "queue_bytes": 64 * MIB,
    "overflow": "block",
    "send_queue_size": 1000,
    "send_rate": None,
    "stats_interval": 300.0,
    "min_uptime": 5.0,
    "slow_handler_after": 1.0,
    "ack_timeout": 10.0,
    "ack_retries": 2,
    "first_data_timeout": 60.0,
}
CHOICES = {
    "rotation": ("break_before_make", "make_before_break"),
    "compression": (None, "deflate"),
    "dispatch": ("thread", "inline"),
    "overflow": ("block", "drop_oldest", "drop_newest", "keep_latest"),
}
WHOLE_NUMBERS = {
    "max_size": 1,
    "queue_size": 1,
    "queue_bytes": 1,
    "send_queue_size": 0,
    "ack_retries": 0,
}
POSITIVE = (
    "open_timeout",
    "send_timeout",
    "stale_after",
    "max_age",
    "check_interval",
    "send_rate",
    "slow_handler_after",
    "ack_timeout",
    "first_data_timeout",
)
ZERO_OR_MORE = ("ping_interval", "ping_timeout", "close_timeout", "stats_interval", "min_uptime")
OPTIONAL = ("stale_after", "max_age", "send_rate", "first_data_timeout")

NO_NUMBERS: list[Any] = ["1", b"1", [1.0], True, False, 1j, math.nan, math.inf, -math.inf, 10**400]


def test_defaults_are_those_of_the_api() -> None:
    assert dataclasses.asdict(ConnectionConfig()) == DEFAULTS
    assert ConnectionConfig.names() == tuple(DEFAULTS)


def test_every_setting_is_in_one_of_the_lists_below() -> None:
    assert {*CHOICES, *WHOLE_NUMBERS, *POSITIVE, *ZERO_OR_MORE} == set(DEFAULTS)


def refused(**settings: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ConnectionConfig(**settings)
    return str(caught.value)


BAD = [
    *((name, value) for name in (*POSITIVE, *ZERO_OR_MORE) for value in [*NO_NUMBERS, -1, -0.001]),
    *((name, 0) for name in POSITIVE),
    *((name, None) for name in (*POSITIVE, *ZERO_OR_MORE) if name not in OPTIONAL),
    *((name, value) for name in WHOLE_NUMBERS for value in [None, 1.0, "1", True, -1]),
    *((name, least - 1) for name, least in WHOLE_NUMBERS.items()),
    *((name, value) for name in CHOICES for value in ["", "Block", 0, True, ["block"]]),
    *((name, None) for name, choices in CHOICES.items() if None not in choices),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_with_its_name_the_value_and_what_is_allowed(
    name: str, value: object
) -> None:
    text = refused(**{name: value})

    assert text.startswith(f"{name} is {repr(value)[:40]}")
    allowed = text.partition("; allowed: ")[2]
    for choice in CHOICES.get(name, ()):
        assert repr(choice) in allowed
    if name in WHOLE_NUMBERS:
        assert allowed == f"a whole number >= {WHOLE_NUMBERS[name]}"
    if name in POSITIVE:
        assert allowed.startswith("a number > 0")
    if name in ZERO_OR_MORE:
        assert allowed.startswith("a number >= 0")
    assert ("None" in allowed) == (name in OPTIONAL or None in CHOICES.get(name, ()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in POSITIVE for value in (1, 0.5, 1e-9)),
        *((name, 0) for name in ZERO_OR_MORE if name != "ping_timeout"),  # 0 without pings only
        *((name, None) for name in OPTIONAL),
        *((name, value) for name, choices in CHOICES.items() for value in choices),
        *((name, least) for name, least in WHOLE_NUMBERS.items()),
    ],
)
def test_a_good_value_is_kept_as_it_is(name: str, value: object) -> None:
    assert getattr(ConnectionConfig(**{name: value}), name) == value  # type: ignore[arg-type]


def test_a_rate_limiter_is_a_send_rate_and_is_named_as_one() -> None:
    limiter = RateLimiter(5)

    assert ConnectionConfig(send_rate=limiter).send_rate is limiter
    assert "RateLimiter" in refused(send_rate="5/s")


@pytest.mark.parametrize(("interval", "timeout"), [(30, 30), (10.0, 10.1), (0.001, 30), (20, 0)])
def test_ping_timeout_has_to_be_shorter_than_ping_interval(interval: float, timeout: float) -> None:
    text = refused(ping_interval=interval, ping_timeout=timeout)

    for part in ("ping_interval", "ping_timeout", f"{interval:g}", f"{timeout:g}", "allowed"):
        assert part in text


@pytest.mark.parametrize(("interval", "timeout"), [(2, 1), (0, 30), (0, 0), (30.1, 30)])
def test_ping_interval_above_ping_timeout_or_0_is_allowed(interval: float, timeout: float) -> None:
    config = ConnectionConfig(ping_interval=interval, ping_timeout=timeout)

    assert (config.ping_interval, config.ping_timeout) == (interval, timeout)


def test_a_long_value_is_shown_shortened() -> None:
    assert len(refused(open_timeout="x" * 10_000)) < 200


def test_a_configuration_cannot_be_changed() -> None:
    config = ConnectionConfig()

    with pytest.raises(dataclasses.FrozenInstanceError):
        config.queue_size = 5  # type: ignore[misc]
    assert config.queue_size == 100_000


def test_replace_gives_a_checked_copy_and_leaves_the_original() -> None:
    config = ConnectionConfig(queue_size=7)
    changed = config.replace(overflow="drop_oldest")

    assert (changed.queue_size, changed.overflow) == (7, "drop_oldest")
    assert config.overflow == "block"
    with pytest.raises(ConfigurationError, match="queue_size is 0"):
        config.replace(queue_size=0)
    # two settings that are only wrong together
    with pytest.raises(ConfigurationError, match="ping_interval"):
        ConnectionConfig(ping_interval=20, ping_timeout=5).replace(ping_timeout=20)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("ping_intervall", "ping_interval"), ("queuesize", "queue_size"), ("over_flow", "overflow")],
)
def test_an_unknown_setting_proposes_the_nearest(wrong: str, right: str) -> None:
    makers: list[Callable[[dict[str, Any]], ConnectionConfig]] = [
        lambda settings: ConnectionConfig().replace(**settings),
        ConnectionConfig.from_dict,
    ]
    for make in makers:
        with pytest.raises(ConfigurationError, match=f"unknown setting '{wrong}'") as caught:
            make({wrong: 1})
        assert f"did you mean {right!r}?" in str(caught.value)


@pytest.mark.parametrize("wrong", ["zzz", "self", "", "ü"])
def test_an_unknown_setting_like_no_other_is_answered_with_all_there_are(wrong: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ConnectionConfig.from_dict({wrong: 1})

    text = str(caught.value)
    assert text.startswith(f"unknown setting {wrong!r}. Known: ")
    assert all(name in text for name in DEFAULTS)


def test_from_dict_takes_what_a_file_gives() -> None:
    config = ConnectionConfig.from_dict({"queue_size": 5, "stale_after": None})

    assert config == ConnectionConfig(queue_size=5, stale_after=None)
    assert ConnectionConfig.from_dict({}) == ConnectionConfig()
    assert ConnectionConfig.from_dict(DEFAULTS) == ConnectionConfig()


@pytest.mark.parametrize("settings", [None, [("queue_size", 5)], "queue_size", 5, {5: "x"}])
def test_from_dict_refuses_what_is_no_section_of_a_file(settings: Any) -> None:
    with pytest.raises(ConfigurationError):
        ConnectionConfig.from_dict(settings)


# The checks by themselves, since arguments that are no settings are checked with them too.

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.none()),
)


@given(ANYTHING, st.sampled_from([0.0, 1.0]), st.booleans(), st.booleans())
def test_check_seconds_lets_finite_numbers_in_range_through_and_nothing_else(
    value: Any, minimum: float, exclusive: bool, optional: bool
) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = (
        is_number and value <= MOST and (value > minimum if exclusive else value >= minimum)
    ) or (value is None and optional)

    try:
        check_seconds("x", value, minimum=minimum, exclusive=exclusive, optional=optional)
    except ConfigurationError:
        assert not fits
    else:
        assert fits


@given(ANYTHING, st.integers(-1, 2), st.booleans())
def test_check_integer_lets_whole_numbers_in_range_through_and_nothing_else(
    value: Any, minimum: int, optional: bool
) -> None:
    fits = (type(value) is int and value >= minimum) or (value is None and optional)

    try:
        check_integer("x", value, minimum=minimum, optional=optional)
    except ConfigurationError:
        assert not fits
    else:
        assert fits


def test_check_choice_lists_the_choices() -> None:
    check_choice("x", None, (None, "a"))
    with pytest.raises(ConfigurationError, match="x is 'b'; allowed: None, 'a'"):
        check_choice("x", "b", (None, "a"))


def test_check_callable_takes_whatever_can_be_called() -> None:
    class Callable:
        def __call__(self) -> None: ...

    for function in (None, print, lambda: None, Callable(), Callable):
        check_callable("on_message", function)
    for value in ("print", 5, Ellipsis):
        with pytest.raises(ConfigurationError, match=r"on_message is .*; allowed: a function"):
            check_callable("on_message", value)


def test_an_unknown_name_is_an_error_to_be_raised_that_lists_what_is_known() -> None:
    error = unknown_name("event", "mesage", ("open", "message"))

    assert str(error) == ("unknown event 'mesage'; did you mean 'message'? Known: message, open")
