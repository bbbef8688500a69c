"""The primitives held to the vectors of those who specified them.

XAES-256-GCM to the vectors of its C2SP specification (c2sp.org/XAES-256-GCM); HKDF-Expand and AES-256-GCM to
those of RFC 5869 and NIST's CAVP, which the package `cryptography_vectors` carries.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHAKE128, XOFHash

from interceptors.envelope.sender_key import expand
from interceptors.envelope.xaes import XAES

if TYPE_CHECKING:
    from collections.abc import Iterator

NONCE = b"ABCDEFGHIJKLMNOPQRSTUVWX"
CHUNK = 1 << 20
LONGEST = 32 + 24 + 2 * (1 + 255)
"""What one iteration of the accumulated tests reads at the most."""


@pytest.mark.parametrize(
    ("key", "associated_data", "subkey", "ciphertext"),
    [
        pytest.param(
            b"\x01" * 32,
            b"",
            "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
            "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            id="highest bit of L is 0",
        ),
        pytest.param(
            b"\x03" * 32,
            b"c2sp.org/XAES-256-GCM",
            "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            id="highest bit of L is 1",
        ),
    ],
)
def test_xaes_single(key: bytes, associated_data: bytes, subkey: str, ciphertext: str) -> None:
    xaes = XAES(key)
    of_the_specification = AESGCM(bytes.fromhex(subkey))

    sealed = xaes.seal(NONCE, b"XAES-256-GCM", associated_data)

    assert sealed.hex() == ciphertext
    assert xaes.open(NONCE, sealed, associated_data) == b"XAES-256-GCM"
    # A cipher doesn't give its key back; that it opens what the other sealed shows that it is the same.
    probe = of_the_specification.encrypt(bytes(12), b"probe", None)
    assert xaes.subkey(NONCE[:12]).decrypt(bytes(12), probe, None) == b"probe"


@pytest.mark.parametrize(
    ("iterations", "digest"),
    [
        (10_000, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"),
        (1_000_000, "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"),
    ],
)
def test_xaes_accumulated(iterations: int, digest: str) -> None:
    stream = XOFHash(SHAKE128(digest_size=iterations * LONGEST + CHUNK))
    results = hashlib.shake_128()
    random, place = stream.squeeze(CHUNK), 0
    assert random.startswith(bytes.fromhex("7f9c2ba4e88f827d616045507605853e"))
    for _ in range(iterations):
        if len(random) - place < LONGEST:
            random, place = random[place:] + stream.squeeze(CHUNK), 0
        nonce = place + 32
        plaintext = nonce + 25
        associated_data = plaintext + random[plaintext - 1] + 1
        end = associated_data + random[associated_data - 1]
        sealed = XAES(random[place:nonce]).seal(
            random[nonce : nonce + 24],
            random[plaintext : associated_data - 1],
            random[associated_data:end],
        )
        results.update(sealed)
        place = end

    assert results.hexdigest(32) == digest


def vectors(path: str) -> Iterator[dict[str, str]]:
    """The blocks of a vector file, each with what stands above it in brackets."""
    given: dict[str, str] = {}
    block: dict[str, str] = {}
    with cryptography_vectors.open_vector_file(path, "r") as lines:
        for line in lines:
            name, equals, value = line.strip().strip("[]").partition("=")
            name, value = name.strip(), value.strip()
            if line.startswith("["):
                given[name] = value
            elif name.upper() == "COUNT":
                if block:
                    yield block
                block = {**given}
            elif (equals or name == "FAIL") and not line.startswith("#"):
                block[name] = value
    yield block


@pytest.mark.parametrize(
    "vector",
    [
        pytest.param(vector, id=f"{path}-{number}")
        for path in ("KDF/rfc-5869-HKDF-SHA256.txt", "KDF/hkdf-generated.txt")
        for number, vector in enumerate(vectors(path))
        if vector["Hash"] == "SHA-256"
    ],
)
def test_hkdf_expand(vector: dict[str, str]) -> None:
    salt, material, info = (bytes.fromhex(vector[name]) for name in ("salt", "IKM", "info"))
    # The vectors are of the whole HKDF; its first half, which the envelope has no use for, is one HMAC.
    extracted = hmac.digest(salt or bytes(32), material, "sha256")

    assert expand(extracted, info, int(vector["L"])).hex() == vector["OKM"]
    assert extracted.hex() == vector.get("PRK", extracted.hex())


def aes_gcm_vectors(path: str) -> list[dict[str, str]]:
    """The vectors whose nonces and tags have the lengths that the envelope uses."""
    found = [v for v in vectors(path) if (v["IVlen"], v["Taglen"], v["Keylen"]) == ("96", "128", "256")]
    assert len(found) >= 375, path  # as many as NIST has; a parser that loses some would test little
    return found


def parts(vector: dict[str, str], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def test_aes_256_gcm_encrypts() -> None:
    for vector in aes_gcm_vectors("ciphers/AES/GCM/gcmEncryptExtIV256.rsp"):
        key, nonce, plaintext, associated_data = parts(vector, "Key", "IV", "PT", "AAD")

        sealed = AESGCM(key).encrypt(nonce, plaintext, associated_data)

        assert sealed.hex() == vector["CT"] + vector["Tag"]


def test_aes_256_gcm_decrypts() -> None:
    refused = 0
    for vector in aes_gcm_vectors("ciphers/AES/GCM/gcmDecrypt256.rsp"):
        key, nonce, ciphertext, tag, associated_data = parts(vector, "Key", "IV", "CT", "Tag", "AAD")
        if "FAIL" in vector:
            refused += 1
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, ciphertext + tag, associated_data)
        else:
            assert AESGCM(key).decrypt(nonce, ciphertext + tag, associated_data).hex() == vector["PT"]
    assert refused > 100
