"""What particular streams of the made-up market are like: one by one, repeated, of all symbols."""

from __future__ import annotations

import itertools

from wsresilient.testing.events import ALL_SYMBOLS, Depth, Event, Kind, Stream, Ticker
from wsresilient.testing.feed import Feed
from wsresilient.testing.market import Market

AT = 1_672_515_782_136


def depths(events: list[Event]) -> list[Depth]:
    found = [event for event in events if isinstance(event, Depth)]
    assert len(found) == len(events)
    return found


def test_changes_of_an_order_book_may_come_one_by_one() -> None:
    market = Market(["A"], seed=1)
    merged = market.follow(Stream("A", Kind.DEPTH))
    single = market.follow(Stream("A", Kind.DEPTH, one_by_one=True))

    changes = []
    for _ in range(20):
        merged.next(AT)
        changes.append(single.next(AT))
        while single.is_behind:
            changes.append(single.next(AT))

    told = depths(changes)
    assert all(each.first_id == each.last_id for each in told)
    assert all(b.last_id == a.last_id + 1 for a, b in itertools.pairwise(told))
    assert all(len(each.bids) + len(each.asks) == 1 for each in told)
    assert len(told) > 20
    assert not merged.is_behind


def test_one_by_one_and_merged_lead_to_the_same_book() -> None:
    market = Market(["A"], seed=2)
    stream = Stream("A", Kind.DEPTH, one_by_one=True)
    single = market.follow(stream)
    instrument = market.instrument("A")
    assert instrument is not None
    book = instrument.book(None, AT)
    bids, asks = dict(book.bids), dict(book.asks)

    for _ in range(200):
        (change,) = depths([single.next(AT)])
        bids.update(change.bids)
        asks.update(change.asks)
    while single.is_behind:
        (change,) = depths([single.next(AT)])
        bids.update(change.bids)
        asks.update(change.asks)

    after = instrument.book(None, AT)
    assert {price: size for price, size in bids.items() if size} == dict(after.bids)
    assert {price: size for price, size in asks.items() if size} == dict(after.asks)


def test_who_was_away_too_long_gets_a_hole() -> None:
    market = Market(["A"], seed=3)
    single = market.follow(Stream("A", Kind.DEPTH, one_by_one=True))
    merged = market.follow(Stream("A", Kind.DEPTH))
    (first,) = depths([single.next(AT)])
    for _ in range(5000):
        merged.next(AT)

    (second,) = depths([single.next(AT)])

    assert second.first_id == second.last_id > first.last_id + 1


def test_a_feed_lets_a_topic_that_is_behind_catch_up() -> None:
    feed = Feed(Market(["A"], seed=4), rate=10.0)
    feed.add("merged", Stream("A", Kind.DEPTH))
    feed.add("single", Stream("A", Kind.DEPTH, one_by_one=True))

    told = [(topic, event) for topic, event in feed.events(20, AT) if isinstance(event, Depth)]

    last = {topic: event.last_id for topic, event in told}
    assert last["single"] == last["merged"]
    assert sum(topic == "merged" for topic, _ in told) == 10
    assert sum(topic == "single" for topic, _ in told) > 10


def test_a_book_that_has_not_changed_is_told_again() -> None:
    repeated = Market(["A"], seed=5).follow(Stream("A", Kind.BOOK, levels=1, is_repeated=True))
    always_new = Market(["A"], seed=5).follow(Stream("A", Kind.BOOK, levels=1))

    told = depths([repeated.next(AT) for _ in range(20)])

    pairs = list(itertools.pairwise(told))
    again = [(a, b) for a, b in pairs if b.last_id == a.last_id]
    assert 0 < len(again) < len(pairs)
    assert all((a.bids, a.asks, a.message_id) == (b.bids, b.asks, b.message_id) for a, b in again)
    others = depths([always_new.next(AT) for _ in range(20)])
    assert all(b.last_id > a.last_id for a, b in itertools.pairwise(others))


def test_messages_of_a_topic_are_counted() -> None:
    market = Market(["A"], seed=6)
    one = market.follow(Stream("A", Kind.DEPTH))
    two = market.follow(Stream("A", Kind.DEPTH))

    counts = []
    for _ in range(10):
        two.next(AT)
        counts += [event.message_id for event in depths([one.next(AT), one.snapshot(AT)])]

    assert counts[0::2] == counts[1::2] == list(range(counts[0], counts[0] + 10))
    # Who begins anew does not count from before.
    (fresh,) = depths([market.follow(Stream("A", Kind.DEPTH)).next(AT)])
    assert fresh.message_id > counts[-1]


def test_a_stream_of_all_symbols_goes_round() -> None:
    market = Market(["A", "B", "C"])
    assert ALL_SYMBOLS in market
    assert ALL_SYMBOLS not in market.symbols

    tour = market.follow(Stream(ALL_SYMBOLS, Kind.TICKER))
    tickers = [tour.next(AT) for _ in range(6)]

    assert [ticker.symbol for ticker in tickers] == list("ABCABC")
    assert tour.snapshot(AT).symbol == "C"


def test_tickers_are_numbered() -> None:
    follower = Market(["A"]).follow(Stream("A", Kind.TICKER))

    first, second = follower.next(AT), follower.next(AT)
    snapshot = follower.snapshot(AT)

    assert isinstance(first, Ticker)
    assert isinstance(second, Ticker)
    assert isinstance(snapshot, Ticker)
    assert second.update_id == first.update_id + 1 == snapshot.update_id
    assert snapshot.is_snapshot
