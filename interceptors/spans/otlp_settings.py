"""What an OTLP exporter is set to: by the configuration, else by OpenTelemetry's environment variables.

The rules are those of OpenTelemetry's "OTLP Exporter" specification
(https://opentelemetry.io/docs/specs/otel/protocol/exporter/): for each setting, what the configuration says,
then `OTEL_EXPORTER_OTLP_TRACES_…`, then `OTEL_EXPORTER_OTLP_…`; a variable that is empty counts as not set.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from interceptors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("interceptors.spans")

PATH = "/v1/traces"
PROTOCOL = "http/protobuf"
DEFAULT_ENDPOINT = "http://localhost:4318"
DEFAULT_TIMEOUT_S = 10.0

_MILLISECONDS_FROM = 1000
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_URL = re.compile(r"[\x21-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True, repr=False)
class OtlpSettings:
    """Where and how spans are sent. Its `repr` shows no header."""

    endpoint: str
    """The URL that is posted to, without credentials."""
    headers: Mapping[str, str]
    """What goes with each request; by lower-case name. These are credentials."""
    certificate: str | None
    """A file of the certificates that a server's is checked against; None for the system's."""
    client_certificate: str | None
    client_key: str | None
    gzip: bool
    timeout: float
    """Seconds for a batch, retries included."""

    def __repr__(self) -> str:
        """Show what is not secret."""
        return (
            f"OtlpSettings({self.endpoint!r}, headers={len(self.headers)}, gzip={self.gzip}, "
            f"timeout={self.timeout})"
        )


class _Setting(NamedTuple):
    """A setting, and where it was found, for errors."""

    value: str
    place: str
    configured: bool = False
    of_traces: bool = False


class _Source:
    """Looks settings up, in the order of the specification."""

    def __init__(self, environ: Mapping[str, str], configured: Mapping[str, str | None]) -> None:
        self._environ = environ
        self._configured = configured

    def find(self, key: str) -> _Setting | None:
        configured = self._configured.get(key)
        if configured is not None:
            return _Setting(configured, f"export.otlp.{key}", configured=True)
        for variable in (f"OTEL_EXPORTER_OTLP_TRACES_{key.upper()}", f"OTEL_EXPORTER_OTLP_{key.upper()}"):
            value = self._environ.get(variable, "").strip()
            if value:
                return _Setting(value, variable, of_traces="_TRACES_" in variable)
        return None


def otlp_settings(
    *,
    endpoint: str | None = None,
    certificate: str | None = None,
    client_certificate: str | None = None,
    client_key: str | None = None,
    compression: str | None = None,
    timeout: float | None = None,
    environ: Mapping[str, str],
) -> OtlpSettings:
    """Put the settings together. None of an argument leaves it to the environment.

    Headers come from the environment alone: they are credentials, and a configuration file is no place for
    those. They go to the endpoint, whichever of the two names it.

    Args:
        endpoint: the collector's base URL, `/v1/traces` left out or not.
        certificate: a file of the certificates that the server's is checked against.
        client_certificate: the file of the client's own certificate, for mutual TLS.
        client_key: the file of its key, where that is another.
        compression: `none` or `gzip`.
        timeout: seconds for a batch, retries included. `OTEL_EXPORTER_OTLP_TIMEOUT` is in milliseconds in
            the specification and in seconds in OpenTelemetry's Python exporters, and one process may hold
            both: a value of 1000 or more is read as milliseconds, one below as seconds.
        environ: the environment's variables.

    Returns:
        The settings.

    Raises:
        ConfigurationError: a value does not hold; the text names its key or variable, and the remedy.
    """
    configured = {
        "endpoint": endpoint,
        "certificate": certificate,
        "client_certificate": client_certificate,
        "client_key": client_key,
        "compression": compression,
        "timeout": None if timeout is None else str(timeout),
    }
    source = _Source(environ, configured)
    url, headers = _endpoint(source), _headers(source)
    if url.username is not None:
        userinfo = unquote_to_bytes(url.netloc.rpartition("@")[0])
        headers.setdefault("authorization", f"Basic {b64encode(userinfo).decode()}")
        url = url._replace(netloc=url.netloc.rpartition("@")[2])
    if headers and url.scheme == "http" and not _is_loopback(url.hostname or ""):
        logger.warning(
            "spans are exported with credentials over http://, which anybody on the way can read; use https://"
        )
    files = {key: source.find(key) for key in ("certificate", "client_certificate", "client_key")}
    _check_files(files, url)
    paths = {key: found.value if found and url.scheme == "https" else None for key, found in files.items()}
    return OtlpSettings(
        endpoint=url.geturl(), headers=headers, gzip=_gzip(source), timeout=_timeout(source), **paths
    )


def _endpoint(source: _Source) -> SplitResult:
    found = source.find("endpoint") or _Setting(DEFAULT_ENDPOINT, "endpoint")
    protocol = source.find("protocol")
    if not found.configured and protocol is not None and protocol.value != PROTOCOL:
        msg = (
            f"{protocol.place}: spans are exported by {PROTOCOL} alone; set it to that, or name an endpoint "
            f"that takes it in export.otlp.endpoint"
        )
        raise ConfigurationError(msg)
    url = _url(found)
    path = url.path
    if found.of_traces:  # as it is
        return url._replace(path=path or "/")
    if found.configured and path.rstrip("/").endswith(PATH):
        return url
    return url._replace(path=path.rstrip("/") + PATH)


def _url(found: _Setting) -> SplitResult:
    try:
        url = urlsplit(found.value)
        holds = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:  # its text has the URL in it
        holds = False
        url = urlsplit("")
    if not holds or url.query or url.fragment or not _URL.fullmatch(found.value):
        msg = (
            f"{found.place}: not the URL of a collector; give one such as https://collector.example.com:4318 "
            f"without a query, and credentials in OTEL_EXPORTER_OTLP_HEADERS"
        )
        raise ConfigurationError(msg)
    return url


def _headers(source: _Source) -> dict[str, str]:
    found = source.find("headers")
    if found is None:
        return {}
    headers: dict[str, str] = {}
    for number, pair in enumerate(found.value.split(","), start=1):
        if not pair.strip():
            continue
        name, equals, quoted = (part.strip() for part in pair.partition("="))
        # Latin-1 is how a header's bytes are put into a text.
        value = unquote_to_bytes(quoted).decode("latin-1")
        if not equals or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            msg = (
                f"{found.place}: item {number} is no header; write name=value, with a comma between two and "
                f"other special characters percent-encoded"
            )
            raise ConfigurationError(msg)
        headers[name.lower()] = value
    return headers


def _check_files(files: Mapping[str, _Setting | None], url: SplitResult) -> None:
    for found in files.values():
        if found is not None and found.configured and url.scheme != "https":
            msg = f"{found.place}: the endpoint is an http:// URL, which certificates do nothing for; use https://"
            raise ConfigurationError(msg)
    key = files["client_key"]
    if key is not None and files["client_certificate"] is None:
        msg = f"{key.place}: a key without its certificate; name that in client_certificate, too"
        raise ConfigurationError(msg)


def _gzip(source: _Source) -> bool:
    found = source.find("compression")
    if found is not None and found.value not in {"none", "gzip"}:
        msg = f"{found.place}: no such compression; use gzip or none"
        raise ConfigurationError(msg)
    return found is not None and found.value == "gzip"


def _timeout(source: _Source) -> float:
    found = source.find("timeout")
    if found is None:
        return DEFAULT_TIMEOUT_S
    try:
        timeout = float(found.value)
    except ValueError:
        timeout = math.nan
    if not 0 < timeout < math.inf:
        msg = f"{found.place}: not a number of seconds above 0; use one such as {DEFAULT_TIMEOUT_S:g}"
        raise ConfigurationError(msg)
    return timeout if found.configured or timeout < _MILLISECONDS_FROM else timeout / 1000


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
