"""The waker in a child after a fork."""

from __future__ import annotations

import os
import threading

import pytest

from tests.support import BOUND
from wsresilient.runtime.wire import Waker


def test_a_lock_that_a_lost_thread_holds_does_not_keep_a_forked_child_from_closing() -> None:
    waker = Waker()
    descriptor = waker.fileno()
    held = threading.Event()
    closed = threading.Event()

    def hold() -> None:  # what the fork leaves behind: locked, by a thread that never lets go
        with waker._lock:
            held.set()
            closed.wait(BOUND)

    def close() -> None:
        waker.forget_after_fork()
        closed.set()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(BOUND)
    closer = threading.Thread(target=close)
    closer.start()
    in_time = closed.wait(BOUND / 2)
    for thread in (holder, closer):
        thread.join(2 * BOUND)

    assert in_time
    assert waker.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    waker.wake()  # does nothing any more
