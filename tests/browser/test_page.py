"""The page in a real browser: headless Chromium, driven by playwright.

Not in the default run, for it needs both: ``tox -e browser``. The variable CHROMIUM names the
browser where it is not on the PATH.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.simulated import SimulatedMonitor
from tests.integration.clients import running
from tests.integration.servers import good_server
from tests.support import eventually
from wsresilient import Dashboard, Monitor, start_dashboard

playwright = pytest.importorskip("playwright.sync_api")

#: Milliseconds: what the page promises, and what a busy machine may take for the rest.
PROMISED, PATIENCE = 3_000, 15_000
PHONE = {"width": 390, "height": 844}
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("no browser: install chromium, or set CHROMIUM to its path")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """A page that notes what it asks for and complains of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.set_default_timeout(PATIENCE)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def row(self, name: str) -> Any:
        return self.page.locator("#rows tr").filter(
            has=self.page.get_by_role("button", name=name, exact=True)
        )

    def wait_for_tone(self, name: str, tone: str, timeout: int = PATIENCE) -> None:
        playwright.expect(self.row(name)).to_have_attribute("data-tone", tone, timeout=timeout)


@contextlib.contextmanager
def visiting(browser: Any, url: str, **settings: Any) -> Iterator[Visit]:
    """Open a page; at its end nothing has left the machine, and nothing was complained of."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
    try:
        visit = Visit(context.new_page())
        visit.page.goto(url)
        yield visit
        assert visit.complaints == []
        assert visit.hosts == {url.split("/")[2]}
    finally:
        context.close()


@pytest.fixture
def simulated() -> SimulatedMonitor:
    return SimulatedMonitor(300, troubled=0)


@pytest.fixture
def dashboard(simulated: SimulatedMonitor) -> Iterator[Dashboard]:
    with start_dashboard(port=0, monitor=simulated) as started:
        yield started


def test_a_killed_server_turns_its_row_red_and_the_time_line_names_the_cause(
    browser: Any,
) -> None:
    monitor = Monitor()
    with (
        good_server() as safe,
        good_server() as doomed,
        running(safe.url, monitor=monitor, name="safe"),
        running(doomed.url, monitor=monitor, name="doomed"),
        start_dashboard(port=0, monitor=monitor) as dashboard,
        visiting(browser, dashboard.url) as visit,
    ):
        visit.wait_for_tone("safe", "good")
        visit.wait_for_tone("doomed", "good")
        playwright.expect(visit.page.locator("#headline")).to_have_text(
            "All 2 connections are healthy"
        )

        doomed.close()

        visit.wait_for_tone("doomed", "bad", timeout=PROMISED)
        visit.wait_for_tone("safe", "good")
        red = "getComputedStyle(document.querySelector('[data-tone=bad] td.state')).color"
        assert visit.page.evaluate(red) == "rgb(198, 40, 40)"
        newest = visit.page.locator("#ends li").first
        playwright.expect(newest).to_contain_text("closed, code 1001", timeout=PROMISED)
        playwright.expect(newest).to_contain_text("doomed")
        playwright.expect(newest).to_contain_text("not back yet")
        playwright.expect(visit.page.locator("#headline")).to_contain_text("1 of 2")

        with good_server(port=doomed.port):
            visit.wait_for_tone("doomed", "good")
            playwright.expect(newest).to_contain_text("back after")


def test_three_hundred_connections_are_shown_and_kept_up_with(
    browser: Any, dashboard: Dashboard, simulated: SimulatedMonitor
) -> None:
    with visiting(browser, dashboard.url) as visit:
        page = visit.page
        playwright.expect(page.locator("#rows tr")).to_have_count(300)
        playwright.expect(page.locator("#fleet span")).to_have_count(300)
        playwright.expect(page.locator("#plot-rate")).to_have_attribute(
            "aria-label", re.compile(r"now \d+ k, between")
        )
        playwright.expect(page.locator("#plot-rtt")).to_have_attribute(
            "aria-label", re.compile(r"now \d+ ms")
        )
        points = "[...document.querySelectorAll('td.trend path')].map(p => p.getTotalLength())"
        assert eventually(lambda: min(page.evaluate(points)) > 100)  # it is 100 wide

        simulated.kill(17)

        name = simulated.names[17]
        visit.wait_for_tone(name, "bad", timeout=PROMISED)
        assert page.locator("#rows tr").first.get_attribute("data-tone") == "bad"
        playwright.expect(page.locator("#ends li").first).to_contain_text(name, timeout=PROMISED)
        playwright.expect(page.locator("#issues")).to_contain_text("Lost connections")


def test_rows_are_found_filtered_and_sorted(
    browser: Any, dashboard: Dashboard, simulated: SimulatedMonitor
) -> None:
    simulated.kill(3)
    with visiting(browser, dashboard.url) as visit:
        page = visit.page
        shown = page.locator("#rows tr:visible")
        playwright.expect(shown).to_have_count(300)

        page.get_by_role("searchbox").fill("OKX/btc")
        names = [name for name in simulated.names if name.startswith("okx/btc")]
        playwright.expect(shown).to_have_count(len(names))
        page.get_by_role("searchbox").fill("no such thing")
        playwright.expect(page.locator("#empty")).to_be_visible()
        page.get_by_role("searchbox").fill("")

        page.locator("#filter").get_by_text("Not well").click()
        playwright.expect(shown).to_have_count(1)
        page.locator("#filter").get_by_text("All").click()

        page.get_by_role("button", name="Reconnects").click()
        head = page.get_by_role("columnheader", name="Reconnects")
        playwright.expect(head).to_have_attribute("aria-sort", "descending")
        counts = [int(text) for text in page.locator("td.reconnect_count").all_inner_texts()]
        assert counts == sorted(counts, reverse=True)


def test_details_open_with_the_keyboard(browser: Any, dashboard: Dashboard) -> None:
    with visiting(browser, dashboard.url) as visit:
        toggle = visit.page.locator("#rows button").first
        toggle.focus()
        toggle.press("Enter")

        playwright.expect(toggle).to_have_attribute("aria-expanded", "true")
        playwright.expect(visit.page.locator("tr.details")).to_contain_text("Subscriptions")
        toggle.press("Enter")
        playwright.expect(visit.page.locator("tr.details")).to_have_count(0)


@pytest.mark.parametrize("minutes", ["60", "360", "1440"])
def test_plots_go_back_as_far_as_wanted(browser: Any, dashboard: Dashboard, minutes: str) -> None:
    with visiting(browser, dashboard.url) as visit:
        page = visit.page
        playwright.expect(page.locator("#rows tr")).to_have_count(300)

        with page.expect_response(lambda answer: f"minutes={minutes}&" in answer.url) as answer:
            page.locator(f"#range input[value='{minutes}']").check(force=True)

        assert answer.value.status == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(
    browser: Any, dashboard: Dashboard, scheme: str
) -> None:
    with visiting(browser, dashboard.url, viewport=PHONE, color_scheme=scheme) as visit:
        page = visit.page
        playwright.expect(page.locator("#rows tr")).to_have_count(300)

        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(244, 246, 248)", "dark": "rgb(13, 17, 23)"}[scheme]


def test_what_a_connection_is_called_is_text(browser: Any) -> None:
    monitor = Monitor()
    monitor.record_message(HOSTILE)
    monitor.record_error(HOSTILE, HOSTILE)
    monitor.record_state(HOSTILE, "failed")
    with (
        start_dashboard(port=0, monitor=monitor) as dashboard,
        visiting(browser, dashboard.url) as visit,
    ):
        playwright.expect(visit.page.locator("#rows button")).to_have_text(HOSTILE)
        playwright.expect(visit.page.locator("#issues")).to_contain_text(HOSTILE)
        visit.page.locator("#rows button").click()
        playwright.expect(visit.page.locator("tr.details")).to_contain_text(HOSTILE)
        assert visit.page.locator("main img").count() == 0


def test_a_token_leaves_the_address_bar(browser: Any) -> None:
    monitor = Monitor()
    monitor.record_message("feed")
    with start_dashboard(port=0, token="correct-horse", monitor=monitor) as dashboard:
        with visiting(browser, f"{dashboard.url}?token=correct-horse") as visit:
            visit.wait_for_tone("feed", "good")
            assert visit.page.url == dashboard.url
        context = browser.new_context()
        page = context.new_page()
        assert page.goto(dashboard.url).status == 401
        assert "needs its token" in page.inner_text("body")
        context.close()


def test_a_process_that_is_gone_is_said_to_be(browser: Any) -> None:
    monitor = Monitor()
    monitor.record_message("feed")
    dashboard = start_dashboard(port=0, monitor=monitor)
    context = browser.new_context()
    try:
        visit = Visit(context.new_page())
        visit.page.goto(dashboard.url)
        visit.wait_for_tone("feed", "good")
        dashboard.stop()
        playwright.expect(visit.page.locator("#feed")).to_contain_text("no answer since")

        with start_dashboard(port=dashboard.port, monitor=monitor):
            playwright.expect(visit.page.locator("#feed")).to_have_text("live")
    finally:
        context.close()
        dashboard.stop()


def test_numbers_and_times_read_well(browser: Any, dashboard: Dashboard) -> None:
    with visiting(browser, dashboard.url) as visit:
        told = visit.page.evaluate(
            """async () => {
                const f = await import("./static/format.js");
                return [
                    [0, 1.25, 99_999, 123_456, 12_345_678, null].map(f.count),
                    [0.04, 74, 3600, 90_000, 400_000, null].map(f.age),
                    [0.0004, 0.061, 12.3, null].map(f.milliseconds),
                    [4, 3720, 93_600].map(f.duration),
                    [0, 500, 50_000, 1_500_000].map(f.tick),
                ];
            }"""
        )

    assert told == [
        ["0", "1.3", "99,999", "123 k", "12.3 M", "\N{EN DASH}"],
        ["0.0 s", "74 s", "60 min", "25 h", "5 d", "\N{EN DASH}"],
        ["0.4 ms", "61 ms", "12.3 s", "\N{EN DASH}"],
        ["4 s", "1 h 2 min", "1 d 2 h"],
        ["0", "500", "50 k", "1.5 M"],
    ]


def test_histories_are_added_up_span_by_span(browser: Any, dashboard: Dashboard) -> None:
    with visiting(browser, dashboard.url) as visit:
        points = visit.page.evaluate(
            """async () => {
                const { addUp } = await import("./static/series.js");
                const history = { at: 600, connections: {
                    a: { rates: [[310, 9], [370, 10], [400, 20], [430, 5]], rtt: [[370, 0.1]] },
                    b: { rates: [[380, 100], [600, 7]], rtt: [[390, 0.3]] },
                    c: {},
                } };
                return addUp(history, 5, 5);
            }"""
        )

    # Neither the span that began before the window nor the one that is not over.
    assert points == [
        {"at": 390, "rate": 115, "typical": 0.2, "worst": 0.3},
        {"at": 450, "rate": 5, "typical": None, "worst": None},
    ]
