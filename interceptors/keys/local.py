"""Keys in a local file: the file that `interceptors keys grant` writes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.keys.key_file import KeyringFile, read_key_file, unreadable
from interceptors.keys.wrapping_uri import key_wrapper
from interceptors.tokens import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.envelope import SenderKey, TokenKey
    from interceptors.keys.key_file import KeyEntry, TokenEntry, Unwrap
    from interceptors.keys.wrapping import KeyWrapper

LoadedT = TypeVar("LoadedT")

_Signature = tuple[int, int, int, int]


class _Held(NamedTuple):
    """What a file says. One object, so that whoever sees a part of it sees the rest of the same file."""

    keys: Mapping[bytes, SenderKey]
    """Those that stand in clear, by kid."""
    entries: Mapping[bytes, KeyEntry]
    """All, by kid."""
    sealing: Mapping[str, bytes]
    """The kids that seal, by tenant."""
    revoked: frozenset[bytes]
    tokens: tuple[TokenEntry, ...]
    wrapper: KeyWrapper | None


class LocalKeys:
    """A `KeyProvider` over a service's key file. A changed file is read at the next `refresh`.

    Wrapped keys are unwrapped each time that they are asked for, and not before: the file, and what it says
    is revoked, can be read while nothing can be unwrapped. Whoever asks often puts `CachingKeys` before it.

    Attributes:
        service: the service whose file it is.
    """

    def __init__(self, path: Path | str, wrappers: Callable[[str], KeyWrapper] = key_wrapper) -> None:
        """Read the file.

        Args:
            path: where it lies.
            wrappers: gives what unwraps its keys, by the URI that the file names.

        Raises:
            ConfigurationError: it is missing, readable by others (mode other than 0600), or does not hold.
            MissingExtraError: what unwraps its keys is not installed.
        """
        self._path = Path(path)
        self._wrappers = wrappers
        self._wrapping: tuple[str, KeyWrapper] | None = None
        self.service = ""
        self._signature = self._look()
        self._held = self._load()
        self._told = self._held

    def sealing_key(self, tenant: str) -> SenderKey:
        """Give this service's own key for a tenant, with the token keys that go with it.

        The file is looked at before, and so it is for `opening_key`: nobody may have refreshed for long.
        """
        with contextlib.suppress(KeyProviderError):  # then what was held before still holds
            self._reload()
        held = self._held
        kid = held.sealing.get(tenant)
        if kid is None:
            msg = (
                f"{self._path} has no sealing key of {self.service!r} for the tenant {tenant!r}; "
                f"run: interceptors keys grant {self.service} --tenant {tenant}"
            )
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        key = self._key(held, kid)
        key.tokens = {
            entry.domain: self._token(held, entry)
            for entry in held.tokens
            if entry.tenant == tenant and entry.use == "current"
        }
        return key

    def tokenizer(self, tenant: str, domain: str, *, class_: str = "") -> Tokenizer:
        """Give what makes the tokens that messages have, for an application that looks records up by them.

        Args:
            tenant: whose identifiers.
            domain: of which domain.
            class_: what they are, such as `personal.email`.

        Raises:
            KeyProviderError: the service was granted no token key for the domain.
        """
        held = self._held
        entries = [entry for entry in held.tokens if (entry.tenant, entry.domain) == (tenant, domain)]
        current = next((entry for entry in entries if entry.use == "current"), None)
        if current is None:
            msg = (
                f"{self._path} has no token key for the domain {domain!r} of the tenant {tenant!r}; "
                f"run: interceptors keys grant {self.service} --tenant {tenant} --tokens {domain}"
            )
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        former = [self._token(held, entry) for entry in entries if entry is not current]
        return Tokenizer(self._token(held, current), former, class_=class_)

    def opening_key(self, kid: bytes) -> SenderKey:
        """Give the key of a sender."""
        try:
            self._reload()
        except KeyProviderError:
            if kid not in self._held.entries:
                raise
        held = self._held
        if kid not in held.entries:
            msg = f"{self._path} has no key with the kid {kid.hex()}"
            raise KeyProviderError(msg, problem=KeyProblem.UNKNOWN)
        return self._key(held, kid)

    def revoked(self) -> frozenset[bytes]:
        """Give the kids that the file says are revoked."""
        return self._held.revoked

    def refresh(self) -> bool:
        """Read the file if it is another one than last time.

        What `opening_key` has found changed is told here, too.
        """
        try:
            self._reload()
        except KeyProviderError:
            if self._held is self._told:
                raise
        held = self._held
        changed = held is not self._told
        self._told = held
        return changed

    def _key(self, held: _Held, kid: bytes) -> SenderKey:
        key = held.keys.get(kid)
        if key is not None:
            return key
        if kid in held.revoked:
            msg = f"the key {kid.hex()} is revoked, and not unwrapped any more"
            raise KeyProviderError(msg, problem=KeyProblem.DENIED)
        return self._unwrapped(held.entries[kid].load, held.wrapper, f"the key {kid.hex()}")

    def _token(self, held: _Held, entry: TokenEntry) -> TokenKey:
        return self._unwrapped(entry.load, held.wrapper, f"the token key of {entry.domain!r}")

    def _unwrapped(
        self, load: Callable[[Unwrap | None], LoadedT], wrapper: KeyWrapper | None, what: str
    ) -> LoadedT:
        try:
            return load(None if wrapper is None else wrapper.unwrap)
        except ValueError:  # ConfigurationError is one, too
            pass
        msg = f"{self._path}: {what} is not what it should be when unwrapped; grant the keys anew"
        raise KeyProviderError(msg, problem=KeyProblem.DENIED)

    def _reload(self) -> None:
        """Read the file if it is another one. Without a lock: of two threads at once, both read it."""
        try:
            signature = self._look()
            if signature != self._signature:
                self._held = self._load()
                self._signature = signature
        except ConfigurationError as error:
            raise KeyProviderError(str(error), problem=KeyProblem.UNREACHABLE) from None

    def _look(self) -> _Signature:
        try:
            found = self._path.stat()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise unreadable(self._path, error, KeyringFile.missing) from None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode

    def _load(self) -> _Held:
        file = read_key_file(self._path, KeyringFile)
        if self.service not in ("", file.service):
            msg = f"{self._path}: holds the keys of {file.service!r} now, and was {self.service!r}'s"
            raise ConfigurationError(msg)
        wrapper = None if file.wrapping is None else self._wrapper(file.wrapping)
        keys: dict[bytes, SenderKey] = {}
        entries: dict[bytes, KeyEntry] = {}
        sealing: dict[str, bytes] = {}
        revoked: set[bytes] = set()
        for place, entry in enumerate(file.keys):
            try:
                kid = _checked(entry, keys, wrapper)
            except ValueError as error:
                msg = f"{self._path}: keys.{place}: {error}"
                raise ConfigurationError(msg) from None
            if entry.use == "seal" and (entry.sender != file.service or entry.tenant in sealing):
                msg = f"{self._path}: keys.{place}: one key a tenant seals, and it is the service's own"
                raise ConfigurationError(msg)
            if _whose(entries.setdefault(kid, entry)) != _whose(entry):
                msg = f"{self._path}: two keys have the kid {kid.hex()}; grant the keys anew"
                raise ConfigurationError(msg)
            if entry.revoked:
                revoked.add(kid)
            elif entry.use == "seal":
                sealing[entry.tenant] = kid
        self.service = file.service
        return _Held(keys, entries, sealing, frozenset(revoked), file.tokens, wrapper)

    def _wrapper(self, uri: str) -> KeyWrapper:
        if self._wrapping is None or self._wrapping[0] != uri:
            self._wrapping = (uri, self._wrappers(uri))
        return self._wrapping[1]


def _checked(entry: KeyEntry, keys: dict[bytes, SenderKey], wrapper: KeyWrapper | None) -> bytes:
    """Give the kid of an entry. A key that stands in clear is loaded, and so checked."""
    if entry.wrapped_key is None:
        key = entry.load()
        keys[key.kid] = key
        return key.kid
    if wrapper is None:
        msg = "the key is wrapped, and the file does not say by what; grant the keys anew"
        raise ConfigurationError(msg)
    return bytes.fromhex(entry.committed_kid())


def _whose(entry: KeyEntry) -> tuple[str, str, str | None]:
    return entry.tenant, entry.sender, entry.verify_key
