"""Hooks see a message and may put labels on its trace, and nothing that they do costs more than those."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError
from interceptors.message import Message
from interceptors.pipeline import Receipt
from interceptors.policy import check_policy
from interceptors.tracing.hooks import FAILED, LEFT_OUT, Labelling, SpanView

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.tracing.hooks import Hook

MARK = "canary-51c07be2"
CHANNEL = check_policy(
    {
        "version": 1,
        "default": {"labels": {"region": {"values": ["eu", "us"]}, "plan": {"pattern": "[a-z]{1,8}"}}},
    },
    "policy",
).channels("kafka", "orders")[0]
UNLABELLED = check_policy({"version": 1}, "policy").channels("kafka", "orders")[0]
MESSAGE = Message("kafka", "orders", b"body", "7", "order")


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def labels_of(counts: Counter[str]) -> Callable[..., dict[str, str]]:
    """Gives the labels of a message of `acme`."""

    def labels(
        hook: Hook | None, offered: dict[str, Any] | None = None, channel: Any = CHANNEL
    ) -> dict[str, str]:
        return Labelling(hook, counts).labels(MESSAGE, channel, "acme", offered or {})

    return labels


def test_without_a_hook_labels_are_what_the_policy_allows_of_the_baggage(
    labels_of: Any, counts: Counter[str]
) -> None:
    assert labels_of(None, {"region": "eu", "plan": "FREE", "user": MARK}) == {"region": "eu"}
    assert counts == {LEFT_OUT: 1}


@pytest.mark.parametrize(("offered", "channel"), [({}, CHANNEL), ({"region": "eu"}, UNLABELLED)])
def test_without_a_hook_nothing_comes_of_nothing(
    labels_of: Any, counts: Counter[str], offered: dict[str, str], channel: Any
) -> None:
    assert labels_of(None, offered, channel) == {}
    assert counts == {}


def test_a_hook_adds_to_the_baggage_and_replaces_what_came_with_it(
    labels_of: Any, counts: Counter[str]
) -> None:
    def hook(span: SpanView, _: Message) -> None:
        span.set_label("region", "us")
        span.set_label("plan", "free")
        span.set_label("plan", "gold")

    assert labels_of(hook, {"region": "eu"}) == {"region": "us", "plan": "gold"}
    assert counts == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [("user", MARK), ("region", MARK), ("region", None), ("region", 7), ("", "eu"), (7, "eu")],
)
def test_what_the_policy_does_not_allow_is_left_out_and_counted_and_the_baggages_stays(
    labels_of: Any, counts: Counter[str], name: Any, value: Any
) -> None:
    assert labels_of(lambda span, _: span.set_label(name, value), {"region": "eu"}) == {"region": "eu"}
    assert counts == {LEFT_OUT: 1}


def test_where_the_policy_names_nothing_a_hook_can_set_nothing(labels_of: Any, counts: Counter[str]) -> None:
    assert labels_of(lambda span, _: span.set_label("region", "eu"), {"plan": "free"}, UNLABELLED) == {}
    assert counts == {LEFT_OUT: 1}


def test_a_hook_sees_the_message_and_of_the_span_no_ids() -> None:
    seen: list[Any] = []
    receipt = Receipt(CHANNEL)
    labelling = Labelling(lambda *given: seen.extend(given), Counter())

    labelling.labels(MESSAGE, CHANNEL, "acme", {"plan": MARK}, receipt)

    span, message = seen
    assert labelling.hooked
    assert message is MESSAGE
    assert (span.channel, span.tenant) == ("orders", "acme")
    assert (span.sender, span.verdict) == (receipt.sender, receipt.verdict)
    assert [name for name in dir(span) if not name.startswith("_")] == [
        *("channel", "labels", "sender", "set_label", "tenant", "verdict"),
    ]
    assert repr(span) == "SpanView(channel='orders')"
    with pytest.raises(AttributeError):
        span.name = MARK


class HookError(Exception):
    pass


def test_what_a_hook_raises_is_counted_and_said_once_and_costs_no_label(
    counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    def hook(span: SpanView, _: Message) -> None:
        span.set_label("plan", "free")
        raise HookError(MARK)

    labelling = Labelling(hook, counts)

    for _ in range(3):
        assert labelling.labels(MESSAGE, CHANNEL, "acme", {"region": "eu"}) == {
            "region": "eu",
            "plan": "free",
        }

    assert counts == {FAILED: 3}
    assert caplog.messages == ["a hook failed with HookError; others like it are only counted"]
    assert MARK not in caplog.text


def test_a_name_that_can_be_no_name_is_a_failure_of_the_hook(labels_of: Any, counts: Counter[str]) -> None:
    unhashable: Any = ["region"]

    assert labels_of(lambda span, _: span.set_label(unhashable, "eu")) == {}
    assert counts == {FAILED: 1}


def test_what_ends_the_program_is_let_through(labels_of: Any) -> None:
    def hook(_: SpanView, __: Message) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labels_of(hook)


def test_a_view_that_a_hook_has_kept_changes_nothing_later(labels_of: Any) -> None:
    kept: list[SpanView] = []

    labels = labels_of(lambda span, _: kept.append(span), {"region": "eu"})
    kept[0].set_label("region", "us")

    assert labels == {"region": "eu"}


def test_a_hook_that_nobody_would_await_is_refused() -> None:
    async def hook(_: SpanView, message: Message) -> None:
        """Never run."""

    with pytest.raises(ConfigurationError, match="called and not awaited"):
        Labelling(hook, Counter())  # type: ignore[arg-type]  # what a caller without a type checker may give
