from __future__ import annotations

import os
import sys

import pytest

from interceptors.errors import ConfigurationError, KeyProblem, MissingExtraError
from interceptors.keys.aws_kms import AwsKms
from interceptors.keys.pkcs11 import Pkcs11
from interceptors.keys.settings import AwsKmsSettings, Pkcs11Settings, VaultSettings, WrappingSettings
from interceptors.keys.vault_transit import VaultTransit
from interceptors.keys.wrapping import (
    PerProcess,
    associated_context,
    key_wrapper,
    refused,
    wrapping_context,
)

SETTINGS = WrappingSettings(
    aws_kms=AwsKmsSettings(region="eu-central-1"),
    vault=VaultSettings(address="http://127.0.0.1:1"),
    pkcs11=Pkcs11Settings(module="libtoken.so"),
)


def test_a_context_says_what_a_key_is_in_texts() -> None:
    context = wrapping_context("sender key", "acme", sender="checkout", epoch=2)
    assert context == {"kind": "sender key", "tenant": "acme", "sender": "checkout", "epoch": "2"}


def test_a_context_is_the_same_bytes_in_any_order() -> None:
    one = associated_context({"kind": "root", "tenant": "acme"})
    assert one == associated_context({"tenant": "acme", "kind": "root"})


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "root", "tenant": "acm", "e": ""},
        {"kind": "root", "tenan": "tacme"},
        {"kind": "root", "tenant": "acme", "epoch": "1"},
        {"kind": "roottenant", "": "acme"},
        {"kind": "root"},
        {},
    ],
    ids=str,
)
def test_two_contexts_are_never_the_same_bytes(other: dict[str, str]) -> None:
    assert associated_context(other) != associated_context({"kind": "root", "tenant": "acme"})


@pytest.mark.parametrize(
    ("uri", "driver"),
    [
        ("aws-kms:alias/checkout", AwsKms),
        ("aws-kms:arn:aws:kms:eu-central-1:111122223333:key/k", AwsKms),
        ("vault:checkout", VaultTransit),
        ("pkcs11:prod/checkout", Pkcs11),
    ],
)
def test_a_uri_names_a_driver(uri: str, driver: type) -> None:
    assert type(key_wrapper(uri, SETTINGS)) is driver


@pytest.mark.parametrize(
    "uri", ["", "alias/checkout", "aws-kms:", "vault:", "pkcs11:", "pkcs11:prod", "pkcs11:/key", "gcp-kms:k"]
)
def test_any_other_uri_is_refused_with_those_that_there_are(uri: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"names no wrapping; write one of: aws-kms:.*, vault:.*, pkcs"
    ):
        key_wrapper(uri, SETTINGS)


@pytest.mark.parametrize(
    ("uri", "variable", "module", "extra"),
    [
        ("aws-kms:k", "AWS_DEFAULT_REGION", "aws_kms", "aws"),
        ("vault:k", "VAULT_ADDR", "vault_transit", "vault"),
        ("pkcs11:t/k", "INTERCEPTORS_PKCS11_MODULE", "pkcs11", "pkcs11"),
    ],
)
def test_what_no_setting_says_comes_from_the_environment(
    uri: str, variable: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigurationError, match=variable):
        key_wrapper(uri)
    monkeypatch.setenv(variable, "http://127.0.0.1:1" if extra == "vault" else "eu-central-1")
    assert type(key_wrapper(uri)).__module__ == f"interceptors.keys.{module}"


@pytest.mark.parametrize(
    ("uri", "module", "missing", "extra"),
    [
        ("aws-kms:k", "aws_kms", "boto3", "aws"),
        ("vault:k", "vault_transit", "hvac", "vault"),
        ("pkcs11:t/k", "pkcs11", "pkcs11", "pkcs11"),
    ],
)
def test_without_its_extra_a_driver_says_what_to_install(
    uri: str, module: str, missing: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"interceptors.keys.{module}")
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"interceptors\[{extra}\]"):
        key_wrapper(uri, SETTINGS)


def test_each_process_makes_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = PerProcess(object)
    first = mine()
    assert mine() is first
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert mine() is not first
    assert mine() is mine()


@pytest.mark.parametrize("problem", KeyProblem)
def test_an_error_says_what_to_do(problem: KeyProblem) -> None:
    error = refused("Vault key 'k': Forbidden", problem)
    text, remedy = str(error).split("; ", 1)
    assert (text, error.problem) == ("Vault key 'k': Forbidden", problem)
    assert remedy
