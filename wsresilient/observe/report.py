"""The report: a summary as text that reads well in 80 columns, in a terminal and in a log.

Pure: it gets plain values, also such as came over HTTP, and returns lines. There are no colours,
so that it can be piped.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.redact import shorten

__all__ = [
    "WIDTH",
    "format_age",
    "format_count",
    "format_duration",
    "format_number",
    "format_report",
]

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

#: Connections that are named under one issue, and outages that are listed.
_MOST_NAMED = 5
_MOST_OUTAGES = 5


def format_report(
    summary: Mapping[str, Any],
    *,
    issues: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    history: Mapping[str, Any] | None = None,
) -> str:
    """Lay out a summary, what is wrong, and the causes of the latest reconnects.

    /MIN: messages a minute; RECONN: reconnects; AGE: of the last message; QUAL: the quality
    score from 0 to 100.

    :param summary: as :meth:`~wsresilient.observe.monitor.Monitor.get_summary` returns it.
    :param issues: as ``diagnose_connection_issues`` returns them; None: nothing is said of them.
    :param history: as ``get_history`` returns it, of which the events are used; None: likewise.
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
    if issues is not None:
        lines += _issue_lines(issues)
    if history is not None:
        lines += _outage_lines(history)
    lines += _total_lines(summary)
    return "\n".join(lines)


def _issue_lines(issues: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Say of each issue whom it concerns, then once what to do."""
    lines: list[str] = []
    for issue, findings in issues.items():
        if not findings:
            continue
        lines.append(f"ISSUE: {issue.replace('_', ' ')}")
        for finding in findings[:_MOST_NAMED]:
            name = _shorten_middle(finding["connection"], 40)
            lines += _wrapped(f"{name}: {shorten(finding['detail'], 400)}", "  ")
        if len(findings) > _MOST_NAMED:
            lines.append(f"  and {format_number(len(findings) - _MOST_NAMED, 'more connection')}")
        for suggestion in dict.fromkeys(
            finding["suggestion"] for finding in findings[:_MOST_NAMED]
        ):
            lines += _wrapped(shorten(suggestion, 400), "    ", first="  > ")
        lines.append("")
    return lines


def _outage_lines(history: Mapping[str, Any]) -> list[str]:
    outages = [
        (event["at"], name, event)
        for name, past in history["connections"].items()
        for event in past["events"]
        if event["kind"] != "stopped"
    ]
    if not outages:
        return []
    outages.sort(key=lambda outage: outage[0], reverse=True)
    lines = ["LATEST RECONNECTS"]
    for at, name, event in outages[:_MOST_OUTAGES]:
        age = f"{format_age(max(0.0, history['at'] - at))} ago"
        text = (
            f"{age:>10}  {_shorten_middle(name, 40)}: {event['kind']}, {_outcome(event)}: "
            f"{shorten(event['text'])}"
        )
        lines += _wrapped(text, " " * 12, first="")
    return [*lines, ""]


def _outcome(event: Mapping[str, Any]) -> str:
    if event["lasted"] is not None:
        return f"back after {format_duration(event['lasted'])}"
    if event["attempts"]:
        return f"not back after {format_number(event['attempts'], 'attempt')}"
    return "not back"


def _wrapped(text: str, indent: str = "", *, first: str | None = None) -> list[str]:
    # Wide characters are doubled while lines are broken, so that each counts for its columns; a
    # column is spared for one whose halves fall on two lines.
    doubled = "".join(f"{char}{_FILLER}" if _columns(char) == 2 else char for char in text)
    lines = textwrap.wrap(
        doubled,
        WIDTH if doubled == text else WIDTH - 1,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent if first is not None else indent + "  ",
        break_on_hyphens=False,
    )
    return [line.replace(_FILLER, "") for line in lines]


#: Stands behind a wide character for its second column; no text has it, being none.
_FILLER = "\uffff"


def _columns(char: str) -> int:
    """How many columns of a terminal a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_columns, text))


def _beginning(text: str, columns: int) -> str:
    """As much of the beginning as fits."""
    end = used = 0
    for char in text:
        used += _columns(char)
        if used > columns:
            break
        end += 1
    return text[:end]


def _end(text: str, columns: int) -> str:
    """As much of the end as fits."""
    return _beginning(text[::-1], columns)[::-1]


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
        lines.append(_shorten_end(f"last error: {stats['last_error']}", WIDTH - 2))
    troubles = [
        f"{format_count(stats[key], 8)} {words}"
        for key, least, words in (
            ("queue_depth", _MANY_WAITING, "messages waiting for the handler"),
            ("dropped_messages", 1, "dropped"),
            ("callback_errors", 1, _plural("handler error", stats["callback_errors"])),
        )
        if stats[key] >= least
    ]
    if troubles:
        lines.append(", ".join(troubles))
    return [lines[0], *("  " + line for line in lines[1:])]


def _row(name: str, *cells: str) -> str:
    shown = _shorten_middle(name, _NAME_WIDTH)
    parts = [shown + " " * (_NAME_WIDTH - _width(shown))]
    for cell, (_, width, alignment) in zip(cells, _COLUMNS, strict=True):
        parts.append(f"{cell:{alignment}{width}}")
    return _GAP.join(parts).rstrip()


def _total_lines(summary: Mapping[str, Any]) -> list[str]:
    routing = summary["routing_stats"]
    total, active = summary["total_connections"], summary["active_connections"]
    healthy = summary["healthy_connections"]
    sentences = (
        f"{format_number(total, 'connection')}, {active} active, {healthy} healthy; "
        f"{format_number(summary['total_subscriptions'], 'subscription')}.",
        f"{format_number(routing['total_messages'], 'message')} "
        f"({format_count(summary['messages_per_minute'], 7)} a minute), "
        f"{routing['unrouted_messages']:,} unrouted.",
        f"{format_number(routing['reconnections'], 'reconnect')}, "
        f"{format_number(routing['connection_failures'], 'failed attempt')}, "
        f"{format_number(routing['callback_errors'], 'handler error')}.",
        f"Status: {summary['status']}{_reason(summary)}",
    )
    return [line for sentence in sentences for line in _wrapped(sentence, first="")]


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


def format_number(count: int, noun: str) -> str:
    """Write a number and its noun: "1 error", "2,000 errors"."""
    return f"{count:,} {_plural(noun, count)}"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _shorten_middle(text: str, limit: int) -> str:
    """Cut out the middle: of a host and path both ends tell something."""
    flat = shorten(text, 1000)
    if _width(flat) <= limit:
        return flat
    front = (limit - 2) // 2
    return f"{_beginning(flat, front)}..{_end(flat, limit - 2 - front)}"


def _shorten_end(text: str, limit: int) -> str:
    """Cut off the end."""
    flat = shorten(text, 1000)
    return flat if _width(flat) <= limit else f"{_beginning(flat, limit - 3)}..."


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
