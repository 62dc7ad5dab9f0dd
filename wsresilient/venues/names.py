"""The venues by the names under which a command line or a file of settings knows them.

A name is an exchange ("okx"), or an exchange and the part of it that is meant ("okx-business").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from ..config import unknown_name
from ..errors import ConfigurationError
from .base import Venue
from .binance import Binance
from .bybit import Bybit
from .mexc import MEXC
from .okx import OKX

__all__ = ["VENUE_NAMES", "markets_of", "venue_by_name"]

_VENUES: Mapping[str, Callable[..., Venue]] = {
    "binance": Binance,
    "binance-spot": Binance,
    "binance-futures": partial(Binance, "futures"),
    "okx": OKX,
    "okx-public": OKX,
    "okx-private": partial(OKX, "private"),
    "okx-business": partial(OKX, "business"),
    "bybit": Bybit,
    "bybit-linear": Bybit,
    "bybit-spot": partial(Bybit, "spot"),
    "bybit-inverse": partial(Bybit, "inverse"),
    "bybit-option": partial(Bybit, "option"),
    "bybit-private": partial(Bybit, private=True),
    "mexc": MEXC,
}

#: All names that :func:`venue_by_name` knows.
VENUE_NAMES = tuple(_VENUES)


def markets_of(name: str) -> tuple[str, ...]:
    """Give what may follow the name of an exchange: "futures", "spot"; () where nothing may.

    :param name: without a market.
    """
    prefix = f"{name}-"
    return tuple(full.removeprefix(prefix) for full in VENUE_NAMES if full.startswith(prefix))


def venue_by_name(name: str, *, market: str | None = None, environment: str | None = None) -> Venue:
    """Make a venue.

    >>> venue_by_name("binance-futures"), venue_by_name("bybit", market="spot")
    (Binance('futures', 'live'), Bybit('spot'))

    :param name: one of :data:`VENUE_NAMES`, without regard to case.
    :param market: the part of the exchange; None: what the name says, else the usual one.
    :param environment: "live", "testnet" or "demo"; None: "live".
    :raises ConfigurationError: there is no such venue, market or environment; the text names those
        that there are.
    """
    lowered = name.lower()
    if lowered not in VENUE_NAMES:
        raise unknown_name("venue", name, VENUE_NAMES)
    make = _VENUES[_with_market(lowered, market)]
    if environment is None or (make is MEXC and environment == "live"):
        return make()
    if make is MEXC:
        raise ConfigurationError(
            f"environment is {environment!r:.40}; allowed: 'live', mexc has no other"
        )
    return make(environment=environment)


def _with_market(name: str, market: str | None) -> str:
    """Join an exchange and a market to the name of a venue."""
    if market is None:
        return name
    exchange, _, named = name.partition("-")
    if named and named != market.lower():
        raise ConfigurationError(
            f"market is {market!r:.40} and the venue {name!r}; allowed: the venue {exchange!r} "
            "with a market, or a full name alone"
        )
    markets = markets_of(exchange)
    if not markets:
        raise ConfigurationError(f"market is {market!r:.40}; {exchange} has only one: leave it out")
    if market.lower() not in markets:
        raise unknown_name(f"market of {exchange}", market, markets)
    return f"{exchange}-{market.lower()}"
