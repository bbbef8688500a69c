from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from interceptors.envelope import Level, Opener, Sealer
from interceptors.envelope.batch import CHANNEL, CollectorKey, batch_binding, open_batch
from interceptors.envelope.keyset import KeySet
from interceptors.envelope.opener import Candidate
from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.context import TraceContext
    from interceptors.envelope import SenderKey

SPANS = b"\x0a\x07 spans " * 40


@pytest.fixture
def private_key() -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def collector_key(private_key: X25519PrivateKey) -> CollectorKey:
    return CollectorKey(private_key.public_key())


def refused(private_key: X25519PrivateKey, body: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as raised:
        open_batch(private_key, body)
    return raised.value


@pytest.mark.parametrize("spans", [b"", b"\0", SPANS, bytes(1 << 20)])
def test_what_is_sealed_opens(private_key: X25519PrivateKey, spans: bytes) -> None:
    assert open_batch(private_key, CollectorKey(private_key.public_key()).seal(spans)) == spans


def test_the_bytes_are_those_of_the_specification(
    private_key: X25519PrivateKey, collector_key: CollectorKey
) -> None:
    body = collector_key.seal(SPANS)
    public = private_key.public_key().public_bytes_raw()
    assert body[:1] == b"\xb1"
    assert body[1:9] == collector_key.id == sha256(public).digest()[:8]
    assert len(body) == 57 + len(SPANS)
    assert opened_by_rfc_9180(private_key, body) == SPANS


def opened_by_rfc_9180(private_key: X25519PrivateKey, body: bytes) -> bytes:
    """Open a batch by the RFC's own steps (sections 4, 4.1 and 5.1), out of smaller primitives."""
    head, enc, sealed = body[:9], body[9:41], body[41:]
    kem = b"KEM\x00\x20"
    hpke = b"HPKE\x00\x20\x00\x01\x00\x02"

    def extract(suite: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + key, "sha256")

    def expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(key, labeled + b"\x01", "sha256")[:length]  # one block is enough for all of them

    shared = private_key.exchange(X25519PublicKey.from_public_bytes(enc))
    secret = expand(
        kem,
        extract(kem, b"", b"eae_prk", shared),
        b"shared_secret",
        enc + private_key.public_key().public_bytes_raw(),
        32,
    )
    info = b"\x00\x15interceptors/v1/spans" + head
    context = b"\x00" + extract(hpke, b"", b"psk_id_hash", b"") + extract(hpke, b"", b"info_hash", info)
    scheduled = extract(hpke, secret, b"secret", b"")
    key, nonce = (
        expand(hpke, scheduled, b"key", context, 32),
        expand(hpke, scheduled, b"base_nonce", context, 12),
    )
    return AESGCM(key).decrypt(nonce, sealed, b"")


def test_no_two_batches_share_a_byte_of_ciphertext_by_more_than_chance(collector_key: CollectorKey) -> None:
    first, second = collector_key.seal(SPANS), collector_key.seal(SPANS)
    assert first[:9] == second[:9]
    assert first[9:41] != second[9:41]
    same = sum(a == b for a, b in zip(first[41:], second[41:], strict=True))
    assert same < len(first) / 8


def test_nothing_of_the_spans_is_readable(collector_key: CollectorKey) -> None:
    assert b"spans" not in collector_key.seal(SPANS)


@pytest.mark.parametrize(
    ("damage", "answer"),
    [
        (lambda _: b"", Answer.MALFORMED),
        (lambda body: b"\x11" + body[1:], Answer.UNSUPPORTED_VERSION),
        (lambda _: b"\xb2", Answer.UNSUPPORTED_VERSION),
        (lambda body: body[:1], Answer.MALFORMED),
        (lambda body: body[:56], Answer.MALFORMED),
        (lambda body: body[:57], Answer.NOT_AUTHENTIC),
        (lambda body: body[:-1], Answer.NOT_AUTHENTIC),
        (lambda body: body + b"\0", Answer.NOT_AUTHENTIC),
        (lambda body: body[:9] + bytes(32) + body[41:], Answer.NOT_AUTHENTIC),  # a point of small order
    ],
)
def test_what_is_no_batch_gets_its_answer(
    private_key: X25519PrivateKey,
    collector_key: CollectorKey,
    damage: Callable[[bytes], bytes],
    answer: Answer,
) -> None:
    assert refused(private_key, damage(collector_key.seal(SPANS))).answer is answer


def test_any_altered_byte_is_found(private_key: X25519PrivateKey, collector_key: CollectorKey) -> None:
    body = collector_key.seal(b"spans")
    answers = [
        refused(private_key, body[:place] + bytes((body[place] ^ 1,)) + body[place + 1 :]).answer
        for place in range(len(body))
    ]
    in_head = [Answer.UNSUPPORTED_VERSION] + [Answer.UNKNOWN_KEY] * 8
    assert answers == in_head + [Answer.NOT_AUTHENTIC] * (len(body) - 9)


def test_the_head_is_bound(private_key: X25519PrivateKey, collector_key: CollectorKey) -> None:
    """A batch that is relabelled for a second key does not open, whatever that key can decrypt."""
    other = X25519PrivateKey.generate()
    body = collector_key.seal(SPANS)
    relabelled = CollectorKey(other.public_key()).seal(b"")[:9] + body[9:]
    assert refused(other, body).answer is Answer.UNKNOWN_KEY
    assert refused(other, relabelled).answer is Answer.NOT_AUTHENTIC


def test_a_refusal_shows_nothing(
    private_key: X25519PrivateKey, collector_key: CollectorKey, assert_silent: Callable[..., None]
) -> None:
    body = collector_key.seal(SPANS)
    assert_silent(refused(private_key, body[:-1]), body[9:41])


def test_a_key_of_small_order_is_refused(assert_silent: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="small order") as raised:
        CollectorKey(X25519PublicKey.from_public_bytes(b"\x01" + bytes(31)))
    assert_silent(raised.value, "shared key")


def test_a_key_shows_its_id(collector_key: CollectorKey) -> None:
    assert repr(collector_key) == f"CollectorKey(id={collector_key.id.hex()})"


def test_the_envelope_beside_a_batch_is_good_for_that_batch_alone(
    key: SenderKey, context: TraceContext, now: int, collector_key: CollectorKey
) -> None:
    body, other = collector_key.seal(SPANS), collector_key.seal(SPANS)
    envelope = Sealer(key).seal(context, Level.MESSAGE, batch_binding(body), now).envelope

    def opened(body: bytes) -> str:
        candidate = Candidate(batch_binding(body), lowest_level=Level.MESSAGE)
        return Opener().open(envelope, KeySet([key]), [candidate]).sender

    assert batch_binding(body).channel == CHANNEL
    assert opened(body) == "checkout"
    with pytest.raises(EnvelopeError) as raised:
        opened(other)
    assert raised.value.answer is Answer.NOT_AUTHENTIC
