"""A Kafka topic, scanned as a consumer group: several processes share it, and each goes on where it stopped.

A place is committed when all that was found before it has been written out, so that each message is scanned
at least once, and just once where no process is killed.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from interceptors.confluent.message import headers_of
from interceptors.errors import ConfigurationError
from interceptors.policy.header_text import HeaderText
from interceptors.scan.inspection import Format
from interceptors.scanning.group import CLIENT_ID, MARK, check_is_ours
from interceptors.scanning.report import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from confluent_kafka import Message

    from interceptors.scan.inspection import Inspection, Inspector
    from interceptors.scanning.report import Problems


_ADDRESS = re.compile(r"kafka://([^/@\s]+)/([A-Za-z0-9._-]{1,249})")
_ANSWER_S = 10.0
"""How long the first answers may take."""
_PATIENCE_S = 30.0
"""How long no broker may be reached."""
_POLL_S = 0.25
_COMMIT_AFTER_S = 2.0
_COMMIT_AFTER_MESSAGES = 5000
_OWN: dict[str, Any] = {
    "client.id": CLIENT_ID,
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "isolation.level": "read_uncommitted",  # what an aborted transaction has left lies there as well
    "allow.auto.create.topics": False,
}
_USUAL: dict[str, Any] = {
    "fetch.wait.max.ms": 100,
    "session.timeout.ms": 10_000,  # for so long the partitions of a process that was killed wait
    "coordinator.query.interval.ms": 5_000,  # for so long a commit waits for a broker that is gone
    "log_level": 0,  # what went wrong is told by us
}


class Address(NamedTuple):
    """Where a topic lies."""

    servers: str
    topic: str


def parse_address(text: str) -> Address:
    """Read the address of a topic.

    Args:
        text: `kafka://host:port[,host:port]/topic`.

    Raises:
        ConfigurationError: it is none. The text is not repeated, since a password may be in it.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            "a topic is written as kafka://host:port[,host:port]/topic; a user and a password are given as "
            "--property sasl.username=… and --property sasl.password=…"
        )
    return Address(match[1], match[2])


class TopicScan:
    """The scan of a topic. Also a context manager.

    Attributes:
        total: how many messages there are to scan, for all processes of the group together.
        complete: whether this process has scanned all that was its share.
    """

    def __init__(
        self,
        address: str,
        *,
        group: str,
        properties: Mapping[str, str],
        inspector: Inspector,
        follow: bool = False,
    ) -> None:
        """Connect.

        Args:
            address: the topic's.
            group: the consumer group.
            properties: of librdkafka, such as `security.protocol`.
            inspector: looks into messages.
            follow: whether to go on at the end of the topic.

        Raises:
            ConfigurationError: there is no such topic, it can't be reached, or the group is not ours.
        """
        self._name = address
        self._inspector = inspector
        self._follow = follow
        self._servers, self._topic = parse_address(address)
        self._failed = ""
        self._unreachable_since: float | None = None
        self._assigned = False
        self._left: set[int] = set()  # partitions of ours whose end was not reached
        self._next: dict[int, int] = {}  # what is to be committed, by partition
        self._written: Callable[[], None] = lambda: None
        self.complete = False
        reserved = sorted({*_OWN, "group.id", "bootstrap.servers"} & properties.keys())
        if reserved:
            raise ConfigurationError(f"--property {reserved[0]}: a scan sets it itself; leave it out")
        settings = {**_USUAL, **properties, **_OWN, "bootstrap.servers": self._servers}
        try:
            self._consumer = Consumer(
                {"group.id": group, "error_cb": self._note, **settings},
            )
        except KafkaException:
            # The client's own words have values in them.
            raise ConfigurationError(
                f"--property: librdkafka refuses one of {', '.join(sorted(properties)) or 'none'}; see that "
                "names and values are right"
            ) from None
        try:
            self._ends = self._find_ends()
            places = [TopicPartition(self._topic, partition) for partition in self._ends]
            committed = self._consumer.committed(places, timeout=_ANSWER_S)
            check_is_ours(group, settings, committed, timeout=_ANSWER_S)
            self.total = sum(
                max(0, self._ends[place.partition].high - max(place.offset, self._ends[place.partition].low))
                for place in committed
            )
        except KafkaException as error:
            self._consumer.poll(0)  # gives the client the time to say what went wrong
            problem = self._problem(self._failed or error.args[0].name())
            self.close()
            raise problem from None
        except ConfigurationError:
            self.close()
            raise

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        *,
        problems: Problems,
        written: Callable[[], None],
        stopped: Callable[[], bool],
        advanced: Callable[[int], None],
    ) -> Iterator[Found]:
        """Scan to the ends that the partitions had at the begin, or on and on.

        Args:
            problems: gets what was not scanned to its end.
            written: sees to it that what was given so far is written out; called before a commit.
            stopped: says whether to stop.
            advanced: is told how many messages were scanned, again and again.

        Yields:
            What was found.

        Raises:
            ConfigurationError: the brokers are gone, or may not be used.
        """
        self._written = written
        self._consumer.subscribe(
            [self._topic], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )
        count, due = 0, time.monotonic() + _COMMIT_AFTER_S
        while not stopped() and not self.complete:
            message = self._consumer.poll(_POLL_S)
            if message is not None and self._is_ours(message):
                yield from self._scan(message, problems)
                self._next[message.partition()] = message.offset() + 1
                count += 1
            now = time.monotonic()
            if now > due or count >= _COMMIT_AFTER_MESSAGES:
                self._commit()
                advanced(count)
                count, due = 0, now + _COMMIT_AFTER_S
            if self._unreachable_since is not None and now > self._unreachable_since + _PATIENCE_S:
                raise self._problem(self._failed)
            self.complete = self._assigned and not self._left and not self._follow
        self._commit()
        advanced(count)
        if self._next:
            raise ConfigurationError(
                f"{self._name}: how far the scan has come could not be committed ({self._failed}); run it "
                "again to scan the rest, and some messages anew"
            )

    def _find_ends(self) -> dict[int, _Ends]:
        found = self._consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return {
            partition: _Ends(
                *self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=_ANSWER_S, cached=False
                )
            )
            for partition in sorted(found.partitions)
        }

    def _problem(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._name}: it can't be read ({name}); see that the address is right, that a broker listens "
            "there, and that --property says what it asks for; run the same again to go on"
        )

    def _note(self, error: KafkaError) -> None:
        self._failed = error.name()
        if error.code() == KafkaError._ALL_BROKERS_DOWN and self._unreachable_since is None:  # noqa: SLF001 - the name of a constant
            self._unreachable_since = time.monotonic()

    def _assign(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._assigned = True
        # A partition that was not there at the begin is not ours to wait for.
        self._left = {place.partition for place in places if place.partition in self._ends}

    def _revoke(self, _consumer: Consumer, _places: list[TopicPartition]) -> None:
        self._commit()
        self._lose()

    def _lose(self, *_: object) -> None:
        # Somebody else goes on from what was committed.
        self._assigned = False
        self._next.clear()

    def _is_ours(self, message: Message) -> bool:
        """Tell whether a message is to be scanned, and notice where a partition ends."""
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - the name of a constant
            # The client's own errors, below 0, pass. Those of the broker that it hands on do not.
            if error.code() > 0 or error.fatal():
                raise self._problem(error.name())
            return False
        self._unreachable_since = None
        partition = message.partition()
        end = self._ends[partition].high if partition in self._ends else 0
        behind = message.offset() + (error is None)
        if behind >= end:
            self._left.discard(partition)
        return error is None and (self._follow or message.offset() < end)

    def _scan(self, message: Message, problems: Problems) -> Iterator[Found]:
        offset, partition = message.offset(), message.partition()
        body = message.value()
        if body is not None:
            inspection = self._inspector.inspect(body)
            for finding in inspection.findings:
                yield Found(self._name, offset, finding, partition)
            self._unscanned(inspection, message, problems)
        text = HeaderText(headers_of(message), message.key())
        if text.text:
            inspection = self._inspector.inspect(text.text, format=Format.TEXT)
            for finding in inspection.findings:
                yield Found(self._name, offset, text.placed(finding), partition)
            self._unscanned(inspection, message, problems)

    def _unscanned(self, inspection: Inspection, message: Message, problems: Problems) -> None:
        if inspection.unscanned is not None:
            problems.unscanned(f"{self._name}[{message.partition()}]", message.offset(), inspection.unscanned)

    def _commit(self) -> None:
        """Write out what was found, then commit; what fails is tried again the next time."""
        self._written()
        if not self._next:
            return
        places = [
            TopicPartition(self._topic, partition, offset, MARK) for partition, offset in self._next.items()
        ]
        try:
            self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            self._failed = error.args[0].name()
        else:
            self._next.clear()


class _Ends(NamedTuple):
    low: int
    high: int
