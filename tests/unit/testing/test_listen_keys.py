"""Listen keys: one for each API key, good for a while."""

from __future__ import annotations

from wsresilient.testing.listen_keys import ListenKeys


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_lasts_from_when_it_was_made_or_extended() -> None:
    clock = Clock()
    keys = ListenKeys(60.0, clock)
    key = keys.create("a")

    clock.now = 59.0
    assert keys.is_valid(key)
    assert keys.create("a") == keys.extend("a") == key
    clock.now = 118.0
    assert keys.is_valid(key)
    clock.now = 119.0
    assert not keys.is_valid(key)
    assert keys.extend("a") is None
    assert keys.create("a") != key


def test_keys_end_by_name_or_all_at_once() -> None:
    keys = ListenKeys(60.0, Clock())
    one, two = keys.create("a"), keys.create("b")

    assert one != two
    assert keys.delete("a")
    assert not keys.delete("a")
    assert [keys.is_valid(one), keys.is_valid(two), keys.is_valid("")] == [False, True, False]
    keys.expire_all()
    assert not keys.is_valid(two)
    assert two not in repr(keys)
