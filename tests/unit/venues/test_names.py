"""Venues by their names."""

from __future__ import annotations

import pytest

from wsresilient.errors import ConfigurationError
from wsresilient.venues import MEXC, OKX, VENUE_NAMES, Binance, Bybit, Venue, venue_by_name
from wsresilient.venues.names import markets_of


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("binance", Binance()),
        ("binance-futures", Binance("futures")),
        ("okx", OKX()),
        ("okx-business", OKX("business")),
        ("okx-private", OKX("private")),
        ("bybit", Bybit()),
        ("bybit-spot", Bybit("spot")),
        ("bybit-inverse", Bybit("inverse")),
        ("bybit-option", Bybit("option")),
        ("bybit-private", Bybit(private=True)),
        ("MEXC", MEXC()),
    ],
)
def test_a_name_stands_for_a_venue(name: str, venue: Venue) -> None:
    assert repr(venue_by_name(name)) == repr(venue)


def test_a_market_may_stand_beside_the_name() -> None:
    assert repr(venue_by_name("binance", market="Futures")) == "Binance('futures', 'live')"
    assert repr(venue_by_name("bybit-spot", market="spot")) == "Bybit('spot')"
    assert markets_of("okx") == ("public", "private", "business")
    assert markets_of("mexc") == ()


def test_an_environment_is_handed_on() -> None:
    venue = venue_by_name("binance", market="futures", environment="testnet")

    assert repr(venue) == "Binance('futures', 'testnet')"
    assert repr(venue_by_name("mexc", environment="live")) == "MEXC()"


def test_every_name_makes_a_venue() -> None:
    assert {venue_by_name(name).name for name in VENUE_NAMES} == {"binance", "okx", "bybit", "mexc"}


@pytest.mark.parametrize(
    ("name", "market", "environment", "said"),
    [
        ("okxx", None, None, "unknown venue 'okxx'; did you mean 'okx'.* Known: binance, .*mexc"),
        ("", None, None, "unknown venue ''"),
        ("binance", "options", None, "unknown market of binance 'options'.*: futures, spot"),
        ("mexc", "spot", None, "market is 'spot'; mexc has only one: leave it out"),
        ("bybit-spot", "linear", None, "market is 'linear' and the venue 'bybit-spot'"),
        ("okx", None, "moon", "environment is 'moon'; allowed: 'live', 'demo', 'testnet'"),
        ("mexc", None, "testnet", "environment is 'testnet'; allowed: 'live', mexc has no other"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(
    name: str, market: str | None, environment: str | None, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        venue_by_name(name, market=market, environment=environment)
