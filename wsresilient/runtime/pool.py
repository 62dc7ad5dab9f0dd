"""ConnectionPool: many connections that look like one.

What a user holds: how it is made, started and stopped, and how it is. Which topic is on which
connection is decided in ``pool_topics.py``; what takes time (warm-up, rotation, moving topics,
restarts) is done by ``pool_keeper.py`` on a thread of its own.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from ..config import check_callable, check_seconds, unknown_name
from ..core.events import Gap, Message, StateChange
from ..core.frames import Payload
from ..core.pool_settings import PoolSettings
from ..venues.base import Venue
from .clock import monotonic
from .pool_follow import SymbolFollower
from .pool_health import PoolHealth
from .pool_keeper import PoolKeeper
from .pool_making import (
    budget_of,
    checked_channels,
    checked_config,
    connection_maker,
    rotation_of,
    venue_of,
)
from .rotation_plan import RotationPlan

__all__ = ["ConnectionPool"]

Self = TypeVar("Self", bound="ConnectionPool")

#: Seconds between two looks whether a pool is ready; its connections tell nobody.
READY_PAUSE = 0.02


class ConnectionPool(PoolHealth):
    """Keeps many topics on as many connections as they need.

    Connections are opened as topics come, a few at a time, and closed when they have none left.
    Handlers are shared by all connections: those of one connection are called one after the
    other, those of different connections side by side. All members may be used from any thread,
    inside of handlers too.

    :param url_or_venue: a :class:`~wsresilient.venues.Venue`, or a URL (then with ``venue=``).
    :param name: of the pool; connections are called "name-1", "name-2", ...
    :param venue: the exchange, where the first argument is a URL.
    :param max_connections: how many there may be; the venue's own limit counts too. While one
        is replaced there is one more, of at most four at a time, where the venue allows it.
    :param max_subscriptions_per_connection: topics of one; the venue's own limit counts too.
    :param connect_batch_size: so many connections are opened at once,
    :param connect_batch_interval: and the next ones so many seconds later.
    :param connect_limiter: a :class:`~wsresilient.ConnectLimiter` or
        :class:`~wsresilient.RateLimiter` that is shared with other pools, the first also with
        other processes; None: one of its own, where the venue limits connects.
    :param on_data: ``(message: Message)``.
    :param on_message: ``(payload: str | bytes)``.
    :param on_state_change: ``(change: StateChange)``, of every connection.
    :param on_gap: ``(gap: Gap)``.
    :param redundancy: each topic on so many connections; the first to bring a message counts.
    :param channels: what :meth:`add_pair` and :meth:`follow` subscribe of a symbol.
    :param rotation: "break_before_make", or "make_before_break": before ``max_age`` the topics
        of a connection move to a new one without a hole and without a duplicate. None: what
        ``config`` says.
    :param rotate_window: ``("03:00", "04:00")``, local time of the host: when planned rotations
        happen. None: at any time, spread over the connections.
    :param may_rotate: ``(connection_name) -> bool``: a veto. It is called on the pool's thread,
        so it must not wait. Window and veto hold until shortly before the exchange would cut the
        connection, though it gets older than ``max_age``.
    :param message_key: ``(message) -> hashable``: a message's identity; None, also as its
        answer: the venue's, else the data itself, so that equal data counts once.
    :param auto_restart: restart connections that have failed for good, but for those whose
        credentials were refused.
    :param unhealthy_after: seconds after which ``auto_restart`` acts; twice as many each time that
        it was in vain, up to five minutes.
    :param balance: "topics" or "rate": by what connections are compared when topics are placed.
    :param connection_settings: everything else that a ResilientWebSocket takes.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        url_or_venue: Any,
        *,
        name: str | None = None,
        venue: Venue | None = None,
        max_connections: int = 10,
        max_subscriptions_per_connection: int = 100,
        connect_batch_size: int = 20,
        connect_batch_interval: float = 2.0,
        connect_limiter: Any = None,
        on_data: Callable[[Message], object] | None = None,
        on_message: Callable[[Payload], object] | None = None,
        on_state_change: Callable[[StateChange], object] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        redundancy: int = 1,
        channels: Iterable[str] | None = None,
        rotation: str | None = None,
        rotate_window: tuple[str, str] | None = None,
        may_rotate: Callable[[str], bool] | None = None,
        message_key: Callable[[Message], Hashable] | None = None,
        auto_restart: bool = False,
        unhealthy_after: float = 5.0,
        balance: str = "topics",
        **connection_settings: Any,
    ) -> None:
        url, chosen = venue_of(url_or_venue, venue)
        check_callable("message_key", message_key)
        check_callable("on_state_change", on_state_change)
        settings = PoolSettings(
            max_connections=max_connections,
            max_subscriptions_per_connection=max_subscriptions_per_connection,
            connect_batch_size=connect_batch_size,
            connect_batch_interval=connect_batch_interval,
            redundancy=redundancy,
            rotation=rotation or rotation_of(connection_settings.get("config")),
            auto_restart=auto_restart,
            unhealthy_after=unhealthy_after,
            balance=balance,
        )
        connections = {
            "venue": chosen,
            "on_data": on_data,
            "on_message": on_message,
            "on_gap": on_gap,
            "connect_limiter": budget_of(chosen) if connect_limiter is None else connect_limiter,
            **connection_settings,
        }
        make = connection_maker(url, **connections)
        shown_name = name or chosen.name
        has_auth = connection_settings.get("auth") is not None
        private = chosen.private_topics if has_auth else ()
        config = checked_config(make, f"{shown_name}-0", private)
        plan = RotationPlan(
            config.max_age,
            window=rotate_window,
            may_rotate=may_rotate,
            cut_at=chosen.limits.max_age,
        )
        if plan.is_restricted:  # else a connection would see to its age by itself
            make = connection_maker(url, **{**connections, "max_age": None})
        super().__init__(
            name=shown_name,
            venue=chosen,
            settings=settings,
            channels=checked_channels(channels),
            private=private,
            has_credentials=has_auth,
            make=make,
            rotation_plan=plan,
            message_key=message_key,
            on_state_change=on_state_change,
            on_error=connection_settings.get("on_error"),
        )
        _all.add(self)

    def __repr__(self) -> str:
        members = self._roster.members()
        connected = sum(member.is_connected for member in members)
        return (
            f"<ConnectionPool {self.name!r} {self._venue!r} {connected} of {len(members)} "
            f"connections up, {len(self.subscriptions)} topics>"
        )

    # Lifecycle.

    def start(self: Self) -> Self:
        """Start the connections that there are, and from now on those that come. Idempotent."""
        with self._roster.hold():
            if self._is_started:
                return self
            self._keeper.start()
            self._is_started = True
            if self._redundancy is not None:
                self._redundancy.open()
            for member in self._roster.members():
                self._keeper.start_later(member)
            if self._follower is not None:
                self._follower.start()
        return self

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop all connections and :meth:`follow`; idempotent, from any thread.

        From inside of a handler it returns at once, and the rest ends after that handler returns.
        Topics stay wanted: :meth:`start` begins with them again.

        :param timeout: seconds for all of it.
        :returns: whether every thread of the pool has ended, but for the caller's.
        """
        check_seconds("timeout", timeout)
        deadline = monotonic() + timeout
        follower = self._request_stop()
        everybody = self._roster.everybody()
        workers: list[PoolKeeper | SymbolFollower] = [self._keeper]
        if follower is not None:
            workers.append(follower)
        if any(one.ws.is_calling() for one in everybody) or any(
            worker.is_own_thread() for worker in workers
        ):
            return not any(one.ws.is_running for one in everybody)
        ended = [worker.join(max(0.0, deadline - monotonic())) for worker in workers]
        for member in self._roster.everybody():
            if self._is_started:
                return False  # somebody has started it again meanwhile
            ended.append(member.ws.stop(max(0.0, deadline - monotonic())))
        self._roster.forget_ended()
        return all(ended)

    def _request_stop(self) -> SymbolFollower | None:
        """Ask all for their end; returns who has followed symbols."""
        with self._roster.hold():
            self._is_started = False
            self._keeper.request_stop()
            follower = self._end_following()
            everybody = self._roster.everybody()
            self._moves.cancel()
            for member in self._roster.members():
                member.is_started = False
            if self._redundancy is not None:
                self._redundancy.close()
        for member in everybody:
            member.ws.request_stop("the pool was stopped")
        if follower is not None:
            follower.request_stop()
        return follower

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def wait_until_ready(self, timeout: float | None = None) -> bool:
        """Wait until all connections are up and all topics confirmed or refused.

        :param timeout: seconds; None waits for ever.
        :returns: whether they are; False also when the pool is not started.
        """
        check_seconds("timeout", timeout, optional=True)
        deadline = None if timeout is None else monotonic() + timeout
        pause = threading.Event()  # never set
        while not self._is_ready():
            if not self._is_started or (deadline is not None and monotonic() >= deadline):
                return False
            pause.wait(READY_PAUSE)
        return True

    def _is_ready(self) -> bool:
        with self._roster.hold():
            members = self._roster.members()
            return self._is_started and all(
                one.is_connected and one.has_confirmed(frozenset(one.topics())) for one in members
            )

    def rotate(self, *names: str) -> None:
        """Replace connections now, as ``rotation`` says; without names, all that are up.

        Returns at once, see :attr:`is_moving`. A few are replaced at a time.

        :raises ConfigurationError: there is no connection of a name.
        """
        with self._roster.hold():
            members = {member.name: member for member in self._roster.members()}
            for name in names:
                if name not in members:
                    raise unknown_name("connection", name, tuple(members))
            if not self._is_started:
                return
            chosen = names or tuple(members)
            self._keeper.may_rotate_again(chosen)
            for name in chosen:
                self._keeper.rotate_soon(members[name], "rotate() was called")

    # Processes.

    def end_quietly(self) -> None:
        """Begin nothing more: the process is ending, and its connections are ended by others."""
        with self._roster.hold():
            self._keeper.request_stop()
            self._moves.cancel()
        if self._follower is not None:
            self._follower.request_stop()

    def forget_after_fork(self) -> None:
        """In a child: it is stopped, and nothing of the parent's is touched."""
        self._roster.forget_threads()
        self._keeper.forget_threads()
        if self._redundancy is not None:
            self._redundancy.forget_threads()
        self._is_started = False
        self._follower = None
        self._following.forget()


_all: weakref.WeakSet[ConnectionPool] = weakref.WeakSet()


def _end_all() -> None:
    for pool in list(_all):
        pool.end_quietly()


def _forget_all_in_child() -> None:
    for pool in list(_all):
        pool.forget_after_fork()


# Behind the registry's hook, which ends the connections: the last one registered runs first.
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all_in_child)
