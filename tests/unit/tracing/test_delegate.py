from __future__ import annotations

import copy

import pytest

from interceptors.tracing import Delegate


class Client:
    """A client whose repr shows too much."""

    limit = 7

    def __init__(self) -> None:
        self.password = "open sesame"

    def close(self) -> str:
        return "closed"

    def __repr__(self) -> str:
        return f"Client({self.password})"


class Traced(Delegate):
    limit: int

    def send(self) -> str:
        return "traced"


def test_what_it_does_not_have_is_the_clients() -> None:
    client = Client()
    traced = Traced(client)
    assert (traced.send(), traced.close(), traced.limit) == ("traced", "closed", 7)
    client.password = "changed"
    assert traced.password == "changed"
    assert not hasattr(traced, "nothing")


def test_the_client_is_left_as_it_is() -> None:
    client = Client()
    before = dict(vars(client))
    traced = Traced(client)
    traced.limit = 1
    assert vars(client) == before


def test_dir_lists_both() -> None:
    assert {"send", "close", "limit", "password"} <= set(dir(Traced(Client())))


def test_the_repr_names_classes_and_no_configuration() -> None:
    assert repr(Traced(Client())) == "Traced(Client)"


def test_it_can_be_copied() -> None:
    client = Client()
    assert copy.copy(Traced(client)).close() == "closed"


def test_before_it_is_made_it_has_nothing() -> None:
    with pytest.raises(AttributeError, match="_wrapped"):
        _ = Traced.__new__(Traced).limit
