from __future__ import annotations

import pydantic
import pytest

from interceptors.policy.yaml_document import (
    DocumentError,
    DocumentModel,
    parse_document,
    validate_document,
)


class Part(DocumentModel):
    size: int = 0
    colour: str = ""


class Whole(DocumentModel):
    name: str
    part: Part = Part()
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = pydantic.Field(default_factory=dict)
    perhaps: Part | None = None


def problem(text: str) -> str:
    with pytest.raises(DocumentError) as raised:
        parse_document(Whole, text, "file")
    # Neither pydantic's error nor the YAML parser's, which hold the values, is behind ours.
    assert raised.value.__context__ is None
    return str(raised.value)


def test_a_document_is_read() -> None:
    found = parse_document(Whole, "name: a\nparts:\n- {size: 1}\n- {colour: red}\n", "file")
    assert found == Whole(name="a", parts=(Part(size=1), Part(colour="red")))


def test_json_is_yaml_too() -> None:
    text = '{"name": "a", "part": {"size": 1, "colour": "red"}}'
    assert parse_document(Whole, text, "file") == Whole(name="a", part=Part(size=1, colour="red"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: a\nperhaps:\n", "file:2: perhaps"),
        ("name: a\npart: {size: 1, colour: }\n", "file:2: part.colour"),
        ("name: a\nparts:\n- {size: 1}\n-\n", "file:4: parts[1]"),
    ],
)
def test_a_key_without_a_value_is_refused(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as raised:
        parse_document(Whole, text, "file")
    assert str(raised.value) == f"{place}: this key has no value; write one, or leave the key out"


def test_an_anchor_may_be_used_and_merged_into() -> None:
    text = "name: a\npart: &p {size: 1, colour: red}\nparts: [*p, {<<: *p, size: 2}]"
    assert parse_document(Whole, text, "file").parts == (
        Part(size=1, colour="red"),
        Part(size=2, colour="red"),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "file: name: this key is required; add it"),
        ("# nothing\n---\n", "file:3: name: this key is required; add it"),
        ("name: a\nnmae: b", "file:2: nmae: unknown key; did you mean 'name'?"),
        ("nam: a", "file:1: nam: unknown key; did you mean 'name'?"),
        ("name: a\npart:\n  size: big", "file:3: part.size: should be a valid integer"),
        ("name: a\npart:\n  sise: 1", "file:3: part.sise: unknown key; did you mean 'size'?"),
        ("name: a\nparts:\n- size: 1\n- sise: 1", "file:4: parts[1].sise: unknown key; did you mean 'size'?"),
        ("name: a\nperhaps:\n  color: b", "file:3: perhaps.color: unknown key; did you mean 'colour'?"),
        ("name: a\nparts: 7", "file:2: parts: should be a list"),
        ("part: {}\n", "file:1: name: this key is required; add it"),
        ("name: a\n7: b", "file:2: [7]: a key is text; put it in quotes"),
        ("name: a\nx: b", "file:2: x: unknown key; known here: name, named, part, parts, perhaps"),
        ("name: a\nnamed:\n  b: {sise: 1}", "file:3: named.b.sise: unknown key; did you mean 'size'?"),
        ("name: a\nnamed: {part: {nme: 1}}", "file:2: named.part.nme: unknown key; known here: colour, size"),
        ("name: a\npart: 7", "file:2: part: should be a mapping of keys to values"),
        ("name: a\nname: b", "file:2: not readable as YAML: the key `name` stands twice; keep one"),
        ("name: a\npart: {size: 1, size: 2}", "file:2: not readable as YAML: the key `size` stands twice"),
        ("- name", "file:1: the document is a mapping of keys to values"),
        ("name", "file:1: the document is a mapping of keys to values"),
        ("name: [", "file:1: not readable as YAML: expected the node content"),
        ("name: 'a", "file:1: not readable as YAML: found unexpected end of stream"),
        ("name: a\n? [b]\n: c", "file:2: not readable as YAML: found unhashable key"),
        ("name: *nobody", "file:1: not readable as YAML: found undefined alias '…'"),
        ("name: !'no", "file:1: not readable as YAML: could not determine a constructor for the tag '…'"),
        ("name: [a", "file:1: not readable as YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: b\n---\nc: d", "file:2: not readable as YAML: but found another document"),
        (
            "name: !!python/name:os.system ''",
            "file:1: not readable as YAML: could not determine a constructor",
        ),
        ("name: \x00", "file: not readable as YAML: not text"),
        ("name: \ud800", "file: not readable as YAML: not text"),
        ("[" * 1000, "file: not readable as YAML: nested too deeply"),
        ("name: " + "9" * 5000, "file: not readable as YAML: a date, number or tagged value that is none"),
        ("name: 2001-02-30", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("name: 0x_", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("name: !!int ''", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("name: !!bool x", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("name: !!timestamp x", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("!!map [name]", "file: not readable as YAML: a date, number or tagged value that is none"),
        ("&a {name: *a}", "file:1: name: should be text; put it in quotes"),
    ],
)
def test_what_does_not_hold_is_refused_with_line_place_and_remedy(text: str, expected: str) -> None:
    assert problem(text).startswith(expected)


def test_an_unknown_key_comes_before_the_one_that_is_missing_for_it() -> None:
    assert problem("part: {}\nNAME: a").startswith("file:2: NAME: unknown key")


def test_the_place_is_kept_beside_the_text() -> None:
    with pytest.raises(DocumentError) as raised:
        parse_document(Whole, "name: a\nparts: [{}, {size: x}]", "file")
    assert raised.value.path == "parts[1].size"


def test_values_that_were_no_text_have_a_place_but_no_line() -> None:
    with pytest.raises(DocumentError) as raised:
        validate_document(Whole, {"name": "a", "part": {"size": []}}, "arguments")
    assert str(raised.value) == "arguments: part.size: should be a valid integer"


def test_a_document_does_not_change() -> None:
    found = parse_document(Whole, "name: a", "file")
    with pytest.raises(ValueError, match="frozen"):
        found.name = "b"


def test_aliases_of_aliases_are_counted_and_not_written_out() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert problem(bomb) == (
        "file: not readable as YAML: more than 200000 values, those that aliases repeat included"
    )
    assert parse_document(Whole, "name: &n a\nparts: [&p {size: 1}, *p]\n", "file").parts[1].size == 1
