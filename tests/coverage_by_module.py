"""Is each module of the core covered, every branch of it, by its own test module alone?

Run after one test run that recorded which test reached which line (`pytest --cov --cov-context=test`). A
module that only other modules' tests happen to pass through is as good as untested: this is what finds it.
What runs while a module is imported belongs to no test and counts for its own.

A module is mapped to `tests/unit/<room>/test_<module>.py` or `tests/unit/test_<module>.py`. A module without
such a test module fails, unless it is an `__init__.py` that does nothing but import.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tempfile
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parent.parent
COVERED_ALONE = (
    "interceptors/envelope/",
    "interceptors/keys/",
    "interceptors/headers.py",
    "interceptors/replay.py",
    "interceptors/pipeline.py",
)


def modules() -> list[Path]:
    """The source files that `COVERED_ALONE` names, relative to the root.

    Raises:
        SystemExit: one of the names is not there, so that a rename can't switch the check off.
    """
    found: list[Path] = []
    for name in COVERED_ALONE:
        path = ROOT / name
        if not path.exists():
            sys.exit(f"{name} is to be covered alone, and there is no such thing")
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path.relative_to(ROOT) for path in found]


def only_imports(module: Path) -> bool:
    """Whether a file has nothing to test: imports, `__all__` and text."""

    def harmless(statement: ast.stmt) -> bool:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return True
            case _:
                return False

    return all(harmless(statement) for statement in ast.parse((ROOT / module).read_text()).body)


def test_module_of(module: Path) -> Path | None:
    """The test module that must cover a module by itself, if it exists."""
    name = f"test_{module.stem.strip('_')}.py"
    unit = Path("tests", "unit")
    places = (unit / module.parent.relative_to("interceptors") / name, unit / name)
    return next((place for place in places if (ROOT / place).exists()), None)


def gaps(recorded: Coverage, module: Path, test_module: Path) -> tuple[float, list[str]]:
    """How much of a module its test module covers, in percent, and the lines and branches that it doesn't."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        recorded.json_report(
            morfs=[str(ROOT / module)],
            # The empty context is that of imports.
            contexts=["^$", f"^{re.escape(test_module.as_posix())}::"],
            outfile=report.name,
        )
        (found,) = json.load(report)["files"].values()
    missing = [str(line) for line in found["missing_lines"]]
    missing += [
        f"{start}→{'exit' if end < 0 else end}"
        for start, end in found["missing_branches"]
        if start not in found["missing_lines"]  # what was never reached has not branched either
    ]
    return found["summary"]["percent_covered"], missing


def main() -> None:
    """Print a line for each module that is not covered, and one for all of them.

    Raises:
        SystemExit: something is not covered, or nothing was recorded.
    """
    recorded = Coverage(data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml"))
    recorded.load()
    measured = recorded.get_data().measured_files()
    if not measured:
        sys.exit("nothing was recorded: run pytest --cov --cov-context=test first")
    if all(Path(file).is_relative_to(ROOT / "interceptors") for file in measured):
        # They were mapped when the processes' data were put together; else each report would copy all of it.
        recorded.set_option("paths", {})
    faults: list[tuple[Path, str, str]] = []
    checked = [module for module in modules() if module.stem != "__init__" or not only_imports(module)]
    for module in checked:
        test_module = test_module_of(module)
        if test_module is None:
            faults.append((module, "none", "has no test module"))
            continue
        percent, missing = gaps(recorded, module, test_module)
        if missing:
            faults.append((module, f"{percent:.1f} %", " ".join(missing)))
    for module, percent_text, missing_text in faults:
        print(f"{module!s:42} {percent_text:>8}  {missing_text}")
    print(f"covered by their own tests alone: {len(checked) - len(faults)} of {len(checked)} modules")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
