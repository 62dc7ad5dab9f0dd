"""What is said of a symbol that brings nothing: whether there is such a one, and which come near.

The exchange is asked over REST, once and only when there is a reason. That is best effort: where it
cannot be asked, nothing is said.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Sequence

from ..errors import WSResilientError, describe
from ..runtime.rest import RestClient
from ..venues.base import Venue

__all__ = ["SymbolAdviser", "advice"]

logger = logging.getLogger("wsresilient.cli")

#: Seconds that the exchange has for its answer.
PATIENCE = 5.0
#: How many names are proposed.
MOST_NAMES = 5


class SymbolAdviser:
    """Knows the symbols of an exchange, once it has asked.

    :param venue: whose REST is asked.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._known: tuple[str, ...] | None = None
        self._explained: set[str] = set()

    def __repr__(self) -> str:
        return f"<SymbolAdviser of {self._venue!r}, {len(self._known or ())} symbols>"

    def explain(self, topics: Iterable[str]) -> list[str]:
        """Say what is to be said of the symbols of topics that bring nothing, of each once.

        The first call waits for the exchange, a few seconds at most.
        """
        named = [self._venue.symbol_of(topic) for topic in topics]
        symbols = [
            symbol
            for symbol in dict.fromkeys(named)
            if symbol is not None and symbol not in self._explained
        ]
        if not symbols:
            return []
        if self._known is None:
            self._known = self._ask(symbols[0])
        self._explained.update(symbols)
        known = self._known
        return [advice(self._venue.name, symbol, known) for symbol in symbols if known]

    def _ask(self, symbol: str) -> tuple[str, ...]:
        try:
            with RestClient(self._venue, timeout=PATIENCE) as rest:
                found = rest.symbols(kind=_kind_of(self._venue, symbol))
        except WSResilientError as error:
            logger.debug("the symbols could not be looked up: %s", describe(error))
            return ()
        return tuple(one.name for one in found)


def advice(venue: str, symbol: str, known: Sequence[str]) -> str:
    """Say whether there is a symbol, and which come near to one that is none.

    :param venue: the exchange's name.
    :param known: all symbols, at least one.
    """
    if symbol in known:
        return f"{symbol!r} is traded on {venue}: it may just be quiet"
    near = difflib.get_close_matches(symbol.upper(), known, n=MOST_NAMES, cutoff=0.7)
    if near:
        return f"{venue} has no symbol {symbol!r:.60}; did you mean {', '.join(near)}?"
    shown = ", ".join(known[:MOST_NAMES])
    return f"{venue} has no symbol {symbol!r:.60}; it has {len(known)}, such as {shown}"


def _kind_of(venue: Venue, symbol: str) -> str | None:
    """Tell the kind by the name, on OKX, which lists each kind by itself; None: the usual one."""
    if venue.name != "okx":
        return None
    if symbol.endswith("-SWAP"):
        return "perpetual"
    return "future" if symbol.count("-") == 2 else None
