"""`interceptors init`: the starter of a service."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from interceptors.cli.keys import file_name
from interceptors.errors import ConfigurationError
from interceptors.keys import KeyAdministration

_CONFIGURATION = """\
# The configuration of one service. Paths are relative to this file.

# The service's name: the sender of its envelopes, and `service.name` of its spans.
service: {service}

# Where it runs. `production` refuses what is only fit for development.
environment: development

# Whose messages these are, where neither a received message nor `tracing.tenant(...)` says otherwise.
tenant: {tenant}

# The service's own key file, made by `interceptors keys grant`. Mode 0600; never commit it.
keys: {keys}

# What may travel, and on which topics and queues.
policy: policy.yaml

# Where spans go. Leave it out to record none.
export:
  file:
    path: spans.jsonl # one OTLP-JSON span a line
  # otlp: {{endpoint: "http://localhost:4318"}} # a Collector, Jaeger, Tempo, a vendor; with the extra `otlp`
"""

_POLICY = """\
# What may travel: the rules that hold for every service on these channels. Share one file among them.
version: 1

channels:
  # The logical name. Envelopes are bound to it, so it stays the same wherever the channel lies.
  - name: orders
    # Where the channel lies, mirrors, retries and dead letters included. Globs may be used.
    match:
      kafka: [orders, orders.retry, orders.dead-letter]
      # rabbitmq: [orders, orders.checkout, orders.dead-letter] # exchanges, and the queues behind them
      # celery: [orders] # queues
    # For people, the catalog and the checks: who answers for the channel, what its data is for, and why it
    # may be processed (GDPR, Article 6(1)); who reads it; how long what is recorded of it is kept.
    owner: shop
    purpose: to take an order and deliver it
    lawful_basis: contract
    # consumers: [billing]
    retention: 30d
    # What producers attach: `sealed` (an envelope) or `none`.
    emit: sealed
    # What consumers do: `optional`, `required` (a message without an envelope is noted as missing),
    # `reject` (a message whose trace may not continue is refused) or `none` (stripped, unopened).
    accept: optional
    # The services whose envelopes count. Left out: each whose key the consumer holds.
    # senders: [checkout]
    # What an envelope is bound to, so that it counts nowhere else: `tenant`, `channel`, `type` or `message`.
    # Left out: `type` (the task's name) on Celery, `channel` elsewhere.
    # binding: message
    # An older envelope is stale. Longer than the topics' retention plus the time in dead letters.
    max_age: 7d
    # What stands where in the messages, and what becomes of it as it is sent, whatever it holds: `keep`,
    # `tokenize`, `redact` or `drop`.
    fields:
      - {path: $.customer.name, class: personal.name, handling: redact}

# What nobody may go below, whatever a channel says. `interceptors policy explain orders` shows what decides.
# baseline:
#   accept: required

# What holds where a channel does not say otherwise, and for topics and queues that no channel lists.
default:
  emit: sealed
  accept: optional
"""

_NOT_COMMITTED = b"*.json"


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")] = Path(),
    service: Annotated[str, typer.Option(metavar="NAME", help="What the service is called.")] = "my-service",
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose messages it handles.")] = "development",
) -> None:
    """Write a starter: a configuration, a policy, and keys for development. Overwrites nothing.

    Exit status 1 if a file was there already and has been kept.
    """
    key_file = file_name(service, ".json", "give another name with --service")
    quoted = {
        "service": json.dumps(service, ensure_ascii=False),
        "tenant": json.dumps(tenant, ensure_ascii=False),
        "keys": json.dumps(f"keys/{key_file}", ensure_ascii=False),
    }
    texts = {
        directory / "interceptors.yaml": _CONFIGURATION.format_map(quoted),
        directory / "policy.yaml": _POLICY,
    }
    roots, keys = directory / "keys" / "roots.json", directory / "keys" / key_file
    if keys == roots:
        raise ConfigurationError(f"{roots} is for the roots; give another name with --service")
    kept = [file for file in (*texts, roots, keys) if file.exists()]
    # Roots and keys are made together or not at all: a grant would change roots that were there.
    make_keys = roots not in kept and keys not in kept
    if make_keys:
        administration = KeyAdministration(roots)
        administration.root(tenant)
        administration.grant(service, tenant, [], keys)
    try:
        roots.parent.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            if file not in kept:
                file.write_text(text, encoding="utf-8")
        _keep_out_of_git(roots.parent / ".gitignore")
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: can't be written ({error.strerror}); give another folder"
        ) from None
    for file in (*texts, roots, keys):
        if file in kept:
            typer.echo(f"kept {file}: it was there already")
        elif file in texts or make_keys:
            typer.echo(f"made {file}")
        elif file == roots:
            typer.echo(f"not made {file}: {keys} was there already, and belongs to other roots")
        else:
            grant = ["interceptors", "keys", "grant", service, "--tenant", tenant]
            command = shlex.join([*grant, "--out", str(keys), "--roots", str(roots)])
            typer.echo(f"not made {file}: {roots} was there already; run: {command}")
    typer.echo(f"next: interceptors doctor {directory / 'interceptors.yaml'}")
    raise typer.Exit(1 if kept else 0)


def _keep_out_of_git(ignored: Path) -> None:
    present = ignored.read_bytes() if ignored.exists() else b""
    if _NOT_COMMITTED not in present.splitlines():
        gap = b"\n" if present and not present.endswith(b"\n") else b""
        ignored.write_bytes(present + gap + _NOT_COMMITTED + b"\n")
