from __future__ import annotations

import base64
import gzip
import json
from urllib.parse import unquote

import msgpack
import pytest

from interceptors.scan.detectors import DETECTORS
from interceptors.scan.finding import Finding, Unscanned
from interceptors.scan.formats.codecs import CODECS
from interceptors.scan.inspection import Format, Inspection, Inspector, Limits, Treatment
from interceptors.scan.token import Token

EMAIL = "user@example.com"
CARD = 4111111111111111
DOCUMENT = {"customer": {"email": EMAIL}, "cards": [None, CARD]}
BODY = json.dumps(DOCUMENT).encode()
MASKED = {"customer": {"email": "*" * len(EMAIL)}, "cards": [None, 0]}
PLACES = [("email", "$.customer.email"), ("card_number", "$.cards[1]")]
CHOSEN = [detector for detector in DETECTORS if detector.name in ("email", "card_number")]


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    """Looks for e-mail addresses and card numbers."""
    return Inspector(CHOSEN)


def places(inspection: Inspection) -> list[tuple[str, str]]:
    return [(finding.detector, finding.path) for finding in inspection.findings]


def mask(_finding: Finding) -> Treatment:
    return Treatment.MASK


def tokenize(_finding: Finding) -> Treatment:
    return Treatment.TOKEN


def token(_finding: Finding, text: bytes) -> Token:
    return Token(text.rjust(16, b"-")[-16:], 1)


def encoded(body: bytes) -> bytes:
    return json.dumps({"p": base64.b64encode(body).decode()}).encode()


def test_a_clean_record_has_no_findings(inspector: Inspector) -> None:
    inspection = inspector.inspect(b'{"a": "b"}')

    assert (inspection.findings, inspection.unscanned) == ((), None)
    assert inspection.replaced(mask) == b'{"a": "b"}'


def test_limits_can_be_others(inspector: Inspector) -> None:
    other = inspector.with_limits(Limits(bytes=10))

    assert other.inspect(BODY).unscanned is Unscanned.BYTES
    assert inspector.inspect(BODY).unscanned is None


def test_findings_have_a_place_and_a_path(inspector: Inspector) -> None:
    inspection = inspector.inspect(BODY)

    assert places(inspection) == PLACES
    assert [BODY[finding.start : finding.end] for finding in inspection.findings] == [
        EMAIL.encode(),
        b"%d" % CARD,
    ]
    assert [finding.path for finding in inspector.inspect(BODY, paths=False).findings] == ["", ""]


@pytest.mark.parametrize(
    ("body", "format_"),
    [
        (BODY, Format.JSON),
        (b" %b\n%b" % (BODY, BODY), Format.JSON),
        (b"email=user%40example.com&x=y", Format.FORM),
        (b"id,email\n1,user@example.com\n2,x\n", Format.CSV),
        (msgpack.packb(DOCUMENT), Format.MESSAGEPACK),
        (b"\0\0\0\0\x07\x20user@example.com", Format.REGISTRY),
        (b"to user@example.com", Format.TEXT),
    ],
)
def test_the_format_is_told(inspector: Inspector, body: bytes, format_: Format) -> None:
    assert inspector.inspect(body).findings
    assert inspector.inspect(body).findings == inspector.inspect(body, format=format_).findings


@pytest.mark.parametrize("codec", CODECS)
def test_a_compressed_record_is_opened(inspector: Inspector, codec: str) -> None:
    body = CODECS[codec].packed(BODY)
    inspection = inspector.inspect(body)

    assert places(inspection) == PLACES
    assert {(finding.start, finding.end) for finding in inspection.findings} == {(0, len(body))}
    changed = inspection.replaced(mask)
    assert changed is not None
    assert json.loads(b"".join(CODECS[codec].opened(changed))) == MASKED


def test_a_compressed_record_of_a_format_is_of_that_format_within(inspector: Inspector) -> None:
    body = gzip.compress(b"e,f\nuser@example.com,1\n")

    assert places(inspector.inspect(body, format=Format.CSV)) == [("email", "$[0].e")]


def test_bytes_are_not_opened(inspector: Inspector) -> None:
    assert inspector.inspect(gzip.compress(BODY), format=Format.BYTES).findings == ()
    assert places(inspector.inspect(BODY, format=Format.BYTES)) == [("email", ""), ("card_number", "")]


def test_a_broken_one_is_scanned_as_it_lies_too(inspector: Inspector) -> None:
    body = gzip.compress(BODY) + b" user@example.com"
    inspection = inspector.inspect(body)

    assert sorted(places(inspection)) == sorted([*PLACES, ("email", "")])
    assert inspection.unscanned is Unscanned.CODEC
    assert inspection.replaced(mask) is None


def test_base64_is_looked_into(inspector: Inspector) -> None:
    body = encoded(BODY)
    inspection = inspector.inspect(body)

    assert places(inspection) == [(name, path.replace("$", "$.p")) for name, path in PLACES]
    assert all(body[each.start : each.end] in body[7:-2] for each in inspection.findings)
    changed = inspection.replaced(mask)
    assert changed is not None
    assert json.loads(base64.b64decode(json.loads(changed)["p"])) == MASKED


def test_what_is_compressed_in_base64_is_looked_into(inspector: Inspector) -> None:
    inspection = inspector.inspect(encoded(gzip.compress(BODY)))

    assert places(inspection) == [(name, path.replace("$", "$.p")) for name, path in PLACES]
    changed = inspection.replaced(mask)
    assert changed is not None
    assert json.loads(gzip.decompress(base64.b64decode(json.loads(changed)["p"]))) == MASKED


def test_what_cannot_be_packed_again_is_masked_as_a_whole() -> None:
    inspector = Inspector(CHOSEN, limits=Limits(bytes=5_000))
    bomb = gzip.compress(BODY + bytes(10_000))

    inspection = inspector.inspect(encoded(bomb))

    assert inspection.unscanned is Unscanned.BYTES
    changed = inspection.replaced(mask)
    assert changed is not None
    assert set(json.loads(changed)["p"]) == {"*"}


@pytest.mark.parametrize(
    "body",
    [
        msgpack.packb({"p": base64.b64encode(BODY).decode()}),
        b"log: " + base64.b64encode(BODY),
    ],
    ids=["messagepack", "text"],
)
def test_where_lengths_are_fixed_they_stay(inspector: Inspector, body: bytes) -> None:
    inspection = inspector.inspect(body)

    assert len(inspection.findings) == len(PLACES)
    changed = inspection.replaced(tokenize, token)
    assert changed is not None
    assert len(changed) == len(body)
    assert inspector.inspect(changed).findings == ()


def test_depth_is_bounded(inspector: Inspector) -> None:
    body = BODY
    for _ in range(4):
        body = encoded(body)
    assert len(inspector.inspect(body).findings) == len(PLACES)
    assert inspector.inspect(body).unscanned is None

    inspection = inspector.inspect(encoded(body))

    assert (inspection.findings, inspection.unscanned) == ((), Unscanned.DEPTH)


def test_compressions_in_another_count_as_depth(inspector: Inspector) -> None:
    body = BODY
    for _ in range(5):
        body = gzip.compress(body)

    assert inspector.inspect(body).unscanned is Unscanned.DEPTH


def test_levels_of_escapes_count_as_depth(inspector: Inspector) -> None:
    document = json.dumps(DOCUMENT)
    for _ in range(6):
        document = json.dumps(document)

    assert inspector.inspect(document.encode()).unscanned is Unscanned.DEPTH


@pytest.mark.parametrize("format_", sorted(set(Format) - {Format.MESSAGEPACK, Format.REGISTRY}))
def test_what_is_beyond_the_limit_is_not_scanned_and_stays(format_: Format) -> None:
    inspector = Inspector(CHOSEN, limits=Limits(bytes=200))
    body = b"[" + BODY.ljust(198) + b"," + BODY + b"]"

    inspection = inspector.inspect(body, format=format_)

    assert [finding.detector for finding in inspection.findings] == ["email", "card_number"]
    assert inspection.unscanned is Unscanned.BYTES
    changed = inspection.replaced(mask)
    assert changed is not None
    assert changed.endswith(BODY + b"]")


def test_all_that_is_decoded_counts(inspector: Inspector) -> None:
    inspector = Inspector(CHOSEN, limits=Limits(bytes=1000))
    body = json.dumps([base64.b64encode(gzip.compress(b"x" * 600)).decode() for _ in range(3)]).encode()

    assert inspector.inspect(body).unscanned is Unscanned.BYTES


def test_the_time_is_asked_for(inspector: Inspector) -> None:
    asked: list[None] = []

    def spent() -> bool:
        asked.append(None)
        return True

    body = json.dumps([EMAIL] * 100).encode()

    assert inspector.inspect(body, spent=spent).unscanned is Unscanned.TIME
    assert inspector.inspect(encoded(BODY), spent=spent).unscanned is Unscanned.TIME
    assert asked


def test_what_is_kept_is_bounded(inspector: Inspector) -> None:
    once = base64.b64encode(json.dumps([EMAIL] * 100).encode()).decode()
    inspection = inspector.inspect(json.dumps([once] * 20).encode())

    assert len(inspection.findings) == 1000
    assert inspection.unscanned is Unscanned.FINDINGS


def test_the_own_trace_id_is_found_in_what_is_encoded(inspector: Inspector) -> None:
    own = b"0af7651916cd43dd8448eb211c80319c"
    body = encoded(b'{"trace": "' + own + b'"}')

    assert places(inspector.inspect(body, own=own)) == [("own_trace_id", "$.p.trace")]


def test_escapes_in_a_log_are_undone(inspector: Inspector) -> None:
    body = rb'10:00 got {"email": "user\u0040example.com"} and more'
    inspection = inspector.inspect(body)

    assert places(inspection) == [("email", "")]
    assert inspection.replaced(mask) == rb'10:00 got {"email": "' + b"*" * 21 + b'"} and more'


@pytest.mark.parametrize("form", [b'{"u": "%b", "n": 1}', b"GET %b HTTP/1.1"])
def test_escapes_of_a_url_are_undone(inspector: Inspector, form: bytes) -> None:
    url = b"https://example.com/?q=user%40example.com&x=%20"
    inspection = inspector.inspect(form % url)

    assert [finding.detector for finding in inspection.findings] == ["email"]
    changed = inspection.replaced(mask)
    assert changed is not None
    assert unquote(changed.decode()) == unquote((form % url).decode()).replace(EMAIL, "*" * 18)


def test_something_in_two_views_is_found_once(inspector: Inspector) -> None:
    body = json.dumps({"a": EMAIL, "b": json.dumps({"c": 'x"y'})}).encode()

    assert places(inspector.inspect(body)) == [("email", "$.a")]


def test_what_is_kept_stays(inspector: Inspector) -> None:
    inspection = inspector.inspect(BODY)
    changed = inspection.replaced(
        lambda finding: Treatment.KEEP if finding.detector == "email" else Treatment.MASK
    )

    assert changed == BODY.replace(b"%d" % CARD, b"0")


def test_tokens_are_of_the_text_as_it_reads(inspector: Inspector) -> None:
    plain = inspector.inspect(b'["user@example.com"]').replaced(tokenize, token)
    escaped = inspector.inspect(rb'["user\u0040example.com"]').replaced(tokenize, token)

    assert plain == escaped
    assert plain is not None
    assert plain.startswith(b'["tok1_')
    assert inspector.inspect(b'["user@example.com"]').replaced(tokenize) == b'["****************"]'


def test_what_is_left_of_two_that_overlap_is_replaced_too() -> None:
    inspector = Inspector()
    body = b'{"dsn": "https://user:hunter2secret@example.com/path"}'
    changed = inspector.inspect(body).replaced(mask)

    assert changed is not None
    assert inspector.inspect(changed).findings == ()


@pytest.mark.parametrize(
    ("body", "replacement"),
    [(b'{"password": "hunter2secret"}', b'"tok1_'), (b'{"password": 4111111111111111}', b" 90")],
)
def test_a_token_is_no_finding(body: bytes, replacement: bytes) -> None:
    inspector = Inspector()
    assert inspector.inspect(body).findings

    changed = inspector.inspect(body).replaced(tokenize, token)

    assert changed is not None
    assert replacement in changed
    assert inspector.inspect(changed).findings == ()


def test_its_repr_shows_nothing_of_the_record(inspector: Inspector) -> None:
    assert repr(inspector.inspect(BODY)) == "Inspection(findings=2, unscanned=None)"


@pytest.mark.parametrize(
    "body",
    [
        msgpack.packb(list(range(1000))),
        b"a=1&b=" + b"%41%20x" * 200,
        b"\0\0\0\0\1" + b"\x0cabcdef\0" * 200,
        b'{"a": "\\\\u0041"}',
    ],
    ids=["messagepack", "form", "avro", "json"],
)
def test_a_record_of_which_only_a_part_was_shown_is_not_scanned_to_the_end(
    inspector: Inspector, body: bytes
) -> None:
    assert inspector.inspect(body).unscanned is None
    assert inspector.inspect(body, spent=lambda: True).unscanned is Unscanned.TIME


def test_looking_again_is_within_the_time_too(inspector: Inspector) -> None:
    times = iter([False] * 5)
    inspection = inspector.inspect(msgpack.packb([EMAIL]), spent=lambda: next(times, True))

    assert inspection.unscanned is None
    assert list(times)  # there is some left, and then none
    assert inspection.replaced(mask) == msgpack.packb(["*" * len(EMAIL)])
    assert inspection.unscanned is Unscanned.TIME


def test_there_is_no_looking_again_when_the_time_was_over(inspector: Inspector) -> None:
    asked = [0]

    def spent() -> bool:
        asked[0] += 1
        return asked[0] > 2

    inspection = inspector.inspect(EMAIL.encode() + b" " * 200_000, spent=spent)
    before = asked[0]

    changed = inspection.replaced(mask)

    assert inspection.unscanned is Unscanned.TIME
    assert changed is not None
    assert EMAIL.encode() not in changed
    assert asked[0] == before
