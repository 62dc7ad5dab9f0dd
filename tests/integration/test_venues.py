"""The four exchanges, each from the first subscription to the heartbeat that keeps it."""

from __future__ import annotations

import pytest

from wsresilient import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    Message,
    ResilientWebSocket,
    SubscriptionLimitError,
    VenueError,
)
from wsresilient.testing import FakeExchange, FaultProxy, wait_until
from wsresilient.venues import MEXC, OKX, Binance, Bybit, Custom, Heartbeat, Limits, Venue

from .servers import PATIENCE, good_server
from .venue_clients import CREDENTIALS, PUBLIC, Case, Listening, hasty, listening


@pytest.fixture(params=PUBLIC.values(), ids=list(PUBLIC))
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param
    return made


def test_subscribe_receive_add_remove_and_everything_back_after_a_restart(case: Case) -> None:
    with (
        FakeExchange(case.venue) as exchange,
        listening(exchange, case.first, channels=[case.pair[0]]) as client,
    ):
        client.wait_for_topics(case.first)
        client.wait_for_data(case.first)
        message = client.messages[0]
        assert message.topic == case.first
        assert message.symbol is not None
        assert message.channel is not None
        assert message.channel in case.first
        generation = client.ws.generation

        client.ws.subscribe(case.second)
        client.ws.add_pair(case.pair[1])
        assert client.ws.venue is not None
        pair = client.ws.venue.topic(*case.pair)
        client.wait_for_topics(case.first, case.second, pair)
        client.wait_for_data(case.first, case.second, pair)
        client.ws.unsubscribe(case.first)
        client.wait_for_topics(case.second, pair)
        assert client.ws.generation == generation

        exchange.restart(0.05)
        wait_until(lambda: client.ws.generation > generation, PATIENCE)
        client.wait_for_topics(case.second, pair)
        client.wait_for_data(case.second, pair)
        assert set(exchange.subscriptions) == {case.second, pair}
        client.ws.remove_pair(case.pair[1])
        client.wait_for_topics(case.second)
        assert exchange.violations == []
        assert client.ws.failed_subscriptions == {}


@pytest.mark.parametrize("name", ["okx", "bybit", "mexc"])
def test_the_heartbeat_keeps_a_silent_connection_for_longer_than_the_idle_limit(name: str) -> None:
    with FakeExchange(name, idle_limit=0.6) as exchange:
        venue = hasty(exchange.venue)
        with listening(exchange, PUBLIC[name].first, venue=venue) as client:
            client.wait_for_data(PUBLIC[name].first)
            exchange.stop_feed()
            at = exchange.requests[-1].at
            wait_until(lambda: exchange.requests[-1].at - at > 2.0, PATIENCE, "heartbeats for 2 s")

            assert client.ws.generation == 1
            assert exchange.violations == []


def test_data_is_no_heartbeat_where_the_exchange_wants_one() -> None:
    with FakeExchange("mexc", idle_limit=0.4) as exchange:
        with listening(exchange, "deal:BTC_USDT") as client:  # its ping comes every 15 s
            wait_until(lambda: client.ws.generation > 1, PATIENCE, "being cut")
        assert {violation.what.value for violation in exchange.violations} == {"idle"}


def test_an_exchange_that_answers_no_heartbeat_is_left() -> None:
    with FakeExchange("okx") as exchange, FaultProxy(exchange.host, exchange.port) as proxy:
        venue = exchange.venue.replace(
            url=proxy.through(exchange.url),
            heartbeat=Heartbeat(payload="ping", interval=0.1, timeout=0.3),
        )
        with listening(exchange, "tickers:BTC-USDT", venue=venue, open_timeout=0.5) as client:
            client.wait_for_data("tickers:BTC-USDT")
            proxy.black_hole()
            (error,) = client.seen.wait_for_errors()
            assert "heartbeat timed out: nothing came for" in str(error)
            proxy.heal()
            wait_until(lambda: client.ws.generation > 1, PATIENCE, "a new connection")
            client.wait_for_data("tickers:BTC-USDT")


PRIVATE: dict[str, tuple[str, tuple[str, ...]]] = {
    "binance": ("binance", ()),
    "binance-futures": ("binance-futures", ()),
    "okx": ("okx-private", ("orders?instType=ANY", "account")),
    "bybit": ("bybit-private", ("order", "wallet")),
    "mexc": ("mexc", ("personal.order", "personal.asset")),
}


@pytest.fixture(params=PRIVATE.values(), ids=list(PRIVATE))
def private(request: pytest.FixtureRequest) -> tuple[str, tuple[str, ...]]:
    made: tuple[str, tuple[str, ...]] = request.param
    return made


def test_a_private_login_brings_private_data_also_after_a_restart(
    private: tuple[str, tuple[str, ...]],
) -> None:
    name, topics = private
    with FakeExchange(name) as exchange, listening(exchange, *topics, auth=CREDENTIALS) as client:
        wanted = topics or ("userData",)
        for generation in (1, 2):
            assert client.ws.wait_until_connected(PATIENCE)
            client.wait_for_topics(*wanted)
            before = len(client.messages)
            for topic in wanted:
                event = {"e": "executionReport", "s": "BTCUSDT", "symbol": "BTCUSDT"}
                assert exchange.push_private(topic, event) == 1
            client.wait_for_data(*wanted, since=before)
            if generation == 1:
                exchange.restart(0.05)
                wait_until(lambda: client.ws.generation > 1, PATIENCE)
        assert exchange.violations == []


def test_a_bad_login_is_fatal_and_says_so_without_the_secret(
    private: tuple[str, tuple[str, ...]],
) -> None:
    name, topics = private
    wrong = type(CREDENTIALS)("another-key-1234", "another-secret-1234", "another-pass-1234")
    with FakeExchange(name) as exchange, listening(exchange, *topics, auth=wrong) as client:
        with pytest.raises(AuthenticationError) as caught:
            client.ws.wait_until_connected(PATIENCE)
        assert client.ws.state == "failed"
        assert client.ws.generation == 1
        assert client.seen.opens == []
        assert client.seen.closes == []
        (error,) = client.seen.wait_for_errors()
        assert isinstance(error, AuthenticationError)
        shown = f"{caught.value} {error} {client.ws.last_error} {client.ws.get_stats()}"
        assert "another-" not in shown
        assert exchange.subscriptions == {}


@pytest.mark.parametrize("name", ["okx-private", "bybit-private"])
def test_no_topic_is_sent_before_the_login_is_answered(name: str) -> None:
    topics = {"okx-private": ("account",), "bybit-private": ("wallet",)}[name]
    with FakeExchange(name) as exchange:
        exchange.hold_logins()
        with listening(exchange, *topics, auth=CREDENTIALS) as client:
            wait_until(lambda: exchange.logins, PATIENCE, "the login")
            assert not client.ws.wait_until_connected(0.2)
            assert client.ws.state == "connecting"
            assert len(exchange.requests) == 1
            exchange.release_logins()
            client.wait_for_topics(*topics)
        assert len(exchange.requests) == 2


def test_credentials_are_asked_for_at_every_login() -> None:
    given = [type(CREDENTIALS)("old-key", "old-secret", "old-pass"), CREDENTIALS]
    with (
        FakeExchange("okx-private") as exchange,
        listening(exchange, "account", auth=lambda: given.pop(0)) as client,
    ):
        client.wait_for_topics("account")
        assert client.ws.generation == 2
        assert [login.was_accepted for login in exchange.logins] == [False, True]


def test_a_wrong_clock_is_told_as_the_cause_and_tried_again() -> None:
    with FakeExchange("okx-private") as exchange:
        exchange.shift_clock(3600.0)
        with listening(exchange, "account", auth=CREDENTIALS) as client:
            errors = client.seen.wait_for_errors(2)
            assert "the clock of this machine is off" in str(errors[0])
            exchange.shift_clock(0.0)
            client.wait_for_topics("account")


def test_a_notice_of_a_shutdown_leads_to_a_new_connection_before_the_end() -> None:
    with (
        FakeExchange("okx") as exchange,
        listening(exchange, "tickers:BTC-USDT", min_uptime=0.0) as client,
    ):
        client.wait_for_topics("tickers:BTC-USDT")
        exchange.announce_shutdown()
        wait_until(lambda: client.ws.generation == 2, PATIENCE)
        client.wait_for_topics("tickers:BTC-USDT")
        assert client.seen.errors == []
        assert client.seen.closes[0][0] == 1000


# The traps of VENUES.md, section 0.1, that need a connection.


def test_an_acknowledgement_is_not_yet_data() -> None:
    with (
        FakeExchange("binance") as exchange,
        listening(exchange, "btcusdt@trade", "nosuchusdt@trade", first_data_timeout=0.3) as client,
    ):
        (error,) = client.seen.wait_for_errors()
        assert "nosuchusdt@trade" in str(error)
        assert "has brought no data" in str(error)
        assert client.ws.subscriptions == {"btcusdt@trade", "nosuchusdt@trade"}
        assert client.ws.generation == 1


def told(client: Listening) -> str:
    return "\n".join(map(str, client.seen.errors))


def test_topics_in_the_url_are_not_yet_data_either() -> None:
    with FakeExchange("binance") as exchange:
        url = exchange.url_for("btcusdt@trade", "nosuchusdt@trade")
        with listening(exchange, url=url, first_data_timeout=0.3) as client:
            wait_until(lambda: "'nosuchusdt@trade' stands in the URL" in told(client), PATIENCE)
            assert client.ws.subscriptions == {"btcusdt@trade", "nosuchusdt@trade"}
            assert exchange.requests == []


def test_topics_in_a_functions_url_are_wanted_and_waited_for() -> None:
    with FakeExchange("binance") as exchange:
        url = exchange.url_for("btcusdt@trade", "nosuchusdt@trade")
        with listening(exchange, url=lambda: url, first_data_timeout=0.3) as client:
            client.wait_for_topics("btcusdt@trade", "nosuchusdt@trade")
            client.wait_for_data("btcusdt@trade")
            wait_until(lambda: "'nosuchusdt@trade' stands in the URL" in told(client), PATIENCE)
            assert exchange.requests == []
            client.ws.unsubscribe("nosuchusdt@trade")
            client.wait_for_topics("btcusdt@trade")
            client.ws.reconnect()
            wait_until(lambda: client.ws.generation == 2, PATIENCE)
            client.wait_for_topics("btcusdt@trade")
            client.wait_for_data("btcusdt@trade")


def test_more_topics_in_a_functions_url_than_may_be_are_told() -> None:
    with FakeExchange("binance") as exchange:
        url = exchange.url_for("btcusdt@trade", "ethusdt@trade")
        venue = exchange.venue.replace(limits=Limits(topics_per_connection=1))
        with listening(exchange, venue=venue, url=lambda: url) as client:
            (error,) = client.seen.wait_for_errors()
            assert isinstance(error, SubscriptionLimitError)
            client.wait_for_topics()


def test_topics_of_two_routes_are_not_put_on_one_connection() -> None:
    with FakeExchange("binance-futures") as exchange, listening(exchange) as client:
        assert client.ws.wait_until_connected(PATIENCE)
        client.ws.subscribe("btcusdt@depth")
        client.wait_for_topics("btcusdt@depth")
        client.wait_for_data("btcusdt@depth")
        with pytest.raises(ConfigurationError, match="on one route"):
            client.ws.subscribe("btcusdt@aggTrade")
        assert client.ws.subscriptions == {"btcusdt@depth"}


def test_a_refusal_after_the_acknowledgement_takes_the_topic_away() -> None:
    with (
        FakeExchange("okx-private") as exchange,
        listening(exchange, "account", auth=CREDENTIALS) as client,
    ):
        client.wait_for_topics("account")
        exchange.broadcast(
            '{"event":"channel-conn-count-error","channel":"account","connCount":"30",'
            '"connId":"a4d3ae55"}'
        )
        (error,) = client.seen.wait_for_errors()
        assert "account" in client.ws.failed_subscriptions
        assert "30" in str(error) or "account" in str(error)


def test_a_session_that_binance_revokes_is_made_anew() -> None:
    revoked = '{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}'
    with FakeExchange("binance") as exchange, listening(exchange, auth=CREDENTIALS) as client:
        client.ws.subscribe("userData")
        client.wait_for_topics("userData")
        generation = client.ws.generation
        exchange.broadcast(revoked)
        (error,) = client.seen.wait_for_errors()
        wait_until(lambda: client.ws.generation > generation, PATIENCE, "a new connection")
        client.wait_for_topics("userData")

        assert isinstance(error, VenueError)
        assert (error.code, "has ended the login" in str(error)) == (-2015, True)
        assert [login.was_accepted for login in exchange.logins] == [True, True]
        assert exchange.push_private("userData", {"e": "executionReport", "s": "BTCUSDT"}) == 1
        client.wait_for_data("userData", since=0)

        exchange.reject_logins()
        exchange.broadcast(revoked)
        wait_until(lambda: client.ws.state == "failed", PATIENCE, "the end")
        assert isinstance(client.seen.errors[-1], AuthenticationError)


def test_one_bad_topic_of_a_request_does_not_take_the_others_down() -> None:
    good = [f"orderbook.{depth}.BTCUSDT" for depth in (1, 50, 200)]
    with FakeExchange("bybit") as exchange:
        exchange.refuse_topic("publicTrade.NOPEUSDT")
        with listening(exchange, *good, "publicTrade.NOPEUSDT") as client:
            client.wait_for_topics(*good)
            (error,) = client.seen.wait_for_errors()
            assert client.ws.failed_subscriptions.keys() == {"publicTrade.NOPEUSDT"}
            assert "NOPEUSDT" in str(error)


def test_a_lost_acknowledgement_without_a_name_is_made_up_for_by_data() -> None:
    topics = [f"deal:{symbol}_USDT" for symbol in ("BTC", "ETH", "SOL")]
    with FakeExchange("mexc") as exchange:
        exchange.lose_next_ack(1)
        with listening(exchange, *topics, ack_timeout=60.0) as client:
            client.wait_for_topics(*topics)
            assert client.seen.errors == []


# What cannot be.


@pytest.mark.parametrize(
    ("venue", "topic", "said"),
    [
        (Binance(), "btcusdt@trades", "trade"),
        (Binance(), ("trade", "BTC-USDT"), "BTCUSDT"),
        (OKX(), "ticker:BTC-USDT", "tickers"),
        (OKX(), "candle1m:BTC-USDT", "business"),
        (Bybit(), "trade.BTCUSDT", "publicTrade"),
        (MEXC(), "deals:BTC_USDT", "deal"),
        (MEXC(), ("deal", None), "symbol"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_names_of_what_does(
    venue: Venue, topic: object, said: str
) -> None:
    ws = ResilientWebSocket(venue=venue)
    with pytest.raises(ConfigurationError, match=said):
        ws.subscribe(topic)

    assert ws.subscriptions == frozenset()


def test_without_a_venue_there_are_no_topics() -> None:
    ws = ResilientWebSocket("ws://127.0.0.1:1")
    for call in (ws.subscribe, ws.unsubscribe, ws.add_pair, ws.remove_pair):
        with pytest.raises(ConfigurationError, match="give venue="):
            call("x")


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": CREDENTIALS},
        {"venue": Binance},
        {"venue": "binance"},
        {"venue": OKX("private")},
        {"venue": Binance(), "auth": "key"},
        {"channels": ["trade"]},
        {"venue": Binance(), "channels": "trade"},
    ],
    ids=repr,
)
def test_settings_that_do_not_fit_are_told_at_once(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        ResilientWebSocket("ws://127.0.0.1:1", **settings)  # type: ignore[arg-type]


def test_a_login_that_cannot_be_made_is_told() -> None:
    incomplete = type(CREDENTIALS)("key", "secret")
    with pytest.raises(ConfigurationError, match="passphrase"):
        ResilientWebSocket(venue=OKX("private"), auth=incomplete)
    with (
        FakeExchange("okx-private") as exchange,
        listening(exchange, "account", auth=lambda: incomplete) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="passphrase"):
            client.ws.wait_until_connected(PATIENCE)
        assert client.ws.state == "failed"


def test_a_login_that_a_wrong_clock_refuses_succeeds_once_the_clock_is_right() -> None:
    shifts = iter([60.0, 0.0])

    def headers() -> dict[str, str]:  # is asked for at each attempt
        exchange.shift_clock(next(shifts))
        return {}

    with (
        FakeExchange("bybit-private") as exchange,
        listening(exchange, "order", auth=CREDENTIALS, headers=headers) as client,
    ):
        client.wait_for_topics("order")
        (error,) = client.seen.wait_for_errors(1)
        assert "Params Error" in str(error)
        assert "check the clock" in str(error)


def test_a_login_that_is_refused_for_the_clock_again_is_given_up() -> None:
    with FakeExchange("bybit-private") as exchange:
        exchange.shift_clock(60.0)
        with listening(exchange, "order", auth=CREDENTIALS) as client:
            wait_until(lambda: client.ws.state == "failed", PATIENCE)
            assert "check the clock" in client.ws.last_error
            assert len(exchange.logins) == 2
            with pytest.raises(AuthenticationError, match="check the clock"):
                client.ws.wait_until_connected(PATIENCE)


@pytest.mark.parametrize(
    ("venue", "topic"),
    [
        (MEXC(), "personal.order"),
        (Binance(), "userData"),
        (OKX(), "books-l2-tbt:BTC-USDT"),
        (OKX("business"), "orders-algo?instType=ANY"),
    ],
    ids=repr,
)
def test_private_topics_without_credentials_are_refused(venue: Venue, topic: str) -> None:
    with pytest.raises(ConfigurationError, match="is private"):
        ResilientWebSocket(venue=venue).subscribe(topic)


def test_credentials_do_not_stand_in_the_way_of_market_data() -> None:
    with (
        FakeExchange("binance") as exchange,
        listening(exchange, "btcusdt@trade", auth=CREDENTIALS) as client,
    ):
        client.wait_for_topics("btcusdt@trade")
        client.wait_for_data("btcusdt@trade")
        assert exchange.logins == []


def test_a_venue_of_a_users_functions() -> None:
    venue = Custom(
        subscribe=lambda topics, request_id: {"op": "sub", "args": topics, "id": request_id},
        unsubscribe=lambda topics, request_id: {"op": "unsub", "args": topics, "id": request_id},
        topic_of=lambda message: message.get("topic"),
        ack_of=lambda message: message.get("id"),
    )

    seen: list[Message] = []
    # It echoes, so that a request is its own acknowledgement.
    with (
        good_server() as server,
        ResilientWebSocket(server.url, venue=venue, on_data=seen.append) as ws,
    ):
        ws.subscribe("a", "b")
        wait_until(lambda: ws.confirmed_subscriptions == {"a", "b"}, PATIENCE)
        ws.send({"topic": "b", "n": 1})
        wait_until(lambda: seen, PATIENCE)
        assert (seen[0].topic, seen[0].data) == ("b", {"topic": "b", "n": 1})
        assert ws.get_stats()["message_count"] == 1
