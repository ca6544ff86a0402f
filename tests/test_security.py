"""What takes text, JSON, events, declarations or headers from elsewhere is attacked here: an entry of docs/security.md each."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import logging
import re
import subprocess
import sys
import tomllib
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import streamfilter as sf
from streamfilter.context import MAX_FINDINGS
from streamfilter.errors import clear_text
from streamfilter.gateway import Gateway, Limits
from streamfilter.gateway.counting import MAX_RULES, Counts
from streamfilter.gateway.exchange import Exchange
from streamfilter.gateway.messages import answered, asked, check, target_of
from streamfilter.gateway.refusals import Refused
from streamfilter.gateway.serving import server_of
from streamfilter.matching.engine import MAX_SWALLOW
from streamfilter.parsing.sink import MAX_DEPTH, MAX_STRING
from streamfilter.providers import anthropic, bedrock, detecting, frames, ollama, openai, sse
from streamfilter.records import filter_json
from streamfilter.resumable import MemoryStore, ResumableStream
from streamfilter.testing import run_virtually
from streamfilter.web import StreamFilterMiddleware

ROOT = Path(__file__).resolve().parent.parent
SECRET = "zebra-S3CR3T"
SAFE = sf.Redact(r"zebra-\w+", to="#")
ENTRIES: dict[str, Callable[..., None]] = {}

Test = Callable[..., None]


def entry(name: str) -> Callable[[Test], Test]:
    """Mark the test of an entry of the document."""

    def marked(test: Test) -> Test:
        assert name not in ENTRIES
        ENTRIES[name] = test
        return test

    return marked


def rows() -> dict[str, str]:
    """The entries of the document, each with the rest of its row."""
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    section = page.partition("## What takes what is not trusted")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+?) \|(.*)\|$", section, re.MULTILINE)
    return {name: rest for name, rest in found if name not in ("entry", "---")}


def said(name: str, *numbers: int) -> None:
    """The document has these numbers in the row of an entry."""
    for number in numbers:
        forms = [f"{number:,} ", f"{number:,},", f"{number:,};"]
        forms += [f"{number // size} {unit}" for size, unit in ((2**20, "MiB"), (2**10, "KiB")) if number % size == 0]
        assert any(form in rows()[name].replace("|", "") for form in forms), (name, number)


def cut(text: str, size: int = 4) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


def through(stage: Any, items: Sequence[Any], **options: Any) -> tuple[str, BaseException | None]:
    """What leaves of a stream as text, and how it fails."""
    out: list[str] = []
    try:
        with stage.iter(items, **options) as stream:
            out.extend(item if isinstance(item, str) else repr(item) for item in stream)
    except Exception as error:
        return "".join(out), error
    return "".join(out), None


def limit_of(error: BaseException | None) -> tuple[str, float]:
    assert isinstance(error, sf.LimitExceeded), error
    return error.limit, error.value


def event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()


def chunk(text: object) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"object": "chat.completion.chunk", "id": "c", "created": 1, "model": "m", "choices": [choice]}


def test_each_entry_of_the_document_is_attacked_and_nothing_else() -> None:
    """The two lists are one."""
    assert list(ENTRIES) == list(rows())


# ---------------------------------------------------------------------- text


@entry("an open match")
def test_an_open_match_is_held_up_to_a_limit() -> None:
    """Of a guard it is swallowed, with what continues it; the other policies do what they say. Whatever the cuts."""
    said("an open match", 1000)
    text = "a zebra-" + "x" * 5000
    for size in (1, 7, 6000):
        assert through(SAFE, [*cut(text, size)]) == ("a #", None)
        out, error = through(sf.Redact(r"zebra-\w+", to="#", overflow="raise"), [*cut(text, size)])
        assert (out, limit_of(error)) == ("a #", ("max_hold", 1000))  # what was certain has left
    with SAFE.iter(cut(text)) as stream:
        assert max(stream.held for _ in stream) <= 1000


@entry("the end of a match that was swallowed")
def test_the_end_of_a_swallowed_match_is_looked_for_within_bounds() -> None:
    """Beyond, the rest of the run counts as the match, and memory stays bounded: nothing of it leaves."""
    said("the end of a match that was swallowed", MAX_SWALLOW)
    stage = sf.Redact(r"(<+)[^>]*>(?=\1|.)", to="#")
    machine = stage.machine()
    left = [item for piece in cut("a <" + SECRET * 30_000, 1000) for item in machine.feed(piece)]
    assert machine.held <= MAX_SWALLOW + 2000
    assert SECRET not in "".join(map(str, [*left, *machine.finish()]))


@entry("a pattern that backtracks")
def test_a_search_that_backtracks_has_an_end() -> None:
    """The stream ends, and nothing of what was searched has left. What is regular does not backtrack at all."""
    said("a pattern that backtracks", 2)
    assert sf.Rule("r", "a").timeout == 2.0
    for pattern in (r"(a+)+\1b", r"(?:(a|aa)+)+\1{2}b"):
        out, error = through(sf.Redact(sf.Rule("r", pattern, timeout=0.05)), ["a" * 4000 + SECRET])
        assert (out, limit_of(error)) == ("", ("timeout", 0.05))
    for pattern in (r"(a+)+b", r"(a|aa)*b", r"(.*)*x", r"((a*)*)*b", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(a|a|a|a)*c"):
        assert through(sf.Redact(pattern, overflow="release"), [*cut("a" * 5000)]) == ("a" * 5000, None)


@entry("a pattern, when it is built")
@pytest.mark.parametrize(
    "pattern",
    ["(?:(?:a{1000}){1000}){1000}", "(" * 5000 + "a" + ")" * 5000, "(?=a" * 500 + ")" * 500, "|".join(map(str, range(99_999)))],
)
def test_a_pattern_is_refused_that_would_take_for_ever_to_build(pattern: str) -> None:
    """With a message that does not have it."""
    with pytest.raises(ValueError, match=r"200,000|nested") as caught:
        sf.Redact(pattern)
    assert len(str(caught.value)) < 200


@entry("a list of words")
def test_a_list_of_words_has_a_size() -> None:
    """Beyond it, it is refused."""
    said("a list of words", 5_000_000)
    with pytest.raises(ValueError, match="5,000,000"):
        sf.Redact(sf.Terms([str(n) + "a" * 1000 for n in range(5001)], name="many"))


@entry("a unit: word, sentence; line, paragraph")
@pytest.mark.parametrize(
    ("stage", "size"), [(sf.Words(), 1000), (sf.Sentences(), 1000), (sf.Lines(), 65_536), (sf.Paragraphs(), 65_536)], ids=repr
)
def test_a_unit_without_an_end_is_divided(stage: Any, size: int) -> None:
    """Nothing is lost, and no more is held."""
    said("a unit: word, sentence; line, paragraph", size)
    text = "x" * (3 * size + 1)
    with stage.iter(cut(text, 100)) as stream:
        units = [unit for unit in stream if stream.held <= size]
    assert "".join(units) == text
    assert max(map(len, units)) == size


@entry("combining marks in a row")
def test_marks_without_an_end_are_bounded() -> None:
    """A joiner stands among them, and no more is held."""
    said("combining marks in a row", 1000)
    machine = sf.Normalize("NFC").machine()
    left = [item for piece in cut("e" + "\u0316\u0301" * 5000, 50) for item in machine.feed(piece)]
    assert machine.held <= 1100
    assert "\N{COMBINING GRAPHEME JOINER}" in "".join(map(str, left))


@entry("a terminal's control string")
def test_a_control_string_without_an_end_swallows_no_more_than_one_may_have() -> None:
    """What follows leaves, and is obeyed by nobody."""
    said("a terminal's control string", 4096)
    out, _ = through(sf.StripANSI(), [*cut("\x1b]8;;" + "x" * 10_000)])
    assert 10_000 - 4200 < len(out) < 10_000
    assert "\x1b" not in out


@entry("invisible characters, reordering")
def test_what_is_not_seen_does_not_hide_a_secret() -> None:
    """Each kind in the middle of a secret: with `Unicode` before it a guard finds it, and nothing of the kind leaves."""
    stage = sf.Unicode() | sf.Normalize("NFKC") | SAFE
    for odd in ("\u200b", "\u202e", "\U000e0041", "\ufeff", "\u2060", "\u00ad", "\u034f", "\u115f", "\U000e0101"):
        for size in (1, 3, 99):
            assert through(stage, [*cut(f"a ze{odd}bra-{odd}S3CR3T z", size)]) == ("a # z", None)
    assert through(stage, ["a \uff5a\uff45\uff42\uff52\uff41-x z"]) == ("a # z", None)
    for text in ("\ud83d", "zebra-\ud800", "\x00", "\u2028"):  # what no encoding has, or cuts lines, breaks nothing
        assert through(SAFE, [*text])[1] is None


@entry("a large chunk")
def test_a_large_chunk_gives_turns_away() -> None:
    """What shares the event loop has at least one for each slice."""
    said("a large chunk", 1024)
    turns = 0

    async def source() -> AsyncIterator[str]:
        yield "a zebra-1 " * 10_000

    async def main() -> str:
        nonlocal turns

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        async with SAFE(source()) as stream:
            out = "".join([text async for text in stream])
        counting.cancel()
        return out

    assert run_virtually(main()) == "a # " * 10_000
    assert turns >= 100_000 // 1024


@entry("findings of a report")
def test_a_report_does_not_grow_without_end() -> None:
    """What it has no place for is counted."""
    said("findings of a report", MAX_FINDINGS)
    with SAFE.iter(["zebra-1 " * 15_000]) as stream:
        assert len("".join(stream)) == 30_000
    assert len(stream.report.findings) == MAX_FINDINGS
    assert stream.report.counts == {"redacted": 15_000}


@entry("a vault")
def test_a_vault_that_is_full_ends_the_stream_before_the_text() -> None:
    """What it could not remember does not leave."""
    stage = sf.Redact(r"zebra-\w+", to=sf.Placeholder())
    out, error = through(stage, ["zebra-1 ", "zebra-2 ", "zebra-3 "], context=sf.Context(vault=sf.Vault(max_entries=2)))
    assert limit_of(error) == ("max_entries", 2)
    assert "zebra" not in out + str(error)


# ---------------------------------------------------------------------- JSON

HOSTILE = ["[" * 200_000, '{"a":' * 200_000, "[" * 200_000 + "]" * 200_000]
JSON_STAGES: list[Any] = [
    sf.ParseJSON(strict=True),
    sf.FilterJSON(SAFE),
    sf.JSONItems("$[*]"),
    sf.JSONEvents(),
    sf.JSONText("$..a"),
]


@entry("containers in one another")
@pytest.mark.parametrize("stage", JSON_STAGES, ids=repr)
def test_depth_has_a_limit(stage: Any) -> None:
    """Whatever reads documents, and however they are cut; no recursion of Python's ends first."""
    said("containers in one another", MAX_DEPTH)
    for text in HOSTILE:
        for size in (97, len(text)):
            error = None
            try:
                with stage.iter(cut(text, size)) as stream:
                    for _ in stream:
                        pass
            except sf.StreamFilterError as caught:
                error = caught
            assert limit_of(error)[0] == "max_depth"


@entry("one string, key or number")
def test_strings_have_a_limit() -> None:
    """It is what it is said to be, and applies to keys and numbers too."""
    said("one string, key or number", MAX_STRING)
    for text in ('{"a": "' + "x" * 300, '{"' + "x" * 300, '{"a": ' + "1" * 300):
        for size in (1, 7, 400):
            _, error = through(sf.ParseJSON(strict=True, max_string=100), [*cut(text, size)])
            assert limit_of(error) == ("max_string", 100)


@entry("digits of a whole number")
def test_digits_have_a_limit() -> None:
    """Python's own, as an error of ours: converting more takes time with their square."""
    said("digits of a whole number", sys.get_int_max_str_digits())
    _, error = through(sf.ParseJSON(), ["[" + "1" * 100_000 + "]"])
    assert limit_of(error) == ("digits", sys.get_int_max_str_digits())


@entry("arguments of a tool call")
def test_arguments_of_a_tool_call_are_a_document() -> None:
    """Live they have its limits, and a secret in escapes is found; whole ones that cannot be read are filtered as text."""

    def calling(arguments: str) -> dict[str, Any]:
        call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        return {**chunk(None), "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}

    for text in HOSTILE:
        _, error = through(openai.chat.wrap(SAFE), [calling(text)])
        assert limit_of(error)[0] == "max_depth"
        whole = openai.chat.filter_request(
            SAFE, [{"role": "assistant", "tool_calls": [{"function": {"arguments": text + SECRET}}]}]
        )
        assert SECRET not in str(whole)
    escaped = json.dumps({"a": SECRET}).replace("z", "\\u007a")
    out, error = through(openai.chat.wrap(SAFE), [calling(escaped)])
    assert error is None
    assert "S3CR3T" not in out


@entry("the data of an event")
@pytest.mark.parametrize(
    "wrap", [sf.wrap, openai.chat.wrap, anthropic.messages.wrap, ollama.wrap], ids=lambda wrap: wrap.__module__
)
def test_the_data_of_an_event_cannot_break_its_reader(wrap: Any) -> None:
    """Depth, digits, what is no JSON, no UTF-8: malformed, at a place, and nothing leaves."""
    for data in (*HOSTILE, "1" * 100_000, f'{{"a": "{SECRET}', f"[{SECRET}]"):
        framed = f"{data}\n".encode() if wrap is ollama.wrap else event(data)
        out, error = through(wrap(SAFE), [framed])
        assert isinstance(error, sf.MalformedInput)
        assert out == ""
        assert SECRET not in str(error)


@entry("a record of a log")
def test_a_record_cannot_end_the_work() -> None:
    """It is set aside with a reason, and the next is filtered."""
    from streamfilter.cli.bulk import MAX_LINE_BYTES

    said("a record of a log", MAX_LINE_BYTES)
    lines: list[str | bytes] = [*(f'{{"text": {text}' for text in HOSTILE), '{"text": "' + SECRET, '{"text": 1e999}', b"\xff"]
    *bad, good = filter_json(SAFE, [*lines, f'{{"text": "{SECRET}"}}'])
    assert all(row.line is None and row.reason and SECRET not in row.reason for row in bad)
    assert good.line == b'{"text":"#"}'


# ---------------------------------------------------------------------- events


@entry("one event of a stream")
def test_an_event_without_an_end_is_malformed() -> None:
    """As soon as it is too long, in any framing."""
    said("one event of a stream", sse.MAX_FRAME_BYTES)
    piece = b"x" * 2**20
    for wrap, head in ((openai.chat.wrap, b"data: "), (ollama.wrap, b'{"a": "')):
        machine: Any = wrap(SAFE).machine()
        fed = 0
        with pytest.raises(sf.MalformedInput):
            for item in (head, *[piece] * 17):
                fed += len(item)
                out = machine.feed(item)
                if out and isinstance(out[-1], sf.End):
                    assert out[-1].error is not None
                    raise out[-1].error
        assert fed <= sse.MAX_FRAME_BYTES + 2 * len(piece)


@entry("what does not tell its format")
def test_what_does_not_tell_its_format_does_not_wait_for_ever() -> None:
    """In bytes and in objects; none of it has left by then."""
    said("what does not tell its format", detecting.MAX_BYTES, detecting.MAX_EVENTS)
    for items in ([event('{"a": "' + SECRET + "x" * 1000 + '"}')] * 1100, [{"a": SECRET}] * 4097):
        out, error = through(sf.wrap(SAFE), items)
        assert (out, type(error)) == ("", sf.MalformedInput)


@entry("the headers of a message of AWS")
def test_messages_of_aws_are_what_they_say() -> None:
    """A length that is not allowed, and a checksum that is wrong, are malformed at once."""
    said("the headers of a message of AWS", frames.MAX_HEADER_BYTES)
    for head in (b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0", b"\0\0\1\0\0\xff\xff\xff\0\0\0\0", SECRET.encode() * 3):
        out, error = through(bedrock.converse.wrap(SAFE), [head])
        assert (out, type(error)) == ("", sf.MalformedInput)


@entry("what a final message repeats")
def test_what_a_final_message_repeats_is_filtered_however_long() -> None:
    """Beyond the limit by itself."""
    said("what a final message repeats", 1_000_000)
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"a {SECRET} "}}
    response = {
        "type": "response.completed",
        "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": SECRET}]}]},
    }
    for most in (0, 3, 10**6):
        out, error = through(
            anthropic.messages.wrap(SAFE, max_aggregate=most), [start, delta, {"type": "content_block_stop", "index": 0}]
        )
        assert error is None
        assert SECRET not in out
        out, error = through(openai.responses.wrap(SAFE, max_aggregate=most), [response])
        assert error is None
        assert SECRET not in out


# ---------------------------------------------------------------------- declarations

BOMBS: list[tuple[str, bytes]] = [
    ("a.toml", b"a = " + b"[" * 100_000),
    ("a.toml", b"a = " + b"{a=" * 5000 + b"1" + b"}" * 5000),
    ("a.toml", b"a" + b".a" * 1000 + b" = 1"),
    ("a.toml", b"a = " + b"9" * 100_000),
    ("a.toml", b"a = '" + b"x" * 2**22 + b"'"),
    ("a.toml", b"a = '\xff\0'"),
    ("a.json", b"[" * 100_000),
    ("a.json", b'{"version": 1, "version": 2}'),
    ("a.json", b'{"version": NaN}'),
    ("a.yaml", b"a: &a [x, x]\nb: [*a, *a]"),
    ("a.yaml", b"a: !!python/object/apply:os.system ['true']"),
    ("a.yaml", b"a: " + b"[" * 20_000),
]


@entry("the file")
@pytest.mark.parametrize(("name", "content"), BOMBS, ids=lambda given: str(given)[:30])
def test_a_declaration_that_is_a_bomb_is_a_wrong_declaration(name: str, content: bytes, tmp_path: Path) -> None:
    """With its file, and nothing else happens."""
    if name.endswith(".yaml"):
        pytest.importorskip("yaml")
    from streamfilter.spec import texts

    said("the file", texts.MAX_BYTES, texts.MAX_DEPTH, texts.MAX_VALUES)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(sf.SpecError, match=re.escape(name)):
        sf.load(tmp_path / name)


@entry("what it refers to")
def test_a_declaration_reaches_nothing_that_it_was_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No import, no variable outside of secrets, no file above its folder, no device."""
    monkeypatch.setenv("ZEBRA", SECRET)
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "words").write_text(SECRET)
    (folder / "link").symlink_to(tmp_path / "words")
    wrong: list[dict[str, Any]] = [
        {"stage": "map_text", "fn": "os:system"},
        {"stage": "map_text", "fn": "streamfilter.records:os.system"},
        {"stage": "os:System"},
        {"stage": "redact", "rules": ["email"], "to": {"env": "ZEBRA"}},
        *(
            {"stage": "redact", "rules": [{"terms": {"file": name}, "name": "w"}]}
            for name in ("../words", "link", "/dev/zero", str(tmp_path / "words"))
        ),
    ]
    for stage in wrong:
        (folder / "a.json").write_text(json.dumps({"version": 1, "pipeline": {"main": [stage]}}))
        with pytest.raises(sf.SpecError) as caught:
            sf.load(folder / "a.json")
        assert SECRET not in str(caught.value)


# ---------------------------------------------------------------------- HTTP


async def served(app: Any, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"", **scope: Any) -> tuple[int, bytes]:
    """The status and the body of an answer of an ASGI application."""
    made = {"type": "http", "method": "POST", "path": "/v1/x", "raw_path": b"/v1/x", "query_string": b"", "http_version": "1.1"}
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({**made, "headers": [*headers], **scope}, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    return start["status"], b"".join(message.get("body", b"") for message in sent)


def answering(body: bytes, *headers: tuple[bytes, bytes]) -> Any:
    """An application that reads its request and answers so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [*headers]})
        await send({"type": "http.response.body", "body": body})

    return app


JSON_TYPE = (b"content-type", b"application/json")
GATEWAY: dict[str, Any] = {"allow_private_upstream": True}


def gateway(**options: Any) -> Gateway:
    """In front of an upstream that nobody has started: whatever reaches it fails with 502."""
    return Gateway("http://127.0.0.1:9", {"main": SAFE, "other": SAFE, "weak": SAFE}, "main", **{**GATEWAY, **options})


def status_of(gate: Gateway, **request: Any) -> int:
    async def main() -> int:
        try:
            return (await served(gate, **request))[0]
        finally:
            await gate.aclose()

    return asyncio.run(main())


@entry("a body that is filtered whole")
def test_a_body_that_must_be_there_as_a_whole_has_a_size() -> None:
    """Of a response and of a request; nothing of it passes."""
    from streamfilter.web.bodies import MAX_BODY_BYTES

    said("a body that is filtered whole", MAX_BODY_BYTES, Limits().body_bytes)
    large = json.dumps({"a": SECRET + "x" * 5000}).encode()
    app = StreamFilterMiddleware(answering(large, JSON_TYPE), SAFE, max_body_bytes=1000)
    status, body = asyncio.run(served(app))
    assert status == 502
    assert SECRET.encode() not in body
    app = StreamFilterMiddleware(answering(b"{}", JSON_TYPE), SAFE, request=SAFE, max_body_bytes=1000)
    assert asyncio.run(served(app, [JSON_TYPE], large))[0] == 413
    length = (b"content-length", b"99999999999")
    assert status_of(gateway(), headers=[JSON_TYPE, length]) == 413
    assert status_of(gateway(), headers=[JSON_TYPE, (b"content-length", b"9" * 5000)]) == 413


@entry("a compressed body")
def test_a_compressed_body_is_counted_as_it_grows() -> None:
    """A bomb is refused when it is too large, and what cannot be read is blocked, as is what says to be compressed twice."""
    from streamfilter.web.compressed import PIECE_BYTES

    said("a compressed body", PIECE_BYTES)
    bomb = gzip.compress(b'{"a": "' + b"x" * 50_000_000 + b'"}')
    for coding, body in (
        (b"gzip", bomb),
        (b"br", b"\x0b\x02\x80" + SECRET.encode()),
        (b"gzip, gzip", bomb),
        (b"gzip", SECRET.encode()),
    ):
        app = StreamFilterMiddleware(answering(body, JSON_TYPE, (b"content-encoding", coding)), SAFE)
        status, out = asyncio.run(served(app))
        assert status == 502
        assert SECRET.encode() not in out


@entry("the line and headers of a request")
def test_the_head_of_a_request_has_a_size() -> None:
    """The server's, which refuses more with 400."""
    said("the line and headers of a request", 64 * 1024)
    assert server_of(gateway(), 1.0).config.h11_max_incomplete_event_size == 64 * 1024


@entry("requests at once")
def test_requests_at_once_have_a_limit() -> None:
    """One more is told to come again."""
    said("requests at once", Limits().streams)

    async def main() -> list[int]:
        gate = gateway(limits=Limits(streams=1))
        waiting = asyncio.create_task(
            gate(
                {"type": "http", "method": "POST", "path": "/v1/x", "headers": [(b"content-length", b"9")], "http_version": "1.1"},
                asyncio.Event().wait,
                _nowhere,
            )
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        status, _ = await served(gate)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await gate.aclose()
        return [status]

    assert asyncio.run(main()) == [503]


async def _nowhere(message: object) -> None:
    pass


@entry("a request that takes long")
def test_times_have_limits() -> None:
    """They are what they are said to be. What happens at each is shown with real sockets, in test_gateway_lines."""
    limits = Limits()
    said("a request that takes long", *map(int, (limits.connect, limits.first, limits.between, limits.total)))


SMUGGLED: list[list[tuple[bytes, bytes]]] = [
    [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")],
    [(b"content-length", b"4"), (b"Content-Length", b"5")],
    [(b"content-length", b"4"), (b"content-length", b"4")],
    [(b"content-length", b"+4")],
    [(b"content-length", b"4, 4")],
    [(b"content-length", b"0x4")],
    [(b"content-length", "\u0664".encode())],
    [(b"transfer-encoding", b"chunked, identity")],
    [(b"transfer-encoding", b"xchunked")],
    [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity")],
    [(b"transfer-encoding", b"\x0bchunked\x0b, gzip")],
]


@entry("where a body ends")
@pytest.mark.parametrize("headers", SMUGGLED, ids=str)
def test_a_body_whose_end_two_servers_may_see_in_two_places_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    """Before anything is sent on."""
    with pytest.raises(Refused):
        check({"method": "POST", "headers": headers, "http_version": "1.1"})
    assert status_of(gateway(), headers=headers) == 400


@entry("the path")
@pytest.mark.parametrize(
    "path",
    [
        b"/../x",
        b"/v1/..",
        b"//evil.example/x",
        b"/a//b",
        b"/%2e%2e/x",
        b"/a%2Fb",
        b"/a%5cb",
        b"/%00",
        b"/a%0d%0ab",
        b"/a\\b",
        b"/a b",
        b"*",
        b"http://evil.example/",
        b"evil.example:443",
        b"/..;/x",
        b"/a\r\nhost: b",
        "/ä".encode(),
        b"/\xff",
        b"",
        b"/%",
        b"/%zz",
        b"/@evil/..",
        b"/a?b#c",
    ],
)
def test_a_path_that_two_servers_may_read_in_two_ways_is_refused(path: bytes) -> None:
    """So is a query with what a line cannot have."""
    if path:
        with pytest.raises(Refused):
            target_of({"raw_path": path, "path": "/x", "query_string": b""})
    for query in (b"a b", b"a\r\nx: y", b"\x7f", b"\xff"):
        with pytest.raises(Refused):
            target_of({"raw_path": b"/v1/x", "query_string": query})


@entry("headers")
def test_headers_are_not_injected_and_those_of_a_connection_stay() -> None:
    """What a client names in `connection` is not sent on, but it cannot take away what tells a body's end, nor choose the host."""
    hop = [
        (name, b"z")
        for name in (b"Connection", b"TE", b"Upgrade", b"Keep-Alive", b"Proxy-Authorization", b"Trailer", b"X-Http-Method-Override")
    ]
    given = [
        (b"host", b"evil.example"),
        (b"connection", b"x-secret, content-length"),
        (b"x-secret", b"1"),
        (b"content-length", b"4"),
        (b"x", b"y"),
        *hop,
    ]
    names = {name.lower(): value for name, value in asked(given, b"api.example", coding=b"identity")}
    assert names == {
        b"host": b"api.example",
        b"content-length": b"4",
        b"x": b"y",
        b"accept-encoding": b"identity",
        b"via": b"1.1 streamfilter",
    }
    assert answered([(b"Alt-Svc", b"h3"), (b"Connection", b"x"), (b"X", b"1"), (b"Strict-Transport-Security", b"m")]) == []
    assert answered([(b"Set-Cookie", b"a=1")]) == [(b"set-cookie", b"a=1")]


@entry("the upstream's address")
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[fd00::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a00:1]",
        "0.0.0.0",
        "100.64.0.1",
        "[fe80::1]",
        "192.168.1.1",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_upstream_inside_a_network_is_not_connected_to(host: str) -> None:
    """Unless that was allowed. Names are looked up, and judged, for each connection: test_gateway."""
    with pytest.raises(ValueError, match="inside a network") as caught:
        Gateway(f"http://{host}", {"main": SAFE}, "main")
    assert host not in str(caught.value)


def test_an_upstream_has_no_secret_and_errors_do_not_quote_it() -> None:
    """Keys are the clients' to send."""
    for url in (
        f"https://user:{SECRET}@a.example",
        f"https://a.example/?key={SECRET}",
        f"ftp://{SECRET}",
        f"https://a.example/#{SECRET}",
        f"https://{SECRET}:x",
    ):
        with pytest.raises(ValueError, match="upstream") as caught:
            Gateway(url, {"main": SAFE}, "main")
        assert SECRET not in "".join(traceback.format_exception(caught.value)).replace(url, "")


@entry("the choice of a pipeline")
def test_a_request_gets_no_pipeline_that_is_not_offered() -> None:
    """By header it is refused, also where two are named; what is offered is taken."""
    for names in (["weak"], ["other", "weak"], ["other, weak"], [""], ["../weak"], ["OTHER"]):
        headers = [(b"x-streamfilter-pipeline", name.encode()) for name in names]
        assert status_of(gateway(offers={"other": None}), headers=headers) == 400
    assert status_of(gateway(offers={"other": None}), headers=[(b"x-streamfilter-pipeline", b"other")]) == 502  # nobody is there


@entry("the id of a stream")
@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "{a}", "a\0", "x" * 257, "a\u2028b", "\x7f"])
def test_an_id_of_a_stream_is_plain(name: str) -> None:
    """It becomes a key of a store and a part of a script's arguments."""
    said("the id of a stream", 256)
    with pytest.raises(ValueError, match="id of a stream"):
        ResumableStream(MemoryStore(), name)


@entry("a stream that is kept")
def test_a_stream_that_is_kept_has_a_size() -> None:
    """It ends with an error, for its readers too."""
    from streamfilter.resumable.stream import MAX_BYTES, MAX_ITEMS

    said("a stream that is kept", MAX_BYTES, MAX_ITEMS)

    async def source() -> AsyncIterator[str]:
        while True:
            yield "x" * 100

    async def main() -> None:
        stream = ResumableStream(MemoryStore(), "one", max_bytes=2000)
        await stream.start(SAFE(source()))
        async for _ in stream.read():
            pass

    with pytest.raises(sf.LimitExceeded):
        run_virtually(main())


# ---------------------------------------------------------------------- who watches


class Card(BaseModel):
    """Whose errors do not quote."""

    model_config = {"hide_input_in_errors": True}
    pin: int


def boom(given: object) -> Any:
    """A user's function that fails, without quoting."""
    del given
    raise OSError("down")


async def deny(window: sf.Window) -> bool:
    return False


FAILING: list[tuple[Any, list[Any]]] = [
    (sf.Block(r"zebra-\w+"), [f"a {SECRET} b"]),
    (sf.MapText(boom), [SECRET]),
    (sf.MapText(len), [SECRET]),  # type: ignore[arg-type]
    (sf.Redact(r"zebra-\w+", to=boom), [f"a {SECRET} b"]),
    (sf.Redact(r"zebra-.*end", overflow="raise", max_hold=20), [SECRET * 9]),
    (sf.Redact(sf.Rule("r", r"(a+)+\1b", timeout=0.05)), [SECRET + "a" * 4000]),
    (sf.Limit(max_chars=3) | sf.MapText(boom), [SECRET]),
    (sf.Collect(boom), [SECRET]),
    (sf.Collect(print, max_chars=3, overflow="raise"), [SECRET]),
    (sf.Tap(boom), [SECRET]),
    (SAFE, [SECRET.encode()]),
    (SAFE, [{"a": SECRET}]),
    (sf.ParseJSON(strict=True), [f'{{"a": "{SECRET}" {SECRET}']),
    (sf.ParseJSON(), [f'{{"{SECRET}": "{SECRET}']),
    (sf.ParseJSON(), [b'{"a": "' + SECRET.encode() + b"\xff"]),
    (sf.ParseJSON(Card), [json.dumps({"pin": SECRET})]),
    (sf.JSONItems("$[*]", Card), [json.dumps([{"pin": SECRET}])]),
    (sf.FilterJSON(SAFE), [f'{{"{SECRET}": tru{SECRET}']),
    (sf.FilterJSON(sf.Block(r"zebra-\w+")), [json.dumps({"a": SECRET})]),
    (openai.chat.wrap(sf.Block(r"zebra-\w+")), [chunk(SECRET)]),
    (openai.chat.wrap(SAFE), [[SECRET]]),
    (openai.chat.wrap(SAFE), [{"object": "chat.completion.chunk", "choices": SECRET}]),
    (
        anthropic.messages.wrap(SAFE),
        [{"type": "content_block_delta", "index": SECRET, "delta": {"type": "text_delta", "text": SECRET}}],
    ),
    (bedrock.converse.wrap(SAFE), [SECRET.encode() * 9]),
    (sf.wrap(SAFE), [f"garbage {SECRET}".encode()]),
    (sf.wrap(SAFE), [{"what": SECRET}]),
    (SAFE | openai.chat.Encode(), [SECRET, {"a": SECRET}]),
    (sf.Moderate(deny), [f"{SECRET}. "]),
    (sf.Moderate(lambda window: boom(window.text)), [f"{SECRET}. "]),
    (sf.Moderate(lambda window: window.text), [f"{SECRET}. "]),
    (sf.Repetition(action="raise"), [f"{SECRET} again and on. " * 60]),
]
NO_TEXT = {"path", "reason", "payload"}
"""Attributes that may have some, and are named in the document."""


async def failed(stage: Any, items: list[Any]) -> BaseException:
    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    try:
        async with stage(source()) as stream:
            async for _ in stream:
                pass
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def led_to(error: BaseException) -> list[BaseException]:
    """An error, and all that it came of."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return found


def failures() -> list[Any]:
    return [pytest.param(stage, items, id=f"{n} {stage!r}"[:60]) for n, (stage, items) in enumerate(FAILING)]


@entry("errors")
@pytest.mark.parametrize(("stage", "items"), failures())
def test_no_error_has_text(stage: Any, items: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """Neither its message, repr, notes, arguments and attributes, nor what it came of; nor what is printed of it, nor a log."""
    caplog.set_level(logging.DEBUG)
    error = asyncio.run(failed(stage, items))
    for each in led_to(error):
        told = [str(each), repr(each), *map(repr, each.args), *getattr(each, "__notes__", ())]
        told += [repr(value) for name, value in vars(each).items() if name not in NO_TEXT]
        assert SECRET not in "\n".join(told)
    printed = "".join(traceback.format_exception(error))
    assert SECRET not in printed.replace(repr(items), "")
    assert SECRET not in caplog.text


@entry("variables in tracebacks")
@pytest.mark.parametrize(("stage", "items"), failures())
def test_no_frame_of_ours_keeps_text(stage: Any, items: list[Any]) -> None:
    """What reports errors records variables: those of this library's frames are gone, live and in plain code."""
    errors = [asyncio.run(failed(stage, items))]
    if not stage.must_wait:
        error = through(stage, items)[1]
        assert error is not None
        errors.append(error)
    for each in (each for error in errors for each in led_to(error)):
        shown = traceback.TracebackException.from_exception(each, capture_locals=True)
        ours = [frame for frame in shown.stack if "/streamfilter/" in frame.filename]
        assert [frame.name for frame in ours if SECRET in str(frame.locals)] == []


def test_calls_for_a_whole_text_keep_none_either() -> None:
    """Of what they were given, which stands in the caller's own variables alone."""
    stage = sf.Moderate(lambda window: False, action="raise")
    response = {"choices": [{"index": 0, "message": {"role": "assistant", "content": SECRET}}]}
    errors: list[BaseException] = []
    calls: list[Callable[[], object]] = [
        lambda: stage.apply(SECRET),
        lambda: asyncio.run(stage.aapply(SECRET)),
        lambda: openai.chat.filter_response(stage, response),
        lambda: asyncio.run(openai.chat.afilter_response(stage, response)),
        lambda: openai.chat.filter_request(stage, [{"role": "user", "content": SECRET}]),
        lambda: asyncio.run(openai.chat.afilter_request(stage, [{"role": "user", "content": SECRET}])),
    ]
    for call in calls:
        with pytest.raises(sf.Blocked) as caught:
            call()
        errors.append(caught.value)
    for each in (each for error in errors for each in led_to(error)):
        shown = traceback.TracebackException.from_exception(each, capture_locals=True)
        ours = [frame for frame in shown.stack if "/streamfilter/" in frame.filename]
        assert ours
        assert [frame.name for frame in ours if SECRET in str(frame.locals)] == []


def test_an_error_of_a_source_keeps_no_text_either() -> None:
    """What was held when it came is in no variable; nor when a cancel comes."""

    async def source() -> AsyncIterator[str]:
        yield f"a {SECRET}"
        raise OSError("down")

    async def main() -> BaseException:
        try:
            async for _ in sf.Redact(r"zebra-\w+ x", to="#")(source()):
                pass
        except OSError as error:
            return error
        raise AssertionError

    error = asyncio.run(main())
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert [frame.name for frame in shown.stack if SECRET in str(frame.locals)] == []


SUSPENDED = """
async def waits(waited, caught):
    try:
        raise OSError("down")
    except OSError as error:
        caught.append(error)
        await waited
    return 1

async def waits_again(waited, caught):
    for _ in range(2):
        try:
            await waited[0]
        except OSError as error:
            caught.append(error)
            waited = waited[1:]
    return 1

def gives(caught):
    try:
        raise OSError("down")
    except OSError as error:
        caught.append(error)
        yield 1
    yield 2

def gives_on(caught):
    yield from gives(caught)

async def streams(caught):
    for number in gives(caught):
        yield number
"""


def test_what_is_suspended_goes_on_when_an_error_that_it_saw_is_cleared() -> None:
    """A coroutine or generator of ours that has handled an error stands in its traceback, and is not closed with it."""
    ours: dict[str, Any] = {"__name__": "streamfilter.anything"}
    exec(SUSPENDED, ours)

    async def main() -> list[int]:
        made = asyncio.get_running_loop().create_future
        got: list[int] = []
        for name in ("waits", "waits_again"):
            caught: list[BaseException] = []
            one, two = made(), made()
            task = asyncio.create_task(ours[name](one if name == "waits" else [one, two], caught))
            await asyncio.sleep(0)
            if name == "waits_again":
                one.set_exception(OSError("down"))
                await asyncio.sleep(0)
            clear_text(caught[0])
            (one if name == "waits" else two).set_result(None)
            got.append(await task)
        caught = []
        items = ours["streams"](caught)
        got.append(await anext(items))
        clear_text(caught[0])
        got.append(await anext(items))
        return got

    assert asyncio.run(main()) == [1, 1, 1, 2]
    for name in ("gives", "gives_on"):
        caught: list[BaseException] = []
        generator = ours[name](caught)
        assert next(generator) == 1
        clear_text(caught[0])
        assert next(generator) == 2


@entry("values")
def test_no_repr_has_text() -> None:
    """Of what stands around while a stream runs: in a debugger, a log, an assertion."""
    vault = sf.Vault()
    context = sf.Context(vault=vault, tags={"tenant": "a"})
    stage = sf.Redact(r"zebra-\w+", to=sf.Placeholder()) | sf.Redact(r"zz.*end", to=sf.Hash(salt=SECRET))
    with stage.iter([f"a {SECRET} zz{SECRET}"], context=context) as stream:
        list(stream)
        machine = stage.machine(context)
        machine.feed(f"a {SECRET} zz{SECRET}")
        for value in (stream, machine, vault, context, stage, stream.report, stream.report.findings, vars(machine)):
            assert SECRET not in repr(value)
    window = sf.Window(SECRET, lookback=SECRET, index=0, start=0, final=True, channel=sf.Channel(), context=context)
    assert SECRET not in repr(window)
    assert SECRET not in repr(stage.explain())


@entry("logs")
def test_what_is_logged_of_a_failure_has_no_text(caplog: pytest.LogCaptureFixture) -> None:
    """Of a web response that is cut off, a gateway's request, an application that fails."""
    caplog.set_level(logging.DEBUG)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": event(f'{{"broken": "{SECRET}'), "more_body": False})

    asyncio.run(served(StreamFilterMiddleware(failing, SAFE)))
    query = f"key={SECRET}".encode()
    assert status_of(gateway(), headers=[(b"authorization", SECRET.encode())], query_string=query, body=SECRET.encode()) != 200
    assert SECRET not in caplog.text


@entry("reports and metrics")
def test_what_is_counted_has_no_text_and_no_end() -> None:
    """Findings have names and places; a check that gives each text as a name does not fill the memory."""
    said("reports and metrics", MAX_RULES)
    with SAFE.iter([f"a {SECRET}"]) as stream:
        list(stream)
    (finding,) = stream.report.findings
    assert (finding.rule, finding.start, finding.end) == ("redacted", 2, 2 + len(SECRET))
    counts = Counts(lambda: False)
    for n in range(MAX_RULES + 50):
        report = sf.Report()
        report.counts[f"rule {n}"] = 1
        counts.found(Exchange(pipeline="main"), report)
    text = counts.text()
    assert text.count(b"streamfilter_findings_total{") == MAX_RULES + 1
    assert b'rule="other"} 50.0' in text


OFFLINE = """
import socket, sys
def refused(*args, **kwargs): raise AssertionError("the network is used")
sys.addaudithook(lambda event, args: refused() if event in ("socket.connect", "socket.getaddrinfo", "socket.bind") else None)
import streamfilter as sf
import streamfilter.detectors, streamfilter.providers, streamfilter.web, streamfilter.observe, streamfilter.resumable, streamfilter.testing
from streamfilter.providers import anthropic, bedrock, gemini, ollama, openai, vercel
for name in sf.__all__: getattr(sf, name)
stage = sf.Redact(*streamfilter.detectors.PII, *streamfilter.detectors.SECRETS) | sf.Markdown() | sf.Links(allow=["a.example"])
assert "joe" not in stage.apply("write to joe@example.com")
assert list(sf.ParseJSON().iter(['{"a": 1}']))
"""


@entry("importing and running")
def test_nothing_reaches_for_the_network() -> None:
    """Every public name is imported and guards are used, with a hook that fails at a connection, a look-up or a server."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", OFFLINE], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@entry("what is installed")
def test_two_packages_are_asked_for_and_nothing_is_fetched_or_evaluated() -> None:
    """And no module of ours evaluates text, unpickles, starts a shell, or opens a URL, but those that are listed with a reason."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert sorted(re.split(r"[><=]", each)[0] for each in project["dependencies"]) == ["pydantic", "regex"]
    found = set()
    for path in (ROOT / "streamfilter").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.func if isinstance(node, ast.Call) else None
            shown = "" if name is None else ast.unparse(name)
            if re.fullmatch(
                r"eval|exec|compile|os\.(system|popen)|subprocess\.\w+|pickle\.loads?|marshal\.loads?|urlopen|yaml\.load", shown
            ):
                found.add((str(path.relative_to(ROOT / "streamfilter")), shown))
    assert found == ALLOWED


ALLOWED = {("cli/workers.py", "pickle.loads")}  # of what its own processes send through a pipe


def test_versions_are_pinned_where_the_project_is_tested() -> None:
    """Each library that developers need has one version there, and pip is told so for all that it installs."""
    pins = ROOT / ".ci" / "constraints.txt"
    if not pins.exists():
        pytest.skip("a source distribution has no .ci")
    lines = [line for line in pins.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    pinned = [re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines]
    assert len(set(pinned)) == len(pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["frameworks"], *extras["gateway"], *extras["testing"]]
    names = {re.split(r"[\[><=]", each)[0].lower() for each in wanted} - {"streamfilter"}
    assert names - set(pinned) == set()
    assert "PIP_CONSTRAINT=$PWD/.ci/constraints.txt" in (ROOT / ".ci" / "run").read_text("utf-8")
