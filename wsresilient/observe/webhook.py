"""Alerts as HTTP POST: plain JSON, or as Slack and Telegram want them.

One call is one request, bounded in time and in what is read of the answer; trying again is the
alert manager's business. The URL holds the receiver's token, so it is shown nowhere: not in a
repr, nor in an error, nor in the log of the HTTP library.
"""

from __future__ import annotations

import base64
import datetime
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..config import check_choice, check_seconds
from ..core.alerting import Alert
from ..core.backoff import ReconnectPolicy
from ..core.handshake import check_headers, parse_retry_after
from ..core.redact import Redactor, shorten
from ..errors import ConfigurationError, describe
from ..runtime.clock import monotonic, wall_clock

if TYPE_CHECKING:
    from ..runtime.http_client import HttpAnswer

__all__ = ["Receipt", "WebhookNotifier"]

FORMATS = ("json", "slack", "telegram")

#: Telegram takes 4096 characters; nobody reads more in a message.
LONGEST_TEXT = 4000
#: Characters of the detail and of the suggestion in such a text.
LONGEST_SENTENCE = 1500
#: Bytes of an error's answer that are looked at.
MOST_READ = 2000

_HEADERS: dict[str, str | None] = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
}

#: Answers after which another try may help; the rest says that the request itself is wrong.
RETRY_STATUS = frozenset({408, 421, 425, 429})

_sending = threading.local()


def _not_ours(_record: logging.LogRecord) -> bool:
    """Let urllib3 log for others in this process, but not the paths of our receivers."""
    return not getattr(_sending, "now", False)


logging.getLogger("urllib3.connectionpool").addFilter(_not_ours)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one request.

    :ivar delivered: the receiver answered with a 2xx.
    :ivar may_retry: it did not, and another try may help.
    :ivar retry_after: seconds that the receiver asked for, or None.
    :ivar text: why it did not, without the URL; "" when it did.
    """

    delivered: bool
    may_retry: bool = False
    retry_after: float | None = None
    text: str = ""


class WebhookNotifier:
    """Sends alerts to a URL, for ``AlertManager(notifiers=[...])``.

    - "json": an object with the fields of :class:`~wsresilient.Alert`, ``time`` (ISO 8601, UTC)
      and ``id``, which is the same when the same notice is sent again;
    - "slack": ``{"text": ...}`` for an incoming webhook;
    - "telegram": ``{"chat_id": ..., "text": ...}`` for ``https://api.telegram.org/bot<token>/sendMessage``.

    Redirects are not followed. A receiver that cannot be reached, is slow, or answers 408, 425,
    429 or 5xx is tried again later; after any other answer the notice is given up.

    :param url: ``https://`` or ``http://``. It is never shown.
    :param format: "json", "slack" or "telegram".
    :param chat_id: for Telegram: a number, or "@channel"; None: the URL names it
        (``.../sendMessage?chat_id=...``).
    :param headers: additional ones, such as Authorization.
    :param timeout: seconds for all of it, from connecting to the end of the answer. A receiver
        that takes longer is asked again, and may have got the notice twice.
    :param retry: when to try again; None: after 1, 2, 4 and up to 60 s, for ever.
    :raises ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        format: str = "json",
        chat_id: int | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        retry: ReconnectPolicy | None = None,
    ) -> None:
        parts = _checked_url(url)
        check_choice("format", format, FORMATS)
        check_seconds("timeout", timeout, exclusive=True)
        if format != "telegram" and chat_id is not None:
            raise ConfigurationError(
                f"chat_id is {chat_id!r:.40} and format {format!r}; "
                "allowed: chat_id= with format='telegram' only"
            )
        if retry is not None and not isinstance(retry, ReconnectPolicy):
            raise ConfigurationError(f"retry is {retry!r:.60}; allowed: a ReconnectPolicy, or None")
        self._url = url
        self._format = format
        self._chat_id = chat_id
        self._headers = _HEADERS | _basic(parts) | check_headers(headers)
        self._timeout = float(timeout)
        self._shown = f"{parts.scheme}://{parts.hostname}/***"
        self._redact = Redactor(_secrets(url, parts)).with_headers(self._headers)
        #: When a notice is sent again.
        self.retry = retry or ReconnectPolicy()

    def __repr__(self) -> str:
        return f"<WebhookNotifier {self._format} {self._shown}>"

    def payload(self, alert: Alert) -> dict[str, Any]:
        """Make what is sent for an alert."""
        if self._format == "slack":
            return {"text": _escape_for_slack(_as_text(alert))}
        if self._format == "telegram":
            receiver = {} if self._chat_id is None else {"chat_id": self._chat_id}
            return {**receiver, "text": _as_text(alert)}
        return _as_json(alert)

    def send(self, alert: Alert) -> Receipt:
        """Send one alert, now and once; also for trying out a receiver by hand.

        :returns: whether it was taken. Nothing is raised for a receiver that fails.
        """
        # Takes a tenth of a second, which only those who use it should pay.
        from ..runtime.http_client import HttpClient, NoAnswerError

        try:
            body = json.dumps(self.payload(alert), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            return Receipt(False, text=f"it cannot be written as JSON: {describe(error)}")
        client = HttpClient(redact=self._redact)
        deadline = monotonic() + self._timeout
        _sending.now = True
        try:
            answer = client.request(
                "POST",
                self._url,
                headers=self._headers,
                body=body,
                deadline=deadline,
                silence=self._timeout,
                excerpt=MOST_READ,
            )
        except NoAnswerError as error:
            return Receipt(
                False, may_retry=error.temporary or monotonic() >= deadline, text=str(error)
            )
        finally:
            _sending.now = False
            client.close()
        return self._judge(answer)

    def _judge(self, answer: HttpAnswer) -> Receipt:
        status = answer.status
        if 200 <= status < 300:
            return Receipt(True)
        text = f"HTTP {status}"
        if 300 <= status < 400:
            return Receipt(False, text=f"{text}: redirects are not followed; give the new URL")
        is_packed = answer.headers.get("content-encoding", "identity") != "identity"
        excerpt = "" if is_packed else answer.body.decode("utf-8", "replace")
        if excerpt.strip():
            text += f": {shorten(self._redact(excerpt))}"
        retry_after = parse_retry_after(answer.headers.get("retry-after"), now=wall_clock())
        may_retry = status in RETRY_STATUS or status >= 500
        return Receipt(False, may_retry=may_retry, retry_after=retry_after, text=text)


def _checked_url(url: object) -> SplitResult:
    allowed = "allowed: an https:// or http:// URL with a host"
    if not isinstance(url, str):
        raise ConfigurationError(f"url is of type {type(url).__name__}; {allowed}")
    # Not shown, not even in part: it holds a token, and nobody knows where.
    refused = ConfigurationError(f"url (hidden, as it may hold a token) is none; {allowed}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise refused
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise refused
    return parts


def _basic(parts: SplitResult) -> dict[str, str | None]:
    """Make the header that the user info of a URL stands for, which HttpClient does not."""
    if parts.username is None and parts.password is None:
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode("ascii")}


def _secrets(url: str, parts: SplitResult) -> list[str]:
    """List what of a URL may be a secret: all but scheme, host and port."""
    found = [url, parts.path, *parts.path.split("/"), parts.query]
    found += [value for _, value in parse_qsl(parts.query)]
    found += [part for part in (parts.username, parts.password) if part]
    return [*found, *map(unquote, found)]


def _as_json(alert: Alert) -> dict[str, Any]:
    moment = datetime.datetime.fromtimestamp(alert.at, tz=datetime.timezone.utc)
    return {
        "id": f"{alert.issue}/{alert.connection}/{alert.since:.3f}/{alert.state}/{alert.reminder}",
        "issue": alert.issue,
        "connection": alert.connection,
        "state": alert.state,
        "title": alert.title,
        "detail": alert.detail,
        "suggestion": alert.suggestion,
        "at": alert.at,
        "time": moment.isoformat(timespec="milliseconds"),
        "since": alert.since,
        "value": alert.value,
        "threshold": alert.threshold,
        "reminder": alert.reminder,
    }


def _as_text(alert: Alert) -> str:
    """Write an alert for people: title, detail, what to do, and when it was."""
    lines = [alert.title, shorten(alert.detail, LONGEST_SENTENCE)]
    if alert.is_firing and alert.suggestion:
        lines.append(f"To do: {shorten(alert.suggestion, LONGEST_SENTENCE)}")
    moment = datetime.datetime.fromtimestamp(alert.at, tz=datetime.timezone.utc)
    lines.append(f"{moment:%Y-%m-%d %H:%M:%S} UTC")
    return "\n".join(line for line in lines if line)[:LONGEST_TEXT]


def _escape_for_slack(text: str) -> str:
    """Escape what Slack takes for links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
