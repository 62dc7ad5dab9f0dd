"""What can be typed, and what is said when it is wrong."""

from __future__ import annotations

import pytest

from wsresilient.cli import main
from wsresilient.cli.command import build_parser

URL = "ws://127.0.0.1:1/"


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must end with exit code 2; return what it said."""
    try:
        code = main(argv)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "required: COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["listen"], "neither a URL nor --venue is given"),
        (["listen", "http://example.com/"], "the scheme must be ws:// or wss://"),
        (["listen", URL, "--ping-interval", "1", "--ping-timeout", "2"], "ping_interval is 1"),
        (["listen", URL, "--ping-timeout", "90"], "ping_interval > ping_timeout > 0"),
        (["listen", URL, "--stale-after", "-1"], "stale_after is -1.0"),
        (["listen", URL, "--count", "0"], "--count is 0; allowed: a whole number >= 1"),
        (["listen", URL, "--count", "many"], "--count: invalid int value: 'many'"),
        (["listen", URL, "--duration", "0"], "--duration is 0.0"),
        (["listen", URL, "--duration", "nan"], "--duration is nan"),
        (["listen", URL, "--max-attempts", "-2"], "max_attempts is -2"),
        (["listen", URL, "--max-delay", "0.5"], "max_delay >= initial_delay"),
        (["listen", URL, "--header", "A: 1", "--header", "a: 2"], "--header 'a' is given twice"),
        (["listen", URL, "--compression", "zip"], "invalid choice: 'zip'"),
        (["listen", URL, "-q", "-v"], "not allowed with argument"),
        (["demo", "--duration", "7"], "--duration is 7.0; allowed: a number >= 8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_said(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(argv, capsys)


def test_a_malformed_header_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["listen", URL, "--header", "Authorization hunter2hunter2"], capsys)

    assert "expected 'Name: value'" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("command", [[], ["demo"], ["listen"], ["status"]])
def test_help_explains_with_examples_in_80_columns(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])

    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "examples:" in out
    assert "wsresilient demo" in out if command != ["listen"] else "wsresilient listen wss" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    if command == ["listen"]:
        bound = "(default 60, before a random factor of up to 1.5)"
        assert bound in " ".join(out.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("wsresilient ")


def test_headers_are_taken_apart_at_the_first_colon() -> None:
    arguments = build_parser().parse_args(
        ["listen", URL, "--header", "Origin: https://example.com", "--header", "Empty:"]
    )

    assert arguments.header == [("Origin", "https://example.com"), ("Empty", "")]


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --cou" in refused(["listen", URL, "--cou", "1"], capsys)
