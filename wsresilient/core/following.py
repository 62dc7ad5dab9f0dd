"""Topics that follow a selection of symbols: what to subscribe and what to drop. Pure.

What a user subscribes by hand is the user's: it is never dropped. What a user unsubscribes by hand
stays away, also while its symbol is selected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ..config import check_integer
from ..errors import ConfigurationError

__all__ = ["Difference", "Following", "TopByVolume"]


@dataclass(frozen=True, slots=True)
class TopByVolume:
    """Selects the symbols with the highest volume of the last 24 hours.

    :ivar n: how many; fewer where there are no more.
    :ivar quote: only those with this quote currency ("USDT"), since volumes of different ones
        cannot be compared; None: all.
    :raises ConfigurationError: n is no whole number >= 1, or quote no str.
    """

    n: int
    quote: str | None = None

    def __post_init__(self) -> None:
        check_integer("n", self.n, minimum=1)
        quote: object = self.quote
        if quote is not None and (not isinstance(quote, str) or not quote):
            raise ConfigurationError(
                f"quote is {quote!r:.60}; allowed: a currency, such as 'USDT', or None"
            )


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new selection changes.

    :ivar added: topics to subscribe, in the order of the selection.
    :ivar dropped: topics to unsubscribe.
    """

    added: tuple[str, ...]
    dropped: tuple[str, ...]


class Following:
    """Which topics follow the selection, and which do not. The caller holds a lock."""

    def __init__(self) -> None:
        self._own: dict[str, None] = {}
        self._left_out: set[str] = set()

    def __repr__(self) -> str:
        return f"<Following {len(self._own)} topics, {len(self._left_out)} left out>"

    def __len__(self) -> int:
        return len(self._own)

    def taken(self, topics: Iterable[str]) -> None:
        """Note that somebody has subscribed these by hand."""
        for topic in topics:
            self._own.pop(topic, None)
            self._left_out.discard(topic)

    def left_out(self, topics: Iterable[str]) -> None:
        """Note that somebody has unsubscribed these by hand."""
        for topic in topics:
            self._own.pop(topic, None)
            self._left_out.add(topic)

    def forget(self) -> None:
        """Follow nothing: what is subscribed stays, as if it had been subscribed by hand."""
        self._own.clear()
        self._left_out.clear()

    def difference(self, selected: Iterable[str], present: Collection[str]) -> Difference:
        """Say what to do after a new selection; :meth:`subscribed` and :meth:`dropped` follow it.

        :param selected: the topics of all selected symbols.
        :param present: the topics that are subscribed.
        """
        wanted = dict.fromkeys(selected)
        return Difference(
            tuple(t for t in wanted if t not in present and t not in self._left_out),
            tuple(t for t in self._own if t not in wanted),
        )

    def subscribed(self, topics: Iterable[str]) -> None:
        """Note that these have been subscribed for the selection."""
        self._own.update(dict.fromkeys(topics))

    def dropped(self, topics: Iterable[str]) -> None:
        """Note that these have been unsubscribed for the selection."""
        for topic in topics:
            self._own.pop(topic, None)
