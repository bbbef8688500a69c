from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.errors import ConfigurationError, PolicyError
from interceptors.tracing.configuration import read_configuration, read_policy
from interceptors.tracing.export import Export, FileExport

if TYPE_CHECKING:
    from collections.abc import Callable
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
    assert found.keys == str(path.parent / "keys.json")
    assert found.policy == str(path.parent / "policy.yaml")
    assert found.export.file == FileExport(path=str(path.parent / "out/spans.jsonl"))
    assert found.environment == "production"


def test_absolute_paths_stay(path: Path) -> None:
    path.write_text(LEAST.replace("keys.json", "/etc/keys.json"))
    assert read_configuration(path).keys == "/etc/keys.json"


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


@pytest.mark.parametrize("read", [read_configuration, read_policy])
def test_a_file_that_cannot_be_read_is_named_with_what_makes_one(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ConfigurationError, match=r"can't be read .* made by: interceptors init"):
            read(path)


def test_a_file_that_is_no_text_is_refused_and_not_shown(path: Path) -> None:
    path.write_bytes(b"service: secret\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 text; save it as UTF-8") as raised:
        read_configuration(path)
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)


def test_a_policy_is_read_and_its_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nchannels: [{name: orders, match: {kafka: [o]}}]")
    assert read_policy(path).channels("kafka", "o")[0].name == "orders"
    path.write_text("version: 2")
    with pytest.raises(PolicyError, match=rf"{path}:1: version: should be 1"):
        read_policy(path)
