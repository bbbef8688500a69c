"""The OpenTelemetry Collector: takes OTLP over HTTP, and passes it on to where a test looks at it."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from . import packages
from .cache import made_once
from .kind import Container, Kind, Launch
from .ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.160.0"
_PARTS = Path(__file__).with_name("collector.builder.yaml")
_CONFIGURATION = Path(__file__).parents[3] / "deploy" / "collector.yaml"
_COMMAND = ("--config=env:OTELCOL_CONFIG",)  # from the environment, natively and in Docker alike


class Collector(Kind):
    """Addressed by the URL that OTLP over HTTP goes to, without `/v1/traces`."""

    name: ClassVar[str] = "Collector"
    variable: ClassVar[str] = "COLLECTOR_URL"
    image: ClassVar[str] = "otel/opentelemetry-collector:0.160.0"
    given_exports_to: ClassVar[int] = 4319
    """The loopback port that the one named in the environment has to export to, by OTLP over HTTP."""

    def __init__(self, *, exports_to: int = given_exports_to) -> None:
        """Describe one.

        Args:
            exports_to: the loopback port that it passes on to what it is given, by OTLP over HTTP.
        """
        self._exports_to = exports_to

    def probe(self, address: str) -> None:
        """Send it no spans."""
        parts = urlsplit(address)
        client = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
        try:
            client.request("POST", "/v1/traces", "{}", {"content-type": "application/json"})
            status = client.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(f"no Collector at {address} yet") from error
        finally:
            client.close()
        if status != http.HTTPStatus.OK:
            raise ConnectionError(f"what is at {address} answers {status}")

    def fetch(self) -> str:
        """Have it built, out of Go modules; that takes one or two minutes."""
        return str(made_once("collector", _PARTS, self._build) / "otelcol")

    def _build(self, scratch: Path) -> Path:
        if not packages.find("go"):
            raise packages.missing(self, "Go 1.26 or later")
        packages.run("go", "run", _BUILDER, f"--config={_PARTS}", cwd=scratch)
        return scratch / "built"

    def launch(self, home: Path) -> Launch:  # noqa: ARG002 - it keeps nothing
        """All that it has to know is in its environment."""
        program = self.fetch()
        (port,) = free_ports(1)
        return Launch(
            address=f"http://127.0.0.1:{port}",
            command=(program, *_COMMAND),
            environment=self._environment(port),
        )

    def container(self) -> Container:
        """On this machine's network, since it has to reach a port of it."""
        (port,) = free_ports(1)
        return Container(
            address=f"http://127.0.0.1:{port}",
            port=port,
            inner_port=port,
            command=_COMMAND,
            environment=self._environment(port),
            on_host_network=True,
        )

    def _environment(self, port: int) -> Mapping[str, str]:
        return {
            "OTELCOL_CONFIG": _CONFIGURATION.read_text(),
            "COLLECTOR_LISTEN": f"127.0.0.1:{port}",
            "COLLECTOR_EXPORT": f"http://127.0.0.1:{self._exports_to}",
        }
