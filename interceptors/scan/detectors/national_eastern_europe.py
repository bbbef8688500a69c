"""Numbers of persons in central, eastern and south-eastern Europe."""

from __future__ import annotations

from interceptors.scan.detector import Detector
from interceptors.scan.detectors.national_rules import SIX_DIGITS, alone, digits, named, verified
from interceptors.scan.finding import Validation
from interceptors.scan.validators import national_eastern_europe as check

NATIONAL_EASTERN_EUROPE = (
    Detector(
        name="pl_pesel",
        class_="personal.national_id",
        rules=named("pesel", "polish national", value=digits(11)),
        validator=verified(check.pl_pesel),
        validation=Validation.CHECKSUM,
        reason="birth date and check digit under the word PESEL (Poland)",
        context=("pesel",),
        examples=(b'{"pesel": "44051401359"}', b"numer PESEL: 44051401359", b"userPESEL=44051401359"),
        counter_examples=(b'{"pesel": "44051401358"}', b'{"id": 44051401359}', b'{"pesel": "44551401352"}'),
    ),
    Detector(
        name="cz_sk_rodne_cislo",
        class_="personal.national_id",
        rules=(
            alone(SIX_DIGITS, value="(?<!/)[0-9]{6}/[0-9]{4}(?!/)"),
            *named("rodn", "rodnecislo", "rodne", "birth number", value="[0-9]{6}[ /]?[0-9]{3,4}"),
        ),
        validator=verified(check.cz_sk_rodne_cislo),
        validation=Validation.CHECKSUM,
        reason="birth date and modulus 11 (rodne cislo, Czechia and Slovakia)",
        context=("rodne cislo", "birth number"),
        examples=(b"710319/2745", b'{"rodneCislo": "7103192745"}', "rodné číslo 710319/2745".encode()),
        counter_examples=(b"710319/2746", b"/orders/710319/2745", b'{"id": 7103192745}'),
    ),
    Detector(
        name="ro_cnp",
        class_="personal.national_id",
        rules=named("cnp", "cod numeric personal", value=digits(13)),
        validator=verified(check.ro_cnp),
        validation=Validation.CHECKSUM,
        reason="sex, birth date, county and modulus 11 under the word CNP (Romania)",
        context=("cnp", "cod numeric personal"),
        examples=(b'{"cnp": "1630615123457"}', b"Cod numeric personal: 1630615123457"),
        counter_examples=(b'{"cnp": "1630615123458"}', b'{"id": 1630615123457}'),
    ),
    Detector(
        name="bg_egn",
        class_="personal.national_id",
        # in Cyrillic letters, too
        rules=named("egn", "edinen grazhdanski nomer", "\u0415\u0413\u041d", value=digits(10)),
        validator=verified(check.bg_egn),
        validation=Validation.CHECKSUM,
        reason="birth date and modulus 11 under the word EGN (Bulgaria)",
        context=("egn",),
        examples=(b'{"egn": "7523169263"}', b"EGN 8032056031"),
        counter_examples=(b'{"egn": "7523169264"}', b'{"id": 7523169263}'),
    ),
    Detector(
        name="gr_amka",
        class_="personal.national_id",
        # in Greek letters, too
        rules=named("amka", "\u0391\u039c\u039a\u0391", value=digits(11)),
        validator=verified(check.gr_amka),
        validation=Validation.CHECKSUM,
        reason="birth date and Luhn under the word AMKA (Greece)",
        context=("amka",),
        examples=(b'{"amka": "01013099997"}', b"AMKA: 01013099997"),
        counter_examples=(b'{"amka": "01013099999"}', b'{"id": "01013099997"}'),
    ),
    Detector(
        name="hr_oib",
        class_="personal.tax_id",
        rules=named("oib", "osobni identifikacijski broj", value=f"(?:HR ?)?{digits(11)}"),
        validator=verified(lambda text: check.hr_oib(text.removeprefix("HR"))),
        validation=Validation.CHECKSUM,
        reason="eleven digits under the word OIB, ISO/IEC 7064 MOD 11,10 (Croatia)",
        context=("oib", "osobni identifikacijski broj"),
        examples=(b'{"oib": "33392005961"}', b"OIB: HR 33392005961"),
        counter_examples=(b'{"oib": "33392005962"}', b'{"id": 33392005961}'),
    ),
    Detector(
        name="tr_tckn",
        class_="personal.national_id",
        rules=named("tckn", "tckimlik", "kimlik", "kimlikno", "turkish id", "tc no", value=digits(11)),
        validator=verified(check.tr_tckn),
        validation=Validation.CHECKSUM,
        reason="eleven digits under the word kimlik, two of them check digits (Turkey)",
        context=("tckn", "tc kimlik", "kimlik no"),
        examples=(b'{"tckn": "17291716060"}', b"TC Kimlik No: 17291716060"),
        counter_examples=(b'{"tckn": "17291716050"}', b'{"id": 17291716060}'),
    ),
)
"""Poland, Czechia, Slovakia, Romania, Bulgaria, Greece, Croatia and Turkey."""
