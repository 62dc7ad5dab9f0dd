from __future__ import annotations

import pickle

import pytest

from wsresilient import ConfigurationError
from wsresilient.core.credentials import Credentials

MADE = Credentials("the-key", "the-secret", "the-passphrase")


def test_nothing_shows_a_secret() -> None:
    for text in (repr(MADE), str(MADE), f"{MADE}", repr([MADE]), repr({"auth": MADE})):
        assert "the-" not in text
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(MADE)


@pytest.mark.parametrize("wrong", ["", "  ", None, 5, b"bytes-that-are-secret"])
def test_a_wrong_part_is_told_by_its_name_only(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="secret is") as caught:
        Credentials("the-key", wrong)  # type: ignore[arg-type]

    assert "that-are" not in str(caught.value)


def test_signatures() -> None:
    # RFC 4231 has no test with a text key; these are of Binance's documentation.
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    payload = (
        "apiKey=vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A&price=52000.00"
        "&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT&timeInForce=GTC"
        "&timestamp=1645423376532&type=LIMIT"
    )
    signed = Credentials("key", secret).hex_signature(payload)

    assert signed == "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24"


def test_equal_parts_are_equal() -> None:
    assert Credentials("a", "b") == Credentials("a", "b")
    assert Credentials("a", "b") != Credentials("a", "c")
    assert Credentials("a", "b") != "a"
    assert hash(Credentials("a", "b")) == hash(Credentials("a", "b"))
    assert MADE.passphrase == "the-passphrase"
    assert MADE.secrets == ("the-key", "the-secret", "the-passphrase")
