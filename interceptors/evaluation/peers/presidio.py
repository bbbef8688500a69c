"""Presidio, with its pattern recognizers and no language model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from interceptors.evaluation.peers.peer import PRIVATE, Entity, Kind, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Presidio"

THRESHOLD = 0.4
"""The least score that counts. Below it are patterns that nearly any number has, with no word for it."""

KINDS = {
    "ABA_ROUTING_NUMBER": Kind("payment.bank_routing", "aba_routing"),
    "AU_ABN": Kind("personal.tax_id", "au_abn"),
    "AU_MEDICARE": Kind("personal.health_id", "au_medicare"),
    "AU_TFN": Kind("personal.tax_id", "au_tfn"),
    "CA_SIN": Kind("personal.national_id", "ca_sin"),
    "CREDIT_CARD": Kind("payment.card", "card_number"),
    "CRYPTO": Kind("payment.crypto_address"),
    "DE_TAX_ID": Kind("personal.tax_id", "de_tax_id"),
    "EMAIL_ADDRESS": Kind("personal.email", "email"),
    "ES_NIE": Kind("personal.national_id", "es_nie"),
    "ES_NIF": Kind("personal.national_id", "es_dni"),
    "FI_PERSONAL_IDENTITY_CODE": Kind("personal.national_id", "fi_hetu"),
    "IBAN_CODE": Kind("payment.bank_account", "iban"),
    "IN_AADHAAR": Kind("personal.national_id", "in_aadhaar"),
    "IN_PAN": Kind("personal.tax_id", "in_pan"),
    "IP_ADDRESS": Kind("network.ip"),
    PRIVATE + "IP_ADDRESS": Kind("network.private_ip"),
    "IT_FISCAL_CODE": Kind("personal.national_id", "it_codice_fiscale"),
    "MAC_ADDRESS": Kind("network.mac", "mac_address"),
    "PHONE_NUMBER": Kind("personal.phone", "phone"),
    "PL_PESEL": Kind("personal.national_id", "pl_pesel"),
    "SE_PERSONNUMMER": Kind("personal.national_id", "se_personnummer"),
    "UK_NHS": Kind("personal.health_id", "uk_nhs_number"),
    "UK_NINO": Kind("personal.national_id", "uk_nino"),
    "US_ITIN": Kind("personal.tax_id", "us_itin"),
    "US_MBI": Kind("personal.health_id", "us_mbi"),
    "US_NPI": Kind("personal.health_id", "us_npi"),
    "US_SSN": Kind("personal.national_id", "us_ssn"),
}

_LANGUAGE = "en"


class _Words:
    """Stands for a language model: cuts a text into words, so that words beside a number count for it."""

    def __init__(self, artifacts: Any, tokenizer: Any) -> None:  # noqa: ANN401 - Presidio and spaCy are no dependencies
        self._artifacts = artifacts
        self._tokenizer = tokenizer

    def is_loaded(self) -> bool:
        return True

    def is_stopword(self, word: str, language: str) -> bool:
        _ = word, language
        return False

    is_punct = is_stopword

    def get_supported_entities(self) -> list[str]:
        return []

    def process_text(self, text: str, language: str) -> Any:  # noqa: ANN401 - as above
        tokens = self._tokenizer(text)
        starts = [token.idx for token in tokens]
        lemmas = [token.text.lower() for token in tokens]
        return self._artifacts(
            entities=[],
            tokens=tokens,
            tokens_indices=starts,
            lemmas=lemmas,
            nlp_engine=self,
            language=language,
        )


def load() -> Peer:
    """Load it, with each of its recognizers that finds one of `KINDS`, whatever language that is for.

    Raises:
        ImportError: it is not installed.
    """
    presidio = import_module("presidio_analyzer")
    predefined = import_module("presidio_analyzer.predefined_recognizers")
    extract: Any = import_module("tldextract.tldextract")
    # Its e-mail recognizer would fetch the list of top-level domains; the one that is in its package will do.
    extract.TLD_EXTRACTOR = extract.TLDExtract(suffix_list_urls=())
    words = _Words(
        import_module("presidio_analyzer.nlp_engine").NlpArtifacts, import_module("spacy").blank(_LANGUAGE)
    )
    recognizers = [
        recognizer(supported_language=_LANGUAGE)
        for recognizer in vars(predefined).values()
        if isinstance(recognizer, type)
        and issubclass(recognizer, presidio.PatternRecognizer)
        and recognizer is not presidio.PatternRecognizer
    ]
    recognizers.append(predefined.PhoneRecognizer(supported_language=_LANGUAGE))
    registry = presidio.RecognizerRegistry(
        [recognizer for recognizer in recognizers if KINDS.keys() & recognizer.supported_entities]
    )
    analyzer = presidio.AnalyzerEngine(
        registry=registry,
        nlp_engine=words,
        supported_languages=[_LANGUAGE],
        default_score_threshold=THRESHOLD,
    )

    def find(text: str) -> Iterator[Entity]:
        for result in analyzer.analyze(text, _LANGUAGE):
            yield Entity(result.entity_type, result.start, result.end)

    return Peer(NAME, KINDS, find)
