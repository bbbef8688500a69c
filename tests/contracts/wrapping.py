"""What wraps keys, each with a wrapping key that only one test knows, and the faults that befall it."""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import botocore.handlers
import hvac
import pkcs11
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from pkcs11 import Attribute, KeyType

from interceptors.keys.settings import AwsKmsSettings, Pkcs11Settings, VaultSettings, WrappingSettings
from interceptors.keys.wrapping_uri import key_wrapper
from interceptors.testing.key_wrapping import MemoryWrapping

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    import pytest

    from interceptors.keys.wrapping import KeyWrapper
    from tests.brokers.provision.softhsm import SoftHSM


class Service(ABC):
    """What wraps keys, or a stand-in for it."""

    name: ClassVar[str]
    uri: str
    """Names a wrapping key."""
    unknown_uri: str
    """Names one that is not there."""
    settings: WrappingSettings
    secret: str = ""
    """What the service is asked with, which nobody may see."""

    @abstractmethod
    def another(self) -> str:
        """Make another wrapping key, and give its URI."""

    def wrapper(self, uri: str) -> KeyWrapper:
        """Give a wrapper as configured; `wrappers` of whoever takes one."""
        return key_wrapper(uri, self.settings)

    def vanish(self) -> None:
        """Be unreachable from now on."""
        raise NotImplementedError

    def come_back(self) -> None:
        """Be reachable again, with all keys, and deny nothing."""
        raise NotImplementedError

    def deny(self) -> None:
        """Deny what wrappers ask from now on."""
        raise NotImplementedError


class Memory(Service):
    """The fake that is shipped."""

    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        self.uri, self.unknown_uri = "vault:checkout", "vault:nobodys"
        self._wrapping = MemoryWrapping()

    def another(self) -> str:
        return "vault:another"

    def wrapper(self, uri: str) -> KeyWrapper:
        return self._wrapping(uri)


class Aws(Service):
    """AWS KMS as moto has it, which lets everybody do all: denials and faults come before it."""

    name: ClassVar[str] = "aws-kms"

    def __init__(self, closing: ExitStack, patch: pytest.MonkeyPatch) -> None:
        self.secret = f"secret-{secrets.token_hex(8)}"
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", self.secret)
        closing.enter_context(mock_aws())
        # After moto has put its own there, and before it.
        handlers = [("before-send.kms", self._before_send), *botocore.handlers.BUILTIN_HANDLERS]
        patch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
        self._fault: Callable[[Any], AWSResponse] | None = None
        self.asked = 0  # how often an error was the answer
        self.settings = WrappingSettings(aws_kms=AwsKmsSettings(region="eu-central-1"))
        self._kms = boto3.client("kms", region_name="eu-central-1")
        self.uri, self.unknown_uri = self.another(), "aws-kms:alias/nobodys"

    def another(self) -> str:
        return f"aws-kms:{self._kms.create_key()['KeyMetadata']['KeyId']}"

    def _before_send(self, request: Any, **_: object) -> AWSResponse | None:
        return self._fault(request) if self._fault else None

    def vanish(self) -> None:
        def unreachable(request: Any) -> AWSResponse:
            raise EndpointConnectionError(endpoint_url=request.url)

        self._fault = unreachable

    def come_back(self) -> None:
        self._fault = None

    def deny(self) -> None:
        self.answer("DisabledException")

    def answer(self, code: str) -> None:
        """Answer with an error from now on."""

        def error(request: Any) -> AWSResponse:
            self.asked += 1
            return AWSResponse(request.url, 400, {}, _Raw(json.dumps({"__type": code}).encode()))

        self._fault = error


class _Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: object) -> list[bytes]:
        return [self._content]


class Vault(Service):
    """The transit engine of a real server, mounted where only one test knows."""

    name: ClassVar[str] = "vault"

    def __init__(self, address: str, token: str, home: Path, closing: ExitStack) -> None:
        self._root = hvac.Client(address, token=token, timeout=10)
        closing.callback(self._root.session.close)
        self._mount = f"test-{secrets.token_hex(8)}"
        self._root.sys.enable_secrets_engine("transit", path=self._mount)
        self._home = home
        self.settings = WrappingSettings(
            vault=VaultSettings(address=address, mount=self._mount, token_file=str(home / "vault-token"))
        )
        self.uri, self.unknown_uri = self.another(), "vault:nobodys"
        self.come_back()

    def another(self) -> str:
        name = secrets.token_hex(4)
        self._root.secrets.transit.create_key(name, key_type="aes256-gcm96", mount_point=self._mount)
        return f"vault:{name}"

    def deny(self) -> None:
        self._root.auth.token.revoke(self.secret)

    def come_back(self) -> None:
        """Give a token that may use the keys, and not make any."""
        self._root.sys.create_or_update_policy(
            self._mount,
            {
                "path": {
                    f"{self._mount}/{operation}/*": {"capabilities": ["update"]}
                    for operation in ("encrypt", "decrypt")
                }
            },
        )
        created = self._root.auth.token.create(policies=[self._mount], ttl="10m")
        self.secret = created["auth"]["client_token"]
        (self._home / "vault-token").write_text(f"{self.secret}\n")


class Token(Service):
    """SoftHSM, in this process."""

    name: ClassVar[str] = "pkcs11"

    def __init__(self, softhsm: SoftHSM, home: Path) -> None:
        self._softhsm = softhsm
        self.secret = softhsm.pin
        self._pin_file = home / "pin"
        self._pin_file.write_text(f"{softhsm.pin}\n")
        self.settings = WrappingSettings(
            pkcs11=Pkcs11Settings(module=softhsm.module, pin_file=str(self._pin_file))
        )
        self.uri, self.unknown_uri = self.another(), f"pkcs11:{softhsm.label}/nobodys"

    def another(self) -> str:
        label = secrets.token_hex(4)
        token = pkcs11.lib(self._softhsm.module).get_token(token_label=self._softhsm.label)
        with token.open(rw=True, user_pin=self._softhsm.pin) as session:
            session.generate_key(
                KeyType.AES,
                256,
                label=label,
                store=True,
                template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
        return f"pkcs11:{self._softhsm.label}/{label}"

    def vanish(self) -> None:
        self._softhsm.tokens.rename(self._softhsm.tokens.with_name("removed"))
        self._softhsm.tokens.mkdir()

    def come_back(self) -> None:
        self._pin_file.write_text(f"{self._softhsm.pin}\n")
        removed = self._softhsm.tokens.with_name("removed")
        if removed.exists():
            self._softhsm.tokens.rmdir()
            removed.rename(self._softhsm.tokens)

    def deny(self) -> None:
        self._pin_file.write_text("not-the-pin\n")
