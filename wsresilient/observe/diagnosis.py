"""What is wrong, how bad it is, and what to do: nine issues, each judged by one function.

Pure: a judgement is made of the stats of a connection, its history, the thresholds and the
time. What is judged over a window is over when the window has passed without it. A connection
that is healthy, has just started, was stopped on purpose or rotates as planned has no issue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..config import ConnectionConfig
from ..core.health import silence
from ..core.history import ConnectionHistory, Outage
from ..core.samples import HOUR, Totals
from ..core.state import ConnectionState
from ..core.thresholds import Thresholds
from .advice import MOVE_WORK, advise_cause, advise_outages, describe_causes
from .foreign import REPORTED
from .report import format_duration, format_number
from .summary import is_active

__all__ = ["ISSUES", "Observation", "diagnose"]


class Observation(NamedTuple):
    """One connection as it is judged.

    :ivar stats: its stats.
    :ivar history: its past.
    :ivar now: monotonic seconds.
    :ivar is_stopped: whether it is down on purpose, and so is not judged.
    """

    stats: dict[str, Any]
    history: ConnectionHistory
    now: float
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What one judgement says.

    :ivar value: what was measured, in the threshold's unit.
    """

    value: float
    threshold: float
    detail: str
    suggestion: str


class Case:
    """An observation with what several judgements ask of it.

    :param seen: the connection.
    :param limits: the thresholds.
    """

    def __init__(self, seen: Observation, limits: Thresholds) -> None:
        self.stats = seen.stats
        self.history = seen.history
        self.limits = limits
        self.now = seen.now
        self.since = seen.now - limits.window
        self.window = _seconds(limits.window)
        self.state = ConnectionState(seen.stats["state"])
        self._before: Totals | None = None

    @property
    def before(self) -> Totals:
        """The counters at the beginning of the window."""
        if self._before is None:
            self._before = self.history.totals_before(self.since)
        return self._before

    @property
    def dropped(self) -> int:
        """Messages dropped in the window."""
        return int(self.stats["dropped_messages"]) - self.before.dropped

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self.state is ConnectionState.CONNECTED

    @property
    def is_handler_slow(self) -> bool:
        """Whether a handler call lasts too long, or did so in the window."""
        return self.stats["slow_handler"] is not None or bool(
            self.history.slow_calls_since(self.since)
        )

    def troubles(self, since: float) -> list[Outage]:
        """The outages that were not planned, or did not go as planned."""
        return [
            outage
            for outage in self.history.outages_since(since)
            if not outage.planned or outage.attempts
        ]


Judge = Callable[[Case], Finding | None]


def _seconds(value: float) -> str:
    return f"{round(value, 3):.3g} s" if value < 60.0 else format_duration(value)


def _high_error_rate(case: Case) -> Finding | None:
    allowed, stats, before = case.limits.error_rate, case.stats, case.before
    failures = stats["error_count"] - before.errors
    raised = stats["callback_errors"] - before.callback_errors
    messages = stats["message_count"] - before.messages
    rate = (failures + raised) / max(1, messages)
    # A stream that is down, or was, is not told twice: others judge its outages.
    besides = failures + raised - (case.history.link_errors - before.link_errors)
    if allowed is None or rate <= allowed or besides < max(1, case.limits.min_errors):
        return None
    parts = ((failures, "of the connection"), (raised, "of handlers"))
    shares = ", ".join(f"{count:,} {whose}" for count, whose in parts if count)
    detail = (
        f"{format_number(failures + raised, 'error')} ({shares}) for "
        f"{format_number(messages, 'message')} in the last {case.window}"
        f"{f': {rate:.1%}' if messages > failures + raised else ''}, allowed are {allowed:.1%}."
    )
    if raised > failures:
        latest, advice = case.history.latest_handler_error(), _HANDLERS_RAISE
    else:
        latest, advice = stats["last_error"], _advise_on_errors(case)
    if latest:
        detail += f" Latest: {latest}"
    return Finding(rate, allowed, detail, advice)


_HANDLERS_RAISE = (
    "Handlers raise: read their tracebacks in the log (wsresilient.handlers), and let them catch "
    "what single messages may do."
)


def _advise_on_errors(case: Case) -> str:
    if case.stats["failed_subscriptions"]:
        return _REFUSED
    # They are none of its lost connections, so those have nothing to say here.
    return advise_cause(None, case.stats["last_error"])


def _frequent_reconnects(case: Case) -> Finding | None:
    allowed = case.limits.reconnects_per_hour
    count = case.history.reconnects_since(case.now - HOUR)
    if allowed is None or count <= allowed:
        return None
    troubles = case.troubles(case.now - HOUR)
    detail = f"{format_number(count, 'reconnect')} in the last hour, allowed are {allowed}."
    if troubles:
        detail += f" They began with: {describe_causes(troubles)}. Latest: {troubles[-1].text}"
    advice = advise_outages(troubles, is_handler_slow=case.is_handler_slow)
    return Finding(count, allowed, detail, advice)


def _stale_connections(case: Case) -> Finding | None:
    stats = case.stats
    allowed = case.limits.silence_allowed(_chosen_stale_after(stats))
    if allowed is None or not case.is_connected or not stats["expects_data"]:
        return None
    if stats["slow_handler"] is not None and stats["queue_depth"]:
        return None  # messages wait for the handler: the feed may be alive
    age = silence(stats["last_message_age"], stats["connection_duration"])
    if age <= allowed:
        return None
    never = ", none since it connected" if age == stats["connection_duration"] else ""
    detail = f"No message for {_seconds(age)}{never}; allowed are {_seconds(allowed)}."
    if stats["ping_rtt"] is not None:
        detail += " Pings are answered, so the link lives."
    return Finding(age, allowed, detail, _advise_on_silence(stats))


#: Seconds after which a connection reconnects of which nobody said how quiet it is.
_UNCHOSEN = ConnectionConfig().stale_after


def _chosen_stale_after(stats: Mapping[str, Any]) -> float | None:
    """What was chosen for this stream, by its venue or its user; 0: nothing."""
    own: float | None = stats["stale_after"]
    has_venue = stats["subscribed_pairs"] > 0
    return 0.0 if own == _UNCHOSEN and not has_venue else own


def _advise_on_silence(stats: Mapping[str, Any]) -> str:
    if stats["failed_subscriptions"]:
        return _REFUSED
    if stats["subscribed_pairs"] > stats["confirmed_subscriptions"]:
        return (
            "The server has not confirmed all topics yet: they are asked for again by themselves, "
            "and stand in ws.failed_subscriptions when that does not help."
        )
    if stats["subscribed_pairs"]:
        return (
            "The server has lost the subscription, or the topics are quiet: ws.reconnect() "
            "subscribes anew, and a stale_after of the connection does so by itself; raise "
            "Thresholds.stale_after if such silence is normal."
        )
    if stats["ping_rtt"] is not None:
        return (
            "The server has lost the subscription, or the topic is quiet: subscribe again after "
            "every reconnect, set stale_after to reconnect by itself, and raise "
            "Thresholds.stale_after if such silence is normal."
        )
    return (
        "Send the subscription in on_open, so that it follows every reconnect, and set "
        "ping_interval and stale_after to find a dead link and a dead feed; raise "
        "Thresholds.stale_after if such silence is normal."
    )


def _lost_connections(case: Case) -> Finding | None:
    allowed, stats = case.limits.lost_after, case.stats
    down_since = case.history.down_since
    if allowed is None or case.is_connected or down_since is None:
        return None
    down = case.now - down_since
    has_failed = case.state is ConnectionState.FAILED
    if not has_failed and (down <= allowed or not is_active(stats)):
        return None
    if has_failed:
        detail = f"Given up; no connection for {_seconds(down)}"
    else:
        detail = f"No connection for {_seconds(down)}, allowed are {_seconds(allowed)}"
    tries = case.history.attempts
    detail += f", {format_number(tries, 'failed attempt')}." if tries else "."
    if stats["last_error"]:
        detail += f" Latest: {stats['last_error']}"
    # Without a failure so far, the first attempt is still waiting for an answer.
    kind = stats["last_failure_kind"] or "timeout"
    advice = advise_cause(kind, stats["last_error"], stats["last_close_code"])
    if has_failed:
        is_ours = kind != REPORTED
        advice += " Then call start() again." if is_ours else " Then start it again there."
    return Finding(down, allowed, detail, advice)


def _slow_handlers(case: Case) -> Finding | None:
    allowed, running = case.limits.slow_handler_after, case.stats["slow_handler"]
    if allowed is None:
        return None
    if running is not None and running["seconds"] > allowed:
        detail = (
            f"A handler for {running['event']!r} has been running for "
            f"{_seconds(running['seconds'])}; it stands in {running['where']}."
        )
        if len(running["stack"]) > 1:
            detail += f" Stack: {' > '.join(running['stack'])}."
        if case.stats["queue_depth"]:
            detail += f" Behind it: {format_number(case.stats['queue_depth'], 'message')}."
        return Finding(running["seconds"], allowed, detail, MOVE_WORK)
    calls = [call for call in case.history.slow_calls_since(case.since) if call.seconds > allowed]
    if not calls:
        return None
    worst = max(calls, key=lambda call: call.seconds)
    detail = (
        f"{format_number(len(calls), 'slow handler call')} in the last "
        f"{case.window}; the longest, for {worst.event!r}, took {_seconds(worst.seconds)} "
        f"or more and stood in {worst.where}."
    )
    return Finding(worst.seconds, allowed, detail, MOVE_WORK)


def _dropped_messages(case: Case) -> Finding | None:
    allowed, dropped = case.limits.dropped_messages, case.dropped
    if allowed is None or dropped <= allowed:
        return None
    arrived = case.stats["message_count"] - case.before.messages
    share = f" ({dropped / arrived:.1%} of what came)" if arrived >= dropped else ""
    detail = (
        f"{format_number(dropped, 'message')} dropped in the last {case.window}{share}: "
        "the queue was full."
    )
    if case.is_handler_slow:
        advice = MOVE_WORK
    else:
        advice = (
            "The handler is slower than the stream: make it quicker, subscribe less on this "
            'connection, raise queue_size and queue_bytes for bursts, or choose overflow="block".'
        )
    return Finding(dropped, allowed, detail, advice)


def _high_latency(case: Case) -> Finding | None:
    allowed, rtt = case.limits.ping_rtt, case.stats["ping_rtt"]
    if allowed is None or rtt is None or rtt <= allowed:
        return None
    detail = f"The latest ping took {_seconds(rtt)}, allowed are {_seconds(allowed)}."
    if case.is_handler_slow:
        advice = f"A slow handler may keep the pong from being read. {MOVE_WORK}"
    else:
        advice = (
            "The way is slow or crowded: use a server, proxy or machine nearer to each other, "
            "and look for a full line or a busy processor here."
        )
    return Finding(rtt, allowed, detail, advice)


_REFUSED = (
    "Look at ws.failed_subscriptions for what the server said of each: a spelling that it does not "
    "know, a permission that is missing, or a limit; then unsubscribe or correct them."
)


def _subscription_limits(case: Case) -> Finding | None:
    stats = case.stats
    limit, share = stats["subscription_limit"], case.limits.subscription_share
    wanted, failed = stats["subscribed_pairs"], stats["failed_subscriptions"]
    refused = f" Refused or never confirmed: {failed}." if failed else ""
    if limit and share is not None and wanted >= share * limit:
        detail = f"{wanted} of {limit} topics that the venue allows on one connection.{refused}"
        advice = "Spread the topics over more connections, with a ConnectionPool."
        return Finding(wanted / limit, share, detail, advice)
    allowed = case.limits.failed_subscriptions
    if allowed is None or failed <= allowed:
        return None
    total = format_number(wanted + failed, "topic")
    detail = f"The server refused or never confirmed {failed} of {total}."
    return Finding(failed, allowed, detail, _REFUSED)


def _data_gaps(case: Case) -> Finding | None:
    allowed = case.limits.gaps
    count = case.history.holes - case.before.holes
    if allowed is None or count <= allowed:
        return None
    detail = f"{format_number(count, 'gap')} in the last {case.window}."
    latest = case.history.latest_gap()
    reason = "" if latest is None else latest.reason
    if latest is not None:
        lasted = _seconds(max(0.0, latest.ended_at - latest.started_at))
        detail += f" The latest, by {reason}, lasted {lasted}; messages of it may be missing."
    advice = _GAP_ADVICE.get(reason, _GAP_ADVICE["reconnect"])
    return Finding(count, allowed, detail, advice)


_GAP_ADVICE = {
    "reconnect": "Fetch what is missing over REST in on_gap, which tells from when to when.",
    "sequence": "Messages were lost on the way: fetch a snapshot in on_gap and go on from there.",
    "overflow": f"The queue was full: {MOVE_WORK[0].lower()}{MOVE_WORK[1:]}",
}

ISSUES: Mapping[str, Judge] = {
    "high_error_rate": _high_error_rate,
    "frequent_reconnects": _frequent_reconnects,
    "stale_connections": _stale_connections,
    "lost_connections": _lost_connections,
    "slow_handlers": _slow_handlers,
    "dropped_messages": _dropped_messages,
    "high_latency": _high_latency,
    "subscription_limits": _subscription_limits,
    "data_gaps": _data_gaps,
}


def diagnose(
    connections: Mapping[str, Observation], thresholds: Thresholds
) -> dict[str, list[dict[str, Any]]]:
    """Judge connections.

    :param connections: by their names.
    :returns: for each of the nine issues, in a fixed order, a list of {connection, value,
        threshold, detail, suggestion}; empty where all is well. JSON can hold it.
    """
    found: dict[str, list[dict[str, Any]]] = {issue: [] for issue in ISSUES}
    for name, seen in connections.items():
        if seen.is_stopped:
            continue
        case = Case(seen, thresholds)
        for issue, judge in ISSUES.items():
            finding = judge(case)
            if finding is not None:
                found[issue].append(
                    {
                        "connection": name,
                        "value": finding.value,
                        "threshold": finding.threshold,
                        "detail": finding.detail,
                        "suggestion": finding.suggestion,
                    }
                )
    return found
