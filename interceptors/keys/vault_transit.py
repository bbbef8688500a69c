"""Keys wrapped by the transit engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interceptors.errors import ConfigurationError, KeyProblem, MissingExtraError
from interceptors.keys.wrapping import PerProcess, associated_context, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.errors import KeyProviderError

try:
    import hvac
    from hvac.exceptions import (
        Forbidden,
        InvalidPath,
        InvalidRequest,
        RateLimitExceeded,
        Unauthorized,
        VaultError,
    )
    from requests.exceptions import RequestException
except ModuleNotFoundError as error:
    if error.name not in ("hvac", "requests"):
        raise
    raise MissingExtraError("vault", "hvac") from None

TIMEOUT_S = (1.0, 2.0)
"""Seconds that a call may take to connect, and then to be answered. Who retries is `RetryingKeys`."""

_ADDRESS = "VAULT_ADDR"
_NAMESPACE = "VAULT_NAMESPACE"
_TOKEN = "VAULT_TOKEN"  # noqa: S105 - the name of a variable
_NO_KEY = "encryption key not found"
"""The answer to a key that is not there, which Vault gives as 400 like any other bad request."""


class VaultTransit:
    """A `KeyWrapper` over a key of the type `aes256-gcm96`, with the context as associated data.

    The token is read anew for each call, so that what renews it has only to write the file.
    """

    def __init__(
        self,
        key: str,
        *,
        address: str | None = None,
        namespace: str | None = None,
        mount: str = "transit",
        token_file: str | None = None,
    ) -> None:
        """Prepare the client; nothing is asked yet.

        Args:
            key: the name of the key.
            address: the server's URL; by default `VAULT_ADDR`.
            namespace: by default `VAULT_NAMESPACE`, if anything.
            mount: where the engine is mounted.
            token_file: the file with the token; by default the token is in `VAULT_TOKEN`.

        Raises:
            ConfigurationError: there is no address.
        """
        address = address or os.environ.get(_ADDRESS)
        if not address:
            msg = f"keys.vault: no address; give `address`, or set {_ADDRESS}"
            raise ConfigurationError(msg)
        self._key = key
        self._mount = mount
        self._token_file = None if token_file is None else Path(token_file)
        namespace = namespace or os.environ.get(_NAMESPACE) or None
        # With a token, so that it doesn't look for one by itself.
        self._client: PerProcess[Any] = PerProcess(
            lambda: hvac.Client(address, token="", namespace=namespace, timeout=TIMEOUT_S)
        )

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        plaintext = base64.b64encode(key).decode()
        return self._call(
            "encrypt_data", context, lambda data: data["ciphertext"].encode(), plaintext=plaintext
        )

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        text = wrapped.decode("ascii", "replace")
        return self._call(
            "decrypt_data", context, lambda data: base64.b64decode(data["plaintext"]), ciphertext=text
        )

    def _call(
        self, operation: str, context: Mapping[str, str], read: Callable[[Any], bytes], **arguments: str
    ) -> bytes:
        client = self._client()
        client.token = self._token()
        associated = base64.b64encode(associated_context(context)).decode()
        try:
            answer = getattr(client.secrets.transit, operation)(
                self._key, mount_point=self._mount, associated_data=associated, **arguments
            )
            return read(answer["data"])
        except (VaultError, RequestException) as error:
            problem = self._refused(type(error).__name__, _problem(error))
        except (AttributeError, LookupError, TypeError, ValueError):  # a proxy, say, that answers by itself
            problem = self._refused("an answer that is not Vault's", KeyProblem.UNREACHABLE)
        raise problem  # out here, so that what requests knows, token and key, is not its context

    def _token(self) -> str:
        if self._token_file is None:
            token, where = os.environ.get(_TOKEN, ""), _TOKEN
        else:
            token, where = "", str(self._token_file)
            with contextlib.suppress(OSError, ValueError):
                token = self._token_file.read_text(encoding="ascii").strip()
        if not token or not token.isascii():
            raise self._refused(f"no token in {where}", KeyProblem.DENIED)
        return token

    def _refused(self, what: str, problem: KeyProblem) -> KeyProviderError:
        return refused(f"Vault key {self._key!r}: {what}", problem)


def _problem(error: Exception) -> KeyProblem:
    if isinstance(error, (Forbidden, Unauthorized)):
        return KeyProblem.DENIED
    if isinstance(error, RateLimitExceeded):
        return KeyProblem.EXHAUSTED
    if isinstance(error, InvalidPath) or _NO_KEY in (getattr(error, "errors", None) or ()):
        return KeyProblem.UNKNOWN
    return KeyProblem.DENIED if isinstance(error, InvalidRequest) else KeyProblem.UNREACHABLE
