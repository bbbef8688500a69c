"""Ed25519 keys in files: the private one for whoever signs, the public one for whoever checks.

PEM, as `openssl genpkey -algorithm ED25519` and `openssl pkey -pubout` write it (RFC 8410): PKCS#8, not
encrypted, with mode 0600; and SubjectPublicKeyInfo.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import read_private, write_private
from interceptors.signatures import SigningKey, VerificationKey

_MAKE = "interceptors keys signing-key"
# TypeError: a private key that is encrypted, and no password.
_UNUSABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def read_signing_key(path: Path | str) -> SigningKey:
    """Read a private key.

    Args:
        path: a file that only its owner can read.

    Returns:
        The key.

    Raises:
        ConfigurationError: it can't be read, can be read by others, or holds no Ed25519 private key; the text
            names the file and the remedy, and nothing of what the file holds.
    """
    content = read_private(Path(path), f"make a pair with: {_MAKE} {path}")
    # What a parser raises is not to be the context of our error.
    with contextlib.suppress(*_UNUSABLE):
        private = load_pem_private_key(content, password=None)
        if isinstance(private, Ed25519PrivateKey):
            return SigningKey(private.private_bytes_raw())
    msg = f"{path}: not an Ed25519 private key in PEM without a password; make a pair with: {_MAKE}"
    raise ConfigurationError(msg)


def read_verification_key(path: Path | str) -> VerificationKey:
    """Read a public key.

    Args:
        path: the file.

    Returns:
        The key.

    Raises:
        ConfigurationError: it can't be read, holds a private key, or no Ed25519 public key; the text names
            the file and the remedy, and nothing of what the file holds.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        msg = f"{path}: can't be read ({reason}); give the public key, which lies beside the private one"
        raise ConfigurationError(msg) from None
    if b"PRIVATE KEY" in content:
        msg = f"{path}: holds a private key, which only its owner may have; give the public one beside it"
        raise ConfigurationError(msg)
    with contextlib.suppress(*_UNUSABLE):
        public = load_pem_public_key(content)
        if isinstance(public, Ed25519PublicKey):
            return VerificationKey(public.public_bytes_raw())
    msg = f"{path}: not an Ed25519 public key in PEM; make a pair with: {_MAKE}"
    raise ConfigurationError(msg)


def write_signing_key(path: Path, key: SigningKey) -> Path:
    """Write a key: the private one, and the public one beside it.

    Args:
        path: where the private one goes, such as `audit.key`. Nothing is overwritten.
        key: the key.

    Returns:
        Where the public one is: the same name, ending in `.pub`.

    Raises:
        ConfigurationError: one of the files is there, or can't be written.
    """
    public = path.with_suffix(".pub") if path.name else path
    if public == path:
        msg = f"{path}: the public key would have the same name; call the private one something.key"
        raise ConfigurationError(msg)
    for file in (path, public):
        if file.exists():
            msg = f"{file}: is there already, and a key that is lost can't be made again; give another name"
            raise ConfigurationError(msg)
    private = Ed25519PrivateKey.from_private_bytes(key.seed())
    write_private(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(public, pem)
    return public
