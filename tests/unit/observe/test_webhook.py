"""What a webhook sends, what it makes of an answer, and that its URL is shown nowhere."""

from __future__ import annotations

import dataclasses
import html
import json
from typing import Any

import pytest

from wsresilient import ConfigurationError, ReconnectPolicy
from wsresilient.core.alerting import Alert
from wsresilient.observe.webhook import LONGEST_TEXT, MOST_READ, Receipt, WebhookNotifier
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.http_client import HttpAnswer, HttpClient, NoAnswerError

TOKEN = "T0KEN-xyz-123"
URL = f"https://hooks.example.com/services/{TOKEN}?key={TOKEN}-query"
TELEGRAM = f"https://api.telegram.org/bot{TOKEN}/sendMessage"

FIRING = Alert(
    issue="lost_connections",
    connection="feed <1>",
    state="firing",
    detail="Not connected for 31 s & counting.",
    suggestion="Look at the network.",
    at=1_700_000_060.25,
    since=1_700_000_000.0,
    value=31.0,
    threshold=30.0,
)
RESOLVED = Alert("lost_connections", "feed", "resolved", "over after 40 s", "Look.", at=0.0)


class Answers:
    """Stands for the HTTP client: records what is asked, and answers or raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: HttpAnswer | Exception = HttpAnswer(200, {}, b"")
        monkeypatch.setattr(HttpClient, "request", self._request)

    def _request(self, method: str, url: str, **arguments: Any) -> HttpAnswer:
        self.asked.append({"method": method, "url": url, **arguments})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def status(self, status: int, text: str = "", **headers: str) -> None:
        names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self.answer = HttpAnswer(status, names, text.encode())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    return Answers(monkeypatch)


def test_plain_json_has_all_that_the_alert_has() -> None:
    payload = WebhookNotifier(URL).payload(FIRING)

    assert payload == {
        "id": "lost_connections/feed <1>/1700000000.000/firing/0",
        "issue": "lost_connections",
        "connection": "feed <1>",
        "state": "firing",
        "title": "FIRING lost connections: feed <1>",
        "detail": "Not connected for 31 s & counting.",
        "suggestion": "Look at the network.",
        "at": 1_700_000_060.25,
        "time": "2023-11-14T22:14:20.250+00:00",
        "since": 1_700_000_000.0,
        "value": 31.0,
        "threshold": 30.0,
        "reminder": 0,
    }
    assert json.loads(json.dumps(payload)) == payload


def test_slack_gets_a_text_without_markup() -> None:
    assert WebhookNotifier(URL, format="slack").payload(FIRING) == {
        "text": "FIRING lost connections: feed &lt;1&gt;\n"
        "Not connected for 31 s &amp; counting.\n"
        "To do: Look at the network.\n"
        "2023-11-14 22:14:20 UTC"
    }


def test_telegram_gets_the_chat_and_a_text() -> None:
    notifier = WebhookNotifier(TELEGRAM, format="telegram", chat_id=-100123)

    assert notifier.payload(RESOLVED) == {
        "chat_id": -100123,
        "text": "RESOLVED lost connections: feed\nover after 40 s\n1970-01-01 00:00:00 UTC",
    }


def test_for_telegram_the_url_may_name_the_chat() -> None:
    notifier = WebhookNotifier(TELEGRAM + "?chat_id=5", format="telegram")
    assert set(notifier.payload(RESOLVED)) == {"text"}


@pytest.mark.parametrize("extra", [{"format": "slack"}, {"format": "telegram", "chat_id": "@me"}])
def test_a_long_detail_is_cut(extra: dict[str, Any]) -> None:
    alert = Alert("slow_handlers", "feed", "firing", "x" * 100_000)

    alert = dataclasses.replace(alert, connection="<" * 10_000, suggestion="y" * 10_000)
    text = WebhookNotifier(URL, **extra).payload(alert)["text"]

    assert len(html.unescape(text)) < LONGEST_TEXT
    assert "x..." in text
    assert text.endswith("yyy...\n1970-01-01 00:00:00 UTC")


def test_one_request_is_sent_with_bounds(answers: Answers) -> None:
    answers.status(204)
    notifier = WebhookNotifier(URL, timeout=3, headers={"Authorization": "Bearer 12345678"})
    began = monotonic()

    assert notifier.send(FIRING) == Receipt(True)
    (asked,) = answers.asked
    assert (asked["method"], asked["url"]) == ("POST", URL)
    assert json.loads(asked["body"]) == notifier.payload(FIRING)
    assert asked["headers"] == {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": "Bearer 12345678",
    }
    assert (asked["silence"], asked["excerpt"]) == (3.0, MOST_READ)
    assert 0.0 < asked["deadline"] - began <= 3.0 + 1.0


def test_the_user_info_of_a_url_goes_into_the_header(answers: Answers) -> None:
    WebhookNotifier("https://me:p%40ss@hooks.example.com/x").send(FIRING)

    assert answers.asked[0]["headers"]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("status", [408, 421, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_worth_another_try(answers: Answers, status: int) -> None:
    answers.status(status, "busy", Retry_After="7")

    receipt = WebhookNotifier(URL).send(FIRING)

    assert receipt == Receipt(False, may_retry=True, retry_after=7.0, text=f"HTTP {status}: busy")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_is_wrong_is_not(answers: Answers, status: int) -> None:
    answers.status(status, "no\n service")

    receipt = WebhookNotifier(URL).send(FIRING)

    assert receipt == Receipt(False, text=f"HTTP {status}: no service")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(answers: Answers, status: int) -> None:
    answers.status(status, Location=f"https://elsewhere/{TOKEN}")

    receipt = WebhookNotifier(URL).send(FIRING)

    assert not receipt.delivered
    assert not receipt.may_retry
    assert receipt.text == f"HTTP {status}: redirects are not followed; give the new URL"


def test_an_answer_that_repeats_the_url_is_redacted_and_cut(answers: Answers) -> None:
    answers.status(404, f"no {URL} here, {TOKEN}, nor {TOKEN}-query: {'x' * 5000}")

    text = WebhookNotifier(URL).send(FIRING).text

    assert TOKEN not in text
    assert len(text) < 300


def test_a_packed_answer_is_not_unpacked(answers: Answers) -> None:
    answers.status(500, "\x1f", Content_Encoding="gzip")

    assert WebhookNotifier(URL).send(FIRING).text == "HTTP 500"


@pytest.mark.parametrize(("temporary", "timeout"), [(True, 10.0), (False, 1e-6)])
def test_a_receiver_that_is_not_there_or_late_is_worth_another_try(
    answers: Answers, temporary: bool, timeout: float
) -> None:
    answers.answer = NoAnswerError("it was silent", temporary=temporary)

    receipt = WebhookNotifier(URL, timeout=timeout).send(FIRING)

    assert receipt == Receipt(False, may_retry=True, text="it was silent")


def test_a_request_that_cannot_be_made_is_not(answers: Answers) -> None:
    answers.answer = NoAnswerError("InvalidHeader", temporary=False)

    assert WebhookNotifier(URL).send(FIRING) == Receipt(False, text="InvalidHeader")


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_what_json_cannot_hold_is_given_up_unsent(answers: Answers, value: object) -> None:
    receipt = WebhookNotifier(URL).send(dataclasses.replace(FIRING, value=value))

    assert not receipt.may_retry
    assert receipt.text.startswith("it cannot be written as JSON: ")
    assert answers.asked == []


@pytest.mark.parametrize(
    ("notifier", "shown"),
    [
        (WebhookNotifier(URL), "<WebhookNotifier json https://hooks.example.com/***>"),
        (
            WebhookNotifier(f"http://user:{TOKEN}@localhost:8080/x", format="slack"),
            "<WebhookNotifier slack http://localhost/***>",
        ),
    ],
)
def test_a_repr_shows_no_more_than_the_host(notifier: WebhookNotifier, shown: str) -> None:
    assert repr(notifier) == shown


@pytest.mark.parametrize(
    "url",
    [
        None,
        b"https://x/",
        "",
        "hooks.example.com/T0KEN-xyz-123",
        "ws://x/T0KEN-xyz-123",
        "https:///T0KEN-xyz-123",
        "https://x:99999/T0KEN-xyz-123",
        "https://x:0/T0KEN-xyz-123",
        "https://x/ T0KEN-xyz-123",
        "https://x/T0KEN-xyz-123\n",
        "https://[T0KEN-xyz-123",
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"url .*allowed: an https:// or http://"
    ) as caught:
        WebhookNotifier(url)

    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"format": "xml"}, "format is 'xml'; allowed: 'json', 'slack', 'telegram'"),
        ({"chat_id": 5}, "allowed: chat_id= with format='telegram' only"),
        ({"timeout": 0}, "timeout is 0; allowed: "),
        ({"timeout": None}, "timeout is None; allowed: "),
        ({"headers": {"X": 5}}, "the value of header X"),
        ({"retry": 5}, "retry is 5; allowed: "),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        WebhookNotifier(URL, **arguments)

    assert why in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_the_policy_of_another_try_may_be_given() -> None:
    policy = ReconnectPolicy(max_attempts=3)

    assert WebhookNotifier(URL, retry=policy).retry is policy
    assert WebhookNotifier(URL).retry.max_attempts is None
