from __future__ import annotations

import pytest

from interceptors.errors import KeyProblem
from interceptors.keys.wrapping import PerProcess, associated_context, refused, wrapping_context


def test_a_context_says_what_a_key_is_in_texts() -> None:
    context = wrapping_context("sender key", "acme", sender="checkout", epoch=2)
    assert context == {"kind": "sender key", "tenant": "acme", "sender": "checkout", "epoch": "2"}


def test_a_context_is_the_same_bytes_in_any_order() -> None:
    one = associated_context({"kind": "root", "tenant": "acme"})
    assert one == associated_context({"tenant": "acme", "kind": "root"})


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "root", "tenant": "acm", "e": ""},
        {"kind": "root", "tenan": "tacme"},
        {"kind": "root", "tenant": "acme", "epoch": "1"},
        {"kind": "roottenant", "": "acme"},
        {"kind": "root"},
        {},
    ],
    ids=str,
)
def test_two_contexts_are_never_the_same_bytes(other: dict[str, str]) -> None:
    assert associated_context(other) != associated_context({"kind": "root", "tenant": "acme"})


def test_each_process_makes_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = PerProcess(object)
    first = mine()
    assert mine() is first
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert mine() is not first
    assert mine() is mine()


@pytest.mark.parametrize("problem", KeyProblem)
def test_an_error_says_what_to_do(problem: KeyProblem) -> None:
    error = refused("Vault key 'k': Forbidden", problem)
    text, remedy = str(error).split("; ", 1)
    assert (text, error.problem) == ("Vault key 'k': Forbidden", problem)
    assert remedy
