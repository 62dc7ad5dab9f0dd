"""The settings of a pool, checked once, and what they come to with an exchange's limits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..config import check_choice, check_integer, check_seconds
from ..errors import ConfigurationError
from .limits import Limits

__all__ = ["PoolSettings"]

ROTATIONS = ("break_before_make", "make_before_break")
BALANCES = ("topics", "rate")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSettings:
    """See :class:`~wsresilient.ConnectionPool` for each.

    :raises ConfigurationError: a value is not allowed.
    """

    max_connections: int = 10
    max_subscriptions_per_connection: int = 100
    connect_batch_size: int = 20
    connect_batch_interval: float = 2.0
    redundancy: int = 1
    rotation: str = "break_before_make"
    auto_restart: bool = False
    unhealthy_after: float = 5.0
    balance: str = "topics"
    handover_timeout: float = 60.0

    def __post_init__(self) -> None:
        check_integer("max_connections", self.max_connections, minimum=1)
        check_integer(
            "max_subscriptions_per_connection", self.max_subscriptions_per_connection, minimum=1
        )
        check_integer("connect_batch_size", self.connect_batch_size, minimum=1)
        check_seconds("connect_batch_interval", self.connect_batch_interval)
        check_integer("redundancy", self.redundancy, minimum=1)
        check_choice("rotation", self.rotation, ROTATIONS)
        check_choice("auto_restart", self.auto_restart, (True, False))
        check_seconds("unhealthy_after", self.unhealthy_after)
        check_choice("balance", self.balance, BALANCES)
        check_seconds("handover_timeout", self.handover_timeout, exclusive=True)
        if self.redundancy > self.max_connections:
            raise ConfigurationError(
                f"redundancy is {self.redundancy} and max_connections {self.max_connections}; "
                "allowed: redundancy <= max_connections"
            )

    def limits_with(self, venue: Limits) -> Limits:
        """Give the limits of one connection: the venue's, or ours where they are less."""
        most = self.max_subscriptions_per_connection
        if venue.topics_per_connection is not None:
            most = min(most, venue.topics_per_connection)
        return dataclasses.replace(venue, topics_per_connection=most)

    def connections_with(self, venue: Limits) -> int:
        """Give how many connections there may be: the venue's limit, or ours where it is less.

        :raises ConfigurationError: they are too few for the redundancy.
        """
        most = self.max_connections
        if venue.connections is not None:
            most = min(most, venue.connections)
        if self.redundancy > most:
            raise ConfigurationError(
                f"redundancy is {self.redundancy} and the exchange allows {most} connections; "
                "allowed: redundancy <= that"
            )
        return most
