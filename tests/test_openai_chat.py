"""Chat completion chunks, case by case: what the recordings do not have, and how a stream that was changed still is a legal one."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import ScriptedSource, run_virtually

GUARD = sf.Redact("secret", to="[x]")


def chunk(*choices: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A chunk with these choices."""
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(choices), **rest}


def part(content: Any = None, index: Any = 0, finish: Any = None, **delta: Any) -> dict[str, Any]:
    """A choice with this content."""
    return {"index": index, "delta": delta if content is None else {"content": content, **delta}, "finish_reason": finish}


def deltas(chunks: list[Any]) -> list[tuple[int, dict[str, Any], Any]]:
    """(choice, delta, finish reason) of all chunks."""
    return [(c["index"], c["delta"], c["finish_reason"]) for each in chunks for c in each["choices"]]


def through(pipeline: Any, *chunks: Any, **options: Any) -> list[Any]:
    """What comes out of `wrap`, with what went in left unchanged."""
    before = copy.deepcopy(chunks)
    out = list(chat.wrap(pipeline).iter(chunks, **options))
    assert list(chunks) == list(before), "the source's own chunks were changed"
    return out


def framed(*chunks: Any, done: bool = True) -> bytes:
    """The bytes of an event stream of these chunks."""
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + (b"data: [DONE]\n\n" if done else b"")


# ------------------------------------------------------------------ where text leaves


def test_held_text_leaves_before_the_chunk_with_the_finish_reason() -> None:
    """On the chunk that brought it; the finish chunk itself is untouched."""
    first, last = chunk(part("no secr")), chunk(part(finish="stop"))
    assert through(GUARD, first, last) == [chunk(part("no ")), chunk(part("secr")), last]


def test_text_and_finish_reason_on_one_chunk() -> None:
    """The finish goes on the last part, once."""
    out = through(GUARD, chunk(part("se")), chunk(part("cret ok se", finish="length")))
    assert deltas(out) == [(0, {"content": "[x]"}, None), (0, {"content": " ok se"}, "length")]


def test_a_chunk_left_with_nothing_is_dropped_and_the_role_goes_on_the_first_that_is_sent() -> None:
    """The role is sent once, on whichever chunk of its choice leaves first."""
    out = through(
        sf.Redact("secret", to=""),
        chunk(part("sec", role="assistant")),
        chunk(part("ret")),
        chunk(part("ok", role="assistant")),
        chunk(part("!")),
    )
    assert deltas(out) == [(0, {"content": "ok", "role": "assistant"}, None), (0, {"content": "!"}, None)]
    out = through(sf.Redact("secret", to=""), chunk(part("secret", role="assistant")), chunk(part("ok")))
    assert deltas(out) == [(0, {"content": "ok", "role": "assistant"}, None)]


def test_a_chunk_that_only_has_a_role_is_sent_as_it_came() -> None:
    """Empty and null content and refusals count as nothing."""
    chunks = [
        chunk(part("", role="assistant", refusal=None)),
        chunk(part("hi")),
        chunk(part("")),
        chunk(part(None)),
        chunk(part(finish="stop")),
    ]
    assert through(GUARD, *chunks) == chunks


def test_usage_on_any_chunk_is_kept_once() -> None:
    """With text, with a finish, alone; on the last part of its chunk; a secret around it is still found."""
    out = through(GUARD, chunk(part("a se"), usage={"n": 1}), chunk(usage={"n": 2}), chunk(part("cret"), usage={"n": 3}))
    assert [each.get("usage") for each in out if each.get("usage")] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert "".join(delta.get("content", "") for _, delta, _ in deltas(out)) == "a [x]"
    assert "se" not in json.dumps(out[1:]).replace("usage", "").replace("service", "").replace("choices", "")


def test_an_empty_choices_chunk_does_not_cut_a_secret() -> None:
    """It is pinned behind the text before it."""
    filler = chunk(prompt_filter_results=[])
    out = through(GUARD, filler, chunk(part("sec")), filler, chunk(part("ret")), filler)
    assert out == [filler, chunk(part("[x]")), filler, filler]


def test_several_choices_on_one_chunk() -> None:
    """Each is its own stream; a choice that is held does not hold the other."""
    both = chunk(part("a sec", 0), part("b", 1))
    out = through(GUARD, both, chunk(part("ret", 0), part("c", 1)))
    assert deltas(out) == [
        (0, {"content": "a "}, None),
        (1, {"content": "b"}, None),
        (0, {"content": "[x]"}, None),
        (1, {"content": "c"}, None),
    ]


def test_refusal_and_both_spellings_of_reasoning_are_kept_apart() -> None:
    """Guards apply to all of them, each by itself."""
    halves = [
        {"content": "sec", "refusal": "sec", "reasoning": "sec", "reasoning_content": "sec"},
        {"content": "ret", "refusal": "ret"},
    ]
    out = through(GUARD, chunk(part(**halves[0])), chunk(part(**halves[1])), chunk(part(reasoning="ret", reasoning_content="ret")))
    joined: dict[str, str] = {}
    for _, delta, _ in deltas(out):
        for name, value in delta.items():
            joined[name] = joined.get(name, "") + value
    assert joined == {"content": "[x]", "refusal": "[x]", "reasoning": "[x]", "reasoning_content": "[x]"}


def test_dropping_reasoning_leaves_the_answer() -> None:
    """`Drop` on chunks."""
    out = through(sf.Drop("reasoning"), chunk(part(reasoning_content="hm", role="assistant")), chunk(part("hi")))
    assert deltas(out) == [(0, {"content": "hi", "role": "assistant"}, None)]


# ------------------------------------------------------------------ what repeats the text


def test_log_probabilities_are_dropped_where_the_text_changed() -> None:
    """And kept where it did not; other fields that say the text again likewise."""
    said = {"logprobs": {"content": [{"token": "secret"}]}, "text": "secret", "message": {"content": "secret"}, "token_ids": [1]}
    out = through(
        GUARD,
        chunk({**part("secret", token_id=3), **said}),
        chunk({**part("fine "), "logprobs": {"content": [{"token": "fine "}]}}),
    )
    assert "secret" not in json.dumps(out)
    assert set(out[0]["choices"][0]) <= {"index", "delta", "finish_reason"}
    assert out[1]["choices"][0]["logprobs"] == {"content": [{"token": "fine "}]}


def test_a_held_part_takes_nothing_that_repeats_it_along() -> None:
    """What leaves before its text must not say it."""
    out = through(GUARD, chunk({**part("a secr"), "text": "a secr", "logprobs": {"content": [{"token": "a secr"}]}}))
    assert "secr" not in json.dumps(out[0])


def test_reasoning_details_repeat_reasoning_or_are_it() -> None:
    """Beside `reasoning` they are dropped where it changed; alone they are the text."""
    details = [{"type": "reasoning.text", "text": "secret"}]
    out = through(GUARD, chunk(part(reasoning="secret", reasoning_details=details)))
    assert deltas(out) == [(0, {"reasoning": "[x]"}, None)]
    out = through(GUARD, chunk(part("", reasoning_details=details)))
    assert deltas(out)[0][1]["reasoning_details"] == [{"type": "reasoning.text", "text": "[x]"}]


def test_content_as_a_list_of_parts_keeps_its_shape() -> None:
    """Mistral's text and thinking."""
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "a secret"}]}, {"type": "text", "text": "my secret"}]
    out = through(GUARD, chunk(part(thinking)))
    want = [{"type": "thinking", "thinking": [{"type": "text", "text": "a [x]"}]}, {"type": "text", "text": "my [x]"}]
    assert deltas(out) == [(0, {"content": want}, None)]


@pytest.mark.parametrize(
    "chunks",
    [
        [{**chunk(part("a secret")), "error": ""}],
        [{**chunk(part("a secret", finish="error")), "error": {"code": 5}}],
        [chunk(part("a sec", finish="")), chunk(part("ret", finish=""))],
        [chunk(part("a sec")), chunk({**part(""), "logprobs": {"content": [{"token": "secret"}]}}), chunk(part("ret"))],
        [
            chunk({**part("a secret"), "message": {"content": "a secret"}}),
            chunk({**part(" ok"), "message": {"content": "a secret ok"}}),
        ],
        [chunk(part("", reasoning=" ok", reasoning_details=[{"type": "reasoning.text", "text": "secret"}]))],
        [chunk({**part("a"), "text": "secret"})],
        [chunk(part(["a secret"]))],
        [chunk(part(audio={"transcript": "a secret"}))],
        [chunk(part(thinking="a secret")), chunk(part(reasoning_text="a secret"))],
        [chunk(part("a sec", tool_calls=[])), chunk(part("ret"))],
    ],
)
def test_nothing_leaves_beside_the_text(chunks: list[dict[str, Any]]) -> None:
    """Errors, empty finish reasons, repeats that run ahead or sum up, texts in unusual places: none takes a secret along."""
    out = through(GUARD, *chunks)
    assert "secret" not in json.dumps(out)
    assert "ret" not in json.dumps(out).replace("[x]", "")
    raw = b"".join(chat.wrap(GUARD).iter([framed(*chunks)]))
    assert b"secret" not in raw
    assert list(chat.wrap(sf.Pipeline()).iter(chunks)) == chunks


def test_signed_reasoning_is_never_edited() -> None:
    """It passes as it is, or is dropped with its signature; one that comes later is dropped as well."""
    signed = [{"type": "reasoning.text", "text": "a secret", "signature": "sig"}]
    later = chunk(part(reasoning_details=[{"type": "reasoning.encrypted", "data": "abc"}]))
    out = through(GUARD, chunk(part("", reasoning_details=signed)), chunk(part("hi")), later, chunk(part("!")))
    assert "sig" not in json.dumps(out)
    assert "abc" not in json.dumps(out)
    fine = chunk(part("", reasoning_details=[{"type": "reasoning.text", "text": "fine ", "signature": "sig"}]))
    assert through(GUARD, fine, later) == [fine, later]
    assert "sig" not in json.dumps(through(sf.Drop("reasoning"), fine, chunk(part("a")), later))


def test_what_is_no_text_leaves_once() -> None:
    """Parts of a list without text, and fields of the chunk, though the text beside them leaves in two parts or not at all."""
    reference = {"type": "reference", "ids": [1]}
    out = through(GUARD, chunk(part([{"type": "text", "text": "hi secret sec"}, reference])), chunk(part("ret z")))
    assert json.dumps(out).count("reference") == 1
    out = through(sf.Redact("secret", to=""), chunk(part("secret", role="assistant")), chunk(part([reference])), chunk(part("z")))
    assert deltas(out)[0] == (0, {"content": [reference], "role": "assistant"}, None)
    out = through(GUARD, chunk(part("a sec"), x_groq={"id": "g"}), chunk(part("ret b")))
    assert sum("x_groq" in each for each in out) == 1
    out = through(GUARD, chunk(part("sec")), chunk(part("ret"), citations=["u"]), chunk(part("z")))
    assert [each["citations"] for each in out if "citations" in each] == [["u"]]


def test_chunks_come_out_in_the_mapping_they_came_in() -> None:
    """A dict with attributes keeps them when its text has changed."""

    class Attributes(dict[str, Any]):
        __getattr__ = dict.__getitem__

    delta: Any = Attributes(content="a secret")
    whole: Any = Attributes(chunk(Attributes({**part("a secret"), "delta": delta})))
    outs: list[Any] = list(chat.wrap(GUARD).iter([whole]))
    assert outs[0].choices[0].delta.content == "a [x]"


def test_half_a_surrogate_pair_is_sent_on_escaped() -> None:
    """As the services do that cut one in two."""
    raw = b"".join(chat.wrap(GUARD).iter([framed(chunk(part("secret \ud83d")), chunk(part("\ude00")))]))
    assert [each["choices"][0]["delta"]["content"] for each in chunks_of(raw)] == ["[x] \ud83d", "\ude00"]


def chunks_of(raw: bytes) -> list[dict[str, Any]]:
    """The payloads of an event stream."""
    return [json.loads(line[5:]) for line in raw.decode().splitlines() if line.startswith("data: {")]


# ------------------------------------------------------------------ tool calls


def call(index: int | None = 0, id: str | None = None, name: str | None = None, arguments: str | None = None) -> dict[str, Any]:  # noqa: A002
    """A fragment of a tool call."""
    fragment: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, "id": id, "type": "function"}
    return fragment if index is None else {"index": index, **fragment}


def test_tool_calls_do_not_cut_a_secret() -> None:
    """Content around a call is joined by clients; the call itself waits for nothing."""
    begin, go_on = chunk(part(tool_calls=[call(0, "t1", "f", "")])), chunk(part(tool_calls=[call(0, None, None, '{"public": 1}')]))
    out = through(GUARD, chunk(part("sec")), begin, go_on, chunk(part("ret")), chunk(part(finish="tool_calls")))
    assert out == [begin, go_on, chunk(part("[x]")), chunk(part(finish="tool_calls"))]


def test_tool_call_fragments_without_id_or_index() -> None:
    """By index where there is one, else by id, else the call before."""
    fragments = [
        call(None, "t1", "f", "{"),
        call(None, None, None, "1}"),
        call(None, "t2", "g", "{"),
        call(None, "t1", None, "!"),
        call(7, "t7", "h", ""),
    ]
    items = list(chat.Decode().iter([chunk(part(tool_calls=[fragment])) for fragment in fragments]))
    assert [item.channel.key[-1] for item in items if isinstance(item, sf.TextDelta)] == [0, 0, 1, 0]
    assert [(item.id, item.name) for item in items if isinstance(item, sf.ToolCall)] == [
        ("t1", "f"),
        ("t2", "g"),
        ("t1", None),
        ("t7", "h"),
    ]


def sums(chunks: Sequence[dict[str, Any]]) -> set[str]:
    """What clients make of the arguments of calls: by an index that is 0 where there is none, or by the call before."""
    by_index: dict[int, str] = {}
    by_order: dict[int, str] = {}
    last = 0
    for each in chunks:
        for fragment in each["choices"][0]["delta"].get("tool_calls") or ():
            text = fragment["function"].get("arguments") or ""
            last = last if fragment.get("index") is None else int(fragment["index"])
            for sum_, at in ((by_index, int(fragment.get("index") or 0)), (by_order, last)):
                sum_[at] = sum_.get(at, "") + text
    return {*by_index.values(), *by_order.values()}


MISSING = object()
PLACES: dict[str, tuple[object, object]] = {
    "then 0": (MISSING, 0),
    "null, then 0": (None, 0),
    "0, then none": (0, MISSING),
    "0, then null": (0, None),
    "a string": ("0", 0),
    "then a string": (0, "0"),
    "none, then a string": (MISSING, "0"),
    "a fraction": (0.0, 0),
    "never": (MISSING, MISSING),
}
BEGINS: dict[str, dict[str, Any]] = {"id and name": {"id": "c"}, "an id that comes late": {}, "an id each time": {"id": "c"}}


@pytest.mark.parametrize("begins", BEGINS)
@pytest.mark.parametrize("place", PLACES)
def test_an_index_that_is_left_out_at_times_hides_nothing(place: str, begins: str) -> None:
    """Where there is one call, all fragments are its own, as for clients that take no index for 0."""
    said = '{"a": "x secret y", "b": 1}'
    for cut in range(1, len(said)):
        halves = [(said[:cut], PLACES[place][0]), (said[cut:], PLACES[place][1])]
        first, second = ({"function": {"arguments": text}} | ({} if at is MISSING else {"index": at}) for text, at in halves)
        first = {**first, **BEGINS[begins], "function": {"name": "f", "arguments": said[:cut]}}
        second |= {"id": "c"} if begins != "id and name" else {}
        stage = chat.wrap(sf.Redact("secret", to="[x]"))
        out = list(stage.iter([chunk(part(tool_calls=[each])) for each in (first, second)]))
        assert sums(out) == {'{"a": "x [x] y", "b": 1}'}, cut


@pytest.mark.parametrize(
    "fragments",
    [
        [call(None, "a", "f", "1"), call(None, "b", "g", "sec"), call(0, None, None, "ret")],
        [call(0, "a", "f", "sec"), call(1, "b", "g", "1"), call(None, None, None, "ret")],
        [call(0, "a", "f", "sec"), call(None, None, "f", "ret")],
        [{**call(0, "a", "f", "sec"), "index": "first"}],
        [{**call(0, "a", "f", "sec"), "index": 0.5}],
        [{**call(0, "a", "f", "sec"), "index": {"a": 1}}],
    ],
)
def test_a_fragment_that_could_be_of_several_calls_is_refused(fragments: list[dict[str, Any]]) -> None:
    """Some clients would take it for another's than is read here; nothing of it leaves."""
    events = [chunk(part(tool_calls=[each])) for each in fragments]
    with pytest.raises(TypeError, match="tool call"):
        list(chat.wrap(GUARD).iter(events))
    raw = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in events)
    with pytest.raises(sf.MalformedInput, match="tool call"):
        list(chat.wrap(GUARD).iter([raw]))


def test_the_calls_of_the_next_message_may_come_otherwise() -> None:
    """An agent may ask one service, then another, of which one gives an index and the other none."""
    for first, second in ((0, None), (None, 0)):
        messages = [
            [call(first, "a", "f", "{"), call(None if first is None else 1, "b", "g", "{}"), call(1, "b", None, "}")],
            [call(second, "c", "f", "{"), call(second, None, None, "}")],
        ]
        events = [
            chunk(part(finish="tool_calls" if each is message[-1] else None, tool_calls=[each]))
            for message in messages
            for each in message
        ]
        items = list(chat.Decode().iter(events))
        last = [item for item in items if isinstance(item, sf.TextDelta)][-2:]
        assert "".join(item.text for item in last) == "{}"
        assert len({item.channel for item in last}) == 1


def test_tool_arguments_are_filtered() -> None:
    """The fragment keeps its place and its fields."""
    out = through(GUARD, chunk(part("secret", tool_calls=[call(0, "t1", "f", '{"a": "s\\u0065cret"}')])))
    assert deltas(out) == [(0, {"content": "[x]", "tool_calls": [call(0, "t1", "f", '{"a": "[x]"}')]}, None)]
    out = through(GUARD.on("tool_arguments"), chunk(part("secret", tool_calls=[call(0, "t1", "f", "a secret")])))
    assert deltas(out) == [(0, {"content": "secret", "tool_calls": [call(0, "t1", "f", "a [x]")]}, None)]
    legacy = chunk(part(function_call={"name": "f", "arguments": "secret"}))
    assert deltas(through(GUARD.on("tool_arguments"), legacy))[0][1] == {"function_call": {"name": "f", "arguments": "[x]"}}


def test_calls_keep_their_arguments_when_their_chunk_is_rewritten() -> None:
    """Two calls on one chunk, though they share an index or have none; a custom tool's input."""
    for first, second in ((None, None), (0, 0), (0, 1)):
        two = [call(first, "a", "f", "{1}"), call(second, "b", "g", "{2}")]
        out = through(GUARD, chunk(part("sec", role="assistant")), chunk(part("ret", tool_calls=two)), chunk(part("!")))
        assert [each for _, delta, _ in deltas(out) for each in delta.get("tool_calls", ())] == two
    custom = {"index": 0, "custom": {"input": "abc"}}
    out = through(GUARD, chunk(part("secret", tool_calls=[custom])))
    assert deltas(out) == [(0, {"content": "[x]", "tool_calls": [custom]}, None)]
    for index in (-1, 10**9):
        assert through(GUARD, chunk(part(tool_calls=[call(index, "a", "f", "{}")])))


def test_a_call_and_content_on_one_chunk() -> None:
    """The call leaves at once, the held text when it may."""
    out = through(GUARD, chunk(part("sec", tool_calls=[call(0, "t1", "f", "{}")])), chunk(part("!")))
    assert deltas(out) == [
        (0, {"tool_calls": [call(0, "t1", "f", "{}")]}, None),
        (0, {"content": "sec"}, None),
        (0, {"content": "!"}, None),
    ]


# ------------------------------------------------------------------ moderation


async def _patient(window: sf.Window) -> bool:
    await asyncio.sleep(1.0)
    return "Bad" not in window.text


def moderated(pipeline: Any, *chunks: Any, **options: Any) -> list[Any]:
    """What comes out by the end of virtual time; a refusal's stream is what came before it."""

    async def main() -> list[Any]:
        async with chat.wrap(pipeline)(ScriptedSource(chunks), **options) as stream:
            out: list[Any] = []
            try:
                async for item in stream:
                    out.append(item)  # noqa: PERF401  # what was given before an exception counts
            except sf.Blocked:
                out.append(sf.Blocked)
            return out

    return run_virtually(main())


def test_text_that_waits_for_a_verdict_keeps_its_chunk() -> None:
    """A chunk with the end of one window and the beginning of another leaves in two parts; role once, usage and reason last."""
    chunks = [chunk(part("One. ", role="assistant")), chunk(part("Two. Thr")), chunk(part("ee", finish="stop"), usage={"n": 1})]
    out = moderated(sf.Moderate(_patient, concurrency=2), *chunks)
    assert deltas(out) == [
        (0, {"content": "One. ", "role": "assistant"}, None),
        (0, {"content": "Two. "}, None),
        (0, {"content": "Thr"}, None),
        (0, {"content": "ee"}, "stop"),
    ]
    assert out[-1]["usage"] == {"n": 1}
    raw = moderated(sf.Moderate(_patient, concurrency=2), framed(*chunks))
    assert deltas(chunks_of(b"".join(raw))) == deltas(out)
    assert b"".join(raw).count(b"data: [DONE]") == 1


@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_a_refused_window_ends_the_stream_legally(after_stop: Any) -> None:
    """With `action="stop"` by the provider's own ending, however the bytes came; else by an exception without one."""
    chunks = [
        chunk(part("One. ", role="assistant")),
        chunk(part("Bad. Thr")),
        chunk(part("ee", finish="stop")),
        chunk(usage={"n": 1}),
    ]
    for source in (chunks, [framed(*chunks)], [framed(*chunks)[n : n + 9] for n in range(0, len(framed(*chunks)), 9)]):
        out = moderated(sf.Moderate(_patient, action="stop", message="Sorry."), *source, after_stop=after_stop)
        if source is not chunks:
            assert b"".join(out).count(b"data: [DONE]") == 1
            out = chunks_of(b"".join(out))
        used = [each for each in out if each.get("usage")]
        assert len(used) == (after_stop == "drain" or len(source) == 1)  # it counts if it was read before the verdict
        assert deltas([each for each in out if each not in used]) == [
            (0, {"content": "One. ", "role": "assistant"}, None),
            (0, {"content": "Sorry."}, None),
            (0, {}, "content_filter"),
        ]
        out = moderated(sf.Moderate(_patient), *source, after_stop=after_stop)
        assert out[-1] is sf.Blocked
        assert b"[DONE]" not in b"".join(each for each in out if isinstance(each, bytes))


@pytest.mark.parametrize("after_stop", ["close", "drain"])
def test_a_stop_before_a_check_ends_legally_when_its_text_has_left(after_stop: Any) -> None:
    """The stop's reason comes behind the verdicts; usage on the chunk that stopped is kept."""
    chunks = [chunk(part("One. Two END more", role="assistant"), usage={"n": 1}), chunk(part("x")), chunk(part(finish="length"))]
    for source in (chunks, [framed(*chunks)]):
        out = moderated(sf.StopAt("END") | sf.Moderate(_patient, concurrency=2), *source, after_stop=after_stop)
        if source is not chunks:
            out = chunks_of(b"".join(out))
        assert [delta for delta in deltas([each for each in out if each.get("choices")]) if delta[1:] != ({}, None)] == [
            (0, {"content": "One. ", "role": "assistant"}, None),
            (0, {"content": "Two "}, None),
            (0, {}, "stop"),
        ]
        assert [each["usage"] for each in out if each.get("usage")] == [{"n": 1}]


# ------------------------------------------------------------------ stopping


def test_a_stopped_stream_ends_legally() -> None:
    """The finish reason follows the text at once; bytes end with one [DONE]; a second choice goes on."""
    chunks = [chunk(part("ok END", role="assistant")), chunk(part("more")), chunk(part(finish="length"))]
    out = through(sf.StopAt("END"), *chunks)
    assert deltas(out) == [(0, {"content": "ok ", "role": "assistant"}, None), (0, {}, "stop")]
    raw = b"".join(chat.wrap(sf.StopAt("END")).iter([framed(*chunks)]))
    assert raw.count(b"[DONE]") == 1
    assert raw.endswith(b"data: [DONE]\n\n")
    out = through(
        sf.StopAt("END"), chunk(part("x", 1)), *chunks, chunk(part("y", 1)), chunk(part(None, 1, "stop")), chunk(part("z", 2))
    )
    assert deltas(out)[-3:] == [(0, {}, "stop"), (1, {"content": "y"}, None), (1, {}, "stop")]


def test_a_block_that_stops_ends_every_choice_with_its_reason() -> None:
    """The message is the last text; the reason is the provider's word for blocked content."""
    out = through(sf.Block("bad", action="stop", message="(gone)"), chunk(part("x", 1)), chunk(part("a bad")))
    want = [(1, {"content": "x"}, None), (0, {"content": "a (gone)"}, None), (1, {}, "content_filter"), (0, {}, "content_filter")]
    assert deltas(out) == want
    with pytest.raises(sf.Blocked):
        through(sf.Block("bad"), chunk(part("a bad")))


def test_draining_keeps_a_later_usage_chunk() -> None:
    """Between the legal ending and [DONE]."""
    chunks = [chunk(part("aEND")), chunk(part("b")), chunk(part(finish="stop")), chunk(usage={"n": 1})]
    out = through(sf.StopAt("END"), *chunks, after_stop="drain")
    assert deltas(out) == [(0, {"content": "a"}, None), (0, {}, "stop")]
    assert out[-1] == chunk(usage={"n": 1})
    raw = b"".join(chat.wrap(sf.StopAt("END")).iter([framed(*chunks)], after_stop="drain"))
    assert raw.count(b"[DONE]") == 1
    assert raw.index(b'"n"') < raw.index(b"[DONE]")


def test_a_stream_that_ends_without_a_finish_settles_all_the_same() -> None:
    """On a text-only copy of the last chunk."""
    assert deltas(through(GUARD, chunk(part("a secr"), usage={"n": 1}))) == [
        (0, {"content": "a "}, None),
        (0, {"content": "secr"}, None),
    ]


def test_a_stop_in_one_choice_does_not_end_another_that_is_held() -> None:
    """Though nothing of it has passed the stage before the stop, and no role came first."""
    pipeline = GUARD | sf.StopAt("END")
    out = through(
        pipeline, chunk(part("a")), chunk(part("se", 1)), chunk(part("END")), chunk(part("c", 1)), chunk(part(None, 1, "stop"))
    )
    assert deltas(out) == [
        (0, {"content": "a"}, None),
        (0, {}, "stop"),
        (1, {"content": "se"}, None),
        (1, {"content": "c"}, None),
        (1, {}, "stop"),
    ]


def test_a_stage_in_the_wrong_place_is_refused_when_it_is_built() -> None:
    """It says what it reads and what it would be given."""
    wrong: list[Callable[[], Any]] = [
        lambda: GUARD | chat.Decode(),
        lambda: chat.Encode() | GUARD,
        lambda: chat.Decode() | chat.Decode(),
        lambda: GUARD | chat.wrap(GUARD),
        lambda: chat.Encode() | sf.Pipeline(GUARD, sf.Tap(id)),
    ]
    for build in wrong:
        with pytest.raises(TypeError, match=r"a stage in the wrong place: \w+ reads (items|chunks), and \w+ before it gives"):
            build()
    assert (chat.Decode() | sf.Tap(id) | GUARD | chat.Encode()).stages
    inners: list[Any] = [chat.Encode(), chat.Decode(), chat.wrap(GUARD)]
    for inner in inners:
        with pytest.raises(TypeError, match="wrap is for a pipeline of text stages"):
            chat.wrap(inner)
    values: list[Any] = [sf.ParseJSON(), sf.ToolCalls(), sf.JSONEvents(), GUARD | sf.ParseJSON() | sf.Tap(id)]
    for inner in values:
        for wrap in (chat.wrap, sf.wrap):
            with pytest.raises(TypeError, match=r"which cannot say the values of .*: read `Decode\(\) \| stage`"):
                wrap(inner)


def test_a_stop_that_only_the_end_decides_ends_legally_too() -> None:
    """[DONE] is written once, and no `End` comes out, though the last event has no empty line."""
    for pipeline in (sf.StopAt("END"), sf.Block(r"END\b", action="stop")):
        for policy in ("close", "drain"):
            body = framed(chunk(part("hi ")), chunk(part("bye END"), usage={"n": 1}), done=False)[:-2]
            out = list(chat.wrap(pipeline).iter([body], after_stop=policy))
            assert all(isinstance(each, bytes) for each in out)
            assert out[-1] == b"data: [DONE]\n\n"
            assert b"".join(out).count(b'finish_reason":"') == 1
            assert b"".join(out).count(b'"n"') == 1


def test_a_choice_that_is_stopped_before_it_was_sent_anything_has_its_role() -> None:
    """On the chunk with its finish reason."""
    assert deltas(through(sf.StopAt("END"), chunk(part("END x", role="assistant")))) == [(0, {"role": "assistant"}, "stop")]


def test_usage_on_the_chunk_that_stops_is_kept() -> None:
    """It has arrived, whatever happens to the source."""
    out = through(sf.StopAt("END"), chunk(part("aEND", finish="stop"), usage={"n": 1}))
    assert [each["usage"] for each in out if "usage" in each] == [{"n": 1}]


# ------------------------------------------------------------------ SDK objects and the real client


def test_sdk_objects_come_out_as_objects_of_their_class() -> None:
    """Changed ones too, and the ones made anew; unknown fields are kept; the source's are not changed."""
    chunks = [
        ChatCompletionChunk.model_validate(chunk(part("a secret", role="assistant", reasoning_content="secret"), provider="p")),
        ChatCompletionChunk.model_validate(chunk(part("!END"))),
    ]
    before = [each.model_dump() for each in chunks]
    out: list[ChatCompletionChunk] = list(chat.wrap(GUARD | sf.StopAt("END")).iter(chunks))
    assert [each.model_dump() for each in chunks] == before
    assert all(type(each) is ChatCompletionChunk and type(each.choices[0]) is type(chunks[0].choices[0]) for each in out)
    assert [(each.choices[0].delta.content, each.choices[0].finish_reason) for each in out] == [
        ("a [x]", None),
        ("!", None),
        (None, "stop"),
    ]
    assert out[0].choices[0].delta.role == "assistant"
    assert (out[0].choices[0].delta.model_extra, out[0].model_extra) == ({"reasoning_content": "[x]"}, {"provider": "p"})


def test_the_real_client_reads_a_stopped_stream() -> None:
    """It ends by itself, with its finish reason."""

    async def served() -> AsyncIterator[bytes]:
        source = ScriptedSource([framed(chunk(part("a secretEND")), chunk(part("b")))])
        async with chat.wrap(GUARD | sf.StopAt("END"))(source) as stream:
            async for piece in stream:
                yield piece

    async def main() -> list[Any]:
        answer = httpx2.MockTransport(
            lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=served())
        )
        http = httpx2.AsyncClient(transport=answer)
        async with AsyncOpenAI(api_key="none", base_url="http://test/v1", http_client=http) as client:
            stream = await client.chat.completions.create(model="m", messages=[], stream=True)
            return [each.choices[0] async for each in stream]

    choices = asyncio.run(main())
    assert [(each.delta.content, each.finish_reason) for each in choices] == [("a [x]", None), (None, "stop")]


def test_an_sdk_stream_is_closed_by_its_close() -> None:
    """The SDK's streams have `close` only."""
    closed: list[int] = []

    class Stream:
        async def __aiter__(self) -> AsyncIterator[Any]:
            for text in ("a", "b"):
                yield ChatCompletionChunk.model_validate(chunk(part(text)))

        async def close(self) -> None:
            closed.append(1)

    async def main() -> None:
        async with sf.MapText(str.upper)(sf.text_of(Stream())) as stream:
            assert await anext(stream) == "A"

    asyncio.run(main())
    assert closed == [1]


# ------------------------------------------------------------------ the two halves


def test_encode_gives_chunks_for_items_from_anywhere() -> None:
    """Text, reasoning, tool calls, finish reasons, usage; a legal stream, as dicts and as bytes."""
    arguments = sf.Channel("tool_arguments", (0, 0, 1))
    items = [
        "Hi",
        sf.TextDelta("hm", sf.Channel("reasoning")),
        sf.ToolCall("t1", "f", arguments, scope=arguments),
        sf.TextDelta("{}", arguments),
        sf.Usage({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
        sf.Raw("nothing of ours"),
    ]
    out = list(chat.Encode("m").iter(items))
    assert deltas(out) == [
        (0, {"content": "Hi", "role": "assistant"}, None),
        (0, {"reasoning_content": "hm"}, None),
        (0, {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]}, None),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
        (0, {}, "tool_calls"),
    ]
    assert [each["usage"] for each in out if "usage" in each] == [{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}]
    for each in out:
        ChatCompletionChunk.model_validate(each)
    frames: list[Any] = list(chat.Encode("m", as_bytes=True).iter(["Hi"]))
    assert frames[-1] == b"data: [DONE]\n\n"
    assert "".join(sf.text_of(frames)) == "Hi"


def test_what_ends_a_body_is_no_chunk() -> None:
    """A stream that came as bytes and leaves as dicts ends with its last chunk."""
    out = list((chat.Decode() | GUARD | chat.Encode()).iter([b'data: {"choices": []}\n\n: ping\n\ndata: [DONE]\n\n']))
    assert out == [{"choices": []}]


def test_decode_then_encode_is_a_stream_again() -> None:
    """The halves of `wrap`, joined by hand."""
    chunks = [chunk(part("a secret", role="assistant")), chunk(part(finish="stop"))]
    out = list((chat.Decode() | GUARD | chat.Encode()).iter(chunks))
    assert deltas(out) == [(0, {"content": "a ", "role": "assistant"}, None), (0, {"content": "[x]"}, None), (0, {}, "stop")]
    stopped = list((chat.Decode() | sf.StopAt("END") | chat.Encode()).iter([chunk(part("a END", role="assistant"))]))
    assert [each["id"] for each in stopped] == ["c1", "c1"]
    blocked: list[Any] = list(
        (chat.Decode() | sf.Block("bad", action="stop") | chat.Encode(as_bytes=True)).iter([framed(chunk(part("a bad")))])
    )
    assert b"content_filter" in b"".join(blocked)
    assert blocked[-1] == b"data: [DONE]\n\n"
    for item in (None, b"x", 5, chunk(part("a"))):
        with pytest.raises(TypeError, match=r"openai\.chat\.Encode was fed"):
            list(chat.Encode().iter([item]))


# ------------------------------------------------------------------ faults


def outcome(stage: Any, *pieces: Any) -> tuple[list[Any], BaseException]:
    """What was given, and what was raised then."""
    got: list[Any] = []
    stream = stage.iter(pieces)
    with pytest.raises((sf.StreamFilterError, TypeError)) as caught:
        while True:
            got.append(next(stream))
    return got, caught.value


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"data: {not json\n\n", "not JSON"),
        (b'data: ["list"]\n\n', "not a JSON object"),
        (b'data: {"type": "message_start", "message": {}}\n\n', "no chunk of a chat completion"),
        (b'data: {"choices": 5}\n\n', "choices is no list of objects"),
        (b'data: {"choices": [null]}\n\n', "choices is no list of objects"),
        (b'data: {"choices": [{"delta": "a secret"}]}\n\n', "no object"),
        (b'data: {"choices": [{"delta": {"tool_calls": 5}}]}\n\n', "tool_calls is no list"),
        (b'data: {"choices": [{"message": {"content": "a secret"}}]}\n\n', "a whole completion, not a chunk"),
        (b"<html>oops</html>\n\n", "neither a field nor a comment"),
        (b"garbage\n\n", "neither a field nor a comment"),
        (b'data: {"choices": [', "ends inside an event"),
    ],
)
def test_broken_input_is_malformed_after_everything_before_it(bad: bytes, problem: str) -> None:
    """With its offset, behind all that had left; text that was held dies, for it was broken off; in bytes and as text."""
    good = framed(chunk(part("a secr")), done=False)
    for pieces in ([good + bad], [bytes([byte]) for byte in good + bad]):
        got, error = outcome(chat.wrap(GUARD), *pieces)
        assert isinstance(error, sf.MalformedInput)
        assert problem in str(error)
        assert error.offset == len(good)
        assert "".join(sf.text_of(got)) == "a "
        assert b"secr" not in b"".join(got)
        got, error = outcome(sf.Pipeline(chat.Decode(), GUARD), *pieces)
        assert "".join(item.text for item in got if isinstance(item, sf.TextDelta)) == "a "


def test_an_error_of_the_provider_comes_behind_the_text_before_it() -> None:
    """As the provider's own frame through `wrap`; as an exception where only text is read."""
    failure = {"error": {"message": "overloaded", "code": 503}}
    raw = framed(chunk(part("a secr")), failure, done=False)
    out = b"".join(chat.wrap(GUARD).iter([raw]))
    assert out.endswith(framed(failure, done=False))
    assert out.index(b'"secr"') < out.index(b"overloaded")
    stream = GUARD.iter(sf.text_of([raw]))
    with pytest.raises(sf.ProviderError, match="reported an error") as caught:
        list(stream)
    assert caught.value.payload == failure["error"]
    assert "overloaded" not in str(caught.value)


def test_frames_that_are_no_chunks_pass() -> None:
    """Pings, frames without data, `[DONE]` with a blank; an error in its other spelling is one."""
    raw = b'event: ping\ndata: {"type": "ping"}\n\ndata:\n\ndata: [DONE] \n\n'
    assert b"".join(chat.wrap(GUARD).iter([raw])) == raw
    with pytest.raises(sf.ProviderError):
        list(sf.text_of([framed({"object": "error", "message": "no"})]))


@pytest.mark.parametrize("tail", [b"data:", b": ping", b"data: [DONE]", b"id: 1\n"])
def test_what_follows_an_unfinished_frame_is_a_frame_of_its_own(tail: bytes) -> None:
    """Held text leaves at the end, behind whatever the source broke off with."""
    body = framed(chunk(part("a secr")), done=False) + tail
    out = b"".join(chat.wrap(GUARD).iter([body]))
    assert [each["choices"][0]["delta"]["content"] for each in chunks_of(out)] == ["a ", "secr"]
    assert b"".join(chat.wrap(sf.Pipeline()).iter([body])) == body


def test_what_is_no_chunk_is_a_type_error() -> None:
    """It names the stage, the type and what it reads."""
    for item in ("text", None, 3):
        with pytest.raises(TypeError, match=r"openai\.chat\.wrap was fed .*: it reads chat completion chunks"):
            through(GUARD, item)
    for lines in (["data: {}", ""], ["Hello"]):
        with pytest.raises(TypeError, match=r"was fed str: .*, not text or the lines of a response: give the response itself$"):
            list(sf.text_of(lines))
    with pytest.raises(TypeError, match="it has no choices"):
        through(GUARD, {"type": "message_start", "message": {}})
    with pytest.raises(TypeError, match="int is not a stage"):
        chat.wrap(3)  # type: ignore[arg-type]

    async def waits(source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            yield item

    with pytest.raises(TypeError, match="must wait"):
        chat.wrap(GUARD | waits)
    with pytest.raises(TypeError, match="not an async iterable"):
        sf.text_of(3)  # type: ignore[call-overload]


def test_the_input_of_a_custom_tool_is_filtered() -> None:
    """It is text, and stands where a function has its arguments."""
    begin = {"index": 0, "id": "t1", "type": "custom", "custom": {"name": "sql", "input": ""}}
    fragments = [{"index": 0, "custom": {"input": piece}} for piece in ("select sec", "ret from t")]
    out = through(GUARD, *(chunk(part(tool_calls=[each])) for each in (begin, *fragments)), chunk(part(finish="tool_calls")))
    said = [call["custom"]["input"] for _, delta, _ in deltas(out) for call in delta.get("tool_calls", ())]
    assert "".join(said) == "select [x] from t"


def test_whole_completions_and_requests_are_filtered_by_the_same_pipeline() -> None:
    """Content, arguments, what quotes and counts text; ids and settings stay. The given objects are not changed."""
    completion: dict[str, Any] = {
        "id": "secret-id",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": {"content": [{"token": "secret", "bytes": [115]}]},
                "message": {
                    "role": "assistant",
                    "content": "a secret",
                    "annotations": [{"url_citation": {"title": "secret", "start_index": 2}}],
                    "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": '{"a": "s\\u0065cret"}'}}],
                },
            }
        ],
    }
    before = copy.deepcopy(completion)
    out = chat.filter_response(GUARD, completion)
    assert completion == before
    assert out["id"] == "secret-id"
    (choice,) = out["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "a [x]",
        "annotations": [],
        "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": '{"a": "[x]"}'}}],
    }
    assert "secret" not in json.dumps(choice)
    request: dict[str, Any] = {
        "model": "secret-1",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "my secret"}]}],
    }
    want = {"model": "secret-1", "messages": [{"role": "user", "content": [{"type": "text", "text": "my [x]"}]}]}
    assert chat.filter_request(GUARD, request) == want
    assert asyncio.run(chat.afilter_request(GUARD, request["messages"])) == want["messages"]
    assert asyncio.run(chat.afilter_response(GUARD, completion)) == out


def test_reasoning_that_is_told_from_a_whole_answer_has_its_field() -> None:
    """As in the stream, where it leaves as `reasoning_content`: behind what stands there already, and of each choice by itself."""
    message = {"role": "assistant", "content": "<think>pin 1234</think>Hello"}
    more = {"role": "assistant", "content": "<think>b</think>two", "reasoning_content": "a"}
    whole = {"choices": [{"index": 0, "message": message}, {"index": 1, "message": more}]}
    pipeline = sf.Extract("think", to="reasoning") | sf.Redact(r"\d{4}", to="####").on("answer", "reasoning")
    shown = chat.filter_response(pipeline, whole)
    assert [choice["message"] for choice in shown["choices"]] == [
        {"role": "assistant", "content": "Hello", "reasoning_content": "pin ####"},
        {"role": "assistant", "content": "two", "reasoning_content": "ab"},
    ]
