"""Bad input is a ConfigurationError at once that says which, what it was and what may be."""

from __future__ import annotations

import threading

import pytest

import wsresilient
from wsresilient import ConfigurationError, ConnectionConfig, ReconnectPolicy, ResilientWebSocket

from .servers import free_port

URL = f"ws://127.0.0.1:{free_port()}/x"

# argument, value, what the text must say
BAD = [
    ("url", "http://example.com", "http://example.com"),
    ("url", "example.com", "ws://"),
    ("url", "ws://", "host"),
    ("url", "ws://example.com:99999", "99999"),
    ("url", "ws://exa mple.com", "space"),
    ("url", "", "ws://"),
    ("url", 7, "int"),
    ("url", None, "there is no url"),
    ("url", [], "empty"),
    ("url", [URL, "http://x"], "http://x"),
    ("name", "", "name"),
    ("headers", "X: y", "headers"),
    ("headers", {"X": "a\r\nb"}, "X"),
    ("headers", {"Upgrade": "h2c"}, "Upgrade"),
    ("subprotocols", "one", "subprotocols"),
    ("ssl_context", "no", "SSLContext"),
    ("reconnect", 5, "ReconnectPolicy"),
    ("config", {}, "ConnectionConfig"),
    ("decoder", 5, "decoder"),
    ("classify", 5, "classify"),
    ("ping_interval", -1, ">= 0"),
    ("ping_timeout", 0, "> 0"),
    ("ping_timeout", 60.0, "ping_interval"),
    ("open_timeout", 0, "> 0"),
    ("open_timeout", float("nan"), "nan"),
    ("close_timeout", "3", "'3'"),
    ("send_timeout", True, "True"),
    ("max_size", -1, "-1"),
    ("max_size", 1.5, "1.5"),
    ("queue_size", 0, ">= 1"),
    ("queue_bytes", -5, "-5"),
    ("send_queue_size", -1, "-1"),
    ("overflow", "drop", "drop_oldest"),
    ("dispatch", "process", "inline"),
    ("compression", "gzip", "deflate"),
    ("rotation", "now", "make_before_break"),
    ("send_rate", 0, "> 0"),
    ("stale_after", 0, "> 0"),
    ("ping_intervall", 5, "ping_interval"),
    ("dispatcher", 5, "Dispatcher"),
    ("monitor", 5, "Monitor"),
    *((f"on_{event}", "no function", f"on_{event}") for event in ("message", "open", "close")),
    *((f"on_{event}", 5, f"on_{event}") for event in ("error", "state_change", "stats", "gap")),
]


@pytest.mark.parametrize(("argument", "value", "said"), BAD, ids=lambda value: str(value)[:30])
def test_bad_argument_is_named_with_its_value_and_what_is_allowed(
    argument: str, value: object, said: str
) -> None:
    before = threading.active_count()
    arguments = {"url": URL, argument: value}
    with pytest.raises(ConfigurationError) as caught:
        ResilientWebSocket(**arguments)  # type: ignore[arg-type]
    text = str(caught.value)
    assert argument.removesuffix("s") in text  # "header X", not "headers"
    assert said in text
    assert isinstance(caught.value, ValueError)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("initial_delay", -1),
        ("backoff_factor", 0.5),
        ("jitter", 1.5),
        ("max_attempts", -2),
        ("max_attempts", 2.5),
        ("cooldown", -1),
        ("max_delay", 0.5),
        ("wait", 5),
    ],
)
def test_bad_policy_is_refused(setting: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        ReconnectPolicy(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2-pw@example.com/?token=hunter2-pw",
        "ws://user:hunter2-pw@example.com:no/?token=hunter2-pw",
        "ws://user:hunter2-pw/x@example.com/",
        "ws://user:hunter2-pw?x@example.com/",
        "ws://user:hunter2-pw#x@example.com/",
        "user:hunter2-pw@example.com",
        ["ws://example.com", "http://user:hunter2-pw@example.com"],
        b"ws://user:hunter2-pw@example.com",
    ],
    ids=str,
)
def test_secret_of_a_bad_url_is_not_in_the_error(url: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ResilientWebSocket(url)  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_header_value_is_not_in_the_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ResilientWebSocket(URL, headers={"Authorization": "Bearer hunter2\n"})
    assert "hunter2" not in str(caught.value)


def test_missing_url_is_said() -> None:
    with pytest.raises(ConfigurationError, match="url"):
        ResilientWebSocket()


def test_data_handler_needs_a_decoder() -> None:
    with pytest.raises(ConfigurationError, match="decoder"):
        ResilientWebSocket(URL, on_data=print)


def test_configuration_and_keywords_go_together() -> None:
    config = ConnectionConfig(ping_interval=5.0, ping_timeout=2.0)
    ws = ResilientWebSocket(URL, config=config, ping_timeout=1.0)
    assert (ws.config.ping_interval, ws.config.ping_timeout) == (5.0, 1.0)
    assert config.ping_timeout == 2.0


def test_connect_checks_before_it_starts_anything() -> None:
    with pytest.raises(ConfigurationError, match="ping_timeout"):
        wsresilient.connect(URL, ping_interval=1, ping_timeout=1)


@pytest.mark.parametrize("data", [5, None, object(), "\ud800", {"x": object()}])
def test_what_cannot_be_sent_is_refused(data: object) -> None:
    with pytest.raises(ConfigurationError):
        ResilientWebSocket(URL).send(data)
