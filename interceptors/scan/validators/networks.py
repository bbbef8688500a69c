"""Networks and devices: IP addresses, MAC addresses, and what a mobile network calls a phone."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from interceptors.scan.validators.digits import luhn

_MOBILE_COUNTRY_CODES = """
001 202 204 206 208 212 213 214 216 218 219 220 221 222 226 228 230 231 232 234 235 238 240 242 244 246 247
248 250 255 257 259 260 262 266 268 270 272 274 276 278 280 282 283 284 286 288 289 290 292 293 294 295 297
302 308 310 311 312 313 314 316 330 334 338 340 342 344 346 348 350 352 354 356 358 360 362 363 364 365 366
368 370 372 374 376 400 401 402 404 405 410 412 413 414 415 416 417 418 419 420 421 422 424 425 426 427 428
429 432 434 436 437 438 440 441 450 452 454 455 456 457 460 466 467 470 472 502 505 510 514 515 520 525 528
530 536 537 539 540 541 542 543 544 545 546 547 548 549 550 551 552 553 554 555 602 603 604 605 606 607 608
609 610 611 612 613 614 615 616 617 618 619 620 621 622 623 624 625 626 627 628 629 630 631 632 633 634 635
636 637 638 639 640 641 642 643 645 646 647 648 649 650 651 652 653 654 655 657 658 659 702 704 706 708 710
712 714 716 722 724 730 732 734 736 738 740 742 744 746 748 750 901 902 991 995 999
"""
_MOBILE_COUNTRIES = frozenset(_MOBILE_COUNTRY_CODES.split())
_NO_DEVICE = ("00" * 6, "FF" * 6)


def public_ip(text: str) -> bool:
    """Check for an IP address of the public internet (IANA's special-purpose registries, RFC 6890).

    Args:
        text: it, of either version.
    """
    address = _address(text)
    if address is None or address.is_multicast or not address.is_global:
        return False
    # So far IANA gives out only 2000::/3 of IPv6.
    return address.version == 4 or int(address) >> 125 == 1


def local_ip(text: str) -> bool:
    """Check for an IP address that is no place on the internet (RFC 6890).

    These are private, loopback, link-local, shared, documentation's, multicast and unspecified ones.

    Args:
        text: it, of either version.
    """
    address = _address(text)
    return address is not None and (address.is_multicast or not address.is_global)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address


def mac_address(text: str) -> bool:
    """Check a MAC address (IEEE 802, EUI-48): that it is a device's, not nobody's nor everybody's.

    Args:
        text: 12 hexadecimal digits, with colons, dashes, dots or none.
    """
    digits = text.replace(":", "").replace("-", "").replace(".", "").upper()
    return len(digits) == 12 and digits not in _NO_DEVICE


def imei(text: str) -> bool:
    """Check an IMEI: 15 digits of which the last is Luhn's (3GPP TS 23.003, 6.2).

    Args:
        text: it, with spaces or dashes or none.
    """
    digits = text.replace(" ", "").replace("-", "")
    return len(digits) == 15 and digits.strip("0") != "" and luhn(digits)


def imsi(digits: str) -> bool:
    """Check an IMSI: its length, and that its mobile country code is assigned (ITU-T E.212).

    Args:
        digits: ASCII digits and nothing else.
    """
    return len(digits) in {14, 15} and digits[:3] in _MOBILE_COUNTRIES


def iccid(digits: str) -> bool:
    """Check a SIM card's number: 19 or 20 digits from 89 on, the last is Luhn's (ITU-T E.118).

    Args:
        digits: ASCII digits and nothing else.
    """
    return len(digits) in {19, 20} and digits.startswith("89") and luhn(digits)
