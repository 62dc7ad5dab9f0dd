"""What goes wrong while a connection gets its successor, and stopping at every moment of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support import Gate
from wsresilient import (
    AuthenticationError,
    ConnectLimiter,
    Credentials,
    HandshakeError,
    NotConnectedError,
    ResilientWebSocket,
)
from wsresilient.core import demand, takeover
from wsresilient.runtime import books, crew, succession
from wsresilient.runtime.succeeding import Phase
from wsresilient.testing import wait_until

from .clients import library_threads, stop_in_time
from .rotation_tools import (
    TRADE,
    UNROTATED,
    Numbers,
    Plain,
    is_whole,
    numbers_of,
    phase,
    plain,
    rotate_now,
    rotations,
    trading,
    wait_for_phase,
    wait_for_rotations,
)
from .servers import CLOSE, PATIENCE, Peer
from .venue_clients import CREDENTIALS

BOTH = pytest.mark.parametrize("dispatch", ["thread", "inline"])
TRADES = "trades:BTC-USDT"

pytestmark = pytest.mark.usefixtures("short_overlap")


def is_sorted(numbers: list[int]) -> bool:
    return numbers == sorted(set(numbers))


# The new connection does not come up.


def test_a_refused_successor_changes_nothing_until_max_age() -> None:
    refused = threading.Event()

    def behave(peer: Peer, feed: Numbers) -> None:
        if peer.number > 1 and not refused.is_set():
            refused.set()
            peer.refuse("503 Service Unavailable")
        else:
            peer.accept()
            feed.behave(peer)

    with plain(behave=behave, max_age=1.0) as (ws, seen, _, _):
        seen.wait_for_errors()
        assert isinstance(seen.errors[0], HandshakeError)
        before = len(seen.messages)
        seen.wait_for_messages(before + 10)
        assert is_whole(numbers_of(seen.messages))
        assert (ws.generation, ws.state, len(seen.opens)) == (1, "connected", 1)
        assert ws.get_stats()["connection_failures"] == 1
        # At max_age it goes without a successor.
        seen.wait_for_opens(2)
        stats = ws.get_stats()
        assert (stats["reconnect_count"], stats["rotations"], stats["retry_count"]) == (1, 1, 0)
        assert stats["generation"] == 3
        assert [gap.reason for gap in seen.gaps] == ["rotation"]
        assert len(seen.errors) == 1


def test_a_refused_successor_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "FIRST_PAUSE", 0.05)

    def behave(peer: Peer, feed: Numbers) -> None:
        if peer.number in (2, 3):
            peer.refuse("503 Service Unavailable")
        else:
            peer.accept()
            feed.behave(peer)

    with plain(behave=behave, **UNROTATED) as (ws, seen, _, _):
        rotate_now(ws)
        wait_for_rotations(ws, 1)
        seen.wait_for_messages(len(seen.messages) + 10)
        assert is_whole(numbers_of(seen.messages))
        stats = ws.get_stats()
        assert (stats["generation"], stats["reconnect_count"]) == (4, 0)
        assert (stats["connection_failures"], len(seen.errors)) == (2, 2)


def test_a_successor_that_does_not_come_up_in_time_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(succession, "PATIENCE", 0.1)
    patient = {**UNROTATED, "open_timeout": 0.2, "ack_timeout": 0.2, "ack_retries": 10}
    with trading(TRADES, venue="okx", **patient) as feed:
        ws, seen = feed.ws, feed.seen
        wait_until(lambda: ws.confirmed_subscriptions == {TRADES}, PATIENCE)
        wait_until(lambda: ws.get_stats()["connection_duration"] > 0.05, PATIENCE)
        feed.exchange.lose_next_ack(None)
        feed.exchange.announce_shutdown()
        seen.wait_for_errors()
        assert "the successor was not ready within 0.5 s" in str(seen.errors[0])
        seen.wait_for_closes()
        assert (ws.generation, ws.state) == (1, "connected")
        assert (len(seen.opens), seen.closes[0][0]) == (2, 1000)
        wait_until(lambda: feed.exchange.connection_count == 1, PATIENCE)
        assert is_whole(feed.numbers)
        assert ws.failed_subscriptions == {}
        assert ws.confirmed_subscriptions == {TRADES}


def test_a_login_that_is_refused_leaves_the_old_connection_alone() -> None:
    given = [CREDENTIALS, Credentials("key", "wrong", "pass")]
    private = {**UNROTATED, "auth": lambda: given.pop(0) if len(given) > 1 else given[0]}
    with trading("orders?instType=ANY", venue="okx-private", **private) as feed:
        ws, seen = feed.ws, feed.seen
        wait_until(lambda: ws.get_stats()["connection_duration"] > 0.05, PATIENCE)
        feed.exchange.announce_shutdown()
        seen.wait_for_errors()
        assert isinstance(seen.errors[0], AuthenticationError)
        assert (ws.generation, ws.state, len(seen.opens)) == (1, "connected", 1)
        given[:] = [CREDENTIALS]
        wait_until(lambda: feed.exchange.connection_count == 1, PATIENCE)
        wait_for_phase(ws, Phase.IDLE)
        assert [login.was_accepted for login in feed.exchange.logins] == [True, False]


def test_a_login_is_made_on_the_new_connection_before_its_topics() -> None:
    private = {**UNROTATED, "auth": CREDENTIALS}
    with trading("orders?instType=ANY", venue="okx-private", **private) as feed:
        ws = feed.ws
        wait_until(lambda: ws.confirmed_subscriptions, PATIENCE)
        wait_until(lambda: ws.get_stats()["connection_duration"] > 0.05, PATIENCE)
        feed.exchange.announce_shutdown()
        wait_for_rotations(ws, 1)
        assert [login.connection for login in feed.exchange.logins] == [1, 2]
        assert ws.confirmed_subscriptions == ws.subscriptions


def test_a_successor_waits_for_its_turn_in_the_budget() -> None:
    limiter = ConnectLimiter(1, 0.7)
    with plain(connect_limiter=limiter) as (ws, seen, _, server):
        wait_until(lambda: phase(ws) is Phase.OPENING, PATIENCE)
        assert server.count == 1
        wait_for_rotations(ws, 1)
        assert is_whole(numbers_of(seen.messages))


def test_handlers_that_are_too_slow_cost_the_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsresilient.runtime.junction.MOST_HELD", 20)
    gate = Gate()
    with plain(on_message=gate.pass_through, **UNROTATED) as (ws, seen, _, server):
        gate.wait_for_arrival()
        rotate_now(ws)
        wait_until(lambda: server.count == 2, PATIENCE)
        wait_until(lambda: ws.get_stats()["connection_failures"] == 1, PATIENCE)
        gate.open()
        wait_for_phase(ws, Phase.IDLE)
        assert (ws.generation, seen.errors) == (1, [])


# The old connection is lost, or ends for another reason.


@BOTH
def test_a_connection_that_is_lost_has_its_successor_at_once(
    dispatch: str, lasting_overlap: pytest.MonkeyPatch
) -> None:
    with plain(dispatch=dispatch) as (ws, seen, _, server):
        wait_for_phase(ws, Phase.OVERLAPPING)
        server.peers[0].cut()
        wait_until(lambda: ws.generation == 2, PATIENCE)
        lasting_overlap.undo()
        seen.wait_for_closes()
        seen.wait_for_messages(len(seen.messages) + 20)
        assert is_sorted(numbers_of(seen.messages))
        assert {str(change.state) for change in seen.states} == {"connecting", "connected"}
        assert len(seen.errors) == 1
        assert seen.closes[0][0] is None
        assert [gap.reason for gap in seen.gaps] == ["reconnect"]
        stats = ws.get_stats()
        assert (stats["reconnect_count"], stats["error_count"]) == (1, 1)
        order = [one for one in seen.log if one in ("open", "close None", "gap reconnect")]
        assert order[:2] == ["open", "open"]


def test_a_connection_that_is_closed_when_the_two_have_met_leaves_no_gap(
    lasting_overlap: pytest.MonkeyPatch,
) -> None:
    with plain() as (ws, seen, _, server):
        wait_for_phase(ws, Phase.OVERLAPPING)
        count = len(seen.messages)
        seen.wait_for_messages(count + 50)
        # From now on it may be over, and a moment later the server closes it.
        lasting_overlap.setattr(succession.Succession, "_begin_switch", lambda *_: None)
        lasting_overlap.setattr(takeover, "SHORTEST", 0.0)
        server.peers[0].cut()
        wait_until(lambda: ws.generation == 2, PATIENCE)
        seen.wait_for_messages(len(seen.messages) + 20)
        assert is_whole(numbers_of(seen.messages))
        assert seen.gaps == []


def test_a_connection_that_is_lost_before_its_successor_is_up_reconnects() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def behave(peer: Peer, feed: Numbers) -> None:
        if peer.number == 2:
            arrived.set()
            assert go_on.wait(PATIENCE)
        peer.accept()
        feed.behave(peer)

    with plain(behave=behave, max_age=1.0) as (ws, seen, _, server):
        assert arrived.wait(PATIENCE)
        server.peers[0].cut()
        seen.wait_for_opens(2)
        assert (ws.generation, ws.get_stats()["reconnect_count"]) == (3, 1)
        wait_until(lambda: seen.gaps, PATIENCE)
        assert [gap.reason for gap in seen.gaps] == ["reconnect"]
        go_on.set()
        wait_for_phase(ws, Phase.IDLE)
        assert is_sorted(numbers_of(seen.messages))


def test_a_successor_that_is_lost_is_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, lasting_overlap: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "FIRST_PAUSE", 0.01)
    with plain(**UNROTATED) as (ws, seen, _, server):
        rotate_now(ws)
        wait_for_phase(ws, Phase.OVERLAPPING)
        server.peers[1].cut()
        seen.wait_for_errors()
        lasting_overlap.setattr(takeover, "SHORTEST", 0.05)
        wait_for_rotations(ws, 1)
        seen.wait_for_messages(len(seen.messages) + 10)
        assert is_whole(numbers_of(seen.messages))
        assert ws.get_stats()["reconnect_count"] == 0
        seen.wait_for_closes(2)
        assert [code for code, _ in seen.closes] == [None, 1000]


class Asked:
    """A headers function that notes how often it runs at a time, and hangs once it is told to."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.hangs = threading.Event()
        self.most = 0
        self._running: list[int] = []

    def __call__(self) -> dict[str, str]:
        self._running.append(threading.get_ident())
        self.most = max(self.most, len(self._running))
        if self.hangs.is_set():
            self.gate.pass_through()
        self._running.remove(threading.get_ident())
        return {}


def test_a_connection_that_is_lost_while_its_successor_is_planned_waits_to_be_planned() -> None:
    asked = Asked()
    with plain(settings=UNROTATED, headers=asked) as (ws, seen, _, server):
        asked.hangs.set()
        rotate_now(ws)
        asked.gate.wait_for_arrival()
        server.peers[0].cut()
        wait_until(lambda: ws.generation == 3, PATIENCE)
        asked.hangs.clear()
        assert not ws.wait_until_connected(0.3)
        asked.gate.open()
        seen.wait_for_opens(2)
        wait_for_phase(ws, Phase.IDLE)
        assert asked.most == 1
        assert len(seen.errors) == 1  # of the loss


def test_stop_while_a_function_that_the_successor_asks_hangs_and_another_waits() -> None:
    asked = Asked()
    with plain(settings=UNROTATED, headers=asked) as (ws, seen, _, server):
        asked.hangs.set()
        rotate_now(ws)
        asked.gate.wait_for_arrival()
        server.peers[0].cut()
        wait_until(lambda: ws.generation == 3, PATIENCE)
        ws.request_stop()
        assert ws.join(PATIENCE)
        assert (asked.most, ws.state) == (1, "disconnected")
        assert len(seen.errors) == 1
        asked.gate.open()


@pytest.mark.parametrize(("is_lost", "late"), [(True, "succeeded"), (False, "retiring")])
def test_an_outage_is_known_whenever_the_books_of_the_connection_before_are_closed(
    is_lost: bool, late: str, lasting_overlap: pytest.MonkeyPatch
) -> None:
    gate, close_books = Gate(), getattr(books.Books, late)

    def close_late(*args: Any, **more: Any) -> None:
        gate.pass_through()
        close_books(*args, **more)

    def behave(peer: Peer, feed: Numbers) -> None:
        if peer.number > 2:
            peer.ignore()
        else:
            peer.accept()
            feed.behave(peer)

    with plain(behave=behave, settings=UNROTATED) as (ws, seen, _, server):
        rotate_now(ws)
        wait_for_phase(ws, Phase.OVERLAPPING)
        lasting_overlap.setattr(books.Books, late, close_late)
        if is_lost:
            server.peers[0].cut()
        else:
            lasting_overlap.setattr(takeover, "SHORTEST", 0.05)
        gate.wait_for_arrival()
        assert ws.generation == 2
        server.peers[1].cut()
        wait_until(lambda: ws.state == "reconnecting" or ws.generation == 3, PATIENCE)
        gate.open()
        seen.wait_for_closes(2)
        assert ws.record.history.down_since is not None
        events = ws.record.history.as_dict()["events"]
        assert [event["lasted"] for event in events] == [0.0, None]


def test_what_a_successor_has_left_in_the_lane_is_counted_when_it_has_ended() -> None:
    got: list[Any] = []
    gate, is_slow, is_closing = Gate(), threading.Event(), threading.Event()

    def behave(peer: Peer, feed: Numbers) -> None:
        peer.accept()
        if peer.number == 1:
            feed.listen(peer)
            peer.read_until(CLOSE)
            is_closing.set()
            peer.ignore()
        feed.behave(peer)

    def handle(message: Any) -> None:
        got.append(message)
        if is_slow.is_set():
            gate.pass_through()

    with plain(behave=behave, settings=UNROTATED, on_message=handle) as (ws, _, feed, server):
        rotate_now(ws)
        assert is_closing.wait(PATIENCE)
        is_slow.set()
        gate.wait_for_arrival()
        wait_until(lambda: ws.get_stats()["queue_depth"] > 5, PATIENCE)
        server.peers[1].cut()
        wait_until(lambda: ws.generation == 3 and ws.is_connected, PATIENCE)
        feed.end()
        gate.open()
        assert ws._life is not None
        delivery = ws._life.delivery
        wait_until(lambda: delivery.idle, PATIENCE)
        wait_until(
            lambda: ws.get_stats()["message_count"] == len(got),
            PATIENCE,
            "each message to be counted once",
        )


@BOTH
def test_reconnect_during_a_rotation(dispatch: str, lasting_overlap: pytest.MonkeyPatch) -> None:
    with plain(dispatch=dispatch) as (ws, seen, _, server):
        wait_for_phase(ws, Phase.OVERLAPPING)
        ws.reconnect("just so")
        seen.wait_for_opens(3)
        assert "reconnecting" in seen.log
        lasting_overlap.undo()
        wait_for_rotations(ws, 1)
        assert seen.errors == []
        assert ws.get_stats()["reconnect_count"] == 1
        assert is_sorted(numbers_of(seen.messages))
        assert server.count >= 3


def test_giving_up_ends_an_old_connection_that_waits_for_its_last_answers() -> None:
    def ask(ws: Any) -> None:
        with pytest.raises(NotConnectedError):
            ws.request("?", timeout=2 * PATIENCE, match=lambda _: False)

    with plain(**UNROTATED) as (ws, seen, feed, server):
        asking = threading.Thread(target=ask, args=(ws,))
        asking.start()
        wait_until(lambda: (1, "?") in feed.requests, PATIENCE)
        rotate_now(ws)
        wait_until(lambda: ws.generation == 2, PATIENCE)
        server.peers[1].send(CLOSE, (1008).to_bytes(2, "big") + b"invalid api key")
        assert ws.join(2 * PATIENCE)
        assert ws.state == "failed"
        asking.join(PATIENCE)
        wait_until(lambda: library_threads() == [], PATIENCE)
        assert sorted(feed.closes) == [(1, 1000), (2, 1008)]
        assert len(seen.opens) == len(seen.closes) == 2


# Stopping.


@BOTH
@pytest.mark.parametrize("where", ["connecting", "overlapping", "closing"])
def test_stop_in_every_phase(where: str, dispatch: str, request: pytest.FixtureRequest) -> None:
    arrived = threading.Event()
    if where == "overlapping":
        request.getfixturevalue("lasting_overlap")

    def behave(peer: Peer, feed: Numbers) -> None:
        if where == "connecting" and peer.number > 1:
            arrived.set()
            peer.ignore()
        peer.accept()
        if where == "closing" and peer.number == 1:
            feed.listen(peer)
            peer.read_until(CLOSE)
            arrived.set()
            peer.ignore()
        feed.behave(peer)

    with plain(behave=behave, dispatch=dispatch) as (ws, seen, _, _):
        if where == "overlapping":
            wait_for_phase(ws, Phase.OVERLAPPING)
        else:
            assert arrived.wait(2 * PATIENCE)
        stop_in_time(ws)
        assert len(seen.opens) == len(seen.closes)
        assert [str(change.state) for change in seen.states][-1] == "disconnected"
        assert seen.errors == []


def test_stop_while_the_switch_waits_for_a_slow_handler() -> None:
    gate, is_slow = Gate(), threading.Event()

    def handle(_message: Any) -> None:
        if is_slow.is_set():
            gate.pass_through()

    with plain(on_message=handle) as (ws, seen, _, _):
        wait_for_phase(ws, Phase.OVERLAPPING)
        is_slow.set()
        gate.wait_for_arrival()
        assert ws._life is not None
        ws.request_stop()
        gate.open()
        stop_in_time(ws)
        assert len(seen.opens) == len(seen.closes)


@BOTH
def test_stop_from_inside_of_on_open_of_the_new_connection(dispatch: str) -> None:
    opens: list[Any] = []

    def stop_at_second(ws: Any) -> None:
        opens.append(ws)
        if len(opens) == 2:
            ws.stop()

    with plain(on_open=stop_at_second, dispatch=dispatch) as (ws, seen, _, _):
        assert ws.join(2 * PATIENCE)
        assert ws.stop(PATIENCE)
        assert library_threads() == []
        assert len(seen.closes) == 2


def test_stop_from_inside_of_a_function_that_the_new_connection_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    streams: list[Any] = []
    entered = crew.Crew._enter

    def enter_late(self: crew.Crew, thread: threading.Thread) -> None:
        if streams and thread is not threading.current_thread():
            wait_until(lambda: asked, PATIENCE)  # whoever starts it is slow
        entered(self, thread)

    monkeypatch.setattr(crew.Crew, "_enter", enter_late)

    def headers() -> dict[str, str]:
        if streams:
            asked.append(streams[0]._life.is_own_thread())
            streams[0].stop()
        return {}

    with plain(headers=headers, settings=UNROTATED) as (ws, _, _, _):
        streams.append(ws)
        rotate_now(ws)
        assert ws.join(PATIENCE)
        assert ws.stop(PATIENCE)
        assert asked == [True]
        assert library_threads() == []


@BOTH
def test_it_can_be_started_again_after_a_stop_during_a_rotation(
    dispatch: str, lasting_overlap: pytest.MonkeyPatch
) -> None:
    with plain(dispatch=dispatch) as (ws, seen, _, _):
        wait_for_phase(ws, Phase.OVERLAPPING)
        assert ws.stop(PATIENCE)
        lasting_overlap.undo()
        before = len(seen.messages)
        ws.start()
        wait_until(lambda: rotations(ws) == 1, PATIENCE)
        seen.wait_for_messages(before + 50)
        assert is_whole(numbers_of(seen.messages[before:]))


def test_an_exchange_that_restarts_during_a_rotation() -> None:
    with trading(TRADE) as feed:
        wait_until(lambda: feed.exchange.connection_count == 2, PATIENCE)
        feed.exchange.restart(0.05)
        wait_for_rotations(feed.ws, rotations(feed.ws) + 1)
        assert is_sorted(feed.numbers)
        assert feed.ws.get_stats()["reconnect_count"] >= 1


# Servers of which nobody knows what they should bring.


def rotated_the_old_way(feed: Plain) -> None:
    """Wait until it was replaced twice, each time after a successor that proved nothing."""
    wait_until(lambda: feed.ws.get_stats()["reconnect_count"] >= 2, 2 * PATIENCE)
    assert feed.ws.get_stats()["rotations"] == feed.ws.get_stats()["reconnect_count"]
    assert {gap.reason for gap in feed.seen.gaps} == {"rotation"}
    assert feed.seen.errors == []


def test_a_stream_that_needs_a_login_by_hand_stays_alive(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer to the login waits beside the old connection's messages, so nobody goes on."""
    monkeypatch.setattr(takeover, "LONGEST", 0.2)
    box: list[ResilientWebSocket] = []

    def on_message(payload: str) -> None:
        got.append(payload)
        if payload == "echo login":
            box[0].send("numbers, please")

    def on_open(ws: ResilientWebSocket) -> None:
        box[:] = [ws]
        ws.send("login")

    got: list[str] = []
    with plain(on_request=True, max_age=0.5, on_message=on_message, on_open=on_open) as feed:
        rotated_the_old_way(feed)
        count = len(got)
        wait_until(lambda: len(got) > count + 50, PATIENCE, "numbers of the newest connection")
        assert "of the old one's messages it brought too few" in caplog.text
        assert "message_key=" in caplog.text


def stamped(peer: Peer, feed: Numbers) -> None:
    """Write the number of the connection in front of each message."""
    peer.accept()
    usual = peer.text

    def text(*texts: str) -> None:
        usual(*(f"{peer.number} {one}" for one in texts))

    peer.text = text  # type: ignore[method-assign]
    feed.behave(peer)


def test_messages_that_differ_over_each_connection_are_not_delivered_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "LONGEST", 0.2)

    with plain(behave=stamped, max_age=0.5) as feed:
        rotated_the_old_way(feed)
        numbers = [int(str(message).split()[1]) for message in list(feed.seen.messages)]
        assert numbers == sorted(set(numbers))


def test_with_a_message_key_they_are_the_same() -> None:
    with plain(behave=stamped, message_key=lambda message: message.data.split()[1]) as feed:
        wait_for_rotations(feed.ws, 3)
        numbers = [int(str(message).split()[1]) for message in list(feed.seen.messages)]
        assert is_whole(numbers)
        assert feed.seen.gaps == []
