"""A message as it lies on a broker: what anyone with the broker's rights reads, and may write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from interceptors.envelope import HEADER_NAME, header_bytes
from interceptors.message import Coordinate, Message

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Record(NamedTuple):
    """A record on a Kafka topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None

    @property
    def lies_on(self) -> str:
        """The topic."""
        return self.topic

    @property
    def place(self) -> Coordinate:
        """What tells it from every other message."""
        return self.topic, self.partition, self.offset

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return f"Kafka {self.partition}/{self.offset}"

    @property
    def envelope(self) -> bytes | None:
        """The envelope in its headers."""
        return dict(self.headers).get(HEADER_NAME)

    @property
    def message(self) -> Message:
        """The core's view of it."""
        envelopes = tuple(value for name, value in self.headers if name == HEADER_NAME)
        return Message("kafka", self.topic, self.value, envelopes=envelopes, coordinate=self.place)

    def with_envelope(self, envelope: bytes | None) -> Record:
        """Give it with another envelope, or none."""
        others = tuple(header for header in self.headers if header[0] != HEADER_NAME)
        return self._replace(headers=others if envelope is None else (*others, (HEADER_NAME, envelope)))

    def as_json(self) -> dict[str, object]:
        """Give it with its bytes in hex."""
        return self._asdict() | {
            "key": None if self.key is None else self.key.hex(),
            "headers": [[name, value.hex()] for name, value in self.headers],
            "value": None if self.value is None else self.value.hex(),
        }


class Queued(NamedTuple):
    """A message in a queue of RabbitMQ, or of Celery's broker."""

    bus: str
    queue: str
    type: str
    """AMQP's property, or the name of the task."""
    id: str
    """AMQP's property, or the id of the task."""
    headers: dict[str, Any]
    body: bytes
    properties: dict[str, Any]

    @property
    def lies_on(self) -> str:
        """The queue."""
        return self.queue

    @property
    def place(self) -> Coordinate:
        """What tells it from every other message."""
        return self.queue, self.type, self.id

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return f"{'Celery' if self.bus == 'celery' else 'RabbitMQ'} {self.type}"

    @property
    def envelope(self) -> bytes | None:
        """The envelope in its headers."""
        return header_bytes(self.headers[HEADER_NAME]) if HEADER_NAME in self.headers else None

    @property
    def message(self) -> Message:
        """The core's view of it."""
        envelopes = (self.headers[HEADER_NAME],) if HEADER_NAME in self.headers else ()
        return Message(self.bus, self.queue, self.body, self.type, self.id, envelopes, self.place)

    def as_json(self) -> dict[str, object]:
        """Give it with its bytes in hex."""
        return self._asdict() | {"body": self.body.hex()}


Lying = Record | Queued


def write(path: Path, messages: Iterable[Lying]) -> None:
    """Write messages as JSON lines, bytes in hex.

    Args:
        path: the file.
        messages: what goes into it.
    """
    with path.open("w", encoding="utf-8") as file:
        for message in messages:
            file.write(json.dumps(message.as_json(), default=_plain) + "\n")


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
