"""Ctrl-C where handlers run on the main thread: heard at points where nothing is half done.

Python raises KeyboardInterrupt wherever the main thread happens to be. In the middle of serving a
queue that would leave the queue in nobody's hands, and while a handler is being isolated it would
pass for an error of that handler. So Ctrl-C is only noted there, and whoever serves looks at the
note. Inside of a user's function it is raised as ever, since that may last. It knows neither
connections nor queues.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

__all__ = ["Interrupts"]


class Interrupts:
    """Takes Ctrl-C while it is entered; on other threads, or beside another handler, nothing.

    :param wake: is called when Ctrl-C was noted, in the middle of anything: it must take no lock.
    :ivar was_noted: whether Ctrl-C came outside of :meth:`call`; the next one is raised
        wherever it comes.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._is_ours = False
        self._is_calling = False
        self.was_noted = False

    def __repr__(self) -> str:
        return f"<Interrupts noted={self.was_noted}>"

    def __enter__(self) -> Interrupts:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupted)
            self._is_ours = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A user's function may have set another one meanwhile, which stays.
        if self._is_ours and signal.getsignal(signal.SIGINT) == self._interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._is_ours = False

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a user's function.

        :raises KeyboardInterrupt: Ctrl-C came meanwhile; or whatever the function raises.
        """
        self._is_calling = True
        try:
            function(*args)
        finally:
            self._is_calling = False

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_calling or self.was_noted:
            raise KeyboardInterrupt
        self.was_noted = True
        self._wake()
