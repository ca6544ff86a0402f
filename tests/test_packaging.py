"""What is built and installed: the contents of wheel and sdist, their metadata, and the library with nothing but what it asks for."""

from __future__ import annotations

import email
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
FOR_DEVELOPERS = {"dev", "docs", "frameworks", "fuzz"}
REQUIRED = {"pydantic", "regex"}
"""All that an installation without extras may ask for, and what these ask for themselves."""
BESIDE = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}

DATA = {
    "streamfilter/py.typed",
    "streamfilter/cli/recordings/README.md",
    "streamfilter/cli/recordings/redaction.sse",
    "streamfilter/cli/sentences/README.md",
    "streamfilter/cli/sentences/sentences.csv",
    "streamfilter/observe/report.css",
}
"""All files of a wheel that are no code: what the demonstrations show, one style sheet, the mark of types."""

NEEDS = {
    "cli": "cli",
    "detectors.crypto": "crypto",
    "detectors.phones": "phone",
    "gateway": "gateway",
    "ray": "ray",
    "resumable.redis_streams": "redis",
    "spec.yaml": "yaml",
    "testing.endpoints": "testing",
    "testing": "testing",
    "web": "web",
}
"""Which extra each part needs that cannot be imported without one."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an sdist of the checkout, and the wheel made from that sdist."""
    for needed in ("build", "hatchling"):
        pytest.importorskip(needed, reason="what builds is not installed")
    out = tmp_path_factory.mktemp("dist")
    run = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_string(wheel.read(name).decode())


def name_of(requirement: str) -> str:
    """The distribution that a requirement (PEP 508) names, normalised (PEP 503)."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_a_wheel_has_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """All modules, the known data, its own metadata; no tests, no benchmarks, no documentation, no recordings but the demo's."""
    names = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "streamfilter").rglob("*.py")}
    assert modules <= names
    assert {name for name in names - modules if ".dist-info/" not in name} == DATA
    assert not [name for name in names if re.search(r"(^|/)(tests?_\w+\.py|conftest\.py|benchmarks|docs)(/|$)", name)]


def test_a_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    """Under 2 MB: nobody waits for data that is needed nowhere."""
    assert sum(each.compress_size for each in wheel.infolist()) < 2_000_000


def test_a_wheel_has_what_its_record_says(wheel: zipfile.ZipFile) -> None:
    """RECORD (PEP 376, 427) names each file once; and the licence and the commands are in it."""
    names = wheel.namelist()
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    recorded = [line.rsplit(",", 2)[0] for line in wheel.read(record).decode().splitlines()]
    assert sorted(recorded) == sorted(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)


def test_a_source_distribution_can_be_worked_with(built: Path) -> None:
    """It has the tests, the benchmarks, the documentation and the configuration; nothing that a tool or a person has left."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for wanted in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "tests/test_packaging.py",
        "benchmarks/__main__.py",
        "docs/design.md",
        "mkdocs.yml",
        "streamfilter/py.typed",
    ):
        assert wanted in names, wanted
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|\.git/|\.so$|~$|\.orig$|node_modules|\.hypothesis", name)]


def test_the_metadata_says_what_the_project_is(metadata: Message) -> None:
    """Name, version, licence (PEP 639), Python, types, and the README as Markdown."""
    assert metadata["Name"] == "streamfilter"
    assert metadata["Version"] == PROJECT["project"]["version"] == importlib.metadata.version("streamfilter")
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    classifiers = metadata.get_all("Classifier") or []
    assert "Typing :: Typed" in classifiers
    assert {each.rpartition(" ")[2] for each in classifiers if re.search(r":: 3\.\d+$", each)} == {"3.11", "3.12", "3.13"}
    assert set(metadata.get_all("Provides-Extra") or []) == set(EXTRAS)


def test_without_extras_two_packages_are_asked_for(metadata: Message) -> None:
    """Each further one is an extra's."""
    asked = [each for each in metadata.get_all("Requires-Dist") or [] if "extra ==" not in each]
    assert {name_of(each) for each in asked} == REQUIRED


def test_entry_points_lead_somewhere() -> None:
    """The command and pytest's plugin name what is there."""
    scripts = PROJECT["project"]["scripts"] | PROJECT["project"]["entry-points"]["pytest11"]
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert importlib.util.find_spec(module), target
        assert not name or f"def {name}(" in Path(str(importlib.util.find_spec(module).origin)).read_text()  # type: ignore[union-attr]  # the line above


def named_in_sources() -> dict[str, str]:
    """The extras that messages and documentation name, and where."""
    pages = [*(ROOT / "streamfilter").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    return {
        extra.strip(): str(page.relative_to(ROOT))
        for page in pages
        for found in re.findall(r"streamfilter\[([a-z, ]+)\]", page.read_text())
        for extra in found.split(",")
    }


@pytest.mark.parametrize(("extra", "where"), sorted(named_in_sources().items()))
def test_an_extra_that_is_named_exists(extra: str, where: str) -> None:
    """Who is told to install `streamfilter[x]` can."""
    assert extra in EXTRAS, where


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - FOR_DEVELOPERS))
def test_an_extra_is_documented(extra: str) -> None:
    """docs/installing.md has a row for each, with all that it brings."""
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", (ROOT / "docs" / "installing.md").read_text(), re.MULTILINE))
    assert extra in rows
    for requirement in EXTRAS[extra]:
        wanted = name_of(requirement) if not requirement.startswith("streamfilter") else requirement.partition("[")[2].rstrip("]")
        assert f"`{wanted}`" in rows[extra], requirement


def test_the_documentation_names_no_extra_that_is_gone() -> None:
    """A row of the table is an extra."""
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "installing.md").read_text(), re.MULTILINE)
    assert set(rows) == set(EXTRAS) - FOR_DEVELOPERS


def test_peers_are_pinned_and_nobodys_dependency() -> None:
    """What was measured can be measured again, and no extra brings it; but for what draws, and what tests use as references too."""
    peers = PROJECT["dependency-groups"]["peers"]
    assert [each for each in peers if "==" not in each] == ["matplotlib>=3.9"]
    ours = {name_of(each) for extra in EXTRAS.values() for each in extra}
    assert {name_of(each) for each in peers if "==" in each} & ours <= {"ijson", "langchain", "partial-json-parser"}


# ------------------------------------------------------------------ with nothing but what is asked for

ALONE = """
import importlib, json, pkgutil, sys
import streamfilter as sf
from streamfilter.detectors import EMAIL

late = [name for name in sf.__all__ if getattr(sf, name) is None]
failed = {}
for found in pkgutil.walk_packages(sf.__path__, "streamfilter.", onerror=lambda name: None):
    if not found.name.endswith("__main__"):
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            failed[found.name] = str(error)
print(json.dumps({"where": sf.__file__, "late": late, "failed": failed, "out": sf.Redact(EMAIL).apply("to joe@example.com, now")}))
"""


@pytest.fixture(scope="module")
def alone(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel and the packages that it asks for; no others are found from there."""
    folder = tmp_path_factory.mktemp("alone")
    wheel.extractall(folder)
    for name in REQUIRED | BESIDE:
        spec = importlib.util.find_spec(name)
        assert spec and spec.origin, name
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python without site-packages, from a folder of packages."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[1:] = {list(arguments[1:])!r}\n{arguments[0]}"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture(scope="module")
def found_alone(alone: Path) -> dict[str, Any]:
    run = python(alone, ALONE)
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, Any] = json.loads(run.stdout)
    assert Path(found["where"]).is_relative_to(alone)
    return found


def test_the_library_works_with_what_it_asks_for(found_alone: dict[str, Any]) -> None:
    """Every public name is there, and a rule finds."""
    assert found_alone["late"] == []
    assert found_alone["out"] == "to [email], now"


def test_what_needs_an_extra_is_known(found_alone: dict[str, Any]) -> None:
    """Nothing else fails to import, and where a user imports it the message says which extra is missing."""
    for name, said in found_alone["failed"].items():
        part = name.removeprefix("streamfilter.")
        extra = next((NEEDS[known] for known in NEEDS if part == known or part.startswith(f"{known}.")), None)
        assert extra, f"{name}: {said}"
    for part, extra in {"detectors.crypto": "crypto", "detectors.phones": "phone", "testing.strategies": "testing"}.items():
        assert f"streamfilter[{extra}]" in found_alone["failed"][f"streamfilter.{part}"]


def test_the_command_line_says_what_is_missing(alone: Path) -> None:
    """`python -m streamfilter` without its extra: one line that says which, and exit code 1."""
    run = python(alone, "import runpy; runpy.run_module('streamfilter', run_name='__main__', alter_sys=True)")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "streamfilter: the command line needs click: pip install 'streamfilter[cli]'\n"


def test_python_m_streamfilter_is_the_command_line() -> None:
    """The same help as `streamfilter --help`, which names the command as it is called."""
    pytest.importorskip("click")
    run = subprocess.run([sys.executable, "-m", "streamfilter", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: " in run.stdout
    for command in ("run", "check", "demo"):
        assert re.search(rf"^\W*{command}\b", run.stdout, re.MULTILINE), command
