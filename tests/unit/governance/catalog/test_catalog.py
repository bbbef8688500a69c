from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from interceptors.demo.setup import POLICY as POLICY_FILE
from interceptors.governance.catalog import Catalog, Leak, as_html, as_markdown, as_mermaid, catalog_of
from interceptors.policy import PolicyDocument
from interceptors.policy.catalog import TRACE_FIELDS
from interceptors.policy.yaml_document import parse_document
from interceptors.tracing import Configuration

NOW = 1_800_000_000_000
HOSTILE = '"]; click c0 "javascript:alert(1)" <script>alert(1)</script> | `x` </svg> & end\n```'
POLICY: dict[str, Any] = {
    "version": 1,
    "channels": [
        {
            "name": "orders",
            "match": {"kafka": ["orders"], "rabbitmq": ["shop"]},
            "owner": "shop",
            "purpose": "to take orders",
            "lawful_basis": "contract",
            "visible_to": ["support"],
            "retention": "30d",
            "senders": ["storefront"],
            "consumers": ["checkout", "billing"],
            "tenants": ["acme", "globex"],
            "signed": True,
            "accept": "required",
            "labels": {"region": {"values": ["eu"], "class": "operational", "purpose": "routing"}},
            "payload": {"on_leak": "block", "on_unscanned": "block", "allow": ["personal.email"]},
            "fields": [
                {"path": "$.name", "class": "personal.name", "handling": "drop", "retention": "1d"},
                {"path": "$.mail", "class": "personal.email", "handling": "tokenize"},
            ],
        },
        {"name": "clicks", "match": {"kafka": ["clicks"]}, "emit": "none", "accept": "none"},
        {"name": "views", "match": {"kafka": ["views"]}, "payload": {"sample": 0.25}},
    ],
    "exceptions": [
        {
            "id": "EX-1",
            "reason": "a migration",
            "requested_by": "shop",
            "approved_by": "security",
            "channels": ["orders"],
            "expires": "2030-01-01T00:00:00Z",
            "rules": {"max_age": "30d"},
        }
    ],
}


def catalog(
    policy: dict[str, Any] = POLICY, *, environment: str = "", exports: tuple[dict[str, Any], ...] = ()
) -> Catalog:
    configurations = [
        Configuration.model_validate(
            {"service": "storefront", "tenant": "acme", "keys": "k", "policy": "p", "export": export}
        )
        for export in exports
    ]
    return catalog_of(
        PolicyDocument.model_validate(policy),
        "policy",
        environment=environment,
        now=NOW,
        configurations=configurations,
    )


def leaks(found: Catalog, name: str) -> list[str]:
    (flow,) = (flow for flow in found.flows if flow.name == name)
    return [leak.kind for leak in flow.leaks]


def test_a_channel_says_who_sends_who_reads_and_for_what() -> None:
    orders = catalog().flows[0]
    assert orders.places == ("kafka orders", "rabbitmq shop")
    assert (orders.senders, orders.consumers) == (("storefront",), ("checkout", "billing"))
    assert (orders.tenants, orders.owner, orders.purpose) == (("acme", "globex"), "shop", "to take orders")
    assert (orders.lawful_basis, orders.visible_to, orders.retention) == ("contract", "support", "30d")


def test_each_place_where_data_may_leave_is_named() -> None:
    found = catalog()
    assert leaks(found, "orders") == ["excepted"]
    assert leaks(found, "clicks") == ["untraced", "unverified", "unscanned"]
    assert leaks(found, "views") == ["unsigned", "unverified", "unscanned", "unscanned", "undeclared"]
    assert leaks(found, "(not listed)") == ["unsigned", "unverified", "unscanned"]


def test_bounds_of_the_environment_close_places() -> None:
    bounds = {
        "signed": True,
        "accept": "required",
        "payload": {"on_leak": "block", "on_unscanned": "block", "sample": 1},
    }
    found = catalog(POLICY | {"environments": {"production": bounds}}, environment="production")
    assert leaks(found, "views") == []
    assert leaks(found, "(not listed)") == []


def test_fields_labels_and_what_is_allowed_are_listed_with_what_becomes_of_them() -> None:
    rows = {(row.place, row.class_): row for row in catalog().data}
    assert rows["$.name", "personal.name"].handling == "drop"
    assert rows["$.name", "personal.name"].retention == "1d"
    assert rows["$.name", "personal.name"].purpose == "to take orders"
    assert rows["label region", "operational"].purpose == "routing"
    assert rows["anywhere", "personal.email"].handling == "keep"


def test_a_field_that_a_bound_reaches_is_listed_as_it_is_sent() -> None:
    bound = {"baseline": {"payload": {"actions": {"personal": "block"}}}}
    handlings = {row.place: row.handling for row in catalog(POLICY | bound).data}
    assert handlings["$.mail"] == "redact"
    assert handlings["$.name"] == "drop"


def test_a_label_is_listed_as_it_travels() -> None:
    labels = {
        "user": {"class": "personal.email", "handling": "tokenize"},
        "agent": {"class": "personal.user", "handling": "redact"},
        "plan": {"class": "commercial", "values": ["gold"], "handling": "drop"},
    }
    channel = {"name": "orders", "match": {"kafka": ["orders"]}, "labels": labels}
    for actions, user in (({}, "tokenize"), ({"personal": "redact"}, "redact")):
        bound = {"baseline": {"payload": {"actions": actions}}}
        rows = catalog({"version": 1, "channels": [channel], **bound}).data
        handlings = {row.place: row.handling for row in rows}
        assert handlings == {"label user": user, "label agent": "redact", "label plan": "drop"}


def test_a_field_that_a_bound_tokenizes_is_listed_so() -> None:
    bound = {"baseline": {"payload": {"actions": {"personal": "tokenize"}}}}
    field = {"path": "$.mail", "class": "personal.email", "handling": "keep"}
    channel = {"name": "orders", "match": {"kafka": ["orders"]}, "fields": [field]}
    (row,) = catalog({"version": 1, "channels": [channel], **bound}).data
    assert row.handling == "tokenize"


@pytest.mark.parametrize(
    ("export", "to", "kinds"),
    [
        ({"file": {"path": "spans.jsonl"}}, "a file", ["clear"]),
        ({"otlp": {"endpoint": "http://user:secret@otel:4318/x?key=secret"}}, "http://otel:4318", ["clear"]),
        ({"otlp": {"endpoint": "https://otel.example.com"}}, "https://otel.example.com", []),
        ({"otlp": {"endpoint": "http://[secret"}}, "OTLP", []),
        ({"otlp": {}}, "OTLP, as the environment says", []),
        (
            {"bus": {"collector_key": "k", "rabbitmq": {"queue": "spans", "url": "amqp://u:secret@b"}}},
            "rabbitmq, sealed for the collector",
            [],
        ),
    ],
)
def test_where_spans_go_is_shown_without_what_may_be_a_secret(
    export: dict[str, Any], to: str, kinds: list[str]
) -> None:
    found = catalog(exports=(export,))
    (only,) = found.exports
    assert (only.service, only.to, [leak.kind for leak in only.leaks]) == ("storefront", to, kinds)
    assert all("secret" not in write(found) for write in (as_html, as_markdown, as_mermaid))


def test_the_map_leads_from_services_over_channels_to_services() -> None:
    lines = as_mermaid(catalog()).splitlines()
    nodes = {text: node for node, text in re.findall(r'(\w+)\[?\(?\["(.*?)"\]', "\n".join(lines))}
    assert lines[0] == "flowchart LR"
    assert f"  {nodes['storefront']} --> c0" in lines
    assert f"  c0 --> {nodes['billing']}" in lines
    assert '  c0(["orders<br/>tenants: acme, globex"])' in lines
    assert '  l1["untraced, unverified, unscanned"]:::leak' in lines


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += [tag, *(name for name, _ in attrs)]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile() -> Catalog:
    channel = {"name": HOSTILE, "match": {"kafka": [HOSTILE]}, "senders": [HOSTILE], "consumers": [HOSTILE]}
    told = {"owner": HOSTILE, "purpose": HOSTILE, "tenants": [HOSTILE]}
    exception = POLICY["exceptions"][0] | {"channels": [HOSTILE], "reason": HOSTILE}
    policy = {"version": 1, "channels": [channel | told], "exceptions": [exception]}
    return catalog(policy, environment=HOSTILE)


def test_names_are_nothing_but_text_on_an_html_page() -> None:
    page = _Page()
    page.feed(as_html(hostile()))
    assert {"script", "a", "img", "link", "onclick", "href", "src"} & set(page.tags) == set()
    assert page.texts.count(HOSTILE) >= 6


def test_names_are_nothing_but_text_on_a_map() -> None:
    lines = as_mermaid(hostile()).splitlines()
    label = r'"[^"\]\[<>`{}()|]*(?:<br/>[^"\]\[<>`{}()|]*)?"'
    node = rf"  \w+(?:\[{label}\]|\(\[{label}\]\)|\[/{label}/\])(?::::leak)?"
    edge = r"  \w+ (?:-->|-\.-|-\.->) \w+"
    assert all(re.fullmatch(f"{node}|{edge}", line) for line in lines[1:-1])


def test_names_are_nothing_but_text_on_a_markdown_page() -> None:
    tokens = MarkdownIt().enable("table").parse(as_markdown(hostile()))
    inline = [child for token in tokens for child in token.children or ()]
    assert [token.info for token in tokens if token.type == "fence"] == ["mermaid"]
    assert {token.type for token in tokens} & {"html_block", "code_block"} == set()
    assert {child.type for child in inline} <= {"text", "text_special"}
    texts = [
        "".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"
    ]
    assert HOSTILE.replace("\n", " ") in texts


def test_all_tables_have_rows_as_wide_as_their_head() -> None:
    tokens = MarkdownIt().enable("table").parse(as_markdown(catalog(exports=({"file": {"path": "x"}},))))
    titles = [
        tokens[number + 1].content
        for number, token in enumerate(tokens)
        if token.tag == "h2" and token.nesting > 0
    ]
    assert titles == [
        "Data flow",
        "Channels",
        "Where data may leave",
        "Exceptions",
        "Fields of messages, and labels",
        "Where spans go",
        "Fields of every trace",
    ]


def test_an_exception_shows_with_who_asked_who_approved_and_when_it_ends() -> None:
    page = as_markdown(catalog())
    assert "| EX-1 | orders | a migration | shop | security | 2030-01-01T00:00:00Z | yes |" in page


def test_the_catalog_has_each_field_that_a_span_may_have() -> None:
    path = Path(__file__).parents[4] / "schemas" / "span.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    known = set(schema["properties"]) - {"attributes"}
    for kind in schema["$defs"]["attribute"]["oneOf"]:
        key = kind["properties"]["key"]
        known |= set(key.get("enum", [key["const"]] if "const" in key else []))
    names = [field.name for field in TRACE_FIELDS]
    assert known <= set(names)
    assert len(names) == len(set(names))


def test_who_sees_a_field_of_a_trace_follows_from_where_it_stands() -> None:
    fields = {field.name: field for field in TRACE_FIELDS}
    assert fields["issued_at"].visible_to == "services that are granted the sender's key"
    assert fields["error.type"].retention == "as long as the traces"
    assert "and who sees the traces" in fields["traceId"].visible_to


def test_a_leak_is_a_kind_and_a_text() -> None:
    assert catalog().flows[1].leaks[0] == Leak("untraced", "producers attach no envelope")


def test_the_map_of_the_demonstration_is_the_one_that_the_documentation_shows() -> None:
    page = Path(__file__).parents[4] / "docs" / "howto" / "catalog.md"
    shown = re.findall(r"```mermaid\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    document = parse_document(PolicyDocument, POLICY_FILE.read_text(encoding="utf-8"), "policy")
    assert shown == [as_mermaid(catalog_of(document, "policy", environment="", now=NOW))]
