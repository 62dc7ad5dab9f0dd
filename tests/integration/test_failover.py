"""Several URLs, some of them dead or treacherous: where a stream goes, and how often."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from wsresilient import ConfigurationError, EndpointPolicy, ReconnectPolicy

from .clients import SLOW_RETRY, running
from .servers import LOCALHOST, PATIENCE, free_port, raw_server, serve_nothing, wait_until

#: A pause that a test can bear, and many of them in a second.
BRISK = ReconnectPolicy(initial_delay=0.005, max_delay=0.02, jitter=0.0)


class DeadEndpoint:
    """Takes TCP connections, hangs up at once, and counts them."""

    def __init__(self) -> None:
        self._listener = socket.create_server((LOCALHOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"ws://{LOCALHOST}:{self.port}"
        self.asked = 0
        self._thread = threading.Thread(target=self._hang_up)
        self._thread.start()

    def _hang_up(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.asked += 1
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def dead() -> Iterator[DeadEndpoint]:
    endpoint = DeadEndpoint()
    yield endpoint
    endpoint.close()


def states(stats: dict[str, Any]) -> list[str]:
    return [each["state"] for each in stats["endpoints"]]


def test_a_dead_first_endpoint_costs_at_most_one_connect_per_probe_interval(
    dead: DeadEndpoint,
) -> None:
    """Whatever the second does: here it closes every connection at once."""
    policy = EndpointPolicy(failures=2, probe_interval=0.3)
    began = time.monotonic()
    with (
        raw_server(lambda peer: peer.close(1012)) as alive,
        running(
            [dead.url, alive.url], connected=False, reconnect=BRISK, endpoint_policy=policy
        ) as (ws, _),
    ):
        wait_until(lambda: dead.asked >= 5, PATIENCE, "three probes")
        assert ws.stop(PATIENCE)
        assert alive.count > dead.asked

    # Two failures open the circuit; each probe comes 0.3 s after the one before, or later.
    assert dead.asked <= 2 + (time.monotonic() - began) / 0.3


def test_a_server_that_accepts_and_closes_at_once_is_left_for_the_next() -> None:
    with (
        raw_server(lambda peer: peer.close(1013)) as treacherous,
        raw_server(serve_nothing) as good,
        running([treacherous.url, good.url], reconnect=SLOW_RETRY, connected=False) as (ws, _),
    ):
        good.wait_for(1)
        wait_until(lambda: ws.is_connected)
        assert ws.get_stats()["endpoint"].startswith(good.url)
        assert treacherous.count == 1


def test_it_goes_back_to_the_first_with_a_reconnect_when_that_is_good_again() -> None:
    port = free_port()
    first = f"ws://{LOCALHOST}:{port}"
    policy = EndpointPolicy(failures=1, probe_interval=0.2)
    with (
        raw_server(serve_nothing) as second,
        running([first, second.url], reconnect=BRISK, endpoint_policy=policy, min_uptime=0.0) as (
            ws,
            seen,
        ),
    ):
        assert states(ws.get_stats()) == ["open", "closed"]
        ws.reconnect()
        second.wait_for(2)
        with raw_server(serve_nothing, port=port) as back:
            wait_until(lambda: states(ws.get_stats()) == ["half-open", "closed"])
            assert back.count == 0  # a stream that is up is not touched
            ws.reconnect()
            back.wait_for(1)
            seen.wait_for_opens(3)
            stats = ws.get_stats()
            assert states(stats) == ["closed", "closed"]
            assert [each["url"] for each in stats["endpoints"]] == [first, second.url]
            assert [each["is_current"] for each in stats["endpoints"]] == [True, False]
            assert ws.stop(PATIENCE)


def test_without_prefer_first_it_stays_with_what_is_good() -> None:
    port = free_port()
    policy = EndpointPolicy(failures=1, probe_interval=0.0, prefer_first=False)
    with (
        raw_server(serve_nothing) as second,
        running(
            [f"ws://{LOCALHOST}:{port}", second.url],
            reconnect=BRISK,
            endpoint_policy=policy,
            min_uptime=0.0,
        ) as (ws, _),
        raw_server(serve_nothing, port=port) as first,
    ):
        for count in (2, 3, 4):
            ws.reconnect()
            second.wait_for(count)
            wait_until(lambda: ws.is_connected)
        assert first.count == 0
        assert ws.stop(PATIENCE)


def test_the_loss_of_a_good_connection_is_followed_by_a_pause_and_then_all_are_tried() -> None:
    policy = ReconnectPolicy(initial_delay=0.1, jitter=0.0)
    with (
        raw_server(serve_nothing) as first,
        raw_server(serve_nothing) as second,
        running([first.url, second.url], reconnect=policy, min_uptime=0.0) as (ws, seen),
    ):
        first.close()
        second.wait_for(1)
        wait_until(lambda: ws.is_connected)
        retries = [change.message for change in seen.states if change.state == "reconnecting"]
        assert [message[: message.index(":")] for message in retries] == [
            "retry [1] in 0.1 s",  # lost
            "retry [2] in 0.0 s",  # the first is refused
        ]


def test_an_adaptive_policy_follows_the_history_of_the_endpoint() -> None:
    policy = ReconnectPolicy(initial_delay=0.1, backoff_factor=1.0, jitter=0.0, adaptive=True)
    with (
        raw_server(lambda peer: peer.close(1013)) as server,
        running(server.url, connected=False, reconnect=policy) as (_, seen),
    ):
        seen.wait_for_errors(3)
        wait_until(lambda: sum(change.state == "reconnecting" for change in seen.states) == 3)
        retries = [change.message for change in seen.states if change.state == "reconnecting"]

    assert [message[: message.index(":")] for message in retries] == [
        "retry [1] in 0.1 s",
        "retry [2] in 0.1 s",
        "retry [3] in 0.4 s",  # three attempts are a history
    ]


def test_states_of_the_endpoints_show_no_token() -> None:
    urls = [f"ws://{LOCALHOST}:{free_port()}/?token=T0KEN-xyz-{number}" for number in range(2)]
    with running(urls, connected=False, reconnect=SLOW_RETRY) as (ws, seen):
        seen.wait_for_errors(2)
        stats = ws.get_stats()

    assert len(stats["endpoints"]) == 2
    assert "T0KEN" not in repr(stats)


def test_a_wrong_policy_is_named() -> None:
    with (
        pytest.raises(ConfigurationError, match="endpoint_policy is 5; allowed: an EndpointPolicy"),
        running("ws://127.0.0.1:9", endpoint_policy=5),
    ):
        raise AssertionError("it was made")
