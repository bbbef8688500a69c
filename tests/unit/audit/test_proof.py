from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.audit import AuditLog, check_proof, parse_entry, prove
from interceptors.audit.signed_tree import checkpoint_path
from interceptors.errors import AuditError
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 7


@pytest.fixture
def filled(signed: AuditLog) -> AuditLog:
    for number in range(RECORDS):
        signed.record("token.resolve", number=number)
    return signed


def test_each_record_is_proved_without_the_others(filled: AuditLog, key: SigningKey) -> None:
    for number in range(RECORDS):
        line, proof = prove(filled.path, number)
        assert check_proof(proof, line, [key.public]).details == {"number": number}
        assert proof.startswith(f"c2sp.org/tlog-proof@v1\nindex {number}\n".encode())
        assert proof.endswith(b"\n\n" + checkpoint_path(filled.path).read_bytes())
        assert b"token.resolve" not in proof


def test_a_proof_under_an_older_checkpoint(filled: AuditLog, key: SigningKey, tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.write_bytes(checkpoint_path(filled.path).read_bytes())
    filled.record("keys.rotate")
    line, proof = prove(filled.path, 2, older)
    assert check_proof(proof, line, [key.public]) == parse_entry(line)
    with pytest.raises(AuditError, match=f"record {RECORDS} is not among those that {older} was made of"):
        prove(filled.path, RECORDS, older)


def test_what_a_proof_does_not_prove(filled: AuditLog, key: SigningKey) -> None:
    line, proof = prove(filled.path, 3)
    other_line, other = prove(filled.path, 4)
    hash_ = proof.splitlines(keepends=True)[2]
    for wrong, of, keys, reason in (
        (proof, other_line, [key.public], "not of this record"),
        (other, line, [key.public], "not of this record"),
        (proof.replace(b"index 3", b"index 2"), line, [key.public], "not of this record"),
        (proof.replace(b"index 3", b"index 7"), line, [key.public], "not of this record"),
        (proof.replace(hash_, b""), line, [key.public], "not of this record"),
        (proof.replace(hash_, hash_ * 2), line, [key.public], "not of this record"),
        (proof, line, [SigningKey(bytes(32)).public], "signed by none of the keys"),
        (proof.replace(b"\n7\n", b"\n6\n"), line, [key.public], "not a signature by the key"),
        (proof.replace(b"index 3", b"index 03"), line, [key.public], "not a proof"),
        (proof.replace(b"proof@v1", b"proof@v2"), line, [key.public], "not a proof"),
        (b"\xff", line, [key.public], "not a proof"),
        (b"", line, [key.public], "not a proof"),
    ):
        with pytest.raises(AuditError, match=reason):
            check_proof(wrong, of, keys)


def test_extra_data_is_passed_over(filled: AuditLog, key: SigningKey) -> None:
    line, proof = prove(filled.path, 3)
    extra = proof.replace(b"\nindex", b"\nextra YWJj\nindex", 1)
    assert check_proof(extra, line, [key.public]) == parse_entry(line)


def test_no_proof_is_made_of_what_does_not_hold(filled: AuditLog, tmp_path: Path) -> None:
    good = filled.path.read_bytes()
    filled.path.write_bytes(good.replace(b'"number":2', b'"number":9'))
    with pytest.raises(AuditError, match="line 4, at byte"):
        prove(filled.path, 0)
    filled.path.write_bytes(good.replace(b'"number":6', b'"number":9'))
    with pytest.raises(AuditError, match="is not among those"):
        prove(filled.path, 0)
    with pytest.raises(AuditError, match="can't be read"):
        prove(tmp_path / "none", 0)
    checkpoint_path(filled.path).write_bytes(b"no checkpoint")
    with pytest.raises(AuditError, match="not a signed note"):
        prove(filled.path, 0)
