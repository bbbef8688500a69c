"""What a native Kafka runs on, from Maven."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import packages

if TYPE_CHECKING:
    from .kind import Kind

_POM = Path(__file__).with_name("kafka.pom.xml")


def fetch_jars(kind: Kind) -> Path:
    """Have the jars on this machine, and say where they are.

    Fetches at most once for each content of the pom: the folder is named for it, and appears only complete.

    Raises:
        RuntimeError: something can't be fetched; the text says what to do about it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interceptors-tests"
    jars = cache / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    packages.require(kind, {"mvn": "maven"})
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        # A copy, so that Maven leaves nothing of its own in the repository.
        pom = str(shutil.copy(_POM, scratch))
        fetched = Path(scratch) / "jars"
        packages.run(
            *("mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", pom),
            *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"),
        )
        try:
            fetched.rename(jars)
        except OSError:
            if not jars.is_dir():  # otherwise somebody else was faster with the same
                raise
    return jars
