from __future__ import annotations

import base64
import gzip
import random
import re
import uuid
import zlib

import pytest

from interceptors.scan.engines import best_engine
from interceptors.scan.formats.encoded import ENCODED, Encoded, runs
from interceptors.scan.scanner import Scanner

TEXT = b'{"email": "user@example.com", "note": "b\xc3\xa9b\xc3\xa9 ~~~ ???"}'


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner([], best_engine(), encoded=ENCODED)


def held(scanner: Scanner, data: bytes) -> list[bytes]:
    """What is encoded in some bytes."""
    return [Encoded(data[start:end]).data for start, end in runs(data, scanner.scan(data).encoded)]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        b"[1, 2, 3, 4, 5, 6, 7, 8, 9]",
        b'{\n\t"email": "user@example.com"\n}',
        b"<?xml version='1.0'?><a/>",
        b"plain text of some length",
        b'["\xf0\x9f\x98\x80 and so on, and so forth"]',
        gzip.compress(TEXT, mtime=0),
        *(zlib.compress(TEXT, level) for level in (1, 5, 6, 9)),
    ],
)
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padding", [b"=", b""])
@pytest.mark.parametrize(
    "around", [(b"", b""), (b'{"p": "', b'"}'), (b"data:x;base64,", b"\n"), (b"a=", b"&b")]
)
def test_what_holds_a_text_is_found(
    scanner: Scanner, text: bytes, encode: type[bytes], padding: bytes, around: tuple[bytes, bytes]
) -> None:
    run = encode(text)
    data = (run if padding else run.rstrip(b"=")).join(around)

    assert held(scanner, data) == [text]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2hvcnQgdGV4dA==",
        str(uuid.UUID(int=0x61626364_6566_6768_696A_6B6C6D6E6F70)).encode(),
        b"0123456789abcdef" * 4,
        b"averylongwordwithoutanyspaceinit",
        b"/usr/local/share-of/some_thing/in/a/path",
        base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)),
        base64.b64encode(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" * 4),
        base64.b64encode(b"text at first, then\x00\x01\x02\x03 bytes"),
        base64.b64encode(b"text at first, then \xff\xfe bytes..."),
    ],
)
def test_what_holds_none_is_not(scanner: Scanner, data: bytes) -> None:
    assert held(scanner, data) == []


def test_random_bytes_hold_no_text_and_hardly_a_trigger(scanner: Scanner) -> None:
    source = random.Random(5)
    clean = b" ".join(
        run
        for _ in range(1000)
        for run in (base64.b64encode(source.randbytes(48)), source.randbytes(32).hex().encode())
    )

    assert held(scanner, clean) == []
    assert len(scanner.scan(clean).encoded) < 100


def test_a_long_run_is_one(scanner: Scanner) -> None:
    text = b"some text, " * 20_000

    assert held(scanner, b'"' + base64.b64encode(text) + b'"') == [text]


def test_each_line_is_a_run(scanner: Scanner) -> None:
    text = b"some text, " * 20

    assert b"".join(held(scanner, base64.encodebytes(text))) == text


def test_a_character_cut_in_two_is_still_text(scanner: Scanner) -> None:
    text = b"a" * 47 + "\u20ac".encode() * 10

    assert held(scanner, base64.b64encode(text)) == [text]


def test_a_character_too_many_is_passed_over() -> None:
    assert Encoded(base64.b64encode(b"abcdef") + b"A").data == b"abcdef"


@pytest.mark.parametrize("run", [b"+/+/YWI=", b"-_-_YWI=", b"+/+/YWI", b"-_-_YWI"])
def test_other_bytes_are_encoded_alike(run: bytes) -> None:
    encoded = Encoded(run)

    assert encoded.packed(encoded.data) == run
    assert re.fullmatch(rb"[A-Za-z0-9_/+-]+=?=?", encoded.packed(b"other\xff"))


def test_bytes_know_the_characters_that_hold_them() -> None:
    text = TEXT[:40]
    run = base64.b64encode(text)
    encoded = Encoded(run)
    start, end = text.index(b"user"), text.index(b".com")

    begin, stop = encoded.origin(start, end)

    assert text[start:end] in base64.b64decode(run[begin:stop])
    assert stop - begin <= (end - start + 4) // 3 * 4 + 4
    assert encoded.origin(0, len(text)) == (0, len(run))
