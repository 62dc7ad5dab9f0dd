"""Following a selection of symbols: asking the exchange for them again and again.

It runs on a thread of its own, since REST waits. What is done with the symbols is the pool's
business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..core.following import TopByVolume
from ..core.market import Symbol
from ..errors import VenueError, as_exception
from .clock import monotonic
from .rest import RestClient
from .threads import gather, spawn

__all__ = ["Select", "SymbolFollower"]

#: What may be followed: a predicate over symbols, or those that are traded most.
Select = Callable[[Symbol], object] | TopByVolume

#: Seconds after which a failed refresh is tried again, if the next one is not due before.
TRY_AGAIN = 30.0


class SymbolFollower:
    """Refreshes one selection.

    :param name: of the pool.
    :param select: which symbols.
    :param every: seconds from one refresh to the next.
    :param rest: is asked; it is closed with the follower.
    :param kind: "spot", "perpetual", ...; None: what the venue's market holds.
    :param apply: is given the names of the selected symbols.
    :param report: is given each error; the next refresh comes all the same.
    :ivar symbols: how many were selected.
    :ivar refreshed_at: monotonic time of the latest refresh that worked, or None.
    """

    def __init__(
        self,
        name: str,
        select: Select,
        *,
        every: float,
        rest: RestClient,
        kind: str | None,
        apply: Callable[[SymbolFollower, Sequence[str]], None],
        report: Callable[[Exception], None],
    ) -> None:
        self._name = name
        self._select = select
        self._every = every
        self._rest = rest
        self._kind = kind
        self._apply = apply
        self._report = report
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.symbols = 0
        self.refreshed_at: float | None = None
        self.last_error = ""

    def __repr__(self) -> str:
        return f"<SymbolFollower {self._select!r} every {self._every:g} s>"

    def start(self) -> None:
        """Begin; idempotent."""
        if self._thread is None:
            self._thread = spawn(self._run, name=f"wsr-rest-{self._name}")

    def request_stop(self) -> None:
        """Ask for the end at once; gives up what is being asked."""
        self._is_stopping.set()
        self._rest.close()

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; the caller does not count."""
        return self._thread is None or not gather([self._thread], timeout=timeout)

    def is_own_thread(self) -> bool:
        """Whether the calling thread is the follower's: inside of the user's predicate."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._is_stopping.wait(self._refresh())

    def _refresh(self) -> float:
        """Ask once; returns seconds until the next time."""
        try:
            names = self._selected()
            self._apply(self, names)
        except BaseException as error:  # the user's predicate may raise anything
            if self._is_stopping.is_set():
                return 0.0
            self._failed(as_exception(error, "the selection of symbols"))
            retry_after = error.retry_after if isinstance(error, VenueError) else None
            return max(retry_after or 0.0, min(self._every, TRY_AGAIN))
        self.symbols, self.refreshed_at, self.last_error = len(names), monotonic(), ""
        return self._every

    def _selected(self) -> list[str]:
        select, rest = self._select, self._rest
        if isinstance(select, TopByVolume):
            found = rest.top_by_volume(select.n, quote=select.quote, kind=self._kind)
            if not found:
                raise VenueError(f"no symbol was found for {select!r}; all topics stay")
            return found
        symbols = rest.symbols(kind=self._kind)
        if not symbols:
            # An exchange without symbols is one that is not well.
            raise VenueError("the exchange named no symbols; all topics stay")
        return [symbol.name for symbol in symbols if select(symbol)]

    def _failed(self, error: Exception) -> None:
        self.last_error = str(error)
        self._report(error)
