"""Keys of clouds: AWS, Google, Azure and others."""

from __future__ import annotations

import re
from dataclasses import replace

from interceptors.scan.detector import Detector, Rule, after_word, checked
from interceptors.scan.detectors.secrets_forms import (
    BASE62,
    BASE64URL,
    FILLER,
    FILLER_HEX,
    SIGN,
    token,
    varied,
)
from interceptors.scan.finding import Validation
from interceptors.scan.validators.entropy import is_hex, is_mask, shannon

_AWS_ID = "(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"
_AWS_SECRET = "[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"  # noqa: S105 - the form of one
_SECRET_RULE = after_word(
    "secret access key", "aws secret", "secret key", "secret accesskey", value=_AWS_SECRET
)
_SAS_NEAR = 512
_SAS_PART = re.compile(rb"[?&;](?:amp;)?s(?:v|e|p|r|t|kn)=")
_ENOUGH = 3.6
"""Bits a character of 40 that were drawn from 64; of 40 hex digits there can't be more than 4."""


def _aws_secret(text: str) -> bool:
    return not is_hex(text) and shannon(text) >= _ENOUGH


def _signed_address(match: re.Match[bytes]) -> bool:
    begin = max(0, match.start() - _SAS_NEAR)
    return _SAS_PART.search(match.string, begin, match.end() + _SAS_NEAR) is not None


CLOUD = (
    Detector(
        name="aws_access_key_id",
        class_="secret.cloud_key",
        rules=(
            Rule(
                tuple(
                    f"{kind}[A-Z0-9]{{{20 - width}}}"
                    for kind, width in (("A3T", 3), *((k, 4) for k in ("AKIA", "ASIA", "ABIA", "ACCA")))
                ),
                rf"(?<![A-Za-z0-9]){_AWS_ID}(?![A-Za-z0-9])",
            ),
        ),
        validator=checked(lambda text: not is_mask(text)),
        validation=Validation.PATTERN,
        reason="prefix and length of an access key id of AWS; that of the documentation has the form too",
        examples=(b'{"note": "AKIAI44QH8DHBEXAMPLE"}', b"using AKIAIOSFODNN7EXAMPLE now"),
        counter_examples=(b'{"note": "AKIAXXXXXXXXXXXXXXXX"}', b'{"note": "AKIAMUVV1F75ZFNP"}'),
    ),
    Detector(
        name="aws_secret_access_key",
        class_="secret.cloud_key",
        rules=(
            _SECRET_RULE,
            # As in code and in configuration: `"name": …, "value": …`, ["…"] = …, setenv("…", …).
            replace(
                _SECRET_RULE,
                pattern=r"(?i:secret[ _.-]?access[ _.-]?key|aws[ _.-]?secret|secret[ _.-]?key)"
                rf"""[A-Za-z0-9_.-]{{0,24}}(?:{SIGN}|["'][ ]?,[ ]?["']| \[[A-Za-z0-9*]{{1,24}}\]: |[ ])"""
                rf"(?<![A-Za-z0-9/+])(?P<id>{_AWS_SECRET})",
            ),
            Rule(
                tuple(f"{kind}[A-Z0-9]{{16}}" for kind in ("AKIA", "ASIA")),
                rf"""A[KS]IA[A-Z0-9]{{16}}["']?[ \t]?(?:\r?\n|[,:;| \t/])[ \t]?["']?(?P<id>{_AWS_SECRET})""",
            ),
        ),
        validator=checked(_aws_secret),
        validation=Validation.PATTERN,
        reason="40 characters of base64 with their entropy, by their name or right behind an access key id",
        context=("secret access key", "aws secret", "secret key"),
        examples=(
            b"aws_secret_access_key = cmgfmqSWstSqkNh5brTo/21oKpdaZPNtriSPvMUC",
            b'{"SecretAccessKey": "' + FILLER[:39] + b'+"}',
            b"AKIAIOSFODNN7EXAMPLE," + FILLER[:40],
            b'os.environ["AWS_SECRET_ACCESS_KEY"] = "' + FILLER[:39] + b'/"',
            b"- name: AWS_SECRET_ACCESS_KEY\n  value: " + FILLER[:40],
        ),
        counter_examples=(
            b"secret_key_sha1: " + FILLER_HEX[:40],
            b"aws_secret_access_key = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
    ),
    Detector(
        name="aws_session_token",
        class_="secret.cloud_key",
        rules=(
            after_word("session token", "security token", value="[A-Za-z0-9+/]{100,4096}={0,2}", rest=""),
            Rule(
                (r"IQoJb3JpZ2lu[A-Za-z0-9+/]{8}",),
                r"(?<![A-Za-z0-9+/])IQoJb3JpZ2lu[A-Za-z0-9+/]{100,4096}={0,2}",
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="base64 of 100 characters or more by its name, or that begins as session tokens of AWS do",
        context=("session token", "security token"),
        examples=(
            b"AWS_SESSION_TOKEN=FwoGZXIvYXdzE" + FILLER[:200] + b"==",
            b'{"note": "IQoJb3JpZ2luX2Vj' + FILLER[:200] + b'"}',
        ),
        counter_examples=(b'{"session_token": "3f2a"}', b'{"note": "IQoJb3JpZ2lu"}'),
    ),
    token(
        "aws_bedrock_key",
        ("ABSKQmVkcm9ja0FQSUtleS", "bedrock-api-key-"),
        "[A-Za-z0-9+/=_-]{60,300}",
        "1Bll1fhY4saZPZuRUz8DHWWUd1Qkh8DJvaeKVgfvqPf9QXtQcYbmoGGSakb7QVH5i5t3iArgygnpm2ogtiJy4iPfCFalm0Otz82g61snxNtjR",
        "a key of Amazon Bedrock",
        class_="secret.cloud_key",
    ),
    token(
        "aws_mws_token",
        ("amzn.mws.",),
        "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "3081cb9c-e32f-602a-0589-30166c2b9e14",
        "an Amazon MWS token",
        class_="secret.cloud_key",
    ),
    token(
        "aws_appsync_key",
        ("da2-",),
        "[a-z0-9]{26}",
        "yzzqa5f7uoms4vyndwifxbh6pj",
        "an AWS AppSync API key",
        lead="[a-z0-9]{26}",
        class_="secret.cloud_key",
    ),
    token(
        "gcp_api_key",
        ("AIza",),
        f"{BASE64URL}{{35}}",
        "SyLarUSscD35FYXLLk-ITq7E_qTPspIeyVY",
        "a Google API key",
        class_="secret.cloud_key",
    ),
    token(
        "gcp_oauth_secret",
        ("GOCSPX-",),
        f"{BASE64URL}{{24,32}}",
        "BN8wrqJdjvRJFOksHHmqMj-ff88Y",
        "a Google OAuth client secret",
        class_="secret.cloud_key",
    ),
    token(
        "gcp_access_token",
        ("ya29.",),
        f"{BASE64URL}{{40,1024}}",
        "a0AmrN1v649twyzLpy5Z7iNoBANAK38mUFxVLtbQWsKqiweoJ1ly440fwwm-MuFJDpm53QEvh5ldKdGTHNZiUbhwuDj41faBX7lK7LQn5ytpeTxzxCLapgC2WJR",
        "a Google OAuth access token",
        class_="secret.cloud_key",
    ),
    token(
        "alibaba_access_key_id",
        ("LTAI",),
        "[A-Za-z0-9]{12,26}",
        "5tPXMI8iu472da2fGGHE",
        "an access key id of Alibaba Cloud",
        lead="[A-Za-z0-9]{12}",
        class_="secret.cloud_key",
    ),
    token(
        "tencent_secret_id",
        ("AKID",),
        f"{BASE62}{{32}}",
        "l0jnJ0wij4WsYgkJ96t0Dn3fhjb8NjGW",
        "a secret id of Tencent Cloud",
        lead=f"{BASE62}{{32}}",
        class_="secret.cloud_key",
    ),
    Detector(
        name="azure_storage_key",
        class_="secret.cloud_key",
        rules=(
            after_word(
                "account key",
                "storage key",
                "primary key",
                "secondary key",
                "cosmos key",
                value="[A-Za-z0-9+/]{86}==",
            ),
            Rule(
                (r"\+ASt[A-Za-z0-9+/]{5}[AQgw]==",),
                r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{5}[AQgw]==",
                before=76,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="64 bytes in base64 by the name of an Azure storage key, or with the mark that such keys have",
        context=("account key", "storage key", "primary key"),
        examples=(
            b"AccountName=logs;AccountKey=" + FILLER[:86] + b"==;EndpointSuffix=core",
            b'{"note": "' + FILLER[:76] + b'+ASt8wtx9A=="}',
        ),
        counter_examples=(b"AccountKey=abc==", b'{"sha512": "' + FILLER[:86] + b'=="}'),
    ),
    Detector(
        name="azure_sas",
        class_="secret.cloud_key",
        rules=(
            Rule(
                (r"[?&;]sig=",),
                r"[?&;]sig=(?P<id>(?:[A-Za-z0-9/+_-]|%2[BbFf]){43}(?:=|%3[Dd]){0,2})(?![A-Za-z0-9])",
            ),
        ),
        validator=_signed_address,
        validation=Validation.PATTERN,
        reason="a signature of 32 bytes beside other fields of a shared access signature of Azure",
        examples=(
            b"https://logs.example.com/c?sv=2024-05-04&se=2030-01-01&sr=c&sp=r&sig=" + FILLER[:43] + b"%3D",
            b"SharedAccessSignature sr=example.com&sig=" + FILLER[:41] + b"%2FV%3D&se=1700000000&skn=send",
        ),
        counter_examples=(b"https://example.com/?sig=" + FILLER[:43], b"https://example.com/?sv=1&sig=abc"),
    ),
    Detector(
        name="azure_shared_access_key",
        class_="secret.cloud_key",
        rules=(
            after_word("shared access key", "shared secret key", value="[A-Za-z0-9+/]{40,88}={1,2}", rest=""),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="32 bytes or more in base64 by the name of a shared access key (Service Bus, IoT Hub)",
        context=("shared access key",),
        examples=(
            b"Endpoint=sb://a.example.com/;SharedAccessKeyName=send;SharedAccessKey=" + FILLER[:43] + b"=",
            b'{"sharedAccessKey": "' + FILLER[:43] + b'="}',
        ),
        counter_examples=(b"SharedAccessKeyName=RootManageSharedAccessKey", b"SharedAccessKey=abc="),
    ),
    Detector(
        name="azure_client_secret",
        class_="secret.cloud_key",
        rules=(
            Rule(
                (r"[0-9]Q~[A-Za-z0-9_~.-]{31}",),
                r"(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])",
                before=3,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="length, and Q~ behind a digit where client secrets of Microsoft Entra have it",
        examples=(
            b'{"note": "aB38Q~1bqTbCauYsSE0DYtdbcfbG2tArDN6rf00P"}',
            b"using x_Y7Q~4B3Teb4zWbqVaX7RHL0eR9a0uUgFBgv now",
        ),
        counter_examples=(b"aB3Q~HbUaRh6K1QOc4NoCpwxJeTH0hTep10qLC1", b"aB38Q~DFc5cZ3Z6ZWP"),
    ),
    Detector(
        name="azure_devops_token",
        class_="secret.cloud_key",
        rules=(
            Rule(
                (r"AZDO[A-Za-z0-9]{4}",),
                r"(?<![A-Za-z0-9])[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])",
                before=76,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="84 characters with the mark of Azure DevOps in its place",
        examples=(b'{"note": "' + FILLER[:76] + b'AZDODfl5"}', b"using " + FILLER[:76] + b"AZDOkLHN now"),
        counter_examples=(b"nJNYM8Kpmpsci7w9L1VUAZDO5MD6", b"AZDO1234"),
    ),
    Detector(
        name="terraform_token",
        class_="secret.cloud_key",
        rules=(
            Rule(
                (r"\.atlasv1\.[A-Za-z0-9_-]{8}",),
                r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}(?![A-Za-z0-9])",
                before=14,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="length and .atlasv1. of a token of Terraform Cloud",
        examples=(
            b'{"note": "UuCFa6tMhxVm2s.atlasv1.' + FILLER[:67] + b'"}',
            b"using X3jMLT02KUHld3.atlasv1." + FILLER[:60] + b" now",
        ),
        counter_examples=(b"app.atlasv1.example.com", b"Y3oqlHcXGaOWgm.atlasv1.abcdefgh"),
    ),
)
"""Of those whose platform runs all the rest, so that a leak opens it all."""
