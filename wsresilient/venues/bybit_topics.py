"""Bybit's topics: which there are on which connection, how they are spelled, how they are checked.

A public topic is ``<channel>[.<depth or interval>].<symbol>``, a private one its channel alone or
with a category. Source: Bybit's documentation ``docs/v5/websocket`` (2026-07).
"""

from __future__ import annotations

import re
from functools import lru_cache

from ..config import check_choice, unknown_name
from ..core.topic_index import LONGEST_REMEMBERED
from ..errors import ConfigurationError

__all__ = [
    "MARKETS",
    "PARAMETERS",
    "PRIVATE",
    "check_private",
    "check_public",
    "is_private",
    "is_public",
    "private_head",
    "public_channels",
    "split",
]

MARKETS = ("linear", "spot", "inverse", "option")

_FUTURES = frozenset({"linear", "inverse"})
_NO_OPTIONS = frozenset({"linear", "spot", "inverse"})
#: Public channels and the markets that have them.
_PUBLIC = {
    "orderbook": frozenset(MARKETS),
    "publicTrade": frozenset(MARKETS),
    "tickers": frozenset(MARKETS),
    "kline": _NO_OPTIONS,
    "priceLimit": _NO_OPTIONS,
    "allLiquidation": _FUTURES,
    "insurance": _FUTURES,
    "adlAlert": _FUTURES,
}
#: Channels with a parameter in their name: "orderbook.50", "kline.5".
PARAMETERS = {"orderbook": "depth", "kline": "interval"}
_DEPTHS = ("1", "50", "200", "1000", "full", "rpi")
_OPTION_DEPTHS = ("25", "100")
_INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")

#: Private channels.
PRIVATE = (
    "dcp",
    "execution",
    "execution.fast",
    "greeks",
    "order",
    "position",
    "strategy",
    "wallet",
)
#: They come all in one ("order") or of one category ("order.linear"), except these.
_CATEGORIES = ("future", "inverse", "linear", "option", "spot")
_ALL_IN_ONE_ONLY = frozenset({"greeks", "strategy", "wallet"})

#: BTCUSDT, BTC-04APR25, BTC-6JAN23-18000-C-USDT; options' trades go by the coin: BTC.
_SYMBOL = re.compile(r"[^\W_a-z]+(-\d{1,2}[A-Z]{3}\d{2}(-[\d.]+-[CP](-[A-Z]+)?)?)?")
_POOLS = frozenset({"adlAlert", "insurance"})
_POOL = re.compile(r"[A-Z0-9]+|inverse")  # the coin of an insurance pool


def is_private(topic: str) -> bool:
    """Whether it is a private topic, spelled right or not."""
    return topic.partition(".")[0] in PRIVATE


def is_public(topic: str) -> bool:
    """Whether it is a public topic of some market, spelled right or not."""
    return topic.partition(".")[0] in _PUBLIC


def public_channels(market: str) -> tuple[str, ...]:
    """Give the channels of a market; one with a parameter ends in a dot."""
    names = (name for name, markets in _PUBLIC.items() if market in markets)
    return tuple(sorted(f"{name}." if name in PARAMETERS else name for name in names))


def split(topic: str) -> tuple[str, str | None]:
    """Take a topic apart: channel and symbol; the symbol is None where the topic has none.

    >>> split("orderbook.50.BTCUSDT"), split("tickers.BTC-6JAN23-0.5-C"), split("order.spot")
    (('orderbook.50', 'BTCUSDT'), ('tickers', 'BTC-6JAN23-0.5-C'), ('order.spot', None))
    """
    return _split_and_remember(topic) if len(topic) <= LONGEST_REMEMBERED else _split(topic)


def _split(topic: str) -> tuple[str, str | None]:
    head, _, rest = topic.partition(".")
    if head in PARAMETERS:
        parameter, _, rest = rest.partition(".")
        return f"{head}.{parameter}", rest or None
    return (head, rest or None) if head in _PUBLIC else (topic, None)


_split_and_remember = lru_cache(maxsize=8192)(_split)


def private_head(topic: str) -> str:
    """Take the category off a private topic.

    >>> private_head("order.linear"), private_head("execution.fast")
    ('order', 'execution.fast')
    """
    head, _, category = topic.rpartition(".")
    return head if category in _CATEGORIES else topic


def check_private(topic: str) -> None:
    """Check a topic of the private connection.

    :raises ConfigurationError: there is no such channel.
    """
    head = private_head(topic)
    if head not in PRIVATE:
        raise unknown_name("private topic of Bybit", topic, PRIVATE)
    if topic != head and head in _ALL_IN_ONE_ONLY:
        raise ConfigurationError(
            f"there is no topic {topic!r}: {head!r} has no categories and comes as a whole"
        )


def check_public(topic: str, market: str) -> None:
    """Check a topic of a market's connection.

    :raises ConfigurationError: there is no such channel, depth, interval or symbol.
    """
    head = topic.partition(".")[0]
    if market not in _PUBLIC.get(head, ()):
        raise unknown_name(f"channel of Bybit's {market} market", head, public_channels(market))
    channel, symbol = split(topic)
    if head in PARAMETERS:
        depths = _OPTION_DEPTHS if market == "option" else _DEPTHS
        what = f"the {PARAMETERS[head]} of {topic!r:.80}"
        allowed = depths if head == "orderbook" else _INTERVALS
        check_choice(what, channel.partition(".")[2], allowed)
    if symbol is None:
        raise ConfigurationError(
            f"{topic!r:.80} has no symbol; Bybit writes it last: '{channel}.BTCUSDT'"
        )
    _check_symbol(symbol, head)


def _check_symbol(symbol: str, head: str) -> None:
    if (_POOL if head in _POOLS else _SYMBOL).fullmatch(symbol):
        return
    plain = re.sub(r"[\W_]", "", symbol).upper() or "BTCUSDT"
    raise ConfigurationError(
        f"{symbol!r:.80} is no symbol of Bybit's, which spells them in upper case and without a "
        f"separator: {plain!r:.80}"
    )
