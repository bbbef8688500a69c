"""Attacks on what a service takes for its policy, or its configuration: each is refused, and says why."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from interceptors import ConfigurationError, Tracing
from interceptors.errors import TrustError, TrustProblem
from interceptors.keys import KeyAdministration
from interceptors.message import Message
from interceptors.policy.signed import LARGEST, PAYLOAD_TYPES
from interceptors.policy.trust import RoleName
from interceptors.signatures import Signed, SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRIVACY, SECURITY, RELEASE, STRANGER = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3, 4))
POLICY = "version: 1\nserial: 5\nexpires: 2099-01-01T00:00:00Z\ndefault: {accept: reject}\n"
LAX = POLICY.replace("reject", "optional")
BOMB = "version: 1\nserial: 6\na0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


def signed(text: str, *keys: SigningKey, role: RoleName = RoleName.POLICY) -> str:
    found = Signed(text.encode(), PAYLOAD_TYPES[role], ())
    for key in keys:
        found = found.by(key)
    return found.to_json()


class Service:
    """A service in production: privacy and security both sign its policy, and release its configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        administration = KeyAdministration(folder / "roots.json")
        administration.root("acme")
        administration.grant("checkout", "acme", [], folder / "keys.json")
        self.trusting()
        self.policy(signed(POLICY, PRIVACY, SECURITY))
        self.settings = (
            "service: checkout\ntenant: acme\nenvironment: production\nkeys: keys.json\npolicy: policy.yaml\n"
        )
        self.configuration(signed(self.settings, RELEASE, role=RoleName.DEPLOYMENT))

    def trusting(self, minimum: int = 0, threshold: int = 2) -> None:
        keys = {"privacy": PRIVACY, "security": SECURITY, "release": RELEASE}
        (self.folder / "trust.yaml").write_text(
            json.dumps(
                {
                    "version": 1,
                    "roles": {
                        "policy": {"threshold": threshold, "keys": ["privacy", "security"]},
                        "deployment": {"threshold": 1, "keys": ["release"]},
                    },
                    "keys": {name: {"public": key.public.raw.hex()} for name, key in keys.items()},
                    "minimum_serial": minimum,
                }
            )
        )

    def policy(self, content: str | bytes) -> None:
        self._put("policy.yaml", content)

    def configuration(self, content: str) -> None:
        self._put("interceptors.yaml", content)

    def _put(self, name: str, content: str | bytes) -> None:
        changed = self.folder / "new"
        changed.write_bytes(content.encode() if isinstance(content, str) else content)
        changed.replace(self.folder / name)

    def start(self) -> Tracing:
        return Tracing.from_file(self.folder / "interceptors.yaml")

    def refusal(self) -> TrustProblem:
        with pytest.raises(TrustError) as raised:
            self.start().close()
        assert str(self.folder) in str(raised.value)
        return raised.value.problem


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("INTERCEPTORS_TRUST", str(tmp_path / "trust.yaml"))
    return Service(tmp_path)


def altered() -> str:
    return json.dumps(
        json.loads(signed(POLICY, PRIVACY, SECURITY)) | {"payload": base64.b64encode(LAX.encode()).decode()}
    )


def twice(key_id: str = "") -> str:
    form = json.loads(signed(LAX, PRIVACY))
    (only,) = form["signatures"]
    return json.dumps(form | {"signatures": [only, only | {"keyid": key_id or only["keyid"]}]})


ATTACKS: dict[str, tuple[Callable[[], str | bytes], TrustProblem]] = {
    "unsigned": (lambda: LAX, TrustProblem.UNSIGNED),
    "no signatures": (lambda: signed(LAX), TrustProblem.TOO_FEW),
    "wrong keys": (lambda: signed(LAX, STRANGER, SigningKey(bytes(32))), TrustProblem.TOO_FEW),
    "too few": (lambda: signed(LAX, PRIVACY), TrustProblem.TOO_FEW),
    "one signer twice": (twice, TrustProblem.MALFORMED),
    "one signer under another key id": (lambda: twice("0" * 64), TrustProblem.TOO_FEW),
    "one signer under another's key id": (lambda: twice(SECURITY.public.id), TrustProblem.TOO_FEW),
    "a signature of the deployment role": (lambda: signed(LAX, PRIVACY, RELEASE), TrustProblem.TOO_FEW),
    "a configuration in a policy's place": (
        lambda: signed(LAX, PRIVACY, SECURITY, role=RoleName.DEPLOYMENT),
        TrustProblem.WRONG_TYPE,
    ),
    "payload altered": (altered, TrustProblem.TOO_FEW),
    "rolled back": (lambda: signed(LAX.replace("5", "4", 1), PRIVACY, SECURITY), TrustProblem.ROLLED_BACK),
    "another one of the same serial": (lambda: signed(LAX, PRIVACY, SECURITY), TrustProblem.ROLLED_BACK),
    "no serial": (
        lambda: signed(LAX.replace("serial: 5\n", ""), PRIVACY, SECURITY),
        TrustProblem.ROLLED_BACK,
    ),
    "expired": (
        lambda: signed(LAX.replace("2099", "2020").replace("serial: 5", "serial: 6"), PRIVACY, SECURITY),
        TrustProblem.EXPIRED,
    ),
    "truncated": (lambda: signed(POLICY, PRIVACY, SECURITY)[:200], TrustProblem.MALFORMED),
    "garbled": (lambda: signed(POLICY, PRIVACY, SECURITY).replace("=", "%"), TrustProblem.MALFORMED),
    "huge": (lambda: b"\n" * (LARGEST + 1), TrustProblem.MALFORMED),
    "nested": (lambda: b'{"payload": ' + b"[" * 100_000, TrustProblem.MALFORMED),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_service_does_not_start_on_what_is_not_its_policy(service: Service, attack: str) -> None:
    service.start().close()  # what it has seen is serial 5
    make, problem = ATTACKS[attack]
    service.policy(make())
    assert service.refusal() is problem


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_running_service_goes_on_with_the_policy_before(service: Service, attack: str) -> None:
    make, _ = ATTACKS[attack]
    with service.start() as tracing:
        service.policy(make())
        tracing._governing.look()
        assert tracing.receive(Message("kafka", "orders", b""), consumer="c").rejected
        assert tracing.counts["policies refused"] == 1
        service.policy(signed(LAX.replace("5", "6", 1), PRIVACY, SECURITY))
        tracing._governing.look()
        assert not tracing.receive(Message("kafka", "orders", b""), consumer="c").rejected


def test_signatures_of_strangers_do_no_harm(service: Service) -> None:
    service.policy(signed(POLICY, STRANGER, PRIVACY, RELEASE, SECURITY))
    with service.start() as tracing:
        assert tracing.policy.channels("kafka", "orders")[0].accept == "reject"


def test_a_bomb_that_is_signed_is_an_error_and_not_a_loss_of_memory(service: Service) -> None:
    service.policy(signed(BOMB, PRIVACY, SECURITY))
    with pytest.raises(ConfigurationError, match="more than 200000 values"):
        service.start()
    # In the configuration, too, which is read first.
    service.configuration(signed(BOMB, RELEASE, role=RoleName.DEPLOYMENT))
    with pytest.raises(ConfigurationError, match="more than 200000 values"):
        service.start()


def test_a_new_service_is_protected_from_old_policies_by_the_minimum(service: Service) -> None:
    service.trusting(minimum=6)
    assert service.refusal() is TrustProblem.ROLLED_BACK


def test_without_a_trust_document_there_is_no_production(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERCEPTORS_TRUST")
    service.configuration(service.settings)
    assert service.refusal() is TrustProblem.UNSIGNED


# --- who deploys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        pytest.param(lambda text: text, TrustProblem.UNSIGNED, id="unsigned"),
        pytest.param(
            lambda text: signed(text, PRIVACY, SECURITY, role=RoleName.DEPLOYMENT),
            TrustProblem.TOO_FEW,
            id="by-the-policy-role",
        ),
        pytest.param(lambda text: signed(text, RELEASE), TrustProblem.WRONG_TYPE, id="signed-as-a-policy"),
        pytest.param(
            lambda text: signed(text, RELEASE, role=RoleName.DEPLOYMENT)[:150],
            TrustProblem.MALFORMED,
            id="truncated",
        ),
    ],
)
def test_a_configuration_that_its_role_has_not_signed_is_refused(
    service: Service, make: Callable[[str], str], problem: TrustProblem
) -> None:
    service.configuration(make(service.settings))
    assert service.refusal() is problem


def test_who_deploys_can_not_name_other_signers(service: Service) -> None:
    other = service.folder / "mine.yaml"
    other.write_text(
        '{"version": 1, "roles": {"policy": {"threshold": 1, "keys": ["m"]}}, '
        f'"keys": {{"m": {{"public": "{STRANGER.public.raw.hex()}"}}}}}}'
    )
    service.policy(signed(LAX, STRANGER))
    service.configuration(signed(f"{service.settings}trust: mine.yaml\n", RELEASE, role=RoleName.DEPLOYMENT))
    assert service.refusal() is TrustProblem.TOO_FEW


def test_who_deploys_can_not_leave_production_where_the_process_is_told_that_it_is_there(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERCEPTORS_ENVIRONMENT", "production")
    settings = service.settings.replace("production", "development")
    service.configuration(signed(settings, RELEASE, role=RoleName.DEPLOYMENT))
    with pytest.raises(ConfigurationError, match="'development' here, and 'production' in"):
        service.start()


def test_outside_production_a_configuration_need_not_be_signed_and_the_policy_has_to_all_the_same(
    service: Service,
) -> None:
    service.configuration(service.settings.replace("production", "staging"))
    service.start().close()
    service.policy(LAX)
    assert service.refusal() is TrustProblem.UNSIGNED


def test_a_signed_configuration_needs_someone_who_says_by_whom(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTERCEPTORS_TRUST")
    with pytest.raises(ConfigurationError, match="INTERCEPTORS_TRUST doesn't say by whom"):
        service.start()


def test_a_policy_file_for_development_is_held_to_the_environments_trust(service: Service) -> None:
    path = service.folder / "policy.yaml"
    Tracing.for_development("checkout", policy=path).close()
    service.policy(LAX)
    with pytest.raises(TrustError):
        Tracing.for_development("checkout", policy=path)


@pytest.mark.parametrize("name", ["policy.yaml", "interceptors.yaml"])
def test_no_error_shows_what_a_file_holds(service: Service, name: str) -> None:
    canary = base64.b64encode(b"CANARY").decode()
    content = (service.folder / name).read_text()
    (service.folder / name).write_text(content.replace('"payload": "', f'"payload": "%{canary}'))
    with pytest.raises(TrustError) as raised:
        service.start()
    assert canary not in str(raised.value)
    assert raised.value.__context__ is None


def test_production_does_not_start_where_its_audit_log_can_not_be_written(service: Service) -> None:
    (service.folder / "audit.jsonl").mkdir()
    settings = f"{service.settings}audit: {{log: audit.jsonl}}\n"
    service.configuration(signed(settings, RELEASE, role=RoleName.DEPLOYMENT))
    with pytest.raises(ConfigurationError, match=r"audit\.jsonl: can't be written"):
        service.start()
    (service.folder / "audit.jsonl").rmdir()
    with service.start() as tracing:
        assert tracing.audit is not None
    (line,) = (service.folder / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["details"]["signers"] == ["privacy", "security"]
