"""`keys` in `interceptors.yaml`: the key file, and how what it is wrapped by is reached.

No secret has a place here: a token or PIN is in a file of its own, or in the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, GetJsonSchemaHandler, model_validator

from interceptors.policy.quantities import Duration
from interceptors.policy.rules import Name
from interceptors.policy.yaml_document import DocumentModel

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import CoreSchema

_MS_PER_S = 1000


class AwsKmsSettings(DocumentModel):
    """AWS KMS. Credentials are found as boto3 finds them."""

    region: Name | None = None
    """Default: as boto3 finds it, such as in `AWS_DEFAULT_REGION`."""
    endpoint: Name | None = Field(default=None, repr=False)
    """The address of another endpoint than the region's, such as that of a VPC."""


class VaultSettings(DocumentModel):
    """The transit engine of HashiCorp Vault or OpenBao."""

    address: Name | None = Field(default=None, repr=False)
    """Default: what the variable `VAULT_ADDR` says."""
    namespace: Name | None = None
    """Default: what the variable `VAULT_NAMESPACE` says, if anything."""
    mount: Name = "transit"
    """Where the engine is mounted."""
    token_file: Name | None = None
    """The file with the token, read anew each time, relative to the configuration's. Default: the token is in
    the variable `VAULT_TOKEN`."""


class Pkcs11Settings(DocumentModel):
    """A token that speaks PKCS#11."""

    module: Name | None = None
    """The token's library, as the dynamic linker takes it. Default: what the variable
    `INTERCEPTORS_PKCS11_MODULE` says."""
    pin_file: Name | None = None
    """The file with the user's PIN, relative to the configuration's. Default: the PIN is in the variable
    `INTERCEPTORS_PKCS11_PIN`."""


class WrappingSettings(DocumentModel):
    """How the services are reached that keys may be wrapped by. The key file says which of them wraps its."""

    aws_kms: AwsKmsSettings = AwsKmsSettings()
    """AWS KMS."""
    vault: VaultSettings = VaultSettings()
    """HashiCorp Vault or OpenBao."""
    pkcs11: Pkcs11Settings = Pkcs11Settings()
    """A PKCS#11 token."""


class KeySettings(WrappingSettings):
    """Where a service's keys are. A text is the same as a mapping that has only `file`."""

    file: Name
    """The service's key file, relative to the configuration's."""
    cache: Duration = 3600 * _MS_PER_S
    """For how long an unwrapped key is used before it is asked for again, and so for how long a service keeps
    a key to which it has lost its access. While the service that wraps it can't be reached, it is used on."""

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, data: object) -> object:
        return {"file": data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Let the schema have the text, too."""
        mapping = handler(schema)
        return {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 255}, mapping]}

    def located(self, folder: Path) -> KeySettings:
        """Make the paths relative to a folder.

        Args:
            folder: the configuration's.
        """
        # Copies, so that a deep folder is not held to the length of a name.
        vault, pkcs11 = self.vault, self.pkcs11
        if vault.token_file is not None:
            vault = vault.model_copy(update={"token_file": str(folder / vault.token_file)})
        if pkcs11.pin_file is not None:
            pkcs11 = pkcs11.model_copy(update={"pin_file": str(folder / pkcs11.pin_file)})
        return self.model_copy(update={"file": str(folder / self.file), "vault": vault, "pkcs11": pkcs11})

    @property
    def cache_s(self) -> float:
        """The `cache` in seconds."""
        return self.cache / _MS_PER_S
