"""Persons: e-mail addresses, and names and birth dates where the word beside them says so."""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector, Rule, after_word
from interceptors.scan.finding import Validation
from interceptors.scan.validators.dates import is_written_date

_LETTER = r"[\xc3-\xdf][\x80-\xbf]|[\xe0\xe1\xe4-\xed][\x80-\xbf]{2}|\xe3[\x81-\xbf][\x80-\xbf]"
"""A letter beyond ASCII in UTF-8: no quotation mark, space or emoji, which may stand around an address."""
_LABEL = r"[A-Za-z0-9\x80-\xff][A-Za-z0-9\x80-\xff-]{0,62}+(?<!-)"
_DOMAIN = (
    rf"(?![vV]?[0-9]{{1,6}}\.[0-9])"  # pkg@1.2.3-rc.one
    rf"(?>(?:{_LABEL}\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}|[A-Za-z]{{2,24}}|(?:{_LETTER}){{2,12}}))"
    r"(?:(?![A-Za-z0-9])|(?<=\.com|\.net|\.org|\.edu|\.gov)(?=[0-9]{3}))"  # a number that follows at once
)
_NO_DOMAIN = frozenset(
    b"avif bmp css csv gif gz htm html ico jar jpg jpeg js json jsx log pdf png svg tgz tif tiff tsx txt "
    b"webp xml yml yaml mount path scope service slice socket swap target timer".split()
)
"""How the names of files and of systemd's units end, and no domain: icon@2x.png, user@1000.service."""
_NODE = re.compile(rb"(?:(?:celery|gen)[0-9]{0,10}|rabbit|git)@")
"""What stands before the host in the names of Celery's workers, of RabbitMQ's nodes and of Git's remotes."""
_USER_OF_URL = re.compile(rb"://[^\s/@\"'<>]{0,256}\Z")
_PATH = re.compile(rb":[A-Za-z0-9_.~-]{1,100}/")
_MESSAGE_ID = re.compile(
    rb"(?i:message[_-]?id|in[_-]?reply[_-]?to|references|content[_-]?id)[\"']?[ ]?[:=][ ]?[\"']?"
    rb"(?:<[^\s<>\"]{1,200}>[ ]?)?<[^\s<>\"@]{0,200}\Z"
)
"""What names a mail, not who sent it (RFC 5322, section 3.6.4)."""

_NO_NAME = frozenset(
    b"null none nil true false undefined unknown missing empty required optional invalid redacted masked "
    b"hidden string str text varchar char test anonymous yes no".split()
)
_NAME_START = r"[A-Za-z\x80-\xff]"
_NAME_REST = r"(?:['.-]?[A-Za-z\x80-\xff]){0,40}+(?:[.](?= [A-Z]))?(?![0-9A-Za-z_=:@/(]|<[^/])"
_NAME = (
    rf"""(?:(?<=")(?={_NAME_START})[^"\\<>{{}}=:@/_0-9\x00-\x1f]{{1,80}}+(?=["\\])"""
    rf"""|(?<=')(?={_NAME_START})[^'\\<>{{}}=:@/_0-9\x00-\x1f]{{1,80}}+(?=['\\])"""
    rf"""|(?<!["'])(?:(?<=[=>])[a-z]|[A-Z\x80-\xff]){_NAME_REST}"""
    rf"""(?: (?:(?:d[aeio]s?|del|de[nr]|v[ao]n|la|le|el|al|bin|ibn) ){{0,2}}"""
    rf"""[A-Z\x80-\xff]{_NAME_REST}){{0,4}})"""
)
"""A name: in quotation marks all that is between them, elsewhere words with a capital."""
_DELIMITED = r"""s?(?=["'\\]{0,3}[ \t]{0,4}(?:[:=>](?!=)|%3[Aa]))"""
_NAME_KEYS = (
    *(
        f"{which} name"
        for which in ("first", "last", "given", "family", "middle", "full", "maiden", "birth", "legal")
    ),
    *(
        f"{who} name"
        for who in ("patient", "customer", "employee", "passenger", "guest", "student", "applicant")
    ),
    *(
        f"{who} name"
        for who in ("recipient", "contact", "beneficiary", "borrower", "spouse", "mother", "father")
    ),
    *(f"{who} name" for who in ("cardholder", "card holder", "account holder", "holder")),
    "cardholder",
    "card holder",
    "account holder",
    "name on card",
    "surname",
    "forename",
    "vorname",
    "nachname",
    "familienname",
    "geburtsname",
    "nombre",
    "nombre completo",
    "apellido",
    "prenom",
    "nom de famille",
    "nom complet",
    "cognome",
    "nome completo",
    "primeiro nome",
    "sobrenome",
    "voornaam",
    "achternaam",
    "efternamn",
    "fornavn",
    "etternavn",
    "nazwisko",
)
_BIRTH_KEYS = (
    "dob",
    "date of birth",
    "birth date",
    "birth day",
    "born",
    "born on",
    "geburtsdatum",
    "geburtstag",
    "geboren am",
    "fecha nacimiento",
    "fecha de nacimiento",
    "date de naissance",
    "date naissance",
    "data di nascita",
    "data nascita",
    "data de nascimento",
    "data nascimento",
    "geboortedatum",
)
_BIRTH_REST = (
    "(?:[ _-]?(?i:date|day|iso|value|raw|is|was|on|am|le|el|em)){0,2}"
    r"(?: ?\([A-Za-z/. -]{1,16}\))?"  # DOB (dd/mm/yyyy): …
)
_TIME = r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_MONTH = r"[A-Za-z\x80-\xff]{3,12}"
_DATE = (
    rf"(?:[0-9]{{4}}[./-][0-9]{{1,2}}[./-][0-9]{{1,2}}{_TIME}"
    r"|[0-9]{1,2}[./ -][0-9]{1,2}[./ -](?:[0-9]{4}|[0-9]{2})"
    r"|[0-9]{8}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?[. -]{{1,2}}(?:de |of )?{_MONTH}[., -]{{1,2}}(?:de )?[0-9]{{4}}"
    rf"|{_MONTH}[. -]{{1,2}}[0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}})(?![0-9A-Za-z_]|[-][0-9])"
)


def _is_address(match: re.Match[bytes]) -> bool:
    """Leave out what only has the form of one: files, units, nodes, and the user in a URL or a remote."""
    text, data = match[0], match.string
    start, end = match.span()
    return not (
        text.rpartition(b".")[2].lower() in _NO_DOMAIN
        or _NODE.match(text)
        or (
            data.rfind(b"<", max(0, start - 200), start) >= 0
            and _MESSAGE_ID.search(data[max(0, start - 240) : start])
        )
        or (data[end : end + 1] == b":" and _PATH.match(data, end))
        or (
            data.rfind(b"://", max(0, start - 260), start) >= 0
            and _USER_OF_URL.search(data[max(0, start - 260) : start])
        )
    )


def _is_name(match: re.Match[bytes]) -> bool:
    return match["id"].strip().lower() not in _NO_NAME


def _is_birth_date(match: re.Match[bytes]) -> bool:
    return is_written_date(match["id"].decode("utf-8", "replace"))


PERSONAL = (
    Detector(
        name="email",
        class_="personal.email",
        rules=(
            Rule(
                (r"[A-Za-z0-9_+'\x80-\xff-]@[A-Za-z0-9\x80-\xff][A-Za-z0-9.\x80-\xff-]{3}",),
                rf"(?<![A-Za-z0-9_+-])(?:[A-Za-z0-9_+-]|{_LETTER})(?:[A-Za-z0-9_.+'-]{{1,64}}+|{_LETTER}){{0,64}}+"
                rf"@{_DOMAIN}",
                before=63,
                ahead=f".@{_DOMAIN}",
                edge='"',
            ),
        ),
        validator=_is_address,
        validation=Validation.PATTERN,
        reason="local part, @ and a domain name (RFC 5321, RFC 6531)",
        examples=(
            b'{"to": "jo.doe+tag@example.com"}',
            b"Jo <user@mail.example.co.uk>, or so",
            b"user=o'neill@example.com&x=1",
            b"mailto:j@example.org.",
            '{"to": "jürgen@müller.example"}'.encode(),
            "“user@example.com”".encode(),
            b"user@xn--bcher-kva.example",
            b"42@163.com",
            b"-user@example.com",
            b"user@example.com123-45-6789",
        ),
        counter_examples=(
            b"@example.com",
            b"a@b",
            b"icon@2x.png",
            b"celery@worker-1.example.com",
            b"git@github.com:org/repo.git",
            b"lodash@4.17.21",
            b"pkg@1.2.3-rc.one",
            b"postgres://user:secret@db.example.com/x",
            b"getty@tty1.service",
            b"Message-ID: <20261122.1234@mail.example.com>",
            b'{"@types/node": "^20"}',
        ),
    ),
    Detector(
        name="person_name",
        class_="personal.name",
        rules=tuple(after_word(key, rest=_DELIMITED, value=_NAME) for key in _NAME_KEYS),
        validator=_is_name,
        validation=Validation.KEY,
        reason="words under the name of a person's name",
        context=_NAME_KEYS,
        examples=(
            b'{"firstName": "Jo"}',
            b"last_name=doe&x=1",
            b"Patient name: Jo van der Doe, DOB 1980",
            b"<surname>O'Neill</surname>",
            b'{"full_name": "Doe, Jo"}',
            b'{\\"customer_name\\": \\"Jo Doe\\"}',
            '{"apellidos": "Núñez"}'.encode(),
            b"Nachname: Doe Stadt: Ulm",
            b"name on card: J. Doe. Expires soon",
        ),
        counter_examples=(
            b'{"first_name": null}',
            b'{"last_name": "unknown"}',
            b'{"username": "clerk", "name": "Jo"}',
            b'{"required": ["first_name", "last_name"]}',
            b'{"full_name": "octocat/hello-world"}',
            b"the first name is required",
            b'{"last_name": {"type": "string"}}',
            b'{"customer_name": "d41d8cd98f00b204"}',
        ),
    ),
    Detector(
        name="birth_date",
        class_="personal.birth_date",
        rules=tuple(after_word(key, rest=_BIRTH_REST, value=_DATE) for key in _BIRTH_KEYS),
        validator=_is_birth_date,
        validation=Validation.KEY,
        reason="a date that there is, under the name of a birth date",
        context=_BIRTH_KEYS,
        examples=(
            b'{"dateOfBirth": "1985-02-28"}',
            b"DOB (mm/dd/yyyy): 12/31/1985",
            b"dob=19850131&x=1",
            b'{"geburtsdatum": "31.12.1985"}',
            b'{"birth_date": "1985-02-28T00:00:00Z"}',
            b"Date of birth: March 3rd, 1985",
            b"fecha de nacimiento: 3 de marzo de 1985",
        ),
        counter_examples=(
            b'{"date": "1985-02-28"}',
            b'{"dob": "1985-02-30"}',
            b'{"birth_date": 1700000000}',
            b'{"dob_verified_at": 1700000000000}',
        ),
    ),
)
