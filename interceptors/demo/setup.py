"""What the demonstration's services are given: keys, a policy, topics."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from interceptors.keys import KeyAdministration, LocalKeys
from interceptors.policy import parse_policy
from interceptors.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from interceptors.spans import SpanSink

STOREFRONT, CHECKOUT, LEDGER = "storefront", "checkout", "ledger"
ORDERS, PAYMENTS, REFUNDS = "orders", "payments", "refunds"

RETRY_WINDOW_S = 0.5
DEADLINE_S = 60.0

POLICY = f"""
version: 1
channels:
  - name: {ORDERS}
    match: {{kafka: ["*.{ORDERS}"]}}
    senders: [{STOREFRONT}]
    binding: message      # an envelope opens with its own message and no other
    retry_window: 500ms   # short, so that the demonstration's replay need not wait two minutes
  - name: {PAYMENTS}
    match: {{kafka: ["*.{PAYMENTS}"]}}
    senders: [{CHECKOUT}]
  - name: {REFUNDS}
    match: {{kafka: ["*.{REFUNDS}"]}}
    senders: [{CHECKOUT}]
default:
  accept: required
"""

_READS = {STOREFRONT: (), CHECKOUT: (STOREFRONT,), LEDGER: (CHECKOUT,)}


class Setup:
    """Keys on disk, one tracing a service, and topic names of this run's own.

    Attributes:
        keys: the folder of the key files.
        tracings: by service.
    """

    def __init__(self, folder: Path, tenants: Iterable[str], sink: SpanSink) -> None:
        """Make keys for each tenant, and a tracing for each service.

        Args:
            folder: where the key files go.
            tenants: whose orders there are.
            sink: where all spans go.

        Raises:
            ConfigurationError: the folder can't be written, or holds something else.
        """
        self.keys = folder
        self._run = f"demo-{secrets.token_hex(3)}"
        administration = KeyAdministration(folder / "demo-roots.json")
        known = {tenant for tenant, _, _ in administration.roots()}
        for tenant in dict.fromkeys(tenants):
            if tenant not in known:
                administration.root(tenant)
            for service, reads in _READS.items():
                administration.grant(service, tenant, reads, self.key_file(service))
        policy = parse_policy(POLICY, "the demonstration's policy")
        self.tracings = {
            service: Tracing(
                service=service,
                tenant=next(iter(tenants)),
                policy=policy,
                keys=LocalKeys(self.key_file(service)),
                sink=sink,
            )
            for service in _READS
        }

    def key_file(self, service: str) -> Path:
        """Give the key file of a service."""
        return self.keys / f"{service}.json"

    def topic(self, channel: str) -> str:
        """Give the topic that a channel lies on: the channel's name stays, the topic's does not."""
        return f"{self._run}.{channel}"

    def topics(self) -> list[str]:
        """Give all topics."""
        return [self.topic(channel) for channel in (ORDERS, PAYMENTS, REFUNDS)]
