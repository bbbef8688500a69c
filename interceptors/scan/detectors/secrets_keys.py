"""Private keys by their armour, and tokens that can be decoded."""

from __future__ import annotations

from interceptors.scan.detector import Detector, Rule, checked
from interceptors.scan.detectors.secrets_forms import FILLER, FILLER_HEX
from interceptors.scan.finding import Validation
from interceptors.scan.validators.tokens import jwt

_BEGIN = r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_END = r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_LINES = r"(?:(?:\\[rn]|[ \r\n\t]){0,4}[A-Za-z0-9+/=]{16,80}){0,256}"

KEYS = (
    Detector(
        name="pem_private_key",
        class_="secret.private_key",
        rules=(
            Rule(
                (r"-----BEGIN [A-Z]",),
                rf"{_BEGIN}(?:(?:[^-]|-(?!----)){{0,16384}}+{_END}|{_LINES})",
            ),
            Rule(
                (r"---- BEGIN SSH2",),
                r"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----(?:[^-]|-(?!---)){0,16384}+",
            ),
        ),
        validation=Validation.PATTERN,
        reason="the armour of a private key: PKCS 1 or 8, SEC 1, OpenSSH (RFC 7468) or OpenPGP (RFC 9580)",
        examples=(
            b"-----BEGIN RSA PRIVATE KEY-----\n"
            + FILLER[:64]
            + b"\n"
            + FILLER[:40]
            + b"\n-----END RSA PRIVATE KEY-----",
            rb'{"private_key": "-----BEGIN PRIVATE KEY-----\n'
            + FILLER[:64]
            + rb'\n-----END PRIVATE KEY-----\n"}',
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + FILLER[:64] + b"\n5URYX45jqRO25g3uK5kbAAegiuE8LC",
        ),
        counter_examples=(
            b"-----BEGIN PUBLIC KEY-----\n" + FILLER[:64] + b"\n-----END PUBLIC KEY-----",
            b"-----BEGIN CERTIFICATE-----\n" + FILLER[:64] + b"\n-----END CERTIFICATE-----",
        ),
    ),
    Detector(
        name="putty_private_key",
        class_="secret.private_key",
        rules=(
            Rule(
                (r"PuTTY-User-Key-File-[23]:",),
                r"PuTTY-User-Key-File-[23]:"
                r"(?:(?:[^P]|P(?!rivate-MAC)){0,16384}+Private-MAC: [0-9a-f]{40,64})?",
            ),
        ),
        validation=Validation.PATTERN,
        reason="the first line of a private key of PuTTY (PPK 2 and 3)",
        examples=(
            b"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 1\n"
            + FILLER[:64]
            + b"\nPrivate-MAC: "
            + FILLER_HEX[:40],
            b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none",
        ),
        counter_examples=(b"PuTTY-User-Key-File: where keys lie", b"PuTTY 0.81"),
    ),
    Detector(
        name="jwt",
        class_="secret.jwt",
        rules=(
            Rule(
                (r"ey[AJ][A-Za-z0-9_-]{8}", r"ew[0ko][A-Za-z0-9_-]{8}"),
                r"(?<![A-Za-z0-9])e(?:y[AJ]|w[0ko])[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{0,16384}"
                r"(?:\.(?:[A-Za-z0-9_-]{1,8192}(?:\.[A-Za-z0-9_-]{1,8192}){0,2})?)?(?![A-Za-z0-9_-])",
            ),
        ),
        validator=checked(jwt),
        validation=Validation.STRUCTURE,
        reason="the first part decodes to a header with an algorithm (RFC 7515, RFC 7516, RFC 7519)",
        examples=(
            (
                b'{"jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0IiwiaWF0IjoxNTE2MjM5MDIyfQ.'
                b'_T_rPJJQt5dKm1KLaWNjIaRhtV71W3vq_YCamp6SW3k"}'
            ),
            b"Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
            b"JWT_ew0KICJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
            (
                b"?id_token=eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..pjQvoP24spTZf8YQ."
                b"PZIImyX6XgOfUqjoqV9k1licH3hEBmVC.7DgAjTMd_TsnJBYxdpTi_g&state=1"
            ),
        ),
        counter_examples=(
            b'{"data": "eyJ1c2VyIjoxfQ.eyJ1c2VyIjoxfQ.AAAA"}',
            b'{"cursor": "eyJhbGciOiJIUzI1NiJ9"}',
        ),
    ),
)
"""Private keys and JSON Web Tokens."""
