"""The demonstration: what `interceptors demo` and `make demo` run.

What belongs here: five small services on real clients of three buses, an attacker with the brokers' rights,
and what each of them gets to see. What does not: anything that another program would import.
"""

from interceptors.errors import MissingExtraError

try:
    import aio_pika as _aio_pika  # noqa: F401 - only whether it is there
    import aiokafka as _aiokafka  # noqa: F401 - likewise
    import celery as _celery  # noqa: F401 - likewise
    import confluent_kafka as _confluent_kafka  # noqa: F401 - likewise
except ModuleNotFoundError as error:
    if error.name not in {"aio_pika", "aiokafka", "celery", "confluent_kafka"}:
        raise
    raise MissingExtraError("demo", error.name) from None

from interceptors.demo.run import run

__all__ = ["run"]
