"""The file of a log, opened and locked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING, BinaryIO

from interceptors.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 10.0
"""How long to wait for others."""
_POLL_S = 0.01


@contextlib.contextmanager
def locked(path: Path, *, write: bool, make: bool = True) -> Iterator[BinaryIO]:
    """Open a log, and keep writers away for as long as the body runs.

    The lock is that of `flock(2)`, on a description of the file that is opened for this alone. So threads
    keep each other away as well as processes do.

    Args:
        path: the log.
        write: whether to write, alone, to the end of it; else to read, as others may at the same time.
        make: whether to make it where there is none, to write to it.

    Yields:
        The file, to read from; whoever writes does so by its descriptor.

    Raises:
        AuditError: it is no ordinary file, others have had it for 10 seconds, or it was replaced by another
            one meanwhile.
        OSError: it can't be opened.
    """
    # Without waiting: to open a pipe, others have to be there.
    flags = os.O_NONBLOCK | (os.O_RDWR | os.O_APPEND if write else os.O_RDONLY)
    if write and make:
        flags |= os.O_CREAT
    try:
        file = os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o600), "rb")
    except ValueError:  # a NUL
        raise AuditError("not a path") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise AuditError("no ordinary file")
        _lock(file, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
        try:
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # noqa: PTH116 - as samestat takes it
                raise AuditError("replaced by another file meanwhile")
            yield file
        finally:
            # Closing would do, were it not for a child that was forked meanwhile and has the file open, too.
            fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: BinaryIO, kind: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        if time.monotonic() > deadline:
            raise AuditError(f"locked by another process for {WAIT_S:.0f} seconds")
        time.sleep(_POLL_S)  # flock(2) waits for ever or not at all
