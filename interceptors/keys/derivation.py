"""What is in a service's key file, derived from the roots and its grants."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

from interceptors.envelope import derive_sender_key, derive_signing_key
from interceptors.envelope.token_key import derive_token_key
from interceptors.keys.key_file import KeyEntry, KeyringFile, TokenEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.keys.root_file import Grant, RootEntry, RootFile, TokenRoot
    from interceptors.keys.wrapping import KeyWrapper

    Secret = Callable[[RootEntry | TokenRoot], bytes]
    """Gives a root itself, unwrapped."""


class KeyLine(NamedTuple):
    """One line of a listing: everything about a key but the key."""

    tenant: str
    sender: str
    epoch: int
    kid: str
    use: str
    """`seal`, `open` or `revoked`."""
    held_by: str
    """The service in whose key file it is."""


def hidden(
    plain: str, wrapped: str, secret: bytes, context: Mapping[str, str], wrapper: KeyWrapper | None
) -> dict[str, str | None]:
    """Write a secret down: in clear in one field, or wrapped in another one.

    Args:
        plain: the field for hex.
        wrapped: the field for what the wrapper gives.
        secret: 32 bytes.
        context: what the secret is.
        wrapper: what wraps it; None to leave it in clear.

    Returns:
        Both fields; one of them holds it.

    Raises:
        KeyProviderError: it can't be wrapped.
    """
    if wrapper is None:
        return {plain: secret.hex(), wrapped: None}
    return {plain: None, wrapped: base64.b64encode(wrapper.wrap(secret, context)).decode()}


def keyring_of(roots: RootFile, service: str, secret: Secret, wrapper: KeyWrapper | None) -> KeyringFile:
    """Derive what a service's key file holds.

    Args:
        roots: the administration's file.
        service: the service.
        secret: gives a root itself.
        wrapper: what wraps the keys; None to leave them in clear.

    Returns:
        The content of the key file: keys of its grants, and no other.

    Raises:
        KeyProviderError: a root can't be unwrapped, or a key can't be wrapped.
    """
    keys: dict[tuple[str, str, int], KeyEntry] = {}
    tokens: list[TokenEntry] = []
    wrapping = None
    for grant in roots.grants_of(service):
        wrapping = grant.wrapping
        for root in roots.epochs(grant.tenant):
            for sender in dict.fromkeys((service, *grant.reads)):
                entry = _entry(root, sender, grant, secret(root), wrapper)
                keys[grant.tenant, sender, root.epoch] = entry.model_copy(
                    update={"revoked": entry.kid in roots.revoked}
                )
        tokens += _token_entries(roots, grant, secret, wrapper)
    return KeyringFile(service=service, wrapping=wrapping, keys=tuple(keys.values()), tokens=tuple(tokens))


def _entry(root: RootEntry, sender: str, grant: Grant, secret: bytes, wrapper: KeyWrapper | None) -> KeyEntry:
    own = sender == grant.service
    key = derive_sender_key(secret, grant.tenant, sender)
    signing = derive_signing_key(secret, grant.tenant, sender)
    entry = KeyEntry(
        tenant=grant.tenant,
        sender=sender,
        epoch=root.epoch,
        kid=key.kid.hex(),
        sender_key=key.key.hex(),
        # Of every sender: whoever is let sign later can do so at once, with readers that know the key.
        verify_key=signing.public.raw.hex(),
        use=root.use if own else "open",
        created=root.created,
    )
    fields = hidden("sender_key", "wrapped_key", key.key, entry.context("sender key"), wrapper)
    if own and grant.signs:
        context = entry.context("signing key")
        fields |= hidden("signing_key", "wrapped_signing_key", signing.seed(), context, wrapper)
    return entry.model_copy(update=fields)


def _token_entries(
    roots: RootFile, grant: Grant, secret: Secret, wrapper: KeyWrapper | None
) -> list[TokenEntry]:
    entries: list[TokenEntry] = []
    versions = roots.token_versions(grant.tenant)
    for root in versions:
        for domain in grant.tokens:
            key = derive_token_key(secret(root), grant.tenant, domain, root.version)
            entry = TokenEntry(
                tenant=grant.tenant,
                domain=domain,
                version=root.version,
                key=key.key.hex(),
                use="current" if root is versions[-1] else "former",
            )
            fields = hidden("key", "wrapped_key", key.key, entry.context(), wrapper)
            entries.append(entry.model_copy(update=fields))
    return entries


def list_keys(file: KeyringFile) -> list[KeyLine]:
    """List the keys of a key file, without key material.

    Raises:
        ConfigurationError: the kid of an entry is not the one that its key commits to.
        ValueError: a key is none.
    """
    return [
        KeyLine(
            entry.tenant,
            entry.sender,
            entry.epoch,
            entry.committed_kid(),
            "revoked" if entry.revoked else entry.use,
            file.service,
        )
        for entry in file.keys
    ]
