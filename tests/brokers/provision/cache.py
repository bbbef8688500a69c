"""What takes long to make, kept on this machine for every later run of the tests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def made_once(name: str, recipe: Path, make: Callable[[Path], Path]) -> Path:
    """A folder that is made at most once for each content of its recipe, and appears only complete.

    Args:
        name: what the folder's name begins with.
        recipe: the file that says all that is in the folder.
        make: given an empty folder to work in, which is removed afterwards; gives the folder below it that
            is to be kept.

    Raises:
        RuntimeError: it can't be made; `make` says what to do about it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interceptors-tests"
    kept = cache / f"{name}-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"
    if kept.is_dir():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = make(Path(scratch))
        try:
            made.rename(kept)
        except OSError:
            if not kept.is_dir():  # otherwise somebody else was faster with the same
                raise
    return kept
