"""What every `KeyWrapper` has to do, on the fake that is shipped and on the real ones."""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
import warnings
from typing import TYPE_CHECKING

import pytest

from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys.wrapping import wrapping_context

from .wrapping import Aws, Memory, Token, Vault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .wrapping import Service

KEY = bytes(range(32))
CONTEXT = wrapping_context("sender key", "acme", sender="checkout", epoch=1)


@pytest.fixture(params=[Memory, Aws, Vault, Token], ids=lambda service: service.name)
def service(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """Each of what wraps keys, with a wrapping key that only this test knows."""
    with contextlib.ExitStack() as closing:
        if request.param is Memory:
            yield Memory()
        elif request.param is Aws:
            yield Aws(closing, monkeypatch)
        elif request.param is Vault:
            address, token = request.getfixturevalue("real_vault")
            yield Vault(address, token, tmp_path, closing)
        else:
            yield Token(request.getfixturevalue("softhsm"), tmp_path)


def refusal(
    service: Service, uri: str, wrapped: bytes, context: dict[str, str] = CONTEXT
) -> KeyProviderError:
    """The error of what can't be unwrapped."""
    with pytest.raises(KeyProviderError) as raised:
        service.wrapper(uri).unwrap(wrapped, context)
    return raised.value


def test_what_is_wrapped_is_unwrapped_by_another_wrapper_of_the_same_uri(service: Service) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    assert service.wrapper(service.uri).unwrap(wrapped, dict(reversed(CONTEXT.items()))) == KEY


def test_what_is_wrapped_shows_nothing_of_the_key_and_is_never_the_same(service: Service) -> None:
    wrapper = service.wrapper(service.uri)
    wrapped = [wrapper.wrap(KEY, CONTEXT) for _ in range(3)]
    assert len(set(wrapped)) == 3
    assert not any(KEY[start : start + 8] in each for each in wrapped for start in range(0, 32, 8))


@pytest.mark.parametrize(
    "context",
    [
        {**CONTEXT, "kind": "signing key"},
        {**CONTEXT, "tenant": "globex"},
        {**CONTEXT, "sender": "billing"},
        {**CONTEXT, "epoch": "2"},
        {name: value for name, value in CONTEXT.items() if name != "epoch"},
        {**CONTEXT, "version": "1"},
    ],
    ids=["kind", "tenant", "sender", "epoch", "one less", "one more"],
)
def test_another_context_is_denied(service: Service, context: dict[str, str]) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    assert refusal(service, service.uri, wrapped, context).problem is KeyProblem.DENIED


def test_what_was_altered_is_not_unwrapped(service: Service) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    for place in (0, 1, len(wrapped) // 2, len(wrapped) - 2):
        altered = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        assert not refusal(service, service.uri, altered).retryable, place


@pytest.mark.parametrize("length", [0, 1, 12, -1])
def test_what_was_cut_off_is_not_unwrapped(service: Service, length: int) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    assert refusal(service, service.uri, wrapped[:length]).problem is KeyProblem.DENIED


def test_another_wrapping_key_unwraps_nothing(service: Service) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    assert not refusal(service, service.another(), wrapped).retryable


def test_what_another_service_has_wrapped_is_denied(service: Service) -> None:
    assert refusal(service, service.uri, b"\x00wrapped by nobody" * 4).problem is KeyProblem.DENIED


@pytest.mark.parametrize("tenant", ["Zoë's \N{SNOWMAN}", "a/b c", "\u2028", '{"a": 1}', "t" * 255], ids=ascii)
def test_a_name_may_be_any_text(service: Service, tenant: str) -> None:
    context = wrapping_context("root", tenant, epoch=1)
    wrapper = service.wrapper(service.uri)
    assert wrapper.unwrap(wrapper.wrap(KEY, context), context) == KEY


def test_threads_may_share_a_wrapper(service: Service) -> None:
    wrapper = service.wrapper(service.uri)
    found: list[bytes] = []

    def work() -> None:
        found.extend(wrapper.unwrap(wrapper.wrap(KEY, CONTEXT), CONTEXT) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KEY] * 20


def test_a_child_uses_the_wrapper_of_its_parent(service: Service) -> None:
    wrapper = service.wrapper(service.uri)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, from 3.12 on
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = int(wrapper.unwrap(wrapped, CONTEXT) != KEY)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


# What only a real one can say


REAL = pytest.mark.parametrize(
    "service", [Aws, Vault, Token], indirect=True, ids=lambda service: service.name
)


@REAL
def test_a_wrapping_key_that_is_not_there_is_unknown(service: Service) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    unknown = refusal(service, service.unknown_uri, wrapped)
    assert unknown.problem is KeyProblem.UNKNOWN
    assert "nobodys" in str(unknown)


@REAL
def test_what_is_denied_is_said_without_a_secret(service: Service) -> None:
    wrapped = service.wrapper(service.uri).wrap(KEY, CONTEXT)
    service.deny()
    error = refusal(service, service.uri, wrapped)
    assert error.problem is KeyProblem.DENIED
    assert (error.__context__, error.__cause__) == (None, None)
    said = "".join(traceback.format_exception(error))
    assert service.secret not in said
    assert repr(KEY) not in said


@REAL
def test_access_that_comes_back_is_used_again(service: Service) -> None:
    wrapper = service.wrapper(service.uri)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    service.deny()
    with pytest.raises(KeyProviderError):
        wrapper.unwrap(wrapped, CONTEXT)
    service.come_back()
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY


@pytest.mark.parametrize("service", [Aws, Token], indirect=True, ids=lambda service: service.name)
def test_one_that_was_away_is_used_again(service: Service) -> None:
    wrapper = service.wrapper(service.uri)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    service.vanish()
    for _ in range(2):
        with pytest.raises(KeyProviderError) as raised:
            wrapper.unwrap(wrapped, CONTEXT)
        assert raised.value.problem is KeyProblem.UNREACHABLE
    service.come_back()
    with contextlib.suppress(KeyProviderError):  # a token's library may need one call to see it again
        wrapper.unwrap(wrapped, CONTEXT)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
