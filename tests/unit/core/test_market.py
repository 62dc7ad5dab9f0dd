"""The values of REST: what they hold, and when the next kline opens."""

from __future__ import annotations

import dataclasses
import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient.core.market import INTERVALS, Kline, OrderBook, Symbol, Ticker24h, Trade, later


def utc(*date: int) -> float:
    return datetime.datetime(*date, tzinfo=datetime.timezone.utc).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("opened", "interval", "count", "next_one"),
    [
        ((2026, 3, 1), "1m", 1, (2026, 3, 1, 0, 1)),
        ((2026, 3, 1), "4h", 6, (2026, 3, 2)),
        ((2026, 3, 1), "1w", 1, (2026, 3, 8)),
        ((2026, 1, 1), "1M", 1, (2026, 2, 1)),
        ((2026, 2, 1), "1M", 1, (2026, 3, 1)),
        ((2024, 2, 1), "1M", 1, (2024, 3, 1)),
        ((2026, 12, 1), "1M", 1, (2027, 1, 1)),
        ((2026, 1, 1), "1M", -1, (2025, 12, 1)),
        ((2026, 11, 1), "3M", 1, (2027, 2, 1)),
        ((2026, 1, 1), "1M", 1440, (2146, 1, 1)),
        ((2026, 1, 31), "1M", 1, (2026, 3, 3)),
    ],
)
def test_the_next_kline_opens_by_the_calendar(
    opened: tuple[int, ...], interval: str, count: int, next_one: tuple[int, ...]
) -> None:
    assert later(utc(*opened), interval, count) == utc(*next_one)


@given(st.sampled_from(sorted(INTERVALS)), st.integers(0, 3_000_000_000), st.integers(1, 500))
def test_later_is_later(interval: str, opened: int, count: int) -> None:
    assert later(opened, interval, count) > later(opened, interval, count - 1) >= opened


def test_the_values_cannot_be_changed() -> None:
    one = Decimal(1)
    values: list[Any] = [
        Symbol("BTCUSDT", "BTC", "USDT", True, "spot"),
        Ticker24h("BTCUSDT", one, None),
        Kline("BTCUSDT", "1m", 0.0, one, one, one, one, one, True),
        Trade("BTCUSDT", None, one, one, "buy", 0.0),
        OrderBook("BTCUSDT", (), (), None, None),
    ]
    for value in values:
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "other")
