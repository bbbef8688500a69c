"""Proofs that one record is in a log, for whoever is not to see the others (https://c2sp.org/tlog-proof)."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING, BinaryIO

from interceptors.audit.checkpoint import read_checkpoint
from interceptors.audit.entry import parse_entry
from interceptors.audit.lines import walk
from interceptors.audit.locked import locked
from interceptors.audit.merkle import Tree, inclusion_path, leaf_hash, root_of_path
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.errors import AuditError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from interceptors.audit.entry import Entry
    from interceptors.signatures import VerificationKey

_HEAD = "c2sp.org/tlog-proof@v1"
_PROOF = re.compile(
    rf"{re.escape(_HEAD)}\n(?:extra [^\n]*\n)?index (?P<index>0|[1-9][0-9]{{0,15}})\n"
    r"(?P<path>(?:[A-Za-z0-9+/]{43}=\n)*)\n(?P<checkpoint>.*)",
    re.DOTALL,
)


def prove(log: Path, sequence: int, checkpoint: Path | None = None) -> tuple[bytes, bytes]:
    """Prove that a record is in a log.

    Args:
        log: the log.
        sequence: the record's number.
        checkpoint: what the proof leads to; by default, the checkpoint beside the log.

    Returns:
        The record's line, and the proof, which holds the checkpoint and nothing else of the log but hashes.

    Raises:
        AuditError: a file can't be read, the log does not hold or is not what the checkpoint was made of, or
            there is no such record under it.
    """
    place = checkpoint or checkpoint_path(log)
    try:
        content = place.read_bytes()
        signed, _ = read_checkpoint(content, ())
        with locked(log, write=False) as file:
            line, leaves = _leaves(file, sequence, signed.size)
    except OSError as error:
        problem = f"{error.filename or log}: can't be read ({error.strerror})"
    except SignatureError as error:
        problem = f"{place}: {error}"
    except AuditError as error:
        problem = f"{log}: {error}"
    else:
        tree = Tree()
        for leaf in leaves:
            tree.append(leaf)
        if line is not None and (tree.size, tree.root()) == (signed.size, signed.root):
            path = [base64.b64encode(hash_).decode() for hash_ in inclusion_path(leaves, sequence)]
            return line, "\n".join([_HEAD, f"index {sequence}", *path, "", ""]).encode() + content
        problem = f"{log}: record {sequence} is not among those that {place} was made of"
    raise AuditError(problem)


def check_proof(proof: bytes, line: bytes, keys: Collection[VerificationKey]) -> Entry:
    """Check that a record is in the log whose checkpoint somebody has signed.

    Args:
        proof: any bytes.
        line: the record's line.
        keys: the keys that the checkpoint may be signed by.

    Returns:
        The record.

    Raises:
        AuditError: that is not proved.
    """
    found = _PROOF.fullmatch(proof.decode("utf-8", "replace"))
    if found is None:
        raise AuditError(f"not a proof: not of the form {_HEAD}")
    try:
        signed, by_one_of_them = read_checkpoint(found["checkpoint"].encode(), keys)
    except SignatureError as error:
        problem = f"{error}"
    else:
        path = [base64.b64decode(hash_) for hash_ in found["path"].split()]
        if not by_one_of_them:
            problem = "its checkpoint is signed by none of the keys"
        elif root_of_path(leaf_hash(line), int(found["index"]), signed.size, path) != signed.root:
            problem = "it is not of this record, or not under this checkpoint"
        else:
            return parse_entry(line)
    raise AuditError(f"the proof does not hold: {problem}")


def _leaves(file: BinaryIO, sequence: int, size: int) -> tuple[bytes | None, list[bytes]]:
    """Give one line, and the hashes of as many lines as there are, up to a number."""
    line, leaves = None, []
    for each in walk(file, os.fstat(file.fileno()).st_size):
        if each.place == size:
            break
        if each.finding is not None:
            raise AuditError(each.finding.text)
        if each.place == sequence:
            line = each.content
        leaves.append(leaf_hash(each.content))
    return line, leaves
