from __future__ import annotations

import pytest

from wsresilient.core.incoming import MOST_TEXT, code_said, text_said


def test_a_text_of_usual_length_stays_as_it_is() -> None:
    assert text_said("Invalid apiKey") == "Invalid apiKey"
    assert text_said("x" * MOST_TEXT) == "x" * MOST_TEXT


def test_a_long_text_is_cut_before_the_word_that_the_cut_would_halve() -> None:
    beginning = "word " * 399  # 1995 characters, and the secret goes over the bound

    assert text_said(beginning + "a-long-secret and more") == beginning.rstrip(" ")
    assert text_said("y" * 1_000_000) == "y" * MOST_TEXT


@pytest.mark.parametrize("given", [None, 5, ["text"], {"text": 1}, b"text", 10**400])
def test_what_is_no_text_says_nothing(given: object) -> None:
    assert text_said(given) == ""


@pytest.mark.parametrize(
    ("given", "code"),
    [
        *((-2015, -2015), ("60012", "60012"), ("9" * 1000, "9" * 40)),
        *((None, None), ([1], None), (1.5, None), (10**400, None)),
    ],
)
def test_codes(given: object, code: int | str | None) -> None:
    assert code_said(given) == code
