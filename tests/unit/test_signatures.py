from __future__ import annotations

import base64
import json
import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.errors import SignatureError
from interceptors.signatures import Signed, SigningKey, VerificationKey, parse_signed

if TYPE_CHECKING:
    from collections.abc import Callable

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

ONE, TWO, THREE = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
TYPE = "application/vnd.example+yaml"
DOCUMENT = Signed(b"version: 1\n", TYPE, ())


def test_signs_as_the_standard_says() -> None:
    key = SigningKey(SEED)
    assert key.sign(b"\x72") == SIGNATURE
    assert key.public == VerificationKey(PUBLIC)
    key.public.verify(SIGNATURE, b"\x72")


@pytest.mark.parametrize("signature", [b"", SIGNATURE[:-1], SIGNATURE + b"\0", bytes(64), SIGNATURE[::-1]])
def test_another_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureError, match="not a signature by the key") as raised:
        VerificationKey(PUBLIC).verify(signature, b"\x72")
    assert raised.value.__context__ is None


@pytest.mark.parametrize("make", [SigningKey, VerificationKey])
def test_a_key_has_its_length(make: Callable[[bytes], object]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make(bytes(31))


def test_a_private_key_shows_nowhere() -> None:
    key = SigningKey.generate()
    assert SigningKey(key.seed()).public == key.public
    assert key.seed().hex() not in repr(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


def test_public_keys_are_equal_by_their_bytes() -> None:
    assert len({VerificationKey(PUBLIC), VerificationKey(PUBLIC), ONE.public}) == 2
    assert VerificationKey(PUBLIC) != PUBLIC
    assert VerificationKey(PUBLIC).id in repr(VerificationKey(PUBLIC))


def test_a_document_names_its_signers() -> None:
    signed = parse_signed(DOCUMENT.by(ONE).by(TWO).to_json())
    assert (signed.payload, signed.payload_type) == (DOCUMENT.payload, TYPE)
    assert signed.signers([ONE.public, TWO.public, THREE.public]) == {ONE.public, TWO.public}
    assert signed.signers([TWO.public]) == {TWO.public}
    assert signed.signers([]) == frozenset()


def test_what_is_signed_is_the_encoding_of_the_standard() -> None:
    # DSSE, protocol: SIGNATURE = Sign(PAE(UTF8(PAYLOAD_TYPE), SERIALIZED_BODY)).
    ((_, signature),) = DOCUMENT.by(ONE).signatures
    ONE.public.verify(signature, b"DSSEv1 28 " + TYPE.encode() + b" 11 version: 1\n")


def test_one_key_signs_once() -> None:
    assert DOCUMENT.by(ONE).by(TWO).by(ONE).signatures == DOCUMENT.by(TWO).by(ONE).signatures


@pytest.mark.parametrize(
    "changed",
    [
        DOCUMENT.by(ONE)._replace(payload=b"version: 2\n"),
        DOCUMENT.by(ONE)._replace(payload_type="application/other"),
    ],
    ids=["payload", "type"],
)
def test_a_changed_document_has_no_signers(changed: Signed) -> None:
    assert changed.signers([ONE.public]) == frozenset()


def test_a_signature_under_another_id_counts_for_neither() -> None:
    ((_, signature),) = DOCUMENT.by(ONE).signatures
    moved = DOCUMENT._replace(signatures=((TWO.public.id, signature), ("unknown", signature)))
    assert moved.signers([ONE.public, TWO.public]) == frozenset()


def test_a_key_that_signs_twice_is_refused() -> None:
    form = json.loads(DOCUMENT.by(ONE).to_json())
    form["signatures"] *= 2
    with pytest.raises(SignatureError, match="signed twice"):
        parse_signed(json.dumps(form))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        "version: 1",
        '{"payload": 5, "payloadType": "t", "signatures": []}',
        '{"payload": "", "payloadType": "t", "signatures": [{}]}',
        '{"payload": "", "payloadType": "t", "signatures": [{"keyid": "a", "sig": "%%"}]}',
        "[" * 100_000,
    ],
    ids=map(str, range(9)),
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(SignatureError, match="not a DSSE envelope") as raised:
        parse_signed(text)
    assert raised.value.__context__ is None


@given(st.binary(max_size=200), st.integers(0, 400))
def test_reading_is_total(noise: bytes, place: int) -> None:
    text = DOCUMENT.by(ONE).to_json().encode()
    for changed in (noise, text[:place] + noise + text[place:]):
        try:
            found = parse_signed(changed)
        except SignatureError:
            continue
        if (found.payload, found.payload_type) != (DOCUMENT.payload, TYPE):
            assert found.signers([ONE.public]) == frozenset()


def test_the_file_is_what_others_write() -> None:
    form = json.loads(DOCUMENT.by(ONE).to_json())
    assert base64.b64decode(form["payload"]) == DOCUMENT.payload
    assert form["payloadType"] == TYPE
    assert set(form["signatures"][0]) == {"keyid", "sig"}
