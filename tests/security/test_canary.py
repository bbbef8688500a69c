"""A marker that is put where secrets lie is found nowhere that it should not be, in no form."""

from __future__ import annotations

import base64
import json
import logging
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import ConsumerRecord
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current

from interceptors import InterceptorError, RejectedError, Tracing, kafka
from interceptors.context import Scope, new_root
from interceptors.envelope import (
    HEADER_NAME,
    Binding,
    Candidate,
    Level,
    Opener,
    Sealer,
    derive_sender_key,
    from_text,
    header_bytes,
)
from interceptors.keys import KeyAdministration, Keyring, LocalKeys, MemoryKeys
from interceptors.keys.key_file import KeyringFile, read_key_file
from interceptors.keys.root_file import RootFile
from interceptors.message import Message
from interceptors.policy import check_policy, parse_policy
from interceptors.spans import JsonLinesSink, MemorySink, Operation, to_otlp_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from interceptors.pipeline import Receipt
    from interceptors.spans import Span
    from interceptors.tracing import Processing, SpanView

MARK = "canary-58c1f0e7"
NOW = 1_790_000_000_000


def forms(secret: bytes) -> Iterator[str]:
    """How bytes may be written: raw, in hex, in base64 and base64url, wherever in a longer text they lie."""
    yield secret.decode("latin-1")
    yield repr(secret)[2:-1]
    yield secret.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(bytes(before) + secret).decode()
            yield text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]


def found(secret: bytes, texts: Sequence[str]) -> list[str]:
    """The texts that a secret is found in."""
    needles = [form.lower() for form in forms(secret)]
    return [text for text in texts if any(needle in text.lower() for needle in needles)]


def said(error: BaseException | None) -> Iterator[str]:
    """All that an exception says, and those behind it."""
    seen: set[int] = set()
    behind = [error]
    while behind:
        error = behind.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
        yield from getattr(error, "__notes__", ())
        if hasattr(error, "errors"):  # pydantic's, which holds what it was given
            yield repr(error.errors())
        behind += [error.__cause__, error.__context__]


def raised(call: Callable[[], object]) -> list[str]:
    """All that is said by what a call raises: an error of this library."""
    with pytest.raises(InterceptorError) as error:
        call()
    return list(said(error.value))


@pytest.mark.parametrize("secret", [MARK.encode(), bytes(range(200, 232))])
def test_the_search_finds_what_it_looks_for(secret: bytes) -> None:
    longer = b"ab" + secret + b"yz"
    texts = [
        f"x{secret.decode('latin-1')}x",
        f"{[secret]}",
        longer.hex().upper(),
        base64.b64encode(longer[1:]).decode(),
        base64.b64encode(longer[2:]).decode(),
        base64.urlsafe_b64encode(longer).decode().rstrip("="),
    ]
    assert found(secret, texts) == texts
    assert found(secret, [secret[1:].hex(), secret[:-1].decode("latin-1"), ""]) == []


def test_the_search_looks_behind_an_exception() -> None:
    behind, shown = KeyError(MARK), ValueError("shown")
    shown.__context__ = behind
    shown.add_note("a note")
    texts = list(said(shown))
    assert found(MARK.encode(), texts)
    assert "a note" in texts


# --- messages -----------------------------------------------------------------------------------------------


class MarkedError(Exception):
    """A business error."""

    def __str__(self) -> str:
        return MARK


class FailingSink:
    def export(self, spans: Sequence[Span], timeout: float) -> int:  # noqa: ARG002 - the protocol's
        raise OSError(MARK, spans)

    def close(self) -> None:
        pass


class FailingKeys(MemoryKeys):
    """A store that fails with more than it should say."""

    def sealing_key(self, tenant: str) -> Any:
        raise RuntimeError(MARK, tenant)

    def refresh(self) -> bool:
        raise RuntimeError(MARK)


class Seen(NamedTuple):
    """What can be seen of some traffic, and of the objects that it made."""

    log: list[str]
    spans: list[str]
    reprs: list[str]
    errors: list[str]
    envelopes: list[str]
    files: list[str]


MESSAGE = Message("kafka", "orders", MARK.encode(), MARK, MARK, coordinate=("orders", 0, 1))
HOSTILE = (
    MARK,
    MARK.encode(),
    bytearray(MARK.encode()),
    [MARK],
    "E" + MARK,
    f"é{MARK}",
    b"\x11\x01" + MARK.encode() * 8,
    b"\x11\x01" + bytes(16) + (MARK.encode() * 8)[:104],
)


def record(*headers: tuple[str, Any]) -> ConsumerRecord:
    marked = MARK.encode()
    size = len(marked)
    return ConsumerRecord("orders", 0, 7, 1, 0, marked, marked, None, size, size, ((MARK, marked), *headers))


def settled_and_sent_again(
    tracing: Tracing, receipt: Receipt, processing: Processing
) -> tuple[list[bytes], list[object]]:
    """Turn a message away and send it again: the envelopes and the objects that this makes."""
    retry = tracing.send(MESSAGE, attempt=processing.attempt)
    settling = tracing.settle(Operation.NACK, "kafka", receipt, processing)
    shown = [retry, retry.channel, retry.span, settling, settling.span]
    for open_span in (retry, settling):
        open_span.end(MarkedError())
    return [retry.envelope] if retry.envelope else [], shown


def mark(view: SpanView, message: Message) -> None:
    """A hook that would let everything out, and fails with more than it should say."""
    view.set_label("region", MARK)
    view.set_label(MARK, MARK)
    raise MarkedError(view, message)


@pytest.fixture
def marked_baggage() -> Iterator[None]:
    """Baggage that holds the marker in names, and in values of labels that the policy names."""
    marked = get_current()
    for name, value in {MARK: MARK, "region": MARK, "long": MARK * 9}.items():
        marked = baggage.set_baggage(name, value, marked)
    token = attach(marked)
    yield
    detach(token)


@pytest.fixture
def seen(tmp_path: Path, caplog: pytest.LogCaptureFixture, marked_baggage: None) -> Seen:
    """What there is to see after messages that hold the marker wherever they can hold something."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "spans.jsonl"
    memory = MemorySink()
    reprs: list[object] = []
    errors: list[str] = []
    envelopes: list[bytes] = []
    labels = {"region": {"values": ["eu"]}, "long": {"pattern": "[a-z0-9-]{1,64}"}}
    sinks: list[Any] = [memory, JsonLinesSink(path), FailingSink()]
    for sink, accept in zip(sinks, ("required", "reject", "optional"), strict=True):
        policy = {"default": {"binding": "message", "accept": accept, "labels": labels}}
        hooks: Any = {"on_send": mark, "on_receive": mark}
        tracing = Tracing.for_development("checkout", policy=policy, sink=sink, **hooks)
        scope = Scope(None, new_root(), {"region": MARK, MARK: MARK, "long": MARK * 9})
        for body in (MESSAGE.body, {MARK: MARK}):
            sending = tracing.send(MESSAGE._replace(body=body))
            reprs += [sending, sending.span]
            sending.end(MarkedError())
            envelopes += [sending.envelope] if sending.envelope else []
        scope.leave()
        for value in (envelopes[-1], *HOSTILE):
            message = MESSAGE._replace(envelopes=(value,))
            receipt = tracing.receive(message, consumer="workers")
            reprs += [message, receipt, receipt.opened, receipt.parent, tracing.origin()]
            processing = tracing.process("kafka", receipt)
            with suppress(MarkedError), processing:
                reprs += [processing, processing.span, processing.context, processing._current]
                raise MarkedError
            sealed, shown = settled_and_sent_again(tracing, receipt, processing)
            envelopes += sealed
            reprs += shown
            try:
                kafka.traced(tracing)(reprs.append)(record((HEADER_NAME, value)))
            except RejectedError as error:
                errors += said(error)
            tracing.received("kafka", [receipt], started=1, group=None)
        tracing.flush()
        reprs += [tracing, tracing.counts, tracing._keyring, tracing._recorder, sink]
        reprs += [tracing._sender, tracing._sender._sealing, tracing._receiver, tracing._receiver._opener]
        tracing.close()
    failing = Tracing(
        service="checkout",
        tenant="acme",
        policy=check_policy({"version": 1}, "policy"),
        keys=FailingKeys("checkout"),
    )
    failing.send(MESSAGE).end()
    failing._outboxes.keeper.work_once()
    failing.close()
    log = [text for logged in caplog.records for text in (logged.getMessage(), repr(vars(logged)))]
    assert {logged.name for logged in caplog.records} >= {
        "interceptors",
        "interceptors.keys",
        "interceptors.spans",
    }
    spans = [json.dumps(to_otlp_json(span)) for span in memory.spans]
    texts = [repr(value) for value in reprs]
    files = [file.read_text() for file in tmp_path.iterdir()]
    shown_envelopes = [envelope.decode("latin-1") for envelope in envelopes]
    return Seen(log, spans, texts, errors, shown_envelopes, files)


def test_what_a_message_holds_is_seen_nowhere(seen: Seen) -> None:
    for texts in seen:
        assert texts
        assert found(MARK.encode(), texts) == []


def test_no_envelope_is_shown(seen: Seen) -> None:
    for envelope in seen.envelopes:
        # All behind the kid, which is public.
        secret = envelope.encode("latin-1")[18:]
        assert found(secret[:24], [*seen.log, *seen.spans, *seen.reprs, *seen.errors, *seen.files]) == []


def test_names_of_tenant_and_sender_are_not_in_an_envelope() -> None:
    with Tracing.for_development(f"sender-{MARK}", tenant=f"tenant-{MARK}") as tracing:
        envelope = tracing.send(Message("kafka", f"topic-{MARK}")).envelope
    assert envelope is not None
    assert found(MARK.encode(), [envelope.decode("latin-1")]) == []


def test_of_one_tenant_nothing_is_in_anothers_span() -> None:
    sink = MemorySink()
    with Tracing.for_development("checkout", sink=sink) as tracing:
        receipts = []
        for tenant in (MARK, "globex"):
            with tracing.tenant(tenant):
                sending = tracing.send(Message("kafka", "orders"))
                sending.end()
            message = Message("kafka", "orders", envelopes=(sending.envelope,))
            receipts.append(tracing.receive(message, consumer="workers"))
        tracing.received("kafka", receipts, started=1, group=None)
    theirs = [span.context for span in sink.spans if span.tenant == MARK]
    others = [json.dumps(to_otlp_json(span)) for span in sink.spans if span.tenant != MARK]
    assert len(theirs) == len(others) == 2
    assert found(MARK.encode(), others) == []
    for context in theirs:
        assert found(context.trace_id, others) + found(context.span_id, others) == []


@pytest.mark.parametrize("value", HOSTILE)
def test_an_error_about_an_envelope_says_nothing_of_it(value: object) -> None:
    key = derive_sender_key(bytes(range(32)), "acme", "checkout")

    def open_it() -> None:
        Opener().open(header_bytes(value), Keyring(MemoryKeys("a")).keys, [Candidate(Binding("orders"))])

    assert found(MARK.encode(), raised(open_it)) == []
    sealed = Sealer(key).seal(new_root(), Level.CHANNEL, Binding("orders"), NOW)
    parts = [sealed, Binding("orders", MARK, MARK, MARK.encode()), new_root()._replace(labels={MARK: MARK})]
    assert found(sealed.envelope[18:], [repr(parts)]) == []
    assert found(MARK.encode(), [repr(parts[2])]) == []


def test_an_error_about_a_text_form_says_nothing_of_it() -> None:
    for text in (f"é{MARK}", f"!{MARK}", MARK * 200):
        assert found(MARK.encode(), raised(partial(from_text, text))) == []


# --- configuration ------------------------------------------------------------------------------------------

CONFIGURATION = {"service": "checkout", "tenant": "acme", "keys": "keys.json", "policy": "policy.yaml"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            json.dumps(CONFIGURATION | {key: value})
            for key in CONFIGURATION
            for value in ([MARK], {"a": MARK})
        ),
        json.dumps(CONFIGURATION | {"environment": [MARK]}),
        json.dumps(CONFIGURATION | {"service": MARK * 20}),
        json.dumps(CONFIGURATION | {"export": MARK}),
        json.dumps(CONFIGURATION | {"export": {"file": {"path": [MARK]}}}),
        json.dumps(CONFIGURATION | {"pasword": MARK}),
        json.dumps([MARK]),
        MARK,
        f"service: '{MARK}",
        f"service: {MARK}: a",
        f"service: [{MARK}",
        f"service: *{MARK}",
        f"service: !{MARK} a",
        f"service: !a!{MARK} a",
        f"service: &{MARK} a\ntenant: &{MARK} b",
        f"service: !!int {MARK}",
        f"service: !!timestamp {MARK}",
        f"service: !!binary {MARK}=1",
        f"service: {MARK}\x00",
        f"service: {MARK}\udcff",
    ],
)
def test_an_error_about_a_configuration_does_not_show_its_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "interceptors.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert found(MARK.encode(), raised(lambda: Tracing.from_file(path))) == []


@pytest.mark.parametrize(
    "key", ["emit", "accept", "binding", "lowest_level", "max_age", "retry_window", "senders"]
)
def test_an_error_about_a_policy_does_not_show_its_values(key: str) -> None:
    for value in (MARK, {"a": MARK}, [[MARK]]):
        rules = {"default": {key: value}}
        channels = {"channels": [{"name": "orders", "match": {"kafka": ["orders"]}, key: value}]}
        for policy in (rules, channels):
            text = json.dumps({"version": 1} | policy)
            for call in (
                partial(parse_policy, text, "policy.yaml"),
                partial(Tracing.for_development, "checkout", policy=policy),
            ):
                assert found(MARK.encode(), raised(call)) == []


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The administration's file, and a service's."""
    roots, keys = tmp_path / "roots.json", tmp_path / "keys.json"
    administration = KeyAdministration(roots)
    administration.root("acme")
    administration.tokens.root("acme")
    administration.grant("checkout", "acme", ["billing"], keys, signs=True, tokens=["customer"])
    administration.rotate("acme")
    return roots, keys


def secrets_of(*files: Path) -> list[bytes]:
    """The keys in key files."""
    return [
        bytes.fromhex(secret)
        for file in files
        for secret in re.findall(
            r'"(?:root|sender_key|signing_key|key)": *"([0-9a-f]{64})"', file.read_text()
        )
    ]


def test_no_repr_shows_a_key(files: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = secrets_of(*files)
    assert len(secrets) == 10
    local, memory = LocalKeys(files[1]), MemoryKeys("checkout")
    keyring = Keyring(local)
    sealer = keyring.sealer("acme", NOW)
    assert sealer is not None
    sealer.seal(new_root(), Level.CHANNEL, Binding("orders"), NOW, signed=True)
    own = memory.sealing_key("acme")
    assert own.signing is not None
    secrets += [own.key, own.signing.seed(), own.tokens["customer"].key, memory._tokens["acme"]._root]
    secrets += memory._roots.values()
    roots, keys = read_key_file(files[0], RootFile), read_key_file(files[1], KeyringFile)
    administration = KeyAdministration(files[0])
    shown: list[object] = [local, memory, memory._keys, keyring, keyring.keys, keyring.keys.held]
    shown += [sealer, sealer.key, sealer.key.xaes, sealer.key.signing, sealer._session, Opener()]
    shown += [administration, administration.keys(), administration.roots()]
    shown += [roots, roots.roots[0], roots.token_roots[0], keys, keys.keys[0], keys.tokens[0]]
    shown += [sealer.key.tokens, own.tokens, local.tokenizer("acme", "customer"), administration.tokens]
    texts = [*map(repr, shown), *map(str, shown), *caplog.messages]
    for secret in secrets:
        assert found(secret, texts) == []


def no_error_shows_a_key(path: Path, read: Callable[[Path], object], content: bytes) -> None:
    secrets = [secret[:30] for secret in secrets_of(path)]  # 30: what is wrong with one may be its length
    path.write_bytes(content)
    texts = raised(partial(read, path))
    assert secrets
    for secret in (*secrets, MARK.encode()):
        assert found(secret, texts) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda name, key: {name: key[:62]},
        lambda name, key: {name: [key]},
        lambda *_: {"kid": "00" * 16},
        lambda *_: {MARK[:6]: MARK},
        lambda *_: {"epoch": MARK},
        lambda *_: {"use": MARK},
    ],
    ids=["short key", "key of another type", "another kid", "unknown field", "no epoch", "no use"],
)
def test_no_error_about_an_entry_shows_a_key(
    files: tuple[Path, Path], spoil: Callable[[str, str], dict[str, Any]]
) -> None:
    roots, keys = files
    for path, read, entries, name in (
        (roots, KeyAdministration, "roots", "root"),
        (roots, KeyAdministration, "token_roots", "root"),
        (keys, LocalKeys, "keys", "sender_key"),
        (keys, LocalKeys, "keys", "signing_key"),
        (keys, LocalKeys, "tokens", "key"),
    ):
        document = json.loads(path.read_text())
        document[entries][0].update(spoil(name, document[entries][0][name]))
        no_error_shows_a_key(path, read, json.dumps(document).encode())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-3],
        lambda content: content + b"\xff",
        lambda content: content + b"[" * 100_000,
        lambda content: b"[" * 100_000 + content,
        lambda content: b"[" + content + b"]",
    ],
    ids=["cut off", "no text", "more behind it", "nested too deeply", "a list"],
)
def test_no_error_about_a_key_file_shows_a_key(
    files: tuple[Path, Path], spoil: Callable[[bytes], bytes]
) -> None:
    for path, read in zip(files, (KeyAdministration, LocalKeys), strict=True):
        no_error_shows_a_key(path, read, spoil(path.read_bytes()))


@pytest.mark.parametrize("change", [{"tenant": "globex"}, {"sender": "billing", "use": "seal"}])
def test_no_error_about_keys_that_do_not_go_together_shows_one(
    files: tuple[Path, Path], change: dict[str, Any]
) -> None:
    _, path = files
    document = json.loads(path.read_text())
    document["keys"].append(document["keys"][0] | change)
    no_error_shows_a_key(path, LocalKeys, json.dumps(document).encode())
