"""How the demo is shown: lines for logs and pipes, or a live table in a terminal.

The live table needs rich, which is imported only here and only when it is wanted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..core.redact import shorten
from ..observe.report import format_age, format_count
from .faults import Ordeal
from .output import LineWriter

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["LiveView", "PlainView", "Scene", "TimedLines", "View", "live_view"]


@dataclass(frozen=True)
class Scene:
    """What there is to see at one moment.

    :ivar elapsed: seconds since the start.
    :ivar duration: seconds in all.
    :ivar stats: of the stream.
    :ivar rate: messages a second, in the last two seconds.
    :ivar ordeals: all so far.
    :ivar current: the one that is not over.
    :ivar prices: the latest of each symbol.
    """

    elapsed: float
    duration: float
    stats: Mapping[str, Any]
    rate: float
    ordeals: Sequence[Ordeal]
    current: Ordeal | None
    prices: Mapping[str, float]


class View(Protocol):
    """A way to show the demo; a context manager around it."""

    @property
    def log_format(self) -> str:
        """What it wants to see of a log record."""

    @property
    def is_closed(self) -> bool:
        """Whether nobody looks any more."""

    def __enter__(self) -> View: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, scene: Scene) -> None:
        """Show how things are."""

    def event(self, text: str) -> None:
        """Tell what has just happened."""

    def log(self, text: str) -> None:
        """Tell what the library says; called from any thread."""


class TimedLines:
    """Lines with the time before them: events and logs as they come.

    :param writer: where to.
    :param elapsed: seconds since the start.
    """

    log_format = "%(levelname)s %(message)s"

    def __init__(self, writer: LineWriter, elapsed: Callable[[], float]) -> None:
        self._writer = writer
        self._elapsed = elapsed

    @property
    def is_closed(self) -> bool:
        """Whether the reader of the pipe has gone."""
        return self._writer.is_broken

    def event(self, text: str) -> None:
        """Write it."""
        self.line(f"*** {text}")

    def log(self, text: str) -> None:
        """Write it."""
        self.line(text)

    def line(self, text: str) -> None:
        """Write a line."""
        self._writer.write(f"[{self._elapsed():5.1f} s] {text}")


class PlainView(TimedLines):
    """The demo in lines: the status every second and on a change.

    :param writer: where to.
    :param elapsed: seconds since the start.
    """

    def __init__(self, writer: LineWriter, elapsed: Callable[[], float]) -> None:
        super().__init__(writer, elapsed)
        self._shown: tuple[int, str, bool] | None = None

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_exc: object) -> None:
        """Nothing has to be cleaned up."""

    def show(self, scene: Scene) -> None:
        """Write a status line, if it is time for one."""
        key = (int(scene.elapsed), scene.stats["state"], scene.current is not None)
        if key != self._shown:
            self._shown = key
            self.line(_status_line(scene))


def _status_line(scene: Scene) -> str:
    stats = scene.stats
    return (
        f"{stats['state']}, {stats['message_count']} messages ({scene.rate:.0f}/s), "
        f"reconnects {stats['reconnect_count']}, last message {_ago(stats)}, "
        f"quality {stats['quality_score']}, "
        f"fault: {scene.current.fault.title if scene.current else 'none'}"
    )


def _ago(stats: Mapping[str, Any]) -> str:
    age = stats["last_message_age"]
    return "never" if age is None else f"{age:.1f} s ago"


def live_view() -> LiveView | None:
    """Make the live table, or return None where the terminal is too simple for it.

    Without rich it is None, too, and standard error says what to install.
    """
    try:
        from rich.console import Console
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        import sys

        print(
            "wsresilient demo: the live table needs the library rich, which is not installed; "
            "pip install 'wsresilient[demo]' brings it. Plain lines until then.",
            file=sys.stderr,
        )
        return None
    console = Console()
    return None if console.is_dumb_terminal else LiveView(console)


class LiveView:
    """A table that is drawn anew some times a second, on the calling thread.

    :param console: rich's.
    """

    log_format = "%(message)s"

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._logs: deque[str] = deque(maxlen=5)
        self._drawn_at = -1.0
        self._last: RenderableType | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nobody looks any more."""
        return False

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()

    def event(self, text: str) -> None:
        """Events are in the list of faults already."""

    def log(self, text: str) -> None:
        """Keep it for the next drawing."""
        self._logs.append(shorten(text, 300))

    def show(self, scene: Scene) -> None:
        """Draw, not more than ten times a second."""
        if scene.elapsed - self._drawn_at >= 0.1:
            self._drawn_at = scene.elapsed
            self._live.update(self.render(scene), refresh=True)

    def render(self, scene: Scene) -> RenderableType:
        """Compose the picture."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.progress_bar import ProgressBar

        # Room for the "^C" that the terminal writes behind the last line; else it would scroll.
        width = min(self._console.width - 3, 120)
        body = Group(
            ProgressBar(
                total=scene.duration,
                completed=min(scene.elapsed, scene.duration),
                complete_style="green",
                finished_style="green",
            ),
            "",
            _stats_table(scene),
            "",
            _prices_line(scene.prices),
            _label("last error", scene.stats["last_error"] or "none so far"),
            _now_line(scene.current),
            _label("survived", ""),
            *_survived_lines(scene.ordeals, width - 6),
            _label("the library says", ""),
            *(_dim(f"  {line}") for line in self._logs),
        )
        return Panel(
            body,
            width=width,
            title="wsresilient demo: one stream, four faults",
            subtitle=f"{scene.elapsed:.0f} of {scene.duration:.0f} s, Ctrl-C ends it",
        )


_STATE_STYLES = {"connected": "bold green", "failed": "bold red"}


def _stats_table(scene: Scene) -> Table:
    from rich.table import Table
    from rich.text import Text

    stats = scene.stats
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0))
    cells = {
        "state": Text(stats["state"], style=_STATE_STYLES.get(stats["state"], "bold yellow")),
        "messages": Text(format_count(stats["message_count"], 8)),
        "per second": Text(format_count(scene.rate, 7)),
        "reconnects": Text(str(stats["reconnect_count"])),
        "last message": Text(format_age(stats["last_message_age"])),
        "quality": Text(str(stats["quality_score"])),
    }
    for heading in cells:
        table.add_column(heading, no_wrap=True, min_width=12 if heading == "state" else 0)
    table.add_row(*cells.values())
    return table


def _prices_line(prices: Mapping[str, float]) -> Text:
    shown = "  ".join(
        f"{symbol.removesuffix('USDT')} {price:,.{2 if price >= 10 else 4}f}"
        for symbol, price in sorted(prices.items())
    )
    return _label("prices", shown)


def _now_line(current: Ordeal | None) -> Text:
    from rich.text import Text

    if current is None:
        return _label("fault", "none, a calm moment")
    line = _label("fault", "")
    line.append_text(Text(f"{current.fault.title}: ", style="bold yellow"))
    return line.append(current.fault.story)


def _survived_lines(ordeals: Sequence[Ordeal], width: int) -> list[Text]:
    from rich.text import Text

    survived = [ordeal for ordeal in ordeals if ordeal.back is not None][-4:]
    if not survived:
        return [_dim("  nothing yet; the first fault comes soon")]
    return [Text(f"  {ordeal.sentence(width)}", style="green") for ordeal in survived]


def _label(label: str, text: str) -> Text:
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    return line.append(f"{label}: ", style="bold").append(text)


def _dim(text: str) -> Text:
    from rich.text import Text

    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")
