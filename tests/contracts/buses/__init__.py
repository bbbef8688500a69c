"""The buses that the contract is held against.

What belongs here: how each one's client sends, receives and puts a message back, and how somebody else reads
and writes the broker. What does not: anything that a test asserts.
"""

from .bus import Bus, Fate, Inbox, Need, Raw, Received
from .celery import Celery
from .confluent import Confluent, ConfluentAIO, ConfluentSerializing
from .instrumented import (
    ConfluentInstrumented,
    KafkaInstrumented,
    RabbitMQInstrumented,
    RabbitMQLoopInstrumented,
)
from .kafka import Kafka, KafkaDecorated, KafkaLoop
from .rabbitmq import RabbitMQ, RabbitMQDecorated, RabbitMQGet, RabbitMQLoop

__all__ = ["BUSES", "Bus", "Fate", "Inbox", "Need", "Raw", "Received"]

BUSES: tuple[type[Bus], ...] = (
    *(Kafka, KafkaLoop, KafkaDecorated),
    *(Confluent, ConfluentSerializing, ConfluentAIO),
    *(RabbitMQ, RabbitMQLoop, RabbitMQGet, RabbitMQDecorated),
    *(KafkaInstrumented, ConfluentInstrumented, RabbitMQInstrumented, RabbitMQLoopInstrumented),
    Celery,
)
