"""Files that are written whole, for their owner alone, and how a file's name is shown.

What belongs here: the one way to replace a file, the one to follow a link to it, and the one to write down
its name. What does not: what any file holds, and what is said of one that can't be written.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

_MOST_LINKS = 40
"""As many as Linux follows (path_resolution(7))."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whole, also after a crash.

    Args:
        path: where; its folder is there. What a symbolic link leads to is replaced, and the link stays.
        content: what it is to hold. The file has mode 0600 from its first byte.

    Raises:
        OSError: the folder can't be written, or is full, or the path is a symbolic link that is not followed
            (`followed`); the old file is as it was.
    """
    path = followed(path)
    # `tempfile` takes `..` for the folder before it in the path, which is another one behind a link.
    handle, name = tempfile.mkstemp(dir=os.path.realpath(path.parent), prefix=f".{path.name}.")
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


def followed(path: Path) -> Path:
    """Give the file that a symbolic link leads to, over others maybe; of any other path, the path itself.

    Args:
        path: any path, of a file that may be there or not.

    Raises:
        OSError: one of the links is another user's, and not root's: where it leads is not for them to say. Or
            they lead in a circle.
    """
    step = path
    for _ in range(_MOST_LINKS):
        try:
            found = step.lstat()
        except (OSError, ValueError):  # not there, or not to be looked at: whoever opens it says so
            break
        if not stat.S_ISLNK(found.st_mode):
            break
        if found.st_uid not in {0, os.geteuid()}:
            raise PermissionError(errno.EPERM, "a symbolic link that another user has made", str(path))
        step = step.parent / step.readlink()
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return path if step is path else Path(os.path.realpath(step))


def shown(name: str) -> str:
    """Give the name of a file so that it does nothing to a terminal, whatever is in it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
