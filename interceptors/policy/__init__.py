"""What may travel: the policy document, and its compiled form.

What belongs here: the document's model, its errors, the answer to "which channel is this, and what are its
rules", and what those make of a message's payload. What does not: reading files (`tracing`), keys, what an
identifier is (`scan`), and deciding anything about one message's envelope (`pipeline`).
"""

from interceptors.policy.compiled import Accept, Channel, Emit, Policy, TaskMetadata
from interceptors.policy.compiling import compile_policy
from interceptors.policy.document import PolicyDocument, check_policy, parse_policy
from interceptors.policy.payload import Action, Payload
from interceptors.policy.screening import Screened, place, screen

__all__ = [
    "Accept",
    "Action",
    "Channel",
    "Emit",
    "Payload",
    "Policy",
    "PolicyDocument",
    "Screened",
    "TaskMetadata",
    "check_policy",
    "compile_policy",
    "parse_policy",
    "place",
    "screen",
]
