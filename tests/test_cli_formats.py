"""What an input is, and what becomes of it: lines of JSON and arrays, whoever reads them, and pipelines that are over chunks."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_frames import header, message

import streamfilter as sf
from streamfilter.cli.app import run_app
from streamfilter.cli.running import Format, filter_file
from streamfilter.observe.recordings import pieces_of
from streamfilter.providers.kinds import legible

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
        assert b"another format than this stream, which is read as anthropic.messages, at offset 0" in capfdbinary.readouterr().err
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


MAIL = "write to joe@example.com now"
ROW = json.dumps({"text": MAIL}) + "\n"


def zipped(raw: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("answer.txt", raw)
    return file.getvalue()


UTF_16 = "convert it (iconv -f UTF-16 -t UTF-8), at offset "
MARKED: list[tuple[str, Any, str]] = [
    ("UTF-16", "utf-16", f"UTF-16: {UTF_16}0"),
    ("UTF-16, big-endian", lambda raw: b"\xfe\xff" + raw.decode().encode("utf-16-be"), f"UTF-16: {UTF_16}0"),
    ("UTF-32", lambda raw: b"\xff\xfe\0\0" + raw.decode().encode("utf-32-le"), f"UTF-32: {UTF_16.replace('16', '32')}0"),
    (
        "UTF-32, big-endian",
        lambda raw: b"\0\0\xfe\xff" + raw.decode().encode("utf-32-be"),
        f"UTF-32: {UTF_16.replace('16', '32')}0",
    ),
    ("gzip", gzip.compress, "gzip: decompress it, at offset 0"),
    *(
        (f"bzip2 -{level}", lambda raw, level=level: bz2.compress(raw, level), "bzip2: decompress it, at offset 0")
        for level in (1, 9)
    ),
    ("xz", lzma.compress, "xz: decompress it, at offset 0"),
    ("zip", zipped, "zip: decompress it, at offset 0"),
    ("zstd", lambda raw: b"\x28\xb5\x2f\xfd\x24\x1c\xe1" + raw, "zstd: decompress it, at offset 0"),
]
BINARY: list[tuple[str, Any, str | None]] = [
    *MARKED,
    ("UTF-16 without a mark", "utf-16-le", f"has a NUL: if it is UTF-16, {UTF_16}1"),
    ("UTF-16, big-endian, without a mark", "utf-16-be", f"has a NUL: if it is UTF-16, {UTF_16}0"),
    ("UTF-32 without a mark", "utf-32-le", f"has a NUL: if it is UTF-16, {UTF_16}1"),
    ("a NUL", lambda raw: raw + b"\0" + raw, None),
]
"""What makes a file of a text that is not text in UTF-8, and what is said of it; magic numbers of zstd by RFC 8878, 3.1.1."""
NEITHER = "the input is neither a provider's stream nor text in UTF-8, but "


def made(how: Any, text: str) -> bytes:
    raw: bytes = text.encode(how) if isinstance(how, str) else how(text.encode())
    return raw


def told(said: str | None, raw: bytes) -> str:
    return NEITHER + (said or f"has a NUL: if it is UTF-16, {UTF_16}{raw.index(0)}")


@pytest.mark.parametrize(("name", "how", "said"), BINARY, ids=[name for name, _, _ in BINARY])
@pytest.mark.parametrize("text", [MAIL, f"data: {json.dumps(EVENTS['openai.chat'][0])}\n\n"], ids=["text", "events"])
def test_what_is_no_text_in_utf_8_is_bad(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], name: str, how: Any, said: str | None, text: str
) -> None:
    """Compressed files and other encodings, in which nothing can be found, never leave as they are: what they are is said, whatever
    command reads them, and whatever they are said to be; files beside them are filtered."""
    raw = made(how, text)
    body = tmp_path / "in" / "body"
    body.parent.mkdir()
    body.write_bytes(raw)
    problem = f"streamfilter: {told(said, raw)}\n".encode()
    declared = tmp_path / "p.toml"
    declared.write_text(f"version = 1\n[[pipeline.p]]\n{GUARD}")
    commands = [["run"], ["run", "--format", "text"], ["trace"], ["bench"]]
    for command in [*commands, *(["run", "--format", form] for form in ("text-events", "sse", "openai.chat"))]:
        assert run_app([*command, "-p", str(declared), str(body)]) == 1, command
        out, err = capfdbinary.readouterr()
        assert (b"joe@example.com" in out, err) == (False, problem), command
    (tmp_path / "in" / "good.txt").write_text(MAIL)
    for form in ("auto", "text"):
        assert run_app(["run", "--redact", "email", "--format", form, str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
        bad = f"streamfilter: {body}: MalformedInput: {told(said, raw)}\n".encode()
        assert capfdbinary.readouterr().err == bad + b"1 files filtered, 1 bad, 1 email\n"
        assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("good.txt", SHOWN)]


@pytest.mark.parametrize(("name", "how", "said"), BINARY[:-1], ids=[name for name, _, _ in BINARY[:-1]])
def test_records_that_are_no_text_in_utf_8_are_no_records(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], name: str, how: Any, said: str | None
) -> None:
    """The file is bad, by its name, and not each of its lines; nothing is written."""
    raw = made(how, ROW * 3)
    body = tmp_path / "body"
    body.write_bytes(raw)
    for more in ([], ["--jobs", "2"], ["--resume"]):
        assert run_app(["run", "--redact", "email", str(body), "--field", "text", "-o", str(tmp_path / "out"), *more]) == 1
        bad = f"streamfilter: {body}: MalformedInput: {told(said, raw)}\n".encode()
        assert capfdbinary.readouterr() == (b"", bad + b"0 records filtered, 1 bad\n")
        assert [path.name for path in tmp_path.iterdir()] == ["body"]


def test_a_bad_record_makes_no_file_bad(tmp_path: Path) -> None:
    """One with a NUL is bad, as whatever is no JSON; those beside it are filtered."""
    body, out = tmp_path / "body", tmp_path / "out"
    body.write_bytes(ROW.encode() + b'{"text": "\0"}\n' + ROW.encode())
    assert run_app(["run", "--redact", "email", str(body), "--field", "text", "-o", str(out)]) == 1
    assert [json.loads(line) for line in out.read_text().splitlines()] == [{"text": SHOWN}] * 2


@pytest.mark.parametrize(("name", "how", "said"), BINARY, ids=[name for name, _, _ in BINARY])
def test_what_is_no_text_is_told_at_any_cut(name: str, how: Any, said: str | None) -> None:
    """By the same words, and nothing has left before what tells it."""
    raw = made(how, MAIL)
    for size in range(1, 14):
        left = b""
        with pytest.raises(sf.MalformedInput) as caught:
            for piece in legible(raw[at : at + size] for at in range(0, len(raw), size)):
                left += piece
        assert str(caught.value) == told(said, raw)
        assert left == (b"" if (name, how, said) in MARKED else raw[: raw.index(0)])


@pytest.mark.parametrize(
    "raw", [b"", b"(", b"PK", b"BZh9", b"BZh91AY&Sx", b"\xff", b"\xfe\xfe", b"\xef\xbb\xbfa", b"\xfd7zX", b"a\xe9"]
)
def test_what_begins_like_it_and_is_not_is_text(raw: bytes) -> None:
    """It leaves as it came, at any cut, and each piece that cannot be such a beginning at once."""
    for size in (1, 2, 100):
        sink = io.BytesIO()
        filter_file(sf.Redact("zzz"), Given(raw, size), sink, Format.AUTO)
        assert sink.getvalue() == raw

    def arriving() -> Iterator[bytes]:
        yield b"a"
        raise AssertionError("it is drawn without need")

    assert next(legible(arriving())) == b"a"


class Given(io.BytesIO):
    """A file that gives so many bytes at once."""

    def __init__(self, raw: bytes, size: int) -> None:
        super().__init__(raw)
        self.size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.size)


def spoken(size: int) -> bytes:
    """A message of so many bytes that says a mail."""
    headers = header(":event-type", 7, b"contentBlockDelta") + header(":message-type", 7, b"event")
    begin, end = b'{"contentBlockIndex": 0, "delta": {"text": "joe@example.com ', b'"}}'
    return message(headers, begin + b"." * (size - 16 - len(headers) - len(begin + end)) + end)


def test_messages_of_aws_stay_what_they_are(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """They begin with a NUL and are full of them: also one whose length is the mark of UTF-32. A damaged one is refused."""
    body = tmp_path / "body"
    for size in (200, 0x0000FEFF):
        raw = spoken(size)
        assert (len(raw), raw[:4]) == (size, size.to_bytes(4, "big"))
        for form in ("auto", "aws", "bedrock"):
            body.write_bytes(raw)
            assert run_app(["run", "--redact", "email", "--format", form, str(body)]) == 0
            assert "".join(sf.text_of([capfdbinary.readouterr().out])).strip(".") == "[email] "
            body.write_bytes(raw[:4] + b"\1" + raw[5:])
            assert run_app(["run", "--redact", "email", "--format", form, str(body)]) == 1
            assert capfdbinary.readouterr().out == b""
        assert list(legible(iter([raw[:1], raw[1:]]))) == [raw]
        assert "".join(pieces_of(raw)).strip(".") == "joe@example.com "
