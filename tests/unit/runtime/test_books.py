"""What is counted and told as connections come and go."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

from wsresilient.core.redact import Redactor
from wsresilient.runtime.books import Books


def link_with(secret: str) -> Any:
    return SimpleNamespace(plan=SimpleNamespace(redact=Redactor([secret])), shown="wss://feed")


def test_the_secrets_of_two_links_are_hidden_however_many_there_have_been() -> None:
    handlers: Any = SimpleNamespace(redact=Redactor())
    status: Any = SimpleNamespace(name="feed")
    delivery: Any = None
    books = Books(status, delivery, handlers)
    latest = running = link_with("secret-0")
    for number in range(1, 2 * sys.getrecursionlimit()):
        successor = link_with(f"secret-{number}")
        books.succeeding(successor, running)
        latest, running = running, successor

    hidden = handlers.redact(f"{latest.plan.redact._secrets} {running.plan.redact._secrets}")
    assert "secret-" not in hidden
