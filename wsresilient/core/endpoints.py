"""Several URLs for one stream: which is next, and when it is time for a pause.

Every endpoint has a circuit breaker. After so many failures in a row its circuit opens, and it
costs no more than one attempt, the probe, in each probe interval, until it has been good again:
up for ``min_uptime``. Accepting and closing at once is not good.

In what order they are tried:

1. with ``prefer_first`` the first URL, unless its circuit is open and no probe is due. So a
   stream goes back to its first choice with the first reconnect after the probe interval, of
   whatever cause; a stream that is up is not touched for it;
2. those with a closed circuit, the better record first (the share of recent attempts that
   failed), then the one that was good last, then the order of the list;
3. those that are due for a probe;
4. when there are none of these, after the pause: one of those with an open circuit, rather one
   that took the connection the last time, then the one whose probe is due the soonest.

A pause is due when all of 1 to 3 have been tried, and after the loss of a good connection.

Pure: the connection says how an attempt ended, and what time it is.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import check_choice, check_integer, check_seconds
from ..errors import ConfigurationError
from .urls import WebSocketURL, parse_url

__all__ = ["EndpointList", "EndpointPolicy", "EndpointRecord", "parse_urls"]

#: So many of its latest attempts make the record of an endpoint.
RECENT = 20


def parse_urls(urls: object) -> tuple[WebSocketURL, ...]:
    """Check one URL or a sequence of them.

    :raises ConfigurationError: one of them is no WebSocket URL, or there is none.
    """
    if isinstance(urls, (str, bytes)) or not isinstance(urls, Sequence):
        return (parse_url(urls),)
    if not urls:
        raise ConfigurationError(
            "url is an empty sequence; allowed: at least one ws:// or wss:// URL"
        )
    return tuple(parse_url(url) for url in urls)


@dataclass(frozen=True)
class EndpointPolicy:
    """When an endpoint of several is left alone, and which one is preferred.

    :param failures: after so many in a row its circuit opens. A failure is an attempt that did
        not succeed, or a connection that lasted less than ``min_uptime``.
    :param probe_interval: seconds until an endpoint with an open circuit may be tried once.
    :param prefer_first: go back to the first URL when it is good again; else stay with the
        endpoint that has the better record.
    :raises ConfigurationError: a value is not allowed.
    """

    failures: int = 2
    probe_interval: float = 30.0
    prefer_first: bool = True

    def __post_init__(self) -> None:
        check_integer("failures", self.failures, minimum=1)
        check_seconds("probe_interval", self.probe_interval)
        check_choice("prefer_first", self.prefer_first, (True, False))


@dataclass(eq=False, slots=True)
class EndpointRecord:
    """What is known of one endpoint. Written by the connection's thread only.

    :ivar shown: its URL without secrets.
    :ivar attempts: how often it was chosen.
    :ivar failures: in a row, up to now.
    :ivar probe_at: monotonic time from which it may be probed; None: its circuit is closed.
    :ivar has_accepted: whether the latest attempt led to a connection, however short.
    :ivar recent: whether each of its latest attempts was good, the latest at the end.
    """

    shown: str
    attempts: int = 0
    failures: int = 0
    probe_at: float | None = None
    has_accepted: bool = False
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def failure_share(self) -> float:
        """The share of its latest attempts that failed, 0 to 1; 0 before the first."""
        return self.recent.count(False) / len(self.recent) if self.recent else 0.0

    def may_be_tried(self, now: float) -> bool:
        """Whether its circuit is closed, or a probe is due."""
        return self.probe_at is None or now >= self.probe_at

    def was_good(self) -> None:
        """Note a connection that lasted: the circuit closes."""
        self.recent.append(True)
        self.failures, self.probe_at, self.has_accepted = 0, None, True

    def has_failed(self, policy: EndpointPolicy, now: float, *, accepted: bool) -> None:
        """Note a failure: the circuit may open, or stays open."""
        self.recent.append(False)
        self.failures += 1
        self.has_accepted = accepted
        if self.failures >= policy.failures or self.probe_at is not None:
            self.probe_at = now + policy.probe_interval


class EndpointList:
    """Goes through the URLs of one connection. All times are monotonic seconds.

    Used by one thread, but for :meth:`states`.

    :param policy: when a circuit opens, and what is preferred.
    :param min_uptime: seconds after which a connection counts as good.
    """

    def __init__(self, policy: EndpointPolicy | None = None, *, min_uptime: float = 0.0) -> None:
        self._policy = policy or EndpointPolicy()
        self._min_uptime = min_uptime
        self._records: tuple[EndpointRecord, ...] = ()  # in the order of the URLs
        self._keys: dict[tuple[str, int], EndpointRecord] = {}
        self._tried: set[EndpointRecord] = set()  # since the latest pause
        self._home: EndpointRecord | None = None  # the one that was good last
        self._current: EndpointRecord | None = None  # None between two attempts
        self._opened_at: float | None = None
        #: The endpoint of the latest attempt, or None before the first.
        self.latest: EndpointRecord | None = None

    def __repr__(self) -> str:
        return f"<EndpointList {', '.join(record.shown for record in self._records)}>"

    def choose(self, urls: Sequence[WebSocketURL], now: float) -> WebSocketURL:
        """Say where the next attempt goes, and count it.

        :param urls: in failover order; they may be others than the last time.
        """
        self._recognise(urls)
        record = self._next_untried(now)
        if record is None:
            self._tried.clear()
            record = self._next_untried(now) or min(self._records, key=self._last_resort)
        if record.probe_at is not None:
            # Whatever comes of it: no other probe within the interval.
            record.probe_at = now + self._policy.probe_interval
        record.attempts += 1
        self._current = self.latest = record
        self._opened_at = None
        return urls[self._records.index(record)]

    def opened(self, now: float) -> None:
        """Note that the attempt led to a connection."""
        self._opened_at = now

    def ended(self, now: float, *, planned: bool) -> bool:
        """Note the end of the attempt, or of its connection.

        :param planned: it was ended on purpose.
        :returns: whether a pause is due before the next attempt; False while there is another
            endpoint to try.
        """
        record, opened_at, is_good = self._current, self._opened_at, self._is_good(now)
        self._current = self._opened_at = None
        if record is not None and is_good:
            record.was_good()
            self._home = record
        elif record is not None and not planned:
            record.has_failed(self._policy, now, accepted=opened_at is not None)
            self._tried.add(record)
            if self._next_untried(now) is not None:
                return False
        self._tried.clear()
        return not planned

    def beside(self) -> EndpointList:
        """Return one for a second connection beside this one; the records are the same."""
        other = copy.copy(self)
        other._current, other._opened_at = None, None
        other._home = self._current or self._home
        return other

    def states(self, now: float) -> list[dict[str, Any]]:
        """Show all endpoints in the order of the URLs, from any thread.

        Of each: url (without secrets), state ("closed", "open", "half-open"), failures (in a
        row), attempts, failure_share (0 to 1, of the latest 20), is_current, and probe_in
        (seconds until it may be probed; None where its circuit is closed).
        """
        return [self._state(record, now) for record in self._records]

    def _state(self, record: EndpointRecord, now: float) -> dict[str, Any]:
        is_current = record is self._current
        is_good = is_current and self._is_good(now)
        probe_at = None if is_good else record.probe_at
        state = "closed"
        if probe_at is not None:
            state = "half-open" if is_current or now >= probe_at else "open"
        return {
            "url": record.shown,
            "state": state,
            "failures": 0 if is_good else record.failures,
            "attempts": record.attempts,
            "failure_share": round(record.failure_share, 3),
            "is_current": is_current,
            "probe_in": None if probe_at is None else max(0.0, probe_at - now),
        }

    def _is_good(self, now: float) -> bool:
        return self._opened_at is not None and now - self._opened_at >= self._min_uptime

    def _recognise(self, urls: Sequence[WebSocketURL]) -> None:
        """Find the record of each URL.

        It is known by what may be shown of it, since a function may give another token each
        time; of several that look alike, by its place among them.
        """
        seen: Counter[str] = Counter()
        keys: dict[tuple[str, int], EndpointRecord] = {}
        for url in urls:
            key = url.shown, seen[url.shown]
            seen[url.shown] += 1
            keys[key] = self._keys.get(key) or EndpointRecord(url.shown)
        self._keys, self._records = keys, tuple(keys.values())
        self._tried &= set(self._records)

    def _next_untried(self, now: float) -> EndpointRecord | None:
        """Return the best of those that may be tried and have not been since the latest pause."""
        candidates = [
            (self._preference(place, record), record)
            for place, record in enumerate(self._records)
            if record not in self._tried and record.may_be_tried(now)
        ]
        return min(candidates, key=lambda pair: pair[0])[1] if candidates else None

    def _preference(self, place: int, record: EndpointRecord) -> tuple[Any, ...]:
        is_first_choice = self._policy.prefer_first and place == 0
        is_probe = record.probe_at is not None
        is_home = record is self._home
        return (not is_first_choice, is_probe, record.failure_share, not is_home, place)

    def _last_resort(self, record: EndpointRecord) -> tuple[Any, ...]:
        return (not record.has_accepted, record.probe_at)
