"""A key, a context and a binding, and how to look for what must not show."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from interceptors.context import TraceContext
from interceptors.envelope import Binding, Sealer, SenderKey, derive_sender_key, derive_signing_key
from interceptors.envelope.xaes import XAES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM


@pytest.fixture
def root() -> bytes:
    return bytes(range(100, 132))


@pytest.fixture
def key(root: bytes) -> SenderKey:
    return derive_sender_key(root, "acme", "checkout")


@pytest.fixture
def signing(root: bytes, key: SenderKey) -> SenderKey:
    """The key as its sender has it, who signs."""
    return SenderKey("acme", "checkout", key.key, signing=derive_signing_key(root, "acme", "checkout"))


@pytest.fixture
def readable(signing: SenderKey) -> SenderKey:
    """The key as a reader has it, who can check signatures and make none."""
    return SenderKey("acme", "checkout", signing.key, verification=signing.verification)


@pytest.fixture
def sealer(key: SenderKey) -> Sealer:
    return Sealer(key)


@pytest.fixture
def now() -> int:
    return 1_790_000_000_000


@pytest.fixture
def context() -> TraceContext:
    return TraceContext(bytes(range(1, 17)), bytes(range(1, 9)))


@pytest.fixture
def binding() -> Binding:
    return Binding("orders", "order.created", "m-1", sha256(b"body").digest())


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The salts for which a subkey has been derived since the test began."""
    salts: list[bytes] = []
    derive = XAES.subkey

    def recorded(self: XAES, salt: bytes) -> AESGCM:
        salts.append(salt)
        return derive(self, salt)

    monkeypatch.setattr(XAES, "subkey", recorded)
    return salts


@pytest.fixture
def assert_silent() -> Callable[[BaseException, str | bytes], None]:
    """Assert that neither an error nor anything that hangs on it shows a secret."""

    def check(error: BaseException, secret: str | bytes) -> None:
        assert error.__cause__ is None
        assert error.__context__ is None
        shown = f"{error} {error!r} {error.args!r} {vars(error)!r}"
        assert (secret if isinstance(secret, str) else repr(secret)[2:-1]) not in shown

    return check
