from __future__ import annotations

import pytest

from interceptors.envelope import SenderKey
from interceptors.errors import KeyProblem, KeyProviderError
from interceptors.keys.retrying import ATTEMPTS, FIRST_PAUSE_S, LONGEST_PAUSE_S, RetryingKeys

KEY = SenderKey("acme", "checkout", bytes(32))


class Provider:
    """Fails in turn with each of the problems that it is given; each call takes `takes` seconds."""

    def __init__(self, *problems: KeyProblem) -> None:
        self.problems = list(problems)
        self.now = 0.0
        self.takes = 0.0
        self.calls = 0
        self.pauses: list[float] = []
        self.bounds: list[tuple[float, float]] = []

    def _ask(self) -> SenderKey:
        self.calls += 1
        self.now += self.takes
        if self.problems:
            raise KeyProviderError("not now", problem=self.problems.pop(0))
        return KEY

    def sealing_key(self, tenant: str) -> SenderKey:
        assert tenant == "acme"
        return self._ask()

    def opening_key(self, kid: bytes) -> SenderKey:
        assert kid == KEY.kid
        return self._ask()

    def revoked(self) -> frozenset[bytes]:
        return frozenset({KEY.kid})

    def refresh(self) -> bool:
        self._ask()
        return True

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def draw(self, lowest: float, highest: float) -> float:
        self.bounds.append((lowest, highest))
        return highest

    def retrying(self, *, attempts: int = ATTEMPTS, total: float = 100.0) -> RetryingKeys:
        return RetryingKeys(
            self,
            attempts=attempts,
            total=total,
            sleep=self.sleep,
            clock=lambda: self.now,
            draw=self.draw,
        )


@pytest.mark.parametrize("problem", [KeyProblem.UNREACHABLE, KeyProblem.EXHAUSTED])
def test_what_may_come_later_is_asked_for_again(problem: KeyProblem) -> None:
    provider = Provider(problem, problem)
    assert provider.retrying().sealing_key("acme") is KEY
    assert provider.calls == 3


@pytest.mark.parametrize("problem", [KeyProblem.DENIED, KeyProblem.UNKNOWN])
def test_what_will_not_come_is_asked_for_once(problem: KeyProblem) -> None:
    provider = Provider(problem)
    with pytest.raises(KeyProviderError) as raised:
        provider.retrying().opening_key(KEY.kid)
    assert (raised.value.problem, provider.calls, provider.pauses) == (problem, 1, [])


def test_what_becomes_hopeless_is_given_up() -> None:
    provider = Provider(KeyProblem.UNREACHABLE, KeyProblem.DENIED)
    with pytest.raises(KeyProviderError) as raised:
        provider.retrying().opening_key(KEY.kid)
    assert (raised.value.problem, provider.calls) == (KeyProblem.DENIED, 2)


def test_it_is_asked_so_often_at_the_most() -> None:
    provider = Provider(*[KeyProblem.UNREACHABLE] * 9)
    with pytest.raises(KeyProviderError):
        provider.retrying(attempts=4).opening_key(KEY.kid)
    assert provider.calls == 4
    assert len(provider.pauses) == 3  # and no pause after the last


def test_pauses_are_drawn_from_nothing_to_twice_the_most_of_before() -> None:
    provider = Provider(*[KeyProblem.EXHAUSTED] * 6)
    assert provider.retrying(attempts=7).sealing_key("acme") is KEY
    highest = [min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) for n in range(6)]
    assert provider.bounds == [(0, most) for most in highest]
    assert provider.pauses == highest


def test_pauses_are_random_and_waited_for_unless_a_test_says_otherwise() -> None:
    provider = Provider(KeyProblem.UNREACHABLE)
    assert RetryingKeys(provider).sealing_key("acme") is KEY
    assert provider.calls == 2


def test_no_attempt_begins_after_the_total_time() -> None:
    provider = Provider(*[KeyProblem.UNREACHABLE] * 9)
    provider.takes = 1.0
    with pytest.raises(KeyProviderError):
        provider.retrying(attempts=9, total=3.0).sealing_key("acme")
    # Calls begin at 0, 1.1 and 2.3; the pause after the third would end at 3.7.
    assert provider.calls == 3
    assert provider.now == pytest.approx(3.3)


def test_looking_for_changes_comes_again_by_itself() -> None:
    provider = Provider(KeyProblem.UNREACHABLE)
    keys = provider.retrying()
    with pytest.raises(KeyProviderError):
        keys.refresh()
    assert (keys.refresh(), provider.calls) == (True, 2)
    assert keys.revoked() == {KEY.kid}
