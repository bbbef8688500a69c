"""From an identifier to its token, and to those that it had under former keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.scan import Token
from interceptors.tokens.normal_form import normal_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interceptors.envelope import TokenKey


def derived_token(key: TokenKey, class_: str, identifier: bytes) -> Token:
    """Give the token of an identifier.

    Args:
        key: of the tenant and domain.
        class_: what the identifier is, for its normal form.
        identifier: its text.
    """
    return Token(key.digest(normal_form(class_, identifier)), key.version)


def token_of(keys: Mapping[str, TokenKey], domain: str, class_: str, identifier: bytes) -> Token | None:
    """Give the token of an identifier by the key of its domain; None where that is not held.

    Args:
        keys: a tenant's, by domain.
        domain: whose tokens it is joined with.
        class_: as for `derived_token`.
        identifier: its text.
    """
    key = keys.get(domain)
    return None if key is None else derived_token(key, class_, identifier)


class Tokenized(NamedTuple):
    """The tokens of one identifier."""

    current: Token
    """What it is written as."""
    former: tuple[Token, ...]
    """What it was written as under each former key that is still held."""


class Tokenizer:
    """Tokenizes the identifiers of one domain of one tenant, for applications that look records up by token.

    Messages are tokenized by what the policy says; this gives the same tokens.
    """

    __slots__ = ("_current", "_former", "class_", "domain", "tenant")

    def __init__(self, current: TokenKey, former: Iterable[TokenKey] = (), *, class_: str = "") -> None:
        """Take the keys.

        Args:
            current: the key that messages are tokenized with at present.
            former: keys of the same tenant and domain that came before.
            class_: what the domain's identifiers are, such as `personal.email`: the class that the policy
                looks for. Empty for identifiers that are taken as they are.

        Raises:
            ValueError: a former key is of another tenant or domain, or is not older.
        """
        self.tenant = current.tenant
        self.domain = current.domain
        self.class_ = class_
        self._current = current
        self._former = tuple(former)
        for key in self._former:
            if (key.tenant, key.domain) != (self.tenant, self.domain) or key.version >= current.version:
                msg = f"{key!r} is no former key of {current!r}"
                raise ValueError(msg)

    def tokens(self, identifier: str) -> Tokenized:
        """Give the tokens of an identifier.

        Args:
            identifier: its text.

        Raises:
            ValueError: it has no UTF-8 form.
        """
        try:
            text = identifier.encode()
        except UnicodeEncodeError:
            text = None  # refused out here: this exception holds the identifier
        if text is None:
            msg = "an identifier that has no UTF-8 form"
            raise ValueError(msg)
        current = derived_token(self._current, self.class_, text)
        return Tokenized(current, tuple(derived_token(key, self.class_, text) for key in self._former))

    def __repr__(self) -> str:
        """Show what is public."""
        return f"Tokenizer({self._current!r}, former={self._former!r})"
