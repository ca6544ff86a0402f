"""The house: floors, public names, documentation of every public name, and the examples of the detectors."""

from __future__ import annotations

import ast
import inspect
import random
import string
import sys
from pathlib import Path

import pytest

import streamfilter as sf
from streamfilter import detectors
from streamfilter.testing import cut

PACKAGE = Path(sf.__file__).parent

FLOORS: dict[str, int] = {
    "errors": 0,
    "items": 0,
    "declaration": 0,
    "context": 1,
    "hold": 1,
    "lift": 1,
    "machine": 1,
    "matching": 1,
    "stream": 2,
    "pipeline": 2,
    "text": 3,
    "detectors": 3,
    "providers": 4,
    "cli": 5,
    "testing": 5,
}
"""Which floor each module stands on. Imports point down, or sideways within a floor below the families."""

FAMILIES = {"text", "detectors", "cli", "testing"}
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
    assert public - {"TYPE_CHECKING"} | {"text_of"} == set(sf.__all__)
    assert all(hasattr(sf, name) for name in sf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(sf, "nothing")  # noqa: B009  # a type checker knows that it is not there


@pytest.mark.parametrize("name", sorted(set(sf.__all__) - {"Item"}))
def test_every_public_name_is_documented(name: str) -> None:
    """A full first sentence; and so has every public method of it that is not inherited."""
    value = getattr(sf, name)
    assert (value.__doc__ or "").split("\n")[0].rstrip().endswith((".", ":", "`.")), name
    for attribute, method in vars(value).items() if inspect.isclass(value) else ():
        if inspect.isfunction(method) and not attribute.startswith("_"):
            inherited = any(attribute in vars(base) and getattr(base, attribute).__doc__ for base in value.__mro__[1:])
            assert method.__doc__ or inherited, f"{name}.{attribute}"


def test_importing_the_library_imports_neither_asyncio_nor_extras() -> None:
    """The core runs under any event loop, and without what is optional."""
    import subprocess

    code = "import sys, streamfilter, streamfilter.detectors; print([m for m in ('asyncio', 'trio', 'click', 'rich', 'hypothesis', 'openai') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ------------------------------------------------------------------ detectors

EXAMPLES: dict[str, tuple[list[str], list[str]]] = {
    "email": (
        ["joe@example.com", "a.b+c%d@sub-domain.example.co.uk", "ünï@exämple.de", "x@a.b.museum", "J_D-1@x1.io", "m@xn--bcher-kva.xn--p1ai"],
        ["joe@", "@example.com", "joe@example", "joe@-example.com", "a @ b.com", "joe@example.c", "12 @ 3.5"],
    ),
    "phone": (
        ["+1 (555) 010-2030", "+442079460958", "+49 30 901820", "555-010-2030", "(555) 010-2030", "+1-555-010-2030"],
        ["2024-11-02", "3.5", "12345678", "1.234.567", "+1", "1-2-3", "192.168.10.20"],
    ),
    "credit_card": (
        ["4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "340000000000009", "6011000000000004", "3400 000000 00009", "2221000000000009", "3056 930902 5904"],
        ["4111 1111 1111 1112", "1234567812345670", "41111111111111111111111", "4111  1111 1111 1111"],
    ),
    "api_key": (
        ["sk-proj-abcdEFGH1234ijkl5678", "sk-ant-api03-AbC_dEf-123456789012345678", "sk-ant-api03-abcdefghijklmnop_qr-st", "AKIAIOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "xoxb-1234567890-abc", "hf_" + "a" * 34, "sk_live_" + "a1" * 12, "AIza" + "x" * 35],
        ["sk-short", "desk-top-something-very-long-indeed", "AKIA123", "ghp_tooshort", "task-force"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", detectors.NAMES)
def test_detectors_find_their_examples_and_leave_the_others(name: str) -> None:
    """Alone, in a sentence, and cut anywhere."""
    rule = detectors.by_name(name)
    assert rule.name == name
    positive, negative = EXAMPLES[name]
    stage = sf.Redact(rule, to="#")
    for text in positive:
        assert stage.apply(text) == "#", text
        sentence = f"see ({text}), then"
        assert stage.apply(sentence) == "see (#), then"
        assert "".join(stage.iter(list(sentence))) == "see (#), then"
        for place in range(1, len(sentence)):
            assert "".join(stage.iter(cut(sentence, place))) == "see (#), then"
    for text in negative:
        assert stage.apply(f"a {text} b") == f"a {text} b"


def test_a_card_is_found_before_other_digits() -> None:
    """An expiry date or a check number behind it does not hide it; keys of every shape are found."""
    card = "4111 1111 1111 1111"
    for rest in (" 12/27", " 2026", " 123", ", 12"):
        assert sf.Redact(detectors.CREDIT_CARD, to="#").apply(f"card {card}{rest}") == f"card #{rest}"
    rng = random.Random(1)
    letters = string.ascii_letters + string.digits + "_-"
    for size, prefix in ((95, "sk-ant-api03-"), (156, "sk-proj-"), (48, "sk-proj-"), (48, "sk-")):
        for _ in range(200):
            key = prefix + "".join(rng.choice(letters) for _ in range(size))
            assert sf.Redact(detectors.API_KEY, to="#").apply(f"key {key} ") == "key # "
