from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.detectors.personal import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.detector import Detector

    Found = Callable[[bytes], list[tuple[str, bytes]]]

LABELS = st.from_regex("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
LOCALS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.+-]{0,40}[A-Za-z0-9]", fullmatch=True)


@pytest.fixture(scope="module")
def found(finder: Callable[[tuple[Detector, ...]], Found]) -> Found:
    return finder(PERSONAL)


@given(
    address=st.builds("{}@{}.example".format, LOCALS, LABELS),
    around=st.sampled_from(
        [
            '"{}"',
            "<{}>",
            "{},x",
            "user={}&x=1",
            "mailto:{}.",
            "X-User: {}\r\n",
            "({})",
            "“{}”",
            "{}",
            "to:{};",
            "'{}'",
        ]
    ),
)
def test_an_address_is_found_wherever_it_stands(found: Found, address: str, around: str) -> None:
    assert ("email", address.encode()) in found(around.format(address).encode())


@pytest.mark.parametrize(
    "address",
    [
        "用户@例子.广告",
        "Pelé@example.com",
        "δοκιμή@παράδειγμα.δοκιμή",
        "j@xn--fsqu00a.xn--0zwm56d",
        "o'neill@example.com",
        "a@b.co",
        "-user@example.com",
        "x" * 64 + "@example.com",
        "user@a.b.c.d.e.f.example.museum",
    ],
)
def test_names_beyond_ascii_and_long_ones_are_found(found: Found, address: str) -> None:
    assert found(f'{{"to": "{address}"}}'.encode()) == [("email", address.encode())]


def test_addresses_side_by_side_are_all_found(found: Found) -> None:
    assert found(b"a@example.com,c@example.org;'d@example.net' <e@example.com>") == [
        ("email", b"a@example.com"),
        ("email", b"c@example.org"),
        ("email", b"d@example.net"),
        ("email", b"e@example.com"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"icon@2x.png",
        b"icon@3x.min.svg",
        b'"@types/node": "^20.1.0"',
        b"lodash@4.17.21",
        b"react@18.2.0-next.abc",
        b"root@localhost",
        b"git@github.com:org/repo.git",
        b"ssh://git@git.example.com/org/repo",
        b"https://user:secret@host.example.com/",
        b"https://user@host.example.com/",
        b"celery@worker1.example.com",
        b"gen4711@worker1.example.com",
        b"rabbit@node1.example.com",
        b"a@-b.com",
        b"a@b..com",
        b"a@b.c",
        b"a.@b.com",
        b"image@sha256:0123abcd",
        b'{"messageId": "<CAF=abc123+xyz@mail.example.com>"}',
        b"In-Reply-To: <1$ab@mail.example.com>\r\n",
        b"References: <1@mail.example.com> <2@mail.example.com>",
    ],
)
def test_what_only_has_an_at_sign_is_no_address(found: Found, text: bytes) -> None:
    assert found(text) == []


@pytest.mark.parametrize("piece", [b"@a", b"a@", b"a@aaaa", b"a@a.", b"a.", b"a@a-a.a-"])
def test_hostile_bytes_have_no_address(found: Found, piece: bytes) -> None:
    assert found(piece * 20_000) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"customerFirstName": "Jo"}', "Jo"),
        ('{"LAST_NAME":"DOE"}', "DOE"),
        ("first_name=Jo last_count=3", "Jo"),
        ("Surname: Núñez\n", "Núñez"),
        ("<familyName>van der Doe</familyName>", "van der Doe"),
        ("{'apellidos': 'Doe Núñez'}", "Doe Núñez"),
        ('{"cardholder_name": "J. DOE-ROE"}', "J. DOE-ROE"),
        ('{"maidenName": "O\'Neill"}', "O'Neill"),
        ("Nachname: Doe Ort: Ulm", "Doe"),
        ('{"voornaam": "Jané"}', "Jané"),
    ],
)
def test_a_name_is_found_under_its_key(found: Found, text: str, name: str) -> None:
    assert found(text.encode()) == [("person_name", name.encode())]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Jo", "fileName": "Jo", "host_name": "Jo"}',
        '{"first_name": ""}',
        '{"first_name": "N/A"}',
        '{"first_name": "UNKNOWN"}',
        '{"first_name": 42}',
        '{"first_name": "usr_4821"}',
        '{"first_name": "{{ first }}"}',
        '{"first_name": "***"}',
        '["first_name", "last_name"]',
        "first_name: must not be blank",
        "first_name=&last_name=",
        "if the last name is missing",
        'if node.fullname == "builtins.int":',
    ],
)
def test_what_is_no_name_under_a_key_is_none(found: Found, text: str) -> None:
    assert found(text.encode()) == []


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ('{"patientDob": "1985-03-15"}', "1985-03-15"),
        ('{"birthDate":"1985-03-15T00:00:00.000Z"}', "1985-03-15T00:00:00.000Z"),
        ("DOB 03/15/1989, MRN 7", "03/15/1989"),
        ("Date of Birth: 15 March 1989", "15 March 1989"),
        ("born on March 15, 1989.", "March 15, 1989"),
        ("geboren am 15.3.1989 in Ulm", "15.3.1989"),
        ("<date_naissance>15/03/1989</date_naissance>", "15/03/1989"),
        ("data_nascimento=15-03-1989&x=1", "15-03-1989"),
        ('{"birthday": 19890315}', "19890315"),
    ],
)
def test_a_date_is_found_under_the_key_of_a_birth_date(found: Found, text: str, date: str) -> None:
    assert found(text.encode()) == [("birth_date", date.encode())]


@pytest.mark.parametrize(
    "text",
    [
        '{"created": "1985-03-15"}',
        '{"dob": null}',
        '{"dob": "1985-13-15"}',
        '{"dob": 1700000000}',
        '{"dob_hash": "19850315"}',
        '{"birth_date": "unknown", "updated": "1985-03-15"}',
        '{"airborne": "1985-03-15"}',
    ],
)
def test_other_dates_are_none(found: Found, text: str) -> None:
    assert found(text.encode()) == []


@given(
    data=st.binary(max_size=200), key=st.sampled_from([b'"first_name": "', b"dob=", b"a@b.com", b"surname: "])
)
def test_any_bytes_may_follow(found: Found, data: bytes, key: bytes) -> None:
    assert all(name in {"email", "person_name", "birth_date"} for name, _ in found(key + data))
