"""One run over whatever was named: files first, then topics; what fails is kept, and the rest goes on."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from interceptors.errors import ConfigurationError
from interceptors.scanning.declared import Declarations
from interceptors.scanning.files import find_files, scan_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from interceptors.scan import Format
    from interceptors.scanning.declared import Declared
    from interceptors.scanning.report import Found, Problems

    Progress = Callable[[int], AbstractContextManager[Callable[[int], None]]]

SCHEME = "kafka://"


class Options(NamedTuple):
    """How to scan."""

    format: Format
    """What files are."""
    policy: Path | None
    channel: str
    group: str
    """The consumer group of topics."""
    properties: Mapping[str, str]
    """Of the client of topics."""
    follow: bool
    """Whether to go on at the end of a topic."""


def scan_targets(
    targets: Sequence[str],
    options: Options,
    *,
    problems: Problems,
    progress: Progress,
    written: Callable[[], None],
) -> Iterator[Found]:
    """Scan files and topics.

    Args:
        targets: files, folders, `-`, and addresses of topics.
        options: how.
        problems: gets what could not be scanned.
        progress: opens a bar of so many bytes or messages (0: nobody knows), which is told of each advance.
        written: sees to it that what was given so far is written out.

    Yields:
        What was found and is not declared.

    Raises:
        ConfigurationError: the policy can't be used.
    """
    declarations = Declarations(options.policy, options.channel)
    topics = [target for target in targets if target.startswith(SCHEME)]
    names = [target for target in targets if target not in topics]
    files = find_files(names, problems)
    if files:
        declared = declarations.of()
        with progress(sum(file.size for file in files)) as advanced:
            found = scan_files(
                files, declared.inspector, options.format, problems=problems, advanced=advanced
            )
            yield from _undeclared(found, declared)
    for address in topics:
        try:
            yield from _scan_topic(
                address, options, declarations, problems=problems, progress=progress, written=written
            )
        except ConfigurationError as error:
            problems.add(str(error))


def _undeclared(scanned: Iterator[Found], declared: Declared) -> Iterator[Found]:
    return (found for found in scanned if not declared.covers(found.finding))


def _scan_topic(
    address: str,
    options: Options,
    declarations: Declarations,
    *,
    problems: Problems,
    progress: Progress,
    written: Callable[[], None],
) -> Iterator[Found]:
    # Only here: Kafka's client is an extra, and files are scanned without it.
    from interceptors import confluent as _adapter  # noqa: F401, PLC0415 - only whether its extra is there
    from interceptors.scanning.topic import TopicScan, parse_address  # noqa: PLC0415 - see above

    declared = declarations.of(parse_address(address).topic)
    with (
        _interrupted() as stopped,
        TopicScan(
            address,
            group=options.group,
            properties=options.properties,
            inspector=declared.inspector,
            follow=options.follow,
        ) as scan,
        progress(0 if options.follow else scan.total) as advanced,
    ):
        found = scan.run(problems=problems, written=written, stopped=stopped, advanced=advanced)
        yield from _undeclared(found, declared)
        if not (scan.complete or options.follow):
            problems.add(f"{address}: interrupted; run the same again to go on")


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Give what says whether somebody wants an end, by SIGINT or SIGTERM, which do nothing else meanwhile."""
    wanted = threading.Event()
    former = {
        number: signal.signal(number, lambda *_: wanted.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield wanted.is_set
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
