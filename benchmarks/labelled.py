"""Turns the public vectors of a folder into labelled data that `interceptors eval` reads.

The folder holds, as they are published, `gitleaks/rule_vectors.json`, `noseyparker/rule_examples.json`,
`detect-secrets/plugin_test_vectors.json`, `dd-sds/validator_vectors.json` and `datafog/corpus/*.json`. Each
becomes a file of its own, because each is labelled with something else; what is not there is left out.

Where a set says no more than that a text holds a secret, the label has no place. Its negatives are those of
one rule, so that another rule may well be right in them.
"""

from __future__ import annotations

import argparse
import json
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SECRETS = {
    "aws-access-token": "secret.cloud_key",
    "jwt": "secret.jwt",
    "jwt_test.py": "secret.jwt",
    "np.aws.1": "secret.cloud_key",
    "np.jwt.1": "secret.jwt",
    "np.pem.1": "secret.private_key",
    "private-key": "secret.private_key",
}
"""Rules whose class is known; that of the others is no more than `secret`."""

PUBLIC = (
    "np.age.1",
    "np.arn.1",
    "np.aws.3",
    "np.codeclimate.1",
    "np.gcs.",
    "np.github.5",
    "np.google.1",
    "np.linkedin.1",
    "np.mapbox.1",
    "np.pwhash.",
    "np.reactapp.1",
    "np.s3.",
    "np.segment.1",
    "np.shopify.1",
    "np.twitter.1",
)
"""Rules of Nosey Parker for what is no secret: names, addresses, public keys, digests."""

ENTITIES = {
    "CREDIT_CARD": "payment.card",
    "DE_IBAN": "payment.bank_account",
    "EMAIL": "personal.email",
    "IP_ADDRESS": "network.ip",
    "PHONE": "personal.phone",
    "SSN": "us_ssn",
}
"""DataFog's names. Persons, places and dates in prose are left out: here, they count by their key only."""

VALIDATORS = {
    "aba_rtn_checksum": ("payment.bank_routing", "routing_number"),
    "atlassian_token_checksum": ("secret", "value"),
    "australian_medicare_checksum": ("personal", "medicare"),
    "australian_tfn_checksum": ("personal", "tfn"),
    "brazilian_cnpj_checksum": ("personal", "cnpj"),
    "brazilian_cpf_checksum": ("personal", "cpf"),
    "btc_checksum": ("payment.crypto_address", "wallet"),
    "coordination_number_checksum": ("personal", "personnummer"),
    "dutch_bsn_checksum": ("personal", "bsn"),
    "ethereum_checksum": ("payment.crypto_address", "wallet"),
    "finnish_hetu_checksum": ("personal", "hetu"),
    "france_ssn_checksum": ("personal", "nir"),
    "github_token_checksum": ("secret", "value"),
    "iban_checker": ("payment.bank_account", "iban"),
    "iso_7064_checksum": ("personal", "steuer_id"),
    "italian_national_id_checksum": ("personal", "codice_fiscale"),
    "luhn_checksum": ("payment.card", "card_number"),
    "nhs_check_digit": ("personal", "nhs_number"),
    "nir_checksum": ("personal", "nir"),
    "polish_national_id_checksum": ("personal", "pesel"),
    "spain_dni_checksum": ("personal", "dni"),
    "uk_nino_format_check": ("personal", "nino"),
    "us_npi_checksum": ("personal", "npi"),
    "verhoeff_checksum": ("personal", "aadhaar"),
}
"""The class of what a validator is for, and the key under which its values are shown to the scanner."""


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def secret(name: str, text: str, rule: str | None) -> dict[str, Any]:
    """Give the record of a text that holds a secret of a rule; None for none."""
    labels = [] if rule is None else [{"class": SECRETS.get(rule, "secret")}]
    return {"id": name, "text": text, "labels": labels}


def gitleaks(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"classes": ["secret"]}
    for number, each in enumerate(load(folder / "rule_vectors.json")):
        rule, is_one = each["rule"], each["label"] == "tp"
        if not is_one or each["own_regex_matches"] is not False:
            yield secret(f"{rule} {number}", each["text"], rule if is_one else None)


def noseyparker(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"classes": ["secret"]}
    for each in load(folder / "rule_examples.json"):
        rule = each["id"]
        if rule.startswith(PUBLIC):
            continue
        for number, text in enumerate(each["examples"]):
            yield secret(f"{rule} {number}", text, rule)
        for number, text in enumerate(each["negative_examples"]):
            yield secret(f"{rule} not {number}", text, None)


def detect_secrets(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"classes": ["secret"]}
    for number, each in enumerate(load(folder / "plugin_test_vectors.json")):
        text, rule = each.get("payload", each.get("line")), each["file"]
        if isinstance(text, str) and "should_flag" in each and rule != "ip_public_test.py":
            yield secret(f"{rule} {number}", text, rule if each["should_flag"] else None)


def dd_sds(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"classes": sorted({class_ for class_, _ in VALIDATORS.values()})}
    for number, each in enumerate(load(folder / "validator_vectors.json")):
        if each["validator"] not in VALIDATORS or each["label"] is None or not each["value"]:
            continue
        class_, key = VALIDATORS[each["validator"]]
        before = f'{{"{key}": "'
        start = len(before.encode())
        label = {"class": class_, "start": start, "end": start + len(each["value"].encode())}
        yield {
            "id": f"{each['validator']} {number}",
            "text": f'{before}{each["value"]}"}}',
            "labels": [label] if each["label"] == "valid" else [],
        }


def datafog(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"classes": sorted({*ENTITIES.values(), "network.private_ip"})}
    for path in sorted((folder / "corpus").glob("*.json")):
        for each in load(path):
            text = each["input"]
            labels = [entity(text, found) for found in each["expected_entities"] if found["type"] in ENTITIES]
            yield {"id": f"{path.stem} {each['id']}", "text": text, "labels": labels}


def entity(text: str, found: dict[str, Any]) -> dict[str, Any]:
    class_ = ENTITIES[found["type"]]
    if class_ == "network.ip" and ip_address(found["text"]).is_private:
        class_ = "network.private_ip"
    start, end = (len(text[: found[side]].encode()) for side in ("start", "end"))
    return {"class": class_, "start": start, "end": end}


SETS: dict[str, Callable[[Path], Iterable[dict[str, Any]]]] = {
    "datafog": datafog,
    "dd-sds": dd_sds,
    "detect-secrets": detect_secrets,
    "gitleaks": gitleaks,
    "noseyparker": noseyparker,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("vectors", type=Path, help="the folder with a folder for each set")
    parser.add_argument("out", type=Path, help="the folder to write to, a file for each set")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, records in SETS.items():
        if (options.vectors / name).is_dir():
            lines = [json.dumps(record) for record in records(options.vectors / name)]
            file = options.out / f"{name}.jsonl"
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(f"{file}: {len(lines) - 1} records")


if __name__ == "__main__":
    main()
