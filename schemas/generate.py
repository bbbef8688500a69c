#!/usr/bin/env python3
"""Writes the schemas of the documents that people write, out of the models that read those.

`python generate.py` writes the files, `python generate.py --check` exits 1 where one is not up to date.
`span.schema.json` is written by hand: it is the contract that `to_otlp_json` is held to.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interceptors.policy import PolicyDocument
from interceptors.policy.trust import TrustDocument
from interceptors.token_vault.access import VaultDocument
from interceptors.tracing import Configuration

if TYPE_CHECKING:
    from pydantic import BaseModel

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).parent
MODELS: dict[str, type[BaseModel]] = {
    "policy.schema.json": PolicyDocument,
    "configuration.schema.json": Configuration,
    "trust.schema.json": TrustDocument,
    "vault.schema.json": VaultDocument,
}


def text_of(model: type[BaseModel]) -> str:
    """Give the schema of a model as the text of its file."""
    schema = {"$schema": DIALECT} | _without_null(model.model_json_schema())
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _without_null(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave null out: a key that is left out is not written, and one without a value is refused."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _without_null(part) for key, part in schema.items() if (key, part) != ("default", None)}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        return kept | choices[0]
    return kept | {"anyOf": choices} if choices else kept


def is_current(path: Path, text: str) -> bool:
    """Tell whether a file holds a text."""
    return path.exists() and path.read_text(encoding="utf-8") == text


def main() -> None:
    """Write the files, or check them.

    Raises:
        SystemExit: with --check, where a file is not up to date.
    """
    texts = {FOLDER / name: text_of(model) for name, model in MODELS.items()}
    stale = [path for path, text in texts.items() if not is_current(path, text)]
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"not up to date: {names}; run {Path(__file__).name}" if stale else 0)
    for path in stale:
        path.write_text(texts[path], encoding="utf-8")


if __name__ == "__main__":
    main()
