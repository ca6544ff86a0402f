"""Citations are taken out of the text and given as events, exactly where they stood."""

from __future__ import annotations

import copy
import pickle
import random
import re
from collections.abc import Iterable
from typing import Any

import pytest
from recordings import body, shared

import streamfilter as sf
from streamfilter.matching import find_all
from streamfilter.providers.openai import chat
from streamfilter.testing import cut, promptness

C = sf.Citations
CITES = r"<cite((?:\s[^<>]{0,300})?)>((?:(?!</cite>)[\s\S]){0,600})</cite>"
KINDS = re.compile(
    rf"{CITES}|【([^【】\n]{{1,200}})】|\[\^([^\]\[\s]{{1,100}})\](?![:(])|\[(\d{{1,3}}(?:(?:, ?| ?[-–] ?)\d{{1,3}}){{0,20}})\](?!\()"
)
"""All kinds of markers, for the standard library."""


def cited(stage: sf.Stage[str, str], pieces: Iterable[sf.Item]) -> list[sf.Item]:
    """What a stage gives: text and events."""
    return list(stage.iter(pieces))


TEXTS: list[tuple[str, str, list[tuple[str, tuple[str, ...]]]]] = [
    ("It rains[1].", "It rains.", [("number", ("1",))]),
    ("So [2, 5-7][12] it is", "So  it is", [("number", ("2, 5-7",)), ("number", ("12",))]),
    ("In [2024] and [1](https://x.org) and row[-1], []", "In [2024] and [1](https://x.org) and row[-1], []", []),
    ("Yes.[^note] No.\n[^note]: why", "Yes. No.\n[^note]: why", [("note", ("note",))]),
    ("As said【4:0†source】, so", "As said, so", [("source", ("4:0†source",))]),
    ('<cite id="2">It <b>is</b>.</cite> ok', " ok", [("cite", (' id="2"', "It <b>is</b>."))]),
    ("a [1", "a [1", []),
    ("a [[1]] <cite>b [2]", "a [] <cite>b ", [("number", ("1",)), ("number", ("2",))]),
    ("\ud800[1]\0[2]", "\ud800\0", [("number", ("1",)), ("number", ("2",))]),
    ("", "", []),
]


@pytest.mark.parametrize(("text", "left", "found"), TEXTS)
def test_the_usual_markers(text: str, left: str, found: list[tuple[str, tuple[str, ...]]]) -> None:
    """Each is found whole, whatever the cuts, with its groups and its place in the text that came and in the text that leaves."""
    rng = random.Random(1)
    for pieces in ([text], list(text), *(cut(text, *rng.sample(range(60), 5)) for _ in range(9))):
        items = cited(C(), pieces)
        assert "".join(item for item in items if isinstance(item, str)) == left
        citations = [item for item in items if isinstance(item, sf.Citation)]
        assert [(each.rule, each.groups) for each in citations] == found
        taken = 0
        for each in citations:
            assert text[each.start : each.end] == each.text
            before = "".join(item for item in items[: items.index(each)] if isinstance(item, str))
            assert len(before) == each.start - taken
            taken += len(each.text)


@pytest.mark.parametrize("text", ["a[1]b", "[12,3](x", "<cite>a</cite>", "[^a]: b", "【a】【"])
def test_markers_are_withheld_no_longer_than_until_they_are_decided(text: str) -> None:
    """Text leaves at once where no marker can be open, and nothing of a marker ever does."""
    promptness(C(), text, lambda text: KINDS.sub("", text), "1](<", 2, exact=False)
    machine = C().machine()
    assert machine.feed("It rains [") == ["It rains "]
    assert [type(item) for item in machine.feed("1] x")] == [sf.Citation, str]


def test_patterns_and_rules() -> None:
    """A rule's name and groups are the event's; a bare pattern has none to give but "citation"; the first that matches wins."""
    stage = C(sf.Rule("doc", r"\{(?P<file>\w+)(?:#(?P<page>\d+))?\}"), r"\{\}")
    a, b = (item for item in cited(stage, ["x {re", "port#3} {}"]) if isinstance(item, sf.Citation))
    assert (a.rule, a.named, a.groups) == ("doc", {"file": "report", "page": "3"}, ("report", "3"))
    assert (b.rule, b.text, b.groups, b.named) == ("citation", "{}", (), {})
    checked = C(sf.Rule("even", r"\[(\d+)\]", check=lambda text: int(text[1:-1]) % 2 == 0))
    assert checked.apply("[1][2]") == "[1]"


def test_random_texts_are_cited_as_the_reference_says() -> None:
    """On texts made of parts of markers, what is found and what is left are those of the whole text, and of the standard library."""
    rng = random.Random(2)
    parts = ["[", "]", "1", "12", ", ", "-", "^", "n", "(", "【", "】", "<cite", ">", "</cite>", " a", "\n", "<"]
    for _ in range(400):
        text = "".join(rng.choices(parts, k=rng.randint(0, 24)))
        items = cited(C(), cut(text, *rng.sample(range(60), 6)))
        assert "".join(item for item in items if isinstance(item, str)) == KINDS.sub("", text)
        want = [match.span() for match in find_all([C.TAGS, C.SOURCES, C.NOTES, C.NUMBERS], text)]
        assert [(item.start, item.end) for item in items if isinstance(item, sf.Citation)] == want
        assert want == [match.span() for match in KINDS.finditer(text)]


def test_kept_markers_stay_behind_their_events() -> None:
    """With `keep=True` nothing is taken out."""
    assert C(keep=True).apply("a [1] b") == "a [1] b"
    items = cited(C(keep=True), ["a [", "1] b"])
    assert [item.text if isinstance(item, sf.Citation) else item for item in items] == ["a ", "[1]", "[1]", " b"]


def test_overflow() -> None:
    """A marker that is open for too long is text, or nothing, or an error."""
    long = "a <cite>" + "b" * 50 + "</cite> c"
    assert C(max_hold=20).apply(long) == long
    assert C(max_hold=20, overflow="redact").apply(long) == "a  c"
    with pytest.raises(sf.LimitExceeded):
        C(max_hold=20, overflow="raise").apply(long)


def test_events_keep_their_channel_and_their_order() -> None:
    """A citation stands in its channel; an event inside a marker comes behind it; other channels are not touched."""
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("reasoning", (0, 0))
    inside = sf.Raw("x", scope=one)
    items: list[sf.Item] = [
        sf.TextDelta("a [", one),
        inside,
        sf.TextDelta("[1] hm", two),
        sf.TextDelta("1] b", one),
    ]
    out = list(C().iter(items))
    assert out == [
        sf.TextDelta("a ", one),
        sf.TextDelta("[1] hm", two),
        sf.Citation("[1]", "number", ("1",), {}, 2, 5, scope=one),
        inside,
        sf.TextDelta(" b", one),
    ]
    shouted = list((C() | sf.MapText(str.upper)).iter(items))
    assert [type(item) for item in shouted] == [type(item) for item in out]


def test_a_citation_waits_for_text_before_it() -> None:
    """A stage behind that holds text holds the citation in its place."""
    items = cited(C() | sf.Redact("ab"), ["xa[1]", "b"])
    assert [item.text if isinstance(item, sf.Citation) else item for item in items] == ["x", "[redacted]", "[1]"]


def test_wrapped_chunks_have_the_text_and_not_the_events() -> None:
    """`wrap` gives each chunk once, without the markers: its format has no place for the events."""
    texts = ["foo [1] bar", " baz[", "2]", "[3] x"]
    source: list[dict[str, Any]] = [{"id": "1", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    source[-1]["usage"] = {"total_tokens": 3}
    out = list(chat.wrap(C()).iter(copy.deepcopy(source)))
    assert [each["choices"][0]["delta"]["content"] for each in out] == ["foo  bar", " baz", " x"]
    assert [each.get("usage") for each in out] == [None, None, {"total_tokens": 3}]
    cited = [item.text for item in (chat.Decode() | C()).iter(source) if isinstance(item, sf.Citation)]
    assert cited == ["[1]", "[2]", "[3]"]


def test_wrong_patterns_are_refused() -> None:
    """A marker has characters, and rules have different names."""
    with pytest.raises(ValueError, match="matches the empty text"):
        C("a*")
    with pytest.raises(ValueError, match="two different rules are named 'n'"):
        C(sf.Rule("n", "a"), sf.Rule("n", "b"))
    assert C(r"x|(?=y)").apply("axy") == "ay"  # and where one matches nothing at a place, there is no event


def test_a_citation_is_a_value() -> None:
    """Events are compared and pickled."""
    (event,) = cited(C(), ["[7]"])
    assert pickle.loads(pickle.dumps(event)) == event


RECORDED = shared("openai.chat")


@pytest.mark.skipif(not RECORDED, reason="the shared recordings are not beside this checkout")
def test_recorded_streams() -> None:
    """On every recorded answer, text and citations are those of the whole text."""
    for entry in RECORDED:
        items = list(chat.Decode().iter([body(entry)]))
        for channel in {item.channel for item in items if isinstance(item, sf.TextDelta) and item.channel.kind == "answer"}:
            pieces = [item.text for item in items if isinstance(item, sf.TextDelta) and item.channel == channel]
            text = "".join(pieces)
            out = cited(C(), pieces)
            assert "".join(item for item in out if isinstance(item, str)) == KINDS.sub("", text)
            assert [item.text for item in out if isinstance(item, sf.Citation)] == [match[0] for match in KINDS.finditer(text)]
