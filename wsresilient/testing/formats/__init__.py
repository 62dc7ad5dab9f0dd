"""The venues that the fake exchange can speak like, by name and by what the library calls them.

What a format is stands in ``base.py``, each venue in a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsresilient.errors import ConfigurationError
from wsresilient.testing.formats.base import ExchangeFormat
from wsresilient.testing.formats.binance import BinanceFormat
from wsresilient.testing.formats.binance_futures import BinanceFuturesFormat
from wsresilient.testing.formats.bybit import BybitFormat
from wsresilient.testing.formats.mexc import MEXCFormat
from wsresilient.testing.formats.okx import OKXFormat
from wsresilient.venues import MEXC, OKX, VENUE_NAMES, Binance, Bybit, Venue, venue_by_name

__all__ = ["format_of", "venue_of"]


def _binance(venue: Any) -> ExchangeFormat:
    return BinanceFormat() if venue.market == "spot" else BinanceFuturesFormat()


_FORMATS: tuple[tuple[type[Venue], Callable[[Any], ExchangeFormat]], ...] = (
    (Binance, _binance),
    (OKX, lambda venue: OKXFormat(venue.channel_type)),
    (Bybit, lambda venue: BybitFormat(venue.market, private=venue.private)),
    (MEXC, lambda _: MEXCFormat()),
)


def venue_of(venue: str | Venue | ExchangeFormat) -> Venue | None:
    """Find the library's venue.

    :param venue: a name, without regard to case, a venue, or a format.
    :returns: None for a format, of which the library knows nothing.
    :raises ConfigurationError: there is no venue of that name; the text lists those that there are.
    """
    if isinstance(venue, Venue):
        return venue
    return venue_by_name(venue) if isinstance(venue, str) else None


def format_of(venue: str | Venue | ExchangeFormat) -> ExchangeFormat:
    """Find a venue's format.

    :param venue: a name, without regard to case, a venue of the library, or a format, which is
        returned as it is.
    :raises ConfigurationError: there is no such venue; the text lists those that there are.
    """
    if isinstance(venue, ExchangeFormat):
        return venue
    known = venue_of(venue)
    for kind, make in _FORMATS:
        if isinstance(known, kind):
            return make(known)
    names = ", ".join(map(repr, VENUE_NAMES))
    raise ConfigurationError(
        f"the fake exchange does not speak like {venue!r:.80}; allowed: a name ({names}),"
        " Binance(), OKX(), Bybit(), MEXC(), or an ExchangeFormat"
    )
