"""A stream that ends comes back: by itself, after growing delays, and it says so."""

from __future__ import annotations

import itertools
import time

import pytest

from wsresilient import (
    ConnectionFailedError,
    ConnectionLostError,
    NotConnectedError,
    ReconnectPolicy,
    StaleConnectionError,
)

from .clients import QUICK, SLOW_RETRY, quick, running
from .servers import (
    PATIENCE,
    Peer,
    free_port,
    good_server,
    raw_server,
    serve_nothing,
    wait_until,
)


def one_text_then_end(peer: Peer) -> None:
    peer.text(f"from {peer.number}")


def test_server_that_ends_and_starts_again_is_found_again() -> None:
    with good_server() as first, running(first.url) as (ws, seen):
        first.wait_for(1)
        first.close()
        with good_server(port=first.port) as second:
            second.wait_for(1).send("back")
            assert seen.wait_for_messages(1) == ["back"]
            assert ws.get_stats()["reconnect_count"] == 1


def test_stream_comes_back_after_end_of_file_and_reset() -> None:
    def behave(peer: Peer) -> None:
        peer.text(str(peer.number))
        if peer.number == 1:
            return
        if peer.number == 2:
            peer.reset()
            return
        peer.serve()

    with raw_server(behave) as server, running(server.url) as (ws, seen):
        wait_until(lambda: "3" in seen.messages)  # a reset may take "2" with it
        wait_until(lambda: ws.is_connected)
        assert len(seen.errors) == 2
        assert all(isinstance(error, ConnectionLostError) for error in seen.errors)


def test_refused_connection_is_tried_again_until_there_is_a_server() -> None:
    port = free_port()
    with running(f"ws://127.0.0.1:{port}", connected=False) as (ws, seen):
        seen.wait_for_errors(2)
        assert "refused" in ws.last_error
        with raw_server(serve_nothing, port=port):
            assert ws.wait_until_connected(PATIENCE)
            assert ws.get_stats()["reconnect_count"] == 0
            assert ws.get_stats()["retry_count"] >= 2
            assert ws.stop(PATIENCE)


@pytest.mark.parametrize("code", [None, 1000, 1001, 1011], ids=str)
def test_delays_grow_when_a_server_accepts_and_closes(code: int | None) -> None:
    def behave(peer: Peer) -> None:
        if code is not None:
            peer.close(code)

    # Delays of 0.05, 0.15, 0.45, 1.35 s: a fifth connection only after 2 s.
    policy = ReconnectPolicy(initial_delay=0.05, backoff_factor=3.0, jitter=0.0)
    with (
        raw_server(behave) as server,
        running(server.url, connected=False, reconnect=policy) as (ws, _),
    ):
        server.wait_for(4)
        wait_until(lambda: ws.get_stats()["retry_count"] == 4)
        assert server.count == 4
        assert ws.get_stats()["reconnect_count"] == 3


def test_delays_grow_too_when_there_are_two_urls() -> None:
    def behave(peer: Peer) -> None:
        peer.close(1011)

    policy = ReconnectPolicy(initial_delay=0.2, backoff_factor=3.0, jitter=0.0)
    with (
        raw_server(behave) as one,
        raw_server(behave) as two,
        running([one.url, two.url], connected=False, reconnect=policy) as (ws, _),
    ):
        deadline = time.monotonic() + 1.0
        wait_until(lambda: one.count + two.count > 8 or time.monotonic() > deadline)
        assert one.count + two.count <= 8
        assert ws.generation <= 8


def test_count_starts_again_only_after_min_uptime() -> None:
    def behave(peer: Peer) -> None:
        if peer.number >= 3:
            peer.serve()

    with raw_server(behave) as server, running(server.url, min_uptime=0.2) as (ws, seen):
        server.wait_for(3)
        seen.wait_for_opens(3)
        connected = [change for change in seen.states if change.state == "connected"]
        assert [change.retry_count for change in connected] == [0, 1, 2]
        wait_until(lambda: ws.get_stats()["retry_count"] == 0)


def test_reconnect_count_counts_successes_and_retry_count_attempts() -> None:
    def behave(peer: Peer) -> None:
        peer.read_request()
        if peer.number in (1, 4):
            peer.sock.sendall(peer.accept_answer())
        if peer.number == 4:
            peer.serve()

    with raw_server(behave, handshake=False) as server, running(server.url) as (ws, seen):
        server.wait_for(4)
        seen.wait_for_opens(2)
        stats = ws.get_stats()
        assert stats["reconnect_count"] == 1
        assert stats["retry_count"] == 3
        assert stats["connection_failures"] == 2


def test_gives_up_after_max_attempts_and_says_so_everywhere() -> None:
    url = f"ws://127.0.0.1:{free_port()}"
    policy = ReconnectPolicy(initial_delay=0.01, jitter=0.0, max_attempts=2)
    with running(url, connected=False, reconnect=policy) as (ws, seen):
        with pytest.raises(ConnectionFailedError, match="refused"):
            ws.wait_until_connected(PATIENCE)
        assert ws.state == "failed"
        assert ws.join(PATIENCE)
        assert ws.generation == 3
        assert len(seen.errors) == 3
        assert seen.states[-1].state == "failed"
        with pytest.raises(ConnectionFailedError, match="2 retries"):
            ws.run_forever()


def test_zero_attempts_never_retry() -> None:
    policy = ReconnectPolicy(max_attempts=0)
    ws = quick(f"ws://127.0.0.1:{free_port()}", reconnect=policy)
    with pytest.raises(ConnectionFailedError):
        ws.run_forever()
    assert ws.generation == 1
    assert ws.stop()


def test_failed_connection_can_be_started_again() -> None:
    port = free_port()
    policy = ReconnectPolicy(initial_delay=0.01, max_attempts=0)
    with running(f"ws://127.0.0.1:{port}", connected=False, reconnect=policy) as (ws, _):
        with pytest.raises(ConnectionFailedError):
            ws.wait_until_connected(PATIENCE)
        with raw_server(serve_nothing, port=port):
            ws.start()
            assert ws.wait_until_connected(PATIENCE)
            assert ws.stop(PATIENCE)


def test_cooldown_pauses_and_starts_afresh_instead_of_failing() -> None:
    policy = ReconnectPolicy(initial_delay=0.01, jitter=0.0, max_attempts=1, cooldown=0.1)
    with running(f"ws://127.0.0.1:{free_port()}", connected=False, reconnect=policy) as (ws, seen):
        seen.wait_for_errors(6)
        assert ws.state != "failed"
        assert max(change.retry_count for change in seen.states) == 1


def test_reconnect_closes_with_1000_and_is_no_failure() -> None:
    with raw_server(serve_nothing) as server, running(server.url) as (ws, seen):
        ws.reconnect("a whim")
        server.wait_for(2)
        seen.wait_for_opens(2)
        assert seen.closes == [(1000, "")]
        assert seen.errors == []
        stats = ws.get_stats()
        assert (stats["reconnect_count"], stats["retry_count"], stats["error_count"]) == (1, 0, 0)
        assert ws.last_error == ""
        assert any("a whim" in change.message for change in seen.states)


def test_reconnect_skips_the_backoff() -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    with running(url, connected=False, reconnect=SLOW_RETRY) as (ws, seen):
        seen.wait_for_errors(1)
        wait_until(lambda: ws.state == "reconnecting")
        with raw_server(serve_nothing, port=port):
            ws.reconnect()
            assert ws.wait_until_connected(PATIENCE)
            assert ws.stop(PATIENCE)


def test_reconnect_of_a_stopped_connection_is_refused() -> None:
    ws = quick("ws://127.0.0.1:9")
    with pytest.raises(NotConnectedError):
        ws.reconnect()


def test_rotation_by_age_is_planned() -> None:
    closings: list[int | None] = []

    def behave(peer: Peer) -> None:
        peer.text(str(peer.number))
        closings.append(peer.serve().code)

    with raw_server(behave) as server, running(server.url, max_age=0.2) as (ws, seen):
        server.wait_for(3)
        seen.wait_for_opens(3)
        assert closings[:2] == [1000, 1000]
        assert seen.closes[:2] == [(1000, ""), (1000, "")]
        assert seen.errors == []
        assert ws.get_stats()["retry_count"] == 0
        assert {gap.reason for gap in seen.gaps} == {"rotation"}
        assert any("rotation" in change.message for change in seen.states)


def test_silent_feed_is_left_though_pings_are_answered() -> None:
    with (
        raw_server(serve_nothing) as server,
        running(server.url, stale_after=0.2, ping_interval=0.1, ping_timeout=0.05) as (ws, seen),
    ):
        server.wait_for(2)
        assert isinstance(seen.wait_for_errors(1)[0], StaleConnectionError)
        assert "stalled" in ws.last_error


def test_gap_is_told_before_the_first_message_after_a_reconnect() -> None:
    def behave(peer: Peer) -> None:
        peer.text(f"from {peer.number}")
        if peer.number > 1:
            peer.serve()

    before = time.time()
    with raw_server(behave) as server, running(server.url) as (_, seen):
        seen.wait_for_messages(2)
        assert [gap.reason for gap in seen.gaps] == ["reconnect"]
        gap = seen.gaps[0]
        assert before - 1 <= gap.started_at <= gap.ended_at <= time.time() + 1
        assert gap.connection == "test"
        order = seen.log
        assert order.index("from 1") < order.index("gap reconnect") < order.index("from 2")


def test_events_stand_in_their_order_between_the_messages() -> None:
    def behave(peer: Peer) -> None:
        peer.text("a", "b")
        if peer.number > 1:
            peer.serve()

    with raw_server(behave) as server, running(server.url) as (_, seen):
        seen.wait_for_messages(4)
        first = ["connecting", "connected", "open", "a", "b"]
        end = ["error ConnectionLostError", "close None", "reconnecting"]
        again = ["connecting", "connected", "gap reconnect", "open", "a", "b"]
        assert seen.log == first + end + again
        for earlier, later in itertools.pairwise(seen.states):
            assert later.previous is earlier.state
        assert all(change.message and change.connection == "test" for change in seen.states)


def test_second_url_is_taken_when_the_first_is_dead_and_both_share_one_delay() -> None:
    dead = f"ws://127.0.0.1:{free_port()}"
    with (
        raw_server(serve_nothing) as server,
        running([dead, server.url], reconnect=SLOW_RETRY) as (ws, _),
    ):
        assert ws.get_stats()["endpoint"].startswith(server.url)


def test_user_has_the_last_word_on_a_failure() -> None:
    with (
        raw_server(lambda peer: peer.close(1013, "never again")) as server,
        running(
            server.url,
            connected=False,
            reconnect=QUICK,
            classify=lambda failure: failure.replace(retryable=False),
        ) as (ws, _),
    ):
        assert ws.join(PATIENCE)
        with pytest.raises(ConnectionFailedError, match="never again"):
            ws.wait_until_connected()
        assert server.count == 1
