"""`Extract`: what stands between tags goes where it was told to, however the text is cut, and nothing else is changed."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from laws_extract import LAWFUL3, Q, S, Shown, T, U, sections, shown
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.markup import code_lines
from streamfilter.markup.code_lines import CodeMap
from streamfilter.providers.openai import chat
from streamfilter.testing import check_stage, promptness, ways
from streamfilter.testing.laws import released
from streamfilter.testing.sources import Mark

BESIDE = sf.Channel("reasoning")


@dataclass(slots=True)
class Thought(sf.Event):
    """One section."""

    text: str


def told(items: Sequence[Any]) -> list[tuple[str, str]]:
    """What came out: text of the answer ("out"), of the reasoning or an event ("in"); neighbours joined."""
    out: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, sf.End):
            out.append(("end", str(item.error)))
            continue
        kind, text = ("out", item) if isinstance(item, str) else ("in", item.text)
        if out and out[-1][0] == kind and not isinstance(item, Thought):
            text = out.pop()[1] + text
        out.append((kind, text))
    return [piece for piece in out if piece[1]]


def joined(pieces: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours joined, without what is empty."""
    out: list[tuple[str, str]] = []
    for kind, text in pieces:
        if text:
            out.append((kind, out.pop()[1] + text) if out and out[-1][0] == kind else (kind, text))
    return out


THINK = sf.Extract("think")
CASES: list[tuple[sf.Extract, str, list[tuple[str, str]]]] = [
    (THINK, "<think>a</think>b", [("in", "a"), ("out", "b")]),
    (THINK, "x<think>a</think>y<think>b</think>z", [("out", "x"), ("in", "a"), ("out", "y"), ("in", "b"), ("out", "z")]),
    (THINK, "a < b, <thin k>, </think>, <THINK>", [("out", "a < b, <thin k>, </think>, <THINK>")]),
    (THINK, "<think>a</thin> </think", [("in", "a</thin> </think")]),
    (THINK, "<think>a<think>b</think>c</think>", [("in", "a<think>b"), ("out", "c</think>")]),
    (THINK, "<think></think>", []),
    (THINK, "a<thin", [("out", "a<thin")]),
    (sf.Extract("think", nested=True), "<think>a<think>b</think>c</think>d", [("in", "a<think>b</think>c"), ("out", "d")]),
    (sf.Extract("think", many=False), "<think>a</think><think>b</think>", [("in", "a"), ("out", "<think>b</think>")]),
    (sf.Extract("think", strip=True), "<think>a</think>\n\n b ", [("in", "a"), ("out", "b ")]),
    (sf.Extract("think", ignore_case=True), "<Think>a</THINK>b", [("in", "a"), ("out", "b")]),
    (
        sf.Extract("think", "thinking"),
        "<thinking>a</think></thinking>b<think>c</think>",
        [("in", "a</think>"), ("out", "b"), ("in", "c")],
    ),
    (sf.Extract(("◁think▷", "◁/think▷")), "◁think▷a◁/think▷b", [("in", "a"), ("out", "b")]),
    (
        sf.Extract(("<|begin_of_thought|>", "<|end_of_thought|>")),
        "<|begin_of_thought|>a<|end_of_thought|>b",
        [("in", "a"), ("out", "b")],
    ),
    (sf.Extract(("$$", "$$"), ("$", "$")), "a $x$ b $$y$z$$$", [("out", "a "), ("in", "x"), ("out", " b "), ("in", "y$z")]),
    (sf.Extract("think", attributes=True), '<think effort="high" n=1>a</think >b<thinks>', [("in", "a"), ("out", "b<thinks>")]),
    (sf.Extract("think"), '<think effort="high">a</think>', [("out", '<think effort="high">a</think>')]),
    (sf.Extract("think", attributes=True), f"<think {'a' * 255}>b", [("in", "b")]),
    (sf.Extract("think", attributes=True), f"<think {'a' * 256}>b", [("out", f"<think {'a' * 256}>b")]),
    # where the text begins
    (sf.Extract("think", begins="inside"), "a</think>b<think>c</think>", [("in", "a"), ("out", "b"), ("in", "c")]),
    (sf.Extract("think", begins="inside"), "<think>a</think>b</think>", [("in", "a"), ("out", "b</think>")]),
    (sf.Extract("think", begins="inside"), "a<think>b</think>c", [("in", "a<think>b"), ("out", "c")]),
    (sf.Extract("think", "thought", begins="inside"), "a</thought>b", [("in", "a"), ("out", "b")]),
    (sf.Extract("think", begins="inside"), "abc", [("in", "abc")]),
    (sf.Extract("think", begins="inside", unclosed="keep"), "abc", [("out", "abc")]),
    (sf.Extract("think", begins="either"), "a</think>b", [("in", "a"), ("out", "b")]),
    (sf.Extract("think", begins="either"), "a<think>b</think>c</think>", [("out", "a"), ("in", "b"), ("out", "c</think>")]),
    (sf.Extract("think", begins="either"), "abc", [("out", "abc")]),
    # where it ends
    (sf.Extract("think", unclosed="keep"), "a<think>b", [("out", "a<think>b")]),
    (
        sf.Extract("think", unclosed="keep"),
        "a<think>b<think>c</think>d<think>e",
        [("out", "a"), ("in", "b<think>c"), ("out", "d<think>e")],
    ),
    (sf.Extract("t", "u", unclosed="keep"), "<t>a<u>b</u>c<t>d", [("out", "<t>a"), ("in", "b"), ("out", "c<t>d")]),
    # code
    (
        sf.Extract("t", code=True),
        "`<t>` <t>a</t>\n```\n<t>\n```\n<t>b",
        [("out", "`<t>` "), ("in", "a"), ("out", "\n```\n<t>\n```\n"), ("in", "b")],
    ),
    (sf.Extract("t", code=True), "a ` <t>b", [("out", "a ` "), ("in", "b")]),
    (sf.Extract("t", code=True), "<t>a `</t>` b</t>c", [("in", "a `</t>` b"), ("out", "c")]),
    (sf.Extract("t", code=True), "~~~\n<t>", [("out", "~~~\n<t>")]),
    (sf.Extract("t"), "`<t>`</t>", [("out", "`"), ("in", "`")]),
    # events
    (sf.Extract("t", to=Thought), "a<t>b</t>c<t>d</t><t>e", [("out", "a"), ("in", "b"), ("out", "c"), ("in", "d"), ("in", "e")]),
    (sf.Extract("t", to=Thought, unclosed="keep"), "a<t>b</t>c<t>d", [("out", "a"), ("in", "b"), ("out", "c<t>d")]),
    # limits
    (sf.Extract(Q, to=Thought, max_chars=3), "[abcdefgh]i", [("in", "abc"), ("in", "def"), ("in", "gh"), ("out", "i")]),
    (sf.Extract(Q, to=Thought, max_chars=3), "[abcdef]g", [("in", "abc"), ("in", "def"), ("out", "g")]),
    (sf.Extract(Q, unclosed="keep", max_chars=3), "[ab]c[abcd", [("in", "ab"), ("out", "c"), ("in", "abcd")]),
    (sf.Extract(Q, unclosed="keep", max_chars=3, overflow="keep"), "[abcd][e]", [("out", "[abcd]"), ("in", "e")]),
    (sf.Extract(Q, begins="either", max_chars=3), "abcd]e", [("in", "abcd"), ("out", "e")]),
    (sf.Extract(Q, begins="either", max_chars=3, overflow="keep"), "abcd]e", [("out", "abcd]e")]),
    (
        sf.Extract(Q, unclosed="keep", max_chars=3, overflow="raise"),
        "a[bcde",
        [("out", "a"), ("end", "max_chars of 3 exceeded: a section at character 1 of the answer")],
    ),
]


@pytest.mark.parametrize(("stage", "text", "want"), CASES, ids=[f"{n}" for n in range(len(CASES))])
def test_sections_go_where_they_were_told_to(stage: sf.Extract, text: str, want: list[tuple[str, str]]) -> None:
    """Case by case, however the text is cut."""
    for pieces in ways(text):
        fed, rest = released(stage, pieces)
        got = told(fed + rest)
        assert (got if not isinstance(stage.to, str) else joined(got)) == want, pieces


BAD: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    ((), {}, "tags"),
    (("",), {}, "at least 1 character"),
    ((("", "a"),), {}, "a marker is empty"),
    ((("a", ""),), {}, "a marker is empty"),
    (("<think>",), {}, "by its name"),
    (("t", "t"), {}, "two tags are opened alike"),
    (("t", "T"), {"ignore_case": True}, "two tags are opened alike"),
    ((S,), {"nested": True}, "cannot be nested"),
    ((S,), {"begins": "either"}, "cannot tell"),
    ((("a", "b"), ("b", "c")), {"begins": "inside"}, "cannot tell"),
    ((("```", "```"),), {"code": True}, "without backticks"),
    (("t",), {"to": sf.Finish}, "an event class of your own"),
    (("t",), {"to": int}, "to: give a kind of channel"),
    (("t",), {"to": ""}, "to: give a kind of channel"),
    (("t",), {"to": "tool_arguments"}, "JSON"),
    (("t",), {"channels": ("tool_arguments",)}, "JSON"),
    (("t",), {"nested": True, "unclosed": "keep"}, "not offered"),
    (("t",), {"to": Thought, "overflow": "keep"}, "choose 'extract' or 'raise'"),
    (("think",), {"unclosed": "keep", "max_chars": 7}, "a tag may have 8"),
    (("t",), {"begins": "never"}, "begins"),
]


@pytest.mark.parametrize(("tags", "options", "message"), BAD)
def test_bad_arguments_are_refused_when_the_stage_is_built(tags: Any, options: dict[str, Any], message: str) -> None:
    """With what is wrong, or would be right."""
    with pytest.raises(ValueError, match=message):
        sf.Extract(*tags, **options)


def test_it_is_a_value() -> None:
    """Shown as it was written, equal and pickled as such."""
    stage = sf.Extract("think", ("[", "]"), to=Thought, strip=True)
    assert repr(stage) == "Extract('think', ('[', ']'), to=Thought, strip=True)"
    assert pickle.loads(pickle.dumps(sf.Extract("think", to="notes"))) == sf.Extract("think", to="notes")
    assert stage.on("refusal").channels == ("refusal",)
    assert "at most 7 characters" in sf.Extract("think").explain()
    assert "100000" in sf.Extract("think", begins="either", unclosed="keep", code=True).explain()


def test_random_texts_mean_what_is_written_down() -> None:
    """All arguments, against a reading of the whole text one place after the other."""
    rng = random.Random(5)
    tried = 0
    while tried < 2500:
        pairs: list[tuple[str, str]] = rng.choice(
            [[T], [T, U], [Q], [S], [T, Q], [("ab", "ba"), ("a", "b")], [("[", "]"), ("[[", "]]")]]
        )
        options: dict[str, Any] = {
            "begins": rng.choice(["outside", "inside", "either"]),
            "unclosed": rng.choice(["extract", "keep"]),
            **{name: rng.random() < 0.4 for name in ("many", "nested", "strip", "code", "ignore_case")},
        }
        try:
            stage = sf.Extract(*pairs, **options)
        except ValueError:
            continue
        markers = [marker for pair in pairs for marker in pair] * 2
        tokens = [*markers, "a", "B", "<", "<T", "`", "```", "\n", " ", "\n```\n", "[", "~~~\n"]
        text = "".join(rng.choice(tokens) for _ in range(rng.randint(1, 12)))
        if options["code"] and not text.rpartition("\n")[2].strip():
            text += "\n"  # the reference does not see a last line of blanks
        tried += 1
        for pieces in ways(text, tried)[:4]:
            assert joined(told(list(stage.iter(pieces)))) == joined(sections(text, *pairs, **options)), (stage, pieces)


def test_what_has_left_depends_on_the_text_alone_at_every_limit() -> None:
    """Limits are reached at the same character however the text is cut, in code as well, and with lines too long for code."""
    rng = random.Random(6)
    tried = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_lines, "LINE_CHARS", 5)
        patch.setattr(code_lines, "SETTLE_CHARS", 8)
        while tried < 2500:
            options: dict[str, Any] = {
                "begins": rng.choice(["outside", "inside", "either"]),
                "unclosed": rng.choice(["extract", "keep"]),
                "to": rng.choice(["reasoning", Thought]),
                "max_chars": rng.randint(2, 9),
                "overflow": rng.choice(["extract", "keep", "raise"]),
                **{name: rng.random() < 0.4 for name in ("many", "nested", "strip", "code")},
            }
            try:
                stage = sf.Extract(*rng.choice([[Q], [("ab", "ba"), ("a", "b")], [S]]), **options)
            except ValueError:
                continue
            tokens = ["[", "]", "$$", "ab", "ba", "a", "b", "`", "``", "```", "\n", " ", "\n```\n", "~~~\n"]
            text = "".join(rng.choice(tokens) for _ in range(rng.randint(1, 16)))
            tried += 1
            want = [told(items) for items in released(stage, [text])]
            for pieces in ways(text, tried)[1:3]:
                assert [told(items) for items in released(stage, pieces)] == want, (stage, pieces)


@pytest.mark.parametrize(
    ("stage", "means", "alphabet"), [row for row in LAWFUL3 if "Extract" in repr(row[0])], ids=lambda row: repr(row)[:60]
)
def test_it_obeys_the_laws(stage: Any, means: Any, alphabet: Sequence[str]) -> None:
    """Every law of a text stage, in several configurations."""
    check_stage(stage, means, alphabet=alphabet, examples=40)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "a[b]["),
        ({"begins": "inside"}, "[a]b"),
        ({"begins": "either"}, "a]b["),
        ({"unclosed": "keep"}, "a[b]["),
        ({"code": True}, "`[`[a"),
    ],
)
def test_nothing_is_held_that_no_continuation_could_change(options: dict[str, Any], text: str) -> None:
    """By brute force over all continuations, for markers of several characters too."""
    promptness(
        sf.Extract(Q, **options) | Shown(), text, lambda whole: shown(sections(whole, Q, **options)), alphabet="[]a`\n", depth=4
    )
    if not options:
        two = (("ab", "cd"), ("abb", "d"))
        promptness(sf.Extract(*two) | Shown(), "aabcabbd", lambda whole: shown(sections(whole, *two)), alphabet="abcd", depth=4)


# ------------------------------------------------------------------ channels, runs and events


def test_plain_text_stays_plain_and_stages_behind_see_both() -> None:
    """Reasoning is a channel of its own: it is dropped, guarded, and kept apart by kind."""
    pieces = ["<think>my secr", "et</think>your secret"]
    assert list((THINK | sf.Drop("reasoning")).iter(pieces)) == ["your secret"]
    out = told(list((THINK | sf.Redact("secret", to="*")).iter(pieces)))
    assert ["".join(text for kind, text in out if kind == which) for which in ("in", "out")] == ["my *", "your *"]


def test_each_choice_has_its_own_sections_beside_it() -> None:
    """The other channel has the key of the first, and the chunk that brought the text."""
    one, two = sf.Channel("answer", (0, 0, "content")), sf.Channel("answer", (0, 1, "content"))
    items = [
        sf.TextDelta("<think>a", one, "first"),
        sf.TextDelta("b", two, "second"),
        sf.TextDelta("c</think>d", one, "third"),
        sf.Finish("stop", scope=(0, 0)),
    ]
    out = list(THINK.iter(items))
    beside = sf.Channel("reasoning", one.key)
    assert out == [
        sf.TextDelta("a", beside),
        sf.TextDelta("b", two),
        sf.TextDelta("c", beside),
        sf.TextDelta("d", one),
        sf.Finish("stop", scope=(0, 0)),
    ]
    assert [getattr(item, "origin", None) for item in out] == ["first", "second", "third", "third", None]


def test_other_channels_pass() -> None:
    """It applies to the answer, unless told otherwise."""
    other = sf.TextDelta("<think>a</think>", sf.Channel("refusal"))
    assert list(THINK.iter([other])) == [other]
    assert told(list(THINK.on("refusal").iter([other]))) == [("in", "a")]


def test_events_keep_their_place() -> None:
    """In a section, in a tag, and where a section becomes an event: there they follow it."""
    items: list[sf.Item] = ["a<t>b", Mark(name=1), "c<", Mark(name=2), "/t>d", Mark(name=3), "e"]
    assert list(sf.Extract("t").iter(items)) == [
        "a", sf.TextDelta("b", BESIDE), Mark(name=1), sf.TextDelta("c", BESIDE), Mark(name=2), "d", Mark(name=3), "e",
    ]  # fmt: skip
    assert list(sf.Extract("t", to=Thought).iter(items)) == ["a", Thought("bc"), Mark(name=1), Mark(name=2), "d", Mark(name=3), "e"]


def test_an_event_stands_in_the_channel_of_its_section() -> None:
    """With the chunk that brought its first character."""
    channel = sf.Channel("answer", (0, 0))
    [event] = sf.Extract("t", to=Thought).iter(
        [sf.TextDelta("<t>", channel, 1), sf.TextDelta("a", channel, 2), sf.TextDelta("</t>", channel, 3)]
    )
    assert isinstance(event, Thought)
    assert (event.text, event.scope, event.origin) == ("a", channel, 2)


def test_a_boundary_ends_the_run_beside_it_too() -> None:
    """A guard behind it settles what it holds of the section there, and no tag or match spans it."""
    end = sf.Event(boundary=True)
    items: list[sf.Item] = ["<think>secr", end, "et</think>"]
    out = list((THINK | sf.Redact("secret", to="*")).iter(items))
    assert [item for item in out if not isinstance(item, sf.TextDelta | str)] == [sf.Event(scope=BESIDE, boundary=True), end]
    assert out.index(sf.TextDelta("secr", BESIDE)) < out.index(sf.Event(scope=BESIDE, boundary=True))
    assert out[-1] == "et</think>"


def test_in_the_strings_of_json_nothing_stands_beside_the_text() -> None:
    """What is extracted from a string is not put back into it."""
    assert sf.FilterJSON(sf.Extract("t")).apply('{"a": "<t>x</t>y"}') == '{"a": "y"}'
    assert sf.FilterJSON(sf.CodeFences(to="code")).apply('{"a": "```\\nx\\n```\\ny"}') == '{"a": "y"}'


def test_the_end_of_the_stream_settles_both_channels() -> None:
    """Nothing stands at the end but the text that was held."""
    assert list((THINK | sf.Redact("secret", to="*")).iter(["<think>secr"])) == [sf.TextDelta("secr", BESIDE)]


def test_held_text_dies_with_an_error() -> None:
    """A section that is held is not shown when the source fails."""

    def source() -> Any:
        yield "a[b"
        raise OSError

    got = []
    with pytest.raises(OSError), sf.Extract(Q, unclosed="keep").iter(source()) as stream:
        for item in stream:
            got.append(item)  # noqa: PERF402  # what came before the error counts
    assert got == ["a"]


# ------------------------------------------------------------------ chat completions


def chunk(content: Any, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        **beside,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def deltas(out: Sequence[Any]) -> list[dict[str, Any]]:
    return [choice["delta"] for each in out for choice in each["choices"]]


def test_in_a_chat_completion_sections_are_reasoning() -> None:
    """They leave in the field that clients read reasoning from, on the chunk that brought them."""
    source = [chunk("<thi"), chunk("nk>Hm"), chunk(".</think>Yes"), chunk("."), chunk(None, "stop")]
    assert deltas(list(chat.wrap(THINK).iter(source))) == [
        {"reasoning_content": "Hm"},
        {"reasoning_content": ".", "content": "Yes"},
        {"content": "."},
        {},
    ]


def test_in_a_chat_completion_guards_see_sections_and_answer() -> None:
    """What a guard held leaves where it belongs, at the end too."""
    source = [chunk("<think>secr"), chunk("et secr</think>se"), chunk("cret se"), chunk(None, "stop")]
    out = deltas(list(chat.wrap(THINK | sf.Redact("secret", to="*")).iter(source)))
    assert "".join(delta.get("reasoning_content", "") for delta in out) == "* secr"
    assert "".join(delta.get("content", "") for delta in out) == "* se"


def test_in_a_chat_completion_what_has_no_field_is_left_out() -> None:
    """Text of a kind of one's own, and events."""
    source = [chunk("<t>a</t>"), chunk("b<t>c</t>"), chunk(None, "stop")]
    for to in ("notes", Thought, "drop"):
        assert deltas(list(chat.wrap(sf.Extract("t", to=to)).iter(source))) == [{"content": "b"}, {}]


def _recorded(api: str) -> list[str]:
    texts = []
    for entry in shared(api):
        try:
            parts = [
                choice["delta"].get("content")
                for each in chunks(body(entry))
                for choice in each.get("choices") or ()
                if choice.get("delta")
            ]
        except ValueError:
            continue
        texts.append("".join(part for part in parts if isinstance(part, str)))
    return [text for text in texts if text]


def test_recorded_answers_lose_nothing() -> None:
    """All recordings: text without tags is unchanged, and with its first sentence tagged, that is what is extracted."""
    texts = _recorded("openai.chat")
    if not texts:
        pytest.skip("the recordings are not here")
    stage = sf.Extract("think", code=True)
    for n, text in enumerate(texts):
        plain = text[:20_000].replace("<think>", "").replace("</think>", "")
        assert told(list(stage.iter(ways(plain, n)[2]))) == [("out", plain)]
        tagged = f"<think>Hm.</think>{plain}"
        for pieces in ways(tagged, n)[2:4]:
            assert told(list(stage.iter(pieces))) == [("in", "Hm."), ("out", plain)]


# ------------------------------------------------------------------ cost


FLOODS = ["<", "<t", "<t>", "</t>", "<t></t>", "[", "`", "` ``", "`[", "```\n", "\n", " ", "$", "$$$", "<t ", "\ud800", "\0"]


@pytest.mark.parametrize("flood", FLOODS)
def test_floods_cost_what_other_text_costs(flood: str) -> None:
    """Twice the text, twice the time: for every option that holds."""
    pairs = ["t", Q, S]
    kinds: list[dict[str, Any]] = [
        {},
        {"code": True},
        {"attributes": True},
        {"unclosed": "keep"},
        {"nested": True, "begins": "inside"},
        {"begins": "either", "to": Thought, "code": True, "strip": True},
    ]
    for options in kinds:
        tags: Any = pairs[:2] if options.get("nested") or options.get("begins") else pairs
        stage = sf.Extract(*tags, **options)

        def taken(chars: int, stage: sf.Extract = stage) -> float:
            text = flood * (chars // len(flood))
            pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
            begun = time.process_time()
            for _ in stage.iter(pieces):
                pass
            return time.process_time() - begun

        short = min(taken(8_000) for _ in range(3))
        long = min(taken(32_000) for _ in range(2))
        assert long < 10 * short + 0.01, (options, short, long)


def test_the_map_of_code_remembers_little() -> None:
    """Of a long text only what is not decided, if places go on."""
    code = CodeMap()
    for n in range(20_000):
        code.feed("`a` b\n", n * 6)
    assert len(code._code) < 2_000
    assert len(code._text) < 10_000
