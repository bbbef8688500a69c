"""What is looked for: one table, a row for each kind of identifier.

What belongs here: what an identifier looks like, what may stand beside it, why it counts, and texts that are
one and that only look like one. What does not: check digits (`validators`), and how bytes are searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.detectors.national_americas import NATIONAL_AMERICAS
from interceptors.scan.detectors.national_asia_pacific import NATIONAL_ASIA_PACIFIC
from interceptors.scan.detectors.national_eastern_europe import NATIONAL_EASTERN_EUROPE
from interceptors.scan.detectors.national_europe import NATIONAL_EUROPE
from interceptors.scan.detectors.national_generic import NATIONAL_GENERIC
from interceptors.scan.detectors.national_nordic import NATIONAL_NORDIC
from interceptors.scan.detectors.network import NETWORK
from interceptors.scan.detectors.payment import PAYMENT
from interceptors.scan.detectors.personal import PERSONAL
from interceptors.scan.detectors.phones import PHONES
from interceptors.scan.detectors.secrets_cloud import CLOUD
from interceptors.scan.detectors.secrets_credentials import CREDENTIALS
from interceptors.scan.detectors.secrets_generic import GENERIC
from interceptors.scan.detectors.secrets_keys import KEYS
from interceptors.scan.detectors.secrets_messaging import MESSAGING
from interceptors.scan.detectors.secrets_services import SERVICES
from interceptors.scan.detectors.secrets_tokens import TOKENS
from interceptors.scan.detectors.trace import TRACE
from interceptors.scan.detectors.wallets import WALLETS

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

DETECTORS: tuple[Detector, ...] = (
    *PAYMENT,
    *WALLETS,
    *NETWORK,
    *PERSONAL,
    *PHONES,
    *NATIONAL_AMERICAS,
    *NATIONAL_EUROPE,
    *NATIONAL_NORDIC,
    *NATIONAL_EASTERN_EUROPE,
    *NATIONAL_ASIA_PACIFIC,
    *NATIONAL_GENERIC,
    *KEYS,
    *CLOUD,
    *TOKENS,
    *MESSAGING,
    *SERVICES,
    *CREDENTIALS,
    *GENERIC,
    *TRACE,
)
"""All that are built in, in the order of the reference."""
