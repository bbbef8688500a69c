"""The Merkle tree of a log, and the two files beside it: the newest checkpoint, and the tree's right edge.

The edge is there so that an append need not read the whole log. It counts for nothing by itself: it is taken
only where its root is the one that a checkpoint by our own key has. Else the tree is made anew from the log.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from interceptors.audit.checkpoint import Checkpoint, origin_of, read_checkpoint
from interceptors.audit.lines import walk
from interceptors.audit.merkle import Tree, leaf_hash
from interceptors.errors import AuditError, SignatureError
from interceptors.files import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.audit.lines import End
    from interceptors.signatures import SigningKey


class SignedTree(NamedTuple):
    """The tree of a log as it is."""

    tree: Tree
    ours: bool
    """Whether a checkpoint by our key lies beside the log, and the tree has grown from it."""


def checkpoint_path(log: Path) -> Path:
    """Say where the newest checkpoint of a log lies."""
    return log.with_name(f"{log.name}.checkpoint")


def edge_path(log: Path) -> Path:
    """Say where the right edge of a log's tree lies."""
    return log.with_name(f"{log.name}.edge")


def read_tree(log: Path, file: BinaryIO, end: End, key: SigningKey) -> SignedTree:
    """Give the tree of a log as it is.

    Args:
        log: where the log lies.
        file: the log, open for reading.
        end: its end.
        key: what its checkpoints are signed by.

    Raises:
        AuditError: the log is not the one that its newest checkpoint was made of, or does not hold.
        OSError: a file can't be read.
    """
    signed, ours = _newest(log, key)
    edge = _edge(log, signed, end.length) if signed is not None and ours else None
    if edge is not None:
        # What doesn't fit is no reason to refuse: the edge may be what was altered.
        with contextlib.suppress(AuditError):
            return SignedTree(_grown(*edge, file, end, signed), ours)
    return SignedTree(_grown(Tree(), 0, file, end, signed), ours)


def write_tree(log: Path, file: BinaryIO, tree: Tree, key: SigningKey) -> None:
    """Write edge and checkpoint of a log that holds, the checkpoint last.

    Args:
        log: where the log lies.
        file: the log, open for reading.
        tree: its tree, of all that it holds.
        key: what to sign by.

    Raises:
        OSError: they can't be written.
    """
    edge = {"bytes": file.seek(0, os.SEEK_END), "edge": [hash_.hex() for hash_ in tree.edge]}
    file.seek(0)
    checkpoint = Checkpoint(origin_of(file.readline().removesuffix(b"\n")), tree.size, tree.root())
    replace_file(edge_path(log), json.dumps(edge).encode() + b"\n")
    replace_file(checkpoint_path(log), checkpoint.sign(key).encode())


def _newest(log: Path, key: SigningKey) -> tuple[Checkpoint | None, bool]:
    """Read the checkpoint beside a log, and say whether it is by our key; one by a former key is not."""
    try:
        content = checkpoint_path(log).read_bytes()
    except FileNotFoundError:
        return None, False
    try:
        return read_checkpoint(content, [key.public])
    except SignatureError as error:
        problem = f"{checkpoint_path(log)}: {error}; put back the newest copy of it"
    raise AuditError(problem)


def _edge(log: Path, signed: Checkpoint, length: int) -> tuple[Tree, int] | None:
    """Read the edge beside a log, and how much of the log it is of; None where it is not the checkpoint's."""
    # Whatever is wrong with the file, the log is read instead.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        form = json.loads(edge_path(log).read_bytes())
        tree = Tree(signed.size, [bytes.fromhex(hash_) for hash_ in form["edge"]])
        start = int(form["bytes"])
        whole = tree.size.bit_count() == len(tree.edge) and tree.root() == signed.root
        return (tree, start) if whole and 0 <= start <= length else None
    return None


def _grown(tree: Tree, start: int, file: BinaryIO, end: End, signed: Checkpoint | None) -> Tree:
    """Add to a tree what the log holds from some byte on."""
    file.seek(start)
    for line in walk(file, end.length, sequence=tree.size):
        if line.finding is not None:
            raise AuditError(line.finding.text)
        tree.append(leaf_hash(line.content))
        if signed is not None and signed.size == tree.size and signed.root != tree.root():
            raise AuditError(f"its first {signed.size} records are not those that its checkpoint was made of")
    if signed is not None and signed.size > tree.size:
        raise AuditError(
            f"it has {tree.size} records, and its checkpoint was made of {signed.size}: it was cut off"
        )
    if tree.size != end.sequence:
        raise AuditError("its last record has another number than there are records")
    return tree
