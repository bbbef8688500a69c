"""Where in a JSON document something lies: one pass over its quotes and brackets, no tree."""

from __future__ import annotations

import re
from enum import Enum

from interceptors.scan.formats.escapes import undone
from interceptors.scan.formats.paths import STEPS, member

_PUNCTUATION = b'{}[],:"'
_OPENING = b"{["
_OBJECT = b"{"[0]
_BRACKETS = re.compile(rb"[][{}]")
_FILLING = bytes(byte for byte in range(256) if byte not in _PUNCTUATION)
_HIDDEN = b"\0"
"""Stands for a key that is not shown."""
_BLOCK = 1 << 16
_LONGEST_KEY = 64


class Position(Enum):
    """What part of a document something is."""

    KEY = "key"
    STRING = "string"
    BARE = "bare"
    """Outside of quotes: a number, a literal."""
    INNER = "inner"
    """The same in what looks like a document within a string; it may also be a text that begins like one."""


class _Top(Enum):
    TOP = 0


_TOP = _Top.TOP
_Frame = _Top | int | bytes | tuple[int] | None
"""An array with its index; an object with its key, None before there is one, or while a block is read with
where its value begins; or outside of all."""


class Walker:
    """Reads a document piece by piece and says where it is.

    The document is split at its quotes, so that a string costs nothing, however long. What is malformed gives
    the best guess. Where a string holds a document itself, that one is walked too, and its path follows.
    """

    def __init__(self, depth: int) -> None:
        """Begin.

        Args:
            depth: how many documents within strings are looked into.
        """
        self._depth = depth
        self._stack: list[_Frame] = []
        self._frame: _Frame = _TOP
        self._string = b""
        self._open = False
        self._inner: Walker | None = None

    def read(self, document: bytes, start: int, end: int) -> None:
        """Read on.

        Args:
            document: the whole document, or more.
            start: where reading has come to.
            end: where to stop; not within an escape.
        """
        while start < end:
            block = document[start : min(end, start + _BLOCK)]
            if start + len(block) < end and (len(block) - len(block.rstrip(b"\\"))) % 2:
                block = block[:-1]  # an escape is not cut in two
            self._feed(block)
            start += len(block)

    def where(self) -> tuple[str, Position]:
        """Give the path of what comes next, and what it is part of."""
        path, position = self._where()
        return ("$" + path if path is not None else ""), position

    def _where(self) -> tuple[str | None, Position]:
        position = Position.BARE
        if self._open:
            position = Position.KEY if self._frame is None else Position.STRING
        if len(self._stack) > STEPS:
            return None, position
        steps = [_step(frame) for frame in self._stack[1:]]
        if position is Position.KEY:
            self._string = _HIDDEN
            steps.append(".*")
        else:
            steps.append(_step(self._frame))
        if self._inner is not None and position is Position.STRING:
            path, position = self._inner._where()  # noqa: SLF001 - its own kind
            if position is Position.BARE:
                position = Position.INNER
            if path is None:
                return None, position
            steps.append(path)
        return "".join(steps), position

    def _feed(self, block: bytes) -> None:
        masked = block
        if b"\\" in block:
            masked = block.replace(b"\\\\", b"\0\0").replace(b'\\"', b"\0\0")
        pieces = masked.split(b'"')
        string = self._string  # a colon may follow
        if self._open:
            if len(pieces) == 1:
                self._within(block)
                return
            string = self._joined(pieces[0])
            del pieces[0]
        string = self._over(pieces, string)
        if self._open:
            self._string = b""
            self._inner = None
            self._within(block[len(block) - len(string) :])
        else:
            self._string = string

    def _over(self, pieces: list[bytes], string: bytes) -> bytes:
        """Go over what is between strings, and give the last string.

        Only brackets are gone through one by one: between two of them an array's commas are counted, and
        which name an object has come to is asked at the end, of those that are still open.
        """
        strings = pieces[1::2]
        # A quote for each string, and nothing but punctuation between.
        structure = b'"'.join(pieces[::2]).translate(None, _FILLING)
        frame, stack = self._frame, self._stack
        at, kept = 0, len(stack)
        for bracket in _BRACKETS.finditer(structure):
            stop = bracket.start()
            mark = structure[stop]
            if mark in _OPENING:
                if isinstance(frame, int):
                    frame += structure.count(b",", at, stop)
                elif frame is not _TOP:
                    frame = (stop,)
                stack.append(frame)
                frame = None if mark == _OBJECT else 0
            else:
                frame = stack.pop() if stack else _TOP
                kept = min(kept, len(stack))
            at = stop + 1
        stack.append(_moved(frame, structure, at))
        passed = counted = 0
        for place in range(kept, len(stack)):  # below, all was there before
            each = stack[place]
            if isinstance(each, tuple):
                passed += structure.count(b'"', counted, each[0])
                counted = each[0]
                stack[place] = strings[passed - 1] if passed else string
        self._frame = stack.pop()
        self._open = len(pieces) % 2 == 0
        return strings[-1] if strings else string

    def _within(self, raw: bytes) -> None:
        """Go on in a string."""
        if self._inner is None and self._depth and not self._string and raw[:1] in (b"{", b"["):
            self._inner = Walker(self._depth - 1)
        if self._inner is not None:
            inner = undone(raw)
            self._inner.read(inner, 0, len(inner))
        self._string = self._joined(raw)

    def _joined(self, piece: bytes) -> bytes:
        """Give the string so far; what can't be a key that is shown is not kept."""
        if self._string == _HIDDEN or len(self._string) + len(piece) > _LONGEST_KEY:
            return _HIDDEN
        return self._string + piece


def _moved(frame: _Frame, structure: bytes, at: int) -> _Frame:
    """Go from the last bracket to the end."""
    if isinstance(frame, int):
        return frame + structure.count(b",", at)
    if frame is _TOP:
        return frame
    colon, comma = structure.rfind(b":", at), structure.rfind(b",", at)
    if comma > colon:
        return None
    return (colon,) if colon > comma and (frame is None or comma >= 0) else frame


def _step(frame: _Frame) -> str:
    if isinstance(frame, int):
        return f"[{frame}]"
    if isinstance(frame, bytes):
        return member(frame.decode("utf-8", "replace"))
    return ""
