"""Trust documents: whose keys count for what, and the documents that mean less than they seem to."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml

from interceptors import PolicyError
from interceptors.errors import ConfigurationError
from interceptors.policy.trust import RoleName, Trust, parse_trust
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from interceptors.signatures import VerificationKey

PRIVACY, SECURITY, RELEASE = (SigningKey(bytes([number]) * 32).public for number in (1, 2, 3))
KEYS = {"privacy": PRIVACY, "security": SECURITY, "release": RELEASE}


def no_file(name: str) -> NoReturn:
    raise ConfigurationError(f"{name}: can't be read")


def parsed(**changes: Any) -> Trust:
    document: dict[str, Any] = {
        "version": 1,
        "roles": {
            "policy": {"threshold": 2, "keys": ["privacy", "security"]},
            "deployment": {"threshold": 1, "keys": ["release"]},
        },
        "keys": {name: {"public": key.raw.hex()} for name, key in KEYS.items()},
    }
    return parse_trust(yaml.safe_dump(document | changes), "trust.yaml", read=no_file)


def roles(policy: dict[str, Any], deployment: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"roles": {"policy": policy} | ({} if deployment is None else {"deployment": deployment})}


def test_each_role_has_its_keys_and_how_many_of_them_it_takes() -> None:
    trust = parsed(minimum_serial=7)
    policy, deployment = trust.role(RoleName.POLICY), trust.role(RoleName.DEPLOYMENT)
    assert policy is not None
    assert deployment is not None
    assert (policy.threshold, dict(policy.keys)) == (2, {PRIVACY: "privacy", SECURITY: "security"})
    assert (deployment.threshold, dict(deployment.keys)) == (1, {RELEASE: "release"})
    assert trust.minimum_serial == 7


def test_the_role_of_deployment_may_be_left_out() -> None:
    assert parsed(**roles({"threshold": 1, "keys": ["privacy"]})).role(RoleName.DEPLOYMENT) is None


@pytest.mark.parametrize(
    "public",
    [PRIVACY.raw.hex(), PRIVACY.raw.hex().upper(), base64.b64encode(PRIVACY.raw).decode(), "privacy.pub"],
)
def test_a_key_is_hex_base64_or_a_file(public: str) -> None:
    asked: list[str] = []

    def read(name: str) -> VerificationKey:
        asked.append(name)
        return PRIVACY

    text = yaml.safe_dump(
        {
            "version": 1,
            "roles": {"policy": {"threshold": 1, "keys": ["a"]}},
            "keys": {"a": {"public": public}},
        }
    )
    assert dict(parse_trust(text, "trust.yaml", read=read).policy.keys) == {PRIVACY: "a"}
    assert asked == (["privacy.pub"] if public == "privacy.pub" else [])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"keys": {name: {"public": PRIVACY.raw.hex()} for name in KEYS}},
            r"keys\.release\.public: this is the key of 'privacy', too",
            id="one-key-two-names",
        ),
        pytest.param(
            {
                "keys": {
                    "privacy": {"public": PRIVACY.raw.hex()},
                    "security": {"public": base64.b64encode(PRIVACY.raw).decode()},
                    "release": {"public": RELEASE.raw.hex()},
                }
            },
            r"keys\.security\.public: this is the key of 'privacy', too",
            id="one-key-written-in-two-ways",
        ),
        pytest.param(
            roles({"threshold": 1, "keys": ["privacy"]}, {"threshold": 1, "keys": ["privacy"]}),
            r"roles\.deployment\.keys: 'privacy' signs policies, too",
            id="both-roles",
        ),
        pytest.param(
            roles({"threshold": 3, "keys": ["privacy", "security"]}),
            r"roles\.policy\.threshold: 3 of 2 keys can never sign",
            id="threshold-beyond-the-keys",
        ),
        pytest.param(
            roles({"threshold": 0, "keys": ["privacy"]}),
            r"roles\.policy\.threshold: .*greater than or equal to 1",
            id="threshold-of-none",
        ),
        pytest.param(
            roles({"threshold": 2, "keys": ["privacy", "privacy"]}),
            r"roles\.policy\.keys: a key stands twice",
            id="name-twice",
        ),
        pytest.param(
            roles({"threshold": 1, "keys": ["nobody"]}),
            r"roles\.policy\.keys: no key is called 'nobody'",
            id="no-such-key",
        ),
        pytest.param(roles({"threshold": 1, "keys": []}), r"roles\.policy\.keys", id="no-keys"),
        pytest.param({"minimum_serial": -1}, r"minimum_serial", id="negative-serial"),
        pytest.param({"version": 2}, r"trust\.yaml:\d+: version: should be 1", id="version"),
        pytest.param(
            {"keys": {"privacy": {"public": "AAAA"}}},
            r"keys\.privacy\.public: AAAA: can't be read",
            id="neither-key-nor-file",
        ),
        pytest.param(
            {"keys": {"privacy": {"public": "11" * 33}}},
            r"keys\.privacy\.public: neither the 32 bytes of an Ed25519 key",
            id="too-long-a-key",
        ),
        pytest.param({"treshold": 1}, r"unknown key", id="typo"),
    ],
)
def test_a_document_that_means_less_than_it_seems_to_is_refused(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PolicyError, match=problem) as raised:
        parsed(**changes)
    assert raised.value.path
