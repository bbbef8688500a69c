from __future__ import annotations

import gzip
import json

import msgpack
import pytest

from interceptors.scan import Paths, Treatment, Unscanned, fields

PATHS = Paths(["$.name"])
BODY = b'{"name": "Jo", "id": 1}'
MASKED = b'{"name": "**", "id": 1}'


def mask(places: tuple[int, ...]) -> tuple[Treatment, int]:
    return Treatment.MASK, places[0]


def masked(body: bytes) -> bytes | None:
    return fields(body, PATHS).replaced(mask, lambda _place, _text: None)


def test_a_field_of_json_is_replaced() -> None:
    assert masked(BODY) == MASKED
    assert fields(BODY, PATHS).treated(mask) == [(0, 0, Treatment.MASK)]
    assert fields(BODY, PATHS).unscanned is None


def test_a_field_of_compressed_json_is_replaced_and_packed_again() -> None:
    result = masked(gzip.compress(BODY))
    assert result is not None
    assert gzip.decompress(result) == MASKED


@pytest.mark.parametrize("body", [b'{"id": 1}', gzip.compress(b'{"id": 1}', mtime=0), b"", b"7", b"true"])
def test_a_body_without_the_field_is_given_back(body: bytes) -> None:
    assert masked(body) is body
    assert fields(body, PATHS).unscanned is None


@pytest.mark.parametrize(
    "body",
    [b"plain text", msgpack.packb({"name": "Jo"}), b"name=Jo&id=1", b"name,id\nJo,1\n", b'{"id"'],
)
def test_a_form_whose_places_are_not_known_is_told(body: bytes) -> None:
    assert fields(body, PATHS).unscanned is Unscanned.PLACES
    assert masked(body) == body


def test_what_is_compressed_and_cut_short_is_told() -> None:
    cut = gzip.compress(json.dumps({"name": "Jo" * 5000, "x": list(range(3000))}).encode())[:-40]
    assert fields(cut, PATHS).unscanned is not None
    assert fields(cut, PATHS).treated(mask) == []


def test_that_the_time_is_over_is_told() -> None:
    body = json.dumps([{"name": 1}] * 1000).encode()
    assert fields(body, PATHS, lambda: True).unscanned is Unscanned.TIME


def test_nothing_of_a_record_is_shown() -> None:
    found = fields(json.dumps({"name": "Jo", "p": json.dumps({"name": "Xyz"})}).encode(), Paths(["$..name"]))
    assert found.treated(mask) == [(0, 0, Treatment.MASK)] * 2
    assert all(secret not in f"{found!r} {found.values!r}" for secret in ("Jo", "Xyz"))


def test_what_holds_more_than_is_opened_is_told() -> None:
    body = gzip.compress(json.dumps({"name": "x" * (1 << 20)}).encode())
    assert fields(body, PATHS).unscanned is Unscanned.BYTES
