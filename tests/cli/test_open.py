from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.cli.open_ import open_envelope
from interceptors.context import TraceContext
from interceptors.envelope import Binding, Candidate, Level, Sealer, SenderKey
from interceptors.errors import EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from typer.testing import Result

VECTORS = Path(__file__).parents[2] / "schemas" / "vectors"
SCENARIOS = json.loads((VECTORS / "envelope-v1.json").read_text(encoding="utf-8"))
SIGNED = json.loads((VECTORS / "envelope-v1-suite2.json").read_text(encoding="utf-8"))
ANSWERS = ["malformed", "unsupported version", "unknown key", "revoked key", "not authentic"]

KEY = SenderKey("acme", "checkout", bytes(range(32)))
CONTEXT = TraceContext(b"\x01" * 16, b"\x02" * 8, labels={"plan": "gold", "shard": 7, "raw": b"\xff\x00"})
ORDERS = Binding("orders")
OPENED = {
    "tenant": "acme",
    "sender": "checkout",
    "trace_id": "01" * 16,
    "span_id": "02" * 8,
    "flags": 3,
    "issued_at": 1_790_000_000_000,
    "labels": {"plan": "gold", "shard": 7, "raw": {"bin": "ff00"}},
}


def sealed(level: Level = Level.CHANNEL, binding: Binding = ORDERS) -> bytes:
    return Sealer(KEY).seal(CONTEXT, level, binding, now=1_790_000_000_000).envelope


def private(file: Path, content: object) -> Path:
    file.write_text(json.dumps(content), encoding="utf-8")
    file.chmod(0o600)
    return file


@pytest.fixture
def keys(folder: Path) -> Path:
    """The key file of a service that may read the sender."""
    entry = {"tenant": "acme", "sender": "checkout", "kid": KEY.kid.hex(), "sender_key": KEY.key.hex()}
    return private(folder / "keys.json", {"version": 1, "service": "billing", "keys": [entry]})


@pytest.mark.parametrize(
    "scenario",
    [*SCENARIOS, *SIGNED],
    ids=[*(each["name"] for each in SCENARIOS), *(f"suite2-{each['name']}" for each in SIGNED)],
)
def test_every_vector_gives_what_it_expects(folder: Path, scenario: dict[str, Any]) -> None:
    keys = private(folder / "keys.json", scenario["keys"])
    receiver = scenario["receiver"]
    binding = Binding(
        receiver["channel"], receiver["type"], receiver["message_id"], bytes.fromhex(receiver["body_digest"])
    )
    try:
        found: object = open_envelope(
            scenario["envelope"],
            keys,
            Candidate(binding, Level(receiver["lowest_level"]), signed=receiver.get("signed", False)),
        )
    except EnvelopeError as error:
        found = error.answer.value
    assert found == (scenario["opened"] if scenario["expect"] == "ok" else scenario["expect"])


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_envelope_that_does_not_open_gives_the_answer_alone(
    folder: Path, invoke: Callable[..., Result], answer: str
) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario["expect"] == answer)
    keys = private(folder / "keys.json", scenario["keys"])
    result = invoke("open", scenario["envelope"], "--keys", keys)
    assert (result.exit_code, result.stdout, result.stderr) == (1, f"{answer}\n", "")


@pytest.mark.parametrize(
    "write",
    [
        bytes.hex,
        lambda envelope: envelope.hex().upper(),
        lambda envelope: f"\n  {envelope.hex(' ', 2)}\n",
        lambda envelope: urlsafe_b64encode(envelope).decode(),
        lambda envelope: urlsafe_b64encode(envelope).rstrip(b"=").decode() + "\n",
    ],
    ids=["hex", "upper case", "white space", "base64url", "without padding"],
)
def test_each_way_to_write_an_envelope_is_read(
    invoke: Callable[..., Result], keys: Path, write: Callable[[bytes], str]
) -> None:
    result = invoke("open", write(sealed()), "--keys", keys, "--channel", "orders")
    assert json.loads(result.stdout) == OPENED
    assert result.exit_code == 0


@pytest.mark.parametrize("argument", [["-"], []], ids=["dash", "nothing"])
def test_it_reads_standard_input(invoke: Callable[..., Result], keys: Path, argument: list[str]) -> None:
    result = invoke("open", *argument, "--keys", keys, "--channel", "orders", stdin=sealed().hex() + "\n")
    assert json.loads(result.stdout) == OPENED


def test_a_process_reads_its_pipe(spawn: Callable[..., CompletedProcess[str]], keys: Path) -> None:
    result = spawn("open", "--keys", keys, "--channel", "orders", stdin=sealed().hex() + "\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == OPENED


def test_what_binds_is_type_id_and_body(folder: Path, invoke: Callable[..., Result], keys: Path) -> None:
    body = folder / "body"
    body.write_bytes(b"the body\r\n\x00")
    envelope = sealed(
        Level.MESSAGE, Binding("orders", "created", "m-1", sha256(b"the body\r\n\x00").digest())
    )
    options = {"--channel": "orders", "--type": "created", "--message-id": "m-1", "--body": str(body)}
    words = [word for option in options.items() for word in option]
    assert json.loads(invoke("open", envelope.hex(), "--keys", keys, *words).stdout) == OPENED
    for left_out in options:
        fewer = [word for option in options.items() if option[0] != left_out for word in option]
        assert invoke("open", envelope.hex(), "--keys", keys, *fewer).stdout == "not authentic\n"


def test_a_level_below_the_lowest_is_not_authentic(invoke: Callable[..., Result], keys: Path) -> None:
    words = ["open", sealed().hex(), "--keys", keys, "--channel", "orders", "--lowest-level"]
    assert [invoke(*words, level).exit_code for level in range(5)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("text", ["1", "abc", "zzzzz", "!" * 8, "EQ=A", "héllo"])
def test_text_that_is_no_envelope_is_wrong_use(invoke: Callable[..., Result], keys: Path, text: str) -> None:
    result = invoke("open", text, "--keys", keys)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: the envelope is neither hex (two digits a byte) nor base64url")


def test_raw_bytes_on_standard_input_are_wrong_use(invoke: Callable[..., Result], keys: Path) -> None:
    result = invoke("open", "--keys", keys, stdin=sealed())
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("content", ["service", "vector"])
def test_a_key_file_that_others_can_read_is_refused(
    folder: Path, invoke: Callable[..., Result], keys: Path, content: str
) -> None:
    if content == "vector":
        private(keys, json.loads(keys.read_text(encoding="utf-8"))["keys"])
    keys.chmod(0o644)
    result = invoke("open", sealed().hex(), "--keys", keys)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: {keys}: others can read this key file (mode 0644); run: chmod 600 {keys}\n"
    )


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("text", ""),
        ([{"tenant": "acme", "sender": "checkout"}], "keys.0: a secret (sender_key"),
        ([{"tenant": "acme", "sender": "checkout", "sender_key": KEY.key.hex() + "00"}], "keys.0.sender_key"),
        ([{"tenant": "acme", "sender": "checkout", "sender_key": KEY.key.hex(), "kid": "0" * 32}], "0" * 32),
    ],
    ids=["no keys", "no sender key", "a longer key", "another kid"],
)
def test_a_key_file_that_does_not_hold_is_named_without_its_keys(
    folder: Path, invoke: Callable[..., Result], content: object, place: str
) -> None:
    file = private(folder / "keys.json", content)
    result = invoke("open", sealed().hex(), "--keys", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {file}: ")
    assert place in result.stderr
    assert KEY.key.hex() not in result.stderr


def test_a_key_file_that_is_missing_is_named(
    folder: Path, spawn: Callable[..., CompletedProcess[str]]
) -> None:
    result = spawn("open", sealed().hex(), "--keys", "nowhere.json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: nowhere.json: can't be read")


# --- on record ----------------------------------------------------------------------------------------------


def test_what_is_opened_is_recorded_with_its_purpose(
    folder: Path, invoke: Callable[..., Result], keys: Path
) -> None:
    words = ["open", "--keys", keys, "--audit", "audit.jsonl", "--purpose", "incident 7"]
    assert invoke(*words, "--channel", "orders", sealed().hex()).exit_code == 0
    assert invoke(*words, "--channel", "refunds", sealed().hex()).exit_code == 1
    assert invoke(*words, "00").exit_code == 1
    records = [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {record["action"] for record in records} == {"envelope.open"}
    assert [record["details"] for record in records] == [
        {"kid": KEY.kid.hex(), "channel": "orders", "purpose": "incident 7"},
        {"kid": KEY.kid.hex(), "channel": "refunds", "purpose": "incident 7"},
        {"kid": "", "channel": "", "purpose": "incident 7"},
    ]


def test_what_can_not_be_recorded_is_not_opened(
    folder: Path, invoke: Callable[..., Result], keys: Path
) -> None:
    (folder / "audit.jsonl").mkdir()
    words = ["open", sealed().hex(), "--keys", keys, "--channel", "orders", "--audit", "audit.jsonl"]
    for purpose, problem in (("incident 7", "audit.jsonl"), (" ", "--purpose")):
        result = invoke(*words, "--purpose", purpose)
        assert (result.exit_code, result.stdout) == (2, "")
        assert problem in result.stderr


def test_a_wrapping_that_can_not_be_reached_from_here_is_named(
    folder: Path, invoke: Callable[..., Result]
) -> None:
    entry = {"tenant": "acme", "sender": "checkout", "kid": KEY.kid.hex(), "wrapped_key": "d3JhcHBlZA=="}
    file = private(folder / "keys.json", {"service": "billing", "wrapping": "safe:key", "keys": [entry]})
    result = invoke("open", sealed().hex(), "--keys", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "names no wrapping" in result.stderr
