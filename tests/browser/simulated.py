"""Connections that do not exist, as many as wanted, for looking at the page.

``python -m tests.browser.simulated [COUNT [PORT]]`` serves them until Ctrl-C. The same seed makes
the same connections; only the clock moves them.
"""

from __future__ import annotations

import math
import random
import sys
import threading
import time
from typing import Any

from wsresilient import Monitor, start_dashboard
from wsresilient.observe import summarise

HOUR = 3600.0
CAUSES = (
    ("network", None, "ConnectionLostError: the server went away without a close frame"),
    ("closed", 1001, "ConnectionLostError: the server closed: code 1001 (going away), 'restart'"),
    ("closed", 1008, "ConnectionLostError: the server closed: code 1008, 'too many requests'"),
    ("ping", None, "PingTimeoutError: no sign of life for 30 s after a ping"),
    ("stalled", None, "StaleConnectionError: no message for 300.2 s, stale_after is 300 s"),
    ("rotation", 1000, "planned rotation: connected for 86400 s, max_age is 86400 s"),
    ("handshake", None, "HandshakeError: HTTP 503 Service Unavailable, Retry-After 5"),
)  # fmt: skip
ISSUES = (
    "high_error_rate", "frequent_reconnects", "stale_connections", "lost_connections",
    "slow_handlers", "dropped_messages", "high_latency", "subscription_limits", "data_gaps",
)  # fmt: skip
VENUES = ("binance", "okx", "bybit", "mexc")
COINS = ("btc", "eth", "sol", "xrp", "ada", "doge", "ltc", "link", "dot", "avax", "trx", "uni")


class SimulatedMonitor(Monitor):
    """Shows connections that it makes up.

    :param count: how many.
    :param troubled: how many of them are not well.
    """

    def __init__(self, count: int = 300, *, troubled: int = 4) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._began_wall = time.time() - 26 * HOUR
        chance = random.Random(7)
        self.names = [
            f"{VENUES[n % 4]}/{COINS[n // 4 % len(COINS)]}usdt@{('trade', 'depth', 'kline')[n % 3]}"
            + (f"#{n // 48}" if n >= 48 else "")
            for n in range(count)
        ]
        self._rates = [math.exp(chance.gauss(5.5, 1.2)) for _ in self.names]
        self._rtts = [0.012 + chance.random() * 0.09 for _ in self.names]
        self._events = [self._make_events(chance) for _ in self.names]
        self.down: set[int] = set(chance.sample(range(count), min(troubled, count)))

    def kill(self, number: int) -> None:
        """Let a connection be lost, now."""
        kind, code, text = CAUSES[0]
        with self._lock:
            self.down.add(number)
            self._events[number].append(_outage(time.time(), kind, code, text, lasted=None))

    def _make_events(self, chance: random.Random) -> list[dict[str, Any]]:
        now, events = time.time(), []
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
            kind, code, text = chance.choice(CAUSES)
            at = now - chance.random() ** 2 * 3.2 * HOUR
            events.append(_outage(at, kind, code, text, lasted=1.0 + 8.0 * chance.random()))
        return sorted(events, key=lambda event: float(event["at"]))

    def _rate(self, number: int, at: float) -> float:
        base = self._rates[number]
        wave = 1 + 0.35 * math.sin(at / 540 + number) + 0.12 * math.sin(at / 170 + 3 * number)
        return max(0.0, base * wave)

    def _rtt(self, number: int, at: float) -> float:
        return self._rtts[number] * (1 + 0.3 * math.sin(at / 300 + number) ** 2)

    def get_summary(self) -> dict[str, Any]:
        now = time.time()
        with self._lock:
            stats = {name: self._stats(number, now) for number, name in enumerate(self.names)}
        return summarise(stats, uptime=now - self._began_wall)

    def _stats(self, number: int, now: float) -> dict[str, Any]:
        is_down, events = number in self.down, self._events[number]
        uptime = now - (events[-1]["at"] if events else self._began_wall)
        rate = 0.0 if is_down else self._rate(number, now)
        state = ("reconnecting", "failed", "connecting")[number % 3] if is_down else "connected"
        messages = int(self._rates[number] * (now - self._began_wall) / 60)
        return {
            "name": self.names[number],
            "url": f"wss://stream.{self.names[number].partition('/')[0]}.example/ws",
            "state": state,
            "is_healthy": not is_down,
            "reconnect_count": len(events),
            "retry_count": 3 if is_down else 0,
            "subscribed_pairs": 1 + number % 7,
            "connect_time": None if is_down else now - uptime,
            "connection_duration": 0.0 if is_down else uptime,
            "last_message_time": now - 0.3,
            "last_message_age": 74.2 if is_down else 30.0 / max(rate, 0.1) * (now % 1 + 0.1),
            "message_count": messages,
            "bytes_received": messages * 182,
            "messages_per_minute": round(rate, 1),
            "error_count": len(events),
            "last_error": events[-1]["text"] if events else "",
            "callback_errors": 0,
            "dropped_messages": 120 if number == 5 else 0,
            "unrouted_messages": 0,
            "connection_failures": 3 if is_down else 0,
            "queue_depth": number % 5,
            "ping_rtt": None if is_down else self._rtt(number, now),
            "quality_score": 0 if is_down else 100 - 4 * len(events) - number % 3,
            "endpoint": "",
            "address": "203.0.113.7:443",
            "generation": 1 + len(events),
        }

    def get_history(self, name: str | None = None, *, since: float = 0.0) -> dict[str, Any]:
        now = time.time()
        minutes = [now - now % 60 - 60 * back for back in range(1439, -1, -1)]
        minutes = [at for at in minutes if at >= since]
        with self._lock:
            events = {
                self.names[n]: [one for one in found if one["at"] + (one["lasted"] or now) >= since]
                for n, found in enumerate(self._events)
            }
        return {
            "at": now,
            "connections": {
                one: {
                    "events": events[one],
                    "errors": [{"at": e["at"], "text": e["text"]} for e in events[one]],
                    "rates": [[at, self._rate(number, at)] for at in minutes],
                    "rtt": [[at, self._rtt(number, at)] for at in minutes],
                    "gaps": [],
                }
                for number, one in enumerate(self.names)
                if name in (None, one)
            },
        }

    def diagnose_connection_issues(self, thresholds: Any = None) -> dict[str, Any]:
        issues: dict[str, Any] = {issue: [] for issue in ISSUES}
        with self._lock:
            down = sorted(self.down)
        for number in down:
            issues["lost_connections"].append(
                {
                    "connection": self.names[number],
                    "value": 74.2,
                    "threshold": 30.0,
                    "detail": "not connected for 74 s; the latest attempt: HandshakeError: "
                    "HTTP 503 Service Unavailable",
                    "suggestion": "The server is overloaded or in maintenance. Nothing has to be "
                    "done; the next attempt comes by itself.",
                }
            )
        if len(self.names) > 5:
            issues["dropped_messages"].append(
                {
                    "connection": self.names[5],
                    "value": 120,
                    "threshold": 0,
                    "detail": "120 messages were dropped in 300 s; the handler takes 4.1 ms each",
                    "suggestion": "Move the work off the handler, or use overflow='keep_latest'.",
                }
            )
        return issues


def _outage(
    at: float, kind: str, close_code: int | None, text: str, *, lasted: float | None
) -> dict[str, Any]:
    return {
        "at": at,
        "kind": kind,
        "close_code": close_code,
        "text": text,
        "attempts": 1,
        "lasted": lasted,
    }


def main() -> None:
    count, port = (int(text) for text in (*sys.argv[1:], *("300", "8765")[len(sys.argv) - 1 :]))
    monitor = SimulatedMonitor(count, troubled=min(4, count // 20))
    with start_dashboard(port=port, monitor=monitor) as dashboard:
        print(dashboard.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
