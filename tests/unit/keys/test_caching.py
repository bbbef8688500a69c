from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from interceptors.envelope import SenderKey
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys.caching import SPARED_S, CachingKeys

if TYPE_CHECKING:
    from collections.abc import Callable

TTL = 3600.0
OWN = SenderKey("acme", "checkout", bytes(32))
NEXT = SenderKey("acme", "checkout", b"\x01" * 32)
OTHER = SenderKey("acme", "billing", b"\x02" * 32)


class Provider:
    """Gives what a test puts into it, and counts."""

    def __init__(self) -> None:
        self.now = 0.0
        self.own = OWN
        self.keys = {key.kid: key for key in (OWN, NEXT, OTHER)}
        self.fault: Exception | None = None
        self.changed = False
        self.gone: set[bytes] = set()
        self.asked: list[str | bytes] = []
        self.while_asked: Callable[[], object] = int

    def _ask(self, what: str | bytes) -> None:
        self.asked.append(what)
        self.while_asked()
        if self.fault:
            raise self.fault

    def sealing_key(self, tenant: str) -> SenderKey:
        self._ask(tenant)
        return self.own

    def opening_key(self, kid: bytes) -> SenderKey:
        self._ask(kid)
        return self.keys[kid]

    def revoked(self) -> frozenset[bytes]:
        return frozenset(self.gone)

    def refresh(self) -> bool:
        changed, self.changed = self.changed, False
        return changed


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def keys(provider: Provider) -> CachingKeys:
    return CachingKeys(provider, TTL, clock=lambda: provider.now)


def fault(problem: KeyProblem) -> KeyProviderError:
    return KeyProviderError("the KMS says so", problem=problem)


def problem_of(call: Callable[[], object]) -> KeyProblem:
    with pytest.raises(KeyProviderError) as raised:
        call()
    return raised.value.problem


def test_a_key_is_asked_for_once(keys: CachingKeys, provider: Provider) -> None:
    assert [keys.sealing_key("acme") for _ in range(3)] == [OWN] * 3
    assert [keys.opening_key(OTHER.kid) for _ in range(3)] == [OTHER] * 3
    assert provider.asked == ["acme", OTHER.kid]


def test_after_a_change_it_is_asked_for_again(keys: CachingKeys, provider: Provider) -> None:
    keys.sealing_key("acme")
    assert not keys.refresh()
    provider.own, provider.changed = NEXT, True
    assert keys.refresh()
    assert keys.sealing_key("acme") is NEXT
    assert not keys.refresh()


def test_it_is_asked_for_again_when_it_was_kept_for_long_enough(
    keys: CachingKeys, provider: Provider
) -> None:
    keys.sealing_key("acme")
    provider.now = TTL - 1
    assert not keys.refresh()
    provider.now = TTL
    assert keys.refresh()
    assert not keys.refresh()
    keys.sealing_key("acme")
    assert provider.asked == ["acme", "acme"]
    provider.now = 2 * TTL
    assert keys.refresh()


def test_a_change_at_the_end_of_the_time_is_told_at_once(keys: CachingKeys, provider: Provider) -> None:
    provider.now, provider.changed = TTL, True
    assert keys.refresh()
    assert not keys.refresh()


@pytest.mark.parametrize("problem", [KeyProblem.UNREACHABLE, KeyProblem.EXHAUSTED])
def test_what_is_kept_is_used_on_while_it_cant_be_had(
    keys: CachingKeys, provider: Provider, problem: KeyProblem, caplog: pytest.LogCaptureFixture
) -> None:
    keys.sealing_key("acme")
    provider.now, provider.fault = TTL, fault(problem)
    assert keys.refresh()
    for _ in range(10):
        assert keys.sealing_key("acme") is OWN
        provider.now += SPARED_S
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "those that are held are used on: the KMS says so" in caplog.text


@pytest.mark.parametrize("problem", [KeyProblem.DENIED, KeyProblem.UNKNOWN])
def test_what_is_denied_is_let_go(keys: CachingKeys, provider: Provider, problem: KeyProblem) -> None:
    keys.opening_key(OTHER.kid)
    provider.fault = fault(problem)
    assert keys.opening_key(OTHER.kid) is OTHER  # for as long as it is kept
    provider.now = TTL
    keys.refresh()
    assert problem_of(lambda: keys.opening_key(OTHER.kid)) is problem
    provider.fault = fault(KeyProblem.UNREACHABLE)
    assert problem_of(lambda: keys.opening_key(OTHER.kid)) is KeyProblem.UNREACHABLE


def test_one_that_cant_be_reached_is_spared_for_a_while(keys: CachingKeys, provider: Provider) -> None:
    keys.sealing_key("acme")
    provider.changed, provider.fault = True, fault(KeyProblem.UNREACHABLE)
    keys.refresh()
    keys.sealing_key("acme")
    provider.asked.clear()
    provider.now = SPARED_S - 1
    assert keys.sealing_key("acme") is OWN
    assert problem_of(lambda: keys.opening_key(OTHER.kid)) is KeyProblem.UNREACHABLE
    assert (keys.refresh(), provider.asked) == (False, [])


def test_it_is_asked_again_when_it_was_spared_and_then_all_is_as_before(
    keys: CachingKeys, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.fault = fault(KeyProblem.UNREACHABLE)
    assert problem_of(lambda: keys.sealing_key("acme")) is KeyProblem.UNREACHABLE
    provider.fault, provider.now = None, SPARED_S
    assert keys.refresh()  # so that the keyring asks, too
    assert keys.sealing_key("acme") is OWN
    assert not keys.refresh()
    assert len(caplog.records) == 1
    provider.changed, provider.fault = True, fault(KeyProblem.UNREACHABLE)
    keys.refresh()
    keys.sealing_key("acme")
    assert len(caplog.records) == 2


def test_a_revoked_key_is_not_given_kept_or_not(keys: CachingKeys, provider: Provider) -> None:
    keys.sealing_key("acme")
    keys.opening_key(OTHER.kid)
    provider.gone = {OWN.kid, OTHER.kid}
    assert keys.revoked() == {OWN.kid, OTHER.kid}
    for at, broken in ((0.0, None), (TTL, fault(KeyProblem.UNREACHABLE))):
        provider.now, provider.fault = at, broken
        keys.refresh()
        assert problem_of(lambda: keys.sealing_key("acme")) is KeyProblem.DENIED
        assert problem_of(lambda: keys.opening_key(OTHER.kid)) is KeyProblem.DENIED


def test_of_many_who_want_a_key_one_asks(keys: CachingKeys, provider: Provider) -> None:
    asked, gate = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert gate.wait(30)

    provider.while_asked = wait
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(keys.opening_key, OTHER.kid)
        assert asked.wait(30)
        others = [pool.submit(keys.opening_key, OTHER.kid) for _ in range(7)]
        provider.while_asked = int
        assert keys.sealing_key("acme") is OWN  # another one is not waited for
        gate.set()
        assert [future.result(30) for future in (first, *others)] == [OTHER] * 8
    assert sorted(map(str, provider.asked)) == sorted(map(str, [OTHER.kid, "acme"]))


@pytest.mark.parametrize("error", [fault(KeyProblem.DENIED), ZeroDivisionError("a fault of the provider")])
def test_who_waits_is_told_of_the_fault_and_the_next_asks_again(
    keys: CachingKeys, provider: Provider, error: Exception
) -> None:
    asked, gate = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert gate.wait(30)

    provider.while_asked, provider.fault = wait, error
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(keys.opening_key, OTHER.kid)
        assert asked.wait(30)
        second = pool.submit(keys.opening_key, OTHER.kid)
        gate.set()
        assert {type(future.exception(30)) for future in (first, second)} == {type(error)}
    provider.fault = None
    assert keys.opening_key(OTHER.kid) is OTHER


def test_a_child_does_not_wait_for_a_thread_of_its_parent(
    keys: CachingKeys, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, gate = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        assert gate.wait(30)

    provider.while_asked = wait
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keys.sealing_key, "acme")
        assert asked.wait(30)
        provider.while_asked = int
        with monkeypatch.context() as child:
            child.setattr("os.getpid", lambda: -1)
            assert keys.sealing_key("acme") is OWN
        gate.set()
        assert waiting.result(30) is OWN


def test_a_change_while_it_is_asked_makes_it_ask_again(keys: CachingKeys, provider: Provider) -> None:
    def change() -> None:
        provider.while_asked, provider.changed = int, True
        assert keys.refresh()

    provider.while_asked = change
    assert keys.sealing_key("acme") is OWN
    provider.own = NEXT
    assert keys.sealing_key("acme") is NEXT
