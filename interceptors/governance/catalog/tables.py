"""The tables of a catalog, as rows of plain text: the same on a Markdown page and on an HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from interceptors.policy.catalog import TRACE_FIELDS
from interceptors.policy.governance_document import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interceptors.governance.catalog.data_flow import Catalog


class Table(NamedTuple):
    """A table under a heading."""

    title: str
    intro: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(catalog: Catalog) -> Iterator[Table]:
    """Give all tables that have rows."""
    yield Table(
        "Channels",
        "Who sends, who reads, and who answers for it.",
        (
            "Channel",
            "Lies on",
            "From",
            "To",
            "Tenants",
            "Owner",
            "Purpose",
            "Lawful basis",
            "Visible to",
            "Retention",
        ),
        tuple(
            (
                flow.name,
                ", ".join(flow.places) or "any other name",
                ", ".join(flow.senders),
                ", ".join(flow.consumers),
                ", ".join(flow.tenants) or "any",
                flow.owner,
                flow.purpose,
                flow.lawful_basis,
                flow.visible_to,
                flow.retention,
            )
            for flow in catalog.flows
        ),
    )
    yield from _filled(
        Table(
            "Where data may leave",
            "In clear, unsigned, not looked at, or undeclared.",
            ("Channel or service", "Kind", "What"),
            tuple((flow.name, leak.kind, leak.what) for flow in catalog.flows for leak in flow.leaks)
            + tuple(
                (f"{export.service} to {export.to}", leak.kind, leak.what)
                for export in catalog.exports
                for leak in export.leaks
            ),
        )
    )
    yield from _filled(
        Table(
            "Exceptions",
            "What holds instead of the policy, until it ends.",
            ("Exception", "Channels", "Reason", "Requested by", "Approved by", "Until", "In force"),
            tuple(
                (
                    entry.id,
                    ", ".join(entry.channels),
                    entry.reason,
                    entry.requested_by,
                    entry.approved_by,
                    written(entry.expires),
                    "yes" if entry.holds else "no",
                )
                for entry in catalog.exceptions
            ),
        )
    )
    yield from _filled(
        Table(
            "Fields of messages, and labels",
            "What the policy expects, and what becomes of it before it is sent.",
            (
                "Channel",
                "Where",
                "Class",
                "Handling",
                "Purpose",
                "Lawful basis",
                "Visible to",
                "Retention",
            ),
            tuple(map(tuple, catalog.data)),
        )
    )
    yield from _filled(
        Table(
            "Where spans go",
            "By service.",
            ("Service", "To"),
            tuple((export.service, export.to) for export in catalog.exports),
        )
    )
    yield Table(
        "Fields of every trace",
        "What is built in: there is no other field, but for the labels above.",
        ("Field", "Class", "Purpose", "Handling", "Visible to", "Retention"),
        tuple(
            (
                field.name,
                field.class_,
                field.purpose,
                ", ".join(field.handling),
                field.visible_to,
                field.retention,
            )
            for field in TRACE_FIELDS
        ),
    )


def _filled(table: Table) -> Iterator[Table]:
    if table.rows:
        yield table
