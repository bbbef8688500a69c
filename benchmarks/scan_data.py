"""Messages that machines write: full of numbers and digests, and without an identifier of anybody.

All is drawn from a seed, so that a run can be repeated. The keys are those of orders, telemetry, logs,
deployments, media and events; the values are what makes scanners err: UUIDs, digests, epoch times of every
resolution, SKUs, snowflakes, ULIDs, KSUIDs, floats, decimals, coordinates, EANs, tracking numbers and images.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = """
    alpine amber anchor basket birch bridge canvas cedar cobalt copper delta ember fabric falcon
    garden glacier harbor indigo jacket kettle lantern maple meadow needle ocean paper pebble pillow
    prairie quartz river saddle silver spruce summit table thistle timber tunnel valley velvet
    walnut willow window winter
""".split()  # noqa: SIM905 - a line for each would be a page
STATES = (
    "PENDING",
    "AUTHORIZED",
    "CAPTURED",
    "SHIPPED",
    "in_transit",
    "delivered",
    "ok",
    "FAILED",
    "RETRYING",
)
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF", "SEK", "PLN", "BRL", "INR")
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "ap-southeast-2", "sa-east-1")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.6478.127",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 Version/17.5",
    "okhttp/4.{}.0",
    "python-httpx/0.{}.2",
    "kafka-client/3.{}.1 (rdkafka)",
)
MEDIA = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
    (b"GIF89a", "image/gif"),
)


class Values:
    """Draws values; each method gives one of its kind."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - it has to be repeatable

    def digits(self, length: int) -> str:
        return "".join(self.random.choices("0123456789", k=length))

    def letters(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choices(alphabet, k=length))

    def hex(self, octets: int) -> str:
        return self.random.randbytes(octets).hex()

    def word(self) -> str:
        return self.random.choice(WORDS)

    def words(self, number: int) -> str:
        return " ".join(self.word() for _ in range(number))

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.random.randbytes(16), version=4))

    def ulid(self) -> str:
        return "01" + self.letters(CROCKFORD, 24)

    def ksuid(self) -> str:
        return "2" + self.letters(BASE62, 26)

    def snowflake(self) -> int:
        return self.random.randrange(1 << 59, 1 << 61)

    def when(self) -> datetime:
        return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.random.randrange(10**15 // 5))

    def epoch(self, unit: int) -> int:
        """Give a time since 1970, in so many parts of a second."""
        return int(self.when().timestamp() * 1_000_000) * unit // 1_000_000

    def price(self) -> str:
        return f"{self.random.randrange(1, 10**6) / 100:.2f}"

    def sku(self) -> str:
        return f"{self.letters(UPPER, 3)}-{self.digits(5)}-{self.letters(UPPER + '0123456789', 2)}"

    def order(self) -> str:
        """Give an order number as shops write them: groups of digits with dashes."""
        shape = self.random.choice(((3, 7, 7), (4, 6), (2, 5, 5), (6, 4), (4, 4, 4)))
        return "-".join(self.digits(length) for length in shape)

    def version(self) -> str:
        numbers = self.random.choices(range(40), k=self.random.choice((3, 4)))
        return ".".join(map(str, numbers[:3])) + self.random.choice(("", "-rc.1", f"+{self.hex(4)}"))

    def ean(self) -> str:
        body = self.random.choice(("978", "400", "501", "761", "590")) + self.digits(9)
        check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10
        return f"{body}{check}"

    def isbn(self) -> str:
        ean = self.ean()
        return f"978-{ean[3]}-{ean[4:8]}-{ean[8:12]}-{ean[12]}"

    def tracking(self) -> str:
        """Give a parcel's number: of a postal union, or of a carrier."""
        return self.random.choice(
            (
                f"1Z{self.letters(UPPER + '0123456789', 6)}{self.digits(10)}",
                f"{self.letters(UPPER, 2)}{self.digits(9)}DE",
                f"JD{self.digits(18)}",
                f"00{self.digits(18)}",
            )
        )

    def image(self, octets: int) -> str:
        magic, kind = self.random.choice(MEDIA)
        text = base64.b64encode(magic + self.random.randbytes(octets)).decode()
        return self.random.choice((f"data:{kind};base64,{text}", text))

    def url(self) -> str:
        slug = "-".join((self.word(), self.word(), self.digits(self.random.choice((3, 6, 8)))))
        return f"https://{self.word()}.example.com/{self.word()}/{slug}?page={self.digits(2)}&v={self.hex(3)}"

    def object_key(self) -> str:
        day = self.when()
        name = f"part-{self.digits(5)}-{self.uuid()}.c000.snappy.parquet"
        return f"raw/{self.word()}/dt={day:%Y-%m-%d}/hour={day:%H}/{name}"

    def topic(self) -> str:
        return f"{self.random.choice(('prod', 'stage'))}.{self.word()}.{self.word()}-events.v{self.digits(1)}"

    def agent(self) -> str:
        return self.random.choice(AGENTS).format(self.random.randrange(10, 130))


def order(values: Values) -> dict[str, Any]:
    items = [
        {
            "sku": values.sku(),
            "ean": values.random.choice((values.ean(), int(values.ean()))),
            "quantity": values.random.randrange(1, 20),
            "unit_price": values.price(),
            "weight_kg": values.random.random() * 10,
            "title": values.words(3),
        }
        for _ in range(values.random.randrange(1, 5))
    ]
    return {
        "order_id": values.uuid(),
        "order_number": values.order(),
        "created_at": values.when().isoformat(),
        "updated_at_ms": values.epoch(1000),
        "status": values.random.choice(STATES),
        "currency": values.random.choice(CURRENCIES),
        "total": values.price(),
        "tax_rate": "0.19",
        "items": items,
        "tracking_number": values.tracking(),
        "idempotency_ref": values.hex(32),
        "warehouse": f"WH-{values.digits(4)}",
    }


def telemetry(values: Values) -> dict[str, Any]:
    return {
        "sensor": f"{values.word()}-{values.digits(4)}",
        "ts": values.epoch(values.random.choice((1, 1000, 10**6, 10**9))),
        "seq": values.random.randrange(10**12),
        "lat": round(values.random.uniform(-90, 90), 6),
        "lon": round(values.random.uniform(-180, 180), 6),
        "samples": [values.random.gauss(20, 5) for _ in range(20)],
        "counters": [values.random.randrange(1 << 40) for _ in range(10)],
        "firmware": values.version(),
        "battery_mv": values.random.randrange(3000, 4200),
        "checksum": values.hex(4),
    }


def log(values: Values) -> dict[str, Any]:
    return {
        "@timestamp": values.when().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": values.random.choice(("INFO", "WARN", "ERROR", "DEBUG")),
        "logger": f"com.example.{values.word()}.{values.word().title()}Service",
        "thread": f"pool-{values.digits(1)}-thread-{values.digits(2)}",
        "message": f"{values.words(4)} took {values.digits(3)} ms for {values.uuid()} ({values.ulid()})",
        "span": {"id": values.hex(8)},
        "pod": f"{values.word()}-{values.hex(5)[:9]}-{values.letters('bcdfghjklmnpqrstvwxz2456789', 5)}",
        "user_agent": values.agent(),
        "duration_ns": values.random.randrange(10**10),
        "url": values.url(),
        "status": values.random.choice((200, 201, 204, 304, 404, 409, 500)),
    }


def deployment(values: Values) -> dict[str, Any]:
    return {
        "commit": values.hex(20),
        "short": values.hex(4)[:7],
        "image": f"registry.example.com/{values.word()}/{values.word()}@sha256:{values.hex(32)}",
        "version": values.version(),
        "assembly_version": ".".join(values.digits(1) for _ in range(4)),
        "build": int(values.digits(9)),
        "chart": f"{values.word()}-{values.version()}",
        "region": values.random.choice(REGIONS),
        "artifact": values.object_key(),
        "etag": f'"{values.hex(16)}-{values.digits(2)}"',
        "integrity": f"sha512-{base64.b64encode(values.random.randbytes(64)).decode()}",
        "rolled_out_at": values.epoch(1),
    }


def media(values: Values) -> dict[str, Any]:
    return {
        "asset": values.ksuid(),
        "content": values.image(values.random.randrange(300, 3000)),
        "width": values.random.randrange(16, 4096),
        "md5": values.hex(16),
        "caption": values.words(6),
        "isbn": values.isbn(),
        "blurhash": values.letters(BASE62, 28),
    }


def event(values: Values) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": values.random.choice((values.ulid, values.ksuid, values.uuid))(),
        "type": f"com.example.{values.word()}.{values.word()}.v1",
        "source": f"/{values.word()}/{values.word()}",
        "time": values.when().isoformat(),
        "partition": values.random.randrange(64),
        "offset": values.random.randrange(10**10),
        "topic": values.topic(),
        "snowflake": values.random.choice((values.snowflake(), str(values.snowflake()))),
        "data": {
            "sequence": f"{values.random.randrange(10**11):0{values.random.randrange(12, 21)}}",
            "amount": {"value": values.price(), "currency": values.random.choice(CURRENCIES)},
            "ratio": values.random.random(),
            "flags": [values.random.random() < 0.5, None],
            "tags": [values.word() for _ in range(4)],
            "cursor": base64.urlsafe_b64encode(values.random.randbytes(48)).decode(),
            "batch": f"{values.digits(8)}-{values.digits(4)}",
            "decimal": f"{values.random.random():.18f}",
        },
    }


SHAPES: tuple[Callable[[Values], dict[str, Any]], ...] = (order, telemetry, log, deployment, media, event)


def clean_messages(seed: int = 0) -> Iterator[bytes]:
    """Give messages without end, of every shape in turn: JSON, compact or not, YAML, and `key=value`."""
    values = Values(seed)
    for number in count():
        document = SHAPES[number % len(SHAPES)](values)
        match number // len(SHAPES) % 4:
            case 0:
                text = json.dumps(document)
            case 1:
                text = json.dumps(document, separators=(",", ":"))
            case 2:
                text = "\n".join(f"{key}: {json.dumps(value)}" for key, value in document.items())
            case _:
                text = " ".join(f"{key}={json.dumps(value)}" for key, value in document.items())
        yield text.encode()


def clean_kilobyte(values: Values, size: int = 1024) -> bytes:
    """Give a JSON message of just so many bytes, 200 to a few thousand: ids, digests, times, SKUs, prices."""
    document: dict[str, Any] = {"event_id": values.uuid(), "occurred_at": values.epoch(1000)}
    room = size - len('"note": ""')
    more: dict[str, Any] = {
        "digest": values.hex(32),
        "correlation": values.hex(16),
        "status": values.random.choice(STATES),
        "items": [],
    }
    document |= {key: value for key, value in more.items() if size >= 400 or key == "status"}
    while True:
        item = {
            "sku": values.sku(),
            "ref": values.uuid(),
            "price": values.price(),
            "weight": values.random.random(),
            "at": values.epoch(1000),
        }
        if "items" not in document or len(json.dumps(document)) + len(json.dumps(item)) + 4 > room:
            break
        document["items"].append(item)
    # A note in words fills it up.
    left = size - len(json.dumps(document | {"note": ""}))
    return json.dumps(document | {"note": values.words(left)[:left]}).encode()


def clean_batch(size: int, seed: int = 0) -> bytes:
    """Give a JSON array of about so many bytes, each member a kilobyte."""
    values = Values(seed)
    return b"[" + b",".join(clean_kilobyte(values) for _ in range(size >> 10)) + b"]"


def typical_message(values: Values, size: int = 500) -> bytes:
    """Give a JSON message of about so many bytes, with one e-mail address in it."""
    name = f"{values.word()}.{values.word()}"
    document = json.loads(clean_kilobyte(values, size - 68))
    document["customer"] = {"tier": "gold", "email": f"{name}@example.com"}
    return json.dumps(document).encode()


def clean_kilobytes(number: int, seed: int = 0, size: int = 1024) -> list[bytes]:
    """Give so many messages of a kilobyte, or of another size."""
    values = Values(seed)
    return [clean_kilobyte(values, size) for _ in range(number)]


def typical_messages(number: int, seed: int = 0) -> list[bytes]:
    """Give so many messages of which each has one identifier."""
    values = Values(seed)
    return [typical_message(values) for _ in range(number)]


def some_clean_messages(number: int, seed: int = 0) -> list[bytes]:
    """Give the first of `clean_messages`."""
    return list(islice(clean_messages(seed), number))
