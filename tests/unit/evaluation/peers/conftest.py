"""Stand-ins for the peers: modules with as much of their interface as is called."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Puts a module in the place of one that may be installed or not; without attributes, it is missing."""

    def put(name: str, **attributes: Any) -> ModuleType:
        made = ModuleType(name)
        vars(made).update(attributes)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    return put


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the peers is installed."""
    for name in ("datafog", "detect_secrets", "detect_secrets.core.scan", "presidio_analyzer"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def datafog(module: Callable[..., ModuleType]) -> list[tuple[str, str, tuple[str, ...]]]:
    """DataFog, which takes each `@` for an e-mail address; gives what it was called with."""
    calls: list[tuple[str, str, tuple[str, ...]]] = []

    def scan(text: str, *, engine: str, locales: list[str]) -> SimpleNamespace:
        calls.append((text, engine, tuple(locales)))
        if "crash" in text:
            raise TypeError(text)
        found = [
            SimpleNamespace(type="EMAIL", start=place, end=place + 1)
            for place, character in enumerate(text)
            if character == "@"
        ]
        return SimpleNamespace(entities=[*found, SimpleNamespace(type="DATE", start=0, end=1)])

    module("datafog", scan=scan)
    return calls


@pytest.fixture
def detect_secrets(module: Callable[..., ModuleType]) -> list[dict[str, str]]:
    """detect-secrets, which takes each `AKIA` for an AWS key; gives the plugins that were switched on."""
    used: list[dict[str, str]] = []

    def process(lines: list[tuple[int, str]], filename: str) -> list[SimpleNamespace]:
        assert filename == ""
        found = [
            SimpleNamespace(type="AWS Access Key", secret_value="AKIA", line_number=number)
            for number, line in lines
            if "AKIA" in line
        ]
        elsewhere = [
            SimpleNamespace(type="Private Key", secret_value="not there", line_number=number)
            for number, line in lines
            if "BEGIN" in line
        ]
        return found + elsewhere

    module("detect_secrets")
    module("detect_secrets.core")
    module("detect_secrets.core.plugins")
    module("detect_secrets.core.scan", _process_line_based_plugins=process)
    module("detect_secrets.settings", get_settings=lambda: SimpleNamespace(configure_plugins=used.extend))
    module("detect_secrets.core.plugins.util", get_mapping_from_secret_type_to_class=lambda: {"x": int})
    return used


@pytest.fixture
def presidio(module: Callable[..., ModuleType]) -> SimpleNamespace:
    """Presidio, which takes each `@` for an e-mail address; gives the engine that was made."""
    made = SimpleNamespace()

    class Recognizer:
        supported_entities = ("PHONE_NUMBER",)

        def __init__(self, supported_language: str) -> None:
            self.supported_language = supported_language

    class PatternRecognizer(Recognizer):
        supported_entities = ("EMAIL_ADDRESS",)

    class UrlRecognizer(PatternRecognizer):
        supported_entities = ("URL",)

    class Engine:
        def __init__(self, **arguments: Any) -> None:
            vars(made).update(arguments)

        def analyze(self, text: str, language: str) -> list[SimpleNamespace]:
            made.artifacts = made.nlp_engine.process_text(text, language)
            return [
                SimpleNamespace(entity_type="EMAIL_ADDRESS", start=place, end=place + 1)
                for place, character in enumerate(text)
                if character == "@"
            ]

    def words(text: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(text=word, idx=text.index(word)) for word in text.split()]

    module(
        "presidio_analyzer",
        PatternRecognizer=PatternRecognizer,
        RecognizerRegistry=lambda recognizers: recognizers,
        AnalyzerEngine=Engine,
    )
    module(
        "presidio_analyzer.predefined_recognizers",
        PatternRecognizer=PatternRecognizer,
        EmailRecognizer=type("EmailRecognizer", (PatternRecognizer,), {}),
        PhoneRecognizer=type("PhoneRecognizer", (Recognizer,), {}),
        UrlRecognizer=UrlRecognizer,
        SpacyRecognizer=int,
    )
    module("presidio_analyzer.nlp_engine", NlpArtifacts=SimpleNamespace)
    module("spacy", blank=lambda language: words if language == "en" else None)
    module("tldextract")
    made.extract = module(
        "tldextract.tldextract", TLDExtract=lambda suffix_list_urls: suffix_list_urls, TLD_EXTRACTOR=None
    )
    return made
