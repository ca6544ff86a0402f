"""What is printed in the documentation runs, and prints what it says; what it names is there, and what is there is named."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import tomllib
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import streamfilter as sf

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PUBLIC = [
    "streamfilter",
    "streamfilter.detectors",
    "streamfilter.gateway",
    "streamfilter.moderation.checks",
    "streamfilter.observe",
    "streamfilter.providers",
    "streamfilter.ray",
    "streamfilter.records",
    "streamfilter.resumable",
    "streamfilter.testing",
    "streamfilter.testing.strategies",
    "streamfilter.web",
]
"""Modules whose names are for users. The formats of `streamfilter.providers` are alike, and are looked at apart."""

FRAMEWORKS = {"langchain_core", "pydantic_ai", "ray"}
"""What blocks may import that the extra `dev` does not bring."""

OTHER_COMMANDS = {"curl", "eval", "mkdocs", "pytest", "ruff", "mypy", "pyright", "uvicorn", "cd", "git", ".ci/run"}
"""Commands of the documentation that are not this project's."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT if page.parent == ROOT else DOCS))


def blocks(*kinds: str) -> list[tuple[str, str]]:
    """The code blocks of some kinds, named by page and line."""
    return [
        (f"{name_of(page)}:{page.read_text()[: found.start()].count(chr(10)) + 1}", found[2])
        for page in PAGES
        for found in BLOCK.finditer(page.read_text())
        if found[1] in kinds
    ]


def run(where: str, code: str) -> str:
    """What a block prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, where, "exec", dont_inherit=True), {"__name__": "documentation"})
    return printed.getvalue()


@pytest.mark.parametrize(("where", "code"), blocks("python"), ids=[where for where, _ in blocks("python")])
def test_code_in_the_documentation_runs(where: str, code: str) -> None:
    """Each block runs by itself, and comments that show what is printed, behind a line or at the end, are right."""
    try:
        printed = run(where, code)
    except ModuleNotFoundError as missing:
        if missing.name not in FRAMEWORKS:
            raise
        pytest.skip(f"{missing.name} is not installed")
    for shown in re.findall(r"print\(.*\) +# (.*)", code):
        assert shown.strip() in [line.strip() for line in printed.splitlines()]
    if shown := re.search(r"\n((?:# .*\n?)+)\Z", code):
        lines = [line.removeprefix("# ").rstrip() for line in shown[1].splitlines()]
        got = [line.rstrip() for line in printed.splitlines() if line.strip()]
        assert got[-len(lines) :] == lines


def test_programs_print_what_is_shown_below_them() -> None:
    """The output shown under the first program of the README and of the quickstart is its output."""
    for page in ("README.md", "quickstart.md"):
        code, want = (next(block for where, block in blocks(kind) if where.startswith(page)) for kind in ("python", "text"))
        assert run(page, code).rstrip("\n") == want.rstrip("\n")


def test_code_that_needs_more_than_the_library_is_code() -> None:
    """Blocks of the kind `py`, which are not run because they need a model or an exporter, parse."""
    for where, code in blocks("py"):
        compile(code, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST, dont_inherit=True)


def test_names_in_the_text_are_there() -> None:
    """What any page calls `sf.something` is a public name."""
    for page in PAGES:
        for name in set(re.findall(r"(?<![\w.])sf\.([A-Za-z]\w*)", page.read_text())):
            assert hasattr(sf, name), f"{page.name}: sf.{name}"


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link names a file that is there; the generator looks at the headings, too."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", BLOCK.sub("", page.read_text())):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def words_of(code: str) -> list[list[str]]:
    """The commands of a block, as words, without variables that are set for one."""
    lines = re.sub(r"\\\n", " ", code).splitlines()
    parts = [part for line in lines if not line.startswith("#") for part in re.split(r"&&|\||;", line.removeprefix("$ "))]
    bare = [re.sub(r"^\s*(?:[A-Z_]+=\S* )+", "", part.replace("…", "")) for part in parts]
    return [words for part in bare if (words := shlex.split(part, comments=True))]


@pytest.mark.parametrize(
    ("where", "code"), blocks("console", "sh", "bash"), ids=[where for where, _ in blocks("console", "sh", "bash")]
)
def test_commands_in_the_documentation_exist(where: str, code: str) -> None:
    """Subcommands and options of `streamfilter`, modules after `python -m`, extras of an installation: all are there."""
    pytest.importorskip("click")
    app = importlib.import_module("streamfilter.cli.app").app
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for first, *words in words_of(code):
        if first == "streamfilter" and words and not words[0].startswith("-"):
            command = app.commands[words[0]]
            options = {name for each in command.params for name in each.opts} | {"--help"}
            assert {word.split("=")[0] for word in words[1:] if word.startswith("-")} <= options, words
        elif first in ("python", "python3") and words[:1] == ["-m"]:
            assert importlib.util.find_spec(words[1]), words
        elif first in ("python", "python3"):
            assert words[0] == "first.py" or (ROOT / words[0]).exists(), words
        elif first == "pip":
            wanted = {each.strip() for word in words for found in re.findall(r"\[(.*)\]", word) for each in found.split(",")}
            assert wanted <= set(extras), words
        else:
            assert first in {"streamfilter", *OTHER_COMMANDS}, f"{where}: {first}"


def documented() -> set[str]:
    """What the reference has an entry for."""
    return {
        name for page in (DOCS / "reference").glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("module", PUBLIC)
def test_the_reference_has_every_public_name(module: str) -> None:
    """An entry `::: module.name` for each name that a public module exports."""
    imported = importlib.import_module(module)
    own = [
        name
        for name, value in vars(imported).items()
        if isinstance(value, type | FunctionType) and value.__module__ == module and name[0] != "_"
    ]
    names = getattr(imported, "__all__", own)
    missing = {f"{module}.{name}" for name in names if f"{module}.{name}" not in documented() and not aliased(module, name)}
    assert not missing


def aliased(module: str, name: str) -> bool:
    """Whether a name is a format, or that of another module which has the entry."""
    found = getattr(importlib.import_module(module), name)
    return isinstance(found, ModuleType) or (module != "streamfilter" and getattr(sf, name, None) is found)


def test_the_reference_has_every_format_of_providers() -> None:
    """Each format in the table of docs/providers.md has an entry."""
    table = (DOCS / "providers.md").read_text()
    formats = {each for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for each in re.findall(r"`([\w.]+)`", row)}
    assert len(formats) >= 10
    assert {f"streamfilter.providers.{each}" for each in {*formats, "bedrock.invoke"}} <= documented()


def test_every_page_stands_in_the_navigation() -> None:
    """mkdocs.yml names each page once: add yours to its `nav`."""
    listed = re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    assert sorted(listed) == sorted(name_of(page) for page in PAGES if page.parent != ROOT)


def test_pictures_show_what_the_library_does() -> None:
    """Drawn again they are the same: `python docs/pictures.py` draws them."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec and spec.loader
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    for name, draw in pictures.PICTURES.items():
        assert (pictures.FOLDER / name).read_text() == draw(), name
