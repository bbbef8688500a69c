from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.evaluation.labelled import Label, LabelledData, Record
from interceptors.evaluation.scoring import Counts, Evaluation, Mistake, Prediction, Reading, evaluate
from interceptors.scan.inspection import Format

if TYPE_CHECKING:
    from collections.abc import Sequence

CARD, IBAN, MAIL = "payment.card", "payment.bank_account", "personal.email"


@dataclass
class Reader:
    """A subject that finds what it is told to, and claims what it is told to."""

    found: Sequence[Prediction] = ()
    claimed: frozenset[str] | None = None
    whole: bool = True
    name: str = "reader"
    seen: list[str] = field(default_factory=list)

    def claims(self, class_: str) -> bool:
        return self.claimed is None or class_ in self.claimed

    def read(self, record: Record) -> Reading:
        self.seen.append(record.id)
        return Reading(self.found, self.whole)


def scored(labels: Sequence[Label], found: Sequence[Prediction], classes: Sequence[str] = ()) -> Evaluation:
    record = Record("r", b"x" * 100, Format.AUTO, tuple(labels))
    declared = frozenset(classes) | {label.class_ for label in labels}
    return evaluate(LabelledData(declared, (record,)), Reader(found))


def counts(evaluation: Evaluation) -> dict[str, tuple[int, int, int]]:
    return {class_: (each.found, each.missed, each.false) for class_, each in evaluation.counts.items()}


def card(start: int, end: int) -> Prediction:
    return Prediction("card_number", CARD, start, end)


@pytest.mark.parametrize("class_", ["card_number", "payment.card", "payment"])
def test_a_label_may_be_of_a_detector_a_class_or_a_family(class_: str) -> None:
    assert counts(scored([Label(class_, 0, 10)], [card(0, 10)])) == {class_: (1, 0, 0)}


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (0, 10, True),
        (5, 15, True),
        (6, 16, False),
        (10, 20, False),
        (2, 4, True),
        (0, 100, True),
        (9, 11, True),
    ],
)
def test_half_of_the_shorter_has_to_overlap(start: int, end: int, found: bool) -> None:  # noqa: FBT001 - a case
    expected = (1, 0, 0) if found else (0, 1, 1)
    assert counts(scored([Label(CARD, 0, 10)], [card(start, end)])) == {CARD: expected}


def test_another_class_at_the_place_is_missed_and_false() -> None:
    found = Prediction("iban", IBAN, 0, 10)
    evaluation = scored([Label(CARD, 0, 10)], [found], [IBAN])
    assert counts(evaluation) == {CARD: (0, 1, 0), IBAN: (0, 0, 1)}
    assert evaluation.missed == [Mistake("r", CARD, 0, 10)]
    assert evaluation.false == [Mistake("r", IBAN, 0, 10, "iban")]


def test_one_finding_is_of_one_label() -> None:
    assert counts(scored([Label(CARD, 0, 10), Label(CARD, 20, 30)], [card(0, 30)])) == {CARD: (1, 1, 0)}


def test_the_pair_that_overlaps_the_most_goes_first() -> None:
    labels = [Label(CARD, 0, 10), Label(CARD, 10, 20)]
    assert counts(scored(labels, [card(4, 20), card(0, 9)])) == {CARD: (2, 0, 0)}


def test_a_second_finding_on_a_label_counts_for_nothing() -> None:
    assert counts(scored([Label(CARD, 0, 10)], [card(0, 10), card(0, 9)])) == {CARD: (1, 0, 0)}


def test_a_label_without_a_place_asks_for_one_finding_anywhere() -> None:
    labels = [Label(CARD), Label(CARD), Label(MAIL)]
    evaluation = scored(labels, [card(0, 10), card(50, 60)])
    assert counts(evaluation) == {CARD: (1, 0, 0), MAIL: (0, 1, 0)}
    assert evaluation.missed == [Mistake("r", MAIL, None, None)]


def test_a_false_finding_counts_for_the_narrowest_name_that_the_data_has() -> None:
    found = [card(0, 10), Prediction("iban", IBAN, 20, 30), Prediction("email", MAIL, 40, 50)]
    evaluation = scored([], found, ["card_number", CARD, "payment"])
    assert counts(evaluation) == {"card_number": (0, 0, 1), CARD: (0, 0, 0), "payment": (0, 0, 1)}
    assert evaluation.unlabelled == {MAIL: 1}


def test_data_without_any_label_says_that_nothing_is_to_be_found() -> None:
    evaluation = scored([], [card(0, 10), card(20, 30)])
    assert counts(evaluation) == {CARD: (0, 0, 2)}
    assert (evaluation.clean, evaluation.clean_hit, evaluation.unlabelled) == (1, 1, {})


def test_what_a_subject_does_not_claim_is_not_held_against_it() -> None:
    record = Record("r", b"", Format.AUTO, (Label(CARD, 0, 10), Label(MAIL, 20, 30)))
    data = LabelledData(frozenset({CARD, MAIL}), (record,))
    evaluation = evaluate(data, Reader([card(0, 10)], claimed=frozenset({CARD})))
    assert counts(evaluation) == {CARD: (1, 0, 0)}
    assert evaluation.missed == []


def test_records_are_counted() -> None:
    records = (Record("a", b"", Format.AUTO, (Label(CARD),)), Record("b", b"", Format.AUTO, ()))
    reader = Reader(whole=False)
    evaluation = evaluate(LabelledData(frozenset({CARD}), records), reader)
    assert reader.seen == ["a", "b"]
    assert (evaluation.records, evaluation.clean, evaluation.clean_hit, evaluation.partial) == (2, 1, 0, 2)


def test_precision_recall_and_f1() -> None:
    each = Counts(found=3, missed=1, false=2)
    assert each.precision == pytest.approx(3 / 5)
    assert each.recall == pytest.approx(3 / 4)
    assert each.f1 == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))


def test_what_is_not_there_has_no_figure() -> None:
    assert (Counts().precision, Counts().recall, Counts().f1) == (None, None, None)
    assert (Counts(missed=1).precision, Counts(missed=1).f1) == (None, 0.0)


def test_micro_weighs_identifiers_and_macro_classes() -> None:
    evaluation = Evaluation("s", {CARD: Counts(9, 1, 0), MAIL: Counts(0, 0, 5), IBAN: Counts(0, 2, 0)})
    assert evaluation.micro() == Counts(9, 3, 5)
    assert evaluation.micro([CARD, MAIL]) == Counts(9, 1, 5)
    macro = evaluation.macro()
    assert macro.precision == pytest.approx((1 + 0) / 2)
    assert macro.recall == pytest.approx((0.9 + 0) / 2)
    assert macro.f1 == pytest.approx((18 / 19 + 0 + 0) / 3)


def test_without_a_class_there_is_no_mean() -> None:
    assert Evaluation("s", {}).macro() == (None, None, None)


spans = st.tuples(st.integers(0, 90), st.integers(1, 10)).map(lambda span: (span[0], span[0] + span[1]))


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=8))
def test_each_label_is_found_or_missed_and_no_finding_is_of_two(
    labelled: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    labels = list(dict.fromkeys(Label(CARD, *span) for span in labelled))
    total = scored(labels, [card(*span) for span in found]).micro()
    assert total.found + total.missed == len(labels)
    assert total.found + total.false <= len(found)


@given(st.lists(spans, max_size=8, unique=True))
def test_a_subject_that_finds_just_the_labels_makes_no_mistake(labelled: list[tuple[int, int]]) -> None:
    labels = [Label(CARD, *span) for span in labelled]
    assert scored(labels, [card(*span) for span in labelled]).micro() == Counts(found=len(labels))
