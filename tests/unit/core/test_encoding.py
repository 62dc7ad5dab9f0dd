"""What send() takes: text, binary and JSON; everything else is refused before it is sent."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsresilient import ConfigurationError
from wsresilient.core.encoding import encode_outgoing

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text())
def test_str_is_sent_as_text(text: str) -> None:
    assert encode_outgoing(text) == (text.encode("utf-8"), True)


@given(st.binary())
def test_bytes_and_the_like_are_sent_as_binary(data: bytes) -> None:
    for form in (data, bytearray(data), memoryview(data)):
        payload, text = encode_outgoing(form)
        assert (payload, type(payload), text) == (data, bytes, False)


@given(st.dictionaries(st.text(), JSON, max_size=3) | st.lists(JSON, max_size=3))
def test_dict_and_list_are_sent_as_json_text(data: Any) -> None:
    payload, text = encode_outgoing(data)

    assert text
    assert json.loads(payload.decode("utf-8")) == data


def test_json_is_as_short_as_it_can_be_and_keeps_its_letters() -> None:
    payload, _ = encode_outgoing(OrderedDict(a=[1, "ü"], b=None))

    assert payload.decode() == '{"a":[1,"ü"],"b":null}'


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(200_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "cannot send None; allowed: str (text), bytes (binary), dict or list (JSON)"),
        (5, "cannot send an int"),
        (1.5, "cannot send a float"),
        ((1, 2), "cannot send a tuple"),
        ({1, 2}, "cannot send a set"),
        (object(), "cannot send an object"),
        ("\ud800", "cannot be sent as UTF-8"),
        ({"a": "\ud800"}, "cannot be sent as UTF-8"),
        ({"a": object()}, "the dict is no JSON"),
        ({b"a": 1}, "the dict is no JSON"),
        ([{1, 2}], "the list is no JSON"),
        ([float("nan")], "the list is no JSON"),
        ({"a": float("-inf")}, "the dict is no JSON"),
        (CIRCLE, "the list is no JSON"),
        (DEEP, "the list is no JSON"),
    ],
    ids=range(15),
)
def test_what_cannot_be_sent_is_refused_with_the_reason(data: Any, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        encode_outgoing(data)
    assert why in str(caught.value)
