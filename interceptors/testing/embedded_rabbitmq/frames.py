"""Frames out of bytes, and bytes out of frames."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, cast

from pamqp import constants, frame
from pamqp.exceptions import UnmarshalingException

from interceptors.testing.embedded_rabbitmq.fault import Code, Fault

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from pamqp.base import Frame

HEAD = struct.Struct(">BHI")
"""What a frame begins with: its type, channel and size."""
CONTENT = struct.Struct(">HHQ")
"""What a content header begins with: its class, nothing, and the size of the body."""
BASIC_CLASS = 60
OVERHEAD = constants.FRAME_HEADER_SIZE + 1
"""How many bytes of a frame are not its payload."""


class RawFrame(NamedTuple):
    """A frame that is not decoded yet."""

    kind: int
    channel: int
    payload: bytes


async def read_frame(reader: asyncio.StreamReader, frame_max: int) -> RawFrame:
    """The next frame of a connection.

    Raises:
        Fault: what came is no frame, or a larger one than was agreed on.
        IncompleteReadError: the connection ended.
    """
    kind, channel, size = HEAD.unpack(await reader.readexactly(HEAD.size))
    if kind not in {
        constants.FRAME_METHOD,
        constants.FRAME_HEADER,
        constants.FRAME_BODY,
        constants.FRAME_HEARTBEAT,
    }:
        raise Fault(Code.FRAME_ERROR, f"type {kind} of a frame is not known")
    if size + OVERHEAD > frame_max:
        raise Fault(Code.FRAME_ERROR, f"a frame of {size + OVERHEAD} bytes, where {frame_max} were agreed on")
    payload = await reader.readexactly(size + 1)
    if payload[-1] != constants.FRAME_END:
        raise Fault(Code.FRAME_ERROR, "a frame does not end where it says")
    return RawFrame(kind, channel, payload[:-1])


def decode_method(raw: RawFrame) -> Frame:
    """The method in a frame.

    Raises:
        Fault: it is none.
    """
    try:
        _, _, method = frame.unmarshal(encode(*raw))
    except (UnmarshalingException, ArithmeticError, LookupError, RecursionError, TypeError) as error:
        raise Fault(Code.SYNTAX_ERROR, f"a method that can't be read: {type(error).__name__}") from None
    return cast("Frame", method)


def decode_content_header(raw: RawFrame) -> tuple[int, bytes]:
    """The size of the body that follows a content header, and the properties in the header.

    Raises:
        Fault: it is no content header.
    """
    if len(raw.payload) < CONTENT.size:
        raise Fault(Code.SYNTAX_ERROR, "a content header that is cut off")
    class_id, _, size = CONTENT.unpack_from(raw.payload)
    if class_id != BASIC_CLASS:
        raise Fault(Code.SYNTAX_ERROR, f"a content header of class {class_id}")
    return size, raw.payload[CONTENT.size :]


def encode(kind: int, channel: int, payload: bytes) -> bytes:
    """A frame as bytes."""
    return HEAD.pack(kind, channel, len(payload)) + payload + constants.FRAME_END_CHAR


def encode_method(channel: int, method: Frame) -> bytes:
    """A method as the bytes of its frame."""
    return frame.marshal(method, channel)


def encode_content(channel: int, properties: bytes, body: bytes, frame_max: int) -> Iterator[bytes]:
    """The frames that follow a method that carries a message: one of properties, and those of the body."""
    header = CONTENT.pack(BASIC_CLASS, 0, len(body)) + properties
    yield encode(constants.FRAME_HEADER, channel, header)
    size = frame_max - OVERHEAD
    for start in range(0, len(body), size):
        yield encode(constants.FRAME_BODY, channel, body[start : start + size])
