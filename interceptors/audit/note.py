"""Signed notes: texts with Ed25519 signatures under them (https://c2sp.org/signed-note).

Pure. Of the signature types of the specification, this is 0x01, Ed25519 over the text, and no other; lines of
other types are passed over, as are those of unknown keys.
"""

from __future__ import annotations

import base64
import contextlib
import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.signatures import SigningKey, VerificationKey

_ED25519 = b"\1"
_ID_SIZE = 4
_LONGEST = 1 << 16
_DASH = "\N{EM DASH}"
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"
_LINE = re.compile(rf"{_DASH} ([^\s+]+) ({_BASE64})")


class Note(NamedTuple):
    """A text, and what claims to be signatures of it."""

    text: str
    """With its last newline."""
    signatures: tuple[tuple[str, bytes], ...]
    """The name of a key each, with four bytes of its id and the signature."""

    def signers(self, name: str, keys: Iterable[VerificationKey]) -> frozenset[VerificationKey]:
        """Give those of the keys that have signed the text.

        Args:
            name: the name that the keys have here.
            keys: the keys that may count.

        Raises:
            SignatureError: a line that names one of the keys is no signature by it: the note is to be refused
                whole, whoever else has signed it.
        """
        by_id = {_key_id(name, key): key for key in keys}
        found: set[VerificationKey] = set()
        for signer, signature in self.signatures:
            key = by_id.get(signature[:_ID_SIZE]) if signer == name else None
            if key is not None:
                key.verify(signature[_ID_SIZE:], self.text.encode())
                found.add(key)
        return frozenset(found)


def sign_note(text: str, name: str, key: SigningKey) -> str:
    """Give the note of a text with one signature.

    Args:
        text: lines, each with its newline.
        name: the key's name: no white space, no plus sign.
        key: what it is signed by.
    """
    signature = _key_id(name, key.public) + key.sign(text.encode())
    return f"{text}\n{_DASH} {name} {base64.b64encode(signature).decode()}\n"


def parse_note(content: bytes) -> Note:
    """Read a note. Its signatures have still to be checked, by `Note.signers`.

    Args:
        content: any bytes.

    Raises:
        SignatureError: they are no note.
    """
    whole = _text(content)
    text, blank, signatures = whole.rpartition("\n\n")
    lines = [_LINE.fullmatch(line) for line in signatures.split("\n")[:-1]]
    found = [(line[1], base64.b64decode(line[2])) for line in lines if line]
    if not (blank and found) or len(found) < len(lines) or not signatures.endswith("\n"):
        raise SignatureError("not a signed note: not a text, an empty line, and lines of signatures")
    return Note(text + "\n", tuple(found))


def _text(content: bytes) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        text = content.decode()
        if len(content) <= _LONGEST and all(character >= " " or character == "\n" for character in text):
            return text
    raise SignatureError(f"not a signed note: not {_LONGEST} bytes of UTF-8 without control characters")


def _key_id(name: str, key: VerificationKey) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:_ID_SIZE]
