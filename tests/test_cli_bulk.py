"""`run` over many inputs, `bench`, and the demonstration of structured output."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recordings import SHARED, chunks
from rich.console import Console

import streamfilter as sf
from streamfilter.cli import structured
from streamfilter.cli.app import run_app
from streamfilter.cli.bulk import filter_lines
from streamfilter.cli.running import Format
from streamfilter.detectors import EMAIL
from streamfilter.observe.recordings import pieces_of
from streamfilter.providers import sse
from streamfilter.providers.detecting import format_named
from streamfilter.providers.kinds import LINE_BYTES, kind_of
from streamfilter.records import filter_json, filter_records

COMMAND = [sys.executable, "-m", "streamfilter"]
MAIL = "mail joe@example.com now"
CLEAN = "mail [email] now"


def run(*args: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code, standard error."""
    code = run_app(["run", "--redact", "email", *map(str, args)])
    return code, capsys.readouterr().err


def written(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in records), "utf-8")
    return path


def test_all_files_of_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text, event streams and lines of JSON, with their names; hidden ones stay. A bad one stops no other, and leaves nothing."""
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep" / "er").mkdir(parents=True)
    chunk = json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": MAIL}}]})
    line = json.dumps({"model": "m", "message": {"role": "assistant", "content": MAIL}, "done": False})
    (source / "a.txt").write_text(MAIL)
    (source / "deep" / "b.sse").write_text(f"data: {chunk}\n\ndata: [DONE]\n\n")
    (source / "deep" / "er" / "c.ndjson").write_text(f"{line}\n")
    (source / "bad.sse").write_text('data: {"choices": \n\n')
    (source / ".hidden").write_text(MAIL)
    for jobs in (1, 2):
        code, err = run(source, "-o", out, "--jobs", jobs, capsys=capsys)
        assert code == 1
        assert f"streamfilter: {source / 'bad.sse'}: MalformedInput: the data of an event is not JSON, at offset 0\n" in err
        assert "3 files filtered, 1 bad, 3 email\n" in err
        assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
            "a.txt",
            "deep/b.sse",
            "deep/er/c.ndjson",
        ]
        assert (out / "a.txt").read_text() == CLEAN
        got = chunks((out / "deep" / "b.sse").read_bytes())
        assert "".join(each["choices"][0]["delta"]["content"] for each in got) == CLEAN
        lines = (out / "deep" / "er" / "c.ndjson").read_text().splitlines()
        assert "".join(json.loads(each)["message"]["content"] for each in lines) == CLEAN


def test_what_is_there_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --resume; without, it is written anew."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in "abc":
        (source / name).write_text(MAIL)
    out.mkdir()
    (out / "b").write_text("it stays")
    assert run(source, "-o", out, "--resume", capsys=capsys) == (0, "2 files filtered, 0 bad, 1 were there, 2 email\n")
    assert (out / "b").read_text() == "it stays"
    assert run(source, "-o", out, capsys=capsys) == (0, "3 files filtered, 0 bad, 3 email\n")
    assert (out / "b").read_text() == CLEAN


def records() -> list[Any]:
    """Good and bad ones, texts and lists of chunks."""
    rng = random.Random(1)
    good = [{"id": n, "text": rng.choice([MAIL, "nothing", "", "é \ud83d", ["mail joe@exa", "mple.org"]])} for n in range(400)]
    bad = ['{"text": \n', "[1]\n", {"id": 9}, {"text": 3}, "\n", {"text": [1, "a"]}]
    mixed: list[Any] = [*good]
    for at, one in enumerate(bad):
        mixed.insert(at * 60 + 7, one)
    return mixed


def test_records_of_a_jsonl_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many processes as one likes: the same rows as one by one; the bad ones are set aside with line and reason."""
    given = records()
    source = written(tmp_path / "log.jsonl", given)
    clean = sf.Redact(EMAIL, to="[{rule}]")
    want = []
    for record in given:
        if isinstance(record, dict) and isinstance(record.get("text"), str):
            want.append({**record, "text": clean.apply(record["text"])})
        elif isinstance(record, dict) and record.get("text") == ["mail joe@exa", "mple.org"]:
            want.append({**record, "text": ["mail ", "[email]"]})
    for jobs in (1, 3):
        out = tmp_path / f"out{jobs}.jsonl"
        code, err = run(source, "--field", "text", "-o", out, "--jobs", jobs, "--report", tmp_path / "r.json", capsys=capsys)
        assert code == 1
        assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == want
        bad = [json.loads(line) for line in (tmp_path / f"out{jobs}.jsonl.bad").read_text().splitlines()]
        assert [each["line"] for each in bad] == [8, 68, 128, 188, 308]
        assert [each["reason"] for each in bad] == [
            "it is no JSON at column 10",
            "it is list, not an object with fields",
            "the field 'text' is missing",
            "the field 'text' holds int: a text, or a list of chunks is needed",
            "the field 'text' holds list: a text, or a list of chunks is needed",
        ]
        assert f"{source}:68: it is list" in err
        report = json.loads((tmp_path / "r.json").read_text())
        assert (report["done"], len(report["bad"]), report["counts"]["email"]) == (
            400,
            5,
            sum("[email]" in str(row) for row in want),
        )
        assert sorted(path.name for path in tmp_path.glob(".*")) == []


@pytest.mark.parametrize("record", ['{"text": "a"', '{"text": ', '{"text": "a", ', "{", "nul", '{"text": "a"} b', '{"text": "é" "'])
def test_a_record_that_breaks_off_is_said_to_where_it_does(record: str) -> None:
    """The column is that of the record, whether or not an end of the line stands behind it, and as what it is given."""
    with pytest.raises(json.JSONDecodeError) as failed:
        json.loads(record)
    want = f"it is no JSON at column {failed.value.colno}"
    for line in (record, f"{record}\n", record.encode(), f"{record}\n".encode()):
        assert [row.reason for row in filter_json(sf.Redact(EMAIL), [line])] == [want]
    for line in (b"\xff\xfe{}", b"\xff\xfe{}\n", b"\xff\xfe{} ", b"\xff\xfe{} \n"):  # it begins as UTF-16 does
        with pytest.raises(ValueError) as other:
            json.loads(line.removesuffix(b"\n"))
        column = f" at column {other.value.colno}" if isinstance(other.value, json.JSONDecodeError) else ""
        assert [row.reason for row in filter_json(sf.Redact(EMAIL), [line])] == [f"it is no JSON{column}"]


def test_an_interrupted_file_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it was interrupted: the same output, byte for byte, and nothing done twice. Another input or pipeline is refused."""
    source = written(tmp_path / "log.jsonl", records())
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert run(source, "--field", "text", "-o", whole, capsys=capsys)[0] == 1
    stage: sf.Pipeline[str, str] = sf.Pipeline(sf.Redact(EMAIL, to="[{rule}]"))

    class Interrupted(Exception):
        pass

    done: list[int] = []

    def interrupt(read: int) -> None:
        done.append(read)
        if len(done) % 2 == 0:
            raise Interrupted

    tries = 0
    while True:
        tries += 1
        try:
            outcome = filter_lines(stage, source, out, "text", 1, interrupt, resume=True)
            break
        except Interrupted:
            assert not out.exists()
            with (tmp_path / ".out.jsonl.part").open("ab") as part:  # what was written and not said
                part.write(b"half a li")
    assert tries == 6
    assert outcome.skipped == 406
    assert out.read_bytes() == whole.read_bytes()
    assert (tmp_path / "out.jsonl.bad").read_bytes() == (tmp_path / "whole.jsonl.bad").read_bytes()
    made = out.stat()
    code, err = run(source, "--field", "text", "-o", out, "--resume", capsys=capsys)  # of what is complete nothing is done again
    assert (code, err.splitlines()[-1], out.stat()) == (1, "0 records filtered, 5 bad, 405 were there", made)
    os.utime(source, ns=(made.st_mtime_ns, made.st_mtime_ns + 1))
    assert "400 records filtered, 5 bad, " in run(source, "--field", "text", "-o", out, "--resume", capsys=capsys)[1]
    done.clear()
    with pytest.raises(Interrupted):
        filter_lines(stage, source, out, "text", 1, interrupt, resume=False)
    with pytest.raises(sf.StreamFilterError, match="another pipeline or field: begin anew, without --resume"):
        filter_lines(sf.Pipeline(sf.Redact("x")), source, out, "text", 1, interrupt, resume=True)
    with source.open("a") as more:
        more.write("\n")
    assert run(source, "--field", "text", "-o", out, "--resume", capsys=capsys)[0] == 1
    (tmp_path / ".out.jsonl.progress").write_text("?")
    code, err = run(source, "--field", "text", "-o", out, "--resume", capsys=capsys)
    assert (code, "does not say how far a run has come" in err) == (1, True)


SAID = "a@b.cc and 12"
LONGER = [({"text": SAID, "more": SAID}, {"text": "[email] and 12", "more": SAID}, {"text": "[email] and #", "more": SAID})] * 400
"""Records with what `email` makes of them, and what it makes of them together with a rule for numbers."""


def test_what_is_complete_of_other_work_is_done_anew(tmp_path: Path) -> None:
    """--resume keeps no output of another pipeline, field or input, none that was changed since, and none that was never its own."""
    given, want, stricter = (list(rows) for rows in zip(*LONGER, strict=True))
    source, out = written(tmp_path / "log.jsonl", ["?\n", *given]), tmp_path / "out.jsonl"
    bad = tmp_path / "out.jsonl.bad"
    mails: sf.Pipeline[str, str] = sf.Pipeline(sf.Redact(EMAIL, to="[{rule}]"))
    numbers = mails | sf.Redact(r"\d+", to="#")

    def again(stage: sf.Stage[Any, Any] = mails, name: str = "text", done: int = 400, rows: list[Any] = want) -> None:
        outcome = filter_lines(stage, source, out, name, 1, lambda _: None, resume=True)
        assert (outcome.done, outcome.failed) == (done, 1)
        assert [json.loads(line) for line in out.read_text().splitlines()] == rows
        assert [json.loads(line)["line"] for line in bad.read_text().splitlines()] == [1]

    again()
    again(done=0)
    again(numbers, rows=stricter)
    again(numbers, done=0, rows=stricter)
    again(name="more", rows=[{"text": SAID, "more": "[email] and 12"}] * 400)
    again()
    os.utime(source, ns=(1, 1))  # an older input that was moved here has a time before that of the output
    again()
    written(out, given)
    again()
    out.write_bytes(out.read_bytes().replace(b"[email]", b"a@b.ccc"))  # of the same size
    os.utime(out, ns=(out.stat().st_atime_ns, out.stat().st_mtime_ns + 1))  # some file systems have coarse clocks
    again()
    bad.unlink()
    again()
    out.unlink()
    written(out, given)
    bad.unlink()
    again()
    again(done=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "out.jsonl", "out.jsonl.bad"]


KILLED = r"""
import os, signal, sys
from pathlib import Path
import streamfilter as sf
from streamfilter.cli.bulk import filter_lines
from streamfilter.detectors import EMAIL

numbers = sf.Redact(EMAIL, to="[{rule}]") | sf.Redact(r"\d+", to="#")
batches = iter(range(3))
filter_lines(numbers, Path(sys.argv[1]), Path(sys.argv[2]), "text", 1,
             lambda read: read and next(batches, None) is None and os.kill(os.getpid(), signal.SIGKILL), resume=False)
"""
"""A run that is begun anew and killed behind some batches, before it has noted how far it has come."""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("before", ["complete", "interrupted"])
def test_a_run_that_was_killed_at_once_leaves_nothing_that_is_taken_for_its_own(tmp_path: Path, before: str) -> None:
    """What an earlier run had made, or had noted, is neither the output of the next one nor the beginning of it."""
    given, want, stricter = (list(rows) for rows in zip(*LONGER, strict=True))
    source, out = written(tmp_path / "log.jsonl", given), tmp_path / "out.jsonl"
    mails: sf.Pipeline[str, str] = sf.Pipeline(sf.Redact(EMAIL, to="[{rule}]"))
    numbers = mails | sf.Redact(r"\d+", to="#")

    def interrupt(read: int) -> None:
        if read and before == "interrupted":
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        filter_lines(mails, source, out, "text", 1, interrupt, resume=False)
    for stage, rows in ((mails, want), (numbers, stricter)):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(source), str(out)], check=False)
        assert (killed.returncode, (tmp_path / ".out.jsonl.part").exists()) == (-signal.SIGKILL, True)
        assert filter_lines(stage, source, out, "text", 1, lambda _: None, resume=True).skipped == 0
        assert [json.loads(line) for line in out.read_text().splitlines()] == rows
        assert list(tmp_path.glob(".*")) == []


def test_an_interrupt_leaves_valid_output(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a bulk run: exit code 130, nothing on standard error, no half file under a final name."""
    if os.name != "posix":
        pytest.skip("signals as POSIX has them")
    source = tmp_path / "in"
    source.mkdir()
    os.mkfifo(source / "never")
    (source / "first").write_text(MAIL)
    args = [*COMMAND, "run", "--redact", "email", str(source / "first"), str(source / "never"), "-o", str(tmp_path / "out")]
    with subprocess.Popen(args, stderr=subprocess.PIPE) as process, (source / "never").open("wb") as pipe:  # so the first is done
        pipe.write(b"mail jo")
        pipe.flush()
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert (process.wait(30), process.stderr.read().strip()) == (130, b"")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("{dir}",), "is a directory: say with --output where its files go"),
        (("{file}", "{file}"), "--output, where they go, must be given for several inputs"),
        (("{file}", "--field", "text"), "--output, where they go, must be given with --field"),
        (("{file}", "--jobs", "2"), "--jobs and --resume are for --output"),
        (("{file}", "-o", "{dir}"), "is a directory: name the file that is to be written"),
        (("{file}", "-o", "{file}"), "is an input: it would be lost"),
        (("{dir}", "-o", "{file}"), "is a file: for several inputs a directory is needed"),
        (("{dir}", "-o", "{dir}/../d"), "is an input: it would be lost"),
        (("{file}", "-o", "{dir}2/b", "--report", "{file}"), "a.txt is an input: it would be lost"),
        (("-", "{file}", "-o", "{dir}2"), "standard input goes to standard output"),
        (("-o", "{dir}2"), "standard input goes to standard output: leave out --output, or name files"),
        (("-", "-o", "{dir}2"), "standard input goes to standard output: leave out --output, or name files"),
        (("-", "--field", "text", "-o", "{dir}2"), "standard input goes to standard output: with --field name a file"),
        (("--field", "text", "-o", "{dir}2"), "FILES must be given with --field"),
        (("--field", "text"), "FILES and --output, where they go, must be given with --field"),
        (("{file}", "-o", "{file}/"), "a.txt is a file: a directory is needed"),
        (("{file}", "-o", "{dir}/"), "a.txt is an input: it would be lost"),
        (("{dir}", "--field", "text", "-o", "{dir}2"), "--field is for one file at a time"),
        (("{file}", "{file}", "-o", "{dir}2"), "2 inputs are named a.txt"),
        (("/no/such", "-o", "{dir}2"), "/no/such: No such file or directory"),
        (("{file}", "--name", "x"), "--name is of a pipeline in a file"),
        (("{file}", "-p", "{file}"), "its name"),
    ],
)
def test_a_bad_command_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], message: str
) -> None:
    """One clear line, exit code 2, nothing half done."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.txt").write_text(MAIL)
    places = {"dir": str(tmp_path / "d"), "file": str(tmp_path / "d" / "a.txt")}
    code, err = run(*(arg.format(**places) for arg in args), capsys=capsys)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert [path.name for path in tmp_path.rglob("*")] == ["d", "a.txt"]


@pytest.mark.parametrize("place", ["new", "old", "new/er", "old/."])
def test_an_output_that_ends_with_a_slash_is_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """For one input too, of whatever kind: it is made, and what is in it stays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept").write_text("kept")
    (tmp_path / "a.txt").write_text(MAIL)
    written(tmp_path / "a.jsonl", [{"text": MAIL}])
    for resume in ([], ["--resume"]):
        assert run("a.txt", "-o", f"{place}/", *resume, capsys=capsys)[0] == 0
        assert run("a.jsonl", "--field", "text", "-o", f"{place}/", *resume, capsys=capsys)[0] == 0
        assert (tmp_path / place / "a.txt").read_text() == CLEAN
        assert json.loads((tmp_path / place / "a.jsonl").read_text()) == {"text": CLEAN}
    kept = {"kept"} if place.startswith("old") else set()
    assert {path.name for path in (tmp_path / place).iterdir()} == {"a.txt", "a.jsonl"} | kept


@pytest.mark.parametrize("more", [[], ["-o", "out"], ["--field", "text", "-o", "out"], ["--jobs", "2", "-o", "out"]])
def test_values_are_not_dropped_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """A pipeline whose values are no text is refused, as `apply` refuses it, with nothing written; so it is over records."""
    monkeypatch.chdir(tmp_path)
    written(Path("a.txt"), [{"text": "{}"}])
    Path("p.toml").write_text(
        'version = 1\n[[pipeline.p]]\nstage = "parse_json"\n[[pipeline.text]]\nstage = "json_text"\npath = "$.text"\n'
    )
    assert run_app(["run", "-p", "p.toml", "--name", "p", "--report", "r.json", "a.txt", *more]) == 2
    out, err = capsys.readouterr()
    said = "leave it out, or read the values in Python: `for value in stage.iter(source)`"
    assert (out, err) == ("", f"streamfilter: ParseJSON gives values, and run writes text: {said}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "p.toml"]
    assert run_app(["run", "-p", "p.toml", "--name", "text", "a.txt"]) == 0
    assert capsys.readouterr().out == "{}"
    for method in (filter_records, filter_json):
        with pytest.raises(TypeError, match=f"ParseJSON gives values, and {method.__name__} joins text: use "):
            method(sf.ParseJSON(), [])


PASSED = """
from streamfilter import Usage

async def same(items):
    async for item in items:
        yield item

async def counted(items):
    async for item in items:
        yield item
        yield Usage({"total_tokens": 9})
"""
"""Functions that pass what comes, and that gives events beside it."""


def test_values_behind_a_function_are_not_dropped_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows beforehand what it gives: the first value makes its record or its file bad. Events beside a text are no part of it."""
    (tmp_path / "passed_values.py").write_text(PASSED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import passed_values  # type: ignore[import-not-found]

    said = (
        "a stage gives dict, and text is needed: leave out what gives values, or read them with `async for value in stage(source)`"
    )
    values = sf.ParseJSON() | passed_values.same
    given = [{"text": "{}"}, {"text": ["{", "}"]}]
    assert [(row.record, row.reason) for row in filter_records(values, given)] == [(None, f"NoText: {said}")] * 2
    assert [row.reason for row in filter_json(values, ['{"text": "{}"}'])] == [f"NoText: {said}"]
    texts = sf.Redact(EMAIL, to="[{rule}]") | passed_values.counted
    whole, parts = (row.record["text"] for row in filter_records(texts, [{"text": MAIL}, {"text": [MAIL]}]) if row.record)
    assert (whole, "".join(parts)) == (CLEAN, CLEAN)
    assert asyncio.run(texts.aapply(MAIL)) == CLEAN
    with pytest.raises(TypeError, match=r"^a stage gives dict, and text is needed"):
        asyncio.run(values.aapply("{}"))
    stages = [f'[[pipeline.p]]\nstage = "{stage}"\n' for stage in ("parse_json", "passed_values:same")]
    Path("p.toml").write_text("version = 1\n" + "".join(stages))
    Path("a.txt").write_text("{}")
    args = ["run", "-p", "p.toml", "--allow-imports", "passed_values", "a.txt"]
    assert run_app(args) == 1
    assert capsys.readouterr() == ("", f"streamfilter: {said}\n")
    assert run_app([*args, "-o", "out"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == f"streamfilter: a.txt: NoText: {said}"
    assert not Path("out").exists()


def test_no_input_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By whatever name it is written, an input keeps its bytes: the run is refused before it writes anything."""
    (tmp_path / "d" / "d").mkdir(parents=True)
    (tmp_path / "o").mkdir()
    for name in ("a.txt", "b.txt", ".a.txt.part", "d/x.txt", "d/d/x.txt", "l.jsonl", "l.jsonl.bad", ".l.jsonl.progress"):
        (tmp_path / name).write_text(MAIL)
    (tmp_path / "p.toml").write_text('version = 1\n[[pipeline.p]]\nstage = "redact"\nrules = ["email"]\n')
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "o" / "a.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "o" / "b.txt").hardlink_to(tmp_path / "b.txt")
    (tmp_path / "link.json").symlink_to(tmp_path / "d" / "x.txt")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for args, lost in (
        (("a.txt", "b.txt", "-o", "."), "a.txt"),
        (("d", "-o", "."), "d/x.txt"),
        (("a.txt", "l.jsonl", "-o", "here"), "here/a.txt"),
        (("a.txt", "l.jsonl", "-o", "o"), "o/a.txt"),
        (("b.txt", "l.jsonl", "-o", "o"), "o/b.txt"),
        (("a.txt", "-o", "o/b.txt", "--report", "here/a.txt"), "here/a.txt"),
        ((".a.txt.part", "-o", "a.txt"), ".a.txt.part"),
        (("d", "-o", "new", "--report", "d/d/x.txt"), "d/d/x.txt"),
        (("d/x.txt", "--report", "link.json"), "link.json"),
        (("l.jsonl.bad", "--field", "reason", "-o", "l.jsonl"), "l.jsonl.bad"),
        ((".l.jsonl.progress", "--field", "text", "-o", "l.jsonl"), ".l.jsonl.progress"),
        (("-p", "p.toml", "a.txt", "-o", "p.toml"), "p.toml"),
        (("-p", "p.toml", "a.txt", "--report", "here/p.toml"), "here/p.toml"),
    ):
        assert run(*args, capsys=capsys) == (2, f"streamfilter: {lost} is an input: it would be lost\n"), args
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_nothing_is_written_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Two outputs that would have one place are refused: the second would be all there is. What an earlier run left is replaced."""
    for name in ("in/x/a.txt", "in/y/a.txt", "o/y/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(MAIL)
    (tmp_path / "o" / "x").symlink_to(tmp_path / "o" / "y", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for args, twice in (
        (("in", "-o", "o"), "o/y/a.txt"),
        (("in", "-o", "new", "--report", "new/x/a.txt"), "new/x/a.txt"),
        (("in/x/a.txt", "-o", "new", "--report", "new"), "new"),
        (("in/x/a.txt", "--field", "text", "-o", "new", "--report", "new.bad"), "new.bad"),
    ):
        code, err = run(*args, capsys=capsys)
        assert (code, err) == (2, f"streamfilter: {twice} would be written twice: two outputs need two places\n"), args
        assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "o" / "x").unlink()
    for _ in range(2):
        assert run("in", "-o", "o", capsys=capsys)[0] == 0
    assert (tmp_path / "o" / "x" / "a.txt").read_text() == CLEAN


@pytest.mark.skipif(os.name != "posix", reason="pipes with names as POSIX has them")
def test_what_is_no_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output that is a pipe, a socket or a device, or a link to one, is refused before anything is read, and stays what it is."""
    (tmp_path / "o").mkdir()
    written(tmp_path / "l.jsonl", [{"text": MAIL}])
    written(tmp_path / "m.jsonl", [{"text": MAIL}])
    for name in ("pipe", "o/m.jsonl", ".a.part", "b.bad"):
        os.mkfifo(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        kinds = {path: path.lstat().st_mode for path in tmp_path.rglob("*")}
        for args, place in (
            (("l.jsonl", "-o", "pipe"), "pipe"),
            (("l.jsonl", "-o", "link"), "link"),
            (("l.jsonl", "-o", "socket"), "socket"),
            (("l.jsonl", "-o", "a"), ".a.part"),
            (("l.jsonl", "m.jsonl", "-o", "o"), "o/m.jsonl"),
            (("l.jsonl", "--field", "text", "-o", "pipe"), "pipe"),
            (("l.jsonl", "--field", "text", "-o", "link", "--resume"), "link"),
            (("l.jsonl", "--field", "text", "-o", "b"), "b.bad"),
        ):
            said = "is no regular file, and would become one: name another; one input without --output goes to standard output"
            assert run(*args, capsys=capsys) == (2, f"streamfilter: {place} {said}\n"), args
        assert {path: path.lstat().st_mode for path in tmp_path.rglob("*")} == kinds


def test_what_a_link_points_to_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link stays a link, and the file behind it becomes the output; two links to one file are two outputs in one place."""
    for name in ("real", "o", "in"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "a.txt").write_text(MAIL)
    (tmp_path / "in" / "b.txt").write_text(MAIL)
    written(tmp_path / "l.jsonl", ["?\n", {"text": MAIL}])
    (tmp_path / "real" / "old").write_text("it is replaced")
    for name, real in (("link", "real/old"), ("new", "real/new"), ("l", "real/l"), ("o/a.txt", "real/a")):
        (tmp_path / name).symlink_to(tmp_path / real)
    assert run("in/a.txt", "-o", "link", capsys=capsys)[0] == 0
    assert run("in/a.txt", "-o", "new", capsys=capsys)[0] == 0
    assert run("in", "-o", "o", capsys=capsys)[0] == 0
    for skipped in (0, 2):
        assert (
            run("l.jsonl", "--field", "text", "-o", "l", "--resume", capsys=capsys)[1].count(f"{skipped} were there") == skipped / 2
        )
    (tmp_path / "o" / "b.txt").unlink()
    (tmp_path / "o" / "b.txt").symlink_to(tmp_path / "real" / "a")
    code, err = run("in", "-o", "o", capsys=capsys)
    assert (code, err) == (2, "streamfilter: o/b.txt would be written twice: two outputs need two places\n")
    assert all((tmp_path / name).is_symlink() for name in ("link", "new", "l", "o/a.txt"))
    clean = json.dumps({"text": CLEAN}, separators=(",", ":")) + "\n"
    assert {path.name: path.read_text() for path in (tmp_path / "real").iterdir()} == {
        "old": CLEAN,
        "new": CLEAN,
        "a": CLEAN,
        "l": clean,
    }
    assert json.loads((tmp_path / "l.bad").read_text())["line"] == 1
    assert list(tmp_path.rglob(".*")) == []


def test_a_declared_pipeline_and_its_report(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What a file declares, and behind it what options ask for; what was found, without text."""
    declared = tmp_path / "p.toml"
    declared.write_text('version = 1\n[[pipeline.main]]\nstage = "redact"\nrules = ["email"]\nto = "<{rule}>"\n')
    text = tmp_path / "a.txt"
    text.write_text(f"{MAIL} 12")
    assert run_app(["run", "-p", str(declared), "--pattern", r"\d+", "--report", str(tmp_path / "r.json"), str(text)]) == 0
    assert capfdbinary.readouterr().out == b"mail <email> now [redacted]"
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["counts"] == {"email": 1, "redacted": 1}
    assert report["findings"][0] == {"rule": "email", "action": "redact", "channel": "answer", "start": 5, "end": 20}
    assert "joe" not in str(report)


def test_the_documentation_says_what_a_report_holds(tmp_path: Path) -> None:
    """Of one stream and of many: every field, and no other."""
    text, report = tmp_path / "a.txt", tmp_path / "r.json"
    text.write_text(MAIL)
    section = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text("utf-8").partition("## What a report holds")[2]
    told = [
        set(re.findall(r"`(\w+)`", cells))
        for cells in re.findall(r"^\|.*\|(.*)\|$", section.partition("\n## ")[0], re.MULTILINE)[2:]
    ]
    for fields, out in zip(told, ([], ["-o", str(tmp_path / "out")]), strict=True):
        assert run_app(["run", "--redact", "email", "--report", str(report), str(text), *out]) == 0
        said = json.loads(report.read_text())
        inside = said.get("findings", [{"place": "", "reason": ""}])
        assert {*said, *(name for each in inside for name in each)} == fields - ({"score"} if not out else set())


@pytest.mark.parametrize("waits", [False, True])
def test_a_report_is_written_however_the_stream_ends(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], waits: bool
) -> None:
    """Blocked or broken off: what was found up to then is in it. Where nothing began to be filtered there is none."""
    declared, text, report = tmp_path / "p.toml", tmp_path / "a.txt", tmp_path / "r.json"
    waiting = '[[pipeline.p]]\nstage = "coalesce"\nseconds = 0.01\n' if waits else ""
    declared.write_text(f'version = 1\n[[pipeline.p]]\nstage = "block"\nrules = ["email"]\n{waiting}')
    text.write_text("1234 joe@example.com 5678")
    args = ["run", "-p", str(declared), "--pattern", r"\d{4}", "--report", str(report)]
    assert run_app([*args, str(text)]) == 1
    assert capfdbinary.readouterr().out == b"[redacted] "
    said = json.loads(report.read_text())
    assert said["counts"] == {"redacted": 1, "email": 1}
    assert [each["action"] for each in said["findings"]] == ["block", "redact"]
    report.unlink()
    broken = b'data: {"choices": [{"index": 0, "delta": {"content": "1234 "}}]}\n\ndata: {"choices": \n\n'
    text.write_bytes(broken)
    assert run_app([*args, str(text)]) == 1
    held = {} if waits else {"redacted": 1}  # what a stage that waits still holds is gone before the next has seen it
    assert json.loads(report.read_text())["counts"] == held
    report.unlink()
    text.chmod(0)
    if not os.access(text, os.R_OK):  # whoever may read everything is not refused
        assert run_app([*args, str(text)]) == 1
        assert not report.exists()


def test_a_report_that_cannot_be_written_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why the stream ended, or what is bad, is told as well. The directory of a report is made, as that of an output is."""
    declared, text, report = tmp_path / "p.toml", tmp_path / "a.txt", tmp_path / "no" / "r.json"
    declared.write_text('version = 1\n[[pipeline.p]]\nstage = "block"\nrules = ["email"]\n')
    lines = written(tmp_path / "l.jsonl", [{"text": 1}, {"text": "good"}])
    bad = f"streamfilter: {lines}:1: the field 'text' holds int: a text, or a list of chunks is needed"
    out = ["-o", str(tmp_path / "out")]
    runs: list[tuple[list[str], int, str, list[str]]] = [
        ([str(text)], 1, MAIL, ["streamfilter: rule email matched at character 5 of the answer"]),
        ([str(text)], 0, "good", []),
        ([str(lines), "--field", "text", *out], 1, "", [bad, "1 records filtered, 1 bad"]),
        ([str(text), *out], 0, "good", ["1 files filtered, 0 bad"]),
    ]
    args = ["run", "-p", str(declared), "--report", str(report)]
    for more, code, said, told in runs:
        text.write_text(said)
        assert run_app([*args, *more]) == code
        assert capsys.readouterr().err.splitlines() == told
        report.unlink()
        report.parent.rmdir()
    report.parent.touch()
    for more, *_ in runs:
        assert run_app([*args, *more]) == 1
        assert capsys.readouterr() == ("", f"streamfilter: [Errno 17] File exists: '{report.parent}'\n")
    report.parent.unlink()

    write = Path.write_text

    def full(path: Path, *args: str) -> int:
        if path == report:
            raise OSError(28, "No space left on device", str(report))
        return write(path, *args)

    monkeypatch.setattr(Path, "write_text", full)
    for more, _, said, told in runs:
        text.write_bytes(said.encode())
        assert run_app([*args, *more]) == 1
        missing = f"streamfilter: [Errno 28] No space left on device: '{report}'"
        assert sorted(capsys.readouterr().err.splitlines()) == sorted([*told, missing])


def test_a_report_is_written_where_the_reader_leaves(tmp_path: Path) -> None:
    """What closed the pipe is no fault, and takes no report away."""
    report = tmp_path / "r.json"
    args = [*COMMAND, "run", "--redact", "email", "--report", str(report)]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"joe@example.com ")
        assert process.stdout.read(7) == b"[email]"
        process.stdout.close()
        process.stdin.write(b"more ")
        process.stdin.close()
        assert (process.wait(30), process.stderr.read()) == (0, b"")
    assert json.loads(report.read_text())["counts"] == {"email": 1}


def test_stages_that_wait(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """They run in an event loop; one by one and in bulk."""
    declared = tmp_path / "p.toml"
    declared.write_text('version = 1\n[[pipeline.main]]\nstage = "coalesce"\nseconds = 0.01\n')
    text = tmp_path / "a.txt"
    text.write_text(MAIL)
    assert run_app(["run", "-p", str(declared), str(text)]) == 0
    assert capfdbinary.readouterr().out == MAIL.encode()
    lines = written(tmp_path / "l.jsonl", [{"text": MAIL}])
    assert run_app(["run", "-p", str(declared), str(lines), "--field", "text", "-o", str(tmp_path / "o.jsonl")]) == 0
    assert json.loads((tmp_path / "o.jsonl").read_text()) == {"text": MAIL}


def test_every_stream_has_a_vault_of_its_own(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Placeholders count from 1 in each input and each record: live, in bulk, in several processes, with a stage that waits, in Python."""
    declared, text = tmp_path / "p.toml", tmp_path / "a.txt"
    stages = '[[pipeline.{0}]]\nstage = "redact"\nrules = ["email"]\nto = {{use = "placeholder"}}\n'
    waiting = '[[pipeline.waiting]]\nstage = "coalesce"\nseconds = 0.01\n'
    declared.write_text("version = 1\n" + stages.format("plain") + stages.format("waiting") + waiting)
    said, hidden = "a@b.cc, joe@example.com, a@b.cc", "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>"
    text.write_text(said)
    (tmp_path / "b.txt").write_text(said)
    log = written(tmp_path / "log.jsonl", [{"text": said}, {"text": ["a@b", ".cc"]}] * 150)
    rows = [{"text": hidden}, {"text": ["<EMAIL_1>"]}] * 150
    for name in ("plain", "waiting"):
        named = ["-p", str(declared), "--name", name]
        assert run_app(["run", *named, str(text)]) == 0
        assert capfdbinary.readouterr().out.decode() == hidden
        for jobs in ("1", "2"):
            out = tmp_path / f"out{name}{jobs}"
            assert run_app(["run", *named, "--jobs", jobs, str(text), str(tmp_path / "b.txt"), "-o", str(out)]) == 0
            assert {path.name: path.read_text() for path in out.iterdir()} == {"a.txt": hidden, "b.txt": hidden}
            assert run_app(["run", *named, "--jobs", jobs, str(log), "--field", "text", "-o", str(out / "log")]) == 0
            assert [json.loads(line) for line in (out / "log").read_text().splitlines()] == rows
        assert run_app(["bench", *named, "--rounds", "1", str(text)]) == 0
        capfdbinary.readouterr()
    given = [{"text": said}] * 2
    for context in (None, sf.Context(tags={"of": "all"})):
        done = filter_records(sf.Redact(EMAIL, to=sf.Placeholder()), given, context=context)
        assert [row.record for row in done] == [{"text": hidden}] * 2
    one = sf.Context(vault=sf.Vault())
    assert [row.counts for row in filter_records(sf.Redact(EMAIL, to=sf.Placeholder()), given, context=one)] == [{"email": 3}] * 2
    assert one.vault is not None
    assert one.vault.restore("<EMAIL_2>") == "joe@example.com"


@pytest.mark.skipif(not SHARED.exists(), reason="the shared recordings are not beside this checkout")
def test_all_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a stop that never comes, every recording comes out with its text, nearly all byte for byte; what is no JSON is told."""
    code = run_app(
        [
            "run",
            "--stop-at",
            "\ue000",
            str(SHARED),
            "-o",
            str(tmp_path / "out"),
            "--jobs",
            "2",
            "--report",
            str(tmp_path / "r.json"),
        ]
    )
    bad = {each["place"] for each in json.loads((tmp_path / "r.json").read_text())["bad"]}
    assert code == bool(bad)
    assert len(bad) <= 3
    changed = 0
    for path in SHARED.rglob("*"):
        if path.is_file() and str(path) not in bad:
            came, left = path.read_bytes(), (tmp_path / "out" / path.relative_to(SHARED)).read_bytes()
            if left != came:  # a chunk with an empty text lost it
                changed += 1
                assert "".join(sf.text_of([left])) == "".join(sf.text_of([came])), path
    assert changed <= 5


def test_records_of_a_providers_chunks() -> None:
    """A list of chunks is wrapped; what a check raises is told by its name only."""
    parts = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in ("mail joe@exam", "ple.com")]
    (row,) = filter_records(sf.Redact(EMAIL, to="[{rule}]"), [{"chunks": parts}], field="chunks")
    assert row.record is not None
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in row.record["chunks"]) == "mail [email]"
    assert row.counts == {"email": 1}

    def check(match: object) -> bool:
        raise RuntimeError(MAIL)

    (row,) = filter_records(sf.Redact(sf.Rule("x", "joe", check=check)), [{"text": MAIL}])
    assert (row.record, row.reason) == (None, "RuntimeError")
    (row,) = filter_records(sf.Block("joe", action="raise"), [{"text": MAIL}])
    assert row.reason.startswith("Blocked: ")
    assert "joe" not in row.reason


@pytest.mark.parametrize("more", [[], ["--pattern", "x", "-p", "waiting.toml"]], ids=["at once", "waiting"])
def test_a_field_that_holds_a_conversation_is_told_what_it_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """Messages are no chunks: that is what is wrong, and no format could be named for them. Their text is not told."""
    monkeypatch.chdir(tmp_path)
    Path("waiting.toml").write_text('version = 1\n[[pipeline.p]]\nstage = "coalesce"\nseconds = 0.01\n')
    turns = [{"role": "user", "content": MAIL}]
    written(Path("conv.jsonl"), [{"messages": turns}, {"messages": turns * 5000}, {"messages": MAIL}])
    code, err = run("conv.jsonl", "--field", "messages", "-o", "out.jsonl", *more, capsys=capsys)
    said = "the field 'messages' holds a list of objects that are no provider's chunks: a text, or a list of chunks is needed"
    assert (code, err.splitlines()[:2]) == (1, [f"streamfilter: conv.jsonl:{line}: {said}" for line in (1, 2)])
    assert Path("out.jsonl").read_text() == json.dumps({"messages": CLEAN}, separators=(",", ":")) + "\n"


def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pipeline, each of its stages, and nothing at all, by turns; as a table and as JSON."""
    text = tmp_path / "a.txt"
    text.write_text(MAIL * 20)
    assert run_app(["bench", "--redact", "email", "--stop-at", "END", "--rounds", "1", str(text)]) == 0
    assert "1. Redact" in capsys.readouterr().out
    assert run_app(["bench", "--redact", "email", "--rounds", "2", "--chunk", "4", "--json", str(text)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["chunks"], told["chars"], [row["name"] for row in told["runs"]]) == (120, 480, ["no stage", "pipeline"])
    assert all(row["micros_a_chunk"] > 0 for row in told["runs"])


EVENT = b'{"model":"m","message":{"role":"assistant","content":"a@b.cc "},"done":false}'
CHUNK = b'{"choices":[{"index":0,"delta":{"content":"a@b.cc "}}]}'
BOM = b"\xef\xbb\xbf"

KINDS = [
    (b"data: write to a@b.cc", "text"),
    (b"data: write to a@b.cc\n\n", "text"),
    (b"event: x\ndata: a@b.cc\n\n", "text"),
    (b"data: [1] a@b.cc\n", "text"),
    (b": a@b.cc", "text"),
    (b'data: \n{"a": "a@b.cc"}', "text"),
    (b'{"a": "a@b.cc"}\n', "text"),
    (b'{"a": ' + b"[" * 100_000 + b"a@b.cc", "text"),
    (b'{"choices": "' + b"a" * LINE_BYTES + b' a@b.cc"}\n', "text"),
    (BOM + b"a@b.cc", "text"),
    (b": ping\n\nid: 1\r\ndata: " + CHUNK + b"\n\n", "sse"),
    (BOM + b"data:" + CHUNK + b"\n\n", "sse"),
    (EVENT + b"\n" + EVENT, "ndjson"),
    (EVENT, "ndjson"),
    (b"\n " + EVENT + b"\n", "ndjson"),
    (BOM + EVENT + b"\r\n", "ndjson"),
]
"""Bodies with a mail, and what they are."""


@pytest.mark.parametrize(("body", "kind"), KINDS, ids=[f"{kind}-{n}" for n, (_, kind) in enumerate(KINDS)])
def test_every_command_takes_a_body_for_the_same(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], body: bytes, kind: str
) -> None:
    """A text for all of them, or events for all of them, however many bytes come first; the mail in it is found."""
    declared, recording = tmp_path / "p.toml", tmp_path / "body"
    declared.write_text('version = 1\n[[pipeline.p]]\nstage = "redact"\nrules = ["email"]\nto = "[email]"\n')
    recording.write_bytes(body)
    assert kind_of(body, is_whole=True) == kind
    assert {kind_of(body[:end]) for end in range(min(len(body), 200))} <= {None, kind}
    whole = "".join(pieces_of(recording))
    assert whole == (body.removeprefix(BOM).decode() if kind == "text" else "a@b.cc " * body.count(b"a@b.cc"))
    commands = [["run", "-p", str(declared)]]
    if len(body) < 1000:  # the others take long, and know no more
        commands += [["trace", "--no-least", "--json", "-p", str(declared)], ["bench", "--rounds", "1", "-p", str(declared)]]
    for command in commands:
        assert run_app([*command, str(recording)]) == 0
        out = capfdbinary.readouterr().out
        if command[0] == "run":
            left = out.removeprefix(BOM).decode() if kind == "text" else "".join(sf.text_of([out]))
            assert left == whole.replace("a@b.cc", "[email]")
        elif command[0] == "trace":
            assert json.loads(out)["counts"] == {"email": body.count(b"a@b.cc")}


CUT = b'[{"candidates":[{"content":{"parts":[{"text":"mail joe@exa"}]}}]},\n {"candidates":[{"content":{"parts":[{"text":"mple.com"}]}}]}]'
FRAMED = [
    (b"data: Mail joe@exa\n\ndata: mple.com now\n\n", "text-events", "Mail [email] now"),
    (b"id: 1\r\ndata: joe@exa\r\n\r\nid: 2\r\ndata: mple.com\r\n\r\n", "text-events", "[email]"),
    (b": ping\n\ndata:\n\ndata:joe@exa\n\ndata:mple.com", "text-events", "[email]"),
    (b'data: joe@exa\n\ndata: mple.com\n\nevent: done\ndata: {"type":"done"}\n\n', "text-events", "[email]"),
    (b'data: "joe@exa"\n\ndata: "mple.com"\n\n', "sse", None),
    (b'data: ["joe@exa"]\n\ndata: ["mple.com"]\n\n', "sse", None),
    (b'data: {"type":"text","text":"joe@exa"}\n\ndata: {"type":"text","text":"mple.com"}\n\n', "sse", None),
    (CUT, "array", "mail [email]"),
    (BOM + b"\n" + CUT, "array", "mail [email]"),
    (CUT[:-5], "array", None),
]
"""Bodies with a mail that is cut in two by how they are framed, what they are, and their text; None: it is refused."""


@pytest.mark.parametrize(("body", "kind", "text"), FRAMED, ids=[f"{kind}-{n}" for n, (_, kind, _) in enumerate(FRAMED)])
def test_no_framing_hides_text(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], body: bytes, kind: str, text: str | None
) -> None:
    """What is cut in two by a framing is found, in the same framing; or nothing leaves, and it is said what to do."""
    recording = tmp_path / "body"
    recording.write_bytes(body)
    assert kind_of(body, is_whole=True) == kind
    assert {kind_of(body[:end]) for end in range(len(body))} <= {None, kind}
    code = run_app(["run", "--redact", "email", str(recording)])
    out, err = capfdbinary.readouterr()
    if text is None:
        assert (code, out, err.count(b"\n")) == (1, b"", 1)
        assert kind == "array" or b"--format text-events" in err
        with pytest.raises(sf.MalformedInput):
            pieces_of(recording)
        return
    whole = "".join(pieces_of(recording))
    assert (code, whole.replace("joe@example.com", "[email]")) == (0, text)
    if kind == "array":
        assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in json.loads(out)) == text
    else:
        frames = [frame for line in (out,) for frame in sse.Decoder().feed(line)]
        assert "".join(frame.data or "" for frame in frames if not frame.event) == text


def test_a_text_like_events_or_an_array_is_text() -> None:
    """Lines that begin like fields, one event, and lists that are no provider's, at any cut."""
    bodies = [
        b"data: a\ndata: b\nthe end",
        b"data: a\n\nnow data: b",
        b"data: a\n\n",
        b"[1, 2]",
        b"[x] done",
        b'[{"a": 1}, {"a": 2}]',
        b'[{"a": 1]} and so on, and on',
        b"[" * 100_000,
        b'[{"choices": "' + b"a" * LINE_BYTES,
        b"data: a\n" * LINE_BYTES,
    ]
    for body in bodies:
        assert kind_of(body, is_whole=True) == "text"
        assert {kind_of(body[:end]) for end in range(min(len(body), 100))} <= {None, "text"}


def test_what_an_input_is_said_to_be(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A named provider's first event may be long; what is not what it is said to be is told in a line."""
    body = tmp_path / "body"
    long = b"x" * 1024 * 1024
    body.write_bytes(b'data: {"choices":[{"index":0,"delta":{"content":"%s a@b.cc"}}]}\n\n' % long)
    assert run_app(["run", "--redact", "email", str(body)]) == 1
    assert b"--format openai.chat" in capfdbinary.readouterr().err
    assert run_app(["run", "--redact", "email", "--format", "openai.chat", str(body)]) == 0
    assert long + b" [email]" in b"".join(
        json.loads(frame.data or "")["choices"][0]["delta"]["content"].encode()
        for frame in sse.Decoder().feed(capfdbinary.readouterr().out)
    )
    for form, text, message in [
        ("ndjson", b"a b", b"a line is no JSON object"),
        ("ndjson", b"[1, 2]", b"a line is no JSON object"),
        ("ndjson", b'{"message": {"content": "a"}, "done": false}\n"x"', b"a line is no JSON object"),
        ("ndjson", b'{"a": 1}', b"--format openai.chat"),
        ("aws", b"a b", b"the input is no messages of AWS"),
        ("array", b"{}", b"no JSON array"),
    ]:
        body.write_bytes(text)
        assert run_app(["run", "--redact", "email", "--format", form, str(body)]) == 1
        err = capfdbinary.readouterr().err
        assert (err.count(b"\n"), message in err, b"Decode()" in err) == (1, True, False)
    named = {each.value for each in Format if "." in each.value}
    assert all(format_named(name).name == name for name in named)


def test_the_demonstration_of_structured_output() -> None:
    """Values that grow up to the valid one; the mail is redacted in each, though it is cut."""
    for terminal in (False, True):
        out = io.StringIO()
        structured.show(fast=True, console=Console(file=out, force_terminal=terminal, width=100, height=40))
        shown = out.getvalue()
        assert "[email]" in shown
        assert "joe@example.com for maps" not in shown.split("arrived")[0]
        if not terminal:
            values = [json.loads(line.partition(": ")[2]) for line in shown.splitlines() if " characters: {" in line]
            assert len(values) > 20
            assert values[-1]["bullets"][1] == "Ask [email] for maps."
            assert values[-1]["bullets"][0] == "They run to the sea — slowly."
            assert values[0]["length_km"] is None
            assert json.loads(shown.splitlines()[-1]) == values[-1]
