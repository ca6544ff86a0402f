"""What an input is, and what becomes of it: lines of JSON and arrays, whoever reads them, and pipelines that are over chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.cli.app import run_app
from streamfilter.observe.recordings import pieces_of

PARTS = ("write to joe@exa", "mple.com now")
SHOWN = "write to [email] now"
EVENTS: dict[str, list[dict[str, Any]]] = {
    "openai.chat": [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in PARTS],
    "openai.completions": [{"object": "text_completion", "choices": [{"index": 0, "text": part}]} for part in PARTS],
    "anthropic.messages": [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}} for part in PARTS
    ],
    "gemini": [{"candidates": [{"content": {"parts": [{"text": part}]}}]} for part in PARTS],
    "vercel": [
        {"type": "text-start", "id": "1"},
        *({"type": "text-delta", "id": "1", "delta": part} for part in PARTS),
        {"type": "text-end", "id": "1"},
    ],
    "ollama": [{"message": {"content": part}, "done": False} for part in PARTS],
}
"""Chunks that cut a mail in two."""

GUARD = 'stage = "redact"\nrules = ["email"]\nto = "[email]"\n'


def framed(events: list[dict[str, Any]], framing: str) -> bytes:
    texts = [json.dumps(event) for event in events]
    if framing == "array":
        return f"[{','.join(texts)}]".encode()
    return "".join(f"data: {text}\n\n" if framing == "sse" else f"{text}\n" for text in texts).encode()


def said(raw: bytes, framing: str) -> str:
    """The answer in a body."""
    if framing == "sse":
        return "".join(sf.text_of([raw]))
    return "".join(sf.text_of(json.loads(raw) if framing == "array" else [json.loads(line) for line in raw.splitlines()]))


FRAMED = [(name, framing) for name in EVENTS for framing in ("sse", "ndjson", "array") if (name, framing) != ("ollama", "sse")]
"""Ollama sends no event streams."""


@pytest.mark.parametrize(("name", "framing"), FRAMED)
def test_every_command_reads_every_format_in_every_framing(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], name: str, framing: str
) -> None:
    """`run`, `trace` and `bench` see the same text, and the mail in it; so does a `wrap` that is declared, for any format or for this."""
    body = tmp_path / "body"
    body.write_bytes(framed(EVENTS[name], framing))
    assert "".join(pieces_of(body)) == "".join(PARTS)
    for stage in ("", "wrap", f"{name}.wrap"):
        declared = tmp_path / "p.toml"
        inside = f'stage = "{stage}"\n[[pipeline.p.pipeline]]\n' if stage else ""
        declared.write_text(f"version = 1\n[[pipeline.p]]\n{inside}{GUARD}")
        for form in ("auto", framing):
            assert run_app(["run", "-p", str(declared), "--format", form, str(body)]) == 0
            assert said(capfdbinary.readouterr().out, framing) == SHOWN
        assert run_app(["trace", "--no-least", "--json", "-p", str(declared), str(body)]) == 0
        assert json.loads(capfdbinary.readouterr().out)["counts"] == {"email": 1}
        assert run_app(["bench", "--rounds", "1", "--json", "-p", str(declared), str(body)]) == 0
        assert json.loads(capfdbinary.readouterr().out)["chars"] == len("".join(PARTS))


def test_a_declared_wrap_is_no_harm_to_texts(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What is in it filters a text, and events of text; `--format` says what the input is, and whose, with it as without."""
    body = tmp_path / "body"
    chat = framed(EVENTS["openai.chat"], "sse")
    for stage in ("wrap", "openai.chat.wrap"):
        declared = tmp_path / "p.toml"
        declared.write_text(f'version = 1\n[[pipeline.p]]\nstage = "{stage}"\n[[pipeline.p.pipeline]]\n{GUARD}')
        for form, raw, left in [
            ("auto", b"to a@b.cc", b"to [email]"),
            ("text", b'data: {"choices": "a@b.cc"}', b'data: {"choices": "[email]"}'),
            ("auto", b"id: 1\ndata: to a@b\n\ndata: .cc!\n\n", b"id: 1\ndata: to \n\nid: 1\ndata: [email]\n\ndata: !\n\n"),
            ("text-events", b'data: {"a": "a@b.cc"}\n\n', b'data: {"a": "[email]"}\n\n'),
        ]:
            body.write_bytes(raw)
            assert run_app(["run", "-p", str(declared), "--format", form, str(body)]) == 0
            assert capfdbinary.readouterr().out == left
        body.write_bytes(framed(EVENTS["anthropic.messages"], "sse"))
        assert run_app(["run", "-p", str(declared), "--format", "anthropic.messages", str(body)]) == 0
        assert said(capfdbinary.readouterr().out, "sse") == SHOWN
        body.write_bytes(chat)
        assert run_app(["run", "-p", str(declared), "--format", "anthropic.messages", str(body)]) == 1
        assert b"another format" in capfdbinary.readouterr().err
        assert run_app(["run", "-p", str(declared), "--format", "aws", str(body)]) == 1
        assert b"no messages of AWS" in capfdbinary.readouterr().err


def test_a_pipeline_from_one_format_to_another(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """It reads chunks in each framing, and says what is wrong with a text and with `--format` for one."""
    declared, body = tmp_path / "p.toml", tmp_path / "body"
    declared.write_text(
        f'version = 1\n[[pipeline.p]]\nstage = "openai.chat.decode"\n[[pipeline.p]]\n{GUARD}'
        '[[pipeline.p]]\nstage = "anthropic.messages.encode"\nas_bytes = true\n'
    )
    for framing in ("sse", "ndjson"):
        for form in ("auto", framing):
            body.write_bytes(framed(EVENTS["openai.chat"], framing))
            assert run_app(["run", "-p", str(declared), "--format", form, str(body)]) == 0
            assert said(capfdbinary.readouterr().out, "sse") == SHOWN
    body.write_bytes(b"to a@b.cc")
    assert run_app(["run", "-p", str(declared), str(body)]) == 1
    assert b"the input is text, and the pipeline reads a provider's chunks" in capfdbinary.readouterr().err
    for form in ("text", "text-events", "openai.chat"):
        assert run_app(["run", "-p", str(declared), "--format", form, str(body)]) == 2
        assert b"the pipeline reads a provider's chunks" in capfdbinary.readouterr().err


LOGS: list[Any] = [
    [{"question": "write to a@b.cc", "choices": ["a@b.cc", "b"]}],
    [{"candidates": ["a@b.cc"]}],
    [{"type": "response.x", "choices": {"a": "a@b.cc"}}, 1],
    [{"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "a@b.cc"}}]}]
    * 2,
    [{"choices": 5, "a": "a@b.cc"}],
    [{"done": True, "message": "a@b.cc"}],
    [{"chunk": {"bytes": "a@b.cc"}}],
    [{"chunk": {"bytes": "eyJ0eXBlIjoicGluZyJ9"}}],
    [{"messageStart": "a@b.cc"}],
]
"""Arrays with a mail whose objects have fields of chunks."""


@pytest.mark.parametrize("log", LOGS, ids=range(len(LOGS)))
def test_an_array_of_what_is_no_chunk_ends_with_no_traceback(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], log: Any
) -> None:
    """A log of questions or of answers is filtered as the text that it is, or refused in a line that says what to do."""
    body = tmp_path / "body"
    body.write_text(json.dumps(log))
    code = run_app(["run", "--redact", "email", str(body)])
    out, err = capfdbinary.readouterr()
    assert b"a@b.cc" not in out
    if code == 0:
        assert json.loads(out) == json.loads(json.dumps(log).replace("a@b.cc", "[email]"))
    else:
        assert (code, err.count(b"\n"), b"--format text" in err) == (1, 1, True)
    body.write_text("".join(json.dumps(each) + "\n" for each in log))
    assert run_app(["run", "--redact", "email", str(body)]) in (0, 1)
    assert b"a@b.cc" not in capfdbinary.readouterr().out
    body.write_text(json.dumps(log))
    assert run_app(["bench", "--redact", "email", "--rounds", "1", str(body)]) in (0, 1, 2)
    place = tmp_path / "out"
    assert run_app(["run", "--redact", "email", str(body), "-o", str(place)]) == code
    assert b"Error:" not in capfdbinary.readouterr().err


def test_an_array_that_is_not_all_of_chunks_is_refused(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What breaks off the chunks is told in a line with what to do, in bulk too, and is no chunk in a trace."""
    body = tmp_path / "body"
    body.write_text('[{"choices":[]},{"choices":5}]')
    for more in ([], ["-o", str(tmp_path / "out")]):
        assert run_app(["run", "--redact", "email", str(body), *more]) == 1
        err = capfdbinary.readouterr().err
        assert b"choices is no list of objects" in err and b"--format text" in err and b"TypeError" not in err
    assert run_app(["bench", "--redact", "email", "--rounds", "1", str(body)]) == 1
    assert b"choices is no list of objects" in capfdbinary.readouterr().err


def test_what_could_be_read_in_two_ways_is_read_in_none(tmp_path: Path) -> None:
    """An array in which a field comes twice, or a number is none: `trace` refuses it as `run` does."""
    for raw in (
        '[{"choices":[{"index":0,"delta":{"content":"a@b.cc"}}],"choices":[]}]',
        '[{"choices":[{"index":0,"delta":{"content":"a@b.cc"}}]},{"choices":[],"created":NaN}]',
    ):
        body = tmp_path / "body"
        body.write_text(raw)
        assert run_app(["run", "--redact", "email", str(body)]) == 1
        with pytest.raises(sf.MalformedInput, match="two ways"):
            pieces_of(body)


def test_a_line_that_is_no_object_is_told_by_its_number(tmp_path: Path) -> None:
    """In a recording as in an input of `run`."""
    body = tmp_path / "body"
    body.write_bytes(framed(EVENTS["ollama"], "ndjson") + b'"a@b.cc"\n')
    with pytest.raises(sf.MalformedInput, match="no JSON object, as lines") as caught:
        pieces_of(body)
    assert caught.value.offset == 2
