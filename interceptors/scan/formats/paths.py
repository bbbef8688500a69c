"""How a place in a document is written: after JSONPath (RFC 9535), its names kept if they are plain."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"(?!.*[0-9]{5})[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


def member(name: str) -> str:
    """Write the step to a member.

    Args:
        name: the member's name, from the document.

    Returns:
        `.name`; or `.*` where the name may itself be an identifier: an account number, an e-mail address.
    """
    return f".{name}" if _PLAIN.match(name) else ".*"
