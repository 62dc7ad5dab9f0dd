"""What each path answers, without a socket."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from wsresilient import Monitor
from wsresilient.observe.dashboard import pages as pages_module
from wsresilient.observe.dashboard.access import Access
from wsresilient.observe.dashboard.pages import Pages
from wsresilient.observe.dashboard.request import Request
from wsresilient.observe.dashboard.response import Response


class CountingMonitor(Monitor):
    """Counts how often it is read, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.error: Exception | None = None

    def get_summary(self) -> dict[str, Any]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return super().get_summary()


@pytest.fixture
def monitor() -> CountingMonitor:
    made = CountingMonitor()
    made.record_message("feed", 3, 300)
    return made


def ask(monitor: Monitor, path: str, pages: Pages | None = None, **query: str) -> Response:
    asked = Request("GET", path, query, {"host": "localhost"})
    return (pages or Pages(monitor, Access())).respond(asked)


def content(response: Response) -> Any:
    assert response.content_type == "application/json"
    return json.loads(response.body)


def test_the_page_loads_only_what_is_served_here(monitor: Monitor) -> None:
    pages = Pages(monitor, Access())
    page = ask(monitor, "/", pages)

    assert page.content_type.startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert {"static/dashboard.js", "static/dashboard.css"} <= set(loaded)
    for path in loaded:
        assert ask(monitor, f"/{path}", pages).status == 200, path
    types = {
        ask(monitor, f"/{path}", pages).content_type
        for path in loaded
        if path.startswith("static/")
    }
    assert types == {"text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"}


def test_what_scripts_import_is_there_and_nothing_is_markup(monitor: Monitor) -> None:
    pages = Pages(monitor, Access())
    found = {"dashboard.js"}
    todo = ["dashboard.js"]
    while todo:
        script = ask(monitor, f"/static/{todo.pop()}", pages)
        assert script.status == 200
        text = script.body.decode()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        new = set(re.findall(r'from "\./([\w.-]+)"', text)) - found
        found |= new
        todo += new
    assert len(found) > 5


def test_nothing_of_ours_names_another_host(monitor: Monitor) -> None:
    pages = Pages(monitor, Access())
    for path, response in pages._files.items():
        named = re.findall(r"https?://[^\s\"')]+", response.body.decode())
        allowed = {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}
        assert set(named) <= allowed, path


def test_the_summary_is_the_monitors(monitor: Monitor) -> None:
    told = content(ask(monitor, "/summary"))

    assert told["connections"]["feed"]["message_count"] == 3
    assert told.keys() == monitor.get_summary().keys()


def test_the_history_comes_with_the_issues(monitor: Monitor) -> None:
    monitor.record_error("feed", ValueError("no"))

    told = content(ask(monitor, "/history"))

    assert told.keys() == {"at", "connections", "issues"}
    assert told["connections"]["feed"]["errors"][0]["text"] == "ValueError: no"
    assert told["issues"].keys() == monitor.diagnose_connection_issues().keys()


def test_bad_parameters_are_refused(monitor: Monitor) -> None:
    assert ask(monitor, "/history", minutes="x").status == 400


def test_health_is_told_by_the_status(monitor: Monitor) -> None:
    told = ask(monitor, "/healthz")
    assert (told.status, content(told)["status"]) == (200, "ok")

    monitor.record_state("second", "connected")
    monitor.record_state("feed", "reconnecting")
    told = ask(monitor, "/healthz")
    assert (told.status, content(told)["return_code"]) == (200, 1)

    monitor.record_state("feed", "failed")
    monitor.record_state("stopped", "disconnected")
    told = ask(monitor, "/healthz")
    assert told.status == 503
    assert content(told) == {
        "status": "critical",
        "return_code": 2,
        "healthy_connections": 1,
        "active_connections": 1,
        "unhealthy": ["feed"],
    }


@pytest.mark.parametrize("path", ["/favicon.ico", "/static", "/static/../monitor.py", "/..", "/é"])
def test_other_paths_are_not_found(monitor: Monitor, path: str) -> None:
    told = ask(monitor, path)

    assert told.status == 404
    assert "/healthz" in told.body.decode()


def test_who_may_not_look_is_told_so(monitor: Monitor) -> None:
    assert ask(monitor, "/", Pages(monitor, Access(token="t"))).status == 401


def test_metrics_need_their_library(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wsresilient.observe.prometheus", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    told = ask(monitor, "/metrics")

    assert told.status == 501
    assert "pip install 'wsresilient[metrics]'" in told.body.decode()


def test_an_error_is_logged_and_not_told(
    monitor: CountingMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.error = ValueError("an inner detail")

    told = ask(monitor, "/summary")

    assert told.status == 500
    assert b"inner" not in told.body
    assert "an inner detail" in caplog.text


def test_many_viewers_cost_no_more_than_one(
    monitor: CountingMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10.0]
    monkeypatch.setattr(pages_module, "monotonic", lambda: now[0])
    pages = Pages(monitor, Access(token="t"))

    def look() -> None:
        assert ask(monitor, "/summary", pages, token="t").status == 200

    look()
    look()
    assert monitor.reads == 1
    now[0] += pages_module.KEEP + 0.01
    look()
    assert monitor.reads == 2


def test_kept_answers_are_few(monitor: CountingMonitor) -> None:
    pages = Pages(monitor, Access())
    for number in range(100):
        ask(monitor, "/history", pages, points=str(number + 1))

    assert len(pages._kept) == pages_module.KEPT


def test_every_answer_is_kept_from_caches_frames_and_other_sites() -> None:
    head = Response(200, b"{}", "application/json").head(at=0.0).decode()

    assert head.startswith("HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
    assert head.endswith("\r\n\r\n")
    for line in (
        "Content-Length: 2",
        "Connection: close",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    ):
        assert f"{line}\r\n" in head
    (policy,) = re.findall("Content-Security-Policy: (.*)\r\n", head)
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy
