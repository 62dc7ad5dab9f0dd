"""No secret survives, however it is written; and what is no secret stays readable."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from wsresilient.core.redact import Redactor, redact_text, shorten

# No "*", of which the replacement consists.
CHARACTERS = st.characters(exclude_characters="*", exclude_categories=["Cs"])
SECRETS = st.text(CHARACTERS, min_size=4, max_size=40) | st.text(
    "aB3-_.~+/=%&?#@:;,'\"\\<>{}[] $é", min_size=4, max_size=12
)
HEADER_VALUES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"),
    min_size=4,
    max_size=40,
)

ENCODERS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": quote,
    "in a query": lambda text: quote(text, safe=""),
    "in a form": quote_plus,
    "in a query, lower case": lambda text: "".join(
        char if char.isascii() and char.isalnum() else quote(char, safe="").lower() for char in text
    ),
    "in a query in a query": lambda text: quote(quote(text, safe=""), safe=""),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON with its own letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "in HTML": html.escape,
    "in a repr": lambda text: repr(text)[1:-1],
}
DECODERS: tuple[Callable[[str], str], ...] = (
    str,
    unquote,
    unquote_plus,
    lambda text: unquote(unquote(text)),
    html.unescape,
)
AROUND = st.sampled_from(
    [("", ""), ("token=", "&x=1"), ("GET /ws?a=", " HTTP/1.1"), ('{"key":"', '"}'), ("bad ", "!")]
)


def assert_hidden(secret: str, shown: str) -> None:
    for decode in DECODERS:
        assert secret not in decode(shown)


@pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)
@given(secret=SECRETS, around=AROUND)
@example(secret="a b/c+d", around=("", ""))
@example(secret="\"\\'<&>é€😀", around=("", ""))
@example(secret="%2F%2f", around=("", ""))
def test_a_secret_is_hidden_however_it_is_written(
    encode: Callable[[str], str], secret: str, around: tuple[str, str]
) -> None:
    assume(len(secret.strip()) >= 4)
    shown = Redactor([secret])(around[0] + encode(secret) + around[1])

    assert encode(secret) not in shown
    assert_hidden(secret, shown)


@given(st.lists(SECRETS, min_size=1, max_size=5))
def test_all_of_several_secrets_are_hidden_also_one_inside_another(secrets: list[str]) -> None:
    redact = Redactor([*secrets, secrets[0] + "xyz", "xyz" + secrets[0]])

    shown = redact(" and ".join([*secrets, secrets[0] + "xyz", "xyz" + secrets[0]]))

    for secret in secrets:
        assert secret not in shown


def test_the_longest_secret_is_hidden_first_so_that_nothing_of_it_is_left() -> None:
    assert Redactor(["secret", "secret-of-all"])("<secret-of-all>") == "<***>"


def test_strings_too_short_for_a_secret_leave_a_text_readable() -> None:
    assert Redactor(["", "a", "is", "the"])("this is the text") == "this is the text"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = "HTTP 503 Service Unavailable: try again (Retry-After: 3 s); see /docs/limits#ws"

    assert Redactor(["swordfish"])(text) == text
    assert redact_text(text) == text


def test_a_redactor_s_repr_shows_nothing() -> None:
    redact = Redactor(["swordfish", "open sesame"])

    assert repr(redact) == "<Redactor of 2 strings>"


# Texts that were cut.

KEYS = st.text("aB3-_~+/=", min_size=10, max_size=100)


@given(KEYS, st.sampled_from(["as it is", "in a query", "in JSON", "in HTML"]), st.data())
@example("APIKEY-0123456789abc", "as it is", None)
def test_the_beginning_of_a_secret_that_a_cut_has_left_is_hidden(
    secret: str, encoding: str, data: st.DataObject | None
) -> None:
    encoded = ENCODERS[encoding](secret)
    length = len(encoded) - 1 if data is None else data.draw(st.integers(0, len(encoded) - 1))
    ending = "" if data is None else data.draw(st.sampled_from(["", "'", '"}', "..."]))
    assume(len(unquote(html.unescape(encoded[:length]))) >= 8)
    shown = Redactor([secret])("refused: code " + encoded[:length] + ending)

    assert shown.startswith("refused: code ")
    assert secret[:8] not in shown


def test_a_secret_is_hidden_whole_and_cut_off_in_one_text() -> None:
    key = "APIKEY-0123456789abc"
    text = ("x" * 20 + key * 60 + "Z" * 3000)[:1210]

    assert Redactor([key])(text) == "x" * 20 + "***" * 60
    assert Redactor(["other-secret", key])(text[:-2]) == "x" * 20 + "***" * 60


def test_a_word_that_begins_as_a_secret_does_stays_where_the_text_goes_on() -> None:
    redact = Redactor(["accounts-passphrase", "services"])

    assert redact("the accounts-page is closed") == "the accounts-page is closed"
    assert redact("the accounts of 1 user") == "the accounts of 1 user"
    assert redact("no account, no service") == "no account, no service"
    assert redact("no accounts-pass") == "no ***"


def test_a_beginning_inside_another_is_found() -> None:
    assert Redactor(["abababababX-and-much-more"])("ababababababX-and-much-mo") == "ab***"


# Headers.

SENSITIVE = (
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "X-MBX-APIKEY",
    "X-Api-Key",
    "OK-ACCESS-SIGN",
    "OK-ACCESS-PASSPHRASE",
    "X-Auth-Token",
    "X-Session",
    "client_secret",
    "X-Signature",
    "password",
)


@pytest.mark.parametrize("name", SENSITIVE)
@given(value=HEADER_VALUES)
def test_the_value_of_a_header_that_looks_sensitive_is_hidden(name: str, value: str) -> None:
    redact = Redactor().with_headers({name: value})

    assert_hidden(value, redact(f"you sent {value}, which is wrong"))
    assert_hidden(value, redact(json.dumps({"sent": value})))
    assert redact.headers({name: value}) == {name: "***"}


@given(HEADER_VALUES)
def test_a_token_is_hidden_without_its_scheme_too(token: str) -> None:
    assume(not set(token) & set("=,;\"'"))
    for scheme in ("Bearer", "Token", "basic"):
        redact = Redactor().with_headers({"Authorization": f"{scheme} {token}"})
        assert token not in redact(f"the token {token} is expired")


@given(HEADER_VALUES)
def test_a_cookie_is_hidden_by_its_value_and_its_name_stays(value: str) -> None:
    assume(not set(value) & set("=,;\"'"))
    redact = Redactor().with_headers({"Cookie": f"theme=dark-one; session={value}"})

    shown = redact(f"session {value} is over")

    assert value not in shown
    assert shown.startswith("session *") or "session" in value


@given(SECRETS, SECRETS)
def test_user_and_password_of_a_basic_header_are_hidden_decoded_too(
    user: str, password: str
) -> None:
    assume(":" not in user)
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    redact = Redactor().with_headers({"Authorization": f"Basic {pair}"})

    for text in (pair, pair.rstrip("="), user, password, f"{user}:{password}"):
        assert text not in redact(f"no access with {text} here")


def test_words_of_an_authorization_header_stay_readable() -> None:
    redact = Redactor().with_headers({"Authorization": "Bearer swordfish"})

    assert redact("a Bearer was expected") == "a Bearer was expected"
    challenge = {"WWW-Authenticate": 'Digest realm="private"'}
    assert redact.headers(challenge) == challenge


def test_headers_that_hold_no_secret_are_shown() -> None:
    headers = {"User-Agent": "wsresilient/1", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="}
    redact = Redactor().with_headers(headers)

    assert redact.headers(headers) == headers
    assert redact("wsresilient/1 here") == "wsresilient/1 here"


def test_a_response_s_headers_are_shown_without_secrets() -> None:
    redact = Redactor(["swordfish"])
    shown = redact.headers(
        {
            "set-cookie": "id=1",
            "location": "https://me:pw@example.com/?token=abc",
            "x-echo": "swordfish",
            "server": "nginx",
        }
    )

    assert shown == {
        "set-cookie": "***",
        "location": "https://***@example.com/?token=***",
        "x-echo": "***",
        "server": "nginx",
    }


def test_with_headers_leaves_the_redactor_that_it_was_asked_of() -> None:
    redact = Redactor(["swordfish"])
    more = redact.with_headers({"Cookie": "open-sesame"})

    assert redact("open-sesame") == "open-sesame"
    assert more("open-sesame swordfish") == "*** ***"


# What looks like a secret, though nobody knows it.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see wss://me:pw@example.com/ws", "see wss://***@example.com/ws"),
        ("see //me@example.com", "see //***@example.com"),
        ("/ws?token=abc&x=1 failed", "/ws?token=***&x=*** failed"),
        ("/ws?listenKey=", "/ws?listenKey="),
        ("a <a href='/x?k=v'>link</a>", "a <a href='/x?k=***'>link</a>"),
        ("/x?a=1&amp;token=abc", "/x?a=***&amp;token=***"),
        ("Authorization: Bearer abcdefgh", "Authorization: ***"),
        ("proxy-authorization: x y\r\nHost: h", "proxy-authorization: ***\r\nHost: h"),
        ('{"Cookie": "a=b"}', '{"Cookie": ***'),
        ("Set-Cookie: id=5; Path=/\nServer: x", "Set-Cookie: ***\nServer: x"),
        ("got Basic bWU6c2VjcmV0 instead", "got Basic *** instead"),
        ("bearer eyJhbGciOi.J9.abc_-", "bearer ***"),
        ("a bearer of news", "a bearer of news"),
        ("1 + 1 = 2, is it?", "1 + 1 = 2, is it?"),
        ("a@b.example", "a@b.example"),
        ("wss://stream.example.com:9443/ws/btcusdt@trade", None),
        ("", ""),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_not(
    text: str, shown: str | None
) -> None:
    assert redact_text(text) == (text if shown is None else shown)
    assert Redactor()(text) == (text if shown is None else shown)


@given(st.text(max_size=200))
def test_redaction_never_fails_and_is_settled_after_once(text: str) -> None:
    once = redact_text(text)

    assert redact_text(once) == once


# Shortening.


@given(st.text(max_size=300), st.integers(3, 250))
def test_a_shortened_text_fits_on_one_printable_line(text: str, limit: int) -> None:
    short = shorten(text, limit)

    assert len(short) <= limit
    assert all(char.isprintable() for char in short)


def test_a_shortened_text_shows_that_it_was_cut() -> None:
    assert shorten("x" * 30, 10) == "xxxxxxx..."
    assert shorten("x" * 10, 10) == "x" * 10


def test_white_space_and_control_characters_become_visible_or_one_space() -> None:
    assert (
        shorten(" a\r\n\t b \x00\x1b[31m ")
        == "a b \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m"
    )


def test_the_name_of_a_query_value_ends_where_another_query_begins() -> None:
    assert redact_text("?a?token=secret") == "?a?token=***"


def test_a_joined_one_hides_what_both_hide_now_and_later() -> None:
    first, second = Redactor(["hunter2"]), Redactor(["swordfish"])
    joined = first.joined(second)
    assert joined("hunter2 and swordfish") == "*** and ***"

    second.add(["later"])

    assert joined("hunter2, swordfish, later") == "***, ***, ***"
    assert first("swordfish") == "swordfish"
