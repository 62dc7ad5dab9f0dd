"""Who may look."""

from __future__ import annotations

import pytest

from wsresilient.observe.dashboard.access import Access, host_of, is_address
from wsresilient.observe.dashboard.request import RefusedRequestError, Request

TOKEN = "correct-horse"


def request(path: str = "/summary", token: str | None = None, **headers: str) -> Request:
    query = {} if token is None else {"token": token}
    return Request("GET", path, query, {"host": "localhost:8765", **headers})


def refused(access: Access, asked: Request) -> RefusedRequestError:
    with pytest.raises(RefusedRequestError) as caught:
        access.admit(asked)
    return caught.value


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:8765", "localhost"),
        ("localhost.:8765", "localhost"),
        ("127.0.0.1:8765", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8765", "::1"),
        ("::1", ""),
        ("[::1", ""),
        ("[::1]8765", ""),
        ("localhost:evil.example", ""),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_of(header) == name


def test_an_address_is_no_name() -> None:
    assert is_address("192.0.2.1")
    assert is_address("2001:db8::1")
    assert not is_address("localhost")
    assert not is_address("")


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765", "dash.example:443"])
def test_known_names_are_let_in(host: str) -> None:
    assert Access(frozenset({"dash.example"})).admit(request(host=host)) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example:8765", "localhost.evil.example", "192.0.2.1", "127.0.0.1.evil.example", ""],
)
def test_other_names_are_refused_whatever_the_token(host: str) -> None:
    assert refused(Access(), request(host=host)).status == 403
    asked = request(host=host, authorization=f"Bearer {TOKEN}")
    assert refused(Access(token=TOKEN), asked).status == 403


def test_bound_to_all_addresses_any_address_will_do_but_no_name() -> None:
    access = Access(any_address=True)

    assert access.admit(request(host="192.0.2.1:8765")) is None
    assert access.admit(request(host="[2001:db8::1]:8765")) is None
    assert refused(access, request(host="evil.example")).status == 403


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(token=""),
        request(token="wrong"),
        request("/", token=TOKEN + "x"),
        request(authorization=f"Bearer {TOKEN[:-1]}"),
        request(authorization=f"Basic {TOKEN}"),
        request(authorization=TOKEN),
        request(authorization="Bearer \xfc"),
        request(cookie=f"wsresilient={TOKEN}"),
        request(cookie="wsresilient"),
        request(cookie="other=1; ;=;"),
    ],
    ids=lambda asked: repr((asked.query, asked.headers)),
)
def test_without_the_token_nobody_is_let_in(asked: Request) -> None:
    error = refused(Access(token=TOKEN), asked)

    assert error.status == 401
    assert error.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in error.text


@pytest.mark.parametrize(
    "asked",
    [
        request(token=TOKEN),
        request(authorization=f"Bearer {TOKEN}"),
        request(authorization=f"bearer  {TOKEN} "),
        request("/", authorization=f"Bearer {TOKEN}"),
    ],
    ids=lambda asked: repr((asked.query, asked.headers)),
)
def test_with_the_token_one_is(asked: Request) -> None:
    assert Access(token=TOKEN).admit(asked) is None


def test_a_typed_token_becomes_a_cookie_that_does_not_contain_it() -> None:
    access = Access(token=TOKEN, cookie="wsresilient_8765")

    answer = access.admit(request("/", token=TOKEN))

    assert answer is not None
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    cookie = answer.headers["Set-Cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    pair = cookie.partition(";")[0]
    assert access.admit(request("/", cookie=f'other="{{;}}"; {pair}; x=y')) is None
    another = Access(token="another", cookie="wsresilient_8765")
    assert refused(another, request(cookie=pair)).status == 401
    again = access.admit(request("/", token="mistyped", cookie=pair))
    assert again is not None
    assert again.status == 303


def test_no_repr_shows_the_token() -> None:
    assert TOKEN not in repr(Access(token=TOKEN))
