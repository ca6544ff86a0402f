"""What is printed in the documentation runs, and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[tuple[str, str]]:
    """The code blocks of one kind, named by page and line."""
    return [
        (f"{page.name}:{page.read_text()[: found.start()].count(chr(10)) + 1}", found[2])
        for page in PAGES
        for found in BLOCK.finditer(page.read_text())
        if found[1] == kind
    ]


@pytest.mark.parametrize(("where", "code"), blocks("python"), ids=[where for where, _ in blocks("python")])
def test_code_in_the_documentation_runs(where: str, code: str) -> None:
    """Each block runs by itself, and comments that show what is printed are right."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, where, "exec", dont_inherit=True), {"__name__": "documentation"})
    for shown in re.findall(r"print\(.*\) +# (.*)", code):
        assert shown.strip("'") in printed.getvalue()


def test_the_first_program_prints_what_the_readme_says() -> None:
    """The output shown under the README's first program is its output."""
    code, want = blocks("python")[0][1], blocks("text")[0][1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "documentation"})
    assert printed.getvalue() == want


def test_links_between_pages_lead_somewhere() -> None:
    """Every relative link names a file that is there."""
    for page in PAGES:
        for target in re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", BLOCK.sub("", page.read_text())):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
