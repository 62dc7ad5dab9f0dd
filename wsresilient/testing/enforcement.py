"""Counts what clients take and tells when it is too much. Pure: the time comes in as an argument.

What then happens to the client is the format's decision (``penalty``), carried out by the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from wsresilient.testing.formats.base import Login, Request, Session
from wsresilient.testing.limits import Limit, Rate, Sign, VenueLimits

__all__ = ["Enforcer", "Meter", "Window"]

# How often connections are looked at: often enough for the shortest limit, never more than this.
_SHORTEST_SWEEP, _LONGEST_SWEEP = 0.01, 1.0
_LOOKS_PER_LIMIT = 10


class Window:
    """The times of what has happened lately: a rolling window, as the real ones have.

    A token bucket would let nearly twice as much through in the first second.
    """

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._times)

    def admits(self, rate: Rate, now: float) -> bool:
        """Tell whether one more is allowed; if so, it counts."""
        times = self._times
        while times and times[0] <= now - rate.seconds:
            times.popleft()
        if len(times) >= rate.count:
            return False
        times.append(now)
        return True


@dataclass
class Meter:
    """What is counted of one connection. Times are seconds of a monotonic clock.

    :ivar opened_at: when its handshake was done.
    :ivar received_at: when the client last sent anything.
    :ivar sent_at: when the client was last sent a message.
    :ivar heartbeat_at: when the client last sent the venue's heartbeat.
    :ivar pong_at: when the client last answered a ping of ours.
    :ivar pinged_at: when we last sent one.
    """

    opened_at: float = 0.0
    received_at: float = 0.0
    sent_at: float = 0.0
    heartbeat_at: float = 0.0
    pong_at: float = 0.0
    pinged_at: float = 0.0
    messages: Window = field(default_factory=Window, repr=False)
    requests: Window = field(default_factory=Window, repr=False)

    def begin(self, now: float) -> None:
        """The handshake is done: all that is measured is measured from now on."""
        self.opened_at = self.received_at = self.sent_at = now
        self.heartbeat_at = self.pong_at = self.pinged_at = now

    def last_sign(self, signs: Iterable[Sign]) -> float:
        """Tell when the last of these signs of life was."""
        times = {
            Sign.RECEIVED: self.received_at,
            Sign.SENT: self.sent_at,
            Sign.HEARTBEAT: self.heartbeat_at,
        }
        return max((times[sign] for sign in signs), default=self.opened_at)


class Enforcer:
    """The limits of one exchange, and what its clients have taken.

    :param limits: may be set at any time; what was counted stays counted.
    """

    def __init__(self, limits: VenueLimits) -> None:
        self.limits = limits
        self._connects: dict[str, Window] = {}

    def __repr__(self) -> str:
        return f"<Enforcer {self.limits!r}>"

    # Handshakes and messages.

    def connect(self, address: str, open_count: int, now: float) -> Limit | None:
        """Judge a handshake.

        :param address: of the client.
        :param open_count: its connections of that kind that are open.
        """
        limits = self.limits
        window = self._connects.setdefault(address, Window())
        if limits.connect_rate is not None and not window.admits(limits.connect_rate, now):
            return Limit.CONNECTS
        if limits.max_connections is not None and open_count >= limits.max_connections:
            return Limit.CONNECTIONS
        return None

    def message(self, meter: Meter, size: int, now: float) -> Limit | None:
        """Judge a message, a ping or a pong of a client.

        :param size: in bytes.
        """
        meter.received_at = now
        rate, largest = self.limits.message_rate, self.limits.max_request_size
        if rate is not None and not meter.messages.admits(rate, now):
            return Limit.MESSAGES
        return Limit.REQUEST_SIZE if largest is not None and size > largest else None

    def request(self, request: Request, meter: Meter, now: float) -> Limit | None:
        """Judge a subscribe, unsubscribe or login request by itself."""
        quota, most = self.limits.request_quota, self.limits.max_request_topics
        if quota is not None and not meter.requests.admits(quota, now):
            return Limit.REQUESTS
        if most is not None and not isinstance(request, Login) and len(request.topics) > most:
            return Limit.REQUEST_TOPICS
        return None

    def topics(self, session: Session, accepted: Iterable[str]) -> Limit | None:
        """Judge what a connection would be subscribed to with these topics more."""
        most, largest = self.limits.max_topics, self.limits.max_topics_size
        if most is None and largest is None:
            return None
        after = {**session.subscribed, **dict.fromkeys(accepted)}
        if most is not None and len(after) > most:
            return Limit.TOPICS
        if largest is not None and sum(map(len, after)) > largest:
            return Limit.TOPICS_SIZE
        return None

    # Connections as time goes by.

    @property
    def sweep_interval(self) -> float | None:
        """How many seconds to wait before connections are looked at again.

        None: nothing depends on the time.
        """
        limits = self.limits
        times = (limits.idle_limit, limits.ping_interval, limits.pong_timeout, limits.max_age)
        shortest = min((each for each in times if each is not None), default=None)
        if shortest is None:
            return None
        return min(max(shortest / _LOOKS_PER_LIMIT, _SHORTEST_SWEEP), _LONGEST_SWEEP)

    def overdue(self, meter: Meter, now: float) -> Limit | None:
        """Tell why a connection has to end."""
        limits = self.limits
        if limits.max_age is not None and now - meter.opened_at > limits.max_age:
            return Limit.AGE
        if limits.idle_limit is not None and (
            now - meter.last_sign(limits.signs_of_life) > limits.idle_limit
        ):
            return Limit.IDLE
        if (
            limits.pong_timeout is not None
            and meter.pinged_at > meter.pong_at
            and now - meter.pong_at > limits.pong_timeout
        ):
            return Limit.PONG
        return None

    def ping_is_due(self, meter: Meter, now: float) -> bool:
        """Tell whether it is time for a ping of ours; if so, it counts as sent."""
        interval = self.limits.ping_interval
        if interval is None or now - meter.pinged_at < interval:
            return False
        meter.pinged_at = now
        return True
