"""One symbol of the made-up market: its candles and its past, told twice the same."""

from __future__ import annotations

import itertools
import random
from datetime import datetime, time, timezone

import pytest

from wsresilient.testing.events import Kline
from wsresilient.testing.instrument import Instrument

MINUTE = 60_000
AT = 1_672_515_780_000  # the first millisecond of a minute


def instrument() -> Instrument:
    return Instrument("BTCUSDT", 60_000.0, 1e10, random.Random(1))


def klines(
    one: Instrument, at: int, *, start: int | None = None, end: int | None = None, limit: int = 5
) -> list[Kline]:
    return one.klines(60, at, start=start, end=end, limit=limit)


def test_a_candle_grows_and_closes_once() -> None:
    one = instrument()
    growing = [one.kline(60, AT + n * 1000) for n in range(60)]
    closed = one.kline(60, AT + MINUTE)
    after = one.kline(60, AT + MINUTE)

    assert {each.opened_at for each in growing} == {AT}
    assert not any(each.is_closed for each in growing)
    assert [each.trade_count for each in growing] == list(range(1, 61))
    assert closed == growing[-1]._replace(is_closed=True, at=AT + MINUTE)
    assert closed.closed_at == AT + MINUTE - 1
    assert closed.low <= min(closed.open, closed.close) <= max(closed.open, closed.close)
    assert max(closed.open, closed.close) <= closed.high
    assert (after.opened_at, after.is_closed, after.trade_count) == (AT + MINUTE, False, 1)


def test_candles_of_different_lengths_do_not_mix() -> None:
    one = instrument()

    assert one.kline(60, AT).trade_count == one.kline(300, AT).trade_count == 1
    assert one.kline(300, AT).interval == 300


def test_past_candles_are_those_that_were_streamed() -> None:
    one = instrument()
    one.kline(60, AT)
    closed = one.kline(60, AT + MINUTE)
    current = one.kline(60, AT + MINUTE + 5)

    told = klines(one, AT + MINUTE + 10)

    assert told[-2:] == [closed, current]
    assert [each.opened_at for each in told] == [AT + n * MINUTE for n in range(-3, 2)]
    assert [each.is_closed for each in told] == [True, True, True, True, False]
    assert klines(one, AT + MINUTE + 10) == told


@pytest.mark.parametrize(
    ("start", "end", "limit", "minutes"),
    [
        (None, None, 3, [-2, -1, 0]),
        (None, -2, 3, [-4, -3, -2]),
        (-5, None, 3, [-5, -4, -3]),
        (-5, -4, 9, [-5, -4]),
        (-1, None, 9, [-1, 0]),
        (None, 5, 2, [-1, 0]),
        (3, None, 9, []),
        (None, None, 0, []),
    ],
)
def test_which_candles(start: int | None, end: int | None, limit: int, minutes: list[int]) -> None:
    told = klines(
        instrument(),
        AT + 5,
        start=None if start is None else AT + start * MINUTE,
        end=None if end is None else AT + end * MINUTE,
        limit=limit,
    )

    assert [(each.opened_at - AT) // MINUTE for each in told] == minutes


def test_a_start_between_two_candles_begins_with_the_next() -> None:
    told = klines(instrument(), AT, start=AT - 2 * MINUTE + 1)

    assert [each.opened_at for each in told] == [AT - MINUTE, AT]


def test_weeks_begin_on_monday_and_days_at_midnight() -> None:
    week, day = 7 * 86_400, 86_400

    weekly = instrument().klines(week, AT, start=None, end=None, limit=2)
    daily = instrument().klines(day, AT, start=None, end=None, limit=2)

    opened = [datetime.fromtimestamp(k.opened_at / 1000, timezone.utc) for k in weekly + daily]
    assert [each.isoweekday() for each in opened[:2]] == [1, 1]
    assert {each.time() for each in opened} == {time()}
    assert instrument().kline(week, AT).opened_at == weekly[-1].opened_at


def test_old_closed_candles_are_forgotten_and_made_up() -> None:
    one = instrument()
    for number in range(1_600):
        one.kline(60, AT + number * MINUTE)
        if number:
            one.kline(60, AT + number * MINUTE)

    told = klines(one, AT + 1_600 * MINUTE, limit=1_601)

    assert len({each.opened_at for each in told}) == 1_601
    assert all(b.opened_at - a.opened_at == MINUTE for a, b in itertools.pairwise(told))


def test_past_trades_are_those_that_were_streamed() -> None:
    one = instrument()
    streamed = [one.trade(AT + n) for n in range(5)]

    told = one.trades(AT + 9, first_id=None, end_id=None, limit=8)

    assert told[-5:] == streamed
    ids = [each.trade_id for each in told]
    assert ids == list(range(ids[0], ids[0] + 8))
    assert [each.at for each in told] == sorted(each.at for each in told)
    assert one.trades(AT + 99, first_id=None, end_id=None, limit=8) == told


@pytest.mark.parametrize(
    ("first", "end", "limit", "expected"),
    [
        (None, None, 2, [4, 5]),
        (2, None, 2, [2, 3]),
        (2, None, 99, [2, 3, 4, 5]),
        (None, 3, 2, [1, 2]),
        (2, 4, 99, [2, 3]),
        (6, None, 9, []),
        (None, 99, 1, [5]),
    ],
)
def test_which_trades(first: int | None, end: int | None, limit: int, expected: list[int]) -> None:
    one = instrument()
    base = one.last_trade_id
    for number in range(5):
        one.trade(AT + number)

    told = one.trades(
        AT,
        first_id=None if first is None else base + first,
        end_id=None if end is None else base + end,
        limit=limit,
    )

    assert [each.trade_id - base for each in told] == expected


def test_trades_go_back_to_the_first_one_there_ever_was() -> None:
    told = instrument().trades(AT, first_id=-5, end_id=None, limit=3)

    assert [each.trade_id for each in told] == [1, 2, 3]


def test_a_book_of_an_instrument_is_made_when_it_is_asked_for() -> None:
    one = instrument()
    number = one.last_book_id
    one.move_book()

    depth = one.depth_since(number, AT)
    book = one.book(5, AT)

    assert (depth.previous_id, depth.first_id) == (number, number + 1)
    assert depth.last_id == book.last_id == one.last_book_id > number
    assert depth.bids or depth.asks
    assert (len(book.bids), len(book.asks), book.is_snapshot) == (5, 5, True)
    assert one.book(5, AT, as_of=number).last_id == number


def test_the_mark_price_tells_of_the_next_funding() -> None:
    mark = instrument().mark(AT)

    assert mark.mark_price == 60_000.0
    assert 0 < mark.funding_at - AT <= 8 * 3_600_000
    assert mark.funding_at % (8 * 3_600_000) == 0
