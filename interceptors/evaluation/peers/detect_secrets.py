"""detect-secrets, with all its plugins and its own filters. It verifies nothing over the network."""

from __future__ import annotations

from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING

from interceptors.evaluation.peers.peer import Entity, Kind, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "detect-secrets"

_TOKENS = (
    "Artifactory Credentials",
    "Cloudant Credentials",
    "Discord Bot Token",
    "GitHub Token",
    "GitLab Token",
    "IBM Cloud IAM Key",
    "IBM COS HMAC Credentials",
    "Mailchimp Access Key",
    "NPM tokens",
    "OpenAI Token",
    "PyPI Token",
    "SendGrid API Key",
    "Slack Token",
    "SoftLayer Credentials",
    "Square OAuth Secret",
    "Stripe Access Key",
    "Telegram Bot Token",
    "Twilio API Key",
)
KINDS = dict.fromkeys(_TOKENS, Kind("secret.token")) | {
    "AWS Access Key": Kind("secret.cloud_key"),
    "Azure Storage Account access key": Kind("secret.cloud_key"),
    "Base64 High Entropy String": Kind("secret.generic"),
    "Basic Auth Credentials": Kind("secret.credentials"),
    "Hex High Entropy String": Kind("secret.generic"),
    "JSON Web Token": Kind("secret.jwt"),
    "Private Key": Kind("secret.private_key"),
    "Public IP (ipv4)": Kind("network.ip"),
    "Secret Keyword": Kind("secret.generic"),
}


def load() -> Peer:
    """Load it.

    Raises:
        ImportError: it is not installed.
    """
    scan = import_module("detect_secrets.core.scan")
    settings = import_module("detect_secrets.settings")
    plugins = import_module("detect_secrets.core.plugins.util").get_mapping_from_secret_type_to_class()
    # Its settings are the process's. Those of a `with` would be built anew for each record.
    settings.get_settings().configure_plugins([{"name": plugin.__name__} for plugin in plugins.values()])

    # What its `scan_file` does, without a file; its `scan_line` takes words of two letters for secrets.
    scan_lines = scan._process_line_based_plugins  # noqa: SLF001 - there is no public way to scan a text as a file

    def find(text: str) -> Iterator[Entity]:
        lines = text.splitlines(keepends=True)
        begins = [0, *accumulate(map(len, lines))]
        for secret in scan_lines(list(enumerate(lines, 1)), ""):
            line, begin = lines[secret.line_number - 1], begins[secret.line_number - 1]
            # It says what, and not where. What it has changed on the way stands for its line.
            at = line.find(secret.secret_value)
            start, length = (at, len(secret.secret_value)) if at >= 0 else (0, len(line))
            yield Entity(secret.type, begin + start, begin + start + length)

    return Peer(NAME, KINDS, find)
