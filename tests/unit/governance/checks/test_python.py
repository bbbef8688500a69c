"""The edges of the rules on sources: what is one case further than the planted faults, and what is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.governance.checks import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interceptors.governance.checks import Finding

KAFKA = "from aiokafka import AIOKafkaConsumer, AIOKafkaProducer\nfrom interceptors import kafka\n"
CELERY = "from celery import Celery\n"
PIKA = "import aio_pika\nfrom interceptors import rabbitmq\n"
TASKIQ = "from taskiq_redis import ListQueueBroker\nfrom interceptors.taskiq import TracedMiddleware\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{KAFKA}kafka.TracedProducer(AIOKafkaProducer(), tracing)",
        f"{KAFKA}kafka.TracedProducer(producer=AIOKafkaProducer(), tracing=tracing)",
        f"{KAFKA}kafka.instrument(tracing)\np = AIOKafkaProducer()",
        f"{KAFKA}@kafka.traced(tracing)\ndef f(r): ...\nc = AIOKafkaConsumer()",
        f"{KAFKA}async def f():\n  async with AIOKafkaProducer() as p:\n    t = kafka.TracedProducer(p, x)",
        f"{KAFKA}def make():\n    return AIOKafkaProducer()\np = kafka.TracedProducer(make(), tracing)",
        (
            f"{PIKA}async def f():\n    c = await aio_pika.connect(u)\n"
            "    async with c.channel() as ch:\n        t = rabbitmq.TracedChannel(ch, x)"
        ),
        (
            f"{PIKA}@rabbitmq.traced(tracing)\nasync def on(m): ...\nasync def f():\n"
            "    c = await aio_pika.connect(u)\n    q = await (await c.channel()).get_queue('a')"
        ),
        f"{CELERY}from interceptors import celery\napp = Celery()\ncelery.connect(app, tracing)",
        f"{CELERY}from interceptors.celery import instrument\napp = Celery()\ninstrument(tracing)",
        f"{TASKIQ}b = ListQueueBroker('u').with_result_backend(r).with_middlewares(TracedMiddleware(t))",
        f"{TASKIQ}b = ListQueueBroker('u')\nb.add_middlewares(TracedMiddleware(t))",
        f"{KAFKA}p: object = AIOKafkaProducer()\nt = kafka.TracedProducer(p, x)",
        f"{CELERY}from interceptors import celery\napp: Celery = Celery()\ncelery.connect(app, tracing)",
        f"{TASKIQ}m = [TracedMiddleware(t)]\nb = ListQueueBroker('u')\nb.add_middlewares(*m)",
        "from confluent_kafka.admin import AdminClient\na = AdminClient({})",
        "from mine import Producer\np = Producer()",
    ],
)
def test_what_is_traced_is_no_finding(rules_of: Callable[..., list[tuple[int, str]]], text: str) -> None:
    assert rules_of(text) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{KAFKA}@kafka.traced(tracing)\ndef f(r): ...\np = AIOKafkaProducer()", 5),
        (f"{KAFKA}kafka.TracedProducer(other, tracing)\np = AIOKafkaProducer()", 4),
        (f"{KAFKA}class C:\n    def __init__(self):\n        self.p = AIOKafkaProducer()", 5),
        ("from aiokafka.producer import AIOKafkaProducer as P\nQ = P\nQ()", 3),
        ("from confluent_kafka.aio import AIOConsumer\nAIOConsumer({})", 2),
        ("import confluent_kafka as ck\nck.SerializingProducer({})", 2),
        (f"{PIKA}async def f(c: aio_pika.abc.AbstractConnection):\n    await c.channel()", 4),
        (
            (
                f"{PIKA}@rabbitmq.traced(t)\nasync def on(m): ...\nasync def f():\n"
                "    c = await aio_pika.connect(u)\n    ch = await c.channel()\n    await ch.publish(m, 'a')"
            ),
            7,
        ),
        (f"{TASKIQ}b = ListQueueBroker('u').with_middlewares(Other())", 3),
        ("from taskiq import InMemoryBroker\nb = InMemoryBroker()", 2),
    ],
)
def test_what_is_not_traced_is_one(
    rules_of: Callable[..., list[tuple[int, str]]], text: str, line: int
) -> None:
    assert rules_of(text) == [(line, "bus-not-traced")]


def test_what_one_source_says_counts_for_its_project_only(
    check_text: Callable[..., list[Finding]], tmp_path: Path
) -> None:
    for name in ("shop", "billing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").touch()
        (tmp_path / name / "a.py").write_text(f"{KAFKA}p = AIOKafkaProducer()")
    (tmp_path / "shop" / "main.py").write_text("from interceptors import kafka\nkafka.instrument(tracing)")
    check_text("")
    found = check_paths([tmp_path], now_ms=0)
    assert [(finding.path, finding.rule.id) for finding in found] == [("billing/a.py", "bus-not-traced")]


MESSAGE = "import logging, json, sys\nfrom aiokafka import ConsumerRecord\nlog = logging.getLogger()\n"


@pytest.mark.parametrize(
    ("shown", "rules"),
    [
        ("log.info(record.value)", ["payload-logged"]),
        ("log.info(record.value.decode())", ["payload-logged"]),
        ("log.info(record.value[:100])", ["payload-logged"]),
        ("log.info(json.dumps(json.loads(record.value)))", ["payload-logged"]),
        ("log.info('%s %s', record.key, record.value)", ["key-logged", "payload-logged"]),
        ("log.info(dict(record.headers)['a'])", ["headers-logged"]),
        ("log.info(x if y else record.value)", ["payload-logged"]),
        ("log.info([record.value])", ["payload-logged"]),
        ("log.log(10, '%s', record)", ["payload-logged"]),
        ("sys.stderr.write(str(record.value))", ["payload-logged"]),
        ("logging.error('%s', record.value)", ["payload-logged"]),
        ("self.logger.error('%s', record.value)", ["payload-logged"]),
        ("log.info('%s', customer.email)", ["identifier-logged"]),
        ("log.info('%s', order['iban'])", ["identifier-logged"]),
        ("log.info('%s', order.get('iban'))", ["identifier-logged"]),
        ("log.info(f'{password}')", ["identifier-logged"]),
        ("raise ValueError(record.key)", ["payload-in-exception"]),
        ("log.info(record.topic)", []),
        ("log.info(len(record.value))", []),
        ("log.info(record.value is None)", []),
        ("log.info(type(record.value).__name__)", []),
        ("log.info(json.loads(record.value)['id'])", []),
        ("log.info(service.name)", []),
        ("log.info('an e-mail address')", []),
        ("loggers[0].info(record.value)", []),
        ("log.info('%s', is_valid(email))", []),
        ("sink.info(record.value)", []),
        ("raise ValueError('bad') from error", []),
    ],
)
def test_what_is_logged(rules_of: Callable[..., list[tuple[int, str]]], shown: str, rules: list[str]) -> None:
    found = rules_of(f"{MESSAGE}def f(self, record: ConsumerRecord):\n    {shown}\n")
    assert [rule for _, rule in found] == rules


def test_nothing_is_a_message_where_no_bus_is(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    assert rules_of("import logging\ndef f(record):\n    logging.info(record.value)") == []


@pytest.mark.parametrize("method", ["value", "key", "headers"])
def test_confluents_methods_are_contents_too(
    rules_of: Callable[..., list[tuple[int, str]]], method: str
) -> None:
    text = f"from confluent_kafka import Message\ndef f(m: Message):\n    print(m.{method}())"
    named = {"value": "payload"}.get(method, method)
    assert rules_of(text) == [(3, f"{named}-logged")]


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("logging.getLogger('aiokafka').setLevel('DEBUG')", ["client-debug-logging"]),
        ("logging.getLogger('celery.worker').setLevel(10)", ["client-debug-logging"]),
        ("l = logging.getLogger('kombu')\nl.setLevel(logging.DEBUG)", ["client-debug-logging"]),
        ("logging.basicConfig(level=logging.DEBUG)", ["client-debug-logging"]),
        ("logging.getLogger().setLevel(logging.DEBUG)", ["client-debug-logging"]),
        ("logging.getLogger('shop').setLevel(logging.DEBUG)", []),
        ("logging.getLogger('aiokafka').setLevel(logging.INFO)", []),
        ("logging.basicConfig(level=LEVEL)", []),
    ],
)
def test_debug_logs(rules_of: Callable[..., list[tuple[int, str]]], text: str, rules: list[str]) -> None:
    assert [rule for _, rule in rules_of(f"import aiokafka, logging\n{text}")] == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("headers['traceparent'] = x", ["clear-trace-header"]),
        ("headers.setdefault('Baggage', x)", ["clear-trace-header"]),
        ("h = [('b3', x)]", ["clear-trace-header"]),
        ("x = headers['traceparent']", []),
        ("if name == 'traceparent': pass", []),
        ("producer.send('t', headers=[('x-token', t)])", ["sensitive-header"]),
        ("h = {'x-token': t}\nproducer.publish('t', headers=h)", ["sensitive-header"]),
        ("producer.send('t', key=f'{a}-{user.phone}')", ["sensitive-message-key"]),
        ("producer.send('t', key=str(order.id).encode())", []),
        ("cache.get(key=email)", []),
    ],
)
def test_what_is_sent(rules_of: Callable[..., list[tuple[int, str]]], text: str, rules: list[str]) -> None:
    assert [rule for _, rule in rules_of(f"import aiokafka\n{text}")] == rules


def test_a_sealed_propagator_may_inject(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    text = "import aiokafka\nfrom opentelemetry import propagate\npropagate.inject({})\n"
    assert rules_of(text) == [(3, "context-injected")]
    sealed = (
        "from interceptors.otel import SealedPropagator\npropagate.set_global_textmap(SealedPropagator(t))\n"
    )
    assert rules_of(text + sealed) == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("CELERY_TASK_SERIALIZER = 'pickle'", ["pickle-serializer"]),
        ("conf = {'accept_content': ['pickle']}", ["pickle-serializer"]),
        ("app.conf['result_serializer'] = 'pickle'", ["pickle-serializer"]),
        ("write.apply_async(serializer='pickle')", ["pickle-serializer"]),
        ("app.conf.accept_content = {'application/x-python-serialize'}", ["pickle-serializer"]),
        ("app.conf.task_serializer = 'json'", []),
        ("app.task(name='invoices.%s' % c)(f)", ["task-name-from-data"]),
        ("app.task(name='invoices.{}'.format(c))(f)", ["task-name-from-data"]),
        ("app.task(name=f'invoices.write')(f)", []),
        ("app.task(name=name)(f)", []),
        ("app.send_task('invoices/jo@example.com')", ["task-name-identifier"]),
    ],
)
def test_tasks(rules_of: Callable[..., list[tuple[int, str]]], text: str, rules: list[str]) -> None:
    assert [rule for _, rule in rules_of(f"import celery\n{text}")] == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("AIOKafkaConsumer(value_deserializer=pickle.loads)", ["pickled-body"]),
        ("producer.send('t', pickle.dumps(order))", ["pickled-body"]),
        ("pickle.loads(message.value)", ["pickled-body"]),
        ("body = message.body\npickle.loads(body)", ["pickled-body"]),
        ("pickle.loads(open('cache').read())", []),
        ("yaml.safe_load(message.value)", []),
        ("yaml.load(message.value, yaml.CSafeLoader)", []),
        ("exec(message.value)", ["evaluated-body"]),
        ("eval(expression)", []),
    ],
)
def test_bodies(rules_of: Callable[..., list[tuple[int, str]]], text: str, rules: list[str]) -> None:
    found = rules_of(f"import aiormq, pickle, yaml\n{text}")
    assert [rule for _, rule in found] == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("try:\n    p.send(1)\nexcept Exception:\n    pass", ["refusal-swallowed"]),
        ("try:\n    p.send(1)\nexcept:\n    return_ = 1", []),
        ("try:\n    p.send(1)\nexcept BaseException:\n    ...", ["refusal-swallowed"]),
        ("try:\n    parse(1)\nexcept Exception:\n    pass", []),
        (
            "try:\n    p.send(1)\nexcept (ValueError, interceptors.LeakError):\n    pass",
            ["refusal-swallowed"],
        ),
        ("try:\n    p.send(1)\nexcept interceptors.LeakError:\n    count(1)", []),
        ("with contextlib.suppress(Exception):\n    p.send(1)", ["refusal-swallowed"]),
        ("with contextlib.suppress(interceptors.RejectedError):\n    f()", ["refusal-swallowed"]),
        ("with contextlib.suppress(KeyError):\n    p.send(1)", []),
        ("interceptors.Tracing.for_development('shop')", ["development-tracing"]),
        (
            "t = h['tenant']\nwith tracing.tenant(request.headers['tenant']):\n    pass",
            ["tenant-from-header"],
        ),
        ("t = message.headers\nwith tracing.tenant(t['tenant']):\n    pass", ["tenant-from-header"]),
        ("interceptors.Tracing(tenant=request.headers['tenant'])", ["tenant-from-header"]),
        ("with tracing.tenant(order.merchant):\n    pass", []),
        ("Order(tenant=request.headers['tenant'])", []),
        (
            "import base64\nk = base64.b64decode('AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=')",
            ["hard-coded-key"],
        ),
        ("bytes.fromhex('0a0b')", []),
        ("URL = 'amqp://guest:guest@localhost/'", []),
        ('PASS = "pass"', []),
        ('HELP = {"password": "Password for the account"}', []),
        ('HELP = {"password": "correct horse battery staple"}', ["hard-coded-secret"]),
    ],
)
def test_trust(rules_of: Callable[..., list[tuple[int, str]]], text: str, rules: list[str]) -> None:
    found = rules_of(f"import contextlib, interceptors\n{text}")
    assert [rule for _, rule in found] == rules


@pytest.mark.parametrize(
    "text",
    [
        "from interceptors import Tracing\nt = Tracing.for_development('shop')",
        f"{KAFKA}p = AIOKafkaProducer()",
        "URL = 'postgresql://app:s3cr-et@db.example.com:5432/app'",
        f"{KAFKA}h = [('traceparent', b'')]",
    ],
)
def test_tests_may_do_what_services_may_not(
    rules_of: Callable[..., list[tuple[int, str]]], text: str
) -> None:
    assert rules_of(text)
    assert rules_of(text, "test_shop.py") == []


def test_a_secret_in_a_docstring_or_a_comment_is_no_literal(
    rules_of: Callable[..., list[tuple[int, str]]],
) -> None:
    url = "postgresql://app:s3cr-et@db.example.com:5432/app"
    assert rules_of(f'"""Such as {url}."""\n# {url}\n') == []
    assert rules_of(f'é = "é"\ndef f():\n    return "é", "{url}"\n') == [(3, "hard-coded-secret")]


@pytest.mark.parametrize("text", ["def", "x = 1\n  y = 2", "\x00", "(" * 1000, "x = " + "-" * 100_000 + "1"])
def test_what_can_not_be_parsed_is_a_finding(
    rules_of: Callable[..., list[tuple[int, str]]], text: str
) -> None:
    ((_, rule),) = rules_of(text)
    assert rule == "python-invalid"


def test_escapes_that_are_none_are_not_ours_to_tell(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    assert rules_of("x = '\\d'") == []


def test_a_name_that_is_given_itself_ends(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    assert rules_of("import aiokafka\nbody = body\nprint(body)\na = b\nb = a\nprint(a)") == []


def test_names_that_are_given_themselves_by_many_ways_end_soon(
    rules_of: Callable[..., list[tuple[int, str]]],
) -> None:
    # Each assignment leads to all of them: without a bound, 20 to the power of the depth are followed.
    chain = "".join(f"    frame = frame.step{number}()\n    body = body.strip()\n" for number in range(20))
    crossed = "".join(f"    {a} = {b}.x()\n" for a in "abcdefgh" for b in "abcdefgh" if a != b)
    text = (
        f"{KAFKA}import logging\ndef f(frame, body, a):\n{chain}{crossed}    logging.info(body, frame, a)\n"
    )
    assert rules_of(text) == []


def test_a_name_is_followed_past_an_assignment_that_leads_back(
    rules_of: Callable[..., list[tuple[int, str]]],
) -> None:
    text = f"{KAFKA}def f(p):\n    p = p or q\n    q = p\n    p = AIOKafkaProducer()\n    kafka.wrap(p)"
    assert rules_of(text.replace("kafka.wrap(p)", "print(p)")) == [(6, "bus-not-traced")]
    assert rules_of(text.replace("print", "kafka.TracedProducer")) == []


def test_what_is_too_deep_to_follow_is_a_finding(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    text = f"{KAFKA}import logging\nlogging.info({' + '.join(['x'] * 2000)})\n"
    assert rules_of(text) == [(1, "python-invalid")]


def test_a_form_feed_ends_no_line(rules_of: Callable[..., list[tuple[int, str]]]) -> None:
    text = (
        f"{KAFKA}\f\nimport logging\n"
        "logging.info(record.value)  # interceptors: ignore[payload-logged] a test's own\n"
        f"key = 'AKIA{'Q7ZT' * 4}'\n"
    )
    assert rules_of(text) == [(6, "hard-coded-secret")]
