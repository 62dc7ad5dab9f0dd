"""The fixtures for users' own tests, and what the documentation shows of them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsresilient.testing import FakeExchange, FaultProxy, wait_until

from .binance_peers import TRADE, connect, receive

TESTING = Path(__file__).parents[2] / "docs" / "testing.rst"


def documented_test() -> Callable[..., None]:
    """Take the test out of the documentation."""
    text = TESTING.read_text(encoding="utf-8").partition(".. code-block:: python\n")[2]
    lines = text.splitlines()
    end = next(n for n, line in enumerate(lines) if line and not line.startswith(" "))
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent("\n".join(lines[:end])), str(TESTING), "exec"), names)
    found: Callable[..., None] = names["test_prices_come_back_after_a_restart"]
    return found


def test_exchanges_and_proxies_of_a_test(
    fake_exchange: Callable[..., FakeExchange], fault_proxy: Callable[..., FaultProxy]
) -> None:
    one, two = fake_exchange(), fake_exchange("okx", idle_limit=0.5)
    proxy = fault_proxy(one.host, one.port, latency=0.001)

    assert (one.limits.max_topics, two.limits.idle_limit) == (1024, 0.5)
    with connect(proxy.through(one.url_for(TRADE))) as client:
        assert receive(client)["stream"] == TRADE
    wait_until(lambda: one.connection_count == 0)


def test_what_the_documentation_shows(fake_exchange: Callable[..., FakeExchange]) -> None:
    documented_test()(fake_exchange)


def test_pytest_imports_the_fixtures_without_the_package(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it(request):\n"
        "    assert 'pytest_wsresilient' in sys.modules\n"
        "    assert 'wsresilient' not in sys.modules\n"
        "    request.getfixturevalue('fake_exchange')\n"
        "    assert 'wsresilient' in sys.modules\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
