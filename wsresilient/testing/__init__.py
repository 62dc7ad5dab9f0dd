"""For tests: an exchange that misbehaves on demand, a proxy that breaks links, a way to wait.

Shipped for users' own tests as much as for the library's. It may use the layers below, and nothing
below may use it.
"""

from __future__ import annotations

from wsresilient.testing.exchange import FakeExchange
from wsresilient.testing.proxy import FaultProxy
from wsresilient.testing.waiting import wait_until

__all__ = ["FakeExchange", "FaultProxy", "wait_until"]
