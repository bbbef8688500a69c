"""Two services that are named by SPIFFE IDs: from the grant to the span."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from interceptors import Tracing
from interceptors.errors import Answer, ConfigurationError
from interceptors.message import Message
from interceptors.policy import check_policy, parse_policy
from interceptors.replay import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

CHECKOUT = "spiffe://example.com/ns/shop/sa/checkout"
BILLING = "spiffe://example.com/ns/shop/sa/billing"
STRANGER = "spiffe://example.com/ns/shop/sa/stranger"
NEARLY = "spiffe://Example.com/ns/shop/sa/checkout"

POLICY = f"""
version: 1
channels:
  - {{name: orders, match: {{kafka: [orders]}}, signed: true, senders: ["{CHECKOUT}"]}}
"""


@pytest.fixture
def tracing(invoke: Callable[..., Result], folder: Path) -> Callable[[str], Tracing]:
    """The tracing of a service, out of files as the commands and an operator write them."""
    invoke("keys", "root", "acme")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")

    def make(service: str) -> Tracing:
        name = service.rpartition("/")[2]
        reads = [word for sender in (CHECKOUT, STRANGER) for word in ("--reads", sender)]
        result = invoke(
            "keys", "grant", service, "--tenant", "acme", "--signs", *reads, "--out", f"{name}-keys.json"
        )
        assert result.exit_code == 0, result.output
        (folder / f"{name}.yaml").write_text(
            f"service: {service}\ntenant: acme\nkeys: {name}-keys.json\npolicy: policy.yaml\n"
            f"export: {{file: {{path: {name}-spans.jsonl}}}}\n",
            encoding="utf-8",
        )
        return Tracing.from_file(folder / f"{name}.yaml")

    return make


def sent(tracing: Tracing) -> bytes:
    with tracing.send(Message("kafka", "orders", b"2 apples")) as sending:
        assert sending.envelope is not None
        return sending.envelope


def test_a_trace_goes_from_one_spiffe_id_to_the_other(
    tracing: Callable[[str], Tracing], folder: Path
) -> None:
    checkout, stranger, billing = tracing(CHECKOUT), tracing(STRANGER), tracing(BILLING)
    genuine, others = sent(checkout), sent(stranger)
    fetch = billing.opening_keys_wanted([genuine, others])
    assert fetch is not None
    fetch()

    receipt, refused = (
        billing.receive(Message("kafka", "orders", envelopes=(envelope,)), consumer="billing")
        for envelope in (genuine, others)
    )

    assert (receipt.verdict, receipt.sender) == (Verdict.FRESH, CHECKOUT)
    assert (refused.verdict, refused.answer) == (Verdict.INVALID, Answer.UNKNOWN_KEY)
    checkout.close()
    (span,) = (folder / "checkout-spans.jsonl").read_text(encoding="utf-8").splitlines()
    assert {"key": "service.name", "value": {"stringValue": CHECKOUT}} in attributes(json.loads(span))


def attributes(document: object) -> list[object]:
    """Every attribute in a document of OTLP's, wherever it stands."""
    if isinstance(document, dict):
        own = [document] if document.keys() == {"key", "value"} else []
        return own + [found for part in document.values() for found in attributes(part)]
    return [found for part in document for found in attributes(part)] if isinstance(document, list) else []


def test_a_grant_for_what_only_looks_like_a_spiffe_id_is_refused(
    invoke: Callable[..., Result], folder: Path
) -> None:
    invoke("keys", "root", "acme")

    for words in ((NEARLY,), (CHECKOUT, "--reads", NEARLY)):
        result = invoke("keys", "grant", *words, "--tenant", "acme", "--out", "keys.json")
        assert result.exit_code != 0
        assert "has to be a SPIFFE ID, and that has a trust domain" in result.stderr

    assert not (folder / "keys.json").exists()


def test_so_is_a_policy_that_names_one_with_its_place(folder: Path) -> None:
    channel = {"name": "orders", "match": {"kafka": ["orders"]}, "senders": [CHECKOUT, NEARLY]}
    with pytest.raises(ConfigurationError, match=r"channels\[0\]\.senders\[1\].*SPIFFE ID"):
        check_policy({"version": 1, "channels": [channel]}, "policy")
    with pytest.raises(ConfigurationError, match=r"policy\.yaml:4: channels\[0\]\.senders.*SPIFFE ID"):
        parse_policy(POLICY.replace(CHECKOUT, NEARLY), "policy.yaml")


def test_so_is_a_service_that_calls_itself_one(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="SPIFFE ID"):
        Tracing.for_development(NEARLY)
    path = folder / "interceptors.yaml"
    path.write_text(
        f"service: {NEARLY}\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n", encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"interceptors\.yaml:1: service: .*SPIFFE ID"):
        Tracing.from_file(path)
