"""The keys of a service, as its configuration says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError
from interceptors.keys.caching import CachingKeys
from interceptors.keys.local import LocalKeys
from interceptors.keys.metered import MeteredKeys
from interceptors.keys.retrying import RetryingKeys
from interceptors.keys.wrapping_uri import key_wrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.metrics import Meter

    from interceptors.keys.provider import KeyProvider
    from interceptors.keys.settings import KeySettings
    from interceptors.keys.wrapping import KeyWrapper


def key_provider(settings: KeySettings, service: str, place: str, meter: Meter) -> KeyProvider:
    """Give a service's keys: out of its file, unwrapped where they are wrapped, kept, retried and measured.

    Args:
        settings: where the file is, and how what wraps its keys is reached.
        service: the service whose file it has to be.
        place: where the file was named, for the error.
        meter: whose instruments.

    Raises:
        ConfigurationError: the file does not hold, or is another service's; or nothing says where what wraps
            its keys is.
        MissingExtraError: what unwraps its keys is not installed.
    """
    keys = local_keys(settings.file, service, place, partial(key_wrapper, settings=settings))
    return CachingKeys(RetryingKeys(MeteredKeys(keys, meter)), settings.cache_s)


def local_keys(
    path: Path | str, service: str, place: str, wrappers: Callable[[str], KeyWrapper] = key_wrapper
) -> LocalKeys:
    """Read a service's key file.

    Args:
        path: the file.
        service: the service whose it has to be.
        place: where the file was named, for the error.
        wrappers: gives what unwraps its keys, by the URI that the file names.

    Raises:
        ConfigurationError: the file does not hold, or is another service's.
        MissingExtraError: what unwraps its keys is not installed.
    """
    keys = LocalKeys(path, wrappers)
    if keys.service != service:
        msg = (
            f"{place}: {path} holds the keys of {keys.service!r}, and this is {service!r}; "
            f"run: interceptors keys grant {service}"
        )
        raise ConfigurationError(msg)
    return keys
