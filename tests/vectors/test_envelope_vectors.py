"""The library held to the vector files; these held to their generator, their schema and another verifier."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from interceptors.context import TraceContext
from interceptors.envelope import (
    Binding,
    Candidate,
    KeySet,
    Level,
    Opener,
    Sealer,
    SenderKey,
    derive_sender_key,
    derive_signing_key,
)
from interceptors.errors import Answer, EnvelopeError
from interceptors.signatures import VerificationKey

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.envelope import Opened


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, program, *arguments]
    # The programs are the repository's own.
    return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - see above


def binding_of(scenario: dict[str, Any]) -> Binding:
    receiver = scenario["receiver"]
    digest = bytes.fromhex(receiver["body_digest"])
    return Binding(receiver["channel"], receiver["type"], receiver["message_id"], digest)


def keys_of(scenario: dict[str, Any], *, revoked_are_held: bool) -> KeySet:
    keys = [
        (
            SenderKey(
                key["tenant"],
                key["sender"],
                bytes.fromhex(key["sender_key"]),
                verification=VerificationKey(bytes.fromhex(key["verify_key"]))
                if "verify_key" in key
                else None,
            ),
            key["revoked"],
        )
        for key in scenario["keys"]
    ]
    return KeySet(
        [key for key, revoked in keys if revoked_are_held or not revoked],
        [key.kid for key, revoked in keys if revoked],
    )


def as_written(opened: Opened) -> dict[str, Any]:
    """What was opened, in the form of the file."""
    context = opened.context
    return {
        "tenant": opened.tenant,
        "sender": opened.sender,
        "trace_id": context.trace_id.hex(),
        "span_id": context.span_id.hex(),
        "flags": context.flags,
        "issued_at": opened.issued_at,
        "labels": {
            name: {"bin": value.hex()} if isinstance(value, bytes) else value
            for name, value in context.labels.items()
        },
    }


@pytest.mark.parametrize("revoked_are_held", [True, False])
def test_opens_to_what_the_scenario_expects(scenario: dict[str, Any], *, revoked_are_held: bool) -> None:
    receiver = scenario["receiver"]
    candidate = Candidate(
        binding_of(scenario), Level(receiver["lowest_level"]), signed=receiver.get("signed", False)
    )
    keys = keys_of(scenario, revoked_are_held=revoked_are_held)
    envelope = bytes.fromhex(scenario["envelope"])

    if scenario["expect"] == "ok":
        opened = Opener().open(envelope, keys, [candidate])
        # As JSON, because Python takes True and 1 for equal.
        assert json.dumps(as_written(opened), sort_keys=True) == json.dumps(
            scenario["opened"], sort_keys=True
        )
    else:
        with pytest.raises(EnvelopeError) as refusal:
            Opener().open(envelope, keys, [candidate])
        assert refusal.value.answer == scenario["expect"]


def test_seals_to_the_bytes_of_the_scenario(sealed_scenario: dict[str, Any]) -> None:
    source, opened = sealed_scenario["sealed_from"], sealed_scenario["opened"]
    names = bytes.fromhex(source["root"]), opened["tenant"], opened["sender"]
    key, signing = derive_sender_key(*names), derive_signing_key(*names)
    signed = "signing_seed" in source
    assert source.get("signing_seed") in (None, signing.seed().hex())
    labels = {
        name: bytes.fromhex(value["bin"]) if isinstance(value, dict) else value
        for name, value in opened["labels"].items()
    }
    context = TraceContext(
        bytes.fromhex(opened["trace_id"]), bytes.fromhex(opened["span_id"]), opened["flags"], labels
    )
    own = SenderKey(opened["tenant"], opened["sender"], key.key, signing=signing)
    sealer = Sealer(own, rng=io.BytesIO(bytes.fromhex(source["nonce"])).read)

    sealed = sealer.seal(
        context, Level(source["level"]), binding_of(sealed_scenario), opened["issued_at"], signed=signed
    )

    assert sealed.envelope.hex() == sealed_scenario["envelope"]
    assert sealed.labels_left_out == 0


def test_the_file_has_the_form_of_the_schema(vector_file: Path, vectors: Path) -> None:
    schema = json.loads((vectors / "vectors.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)

    errors = Draft202012Validator(schema).iter_errors(json.loads(vector_file.read_text(encoding="utf-8")))

    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_each_scenario_has_a_name_of_its_own(vector_file: Path) -> None:
    names = Counter(scenario["name"] for scenario in json.loads(vector_file.read_text(encoding="utf-8")))

    assert [name for name, count in names.items() if count > 1] == []


def test_each_answer_occurs(vector_file: Path) -> None:
    scenarios = json.loads(vector_file.read_text(encoding="utf-8"))

    assert {scenario["expect"] for scenario in scenarios} == {"ok", *Answer}


def generator_of(vector_file: Path, folder: Path) -> Path:
    return folder / f"generate{vector_file.stem.removeprefix('envelope-v1').replace('-', '_')}.py"


def test_the_generator_gives_the_file_that_is_there(vector_file: Path, vectors: Path) -> None:
    done = run(generator_of(vector_file, vectors), "--check")

    assert (done.returncode, done.stderr) == (0, "")


def test_the_generator_notices_a_file_that_is_not_its_own(
    vector_file: Path, vectors: Path, tmp_path: Path
) -> None:
    for program in vectors.glob("generate*.py"):
        (tmp_path / program.name).write_bytes(program.read_bytes())
    generator, file = generator_of(vector_file, tmp_path), tmp_path / vector_file.name
    file.write_text("[]\n", encoding="utf-8")

    assert run(generator, "--check").returncode == 1

    assert run(generator).returncode == 0
    assert file.read_bytes() == vector_file.read_bytes()


def test_an_independent_implementation_agrees(vector_file: Path, vectors: Path) -> None:
    done = run(vectors / "verify.py", vector_file)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_independent_implementation_is_independent(vectors: Path) -> None:
    assert "interceptors" not in {
        line.split()[1].split(".")[0]
        for line in (vectors / "verify.py").read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "from "))
    }


@pytest.mark.parametrize(
    ("file", "name", "change"),
    [
        ("envelope-v1", "level-1-channel", {"expect": "not authentic"}),
        ("envelope-v1", "padding-two-marks", {"expect": "unknown key"}),
        ("envelope-v1", "labels-bool", {"labels": {"f": 0, "t": 1}}),
        ("envelope-v1", "size-64-full", {"nonce": "00" * 24}),
        ("envelope-v1-suite2", "level-1-channel", {"signing_seed": "00" * 32}),
        ("envelope-v1-suite2", "suite-1-where-signed", {"signed": False}),
        ("envelope-v1-suite2", "signature-zeros", {"expect": "unknown key"}),
    ],
)
def test_the_independent_implementation_notices_a_wrong_scenario(
    *, file: str, name: str, change: dict[str, Any], vectors: Path, tmp_path: Path
) -> None:
    scenarios = json.loads((vectors / f"{file}.json").read_text(encoding="utf-8"))
    (wrong,) = (scenario for scenario in scenarios if scenario["name"] == name)
    for part in (wrong, wrong["receiver"], wrong.get("opened", {}), wrong.get("sealed_from", {})):
        part.update({field: value for field, value in change.items() if field in part})
    (tmp_path / "wrong.json").write_text(json.dumps(scenarios), encoding="utf-8")

    done = run(vectors / "verify.py", tmp_path / "wrong.json")

    assert done.returncode == 1
    assert [line.split(": ")[1] for line in done.stdout.splitlines()[:-1]] == [name]
