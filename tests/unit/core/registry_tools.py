"""A venue as the registry of subscriptions sees it, and a registry that is used by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wsresilient.core.incoming import Acknowledged
from wsresilient.core.limits import Limits
from wsresilient.core.subscriptions import SubscriptionRegistry
from wsresilient.core.topic_requests import Request


class Rules:
    """A venue as the registry sees it."""

    def __init__(
        self,
        *,
        acknowledges: bool = True,
        data_confirms: bool = False,
        tags: bool = False,
        **limits: Any,
    ) -> None:
        self.limits = Limits(**limits)
        self.acknowledges = acknowledges
        self.data_confirms = data_confirms
        self._tags = tags

    def is_implicit(self, topic: str) -> bool:
        return topic.startswith("own.")

    def is_private(self, topic: str) -> bool:
        return topic.startswith(("own.", "private."))

    def ends_with(self, topic: str, other: str) -> bool:
        return False

    def tag(self, topic: str, *, subscribing: bool) -> str | None:
        return (
            f"{'sub' if subscribing else 'unsub'}.{topic.partition(':')[0]}" if self._tags else None
        )

    def subscribe(self, topics: Sequence[str], request_id: int) -> str:
        return json.dumps(["sub", *topics, request_id])

    def unsubscribe(self, topics: Sequence[str], request_id: int) -> str:
        return json.dumps(["unsub", *topics, request_id])


def registry(*topics: str, rules: Rules | None = None, **settings: Any) -> SubscriptionRegistry:
    made = SubscriptionRegistry(rules or Rules(), **settings)
    made.want(topics)
    return made


def opened(*topics: str, rules: Rules | None = None, **settings: Any) -> SubscriptionRegistry:
    made = registry(*topics, rules=rules, **settings)
    made.opened()
    return made


def send(made: SubscriptionRegistry, now: float = 0.0) -> Request:
    """Send the next request; there must be one."""
    request = made.next_request(now)
    assert request is not None
    made.sent(request, now)
    return request


def send_all(made: SubscriptionRegistry, now: float = 0.0) -> list[Request]:
    requests = []
    while (request := made.next_request(now)) is not None:
        made.sent(request, now)
        requests.append(request)
    return requests


def answer_all(made: SubscriptionRegistry, now: float = 0.0) -> None:
    for request in send_all(made, now):
        assert made.acknowledged(Acknowledged(request_id=request.request_id), now)
