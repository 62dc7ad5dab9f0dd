"""The threads of one life: one for each link, and one of them in charge.

It only knows who they are; what they do is the supervisor's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .threads import gather, spawn

__all__ = ["Crew"]


class Crew:
    """The threads of one life. What it holds may be read from any thread.

    :param name: of each of them.
    :ivar members: those that may still be running.
    :ivar in_charge: the one that goes on with the loop, or None before it has begun.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # guards the writing of the fields below
        self.members: tuple[threading.Thread, ...] = ()
        self.in_charge: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Crew of {len(self.members)} {self._name}>"

    def spawn(self, target: Callable[..., None], *args: object) -> None:
        """Start a thread.

        :raises RuntimeError: the system makes no more threads.
        """
        self._enter(spawn(target, *args, name=self._name))

    def _enter(self, thread: threading.Thread) -> None:
        with self._lock:
            kept = (one for one in self.members if one.is_alive() and one is not thread)
            self.members = (*kept, thread)

    def enter(self) -> None:
        """Count the calling thread.

        Whoever has started it may not have come to that yet, and a function of the user's that it
        calls may ask already.
        """
        self._enter(threading.current_thread())

    def take_charge(self) -> None:
        """Put the calling thread in charge."""
        self.enter()
        self.in_charge = threading.current_thread()

    def is_in_charge(self) -> bool:
        """Whether the calling thread is in charge."""
        return self.in_charge is threading.current_thread()

    def is_member(self) -> bool:
        """Whether the calling thread is one of them."""
        return threading.current_thread() in self.members

    def wait_for_others(self, timeout: float) -> None:
        """Wait until the calling thread is the last one, at most so many seconds."""
        gather(self.members, timeout=timeout)
