from __future__ import annotations

import pickle

import pytest

from interceptors import errors
from interceptors.errors import (
    Answer,
    AuditError,
    ConfigurationError,
    EnvelopeError,
    InterceptorError,
    KeyProblem,
    KeyProviderError,
    LeakError,
    MissingExtraError,
    PolicyError,
    RejectedError,
    SignatureError,
    TokenError,
    TokenProblem,
    TrustError,
    TrustProblem,
)

ALL = [
    ConfigurationError("interceptors.yaml: no service"),
    PolicyError("policy.yaml: channels[2].binding: no such level", path="channels[2].binding"),
    TrustError("policy.dsse.json: one signature of two", problem=TrustProblem.TOO_FEW),
    MissingExtraError("kafka", "aiokafka"),
    SignatureError("not a signature by the key 0123"),
    AuditError("audit.jsonl: can't be written"),
    TokenError("no such token", problem=TokenProblem.UNKNOWN),
    EnvelopeError(Answer.NOT_AUTHENTIC),
    KeyProviderError("the key service does not answer", problem=KeyProblem.UNREACHABLE),
    LeakError("email at $.customer"),
    RejectedError(channel="orders", verdict="missing", coordinate=("orders", 3, 17)),
]


def test_the_list_above_has_every_error() -> None:
    defined = {
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, BaseException)
    }

    assert defined == {InterceptorError, *map(type, ALL)}


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_everything_is_an_interceptor_error(error: InterceptorError) -> None:
    assert isinstance(error, InterceptorError)
    assert type(error).__name__.endswith("Error")


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_goes_through_a_process_pool(error: InterceptorError, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - what was pickled is ours

    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConfigurationError("x"), ValueError),
        (PolicyError("x"), ValueError),
        (MissingExtraError("kafka", "aiokafka"), ImportError),
        (MissingExtraError("kafka", "aiokafka"), ConfigurationError),
        (PolicyError("x"), ConfigurationError),
        (TrustError("x", problem=TrustProblem.EXPIRED), PolicyError),
    ],
)
def test_an_error_is_also_what_callers_expect_of_python(
    error: InterceptorError, builtin: type[Exception]
) -> None:
    assert isinstance(error, builtin)


@pytest.mark.parametrize("answer", Answer)
def test_the_text_of_an_envelope_error_is_the_answer(answer: Answer) -> None:
    error = EnvelopeError(answer)

    assert error.answer is answer
    assert str(error) == answer.value


def test_the_answers_are_the_specification_s() -> None:
    assert set(Answer) == {
        "malformed",
        "unsupported version",
        "unknown key",
        "revoked key",
        "not authentic",
    }


@pytest.mark.parametrize(
    ("problem", "retryable"),
    [
        (KeyProblem.UNKNOWN, False),
        (KeyProblem.DENIED, False),
        (KeyProblem.EXHAUSTED, True),
        (KeyProblem.UNREACHABLE, True),
    ],
)
def test_what_may_pass_without_help_is_retryable(problem: KeyProblem, *, retryable: bool) -> None:
    error = KeyProviderError("no key", problem=problem)

    assert error.problem is problem
    assert error.retryable is retryable
    assert str(error) == "no key"


@pytest.mark.parametrize(
    ("problem", "retryable"),
    [
        (TokenProblem.UNKNOWN, False),
        (TokenProblem.DENIED, False),
        (TokenProblem.LIMITED, True),
        (TokenProblem.UNREACHABLE, True),
    ],
)
def test_a_token_that_may_be_had_later_is_retryable(problem: TokenProblem, *, retryable: bool) -> None:
    error = TokenError("no token", problem=problem)

    assert (error.problem, error.retryable, str(error)) == (problem, retryable, "no token")


def test_a_document_that_is_not_trusted_says_why_and_where() -> None:
    error = TrustError("policy.yaml: expired", problem=TrustProblem.EXPIRED, path="expires")

    assert (error.problem, error.path) == (TrustProblem.EXPIRED, "expires")


def test_a_policy_error_has_a_place() -> None:
    assert PolicyError("text", path="channels[2]").path == "channels[2]"
    assert PolicyError("text").path == ""


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("kafka", "aiokafka")

    assert "pip install 'interceptors[kafka]'" in str(error)
    assert "aiokafka" in str(error)
    assert error.extra == "kafka"


def test_a_rejection_says_where_the_message_lies() -> None:
    error = RejectedError(channel="orders", verdict="replay", coordinate=("orders", 3, 17))

    assert str(error) == "channel 'orders' rejects a message whose envelope is replay at ('orders', 3, 17)"
    assert (error.channel, error.verdict, error.coordinate) == ("orders", "replay", ("orders", 3, 17))


def test_a_rejection_without_a_place_says_none() -> None:
    error = RejectedError(channel="orders", verdict="missing", coordinate=None)

    assert str(error) == "channel 'orders' rejects a message whose envelope is missing"
