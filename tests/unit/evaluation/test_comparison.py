from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from interceptors.evaluation.comparison import compare
from interceptors.evaluation.peers.peer import Entity, Kind, Peer
from interceptors.evaluation.scanner import ScannerSubject
from interceptors.scan import DETECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

    from interceptors.evaluation.labelled import LabelledData, Record

MAIL = {"class": "personal.email", "start": 5, "end": 21}
RECORD = {"text": "mail user@example.com", "labels": [MAIL]}


def untracked(records: Iterable[Record], name: str) -> Iterable[Record]:
    del name
    return records


def test_the_scanner_finds_what_it_looks_for(labelled: Callable[..., LabelledData]) -> None:
    found = compare(labelled(RECORD), peers=False, track=untracked)
    assert (found.ours.micro().found, found.ours.micro().missed, found.ours.micro().false) == (1, 0, 0)
    assert (found.unknown, found.peers, found.missing) == ((), (), ())


def test_what_no_detector_looks_for_is_missed_and_named(labelled: Callable[..., LabelledData]) -> None:
    data = labelled(RECORD, {"text": "a", "labels": [{"class": "personal.shoe_size"}]})
    found = compare(data, peers=False, track=untracked)
    assert found.unknown == ("personal.shoe_size",)
    assert found.ours.counts["personal.shoe_size"].missed == 1


def test_a_detectors_name_and_a_family_are_known() -> None:
    scanner = ScannerSubject({"email"})
    assert [scanner.knows(name) for name in ("email", "personal.email", "personal", "person")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_detector_that_is_off_is_on_where_the_data_names_it(
    labelled: Callable[..., LabelledData], monkeypatch: pytest.MonkeyPatch
) -> None:
    off = [replace(each, default=False) for each in DETECTORS]
    monkeypatch.setattr("interceptors.evaluation.scanner.DETECTORS", off)
    record = labelled(RECORD).records[0]
    assert ScannerSubject({"payment.card"}).read(record).predictions == []
    assert len(ScannerSubject({"personal.email"}).read(record).predictions) == 1
    assert len(ScannerSubject({"email"}).read(record).predictions) == 1


def test_peers_read_the_same_and_each_is_tracked(
    labelled: Callable[..., LabelledData], monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Peer("peer", {"MAIL": Kind("personal.email")}, lambda _: [Entity("MAIL", 0, 4)])
    monkeypatch.setattr("interceptors.evaluation.comparison.load_peers", lambda: ([peer], ["gone"]))
    tracked: list[str] = []

    def track(records: Iterable[Record], name: str) -> Iterable[Record]:
        tracked.append(name)
        return records

    found = compare(labelled(RECORD), peers=True, track=track)
    assert tracked == ["interceptors", "peer"]
    assert found.missing == ("gone",)
    assert [(each.subject, each.micro().missed, each.micro().false) for each in found.peers] == [
        ("peer", 1, 1)
    ]
