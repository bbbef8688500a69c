"""Networks: addresses of hosts and of interfaces, and what names a phone or its subscriber."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.finding import Validation
from interceptors.scan.validators import networks

if TYPE_CHECKING:
    from collections.abc import Callable

    from interceptors.scan.detector import Validator

_BEFORE = 90
"""How far before four numbers the word is looked for that makes them a version."""
_VERSION = re.compile(
    rb"(?:(?i:version|firmware|release|revision|build|chrome|chromium|safari|firefox|edge|opera|webkit|electron"
    rb"|(?<![a-z])(?:v|ver|rev|sdk|oid|fw|section|clause|chapter))"
    rb"(?:[ _.-]?(?:is|was|name|number|no|string|code|from|to|info))?[^0-9A-Za-z,;{}\n]{0,8}"
    # Product/1.2.3.4 of a user agent; but localhost/127.0.0.1, host.example.com/8.8.8.8 and /path/8.8.8.8.
    rb"|(?<![0-9A-Za-z_./-])(?!localhost/)[A-Za-z][0-9A-Za-z_-]{0,30}/"
    # npm's ^1.2.3.4 and @scope/name@1.2.3.4, app.jar!/:1.2.3.4 of a stack, the tag of a container's image.
    rb"|[\^~]|!/:|@[a-z0-9_.-]{1,40}/[a-z0-9_.-]{1,40}@|(?<!/)/[a-z][a-z0-9_.-]{0,40}:)\Z"
)


def _unversioned(check: Callable[[str], bool]) -> Validator:
    def validator(match: re.Match[bytes]) -> bool:
        start = match.start("id")
        if _VERSION.search(match.string[max(0, start - _BEFORE) : start]):
            return False
        return check(match["id"].decode("ascii"))

    return validator


# Found by the three dots, so that neither a fraction nor a version of three numbers is looked at.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = Rule(
    tuple(
        rf"[0-9]\.[0-9]{{{second}}}\.[0-9]{{{third}}}\.[0-9]" for second in (1, 2, 3) for third in (1, 2, 3)
    ),
    rf"(?<![0-9A-Za-z_.])(?<![A-Za-z_]-)(?P<id>{_OCTET}(?:\.{_OCTET}){{3}})(?![0-9A-Za-z_]|\.[0-9]|-[A-Za-z])",
    before=2,
    ahead=r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])",
)
_HEX = "[0-9A-Fa-f]"


def _first_group(*lengths: int) -> str:
    """Give what holds where no group of hexadecimal digits comes before; a name and a colon may."""
    behind = (f"(?<!{begin}{_HEX}{{{length}}}:)" for length in lengths for begin in ("^", "[^0-9A-Za-z]"))
    return f"(?<![0-9A-Za-z_.-]){''.join(behind)}"


_IPV6_TEXT = (
    rf"{_first_group(1, 2, 3, 4)}(?<!::)(?P<id>(?:{_HEX}{{0,4}}:){{2,7}}"
    rf"(?:[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}|{_HEX}{{1,4}}|:)?)(?![0-9A-Za-z_:]|\.[0-9])"
)
_IPV6 = Rule(
    (
        *(f"{_HEX}::", "::(?i:ffff):[0-9]", ":0:0:"),
        *(f":{_HEX}{{{one}}}:{_HEX}{{{two}}}:" for one in (3, 4) for two in (3, 4)),
    ),
    _IPV6_TEXT,
    before=39,
    ahead=rf"(?:{_HEX}{{0,4}}+:){{1,8}}+(?:[0-9.]{{1,15}}+|{_HEX}{{0,4}}+)(?![0-9A-Za-z_:])",
)
_LOOPBACK_IPV6 = Rule(("::1",), _IPV6_TEXT)

_PAIR = f"{_HEX}{{2}}"
_NOT_WITHIN = "(?![0-9A-Za-z_]|[:.-][0-9A-Za-z])"


def _pairs(separator: str) -> Rule:
    joined = separator.join([_PAIR] * 6)
    return Rule(
        (f"{separator}{_PAIR}{separator}{_PAIR}{separator}{_PAIR}{separator}",),
        rf"{_first_group(2)}(?P<id>{joined}){_NOT_WITHIN}",
        before=2,
        ahead=f"(?:{separator}{_PAIR}){{4,5}}{_NOT_WITHIN}",
    )


def _dotted_mac(match: re.Match[bytes]) -> bool:
    # Of digits alone it would as well be a version.
    return not match["id"].replace(b".", b"").isdigit()


_DIGITS_END = "(?![0-9A-Za-z_]|[.-][0-9A-Za-z])"
_IMEI = "[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]"
_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

NETWORK = (
    Detector(
        name="ip_address",
        class_="network.ip",
        rules=(_IPV4, _IPV6),
        validator=_unversioned(networks.public_ip),
        validation=Validation.STRUCTURE,
        reason="an IPv4 or IPv6 address of the public internet (RFC 791, RFC 4291, RFC 6890)",
        examples=(
            b'{"ip": "8.8.8.8"}',
            b"from 1.1.1.1:53 in",
            b"http://9.9.9.9/path",
            b'{"ip": "2001:4860:4860::8888"}',
            b"[2606:4700:4700:0:0:0:0:1111]:443",
            b"addr:2001:4860:4860:0000:0000:0000:0000:8844",
            b"::ffff:8.8.8.8",
            b"host.example.com/8.8.4.4",
        ),
        counter_examples=(
            b'{"ip": "10.0.0.1"}',
            b'{"version": "1.2.3.4"}',
            b"Mozilla/5.0 Chrome/120.0.6099.109 Safari/537.36",
            b'"Chromium";v="120.0.0.0"',
            b"1.3.6.1.4.1.311",
            b"8.8.8.256",
            b"app-1.2.3.4-SNAPSHOT.jar",
            b"std::cafe::add",
            b"arn:aws:iam::123456789012:role/x",
            b"2001:db8::1",
            b"12:30:45:1234:5678:9",
            b"@scope/name@12.30.82.164",
            b"name@^12.30.82.164",
            b"docker.io/library/redis:16.12.41.134",
        ),
    ),
    Detector(
        name="local_ip_address",
        class_="network.private_ip",
        rules=(_IPV4, _IPV6, _LOOPBACK_IPV6),
        validator=_unversioned(networks.local_ip),
        validation=Validation.STRUCTURE,
        reason="an IP address within a network: private, loopback, link-local, documentation's (RFC 6890)",
        examples=(
            b'{"ip": "192.168.1.10"}',
            b"127.0.0.1 - -",
            b"fe80::1%eth0",
            b"listen [::1]:8080",
            b"2001:db8::1",
            b"100.64.0.1",
            b"224.0.0.1",
        ),
        counter_examples=(b'{"ip": "8.8.8.8"}', b"2001:4860:4860::8888", b"10.0.0.1.5", b"v10.0.0.1"),
        default=False,
    ),
    Detector(
        name="mac_address",
        class_="network.mac",
        rules=(
            _pairs(":"),
            _pairs("-"),
            after_word(
                *("mac", "mac addr", "mac address", "hwaddr", "hw addr", "hardware address", "bssid"),
                value=f"(?:{_HEX}{{12}}|{_HEX}{{4}}(?:[.]{_HEX}{{4}}){{2}}){_NOT_WITHIN}",
                rest=r"[ _.-]?(?:(?i:address|addr|id|is)[ _.:-]{0,2}){0,2}",
            ),
        ),
        validator=checked(networks.mac_address),
        validation=Validation.STRUCTURE,
        reason="six bytes in hexadecimal with separators, or under the name of a MAC address (IEEE 802)",
        context=("mac", "mac address", "hwaddr", "bssid"),
        examples=(
            b'{"mac": "00:1b:44:11:3a:b7"}',
            b"00-1B-44-11-3A-B7",
            b'{"macAddress": "001b44113ab7"}',
            b"HWaddr 00:1b:44:11:3a:b7",
            b"bssid=0011.2233.4455",
        ),
        counter_examples=(
            b"SHA256 Fingerprint=AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99",
            b"ff:ff:ff:ff:ff:ff",
            b"00:00:00:00:00:00",
            b"10:12:34:56",
            b'{"hmac": "001b44113ab7"}',
        ),
    ),
    Detector(
        name="cisco_mac_address",
        class_="network.mac",
        rules=(
            Rule(
                (rf"\.{_HEX}{{4}}\.{_HEX}{{4}}\b",),
                rf"(?<![0-9A-Za-z_.-])(?P<id>{_HEX}{{4}}(?:\.{_HEX}{{4}}){{2}}){_NOT_WITHIN}",
                before=4,
            ),
        ),
        validator=_dotted_mac,
        validation=Validation.PATTERN,
        reason="six bytes in hexadecimal, in three groups with dots (Cisco's notation)",
        examples=(b"001b.4411.3ab7", b'{"address": "AABB.CC00.1122"}'),
        counter_examples=(b"2024.1001.1234", b"001b.4411.3ab7.0000", b"x001b.4411.3ab7"),
    ),
    Detector(
        name="imei",
        class_="network.device_id",
        rules=(
            after_word("imei", value=f"(?:{_IMEI}|[0-9]{{8}}-[0-9]{{6}}-[0-9]){_DIGITS_END}"),
            Rule(
                ("[0-9]{2}-[0-9]{6}-[0-9]{6}-[0-9]",),
                rf"(?<![0-9A-Za-z_.+-])[0-9]{{2}}-[0-9]{{6}}-[0-9]{{6}}-[0-9]{_DIGITS_END}",
            ),
        ),
        validator=checked(networks.imei),
        validation=Validation.CHECKSUM,
        reason="15 digits with Luhn, under the name or in the notation of an IMEI (3GPP TS 23.003)",
        context=("imei",),
        examples=(
            b'{"imei": "490154203237518"}',
            b"49-015420-323751-8",
            b'{"deviceImei": 356938035643809}',
            b"IMEI 35 693803 564380 9",
        ),
        counter_examples=(
            b'{"imei": "490154203237519"}',
            b"49-015420-323751-9",
            b'{"id": "490154203237518"}',
            b'{"imei": "000000000000000"}',
        ),
    ),
    Detector(
        name="advertising_id",
        class_="network.device_id",
        rules=(
            after_word(
                *("idfa", "idfv", "gaid", "aaid", "advertising id", "advertiser id", "ad id", "ios ifa"),
                value=f"{_UUID}(?![0-9A-Za-z_-])",
            ),
            after_word("android id", value=f"{_HEX}{{16}}(?![0-9A-Za-z_-])"),
        ),
        validation=Validation.KEY,
        reason="the identifier of a phone under its name, as advertising uses it",
        context=("idfa", "gaid", "advertising id", "android id"),
        examples=(
            b'{"idfa": "EA7583CD-A667-48BC-B806-42ECB2B48606"}',
            b'{"advertisingId":"38400000-8cf0-11bd-b23e-10b96e40000d"}',
            b"android_id=9774d56d682e549c",
        ),
        counter_examples=(
            b'{"id": "EA7583CD-A667-48BC-B806-42ECB2B48606"}',
            b'{"upload_id": "38400000-8cf0-11bd-b23e-10b96e40000d"}',
        ),
    ),
    Detector(
        name="imsi",
        class_="network.subscriber_id",
        rules=(after_word("imsi", value=f"[0-9]{{14,15}}{_DIGITS_END}"),),
        validator=checked(networks.imsi),
        validation=Validation.STRUCTURE,
        reason="14 or 15 digits under the name of an IMSI, an assigned country code (ITU-T E.212)",
        context=("imsi",),
        examples=(b'{"imsi": "310150123456789"}', b"IMSI=460001234567890"),
        counter_examples=(b'{"imsi": "199150123456789"}', b'{"id": "310150123456789"}'),
    ),
    Detector(
        name="iccid",
        class_="network.subscriber_id",
        rules=(after_word("iccid", value=f"89[0-9]{{17,18}}{_DIGITS_END}"),),
        validator=checked(networks.iccid),
        validation=Validation.CHECKSUM,
        reason="19 or 20 digits under the name of a SIM card's number, Luhn (ITU-T E.118)",
        context=("iccid",),
        examples=(b'{"iccid": "8991101200003204514"}', b"simIccid=8991101200003204514"),
        counter_examples=(b'{"iccid": "8991101200003204519"}', b'{"id": "8991101200003204514"}'),
    ),
)
"""All of this file."""
