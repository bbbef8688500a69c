"""One process of a vault, for `test_token_stores`: not a test, and run as a script.

It says that it is ready, waits for a line, does its work and writes what came of it as JSON.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from interceptors.audit import AuditLog
from interceptors.token_vault import TokenVault, VaultKeys, open_database, parse_access
from interceptors.token_vault.vault_keys import VaultKey, derive_vault_key


def main() -> None:
    """Do what the first argument, JSON, asks for."""
    asked = json.loads(sys.argv[1])
    roots = {int(version): bytes.fromhex(root) for version, root in asked["roots"].items()}
    vault = TokenVault(
        open_database(asked["address"]),
        VaultKeys(
            VaultKey("acme", version, derive_vault_key(root, "acme", version))
            for version, root in roots.items()
        ),
        audit=AuditLog(Path(asked["audit"]), actor="worker"),
        access=parse_access(json.dumps(asked["access"]), "vault.yaml"),
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    done: dict[str, object] = {}
    if asked["act"] == "rotate":
        done["rotated"] = vault.rotate("acme")
    else:
        identifiers = list(asked["identifiers"])
        random.Random(asked["seed"]).shuffle(identifiers)
        done = {each: str(vault.tokenize("acme", "customer", each)) for each in identifiers}
    if asked["act"] == "resolve":
        for identifier, token in done.items():
            assert vault.resolve(str(token), caller="support-desk", purpose="fraud") == identifier
    sys.stdout.write(json.dumps(done))


if __name__ == "__main__":
    main()
