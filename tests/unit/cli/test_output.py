"""Lines that go out: at once, whole, and without a complaint when nobody reads."""

from __future__ import annotations

import io
import logging
import os
import threading
from typing import TextIO

import pytest

from wsresilient.cli.output import LineWriter, logging_to


def pipe() -> tuple[int, TextIO]:
    reader, writer = os.pipe()
    return reader, open(writer, "w", encoding="utf-8")


def test_a_line_is_out_when_write_returns() -> None:
    reader, stream = pipe()
    with stream:
        assert LineWriter(stream).write("ü")
        assert os.read(reader, 100) == b"\xc3\xbc" + os.linesep.encode()
    os.close(reader)


def test_a_closed_pipe_is_noticed_and_nothing_raised() -> None:
    reader, stream = pipe()
    with stream:
        writer = LineWriter(stream)
        os.close(reader)

        assert not writer.write("anybody?")
        assert writer.is_broken
        assert not writer.write("no")


def test_a_writer_that_nobody_reads_from_can_be_let_go() -> None:
    reader, stream = pipe()
    with stream:
        writer = LineWriter(stream)
        thread = threading.Thread(target=writer.write, args=("x" * 10_000_000,))
        thread.start()
        os.read(reader, 1)

        writer.close()

        thread.join(10.0)
        assert not thread.is_alive()
        assert not writer.is_broken
    os.close(reader)


def test_lines_of_many_threads_stay_whole() -> None:
    reader, stream = pipe()
    line = "x" * 10_000
    received = bytearray()
    with stream:
        writer = LineWriter(stream)
        threads = [
            threading.Thread(target=lambda: [writer.write(line) for _ in range(20)])
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        while received.count(b"\n") < 100:
            received += os.read(reader, 65536)
        for thread in threads:
            thread.join()
    os.close(reader)

    assert set(bytes(received).split()) == {line.encode()}


def test_what_the_encoding_does_not_have_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1", newline="\n")

    LineWriter(stream).write("ü☕")

    assert raw.getvalue() == b"\xfc\\u2615\n"


def test_logs_are_heard_only_for_as_long_as_a_command_runs() -> None:
    logger = logging.getLogger("wsresilient")
    before = (logger.level, list(logger.handlers))
    heard: list[str] = []

    with logging_to(heard.append, level=logging.INFO, formatter=logging.Formatter("%(message)s")):
        logging.getLogger("wsresilient.connection").info("one")
        logging.getLogger("wsresilient.connection").debug("two")
        logging.getLogger("other").error("three")
    logger.warning("four")

    assert heard == ["one"]
    assert (logger.level, logger.handlers) == before


def test_a_log_that_cannot_be_written_is_not_the_callers_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_line: str) -> None:
        raise RuntimeError("full")

    with logging_to(fail, formatter=logging.Formatter("%(message)s")):
        logging.getLogger("wsresilient.connection").info("one")

    assert "RuntimeError: full" in capsys.readouterr().err
