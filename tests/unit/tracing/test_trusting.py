"""Whose signatures count, where this is production, and who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from interceptors import ConfigurationError
from interceptors.errors import TrustError, TrustProblem
from interceptors.keys.signing_key import write_signing_key
from interceptors.tracing.trusting import (
    check_environment,
    is_production,
    need_trust,
    read_trust,
    trust_of,
)

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "INTERCEPTORS_ENVIRONMENT"


@pytest.mark.parametrize(
    ("environment", "variable", "production"),
    [
        ("production", "", True),
        ("Prod-eu", "", True),
        ("staging", "", False),
        ("staging", "PRODUCTION", True),
        (" production", "", True),
        ("staging", " production\n", True),
        ("", "staging", False),
    ],
)
def test_production_is_what_the_configuration_or_the_variable_calls_so(
    monkeypatch: pytest.MonkeyPatch, environment: str, variable: str, *, production: bool
) -> None:
    monkeypatch.setenv(VARIABLE, variable)
    assert is_production(environment) is production


def test_a_process_in_production_takes_no_other_environments_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_environment("staging", "interceptors.yaml")
    monkeypatch.setenv(VARIABLE, "production")
    check_environment("production", "interceptors.yaml")
    # Another name of production is another environment, whose bounds may be laxer, or none.
    for other in ("staging", "Production", "production-2"):
        with pytest.raises(ConfigurationError, match=rf"interceptors\.yaml: environment: '{other}' here"):
            check_environment(other, "interceptors.yaml")


def test_the_environments_trust_counts_over_the_configurations(
    signers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trust_of(None) is None
    weak = tmp_path / "weak.yaml"
    weak.write_text(signers.trust.read_text().replace("threshold: 2", "threshold: 1"))
    found = trust_of(str(weak))
    assert found is not None
    assert found.policy.threshold == 1
    monkeypatch.setenv("INTERCEPTORS_TRUST", str(signers.trust))
    found = trust_of(str(weak))
    assert found is not None
    assert found.policy.threshold == 2


def test_keys_lie_in_files_beside_the_trust_document(signers: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    write_signing_key(tmp_path / "keys" / "privacy.key", signers.privacy)
    text = signers.trust.read_text().replace(f"'{signers.privacy.public.raw.hex()}'", "keys/privacy.pub")
    signers.trust.write_text(text)
    assert signers.privacy.public in read_trust(signers.trust).policy.keys


def test_a_private_key_in_a_trust_document_is_refused(signers: Any, tmp_path: Path) -> None:
    write_signing_key(tmp_path / "privacy.key", signers.privacy)
    text = signers.trust.read_text().replace(f"'{signers.privacy.public.raw.hex()}'", "privacy.key")
    signers.trust.write_text(text)
    with pytest.raises(ConfigurationError, match=r"keys\.privacy\.public: .*holds a private key"):
        read_trust(signers.trust)


def test_production_needs_a_trust_document(signers: Any) -> None:
    need_trust(None, "staging", "interceptors.yaml")
    need_trust(read_trust(signers.trust), "production", "interceptors.yaml")
    with pytest.raises(TrustError, match=r"interceptors\.yaml: this is production") as raised:
        need_trust(None, "production", "interceptors.yaml")
    assert raised.value.problem is TrustProblem.UNSIGNED
