"""How the REST of the fake OKX looks. The fields are those of the documentation's samples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsresilient.core.credentials import Credentials
from wsresilient.testing.events import Depth, Kind, Stream
from wsresilient.testing.listen_keys import ListenKeys
from wsresilient.testing.market import Market
from wsresilient.testing.rest_server import MarketDesk
from wsresilient.testing.rest_shapes.base import RestRequest
from wsresilient.testing.rest_shapes.okx import OKXShape

NOW = 1_672_515_782_136
MINUTE = 60_000
SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP")
MARKET = Market(SYMBOLS, seed=1)
DESK = MarketDesk(MARKET, Credentials("k", "s"), ListenKeys(60.0, lambda: 0.0), lambda: NOW)


def get(path: str, **query: object) -> list[Any]:
    named = {name: str(value) for name, value in query.items()}
    answer = OKXShape().answer(RestRequest("GET", f"/api/v5/{path}", named), DESK)
    assert answer is not None
    assert answer.status == 200
    body = json.loads(answer.body)
    rows: list[Any] = body.pop("data")
    assert body == {"code": "0", "msg": ""}
    return rows


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v5/market/nothing"), ("GET", "/"), ("POST", "/api/v5/public/time")],
)
def test_other_paths_do_not_exist(method: str, path: str) -> None:
    assert OKXShape().answer(RestRequest(method, path), DESK) is None


def test_the_time() -> None:
    assert get("public/time") == [{"ts": str(NOW)}]


def test_instruments() -> None:
    pairs, swaps = (
        get("public/instruments", instType="SPOT"),
        get("public/instruments", instType="SWAP", instId="ETH-USDT-SWAP"),
    )

    assert [pair["instId"] for pair in pairs] == ["BTC-USDT", "ETH-USDT"]
    assert (pairs[0]["baseCcy"], pairs[0]["quoteCcy"], pairs[0]["state"]) == ("BTC", "USDT", "live")
    (swap,) = swaps
    assert (swap["instFamily"], swap["ctType"], swap["settleCcy"], swap["ctValCcy"]) == (
        *("ETH-USDT", "linear", "USDT", "ETH"),
    )
    assert get("public/instruments", instType="OPTION") == []


def test_pairs_rank_by_turnover_and_swaps_by_coins_times_price() -> None:
    pairs = get("market/tickers", instType="SPOT")
    swaps = get("market/tickers", instType="SWAP")

    turnover = [float(pair["volCcy24h"]) for pair in pairs]
    assert [pair["instId"] for pair in pairs] == ["BTC-USDT", "ETH-USDT"]
    assert turnover == sorted(set(turnover), reverse=True)
    worth = [float(swap["volCcy24h"]) * float(swap["last"]) for swap in swaps]
    assert worth == sorted(set(worth), reverse=True)
    assert get("market/ticker", instId="ETH-USDT") == [pairs[1]]


@pytest.mark.parametrize("path", ["market/candles", "market/history-candles"])
def test_candles_come_newest_first(path: str) -> None:
    rows = get(path, instId="BTC-USDT", bar="1m", limit=3)
    times = [int(row[0]) for row in rows]
    newest = NOW - NOW % MINUTE

    assert times == [newest, newest - MINUTE, newest - 2 * MINUTE]
    assert [row[8] for row in rows] == ["0", "1", "1"]
    assert all(len(row) == 9 and all(isinstance(value, str) for value in row) for row in rows)
    older = get(path, instId="BTC-USDT", bar="1m", limit=2, after=times[0])
    assert older == rows[1:]
    assert get(path, instId="BTC-USDT", bar="1m", limit=3, before=times[1]) == rows[:1]
    assert len(get(path, instId="BTC-USDT", limit=9999)) == 300


def test_trades_come_newest_first_and_by_pages() -> None:
    rows = get("market/trades", instId="BTC-USDT", limit=5)
    ids = [int(row["tradeId"]) for row in rows]

    assert ids == list(range(ids[0], ids[0] - 5, -1))
    assert list(rows[0]) == ["instId", "side", "sz", "px", "tradeId", "ts"]
    page = get("market/history-trades", instId="BTC-USDT", after=ids[1], limit=2)
    assert page == rows[2:4]
    assert get("market/history-trades", instId="BTC-USDT", before=ids[2], limit=5) == rows[:2]


def test_trades_by_time() -> None:
    rows = get("market/trades", instId="BTC-USDT", limit=5)
    until, since = rows[0]["ts"], rows[4]["ts"]

    between = get(
        "market/history-trades", instId="BTC-USDT", type=2, after=until, before=since, limit=9
    )

    assert between == rows[1:4]


@pytest.mark.parametrize("path", ["market/books", "market/books-full"])
def test_the_order_book_has_the_number_of_the_stream(path: str) -> None:
    depth = MARKET.follow(Stream("BTC-USDT", Kind.DEPTH)).next(NOW)
    assert isinstance(depth, Depth)

    (book,) = get(path, instId="BTC-USDT", sz=400)
    (best,) = get(path, instId="BTC-USDT")

    assert book["seqId"] == depth.last_id
    assert list(book) == ["asks", "bids", "ts", "seqId"]
    assert (len(book["bids"]), len(best["bids"])) == (50, 1)
    assert all(len(level) == 4 for level in book["asks"])


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("market/tickers", {}, "51000"),
        ("public/instruments", {"instType": "MOON"}, "51000"),
        ("market/candles", {"instId": "BTC-USDT", "bar": "7m"}, "51000"),
        ("market/candles", {"bar": "1m"}, "50014"),
        ("market/books", {"instId": "NO-PE"}, "51001"),
    ],
)
def test_errors(path: str, query: dict[str, str], code: str) -> None:
    answer = OKXShape().answer(RestRequest("GET", f"/api/v5/{path}", query), DESK)

    assert answer is not None
    assert answer.status == 400
    body = json.loads(answer.body)
    assert (body["code"], body["data"]) == (code, [])
    assert body["msg"]
