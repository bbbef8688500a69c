#!/usr/bin/env python3
"""Writes envelope-v1.json: scenarios for each rule of the page `envelope-v1.md`.

`python generate.py` writes the file, `python generate.py --check` exits 1 where it is not up to date. All is
fixed, so that each run gives the same bytes. What the library seals comes from its `Sealer`; what it would
never seal is put together here, byte by byte, and sealed with the same cipher.
"""

from __future__ import annotations

import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgpack

from interceptors.context import TraceContext
from interceptors.envelope import Binding, Level, Sealer, SenderKey, derive_sender_key
from interceptors.envelope.binding import associated_data
from interceptors.envelope.format import PLAINTEXT_SIZES, prefix
from interceptors.envelope.plaintext import LABEL_VALUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from interceptors.context import Label

ROOT = bytes(range(32))
KEY = derive_sender_key(ROOT, "acme", "checkout")
BILLING = derive_sender_key(ROOT, "acme", "billing")
NEXT_EPOCH = derive_sender_key(bytes(range(32, 64)), "acme", "checkout")
BODY_DIGEST = sha256(b"body").digest()
BINDING = Binding("orders", "order.created", "m-1", BODY_DIGEST)
ISSUED_AT = 1_790_000_000_000
TRACE_ID = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
SPAN_ID = bytes.fromhex("00f067aa0ba902b7")
CONTEXT = TraceContext(TRACE_ID, SPAN_ID)

LABEL_FRAME = 4
"""What a label takes beside a value of type bin: a name of one letter, and two heads."""

MALFORMED = "malformed"
UNSUPPORTED = "unsupported version"
UNKNOWN = "unknown key"
REVOKED = "revoked key"
NOT_AUTHENTIC = "not authentic"


class Scenario(NamedTuple):
    """One object of the file, before its bytes become hex."""

    name: str
    comment: str
    envelope: bytes
    expect: str = "ok"
    keys: tuple[SenderKey, ...] = (KEY,)
    revoked: tuple[SenderKey, ...] = ()
    binding: Binding = BINDING
    lowest_level: Level = Level.TENANT
    opened: dict[str, Any] | None = None
    sealed_from: dict[str, Any] | None = None
    signed: bool = False

    def document(self) -> dict[str, Any]:
        """Give the scenario as the file has it."""
        document: dict[str, Any] = {
            "name": self.name,
            "comment": self.comment,
            "keys": [
                {
                    "tenant": k.tenant,
                    "sender": k.sender,
                    "sender_key": k.key.hex(),
                    **({"verify_key": k.verification.raw.hex()} if k.verification else {}),
                    "revoked": k in self.revoked,
                }
                for k in self.keys
            ],
            "receiver": {
                "channel": self.binding.channel,
                "type": self.binding.type,
                "message_id": self.binding.message_id,
                "body_digest": self.binding.body_digest.hex(),
                "lowest_level": int(self.lowest_level),
                **({"signed": True} if self.signed else {}),
            },
            "envelope": self.envelope.hex(),
            "expect": self.expect,
        }
        if self.opened is not None:
            document["opened"] = self.opened
        if self.sealed_from is not None:
            document["sealed_from"] = self.sealed_from
        return document


# --- what a scenario is made of ---------------------------------------------------------------------------


def nonce_for(name: str) -> bytes:
    """A nonce of the scenario's own."""
    return sha256(name.encode()).digest()[:24]


def opened(context: TraceContext, issued_at: int = ISSUED_AT, key: SenderKey = KEY) -> dict[str, Any]:
    """What a receiver has read."""
    return {
        "tenant": key.tenant,
        "sender": key.sender,
        "trace_id": context.trace_id.hex(),
        "span_id": context.span_id.hex(),
        "flags": context.flags,
        "issued_at": issued_at,
        "labels": {n: {"bin": v.hex()} if isinstance(v, bytes) else v for n, v in context.labels.items()},
    }


def seal(
    name: str,
    *,
    level: Level = Level.CHANNEL,
    binding: Binding = BINDING,
    context: TraceContext = CONTEXT,
    issued_at: int = ISSUED_AT,
    key: SenderKey = KEY,
    signed: bool = False,
) -> bytes:
    """An envelope as the library seals it."""
    sealer = Sealer(key, rng=io.BytesIO(nonce_for(name)).read)
    sealed = sealer.seal(context, level, binding, issued_at, signed=signed)
    if sealed.labels_left_out:
        raise ValueError(name)
    return sealed.envelope


def valid(
    name: str,
    comment: str,
    *,
    level: Level = Level.CHANNEL,
    binding: Binding = BINDING,
    context: TraceContext = CONTEXT,
    issued_at: int = ISSUED_AT,
    key: SenderKey = KEY,
    root: bytes = ROOT,
    lowest_level: Level = Level.TENANT,
) -> Scenario:
    """A scenario that holds in both directions, opening and sealing."""
    return Scenario(
        name,
        comment,
        seal(name, level=level, binding=binding, context=context, issued_at=issued_at, key=key),
        keys=(key,),
        binding=binding,
        lowest_level=lowest_level,
        opened=opened(context, issued_at, key),
        sealed_from={"root": root.hex(), "nonce": nonce_for(name).hex(), "level": int(level)},
    )


def seal_bytes(name: str, plaintext: bytes, first: bytes | None = None) -> bytes:
    """An envelope at level 1 around any plaintext, under any first two bytes."""
    nonce = nonce_for(name)
    head = prefix(Level.CHANNEL, KEY.kid) if first is None else first + KEY.kid
    bound = associated_data(head, KEY.tenant, KEY.sender, Level.CHANNEL, BINDING)
    return head + nonce + KEY.xaes.seal(nonce, plaintext, bound)


def pad(packed: bytes) -> bytes:
    """Pad as the page says."""
    return (packed + b"\x80").ljust(next(n for n in PLAINTEXT_SIZES if n > len(packed)), b"\0")


def pack(value: object) -> bytes:
    """MessagePack, in the shortest forms."""
    packed: bytes = msgpack.packb(value)
    return packed


def fields(
    *,
    array: bytes = b"\x95",
    trace_id: bytes = pack(TRACE_ID),
    span_id: bytes = pack(SPAN_ID),
    flags: bytes = pack(3),
    issued_at: bytes = pack(ISSUED_AT),
    labels: bytes = pack({}),
) -> bytes:
    """The MessagePack array, each part given as bytes."""
    return array + trace_id + span_id + flags + issued_at + labels


def one_label(name: bytes, value: bytes) -> bytes:
    """The array with one label."""
    return fields(labels=b"\x81" + name + value)


def filled(size: int) -> TraceContext:
    """A context whose labels make the array exactly so long."""
    labels: dict[str, Label] = {}
    missing = size - len(fields())
    while missing:
        taken = min(missing, LABEL_FRAME + LABEL_VALUE_LIMIT)
        if 0 < missing - taken < LABEL_FRAME:
            taken -= LABEL_FRAME
        labels["abcdefg"[len(labels)]] = b"x" * (taken - LABEL_FRAME)
        missing -= taken
    return CONTEXT._replace(labels=labels)


# --- the scenarios, in the order of the page ---------------------------------------------------------------


def keys() -> Iterator[Scenario]:
    """The section "Keys"."""
    spiffe = derive_sender_key(ROOT, "acme", "spiffe://example.com/checkout")
    yield valid("key-spiffe-sender", "a sender may be a SPIFFE id", key=spiffe)
    unicode_key = derive_sender_key(ROOT, "Ä Gmbh", "bestellung-ü")
    yield valid("key-names-not-ascii", "lengths count the bytes of UTF-8, not characters", key=unicode_key)
    yield valid(
        "key-next-epoch", "another root gives another key and kid", key=NEXT_EPOCH, root=bytes(range(32, 64))
    )
    name = "key-one-of-several"
    yield valid(name, "the kid picks the key")._replace(keys=(BILLING, NEXT_EPOCH, KEY))
    name = "unknown-no-keys"
    yield Scenario(name, "no key is held", seal(name), UNKNOWN, keys=())
    name = "unknown-other-sender"
    yield Scenario(name, "another sender's key is held", seal(name), UNKNOWN, keys=(BILLING,))
    name = "unknown-other-epoch"
    yield Scenario(name, "the same sender's key of another epoch", seal(name), UNKNOWN, keys=(NEXT_EPOCH,))
    name = "revoked-key"
    yield Scenario(name, "nothing opens under a revoked kid", seal(name), REVOKED, revoked=(KEY,))
    name = "revoked-other-key"
    yield valid(name, "another key is revoked, not this one")._replace(
        keys=(KEY, BILLING), revoked=(BILLING,)
    )
    for field, other in (
        ("tenant", SenderKey("globex", "checkout", KEY.key)),
        ("sender", SenderKey("acme", "billing", KEY.key)),
    ):
        name = f"key-{field}-changed"
        comment = f"the same key bytes, and so the same kid, held under another {field}"
        for level in Level:
            full = f"{name}-level-{level}"
            yield Scenario(full, comment, seal(full, level=level), NOT_AUTHENTIC, keys=(other,))
    name = "key-names-boundary-moved"
    moved = SenderKey("acmec", "heckout", KEY.key)
    yield Scenario(name, "tenant and sender run together alike", seal(name), NOT_AUTHENTIC, keys=(moved,))


def sizes() -> Iterator[Scenario]:
    """Each n, at its least and at its fullest."""
    shorter = len(fields())
    for n in PLAINTEXT_SIZES:
        yield valid(f"size-{n}-least", f"the shortest array that needs n = {n}", context=filled(shorter))
        yield valid(f"size-{n}-full", f"the mark is the last byte of n = {n}", context=filled(n - 1))
        shorter = n


def lengths() -> Iterator[Scenario]:
    """Lengths that the table rules out, and the order of the first three steps."""
    for n in PLAINTEXT_SIZES:
        name = f"length-{n}-one-less"
        whole = seal(name, context=filled(n - 1))
        yield Scenario(name, "the last byte is cut off", whole[:-1], MALFORMED)
        yield Scenario(f"length-{n}-one-more", "a byte follows the tag", whole + b"\0", MALFORMED)
    for n in (0, 32, 63, 65, 160, 544, 966):
        name = f"length-n-{n}"
        yield Scenario(
            name, f"sealed rightly, but n = {n} is not allowed", seal_bytes(name, bytes(n)), MALFORMED
        )
    yield Scenario("length-0", "empty", b"", MALFORMED)
    yield Scenario("length-1", "the first byte alone", b"\x11", MALFORMED)
    yield Scenario("length-head-only", "no ciphertext, no tag", seal("length-head-only")[:42], MALFORMED)
    yield Scenario("length-1025", "longer than 1024 bytes", b"\x11" + bytes(1024), MALFORMED)


def first_bytes() -> Iterator[Scenario]:
    """Version, suite and binding level."""
    for first in (0x00, 0x01, 0x10, 0x13, 0x1F, 0x21, 0x22, 0x91, 0xFF):
        name = f"version-{first:02x}"
        envelope = seal_bytes(name, pad(fields()), bytes((first, Level.CHANNEL)))
        yield Scenario(name, "sealed rightly under another first byte", envelope, UNSUPPORTED)
    for second, why in (
        (0x04, "level 4: bit 2 is set"),
        (0x05, "level 1 with bit 2"),
        (0x81, "level 1 with the highest bit"),
        (0xFF, "all bits"),
    ):
        name = f"binding-byte-{second:02x}"
        envelope = seal_bytes(name, pad(fields()), bytes((0x11, second)))
        yield Scenario(name, f"{why}, sealed rightly otherwise", envelope, MALFORMED)


def levels() -> Iterator[Scenario]:
    """Each level, what it binds, what it leaves open, and the lowest that a receiver accepts."""
    labelled = CONTEXT._replace(labels={"region": "eu", "retry": 1})
    for level in Level:
        name = f"level-{level}-{level.name.lower()}"
        yield valid(name, "accepted down to this very level", level=level, lowest_level=level)
        yield valid(f"{name}-labels", "with labels", level=level, lowest_level=level, context=labelled)
        for lowest in Level:
            if lowest > level:
                name = f"lowest-level-{lowest}-got-{level}"
                comment = "authentic, but bound less tightly than the receiver accepts"
                yield Scenario(name, comment, seal(name, level=level), NOT_AUTHENTIC, lowest_level=lowest)
    yield from bindings()
    nobody = Binding("orders", "", "", BODY_DIGEST)
    yield valid("level-3-no-type-no-id", "a bus without types and ids", level=Level.MESSAGE, binding=nobody)
    no_type = Binding("orders")
    yield valid("level-2-no-type", "a bus without types", level=Level.TYPE, binding=no_type)
    task = Binding("orders", "shop.tasks.pay", "0d9b2f3e-5d35-4a53-8f5e-5b8c1c3f0f4e", BODY_DIGEST)
    yield valid("level-3-celery", "a task's name, id and body", level=Level.MESSAGE, binding=task)
    yield valid(
        "level-3-no-body",
        "a name and an id, and no body",
        level=Level.MESSAGE,
        binding=task._replace(body_digest=b""),
    )
    long = Binding("c" * 0x100, "t" * 0x12C)
    yield valid(
        "level-2-long-names", "lengths take two bytes, the high one first", level=Level.TYPE, binding=long
    )
    tombstone = Binding("orders")
    empty = Binding("orders", body_digest=sha256(b"").digest())
    comment = (
        "no body at all (Kafka's null value, a tombstone) has an empty digest, while a body of no bytes has "
        "the SHA-256 of no bytes"
    )
    yield valid("level-3-tombstone", comment, level=Level.MESSAGE, binding=tombstone)
    yield valid("level-3-empty-body", comment, level=Level.MESSAGE, binding=empty)
    for name, before, after in (
        ("binding-3-tombstone-got-empty-body", tombstone, empty),
        ("binding-3-empty-body-got-tombstone", empty, tombstone),
    ):
        envelope = seal(name, level=Level.MESSAGE, binding=before)
        yield Scenario(name, comment, envelope, NOT_AUTHENTIC, binding=after)


def bindings() -> Iterator[Scenario]:
    """Each part of the binding changed, at each level."""
    changed = {
        "channel": BINDING._replace(channel="refunds"),
        "type": BINDING._replace(type="order.deleted"),
        "message_id": BINDING._replace(message_id="m-2"),
        "body_digest": BINDING._replace(body_digest=sha256(b"Body").digest()),
    }
    bound_from = {"channel": 1, "type": 2, "message_id": 3, "body_digest": 3}
    for level in Level:
        for field, binding in changed.items():
            name = f"binding-{level}-{field.replace('_', '-')}-changed"
            if level >= bound_from[field]:
                comment = f"{field} is bound at this level"
                yield Scenario(name, comment, seal(name, level=level), NOT_AUTHENTIC, binding=binding)
            else:
                comment = f"{field} is not bound at this level"
                envelope = seal(name, level=level)
                yield Scenario(name, comment, envelope, binding=binding, opened=opened(CONTEXT))
    for name, level, before, after in (
        ("channel-type", Level.TYPE, Binding("orders", "x"), Binding("order", "sx")),
        ("type-id", Level.MESSAGE, Binding("orders", "ab", "c"), Binding("orders", "a", "bc")),
        ("id-digest", Level.MESSAGE, Binding("c", "", "ab", b"c"), Binding("c", "", "a", b"bc")),
    ):
        full = f"binding-{name}-boundary-moved"
        envelope = seal(full, level=level, binding=before)
        yield Scenario(full, "the two run together alike", envelope, NOT_AUTHENTIC, binding=after)


def alterations() -> Iterator[Scenario]:
    """One bit changed in each field, and fields of another envelope put in their place."""
    for field, place, expect in (
        ("version", 0, UNSUPPORTED),
        ("kid-first", 2, UNKNOWN),
        ("kid-last", 17, UNKNOWN),
        ("salt-first", 18, NOT_AUTHENTIC),
        ("salt-last", 29, NOT_AUTHENTIC),
        ("nonce-first", 30, NOT_AUTHENTIC),
        ("nonce-last", 41, NOT_AUTHENTIC),
        ("ciphertext-first", 42, NOT_AUTHENTIC),
        ("ciphertext-padding", -17, NOT_AUTHENTIC),
        ("tag-first", -16, NOT_AUTHENTIC),
        ("tag-last", -1, NOT_AUTHENTIC),
    ):
        name = f"altered-{field}"
        envelope = bytearray(seal(name))
        envelope[place] ^= 0x02
        yield Scenario(name, "one bit is another", bytes(envelope), expect)
    for before in Level:
        for after in Level:
            if after is not before:
                name = f"altered-level-{before}-to-{after}"
                envelope = bytearray(seal(name, level=before))
                envelope[1] = after
                yield Scenario(name, "the level is authenticated", bytes(envelope), NOT_AUTHENTIC)
    name = "altered-kid-to-another-held"
    whole = seal(name)
    spliced = whole[:2] + BILLING.kid + whole[18:]
    yield Scenario(name, "the kid of another held key", spliced, NOT_AUTHENTIC, keys=(KEY, BILLING))
    name = "altered-ciphertext-of-another"
    spliced = seal(name)[:42] + seal(f"{name}-2")[42:]
    yield Scenario(name, "ciphertext and tag of another envelope", spliced, NOT_AUTHENTIC)


def order() -> Iterator[Scenario]:
    """Two things wrong at once: the one that the page names first is the answer."""
    yield Scenario("order-too-long-before-version", "1025 bytes and 0x13", b"\x13" + bytes(1024), MALFORMED)
    yield Scenario("order-version-before-length", "0x13 alone", b"\x13", UNSUPPORTED)
    yield Scenario(
        "order-version-at-1024", "0x13 and 1024 bytes, the most", b"\x13" + bytes(1023), UNSUPPORTED
    )
    yield Scenario("order-version-before-level", "0x13 and level 4", b"\x13\x04" + bytes(120), UNSUPPORTED)
    name = "order-length-before-revoked"
    yield Scenario(name, "a byte short, and revoked", seal(name)[:-1], MALFORMED, revoked=(KEY,))
    name = "order-level-before-unknown"
    envelope = seal_bytes(name, pad(fields()), b"\x11\x04")
    yield Scenario(name, "level 4, and no key held", envelope, MALFORMED, keys=())
    name = "order-revoked-before-lowest-level"
    yield Scenario(
        name, "revoked, and bound too loosely", seal(name), REVOKED, revoked=(KEY,), lowest_level=Level.TYPE
    )
    name = "order-revoked-before-tag"
    yield Scenario(name, "revoked, and the tag is wrong", seal(name)[:-1] + b"\0", REVOKED, revoked=(KEY,))
    name = "order-unknown-before-lowest-level"
    yield Scenario(
        name, "no key held, and bound too loosely", seal(name), UNKNOWN, keys=(), lowest_level=Level.TYPE
    )
    name = "order-lowest-level-before-plaintext"
    envelope = seal_bytes(name, bytes(64))
    comment = "bound too loosely, and no plaintext of ours"
    yield Scenario(name, comment, envelope, NOT_AUTHENTIC, lowest_level=Level.TYPE)
    name = "order-tag-before-plaintext"
    envelope = seal_bytes(name, bytes(64))
    comment = "another channel, and no plaintext of ours"
    yield Scenario(name, comment, envelope, NOT_AUTHENTIC, binding=BINDING._replace(channel="refunds"))


def plaintexts() -> Iterator[Scenario]:
    """Authentic envelopes around plaintexts that the page allows, and that it does not."""
    for flags in range(4):
        context = CONTEXT._replace(flags=flags)
        yield valid(f"flags-{flags}", "bit 0 sampled, bit 1 random trace id", context=context)
    for issued_at in (
        1,
        0x7F,
        0x80,
        0xFF,
        0x100,
        0xFFFF,
        0x1_0000,
        0xFFFF_FFFF,
        0x1_0000_0000,
        (1 << 48) - 1,
    ):
        name = f"issued-at-{issued_at}"
        yield valid(name, "an integer in its shortest form", issued_at=issued_at)
    yield from widths()
    for name, packed, comment in malformed_fields():
        yield Scenario(f"plaintext-{name}", comment, seal_bytes(name, pad(packed)), MALFORMED)
    for name, plaintext, comment in malformed_paddings():
        yield Scenario(f"padding-{name}", comment, seal_bytes(name, plaintext), MALFORMED)


def widths() -> Iterator[Scenario]:
    """Integers in each form that MessagePack has, and the other types in longer forms than they need."""
    wide = {
        "uint8": b"\xcc\x01",
        "uint16": b"\xcd\x00\x01",
        "uint32": b"\xce\x00\x00\x00\x01",
        "uint64": b"\xcf\x00\x00\x00\x00\x00\x00\x00\x01",
        "int8": b"\xd0\x01",
        "int16": b"\xd1\x00\x01",
        "int32": b"\xd2\x00\x00\x00\x01",
        "int64": b"\xd3\x00\x00\x00\x00\x00\x00\x00\x01",
    }
    for form, one in wide.items():
        for field, packed, context, issued_at in (
            ("issued-at", fields(issued_at=one), CONTEXT, 1),
            ("flags", fields(flags=one), CONTEXT._replace(flags=1), ISSUED_AT),
            ("label", one_label(pack("a"), one), CONTEXT._replace(labels={"a": 1}), ISSUED_AT),
        ):
            name = f"{field}-as-{form}"
            read = opened(context, issued_at)
            yield Scenario(name, "an integer is read in any form", seal_bytes(name, pad(packed)), opened=read)
    name = "longer-forms"
    packed = fields(
        array=b"\xdc\x00\x05",
        trace_id=b"\xc5\x00\x10" + TRACE_ID,
        span_id=b"\xc6\x00\x00\x00\x08" + SPAN_ID,
        labels=b"\xde\x00\x01\xda\x00\x01a\xd9\x01b",
    )
    comment = "array 16, bin 16, bin 32, map 16, str 16 and str 8 where shorter forms would do"
    read = opened(CONTEXT._replace(labels={"a": "b"}))
    yield Scenario(name, comment, seal_bytes(name, pad(packed)), opened=read)


def malformed_fields() -> Iterator[tuple[str, bytes, str]]:
    """Arrays that are none of ours, rightly padded."""
    yield "array-of-4", b"\x94" + fields()[1:-1], "the labels are missing"
    yield "array-of-6", b"\x96" + fields()[1:] + b"\xc0", "a sixth element"
    yield "array-cut-off", fields()[:-1], "five are announced and four are there"
    yield "map", b"\x81\x01" + fields(), "a map around the array"
    yield "bin", pack(fields()), "the array wrapped in a bin"
    yield "int", b"\x05", "an integer"
    yield "nothing", b"", "nothing before the mark"
    yield "second-object", fields() + b"\xc0", "a nil follows the array"
    yield "second-array", fields() + fields(), "the array twice"
    yield "trace-id-zero", fields(trace_id=pack(bytes(16))), "all zero"
    yield "trace-id-15", fields(trace_id=pack(TRACE_ID[:15])), "15 bytes"
    yield "trace-id-17", fields(trace_id=pack(TRACE_ID + b"x")), "17 bytes"
    yield "trace-id-str", fields(trace_id=pack("0123456789abcdef")), "16 bytes of type str"
    yield "trace-id-nil", fields(trace_id=b"\xc0"), "nil"
    yield "span-id-zero", fields(span_id=pack(bytes(8))), "all zero"
    yield "span-id-7", fields(span_id=pack(SPAN_ID[:7])), "7 bytes"
    yield "span-id-9", fields(span_id=pack(SPAN_ID + b"x")), "9 bytes"
    yield "span-id-str", fields(span_id=pack("01234567")), "8 bytes of type str"
    yield "flags-4", fields(flags=pack(4)), "bit 2"
    yield "flags-129", fields(flags=pack(0x81)), "bit 7"
    yield "flags-negative", fields(flags=pack(-1)), "negative"
    yield "flags-true", fields(flags=b"\xc3"), "a bool is no integer"
    yield "flags-float", fields(flags=pack(1.0)), "a float is no integer"
    yield "issued-at-0", fields(issued_at=pack(0)), "not greater than 0"
    yield "issued-at-negative", fields(issued_at=pack(-1)), "negative"
    yield "issued-at-2-48", fields(issued_at=pack(1 << 48)), "not less than 2^48"
    yield "issued-at-true", fields(issued_at=b"\xc3"), "a bool is no integer"
    yield "issued-at-float", fields(issued_at=pack(1.0)), "a float is no integer"
    yield "issued-at-timestamp", fields(issued_at=b"\xd6\xff\x00\x00\x00\x01"), "the ext type for timestamps"
    yield "labels-nil", fields(labels=b"\xc0"), "nil"
    yield "labels-array", fields(labels=b"\x92\xa1a\x01"), "an array of a name and a value"
    yield from malformed_labels()


def malformed_labels() -> Iterator[tuple[str, bytes, str]]:
    """Arrays whose labels break a rule."""
    a = pack("a")
    yield "label-name-twice", fields(labels=b"\x82" + a + b"\x01" + a + b"\x02"), "a name is unique"
    yield "label-twice", fields(labels=b"\x82" + (a + b"\x01") * 2), "even where the values are equal"
    yield "label-name-empty", one_label(pack(""), b"\x01"), "1 to 32 bytes"
    yield "label-name-33", one_label(pack("n" * 33), b"\x01"), "1 to 32 bytes"
    yield "label-name-33-multibyte", one_label(pack("€" * 11), b"\x01"), "11 characters, 33 bytes"
    yield "label-name-int", one_label(b"\x01", b"\x01"), "a name is a str"
    yield "label-name-bin", one_label(pack(b"a"), b"\x01"), "a name is a str"
    yield "label-name-nil", one_label(b"\xc0", b"\x01"), "a name is a str"
    yield "label-name-array", one_label(b"\x91\x01", b"\x01"), "a name is a str"
    yield "label-name-not-utf-8", one_label(b"\xa1\xff", b"\x01"), "0xff is nowhere in UTF-8"
    yield "label-str-65", one_label(a, pack("v" * 65)), "64 bytes at the most"
    yield "label-str-66-multibyte", one_label(a, pack("é" * 33)), "33 characters, 66 bytes"
    yield "label-bin-65", one_label(a, pack(b"v" * 65)), "64 bytes at the most"
    yield "label-str-not-utf-8", one_label(a, b"\xa2\xc3\x28"), "a broken sequence"
    yield "label-str-overlong", one_label(a, b"\xa2\xc0\x80"), "an overlong form"
    yield "label-str-surrogate", one_label(a, b"\xa3\xed\xa0\x80"), "a surrogate has no UTF-8"
    yield "label-float-32", one_label(a, b"\xca\x3f\x80\x00\x00"), "no floats"
    yield "label-float-64", one_label(a, pack(1.0)), "no floats"
    yield "label-nil", one_label(a, b"\xc0"), "no nil"
    yield "label-map", one_label(a, pack({"b": 1})), "nothing nests"
    yield "label-map-empty", one_label(a, b"\x80"), "nothing nests"
    yield "label-array", one_label(a, b"\x91\x01"), "nothing nests"
    yield "label-array-empty", one_label(a, b"\x90"), "nothing nests"
    yield "label-ext", one_label(a, b"\xd4\x01\x00"), "no ext"
    yield "label-timestamp", one_label(a, b"\xd6\xff\x00\x00\x00\x01"), "no ext"
    yield "label-reserved-type", one_label(a, b"\xc1"), "0xc1 is never used"
    yield "label-int-2-63", one_label(a, pack(1 << 63)), "a 64-bit int is signed"
    yield "label-int-2-64-less-1", one_label(a, pack((1 << 64) - 1)), "a 64-bit int is signed"


def malformed_paddings() -> Iterator[tuple[str, bytes, str]]:
    """The array as it should be, in a padding that is not."""
    packed = fields()
    labelled = one_label(pack("a"), b"\xc3")
    yield "none", labelled.ljust(64, b"\0"), "zeros and no mark"
    yield "no-mark-after-empty-labels", packed.ljust(64, b"\0"), "the last 0x80 is the empty map of labels"
    yield "mark-81", (labelled + b"\x81").ljust(64, b"\0"), "another mark"
    yield "not-zero", (packed + b"\x80").ljust(63, b"\0") + b"\x01", "the last byte is 1"
    yield "not-zero-first", (packed + b"\x80\x01").ljust(64, b"\0"), "the byte after the mark is 1"
    yield "two-marks", (packed + b"\x80\x00\x80").ljust(64, b"\0"), "a second mark among the zeros"
    yield "zero-before-mark", (packed + b"\x00\x80").ljust(64, b"\0"), "a zero before the mark"
    yield "all-zero", bytes(64), "nothing but zeros"
    yield "no-room-for-mark", fields(labels=pack({"a": "x" * 21})), "the array alone takes all 64 bytes"
    for n in PLAINTEXT_SIZES[1:]:
        yield f"larger-{n}", (packed + b"\x80").ljust(n, b"\0"), f"64 would do, n = {n}"
    almost = pad(fields(labels=pack({"a": "x" * 20})))
    yield "larger-by-one-step", almost.ljust(96, b"\0"), "the mark would be the last byte of 64"


def labels() -> Iterator[Scenario]:
    """Labels that the page allows."""
    allowed: dict[str, Mapping[str, Label]] = {
        "bool": {"f": False, "t": True},
        "int-limits": {"a": -(1 << 63), "b": (1 << 63) - 1},
        "int-forms": {
            "a": 0,
            "b": 127,
            "c": 128,
            "d": 256,
            "e": 1 << 16,
            "f": 1 << 32,
            "g": -32,
            "h": -33,
            "i": -129,
            "j": -(1 << 15) - 1,
            "k": -(1 << 31) - 1,
        },
        "str": {"a": "", "b": "eu-central-1", "c": "v" * 31, "d": "v" * 32, "e": "v" * 64},
        "str-multibyte": {"a": "é" * 32, "b": "€uro", "c": "漢字", "d": "🚚"},
        "bin": {"a": b"", "b": b"\0\xff", "c": b"v" * 64},
        "name-limits": {"n": True, "n" * 32: True},
        "name-multibyte": {"é" * 16: 1},
        "all-types": {"a": True, "b": 1, "c": "1", "d": b"1"},
        "names-of-15": {f"n{i:02}": i for i in range(15)},
        "names-of-16": {f"n{i:02}": i for i in range(16)},
        "str-ends-in-padding": {"a": "v\x80\0\0"},
        "bin-ends-in-padding": {"a": b"v\x80\0\0"},
    }
    comments = {
        "int-limits": "a 64-bit int is signed",
        "int-forms": "each in its shortest form",
        "name-limits": "1 and 32 bytes",
        "names-of-16": "from 16 on the map takes two more bytes",
        "str-multibyte": "64 bytes at the most, in UTF-8",
        "name-multibyte": "32 bytes, 16 characters",
    }
    for kind, given in allowed.items():
        comment = comments.get(kind, f"labels: {kind}")
        yield valid(f"labels-{kind}", comment, context=CONTEXT._replace(labels=given))
    largest = dict.fromkeys("abcdef", "v" * 64) | {"g": "v" * 59}
    yield valid("labels-largest", "not a byte more fits in 512", context=CONTEXT._replace(labels=largest))


def main(arguments: list[str], file: Path, groups: Iterable[Callable[[], Iterable[Scenario]]]) -> int:
    """Write a file, or check it.

    Args:
        arguments: none, or `--check`.
        file: where it is.
        groups: what gives its scenarios, in order.

    Returns:
        The exit status.
    """
    scenarios = [scenario.document() for group in groups for scenario in group()]
    fresh = json.dumps(scenarios, indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--check"]:
        return int(not file.exists() or file.read_text(encoding="utf-8") != fresh)
    file.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    every = (keys, sizes, lengths, first_bytes, levels, alterations, order, plaintexts, labels)
    sys.exit(main(sys.argv[1:], Path(__file__).with_name("envelope-v1.json"), every))
