from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.audit.note import parse_note, sign_note
from interceptors.errors import SignatureError
from interceptors.signatures import SigningKey, VerificationKey

# The example of the specification, https://c2sp.org/signed-note
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
NAME = "example.com/foo"
KEY = VerificationKey(base64.b64decode("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")[1:])
OTHER = SigningKey(bytes(32))


def test_the_example_of_the_specification() -> None:
    note = parse_note(NOTE.encode())
    assert note.text == "This is an example message.\n"
    assert note.signers(NAME, [OTHER.public, KEY]) == {KEY}


def test_an_altered_text_is_refused() -> None:
    with pytest.raises(SignatureError, match="not a signature by the key"):
        parse_note(NOTE.replace("example message", "other message").encode()).signers(NAME, [KEY])


def test_signatures_of_others_are_passed_over() -> None:
    signature = sign_note("This is an example message.\n", "example.org/witness", OTHER).splitlines()[-1]
    note = parse_note(f"{NOTE}{signature}\n".encode())
    assert note.signers(NAME, [KEY, OTHER.public]) == {KEY}
    assert note.signers("example.org/witness", [KEY, OTHER.public]) == {OTHER.public}
    assert note.signers(NAME, []) == set()


def test_a_note_with_one_wrong_signature_is_refused_whole() -> None:
    note = parse_note(NOTE.encode())
    signer, signature = note.signatures[0]
    wrong = note._replace(signatures=(*note.signatures, (signer, signature[:-1] + b"\0")))
    with pytest.raises(SignatureError):
        wrong.signers(NAME, [KEY])


def test_what_is_signed_is_read() -> None:
    text = "a\n\nb\n\n\nc — d\n"
    note = parse_note(sign_note(text, NAME, OTHER).encode())
    assert note.text == text
    assert note.signers(NAME, [OTHER.public]) == {OTHER.public}


LINE = NOTE.splitlines()[-1]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "text\n",
        "text\n\n",
        f"text\n{LINE}\n",
        f"{NOTE}\n",
        NOTE.removesuffix("\n"),
        f"{NOTE}no signature\n",
        f"{NOTE}— foo AAAAA\n",
        f"{NOTE}— foo AAAAA==\n",
        f"{NOTE}— foo AAAAAAA\n",
        NOTE.replace("foo", "f+o"),
        NOTE.replace("foo", "f\N{NO-BREAK SPACE}o"),
        NOTE.replace("—", "-"),
        NOTE.replace("example message", "example\tmessage"),
        NOTE.replace("example message", "example\r\nmessage"),
        f"{'x' * (1 << 16)}{NOTE}",
    ],
)
def test_what_is_no_note(content: str) -> None:
    with pytest.raises(SignatureError, match=r"^not a signed note"):
        parse_note(content.encode())


def test_what_is_not_utf_8() -> None:
    with pytest.raises(SignatureError, match=r"^not a signed note: not .* UTF-8") as raised:
        parse_note(NOTE.encode().replace(b"example m", b"example \xff"))
    assert raised.value.__context__ is None


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda head: head + NOTE.encode()))
def test_reading_is_total(content: bytes) -> None:
    try:
        note = parse_note(content)
    except SignatureError:
        return
    assert note.signatures[0][0] == NAME
