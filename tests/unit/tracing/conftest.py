"""Tracings that are closed when a test ends, and the files of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors import Tracing
from interceptors.context import new_root
from interceptors.keys import KeyAdministration
from interceptors.policy.signed import PAYLOAD_TYPES
from interceptors.policy.trust import RoleName
from interceptors.signatures import Signed, SigningKey
from interceptors.spans import Operation, Span
from interceptors.tracing import Processing
from interceptors.tracing.scopes import Current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def development() -> Iterator[Callable[..., Tracing]]:
    """Makes a tracing as `Tracing.for_development` does, of `checkout` if nothing else is said."""
    made: list[Tracing] = []

    def make(service: str = "checkout", **arguments: Any) -> Tracing:
        made.append(Tracing.for_development(service, **arguments))
        return made[-1]

    yield make
    for tracing in made:
        tracing.close()


class Ended:
    """Takes ended spans, with their errors."""

    def __init__(self) -> None:
        self.spans: list[tuple[Span, BaseException | None]] = []

    def __call__(self, span: Span, error: BaseException | None) -> None:
        self.spans.append((span, error))


@pytest.fixture
def ended() -> Ended:
    """What has ended, in place of a recorder."""
    return Ended()


@pytest.fixture
def processing_of(ended: Ended) -> Callable[[str], Processing]:
    """Makes the processing of a message of a tenant; its span has the tenant's name."""

    def make(tenant: str) -> Processing:
        context = new_root()
        span = Span(Operation.PROCESS, "kafka", "orders", context, None, 1, "checkout", tenant)
        return Processing(span, Current(tenant, context, context), ended)

    return make


@pytest.fixture
def administration(tmp_path: Path) -> KeyAdministration:
    """An administration that has granted `checkout` its keys for `acme`, in `keys.json`."""
    administration = KeyAdministration(tmp_path / "roots.json")
    administration.root("acme")
    administration.grant("checkout", "acme", [], tmp_path / "keys.json")
    return administration


@pytest.fixture
def configuration(tmp_path: Path, administration: KeyAdministration) -> Path:
    """The configuration of `checkout`, whose policy and keys lie beside it."""
    assert administration.files()
    (tmp_path / "policy.yaml").write_text("version: 1\n")
    path = tmp_path / "interceptors.yaml"
    path.write_text("service: checkout\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n")
    return path


class Signers:
    """Two roles that sign policies, privacy and security, and one that signs configurations, release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.privacy, self.security, self.release = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
        self.trust = folder / "trust.yaml"
        self.trust.write_text(
            "version: 1\n"
            "roles:\n"
            "  policy: {threshold: 2, keys: [privacy, security]}\n"
            "  deployment: {threshold: 1, keys: [release]}\n"
            "keys:\n"
            f"  privacy: {{public: '{self.privacy.public.raw.hex()}'}}\n"
            f"  security: {{public: '{self.security.public.raw.hex()}'}}\n"
            f"  release: {{public: '{self.release.public.raw.hex()}'}}\n"
        )
        self.policy = folder / "policy.yaml"

    def sign(self, text: str, *keys: SigningKey, role: RoleName = RoleName.POLICY) -> str:
        """Give a text as its signed file: a policy by privacy and security, if nothing else is said."""
        signed = Signed(text.encode(), PAYLOAD_TYPES[role], ())
        for key in keys or (self.privacy, self.security):
            signed = signed.by(key)
        return signed.to_json()

    def publish(self, text: str, *keys: SigningKey) -> None:
        """Put a signed policy in the place of the one before."""
        changed = self.folder / "policy.new"
        changed.write_text(self.sign(f"version: 1\n{text}", *keys))
        changed.replace(self.policy)


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    """Those who sign, with `trust.yaml`, beside a policy of theirs whose serial is 1."""
    signers = Signers(tmp_path)
    signers.publish("serial: 1\n")
    return signers
