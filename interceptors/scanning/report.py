"""How findings are told: as JSON, as lines for people, and counted. Never the text that was found."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from interceptors.files import shown
from interceptors.scan.finding import Unscanned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.scan.finding import Finding

_BODY = "body"
_REMEDIES = {
    Unscanned.CODEC: "is it damaged? If not, install the codecs: pip install 'interceptors[scan]'",
}


class Found(NamedTuple):
    """A finding and where its record lies."""

    file: str
    """The file as it was named; `-` for standard input; the address of a topic."""
    record: int
    """Which of the file's records, from 0; of a topic, the message's offset."""
    finding: Finding
    """Its offsets count in the record."""
    partition: int | None = None
    """Of a topic."""

    def as_json(self) -> str:
        """Write it as one line of JSON."""
        finding = self.finding
        fields: dict[str, object] = {
            "file": self.file,
            "record": self.record,
            "path": self._path(),
            "start": finding.start,
            "end": finding.end,
            "detector": finding.detector,
            "class": finding.class_,
            "validation": finding.validation,
            "reason": finding.reason,
        }
        if self.partition is not None:
            part = finding.part.partition(".")[0]
            fields |= {"part": part, "partition": self.partition, "offset": self.record}
        return json.dumps(fields)

    def as_line(self) -> str:
        """Write it as one line for people."""
        finding = self.finding
        partition = "" if self.partition is None else f"[{self.partition}]"
        place = f"{shown(self.file)}{partition}:{self.record}"
        where = self._path() or f"byte {finding.start}"
        return f"{place}  {where}  {finding.class_}  {finding.detector}  {finding.reason}"

    def _path(self) -> str:
        finding = self.finding
        return finding.path if finding.part == _BODY else finding.part + finding.path.removeprefix("$")


class Tally:
    """Counts findings by class and detector."""

    def __init__(self) -> None:
        """Begin at none."""
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, found: Found) -> None:
        """Count one."""
        self._counts[found.finding.class_, found.finding.detector] += 1

    def rows(self) -> list[tuple[str, str, int]]:
        """Give class, detector and count, in the order of the names."""
        return [(*names, count) for names, count in sorted(self._counts.items())]

    @property
    def total(self) -> int:
        """How many there were."""
        return self._counts.total()


class Problems:
    """What went wrong, kept until all else is done."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._texts: list[str] = []
        self._unscanned: defaultdict[tuple[str, Unscanned], list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        """Keep a text that names the place and the remedy."""
        self._texts.append(text)

    def unscanned(self, file: str, record: int, why: Unscanned) -> None:
        """Keep that a record was not scanned to its end."""
        first_and_count = self._unscanned[file, why]
        if not first_and_count:
            first_and_count += (record, 0)
        first_and_count[1] += 1

    def texts(self) -> Iterator[str]:
        """Give each problem as a line."""
        yield from self._texts
        for (file, why), (first, count) in self._unscanned.items():
            remedy = _REMEDIES.get(why, "look into it by hand")
            yield (f"{shown(file)}:{first}: not scanned to the end: {why} (records: {count}); {remedy}")
