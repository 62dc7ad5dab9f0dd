"""The arguments of a connection: checked, completed with what suits the venue, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from ..config import ConnectionConfig, unknown_name
from ..core.backoff import ReconnectPolicy
from ..core.urls import redact_name
from ..errors import ConfigurationError
from .dispatcher import Dispatcher, default_dispatcher
from .options import ConnectionOptions
from .registry import ConnectionRegistry, default_registry
from .subscriber import Subscriber

__all__ = [
    "checked_dispatcher",
    "checked_name",
    "configured",
    "make_subscriber",
    "registry_of",
]

POLICY_NAMES = frozenset(field.name for field in dataclasses.fields(ReconnectPolicy) if field.init)


def make_subscriber(
    options: ConnectionOptions, config: ConnectionConfig, channels: object
) -> Subscriber | None:
    """Make what holds the topics, where there is a venue."""
    if options.venue is None:
        if channels is not None:
            raise ConfigurationError("channels= needs venue=, which knows them")
        return None
    if isinstance(channels, str) or (channels is not None and not isinstance(channels, Iterable)):
        raise ConfigurationError(f"channels is {channels!r:.60}; allowed: a list of names, or None")
    venue = options.venue
    url_topics = None if callable(options.url) else venue.url_topics(venue.urls()[0])
    return Subscriber(
        venue,
        config,
        channels=channels or (),
        url_topics=url_topics,
        has_credentials=options.auth is not None,
    )


def configured(
    config: object,
    settings: dict[str, Any],
    options: ConnectionOptions,
    *,
    arguments: tuple[str, ...],
) -> ConnectionConfig:
    """Put the settings together: the user's, else the venue's, else the defaults.

    :param config: what was given as ``config=``.
    :param settings: what was given by name.
    :param arguments: names of the other arguments, for the error of an unknown one.
    :raises ConfigurationError: a name is unknown or a value not allowed.
    """
    if config is not None and not isinstance(config, ConnectionConfig):
        raise ConfigurationError(f"config is {config!r:.60}; allowed: a ConnectionConfig, or None")
    for name in settings:
        if name in POLICY_NAMES:
            raise ConfigurationError(
                f"{name} is a setting of the policy; allowed: reconnect=ReconnectPolicy({name}=...)"
            )
        if name not in ConnectionConfig.names():
            raise unknown_name("argument", name, (*ConnectionConfig.names(), *arguments))
    venue = options.venue
    if config is None and venue is not None:
        private = venue.private_topics if options.auth is not None else ()
        group = venue.group_of(private[0]) if private else None
        settings = {**venue.settings_for(group=group), **settings}
    return (config or ConnectionConfig()).replace(**settings)


def checked_name(name: object) -> str | None:
    """Check ``name=``; what looks like a secret in it is hidden."""
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"name is {name!r:.60}; allowed: a str that is not empty, or None")
    return None if name is None else redact_name(name)


def checked_dispatcher(dispatcher: object) -> Dispatcher:
    """Check ``dispatcher=``; None is the one that all share."""
    if dispatcher is None:
        return default_dispatcher()
    if not isinstance(dispatcher, Dispatcher):
        raise ConfigurationError(
            f"dispatcher is {dispatcher!r:.60}; allowed: a Dispatcher, or None"
        )
    return dispatcher


def registry_of(monitor: Any) -> ConnectionRegistry:
    """Check ``monitor=`` and give what it reads; None is the default monitor."""
    registry = default_registry() if monitor is None else getattr(monitor, "registry", None)
    if not isinstance(registry, ConnectionRegistry):
        raise ConfigurationError(f"monitor is {monitor!r:.60}; allowed: a Monitor, or None")
    return registry
