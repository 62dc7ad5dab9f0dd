"""The parts of ``status`` that need no socket: what is asked, and how the answer is shown."""

from __future__ import annotations

from typing import Any

import pytest

from wsresilient import ConfigurationError, Monitor
from wsresilient.cli import main
from wsresilient.cli.status import TOKEN_VARIABLE, Look, StatusSource, UnknownStatusError, target_of


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def look(**changes: Any) -> Look:
    monitor = Monitor()
    monitor.record_message("feed")
    issues = monitor.diagnose_connection_issues()
    return Look(monitor.get_summary() | changes, monitor.get_history() | {"issues": issues})


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("127.0.0.1:8765", "http://127.0.0.1:8765"),
        ("localhost", "http://localhost"),
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
        ("http://127.0.0.1:8765/summary", "http://127.0.0.1:8765"),
        ("https://dash.example/streams/", "https://dash.example/streams"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
    ],
)
def test_an_address_may_be_typed_in_any_way(typed: str, url: str) -> None:
    assert target_of(typed, None) == (url, None)


def test_the_token_comes_from_the_option_the_url_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "third")

    assert target_of("localhost:1/?token=second", "first") == ("http://localhost:1", "first")
    assert target_of("localhost:1/?token=second", None) == ("http://localhost:1", "second")
    assert target_of("localhost:1", None) == ("http://localhost:1", "third")


@pytest.mark.parametrize(
    "typed", ["ftp://localhost", "http://", "http://[::1", "http://a:b@c/", ""]
)
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ConfigurationError, match="URL is"):
        target_of(typed, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ftp://localhost"], "URL is 'ftp://localhost'"),
        (["localhost:1", "--watch", "0"], "--watch is 0.0"),
    ],
)
def test_a_bad_value_is_unknown_and_not_critical(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *arguments]) == 3

    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["localhost", "--watch", "abc"], ["localhost", "--nosuch"], ["localhost", "extra"]],
)
def test_what_cannot_be_parsed_is_unknown_and_not_critical(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["status", *arguments])

    assert caught.value.code == 3
    assert "usage: wsresilient" in capsys.readouterr().err


def test_other_commands_end_with_2_as_usual(capsys: pytest.CaptureFixture[str]) -> None:
    for typed in (["listen", "--nosuch"], ["nosuch"], []):
        with pytest.raises(SystemExit) as caught:
            main(typed)
        assert caught.value.code == 2
    capsys.readouterr()


def test_a_bug_is_unknown_and_no_alarm(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError("state")

    monkeypatch.setattr(StatusSource, "look", fail)
    monkeypatch.setattr("wsresilient.cli.status.silence_standard_output", lambda: None)

    assert main(["status", "localhost:1"]) == 3
    assert "error: KeyError: 'state'" in capfd.readouterr().err


def test_the_report_is_the_processs_own() -> None:
    text = look().report()

    assert "feed" in text
    assert "Status: ok" in text


def test_what_a_process_sends_does_not_move_the_cursor() -> None:
    text = look(status="ok\x1b[2J\x9b", uptime=1.0).report()

    assert "\x1b" not in text
    assert "\x9b" not in text


@pytest.mark.parametrize(
    "changes", [{"connections": None}, {"connections": {"a": {}}}, {"uptime": "long"}]
)
def test_a_summary_of_another_shape_is_said_to_be_one(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownStatusError, match="not that of a dashboard of this version"):
        look(**changes).report()


def test_a_report_needs_no_history() -> None:
    assert "Status: ok" in Look(look().summary, None).report()


def test_no_repr_shows_the_token() -> None:
    source = StatusSource("http://localhost:1", "correct-horse")
    try:
        assert "correct-horse" not in repr(source)
    finally:
        source.close()
