from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import NoOpMeter

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.keys.configured import key_provider, local_keys
from interceptors.keys.settings import KeySettings, VaultSettings
from interceptors.testing.key_wrapping import MemoryWrapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.keys.settings import WrappingSettings
    from interceptors.testing.key_wrapping import MemoryWrapper

METER = NoOpMeter("interceptors")


@pytest.fixture
def wrapping(monkeypatch: pytest.MonkeyPatch) -> MemoryWrapping:
    """What every URI names here, with the settings that it was asked for with."""
    made = MemoryWrapping()

    def wrapper(uri: str, settings: WrappingSettings) -> MemoryWrapper:
        assert settings.vault.address == "https://vault.example.com"
        return made(uri)

    monkeypatch.setattr("interceptors.keys.configured.key_wrapper", wrapper)
    return made


@pytest.fixture
def wrapped_file(tmp_path: Path, wrapping: MemoryWrapping) -> Path:
    """The key file of `checkout`, wrapped."""
    administration = KeyAdministration(tmp_path / "roots.json", wrappers=wrapping)
    administration.root("acme", "vault:roots")
    administration.grant("checkout", "acme", [], tmp_path / "checkout.json", wrapping="vault:checkout")
    return tmp_path / "checkout.json"


def settings(file: Path) -> KeySettings:
    vault = VaultSettings(address="https://vault.example.com")
    return KeySettings.model_validate("-").model_copy(update={"file": str(file), "vault": vault})


def test_wrapped_keys_are_unwrapped_once_and_kept(wrapped_file: Path, wrapping: MemoryWrapping) -> None:
    keys = key_provider(settings(wrapped_file), "checkout", "keys", METER)
    unwrapped = wrapping.unwraps
    assert keys.sealing_key("acme").sender == "checkout"
    wrapping.away = True
    assert keys.sealing_key("acme").sender == "checkout"
    assert wrapping.unwraps == unwrapped + 1


def test_what_cant_be_unwrapped_at_present_is_asked_for_again(
    wrapped_file: Path, wrapping: MemoryWrapping, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bytes] = []

    def fail(self: object, wrapped: bytes, context: object) -> Any:
        tried.append(wrapped)
        raise KeyProviderError("not now", problem=KeyProblem.UNREACHABLE)

    monkeypatch.setattr("interceptors.testing.key_wrapping.MemoryWrapper.unwrap", fail)
    keys = key_provider(settings(wrapped_file), "checkout", "keys", METER)
    with pytest.raises(KeyProviderError):
        keys.sealing_key("acme")
    assert len(tried) > 1
    assert len(set(tried)) == 1


def test_the_settings_say_how_long_keys_are_kept(wrapped_file: Path, wrapping: MemoryWrapping) -> None:
    shortest = settings(wrapped_file).model_copy(update={"cache": 0})
    keys = key_provider(shortest, "checkout", "keys", METER)
    unwrapped = wrapping.unwraps
    keys.sealing_key("acme")
    assert keys.refresh()
    keys.sealing_key("acme")
    assert wrapping.unwraps == unwrapped + 2


def test_keys_in_clear_need_nothing_else(key_file: Callable[..., Path], entry: Callable[..., Any]) -> None:
    keys = key_provider(settings(key_file(entry())), "checkout", "keys", METER)
    assert keys.sealing_key("acme").key.hex() == "11" * 32


def test_the_file_has_to_be_the_services_own(
    key_file: Callable[..., Path], entry: Callable[..., Any]
) -> None:
    path = key_file(entry())
    assert isinstance(local_keys(path, "checkout", "keys"), LocalKeys)
    with pytest.raises(ConfigurationError, match=r"^here: .* of 'checkout', and this is 'billing'"):
        local_keys(path, "billing", "here")
    with pytest.raises(ConfigurationError, match=r"interceptors keys grant billing"):
        key_provider(settings(path), "billing", "here", METER)
