"""`instrument`: confluent-kafka's classes traced, for programs that are not to be changed."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import DeserializingConsumer, SerializingProducer, cimpl
from confluent_kafka.aio import AIOConsumer, AIOProducer

from interceptors.confluent.aio import TracedAIOConsumer, TracedAIOProducer
from interceptors.confluent.consumer import TracedConsumer
from interceptors.confluent.producer import TracedProducer
from interceptors.tracing.patching import Instrumentation, Patches, Unpatched, by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interceptors.tracing import Delegate, Tracing

    _Settings = Mapping[str, Any]
    _Wrap = Callable[[Any, _Settings], Delegate]

_Producer, _Consumer = cimpl.Producer, cimpl.Consumer
_PEERS = "opentelemetry.instrumentation."
_NAMES = ("conf", "producer_conf", "consumer_conf")
"""What the configuration is called where it is given by name; the types of C take its keys as names, too."""
_RECEIVING = ("poll", "consume", "commit", "store_offsets", "close", "__exit__", "process")
"""`process` is there after `instrument` only."""
_AIO_RECEIVING = ("poll", "consume", "commit", "store_offsets", "close", "__aexit__", "process")


def instrument(tracing: Tracing) -> None:
    """Trace every producer and consumer of confluent-kafka that is made from now on.

    Each does what a `TracedProducer`, `TracedConsumer` or their asyncio kin around it would; one that has
    such a wrapper is left to it. `Producer` and `Consumer` are types of C, whose methods can't be replaced:
    classes below them take their place, in `confluent_kafka` and in every module that has imported them.

    Not covered are clients that were made before (nor are they instances of what `confluent_kafka.Producer`
    is then); a class below `Producer` or `Consumer` that was made before and has an `__init__` of its own;
    whoever keeps one of the two elsewhere than in a module's global name; and `produce_batch` of a
    `SerializingProducer`. Serializers stay the client's, so where a channel's binding is `message`, wrap the
    client instead. A second call with the same tracing does nothing.

    Args:
        tracing: the service's tracing.

    Raises:
        ConfigurationError: they are traced with another tracing.
    """
    _instrumentation.instrument(tracing)


def uninstrument() -> None:
    """Put back what `instrument` has replaced; without it, do nothing.

    What was made from a replaced class stays of that class, and goes on untraced.
    """
    _instrumentation.uninstrument()


def _patch(patches: Patches, tracing: Tracing) -> None:
    # Classes below those of C, which the names are to stand for: methods can be replaced in them.
    producer = type("Producer", (_Producer,), {"__module__": "confluent_kafka", "__doc__": None})
    consumer = type("Consumer", (_Consumer,), {"__module__": "confluent_kafka", "__doc__": None})
    for made in {producer, *_below(_Producer, SerializingProducer)}:
        patch_producer(patches, tracing, made)
    for made in {consumer, *_below(_Consumer, DeserializingConsumer)}:
        patch_consumer(patches, tracing, made)
    patch_aio(patches, tracing)
    _rename(patches, {_Producer: producer, _Consumer: consumer})


def patch_producer(patches: Patches, tracing: Tracing, owner: type) -> None:
    """Replace the methods of a class directly below `Producer`.

    Args:
        patches: what puts them back.
        tracing: the service's tracing.
        owner: the class; its first argument is the configuration.
    """

    def wrap(client: Any, settings: _Settings) -> Delegate:
        return TracedProducer(client, tracing, on_delivery=settings.get("on_delivery"))

    batches = () if issubclass(owner, SerializingProducer) else ("produce_batch",)
    _patch_class(patches, owner, ("produce", *batches), wrap)


def patch_consumer(patches: Patches, tracing: Tracing, owner: type) -> None:
    """Replace the methods of a class directly below `Consumer`.

    Args:
        patches: what puts them back.
        tracing: the service's tracing.
        owner: the class; its first argument is the configuration.
    """

    def wrap(client: Any, settings: _Settings) -> Delegate:
        traced = TracedConsumer(client, tracing, group_id=settings.get("group.id"))
        patches.ends(traced._following)  # noqa: SLF001 - of this room
        return traced

    _patch_class(patches, owner, _RECEIVING, wrap)


def patch_aio(
    patches: Patches, tracing: Tracing, producer: type = AIOProducer, consumer: type = AIOConsumer
) -> None:
    """Replace the methods of the asyncio clients.

    Args:
        patches: what puts them back.
        tracing: the service's tracing.
        producer: confluent-kafka's class, or one below it.
        consumer: likewise.
    """

    def wrap_producer(client: Any, _: _Settings) -> Delegate:
        by_hand(client._producer)  # noqa: SLF001 - the synchronous one, of which the messages would come
        return TracedAIOProducer(client, tracing)

    def wrap_consumer(client: Any, settings: _Settings) -> Delegate:
        traced = TracedAIOConsumer(client, tracing, group_id=settings.get("group.id"))
        by_hand(client._consumer)  # noqa: SLF001 - as above
        patches.ends(traced._following)  # noqa: SLF001 - of this room
        return traced

    _patch_class(patches, producer, ("produce", "close", "__aexit__"), wrap_producer)
    _patch_class(patches, consumer, _AIO_RECEIVING, wrap_consumer)


def _patch_class(patches: Patches, owner: type, names: tuple[str, ...], wrap: _Wrap) -> None:
    """Replace methods, of those instances whose configuration is known: a callback may be in it."""
    originals = patches.methods(owner, names)
    begin: Any = owner.__init__  # type: ignore[misc]  # of this class, and no other is asked

    def __init__(client: Any, *args: Any, **settings: Any) -> None:  # noqa: N807 - it is one
        begin(client, *args, **settings)
        found = args[0] if args else next((settings[name] for name in _NAMES if name in settings), {})
        if patches.active and isinstance(found, Mapping):
            patches.keep(client, wrap(Unpatched(client, originals), {**found, **settings}))

    patches.attribute(owner, "__init__", __init__)


def _below(native: type, own: type) -> Iterator[type]:
    """Give the classes directly below one of C that are made from a configuration, as it is."""
    made: type
    for made in native.__subclasses__():
        if made is own or "__init__" not in vars(made) or made.__module__.startswith(_PEERS):
            yield made


def _rename(patches: Patches, replaced: Mapping[type, type]) -> None:
    """Have the names of all modules but ours stand for other classes."""
    ids = {id(native): made for native, made in replaced.items()}
    for known, module in list(sys.modules.items()):
        if not issubclass(type(module), types.ModuleType) or known.partition(".")[0] == "interceptors":
            continue
        # So that no module is loaded by being looked into.
        for name, value in list(object.__getattribute__(module, "__dict__").items()):
            if id(value) in ids:
                patches.attribute(module, name, ids[id(value)])


_instrumentation = Instrumentation(_patch)
