"""The look at what a test leaves behind: it must see it, name it, and let it go in its time."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from tests.support import Gate, Leftovers, Running, eventually

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc")


def test_nothing_new_is_nothing_left() -> None:
    assert Leftovers().describe(within=0.0) == ""


def test_a_thread_is_named_with_the_place_where_it_stands() -> None:
    before, gate = Leftovers(), Gate()
    thread = threading.Thread(target=gate.pass_through, name="wsr-lost", daemon=True)
    thread.start()
    gate.wait_for_arrival()

    left = before.describe(within=0.0)

    assert left.startswith("left over: 1 threads, 0 kinds of descriptors")
    assert "wsr-lost:" in left
    assert "in pass_through" in left
    gate.open()
    assert before.describe() == ""


@needs_proc
def test_a_socket_is_seen_until_it_is_closed() -> None:
    before = Leftovers()
    with socket.socket():
        assert "1 x socket:[" in before.describe(within=0.0)
    assert before.describe(within=0.0) == ""


@needs_proc
@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="there is no eventfd")
def test_an_eventfd_is_seen_until_it_is_closed() -> None:
    first = os.eventfd(0)
    before = Leftovers()
    second = os.eventfd(0)

    assert "1 x anon_inode:[eventfd]" in before.describe(within=0.0)
    os.close(second)
    assert before.describe(within=0.0) == ""
    os.close(first)


@needs_proc
def test_other_files_are_nobody_s_business() -> None:
    before = Leftovers()
    with Path(__file__).open("rb"):
        assert before.describe(within=0.0) == ""


def test_what_a_thread_raises_comes_out_of_its_result() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Running(fail).result()
    assert Running(lambda: 5).result() == 5


def test_eventually_is_bounded() -> None:
    assert eventually(lambda: True, within=0.0)
    assert not eventually(lambda: False, within=0.0)
