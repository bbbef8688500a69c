"""Tokens of what carries messages to people: chat, mail, SMS."""

from __future__ import annotations

from interceptors.scan.detector import Detector, Rule, checked
from interceptors.scan.detectors.secrets_forms import (
    BASE62,
    BASE64URL,
    FILLER,
    FILLER_HEX,
    HEX,
    token,
    varied,
)
from interceptors.scan.finding import Validation

_SLACK_PATHS = (
    r"(?:services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}|workflows/T[A-Z0-9]{6,14}/A[A-Z0-9]{6,14}/[0-9]{16,20})"
)
_UUID = f"{HEX}{{8}}(?:-{HEX}{{4}}){{3}}-{HEX}{{12}}"

MESSAGING = (
    token(
        "slack_token",
        (
            "xoxb-",
            "xoxp-",
            "xoxa-",
            "xoxr-",
            "xoxs-",
            "xoxo-",
            "xoxe-",
            "xoxe.xoxp-",
            "xoxe.xoxb-",
            "xoxc-",
            "xoxd-",
        ),
        "[A-Za-z0-9%-]{24,400}+(?<!-)",
        "241592066112-579763355561-OHZ1FzfnKpcmgfmqSWstSqkN",
        "a Slack token",
        lead="[A-Za-z0-9]",
    ),
    token(
        "slack_app_token",
        ("xapp-",),
        "[A-Za-z0-9/-]{24,150}",
        "1-AHBROOPDATR-2597248622612-db7316d552390ace153ea0232a8291067050494d83c36767394c42ef0569c396",
        "a Slack app-level token",
    ),
    Detector(
        name="slack_webhook",
        class_="secret.token",
        rules=(
            Rule(
                (r"hooks\.slack\.com/[stw]",),
                rf"hooks\.slack\.com/(?P<id>{_SLACK_PATHS}/{BASE62}{{20,28}})(?![A-Za-z0-9])",
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="host and path of an incoming webhook of Slack; who has the path may post",
        examples=(
            b'{"url": "https://hooks.slack.com/services/T0XTJGARDY/B0XSZ3GE4N/' + FILLER[:24] + b'"}',
            b"POST https://hooks.slack.com/services/TNNZFXS2D/BIY9ZZQA3/" + FILLER[24:48] + b" HTTP/1.1",
        ),
        counter_examples=(b"https://hooks.slack.com/services/", b"https://hooks.slack.com/services/T0/B0/X0"),
    ),
    Detector(
        name="teams_webhook",
        class_="secret.token",
        rules=(
            Rule(
                (r"/IncomingWebhook/[0-9a-f]{8}",),
                rf"(?P<id>{_UUID}@{_UUID}/IncomingWebhook/{HEX}{{32}}/{_UUID})(?![A-Za-z0-9])",
                before=73,
            ),
        ),
        validation=Validation.PATTERN,
        reason="path of an incoming webhook of Microsoft Teams; who has the path may post",
        examples=(
            (
                b"https://example.webhook.office.com/webhookb2/9da5da9c-4218-4c22-aed6-b5c8baebfff5"
                b"@2f2b54b7-0141-4ba7-8fcd-ab7d17a60547/IncomingWebhook/1bf66ccbb8e745e791fa6e6de0cf465b"
                b"/4361420b-8fde-48eb-b62a-0e34fec63f5c"
            ),
        ),
        counter_examples=(
            b"/IncomingWebhook/1bf66ccbb8e745e791fa6e6de0cf465b",
            b"outlook.office.com/webhook/",
        ),
    ),
    Detector(
        name="discord_webhook",
        class_="secret.token",
        rules=(
            Rule(
                (r"discordapp\.com/api/webhooks/[0-9]{8}", r"discord\.com/api/webhooks/[0-9]{8}"),
                rf"discord(?:app)?\.com/api/webhooks/(?P<id>[0-9]{{17,20}}/{BASE64URL}{{60,80}})(?![A-Za-z0-9])",
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="host and path of a webhook of Discord; who has the path may post",
        examples=(b'{"url": "https://discord.com/api/webhooks/173824025582036873/' + FILLER[:68] + b'"}',),
        counter_examples=(
            b"https://discord.com/api/webhooks/123456789012345678",
            b"https://discord.com/api/v10",
        ),
    ),
    Detector(
        name="discord_bot_token",
        class_="secret.token",
        rules=(
            Rule(
                (r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}",),
                r"(?<![A-Za-z0-9_-])[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}(?![A-Za-z0-9_-])",
                before=26,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="an account's number in base64, a time and a MAC, each as long as in a token of a Discord bot",
        examples=(
            b'{"note": "MT' + FILLER[:22] + b".GB2Egx." + FILLER[:27] + b'"}',
            b"using MT" + FILLER[:24] + b".YDfsW2." + FILLER[:38] + b" now",
        ),
        counter_examples=(
            b"MT" + FILLER[:22] + b".GSwJ." + FILLER[:27],
            b"file.backup.tar.gz",
        ),
    ),
    Detector(
        name="telegram_bot_token",
        class_="secret.token",
        rules=(
            Rule(
                (r"[0-9]:AA[A-Za-z0-9_-]{32}",),
                r"(?<![A-Za-z0-9:])(?:(?<!bot)|(?<=/bot))(?P<id>[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33})(?![A-Za-z0-9_-])",
                before=9,
            ),
            Rule((r"/bot[0-9]{8}",), r"/bot(?P<id>[0-9]{8,10}:AA[A-Za-z0-9_-]{32,33})(?![A-Za-z0-9_-])"),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="a bot's number, a colon, and AA with 32 or 33 characters (a Telegram bot token)",
        examples=(
            b'{"note": "4959825001:AA' + FILLER[:33] + b'"}',
            b"https://api.telegram.org/bot110846479:AA" + FILLER[:33] + b"/getMe",
        ),
        counter_examples=(
            b"12345:AA" + FILLER[:33],
            b"AA" + FILLER[:33],
        ),
    ),
    token(
        "twilio_api_key",
        ("SK",),
        f"{HEX}{{32}}",
        "f11e2556767914beaef093b694517851",
        "a Twilio API key",
        lead=f"{HEX}{{32}}",
    ),
    token(
        "twilio_account",
        ("AC",),
        f"{HEX}{{32}}",
        "0363fe871d79a97bfd2666fea4ec204f",
        "a Twilio account",
        lead=f"{HEX}{{32}}",
    ),
    token(
        "sendgrid_key",
        ("SG.",),
        rf"{BASE64URL}{{20,24}}\.{BASE64URL}{{39,50}}",
        "Bg9Gan7fCpcrjCXdRAGJOB.D1gGbE4R1PVklY8wIqjtfrDpdBlQEf_DrYn6GAgOYj2",
        "a SendGrid API key",
        lead=f"{BASE64URL}{{20}}",
    ),
    token(
        "mailgun_key",
        ("key-",),
        f"{HEX}{{32}}",
        "edd377a30601a5da17489f93a27e7906",
        "a Mailgun API key",
        lead=f"{HEX}{{32}}",
    ),
    token(
        "sendinblue_key",
        ("xkeysib-", "xsmtpsib-"),
        f"{HEX}{{64}}-{BASE62}{{16}}",
        "c362ecfd6424cf1e72ca22b4611740348fd85e54163befa1aac30e52e46ad65b-c4RJKjPtTw2TMq3e",
        "a Brevo API key",
    ),
    Detector(
        name="mailchimp_key",
        class_="secret.token",
        rules=(
            Rule(
                (r"[0-9a-f]{8}-us[0-9]",),
                r"(?<![0-9A-Za-z])[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])",
                before=24,
            ),
        ),
        validator=checked(varied),
        validation=Validation.PATTERN,
        reason="32 hex digits and the data centre of a Mailchimp API key",
        examples=(
            b'{"note": "' + FILLER_HEX[:32] + b'-us18"}',
            b"using " + FILLER_HEX[:32] + b"-us2 now",
        ),
        counter_examples=(b"3ea4572956e2b381923ed34c31db76aa-2", b"a5633e829d3c71-us2"),
    ),
)
"""Of chat, mail and SMS services."""
