from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from interceptors.audit import Checkpoint
from interceptors.audit.checkpoint import origin_of, read_checkpoint
from interceptors.audit.note import sign_note
from interceptors.errors import SignatureError
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKPOINT = Checkpoint("example.com/log42", 12, bytes(range(32)))


def test_a_checkpoint_is_read_back_by_who_has_the_key(key: SigningKey) -> None:
    content = CHECKPOINT.sign(key).encode()
    assert content.startswith(b"example.com/log42\n12\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n")
    assert read_checkpoint(content, [key.public]) == (CHECKPOINT, True)
    assert read_checkpoint(content, [SigningKey(bytes(32)).public]) == (CHECKPOINT, False)


def test_extension_lines_are_passed_over(key: SigningKey) -> None:
    text = CHECKPOINT.sign(key).split("\n\n")[0] + "\nan extension\n"
    content = sign_note(text, CHECKPOINT.origin, key).encode()
    assert read_checkpoint(content, [key.public]) == (CHECKPOINT, True)


def test_the_key_has_the_name_of_the_log(key: SigningKey) -> None:
    text = CHECKPOINT.sign(key).split("\n\n")[0] + "\n"
    assert read_checkpoint(sign_note(text, "example.com/other", key).encode(), [key.public])[1] is False


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text.replace("\n12\n", "\n012\n"),
        lambda text: text.replace("\n12\n", "\n-1\n"),
        lambda text: text.replace("\n12\n", "\n\n"),
        lambda text: text.replace("\n12\n", "\n99999999999999999\n"),
        lambda text: text.replace("example.com/log42\n", "\n"),
        lambda text: text.replace("h8=", "h8"),
        lambda text: text.replace("AAEC", ""),
        lambda text: "".join(text.splitlines(keepends=True)[:2]),
    ],
)
def test_what_is_no_checkpoint_though_it_is_signed(key: SigningKey, alter: Callable[[str], str]) -> None:
    text = CHECKPOINT.sign(key).split("\n\n")[0] + "\n"
    content = sign_note(alter(text), CHECKPOINT.origin, key).encode()
    with pytest.raises(SignatureError, match=r"^not a checkpoint"):
        read_checkpoint(content, [key.public])


def test_an_altered_one_is_refused(key: SigningKey) -> None:
    content = CHECKPOINT.sign(key).replace("\n12\n", "\n13\n").encode()
    with pytest.raises(SignatureError, match="not a signature by the key"):
        read_checkpoint(content, [key.public])


def test_a_log_is_named_by_its_first_line() -> None:
    assert origin_of(b"line") == f"interceptors-audit/{sha256(b'line').hexdigest()[:32]}"
