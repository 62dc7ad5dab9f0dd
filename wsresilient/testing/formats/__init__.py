"""The venues that the fake exchange can speak like, by name.

The list is all that is here: what a format is stands in ``base.py``, each venue in a module of its
own. ``bybit.py`` has ``BybitFormat(market="linear", private=False)``, ``mexc.py`` ``MEXCFormat()``;
``okx.py`` ``OKXFormat(channel_type="public")``, ``binance.py`` ``BinanceFormat()``,
``binance_futures.py`` ``BinanceFuturesFormat()``.
"""

from __future__ import annotations

from collections.abc import Callable

from wsresilient.errors import ConfigurationError
from wsresilient.testing.formats.base import ExchangeFormat
from wsresilient.testing.formats.binance import BinanceFormat
from wsresilient.testing.formats.bybit import BybitFormat
from wsresilient.testing.formats.mexc import MEXCFormat

__all__ = ["FORMATS", "format_of"]

FORMATS: dict[str, Callable[[], ExchangeFormat]] = {
    "binance": BinanceFormat,
    "bybit": BybitFormat,
    "mexc": MEXCFormat,
}


def format_of(venue: str | ExchangeFormat) -> ExchangeFormat:
    """Find a venue's format.

    :param venue: a name, without regard to case, or a format, which is returned as it is.
    :raises ConfigurationError: there is no venue of that name; the text lists those that there are.
    """
    if not isinstance(venue, str):
        return venue
    try:
        make = FORMATS[venue.lower()]
    except KeyError:
        known = ", ".join(repr(name) for name in sorted(FORMATS))
        raise ConfigurationError(f"venue must be one of {known}, not {venue!r}") from None
    return make()
