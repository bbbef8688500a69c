"""`interceptors policy explain`."""

import json
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from interceptors.cli.policy_text import read_policy_text
from interceptors.cli.table import table
from interceptors.errors import ConfigurationError
from interceptors.message import Message
from interceptors.policy.compiling import Compiler
from interceptors.policy.document import PolicyDocument, parse_policy_document
from interceptors.policy.explaining import Met, Row, explain, explain_message
from interceptors.policy.rules import BUSES
from interceptors.policy.yaml_document import lines_of

app = typer.Typer(no_args_is_help=True, help="Explain, compare, sign and verify policies.")

_NS_PER_MS = 1_000_000


class _Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.callback()
def _policy() -> None:
    """Explain, compare, sign and verify policies."""


@app.command("explain")
def explain_(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's name.")] = "",
    *,
    bus: Annotated[str, typer.Option(metavar="BUS", help=f"Where it lies: {', '.join(BUSES)}.")] = "",
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Instead of a channel: a topic, an exchange or a queue.")
    ] = "",
    environment: Annotated[str, typer.Option(metavar="NAME", help="The deployment environment.")] = "",
    message: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The body of a message, to say what becomes of it.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A header of it; say it once for each.", show_default=False),
    ] = None,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy.")] = Path("policy.yaml"),
    format_: Annotated[_Format, typer.Option("--format", help="How it is written.")] = _Format.TEXT,
) -> None:
    """Say what holds for a channel, which line of the policy decided that, and why.

    With --message also what becomes of each field and each finding of a message. What was found is never
    shown.
    """
    if bool(channel) == bool(name) or (name and not bus):
        raise ConfigurationError("name a CHANNEL, or a topic, exchange or queue with --bus and --name")
    if bus and bus not in BUSES:
        raise ConfigurationError(f"--bus: there is no bus {bus!r}; known are {', '.join(BUSES)}")
    text = read_policy_text(policy)
    document = parse_policy_document(text, str(policy))
    compiler = Compiler(document, str(policy))
    now = time.time_ns() // _NS_PER_MS
    found = compiler.compile(environment, now).channels(bus, name)
    names = [each.name for each in found] if name else [channel]
    written = _Writing(str(policy), text)
    said = _message(bus, name, message, header or [])
    answers = []
    for each in names:
        place = _place(document, each, policy, listed=not name)
        layers = compiler.layers(place, environment, now)
        where = bus or next(one for one in BUSES if getattr(document.channels[place or 0].match, one))
        payload = compiler.payload(layers)
        met = [] if said is None or payload is None else explain_message(payload, said, layers)
        answers.append((each, where, explain(compiler, layers, where), met))
    if format_ is _Format.JSON:
        typer.echo(json.dumps([written.as_json(*answer) for answer in answers], indent=2, default=str))
        return
    for number, (each, where, rows, met) in enumerate(answers):
        typer.echo(("\n" if number else "") + f"channel {each}, on {where}" + _in(environment) + "\n")
        table(("key", "value", "line", "why"), [*written.rows(rows)])
        if said is not None:
            typer.echo("")
            table(("class", "place", "handling", "line", "why"), [*written.met(met)])


class _Writing:
    """Writes places of a document with their lines."""

    def __init__(self, source: str, text: str) -> None:
        self._source = source
        self._line = lines_of(text)

    def rows(self, rows: list[Row]) -> Iterator[tuple[str, ...]]:
        for row in rows:
            yield row.key, row.shown, self.line(row.line), row.why
            for line in row.overruled:
                yield "", "", self.line(line), "does not count here"

    def met(self, met: list[Met]) -> Iterator[tuple[str, ...]]:
        for each in met:
            yield each.class_, each.place, each.handling, self.line(each.line), each.why
        if not met:
            yield "-", "-", "-", "-", "nothing that the policy speaks of is in it"

    def line(self, path: str) -> str:
        return f"{self._source}:{self._line(path)}" if path else "-"

    def as_json(self, name: str, bus: str, rows: list[Row], met: list[Met]) -> dict[str, Any]:
        return {
            "channel": name,
            "bus": bus,
            "rules": [
                {
                    "key": row.key,
                    "value": row.shown,
                    "path": row.line,
                    "line": self._line(row.line) if row.line else None,
                    "why": row.why,
                    "overruled": [{"path": path, "line": self._line(path)} for path in row.overruled],
                }
                for row in rows
            ],
            "message": [
                {
                    "class": each.class_,
                    "place": each.place,
                    "handling": each.handling,
                    "path": each.line,
                    "line": self._line(each.line) if each.line else None,
                    "why": each.why,
                }
                for each in met
            ],
        }


def _in(environment: str) -> str:
    return f", in {environment}" if environment else ""


def _place(document: PolicyDocument, name: str, policy: Path, *, listed: bool) -> int | None:
    """Find a channel; None for a name that no channel lists."""
    places = {entry.name: place for place, entry in enumerate(document.channels)}
    if name not in places and listed:
        raise ConfigurationError(
            f"{policy}: no channel is called {name!r}; it has {', '.join(places) or 'none'}. A topic, "
            "exchange or queue is named with --bus and --name"
        )
    return places.get(name)


def _message(bus: str, name: str, body: Path | None, headers: list[str]) -> Message | None:
    pairs = [header.partition("=") for header in headers]
    if not all(key and sign for key, sign, _ in pairs):
        raise ConfigurationError("--header: write each as NAME=VALUE")
    if body is None and not pairs:
        return None
    try:
        data = None if body is None else body.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{body}: can't be read ({error.strerror}); name another file") from None
    return Message(bus, name, data, headers=[(key, value) for key, _, value in pairs])
