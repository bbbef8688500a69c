"""What a token costs: derived, beside what else replaces an identifier; with --vault, one out of a vault.

The first table is an e-mail address and its replacement as text. HMAC-SHA256 alone is what nobody can do
without; Fernet gives another text each time, so that nothing joins; AES-SIV is the deterministic encryption
that `cryptography` has, which whoever holds the key turns back. Format-preserving encryption is not beside
them: no package of it is among what the benchmarks import.

The second is a vault on SQLite, or on the PostgreSQL that --vault names, with the audit log on this machine's
disk, which a resolution waits for. Its baseline is the database alone: a SELECT by primary key.
"""

from __future__ import annotations

import hmac
import json
import os
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from measure import Case, Report, arguments, each

from interceptors.audit import AuditLog
from interceptors.envelope import derive_token_key
from interceptors.token_vault import TokenVault, VaultKeys, migrate, open_database, parse_access
from interceptors.token_vault.vault_keys import VaultKey
from interceptors.tokens import Tokenizer, derived_token

if TYPE_CHECKING:
    from collections.abc import Callable

EMAIL = "jo.doe@example.com"
ACCESS = {
    "version": 1,
    "domains": {"customer": {"class": "personal.email"}},
    "roles": {"all": {"tenants": ["acme"], "domains": ["customer"], "purposes": ["benchmark"]}},
    "callers": {"benchmark": ["all"]},
    "limit": {"per_minute": 60000, "burst": 60000},
}


def case(name: str, operation: Callable[[], object]) -> Case:
    return Case(name, each(operation), bool)


def derived(report: Report) -> None:
    text = EMAIL.encode()
    key = derive_token_key(os.urandom(32), "acme", "customer", 2)
    former = derive_token_key(os.urandom(32), "acme", "customer", 1)
    tokenizer = Tokenizer(key, [former], class_="personal.email")
    fernet, siv = Fernet(Fernet.generate_key()), AESSIV(os.urandom(32))
    report.compare(
        "an e-mail address replaced",
        [
            case("HMAC-SHA256 alone, in hex", lambda: hmac.digest(key.key, text, "sha256").hex()),
            case("derived token", lambda: str(derived_token(key, "", text))),
            case(
                "derived token, of the normal form", lambda: str(derived_token(key, "personal.email", text))
            ),
            case("current and former token", lambda: str(tokenizer.tokens(EMAIL).current)),
            case("AES-SIV, in hex", lambda: siv.encrypt(text, None).hex()),
            case("Fernet", lambda: fernet.encrypt(text)),
        ],
    )


def vaulted(report: Report, address: str, folder: Path) -> None:
    database = open_database(address)
    migrate(database)
    vault = TokenVault(
        database,
        VaultKeys([VaultKey("acme", 1, os.urandom(32))]),
        audit=AuditLog(folder / "audit.log", actor="benchmark"),
        access=parse_access(json.dumps(ACCESS), "vault.yaml"),
    )
    token = vault.tokenize("acme", "customer", EMAIL)
    written, numbers = str(token), count()

    def select() -> object:
        with database.transaction(write=False) as execute:
            return execute("SELECT sealed FROM vault_tokens WHERE token = ?", token.value)

    report.compare(
        "a vault",
        [
            case("a row by its key", select),
            case("tokenize, known", lambda: vault.tokenize("acme", "customer", EMAIL)),
            case("tokenize, new", lambda: vault.tokenize("acme", "customer", f"{next(numbers)}@example.com")),
            case("resolve", lambda: vault.resolve(written, caller="benchmark", purpose="benchmark")),
        ],
    )
    database.close()


def main() -> None:
    parser = arguments(__doc__, rounds=11, operations=2000)
    parser.add_argument(
        "--vault",
        nargs="?",
        const="",
        metavar="URL",
        help="time a vault (default: on SQLite) and nothing else",
    )
    options = parser.parse_args()
    report = Report(options)
    if options.vault is None:
        derived(report)
    else:
        # Not where the system keeps its temporary files: that may be memory.
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            vaulted(report, options.vault or f"{folder}/vault.db", Path(folder))
    report.write()


if __name__ == "__main__":
    main()
