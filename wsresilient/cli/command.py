"""What can be typed: the parser, its help, and the exit codes that all commands share.

A command is a function from parsed arguments to an exit code; it is imported only when it is
called, so that ``--help`` and ``listen`` do not load what only the demo needs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence

from ..errors import ConfigurationError, SubscriptionLimitError
from .listen_parser import add_listen
from .output import silence_standard_output
from .parsing import EXIT_UNKNOWN, add_command

__all__ = ["build_parser", "main"]

EXIT_BAD_ARGUMENT = 2
EXIT_INTERRUPTED = 130

_DESCRIPTION = "Keep WebSocket connections alive, from a shell."

_EPILOG = """\
examples:
  wsresilient demo --dashboard
  wsresilient status http://127.0.0.1:8765
  wsresilient listen wss://ws.example.com/stream --send '{"op": "hello"}'
  wsresilient listen --venue okx --channel tickers --symbols BTC-USDT,ETH-USDT

"wsresilient COMMAND --help" explains each command.
"""

_DEMO_DESCRIPTION = """\
Watch a stream survive. An embedded exchange streams trades and tickers; on the
way to it a proxy breaks things: it pulls the cable, freezes the server, shuts
the door; and then the exchange itself falls silent. One of each in 30 seconds.
Nothing leaves this machine.

With --pairs or --connections it is a pool of connections that survives: an
exchange with MEXC's limits, hundreds of pairs, lines that are cut, pairs that
fall silent or do not exist, a server that restarts.
"""

_DEMO_EPILOG = """\
examples:
  wsresilient demo
  wsresilient demo --duration 120
  wsresilient demo --plain | tee demo.log
  wsresilient demo --dashboard         # the same in a browser, for five minutes
  wsresilient demo --pairs 750 --connections 8

exit code: 0 when messages were flowing at the end (with --pairs: when every
connection was up and every pair live), 1 when not, 2 for a bad argument or a
missing library.
Ctrl-C ends it early, with the report.
"""

_STATUS_DESCRIPTION = """\
Tell how the connections of a running process are. The process has to serve its
dashboard: wsresilient.start_dashboard(), or wsresilient demo --dashboard.
"""

_STATUS_EPILOG = """\
examples:
  wsresilient status http://127.0.0.1:8765
  wsresilient status 127.0.0.1:8765 --watch 5
  wsresilient status 127.0.0.1:8765 --json | jq .connections

exit code, as monitoring plug-ins have it: 0 ok, 1 warning, 2 critical, 3 when
it cannot be told (no answer, another answer, a wrong token, a bad argument,
nowhere to write to).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments behind the command's name; None takes the process's.
    :returns: the exit code.
    :raises SystemExit: after ``--help``, ``--version`` and arguments that cannot be parsed.
    """
    typed = sys.argv[1:] if argv is None else argv
    try:
        arguments = build_parser().parse_args(typed)
    except SystemExit as end:
        if end.code == EXIT_BAD_ARGUMENT and _command_in(typed) == "status":
            # 2 would be an alarm to whatever runs it as a monitoring plug-in.
            raise SystemExit(EXIT_UNKNOWN) from None
        raise
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except (ConfigurationError, SubscriptionLimitError) as error:
        print(f"wsresilient {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_BAD_ARGUMENT
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        silence_standard_output()
        return 0
    except KeyboardInterrupt:
        # A second Ctrl-C, while the first was being served.
        return EXIT_INTERRUPTED


def _command_in(typed: Sequence[str]) -> str | None:
    """Find the command in what was typed, also where the rest of it cannot be parsed."""
    return next((word for word in typed if not word.startswith("-")), None)


def build_parser() -> argparse.ArgumentParser:
    """Make the parser; each command puts its function into ``run``."""
    parser = argparse.ArgumentParser(
        prog="wsresilient",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"wsresilient {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_demo(commands)
    add_listen(commands, _run_listen)
    _add_status(commands)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("wsresilient")
    except importlib.metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


def _run_demo(arguments: argparse.Namespace) -> int:
    if arguments.pairs is not None or arguments.connections is not None:
        from .pool_demo import run_pool_demo

        return run_pool_demo(arguments)
    from .demo import run_demo

    return run_demo(arguments)


def _run_listen(arguments: argparse.Namespace) -> int:
    from .listen import run_listen

    return run_listen(arguments)


def _run_status(arguments: argparse.Namespace) -> int:
    from .status import run_status

    return run_status(arguments)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands,
        "demo",
        _run_demo,
        summary="watch a stream survive four faults",
        description=_DEMO_DESCRIPTION,
        epilog=_DEMO_EPILOG,
    )
    command.add_argument(
        "--duration",
        type=float,
        metavar="S",
        help="seconds, at least 8 (default 30, with --dashboard 300); shorter demos are played "
        "faster, longer ones repeat the faults every 30 s; with --pairs: default 45, at least "
        "what the warm-up and one fault take",
    )
    command.add_argument(
        "--pairs",
        type=int,
        metavar="N",
        help="many pairs instead of one stream (default with --connections: 750)",
    )
    command.add_argument(
        "--connections",
        type=int,
        metavar="N",
        help="at most so many connections for them (default with --pairs: as few as they need)",
    )
    command.add_argument(
        "--dashboard",
        type=int,
        nargs="?",
        const=8765,
        metavar="PORT",
        help="show it in a browser, too, on this machine (default port 8765; 0: any that is free)",
    )
    command.add_argument(
        "--plain",
        action="store_true",
        help="lines instead of a live table; the default where standard output is no terminal",
    )


def _add_status(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = add_command(
        commands,
        "status",
        _run_status,
        summary="tell how the connections of a running process are",
        description=_STATUS_DESCRIPTION,
        epilog=_STATUS_EPILOG,
    )
    command.add_argument("url", metavar="URL", help="of its dashboard, such as 127.0.0.1:8765")
    command.add_argument(
        "--watch",
        type=float,
        nargs="?",
        const=2.0,
        metavar="S",
        help="again every S seconds (default 2), until Ctrl-C",
    )
    command.add_argument(
        "--token",
        metavar="T",
        help="the dashboard's token; the environment variable WSRESILIENT_TOKEN keeps it out of "
        "the list of processes",
    )
    command.add_argument("--json", action="store_true", help="print the summary as JSON")
