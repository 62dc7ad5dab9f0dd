"""What a session makes of what an exchange says, without a connection."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any, cast

import pytest

from wsresilient import ConnectionConfig, Credentials, VenueError
from wsresilient.core.failure import Failure, FailureKind
from wsresilient.core.redact import Redactor
from wsresilient.runtime.pacing import Pacer
from wsresilient.runtime.session import VenueSession
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.runtime.transport import Attempt
from wsresilient.venues import MEXC, OKX, Binance, Bybit, Venue

KEY = "APIKEY-0123456789abcdef"
CREDENTIALS = Credentials(KEY, "a-secret-0123456789", "a-passphrase-0123")

OKX_LOGIN = '{"event":"login","code":"0","msg":"","connId":"a4d3ae55"}'
BINANCE_LOGIN = '{"id":"login","status":200,"result":{"subscriptionId":0}}'
BINANCE_REVOKED = '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}'


class Line:
    """A connection's attempt, its sender, its pacer and its hooks in one."""

    location = "/"
    is_open = True
    last_received_at = 0.0

    def __init__(self) -> None:
        self.sender = self
        self.sent: list[Any] = []
        self.taken = 0
        self.ready = 0
        self.errors: list[Exception] = []
        self.ends: list[Failure] = []

    # The attempt.

    def try_send_text(self, payload: bytes) -> bool:
        self.sent.append(json.loads(payload))
        return True

    def interrupt(self, reason: Failure, *, graceful: bool) -> bool:
        self.ends.append(reason)
        return True

    def wake(self) -> None:
        pass

    # The pacer.

    def begin_connection(self) -> None:
        pass

    def take(self) -> None:
        self.taken += 1

    # The hooks.

    def session_ready(self) -> None:
        self.ready += 1

    def may_request(self) -> bool:
        return True

    def report(self, error: Exception) -> None:
        self.errors.append(error)

    def let_rotate(self, reason: Failure) -> bool:
        return False

    def take_answer(self, request_id: Hashable, message: Any) -> bool:
        return False


def session_of(
    venue: Venue, *topics: str, auth: Credentials | None = CREDENTIALS
) -> tuple[VenueSession, Line]:
    """Give a session whose connection has just been made; with credentials it logs in."""
    line, config = Line(), ConnectionConfig()
    subscriber = Subscriber(venue, config, has_credentials=auth is not None)
    subscriber.subscribe(topics)
    made = VenueSession(subscriber, config, cast(Pacer, line), line, name="test")
    made.opened(cast(Attempt, line), auth, Redactor())
    return made, line


# What is for us and what is not.


@pytest.mark.parametrize(
    ("venue", "pong"),
    [
        (OKX(), "pong"),
        (MEXC(), '{"channel":"pong","data":1587453241453}'),
        (Bybit(), '{"success":true,"ret_msg":"pong","conn_id":"1","req_id":"hb-1","op":"ping"}'),
    ],
    ids=repr,
)
def test_an_answer_to_a_heartbeat_is_no_data(venue: Venue, pong: str) -> None:
    session, _ = session_of(venue, auth=None)

    assert session.sift([pong, "something else", pong]) == ["something else"]


# The login.


def test_the_login_goes_out_first_and_counts() -> None:
    _, line = session_of(OKX("private"))

    (request,) = line.sent
    assert request["op"] == "login"
    assert line.taken == 1
    assert line.ready == 0


def test_a_second_answer_to_the_login_changes_nothing() -> None:
    session, line = session_of(OKX("private"))
    assert session.sift([OKX_LOGIN]) == []
    assert session.sift([OKX_LOGIN, OKX_LOGIN]) == []

    assert line.ready == 1


def test_nobody_logs_in_where_no_login_is_under_way() -> None:
    session, line = session_of(OKX(), auth=None)
    assert line.ready == 1
    session.sift([OKX_LOGIN])

    assert line.ready == 1


def test_a_refusal_that_names_nothing_is_the_logins() -> None:
    session, line = session_of(MEXC())
    session.sift(['{"channel":"rs.error","data":"Nobody has ever seen this text"}'])

    (failure,) = line.ends
    assert failure.kind is FailureKind.AUTHENTICATION
    assert failure.budget == 2  # once more
    assert "Nobody has ever seen this text" in failure.text
    assert (line.errors, line.ready) == ([], 0)


@pytest.mark.parametrize(
    ("venue", "refusal"),
    [
        (MEXC(), '{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists"}'),
        (
            OKX("private"),
            '{"event":"channel-conn-count-error","channel":"account","connCount":"30"}',
        ),
    ],
    ids=["symbol", "channel"],
)
def test_a_refusal_that_names_something_is_not_the_logins(venue: Venue, refusal: str) -> None:
    session, line = session_of(venue)
    session.sift([refusal])

    assert line.ends == []
    (error,) = line.errors
    assert isinstance(error, VenueError)


def test_a_login_that_is_revoked_needs_a_new_connection() -> None:
    session, line = session_of(Binance(), "userData")
    session.sift([BINANCE_LOGIN])
    assert (line.ready, line.ends) == (1, [])
    session.sift([BINANCE_REVOKED])

    (failure,) = line.ends
    assert failure.kind is FailureKind.CLOSED
    assert failure.retryable
    assert "has ended the login (code -2015): Invalid API-key." in failure.text
    assert isinstance(failure.error, VenueError)
    assert failure.error.code == -2015
    assert line.errors == []  # the connection tells it


def test_a_login_that_is_revoked_before_it_is_accepted_is_a_refused_one() -> None:
    session, line = session_of(Binance(), "userData")
    session.sift([BINANCE_REVOKED])

    (failure,) = line.ends
    assert failure.kind is FailureKind.AUTHENTICATION
    assert not failure.retryable


def test_who_has_not_logged_in_keeps_the_connection_when_a_login_is_revoked() -> None:
    session, line = session_of(Binance(), auth=None)
    session.sift([BINANCE_REVOKED])

    assert line.ends == []
    assert len(line.errors) == 1


def test_a_new_connection_has_not_logged_in() -> None:
    session, line = session_of(Binance(), "userData")
    session.sift([BINANCE_LOGIN])
    session.lost()
    session.opened(cast(Attempt, line), None, Redactor())
    session.sift([BINANCE_REVOKED])

    assert line.ends == []


# Secrets that a server echoes.


def shown(line: Line) -> str:
    texts = [f"{error} {getattr(error, 'code', '')}" for error in line.errors]
    return " ".join([*texts, *(f"{end.text} {end.error}" for end in line.ends)])


@pytest.mark.parametrize("padding", [0, 7, 20, 30])
@pytest.mark.parametrize("is_logged_in", [False, True])
def test_no_part_of_a_key_is_left_of_a_code_or_a_text_that_is_cut(
    padding: int, is_logged_in: bool
) -> None:
    session, line = session_of(OKX("private"))
    if is_logged_in:
        session.sift([OKX_LOGIN])
    error = {"event": "error", "code": "x" * padding + KEY, "msg": "refused: " + "y" * padding}
    error["msg"] += KEY * 200
    session.sift([json.dumps(error), json.dumps({**error, "code": KEY})])

    assert "refused" in shown(line)
    for start in range(len(KEY) - 7):
        assert KEY[start : start + 8] not in shown(line)


def test_the_code_of_an_error_is_shown_without_secrets() -> None:
    session, line = session_of(OKX("private"))
    session.sift([OKX_LOGIN])
    session.sift([json.dumps({"event": "error", "code": f"no {KEY}", "msg": "no"})])

    (error,) = line.errors
    assert isinstance(error, VenueError)
    assert error.code == "no ***"
