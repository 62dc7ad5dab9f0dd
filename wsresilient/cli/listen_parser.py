"""What can be typed behind ``wsresilient listen``, and its help."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ..config import ConnectionConfig
from ..core.backoff import ReconnectPolicy
from .parsing import Commands, add_command

__all__ = ["add_listen"]

_CONFIG = ConnectionConfig()
_POLICY = ReconnectPolicy()

_DESCRIPTION = """\
Print what a WebSocket sends, for as long as you like: one message a line on
standard output, logs and a summary on standard error. Lost connections come
back by themselves.

It listens to a URL, or with --venue to topics of an exchange: they are
subscribed, after each reconnect too, and only their data is printed.
"""

_EPILOG = """\
A line break inside a text message is printed as a space, so that one message
stays one line; on a terminal other control characters are replaced, too.

examples:
  wsresilient listen wss://stream.example.com/ws --send '{"op": "subscribe"}'
  wsresilient listen ws://localhost:8080/ --header 'X-Token: abc' | jq .price
  wsresilient listen wss://example.com/feed --count 1 --duration 10 -q  # alive?
  wsresilient listen --venue okx --channel tickers --symbols BTC-USDT,ETH-USDT
  wsresilient listen --venue bybit --channel publicTrade,orderbook.50 \\
      --symbols BTCUSDT --decoded | jq .data
  wsresilient listen --venue binance --market futures --channel kline_1m \\
      --symbols BTCUSDT --environment testnet

Private channels (orders, positions, the own account) need a login. The API key
is read from the environment variables WSR_API_KEY and WSR_API_SECRET, and from
WSR_PASSPHRASE where the exchange asks for one; never from an argument, which
others could read in the list of processes.

exit code: 0 when --count or --duration was reached, or Ctrl-C was pressed;
1 when the connection was given up, or the exchange refused all topics, or
within --duration it was never made or sent fewer than --count messages;
2 for a bad argument.
"""


def add_listen(commands: Commands, run: Callable[[argparse.Namespace], int]) -> None:
    """Add the command.

    :param run: does it.
    """
    command = add_command(
        commands,
        "listen",
        run,
        summary="print what a WebSocket sends",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    command.add_argument("url", metavar="URL", nargs="?", help="ws:// or wss://; or give --venue")
    _add_exchange(command)
    _add_conversation(command)
    _add_keeping_alive(command)
    volume = command.add_mutually_exclusive_group()
    volume.add_argument("-v", "--verbose", action="store_true", help="debug logs too")
    volume.add_argument(
        "-q", "--quiet", action="store_true", help="only warnings and errors, and no summary"
    )


def _add_exchange(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("topics of an exchange")
    group.add_argument(
        "--venue",
        metavar="NAME",
        help="binance, okx, bybit or mexc (futures), alone or with a market behind it: "
        "binance-futures, okx-business, bybit-spot, ...",
    )
    group.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME",
        help="a channel, as the exchange calls it; may be repeated, or several with commas",
    )
    group.add_argument(
        "--symbols",
        action="append",
        default=[],
        metavar="LIST",
        help="symbols, as the exchange spells them, with commas; may be repeated; none for "
        "channels that have none",
    )
    group.add_argument(
        "--market",
        metavar="NAME",
        help="the same beside the name; binance: spot, futures; okx: public, private, business; "
        "bybit: linear, spot, inverse, option, private",
    )
    group.add_argument("--environment", metavar="NAME", help="live (the default), testnet or demo")
    group.add_argument(
        "--url", dest="venue_url", metavar="URL", help="connect there, not to the exchange's own"
    )
    group.add_argument("--rest-url", metavar="URL", help="where its REST is, for the same case")
    group.add_argument(
        "--decoded",
        action="store_true",
        help="print topic, channel, symbol, data and received_at as JSON, not the message as it "
        "came",
    )


def _add_conversation(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("what is said")
    group.add_argument(
        "--send",
        action="append",
        default=[],
        metavar="TEXT",
        help="send this after each connect, reconnects included; may be repeated",
    )
    group.add_argument("--count", type=int, metavar="N", help="end after N messages")
    group.add_argument("--duration", type=float, metavar="S", help="end after S seconds")
    group.add_argument(
        "--header",
        action="append",
        default=[],
        type=_header,
        metavar="'NAME: VALUE'",
        help="send this header with the handshake; may be repeated",
    )
    group.add_argument(
        "--subprotocol",
        action="append",
        default=[],
        metavar="NAME",
        help="offer this subprotocol; may be repeated, the preferred one first",
    )
    group.add_argument(
        "--compression", choices=("deflate",), help="offer compression (permessage-deflate)"
    )
    group.add_argument(
        "--binary",
        choices=("hex", "base64"),
        default="hex",
        help="how a binary message is printed (default: hex)",
    )


def _add_keeping_alive(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group(
        "keeping it alive", "In seconds. An exchange has defaults of its own."
    )
    group.add_argument(
        "--ping-interval",
        type=float,
        metavar="S",
        help=f"a ping every S seconds (default {_CONFIG.ping_interval:g}); 0: no pings",
    )
    group.add_argument(
        "--ping-timeout",
        type=float,
        metavar="S",
        help="reconnect when nothing comes for S seconds after a ping; must be less than the "
        f"interval (default {_CONFIG.ping_timeout:g}, or half of --ping-interval)",
    )
    group.add_argument(
        "--stale-after",
        type=float,
        metavar="S",
        help=f"reconnect after S seconds without a message (default {_CONFIG.stale_after:g}); "
        "0: never",
    )
    group.add_argument(
        "--initial-delay",
        type=float,
        metavar="S",
        help=f"wait before the first retry (default {_POLICY.initial_delay:g}); it doubles",
    )
    group.add_argument(
        "--max-delay",
        type=float,
        metavar="S",
        help=f"the longest wait (default {_POLICY.max_delay:g}, before a random factor of up to "
        f"{1.0 + _POLICY.jitter:g})",
    )
    group.add_argument(
        "--max-attempts",
        type=int,
        metavar="N",
        help="give up after N retries in a row (default: never); 0: do not retry",
    )


def _header(text: str) -> tuple[str, str]:
    """Take "Name: value" apart; the error does not repeat what may be a secret."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError("expected 'Name: value', with a colon")
    return name.strip(), value.strip()
