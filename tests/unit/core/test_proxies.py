"""Which proxy a connection goes through: what was given, what the environment says."""

from __future__ import annotations

import pytest

from wsresilient.core.proxies import DIRECT, choose_proxy, is_exempt, parse_proxy
from wsresilient.core.urls import parse_url
from wsresilient.errors import ConfigurationError

PLAIN, SECURE = parse_url("ws://example.com"), parse_url("wss://example.com")

# no_proxy, url, whether it is exempt
RULES = [
    ("", "ws://example.com", False),
    (" , ,", "ws://example.com", False),
    ("*", "ws://example.com", True),
    ("other.com,*", "ws://example.com", True),
    ("example.com", "ws://example.com", True),
    ("EXAMPLE.com", "ws://example.COM", True),
    ("example.com.", "ws://example.com", True),
    ("example.com", "ws://example.com.", True),
    ("example.com", "ws://api.example.com", True),
    (".example.com", "ws://api.example.com", True),
    (".example.com", "ws://example.com", True),
    ("example.com", "ws://notexample.com", False),
    ("ample.com", "ws://example.com", False),
    ("api.example.com", "ws://example.com", False),
    ("a.test, b.test ,c.test", "ws://b.test", True),
    ("example.com:8080", "ws://example.com:8080", True),
    ("example.com:8080", "ws://example.com", False),
    ("example.com:443", "wss://example.com", True),
    ("example.com:80", "wss://example.com", False),
    (".example.com:8080", "ws://api.example.com:8080", True),
    ("127.0.0.1", "ws://127.0.0.1:9", True),
    ("127.0.0.1:9", "ws://127.0.0.1:9", True),
    ("127.0.0.1:8", "ws://127.0.0.1:9", False),
    ("10.0.0.0/8", "ws://10.1.2.3", True),
    ("10.0.0.0/8", "ws://11.1.2.3", False),
    ("10.1.2.3/8", "ws://10.4.5.6", True),
    ("10.0.0.0/8", "ws://ten.example.com", False),
    ("::1", "ws://[::1]:9", True),
    ("[::1]", "ws://[::1]:9", True),
    ("[::1]:9", "ws://[::1]:9", True),
    ("[::1]:8", "ws://[::1]:9", False),
    ("fe80::/10", "ws://[fe80::1]", True),
    ("fe80::/10", "ws://[::1]", False),
    ("localhost", "ws://127.0.0.1", False),
]


@pytest.mark.parametrize(("no_proxy", "url", "exempt"), RULES)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    no_proxy: str, url: str, exempt: bool
) -> None:
    assert is_exempt(parse_url(url), no_proxy) is exempt


# Parsing.


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port"),
    [
        ("http://host", "http", "host", 80),
        ("http://host:3128/", "http", "host", 3128),
        ("host:3128", "http", "host", 3128),
        ("socks4://host", "socks4", "host", 1080),
        ("socks4a://host", "socks4a", "host", 1080),
        ("socks5://host", "socks5", "host", 1080),
        ("SOCKS5H://HOST:9050", "socks5h", "host", 9050),
        ("http://[::1]:3128", "http", "::1", 3128),
    ],
)
def test_proxy_is_taken_apart(text: str, scheme: str, host: str, port: int) -> None:
    proxy = parse_proxy(text)
    assert (proxy.scheme, proxy.host, proxy.port) == (scheme, host, port)
    assert (proxy.username, proxy.password, proxy.secrets) == (None, None, ())


def test_credentials_are_decoded_and_not_shown() -> None:
    proxy = parse_proxy("socks5h://us%40er:hunter2%3Apw@host:1")
    assert (proxy.username, proxy.password) == ("us@er", "hunter2:pw")
    assert proxy.secrets == ("us@er", "hunter2:pw")
    assert proxy.shown == "socks5h://***@host:1"
    assert "hunter2" not in repr(proxy)
    assert "us@er" not in repr(proxy)


def test_user_without_a_password() -> None:
    proxy = parse_proxy("http://user@host")
    assert (proxy.username, proxy.password) == ("user", None)


@pytest.mark.parametrize(
    ("scheme", "resolves"),
    [("http", True), ("socks4", False), ("socks4a", True), ("socks5", False), ("socks5h", True)],
)
def test_name_is_looked_up_where_curl_has_it(scheme: str, resolves: bool) -> None:
    assert parse_proxy(f"{scheme}://host").resolves_names is resolves


@pytest.mark.parametrize(
    "bad",
    [
        "ftp://host",
        "https://host",
        "http://",
        "",
        "http://host:no",
        "http://host:99999",
        5,
        None,
        b"http://host",
        ["http://host"],
    ],
    ids=str,
)
def test_what_is_no_proxy_is_refused(bad: object) -> None:
    with pytest.raises(ConfigurationError, match="proxy"):
        parse_proxy(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "ftp://me:hunter2-pw@host",
        "http://me:hunter2-pw@host:no",
        "http://me:hunter2-pw@",
        "http://me:hunter2-pw@host:99999",
        "me:hunter2-pw@host:no",
        "http://me:hunter2-pw/x@host",
        "http://me:hunter2-pw?x@host",
        "http://me:hunter2-pw#x@host",
    ],
)
def test_credentials_are_not_in_the_error(bad: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_proxy(bad)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


# Choosing.


def chosen(url: str, given: str | None = None, **environment: str) -> str | None:
    proxy = choose_proxy(parse_url(url), given, environment)
    return None if proxy is None else proxy.shown


def test_none_without_one() -> None:
    assert chosen("ws://x.test") is None


def test_given_one_wins_over_the_environment_and_its_exemptions() -> None:
    environment = {"http_proxy": "http://env", "no_proxy": "*"}
    assert chosen("ws://x.test", "http://mine", **environment) == "http://mine"


def test_direct_is_none() -> None:
    assert chosen("ws://x.test", DIRECT, http_proxy="http://env") is None


def test_ws_has_http_proxy_and_wss_has_https_proxy() -> None:
    environment = {"http_proxy": "http://plain", "https_proxy": "http://secure"}
    assert chosen("ws://x.test", **environment) == "http://plain"
    assert chosen("wss://x.test", **environment) == "http://secure"


def test_all_proxy_is_for_what_has_none_of_its_own() -> None:
    environment = {"http_proxy": "http://plain", "all_proxy": "socks5://all"}
    assert chosen("ws://x.test", **environment) == "http://plain"
    assert chosen("wss://x.test", **environment) == "socks5://all"


def test_lower_case_names_win_and_empty_ones_are_none() -> None:
    both = {"http_proxy": "http://lower", "HTTP_PROXY": "http://upper"}
    assert chosen("ws://x.test", **both) == "http://lower"
    assert chosen("ws://x.test", HTTP_PROXY="http://upper") == "http://upper"
    assert chosen("ws://x.test", http_proxy="") is None


def test_no_proxy_exempts_in_both_spellings() -> None:
    assert chosen("ws://x.test", http_proxy="http://p", no_proxy="x.test") is None
    assert chosen("ws://x.test", http_proxy="http://p", NO_PROXY="x.test") is None


def test_bad_one_of_the_environment_is_refused_only_when_it_is_chosen() -> None:
    with pytest.raises(ConfigurationError):
        choose_proxy(PLAIN, None, {"http_proxy": "gopher://x"})
    assert choose_proxy(SECURE, None, {"http_proxy": "gopher://x"}) is None
