"""rotation="make_before_break" over real sockets: nothing lost, nothing twice, in order."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support import eventually
from wsresilient import Message
from wsresilient.core import takeover
from wsresilient.runtime.succeeding import Phase
from wsresilient.testing import wait_until

from .clients import Seen
from .rotation_tools import (
    ROTATING,
    TICKER,
    TRADE,
    UNROTATED,
    Numbers,
    is_whole,
    numbers_of,
    plain,
    rotate_now,
    rotations,
    trading,
    wait_for_phase,
    wait_for_rotations,
)
from .servers import CLOSE, PATIENCE, TEXT, Peer

BOTH = pytest.mark.parametrize("dispatch", ["thread", "inline"])

pytestmark = pytest.mark.usefixtures("short_overlap")


# Messages.


@BOTH
def test_numbered_trades_over_several_rotations(dispatch: str) -> None:
    with trading(TRADE, TICKER, dispatch=dispatch) as feed:
        ws, seen = feed.ws, feed.seen
        wait_for_rotations(ws, 4)
        feed.wait_for_newest()
        seen.wait_for_closes(4)
        stats = ws.get_stats()
        assert is_whole(feed.numbers)
        generations = [message.generation for message in feed.messages]
        assert generations == sorted(generations)
        assert set(generations) >= {1, 2, 3, 4, 5}
        assert stats["generation"] == stats["rotations"] + 1
        assert (stats["reconnect_count"], stats["retry_count"], stats["gap_count"]) == (0, 0, 0)
        assert (stats["error_count"], stats["connection_failures"]) == (0, 0)
        assert ws.confirmed_subscriptions == {TRADE, TICKER}
    assert seen.errors == []
    # For the user it was connected all the time, and the new one is there before the old one goes.
    told = [entry for entry in seen.log if entry in ("open", "close 1000")]
    assert told[:5] == ["open", "open", "close 1000", "open", "close 1000"]
    assert told.count("open") == told.count("close 1000")
    states = [str(change.state) for change in seen.states]
    assert states == ["connecting", "connected", "disconnected"]


def test_counts_never_go_back_and_a_message_is_counted_once() -> None:
    with trading(TRADE) as feed:
        shown = []
        while rotations(feed.ws) < 3:
            stats = feed.ws.get_stats()
            shown.append((stats["message_count"], stats["bytes_received"]))
        assert shown == sorted(shown)
        assert [count for _, count in shown] == sorted(count for _, count in shown)
        feed.exchange.stop_feed()
        wait_until(
            lambda: feed.ws.get_stats()["message_count"] == len(feed.messages),
            PATIENCE,
            "each message to be counted once",
        )
        assert is_whole(feed.numbers)


def test_a_rotation_is_a_planned_event_of_the_history() -> None:
    with trading(TRADE) as feed:
        wait_for_rotations(feed.ws, 1)
        wait_until(lambda: feed.ws.record.history.as_dict()["events"], PATIENCE)
        event = feed.ws.record.history.as_dict()["events"][0]
        assert (event["kind"], event["close_code"], event["lasted"]) == ("rotation", 1000, 0.0)
        assert feed.ws.get_stats()["reconnects_last_hour"] == 0
        assert feed.ws.is_healthy


@BOTH
def test_a_plain_stream_by_url(dispatch: str) -> None:
    with plain(dispatch=dispatch) as (ws, seen, feed, _):
        wait_for_rotations(ws, 3)
        seen.wait_for_messages(len(seen.messages) + 20)
        assert is_whole(numbers_of(seen.messages))
        assert ws.get_stats()["reconnect_count"] == 0
        assert (seen.errors, seen.gaps) == ([], [])
        wait_until(lambda: len(feed.closes) >= 3, PATIENCE)
        assert feed.closes[:3] == [(1, 1000), (2, 1000), (3, 1000)]


@BOTH
def test_a_plain_stream_that_is_asked_for_in_on_open(dispatch: str) -> None:
    def ask(ws: Any) -> None:
        ws.send("numbers, please")

    with plain(on_request=True, on_open=ask, dispatch=dispatch) as (ws, seen, feed, _):
        wait_for_rotations(ws, 3)
        seen.wait_for_messages(len(seen.messages) + 20)
        assert is_whole(numbers_of(seen.messages))
        # Each connection was asked, over itself.
        assert feed.requests[:4] == [(number, "numbers, please") for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("decoder", [None, int])
def test_a_plain_stream_that_is_decoded(decoder: Any) -> None:
    messages: list[Message] = []
    handlers: dict[str, Any] = {"on_data": messages.append, "on_message": None} if decoder else {}
    with plain(decoder=decoder, compression="deflate", **handlers) as (ws, seen, _, _):
        wait_for_rotations(ws, 2)
        got = [message.data for message in messages] if decoder else seen.messages
        assert is_whole(numbers_of(list(got)))


@pytest.mark.parametrize("dispatch", ["thread", "inline"])
def test_pulled_messages(dispatch: str) -> None:
    with plain(on_message=None, dispatch=dispatch) as (ws, _, _, _):
        got = []
        while rotations(ws) < 3 or ws.get_stats()["queue_depth"]:
            got.append(ws.recv(PATIENCE))
        assert is_whole(numbers_of(got))
        assert ws.get_stats()["dropped_messages"] == 0


def test_messages_that_nobody_pulls_are_no_hindrance() -> None:
    with plain(on_message=None, queue_size=10) as (ws, seen, _, _):
        wait_for_rotations(ws, 2)
        assert seen.errors == []
        got = [ws.recv(PATIENCE) for _ in range(40)]
        assert is_whole(numbers_of(got[20:]))


def test_handlers_that_come_during_a_rotation_get_what_waits_to_be_pulled(
    lasting_overlap: pytest.MonkeyPatch,
) -> None:
    with plain(on_message=None) as (ws, _, feed, _):
        wait_for_phase(ws, Phase.OVERLAPPING)
        got: list[Any] = []
        ws.on("message", got.append)
        wait_until(lambda: len(got) > 50, PATIENCE)
        lasting_overlap.undo()
        wait_for_rotations(ws, 1)
        wait_until(lambda: len(got) > 200, PATIENCE)
        assert numbers_of(got)[0] == feed.first
        assert is_whole(numbers_of(got))


def test_a_message_key_names_what_is_wrapped_for_each_connection() -> None:
    def wrapped(peer: Peer, feed: Numbers) -> None:
        send = peer.text

        def send_wrapped(*texts: str) -> None:
            send(*(f"{peer.number}:{text}" for text in texts))

        peer.text = send_wrapped  # type: ignore[method-assign]
        peer.accept()
        feed.behave(peer)

    def key(message: Message) -> str:
        return str(message.data).partition(":")[2]

    with plain(behave=wrapped, message_key=key) as (ws, seen, _, _):
        wait_for_rotations(ws, 2)
        seen.wait_for_messages(len(seen.messages) + 20)
        assert is_whole([int(str(one).partition(":")[2]) for one in seen.messages])


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "keep_latest"])
def test_a_handler_that_is_too_slow_gets_nothing_twice(overflow: str) -> None:
    got: list[Any] = []
    gate = threading.Event()

    def slow(message: Any) -> None:
        got.append(message)
        gate.wait(0.01)

    with plain(on_message=slow, queue_size=10, overflow=overflow) as (ws, _, _, _):
        wait_for_rotations(ws, 1)
        gate.set()
        wait_until(lambda: len(got) > 50, PATIENCE)
        numbers = numbers_of(got)
        assert numbers == sorted(set(numbers))


# Topics.


def test_an_old_connection_that_closes_slowly_does_not_let_the_lane_overflow() -> None:
    is_closing, may_go = threading.Event(), threading.Event()

    def behave(peer: Peer, feed: Numbers) -> None:
        peer.accept()
        if peer.number == 1:
            feed.listen(peer)
            peer.read_until(CLOSE)
            is_closing.set()
            peer.ignore()
        feed.behave(peer)

    def handle(_message: Any) -> None:
        if is_closing.is_set():
            assert may_go.wait(PATIENCE)

    slow: dict[str, Any] = {"on_message": handle, "queue_size": 20, "close_timeout": 1.0}
    with plain(behave=behave, settings=UNROTATED, **slow) as (ws, _, _, _):
        rotate_now(ws)
        assert is_closing.wait(PATIENCE)
        assert ws._life is not None
        lane = ws._life.delivery._lane
        wait_until(lambda: lane.held_back_since, PATIENCE)
        assert len(ws._life.links.present) == 2  # and not only when the old one was gone
        may_go.set()


def test_a_server_that_announces_its_end_is_left_without_a_hole() -> None:
    with trading("trades:BTC-USDT", venue="okx", **UNROTATED) as feed:
        ws, seen = feed.ws, feed.seen
        wait_until(lambda: ws.get_stats()["connection_duration"] > 0.05, PATIENCE)
        wait_until(lambda: len(feed.messages) > 20, PATIENCE)
        feed.exchange.announce_shutdown()
        wait_for_rotations(ws, 1)
        feed.wait_for_newest()
        seen.wait_for_closes(1)
        assert is_whole(feed.numbers)
        stats = ws.get_stats()
        assert (stats["generation"], stats["rotations"], stats["reconnect_count"]) == (2, 1, 0)
        assert (seen.errors, seen.closes) == ([], [(1000, "")])
        reasons = [event["text"] for event in ws.record.history.as_dict()["events"]]
        assert len(reasons) == 1
        assert "the server asks for a new connection" in reasons[0]


def test_topics_that_come_and_go_meanwhile_are_those_of_the_new_connection() -> None:
    other = "ethusdt@trade"
    with trading(TRADE, TICKER) as feed:
        ws, exchange = feed.ws, feed.exchange
        wait_until(lambda: ws.confirmed_subscriptions == {TRADE, TICKER}, PATIENCE)
        exchange.hold_acks()
        wait_until(lambda: exchange.connection_count == 2, PATIENCE)
        ws.subscribe(other)
        ws.unsubscribe(TICKER)
        exchange.release_acks()
        wait_for_rotations(ws, 1)
        wait_until(lambda: ws.confirmed_subscriptions == {TRADE, other}, PATIENCE)
        wait_until(lambda: feed.messages[-1].topic == other, PATIENCE)
        assert is_whole(feed.numbers)
        assert is_whole([one.data["t"] for one in feed.messages if one.topic == other])
        assert ws.subscriptions == {TRADE, other}
        wait_until(lambda: set(exchange.subscriptions) == {TRADE, other}, PATIENCE)


def test_on_open_of_the_new_connection_comes_before_its_topics_are_asked_for() -> None:
    asked: list[int] = []
    with trading(TRADE) as feed:
        ws, exchange = feed.ws, feed.exchange

        def count(_ws: Any) -> None:
            number = max(exchange.connections)
            asked.append(len([one for one in exchange.requests if one.connection == number]))

        ws.on("open", count)
        wait_for_rotations(ws, 2)
        assert asked[-2:] == [0, 0]


def test_a_topic_that_only_the_new_connection_is_refused_is_told_at_the_switch() -> None:
    with trading(TRADE, "ethusdt@trade") as feed:
        ws, seen = feed.ws, feed.seen
        wait_until(lambda: len(ws.confirmed_subscriptions) == 2, PATIENCE)
        feed.exchange.refuse_topic("ethusdt@trade")
        wait_until(lambda: seen.errors, PATIENCE, "the refusal")
        assert ws.generation >= 2
        assert ws.subscriptions == {TRADE}
        assert set(ws.failed_subscriptions) == {"ethusdt@trade"}
        wait_for_rotations(ws, rotations(ws) + 1)
        assert len(seen.errors) == 1
        assert is_whole(feed.numbers)


# Sending.


def test_sends_go_over_one_connection_and_then_over_the_next() -> None:
    with plain() as (ws, seen, feed, _):
        sent = 0
        while rotations(ws) < 2:
            assert ws.send(f"message {sent}") == "sent"
            sent += 1
            # A server that does not come up to the close frame in time would lose some.
            wait_until(lambda: len(feed.requests) > sent - 20, PATIENCE)  # noqa: B023
        wait_until(lambda: len(feed.requests) == sent, PATIENCE, "all of them")
        texts = [text for _, text in feed.requests]
        assert sorted(texts) == sorted(f"message {number}" for number in range(sent))
        for number in (1, 2):
            order = [int(text.split()[1]) for peer, text in feed.requests if peer == number]
            assert order == sorted(order)
        assert seen.errors == []


def test_an_answer_that_comes_after_the_switch_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LONGEST", 0.3)  # nothing comes that could prove anything
    answers: list[Any] = []
    may_answer = threading.Event()

    def behave(peer: Peer, _feed: Numbers) -> None:
        peer.accept()
        while (frame := peer.read()).opcode != CLOSE:
            if frame.opcode == TEXT:
                assert may_answer.wait(PATIENCE)
                peer.text("the answer")
        peer.send(CLOSE, frame.payload)

    with plain(behave=behave) as (ws, _, _, _):
        asker = threading.Thread(
            target=lambda: answers.append(
                ws.request("a question", timeout=PATIENCE, match=lambda message: message.raw)
            )
        )
        asker.start()
        wait_until(lambda: ws.generation == 2, PATIENCE, "the switch")
        may_answer.set()
        asker.join(PATIENCE)
        assert answers == ["the answer"]
        wait_for_rotations(ws, 2)


def test_without_the_setting_a_planned_rotation_has_a_hole_and_counts_as_both() -> None:
    seen = Seen()
    with plain(**{**seen.handlers(), **ROTATING, "rotation": "break_before_make"}) as feed:
        wait_for_rotations(feed.ws, 1)
        wait_until(lambda: seen.gaps, PATIENCE)
        assert {gap.reason for gap in seen.gaps} == {"rotation"}
        stats = feed.ws.get_stats()
        assert stats["rotations"] == stats["reconnect_count"]
        assert seen.errors == []


def test_a_topic_that_comes_during_the_overlap_has_to_be_on_both(
    lasting_overlap: pytest.MonkeyPatch,
) -> None:
    other = "ethusdt@trade"
    with trading(TRADE) as feed:
        ws, exchange = feed.ws, feed.exchange
        exchange.silence(other)
        wait_for_phase(ws, Phase.OVERLAPPING)
        assert ws._life is not None
        session = ws._life.links.present[1]._session
        assert session is not None
        # Its pace lets nothing out.
        lasting_overlap.setattr(session._topics, "tick", lambda *_, **__: 0.05)
        ws.subscribe(other)
        wait_until(lambda: other in ws.confirmed_subscriptions, PATIENCE)
        lasting_overlap.setattr(takeover, "SHORTEST", 0.05)
        assert not eventually(lambda: ws.generation > 1, within=0.3)
        lasting_overlap.undo()
        exchange.unsilence(other)
        wait_for_rotations(ws, 1)
        feed.wait_for_newest()
        wait_until(lambda: any(one.topic == other for one in feed.messages), PATIENCE)
        numbers = [one.data["t"] for one in feed.messages if one.topic == other]
        assert is_whole(numbers)
        assert feed.seen.gaps == []
