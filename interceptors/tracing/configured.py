"""The tracing of a process that is configured by its environment alone.

For what OpenTelemetry makes from entry points, which nothing can be passed to. A program that can pass a
`Tracing` on makes its own.
"""

from __future__ import annotations

import os
import threading

from interceptors.tracing.tracing import Tracing

VARIABLE = "INTERCEPTORS_CONFIG"

_making = threading.Lock()
_made: dict[str, Tracing] = {}


def configured() -> Tracing | None:
    """Give the tracing that `INTERCEPTORS_CONFIG` names the configuration of, the same one each time.

    Returns:
        The tracing; None where the variable is not set, or empty.

    Raises:
        ConfigurationError: the configuration does not hold.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    with _making:
        if path not in _made:
            _made[path] = Tracing.from_file(path)
        return _made[path]
