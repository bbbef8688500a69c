"""Checkpoints: how many records a log had, and the root of its tree, signed (https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from interceptors.audit.note import parse_note, sign_note
from interceptors.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Collection

    from interceptors.signatures import SigningKey, VerificationKey

# Further lines may follow; they belong to whoever wrote them.
_TEXT = re.compile(r"(?P<origin>.+)\n(?P<size>0|[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n")


class Checkpoint(NamedTuple):
    """What a log was at one moment."""

    origin: str
    """Which log: `origin_of` its first line."""
    size: int
    """How many records it had."""
    root: bytes
    """The root of the Merkle tree over their lines."""

    def sign(self, key: SigningKey) -> str:
        """Give the signed note."""
        text = f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"
        return sign_note(text, self.origin, key)


def origin_of(first_line: bytes) -> str:
    """Name a log by its first line, which never changes."""
    return f"interceptors-audit/{sha256(first_line).hexdigest()[:32]}"


def read_checkpoint(content: bytes, keys: Collection[VerificationKey]) -> tuple[Checkpoint, bool]:
    """Read a signed checkpoint.

    Args:
        content: any bytes.
        keys: the keys that may have signed it.

    Returns:
        The checkpoint, and whether one of the keys has signed it.

    Raises:
        SignatureError: it is no checkpoint, or a signature that names one of the keys is not by that key.
    """
    note = parse_note(content)
    found = _TEXT.match(note.text)
    if found is None:
        raise SignatureError("not a checkpoint: its text is not an origin, a size and a root")
    checkpoint = Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]))
    return checkpoint, bool(note.signers(checkpoint.origin, keys))
