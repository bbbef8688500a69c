from __future__ import annotations

import logging
from base64 import b64encode
from typing import Any

import pytest

from interceptors import ConfigurationError
from interceptors.spans.otlp_settings import OtlpSettings, otlp_settings

TRACES, ANY = "OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"
HTTPS = "https://collector.example.com"
SECRET = "tr0ub4dor"


def read(environ: dict[str, str] | None = None, **configured: Any) -> OtlpSettings:
    return otlp_settings(**configured, environ=environ or {})


def test_with_nothing_said_it_is_the_collector_beside() -> None:
    assert read() == OtlpSettings(
        endpoint="http://localhost:4318/v1/traces",
        headers={},
        certificate=None,
        client_certificate=None,
        client_key=None,
        gzip=False,
        timeout=10.0,
    )


@pytest.mark.parametrize(
    ("environ", "configured", "endpoint"),
    [
        ({f"{ANY}ENDPOINT": HTTPS}, None, f"{HTTPS}/v1/traces"),
        ({f"{ANY}ENDPOINT": f"{HTTPS}:4318/"}, None, f"{HTTPS}:4318/v1/traces"),
        ({f"{ANY}ENDPOINT": f"{HTTPS}/mine/"}, None, f"{HTTPS}/mine/v1/traces"),
        ({f"{ANY}ENDPOINT": f" {HTTPS} "}, None, f"{HTTPS}/v1/traces"),
        ({f"{ANY}ENDPOINT": ""}, None, "http://localhost:4318/v1/traces"),
        ({f"{TRACES}ENDPOINT": f"{HTTPS}/v1/traces/"}, None, f"{HTTPS}/v1/traces/"),
        ({f"{TRACES}ENDPOINT": f"{HTTPS}/in"}, None, f"{HTTPS}/in"),
        ({f"{TRACES}ENDPOINT": HTTPS}, None, f"{HTTPS}/"),
        ({f"{TRACES}ENDPOINT": f"{HTTPS}/in", f"{ANY}ENDPOINT": "http://localhost"}, None, f"{HTTPS}/in"),
        ({f"{TRACES}ENDPOINT": "http://localhost"}, HTTPS, f"{HTTPS}/v1/traces"),
        ({}, f"{HTTPS}/mine", f"{HTTPS}/mine/v1/traces"),
        ({}, f"{HTTPS}/mine/v1/traces", f"{HTTPS}/mine/v1/traces"),
        ({}, "http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_the_endpoint(environ: dict[str, str], configured: str | None, endpoint: str) -> None:
    assert read(environ, endpoint=configured).endpoint == endpoint


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        ({}, {}),
        ({f"{ANY}HEADERS": "api-key=1,X-Team = two "}, {"api-key": "1", "x-team": "two"}),
        ({f"{ANY}HEADERS": "a=1,,"}, {"a": "1"}),
        ({f"{ANY}HEADERS": "a=1", f"{TRACES}HEADERS": "b=2"}, {"b": "2"}),
        (
            {f"{ANY}HEADERS": "authorization=Basic%20dTpw==,b=2%2C3"},
            {"authorization": "Basic dTpw==", "b": "2,3"},
        ),
        ({f"{ANY}HEADERS": "name=Gr%C3%B6%C3%9Fe"}, {"name": "Größe".encode().decode("latin-1")}),
        ({f"{ANY}HEADERS": "a="}, {"a": ""}),
    ],
)
def test_headers_come_from_the_environment(environ: dict[str, str], headers: dict[str, str]) -> None:
    assert read(environ).headers == headers


def test_userinfo_becomes_a_header() -> None:
    settings = read({f"{ANY}ENDPOINT": f"https://me:{SECRET}%40@collector.example.com:4318"})
    assert settings.endpoint == "https://collector.example.com:4318/v1/traces"
    assert settings.headers == {"authorization": f"Basic {b64encode(f'me:{SECRET}@'.encode()).decode()}"}


def test_a_header_that_is_given_goes_before_userinfo() -> None:
    environ = {
        f"{ANY}ENDPOINT": f"https://me:{SECRET}@collector.example.com",
        f"{ANY}HEADERS": "Authorization=mine",
    }
    assert read(environ).headers == {"authorization": "mine"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("10", 10.0), ("0.5", 0.5), ("999", 999.0), ("1000", 1.0), ("10000", 10.0), ("2500", 2.5)],
)
def test_a_timeout_of_the_environment_is_in_seconds_or_milliseconds(value: str, seconds: float) -> None:
    assert read({f"{ANY}TIMEOUT": value}).timeout == seconds


def test_a_timeout_of_the_configuration_is_in_seconds() -> None:
    assert read({f"{ANY}TIMEOUT": "3"}, timeout=1200.0).timeout == 1200.0


@pytest.mark.parametrize(
    ("environ", "configured", "gzip"),
    [
        ({f"{ANY}COMPRESSION": "gzip"}, None, True),
        ({f"{ANY}COMPRESSION": "gzip", f"{TRACES}COMPRESSION": "none"}, None, False),
        ({f"{ANY}COMPRESSION": "gzip"}, "none", False),
        ({}, "gzip", True),
    ],
)
def test_compression(environ: dict[str, str], configured: str | None, gzip: bool) -> None:  # noqa: FBT001 - a parameter
    assert read(environ, compression=configured).gzip is gzip


def test_files_for_tls() -> None:
    environ = {
        f"{ANY}CERTIFICATE": "ca.pem",
        f"{ANY}CLIENT_CERTIFICATE": "us.pem",
        f"{ANY}CLIENT_KEY": "us.key",
    }
    settings = read(environ, endpoint=HTTPS, client_certificate="other.pem")
    assert (settings.certificate, settings.client_certificate, settings.client_key) == (
        "ca.pem",
        "other.pem",
        "us.key",
    )


def test_files_of_the_environment_are_for_https_alone() -> None:
    assert read({f"{ANY}CERTIFICATE": "ca.pem"}, endpoint="http://localhost").certificate is None


@pytest.mark.parametrize("protocol", ["grpc", "http/json", "smoke"])
def test_another_protocol_is_refused_where_no_endpoint_is_configured(protocol: str) -> None:
    environ = {f"{ANY}PROTOCOL": protocol}
    with pytest.raises(ConfigurationError, match=r"^OTEL_EXPORTER_OTLP_PROTOCOL: .*http/protobuf"):
        read(environ)
    assert read(environ, endpoint=HTTPS).endpoint == f"{HTTPS}/v1/traces"
    assert read(environ | {f"{TRACES}PROTOCOL": "http/protobuf"}) == read()


@pytest.mark.parametrize(
    ("environ", "configured", "place"),
    [
        ({f"{ANY}ENDPOINT": f"collector/{SECRET}"}, {}, f"{ANY}ENDPOINT"),
        ({f"{TRACES}ENDPOINT": f"ftp://{SECRET}"}, {}, f"{TRACES}ENDPOINT"),
        ({}, {"endpoint": f"https://:{SECRET}@"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS}:{SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS}:0/{SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"https://[{SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS}/?key={SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS}/#{SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS}/\n{SECRET}"}, "export.otlp.endpoint"),
        ({}, {"endpoint": f"{HTTPS} :4318/{SECRET}"}, "export.otlp.endpoint"),
        ({f"{ANY}HEADERS": f"a=1,{SECRET}"}, {}, f"{ANY}HEADERS: item 2"),
        ({f"{TRACES}HEADERS": f"a={SECRET}%0d%0a"}, {}, f"{TRACES}HEADERS: item 1"),
        ({f"{ANY}HEADERS": f"{SECRET} b=1"}, {}, f"{ANY}HEADERS: item 1"),
        ({f"{ANY}HEADERS": f"={SECRET}"}, {}, f"{ANY}HEADERS: item 1"),
        ({f"{ANY}TIMEOUT": SECRET}, {}, f"{ANY}TIMEOUT"),
        ({f"{ANY}TIMEOUT": "0"}, {}, f"{ANY}TIMEOUT"),
        ({f"{ANY}TIMEOUT": "inf"}, {}, f"{ANY}TIMEOUT"),
        ({}, {"timeout": -1.0}, "export.otlp.timeout"),
        ({f"{ANY}COMPRESSION": SECRET}, {}, f"{ANY}COMPRESSION"),
        ({}, {"compression": SECRET}, "export.otlp.compression"),
        ({}, {"endpoint": HTTPS, "client_key": SECRET}, "export.otlp.client_key"),
        ({f"{TRACES}CLIENT_KEY": SECRET}, {"endpoint": HTTPS}, f"{TRACES}CLIENT_KEY"),
        ({}, {"endpoint": "http://localhost", "certificate": SECRET}, "export.otlp.certificate"),
    ],
)
def test_what_does_not_hold_is_named_and_not_shown(
    environ: dict[str, str], configured: dict[str, Any], place: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(environ, **configured)
    assert str(caught.value).startswith(f"{place}: " if "item" not in place else place)
    assert SECRET not in f"{caught.value!r} {caught.value.__context__!r}"


def test_the_repr_shows_no_credentials() -> None:
    environ = {
        f"{ANY}ENDPOINT": f"https://me:{SECRET}@collector.example.com",
        f"{ANY}HEADERS": f"api-key={SECRET}",
    }
    shown = repr(read(environ))
    assert "collector.example.com" in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("endpoint", "warnings"),
    [
        ("http://collector.example.com", 1),
        ("http://127.0.0.1:4318", 0),
        ("http://[::1]:4318", 0),
        ("http://localhost", 0),
        ("http://a.localhost", 0),
        (HTTPS, 0),
    ],
)
def test_credentials_in_clear_are_warned_of(
    caplog: pytest.LogCaptureFixture, endpoint: str, warnings: int
) -> None:
    with caplog.at_level(logging.WARNING, "interceptors"):
        read({f"{ANY}HEADERS": f"api-key={SECRET}"}, endpoint=endpoint)
    assert len(caplog.records) == warnings
    assert SECRET not in caplog.text


def test_without_credentials_http_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    read(endpoint="http://collector.example.com")
    assert caplog.records == []
