"""Handlers: isolated from each other and from the stream, counted, logged without secrets."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Gate, Running
from wsresilient import ConfigurationError
from wsresilient.core.redact import Redactor
from wsresilient.runtime import handlers as module
from wsresilient.runtime.clock import monotonic
from wsresilient.runtime.handlers import EVENTS, TRACEBACKS_PER_MINUTE, HandlerSet


class WorseError(BaseException):
    """What is no Exception."""


ERRORS = [ValueError, WorseError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration]


def handlers_of(**handlers: Callable[..., object]) -> HandlerSet:
    """Make a set with one handler for each of these events."""
    made = HandlerSet("feed")
    for event, handler in handlers.items():
        made.add(event, handler)
    return made


def raising(error: BaseException | type[BaseException]) -> Callable[..., None]:
    def fail(*_args: object) -> None:
        raise error

    return fail


# Who is called.


def test_all_handlers_of_an_event_are_called_in_the_order_in_which_they_were_added() -> None:
    got: list[object] = []
    handlers = HandlerSet("feed")
    for name in "abc":
        handlers.add("close", lambda code, reason, name=name: got.append((name, code, reason)))

    handlers.call("close", 1001, "bye")

    assert got == [(name, 1001, "bye") for name in "abc"]


def test_each_item_goes_to_every_handler_before_the_next_item() -> None:
    got: list[tuple[int, str]] = []
    handlers = HandlerSet("feed")
    handlers.add("message", lambda item: got.append((1, item)))
    handlers.add("message", lambda item: got.append((2, item)))

    handlers.deliver("message", ["a", "b"])

    assert got == [(1, "a"), (2, "a"), (1, "b"), (2, "b")]


def test_without_a_handler_nothing_happens() -> None:
    handlers = HandlerSet("feed")

    for event in EVENTS:
        assert not handlers.has(event)
        handlers.call(event, "x")
        handlers.deliver(event, ["x"])

    assert handlers.counters.callback_errors == 0


def test_the_events_are_those_of_the_api() -> None:
    assert {"message", "data", "open", "close", "error", "state", "stats", "gap"} <= set(EVENTS)


def test_a_handler_can_be_added_while_others_are_called() -> None:
    got: list[str] = []
    handlers = HandlerSet("feed")

    def add_another(item: str) -> None:
        got.append(item)
        handlers.add("message", lambda item: got.append(item + " again"))

    handlers.add("message", add_another)
    handlers.deliver("message", ["a"])
    handlers.deliver("message", ["b"])

    assert got == ["a", "b", "b again"]


@pytest.mark.parametrize("handler", [None, 5, "print"])
def test_what_cannot_be_called_is_refused(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"the handler for 'open' is .*; allowed: "):
        HandlerSet("feed").add("open", handler)


def test_a_handler_for_an_event_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="unknown event 'mesage'; did you mean 'message'"):
        HandlerSet("feed").add("mesage", print)


def test_a_refusal_names_the_argument_where_there_is_one() -> None:
    with pytest.raises(ConfigurationError, match=r"^on_open is 5; allowed: "):
        HandlerSet("feed").add("open", 5, argument="on_open")  # type: ignore[arg-type]


# Isolation.


@pytest.mark.parametrize("error", ERRORS)
def test_every_message_is_delivered_whatever_each_of_them_raises(
    error: type[BaseException],
) -> None:
    got: list[str] = []
    told: list[Exception] = []

    def handle(item: str) -> None:
        got.append(item)
        raise error(item)

    handlers = handlers_of(message=handle, error=told.append)
    handlers.deliver("message", ["a", "b", "c"])

    assert got == ["a", "b", "c"]
    assert handlers.counters.callback_errors == 3
    assert len(told) == 3
    for item, seen in zip(got, told, strict=True):
        assert isinstance(seen, Exception)
        assert item in str(seen)
        cause = seen if issubclass(error, Exception) else seen.__cause__
        assert type(cause) is error


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("event", ["open", "close", "state", "gap"])
def test_a_handler_that_raises_does_not_keep_the_next_one_from_being_called(
    error: type[BaseException], event: str
) -> None:
    got: list[str] = []
    told: list[Exception] = []
    handlers = handlers_of(error=told.append)
    handlers.add(event, raising(error))
    handlers.add(event, got.append)
    handlers.add(event, raising(error))

    handlers.call(event, "x")

    assert got == ["x"]
    assert handlers.counters.callback_errors == len(told) == 2


@pytest.mark.parametrize("error", ERRORS)
def test_of_several_message_handlers_each_is_isolated(error: type[BaseException]) -> None:
    got: list[str] = []
    told: list[Exception] = []
    handlers = handlers_of(error=told.append)
    handlers.add("message", raising(error))
    handlers.add("message", got.append)

    handlers.deliver("message", ["a", "b"])

    assert got == ["a", "b"]
    assert handlers.counters.callback_errors == len(told) == 2


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_handler_that_raises_is_counted_and_not_told_of_itself(
    error: type[BaseException],
) -> None:
    told: list[Exception] = []
    handlers = handlers_of(message=raising(ValueError("first")), error=raising(error))
    handlers.add("error", told.append)

    handlers.deliver("message", ["a"])

    assert [str(seen) for seen in told] == ["first"]
    assert handlers.counters.callback_errors == 2


def test_on_error_gets_the_very_exception() -> None:
    error = ValueError("no")
    told: list[Exception] = []
    handlers = handlers_of(message=raising(error), error=told.append)

    handlers.deliver("message", ["a"])

    assert told == [error]


def test_exceptions_and_handlers_that_cannot_be_told_are_isolated_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class MuteError(BaseException):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    class Handler:
        def __call__(self, _item: object) -> None:
            raise MuteError

        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    told: list[Exception] = []
    handlers = handlers_of(message=Handler(), error=told.append)
    handlers.deliver("message", ["a", "b"])

    assert handlers.counters.callback_errors == 2
    assert "MuteError" in str(told[0])
    assert "Handler" in caplog.text


def test_an_error_of_a_message_rather_than_of_a_handler_is_counted_and_told() -> None:
    told: list[Exception] = []
    handlers = handlers_of(error=told.append)
    error = ValueError("not decoded")

    handlers.fail(error)

    assert told == [error]
    assert handlers.counters.callback_errors == 1


def test_emptying_the_list_ends_a_delivery_behind_the_call_that_is_running() -> None:
    items = ["a", "b", "c"]
    got: list[str] = []

    def handle(item: str) -> None:
        got.append(item)
        if item == "b":
            items.clear()
            raise ValueError("and this on top")

    handlers_of(message=handle).deliver("message", items)

    assert got == ["a", "b"]


# What is logged.


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "wsresilient.handlers"]


def test_a_traceback_is_logged_with_the_connection_and_the_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def on_trade(_item: object) -> None:
        raise ValueError("bad trade")

    handlers_of(message=on_trade).deliver("message", ["a"])

    (record,) = tracebacks(caplog)
    assert record.levelno == logging.ERROR
    assert "feed: handler" in record.getMessage()
    assert "on_trade for 'message' raised ValueError" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)
    for part in ("Traceback", f'File "{__file__}"', "in on_trade", "ValueError: bad trade"):
        assert part in caplog.text


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (raising(ValueError), "raising.<locals>.fail"),
        (functools.partial(raising(ValueError), "swordfish"), "partial"),
        ([].index, "list.index"),
    ],
)
def test_a_handler_is_named_without_its_arguments(
    handler: Callable[..., object], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    handlers_of(message=handler).deliver("message", ["a"])

    assert f"handler {name} for" in caplog.text
    assert "swordfish" not in caplog.text


def test_tracebacks_are_limited_to_a_few_a_minute_and_counted_all(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    told: list[Exception] = []
    handlers = handlers_of(message=raising(ValueError), error=told.append)

    handlers.deliver("message", ["x"] * 100)

    logged = [record.getMessage() for record in tracebacks(caplog)]
    assert len(logged) == TRACEBACKS_PER_MINUTE
    assert [text.endswith("not logged") for text in logged] == [False] * (len(logged) - 1) + [True]
    assert handlers.counters.callback_errors == len(told) == 100

    now += 59.0
    handlers.deliver("message", ["x"])
    assert len(tracebacks(caplog)) == TRACEBACKS_PER_MINUTE
    now += 2.0
    handlers.deliver("message", ["x"])
    assert len(tracebacks(caplog)) == TRACEBACKS_PER_MINUTE + 1


def test_a_traceback_shows_no_secret_but_the_places_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def on_swordfish(_item: object) -> None:
        try:
            raise ValueError("the token swordfish is wrong")
        except ValueError as error:
            raise RuntimeError("GET /?key=abc&sign=def") from error

    handlers = handlers_of(message=on_swordfish)
    handlers.redact = Redactor(["swordfish"])
    handlers.deliver("message", ["a"])

    assert "the token *** is wrong" in caplog.text
    assert "GET /?key=***&sign=***" in caplog.text
    assert "in on_swordfish" in caplog.text


# Who is calling whom.


def test_a_thread_knows_whether_it_is_inside_a_handler() -> None:
    inside: list[bool] = []
    others: list[bool] = []
    handlers = HandlerSet("feed")

    def look(*_args: object) -> None:
        inside.append(handlers.is_calling())
        others.append(Running(handlers.is_calling).result())

    def look_and_fail(_item: object) -> None:
        look()
        raise ValueError

    handlers.add("message", look_and_fail)
    handlers.add("error", look)
    handlers.add("open", look)
    handlers.deliver("message", ["a", "b"])
    handlers.call("open")

    assert inside == [True] * 5
    assert others == [False] * 5
    assert not handlers.is_calling()


def test_two_lanes_may_call_at_the_same_time_and_each_knows_its_own_thread() -> None:
    # after a restart from inside a handler the old lane still runs beside the new one
    gate, inside = Gate(), threading.Barrier(2)
    handlers = HandlerSet("feed")
    seen: list[bool] = []

    def handle(item: str) -> None:
        gate.pass_through()
        inside.wait(10.0)
        seen.append(handlers.is_calling())

    handlers.add("message", handle)
    lanes = [Running(handlers.deliver, "message", [name]) for name in ("old", "new")]
    for _ in lanes:
        gate.wait_for_arrival()
    gate.open()
    for lane in lanes:
        lane.result()

    assert seen == [True, True]
    assert not handlers.is_calling()
    assert handlers.find_slow_call(0.0, monotonic() + 100.0) is None
