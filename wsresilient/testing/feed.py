"""When things happen: every topic has its turn, at a rate that may be changed at any time.

Pure: the time comes in as an argument, what happens comes out. Who is subscribed, and how a message
is spelled, is known elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from wsresilient.errors import ConfigurationError
from wsresilient.testing.events import Event, Stream
from wsresilient.testing.market import Follower, Market, Tour

__all__ = ["Feed"]

# No more than so many seconds are made up for: after a pause of the process, and when the rate is
# more than the machine can do, which must not keep the loop from answering pings.
_LONGEST_STEP = 0.1


class Feed:
    """Topics that take turns; not thread-safe.

    :param market: where the events come from.
    :param rate: events per second of all topics together.
    :ivar is_running: False stops the market: nothing happens, so nothing is missed either.
    :ivar silenced: topics of which nothing is told, while their turns pass.
    """

    def __init__(self, market: Market, rate: float) -> None:
        self.market = market
        self.rate = rate
        self.is_running = True
        self.silenced: set[str] = set()
        self._followers: dict[str, Follower | Tour] = {}
        self._turns: list[str] = []
        self._next = 0
        self._last_at: float | None = None
        self._carry = 0.0
        self._step = 0.0  # seconds in which the events have become due
        self._told_until = 0  # milliseconds since 1970

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<Feed {state} rate={self.rate:g} topics={len(self._turns)}>"

    @property
    def rate(self) -> float:
        """Events per second of all topics together; may be set."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate < 0:
            raise ConfigurationError(f"rate must be 0 or more messages per second, not {rate!r}")
        self._rate = rate

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that take turns."""
        return tuple(self._turns)

    def add(self, topic: str, stream: Stream) -> None:
        """Let a topic take its turns, unless it does or its symbol does not exist."""
        if stream.symbol in self.market and topic not in self._followers:
            self._followers[topic] = self.market.follow(stream)
            self._turns.append(topic)

    def remove(self, topic: str) -> None:
        """Take a topic out, if it is there."""
        if self._followers.pop(topic, None) is not None:
            self._turns.remove(topic)

    def tells(self, topic: str) -> bool:
        """Whether a topic gets data now."""
        return self.is_running and topic in self._followers and topic not in self.silenced

    def snapshot(self, topic: str, at: int) -> Event:
        """Give what a new subscriber of a topic gets first.

        :param at: milliseconds since 1970.
        :raises KeyError: the topic does not take turns.
        """
        self._told_until = at
        return self._followers[topic].snapshot(at)

    def due(self, now: float) -> int:
        """Tell how many events have become due since the last call.

        :param now: seconds of a monotonic clock.
        """
        elapsed = 0.0 if self._last_at is None else min(now - self._last_at, _LONGEST_STEP)
        self._last_at = now
        self._step = elapsed
        if not self.is_running or not self._turns:
            self._carry = 0.0
            return 0
        total = self._carry + elapsed * self.rate
        count = int(total)
        self._carry = total - count
        return count

    def events(self, count: int, at: int) -> Iterator[tuple[str, Event]]:
        """Let so many turns pass; what happens in them comes out.

        It has happened one after the other since the last call of :meth:`due`: where a venue tells
        two messages of a topic apart by their time, it may not be the same.

        :param at: milliseconds since 1970, of the last turn.
        """
        earliest = self._told_until if self._told_until <= at else 0  # the clock was set back
        self._told_until = at
        for turn in range(count if self._turns else 0):
            before_last = self._step * 1000 * (count - 1 - turn) / count
            moment = max(earliest, at - int(before_last))
            topic = self._turns[self._next % len(self._turns)]
            self._next = (self._next + 1) % len(self._turns)
            if topic not in self.silenced:
                follower = self._followers[topic]
                yield topic, follower.next(moment)
                while follower.is_behind:
                    yield topic, follower.next(moment)
