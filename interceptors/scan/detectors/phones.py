"""Telephone numbers: in the notations that say so themselves, and any digits under a word."""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.detectors.things import of_no_thing
from interceptors.scan.finding import Validation
from interceptors.scan.validators.phones import NATIONAL_DIGITS

_BEFORE = r"(?<![0-9A-Za-z_+])(?<![0-9A-Za-z][.-])(?<![0-9] )"
_AFTER = r"(?:(?=x[0-9])|(?![0-9A-Za-z_]|[.-][0-9]|-[A-Za-z]))"  # x12 is an extension
_SEPARATOR = "[ .()/-]"
_APART = f"{_SEPARATOR}{{0,2}}"
_MORE = f"(?:{_APART}[0-9])"
_NORTH_AMERICA = rf"(?:555\)?{_APART}[0-9]|[2-9][0-9]{{2}}\)?{_APART}[2-9])[0-9]{{2}}[ .-]?[0-9]{{4}}"
"""Area, exchange and line (NANPA: neither of the first two begins with 0 or 1). Numbers that are made up as
samples have the area 555, and often no regard for the rest."""
_SAID = (
    "number|numero|nummer|num|nr|nbr|no|home|work|office|mobile|cell|primary|secondary|main|business|contact|"
    "personal|emergency|formatted|raw|value|e164|is|at|on|to|was|de|[0-9]{1,2}(?=[^0-9 .()/-])"
)
_REST = (
    rf"(?:[ _.#(-]{{0,2}}(?i:{_SAID})){{0,3}}[s)]?[ _.#-]{{0,2}}"
    # `"type": "mobile", "number": …`, `"phone": {"home": …`
    r"""(?:"[:,][ ]?\{?[ ]?"(?i:number|value|home|work|mobile|cell|main)(?="))?"""
)
_WORDS = (
    "phone",
    "telephone",
    "telefon",
    "telefono",
    "telefone",
    "telefoon",
    "telephonenumber",
    "telefonnummer",
    "rufnummer",
    "handynummer",
    "handy",
    "puhelin",
    "cellphone",
    "mobile",
    "mobil",
    "movil",
    "celular",
    "cellulare",
    "cell",
    "mob",
    "tel",
    "fax",
    "gsm",
    "msisdn",
    "whatsapp",
    "contact number",
    "contact no",
)


def _international() -> str:
    """Give the pattern of a number with its calling code, but for 1: a choice for each count of digits."""
    return "|".join(
        f"(?:{codes.removeprefix('1 ').replace(' ', '|')})(?:{_APART}\\(0\\))?{_MORE}{{{least},{most}}}"
        for (least, most), codes in NATIONAL_DIGITS.items()
    )


_COORDINATES = re.compile(rb"\+[0-9]{1,2}\.[0-9]{4,}-[0-9]{1,3}\.[0-9]")


def _no_coordinates(match: re.Match[bytes]) -> bool:
    """Leave out latitude and longitude as in ISO 6709: +48.2082-016.3738/."""
    return _COORDINATES.match(match[0]) is None


def _not_one_digit(text: str) -> bool:
    return len({character for character in text if character.isdecimal()}) > 1


PHONES = (
    Detector(
        name="phone_international",
        class_="personal.phone",
        rules=(
            Rule(
                (r"\+[1-9][0-9 ().-]{6}",),
                rf"(?<![0-9A-Za-z+_])\+(?:1{_APART}{_NORTH_AMERICA}|{_international()}){_AFTER}",
            ),
        ),
        validator=_no_coordinates,
        validation=Validation.STRUCTURE,
        reason="a country calling code that is in use and as many digits as its plan has (ITU-T E.164)",
        examples=(
            b'{"to": "+14155550132"}',
            b"+44 (0)20 7946 0958 24/7",
            b"wa.me/+49-30-901820",
            b"tel:+33 1 99 00 12 34",
            b"+1 (202) 555-0173 ext. 12",
        ),
        counter_examples=(
            b"2026-11-22 21:33:00 +0200",
            b'{"x": 1.5e+10, "y": "+999 12345678"}',
            b"+1 123 456 7890",
            b"+54.9339-175.5091/",
            b"a+4930901820",
        ),
    ),
    Detector(
        name="phone_north_america",
        class_="personal.phone",
        rules=(
            Rule(
                (
                    r"[2-9][0-9]{2}-[0-9]{3}-[0-9]{4}",
                    r"[2-9][0-9]{2}\.[0-9]{3}\.[0-9]{4}",
                    r"[2-9][0-9]{2} [0-9]{3}[ -][0-9]{4}",
                ),
                rf"{_BEFORE}(?:1[ .-])?{_NORTH_AMERICA}{_AFTER}",
                before=2,
            ),
            Rule(
                (r"\([2-9][0-9]{2}\)",),
                rf"(?<![0-9A-Za-z_])(?:1[ .-]?)?\({_NORTH_AMERICA}{_AFTER}",
                before=2,
                ahead=rf"\({_NORTH_AMERICA}",
            ),
        ),
        validator=of_no_thing(),
        validation=Validation.STRUCTURE,
        reason="area, exchange and line in the notation of North America (NANPA)",
        examples=(
            b'{"to": "(415) 555-0132"}',
            b"415-555-0132 or so",
            b"415.555.0132",
            b"1-800-555-0199",
            b"call 555-123-4567x89",
        ),
        counter_examples=(
            b"Part number: 555-123-4567-A",
            b'{"sku": "415-555-0132"}',
            b"115-555-0132",
            b"415-155-0132",
            b"12-415-555-0132",
            b"550e8400-e29b-415-555-0132",
        ),
    ),
    Detector(
        name="phone_uk",
        class_="personal.phone",
        rules=(
            Rule(
                (
                    "[0-9]{3} [0-9]{3}",
                ),  # with the 0 that it begins with, the engine takes three times as long
                rf"{_BEFORE}0(?:[1-357-9][0-9]{{3}} [0-9]{{3}} ?[0-9]{{3}}"
                rf"|[1-389][0-9]{{2}} [0-9]{{3}} [0-9]{{4}}|2[0-9] [0-9]{{4}} [0-9]{{4}}){_AFTER}(?! [0-9])",
                before=2,
            ),
            Rule(
                (r"\(0[1-389][0-9]", r"\(02[0-9]\)"),
                rf"(?<![0-9A-Za-z_])\(0[1-389][0-9]{{1,3}}\) ?[0-9]{{3,4}} ?[0-9]{{3,4}}{_AFTER}",
            ),
        ),
        validation=Validation.STRUCTURE,
        reason="area code and number in the notation of the United Kingdom (Ofcom)",
        examples=(b"07700 900123", b'{"x": "020 7946 0958"}', b"0161 496 0000", b"(01632) 960123"),
        counter_examples=(b"02079460958", b"00770 900123", b"1 07700 900123", b"07700 900123 4"),
    ),
    Detector(
        name="phone_france",
        class_="personal.phone",
        rules=tuple(
            Rule(
                (f"0[1-9]{apart}[0-9]{{2}}{apart}[0-9]{{2}}{apart}[0-9]{{2}}{apart}[0-9]{{2}}",),
                # No part of a dump of bytes in hex.
                f"{_BEFORE}(?<![0-9A-Fa-f]{apart})0[1-9](?:{apart}[0-9]{{2}}){{4}}{_AFTER}"
                f"(?!{apart}(?:[0-9]|[A-Fa-f][0-9]|[A-F]{{2}}(?![A-Za-z])))",
            )
            for apart in (" ", "[.]", "-")
        ),
        validation=Validation.STRUCTURE,
        reason="ten digits in pairs, as in France (Arcep)",
        examples=(b"01 99 00 12 34", b'{"x": "06.39.98.12.34"}', b"06-39-98-12-34"),
        counter_examples=(b"01-23-45-67-89-01", b"00 99 00 12 34", b"0199001234"),
    ),
    Detector(
        name="phone_by_key",
        class_="personal.phone",
        rules=tuple(
            after_word(
                word,
                rest=_REST,
                value=rf"(?:\+|\()?[0-9](?:[ .()/-]{{0,3}}[0-9]){{6,16}}{_AFTER}",
            )
            for word in _WORDS
        ),
        validator=checked(_not_one_digit),
        validation=Validation.KEY,
        reason="seven to 17 digits under the name of a telephone number",
        context=_WORDS,
        examples=(
            b'{"phone": "4155550132"}',
            b'{"mobileNumber":491715550132}',
            b"Tel. 030 901820",
            b"customer_phone_1=0049 30 901820&x=1",
            b"<homePhone>555-0132 44</homePhone>",
            b"My cell is 123-456-7890.",
            b'{"type": "mobile", "number": "0171 5550132"}',
            b'{"phone": {"home": "4155550132"}}',
            b"Mob. 9876543210",
        ),
        counter_examples=(
            b'{"phone_verified_at": 1700000000}',
            b'{"phone": "0000000000"}',
            b'{"telemetry": 4155550132}',
            b'{"cell_id": 4155550132}',
            b'{"phone": "12345678-3b7d-4bad-9bdd-2b0d7b3dcb6d"}',
        ),
    ),
)
