"""What a native Kafka runs on, from Maven."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from . import packages
from .cache import made_once

if TYPE_CHECKING:
    from .kind import Kind

_POM = Path(__file__).with_name("kafka.pom.xml")


def fetch_jars(kind: Kind) -> Path:
    """Have the jars on this machine, and say where they are.

    Raises:
        RuntimeError: something can't be fetched; the text says what to do about it.
    """

    def fetch(scratch: Path) -> Path:
        packages.require(kind, {"mvn": "maven"})
        # A copy, so that Maven leaves nothing of its own in the repository.
        pom = str(shutil.copy(_POM, scratch))
        fetched = scratch / "jars"
        packages.run(
            *("mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", pom),
            *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"),
        )
        return fetched

    return made_once("kafka", _POM, fetch)
