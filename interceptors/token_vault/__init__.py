"""The token vault: random tokens that can be turned back into identifiers, by those who may.

What belongs here: the vault, its keys, its database on SQLite or PostgreSQL, who may resolve what, and the
aliases that join derived tokens across a rotation. What does not: derived tokens themselves (`tokens`), the
path of a message (a vault is a round trip away; only derived tokens are written there), and how the audit
log is kept (`audit`).

Invariants:

* one identifier has one token in a tenant's domain, however many processes tokenize it at once;
* nothing is resolved that is not on the audit log before;
* the database without the vault's keys tells no identifier, of its length no more than in how many blocks of
  64 bytes it goes, and not which domains or tenants know the same one;
* a token never changes: a rotation redoes what is stored of the identifier.
"""

from interceptors.token_vault.access import VaultAccess, load_access, parse_access
from interceptors.token_vault.address import open_database
from interceptors.token_vault.aliases import AliasStore
from interceptors.token_vault.database import Database
from interceptors.token_vault.schema import migrate
from interceptors.token_vault.vault import TokenVault
from interceptors.token_vault.vault_key_file import read_vault_keys, write_vault_keys
from interceptors.token_vault.vault_keys import VaultKeys

__all__ = [
    "AliasStore",
    "Database",
    "TokenVault",
    "VaultAccess",
    "VaultKeys",
    "load_access",
    "migrate",
    "open_database",
    "parse_access",
    "read_vault_keys",
    "write_vault_keys",
]
