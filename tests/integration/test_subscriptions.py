"""Subscriptions under stress: many of them, from many threads, over restarts, within limits."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from wsresilient import (
    ConfigurationError,
    Message,
    NotConnectedError,
    ReconnectPolicy,
    ResilientWebSocket,
    SubscriptionError,
    SubscriptionLimitError,
)
from wsresilient.testing import FakeExchange, wait_until
from wsresilient.testing.records import ReceivedRequest
from wsresilient.venues import Limits, Rate

from .servers import PATIENCE
from .venue_clients import CREDENTIALS, listening

SYMBOLS = [f"S{number}USDT" for number in range(750)]
MEXC_SYMBOLS = [f"S{number}_USDT" for number in range(101)]
UNHURRIED = ReconnectPolicy(initial_delay=0.05, max_delay=0.2, jitter=0.0)


def quickly(exchange: FakeExchange) -> Limits:
    """The venue's limits without the pace, for tests of something else."""
    assert exchange.venue is not None
    return Limits(
        topics_per_request=exchange.venue.limits.topics_per_request,
        request_size=exchange.venue.limits.request_size,
    )


def test_750_topics_come_back_with_one_refused_and_one_unanswered() -> None:
    symbols = [f"S{number}-USDT" for number in range(750)]
    topics = [f"tickers:{symbol}" for symbol in symbols]
    refused, unanswered = topics[100], topics[600]
    with FakeExchange("okx", symbols=symbols, rate=5000.0) as exchange:
        venue = exchange.venue.replace(limits=quickly(exchange))
        with listening(
            exchange, *topics, venue=venue, ack_timeout=1.0, ack_retries=1, first_data_timeout=None
        ) as client:
            client.wait_for_topics(*topics)
            exchange.refuse_topic(refused)
            exchange.lose_next_ack(None, topic=unanswered)
            exchange.restart(0.05)

            live = set(topics) - {refused, unanswered}
            wait_until(lambda: len(client.ws.failed_subscriptions) == 2, 2 * PATIENCE)
            client.wait_for_topics(*live)
            assert len(live) == 748

            def topics_of_errors() -> list[str | None]:
                errors = client.seen.errors
                return [one.topic for one in errors if isinstance(one, SubscriptionError)]

            wait_until(lambda: set(topics_of_errors()) == {refused, unanswered})
            assert len(topics_of_errors()) == 2
            assert "no acknowledgement within 1 s, asked 2 times" in str(
                client.ws.failed_subscriptions[unanswered]
            )
            assert client.ws.get_stats()["reconnect_count"] == 1


@pytest.mark.parametrize(
    ("name", "write"),
    [("binance", "s{}usdt@trade"), ("bybit", "publicTrade.S{}USDT"), ("mexc", "deal:S{}_USDT")],
)
def test_where_acknowledgements_name_nothing_one_bad_topic_is_found(name: str, write: str) -> None:
    topics = [write.format(number) for number in range(90)]
    symbols = MEXC_SYMBOLS if name == "mexc" else SYMBOLS
    with FakeExchange(name, symbols=symbols[:90], rate=5000.0, message_rate=None) as exchange:
        exchange.refuse_topic(topics[33])
        venue = exchange.venue.replace(limits=quickly(exchange))
        with listening(exchange, *topics, venue=venue) as client:
            wait_until(lambda: client.ws.failed_subscriptions, PATIENCE, "the refusal")
            client.wait_for_topics(*topics[:33], *topics[34:])
            assert client.ws.failed_subscriptions.keys() == {topics[33]}
            assert client.ws.generation == 1


def duplicates(requests: list[ReceivedRequest]) -> list[str]:
    """Find topics that a connection asked for twice without ending them between."""
    present: Counter[tuple[int, str]] = Counter()
    twice = []
    for request in requests:
        message = json.loads(request.payload)
        for topic in message.get("params", ()):
            key = request.connection, topic
            present[key] += 1 if message["method"] == "SUBSCRIBE" else -1
            if present[key] > 1:
                twice.append(topic)
    return twice


def test_eight_threads_subscribe_while_the_server_restarts_again_and_again() -> None:
    symbols = [f"A{number}USDT" for number in range(80)]
    topics = [f"{symbol.lower()}@trade" for symbol in symbols]
    with FakeExchange("binance", symbols=symbols, rate=500.0, message_rate=None) as exchange:
        venue = exchange.venue.replace(limits=quickly(exchange))
        with listening(exchange, venue=venue, reconnect=UNHURRIED) as client:
            start = threading.Barrier(9)

            def work(mine: list[str]) -> None:
                start.wait()
                for _ in range(15):
                    client.ws.subscribe(*mine)
                    client.ws.unsubscribe(*mine[::2])
                    client.ws.subscribe(mine[0])
                    client.ws.set_subscriptions(client.ws.subscriptions | set(mine))

            threads = [
                threading.Thread(target=work, args=(topics[at::8],), daemon=True) for at in range(8)
            ]
            for thread in threads:
                thread.start()
            start.wait()
            for _ in range(4):
                exchange.restart(0.02, code=None)
            for thread in threads:
                thread.join(PATIENCE)
            client.ws.set_subscriptions(topics)

            client.wait_for_topics(*topics)
            assert set(exchange.subscriptions) == set(topics)
            assert duplicates(exchange.requests) == []


def test_adding_five_topics_needs_one_request_and_no_reconnect() -> None:
    more = [f"{symbol}@bookTicker" for symbol in ("btcusdt", "ethusdt", "bnbusdt", "solusdt")]
    with FakeExchange("binance") as exchange, listening(exchange, "btcusdt@trade") as client:
        client.wait_for_topics("btcusdt@trade")
        client.ws.subscribe(*more)
        client.wait_for_topics("btcusdt@trade", *more)
        assert [len(request.message["params"]) for request in exchange.requests] == [1, 4]
        assert client.ws.generation == 1


# Limits.


def test_a_request_that_is_larger_than_allowed_is_split() -> None:
    topics = [f"{symbol.lower()}@trade" for symbol in SYMBOLS]
    with FakeExchange("binance", symbols=SYMBOLS, message_rate=None) as exchange:
        limits = Limits(topics_per_request=200, request_size=2000)
        venue = exchange.venue.replace(limits=limits)
        with listening(exchange, *topics, venue=venue, first_data_timeout=None) as client:
            client.wait_for_topics(*topics)
            sizes = [len(request.payload) for request in exchange.requests]
            assert max(sizes) <= 2000
            assert len(sizes) > 4


def test_more_messages_a_second_than_allowed_never_leave() -> None:
    topics = [f"deal:{symbol}" for symbol in MEXC_SYMBOLS[:30]]
    with FakeExchange("mexc", symbols=MEXC_SYMBOLS) as exchange:
        venue = exchange.venue.replace(limits=Limits(topics_per_request=1, messages=Rate(20, 1.0)))
        with listening(exchange, *topics, venue=venue) as client:
            client.ws.wait_until_connected(PATIENCE)
            for number in range(5):  # what the user sends counts as well
                client.ws.send({"method": "sub.nothing", "param": {"n": number}})
            client.wait_for_topics(*topics)
            times = sorted(request.at for request in exchange.requests)
            assert len(times) >= 35
            # In any second: what was spaced at the sender may come a little closer together.
            assert all(
                later - earlier > 0.9 for earlier, later in zip(times, times[20:], strict=False)
            )


def test_the_exchange_sees_no_violation_of_its_own_limits_not_even_after_restarts() -> None:
    topics = [f"{symbol.lower()}@trade" for symbol in SYMBOLS[:300]]
    with (
        FakeExchange("binance", symbols=SYMBOLS[:300]) as exchange,
        listening(exchange, *topics) as client,
    ):
        for generation in (1, 2):
            client.wait_for_topics(*topics)
            if generation == 1:
                exchange.restart(0.02)
                wait_until(lambda: client.ws.generation > 1, PATIENCE)
        assert exchange.violations == []


def test_more_topics_than_a_connection_may_have_are_refused_as_a_whole() -> None:
    topics = [f"deal:{symbol}" for symbol in MEXC_SYMBOLS[:101]]
    with FakeExchange("mexc", symbols=MEXC_SYMBOLS) as exchange, listening(exchange) as client:
        with pytest.raises(SubscriptionLimitError, match=r"101 more topics .* 100 fit"):
            client.ws.subscribe(*topics)
        assert client.ws.subscriptions == frozenset()


def test_heartbeats_go_out_while_requests_wait_for_their_turn() -> None:
    topics = [f"deal:{symbol}" for symbol in MEXC_SYMBOLS[:60]]
    with FakeExchange("mexc", symbols=MEXC_SYMBOLS, idle_limit=0.8) as exchange:
        beat = exchange.venue.heartbeat
        assert beat is not None
        venue = exchange.venue.replace(
            limits=Limits(topics_per_request=1, messages=Rate(20, 1.0)),
            heartbeat=type(beat)(payload=beat.payload, interval=0.2, timeout=PATIENCE),
        )
        with listening(exchange, *topics, venue=venue) as client:
            client.wait_for_topics(*topics)
            assert client.ws.generation == 1
            assert exchange.violations == []


# Handlers, requests, unrouted messages.


def test_handlers_of_topics_get_their_own_messages_and_go_with_them() -> None:
    trades: list[Message] = []
    books: list[Message] = []
    with FakeExchange("binance") as exchange, listening(exchange, on_data=None) as client:
        client.ws.subscribe("btcusdt@trade", handler=trades.append)
        client.ws.subscribe("ethusdt@bookTicker", handler=books.append)
        wait_until(lambda: trades and books, PATIENCE)
        assert {message.topic for message in trades} == {"btcusdt@trade"}
        assert {message.topic for message in books} == {"ethusdt@bookTicker"}
        stats = client.ws.get_stats()
        assert stats["unrouted_messages"] == 0


def test_what_nobody_takes_is_counted_and_can_be_had() -> None:
    strange: list[Message] = []
    with FakeExchange("binance") as exchange, listening(exchange, "btcusdt@trade") as client:
        client.ws.on("unrouted", strange.append)
        client.wait_for_data("btcusdt@trade")
        exchange.broadcast('{"hello": "world"}')
        wait_until(lambda: strange, PATIENCE)
        assert strange[0].raw == {"hello": "world"}
        assert strange[0].topic is None
        stats = client.ws.get_stats()
        assert stats["unrouted_messages"] == 1
        assert stats["message_count"] > 1


def test_what_cannot_be_decoded_is_an_error_with_an_excerpt_and_not_the_end() -> None:
    with FakeExchange("binance") as exchange, listening(exchange, "btcusdt@trade") as client:
        client.wait_for_data("btcusdt@trade")
        exchange.broadcast("no json at all")
        (error,) = client.seen.wait_for_errors()
        assert "no json at all" in str(error)
        client.wait_for_data("btcusdt@trade")
        assert client.ws.generation == 1


def test_raw_messages_come_as_they_are_without_acknowledgements() -> None:
    raw: list[str | bytes] = []
    with (
        FakeExchange("okx") as exchange,
        listening(exchange, "tickers:BTC-USDT", on_data=None, on_message=raw.append) as client,
    ):
        client.wait_for_topics("tickers:BTC-USDT")
        wait_until(lambda: raw, PATIENCE)
        assert all('"event"' not in payload for payload in raw if isinstance(payload, str))


def test_freshness_is_told_for_each_topic() -> None:
    with (
        FakeExchange("binance") as exchange,
        listening(exchange, "btcusdt@trade", "ethusdt@trade") as client,
    ):
        client.wait_for_data("btcusdt@trade", "ethusdt@trade")
        exchange.silence("btcusdt@trade")
        wait_until(lambda: not client.ws.is_fresh("btcusdt@trade", max_age=0.3), PATIENCE)
        assert client.ws.is_fresh("ethusdt@trade", max_age=PATIENCE)
        assert not client.ws.is_fresh("solusdt@trade", max_age=PATIENCE)


def test_the_first_question_about_a_topic_is_answered_by_what_is_known() -> None:
    raw: list[str | bytes] = []
    with (
        FakeExchange("binance") as exchange,
        listening(
            exchange, "btcusdt@trade", "ethusdt@trade", on_data=None, on_message=raw.append
        ) as client,
    ):
        client.wait_for_topics("btcusdt@trade", "ethusdt@trade")
        wait_until(lambda: raw, PATIENCE)
        assert client.ws.is_fresh("btcusdt@trade", PATIENCE)
        assert not client.ws.is_fresh("solusdt@trade", PATIENCE)
        exchange.silence("btcusdt@trade")
        wait_until(lambda: not client.ws.is_fresh("btcusdt@trade", 0.3), PATIENCE)
        assert client.ws.is_fresh("ethusdt@trade")


def test_a_request_gets_the_answer_with_its_id() -> None:
    with FakeExchange("binance") as exchange, listening(exchange, "btcusdt@trade") as client:
        client.wait_for_topics("btcusdt@trade")
        answer = client.ws.request({"method": "LIST_SUBSCRIPTIONS"}, timeout=PATIENCE)
        assert answer["result"] == ["btcusdt@trade"]
        own = client.ws.request({"method": "LIST_SUBSCRIPTIONS", "id": "mine"}, timeout=PATIENCE)
        assert own["id"] == "mine"
        assert client.ws.get_stats()["unrouted_messages"] == 0


@pytest.mark.parametrize("venue", ["bybit", "bybit-spot", "bybit-private"])
def test_a_pong_is_the_answer_of_who_asked_for_it(venue: str) -> None:
    auth = CREDENTIALS if venue == "bybit-private" else None
    with FakeExchange(venue) as exchange, listening(exchange, auth=auth) as client:
        assert client.ws.wait_until_connected(PATIENCE)
        answer = client.ws.request({"op": "ping", "req_id": "abc"}, timeout=PATIENCE)
        assert answer["req_id"] == "abc"
        answer = client.ws.request({"op": "ping"}, timeout=PATIENCE)
        assert answer["op"] in ("ping", "pong")
        assert client.messages == []


def test_a_request_without_an_answer_ends_in_time_or_with_the_connection() -> None:
    with FakeExchange("bybit") as exchange, listening(exchange, "publicTrade.BTCUSDT") as client:
        client.wait_for_topics("publicTrade.BTCUSDT")
        exchange.hold_acks()
        with pytest.raises(TimeoutError):
            client.ws.request({"op": "subscribe", "args": ["tickers.BTCUSDT"]}, timeout=0.1)
        caught: list[BaseException] = []

        def ask() -> None:
            try:
                client.ws.request({"op": "subscribe", "args": ["kline.1.BTCUSDT"]}, timeout=30.0)
            except Exception as error:
                caught.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        wait_until(lambda: any("kline" in str(one.payload) for one in exchange.requests), PATIENCE)
        exchange.abort_all()
        asking.join(PATIENCE)
        assert isinstance(caught[0], NotConnectedError)


def test_a_venue_whose_answers_have_no_ids_needs_a_match() -> None:
    with FakeExchange("mexc") as exchange, listening(exchange) as client:
        client.ws.wait_until_connected(PATIENCE)
        with pytest.raises(ConfigurationError, match="needs match="):
            client.ws.request({"method": "sub.deal"}, timeout=1.0)


def test_on_open_is_over_before_topics_are_asked_for() -> None:
    sent: list[str] = []

    def on_open(ws: object) -> None:
        sent.append(ws.send({"method": "GET_PROPERTY", "params": ["combined"], "id": 77}))  # type: ignore[attr-defined]

    with (
        FakeExchange("binance") as exchange,
        listening(exchange, "btcusdt@trade", on_open=on_open) as client,
    ):
        for generation in (1, 2):
            client.wait_for_topics("btcusdt@trade")
            if generation == 1:
                exchange.restart(0.02)
                wait_until(lambda: client.ws.generation > 1, PATIENCE)
        methods = [request.message["method"] for request in exchange.requests]
        assert methods == ["GET_PROPERTY", "SUBSCRIBE"] * 2


def test_keep_latest_keeps_the_latest_of_each_topic() -> None:
    held = threading.Event()
    first = threading.Event()
    seen: list[Message] = []

    def slow(message: Message) -> None:
        first.set()
        assert held.wait(PATIENCE)
        seen.append(message)

    with (
        FakeExchange("binance", rate=2000.0) as exchange,
        listening(
            exchange,
            "btcusdt@trade",
            "ethusdt@trade",
            on_data=slow,
            overflow="keep_latest",
            queue_size=20,
        ) as client,
    ):
        assert first.wait(PATIENCE)
        wait_until(lambda: client.ws.get_stats()["dropped_messages"] > 100, PATIENCE)
        exchange.stop_feed()
        held.set()
        wait_until(lambda: client.ws.get_stats()["queue_depth"] == 0, PATIENCE)
        latest: dict[str | None, int] = {}
        for message in seen:
            latest[message.topic] = message.data["t"]
        assert len(latest) == 2


def test_a_hole_in_a_numbered_stream_is_told_in_its_place() -> None:
    with FakeExchange("binance") as exchange, listening(exchange, "btcusdt@trade") as client:
        client.wait_for_data("btcusdt@trade")
        exchange.lose_messages(3, topic="btcusdt@trade")
        wait_until(lambda: client.seen.gaps, PATIENCE, "the gap")
        (gap,) = client.seen.gaps
        assert (gap.reason, gap.topics) == ("sequence", ("btcusdt@trade",))
        assert gap.first_seen - gap.last_seen == 4
        client.wait_for_data("btcusdt@trade")
        ids = [message.data["t"] for message in client.messages]
        assert ids.index(gap.first_seen) == ids.index(gap.last_seen) + 1
        assert client.ws.get_stats()["gap_count"] == 1


def test_a_reconnect_is_one_gap_and_not_one_of_each_topic() -> None:
    with (
        FakeExchange("binance") as exchange,
        listening(exchange, "ethusdt@trade", "btcusdt@trade", "solusdt@trade") as client,
    ):
        client.wait_for_data("btcusdt@trade", "ethusdt@trade")
        client.ws.unsubscribe("solusdt@trade")
        client.wait_for_topics("btcusdt@trade", "ethusdt@trade")
        exchange.abort_all()
        wait_until(lambda: client.ws.generation > 1, PATIENCE)
        client.wait_for_data("btcusdt@trade", "ethusdt@trade")
        assert [(gap.reason, gap.topics) for gap in client.seen.gaps] == [
            ("reconnect", ("btcusdt@trade", "ethusdt@trade"))
        ]


def test_a_connection_without_topics_is_not_stale() -> None:
    with (
        FakeExchange("binance") as exchange,
        listening(exchange, stale_after=0.3, first_data_timeout=None) as client,
    ):
        client.ws.wait_until_connected(PATIENCE)
        wait_until(lambda: client.ws.get_stats()["connection_duration"] > 1.0, PATIENCE)
        assert client.ws.generation == 1
        exchange.silence("btcusdt@trade")
        client.ws.subscribe("btcusdt@trade")
        wait_until(lambda: client.ws.generation > 1, PATIENCE, "a stale topic")


def test_ids_of_the_user_meet_none_of_the_librarys() -> None:
    def on_open(ws: ResilientWebSocket) -> None:
        ws.send({"id": "1", "op": "nope"})

    with (
        FakeExchange("okx") as exchange,
        listening(exchange, "tickers:BTC-USDT", on_open=on_open) as client,
    ):
        exchange.delay_acks(0.1)
        client.wait_for_topics("tickers:BTC-USDT")
        assert client.ws.failed_subscriptions == {}
