"""Feature flags are asked off the path of a message, and a provider's faults leave them off."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from interceptors.errors import MissingExtraError
from interceptors.tracing.enhancing import LABELS, PAYLOAD_SAMPLING, VERBOSE_SPANS
from interceptors.tracing.flags import HANGS_S, Flags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openfeature.client import OpenFeatureClient
    from openfeature.evaluation_context import EvaluationContext

DEADLINE = 30


@pytest.fixture
def client() -> Iterator[Callable[[dict[str, object]], OpenFeatureClient]]:
    """Makes a client whose provider has some flags; asking logs what it finds wrong with them."""
    logging.getLogger("openfeature").setLevel(logging.CRITICAL)

    def make(values: dict[str, object]) -> OpenFeatureClient:
        found = {name: InMemoryFlag("on", {"on": value}) for name, value in values.items()}
        api.set_provider_and_wait(InMemoryProvider(found), "interceptors-test")
        return api.get_client("interceptors-test")

    yield make
    api.clear_providers()
    logging.getLogger("openfeature").setLevel(logging.NOTSET)


def asking(client: Any, ticks: Callable[[], float] = lambda: 0.0) -> Flags:
    return Flags(client, service="checkout", environment="staging", tenant="acme", ticks=ticks)


def looked(flags: Flags) -> dict[str, object]:
    flags.look()
    assert flags._aside._thread is not None
    flags._aside._thread.join(DEADLINE)
    return dict(flags.values)


def test_all_flags_are_asked_for_and_asked_for_again(
    client: Callable[[dict[str, object]], OpenFeatureClient],
) -> None:
    flags = asking(client({LABELS: True, PAYLOAD_SAMPLING: 0.25, VERBOSE_SPANS: True}))
    assert flags.values == {}
    assert looked(flags) == {LABELS: True, PAYLOAD_SAMPLING: 0.25, VERBOSE_SPANS: True}
    client({LABELS: False})
    assert looked(flags) == {LABELS: False, PAYLOAD_SAMPLING: 0.0, VERBOSE_SPANS: False}


def test_a_missing_flag_and_one_of_a_wrong_type_are_off(
    client: Callable[[dict[str, object]], OpenFeatureClient],
) -> None:
    flags = asking(client({LABELS: "yes", PAYLOAD_SAMPLING: "all"}))
    assert looked(flags) == {LABELS: False, PAYLOAD_SAMPLING: 0.0, VERBOSE_SPANS: False}


class Client:
    """A client as a test wants it."""

    def __init__(self, answer: Callable[[str], object]) -> None:
        self.asked: list[tuple[str, EvaluationContext]] = []
        self._answer = answer

    def get_boolean_value(self, name: str, _otherwise: bool, context: EvaluationContext) -> object:  # noqa: FBT001 - OpenFeature's
        self.asked.append((name, context))
        return self._answer(name)

    get_float_value = get_boolean_value


def test_flags_may_go_by_service_environment_and_tenant() -> None:
    client = Client(lambda _: True)
    looked(asking(client))
    assert [name for name, _ in client.asked] == [LABELS, PAYLOAD_SAMPLING, VERBOSE_SPANS]
    (_, context), *_ = client.asked
    assert context.targeting_key == "checkout"
    assert context.attributes == {"service": "checkout", "environment": "staging", "tenant": "acme"}


def test_a_provider_that_raises_leaves_that_flag_off() -> None:
    def answer(name: str) -> object:
        if name == LABELS:
            raise OSError("down")
        return True

    assert looked(asking(Client(answer))) == {PAYLOAD_SAMPLING: True, VERBOSE_SPANS: True}


def test_a_provider_that_hangs_keeps_nobody_and_after_a_while_its_flags_are_off() -> None:
    answering, release, now = threading.Event(), threading.Event(), [0.0]
    release.set()

    def answer(_: str) -> object:
        answering.set()
        release.wait(DEADLINE)
        return True

    client = Client(answer)
    flags = asking(client, ticks=lambda: now[0])
    on = looked(flags)
    assert set(on.values()) == {True}

    release.clear()
    answering.clear()
    flags.look()
    assert answering.wait(DEADLINE)
    hanging = flags._aside._thread
    assert hanging is not None
    now[0] = HANGS_S / 2
    flags.look()
    assert flags.values == on
    now[0] = HANGS_S
    flags.look()
    assert (flags.values, flags._aside._thread) == ({}, hanging)  # no second thread for it

    release.set()
    hanging.join(DEADLINE)
    assert flags.values == {}  # what it says by now was so when it was asked, at best
    assert looked(flags) == on


def test_where_no_thread_can_be_started_flags_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = asking(Client(lambda _: True))
    looked(flags)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    flags.look()
    assert flags.values == {}


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openfeature.evaluation_context", None)
    with pytest.raises(MissingExtraError, match=r"interceptors\[flags\]"):
        asking(Client(lambda _: True))
