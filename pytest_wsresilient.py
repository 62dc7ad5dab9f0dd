"""The fixtures of wsresilient for pytest, which finds this module by its entry point.

It stands beside the package and not in it: pytest imports it in every run of every project that has
wsresilient installed, and the package, which costs 0.3 s, is imported only for a test that uses a
fixture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from wsresilient.testing import FakeExchange, FaultProxy

__all__ = ["fake_exchange", "fault_proxy"]


@pytest.fixture
def fake_exchange() -> Iterator[Callable[..., FakeExchange]]:
    """A function that starts an exchange on loopback, which ends with the test.

    It takes what :class:`wsresilient.testing.FakeExchange` takes: ``fake_exchange("okx",
    idle_limit=0.5)``. Needs the extra ``demo``.
    """
    from wsresilient.testing import FakeExchange

    with contextlib.ExitStack() as running:

        def start(venue: Any = "binance", **settings: Any) -> FakeExchange:
            return running.enter_context(FakeExchange(venue, **settings))

        yield start


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """A function that starts a proxy that breaks links, which ends with the test.

    It takes what :class:`wsresilient.testing.FaultProxy` takes:
    ``fault_proxy(exchange.host, exchange.port)``.
    """
    from wsresilient.testing import FaultProxy

    with contextlib.ExitStack() as running:

        def start(target_host: str, target_port: int, **settings: Any) -> FaultProxy:
            return running.enter_context(FaultProxy(target_host, target_port, **settings))

        yield start
