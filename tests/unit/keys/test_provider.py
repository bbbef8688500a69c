from __future__ import annotations

import inspect

import pytest

from interceptors.keys import KeyProvider, LocalKeys, MemoryKeys
from interceptors.keys.caching import CachingKeys
from interceptors.keys.metered import MeteredKeys
from interceptors.keys.retrying import RetryingKeys

ASKED = [name for name in vars(KeyProvider) if not name.startswith("_")]


@pytest.mark.parametrize("provider", [LocalKeys, MemoryKeys, CachingKeys, MeteredKeys, RetryingKeys])
@pytest.mark.parametrize("name", ASKED)
def test_a_shipped_provider_is_asked_as_the_protocol_says(provider: type[KeyProvider], name: str) -> None:
    assert inspect.signature(getattr(provider, name)) == inspect.signature(getattr(KeyProvider, name))


def test_a_provider_is_asked_for_four_things() -> None:
    assert sorted(ASKED) == ["opening_key", "refresh", "revoked", "sealing_key"]
