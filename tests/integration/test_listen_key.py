"""The keeper of a listen key against a server: obtained, kept alive, expired, refused, stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.support import BOUND, Running, eventually
from wsresilient import (
    AuthenticationError,
    ConfigurationError,
    NotConnectedError,
    ReconnectPolicy,
    VenueError,
)
from wsresilient.runtime import listen_key
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.host_pauses import HostPauses
from wsresilient.runtime.listen_key import ListenKeyKeeper
from wsresilient.venues import Binance, Credentials, ListenKey

from .clients import chain, library_threads
from .http_servers import HttpServer, http_server, reply

API_KEY, SECRET, KEY = "api-key-abcdef", "secret-abcdef", "pqia91ma19a5s61cv6a81va65sdf19v8"
PATH = "/fapi/v1/listenKey"
GIVEN = reply({"listenKey": KEY})
GONE = reply({"code": -1125, "msg": "This listenKey does not exist."}, 400)
OWNER = Credentials(API_KEY, SECRET)


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, and know of no pause of another test's server on the same port."""
    pauses = HostPauses()
    monkeypatch.setattr(listen_key, "default_host_pauses", lambda: pauses)
    quick = ReconnectPolicy(initial_delay=0.01, max_delay=0.02, jitter=0.0)
    monkeypatch.setattr(listen_key, "RETRIES", quick)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as made:
        made.usual = GIVEN
        yield made


class Kept:
    """Keepers that a test makes; all are stopped at its end."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self.expired: list[float] = []
        self._made: list[ListenKeyKeeper] = []

    def keeper(
        self,
        *,
        interval: float = 3600.0,
        credentials: Any = OWNER,
        on_expired: Callable[[], object] | None = None,
    ) -> ListenKeyKeeper:
        made = ListenKeyKeeper(
            ListenKey(path=PATH, header="X-MBX-APIKEY", interval=interval),
            base_url=self._server.url,
            credentials=credentials,
            name="account",
            on_expired=on_expired or (lambda: self.expired.append(monotonic())),
            timeout=BOUND,
        )
        self._made.append(made)
        return made

    def stop(self) -> None:
        for keeper in self._made:
            assert keeper.stop(timeout=BOUND)


@pytest.fixture
def kept(server: HttpServer) -> Iterator[Kept]:
    made = Kept(server)
    yield made
    server.over.set()
    made.stop()


def obtain(keeper: ListenKeyKeeper) -> str:
    return keeper.obtain(deadline=monotonic() + BOUND)


def methods(server: HttpServer) -> list[str]:
    return [asked.method for asked in server.asked]


def test_a_key_is_obtained_with_the_api_key_and_without_a_signature(
    server: HttpServer, kept: Kept
) -> None:
    assert obtain(kept.keeper()) == KEY

    asked = server.asked[0]
    assert (asked.method, asked.path, asked.query) == ("POST", PATH, {})
    assert asked.headers["x-mbx-apikey"] == API_KEY


def test_it_is_kept_alive_on_a_thread_of_its_own(server: HttpServer, kept: Kept) -> None:
    keeper = kept.keeper(interval=0.02)
    obtain(keeper)
    assert library_threads() == ["wsr-rest-account"]

    assert eventually(lambda: methods(server).count("PUT") >= 3)

    assert methods(server)[0] == "POST"
    assert {asked.headers["x-mbx-apikey"] for asked in server.asked} == {API_KEY}
    assert keeper.stop(timeout=BOUND)
    assert library_threads() == []
    assert kept.expired == []


def test_a_reconnect_asks_again_and_there_is_one_thread(server: HttpServer, kept: Kept) -> None:
    keeper = kept.keeper()
    for _ in range(3):
        obtain(keeper)

    assert methods(server) == ["POST"] * 3
    assert library_threads() == ["wsr-rest-account"]


def test_credentials_of_a_function_are_asked_for_at_each_key(
    server: HttpServer, kept: Kept
) -> None:
    made = [Credentials(f"{API_KEY}{n}", SECRET) for n in range(2)]
    waiting = list(made)
    keeper = kept.keeper(credentials=lambda: waiting.pop(0), interval=0.02)

    obtain(keeper)
    obtain(keeper)

    def is_the_latest_kept_alive() -> bool:
        last = server.asked[-1]
        return (last.method, last.headers["x-mbx-apikey"]) == ("PUT", f"{API_KEY}1")

    assert eventually(is_the_latest_kept_alive)


def test_a_key_that_is_gone_is_told_once_and_the_thread_ends(
    server: HttpServer, kept: Kept
) -> None:
    server.next.extend([GIVEN, GIVEN, GONE])
    keeper = kept.keeper(interval=0.01)
    obtain(keeper)

    assert eventually(lambda: kept.expired)
    assert eventually(lambda: not library_threads())
    assert methods(server) == ["POST", "PUT", "PUT"]

    # and another key is kept as the first one was
    obtain(keeper)
    assert eventually(lambda: methods(server).count("PUT") >= 4)
    assert len(kept.expired) == 1


def test_a_passing_failure_is_tried_again_before_the_key_ends(
    server: HttpServer, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    server.next.extend([GIVEN, reply(b"maintenance", 503), reply(b"maintenance", 503)])
    with caplog.at_level(logging.WARNING, logger="wsresilient.rest"):
        keeper = kept.keeper(interval=0.05)
        obtain(keeper)
        assert eventually(lambda: methods(server).count("PUT") >= 4)

    assert kept.expired == []
    assert "account: the listen key was not kept alive" in caplog.text
    assert "HTTP 503: maintenance" in caplog.text
    assert KEY not in caplog.text
    assert API_KEY not in caplog.text


def test_what_is_to_be_done_without_a_key_may_fail(
    server: HttpServer, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("no idea")

    server.next.extend([GIVEN, GONE])
    obtain(kept.keeper(interval=0.01, on_expired=fail))

    assert eventually(lambda: "no idea" in caplog.text)
    assert eventually(lambda: not library_threads())


@pytest.mark.parametrize(
    ("status", "code"), [(401, -2015), (400, -2014), (400, -1022), (401, -1002), (401, None)]
)
def test_refused_credentials_are_an_error_of_their_own(
    status: int, code: int | None, server: HttpServer, kept: Kept
) -> None:
    body = {"code": code, "msg": f"Invalid API-key {API_KEY}, IP, or permissions for action."}
    server.usual = reply(body if code else b"who are you?", status)

    with pytest.raises(AuthenticationError) as caught:
        obtain(kept.keeper())

    assert caught.value.status == status
    assert "listen key of account: POST /fapi/v1/listenKey: the credentials were refused" in str(
        caught.value
    )
    assert API_KEY not in str(caught.value)
    assert list(chain(caught.value)) == [caught.value]
    assert library_threads() == []


def test_credentials_that_are_refused_later_end_the_key(server: HttpServer, kept: Kept) -> None:
    server.next.extend([GIVEN, reply({"code": -2015, "msg": "no"}, 401)])
    obtain(kept.keeper(interval=0.01))

    assert eventually(lambda: kept.expired)
    assert eventually(lambda: not library_threads())


@pytest.mark.parametrize(
    ("answer", "text", "status"),
    [
        (reply(b"<html>", 200), "HTTP 200 without an answer in JSON", 200),
        (reply({}, 302, Location="http://elsewhere"), "HTTP 302 without", 302),
        (reply({}), "the answer holds no listenKey", None),
        (reply([]), "the answer holds no listenKey", None),
        (reply({"listenKey": ""}), "the answer holds no listenKey", None),
        (reply({"code": -1000, "msg": "x"}, 500), "HTTP 500, code -1000: x", 500),
    ],
)
def test_an_answer_without_a_key_is_an_error(
    answer: Any, text: str, status: int | None, server: HttpServer, kept: Kept
) -> None:
    server.usual = answer
    with pytest.raises(VenueError, match=text) as caught:
        obtain(kept.keeper())

    assert caught.value.status == status
    assert len(server.asked) == 1
    assert library_threads() == []


def test_a_host_that_asked_for_a_pause_is_left_alone(server: HttpServer, kept: Kept) -> None:
    server.usual = reply({"code": -1003, "msg": "too many"}, 429, Retry_After="60")
    for text in ("HTTP 429, code -1003", "not asked, since the host is left alone"):
        with pytest.raises(VenueError, match=text) as caught:
            obtain(kept.keeper())
        assert caught.value.retry_after == pytest.approx(60.0, abs=30.0)

    assert len(server.asked) == 1


@pytest.mark.parametrize("end", ["\n", "\r\nX: y", "\N{EURO SIGN}"])
def test_an_api_key_that_is_no_header_is_not_shown(
    end: str, server: HttpServer, kept: Kept
) -> None:
    bad = Credentials(f"{API_KEY}{end}", SECRET)
    with pytest.raises(VenueError) as caught:
        obtain(kept.keeper(credentials=bad))

    for link in chain(caught.value):
        assert API_KEY not in str(link)
        assert API_KEY not in repr(link)
    assert server.asked == []


def was_asked_more(server: HttpServer, before: int) -> bool:
    return len(server.asked) > before


def test_it_can_be_interrupted_and_stopped_while_it_asks(server: HttpServer, kept: Kept) -> None:
    for end in (ListenKeyKeeper.interrupt, ListenKeyKeeper.stop):
        keeper = kept.keeper()
        server.next.append(reply(act=lambda handler: server.over.wait(BOUND)))
        before = len(server.asked)
        asking = Running(obtain, keeper)
        assert eventually(partial(was_asked_more, server, before))

        end(keeper)

        with pytest.raises((VenueError, NotConnectedError), match="given up"):
            asking.result()
        # One that begins after it does not begin.
        with pytest.raises(NotConnectedError, match=r"closed|stopped"):
            obtain(keeper)


def test_an_answer_and_a_key_have_a_bound(server: HttpServer, kept: Kept) -> None:
    server.next.extend(
        [reply({"listenKey": KEY, "more": "x" * 100_000}), reply({"listenKey": "k" * 600})]
    )
    keeper = kept.keeper()

    with pytest.raises(VenueError, match="larger than 65,536 bytes"):
        obtain(keeper)
    with pytest.raises(VenueError, match="no listenKey that could be one"):
        obtain(keeper)


def test_stop_ends_a_request_that_keeps_it_alive(server: HttpServer, kept: Kept) -> None:
    server.next.extend([GIVEN, reply(act=lambda handler: server.over.wait(BOUND))])
    keeper = kept.keeper(interval=0.01)
    obtain(keeper)
    assert eventually(lambda: "PUT" in methods(server))

    assert keeper.stop(timeout=BOUND)

    assert keeper.stop(timeout=BOUND)
    assert kept.expired == []


def test_it_shows_no_secret(kept: Kept, server: HttpServer) -> None:
    keeper = kept.keeper()
    obtain(keeper)

    assert repr(keeper) == f"<ListenKeyKeeper of account at {server.url}>"


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"x" * 187 + API_KEY.encode() + b"y" * 50, 400, Retry_After="3"),
        reply({"code": f"no {API_KEY}", "msg": "x" * 390 + API_KEY}, 400),
    ],
    ids=["page", "code"],
)
def test_no_part_of_the_key_that_a_server_echoes_is_shown(
    answer: Any, server: HttpServer, kept: Kept
) -> None:
    server.next.append(answer)
    with pytest.raises(VenueError) as caught:
        obtain(kept.keeper())

    assert "xxx" in str(caught.value)
    assert API_KEY[:6] not in f"{caught.value} {caught.value.code}"


def test_the_arguments_are_checked() -> None:
    spec = Binance("futures").listen_key(group="private")
    assert spec is not None
    for wrong, text in (
        ({"base_url": "fapi.binance.com"}, "base_url is 'fapi.binance.com'"),
        ({"timeout": 0.0}, "timeout is 0"),
    ):
        settings: dict[str, Any] = {"base_url": "http://x", "credentials": OWNER, "name": "x"}
        settings |= {"on_expired": print, **wrong}
        with pytest.raises(ConfigurationError, match=text):
            ListenKeyKeeper(spec, **settings)
