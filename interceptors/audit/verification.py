"""Whether a log holds, found out offline: its records, their chain, and the checkpoints made of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from interceptors.audit.checkpoint import Checkpoint, origin_of, read_checkpoint
from interceptors.audit.lines import Check, Finding, walk
from interceptors.audit.locked import locked
from interceptors.audit.merkle import Tree, leaf_hash
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.errors import AuditError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from interceptors.signatures import VerificationKey

MOST_FINDINGS = 100
"""How many findings about lines are given; one altered line makes two or three."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found out about a log.

    Attributes:
        records: how many lines it has.
        signed: how many of them the newest checkpoint that holds was made of.
        origin: which log it is; empty where it has no records.
        root: the root of the Merkle tree over all of them.
        findings: what doesn't hold, in the order of the file; the checkpoints after the lines.
    """

    records: int
    signed: int
    origin: str
    root: bytes
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def require(self) -> None:
        """Go on only if the log holds.

        Raises:
            AuditError: it doesn't; the text is that of the first finding.
        """
        if self.findings:
            first, *others = self.findings
            raise AuditError(f"{first.text}; and {len(others)} more" if others else first.text)


class _Claim(NamedTuple):
    """What a checkpoint says, and one of the keys has signed."""

    path: Path
    checkpoint: Checkpoint


class _Walked(NamedTuple):
    """What a log holds."""

    tree: Tree
    origin: str
    marks: dict[int, tuple[bytes, int]]
    """For each size that was asked for: the root then, and how many bytes those records are."""
    findings: list[Finding]


def verify(
    log: Path, checkpoints: Iterable[Path] = (), keys: Collection[VerificationKey] = ()
) -> Verification:
    """Check a log, and that it has only grown since each checkpoint was made of it.

    The log is read once, and not kept. It may be written to meanwhile: what is checked is what it holds now.

    Args:
        log: the log. Where there are keys, the checkpoint beside it is checked as well.
        checkpoints: checkpoints that were kept elsewhere. If two of them hold, the log has grown from the one
            to the other.
        keys: the public keys that checkpoints may be signed by. Without any, the records and their chain
            alone are checked: what was cut off the end, or written anew from some record on, isn't found.

    Returns:
        What was found out.

    Raises:
        AuditError: a file can't be read; or there are checkpoints, and no keys.
    """
    places = list(checkpoints)
    if places and not keys:
        raise AuditError("a checkpoint says nothing without a key; give the public key of whoever signs them")
    beside = checkpoint_path(log)
    try:
        with locked(log, write=False) as file:
            end = file.seek(0, os.SEEK_END)
            if keys and beside.exists():
                places.insert(0, beside)
            contents = [(place, place.read_bytes()) for place in dict.fromkeys(places)]
        claims, findings = _claims(contents, keys)
        with log.open("rb") as file:
            walked = _walk(file, end, {claim.checkpoint.size for claim in claims})
    except AuditError as error:
        problem = f"{log}: {error}"
    except OSError as error:
        problem = f"{error.filename or log}: can't be read ({error.strerror})"
    else:
        signed, held_against = _hold(walked, claims, beside)
        findings += held_against
        if keys and not contents:
            text = f"{beside}: there is no such file, and no other checkpoint to hold the log against"
            findings.append(Finding(Check.SIGNATURE, text))
        if keys and not findings and signed < walked.tree.size:
            findings.append(_unsigned(walked, signed))
        tree = walked.tree
        everything = (*walked.findings, *findings)
        return Verification(tree.size, signed, walked.origin, tree.root(), everything)
    raise AuditError(problem)


def _claims(
    contents: Sequence[tuple[Path, bytes]], keys: Collection[VerificationKey]
) -> tuple[list[_Claim], list[Finding]]:
    """Read checkpoints: those by one of the keys, the smallest first, and what is wrong with the others."""
    claims: list[_Claim] = []
    findings: list[Finding] = []
    for path, content in contents:
        try:
            checkpoint, signed = read_checkpoint(content, keys)
        except SignatureError as error:
            findings.append(Finding(Check.SIGNATURE, f"{path}: {error}"))
            continue
        if signed:
            claims.append(_Claim(path, checkpoint))
        else:
            findings.append(Finding(Check.SIGNATURE, f"{path}: signed by none of the keys that were given"))
    return sorted(claims, key=lambda claim: claim.checkpoint.size), findings


def _walk(file: BinaryIO, end: int, sizes: Collection[int]) -> _Walked:
    tree, origin = Tree(), ""
    findings: list[Finding] = []
    marks = {0: (tree.root(), 0)}
    for line in walk(file, end):
        if line.finding is not None and len(findings) < MOST_FINDINGS:
            findings.append(line.finding)
        if line.finding is not None and line.finding.check is Check.TORN:
            break
        tree.append(leaf_hash(line.content))
        origin = origin or origin_of(line.content)
        if tree.size in sizes:
            marks[tree.size] = tree.root(), line.offset + len(line.content) + 1
    return _Walked(tree, origin, marks, findings)


def _hold(walked: _Walked, claims: Sequence[_Claim], beside: Path) -> tuple[int, list[Finding]]:
    """Hold a log against its checkpoints: how many records are signed, and what doesn't hold."""
    signed, records = 0, walked.tree.size
    findings: list[Finding] = []
    for path, checkpoint in claims:
        size = checkpoint.size
        _, start = walked.marks[signed]
        if checkpoint.origin != walked.origin:
            text = "it was made of another log, or this one's first record is another one now"
            findings.append(Finding(Check.ORIGIN, f"{path}: {text}", 0, 0))
        elif size > records:
            text = f"it was made of {size} records; those from {records} on were cut off"
            findings.append(Finding(Check.LENGTH, f"{path}: {text}", records))
        elif walked.marks[size][0] != checkpoint.root:
            text = f"of records {signed} to {size - 1}, from byte {start} on, one is not what was signed"
            if size == signed:
                text = f"another checkpoint of {size} records holds, so that two logs were signed as this one"
            elif not any(signed <= (finding.record or 0) < size for finding in walked.findings):
                text += "; they follow from one another, so that it is the last, or several were written anew"
            findings.append(Finding(Check.ROOT, f"{path}: {text}", signed, start))
        else:
            signed = size
    newest = max((claim.checkpoint.size for claim in claims), default=0)
    for path, checkpoint in claims:
        if path == beside and checkpoint.size < newest:
            text = (
                f"it was made of {checkpoint.size} records, another one of {newest}: an old one was put back"
            )
            findings.append(Finding(Check.ROLLED_BACK, f"{path}: {text}"))
    return signed, findings


def _unsigned(walked: _Walked, signed: int) -> Finding:
    _, start = walked.marks[signed]
    text = f"records {signed} to {walked.tree.size - 1}, from byte {start} on, are under no checkpoint"
    return Finding(Check.UNSIGNED, text, signed, start)
