"""What a tracing is made of: out of its files, or for development."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.metrics import get_meter

from interceptors.audit import AuditLog
from interceptors.errors import ConfigurationError
from interceptors.keys.configured import key_provider
from interceptors.keys.signing_key import read_signing_key
from interceptors.policy.document import check_policy_document
from interceptors.policy.yaml_document import validate_document
from interceptors.spans.version import version
from interceptors.tracing.configuration import development_keys, read_configuration
from interceptors.tracing.export import Export
from interceptors.tracing.governing import Governing
from interceptors.tracing.policy_file import PolicyFile
from interceptors.tracing.trusting import is_production, need_trust, trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import MeterProvider

    from interceptors.keys import KeyProvider, MemoryKeys
    from interceptors.tracing.configuration import Configuration


class Parts(NamedTuple):
    """What `Tracing` takes, besides what a program passes to it."""

    policy: Governing
    keys: KeyProvider
    export: Export
    service: str
    tenant: str
    environment: str


def parts_of_file(path: Path, meter_provider: MeterProvider | None = None) -> Parts:
    """Make the parts that a configuration names.

    Args:
        path: the configuration.
        meter_provider: whose meter; without it, OpenTelemetry's global one.

    Raises:
        ConfigurationError: a file is missing, is not trusted or does not hold.
    """
    found = read_configuration(path)
    meter = get_meter("interceptors", version(), meter_provider)
    keys = key_provider(found.keys, found.service, f"{path}: keys", meter)
    policy = Governing.of_file(
        policy_file(found, str(path)), found.environment, time.time_ns, audit_log(found)
    )
    return Parts(policy, keys, found.export, found.service, found.tenant, found.environment)


def policy_file(configuration: Configuration, source: str) -> PolicyFile:
    """Give the policy's file that a configuration names.

    Args:
        configuration: the configuration.
        source: what to call it in errors.

    Raises:
        ConfigurationError: the trust document does not hold, or there is none in production.
    """
    trust = trust_of(configuration.trust)
    need_trust(trust, configuration.environment, source)
    state = None if configuration.trust_state is None else Path(configuration.trust_state)
    return PolicyFile(Path(configuration.policy), configuration.environment, trust=trust, state=state)


def audit_log(configuration: Configuration) -> AuditLog | None:
    """Give the audit log that a configuration names, if it names one.

    Raises:
        ConfigurationError: the key for its checkpoints can't be used.
    """
    if configuration.audit is None:
        return None
    key = None if configuration.audit.key is None else read_signing_key(configuration.audit.key)
    return AuditLog(configuration.audit.log, actor=configuration.service, key=key)


def parts_for_development(  # noqa: PLR0917 - those of `Tracing.for_development`
    service: str,
    tenant: str,
    environment: str,
    keys: MemoryKeys | Path | str | None,
    policy: Mapping[str, object] | Path | str | None,
    export: Mapping[str, object] | None,
) -> Parts:
    """Make the parts of a tracing that needs no files; see `Tracing.for_development`.

    Raises:
        ConfigurationError: the environment is production, or an argument does not hold.
    """
    if is_production(environment):
        msg = "for_development is refused where the environment is production; use Tracing.from_file"
        raise ConfigurationError(msg)
    if isinstance(policy, (str, Path)):
        file = PolicyFile(Path(policy), environment, trust=trust_of(None))
        governing = Governing.of_file(file, environment, time.time_ns)
    else:
        document = check_policy_document({"version": 1} | dict(policy or {}), "policy")
        governing = Governing.of_document(document, "policy", environment, time.time_ns)
    parsed = validate_document(Export, dict(export or {}), "export")
    return Parts(governing, development_keys(keys, service), parsed, service, tenant, environment)
