"""Hooks see a message and may put labels on its trace, and nothing that they do costs more than those."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import Sealer, derive_sender_key, derive_token_key
from interceptors.errors import ConfigurationError
from interceptors.message import Message
from interceptors.pipeline import Receipt
from interceptors.policy import check_policy
from interceptors.tokens import derived_token
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


def without_key(_: str) -> None:
    """Give no sealer for any tenant."""


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def labels_of(counts: Counter[str]) -> Callable[..., dict[str, str]]:
    """Gives the labels of a message of `acme`."""

    def labels(
        hook: Hook | None, offered: dict[str, Any] | None = None, channel: Any = CHANNEL
    ) -> dict[str, str]:
        return Labelling(hook, counts, without_key).labels(MESSAGE, channel, "acme", offered or {})

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
    labelling = Labelling(lambda *given: seen.extend(given), Counter(), without_key)

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


TOKENIZED = check_policy(
    {"version": 1, "default": {"labels": {"user": {"class": "personal.email", "handling": "tokenize"}}}},
    "policy",
).channels("kafka", "orders")[0]
USER = f"{MARK}@example.com"


def sealer_of(tenant: str) -> Sealer | None:
    """Give the sealer of each tenant but `initech`."""
    root = tenant.encode().ljust(32)
    key = derive_sender_key(root, tenant, "storefront")
    key.tokens = {"personal.email": derive_token_key(root, tenant, "personal.email", 2)}
    return None if tenant == "initech" else Sealer(key)


def test_what_the_policy_tokenizes_is_a_token_of_the_tenants_wherever_it_comes_from() -> None:
    def hook(span: SpanView, _: Message) -> None:
        span.set_label("user", USER)

    def labels(tenant: str, hook: Hook | None, **offered: str) -> dict[str, str]:
        return Labelling(hook, Counter(), sealer_of).labels(MESSAGE, TOKENIZED, tenant, offered)

    keys = sealer_of("acme")
    assert keys is not None
    token = str(derived_token(keys.key.tokens["personal.email"], "personal.email", USER.encode()))
    assert labels("acme", None, user=USER) == {"user": token}
    assert labels("acme", hook) == labels("acme", hook, user="jo@example.com") == {"user": token}
    assert labels("acme", None, user=token) == {"user": token}
    assert labels("globex", None, user=USER)["user"] not in {token, USER}
    assert labels("initech", None, user=USER) == labels("initech", hook) == {"user": "***"}


def test_a_label_that_is_masked_for_want_of_a_key_is_counted_and_said_once(
    counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    labelling = Labelling(None, counts, without_key)
    for _ in range(3):
        labelling.labels(MESSAGE, TOKENIZED, "acme", {"user": USER})
    labelling.labels(MESSAGE, TOKENIZED, "acme", {"user": "***"})  # as it came

    assert counts == {"masked, with no token key": 3}
    (said,) = caplog.messages
    assert said.startswith(
        "channel 'orders': there is no token key of the domain 'personal.email' for a label"
    )
    assert MARK not in caplog.text


class HookError(Exception):
    pass


def test_what_a_hook_raises_is_counted_and_said_once_and_costs_no_label(
    counts: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    def hook(span: SpanView, _: Message) -> None:
        span.set_label("plan", "free")
        raise HookError(MARK)

    labelling = Labelling(hook, counts, without_key)

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
        Labelling(hook, Counter(), without_key)  # type: ignore[arg-type]  # what a caller without a type checker may give
