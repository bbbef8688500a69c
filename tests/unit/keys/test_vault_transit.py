"""The driver for Vault's transit engine, on a server that says what a test lets it say."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError, MissingExtraError
from interceptors.keys.vault_transit import VaultTransit
from interceptors.keys.wrapping import associated_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = bytes(range(32))
CONTEXT = {"kind": "root", "tenant": "acme"}
CIPHERTEXT = "vault:v1:bm90aGluZw=="
TOKEN = "hvs.a-token-that-must-not-be-seen"


class Asked(NamedTuple):
    """What the server was asked."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Server:
    """A Vault that gives one answer."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[Asked] = []
        self.status = 200
        self.answer: object = {
            "data": {"ciphertext": CIPHERTEXT, "plaintext": base64.b64encode(KEY).decode()}
        }


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = json.dumps(made.answer).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = False
        made = Server(f"http://127.0.0.1:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield made
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token, and nothing else of Vault's."""
    for name in [name for name in os.environ if name.startswith(("VAULT_", "BAO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def wrapper(server: Server) -> Iterator[VaultTransit]:
    made = VaultTransit("checkout", address=server.address)
    yield made
    made._client().session.close()


def refusal(wrapper: VaultTransit) -> KeyProviderError:
    with pytest.raises(KeyProviderError) as raised:
        wrapper.unwrap(CIPHERTEXT.encode(), CONTEXT)
    error = raised.value
    assert (error.__context__, error.__cause__) == (None, None)  # in which requests keeps token and key
    assert TOKEN not in str(error)
    return error


def test_a_key_is_encrypted_with_its_context(wrapper: VaultTransit, server: Server) -> None:
    assert wrapper.wrap(KEY, CONTEXT) == CIPHERTEXT.encode()
    ((path, headers, body),) = server.asked
    assert path == "/v1/transit/encrypt/checkout"
    assert headers["x-vault-token"] == TOKEN
    assert "x-vault-namespace" not in headers
    assert base64.b64decode(body["plaintext"]) == KEY
    assert base64.b64decode(body["associated_data"]) == associated_context(CONTEXT)


def test_a_key_is_decrypted_with_its_context(wrapper: VaultTransit, server: Server) -> None:
    assert wrapper.unwrap(CIPHERTEXT.encode(), CONTEXT) == KEY
    ((path, _, body),) = server.asked
    assert path == "/v1/transit/decrypt/checkout"
    assert body["ciphertext"] == CIPHERTEXT
    assert base64.b64decode(body["associated_data"]) == associated_context(CONTEXT)


def test_mount_and_namespace_are_as_given(server: Server) -> None:
    wrapper = VaultTransit("checkout", address=server.address, namespace="team", mount="keys/here")
    with wrapper._client().session:
        wrapper.wrap(KEY, CONTEXT)
    ((path, headers, _),) = server.asked
    assert (path, headers["x-vault-namespace"]) == ("/v1/keys/here/encrypt/checkout", "team")


def test_what_is_not_given_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", server.address)
    monkeypatch.setenv("VAULT_NAMESPACE", "team")
    wrapper = VaultTransit("checkout")
    with wrapper._client().session:
        wrapper.wrap(KEY, CONTEXT)
    ((_, headers, _),) = server.asked
    assert headers["x-vault-namespace"] == "team"


def test_without_an_address_it_is_refused_at_once() -> None:
    with pytest.raises(
        ConfigurationError, match=r"keys\.vault: no address; give `address`, or set VAULT_ADDR"
    ):
        VaultTransit("checkout")


@pytest.mark.parametrize(
    ("status", "errors", "problem"),
    [
        (400, ["cipher: message authentication failed"], KeyProblem.DENIED),
        (400, ["encryption key not found"], KeyProblem.UNKNOWN),
        (401, [], KeyProblem.DENIED),
        (403, ["permission denied"], KeyProblem.DENIED),
        (404, ["no handler for route"], KeyProblem.UNKNOWN),
        (412, ["required index state not present"], KeyProblem.UNREACHABLE),
        (429, ["request path rate limit quota exceeded"], KeyProblem.EXHAUSTED),
        (500, ["internal error"], KeyProblem.UNREACHABLE),
        (501, [], KeyProblem.UNREACHABLE),
        (502, [], KeyProblem.UNREACHABLE),
        (503, ["Vault is sealed"], KeyProblem.UNREACHABLE),
    ],
)
def test_each_answer_is_one_problem(
    wrapper: VaultTransit, server: Server, status: int, errors: list[str], problem: KeyProblem
) -> None:
    server.status, server.answer = status, {"errors": errors}
    error = refusal(wrapper)
    assert error.problem is problem
    assert "Vault key 'checkout': " in str(error)


@pytest.mark.parametrize("answer", ["<html>", {}, {"data": None}, {"data": {}}, [], None], ids=str)
def test_an_answer_that_is_not_vaults_is_unreachable(
    wrapper: VaultTransit, server: Server, answer: object
) -> None:
    server.answer = answer
    error = refusal(wrapper)
    assert error.problem is KeyProblem.UNREACHABLE
    assert "not Vault's" in str(error)


@pytest.mark.parametrize("plaintext", ["a", "é", 7], ids=str)
def test_a_plaintext_that_is_none_is_unreachable(
    wrapper: VaultTransit, server: Server, plaintext: object
) -> None:
    server.answer = {"data": {"plaintext": plaintext}}
    assert refusal(wrapper).problem is KeyProblem.UNREACHABLE


def test_where_nobody_listens_it_is_unreachable(server: Server) -> None:
    wrapper = VaultTransit("checkout", address="http://127.0.0.1:1")
    with wrapper._client().session:
        error = refusal(wrapper)
    assert error.problem is KeyProblem.UNREACHABLE
    assert "ConnectionError" in str(error)


def test_what_was_not_wrapped_by_vault_is_sent_as_it_is(wrapper: VaultTransit, server: Server) -> None:
    server.status, server.answer = 400, {"errors": ["invalid ciphertext: no prefix"]}
    with pytest.raises(KeyProviderError) as raised:
        wrapper.unwrap(b"\xff\x00", CONTEXT)
    assert raised.value.problem is KeyProblem.DENIED


# The token


def test_a_token_file_is_read_for_each_call(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    wrapper = VaultTransit("checkout", address=server.address, token_file=str(file))
    with wrapper._client().session:
        for token in ("first", "second"):
            file.write_text(f"{token}\n")
            wrapper.wrap(KEY, CONTEXT)
    assert [asked.headers["x-vault-token"] for asked in server.asked] == ["first", "second"]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"], ids=repr)
def test_without_a_token_in_its_file_it_is_denied_unasked(
    server: Server, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    wrapper = VaultTransit("checkout", address=server.address, token_file=str(file))
    error = refusal(wrapper)
    assert (error.problem, str(file) in str(error), server.asked) == (KeyProblem.DENIED, True, [])


@pytest.mark.parametrize("token", ["", "schlüssel"])
def test_without_a_token_in_the_environment_it_is_denied_unasked(
    wrapper: VaultTransit, server: Server, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", token)
    error = refusal(wrapper)
    assert (error.problem, server.asked) == (KeyProblem.DENIED, [])
    assert "no token in VAULT_TOKEN" in str(error)


def test_a_child_connects_anew(
    wrapper: VaultTransit, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = wrapper._client()
    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        assert wrapper.unwrap(CIPHERTEXT.encode(), CONTEXT) == KEY
        assert wrapper._client() is not mine
        wrapper._client().session.close()
    mine.session.close()


# Without the extra


def imported_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "interceptors.keys.vault_transit")
    monkeypatch.setitem(sys.modules, name, None)
    __import__("interceptors.keys.vault_transit")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"interceptors\[vault\]"):
        imported_without("hvac", monkeypatch)


def test_a_fault_of_another_import_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"hvac\.exceptions"):
        imported_without("hvac.exceptions", monkeypatch)
