from __future__ import annotations

import math
from typing import Any

import pytest

from wsresilient import ConfigurationError
from wsresilient.core.limits import Limits, Rate


@pytest.mark.parametrize(
    ("count", "seconds", "named"),
    [
        *((0, 1.0, "count"), (-1, 1.0, "count"), (1.5, 1.0, "count"), (True, 1.0, "count")),
        *((1, 0.0, "seconds"), (1, -1.0, "seconds"), (1, math.nan, "seconds"), (1, "1", "seconds")),
    ],
)
def test_a_rate_is_checked(count: Any, seconds: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{named} of Rate"):
        Rate(count, seconds)


@pytest.mark.parametrize(
    "name",
    [
        *("topics_per_request", "request_size", "topics_per_connection", "topics_size"),
        *("connections", "burst", "idle", "max_age"),
    ],
)
@pytest.mark.parametrize("value", [0, -1, "5"])
def test_a_limit_is_checked(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{name} is {value!r}"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", ["connects", "messages", "requests"])
def test_a_limit_of_a_rate_is_a_rate(name: str) -> None:
    value: Any = 5

    with pytest.raises(ConfigurationError, match=rf"{name} is 5; allowed: Rate\(count, seconds\)"):
        Limits(**{name: value})
