"""Calls that are made on a reader's thread, for connections whose handlers run there.

With ``dispatch="inline"`` there is no other thread for handlers. What others want to be called
waits here until the reader looks around. While a connection has a successor there are two
readers: they take turns, and one of them is the one on which such calls are made.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

__all__ = ["InlineCalls"]


class InlineCalls:
    """Calls for the one reader that makes them, in the order in which they were put."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._reader: int | None = None
        #: Held by the reader that calls handlers, as long as there are two.
        self.turn = threading.RLock()

    def adopt(self, reader: int) -> None:
        """Say on which thread the calls are made from now on.

        Only the thread that has made them so far may say so, or everybody when it is gone.
        """
        self._reader = reader

    def put(self, call: Callable[[], object]) -> bool:
        """Add a call; it is made at once on the reader's own thread.

        :returns: False: another thread is the reader, and has to be woken.
        """
        self._waiting.append(call)
        is_own = threading.get_ident() == self._reader
        if is_own:
            self.run()
        return is_own

    def run(self) -> None:
        """Make the calls that wait; nothing on any other thread than the reader's."""
        while self._waiting and threading.get_ident() == self._reader:
            call = self._waiting.popleft()
            with self.turn:
                call()

    def clear(self) -> None:
        """Forget the calls that wait."""
        self._waiting.clear()
