"""When a diagnosis becomes a notice: rules, hysteresis, reminders. Pure: time is an argument.

Whoever calls brings what is wrong now, again and again; this module says what is news. It
does not know who is told, nor where the diagnosis comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ..config import check_seconds, unknown_name
from ..errors import ConfigurationError
from .redact import shorten

__all__ = ["FIRING", "ISSUES", "RESOLVED", "Alert", "AlertRule", "AlertTracker", "default_rules"]

#: What ``diagnose_connection_issues()`` can find.
ISSUES = (
    "high_error_rate",
    "frequent_reconnects",
    "stale_connections",
    "lost_connections",
    "slow_handlers",
    "dropped_messages",
    "high_latency",
    "subscription_limits",
    "data_gaps",
)

FIRING, RESOLVED = "firing", "resolved"

#: What the diagnosis finds: issue -> entries with connection, value, threshold, detail, suggestion.
Findings = Mapping[str, Sequence[Mapping[str, Any]]]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """What a notifier is told.

    :ivar issue: one of the nine, such as "lost_connections".
    :ivar connection: the connection's name in the monitor.
    :ivar state: "firing", or "resolved".
    :ivar detail: what was found, in a sentence.
    :ivar suggestion: what to do about it.
    :ivar at: wall clock, seconds since the epoch: when it was decided to tell this. An alert
        that is delivered late keeps it.
    :ivar since: wall clock of the first time that it was found.
    :ivar value: what was measured, at the time of this notice or the last before it ended.
    :ivar threshold: the limit of that value.
    :ivar reminder: 0 for the first notice, then the number of the reminder.
    """

    issue: str
    connection: str
    state: str
    detail: str
    suggestion: str = ""
    at: float = 0.0
    since: float = 0.0
    value: Any = None
    threshold: Any = None
    reminder: int = 0

    @property
    def is_firing(self) -> bool:
        """Whether it begins or goes on."""
        return self.state == FIRING

    @property
    def title(self) -> str:
        """Say in a few words what is told: "FIRING lost connections: feed"."""
        word = "STILL FIRING" if self.is_firing and self.reminder else self.state.upper()
        return f"{word} {self.issue.replace('_', ' ')}: {shorten(self.connection)}"


@dataclass(frozen=True)
class AlertRule:
    """Which issue is worth a notice, and for how long it must last and be gone.

    :param issue: a key of ``diagnose_connection_issues()``.
    :param for_seconds: it fires when it was found for so long without a break.
    :param clear_seconds: it is resolved when it was not found for so long, so that an issue
        that comes and goes is one alert and not many.
    :param connections: names of the connections that it holds for; ``*`` and ``?`` stand for
        any characters, as in file names.
    :raises ConfigurationError: there is no such issue, or a value is not allowed.
    """

    issue: str
    for_seconds: float = 0.0
    clear_seconds: float = field(default=5.0, kw_only=True)
    connections: str = field(default="*", kw_only=True)

    def __post_init__(self) -> None:
        if self.issue not in ISSUES:
            raise unknown_name("issue", str(self.issue), ISSUES)
        check_seconds("for_seconds", self.for_seconds)
        check_seconds("clear_seconds", self.clear_seconds)
        pattern: object = self.connections
        if not isinstance(pattern, str) or not pattern:
            raise ConfigurationError(
                f"connections is {pattern!r:.60}; allowed: a name, or a pattern such as 'binance-*'"
            )

    def fits(self, issue: str, connection: str) -> bool:
        """Whether the rule is about this issue of this connection."""
        return issue == self.issue and fnmatchcase(connection, self.connections)


#: A gap is found for the window of the thresholds (300 s, and some for how coarse the samples are):
#: only what is found for longer is more than one gap.
_GAPS_FOR = 330.0


def default_rules() -> tuple[AlertRule, ...]:
    """Return one rule for each issue. The diagnosis has waited already before it finds one.

    But for data_gaps: a single reconnect leaves a gap, which on_gap tells those who can fill it.
    A notice is worth only a stream that has gap after gap, for more than five minutes.
    """
    return tuple(AlertRule(issue, _GAPS_FOR if issue == "data_gaps" else 0.0) for issue in ISSUES)


@dataclass
class _Case:
    """One issue of one connection, from when it is found until it is over.

    Times are monotonic, but for ``since``.
    """

    rule: AlertRule
    found: Mapping[str, Any]
    began: float
    since: float  # wall clock
    told_at: float | None = None  # the latest notice
    reminders: int = 0
    gone_at: float | None = None  # not found any more from then on


class AlertTracker:
    """Says what is news. Not thread-safe: one thread feeds it.

    :param rules: the first that fits an issue of a connection is the one that counts.
    :param reminder_interval: seconds until the same is told again while it lasts. None: never.
    """

    def __init__(self, rules: Iterable[AlertRule], *, reminder_interval: float | None) -> None:
        self._rules = tuple(rules)
        self._reminder_interval = reminder_interval
        self._cases: dict[Key, _Case] = {}

    def __repr__(self) -> str:
        return f"<AlertTracker of {len(self._rules)} rules, {len(self.firing)} firing>"

    @property
    def firing(self) -> tuple[Key, ...]:
        """Issue and connection of each alert that has been told and is not over."""
        return tuple(key for key, case in self._cases.items() if case.told_at is not None)

    def update(self, findings: Findings, *, now: float, wall: float) -> list[Alert]:
        """Take what is wrong now and return what has to be told.

        :param findings: as the diagnosis returns them; of several entries for one connection
            the first is told.
        :param now: monotonic time.
        :param wall: wall clock at the same moment.
        """
        alerts: list[Alert] = []
        found = self._sorted_out(findings)
        for key, (rule, entry) in found.items():
            case = self._cases.setdefault(key, _Case(rule, entry, now, wall))
            case.found, case.gone_at = entry, None
            alerts += self._while_found(key, case, now, wall)
        for key in self._cases.keys() - found.keys():
            alerts += self._while_gone(key, self._cases[key], now, wall)
        return alerts

    def _sorted_out(self, findings: Findings) -> dict[Key, tuple[AlertRule, Mapping[str, Any]]]:
        found: dict[Key, tuple[AlertRule, Mapping[str, Any]]] = {}
        for issue, entries in findings.items():
            for entry in entries:
                key = issue, str(entry.get("connection", ""))
                rule = next((rule for rule in self._rules if rule.fits(*key)), None)
                if rule is not None:
                    found.setdefault(key, (rule, entry))
        return found

    def _while_found(self, key: Key, case: _Case, now: float, wall: float) -> Iterable[Alert]:
        if case.told_at is None:
            if now - case.began < case.rule.for_seconds:
                return
        elif self._reminder_interval is None or now - case.told_at < self._reminder_interval:
            return
        else:
            case.reminders += 1
        case.told_at = now
        yield _alert(key, case, FIRING, str(case.found.get("detail", "")), wall)

    def _while_gone(self, key: Key, case: _Case, now: float, wall: float) -> Iterable[Alert]:
        if case.gone_at is None:
            case.gone_at = now
        if case.told_at is not None and now - case.gone_at < case.rule.clear_seconds:
            return
        # What was never told goes without a word: it did not last for_seconds.
        del self._cases[key]
        if case.told_at is not None:
            lasted = f"over after {_seconds_in_words(case.gone_at - case.began)}"
            detail = str(case.found.get("detail", ""))
            yield _alert(key, case, RESOLVED, f"{lasted}; it was: {detail}", wall)


def _alert(key: Key, case: _Case, state: str, detail: str, wall: float) -> Alert:
    issue, connection = key
    return Alert(
        issue=issue,
        connection=connection,
        state=state,
        detail=detail,
        suggestion=str(case.found.get("suggestion", "")),
        at=wall,
        since=case.since,
        value=case.found.get("value"),
        threshold=case.found.get("threshold"),
        reminder=case.reminders if state == FIRING else 0,
    )


def _seconds_in_words(seconds: float) -> str:
    """Write a duration in its largest unit: "42 s", "7 min", "3.5 h"."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"
