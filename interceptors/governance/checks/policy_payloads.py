"""What a policy says of payloads, labels and tokens, and what of that can't have an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interceptors.governance.checks.finding import Rule, Severity
from interceptors.scan import DETECTORS, OWN_TRACE_ID, Format, Inspector, declared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.checks.document import Step
    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.policy_file import PolicyFile
    from interceptors.policy.payload_document import Identifier, PayloadRules

ACTION = Rule(
    "action-without-effect",
    Severity.WARNING,
    "an action that never counts",
    "Another one is stricter for all that it names, so that it reads as something that does not hold.",
    "take it out, or the other one",
)
ALLOW = Rule(
    "allow-without-effect",
    Severity.WARNING,
    "a declaration of something that is not looked for",
    "It has no effect, and would have one as soon as somebody includes the class.",
    "take it out, or name the class in `include`",
)
INCLUDE = Rule(
    "include-without-effect",
    Severity.WARNING,
    "an include of what is looked for anyway",
    "It has no effect.",
    "take it out",
)
ALLOW_ANYWHERE = Rule(
    "allow-anywhere",
    Severity.WARNING,
    "a whole class that may be sent anywhere",
    "It counts for headers and keys too, and for fields that are added later.",
    "give the `path` where it belongs",
)
SECRET_ALLOWED = Rule(
    "secret-allowed",
    Severity.ERROR,
    "secrets that may be sent",
    "Whoever reads the bus has them.",
    "take it out, and send a reference to the secret",
)
NO_SCAN = Rule(
    "payload-sampling-zero",
    Severity.WARNING,
    "payload rules that no message is scanned for",
    "Nothing is found, redacted or blocked.",
    "leave `sample` out, or give a part above 0",
)
PASSES = Rule(
    "unscanned-passes",
    Severity.WARNING,
    "a block that a large message gets past",
    "What can't be scanned to its end is sent all the same.",
    "say `on_unscanned: block` beside it",
)
EXAMPLES = Rule(
    "identifier-without-examples",
    Severity.WARNING,
    "an identifier without examples",
    "Nobody notices when its pattern stops to match what it was written for.",
    "give `examples` and `counterexamples`, made up and of nobody",
)
EXAMPLE = Rule(
    "identifier-example-fails",
    Severity.ERROR,
    "an identifier whose examples do not hold",
    "It misses what it was written for, or finds what it should leave alone.",
    "mend the pattern, or the example",
)
RULES = (ACTION, ALLOW, INCLUDE, ALLOW_ANYWHERE, SECRET_ALLOWED, NO_SCAN, PASSES, EXAMPLES, EXAMPLE)

ON = {detector.name for detector in DETECTORS if detector.default} | {OWN_TRACE_ID.detector}
"""What is looked for where nothing is said."""
_STRICTNESS = ("observe", "tokenize", "redact", "block")


def check(policy: PolicyFile) -> Iterator[Finding]:
    """Find what is wrong with payload rules and identifiers."""
    names = policy.names
    for number, identifier in enumerate(policy.document.identifiers):
        yield from _examples(policy, ("identifiers", number), identifier)
    default = policy.document.default.payload
    for steps, rules in policy.rules():
        payload: PayloadRules | None = rules.payload
        if payload is None:
            continue
        at = (*steps, "payload")
        yield from _actions(policy, at, payload, names)
        included = set(_detectors(names, payload.include))
        if payload.include is None and default is not None:
            included = set(_detectors(names, default.include))
        yield from _allowed(policy, at, payload, names, included)
        for place, what in enumerate(payload.include or ()):
            if names[what] <= ON:
                shown = f"{what} is looked for without it"
                yield policy.finding(INCLUDE, (*at, "include", place), shown)
        if payload.sample == 0:
            yield policy.finding(NO_SCAN, (*at, "sample"), "no message is scanned")
        blocks = payload.on_leak == "block" or "block" in (payload.actions or {}).values()
        if blocks and _unscanned(payload, default, policy) != "block":
            key = "on_leak" if payload.on_leak == "block" else "actions"
            yield policy.finding(PASSES, (*at, key), "what can't be scanned is sent")


def _unscanned(payload: PayloadRules, default: PayloadRules | None, policy: PolicyFile) -> str | None:
    said = (payload, default, policy.document.baseline.payload)
    return next((rules.on_unscanned for rules in said if rules is not None and rules.on_unscanned), None)


def _detectors(names: dict[str, set[str]], said: Any) -> Iterator[str]:  # noqa: ANN401 - a list, or None
    for what in said or ():
        yield from names[what]


def _actions(
    policy: PolicyFile, at: tuple[Step, ...], payload: PayloadRules, names: dict[str, set[str]]
) -> Iterator[Finding]:
    """Find actions for nothing but what others are stricter about."""
    said = payload.actions or {}
    for name, action in said.items():
        stricter = {
            detector
            for other, its in said.items()
            if other != name and _STRICTNESS.index(its) > _STRICTNESS.index(action)
            for detector in names[other]
        }
        if names[name] <= stricter:
            yield policy.finding(ACTION, (*at, "actions", name), f"{action} for {name} never counts")


def _allowed(
    policy: PolicyFile,
    at: tuple[Step, ...],
    payload: PayloadRules,
    names: dict[str, set[str]],
    included: set[str],
) -> Iterator[Finding]:
    own = {identifier.name for identifier in policy.document.identifiers}
    for place, entry in enumerate(payload.allow or ()):
        found = names[entry.what]
        steps = (*at, "allow", place)
        if not found & (ON | own | included):
            yield policy.finding(ALLOW, steps, f"{entry.what} is not looked for")
        elif entry.what.partition(".")[0] == "secret":
            yield policy.finding(SECRET_ALLOWED, steps, f"{entry.what} is declared")
        elif entry.path is None:
            yield policy.finding(ALLOW_ANYWHERE, steps, f"{entry.what} is declared without a path")


def _examples(policy: PolicyFile, at: tuple[Step, ...], identifier: Identifier) -> Iterator[Finding]:
    if not identifier.examples:
        shown = f"the identifier {identifier.name!r} has no examples"
        yield policy.finding(EXAMPLES, (*at, "name"), shown)
        return
    detector = declared(
        identifier.name,
        prefix=identifier.prefix,
        pattern=identifier.pattern,
        check=identifier.check,
        words=identifier.words,
    )
    inspector = Inspector([detector])
    for key, wanted in (("examples", True), ("counterexamples", False)):
        for place, text in enumerate(getattr(identifier, key)):
            found = bool(inspector.inspect(text.encode(), format=Format.TEXT).findings)
            if found is not wanted:
                shown = f"one of the {key} of {identifier.name!r} is {'found' if found else 'not found'}"
                yield policy.finding(EXAMPLE, (*at, key, place), shown)
