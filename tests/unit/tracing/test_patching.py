"""Methods of a class are answered by a wrapper around each instance, until they are put back."""

from __future__ import annotations

import gc
import inspect
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from interceptors import ConfigurationError, Tracing
from interceptors.context import TraceContext, current
from interceptors.spans import MemorySink
from interceptors.tracing import Delegate, Following, Processing
from interceptors.tracing.patching import Instrumentation, Patches, Unpatched, by_hand, left_alone
from interceptors.tracing.peers import without_peers
from interceptors.tracing.scopes import Current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Client:
    """What somebody's client looks like."""

    def send(self, value: str) -> str:
        """Send."""
        return f"sent {value}"

    async def fetch(self) -> str:
        return self.send("fetched")

    def untouched(self) -> str:
        return self.send("untouched")


class Slotted:
    __slots__ = ("__weakref__",)

    def send(self, value: str) -> str:
        return f"sent {value}"


class Loud(Delegate):
    """A wrapper with a state."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.calls = 0

    def send(self, value: str) -> str:
        self.calls += 1
        return f"{self._wrapped.send(value)}, loud {self.calls}"

    async def fetch(self) -> str:
        return f"loud {await self._wrapped.fetch()}"

    def process(self) -> str:
        return "processed"


NAMES = ("send", "fetch", "process")


@pytest.fixture
def patches() -> Iterator[Patches]:
    """What is undone when the test is over."""
    made = Patches()
    yield made
    made.undo()


@pytest.fixture
def replaced(patches: Patches) -> Patches:
    """The client's methods are replaced."""
    patches.methods(Client, NAMES, Loud)
    return patches


def test_an_instance_has_one_wrapper(replaced: Patches) -> None:
    one, other = Client(), Client()

    assert [one.send("1"), one.send("2"), other.send("3")] == [
        "sent 1, loud 1",
        "sent 2, loud 2",
        "sent 3, loud 1",
    ]


def test_a_method_that_is_not_replaced_calls_those_that_are(replaced: Patches) -> None:
    assert Client().untouched() == "sent untouched, loud 1"


async def test_a_coroutine_function_stays_one(replaced: Patches) -> None:
    assert inspect.iscoroutinefunction(Client.fetch)
    assert not inspect.iscoroutinefunction(Client.send)
    assert await Client().fetch() == "loud sent fetched, loud 1"


def test_name_doc_and_signature_stay(replaced: Patches) -> None:
    assert (Client.send.__name__, Client.send.__doc__) == ("send", "Send.")
    assert list(inspect.signature(Client.send).parameters) == ["self", "value"]


def test_a_subclass_that_overrides_a_method_reaches_the_wrapper_once(replaced: Patches) -> None:
    class Polite(Client):
        def send(self, value: str) -> str:
            return super().send(f"please {value}")

    assert Polite().send("1") == "sent please 1, loud 1"


def test_what_the_class_does_not_have_is_the_wrappers(patches: Patches) -> None:
    client: Any = Client()
    patches.methods(Client, NAMES, Loud)
    assert client.process() == "processed"

    patches.undo()

    assert not hasattr(client, "process")


def test_undone_the_class_is_as_it_was(patches: Patches) -> None:
    before = dict(vars(Client))
    patches.methods(Client, NAMES, Loud)
    assert dict(vars(Client)) != before

    patches.undo()

    assert dict(vars(Client)) == before


def test_an_inherited_method_is_inherited_again(patches: Patches) -> None:
    class Below(Client):
        pass

    patches.methods(Below, ("send",), Loud)
    assert Below().send("1") == "sent 1, loud 1"

    patches.undo()

    assert "send" not in vars(Below)


def test_what_somebody_has_put_above_stays_and_ours_passes_on(
    patches: Patches, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = Client()
    send = Client.send
    patches.methods(Client, NAMES, Loud)
    ours, process = Client.send, client.process

    def above(client: Client, value: str) -> str:
        return f"above {ours(client, value)}"

    monkeypatch.setattr(Client, "send", above)
    assert client.send("1") == "above sent 1, loud 1"

    patches.undo()

    assert client.send("2") == "above sent 2"
    with pytest.raises(AttributeError, match="'Client' object has no attribute 'process'"):
        process()
    monkeypatch.setattr(Client, "send", send)


def test_a_client_that_is_wrapped_by_hand_is_left_alone(replaced: Patches) -> None:
    client = Client()
    assert client.send("1") == "sent 1, loud 1"

    by_hand(client)

    assert client.send("2") == "sent 2"
    assert Client().send("3") == "sent 3, loud 1"


def test_a_client_that_can_not_be_hashed_is_told_from_its_equals(replaced: Patches) -> None:
    class Equal(Client):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]  # as that of a dataclass

    client = Equal()
    by_hand(client)

    assert [client.send("1"), Equal().send("2")] == ["sent 1", "sent 2, loud 1"]


def test_a_client_may_be_left_alone_for_a_while(replaced: Patches) -> None:
    client = Client()

    with left_alone():
        assert client.send("1") == "sent 1"

    assert client.send("2") == "sent 2, loud 1"


def test_what_is_no_client_may_be_wrapped_by_hand() -> None:
    client: dict[str, str] = {}

    by_hand(client)  # can't be referred to

    assert client == {}


def test_our_own_wrappers_do_not_count_as_made_by_hand(patches: Patches) -> None:
    def wrap(client: Any) -> Loud:
        by_hand(client)  # as every wrapper of a client does
        return Loud(client)

    patches.methods(Client, NAMES, wrap)
    client = Client()

    assert [client.send("1"), client.send("2")] == ["sent 1, loud 1", "sent 2, loud 2"]


def test_where_a_wrapper_steps_around_peers_it_steps_around_ours(replaced: Patches) -> None:
    client = Client()

    assert without_peers(client.send)("1") == "sent 1"


def test_a_client_is_freed_when_its_last_user_lets_go_of_it(replaced: Patches) -> None:
    client = Client()
    client.send("1")
    gone = weakref.ref(client)
    gc.disable()
    try:
        del client
        assert gone() is None
    finally:
        gc.enable()


def test_a_client_without_a_place_has_a_wrapper_for_each_call(patches: Patches) -> None:
    patches.methods(Slotted, ("send",), Loud)
    client = Slotted()

    assert [client.send("1"), client.send("2")] == ["sent 1, loud 1", "sent 2, loud 1"]


def test_without_a_way_to_wrap_only_kept_wrappers_count(patches: Patches) -> None:
    originals = patches.methods(Client, NAMES)
    known, other = Client(), Client()

    patches.keep(known, Loud(Unpatched(known, originals)))

    assert [known.send("1"), other.send("2")] == ["sent 1, loud 1", "sent 2"]


def test_the_first_wrapper_that_is_kept_counts(replaced: Patches) -> None:
    client = Client()
    client.send("1")
    late = Loud(client)

    assert replaced.keep(client, late) is not late
    assert client.send("2") == "sent 2, loud 2"


def test_a_wrapper_of_before_does_not_count_again(patches: Patches) -> None:
    client = Client()
    patches.methods(Client, NAMES, Loud)
    client.send("1")
    patches.undo()
    again = Patches()
    again.methods(Client, NAMES, Loud)
    try:
        assert client.send("2") == "sent 2, loud 1"
    finally:
        again.undo()


def test_what_a_wrapper_wraps_passes_for_the_client(replaced: Patches) -> None:
    client = Client()
    unpatched: Any = Unpatched(client, {})
    passes = isinstance(unpatched, Client)

    assert (passes, unpatched.unpatched) == (True, client)


def test_an_attribute_of_a_module_is_set_and_put_back(patches: Patches) -> None:
    module = SimpleNamespace(name="before")

    patches.attribute(module, "name", "after")
    patches.attribute(module, "more", "after")
    assert vars(module) == {"name": "after", "more": "after"}
    patches.undo()

    assert vars(module) == {"name": "before"}


def test_processings_that_are_open_end_with_it(patches: Patches) -> None:
    following, ended = Following(), []
    context = TraceContext(bytes(range(16)), bytes(range(8)))
    processing = Processing(None, Current("acme", context, context), lambda *_: None)
    patches.ends(following)
    patches.then(lambda: ended.append(current()))
    following.open(processing)
    assert current() == context

    patches.undo()

    assert current() is None
    assert ended == [context]


@pytest.fixture
def tracing_of() -> Iterator[Callable[[str], Tracing]]:
    """Makes tracings."""
    made: list[Tracing] = []

    def make(service: str) -> Tracing:
        made.append(Tracing.for_development(service, sink=MemorySink()))
        return made[-1]

    yield make
    for tracing in made:
        tracing.close()


def test_there_is_one_tracing(tracing_of: Callable[[str], Tracing]) -> None:
    checkout, billing = tracing_of("checkout"), tracing_of("billing")
    asked: list[Tracing] = []

    def patch(patches: Patches, tracing: Tracing) -> None:
        asked.append(tracing)
        patches.methods(Client, NAMES, Loud)

    instrumentation = Instrumentation(patch)
    instrumentation.instrument(checkout)
    instrumentation.instrument(checkout)
    with pytest.raises(ConfigurationError, match="uninstrument"):
        instrumentation.instrument(billing)
    assert Client().send("1") == "sent 1, loud 1"
    instrumentation.uninstrument()
    instrumentation.uninstrument()
    assert Client().send("1") == "sent 1"
    instrumentation.instrument(billing)
    instrumentation.uninstrument()

    assert asked == [checkout, billing]


def test_what_fails_half_way_is_undone(tracing_of: Callable[[str], Tracing]) -> None:
    def patch(patches: Patches, _: Tracing) -> None:
        patches.methods(Client, NAMES, Loud)
        raise LookupError("half way")

    instrumentation = Instrumentation(patch)

    with pytest.raises(LookupError, match="half way"):
        instrumentation.instrument(tracing_of("checkout"))

    assert Client().send("1") == "sent 1"
    instrumentation.uninstrument()
