"""The choice of what wraps keys, by the URI that a key file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.errors import ConfigurationError
from interceptors.keys.settings import WrappingSettings

if TYPE_CHECKING:
    from interceptors.keys.wrapping import KeyWrapper

_SCHEMES = "aws-kms:<key id or ARN>, vault:<name of the key>, pkcs11:<label of the token>/<label of the key>"


def key_wrapper(uri: str, settings: WrappingSettings | None = None) -> KeyWrapper:
    """Give the wrapper that a key file names.

    Args:
        uri: `aws-kms:<key id or ARN>`, `vault:<name of the transit key>`, or
            `pkcs11:<label of the token>/<label of the key>`.
        settings: how the service is reached; what is left out there comes from the environment.

    Returns:
        The wrapper. Nothing has been asked of the service yet.

    Raises:
        ConfigurationError: another URI, or nothing says where the service is.
        MissingExtraError: the client of the service is not installed.
    """
    settings = settings or WrappingSettings()
    scheme, _, name = uri.partition(":")
    if scheme == "aws-kms" and name:
        from interceptors.keys.aws_kms import AwsKms  # noqa: PLC0415 - of an extra

        return AwsKms(name, region=settings.aws_kms.region, endpoint=settings.aws_kms.endpoint)
    if scheme == "vault" and name:
        from interceptors.keys.vault_transit import VaultTransit  # noqa: PLC0415 - of an extra

        vault = settings.vault
        return VaultTransit(
            name,
            address=vault.address,
            namespace=vault.namespace,
            mount=vault.mount,
            token_file=vault.token_file,
        )
    token, _, label = name.partition("/")
    if scheme == "pkcs11" and token and label:
        from interceptors.keys.pkcs11 import Pkcs11  # noqa: PLC0415 - of an extra

        return Pkcs11(token, label, module=settings.pkcs11.module, pin_file=settings.pkcs11.pin_file)
    raise ConfigurationError(f"{uri!r} names no wrapping; write one of: {_SCHEMES}")
