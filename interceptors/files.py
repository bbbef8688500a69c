"""Files that are written whole, for their owner alone, and how a file's name is shown.

What belongs here: the one way to replace a file, and the one to write down its name. What does not: what any
file holds, and what is said of one that can't be written.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whole, also after a crash.

    Args:
        path: where; its folder is there.
        content: what it is to hold. The file has mode 0600 from its first byte.

    Raises:
        OSError: the folder can't be written, or is full; the old file is as it was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def shown(name: str) -> str:
    """Give the name of a file so that it does nothing to a terminal, whatever is in it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
