"""Write the reference pages that say what the code says: the documents' forms, and the command.

`python docs/_generate.py` writes them; with `--check` it writes nothing, and exits with 1 where a page is
another one than it would write.
"""
# ruff: noqa: INP001 - a script that lies beside the pages it writes

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.cli import get_docs_for_click

from interceptors.cli import app
from interceptors.governance.checks.job import FAMILIES
from interceptors.governance.mutation import UNNOTICED
from interceptors.policy import PolicyDocument
from interceptors.policy.trust import TrustDocument
from interceptors.scan import DETECTORS
from interceptors.tracing import Configuration

if TYPE_CHECKING:
    from interceptors.policy.yaml_document import DocumentModel
    from interceptors.scan import Detector

LONGEST_EXAMPLE = 60
REFERENCE = Path(__file__).parent / "reference"
MARK = "<!-- written by docs/_generate.py: change the code and run it -->"

CONFIGURATION = """\
`interceptors.yaml` belongs to a service. `Tracing.from_file` reads it; `interceptors init` writes a starter,
and `interceptors doctor` checks it. A key that is not listed here is an error, which names the nearest right
one; so is a key that stands twice.

```yaml title="interceptors.yaml"
service: checkout
environment: production
tenant: acme
keys: keys/checkout.json
policy: policy.yaml
export:
  file:
    path: spans.jsonl
```
"""

POLICY = """\
`policy.yaml` belongs to whoever answers for the data, and is the same for all services of a channel.
[Write a policy](../howto/write-a-policy.md) shows it at work. A key that is not listed here is an error,
which names the nearest right one; so is a key that stands twice. A duration is a number and a unit: `ms`,
`s`, `m`, `h` or `d`.

Here, messages of one channel are traced, wherever it lies; those of all other topics, exchanges and queues
are left alone:

```yaml title="policy.yaml"
version: 1
channels:
  - name: orders
    match:
      kafka: [orders, eu.orders, "orders-retry-*", orders-dlq]
      rabbitmq: [shop, orders, orders.dead]
      celery: [orders]
    emit: sealed
    accept: required
    senders: [storefront]
    binding: message
    max_age: 14d
default:
  emit: none
  accept: none
```
"""

TRUST = """\
`trust.yaml` belongs to the platform: it says whose signatures make a policy, and whose a configuration.
[Sign policies](../howto/sign-policies.md) shows it at work; `interceptors policy trust` makes one. A key that
is not listed here is an error, which names the nearest right one; so is a key that stands twice.

```yaml title="trust.yaml"
version: 1
roles:
  policy: {threshold: 2, keys: [security, privacy]}
  deployment: {threshold: 1, keys: [release]}
keys:
  security: {public: keys/security.pub}
  privacy: {public: keys/privacy.pub}
  release: {public: keys/release.pub}
minimum_serial: 7
```
"""

DETECTORS_PAGE = """\
What `interceptors scan` and a channel's [`payload`](policy.md#payloadrules) look for. A class is a family
and a kind; a policy may name any of family, class and detector. What speaks for a finding is one of: a
**checksum** that is right, its **structure** (it was parsed or decoded, or lies in the ranges that are
issued), a **pattern** that nothing else has, or the **key** beside it.

Besides these, `own_trace_id` (class `trace.context`) finds the id of the message's own trace in it, and a
policy's `identifiers` are of class `internal` and their name. A detector marked *off* is looked for where a
policy's `include` names it.
"""
CHECKS_PAGE = """\
What [`interceptors check`](../howto/check-in-ci.md) looks for. An **error** leaks or can be forged, a
**warning** is missing or does not do what it seems to, and a **note** should be known to who answers for it;
each of them counts. A comment `# interceptors: ignore[rule] reason`, on the line or above it, answers for a
finding.
"""
PATTERNS = {"KiB": "size", "(us|": "short time", "(ms|": "duration"}
"""By what a pattern holds: what to call a text of that form."""


def detectors() -> str:
    """Give the page of all detectors, out of their table."""
    parts = [f"# Detectors\n\n{MARK}\n\n{DETECTORS_PAGE}"]
    families = dict.fromkeys(detector.family for detector in DETECTORS)
    for family in families:
        rows = [
            f"## `{family}`\n",
            "| Detector | Class | Checked | Why it counts | Words beside it | Such as |",
            "|---|---|---|---|---|---|",
        ]
        for detector in DETECTORS:
            if detector.family == family:
                name = f"`{detector.name}`" + ("" if detector.default else " (off)")
                words = ", ".join(detector.context)
                rows.append(
                    f"| {name} | `{detector.class_}` | {detector.validation} | {detector.reason} | {words} "
                    f"| {example(detector)} |"
                )
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def example(detector: Detector) -> str:
    """Give the first example as it fits into a table; of a secret none, or others' scanners would find it."""
    text = detector.examples[0].decode(errors="replace")
    if detector.family == "secret" or len(text) > LONGEST_EXAMPLE:
        return ""
    return "<code>" + html.escape(text).replace("|", "&#124;").replace("\n", " ") + "</code>"


def checks() -> str:
    """Give the page of all rules, out of their tables."""
    parts = [f"# Checks\n\n{MARK}\n\n{CHECKS_PAGE}"]
    for family, rules in (FAMILIES | {"Tests of a policy (`--mutate`)": (UNNOTICED,)}).items():
        rows = [
            f"## {family}\n",
            "| Rule | Severity | What is wrong | Why it matters | The way out |",
            "|---|---|---|---|---|",
        ]
        for rule in rules:
            cells = (f"`{rule.id}`", rule.severity, rule.title, rule.why, rule.remedy)
            rows.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def type_of(schema: dict[str, Any], parts: dict[str, dict[str, Any]]) -> str:
    """Say in Markdown what a value may be.

    Args:
        schema: the value's JSON Schema.
        parts: the schemas that it may refer to, by name.

    Returns:
        A few words.
    """
    match schema:
        case {"anyOf": options}:
            words = " or ".join(type_of(option, parts) for option in options if option != {"type": "null"})
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            named = mapping(parts[name]) is not None
            words = f"[`{name}`](#{name.lower()})" if named else type_of(parts[name], parts)
        case {"const": value}:
            words = f"`{value}`"
        case {"enum": values}:
            words = " or ".join(f"`{value}`" for value in values)
        case {"type": "array", "items": items}:
            words = f"list of {type_of(items, parts)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            words = f"names, each with {type_of(values, parts)}"
        case {"type": "string", "pattern": str(pattern)}:
            words = next((words for mark, words in PATTERNS.items() if mark in pattern), "text")
        case {"type": "string"}:
            words = "text"
        case _:
            words = str(schema["type"])
    return words


def mapping(part: dict[str, Any]) -> dict[str, Any] | None:
    """Give the form of a part that has keys, or may have them; None where it never does."""
    return next((form for form in (part, *part.get("anyOf", ())) if "properties" in form), None)


def form(title: str, intro: str, model: type[DocumentModel]) -> str:
    """Give the page of a document's form.

    Args:
        title: the page's title.
        intro: what comes before the keys.
        model: the document's model.

    Returns:
        Markdown.
    """
    schema = model.model_json_schema()
    parts: dict[str, dict[str, Any]] = schema.pop("$defs", {})
    sections = [f"# {title}\n\n{MARK}\n\n{intro}"]
    for name, part in ({model.__name__: schema} | parts).items():
        keys = mapping(part)
        if keys is None:
            continue
        rows = ["| Key | Value | Required | What it says |", "|---|---|---|---|"]
        for key, value in keys["properties"].items():
            required = "yes" if key in keys.get("required", []) else "no"
            described = " ".join(value["description"].split())
            rows.append(f"| `{key}` | {type_of(value, parts)} | {required} | {described} |")
        sections.append(f"## `{name}`\n\n{keys['description']}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(sections)


def command() -> str:
    """Give the page of the command, in the words of its help."""
    clicked = typer.main.get_command(app)
    context = typer.Context(clicked, info_name="interceptors")
    text = get_docs_for_click(obj=clicked, ctx=context, name="interceptors", title="The interceptors command")
    # Short descriptions are cut in the lists of commands, and stand whole below.
    text = re.sub(r"^(\* `[a-z]+`): .*\.\.\.$", r"\1", text, flags=re.MULTILINE)
    # These are forms of commands, and no session.
    text = text.replace("```console\n$ ", "```text\n")
    return text.replace("\n", f"\n\n{MARK}\n", 1).rstrip() + "\n"


def main() -> int:
    """Write the pages, or check them."""
    pages = {
        "configuration.md": form("interceptors.yaml", CONFIGURATION, Configuration),
        "policy.md": form("policy.yaml", POLICY, PolicyDocument),
        "trust.md": form("trust.yaml", TRUST, TrustDocument),
        "cli.md": command(),
        "detectors.md": detectors(),
        "checks.md": checks(),
    }
    stale = 0
    for name, text in pages.items():
        page = REFERENCE / name
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        if "--check" in sys.argv:
            sys.stderr.write(f"{name} is not up to date: run python docs/_generate.py\n")
            stale = 1
        else:
            page.write_text(text, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main())
