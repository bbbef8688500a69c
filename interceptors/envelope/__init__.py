"""Bytes to bytes, given a key: the trace envelope, version 1 (`docs/reference/envelope-v1.md`).

What belongs here: the format, its cipher, what an envelope is bound to, how sender keys are derived, and the
keys a receiver holds, as values. What does not: where keys come from (`keys`), which channel a message is
on (`policy`), whether an envelope was seen before (`replay`), clocks and I/O.

Invariants:

* opening is total: any bytes give a context or exactly one of five answers;
* tenant and sender are those of the key that opened, never a header's;
* nothing in here prints a key, a plaintext or an envelope.
"""

from interceptors.envelope.binding import Binding, Level
from interceptors.envelope.format import HEADER_NAME, from_text, header_bytes, kid_of, to_text
from interceptors.envelope.keyset import KeySet
from interceptors.envelope.opener import CANDIDATES, Candidate, Opened, Opener
from interceptors.envelope.sealer import Sealed, Sealer
from interceptors.envelope.sender_key import SenderKey, derive_sender_key, derive_signing_key
from interceptors.envelope.sender_name import check_sender_name
from interceptors.envelope.token_key import TokenKey, derive_token_key

__all__ = [
    "CANDIDATES",
    "HEADER_NAME",
    "Binding",
    "Candidate",
    "KeySet",
    "Level",
    "Opened",
    "Opener",
    "Sealed",
    "Sealer",
    "SenderKey",
    "TokenKey",
    "check_sender_name",
    "derive_sender_key",
    "derive_signing_key",
    "derive_token_key",
    "from_text",
    "header_bytes",
    "kid_of",
    "to_text",
]
