"""Forms (application/x-www-form-urlencoded), and whatever else has `%40` for an `@`."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_plus

from interceptors.scan.formats.paths import member
from interceptors.scan.formats.plain import PlainView
from interceptors.scan.formats.view import Edit, never, within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from interceptors.scan.token import Token

_SNIFFED = 512
_PAIRS = re.compile(
    rb"[A-Za-z0-9_.\[\]%+*$:~!-]{1,128}+=[!#-%'-;=?-Z^-z|~@\[\]]*+"
    rb"(?:&(?:[A-Za-z0-9_.\[\]%+*$:~!-]{1,128}+(?:=[!#-%'-;=?-Z^-z|~@\[\]]*+)?)?)*+"
)
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})++")
_WIDE = 3
"""Bytes of an escape."""
_NAME = 1024
"""The longest name that is read."""


def sniff(body: bytes) -> bool:
    """Tell whether a body is a form: names and values, and something that nothing else has (`&` or `%xx`).

    Args:
        body: anything; its first bytes are looked at.
    """
    head = body[:_SNIFFED].rstrip(b"\r\n") if len(body) <= _SNIFFED else body[:_SNIFFED]
    return (
        b"=" in head
        and (b"&" in head or _ESCAPES.search(head) is not None)
        and _PAIRS.fullmatch(head) is not None
    )


class EscapedView:
    """Bytes with each `%xx` undone. Where there is none, they are as they were."""

    def __init__(self, body: bytes, spent: Callable[[], bool] = never) -> None:
        """Undo it.

        Args:
            body: anything. A `%` that begins no escape stays.
            spent: says whether the time is over; what comes then stays as it is.
        """
        self._body = body
        # Where each run begins, in the view and in the body: by turns copied and escaped.
        self._starts, self._origins = array("Q", (0,)), array("Q", (0,))
        shown = bytearray()
        at = 0
        for match in within(_ESCAPES.finditer(body), spent):
            start, end = match.span()
            shown += self._copied(body[at:start])
            self._starts.append(len(shown))
            self._origins.append(start)
            shown += bytes.fromhex(match[0].replace(b"%", b"").decode())
            self._starts.append(len(shown))
            self._origins.append(end)
            at = end
        self.data = bytes(shown + self._copied(body[at:]))

    @staticmethod
    def _copied(text: bytes) -> bytes:
        return text

    def _origin(self, at: int) -> tuple[int, int]:
        run = bisect_right(self._starts, at) - 1
        wide = _WIDE if run % 2 else 1
        begin = self._origins[run] + (at - self._starts[run]) * wide
        return begin, begin + wide

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the characters that are shown, escapes as a whole."""
        return self._origin(start)[0], self._origin(end - 1)[1]

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give no paths: it may be any text."""
        return [""] * len(spans)

    def replacement(self, start: int, end: int, token: Token | None) -> bytes:
        """Give asterisks or a token, as long as what stands in the body, escapes and all."""
        return PlainView(self._body).replacement(*self.origin(start, end), token)

    def edits(self, edits: list[Edit]) -> list[Edit]:
        """Give the same at the place of the characters that are shown, escaped where it has to be."""
        return [
            Edit(*self.origin(edit.start, edit.end), quote_from_bytes(edit.text, safe="*").encode())
            for edit in edits
        ]


class FormView(EscapedView):
    """A form: each `+` is a space too, and findings have paths."""

    def __init__(self, body: bytes, spent: Callable[[], bool] = never) -> None:
        """Undo the escapes.

        Args:
            body: anything.
            spent: says whether the time is over; what comes then stays as it is.
        """
        super().__init__(body, spent)
        # Where pairs begin whose names hold a finding.
        self._hidden: set[int] = set()

    @staticmethod
    def _copied(text: bytes) -> bytes:
        return text.replace(b"+", b" ")

    def paths(self, spans: Sequence[tuple[int, int]]) -> list[str]:
        """Give the name of the pair: `$.email`, and `$.user.email` for `user[email]`."""
        return [self._path(self.origin(*span)[0]) for span in spans]

    def _path(self, at: int) -> str:
        pair = self._body.rfind(b"&", 0, at) + 1
        equals = self._body.find(b"=", pair, min(at, pair + _NAME))
        if equals < 0:
            self._hidden.add(pair)
        if pair in self._hidden:
            return "$.*"
        first, *rest = unquote_plus(self._body[pair:equals].decode("latin-1")).split("[")
        if not all(step.endswith("]") for step in rest):
            return "$.*"
        return "$" + member(first) + "".join(map(_step, rest))


def _step(text: str) -> str:
    """Write what stands in brackets in a name: a member, an index, or nothing."""
    name = text[:-1]
    if not name:
        return "[*]"
    return f"[{name}]" if re.fullmatch("[0-9]{1,4}", name) else member(name)
