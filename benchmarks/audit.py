"""The audit log: how long a record takes to be on disk, and how long a log takes to be checked.

A record is appended to a log that has many already, with a checkpoint, and to one without checkpoints. Beside
them is a line that is written and synced with nothing around it: what a write costs is the disk's affair. The
whole log is then verified, against the checkpoint beside it and another one of its first half.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from measure import Case, Report, arguments, each

from interceptors.audit import AuditLog, Checkpoint, Entry, verify
from interceptors.audit.checkpoint import origin_of
from interceptors.audit.entry import START, chain_hash
from interceptors.audit.merkle import Tree, leaf_hash
from interceptors.signatures import SigningKey

KEY = SigningKey(bytes(range(32)))
WITHIN_S = 60
DETAILS: dict[str, str | int] = {
    "tenant": "acme",
    "domain": "customer",
    "purpose": "support case",
    "caller": "billing",
}


def fill(path: Path, records: int, half: Path) -> None:
    """Write a log without waiting for the disk, and a checkpoint of its first half."""
    tree, previous, first = Tree(), START, b""
    with path.open("wb") as file:
        for sequence in range(records):
            details = DETAILS | {"token": f"tok_{sequence:032x}"}
            line = Entry(
                sequence, 1_790_000_000_000 + sequence, "vault", "token.resolve", details, previous
            ).line()
            file.write(line + b"\n")
            previous, first = chain_hash(line), first or line
            tree.append(leaf_hash(line))
            if tree.size == max(1, records // 2):
                half.write_text(
                    Checkpoint(origin_of(first), tree.size, tree.root()).sign(KEY), encoding="utf-8"
                )


def append_plainly(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x" * 300 + b"\n")
        file.flush()
        os.fsync(file.fileno())


def once(_: object) -> int:
    """Say what each operation has done: one line, synced."""
    return 1


def main() -> None:
    parser = arguments(__doc__, rounds=5, operations=200)
    parser.add_argument("--records", type=int, default=1_000_000, help="in the log (default: %(default)s)")
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as folder:
        path, half = Path(folder, "audit.jsonl"), Path(folder, "half")
        fill(path, options.records, half)
        # The first signer reads the log once.
        signed = AuditLog(path, actor="vault", key=KEY)
        signed.record("token.resolve", **DETAILS)
        plain = Path(folder, "plain")
        unsigned = AuditLog(Path(folder, "unsigned"), actor="vault")
        cases = [
            Case("a line, written and synced", each(partial(append_plainly, plain)), once),
            Case("recorded", each(partial(unsigned.record, "token.resolve", **DETAILS)), once),
            Case(
                "recorded, with a checkpoint", each(partial(signed.record, "token.resolve", **DETAILS)), once
            ),
        ]
        report.compare(f"a record, in a log of {options.records}", cases)
        started = perf_counter()
        found = verify(path, [half], [KEY.public])
        taken = perf_counter() - started
        found.require()
        assert found.records == found.signed
        size = path.stat().st_size / 1e6
        print(f"\n{found.records} records, {size:.0f} MB, verified in {taken:.1f} s")
        each_million = taken / found.records * 1_000_000
        report.goal(f"a million records are verified in at most {WITHIN_S} s", each_million, WITHIN_S)
    report.write()


if __name__ == "__main__":
    main()
