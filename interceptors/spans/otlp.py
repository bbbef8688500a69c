"""The OTLP sink: batches of spans by HTTP to a collector, as OTLP's specification has it.

See https://opentelemetry.io/docs/specs/otlp/#otlphttp. What belongs here: one request after another, and what
its answer means. What does not: the bytes (`otlp_protobuf`) and the options (`otlp_settings`).
"""

from __future__ import annotations

import email.utils
import gzip
import logging
import os
import random
import ssl
import threading
import time
from datetime import UTC
from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach, set_value

from interceptors.errors import ConfigurationError, MissingExtraError
from interceptors.spans.otlp_protobuf import SpanEncoder, rejected_spans
from interceptors.spans.otlp_settings import otlp_settings
from interceptors.spans.sinks import RetryLater
from interceptors.spans.version import version

try:
    import urllib3
except ModuleNotFoundError as error:
    if error.name != "urllib3":
        raise
    raise MissingExtraError("otlp", "urllib3") from None

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from interceptors.spans.otlp_settings import OtlpSettings
    from interceptors.spans.span import Span

logger = logging.getLogger("interceptors.spans")

RETRYABLE = frozenset({429, 502, 503, 504})
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
LONGEST_RETRY_AFTER_S = 300.0
"""However long an answer asks for: one that is wrong must not silence a service."""
LONGEST_ANSWER = 64 * 1024
"""Bytes. An answer is a few; what it holds beyond the number of refused spans is not used."""

_GZIP_LEVEL = 1  # ids don't compress: level 9 takes four times as long for 7 % less
_OK = range(200, 300)
_SUPPRESS_INSTRUMENTATION = "suppress_instrumentation"
"""OpenTelemetry's instrumentations make no spans where this is set: an export must not lead to another."""


class OtlpSink:
    """Posts batches to a collector over one connection that is kept.

    A collector that can't be reached, or says that it has too much to do, is tried again, less and less
    often, for as long as the batch has time; after that `RetryLater` leaves it to the outbox. No redirect is
    followed: it would take the headers, which are credentials, to somewhere that nobody has named. Proxy
    variables are not heeded.
    """

    def __init__(self, settings: OtlpSettings, *, service: str, environment: str) -> None:
        """Read the certificates. The connection is made when the first batch comes.

        Args:
            settings: where and how spans are sent.
            service: the service's name.
            environment: the deployment environment.

        Raises:
            ConfigurationError: a file of certificates can't be used.
        """
        self._settings = settings
        self._encoder = SpanEncoder(service, environment)
        self._tls = _tls(settings)
        self._headers = {
            "user-agent": f"interceptors-OTLP-Exporter-Python/{version()}",
            **settings.headers,
            "content-type": "application/x-protobuf",
            **({"content-encoding": "gzip"} if settings.gzip else {}),
        }
        self._said: set[str] = set()
        self._failures = 0
        self._not_before = 0.0
        self._closed = threading.Event()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._pool = urllib3.PoolManager(1, maxsize=1, retries=False, ssl_context=self._tls)

    def _after_fork(self) -> None:
        """In a child, use a connection and locks of its own: the parent's threads may have held those."""
        if self._pid != os.getpid():
            if not self._closed.is_set():
                self._closed = threading.Event()
            self._begin()

    def export(self, spans: Sequence[Span], timeout: float) -> int:
        """Send a batch.

        Args:
            spans: ended spans.
            timeout: seconds after which to give up. Finding the address of a host may take longer.

        Returns:
            How many spans the collector refused.

        Raises:
            RetryLater: the collector did not take them in time, and may do so later.
        """
        deadline = time.monotonic() + min(timeout, self._settings.timeout)
        self._after_fork()
        self._wait(deadline)
        body = self._encoder.encode(spans)
        if self._settings.gzip:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION, value=True))
        try:
            while (lost := self._send(body, len(spans), deadline)) is None:
                self._wait(deadline)
        finally:
            detach(token)
        return lost

    def close(self) -> None:
        """Let go of the connection. A batch that waits to be sent again is given up at once."""
        self._after_fork()
        self._closed.set()
        self._pool.clear()

    def __repr__(self) -> str:
        """Show what is not secret."""
        return f"OtlpSink({self._settings!r})"

    def _wait(self, deadline: float) -> None:
        """Wait until the collector may be tried again.

        Raises:
            RetryLater: that is not before the deadline, or the sink is closed.
        """
        now = time.monotonic()
        pause = max(0.0, self._not_before - now)
        if now + pause >= deadline or self._closed.wait(pause):
            raise RetryLater

    def _send(self, body: bytes, count: int, deadline: float) -> int | None:
        """Send a batch once.

        Returns:
            How many spans were lost; None where it is to be sent again.
        """
        retry_after = None
        try:
            response = self._pool.request(
                "POST",
                self._settings.endpoint,
                body=body,
                headers=self._headers,
                timeout=urllib3.Timeout(total=max(deadline - time.monotonic(), 0.001)),
                redirect=False,
                preload_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            problem = type(error).__name__
        else:
            content = _content(response, deadline)
            if response.status in _OK:
                self._failures = 0
                return self._refused(content, count)
            problem = f"HTTP {response.status}"
            if response.status not in RETRYABLE:
                self._say(problem, "spans are lost: the OTLP endpoint answers %s")
                return count
            retry_after = _seconds(response.headers.get("retry-after"))
        self._say(problem, "no spans can be exported by OTLP now, and they wait: %s")
        self._failures += 1
        if retry_after is None:
            longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(self._failures - 1, 16))
            retry_after = random.uniform(longest / 2, longest)  # noqa: S311 - spreads retries, guards nothing
        self._not_before = time.monotonic() + retry_after
        return None

    def _refused(self, content: bytes | None, count: int) -> int:
        refused = None if content is None else rejected_spans(content)
        if refused is None:
            self._say("unreadable", "the OTLP endpoint takes spans, and its answer is %s")
            return 0
        if refused > 0:
            self._say("partial success", "spans are lost: the OTLP endpoint refuses some (%s)")
        return max(0, min(refused, count))

    def _say(self, problem: str, text: str) -> None:
        """Log a kind of problem, the first time."""
        if problem not in self._said:
            self._said.add(problem)
            logger.warning(text, problem)


def otlp_sink(  # noqa: PLR0917 - the options in the order in which the configuration has them
    endpoint: str | None = None,
    certificate: str | None = None,
    client_certificate: str | None = None,
    client_key: str | None = None,
    compression: str | None = None,
    timeout: float | None = None,
    *,
    service: str,
    environment: str,
    environ: Mapping[str, str] = os.environ,
) -> OtlpSink:
    """Make a sink of what the configuration says, and else the environment.

    Args:
        endpoint: as of `otlp_settings`, like the other options.
        certificate: see there.
        client_certificate: see there.
        client_key: see there.
        compression: see there.
        timeout: see there.
        service: the service's name.
        environment: the deployment environment.
        environ: the environment's variables.

    Returns:
        The sink.

    Raises:
        ConfigurationError: a value does not hold.
    """
    settings = otlp_settings(
        endpoint=endpoint,
        certificate=certificate,
        client_certificate=client_certificate,
        client_key=client_key,
        compression=compression,
        timeout=timeout,
        environ=environ,
    )
    return OtlpSink(settings, service=service, environment=environment)


def _tls(settings: OtlpSettings) -> ssl.SSLContext | None:
    if not settings.endpoint.startswith("https:"):
        return None
    place = "certificate"
    try:
        context = ssl.create_default_context(cafile=settings.certificate)
        if settings.client_certificate is not None:
            place = "client_certificate, client_key"
            # A password, so that an encrypted key is refused and none is asked for at the terminal.
            context.load_cert_chain(settings.client_certificate, settings.client_key, password="")
    except (OSError, ValueError):  # ssl.SSLError is an OSError; ValueError: a NUL in the path
        msg = f"export.otlp: {place}: can't be read; name PEM files, the key's without a passphrase"
        raise ConfigurationError(msg) from None
    return context


def _content(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes | None:
    """Read the body of an answer; None where it is too long or breaks off."""
    content = b""
    try:
        while len(content) <= LONGEST_ANSWER and time.monotonic() < deadline:
            piece = response.read1(LONGEST_ANSWER, decode_content=False)
            if not piece:  # and with that the connection is free again
                return content
            content += piece
    except urllib3.exceptions.HTTPError:
        pass
    response.close()
    return None


def _seconds(retry_after: str | None) -> float | None:
    """Read a `Retry-After` (RFC 9110, 10.2.3): seconds, or a date; None where it is neither."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        seconds = float(retry_after[:9])
    else:
        try:
            date = email.utils.parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S)
