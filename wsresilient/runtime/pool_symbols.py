"""The half of a pool that follows symbols: what is listed, delisted, or traded most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..config import check_seconds
from ..core.following import TopByVolume
from ..errors import ConfigurationError, describe
from .clock import monotonic
from .logs import Log
from .pool_follow import Select, SymbolFollower
from .pool_topics import PoolTopics
from .rest import RestClient

__all__ = ["PoolSymbols"]

log = Log("wsresilient.pool")


class PoolSymbols(PoolTopics):
    """Follows symbols.

    :param on_error: is given what goes wrong, or None.
    :param settings: see :class:`PoolTopics`.
    """

    def __init__(self, *, on_error: Callable[[Exception], object] | None, **settings: Any) -> None:
        super().__init__(**settings)
        self._on_error = on_error
        self._follower: SymbolFollower | None = None  # guarded by the roster's lock

    def follow(
        self,
        select: Select,
        *,
        every: float = 3600.0,
        rest: RestClient | None = None,
        kind: str | None = None,
    ) -> None:
        """Subscribe the ``channels`` of selected symbols, and look again from time to time.

        New listings are subscribed, and what is not selected any more is dropped. Topics that
        were subscribed by hand stay, and those that were unsubscribed by hand stay away. A
        refresh that fails is reported to the log and to on_error, changes nothing and is tried
        again. In place of what was followed before. Begins with :meth:`start`, ends with
        :meth:`stop`, after which it has to be asked for anew.

        :param select: :class:`~wsresilient.TopByVolume`, or ``(symbol: Symbol) -> bool``, called
            for every symbol that is traded, on a thread of its own.
        :param every: seconds from one look to the next.
        :param rest: is asked, and closed when this ends; None: a RestClient of the venue.
        :param kind: "spot", "perpetual", "future" or "option"; None: all that the venue's market
            holds (OKX: "spot").
        :raises ConfigurationError: an argument is not allowed, there are no ``channels``, or the
            venue has no REST.
        """
        chosen: object = select
        if not isinstance(chosen, TopByVolume) and (
            not callable(chosen) or isinstance(chosen, type)
        ):
            raise ConfigurationError(
                f"select is {chosen!r:.60}; allowed: TopByVolume(n), or a function of a Symbol"
            )
        check_seconds("every", every, exclusive=True)
        if not self._channels:
            self._pair_topics("")  # says what is missing
        client: object = rest
        if client is not None and not isinstance(client, RestClient):
            raise ConfigurationError(f"rest is {client!r:.60}; allowed: a RestClient, or None")
        follower = SymbolFollower(
            self.name,
            select,
            every=every,
            rest=RestClient(self._venue) if rest is None else rest,
            kind=kind,
            apply=self._apply_symbols,
            report=self._report,
        )
        with self._roster.hold():
            before, self._follower = self._follower, follower
            if self._is_started:
                follower.start()
        if before is not None:
            before.request_stop()

    def unfollow(self) -> None:
        """End :meth:`follow`; what is subscribed stays subscribed."""
        with self._roster.hold():
            follower = self._end_following()
        if follower is not None:
            follower.request_stop()

    def _end_following(self) -> SymbolFollower | None:
        follower, self._follower = self._follower, None
        self._following.forget()
        return follower

    def _apply_symbols(self, follower: SymbolFollower, symbols: Sequence[str]) -> None:
        """Let the topics follow a new selection; on the follower's thread.

        :raises SubscriptionLimitError: the new ones do not fit; the others were dropped.
        """
        selected = [topic for symbol in symbols for topic in self._pair_topics(symbol)]
        checked = self._checked(selected)
        with self._roster.hold():
            if self._follower is not follower:
                return
            change = self._following.difference(checked, self.subscriptions)
            self._drop(change.dropped)
            self._following.dropped(change.dropped)
            self._want(change.added)
            self._following.subscribed(change.added)
        if change.added or change.dropped:
            log.info(
                "%s: %d topics follow %d symbols: %d are new, %d were dropped",
                self.name,
                len(self._following),
                len(symbols),
                len(change.added),
                len(change.dropped),
            )
        self._keeper.close_empty()

    def _report(self, error: Exception) -> None:
        log.warning("%s: the symbols were not refreshed: %s", self.name, describe(error))
        if self._on_error is not None:
            try:
                self._on_error(error)
            except BaseException:  # a user's function may raise anything
                log.exception("%s: on_error raised", self.name)

    def following_stats(self) -> dict[str, Any] | None:
        """Say how :meth:`follow` goes, in plain values; None: nothing is followed."""
        follower = self._follower
        if follower is None:
            return None
        at = follower.refreshed_at
        return {
            "symbols": follower.symbols,
            "topics": len(self._following),
            "refreshed_age": None if at is None else monotonic() - at,
            "last_error": follower.last_error,
        }
