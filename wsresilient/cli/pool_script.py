"""The script of the demo of many pairs: its size, what breaks, and how it is told.

No socket, no clock. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..config import check_integer
from ..errors import ConfigurationError
from ..venues import MEXC

__all__ = ["FAULTS", "PoolFault", "PoolSize", "Trial", "tell_trials"]

#: The exchange that is played, whose limits hold.
LIMITS = MEXC.limits
MOST_CONNECTIONS, MOST_TOPICS = LIMITS.connections or 1, LIMITS.topics_per_connection or 1
REQUESTS_PER_SECOND = LIMITS.messages.per_second if LIMITS.messages else 1.0

#: The warm-up opens a third of the connections at a time, a second apart.
BATCHES, BATCH_INTERVAL = 3, 1.0


@dataclass(frozen=True)
class PoolSize:
    """How many pairs are on how many connections.

    :ivar pairs: each is one topic.
    :ivar connections: at most.
    """

    pairs: int
    connections: int

    @classmethod
    def checked(cls, pairs: int | None, connections: int | None) -> PoolSize:
        """Check what was asked for against the exchange's limits.

        :param pairs: None: 750.
        :param connections: None: as few as the pairs fit on.
        :raises ConfigurationError: it does not fit; the text says what does.
        """
        pairs = 750 if pairs is None else pairs
        check_integer("--pairs", pairs, minimum=1)
        if connections is None:
            connections = min(MOST_CONNECTIONS, -(-pairs // MOST_TOPICS))
        check_integer("--connections", connections, minimum=1)
        if connections > MOST_CONNECTIONS:
            raise ConfigurationError(
                f"--connections is {connections}; allowed: 1 to {MOST_CONNECTIONS}, since MEXC, "
                "which is played here, lets one address have no more"
            )
        if connections > pairs:
            raise ConfigurationError(
                f"--connections is {connections} and --pairs {pairs}; allowed: at least one pair "
                "for each connection"
            )
        if pairs > connections * MOST_TOPICS:
            raise ConfigurationError(
                f"--pairs is {pairs}; allowed: up to {connections * MOST_TOPICS} on {connections} "
                f"connections, since MEXC, which is played here, takes {MOST_TOPICS} topics on "
                f"each, and {MOST_CONNECTIONS} connections"
            )
        return cls(pairs, connections)

    @property
    def most_topics(self) -> int:
        """Topics that a connection may have: an even share and one to spare."""
        return min(MOST_TOPICS, -(-self.pairs // self.connections) + 1)

    @property
    def batch_size(self) -> int:
        """Connections that are opened at a time."""
        return -(-self.connections // BATCHES)

    @property
    def subscribing(self) -> float:
        """Seconds that a connection takes to subscribe: one topic a request, and paced."""
        return self.most_topics / REQUESTS_PER_SECOND

    @property
    def warm_up(self) -> float:
        """Seconds until all is up, at worst."""
        return BATCHES * BATCH_INTERVAL + self.subscribing


@dataclass(frozen=True)
class PoolFault:
    """One kind of trouble.

    :ivar name: of the stage's method that makes it.
    :ivar title: two words for it.
    :ivar story: one line that explains it.
    :ivar needs: so long, at worst, until all is well, beside subscribing.
    :ivar resubscribes: whether topics have to be subscribed anew.
    """

    name: str
    title: str
    story: str
    needs: float
    resubscribes: bool = False

    def lasts(self, size: PoolSize) -> float:
        """Tell how long it takes at worst."""
        return self.needs + (size.subscribing if self.resubscribes else 0.0)


FAULTS = (
    PoolFault(
        "cut",
        "line cut",
        "one connection is reset in mid-sentence",
        needs=3.0,
        resubscribes=True,
    ),
    PoolFault(
        "silence",
        "pair silent",
        "one pair stays subscribed, and brings nothing",
        needs=7.0,
    ),
    PoolFault(
        "refuse",
        "pair unknown",
        "a pair is added that does not exist",
        needs=2.0,
    ),
    PoolFault(
        "restart",
        "server restart",
        "all connections end; for a second no new ones",
        needs=7.0,
        resubscribes=True,
    ),
)


@dataclass
class Trial:
    """One fault as it happened; times are seconds from the start of the demo.

    :ivar fault: which.
    :ivar pairs: how many there are.
    :ivar began: when it was made.
    :ivar least_live: so many pairs were live at the worst moment.
    :ivar noticed: when it first showed, or None.
    :ivar back: when all was well again, or None.
    """

    fault: PoolFault
    pairs: int
    began: float
    least_live: int
    noticed: float | None = None
    back: float | None = None

    def outcome(self) -> str:
        """Say in a few words how it stands."""
        if self.noticed is None:
            return "not noticed yet"
        live = f"{self.least_live:,} of {self.pairs:,} pairs live at the worst moment"
        if self.back is None:
            return f"{live}; not all back yet"
        return f"{live}; all well after {self.back - self.began:.1f} s"

    def sentence(self) -> str:
        """Say it in one line."""
        return f"{self.fault.title}: {self.outcome()}"


def tell_trials(trials: Sequence[Trial], *, is_whole: bool) -> list[str]:
    """Tell at the end what happened, in lines for 80 columns.

    :param trials: all, in their order.
    :param is_whole: whether every connection is up and every pair live.
    """
    lines = ["What the pool went through", ""] if trials else []
    for number, trial in enumerate(trials, 1):
        lines.append(f"{number:>3}. {trial.began:5.1f} s  {trial.fault.title}: {trial.fault.story}")
        lines.append(f"     {trial.outcome()}")
    survived = sum(trial.back is not None for trial in trials)
    count = f"{len(trials)} {'fault' if len(trials) == 1 else 'faults'}, {survived} survived"
    state = "Every pair is live." if is_whole else "Not every pair is live."
    return [*lines, "", f"{count}. {state}"]
