"""Names that say what a person's data or a secret is."""

from __future__ import annotations

import re
from itertools import pairwise

_WORDS = frozenset(
    {
        *("address", "authorization", "bic", "birthday", "birthdate", "cookie", "credential", "credentials"),
        *("cvc", "cvv", "diagnosis", "dob", "email", "iban", "imei", "jwt", "latitude", "longitude", "mail"),
        *("mobile", "msisdn", "nino", "pan", "passport", "passphrase", "passwd", "password", "phone", "pin"),
        *("pwd", "salary", "secret", "sin", "ssn", "surname", "telephone", "token", "username"),
    }
)
_PAIRS = frozenset(
    {
        *(("access", "key"), ("account", "number"), ("api", "key"), ("birth", "date"), ("card", "number")),
        *(("credit", "card"), ("customer", "name"), ("date", "birth"), ("debit", "card"), ("e", "mail")),
        *(("family", "name"), ("first", "name"), ("full", "name"), ("given", "name"), ("holder", "name")),
        *(("last", "name"), ("maiden", "name"), ("person", "name"), ("private", "key"), ("tax", "id")),
        *(("customer", "id"), ("enduser", "id"), ("member", "id"), ("patient", "id"), ("user", "id")),
        *(("tax", "number"), ("user", "name"), ("zip", "code"), ("national", "id"), ("social", "security")),
    }
)
_ALONE = frozenset({"card", "name"})
_TECHNICAL = (
    *("code", "container", "db", "deployment", "error", "host", "interceptors", "k8s", "messaging", "net"),
    *("network", "otel", "process", "rpc", "server", "service", "telemetry", "thread"),
)
"""Namespaces of the semantic conventions, in which these words mean machines."""
_COUNTS = frozenset(
    {"count", "counts", "domain", "hash", "kind", "length", "limit", "masked", "present", "size"}
)
_CASES = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_GAPS = re.compile(r"[^A-Za-z0-9]+")


def is_sensitive(name: str) -> bool:
    """Tell whether a name says that what it names is a person's data or a secret.

    Args:
        name: of an attribute, a header, a variable, in any way of writing.
    """
    words = [word.lower() for word in _GAPS.split(_CASES.sub(" ", name)) if word]
    if not words or (words[0] in _TECHNICAL and "." in name) or words[-1] in _COUNTS:
        return False
    if words[-1] in _ALONE and len(words) == 1:
        return True
    return not _WORDS.isdisjoint(words) or any(pair in _PAIRS for pair in pairwise(words))
