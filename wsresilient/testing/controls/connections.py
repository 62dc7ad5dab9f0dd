"""How connections to the fake exchange come, go, and are kept from coming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsresilient.errors import ConfigurationError
from wsresilient.testing.controls.base import Controls, check_close
from wsresilient.testing.records import ScriptedResponse

__all__ = ["ConnectionControls"]

_RESTART_TIMEOUT = 10.0


class ConnectionControls(Controls):
    """Ends, notices, restarts, handshakes and limits."""

    # Ends.

    def close_all(self, code: int | None = 1001, reason: str = "") -> int:
        """Send a close frame to every open connection; return how many there are.

        :param code: the close code; None sends a frame without one.
        :param reason: at most 123 bytes.
        :raises ConfigurationError: the code may not be sent (1005 and 1006, say; see
            :meth:`abort_all`), or the reason is too long.
        """
        check_close(code, reason)
        return self._thread.call(lambda: self._server.close_all(code, reason))

    def abort_all(self) -> int:
        """Reset every connection (RST); return how many were open."""
        return self._thread.call(self._server.abort_all)

    def abort_one(self, connection: int) -> bool:
        """Reset one connection (RST); return whether it was open.

        :param connection: its number, one of :attr:`connections`.
        """
        return self._thread.call(lambda: self._server.abort_one(connection))

    def announce_shutdown(
        self, *, close_after: float | None = None, code: int | None = 1001
    ) -> int:
        """Send the venue's notice that the connection will soon be closed.

        :param close_after: seconds after which the connections that got it are closed; None: they
            are not.
        :param code: the close code that they then get.
        :returns: how many connections got it: on some venues none, on OKX not those to /business.
        :raises ConfigurationError: close_after is negative, or the code may not be sent.
        """
        check_close(code, "")
        _check_seconds("close_after", close_after or 0.0)
        return self._thread.call(lambda: self._server.announce_shutdown(close_after, code))

    def expire_listen_keys(self) -> None:
        """End every listen key; the connections that use one are told so and get no more data."""
        self._thread.call(self._server.expire_listen_keys)

    # Restarts.

    def pause_accepting(self) -> None:
        """Refuse new connections; those that there are stay. The port stays reserved."""
        self._thread.call(self._server.refuse)

    def resume_accepting(self) -> None:
        """End :meth:`pause_accepting`.

        :raises OSError: the port cannot be had.
        """
        self._thread.call(self._server.accept)

    def restart(self, downtime: float = 0.5, *, code: int | None = 1012, wait: bool = True) -> None:
        """End every connection, refuse new ones for a while, then listen on the same port.

        REST goes on meanwhile.

        :param downtime: seconds.
        :param code: the close code that clients get; None: a reset, as from a process that died.
        :param wait: return when it listens again; False: return when it is down.
        :raises ConfigurationError: downtime is negative, or the code may not be sent.
        """
        _check_seconds("downtime", downtime)
        check_close(code, "")
        self._thread.call(lambda: self._server.go_down(code))
        is_up = self._thread.submit(lambda: self._server.come_up(downtime))
        if wait:
            is_up.result(downtime + _RESTART_TIMEOUT)

    # Handshakes.

    def respond_status(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        count: int | None = 1,
    ) -> None:
        """Answer the next handshakes with this HTTP response; calls queue up.

        :param status: such as 503, 401 or 302.
        :param headers: such as Retry-After or Location; Content-Length and Connection are added
            unless they are given, so a body can be announced longer than it is.
        :param count: how many handshakes; None: all, until :meth:`respond_normally`.
        :raises ConfigurationError: status is not of three digits, count is below 1, or a header
            holds a line end.
        """
        response = ScriptedResponse(status, dict(headers or {}), body, count)
        self._thread.call(lambda: self._server.responses.append(response))

    def respond_normally(self) -> None:
        """Forget what :meth:`respond_status` has queued."""
        self._thread.call(self._server.responses.clear)

    # Limits.

    def change_limits(self, **changes: Any) -> None:
        """Enforce other limits from now on, on the connections that there are too.

        :param changes: those of :class:`~wsresilient.testing.limits.VenueLimits` by name; None:
            no limit. A rate may be ``(count, seconds)`` too, or a count alone: in one second,
            ``request_quota`` in one hour.
        :raises ConfigurationError: there is no such limit, or it is not above 0.
        """
        limits = self._server.enforcer.limits.changed(changes)
        self._thread.call(lambda: self._server.set_limits(limits))


def _check_seconds(name: str, seconds: float) -> None:
    if seconds < 0:
        raise ConfigurationError(f"{name} must be 0 or more seconds, not {seconds!r}")
