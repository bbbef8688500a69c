from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stdnum.imei
import stdnum.imsi
from hypothesis import given
from hypothesis import strategies as st

from interceptors.scan.validators.networks import iccid, imei, imsi, local_ip, mac_address, public_ip

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "::ffff:9.9.9.9", "2606:4700::1"]
)
def test_public_addresses(text: str) -> None:
    assert public_ip(text)
    assert not local_ip(text)


@pytest.mark.parametrize(
    "text",
    [
        *("10.1.2.3", "172.16.0.1", "192.168.0.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"),  # noqa: S104 - no binding
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fd00::1", "ff02::1", "2001:db8::1", "::ffff:10.0.0.1"),
    ],
)
def test_local_addresses(text: str) -> None:
    assert local_ip(text)
    assert not public_ip(text)


@pytest.mark.parametrize(
    "text", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1::2::3", "12:34:56", "1.2.3.4.5", "a:b"]
)
def test_what_is_no_address_is_of_neither_kind(text: str) -> None:
    assert not public_ip(text)
    assert not local_ip(text)


def test_addresses_that_no_registry_has_given_out_are_not_public() -> None:
    assert not public_ip("a::b")
    assert not public_ip("4000::1")


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6, network="2000::/3")))
def test_each_address_is_of_one_kind(address: IPv4Address | IPv6Address) -> None:
    assert public_ip(str(address)) != local_ip(str(address))


@given(st.text(":.0123456789abcdef", max_size=40))
def test_no_text_raises(text: str) -> None:
    assert not (public_ip(text) and local_ip(text))


def test_macs_are_of_six_bytes_and_somebodys() -> None:
    assert mac_address("00:1b:44:11:3a:b7")
    assert mac_address("001B.4411.3AB7")
    assert not mac_address("00:1b:44:11:3a")
    assert not mac_address("FF-FF-FF-FF-FF-FF")
    assert not mac_address("00:00:00:00:00:00")


@given(st.text("0123456789", min_size=14, max_size=14))
def test_imeis_agree_with_stdnum(digits: str) -> None:
    # stdnum also takes 14 and 16 digits, which have no check digit, and 15 zeros.
    for last in "0123456789":
        number = digits + last
        assert imei(number) == (stdnum.imei.is_valid(number) and number != "0" * 15)
    assert not imei(digits)


def test_the_country_codes_of_imsis_are_those_of_stdnum() -> None:
    numbers = [f"{code:03}012345678901" for code in range(1000)]

    assert [number for number in numbers if imsi(number) != stdnum.imsi.is_valid(number)] == []
    assert not imsi("3100123456789")


def test_iccids_have_a_check_digit() -> None:
    assert iccid("8991101200003204514")
    assert not iccid("8991101200003204515")
    assert not iccid("7991101200003204516")
    assert not iccid("899110120000320451")
