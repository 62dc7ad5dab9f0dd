from __future__ import annotations

from wsresilient.core.first_data import FirstData


def test_each_late_topic_is_given_once() -> None:
    waiting = FirstData(60.0)
    waiting.wait_for("a", 0.0)
    waiting.wait_for("b", 10.0)
    assert waiting.deadline() == 60.0
    assert waiting.silent(59.9) == []
    assert waiting.silent(60.0) == ["a"]
    assert waiting.silent(60.0) == []
    assert waiting.deadline() == 70.0


def test_what_has_come_is_not_waited_for() -> None:
    waiting = FirstData(60.0)
    waiting.wait_for("a", 0.0)
    assert waiting
    waiting.forget("a")
    waiting.forget("never")

    assert not waiting
    assert waiting.silent(1000.0) == []
    assert waiting.deadline() is None


def test_without_a_timeout_nobody_waits() -> None:
    waiting = FirstData(None)
    waiting.wait_for("a", 0.0)

    assert not waiting


def test_clear_forgets_all() -> None:
    waiting = FirstData(1.0)
    waiting.wait_for("a", 0.0)
    waiting.clear()

    assert waiting.silent(10.0) == []


def test_a_topic_that_is_confirmed_again_waits_behind_the_others() -> None:
    waiting = FirstData(60.0)
    waiting.wait_for("a", 0.0)
    waiting.wait_for("b", 10.0)
    waiting.wait_for("a", 20.0)

    assert waiting.deadline() == 70.0
    assert waiting.silent(70.0) == ["b"]
    assert waiting.silent(80.0) == ["a"]
