"""Signed documents: what a DSSE envelope has to be before a policy, or a configuration, in it counts.

Rules it keeps:

* nothing of the payload is parsed before enough keys of the right role have signed it as what it is read as:
  a configuration is no policy, whoever has signed it;
* a key counts once, and a signature by a key that the role doesn't name counts nothing;
* of two policies with one serial one is refused, and so is one with a lower serial than was seen;
* bytes, keys and the time come in, and a verdict goes out: files and clocks are somebody else's.
"""

from __future__ import annotations

import contextlib
import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import SignatureError, TrustError, TrustProblem
from interceptors.policy.trust import RoleName
from interceptors.signatures import Signed, parse_signed

if TYPE_CHECKING:
    from interceptors.policy.document import PolicyDocument
    from interceptors.policy.trust import Trust

PAYLOAD_TYPES = {
    RoleName.POLICY: "application/vnd.interceptors.policy.v1+yaml",
    RoleName.DEPLOYMENT: "application/vnd.interceptors.configuration.v1+yaml",
}
_BEGINNING = re.compile(rb'\s*\{\s*"(?:payload|payloadType|signatures)"\s*:')
"""No policy, configuration or trust document has one of these keys at its top."""
LARGEST = 4 << 20
"""Bytes of a file. One that is larger is not read to its end."""


class Content(NamedTuple):
    """What a file holds, signed or not."""

    text: bytes
    signers: tuple[str, ...] = ()
    """The names of those who have signed, as far as they count."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text).hexdigest()


class Seen(NamedTuple):
    """The newest policy that was taken up."""

    serial: int
    digest: str


def is_signed(content: bytes) -> bool:
    """Tell whether a file is a DSSE envelope, or what is left of one, and no document in clear."""
    return _BEGINNING.match(content) is not None


def open_unchecked(content: bytes, role: RoleName, source: str) -> Content:
    """Give what is in a file where nobody says whose signatures count: anybody's text, signed or not.

    Args:
        content: the file.
        role: what it is read as.
        source: what to call it in errors.

    Raises:
        TrustError: it is damaged, too large, or signed as something else.
    """
    _check_size(content, source)
    return Content(_parsed(content, role, source).payload if is_signed(content) else content)


def verify(content: bytes, role: RoleName, trust: Trust, source: str) -> Content:
    """Give what is in a signed file.

    Args:
        content: the file.
        role: whose signatures it takes, and so what it is read as.
        trust: whose those are.
        source: what to call it in errors.

    Returns:
        The text, as it was signed, and by whom.

    Raises:
        TrustError: it is not signed, damaged, too large, signed as something else, or by too few.
    """
    _check_size(content, source)
    if not is_signed(content):
        raise TrustError(
            f"{source}: not signed, and {trust.source} says who has to; run: interceptors policy sign",
            problem=TrustProblem.UNSIGNED,
        )
    signed = _parsed(content, role, source)
    held = trust.role(role)
    if held is None:
        raise TrustError(
            f"{source}: {trust.source} names nobody who signs it; give it the role `{role}`",
            problem=TrustProblem.TOO_FEW,
        )
    signers = tuple(sorted(held.keys[key] for key in signed.signers(held.keys)))
    if len(signers) < held.threshold:
        raise TrustError(
            f"{source}: {len(signers)} of the {held.threshold} signatures that the role `{role}` of "
            f"{trust.source} takes; let more of {', '.join(sorted(held.keys.values()))} sign it",
            problem=TrustProblem.TOO_FEW,
        )
    return Content(signed.payload, signers)


def check_fresh(  # noqa: PLR0917 - what is checked, and against what
    document: PolicyDocument, digest: str, trust: Trust, seen: Seen | None, now: int, source: str
) -> Seen:
    """Check that a policy is the newest one and has not expired.

    Args:
        document: the policy.
        digest: of its text.
        trust: the lowest serial.
        seen: what was taken up last; None where nothing is known of that.
        now: milliseconds since the epoch.
        source: what to call it in errors.

    Returns:
        What has been seen once it is taken up.

    Raises:
        TrustError: it has expired; its serial is missing, lower than one that was seen, or another policy's.
    """
    if document.expires is not None and now >= document.expires:
        raise TrustError(
            f"{source}: expires: the policy has expired; sign one that ends later",
            problem=TrustProblem.EXPIRED,
            path="expires",
        )
    lowest = max(trust.minimum_serial, 0 if seen is None else seen.serial)
    problem = ""
    if document.serial is None:
        problem = "a policy that is signed has a serial, which counts up with every change; add it"
    elif document.serial < lowest:
        problem = (
            f"{document.serial} is lower than {lowest}, which was seen or is the least; sign a newer one"
        )
    elif seen is not None and document.serial == seen.serial and digest != seen.digest:
        problem = f"another policy with the serial {document.serial} was seen; count it up, and sign again"
    if document.serial is None or problem:
        raise TrustError(f"{source}: serial: {problem}", problem=TrustProblem.ROLLED_BACK, path="serial")
    return Seen(document.serial, digest)


def _check_size(content: bytes, source: str) -> None:
    if len(content) > LARGEST:
        raise TrustError(
            f"{source}: larger than {LARGEST >> 20} MiB; no policy is", problem=TrustProblem.MALFORMED
        )


def _parsed(content: bytes, role: RoleName, source: str) -> Signed:
    signed: Signed | None = None
    with contextlib.suppress(SignatureError):
        signed = parse_signed(content)
    if signed is None:
        raise TrustError(
            f"{source}: begins as a DSSE envelope and is none; get the file anew",
            problem=TrustProblem.MALFORMED,
        )
    if signed.payload_type != PAYLOAD_TYPES[role]:
        raise TrustError(
            f"{source}: signed as something else than {PAYLOAD_TYPES[role]}; name the right file",
            problem=TrustProblem.WRONG_TYPE,
        )
    return signed
