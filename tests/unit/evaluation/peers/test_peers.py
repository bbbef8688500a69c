"""Each peer is called as it wants to be, and what it says is told in our words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from interceptors.evaluation.labelled import Record
from interceptors.evaluation.peers import PEERS, load_peers
from interceptors.evaluation.peers import datafog as our_datafog
from interceptors.evaluation.peers import detect_secrets as our_detect_secrets
from interceptors.evaluation.peers import presidio as our_presidio
from interceptors.evaluation.peers.peer import Entity, Kind, Peer
from interceptors.evaluation.scoring import Prediction, Reading
from interceptors.scan.inspection import Format

if TYPE_CHECKING:
    from types import SimpleNamespace

EMAIL = ("email", "personal.email")


def record(body: bytes) -> Record:
    return Record("r", body, Format.AUTO, ())


@pytest.mark.usefixtures("missing")
def test_peers_that_are_not_installed_are_named() -> None:
    assert load_peers() == ([], list(PEERS))


@pytest.mark.usefixtures("datafog", "detect_secrets", "presidio")
def test_peers_that_are_installed_are_loaded() -> None:
    loaded, missing = load_peers()
    assert ([peer.name for peer in loaded], missing) == (["Presidio", "detect-secrets", "DataFog"], [])


def test_datafog(datafog: list[tuple[str, str, tuple[str, ...]]]) -> None:
    reading = our_datafog.load().read(record(b"a @"))
    assert reading == Reading([Prediction(*EMAIL, 2, 3)])
    assert datafog == [("a @", "regex", ("de",))]


def test_detect_secrets(detect_secrets: list[dict[str, str]]) -> None:
    reading = our_detect_secrets.load().read(record(b"one\ntwo AKIA\n-- BEGIN\n"))
    assert reading.predictions == [
        Prediction("", "secret.cloud_key", 8, 12),
        Prediction("", "secret.private_key", 13, 22),  # it gives no place: the line
    ]
    assert detect_secrets == [{"name": "int"}]


def test_presidio(presidio: SimpleNamespace) -> None:
    peer = our_presidio.load()
    assert peer.read(record(b"Mail @")).predictions == [Prediction(*EMAIL, 5, 6)]
    assert [type(each).__name__ for each in presidio.registry] == ["EmailRecognizer", "PhoneRecognizer"]
    assert {each.supported_language for each in presidio.registry} == {"en"}
    assert presidio.default_score_threshold == our_presidio.THRESHOLD
    assert presidio.extract.TLD_EXTRACTOR == ()  # no list is fetched


def test_presidio_is_given_words_without_a_model(presidio: SimpleNamespace) -> None:
    our_presidio.load().read(record(b"Mail @"))
    engine, artifacts = presidio.nlp_engine, presidio.artifacts
    assert (artifacts.lemmas, artifacts.tokens_indices) == (["mail", "@"], [0, 5])
    assert (artifacts.entities, artifacts.language, artifacts.nlp_engine) == ([], "en", engine)
    assert (engine.is_loaded(), engine.get_supported_entities()) == (True, [])
    assert (engine.is_stopword("the", "en"), engine.is_punct(".", "en")) == (False, False)


@pytest.mark.parametrize(
    ("body", "span"), [("€ @".encode(), (4, 5)), (b"\xff @", (2, 3)), ("@€".encode(), (0, 1))]
)
def test_characters_are_counted_as_bytes(
    datafog: list[tuple[str, str, tuple[str, ...]]], body: bytes, span: tuple[int, int]
) -> None:
    assert our_datafog.load().read(record(body)).predictions == [Prediction(*EMAIL, *span)]
    assert len(datafog) == 1


@pytest.mark.usefixtures("datafog")
def test_a_record_that_a_peer_fails_on_was_not_looked_at() -> None:
    assert our_datafog.load().read(record(b"crash")) == Reading((), whole=False)


@pytest.mark.parametrize(
    ("address", "class_"),
    [
        ("8.8.8.8", "network.ip"),
        ("10.0.0.1", "network.private_ip"),
        ("::1", "network.private_ip"),
        ("not one", "network.ip"),
    ],
)
def test_an_address_is_told_by_its_network(address: str, class_: str) -> None:
    kinds = {"IP": Kind("network.ip"), "PRIVATE_IP": Kind("network.private_ip")}
    peer = Peer("p", kinds, lambda text: [Entity("IP", 0, len(text))])
    assert [each.class_ for each in peer.read(record(address.encode())).predictions] == [class_]


@pytest.mark.parametrize(
    ("class_", "claimed"),
    [
        ("payment.card", True),
        ("payment", True),
        ("card_number", True),
        ("network.ip", True),
        ("network.private_ip", False),
        ("payment.card_code", False),
        ("secret", False),
        ("", False),
    ],
)
def test_a_peer_claims_what_its_names_stand_for(class_: str, claimed: bool) -> None:  # noqa: FBT001 - a case
    kinds = {"CARD": Kind("payment.card", "card_number"), "IP": Kind("network.ip")}
    assert Peer("p", kinds, lambda _: []).claims(class_) is claimed
