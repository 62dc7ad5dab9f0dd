"""What has happened to one connection, as far back as a diagnosis or a plot needs it.

Everything is bounded, so that a connection of many months needs no more memory than one of a
day. Nothing is called per message: the watchdog samples counters, the rest are rare events.
Time is an argument: ``now`` is monotonic seconds, ``wall`` the wall clock of the same moment.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from .events import Gap
from .samples import HOUR, MinuteSeries, ThinningSamples, Totals

__all__ = ["ConnectionHistory", "Outage", "SlowNote"]

#: How much is kept of each kind.
MOST_OUTAGES = 100
MOST_RECONNECTS = 1000
MOST_ERRORS = 30
MOST_GAPS = 50
MOST_SLOW_CALLS = 20
#: Topics that are named in what is told of a gap.
MOST_TOPICS = 10


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without a connection, and what it began with.

    :ivar at: wall clock of its beginning.
    :ivar began: the same, monotonic.
    :ivar kind: the value of a :class:`~wsresilient.core.failure.FailureKind`.
    :ivar close_code: of the close frame that it began with, or None.
    :ivar text: type and cause.
    :ivar planned: whether it began with an end that we wanted.
    :ivar was_open: whether a connection was lost, rather than never won.
    :ivar attempts: how many attempts have failed since.
    :ivar lasted: seconds until there was a connection again; None until then.
    """

    at: float
    began: float
    kind: str
    close_code: int | None
    text: str
    planned: bool
    was_open: bool
    attempts: int
    lasted: float | None = None

    @property
    def ended_at(self) -> float:
        """Wall clock of its end, inf while it lasts."""
        return self.at + (math.inf if self.lasted is None else self.lasted)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "at": self.at,
            "kind": self.kind,
            "close_code": self.close_code,
            "text": self.text,
            "attempts": self.attempts,
            "lasted": None if self.lasted is None else round(self.lasted, 3),
        }


@dataclass(frozen=True, slots=True)
class SlowNote:
    """A handler call that lasted too long.

    :ivar seen: monotonic seconds at which it was seen last.
    :ivar event: what it was called for.
    :ivar where: it stood.
    :ivar seconds: it had lasted by then.
    """

    seen: float
    event: str
    where: str
    seconds: float


class ConnectionHistory:
    """The past of one connection, over all its lives.

    Each part has one writer at a time: the connection's thread has :meth:`ended`,
    :meth:`opened` and :meth:`add_error`, after whoever puts another thread in charge has written
    that there is one; the watchdog :meth:`sample` and :meth:`note_slow_call`; the thread that
    serves the lane :meth:`add_handler_error`; whoever starts the connection :meth:`begin`, before
    the others exist. Gaps come from several threads, so that their owner holds a lock around
    :meth:`add_gap`. Everybody may read: readers copy, with one operation of the interpreter.
    """

    def __init__(self) -> None:
        #: Monotonic seconds since when there is no connection though there should be, or None.
        self.down_since: float | None = None
        self.last_failure_kind: str | None = None
        self.last_close_code: int | None = None
        #: The counters as they were about an hour ago, or at the beginning.
        self.hour_ago = Totals(0.0)
        self.gap_count = 0
        self.holes = 0  # of them those that were neither planned nor filled
        self.link_errors = 0  # lost connections and failed attempts, as far as they are errors
        self._is_out = False
        self._outages: deque[Outage] = deque(maxlen=MOST_OUTAGES)
        self._reconnects: deque[float] = deque(maxlen=MOST_RECONNECTS)
        self._errors: deque[tuple[float, str]] = deque(maxlen=MOST_ERRORS)
        self._handler_errors: deque[tuple[float, str]] = deque(maxlen=MOST_ERRORS)
        self._slow_calls: deque[SlowNote] = deque(maxlen=MOST_SLOW_CALLS)
        self._gaps: deque[Gap] = deque(maxlen=MOST_GAPS)
        self._samples = ThinningSamples()
        self._minutes = MinuteSeries()

    # What is written.

    def begin(self, now: float) -> None:
        """Note that the connection was started, perhaps again."""
        self.down_since = now
        self._is_out = False
        self._minutes.interrupt()
        if self._samples.is_empty:  # what comes before the first look counts, too
            self._samples.add(Totals(now))

    def ended(
        self,
        now: float,
        wall: float,
        *,
        kind: str,
        text: str,
        close_code: int | None = None,
        planned: bool = False,
        was_open: bool = True,
        is_error: bool = True,
    ) -> None:
        """Note the end of a connection, or of an attempt that did not become one.

        :param was_open: False for such an attempt.
        :param is_error: False for an end that is neither planned nor an error, such as that by
            a server in good order.
        """
        if is_error and not planned:
            self.link_errors += 1
        if not planned:
            self.last_failure_kind = kind
        if was_open:
            self.last_close_code = close_code
        if self.down_since is None:
            self.down_since = now
        failed = 0 if was_open or planned else 1
        if self._is_out and not was_open:
            latest = self._outages[-1]
            self._outages[-1] = replace(latest, attempts=latest.attempts + failed)
            return
        self._is_out = True
        self._outages.append(
            Outage(
                at=wall,
                began=now,
                kind=kind,
                close_code=close_code,
                text=text,
                planned=planned,
                was_open=was_open,
                attempts=failed,
            )
        )

    def opened(self, now: float, *, counts: bool = True) -> None:
        """Note that there is a connection.

        :param counts: False leaves reconnects to :meth:`add_reconnect`.
        """
        self.down_since = None
        if not self._is_out:
            return
        self._is_out = False
        latest = self._outages[-1]
        self._outages[-1] = replace(latest, lasted=now - latest.began)
        # A rotation that went as planned is no reconnect that anybody has to think about.
        if counts and latest.was_open and (latest.attempts or not latest.planned):
            self._reconnects.append(now)

    def succeed(self, young: ConnectionHistory, now: float, wall: float) -> None:
        """Go on with another connection, which has taken the place of this one as planned.

        :param young: what it has seen so far, while nobody saw it. It is written no more.
        """
        if self.down_since is None:
            self.ended(
                now,
                wall,
                kind="rotation",
                text="planned rotation: a new connection has taken its place",
                close_code=1000,
                planned=True,
            )
        self.gap_count += young.gap_count
        self.holes += young.holes
        self.link_errors += young.link_errors
        self._errors.extend(tuple(young._errors))
        self._handler_errors.extend(tuple(young._handler_errors))
        self._gaps.extend(tuple(young._gaps))
        self._slow_calls.extend(tuple(young._slow_calls))

    def add_reconnect(self, now: float) -> None:
        """Note a reconnect of which nothing else is known."""
        self._reconnects.append(now)

    def add_error(self, wall: float, text: str) -> None:
        """Keep the text of a failure, redacted."""
        self._errors.append((wall, text))

    def add_handler_error(self, wall: float, text: str) -> None:
        """Keep the text of what a handler raised, redacted."""
        self._handler_errors.append((wall, text))

    def add_gap(self, gap: Gap) -> None:
        """Count and keep a gap."""
        self.gap_count += 1
        if gap.reason != "rotation" and not gap.recovered:
            self.holes += 1
        self._gaps.append(gap)

    def note_slow_call(self, note: SlowNote, *, is_new: bool) -> None:
        """Keep a handler call that lasts too long, or what is known of it by now.

        :param is_new: whether it is another call than that of the latest note.
        """
        if is_new or not self._slow_calls:
            self._slow_calls.append(note)
        else:
            self._slow_calls[-1] = note

    def sample(self, totals: Totals, wall: float, ping_rtt: float | None) -> None:
        """Note the counters; once a second is enough.

        :param ping_rtt: seconds that the latest ping took, or None.
        """
        if self._samples.add(totals):
            self.hour_ago = self._samples.hour_ago()
        self._minutes.add(totals.at, wall, totals.messages, ping_rtt)

    # What is read.

    def reconnects_since(self, at: float) -> int:
        """How many unplanned reconnects there were (at most 1000)."""
        if not self._reconnects:
            return 0
        times = tuple(self._reconnects)
        return len(times) - bisect_left(times, at)

    def outages_since(self, at: float) -> list[Outage]:
        """The outages that began later, oldest first."""
        return [outage for outage in tuple(self._outages) if outage.began >= at]

    def slow_calls_since(self, at: float) -> list[SlowNote]:
        """The slow handler calls that were seen later, oldest first."""
        return [note for note in tuple(self._slow_calls) if note.seen >= at]

    def totals_before(self, at: float) -> Totals:
        """The counters as they were at ``at``, or shortly before; else the oldest that are known.

        What has been counted since is that minus this.
        """
        return self._samples.before(at)

    @property
    def attempts(self) -> int:
        """How many attempts have failed since there was a connection; 0 while there is one."""
        outages = tuple(self._outages)
        return outages[-1].attempts if self._is_out and outages else 0

    def latest_handler_error(self) -> str:
        """The text of what a handler raised latest, or ""."""
        errors = tuple(self._handler_errors)
        return errors[-1][1] if errors else ""

    def latest_gap(self) -> Gap | None:
        """The latest gap that was neither planned nor filled."""
        for gap in reversed(tuple(self._gaps)):
            if gap.reason != "rotation" and not gap.recovered:
                return gap
        return None

    def stats(self, now: float) -> dict[str, Any]:
        """What the past adds to the stats of a connection."""
        return {
            "reconnects_last_hour": self.reconnects_since(now - HOUR),
            "gap_count": self.gap_count,
            "last_close_code": self.last_close_code,
            "last_failure_kind": self.last_failure_kind,
        }

    def as_dict(self, since: float = 0.0) -> dict[str, Any]:
        """Everything as plain values for JSON, oldest first.

        :param since: wall clock; leave out what was over before it.
        """
        rates, rtts = self._minutes.series(since)
        return {
            "events": [one.as_dict() for one in tuple(self._outages) if one.ended_at >= since],
            "errors": [{"at": at, "text": text} for at, text in self._all_errors() if at >= since],
            "rates": rates,
            "rtt": rtts,
            "gaps": [_gap_dict(gap) for gap in tuple(self._gaps) if gap.ended_at >= since],
        }

    def _all_errors(self) -> list[tuple[float, str]]:
        return sorted((*tuple(self._errors), *tuple(self._handler_errors)))


def _gap_dict(gap: Gap) -> dict[str, Any]:
    return {
        "at": gap.ended_at,
        "reason": gap.reason,
        "topics": list(gap.topics[:MOST_TOPICS]),
        "started_at": gap.started_at,
        "ended_at": gap.ended_at,
        "recovered": gap.recovered,
    }
