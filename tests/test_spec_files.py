"""Files of declarations: what is wrong with one is said with its place, and nothing is imported, read or run that was not allowed."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamfilter as sf
from streamfilter import detectors
from streamfilter.detectors import PII, SECRETS
from streamfilter.providers import detecting

V = "version = 1\n"


def stage(body: str, name: str = "a") -> str:
    """A TOML file of one stage: its name is on line 3, its fields from line 4 on."""
    return f"{V}[[pipeline.{name}]]\n{body}\n"


async def allowed(window: sf.Window) -> bool:
    return "weapon" not in window.text


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    """The declaration that users want to write is the pipeline that they would have written in Python."""
    path = tmp_path / "pipelines.toml"
    path.write_text(r"""# pipelines.toml
version = 1
[[pipeline.acme]]
stage = "redact"
rules = ["PII", "SECRETS", {name = "order", pattern = 'ORD-\d+'}]
to = "[{rule}]"
[[pipeline.acme]]
stage = "moderate"
check = "mod"
window = {by = "sentence", max_chars = 600}
""")
    want = sf.Redact(*PII, *SECRETS, sf.Rule("order", r"ORD-\d+"), to="[{rule}]") | sf.Moderate(
        allowed, window=sf.by_sentence(max_chars=600)
    )
    assert sf.load(path, checks={"mod": allowed}) == want
    assert sf.load_all(path, checks={"mod": allowed}) == {"acme": want}
    assert sf.load(str(path), "acme", objects={"mod": allowed}) == want


WRONG_FILES: list[tuple[str, str | bytes, str]] = [
    ("a.toml", "", "a.toml: the file is empty: it begins with version = 1"),
    ("a.yaml", " \n\n", "a.yaml: the file is empty"),
    ("a.yaml", "# so\n", "a.yaml: it says nothing: it begins with version: 1"),
    ("a.toml", b"\x00\xff\x01", "a.toml, line 1: byte 0xff is not UTF-8: text is needed"),
    ("a.toml", b"\xef\xbb\xbfa = 1\nb\xff\n\n", "a.toml, line 2: byte 0xff is not UTF-8: text is needed"),  # behind a mark
    ("a.json", b'{"a":\n"\0"}', "a.json, line 2: it has a zero byte"),
    ("a.toml", b"#" * 50_000_000, "a.toml: has more than 4,194,304 bytes"),
    ("a.txt", V, "a.txt: its name does not say what it is: it ends with .toml, .json, .yaml, .yml"),
    ("a.toml", "pipeline = {}\n", "a.toml: version is missing: write version = 1"),
    ("a.toml", "# so\nversion = 2\nnew = 1\n", "a.toml, line 2: version: version 2 is newer than this library knows, which is 1"),
    ("a.toml", "version = true\n", "a.toml, line 1: version: write version = 1"),
    ("a.json", '{"version": "1"}', "a.json, line 1: version: write version = 1"),
    ("a.json", "[1]", "a.json, line 1: it is an array: a table with version and pipeline is needed"),
    ("a.toml", V, "a.toml: a declaration needs pipeline"),
    ("a.toml", V + "pipelines = {}\n", "unknown field 'pipelines' of a declaration: did you mean 'pipeline'?"),
    ("a.yaml", "version: 1\npipeline:\n  a:\n    stage: words\n", "a.yaml, line 3: pipeline.a: a table stands here, an array of stages is needed: write [[pipeline.a]], in JSON and YAML a list"),
    ("a.toml", V + "pipeline = 3\n", "a.toml, line 2: pipeline: a whole number stands here: write [[pipeline.NAME]] above each stage"),
    ("a.toml", V + "pipeline = {}\n", "a.toml: there is no pipeline: write [[pipeline.NAME]]"),
    ("a.toml", stage("stage = words"), "a.toml, line 3, column 9: it is not TOML: invalid value"),
    ("a.toml", V + "a = [1,\n", "a.toml, line 2: it is not TOML: invalid value"),
    ("a.toml", stage('stage = "words"\nstage = "lines"'), "a.toml, line 4, column 16: it is not TOML: cannot overwrite a value"),
    ("a.toml", V + '[pipeline.a]\nstage = "words"\n', "a.toml, line 2: pipeline.a: a table stands here, an array of stages is needed: write [[pipeline.a]]"),
    ("a.toml", stage('stage = "words"') + '[[pipeline.b]]\nstage = "words"\n', "a.toml: there are pipelines a, b: say which, by its name"),
    ("a.toml", stage("stage = 2024-01-01"), "a.toml, line 3: pipeline.a[0].stage: a date or a time stands here"),
    ("a.toml", stage('stage = "coalesce"\nseconds = inf'), "a.toml, line 4: pipeline.a[0].seconds: inf stands here: JSON has no such number"),
    ("a.toml", "a=" + "[" * 100_000, "a.toml: it is nested too deeply"),
    ("a.toml", "version = 1\na" + ".a" * 1_000_000 + " = 1", "a.toml, line 2: it is nested too deeply"),
    ("a.toml", "[[ a" + " . 'b.c'" * 100_000 + "]]", "a.toml, line 1: it is nested too deeply"),
    ("a.toml", 'x = {"a"' + '."b"' * 100_000 + " = 1}", "a.toml, line 1: it is nested too deeply"),
    ("a.toml", "version=" + "1" * 5000, "a.toml: it is not TOML: Exceeds the limit"),
    ("a.json", '{"version": 1,\n "version": 1}', "a.json: 'version' stands twice in one table"),
    ("a.json", '{"version": 1,\n "pipeline": {]}', "a.json, line 2, column 15: it is not JSON: expecting property name"),
    ("a.json", '{"version": 1,\n"pipeline": {"a": [{"stage": "coalesce",\n"seconds": NaN}]}}', "a.json, line 3: pipeline.a[0].seconds: nan stands here"),
    ("a.json", "[" * 100_000, "a.json: it is nested too deeply"),
    ("a.json", '{"version": 1, "pipeline": {"a": ' + "[" * 80 + "]" * 80 + "}}", "it is nested too deeply"),
    ("a.json", '{"version":1,"pipeline":{"a":[{"stage":"stop_at","stops":["\\ud800"]}]}}', "pipeline.a[0].stops[0]: half a surrogate pair"),
    ("a.json", '{"version": 1, "pipeline": {"": []}}', "pipeline: '' is no name of a pipeline"),
    ("a.yaml", "[" * 100_000, "a.yaml, line 1, column 66: it is nested too deeply"),
    ("a.yaml", "a: &a [x,x]\nb: [*a,*a]\n", "a.yaml, line 1, column 4: anchors and aliases are refused: write it out"),
    ("a.yaml", "version: 1\nb: *a\n", "a.yaml, line 2, column 4: anchors and aliases are refused"),
    ("a.yaml", 'version: !!python/object/apply:os.system ["echo"]\n', "a.yaml, line 1, column 10: tags are refused"),
    ("a.yaml", "version: 1\npipeline: {}\n---\na: 1\n", "a.yaml, line 3, column 1: a second document begins here"),
    ("a.yaml", "version: 1\n1: 2\n", "a.yaml, line 2, column 1: a key that is no text"),
    ("a.yaml", "version: 1\n[a]: 2\n", "a.yaml, line 2, column 1: a key that is no text"),
    ("a.yaml", "version: 1\npipeline:\n  a: []\n  a: []\n", "a.yaml, line 4, column 3: 'a' stands twice in one table"),
    ("a.yaml", "version: 1\n\tpipeline: x\n", "a.yaml, line 2, column 1: it is not YAML: found a tab character"),
    ("a.yaml", "version: .inf\n", "a.yaml, line 1: version: inf stands here"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "want"), WRONG_FILES, ids=[want[:60] for *_, want in WRONG_FILES])
def test_what_is_wrong_with_a_file_is_said(name: str, content: str | bytes, want: str, tmp_path: Path) -> None:
    """With its name, and the line and column where they are known; the error is a `SpecError`, whatever the file holds."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(sf.SpecError) as caught:
        sf.load(path)
    assert want in str(caught.value)
    assert caught.value.file == str(path)


WRONG_STAGES: list[tuple[str, int, str]] = [
    ('stage = "redcat"', 3, ".stage: unknown stage 'redcat': did you mean 'redact'?"),
    ('stage = "resume"', 3, ".stage: unknown stage 'resume'"),
    ('stage = "American"', 3, "(a stage of your own: 'module:American')"),
    ('stage = "text_stage"', 3, ".stage: unknown stage 'text_stage'"),
    ("stage = 3", 3, ".stage: a whole number stands here, the name of a stage is needed"),
    ('rules = ["PII"]', 2, ": a stage needs its name: stage = …"),
    ('stage = "redact"', 2, ": Redact needs rules"),
    ('stage = "redact"\nrules = []', 4, ".rules: at least 1 is needed"),
    ('stage = "redact"\nrules = "PII"', 4, ".rules: a text stands here, an array is needed"),
    ('stage = "redact"\n\n# so\nrules = ["emial"]', 6, ".rules[0]: unknown rule 'emial': did you mean 'email'?"),
    ("stage = 'redact'\nrules = ['\\d+']", 4, ".rules[0]: unknown rule '\\\\d+': a pattern is written {pattern = '…'}"),
    ('stage = "redact"\nrules = ["PII",\n{pattern = "("}]', 5, ".rules[1]: pattern is not valid: missing ) at position 1"),
    ('stage = "redact"\nrules = [{patern = "a"}]', 4, ".rules[0]: unknown field 'patern' of a rule: did you mean 'pattern'?"),
    ('stage = "redact"\nrules = ["email"]\nto = {keep_last = 2}', 5, ".to: a table without use cannot stand here: {use = NAME, …} is needed"),
    ('stage = "redact"\nrules = [{name = "a"}]', 4, ".rules[0]: a rule needs pattern, or words"),
    ('stage = "redact"\nrules = [{pattern = "a", flags = ["ignorcase"]}]', 4, "unknown flag 'ignorcase': did you mean 'ignorecase'?"),
    ('stage = "redact"\nrules = [{pattern = "a", check = "lunh"}]', 4, "nothing is named 'lunh': did you mean 'luhn'?"),
    ('stage = "redact"\nrules = ["email"]\nmax_hold = 0', 5, ".max_hold: it should be greater than or equal to 1"),
    ('stage = "redact"\nrules = ["email"]\nmax_hold = "9"', 5, ".max_hold: a text stands here, a whole number is needed"),
    ('stage = "redact"\nrules = ["email"]\nmax_hold = true', 5, ".max_hold: true or false stands here, a whole number is needed"),
    ('stage = "redact"\nrules = ["email"]\noverflow = "relase"', 5, ".overflow: unknown value 'relase': did you mean 'release'?"),
    ('stage = "redact"\nrules = ["email"]\nchannels = "answer"', 5, '.channels: write ["answer"], or "every"'),
    ('stage = "redact"\nrules = ["email"]\nto = {use = "msk"}', 5, ".to: nothing is named 'msk': did you mean 'mask'?"),
    ('stage = "redact"\nrules = ["email"]\nto = {use = "hash"}', 5, ".to: Hash needs salt"),
    ('stage = "redact"\nrules = ["email"]\nto = {use = "hash", salt = {env = "X_NOT_SET"}}', 5, ".to.salt: the environment variable 'X_NOT_SET' is not set"),
    ('stage = "redact"\nrules = ["email"]\nto = "{x}"', 2, ": to has a field {x}: only {rule} is known"),
    ('stage = "redact"\nrules = [{words = {file = "none.txt"}}]', 4, ".rules[0].words.file: there is no file none.txt"),
    ('stage = "redact"\nrules = [{words = {file = "/dev/zero"}}]', 4, ".rules[0].words.file: /dev/zero leads elsewhere: files of words are beside the declaration"),
    ('stage = "redact"\nrules = [{words = {file = "."}}]', 4, ".rules[0].words.file: . is a directory: a file is needed"),
    ('stage = "redact"\nrules = [{words = {file = "latin.txt"}}]', 4, "latin.txt, line 2: byte 0xe9 is not UTF-8"),
    ('stage = "replace"\npattern = "PII"\nto = ""', 4, ".pattern: PII names 9 rules: one is needed here"),
    ('stage = "moderate"\ncheck = "mod"', 4, ".check: nothing is named 'mod'"),
    ('stage = "moderate"\ncheck = "gone"', 4, ".check: nothing is named 'gone'"),
    ('stage = "moderate"\ncheck = "three"', 4, ".check: three is a int: a function is needed"),
    ('stage = "moderate"\ncheck = "one"\nwindow = {by = "sentense"}', 5, ".window.by: unknown value 'sentense': did you mean 'sentence'?"),
    ('stage = "moderate"\ncheck = "one"\nwindow = "sentence"', 5, ".window: a text stands here, a table with by is needed"),
    ('stage = "moderate"\ncheck = "one"\nwindow = {by = "words"}', 5, ".window: size: 'words' needs one"),
    ('stage = "json_text"\npath = "items"', 4, ".path: a path begins with $"),
    ('stage = "filter_json"\npipeline = [{stage = "redcat"}]', 4, ".pipeline[0].stage: unknown stage 'redcat'"),
    ('stage = "filter_json"\npipeline = {stage = "words"}', 4, ".pipeline: a table stands here, an array of stages is needed"),
    ('stage = "parse_json"\n[[pipeline.a]]\nstage = "words"', 2, ": a stage in the wrong place: Words reads items, and ParseJSON before it gives values"),
    ('stage = "pipeline"\nparts = [{stage = "words"}]\non = []', 5, ".on: at least 1 is needed"),
    ('stage = "os:system"', 3, ".stage: importing 'os:system' is not allowed"),
    ('stage = "map_text"\nfn = "builtins:eval"', 4, ".fn: importing 'builtins:eval' is not allowed"),
    ('stage = "map_text"\nfn = "a b:c"', 4, ".fn: an import is written module:qualname"),
    ('stage = "extract"\ntags = [["a"]]', 4, ".tags[0]: an array of 2 is needed"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line", "want"), WRONG_STAGES, ids=[want[:60] for *_, want in WRONG_STAGES])
def test_what_is_wrong_with_a_stage_is_said(body: str, line: int, want: str, tmp_path: Path) -> None:
    """With the line where it begins, its path, what is wrong and what would be right. YAML and JSON name the same path."""
    import tomllib

    pytest.importorskip("yaml")
    from streamfilter.spec.texts import written

    (tmp_path / "latin.txt").write_bytes(b"a\n\xe9\n")
    path = tmp_path / "a.toml"
    path.write_text(stage(body))
    given: dict[str, Any] = {"objects": {"one": allowed, "three": 3}}
    with pytest.raises(sf.SpecError) as caught:
        sf.load(path, **given)
    assert str(caught.value).startswith(f"{path}, line {line}: pipeline.a")
    assert want in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).path == caught.value.path
    for form in ("json", "yaml"):
        other = tmp_path / f"a.{form}"
        other.write_text(written(tomllib.loads(stage(body)), form))
        with pytest.raises(sf.SpecError) as same:
            sf.load(other, **given)
        assert (same.value.problem, same.value.path) == (caught.value.problem, caught.value.path)
        found = same.value.line
        assert found is not None and 1 <= found <= len(other.read_text().splitlines())


def test_lines_of_yaml_and_json_are_those_of_the_value(tmp_path: Path) -> None:
    """Also inside of arrays, where TOML names the statement."""
    pytest.importorskip("yaml")
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\npipeline:\n  a:\n    - stage: redact\n      rules:\n        - email\n        - emial\n")
    with pytest.raises(sf.SpecError, match=r"a.yaml, line 7: "):
        sf.load(path)
    path = tmp_path / "a.json"
    path.write_text(
        '{"version": 1,\n"pipeline": {"b": [{"x": "}\\"]"}],\n"a": [\n{"stage": "redact",\n"rules": ["email",\n"emial"]}]}}'
    )
    with pytest.raises(sf.SpecError, match=r"a.json, line 6: "):
        sf.load(path, "a")


def test_lines_of_toml_are_those_of_the_statement() -> None:
    """For every value of a long file with values that span lines: the line on which its key stands."""
    from streamfilter.spec.places import toml_line

    lines = ["version = 1"]
    want: dict[tuple[str | int, ...], int] = {}
    for number in range(20):
        lines += ["", "# a comment", "[[pipeline.a]]"]
        want[("pipeline", "a", number)] = len(lines)
        for key in range(3):
            lines.append(f'key{key} = """' if key == 1 else f"key{key} = [")
            want[("pipeline", "a", number, f"key{key}")] = len(lines)
            lines += ["[[pipeline.a]]", '"""'] if key == 1 else ["  1,", "", "]"]
    text = "\n".join(lines)
    assert {path: toml_line(text, path) for path in want} == want


VALUES: Any = st.recursive(
    st.sampled_from(["1", '"a,]}#"', "'\\'", '"""\n"]\n"""', "'''\n}'''''", '"""\\""""""', "2024-01-01", "true", '"\\"["', '"\u2028"']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", '"c d"', "'='", "parts.a", "pipeline"]), inner, max_size=3)
    ),
    max_leaves=9,
)  # fmt: skip
"""Values as TOML writes them: scalars as they stand, lists and tables of them."""


def written_out(value: Any, path: tuple[str | int, ...], out: list[str], want: dict[tuple[str | int, ...], int]) -> None:
    """Write a value, its elements on lines of their own, and note the line of each by its path."""
    want[path] = "".join(out).count("\n") + 1
    if isinstance(value, list):
        out.append("[ # [\n")
        for number, each in enumerate(value):
            written_out(each, (*path, number), out, want)
            out.append("\n# ],\n,\n" if number % 2 else ", # }\n")
        out.append("]")
    elif isinstance(value, dict):
        out.append("{ ")
        for number, (key, each) in enumerate(value.items()):
            out.append(f"{', ' if number else ''}{key} = ")
            written_out(each, (*path, *(key.split(".") if "." in key else [key.strip("\"'")])), out, want)
        out.append(" }")
    else:
        out.append(value)


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, min_size=1, max_size=3))
@settings(max_examples=100)
def test_lines_of_toml_are_those_of_the_value(first: list[Any], second: list[Any]) -> None:
    """Also in arrays and inline tables over several lines: that of the value itself, whatever brackets stand in texts and comments."""
    from streamfilter.spec.places import toml_line

    out = ["# so\n"]
    want: dict[tuple[str | int, ...], int] = {}
    for number, values in enumerate((first, second)):
        out.append("\n[[pipeline.parts]]\n")
        for key, value in enumerate(values):
            out.append(f"k{key}.pipeline = ")
            written_out(value, ("pipeline", "parts", number, f"k{key}", "pipeline"), out, want)
            out.append(" # so\n")
    text = "".join(out)
    tomllib.loads(text)
    assert {path: toml_line(text, path) for path in want} == want


def test_missing_files_and_directories(tmp_path: Path) -> None:
    """Named as what they are."""
    with pytest.raises(sf.SpecError, match=r"none.toml: there is no such file"):
        sf.load(tmp_path / "none.toml")
    (tmp_path / "d.toml").mkdir()
    with pytest.raises(sf.SpecError, match=r"d.toml: it is a directory: a file is needed"):
        sf.load(tmp_path / "d.toml")
    os.mkfifo(tmp_path / "f.toml")
    with pytest.raises(sf.SpecError, match=r"f.toml: it is no regular file"):
        sf.load(tmp_path / "f.toml")
    for wrong in (None, 3, b"a"):
        with pytest.raises(sf.SpecError, match="no declaration: give the path of a file, or a dictionary"):
            sf.load(wrong)  # type: ignore[arg-type]


def test_dictionaries_are_checked_as_files_are() -> None:
    """What contains itself, or more than fits, is refused; whole floats are whole numbers, as in JSON Schema."""
    within: dict[str, Any] = {"version": 1}
    within["pipeline"] = within
    with pytest.raises(sf.SpecError, match="nested too deeply"):
        sf.load(within)
    many: list[Any] = ["x"] * 10
    for _ in range(20):
        many = [many, many]
    with pytest.raises(sf.SpecError, match="more than 1,000,000 values"):
        sf.load({"version": 1, "pipeline": {"a": many}})
    with pytest.raises(sf.SpecError, match="a key is a whole number"):
        sf.load({"version": 1, "pipeline": {1: []}})
    with pytest.raises(sf.SpecError, match=r"pipeline.a\[0\]: a object stands here"):
        sf.load({"version": 1, "pipeline": {"a": [object()]}})
    assert sf.load({"version": 1.0, "pipeline": {"a": ({"stage": "buffer", "n": 3.0},)}}) == sf.Buffer(3)


# ------------------------------------------------------------------ names


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of a user's, with a stage, a stage function, a function and things that are lent from elsewhere."""
    (tmp_path / "spec_shop").mkdir()
    (tmp_path / "spec_shop" / "__init__.py").write_text("")
    (tmp_path / "spec_shop" / "broken.py").write_text("raise RuntimeError('the key is hunter2')")
    (tmp_path / "spec_shop" / "parts.py").write_text('''
import os
from os import getcwd
import streamfilter as sf
@sf.stage
class Shout(sf.TextStage):
    """Upper-case all text.

    Args:
        times: how often.
    """
    times: int = 1
    def start(self, context=None): return sf.mapping(str.upper)
async def twice(source):
    async for item in source:
        yield item
        yield item
def shout(text): return text.upper()
class Outer:
    class Inner(sf.Event): pass
value = 3
''')
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("spec_shop")]:
        monkeypatch.delitem(sys.modules, name)
    return "spec_shop.parts"


def declared(**fields: Any) -> dict[str, Any]:
    return {"version": 1, "pipeline": {"a": [fields]}}


def test_imports_are_allowed_by_module_by_prefix_or_one_by_one(module: str) -> None:
    """And are written as they are read: stages, functions that are stages, functions, classes."""
    from spec_shop import parts  # type: ignore[import-not-found]

    pipelines = [parts.Shout(times=2), sf.Pipeline(parts.twice), sf.MapText(parts.shout), sf.Extract("a", to=parts.Outer.Inner)]
    for pipeline in pipelines:
        document = sf.dump(pipeline)
        for entry in (module, "spec_shop."):
            assert sf.load(document, allow_imports=[entry]) == pipeline
        with pytest.raises(sf.SpecError, match="is not allowed"):
            sf.load(document)
        for entry in ("spec_shop", "spec_shop.part", "spec_sho.", "spec_shop.parts.", "spec_shop.parts:other"):
            with pytest.raises(sf.SpecError, match="is not allowed"):
                sf.load(document, allow_imports=[entry])
    assert sf.load(sf.dump(sf.MapText(parts.shout)), allow_imports=[f"{module}:shout"]) == sf.MapText(parts.shout)
    assert sf.dump(parts.Shout(times=2))["pipeline"]["main"] == [{"stage": "spec_shop.parts:Shout", "times": 2}]


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("os.system", "is not defined there"),
        ("os:system", "written module:qualname|not allowed"),
        ("getcwd", "is not defined there"),
        ("none", "cannot import"),
        ("value", "is not defined there"),
        ("shout.__globals__", "is not defined there|written"),
        ("Shout.__init__.__globals__", "is not defined there"),
        ("Outer.__subclasses__", "is not defined there"),
    ],
)
def test_a_module_lends_nothing_that_is_not_its_own(name: str, want: str, module: str) -> None:
    """What it imports from elsewhere, and what hangs on its functions, cannot be had through it."""
    with pytest.raises(sf.SpecError, match=want):
        sf.load(declared(stage="map_text", fn=f"{module}:{name}"), allow_imports=["spec_shop."])


def test_what_is_imported_must_fit(module: str) -> None:
    """A stage where a stage stands, a class where a class does; a module that fails says so without what it said."""
    with pytest.raises(sf.SpecError, match=r"is no stage: a class with @sf.stage or an async generator function"):
        sf.load(declared(stage=f"{module}:shout"), allow_imports=[module])
    with pytest.raises(sf.SpecError, match="unknown field 'tims' of Shout: did you mean 'times'"):
        sf.load(declared(stage=f"{module}:Shout", tims=1), allow_imports=[module])
    with pytest.raises(sf.SpecError, match="has no fields"):
        sf.load(declared(stage=f"{module}:twice", times=1), allow_imports=[module])
    with pytest.raises(sf.SpecError, match="its module raised RuntimeError") as caught:
        sf.load(declared(stage="spec_shop.broken:x"), allow_imports=["spec_shop."])
    assert "hunter2" not in str(caught.value)
    for absent in ("spec_shops", "spec_shop.none", "spec_shops.parts"):
        with pytest.raises(sf.SpecError, match=rf"cannot import '{absent}:X': No module .*, its folder is not on PYTHONPATH\?$"):
            sf.load(declared(stage=f"{absent}:X"), allow_imports=[absent])
    with pytest.raises(sf.SpecError, match=r"cannot import .* has no attribute 'none'$"):
        sf.load(declared(stage=f"{module}:none"), allow_imports=[module])
    with pytest.raises(ValueError, match="allow_imports is a text"):
        sf.load(declared(stage="words"), allow_imports="os")
    for entry in ("a b", "", "a:", ":b", ".."):
        with pytest.raises(ValueError, match="is no module"):
            sf.load(declared(stage="words"), allow_imports=[entry])


def test_what_has_no_name_is_not_written() -> None:
    """Lambdas, clients and secrets; the error says where, and shows none of them."""

    class Client:
        def __repr__(self) -> str:
            return "hunter2"

    def local(text: str) -> str:
        return text

    for pipeline, path in [
        (sf.MapText(lambda text: text), ("fn",)),
        (sf.MapText(local), ("fn",)),
        (sf.Words() | sf.KeepAlive(1, cast("Any", Client())), ("event",)),
        (sf.FilterJSON(sf.MapText(local)), ("pipeline", 0, "fn")),
        (sf.Redact("a", to=sf.Hash("hunter2hunter2")), ("to", "salt")),
        (sf.Redact(sf.Rule("a", "a", check=lambda text: True)), ("rules", 0, "check")),
    ]:
        with pytest.raises(sf.SpecError) as caught:
            sf.dump(pipeline)
        assert caught.value.path == ("pipeline", "main", len(pipeline.stages) - 1, *path)
        assert "hunter2" not in str(caught.value)
    assert sf.load(sf.dump(sf.MapText(local), objects={"shout": local}), objects={"shout": local}) == sf.MapText(local)
    with pytest.raises(sf.SpecError, match="is not declared: declare what it is joined to"):
        sf.dump(detecting.Decode())
    with pytest.raises(sf.SpecError, match="JSON has no such number"):
        sf.dump(Odd(weight=float("inf")))


def test_names_of_live_objects() -> None:
    """Are names, each given once; they do not stand for what the library calls so."""
    for name in ("a:b", "", "1a", "a b", "é"):
        with pytest.raises(ValueError, match="is no name for a live object"):
            sf.load(declared(stage="words"), objects={name: 1})
    with pytest.raises(ValueError, match="given twice"):
        sf.load(declared(stage="words"), checks={"a": allowed}, objects={"a": 1})
    with pytest.raises(ValueError, match="means something here already"):
        sf.load(declared(stage="words"), objects={"luhn": allowed})


def test_secrets_come_from_the_environment_only_where_secrets_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file cannot have a variable of the environment shown to the reader of a stream."""
    monkeypatch.setenv("SPEC_SALT", "0123456789abcdef")
    stage = sf.load(declared(stage="redact", rules=["email"], to={"use": "hash", "salt": {"env": "SPEC_SALT"}}))
    assert stage == sf.Redact(*PII[:1], to=sf.Hash("0123456789abcdef"))
    assert sf.load(declared(stage="block", rules=[{"words": {"env": "SPEC_SALT"}}])) == sf.Block(sf.Terms(["0123456789abcdef"]))
    for fields in ({"to": {"env": "SPEC_SALT"}}, {"channels": [{"env": "SPEC_SALT"}]}):
        with pytest.raises(sf.SpecError, match="stand"):
            sf.load(declared(stage="redact", rules=["email"], **fields))
    with pytest.raises(sf.SpecError, match=r"a text stands here|a table stands here"):
        sf.load(declared(stage="limit", max_chars=3, suffix={"env": "SPEC_SALT"}))


def test_words_come_from_a_file_beside_the_declaration(tmp_path: Path) -> None:
    """Whatever the current directory is."""
    (tmp_path / "names.txt").write_text("Ann\n\n  Joe \n", encoding="utf-8-sig")
    path = tmp_path / "a.toml"
    path.write_text(stage('stage = "redact"\nrules = [{words = {file = "names.txt"}, name = "person"}]'))
    assert sf.load(path) == sf.Redact(sf.Terms(["Ann", "Joe"], name="person"))
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "real.txt").write_text("Ann")
    (tmp_path / "linked.txt").symlink_to(Path("..data", "real.txt"))
    path.write_text(path.read_text().replace("names.txt", "linked.txt"))
    assert sf.load(path) == sf.Redact(sf.Terms(["Ann"], name="person"))


def test_words_come_from_nowhere_else(tmp_path: Path) -> None:
    """A declaration cannot have any file of the machine taken for words, by its path or by a link."""
    (tmp_path / "below").mkdir()
    (tmp_path / "secret.txt").write_text("hunter2")
    (tmp_path / "below" / "link.txt").symlink_to(tmp_path / "secret.txt")
    path = tmp_path / "below" / "a.json"
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "x/../../secret.txt", "/proc/self/environ"):
        path.write_text(json.dumps(declared(stage="redact", rules=[{"words": {"file": name}}])))
        with pytest.raises(sf.SpecError, match="leads elsewhere") as caught:
            sf.load(path)
        assert "hunter2" not in str(caught.value)


def test_nested_pipelines() -> None:
    """`on` says what `.on(...)` does, and a pipeline in a pipeline is taken apart, as with `|`."""
    inner = [{"stage": "redact", "rules": ["email"]}, {"stage": "stop_at", "stops": ["END"]}]
    got = sf.load(declared(stage="pipeline", parts=inner, on=["reasoning"]))
    assert got == (sf.Redact(*PII[:1]) | sf.StopAt("END")).on("reasoning")
    document = {"version": 1, "pipeline": {"a": [{"stage": "words"}, {"stage": "pipeline", "parts": inner}]}}
    assert sf.load(document) == sf.Words() | sf.Redact(*PII[:1]) | sf.StopAt("END")
    got = sf.load(declared(stage="filter_json", pipeline=inner, at=["$..text"]))
    assert got == sf.FilterJSON(sf.Redact(*PII[:1]) | sf.StopAt("END"), at="$..text")


def test_several_pipelines_by_name() -> None:
    """Written and read together; an unknown name is an error that names those there are."""
    several = {"tenant-a": sf.Words(), "b.c": sf.Pipeline(), "ü": sf.Lines() | sf.Words()}
    document = sf.dump(several)
    assert sf.load_all(document) == several
    assert sf.load(document, "ü") == several["ü"]
    with pytest.raises(sf.SpecError, match="unknown pipeline 'tenant-b': did you mean 'tenant-a'"):
        sf.load(document, "tenant-b")
    assert json.loads(sf.dump_text(several, "json")) == document
    with pytest.raises(ValueError, match="unknown format 'ini'"):
        sf.dump_text(several, "ini")  # type: ignore[arg-type]


@sf.stage
class Odd(sf.TextStage):
    """A stage with fields of many types."""

    where: Path = Path("x")
    rows: list[str] | None = None
    table: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    most: int | None = 5
    pair: tuple[int, str] = (1, "a")
    weight: float = 0.5

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        return sf.mapping(str.upper)


def test_fields_of_a_users_own_types(tmp_path: Path) -> None:
    """What TOML can say stands in the file; anything else is handed in by a name."""
    from streamfilter.spec.forms import Place
    from streamfilter.spec.making import Fields
    from streamfilter.spec.scope import Scope

    here = Path("y")
    at = Place(Scope({"here": here}))
    for stage, want in [
        (Odd(), {}),
        (Odd(rows=["a"]), {"rows": ["a"]}),
        (Odd(table={"a": [1]}), {"table": {"a": [1]}}),
        (Odd(most=None), {"most": {"none": True}}),
        (Odd(pair=(2, "b")), {"pair": [2, "b"]}),
        (Odd(where=here), {"where": "here"}),
    ]:
        assert Fields(Odd).write(stage, at) == want
        assert Fields(Odd).read(want, at) == stage
    with pytest.raises(sf.SpecError, match="a value of type PosixPath has no name that a file could give"):
        Fields(Odd).write(Odd(where=Path("z")), at)


@pytest.mark.parametrize(("missing", "form"), [("tomli_w", "toml"), ("yaml", "yaml")])
def test_what_is_missing_names_the_extra(missing: str, form: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Reading TOML and JSON needs nothing."""
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name == "streamfilter.spec.yaml"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(sf.SpecError, match=rf'needs {missing}: pip install "streamfilter\[{form}\]"'):
        sf.dump_text(sf.Words(), form)
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\npipeline: {a: []}\n")
    if form == "yaml":
        with pytest.raises(sf.SpecError, match=r'a.yaml: YAML needs yaml: pip install "streamfilter\[yaml\]"'):
            sf.load(path)
    path = tmp_path / "a.toml"
    path.write_text(V + "pipeline.a = []\n")
    assert sf.load(path) == sf.Pipeline()
    assert json.loads(sf.dump_text(sf.Words(), "json"))["version"] == 1


def test_messages_obey_no_terminal() -> None:
    """What a file says stands in them in quotes where it is more than a name."""
    with pytest.raises(sf.SpecError) as caught:
        sf.load({"version": 1, "pipeline": {"\x1b[2J": [{"stage": "\x1b[31m"}]}})
    assert str(caught.value).startswith(r"pipeline['\x1b[2J'][0].stage: unknown stage '\x1b[31m': there are ")


def test_what_a_vault_and_a_context_are_for_is_not_declared() -> None:
    """What belongs to one stream or one caller comes with the context, so no stage has a field for it to declare."""
    text = json.dumps(sf.json_schema())
    assert "vault" not in {name for table in json.loads(text)["$defs"].values() for name in table.get("properties", {})}


def test_rules_that_are_made_of_others_configurations(tmp_path: Path) -> None:
    """Numbers of a country, rules of gitleaks and a check of Presidio are declared with the declared checks that they have."""
    from streamfilter.moderation import checks

    config = tmp_path / "gitleaks.toml"
    config.write_text("""[[rules]]
id = "acme-key"
regex = '''acme_key\\s*=\\s*'([a-z0-9]{16})''''
entropy = 3
keywords = ["acme"]
[[rules.allowlists]]
stopwords = ["demo"]
""")
    stage = sf.Redact(*detectors.from_gitleaks(config))
    assert sf.load(sf.dump(stage)) == stage
    assert "q8zr" not in sf.load(sf.dump(stage)).apply("acme_key = 'q8zr2lx7vb1nw5tk'")
    assert sf.load(sf.dump(stage)).apply("acme_key = 'q8demox7vb1nw5tk'") == "acme_key = 'q8demox7vb1nw5tk'"

    class Analyzer:
        def analyze(self, **_: object) -> list[object]:
            return []

    objects = {"analyzer": Analyzer()}
    moderate = sf.Moderate(checks.presidio(cast("Any", objects["analyzer"])))
    assert sf.load(sf.dump(moderate, objects=objects), objects=objects) == moderate
    pytest.importorskip("phonenumbers")
    stage = sf.Redact(detectors.phone_number("GB"))
    assert sf.load(sf.dump(stage)) == stage


@pytest.mark.parametrize("where", ["inner", "allowed"])
def test_what_a_declaration_asks_about_a_match_has_an_end(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern for a match, which gitleaks would search in linear time, may backtrack without an end: then the stream ends, as it
    does when the pattern of a rule does that, and nothing of the match leaves."""
    monkeypatch.setattr("streamfilter.detectors.gitleaks.findings.MAX_SECONDS", 0.05)
    slow = "(?:key=((?:a|aa)+)+)b"
    check = {"use": "gitleaks_finding", "inner": slow} if where == "inner" else {"use": "gitleaks_finding", "allowed": [{"patterns": [slow]}]}  # fmt: skip
    rule = {"name": "key", "pattern": "key=a+", "check": check}
    filtering = sf.load({"version": 1, "pipeline": {"a": [{"stage": "redact", "rules": [rule]}]}})
    got: list[str] = []
    with pytest.raises(sf.LimitExceeded, match=r"timeout of 0\.05"):
        got += filtering.iter(["so key=", "a" * 60, " and"])
    assert "key" not in "".join(got)


def test_nothing_is_written_that_could_not_be_read() -> None:
    """Half a surrogate pair, which no file can say, is refused by `dump` as by `load`, with its place."""
    with pytest.raises(sf.SpecError, match=r"pipeline\.main\[0\]\.to: half a surrogate pair") as caught:
        sf.dump(sf.Redact("a", to="\ud800"))
    with pytest.raises(sf.SpecError) as same:
        sf.load({"version": 1, "pipeline": {"main": [{"stage": "redact", "rules": ["email"], "to": "\ud800"}]}})
    assert caught.value.problem == same.value.problem
