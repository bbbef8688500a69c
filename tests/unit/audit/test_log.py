from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import interceptors
from interceptors.audit import AuditLog, Entry, parse_entry, verify
from interceptors.audit import locked as locked_module
from interceptors.audit.entry import LONGEST, START, chain_hash
from interceptors.audit.locked import locked
from interceptors.audit.log import UNSIGNED
from interceptors.audit.signed_tree import checkpoint_path, edge_path
from interceptors.errors import AuditError
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

LOGS = pytest.mark.parametrize("name", ["log", "signed"])
NOW = 1_790_000_000_000


@pytest.fixture
def named(request: pytest.FixtureRequest, name: str) -> AuditLog:
    """The log that a test is parametrized with."""
    log: AuditLog = request.getfixturevalue(name)
    return log


def entries(path: Path) -> list[Entry]:
    return [parse_entry(line) for line in path.read_bytes().splitlines()]


def refused(log: AuditLog) -> str:
    """The text with which a record is refused; what is on disk is as it was."""
    before = log.path.read_bytes() if log.path.is_file() else None
    with pytest.raises(AuditError) as raised:
        log.record("keys.rotate", tenant="acme")
    assert before == (log.path.read_bytes() if log.path.is_file() else None)
    assert f"{log.path}" in str(raised.value)
    assert "nothing is done without a record of it" in str(raised.value)
    assert raised.value.__context__ is None
    return str(raised.value)


@LOGS
def test_a_log_that_takes_records_is_checked_and_left_as_it_is(named: AuditLog) -> None:
    named.check()
    assert not named.path.exists()
    named.record("keys.rotate", tenant="acme")
    with named.path.open("ab") as file:
        file.write(b"torn")  # the next record mends it
    before = {path: path.read_bytes() for path in named.path.parent.iterdir() if path.is_file()}
    named.check()
    assert before == {path: path.read_bytes() for path in named.path.parent.iterdir() if path.is_file()}


@pytest.mark.parametrize("link", [False, True], ids=["missing folder", "dangling link"])
def test_a_log_without_a_folder_does_not_check(log: AuditLog, *, link: bool) -> None:
    elsewhere = log.path.parent / "missing" / "log"
    if link:
        log.path.symlink_to(elsewhere)
    else:
        log = AuditLog(elsewhere, actor="checkout")
    with pytest.raises(AuditError, match=r"can't be written \(No such file or directory\)"):
        log.check()


def test_a_log_in_a_folder_that_this_user_must_not_write_does_not_check(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(AuditError, match=r"can't be written \(Permission denied\)"):
        log.check()


@pytest.mark.parametrize("content", [b"no record\n", b"{}\n"])
def test_what_is_no_log_does_not_check(log: AuditLog, content: bytes) -> None:
    log.path.write_bytes(content)
    with pytest.raises(AuditError, match="not a record") as raised:
        log.check()
    assert refused(log) == str(raised.value)


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", script, *map(str, arguments)],
        # The same package as in this process, wherever that was found.
        env=os.environ | {"PYTHONPATH": str(Path(interceptors.__file__).parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_a_record_is_on_disk_before_the_act(log: AuditLog) -> None:
    assert not log.path.exists()
    first = log.record("keys.root", tenant="acme", epoch=1)
    second = log.record("keys.grant", reads=["checkout", "billing"], replaced=False)
    assert entries(log.path) == [first, second]
    assert first == Entry(0, NOW, "key-administration", "keys.root", {"tenant": "acme", "epoch": 1}, START)
    assert (second.sequence, second.time, second.previous) == (1, NOW + 1, chain_hash(first.line()))
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_details_may_have_any_name(log: AuditLog) -> None:
    assert log.record("keys.rotate", self="a", action="b").details == {"self": "a", "action": "b"}


def test_an_act_that_is_done_is_one_record(log: AuditLog) -> None:
    with log.act("token.resolve", tenant="acme") as entry:
        assert entries(log.path) == [entry]
    assert entries(log.path) == [entry]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_act_that_has_failed_is_recorded_as_such(log: AuditLog, kind: type[BaseException]) -> None:
    raised = kind("a secret that is not to be on record")
    with pytest.raises(kind) as caught, log.act("token.resolve", tenant="acme"):
        raise raised
    assert caught.value is raised
    before, after = entries(log.path)
    assert (before.outcome, after.outcome) == (None, "failed")
    assert after.action == "token.resolve"
    assert after.details == {"record": 0, "error": kind.__name__}
    assert b"secret" not in log.path.read_bytes()


def test_where_the_failure_can_not_be_recorded_it_comes_through_and_says_so(log: AuditLog) -> None:
    def act() -> None:
        with log.act("token.resolve"):
            log.path.write_bytes(b"no record\n")
            raise ValueError("the act's own")

    with pytest.raises(ValueError, match="the act's own") as caught:
        act()
    assert "nothing is done without a record" in caught.value.__notes__[0]


def test_an_act_that_can_not_be_recorded_is_not_done(tmp_path: Path) -> None:
    done: list[str] = []
    with pytest.raises(AuditError), AuditLog(tmp_path / "none" / "log", actor="a").act("keys.root"):
        done.append("keys.root")
    assert done == []


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none/audit.jsonl", "No such file or directory"),
        (".", "Is a directory"),
        ("/dev/full", "no ordinary file"),
        ("/dev/null", "no ordinary file"),
        ("a\0b", "not a path"),
    ],
)
def test_what_is_no_place_for_a_log(tmp_path: Path, path: str, problem: str) -> None:
    assert problem in refused(AuditLog(tmp_path / path, actor="a"))


def test_a_record_without_a_canonical_form_is_refused(log: AuditLog) -> None:
    with pytest.raises(AuditError, match=r"details\.name: not a text"):
        log.record("keys.root", name="half \ud83d")
    assert log.path.read_bytes() == b""


@LOGS
def test_a_full_disk_refuses_the_act_and_leaves_the_log_as_it_was(named: AuditLog, key: SigningKey) -> None:
    named.record("keys.root")
    script = """if True:
        import resource, signal, sys
        from interceptors.audit import AuditLog
        from interceptors.errors import AuditError
        size = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            AuditLog(sys.argv[1], actor="a").record("keys.rotate", text="x" * size)
        except AuditError as error:
            print(error)
    """
    before = named.path.read_bytes()
    assert "File too large" in finish(run(script, named.path, len(before) + 20))
    assert named.path.read_bytes() == before
    assert named.record("keys.rotate").sequence == 1
    assert verify(named.path, keys=[key.public] * (checkpoint_path(named.path).exists())).holds


@LOGS
@pytest.mark.parametrize("records", [0, 1])
def test_what_the_disk_has_not_taken_is_not_recorded(
    named: AuditLog, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for _ in range(records):
        named.record("keys.root")
    named.path.touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        assert "can't be written (Input/output error)" in refused(named)
    assert named.record("keys.rotate").sequence == records


def test_a_checkpoint_that_can_not_be_written_refuses_the_act(signed: AuditLog, key: SigningKey) -> None:
    signed.record("keys.root")
    edge_path(signed.path).unlink()
    edge_path(signed.path).mkdir()
    assert "Is a directory" in refused(signed)
    edge_path(signed.path).rmdir()
    assert signed.record("keys.rotate").sequence == 1
    assert verify(signed.path, keys=[key.public]).holds


@LOGS
@pytest.mark.parametrize("records", [0, 1, 3])
def test_a_line_that_a_crash_has_torn_is_taken_away_on_record(
    named: AuditLog, records: int, key: SigningKey
) -> None:
    for _ in range(records):
        named.record("keys.rotate")
    with named.path.open("ab") as file:
        file.write(b'{"action":"token.res')
    assert named.record("keys.revoke").sequence == records + 1
    *_, repair, last = entries(named.path)
    assert (repair.action, repair.details, last.action) == ("audit.repair", {"bytes": 20}, "keys.revoke")
    assert verify(named.path, keys=[key.public] * (checkpoint_path(named.path).exists())).holds


@LOGS
def test_a_log_that_does_not_hold_at_its_end_is_not_appended_to(named: AuditLog) -> None:
    for _ in range(3):
        named.record("keys.rotate", tenant="acme")
    good = named.path.read_bytes()
    first, second, third = good.splitlines(keepends=True)
    for bad in (
        good + b"no record\n",
        good + b"\n",
        good + bytes(10) + b"\n",
        first + second.replace(b"acme", b"evil") + third,
        first + third,
        good + third,
        second,
        good + b"x" * (LONGEST + 1),
        b"x" * 5 * LONGEST,
        good + b"x" * 5 * LONGEST + b"\n",
    ):
        named.path.write_bytes(bad)
        refused(named)
    named.path.write_bytes(good)
    assert named.record("keys.rotate").sequence == 3


def test_only_the_end_of_a_log_is_looked_at(log: AuditLog) -> None:
    """Else an append would take the longer the longer the log is; `verify` finds the rest."""
    for _ in range(4):
        log.record("keys.rotate", tenant="acme")
    log.path.write_bytes(log.path.read_bytes().replace(b"acme", b"evil", 1))
    assert log.record("keys.rotate").sequence == 4
    assert not verify(log.path).holds


def test_lines_of_the_greatest_length_follow_one_another(signed: AuditLog, key: SigningKey) -> None:
    room = LONGEST - len(signed.record("a", text="").line())
    for _ in range(3):
        signed.record("a", text="x" * (room - 300))
    with signed.path.open("ab") as file:
        file.write(b"x" * LONGEST)
    assert signed.record("a").sequence == 5
    assert verify(signed.path, keys=[key.public]).holds


def test_threads_append_one_after_the_other(signed: AuditLog, key: SigningKey) -> None:
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda number: signed.record("keys.rotate", number=number), range(80)))
    assert sorted(entry.sequence for entry in given) == list(range(80))
    assert sorted(given, key=lambda entry: entry.sequence) == entries(signed.path)
    assert verify(signed.path, keys=[key.public]).holds


def test_processes_append_one_after_the_other(signed: AuditLog, key: SigningKey) -> None:
    script = """if True:
        import sys
        from interceptors.audit import AuditLog
        from interceptors.signatures import SigningKey
        log = AuditLog(sys.argv[1], actor=sys.argv[2], key=SigningKey(bytes(range(32))))
        for number in range(25):
            log.record("keys.rotate", number=number)
    """
    processes = [run(script, signed.path, actor) for actor in ("a", "b", "c")]
    for process in processes:
        finish(process)
    found = verify(signed.path, keys=[key.public])
    assert (found.records, found.signed, found.findings) == (75, 75, ())
    for actor in ("a", "b", "c"):
        numbers = [entry.details["number"] for entry in entries(signed.path) if entry.actor == actor]
        assert numbers == list(range(25))


def test_a_forked_child_neither_keeps_the_lock_nor_breaks_the_chain(path: Path, key: SigningKey) -> None:
    """The child is forked while its parent appends, and outlives that append with the file open."""
    script = """if True:
        import os, sys
        from interceptors.audit import AuditLog
        from interceptors.audit.locked import locked
        from interceptors.signatures import SigningKey
        log = AuditLog(sys.argv[1], actor="a", key=SigningKey(bytes(range(32))))
        log.record("keys.root")
        waits, goes = os.pipe()
        with locked(log.path, write=True):
            child = os.fork()
            if not child:
                os.read(waits, 1)
                log.record("keys.rotate", child=True)
                os._exit(0)
        log.record("keys.rotate", child=False)
        os.write(goes, b"x")
        assert os.waitpid(child, 0)[1] == 0
        log.record("keys.rotate", child=False)
    """
    finish(run(script, path))
    assert [entry.details.get("child") for entry in entries(path)] == [None, False, True, False]
    assert verify(path, keys=[key.public]).holds


def test_whoever_keeps_the_lock_for_too_long_refuses_the_act(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record("keys.root")
    monkeypatch.setattr(locked_module, "WAIT_S", 0.05)
    with log.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert "locked by another process" in refused(log)
        with locked(log.path, write=False) as other:
            assert other.read() == log.path.read_bytes()
    assert log.record("keys.rotate").sequence == 1


def test_an_append_waits_for_the_one_before_it(log: AuditLog) -> None:
    log.record("keys.root")
    begun = threading.Event()

    def append() -> Entry:
        begun.set()
        return log.record("keys.rotate")

    with ThreadPoolExecutor(1) as pool:
        with locked(log.path, write=True):
            future = pool.submit(append)
            assert begun.wait(10)
            assert not future.done()
        assert future.result(10).sequence == 1


def test_each_record_has_its_checkpoint(signed: AuditLog, key: SigningKey) -> None:
    for size in range(1, 10):
        signed.record("keys.rotate")
        found = verify(signed.path, keys=[key.public])
        assert (found.records, found.signed, found.findings) == (size, size, ())
    for beside in (checkpoint_path(signed.path), edge_path(signed.path)):
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_without_a_key_there_is_nothing_beside_the_log(log: AuditLog) -> None:
    log.record("keys.root")
    assert list(log.path.parent.iterdir()) == [log.path]


def test_a_signer_takes_up_what_was_written_without_a_key(
    log: AuditLog, signed: AuditLog, key: SigningKey
) -> None:
    for writer in (log, log, signed, log, log, log, signed):
        writer.record("keys.rotate")
    found = verify(signed.path, keys=[key.public])
    assert (found.records, found.signed, found.findings) == (8, 8, ())
    (note,) = [entry for entry in entries(signed.path) if entry.action == UNSIGNED]
    assert (note.sequence, note.details) == (2, {"records": 2})


def test_a_checkpoint_that_was_taken_away_is_on_record(signed: AuditLog, key: SigningKey) -> None:
    for _ in range(4):
        signed.record("keys.rotate")
    checkpoint_path(signed.path).unlink()
    signed.path.write_bytes(b"".join(signed.path.read_bytes().splitlines(keepends=True)[:2]))
    signed.record("keys.revoke")
    assert verify(signed.path, keys=[key.public]).holds
    *_, note, last = entries(signed.path)
    assert (note.action, note.details, last.action) == (UNSIGNED, {"records": 2}, "keys.revoke")


def lying(form: dict[str, Any]) -> dict[str, Any]:
    return form | {"bytes": form["bytes"] // 2}


@pytest.mark.parametrize(
    "alter",
    [
        lambda _: None,
        lambda _: b"",
        lambda _: b"no JSON",
        lambda _: b"[]",
        lambda _: b"[" * 100_000,
        lambda _: b'{"edge":["00"],"bytes":1}',
        lambda content: json.dumps(lying(json.loads(content))).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": 0}).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": 1 << 40}).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": -1}).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": 10**30}).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": float("inf")}).encode(),
        lambda content: json.dumps(json.loads(content) | {"bytes": "many"}).encode(),
        lambda content: json.dumps(json.loads(content) | {"edge": [7]}).encode(),
        lambda content: json.dumps(json.loads(content) | {"edge": []}).encode(),
    ],
    ids=range(15),
)
def test_an_edge_that_does_not_fit_is_made_anew(
    signed: AuditLog, key: SigningKey, alter: Callable[[bytes], bytes | None]
) -> None:
    for _ in range(5):
        signed.record("keys.rotate")
    edge = edge_path(signed.path)
    content = alter(edge.read_bytes())
    edge.unlink()
    if content is not None:
        edge.write_bytes(content)
    signed.record("keys.rotate")
    found = verify(signed.path, keys=[key.public])
    assert (found.records, found.signed, found.findings) == (6, 6, ())
    assert json.loads(edge.read_bytes())["bytes"] == signed.path.stat().st_size


def test_an_edge_of_before_is_caught_up(signed: AuditLog, key: SigningKey) -> None:
    """As after a crash between the record and its checkpoint."""
    signed.record("keys.root")
    before = {path: path.read_bytes() for path in (checkpoint_path(signed.path), edge_path(signed.path))}
    signed.record("keys.rotate")
    for path, content in before.items():
        path.write_bytes(content)
    signed.record("keys.rotate")
    assert verify(signed.path, keys=[key.public]).signed == 3


@pytest.mark.parametrize("with_edge", [True, False])
def test_a_log_that_was_cut_since_its_checkpoint_is_not_appended_to(
    signed: AuditLog, *, with_edge: bool
) -> None:
    for _ in range(5):
        signed.record("keys.rotate")
    if not with_edge:
        edge_path(signed.path).unlink()
    lines = signed.path.read_bytes().splitlines(keepends=True)
    for kept in (4, 1, 0):
        signed.path.write_bytes(b"".join(lines[:kept]))
        assert f"it has {kept} records, and its checkpoint was made of 5: it was cut off" in refused(signed)


def test_a_log_that_was_written_anew_is_not_appended_to(log: AuditLog, signed: AuditLog) -> None:
    for _ in range(3):
        signed.record("keys.rotate")
    for beside in (b"", None):
        signed.path.unlink()
        for _ in range(4):
            log.record("keys.rotate")
        edge_path(signed.path).write_bytes(b"") if beside is not None else edge_path(signed.path).unlink()
        assert "its first 3 records are not those that its checkpoint was made of" in refused(signed)


def test_a_tree_is_not_made_of_a_log_that_does_not_hold(signed: AuditLog) -> None:
    for _ in range(4):
        signed.record("keys.rotate", tenant="acme")
    signed.path.write_bytes(signed.path.read_bytes().replace(b"acme", b"evil", 1))
    edge_path(signed.path).unlink()
    assert "line 2, at byte" in refused(signed)


def test_a_forged_checkpoint_is_not_built_upon(signed: AuditLog) -> None:
    signed.record("keys.rotate")
    beside = checkpoint_path(signed.path)
    good = beside.read_bytes()
    for bad in (b"", b"no checkpoint", good.replace(b"\n1\n", b"\n0\n")):
        beside.write_bytes(bad)
        assert f"{beside}" in refused(signed)


def test_another_key_goes_on_where_the_former_has_stopped(
    path: Path, signed: AuditLog, key: SigningKey
) -> None:
    for _ in range(3):
        signed.record("keys.rotate")
    other = SigningKey(bytes(32))
    former = checkpoint_path(path).rename(path.with_name("former"))
    checkpoint_path(path).write_bytes(former.read_bytes())
    assert AuditLog(path, actor="another", key=other).record("keys.rotate").sequence == 4
    assert entries(path)[3].action == UNSIGNED
    assert verify(path, [former], [key.public, other.public]).holds
    signed.path.write_bytes(b"".join(signed.path.read_bytes().splitlines(keepends=True)[:2]))
    refused(signed)


def test_a_number_that_the_records_before_do_not_reach(path: Path, key: SigningKey) -> None:
    """A log whose first line is not the first record; without a key, its end alone is looked at."""
    path.write_bytes(Entry(7, NOW, "a", "b", {}, START).line() + b"\n")
    for signing in (None, key):
        with pytest.raises(AuditError):
            AuditLog(path, actor="a", key=signing).record("a")


def test_a_log_shows_no_key(signed: AuditLog) -> None:
    assert bytes(range(32)).hex() not in repr(vars(signed))


def test_a_log_that_is_replaced_while_it_is_waited_for_is_not_written_to(
    log: AuditLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record("keys.root")
    lock = locked_module._lock

    def replaced(*arguments: Any) -> None:
        lock(*arguments)
        (tmp_path / "other").write_bytes(log.path.read_bytes())
        (tmp_path / "other").replace(log.path)

    with monkeypatch.context() as patched:
        patched.setattr(locked_module, "_lock", replaced)
        assert "replaced by another file" in refused(log)
    assert log.record("keys.root").sequence == 1


def test_a_log_that_was_removed_while_it_is_waited_for_is_not_written_to(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_module, "_lock", lambda *_: log.path.unlink())
    assert "No such file" in refused(log)


@pytest.mark.parametrize("write", [True, False])
def test_a_pipe_is_no_log_and_is_not_waited_for(tmp_path: Path, *, write: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AuditError, match="no ordinary file"), locked(tmp_path / "pipe", write=write):
        pass
