"""The audit log: what was done with keys, policies and tokens, on record before it is done.

What belongs here: the records and their bytes, the log that appends them, its Merkle tree and checkpoints,
and the offline check of all that. What does not: which acts are recorded (whoever does them says so), where
a signing key comes from (`keys`), and any secret: a record names keys and tokens and holds none of them, nor
an identifier, a payload or a header value.
"""

from interceptors.audit.checkpoint import Checkpoint
from interceptors.audit.entry import Entry, parse_entry
from interceptors.audit.lines import Check, Finding
from interceptors.audit.log import AuditLog
from interceptors.audit.proof import check_proof, prove
from interceptors.audit.verification import Verification, verify

__all__ = [
    "AuditLog",
    "Check",
    "Checkpoint",
    "Entry",
    "Finding",
    "Verification",
    "check_proof",
    "parse_entry",
    "prove",
    "verify",
]
