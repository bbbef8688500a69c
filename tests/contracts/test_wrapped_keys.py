"""Services whose keys are wrapped by each of the real things, from the administration to the message."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import Tracing, Verdict
from interceptors.diagnosis import Status, diagnose
from interceptors.errors import Answer
from interceptors.keys import KeyAdministration, caching, keyring
from interceptors.keys.wrapping_uri import key_wrapper
from interceptors.message import Message

from .wrapping import Aws, Token, Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interceptors.pipeline import Receipt
    from tests.brokers.provision import Server

    from .wrapping import Service

ORDERS = Message("kafka", "orders")
PATIENCE = 60.0
"""Seconds after which a test fails rather than wait on."""
SHORT = "1s"
LONG = "1h"


class Site:
    """An administration, and the services `checkout` and `billing`, which reads it, with wrapped keys."""

    def __init__(self, service: Service, folder: Path, closing: contextlib.ExitStack) -> None:
        self.service = service
        self.folder = folder
        self._closing = closing
        wrappers = partial(key_wrapper, settings=service.settings)
        self.administration = KeyAdministration(folder / "roots.json", wrappers=wrappers)
        self.administration.root("acme", service.uri)
        own = service.another()
        for name, reads in (("checkout", []), ("billing", ["checkout"])):
            file = folder / f"{name}.json"
            self.administration.grant(name, "acme", reads, file, signs=True, wrapping=own)
        (folder / "policy.yaml").write_text("version: 1\n")

    def start(self, name: str, cache: str = LONG) -> Tracing:
        """Start a service as its configuration says."""
        found: dict[str, Any] = {
            "service": name,
            "tenant": "acme",
            "policy": "policy.yaml",
            "keys": {"file": f"{name}.json", "cache": cache}
            | self.service.settings.model_dump(exclude_none=True, exclude_defaults=True),
            "export": {"file": {"path": f"{name}.jsonl"}},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(found))
        tracing = Tracing.from_file(path)
        self._closing.callback(tracing.close, 0)
        return tracing

    def files(self) -> list[str]:
        """The text of each key file."""
        return [(self.folder / f"{name}.json").read_text() for name in ("roots", "checkout", "billing")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten how long it is waited before what has failed is asked again."""
    monkeypatch.setattr(caching, "SPARED_S", 1.0)
    monkeypatch.setattr(keyring, "UNKNOWN_FOR_MS", 500)


@pytest.fixture(params=[Aws, Vault, Token], ids=lambda service: service.name)
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site on each of the real things."""
    with contextlib.ExitStack() as closing:
        service: Service
        if request.param is Aws:
            service = Aws(closing, monkeypatch)
        elif request.param is Vault:
            address, token = request.getfixturevalue("real_vault")
            service = Vault(address, token, tmp_path, closing)
        else:
            service = Token(request.getfixturevalue("softhsm"), tmp_path)
        yield Site(service, tmp_path, closing)


def sealed(tracing: Tracing) -> bytes | None:
    """Send a message, and give its envelope; that it is sent comes first."""
    with tracing.send(ORDERS) as sending:
        return sending.envelope


def received(tracing: Tracing, envelope: bytes | None) -> Receipt:
    """Receive a message with an envelope; each time it is the first."""
    assert envelope is not None
    wanted = tracing.opening_keys_wanted([envelope])
    if wanted is not None:
        wanted()
    return tracing.receive(ORDERS._replace(envelopes=(envelope,)), consumer=str(time.monotonic_ns()))


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about, and that tells nobody."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # between two looks, so that the other thread has the processor


def test_services_read_each_other_and_no_file_holds_a_key_in_clear(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    checkout, billing = site.start("checkout"), site.start("billing")
    receipt = received(billing, sealed(checkout))
    assert (receipt.verdict, receipt.sender) == (Verdict.FRESH, "checkout")
    for text in site.files():
        assert "wrapped_" in text
        assert not re.search(r'"(root|sender_key|signing_key|key)":', text)
    held = [key for tracing in (checkout, billing) for key in tracing._keyring.keys.held.values()]
    assert held
    for key in held:
        assert not any(key.key.hex() in text for text in (*site.files(), caplog.text))
        assert repr(key.key)[2:-1] not in caplog.text
    assert site.service.secret not in caplog.text


def test_a_rotation_reaches_running_services(site: Site) -> None:
    checkout, billing = site.start("checkout"), site.start("billing")
    before = sealed(checkout)
    assert before is not None
    site.administration.rotate("acme", now=True)
    until(lambda: (sealed(checkout) or before)[2:18] != before[2:18])
    assert received(billing, sealed(checkout)).verdict is Verdict.FRESH
    assert received(billing, before).verdict is Verdict.FRESH


def test_keys_may_be_wrapped_by_another_key_while_services_run(site: Site) -> None:
    checkout = site.start("checkout", SHORT)
    before = sealed(checkout)
    texts = site.files()
    site.administration.rewrap(site.service.another())
    site.administration.rewrap(site.service.another(), "checkout")
    assert site.files() != texts
    assert received(site.start("billing"), sealed(checkout)).verdict is Verdict.FRESH
    again = sealed(site.start("checkout"))
    assert before is not None
    assert again is not None
    assert again[2:18] == before[2:18]  # the key is the same


def test_while_access_is_denied_a_service_seals_with_what_it_holds_for_as_long_as_it_may(site: Site) -> None:
    long, short = site.start("checkout"), site.start("checkout", SHORT)
    assert sealed(long)
    assert sealed(short)
    site.service.deny()
    until(lambda: sealed(short) is None)  # the message is sent all the same
    assert sealed(long)
    assert sealed(site.start("billing")) is None
    site.service.come_back()
    until(lambda: sealed(short) is not None)


def test_the_doctor_unwraps_and_says_where_it_cant(site: Site) -> None:
    site.start("checkout")
    path = site.folder / "checkout.yaml"
    assert [check.status for check in diagnose(path) if check.text.startswith("keys: ")] == [Status.OK]
    site.service.deny()
    (wrong,) = [check for check in diagnose(path) if check.text.startswith("keys: ")]
    assert wrong.status is Status.WRONG
    assert "check this service's permissions and credentials" in wrong.text
    assert site.service.secret not in wrong.text


@pytest.mark.parametrize("site", [Aws, Token], indirect=True, ids=lambda service: service.name)
def test_while_it_is_away_services_go_on_and_revocations_are_heard(site: Site) -> None:
    checkout, billing = site.start("checkout", SHORT), site.start("billing", SHORT)
    envelope = sealed(checkout)
    assert received(billing, envelope).verdict is Verdict.FRESH
    shortly = site.start("billing")  # has no key yet
    site.service.vanish()
    try:
        assert sealed(shortly) is None
        first = time.monotonic()
        while time.monotonic() < first + 2.5:  # longer than keys are kept
            assert sealed(checkout)
            assert received(billing, envelope).verdict is Verdict.FRESH
        revoke_in(site.folder / "billing.json", envelope)
        until(lambda: received(billing, envelope).answer is Answer.REVOKED_KEY)
    finally:
        site.service.come_back()
    until(lambda: sealed(shortly) is not None)


def revoke_in(file: Path, envelope: bytes | None) -> None:
    """Write what a revocation writes, which needs nothing to be unwrapped."""
    assert envelope is not None
    content = json.loads(file.read_text())
    for entry in content["keys"]:
        entry["revoked"] = entry["kid"] == envelope[2:18].hex()
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content))
    new.replace(file)


def test_a_service_goes_on_when_its_vault_is_killed(owned_vault: tuple[Server, str], tmp_path: Path) -> None:
    server, token = owned_vault
    with contextlib.ExitStack() as closing:
        site = Site(Vault(server.address, token, tmp_path, closing), tmp_path, closing)
        checkout, billing = site.start("checkout", SHORT), site.start("billing", SHORT)
        envelope = sealed(checkout)
        assert received(billing, envelope).verdict is Verdict.FRESH
        server.kill()
        first = time.monotonic()
        while time.monotonic() < first + 2.5:  # longer than keys are kept
            assert sealed(checkout)
            assert received(billing, envelope).verdict is Verdict.FRESH
        late = site.start("billing")
        assert sealed(late) is None


def test_what_is_throttled_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as closing:
        aws = Aws(closing, monkeypatch)
        site = Site(aws, tmp_path, closing)
        aws.answer("ThrottlingException")
        checkout = site.start("checkout")
        assert sealed(checkout) is None
        asked = aws.asked
        assert asked > 1
        aws.come_back()
        until(lambda: sealed(checkout) is not None)
