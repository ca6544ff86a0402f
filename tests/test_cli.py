"""The command line, as a user's shell runs it."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, cast

import click
import pytest
from recordings import chunks
from rich.console import Console

import streamfilter as sf
from streamfilter.cli import demo, moderation
from streamfilter.cli.app import app, run_app
from streamfilter.cli.running import Format, filter_file
from streamfilter.detectors import API_KEY, CREDIT_CARD, EMAIL, PHONE

RECORDING = files("streamfilter.cli").joinpath("recordings", "redaction.sse")
COMMAND = [sys.executable, "-m", "streamfilter"]
SCRIPT = "import sys; from streamfilter.cli import main; sys.exit(main())"
"""What the program `streamfilter` says that pip makes."""


def shell(*args: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, standard output, standard error."""
    done = subprocess.run([*COMMAND, *args], input=stdin, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def test_text_from_a_pipe_and_from_a_file(tmp_path: Path) -> None:
    """Filtered, stopped, and otherwise byte for byte what came, though it is not UTF-8."""
    text = b"mail joe@example.com \xff\xfe \xc3\nUser: more"
    want = b"mail [email] \xff\xfe \xc3"
    assert shell("run", "--redact", "email,phone", "--stop-at", r"\nUser:", stdin=text) == (0, want, "")
    file = tmp_path / "answer.txt"
    file.write_bytes(text)
    assert shell("run", "--redact", "email", "--stop-at", r"\nUser:", str(file)) == (0, want, "")
    assert shell("run", "--pattern", r"\d+", "--to", "<{rule}>", stdin=b"a 12") == (0, b"a <redacted>", "")
    for said, stop in ((r"\t", "\t"), (r"\\n", "\\n"), (r"\\\n", "\\\n"), (r"\r\nx", "\r\nx")):
        assert shell("run", "--stop-at", said, stdin=f"a{stop}b".encode()) == (0, b"a", "")
    assert shell("run", "--redact", "email", "--to", "", stdin=b"a@b.cc!") == (0, b"!", "")
    both = b"joe@example.com, +1 555 010 2030"
    assert shell("run", "--redact", "email", "--redact", "phone", stdin=both) == (0, b"[email], [phone]", "")


def test_an_event_stream_comes_out_as_one() -> None:
    """Told by its first line, or named; its text is the redacted text of the whole."""
    raw = RECORDING.read_bytes()
    code, out, _ = shell("run", "--redact", "email,phone,credit_card,api_key", stdin=raw)
    whole = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks(raw) if chunk["choices"])
    got = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks(out) if chunk["choices"])
    assert (code, got) == (0, sf.Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY).apply(whole))
    assert out.count(b"data: [DONE]") == 1
    assert shell("run", "--redact", "email", "--format", "text", stdin=b"data: a@b.cc")[1] == b"data: [email]"
    for head in (b": ping\n\n", b"event: x\ndata: [DONE]\n\n", b"\xef\xbb\xbfdata: [DONE]\n\n", b"\r\nid: 1\n\n"):
        assert shell("run", "--redact", "email", stdin=head)[:2] == (0, head)
    assert shell("run", "--redact", "email", stdin=b"")[:2] == (0, b"")
    for text in (b":) mail %s\n", b": my mail is %s", b"id: %s", b"event: %s\n", b"retry: %s", b"data: %s", b"\n\n%s"):
        assert shell("run", "--redact", "email", stdin=text % b"a@b.cc")[:2] == (0, text % b"[email]")


def test_what_is_released_is_written_at_once() -> None:
    """A reader of the pipe sees a piece before the next is written into it."""
    with subprocess.Popen(
        [*COMMAND, "run", "--redact", "email"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello, jo")
        assert process.stdout.read(7) == b"hello, "
        process.stdin.write(b"e@x.org ")
        assert process.stdout.read(7) == b"[email]"
        process.stdin.close()
        assert process.wait(30) == 0


class Impatient(io.FileIO):
    """One end of a pipe that is not waited for; it tells when it was not ready."""

    def __init__(self, number: int, mode: str) -> None:
        super().__init__(number, mode)
        os.set_blocking(number, False)
        self.was_unready = threading.Event()

    def read(self, size: int | None = -1) -> Any:
        return self._told(super().read(size))

    def write(self, data: Any) -> Any:
        return self._told(super().write(data))

    def _told(self, done: Any) -> Any:
        if done is None:
            self.was_unready.set()
        return done


def test_a_non_blocking_input_is_waited_for() -> None:
    """What another process has set so that nobody waits for it is not over where nothing is there yet."""
    read, write = os.pipe()
    out = io.BytesIO()
    os.write(write, b"hello, joe@exam")

    def rest() -> None:
        assert raw.was_unready.wait(30)
        with contextlib.suppress(BrokenPipeError):
            os.write(write, b"ple.com, bye")
        os.close(write)

    with Impatient(read, "r") as raw:
        writer = threading.Thread(target=rest)
        writer.start()
        filter_file(sf.Redact(EMAIL, to="[email]"), cast("IO[bytes]", raw), out)
    writer.join(30)
    assert out.getvalue() == b"hello, [email], bye"


@pytest.mark.parametrize("buffered", [True, False])
def test_a_non_blocking_output_is_waited_for(buffered: bool) -> None:
    """All is written, in its order, though a pipe that is full refuses some and takes parts of others."""
    text = "".join(f"line {n}\n" for n in range(50_000)).encode()
    read, write = os.pipe()
    raw, got = Impatient(write, "w"), io.BytesIO()

    def drain() -> None:
        assert raw.was_unready.wait(30)
        while piece := os.read(read, 4096):
            got.write(piece)

    reader = threading.Thread(target=drain)
    reader.start()
    with io.BufferedWriter(raw) if buffered else raw as sink:
        filter_file(sf.Redact("zzz"), io.BytesIO(text), cast("IO[bytes]", sink), Format.TEXT)
    reader.join(30)
    os.close(read)
    assert got.getvalue() == text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("run", "--redact", "email", "/no/such/file"), "No such file"),
        (("run", "--redact", "emial"), "unknown rule 'emial': did you mean 'email'?"),
        (("run", "--pattern", r"a\Kb"), r"cannot be streamed exactly: \K at position 1"),
        (("run", "--pattern", "a*"), "matches the empty text"),
        (("run", "--redact", ""), "unknown rule '': there are PII, SECRETS, email, phone"),
        (("run", "--colour"), "No such option"),
        (("run",), "nothing to do: give --pipeline, --redact, --pattern or --stop-at"),
        (("run", "--redact", "email", "--to", "{x}"), "only {rule} is known"),
        (("run", "--stop-at", ""), "at least 1 character"),
        (("run", "--stop-at", r"a\d"), r"'\\d' at position 1 is no escape: write \\ for a backslash"),
        (("run", "--stop-at", "a\\"), "at position 1 is no escape"),
        (("run", "--redact", "email", "--to", "A", "--to", "B"), "'--to': it is given 2 times, and only one can be used"),
        (("run", "--redact", "email", "--redact", "fone"), "unknown rule 'fone': did you mean 'phone'?"),
        (("run", "-p", "a", "--pipeline", "b"), "'-p' / '--pipeline': it is given 2 times, and only one can be used"),
        (("run", "-p", "a", "--name", "b", "--name", "c"), "'--name': it is given 2 times, and only one can be used"),
        (("bench", "-p", "a", "-p", "b", str(RECORDING)), "'-p' / '--pipeline': it is given 2 times, and only one can be used"),
        (("serve", "--upstream", "u", "-p", "a", "-p", "b"), "'-p' / '--pipeline': it is given 2 times, and only one can be used"),
        (
            ("run", "--redact", "email", "--field", "prompt", "--field", "response"),
            "'--field': it is given 2 times, and only one can",
        ),
        (("run", "--redact", "email", "-o", "a", "--output=b", "-oc"), "'-o' / '--output': it is given 3 times, and only one can"),
        (("run", "--redact", "email", "--jobs", "2", "--jobs", "2"), "'--jobs': it is given 2 times, and only one can"),
        (
            ("serve", "--upstream", "u", "-p", "a", "--offer", "b:c", "--offer", "d", "--offer", "b"),
            "'--offer': b is given 2 times, and only one can be used",
        ),
        (("walk",), "No such command"),
        (("demo", "walk"), "'walk' is not one of 'redaction', 'moderation'"),
    ],
)
def test_a_bad_command_is_one_clear_line_and_exit_code_2(args: tuple[str, ...], message: str) -> None:
    """Nothing is written to standard output."""
    code, out, err = shell(*args)
    assert (code, out) == (2, b"")
    assert message in err
    assert err.count("\n") == 1


VALUED = [
    (name, option)
    for name, command in app.commands.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag and not option.multiple
]
"""The options that have one value, of all commands."""

NEEDED = {
    "run": ("--redact", "email"),
    "trace": ("-p", "p.toml", __file__),
    "bench": ("--redact", "email", __file__),
    "serve": ("--upstream", "u", "-p", "p.toml"),
}
"""What these commands cannot do without."""


@pytest.mark.parametrize(("command", "option"), VALUED, ids=[f"{name}{option.opts[-1]}" for name, option in VALUED])
def test_no_value_of_an_option_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: click.Option
) -> None:
    """Click takes the last: what another guards, or where it writes, would be lost without a word. Nothing is done."""
    value = str(tmp_path / "r.html") if isinstance(option.type, click.Path) else "localhost:1" if option.name == "listen" else "1"
    if isinstance(option.type, click.Choice):
        value = option.type.choices[0]
    assert run_app([command, *NEEDED[command], option.opts[-1], value, f"{option.opts[-1]}={value}"]) == 2
    out, err = capsys.readouterr()
    name = " / ".join(map(repr, option.opts))
    told = f"streamfilter: Invalid value for {name}: it is given [23] times, and only one can be used\n"
    assert (out, bool(re.fullmatch(told, err)), [*tmp_path.iterdir()]) == ("", True, [])


def test_bad_input_is_one_clear_line_and_exit_code_1() -> None:
    """What came before it was written."""
    good = b'data: {"choices": []}\n\n'
    code, out, err = shell("run", "--redact", "email", stdin=good + b'data: {"choices": \n\n')
    assert (code, out) == (1, good)
    assert err == "streamfilter: the data of an event is not JSON, at offset 23\n"


def test_help_and_version() -> None:
    """Help names the rules; without a command there is help too."""
    assert "email, phone, credit_card, api_key" in " ".join(shell("run", "--help")[1].decode().split())
    assert shell("--version")[0] == 0
    assert "demo" in shell()[1].decode()
    assert "\n    curl" in shell("run", "--help")[1].decode()


def test_a_reader_that_leaves_and_an_interrupt_are_quiet() -> None:
    """A closed pipe, Ctrl-C: no traceback."""
    with subprocess.Popen(
        [*COMMAND, "run", "--redact", "email"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"a b ")
        process.stdout.read(4)
        process.stdout.close()
        process.stdin.write(b"c d ")
        process.stdin.close()
        assert (process.wait(30), process.stderr.read()) == (0, b"")
    if os.name == "posix":
        with subprocess.Popen(
            [*COMMAND, "run", "--redact", "email"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(b"a b ")
            process.stdin.flush()
            process.stdout.read(4)
            process.send_signal(signal.SIGINT)
            assert (process.wait(30), process.stderr.read().strip()) == (130, b"")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), 2), (("--version",), 0), (("run", "--help"), 0), (("rules",), 0), (("schema",), 0), (("demo", "--fast"), 0),
        (("check", "good.toml"), 0), (("check", "--json", "bad.toml"), 2), (("run", "--redact", "email", "good.toml"), 0),
    ],
)  # fmt: skip
def test_a_reader_that_has_left_is_no_fault_of_any_command(tmp_path: Path, args: tuple[str, ...], code: int) -> None:
    """Nobody reads what is written, nothing is said, and the exit code is what it is for a reader who stays."""
    (tmp_path / "good.toml").write_text('version = 1\n[[pipeline.main]]\nstage = "words"\n')
    (tmp_path / "bad.toml").write_text('version = 1\n[[pipeline.main]]\nstage = "wrods"\n')
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*COMMAND, *args], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (code, b"")


def test_the_demonstration_shows_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain lines where there is no terminal, a live view where there is; the same summary; the secrets are redacted in both."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for terminal in (False, True):
        out = io.StringIO()
        demo.show(fast=not terminal, console=Console(file=out, force_terminal=terminal, width=100, height=40))
        shown = out.getvalue()
        assert "matches of email" in shown
        assert "chunks until the first release" in shown
        assert "most characters held" in shown
        released = (
            "".join(line.split("released ")[1] for line in shown.splitlines() if "released '" in line) if not terminal else shown
        )
        assert "[email]" in released
        assert "[credit_card]" in released
    assert run_app(["demo", "--fast"]) == 0


def test_the_recording_has_its_secrets_cut_across_chunks() -> None:
    """No chunk has a whole one, in the real wire format; the number that only looks like a card is not redacted."""
    raw = RECORDING.read_bytes()
    texts = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks(raw) if chunk["choices"]]
    with sf.Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY).iter(texts) as stream:
        redacted = "".join(stream)
    assert stream.report.counts == {"email": 2, "phone": 1, "credit_card": 1, "api_key": 1}
    assert "4111 1111 1111 1112" in redacted
    assert not any(sf.Redact(EMAIL, PHONE, CREDIT_CARD, API_KEY).apply(text) != text for text in texts)


def test_the_sentences_of_the_demonstration_are_a_fair_set() -> None:
    """Each stands once, so none that is held out was trained on; every label has a quarter of its sentences held out."""
    known, labels = moderation.sentences("training")
    asked, expected = moderation.sentences("held_out")
    assert len({*known, *asked}) == len(known) + len(asked) == 300
    assert {*labels} == {*expected} == {"fine", *moderation.HARMFUL}
    assert all(labels.count(label) == 3 * expected.count(label) for label in expected)


def test_the_classifier_of_the_demonstration_tells_sentences_it_was_not_trained_on() -> None:
    """Most of them; it says of itself how many. What the demonstration calls harmful is more probably so than fine."""
    pytest.importorskip("sklearn", reason="the classifier is made with scikit-learn")
    model = moderation.Model()
    asked, expected = moderation.sentences("held_out")
    told = []
    for text in asked:
        probabilities = model.probabilities(text)
        assert sum(probabilities.values()) == pytest.approx(1)
        told.append(max(probabilities, key=lambda label: probabilities[label]))
    right = sum(each == label for each, label in zip(told, expected, strict=True)) / len(expected)
    assert right == pytest.approx(model.accuracy)
    assert right >= 0.85


def test_the_demonstration_of_moderation_lets_each_sentence_leave_on_its_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five sentences leave, one by one, and the message in place of the rest, which was not asked for either."""
    pytest.importorskip("sklearn", reason="the classifier is made with scikit-learn")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for terminal in (False, True):
        out = io.StringIO()
        moderation.show(fast=not terminal, console=Console(file=out, force_terminal=terminal, width=150, height=60))
        shown = out.getvalue()
        fine, harmful = moderation.ANSWER.split("There I", 1)
        assert shown.count("allow   harm 0.") >= 5
        assert "refuse  weapons 0.9" in shown
        assert "block for weapons" in shown
        assert "6, of 335 characters" in shown
        assert "garden" not in shown
        assert "detonator" not in shown
        if not terminal:
            pieces = [ast.literal_eval(each) for each in re.findall(r"released ('[^']*'), held", shown)]
            left = [each for each in pieces if each]
            assert "".join(left) == fine + moderation.MESSAGE
            assert left == [*re.findall(r".*?[.!] ", fine), moderation.MESSAGE]
            assert "bomb" in harmful
    assert run_app(["demo", "moderation", "--fast"]) == 0


def test_without_scikit_learn_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with exit code 1; nothing is shown before."""
    for name in [name for name in sys.modules if name.startswith("sklearn.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert run_app(["demo", "moderation", "--fast"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == 'streamfilter: the demonstration of moderation needs scikit-learn: pip install "streamfilter[demo]"\n'
    assert run_app(["demo", "--fast"]) == 0


INTERRUPTS = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("entry", [COMMAND, [sys.executable, "-c", SCRIPT]], ids=["module", "script"])
@pytest.mark.parametrize(
    "at", ["pydantic", "regex", "click", "rich", "streamfilter.pipeline", "streamfilter.cli.app", "streamfilter.cli.tracing"]
)
def test_an_interrupt_at_any_import_is_quiet(tmp_path: Path, entry: list[str], at: str) -> None:
    """Of the library and of what it needs: as soon as a line of the command line has run, there is no traceback. Python counts."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]), "INTERRUPT_AT": at}
    done = subprocess.run([*entry, "run", "--redact", "email"], check=False, env=env, input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_while_the_command_line_is_loaded_is_quiet(tmp_path: Path) -> None:
    """Loading takes half a second, in which people change their minds: exit code 130, and no traceback."""
    (tmp_path / "click.py").write_text("import os, signal\nos.write(1, b'x')\nsignal.pause()\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    env = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([*COMMAND, "run", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


CHAT = [
    {"choices": [{"index": 0, "delta": {"content": "mail joe@exa"}}]},
    {"choices": [{"index": 0, "delta": {"content": "mple.org"}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
MESSAGES = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for text in ("joe@exa", "mple.org")
    ),
    {"type": "content_block_stop", "index": 0},
    {"type": "message_stop"},
]
OLLAMA = [
    *({"message": {"role": "assistant", "content": text}, "done": False} for text in ("mail joe@exa", "mple.org")),
    {"message": {"role": "assistant", "content": ""}, "done": True},
]


@pytest.mark.parametrize("events", [CHAT, MESSAGES, OLLAMA], ids=["chat", "messages", "ollama"])
@pytest.mark.parametrize("form", [Format.AUTO, Format.NDJSON])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
def test_the_chunks_of_any_format_may_come_as_lines(events: list[dict[str, object]], form: Format, end: bytes) -> None:
    """As a log has them: lines come out, those of which nothing changed as they came."""
    lines = [json.dumps(event).encode() + end for event in events]
    sink = io.BytesIO()
    filter_file(sf.Redact(EMAIL), io.BytesIO(b"".join(lines)), sink, form)
    out = sink.getvalue().splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in out)
    assert "".join(sf.text_of(json.loads(line) for line in out if line.strip())).endswith("[email]")
    assert out[-1] == lines[-1].removesuffix(end) + (b"\r\n" if end == b"\r\n" else b"\n")
    untouched = io.BytesIO()
    filter_file(sf.Redact("x" * 20), io.BytesIO(b"".join(lines).removesuffix(end)), untouched, form)
    assert untouched.getvalue().split() == b"".join(lines).split()
