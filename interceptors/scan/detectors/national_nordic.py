"""Numbers of persons in the Nordic and the Baltic countries."""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector
from interceptors.scan.detectors.national_rules import SIX_DIGITS, alone, digits, named, verified
from interceptors.scan.finding import Validation
from interceptors.scan.validators import national_northern_europe as check

_HETU = "[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]"
_DATE_AND_TIME = re.compile("20(?:1[3-9]|[2-9][0-9]).*")
"""A year in which `20241122-1530` is a time rather than a person."""


def _se_personnummer(text: str) -> bool:
    return not _DATE_AND_TIME.fullmatch(text, 0, 8 if len(text) > 11 else 0) and check.se_personnummer(text)


NATIONAL_NORDIC = (
    Detector(
        name="se_personnummer",
        class_="personal.national_id",
        rules=(
            alone(SIX_DIGITS, r"\b[12][0-9]{7}-[0-9]{4}\b", value="(?:1[89]|20)?[0-9]{6}[-+][0-9]{4}"),
            *named(
                "personnummer",
                "personnr",
                "samordningsnummer",
                "swedish personal",
                "personal identity",
                "pnr",
                value="(?:1[89]|20)?[0-9]{6}[-+ ]?[0-9]{4}",
            ),
        ),
        validator=verified(_se_personnummer, under_word=check.se_personnummer),
        validation=Validation.CHECKSUM,
        reason="birth date and Luhn (personnummer, Sweden)",
        context=("personnummer", "samordningsnummer", "pnr"),
        examples=(
            b"811228-9874",
            b"19811228-9874",
            b'{"personnummer": "198112289874"}',
            b"personnr 670919+9530",
        ),
        counter_examples=(b"811228-9873", b"20241122-1530", b'{"id": 8112289874}', b"backup-811228-9874"),
    ),
    Detector(
        name="no_fodselsnummer",
        class_="personal.national_id",
        rules=(
            alone(SIX_DIGITS, value="[0-7][0-9]{5} [0-9]{5}", apart=" "),
            *named(
                "fodselsnummer",
                "foedselsnummer",
                "dselsnummer",  # of fødselsnummer, in any encoding of ø
                "fodselsnr",
                "personnummer",
                "fnr",
                "norwegian national",
                value=digits(11),
            ),
        ),
        validator=verified(check.no_fodselsnummer),
        validation=Validation.CHECKSUM,
        reason="birth date and two check digits by modulus 11 (fodselsnummer, Norway)",
        context=("fodselsnummer", "personnummer", "fnr"),
        examples=(
            b"151086 95088",
            b'{"fodselsnummer": "15108695088"}',
            "fødselsnummer: 15108695088".encode(),
        ),
        counter_examples=(b"151086 95077", b'{"fnr": "15108695077"}', b'{"id": 15108695088}'),
    ),
    Detector(
        name="dk_cpr",
        class_="personal.national_id",
        # Newer ones have no check digit, and six digits, a dash and four are what order numbers look like.
        rules=named("cpr", "cprnummer", "cprnr", "personnummer", value="[0-9]{6}[ -]?[0-9]{4}"),
        validator=verified(check.dk_cpr),
        validation=Validation.STRUCTURE,
        reason="birth date under its word (CPR number, Denmark)",
        context=("cpr", "personnummer"),
        examples=(b"cpr: 211062-5629", b'{"cpr": "2110625629"}', b"CPR-nummer 211062-5630"),
        counter_examples=(b"211062-5629", b'{"cpr": "2113625629"}', b'{"id": 2110625629}'),
    ),
    Detector(
        name="fi_hetu",
        class_="personal.national_id",
        rules=(
            alone(SIX_DIGITS, value=_HETU),
            *named(
                "hetu",
                "henkil",
                "henkilotunnus",
                "personbeteckning",
                "personal identity",
                value=f"(?i:{_HETU})",
            ),
        ),
        validator=verified(check.fi_hetu, separators=""),
        validation=Validation.CHECKSUM,
        reason="birth date and check character by modulus 31 (henkilotunnus, Finland)",
        context=("hetu", "henkilotunnus"),
        examples=(b"131052-308T", b'{"x": "010594Y9032"}', b'{"hetu": "131052-308t"}'),
        counter_examples=(b"131052-308U", b"131352-308T", b"131052-308TX", b"131052G308T"),
    ),
    Detector(
        name="is_kennitala",
        class_="personal.national_id",
        rules=named("kennitala", "kennitolu", value="[0-9]{6}[ -]?[0-9]{4}"),
        validator=verified(check.is_kennitala),
        validation=Validation.CHECKSUM,
        reason="birth date, modulus 11 and century under its word (kennitala, Iceland)",
        context=("kennitala",),
        examples=(b"kennitala 120174-3399", b'{"kennitala": "1201743399"}'),
        counter_examples=(b"120174-3399", b'{"id": 1201743399}', b'{"kennitala": "1201743389"}'),
    ),
    Detector(
        name="baltic_personal_code",
        class_="personal.national_id",
        rules=named("isikukood", "asmens kodas", "personal code", "estonian personal", value=digits(11)),
        validator=verified(check.baltic_personal_code),
        validation=Validation.CHECKSUM,
        reason="sex, birth date and check digit under its word (isikukood, Estonia; asmens kodas, Lithuania)",
        context=("isikukood", "asmens kodas", "personal code"),
        examples=(b'{"isikukood": "36805280109"}', b"asmens kodas 33309240064"),
        counter_examples=(b'{"isikukood": "36805280108"}', b'{"id": "36805280109"}'),
    ),
)
"""Sweden, Norway, Denmark, Finland, Iceland, Estonia and Lithuania."""
