"""Keys wrapped by a token that speaks PKCS#11: a hardware security module, or SoftHSM."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interceptors.errors import ConfigurationError, KeyProblem, MissingExtraError
from interceptors.keys.wrapping import associated_context, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from interceptors.errors import KeyProviderError

try:
    import pkcs11
    from pkcs11 import GCMParams, Mechanism, ObjectClass
    from pkcs11 import exceptions as p11
except ModuleNotFoundError as error:
    if error.name != "pkcs11":
        raise
    raise MissingExtraError("pkcs11", "python-pkcs11") from None

NONCE_SIZE = 12

_MODULE = "INTERCEPTORS_PKCS11_MODULE"
_PIN = "INTERCEPTORS_PKCS11_PIN"
_FORM = b"\x01"
"""The first byte of what is wrapped here: a nonce, ciphertext and tag of AES-GCM follow."""

# Not NoSuchToken: a token that is not there may be back in a moment.
_UNKNOWN = (p11.NoSuchKey, p11.MultipleTokensReturned, p11.MultipleObjectsReturned)
_WRONG_PIN = (p11.PinIncorrect, p11.PinInvalid, p11.PinLenRange, p11.PinExpired, p11.PinLocked)
_NOT_ALLOWED = (
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.MechanismInvalid,
    p11.UserPinNotInitialized,
)
# Which of them a wrong tag is depends on the token; SoftHSM says GeneralError.
_NOT_AUTHENTIC = (p11.EncryptedDataInvalid, p11.EncryptedDataLenRange, p11.FunctionFailed, p11.GeneralError)


class _Library:
    """A token's library in this process. It is used by one thread at a time, which PKCS#11 allows to all."""

    def __init__(self, module: str, *, inherited: bool) -> None:
        self.lock = threading.Lock()
        self._module = module
        self._fresh = not inherited

    def token(self, label: str) -> Any:  # noqa: ANN401 - python-pkcs11's types come from C
        library = pkcs11.lib(self._module)
        if not self._fresh:
            # A child must not go on with its parent's state (PKCS#11 v3.1, section 5.6.1). And some libraries
            # don't see a token again that has failed, or was not there, unless they start anew.
            with contextlib.suppress(p11.PKCS11Error):
                library.finalize()
            library.initialize()
            self._fresh = True
        return library.get_token(token_label=label)

    def start_anew(self) -> None:
        """Initialize it anew when it is next used."""
        self._fresh = False


# Of each process: a child that was forked finds none of its own.
_libraries: dict[tuple[int, str], _Library] = {}


def _library(module: str) -> _Library:
    here = (os.getpid(), module)
    inherited = any(module == other for _, other in list(_libraries))
    return _libraries.get(here) or _libraries.setdefault(here, _Library(module, inherited=inherited))


class Pkcs11:
    """A `KeyWrapper` over an AES key on a token, by AES-GCM with the context as additional data.

    Each call opens a session of its own and closes it. A PIN that the token has refused is not tried again,
    so that nothing here locks a token.
    """

    def __init__(
        self, token: str, key: str, *, module: str | None = None, pin_file: str | None = None
    ) -> None:
        """Say where the key is; nothing is asked yet.

        Args:
            token: the token's label.
            key: the label of its AES key.
            module: the token's library; by default `INTERCEPTORS_PKCS11_MODULE`.
            pin_file: the file with the PIN; by default the PIN is in `INTERCEPTORS_PKCS11_PIN`.

        Raises:
            ConfigurationError: there is no library.
        """
        module = module or os.environ.get(_MODULE)
        if not module:
            msg = f"keys.pkcs11: no library; give `module`, or set {_MODULE}"
            raise ConfigurationError(msg)
        self._token = token
        self._key = key
        self._module = module
        self._pin_file = None if pin_file is None else Path(pin_file)
        self._refused_pin: str | None = None

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        nonce = os.urandom(NONCE_SIZE)
        parameters = GCMParams(nonce, associated_context(context))
        sealed = self._with_key(
            lambda it: it.encrypt(key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        )
        return _FORM + nonce + sealed

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """See `KeyWrapper`."""
        form, nonce, sealed = wrapped[:1], wrapped[1 : 1 + NONCE_SIZE], wrapped[1 + NONCE_SIZE :]
        if form != _FORM:
            raise self._refused("not wrapped by a token", KeyProblem.DENIED)
        parameters = GCMParams(nonce, associated_context(context))
        return self._with_key(
            lambda it: it.decrypt(sealed, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
        )

    def _with_key(self, work: Callable[[Any], bytes]) -> bytes:
        pin = self._pin()
        library = _library(self._module)
        working = False
        with library.lock:
            try:
                with library.token(self._token).open(user_pin=pin) as session:
                    key = session.get_key(object_class=ObjectClass.SECRET_KEY, label=self._key)
                    working = True
                    return work(key)
            except p11.PKCS11Error as error:
                problem = _problem(error, working=working)
                found = self._refused(type(error).__name__, problem)
                if isinstance(error, _WRONG_PIN):
                    self._refused_pin = pin
                if not working and problem is not KeyProblem.DENIED:
                    library.start_anew()
        raise found  # out here, so that nothing of the token's is its context

    def _pin(self) -> str:
        pin, where = os.environ.get(_PIN, ""), _PIN
        if self._pin_file is not None:
            pin, where = "", str(self._pin_file)
            with contextlib.suppress(OSError, ValueError):
                pin = self._pin_file.read_text(encoding="utf-8").strip()
        if not pin:
            raise self._refused(f"no PIN in {where}", KeyProblem.DENIED)
        if pin == self._refused_pin:
            raise self._refused("the token has refused this PIN before", KeyProblem.DENIED)
        return pin

    def _refused(self, what: str, problem: KeyProblem) -> KeyProviderError:
        return refused(f"PKCS#11 key {self._key!r} on token {self._token!r}: {what}", problem)


def _problem(error: Exception, *, working: bool) -> KeyProblem:
    if isinstance(error, _UNKNOWN):
        return KeyProblem.UNKNOWN
    if isinstance(error, (*_WRONG_PIN, *_NOT_ALLOWED)) or (working and isinstance(error, _NOT_AUTHENTIC)):
        return KeyProblem.DENIED
    return KeyProblem.UNREACHABLE
