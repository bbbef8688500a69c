"""What other tracers put around a client's method is taken off; what the program did is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import wrapt

from interceptors.tracing import without_peers

if TYPE_CHECKING:
    from collections.abc import Callable

OPENTELEMETRY = "opentelemetry.instrumentation.aiokafka.utils"


class Client:
    """A client whose method says whom it passed by."""

    def send(self, passed: list[str]) -> tuple[Client, list[str]]:
        return self, passed


def wrapper(module: str | None) -> Callable[..., Any]:
    """Make a wrapper as tracers do, of some module."""

    def wrap(method: Callable[..., Any], client: object, args: tuple[list[str]], _: object) -> object:
        return method([*args[0], str(module)])

    wrap.__module__ = module  # type: ignore[assignment]  # a function made by exec has none
    return wrap


def wrapped(*modules: str | None) -> Client:
    """Give a client of a class of its own, whose method is wrapped by each in turn, the last outermost."""
    kind = type("Wrapped", (Client,), {"send": Client.send})
    for module in modules:
        wrapt.wrap_function_wrapper(kind, "send", wrapper(module))
    client: Client = kind()
    return client


@pytest.mark.parametrize(
    ("modules", "left"),
    [
        ([], []),
        ([OPENTELEMETRY], []),
        (["ddtrace.contrib.kafka"], []),
        (["elasticapm.instrumentation.packages.kafka"], []),
        (["newrelic.hooks.messagebroker"], []),
        ([OPENTELEMETRY, "ddtrace.contrib.kafka"], []),
        (["shop.retries"], ["shop.retries"]),
        ([None], ["None"]),
        (["opentelemetry.instrumentationist"], ["opentelemetry.instrumentationist"]),
        (["shop.opentelemetry.instrumentation.kafka"], ["shop.opentelemetry.instrumentation.kafka"]),
        (["shop.retries", OPENTELEMETRY], ["shop.retries"]),
        ([OPENTELEMETRY, "shop.retries"], ["shop.retries", OPENTELEMETRY]),
        ([OPENTELEMETRY, "shop.retries", OPENTELEMETRY], ["shop.retries", OPENTELEMETRY]),
    ],
)
def test_the_wrappers_of_other_tracers_are_taken_off_from_outside_up_to_the_programs_own(
    modules: list[str | None], left: list[str]
) -> None:
    client = wrapped(*modules)

    called_on, passed = without_peers(client.send)([])

    assert called_on is client
    assert passed == left


def test_the_client_itself_stays_wrapped() -> None:
    client = wrapped(OPENTELEMETRY)

    without_peers(client.send)

    assert client.send([])[1] == [OPENTELEMETRY]


def test_any_other_callable_is_given_back() -> None:
    client = Client()

    assert without_peers(client.send) == client.send
    assert without_peers(len) is len
