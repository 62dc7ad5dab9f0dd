"""Where lines go: standard output that may be a closed pipe, and logs while a command runs."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

__all__ = ["LineWriter", "Screen", "logging_to", "silence_standard_output"]

#: Bytes that a pipe takes without blocking when it has room at all.
_ROOM = getattr(select, "PIPE_BUF", 512)
#: Seconds after which a writer that waits for room looks whether it is still wanted.
_LOOK_EVERY = 0.1

_CLEAR, _HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[2J\x1b[H", "\x1b[H", "\x1b[K", "\x1b[J"


class LineWriter:
    """Writes whole lines from any thread, each at once.

    Where the stream is a pipe or a file, lines go past Python's buffer straight to the
    descriptor, and only while there is room: a thread that waits because nobody reads holds
    no lock that the end of the process needs, and can be let go with :meth:`close`.

    :param stream: where to.
    :ivar is_broken: nobody reads any more; further lines are forgotten.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # one line at a time
        self._descriptor = _plain_descriptor(stream)
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self.is_terminal = stream.isatty()
        self.is_broken = False
        self._is_closing = False

    def close(self) -> None:
        """Write no more, not even the rest of a line that waits for room; returns at once."""
        self._is_closing = True

    def write(self, line: str) -> bool:
        """Write one line.

        :param line: without its line end.
        :returns: False when nobody reads any more, or it was closed.
        """
        data = f"{line}\n".encode(self._encoding, "backslashreplace")
        with self._lock:
            if not self.is_broken:
                try:
                    self._put(data)
                except BrokenPipeError:
                    self.is_broken = True
            return not (self.is_broken or self._is_closing)

    def _put(self, data: bytes) -> None:
        if self._descriptor is None:
            self._stream.write(data.decode(self._encoding))
            self._stream.flush()
            return
        while data and not self._is_closing:
            _, has_room, _ = select.select([], [self._descriptor], [], _LOOK_EVERY)
            if has_room:
                with contextlib.suppress(BlockingIOError):  # somebody else was faster
                    data = data[os.write(self._descriptor, data[:_ROOM]) :]


class Screen:
    """Draws lines on a terminal, each time in the place of those before.

    :param writer: of the terminal.
    """

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._has_drawn = False

    def draw(self, lines: Sequence[str]) -> None:
        """Draw as many of the lines as there is room for."""
        shown = f"{_END_OF_LINE}\n".join(lines[: shutil.get_terminal_size().lines - 1])
        before = _HOME if self._has_drawn else _CLEAR
        self._writer.write(f"{before}{shown}{_END_OF_LINE}\n{_END_OF_SCREEN}")
        self._has_drawn = True


def _plain_descriptor(stream: TextIO) -> int | None:
    """Return the descriptor of a pipe or file; None for a terminal and for what has none."""
    try:
        descriptor = stream.fileno()
    except (OSError, AttributeError):  # replaced by something in memory
        return None
    if stream.isatty() or os.name == "nt":
        return None  # on Windows line ends are translated
    stream.flush()
    return descriptor


def silence_standard_output() -> None:
    """Point standard output at nothing, so that the exit does not complain of a closed pipe."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = sys.stdout.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


class _LineHandler(logging.Handler):
    """Hands each record on as one text."""

    def __init__(self, write: Callable[[str], object]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def logging_to(
    write: Callable[[str], object], *, level: int = logging.INFO, formatter: logging.Formatter
) -> Iterator[None]:
    """Give the library's log records to a function, for as long as a command runs.

    :param write: gets the formatted text, on the thread that logs.
    :param level: lower ones are not made.
    :param formatter: makes the text.
    """
    logger = logging.getLogger("wsresilient")
    handler = _LineHandler(write)
    handler.setFormatter(formatter)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
