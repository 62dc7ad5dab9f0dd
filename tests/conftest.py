"""What holds for every test: how hypothesis searches, and that nothing is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support import Leftovers

# The same examples in every run: a build fails because of what was changed, not by chance.
settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None, database=None)
# For a search by hand: --hypothesis-profile=long (or HYPOTHESIS_PROFILE=long) with --timeout=0.
settings.register_profile(
    "long",
    max_examples=50_000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Fail a test after which there are more threads, sockets or eventfds than before.

    Threads end on their own time, so they get some.
    """
    before = Leftovers()
    yield
    left = before.describe()
    if left:
        pytest.fail(left, pytrace=False)
