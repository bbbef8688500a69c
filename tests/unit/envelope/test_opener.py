from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import opener as module
from interceptors.envelope.binding import Binding, Level, associated_data
from interceptors.envelope.keyset import KeySet
from interceptors.envelope.opener import Candidate, Opened, Opener
from interceptors.envelope.sealer import Sealer
from interceptors.envelope.sender_key import SenderKey, derive_sender_key, derive_signing_key
from interceptors.errors import Answer, EnvelopeError
from interceptors.signatures import SigningKey, VerificationKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interceptors.context import TraceContext


@pytest.fixture
def seal(sealer: Sealer, context: TraceContext, binding: Binding, now: int) -> Callable[[Level], bytes]:
    """Seal the context for the message at a level."""
    return lambda level: sealer.seal(context, level, binding, now).envelope


@pytest.fixture
def keys(key: SenderKey) -> KeySet:
    return KeySet([key])


@pytest.fixture
def around(key: SenderKey, binding: Binding) -> Callable[[bytes], bytes]:
    """Seal any plaintext."""

    def seal(plaintext: bytes) -> bytes:
        head = b"\x11\x01" + key.kid
        bound = associated_data(head, key.tenant, key.sender, Level.CHANNEL, binding)
        return head + bytes(24) + key.xaes.seal(bytes(24), plaintext, bound)

    return seal


def answer_to(
    envelope: bytes, keys: KeySet, candidates: Iterable[Candidate], opener: Opener | None = None
) -> Answer:
    with pytest.raises(EnvelopeError) as refusal:
        (opener or Opener()).open(envelope, keys, candidates)
    return refusal.value.answer


@pytest.mark.parametrize("level", Level)
def test_opens_to_the_context_and_to_whose_it_is(
    *,
    seal: Callable[[Level], bytes],
    keys: KeySet,
    binding: Binding,
    context: TraceContext,
    now: int,
    level: Level,
) -> None:
    envelope = seal(level)

    opened = Opener().open(envelope, keys, [Candidate(binding, level)])

    assert opened == Opened("acme", "checkout", context, now, envelope[2:42], 0)
    assert repr(opened) == "Opened(tenant='acme', sender='checkout', candidate=0)"


def test_the_key_is_the_one_that_the_kid_names(
    root: bytes, context: TraceContext, binding: Binding, now: int, key: SenderKey
) -> None:
    other = derive_sender_key(root, "globex", "billing")
    envelope = Sealer(other).seal(context, Level.CHANNEL, binding, now).envelope

    opened = Opener().open(envelope, KeySet([key, other]), [Candidate(binding)])

    assert (opened.tenant, opened.sender) == ("globex", "billing")


def test_bytes_of_another_form_are_refused_before_a_key_is_looked_up(binding: Binding) -> None:
    assert answer_to(b"", KeySet(), [Candidate(binding)]) is Answer.MALFORMED
    assert answer_to(b"\x13", KeySet(), [Candidate(binding)]) is Answer.UNSUPPORTED_VERSION


def test_an_unknown_and_a_revoked_key_open_nothing(
    seal: Callable[[Level], bytes], key: SenderKey, binding: Binding
) -> None:
    candidates = [Candidate(binding)]

    assert answer_to(seal(Level.CHANNEL), KeySet(), candidates) is Answer.UNKNOWN_KEY
    assert answer_to(seal(Level.CHANNEL), KeySet([key], [key.kid]), candidates) is Answer.REVOKED_KEY


def test_a_revoked_key_opens_nothing_though_its_subkey_is_kept(
    seal: Callable[[Level], bytes], key: SenderKey, binding: Binding
) -> None:
    opener = Opener()
    opener.open(seal(Level.CHANNEL), KeySet([key]), [Candidate(binding)])

    revoked = answer_to(seal(Level.CHANNEL), KeySet([key], [key.kid]), [Candidate(binding)], opener)
    dropped = answer_to(seal(Level.CHANNEL), KeySet(), [Candidate(binding)], opener)

    assert (revoked, dropped) == (Answer.REVOKED_KEY, Answer.UNKNOWN_KEY)


@pytest.mark.parametrize(
    ("change", "first_level"),
    [
        ({"channel": "refunds"}, Level.CHANNEL),
        ({"type": "order.deleted"}, Level.TYPE),
        ({"message_id": "m-2"}, Level.MESSAGE),
        ({"body_digest": bytes(32)}, Level.MESSAGE),
    ],
)
@pytest.mark.parametrize("level", Level)
def test_another_binding_is_not_authentic_where_the_level_binds_it(
    *,
    seal: Callable[[Level], bytes],
    keys: KeySet,
    binding: Binding,
    level: Level,
    change: dict[str, Any],
    first_level: Level,
) -> None:
    candidate = Candidate(binding._replace(**change))

    if level >= first_level:
        assert answer_to(seal(level), keys, [candidate]) is Answer.NOT_AUTHENTIC
    else:
        assert Opener().open(seal(level), keys, [candidate]).sender == "checkout"


@pytest.mark.parametrize("place", [18, 30, 42, -16, -1])
def test_an_altered_byte_is_not_authentic(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding, place: int
) -> None:
    altered = bytearray(seal(Level.CHANNEL))
    altered[place] ^= 0x80

    assert answer_to(bytes(altered), keys, [Candidate(binding)]) is Answer.NOT_AUTHENTIC


def test_an_envelope_that_is_bound_too_loosely_is_not_authentic(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding
) -> None:
    answer = answer_to(seal(Level.CHANNEL), keys, [Candidate(binding, Level.TYPE)])

    assert answer is Answer.NOT_AUTHENTIC


def test_the_first_candidate_that_fits_is_reported(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding
) -> None:
    candidates = [
        Candidate(binding._replace(channel="refunds")),
        Candidate(binding, lowest_level=Level.MESSAGE),
        Candidate(binding),
    ]

    assert Opener().open(seal(Level.CHANNEL), keys, candidates).candidate == 2


def test_three_candidates_are_tried_and_no_more(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding
) -> None:
    others = [Candidate(Binding(channel)) for channel in ("a", "b", "c")]

    assert answer_to(seal(Level.CHANNEL), keys, [*others, Candidate(binding)]) is Answer.NOT_AUTHENTIC


def test_a_candidate_of_other_senders_is_passed_over(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding
) -> None:
    billing, checkout = frozenset({"billing"}), frozenset({"billing", "checkout"})

    opened = Opener().open(
        seal(Level.CHANNEL), keys, [Candidate(binding, senders=billing), Candidate(binding, senders=checkout)]
    )

    assert opened.candidate == 1


def test_a_sender_whom_no_candidate_lists_is_an_unknown_key(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding
) -> None:
    billing = Candidate(binding, senders=frozenset({"billing"}))

    assert answer_to(seal(Level.CHANNEL), keys, [billing, billing]) is Answer.UNKNOWN_KEY


@pytest.mark.parametrize("unbindable", ["c" * 65536, "\ud800"])
def test_a_binding_that_nobody_can_have_sealed_is_not_authentic(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding, unbindable: str
) -> None:
    candidate = Candidate(binding._replace(channel=unbindable))

    assert answer_to(seal(Level.CHANNEL), keys, [candidate]) is Answer.NOT_AUTHENTIC


def test_an_authentic_plaintext_of_another_form_is_malformed(
    around: Callable[[bytes], bytes],
    keys: KeySet,
    binding: Binding,
    assert_silent: Callable[[BaseException, str | bytes], None],
) -> None:
    # An array that breaks off in text that is not UTF-8: the decoder's own errors hold the plaintext.
    plaintext = b"\x95\xa8customer\xa2\xff\xff\x80".ljust(64, b"\0")

    with pytest.raises(EnvelopeError) as refusal:
        Opener().open(around(plaintext), keys, [Candidate(binding)])

    assert refusal.value.answer is Answer.MALFORMED
    assert_silent(refusal.value, "customer")


def test_no_answer_shows_a_byte_of_the_envelope(
    seal: Callable[[Level], bytes],
    binding: Binding,
    assert_silent: Callable[[BaseException, str | bytes], None],
    keys: KeySet,
) -> None:
    envelope = seal(Level.CHANNEL)

    with pytest.raises(EnvelopeError) as refusal:
        Opener().open(envelope, keys, [Candidate(binding._replace(channel="refunds"))])

    assert_silent(refusal.value, envelope[42:46])


def test_a_subkey_is_derived_once_for_a_session(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding, derived: list[bytes]
) -> None:
    envelopes = [seal(Level.CHANNEL) for _ in range(3)]
    derived.clear()
    opener = Opener()

    for envelope in envelopes:
        opener.open(envelope, keys, [Candidate(binding)])

    assert derived == [envelopes[0][18:30]]


def test_a_subkey_is_kept_only_once_a_tag_has_verified(
    seal: Callable[[Level], bytes], keys: KeySet, binding: Binding, derived: list[bytes]
) -> None:
    envelope = seal(Level.CHANNEL)
    forged = envelope[:-1] + bytes((envelope[-1] ^ 1,))
    derived.clear()
    opener = Opener()

    for _ in range(2):
        answer_to(forged, keys, [Candidate(binding)], opener)
    assert len(derived) == 2
    assert len(opener._subkeys) == 0

    opener.open(envelope, keys, [Candidate(binding)])
    answer_to(forged, keys, [Candidate(binding)], opener)
    assert len(derived) == 3


def test_an_authentic_envelope_of_another_form_leaves_its_subkey(
    around: Callable[[bytes], bytes], keys: KeySet, binding: Binding, derived: list[bytes]
) -> None:
    envelope = around(bytes(64))
    derived.clear()
    opener = Opener()

    for _ in range(2):
        assert answer_to(envelope, keys, [Candidate(binding)], opener) is Answer.MALFORMED

    assert len(derived) == 1


def test_the_cache_is_bounded(
    key: SenderKey, keys: KeySet, context: TraceContext, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CACHED_SUBKEYS", 4)
    opener = Opener()

    for number in range(20):
        binding = Binding(f"channel-{number}")
        envelope = Sealer(key).seal(context, Level.CHANNEL, binding, now).envelope
        assert opener.open(envelope, keys, [Candidate(binding)]).context == context

    assert 0 < len(opener._subkeys) <= 4


@pytest.mark.parametrize(("tenant", "sender"), [("globex", "checkout"), ("acme", "billing")])
def test_the_same_key_under_other_names_opens_nothing_that_was_sealed_before(
    seal: Callable[[Level], bytes], key: SenderKey, binding: Binding, tenant: str, sender: str
) -> None:
    """A kid commits to the key's bytes alone, so nothing that is kept by kid may stand for the names."""
    opener = Opener()
    opener.open(seal(Level.CHANNEL), KeySet([key]), [Candidate(binding)])

    renamed = KeySet([SenderKey(tenant, sender, key.key)])

    assert answer_to(seal(Level.CHANNEL), renamed, [Candidate(binding)], opener) is Answer.NOT_AUTHENTIC


def test_a_kept_subkey_serves_no_other_key_of_the_same_kid(
    seal: Callable[[Level], bytes], key: SenderKey, keys: KeySet, binding: Binding
) -> None:
    opener = Opener()
    opener.open(seal(Level.CHANNEL), keys, [Candidate(binding)])
    impostor = SenderKey(key.tenant, key.sender, bytes(32))
    impostor.kid = key.kid

    assert answer_to(seal(Level.CHANNEL), KeySet([impostor]), [Candidate(binding)], opener) is (
        Answer.NOT_AUTHENTIC
    )


def test_a_key_that_was_loaded_again_opens_too(
    seal: Callable[[Level], bytes], key: SenderKey, keys: KeySet, binding: Binding, derived: list[bytes]
) -> None:
    envelope = seal(Level.CHANNEL)
    derived.clear()
    opener = Opener()
    opener.open(envelope, keys, [Candidate(binding)])
    loaded_again = KeySet([SenderKey(key.tenant, key.sender, key.key)])

    for _ in range(2):
        assert opener.open(envelope, loaded_again, [Candidate(binding)]).sender == key.sender

    assert len(derived) == 2


# --- suite 2 ----------------------------------------------------------------------------------------------


@pytest.fixture
def sealed_and_signed(
    signing: SenderKey, context: TraceContext, binding: Binding, now: int
) -> Callable[[Level], bytes]:
    """Seal the context for the message at a level, and sign it."""
    sealer = Sealer(signing)
    return lambda level: sealer.seal(context, level, binding, now, signed=True).envelope


@pytest.fixture
def reader(readable: SenderKey) -> KeySet:
    return KeySet([readable])


@pytest.fixture
def forge(readable: SenderKey, context: TraceContext, now: int) -> Callable[..., bytes]:
    """Seal as a reader can who would be the sender: with the sender's key, and a signature of his own."""

    def forged(binding: Binding, signing: SigningKey | None) -> bytes:
        claimed = SenderKey(readable.tenant, readable.sender, readable.key, signing=signing)
        return Sealer(claimed).seal(context, Level.CHANNEL, binding, now, signed=signing is not None).envelope

    return forged


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("level", Level)
def test_a_signed_envelope_opens_whether_or_not_a_signature_is_asked_for(
    *,
    sealed_and_signed: Callable[[Level], bytes],
    reader: KeySet,
    binding: Binding,
    context: TraceContext,
    now: int,
    level: Level,
    signed: bool,
) -> None:
    envelope = sealed_and_signed(level)

    opened = Opener().open(envelope, reader, [Candidate(binding, level, signed=signed)])

    assert opened == Opened("acme", "checkout", context, now, envelope[2:42], 0)


@pytest.mark.parametrize("signing_key", [None, SigningKey(bytes(32))], ids=["suite 1", "suite 2"])
def test_what_a_reader_forges_is_refused_where_a_signature_is_asked_for(
    forge: Callable[..., bytes], reader: KeySet, binding: Binding, signing_key: SigningKey | None
) -> None:
    forged = forge(binding, signing_key)

    assert answer_to(forged, reader, [Candidate(binding, signed=True)]) is Answer.NOT_AUTHENTIC


def test_a_forged_signature_is_refused_where_none_is_asked_for(
    forge: Callable[..., bytes], reader: KeySet, binding: Binding
) -> None:
    assert Opener().open(forge(binding, None), reader, [Candidate(binding)]).sender == "checkout"

    forged = forge(binding, SigningKey(bytes(32)))

    assert answer_to(forged, reader, [Candidate(binding)]) is Answer.NOT_AUTHENTIC


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda e: b"\x11" + e[1:-64], id="signature stripped, as suite 1"),
        pytest.param(lambda e: e[:-64] + bytes(64), id="signature of zeros"),
        pytest.param(lambda e: e[:-1] + bytes((e[-1] ^ 0x80,)), id="last bit of the signature"),
        pytest.param(lambda e: e[:-64] + bytes((e[-64] ^ 1,)) + e[-63:], id="first bit of the signature"),
        pytest.param(lambda e: e[:42] + bytes((e[42] ^ 1,)) + e[43:], id="first bit of the ciphertext"),
        pytest.param(lambda e: e[:-65] + bytes((e[-65] ^ 1,)) + e[-64:], id="last bit of the tag"),
        pytest.param(lambda e: e[:30] + bytes(12) + e[42:], id="nonce"),
        pytest.param(lambda e: e[:1] + b"\x02" + e[2:], id="level"),
        pytest.param(lambda e: b"\x11" + e[1:], id="suite byte, of a length that suite 1 has too"),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_a_signed_envelope_that_was_altered_is_not_authentic(
    *,
    sealed_and_signed: Callable[[Level], bytes],
    reader: KeySet,
    binding: Binding,
    change: Callable[[bytes], bytes],
    signed: bool,
) -> None:
    altered = change(sealed_and_signed(Level.CHANNEL))

    assert answer_to(altered, reader, [Candidate(binding, signed=signed)]) is Answer.NOT_AUTHENTIC


def test_an_envelope_of_suite_1_is_none_of_suite_2(
    key: SenderKey, context: TraceContext, reader: KeySet, binding: Binding, now: int
) -> None:
    labelled = context._replace(labels={"a": "x" * 64})
    envelope = Sealer(key).seal(labelled, Level.CHANNEL, binding, now).envelope
    assert len(envelope) == 186  # as long as the shortest of suite 2

    for altered in (b"\x12" + envelope[1:], b"\x12" + envelope[1:] + bytes(64)):
        assert answer_to(altered, reader, [Candidate(binding)]) is Answer.NOT_AUTHENTIC


@pytest.mark.parametrize("cut", [1, 32, 64, 128])
def test_a_signed_envelope_that_was_cut_is_malformed(
    sealed_and_signed: Callable[[Level], bytes], reader: KeySet, binding: Binding, cut: int
) -> None:
    truncated = sealed_and_signed(Level.CHANNEL)[:-cut]

    assert answer_to(truncated, reader, [Candidate(binding)]) is Answer.MALFORMED


def test_a_signed_envelope_does_not_move_to_another_channel(
    sealed_and_signed: Callable[[Level], bytes], reader: KeySet, binding: Binding
) -> None:
    elsewhere = Candidate(binding._replace(channel="refunds"), signed=True)

    assert answer_to(sealed_and_signed(Level.CHANNEL), reader, [elsewhere]) is Answer.NOT_AUTHENTIC


def test_the_signature_of_another_envelope_or_another_sender_is_not_authentic(
    sealed_and_signed: Callable[[Level], bytes], root: bytes, reader: KeySet, binding: Binding
) -> None:
    envelope, other = (sealed_and_signed(Level.CHANNEL) for _ in range(2))
    billing = derive_signing_key(root, "acme", "billing")

    for signature in (other[-64:], billing.sign(envelope[:-64])):
        spliced = envelope[:-64] + signature
        assert answer_to(spliced, reader, [Candidate(binding)]) is Answer.NOT_AUTHENTIC


def test_the_key_is_unknown_where_nothing_is_held_that_checks_its_signatures(
    sealed_and_signed: Callable[[Level], bytes], key: SenderKey, binding: Binding
) -> None:
    envelope = sealed_and_signed(Level.CHANNEL)

    for signed in (True, False):
        candidates = [Candidate(binding, Level.MESSAGE, signed=signed)]
        assert answer_to(envelope, KeySet([key]), candidates) is Answer.UNKNOWN_KEY
    assert answer_to(envelope, KeySet([key], [key.kid]), [Candidate(binding)]) is Answer.REVOKED_KEY


def test_each_candidate_says_for_itself_whether_it_asks_for_a_signature(
    forge: Callable[..., bytes], reader: KeySet, binding: Binding
) -> None:
    strict = Candidate(binding, signed=True)
    lax = Candidate(binding._replace(channel="legacy"))

    opened = Opener().open(forge(lax.binding, None), reader, [strict, lax])

    assert opened.candidate == 1
    assert answer_to(forge(strict.binding, None), reader, [strict, lax]) is Answer.NOT_AUTHENTIC


def test_an_authentic_and_signed_plaintext_of_another_form_is_malformed(
    signing: SenderKey, reader: KeySet, binding: Binding
) -> None:
    assert signing.signing is not None
    head = b"\x12\x01" + signing.kid
    bound = associated_data(head, signing.tenant, signing.sender, Level.CHANNEL, binding)
    sealed = head + bytes(24) + signing.xaes.seal(bytes(24), bytes(64), bound)

    unsigned, signed = sealed + bytes(64), sealed + signing.signing.sign(sealed)

    assert answer_to(unsigned, reader, [Candidate(binding)]) is Answer.NOT_AUTHENTIC
    assert answer_to(signed, reader, [Candidate(binding)]) is Answer.MALFORMED


def test_a_subkey_is_kept_only_once_the_signature_has_verified(
    forge: Callable[..., bytes],
    sealed_and_signed: Callable[[Level], bytes],
    reader: KeySet,
    binding: Binding,
    derived: list[bytes],
) -> None:
    forged, genuine = forge(binding, SigningKey(bytes(32))), sealed_and_signed(Level.CHANNEL)
    derived.clear()
    opener = Opener()

    for _ in range(2):
        answer_to(forged, reader, [Candidate(binding)], opener)
    for _ in range(2):
        opener.open(genuine, reader, [Candidate(binding, signed=True)])

    assert derived == [forged[18:30], forged[18:30], genuine[18:30]]


def test_who_has_no_key_does_not_get_a_signature_looked_at(
    sealed_and_signed: Callable[[Level], bytes],
    reader: KeySet,
    binding: Binding,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bytes] = []
    monkeypatch.setattr(VerificationKey, "verify", lambda _self, signature, _signed: looked.append(signature))
    envelope = sealed_and_signed(Level.CHANNEL)
    altered = envelope[:42] + bytes(16) + envelope[58:]

    assert answer_to(altered, reader, [Candidate(binding, signed=True)]) is Answer.NOT_AUTHENTIC
    assert looked == []
    Opener().open(envelope, reader, [Candidate(binding, signed=True)])
    assert looked == [envelope[-64:]]


def test_no_answer_shows_a_byte_of_a_signature(
    forge: Callable[..., bytes],
    reader: KeySet,
    binding: Binding,
    assert_silent: Callable[[BaseException, str | bytes], None],
) -> None:
    forged = forge(binding, SigningKey(bytes(32)))

    with pytest.raises(EnvelopeError) as refusal:
        Opener().open(forged, reader, [Candidate(binding, signed=True)])

    assert_silent(refusal.value, forged[-64:-60])
