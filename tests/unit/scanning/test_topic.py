from __future__ import annotations

import json
import re
import secrets
import string
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from interceptors.errors import ConfigurationError
from interceptors.scanning import topic as topic_module
from interceptors.scanning.report import Problems
from interceptors.scanning.topic import Address, TopicScan, parse_address
from interceptors.testing.embedded_kafka import EmbeddedKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.scan import Inspector


def test_an_address_names_brokers_and_a_topic() -> None:
    assert parse_address("kafka://a:9092,b:9092/shop.orders") == Address("a:9092,b:9092", "shop.orders")


@pytest.mark.parametrize(
    "text",
    [
        "kafka://a:9092",
        "kafka://a:9092/",
        "kafka:///orders",
        "kafka://a:9092/shop/orders",
        "kafka://a:9092/bad topic",
        "kafka://user:hunter2@a:9092/orders",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="kafka://host:port") as raised:
        parse_address(text)
    assert text not in str(raised.value)
    assert "hunter2" not in str(raised.value)


class Topic:
    """A topic of the embedded broker, with what is needed to fill and to scan it."""

    def __init__(self, servers: str, inspector: Inspector) -> None:
        self.name = "test-" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        self.address = f"kafka://{servers}/{self.name}"
        self.settings: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0}
        self.producer = Producer(self.settings)
        self.producer.list_topics(self.name, 10.0)  # comes into being by that
        self.problems = Problems()
        self.events: list[str] = []
        self._inspector = inspector

    def send(self, *values: bytes | None, **rest: Any) -> None:
        for value in values:
            self.producer.produce(self.name, value, partition=0, **rest)
        self.producer.flush()

    def opened(self, properties: dict[str, str] | None = None, *, follow: bool = False) -> TopicScan:
        return TopicScan(
            self.address,
            group=self.name,
            properties=properties or {},
            inspector=self._inspector,
            follow=follow,
        )

    def run(self, scan: TopicScan, *, until: int = 1 << 30) -> list[dict[str, Any]]:
        """Scan; stop when so many were found."""
        found: list[dict[str, Any]] = []
        for each in scan.run(
            problems=self.problems,
            written=lambda: self.events.append(f"written {len(found)}"),
            stopped=lambda: len(found) >= until,
            advanced=lambda count: self.events.append(f"advanced {count}"),
        ):
            found.append(json.loads(each.as_json()))  # noqa: PERF401 - the callbacks look at it meanwhile
        return found

    def scanned(self) -> list[dict[str, Any]]:
        with self.opened() as scan:
            found = self.run(scan)
            assert scan.complete
        return found

    def committed(self) -> tuple[int, str | None]:
        consumer = Consumer({**self.settings, "group.id": self.name})
        (place,) = consumer.committed([TopicPartition(self.name, 0)], timeout=10.0)
        consumer.close()
        return place.offset, place.metadata


@pytest.fixture
def topic(embedded_kafka: str, inspector: Inspector) -> Topic:
    return Topic(embedded_kafka, inspector)


def places(found: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(each["offset"], each["part"], each["path"], each["start"], each["end"]) for each in found]


def test_values_keys_and_headers_are_scanned(topic: Topic) -> None:
    topic.send(b'{"a": "tag=abc;"}', key=b"tag=abc;", headers=[("x-user", b"tag=abc;"), ("empty", None)])
    topic.send(None, key=b"tag=abc;")
    topic.send(b"nothing")
    assert places(topic.scanned()) == [
        (0, "body", "$.a", 11, 15),
        (0, "headers", "headers.x-user", 4, 8),
        (0, "key", "key", 4, 8),
        (1, "key", "key", 4, 8),
    ]


def test_headers_that_cannot_be_read_cost_no_message(topic: Topic) -> None:
    topic.send(b"tag=abc;", headers=[(b"\xff\xfe".decode("latin-1"), b"\xff" * 100)])
    assert [each["offset"] for each in topic.scanned()] == [0]


def test_a_scan_says_how_much_there_is_and_goes_on_where_the_last_one_has_stopped(topic: Topic) -> None:
    topic.send(*[b"tag=abc;"] * 3)
    with topic.opened({"session.timeout.ms": "4000"}) as scan:
        assert scan.total == 3
        assert len(topic.run(scan)) == 3
    topic.send(b"tag=abc;")
    # The embedded broker doesn't notice that the last one has left, and waits for so long.
    with topic.opened({"session.timeout.ms": "4000"}) as scan:
        assert scan.total == 1
        assert [each["offset"] for each in topic.run(scan)] == [3]
    assert topic.committed() == (4, "interceptors scan")


def test_what_was_found_is_written_before_it_is_committed(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_module, "_COMMIT_AFTER_MESSAGES", 2)
    monkeypatch.setattr(topic_module, "_COMMIT_AFTER_S", 1000.0)
    topic.send(*[b"tag=abc;"] * 5)
    with topic.opened() as scan:
        commit = scan._consumer.commit

        class Consumer:
            """The client, whose commits are noted."""

            def __getattr__(self, name: str) -> Any:
                return getattr(client, name)

            def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
                topic.events.append(f"commit {offsets[0].offset}")
                commit(offsets=offsets, asynchronous=asynchronous)

        client, scan._consumer = scan._consumer, Consumer()
        topic.run(scan)
    assert topic.events == [
        "written 2",
        "commit 2",
        "advanced 2",
        "written 4",
        "commit 4",
        "advanced 2",
        "written 5",
        "commit 5",
        "advanced 1",
        "written 5",  # as the partitions are given back
    ]


def test_a_scan_that_is_stopped_commits_what_it_has_done(topic: Topic) -> None:
    topic.send(*[b"tag=abc;"] * 5)
    with topic.opened() as scan:
        assert len(topic.run(scan, until=2)) == 2
        assert not scan.complete
    assert topic.committed()[0] == 2


def test_what_comes_after_the_begin_is_left_to_the_next_scan(topic: Topic) -> None:
    topic.send(b"tag=abc;")
    with topic.opened() as scan:
        topic.send(b"tag=abc;")
        assert [each["offset"] for each in topic.run(scan)] == [0]
    assert topic.committed()[0] == 1


def test_a_scan_that_follows_goes_on(topic: Topic) -> None:
    with topic.opened(follow=True) as scan:
        topic.send(*[b"tag=abc;"] * 2)
        assert len(topic.run(scan, until=2)) == 2


def test_a_group_with_offsets_of_others_is_left_alone(topic: Topic) -> None:
    topic.send(*[b"tag=abc;"] * 3)
    theirs = Consumer({**topic.settings, "group.id": topic.name})
    theirs.commit(offsets=[TopicPartition(topic.name, 0, 1)], asynchronous=False)
    theirs.close()
    with pytest.raises(ConfigurationError, match="--group"):
        topic.opened()
    assert topic.committed() == (1, None)


def test_a_property_that_is_ours_or_unknown_is_refused_and_no_value_repeated(topic: Topic) -> None:
    for name in ("group.id", "enable.auto.commit", "no.such.thing", "security.protocol"):
        with pytest.raises(ConfigurationError, match=re.escape(name)) as raised:
            topic.opened({name: "hunter2"})
        assert "hunter2" not in str(raised.value)


def test_a_property_is_the_clients(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_module, "_ANSWER_S", 1.0)
    with pytest.raises(ConfigurationError, match="can't be read"):
        topic.opened({"security.protocol": "SSL"})  # which the embedded broker doesn't speak


@pytest.fixture
def own_broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as broker:
        yield broker


def test_a_broker_that_goes_is_an_error_in_time(
    own_broker: EmbeddedKafka, inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_module, "_PATIENCE_S", 0.5)
    topic = Topic(own_broker.bootstrap_servers, inspector)
    topic.send(b"tag=abc;")
    with topic.opened(follow=True) as scan:
        run = scan.run(
            problems=topic.problems, written=lambda: None, stopped=lambda: False, advanced=lambda _: None
        )
        assert next(run).record == 0
        own_broker.close()
        with pytest.raises(ConfigurationError, match="can't be read"):
            next(run)
