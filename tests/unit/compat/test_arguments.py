"""What websocket-client's arguments are translated to."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest

from wsresilient import ConfigurationError
from wsresilient.compat.arguments import (
    effective_ping_timeout,
    proxy_url,
    reconnect_policy,
    refuse,
    split_headers,
    ssl_context_of,
)


def test_what_the_engine_does_itself_is_refused_by_name() -> None:
    refuse(dispatcher=None, get_mask_key=None)
    with pytest.raises(ConfigurationError, match=r"^get_mask_key= is not supported"):
        refuse(dispatcher=None, get_mask_key=bytes)


def test_lines_become_headers() -> None:
    lines = ["X-One: 1", "Authorization:Bearer a:b", "X-Empty:"]
    assert split_headers(lines) == {"X-One": "1", "Authorization": "Bearer a:b", "X-Empty": ""}
    assert split_headers([]) == {}


def test_a_line_without_a_colon_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="no colon; allowed: 'Name: value'") as caught:
        split_headers(["Bearer s3cret"])
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ((None, None, None, None), None),
        (("", 3128, ("a", "b"), "http"), None),
        (("proxy", None, None, None), "http://proxy:80"),
        (("proxy", "3128", None, "socks5h"), "socks5h://proxy:3128"),
        (("proxy", 3128, ("me", "p@ss:/"), None), "http://me:p%40ss%3A%2F@proxy:3128"),
        (("proxy", 3128, ("me", ""), None), "http://me@proxy:3128"),
    ],
    ids=range(6),
)
def test_a_proxy_is_one_url(parts: tuple[Any, ...], url: str | None) -> None:
    assert proxy_url(*parts) == url


@pytest.mark.parametrize(
    ("interval", "timeout", "effective"),
    [(20.0, 7.0, 7.0), (20.0, None, 10.0), (0, None, 30.0), (0, 5.0, 5.0)],
)
def test_a_ping_timeout_that_is_left_out_fits_the_interval(
    interval: float, timeout: float | None, effective: float
) -> None:
    assert effective_ping_timeout(interval, timeout) == effective


@pytest.mark.parametrize("reconnect", [None, 0])
def test_without_reconnect_nothing_is_retried(reconnect: float | None) -> None:
    assert reconnect_policy(reconnect).max_attempts == 0


@pytest.mark.parametrize(("reconnect", "longest"), [(5, 60.0), (300.0, 300.0)])
def test_reconnect_is_the_first_pause(reconnect: float, longest: float) -> None:
    policy = reconnect_policy(reconnect)
    assert (policy.initial_delay, policy.max_delay) == (reconnect, longest)
    assert policy.max_attempts is None


@pytest.mark.parametrize("options", [None, {}])
def test_without_options_the_usual_context_is_taken(options: dict[str, Any] | None) -> None:
    assert ssl_context_of(options) is None


def test_a_context_is_taken_as_it_is() -> None:
    context = ssl.create_default_context()
    assert ssl_context_of({"context": context}) is context


def test_options_verify_unless_they_say_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    context = ssl_context_of({"ciphers": "ECDHE+AESGCM"})
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert caplog.records == []


def test_verification_is_switched_off_aloud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "wsresilient.compat"):
        context = ssl_context_of({"cert_reqs": ssl.CERT_NONE})
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert "anybody may listen" in caplog.text


def test_an_unknown_option_names_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="cert_reqs"):
        ssl_context_of({"cert_req": ssl.CERT_NONE})
