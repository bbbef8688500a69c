#!/usr/bin/env python3
"""Checks vector files with an implementation of its own, written from the page `envelope-v1.md` alone.

Needs `cryptography` and `msgpack` and nothing of this repository, so that a mistake of the library can't
hide in vectors that the library made. `python verify.py [file ...]` names what disagrees, and exits 1.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import msgpack
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

SIZES = (64, 96, 128, 192, 256, 384, 512)
HEAD, TAG, MAXIMUM = 42, 16, 1024
SIGNATURES = {0x11: 0, 0x12: 64}
KIND_OF_FIELD = (bytes, bytes, int, int)
INT64, NAME, VALUE = 1 << 63, 32, 64


class Refused(Exception):  # noqa: N818 - one of the page's five answers, not a fault of this program
    """An envelope that does not open."""


class Pairs(list[Any]):
    """A MessagePack map, a name that occurs twice included."""


def lp(value: str | bytes) -> bytes:
    """The page's `LP`."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def expand(key: bytes, *parts: str) -> bytes:
    """HKDF-Expand to 32 bytes: its first block, T(1)."""
    info = b"".join(map(lp, parts))
    return hmac.digest(key, info + b"\x01", "sha256")


def aes_gcm(sender_key: bytes, nonce: bytes) -> AESGCM:
    """XAES-256-GCM's derived key, by CMAC as NIST SP 800-108 has it."""
    halves = []
    for counter in (1, 2):
        mac = CMAC(AES(expand(sender_key, "interceptors/v1/seal")))
        mac.update(counter.to_bytes(2, "big") + b"X\0" + nonce[:12])
        halves.append(mac.finalize())
    return AESGCM(b"".join(halves))


def associated_data(envelope: bytes, tenant: str, sender: str, receiver: dict[str, Any]) -> bytes:
    """The page's section "Associated data"."""
    bindings = (
        lp(receiver["channel"]),
        lp(receiver["type"]),
        lp(receiver["message_id"]) + lp(bytes.fromhex(receiver["body_digest"])),
    )
    parts = lp("interceptors/v1/aad") + lp(tenant) + lp(sender) + b"".join(bindings[: envelope[1]])
    return envelope[:18] + hashlib.sha256(parts).digest()


def read(plaintext: bytes) -> dict[str, Any]:
    """The page's section "Plaintext"."""
    packed, mark, padding = plaintext.rpartition(b"\x80")
    if not mark or any(padding) or len(plaintext) != min(n for n in SIZES if n > len(packed)):
        raise Refused("malformed")
    try:
        fields = msgpack.unpackb(packed, strict_map_key=False, object_pairs_hook=Pairs)
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused("malformed") from error
    if type(fields) is not list or [*map(type, fields)] != [*KIND_OF_FIELD, Pairs]:
        raise Refused("malformed")
    trace_id, span_id, flags, issued_at, labels = fields
    ids = len(trace_id) == 16 and len(span_id) == 8 and any(trace_id) and any(span_id)  # noqa: PLR2004 - the page's
    if not ids or flags not in range(4) or not 0 < issued_at < 1 << 48:
        raise Refused("malformed")
    if not all(is_label(*pair) for pair in labels) or len({name for name, _ in labels}) != len(labels):
        raise Refused("malformed")
    return {
        "trace_id": trace_id.hex(),
        "span_id": span_id.hex(),
        "flags": flags,
        "issued_at": issued_at,
        "labels": {n: {"bin": v.hex()} if isinstance(v, bytes) else v for n, v in labels},
    }


def is_label(name: object, value: object) -> bool:
    """Whether the page allows a label."""
    if type(name) is not str or len(name.encode()) not in range(1, NAME + 1):
        return False
    if isinstance(value, (str, bytes)):
        return len(value.encode() if isinstance(value, str) else value) <= VALUE
    return type(value) is bool or (type(value) is int and -INT64 <= value < INT64)


def opening(envelope: bytes, keys: list[dict[str, Any]], receiver: dict[str, Any]) -> dict[str, Any]:
    """The page's section "Opening"."""
    if not 0 < len(envelope) <= MAXIMUM:
        raise Refused("malformed")
    if envelope[0] not in SIGNATURES:
        raise Refused("unsupported version")
    signed = len(envelope) - SIGNATURES[envelope[0]]
    if signed - HEAD - TAG not in SIZES or envelope[1] not in range(4):
        raise Refused("malformed")
    kids = {expand(bytes.fromhex(k["sender_key"]), "interceptors/v1/kid")[:16]: k for k in keys}
    key = kids.get(envelope[2:18])
    if key is None or key["revoked"]:
        raise Refused("unknown key" if key is None else "revoked key")
    in_suite_2 = signed < len(envelope)
    if in_suite_2 and "verify_key" not in key:
        raise Refused("unknown key")
    if envelope[1] < receiver["lowest_level"] or (receiver.get("signed", False) and not in_suite_2):
        raise Refused("not authentic")
    bound = associated_data(envelope, key["tenant"], key["sender"], receiver)
    cipher = aes_gcm(bytes.fromhex(key["sender_key"]), envelope[18:HEAD])
    try:
        if in_suite_2:
            verifier = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["verify_key"]))
            verifier.verify(envelope[signed:], envelope[:signed])
        plaintext = cipher.decrypt(envelope[30:HEAD], envelope[HEAD:signed], bound)
    except (InvalidSignature, InvalidTag) as error:
        raise Refused("not authentic") from error
    return {"tenant": key["tenant"], "sender": key["sender"]} | read(plaintext)


def sealing(opened: dict[str, Any], receiver: dict[str, Any], source: dict[str, Any]) -> bytes:
    """Seal what a scenario says that was sealed."""
    tenant, sender, root = opened["tenant"], opened["sender"], bytes.fromhex(source["root"])
    key = expand(root, "interceptors/v1/sender", tenant, sender)
    labels = {n: bytes.fromhex(v["bin"]) if isinstance(v, dict) else v for n, v in opened["labels"].items()}
    ids = [bytes.fromhex(opened["trace_id"]), bytes.fromhex(opened["span_id"])]
    packed: bytes = msgpack.packb([*ids, opened["flags"], opened["issued_at"], labels])
    padded = (packed + b"\x80").ljust(min(n for n in SIZES if n > len(packed)), b"\0")
    salted = bytes.fromhex(source["nonce"])
    suite = 0x12 if "signing_seed" in source else 0x11
    head = bytes((suite, source["level"])) + expand(key, "interceptors/v1/kid")[:16] + salted
    bound = associated_data(head, tenant, sender, receiver)
    envelope = head + aes_gcm(key, salted).encrypt(salted[12:], padded, bound)
    if "signing_seed" not in source:
        return envelope
    seed = expand(root, "interceptors/v1/sign", tenant, sender)
    if seed.hex() != source["signing_seed"]:
        return b""
    return envelope + Ed25519PrivateKey.from_private_bytes(seed).sign(envelope)


def disagrees(scenario: dict[str, Any]) -> str | None:
    """What a scenario says otherwise than this implementation, or None."""
    envelope = bytes.fromhex(scenario["envelope"])
    try:
        answer, found = "ok", opening(envelope, scenario["keys"], scenario["receiver"])
    except Refused as error:
        answer, found = str(error), None
    # As JSON, because Python takes True and 1 for equal.
    expected = [scenario["expect"], scenario.get("opened")]
    if json.dumps([answer, found], sort_keys=True) != json.dumps(expected, sort_keys=True):
        return f"expects {scenario['expect']}, opens to {answer} {found}"
    source = scenario.get("sealed_from")
    if source and sealing(scenario["opened"], scenario["receiver"], source) != envelope:
        return "seals to other bytes"
    return None


def main(arguments: list[str]) -> int:
    """Check files.

    Args:
        arguments: their paths; none for all beside this program.

    Returns:
        The exit status.
    """
    beside = sorted(Path(__file__).parent.glob("*.json"))
    paths = [Path(a) for a in arguments] or [p for p in beside if not p.name.endswith(".schema.json")]
    wrong = 0
    for path in paths:
        scenarios = json.loads(path.read_text(encoding="utf-8"))
        found = [(s["name"], why) for s in scenarios if (why := disagrees(s))]
        sys.stdout.writelines(f"{path.name}: {name}: {why}\n" for name, why in found)
        sys.stdout.write(f"{path.name}: {len(scenarios) - len(found)} of {len(scenarios)} scenarios agree\n")
        wrong += len(found)
    return int(wrong > 0 or not paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
