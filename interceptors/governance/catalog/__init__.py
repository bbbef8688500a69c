"""The catalog of a policy, for people: which data flows where, what it is, and where some of it may leave.

What belongs here: reading a policy (and configurations) for people, and writing that down as Markdown, HTML
and Mermaid. What does not: what the policy means (`policy`), saying that something is wrong with it
(`checks`), and files (`cli`).
"""

from interceptors.governance.catalog.data_flow import Catalog, Export, Flow, Leak, catalog_of
from interceptors.governance.catalog.markdown import as_markdown
from interceptors.governance.catalog.mermaid import as_mermaid
from interceptors.governance.catalog.page import as_html

__all__ = ["Catalog", "Export", "Flow", "Leak", "as_html", "as_markdown", "as_mermaid", "catalog_of"]
