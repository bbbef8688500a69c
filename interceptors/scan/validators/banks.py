"""Banks and their accounts: IBAN, BIC, and the numbers by which some countries route payments."""

from __future__ import annotations

import re

from interceptors.scan.validators.checksums import weighted
from interceptors.scan.validators.digits import mod97

# Country, then its BBAN: how many digits (n), letters (a) or either (c).
_BBANS = """
AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n BR:23n1a1c BY:4c4n16c
CH:5n12c CR:18n CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n
FR:10n11c2n GB:4a14n GE:2a16n GI:4a15c GL:14n GR:7n16c GT:24c HN:4a20n HR:17n HU:24n IE:4a14n IL:19n
IQ:4a15n IS:22n IT:1a10n12c JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c
LV:4a13c LY:21n MC:10n11c2n MD:20c ME:18n MK:3n10c2n MN:16n MR:23n MT:4a5n18c MU:4a19n3a NI:4a20n NL:4a10n
NO:11n OM:3n16c PK:4a16c PL:24n PS:4a21c PT:21n QA:4a21c RO:4a16c RS:18n RU:14n15c SA:2n18c SC:4a20n3a
SD:14n SE:20n SI:15n SK:20n SM:1a10n12c SO:19n ST:21n SV:4a20n TL:19n TN:20n TR:6n16c UA:6n19c VA:18n
VG:4a16n XK:16n YE:4a4n18c
"""
_KINDS = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}
_PART = re.compile("([0-9]+)([nac])")
_FORMS = {
    country: [(int(count), kind) for count, kind in _PART.findall(form)]
    for country, form in (entry.split(":") for entry in _BBANS.split())
}
_IBANS = {
    country: re.compile(country + "[0-9]{2}" + "".join(f"{_KINDS[kind]}{{{count}}}" for count, kind in parts))
    for country, parts in _FORMS.items()
}
IBAN_LENGTHS = {country: 4 + sum(count for count, _ in parts) for country, parts in _FORMS.items()}
"""How many letters and digits an IBAN has, by country (ISO 13616, the registry's release 101)."""

# ISO 3166-1, and Kosovo.
_COUNTRY_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
_COUNTRIES = frozenset(_COUNTRY_CODES.split())
_BIC = re.compile("[A-Z]{6}[0-9A-Z]{2}(?:[0-9A-Z]{3})?")
_FED_PREFIXES = frozenset({*range(13), *range(21, 33), *range(61, 73), 80})
_CLABE_WEIGHTS = (3, 7, 1) * 5 + (3, 7)


def iban(text: str) -> bool:
    """Check an IBAN: its country's length and form, and mod 97 (ISO 13616-1).

    Args:
        text: it, with spaces or dashes (not both) or none, in capitals or in small letters (not both).
    """
    if (" " in text and "-" in text) or not (text.isupper() or text.islower()):
        return False
    number = text.replace(" ", "").replace("-", "").upper()
    form = _IBANS.get(number[:2])
    return form is not None and form.fullmatch(number) is not None and mod97(number[4:] + number[:4]) == 1


def bic(text: str) -> bool:
    """Check a BIC: 8 or 11 characters with a country in them (ISO 9362).

    Args:
        text: it.
    """
    return _BIC.fullmatch(text) is not None and text[4:6] in _COUNTRIES


def us_routing_number(text: str) -> bool:
    """Check a US routing number: the Federal Reserve's prefixes and the check digit (ABA, ANSI X9.100).

    Args:
        text: nine digits, with dashes or none.
    """
    digits = text.replace("-", "")
    return (
        len(digits) == 9
        and int(digits[:2]) in _FED_PREFIXES
        and digits != "000000000"
        and weighted(digits, (3, 7, 1) * 3) % 10 == 0
    )


def mx_clabe(digits: str) -> bool:
    """Check a Mexican CLABE: its 18th digit (Asociación de Bancos de México).

    Args:
        digits: ASCII digits and nothing else.
    """
    if len(digits) != 18:
        return False
    # Each product counts by its last digit, which leaves the sum's last digit as it is.
    return (10 - weighted(digits[:17], _CLABE_WEIGHTS) % 10) % 10 == int(digits[17])
