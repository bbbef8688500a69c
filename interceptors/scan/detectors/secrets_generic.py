"""Secrets of no known form: a value that looks like one, under a key that says so.

Passwords may be anything but a placeholder, since people choose them. All else has to look random. What is no
secret though its key may sound like it: tokens of pages and idempotency (they open nothing), tokens against
CSRF (worth nothing without the session), references that a payment provider gave out (`card_token`), and a
UUID under a bare `token` (it is the id of something more often than not).
"""

from __future__ import annotations

import re

from interceptors.scan.detector import Detector, Rule
from interceptors.scan.detectors.secrets_forms import FILLER, FILLER_HEX, SIGN, before_key, text_of
from interceptors.scan.finding import Validation
from interceptors.scan.validators.entropy import is_placeholder, is_random

_START = r"(?![\s,:;}\])])"
_BARE = r"[^\s\"'`&;,<>\\(){}\[\]]"
_VALUE = (
    rf"(?P<id>(?:(?<=[^\\]\")(?:[^\"\\\r\n]|\\[^\r\n]){{4,1024}}|(?<=[^\\]')(?:[^'\\\r\n]|\\[^\r\n]){{4,1024}}"
    rf"|(?<=\\[\"'])[^\"'\\\r\n]{{4,1024}}|(?<=`)[^`\r\n]{{4,1024}}|(?<![\"'`]){_BARE}{{4,512}}))"
)
"""Up to the quote that closes it; without quotes, up to what ends a value in a form, a DSN or XML."""
_STAGE = (
    r"(?i:[_.-]?(?:value|string|text|plain|old|new|current|base"
    r"|prod|dev|test|stag(?:e|ing)|live|[0-9]{1,3}))?"
)
_OPEN = frozenset(("public", "publishable", "pub", "no", "not"))
"""The word before a key or token that makes it none."""
_NO_TOKEN = _OPEN | {
    *("page", "next", "prev", "previous", "cursor", "pagination", "continuation", "sync", "resume"),
    *("idempotency", "idempotent", "dedup", "deduplication", "request", "message"),
    *(
        "csrf",
        "xsrf",
        "authenticity",
        "antiforgery",
        "verification",
        "cancel",
        "cancellation",
        "lock",
        "fencing",
    ),
    *("card", "payment", "device", "push", "min", "max"),
}
"""As above, but only before `token`."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PROSE = re.compile(r"(?=[^\s]*[A-Za-z])(?=[^\s]*[0-9@#$%^&*!])[^\s]{6,64}")


def _password(match: re.Match[bytes]) -> bool:
    text = text_of(match)
    word = match[0][: match.start("id") - match.start()]
    if text.isdigit() and not word[:5].lower().startswith(b"passw"):
        return False
    return not is_placeholder(text)


def _told_password(match: re.Match[bytes]) -> bool:
    text = text_of(match).rstrip(".!?")
    quoted = match.string[match.start("id") - 1 : match.start("id")] in {b"'", b'"'}
    return not is_placeholder(text) and (quoted or _PROSE.fullmatch(text) is not None)


def _key(match: re.Match[bytes]) -> bool:
    words = before_key(match).split()
    text = text_of(match)
    token = match[0][:5].lower() == b"token"
    if words and words[-1] in (_NO_TOKEN if token else _OPEN):
        return False
    if token and words[-1:] in ([], ["client"]) and _UUID.fullmatch(text) is not None:
        return False
    return is_random(text) and not is_placeholder(text)


def _words(*words: str) -> tuple[str, ...]:
    """Give the triggers of words; a space in one stands for a separator or none."""
    joints = {joined for word in words for joined in (word.replace(" ", ""), word.replace(" ", "[ _.-]"))}
    return tuple(f"(?i:{word})" for word in sorted(joints))


_PASSWORDS = (
    "passw(?:or[dt]|d)|pwd|pass[ _.-]?phrase|pass[ _.-]?code|senha|contrasena|mot[ _.-]?de[ _.-]?passe"
)
_SECRETS = (
    "secret(?:[ _.-]?(?:access[ _.-]?)?key)?|token(?:[ _.-]?(?:secret|key))?|credential"
    "|(?:api|app|access|private|signing|encryption|master|shared|auth|service|webhook|consumer|account|license)"
    "[ _.-]?key|auth"
)

GENERIC = (
    Detector(
        name="password",
        class_="secret.credentials",
        rules=(
            Rule(
                (
                    *_words("password", "passwort", "passwd", "pwd", "pass phrase", "pass code", "senha"),
                    *_words("contrasena", "mot de passe"),
                    *(f"(?i:pass){end}" for end in ("[\"'=:> \\\\]", "[_-][0-9]")),
                ),
                rf"(?:(?i:{_PASSWORDS})|(?<![A-Za-z])(?i:pass)|(?<=[a-z])Pass)s?"
                rf"(?i:[_.-]?(?:hash|confirm(?:ation)?))?{_STAGE}(?![A-Za-z])"
                rf"{SIGN}{_START}{_VALUE}",
            ),
        ),
        validator=_password,
        validation=Validation.KEY,
        reason="a value under a key that says password, and no placeholder",
        context=("password", "passwd", "pwd", "passphrase", "pass"),
        examples=(
            b'{"user": "clerk", "password": "open sesame"}',
            b"Server=db;User ID=app;Password=#gets0m3;Encrypt=True",
            b'{"name": "DB_PASSWORD", "value": "hunter2"}',
            b"<userPassword>Prestigitariu$</userPassword>",
        ),
        counter_examples=(
            b'{"password": null, "password_reset_at": "2026-01-01"}',
            b'{"password": "********"}',
            b"password=${DB_PASSWORD}",
            b'{"required": ["password", "email_address"]}',
            b'{"passwordHash": "argon2"}',
        ),
    ),
    Detector(
        name="password_in_text",
        class_="secret.credentials",
        rules=(
            Rule(
                ("(?i:-password )", "(?i:-passwd )"),
                r"-(?i:passw(?:or)?d) {1,2}[\"']?(?P<id>[^\s\"'\\<>]{6,64})",
            ),
            Rule(
                ("(?i:password is)", "(?i:password was)", "(?i:passwd is)", "(?i:password to)"),
                r"(?i:passw(?:or)?d) (?:is|was|to)(?: now| set to)?:? {1,2}[\"']?(?P<id>[^\s\"'\\<>]{6,64})",
            ),
        ),
        validator=_told_password,
        validation=Validation.KEY,
        reason="a word in quotes, or of letters with digits or signs, that a sentence or a command calls it",
        context=("password is", "password was"),
        examples=(
            b"the password is Secret123 for now",
            b"Password was 'tr0ub4dor&3'",
            b"login --password Secret123",
        ),
        counter_examples=(
            b"the password is required",
            b"the password is invalid.",
            b"--password prompts for it",
        ),
    ),
    Detector(
        name="secret_by_key",
        class_="secret.generic",
        rules=(
            Rule(
                (
                    *_words(
                        "secret", "token", "api key", "app key", "access key", "private key", "signing key"
                    ),
                    *_words(
                        "encryption key", "master key", "shared key", "auth key", "service key", "webhook key"
                    ),
                    *_words("consumer key", "account key", "license key", "credential"),
                    "(?i:auth)[\"'=:> \\\\]",
                ),
                rf"(?i:{_SECRETS})s?{_STAGE}(?![A-Za-z])"
                rf"{SIGN}{_START}{_VALUE}",
            ),
        ),
        validator=_key,
        validation=Validation.KEY,
        reason="a random value (letters and digits, entropy) under a key that says secret, token or key",
        context=("secret", "token", "api key", "access key", "private key", "credential", "auth"),
        examples=(
            b'{"client_secret": "' + FILLER_HEX[:64] + b'"}',
            b"X-Api-Key: " + FILLER[:32],
            b'{"accessToken": "' + FILLER[:40] + b'"}',
            b"SIGNING_KEY=" + FILLER_HEX[:32],
            b'{"name": "API_KEY", "value": "' + FILLER[:32] + b'"}',
        ),
        counter_examples=(
            b'{"next_page_token": "' + FILLER[:32] + b'"}',
            b'{"idempotency_token": "' + FILLER_HEX[:32] + b'", "token_type": "bearer"}',
            b'{"token": "8f14e45f-ceea-467f-a8d4-1b1d2c3e4f50"}',
            b'{"public_key": "' + FILLER[:43] + b'", "cache_key": "user-2026-01"}',
            b'{"secret_name": "prod-api-key-2026", "max_tokens": 4096}',
            b'{"sha256": "' + FILLER_HEX[:64] + b'"}',
        ),
    ),
)
"""By the key alone."""
