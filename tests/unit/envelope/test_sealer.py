from __future__ import annotations

import io
import itertools
import os
import pickle
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag

from interceptors.envelope import sealer as module
from interceptors.envelope.binding import Binding, Level
from interceptors.envelope.keyset import KeySet
from interceptors.envelope.opener import Candidate, Opener
from interceptors.envelope.plaintext import encode
from interceptors.envelope.sealer import Sealed, Sealer
from interceptors.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.context import TraceContext
    from interceptors.envelope.sender_key import SenderKey

MINUTE = 60_000


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Have threads change places as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("level", Level)
def test_an_envelope_opens_to_what_was_sealed(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int, level: Level
) -> None:
    sealed = sealer.seal(context._replace(labels={"region": "eu"}), level, binding, now)

    opened = Opener().open(sealed.envelope, KeySet([sealer.key]), [Candidate(binding, level)])

    assert sealed.labels_left_out == 0
    assert opened.context == context._replace(labels={"region": "eu"})
    assert opened.issued_at == now


def test_the_head_is_version_level_kid_and_nonce(
    key: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    nonce = bytes(range(24))

    envelope = Sealer(key, rng=io.BytesIO(nonce).read).seal(context, Level.TYPE, binding, now).envelope

    assert envelope[:42] == b"\x11\x02" + key.kid + nonce
    assert len(envelope) == 122


def test_in_suite_2_a_signature_follows_over_all_that_precedes_it(
    signing: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    nonce = bytes(range(24))
    sealer = Sealer(signing, rng=io.BytesIO(nonce).read)

    envelope = sealer.seal(context, Level.TYPE, binding, now, signed=True).envelope

    assert envelope[:42] == b"\x12\x02" + signing.kid + nonce
    assert len(envelope) == 186
    assert signing.verification is not None
    signing.verification.verify(envelope[-64:], envelope[:-64])
    with pytest.raises(SignatureError):
        signing.verification.verify(envelope[-64:], b"\x11" + envelope[1:-64])


def test_the_suite_is_bound_by_the_tag(
    signing: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    bound = signing.associated_data(Level.CHANNEL, binding)

    envelope = Sealer(signing).seal(context, Level.CHANNEL, binding, now, signed=True).envelope

    def opened(associated_data: bytes) -> bytes:
        return signing.xaes.open(envelope[18:42], envelope[42:-64], associated_data)

    assert opened(b"\x12" + bound[1:]) == encode(context, now)[0]
    with pytest.raises(InvalidTag):
        opened(bound)


def test_both_suites_are_of_one_session(
    signing: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    sealer = Sealer(signing)

    first = sealer.seal(context, Level.CHANNEL, binding, now).envelope
    second = sealer.seal(context, Level.CHANNEL, binding, now, signed=True).envelope

    assert (first[0], second[0]) == (0x11, 0x12)
    assert first[18:30] == second[18:30]
    assert first[30:42] != second[30:42]


def test_a_signature_of_a_key_that_does_not_sign_is_refused(
    sealer: Sealer, readable: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    for unable in (sealer, Sealer(readable)):
        with pytest.raises(ValueError, match="no signing key"):
            unable.seal(context, Level.CHANNEL, binding, now, signed=True)


def test_labels_that_do_not_fit_are_counted(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    labels = {f"label-{n}": "v" * 64 for n in range(10)}

    sealed = sealer.seal(context._replace(labels=labels), Level.CHANNEL, binding, now)

    # Each takes 8 bytes for its name and 66 for its value, of the 471 there are.
    assert sealed.labels_left_out == 10 - 471 // 74
    assert repr(sealed) == "Sealed(labels_left_out=4)"


def test_each_envelope_has_a_nonce_of_its_own_in_the_same_session(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    first, second = (sealer.seal(context, Level.CHANNEL, binding, now).envelope for _ in range(2))

    assert first[18:30] == second[18:30]
    assert first[30:42] != second[30:42]
    assert first[42:] != second[42:]


def test_two_sealers_of_one_key_have_different_sessions(
    key: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    first, second = (Sealer(key).seal(context, Level.CHANNEL, binding, now).envelope for _ in range(2))

    assert first[18:30] != second[18:30]


def test_a_session_ends_after_so_many_messages(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSION_MESSAGES", 3)

    salts = [sealer.seal(context, Level.CHANNEL, binding, now).envelope[18:30] for _ in range(7)]

    assert [len(list(same)) for _, same in itertools.groupby(salts)] == [3, 3, 1]
    assert len(set(salts)) == 3


def test_a_session_has_two_to_the_twentieth_messages(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    first = sealer.seal(context, Level.CHANNEL, binding, now).envelope
    session = sealer._session
    assert session is not None
    for _ in range(2**20 - 2):
        next(session.envelopes)

    last = sealer.seal(context, Level.CHANNEL, binding, now).envelope
    following = sealer.seal(context, Level.CHANNEL, binding, now).envelope

    assert last[18:30] == first[18:30]
    assert following[18:30] != first[18:30]


@pytest.mark.parametrize(
    ("later", "goes_on"),
    [(0, True), (15 * MINUTE - 1, True), (15 * MINUTE, False), (24 * 60 * MINUTE, False), (-1, False)],
)
def test_a_session_ends_after_fifteen_minutes_and_when_the_clock_goes_back(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int, later: int, *, goes_on: bool
) -> None:
    first = sealer.seal(context, Level.CHANNEL, binding, now).envelope
    second = sealer.seal(context, Level.CHANNEL, binding, now + later).envelope

    assert (first[18:30] == second[18:30]) is goes_on


# Other tests may have left threads behind; this child does nothing that one of them could hold a lock for.
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_child_after_a_fork_has_a_session_of_its_own(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    before = sealer.seal(context, Level.CHANNEL, binding, now).envelope
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, sealer.seal(context, Level.CHANNEL, binding, now).envelope)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        of_the_child = pipe.read()
    assert os.waitpid(child, 0) == (child, 0)

    after = sealer.seal(context, Level.CHANNEL, binding, now).envelope

    assert of_the_child[:18] == before[:18]
    assert of_the_child[18:30] != before[18:30]
    assert after[18:30] == before[18:30]


@pytest.mark.usefixtures("frequent_switches")
def test_threads_repeat_no_nonce_and_overrun_no_session(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSION_MESSAGES", 10)
    together = threading.Barrier(8)
    heads: list[bytes] = []

    def seal_some() -> None:
        together.wait()
        heads.extend(sealer.seal(context, Level.CHANNEL, binding, now).envelope[18:42] for _ in range(100))

    threads = [threading.Thread(target=seal_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(heads)) == 800
    assert max(Counter(head[:12] for head in heads).values()) <= 10


def test_random_bytes_are_the_operating_system_s(key: SenderKey) -> None:
    assert Sealer(key)._rng is os.urandom


def test_no_nonce_waits_in_memory_where_a_clone_of_the_machine_would_have_it_too(
    key: SenderKey, context: TraceContext, binding: Binding, now: int
) -> None:
    drawn: list[bytes] = []

    def draw(size: int) -> bytes:
        drawn.append(os.urandom(size))
        return drawn[-1]

    sealer = Sealer(key, rng=draw)
    envelopes = [sealer.seal(context, Level.CHANNEL, binding, now).envelope for _ in range(3)]

    assert drawn == [envelopes[0][18:30], *(envelope[30:42] for envelope in envelopes)]


@pytest.mark.parametrize("unbindable", [Binding("c" * 65536), Binding("\ud800")])
def test_what_cannot_be_bound_is_refused(
    sealer: Sealer, context: TraceContext, now: int, unbindable: Binding
) -> None:
    with pytest.raises(ValueError, match="is bound"):
        sealer.seal(context, Level.CHANNEL, unbindable, now)


def test_a_context_without_a_place_in_the_format_is_refused(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    with pytest.raises(ValueError, match="all zero"):
        sealer.seal(context._replace(span_id=bytes(8)), Level.CHANNEL, binding, now)


def test_neither_repr_nor_pickling_gives_the_key_or_an_envelope_away(
    sealer: Sealer, context: TraceContext, binding: Binding, now: int
) -> None:
    sealed = sealer.seal(context, Level.CHANNEL, binding, now)

    assert isinstance(sealed, Sealed)
    assert "\\x" not in repr(sealed)
    assert sealer.key.key.hex() not in repr(sealer)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Sealer(sealer.key))
