"""How a pool makes its connections, all alike, and finds out early that it cannot."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ..config import ConnectionConfig
from ..errors import ConfigurationError
from ..venues.base import Venue
from .budget import ConnectLimiter
from .pool_connection import PoolConnection
from .pool_topics import MakeConnection
from .registry import ConnectionRegistry

__all__ = [
    "budget_of",
    "checked_channels",
    "checked_config",
    "connection_maker",
    "rotation_of",
    "venue_of",
]

#: In place of a monitor, for connections that users are not to see.
_UNSEEN = SimpleNamespace(registry=ConnectionRegistry())


def rotation_of(config: object) -> str:
    """Give what a configuration says of rotation."""
    return config.rotation if isinstance(config, ConnectionConfig) else "break_before_make"


def venue_of(url_or_venue: Any, venue: Any) -> tuple[Any, Venue]:
    """Take the first arguments of a pool apart: a URL or None, and the venue.

    :raises ConfigurationError: there is no venue.
    """
    url = None if isinstance(url_or_venue, Venue) else url_or_venue
    chosen = url_or_venue if url is None else venue
    if url is None and venue is not None and venue is not url_or_venue:
        raise ConfigurationError(
            f"there are two venues, {url_or_venue!r:.60} and venue={venue!r:.60}; allowed: one"
        )
    if not isinstance(chosen, Venue):
        kinds = [one for one in (url_or_venue, venue) if isinstance(one, type)]
        hint = f"; write {kinds[0].__name__}()" if kinds else ""
        raise ConfigurationError(
            f"venue is {chosen!r:.60}; a pool places topics, so it needs one: "
            f"ConnectionPool(Binance(), ...), or ConnectionPool(url, venue=Binance(), ...){hint}"
        )
    return url, chosen


def budget_of(venue: Venue) -> ConnectLimiter | None:
    """Give what the exchange allows of new connections, where it tells that."""
    rate = venue.limits.connects
    return None if rate is None else ConnectLimiter(rate.count, rate.seconds)


def checked_channels(channels: Any) -> tuple[str, ...]:
    """Check the channels of a pool.

    :raises ConfigurationError: they are no list of names.
    """
    if channels is None:
        return ()
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise ConfigurationError(f"channels is {channels!r:.60}; allowed: a list of names, or None")
    return tuple(channels)


def connection_maker(
    url: Any, *, venue: Venue, auth: Any = None, **settings: Any
) -> MakeConnection:
    """Make the function that makes connections, all alike.

    Where an exchange has topics that need credentials on a connection of their own, the others
    get none.

    :param url: in place of the venue's, or None.
    :param auth: credentials, or None.
    :param settings: what a ResilientWebSocket takes.
    """
    settings["rotation"] = "break_before_make"  # a pool sees to the rest itself

    def make(name: str, is_private: bool, is_seen: bool) -> PoolConnection:
        changes: dict[str, Any] = {} if is_seen else {"monitor": _UNSEEN}
        if is_private or not venue.private_topics:
            changes["auth"] = auth
        return PoolConnection(url, name=name, venue=venue, **{**settings, **changes})

    return make


def checked_config(make: MakeConnection, name: str, private: Iterable[str]) -> ConnectionConfig:
    """Make a connection and forget it, so that wrong settings are told now.

    :param make: see :func:`connection_maker`.
    :param name: of that connection.
    :param private: topics that need credentials.
    :returns: the settings that all connections have.
    :raises ConfigurationError: a setting is wrong, or the URL subscribes topics by itself.
    """
    if private:
        make(name, True, False)
    probe = make(name, False, False)
    topics = probe.subscriptions
    if topics:
        raise ConfigurationError(
            f"the URL subscribes {', '.join(sorted(topics))!s:.100} on each connection; give a URL "
            "without topics, and subscribe() them"
        )
    return probe.config
