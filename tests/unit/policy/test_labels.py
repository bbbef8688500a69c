"""Which labels the policy lets travel."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from interceptors.context import RETRY_LABEL
from interceptors.envelope.plaintext import is_label
from interceptors.policy import check_policy
from interceptors.policy.labels import NO_LABELS, LabelEntry, check_names, compile_labels

if TYPE_CHECKING:
    from interceptors.policy.labels import Labels

ENTRIES = {
    "region": LabelEntry(values=("eu", "us")),
    "shop.plan": LabelEntry(pattern="plan-[a-z]{1,8}|larger"),
    "wide": LabelEntry(pattern="[a-z ]{1,64}"),
}
LABELS = compile_labels(ENTRIES)


def test_a_label_that_is_dropped_is_in_the_catalog_and_does_not_travel() -> None:
    entry = LabelEntry.model_validate(
        {
            "values": ["gold"],
            "class": "commercial",
            "purpose": "support",
            "lawful_basis": "contract",
            "visible_to": ["support"],
            "retention": "30d",
            "handling": "drop",
        }
    )
    assert (entry.what, entry.retention) == ("commercial", 30 * 86_400_000)
    assert compile_labels({"plan": entry}).admitted({"plan": "gold"}) == ({}, 0)


@pytest.mark.parametrize("value", ["eu", "us"])
def test_a_value_that_is_listed_travels(value: str) -> None:
    assert LABELS.admitted({"region": value}) == ({"region": value}, 0)


class Region(StrEnum):
    EU = "eu"


class Zone(str, Enum):  # noqa: UP042 - its `str()` is `Zone.EU`, other than that of the one above
    EU = "eu"


@pytest.mark.parametrize("value", [Region.EU, Zone.EU])
def test_a_kind_of_text_travels_as_the_text_that_it_is(value: str) -> None:
    kept, refused = LABELS.admitted({"region": value})
    assert (kept, refused, type(kept["region"])) == ({"region": "eu"}, 0, str)
    assert is_label("region", kept["region"])


@pytest.mark.parametrize(
    "value", ["", "EU", "eu ", " eu", "e", "eu\n", "eu\0", "eus", 1, True, b"eu", None, ["eu"]]
)
def test_another_value_is_left_out_and_counted(value: object) -> None:
    assert LABELS.admitted({"region": value}) == ({}, 1)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("plan-a", True),
        ("larger", True),
        ("plan-", False),
        ("plan-abcdefghi", False),
        ("a plan-a", False),
        ("plan-a\n", False),
        ("plan-a plan-b", False),
    ],
)
def test_a_pattern_fits_the_whole_value(value: str, *, allowed: bool) -> None:
    kept, refused = LABELS.admitted({"shop.plan": value})
    assert (kept == {"shop.plan": value}, refused == 1) == (allowed, not allowed)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("x" * 64, True), ("x" * 65, False), ("é", False), ("\ud800", False)],
    ids=["64", "65", "no ASCII", "no UTF-8"],
)
def test_whatever_a_pattern_says_an_envelope_has_place_for_64_bytes(value: str, *, allowed: bool) -> None:
    assert LABELS.admitted({"wide": value}) == (({"wide": value}, 0) if allowed else ({}, 1))


def test_what_the_policy_does_not_name_is_not_even_counted() -> None:
    baggage = {"user.email": "bob@example.com", "Region": "eu", "region": "eu", 7: "eu"}
    assert LABELS.admitted(baggage) == ({"region": "eu"}, 0)  # type: ignore[arg-type]  # baggage may hold anything


def test_where_nothing_is_named_nothing_travels() -> None:
    assert NO_LABELS.admitted({"region": "eu"}) == ({}, 0)


ANYTHING = st.one_of(st.text(), st.integers(), st.binary(), st.none(), st.lists(st.text()))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(ENTRIES)), st.text()), ANYTHING))
@example({"wide": "\ud800", "region": "eu"})
def test_whatever_the_baggage_is_only_named_and_allowed_values_come_through(baggage: dict[str, Any]) -> None:
    kept, refused = LABELS.admitted(baggage)

    assert kept.items() <= {name: value for name, value in baggage.items() if name in ENTRIES}.items()
    assert len(kept) + refused == len(ENTRIES.keys() & baggage.keys())
    assert kept.get("region", "eu") in {"eu", "us"}
    # None is lost on the way into the envelope.
    assert all(is_label(name, value) for name, value in kept.items())


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({}, "either `values` or a `pattern`"),
        ({"values": ["eu"], "pattern": "eu"}, "either `values` or a `pattern`"),
        ({"values": []}, "either `values` or a `pattern`"),
        ({"pattern": "(eu"}, "no regular expression"),
        ({"pattern": "[a-z]+"}, "a repeat without a bound"),
        ({"pattern": "(?:a{1,9}){1,9}b"}, "a repeat within a repeat"),
        ({"pattern": ".{1,9}"}, "pattern"),
        ({"pattern": ""}, "at least 1 character"),
        ({"values": [""]}, "at least 1 character"),
        ({"values": ["x" * 65]}, "at most 64 characters"),
        ({"values": ["eu", "é" * 33]}, "64 bytes of UTF-8 at most"),
        ({"vales": ["eu"]}, "did you mean 'values'?"),
    ],
)
def test_a_label_that_does_not_hold_is_refused_with_its_place(entry: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match="region") as raised:
        labels_of({"region": entry})
    assert problem in str(raised.value)


@pytest.mark.parametrize("name", ["", "Region", "1st", "größe", "with space", "x" * 33, "region\n"])
def test_a_name_is_lower_case_and_short(name: str) -> None:
    with pytest.raises(ValueError, match="default"):
        labels_of({name: {"values": ["eu"]}})


@pytest.mark.parametrize(
    "name", [RETRY_LABEL, "messaging.system", "service.name", "interceptors.tenant", "error.type"]
)
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="means something else"):
        check_names({"region": None, name: None})
    with pytest.raises(ValueError, match="means something else"):
        labels_of({name: {"values": ["eu"]}})
    check_names({"region": None, f"x{name}": None})


def test_a_channel_has_16_labels_at_most() -> None:
    entries = {f"label{number}": {"values": ["eu"]} for number in range(17)}
    with pytest.raises(ValueError, match="16"):
        labels_of(entries)
    entries.popitem()
    assert len(labels_of(entries).rules) == 16


def labels_of(entries: dict[str, Any]) -> Labels:
    policy = check_policy({"version": 1, "default": {"labels": entries}}, "policy")
    return policy.channels("kafka", "orders")[0].labels
