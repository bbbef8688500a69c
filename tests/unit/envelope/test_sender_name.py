from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.envelope.sender_name import check_sender_name
from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "name",
    [
        "checkout",
        "Checkout Service/2",
        "spiffe",
        "https://example.com/",
        "spiffe://example.com",
        "spiffe://example.com/checkout",
        "spiffe://e-x_a.m-1/ns/Prod/sa/check.out_1-2",
        "spiffe://example.com/...",
        f"spiffe://{'t' * 255}/{'p' * (2048 - 265)}",
    ],
)
def test_a_short_name_and_a_spiffe_id_are_names(name: str) -> None:
    assert check_sender_name(name) == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("spiffe:", "begins with spiffe://"),
        ("spiffe:/example.com/checkout", "begins with spiffe://"),
        ("spiffe:x//example.com/checkout", "begins with spiffe://"),
        ("SPIFFE://example.com/checkout", "lower case"),
        (f"spiffe://example.com/{'p' * (2048 - 20)}", "at most 2048"),
        ("spiffe://", "has a trust domain"),
        ("spiffe:///checkout", "has a trust domain"),
        ("spiffe://Example.com/checkout", "has a trust domain"),
        ("spiffe://exämple.com/checkout", "has a trust domain"),
        ("spiffe://example.com:443/checkout", "has a trust domain"),
        ("spiffe://user@example.com/checkout", "has a trust domain"),
        ("spiffe://example.com\n/checkout", "has a trust domain"),
        ("spiffe://example.com?a=b", "has a trust domain"),
        (f"spiffe://{'t' * 256}/checkout", "1 to 255"),
        ("spiffe://example.com/", "end with a slash"),
        ("spiffe://example.com/checkout/", "end with a slash"),
        ("spiffe://example.com//checkout", "that is empty"),
        ("spiffe://example.com/./checkout", "segment that is empty"),
        ("spiffe://example.com/a/..", "segment that is empty"),
        ("spiffe://example.com/check%20out", "path of letters"),
        ("spiffe://example.com/kasse-ü", "path of letters"),
        ("spiffe://example.com/checkout?a=b", "path of letters"),
        ("spiffe://example.com/checkout#a", "path of letters"),
        ("spiffe://example.com/checkout\n", "path of letters"),
    ],
)
def test_what_looks_like_a_spiffe_id_and_is_none_is_refused_with_the_reason_and_without_the_name(
    name: str, problem: str, assert_silent: Callable[[BaseException, str | bytes], None]
) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refusal:
        check_sender_name(name)

    assert_silent(refusal.value, "example.com")
