"""What the parsers of all commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["EXIT_UNKNOWN", "Commands", "add_command"]

#: What monitoring plug-ins say when they cannot tell, and ``status`` with them.
EXIT_UNKNOWN = 3

#: Where a command is added.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """Add a command.

    :param name: what is typed.
    :param run: from parsed arguments to an exit code.
    :param summary: half a line, for the list of commands.
    :param description: stands before its options, as it is.
    :param epilog: stands behind them, as it is.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    return command
