"""Numbers of things: the words beside a number that say it is an article's, an order's or a parcel's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interceptors.scan.detector import Validator

_BEFORE = 64
"""How far before a number the word may begin."""
_GOODS = (
    "sku|gtin|ean|upc|isbn|issn|asin|mpn|oem|hts|barcode|serial|tracking|shipment|consignment|waybill|awb|parcel"
    "|offset|sequence|seq|timestamp"
)
_THING = (
    f"{_GOODS}|part|article|artikel|product|item|model|lot|batch|order|invoice|purchase[ _.-]?order|rma|case"
    "|ticket|docket|revision|price|amount|total"
)
_NUMBER = "(?:number|num|no|nr|id|code|ref|reference)"


def _before(words: str) -> re.Pattern[bytes]:
    """Give what ends before a number: a key of such words and its sign, or that a number of it follows."""
    key = rf"""(?:[ _.-]?(?i:{_NUMBER}))?s?["'\\]{{0,3}}[ \t]{{0,2}}[:=>#][ \t]{{0,2}}["'\\\[]{{0,3}}"""
    said = f"[ _.-]?(?i:{_NUMBER})[.]? "
    return re.compile(f"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{words})(?:{key}|{said})\\Z".encode("ascii"))


_NUMBER_OF_GOODS = _before(_GOODS)
_NUMBER_OF_THING = _before(_THING)


def of_goods(data: bytes, start: int) -> bool:
    """Tell whether the word right before a number says that it is one of goods or a position: `"gtin": …`.

    Args:
        data: what the number lies in.
        start: where it begins.
    """
    return _NUMBER_OF_GOODS.search(data, max(0, start - _BEFORE), start) is not None


def of_a_thing(data: bytes, start: int) -> bool:
    """Tell whether the word right before a number says that it is one of a thing: `part no …`, `"lot": …`.

    Args:
        data: what the number lies in.
        start: where it begins.
    """
    return _NUMBER_OF_THING.search(data, max(0, start - _BEFORE), start) is not None


def of_no_thing(validator: Validator | None = None) -> Validator:
    """Give the validator that asks another one, unless the number is that of a thing.

    A number that was found by its own word, which the match then begins with, is what that word says.

    Args:
        validator: the other; without one all else counts.
    """

    def counts(match: re.Match[bytes]) -> bool:
        by_word = "id" in match.re.groupindex and match.start() < match.start("id")
        if not by_word and of_a_thing(match.string, match.start()):
            return False
        return validator is None or validator(match)

    return counts
