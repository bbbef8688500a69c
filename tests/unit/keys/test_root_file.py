from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import read_key_file, write_key_file
from interceptors.keys.root_file import Grant, RootEntry, RootFile, TokenRoot

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "5e" * 32
WRAPPED = "d3JhcHBlZA=="


def read(path: Path, content: dict[str, Any]) -> RootFile:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    return read_key_file(path, RootFile)


def test_a_file_from_before_wrapping_tokens_and_schedules_is_read(tmp_path: Path) -> None:
    root = {"tenant": "acme", "epoch": 1, "root": ROOT, "use": "seal", "created": 1000}
    grant = {"service": "checkout", "tenant": "acme", "reads": ["billing"], "file": "keys.json"}
    old = {"version": 1, "roots": [root], "grants": [grant], "revoked": ["00" * 16]}
    file = read(tmp_path / "roots.json", old)
    assert (file.wrapping, file.token_roots, file.schedules) == (None, (), ())
    assert file.grants[0] == Grant(service="checkout", tenant="acme", reads=("billing",), file="keys.json")
    write_key_file(tmp_path / "again.json", file)
    assert read_key_file(tmp_path / "again.json", RootFile) == file


@pytest.mark.parametrize("field", ["roots", "token_roots"])
@pytest.mark.parametrize("secrets", [{}, {"root": ROOT, "wrapped_root": WRAPPED}], ids=["none", "both"])
def test_a_root_stands_there_once(tmp_path: Path, field: str, secrets: dict[str, str]) -> None:
    number = "epoch" if field == "roots" else "version"
    with pytest.raises(
        ConfigurationError, match=rf"{field}\.0: .* in clear or wrapped, and not both"
    ) as raised:
        read(tmp_path / "roots.json", {field: [{"tenant": "acme", number: 1, **secrets}]})
    assert ROOT not in str(raised.value)


@pytest.mark.parametrize(
    ("overlap", "problem"), [(90, "can't overlap for longer"), (0, "not as it should be")]
)
def test_a_schedule_that_can_not_be_kept_is_refused(tmp_path: Path, overlap: int, problem: str) -> None:
    schedule = {"tenant": "acme", "every": 90, "overlap": overlap, "retire": 1}
    with pytest.raises(ConfigurationError, match=problem):
        read(tmp_path / "roots.json", {"schedules": [schedule]})


def test_roots_are_wrapped_as_what_they_are() -> None:
    contexts = [
        RootEntry(tenant="acme", epoch=2, root=ROOT).context(),
        RootEntry(tenant="acme", epoch=1, root=ROOT).context(),
        TokenRoot(tenant="acme", version=2, root=ROOT).context(),
        TokenRoot(tenant="globex", version=2, root=ROOT).context(),
    ]
    assert contexts[0] == {"kind": "root", "tenant": "acme", "epoch": "2"}
    assert contexts[2] == {"kind": "token root", "tenant": "acme", "version": "2"}
    assert len({tuple(context.items()) for context in contexts}) == 4


def test_it_gives_what_belongs_to_a_tenant_or_a_service_in_order() -> None:
    def entry(tenant: str, epoch: int) -> RootEntry:
        return RootEntry(tenant=tenant, epoch=epoch, root=ROOT)

    def token(tenant: str, version: int) -> TokenRoot:
        return TokenRoot(tenant=tenant, version=version, root=ROOT)

    def grant(service: str, tenant: str) -> Grant:
        return Grant(service=service, tenant=tenant, file=f"{service}.json")

    file = RootFile(
        roots=(entry("acme", 3), entry("globex", 1), entry("acme", 2)),
        token_roots=(token("acme", 2), token("globex", 1), token("acme", 1)),
        grants=(grant("checkout", "acme"), grant("billing", "acme"), grant("checkout", "globex")),
    )
    assert file.epochs("acme") == [entry("acme", 2), entry("acme", 3)]
    assert file.token_versions("acme") == [token("acme", 1), token("acme", 2)]
    assert file.grants_of("checkout") == [grant("checkout", "acme"), grant("checkout", "globex")]
    ended = file.model_copy(update={"ended": (grant("checkout", "initech"), grant("audit", "acme"))})
    assert ended.ever_granted("checkout") == [*file.grants_of("checkout"), grant("checkout", "initech")]
    assert ended.grants_of("checkout") == file.grants_of("checkout")


def test_no_repr_shows_a_root() -> None:
    file = RootFile(
        roots=(
            RootEntry(tenant="acme", epoch=1, root=ROOT),
            RootEntry(tenant="a", epoch=1, wrapped_root=WRAPPED),
        ),
        token_roots=(TokenRoot(tenant="acme", version=1, root=ROOT),),
    )
    assert ROOT not in repr(file)
    assert WRAPPED not in repr(file)


def test_a_schedule_with_an_overlap_that_is_shorter_than_its_period_is_read(tmp_path: Path) -> None:
    schedule = {"tenant": "acme", "every": 90, "overlap": 89, "retire": 1}
    assert read(tmp_path / "roots.json", {"schedules": [schedule]}).schedules[0].overlap == 89
