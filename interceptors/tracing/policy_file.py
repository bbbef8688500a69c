"""The policy's file: read, held to what the trust document asks for, and looked at for changes."""

from __future__ import annotations

import contextlib
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, NamedTuple

import pydantic
from pydantic import Field, StringConstraints

from interceptors.errors import ConfigurationError, PolicyError, TrustError, TrustProblem
from interceptors.files import replace_file
from interceptors.policy.compiling import Compiler
from interceptors.policy.document import parse_policy_document
from interceptors.policy.signed import Seen, check_fresh, open_unchecked, verify
from interceptors.policy.trust import RoleName
from interceptors.tracing.in_force import phases
from interceptors.tracing.reading import decoded, read_content, unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.policy import Policy, PolicyDocument
    from interceptors.policy.governance_document import ExceptionEntry
    from interceptors.policy.trust import Trust
    from interceptors.tracing.in_force import Phase

_Look = tuple[int, int, int]


class PolicyRead(NamedTuple):
    """A policy that may be taken up."""

    document: PolicyDocument
    phase: Phase
    """What it is in one environment, now and later."""
    digest: str
    """The SHA-256 of its text, in hex."""
    signers: tuple[str, ...] = ()
    seen: Seen | None = None
    """What has been seen once it is taken up; None where nobody has to sign."""

    def exceptions(self, environment: str, now: int) -> list[ExceptionEntry]:
        """Give the exceptions that hold in an environment at a time (milliseconds since the epoch)."""
        return [entry for entry in self.document.exceptions if entry.holds(environment, now)]


def compiled(  # noqa: PLR0917 - what it is made of
    document: PolicyDocument,
    source: str,
    environment: str,
    now: int,
    digest: str,
    signers: tuple[str, ...] = (),
    seen: Seen | None = None,
) -> PolicyRead:
    """Compile a policy for an environment, from a time on.

    Raises:
        PolicyError: a combination that nothing could satisfy; or the document spells the environment
            otherwise, so that its bounds would not be found.
    """
    for name in document.environments:
        if name != environment and name.casefold() == environment.casefold():
            path = f"environments.{name}"
            problem = f"the service calls its environment {environment!r}; spell it one way, in both places"
            raise PolicyError(f"{source}: {path}: {problem}", path=path)
    compiler = Compiler(document, source)

    def at(time: int | None) -> Policy:
        return compiler.compile(environment, time)

    return PolicyRead(document, phases(at, now), digest, signers, seen)


class PolicyFile:
    """A file with a policy.

    Attributes:
        path: where it lies.
        digest: the SHA-256, in hex, of what was read from it last; empty before that.
    """

    def __init__(
        self, path: Path, environment: str, *, trust: Trust | None = None, state: Path | None = None
    ) -> None:
        """Take a file. Nothing is read yet.

        Args:
            path: where it lies.
            environment: the deployment environment, whose bounds and exceptions hold.
            trust: whose signatures count; without it the file is read whether it is signed or not.
            state: where it is kept which policy was the newest. Default: beside the policy, with `.seen`.
        """
        self.path = path
        self.digest = ""
        self._environment = environment
        self._trust = trust
        self._state = state or path.with_name(f"{path.name}.seen")
        self._looked: _Look | None = None
        self._seen: Seen | None = None

    def changed(self) -> bool:
        """Tell whether the file is another one than when this was last asked.

        Raises:
            ConfigurationError: it is not there.
        """
        try:
            found = self.path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            self._looked = None
            raise unreadable(self.path, error, "interceptors init") from None
        looked = found.st_ino, found.st_mtime_ns, found.st_size
        changed = looked != self._looked
        self._looked = looked
        return changed

    def look_again(self) -> None:
        """Have the file count as changed, since it could not be taken up for a reason that may pass."""
        self._looked = None

    def read(self, now: int) -> PolicyRead:
        """Read the policy.

        Args:
            now: milliseconds since the epoch.

        Returns:
            The policy. It counts as seen only with `take_up`.

        Raises:
            TrustError: it is not signed as it has to be, has expired, or is older than one that was seen.
            PolicyError: it does not hold.
            ConfigurationError: it, or what was seen before, can't be read.
        """
        source = str(self.path)
        self.digest = ""
        raw = read_content(self.path, "interceptors init")
        self.digest = sha256(raw).hexdigest()
        if self._trust is None:
            content = open_unchecked(raw, RoleName.POLICY, source)
        else:
            content = verify(raw, RoleName.POLICY, self._trust, source)
        document = parse_policy_document(decoded(content.text, source), source)
        seen = None
        if self._trust is not None:
            last = _newer(self._seen, _read_seen(self._state))
            seen = check_fresh(document, content.digest, self._trust, last, now, source)
        return compiled(document, source, self._environment, now, content.digest, content.signers, seen)

    def take_up(self, read: PolicyRead) -> None:
        """Keep that a policy was seen, so that none that is older is taken up later.

        Raises:
            TrustError: another process that keeps it in the same file has taken up a newer one meanwhile.
            ConfigurationError: that can't be written.
        """
        last = _newer(self._seen, _read_seen(self._state))
        if read.seen is None or read.seen == last:
            self._seen = read.seen
            return
        if last is not None and last.serial >= read.seen.serial:  # by another process, since this was read
            raise TrustError(
                f"{self.path}: serial: a policy with the serial {last.serial} was seen meanwhile",
                problem=TrustProblem.ROLLED_BACK,
                path="serial",
            )
        content = json.dumps(read.seen._asdict()) + "\n"
        try:
            replace_file(self._state, content.encode())
        except OSError as error:
            raise ConfigurationError(
                f"{self._state}: can't be written ({error.strerror}), so that an older policy could be put "
                "in place of this one; name a place under `trust_state` that this service can write to"
            ) from None
        self._seen = read.seen


def _newer(one: Seen | None, other: Seen | None) -> Seen | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda seen: seen.serial)


class _SeenFile(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    serial: Annotated[int, Field(ge=1)]
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _read_seen(path: Path) -> Seen | None:
    """Give what was seen last; None where nothing was.

    Raises:
        ConfigurationError: the file does not say.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: can't be read ({error.strerror}), so that nobody knows which policy was seen last; "
            "let this service read it, or name another place under `trust_state`"
        ) from None
    with contextlib.suppress(pydantic.ValidationError):
        found = _SeenFile.model_validate_json(content)
        return Seen(found.serial, found.digest)
    raise ConfigurationError(
        f"{path}: doesn't say which policy was seen last; see with `interceptors policy verify` that the "
        "policy is the newest, and remove the file"
    )
