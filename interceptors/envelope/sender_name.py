"""Names of senders: short names, and SPIFFE ids."""

from __future__ import annotations

import re

from interceptors.errors import ConfigurationError

_SCHEME = "spiffe:"
_LONGEST = 2048
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


def check_sender_name(name: str) -> str:
    """Check what a service calls itself, wherever such a name is written down.

    A name that begins with `spiffe:` has to be an id by the SPIFFE ID specification (section 2), so that
    two ways of writing one identity can't become two senders. Any other name is a name.

    Args:
        name: the name.

    Returns:
        The name.

    Raises:
        ConfigurationError: it looks like a SPIFFE ID and is none. The text says why, without the name.
    """
    if name[: len(_SCHEME)].lower() != _SCHEME:
        return name
    scheme, slashes, rest = name.partition("//")
    trust_domain, *segments = rest.split("/")
    rules = (
        (scheme == _SCHEME and slashes, "begins with spiffe://, in lower case"),
        (len(name) <= _LONGEST, f"has at most {_LONGEST} bytes"),
        (
            _TRUST_DOMAIN.fullmatch(trust_domain),
            "has a trust domain of 1 to 255 of a-z, 0-9, '.', '-' and '_'",
        ),
        (segments[-1:] != [""], "doesn't end with a slash"),
        ({"", ".", ".."}.isdisjoint(segments), "has no segment that is empty, '.' or '..'"),
        (all(map(_SEGMENT.fullmatch, segments)), "has a path of letters, digits, '.', '-' and '_'"),
    )
    for kept, rule in rules:
        if not kept:
            msg = f"a name that begins with spiffe: has to be a SPIFFE ID, and that {rule}"
            raise ConfigurationError(msg)
    return name
