"""``wsresilient demo``: an exchange, a proxy that breaks things, and a stream that stays up.

Everything happens on loopback. The main thread directs: it makes the faults, ends them and
shows what is; what the stream noticed is told by its own handlers (:class:`Witness`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator

from ..config import check_seconds
from ..core.backoff import ReconnectPolicy
from ..core.events import Message, StateChange
from ..core.metrics import RateWindow
from ..core.state import ConnectionState
from ..observe import Monitor, format_report, start_dashboard
from ..runtime.clock import monotonic
from ..runtime.connection import ResilientWebSocket
from ..testing import FakeExchange, FaultProxy
from .faults import ROUND, Ordeal, plain_words, plan, tell_survival
from .output import LineWriter, logging_to, silence_standard_output
from .views import PlainView, Scene, View, live_view

__all__ = ["Director", "Stage", "Witness", "run_demo", "serving_dashboard"]

#: Seconds that it lasts; with a page there is more to look at.
USUAL, USUAL_WITH_DASHBOARD = 30.0, 300.0
#: Shorter ones would ask for pings faster than a busy machine can answer.
SHORTEST = 8.0
#: How often the director looks, in seconds.
TICK = 0.05
#: A stream whose latest message is older is not flowing (it has 200 a second).
FLOWING = 2.0


def run_demo(arguments: argparse.Namespace) -> int:
    """Play the demo.

    :returns: 0 when messages were flowing at the end, else 1.
    :raises ConfigurationError: the duration is too short, the port is taken, or a library is
        missing.
    """
    duration = _duration(arguments)
    check_seconds("--duration", duration, minimum=SHORTEST)
    writer = LineWriter(sys.stdout)
    began = monotonic()

    def elapsed() -> float:
        return monotonic() - began

    witness = Witness(elapsed)
    stage = Stage(witness, scale=min(1.0, duration / ROUND))
    plain = PlainView(writer, elapsed)
    view = plain if arguments.plain or not writer.is_terminal else live_view() or plain
    director = Director(stage, witness, view, duration, elapsed)
    formatter = logging.Formatter(view.log_format)
    with (
        serving_dashboard(arguments.dashboard, stage.monitor, writer),
        logging_to(view.log, level=logging.INFO, formatter=formatter),
    ):
        outcome = director.play()
    for line in outcome:
        writer.write(line)
    if writer.is_broken:
        silence_standard_output()
    return 0 if director.was_alive else 1


def _duration(arguments: argparse.Namespace) -> float:
    if arguments.duration is not None:
        return float(arguments.duration)
    return USUAL if arguments.dashboard is None else USUAL_WITH_DASHBOARD


@contextlib.contextmanager
def serving_dashboard(port: int | None, monitor: Monitor, writer: LineWriter) -> Iterator[None]:
    """Serve the page, if it is wanted, and say where.

    :param port: None: it is not.
    :raises ConfigurationError: the port is taken.
    """
    if port is None:
        yield
        return
    with start_dashboard(port=port, monitor=monitor) as dashboard:
        writer.write(f"dashboard: {dashboard.url}")
        yield


class Witness:
    """The handlers of the stream: what it noticed, and when it was back.

    They run on a dispatcher thread, one at a time, in the order of what happened.

    :param elapsed: seconds since the start of the demo.
    :ivar ordeal: what is going on; set by the director, None when all is calm.
    :ivar prices: the latest price of each symbol.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._is_waiting_for_message = False
        self.ordeal: Ordeal | None = None
        self.prices: dict[str, float] = {}

    def on_error(self, error: Exception) -> None:
        """Take down what was noticed."""
        if self.ordeal is not None:
            self.ordeal.note_error(plain_words(error), self._elapsed())

    def on_state_change(self, change: StateChange) -> None:
        """Wait for a message when the stream is connected again."""
        self._is_waiting_for_message = (
            change.state is ConnectionState.CONNECTED
            and self.ordeal is not None
            and self.ordeal.noticed is not None
        )

    def on_data(self, message: Message) -> None:
        """Keep the price, and note the first message after a fault."""
        if self._is_waiting_for_message and self.ordeal is not None:
            self.ordeal.back = self._elapsed()
            self._is_waiting_for_message = False
        data = message.data["data"]
        self.prices[data["s"]] = float(data["c"] if data["e"] == "24hrTicker" else data["p"])


class Stage:
    """The exchange, the proxy before it, and the stream that leads through both.

    :param witness: the stream's handlers.
    :param scale: 1 or less: the times of the script, and the stream's settings, times this.
    :raises ConfigurationError: a library of the extra ``demo`` is missing.
    """

    def __init__(self, witness: Witness, *, scale: float) -> None:
        self.scale = scale
        self.exchange = FakeExchange("binance")
        self.monitor = Monitor()
        self._witness = witness
        self._closing = contextlib.ExitStack()
        self.proxy: FaultProxy
        self.stream: ResilientWebSocket

    def __enter__(self) -> Stage:
        with contextlib.ExitStack() as closing:
            exchange = closing.enter_context(self.exchange)
            self.proxy = closing.enter_context(FaultProxy(exchange.host, exchange.port))
            self.stream = self._stream()
            closing.callback(self.stream.stop)
            self.stream.start()
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._closing.close()

    def _stream(self) -> ResilientWebSocket:
        topics = [
            f"{symbol.lower()}@{channel}"
            for symbol in self.exchange.symbols
            for channel in ("trade", "ticker")
        ]
        scale = self.scale
        return ResilientWebSocket(
            self.proxy.through(self.exchange.url_for(*topics)),
            name="market",
            decoder=json.loads,
            on_data=self._witness.on_data,
            on_error=self._witness.on_error,
            on_state_change=self._witness.on_state_change,
            monitor=self.monitor,
            reconnect=ReconnectPolicy(initial_delay=0.2 * scale, max_delay=2.0 * scale),
            ping_interval=2.0 * scale,
            ping_timeout=1.0 * scale,
            stale_after=3.0 * scale,
            min_uptime=1.0 * scale,
            check_interval=0.1 * scale,
            open_timeout=5.0,
        )

    @property
    def is_flowing(self) -> bool:
        """Whether messages come."""
        return self.stream.is_connected and self.stream.is_fresh(max_age=FLOWING)

    # The faults, by their names in the script.

    def begin(self, name: str) -> None:
        """Make a fault."""
        if name == "freeze":
            self.proxy.freeze()
        elif name == "stall":
            self.exchange.stop_feed()
        else:
            if name == "refuse":
                self.proxy.refuse()
            self.proxy.reset_all()

    def end(self, name: str) -> None:
        """Take its cause away; what it has broken stays broken."""
        if name == "stall":
            self.exchange.resume_feed()
        else:
            self.proxy.heal()


class Director:
    """Plays the script on the stage, and shows it.

    :param stage: is entered and left by :meth:`play`.
    :param view: shows it.
    :param duration: seconds.
    :param elapsed: seconds since the start.
    :ivar was_alive: whether messages were flowing at the end.
    """

    def __init__(
        self,
        stage: Stage,
        witness: Witness,
        view: View,
        duration: float,
        elapsed: Callable[[], float],
    ) -> None:
        self._stage = stage
        self._witness = witness
        self._view = view
        self._duration = duration
        self._elapsed = elapsed
        self._script = list(plan(duration))
        self._ordeals: list[Ordeal] = []
        self._calm_since = 0.0
        self._rate = RateWindow(span=2.0)
        self.was_alive = False

    def play(self) -> list[str]:
        """Play to the end, or to Ctrl-C.

        :returns: lines to print: the report, and what was survived.
        """
        with self._stage:
            with self._view:
                self._view.event(
                    f"an exchange on port {self._stage.exchange.port}, "
                    f"a faulty proxy on port {self._stage.proxy.port}, one stream through both"
                )
                with contextlib.suppress(KeyboardInterrupt):
                    while self._elapsed() < self._duration and not self._view.is_closed:
                        self._tick()
                        time.sleep(TICK)
            self.was_alive = self._stage.is_flowing
            state = str(self._stage.stream.state)
            summary = self._stage.monitor.get_summary()
        survival = tell_survival(self._ordeals, is_alive=self.was_alive, state=state)
        return ["", format_report(summary), "", *survival]

    def _tick(self) -> None:
        now = self._elapsed()
        ordeal = self._witness.ordeal
        if ordeal is None:
            self._perhaps_begin(now)
        else:
            self._perhaps_end(ordeal, now)
        stats = self._stage.stream.get_stats()
        self._rate.sample(now, stats["message_count"])
        self._view.show(
            Scene(
                elapsed=now,
                duration=self._duration,
                stats=stats,
                rate=self._rate.per_minute(now, stats["message_count"]) / 60.0,
                ordeals=self._ordeals,
                current=self._witness.ordeal,
                prices=dict(self._witness.prices),
            )
        )

    def _perhaps_begin(self, now: float) -> None:
        """Make the next fault when it is due and the stream has had its rest."""
        if not self._script or now < self._script[0].at:
            return
        scale = self._stage.scale
        if not self._stage.is_flowing or now - self._calm_since < scale:
            return
        fault = self._script.pop(0).fault
        if now + scale * fault.needs > self._duration:
            return
        ordeal = Ordeal(fault, began=now)
        self._ordeals.append(ordeal)
        self._witness.ordeal = ordeal
        self._view.event(f"fault: {fault.title}: {fault.story}")
        self._stage.begin(fault.name)

    def _perhaps_end(self, ordeal: Ordeal, now: float) -> None:
        fault, scale = ordeal.fault, self._stage.scale
        if ordeal.ended is None:
            lasted = now - ordeal.began
            # What nobody notices ends all the same: the demo would wait for ever.
            if lasted >= scale * (fault.lasts if ordeal.noticed is not None else fault.needs):
                self._stage.end(fault.name)
                ordeal.ended = now
        elif ordeal.back is not None or (ordeal.noticed is None and self._stage.is_flowing):
            self._witness.ordeal = None
            self._calm_since = now
            self._view.event(f"survived: {ordeal.sentence()}")
