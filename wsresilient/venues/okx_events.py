"""The numbers in OKX's pushes: what names one, and what follows what.

Each push holds a list of rows. OKX writes most numbers as text. Whatever comes, nothing here
raises: what is not understood has no name and no number. The ``checksum`` of books is a constant 0
since June 2026 and is left alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .base import SequenceNumbers

__all__ = ["identity", "sequence"]

_TRADES = frozenset({"trades", "trades-all"})
#: Books that are sent as differences.
_BOOKS = frozenset(
    {"books", "books-l2-tbt", "books50-l2-tbt", "books-elp", "books-rpi", "books-elp-all"}
)
#: What names a row of these channels.
_NAMES = {
    "trades": ("tradeId",),
    "trades-all": ("tradeId",),
    **dict.fromkeys(_BOOKS, ("prevSeqId", "seqId", "ts")),
    "books5": ("seqId", "ts"),
    "bbo-tbt": ("seqId", "ts"),
    "orders": ("ordId", "uTime", "state", "tradeId"),
}


def identity(channel: str | None, rows: Any) -> Hashable | None:
    """Name a push so that the same one over two connections is known; None: it has no name."""
    if channel is None or not isinstance(rows, list) or not rows:
        return None
    if "candle" in channel:
        # A candle is sent again and again while it grows, and has no other number than its content.
        return _joined([row if isinstance(row, list) else None for row in rows])
    fields = _NAMES.get(channel)
    if fields is None:
        return None
    return _joined(
        [[row.get(name) for name in fields] if isinstance(row, dict) else None for row in rows]
    )


def _joined(rows: list[list[Any] | None]) -> Hashable | None:
    parts = [part for row in rows for part in (row or [None])]
    return tuple(parts) if all(isinstance(part, (str, int)) for part in parts) else None


def sequence(channel: str | None, symbol: str | None, rows: Any) -> SequenceNumbers | None:
    """Give the numbers of a push within its stream; None: it is in no gapless count."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        return None
    if channel in _TRADES:
        return _trades((channel, symbol), rows)
    if channel in _BOOKS and len(rows) == 1:
        return _book((channel, symbol), rows[0])
    return None


def _trades(key: Hashable, rows: list[dict[str, Any]]) -> SequenceNumbers | None:
    """A row of "trades" may stand for several trades: the last one's number, and how many."""
    spans = []
    for row in rows:
        last, count = _whole(row.get("tradeId")), _whole(row.get("count", 1))
        if last is None or count is None or count < 1:
            return None
        spans.append((last - count + 1, last))
    return SequenceNumbers(key, min(first for first, _ in spans), max(last for _, last in spans))


def _book(key: Hashable, row: dict[str, Any]) -> SequenceNumbers | None:
    number, previous = _whole(row.get("seqId")), _whole(row.get("prevSeqId"))
    if number is None or previous is None or number == previous:
        return None  # nothing changed for a minute: a sign of life, no step
    # A number that falls is no restart: after a maintenance OKX begins a new count, and the message
    # still names the one before it. -1 is a snapshot.
    return SequenceNumbers(key, number, number, previous, restart=previous == -1)


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) else None
