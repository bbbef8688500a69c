"""What a signed document has to be before it counts; attacks on services are in `tests/security`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from interceptors.errors import TrustError, TrustProblem
from interceptors.policy.document import parse_policy_document
from interceptors.policy.signed import (
    LARGEST,
    PAYLOAD_TYPES,
    Seen,
    check_fresh,
    is_signed,
    open_unchecked,
    verify,
)
from interceptors.policy.trust import Role, RoleName, Trust
from interceptors.signatures import Signed, SigningKey

PRIVACY, SECURITY, RELEASE, STRANGER = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3, 4))
TEXT = b"version: 1\nserial: 5\n"
NOW = 1_790_000_000_000
TRUST = Trust(
    "trust.yaml",
    Role(RoleName.POLICY, 2, {PRIVACY.public: "privacy", SECURITY.public: "security"}),
    Role(RoleName.DEPLOYMENT, 1, {RELEASE.public: "release"}),
    3,
)


def signed(*keys: SigningKey, text: bytes = TEXT, role: RoleName = RoleName.POLICY) -> Signed:
    found = Signed(text, PAYLOAD_TYPES[role], ())
    for key in keys:
        found = found.by(key)
    return found


def problem(content: bytes, trust: Trust = TRUST, role: RoleName = RoleName.POLICY) -> TrustProblem:
    with pytest.raises(TrustError, match=r"policy\.yaml") as raised:
        verify(content, role, trust, "policy.yaml")
    # Nothing of the file, nor of a parser's error, which may hold it, is behind ours.
    assert raised.value.__context__ is None
    return raised.value.problem


def test_a_document_that_enough_keys_have_signed_is_given_with_their_names() -> None:
    content = verify(signed(SECURITY, PRIVACY).to_json().encode(), RoleName.POLICY, TRUST, "policy.yaml")
    assert (content.text, content.signers) == (TEXT, ("privacy", "security"))


def test_signatures_of_others_are_passed_over() -> None:
    content = verify(
        signed(STRANGER, PRIVACY, RELEASE, SECURITY).to_json().encode(), RoleName.POLICY, TRUST, "policy.yaml"
    )
    assert content.signers == ("privacy", "security")


def test_a_configuration_is_signed_by_the_other_role() -> None:
    text = signed(RELEASE, role=RoleName.DEPLOYMENT).to_json().encode()
    assert verify(text, RoleName.DEPLOYMENT, TRUST, "interceptors.yaml").signers == ("release",)


def altered(**changes: Any) -> bytes:
    return json.dumps(json.loads(signed(PRIVACY, SECURITY).to_json()) | changes).encode()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(TEXT, TrustProblem.UNSIGNED, id="in-clear"),
        pytest.param(b'{"version": 1, "serial": 5}', TrustProblem.UNSIGNED, id="in-clear-as-json"),
        pytest.param(b"", TrustProblem.UNSIGNED, id="empty"),
        pytest.param(signed().to_json().encode(), TrustProblem.TOO_FEW, id="nobody"),
        pytest.param(signed(PRIVACY).to_json().encode(), TrustProblem.TOO_FEW, id="one"),
        pytest.param(
            signed(PRIVACY, STRANGER).to_json().encode(), TrustProblem.TOO_FEW, id="one-and-a-stranger"
        ),
        pytest.param(signed(PRIVACY, RELEASE).to_json().encode(), TrustProblem.TOO_FEW, id="other-role"),
        pytest.param(
            signed(PRIVACY, SECURITY, role=RoleName.DEPLOYMENT).to_json().encode(),
            TrustProblem.WRONG_TYPE,
            id="other-type",
        ),
        pytest.param(
            altered(payload=base64.b64encode(b"version: 1\nserial: 9\n").decode()),
            TrustProblem.TOO_FEW,
            id="payload-altered",
        ),
        pytest.param(
            signed(PRIVACY, SECURITY).to_json().encode()[:90], TrustProblem.MALFORMED, id="truncated"
        ),
        pytest.param(altered(signatures=None), TrustProblem.MALFORMED, id="no-signatures"),
        pytest.param(altered(payload="%%%"), TrustProblem.MALFORMED, id="garbled"),
        pytest.param(b" " * (LARGEST + 1), TrustProblem.MALFORMED, id="huge"),
        pytest.param(b'{"payload":' + b"[" * 100_000, TrustProblem.MALFORMED, id="nested"),
    ],
)
def test_what_does_not_count_says_why(content: bytes, expected: TrustProblem) -> None:
    assert problem(content) is expected


def test_one_signer_who_signs_twice_counts_once() -> None:
    form = json.loads(signed(PRIVACY).to_json())
    again = {"keyid": "another name", "sig": form["signatures"][0]["sig"]}
    assert problem(altered(signatures=[*form["signatures"], again])) is TrustProblem.TOO_FEW
    # Under its own name, it is no envelope at all.
    assert problem(altered(signatures=form["signatures"] * 2)) is TrustProblem.MALFORMED


def test_a_role_that_the_trust_document_has_not_signs_nothing() -> None:
    trust = TRUST._replace(deployment=None)
    content = signed(RELEASE, role=RoleName.DEPLOYMENT).to_json().encode()
    assert problem(content, trust, RoleName.DEPLOYMENT) is TrustProblem.TOO_FEW


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (signed(PRIVACY).to_json().encode(), True),
        (b'\n {"payloadType" : 1', True),
        (b'{"signatures": []}', True),
        (b"version: 1", False),
        (b'{"version": 1, "default": {"payload": {"on_leak": "block"}}}', False),
        (b"{payload: x}", False),
    ],
)
def test_a_signed_file_is_told_by_how_it_begins(content: bytes, expected: bool) -> None:  # noqa: FBT001 - the expected value
    assert is_signed(content) is expected


def test_where_nobody_says_whose_signatures_count_a_file_is_read_signed_or_not() -> None:
    for content in (TEXT, signed(STRANGER).to_json().encode()):
        assert open_unchecked(content, RoleName.POLICY, "policy.yaml").text == TEXT
    with pytest.raises(TrustError) as raised:
        open_unchecked(signed(PRIVACY).to_json().encode(), RoleName.DEPLOYMENT, "policy.yaml")
    assert raised.value.problem is TrustProblem.WRONG_TYPE


def fresh(text: str, seen: Seen | None = None, digest: str = "d", now: int = NOW) -> Seen:
    document = parse_policy_document(f"version: 1\n{text}", "policy.yaml")
    return check_fresh(document, digest, TRUST, seen, now, "policy.yaml")


def test_a_newer_policy_and_the_same_one_again_are_fresh() -> None:
    assert fresh("serial: 5") == Seen(5, "d")
    assert fresh("serial: 5", Seen(5, "d")) == Seen(5, "d")
    assert fresh("serial: 6", Seen(5, "d"), "e") == Seen(6, "e")
    assert fresh("serial: 3") == Seen(3, "d")


@pytest.mark.parametrize(
    ("text", "seen", "path"),
    [
        pytest.param("serial: 4", Seen(5, "d"), "serial", id="older"),
        pytest.param("serial: 5", Seen(5, "other"), "serial", id="same-serial-other-text"),
        pytest.param("serial: 2", None, "serial", id="below-the-minimum"),
        pytest.param("default: {}", None, "serial", id="no-serial"),
    ],
)
def test_an_older_policy_is_a_rollback(text: str, seen: Seen | None, path: str) -> None:
    with pytest.raises(TrustError, match=r"policy\.yaml: serial: ") as raised:
        fresh(text, seen)
    assert (raised.value.problem, raised.value.path) == (TrustProblem.ROLLED_BACK, path)


def test_a_policy_expires_at_its_instant() -> None:
    text = "serial: 5\nexpires: 2026-09-21T14:13:20Z"  # NOW
    assert fresh(text, now=NOW - 1).serial == 5
    with pytest.raises(TrustError) as raised:
        fresh(text, now=NOW)
    assert raised.value.problem is TrustProblem.EXPIRED
