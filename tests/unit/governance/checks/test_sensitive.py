from __future__ import annotations

import pytest

from interceptors.governance.checks.sensitive import is_sensitive


@pytest.mark.parametrize(
    "name",
    [
        *("email", "user.email", "customerEmail", "customer_email_address", "E-Mail", "x-user-phone", "name"),
        *(
            "firstName",
            "cardNumber",
            "card",
            "iban",
            "ssn",
            "authorization",
            "api_key",
            "user.name",
            "http.cookie",
        ),
        *("client.address", "date_of_birth.dob", "session.token", "customerId", "enduser.id", "user_id"),
    ],
)
def test_names_of_identifiers_and_secrets(name: str) -> None:
    assert is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "server.address",
            "service.name",
            "messaging.destination.name",
            "host.name",
            "order.name",
            "tokens",
        ),
        *("gen_ai.usage.input_tokens", "order.id", "tenant", "email_count", "has_email.present", "card.kind"),
        *("pinned", "spans", "panel", "addressee", "", "...", "email_domain"),
    ],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_sensitive(name)
