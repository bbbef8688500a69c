"""What is looked for: one table, a row for each kind of identifier.

What belongs here: what an identifier looks like, what may stand beside it, why it counts, and texts that are
one and that only look like one. What does not: check digits (`validators`), and how bytes are searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.scan.detectors.payment import PAYMENT
from interceptors.scan.detectors.personal import PERSONAL

if TYPE_CHECKING:
    from interceptors.scan.detector import Detector

DETECTORS: tuple[Detector, ...] = (*PAYMENT, *PERSONAL)
"""All that are built in, in the order of the reference."""
