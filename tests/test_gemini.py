"""Gemini: every recording, the SDK's own objects and client, chunks that say several things, calls in pieces, other formats."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import types
from recordings import body, shared
from test_providers import COMMON, REDACT, mapped, payloads, pieces

import streamfilter as sf
from streamfilter.providers import anthropic, gemini, openai
from streamfilter.testing import run_virtually
from streamfilter.testing.planting import fragments, plantings

RECORDED = shared("gemini.generateContent")
recorded = pytest.mark.parametrize("entry", RECORDED, ids=[entry["file"] for entry in RECORDED])
beside = pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
GUARD = sf.Redact("secret", to="[x]")


def chunk(*parts: dict[str, Any], index: int = 0, usage: int = 0, **fields: Any) -> dict[str, Any]:
    """A chunk of one candidate."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": index, **fields}
    return {"candidates": [candidate], **({"usageMetadata": {"totalTokenCount": usage}} if usage else {}), "responseId": "r"}


def parts(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All parts that say something."""
    found = [part for each in chunks for c in each.get("candidates") or () for part in (c.get("content") or {}).get("parts") or ()]
    return [part for part in found if part != {"text": ""}]


def texts(chunks: list[dict[str, Any]]) -> dict[tuple[int, bool], str]:
    """Text by candidate and by whether it is a thought, joined without our help."""
    joined: dict[tuple[int, bool], str] = {}
    for candidate in (candidate for each in chunks for candidate in each.get("candidates") or ()):
        for part in (candidate.get("content") or {}).get("parts") or ():
            if part.get("text"):
                key = candidate.get("index", 0), bool(part.get("thought"))
                joined[key] = joined.get(key, "") + part["text"]
    return joined


def calls(chunks: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """Calls: their names and arguments; those that came in pieces by path, joined without our help."""
    found: list[tuple[str, Any]] = []
    is_open = False
    for part in parts(chunks):
        call = part.get("functionCall")
        if call is None:
            continue
        if "name" in call or not is_open:
            found.append((call.get("name", ""), dict(call.get("args") or {})))
        for piece in call.get("partialArgs") or ():
            said = found[-1][1]
            value = next((piece[name] for name in ("stringValue", "numberValue", "boolValue") if name in piece), None)
            said[piece["jsonPath"]] = said.get(piece["jsonPath"], "") + value if isinstance(value, str) else value
        is_open = bool(call.get("willContinue"))
    return found


def filtered(said: Any, change: Callable[[str], str]) -> Any:
    """The arguments of a call with their strings and keys changed, and in paths the keys."""
    if any(str(key).startswith("$.") for key in said):
        return {re.sub(r"(?<=\.)[^.\[]+", lambda key: change(key[0]), path): mapped(each, change) for path, each in said.items()}
    return mapped(said, change)


def rest(chunks: list[dict[str, Any]]) -> list[Any]:
    """All else that chunks say, in the order of its kind."""
    found: list[Any] = []
    for each in chunks:
        found += [("usage", each["usageMetadata"])] if "usageMetadata" in each else []
        for candidate in each.get("candidates") or ():
            found += [(name, candidate[name]) for name in ("finishReason", "safetyRatings") if name in candidate]
            for part in (candidate.get("content") or {}).get("parts") or ():
                found += [(name, part[name]) for name in ("inlineData", "codeExecutionResult") if name in part]
    return sorted(found, key=lambda pair: str(pair[0]))


# ---------------------------------------------------------------------- every recording


@beside
@recorded
def test_an_empty_pipeline_reproduces_every_byte(entry: dict[str, Any]) -> None:
    """Whatever the cuts; and every dict."""
    raw = body(entry)
    for seed in range(3):
        assert b"".join(gemini.wrap(sf.Pipeline()).iter(pieces(raw, seed))) == raw
    events = payloads(raw)
    assert all(one is other for one, other in zip(gemini.wrap(sf.Pipeline()).iter(events), events, strict=True))


@beside
@recorded
def test_text_that_no_rule_matches_leaves_as_it_came(entry: dict[str, Any]) -> None:
    """The very dicts and the very bytes, of calls too."""
    raw = body(entry)
    events = payloads(raw)
    stage = gemini.wrap(sf.Redact("\x00"))
    assert all(one is other for one, other in zip(stage.iter(events), events, strict=True))
    assert b"".join(stage.iter(pieces(raw, 4))) == raw
    assert b"".join(sf.wrap(sf.Redact("\x00")).iter(pieces(raw, 4))) == raw


@beside
@recorded
@pytest.mark.parametrize("to", ["█", ""])
def test_each_channel_is_filtered_as_its_whole_text(entry: dict[str, Any], to: str) -> None:
    """Answers, thoughts, and every string of the arguments of a call, whatever the cuts; all else is there, once."""
    raw = body(entry)
    events = payloads(raw)
    redact = sf.Redact(COMMON, to=to)
    stage = gemini.wrap(redact)
    want = {key: text for key, text in ((key, redact.apply(text)) for key, text in texts(events).items()) if text}
    for out in (list(stage.iter(events)), payloads(b"".join(stage.iter(pieces(raw, 5)))), payloads(b"".join(stage.iter([raw])))):
        assert texts(out) == want
        assert calls(out) == [(name, filtered(said, redact.apply)) for name, said in calls(events)]
        want_rest = mapped([list(pair) for pair in rest(events) if pair[0] == "codeExecutionResult"], redact.apply)
        assert [pair for pair in rest(out) if pair[0] != "codeExecutionResult"] == [
            pair for pair in rest(events) if pair[0] != "codeExecutionResult"
        ]
        assert len(want_rest) == sum(pair[0] == "codeExecutionResult" for pair in rest(out))


@beside
@recorded
def test_the_cuts_do_not_matter(entry: dict[str, Any]) -> None:
    """The same bytes leave for the same bytes, cut at any place."""
    raw = body(entry)
    stage = gemini.wrap(REDACT)
    want = b"".join(stage.iter([raw]))
    for seed, most in ((1, 7), (2, 100), (3, 5000)):
        assert b"".join(stage.iter(pieces(raw, seed, most))) == want


@beside
@recorded
def test_items_have_what_the_index_counts(entry: dict[str, Any]) -> None:
    """Text, thoughts, why it ended. (The index counts every piece of a call as one.)"""
    items = list(gemini.Decode().iter(pieces(body(entry), 3)))

    def said(kind: str) -> str:
        return "".join(item.text for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == kind)

    assert len(said("answer")) == entry["text_chars"] == len("".join(sf.text_of([body(entry)])))
    assert len(said("reasoning")) == entry["reasoning_chars"]
    assert (sum(isinstance(item, sf.ToolCall) for item in items) > 0) == (entry["tool_calls"] > 0)
    assert [item.reason for item in items if isinstance(item, sf.Finish)] == entry["finish"]


@beside
@recorded
def test_calls_are_read_whole_and_in_pieces(entry: dict[str, Any]) -> None:
    """As `ToolCalls` reads those of any provider: the arguments of a call are one text of JSON."""
    events = payloads(body(entry))
    found = [call for call in (gemini.Decode() | sf.ToolCalls()).iter(events) if call.complete]
    want = calls(events)
    assert [call.name for call in found] == [name for name, _ in want]
    for call, (_, said) in zip(found, want, strict=True):
        assert said == ({f"$.{path}": leaf for path, leaf in leaves(call.arguments)} if "$." in str(said) else call.arguments)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values in a document, by path."""
    if isinstance(node, dict):
        for key, each in node.items():
            yield from leaves(each, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for n, each in enumerate(node):
            yield from leaves(each, f"{path}[{n}]")
    else:
        yield path, node


SECRET = "Zq7-kestrel-Wx4"


def goes_on(event: dict[str, Any], path: tuple[Any, ...]) -> object:
    """Which text goes on in a chunk."""
    node = event
    for step in path[:-1]:
        node = node[step]
    if path[-1] == "text" and "parts" in path:
        return path[1], bool(node.get("thought"))
    return (path[1], node.get("jsonPath")) if path[-1] == "stringValue" else None


@beside
@recorded
def test_a_secret_in_any_field_does_not_come_out(entry: dict[str, Any]) -> None:
    """No six characters of it, in dicts and in bytes, wherever it is planted; or the stream ends."""
    stage = gemini.wrap(sf.Redact(SECRET, to="█"))
    events = payloads(body(entry))
    for place, planted in plantings(events, SECRET, spared=gemini.OPAQUE, goes_on=goes_on):
        out: list[Any] = []
        try:
            out.extend(stage.iter(planted))
        except TypeError:
            assert "jsonPath" in place[1]  # it leads nowhere now
            continue
        finally:
            assert not fragments(out, SECRET), place
        raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in planted)
        assert not fragments(payloads(b"".join(stage.iter([raw[: len(raw) // 2], raw[len(raw) // 2 :]]))), SECRET), place


@beside
@recorded
def test_a_stopped_stream_has_a_reason(entry: dict[str, Any]) -> None:
    """The last word of the candidate, once, and nothing is said behind it."""
    events = payloads(body(entry))
    text = texts(events).get((0, False), "")
    if len(text) < 20:
        pytest.skip("there is no text to stop at")
    out = list(gemini.wrap(sf.StopAt(text[8:14])).iter(events))
    assert texts(out).get((0, False), "") == text[: text.index(text[8:14])]
    assert [each["candidates"][0].get("finishReason") for each in out if each.get("candidates")][-1] == "STOP"
    assert sum("finishReason" in each["candidates"][0] for each in out if each.get("candidates")) == 1


# ---------------------------------------------------------------------- the SDK


def client_over(raw: bytes, pipeline: Any = None, seed: int = 1) -> genai.Client:
    """The real client over a recorded body, its transport giving it through `wrap` if there is a pipeline."""

    async def served() -> AsyncIterator[bytes]:
        async def source() -> AsyncIterator[bytes]:
            for piece in pieces(raw, seed):
                yield piece

        async with gemini.wrap(pipeline or sf.Pipeline())(source()) as stream:
            async for piece in stream:
                yield piece

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=served())

    transport = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return genai.Client(api_key="none", http_options=types.HttpOptions(httpx_async_client=transport))


async def opened(client: genai.Client) -> AsyncIterator[Any]:
    return await client.aio.models.generate_content_stream(model="gemini-x", contents="x")


def dumped(chunks: list[types.GenerateContentResponse]) -> list[dict[str, Any]]:
    return [each.model_dump(by_alias=True, exclude_none=True, mode="json") for each in chunks]


@beside
@recorded
def test_objects_of_the_sdk_come_out_as_they_came(entry: dict[str, Any]) -> None:
    """Where no text changes, the very objects; where it does, the text of the batch operation in objects of the same class."""

    async def read(pipeline: Any) -> tuple[list[Any], list[Any]]:
        came: list[Any] = []
        stream = await opened(client_over(body(entry)))
        async with gemini.wrap(pipeline)(sf.Tap(came.append)(stream)) as chunks:
            return came, [each async for each in chunks]

    unchanging: tuple[Any, ...] = (sf.Pipeline(), sf.Redact("\0"))
    for pipeline in unchanging:
        came, out = asyncio.run(read(pipeline))
        assert all(one is other for one, other in zip(came, out, strict=True))
    for stage in (REDACT, sf.Redact(COMMON, to=""), sf.StopAt("e")):
        came, out = asyncio.run(read(stage))
        assert {type(each) for each in out} <= {types.GenerateContentResponse}
        if not isinstance(stage, sf.StopAt):
            want = {key: stage.apply(text) for key, text in texts(dumped(came)).items()}
            assert texts(dumped(out)) == {key: text for key, text in want.items() if text}
            assert calls(dumped(out)) == [(name, filtered(said, stage.apply)) for name, said in calls(dumped(came))]


@beside
@recorded
def test_the_real_client_reads_the_redacted_text(entry: dict[str, Any]) -> None:
    """The SDK, fed the bytes of a redacted stream, understands every chunk of it."""

    async def read() -> list[Any]:
        return [each async for each in await opened(client_over(body(entry), REDACT, 7))]

    chunks = asyncio.run(read())
    want = {key: REDACT.apply(text) for key, text in texts(payloads(body(entry))).items()}
    assert texts(dumped(chunks)) == {key: text for key, text in want.items() if text}
    answer = "".join(part.text for each in chunks for part in each.parts or () if part.text and not part.thought)
    assert answer == want.get((0, False), "")


# ---------------------------------------------------------------------- chunks that say several things


def test_what_leaves_later_leaves_on_a_copy_that_says_nothing_else() -> None:
    """Token counts do not wait for text, and are not said twice."""
    events = [chunk({"text": "my sec"}, usage=3), chunk({"text": "ret."}, usage=5), chunk(finishReason="STOP", usage=7)]
    out = list(gemini.wrap(GUARD).iter(events))
    assert out == [
        chunk({"text": "my "}, usage=3),
        chunk({"text": "[x]"}),
        chunk({"text": "."}, usage=5),
        chunk(finishReason="STOP", usage=7),
    ]
    out = list(gemini.wrap(GUARD).iter([chunk({"text": "sec"}, usage=3), chunk({"text": "t"}, finishReason="STOP")]))
    assert out == [chunk({"text": ""}, usage=3), chunk({"text": "sec"}), chunk({"text": "t"}, finishReason="STOP")]


def test_a_chunk_left_with_nothing_is_dropped() -> None:
    """Of three chunks that hold one secret together, the last leaves, with the replacement."""
    out = list(gemini.wrap(GUARD).iter([chunk({"text": "se"}), chunk({"text": "cr"}), chunk({"text": "et"})]))
    assert out == [chunk({"text": "[x]"})]


def test_parts_of_a_chunk_keep_their_order_and_their_channels() -> None:
    """Thoughts, answer and calls, of several candidates."""
    call = {"functionCall": {"name": "f", "args": {"to": "a secret", "secret": [1]}}}
    both = {"candidates": [*chunk({"text": "se"})["candidates"], *chunk({"text": "cret", "thought": True}, index=1)["candidates"]]}
    events = [
        chunk({"text": "a secret", "thought": True}, {"text": "one secret"}, call, {"text": " two"}),
        both,
        chunk({"text": "en"}, finishReason="STOP"),
        chunk({"text": "cret"}, index=1, finishReason="STOP"),
    ]
    out = list(gemini.wrap(GUARD).iter(events))
    assert out[0] == chunk(
        {"text": "a [x]", "thought": True},
        {"text": "one [x]"},
        {"functionCall": {"name": "f", "args": {"to": "a [x]", "[x]": [1]}}},
        {"text": " two"},
    )
    assert texts(out) == {(0, True): "a [x]", (0, False): "one [x] twoseen", (1, True): "cret", (1, False): "cret"}
    assert list(gemini.wrap(sf.Redact("\0")).iter(events)) == events


def test_the_words_of_a_transcription_leave_with_its_text() -> None:
    """They say it once more, word by word: where it is held or changed they are left out."""
    said = [
        {"audioTranscription": {"text": text, "words": [{"word": word, "startOffset": "1s"} for word in text.split()]}}
        for text in ("So it is ", "Zq7 ", "kestrel ", "as said.")
    ]
    events = [chunk(part) for part in said]
    objects: list[Any] = [types.GenerateContentResponse.model_validate(each) for each in events]
    for given in (events, objects):
        out: list[Any] = list(gemini.wrap(sf.Redact("Zq7 kestrel", to="█")).iter(given))
        shown = json.dumps([each if isinstance(each, dict) else each.model_dump(mode="json") for each in out], ensure_ascii=False)
        assert "Zq7" not in shown
        assert "kestrel" not in shown
        assert "█" in shown
        assert out[0] is given[0]
    assert list(gemini.wrap(sf.Redact("\x00")).iter(events)) == events


def test_a_secret_split_around_a_call_is_found() -> None:
    """A client joins the text of all parts."""
    call = {"functionCall": {"name": "f", "args": {}}}
    out = list(gemini.wrap(GUARD).iter([chunk({"text": "sec"}, call, {"text": "ret"}), chunk(finishReason="STOP")]))
    assert texts(out) == {(0, False): "[x]"}
    assert call in parts(out)


def test_a_signature_leaves_with_the_text_that_it_stands_on() -> None:
    """Or not at all, where that was changed. That of a call stays: Gemini refuses the next request without it."""
    events = [chunk({"text": "my sec", "thought": True}), chunk({"text": "ret", "thought": True, "thoughtSignature": "AAAA"})]
    assert "AAAA" not in str(list(gemini.wrap(GUARD).iter(events)))
    assert list(gemini.wrap(sf.Redact("\0")).iter(events)) == events
    events = [chunk({"text": "sec", "thoughtSignature": "AAAA"}), chunk({"text": "t"}), chunk(finishReason="STOP")]
    out = list(gemini.wrap(GUARD).iter(events))
    assert [part for part in parts(out) if "thoughtSignature" in part] == [{"text": "sec", "thoughtSignature": "AAAA"}]
    events[1] = chunk({"text": "ret"})
    assert "AAAA" not in str(list(gemini.wrap(GUARD).iter(events)))
    assert "AAAA" not in str(list(gemini.wrap(sf.Redact("secret", to="")).iter(events)))
    events = [chunk({"functionCall": {"name": "f", "args": {"a": "secret"}}, "thoughtSignature": "AAAA"})]
    want = {"functionCall": {"name": "f", "args": {"a": "[x]"}}, "thoughtSignature": "AAAA"}
    assert parts(list(gemini.wrap(GUARD).iter(events))) == [want]


@pytest.mark.parametrize("to", ["[x]", ""])
def test_what_counts_bytes_is_left_out_where_text_has_changed(to: str) -> None:
    """Sources stay, and what they quote is filtered."""
    support = {"segment": {"endIndex": 9, "text": "my secret"}, "groundingChunkIndices": [0]}
    grounding = {"groundingChunks": [{"web": {"uri": "u", "title": "a secret"}}], "groundingSupports": [support]}
    cited = {"citations": [{"startIndex": 0, "endIndex": 9, "uri": "u"}]}
    beside: dict[str, Any] = {"groundingMetadata": grounding, "citationMetadata": cited}
    guard = sf.Redact("secret", to=to)
    out = list(gemini.wrap(guard).iter([chunk({"text": "my secret"}, **beside), chunk({"text": "."}, finishReason="STOP")]))
    (found,) = [each["candidates"][0] for each in out if "groundingMetadata" in each["candidates"][0]]
    assert found["groundingMetadata"] == {"groundingChunks": [{"web": {"uri": "u", "title": f"a {to}"}}]}
    assert found["citationMetadata"] == {}
    fine = [chunk({"text": "all fine"}, **beside)]
    made: Any
    (made,) = gemini.wrap(guard).iter(fine)
    shown = made["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"]
    assert shown == {"endIndex": 9, "text": f"my {to}"}


def test_tokens_do_not_say_what_is_held() -> None:
    """Log probabilities quote the text: they wait with it and die with a secret, and leave when it was none."""
    tokens = {"chosenCandidates": [{"token": "my", "logProbability": -1}, {"token": " sec", "logProbability": -1}]}
    events = [chunk({"text": "my sec"}, logprobsResult=tokens), chunk({"text": "ret"}), chunk(finishReason="STOP")]
    assert not fragments(list(gemini.wrap(GUARD).iter(events)), "secret", 3)
    events[1] = chunk({"text": "t"})
    assert "sec" in str([each["candidates"][0].get("logprobsResult") for each in gemini.wrap(GUARD).iter(events)])


# ---------------------------------------------------------------------- calls in pieces


def piece(path: str, value: Any = "", *, more: bool = True, **call: Any) -> dict[str, Any]:
    """A part with a piece of the arguments of a call."""
    name = "stringValue" if isinstance(value, str) else "boolValue" if isinstance(value, bool) else "numberValue"
    said = {"jsonPath": path, name: value, **({"willContinue": True} if more else {})}
    return {"functionCall": {"partialArgs": [said], "willContinue": True, **call}}


STREAMED = [
    chunk({"functionCall": {"name": "send", "willContinue": True}}),
    chunk(piece("$.to", "the sec")),
    chunk(piece("$.to", "ret one")),
    chunk(piece("$.to", more=False)),
    chunk(piece("$.tags[0]", "4111", more=False), piece("$.tags[1]", True, more=False)),
    chunk({"functionCall": {}}, finishReason="STOP"),
]


def test_a_secret_split_over_pieces_of_an_argument_is_found() -> None:
    """Each string of the arguments is plain text, whatever it looks like; paths, numbers and the end stay."""
    out = list(gemini.wrap(sf.Redact("secret|[0-9]{4}", to="[x]")).iter(STREAMED))
    assert calls(out) == [("send", {"$.to": "the [x] one", "$.tags[0]": "[x]", "$.tags[1]": True})]
    assert parts(out)[-1] == {"functionCall": {}}
    ends = [part["functionCall"]["partialArgs"][0].get("willContinue", False) for part in parts(out)[1:-1]]
    assert ends == [True] * (len(ends) - 3) + [False] * 3
    assert list(gemini.wrap(sf.Redact("\0")).iter(STREAMED)) == STREAMED


@pytest.mark.parametrize(
    "after", [piece("$.to", "ret"), piece("$", "ret"), piece("$.tags[5]", "x"), piece("$..to", "x"), piece("$.tags.x", "ret")]
)
def test_arguments_that_go_back_are_refused(after: dict[str, Any]) -> None:
    """Their text would go on where nobody looks."""
    with pytest.raises(TypeError, match="arguments of a call"):
        list(gemini.wrap(GUARD).iter([*STREAMED[:-1], chunk(after)]))


def test_a_call_that_a_stage_drops_is_gone() -> None:
    """It does not stay with other arguments than it had."""
    call = {"functionCall": {"name": "f", "args": {"a": "x"}}}
    out = list(gemini.wrap(sf.Drop("tool_arguments")).iter([chunk({"text": "a"}, call, usage=3), *STREAMED]))
    assert calls(out) == []
    assert parts(out) == [{"text": "a"}]
    assert out[-1]["candidates"][0]["finishReason"] == "STOP"


def test_decoded_chunks_can_be_encoded_again() -> None:
    """Nothing is lost, and nothing is taken for changed."""
    call = {"functionCall": {"name": "f", "args": {"a": "x"}}, "thoughtSignature": "BBBB"}
    events = [chunk({"text": "hm", "thought": True, "thoughtSignature": "AAAA"}), chunk({"text": "a"}, call, usage=3), *STREAMED]
    out: list[Any] = list((gemini.Decode() | gemini.Encode()).iter(events))
    assert (texts(out), calls(out), rest(out)) == (texts(events), calls(events), rest(events))
    assert [part["thoughtSignature"] for part in parts(out) if "thoughtSignature" in part] == ["AAAA", "BBBB"]


def test_numbers_that_look_like_text_and_the_other_way_round() -> None:
    """A string that says a number is text: it is filtered. A number is none."""
    events = [chunk({"functionCall": {"name": "f", "args": {"a": "4111", "b": 4111, "c": {"d": '{"e": "4111"}'}}}})]
    out = list(gemini.wrap(sf.Redact("[0-9]{4}", to="#")).iter(events))
    assert calls(out) == [("f", {"a": "#", "b": 4111, "c": {"d": '{"e": "#"}'}})]


# ---------------------------------------------------------------------- ends, turns, errors, other formats


def test_a_stop_ends_the_candidate_and_keeps_the_count() -> None:
    """With the usage that came by then, and `SAFETY` where a rule has blocked it."""
    events = [chunk({"text": "one END two"}, usage=4), chunk({"text": "three"}, finishReason="MAX_TOKENS", usage=9)]
    out = list(gemini.wrap(sf.StopAt("END")).iter(events))
    assert texts(out) == {(0, False): "one "}
    assert [each["candidates"][0].get("finishReason") for each in out if "candidates" in each][-1] == "STOP"
    assert [each["usageMetadata"]["totalTokenCount"] for each in out if "usageMetadata" in each] == [4]
    out = list(gemini.wrap(sf.Block("END", action="stop", message="(cut)")).iter(events))
    assert texts(out) == {(0, False): "one (cut)"}
    assert [each["candidates"][0]["finishReason"] for each in out if "finishReason" in str(each)] == ["SAFETY"]


def test_several_responses_in_one_stream_do_not_mix() -> None:
    """An agent's turns, told apart by their ids: what one holds at its end leaves there."""
    events = [chunk({"text": "my sec"}), {**chunk({"text": "ret"}), "responseId": "s"}]
    out = list(gemini.wrap(GUARD).iter(events))
    assert [(each["responseId"], texts([each])[0, False]) for each in out] == [("r", "my "), ("r", "sec"), ("s", "ret")]


def test_a_prompt_that_was_blocked_is_an_end() -> None:
    """`promptFeedback` says why, in words that are filtered."""
    event: dict[str, Any] = {
        "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "a secret"},
        "usageMetadata": {"totalTokenCount": 1},
    }
    assert [item.reason for item in gemini.Decode().iter([event]) if isinstance(item, sf.Finish)] == ["SAFETY"]
    out: Any
    (out,) = gemini.wrap(GUARD).iter([event])
    assert out["promptFeedback"] == {"blockReason": "SAFETY", "blockReasonMessage": "a [x]"}


def test_an_error_in_mid_stream_comes_behind_the_text_before_it() -> None:
    """What was held leaves first, as no more can come; the provider's message is filtered too."""
    error = {"error": {"code": 503, "message": "a secret is overloaded", "status": "UNAVAILABLE"}}
    out = list(gemini.wrap(GUARD).iter([chunk({"text": "a sec"}), error]))
    assert texts(out) == {(0, False): "a sec"}
    assert out[-1] == {"error": {"code": 503, "message": "a [x] is overloaded", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "bad",
    [
        chunk({"text": ["secret"]}),
        chunk({"functionCall": {"partialArgs": "secret", "name": "f"}}),
        chunk({"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": ["secret"]}], "name": "f"}}),
        chunk({"functionCall": "secret"}),
        chunk({"functionCall": {"name": "f"}, "text": "secret"}),
        {"candidates": [{"content": {"parts": ["secret"]}}]},
        {"candidates": [{"content": {"parts": {"text": "secret"}}}]},
        {"candidates": [{"content": "secret"}]},
        {"candidates": [{"content": {"parts": [{"text": "a"}]}, "index": "secret"}]},
        {"candidates": ["secret"]},
        {"candidates": {"content": "secret"}},
    ],
    ids=str,
)
def test_shapes_that_could_hide_text_are_refused(bad: dict[str, Any]) -> None:
    """As an object and as bytes: text that stands where none is looked for would pass unseen."""
    with pytest.raises(TypeError):
        list(gemini.wrap(GUARD).iter([bad]))
    with pytest.raises(sf.MalformedInput):
        list(gemini.wrap(GUARD).iter([b"data: " + json.dumps(bad).encode() + b"\n\n"]))


def test_both_spellings_are_read() -> None:
    """Dicts of the API, and what objects of the SDK dump."""
    call = {"function_call": {"name": "f", "args": {"a": "secret"}}, "thought_signature": "AAAA"}
    event = {"candidates": [{"content": {"parts": [{"text": "a secret"}, call]}, "finish_reason": "STOP"}], "response_id": "r"}
    out: Any
    (out,) = gemini.wrap(GUARD).iter([event])
    assert parts([out]) == [{"text": "a [x]"}, {"function_call": {"name": "f", "args": {"a": "[x]"}}, "thought_signature": "AAAA"}]
    assert out["candidates"][0]["finish_reason"] == "STOP"


@pytest.mark.parametrize("target", [openai.chat, openai.responses, anthropic.messages])
def test_it_can_be_served_in_another_format_and_back(target: Any) -> None:
    """Text, thoughts, calls whole and in pieces, why it ended."""
    call = {"functionCall": {"name": "find", "args": {"a": [1, "é"]}, "id": "c1"}}
    events = [chunk({"text": "hm", "thought": True}), chunk({"text": "Hel"}), chunk({"text": "lo"}, call), *STREAMED]
    there = gemini.Decode() | GUARD | target.Encode(model="m")
    back = list((there | target.Decode() | gemini.Encode(model="m")).iter(events))
    assert texts(back) == {(0, True): "hm", (0, False): "Hello"}
    assert calls(back) == [("find", {"a": [1, "é"]}), ("send", {"to": "the [x] one", "tags": ["4111", True]})]
    assert "STOP" in [each["candidates"][0].get("finishReason") for each in back[-2:]]
    assert all(types.GenerateContentResponse.model_validate(each) for each in back)


def test_a_call_whose_arguments_are_cut_off_is_none() -> None:
    """Half of a JSON text is no argument, so no call leaves, and the reason says that it was malformed."""
    channel = sf.Channel("tool_arguments", (0, 0, "x"))
    items = [sf.ToolCall("c", "pay", channel, scope=channel), sf.TextDelta('{"sum": 10', channel), sf.Finish("stop", scope=(0, 0))]
    out: list[Any] = list(gemini.Encode().iter(items))
    assert parts(out) == []
    assert out[-1]["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"


def test_stages_that_wait_keep_all_parts() -> None:
    """Checks take random times: text by channel is as the whole, calls are complete, nothing comes twice."""
    rng = random.Random(3)
    call = {"functionCall": {"name": "f", "args": {"a": "One. Two the. Three."}}}
    events = [chunk({"text": "So the. "}, usage=1), chunk({"text": "Hm. The. ", "thought": True}, call, usage=2), *STREAMED]
    events = [*events[:-1], {**events[-1], "usageMetadata": {"totalTokenCount": 7}}]

    async def check(window: sf.Window) -> sf.Verdict:
        await asyncio.sleep(rng.random())
        return sf.Verdict.replace(window.text.upper())

    async def through() -> list[Any]:
        async def source() -> AsyncIterator[Any]:
            for event in events:
                await asyncio.sleep(rng.random() / 10)
                yield event

        async with gemini.wrap(sf.Moderate(check, concurrency=3))(source()) as stream:
            return [each async for each in stream]

    for _ in range(5):
        out = run_virtually(through())
        assert texts(out) == {key: text.upper() for key, text in texts(events).items()}
        assert [name for name, _ in calls(out)] == ["f", "send"]
        assert sorted(each["usageMetadata"]["totalTokenCount"] for each in out if "usageMetadata" in each) == [1, 2, 7]
        assert [c["finishReason"] for each in out for c in each.get("candidates") or () if "finishReason" in c] == ["STOP"]


# ---------------------------------------------------------------------- whole


def test_a_response_that_did_not_stream_is_filtered_whole() -> None:
    """As the same text would be in a stream, as a dictionary and as the SDK's object; the one that was given stays as it is."""
    call = {"functionCall": {"name": "f", "args": {"to": "secret"}}}
    response = chunk({"text": "hm secret", "thought": True}, {"text": "a sec"}, {"text": "ret"}, call, finishReason="STOP", usage=9)
    made = gemini.filter_response(GUARD, response)
    assert made == chunk(
        {"text": "hm [x]", "thought": True},
        {"text": "a [x]"},
        {"functionCall": {"name": "f", "args": {"to": "[x]"}}},
        finishReason="STOP",
        usage=9,
    )
    assert asyncio.run(gemini.afilter_response(GUARD, response)) == made
    assert gemini.filter_response(sf.Redact("\0"), response) is response
    given = types.GenerateContentResponse.model_validate(response)
    shown = gemini.filter_response(GUARD, given)
    assert isinstance(shown, types.GenerateContentResponse)
    assert shown.text == "a [x]"
    assert given.text == "a secret"
    stopped = gemini.filter_response(sf.StopAt("sec"), response)
    assert texts([stopped]) == {(0, True): "hm secret", (0, False): "a "}
    assert stopped["candidates"][0]["finishReason"] == "STOP"
    blocked = gemini.filter_response(sf.Block("secret", action="stop", message="(cut)").on("answer"), response)
    assert (texts([blocked])[0, False], blocked["candidates"][0]["finishReason"]) == ("a (cut)", "SAFETY")
    with pytest.raises(sf.Blocked):
        gemini.filter_response(sf.Block("secret"), response)


def test_requests_are_filtered() -> None:
    """Contents, instructions, and what functions have answered, in dicts and objects."""
    contents = [{"role": "user", "parts": [{"text": "a secret"}, {"inlineData": {"mimeType": "image/png", "data": "c2VjcmV0"}}]}]
    file = {"inlineData": {"mimeType": "text/plain", "data": "c2VjcmV0"}}  # "secret": a file of text is text
    (text_file,) = gemini.filter_request(GUARD, [{"role": "user", "parts": [file]}])
    assert text_file == {"role": "user", "parts": [{"inlineData": {"mimeType": "text/plain", "data": "W3hd"}}]}
    made = gemini.filter_request(
        GUARD, {"model": "gemini-secret", "contents": contents, "config": {"system_instruction": "secret"}}
    )
    assert made["contents"][0]["parts"] == [{"text": "a [x]"}, contents[0]["parts"][1]]  # type: ignore[index]
    assert (made["model"], made["config"]) == ("gemini-secret", {"system_instruction": "[x]"})
    response = types.Part.from_function_response(name="f", response={"result": "a secret"})
    (shown,) = gemini.filter_request(GUARD, [types.Content(role="user", parts=[response])])
    assert shown.model_dump(exclude_none=True)["parts"][0]["function_response"]["response"] == {"result": "a [x]"}


@pytest.mark.parametrize("seed", range(40))
def test_arguments_in_any_pieces_are_filtered_as_their_whole_strings(seed: int) -> None:
    """Random documents in random pieces, several in a part, several parts in a chunk, two calls."""
    rng = random.Random(seed)
    redact = sf.Redact('ab+c?|[0-9]{2}|"', to=rng.choice(["", "[x]", '\\"']))

    def value(depth: int) -> Any:
        kind = rng.randrange(6 if depth else 4)
        if kind < 3:
            return "".join(rng.choices('ab"\\1c\n', k=rng.randint(0, 6)))
        if kind == 3:
            return rng.choice([12, True, 1.5])
        items = range(rng.randint(1, 3))
        return [value(depth - 1) for _ in items] if kind == 4 else {f"k{n}": value(depth - 1) for n in items}

    made: list[dict[str, Any]] = []
    for name in ("f", "g"):
        made.append({"functionCall": {"name": name, "willContinue": True}})
        for path, leaf in leaves({f"r{n}": value(2) for n in range(rng.randint(0, 3))}):
            cuts = sorted({0, len(leaf), *rng.choices(range(len(leaf) + 1), k=2)}) if isinstance(leaf, str) else []
            spelled = [leaf[a:b] for a, b in itertools.pairwise(cuts)] or [leaf]
            said = [piece(f"$.{path}", each, more=n < len(spelled) - 1) for n, each in enumerate(spelled)]
            made += said if not isinstance(leaf, str) or rng.random() < 0.5 else [*said[:-1], piece(f"$.{path}", spelled[-1])]
            if made[-1] not in said:
                made.append(piece(f"$.{path}", more=False))
        made.append({"functionCall": {}})
    events = []
    while made:
        size = rng.randint(1, 3)
        events.append(chunk(*made[:size], usage=len(made)))
        made = made[size:]
    assert list(gemini.wrap(sf.Redact("\0")).iter(events)) == events
    want = [(name, mapped_values(said, redact.apply)) for name, said in calls(events)]
    out = list(gemini.wrap(redact).iter(events))
    assert calls(out) == want
    assert [types.GenerateContentResponse.model_validate(each) for each in out]


def mapped_values(said: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    return {path: change(each) if isinstance(each, str) else each for path, each in said.items()}


@pytest.mark.parametrize("seed", range(40))
def test_any_mixture_is_filtered_as_its_whole_texts(seed: int) -> None:
    """Random parts of two candidates in random chunks."""
    rng = random.Random(seed)
    redact = sf.Redact("ab+c?", to=rng.choice(["", "[x]"]))
    events: list[Any] = []
    for n in range(rng.randint(1, 8)):
        candidates = []
        for index in rng.sample([0, 1], rng.randint(1, 2)):
            made: list[dict[str, Any]] = []
            for _ in range(rng.randint(0, 4)):
                text = "".join(rng.choices("abcx", k=rng.randint(0, 4)))
                kind = rng.randrange(5)
                if kind < 3:
                    made.append({"text": text, **({"thought": True} if kind == 2 else {})})
                elif kind == 3:
                    made.append({"functionCall": {"name": "f", "args": {"n": n, text: [text, {"k": text}]}}})
                else:
                    made.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": text}})
            candidates.append({"content": {"parts": made, "role": "model"}, "index": index})
        events.append({"candidates": candidates, "usageMetadata": {"totalTokenCount": n}})
    out: list[Any] = list(gemini.wrap(redact).iter(events))
    want = {key: redact.apply(text) for key, text in texts(events).items()}
    assert texts(out) == {key: text for key, text in want.items() if text}
    want_calls = [(name, filtered(said, redact.apply)) for name, said in calls(events)]
    assert sorted(map(str, calls(out))) == sorted(map(str, want_calls))
    assert [each["usageMetadata"]["totalTokenCount"] for each in out if "usageMetadata" in each] == list(range(len(events)))
    assert sum("codeExecutionResult" in part for part in parts(out)) == sum("codeExecutionResult" in part for part in parts(events))
    assert list(gemini.wrap(sf.Redact("\0")).iter(events)) == events
    assert all(itertools.chain([True], (types.GenerateContentResponse.model_validate(each) for each in out)))
