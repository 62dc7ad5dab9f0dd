"""Servers and callbacks for compat.WebSocketApp, and a way to run one within a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.support import Running
from wsresilient.compat import WebSocketApp

from .clients import library_threads
from .servers import Behaviour, Peer

__all__ = ["Recorder", "run", "sending"]


def sending(*texts: str, code: int = 1000, reason: str = "bye") -> Behaviour:
    """Make a server that sends these texts, and closes."""

    def behave(peer: Peer) -> None:
        peer.text(*texts)
        peer.close(code, reason)

    return behave


class Recorder:
    """Callbacks that write down what they are called with, and on which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.apps: set[Any] = set()
        self.threads: set[str] = set()

    def __call__(self, name: str) -> Callable[..., None]:
        def callback(app: Any, *args: Any) -> None:
            self.apps.add(app)
            self.threads.add(threading.current_thread().name)
            self.calls.append((name, *args))

        return callback

    def all(self) -> dict[str, Any]:
        names = ("on_open", "on_message", "on_error", "on_close")
        return {name: self(name) for name in names}

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


def run(app: WebSocketApp, **settings: Any) -> bool:
    """Run it on a thread of its own with a bound."""
    ended = Running(lambda: app.run_forever(**settings)).result()
    assert library_threads() == []
    return bool(ended)
