"""Every setting of a connection: its unit, its default, its check, in one frozen value.

A wrong setting is told at once, by name, with what it was and what is allowed; nothing that
runs later has to check a setting again. It knows nothing of threads or sockets.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ConfigurationError, named_type

__all__ = [
    "ConnectionConfig",
    "check_callable",
    "check_choice",
    "check_integer",
    "check_seconds",
    "unknown_name",
]

MIB = 1024 * 1024
#: More seconds than this no system call takes; what may last longer is switched off with None.
MOST = 1e6


def _refuse(name: str, value: object, allowed: str) -> ConfigurationError:
    try:
        shown = repr(value)
    except ValueError:  # a whole number of thousands of digits
        shown = f"{named_type(value)} that is too long to show"
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return ConfigurationError(f"{name} is {shown}; allowed: {allowed}")


def check_seconds(
    name: str,
    value: object,
    *,
    minimum: float = 0.0,
    exclusive: bool = False,
    optional: bool = False,
) -> None:
    """Check a finite number (seconds, a rate, a factor).

    :param minimum: the least that is allowed, or, with ``exclusive``, just too little.
    :param optional: whether None is allowed.
    :raises ConfigurationError: it is something else.
    """
    bound = f"a number {'>' if exclusive else '>='} {minimum:g} and <= {MOST:g}"
    allowed = f"{bound}, or None" if optional else bound
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refuse(name, value, allowed)
    if not minimum <= value <= MOST or (exclusive and value == minimum):
        raise _refuse(name, value, allowed)


def check_integer(name: str, value: object, *, minimum: int, optional: bool = False) -> None:
    """Check a whole number.

    :raises ConfigurationError: it is something else, or less than ``minimum``.
    """
    if value is None and optional:
        return
    allowed = f"a whole number >= {minimum}" + (", or None" if optional else "")
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise _refuse(name, value, allowed)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Check that a value is one of a few.

    :raises ConfigurationError: it is not; the text lists them.
    """
    if value not in choices:
        raise _refuse(name, value, ", ".join(repr(choice) for choice in choices))


def check_callable(name: str, value: object) -> None:
    """Check that a value is None or can be called, and does its work when it is.

    :raises ConfigurationError: it is neither, or an ``async def``, which nobody here awaits.
    """
    if value is not None and not callable(value):
        raise _refuse(name, value, "a function (anything callable), or None")
    if inspect.iscoroutinefunction(value):
        raise _refuse(name, value, "an ordinary function (def, not async def), or None")


def unknown_name(what: str, name: str, known: tuple[str, ...]) -> ConfigurationError:
    """Make the error for a name that does not exist; it proposes the nearest one."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigurationError(
        f"unknown {what} {name!r:.80}{hint} Known: {', '.join(sorted(known))}"
    )


def _seconds(
    default: float | None, *, minimum: float = 0.0, exclusive: bool = False, optional: bool = False
) -> Any:
    def check(name: str, value: object) -> None:
        check_seconds(name, value, minimum=minimum, exclusive=exclusive, optional=optional)

    return field(default=default, metadata={"check": check})


def _integer(default: int, *, minimum: int) -> Any:
    def check(name: str, value: object) -> None:
        check_integer(name, value, minimum=minimum)

    return field(default=default, metadata={"check": check})


def _choice(default: str | None, *choices: str | None) -> Any:
    def check(name: str, value: object) -> None:
        check_choice(name, value, choices)

    return field(default=default, metadata={"check": check})


def _check_send_rate(name: str, value: object) -> None:
    # A RateLimiter is shared between connections; anything with its two methods serves.
    if not all(callable(getattr(value, method, None)) for method in ("acquire", "try_acquire")):
        try:
            check_seconds(name, value, exclusive=True, optional=True)
        except ConfigurationError:
            raise _refuse(name, value, "a number > 0, a RateLimiter, or None") from None


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """The settings of one connection. Times are seconds, sizes are bytes.

    :param ping_interval: a ping every so many seconds; 0 switches pings off.
    :param ping_timeout: no sign of life for so long after a ping: reconnect.
        ``ping_interval > ping_timeout > 0``; without pings it says nothing.
    :param open_timeout: one deadline for name, TCP, proxy, TLS and HTTP handshake together.
    :param close_timeout: how long a close handshake may last.
    :param send_timeout: how long the peer may take to accept what is sent.
    :param stale_after: no data message for so long: reconnect. None switches it off.
    :param max_age: planned reconnect of a connection that is so old. None switches it off.
    :param rotation: "break_before_make", or "make_before_break": the new connection is up and
        subscribed before the old one goes, which happens somewhat before ``max_age``.
    :param check_interval: how often the watchdog looks.
    :param max_size: of one message, after decompression; larger ones close with 1009.
    :param compression: None, or "deflate" (RFC 7692).
    :param dispatch: "thread": handlers run on the dispatcher's threads; "inline": on the
        reader's thread, still isolated.
    :param queue_size: messages that may wait for the handler.
    :param queue_bytes: bytes that may wait for the handler.
    :param overflow: what happens when the queue is full: "block" (the reader waits),
        "drop_oldest", "drop_newest", "keep_latest" (by topic).
    :param send_queue_size: messages that ``send(queue=True)`` keeps while not connected.
    :param send_rate: messages a second, or a RateLimiter that connections share. None: no limit.
    :param stats_interval: a status log line and on_stats every so often. 0: never.
    :param min_uptime: connected for so long before the retry count starts again at 0.
    :param slow_handler_after: a handler call that lasts longer is reported.
    :param ack_timeout: how long the answer to a login or a subscription may take.
    :param ack_retries: how often an unanswered topic is asked for again.
    :param first_data_timeout: a topic that is confirmed and brings nothing for so long is
        reported, unless it needs credentials: an account may be quiet. None: never.
    :raises ConfigurationError: a value is not allowed.
    """

    ping_interval: float = _seconds(60.0)
    ping_timeout: float = _seconds(30.0)
    open_timeout: float = _seconds(10.0, exclusive=True)
    close_timeout: float = _seconds(3.0)
    send_timeout: float = _seconds(10.0, exclusive=True)
    stale_after: float | None = _seconds(300.0, exclusive=True, optional=True)
    max_age: float | None = _seconds(86400.0, exclusive=True, optional=True)
    rotation: str = _choice("break_before_make", "break_before_make", "make_before_break")
    check_interval: float = _seconds(1.0, exclusive=True)
    max_size: int = _integer(16 * MIB, minimum=1)
    compression: str | None = _choice(None, None, "deflate")
    dispatch: str = _choice("thread", "thread", "inline")
    queue_size: int = _integer(100_000, minimum=1)
    queue_bytes: int = _integer(64 * MIB, minimum=1)
    overflow: str = _choice("block", "block", "drop_oldest", "drop_newest", "keep_latest")
    send_queue_size: int = _integer(1000, minimum=0)
    send_rate: Any = field(default=None, metadata={"check": _check_send_rate})
    stats_interval: float = _seconds(300.0)
    min_uptime: float = _seconds(5.0)
    slow_handler_after: float = _seconds(1.0, exclusive=True)
    ack_timeout: float = _seconds(10.0, exclusive=True)
    ack_retries: int = _integer(2, minimum=0)
    first_data_timeout: float | None = _seconds(60.0, exclusive=True, optional=True)

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            check: Callable[[str, object], None] = setting.metadata["check"]
            check(setting.name, getattr(self, setting.name))
        if self.ping_interval and not self.ping_interval > self.ping_timeout > 0.0:
            raise ConfigurationError(
                f"ping_interval is {self.ping_interval:g} and ping_timeout {self.ping_timeout:g}; "
                "allowed: ping_interval > ping_timeout > 0, or ping_interval=0 for no pings"
            )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all settings."""
        return tuple(setting.name for setting in dataclasses.fields(cls))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> ConnectionConfig:
        """Make a configuration from a mapping, such as a section of a TOML or YAML file.

        :raises ConfigurationError: a name is unknown or a value not allowed.
        """
        if not isinstance(settings, Mapping):
            raise _refuse("settings", settings, "a mapping from names to values")
        for name in settings:
            if not isinstance(name, str):
                raise unknown_name("setting", str(name), cls.names())
        return cls().replace(**settings)

    def replace(self, /, **changes: Any) -> ConnectionConfig:
        """Return a copy with other values.

        :raises ConfigurationError: a name is unknown or a value not allowed.
        """
        known = self.names()
        for name in changes:
            if name not in known:
                raise unknown_name("setting", name, known)
        return dataclasses.replace(self, **changes)
