"""What a failure is in the end: the venue's word, the user's, and who raised it while planning."""

from __future__ import annotations

import traceback
from dataclasses import replace

from ..core.failure import Failure, classify, refused_by_close
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLostError,
    VenueError,
    as_exception,
    describe,
)
from .logs import Log
from .options import ConnectionOptions
from .planner import AttemptPlanner

__all__ = ["final_word", "planning_failed"]

log = Log("wsresilient.connection")


def final_word(failure: Failure, options: ConnectionOptions, *, name: str) -> Failure:
    """Let the venue, and at last the user's classify, judge what is no plan of ours.

    :param name: the connection's, for logs.
    """
    venue, error = options.venue, failure.error
    if (
        venue is not None
        and isinstance(error, ConnectionLostError)
        and error.close_code in venue.fatal_close_codes
    ):
        failure = refused_by_close(error)
    if failure.planned or options.classify is None:
        return failure
    try:
        judged: object = options.classify(failure)
    except BaseException:  # a user's function may raise anything
        log.exception("%s: the classify handler raised; ignored", name)
        return failure
    if not isinstance(judged, Failure) or not judged.is_sound:
        log.error(
            "%s: the classify handler gave %.200r instead of a Failure; ignored",
            name,
            judged,
        )
        return failure
    return judged


def planning_failed(error: BaseException, planner: AttemptPlanner) -> Failure:
    """Classify what was raised while an attempt was planned; say by whom, and where."""
    failure = classify(as_exception(error, planner.asking))
    if isinstance(error, (ConfigurationError, VenueError, AuthenticationError)):
        return failure
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    text = planner.redact(describe(error))
    return replace(failure, text=f"{text} (raised by {planner.asking}{where})")
