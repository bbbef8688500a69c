"""Keys in a local file: the file that `interceptors keys grant` writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from interceptors.envelope import KeySet
from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.keys.key_file import KeyringFile, read_key_file

if TYPE_CHECKING:
    from interceptors.envelope import SenderKey

_Signature = tuple[int, int, int, int]


class LocalKeys:
    """A `KeyProvider` over a service's key file. A changed file is read at the next `refresh`.

    Attributes:
        service: the service whose file it is.
    """

    def __init__(self, path: Path | str) -> None:
        """Read the file.

        Args:
            path: where it lies.

        Raises:
            ConfigurationError: it is missing, readable by others (mode other than 0600), or does not hold.
        """
        self._path = Path(path)
        self.service = ""
        self._signature = self._look()
        self._load()
        self._told = self._keys

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant."""
        key = self._sealing.get(tenant)
        if key is None:
            msg = (
                f"{self._path} has no sealing key of {self.service!r} for the tenant {tenant!r}; "
                f"run: interceptors keys grant {self.service} --tenant {tenant}"
            )
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        return key

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender, looking at the file anew where it is not known yet."""
        key = self._keys.held.get(kid)
        if key is None:
            self._reload()
            key = self._keys.held.get(kid)
        if key is None:
            msg = f"{self._path} has no key with the kid {kid.hex()}"
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        return key

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that the file says are revoked."""
        return self._keys.revoked

    def refresh(self) -> bool:
        """Read the file if it is another one than last time.

        What `opening_key` has found changed is told here, too.
        """
        try:
            self._reload()
        except KeyProviderError:
            if self._keys is self._told:
                raise
        keys = self._keys
        changed = keys is not self._told
        self._told = keys
        return changed

    def _reload(self) -> None:
        """Read the file if it is another one. Without a lock: of two threads at once, both read it."""
        try:
            signature = self._look()
            if signature != self._signature:
                self._load()
                self._signature = signature
        except ConfigurationError as error:
            raise KeyProviderError(str(error), problem=KeyProblem.UNREACHABLE) from None

    def _look(self) -> _Signature:
        try:
            found = self._path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else "not a path"
            msg = f"{self._path}: can't be read ({reason}); make it with: interceptors keys grant"
            raise ConfigurationError(msg) from None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode

    def _load(self) -> None:
        file = read_key_file(self._path, KeyringFile)
        if self.service not in ("", file.service):
            msg = f"{self._path}: holds the keys of {file.service!r} now, and was {self.service!r}'s"
            raise ConfigurationError(msg)
        sealing: dict[str, SenderKey] = {}
        keys: list[SenderKey] = []
        revoked: list[bytes] = []
        for place, entry in enumerate(file.keys):
            try:
                key = entry.load()
            except ValueError as error:
                msg = f"{self._path}: keys.{place}: {error}"
                raise ConfigurationError(msg) from None
            keys.append(key)
            if entry.revoked:
                revoked.append(key.kid)
            if entry.use != "seal":
                continue
            if entry.sender != file.service or entry.tenant in sealing:
                msg = f"{self._path}: keys.{place}: one key a tenant seals, and it is the service's own"
                raise ConfigurationError(msg)
            if not entry.revoked:
                sealing[entry.tenant] = key
        try:
            found = KeySet(keys, revoked)
        except ValueError as error:
            msg = f"{self._path}: {error}; grant the keys anew"
            raise ConfigurationError(msg) from None
        self.service = file.service
        self._sealing = sealing
        self._keys = found  # last: whoever sees that these have changed finds the others changed, too
