"""What the REST dialects share: numbers, spans of klines, arguments, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.venues.rest_tools import NOW, D
from wsresilient import ConfigurationError
from wsresilient.core.market import INTERVALS, Kline, Trade, later
from wsresilient.venues.dialect import decode_answer, refused
from wsresilient.venues.rest_reading import (
    KlineSpan,
    checked_kind,
    checked_limit,
    checked_symbol,
    kline_span,
    levels,
    milliseconds,
    number,
    oldest_first,
    rows_of,
    seconds,
)

OWN = {name: name for name in INTERVALS}


def span(interval: str = "1m", **arguments: Any) -> KlineSpan:
    usual: dict[str, Any] = {
        "own": OWN,
        "start": None,
        "end": None,
        "limit": None,
        "usual": 5,
        "most": 10,
        "now": NOW,
    }
    return kline_span("X", interval, **{**usual, **arguments})


def bar(opened_at: float) -> Kline:
    return Kline("X", "1m", opened_at, D(1), D(1), D(1), D(1), D(1), True)


# Numbers.


@pytest.mark.parametrize(
    ("json", "value"),
    [("7.548E+4", "7.548E+4"), ("0.080550", "0.080550"), ("31199", "31199"), ("1e-8", "1E-8")],
)
def test_numbers_of_json_keep_their_digits(json: str, value: str) -> None:
    assert str(number(decode_answer(json))) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_number_as_text_is_read_exactly(value: D) -> None:
    assert number(str(value)) == value


@pytest.mark.parametrize("value", ["", "x", "NaN", "Infinity", None, True, 1.5, [], "1,5"])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"number|finite"):
        number(value)


@pytest.mark.parametrize("body", ["NaN", "[Infinity]", "{", "", b"\xff", "[" * 100_000])
def test_what_is_no_json_is_refused(body: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode_answer(body)


def test_times_are_milliseconds_on_the_wire() -> None:
    assert seconds("1597026383085") == 1597026383.085
    assert seconds(1597026383085) == 1597026383.085
    assert milliseconds(1597026383.085) == "1597026383085"


@given(st.integers(0, 10**14))
def test_a_time_survives_the_way_there_and_back(at: int) -> None:
    assert milliseconds(seconds(at)) == str(at)


# Rows.


def test_one_row_is_rows_too() -> None:
    assert rows_of({"a": 1}) == [{"a": 1}]
    assert rows_of([1, 2]) == [1, 2]
    with pytest.raises(TypeError, match="are no rows"):
        rows_of(None)


def test_levels_are_sorted_whatever_their_order_and_cut() -> None:
    rows = [["1", "5", "0"], ["3", "1", "0"], ["2", "0.5", "0"]]

    assert levels(rows, highest_first=True, limit=2) == ((D(3), D(1)), (D(2), D("0.5")))
    assert levels(rows, highest_first=False, limit=None)[0] == (D(1), D(5))
    assert levels([], highest_first=True, limit=1) == ()


def test_trades_are_turned_around_and_those_of_one_moment_keep_their_order() -> None:
    newest_first = [
        Trade("X", name, D(1), D(1), "buy", at)
        for name, at in [("d", 2.0), ("c", 2.0), ("b", 2.0), ("a", 1.0)]
    ]

    assert [trade.id for trade in oldest_first(newest_first)] == ["a", "b", "c", "d"]


# Which klines are asked for.


def test_without_times_it_is_the_usual_number() -> None:
    found = span()

    assert (found.start, found.end, found.limit) == (None, None, 5)


def test_with_a_start_the_end_is_as_far_as_the_limit() -> None:
    found = span(start=600.0, limit=3)
    assert (found.start, found.end) == (600.0, 780.0)

    # not beyond the end that was asked for
    assert span(start=600.0, end=700.0, limit=3).end == 700.0
    assert span(start=600.0, end=9000.0, limit=3).end == 780.0


def test_with_a_start_the_first_ones_are_kept_and_without_the_last_ones() -> None:
    bars = [bar(60.0 * n) for n in (5, 1, 4, 2, 3)]

    first = span(start=60.0, limit=2).cut(list(bars))
    last = span(limit=2).cut(list(bars))
    before = span(end=240.0, limit=2).cut(list(bars))

    assert [kline.opened_at for kline in first] == [60.0, 120.0]
    assert [kline.opened_at for kline in last] == [240.0, 300.0]
    assert [kline.opened_at for kline in before] == [120.0, 180.0]


@given(
    st.sampled_from(sorted(INTERVALS)),
    st.integers(0, 2_000_000_000),
    st.integers(1, 10),
    st.booleans(),
)
def test_a_span_from_a_start_holds_as_many_as_its_limit(
    interval: str, first: int, limit: int, aligned: bool
) -> None:
    opened = [later(first, interval, n) for n in range(limit + 2)]
    start = float(first) if aligned else first - 0.5
    found = span(interval, start=max(0.0, start), limit=limit)

    inside = [at for at in opened if found.start <= at < found.end]  # type: ignore[operator]

    assert len(inside) == limit


def test_a_kline_is_closed_when_its_time_is_over() -> None:
    one = ["1", "2", "0.5", "1.5"]

    assert span().kline(NOW - 60.0, one, "7").closed
    assert not span().kline(NOW - 59.0, one, "7").closed
    assert span().kline(NOW - 59.0, one, "7", closed=True).closed
    assert span().kline(0.0, one, "7") == Kline(
        "X", "1m", 0.0, D(1), D(2), D("0.5"), D("1.5"), D(7), True
    )


def test_the_first_of_two_notations_is_used_and_both_are_understood() -> None:
    own = {"1Dutc": "1d", "1D": "1d"}

    assert (span("1d", own=own).own, span("1d", own=own).interval) == ("1Dutc", "1d")
    assert (span("1D", own=own).own, span("1D", own=own).interval) == ("1D", "1d")
    assert span("1D", own=own).asked == "1D"


def test_an_unknown_interval_is_told_with_those_that_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown interval '1min'.*Known: .*1m.*4h"):
        span("1min")
    with pytest.raises(ConfigurationError, match="unknown interval '60'"):
        span(60)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"start": 1_700_000_000_000}, "start is 1700000000000; allowed: seconds .*not millisec"),
        ({"end": -1}, "end is -1"),
        ({"end": True}, "end is True"),
        ({"start": "now"}, "start is 'now'"),
        ({"start": float("nan")}, "start is nan"),
        ({"start": 5.0, "end": 5.0}, "start is 5 and end 5; allowed: start < end"),
        ({"limit": 11}, "limit is 11; allowed: 1 to 10"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 1.0}, "limit is 1.0"),
    ],
)
def test_a_wrong_argument_is_told(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        span(**arguments)


# Other arguments.


@pytest.mark.parametrize(
    "symbol",
    ["", "..", ".", "A/B", "../x", "a b", "a?b", "a#b", "a%2f", "a\n", "a&b", "\\", None, 1],
)
def test_what_cannot_be_a_symbol_never_gets_into_a_url(symbol: object) -> None:
    with pytest.raises(ConfigurationError, match=r"symbol is .*'BTC-USDT'"):
        checked_symbol(symbol, example="BTC-USDT")


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USDT-SWAP", "BTC_USDT", "币安人生USDT", "1.5X"])
def test_a_symbol_is_left_as_it_is(symbol: str) -> None:
    assert checked_symbol(symbol, example="X") == symbol


def test_a_kind_has_to_be_one_of_the_market() -> None:
    checked_kind(None, ("spot",))
    checked_kind("spot", ("spot",))
    with pytest.raises(ConfigurationError, match="kind is 'option'; allowed: 'spot', None"):
        checked_kind("option", ("spot",))


def test_a_limit_has_to_fit_into_one_request() -> None:
    checked_limit(10, most=10)
    with pytest.raises(ConfigurationError, match="limit is 11; allowed: 1 to 10 in one request"):
        checked_limit(11, most=10)


# Refusals.


def test_a_refusal_knows_what_may_be_tried_again() -> None:
    assert refused(503, now=NOW).temporary
    assert not refused(400, now=NOW).temporary
    assert refused(400, now=NOW, code=7, temporary={7}).temporary
    assert not refused(503, now=NOW).for_all


def test_a_pause_is_for_all_and_a_retry_after_goes_before_the_usual_one() -> None:
    usual = refused(429, now=NOW, pauses={429: 60.0})
    told = refused(429, {"retry-after": "7"}, now=NOW, pauses={429: 60.0})
    of_503 = refused(503, {"retry-after": "7"}, now=NOW, pauses={429: 60.0})

    assert (usual.retry_after, usual.for_all, usual.temporary) == (60.0, True, True)
    assert (told.retry_after, told.for_all) == (7.0, True)
    assert (of_503.retry_after, of_503.for_all) == (7.0, False)


def test_the_longer_of_two_pauses_counts() -> None:
    both = refused(429, now=NOW, code=-1, pauses={429: 5.0, -1: 60.0})

    assert both.retry_after == 60.0


def test_a_retry_after_may_be_a_date() -> None:
    refusal = refused(429, {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, now=NOW)

    assert refusal.retry_after == 60.0


@pytest.mark.parametrize("code", [None, [], {}, 1.5])
def test_a_code_that_is_none_is_left_out(code: object) -> None:
    assert refused(400, now=NOW, code=code, text=["x"]).code is None
    assert refused(400, now=NOW, code=code, text=["x"]).text == ""
