"""Feature flags, asked off the path of a message: by a thread that nothing waits for."""

from __future__ import annotations

import contextlib
import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from interceptors.errors import MissingExtraError
from interceptors.tracing.aside import Aside
from interceptors.tracing.enhancing import LABELS, PAYLOAD_SAMPLING, VERBOSE_SPANS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from openfeature.client import OpenFeatureClient
    from openfeature.evaluation_context import EvaluationContext

PATIENCE_S = 0.05
"""How long a look waits for the answer: a provider that has it in memory needs far less."""
HANGS_S = 5.0
"""A provider that has not answered for so long has its flags off, until it does."""

_NONE: Mapping[str, object] = MappingProxyType({})


class Flags:
    """What the flags of one service say.

    Attributes:
        values: by name; what could not be had is missing.
    """

    def __init__(
        self,
        client: OpenFeatureClient,
        *,
        service: str,
        environment: str,
        tenant: str,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a client.

        Args:
            client: OpenFeature's.
            service: what flags may go by: the service's name,
            environment: its deployment environment
            tenant: and its own tenant.
            ticks: seconds that don't go back.

        Raises:
            MissingExtraError: OpenFeature is not installed.
        """
        self.values = _NONE
        self._client = client
        self._context = _context(service, environment, tenant)
        self._ticks = ticks
        self._aside = Aside(self._ask, "interceptors-flags")
        self._asked = 0.0

    def look(self) -> None:
        """Ask for all flags anew. It waits a moment at the most; an answer that comes later counts then."""
        if self._aside.busy:
            if self._ticks() - self._asked >= HANGS_S:
                self.values = _NONE
            return
        self._asked = self._ticks()
        if not self._aside.start(PATIENCE_S):
            self.values = _NONE

    def _ask(self) -> None:
        client, context = self._client, self._context
        asked: dict[str, Callable[[], object]] = {
            LABELS: lambda: client.get_boolean_value(LABELS, False, context),  # noqa: FBT003 - the default
            PAYLOAD_SAMPLING: lambda: client.get_float_value(PAYLOAD_SAMPLING, 0.0, context),
            VERBOSE_SPANS: lambda: client.get_boolean_value(VERBOSE_SPANS, False, context),  # noqa: FBT003 - as above
        }
        values: dict[str, object] = {}
        for name, ask in asked.items():
            with contextlib.suppress(Exception):  # a provider's fault leaves its flag off
                values[name] = ask()
        if self._ticks() - self._asked < HANGS_S:  # what was said longer ago may not be so any more
            self.values = values


def _context(service: str, environment: str, tenant: str) -> EvaluationContext:
    try:
        from openfeature.evaluation_context import (  # noqa: PLC0415 - of an extra
            EvaluationContext,
        )
    except ModuleNotFoundError:
        raise MissingExtraError("flags", "openfeature-sdk") from None
    return EvaluationContext(service, {"service": service, "environment": environment, "tenant": tenant})
