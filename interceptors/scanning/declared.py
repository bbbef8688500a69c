"""What a policy says of the payloads that are scanned: what to look for, and what is declared."""

from __future__ import annotations

import difflib
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError
from interceptors.policy import PolicyDocument, compile_policy
from interceptors.policy.rules import Match
from interceptors.policy.yaml_document import parse_document
from interceptors.scan import Inspector, Limits
from interceptors.tracing.configuration import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from interceptors.policy import Policy
    from interceptors.policy.payload import Payload
    from interceptors.scan import Finding

_LIMITS = Limits(bytes=1 << 26)
"""Nobody waits for a scan of what lies still."""
_HERE = "here"


class Declared(NamedTuple):
    """What is looked for, and what of it is declared."""

    inspector: Inspector
    payload: Payload | None

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is declared."""
        return self.payload is not None and self.payload.declared(finding)


class Declarations:
    """What goes for files and topics under a policy, or under none."""

    def __init__(self, path: Path | None, channel: str) -> None:
        """Read the policy.

        Args:
            path: its file.
            channel: the name of the channel that goes for all; empty for a topic's own, and the default's
                rules for files.

        Raises:
            ConfigurationError: the policy can't be used, or has no such channel.
        """
        if path is None and channel:
            raise ConfigurationError("--channel names a channel of a policy; give that with --policy")
        self._channel = channel
        self._policy: Policy | None = None
        if path is None:
            return
        document = parse_document(PolicyDocument, read_text(path, "interceptors init"), str(path))
        if channel:
            entries = {entry.name: entry for entry in document.channels}
            if channel not in entries:
                near = difflib.get_close_matches(channel, entries, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "name one that it lists"
                raise ConfigurationError(f"{path}: no channel is called {channel!r}; {hint}")
            # At a topic of its own, since another channel may list the same one, and a glob is no topic.
            entry = entries[channel].model_copy(update={"match": Match(kafka=(_HERE,))})
            document = document.model_copy(update={"channels": (entry,)})
        self._policy = compile_policy(document, str(path))

    def of(self, topic: str = "") -> Declared:
        """Give what goes for a topic, or for files."""
        payload = None
        if self._policy is not None:
            # On no bus at all there is no channel: files go by the default.
            place = ("kafka", _HERE) if self._channel else ("kafka" if topic else "", topic)
            payload = self._policy.channels(*place)[0].payload
        inspector = self._all if payload is None else payload.inspector.with_limits(_LIMITS)
        return Declared(inspector, payload)

    @cached_property
    def _all(self) -> Inspector:
        """Looks for all that is on where nothing is said."""
        return Inspector(limits=_LIMITS)
