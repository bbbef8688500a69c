from __future__ import annotations

import array
import decimal
from typing import TYPE_CHECKING, Any

import pytest

from interceptors.context import TraceContext, new_root
from interceptors.envelope import (
    KeySet,
    Level,
    Opener,
    Sealer,
    SenderKey,
    derive_sender_key,
    derive_signing_key,
    derive_token_key,
    to_text,
)
from interceptors.errors import Answer
from interceptors.message import Message
from interceptors.pipeline import Receipt, Unsealed, on_receive, on_received, on_send
from interceptors.policy import Accept, Channel, check_policy, parse_policy
from interceptors.replay import ReplayWindow, Verdict
from interceptors.scan import Unscanned

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.envelope import TokenKey
    from interceptors.pipeline import Outgoing
    from interceptors.policy import Policy, Screened

NOW = 1_790_000_000_000
DAY = 24 * 3_600_000
CHECKOUT = derive_sender_key(bytes(range(32)), "acme", "checkout")
SEARCH = derive_sender_key(bytes(range(32)), "acme", "search")
KEYS = KeySet([CHECKOUT, SEARCH])
STRANGER = derive_sender_key(bytes(range(1, 33)), "acme", "checkout")

POLICY = parse_policy(
    """
version: 1
channels:
  - name: orders
    match: {kafka: [orders, eu.orders, "orders.retry.*", orders.dlq]}
  - {name: bound, match: {kafka: [bound]}, binding: message}
  - {name: moving, match: {kafka: [moving]}, binding: message, lowest_level: channel}
  - {name: typed, match: {kafka: [typed]}, binding: type}
  - {name: silent, match: {kafka: [silent]}, emit: none, accept: none}
  - {name: required, match: {kafka: [required]}, accept: required, senders: [checkout]}
  - {name: strict, match: {kafka: [strict]}, accept: reject}
  - {name: lax, match: {kafka: [lax, both]}, accept: none}
  - {name: hard, match: {kafka: [hard, both]}, accept: reject}
  - {name: a, match: {kafka: [a, shared]}}
  - {name: b, match: {kafka: [b, shared]}}
  - {name: c, match: {kafka: [c, shared]}, max_age: 1s}
  - {name: d, match: {kafka: [d, "share?"]}}
  - {name: exchanged, match: {rabbitmq: [checkout]}}
  - {name: queued, match: {rabbitmq: [mail]}, accept: reject}
""",
    "policy.yaml",
)


POLICY_RETRY_MS = 120_000


def send(
    message: Message, *, policy: Policy = POLICY, key: Any = CHECKOUT, context: TraceContext | None = None
) -> Outgoing:
    return on_send(
        message,
        context=context or new_root(),
        channel=policy.channels(message.system, message.destination)[0],
        sealer=None if key is None else Sealer(key),
        now=NOW,
        ticks=lambda: 0,
    )


def kafka(topic: str, **fields: Any) -> Message:
    return Message("kafka", topic, **fields)


def sealed(message: Message, **how: Any) -> bytes:
    envelope = send(message, **how).envelope
    assert envelope is not None
    return envelope


@pytest.fixture
def receive() -> Callable[..., Receipt]:
    """Receives messages, as one consumer that holds the keys of `checkout` and `search`."""
    opener, window = Opener(), ReplayWindow()

    def receive(message: Message, *envelopes: object, after: int = 0, keys: KeySet = KEYS) -> Receipt:
        received = message._replace(envelopes=envelopes)
        return on_receive(received, policy=POLICY, keys=keys, opener=opener, window=window, now=NOW + after)

    return receive


def test_a_trace_goes_on_in_the_receiver(receive: Any) -> None:
    context = new_root()
    receipt = receive(kafka("orders"), sealed(kafka("orders"), context=context))
    assert (receipt.verdict, receipt.answer) == (Verdict.FRESH, None)
    assert (receipt.tenant, receipt.sender, receipt.channel.name) == ("acme", "checkout", "orders")
    assert receipt.parent == context
    assert receipt.traced
    assert not receipt.rejected


def test_a_channel_that_emits_nothing_gets_nothing() -> None:
    outgoing = send(kafka("silent"))
    assert (outgoing.envelope, outgoing.unsealed, outgoing.traced) == (None, None, False)


def test_without_a_key_nothing_is_attached_and_the_reason_is_given() -> None:
    outgoing = send(kafka("orders"), key=None)
    assert (outgoing.envelope, outgoing.unsealed) == (None, Unsealed.NO_KEY)
    assert outgoing.traced


def released(body: bytes) -> memoryview:
    view = memoryview(body)
    view.release()
    return view


@pytest.mark.parametrize(
    "body",
    ["text", {"order": 7}, 7, memoryview(b"abcd")[::2], released(b"x"), array.array("b", b"x")],
    ids=["text", "mapping", "number", "view with gaps", "released view", "array"],
)
def test_a_body_that_is_not_bytes_yet_is_not_bound(receive: Any, body: object) -> None:
    outgoing = send(kafka("bound", body=body))
    assert (outgoing.envelope, outgoing.unsealed) == (None, Unsealed.BODY_NOT_BYTES)
    receipt = receive(kafka("bound", body=body), sealed(kafka("bound", body=b"abcd")))
    assert (receipt.verdict, receipt.answer) == (Verdict.INVALID, Answer.NOT_AUTHENTIC)
    # Where the body is not bound, it does not matter.
    assert receive(kafka("orders", body=body), sealed(kafka("orders", body=body))).verdict is Verdict.FRESH


@pytest.mark.parametrize(
    "message",
    [
        kafka("t" * 0x10000),
        kafka("\ud800"),
        kafka("typed", type="\ud800"),
        kafka("bound", id="i" * 0x10000, body=b""),
    ],
)
def test_a_name_that_cannot_be_bound_is_no_reason_to_fail(receive: Any, message: Message) -> None:
    outgoing = send(message)
    assert (outgoing.envelope, outgoing.unsealed) == (None, Unsealed.UNBINDABLE)
    for envelope in (sealed(kafka("orders")), sealed(kafka("bound", body=b""))):
        assert receive(message, envelope).answer is Answer.NOT_AUTHENTIC


def test_labels_that_do_not_fit_are_counted_and_cost_nothing_else(receive: Any) -> None:
    context = new_root()._replace(labels={"region": "eu", "": "no name", "long": "x" * 65})
    outgoing = send(kafka("orders"), context=context)
    assert outgoing.labels_left_out == 2
    assert receive(kafka("orders"), outgoing.envelope).parent.labels == {"region": "eu"}


@pytest.mark.parametrize("body", [None, b"", b"body", bytearray(b"body"), memoryview(b"body")])
def test_an_envelope_that_is_bound_to_its_message_opens_there_and_nowhere_else(
    receive: Any, body: object
) -> None:
    message = kafka("bound", body=body, id="1", type="order")
    envelope = sealed(message)
    assert receive(message, envelope).verdict is Verdict.FRESH
    others = [
        message._replace(body=b"other"),
        message._replace(body=b"" if body is None else None),
        message._replace(id="2"),
        message._replace(type="refund"),
        message._replace(destination="moving"),
    ]
    assert {receive(other, envelope).answer for other in others} == {Answer.NOT_AUTHENTIC}


def test_bytes_are_bytes_however_they_are_held(receive: Any) -> None:
    envelope = sealed(kafka("bound", body=b"body"))
    for body in (bytearray(b"body"), memoryview(b"-body")[1:]):
        assert receive(kafka("bound", body=body), envelope).sender == "checkout"


def test_type_and_channel_bind_as_they_say(receive: Any) -> None:
    envelope = sealed(kafka("typed", type="order", id="1", body=b"a"))
    assert receive(kafka("typed", type="order", id="2", body=b"b"), envelope).verdict is Verdict.FRESH
    assert receive(kafka("typed", type="refund"), envelope).answer is Answer.NOT_AUTHENTIC
    envelope = sealed(kafka("orders", type="order"))
    assert receive(kafka("orders", type="refund"), envelope).verdict is Verdict.FRESH
    assert receive(kafka("a"), envelope).answer is Answer.NOT_AUTHENTIC


@pytest.mark.parametrize("topic", ["eu.orders", "orders.retry.5m", "orders.dlq"])
def test_mirrors_retries_and_dead_letters_are_the_same_channel(receive: Any, topic: str) -> None:
    receipt = receive(kafka(topic), sealed(kafka("orders")))
    assert (receipt.verdict, receipt.channel.name) == (Verdict.FRESH, "orders")


@pytest.mark.parametrize("topic", ["a", "b", "c"])
def test_a_shared_topic_is_each_of_the_channels_that_list_it(receive: Any, topic: str) -> None:
    receipt = receive(kafka("shared"), sealed(kafka(topic)))
    assert (receipt.verdict, receipt.channel.name) == (Verdict.FRESH, topic)


def test_a_fourth_channel_is_not_tried(receive: Any) -> None:
    assert receive(kafka("shared"), sealed(kafka("d"))).answer is Answer.NOT_AUTHENTIC


def test_the_rules_of_the_channel_it_was_sealed_for_count(receive: Any) -> None:
    assert receive(kafka("shared"), sealed(kafka("a")), after=1001).verdict is Verdict.FRESH
    assert receive(kafka("shared"), sealed(kafka("c")), after=1001).verdict is Verdict.STALE


def test_a_sender_that_the_channel_does_not_list_is_unknown_there(receive: Any) -> None:
    receipt = receive(kafka("required"), sealed(kafka("required"), key=SEARCH))
    assert (receipt.verdict, receipt.answer, receipt.opened) == (Verdict.INVALID, Answer.UNKNOWN_KEY, None)
    assert receive(kafka("required"), sealed(kafka("required"))).verdict is Verdict.FRESH


def test_the_receivers_policy_sets_the_lowest_level(receive: Any) -> None:
    loose = parse_policy(
        """
version: 1
channels:
  - {name: bound, match: {kafka: [bound]}}
  - {name: moving, match: {kafka: [moving]}}
""",
        "policy.yaml",
    )
    assert loose.channels("kafka", "bound")[0].level is Level.CHANNEL
    refused = receive(kafka("bound"), sealed(kafka("bound"), policy=loose))
    assert refused.answer is Answer.NOT_AUTHENTIC
    assert receive(kafka("moving"), sealed(kafka("moving"), policy=loose)).verdict is Verdict.FRESH


def test_a_second_envelope_makes_both_invalid(receive: Any) -> None:
    envelope = sealed(kafka("orders"))
    receipt = receive(kafka("orders"), envelope, envelope)
    assert (receipt.verdict, receipt.answer, receipt.parent) == (Verdict.INVALID, Answer.MALFORMED, None)


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]  # it has none, as a list has none

    def __len__(self) -> int:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (None, Answer.MALFORMED),
        (7, Answer.MALFORMED),
        (1.5, Answer.MALFORMED),
        (decimal.Decimal(1), Answer.MALFORMED),
        ([b"list"], Answer.MALFORMED),
        ({"a": [1]}, Answer.MALFORMED),
        (Hostile(), Answer.MALFORMED),
        ("", Answer.MALFORMED),
        ("\ud800", Answer.MALFORMED),
        ("E" * 5000, Answer.MALFORMED),
        (array.array("d", [1.0]), Answer.MALFORMED),
        (released(b"x"), Answer.MALFORMED),
        (b"", Answer.MALFORMED),
        (b"\x11", Answer.MALFORMED),
        (bytes(2000), Answer.MALFORMED),
        (b"\x12" + bytes(121), Answer.MALFORMED),
        (b"\x13" + bytes(121), Answer.UNSUPPORTED_VERSION),
        (bytearray(b"\x00"), Answer.UNSUPPORTED_VERSION),
        (memoryview(b"abcd")[::2], Answer.UNSUPPORTED_VERSION),
        (b"\x11\x01" + bytes(120), Answer.UNKNOWN_KEY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_header_of_any_type_is_at_worst_invalid(receive: Any, value: object, answer: Answer) -> None:
    receipt = receive(kafka("orders"), value)
    assert (receipt.verdict, receipt.answer) == (Verdict.INVALID, answer)
    assert (receipt.tenant, receipt.sender, receipt.parent) == (None, None, None)
    assert not receipt.rejected
    assert receive(kafka("strict"), value).rejected


def test_the_text_form_and_other_bytes_open_as_well(receive: Any) -> None:
    envelope = sealed(kafka("orders"))
    text = to_text(envelope)
    for value in (text, text.encode(), f"{text}==", bytearray(envelope), memoryview(envelope)):
        assert receive(kafka("orders"), value).sender == "checkout"


def test_a_key_that_is_not_held_or_revoked_is_said_to_be(receive: Any) -> None:
    assert receive(kafka("orders"), sealed(kafka("orders"), key=STRANGER)).answer is Answer.UNKNOWN_KEY
    revoked = KeySet([CHECKOUT], [CHECKOUT.kid])
    assert receive(kafka("orders"), sealed(kafka("orders")), keys=revoked).answer is Answer.REVOKED_KEY


@pytest.mark.parametrize(
    ("topic", "accept", "verdict"),
    [
        ("orders", Accept.OPTIONAL, None),
        ("required", Accept.REQUIRED, Verdict.MISSING),
        ("strict", Accept.REJECT, Verdict.MISSING),
        ("silent", Accept.NONE, None),
    ],
)
def test_what_no_envelope_means_depends_on_the_channel(
    receive: Any, topic: str, accept: Accept, verdict: Verdict | None
) -> None:
    receipt = receive(kafka(topic))
    assert (receipt.channel.accept, receipt.verdict, receipt.opened) == (accept, verdict, None)
    assert receipt.rejected == (accept is Accept.REJECT)
    assert receipt.traced == (accept is not Accept.NONE)


def test_a_channel_that_accepts_none_opens_nothing(receive: Any) -> None:
    for envelopes in ((sealed(kafka("orders")),), (b"", b""), (Hostile(),)):
        receipt = receive(kafka("silent"), *envelopes)
        assert (receipt.verdict, receipt.opened, receipt.rejected) == (None, None, False)


@pytest.mark.parametrize(
    ("after", "topic", "verdict"),
    [
        (0, "strict", Verdict.REDELIVERY),
        (60_000, "elsewhere", Verdict.DUPLICATE),
        (120_001, "elsewhere", Verdict.REPLAY),
    ],
)
def test_a_second_sight_is_judged_by_place_and_time(
    receive: Any, after: int, topic: str, verdict: Verdict
) -> None:
    envelope = sealed(kafka("strict"))
    receive(kafka("strict", coordinate=("strict", 0, 1)), envelope)
    again = receive(kafka("strict", coordinate=(topic, 0, 1)), envelope, after=after)
    assert again.verdict is verdict
    assert again.rejected == (verdict is Verdict.REPLAY)
    assert (again.parent is None) == (verdict is Verdict.REPLAY)
    assert again.sender == "checkout"


@pytest.mark.parametrize(("after", "verdict"), [(7 * DAY + 1, Verdict.STALE), (-60_001, Verdict.FUTURE)])
def test_out_of_time_a_trace_starts_anew_and_is_known_still(
    receive: Any, after: int, verdict: Verdict
) -> None:
    receipt = receive(kafka("strict"), sealed(kafka("strict")), after=after)
    assert (receipt.verdict, receipt.parent, receipt.rejected) == (verdict, None, True)
    assert receipt.opened is not None


def test_where_messages_have_no_place_a_second_sight_is_a_redelivery(receive: Any) -> None:
    envelope = sealed(kafka("orders"))
    assert [receive(kafka("orders"), envelope).verdict for _ in range(2)] == [
        Verdict.FRESH,
        Verdict.REDELIVERY,
    ]


def test_where_the_broker_tells_the_same_place_is_that_of_many_messages(receive: Any) -> None:
    envelope = sealed(amqp("checkout"))
    message = amqp("checkout", coordinate=("checkout",), redelivered=False)
    assert [
        receive(message._replace(redelivered=redelivered), envelope, after=after).verdict
        for redelivered, after in ((False, 0), (True, 1), (False, 2), (False, POLICY_RETRY_MS + 1))
    ] == [Verdict.FRESH, Verdict.REDELIVERY, Verdict.DUPLICATE, Verdict.REPLAY]


def amqp(name: str, **fields: Any) -> Message:
    return Message("rabbitmq", name, **fields)


def test_a_queue_that_nobody_lists_is_of_its_exchanges_channel(receive: Any) -> None:
    envelope = sealed(amqp("checkout"))
    receipt = receive(amqp("invoices", via="checkout"), envelope)
    assert (receipt.channel.name, receipt.verdict) == ("exchanged", Verdict.FRESH)
    assert receive(amqp("invoices"), envelope).answer is Answer.NOT_AUTHENTIC


def test_a_queue_that_is_listed_is_of_its_own_channel_whatever_it_came_by(receive: Any) -> None:
    receipt = receive(amqp("mail", via="checkout"), sealed(amqp("checkout")))
    assert (receipt.channel.name, receipt.answer) == ("queued", Answer.NOT_AUTHENTIC)
    assert receipt.rejected
    assert receive(amqp("mail", via="checkout"), sealed(amqp("mail"))).verdict is Verdict.FRESH


def test_where_nobody_lists_queue_or_exchange_the_trace_goes_on_all_the_same(receive: Any) -> None:
    receipt = receive(amqp("unlisted", via="amq.topic"), sealed(amqp("amq.topic")))
    assert (receipt.channel.name, receipt.verdict) == ("amq.topic", Verdict.FRESH)
    assert (
        receive(amqp("unlisted"), sealed(amqp("unlisted"))).verdict is Verdict.FRESH
    )  # the default exchange


def test_a_task_is_bound_to_its_name_where_nothing_is_said(receive: Any) -> None:
    task = Message("celery", "orders", type="orders.charge", id="1")
    envelope = sealed(task)
    assert receive(task._replace(id="2"), envelope).verdict is Verdict.FRESH
    assert receive(task._replace(type="orders.refund"), envelope).answer is Answer.NOT_AUTHENTIC


def test_the_repr_of_what_is_to_be_attached_shows_no_envelope() -> None:
    outgoing = send(kafka("orders"))
    assert repr(outgoing) == "Outgoing(channel='orders', unsealed=None)"


def test_where_a_topic_is_of_several_channels_the_strictest_refuses(receive: Any) -> None:
    envelope = sealed(kafka("lax"))
    first = receive(kafka("both", coordinate=("both", 0, 1)), envelope)
    again = receive(kafka("both", coordinate=("both", 0, 2)), envelope, after=POLICY_RETRY_MS + 1)
    assert (first.verdict, first.rejected) == (Verdict.FRESH, False)
    assert (again.verdict, again.rejected) == (Verdict.REPLAY, True)
    assert receive(kafka("both")).rejected
    assert receive(kafka("both"), b"no envelope").rejected


def test_a_channel_of_its_own_is_not_opened_where_nothing_is_accepted(receive: Any) -> None:
    receipt = receive(kafka("lax"), sealed(kafka("lax")))
    assert (receipt.verdict, receipt.traced, receipt.rejected) == (None, False, False)


@pytest.mark.parametrize(
    ("topic", "guards", "rejected"),
    [
        ("orders", (), False),
        ("orders", ("a", "strict"), True),
        ("orders", ("both",), True),
        ("orders", ("a", "required"), False),
        ("silent", ("strict",), True),
    ],
)
def test_a_guard_refuses_what_may_not_continue_and_nothing_else(
    receive: Any,
    topic: str,
    guards: tuple[str, ...],
    rejected: bool,  # noqa: FBT001 - what is expected
) -> None:
    message = kafka(topic, guards=guards)

    assert receive(message).rejected is rejected
    assert receive(message, sealed(kafka("strict"))).rejected is rejected  # not opened as a guard's
    if topic == "orders":
        genuine = receive(message, sealed(kafka(topic)))
        assert (genuine.channel.name, genuine.verdict, genuine.rejected) == ("orders", Verdict.FRESH, False)


# --- headers that may not go --------------------------------------------------------------------------------

CLEAR = ("TraceParent", b"00-in-clear")
QUOTE = ("argsrepr", "('a@example.com',)")
PLAIN = ("name", b"value")


@pytest.mark.parametrize("key", [CHECKOUT, None], ids=["with a key", "without"])
def test_no_trace_in_clear_goes_where_the_channel_seals(key: SenderKey | None) -> None:
    message = kafka("orders", headers=[CLEAR, PLAIN])
    outgoing = send(message, key=key)

    assert outgoing.seals
    assert outgoing.message == message._replace(headers=[PLAIN])
    assert message.headers == [CLEAR, PLAIN]


def test_a_trace_in_clear_goes_where_the_channel_does_not_seal() -> None:
    message = kafka("silent", headers=[CLEAR, PLAIN])
    outgoing = send(message)

    assert not outgoing.seals
    assert outgoing.message is message


@pytest.mark.parametrize("emit", ["sealed", "none"])
@pytest.mark.parametrize(("rule", "headers"), [("removed", [PLAIN]), ("kept", [QUOTE, PLAIN])])
def test_what_is_told_of_a_task_goes_where_the_channel_keeps_it(
    emit: str, rule: str, headers: list[tuple[str, object]]
) -> None:
    policy = check_policy({"version": 1, "default": {"task_metadata": rule, "emit": emit}}, "policy")
    message = Message("celery", "orders", headers=[QUOTE, PLAIN], task_metadata=frozenset({QUOTE[0]}))

    assert send(message, policy=policy).message.headers == headers
    assert message.headers == [QUOTE, PLAIN]


def test_what_does_not_go_is_not_looked_into() -> None:
    message = Message("celery", "orders", headers=[("baggage", QUOTE[1]), QUOTE, ("contact", QUOTE[1])])
    outgoing = send(message._replace(task_metadata=frozenset({QUOTE[0]})), policy=screening(on_leak="block"))

    assert outgoing.blocked == ("personal.email at headers.contact",)
    assert outgoing.message.headers == [("contact", QUOTE[1])]


# --- payloads -----------------------------------------------------------------------------------------------

EMAIL = b'{"to": "a@example.com"}'
MASKED = b'{"to": "*************"}'


def screening(**rules: Any) -> Policy:
    return check_policy({"version": 1, "default": {"payload": rules, "binding": "message"}}, "policy")


def received(message: Message, policy: Policy) -> tuple[Receipt, Screened | None]:
    receipt = on_receive(message, policy=policy, keys=KEYS, opener=Opener(), window=ReplayWindow(), now=NOW)
    return receipt, on_received(message, receipt, ticks=lambda: 0)


def test_without_rules_for_payloads_a_message_goes_as_it_is() -> None:
    message = kafka("orders", body=EMAIL, headers=[("a", b"b")])
    outgoing = send(message)

    assert outgoing.screened is None
    assert outgoing.message is message
    assert received(message, POLICY)[1] is None


def test_an_envelope_is_bound_to_what_is_sent_instead() -> None:
    policy = screening(on_leak="redact")
    message = kafka("orders", body=EMAIL)
    outgoing = send(message, policy=policy)
    body = outgoing.message.body

    assert body == MASKED
    assert outgoing.envelope is not None
    receipt, screened = received(kafka("orders", body=body, envelopes=(outgoing.envelope,)), policy)
    assert receipt.verdict is Verdict.FRESH
    assert screened is not None
    assert screened.findings == ()


def test_what_is_blocked_is_not_sealed() -> None:
    outgoing = send(kafka("orders", body=EMAIL), policy=screening(on_leak="block"))

    assert outgoing.blocked == ("personal.email at $.to",)
    assert outgoing.envelope is None
    assert outgoing.unsealed is None


def test_without_a_key_a_message_is_screened_all_the_same() -> None:
    message = kafka("orders", body=EMAIL)
    outgoing = send(message, policy=screening(on_leak="tokenize"), key=None)

    assert outgoing.unsealed is Unsealed.NO_KEY
    assert outgoing.message.body == MASKED


def tokenized(sender: str, tokens: dict[str, TokenKey]) -> tuple[object, int]:
    """What a sender with these token keys sends, and how much of it is masked."""
    key = derive_sender_key(bytes(32), "acme", sender)
    key.tokens = tokens
    message = kafka("orders", body=EMAIL)
    outgoing = send(message, policy=screening(on_leak="tokenize"), key=key)
    assert outgoing.screened is not None
    return outgoing.message.body, outgoing.screened.masked


def test_senders_that_hold_the_key_of_the_domain_write_the_same_token() -> None:
    keys = {"personal.email": derive_token_key(bytes(32), "acme", "personal.email", 3)}
    body, masked = tokenized("checkout", keys)

    assert tokenized("billing", keys) == (body, 0)
    assert isinstance(body, bytes)
    assert b'"tok3_' in body
    assert masked == 0
    other = {"personal.email": derive_token_key(bytes(32), "globex", "personal.email", 3)}
    assert tokenized("checkout", other)[0] != body


def test_without_the_key_of_the_domain_a_mask_is_written_and_counted() -> None:
    keys = {"payment.card": derive_token_key(bytes(32), "acme", "payment.card", 1)}

    assert tokenized("checkout", keys) == (MASKED, 1)


def test_what_was_received_is_screened_whatever_came_with_it() -> None:
    receipt, screened = received(kafka("orders", body=EMAIL), screening(on_leak="block"))

    assert receipt.verdict is None
    assert screened is not None
    assert [finding.class_ for finding in screened.findings] == ["personal.email"]
    assert screened.body == EMAIL


def test_the_trace_id_of_the_envelope_is_looked_for_in_what_was_received() -> None:
    policy = check_policy({"version": 1, "default": {"payload": {"on_leak": "observe"}}}, "policy")
    context = new_root()
    body = context.trace_id.hex().encode()
    envelope = sealed(kafka("orders", body=body), policy=policy, context=context)
    _, screened = received(kafka("orders", body=body, envelopes=(envelope,)), policy)

    assert screened is not None
    assert [finding.detector for finding in screened.findings] == ["own_trace_id"]


def test_what_the_sample_leaves_out_is_screened_at_neither_end() -> None:
    policy = screening(on_leak="block", sample=0)
    message = kafka("orders", body=EMAIL)

    assert send(message, policy=policy).screened is None
    assert received(message, policy)[1] is None


def test_what_the_sample_leaves_out_has_its_fields_handled_all_the_same() -> None:
    default = {
        "payload": {"on_leak": "block", "sample": 0},
        "fields": [{"path": "$.name", "class": "personal.name", "handling": "drop"}],
    }
    policy = check_policy({"version": 1, "default": default}, "policy")
    outgoing = send(kafka("orders", body=b'{"name": "a@example.com"}'), policy=policy)

    assert outgoing.screened is not None
    assert (outgoing.screened.body, outgoing.blocked) == (b'{"name": ""}', ())
    assert outgoing.envelope is not None


def test_the_time_that_a_scan_may_take_is_counted_from_its_beginning() -> None:
    policy = screening(on_leak="observe", budget={"time": "1ms"})
    ticks = iter(range(0, 10**12, 600_000))
    outgoing = on_send(
        kafka("orders", body=EMAIL * 20_000),
        context=new_root(),
        channel=policy.channels("kafka", "orders")[0],
        sealer=None,
        now=NOW,
        ticks=lambda: next(ticks),
    )

    assert outgoing.screened is not None
    assert outgoing.screened.unscanned is Unscanned.TIME


# --- labels -------------------------------------------------------------------------------------------------


def naming(*labels: str) -> Policy:
    return check_policy(
        {"version": 1, "default": {"labels": {name: {"values": ["eu", "gold"]} for name in labels}}}, "policy"
    )


def test_the_repr_of_what_was_received_shows_no_label() -> None:
    receipt = Receipt(Channel("orders"), Verdict.FRESH, labels={"region": "eu"})
    assert repr(receipt) == "Receipt(channel='orders', verdict=<Verdict.FRESH: 'fresh'>, answer=None)"


@pytest.mark.parametrize(
    ("policy", "labels"),
    [
        (naming("region", "plan"), {"region": "eu", "plan": "gold"}),
        (naming("plan", "other"), {"plan": "gold"}),
        (naming("other"), None),
        (naming(), None),
    ],
)
def test_of_the_labels_that_travelled_the_receiver_takes_up_what_its_policy_names(
    policy: Policy, labels: dict[str, str] | None
) -> None:
    context = new_root()._replace(labels={"region": "eu", "plan": "gold"})
    envelope = sealed(kafka("orders"), context=context)

    receipt, _ = received(kafka("orders", envelopes=(envelope,)), policy)

    assert receipt.labels == labels


@pytest.mark.parametrize("value", ["us", b"eu", 7, True, ""])
def test_a_value_that_the_receiver_does_not_allow_is_not_taken_up(value: Any) -> None:
    envelope = sealed(kafka("orders"), context=new_root()._replace(labels={"region": value}))

    receipt, _ = received(kafka("orders", envelopes=(envelope,)), naming("region"))

    assert (receipt.verdict, receipt.labels) == (Verdict.FRESH, None)
    assert receipt.parent is not None
    assert receipt.parent.labels == {"region": value}


def test_of_a_trace_that_may_not_continue_no_label_is_taken_up() -> None:
    envelope = sealed(kafka("orders"), context=new_root()._replace(labels={"region": "eu"}))

    receipt = on_receive(
        kafka("orders", envelopes=(envelope,)),
        policy=naming("region"),
        keys=KEYS,
        opener=Opener(),
        window=ReplayWindow(),
        now=NOW + 7 * DAY + 1,
    )

    assert (receipt.verdict, receipt.labels) == (Verdict.STALE, None)


def test_labels_are_those_of_the_channel_that_the_envelope_was_sealed_for() -> None:
    entries = [
        {"name": name, "match": {"kafka": [name, "shared"]}, "labels": {name: {"values": ["eu"]}}}
        for name in ("a", "b")
    ]
    policy = check_policy({"version": 1, "channels": entries}, "policy")
    context = new_root()._replace(labels={"a": "eu", "b": "eu"})
    for name in ("a", "b"):
        envelope = sealed(kafka(name), policy=policy, context=context)

        receipt, _ = received(kafka("shared", envelopes=(envelope,)), policy)

        assert (receipt.channel.name, receipt.labels) == (name, {name: "eu"})


# --- signed channels ----------------------------------------------------------------------------------------

SIGNED = parse_policy(
    """
version: 1
channels:
  - {name: payments, match: {kafka: [payments, mixed]}, signed: true, accept: reject}
  - {name: bodies, match: {kafka: [bodies]}, signed: true, binding: message}
  - {name: legacy, match: {kafka: [legacy, mixed]}}
""",
    "policy.yaml",
)
SIGNING = SenderKey(
    "acme", "checkout", CHECKOUT.key, signing=derive_signing_key(bytes(range(32)), "acme", "checkout")
)
READER = SenderKey("acme", "checkout", CHECKOUT.key, verification=SIGNING.verification)
FORGER = SenderKey(
    "acme", "checkout", CHECKOUT.key, signing=derive_signing_key(bytes(range(1, 33)), "acme", "checkout")
)


def received_signed(message: Message, *envelopes: bytes, keys: tuple[SenderKey, ...] = (READER,)) -> Receipt:
    return on_receive(
        message._replace(envelopes=envelopes),
        policy=SIGNED,
        keys=KeySet(keys),
        opener=Opener(),
        window=ReplayWindow(),
        now=NOW,
    )


@pytest.mark.parametrize(
    "message", [kafka("payments"), kafka("bodies", body=b"42", id="m-1")], ids=["by name", "by message"]
)
def test_on_a_signed_channel_envelopes_are_signed_and_a_trace_goes_on(message: Message) -> None:
    context = new_root()
    outgoing = send(message, policy=SIGNED, key=SIGNING, context=context)

    assert outgoing.envelope is not None
    assert (outgoing.envelope[0], len(outgoing.envelope)) == (0x12, 186)
    receipt = received_signed(message, outgoing.envelope)
    assert (receipt.verdict, receipt.sender, receipt.parent) == (Verdict.FRESH, "checkout", context)
    assert not receipt.rejected


def test_elsewhere_envelopes_are_not_signed_though_the_sender_could() -> None:
    assert sealed(kafka("legacy"), policy=SIGNED, key=SIGNING)[0] == 0x11


@pytest.mark.parametrize("key", [CHECKOUT, READER], ids=["no keys that sign", "what checks alone"])
def test_without_a_signing_key_a_message_of_a_signed_channel_goes_without_an_envelope(key: SenderKey) -> None:
    outgoing = send(kafka("payments"), policy=SIGNED, key=key)

    assert (outgoing.envelope, outgoing.unsealed) == (None, Unsealed.NO_SIGNING_KEY)
    assert outgoing.unsealed == "no signing key"
    assert send(kafka("legacy"), policy=SIGNED, key=key).envelope is not None


@pytest.mark.parametrize(
    "message", [kafka("payments"), kafka("bodies", body=b"42")], ids=["by name", "by message"]
)
def test_what_a_reader_forges_is_invalid_on_a_signed_channel(message: Message) -> None:
    unsigned = check_policy(
        {
            "version": 1,
            "channels": [
                {"name": "payments", "match": {"kafka": ["payments"]}},
                {"name": "bodies", "match": {"kafka": ["bodies"]}, "binding": "message"},
            ],
        },
        "policy",
    )
    for forged in (
        sealed(message, policy=unsigned, key=READER),
        sealed(message, policy=SIGNED, key=FORGER),
    ):
        receipt = received_signed(message, forged)
        assert (receipt.verdict, receipt.answer) == (Verdict.INVALID, Answer.NOT_AUTHENTIC)
        assert (receipt.parent, receipt.sender) == (None, None)
        assert receipt.rejected == (message.destination == "payments")


def test_a_reader_without_the_key_that_checks_does_not_know_the_key() -> None:
    envelope = sealed(kafka("payments"), policy=SIGNED, key=SIGNING)

    receipt = received_signed(kafka("payments"), envelope, keys=(CHECKOUT,))

    assert (receipt.verdict, receipt.answer) == (Verdict.INVALID, Answer.UNKNOWN_KEY)


def test_where_a_name_is_that_of_several_channels_each_asks_for_itself() -> None:
    signed = sealed(kafka("payments"), policy=SIGNED, key=SIGNING)
    lax = sealed(kafka("legacy"), policy=SIGNED, key=READER)
    forged = sealed(kafka("payments"), policy=POLICY, key=READER)

    assert received_signed(kafka("mixed"), signed).channel.name == "payments"
    assert received_signed(kafka("mixed"), lax).channel.name == "legacy"
    assert received_signed(kafka("mixed"), forged).answer is Answer.NOT_AUTHENTIC
