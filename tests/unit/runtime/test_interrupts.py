"""Interrupts: Ctrl-C on the main thread is noted, and raised only where it may be."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.support import Running
from wsresilient.runtime.interrupts import Interrupts


@pytest.fixture(autouse=True)
def _usual_handler() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_it_is_noted_and_tells_who_waits() -> None:
    woken: list[bool] = []
    with Interrupts(lambda: woken.append(True)) as interrupts:
        assert "noted=False" in repr(interrupts)
        ctrl_c()
        assert interrupts.was_noted
    assert woken == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_one_is_raised() -> None:
    with Interrupts(lambda: None) as interrupts:
        ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
        assert interrupts.was_noted


def test_in_a_function_of_the_users_it_is_raised() -> None:
    called: list[int] = []
    with Interrupts(lambda: None) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupts.call(ctrl_c)
        assert "noted=False" in repr(interrupts)
        interrupts.call(called.append, 1)
        ctrl_c()  # behind it no more
        assert interrupts.was_noted
    assert called == [1]


def test_what_the_function_raises_comes_out() -> None:
    def fail() -> None:
        raise ValueError("no")

    with Interrupts(lambda: None) as interrupts:
        with pytest.raises(ValueError, match="no"):
            interrupts.call(fail)
        ctrl_c()
        assert interrupts.was_noted


def test_another_handler_is_left_alone() -> None:
    got: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: got.append(number))
    own = signal.getsignal(signal.SIGINT)
    with Interrupts(lambda: None) as interrupts:
        ctrl_c()
        assert not interrupts.was_noted
    assert got == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is own


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    with Interrupts(lambda: None):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_other_threads_leave_it_alone() -> None:
    def enter() -> object:
        with Interrupts(lambda: None):
            return signal.getsignal(signal.SIGINT)

    running = Running(enter)
    assert running.result() is signal.default_int_handler
