from __future__ import annotations

import base64
import json
import os
import stat
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.envelope import SenderKey
from interceptors.envelope.token_key import TokenKey
from interceptors.errors import ConfigurationError
from interceptors.keys.key_file import KeyEntry, KeyringFile, Part, TokenEntry, read_key_file, write_key_file
from interceptors.keys.root_file import RootFile
from interceptors.signatures import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEY = "5e" * 32


def keyring_file(*senders: str) -> KeyringFile:
    entries = (KeyEntry(tenant="acme", sender=sender, sender_key=KEY) for sender in senders)
    return KeyringFile(service="checkout", keys=tuple(entries))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_what_is_written_is_read(path: Path) -> None:
    written = keyring_file("checkout", "billing")
    write_key_file(path, written)
    assert read_key_file(path, KeyringFile) == written


def test_a_written_file_is_its_owners_alone_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deeper" / "keys.json"
    write_key_file(path, keyring_file())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601])
def test_a_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    write_key_file(path, keyring_file())
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"keys\.json: others .*mode {mode:04o}.*chmod 600"):
        read_key_file(path, KeyringFile)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owners_alone_is_read(path: Path, mode: int) -> None:
    write_key_file(path, keyring_file())
    path.chmod(mode)
    assert read_key_file(path, KeyringFile).service == "checkout"


def test_a_missing_file_is_named_with_the_command_that_makes_one(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.json: can't be read .*interceptors keys grant"):
        read_key_file(path, KeyringFile)


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_key_file(tmp_path, KeyringFile)


def test_a_path_with_a_nul_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a path"):
        read_key_file(tmp_path / "a\0b", KeyringFile)


@pytest.mark.parametrize(
    "content",
    [b"", b"service: checkout", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 5000],
    ids=["empty", "yaml", "cut off", "not text", "nested without end", "a number without end"],
)
def test_what_is_not_json_is_refused(path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.json: not a key file: not JSON; grant") as raised:
        read_key_file(private(path, content), KeyringFile)
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"[]", "document"),
        (b"null", "document"),
        (b"{}", "service"),
        (b'{"service": "a", "version": 2}', "version"),
        (b'{"service": "a", "key": []}', "key"),
        (b'{"service": ""}', "service"),
        (b'{"service": "a", "keys": [{"tenant": "t"}]}', r"keys\.0\.sender"),
    ],
)
def test_what_is_not_of_the_form_is_refused_with_its_place(path: Path, content: bytes, place: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"keys\.json: {place}: .*; grant the keys anew"):
        read_key_file(private(path, content), KeyringFile)


@pytest.mark.parametrize(
    ("values", "form", "place"),
    [
        ({"service": "a", KEY: 1}, KeyringFile, "document: a name that is not known here"),
        (
            {"service": "a", "keys": [{"tenant": "t", "sender": "s", "sender_key": KEY, KEY: 1}]},
            KeyringFile,
            r"keys\.0: a name that is not known here",
        ),
        ({"service": "a", "a" * 33: 1}, KeyringFile, "document: a name that is not known here"),
        ({"service": "a", "a" * 32: 1}, KeyringFile, "a{32}: not known here"),
        ({"service": "a", "abc\n": 1}, KeyringFile, "document: a name that is not known here"),
        ({"service": "a", "1234": 1}, KeyringFile, "document: a name that is not known here"),
        ({"unwritten": {KEY: 1}}, RootFile, "unwritten: not as it should be"),
    ],
    ids=["at the top", "in an entry", "too long", "a word", "two lines", "digits", "a service"],
)
def test_a_name_that_may_be_a_secret_is_not_shown(
    path: Path, values: dict[str, Any], form: type[Part], place: str
) -> None:
    private(path, json.dumps(values).encode())
    with pytest.raises(ConfigurationError, match=rf"keys\.json: {place}; {form.remedy}") as raised:
        read_key_file(path, form)
    assert KEY not in f"{raised.value!r}"
    assert raised.value.__context__ is None


@pytest.mark.parametrize("form", [KeyringFile, RootFile])
def test_a_file_that_this_user_must_not_read_is_not_to_be_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch, form: type[Part]
) -> None:
    def refuse(*_: object) -> None:  # by its mode it would be refused to nobody where tests run as root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ConfigurationError) as raised:
        read_key_file(path, form)
    remedy = "let this user own it, with mode 0600, and enter its folder"
    assert str(raised.value) == f"{path}: can't be read (Permission denied); {remedy}"


@pytest.mark.parametrize("key", [KEY[:-2], KEY + "00", KEY.upper(), KEY[:-1] + "g", ""])
def test_a_key_of_another_form_is_refused_and_not_shown(path: Path, key: str) -> None:
    content = f'{{"roots": [{{"tenant": "acme", "epoch": 1, "root": "{key}"}}]}}'
    with pytest.raises(ConfigurationError, match=r"roots\.0\.root") as raised:
        read_key_file(private(path, content.encode()), RootFile)
    assert KEY[:-2] not in f"{raised.value!r}".lower()
    assert raised.value.__context__ is None


def test_an_entry_gives_its_key_if_its_kid_is_that_of_the_key() -> None:
    key = SenderKey("acme", "checkout", bytes.fromhex(KEY))
    entry = KeyEntry(tenant="acme", sender="checkout", sender_key=KEY, kid=key.kid.hex())
    assert entry.load() == key


def test_a_kid_of_another_key_is_refused() -> None:
    entry = KeyEntry(tenant="acme", sender="checkout", sender_key=KEY, kid="00" * 16)
    with pytest.raises(ConfigurationError, match=r"the kid 0{32} is not that of its key; grant"):
        entry.load()


def test_where_no_folder_can_be_made_no_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"can't be written .*give another place"):
        write_key_file(tmp_path / "file" / "keys.json", keyring_file())


def test_a_write_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_key_file(path, keyring_file("before"))

    def no_space(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_key_file(path, keyring_file("after"))
    assert read_key_file(path, KeyringFile) == keyring_file("before")
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(path: Path, in_thread: Callable[..., Any]) -> None:
    short, long = keyring_file(), keyring_file(*(f"sender-{number}" for number in range(50)))
    write_key_file(path, short)
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(20):
                write_key_file(path, long)
                write_key_file(path, short)
        finally:
            done.set()

    writer = in_thread(write)
    while not done.is_set():
        assert read_key_file(path, KeyringFile) in (short, long)
    writer.result()


def test_the_roots_are_no_service_s_keys(path: Path) -> None:
    write_key_file(path, RootFile())
    with pytest.raises(ConfigurationError, match="administration's file, with the roots; a service is given"):
        read_key_file(path, KeyringFile)


def test_broken_roots_are_not_granted_anew(path: Path) -> None:
    private(path, b'{"roots": [{"tenant": "acme", "epoch": 1, "root": "7", "use": "seal"}]}')
    with pytest.raises(ConfigurationError) as raised:
        read_key_file(path, RootFile)
    problem = "roots.0.root: not hex of the right length; restore the file from a backup"
    assert str(raised.value) == f"{path}: {problem}"


def test_a_key_says_when_it_was_made_where_its_file_does(path: Path) -> None:
    entry = {"tenant": "acme", "sender": "checkout", "sender_key": KEY}
    content = {"service": "checkout", "keys": [entry, {**entry, "sender": "billing", "created": 1000}]}
    keys = read_key_file(private(path, json.dumps(content).encode()), KeyringFile)
    assert [entry.load().created for entry in keys.keys] == [None, 1000]
    write_key_file(path, keys)
    assert read_key_file(path, KeyringFile) == keys


@pytest.mark.parametrize("created", [-1, "yesterday", 1.5])
def test_a_time_that_is_none_is_refused(path: Path, created: object) -> None:
    entry = {"tenant": "acme", "sender": "checkout", "sender_key": KEY, "created": created}
    private(path, json.dumps({"service": "checkout", "keys": [entry]}).encode())
    with pytest.raises(ConfigurationError, match=r"keys\.json: keys\.0\.created: not as it should be"):
        read_key_file(path, KeyringFile)


# --- wrapped keys, keys for signatures and for tokens -------------------------------------------------------

WRAPPED = base64.b64encode(b"wrapped").decode()
ROOT = bytes(range(32))


def entry(**fields: Any) -> KeyEntry:
    return KeyEntry(tenant="acme", sender="checkout", **fields)


def unwrap(wrapped: bytes, context: Mapping[str, str]) -> bytes:
    """Gives a key that only the right context gives."""
    assert wrapped == b"wrapped"
    return sha256(json.dumps(dict(context), sort_keys=True).encode()).digest()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "in clear or wrapped, and not both"),
        ({"sender_key": KEY, "wrapped_key": WRAPPED, "kid": "00" * 16}, "in clear or wrapped, and not both"),
        (
            {"sender_key": KEY, "signing_key": KEY, "wrapped_signing_key": WRAPPED},
            "in clear or wrapped, and not both",
        ),
        ({"wrapped_key": WRAPPED}, "a wrapped key without its kid"),
        ({"wrapped_key": "d3Jh*", "kid": "00" * 16}, "not base64"),
        ({"wrapped_key": "d3J", "kid": "00" * 16}, "not base64"),
    ],
)
def test_a_key_stands_there_once_and_can_be_told_from_others(
    path: Path, fields: dict[str, str], problem: str
) -> None:
    content = {"service": "checkout", "keys": [{"tenant": "acme", "sender": "checkout", **fields}]}
    with pytest.raises(ConfigurationError, match=rf"keys\.0.*: .*({problem})") as raised:
        read_key_file(private(path, json.dumps(content).encode()), KeyringFile)
    assert KEY not in str(raised.value)


def test_a_wrapped_key_is_unwrapped_as_what_it_is() -> None:
    context = {"kind": "sender key", "tenant": "acme", "sender": "checkout", "epoch": "3"}
    key = SenderKey("acme", "checkout", unwrap(b"wrapped", context))
    wrapped = entry(wrapped_key=WRAPPED, kid=key.kid.hex(), epoch=3)
    assert wrapped.load(unwrap) == key
    assert wrapped.committed_kid() == key.kid.hex()
    with pytest.raises(ConfigurationError, match="is not that of its key"):
        wrapped.model_copy(update={"epoch": 4}).load(unwrap)
    with pytest.raises(ConfigurationError, match="the sender key is wrapped; give what unwraps it"):
        wrapped.load()


def test_the_kid_of_a_key_in_clear_is_the_one_that_it_commits_to() -> None:
    assert (
        entry(sender_key=KEY).committed_kid() == SenderKey("acme", "checkout", bytes.fromhex(KEY)).kid.hex()
    )
    with pytest.raises(ConfigurationError, match="is not that of its key"):
        entry(sender_key=KEY, kid="00" * 16).committed_kid()


def test_keys_for_signatures_are_given_with_the_key() -> None:
    signing = SigningKey(ROOT)
    public = signing.public.raw.hex()
    own = entry(sender_key=KEY, signing_key=ROOT.hex(), verify_key=public).load()
    assert own.signing is not None
    assert own.signing.public == own.verification == signing.public
    others = entry(sender_key=KEY, verify_key=public).load()
    assert (others.signing, others.verification) == (None, signing.public)
    plain = entry(sender_key=KEY).load()
    assert (plain.signing, plain.verification) == (None, None)
    with pytest.raises(ValueError, match="not the one that goes with the signing key"):
        entry(sender_key=KEY, signing_key=ROOT.hex(), verify_key="00" * 32).load()


def test_a_wrapped_signing_key_is_not_unwrapped_as_a_sender_key() -> None:
    seeds: list[str] = []

    def note(wrapped: bytes, context: Mapping[str, str]) -> bytes:
        seeds.append(context["kind"])
        return unwrap(wrapped, context)

    key = entry(sender_key=KEY, wrapped_signing_key=WRAPPED).load(note)
    assert (key.signing is not None, seeds) == (True, ["signing key"])


def test_a_token_key_is_given_in_clear_or_unwrapped() -> None:
    whose = {"tenant": "acme", "domain": "customer", "version": 2}
    plain = TokenEntry.model_validate(whose | {"key": KEY})
    assert plain.load() == TokenKey("acme", "customer", 2, bytes.fromhex(KEY))
    context = {"kind": "token key", "tenant": "acme", "domain": "customer", "version": "2"}
    wrapped = TokenEntry.model_validate(whose | {"wrapped_key": WRAPPED})
    assert wrapped.load(unwrap).key == unwrap(b"wrapped", context)
    with pytest.raises(ConfigurationError, match="the token key is wrapped"):
        wrapped.load()


@pytest.mark.parametrize("secrets", [{}, {"key": KEY, "wrapped_key": WRAPPED}], ids=["none", "both"])
def test_a_token_key_stands_there_once(path: Path, secrets: dict[str, str]) -> None:
    token = {"tenant": "acme", "domain": "customer", "version": 1, **secrets}
    content = json.dumps({"service": "checkout", "tokens": [token]}).encode()
    with pytest.raises(ConfigurationError, match=r"tokens\.0: .* in clear or wrapped"):
        read_key_file(private(path, content), KeyringFile)


def test_no_repr_shows_a_key() -> None:
    tokens = (TokenEntry(tenant="acme", domain="customer", version=1, key=KEY),)
    keys = (entry(sender_key=KEY, signing_key=KEY), entry(wrapped_key=WRAPPED, kid="00" * 16))
    shown = repr(KeyringFile(service="checkout", keys=keys, tokens=tokens))
    assert KEY not in shown
    assert WRAPPED not in shown
