"""Topics that are confirmed and have brought no data yet: an acknowledgement is not yet data."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["FirstData"]


class FirstData:
    """Waits for the first data of each topic.

    :param timeout: seconds in which it should come; None: nobody waits.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        # In the order of their confirmation; a dict that loses its first key is slow to find it.
        self._due: OrderedDict[str, float] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._due)

    def wait_for(self, topic: str, now: float) -> None:
        """Expect data of a topic from now on."""
        if self._timeout is not None:
            self._due[topic] = now + self._timeout
            self._due.move_to_end(topic)

    def forget(self, topic: str) -> None:
        """Expect nothing of a topic: it has come, or the topic is gone."""
        self._due.pop(topic, None)

    def clear(self) -> None:
        """Expect nothing at all."""
        self._due.clear()

    def silent(self, now: float) -> list[str]:
        """Give the topics whose time is over, each once."""
        late = []
        for topic, due in self._due.items():
            if due > now:
                break
            late.append(topic)
        for topic in late:
            del self._due[topic]
        return late

    def deadline(self) -> float | None:
        """Monotonic time at which :meth:`silent` has something, or None."""
        return next(iter(self._due.values()), None)
