"""How a place in a document is written: after JSONPath (RFC 9535), its names kept if they are plain."""

from __future__ import annotations

import re

_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,63}")
STEPS = 100
"""How many steps of a path are written; what lies deeper has none."""
_LONGEST = 64
_MANY_DIGITS = re.compile("[0-9]{5}|[0-9](?:[_-]{0,2}[0-9]){7}")


def member(name: str) -> str:
    """Write the step to a member.

    Args:
        name: the member's name, from the document.

    Returns:
        `.name`; or `.*` where the name may itself be an identifier: an account number, an e-mail address.
    """
    if name.isascii() and name.isalpha() and len(name) <= _LONGEST:  # as most are
        return f".{name}"
    return f".{name}" if _PLAIN.fullmatch(name) and not _MANY_DIGITS.search(name) else ".*"
