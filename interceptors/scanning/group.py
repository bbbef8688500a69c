"""The consumer group of a scan: ours alone, told by what its commits and its members say of themselves."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import TopicPartition

MARK = "interceptors scan"
"""The metadata of what we commit."""
CLIENT_ID = "interceptors-scan"
"""What members of ours are called."""
_UNKNOWN = (
    KafkaError.GROUP_ID_NOT_FOUND,
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - the name of a constant; the embedded broker's answer
)


def check_is_ours(
    group: str, settings: Mapping[str, Any], committed: Iterable[TopicPartition], *, timeout: float
) -> None:
    """See that nobody else uses a group: it has neither members nor commits but those of scans.

    Args:
        group: the group.
        settings: of the client.
        committed: what it has committed of the topic, since not every broker says what it has of all.
        timeout: how many seconds an answer may take.

    Raises:
        ConfigurationError: somebody does.
        KafkaException: the broker gives no answer.
    """
    admin = AdminClient(dict(settings))
    asked = [ConsumerGroupTopicPartitions(group)]
    listed = admin.list_consumer_group_offsets(asked, request_timeout=timeout)[group].result()
    places = chain(listed.topic_partitions, committed)
    foreign = any(place.offset >= 0 and place.metadata != MARK for place in places)
    try:
        members = admin.describe_consumer_groups([group], request_timeout=timeout)[group].result().members
    except KafkaException as error:
        if error.args[0].code() not in _UNKNOWN:
            raise
        members = []
    if foreign or any(member.client_id != CLIENT_ID for member in members):
        raise ConfigurationError(
            f"the group {group!r} is used by something else than `interceptors scan`, whose offsets must not "
            "change; give a group of its own with --group"
        )
