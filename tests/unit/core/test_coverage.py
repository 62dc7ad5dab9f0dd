"""Two streams of which nobody knows the topics: do they bring the same?"""

from __future__ import annotations

import pytest

from wsresilient.core import coverage as module
from wsresilient.core.coverage import Coverage


def counted(old: list[object], new: list[object]) -> Coverage:
    coverage = Coverage()
    coverage.begin()
    for name in old:
        coverage.note_old(name)
    for name in new:
        coverage.note_new(name)
    return coverage


def test_most_of_the_same_is_enough_whoever_is_first() -> None:
    assert counted([1, 2, 3, 4], [2, 3, 4]).is_enough
    ahead = Coverage()
    for name in (1, 2, 3):
        ahead.note_new(name)
    ahead.begin()
    for name in (1, 2, 3):
        ahead.note_old(name)
    assert ahead.is_enough
    assert "3 of 3" in repr(ahead)


def test_a_few_are_not_enough() -> None:
    assert not counted([1, 2], [1, 2]).is_enough


def test_a_heartbeat_counts_once() -> None:
    assert not counted(["beat"] * 10 + [1, 2, 3], ["beat"] * 10).is_enough


def test_answers_to_one_of_them_do_not_count_against_it() -> None:
    answers: list[object] = [f"answer {number}" for number in range(100)]
    assert counted([1, 2, 3, *answers], [1, 2, 3]).is_enough


def test_where_most_differs_a_few_that_agree_prove_nothing() -> None:
    old: list[object] = [f"old {number}" for number in range(100)]
    new: list[object] = [f"new {number}" for number in range(100)]
    assert not counted([1, 2, 3, *old], [1, 2, 3, *new]).is_enough


def test_what_the_old_one_brought_before_the_beginning_is_not_looked_for() -> None:
    coverage = Coverage()
    coverage.note_old(1)
    assert coverage.looked_for == 0
    assert coverage.is_silent
    assert not counted([1], []).is_silent
    assert not counted([], [1]).is_silent


def test_it_remembers_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LOOKED_FOR", 5)
    monkeypatch.setattr(module, "MOST_REMEMBERED", 10)
    coverage = counted(list(range(100)), [*range(1000, 2000), 3, 4, 3])
    assert str(coverage) == "2 of 5"
    assert len(coverage._brought) == 12
