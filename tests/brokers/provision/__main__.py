"""Fetch ahead of time what the tests' brokers need: `python -m tests.brokers.provision`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import KINDS, container, given_address, unwanted

if TYPE_CHECKING:
    from .kind import Kind


def _source(kind: Kind, *, in_docker: bool) -> str:
    """Which server of a kind the tests will use, after fetching it if that is what it takes."""
    if given_address(kind):
        return f"the one that {kind.variable} names"  # its URL may hold a password
    return f"{kind.image}, in Docker" if in_docker else f"native, {kind.fetch()}"


def main() -> None:
    """Say where each broker of the tests comes from."""
    if unwanted():
        print("brokers: none, as BROKERS=none asks")
        return
    in_docker = container.engine_answers()
    for kind in KINDS:
        try:
            print(f"{kind.name}: {_source(kind, in_docker=in_docker)}", flush=True)
        except RuntimeError as error:
            sys.exit(f"{kind.name}: {error}")


if __name__ == "__main__":
    main()
