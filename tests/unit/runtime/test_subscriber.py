from __future__ import annotations

import pytest

from wsresilient import ConfigurationError, ConnectionConfig, SubscriptionLimitError
from wsresilient.core.incoming import Refused
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.venues import MEXC, OKX, Binance, Limits, Venue


def subscriber(
    venue: Venue | None = None,
    *,
    channels: tuple[str, ...] = (),
    url_topics: tuple[str, ...] | None = (),
) -> Subscriber:
    return Subscriber(
        venue or Binance(), ConnectionConfig(), channels=channels, url_topics=url_topics
    )


def test_topics_are_written_as_the_venue_does() -> None:
    made = subscriber()
    made.subscribe(["BTCUSDT@trade", ("kline_1m", "ETHUSDT"), "btcusdt@trade"])

    assert made.wanted == {"btcusdt@trade", "ethusdt@kline_1m"}
    assert made.stats()["subscribed_pairs"] == 2
    assert made.stats()["subscription_limit"] == 1024


def test_one_wrong_topic_changes_nothing() -> None:
    made = subscriber()
    with pytest.raises(ConfigurationError, match="trade"):
        made.subscribe(["btcusdt@trade", "ethusdt@nothing"])

    assert made.wanted == frozenset()


def test_topics_of_different_routes_change_nothing_either() -> None:
    made = subscriber(Binance("futures"))
    made.subscribe(["btcusdt@aggTrade"])
    with pytest.raises(ConfigurationError, match="one route"):
        made.subscribe(["btcusdt@depth"])
    with pytest.raises(ConfigurationError, match="one route"):
        made.replace(["btcusdt@depth", "btcusdt@aggTrade"])

    assert made.wanted == {"btcusdt@aggTrade"}


def test_another_route_is_told_when_it_leads_elsewhere() -> None:
    made = subscriber(Binance("futures"))

    assert not made.subscribe(["btcusdt@aggTrade"])  # where a connection without topics goes too
    assert made.group == "market"
    assert made.replace(["btcusdt@depth"])
    assert made.group == "public"
    assert made.leads_elsewhere("market")
    assert not made.leads_elsewhere("public")


def test_handlers_go_with_their_topics() -> None:
    seen: list[object] = []
    made = subscriber()
    made.subscribe(["btcusdt@trade", "ethusdt@trade"], seen.append)
    made.subscribe(["btcusdt@trade"], seen.append)
    made.subscribe(["btcusdt@trade"], print)
    assert {topic: len(those) for topic, those in made.handlers.items()} == {
        "btcusdt@trade": 2,
        "ethusdt@trade": 1,
    }
    made.unsubscribe(["btcusdt@trade"])
    assert made.handlers.keys() == {"ethusdt@trade"}
    made.replace(["solusdt@trade"])

    assert made.handlers == {}


def test_what_does_not_fit_leaves_no_handler_behind() -> None:
    made = subscriber(Binance(limits=Limits(topics_per_connection=1)))
    with pytest.raises(SubscriptionLimitError):
        made.subscribe(["btcusdt@trade", "ethusdt@trade"], print)

    assert made.handlers == {}
    assert made.wanted == frozenset()


def test_topics_of_the_url_are_wanted_from_the_beginning() -> None:
    made = subscriber(url_topics=("btcusdt@trade",))

    assert made.wanted == {"btcusdt@trade"}
    assert "btcusdt@trade" in made.index


@pytest.mark.parametrize(
    ("venue", "topics", "text"),
    [
        (Binance(), ("BTCUSDT@kline_1m",), "spells it 'btcusdt@kline_1m'"),
        (Binance("futures"), ("btcusdt@kline_1m", "btcusdt@depth"), "on one route"),
        (Binance("futures"), ("btcusdt@depth", "userData"), "on one route"),
    ],
)
def test_topics_of_the_url_that_stay_silent_for_ever_are_refused(
    venue: Venue, topics: tuple[str, ...], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        subscriber(venue, url_topics=topics)


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("!ticker@arr", "retired"),
        ("btcusdt@trades", "did you mean 'trade'"),
        ("btcusdt@new", "new"),
    ],
)
def test_topics_of_the_url_that_nobody_knows_are_only_warned_of(
    topic: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The exchange may have streams that this library does not know."""
    made = subscriber(Binance(), url_topics=("btcusdt@trade", topic))

    assert made.wanted == {"btcusdt@trade", topic}
    (record,) = caplog.records
    assert topic in record.getMessage()
    assert text in record.getMessage()


def test_what_is_private_may_be_unsubscribed_without_credentials() -> None:
    made = subscriber(Binance())

    assert not made.unsubscribe(["userData"])
    with pytest.raises(ConfigurationError, match="private"):
        made.subscribe(["userData"])


def test_topics_of_a_functions_url_are_wanted_once_it_is_known() -> None:
    made = subscriber(Binance("futures"), url_topics=None)
    beside = made.begin_succession()
    made.want_of_url(("btcusdt@depth", "NEW@stream", "userData"))

    assert made.wanted == beside.wanted == {"btcusdt@depth", "NEW@stream"}
    assert made.group == "public"
    made.unsubscribe(["btcusdt@depth"])
    made.want_of_url(("btcusdt@depth", "ethusdt@depth"))
    assert made.wanted == {"NEW@stream", "ethusdt@depth"}  # what was ended stays so


def test_topics_of_a_fixed_url_do_not_change() -> None:
    made = subscriber(url_topics=("btcusdt@trade",))
    made.want_of_url(("ethusdt@trade",))

    assert made.wanted == {"btcusdt@trade"}


def test_a_pair_is_all_channels_of_a_symbol() -> None:
    made = subscriber(OKX(), channels=("tickers", "trades"))

    assert made.pair_topics("BTC-USDT") == ("tickers:BTC-USDT", "trades:BTC-USDT")
    with pytest.raises(ConfigurationError, match="channels"):
        subscriber().pair_topics("BTCUSDT")
    for wrong in ("", None, 5):
        with pytest.raises(ConfigurationError, match="symbol is"):
            made.pair_topics(wrong)  # type: ignore[arg-type]


def test_after_a_fork_nothing_is_confirmed() -> None:
    made = subscriber()
    made.subscribe(["btcusdt@trade"])
    with made.registry() as registry:
        registry.opened()
    made.forget_after_fork()

    assert made.wanted == {"btcusdt@trade"}
    assert made.confirmed == frozenset()
    assert "wanted=1" in repr(made)


def test_topics_whose_data_cannot_be_told_apart_change_nothing() -> None:
    made = subscriber(MEXC())
    made.subscribe(["deal:BTC_USDT"])

    with pytest.raises(ConfigurationError, match="cannot both be subscribed"):
        made.subscribe(["deal:BTC_USDT?compress=false"])
    assert made.wanted == {"deal:BTC_USDT"}
    made.replace(["deal:BTC_USDT?compress=false"])
    assert made.wanted == {"deal:BTC_USDT?compress=false"}


def test_a_topic_that_failed_leaves_the_index_and_its_route() -> None:
    made = subscriber(Binance("futures"))
    made.subscribe(["btcusdt@aggTrade"])
    with made.registry() as registry:
        registry.opened()
        request = registry.next_request(0.0)
        assert request is not None
        registry.refused(Refused(request.request_id, text="no"), 0.0)

    assert made.subscribe(["btcusdt@depth"])  # on another route, which is free now
    assert made.group == "public"
    assert list(made.index) == ["btcusdt@depth"]


def test_unsubscribing_what_failed_forgets_it() -> None:
    made = subscriber()
    made.subscribe(["btcusdt@trade", "ethusdt@trade"])
    with made.registry() as registry:
        registry.opened()
        request = registry.next_request(0.0)
        assert request is not None
        registry.refused(Refused(request.request_id, ("btcusdt@trade",), text="no"), 0.0)
    made.unsubscribe(["btcusdt@trade"])

    assert made.failed == {}
    assert list(made.index) == ["ethusdt@trade"]


def test_readers_see_each_change_without_looking_again() -> None:
    made = subscriber()
    index, handlers = made.index, made.handlers
    made.subscribe(["btcusdt@trade"], print)
    assert "btcusdt@trade" in index
    assert handlers["btcusdt@trade"] == (print,)
    made.replace([])

    assert "btcusdt@trade" not in index
    assert handlers == {}


def refuse(made: Subscriber, topic: str, registry: SubscriptionRegistry) -> None:
    with made.registry(registry):
        registry.opened()
        request = registry.next_request(0.0)
        assert request is not None
        registry.sent(request, 0.0)
        registry.refused(Refused(request_id=request.request_id, topics=(topic,), text="no"), 0.0)


def test_what_is_asked_for_during_a_succession_is_for_both() -> None:
    made = subscriber()
    made.subscribe(["btcusdt@trade"])
    successor = made.begin_succession()
    made.subscribe(["ethusdt@trade"])
    made.unsubscribe(["btcusdt@trade"])
    assert made.current.wanted == successor.wanted == {"ethusdt@trade"}
    made.replace(["solusdt@trade"])
    assert made.current.wanted == successor.wanted == {"solusdt@trade"}

    made.succeed()
    assert made.current is successor
    made.subscribe(["btcusdt@trade"])
    assert made.wanted == {"solusdt@trade", "btcusdt@trade"}


@pytest.mark.parametrize("has_room", ["the successor", "the running one"])
def test_what_fits_on_one_of_two_connections_only_changes_nothing(has_room: str) -> None:
    made = subscriber(Binance(limits=Limits(topics_per_connection=2)))
    made.subscribe(["btcusdt@trade", "ethusdt@trade"])
    successor = made.begin_succession()
    refuse(made, "ethusdt@trade", successor if has_room == "the successor" else made.current)
    before = made.current.wanted, successor.wanted
    with pytest.raises(SubscriptionLimitError, match="nothing was subscribed"):
        made.subscribe(["solusdt@trade"], print)

    assert (made.current.wanted, successor.wanted) == before
    assert made.handlers == {}
    assert "solusdt@trade" not in made.index


def test_a_successor_that_is_forgotten_is_told_nothing_more() -> None:
    made = subscriber()
    before = made.current
    successor = made.begin_succession()
    made.end_succession(successor)
    made.subscribe(["btcusdt@trade"])
    made.succeed()  # there is none

    assert made.current is before
    assert successor.wanted == frozenset()


def test_a_successor_of_an_earlier_life_does_not_end_that_of_this_one() -> None:
    made = subscriber()
    left_over = made.begin_succession()
    successor = made.begin_succession()
    made.end_succession(left_over)
    made.succeed()

    assert made.current is successor


def test_what_one_of_two_connections_was_refused_is_refused() -> None:
    made = subscriber()
    made.subscribe(["btcusdt@trade", "ethusdt@trade", "solusdt@trade"])
    successor = made.begin_succession()
    refuse(made, "btcusdt@trade", made.current)
    refuse(made, "ethusdt@trade", successor)
    assert made.wanted == {"ethusdt@trade", "solusdt@trade"}

    made.succeed()

    assert made.wanted == {"solusdt@trade"}
    assert set(made.failed) == {"btcusdt@trade", "ethusdt@trade"}
    assert list(made.index) == ["solusdt@trade"]
