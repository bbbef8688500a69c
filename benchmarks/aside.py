"""A broker, a backend or a side in a process of its own: its work and its memory are in nobody else's."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from interceptors.testing.embedded_kafka import EmbeddedKafka
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection


@contextmanager
def aside(serve: Callable[..., None], *args: object) -> Iterator[Any]:
    """Run a function in another process; gives what it sends first, such as where it listens.

    Args:
        serve: is given its end of a pipe; to go on until the other end is closed is up to it.
        args: what else it is given.
    """
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=serve, args=(there, *args))
    process.start()
    there.close()  # so that the end of the process is the end of the pipe
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def kafka(pipe: Connection) -> None:
    with EmbeddedKafka() as broker, suppress(EOFError):
        pipe.send(broker.bootstrap_servers)
        pipe.recv()


def rabbitmq(pipe: Connection) -> None:
    with EmbeddedRabbitMQ() as broker, suppress(EOFError):
        pipe.send(broker.url)
        pipe.recv()


class _Backend(BaseHTTPRequestHandler):
    """Takes OTLP; asked with GET, says how many spans came on that path since it was asked last."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    taken: dict[str, list[bytes]]

    def do_POST(self) -> None:
        # Only kept, so that there is next to no work while messages are timed.
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.setdefault(self.path, []).append(body)
        self._answer(b"")

    def do_GET(self) -> None:
        requests = map(ExportTraceServiceRequest.FromString, self.taken.pop(self.path, []))
        spans = [len(s.spans) for r in requests for of in r.resource_spans for s in of.scope_spans]
        self._answer(b"%d" % sum(spans))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def otlp(pipe: Connection) -> None:
    """Be a backend that takes OTLP over HTTP."""
    handler = type("_Taking", (_Backend,), {"taken": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, suppress(EOFError):
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        pipe.send(f"http://127.0.0.1:{server.server_port}")
        pipe.recv()
