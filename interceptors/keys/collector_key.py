"""The collector's public key, out of a file."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from interceptors.envelope.batch import CollectorKey
from interceptors.errors import ConfigurationError

_MAKE_PRIVATE = "openssl genpkey -algorithm X25519 -out collector.key"
_MAKE_PUBLIC = "openssl pkey -in collector.key -pubout -out collector.pub"


def read_collector_key(path: Path | str) -> CollectorKey:
    """Read the public key that batches of spans are sealed to.

    Args:
        path: a file with one X25519 public key in PEM (SubjectPublicKeyInfo, RFC 8410).

    Returns:
        The key.

    Raises:
        ConfigurationError: it can't be read, holds a private key, or no X25519 public key; the text names the
            file and the remedy, and nothing of what the file holds.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        msg = f"{path}: can't be read ({reason}); give the collector's public key, made with: {_MAKE_PUBLIC}"
        raise ConfigurationError(msg) from None
    if b"PRIVATE KEY" in content:
        msg = (
            f"{path}: holds a private key, which the collector alone may have; delete it here, "
            f"and give the public one, made with: {_MAKE_PUBLIC}"
        )
        raise ConfigurationError(msg)
    problem = f"not a usable public key in PEM; make it with: {_MAKE_PUBLIC}"
    try:
        public = load_pem_public_key(content)
        if isinstance(public, X25519PublicKey):
            return CollectorKey(public)
        problem = f"a key of another kind than X25519; make one with: {_MAKE_PRIVATE} && {_MAKE_PUBLIC}"
    except (ValueError, UnsupportedAlgorithm):
        pass  # refused out here: an exception in hand would be its context
    msg = f"{path}: {problem}"
    raise ConfigurationError(msg)
