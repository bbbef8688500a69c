"""`benchmarks/labelled.py`: what others publish, as labelled data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.evaluation.labelled import Label, LabelledData, read_labelled

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "labelled.py"


@pytest.fixture
def converted(tmp_path: Path) -> Callable[[str, Any], LabelledData]:
    """Writes a file as it is published, and reads what the script makes of it."""

    def convert(name: str, published: Any) -> LabelledData:
        file = tmp_path / "vectors" / name
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(published), encoding="utf-8")
        out = tmp_path / "out"
        subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-W", "error", SCRIPT, tmp_path / "vectors", out], check=True, timeout=60
        )
        (made,) = out.iterdir()
        assert made.stem == name.partition("/")[0]
        return read_labelled(made)

    return convert


def labels(data: LabelledData) -> list[tuple[str, tuple[Label, ...]]]:
    return [(record.id, record.labels) for record in data.records]


def test_gitleaks(converted: Callable[[str, Any], LabelledData]) -> None:
    published = [
        {"rule": "jwt", "label": "tp", "own_regex_matches": True, "text": "a"},
        {"rule": "okta-access-token", "label": "tp", "own_regex_matches": None, "text": "b"},
        {"rule": "okta-access-token", "label": "tp", "own_regex_matches": False, "text": "noise"},
        {"rule": "okta-access-token", "label": "fp", "own_regex_matches": False, "text": "c"},
    ]
    data = converted("gitleaks/rule_vectors.json", published)
    assert labels(data) == [
        ("jwt 0", (Label("secret.jwt"),)),
        ("okta-access-token 1", (Label("secret"),)),
        ("okta-access-token 3", ()),
    ]
    assert data.classes == {"secret", "secret.jwt"}


def test_nosey_parker(converted: Callable[[str, Any], LabelledData]) -> None:
    published = [
        {"id": "np.pem.1", "examples": ["a", "b"], "negative_examples": ["c"]},
        {"id": "np.arn.1", "examples": ["no secret"], "negative_examples": []},
    ]
    assert labels(converted("noseyparker/rule_examples.json", published)) == [
        ("np.pem.1 0", (Label("secret.private_key"),)),
        ("np.pem.1 1", (Label("secret.private_key"),)),
        ("np.pem.1 not 0", ()),
    ]


def test_detect_secrets(converted: Callable[[str, Any], LabelledData]) -> None:
    published = [
        {"file": "npm_test.py", "payload": "a", "should_flag": True},
        {"file": "npm_test.py", "line": "b", "should_flag": False},
        {"file": "npm_test.py", "format": "{secret}", "should_be_caught": True},
        {"file": "ip_public_test.py", "payload": "8.8.8.8", "should_flag": True},
    ]
    assert labels(converted("detect-secrets/plugin_test_vectors.json", published)) == [
        ("npm_test.py 0", (Label("secret"),)),
        ("npm_test.py 1", ()),
    ]


def test_the_validators_of_datadog(converted: Callable[[str, Any], LabelledData]) -> None:
    published = [
        {"validator": "luhn_checksum", "label": "valid", "value": "4111 1111"},
        {"validator": "luhn_checksum", "label": "invalid", "value": "4111 1112"},
        {"validator": "luhn_checksum", "label": None, "value": "4111"},
        {"validator": "luhn_checksum", "label": "valid", "value": ""},
        {"validator": "token_efficiency", "label": "valid", "value": "x"},
    ]
    data = converted("dd-sds/validator_vectors.json", published)
    assert [record.body for record in data.records] == [
        b'{"card_number": "4111 1111"}',
        b'{"card_number": "4111 1112"}',
    ]
    assert [record.labels for record in data.records] == [(Label("payment.card", 17, 26),), ()]
    assert "payment.bank_account" in data.classes


def test_datafog(converted: Callable[[str, Any], LabelledData]) -> None:
    entities = [
        {"type": "IP_ADDRESS", "text": "10.0.0.1", "start": 2, "end": 10},
        {"type": "IP_ADDRESS", "text": "8.8.8.8", "start": 11, "end": 18},
        {"type": "PERSON", "text": "é", "start": 0, "end": 1},
    ]
    data = converted(
        "datafog/corpus/mixed.json",
        [{"id": "m", "input": "é 10.0.0.1 8.8.8.8", "expected_entities": entities}],
    )
    assert labels(data) == [("mixed m", (Label("network.private_ip", 3, 11), Label("network.ip", 12, 19)))]
    assert "personal.email" in data.classes
