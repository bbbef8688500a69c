"""Derived tokens: what stands for an identifier, the same wherever the same key is held.

What belongs here: the normal form of identifiers, and tokens as digests of it under the key of (tenant,
domain, version). What does not: how a token is written and told from an identifier (`scan`), its key
(`envelope`) and where that comes from (`keys`), tokens that can be turned back (`token_vault`), which
identifiers a message may hold (`policy`), clocks and I/O.

Invariants:

* one identifier has one token in a tenant's domain and version, whoever makes it;
* without the key, a token says nothing of the identifier, nor of its tokens in another tenant or domain;
* nothing in here prints a key or an identifier.
"""

from interceptors.tokens.normal_form import normal_form
from interceptors.tokens.tokenizer import Tokenized, Tokenizer, derived_token, token_of

__all__ = ["Tokenized", "Tokenizer", "derived_token", "normal_form", "token_of"]
