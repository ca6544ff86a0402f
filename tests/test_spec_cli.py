"""The commands `check`, `schema` and `rules`, as a user's shell runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")

import streamfilter as sf
from streamfilter import detectors
from streamfilter.cli.app import run_app
from streamfilter.spec.checking import checked

COMMAND = [sys.executable, "-m", "streamfilter"]

GOOD = r"""version = 1
[[pipeline.acme]]
stage = "redact"
rules = ["PII", {pattern = '(a)\1', name = "twice"}]
to = {use = "hash", salt = {env = "SPEC_CLI_SALT"}}
max_hold = 500
[[pipeline.acme]]
stage = "moderate"
check = {use = "all_of", parts = ["mod", {use = "openai_moderation", client = "openai"}]}
[[pipeline.kids]]
stage = "json_text"
path = "$.answer"
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command here, as `shell` does in a process of its own, which takes a second."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*args: str) -> tuple[int, str, str]:
        code = run_app(args)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def shell(*args: str, **env: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = subprocess.run(
        [*COMMAND, *args], capture_output=True, timeout=60, check=False, text=True, env={**os.environ, "COLUMNS": "120", **env}
    )
    return done.returncode, done.stdout, done.stderr


def test_check_explains_each_stage_without_what_it_is_given_where_it_runs(tmp_path: Path, run: Any) -> None:
    """Channels, what is held at most, by which engine; and what it needs there: objects and variables."""
    path = tmp_path / "p.toml"
    path.write_text(GOOD)
    code, out, err = run("check", str(path))
    assert (code, err) == (0, "")
    for word in (
        "pipeline acme",
        "Redact",
        "every text channel",
        "500 characters",
        "automaton",
        "twice: it refers back to a group",
        "by_sentence()",
        "pipeline kids",
        "JSONText",
    ):
        assert word in " ".join(out.replace("│", " ").split()), word
    assert "mod, openai, $SPEC_CLI_SALT" in out or "$SPEC_CLI_SALT, mod, openai" in out
    code, out, err = shell("check", str(path), "--json", SPEC_CLI_SALT="x" * 16)
    told = json.loads(out)
    assert (code, err, told["needs"]) == (0, "", ["mod", "openai"])
    redact, moderate = told["pipelines"]["acme"]
    assert (redact["stage"], redact["channels"], redact["most_held_chars"], redact["waits"]) == ("Redact", None, 500, False)
    assert moderate["waits"] is True
    assert told["pipelines"]["kids"][0]["gives"] == "items"


WRONG = """version = 1
[[pipeline.a]]
stage = "redact"
rules = ["emial", "PII", {pattern = "("}]
too = "x"
max_hold = "many"
[[pipeline.a]]
stage = "stop_att"
[[pipeline.b]]
stage = "filter_json"
pipeline = [{stage = "redact", rules = ["ibna"], to = {use = "hash", salt = 5}}, {stage = "shop:Shout"}]
[[pipeline.b]]
stage = "translate"
table = {a = [1], "U+00AD" = "", b = []}
[[pipeline.c]]
stage = "limit"
"""


def test_check_tells_all_that_is_wrong_at_once(tmp_path: Path, run: Any) -> None:
    """Each thing once, a line for each, in the order of the file; what was loaded would raise the first. No more than so many."""
    path = tmp_path / "p.toml"
    path.write_text(WRONG)
    code, out, err = run("check", str(path))
    found = [re.sub(rf"streamfilter: {path}, line (\d+): pipeline\.([^:]*): .*", r"\1 \2", line) for line in err.splitlines()]
    assert (code, out) == (2, "")
    assert found == [
        "2 a[0]", "4 a[0].rules[0]", "4 a[0].rules[2]", "6 a[0].max_hold", "8 a[1].stage", "11 b[0].pipeline[0].rules[0]",
        "11 b[0].pipeline[0].to.salt", "11 b[0].pipeline[1].stage", "14 b[1].table.a", "14 b[1].table.b", "15 c[0]",
    ]  # fmt: skip
    _, out, _ = run("check", "--json", str(path))
    assert [told["line"] for told in json.loads(out)["errors"]] == [int(line.split()[0]) for line in found]
    with pytest.raises(sf.SpecError) as caught:
        sf.load_all(path)
    assert str(caught.value) == err.splitlines()[0].removeprefix("streamfilter: ")
    path.write_text("version = 1\n" + '[[pipeline.a]]\nstage = "redact"\nrules = ["emial"]\n' * 100)
    _, _, err = run("check", str(path))
    assert err.splitlines()[-1] == "streamfilter: and perhaps more: 20 are told at most"
    assert err.count("emial") == 20


def test_check_says_what_is_wrong_and_exits_with_2(tmp_path: Path, run: Any) -> None:
    """In one line on standard error, or as JSON; nothing of it is a traceback."""
    path = tmp_path / "p.toml"
    path.write_text(GOOD.replace('"PII"', '"PIII"'))
    code, out, err = run("check", str(path))
    assert (code, out) == (2, "")
    assert err.startswith(f"streamfilter: {path}, line 4: pipeline.acme[0].rules[0]: unknown rule 'PIII': did you mean 'PII'?")
    assert err.count("\n") == 1
    code, out, err = run("check", "--json", str(path))
    (told,) = json.loads(out)["errors"]
    assert (code, err, told["line"], told["path"]) == (2, "", 4, ["pipeline", "acme", 0, "rules", 0])
    path.write_bytes(b"\x00" * 10)
    for given in (str(path), str(tmp_path), str(tmp_path / "none.toml"), "/dev/null"):
        code, out, err = run("check", given)
        assert (code, out, err.count("\n")) == (2, "", 1), given
    path.write_text('version = 1\n[[pipeline.a]]\nstage = "os:getcwd"\n')
    assert run("check", str(path))[2].endswith(
        "importing 'os:getcwd' is not allowed: who loads the declaration says allow_imports=[…] (here: --allow-imports os)\n"
    )
    assert "is no module" in run("check", "--allow-imports", "a b", str(path))[2]


def test_check_shows_nothing_that_a_terminal_obeys(tmp_path: Path, run: Any) -> None:
    """Nor what rich takes for a style."""
    path = tmp_path / "p.toml"
    path.write_text(
        'version = 1\n[[pipeline."\\u001b[31m[/red]"]]\nstage = "redact"\nrules = [{name = "[bold]\\u001b[2J", pattern = "(a)\\\\1"}]\n'
    )
    code, out, _ = run("check", str(path))
    assert (code, "\x1b" in out) == (0, False)
    assert r"\x1b[31m[/red]" in out
    assert r"[bold]\x1b[2J" in out


def test_stand_ins_fit_wherever_a_name_does(tmp_path: Path, run: Any) -> None:
    """A check, a client, a function, a class, a model, an event."""
    fields: list[dict[str, Any]] = [
        {"stage": "moderate", "check": {"use": "llm_judge", "model": "judge"}},
        {"stage": "moderate", "check": {"use": "classifier", "fn": "model", "refuse": ["bad"]}},
        {"stage": "map_text", "fn": "shout"},
        {"stage": "extract", "tags": ["a"], "to": {"use": "found"}},
        {"stage": "redact", "rules": [{"pattern": "a", "check": "sum"}], "to": {"use": "hide"}},
        {"stage": "segments", "boundary": "cut"},
        {"stage": "tap", "fn": "seen"},
        {"stage": "collect", "fn": "kept"},
        {"stage": "keep_alive", "seconds": 1, "event": "ping"},
    ]
    models: list[dict[str, Any]] = [
        {"stage": "parse_json", "model": "card"},
        {"stage": "json_items", "path": "$.a", "model": "card"},
        {"stage": "tool_calls", "models": {"search": "query"}},
    ]
    path = tmp_path / "p.json"
    path.write_text(
        json.dumps({"version": 1, "pipeline": {"a": fields, **{f"m{number}": [each] for number, each in enumerate(models)}}})
    )
    pipelines, needs = checked(path)
    assert needs == ["judge", "model", "shout", "found", "sum", "hide", "cut", "seen", "kept", "ping", "card", "query"]
    for pipeline in pipelines.values():
        assert pipeline.explain()


def test_schema_is_the_schema(tmp_path: Path, run: Any) -> None:
    """As JSON in several lines or one, with the names that will be handed in."""
    assert json.loads(run("schema")[1]) == sf.json_schema()
    code, out, _ = run("schema", "--json", "--name", "mod", "--allow-imports", "myapp.")
    assert (code, out.count("\n")) == (0, 1)
    assert json.loads(out) == sf.json_schema(objects=["mod"], allow_imports=["myapp."])


def test_rules_lists_the_catalogue_with_examples(run: Any) -> None:
    """Each finds all that it should in its example, under its name; a rule without its libraries says so."""
    from streamfilter.cli.catalogue import EXAMPLES, listed

    assert list(EXAMPLES) == list(dict.fromkeys(EXAMPLES))
    assert set(EXAMPLES) == set(detectors.NAMES)
    code, out, _ = run("rules", "--json")
    told = json.loads(out)
    assert (code, told) == (0, listed())
    assert [each["name"] for each in told] == list(detectors.NAMES)
    for each in told:
        if each["missing"] is None:
            rule = detectors.by_name(each["name"])
            assert each["becomes"] == sf.Redact(rule).apply(each["example"])
            assert each["becomes"].count(f"[{each['name']}]") == 1, each["name"]
            assert len(each["becomes"]) <= len(each["name"]) + 25, "the example shows no more than a label beside the match"
    assert {each["name"] for each in told if each["group"] == "PII"} == {rule.name for rule in detectors.PII}
    code, out, _ = run("rules")
    assert code == 0
    assert all(name in out for name in detectors.NAMES)


@pytest.mark.parametrize("command", ["check", "schema", "rules"])
def test_help_says_what_a_command_is_for(command: str, run: Any) -> None:
    """And the group lists it; completion knows it."""
    code, out, _ = run(command, "--help")
    assert (code, out.count("Usage:")) == (0, 1)
    assert command in run("--help")[1]
    completed = shell(COMP_WORDS=f"streamfilter {command[:3]}", COMP_CWORD="1", _STREAMFILTER_COMPLETE="bash_complete")[1]
    assert command in completed


WRAPS = """version = 1
[[pipeline.any]]
stage = "wrap"
pipeline = [{stage = "redact", rules = ["email", "phone", "api_key", "credit_card"]}]
[[pipeline.chat]]
stage = "openai.chat.wrap"
pipeline = [{stage = "redact", rules = ["email", "phone", "api_key", "credit_card"]}]
[[pipeline.plain]]
stage = "redact"
rules = ["email", "phone", "api_key", "credit_card"]
[[pipeline.turned]]
stage = "openai.chat.decode"
[[pipeline.turned]]
stage = "redact"
rules = ["email"]
[[pipeline.turned]]
stage = "anthropic.messages.encode"
as_bytes = true
"""
RECORDING = files("streamfilter.cli").joinpath("recordings", "redaction.sse")


def test_declared_wraps_are_run(tmp_path: Path) -> None:
    """A pipeline in a wrap does what it does without one, because `run` wraps what is not; formats can be turned into others; and what
    is for text alone says so."""
    path = tmp_path / "p.toml"
    path.write_text(WRAPS)
    plain = shell("run", "-p", str(path), "--name", "plain", str(RECORDING))
    assert plain[0] == 0
    assert "joe.bloggs" not in plain[1]
    for name in ("any", "chat"):
        assert shell("run", "-p", str(path), "--name", name, str(RECORDING)) == plain
    code, out, err = shell("run", "-p", str(path), "--name", "turned", str(RECORDING))
    assert (code, err) == (0, "")
    assert out.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    for args, says in [
        (["bench", "--name", "turned", str(RECORDING)], "bench is for pipelines over text"),
        (["trace", "--name", "turned", str(RECORDING)], "trace is for text"),
        (["run", "--name", "any", "--redact", "email", str(RECORDING)], "a stage in the wrong place"),
        (
            ["run", "--name", "any", "--field", "text", str(RECORDING), "-o", str(tmp_path / "out")],
            "--field is for pipelines over text",
        ),
    ]:
        code, out, err = shell(args[0], "-p", str(path), *args[1:])
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert says in err


def test_check_explains_what_is_inside_of_a_stage(tmp_path: Path, run: Any) -> None:
    """Those in a wrap and in `FilterJSON` hold text too: each has a row, and in JSON a place below."""
    path = tmp_path / "p.toml"
    path.write_text(
        'version = 1\n[[pipeline.a]]\nstage = "wrap"\n'
        'pipeline = [{stage = "filter_json", pipeline = [{stage = "redact", rules = ["email"], max_hold = 77}]}]\n'
    )
    code, out, err = run("check", str(path))
    assert (code, err) == (0, "")
    words = " ".join(out.replace("│", " ").split())
    assert words.index(" 0 Wrap ") < words.index(" 0.0 FilterJSON ") < words.index(" 0.0.0 Redact ") < words.index("77 characters")
    code, out, err = run("check", str(path), "--json")
    (wrap,) = json.loads(out)["pipelines"]["a"]
    assert wrap["pipeline"][0]["pipeline"][0]["most_held_chars"] == 77
    path.write_text('version = 1\n[[pipeline.a]]\nstage = "chunks"\nsize = 2\n[[pipeline.a]]\nstage = "chunks"\nsize = 1\n')
    code, out, err = run("check", str(path), "--json")
    assert [part["most_held_chars"] for part in json.loads(out)["pipelines"]["a"]] == [1, None]
    assert "\n" not in wrap["does"]


def test_a_live_object_is_imported_on_the_command_line(tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can hand it in there, so the message says what can be done."""
    (tmp_path / "spec_shop.py").write_text("async def mod(window):\n    return 'bad' not in window.text\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path, text = tmp_path / "p.toml", tmp_path / "a.txt"
    text.write_text("All good. A bad one.")
    path.write_text('version = 1\n[[pipeline.a]]\nstage = "moderate"\ncheck = "mod"\n')
    code, out, err = run("run", "-p", str(path), str(text))
    assert (code, out, "nothing is named 'mod'" in err, "objects=" in err) == (2, "", True, False)
    assert "imports them, 'module:name', which --allow-imports module allows" in err
    path.write_text(path.read_text().replace('"mod"', '"spec_shop:mod"'))
    code, out, _ = run("run", "-p", str(path), "--allow-imports", "spec_shop", str(text))
    assert "All good. " in out
    assert "bad" not in out
