"""The strategies draw what they say: hits that are hits, documents that are valid, bytes that mean what stands beside them."""

from __future__ import annotations

import inspect
import json
import re
from importlib import import_module
from typing import Any, Literal

import httpx2
import httpx_sse
import pytest
import regex
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from pydantic import BaseModel, Field, TypeAdapter

import streamfilter as sf
from streamfilter import detectors
from streamfilter.matching import find_all
from streamfilter.testing import Mark, Script, Sleep, run_virtually
from streamfilter.testing.strategies import (
    FAULTS,
    PROVIDERS,
    EventStream,
    ProviderStream,
    chunkings,
    faults,
    hits,
    json_documents,
    json_values,
    near_misses,
    provider_streams,
    sse_bytes,
    streams,
    texts_for,
)

FEW = settings(max_examples=40, suppress_health_check=list(HealthCheck))


def drawn(strategy: st.SearchStrategy[Any], many: int = 40) -> list[Any]:
    """Some values, always the same."""
    out: list[Any] = []

    @settings(FEW, max_examples=many, database=None)
    @given(strategy)
    def take(value: Any) -> None:
        out.append(value)

    take()
    return out


# ------------------------------------------------------------------ cuts and texts


@given(st.data(), st.text("ab\n", max_size=20))
def test_a_cut_text_is_the_text(data: st.DataObject, text: str) -> None:
    """For text and for bytes; no piece is empty, but that of the empty text."""
    pieces = data.draw(chunkings(text))
    raw = data.draw(chunkings(text.encode()))
    assert ("".join(pieces), b"".join(raw)) == (text, text.encode())
    assert not text or (all(pieces) and all(raw))


PATTERNS = [
    r"a+b?", r"\bORD-\d{3,}\b", r"(?i)key=[a-f0-9]{4}", r"(a|b)\1", r"(?<=x)y+", r"b+(?= )", r"^start", r"end$", r"(?m)^#.*$",
    r"[^\W\d]{2}", r"\p{Greek}+", r"(?P<q>['\"])[^'\"]*(?P=q)", r"\x41\u00e9", r"(?x) a \s b # comment", r"a(?!b)", r"\R\X", r"(?:ab|cd){2,3}?",
    r"(a|b)c(?1)", r"(?s)<.>", r"[a-f]x", r"(a)?(?(1)b|c)", r"\N{EURO SIGN}", r"(?=[a-z]{3})\w+",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_hits_of_a_pattern_match_it(pattern: str) -> None:
    """As `regex.search` says, for every construct of the syntax; and near misses sometimes do not."""
    texts = drawn(hits(pattern))
    assert len(texts) >= 1
    assert all(regex.search(pattern, text) for text in texts)
    assert all(isinstance(text, str) for text in drawn(near_misses(pattern)))


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
CATALOGUE = [*detectors.PII, *detectors.SECRETS]


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda rule: rule.name)
def test_rules_of_the_catalogue_are_hit_and_missed(rule: sf.Rule) -> None:
    """Checksums included: hits are found by the rule on the whole text, and both kinds of texts come."""
    examples = [JWT] if rule.name == "jwt" else []  # its check decodes it
    texts = drawn(hits(rule, *examples), 15)
    assert all(any(True for _ in find_all([rule], text)) for text in texts)
    mixed = [any(True for _ in find_all([rule], text)) for text in drawn(texts_for(rule, examples=examples), 40)]
    assert 3 < sum(mixed) < len(mixed)


def luhn(text: str) -> bool:
    """Written down here once more: doubled from the right, every second one."""
    digits = [int(char) for char in text if char.isdigit()][::-1]
    return sum(digits[::2]) % 10 == sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) * 9 % 10


def test_checks_are_passed_and_almost_passed() -> None:
    """Digits with which the checksum agrees, and the same with one digit wrong."""
    rule = sf.Rule("card", r"\b\d{4} \d{4} \d{4} \d{4}\b", check=luhn)
    assert all(luhn(regex.findall(r"[\d ]{19}", text)[0]) for text in drawn(hits(rule), 15))
    wrong = find(near_misses(rule), lambda text: bool(regex.fullmatch(r"\d{4} \d{4} \d{4} \d{4}", text)) and not luhn(text))
    assert len(wrong) == 19


TERMS = [
    sf.Terms(["secret", "pass word"]),
    sf.Terms(["Straße"], ignore_case=False),
    sf.Terms(["secret"], fold="nfkc"),
    sf.Terms(["a.b"], whole_words=False),
]


@pytest.mark.parametrize("terms", TERMS, ids=repr)
def test_terms_are_hit_in_their_forms(terms: sf.Terms) -> None:
    """In other cases and forms, where the terms look through these; and missed by a letter."""
    texts = drawn(hits(terms))
    assert all(any(True for _ in find_all([terms], text)) for text in texts)
    if terms.ignore_case:
        assert find(hits(terms), lambda text: text != text.lower())
    if terms.fold:
        assert find(hits(terms), lambda text: "\u200b" in text)
        assert find(hits(terms), lambda text: any(char > "\uff00" for char in text))
    find(near_misses(terms), lambda text: text and not any(True for _ in find_all([terms], text)))
    with pytest.raises(ValueError, match=r"does not match the examples \[1\]"):
        hits(terms, texts[0], "nothing")


def test_texts_of_several_rules_have_all_of_them() -> None:
    """Any of them may come, in one text too."""
    texts = texts_for(r"\d{3}", "abc")
    assert find(texts, lambda text: bool(re.search(r"\d{3}", text)) and "abc" in text)
    with pytest.raises(TypeError, match="needs a rule"):
        texts_for()
    with pytest.raises(Unsatisfiable):
        find(hits(sf.Rule("never", "!", check=lambda _: False)), lambda _: True, settings=FEW)


# ------------------------------------------------------------------ streams and faults


@settings(FEW)
@given(streams(st.text("ab", max_size=6), errors=[OSError("gone")]))
def test_a_stream_gives_what_it_says(script: Script) -> None:
    """Through its source, in its time, in its order; and as often as wanted."""

    async def read() -> tuple[list[Any], float, BaseException | None]:
        import asyncio

        source, got, error = script.source(), [], None
        try:
            async for item in source:
                got.append(item)  # noqa: PERF401  # what came before an exception counts
        except OSError as raised:
            error = raised
        return got, asyncio.get_running_loop().time(), error

    for _ in range(2):
        got, seconds, error = run_virtually(read())
        assert got == script.items
        assert seconds == pytest.approx(script.seconds)
        assert error is script.error
    assert all(isinstance(item, str | Mark) for item in script.items)


def test_streams_have_delays_events_and_errors() -> None:
    """Each can be found; events may be one's own, and are drawn anew."""
    assert find(streams("ab"), lambda script: any(isinstance(step, Sleep) for step in script.steps))
    own = streams("ab", events=[sf.Finish("stop"), st.builds(Mark, name=st.integers(5, 9))])
    assert find(own, lambda script: any(isinstance(item, sf.Finish) for item in script.items)).items == [
        "a",
        sf.Finish("stop"),
        "b",
    ]
    assert find(own, lambda script: Mark(name=7) in script.items)
    assert find(streams("ab", errors=[ValueError("x")]), lambda script: script.error is not None)
    assert all(script.error is None for script in drawn(streams("ab", delays=())))


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_what_it_says(kind: str) -> None:
    """What came before it is untouched."""
    items = ["one ", "two ", "three"]
    for script in drawn(faults(items, [kind]), 20):
        got = script.items
        assert script.fault == kind
        assert isinstance(script.error, ConnectionError) == (kind in ("dropped", "torn"))
        if kind == "stalled":
            assert (got, script.seconds) == (items, 3600)
        elif kind == "duplicated":
            assert len(got) == 4
            assert any(got[:n] + got[n + 1 :] == items and got[n] == got[n - 1] for n in range(1, 4))
        else:
            assert "".join(items).startswith("".join(got))
            assert len(got) < 3 or kind == "torn"
    with pytest.raises(ValueError, match="some of dropped, stalled"):
        drawn(faults(items, ["slow"]), 1)


def test_faults_of_bytes_and_of_nothing() -> None:
    """Bytes are torn as text is; of an empty stream only the connection can break."""
    torn = find(faults([b"data: 1\n\n"], ["torn"]), lambda script: bool(script.items))
    assert torn.items == [b"data"]
    assert {script.fault for script in drawn(faults([]), 5)} == {"dropped"}


# ------------------------------------------------------------------ JSON


class Person(BaseModel):
    """Nested, optional, constrained and recursive."""

    name: str = Field(min_length=1, max_length=9)
    age: int = Field(ge=0, lt=150)
    kind: Literal["a", "b"] = "a"
    tags: list[str] = Field(default=[], max_length=2)
    friend: Person | None = None
    scores: dict[str, float] = {}
    pair: tuple[int, str] = (1, "x")
    even: int = Field(default=0, multiple_of=2)
    code: str = Field(default="AB-1", pattern=r"^[A-Z]{2}-\d$")


@settings(FEW)
@given(json_documents(Person))
def test_documents_of_a_model_are_valid(text: str) -> None:
    """As pydantic says, however they are written."""
    Person.model_validate_json(text)


@settings(FEW)
@given(json_documents(Person, ascii_only=True))
def test_documents_can_be_ascii(text: str) -> None:
    """Then all else is escaped."""
    assert text.isascii()
    json.loads(text)


def test_documents_are_written_in_many_ways() -> None:
    """Compact, indented, with escapes that need not be, with keys in another order, and pairs of surrogates."""
    documents = json_documents(
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]}
    )
    texts = drawn(documents, 200)
    for wanted in (r'\{"a":"', r'\{\n  "a": "', r"\\u00[0-9a-f]{2}", r'^\{\s*"b"', r"\t \r\n"):
        assert any(re.search(wanted, text) for text in texts)


@pytest.mark.parametrize("schema", [list[int], dict[str, bool], int | None, str, tuple[int, ...], Literal[1, "x"], bool, float])
def test_documents_of_types_are_valid(schema: Any) -> None:
    """Whatever pydantic writes a schema for."""
    for text in drawn(json_documents(schema), 15):
        TypeAdapter(schema).validate_json(text)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "object", "patternProperties": {}}, r"#: patternProperties is not supported for object"),
        ({"type": "array", "items": {"type": "array", "uniqueItems": True}}, r"#/items: uniqueItems is not supported for array"),
        ({"type": "string", "format": "regex"}, r"#: format 'regex' is not supported: one of date"),
        ({"not": {}}, r"#: type None is not supported"),
        ({"allOf": [{}, {}]}, r"#/allOf: several schemas that all hold"),
        ({"$ref": "other.json"}, r"\$ref 'other.json' is not in the document"),
        ({"$ref": "#/$defs/A"}, r"leads nowhere"),
        ({"anyOf": [{}], "minLength": 1}, r"minLength beside anyOf"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, r"no integer is allowed"),
        ({"type": "date"}, r"type 'date' is not supported: one of object"),
        (False, r"#: False allows no document"),
    ],
)
def test_what_a_schema_says_beyond_that_is_refused(schema: Any, message: str) -> None:
    """By name and place, before anything is drawn."""
    with pytest.raises(ValueError, match=message):
        json_values(schema)


# ------------------------------------------------------------------ the wire


def read_by_httpx_sse(raw: bytes) -> list[tuple[str, str]]:
    """Another reader of event streams."""
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)
    return [(event.event, event.data) for event in httpx_sse.EventSource(response).iter_sse()]  # type: ignore[arg-type]  # it wants httpx


def read_by_the_standard(raw: bytes) -> tuple[tuple[str, str], ...]:
    """The algorithm of the WHATWG standard, section 9.2.6, on a whole text, line by line."""
    text = raw.decode("utf-8-sig")
    kind = ""
    data: list[str] = []
    out: list[tuple[str, str]] = []
    for line in re.split(r"\r\n|\r|\n", text):
        if not line:
            if data:
                out.append((kind or "message", "\n".join(data)))
            kind, data = "", []
            continue
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name and colon:
            continue
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
    return tuple(out)


@given(sse_bytes())
def test_event_streams_mean_what_stands_beside_them(stream: EventStream) -> None:
    """By the standard's algorithm, written down once; and this library's decoder agrees, byte by byte."""
    from streamfilter.providers import sse

    assert read_by_the_standard(stream.raw) == stream.events
    decoder = sse.Decoder()
    frames = [frame for at in range(len(stream.raw)) for frame in decoder.feed(stream.raw[at : at + 1])] + list(decoder.finish())
    assert [(frame.event or "message", frame.data) for frame in frames if frame.data is not None] == list(stream.events)


@settings(FEW)
@given(
    provider_streams(
        texts=st.text("ab é\n", max_size=8),
        reasoning=st.text("cd", max_size=4),
        arguments=json_documents({"type": "object", "properties": {"a": {"type": "string"}}}),
    )
)
def test_streams_of_providers_say_what_stands_beside_them(stream: ProviderStream) -> None:
    """The format is told by the first chunk; as dicts and as bytes in halves it says text, thoughts and arguments."""
    half = len(stream.raw) // 2
    decode = import_module(f"streamfilter.providers.{stream.name}").Decode()
    for items in (list(decode.iter(stream.chunks)), list(decode.iter([stream.raw[:half], stream.raw[half:]]))):
        said = {"answer": "", "reasoning": "", "tool_arguments": ""}
        for item in items:
            if isinstance(item, sf.TextDelta):
                said[item.channel.kind] += item.text
        assert said["answer"] == stream.text
        assert said["reasoning"] == stream.reasoning
        if stream.arguments is not None:
            assert json.loads(said["tool_arguments"]) == json.loads(stream.arguments)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_format_that_can_be_written_is_drawn(name: str) -> None:
    """And passes an empty pipeline as it came."""
    stream = find(provider_streams(name, st.just("Hello")), lambda stream: len(stream.chunks) > 2)
    assert stream.name == name
    assert b"".join(sf.wrap(sf.Pipeline()).iter([stream.raw])) == stream.raw
    with pytest.raises(ValueError, match=r"one of openai\.chat"):
        find(provider_streams("nobody"), lambda _: True)


def test_every_format_with_an_encoder_is_in_the_list() -> None:
    """What is added there is drawn here."""
    from streamfilter.providers import detecting

    able = {
        name for name in detecting._SIGNS if "class Encode(" in inspect.getsource(import_module(f"streamfilter.providers.{name}"))
    }
    assert able - {"bedrock"} == set(PROVIDERS) - {"bedrock"}  # whose encoder stands in a module of its own
