from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from interceptors.errors import ConfigurationError
from interceptors.keys.signing_key import read_signing_key, read_verification_key, write_signing_key
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

SEED = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.key"


def private_pem(
    key: Ed25519PrivateKey | X25519PrivateKey, encryption: KeySerializationEncryption | None = None
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def place(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refused(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(path)
    assert f"{path}" in str(raised.value)
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return str(raised.value)


def test_a_pair_is_written_and_read_back(path: Path) -> None:
    key = SigningKey(SEED)
    public = write_signing_key(path, key)
    assert public == path.with_suffix(".pub")
    for given in (path, str(path)):
        assert read_signing_key(given).seed() == SEED
    for given in (public, str(public)):
        assert read_verification_key(given) == key.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_openssl_reads_what_is_written(path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    public = write_signing_key(path, SigningKey(SEED))
    made = subprocess.run(  # noqa: S603 - our own files
        [openssl, "pkey", "-in", path, "-pubout"], capture_output=True, check=True
    )
    assert made.stdout == public.read_bytes()


@pytest.mark.parametrize("there", ["audit.key", "audit.pub"])
def test_nothing_is_overwritten(path: Path, there: str) -> None:
    place(path.with_name(there), b"precious")
    assert "is there already" in refused_to_write(path, path.with_name(there))
    assert [(file.name, file.read_bytes()) for file in path.parent.iterdir()] == [(there, b"precious")]


def refused_to_write(path: Path, named: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        write_signing_key(path, SigningKey(SEED))
    assert f"{named}: " in str(raised.value)
    return str(raised.value)


def test_names_that_the_pair_can_not_have(path: Path) -> None:
    assert "the same name" in refused_to_write(path.with_suffix(".pub"), path.with_suffix(".pub"))
    assert "the same name" in refused_to_write(type(path)(), type(path)())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_private_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    place(path, private_pem(Ed25519PrivateKey.generate()), mode)
    assert f"chmod 600 {path}" in refused(read_signing_key, path)


def test_a_file_that_is_not_there(path: Path) -> None:
    assert f"make a pair with: interceptors keys signing-key {path}" in refused(read_signing_key, path)
    assert "No such file" in refused(read_verification_key, path)


def test_a_path_that_is_none(tmp_path: Path) -> None:
    assert "not a path" in refused(read_signing_key, tmp_path / "a\0b")
    assert "not a path" in refused(read_verification_key, tmp_path / "a\0b")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SEED,
        b"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n",
        private_pem(X25519PrivateKey.generate()),
        private_pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"password")),
    ],
    ids=["empty", "raw", "cut", "another kind", "encrypted"],
)
def test_what_is_no_private_key(path: Path, content: bytes) -> None:
    text = refused(read_signing_key, place(path, content))
    assert "not an Ed25519 private key in PEM without a password" in text
    assert "MC4C" not in text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SEED,
        b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
        X25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "raw", "cut", "another kind"],
)
def test_what_is_no_public_key(path: Path, content: bytes) -> None:
    assert "not an Ed25519 public key in PEM" in refused(read_verification_key, place(path, content))


def test_a_private_key_is_not_taken_for_the_public_one(path: Path) -> None:
    content = private_pem(Ed25519PrivateKey.from_private_bytes(SEED))
    text = refused(read_verification_key, place(path, content))
    assert "holds a private key" in text
    assert content.split(b"\n")[1].decode() not in text
