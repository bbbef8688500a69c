from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.errors import ConfigurationError
from interceptors.tracing.configuration import read_configuration
from interceptors.tracing.export import Export, FileExport

if TYPE_CHECKING:
    from pathlib import Path

LEAST = "service: checkout\ntenant: acme\nkeys: keys.json\npolicy: policy.yaml\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "interceptors.yaml"


def test_the_least_that_a_configuration_says(path: Path) -> None:
    path.write_text(LEAST)
    found = read_configuration(path)
    assert (found.service, found.tenant, found.environment) == ("checkout", "acme", "development")
    assert found.export == Export(file=None)


def test_paths_are_relative_to_the_configuration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    path.write_text(f"{LEAST}environment: production\nexport: {{file: {{path: out/spans.jsonl}}}}\n")
    found = read_configuration(path)
    assert found.keys.file == str(path.parent / "keys.json")
    assert found.policy == str(path.parent / "policy.yaml")
    assert found.export.file == FileExport(path=str(path.parent / "out/spans.jsonl"))
    assert found.environment == "production"


def test_absolute_paths_stay(path: Path) -> None:
    path.write_text(LEAST.replace("keys.json", "/etc/keys.json"))
    assert read_configuration(path).keys.file == "/etc/keys.json"


def test_keys_may_say_how_what_wraps_them_is_reached(path: Path) -> None:
    keys = "{file: keys.json, vault: {address: https://vault.example.com, token_file: token}, cache: 10m}"
    path.write_text(LEAST.replace("keys.json", keys))
    found = read_configuration(path).keys
    assert (found.file, found.cache_s) == (str(path.parent / "keys.json"), 600)
    assert found.vault.token_file == str(path.parent / "token")


def test_a_deep_folder_is_no_fault(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 200) / ("b" * 200)
    folder.mkdir(parents=True)
    path = folder / "interceptors.yaml"
    path.write_text(f"{LEAST}export: {{file: {{path: spans.jsonl}}}}")
    file = read_configuration(path).export.file
    assert file is not None
    assert file.path == str(folder / "spans.jsonl")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LEAST.replace("tenant", "tennant"), ":2: tennant: unknown key; did you mean 'tenant'?"),
        (LEAST.replace("service: checkout\n", ""), ":1: service: this key is required; add it"),
        (LEAST.replace("checkout", "7"), ":1: service: should be text; put it in quotes"),
        (
            LEAST.replace("keys.json", "{file: a, valt: {}}"),
            ":3: keys.valt: unknown key; did you mean 'vault'?",
        ),
        (LEAST.replace("keys.json", "''"), ":3: keys.file: string should have at least 1 character"),
        (LEAST.replace("keys.json", "7"), ":3: keys: should be a mapping of keys to values"),
        (LEAST + "export: {zipkin: {}}", ":5: export.zipkin: unknown key; known here: bus, file, otlp"),
        (LEAST + "export: {file: {}}", ":5: export.file.path: this key is required; add it"),
        (LEAST + "export:", ":5: export: this key has no value; write one, or leave the key out"),
        (
            LEAST + "export:\n  file:",
            ":6: export.file: this key has no value; write one, or leave the key out",
        ),
        (LEAST + "service: again", ":5: not readable as YAML: the key `service` stands twice; keep one"),
    ],
)
def test_what_does_not_hold_is_refused_with_line_place_and_remedy(
    path: Path, text: str, problem: str
) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_configuration(path)
    assert str(raised.value) == f"{path}{problem}"


def test_a_file_that_cannot_be_read_is_named_with_what_makes_one(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ConfigurationError, match=r"can't be read .* made by: interceptors init"):
            read_configuration(path)


def test_a_file_that_is_no_text_is_refused_and_not_shown(path: Path) -> None:
    path.write_bytes(b"service: secret\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 text; save it as UTF-8") as raised:
        read_configuration(path)
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)


def test_trust_state_and_audit_log_lie_beside_the_configuration(path: Path) -> None:
    path.write_text(f"{LEAST}trust_state: seen.json\naudit: {{log: audit.jsonl, key: audit.key}}\n")
    found = read_configuration(path)
    assert found.audit is not None
    folder = path.parent
    places = found.trust_state, found.audit.log, found.audit.key
    assert places == (str(folder / "seen.json"), str(folder / "audit.jsonl"), str(folder / "audit.key"))


def test_an_audit_log_needs_no_key(path: Path) -> None:
    path.write_text(f"{LEAST}audit: {{log: audit.jsonl}}\n")
    found = read_configuration(path)
    assert found.audit is not None
    assert found.audit.key is None
