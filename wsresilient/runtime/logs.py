"""Logging that cannot hurt: a handler of the user's that raises ends no thread of ours."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

__all__ = ["Log"]


class Log:
    """A logger whose calls never raise.

    :param name: of the logger.
    """

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def _log(self, level: int, text: str, *args: object, **extra: Any) -> None:
        try:
            self.logger.log(level, text, *args, stacklevel=3, **extra)
        except Exception:
            complain()

    def debug(self, text: str, *args: object) -> None:
        """Log at DEBUG."""
        self._log(logging.DEBUG, text, *args)

    def info(self, text: str, *args: object) -> None:
        """Log at INFO."""
        self._log(logging.INFO, text, *args)

    def warning(self, text: str, *args: object) -> None:
        """Log at WARNING."""
        self._log(logging.WARNING, text, *args)

    def error(self, text: str, *args: object) -> None:
        """Log at ERROR."""
        self._log(logging.ERROR, text, *args)

    def exception(self, text: str, *args: object) -> None:
        """Log at ERROR with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, text, *args, exc_info=True)

    def handle(self, record: logging.LogRecord) -> None:
        """Log a record that was made elsewhere."""
        try:
            self.logger.handle(record)
        except Exception:
            complain()


def complain() -> None:
    """Say on standard error that logging itself failed, as the logging module does."""
    if logging.raiseExceptions and sys.stderr is not None:
        traceback.print_exc(limit=5, file=sys.stderr)
