from __future__ import annotations

import pytest

from interceptors.scan.detectors.network import NETWORK
from interceptors.scan.engine import StdlibEngine
from interceptors.scan.scanner import Scanner


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(NETWORK, StdlibEngine)


@pytest.mark.parametrize(
    "address",
    [
        b"8.8.8.8",
        b"151.101.193.140",
        b"2001:4860:4860::8888",
        b"2606:4700:4700:0:0:0:0:1111",
        b"2a00:1450:4001:81b::200e",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        b"%s",
        b'{"ip": "%s"}',
        b"from %s.",
        b"addr:%s",
        b"remote:%s",
        b"ip=%s&",
        b"[%s]:443",
        b"%s/24",
        b"http://%s/",
        b"a,%s,b",
    ],
)
def test_an_address_counts_wherever_a_value_may_stand(scanner: Scanner, address: bytes, text: bytes) -> None:
    found = scanner.scan(text % address).findings

    start = text.index(b"%")
    assert [(each.class_, each.start, each.end) for each in found] == [
        ("network.ip", start, start + len(address))
    ]


@pytest.mark.parametrize(
    "text",
    [
        *(
            b'{"version": "8.8.8.8"}',
            b"appVersion=8.8.8.8",
            b"v8.8.8.8",
            b"release 8.8.8.8",
            b"Edg/120.0.2210.91",
        ),
        *(
            b"okhttp/4.9.3.1",
            b"lib@^8.8.8.8",
            b"@scope/lib@8.8.8.8",
            b"example.com/team/app:8.8.8.8@sha256",
            b"~[app.jar!/:8.8.8.8]",
            b"lib-8.8.8.8.jar",
            b"8.8.8.8-rc1",
            b"8.8.8.8.8",
            b"1.8.8.8.8",
            b"8.8.8.08",
            b"8.8.8",
        ),
        *(
            b'"Chromium";v="120.0.0.0"',
            b"oid: 1.3.6.1",
            b"108.8.8.8x",
            b"10:11:12",
            b"std::dead::beef",
            b"face::1:x",
        ),
        *(b"2001:4860:4860::8888::1", b"1:2:3:4:5:6:7:8:9", b"2001:48601:4860::8888"),
    ],
)
def test_a_version_or_a_time_is_no_address(scanner: Scanner, text: bytes) -> None:
    assert [each for each in scanner.scan(text).findings if "ip_address" in each.detector] == []


@pytest.mark.parametrize(
    "text", [b"localhost/127.0.0.1:80", b"/10.0.0.1", b"db.internal/10.0.0.1", b"[::1]", b"fe80::1"]
)
def test_local_addresses_are_a_class_of_their_own(scanner: Scanner, text: bytes) -> None:
    assert [each.class_ for each in scanner.scan(text).findings] == ["network.private_ip"]


def test_local_addresses_are_off_where_nothing_is_said() -> None:
    assert [each.class_ for each in NETWORK if not each.default] == ["network.private_ip"]


@pytest.mark.parametrize("text", [b"00:1b:44:11:3a:b7", b"00-1B-44-11-3A-B7", b"001b.4411.3ab7"])
def test_a_mac_is_found_once_and_whole(scanner: Scanner, text: bytes) -> None:
    for around in (b"%s", b'"%s"', b"mac:%s", b"ether %s\n"):
        found = scanner.scan(around % text).findings
        assert [(each.class_, each.end - each.start) for each in found] == [("network.mac", len(text))]


@pytest.mark.parametrize("separator", [b":", b"-"])
def test_a_fingerprint_holds_no_mac(scanner: Scanner, separator: bytes) -> None:
    for length in (4, 5, 7, 8, 16, 20, 32):
        digest = separator.join(b"%02X" % (37 * at % 256) for at in range(1, length + 1))
        assert scanner.scan(b"Fingerprint=" + digest).findings == []


@pytest.mark.parametrize(
    ("text", "detector"),
    [
        (b'{"imei":"49-015420-323751-8"}', "imei"),
        (b"IMEI: 49015420-323751-8", "imei"),
        (b"device 49-015420-323751-8 seen", "imei"),
        (b'{"subscriberImsi": 310150123456789}', "imsi"),
        (b"ICCID is 8991101200003204514", "iccid"),
        (b"gaid=38400000-8cf0-11bd-b23e-10b96e40000d", "advertising_id"),
    ],
)
def test_what_names_a_phone(scanner: Scanner, text: bytes, detector: str) -> None:
    assert [each.detector for each in scanner.scan(text).findings] == [detector]


@pytest.mark.parametrize(
    "text",
    [
        b"490154203237518",
        b"310150123456789",
        b"8991101200003204514",
        b"149-015420-323751-8",
        b'{"imei_ok":1}',
    ],
)
def test_bare_digits_name_none(scanner: Scanner, text: bytes) -> None:
    assert scanner.scan(text).findings == []
