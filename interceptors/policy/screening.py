"""One message, screened: what was found that the policy does not declare, and what that leads to."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.policy.header_text import Headers, HeaderText, to_bytes, to_text
from interceptors.policy.payload import OnUnscanned
from interceptors.scan import Edit, Finding, Format, Treatment, Unscanned

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.message import Message
    from interceptors.policy.payload import Payload
    from interceptors.scan import Token

    Tokenize = Callable[[str, str, bytes], Token | None]

_NAMED = 16
"""How many places a refusal names."""
_LONGEST_CLEAN = 2048
"""Bytes of headers that are remembered; longer ones are rarely the same twice."""
_MAY_HIDE = re.compile(rb"[\w+/-]{40}|[%\\]")
"""Where the scan looks behind an encoding, a message's own trace id may stand that isn't seen in the text:
its 32 characters make 43 of base64. Such headers are not remembered."""
_ROUNDS = 4
"""How often headers are looked into again after something in them was replaced."""


class Screened(NamedTuple):
    """A message as it may go on, and what was found in it."""

    body: object
    """As it was given, or with findings replaced."""
    headers: Headers
    """Likewise."""
    findings: tuple[Finding, ...] = ()
    """What the policy does not declare."""
    unscanned: Unscanned | None = None
    """Why not all was scanned or replaced, if so."""
    kept: int = 0
    """How many findings were to be replaced where nothing can be: in a key, which partitions go by, in the
    name of a header, and in a header that the bus itself goes by."""
    blocked: tuple[str, ...] = ()
    """Why the message may not be sent, if so: what was found where."""
    masked: int = 0
    """How many texts were to be tokenized and are masked, since there is no key for their domain."""

    def __repr__(self) -> str:
        """Show nothing of the message."""
        return f"Screened(findings={len(self.findings)}, unscanned={self.unscanned!r})"


def screen(
    message: Message,
    payload: Payload,
    *,
    sending: bool,
    spent: Callable[[], bool],
    own: bytes = b"",
    tokenize: Tokenize | None = None,
    scanning: bool = True,
) -> Screened:
    """Look for what the policy does not declare, in body, key and headers.

    Args:
        message: what is sent or was received; left as it is.
        payload: the rules.
        sending: whether it is about to be sent; what was received is the receiver's as it is, so nothing is
            replaced or blocked.
        spent: says whether the time is over.
        own: the message's own trace id in hex, which may not stand in it; empty for none.
        tokenize: gives the token of an identifier from its domain, its class and its text; None where there
            is no key for the domain. Then, and without this, a mask takes the token's place.
        scanning: whether the message is scanned; else only its fields are handled.

    Returns:
        What was found, and the message as it may go on. Nothing is raised, whatever the message holds.
    """
    tokens = _Tokens(payload, tokenize)
    given, unscanned, kept = message, None, 0
    if sending and payload.fields.handles:
        given, unscanned, kept = _handled(message, payload, spent, tokens)
    findings: tuple[Finding, ...] = ()
    if scanning:
        screening = _Screening(payload, payload.treatment if sending else _keep, own, spent, tokens)
        body, headers = screening.body(given.body), screening.headers(given)
        given = given._replace(body=body.value, headers=headers.value)
        findings = (*body.findings, *headers.findings)
        unscanned = unscanned or body.unscanned or headers.unscanned
        kept += headers.kept
    if not findings and unscanned is None:
        return Screened(given.body, given.headers, kept=kept, masked=tokens.masked)
    blocked: list[str] = []
    if sending:
        blocked += dict.fromkeys(map(place, filter(payload.blocks, findings)))
        if unscanned is not None and payload.on_unscanned is OnUnscanned.BLOCK:
            blocked.insert(0, f"not scanned to the end ({unscanned})")
    return Screened(
        given.body, given.headers, findings, unscanned, kept, tuple(blocked[:_NAMED]), tokens.masked
    )


class _Part(NamedTuple):
    """A part of a message, screened."""

    value: Any
    findings: tuple[Finding, ...] = ()
    unscanned: Unscanned | None = None
    kept: int = 0


class _Tokens:
    """Gives tokens by what the policy says of domains, and counts those that can't be had."""

    __slots__ = ("_payload", "_tokenize", "masked")

    def __init__(self, payload: Payload, tokenize: Tokenize | None) -> None:
        self._payload = payload
        self._tokenize = tokenize
        self.masked = 0

    def __call__(self, finding: Finding, text: bytes) -> Token | None:
        domain = self._payload.domains.get(finding.detector, finding.class_)
        return self.token(domain, finding.class_, text)

    def token(self, domain: str, class_: str, text: bytes) -> Token | None:
        token = None if self._tokenize is None else self._tokenize(domain, class_, text)
        self.masked += token is None
        return token


def _handled(
    message: Message, payload: Payload, spent: Callable[[], bool], tokens: _Tokens
) -> tuple[Message, Unscanned | None, int]:
    """Give a message with its fields as the policy wants them, why not all are, and how many can't be."""
    body = payload.fields.body(message.body, spent, tokens.token)
    headers = payload.fields.headers(message.headers, message.fixed, tokens.token)
    return message._replace(body=body.value, headers=headers.value), body.unscanned, headers.kept


class _Screening(NamedTuple):
    """What both parts of a message are screened with."""

    payload: Payload
    treatment: Callable[[Finding], Treatment]
    own: bytes
    spent: Callable[[], bool]
    tokens: _Tokens

    def body(self, body: object) -> _Part:
        data = to_bytes(body)
        if data is None:
            return _Part(body, (), None if body is None else Unscanned.NOT_BYTES)
        inspection = self.payload.inspector.inspect(data, own=self.own, spent=self.spent)
        if not inspection.findings:
            return _Part(body, (), inspection.unscanned)
        findings = tuple(finding for finding in inspection.findings if not self.payload.declared(finding))
        if all(self.treatment(finding) is Treatment.KEEP for finding in findings):
            return _Part(body, findings, inspection.unscanned)
        replaced = inspection.replaced(self.treatment, self.tokens)
        if replaced is None:
            return _Part(body, findings, inspection.unscanned or Unscanned.FORM)
        value = to_text(replaced) if isinstance(body, str) else replaced
        return _Part(value, findings, inspection.unscanned)

    def headers(self, message: Message) -> _Part:
        named = self._named(message)
        # Apart from the headers: else what a key is taken for would depend on what stands there, and on
        # whether that is remembered.
        key = HeaderText((), message.key) if message.key else None
        if key is None or not key.text:
            return named
        found, _, unscanned = self._looked(key)
        if not found and unscanned is None:
            return named
        kept = named.kept + sum(self.treatment(finding) is not Treatment.KEEP for finding in found)
        return _Part(named.value, (*named.findings, *found), named.unscanned or unscanned, kept)

    def _named(self, message: Message) -> _Part:
        headers = message.headers
        if not headers:
            return _Part(headers)
        text = HeaderText(headers, None, message.fixed)
        remembered = sha256(text.text).digest() if len(text.text) <= _LONGEST_CLEAN else None
        if remembered and self.payload.clean.get(remembered) and not (self.own and self.own in text.text):
            return _Part(headers)
        findings, edits, unscanned = self._looked(text)
        if remembered and not (findings or unscanned or _MAY_HIDE.search(text.text)):
            self.payload.clean.set(remembered, True)  # noqa: FBT003 - a set of digests
        kept = sum(self.treatment(finding) is not Treatment.KEEP for finding in findings) - len(edits)
        for _ in range(_ROUNDS):
            if not edits:
                break
            headers = text.replaced(edits, self._document)
            text = HeaderText(headers, None, message.fixed)
            _, edits, missed = self._looked(text)
            unscanned = unscanned or missed
        return _Part(headers, tuple(findings), unscanned, kept)

    def _looked(self, text: HeaderText) -> tuple[list[Finding], list[Edit], Unscanned | None]:
        """Give what is undeclared in headers or a key, and how to replace what can be."""
        inspection = self.payload.inspector.inspect(
            text.text, format=Format.TEXT, own=self.own, spent=self.spent
        )
        findings: list[Finding] = []
        edits: list[Edit] = []
        for finding in inspection.findings:
            placed = text.placed(finding)
            if self.payload.declared(placed):
                continue
            findings.append(placed)
            wanted = self.treatment(placed)
            if wanted is not Treatment.KEEP and text.replaceable(finding):
                edits.append(self._edit(text.text, finding, wanted))
        return findings, edits, inspection.unscanned

    def _document(self, value: bytes) -> bytes | None:
        """Give a header's value that is a JSON document as another; None where it is none, or stays."""
        if not value.lstrip().startswith((b"{", b"[")):
            return None
        inspection = self.payload.inspector.inspect(value, own=self.own, spent=self.spent)
        replaced = inspection.replaced(self._treatment_in_header, self.tokens)
        return None if replaced == value else replaced

    def _treatment_in_header(self, finding: Finding) -> Treatment:
        """Tell what becomes of a finding: paths of the policy are those of a body."""
        return self.treatment(finding._replace(path=""))

    def _edit(self, text: bytes, finding: Finding, wanted: Treatment) -> Edit:
        start, end = finding.start, finding.end
        token = self.tokens(finding, text[start:end]) if wanted is Treatment.TOKEN else None
        return Edit(start, end, b"*" * (end - start) if token is None else token.text)


def _keep(_finding: Finding) -> Treatment:
    return Treatment.KEEP


def place(finding: Finding) -> str:
    """Say what was found where, such as `payment.card at $.card`."""
    if finding.part != "body":
        return f"{finding.class_} at {finding.part}"
    return f"{finding.class_} at {finding.path or f'byte {finding.start}'}"
