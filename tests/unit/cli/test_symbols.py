"""What is said of a symbol that brings nothing."""

from __future__ import annotations

import pytest

from wsresilient.cli.symbols import SymbolAdviser, advice
from wsresilient.venues import MEXC

KNOWN = ("BTC-USDT", "BTC-USDC", "ETH-USDT", "SOL-USDT")


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("BTC-USDX", "okx has no symbol 'BTC-USDX'; did you mean BTC-USDT, BTC-USDC?"),
        ("eth-usdt", "okx has no symbol 'eth-usdt'; did you mean ETH-USDT, "),
        (
            "WHATEVER",
            "okx has no symbol 'WHATEVER'; it has 4, such as BTC-USDT, BTC-USDC, ETH-USDT, SOL",
        ),
        ("SOL-USDT", "'SOL-USDT' is traded on okx: it may just be quiet"),
    ],
)
def test_the_nearest_names_are_proposed(symbol: str, said: str) -> None:
    assert advice("okx", symbol, KNOWN).startswith(said)


def test_without_an_answer_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsresilient.cli.symbols.PATIENCE", 0.05)
    adviser = SymbolAdviser(MEXC(rest_url="http://127.0.0.1:1"))

    assert adviser.explain(["deal:BTC_USDX"]) == []


def test_topics_without_a_symbol_need_no_question() -> None:
    assert SymbolAdviser(MEXC(rest_url="http://127.0.0.1:1")).explain(["tickers"]) == []
