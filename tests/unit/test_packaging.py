"""What is installed: which files, which names, and what importing them does (nothing)."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import textwrap
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import interceptors

ROOT = Path(__file__).parents[2]
PACKAGE = Path(interceptors.__file__).parent


def declared(init: Path) -> list[str] | None:
    """The `__all__` of a package, as it is written down; None where it has none."""
    for statement in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
            "__all__"
        ]:
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


def dotted(init: Path) -> str:
    return ".".join(("interceptors", *init.parent.relative_to(PACKAGE).parts))


# The adapters, each with the module of its client. Each has an extra of its own name.
CLIENTS = {
    "celery": "celery",
    "confluent": "confluent_kafka",
    "faststream": "faststream",
    "kafka": "aiokafka",
    "rabbitmq": "aio_pika",
    "taskiq": "taskiq",
}
FRAMEWORKS = {"faststream", "taskiq"}
"""What they have is in a module of theirs, and not in a package's `__init__`."""
INSIDE = {
    "aio_pika": "aio_pika.channel",
    "aiokafka": "aiokafka.consumer",
    "celery": "celery.utils",
    "confluent_kafka": "confluent_kafka.deserializing_consumer",
    "faststream": "faststream.app",
    "taskiq": "taskiq.abc",
}
"""A module of each client, which the client or its adapter needs."""

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]

# The command and the demonstration are run, and not imported.
RUN = {PACKAGE / "cli" / "__init__.py", PACKAGE / "demo" / "__init__.py"}
PUBLIC = {
    dotted(init): init
    for init in sorted(PACKAGE.rglob("__init__.py"))
    if init not in RUN and declared(init) is not None
}


def run(script: str, folder: Path, *arguments: str) -> str:
    """Run a script in a process of its own, and give what it prints."""
    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        check=False,
        cwd=folder,
        text=True,
    )
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.strip()


def test_what_is_tested_is_what_was_installed() -> None:
    installed = {str(file): file for file in metadata.files("interceptors") or ()}
    assert Path(str(installed["interceptors/__init__.py"].locate())) == PACKAGE / "__init__.py"
    assert "interceptors/py.typed" in installed
    assert {name.partition("/")[0] for name in installed} - {"..", "interceptors"} == {
        f"interceptors-{metadata.version('interceptors')}.dist-info"
    }


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata.version("interceptors") == project["version"]


def test_the_packages_that_say_what_is_public_are_known() -> None:
    assert {
        "interceptors",
        *(f"interceptors.{adapter}" for adapter in CLIENTS.keys() - FRAMEWORKS),
        "interceptors.envelope",
        "interceptors.keys",
        "interceptors.policy",
        "interceptors.spans",
        "interceptors.tracing",
    } <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_a_package_makes_public_is_there_in_order_and_is_all_that_it_has_of_its_own(name: str) -> None:
    names = declared(PUBLIC[name])
    assert names is not None
    # Constants, then classes, then functions, as the linter sorts them.
    assert names == sorted(set(names), key=lambda public: (not public.isupper(), public[0].islower(), public))
    module = importlib.import_module(name)
    assert [public for public in names if not hasattr(module, public)] == []
    statements = ast.parse(PUBLIC[name].read_text(encoding="utf-8")).body
    if hasattr(module, "__getattr__"):
        # Names that are imported when they are asked for are imported above for the type checker alone.
        statements += [below for one in statements if isinstance(one, ast.If) for below in one.body]
    own = {
        alias.asname or alias.name
        for statement in statements
        if isinstance(statement, ast.ImportFrom) and f"{statement.module}.".startswith(f"{name}.")
        for alias in statement.names
    }
    own |= {statement.name for statement in statements if isinstance(statement, ast.ClassDef)}
    assert own == set(names)


def test_importing_it_brings_no_adapter_and_has_no_effect(tmp_path: Path) -> None:
    script = """
        import logging, os, sys, threading

        environment = dict(os.environ)
        import interceptors

        rooms = {name.split(".")[1] for name in sys.modules if name.startswith("interceptors.")}
        foreign = {*sys.argv[1:], "kombu", "rich", "typer"} & set(sys.modules)
        loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
        handlers = [handler for logger in loggers for handler in logger.handlers]
        ours = [logger for logger in loggers if logger.name.startswith("interceptors")]
        adapters = {"celery", "confluent", "faststream", "kafka", "otel", "rabbitmq", "taskiq"}
        print(sorted(rooms & {*adapters, "testing", "cli", "demo"}), sorted(foreign))
        print(threading.active_count(), handlers, {logger.level for logger in ours} - {logging.NOTSET})
        print(os.environ == environment, logging.getLevelName(logging.root.level))
    """
    lines = run(script, tmp_path, *CLIENTS.values()).splitlines()
    assert lines == ["[] []", "1 [] set()", "True WARNING"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("adapter", CLIENTS)
def test_an_adapter_brings_no_client_but_its_own(tmp_path: Path, adapter: str) -> None:
    script = """
        import importlib, sys

        importlib.import_module(f"interceptors.{sys.argv[1]}")
        print(*sorted({*sys.argv[2:]} & set(sys.modules)))
    """
    assert run(script, tmp_path, adapter, *CLIENTS.values()) == CLIENTS[adapter]


@pytest.mark.parametrize(("adapter", "client"), CLIENTS.items())
def test_the_extra_of_an_adapter_brings_its_client(adapter: str, client: str) -> None:
    (requirement,) = EXTRAS[adapter]
    assert re.split(r"[^\w-]", requirement)[0].replace("-", "_") == client


@pytest.mark.parametrize(("adapter", "client"), CLIENTS.items())
def test_an_adapter_without_its_client_says_what_to_install(
    tmp_path: Path, adapter: str, client: str
) -> None:
    script = """
        import importlib, sys

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name == sys.argv[2]:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Blocker())
        try:
            importlib.import_module(f"interceptors.{sys.argv[1]}")
        except ImportError as error:
            print(type(error).__name__, getattr(error, "extra", None), error)
    """
    assert run(script, tmp_path, adapter, client) == (
        f"MissingExtraError {adapter} {client} is not installed; "
        f"install it with: pip install 'interceptors[{adapter}]'"
    )
    # A client that is there and broken is not taken for one that is missing.
    broken = INSIDE[client]
    assert run(script, tmp_path, adapter, broken) == (f"ModuleNotFoundError None No module named {broken!r}")
