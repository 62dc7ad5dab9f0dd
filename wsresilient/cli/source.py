"""What ``listen`` listens to: a URL, or topics of an exchange that is called by its name.

Everything that can be told wrong without asking anybody is told here, before anything connects.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..core.credentials import Credentials
from ..errors import ConfigurationError
from ..runtime.http_client import parse_base_url
from ..venues.base import Venue
from ..venues.names import markets_of, venue_by_name

__all__ = ["CREDENTIAL_VARIABLES", "Source", "source_of"]

#: Where the API key, the secret and the passphrase stand in the environment.
CREDENTIAL_VARIABLES = ("WSR_API_KEY", "WSR_API_SECRET", "WSR_PASSPHRASE")

#: What has a meaning only for an exchange: the option, and where the parser puts it.
_OF_VENUES = {
    "--channel": "channel",
    "--symbols": "symbols",
    "--market": "market",
    "--environment": "environment",
    "--url": "venue_url",
    "--rest-url": "rest_url",
    "--decoded": "decoded",
}


@dataclass(frozen=True)
class Source:
    """Where messages come from.

    :ivar url: where to connect; None: the venue knows.
    :ivar venue: the exchange, or None.
    :ivar topics: to subscribe there.
    :ivar auth: for topics that need a login, else None.
    :ivar is_rest_known: whether the venue's REST is that of the same exchange.
    """

    url: str | None
    venue: Venue | None = None
    topics: tuple[str, ...] = ()
    auth: Credentials | None = None
    is_rest_known: bool = False


def source_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Source:
    """Make of the arguments what they mean.

    :param arguments: of ``listen``.
    :param environ: the environment, where credentials stand.
    :raises ConfigurationError: they do not fit together, or name what does not exist; the text
        names what does.
    """
    if arguments.venue is None:
        return _plain_source(arguments)
    if arguments.url is not None:
        raise ConfigurationError(
            "both a URL and --venue are given; allowed: one of them, or --venue with --url URL, "
            "which takes the place of the venue's own"
        )
    venue = venue_by_name(
        arguments.venue, market=arguments.market, environment=arguments.environment
    )
    channels, symbols = _pieces(arguments.channel), _pieces(arguments.symbols)
    if not channels:
        raise ConfigurationError(
            f"--channel is missing; {arguments.venue} has: {', '.join(sorted(venue.channels))}"
        )
    topics = _topics(venue, channels, symbols)
    if arguments.venue_url is not None:
        venue = venue.replace(url=arguments.venue_url)
    if arguments.rest_url is not None:
        parse_base_url("--rest-url", arguments.rest_url)
        venue = venue.replace(rest_url=arguments.rest_url)
    return Source(
        url=None,
        venue=venue,
        topics=topics,
        auth=_credentials(venue, topics, environ),
        is_rest_known=arguments.venue_url is None or arguments.rest_url is not None,
    )


def _plain_source(arguments: argparse.Namespace) -> Source:
    for option, field in _OF_VENUES.items():
        if getattr(arguments, field):
            raise ConfigurationError(f"{option} needs --venue, such as --venue okx")
    if arguments.url is None:
        raise ConfigurationError(
            "neither a URL nor --venue is given; allowed: one of them, such as "
            "wss://ws.example.com/stream, or --venue okx --channel tickers --symbols BTC-USDT"
        )
    return Source(arguments.url)


def _pieces(values: Iterable[str]) -> list[str]:
    """Take what was repeated, or joined by commas, apart."""
    pieces = (piece.strip() for value in values for piece in value.split(","))
    return list(dict.fromkeys(piece for piece in pieces if piece))


def _topics(venue: Venue, channels: list[str], symbols: list[str]) -> tuple[str, ...]:
    """Build the topics: each channel of each symbol."""
    wanted: list[str | None] = [*symbols] if symbols else [None]
    topics = []
    for channel in channels:
        for symbol in wanted:
            try:
                topics.append(venue.topic(channel, symbol))
            except ConfigurationError as error:
                raise ConfigurationError(f"{error}{_where_else(venue, channel, symbol)}") from None
    return tuple(topics)


def _where_else(venue: Venue, channel: str, symbol: str | None) -> str:
    """Name the other parts of the exchange that have a topic; "" where there are none."""
    found = []
    for market in markets_of(venue.name):
        try:
            venue_by_name(venue.name, market=market).topic(channel, symbol)
        except ConfigurationError:
            continue
        found.append(f"--venue {venue.name}-{market}")
    return f" ({' and '.join(found)} would take it)" if found else ""


def _credentials(
    venue: Venue, topics: Iterable[str], environ: Mapping[str, str]
) -> Credentials | None:
    """Take the credentials from the environment, if a topic needs them.

    :raises ConfigurationError: they are missing; none of them is shown.
    """
    private = [topic for topic in topics if venue.is_private(topic)]
    if not private:
        return None
    key, secret, passphrase = (environ.get(name) or None for name in CREDENTIAL_VARIABLES)
    if key is None or secret is None:
        raise ConfigurationError(
            f"{private[0]!r:.80} needs a login; set the environment variables "
            f"{' and '.join(CREDENTIAL_VARIABLES[:2])} (and {CREDENTIAL_VARIABLES[2]} where the "
            "exchange asks for one): arguments could be read by others in the list of processes"
        )
    credentials = Credentials(key, secret, passphrase)
    try:
        venue.login(credentials, now=0.0)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error}; here it stands in the environment variable {CREDENTIAL_VARIABLES[2]}"
        ) from None
    return credentials
