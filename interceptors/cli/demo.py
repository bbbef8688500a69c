"""`interceptors demo`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def demo(
    *,
    input_path: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Orders to send instead of the built-in ones, one JSON object a line, with order_id, "
            "merchant and customer (id, email).",
        ),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            "--kafka", metavar="HOST:PORT", help="Run on this broker instead of one inside the process."
        ),
    ] = None,
    rabbitmq: Annotated[
        str | None,
        typer.Option(
            "--rabbitmq", metavar="URL", help="Send the payments through this RabbitMQ instead of Kafka."
        ),
    ] = None,
    celery_broker: Annotated[
        str | None,
        typer.Option(
            "--celery-broker",
            metavar="URL",
            help="Run the tasks on this Redis or RabbitMQ instead of a broker inside the process.",
        ),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option(
            "--otlp",
            metavar="URL",
            help="Export the spans there as well, by OTLP over HTTP: to an OpenTelemetry Collector, say.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to leave what the run has made.")
    ] = Path("demo-out"),
) -> None:
    """Send messages through sealed tracing, and show what the broker sees and what the services see."""
    # Only here: the demonstration's clients are an extra, and no other verb needs them.
    from interceptors.demo import run  # noqa: PLC0415 - see above

    status = run(
        input_path=input_path,
        out=out,
        kafka=kafka,
        rabbitmq=rabbitmq,
        celery_broker=celery_broker,
        otlp=otlp,
        console=Console(),
    )
    raise typer.Exit(status)
