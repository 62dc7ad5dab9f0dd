"""The script of the demo: what breaks, when, and how it is told. No socket, no clock.

Times are seconds of a demo of 30 s; a shorter one plays the same script faster, a longer one
repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.redact import shorten

__all__ = [
    "FAULTS",
    "ROUND",
    "Fault",
    "Ordeal",
    "PlannedFault",
    "plain_words",
    "plan",
    "tell_survival",
]

#: One of each fault in so many seconds.
ROUND = 30.0


@dataclass(frozen=True)
class Fault:
    """One kind of trouble.

    :ivar name: of the stage's method that makes it.
    :ivar title: two words for it.
    :ivar story: one line that explains it.
    :ivar at: when it comes in a round.
    :ivar lasts: at least so long, and until it has been noticed.
    :ivar needs: so long, at worst, until messages flow again.
    """

    name: str
    title: str
    story: str
    at: float
    lasts: float
    needs: float


FAULTS = (
    Fault(
        "reset",
        "cable pulled",
        "a reset in mid-sentence, as when a router reboots",
        at=3.0,
        lasts=0.0,
        needs=2.0,
    ),
    Fault(
        "freeze",
        "server frozen",
        "the line is open and nothing comes, not even a pong",
        at=7.0,
        lasts=4.0,
        needs=6.0,
    ),
    Fault(
        "refuse",
        "door shut",
        "cut off, and every new try refused, as during a deploy",
        at=13.5,
        lasts=3.0,
        needs=6.5,
    ),
    Fault(
        "stall",
        "feed silent",
        "pongs come as ever, but the market says nothing",
        at=20.5,
        lasts=0.0,
        needs=5.5,
    ),
)


@dataclass(frozen=True)
class PlannedFault:
    """A fault and when it is due, in seconds from the start of this demo."""

    fault: Fault
    at: float


def plan(duration: float) -> Iterator[PlannedFault]:
    """Give the faults of a demo in their order; none that could not be over in time.

    :param duration: of the demo.
    """
    scale = min(1.0, duration / ROUND)
    began = 0.0
    while began < duration:
        for fault in FAULTS:
            if began + scale * (fault.at + fault.needs) <= duration:
                yield PlannedFault(fault, began + scale * fault.at)
        began += ROUND * scale


@dataclass
class Ordeal:
    """One fault as it happened; times are seconds from the start of the demo.

    :ivar fault: which.
    :ivar began: when it was made.
    :ivar noticed: when the library gave the connection up, or None.
    :ivar cause: what the library said it was.
    :ivar refusals: attempts that failed while it lasted.
    :ivar ended: when the trouble was taken away, or None.
    :ivar back: when messages flowed again, or None.
    """

    fault: Fault
    began: float
    noticed: float | None = None
    cause: str = ""
    refusals: int = 0
    ended: float | None = None
    back: float | None = None

    def note_error(self, text: str, at: float) -> None:
        """Take in what the library said: the first is the cause, the others are attempts."""
        if self.noticed is None:
            self.noticed, self.cause = at, text
        else:
            self.refusals += 1

    @property
    def silence(self) -> float | None:
        """Seconds from the fault to the next message, or None while there is none."""
        return None if self.back is None else self.back - self.began

    def outcome(self) -> str:
        """Say in a few words how it stands."""
        if self.noticed is None:
            return "not noticed" if self.ended is not None else "not noticed yet"
        patience = f", {_attempts(self.refusals)} in vain" if self.refusals else ""
        gist = self.cause.rpartition(": ")[2]
        if self.silence is None:
            return f"{gist}{patience}; not back yet"
        return f"{gist}{patience}; back after {self.silence:.1f} s"

    def sentence(self, width: int = 1000) -> str:
        """Say it in one line: "cable pulled: connection reset by peer; back after 0.3 s".

        :param width: it is cut to so many characters.
        """
        return shorten(f"{self.fault.title}: {self.outcome()}", width)


def plain_words(error: Exception) -> str:
    """Say an error as one would say it aloud: "connection reset by peer"."""
    text = re.sub(r"^.*\[(?:WinError|Errno) -?\d+\] ", "", shorten(str(error)))
    # The class, the address and the settings are in the log.
    text = re.sub(r"^\S+:\d+: (\w+Error: )?", "", text.partition(", ")[0])
    # Only a sentence that begins with a common word is made to begin in lower case.
    return text[:1].lower() + text[1:] if text[1:2].islower() else text or type(error).__name__


def _attempts(count: int) -> str:
    return f"{count} attempt" if count == 1 else f"{count} attempts"


def tell_survival(ordeals: list[Ordeal], *, is_alive: bool, state: str) -> list[str]:
    """Tell at the end what happened, in lines for 80 columns.

    :param ordeals: all, in their order.
    :param is_alive: whether messages flow.
    :param state: of the connection.
    """
    lines = ["What the stream went through", ""] if ordeals else []
    for number, ordeal in enumerate(ordeals, 1):
        lines.append(f"{number:>3}. {ordeal.began:5.1f} s  {ordeal.fault.title}")
        lines.append(f"     {ordeal.fault.story}")
        lines.append(f"     {_noticed(ordeal)}")
        lines.append(f"     {_returned(ordeal)}")
        lines.append("")
    lines.append(_verdict(ordeals, is_alive=is_alive, state=state))
    return lines


def _noticed(ordeal: Ordeal) -> str:
    if ordeal.noticed is None:
        return "not noticed"
    after = ordeal.noticed - ordeal.began
    when = "at once" if after < 0.05 else f"after {after:.1f} s"
    return shorten(f"noticed {when}: {ordeal.cause}", 75)


def _returned(ordeal: Ordeal) -> str:
    in_vain = f"{_attempts(ordeal.refusals)} in vain; " if ordeal.refusals else ""
    if ordeal.silence is None:
        return f"{in_vain}no message since"
    return f"{in_vain}messages again {ordeal.silence:.1f} s after the fault"


def _verdict(ordeals: list[Ordeal], *, is_alive: bool, state: str) -> str:
    survived = sum(1 for ordeal in ordeals if ordeal.back is not None)
    count = f"{len(ordeals)} {'fault' if len(ordeals) == 1 else 'faults'}, {survived} survived"
    if not is_alive:
        return f"{count}. The stream is not alive: {state}."
    if not ordeals:
        return "No faults this time. The stream is alive."
    return f"{count}, and no code of yours was needed. The stream is alive."
