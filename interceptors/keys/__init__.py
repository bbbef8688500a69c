"""Where keys come from: `Keyring` over a `KeyProvider`.

What belongs here: providers (a local file, memory), what keeps, repeats and measures what they give, what
wraps keys at rest (AWS KMS, Vault, PKCS#11), the keyring that a service holds, and the administration of
roots and grants. What does not: what a key is and does (`envelope`), and who asks for one (`tracing`).
"""

from interceptors.keys.administration import KeyAdministration
from interceptors.keys.keyring import Keyring
from interceptors.keys.local import LocalKeys
from interceptors.keys.memory import MemoryKeys
from interceptors.keys.provider import KeyProvider

__all__ = ["KeyAdministration", "KeyProvider", "Keyring", "LocalKeys", "MemoryKeys"]
