from __future__ import annotations

import json

import pytest

from wsresilient.core.failure import FailureKind
from wsresilient.core.incoming import LoginRefused
from wsresilient.core.login import login_failure, strings_of
from wsresilient.core.redact import Redactor
from wsresilient.errors import AuthenticationError


def test_a_final_refusal_is_fatal_and_says_what_to_check() -> None:
    failure = login_failure(
        LoginRefused(code=60005, text="Invalid apiKey"), "OKX()", Redactor(), now=0.0
    )

    assert failure.kind is FailureKind.AUTHENTICATION
    assert not failure.retryable
    assert isinstance(failure.error, AuthenticationError)
    assert "OKX() refused the login (code 60005): Invalid apiKey; check key" in failure.text


@pytest.mark.parametrize(
    ("server_time", "said"), [(995.0, "off by 5.0 s (ahead)"), (1005.0, "off by 5.0 s (behind)")]
)
def test_a_wrong_clock_is_told_and_tried_again(server_time: float, said: str) -> None:
    refusal = LoginRefused(text="expired", final=False, clock=True, server_time=server_time)
    failure = login_failure(refusal, "Binance()", Redactor(), now=1000.0)

    assert failure.retryable
    assert said in failure.text


def test_a_refusal_may_be_tried_again_a_few_times() -> None:
    refusal = LoginRefused(code=60009, final=False, retries=1)

    failure = login_failure(refusal, "OKX()", Redactor(), now=0.0)

    assert failure.budget == 2
    assert "if it stays so, check key" in failure.text


def test_what_the_login_sent_is_not_shown_even_if_it_is_echoed() -> None:
    login = json.dumps({"op": "login", "args": [{"sign": "s" * 20, "list": ["k" * 16, 5]}]})
    redact = Redactor().with_secrets(strings_of(login))
    refusal = LoginRefused(text=f"bad request: {login}")
    text = login_failure(refusal, "OKX()", redact, now=0.0).text

    assert "s" * 20 not in text
    assert "k" * 16 not in text


def test_the_name_of_a_method_is_no_secret() -> None:
    login = {"id": 1, "method": "userDataStream.subscribe.signature", "params": {"k": "x" * 16}}

    assert strings_of(json.dumps(login)) == ("x" * 16,)


def test_a_login_that_is_no_json_is_secret_as_a_whole() -> None:
    assert strings_of("AUTH me") == ("AUTH me",)
    assert strings_of(b"\x00\x01") == ()
