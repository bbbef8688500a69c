from __future__ import annotations

from pathlib import Path

import pytest

from interceptors.errors import ConfigurationError
from interceptors.keys.settings import KeySettings
from interceptors.policy.yaml_document import parse_document

ALL = """
file: keys.json
aws_kms: {region: eu-central-1, endpoint: https://kms.example.com}
vault: {address: https://vault.example.com, namespace: team, mount: keys, token_file: token}
pkcs11: {module: libsofthsm2.so, pin_file: pin}
cache: 90s
"""


def parsed(text: str) -> KeySettings:
    return parse_document(KeySettings, text, "keys")


def test_a_text_is_the_file_alone() -> None:
    assert KeySettings.model_validate("keys.json") == parsed("file: keys.json")


def test_paths_are_relative_to_the_configuration_and_a_library_is_not() -> None:
    found = parsed(ALL).located(Path("/etc/checkout"))
    assert found.file == "/etc/checkout/keys.json"
    assert found.vault.token_file == "/etc/checkout/token"
    assert found.pkcs11.pin_file == "/etc/checkout/pin"
    assert found.pkcs11.module == "libsofthsm2.so"


def test_files_that_are_not_named_stay_so() -> None:
    found = parsed("file: keys.json").located(Path("/etc"))
    assert (found.file, found.vault.token_file, found.pkcs11.pin_file) == ("/etc/keys.json", None, None)


@pytest.mark.parametrize(("text", "seconds"), [("file: a", 3600), ("{file: a, cache: 90s}", 90)])
def test_keys_are_kept_for_an_hour_unless_it_says_otherwise(text: str, seconds: float) -> None:
    assert parsed(text).cache_s == seconds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("vault: {address: a}", "keys:1: file: this key is required"),
        ("{file: a, vault: {token: hvs.secret}}", "vault.token: unknown key; did you mean 'token_file'"),
        ("{file: a, pkcs11: {pin: '1234'}}", "pkcs11.pin: unknown key; known here: module, pin_file"),
        ("{file: a, cache: 90}", "cache: write a duration"),
    ],
)
def test_what_does_not_hold_is_refused_and_no_secret_has_a_place(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parsed(text)
    assert problem in str(raised.value)
    assert "hvs.secret" not in str(raised.value)
    assert "1234" not in str(raised.value)


def test_the_schema_takes_a_text_or_a_mapping() -> None:
    text, mapping = KeySettings.model_json_schema()["anyOf"]
    assert text["type"] == "string"
    assert "file" in mapping["properties"]
