"""The demonstration: what `interceptors demo` and `make demo` run.

What belongs here: three small services on a real Kafka client, an attacker with the broker's rights, and
what each of them gets to see. What does not: anything that another program would import.
"""

from interceptors.errors import MissingExtraError

try:
    import aiokafka as _  # noqa: F401 - only whether it is there
except ModuleNotFoundError:
    raise MissingExtraError("demo", "aiokafka") from None

from interceptors.demo.run import run

__all__ = ["run"]
