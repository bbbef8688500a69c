from __future__ import annotations

import ast

import pytest

from interceptors.governance.checks.source import Source, pairs_of, text_of


def name_of(text: str) -> str:
    """What the argument of `ask(…)` in a source stands for."""
    source = Source("a.py", text)
    (call,) = (call for call, name in source.calls if name == "ask")
    return source.name_of(call.args[0])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import aiokafka\nask(aiokafka.X)", "aiokafka.X"),
        ("import aiokafka.client as c\nask(c.X)", "aiokafka.client.X"),
        ("import a.b\nask(a.b.c)", "a.b.c"),
        ("from aiokafka import X as Y\nask(Y())", "aiokafka.X()"),
        ("from .a import X\nask(X)", ".a.X"),
        ("from a import X\nY = X\nask(Y)", "a.X"),
        ("from a import X\nx = X()\nask(x)", "a.X()"),
        ("from a import X\nx: object = X()\nask(x)", "a.X()"),
        ("from a import X\nif (x := X()):\n    ask(x)", "a.X()"),
        ("from a import X\nwith X() as x:\n    ask(x)", "a.X()"),
        ("from a import X\nfor x in X():\n    ask(x)", "a.X()[]"),
        ("from a import X\nx, y = X(), 1\nask(x)", "a.X()"),
        ("from a import X\nx, y = X()\nask(x)", ""),
        ("from a import X\nasync def f():\n    x = await X()\n    ask(x)", "a.X()"),
        ("from a import X\nasync def f():\n    async for x in X():\n        ask(x)", "a.X()[]"),
        ("from a import X\n[ask(x) for x in X()]", "a.X()[]"),
        ("from a import X\ndef f(x: X):\n    ask(x)", "a.X()"),
        ("from a import X\ndef f(x: 'X | None'):\n    ask(x)", "a.X()"),
        ("import a\ndef f(x: 'a.X'):\n    ask(x)", "a.X()"),
        ("def f(x: 'no annotation'):\n    ask(x)", ""),
        ("from a import X\nx = X()\ndef f(x):\n    ask(x)", ""),
        ("from a import X\nx = X()\ndef f():\n    ask(x)", "a.X()"),
        ("from a import X\ndef f():\n    x = X()\ndef g():\n    ask(x)", "x"),
        (
            "from a import X\nclass C:\n  def f(self):\n    self.x = X()\n  def g(self):\n    ask(self.x)",
            "a.X()",
        ),
        ("from a import X\nclass C:\n    x: X\n    def g(self):\n        ask(self.y)", ""),
        ("from a import X\nask(X()['k'])", "a.X()[]"),
        ("x = y\ny = x\nask(x)", ""),
        ("ask(print)", "print"),
        ("ask(1)", ""),
        ("ask((lambda: 1)())", ""),
    ],
)
def test_what_a_name_stands_for(text: str, name: str) -> None:
    assert name_of(text) == name


@pytest.mark.parametrize(
    ("shown", "is_test"),
    [
        ("tests/a.py", True),
        ("shop/test/a.py", True),
        ("shop/test_a.py", True),
        ("a_test.py", True),
        ("conftest.py", True),
        ("shop/testament.py", False),
        ("contest.py", False),
        ("latest/a.py", False),
    ],
)
def test_where_tests_are(shown: str, *, is_test: bool) -> None:
    assert Source(shown, "").is_test is is_test


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(SyntaxError):
        Source("a.py", "def")


def test_texts_and_pairs() -> None:
    (statement,) = ast.parse("{'a': 1, **b}").body
    assert isinstance(statement, ast.Expr)
    assert [text_of(key) for key, _ in pairs_of(statement.value)] == ["a"]
    (statement,) = ast.parse("[('a', 1), 2, (b'c', 3), (1, 2, 3)]").body
    assert isinstance(statement, ast.Expr)
    assert [text_of(key) for key, _ in pairs_of(statement.value)] == ["a", "c"]
    assert [list(pairs_of(None)), text_of(None)] == [[], None]
