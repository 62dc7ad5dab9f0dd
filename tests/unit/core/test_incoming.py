from __future__ import annotations

import pytest

from wsresilient.core.incoming import MOST_TEXT, Refused, code_said, text_said


def test_a_text_of_usual_length_stays_as_it_is() -> None:
    assert text_said("Invalid apiKey") == "Invalid apiKey"
    assert text_said("x" * MOST_TEXT) == "x" * MOST_TEXT


def test_of_a_long_text_only_the_beginning_is_looked_at() -> None:
    assert text_said("y" * 1_000_000) == "y" * MOST_TEXT


@pytest.mark.parametrize("given", [None, 5, ["text"], {"text": 1}, b"text", 10**400])
def test_what_is_no_text_says_nothing(given: object) -> None:
    assert text_said(given) == ""


@pytest.mark.parametrize(
    ("given", "code"),
    [
        *((-2015, -2015), ("60012", "60012"), ("9" * 40, "9" * 40), ("9" * 41, None)),
        *((None, None), ([1], None), (1.5, None), (10**400, None)),
    ],
)
def test_codes(given: object, code: int | str | None) -> None:
    assert code_said(given) == code


@pytest.mark.parametrize(
    ("refused", "names_nothing"),
    [
        (Refused(code=1, text="no", temporary=True, whole_request=True, of_topic=True), True),
        *((Refused(0), False), (Refused(topics=("a",)), False), (Refused(symbol="A"), False)),
        *((Refused(channel="a"), False), (Refused(tag="sub.a"), False)),
    ],
)
def test_a_refusal_that_names_nothing(refused: Refused, names_nothing: bool) -> None:
    assert refused.names_nothing is names_nothing
