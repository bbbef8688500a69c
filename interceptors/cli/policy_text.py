"""Policies as the commands that only look at them take them: signed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interceptors.policy.signed import open_unchecked
from interceptors.policy.trust import RoleName
from interceptors.tracing.reading import decoded, read_content

if TYPE_CHECKING:
    from pathlib import Path


def read_policy_text(path: Path) -> str:
    """Give a policy's text, of a signed one what was signed. No signature is checked.

    Args:
        path: where it lies.

    Raises:
        ConfigurationError: it can't be read, or is no text.
        TrustError: it is damaged, too large, or signed as something else.
    """
    source = str(path)
    content = open_unchecked(read_content(path, "interceptors init"), RoleName.POLICY, source)
    return decoded(content.text, source)
