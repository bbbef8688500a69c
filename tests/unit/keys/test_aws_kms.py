"""The driver for AWS KMS, on moto; and on botocore's stub where moto has no such answer."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import traceback
from base64 import b64encode
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from interceptors.errors import ConfigurationError, KeyProblem, KeyProviderError, MissingExtraError
from interceptors.keys.aws_kms import AwsKms

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "eu-central-1"
KEY = b"a key of 32 bytes, and no others"
CONTEXT = {"kind": "root", "tenant": "acme"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that are nobody's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def key_id() -> Iterator[str]:
    """A key in a KMS inside this process."""
    with mock_aws():
        made: str = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
        yield made


def refusal(wrapper: AwsKms, wrapped: bytes = b"wrapped") -> KeyProviderError:
    with pytest.raises(KeyProviderError) as raised:
        wrapper.unwrap(wrapped, CONTEXT)
    return raised.value


def answering(code: str, status: int) -> tuple[AwsKms, Stubber]:
    wrapper = AwsKms("alias/checkout", region=REGION)
    stub = Stubber(wrapper._client())
    stub.add_client_error("decrypt", code, "what AWS says", status)
    stub.activate()
    return wrapper, stub


def test_what_is_wrapped_is_unwrapped_with_the_same_context(key_id: str) -> None:
    wrapped = AwsKms(key_id, region=REGION).wrap(KEY, CONTEXT)
    assert KEY not in wrapped
    assert AwsKms(key_id, region=REGION).unwrap(wrapped, CONTEXT) == KEY


def test_what_is_wrapped_is_denied_with_another_context(key_id: str) -> None:
    wrapper = AwsKms(key_id, region=REGION)
    wrapped = wrapper.wrap(KEY, CONTEXT)
    with pytest.raises(
        KeyProviderError, match=r"decrypt: InvalidCiphertextException; check .* perm"
    ) as raised:
        wrapper.unwrap(wrapped, {**CONTEXT, "tenant": "globex"})
    assert raised.value.problem is KeyProblem.DENIED


def test_a_key_that_is_not_there_is_unknown(key_id: str) -> None:
    wrapper = AwsKms("alias/nobodys", region=REGION)
    with pytest.raises(KeyProviderError, match=r"'alias/nobodys': encrypt: NotFoundException") as raised:
        wrapper.wrap(KEY, CONTEXT)
    assert raised.value.problem is KeyProblem.UNKNOWN


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [
        ("AccessDeniedException", 400, KeyProblem.DENIED),
        ("DisabledException", 400, KeyProblem.DENIED),
        ("ExpiredTokenException", 403, KeyProblem.DENIED),
        ("IncorrectKeyException", 400, KeyProblem.DENIED),
        ("KMSInvalidStateException", 400, KeyProblem.DENIED),
        ("NotFoundException", 400, KeyProblem.UNKNOWN),
        ("ThrottlingException", 400, KeyProblem.EXHAUSTED),
        ("LimitExceededException", 400, KeyProblem.EXHAUSTED),
        ("KeyUnavailableException", 500, KeyProblem.UNREACHABLE),
        ("KMSInternalException", 500, KeyProblem.UNREACHABLE),
        ("DependencyTimeoutException", 503, KeyProblem.UNREACHABLE),
        ("ServiceUnavailable", 503, KeyProblem.UNREACHABLE),
    ],
)
def test_each_answer_is_one_problem(code: str, status: int, problem: KeyProblem) -> None:
    wrapper, stub = answering(code, status)
    error = refusal(wrapper)
    assert error.problem is problem
    assert f"'alias/checkout': decrypt: {code}; " in str(error)
    stub.assert_no_pending_responses()


def test_a_call_is_made_once_since_others_repeat_it() -> None:
    wrapper, stub = answering("ThrottlingException", 400)
    stub.add_client_error("decrypt", "AccessDeniedException", "", 400)
    assert refusal(wrapper).problem is KeyProblem.EXHAUSTED
    assert refusal(wrapper).problem is KeyProblem.DENIED


def test_where_nobody_listens_it_is_unreachable() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and doesn't listen
        wrapper = AwsKms("k", region=REGION, endpoint=f"http://127.0.0.1:{unheard.getsockname()[1]}")
        error = refusal(wrapper)
    assert error.problem is KeyProblem.UNREACHABLE
    assert "EndpointConnectionError" in str(error)


def test_without_credentials_it_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    error = refusal(AwsKms("k", region=REGION))
    assert error.problem is KeyProblem.DENIED
    assert "NoCredentialsError" in str(error)


def test_without_a_region_it_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(ConfigurationError, match=r"no region; give `region`, or set AWS_DEFAULT_REGION"):
        AwsKms("k")


def test_an_endpoint_that_is_no_url_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"keys\.aws_kms\.endpoint: not a URL") as raised:
        AwsKms("k", region=REGION, endpoint="kms")
    assert raised.value.__context__ is None


def forms_of(key: bytes) -> tuple[str, ...]:
    return key.decode(), b64encode(key).decode(), key.hex()


def test_no_key_is_logged_even_by_boto_at_debug(key_id: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrapper = AwsKms(key_id, region=REGION)
    caplog.clear()
    assert wrapper.unwrap(wrapper.wrap(KEY, CONTEXT), CONTEXT) == KEY
    assert caplog.records  # it does log
    assert not [form for form in forms_of(KEY) if form in caplog.text]


def test_others_still_hear_boto_meanwhile(key_id: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrapper = AwsKms(key_id, region=REGION)
    wrapper.wrap(KEY, CONTEXT)
    caplog.clear()
    boto3.client("kms", region_name=REGION).list_keys()
    assert "botocore.parsers" in {record.name for record in caplog.records}


def test_an_error_brings_nothing_of_botos_with_it() -> None:
    error = refusal(answering("AccessDeniedException", 400)[0])
    assert (error.__context__, error.__cause__) == (None, None)
    assert "what AWS says" not in "".join(traceback.format_exception(error))


def test_a_child_connects_anew(key_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = AwsKms(key_id, region=REGION)
    mine = wrapper._client()
    wrapped = wrapper.wrap(KEY, CONTEXT)
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert wrapper.unwrap(wrapped, CONTEXT) == KEY
    assert wrapper._client() is not mine


def test_threads_may_share_it(key_id: str) -> None:
    wrapper = AwsKms(key_id, region=REGION)
    found: list[bytes] = []

    def work() -> None:
        found.append(wrapper.unwrap(wrapper.wrap(KEY, CONTEXT), CONTEXT))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KEY] * 4


# Without the extra


def imported_without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "interceptors.keys.aws_kms")
    monkeypatch.setitem(sys.modules, name, None)
    __import__("interceptors.keys.aws_kms")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtraError, match=r"interceptors\[aws\]"):
        imported_without("boto3", monkeypatch)


def test_a_fault_of_another_import_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"botocore\.config"):
        imported_without("botocore.config", monkeypatch)
