"""The one place that makes threads, so that every thread has a telling name and is a daemon.

It knows nothing of connections: it starts a function, and joins threads with a bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

__all__ = ["gather", "spawn"]


def spawn(target: Callable[..., object], *args: object, name: str) -> threading.Thread:
    """Make and start a daemon thread.

    :param target: what it runs, called with ``args``.
    :param name: the thread's name; the names are part of the design (docs, "Threads").
    :returns: the running thread.
    :raises RuntimeError: the interpreter is shutting down and makes no more threads.
    """
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    thread.start()
    return thread


def gather(threads: Iterable[threading.Thread], *, timeout: float) -> list[threading.Thread]:
    """Join several threads under one bound; the calling thread is passed over.

    :param timeout: seconds for all of them together.
    :returns: those that are still running.
    """
    deadline = time.monotonic() + timeout
    waited_for = [thread for thread in threads if thread is not threading.current_thread()]
    for thread in waited_for:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in waited_for if thread.is_alive()]
