from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from interceptors.envelope.batch import open_batch
from interceptors.errors import ConfigurationError
from interceptors.keys.collector_key import read_collector_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption


def pem(public: X25519PublicKey | Ed25519PublicKey) -> bytes:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def refused(path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        read_collector_key(path)
    error = raised.value
    assert f"{path}" in str(error)
    assert "openssl" in str(error)
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collector.pub"


def test_a_public_key_is_read(path: Path) -> None:
    private_key = X25519PrivateKey.generate()
    path.write_bytes(pem(private_key.public_key()))
    for given in (path, str(path)):
        assert open_batch(private_key, read_collector_key(given).seal(b"spans")) == b"spans"


def test_a_file_that_is_not_there(path: Path) -> None:
    assert "No such file" in str(refused(path))


def test_a_path_that_is_none(tmp_path: Path) -> None:
    assert "not a path" in str(refused(tmp_path / "a\0b"))


@pytest.mark.parametrize("encryption", [NoEncryption(), BestAvailableEncryption(b"password")])
@pytest.mark.parametrize("beside_the_public_one", [False, True])
def test_a_private_key_is_refused_and_not_shown(
    path: Path, encryption: KeySerializationEncryption, *, beside_the_public_one: bool
) -> None:
    private_key = X25519PrivateKey.generate()
    secret = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    path.write_bytes(pem(private_key.public_key()) * beside_the_public_one + secret)
    error = refused(path)
    assert "holds a private key" in str(error)
    assert secret.split(b"\n")[1].decode() not in f"{error!r} {error.__context__!r}"


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", bytes(44)]
)
def test_what_is_no_key(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    error = refused(path)
    assert "not a usable public key in PEM" in str(error)
    assert error.__context__ is None


def test_a_key_of_another_kind(path: Path) -> None:
    path.write_bytes(pem(Ed25519PrivateKey.generate().public_key()))
    assert "another kind than X25519" in str(refused(path))


def test_a_point_of_small_order(path: Path) -> None:
    path.write_bytes(pem(X25519PublicKey.from_public_bytes(bytes(32))))
    error = refused(path)
    assert "not a usable public key" in str(error)
    assert error.__context__ is None
