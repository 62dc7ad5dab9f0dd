"""What to do: a sentence for every cause there is."""

from __future__ import annotations

import pytest

from wsresilient import FailureKind
from wsresilient.core.history import Outage
from wsresilient.observe.advice import advise_cause, advise_outages, describe_causes

UNKNOWN = advise_cause("no such kind", "")


def outage(kind: str, close_code: int | None = None, text: str = "x") -> Outage:
    return Outage(
        at=0.0,
        began=0.0,
        kind=kind,
        close_code=close_code,
        text=text,
        planned=False,
        was_open=True,
        attempts=0,
    )


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.STOPPED])
def test_every_kind_of_failure_has_advice_of_its_own(kind: FailureKind) -> None:
    advice = advise_cause(kind.value, "")

    assert advice != UNKNOWN
    assert advice.endswith(".")
    assert advice == advise_outages([outage(kind.value)], is_handler_slow=False)


def test_what_is_not_known_is_said_so() -> None:
    assert UNKNOWN.startswith("Look at the errors in the log")
    assert advise_outages([], is_handler_slow=False) == advise_cause(None, "") == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "Too many requests",
        "rate limit",
        "request limit exceeded",
        "quota used up",
        "HTTP 429",
        "way too much request weight used; IP banned: 418",
    ],
)
def test_words_of_a_limit_win_over_the_code(text: str) -> None:
    assert "enforces a limit" in advise_cause("closed", text, 1000)
    assert "enforces a limit" in advise_cause("handshake", text)


def test_numbers_inside_of_others_are_no_limit() -> None:
    assert "enforces a limit" not in advise_cause("closed", "connection 14291 closed", 1000)


def test_the_commonest_cause_is_advised_upon() -> None:
    outages = [outage("network"), outage("closed", 1012), outage("closed", 1012)]

    assert advise_outages(outages, is_handler_slow=False) == advise_cause("closed", "", 1012)
    assert describe_causes(outages) == "2 x closed with 1012 (service restart), 1 x network"


def test_few_causes_are_named() -> None:
    outages = [outage("closed", code) for code in range(4000, 4020)]

    assert describe_causes(outages).count(" x ") == 4
