from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError
from interceptors.keys.key_file import KeyringFile, read_key_file, write_key_file
from interceptors.keys.root_file import Grant, RootEntry, RootFile, TokenRoot
from interceptors.keys.root_store import RootStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.audit import AuditLog


@pytest.fixture
def open_store(tmp_path: Path, wrapping: Any, audit: AuditLog) -> Callable[..., RootStore]:
    """Opens `roots.json`."""

    def open_(path: Path = tmp_path / "roots.json", now: float = 1000.9) -> RootStore:
        return RootStore(path, wrappers=wrapping, audit=audit, clock=lambda: now)

    return open_


@pytest.fixture
def store(open_store: Callable[..., RootStore]) -> RootStore:
    """A file in which `acme` has two epochs, and `checkout` and `billing` have grants."""
    store = open_store()
    store.save(
        roots=(
            store.new(RootEntry, tenant="acme", epoch=2),
            store.new(RootEntry, tenant="acme", epoch=1, use="seal"),
            store.new(RootEntry, tenant="globex", epoch=1, use="seal"),
        ),
        grants=tuple(
            Grant(service=service, tenant=tenant, file=f"{service}.json")
            for service, tenant in (("checkout", "acme"), ("billing", "acme"), ("search", "globex"))
        ),
    )
    return store


def test_a_new_store_is_empty_and_makes_its_folder_when_it_is_saved(
    tmp_path: Path, open_store: Callable[..., RootStore]
) -> None:
    path = tmp_path / "new" / "roots.json"
    store = open_store(path)
    with store.locked():  # there is no folder to lock yet
        assert store.file == RootFile()
        store.save(revoked=("00" * 16,))
    assert open_store(path).file.revoked == ("00" * 16,)


def test_who_locks_it_sees_what_was_saved_before_and_may_lock_again(
    store: RootStore, open_store: Callable[..., RootStore], in_thread: Callable[..., Any]
) -> None:
    other = open_store()
    waiting = threading.Event()

    def change() -> int:
        waiting.set()
        with other.locked():
            return len(other.file.revoked)

    with store.locked():
        with store.locked():
            seen = in_thread(change)
            assert waiting.wait(30)
        store.save(revoked=("00" * 16,))
        assert not seen.done()
    assert seen.result(30) == 1


def raise_in(store: RootStore) -> None:
    with store.locked():
        raise ZeroDivisionError


def test_the_lock_is_given_up_where_the_body_raises(
    store: RootStore, open_store: Callable[..., RootStore], in_thread: Callable[..., Any]
) -> None:
    with pytest.raises(ZeroDivisionError):
        raise_in(store)
    other = open_store()

    def change() -> None:
        with other.locked():
            other.save(revoked=("00" * 16,))

    in_thread(change).result(30)
    with store.locked():
        assert store.file.revoked == ("00" * 16,)


def test_a_folder_that_can_not_be_opened_is_named(store: RootStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with (
        pytest.raises(ConfigurationError, match=r"roots\.json: can't be read \(Permission denied\)"),
        store.locked(),
    ):
        pass


def test_what_is_done_is_recorded_before_and_as_failed_after(
    store: RootStore, recorded: Callable[[], Any]
) -> None:
    seen = []

    def act() -> None:
        with store.act("keys.test", tenant="acme"):
            seen.extend(recorded())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert seen == [("keys.test", {"tenant": "acme"})]
    assert recorded()[1:] == [("keys.test", {"record": 0, "error": "ZeroDivisionError"})]


def test_without_a_log_nothing_is_recorded(tmp_path: Path, wrapping: Any) -> None:
    store = RootStore(tmp_path / "roots.json", wrappers=wrapping, audit=None, clock=lambda: 0)
    with store.act("keys.test"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_root_is_random_dated_and_of_a_name_that_can_be_one(store: RootStore) -> None:
    first, second = (store.new(RootEntry, tenant="acme", epoch=9) for _ in range(2))
    assert len(store.secret(first)) == 32
    assert store.secret(first) != store.secret(second)
    assert first.created == 1000
    with pytest.raises(ConfigurationError, match="root: tenant: empty; give another name"):
        store.new(TokenRoot, tenant="", version=1)


def test_ages_are_of_what_has_a_date(open_store: Callable[..., RootStore]) -> None:
    store = open_store(now=1500)
    assert store.age(RootEntry(tenant="acme", epoch=1, root="5e" * 32, created=1000)) == 500
    assert store.age(RootEntry(tenant="acme", epoch=1, root="5e" * 32)) is None


def test_the_roots_of_a_wrapped_file_are_wrapped_and_unwrapped_once(
    open_store: Callable[..., RootStore], wrapping: Any
) -> None:
    store = open_store()
    store.save(wrapping="fake:roots")
    store.save(roots=(store.new(RootEntry, tenant="acme", epoch=1, use="seal"),))
    again = open_store()
    (root,) = again.file.roots
    assert root.root is None
    assert again.secret(root) == again.secret(root) == store.secret(root)
    assert wrapping.unwraps == 2  # once in each store
    assert wrapping.uris == ["fake:roots", "fake:roots"]


def test_a_wrapped_root_of_a_file_that_does_not_say_by_what_is_refused(store: RootStore) -> None:
    hidden = store.hide(store.file.roots[0], bytes(32), "fake:roots")
    with pytest.raises(ConfigurationError, match="the root is wrapped; give what unwraps it"):
        store.secret(hidden)


def test_a_wrapped_root_does_not_go_for_another_one(store: RootStore) -> None:
    store.save(wrapping="fake:roots")
    hidden = store.new(RootEntry, tenant="acme", epoch=1)
    with pytest.raises(KeyProviderError) as raised:
        store.secret(hidden.model_copy(update={"tenant": "globex"}))
    assert raised.value.problem is KeyProblem.DENIED


def test_it_knows_files_by_service_and_tenant(store: RootStore, tmp_path: Path) -> None:
    assert store.files() == {name: tmp_path / f"{name}.json" for name in ("checkout", "billing", "search")}
    assert set(store.files(["acme"])) == {"checkout", "billing"}
    assert store.files(["initech"]) == {}


def test_a_tenant_without_roots_is_pointed_to_the_command(store: RootStore) -> None:
    assert [root.epoch for root in store.need("acme")] == [1, 2]
    with pytest.raises(ConfigurationError, match="make one: interceptors keys root initech"):
        store.need("initech")


@pytest.mark.parametrize("what", ["root", "token root"])
def test_where_the_roots_file_is_missing_it_says_so(
    open_store: Callable[..., RootStore], tmp_path: Path, what: str
) -> None:
    text = str(open_store(tmp_path / "elsewhere.json").lacks("acme", what))
    assert text == (
        f"{tmp_path / 'elsewhere.json'}: there is no such file; name the administration's with --roots, "
        f"or make one: interceptors keys root acme"
    )


def test_a_token_root_that_is_lacking_is_pointed_to_its_command(store: RootStore) -> None:
    text = str(store.lacks("acme", "token root"))
    assert text.endswith("'acme' has no token root; make one: interceptors keys token-root acme")


@pytest.mark.parametrize("content", ["", '{"roots": [{'], ids=["empty", "cut off"])
def test_a_broken_roots_file_is_to_be_restored(
    open_store: Callable[..., RootStore], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="not a roots file: not JSON; restore the file from a back"):
        open_store(path)


def test_key_files_are_wrapped_where_the_service_s_are_and_listed_without_unwrapping(
    store: RootStore, tmp_path: Path, wrapping: Any
) -> None:
    grants = [
        g.model_copy(update={"wrapping": "fake:a"}) if g.service == "checkout" else g
        for g in store.file.grants
    ]
    store.save(grants=tuple(grants))
    store.write(store.files())
    plain, wrapped = (
        read_key_file(tmp_path / f"{name}.json", KeyringFile) for name in ("billing", "checkout")
    )
    assert (plain.wrapping, wrapped.wrapping) == (None, "fake:a")
    assert all(key.sender_key for key in plain.keys)
    assert all(key.wrapped_key and not key.sender_key for key in wrapped.keys)
    wrapping.away = True
    assert {line.kid for line in store.lines()} >= {key.kid for key in wrapped.keys}
    assert store.lines() == sorted(store.lines())


def test_a_keyring_may_be_of_another_state_and_of_nobody(store: RootStore) -> None:
    assert store.keyring("checkout", RootFile()).keys == ()
    assert len(store.keyring("checkout").keys) == 2


def test_a_wrapping_key_that_is_away_costs_only_the_files_it_wraps(
    store: RootStore, tmp_path: Path, wrapping: Any
) -> None:
    grants = [
        g.model_copy(update={"wrapping": "fake:a"}) if g.service == "checkout" else g
        for g in store.file.grants
    ]
    store.save(grants=tuple(grants))
    wrapping.away = True
    with pytest.raises(
        ConfigurationError, match=r"can't be reached\. The other key files are written.*keys write"
    ):
        store.write(store.files())
    assert {path.name for path in tmp_path.glob("*.json")} == {"roots.json", "billing.json", "search.json"}


def test_when_all_files_of_a_tenant_are_written_that_is_noted_once(
    open_store: Callable[..., RootStore], store: RootStore
) -> None:
    store.settle("acme")
    noted = {(root.tenant, root.epoch): root.written for root in store.file.roots}
    assert noted == {("acme", 1): None, ("acme", 2): 1000, ("globex", 1): None}
    content = store.path.stat().st_ino
    later = open_store(now=2000)
    later.settle("acme", "globex")
    assert later.path.stat().st_ino == content


def test_what_was_not_written_is_not_noted(store: RootStore, tmp_path: Path) -> None:
    (tmp_path / "checkout.json").mkdir()
    with pytest.raises(ConfigurationError, match="can't be written"):
        store.settle("acme")
    assert [root.written for root in store.file.roots] == [None, None, None]


def test_key_files_that_a_change_has_not_reached_are_known_until_they_are_written(
    open_store: Callable[..., RootStore],
    store: RootStore,
    tmp_path: Path,
    recorded: Callable[[], list[tuple[str, dict[str, Any]]]],
) -> None:
    files = store.files(["acme"])
    store.save(files, revoked=("00" * 16,))
    later = open_store()
    assert later.unwritten() == files
    (tmp_path / "billing.json").mkdir()
    with pytest.raises(ConfigurationError, match=r"billing\.json: can't be written"):
        later.write(files)
    assert open_store().unwritten() == {"billing": tmp_path / "billing.json"}
    (tmp_path / "billing.json").rmdir()
    later.make_up()
    later.make_up()  # there is nothing any more
    assert open_store().unwritten() == {}
    assert recorded() == [("keys.write", {"services": ["billing"]})]
    assert read_key_file(tmp_path / "billing.json", KeyringFile).service == "billing"


def test_a_key_file_that_was_not_emptied_is_unless_it_is_anothers_by_now(
    store: RootStore, tmp_path: Path
) -> None:
    store.save(
        {"gone": tmp_path / "gone.json", "moved": tmp_path / "search.json"},
        grants=store.file.grants,
    )
    assert store.unwritten() == {"gone": tmp_path / "gone.json"}
    store.make_up()
    assert read_key_file(tmp_path / "gone.json", KeyringFile).keys == ()
    assert not (tmp_path / "search.json").exists()


def test_a_file_that_is_not_written_is_as_before(store: RootStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.file
    content = store.path.read_text()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(ConfigurationError, match="No space left"):
        store.save(revoked=("00" * 16,))
    assert (store.file, store.path.read_text()) == (before, content)


def test_a_file_that_others_can_read_is_refused(open_store: Callable[..., RootStore], tmp_path: Path) -> None:
    write_key_file(tmp_path / "roots.json", RootFile())
    (tmp_path / "roots.json").chmod(0o644)
    with pytest.raises(ConfigurationError, match="others can read"):
        open_store()


def test_no_repr_shows_a_root(store: RootStore) -> None:
    secrets = [root["root"] for root in json.loads(store.path.read_text())["roots"]]
    assert not [secret for secret in secrets if secret in repr((store, store.file, store.lines()))]


def test_a_folder_that_can_not_be_looked_into_is_no_folder_without_roots(
    open_store: Callable[..., RootStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.exists", refuse)
    with pytest.raises(ConfigurationError, match="can't be read"):
        open_store()


def test_a_folder_that_can_not_be_locked_is_named(store: RootStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("interceptors.keys.root_store.fcntl.flock", refuse)
    with pytest.raises(ConfigurationError, match=r"roots\.json: its folder can't be locked"), store.locked():
        pass


def test_a_key_file_is_handed_out_after_its_grant_or_nothing_changes(
    store: RootStore, open_store: Callable[..., RootStore], tmp_path: Path
) -> None:
    (tmp_path / "billing.json").mkdir()
    former = store.file
    more = [grant.model_copy(update={"reads": ("search",)}) for grant in former.grants]

    with pytest.raises(ConfigurationError, match=r"billing\.json: can't be written"):
        store.hand_out("billing", tmp_path / "billing.json", more, ())
    assert store.file == former == open_store().file

    store.save({"billing": tmp_path / "billing.json"})
    store.hand_out("checkout", tmp_path / "checkout.json", more, more[:1])
    assert (store.file.grants, store.file.ended) == (tuple(more), tuple(more[:1]))
    assert store.file == open_store().file
    assert store.unwritten() == {"billing": tmp_path / "billing.json"}
    assert {key.sender for key in read_key_file(tmp_path / "checkout.json", KeyringFile).keys} == {
        "checkout",
        "search",
    }


def test_a_link_of_another_user_leads_to_no_roots(
    open_store: Callable[..., RootStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("roots.json")

    def refuse(_: Path) -> Path:
        raise PermissionError(1, "a symbolic link that another user has made")

    monkeypatch.setattr("interceptors.keys.root_store.followed", refuse)
    with pytest.raises(ConfigurationError, match=r"another user has made.*name the file itself"):
        open_store(tmp_path / "link")
