from __future__ import annotations

import os
import threading

import pytest

from interceptors.randomness import Draws


def test_each_draw_has_its_length_and_is_given_once() -> None:
    draws = Draws(12)
    given = [draws() for _ in range(1000)]
    assert {len(draw) for draw in given} == {12}
    assert len(set(given)) == 1000


def test_all_of_it_is_the_operating_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[bytes] = []

    def urandom(size: int) -> bytes:
        drawn.append(bytes(number * 7 % 251 for number in range(len(drawn), len(drawn) + size)))
        return drawn[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    draws = Draws(8)
    given = sorted(draws() for _ in range(512))
    assert given == sorted(one[start : start + 8] for one in drawn for start in range(0, len(one), 8))


def test_between_threads_none_is_given_twice() -> None:
    draws, given, barrier = Draws(8), [list[bytes]() for _ in range(4)], threading.Barrier(4)

    def draw(mine: list[bytes]) -> None:
        barrier.wait()
        mine.extend(draws() for _ in range(5000))

    threads = [threading.Thread(target=draw, args=(mine,)) for mine in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({draw for mine in given for draw in mine}) == 20_000


# Other tests may have left threads behind; this child does nothing that one of them could hold a lock for.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_gives_nothing_that_its_parent_may_give() -> None:
    draws = Draws(8)
    draws()
    read, write = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        os.write(write, b"".join(draws() for _ in range(64)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 512)
    os.close(read)
    os.close(write)
    ours = {draws() for _ in range(255)}
    assert len(theirs) == 512
    assert not ours & {theirs[start : start + 8] for start in range(0, 512, 8)}
