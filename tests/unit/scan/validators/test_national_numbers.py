"""Our verdicts on numbers of persons against python-stdnum's, on numbers made to be right and wrong."""

from __future__ import annotations

import random
import re
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.at import vnr
from stdnum.au import abn, tfn
from stdnum.be import bis, nn
from stdnum.bg import egn
from stdnum.ch import ssn
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.ee import ik
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs, utr
from stdnum.gr import amka
from stdnum.hr import oib
from stdnum.ie import pps
from stdnum.il import idnr as il_idnr
from stdnum.in_ import aadhaar
from stdnum.is_ import kennitala
from stdnum.it import codicefiscale
from stdnum.jp import in_ as jp_in
from stdnum.kr import rrn
from stdnum.lt import asmens
from stdnum.my import nric
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.nz import ird
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.za import idnr as za_idnr

from interceptors.scan.validators import national_asia_pacific as asia
from interceptors.scan.validators import national_eastern_europe as east
from interceptors.scan.validators import national_northern_europe as north
from interceptors.scan.validators import national_western_europe as west

if TYPE_CHECKING:
    from collections.abc import Callable

DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHAPES = 250
TOKEN = re.compile(r"YY|MM|DD|#|@|\[[^]]+\]")


class Pair(NamedTuple):
    ours: Callable[[str], bool]
    theirs: Callable[[str], bool]
    shape: str
    """`#` a digit, `@` a letter, `YY`, `MM` and `DD` parts of a date (some impossible), `[…]` one of these,
    and `*` each sign that may be a check."""
    checks: str = DIGITS
    but: str = "(?!)"
    """What ours and theirs judge differently on purpose."""


PAIRS = {
    "uk_nhs_number": Pair(west.uk_nhs_number, nhs.is_valid, "#########*"),
    "uk_utr": Pair(west.uk_utr, utr.is_valid, "*#########"),
    "ie_pps": Pair(west.ie_pps, pps.is_valid, "#######*", LETTERS),
    "ie_pps, two letters": Pair(west.ie_pps, pps.is_valid, "#######*[ABHTWXC]", LETTERS),
    # Theirs knows neither sex nor month.
    "fr_nir": Pair(west.fr_nir, nir.is_valid, "[12]##[01]#########**", but=".{3}(?:00|1[3-9]).*"),
    "fr_nir, Corsica": Pair(west.fr_nir, nir.is_valid, "[12]##112[ABC]######**"),
    "es_dni": Pair(west.es_dni, dni.is_valid, "########*", LETTERS),
    "es_nie": Pair(west.es_nie, nie.is_valid, "[WXYZ]#######*", LETTERS),
    "pt_nif": Pair(west.pt_nif, nif.is_valid, "########*"),
    "it_codice_fiscale": Pair(
        west.it_codice_fiscale, codicefiscale.is_valid, "@@@@@@YY[ABCDEHLMPRSTF][0-7]#@###*", LETTERS
    ),
    "it_codice_fiscale, omocodia": Pair(
        west.it_codice_fiscale, codicefiscale.is_valid, "@@@@@@YY[AH][012L]#@[0L][1M][VA]*", LETTERS
    ),
    # Theirs takes a day such as 32 for an unknown one, and asks today's date who can be born in this century.
    "be_national_number": Pair(
        west.be_national_number,
        lambda text: nn.is_valid(text) or bis.is_valid(text),
        "YYMMDD###**",
        but="[2-9].*|.{4}3[2-9].*",
    ),
    "be_national_number, BIS": Pair(
        west.be_national_number,
        lambda text: nn.is_valid(text) or bis.is_valid(text),
        "[01]#[2345]#DD###**",
        but=".{4}3[2-9].*",
    ),
    "nl_bsn": Pair(west.nl_bsn, bsn.is_valid, "########*"),
    "nl_bsn, short": Pair(west.nl_bsn, bsn.is_valid, "#######*"),
    "de_steuer_id": Pair(
        west.de_steuer_id, idnr.is_valid, "[1234][0567][89][123][456][789][0123][456][789][0123]*"
    ),
    # Theirs doesn't look at the date.
    "at_svnr": Pair(west.at_svnr, vnr.is_valid, "###*DDMMYY", but=".{4}(?:00|32|..00|..1[6-9]).*"),
    "ch_ahv": Pair(west.ch_ahv, ssn.is_valid, "75[67]#########*"),
    # Theirs knows the separated forms, and no samordningsnummer.
    "se_personnummer": Pair(north.se_personnummer, personnummer.is_valid, "19YYMMDD[-]###*"),
    "se_personnummer, short": Pair(
        north.se_personnummer, personnummer.is_valid, "YYMMDD-###*", but="000229.*"
    ),
    # Theirs knows no synthetic numbers, and none whose century is not settled.
    "no_fodselsnummer": Pair(north.no_fodselsnummer, fodselsnummer.is_valid, "DDMM[5678]#[01234]##**"),
    "no_fodselsnummer, D": Pair(
        north.no_fodselsnummer, fodselsnummer.is_valid, "[4567]#MM[5678]#[01234]##**"
    ),
    "dk_cpr": Pair(north.dk_cpr, cpr.is_valid, "DDMM[4567]#[0123]##*"),
    "dk_cpr, centuries": Pair(north.dk_cpr, cpr.is_valid, "DDMM[01]####*"),
    "fi_hetu": Pair(
        north.fi_hetu,
        lambda text: hetu.is_valid(text, allow_temporary=True),
        "DDMMYY[-+AFUXYG]###*",
        DIGITS + LETTERS,
    ),
    "is_kennitala": Pair(north.is_kennitala, kennitala.is_valid, "DDMMYY##*[90]"),
    "baltic_personal_code, Estonia": Pair(north.baltic_personal_code, ik.is_valid, "#YYMMDD###*", but="9.*"),
    "baltic_personal_code, Lithuania": Pair(north.baltic_personal_code, asmens.is_valid, "[3456]YYMMDD###*"),
    "pl_pesel": Pair(east.pl_pesel, pesel.is_valid, "YY##DD####*"),
    "cz_sk_rodne_cislo": Pair(east.cz_sk_rodne_cislo, rc.is_valid, "YY[0156]#DD###*"),
    "cz_sk_rodne_cislo, raised": Pair(east.cz_sk_rodne_cislo, rc.is_valid, "[123]#[2378]#DD###*"),
    "cz_sk_rodne_cislo, short": Pair(east.cz_sk_rodne_cislo, rc.is_valid, "YYMMDD##*"),
    "ro_cnp": Pair(east.ro_cnp, cnp.is_valid, "#YYMMDD#####*"),
    "bg_egn": Pair(east.bg_egn, egn.is_valid, "YY##DD###*"),
    "gr_amka": Pair(east.gr_amka, amka.is_valid, "DDMMYY####*"),
    "hr_oib": Pair(east.hr_oib, oib.is_valid, "##########*"),
    "tr_tckn": Pair(east.tr_tckn, tckimlik.is_valid, "#########**"),
    "in_aadhaar": Pair(asia.in_aadhaar, aadhaar.is_valid, "###########*"),
    "au_tfn": Pair(asia.au_tfn, tfn.is_valid, "########*"),
    # Theirs begins at 11, the register's own rule at 10.
    "au_abn": Pair(asia.au_abn, abn.is_valid, "**#########", but="10.*"),
    "nz_ird": Pair(asia.nz_ird, ird.is_valid, "[01]#######*"),
    "nz_ird, short": Pair(asia.nz_ird, ird.is_valid, "#######*"),
    "kr_rrn": Pair(asia.kr_rrn, rrn.is_valid, "YYMMDD######*"),
    "jp_my_number": Pair(asia.jp_my_number, jp_in.is_valid, "###########*"),
    "cn_resident_id": Pair(asia.cn_resident_id, ric.is_valid, "11010519YYMMDD###*", DIGITS + "X"),
    "th_national_id": Pair(asia.th_national_id, pin.is_valid, "############*"),
    "my_nric": Pair(asia.my_nric, nric.is_valid, "YYMMDD##[0]##*"),
    "il_identity_number": Pair(asia.il_identity_number, il_idnr.is_valid, "########*"),
    # Theirs doesn't know the refugees' citizenship.
    "za_id_number": Pair(asia.za_id_number, za_idnr.is_valid, "YYMMDD####[019]#*"),
}
WITHOUT_ORACLE = {
    "sg_nric": ("[STFGM]#######*", LETTERS),
    "hk_hkid": ("@######*", DIGITS + "A"),
    "tw_national_id": ("@[1289]#######*", DIGITS),
    "au_medicare": ("[23456]#######*#", DIGITS),
}
ALL = {
    function.__name__: function
    for module in (asia, east, north, west)
    for function in vars(module).values()
    if getattr(function, "__module__", None) == module.__name__ and not function.__name__.startswith("_")
}


def filled(shape: str, chance: random.Random) -> str:
    def fill(token: re.Match[str]) -> str:
        match token[0]:
            case "YY":
                return f"{chance.randrange(100):02}"
            case "MM":
                return f"{chance.randrange(14):02}"
            case "DD":
                return f"{chance.randrange(33):02}"
            case "#":
                return chance.choice(DIGITS)
            case "@":
                return chance.choice(LETTERS)
            case choices:
                return chance.choice(choices[1:-1])

    return TOKEN.sub(fill, shape)


@pytest.mark.parametrize("name", PAIRS)
def test_ours_and_theirs_agree(name: str) -> None:
    pair = PAIRS[name]
    chance = random.Random(name)
    shapes = [filled(pair.shape, chance) for _ in range(SHAPES)]
    numbers = [
        shape.replace("*", "{}").format(*checks)
        for shape in shapes
        for checks in product(pair.checks, repeat=shape.count("*"))
    ]
    compared = [number for number in numbers if not re.fullmatch(pair.but, number)]

    right = [number for number in compared if pair.theirs(number)]

    assert right
    assert [number for number in compared if pair.ours(number)] == right


@pytest.mark.parametrize("name", WITHOUT_ORACLE)
def test_just_one_check_is_right(name: str) -> None:
    shape, checks = WITHOUT_ORACLE[name]
    chance = random.Random(name)

    for _ in range(SHAPES):
        body = filled(shape, chance)
        assert sum(ALL[name](body.replace("*", check)) for check in checks) == 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(
            ("sg_nric", number)
            for number in ("S1234567D", "T1680536F", "F5221211K", "G8169811U", "M9612050P")
        ),
        *(("hk_hkid", number) for number in ("G123456A", "L5555550", "AB9876543")),
        *(("tw_national_id", number) for number in ("A123456789", "A800000014")),
        *(("au_medicare", number) for number in ("2123456701", "48867988020")),
        ("se_personnummer", "701063-2391"),  # a samordningsnummer: 60 more in the day
        ("se_personnummer", "8112289874"),
        ("no_fodselsnummer", "15108695088"),
        ("dk_cpr", "2110625629"),
        ("fi_hetu", "131052-308T"),
        ("fr_nir", "253072B07300470"),
        ("be_national_number", "85073003328"),
    ],
)
def test_published_samples_are_right(name: str, number: str) -> None:
    assert ALL[name](number)


def test_a_cpr_number_without_its_check_digit_is_one_by_its_date() -> None:
    assert north.dk_cpr("2110625630")


def test_a_resident_registration_number_without_its_check_digit_is_one_by_its_date() -> None:
    assert asia.kr_rrn_date("2103043000005")
    assert not asia.kr_rrn("2103043000005")


def test_an_austrian_number_has_a_birth_date() -> None:
    numbers = ("1237010180", "1238320180", "1232001680")

    assert [vnr.is_valid(number) for number in numbers] == [True, True, True]
    assert [west.at_svnr(number) for number in numbers] == [True, False, False]


@pytest.mark.parametrize("more", [40, 65, 80])
def test_assigned_and_synthetic_birth_numbers_add_to_the_month(more: int) -> None:
    numbers = [f"15{10 + more}86950{checks:02}" for checks in range(100)]

    assert sum(map(north.no_fodselsnummer, numbers)) <= 1
    assert any(north.no_fodselsnummer(f"15{10 + more}86{rest:05}") for rest in range(1000))


@given(st.text(st.characters(codec="ascii"), max_size=20) | st.from_regex("[A-Z0-9+-]{0,20}", fullmatch=True))
def test_any_text_has_a_verdict(text: str) -> None:
    assert {function(text) for function in ALL.values()} <= {True, False}
