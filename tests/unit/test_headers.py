"""Which headers are ours, which carry a trace in clear, and that those don't get back in."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from interceptors.bounded import BoundedMap
from interceptors.context import Scope, new_root
from interceptors.envelope import HEADER_NAME
from interceptors.headers import (
    CLEAR_TRACE_HEADERS,
    SealedHeaders,
    SealedTable,
    died_in,
    envelopes,
    is_clear,
    stripped,
    without_clear,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_TEXT: list[Any] = [None, b"traceparent", 7, 1.5, ("traceparent",), object()]
SPELLINGS: list[Callable[[str], str]] = [str.lower, str.upper, str.title, str.swapcase]

OURS = (HEADER_NAME, b"envelope")
PLAIN = ("name", b"value")
ANOTHER = (HEADER_NAME, b"another")
CLEAR = ("TraceParent", b"00-in-clear")
OTHER = ("order", b"7")


@pytest.mark.parametrize("spelt", SPELLINGS, ids=lambda spelt: spelt.__name__)
def test_a_header_that_carries_a_trace_in_clear_is_known_in_any_case(spelt: Callable[[str], str]) -> None:
    assert [name for name in CLEAR_TRACE_HEADERS if not is_clear(spelt(name))] == []


@pytest.mark.parametrize(
    "name",
    [
        *("traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "uber-trace-id", "sentry-trace"),
        *("x-datadog-trace-id", "x-datadog-tags", "dd-pathway-ctx-base64", "x-amzn-trace-id", "newrelic"),
        *("elasticapmtraceparent", "sw8", "uberctx-customer", "UberCtx-Customer", "ot-baggage-customer"),
    ],
)
def test_the_headers_of_the_usual_tracers_are_clear_ones(name: str) -> None:
    assert is_clear(name)


@pytest.mark.parametrize("name", [HEADER_NAME, "", "trace", "x-traceparent", "traceparent ", *NOT_TEXT])
def test_what_is_another_name_or_no_text_is_not_clear(name: object) -> None:
    assert not is_clear(name)


@pytest.mark.parametrize(("length", "kept"), [(128, 1), (129, 0)])
def test_a_name_is_told_again_as_the_first_time_and_a_long_one_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, length: int, kept: int
) -> None:
    known: BoundedMap[str, bool] = BoundedMap(1024)
    monkeypatch.setattr("interceptors.headers._known", known)
    name = "uberctx-".ljust(length, "x")
    assert [is_clear(name) for _ in range(2)] == [True, True]
    assert len(known) == kept


def test_our_own_header_is_told_by_its_whole_name_and_its_case() -> None:
    others = [(f"{HEADER_NAME}-2", b"2"), (HEADER_NAME.upper(), b"3"), *((name, b"4") for name in NOT_TEXT)]
    headers = [(HEADER_NAME, b"1"), *others, (HEADER_NAME, None)]
    before = list(headers)

    assert envelopes(headers) == (b"1", None)
    assert stripped(headers) == others
    assert headers == before


def test_clear_headers_are_left_out_of_a_copy_and_the_rest_keeps_its_order() -> None:
    headers: list[Any] = [CLEAR, PLAIN, OURS, ("B3", b"0"), *((name, b"1") for name in NOT_TEXT), OTHER]
    before = list(headers)

    assert without_clear(headers) == [PLAIN, OURS, *((name, b"1") for name in NOT_TEXT), OTHER]
    assert headers == before


@pytest.mark.parametrize("headers", [(), [PLAIN, OURS, *((name, b"1") for name in NOT_TEXT), OTHER]])
def test_where_no_header_is_clear_they_are_not_copied(headers: Any) -> None:
    assert without_clear(headers) is headers


# --- a list ------------------------------------------------------------------------------------------------


def appended(headers: SealedHeaders[bytes]) -> None:
    headers.append(CLEAR)
    headers.append(OTHER)


def extended(headers: SealedHeaders[bytes]) -> None:
    headers.extend([CLEAR, OTHER])


def extended_lazily(headers: SealedHeaders[bytes]) -> None:
    headers.extend(header for header in (CLEAR, OTHER))


def inserted(headers: SealedHeaders[bytes]) -> None:
    headers.insert(0, CLEAR)
    headers.insert(len(headers), OTHER)


def added(headers: SealedHeaders[bytes]) -> None:
    headers += [CLEAR, OTHER]


@pytest.mark.parametrize("add", [appended, extended, extended_lazily, inserted, added])
def test_a_clear_header_does_not_get_into_a_list_and_another_does(
    add: Callable[[SealedHeaders[bytes]], None],
) -> None:
    headers = SealedHeaders([PLAIN, OURS])

    add(headers)

    assert headers == [PLAIN, OURS, OTHER]


def test_a_list_is_inserted_into_where_it_is_said() -> None:
    headers = SealedHeaders([PLAIN])

    headers.insert(0, OTHER)

    assert headers == [OTHER, PLAIN]


def test_what_is_added_to_in_place_is_the_same_list_still() -> None:
    headers = same = SealedHeaders([PLAIN])

    headers += [CLEAR, OTHER]

    assert headers is same


@pytest.mark.parametrize("name", NOT_TEXT)
def test_a_name_that_is_no_text_gets_into_a_list(name: Any) -> None:
    headers = SealedHeaders[bytes]()

    headers.append((name, b"value"))

    assert headers == [(name, b"value")]


# --- a table -----------------------------------------------------------------------------------------------


def set_(table: SealedTable[bytes]) -> None:
    for name, value in (CLEAR, OTHER):
        table[name] = value


def set_by_default(table: SealedTable[bytes]) -> None:
    for name, value in (CLEAR, OTHER):
        assert table.setdefault(name, value) == value


def updated(table: SealedTable[bytes]) -> None:
    table.update(dict([CLEAR, OTHER]))


def updated_with_pairs(table: SealedTable[bytes]) -> None:
    table.update([CLEAR, OTHER])


def updated_with_names(table: SealedTable[bytes]) -> None:
    table.update(traceparent=b"clear", **{OTHER[0]: OTHER[1]})


def joined(table: SealedTable[bytes]) -> None:
    table |= dict([CLEAR, OTHER])


def joined_with_pairs(table: SealedTable[bytes]) -> None:
    table |= [CLEAR, OTHER]


@pytest.mark.parametrize(
    "add",
    [set_, set_by_default, updated, updated_with_pairs, updated_with_names, joined, joined_with_pairs],
)
def test_a_clear_header_does_not_get_into_a_table_and_another_does(
    add: Callable[[SealedTable[bytes]], None],
) -> None:
    table = SealedTable(dict([PLAIN]))

    add(table)

    assert table == dict([PLAIN, OTHER])


def test_a_table_is_a_copy_without_envelopes_and_clear_headers() -> None:
    headers: dict[Any, Any] = dict([CLEAR, PLAIN, OURS, ("B3", b"0"), *((name, b"1") for name in NOT_TEXT)])
    before = dict(headers)

    table = SealedTable(headers)
    table["more"] = b"more"

    assert table == dict([PLAIN, *((name, b"1") for name in NOT_TEXT), ("more", b"more")])
    assert headers == before


def test_what_is_set_already_is_not_set_by_default() -> None:
    table = SealedTable(dict([PLAIN]))

    assert table.setdefault("name", b"another") == b"value"
    assert table.setdefault("empty") is None
    assert table == {"name": b"value", "empty": None}


def test_a_table_that_is_joined_in_place_is_the_same_table_still() -> None:
    table = same = SealedTable(dict([PLAIN]))

    table |= dict([CLEAR, OTHER])

    assert table is same


def test_no_other_envelope_gets_into_a_list() -> None:
    headers = SealedHeaders([PLAIN, OURS])

    headers.append(ANOTHER)
    headers.extend([ANOTHER])
    headers.insert(0, ANOTHER)
    headers += [ANOTHER]

    assert headers == [PLAIN, OURS]


@pytest.mark.parametrize("envelope", [None, b"envelope"])
def test_no_other_envelope_gets_into_a_table(envelope: bytes | None) -> None:
    table = SealedTable(dict([PLAIN]), envelope)
    ours = {} if envelope is None else dict([OURS])

    table[HEADER_NAME] = b"another"
    table.update(dict([ANOTHER]))
    table |= dict([ANOTHER])

    assert table.setdefault(*ANOTHER) == (envelope or b"another")
    assert table == dict([PLAIN]) | ours


def pickled(held: object) -> object:
    return pickle.loads(pickle.dumps(held))  # noqa: S301 - what the line itself has pickled


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize(
    "held", [SealedHeaders([PLAIN, OURS]), SealedTable(OrderedDict([PLAIN]), b"envelope")]
)
def test_a_copy_keeps_clear_headers_out_as_well(held: Any, duplicate: Callable[[Any], Any]) -> None:
    copied = duplicate(held)

    assert copied == held
    assert copied is not held
    if isinstance(copied, SealedTable):
        copied["traceparent"] = b"clear"
    else:
        copied.append(CLEAR)
    assert copied == held


# --- a tracer ----------------------------------------------------------------------------------------------


class PairSetter(Setter[list[tuple[str, bytes]]]):
    """Writes headers that are pairs, as OpenTelemetry's instrumentations of Kafka do."""

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


def test_what_opentelemetry_injects_stays_out_and_gets_into_plain_headers() -> None:
    propagator = TraceContextTextMapPropagator()
    pairs: list[list[tuple[str, bytes]]] = [SealedHeaders([OURS]), [OURS]]
    tables: list[dict[str, str]] = [SealedTable({"name": "value"}), {"name": "value"}]
    scope = Scope("acme", new_root())

    for carrier in pairs:
        propagator.inject(carrier, setter=PairSetter())
    for table in tables:
        propagator.inject(table)
    scope.leave()

    assert [[name for name, _ in carrier] for carrier in pairs] == [
        [HEADER_NAME],
        [HEADER_NAME, "traceparent"],
    ]
    assert [list(table) for table in tables] == [["name"], ["name", "traceparent"]]


@pytest.mark.parametrize(
    ("deaths", "found"),
    [
        ([{"queue": "orders", "count": 1}], True),
        ([{"queue": "other"}, {"queue": "orders.wait"}], True),
        ([{"queue": "other"}], False),
        ([], False),
        ([None, 7, "orders", {"no": "queue"}, {"queue": ["orders"]}], False),
        ({"queue": "orders"}, False),
        ("orders", False),
        (None, False),
    ],
)
def test_a_death_counts_where_it_was_in_one_of_the_queues(deaths: object, found: bool) -> None:  # noqa: FBT001 - what is expected
    assert died_in(("orders", "orders.wait"), [PLAIN, ("x-death", deaths)]) is found
    assert not died_in((), [("x-death", deaths)])
    assert not died_in(("orders",), [PLAIN])
