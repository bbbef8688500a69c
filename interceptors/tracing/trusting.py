"""Whose signatures count for this process, and whether it is in production."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError, TrustError, TrustProblem
from interceptors.keys.signing_key import read_verification_key
from interceptors.policy.trust import parse_trust
from interceptors.tracing.reading import read_text

if TYPE_CHECKING:
    from interceptors.policy.trust import Trust

TRUST_VARIABLE = "INTERCEPTORS_TRUST"
ENVIRONMENT_VARIABLE = "INTERCEPTORS_ENVIRONMENT"
_PRODUCTION = "prod"


def is_production(environment: str) -> bool:
    """Tell whether this is production: by a name, or by what `INTERCEPTORS_ENVIRONMENT` says."""
    return any(name.strip().casefold().startswith(_PRODUCTION) for name in (environment, _said()))


def check_environment(environment: str, source: str) -> None:
    """Refuse a configuration that is another environment's, where the process is told to be in production.

    Else its author could choose the rules of a laxer environment: one that the policy names no bounds for is
    one, too, however it is spelled.

    Raises:
        ConfigurationError: the variable says production, and the configuration doesn't say the same.
    """
    said = _said()
    if is_production("") and environment != said:
        raise ConfigurationError(
            f"{source}: environment: {environment!r} here, and {said!r} in {ENVIRONMENT_VARIABLE}; "
            "give this service the configuration of that environment"
        )


def _said() -> str:
    return os.environ.get(ENVIRONMENT_VARIABLE, "").strip()


def read_trust(path: Path) -> Trust:
    """Read a trust document, and the keys in the files that it names.

    Raises:
        ConfigurationError: it can't be read, or does not hold.
    """
    text = read_text(path, "interceptors policy trust")
    return parse_trust(text, str(path), read=lambda name: read_verification_key(path.parent / name))


def trust_of(named: str | None) -> Trust | None:
    """Read the trust document that counts: the environment's, else the configuration's.

    Args:
        named: the configuration's.

    Returns:
        What it says; None where there is neither.

    Raises:
        ConfigurationError: it can't be read, or does not hold.
    """
    path = os.environ.get(TRUST_VARIABLE) or named
    return read_trust(Path(path)) if path else None


def need_trust(trust: Trust | None, environment: str, source: str) -> None:
    """Refuse to go without a trust document in production.

    Raises:
        TrustError: there is none.
    """
    if trust is None and is_production(environment):
        raise TrustError(
            f"{source}: this is production, where a policy has to be signed, and nothing says by whom; name "
            f"a trust document under `trust` or in {TRUST_VARIABLE}",
            problem=TrustProblem.UNSIGNED,
            path="trust",
        )
