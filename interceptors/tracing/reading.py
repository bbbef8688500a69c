"""Files that people write: read whole, but no more than anybody would write, and as UTF-8."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError
from interceptors.policy.signed import LARGEST

if TYPE_CHECKING:
    from pathlib import Path


def read_content(path: Path, remedy: str) -> bytes:
    """Read a file.

    Args:
        path: where it lies.
        remedy: the command that makes one.

    Returns:
        What it holds; of a file that is too large, one byte more than is taken.

    Raises:
        ConfigurationError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unreadable(path, error, remedy) from None


def unreadable(path: Path, error: OSError | ValueError, remedy: str) -> ConfigurationError:
    """Give the error for a file that can't be read.

    Args:
        path: the file.
        error: what was raised; a ValueError for a path that is none.
        remedy: the command that makes one.
    """
    reason = error.strerror if isinstance(error, OSError) else "not a path"
    return ConfigurationError(f"{path}: can't be read ({reason}); a starter is made by: {remedy}")


def decoded(content: bytes, source: str) -> str:
    """Give the text of a file.

    Raises:
        ConfigurationError: it is not UTF-8.
    """
    with contextlib.suppress(UnicodeDecodeError):
        return content.decode()
    # Out here, so that the codec's error, which holds the text, is not the context of ours.
    raise ConfigurationError(f"{source}: not UTF-8 text; save it as UTF-8")


def read_text(path: Path, remedy: str) -> str:
    """Read a text file.

    Raises:
        ConfigurationError: it can't be read, or is no text; the text names the command that makes one.
    """
    return decoded(read_content(path, remedy), str(path))
