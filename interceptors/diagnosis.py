"""What is wrong with a service's files, and how to mend it.

What belongs here: trying a configuration, its keys and its policy, and a broker, without leaving a trace of
that anywhere. What does not: printing (`cli`), and repairing anything.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import defaultdict
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from interceptors.context import child_of
from interceptors.envelope import KeySet, Level, Opener, Sealer
from interceptors.errors import AuditError, ConfigurationError, KeyProviderError, MissingExtraError
from interceptors.keys.configured import local_keys
from interceptors.keys.derivation import KeyLine, list_keys
from interceptors.keys.key_file import KeyringFile, read_key_file
from interceptors.keys.wrapping_uri import key_wrapper
from interceptors.message import Message
from interceptors.pipeline import on_receive, on_send
from interceptors.policy import Accept, Channel, Emit, Policy, PolicyDocument, compile_policy
from interceptors.policy.governance_document import written
from interceptors.policy.rules import ChannelEntry, Match
from interceptors.replay import ReplayWindow, Verdict
from interceptors.scan import StdlibEngine, best_engine
from interceptors.tracing.building import audit_log, policy_file
from interceptors.tracing.configuration import Configuration, read_configuration
from interceptors.tracing.export import sinks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from interceptors.envelope import SenderKey
    from interceptors.tracing.export import Export
    from interceptors.tracing.policy_file import PolicyRead

_SOON_MS = 14 * 24 * 3600 * 1000
_TIMEOUT_S = 5.0
# Kafka's ApiVersions request, version 0: size, key, version, correlation id, no client id.
_API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 0, -1)
_APIS_LIMIT = 1000
_PRODUCE = 0
_PRODUCE_WITH_HEADERS = 3
_HIGHEST_PORT = 65535


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


class Check(NamedTuple):
    """One thing that was tried."""

    status: Status
    text: str
    """What was tried and, unless all is well, how to mend it; never key material."""


def diagnose(path: Path, *, kafka: str | None = None) -> Iterator[Check]:
    """Try what a service would load.

    Args:
        path: the service's configuration.
        kafka: a broker to try as well, `host:port`.

    Yields:
        Each check as it is done; a file that can't be used is a check that is wrong, and not an exception.
    """
    try:
        configuration = read_configuration(path)
    except ConfigurationError as error:
        yield Check(Status.WRONG, f"configuration: {error}")
    else:
        yield Check(Status.OK, f"configuration: {path}: {_about(configuration)}")
        yield from _files(configuration)
    if kafka is not None:
        yield _broker(kafka)


def _about(configuration: Configuration) -> str:
    return f"service {configuration.service!r}, tenant {configuration.tenant!r}, {configuration.environment}"


def _files(configuration: Configuration) -> Iterator[Check]:
    lines: list[KeyLine] = []
    key: SenderKey | None = None
    try:
        lines, key = _keys(configuration)
    except (ConfigurationError, KeyProviderError) as error:
        yield Check(Status.WRONG, f"keys: {error}")
    else:
        text = f"keys: {configuration.keys.file}: seals under {key.kid.hex()}; keys: {len(lines)}"
        yield Check(Status.OK, text)
    try:
        file = policy_file(configuration, "the configuration")
        now = time.time_ns() // 1_000_000
        read = file.read(now)
    except ConfigurationError as error:
        yield Check(Status.WRONG, f"policy: {error}")
    else:
        document = read.document
        signed = f"; serial {document.serial}, signed by {', '.join(read.signers)}" if read.signers else ""
        yield Check(Status.OK, f"policy: {configuration.policy}: channels: {len(document.channels)}{signed}")
        yield from _ends(configuration, read, now)
        yield from _channels(document, configuration, lines, key)
        yield from _engine(document)
    yield from _audit(configuration)
    yield from _export(configuration)


def _ends(configuration: Configuration, read: PolicyRead, now: int) -> Iterator[Check]:
    """Tell when the policy and the exceptions that are in force end."""
    expires = read.document.expires
    if expires is not None and now >= expires:
        text = f"policy: expired {written(expires)}, which counts where it has to be signed; sign a new one"
        yield Check(Status.WARNING, text)
    elif expires is not None and expires - now < _SOON_MS:
        text = f"policy: expires {written(expires)}, and no service starts on it then; sign a new one"
        yield Check(Status.WARNING, text)
    for entry in read.exceptions(configuration.environment, now):
        text = f"exception {entry.id} on {', '.join(entry.channels)}: ends {written(entry.expires)}"
        soon = entry.expires - now < _SOON_MS
        remedy = "; see that what it is for is done by then" if soon else ""
        yield Check(Status.WARNING if soon else Status.NOTE, text + remedy)


def _audit(configuration: Configuration) -> Iterator[Check]:
    """Tell whether the audit log can be written."""
    try:
        log = audit_log(configuration)
        if log is not None:
            log.check()
            yield Check(Status.OK, f"audit: {log.path}: can be written")
    except (ConfigurationError, AuditError) as error:
        yield Check(Status.WRONG, f"audit: {error}")


def _engine(document: PolicyDocument) -> Iterator[Check]:
    """Tell which engine payloads are scanned with, where any are."""
    if not any(rules.payload for rules in (document.default, *document.channels)):
        return
    if best_engine() is StdlibEngine:
        text = "payloads: scanned by the slow engine; run: pip install 'interceptors[scan]'"
        yield Check(Status.WARNING, text)
    else:
        yield Check(Status.OK, "payloads: scanned by the fast engine")


def _keys(configuration: Configuration) -> tuple[list[KeyLine], SenderKey]:
    """Give the keys held, and the one that seals.

    Raises:
        ConfigurationError: the file can't be used by this service.
        KeyProviderError: the service's own key is not there.
    """
    service, tenant = configuration.service, configuration.tenant
    keys = configuration.keys
    provider = local_keys(keys.file, service, "keys", partial(key_wrapper, settings=keys))
    lines = list_keys(read_key_file(Path(keys.file), KeyringFile))
    try:
        return lines, provider.sealing_key(tenant)
    except KeyProviderError:
        revoked = [line for line in lines if line[:2] == (tenant, service) and line.use == "revoked"]
        if not revoked:
            raise
        raise ConfigurationError(
            f"{keys.file}: the key {revoked[-1].kid}, which should seal for {tenant!r}, is revoked; "
            f"run: interceptors keys rotate {tenant}, and then: interceptors keys promote {tenant}"
        ) from None


def _channels(
    document: PolicyDocument, configuration: Configuration, lines: list[KeyLine], key: SenderKey | None
) -> Iterator[Check]:
    policy = _with_own_places(document)
    entries = {str(number): entry for number, entry in enumerate(document.channels)}
    # Which channel is Celery's is not known where none is listed.
    celery = not entries or any(entry.match.celery for entry in entries.values())
    for own, entry in {**entries, "": None}.items():
        name = f"channel {entry.name!r} ({_places(entry.match)})" if entry else "channel default"
        bus = _buses(entry.match)[0] if entry else "kafka"
        channel = policy.channels(bus, own)[0]
        faults = _contradictions(channel)
        if entry and not entry.match.celery:
            faults += _meant_for_celery(entry)
        elif celery:
            faults += _copied_envelopes(policy.channels("celery", own)[0])
        if key is not None:  # without it, each of these would only say so once more
            faults += _unreadable(channel, configuration, lines)
            faults += _round_trip(policy, bus, own, key)
        for status, text in faults:
            yield Check(status, f"{name}: {text}")
        if not faults:
            yield Check(Status.OK, f"{name}: emit {channel.emit}, accept {channel.accept}")
    yield from _shared_places(document, policy)


def _buses(match: Match) -> list[str]:
    return [bus for bus, names in match if names]


def _places(match: Match) -> str:
    return "; ".join(f"{bus}: {', '.join(getattr(match, bus))}" for bus in _buses(match))


def _at(name: str, buses: Iterable[str]) -> Match:
    # Not checked: a propagator's carrier has one name only.
    return Match.model_construct(None, **dict.fromkeys(buses, (name,)))


def _with_own_places(document: PolicyDocument) -> Policy:
    """Compile with one name for each channel on its buses, its number, so that a glob needs no example."""
    entries = tuple(
        entry.model_copy(update={"match": _at(str(number), _buses(entry.match))})
        for number, entry in enumerate(document.channels)
    )
    return compile_policy(document.model_copy(update={"channels": entries}))


def _contradictions(channel: Channel) -> list[Check]:
    if channel.emit is Emit.NONE and channel.accept in (Accept.REQUIRED, Accept.REJECT):
        text = f"nobody can send here: accept is {channel.accept}, and emit is none; make it `emit: sealed`"
        return [Check(Status.WRONG, text)]
    return []


def _meant_for_celery(entry: ChannelEntry) -> list[Check]:
    if entry.task_metadata is None:
        return []
    text = "`task_metadata` is Celery's, and `match` lists no queue of it; list one, or leave it out"
    return [Check(Status.WARNING, text)]


def _copied_envelopes(channel: Channel) -> list[Check]:
    if channel.accept is not Accept.REJECT or channel.lowest_level is Level.MESSAGE:
        return []
    if channel.level is Level.MESSAGE:
        remedy = "raise `lowest_level` to message once every producer binds so"
    else:
        remedy = "write `binding: message`"
    text = f"on Celery, accept reject lets a copied envelope pass with other arguments; {remedy}"
    return [Check(Status.WARNING, text)]


def _shared_places(document: PolicyDocument, policy: Policy) -> Iterator[Check]:
    listing: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, entry in enumerate(document.channels):
        for bus, names in entry.match:
            for name in dict.fromkeys(names):
                listing[bus, name].append(number)
    for (bus, name), numbers in listing.items():
        rules = {replace(policy.channels(bus, str(number))[0], name="", shown="") for number in numbers}
        if len(rules) > 1:
            channels = ", ".join(repr(document.channels[number].name) for number in numbers)
            text = (
                f"{bus}: {name}: lies on channels with different rules, {channels}: producers go by the "
                f"first; consumers open what is sealed for any, and refuse where one of them says reject"
            )
            yield Check(Status.NOTE, text)


def _unreadable(channel: Channel, configuration: Configuration, lines: list[KeyLine]) -> list[Check]:
    if channel.accept is Accept.NONE or channel.senders is None:
        return []
    service, tenant = configuration.service, configuration.tenant
    readable = {line.sender for line in lines if line.tenant == tenant and line.use != "revoked"}
    unreadable = channel.senders - readable
    if not unreadable:
        return []
    # A grant replaces the one before, so it has to name those that can be read already.
    reads = " ".join(f"--reads {sender}" for sender in sorted((readable | unreadable) - {service}))
    text = (
        f"no valid key of {', '.join(map(repr, sorted(unreadable)))}; if this service consumes here, run: "
        f"interceptors keys grant {service} --tenant {tenant} {reads} --out {configuration.keys.file}"
    )
    return [Check(Status.WARNING, text)]


def _round_trip(policy: Policy, bus: str, name: str, key: SenderKey) -> list[Check]:
    """Send a message to nobody and receive it, where this service's own envelopes count."""
    channel = policy.channels(bus, name)[0]
    counts = channel.senders is None or key.sender in channel.senders
    if not counts or channel.emit is Emit.NONE or channel.accept is Accept.NONE:
        return []
    now = time.time_ns() // 1_000_000
    message = Message(bus, name, body=b"")
    outgoing = on_send(
        message,
        context=child_of(None),
        channel=channel,
        sealer=Sealer(key),
        now=now,
        ticks=time.perf_counter_ns,
    )
    receipt = on_receive(
        message._replace(envelopes=(outgoing.envelope,)),
        policy=policy,
        keys=KeySet([key]),
        opener=Opener(),
        window=ReplayWindow(),
        now=now,
    )
    if receipt.verdict is Verdict.FRESH:
        return []
    why = outgoing.unsealed or receipt.answer or receipt.verdict
    text = f"what this service seals does not open again ({why}); see whether this machine's clock is right"
    return [Check(Status.WRONG, text)]


def _export(configuration: Configuration) -> Iterator[Check]:
    export = configuration.export
    if not any((export.file, export.otlp, export.bus)):
        text = "export: no spans are recorded; name a place under `export`: `file`, `otlp` or `bus`"
        yield Check(Status.WARNING, text)
    if export.file is not None:
        yield _writable(Path(export.file.path))
    for name in ("otlp", "bus"):
        if getattr(export, name) is not None:
            others = dict.fromkeys({"file", "otlp", "bus"} - {name})
            yield _export_elsewhere(name, export.model_copy(update=others), configuration)


def _export_elsewhere(name: str, export: Export, configuration: Configuration) -> Check:
    try:
        sinks = sinks_of(
            export, service=configuration.service, environment=configuration.environment, seal=lambda _: None
        )
    except ConfigurationError as error:
        return Check(Status.WRONG, f"export: {error}")
    for sink in sinks:  # a sink connects with its first batch
        sink.close()
    return Check(Status.OK, f"export: {name}: holds; no connection was tried")


def _writable(path: Path) -> Check:
    # Only looked at: a file that the service's user has not made may be one that it can't write to.
    if path.exists():
        writable = path.is_file() and os.access(path, os.W_OK)
    else:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        writable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    if writable:
        return Check(Status.OK, f"export: {path}: can be written")
    text = f"export: {path}: can't be written; let this user write it, or name another place"
    return Check(Status.WRONG, text)


def _broker(address: str) -> Check:
    try:
        from interceptors import kafka as _adapter  # noqa: F401, PLC0415 - only whether its extra is there
    except MissingExtraError as error:
        return Check(Status.WRONG, f"kafka: {error}")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        return Check(Status.WRONG, f"kafka: {address!r} is no address; write it as host:port")
    try:
        produce = _produce_version(host.strip("[]"), int(port))
    except OSError as error:
        why = error.strerror or "no answer in time"
        text = f"kafka: {address}: can't be reached ({why}); is it running, and is the address right?"
        return Check(Status.WRONG, text)
    except (struct.error, ValueError):
        text = f"kafka: {address}: no Kafka answers; name a listener without TLS and SASL, as host:port"
        return Check(Status.WRONG, text)
    if produce < _PRODUCE_WITH_HEADERS:
        return Check(Status.WRONG, f"kafka: {address}: has no headers; they need Kafka 0.11 or later")
    return Check(Status.OK, f"kafka: {address}: answers, and takes headers")


def _produce_version(host: str, port: int) -> int:
    """Ask a broker for the newest produce request that it takes; no client has a public call for that.

    Raises:
        OSError: it can't be reached.
        ValueError: what answers is no broker, or the host's name is none.
        struct.error: what answers is no broker.
    """
    connection = socket.create_connection((host, port), _TIMEOUT_S)
    with connection, connection.makefile("rb") as stream:
        connection.sendall(_API_VERSIONS)
        size, _, error, count = struct.unpack(">iihi", stream.read(14))
        if error or not 0 < count < _APIS_LIMIT or size != 10 + 6 * count:
            raise ValueError
        fields = struct.unpack(f">{3 * count}h", stream.read(6 * count))  # key, oldest, newest; key, ...
        newest = dict(zip(fields[::3], fields[2::3], strict=True))
        return int(newest.get(_PRODUCE, 0))
