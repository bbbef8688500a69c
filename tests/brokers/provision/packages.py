"""Programs that native servers run on, from Debian where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .kind import Kind

# Debian's own place for RabbitMQ's script. What it puts on the PATH is a wrapper that only root and the user
# rabbitmq may run.
_FIRST = "/usr/lib/rabbitmq/bin"


def find(program: str) -> str | None:
    """Where a program is, if it is here."""
    return shutil.which(program, path=os.pathsep.join([_FIRST, os.environ.get("PATH", os.defpath)]))


def require(kind: Kind, programs: Mapping[str, str]) -> None:
    """Have these programs here; the names of the Debian packages that they are in come with them.

    Raises:
        RuntimeError: one is missing and can't be installed; the text says what to do.
    """
    packages = sorted(package for program, package in programs.items() if not find(program))
    if not packages:
        return
    if os.geteuid() != 0 or not find("apt-get"):
        raise missing(kind, f"{' '.join(packages)}, which only root can install with apt-get")
    install(*packages)


def install(*packages: str) -> None:
    """Install Debian packages, which only root can.

    Raises:
        RuntimeError: that failed.
    """
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages)


def missing(kind: Kind, what: str) -> RuntimeError:
    """The error for what is not here and can't be fetched. It says what to do, and how to do without."""
    return RuntimeError(
        f"a native {kind.name} needs {what}. Either install that, or start Docker, or name a server in"
        f" {kind.variable}, or leave out what needs one with BROKERS=none"
    )


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command that says nothing unless it fails, in which case what it said is in the error.

    Args:
        command: the program and its arguments.
        cwd: the folder to run it in, if not the current one.

    Raises:
        RuntimeError: it failed.
    """
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(  # noqa: S603 - ours
        command, cwd=cwd, env=quiet, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
