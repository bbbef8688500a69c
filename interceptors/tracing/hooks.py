"""Hooks: the application's own functions, which may put labels on a trace, and nothing else."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from interceptors.bounded import BoundedMap
from interceptors.errors import ConfigurationError
from interceptors.message import Message
from interceptors.tokens import token_of
from interceptors.tracing.findings import MASKED

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from interceptors.envelope import Sealer
    from interceptors.pipeline import Receipt
    from interceptors.policy import Channel
    from interceptors.policy.field_rules import Tokenize
    from interceptors.scan import Token

logger = logging.getLogger("interceptors")

LEFT_OUT = "labels left out"
FAILED = "hooks failed"
_CHANNELS = 256


class SpanView:
    """What a hook sees of the span of a message. It holds no ids, and takes only labels.

    Attributes:
        channel: the channel's logical name.
        tenant: whose message it is.
        sender: who sealed what was received; None where nothing authentic was.
        verdict: of what was received; None where the message is being sent, or had no envelope.
    """

    __slots__ = ("_left_out", "_offered", "_rules", "_tokenize", "channel", "sender", "tenant", "verdict")

    def __init__(
        self,
        channel: Channel,
        tenant: str,
        offered: Mapping[str, object],
        tokenize: Tokenize,
        receipt: Receipt | None = None,
    ) -> None:
        """Begin with the labels that there are; `Hooks` does."""
        self.channel = channel.name
        self.tenant = tenant
        self.sender = None if receipt is None else receipt.sender
        self.verdict = None if receipt is None else receipt.verdict
        self._rules = channel.labels
        self._tokenize = tokenize
        self._offered: dict[str, object] = dict(offered)
        self._left_out = 0

    def set_label(self, name: str, value: str) -> None:
        """Set a label, in place of one that came as baggage.

        Args:
            name: one that the policy names for the channel; another is left out, and counted.
            value: one that the policy allows; likewise. A token stands for it where the policy says so.
        """
        kept, _ = self._rules.admitted({name: value}, self._tokenize)
        self._offered |= kept
        self._left_out += not kept

    def labels(self) -> tuple[dict[str, str], int]:
        """Give the labels, and how many were left out."""
        kept, left_out = self._rules.admitted(self._offered, self._tokenize)
        return kept, left_out + self._left_out

    def __repr__(self) -> str:
        """Show no value of a label."""
        return f"SpanView(channel={self.channel!r})"


Hook = Callable[[SpanView, Message], None]
"""Called with the view of a span, and the message: as it is before it is sealed, or as it was received. What
it raises is counted, and said once: it costs neither the message nor the trace."""


class Labelling:
    """Decides which labels a message has: those of the baggage, then the hook's, as far as the policy goes.

    Attributes:
        hooked: whether there is a hook.
    """

    def __init__(
        self, hook: Hook | None, counts: Counter[str], sealer: Callable[[str], Sealer | None]
    ) -> None:
        """Take the parts.

        Args:
            hook: the application's.
            counts: of the tracing.
            sealer: gives the sealer of a tenant, whose keys labels are tokenized with; None where there is
                none at hand.

        Raises:
            ConfigurationError: the hook is a coroutine function, which nobody would await.
        """
        if inspect.iscoroutinefunction(hook):
            msg = "a hook is called and not awaited; give a function that is no coroutine function"
            raise ConfigurationError(msg)
        self.hooked = hook is not None
        self._hook = hook
        self._counts = counts
        self._sealer = sealer
        self._said = False
        self._masked: BoundedMap[str, bool] = BoundedMap(_CHANNELS)

    def labels(
        self,
        message: Message,
        channel: Channel,
        tenant: str,
        offered: Mapping[str, object],
        receipt: Receipt | None = None,
    ) -> dict[str, str]:
        """Give the labels of a message.

        Args:
            message: the message.
            channel: its channel.
            tenant: whose it is.
            offered: what there is already, by name.
            receipt: what was received, where it was.
        """
        if self._hook is None and not (channel.labels.rules and offered):
            return {}
        tokenize = partial(self._token, channel.name, tenant)
        if self._hook is None:
            kept, left_out = channel.labels.admitted(offered, tokenize)
        else:
            view = SpanView(channel, tenant, offered, tokenize, receipt)
            try:
                self._hook(view, message)
            except Exception as error:  # noqa: BLE001 - a hook costs neither message nor trace
                self._note(error)
            kept, left_out = view.labels()
        if left_out:
            self._counts[LEFT_OUT] += left_out
        return kept

    def _token(self, channel: str, tenant: str, domain: str, class_: str, value: bytes) -> Token | None:
        sealer = self._sealer(tenant)
        token = None if sealer is None else token_of(sealer.key.tokens, domain, class_, value)
        if token is None:
            self._counts[MASKED] += 1
            if self._masked.get(channel) is None:
                self._masked.set(channel, True)  # noqa: FBT003 - a set of names
                logger.warning(
                    "channel %r: there is no token key of the domain %r for a label, so that it is masked; "
                    "others like it are only counted",
                    channel,
                    domain,
                )
        return token

    def _note(self, error: Exception) -> None:
        self._counts[FAILED] += 1
        if not self._said:
            logger.warning("a hook failed with %s; others like it are only counted", type(error).__name__)
        self._said = True
