"""The made-up order book: never crossed, numbered, and the same whichever way it is followed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.testing.events import Level
from wsresilient.testing.order_book import OrderBook


def book_at(price: float) -> OrderBook:
    return OrderBook(price, random.Random(1))


def prices(side: tuple[Level, ...]) -> list[float]:
    return [price for price, _ in side]


@pytest.mark.parametrize("price", [60_000.0, 3_000.0, 1.0, 0.6, 0.000012, 999.9])
def test_bids_are_below_asks_and_the_best_come_first(price: float) -> None:
    bids, asks = book_at(price).levels(None)

    assert prices(bids) == sorted(prices(bids), reverse=True)
    assert prices(asks) == sorted(prices(asks))
    assert 0 < bids[-1][0] < bids[0][0] < asks[0][0]
    assert bids[0][0] == pytest.approx(price, rel=0.003)
    assert asks[0][0] == pytest.approx(price, rel=0.003)
    assert all(quantity > 0 for _, quantity in bids + asks)


def test_the_first_levels_only() -> None:
    book = book_at(100.0)
    bids, asks = book.levels(None)

    assert book.levels(3) == (bids[:3], asks[:3])
    assert book.levels(10_000) == (bids, asks)


def test_it_goes_where_the_price_goes() -> None:
    book = book_at(100.0)
    for _ in range(100):
        book.advance(110.0)

    bids, asks = book.levels(1)

    assert bids[0][0] < 110.0 < asks[0][0] + 0.2
    assert bids[0][0] == pytest.approx(110.0, abs=0.3)
    assert repr(book) == f"<OrderBook at 110.0 last_id={book.last_id}>"


def test_it_does_not_fall_below_nothing() -> None:
    book = book_at(1.0)
    for _ in range(2_000):
        book.advance(0.0001)

    bids, _ = book.levels(None)

    assert bids[-1][0] > 0


@given(st.lists(st.floats(min_value=90.0, max_value=110.0), min_size=1, max_size=60), st.data())
def test_who_applies_the_changes_has_the_book(path: list[float], data: st.DataObject) -> None:
    book = book_at(100.0)
    followed = [dict(side) for side in book.levels(None)]
    told = book.last_id
    for price in path:
        book.advance(price)
        if not data.draw(st.booleans()):
            continue
        since, *changed = book.changes(told)
        assert since == told
        for side, changes in zip(followed, changed, strict=True):
            side.update(changes)
        told = book.last_id
    _, *changed = book.changes(told)
    for side, changes in zip(followed, changed, strict=True):
        side.update(changes)

    real = [dict(side) for side in book.levels(None)]

    assert [{p: q for p, q in side.items() if q} for side in followed] == real


def test_nothing_has_changed_since_the_latest_change() -> None:
    book = book_at(100.0)

    assert book.changes(book.last_id) == (book.last_id, (), ())


def test_what_is_too_long_ago_is_not_known() -> None:
    book = book_at(100.0)
    first = book.last_id
    for _ in range(5_000):
        book.advance(100.0)

    since, _, _ = book.changes(first)

    assert first < since < book.last_id
