"""What a webhook sends, what it makes of an answer, and that its URL is shown nowhere."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import requests

from wsresilient import ConfigurationError, ReconnectPolicy
from wsresilient.core.alerting import Alert
from wsresilient.observe.webhook import LONGEST_TEXT, Receipt, WebhookNotifier

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
    """Stands for ``requests.post``: records what is asked, and answers or raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: requests.Response | Exception = requests.Response()
        monkeypatch.setattr(requests, "post", self._post)

    def _post(self, url: str, **arguments: Any) -> requests.Response:
        self.asked.append({"url": url, **arguments})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def status(self, status: int, text: str = "", **headers: str) -> None:
        self.answer = requests.Response()
        self.answer.status_code = status
        self.answer._content = text.encode()
        self.answer._content_consumed = True  # type: ignore[attr-defined]
        self.answer.headers.update({name.replace("_", "-"): text for name, text in headers.items()})


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


@pytest.mark.parametrize("extra", [{"format": "slack"}, {"format": "telegram", "chat_id": "@me"}])
def test_a_long_detail_is_cut(extra: dict[str, Any]) -> None:
    alert = Alert("slow_handlers", "feed", "firing", "x" * 100_000)

    assert len(WebhookNotifier(URL, **extra).payload(alert)["text"]) == LONGEST_TEXT


def test_one_request_is_sent_with_bounds(answers: Answers) -> None:
    answers.status(204)
    notifier = WebhookNotifier(URL, timeout=3, headers={"Authorization": "Bearer 12345678"})

    assert notifier.send(FIRING) == Receipt(True)
    (asked,) = answers.asked
    assert asked["url"] == URL
    assert asked["json"] == notifier.payload(FIRING)
    assert asked["headers"] == {"Authorization": "Bearer 12345678"}
    assert (asked["timeout"], asked["allow_redirects"], asked["stream"]) == (3.0, False, True)


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


def nested(*errors: Exception) -> Exception:
    """Make the first the effect of the second, and so on."""
    for effect, cause in itertools.pairwise(errors):
        effect.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            nested(
                requests.ConnectionError(f"with url: {URL}"),
                ConnectionRefusedError(111, "Connection refused"),
            ),
            "ConnectionError (ConnectionRefusedError: [Errno 111] Connection refused)",
        ),
        (
            nested(requests.ReadTimeout(f"{URL}"), TimeoutError("timed out")),
            "ReadTimeout (TimeoutError: timed out)",
        ),
        (requests.ConnectTimeout("slow"), "ConnectTimeout: slow"),
        (OSError(5, "no such luck"), "OSError: [Errno 5] no such luck"),
    ],
)
def test_a_receiver_that_is_not_there_is_worth_another_try(
    answers: Answers, error: Exception, text: str
) -> None:
    answers.answer = error

    receipt = WebhookNotifier(URL).send(FIRING)

    assert receipt == Receipt(False, may_retry=True, text=text)


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.InvalidURL(f"bad {URL}"),
        requests.exceptions.InvalidJSONError(f"bad {URL}"),
    ],
)
def test_a_request_that_cannot_be_made_is_not(answers: Answers, error: Exception) -> None:
    answers.answer = error

    receipt = WebhookNotifier(URL).send(FIRING)

    assert not receipt.may_retry
    assert TOKEN not in receipt.text


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
        ({"format": "telegram"}, "allowed: chat_id= with format='telegram', and only there"),
        ({"chat_id": 5}, "allowed: chat_id= with format='telegram', and only there"),
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
