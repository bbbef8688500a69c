from __future__ import annotations

import logging
import threading
from threading import Barrier
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from interceptors.envelope import SenderKey
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys import KeyAdministration, Keyring, LocalKeys, MemoryKeys
from interceptors.keys.keyring import MISSES_PER_SECOND, UNKNOWN_FOR_MS

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

NOW = 1_790_000_000_000


class Meddled(MemoryKeys):
    """A store in which something else happens while it is asked for a key, and which counts."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.asked = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def sealing_key(self, tenant: str) -> SenderKey:
        return self._had(super().sealing_key(tenant))

    def opening_key(self, kid: bytes) -> SenderKey:
        self.asked += 1
        return self._had(super().opening_key(kid))

    def _had(self, key: SenderKey) -> SenderKey:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return key


class Faulty(MemoryKeys):
    """A store that does anything but its duty, once it is `broken`."""

    def __init__(self, broken: Callable[[], Any] | None) -> None:
        super().__init__("checkout")
        self.broken = broken

    def sealing_key(self, tenant: str) -> SenderKey:
        return super().sealing_key(tenant) if self.broken is None else self.broken()

    def opening_key(self, kid: bytes) -> SenderKey:
        return super().opening_key(kid) if self.broken is None else self.broken()

    def revoked(self) -> frozenset[bytes]:
        return super().revoked() if self.broken is None else self.broken()

    def refresh(self) -> bool:
        return super().refresh() if self.broken is None else bool(self.broken())


def unreachable() -> NoReturn:
    msg = "the store is away"
    raise KeyProviderError(msg, problem=KeyProblem.UNREACHABLE)


def out_of_order() -> NoReturn:
    raise ZeroDivisionError


def no_key() -> object:
    return "no key"


@pytest.fixture
def store() -> MemoryKeys:
    return MemoryKeys("checkout")


def test_a_sealer_is_had_once(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    assert keyring.wants_sealer("acme", NOW)
    assert keyring.held_sealer("acme") is None
    sealer = keyring.sealer("acme", NOW)
    assert sealer is not None
    assert keyring.held_sealer("acme") is sealer
    assert sealer.key == store.sealing_key("acme")
    assert not keyring.wants_sealer("acme", NOW)
    assert keyring.sealer("acme", NOW) is sealer


def test_a_service_opens_what_it_has_sealed_itself(store: MemoryKeys, seal: Any, opens: Any) -> None:
    keyring = Keyring(store)
    envelope = seal(keyring)
    assert not keyring.wants(envelope[2:18], NOW)
    assert opens(keyring, envelope) == "checkout"


def test_a_key_that_was_not_to_be_had_is_asked_for_again_after_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Faulty(unreachable)
    store.broken = None
    keyring = Keyring(store)
    store.broken = unreachable
    with caplog.at_level(logging.WARNING, "interceptors.keys"):
        assert keyring.sealer("acme", NOW) is None
        store.broken = None
        assert keyring.sealer("acme", NOW + UNKNOWN_FOR_MS - 1) is None
    assert caplog.messages == ["no sealing key, so messages go without an envelope: the store is away"]
    assert not keyring.wants_sealer("acme", NOW + UNKNOWN_FOR_MS - 1)
    assert keyring.wants_sealer("acme", NOW + UNKNOWN_FOR_MS)
    assert keyring.sealer("acme", NOW + UNKNOWN_FOR_MS) is not None


def test_a_key_is_wanted_until_it_is_held_or_known_not_to_be_had(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    kid = store.beside("billing").sealing_key("acme").kid
    assert keyring.wants(kid, NOW)
    keyring.fetch(kid, NOW)
    assert not keyring.wants(kid, NOW)
    assert keyring.keys.key(kid).sender == "billing"
    unknown = bytes(16)
    keyring.fetch(unknown, NOW)
    assert not keyring.wants(unknown, NOW + UNKNOWN_FOR_MS - 1)
    assert keyring.wants(unknown, NOW + UNKNOWN_FOR_MS)


def test_a_revoked_key_is_not_wanted(store: MemoryKeys) -> None:
    kid = store.sealing_key("acme").kid
    store.revoke(kid)
    keyring = Keyring(store)
    assert not keyring.wants(kid, NOW)
    assert keyring.sealer("acme", NOW) is None


def test_a_fetch_brings_revocations_along(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    billing = store.beside("billing").sealing_key("acme").kid
    search = store.beside("search").sealing_key("acme").kid
    store.revoke(search)
    keyring.fetch(billing, NOW)
    assert keyring.keys.revoked == {search}


def flood(keyring: Keyring, now: int) -> None:
    for number in range(now, now + 1000):
        kid = number.to_bytes(16, "big")
        if keyring.wants(kid, now):
            keyring.fetch(kid, now)


def test_a_flood_of_made_up_kids_is_bounded() -> None:
    store = Meddled("checkout")
    keyring = Keyring(store)
    flood(keyring, NOW)
    assert store.asked == MISSES_PER_SECOND
    flood(keyring, NOW + 999)
    assert store.asked == MISSES_PER_SECOND
    flood(keyring, NOW + 2000)
    assert store.asked == 2 * MISSES_PER_SECOND
    flood(keyring, NOW)  # a clock that was set back bounds nothing for longer
    assert store.asked == 3 * MISSES_PER_SECOND


def test_keys_that_are_there_are_not_bounded(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    kids = [store.beside(f"sender-{n}").sealing_key("acme").kid for n in range(3 * MISSES_PER_SECOND)]
    for kid in kids:
        assert keyring.wants(kid, NOW)
        keyring.fetch(kid, NOW)
    assert set(keyring.keys.held) == set(kids)


def test_a_revocation_reaches_a_running_keyring_at_the_next_refresh(
    store: MemoryKeys, seal: Any, opens: Any
) -> None:
    checkout, reader = Keyring(store), Keyring(store.beside("reader"))
    envelope = seal(checkout)
    assert opens(reader, envelope) == "checkout"
    store.revoke(envelope[2:18])
    for keyring in (checkout, reader):
        keyring.refresh()
        assert opens(keyring, envelope) == "revoked key"
    assert checkout.sealer("acme", NOW) is None


def test_a_change_is_taken_up_at_the_next_refresh_where_the_revocations_were_not_to_be_had(
    seal: Any, opens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryKeys("checkout")
    keyring = Keyring(store)
    envelope = seal(keyring)
    keyring.refresh()
    store.revoke(envelope[2:18])
    with monkeypatch.context() as patch:
        patch.setattr(store, "revoked", unreachable)
        keyring.refresh()
    assert opens(keyring, envelope) == "checkout"
    keyring.refresh()
    assert opens(keyring, envelope) == "revoked key"
    assert keyring.sealer("acme", NOW) is None
    # And once only: without a further change everything is kept.
    sealer = keyring.sealer("globex", NOW)
    keyring.refresh()
    assert sealer is not None
    assert keyring.sealer("globex", NOW) is sealer


def test_a_refresh_drops_no_key_that_is_still_to_be_had(store: MemoryKeys, opens: Any, seal: Any) -> None:
    keyring = Keyring(store)
    envelopes = [seal(Keyring(store.beside(f"sender-{n}"))) for n in range(3)]
    for envelope in envelopes:
        opens(keyring, envelope)
    store.revoke(envelopes[0][2:18])
    keyring.refresh()
    assert not any(keyring.wants(envelope[2:18], NOW) for envelope in envelopes)
    assert [opens(keyring, envelope) for envelope in envelopes] == ["revoked key", "sender-1", "sender-2"]


def test_without_a_change_a_refresh_keeps_everything(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    sealer = keyring.sealer("acme", NOW)
    keyring.refresh()
    assert keyring.sealer("acme", NOW) is sealer


def test_a_running_keyring_follows_the_life_of_an_epoch(
    administration: KeyAdministration, tmp_path: Path, seal: Any, opens: Any
) -> None:
    checkout_path, reader_path = tmp_path / "checkout.json", tmp_path / "reader.json"
    administration.grant("checkout", "acme", [], checkout_path)
    administration.grant("reader", "acme", ["checkout"], reader_path)
    checkout, reader = Keyring(LocalKeys(checkout_path)), Keyring(LocalKeys(reader_path))
    first = seal(checkout)
    assert opens(reader, first) == "checkout"
    administration.rotate("acme")
    administration.promote("acme")
    checkout.refresh()
    second = seal(checkout)
    assert second[2:18] != first[2:18]
    # The reader has not refreshed: the new kid makes it look, and keeps the change from nobody.
    assert [opens(reader, envelope) for envelope in (second, first)] == ["checkout", "checkout"]
    administration.destroy("acme", 1)
    reader.refresh()
    assert [opens(reader, envelope) for envelope in (second, first)] == ["checkout", "unknown key"]


def test_an_unknown_kid_does_not_keep_a_revocation_from_being_seen(
    administration: KeyAdministration, tmp_path: Path, seal: Any, opens: Any
) -> None:
    path = tmp_path / "checkout.json"
    administration.grant("checkout", "acme", [], path)
    keyring = Keyring(LocalKeys(path))
    envelope = seal(keyring)
    administration.revoke(envelope[2:18].hex())
    keyring.fetch(bytes(16), NOW)
    keyring.refresh()
    assert opens(keyring, envelope) == "revoked key"
    assert keyring.sealer("acme", NOW) is None


@pytest.mark.parametrize("broken", [unreachable, out_of_order, no_key])
def test_no_fault_of_a_provider_comes_out_of_a_running_keyring(
    broken: Callable[[], Any], seal: Any, opens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = Faulty(None)
    keyring = Keyring(store)
    envelope = seal(keyring)
    store.broken = broken
    assert keyring.sealer("globex", NOW) is None
    keyring.fetch(bytes(16), NOW)
    assert not keyring.wants(bytes(16), NOW)
    store.revoke(bytes(16))
    keyring.refresh()
    store.broken = None
    assert opens(keyring, envelope) == "checkout"
    assert "without an envelope" in caplog.text


@pytest.mark.parametrize("broken", [unreachable, out_of_order])
def test_a_keyring_that_cannot_learn_of_revocations_is_not_made(broken: Callable[[], Any]) -> None:
    with pytest.raises(KeyProviderError) as raised:
        Keyring(Faulty(broken))
    assert raised.value.retryable


def test_a_key_of_another_tenant_does_not_seal(store: MemoryKeys) -> None:
    stray = store.sealing_key("globex")
    faulty = Faulty(None)
    keyring = Keyring(faulty)
    faulty.broken = lambda: stray
    assert keyring.sealer("acme", NOW) is None
    assert stray.kid not in keyring.keys.held


def test_a_key_that_was_not_asked_for_is_not_held(store: MemoryKeys) -> None:
    stray = store.sealing_key("acme")
    faulty = Faulty(None)
    keyring = Keyring(faulty)
    faulty.broken = lambda: stray
    keyring.fetch(bytes(16), NOW)
    assert not keyring.keys.held
    assert not keyring.wants(bytes(16), NOW)


def test_one_key_under_two_names_is_held_under_the_first(store: MemoryKeys) -> None:
    faulty = Faulty(None)
    keyring = Keyring(faulty)
    first = keyring.sealer("acme", NOW)
    assert first is not None
    faulty.broken = lambda: SenderKey("globex", "checkout", first.key.key)
    assert keyring.sealer("globex", NOW) is None
    assert keyring.keys.key(first.key.kid).tenant == "acme"


def test_a_key_that_is_revoked_while_it_is_fetched_does_not_open(seal: Any, opens: Any) -> None:
    store = Meddled("reader")
    keyring = Keyring(store)
    envelope = seal(Keyring(store.beside("checkout")))

    def revoke() -> None:
        store.revoke(envelope[2:18])
        keyring.refresh()

    store.meanwhile = revoke
    assert opens(keyring, envelope) == "revoked key"


def test_a_key_that_is_revoked_while_its_sealer_is_made_seals_no_longer() -> None:
    store = Meddled("checkout")
    keyring = Keyring(store)

    def revoke() -> None:
        store.revoke(MemoryKeys.sealing_key(store, "acme").kid)
        keyring.refresh()

    store.meanwhile = revoke
    keyring.sealer("acme", NOW)
    assert keyring.sealer("acme", NOW) is None


def test_threads_share_one_sealer_and_one_key(
    store: MemoryKeys, in_thread: Callable[..., Future[Any]]
) -> None:
    keyring = Keyring(store)
    kids = [store.beside(f"sender-{n}").sealing_key("acme").kid for n in range(8)]
    workers = 4
    barrier = Barrier(workers)

    def work() -> object:
        barrier.wait()
        for kid in kids:
            if keyring.wants(kid, NOW):
                keyring.fetch(kid, NOW)
        return keyring.sealer("acme", NOW)

    sealers = [future.result() for future in [in_thread(work) for _ in range(workers)]]
    assert set(sealers) == {keyring.sealer("acme", NOW)}
    assert None not in sealers
    assert set(keyring.keys.held) == {*kids, store.sealing_key("acme").kid}


def test_a_child_does_not_wait_for_a_lock_of_its_parent(store: MemoryKeys) -> None:
    keyring = Keyring(store)
    keyring._lock.acquire()  # as another thread of the parent may have, at the fork
    keyring.after_fork()
    assert keyring.sealer("acme", NOW) is not None


def test_keys_that_stay_away_are_said_once_and_again_when_they_were_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away() -> None:
        raise KeyProviderError("the store is away", problem=KeyProblem.UNREACHABLE)

    provider = Faulty(None)
    keyring = Keyring(provider)
    with caplog.at_level(logging.WARNING, "interceptors.keys"):
        for broken in (away, away, None, away):
            provider.broken = broken
            keyring.refresh()
    said = "the keys were not refreshed, and those known before still hold: the store is away"
    assert caplog.messages == [said, said]


def test_of_the_keys_that_were_wanted_those_that_still_are_get_fetched() -> None:
    sender = MemoryKeys("checkout")
    kids = [sender.sealing_key(tenant).kid for tenant in ("acme", "globex")]
    provider = Meddled("billing")
    provider._keys = sender._keys
    keyring = Keyring(provider)
    keyring.fetch(kids[0], NOW)
    keyring.fetch_wanted(kids, NOW)
    assert set(keyring.keys.held) == set(kids)
    assert provider.asked == 2


def test_the_keys_that_seal_are_those_of_the_tenants_that_were_asked_for() -> None:
    store = MemoryKeys("checkout")
    keyring = Keyring(store)
    assert keyring.sealing_keys() == []
    for tenant in ("acme", "globex", "acme"):
        keyring.sealer(tenant, NOW)
    assert keyring.sealing_keys() == [store.sealing_key("acme"), store.sealing_key("globex")]


def test_a_revocation_does_not_wait_for_the_other_keys_to_be_had_anew(
    store: MemoryKeys, seal: Any, opens: Any, in_thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring(store)
    envelope = seal(keyring)
    unharmed = seal(keyring, "globex")
    asked, answer = threading.Event(), threading.Event()
    had = store.opening_key

    def slow(kid: bytes) -> Any:
        asked.set()
        assert answer.wait(30)
        return had(kid)

    monkeypatch.setattr(store, "opening_key", slow)
    store.revoke(envelope[2:18])
    refreshing = in_thread(keyring.refresh)
    assert asked.wait(30)
    assert opens(keyring, envelope) == "revoked key"
    assert keyring.sealer("acme", NOW) is None
    assert unharmed[2:18] in keyring.keys.held
    assert not refreshing.done()
    answer.set()
    refreshing.result(30)
    assert opens(keyring, envelope) == "revoked key"


def test_a_child_that_is_forked_while_a_change_is_told_looks_for_itself() -> None:
    class Forking(MemoryKeys):
        """Tells of a change, and then its thread is gone, as a child's is whose parent forks there."""

        def refresh(self) -> bool:
            if super().refresh():
                raise SystemExit
            return False

    store = Forking("checkout")
    keyring = Keyring(store)
    sealer = keyring.sealer("acme", NOW)
    assert sealer is not None
    store.revoke(sealer.key.kid)
    with pytest.raises(SystemExit):
        keyring.refresh()
    keyring.after_fork()
    keyring.refresh()
    assert keyring.keys.revoked == {sealer.key.kid}
    assert keyring.sealer("acme", NOW) is None


def test_a_provider_that_needs_the_keyring_itself_is_not_asked_again_meanwhile() -> None:
    """As one may that asks over HTTP, where requests carry envelopes."""
    provider = Meddled("checkout")
    keyring = Keyring(provider)
    kid = MemoryKeys("billing").sealing_key("acme").kid
    found: list[object] = []

    def request() -> None:
        provider.meanwhile = request  # each time that it is asked
        found.extend((keyring.wants_sealer("acme", NOW), keyring.wants(kid, NOW)))
        found.append(keyring.sealer("acme", NOW))

    provider.meanwhile = request
    assert keyring.sealer("acme", NOW) is not None
    assert found == [False, False, None]
    assert keyring.wants(kid, NOW)
    assert keyring.wants_sealer("globex", NOW)
