from __future__ import annotations

import os
import sys

import pytest

from interceptors.errors import ConfigurationError, MissingExtraError
from interceptors.keys.aws_kms import AwsKms
from interceptors.keys.pkcs11 import Pkcs11
from interceptors.keys.settings import AwsKmsSettings, Pkcs11Settings, VaultSettings, WrappingSettings
from interceptors.keys.vault_transit import VaultTransit
from interceptors.keys.wrapping_uri import key_wrapper

SETTINGS = WrappingSettings(
    aws_kms=AwsKmsSettings(region="eu-central-1"),
    vault=VaultSettings(address="http://127.0.0.1:1"),
    pkcs11=Pkcs11Settings(module="libtoken.so"),
)


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
