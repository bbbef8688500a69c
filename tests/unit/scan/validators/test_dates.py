from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.dates import is_written_date

DAYS = st.dates(min_value=dt.date(1850, 1, 1), max_value=dt.date(2149, 12, 31))
FORMS = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%m/%d/%y",
    "%d %B %Y",
    "%B %d, %Y",
)


@given(DAYS, st.sampled_from(FORMS))
def test_each_day_in_each_form_is_one(day: dt.date, form: str) -> None:
    assert is_written_date(day.strftime(form))


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True))
def test_iso_dates_agree_with_the_calendar(text: str) -> None:
    try:
        expected = 1850 <= dt.date.fromisoformat(text).year < 2150
    except ValueError:
        expected = False

    assert is_written_date(text) == expected


@pytest.mark.parametrize(
    "text",
    ["3 de septiembre de 1985", "31. März 1985", "3 août 1985", "1er mai 1985", "12 mrt 1985", "5 lug 1985"],
)
def test_months_may_be_in_other_languages(text: str) -> None:
    assert is_written_date(text)


@pytest.mark.parametrize(
    "text", ["", "soon", "12", "31 February 1985", "31.31.1985", "12/1985", "31/12/3985"]
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert not is_written_date(text)


@given(st.text(max_size=60))
def test_it_is_total(text: str) -> None:
    assert is_written_date(text) in {True, False}
