"""The log: records are appended to it, durably, before the acts that they are about.

* A record is on disk when `record` returns; where it can't be, `AuditError` is raised: the act is not done.
* Processes and threads append one after the other: each append opens the file anew and locks it.
* Nothing is kept between two appends. So there is nothing to go wrong after a fork, and what another process
  has appended is always seen.
* A log that does not hold at its end is not appended to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeVar

from interceptors.audit.entry import FAILED, START, Entry, chain_hash
from interceptors.audit.lines import read_end
from interceptors.audit.locked import locked
from interceptors.audit.merkle import leaf_hash
from interceptors.audit.signed_tree import read_tree, write_tree
from interceptors.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.audit.entry import Detail
    from interceptors.audit.lines import End
    from interceptors.audit.merkle import Tree
    from interceptors.audit.signed_tree import SignedTree
    from interceptors.signatures import SigningKey

ResultT = TypeVar("ResultT")

REPAIR = "audit.repair"
"""The action of a record about a line that a crash had left half written, and that was taken away."""

UNSIGNED = "audit.unsigned"
"""The action of a record about records before it that no checkpoint by the writer's key was made of: the key
is new, or the checkpoint beside the log was taken away."""


class AuditLog:
    """An append-only file of records.

    Safe between threads and processes, and after a fork. Each append waits for the disk, some milliseconds:
    in asyncio, call it in a thread.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        actor: str,
        key: SigningKey | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Take a log. Nothing is read or written before the first record.

        Args:
            path: the file, which the first record makes; its folder is there.
            actor: who acts: a service's name, or a person's account.
            key: what checkpoints are signed by. Without one there are none, and what was cut off the end of
                the log, or written anew from some record on, can't be found.
            clock: gives the time, in nanoseconds since the epoch.
        """
        self.path = Path(path)
        self.actor = actor
        self._key = key
        self._clock = clock

    def check(self) -> None:
        """Check that a record could be appended now, and append none; a log that is not there is not made.

        Raises:
            AuditError: it could not; as `record`.
        """
        self._explained(self._try)

    def record(self, action: str, /, **details: Detail) -> Entry:
        """Append a record. Call it before the act.

        Args:
            action: what is going to be done: lower-case words with dots between them, such as `keys.rotate`.
            details: to what, and how. Never a secret, an identifier, a payload or a header value.

        Returns:
            The record, which is on disk.

        Raises:
            AuditError: it is not; don't do what it is about. The file can't be written, the log does not hold
                at its end, or the record has no canonical form.
        """
        return self._append(action, details)

    @contextlib.contextmanager
    def act(self, action: str, /, **details: Detail) -> Iterator[Entry]:
        """Append a record, then let the body do what it is about; if that raises, append that it has failed.

        Args:
            action: as for `record`.
            details: as for `record`.

        Yields:
            The record.

        Raises:
            AuditError: as `record`; the body has not run. What the body raises comes through as it is.
        """
        entry = self.record(action, **details)
        try:
            yield entry
        except BaseException as error:
            # What the act came to is what the caller has to hear of; that it isn't on record comes second.
            try:
                self._append(action, {"record": entry.sequence, "error": type(error).__name__}, FAILED)
            except AuditError as unwritten:
                error.add_note(f"{unwritten}")
            raise

    def _append(
        self, action: str, details: dict[str, Detail], outcome: Literal["failed"] | None = None
    ) -> Entry:
        return self._explained(partial(self._appended, action, details, outcome))

    def _appended(self, action: str, details: dict[str, Detail], outcome: Literal["failed"] | None) -> Entry:
        with locked(self.path, write=True) as file:
            end, signed = self._read(file)
            notes: list[tuple[str, dict[str, Detail]]] = []
            if end.torn:
                notes.append((REPAIR, {"bytes": end.torn}))
            if signed is not None and end.sequence and not signed.ours:
                notes.append((UNSIGNED, {"records": end.sequence}))
            last, lines = end.last, []
            for place, (note, about) in enumerate(notes):
                last = self._entry(end.sequence + place, last, note, about, None).line()
                lines.append(last)
            entry = self._entry(end.sequence + len(notes), last, action, details, outcome)
            self._write(file, end, [*lines, entry.line()], None if signed is None else signed.tree)
            return entry

    def _read(self, file: BinaryIO) -> tuple[End, SignedTree | None]:
        end = read_end(file.fileno())
        return end, None if self._key is None else read_tree(self.path, file, end, self._key)

    def _try(self) -> None:
        try:
            with locked(self.path, write=True, make=False) as file:
                self._read(file)
        except FileNotFoundError:
            # Of a symbolic link, the file that it leads to is made.
            folder = Path(os.path.realpath(self.path)).parent
            if not os.access(folder, os.W_OK | os.X_OK):
                problem = errno.EACCES if folder.is_dir() else errno.ENOENT
                raise OSError(problem, os.strerror(problem)) from None

    def _explained(self, body: Callable[[], ResultT]) -> ResultT:
        """Do something with the file, and say of what goes wrong what it means."""
        try:
            return body()
        except OSError as error:
            problem = f"can't be written ({error.strerror})"
        except AuditError as error:
            problem = f"{error}"
        raise AuditError(f"{self.path}: {problem}; nothing is done without a record of it")

    def _entry(
        self,
        sequence: int,
        last: bytes | None,
        action: str,
        details: dict[str, Detail],
        outcome: Literal["failed"] | None,
    ) -> Entry:
        previous = START if last is None else chain_hash(last)
        return Entry(sequence, self._clock() // 1_000_000, self.actor, action, details, previous, outcome)

    def _write(self, file: BinaryIO, end: End, lines: list[bytes], tree: Tree | None) -> None:
        number = file.fileno()
        try:
            if end.torn:
                os.ftruncate(number, end.length)
            _write_all(number, b"".join(line + b"\n" for line in lines))
            os.fsync(number)
            if end.last is None:
                _sync_folder(self.path)
            if tree is not None and self._key is not None:
                for line in lines:
                    tree.append(leaf_hash(line))
                write_tree(self.path, file, tree, self._key)
        except OSError:
            # Not an interrupt: that may come after the checkpoint, which says that the record is there.
            with contextlib.suppress(OSError):
                os.ftruncate(number, end.length)
            raise


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(path: Path) -> None:
    """See that the name of a new file is on disk as well."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
