"""Slow handlers: found from outside, told once for each call, with the line where they stand."""

from __future__ import annotations

import threading

from tests.support import Gate, Running, eventually
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.handlers import MOST_PLACES, HandlerSet, SlowCall


class Slow:
    """A delivery on a thread of its own that stands still in the handler, at a gate an item."""

    def __init__(self, *items: str) -> None:
        self.gates = {item: Gate() for item in items if item.startswith("slow")}
        self.handlers = HandlerSet("feed")
        self.handlers.add("message", self.on_message)
        self.run = Running(self.handlers.deliver, "message", list(items))

    def on_message(self, item: str) -> None:
        if item in self.gates:
            self.gates[item].pass_through()  # the line of the handler

    def found(self, limit: float, seconds_later: float) -> SlowCall | None:
        return self.handlers.find_slow_call(limit, monotonic() + seconds_later)

    def end(self) -> None:
        for gate in self.gates.values():
            gate.open()
        self.run.result()


def test_a_call_that_lasts_too_long_is_told_once_with_the_line_where_it_stands() -> None:
    slow = Slow("a", "slow", "b")
    slow.gates["slow"].wait_for_arrival()

    assert slow.found(1.0, 0.0) is None  # since when it lasts is known from now on
    assert slow.found(1.0, 0.9) is None
    found = slow.found(1.0, 1.5)
    assert found is not None
    assert found.event == "message"
    assert 1.4 <= found.seconds < 2.5
    line = Slow.on_message.__code__.co_firstlineno + 2
    assert found.where.startswith(f"on_message ({__file__}:{line})")
    assert "wait (" in found.where  # and what the handler itself waits in
    assert slow.found(1.0, 100.0) is None

    slow.end()
    assert slow.found(1.0, 200.0) is None


def test_each_slow_call_of_a_delivery_is_told() -> None:
    slow = Slow("slow 1", "slow 2")
    slow.gates["slow 1"].wait_for_arrival()
    slow.found(1.0, 0.0)
    assert slow.found(1.0, 1.5) is not None

    slow.gates["slow 1"].open()
    slow.gates["slow 2"].wait_for_arrival()
    assert slow.found(1.0, 50.0) is None
    assert slow.found(1.0, 51.5) is not None
    assert slow.found(1.0, 99.0) is None
    slow.end()


def test_a_slow_call_that_is_no_message_is_told_with_its_event_at_the_first_look() -> None:
    gate, handlers = Gate(), HandlerSet("feed")

    def on_open() -> None:
        gate.pass_through()

    handlers.add("open", on_open)
    run = Running(handlers.call, "open")
    gate.wait_for_arrival()

    assert handlers.find_slow_call(1000.0, monotonic()) is None
    found = handlers.find_slow_call(1.0, monotonic() + 2.0)
    assert found is not None
    assert found.event == "open"
    assert found.where.startswith(f"on_open ({__file__}:{on_open.__code__.co_firstlineno + 1})")
    assert handlers.find_slow_call(1.0, monotonic() + 100.0) is None
    gate.open()
    run.result()


def test_a_handler_without_lines_is_told_all_the_same() -> None:
    lock, handlers = threading.Lock(), HandlerSet("feed")
    handlers.add("message", lock.acquire)  # written in C
    lock.acquire()
    run = Running(handlers.deliver, "message", [1])
    found: list[SlowCall] = []

    def look() -> bool:
        slow = handlers.find_slow_call(0.0, monotonic())
        found.extend([slow] if slow is not None else [])
        return bool(found)

    assert eventually(look)
    lock.release()
    run.result()
    assert (found[0].event, found[0].where) == ("message", "a place that cannot be told")


def test_many_quick_calls_are_no_slow_one() -> None:
    now = monotonic()
    handlers = HandlerSet("feed")
    found: list[SlowCall | None] = []
    handlers.add("message", lambda n: found.append(handlers.find_slow_call(1.0, now + 0.9 * n)))

    handlers.deliver("message", list(range(100)))

    assert found == [None] * 100


def test_an_error_in_between_makes_no_quick_call_slow() -> None:
    start = monotonic()
    handlers = HandlerSet("feed")
    found: list[SlowCall | None] = []

    def handle(n: int) -> None:
        found.append(handlers.find_slow_call(1.0, start + 0.9 * n))
        raise ValueError

    handlers.add("message", handle)
    handlers.add("error", lambda _: None)
    handlers.deliver("message", list(range(50)))

    assert found == [None] * 50


def test_nothing_runs_so_nothing_is_slow() -> None:
    assert HandlerSet("feed").find_slow_call(0.0, monotonic() + 1e6) is None


# What everybody may ask, as often as they like.


def test_a_slow_call_is_told_to_whoever_asks_as_long_as_it_lasts() -> None:
    slow = Slow("slow")
    slow.gates["slow"].wait_for_arrival()
    handlers, began = slow.handlers, monotonic()

    assert handlers.slow_call(1.0, began + 100.0) is None  # nobody has looked yet
    handlers.find_slow_call(1.0, began)
    assert handlers.slow_call(1.0, began + 0.9) is None
    found = [handlers.slow_call(1.0, began + seconds) for seconds in (1.5, 20.0)]
    assert [round(one.seconds, 1) for one in found if one is not None] == [1.5, 20.0]

    slow.end()
    assert handlers.slow_call(1.0, began + 100.0) is None


def test_the_stack_goes_from_the_handler_inwards() -> None:
    slow = Slow("slow")
    slow.gates["slow"].wait_for_arrival()
    slow.found(1.0, 0.0)

    found = slow.found(1.0, 2.0)

    slow.end()
    assert found is not None
    functions = [place.partition(" ")[0] for place in found.stack]
    assert functions[:2] == ["on_message", "pass_through"]
    assert functions[-1] == "wait"
    assert found.where == f"{found.stack[0]}, in {found.stack[-1]}"
    assert found.as_dict() == {
        "event": "message",
        "where": found.where,
        "seconds": round(found.seconds, 3),
        "stack": list(found.stack),
    }


def test_the_middle_of_a_deep_stack_is_left_out() -> None:
    gate, handlers = Gate(), HandlerSet("feed")

    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        else:
            gate.pass_through()

    handlers.add("message", dive)
    run = Running(handlers.deliver, "message", [50])
    gate.wait_for_arrival()
    handlers.find_slow_call(1.0, monotonic())

    found = handlers.find_slow_call(1.0, monotonic() + 2.0)

    gate.open()
    run.result()
    assert found is not None
    assert len(found.stack) == 2 * MOST_PLACES + 1
    assert found.stack[MOST_PLACES] == "..."
    assert found.stack[0].startswith("dive (")
    assert found.stack[-1].startswith("wait (")
