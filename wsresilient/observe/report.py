"""The report: a summary as text that reads well in 80 columns, in a terminal and in a log.

Pure: it gets a summary and returns lines. There are no colours, so that it can be piped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from ..core.redact import shorten

__all__ = ["WIDTH", "format_age", "format_count", "format_duration", "format_report"]

WIDTH = 80

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_SUFFIXES = ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))

# Heading, width, to the right; what is left of the line is the name's.
_COLUMNS = (
    ("STATE", 12, "<"),
    ("MESSAGES", 8, ">"),
    ("/MIN", 7, ">"),
    ("RECONN", 6, ">"),
    ("AGE", 6, ">"),
    ("QUAL", 4, ">"),
)
_GAP = "  "
#: A few messages wait at any moment; only more are worth a line.
_MANY_WAITING = 1000
_NAME_WIDTH = WIDTH - sum(width + len(_GAP) for _, width, _ in _COLUMNS)


def format_report(summary: Mapping[str, Any]) -> str:
    """Lay out a summary.

    /MIN: messages a minute; RECONN: reconnects; AGE: of the last message; QUAL: the quality
    score from 0 to 100.

    :param summary: as :meth:`~wsresilient.observe.monitor.Monitor.get_summary` returns it.
    :returns: lines of at most 80 characters, without a line end behind the last.
    """
    connections: Mapping[str, Mapping[str, Any]] = summary["connections"]
    lines = [f"wsresilient: connection report, up {format_duration(summary['uptime'])}", ""]
    if connections:
        lines += [_row("CONNECTION", *(heading for heading, _, _ in _COLUMNS)), "-" * WIDTH]
        for name, stats in connections.items():
            lines += _connection_lines(name, stats)
    else:
        lines.append("No connections.")
    lines.append("")
    lines += _total_lines(summary)
    return "\n".join(lines)


def _connection_lines(name: str, stats: Mapping[str, Any]) -> list[str]:
    lines = [
        _row(
            name,
            stats["state"],
            format_count(stats["message_count"], 8),
            format_count(stats["messages_per_minute"], 7),
            format_count(stats["reconnect_count"], 6),
            format_age(stats["last_message_age"]),
            str(stats["quality_score"]),
        )
    ]
    if stats["last_error"]:
        lines.append(shorten(f"last error: {stats['last_error']}", WIDTH - 2))
    troubles = [
        f"{format_count(stats[key], 8)} {words}"
        for key, least, words in (
            ("queue_depth", _MANY_WAITING, "messages waiting for the handler"),
            ("dropped_messages", 1, "dropped"),
            ("callback_errors", 1, "handler errors"),
        )
        if stats[key] >= least
    ]
    if troubles:
        lines.append(", ".join(troubles))
    return [lines[0], *("  " + line for line in lines[1:])]


def _row(name: str, *cells: str) -> str:
    parts = [f"{_shorten_middle(name, _NAME_WIDTH):<{_NAME_WIDTH}}"]
    for cell, (_, width, alignment) in zip(cells, _COLUMNS, strict=True):
        parts.append(f"{cell:{alignment}{width}}")
    return _GAP.join(parts).rstrip()


def _total_lines(summary: Mapping[str, Any]) -> list[str]:
    routing = summary["routing_stats"]
    total, active = summary["total_connections"], summary["active_connections"]
    healthy = summary["healthy_connections"]
    sentences = (
        f"{_number(total, 'connection')}, {active} active, {healthy} healthy; "
        f"{_number(summary['total_subscriptions'], 'subscription')}.",
        f"{_number(routing['total_messages'], 'message')} "
        f"({format_count(summary['messages_per_minute'], 7)} a minute), "
        f"{routing['unrouted_messages']:,} unrouted.",
        f"{_number(routing['reconnections'], 'reconnect')}, "
        f"{_number(routing['connection_failures'], 'failed attempt')}, "
        f"{_number(routing['callback_errors'], 'handler error')}.",
        f"Status: {summary['status']}{_reason(summary)}",
    )
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH)]


def _reason(summary: Mapping[str, Any]) -> str:
    """Say in a few words why the status is what it is."""
    failed = [name for name, stats in summary["connections"].items() if stats["state"] == "failed"]
    active, healthy = summary["active_connections"], summary["healthy_connections"]
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f" ({_shorten_middle(failed[0], 40)}{more} failed)"
    if not active:
        return " (nothing is running)"
    return f" ({healthy} of {active} active healthy)"


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _shorten_middle(text: str, limit: int) -> str:
    """Cut out the middle: of a host and path both ends tell something."""
    flat = shorten(text, 1000)
    if len(flat) <= limit:
        return flat
    front = (limit - 2) // 2
    return f"{flat[:front]}..{flat[front + 2 - limit :]}"


def format_count(count: float, width: int) -> str:
    """Write a number in so many columns: in full where it fits, else as 12.3M.

    :param width: at least 6.
    """
    full = f"{count:.0f}"
    if len(full) <= width:
        return full
    for size, suffix in _SUFFIXES:
        if count / size < 999.95:
            return f"{count / size:.1f}{suffix}"
    return f"{count:.0e}"


def format_age(seconds: float | None) -> str:
    """Write an age in six columns; None is "-"."""
    if seconds is None:
        return "-"
    for limit, size, unit in (
        (9.95, 1.0, "s"),
        (2 * _MINUTE, 1.0, "s"),
        (2 * _HOUR, _MINUTE, "min"),
        (2 * _DAY, _HOUR, "h"),
    ):
        if seconds < limit:
            return f"{seconds / size:.{1 if limit < 10 else 0}f} {unit}"
    return f"{seconds / _DAY:.0f} d"


def format_duration(seconds: float) -> str:
    """Write a duration in words, in its two largest units.

    >>> format_duration(3720.0)
    '1 h 2 min'
    >>> format_duration(4.2)
    '4.2 s'
    """
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    units = (("d", int(_DAY)), ("h", int(_HOUR)), ("min", int(_MINUTE)), ("s", 1))
    parts: list[str] = []
    rest = int(seconds)
    for unit, size in units:
        amount, rest = divmod(rest, size)
        if amount or parts:
            parts.append(f"{amount} {unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))
