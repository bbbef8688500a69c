"""Numbers of persons in western and southern Europe."""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector
from interceptors.scan.detectors.national_rules import (
    LETTER_SEVEN_DIGITS_LETTER,
    alone,
    digits,
    named,
    verified,
)
from interceptors.scan.detectors.things import of_no_thing
from interceptors.scan.finding import Validation
from interceptors.scan.validators import national_western_europe as check

_NINO = "(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
_CODICE_FISCALE = "[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]"
_PHONE_BEFORE = re.compile(rb"(?i)(?:phone|mobile|cell|tel|fax|call|sms|dial|whatsapp)[^0-9]{0,24}\Z")
_is_nhs_number = verified(check.uk_nhs_number)


def _nhs_number(match: re.Match[bytes]) -> bool:
    """Check an NHS number, which a North American phone number may look like."""
    named_so = match.start() < match.start("id")
    phone = _PHONE_BEFORE.search(match.string, max(0, match.start() - 40), match.start())
    return (named_so or phone is None) and _is_nhs_number(match)


NATIONAL_EUROPE = (
    Detector(
        name="uk_nino",
        class_="personal.national_id",
        rules=(
            alone("[A-Z][0-9]{6}[A-D]", value=f"{_NINO}[0-9]{{6}}[A-D]", before=1),
            alone(r"[0-9] [0-9]{2} [A-D]\b", value=f"{_NINO}(?: [0-9]{{2}}){{3}} [A-D]", before=7),
            *named(
                "nino",
                "national insurance",
                "ni number",
                "ni no",
                value=f"(?i:{_NINO})(?:[ -]?[0-9]{{2}}){{3}}[ -]?[A-Da-d]?",
            ),
        ),
        validator=of_no_thing(),
        validation=Validation.STRUCTURE,
        reason="prefix that is issued, six digits and a suffix from A to D (HMRC, NIM39110)",
        context=("nino", "national insurance", "ni number", "ni no"),
        examples=(
            b'{"x": "AB123456C"}',
            b"NI number: AB 12 34 56 C",
            b'{"nationalInsuranceNumber": "ab123456c"}',
            b"nino=JG-10-37-59-A",
        ),
        counter_examples=(
            b'{"lot": "AB123456C"}',
            b'{"x": "BG123456C"}',
            b'{"x": "AB123456E"}',
            b"SKU-AB123456C",
            b'{"x":"AB123456C7"}',
        ),
    ),
    Detector(
        name="uk_nhs_number",
        class_="personal.health_id",
        rules=(
            alone("[0-9] [0-9]{3} [0-9]", value="[0-9]{3} [0-9]{3} [0-9]{4}", before=2, apart=" "),
            *named("nhs", "nhsnumber", "nhsno", "national health service", value=digits(10)),
        ),
        validator=_nhs_number,
        validation=Validation.CHECKSUM,
        reason="ten digits in groups or under the word NHS, modulus 11 (NHS Data Dictionary)",
        context=("nhs", "national health service"),
        examples=(b"patient 943 476 5919", b'{"nhsNumber": "9434765919"}', b"nhs_no=943-476-5919"),
        counter_examples=(
            b"patient 943 476 5918",
            b'{"id": 9434765919}',
            b"phone: 943 476 5919",
            b"+1 943 476 5919",
            b'{"nhs": "0000000000"}',
        ),
    ),
    Detector(
        name="uk_utr",
        class_="personal.tax_id",
        rules=named("unique taxpayer reference", "utr", value=digits(10)),
        validator=verified(check.uk_utr),
        validation=Validation.CHECKSUM,
        reason="ten digits under the word UTR, modulus 11 (HMRC)",
        context=("utr", "unique taxpayer reference"),
        examples=(b'{"utr": "1955839661"}', b"Unique Taxpayer Reference: 19558 39661"),
        counter_examples=(b'{"utr": "2955839661"}', b'{"id": "1955839661"}'),
    ),
    Detector(
        name="ie_pps",
        class_="personal.national_id",
        rules=(
            *named(
                "ppsn",
                "ppsnumber",
                "ppsno",
                "personal public service",
                "pps",
                value="[0-9]{7} ?[A-Wa-w][ABHWTXabhwtx]?",
            ),
        ),
        validator=verified(check.ie_pps),
        validation=Validation.CHECKSUM,
        reason="seven digits and a check letter (PPS number, Ireland)",
        context=("pps", "ppsn", "personal public service"),
        examples=(b'{"ppsn": "6433435F"}', b"pps number is 6433435OA"),
        counter_examples=(b'{"ppsn": "6433435E"}', b'{"sku": "6433435F"}', b'{"apps": "6433435F"}'),
    ),
    Detector(
        name="fr_nir",
        class_="personal.national_id",
        rules=(
            alone(
                "[0-9] [0-9]{3} [0-9]",
                value="[1278](?: [0-9]{2}){2} [0-9][0-9AB] ?[0-9]{3} [0-9]{3} [0-9]{2}",
                before=15,
            ),
            *named(
                "sociale",
                "numero secu",
                "insee",
                "carte vitale",
                "social security",
                "nir",
                value="[1-8](?:[ .-]?[0-9]){4}[ .-]?[0-9][ .-]?[0-9ABab](?:[ .-]?[0-9]){8}",
            ),
        ),
        validator=verified(check.fr_nir),
        validation=Validation.CHECKSUM,
        reason="sex, month, place and a key by modulus 97 (NIR, INSEE)",
        context=("nir", "sociale", "insee", "carte vitale"),
        examples=(
            b"2 95 10 99 126 111 93",
            b'{"nir": "295109912611193"}',
            "numéro de sécurité sociale : 295109912611193".encode(),
            b'{"nir": "253072B07300470"}',
        ),
        counter_examples=(b"2 95 10 99 126 111 94", b'{"nir": "295109912611194"}', b'{"x": 295179912611193}'),
    ),
    Detector(
        name="es_dni",
        class_="personal.national_id",
        rules=(
            alone(r"\b[0-9]{8}[A-Z]", r"\b[0-9]{8}-[A-Z]\b", value="[0-9]{8}-?[A-HJ-NP-TV-Z]"),
            *named(
                "documento nacional de identidad",
                "dni",
                "nif",
                value="[0-9]{2}[.]?[0-9]{3}[.]?[0-9]{3}[ -]?[A-Za-z]",
            ),
        ),
        validator=verified(check.es_dni),
        validation=Validation.CHECKSUM,
        reason="eight digits and the letter by modulus 23 (DNI, Spain)",
        context=("dni", "nif", "documento nacional"),
        examples=(b'{"x": "12345678Z"}', b"DNI: 54362315-K", b"DNI 54.362.315-K", b'{"dni":"12345678z"}'),
        counter_examples=(
            b'{"x": "12345678A"}',
            b'{"x": "12345678z"}',
            b"SKU-12345678Z",
            b'{"dni": 12345678}',
        ),
    ),
    Detector(
        name="es_nie",
        class_="personal.national_id",
        rules=(
            alone(LETTER_SEVEN_DIGITS_LETTER, value="[XYZ][0-9]{7}[A-HJ-NP-TV-Z]"),
            *named("extranjero", "extranjeros", "nie", value="[XYZxyz][ -]?[0-9]{7}[ -]?[A-Za-z]"),
        ),
        validator=verified(check.es_nie),
        validation=Validation.CHECKSUM,
        reason="X, Y or Z, seven digits and the letter by modulus 23 (NIE, Spain)",
        context=("nie", "extranjero"),
        examples=(b'{"x": "X2482300W"}', b"NIE X-2482300-W", b'{"nie":"x2482300w"}'),
        counter_examples=(b'{"x": "X2482300A"}', b'{"x": "A2482300W"}'),
    ),
    Detector(
        name="pt_nif",
        class_="personal.tax_id",
        rules=named("contribuinte", "nipc", "nif", value=f"(?:PT ?)?{digits(9)}"),
        validator=verified(lambda text: check.pt_nif(text.removeprefix("PT"))),
        validation=Validation.CHECKSUM,
        reason="nine digits under the word NIF, modulus 11 (Portugal)",
        context=("nif", "contribuinte", "nipc"),
        examples=(b'{"nif": "501964843"}', b"NIF 501 964 843", b"contribuinte n. 501964843"),
        counter_examples=(b'{"nif": "501964842"}', b'{"id": "501964843"}', b'{"significant": 501964843}'),
    ),
    Detector(
        name="it_codice_fiscale",
        class_="personal.tax_id",
        rules=(
            alone("[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", value=_CODICE_FISCALE, before=8),
            *named(
                "codice fiscale",
                "cod fiscale",
                "fiscal code",
                value="[A-Za-z]{3}[ -]?[A-Za-z]{3}(?:[ -]?[0-9A-Za-z]{5}){2}",
            ),
        ),
        validator=verified(check.it_codice_fiscale),
        validation=Validation.CHECKSUM,
        reason="date and check letter by modulus 26 (codice fiscale, Italy)",
        context=("codice fiscale", "fiscal code"),
        examples=(
            b'{"x": "RCCMNL83S18D969H"}',
            b"Codice fiscale: RCC MNL 83S18 D969H",
            b"codice_fiscale=rccmnl83s18d969h",
        ),
        counter_examples=(b'{"x": "RCCMNL83S18D969G"}', b'{"x": "RCCMNL83S38D969H"}', b"RCCMNL83S18D969"),
    ),
    Detector(
        name="be_national_number",
        class_="personal.national_id",
        rules=(
            alone(
                "[.][0-9]{2}-[0-9]{3}[.]",
                value="[0-9]{2}[.][0-9]{2}[.][0-9]{2}-[0-9]{3}[.][0-9]{2}",
                before=5,
            ),
            *named(
                "rijksregisternummer",
                "rijksregister",
                "registre national",
                "nationaal nummer",
                "numero national",
                "niss",
                "insz",
                "belgian national",
                value=digits(11),
            ),
        ),
        validator=verified(check.be_national_number),
        validation=Validation.CHECKSUM,
        reason="date, serial and 97 less the rest by modulus 97 (rijksregisternummer, Belgium)",
        context=("rijksregisternummer", "registre national", "niss", "insz"),
        examples=(b"85.07.30-033.28", b'{"rijksregisternummer": "85073003328"}', b"NISS 85 07 30 033 28"),
        counter_examples=(b"85.07.30-033.29", b'{"niss": "85073003329"}', b'{"id": 85073003328}'),
    ),
    Detector(
        name="nl_bsn",
        class_="personal.national_id",
        rules=named(
            "bsn",
            "burgerservicenummer",
            "sofinummer",
            "citizen service number",
            value=digits(9, fewest=8),
        ),
        validator=verified(check.nl_bsn),
        validation=Validation.CHECKSUM,
        reason="nine digits under the word BSN, the test of eleven (Netherlands)",
        context=("bsn", "burgerservicenummer", "sofinummer"),
        examples=(
            b'{"bsn": "111222333"}',
            b"burgerservicenummer is 1112.22.333",
            b'{"customerBSN":111222333}',
        ),
        counter_examples=(b'{"bsn": "111222334"}', b'{"id": 111222333}', b'{"bsn": "1112223330"}'),
    ),
    Detector(
        name="de_steuer_id",
        class_="personal.tax_id",
        rules=(
            alone("[0-9] [0-9]{3} [0-9]", value="[1-9][0-9](?: [0-9]{3}){3}", before=5, apart=" "),
            *named(
                "steuer id",
                "steueridnr",
                "steuer identifikationsnummer",
                "steuerliche identifikationsnummer",
                "steuernummer",
                "idnr",
                "german tax",
                "tin",
                value=digits(11),
            ),
        ),
        validator=verified(check.de_steuer_id),
        validation=Validation.CHECKSUM,
        reason="eleven digits, one of them repeated, ISO/IEC 7064 MOD 11,10 (Steuer-ID, Germany)",
        context=("steuer id", "steuerliche identifikationsnummer", "idnr", "tin"),
        examples=(b"36 574 261 809", b'{"steuerId": "36574261809"}', b"Steuer-ID: 36574261809"),
        counter_examples=(b"36 574 261 808", b'{"id": 36574261809}', b'{"steuerId": "36554266806"}'),
    ),
    Detector(
        name="at_svnr",
        class_="personal.national_id",
        rules=(
            *named(
                "svnr",
                "vsnr",
                "sozialversicherungsnummer",
                value=digits(10),
            ),
        ),
        validator=verified(check.at_svnr),
        validation=Validation.CHECKSUM,
        reason="serial, modulus 11 and birth date (Sozialversicherungsnummer, Austria)",
        context=("svnr", "vsnr", "sozialversicherungsnummer"),
        examples=(b"SVNR 1237 010180", b'{"svnr": "1237010180"}', b"Sozialversicherungsnummer: 1237-010180"),
        counter_examples=(b"SVNR 1238 010180", b'{"svnr": "2237010180"}', b'{"id": 1237010180}'),
    ),
    Detector(
        name="ch_ahv",
        class_="personal.national_id",
        rules=(
            alone(
                r"\b756[.][0-9]{4}[.]",
                r"\b756 [0-9]{4} ",
                r"\b756[0-9]{10}\b",
                value="756(?:[.][0-9]{4}[.][0-9]{4}[.][0-9]{2}| [0-9]{4} [0-9]{4} [0-9]{2}|[0-9]{10})",
            ),
        ),
        validator=verified(check.ch_ahv),
        validation=Validation.CHECKSUM,
        reason="756 and the check digit of EAN-13 (AHV number, Switzerland)",
        examples=(b"756.9217.0769.85", b'{"ahv": 7569217076985}', b"AHV 756 9217 0769 85"),
        counter_examples=(b"756.9217.0769.84", b'{"x": 7569217076984}', b"0.7569217076985"),
    ),
)
"""Western and southern Europe."""
