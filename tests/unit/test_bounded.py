from __future__ import annotations

import threading

import pytest

from interceptors.bounded import BoundedMap


def filled(capacity: int, *keys: str) -> BoundedMap[str, str]:
    held: BoundedMap[str, str] = BoundedMap(capacity)
    for key in keys:
        held.set(key, key.upper())
    return held


def test_what_is_set_is_held() -> None:
    held = filled(4, "a", "b")

    assert (held.get("a"), held.get("b"), held.get("c")) == ("A", "B", None)
    assert len(held) == 2


@pytest.mark.parametrize("capacity", [2, 3, 4, 10, 11])
def test_at_least_the_last_half_is_held_and_never_more_than_the_capacity(capacity: int) -> None:
    held = filled(capacity)
    keys = [f"{number}" for number in range(5 * capacity)]

    for place, key in enumerate(keys):
        held.set(key, key)
        assert len(held) <= capacity
        assert all(held.get(last) == last for last in keys[: place + 1][-(capacity // 2) :])

    assert held.get(keys[0]) is None


def test_a_capacity_of_one_holds_what_was_set_last() -> None:
    assert filled(1, "a", "b", "c").get("c") == "C"


def test_setting_again_takes_no_room_and_replaces() -> None:
    held = filled(4, "a", "b")

    held.set("a", "new")

    assert (held.get("a"), held.get("b"), len(held)) == ("new", "B", 2)


def test_a_value_set_again_in_the_next_generation_hides_the_old_one() -> None:
    held = filled(4, "a", "b", "c")

    held.set("a", "new")

    assert held.get("a") == "new"
    assert len(held) == 4


@pytest.mark.parametrize("value", [0, "", False, b"", ()])
def test_a_value_may_be_false(value: object) -> None:
    held: BoundedMap[str, object] = BoundedMap(2)
    held.set("a", value)
    held.set("b", 1)

    assert held.get("a") == value
    assert held.setdefault("a", "other") == value


def test_setdefault_holds_the_first() -> None:
    held = filled(4)

    assert held.setdefault("a", "first") == "first"
    assert held.setdefault("a", "second") == "first"
    assert held.get("a") == "first"


def test_setdefault_finds_what_the_old_generation_holds() -> None:
    held = filled(4, "a", "b", "c")

    assert held.setdefault("a", "second") == "A"
    assert len(held) == 3


def test_setdefault_prefers_the_young_generation() -> None:
    held = filled(4, "a", "b", "c")
    held.set("a", "new")

    assert held.setdefault("a", "second") == "new"


def test_setdefault_forgets_the_oldest_where_the_young_is_full() -> None:
    held = filled(4, "a", "b", "c", "d")

    assert held.setdefault("e", "E") == "E"
    assert [key for key in "abcde" if held.get(key)] == ["c", "d", "e"]


def test_clear_forgets_both_generations() -> None:
    held = filled(4, "a", "b", "c")

    held.clear()

    assert len(held) == 0
    assert held.get("a") is None
    assert held.get("c") is None


def test_the_first_of_several_threads_wins() -> None:
    held: BoundedMap[int, int] = BoundedMap(4000)
    together = threading.Barrier(8)
    given: list[list[int]] = [[] for _ in range(8)]

    def hold(thread: int) -> None:
        together.wait()
        given[thread].extend(held.setdefault(key, thread) for key in range(1000))

    threads = [threading.Thread(target=hold, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert given[1:] == given[:-1]
    assert given[0] == [held.get(key) for key in range(1000)]
