"""SoftHSM: a token that is files. It is a library, and no server, so that it is here in Docker or without."""

from __future__ import annotations

import ctypes.util
import os
from pathlib import Path

from . import packages

_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",  # Debian
    "/usr/lib64/pkcs11/libsofthsm2.so",  # Fedora
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def fetch() -> str:
    """Have the library, from Debian where it is missing, and say where it is.

    Raises:
        RuntimeError: it is missing and can't be installed; the text says what to do.
    """
    if not _found():
        if os.geteuid() != 0 or not packages.find("apt-get"):
            raise RuntimeError("SoftHSM is missing; install the package softhsm2, which only root can")
        packages.install("softhsm2")
    return _found()


def _found() -> str:
    there = [path for path in _LIBRARIES if Path(path).exists()]
    return there[0] if there else ctypes.util.find_library("softhsm2") or ""


class SoftHSM:
    """A place for tokens that is nobody else's, with one token.

    Attributes:
        module: the library.
        configuration: for the variable `SOFTHSM2_CONF`, which has to be set before the library is used.
        tokens: the folder that the token is in.
        label: the token's.
        pin: the user's PIN.
    """

    label = "tests"
    pin = "user-pin-1234"

    def __init__(self, home: Path) -> None:
        """Make the token.

        Args:
            home: an empty folder.

        Raises:
            RuntimeError: it can't be made; the text says what to do.
        """
        self.module = fetch()
        self.tokens = home / "tokens"
        self.tokens.mkdir()
        self.configuration = home / "softhsm2.conf"
        self.configuration.write_text(f"directories.tokendir = {self.tokens}\nlog.level = ERROR\n")
        packages.run(
            *("env", f"SOFTHSM2_CONF={self.configuration}", "softhsm2-util", "--init-token", "--free"),
            *("--label", self.label, "--so-pin", "so-pin-1234", "--pin", self.pin),
        )
