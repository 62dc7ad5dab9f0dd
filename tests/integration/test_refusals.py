"""Refusals that do not name what they refuse, on the exchanges that have them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from wsresilient.testing import FakeExchange, wait_until

from .servers import PATIENCE
from .venue_clients import listening

TOO_FAST = {
    "okx": '{"event":"error","code":"60014","msg":"Requests too frequent","connId":"a4d3ae55"}',
    "mexc": '{"channel":"rs.error","data":"Requests are too frequent, please try again later"}',
}
TOPICS = {
    "okx": ("tickers:BTC-USDT", "trades:ETH-USDT"),
    "mexc": ("deal:BTC_USDT", "ticker:ETH_USDT"),
}


@pytest.mark.parametrize("name", ["okx", "mexc"])
def test_too_many_requests_without_an_id_costs_a_pause_and_no_topic(name: str) -> None:
    with FakeExchange(name) as exchange:
        exchange.stop_feed()  # on MEXC, data confirms too
        exchange.lose_next_ack(None)
        venue = exchange.venue
        limits = dataclasses.replace(venue.limits, topics_per_request=1)
        with listening(
            exchange,
            *TOPICS[name],
            venue=venue.replace(limits=limits),
            ack_timeout=10 * PATIENCE,
            ack_retries=1,
        ) as client:
            wait_until(lambda: len(exchange.requests) == 2, PATIENCE, "both requests")
            exchange.answer_all()
            exchange.broadcast(TOO_FAST[name])
            client.wait_for_topics(*TOPICS[name])

            assert client.ws.failed_subscriptions == {}
            assert client.seen.errors == []
            assert exchange.requests[2].at - exchange.requests[1].at > 1.5  # it has paused


def test_a_contract_that_mexc_does_not_name_is_the_only_one_that_fails() -> None:
    bad, *good = (f"deal:{symbol}_USDT" for symbol in ("BTC", "ETH", "SOL"))
    with FakeExchange("mexc") as exchange:
        exchange.stop_feed()
        exchange.refuse_topic(bad, message="Contract doesn't exist!")
        with listening(exchange, bad, *good) as client:
            client.wait_for_topics(*good)
            (error,) = client.seen.wait_for_errors()

            assert "Contract doesn't exist!" in str(error)
            assert client.ws.failed_subscriptions.keys() == {bad}
            methods = [json.loads(request.payload)["method"] for request in exchange.requests]
            assert set(methods) == {"sub.deal"}
