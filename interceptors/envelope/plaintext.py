"""The plaintext of an envelope: a trace context as a padded MessagePack array."""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from interceptors.context import NO_LABELS, RANDOM_TRACE_ID, SAMPLED, TraceContext
from interceptors.envelope.format import PLAINTEXT_SIZES
from interceptors.errors import Answer, EnvelopeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from interceptors.context import Label

LABEL_NAME_LIMIT = 32
LABEL_VALUE_LIMIT = 64
ISSUED_AT_LIMIT = 1 << 48

_MARK = b"\x80"
_FLAGS = SAMPLED | RANDOM_TRACE_ID
_FIELDS = 5
_TRACE_ID_SIZE = 16
_SPAN_ID_SIZE = 8
_NO_TRACE = bytes(_TRACE_ID_SIZE)
_NO_SPAN = bytes(_SPAN_ID_SIZE)
_INT64 = 1 << 63
_FIXMAP_LIMIT = 15
_MAP16_EXTRA = 2
# A context without labels, as MessagePack with its mark and padding: nearly all envelopes hold just this.
_BARE = struct.Struct(">3s16s2s8sBBQ25s")
_BARE_START, _BARE_SPAN_ID, _BARE_UINT64, _BARE_END = (
    b"\x95\xc4\x10",
    b"\xc4\x08",
    0xCF,
    b"\x80\x80".ljust(25, b"\0"),
)
_UINT64_FROM = 1 << 32
_pack = msgpack.packb
_unpack = msgpack.unpackb


class Plaintext(NamedTuple):
    """What an envelope says, once it is open."""

    context: TraceContext
    issued_at: int
    """Milliseconds since the epoch."""

    def __repr__(self) -> str:
        """Show nothing: all of it is secret."""
        return "Plaintext()"


def encode(context: TraceContext, issued_at: int) -> tuple[bytes, int]:
    """Give the padded plaintext of a context.

    Args:
        context: the context.
        issued_at: milliseconds since the epoch, by the sender's clock.

    Returns:
        The plaintext, and how many labels were left out because they are not allowed or do not fit.

    Raises:
        ValueError: ids, flags or time that the format has no place for.
    """
    trace_id, span_id, flags, labels = context
    if not _is_valid(trace_id, span_id, flags, issued_at):
        msg = "a trace context has a 16-byte and an 8-byte id, not all zero, and W3C flags"
        raise ValueError(msg)
    if not labels and issued_at >= _UINT64_FROM:
        bare = (_BARE_START, trace_id, _BARE_SPAN_ID, span_id, flags, _BARE_UINT64, issued_at, _BARE_END)
        return _BARE.pack(*bare), 0
    packed: bytes = _pack([trace_id, span_id, flags, issued_at, {}])
    left_out = 0
    if labels:
        kept = _fitting(labels, PLAINTEXT_SIZES[-1] - len(packed) - len(_MARK))
        left_out = len(labels) - len(kept)
        packed = _pack([trace_id, span_id, flags, issued_at, kept])
    return (packed + _MARK).ljust(padded_size(len(packed)), b"\0"), left_out


def decode(padded: bytes) -> Plaintext:
    """Read a padded plaintext.

    Args:
        padded: authenticated bytes.

    Returns:
        What it says.

    Raises:
        EnvelopeError: malformed: any breach of the specification's section "Plaintext".
    """
    if len(padded) == _BARE.size:
        start, trace_id, middle, span_id, flags, kind, issued_at, end = _BARE.unpack(padded)
        if (start, middle, kind, end) == (_BARE_START, _BARE_SPAN_ID, _BARE_UINT64, _BARE_END):
            # The struct has seen to lengths and types: this is what `_is_valid` looks at besides.
            no_id = trace_id == _NO_TRACE or span_id == _NO_SPAN
            if no_id or flags > _FLAGS or not 0 < issued_at < ISSUED_AT_LIMIT:
                raise EnvelopeError(Answer.MALFORMED)
            return Plaintext(TraceContext(trace_id, span_id, flags), issued_at)
    packed = padded.rstrip(b"\0")
    if packed[-1:] != _MARK or padded_size(len(packed) - 1) != len(padded):
        raise EnvelopeError(Answer.MALFORMED)
    try:
        fields = _unpack(packed[:-1], strict_map_key=False, object_pairs_hook=_unique)
    except (ValueError, msgpack.UnpackException):
        fields = None  # refused out here: an exception in hand would be its context, and may hold plaintext
    if type(fields) is not list or len(fields) != _FIELDS:
        raise EnvelopeError(Answer.MALFORMED)
    trace_id, span_id, flags, issued_at, labels = fields
    if type(labels) is not dict or not all(is_label(name, value) for name, value in labels.items()):
        raise EnvelopeError(Answer.MALFORMED)
    return _checked(trace_id, span_id, flags, issued_at, labels or NO_LABELS)


def padded_size(packed: int) -> int:
    """Give the smallest allowed size for so many bytes and the mark; 0 where there is none."""
    place = bisect_left(PLAINTEXT_SIZES, packed + len(_MARK))
    return PLAINTEXT_SIZES[place] if place < len(PLAINTEXT_SIZES) else 0


def is_label(name: object, value: object) -> bool:
    """Tell whether a name and a value make a label of the specification."""
    if type(name) is not str or not 0 < _utf8_size(name) <= LABEL_NAME_LIMIT:
        return False
    if type(value) is bool:
        return True
    if type(value) is int:
        return -_INT64 <= value < _INT64
    if type(value) is str:
        return _utf8_size(value) <= LABEL_VALUE_LIMIT
    return type(value) is bytes and len(value) <= LABEL_VALUE_LIMIT


def _checked(
    trace_id: bytes, span_id: bytes, flags: int, issued_at: int, labels: Mapping[str, Label]
) -> Plaintext:
    if not _is_valid(trace_id, span_id, flags, issued_at):
        raise EnvelopeError(Answer.MALFORMED)
    return Plaintext(TraceContext(trace_id, span_id, flags, labels), issued_at)


def _is_valid(trace_id: object, span_id: object, flags: object, issued_at: object) -> bool:
    # `type(…) is` and not isinstance: a bool is no flags, and MessagePack has no subclasses.
    return (
        type(trace_id) is bytes
        and len(trace_id) == _TRACE_ID_SIZE
        and trace_id != _NO_TRACE
        and type(span_id) is bytes
        and len(span_id) == _SPAN_ID_SIZE
        and span_id != _NO_SPAN
        and type(flags) is int
        and 0 <= flags <= _FLAGS
        and type(issued_at) is int
        and 0 < issued_at < ISSUED_AT_LIMIT
    )


def _fitting(labels: Mapping[str, Label], room: int) -> dict[str, Label]:
    kept: dict[str, Label] = {}
    for name, value in labels.items():
        if not is_label(name, value):
            continue
        size = len(_pack(name)) + len(_pack(value))
        if len(kept) == _FIXMAP_LIMIT:
            size += _MAP16_EXTRA
        if size <= room:
            kept[name] = value
            room -= size
    return kept


def _unique(pairs: Iterable[tuple[object, object]]) -> dict[object, object]:
    found: dict[object, object] = {}
    for name, value in pairs:
        # Names that are not text are refused here: some of them could not even be dictionary keys.
        if type(name) is not str or name in found:
            raise ValueError
        found[name] = value
    return found


def _utf8_size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return LABEL_VALUE_LIMIT + 1
