"""How the channels of a policy go together, and how strictly envelopes are held to them."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from interceptors.envelope import Level
from interceptors.governance.checks.finding import Rule, Severity
from interceptors.policy.rules import BUSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from interceptors.governance.checks.finding import Finding
    from interceptors.governance.checks.policy_file import ChannelView, PolicyFile

SHADOWED = Rule(
    "channel-shadowed",
    Severity.ERROR,
    "a channel that no message is sent on",
    "Each name that it lists is taken by a channel above, whose rules count instead.",
    "move it up, or take the names out of the one above",
)
CONTRADICT = Rule(
    "channels-contradict",
    Severity.WARNING,
    "two channels that list the same name, with rules that contradict each other",
    "Which rules count for a name depends on the order of the channels.",
    "make the rules the same, or the names apart",
)
TASK_BINDING = Rule(
    "binding-loose-for-tasks",
    Severity.ERROR,
    "tasks whose name is not bound",
    "An envelope can be moved to a message that names another task, which the worker then runs as if it had "
    "been sent.",
    "leave `binding` out, or say `type` or `message`",
)
TENANT_BINDING = Rule(
    "binding-tenant-wide",
    Severity.ERROR,
    "envelopes that count on every channel of the tenant",
    "What was sealed for one channel can be put into a message on another one.",
    "leave `binding` out, or say `channel`, `type` or `message`",
)
LOWEST = Rule(
    "lowest-level-loose",
    Severity.NOTE,
    "consumers that accept a looser binding than producers use",
    "The tighter binding protects nobody until this is gone.",
    "take `lowest_level` out once all producers bind tightly",
)
NOT_ENFORCED = Rule(
    "senders-not-enforced",
    Severity.WARNING,
    "senders on a channel where an envelope is optional",
    "A message without an envelope passes, and nobody notices that it comes from somebody else.",
    "say `accept: required` or `reject`",
)
RETRY_WINDOW = Rule(
    "retry-window-zero",
    Severity.WARNING,
    "no time for retries",
    "What a producer sends again after a lost acknowledgement is taken for a replay.",
    "leave `retry_window` out, or give one as long as the producers' own",
)
METADATA = Rule(
    "task-metadata-kept",
    Severity.ERROR,
    "the arguments of tasks in clear beside them",
    "Celery puts texts of all arguments into headers and events, whatever those hold.",
    "leave `task_metadata` out",
)
UNSCANNED = Rule(
    "payload-unscanned",
    Severity.NOTE,
    "a channel whose messages are scanned for nothing",
    "An identifier that slips in is not noticed.",
    "give `payload`, here or in `default`; `on_leak: observe` only counts",
)
OPEN_DEFAULT = Rule(
    "default-open",
    Severity.NOTE,
    "names that no channel lists are traced with no senders and no owner",
    "A topic that somebody makes up has rules that nobody has thought of.",
    "say `emit: none` and `accept: none` in `default`, and the contrary where it is meant",
)
RULES = (
    *(SHADOWED, CONTRADICT, TASK_BINDING, TENANT_BINDING, LOWEST, NOT_ENFORCED, RETRY_WINDOW),
    *(METADATA, UNSCANNED, OPEN_DEFAULT),
)

_GLOB = re.compile(r"[*?\[]")
_COMPARED = ("emit", "accept", "binding", "signed")
_TASKS = ("celery", "taskiq")


def check(policy: PolicyFile) -> Iterator[Finding]:
    """Find what is wrong with channels as a whole."""
    for channel in policy.channels:
        yield from _names(policy, channel)
        yield from _strictness(policy, channel)
        if channel.is_traced and channel.payload is None:
            what = f"the channel {channel.entry.name!r} has no payload rules"
            yield policy.finding(UNSCANNED, (*channel.steps, "name"), what)
    for steps, rules in policy.rules():
        if rules.retry_window == 0:
            yield policy.finding(RETRY_WINDOW, (*steps, "retry_window"), "the retry window is 0")
        if rules.task_metadata == "kept":
            yield policy.finding(METADATA, (*steps, "task_metadata"), "the texts of arguments are kept")
        if rules.binding == "tenant":
            yield policy.finding(
                TENANT_BINDING, (*steps, "binding"), "envelopes are bound to the tenant alone"
            )
    default = policy.document.default
    baseline = policy.document.baseline
    opens = default.senders is None and default.accept in {None, "optional"}
    if opens and default.emit != "none" and baseline.accept is None and baseline.senders is None:
        yield policy.finding(OPEN_DEFAULT, ("default",), "the default traces whatever no channel lists")


def _names(policy: PolicyFile, channel: ChannelView) -> Iterator[Finding]:
    """Compare the names of a channel with those of the channels above it."""
    above = policy.channels[: channel.place]
    open_names = 0
    contradicted: set[str] = set()
    for bus in BUSES:
        for number, name in enumerate(getattr(channel.entry.match, bus)):
            if not _taken(bus, name, above):
                open_names += 1
            for other in above:
                if other.entry.name in contradicted or not _overlap(name, getattr(other.entry.match, bus)):
                    continue
                keys = [key for key in _COMPARED if channel.holds(key) != other.holds(key)]
                if keys:
                    contradicted.add(other.entry.name)
                    steps = (*channel.steps, "match", bus, number)
                    shown = f"{channel.entry.name!r} and {other.entry.name!r} differ in {', '.join(keys)}"
                    yield policy.finding(CONTRADICT, steps, shown)
    if not open_names:
        shown = f"the channels above take every name of {channel.entry.name!r}"
        yield policy.finding(SHADOWED, (*channel.steps, "match"), shown)


def _taken(bus: str, name: str, above: Sequence[ChannelView]) -> bool:
    """Tell whether a channel above comes first for all that a name matches."""
    for other in above:
        for taken in getattr(other.entry.match, bus):
            # A name that is listed counts before every glob.
            if taken == name or (
                _GLOB.search(name) and _GLOB.search(taken) and fnmatch.fnmatchcase(name, taken)
            ):
                return True
    return False


def _overlap(name: str, others: Sequence[str]) -> bool:
    """Tell whether there is a name that both match, as far as the likely ones show it."""
    begin, end = _ends(name)
    for other in others:
        begins, ends = _ends(other)
        if not (
            (begin.startswith(begins) or begins.startswith(begin))
            and (end.endswith(ends) or ends.endswith(end))
        ):
            continue
        joined = (begin + ends, begins + end)
        for sample in (*_samples(name), *_samples(other), *joined):
            if fnmatch.fnmatchcase(sample, name) and fnmatch.fnmatchcase(sample, other):
                return True
    return False


def _samples(name: str) -> Iterator[str]:
    """Give names that a glob matches: those that another one would most likely match as well."""
    plain = re.sub(r"\[!?(.)[^\]]*\]", r"\1", name).replace("?", "x")
    yield from (plain.replace("*", filler) for filler in ("", "x", "x.x", "x-x"))


@lru_cache(maxsize=4096)
def _ends(name: str) -> tuple[str, str]:
    """Give what stands before and behind the wildcards of a glob."""
    parts = _GLOB.split(name)
    return parts[0], parts[-1].rpartition("]")[2]


def _strictness(policy: PolicyFile, channel: ChannelView) -> Iterator[Finding]:
    entry = channel.entry
    steps = channel.steps
    binding = entry.binding
    tasks = any(getattr(entry.match, bus) for bus in _TASKS)
    if tasks and binding is not None and binding != "tenant" and Level[binding.upper()] < Level.TYPE:
        yield policy.finding(TASK_BINDING, (*steps, "binding"), "the task's name is not bound")
    lowest = entry.lowest_level
    if lowest is not None and binding is not None and Level[lowest.upper()] < Level[binding.upper()]:
        yield policy.finding(LOWEST, (*steps, "lowest_level"), f"{lowest} is accepted instead of {binding}")
    if entry.senders is not None and channel.holds("accept") == "optional":
        yield policy.finding(NOT_ENFORCED, (*steps, "senders"), "an envelope is optional here")
