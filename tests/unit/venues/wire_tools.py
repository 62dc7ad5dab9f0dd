"""Messages as they come over the wire, made into what a handler gets."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from wsresilient import Message
from wsresilient.core.incoming import Data
from wsresilient.venues import Venue

#: Whatever a JSON text may hold.
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with some of these fields, rightly or wrongly filled, and others beside."""
    known = {name: values | ANY_JSON for name, values in fields.items()}
    return st.fixed_dictionaries({}, optional={**known, "else": ANY_JSON})


def data_in(venue: Venue, text: str | bytes) -> Data:
    """Read a message that has to be data."""
    incoming = venue.read(venue.decode(text))
    assert isinstance(incoming, Data)
    return incoming


def message_in(venue: Venue, text: str | bytes) -> Message:
    """Read a message that has to be data, as a handler gets it."""
    data = data_in(venue, text)
    return Message(
        data=data.data,
        topic=data.topic,
        channel=data.channel,
        symbol=data.symbol,
        raw=venue.decode(text),
    )
