"""The policy's file: when it is looked at, and what is kept of what was seen."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import ConfigurationError
from interceptors.errors import PolicyError, TrustError, TrustProblem
from interceptors.tracing.policy_file import PolicyFile
from interceptors.tracing.trusting import read_trust

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000_000


@pytest.fixture
def file(signers: Any) -> PolicyFile:
    return PolicyFile(signers.policy, "staging", trust=read_trust(signers.trust))


def take_up(file: PolicyFile) -> int | None:
    read = file.read(NOW)
    file.take_up(read)
    return read.document.serial


def problem(file: PolicyFile) -> TrustProblem:
    with pytest.raises(TrustError) as raised:
        file.read(NOW)
    return raised.value.problem


def test_a_changed_file_is_noticed_once(file: PolicyFile, signers: Any) -> None:
    assert [file.changed(), file.changed()] == [True, False]
    signers.publish("serial: 2\n")
    assert [file.changed(), file.changed()] == [True, False]
    file.look_again()
    assert [file.changed(), file.changed()] == [True, False]


def test_a_file_that_is_gone_is_an_error_until_it_is_back(file: PolicyFile, signers: Any) -> None:
    file.changed()
    signers.policy.unlink()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"policy\.yaml: can't be read \(No such file"):
            file.changed()
    signers.publish("serial: 1\n")
    assert file.changed()


def test_a_path_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a path"):
        PolicyFile(tmp_path / "a\0b", "staging").changed()


def test_the_policy_says_who_signed_it_and_what_holds(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 1\nenvironments: {staging: {accept: required}}\n")
    read = file.read(NOW)
    assert (read.signers, read.document.serial) == (("privacy", "security"), 1)
    assert read.phase.policy.channels("kafka", "orders")[0].accept == "required"
    assert read.digest != file.digest != ""


def test_what_was_taken_up_is_kept_beside_the_policy_for_its_owner_alone(
    file: PolicyFile, signers: Any
) -> None:
    assert take_up(file) == 1
    state = signers.folder / "policy.yaml.seen"
    assert json.loads(state.read_text())["serial"] == 1
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_what_was_only_read_is_not_kept(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 9\n")
    file.read(NOW)
    signers.publish("serial: 1\n")
    assert take_up(file) == 1


def test_an_older_policy_is_refused_by_another_process_too(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 2\n")
    take_up(file)
    signers.publish("serial: 1\n")
    assert problem(file) is TrustProblem.ROLLED_BACK
    other = PolicyFile(signers.policy, "staging", trust=read_trust(signers.trust))
    assert problem(other) is TrustProblem.ROLLED_BACK
    signers.publish("serial: 3\n")
    assert take_up(other) == 3
    signers.publish("serial: 2\n")
    assert problem(file) is TrustProblem.ROLLED_BACK


def test_a_process_remembers_without_the_file(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 2\n")
    take_up(file)
    (signers.folder / "policy.yaml.seen").unlink()
    signers.publish("serial: 1\n")
    assert problem(file) is TrustProblem.ROLLED_BACK


def test_one_serial_is_one_policy(file: PolicyFile, signers: Any) -> None:
    take_up(file)
    before = (signers.folder / "policy.yaml.seen").stat().st_mtime_ns
    assert take_up(file) == 1
    assert (signers.folder / "policy.yaml.seen").stat().st_mtime_ns == before
    signers.publish("serial: 1\ndefault: {accept: none}\n")
    assert problem(file) is TrustProblem.ROLLED_BACK


@pytest.mark.parametrize("content", ["", "{}", '{"serial": "2", "digest": "d"}', "[]", "\0"])
def test_a_damaged_state_is_an_error_and_not_a_fresh_start(
    file: PolicyFile, signers: Any, content: str
) -> None:
    (signers.folder / "policy.yaml.seen").write_text(content)
    with pytest.raises(ConfigurationError, match=r"policy\.yaml\.seen: doesn't say") as raised:
        file.read(NOW)
    assert raised.value.__context__ is None


def test_a_state_that_can_not_be_read_is_an_error_and_not_a_fresh_start(
    file: PolicyFile, signers: Any
) -> None:
    (signers.folder / "policy.yaml.seen").symlink_to("policy.yaml.seen")
    with pytest.raises(ConfigurationError, match=r"policy\.yaml\.seen: can't be read \(.*`trust_state`"):
        file.read(NOW)


def test_a_state_behind_a_link_is_written_where_the_link_leads(file: PolicyFile, signers: Any) -> None:
    (signers.folder / "volume").mkdir()
    (signers.folder / "policy.yaml.seen").symlink_to("volume/seen")
    signers.publish("serial: 2\n")
    take_up(file)
    assert (signers.folder / "policy.yaml.seen").is_symlink()
    assert json.loads((signers.folder / "volume" / "seen").read_text())["serial"] == 2


def test_another_process_that_was_faster_is_not_put_back(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 2\n")
    slow = file.read(NOW)
    signers.publish("serial: 3\n")
    take_up(PolicyFile(signers.policy, "staging", trust=read_trust(signers.trust)))
    with pytest.raises(TrustError, match="serial 3 was seen meanwhile") as raised:
        file.take_up(slow)
    assert raised.value.problem is TrustProblem.ROLLED_BACK
    assert json.loads((signers.folder / "policy.yaml.seen").read_text())["serial"] == 3


def test_bounds_are_not_passed_by_spelling_an_environment_otherwise(signers: Any) -> None:
    signers.publish("serial: 1\nenvironments: {production: {accept: reject}}\n")
    trust = read_trust(signers.trust)
    with pytest.raises(PolicyError, match=r"environments\.production: .* 'Production'; spell it one way"):
        PolicyFile(signers.policy, "Production", trust=trust).read(NOW)
    for environment in ("production", "staging"):
        assert PolicyFile(signers.policy, environment, trust=trust).read(NOW).document.serial == 1


def test_where_what_was_seen_can_not_be_kept_nothing_is_taken_up(signers: Any) -> None:
    file = PolicyFile(
        signers.policy,
        "staging",
        trust=read_trust(signers.trust),
        state=signers.folder / "missing" / "seen",
    )
    with pytest.raises(ConfigurationError, match=r"can't be written .* `trust_state`"):
        take_up(file)


def test_without_trust_nothing_is_kept_and_a_file_may_be_signed_or_not(signers: Any) -> None:
    file = PolicyFile(signers.policy, "staging")
    assert take_up(file) == 1
    signers.policy.write_text("version: 1\n")
    assert take_up(file) is None
    assert not os.path.lexists(signers.folder / "policy.yaml.seen")


def test_a_signed_policy_that_does_not_hold_is_an_error(file: PolicyFile, signers: Any) -> None:
    signers.publish("serial: 1\nchanels: []\n")
    with pytest.raises(PolicyError, match=r"policy\.yaml:3: chanels: unknown key; did you mean 'channels'"):
        file.read(NOW)
