"""The data-flow map as a Mermaid flowchart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interceptors.governance.catalog.data_flow import Catalog, Flow

_UNSAFE = {ord(character): f"#{ord(character)};" for character in '#"<>&`\\{}[]()|;'}
"""What means something to Mermaid, or to the page that it stands on, as Mermaid's own entity codes."""


def as_mermaid(catalog: Catalog) -> str:
    """Draw services, channels, and services again; a dotted box for where data may leave.

    Args:
        catalog: of a policy.

    Returns:
        The flowchart's text. Names of the policy stand in labels alone, and are escaped there.
    """
    lines = ["flowchart LR"]
    names = [*(name for flow in catalog.flows for name in (*flow.senders, *flow.consumers))]
    names += [export.service for export in catalog.exports]
    services = {name: f"s{number}" for number, name in enumerate(dict.fromkeys(names))}
    lines += [f'  {node}["{_safe(name)}"]' for name, node in services.items()]
    for number, flow in enumerate(catalog.flows):
        lines.append(f'  c{number}(["{_label(flow)}"])')
        lines += [f"  {services[name]} --> c{number}" for name in flow.senders]
        lines += [f"  c{number} --> {services[name]}" for name in flow.consumers]
        if flow.leaks:
            kinds = ", ".join(dict.fromkeys(leak.kind for leak in flow.leaks))
            lines += [f'  l{number}["{_safe(kinds)}"]:::leak', f"  c{number} -.- l{number}"]
    for number, export in enumerate(catalog.exports):
        style = ":::leak" if export.leaks else ""
        lines += [
            f'  e{number}[/"{_safe(export.to)}"/]{style}',
            f"  {services[export.service]} -.-> e{number}",
        ]
    lines.append("  classDef leak stroke-dasharray: 4 3")
    return "\n".join(lines) + "\n"


def _label(flow: Flow) -> str:
    if not flow.tenants:
        return _safe(flow.name)
    return f"{_safe(flow.name)}<br/>{_safe('tenants: ' + ', '.join(flow.tenants))}"


def _safe(text: str) -> str:
    """Write a text that is nothing but text in a label."""
    return "".join(character if character.isprintable() else " " for character in text).translate(_UNSAFE)
