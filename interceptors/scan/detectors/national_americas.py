"""Numbers that the states of the Americas give to persons and firms."""

from __future__ import annotations

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.detectors.national_rules import alone
from interceptors.scan.detectors.things import of_no_thing
from interceptors.scan.finding import Validation
from interceptors.scan.validators.national_americas import (
    br_cnpj,
    br_cpf,
    ca_sin,
    us_ein,
    us_itin,
    us_mbi,
    us_npi,
    us_ssn,
)

_REST = (
    r"(?:[ _.#(/-]{0,2}[A-Za-z\x80-\xff]{1,24}+(?![0-9])){0,4}[ _.#()-]{0,2}"  # whole words: `number is`
    r"""(?:",[ ]?"(?i:value|number|no|id|text)(?="))?"""  # `"type": "SSN", "value": …`
)
_END = r"(?![0-9A-Za-z_@]|[.+-][0-9A-Za-z])"
_DASHED = "[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}"
_MBI_LETTER = "[AC-HJKMNP-RT-Y]"
_MBI_EITHER = "[0-9AC-HJKMNP-RT-Y]"


def _written(form: str, *, apart: str = "") -> Rule:
    """Give the rule of a number in its official notation, which needs no word beside it."""
    return alone(form, value=form, apart=apart)


def _named(*words: str, value: str) -> Rule:
    """Give the rule of a number that counts under a word."""
    return after_word(*words, rest=_REST, value=f"(?<![0-9A-Za-z])(?:{value}){_END}")


def _letters_and_digits(text: str) -> bool:
    return sum(character.isdecimal() for character in text) >= 4


NATIONAL_AMERICAS = (
    Detector(
        name="us_ssn",
        class_="personal.national_id",
        rules=(
            _written(_DASHED),
            _written("[0-8][0-9]{2} [0-9]{2} [0-9]{4}", apart=" "),
            _written("987-65-432[0-9]"),
            # Where a text has lost its blanks, a word of lower-case letters may stand right before it.
            Rule((_DASHED,), f"(?<=[a-z]{{3}})(?P<id>{_DASHED}){_END}"),
            _named(
                "ssn",
                "s.s.n",
                "social security",
                "soc sec",
                "ss#",
                value="[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}",
            ),
        ),
        validator=checked(us_ssn),
        validation=Validation.STRUCTURE,
        reason="area, group and serial within the ranges of the Social Security Administration",
        context=("ssn", "social security", "ss#"),
        examples=(
            b'{"note": "123-45-6789"}',
            b"She gave 078-05-1120.",
            b"987-65-4321",
            b'{"customerSSN": 123456789}',
            b"social_security_number=123 45 6789&x=1",
            b"SSN/TIN: 123456789",
            b"the number123-45-6789 is hers",
        ),
        counter_examples=(
            b'{"id": "666-45-6789"}',
            b'{"id": "123456789"}',
            b"ISBN 978-3-16-148410-0",
            b'{"ssn": "000456789"}',
            b"part 12-123-45-6789",
            b"REF123-45-6789",
            b"item-a123-45-6789",
        ),
    ),
    Detector(
        name="us_itin",
        class_="personal.tax_id",
        rules=(
            _written("9[0-9]{2}-[5-9][0-9]-[0-9]{4}"),
            _named("itin", "individual taxpayer", value="9[0-9]{2}[ -]?[5-9][0-9][ -]?[0-9]{4}"),
        ),
        validator=checked(us_itin),
        validation=Validation.STRUCTURE,
        reason="begins with 9, and a group within the ranges of the Internal Revenue Service",
        context=("itin", "individual taxpayer"),
        examples=(b'{"tax": "912-90-3456"}', b"ITIN: 912903456", b"individual_taxpayer_id=912-70-3456"),
        counter_examples=(b'{"tax": "912-93-3456"}', b"987-65-4321", b'{"n": "912903456"}'),
    ),
    Detector(
        name="us_ein",
        class_="personal.tax_id",
        rules=(
            _named(
                "ein",
                "fein",
                "employer identification",
                "employer id",
                value="[0-9]{2}-?[0-9]{7}",
            ),
            _named("federal tax", "tax id", "taxpayer id", value="[0-9]{2}-[0-9]{7}"),
        ),
        validator=checked(us_ein),
        validation=Validation.STRUCTURE,
        reason="a prefix that the Internal Revenue Service gives out, with a word beside it",
        context=("ein", "fein", "employer identification", "federal tax", "tax id"),
        examples=(
            b'{"ein": "12-3456789"}',
            b"employer_identification_number: 123456789",
            b"Tax ID 12-3456789",
        ),
        counter_examples=(b'{"ein": "07-1144442"}', b'{"ref": "12-3456789"}', b"protein 12-3456789"),
    ),
    Detector(
        name="us_npi",
        class_="personal.health_id",
        rules=(_named("npi", "national provider", value="[0-9]{10}"),),
        validator=checked(us_npi),
        validation=Validation.CHECKSUM,
        reason="ten digits and Luhn with the prefix 80840 (CMS), with a word beside it",
        context=("npi", "national provider"),
        examples=(b'{"npi": "1234567893"}', b"National Provider Identifier 1234567893"),
        counter_examples=(b'{"npi": "1234567890"}', b'{"id": "1234567893"}'),
    ),
    Detector(
        name="us_mbi",
        class_="personal.health_id",
        rules=(
            _written(
                f"[1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{{2}}[0-9]{{2}}"
            ),
            _named("mbi", "medicare", "beneficiary id", value="[1-9][0-9A-Za-z-]{10,12}"),
        ),
        validator=checked(us_mbi),
        validation=Validation.STRUCTURE,
        reason="a digit or a letter in each place as CMS gives them out",
        context=("mbi", "medicare", "beneficiary id"),
        examples=(b'{"id": "1EG4-TE5-MK73"}', b"MBI: 1EG4TE5MK73", b'{"medicareNumber": "1eg4te5mk73"}'),
        counter_examples=(b'{"sku": "1EG4TE5MK73"}', b'{"mbi": "1SG4-TE5-MK73"}'),
    ),
    Detector(
        name="driver_license",
        class_="personal.national_id",
        rules=(
            _named(
                *(
                    f"{driver} {license}"
                    for driver in ("driver", "drivers", "driver's", "driving")
                    for license in ("license", "licence")  # noqa: A001 - the word
                ),
                "dl number",
                value="[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){4,19}",
            ),
        ),
        validator=checked(_letters_and_digits),
        validation=Validation.KEY,
        reason="letters and digits under the name of a driving licence",
        context=("driver license", "driving licence", "dl number"),
        examples=(
            b'{"driver_license": "D1234567"}',
            b"Driver's license no. S514-172-80-844-0",
            b"drivingLicence=MORGA657054SM9IJ",
        ),
        counter_examples=(b'{"driver_license": "valid"}', b'{"software_license": "D1234567"}'),
    ),
    Detector(
        name="passport",
        class_="personal.national_id",
        rules=(
            _named(
                "passport",
                "passeport",
                "pasaporte",
                "passaporto",
                "passaporte",
                "reisepass",
                "paspoort",
                value="[A-Z0-9]{6,9}",
            ),
        ),
        validator=checked(_letters_and_digits),
        validation=Validation.KEY,
        reason="six to nine letters and digits (ICAO Doc 9303) under the name of a passport",
        context=("passport", "passeport", "pasaporte", "passaporto", "passaporte", "reisepass", "paspoort"),
        examples=(
            b'{"passportNumber": "X12345678"}',
            b"passport AB1234567",
            b"passport_no=AB1234567&x=1",
        ),
        counter_examples=(
            b'{"passport": "EXPIRED"}',
            b'{"passport_id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d"}',
        ),
    ),
    Detector(
        name="ca_sin",
        class_="personal.national_id",
        rules=(
            _written("[1-79][0-9]{2} [0-9]{3} [0-9]{3}", apart=" "),
            _named(
                "sin",
                "social insurance",
                "assurance sociale",
                value="[0-9]{3}(?:[0-9]{6}|[ -][0-9]{3}[ -][0-9]{3})",
            ),
        ),
        validator=of_no_thing(checked(ca_sin)),
        validation=Validation.CHECKSUM,
        reason="nine digits and Luhn (Service Canada), in groups of three or with a word beside it",
        context=("sin", "social insurance", "assurance sociale"),
        examples=(
            b'{"sin": "046-454-286"}',
            b"Social Insurance Number: 046454286",
            b"He has 130 692 544 on it",
        ),
        counter_examples=(
            b'{"sin": "046-454-287"}',
            b'{"n": 130692544}',
            b"processing 046454286",
            b'{"case_no": "130 692 544"}',
            b"7 130 692 544",
        ),
    ),
    Detector(
        name="br_cpf",
        class_="personal.tax_id",
        rules=(
            _written(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"),
            _named("cpf", value="[0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{3}[ -]?[0-9]{2}"),
        ),
        validator=checked(br_cpf),
        validation=Validation.CHECKSUM,
        reason="two check digits modulo 11 (Receita Federal)",
        context=("cpf",),
        examples=(b'{"doc": "123.456.789-09"}', b'{"cpf": "12345678909"}', b"cpfCliente=12345678909"),
        counter_examples=(b'{"doc": "123.456.789-08"}', b'{"n": 12345678909}', b'{"cpf": "11111111111"}'),
    ),
    Detector(
        name="br_cnpj",
        class_="personal.tax_id",
        rules=(
            _written(r"[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}"),
            _named(
                "cnpj",
                value=r"[0-9A-Za-z]{2}\.?[0-9A-Za-z]{3}\.?[0-9A-Za-z]{3}/?[0-9A-Za-z]{4}-?[0-9]{2}",
            ),
        ),
        validator=checked(br_cnpj),
        validation=Validation.CHECKSUM,
        reason="two check digits modulo 11 (Receita Federal)",
        context=("cnpj",),
        examples=(
            b'{"doc": "16.727.230/0001-97"}',
            b'{"cnpj": "16727230000197"}',
            b"CNPJ: 12.ABC.345/01DE-35",
        ),
        counter_examples=(b'{"doc": "16.727.230/0001-98"}', b'{"n": 16727230000197}'),
    ),
)
