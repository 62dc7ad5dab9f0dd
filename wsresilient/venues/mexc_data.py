"""The numbers that name and order what MEXC pushes. A push of another shape has none."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .base import SequenceNumbers

__all__ = ["identity_of", "sequence_of"]


def identity_of(message: Any) -> Hashable | None:
    """Name a :class:`~wsresilient.Message`, or give None where nothing names it."""
    make = _IDENTITIES.get(message.channel)
    if make is None:
        return None
    try:
        parts = make(message.data)
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
    if not all(isinstance(part, (int, float, str)) for part in parts):
        return None
    return (message.channel, message.symbol, *parts)


def sequence_of(message: Any) -> SequenceNumbers | None:
    """Give the versions that a change of the order book covers, or None."""
    data = message.data
    if message.channel != "depth" or not isinstance(data, dict):
        return None
    version = data.get("version")
    # Merged changes, the default, say from where to where; the others are one version each.
    first, last = data.get("begin", version), data.get("end", version)
    if not isinstance(first, int) or not isinstance(last, int):
        return None
    return SequenceNumbers((message.channel, message.symbol), first, last)


def _deals(data: Any) -> tuple[Any, ...]:
    # Not in the order of their ids, and a single one may come without a list.
    rows = data if isinstance(data, list) else [data]
    return rows[0]["i"], rows[-1]["i"], len(rows)


def _candle(data: Any) -> tuple[Any, ...]:
    # There is no number; a candle that has not changed is the same candle.
    return tuple(data[name] for name in ("interval", "t", "q", "a", "o", "h", "l", "c"))


def _change(data: Any) -> tuple[Any, ...]:
    return data.get("begin", data["version"]), data["version"]


def _order(data: Any) -> tuple[Any, ...]:
    # A string in older messages, a number in newer ones.
    return str(data["orderId"]), data["updateTime"], data["state"]


_IDENTITIES: dict[str | None, Callable[[Any], tuple[Any, ...]]] = {
    "deal": _deals,
    "kline": _candle,
    "depth": _change,
    "depth.full": lambda data: (data["version"],),
    "ticker": lambda data: (data["timestamp"],),
    "personal.order": _order,
    "personal.order.deal": lambda data: (data["id"],),
    "personal.position": lambda data: (data["positionId"], data["version"]),
}
