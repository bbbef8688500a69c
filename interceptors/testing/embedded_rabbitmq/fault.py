"""What the broker answers when a client did something wrong."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pamqp.base import Frame


class Code(IntEnum):
    """The protocol's reply codes that this broker uses."""

    NO_ROUTE = 312
    CONNECTION_FORCED = 320
    ACCESS_REFUSED = 403
    NOT_FOUND = 404
    RESOURCE_LOCKED = 405
    PRECONDITION_FAILED = 406
    FRAME_ERROR = 501
    SYNTAX_ERROR = 502
    COMMAND_INVALID = 503
    CHANNEL_ERROR = 504
    UNEXPECTED_FRAME = 505
    NOT_ALLOWED = 530
    NOT_IMPLEMENTED = 540

    @property
    def closes_connection(self) -> bool:
        """Whether the whole connection ends, and not only the channel."""
        return self is Code.CONNECTION_FORCED or self >= Code.FRAME_ERROR


class Fault(Exception):  # noqa: N818 - a client's fault, told to the client; nothing here raises it to a caller
    """Ends the channel, or the connection, of the client that caused it.

    Attributes:
        code: the reply code.
        cause: the method that it came of, once that is known.
    """

    def __init__(self, code: Code, reason: str) -> None:
        """Keep the code beside the text.

        Args:
            code: the reply code.
            reason: what is wrong; the name of the code is put before it, as RabbitMQ does.
        """
        super().__init__(f"{code.name} - {reason}")
        self.code = code
        self.cause: Frame | None = None
