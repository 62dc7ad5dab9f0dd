"""What a succession goes through, and what it asks of the life of its connections.

Only names and values: ``succession.py`` decides, ``supervisor.py`` is the life.
"""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from ..core.failure import Failure
from .junction import Junction
from .link import Link
from .links import Links

__all__ = ["DECIDED", "UNDECIDED", "Phase", "SuccessionHost", "Transfer"]


class Phase(str, enum.Enum):
    """How far a succession is."""

    IDLE = "idle"  # there is one connection
    OPENING = "opening"  # the successor is not confirmed yet
    OVERLAPPING = "overlapping"  # both bring messages
    SWITCHING = "switching"  # the old one's last batch is still to be served
    SWITCHED = "switched"  # the user gets what the successor brings
    LEAVING = "leaving"  # the old one has ended; what came until then is still to be served
    FAILED = "failed"  # the successor is given up, and has not ended yet

    def __str__(self) -> str:
        return self.value


#: There is a way back from these: the old connection brings all that the user gets.
UNDECIDED = frozenset({Phase.OPENING, Phase.OVERLAPPING})
#: And none from these.
DECIDED = frozenset({Phase.SWITCHING, Phase.SWITCHED})


class SuccessionHost(Protocol):
    """The life of a connection, as its succession sees it."""

    links: Links

    def make_successor(self) -> Link:
        """Make a connection beside the running one; it does not begin yet."""

    def start_successor(self, successor: Link) -> None:
        """Let it begin, on a thread of its own.

        :raises RuntimeError: the system makes no more threads.
        """

    def promote(self, old: Link, successor: Link, reason: Failure) -> bool:
        """Make it the running connection, as planned or for a loss; False: all is being stopped."""

    def retire(self, old: Link, reason: Failure) -> None:
        """Close a connection that has a successor."""

    def forget(self, successor: Link, failure: Failure) -> None:
        """Close the books of a successor that never became the running connection."""

    def tell_hole(self, failure: Failure) -> None:
        """Tell that messages may be missing here, since a connection was lost."""


class Transfer(NamedTuple):
    """What goes over from one connection to another."""

    old: Link
    new: Link
    junction: Junction
    reason: Failure
