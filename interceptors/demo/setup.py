"""What the demonstration's services are given: keys, a policy, names on the buses."""

from __future__ import annotations

import contextlib
import functools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.policy import parse_policy
from interceptors.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interceptors.spans import SpanSink

STOREFRONT, CHECKOUT, BILLING, WORKER, LEDGER = "storefront", "checkout", "billing", "worker", "ledger"
ORDERS, PAYMENTS, CHARGES, BOOKINGS, REFUNDS = "orders", "payments", "charges", "bookings", "refunds"
AUTHORIZE, CAPTURE, REFUND = "authorize", "capture", "refund"
"""The tasks of the channel `charges`."""

RETRY_WINDOW_S = 0.5
DEADLINE_S = 60.0

REDACTED = ("personal.email", "payment.card")
"""What the policy has taken out of the orders."""

POLICY = Path(__file__).with_name("policy.yaml")
"""The policy, a file of its own, so that `interceptors check` reads it too."""

RECEIVER = {ORDERS: CHECKOUT, PAYMENTS: BILLING, CHARGES: WORKER, BOOKINGS: LEDGER, REFUNDS: LEDGER}
"""Who receives what lies on a channel."""

_READS = {
    STOREFRONT: (),
    CHECKOUT: (STOREFRONT,),
    BILLING: (CHECKOUT,),
    WORKER: (BILLING,),
    LEDGER: (WORKER,),
}
SERVICES = frozenset(_READS)


class Setup:
    """Keys on disk, one tracing a service, and names of this run's own on the buses.

    Attributes:
        keys: the folder of the key files.
    """

    def __init__(self, folder: Path, tenants: Iterable[str], sink: SpanSink) -> None:
        """Choose the names.

        Args:
            folder: where the key files go.
            tenants: whose orders there are.
            sink: where all spans go.
        """
        self.keys = folder
        self._tenants = list(dict.fromkeys(tenants))
        self._sink = sink
        self._run = f"demo-{secrets.token_hex(3)}"
        self._open = contextlib.ExitStack()

    @functools.cached_property
    def tracings(self) -> dict[str, Tracing]:
        """By service. They and their keys are made when first asked for: once the brokers have answered.

        Raises:
            ConfigurationError: the folder can't be written, or holds something else.
        """
        administration = KeyAdministration(self.keys / "demo-roots.json")
        known = {tenant for tenant, _, _ in administration.roots()}
        for tenant in self._tenants:
            if tenant not in known:
                administration.root(tenant)
            for service, reads in _READS.items():
                administration.grant(service, tenant, reads, self.key_file(service))
        policy = parse_policy(POLICY.read_text(encoding="utf-8"), "the demonstration's policy")
        return {
            service: self._open.enter_context(
                Tracing(
                    service=service,
                    tenant=self._tenants[0],
                    policy=policy,
                    keys=LocalKeys(self.key_file(service)),
                    sink=self._sink,
                )
            )
            for service in _READS
        }

    def close(self) -> None:
        """Close the tracings that were made."""
        self._open.close()

    def key_file(self, service: str) -> Path:
        """Give the key file of a service."""
        return self.keys / f"{service}.json"

    def place(self, channel: str) -> str:
        """Give the topic or queue that a channel lies on in this run."""
        return f"{self._run}.{channel}"

    @staticmethod
    def channel(place: str) -> str:
        """Give the channel that lies on a topic or queue."""
        return place.partition(".")[2]
