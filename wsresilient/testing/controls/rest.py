"""What requests over REST get from the fake exchange."""

from __future__ import annotations

from collections.abc import Mapping

from wsresilient.testing.controls.base import Controls
from wsresilient.testing.records import ScriptedResponse

__all__ = ["RestControls"]


class RestControls(Controls):
    """Errors and delays on demand."""

    def respond_rest(
        self,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        count: int | None = 1,
        path: str | None = None,
    ) -> None:
        """Answer the next requests with this response; calls queue up.

        :param status: such as 429, 418 or 403.
        :param headers: such as Retry-After; Content-Length is added unless it is given, so a body
            can be announced longer than it is.
        :param count: how many requests; None: all, until :meth:`respond_rest_normally`.
        :param path: only requests with this path, without the query; None: any.
        :raises ConfigurationError: status is not of three digits, count is below 1, or a header
            holds a line end.
        """
        response = ScriptedResponse(status, dict(headers or {}), body, count, path)
        self._thread.call(lambda: self._server.rest.responses.append(response))

    def respond_rest_normally(self) -> None:
        """Forget what :meth:`respond_rest` has queued."""
        self._thread.call(self._server.rest.responses.clear)

    def delay_rest(self, seconds: float) -> None:
        """Let answers take so long.

        :param seconds: 0 ends it.
        :raises ConfigurationError: seconds is negative.
        """
        self._thread.call(lambda: self._server.rest.answers.set_seconds(seconds))
