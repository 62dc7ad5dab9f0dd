"""RestClient against the fake exchange: the four venues in all their markets."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.support import BOUND
from wsresilient import Credentials, RestClient, VenueError
from wsresilient.runtime import listen_key, rest
from wsresilient.runtime.clock import monotonic, wall_clock
from wsresilient.runtime.host_pauses import HostPauses
from wsresilient.runtime.listen_key import ListenKeyKeeper
from wsresilient.testing import FakeExchange
from wsresilient.venues import MEXC, OKX, Binance, Bybit, Venue


class Case(NamedTuple):
    """A venue and symbols in its spelling, the one with the largest volume first."""

    venue: Venue
    symbols: list[str]
    quote: str = "USDT"
    kind: str | None = None


PLAIN = ["SOLUSDT", "BTCUSDT", "ETHUSDT", "DOGEUSDT", "XRPUSDT"]
CASES = {
    "binance": Case(Binance(), PLAIN),
    "binance-futures": Case(Binance("futures"), PLAIN, kind="perpetual"),
    "okx": Case(OKX(), ["SOL-USDT", "BTC-USDT", "ETH-USDT"]),
    "okx-swap": Case(OKX(), ["SOL-USDT-SWAP", "BTC-USDT-SWAP", "ETH-USDT-SWAP"], kind="perpetual"),
    "bybit-linear": Case(Bybit(), PLAIN),
    "bybit-spot": Case(Bybit("spot"), PLAIN),
    "mexc": Case(MEXC(), ["SOL_USDT", "BTC_USDT", "ETH_USDT"]),
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know of no pause of another test's exchange on the same port."""
    pauses = HostPauses()
    for module in (rest, listen_key):
        monkeypatch.setattr(module, "default_host_pauses", lambda: pauses)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def exchange(case: Case) -> Iterator[FakeExchange]:
    with FakeExchange(case.venue, symbols=case.symbols) as made:
        yield made


@pytest.fixture
def client(case: Case, exchange: FakeExchange) -> Iterator[RestClient]:
    venue = case.venue.replace(rest_url=exchange.rest_url)
    with RestClient(venue, timeout=BOUND) as made:
        yield made


def test_the_symbols_are_those_that_are_traded(case: Case, client: RestClient) -> None:
    found = client.symbols(kind=case.kind)

    assert [symbol.name for symbol in found] == case.symbols
    assert {symbol.quote for symbol in found} == {case.quote}
    assert [symbol.base for symbol in found] == [
        name[: len(s.base)] for name, s in zip(case.symbols, found, strict=True)
    ]
    assert all(symbol.active for symbol in found)
    if case.kind is not None:
        assert {symbol.kind for symbol in found} == {case.kind}


def test_the_first_by_volume(case: Case, client: RestClient) -> None:
    assert client.top_by_volume(2, kind=case.kind) == case.symbols[:2]
    assert client.top_by_volume(100, kind=case.kind, quote=case.quote) == case.symbols
    assert client.top_by_volume(1, kind=case.kind, quote="EUR") == []

    tickers = {ticker.symbol: ticker for ticker in client.tickers(kind=case.kind)}
    volumes = [tickers[name].quote_volume for name in case.symbols]
    assert all(larger > smaller for larger, smaller in pairwise(volumes))
    assert all(ticker.last_price for ticker in tickers.values())


def test_klines(case: Case, client: RestClient) -> None:
    symbol = case.symbols[1]
    found = client.klines(symbol, "1m", 30)

    assert len(found) == 30
    opened = [kline.opened_at for kline in found]
    assert opened == [opened[0] + 60.0 * n for n in range(30)]
    assert all(kline.closed for kline in found[:-1])
    assert {kline.symbol for kline in found} == {symbol}
    for kline in found:
        assert kline.low <= min(kline.open, kline.close) <= kline.high
        assert isinstance(kline.open, Decimal)


def test_klines_of_a_time(case: Case, client: RestClient) -> None:
    symbol = case.symbols[0]
    start = (wall_clock() // 3600 - 48) * 3600.0

    found = client.klines(symbol, "1h", start=start, end=start + 5 * 3600)
    first = client.klines(symbol, "1h", 3, start=start)
    last = client.klines(symbol, "1h", 2, end=start + 5 * 3600)

    opened = [start + 3600.0 * n for n in range(5)]
    assert [kline.opened_at for kline in found] == opened
    assert all(kline.closed for kline in found)
    assert first == found[:3]
    assert last == found[3:]


def test_trades(case: Case, client: RestClient) -> None:
    found = client.trades(case.symbols[0], 20)

    assert len(found) == 20
    assert all(earlier.at <= later.at for earlier, later in pairwise(found))
    assert {trade.side for trade in found} <= {"buy", "sell"}
    assert all(trade.price > 0 and trade.quantity > 0 for trade in found)


def test_the_order_book(case: Case, client: RestClient) -> None:
    book = client.order_book(case.symbols[0], 5)

    assert len(book.bids) == len(book.asks) == 5
    assert [price for price, _ in book.bids] == sorted((p for p, _ in book.bids), reverse=True)
    assert [price for price, _ in book.asks] == sorted(p for p, _ in book.asks)
    assert book.bids[0][0] < book.asks[0][0]
    assert book.sequence


def test_the_clock(client: RestClient) -> None:
    assert client.server_time() == pytest.approx(wall_clock(), abs=BOUND)


def test_an_unknown_symbol_is_told(case: Case, client: RestClient) -> None:
    unknown = case.symbols[0].replace("SOL", "NOSUCH")
    for ask in (
        lambda: client.klines(unknown, "1m"),
        lambda: client.trades(unknown),
        lambda: client.order_book(unknown),
    ):
        with pytest.raises(VenueError, match=rf"^{case.venue.name}: GET /.*code -?\d+: ") as caught:
            ask()
        assert caught.value.code
        assert "symbols(" in str(caught.value)


def test_a_limit_of_requests_is_kept(case: Case, exchange: FakeExchange) -> None:
    venue = case.venue.replace(rest_url=exchange.rest_url)
    exchange.respond_rest(429, {"Retry-After": "3600"})
    with RestClient(venue) as one, RestClient(venue) as other:
        for client in (one, other):
            with pytest.raises(VenueError) as caught:
                client.server_time()
            assert caught.value.retry_after == pytest.approx(3600.0, abs=60.0)

    assert len(exchange.rest_requests) == 1


@pytest.mark.parametrize("name", ["binance", "binance-futures"])
def test_earlier_trades_by_their_number(name: str) -> None:
    case = CASES[name]
    with (
        FakeExchange(case.venue, symbols=case.symbols) as exchange,
        RestClient(case.venue, base_url=exchange.rest_url) as client,
    ):
        latest = client.trades("BTCUSDT", 10, aggregated=True)
        wanted = int(latest[3].id or 0)

        found = client.trades("BTCUSDT", 5, from_id=wanted, aggregated=True)

    assert [trade.id for trade in found] == [wanted + n for n in range(5)]


def test_earlier_trades_of_okx() -> None:
    case = CASES["okx"]
    with (
        FakeExchange(case.venue, symbols=case.symbols) as exchange,
        RestClient(case.venue, base_url=exchange.rest_url) as client,
    ):
        latest = client.trades("BTC-USDT", 10)
        wanted = int(latest[3].id or 0)

        found = client.trades("BTC-USDT", 5, from_id=wanted)

    assert [int(trade.id or 0) for trade in found] == [wanted + n for n in range(5)]


@pytest.mark.parametrize("venue", [Bybit(), MEXC()], ids=["bybit", "mexc"])
def test_many_symbols(venue: Venue) -> None:
    mark = "_" if isinstance(venue, MEXC) else ""
    names = [f"C{n:03}{mark}USDT" for n in range(750)]
    with (
        FakeExchange(venue, symbols=names) as exchange,
        RestClient(venue, base_url=exchange.rest_url) as client,
    ):
        assert client.top_by_volume(750) == names


def test_a_listen_key_of_the_fake_futures() -> None:
    expired: list[Any] = []
    venue = Binance("futures")
    spec = venue.listen_key(group="private")
    assert spec is not None
    with FakeExchange(venue) as exchange:
        keeper = ListenKeyKeeper(
            spec,
            base_url=exchange.rest_url,
            credentials=Credentials("key", "secret"),
            name="account",
            on_expired=lambda: expired.append(1),
        )
        first = keeper.obtain(deadline=monotonic() + BOUND)
        second = keeper.obtain(deadline=monotonic() + BOUND)
        assert keeper.stop(timeout=BOUND)

    assert first == second
    assert expired == []
