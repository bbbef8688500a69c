"""taskiq's middleware, over its in-memory broker, which writes and reads every message."""

from __future__ import annotations

import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest
from taskiq import AsyncBroker, InMemoryBroker, SimpleRetryMiddleware, TaskiqMessage, TaskiqMiddleware
from taskiq.acks import AckableMessage
from taskiq.exceptions import SendTaskError
from taskiq.receiver import Receiver

from interceptors import LeakError, Verdict
from interceptors.envelope import HEADER_NAME
from interceptors.message import Message
from interceptors.taskiq import SYSTEM, TracedMiddleware

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from taskiq import BrokerMessage

    from tests.conftest import Service, Services

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BOUND = {"default": {"binding": "message"}}
STRICT = {"default": {"accept": "reject"}}


class Kept(AsyncBroker):
    """A broker that keeps what is sent to it, until a test has it executed, maybe by another."""

    def __init__(self, *middlewares: TaskiqMiddleware) -> None:
        super().__init__()
        self.add_middlewares(*middlewares)
        self.sent: list[bytes] = []
        self.acknowledged: list[bytes] = []

    async def kick(self, message: BrokerMessage) -> None:
        self.sent.append(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        for message in self.sent:
            yield message

    async def execute(self, data: bytes) -> None:
        """Execute a message as a worker does."""
        message = AckableMessage(data=data, ack=lambda: self.acknowledged.append(data))
        await Receiver(self, max_async_tasks=1).callback(message, raise_err=True)


class Labels(TaskiqMiddleware):
    """Keeps the labels of what comes by, and sets some."""

    def __init__(self, **sets: str) -> None:
        super().__init__()
        self.sets = sets
        self.executed: list[dict[str, Any]] = []

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        message.labels.update(self.sets)
        return message

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.executed.append(message.labels)
        return message


def labels(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)["labels"]
    return found


def altered(data: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(data) | changes).encode()


@pytest.fixture
def checkout(service: Services) -> Service:
    return service("checkout")


@pytest.fixture
def billing(service: Services) -> Service:
    return service("billing")


def worker(service: Service, *middlewares: TaskiqMiddleware) -> Kept:
    return Kept(TracedMiddleware(service.tracing), *middlewares)


def charge(broker: AsyncBroker, function: Callable[..., Any] = print, *, name: str = "charge") -> Any:
    """Make a task that calls a function, in the loop or in a thread."""

    async def call_and_wait(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    waits = inspect.iscoroutinefunction(function)
    return broker.register_task(call_and_wait if waits else call, task_name=name)


async def sent(service: Service, *arguments: Any, **options: Any) -> bytes:
    """The bytes of a task that a service has sent."""
    broker = Kept(TracedMiddleware(service.tracing))
    await charge(broker).kicker().with_labels(**options).kiq(*arguments)
    (data,) = broker.sent
    return data


async def test_a_task_goes_on_as_its_sender(service: Services) -> None:
    checkout, billing = service("checkout", tenant="acme"), service("billing", tenant="globex")
    broker = worker(billing)
    origins = []

    async def run(item: str) -> None:
        assert item == "apples"
        origins.append(billing.tracing.origin())

    charge(broker, run)
    await broker.execute(await sent(checkout, "apples"))
    processed = billing.span("process")
    assert (processed.verdict, processed.sender) == ("fresh", "checkout")
    assert processed.parent_span_id == checkout.span("send").context.span_id
    (origin,) = origins
    assert origin.parent is not None
    assert (origin.tenant, origin.parent.span_id) == ("acme", processed.context.span_id)
    assert billing.tracing.origin().tenant == "globex"


async def test_a_function_in_a_thread_goes_on_too(checkout: Service, billing: Service) -> None:
    broker = worker(billing)
    parents = []

    def run(_item: str) -> None:
        parents.append(billing.tracing.origin().parent)

    charge(broker, run)
    await broker.execute(await sent(checkout, "apples"))
    assert [parent and parent.span_id for parent in parents] == [billing.span("process").context.span_id]


async def test_the_envelope_is_one_label_of_plain_text(checkout: Service, billing: Service) -> None:
    data = await sent(checkout, "apples", traceparent=TRACEPARENT, baggage="user=4711", shop="north")
    found = labels(data)
    assert {*found} == {"shop", HEADER_NAME}
    assert found[HEADER_NAME].isascii()
    seen = Labels()
    broker = worker(billing, seen)
    charge(broker)
    await broker.execute(data)
    assert seen.executed == [{"shop": "north"}]


async def test_the_message_that_is_given_stays_as_it_is(checkout: Service) -> None:
    middleware = TracedMiddleware(checkout.tracing)
    message = TaskiqMessage(
        task_id="1", task_name="charge", labels={"traceparent": TRACEPARENT}, args=[], kwargs={}
    )
    given = message.model_copy(deep=True)
    sealed = await middleware.pre_send(message)
    stripped = await middleware.pre_execute(sealed)
    assert message == given
    assert HEADER_NAME in sealed.labels
    assert stripped.labels == {}


async def test_a_middleware_after_ours_adds_nothing_in_clear(checkout: Service) -> None:
    broker = worker(checkout, Labels(traceparent=TRACEPARENT, shop="north"))
    await charge(broker).kiq()
    assert {*labels(broker.sent[0])} == {"shop", HEADER_NAME}


async def test_an_envelope_is_bound_to_the_tasks_name(checkout: Service, billing: Service) -> None:
    broker = worker(billing)
    ran: list[str] = []
    charge(broker, ran.append, name="refund")
    await broker.execute(altered(await sent(checkout, "apples"), task_name="refund"))
    assert ran == ["apples"]  # the policy doesn't say that it is to be refused
    assert billing.span("process").verdict == "invalid"


@pytest.mark.parametrize("changes", [{"args": ["pears"]}, {"kwargs": {"count": 2}}, {"task_id": "another"}])
async def test_an_envelope_may_be_bound_to_the_arguments(service: Services, changes: dict[str, Any]) -> None:
    checkout, billing = service("checkout", policy=BOUND), service("billing", policy=BOUND)
    broker = worker(billing)

    def run(_item: str, count: int = 1) -> int:
        return count

    charge(broker, run)
    data = await sent(checkout, "äpples")
    await broker.execute(data)
    await broker.execute(altered(data, **changes))
    assert [span.verdict for span in billing.spans("process")] == ["fresh", "invalid"]


async def test_a_refused_task_does_not_run_and_is_acknowledged(service: Services) -> None:
    billing = service("billing", policy=STRICT)
    retry = SimpleRetryMiddleware(default_retry_label=True)
    broker = worker(billing, retry)
    ran = []

    async def run(item: str) -> None:
        ran.append(item)

    charge(broker, run)
    data = await sent(service("checkout"), "apples")
    forged = altered(data, labels={"ack_type": "manual"})
    await broker.execute(forged)
    assert (ran, broker.acknowledged, broker.sent) == ([], [forged], [])
    assert billing.tracing.counts["rejected"] == 1
    await broker.execute(data)
    assert (ran, broker.acknowledged) == (["apples"], [forged, data])
    assert billing.span("process").verdict == "fresh"


async def test_a_refused_function_of_a_thread_does_not_run_either(service: Services) -> None:
    broker = worker(service("billing", policy=STRICT))
    ran: list[str] = []
    charge(broker, ran.append)
    await broker.execute(altered(await sent(service("checkout"), "apples"), labels={}))
    assert (ran, len(broker.acknowledged)) == ([], 1)


@pytest.mark.parametrize("envelope", [7, None, ["a"], "\N{SNOWMAN}", "E", {"a": 1}])
async def test_a_bad_envelope_costs_no_task(checkout: Service, billing: Service, envelope: Any) -> None:
    broker = worker(billing)
    ran: list[str] = []
    charge(broker, ran.append)
    await broker.execute(altered(await sent(checkout, "apples"), labels={HEADER_NAME: envelope}))
    assert ran == ["apples"]
    assert billing.span("process").verdict == "invalid"


async def test_a_retry_is_a_sibling_with_an_envelope_of_its_own(checkout: Service, billing: Service) -> None:
    broker = worker(billing, SimpleRetryMiddleware(default_retry_label=True))
    failures = [LookupError("no such item")]

    async def run(_item: str) -> None:
        if failures:
            raise failures.pop()

    charge(broker, run)
    data = await sent(checkout, "apples", shop="north")
    await broker.execute(data)
    (again,) = broker.sent
    await broker.execute(again)
    first, second = labels(data), labels(again)
    assert (second["shop"], second["_retries"]) == ("north", "1")
    assert first[HEADER_NAME] != second[HEADER_NAME]
    failed, done = billing.spans("process")
    assert (failed.error_type, done.error_type) == ("LookupError", None)
    assert (failed.verdict, done.verdict) == ("fresh", "fresh")
    assert failed.parent_span_id == done.parent_span_id == checkout.span("send").context.span_id
    assert billing.span("send").parent_span_id == failed.context.span_id


async def test_the_same_message_again_is_found_out(checkout: Service, billing: Service) -> None:
    broker = worker(billing)
    charge(broker)
    data = await sent(checkout, "apples")
    for replayed in (data, data, altered(data, task_id="another")):
        await broker.execute(replayed)
    verdicts = [span.verdict for span in billing.spans("process")]
    assert verdicts == [Verdict.FRESH, Verdict.REDELIVERY, Verdict.DUPLICATE]


async def test_a_leak_reaches_the_publisher(service: Services) -> None:
    checkout = service("checkout", policy={"default": {"payload": {"on_leak": "block"}}})
    broker = worker(checkout)
    with pytest.raises(LeakError) as caught:
        await charge(broker).kiq(mail="jo.roe@example.com")
    assert caught.value.places == ("personal.email at $.kwargs.mail",)
    assert (broker.sent, checkout.span("send").error_type) == ([], "LeakError")


async def test_arguments_and_labels_are_replaced_where_the_policy_says_so(service: Services) -> None:
    rules = {"binding": "message", "payload": {"on_leak": "redact"}}
    checkout = service("checkout", policy={"default": rules})
    billing = service("billing", policy=BOUND)
    data = await sent(checkout, {"mail": "jo.roe@example.com"}, 2, by="jo.roe@example.com", timeout=5)
    assert b"jo.roe" not in data
    broker = worker(billing)
    ran: list[tuple[Any, ...]] = []
    charge(broker, lambda *arguments: ran.append(arguments))
    await broker.execute(data)
    assert ran[0][1] == 2
    assert labels(data)["timeout"] == "5"
    assert billing.span("process").verdict == "fresh"


class Opaque:
    """An argument that only a formatter of the application's own can write."""


async def test_arguments_that_are_not_json_are_not_bound(service: Services) -> None:
    class Naming(Kept):
        async def kick(self, message: BrokerMessage) -> None:
            self.sent.append(json.dumps({"labels": message.labels}).encode())

    class Formatter:
        def dumps(self, message: TaskiqMessage) -> BrokerMessage:
            plain = message.model_copy(update={"args": []})
            return InMemoryBroker().formatter.dumps(plain)

    checkout = service("checkout", policy=BOUND)
    broker = Naming(TracedMiddleware(checkout.tracing))
    broker.formatter = Formatter()  # type: ignore[assignment]  # only writes
    await charge(broker).kiq(Opaque())
    assert labels(broker.sent[0]) == {}
    assert checkout.tracing.counts["the channel binds the body, which is not bytes yet"] == 1


async def test_a_failed_send_leaves_the_next_one_right(checkout: Service) -> None:
    class Down(Kept):
        up = False

        async def kick(self, message: BrokerMessage) -> None:
            if not self.up:
                raise ConnectionError("no broker there")
            await super().kick(message)

    broker = Down(TracedMiddleware(checkout.tracing))
    task = charge(broker)
    with pytest.raises(SendTaskError):
        await task.kiq()
    broker.up = True
    await task.kiq()
    assert [span.error_type for span in checkout.spans("send")] == [None]


async def test_a_task_in_a_task_goes_on_from_it(checkout: Service) -> None:
    broker = InMemoryBroker(await_inplace=True).with_middlewares(TracedMiddleware(checkout.tracing))
    parents = []

    @broker.task(task_name="inner")
    async def inner() -> None:
        parents.append(checkout.tracing.origin().parent)

    @broker.task(task_name="outer")
    async def outer() -> None:
        before = checkout.tracing.origin()
        with checkout.tracing.tenant("globex"):
            await inner.kiq()
        assert checkout.tracing.origin() == before

    with checkout.tracing.tenant("acme"):
        task = await outer.kiq()
    assert not (await task.wait_result()).is_err
    processed = {span.tenant: span for span in checkout.spans("process")}
    sends = {span.tenant: span for span in checkout.spans("send")}
    assert {*processed} == {*sends} == {"acme", "globex"}
    assert [parent and parent.span_id for parent in parents] == [processed["globex"].context.span_id]
    assert processed["acme"].parent_span_id == sends["acme"].context.span_id


async def test_tasks_at_once_keep_to_their_senders(service: Services) -> None:
    checkout, billing = service("checkout"), service("billing")
    broker = worker(billing)
    together = asyncio.Barrier(2)

    async def run(expected: str) -> None:
        await together.wait()
        assert billing.tracing.origin().tenant == expected

    charge(broker, run)
    messages = []
    for tenant in ("acme", "globex"):
        with checkout.tracing.tenant(tenant):
            messages.append(await sent(checkout, tenant))
    await asyncio.gather(*map(broker.execute, messages))
    spans = billing.spans("process")
    assert {(span.tenant, span.error_type) for span in spans} == {("acme", None), ("globex", None)}


async def test_keys_are_fetched_off_the_loop(service: Services) -> None:
    keys = service.gated_keys("billing")
    billing = service("billing", keys=keys)
    broker = worker(billing)
    charge(broker)
    executing = asyncio.create_task(broker.execute(await sent(service("checkout"))))
    await keys.asked()  # and this loop still runs
    keys.gate.set()
    await executing
    assert billing.span("process").verdict == "fresh"


async def test_the_policy_is_asked_once_for_each_task(checkout: Service, swapped_policies: list[str]) -> None:
    names = [labels(await sent(checkout, traceparent=TRACEPARENT)).keys() for _ in range(4)]
    assert swapped_policies == ["sealed", "none"] * 2
    assert names == [{HEADER_NAME}, {"traceparent"}] * 2


async def test_the_policy_knows_a_queue_by_the_name_that_the_middleware_was_given(service: Services) -> None:
    policy = {"channels": [{"name": "charges", "match": {"taskiq": ["charges"]}, "emit": "none"}]}
    checkout = service("checkout", policy=policy)
    assert checkout.tracing.send(Message(SYSTEM, "taskiq")).seals
    broker = Kept(TracedMiddleware(checkout.tracing, queue="charges"))
    await charge(broker).kiq()
    assert labels(broker.sent[0]) == {}
