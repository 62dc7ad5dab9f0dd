from __future__ import annotations

from typing import Any

import pytest

from wsresilient import ConfigurationError
from wsresilient.core.limits import Limits
from wsresilient.core.pool_settings import PoolSettings


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"max_connections": 0}, "max_connections is 0; allowed: a whole number >= 1"),
        ({"max_subscriptions_per_connection": 0}, "max_subscriptions_per_connection is 0"),
        ({"connect_batch_size": 0}, "connect_batch_size is 0"),
        ({"connect_batch_interval": -1}, "connect_batch_interval is -1"),
        ({"redundancy": 0}, "redundancy is 0"),
        ({"redundancy": 11}, "redundancy is 11 and max_connections 10"),
        ({"rotation": "at once"}, "rotation is 'at once'; allowed: 'break_before_make', 'make"),
        ({"auto_restart": "yes"}, "auto_restart is 'yes'; allowed: True, False"),
        ({"unhealthy_after": -0.1}, "unhealthy_after is -0.1"),
        ({"balance": "weight"}, "balance is 'weight'; allowed: 'topics', 'rate'"),
        ({"handover_timeout": 0}, "handover_timeout is 0"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        PoolSettings(**changes)


@pytest.mark.parametrize(("ours", "theirs", "limit"), [(100, None, 100), (100, 30, 30), (8, 30, 8)])
def test_the_smaller_limit_counts(ours: int, theirs: int | None, limit: int) -> None:
    settings = PoolSettings(max_connections=ours, max_subscriptions_per_connection=ours)
    venue = Limits(topics_per_connection=theirs, connections=theirs, topics_size=500)

    assert settings.limits_with(venue).topics_per_connection == limit
    assert settings.limits_with(venue).topics_size == 500
    assert settings.connections_with(venue) == limit


def test_more_planes_than_the_exchange_allows_connections_are_refused() -> None:
    settings = PoolSettings(redundancy=3)

    with pytest.raises(ConfigurationError, match=r"redundancy is 3 .* allows 2 connections"):
        settings.connections_with(Limits(connections=2))
