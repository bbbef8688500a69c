"""What may travel: the policy document, and its compiled form.

What belongs here: the document's model, its errors, and the answer to "which channel is this, and what are
its rules". What does not: reading files (`tracing`), keys, and deciding anything about one message's
envelope (`pipeline`).
"""

from interceptors.policy.compiled import Accept, Channel, Emit, Policy, TaskMetadata
from interceptors.policy.document import PolicyDocument, check_policy, compile_policy, parse_policy

__all__ = [
    "Accept",
    "Channel",
    "Emit",
    "Policy",
    "PolicyDocument",
    "TaskMetadata",
    "check_policy",
    "compile_policy",
    "parse_policy",
]
