"""The driver for PKCS#11, on a library that says what a test lets it say. On SoftHSM it is in `contracts`."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import pkcs11
import pytest
from pkcs11 import exceptions as p11

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError, MissingExtraError
from interceptors.keys import pkcs11 as driver
from interceptors.keys.pkcs11 import NONCE_SIZE, Pkcs11
from interceptors.keys.wrapping import associated_context

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
CONTEXT = {"kind": "root", "tenant": "acme"}
PIN = "a-PIN-that-must-not-be-seen"


class Library:
    """A library with one token and one key, which `seals` by putting nonce and additional data before it."""

    def __init__(self) -> None:
        self.pin = PIN
        self.pins: list[str] = []
        self.starts: list[str] = []
        self.on_token: Exception | None = None
        self.on_key: Exception | None = None
        self.on_work: Exception | None = None
        self.inside = 0
        self.most_inside = 0

    def finalize(self) -> None:
        self.starts.append("finalize")
        raise p11.GeneralError  # as where it was not initialized in this process

    def initialize(self) -> None:
        self.starts.append("initialize")

    def get_token(self, *, token_label: str) -> Library:
        if self.on_token:
            raise self.on_token
        assert token_label == "prod"
        return self

    def open(self, *, user_pin: str) -> Library:
        self.pins.append(user_pin)
        if user_pin != self.pin:
            raise p11.PinIncorrect
        return self

    def __enter__(self) -> Self:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        return self

    def __exit__(self, *_: object) -> None:
        self.inside -= 1

    def get_key(self, *, object_class: object, label: str) -> Library:
        if self.on_key:
            raise self.on_key
        assert (object_class, label) == (pkcs11.ObjectClass.SECRET_KEY, "checkout")
        return self

    def _prefix(self, mechanism: object, parameters: Any) -> bytes:
        if self.on_work:
            raise self.on_work
        assert mechanism is pkcs11.Mechanism.AES_GCM
        return bytes(parameters.nonce + parameters.aad)

    def encrypt(self, key: bytes, *, mechanism: object, mechanism_param: Any) -> bytes:
        return self._prefix(mechanism, mechanism_param) + key

    def decrypt(self, sealed: bytes, *, mechanism: object, mechanism_param: Any) -> bytes:
        prefix = self._prefix(mechanism, mechanism_param)
        if not sealed.startswith(prefix):
            raise p11.EncryptedDataInvalid
        return sealed[len(prefix) :]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(pkcs11, "lib", lambda module: {"libtoken.so": made}[module])
    monkeypatch.setattr(driver, "_libraries", {})
    monkeypatch.setenv("INTERCEPTORS_PKCS11_PIN", PIN)
    monkeypatch.delenv("INTERCEPTORS_PKCS11_MODULE", raising=False)
    return made


@pytest.fixture
def wrapper(library: Library) -> Pkcs11:
    return Pkcs11("prod", "checkout", module="libtoken.so")


def refusal(wrapper: Pkcs11) -> KeyProviderError:
    with pytest.raises(KeyProviderError) as raised:
        wrapper.unwrap(b"\x01" + bytes(60), CONTEXT)
    error = raised.value
    assert (error.__context__, error.__cause__) == (None, None)
    assert PIN not in str(error)
    assert str(error).startswith("PKCS#11 key 'checkout' on token 'prod': ")
    return error


def test_what_is_wrapped_has_a_form_a_nonce_and_the_rest(wrapper: Pkcs11) -> None:
    wrapped = wrapper.wrap(KEY, CONTEXT)
    nonce = wrapped[1 : 1 + NONCE_SIZE]
    assert wrapped == b"\x01" + nonce + nonce + associated_context(CONTEXT) + KEY
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


def test_no_nonce_comes_twice(wrapper: Pkcs11) -> None:
    assert len({wrapper.wrap(KEY, CONTEXT)[1 : 1 + NONCE_SIZE] for _ in range(50)}) == 50


def test_another_context_is_denied(wrapper: Pkcs11) -> None:
    wrapped = wrapper.wrap(KEY, CONTEXT)
    with pytest.raises(KeyProviderError) as raised:
        wrapper.unwrap(wrapped, {**CONTEXT, "tenant": "globex"})
    assert raised.value.problem is KeyProblem.DENIED


@pytest.mark.parametrize("wrapped", [b"", b"vault:v1:abc"])
def test_what_has_another_form_is_denied_unasked(wrapper: Pkcs11, library: Library, wrapped: bytes) -> None:
    with pytest.raises(KeyProviderError, match="not wrapped by a token") as raised:
        wrapper.unwrap(wrapped, CONTEXT)
    assert (raised.value.problem, library.pins) == (KeyProblem.DENIED, [])


@pytest.mark.parametrize(
    ("where", "error", "problem"),
    [
        ("token", p11.NoSuchToken(), KeyProblem.UNREACHABLE),
        ("token", p11.MultipleTokensReturned(), KeyProblem.UNKNOWN),
        ("token", p11.GeneralError(), KeyProblem.UNREACHABLE),
        ("token", p11.DeviceRemoved(), KeyProblem.UNREACHABLE),
        ("key", p11.NoSuchKey(), KeyProblem.UNKNOWN),
        ("key", p11.SessionHandleInvalid(), KeyProblem.UNREACHABLE),
        ("work", p11.GeneralError(), KeyProblem.DENIED),
        ("work", p11.EncryptedDataLenRange(), KeyProblem.DENIED),
        ("work", p11.KeyTypeInconsistent(), KeyProblem.DENIED),
        ("work", p11.MechanismInvalid(), KeyProblem.DENIED),
        ("work", p11.DeviceError(), KeyProblem.UNREACHABLE),
    ],
    ids=lambda value: getattr(value, "value", type(value).__name__),
)
def test_each_fault_is_one_problem(
    wrapper: Pkcs11, library: Library, where: str, error: Exception, problem: KeyProblem
) -> None:
    setattr(library, f"on_{where}", error)
    found = refusal(wrapper)
    assert found.problem is problem
    assert type(error).__name__ in str(found)


@pytest.mark.parametrize("where", ["on_token", "on_key", "on_work"])
def test_after_a_fault_of_the_token_the_library_starts_anew(
    wrapper: Pkcs11, library: Library, where: str
) -> None:
    wrapped = wrapper.wrap(KEY, CONTEXT)
    setattr(library, where, p11.DeviceRemoved())
    refusal(wrapper)
    assert library.starts == []
    setattr(library, where, None)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    assert library.starts == ([] if where == "on_work" else ["finalize", "initialize"])


def test_a_child_starts_the_library_anew_once(
    wrapper: Pkcs11, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped = wrapper.wrap(KEY, CONTEXT)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with driver._libraries[next(iter(driver._libraries))].lock:  # as where a thread of the parent was inside
        assert wrapper.unwrap(wrapped, CONTEXT) == KEY
        assert Pkcs11("prod", "checkout", module="libtoken.so").unwrap(wrapped, CONTEXT) == KEY
    assert library.starts == ["finalize", "initialize"]


def test_one_thread_at_a_time_is_in_the_library(library: Library) -> None:
    def work() -> None:
        wrapper = Pkcs11("prod", "checkout", module="libtoken.so")
        for _ in range(50):
            wrapper.wrap(KEY, CONTEXT)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(library.pins) == 200
    assert library.most_inside == 1


# Library and PIN


def test_the_library_may_be_named_by_the_environment(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"no library; give `module`, or set INTERCEPTORS_PKCS11_"):
        Pkcs11("prod", "checkout")
    monkeypatch.setenv("INTERCEPTORS_PKCS11_MODULE", "libtoken.so")
    Pkcs11("prod", "checkout").wrap(KEY, CONTEXT)
    assert library.pins == [PIN]


@pytest.mark.parametrize(
    "error", [p11.PinIncorrect(), p11.PinLocked(), p11.PinExpired()], ids=lambda error: type(error).__name__
)
def test_a_pin_that_was_refused_is_not_tried_again(
    library: Library, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pin"
    file.write_text("1111\n")
    wrapper = Pkcs11("prod", "checkout", module="libtoken.so", pin_file=str(file))
    opened = library.open

    def refuse(*, user_pin: str) -> Library:
        try:
            return opened(user_pin=user_pin)
        except p11.PinIncorrect:
            raise error from None

    monkeypatch.setattr(library, "open", refuse)
    assert type(error).__name__ in str(refusal(wrapper))
    for _ in range(5):
        again = refusal(wrapper)
        assert (again.problem, "has refused this PIN before" in str(again)) == (KeyProblem.DENIED, True)
    assert library.pins == ["1111"]
    file.write_text(f"{PIN}\n")
    assert wrapper.unwrap(wrapper.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_without_a_pin_it_is_denied_unasked(
    wrapper: Pkcs11, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERCEPTORS_PKCS11_PIN")
    error = refusal(wrapper)
    assert (error.problem, library.pins) == (KeyProblem.DENIED, [])
    assert "no PIN in INTERCEPTORS_PKCS11_PIN" in str(error)


@pytest.mark.parametrize("content", [None, b"", b"\xff"], ids=repr)
def test_without_a_pin_in_its_file_it_is_denied_unasked(
    library: Library, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "pin"
    if content is not None:
        file.write_bytes(content)
    error = refusal(Pkcs11("prod", "checkout", module="libtoken.so", pin_file=str(file)))
    assert (error.problem, library.pins) == (KeyProblem.DENIED, [])
    assert str(file) in str(error)


# Without the extra


def imported_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "interceptors.keys.pkcs11")
    monkeypatch.setitem(sys.modules, name, None)
    __import__("interceptors.keys.pkcs11")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"interceptors\[pkcs11\]"):
        imported_without("pkcs11", monkeypatch)


def test_a_fault_of_another_import_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pkcs11, "exceptions")
    with pytest.raises(ImportError) as raised:
        imported_without("pkcs11.exceptions", monkeypatch)
    assert not isinstance(raised.value, MissingExtraError)
