"""How topics are asked for, without a connection."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from wsresilient import ConnectionConfig
from wsresilient.core.incoming import Acknowledged
from wsresilient.core.redact import Redactor
from wsresilient.runtime.pacing import Pacer
from wsresilient.runtime.subscriber import Subscriber
from wsresilient.runtime.topic_requester import TopicRequester
from wsresilient.runtime.transport import Attempt
from wsresilient.venues import Custom, Limits

PATIENCE = 10.0


class Line:
    """A connection's attempt, its sender and its pacer in one: everything may go out."""

    def __init__(self) -> None:
        self.sender = self
        self.sent: list[Any] = []
        self.given_back = 0

    def try_send_text(self, payload: bytes) -> bool:
        self.sent.append(json.loads(payload))
        return True

    def try_request(self) -> float:
        return 0.0

    def give_back(self) -> None:
        self.given_back += 1


class Asking:
    """A requester for a venue whose requests are made by a function of the user's."""

    def __init__(self, build: Callable[[Sequence[str]], Any], *topics: str, **limits: Any) -> None:
        venue = Custom(
            build,
            lambda topics: {"end": list(topics)},
            lambda message: None,
            ack_of=lambda message: message,
            limits=Limits(**limits),
        )
        self.line = Line()
        self.errors: list[Exception] = []
        self.subscriber = Subscriber(venue, ConnectionConfig())
        self.subscriber.subscribe(topics)
        self.requester = TopicRequester(
            self.subscriber,
            ConnectionConfig(),
            cast(Pacer, self.line),
            self.errors.append,
            name="test",
        )
        self.requester.opened((), Redactor())

    def tick(self) -> None:
        self.requester.tick(cast(Attempt, self.line), 0.0, may_request=True)


def test_a_request_that_cannot_be_made_costs_only_the_topic_at_fault() -> None:
    def build(topics: Sequence[str]) -> Any:
        if "t5" in topics:
            raise KeyError("t5")
        return {"begin": list(topics)}

    topics = [f"t{number}" for number in range(12)]
    asking = Asking(build, *topics)
    asking.tick()

    (error,) = asking.errors
    assert "'t5' was refused: the venue could not make the request: KeyError" in str(error)
    assert asking.subscriber.failed.keys() == {"t5"}
    asked = [topic for message in asking.line.sent for topic in message["begin"]]
    assert sorted(asked) == sorted(set(topics) - {"t5"})
    assert asking.line.given_back > 0
    for topic in asked:
        assert asking.requester.acknowledged(Acknowledged(topics=(topic,)))
    assert asking.subscriber.confirmed == set(asked)


def test_a_request_that_cannot_be_encoded_is_one_that_cannot_be_made() -> None:
    asking = Asking(lambda topics: f"sub {topics[0]} \udc80", "a")
    asking.tick()

    assert asking.subscriber.failed.keys() == {"a"}
    assert asking.line.sent == []


def test_the_functions_of_the_user_are_called_without_the_lock() -> None:
    seen: list[frozenset[str]] = []

    def build(topics: Sequence[str]) -> Any:
        reader = threading.Thread(target=lambda: seen.append(asking.subscriber.wanted), daemon=True)
        reader.start()
        reader.join(PATIENCE)
        assert not reader.is_alive()
        return {"begin": list(topics)}

    asking = Asking(build, "a", "b", topics_per_request=2, request_size=18)
    asking.tick()

    assert [message["begin"] for message in asking.line.sent] == [["a"], ["b"]]
    assert seen
    assert all(wanted == {"a", "b"} for wanted in seen)
    assert asking.errors == []
