"""Every exception that leaves `interceptors`.

```
InterceptorError
├── ConfigurationError (ValueError)   while building, never while a message passes
│   ├── DocumentError                 .path; a document of another kind than a policy
│   ├── PolicyError                   .path in the document
│   │   └── TrustError                .problem: unsigned, too few signatures, expired, rolled back …
│   └── MissingExtraError (ImportError)   says what to install
├── EnvelopeError                     .answer: one of the five of the envelope's specification
├── KeyProviderError                  .problem: unknown, denied, exhausted, unreachable; .retryable
├── SignatureError                    bytes that are not what a key has signed
├── AuditError                        an audit log that can't be written, or doesn't hold
├── TokenError                        .problem: unknown, denied, limited, unreachable; .retryable
├── LeakError                         a publish that the policy blocks
└── RejectedError                     a receipt that the policy rejects
```

What belongs here: exception types and the words they are told apart by. What does not: raising them, or
anything that could carry a key, a plaintext, a payload or a header value into `args`. A name ends in
`Error` without exception.
"""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """Why an envelope does not open: the five answers of the specification, and no other.

    A wrong key, a wrong binding and an altered byte are one answer, `NOT_AUTHENTIC`, so that the answer
    tells an attacker nothing about which of them it was.
    """

    MALFORMED = "malformed"
    UNSUPPORTED_VERSION = "unsupported version"
    UNKNOWN_KEY = "unknown key"
    REVOKED_KEY = "revoked key"
    NOT_AUTHENTIC = "not authentic"


class KeyProblem(StrEnum):
    """What went wrong between us and the keys."""

    UNKNOWN = "unknown"
    DENIED = "denied"
    EXHAUSTED = "exhausted"
    UNREACHABLE = "unreachable"


class InterceptorError(Exception):
    """The root of everything that this library raises on its own account."""

    def __reduce__(self) -> tuple[object, ...]:
        """Be pickled as it is, so that a process pool can hand an error on whatever its arguments were."""
        return _again, (type(self), self.args), self.__dict__


class ConfigurationError(InterceptorError, ValueError):
    """A configuration, policy or key file that can't be used.

    Raised while something is built, never while a message passes. The text names the file, the place in
    it and the way out.
    """


class PolicyError(ConfigurationError):
    """A policy that can't be used.

    Attributes:
        path: where in the document, such as `channels[2].binding`; empty for the document itself.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        """Keep the place beside the text.

        Args:
            message: the whole text, place and remedy included.
            path: where in the document.
        """
        super().__init__(message)
        self.path = path


class MissingExtraError(ConfigurationError, ImportError):
    """An adapter was imported without the client library that it adapts."""

    def __init__(self, extra: str, module: str) -> None:
        """Say what to install.

        Args:
            extra: the extra of this distribution that brings the module.
            module: the module that is missing.
        """
        super().__init__(f"{module} is not installed; install it with: pip install 'interceptors[{extra}]'")
        self.extra = extra


class TrustProblem(StrEnum):
    """Why a document that has to be signed doesn't count."""

    UNSIGNED = "unsigned"
    MALFORMED = "malformed"
    WRONG_TYPE = "signed as something else"
    TOO_FEW = "too few signatures"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled back"


class TrustError(PolicyError):
    """A policy, or another document that has to be signed, that can't be trusted.

    Attributes:
        problem: why.
    """

    def __init__(self, message: str, *, problem: TrustProblem, path: str = "") -> None:
        """Keep the kind of problem beside the text.

        Args:
            message: the whole text, file and remedy included.
            problem: why it doesn't count.
            path: where in the document.
        """
        super().__init__(message, path=path)
        self.problem = problem


class SignatureError(InterceptorError):
    """Bytes that are not what they have to be: signed by a key. The text holds none of them."""


class AuditError(InterceptorError):
    """An audit log that can't be written, so that nothing is done; or one that was tampered with.

    The text names the file and, where a record is to blame, its place.
    """


class TokenProblem(StrEnum):
    """What went wrong between a caller and the token vault."""

    UNKNOWN = "unknown"
    DENIED = "denied"
    LIMITED = "limited"
    UNREACHABLE = "unreachable"


class TokenError(InterceptorError):
    """A token that is not made, or not resolved. The text holds no identifier.

    Attributes:
        problem: what went wrong.
        retryable: whether the same call may succeed later without anybody mending anything.
    """

    def __init__(self, message: str, *, problem: TokenProblem) -> None:
        """Keep the kind of problem beside the text.

        Args:
            message: what was asked for and what to do.
            problem: what went wrong.
        """
        super().__init__(message)
        self.problem = problem
        self.retryable = problem in (TokenProblem.LIMITED, TokenProblem.UNREACHABLE)


class EnvelopeError(InterceptorError):
    """An envelope that does not open. The text is the answer and nothing of the bytes."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer.

        Args:
            answer: which of the five.
        """
        super().__init__(answer.value)
        self.answer = answer


class KeyProviderError(InterceptorError):
    """Keys that can't be had.

    Attributes:
        problem: what went wrong.
        retryable: whether the same call may succeed later without anybody mending anything.
    """

    def __init__(self, message: str, *, problem: KeyProblem) -> None:
        """Keep the kind of problem beside the text.

        Args:
            message: what was asked for and what to do; never key material.
            problem: what went wrong.
        """
        super().__init__(message)
        self.problem = problem
        self.retryable = problem in (KeyProblem.UNREACHABLE, KeyProblem.EXHAUSTED)


class LeakError(InterceptorError):
    """A message that the channel's policy lets not be sent (`block`); nothing of it was.

    Attributes:
        channel: the channel's name.
        places: what was found where, such as `payment.card at $.card`; never the text.
    """

    def __init__(self, message: str, *, channel: str = "", places: tuple[str, ...] = ()) -> None:
        """Keep channel and places beside the text.

        Args:
            message: the whole text: it alone has to do where an error has come through a result backend.
            channel: the channel's name.
            places: what was found where.
        """
        super().__init__(message)
        self.channel = channel
        self.places = places


class RejectedError(InterceptorError):
    """A message that the channel's policy refuses (`accept: reject`).

    Attributes:
        channel: the channel's name.
        verdict: the verdict that the policy refuses.
        coordinate: where the message lies on its bus, such as (topic, partition, offset), so that it can
            be found again.
    """

    def __init__(self, *, channel: str, verdict: str, coordinate: tuple[object, ...] | None) -> None:
        """Say what was refused and where it lies.

        Args:
            channel: the channel's name.
            verdict: the verdict.
            coordinate: the place on the bus, where the bus has one.
        """
        place = f" at {coordinate!r}" if coordinate else ""
        super().__init__(f"channel {channel!r} rejects a message whose envelope is {verdict}{place}")
        self.channel = channel
        self.verdict = verdict
        self.coordinate = coordinate


def _again(kind: type[InterceptorError], args: tuple[object, ...]) -> InterceptorError:
    return kind.__new__(kind, *args)
