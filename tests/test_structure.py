"""The house: floors, public names, documentation of every public name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import streamfilter as sf

PACKAGE = Path(sf.__file__).parent

FLOORS: dict[str, int] = {
    "errors": 0,
    "items": 0,
    "declaration": 0,
    "display": 0,
    "context": 1,
    "metering": 1,
    "observer": 1,
    "stats": 1,
    "chain": 1,
    "reasons": 1,
    "hold": 1,
    "lift": 1,
    "machine": 1,
    "parsing": 1,
    "runs": 1,
    "matching": 1,
    "segment": 1,
    "vault": 1,
    "verdict": 1,
    "waiting": 1,
    "closing": 2,
    "outcome": 2,
    "pump": 2,
    "slices": 1,
    "stream": 2,
    "plain": 2,
    "pipeline": 2,
    "text": 3,
    "moderation": 3,
    "json": 3,
    "detectors": 3,
    "markup": 3,
    "flow": 3,
    "providers": 4,
    "records": 4,
    "resumable": 4,
    "spec": 4,
    "observe": 4,
    "cli": 7,
    "ray": 5,
    "testing": 5,
    "web": 5,
    "gateway": 6,
}
"""Which floor each module stands on. Imports point down, or sideways within a floor below the families."""

FAMILIES = {"text", "moderation", "json", "detectors", "markup", "flow", "cli", "ray", "testing", "web"}
"""Parts that no part of their own floor imports."""


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py" and path != PACKAGE / "__main__.py"]


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """No module imports one of a floor above, and no family another of its floor."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if not name.startswith("streamfilter."):
                continue
            other, here = name.split(".")[1], part(path)
            assert FLOORS[other] <= FLOORS[here], f"{here} imports {other}"
            assert other == here or FLOORS[other] < FLOORS[here] or other not in FAMILIES, f"{here} imports {other}"


def test_the_floors_are_those_that_the_documentation_tells() -> None:
    """Every part of the package is in the table of `docs/design.md`, on its floor, and with a slash where it is a directory."""
    page = (Path(__file__).parents[1] / "docs" / "design.md").read_text("utf-8")
    rows = [
        row.split("|")[1:3] for row in re.findall(r"^\| \d .*$", page.partition("| floor |")[2].partition("\n\n")[0], re.MULTILINE)
    ]
    told = {name: int(floor) for floor, names in rows for name in re.findall(r"`([^`]+)`", names)}
    assert told == {f"{name}/" if (PACKAGE / name).is_dir() else name: floor for name, floor in FLOORS.items()}
    assert sum(names.count("`") for _, names in rows) == 2 * len(told), "one is told twice"
    assert set(FLOORS) == {part(path) for path in modules()}


@pytest.mark.parametrize("path", [*modules(), PACKAGE / "__init__.py"], ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_fit_on_a_few_screens_and_say_what_they_are_for(path: Path) -> None:
    """A docstring, at most about 400 lines, functions of at most about 40."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(path.read_text().splitlines()) <= 430
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            size = body[-1].end_lineno - body[0].lineno + 1 if body and body[-1].end_lineno else 0
            assert size <= 48, f"{node.name}: {size} lines"


def test_the_public_names_are_the_exported_ones() -> None:
    """`__all__` is sorted, complete, and nothing else is public but modules."""
    public = {name for name, value in vars(sf).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public - {"TYPE_CHECKING"} | (set(sf._LATE) - {"testing"}) == set(sf.__all__)
    assert all(hasattr(sf, name) for name in sf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(sf, "nothing")  # noqa: B009  # a type checker knows that it is not there
    asked = "import streamfilter as sf; sf.web"  # in a process of its own: here it has been imported
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False).stderr
    assert "has no attribute 'web': a module is imported by name, `from streamfilter import web`" in said


NO_CODE = {"Item"}
"""Public names that are neither a class nor a function: an alias of types has no docstring of its own."""


@pytest.mark.parametrize("name", sorted(set(sf.__all__) - NO_CODE))
def test_every_public_name_is_documented(name: str) -> None:
    """A full first sentence, and an example that runs; every public method of it that is not inherited has a sentence too."""
    value = getattr(sf, name)
    assert ">>>" in (value.__doc__ or "") or inspect.ismodule(value), name
    assert (value.__doc__ or "").split("\n")[0].rstrip().endswith((".", ":", "`.")), name
    for attribute, method in vars(value).items() if inspect.isclass(value) else ():
        if inspect.isfunction(method) and not attribute.startswith("_"):
            inherited = any(attribute in vars(base) and getattr(base, attribute).__doc__ for base in value.__mro__[1:])
            assert method.__doc__ or inherited, f"{name}.{attribute}"


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("test_*.py")), ids=lambda path: path.name)
def test_every_test_states_the_fact_that_it_proves(path: Path) -> None:
    """In its docstring, which begins with a full sentence: it stands in its first paragraph."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            said = (ast.get_docstring(node) or "").split("\n\n")[0]
            assert said.rstrip(")").endswith((".", ":", "?")), f"{node.name}, line {node.lineno}"


def test_importing_the_library_imports_neither_asyncio_nor_extras() -> None:
    """The core runs under any event loop, and without what is optional."""
    import subprocess

    code = "import sys, streamfilter, streamfilter.detectors; streamfilter.Redact, streamfilter.Stream; print([m for m in ('asyncio', 'trio', 'click', 'rich', 'hypothesis', 'openai') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
