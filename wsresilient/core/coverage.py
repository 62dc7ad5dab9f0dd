"""Whether a new stream brings what an old one brings, where nobody knows what that should be. Pure.

Without topics nothing confirms that a new connection gets the same as the old one: it may still
wait for a login that the user makes by hand, or write something of itself into each message. So
that is counted: how many different messages have come over both. A heartbeat that is always the
same proves nothing, nor do a few that agree where most do not. Answers to what was sent come over
one of them only, so it is enough that most of what one of the two brings comes over the other.

One thread writes; the verdict may be asked for from any.
"""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Coverage"]

#: Messages that have to agree, at least.
FEWEST = 3
#: Messages of the old stream that are looked for, and of the new one that are remembered.
MOST_LOOKED_FOR = 10_000
MOST_REMEMBERED = 100_000


class Coverage:
    """Counts the messages of an old stream, and those of them that a new one has brought too."""

    def __init__(self) -> None:
        self._is_counting = False
        self._looked_for: set[Hashable] = set()  # of the old stream
        self._brought: set[Hashable] = set()  # of the new one
        self.found = 0

    def __repr__(self) -> str:
        return f"<Coverage {self}>"

    def __str__(self) -> str:
        return f"{self.found} of {self.looked_for}"

    @property
    def looked_for(self) -> int:
        """Different messages of the old stream."""
        return len(self._looked_for)

    def begin(self) -> None:
        """Count the old stream's messages from now on."""
        self._is_counting = True

    def note_old(self, name: Hashable) -> None:
        """Look for a message of the old stream; the same name counts once."""
        if not self._is_counting or self.looked_for >= MOST_LOOKED_FOR:
            return
        if name not in self._looked_for:
            self._looked_for.add(name)
            self.found += name in self._brought

    def note_new(self, name: Hashable) -> None:
        """Note a message of the new stream; the same name counts once."""
        is_wanted = name in self._looked_for
        if name not in self._brought and (is_wanted or len(self._brought) < MOST_REMEMBERED):
            self._brought.add(name)
            self.found += is_wanted

    @property
    def is_enough(self) -> bool:
        """Whether the two bring the same."""
        most = min(self.looked_for, len(self._brought))
        return self.found >= FEWEST and 2 * self.found >= most

    @property
    def is_silent(self) -> bool:
        """Whether neither has brought anything, so that nothing can be missing."""
        return not self.looked_for and not self._brought
