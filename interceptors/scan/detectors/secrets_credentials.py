"""Credentials in the forms that protocols give them: headers, addresses, cookies, password hashes."""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector, Rule, checked
from interceptors.scan.detectors.secrets_forms import FILLER, FILLER_HEX, SIGN, text_of
from interceptors.scan.finding import Validation
from interceptors.scan.validators.entropy import is_mask, is_placeholder, is_random
from interceptors.scan.validators.tokens import basic_credentials

_SESSION = re.compile(r"sess|sid|auth|token|jwt|login|remember|identity|credential|secret", re.IGNORECASE)
_SESSION_SHORTEST = 8
_RANDOM_SHORTEST = 16
_COOKIES = 50
"""How many pairs are looked at; a browser keeps no more for a host."""
_USER_INFO = r"[^\s/?#@:\"'<>\\]{0,128}"
_CRYPT = "[./A-Za-z0-9]"


def _bearer(match: re.Match[bytes]) -> bool:
    text = text_of(match)
    return is_random(text) and not is_placeholder(text)


def _password_in_address(match: re.Match[bytes]) -> bool:
    return not is_mask(text_of(match))


def _session_cookie(match: re.Match[bytes]) -> bool:
    for pair in text_of(match).split(";", _COOKIES)[:_COOKIES]:
        name, _, value = pair.partition("=")
        if len(value) >= _SESSION_SHORTEST and _SESSION.search(name) is not None:
            return True
        if len(value) >= _RANDOM_SHORTEST and is_random(value):
            return True
    return False


CREDENTIALS = (
    Detector(
        name="basic_authorization",
        class_="secret.credentials",
        rules=(
            Rule(
                (
                    r"(?i:basic[ +])[A-Za-z0-9+/]{6}",
                    r"(?i:basic%20)[A-Za-z0-9+/]{6}",
                ),
                r"(?<![A-Za-z0-9])(?i:basic)(?:[ +]|%20)"
                r"(?P<id>[A-Za-z0-9+/_-]{6,512}={0,2})(?![A-Za-z0-9+/=])",
            ),
        ),
        validator=checked(basic_credentials),
        validation=Validation.STRUCTURE,
        reason="base64 behind Basic that decodes to a user and a password (RFC 7617)",
        examples=(
            b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            b'{"authorization": "Basic dXNlcjpob3JzZS1iYXR0ZXJ5"}',
        ),
        counter_examples=(b"Basic information about it", b"Authorization: Basic bm90IGEgcGFpcg=="),
    ),
    Detector(
        name="bearer_token",
        class_="secret.token",
        rules=(
            Rule(
                (r"(?i:bearer )[A-Za-z0-9._~+/-]{8}", r"(?i:bearer%20)[A-Za-z0-9._~+/-]{8}"),
                r"(?<![A-Za-z0-9])(?i:bearer)(?: |%20)(?P<id>[A-Za-z0-9._~+/-]{8,4096}={0,2})",
            ),
            Rule(
                (r"(?i:authorization)",),
                rf"(?i:authorization){SIGN}(?:[A-Za-z][A-Za-z-]{{1,19}} )?"
                r"(?:(?i:token)=)?[\"']?(?P<id>[A-Za-z0-9._~+/-]{16,4096}={0,2})",
            ),
        ),
        validator=_bearer,
        validation=Validation.KEY,
        reason="a random value behind Bearer (RFC 6750) or in a header Authorization",
        context=("bearer", "authorization"),
        examples=(
            b"Authorization: Bearer mF_9.B5f-4.1JqM",
            b'{"authorization": "Bearer ' + FILLER_HEX[:32] + b'"}',
            b"Authorization: Token " + FILLER_HEX[:40],
        ),
        counter_examples=(
            b'{"token_type": "Bearer", "expires_in": 3600}',
            b"Authorization: Bearer $API_KEY",
            b"bearer certificates",
        ),
    ),
    Detector(
        name="password_in_url",
        class_="secret.credentials",
        rules=(
            Rule(
                (r"[A-Za-z0-9]://",),
                rf"[A-Za-z0-9]://{_USER_INFO}:(?P<id>[^\s/?#\"'<>\\]{{1,256}})@[A-Za-z0-9\[$]",
            ),
        ),
        validator=_password_in_address,
        validation=Validation.STRUCTURE,
        reason="user and password before the host of an address (RFC 3986, section 3.2.1)",
        examples=(
            b'{"dsn": "postgresql://app:s3cr-et@db.example.com:5432/app"}',
            b"amqps://guest:guest@mq.example.com/%2F",
            b"redis://:hunter2@cache.example.com:6379/0",
        ),
        counter_examples=(
            b"https://example.com:8443/a@b",
            b"https://user@example.com/",
            b"postgresql://app:${DB_PASSWORD}@db.example.com/app",
            b"postgresql://app:****@db.example.com/app",
        ),
    ),
    Detector(
        name="session_cookie",
        class_="secret.cookie",
        rules=(
            Rule(
                (r"(?i:cookie)",),
                rf"(?i:cookie)s?{SIGN}(?P<id>[A-Za-z0-9_.%$-]{{1,80}}=[^\r\n\"'\\]{{8,4096}})",
            ),
            Rule(
                (
                    r"JSESSIONID=",
                    r"PHPSESSID=",
                    r"connect\.sid=",
                    r"ASP\.NET_SessionId=",
                    r"laravel_session=",
                ),
                r"(?P<id>[A-Za-z._]{9,17}_?[A-Za-z]{0,9}=[A-Za-z0-9%._~+/=-]{16,1024})",
            ),
        ),
        validator=_session_cookie,
        validation=Validation.KEY,
        reason="a session's name or a random value in a header Cookie or Set-Cookie (RFC 6265)",
        context=("cookie", "set-cookie"),
        examples=(
            b"Cookie: theme=dark; sessionid=" + FILLER_HEX[:32],
            b'{"set-cookie": "auth=' + FILLER[:40] + b'; Path=/; HttpOnly"}',
            b"GET /;JSESSIONID=" + FILLER_HEX[:32],
        ),
        counter_examples=(b"Cookie: theme=dark; lang=en", b"Set-Cookie: lang=en; Path=/; Max-Age=3600"),
    ),
    Detector(
        name="password_hash",
        class_="secret.credentials",
        rules=(
            Rule((r"\$2[abxy]\$[0-9]{2}\$",), rf"\$2[abxy]\$[0-9]{{2}}\${_CRYPT}{{53}}(?![A-Za-z0-9./])"),
            Rule(
                (r"\$[1568]\$[./A-Za-z0-9=]{4}", r"\$apr1\$[./A-Za-z0-9]"),
                rf"\$(?:[1568]|apr1)\$(?:rounds=[0-9]{{1,9}}\$)?{_CRYPT}{{1,16}}\${_CRYPT}{{22,86}}"
                r"(?![A-Za-z0-9./])",
            ),
            Rule((r"\$y\$[./A-Za-z0-9]{3}",), rf"\$y\${_CRYPT}{{1,8}}\${_CRYPT}{{1,86}}\${_CRYPT}{{43}}"),
            Rule(
                (r"\$argon2[di]",),
                r"\$argon2(?:id|i|d)\$(?:v=[0-9]{1,3}\$)?[mtp=0-9,]{5,40}"
                r"\$[A-Za-z0-9+/]{8,86}\$[A-Za-z0-9+/]{16,172}",
            ),
            Rule(
                (r"pbkdf2_sha[0-9]", r"pbkdf2:sha[0-9]", r"\$pbkdf2-sha"),
                r"\$?pbkdf2[_:-]sha[0-9]{1,3}[$:][0-9]{1,9}\$[A-Za-z0-9./+=_-]{1,86}\$[A-Za-z0-9./+=_-]{27,172}",
            ),
            Rule(
                (r"\{SSHA\}[A-Za-z0-9+/]{8}", r"\{SHA\}[A-Za-z0-9+/]{8}"),
                r"\{S?SHA\}[A-Za-z0-9+/]{27,64}={0,2}",
            ),
        ),
        validation=Validation.PATTERN,
        reason="the form in which crypt(3), bcrypt, Argon2 (PHC format), PBKDF2 or LDAP keep a password",
        examples=(
            b'{"hash": "$2b$12$' + FILLER[:53] + b'"}',
            b"root:$6$" + FILLER[:8] + b"$" + FILLER[:86] + b":19000:0",
            b"$argon2id$v=19$m=65536,t=3,p=4$" + FILLER[:22] + b"$" + FILLER[:43],
            b"pbkdf2_sha256$600000$" + FILLER[:22] + b"$" + FILLER[:43] + b"=",
        ),
        counter_examples=(b"$2b$12$abc", b"price $5$ or $6$"),
    ),
)
"""Of HTTP, addresses and password files."""
