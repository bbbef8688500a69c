"""The canaries that are shipped find what leaks, in every form, and nothing else."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from opentelemetry.sdk.trace import TracerProvider

from interceptors import Tracing
from interceptors.message import Message
from interceptors.policy import check_policy
from interceptors.spans import MemorySink
from interceptors.testing.canary import Canary, Leak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def canary() -> Canary:
    return Canary()


def classes(text: str) -> set[str]:
    """What our own scan makes of a text."""
    policy = check_policy({"version": 1, "default": {"payload": {"on_leak": "block"}}}, "policy")
    tracing = policy.channels("kafka", "orders")[0].payload
    assert tracing is not None
    return {finding.class_ for finding in tracing.inspector.inspect(text.encode()).findings}


def test_each_looks_like_what_it_is(canary: Canary) -> None:
    assert "personal.email" in classes(canary.email)
    assert "payment.card" in classes(f"card {canary.card_number}")
    assert classes(canary.api_key)
    assert classes(canary.text) == set()


def test_each_is_made_once_and_is_nobody_elses(canary: Canary) -> None:
    assert (canary.email, canary.text) == (canary.email, canary.text)
    others = Canary()
    assert {canary.email, canary.text, canary.card_number, canary.api_key}.isdisjoint(
        {others.email, others.text, others.card_number, others.api_key}
    )


def test_only_what_was_made_is_looked_for(canary: Canary) -> None:
    assert canary.leaks(text="anything") == []
    email = canary.email
    assert list(canary.made()) == ["email"]
    assert canary.leaks(text=f"to {email.upper()}") == [Leak("email", "text", "as it is")]
    assert email not in repr(canary)


WRITTEN: dict[str, tuple[str, Callable[[str], object]]] = {
    "hex": ("in hex", lambda text: text.encode().hex().upper()),
    "base64": ("in base64", lambda text: base64.b64encode(text.encode())),
    "base64-1": ("in base64", lambda text: base64.b64encode(b"x" + text.encode() + b"y").decode()),
    "base64-2": ("in base64", lambda text: base64.urlsafe_b64encode(b"xy" + text.encode()).decode()),
    "url": ("URL-encoded", lambda text: f"?to={quote(text, safe='')}"),
    "utf-16": ("in UTF-16", lambda text: text.encode("utf-16")),
    "gzip": ("as it is", lambda text: gzip.compress(text.encode())),
    "backwards": ("backwards", lambda text: text[::-1]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_form_is_found(canary: Canary, name: str) -> None:
    form, write = WRITTEN[name]
    assert Leak("email", "place", form) in canary.leaks(place=write(canary.email))


def test_values_are_looked_through(canary: Canary) -> None:
    @dataclasses.dataclass
    class Order:
        note: str = dataclasses.field(repr=False)

    holder: list[object] = [{"orders": [Order(canary.text)]}]
    holder.append(holder)
    assert Leak("text", "value[0].orders[0].note", "as it is") in canary.leaks(value=holder)
    assert Leak("text", "value.(key)", "as it is") in canary.leaks(value={canary.text: 1})


def test_exceptions_are_looked_through(canary: Canary) -> None:
    error = ValueError("no")
    error.__context__ = KeyError(canary.text)
    error.add_note(canary.api_key)
    leaks = {(leak.name, leak.place) for leak in canary.leaks(error=error)}
    assert {("text", "error.__context__"), ("api_key", "error.__dict__.__notes__[0]")} <= leaks


def test_log_records_are_looked_through(canary: Canary, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("shop").warning("sent to %s", canary.email, extra={"card": canary.card_number})
    assert {leak.name for leak in canary.leaks(log=caplog.records)} == {"email", "card_number"}


def test_files_are_looked_through(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "spans.jsonl").write_text(f'{{"to": "{canary.email}"}}')
    (tmp_path / canary.text).touch()
    leaks = canary.leaks(out=tmp_path)
    assert Leak("email", "out:spans.jsonl", "as it is") in leaks
    assert Leak("text", "out", "as it is") in leaks


def test_spans_are_looked_through(canary: Canary) -> None:
    sink = MemorySink()
    policy = {"default": {"labels": {"note": {"values": [canary.text]}}}}
    with Tracing.for_development(
        "shop", policy=policy, sink=sink, on_send=lambda view, _: view.set_label("note", canary.text)
    ) as tracing:
        tracing.send(Message("kafka", "orders", b"1")).end()
        assert tracing.flush()
    assert [leak.name for leak in canary.leaks(spans=sink.spans)] != []
    span = TracerProvider().get_tracer("shop").start_span("pay", attributes={"to": canary.email})
    assert {leak.name for leak in canary.leaks(span=span)} == {"email"}


class Records(Collection[object]):
    """Makes each record for the occasion, as clients do."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __contains__(self, record: object) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        for text in self._texts:
            yield Record(text)


@dataclasses.dataclass
class Record:
    value: str = dataclasses.field(repr=False)


def test_parts_that_are_made_for_the_occasion_are_all_looked_through(canary: Canary) -> None:
    leaks = canary.leaks(records=Records(*["nothing"] * 5, canary.text))
    assert leaks == [Leak("text", "records[5].value", "as it is")]


def test_what_gives_its_parts_once_is_looked_through(canary: Canary) -> None:
    leaks = canary.leaks(records=(Record(text) for text in ("nothing", canary.text)))
    assert leaks == [Leak("text", "records[1].value", "as it is")]
