#!/usr/bin/env python3
"""Writes envelope-v1-suite2.json: what suite 2 adds to the scenarios of `generate.py`, which lies beside it.

`python generate_suite2.py` writes the file, `python generate_suite2.py --check` exits 1 where it is not up to
date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import generate as suite_1
from generate import (
    BINDING,
    BODY_DIGEST,
    CONTEXT,
    MALFORMED,
    NOT_AUTHENTIC,
    REVOKED,
    ROOT,
    UNKNOWN,
    UNSUPPORTED,
    Scenario,
    fields,
    filled,
    nonce_for,
    opened,
    pad,
)

from interceptors.envelope import Binding, Level, SenderKey, derive_sender_key, derive_signing_key
from interceptors.envelope.binding import associated_data
from interceptors.envelope.format import PLAINTEXT_SIZES
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.context import TraceContext

NEXT_ROOT = bytes(range(32, 64))
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group that Ed25519 signs in (RFC 8032, section 5.1)."""


def own(sender: str = "checkout", root: bytes = ROOT) -> SenderKey:
    """A key as its sender has it."""
    key = derive_sender_key(root, "acme", sender)
    return SenderKey("acme", sender, key.key, signing=derive_signing_key(root, "acme", sender))


KEY = own()
BILLING = own("billing")
UNVERIFIABLE = suite_1.KEY
"""The same key in the hands of a receiver that can't check its signatures."""


def seal(
    name: str,
    *,
    level: Level = Level.CHANNEL,
    context: TraceContext = CONTEXT,
    key: SenderKey = KEY,
    binding: Binding = BINDING,
) -> bytes:
    """An envelope as the library seals and signs it."""
    return suite_1.seal(name, level=level, context=context, key=key, binding=binding, signed=True)


def sign(envelope: bytes, key: SenderKey = KEY) -> bytes:
    """The same with a signature."""
    if key.signing is None:
        raise ValueError(key)
    return envelope + key.signing.sign(envelope)


def seal_bytes(name: str, plaintext: bytes, first: bytes = b"\x12\x01") -> bytes:
    """An envelope at level 1 around any plaintext, under any first two bytes, before it is signed."""
    nonce = nonce_for(name)
    head = first + KEY.kid
    bound = associated_data(head, KEY.tenant, KEY.sender, Level.CHANNEL, BINDING)
    return head + nonce + KEY.xaes.seal(nonce, plaintext, bound)


def valid(
    name: str,
    comment: str,
    *,
    level: Level = Level.CHANNEL,
    context: TraceContext = CONTEXT,
    key: SenderKey = KEY,
    root: bytes = ROOT,
    binding: Binding = BINDING,
) -> Scenario:
    """A scenario that holds in both directions, at a receiver that asks for a signature."""
    source = {
        "root": root.hex(),
        "nonce": nonce_for(name).hex(),
        "level": int(level),
        "signing_seed": derive_signing_key(root, key.tenant, key.sender).seed().hex(),
    }
    return Scenario(
        name,
        comment,
        seal(name, level=level, context=context, key=key, binding=binding),
        keys=(key,),
        binding=binding,
        lowest_level=level,
        opened=opened(context, key=key),
        sealed_from=source,
        signed=True,
    )


def refused(name: str, comment: str, envelope: bytes, expect: str = NOT_AUTHENTIC) -> Scenario:
    """A scenario that fails at a receiver that asks for a signature."""
    return Scenario(name, comment, envelope, expect, keys=(KEY,), signed=True)


def keys() -> Iterator[Scenario]:
    """The section "Keys"."""
    name = "key-spiffe-sender"
    spiffe = own("spiffe://example.com/checkout")
    yield valid(name, "a sender may be a SPIFFE id", key=spiffe)
    name = "key-next-epoch"
    yield valid(name, "another root gives another signing key", key=own(root=NEXT_ROOT), root=NEXT_ROOT)
    name = "key-one-of-several"
    yield valid(name, "the kid picks both keys")._replace(keys=(BILLING, KEY))
    for wanted, ending in ((True, ""), (False, "-not-asked-for")):
        name = f"key-without-verify-key{ending}"
        comment = "the sender's key is held, and nothing to check its signatures with"
        yield Scenario(name, comment, seal(name), UNKNOWN, keys=(UNVERIFIABLE,), signed=wanted)
    name = "key-not-held"
    yield refused(name, "no key is held", seal(name), UNKNOWN)._replace(keys=())
    name = "key-revoked"
    yield refused(name, "nothing opens under a revoked kid", seal(name), REVOKED)._replace(revoked=(KEY,))
    name = "key-names-changed"
    renamed = SenderKey("acme", "billing", KEY.key, verification=KEY.verification)
    yield refused(name, "the same keys held under another name", seal(name))._replace(keys=(renamed,))


def suites() -> Iterator[Scenario]:
    """Which suite a receiver takes."""
    name = "signed-not-asked-for"
    yield valid(name, "a receiver that asks for no signature takes one")._replace(signed=False)
    name = "signed-not-asked-for-and-wrong"
    altered = seal(name)[:-1] + b"\0"
    yield refused(name, "a signature counts whether or not it is asked for", altered)._replace(signed=False)
    name = "suite-1-where-signed"
    envelope = suite_1.seal(name)
    yield refused(name, "authentic, but in suite 1, where a signature is asked for", envelope)
    name = "suite-1-where-not-signed"
    envelope = suite_1.seal(name)
    yield Scenario(
        name, "the keys that check signatures open suite 1 too", envelope, keys=(KEY,), opened=opened(CONTEXT)
    )
    for first in (0x02, 0x10, 0x13, 0x22, 0x92):
        name = f"version-{first:02x}"
        envelope = sign(seal_bytes(name, pad(fields()), bytes((first, Level.CHANNEL))))
        yield refused(name, "sealed and signed rightly under another first byte", envelope, UNSUPPORTED)
    name = "suite-byte-to-1"
    comment = "as long as n = 128 of suite 1; the suite is authenticated"
    yield refused(name, comment, b"\x11" + seal(name)[1:])._replace(signed=False)
    name = "suite-byte-to-1-no-such-length"
    envelope = b"\x11" + seal(name, context=filled(90))[1:]
    yield refused(name, "n = 160 in suite 1", envelope, MALFORMED)
    name = "suite-byte-to-1-signature-stripped"
    comment = "the suite is authenticated, so what is left is none of suite 1"
    yield refused(name, comment, b"\x11" + seal(name)[1:-64])._replace(signed=False)
    name = "suite-byte-to-2"
    labelled = filled(127)
    yield refused(
        name, "n = 128 of suite 1, as long as n = 64", b"\x12" + suite_1.seal(name, context=labelled)[1:]
    )
    name = "suite-byte-to-2-and-signed"
    comment = "an envelope of suite 1 with a signature after it: the suite is authenticated"
    yield refused(name, comment, sign(b"\x12" + suite_1.seal(name)[1:]))


def sizes() -> Iterator[Scenario]:
    """Each n, at its fullest, and one byte less and more."""
    for n in PLAINTEXT_SIZES:
        yield valid(f"size-{n}", f"the mark is the last byte of n = {n}", context=filled(n - 1))
        name = f"length-{n}-one-less"
        whole = seal(name, context=filled(n - 1))
        yield refused(name, "the last byte is cut off", whole[:-1], MALFORMED)
        yield refused(f"length-{n}-one-more", "a byte follows the signature", whole + b"\0", MALFORMED)
    yield refused("length-1", "the first byte alone", b"\x12", MALFORMED)
    yield refused("length-1025", "longer than 1024 bytes", b"\x12" + bytes(1024), MALFORMED)
    name = "length-no-signature"
    yield refused(name, "the signature is cut off", seal(name)[:-64], MALFORMED)
    name = "length-two-signatures"
    whole = seal(name)
    yield refused(name, "the signature twice, which makes n = 128", whole + whole[-64:])
    name = "binding-byte-05"
    envelope = sign(seal_bytes(name, pad(fields()), b"\x12\x05"))
    yield refused(name, "level 1 with bit 2, sealed and signed rightly otherwise", envelope, MALFORMED)


def levels() -> Iterator[Scenario]:
    """Each level, what is bound, and the lowest that a receiver accepts."""
    labelled = CONTEXT._replace(labels={"region": "eu", "retry": 1})
    for level in Level:
        name = f"level-{level}-{level.name.lower()}"
        yield valid(name, "accepted down to this very level", level=level)
        yield valid(f"{name}-labels", "with labels", level=level, context=labelled)
    nobody = Binding("orders", "", "", BODY_DIGEST)
    yield valid("level-3-no-type-no-id", "a bus without types and ids", level=Level.MESSAGE, binding=nobody)
    name = "lowest-level-2-got-1"
    comment = "authentic, but bound less tightly than the receiver accepts"
    yield refused(name, comment, seal(name))._replace(lowest_level=Level.TYPE)
    for level, field, binding in (
        (Level.CHANNEL, "channel", BINDING._replace(channel="refunds")),
        (Level.TYPE, "type", BINDING._replace(type="order.deleted")),
        (Level.MESSAGE, "message-id", BINDING._replace(message_id="m-2")),
        (Level.MESSAGE, "body-digest", BINDING._replace(body_digest=b"")),
    ):
        name = f"binding-{field}-changed"
        envelope = seal(name, level=level)
        yield refused(name, "moved, with its signature", envelope)._replace(binding=binding)


def forgeries() -> Iterator[Scenario]:
    """What somebody makes who may open the sender's envelopes, and so has what seals them."""
    stranger = SigningKey(bytes(range(64, 96)))
    name = "forged-by-a-reader"
    claimed = SenderKey("acme", "checkout", KEY.key, signing=stranger)
    yield refused(name, "sealed rightly, and signed with a key of the reader's own", seal(name, key=claimed))
    name = "signature-of-another-sender"
    yield refused(
        name, "signed by another sender whose key is held", sign(seal(name)[:-64], BILLING)
    )._replace(keys=(KEY, BILLING))
    name = "signature-of-another-epoch"
    yield refused(
        name, "signed with the sender's key of another epoch", sign(seal(name)[:-64], own(root=NEXT_ROOT))
    )
    name = "signature-of-another-envelope"
    spliced = seal(name)[:-64] + seal(f"{name}-2")[-64:]
    yield refused(name, "a signature that the sender has made, of another envelope", spliced)
    name = "signature-zeros"
    yield refused(name, "64 zeros", seal(name)[:-64] + bytes(64))
    name = "signature-of-suite-1"
    unsigned = seal(name)[:-64]
    forged = unsigned + sign(b"\x11" + unsigned[1:])[-64:]
    yield refused(name, "a signature of the same bytes, but for the first", forged)
    name = "signature-of-the-ciphertext"
    forged = unsigned + sign(unsigned[42:])[-64:]
    yield refused(name, "a signature of ciphertext and tag alone", forged)
    name = "signature-malleable"
    whole = seal(name)
    scalar = int.from_bytes(whole[-32:], "little") + ORDER
    forged = whole[:-32] + scalar.to_bytes(32, "little")
    yield refused(name, "S is not less than the group's order (RFC 8032, section 5.1.7)", forged)
    name = "ciphertext-sealed-anew"
    whole = seal(name)
    other = seal(name, context=CONTEXT._replace(flags=0))
    yield refused(
        name,
        "another plaintext, sealed with the same nonce, and the old signature",
        other[:-64] + whole[-64:],
    )


def alterations() -> Iterator[Scenario]:
    """One bit changed in each field."""
    for field, place, expect in (
        ("kid-first", 2, UNKNOWN),
        ("kid-last", 17, UNKNOWN),
        ("salt-first", 18, NOT_AUTHENTIC),
        ("nonce-last", 41, NOT_AUTHENTIC),
        ("ciphertext-first", 42, NOT_AUTHENTIC),
        ("ciphertext-last", -81, NOT_AUTHENTIC),
        ("tag-first", -80, NOT_AUTHENTIC),
        ("tag-last", -65, NOT_AUTHENTIC),
        ("signature-first", -64, NOT_AUTHENTIC),
        ("signature-middle", -32, NOT_AUTHENTIC),
        ("signature-last", -1, NOT_AUTHENTIC),
    ):
        name = f"altered-{field}"
        envelope = bytearray(seal(name))
        envelope[place] ^= 0x02
        yield refused(name, "one bit is another", bytes(envelope), expect)
    for before, after in ((Level.CHANNEL, Level.TENANT), (Level.CHANNEL, Level.TYPE)):
        name = f"altered-level-{before}-to-{after}"
        envelope = bytearray(seal(name))
        envelope[1] = after
        yield refused(name, "the level is authenticated", bytes(envelope))
    name = "altered-kid-to-another-held"
    whole = seal(name)
    spliced = whole[:2] + BILLING.kid + whole[18:]
    yield refused(name, "the kid of another held key", spliced)._replace(keys=(KEY, BILLING))


def order() -> Iterator[Scenario]:
    """Two things wrong at once: the one that the page names first is the answer."""
    name = "order-length-before-revoked"
    yield refused(name, "a byte short, and revoked", seal(name)[:-1], MALFORMED)._replace(revoked=(KEY,))
    name = "order-revoked-before-verify-key"
    comment = "revoked, and nothing to check signatures with"
    yield refused(name, comment, seal(name), REVOKED)._replace(keys=(UNVERIFIABLE,), revoked=(UNVERIFIABLE,))
    name = "order-revoked-before-signature"
    altered = seal(name)[:-1] + b"\0"
    yield refused(name, "revoked, and the signature is wrong", altered, REVOKED)._replace(revoked=(KEY,))
    name = "order-verify-key-before-lowest-level"
    comment = "nothing to check signatures with, and bound too loosely"
    yield refused(name, comment, seal(name), UNKNOWN)._replace(keys=(UNVERIFIABLE,), lowest_level=Level.TYPE)
    name = "order-lowest-level-before-plaintext"
    comment = "bound too loosely, and no plaintext of ours"
    envelope = sign(seal_bytes(name, bytes(64)))
    yield refused(name, comment, envelope)._replace(lowest_level=Level.TYPE)
    name = "order-suite-before-plaintext"
    comment = "suite 1 where a signature is asked for, and no plaintext of ours"
    yield refused(name, comment, suite_1.seal_bytes(name, bytes(64)))
    name = "order-signature-before-plaintext"
    comment = "the signature is wrong, and no plaintext of ours"
    yield refused(name, comment, seal_bytes(name, bytes(64)) + bytes(64))
    name = "order-tag-before-plaintext"
    comment = "signed rightly, another channel, and no plaintext of ours"
    envelope = sign(seal_bytes(name, bytes(64)))
    yield refused(name, comment, envelope)._replace(binding=BINDING._replace(channel="refunds"))
    name = "plaintext-all-zero"
    envelope = sign(seal_bytes(name, bytes(64)))
    yield refused(name, "sealed and signed rightly, and no plaintext of ours", envelope, MALFORMED)
    name = "plaintext-flags-4"
    envelope = sign(seal_bytes(name, pad(fields(flags=b"\x04"))))
    yield refused(name, "sealed and signed rightly, bit 2 of the flags", envelope, MALFORMED)


if __name__ == "__main__":
    every = (keys, suites, sizes, levels, forgeries, alterations, order)
    sys.exit(suite_1.main(sys.argv[1:], Path(__file__).with_name("envelope-v1-suite2.json"), every))
