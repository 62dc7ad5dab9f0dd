"""wait_until: it asks again until the answer is true, and says what it waited for."""

from __future__ import annotations

import re

import pytest

from wsresilient.testing import wait_until


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, "", [], "here", "too late"])

    assert wait_until(lambda: next(values)) == "here"


def test_the_message_names_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match=r"waited 0 s in vain for two apples; last value: 0"):
        wait_until(lambda: 0, timeout=0, description="two apples")


def test_without_a_description_the_message_names_the_place_of_the_condition() -> None:
    with pytest.raises(AssertionError, match=re.escape(f"<lambda> ({__file__}:")):
        wait_until(lambda: None, timeout=0)


def test_a_condition_without_code_is_named_too() -> None:
    with pytest.raises(AssertionError, match="waited 0 s in vain for list"):
        wait_until(list, timeout=0)


def test_without_time_it_asks_once() -> None:
    calls: list[int] = []

    with pytest.raises(AssertionError):
        wait_until(lambda: calls.append(1), timeout=0)

    assert calls == [1]


def test_what_the_condition_raises_is_not_caught() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0)
