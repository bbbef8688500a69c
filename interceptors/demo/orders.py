"""The orders: read from a JSON-lines file, a bad line named and left out."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import pydantic

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELDS = "order_id, merchant and customer (id, email)"
SAMPLE = Path(__file__).with_name("orders.jsonl")

_LARGEST = 900_000
_PROBLEMS = {
    "missing": "missing",
    "string_type": "must be text",
    "string_too_short": "empty",
    "string_too_long": "longer than 64 characters",
    "model_type": "must be an object",
}

_Name = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=64)]


class _Customer(pydantic.BaseModel, extra="allow"):
    id: _Name
    email: _Name


class _Fields(pydantic.BaseModel, extra="allow"):
    """What the services need of an order; it may hold anything besides."""

    order_id: _Name
    merchant: _Name
    customer: _Customer


class Order(NamedTuple):
    """One order of the input."""

    order_id: str
    merchant: str
    """The tenant whose order it is."""
    customer_id: str
    email: str
    body: bytes
    """The order as it is given to the producer, the customer's e-mail address included: a slip that the
    policy catches."""

    def __repr__(self) -> str:
        """Show no customer."""
        return f"Order({self.order_id!r})"


class BadLine(NamedTuple):
    """A line that is no order."""

    number: int
    problem: str


def read_orders(path: Path) -> tuple[list[Order], list[BadLine]]:
    """Read a file of orders.

    Args:
        path: JSON lines; each an object with `FIELDS`.

    Returns:
        The orders, and the lines that hold none. Empty lines count as neither.

    Raises:
        ConfigurationError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return _sort(file)
    except OSError as error:
        msg = f"{path}: can't be read ({error.strerror}); give a JSON-lines file with --input"
        raise ConfigurationError(msg) from None


def _sort(lines: Iterable[bytes]) -> tuple[list[Order], list[BadLine]]:
    orders: list[Order] = []
    bad: list[BadLine] = []
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(codecs.BOM_UTF8).strip()
        if not text:
            continue
        if len(text) > _LARGEST:
            bad.append(BadLine(number, f"longer than {_LARGEST} bytes, which is more than a Kafka takes"))
            continue
        try:
            found = _Fields.model_validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            problem = _PROBLEMS.get(first["type"], "not as it should be")
            bad.append(BadLine(number, f"{place}: {problem}" if place else "not a JSON object"))
            continue
        customer = found.customer
        body = found.model_dump_json().encode()
        orders.append(Order(found.order_id, found.merchant, customer.id, customer.email, body))
    return orders, bad
