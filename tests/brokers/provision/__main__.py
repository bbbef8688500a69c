"""Fetch ahead of time what the tests' brokers need: `python -m tests.brokers.provision`."""

from __future__ import annotations

import sys

from . import container, given_address, native, unwanted


def main() -> None:
    """Say which Kafka the tests will use, after fetching it if that is what it takes."""
    if unwanted():
        print("brokers: none, as BROKERS=none asks")
    elif address := given_address():
        print(f"kafka: {address}, from KAFKA_BOOTSTRAP_SERVERS")
    elif container.engine_answers():
        print(f"kafka: {container.IMAGE}, in Docker")
    else:
        try:
            print(f"kafka: native, {native.fetch()}")
        except RuntimeError as error:
            sys.exit(f"kafka: {error}")


if __name__ == "__main__":
    main()
