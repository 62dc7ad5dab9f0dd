"""What each path answers: the page, its files, and the monitor's words as JSON and metrics.

Everything is read from snapshots and nothing is changed. Called by one thread.
"""

from __future__ import annotations

import importlib.resources
import json
import logging
from collections.abc import Callable
from typing import Any

from ...core.state import ConnectionState
from ...runtime.clock import monotonic, wall_clock
from ..monitor import Monitor
from .access import Access
from .history import bounded, window_of
from .request import RefusedRequestError, Request
from .response import HTML, JSON, TEXT, Response, refusal

__all__ = ["Pages"]

logger = logging.getLogger("wsresilient.observe")

#: Seconds for which an answer is given again, so that many viewers cost no more than one.
KEEP = 0.2
#: Answers that are kept at one time; each is a request with other parameters.
KEPT = 16
#: Names in the answer of /healthz.
NAMED = 10

_FILES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": TEXT,
}


class Pages:
    """Answers requests.

    :param monitor: whose connections are shown.
    :param access: who may look.
    """

    def __init__(self, monitor: Monitor, access: Access) -> None:
        self._monitor = monitor
        self._access = access
        self._files = _static_files()
        self._kept: dict[tuple[str, ...], tuple[float, Response]] = {}
        self._collector: Any = None
        self._answers: dict[str, Callable[[Request], Response]] = {
            "/summary": self._summary,
            "/history": self._history,
            "/metrics": self._metrics,
            "/healthz": self._health,
        }

    def respond(self, request: Request) -> Response:
        """Answer a request, whatever happens."""
        try:
            return self._access.admit(request) or self._route(request)
        except RefusedRequestError as error:
            return refusal(error)
        except Exception:
            logger.exception("the dashboard cannot answer %.100r", request.path)
            return refusal(RefusedRequestError(500, "It failed; the process's log has the error."))

    def _route(self, request: Request) -> Response:
        if request.path in self._files:
            return self._files[request.path]
        if request.path not in self._answers:
            known = ", ".join(("/", *self._answers))
            raise RefusedRequestError(404, f"There is nothing here; there are {known}.")
        return self._kept_answer(request)

    def _kept_answer(self, request: Request) -> Response:
        query = {name: value for name, value in request.query.items() if name != "token"}
        accept = request.headers.get("accept", "") if request.path == "/metrics" else ""
        key = (request.path, accept, *(part for pair in query.items() for part in pair))
        now = monotonic()
        at, response = self._kept.pop(key, (0.0, None))
        if response is None or now - at > KEEP:
            at, response = now, self._answers[request.path](request)
        self._kept[key] = (at, response)
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return response

    def _summary(self, _request: Request) -> Response:
        return _json(self._monitor.get_summary())

    def _history(self, request: Request) -> Response:
        window = window_of(request.query, wall_clock())
        history = self._monitor.get_history(window.connection, since=window.since)
        issues = self._monitor.diagnose_connection_issues()
        return _json(bounded(history, window) | {"issues": issues})

    def _health(self, _request: Request) -> Response:
        summary = self._monitor.get_summary()
        unhealthy = [
            name
            for name, stats in summary["connections"].items()
            if not stats["is_healthy"] and stats["state"] != ConnectionState.DISCONNECTED.value
        ]
        body = {
            key: summary[key]
            for key in ("status", "return_code", "healthy_connections", "active_connections")
        } | {"unhealthy": unhealthy[:NAMED]}
        return _json(body, status=503 if summary["return_code"] == 2 else 200)

    def _metrics(self, request: Request) -> Response:
        try:
            from ..prometheus import expose
        except ModuleNotFoundError as error:
            if error.name != "prometheus_client":
                raise
            raise RefusedRequestError(
                501,
                "Metrics need the library prometheus-client, which is not installed; "
                "pip install 'wsresilient[metrics]' brings it.",
            ) from error
        body, content_type = expose(self._monitor, request.headers.get("accept", ""))
        return Response(200, body, content_type)


def _json(content: object, *, status: int = 200) -> Response:
    body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return Response(status, body, JSON)


def _static_files() -> dict[str, Response]:
    """Read the page and what it loads, once: no path is ever made from a request."""
    folder = importlib.resources.files("wsresilient.observe") / "static"
    files = {}
    for file in folder.iterdir():
        if file.name == "dashboard.html":
            files["/"] = Response(200, file.read_bytes(), HTML)
            continue
        content_type = _FILES.get(file.name.rpartition(".")[2])
        if content_type is not None:
            files[f"/static/{file.name}"] = Response(200, file.read_bytes(), content_type)
    return files
