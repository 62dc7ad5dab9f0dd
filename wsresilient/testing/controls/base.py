"""What all controls stand on: the server, and the way to its thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsresilient.errors import ConfigurationError
from wsresilient.testing.async_thread import AsyncThread
from wsresilient.testing.feed import Feed
from wsresilient.testing.formats.base import ExchangeFormat

if TYPE_CHECKING:
    from wsresilient.testing.server import ExchangeServer

__all__ = ["Controls", "check_close", "check_count"]

_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_MAX_REASON = 123  # bytes: a control frame has room for no more


class Controls:
    """May be used from any thread; when a method has returned, it has happened."""

    _format: ExchangeFormat
    _feed: Feed
    _server: ExchangeServer
    _thread: AsyncThread


def check_close(code: int | None, reason: str) -> None:
    """Check what a close frame shall hold.

    :raises ConfigurationError: the code may not be sent, or the reason is too long.
    """
    if code is not None and code not in _CLOSE_CODES:
        raise ConfigurationError(
            "code must be a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)"
            f" or None, not {code!r}"
        )
    if len(reason.encode()) > _MAX_REASON:
        raise ConfigurationError(f"reason must be at most {_MAX_REASON} bytes long")


def check_count(count: int | None) -> None:
    """Check how often something shall happen.

    :raises ConfigurationError: it is below 1.
    """
    if count is not None and count < 1:
        raise ConfigurationError(f"count must be 1 or more or None, not {count!r}")
