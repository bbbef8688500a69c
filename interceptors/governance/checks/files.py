"""Which files of a tree are checked, and as what."""

from __future__ import annotations

import fnmatch
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError, TrustError, TrustProblem
from interceptors.policy.signed import is_signed, open_unchecked
from interceptors.policy.trust import RoleName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

EXCLUDED = (
    *(".git", ".hg", ".venv", "venv", "node_modules", "build", "dist", "site-packages", "__pycache__"),
    *(".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tox"),
)
"""Folders that hold nothing of the project's own."""

_LARGEST = 4 << 20
_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "interceptors.yaml", "interceptors.yml")
_POLICY_NAME = re.compile(r"(.*[._-])?policy([._-].*)?\.ya?ml")
_CONFIGURATION_NAME = re.compile(r"(.*[._-])?interceptors([._-].*)?\.ya?ml")
_MANIFEST = re.compile(r"^(apiVersion|AWSTemplateFormatVersion|kind):", re.MULTILINE)
"""What a document of Kubernetes or of CloudFormation has: those have policies, too, and are not ours."""
_POLICY_SHAPE = re.compile(r"^version:\s*1\s*(#.*)?$", re.MULTILINE)
_POLICY_KEYS = re.compile(r"^(channels|default):", re.MULTILINE)
_CONFIGURATION_KEYS = re.compile(r"^(service|tenant|keys|policy):", re.MULTILINE)
_REQUIRED = {"service", "tenant", "keys", "policy"}
_KEY_FILE = re.compile(r'"(sender_key|wrapped_key|root|wrapped_root)"\s*:\s*"')


class Kind(StrEnum):
    """What a file is checked as."""

    POLICY = "policy"
    CONFIGURATION = "configuration"
    PYTHON = "python"
    KEYS = "keys"


class File(NamedTuple):
    """A file to check."""

    path: Path
    shown: str
    """What findings call it."""
    kind: Kind
    text: str
    readable: bool
    """Whether it is UTF-8 text; if not, the text is empty."""
    project: Path
    """The folder of the project that it belongs to."""


def files_in(paths: Iterable[Path], exclude: Sequence[str] = ()) -> Iterator[File]:
    """Find what is to be checked.

    Args:
        paths: files and folders. What a folder holds besides what is checked is passed over.
        exclude: globs of paths or names that are left out of folders, besides `EXCLUDED`.

    Yields:
        Each file once, in the order of their names.

    Raises:
        ConfigurationError: a path that is not there, or a file that is named and is none of those to check.
        TrustError: one that is named, and signed, is damaged.
    """
    found: dict[Path, Path] = {}
    named: set[Path] = set()
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path, exclude), path))
        elif path.is_file():
            found[path] = path.parent
            named.add(path.resolve())
        else:
            msg = f"{path}: there is no such file or folder; name one that is"
            raise ConfigurationError(msg)
    seen: set[Path] = set()
    for path in sorted(found):
        if (real := path.resolve()) in seen:
            continue
        seen.add(real)
        file = _read(path, found[path], named=real in named)
        if file is not None:
            yield file
        elif real in named:
            # To pass over what somebody asks about would tell them that nothing is wrong with it.
            msg = (
                f"{path}: not looked at: larger than {_LARGEST >> 20} MiB, or neither Python nor known as a "
                "policy, a configuration or a key file; call a policy policy.yaml and a configuration "
                "interceptors.yaml, or name a folder"
            )
            raise ConfigurationError(msg)


def _below(folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        at = Path(here)
        folders[:] = [name for name in folders if name not in EXCLUDED and not _left_out(at / name, exclude)]
        yield from (at / name for name in names if not _left_out(at / name, exclude))


def _left_out(path: Path, exclude: Sequence[str]) -> bool:
    shown = path.as_posix()
    return any(
        fnmatch.fnmatch(shown, glob)
        or fnmatch.fnmatch(path.name, glob)
        or fnmatch.fnmatch(shown, f"*/{glob}")
        for glob in exclude
    )


def _read(path: Path, root: Path, *, named: bool) -> File | None:
    """Give a file that is one of those to check."""
    suffix = path.suffix
    if suffix not in {".py", ".yaml", ".yml", ".json"}:
        return None
    try:
        if path.stat().st_size > _LARGEST:
            return None
        content = path.read_bytes()
    except OSError:
        content = b"\xff"  # a finding, as what is not text
    signed_as = None
    if suffix != ".py" and is_signed(content):
        if not named:
            return None  # what was signed is checked where it is written
        signed_as, content = _opened(content, str(path))
    try:
        text, readable = content.decode("utf-8-sig"), True
    except UnicodeDecodeError:
        text, readable = "", False
    kind = signed_as or _kind(path, text)
    if kind is None:
        return None
    return File(path, _shown(path), kind, text, readable, _project_of(path, root))


def _opened(content: bytes, source: str) -> tuple[Kind, bytes]:
    """Give what was signed, and as what. No signature is checked: `policy verify` does that."""
    try:
        return Kind.POLICY, open_unchecked(content, RoleName.POLICY, source).text
    except TrustError as error:
        if error.problem is not TrustProblem.WRONG_TYPE:
            raise
    return Kind.CONFIGURATION, open_unchecked(content, RoleName.DEPLOYMENT, source).text


def _kind(path: Path, text: str) -> Kind | None:
    if path.suffix == ".py":
        return Kind.PYTHON
    if path.suffix == ".json":
        return Kind.KEYS if _KEY_FILE.search(text) else None
    if _MANIFEST.search(text):
        return None
    named = _POLICY_NAME.fullmatch(path.name)
    if _CONFIGURATION_NAME.fullmatch(path.name) and not named:
        return Kind.CONFIGURATION
    if named or (_POLICY_SHAPE.search(text) and _POLICY_KEYS.search(text)):
        return Kind.POLICY
    return Kind.CONFIGURATION if set(_CONFIGURATION_KEYS.findall(text)) == _REQUIRED else None


def _shown(path: Path) -> str:
    return Path(os.path.relpath(path)).as_posix() if path.is_absolute() else path.as_posix()


def _project_of(path: Path, root: Path) -> Path:
    for folder in path.parents:
        if any((folder / name).exists() for name in _PROJECT):
            return folder
        if folder == root:
            break
    return root
