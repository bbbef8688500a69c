"""The documentation holds: what it shows runs, what it says is printed is printed, what it names is there.

Each page is run from top to bottom in a folder of its own:

* a block with a title is a file, and is written there;
* a Python block without one is executed; all of a page share their names, and may `await`;
* a `console` block is a session: each line after `$ ` is run by bash, and what follows is its output, in
  which `...` stands for anything. `make` is only asked for what it would do: it is make that runs this suite;
* a `text` block titled `prints` is the output of the Python block before it;
* what can't be run has a comment before it that says why: `<!-- not run: the reason -->`.

In Python, `bootstrap` is the address of a Kafka, and `amqp_url` that of a RabbitMQ.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from markdown_it import MarkdownIt

from interceptors.policy import parse_policy
from interceptors.policy.trust import TrustDocument
from interceptors.policy.yaml_document import parse_document
from interceptors.testing.embedded_kafka import EmbeddedKafka
from interceptors.testing.embedded_rabbitmq import EmbeddedRabbitMQ
from interceptors.token_vault import parse_access
from interceptors.tracing import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    page.relative_to(ROOT).as_posix(): page for page in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
}

NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 1,
    "docs/howto/hook-up-celery.md": 1,
    "docs/howto/keep-keys-in-a-kms.md": 1,
    "docs/tutorial/first-sealed-trace.md": 1,
}
"""How many blocks of a page are not run. A new one needs a place here as well as its reason there."""

DEADLINE_S = 120

_TITLE = re.compile(r'title="([^"]+)"')
_REASON = re.compile(r"<!-- not run: .{10,} -->")
_SESSION = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_OF_THE_REPOSITORY = re.compile(
    r"(?:interceptors|tests|docs|schemas|benchmarks|requirements|\.ci)/[\w./-]*|Makefile|LICENSE|pyproject\.toml"
)
_MATCHING = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    language: str
    title: str
    text: str
    line: int
    not_run: bool


def tokens(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def inline(page: Path) -> Iterator[Token]:
    for token in tokens(page):
        yield from token.children or ()


def blocks(page: Path) -> Iterator[Block]:
    before = ""
    for token in tokens(page):
        if token.type == "fence":
            language, _, rest = token.info.partition(" ")
            title = _TITLE.search(rest)
            assert token.map is not None
            yield Block(
                language,
                title[1] if title else "",
                token.content,
                token.map[0] + 1,
                _REASON.search(before) is not None,
            )
        before = token.content if token.type == "html_block" else ""


def check_printed(block: Block, expected: str, printed: str) -> None:
    assert doctest.OutputChecker().check_output(expected, printed, _MATCHING), (
        f"line {block.line} says:\n{expected}\nand this is printed:\n{printed}"
    )


async def run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    # As many empty lines before it as the page has, so that a traceback points into the page.
    source = "\n" * block.line + block.text
    code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        waiting = types.FunctionType(code, names)()
        if inspect.isawaitable(waiting):
            await waiting
    return printed.getvalue()


def run_command(command: str) -> str:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }
    done = subprocess.run(  # noqa: S603 - the commands of our own pages
        ["/usr/bin/env", "bash", "-euo", "pipefail", "-c", command],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def write(block: Block) -> None:
    file = Path(block.title)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.text, encoding="utf-8")
    if file.name == "policy.yaml":
        parse_policy(block.text, block.title)
    elif file.name == "vault.yaml":
        parse_access(block.text, block.title)
    elif file.name == "trust.yaml":
        parse_document(TrustDocument, block.text, block.title)
    elif file.suffix == ".yaml":
        parse_document(Configuration, block.text, block.title)


async def run_session(block: Block) -> None:
    for command, expected in _SESSION.findall(block.text):
        if command.startswith("make"):
            run_command(f"{command.replace('make', f'make --dry-run --directory {ROOT}', 1)} >/dev/null")
        else:
            check_printed(block, expected, await asyncio.to_thread(run_command, command))


@pytest.fixture
def bootstrap() -> Iterator[str]:
    # One for each page: two of them may use the same topic.
    with EmbeddedKafka() as kafka:
        yield kafka.bootstrap_servers


@pytest.fixture
def amqp_url() -> Iterator[str]:
    with EmbeddedRabbitMQ() as broker:
        yield broker.url


@pytest.mark.usefixtures("set_propagator")  # a page may
@pytest.mark.parametrize("name", [name for name in PAGES if list(blocks(PAGES[name]))])
async def test_what_a_page_shows_holds(
    name: str, bootstrap: str, amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__page__", "bootstrap": bootstrap, "amqp_url": amqp_url}
    printed = ""
    for block in blocks(PAGES[name]):
        match block:
            case Block(not_run=True):
                pass
            case Block(language="text", title="prints"):
                check_printed(block, block.text, printed)
            case Block(title=title) if title:
                write(block)
            case Block(language="python"):
                async with asyncio.timeout(DEADLINE_S):
                    printed = await run_python(block, PAGES[name], names)
            case Block(language="console"):
                await run_session(block)
            case Block(language="json"):
                json.loads(block.text)
            case _:
                assert block.language in {"mermaid", "text"}, f"line {block.line}: nothing runs this"


def test_what_is_not_run_is_known() -> None:
    counts = {name: sum(block.not_run for block in blocks(page)) for name, page in PAGES.items()}
    assert {name: count for name, count in counts.items() if count} == NOT_RUN


@pytest.mark.parametrize("name", PAGES)
def test_code_stands_in_fences(name: str) -> None:
    # An indented block has no language, and would escape the test above.
    assert [token.content for token in tokens(PAGES[name]) if token.type == "code_block"] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    page = PAGES[name]
    links = [str(token.attrs["href"]) for token in inline(page) if token.type == "link_open"]
    files = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [file for file in files if not (page.parent / file).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_files_of_the_repository_that_a_page_names_exist(name: str) -> None:
    named = [token.content for token in inline(PAGES[name]) if token.type == "code_inline"]
    files = [text for text in named if _OF_THE_REPOSITORY.fullmatch(text)]
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_make_knows_the_targets_that_a_page_names(name: str) -> None:
    named = [token.content for token in inline(PAGES[name]) if token.type == "code_inline"]
    targets = {text.removeprefix("make ") for text in named if re.fullmatch(r"make [a-z]+", text)}
    known = set(re.findall(r"^\.PHONY: (\w+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert targets - known == set()


class _Configuration(yaml.SafeLoader):
    """Reads mkdocs.yml, whose tags name functions of a package that only the documentation needs."""


_Configuration.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda _loader, suffix, _node: suffix)


def pages_in(navigation: object) -> Iterator[str]:
    match navigation:
        case str():
            yield navigation
        case dict():
            for part in navigation.values():
                yield from pages_in(part)
        case list():
            for part in navigation:
                yield from pages_in(part)
        case _:
            raise AssertionError(navigation)


def test_the_navigation_has_every_page_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    navigation = yaml.load(text, Loader=_Configuration)["nav"]  # noqa: S506 - it is a SafeLoader
    pages = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))
    assert sorted(pages_in(navigation)) == pages


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(DOCS / "_generate.py"), "--check"], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_the_readme_says_others_break_on_is_what_the_page_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, after = readme.partition("## What others break on\n")
    shown = [line for line in after.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    page = (ROOT / "docs" / "reference" / "robustness.md").read_text(encoding="utf-8").splitlines()
    assert len(shown) > 5
    assert [line for line in shown if line not in page] == []
