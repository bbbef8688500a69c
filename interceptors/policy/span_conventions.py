"""What of OpenTelemetry's semantic conventions leaves where the policy says nothing else.

What is listed here identifies nobody by its convention, has few values, and those are of a known form. Names
of before the conventions were stable stand beside those of today. What is left out is left out on purpose:
docs/howto/scrub-sdk-spans.md says why for each of the well-known ones.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Values(NamedTuple):
    """What the values of an attribute are. Another one doesn't leave."""

    texts: frozenset[str] = frozenset()
    """These texts, each in full. They need no scan: they are the policy's own."""
    numbers: range = range(0)
    """These whole numbers, likewise."""
    pattern: re.Pattern[str] | None = None
    """Texts that this fits in full, and in which the scanner finds nothing."""
    truth: bool = False
    """True and False."""
    free: bool = False
    """Any text, number or truth value, and lists of them, in which the scanner finds nothing."""


def _texts(words: str) -> Values:
    return Values(frozenset(words.split()))


def _pattern(pattern: str) -> Values:
    return Values(pattern=re.compile(pattern, re.ASCII))


_WORD = r"[A-Za-z_]\w{0,63}+"
_VERSION = r"\d{1,6}+(?:\.\d{1,6}+){0,2}+(?:[.-]?(?:alpha|beta|dev|post|rc|a|b)\.?\d{0,6})?"
# A part in braces, pointed or square brackets, after a colon, or an asterisk stands for a value.
_SEGMENT = r"(?:[A-Za-z_.~-]|\{[\w:.]{1,64}\}|<[\w:.]{1,64}>|\[[\w:.]{1,64}\]|:[A-Za-z_]\w{0,63}+|\*)++"
_NO_ID = r"(?!.*(?:\d{5}|[0-9a-fA-F]{16}))"
"""A name that a peer makes up, such as of a method that there is not, may hold an identifier."""
_CODE = _pattern(rf"{_NO_ID}{_WORD}(?:(?:\.|::?|/)(?:{_WORD}|<locals>|<lambda>)){{0,15}}+")
"""A name of the program's: of a class, a function, a task, a service of an interface."""
_ROUTE = _pattern(rf"{_NO_ID}/?(?:(?:v\d{{1,3}}|{_SEGMENT})(?:/|$)){{0,24}}+")
"""A path whose variable parts are placeholders; a path with a number in it is taken for none."""
_NAMED = _pattern(r"[A-Za-z_][\w.:/-]{0,127}")
_PORT = Values(numbers=range(1, 65536))
_STATUS = Values(numbers=range(100, 600))
_COUNT = Values(numbers=range(1_000_001))

VERSION = re.compile(_VERSION, re.ASCII)
SCHEMA_URL = re.compile(rf"https://opentelemetry\.io/schemas/{_VERSION}", re.ASCII)
"""The only place where the conventions' schemas lie."""
SCOPE = re.compile(rf"{_WORD}(?:\.{_WORD}){{0,15}}+", re.ASCII)
"""The name of a module or package, which is what instrumentation scopes are called."""

_METHODS = _texts("CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE _OTHER")
_SCHEMES = _texts("http https ws wss")
_OPERATIONS = _texts(
    "ALTER ANALYZE BEGIN CALL COMMIT COPY CREATE DELETE DROP EXEC EXECUTE EXPLAIN GRANT INSERT MERGE PRAGMA "
    "RELEASE REPLACE REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW TRUNCATE UPDATE UPSERT USE VACUUM WITH "
    "alter begin call commit create delete drop execute insert merge replace rollback select set truncate "
    "update upsert with aggregate count distinct find findAndModify getMore "
    "APPEND AUTH DECR DEL EVAL EVALSHA EXISTS EXPIRE GET HDEL HGET HGETALL HMGET HMSET HSET INCR KEYS LLEN "
    "LPOP LPUSH LRANGE MGET MSET MULTI PING PIPELINE PUBLISH RPOP RPUSH SADD SCAN SETEX SMEMBERS SREM "
    "SUBSCRIBE TTL UNLINK XACK XADD XREAD XREADGROUP ZADD ZRANGE ZREM"
)
_DATABASES = _texts(
    "aws.dynamodb aws.redshift azure.cosmosdb cassandra clickhouse cockroachdb cosmosdb couchbase couchdb "
    "db2 dynamodb elasticsearch firebirdsql gcp.spanner h2database hanadb hbase hive hsqldb ibm.db2 influxdb "
    "mariadb memcached microsoft.sql_server mongodb mssql mysql neo4j opensearch oracle oracle.db other_sql "
    "postgresql redis redshift sap.hana snowflake spanner sqlite teradata trino vertica"
)
_BROKERS = _texts(
    "activemq aws.sns aws.sqs aws_sqs celery eventgrid eventhubs gcp_pubsub jms kafka nats pulsar rabbitmq "
    "redis rocketmq servicebus"
)
_MESSAGING = _texts("ack commit consume create deliver nack poll process publish receive reject send settle")
_RPC = _texts("apache_dubbo aws-api connect_rpc dotnet_wcf dubbo grpc java_rmi jsonrpc onc_rpc")
_RPC_STATUS = _texts(
    "ABORTED ALREADY_EXISTS CANCELLED DATA_LOSS DEADLINE_EXCEEDED FAILED_PRECONDITION INTERNAL "
    "INVALID_ARGUMENT NOT_FOUND OK OUT_OF_RANGE PERMISSION_DENIED RESOURCE_EXHAUSTED UNAUTHENTICATED "
    "UNAVAILABLE UNIMPLEMENTED UNKNOWN"
)
_TRANSPORTS = _texts("inproc ip_tcp ip_udp other pipe quic tcp udp unix")

DESTINATIONS = ("messaging.destination.name", "messaging.destination", "messaging.destination.template")
"""These hold names of the bus, which may identify; those that the policy's channels list leave."""

ATTRIBUTES = {
    "celery.action": _texts("apply_async run"),
    "celery.state": _texts("FAILURE IGNORED PENDING RECEIVED REJECTED RETRY REVOKED STARTED SUCCESS"),
    "celery.task_name": _CODE,
    "code.function.name": _CODE,
    "code.line.number": _COUNT,
    "db.operation": _OPERATIONS,
    "db.operation.batch.size": _COUNT,
    "db.operation.name": _OPERATIONS,
    "db.system": _DATABASES,
    "db.system.name": _DATABASES,
    "error.type": Values(_STATUS.texts | frozenset(map(str, _STATUS.numbers)), pattern=_CODE.pattern),
    "exception.escaped": Values(frozenset({"True", "False"}), truth=True),
    "exception.type": _CODE,
    "http.flavor": _texts("1.0 1.1 2 2.0 3 3.0 HTTP/1.0 HTTP/1.1 HTTP/2 HTTP/3 QUIC SPDY"),
    "http.method": _METHODS,
    "http.request.method": _METHODS,
    "http.request.resend_count": _COUNT,
    "http.response.status_code": _STATUS,
    "http.route": _ROUTE,
    "http.scheme": _SCHEMES,
    "http.status_code": _STATUS,
    "messaging.batch.message_count": _COUNT,
    "messaging.operation": _MESSAGING,
    "messaging.operation.name": _MESSAGING,
    "messaging.operation.type": _MESSAGING,
    "messaging.system": _BROKERS,
    "net.host.port": _PORT,
    "net.peer.port": _PORT,
    "net.transport": _TRANSPORTS,
    "network.peer.port": _PORT,
    "network.protocol.name": _texts("amqp amqps grpc http kafka mqtt postgresql redis spdy"),
    "network.protocol.version": _texts("0-9-1 0.9.1 1 1.0 1.1 2 3 5"),
    "network.transport": _TRANSPORTS,
    "network.type": _texts("ipv4 ipv6"),
    "rpc.grpc.status_code": Values(numbers=range(17)),
    "rpc.method": _CODE,
    "rpc.response.status_code": _RPC_STATUS,
    "rpc.service": _CODE,
    "rpc.system": _RPC,
    "rpc.system.name": _RPC,
    "server.port": _PORT,
    "url.scheme": _SCHEMES,
    "url.template": _ROUTE,
}

RESOURCE = {
    "cloud.provider": _texts("alibaba_cloud aws azure gcp heroku ibm_cloud oracle_cloud tencent_cloud"),
    "cloud.region": _pattern(r"[a-z]{2,12}(?:-?[a-z]{2,12}){0,3}-?\d{0,2}[a-d]?"),
    "deployment.environment": _NAMED,
    "deployment.environment.name": _NAMED,
    "service.name": _NAMED,
    "service.namespace": _NAMED,
    "service.version": _pattern(r"[0-9A-Za-z][\w.+-]{0,63}"),
    "telemetry.auto.version": _pattern(_VERSION),
    "telemetry.distro.name": _NAMED,
    "telemetry.distro.version": _pattern(_VERSION),
    "telemetry.sdk.language": _texts("python"),
    "telemetry.sdk.name": _texts("opentelemetry"),
    "telemetry.sdk.version": _pattern(_VERSION),
}

EVENTS = frozenset({"exception"})
SCOPES = ("opentelemetry.*",)

NAMES = (
    "HTTP",
    *sorted(_OPERATIONS.texts),
    *(
        f"{method} {route}".rstrip()
        for method in ("{http.request.method}", "{http.method}", "HTTP {http.method}")
        for route in ("", "{http.route}", "{url.template}")
    ),
    "{http.route}",
    "{db.system.name}",
    "{db.system}",
    "{rpc.service}/{rpc.method}",
    "{rpc.method}",
    "run/{celery.task_name}",
    "apply_async/{celery.task_name}",
    *(f"{{{name}}} {operation}" for name in DESTINATIONS[:2] for operation in sorted(_MESSAGING.texts)),
    *(f"{operation} {{{name}}}" for name in DESTINATIONS[:2] for operation in sorted(_MESSAGING.texts)),
)
"""Span names, as the conventions and the instrumentation libraries make them of attributes."""

SEVERITIES = frozenset(
    f"{word}{number}"
    for word in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    for number in ("", "2", "3", "4")
) | {"NOTSET", "WARNING", "CRITICAL"}
"""The texts of OpenTelemetry's severities, and of the standard library's levels."""
