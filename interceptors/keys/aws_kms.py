"""Keys wrapped by AWS KMS."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from interceptors.errors import ConfigurationError, KeyProblem, MissingExtraError
from interceptors.keys.wrapping import PerProcess, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interceptors.errors import KeyProviderError

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
    )
except ModuleNotFoundError as error:
    if error.name not in ("boto3", "botocore"):
        raise
    raise MissingExtraError("aws", "boto3") from None

CONNECT_S = 1.0
READ_S = 2.0
"""Seconds that a call may take to connect, and then to be answered. Who retries is `RetryingKeys`."""

_UNAUTHENTICATED = (NoCredentialsError, PartialCredentialsError)
_SERVER_ERROR = 500
# What the operations Encrypt and Decrypt may answer, and what any operation may, by AWS's API reference. All
# else is denied where the request is to blame (4xx), and unreachable where the service is (5xx).
_PROBLEMS = {
    "NotFoundException": KeyProblem.UNKNOWN,
    "DisabledException": KeyProblem.DENIED,
    "KeyUnavailableException": KeyProblem.UNREACHABLE,
    "DependencyTimeoutException": KeyProblem.UNREACHABLE,
    "KMSInternalException": KeyProblem.UNREACHABLE,
    "LimitExceededException": KeyProblem.EXHAUSTED,
    "RequestLimitExceeded": KeyProblem.EXHAUSTED,
    "ThrottlingException": KeyProblem.EXHAUSTED,
    "TooManyRequestsException": KeyProblem.EXHAUSTED,
}
# botocore writes requests and answers to these when they are set to DEBUG, with the keys in them.
_TALKATIVE = ("botocore.endpoint", "botocore.parsers")

_calling = threading.local()


class _Discreet(logging.Filter):
    """Keeps what is logged during our calls, and nothing else, out of a logger."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging's signature
        return not getattr(_calling, "now", False)


_DISCREET = _Discreet()


class AwsKms:
    """A `KeyWrapper` over a symmetric key in AWS KMS.

    A key's context is its encryption context, which CloudTrail shows in clear.
    """

    def __init__(self, key_id: str, *, region: str | None = None, endpoint: str | None = None) -> None:
        """Prepare the client; nothing is asked yet.

        Args:
            key_id: the key's id or ARN, or an alias of it.
            region: default: as boto3 finds it.
            endpoint: the URL of another endpoint than the region's.

        Raises:
            ConfigurationError: there is no region, or the endpoint is no URL.
        """
        self._key_id = key_id
        self._region = region
        self._endpoint = endpoint
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(_DISCREET)  # once, however many ask
        self._client: PerProcess[Any] = PerProcess(self._connect)
        self._client()

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        answer = self._call("encrypt", Plaintext=key, EncryptionContext=dict(context))
        wrapped: bytes = answer["CiphertextBlob"]
        return wrapped

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        answer = self._call("decrypt", CiphertextBlob=wrapped, EncryptionContext=dict(context))
        key: bytes = answer["Plaintext"]
        return key

    def _connect(self) -> Any:  # noqa: ANN401 - boto3 makes its classes while running
        config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": 1})
        try:
            return boto3.Session().client(
                "kms", region_name=self._region, endpoint_url=self._endpoint, config=config
            )
        except NoRegionError:
            msg = "keys.aws_kms: no region; give `region`, or set AWS_DEFAULT_REGION"
        except ValueError:
            msg = "keys.aws_kms.endpoint: not a URL; write it as https://host"
        raise ConfigurationError(msg)

    def _call(self, operation: str, **arguments: object) -> Any:  # noqa: ANN401 - see above
        _calling.now = True
        try:
            return getattr(self._client(), operation)(KeyId=self._key_id, **arguments)
        except (BotoCoreError, ClientError) as error:
            found = self._error(operation, error)
        finally:
            _calling.now = False
        raise found  # out here, so that what boto knows of the request is not its context

    def _error(self, operation: str, error: BotoCoreError | ClientError) -> KeyProviderError:
        what = f"AWS KMS key {self._key_id!r}: {operation}: "
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code"))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            usual = KeyProblem.UNREACHABLE if status >= _SERVER_ERROR else KeyProblem.DENIED
            return refused(what + code, _PROBLEMS.get(code, usual))
        what += type(error).__name__
        denied = isinstance(error, _UNAUTHENTICATED)
        return refused(what, KeyProblem.DENIED if denied else KeyProblem.UNREACHABLE)
