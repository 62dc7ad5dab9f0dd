"""``wsresilient demo --pairs 750 --connections 8``: a pool of connections, and what it survives.

An embedded exchange keeps MEXC's limits, a proxy before it cuts lines, a
:class:`~wsresilient.ConnectionPool` subscribes to all pairs. The main thread directs and looks.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import sys
import time
from collections.abc import Callable, Iterator

from ..config import check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.events import Message
from ..observe import Monitor
from ..runtime.clock import monotonic
from ..runtime.pool import ConnectionPool
from ..testing import FakeExchange, FaultProxy
from ..venues import MEXC
from .demo import serving_dashboard
from .output import LineWriter, logging_to, silence_standard_output
from .pool_script import BATCH_INTERVAL, FAULTS, PoolFault, PoolSize, Trial, tell_trials
from .pool_view import PoolLines, PoolScene, PoolScreen, PoolView, connection_table

__all__ = ["PoolDirector", "PoolStage", "run_pool_demo"]

#: Seconds that it lasts; with a page there is more to look at.
USUAL, USUAL_WITH_DASHBOARD = 45.0, 300.0
#: How often the director looks, in seconds.
TICK = 0.1
#: Seconds of calm before the next fault.
CALM = 1.5
#: Seconds beyond the duration in which what is broken may still come back; a slow machine needs it.
OVERTIME = 20.0
#: A pair whose latest trade is older is not live; each has one a second.
FRESH = 4.0
#: Seconds for which the server is down when it restarts.
DOWNTIME = 1.0

UNKNOWN_PAIR = "NOSUCH_USDT"


def run_pool_demo(arguments: argparse.Namespace) -> int:
    """Play the demo.

    :returns: 0 when every connection was up and every pair live at the end, else 1.
    :raises ConfigurationError: the pairs do not fit on the connections, the duration is too short,
        the port is taken, or a library is missing.
    """
    size = PoolSize.checked(arguments.pairs, arguments.connections)
    usual = USUAL if arguments.dashboard is None else USUAL_WITH_DASHBOARD
    duration = usual if arguments.duration is None else arguments.duration
    check_seconds("--duration", duration, minimum=round(size.warm_up + FAULTS[0].lasts(size), 1))
    writer = LineWriter(sys.stdout)
    began = monotonic()

    def elapsed() -> float:
        return monotonic() - began

    is_live = writer.is_terminal and not arguments.plain
    view: PoolView = PoolScreen(writer) if is_live else PoolLines(writer, elapsed)
    director = PoolDirector(PoolStage(size, elapsed), view, duration)
    with (
        serving_dashboard(arguments.dashboard, director.stage.monitor, writer),
        logging_to(view.log, level=logging.WARNING, formatter=logging.Formatter(view.log_format)),
    ):
        outcome = director.play()
    for line in outcome:
        writer.write(line)
    if writer.is_broken:
        silence_standard_output()
    return 0 if director.is_whole else 1


class PoolStage:
    """The exchange, the proxy before it, and the pool.

    :param size: how many pairs and connections.
    :param elapsed: seconds since the start of the demo.
    :raises ConfigurationError: a library of the extra ``demo`` is missing.
    """

    def __init__(self, size: PoolSize, elapsed: Callable[[], float]) -> None:
        self.size = size
        self.monitor = Monitor()
        self.exchange = FakeExchange("mexc", symbols=_symbols(size.pairs), rate=float(size.pairs))
        self._elapsed = elapsed
        self._heard: dict[str, float] = {}  # topic -> when; each is written by one thread at a time
        self._closing = contextlib.ExitStack()
        self.proxy: FaultProxy
        self.pool: ConnectionPool

    def __enter__(self) -> PoolStage:
        with contextlib.ExitStack() as closing:
            exchange = closing.enter_context(self.exchange)
            self.proxy = closing.enter_context(FaultProxy(exchange.host, exchange.port))
            self.pool = self._make_pool()
            self.pool.subscribe(*(("deal", symbol) for symbol in exchange.symbols))
            closing.enter_context(self.pool)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._closing.close()

    def _make_pool(self) -> ConnectionPool:
        return ConnectionPool(
            self.proxy.through(self.exchange.url),
            venue=MEXC(),
            max_connections=self.size.connections,
            max_subscriptions_per_connection=self.size.most_topics,
            connect_batch_size=self.size.batch_size,
            connect_batch_interval=BATCH_INTERVAL,
            on_data=self._note,
            monitor=self.monitor,
            reconnect=ReconnectPolicy(initial_delay=0.5, max_delay=2.0),
            first_data_timeout=None,
        )

    def _note(self, message: Message) -> None:
        if message.topic is not None:
            self._heard[message.topic] = self._elapsed()

    def look(self, duration: float, trials: list[Trial]) -> PoolScene:
        """See how things are."""
        now = self._elapsed()
        connections = self.monitor.get_summary()["connections"]
        confirmed = sum(stats["confirmed_subscriptions"] for stats in connections.values())
        fresh = sum(now - at < FRESH for at in list(self._heard.values()))
        live = min(confirmed, fresh)
        return PoolScene(now, duration, connections, live, self.size.pairs, trials)

    # The faults, by their names in the script.

    def begin(self, name: str) -> None:
        """Make a fault."""
        if name == "cut":
            self.proxy.reset_after(1)  # whoever gets the next byte
        elif name == "silence":
            self.exchange.silence(self._quiet_topic)
        elif name == "refuse":
            self.pool.subscribe(("deal", UNKNOWN_PAIR))
        else:
            self.exchange.restart(DOWNTIME, wait=False)

    def shows(self, name: str, scene: PoolScene) -> bool:
        """Tell whether a fault can be seen."""
        if name == "refuse":
            return f"deal:{UNKNOWN_PAIR}" in self.pool.failed_subscriptions
        return not scene.is_whole

    def end(self, name: str) -> None:
        """Take its cause away, where it does not go by itself."""
        if name == "silence":
            self.exchange.unsilence(self._quiet_topic)

    def fits(self, name: str) -> bool:
        """Tell whether a fault can be made: a pair more needs room, and is refused only once."""
        if name != "refuse":
            return True
        return self.pool.free_slots() > 0 and not self.pool.failed_subscriptions

    @property
    def _quiet_topic(self) -> str:
        return f"deal:{self.exchange.symbols[-1]}"


def _symbols(count: int) -> list[str]:
    """Name so many pairs."""
    return [f"COIN{number:04}_USDT" for number in range(1, count + 1)]


class PoolDirector:
    """Plays the script on the stage, and shows it.

    :param stage: is entered and left by :meth:`play`.
    :param view: shows it.
    :param duration: seconds.
    :ivar is_whole: whether all was well at the end.
    """

    def __init__(self, stage: PoolStage, view: PoolView, duration: float) -> None:
        self.stage = stage
        self._view = view
        self._duration = duration
        self._script: Iterator[PoolFault] = itertools.cycle(FAULTS)
        self._next = next(self._script)
        self._trials: list[Trial] = []
        self._calm_since: float | None = None
        self.is_whole = False

    def play(self) -> list[str]:
        """Play to the end, or to Ctrl-C.

        :returns: lines to print: the table, and what was survived.
        """
        with self.stage as stage:
            size = stage.size
            self._view.event(
                f"warm-up: {size.pairs:,} pairs on up to {size.connections} connections of at most "
                f"{size.most_topics} topics, {size.batch_size} connections a second"
            )
            scene = stage.look(self._duration, self._trials)
            with contextlib.suppress(KeyboardInterrupt):
                while not self._is_over(scene):
                    time.sleep(TICK)
                    scene = stage.look(self._duration, self._trials)
                    self._direct(scene)
                    self._view.show(scene)
            scene = stage.look(self._duration, self._trials)
        self.is_whole = scene.is_whole
        return [
            "",
            *connection_table(scene),
            "",
            *tell_trials(self._trials, is_whole=self.is_whole),
        ]

    def _is_over(self, scene: PoolScene) -> bool:
        if self._view.is_closed or scene.elapsed >= self._duration + OVERTIME:
            return True
        is_well = scene.is_whole and bool(self._trials) and scene.current is None
        return is_well and scene.elapsed >= self._duration

    def _direct(self, scene: PoolScene) -> None:
        """Go on with the script."""
        trial = scene.current
        if trial is not None:
            self._go_on(trial, scene)
        elif not scene.is_whole:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = scene.elapsed
            self._view.event(f"all is well: {scene.status()}")
        elif scene.elapsed - self._calm_since >= CALM:
            self._perhaps_begin(scene)

    def _perhaps_begin(self, scene: PoolScene) -> None:
        """Make the next fault of the script, if it can be over in time."""
        fault, self._next = self._next, next(self._script)
        is_in_time = scene.elapsed + fault.lasts(self.stage.size) <= self._duration
        is_first = not self._trials  # without any there would be nothing to see
        if not (is_in_time or is_first) or not self.stage.fits(fault.name):
            return
        self._trials.append(Trial(fault, scene.pairs, scene.elapsed, scene.live))
        self._view.event(f"fault: {fault.title}: {fault.story}")
        self.stage.begin(fault.name)

    def _go_on(self, trial: Trial, scene: PoolScene) -> None:
        trial.least_live = min(trial.least_live, scene.live)
        name = trial.fault.name
        if trial.noticed is None:
            if not self.stage.shows(name, scene):
                return
            trial.noticed = scene.elapsed
            self.stage.end(name)
        if scene.is_whole:
            trial.back = scene.elapsed
            self._calm_since = scene.elapsed
            self._view.event(f"survived: {trial.sentence()}")
