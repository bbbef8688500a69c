"""Secrets that a form tells: keys, tokens, credentials in headers and addresses."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from interceptors.scan.detectors.secrets_cloud import CLOUD
from interceptors.scan.detectors.secrets_credentials import CREDENTIALS
from interceptors.scan.detectors.secrets_forms import FILLER, FILLER_HEX
from interceptors.scan.detectors.secrets_keys import KEYS
from interceptors.scan.detectors.secrets_messaging import MESSAGING
from interceptors.scan.detectors.secrets_services import SERVICES
from interceptors.scan.detectors.secrets_tokens import TOKENS

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

Find = Callable[[bytes], list[tuple[str, bytes]]]

TELLING = (*KEYS, *CLOUD, *TOKENS, *MESSAGING, *SERVICES, *CREDENTIALS)


@pytest.fixture(scope="module")
def find(finder: Callable[[tuple[Detector, ...]], Find]) -> Find:
    return finder(TELLING)


@pytest.mark.parametrize(
    "kind",
    [b"RSA ", b"EC ", b"DSA ", b"", b"ENCRYPTED ", b"OPENSSH ", b"PGP "],
    ids=lambda kind: kind.decode(),
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", rb"\n"], ids=["lf", "crlf", "escaped"])
def test_a_private_key_is_found_from_begin_to_end(find: Find, kind: bytes, newline: bytes) -> None:
    block = b" BLOCK" if kind == b"PGP " else b""
    label = kind + b"PRIVATE KEY" + block
    lines = [
        *(b"-----BEGIN " + label + b"-----", b"Proc-Type: 4,ENCRYPTED", b"DEK-Info: AES-128-CBC,00", b""),
        *(FILLER[:64], FILLER[:64], b"-----END " + label + b"-----"),
    ]
    key = newline.join(lines)

    assert find(b'{"key": "' + key + b'", "next": 1}') == [("pem_private_key", key)]


def test_two_private_keys_are_two_findings(find: Find) -> None:
    key = b"-----BEGIN EC PRIVATE KEY-----\n" + FILLER[:64] + b"\n-----END EC PRIVATE KEY-----"

    assert find(key + b"\n" + key) == [("pem_private_key", key), ("pem_private_key", key)]


def test_a_private_key_without_its_end_is_found_as_far_as_its_base64_goes(find: Find) -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + FILLER[:64] + b"\n" + FILLER[:20]

    assert find(key + b'", "cut": true') == [("pem_private_key", key)]
    assert find(b"-----BEGIN PRIVATE KEY-----, and so on") == [("pem_private_key", key[:27])]


def test_a_private_key_that_is_larger_than_any_is_found_by_its_begin(find: Find) -> None:
    found = find(b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 40_000 + b"\n-----END PRIVATE KEY-----")

    assert [name for name, _ in found] == ["pem_private_key"]


def test_a_jwt_ends_where_its_last_part_ends(find: Find) -> None:
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + FILLER[:43]

    for text in (b"It is " + token + b".", b'{"t":"' + token + b'"}', b"?jwt=" + token + b"&a=1"):
        assert ("jwt", token) in find(text)


@pytest.mark.parametrize("before", [b"JWT_", b"bearer-", b"v1.", b"s:"])
def test_a_jwt_may_follow_a_word_that_names_it(find: Find, before: bytes) -> None:
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + FILLER[:43]

    assert ("jwt", token) in find(before + token)


@pytest.mark.parametrize(
    "header", [b'{"alg":"ES256"}', b'{\r\n"alg":"ES256"}', b'{\t"alg":"ES256"}', b'{ "alg":"ES256"}']
)
def test_the_header_of_a_jwt_may_be_written_with_any_space(find: Find, header: bytes) -> None:
    token = base64.urlsafe_b64encode(header).rstrip(b"=") + b".eyJzdWIiOiIxIn0." + FILLER[:43]

    assert find(b'{"note": "' + token + b'"}') == [("jwt", token)]


@pytest.mark.parametrize("name", ["github_token", "npm_token", "atlassian_token"])
def test_a_token_with_a_wrong_checksum_is_told_apart(find: Find, name: str) -> None:
    (row,) = (row for row in TOKENS if row.name == name)
    right = row.examples[0]
    at = len(right) - 4  # the last character of the token; '"}' and it are the end
    wrong = right[: at + 1] + (b"0" if right[at + 1 : at + 2] != b"0" else b"1") + right[at + 2 :]

    assert [found for found, _ in find(right)] == [name]
    assert [found for found, _ in find(wrong)] == [f"{name}_unverified"]


@pytest.mark.parametrize("row", TOKENS, ids=lambda row: row.name)
def test_a_token_within_a_longer_word_is_none(find: Find, row: Detector) -> None:
    token = row.examples[1].removeprefix(b"using ").removesuffix(b" now")

    assert row.name in [name for name, _ in find(b"(" + token + b")")]
    assert row.name not in [name for name, _ in find(b"x" + token)]


def test_the_secret_behind_an_access_key_id_is_found_with_it(find: Find) -> None:
    secret = FILLER[:40]

    assert find(b"AKIAIOSFODNN7ABCDEFG," + secret + b"\n") == [
        ("aws_access_key_id", b"AKIAIOSFODNN7ABCDEFG"),
        ("aws_secret_access_key", secret),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *(b'os.environ["AWS_SECRET_ACCESS_KEY"] = "%s"', b'setenv("AWS_SECRET_ACCESS_KEY", "%s", 1)'),
        *(b"- name: AWS_SECRET_ACCESS_KEY\n  value: %s", b'<add key="AwsSecretKey" value="%s"/>'),
        *(b"AWS Secret Access Key [None]: %s", b"const AWS_SECRET_ACCESS_KEY = `%s`;"),
        *(b"AKIAIOSFODNN7ABCDEFG\n%s", b"aws configure set aws_secret_access_key %s"),
    ],
)
def test_a_secret_of_aws_is_found_as_one_in_code_and_configuration(find: Find, text: bytes) -> None:
    assert ("aws_secret_access_key", FILLER[:40]) in find(text % FILLER[:40])


def test_a_token_of_a_short_prefix_may_follow_an_underscore(find: Find) -> None:
    row = next(row for row in TOKENS if row.name == "github_token")
    token = row.examples[1].removeprefix(b"using ").removesuffix(b" now")

    assert ("github_token", token) in find(b"ci_" + token)


def test_forty_hex_digits_are_a_digest_rather_than_a_secret_of_aws(find: Find) -> None:
    assert find(b'{"secret_key": "' + FILLER_HEX[:40] + b'"}') == []


def test_a_signature_is_one_of_azure_only_beside_its_other_fields(find: Find) -> None:
    signature = FILLER[:43] + b"%3D"

    assert find(b"https://a.example.com/x?sig=" + signature) == []
    assert find(b"https://a.example.com/x?sp=r&sig=" + signature) == [("azure_sas", signature)]


@pytest.mark.parametrize(
    ("address", "password"),
    [
        (b"postgresql://app:s3cret@db.example.com/app", b"s3cret"),
        (b"amqp://guest:guest@[::1]:5672/", b"guest"),
        (b"redis://:p@ss@cache.example.com", b"p@ss"),
        (b"mongodb+srv://u:%40pp@example.com/?w=1", b"%40pp"),
    ],
)
def test_of_an_address_the_password_is_found(find: Find, address: bytes, password: bytes) -> None:
    assert find(b'{"url": "' + address + b'"}') == [("password_in_url", password)]


@pytest.mark.parametrize(
    "address",
    [
        *(
            b"https://example.com:8443/@scope/name",
            b"https://example.com/?at=1:2@3",
            b"ssh://git@example.com/x",
        ),
        *(
            b"https://u:${PASSWORD}@example.com",
            b"https://u:<password>@example.com",
            b"https://u:***@example.com",
        ),
    ],
)
def test_an_address_without_a_password_has_none(find: Find, address: bytes) -> None:
    assert find(address) == []


@pytest.mark.parametrize("scheme", [b"Basic ", b"basic ", b"BASIC+", b"Basic%20"])
def test_basic_authorization_is_decoded(find: Find, scheme: bytes) -> None:
    pair, other = (base64.b64encode(text) for text in (b"user:s3cret", b"no pair at all"))

    assert find(scheme + pair) == [("basic_authorization", pair)]
    assert find(scheme + other) == []


def test_a_bearer_token_has_to_look_random(find: Find) -> None:
    token = FILLER[:40]

    assert find(b'{"authorization":"Bearer ' + token + b'"}') == [("bearer_token", token)]
    assert find(b"Authorization: Bearer <your token here>") == []
    assert find(b'{"bearer": "bearer of good news"}') == []


def test_a_cookie_is_found_whole_for_its_session_and_not_for_its_theme(find: Find) -> None:
    session = b"lang=en; session=0123456789abcdef; theme=dark"

    assert find(b"Cookie: " + session + b"\r\nHost: example.com") == [("session_cookie", session)]
    assert find(b'{"cookie": "lang=en; theme=dark"}') == []
    assert find(b"cookies: a=" + FILLER[:32]) == [("session_cookie", b"a=" + FILLER[:32])]
