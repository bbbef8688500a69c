from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan import Paths, Token, Treatment
from interceptors.scan.formats.json_values import Treated, Values, json_values

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = Token(bytes(range(16)), 1)


def found(document: bytes, *paths: str, depth: int = 4, spent: Callable[[], bool] = lambda: False) -> Values:
    return json_values(document, Paths(paths), depth, spent)


def replaced(document: bytes, treatments: dict[str, Treatment], token: Token | None = TOKEN) -> bytes:
    """The document, in which of several treatments of a value the strictest counts."""
    ranked = list(Treatment)
    chosen = list(treatments.values())

    def choose(places: tuple[int, ...]) -> tuple[Treatment, int]:
        place = max(places, key=lambda number: ranked.index(chosen[number]))
        return chosen[place], place

    return found(document, *treatments).replaced(choose, lambda _place, _text: token)


@pytest.mark.parametrize(
    ("document", "path", "values"),
    [
        (b'{"a": {"b": 1}}', "$.a.b", [b"1"]),
        (b'{"a": {"b": 1}}', "$.a", [b'{"b": 1}']),
        (b'{"a": [1, "x", [2], {}]}', "$.a[*]", [b"1", b'"x"', b"[2]", b"{}"]),
        (b'{"a": [1, "x"]}', "$.a[1]", [b'"x"']),
        (b'{"a": 1, "a": 2}', "$.a", [b"1", b"2"]),
        (b'{"a": {"b": {"a": 1}}, "c": [{"a": true}]}', "$..a", [b"1", b'{"b": {"a": 1}}', b"true"]),
        (b'{"user@example.com": null}', "$.*", [b"null"]),
        (b'{"\\u0061": -1.5e+3}', "$.a", [b"-1.5e+3"]),
        (b'{"a": "x\\"}"}', "$.a", [b'"x\\"}"']),
        (b'{"a": 1}\n{"a": 2}', "$.a", [b"1", b"2"]),
        (b"\xef\xbb\xbf [ 1 ] ", "$[0]", [b"1"]),
        (b'"text"', "$", [b'"text"']),
        (b'{"[0]": 1}', "$[0]", []),
        (b'{"b": {"a": 1, "x": [{}, "}"]}, "a": 2}', "$.a", [b"2"]),
        (b'{"a": {"b": 1}}', "$.a.b.c", []),
        (b"", "$", []),
    ],
)
def test_values_are_found_where_a_path_leads(document: bytes, path: str, values: list[bytes]) -> None:
    result = found(document, path)
    assert [document[value.start : value.end] for value in result.found] == values
    assert result.whole


@pytest.mark.parametrize(
    "document",
    [
        b"hello",
        b'{"a": 1',
        b'{"a" 1}',
        b'{"a": 1 "b": 2}',
        b"{'a': 1}",
        b'{"a": 1]',
        b'{"a": tru}',
        b'{"a": 01x}',
        b'{"b": {"c": /* } */ 1}, "a": 1}',
        b'{"b": {',
        b"]",
        b"[" * 200,
        b'{"a": "x}',
    ],
)
def test_what_is_malformed_or_too_deep_is_told(document: bytes) -> None:
    assert not found(document, "$.a", "$[0]", "$..z").whole


def test_reading_ends_with_the_time() -> None:
    long_list = json.dumps([{"a": 1}] * 2000).encode()
    assert found(long_list, "$[*].a").whole
    assert not found(long_list, "$[*].a", spent=lambda: True).whole
    passed_over = json.dumps({"x": [[]] * 2000}).encode()
    assert found(passed_over, "$.a").whole
    assert not found(passed_over, "$.a", spent=lambda: True).whole


def test_a_path_goes_on_in_a_document_that_a_string_holds() -> None:
    inner = json.dumps({"customer": {"name": 'Jörg "J"', "tier": 1}})
    document = json.dumps({"payload": inner, "note": "{curly} text"}).encode()

    result = replaced(document, {"$.payload.customer.name": Treatment.MASK})

    outer = json.loads(result)
    assert json.loads(outer["payload"]) == {"customer": {"name": "*" * len('Jörg "J"'.encode()), "tier": 1}}
    assert outer["note"] == "{curly} text"


def test_a_document_within_a_string_that_is_too_deep_is_told() -> None:
    document = json.dumps({"p": json.dumps({"q": 1})}).encode()
    assert found(document, "$.p.q", depth=1).whole
    assert not found(document, "$.p.q", depth=0).whole


def test_a_text_that_only_begins_like_a_document_is_a_text() -> None:
    document = json.dumps({"p": "[urgent] call", "q": '{"a": 1, oops'}).encode()
    result = found(document, "$.p.a", "$.q.b")
    assert (result.found, result.whole) == ((), True)
    assert not found(document, "$.q.a").whole  # something was meant, and then it ended


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: base64.b64encode(text).decode(),
        lambda text: base64.urlsafe_b64encode(text).decode().rstrip("="),
        lambda text: base64.encodebytes(text).decode(),
        lambda text: json.dumps(text.decode()),
        lambda text: "\ufeff" + text.decode(),
        lambda text: base64.b64encode(json.dumps(base64.b64encode(text).decode()).encode()).decode(),
    ],
    ids=["base64", "URL-safe", "in lines", "a string in a string", "with a BOM", "twice"],
)
def test_a_path_goes_on_in_a_document_that_is_encoded(encode: Callable[[bytes], str]) -> None:
    inner = json.dumps({"name": "Jörg??>>~", "more": list(range(30))}, ensure_ascii=False).encode()
    document = json.dumps({"p": encode(inner), "q": "SGVsbG8gd29ybGQ=", "r": '"quoted" text'}).encode()

    result = replaced(document, {"$..name": Treatment.EMPTY})

    expected = json.dumps({"name": "", "more": list(range(30))}).encode()
    assert found(document, "$..name").whole
    assert "".join(json.loads(result)["p"].split()) == "".join(encode(expected).split())
    assert json.loads(result)["q"] == "SGVsbG8gd29ybGQ="
    assert replaced(document, {"$..name": Treatment.KEEP}) is document


def test_what_is_compressed_in_base64_is_told() -> None:
    hidden = base64.b64encode(gzip.compress(b'{"name": "Jo"}')).decode()
    assert not found(json.dumps({"p": hidden}).encode(), "$.p.name").whole
    assert found(json.dumps({"p": hidden}).encode(), "$.p").whole
    assert found(b'{"p": "x^2 + 1"}', "$.p.name").whole


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        (Treatment.EMPTY, {"s": "", "n": None, "t": None, "o": {}, "l": [], "z": None, "e": ""}),
        (Treatment.MASK, {"s": "*" * 7, "n": 0, "t": None, "o": {}, "l": [], "z": None, "e": ""}),
        (
            Treatment.TOKEN,
            {"s": str(TOKEN), "n": int(TOKEN.number), "t": None, "o": {}, "l": [], "z": None, "e": ""},
        ),
    ],
)
def test_a_value_keeps_its_type_where_that_has_an_empty_one(
    treatment: Treatment, expected: dict[str, object]
) -> None:
    document = {"s": "secre\u0301", "n": 12.5, "t": True, "o": {"a": 1}, "l": [1], "z": None, "e": ""}
    text = json.dumps(document | {"kept": "as it is"}, ensure_ascii=False).encode()
    assert json.loads(replaced(text, {f"$.{key}": treatment for key in document})) == {
        **expected,
        "s": expected["s"] if treatment is not Treatment.MASK else "*" * len("secre\u0301".encode()),
        "kept": "as it is",
    }


def test_without_a_token_the_value_is_masked() -> None:
    treatments = {"$.s": Treatment.TOKEN, "$.n": Treatment.TOKEN}
    assert replaced(b'{"s":"abc","n":7}', treatments, token=None) == b'{"s":"***","n":0}'


def test_what_is_a_token_already_stays_one() -> None:
    document = b'{"s":"%b","n":%b}' % (TOKEN.text, TOKEN.number)
    other = Token(bytes(16), 2)
    assert replaced(document, {"$.s": Treatment.TOKEN, "$.n": Treatment.TOKEN}, other) == document
    assert replaced(document, {"$.s": Treatment.EMPTY}, other).startswith(b'{"s":"",')


@pytest.mark.parametrize("outer", [Treatment.TOKEN, Treatment.MASK])
def test_a_value_that_holds_a_stricter_one_becomes_what_that_does(outer: Treatment) -> None:
    inner = json.dumps({"b": "secret"})
    document = json.dumps({"a": inner, "c": {"d": "x"}}).encode()

    result = json.loads(
        replaced(document, {"$.a": outer, "$.a.b": Treatment.EMPTY, "$.c": outer, "$.c.d": outer})
    )

    assert result == {"a": "", "c": {}}


def test_what_is_strict_in_documents_within_documents_counts_for_all_around() -> None:
    inner = json.dumps({"b": json.dumps({"c": "secret"})})
    result = replaced(json.dumps({"a": inner}).encode(), {"$.a": Treatment.MASK, "$.a.b.c": Treatment.EMPTY})
    assert json.loads(result) == {"a": ""}


def test_a_value_that_is_kept_may_hold_one_that_is_not() -> None:
    document = b'{"a": {"b": "secret", "c": 1}, "d": 2}'
    result = replaced(document, {"$.a": Treatment.KEEP, "$.a.b": Treatment.EMPTY, "$.d": Treatment.MASK})
    assert result == b'{"a": {"b": "", "c": 1}, "d": 0}'


def test_what_becomes_of_each_value_is_told() -> None:
    document = json.dumps(
        {"a": "x", "b": {"a": "y"}, "c": json.dumps({"a": True, "d": {"a": 1}}), "e": "z"}
    ).encode()
    chosen = [Treatment.TOKEN, Treatment.MASK, Treatment.KEEP]

    def choose(places: tuple[int, ...]) -> tuple[Treatment, int]:
        return chosen[places[0]], places[0]

    told = [*found(document, "$..a", "$.b", "$.e").treated(choose)]

    assert told == [
        Treated(0, 0, Treatment.TOKEN),
        Treated(1, 1, Treatment.EMPTY),
        Treated(0, 0, Treatment.EMPTY),
        Treated(0, 0, Treatment.TOKEN),
        Treated(2, 2, Treatment.KEEP),
    ]


def test_what_lies_within_a_value_may_decide_on_all_of_it() -> None:
    chosen = [Treatment.TOKEN, Treatment.MASK]
    document = json.dumps({"a": {"b": "x", "c": "y"}}).encode()
    told = [*found(document, "$.a", "$.a.b").treated(lambda places: (chosen[places[0]], places[0]))]
    assert told == [Treated(0, 1, Treatment.EMPTY)]


def test_where_all_stays_the_document_is_the_same_object() -> None:
    document = json.dumps({"a": json.dumps({"b": 1})}).encode()
    assert replaced(document, {"$.a.b": Treatment.KEEP, "$.a": Treatment.KEEP}) is document


json_text = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.sampled_from("abcd") | st.text(max_size=6), values, max_size=4)
    ),
    max_leaves=25,
).map(lambda value: json.dumps(value).encode())


@given(
    json_text,
    st.dictionaries(
        st.sampled_from(["$.a", "$.a.b", "$..c", "$[*]", "$[0].d", "$.*.a", "$"]),
        st.sampled_from(list(Treatment)),
        max_size=4,
    ),
)
def test_whatever_is_replaced_the_document_stays_one_and_nothing_meant_is_left(
    document: bytes, treatments: dict[str, Treatment]
) -> None:
    result = replaced(document, treatments, token=None)
    json.loads(result)
    strict = [path for path, treatment in treatments.items() if treatment is Treatment.EMPTY]
    again = found(result, *strict)
    left = {result[value.start : value.end] for value in again.found if value.places}
    assert again.whole
    assert left <= {b'""', b"null", b"{}", b"[]"}


@given(st.binary(max_size=60), st.sampled_from(["$.a", "$..a", "$[*].b", "$"]))
def test_any_bytes_can_be_read(document: bytes, path: str) -> None:
    values = found(document, path)
    assert all(0 <= value.start < value.end <= len(document) for value in values.found)
