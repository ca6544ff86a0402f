"""`CodeFences`: the blocks that a Markdown parser finds in the whole text, found while it streams."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import pytest
from laws_extract import COMMONMARK, LAWFUL3, Shown, fenced
from markdown_it import MarkdownIt
from recordings import body, chunks, shared

import streamfilter as sf
from streamfilter.providers.openai import chat
from streamfilter.testing import check_stage, promptness, ways
from streamfilter.testing.laws import released
from streamfilter.testing.sources import Mark

Block = tuple[str, str, str]
"""Its language, its information, its code."""


def found(text: str, parser: MarkdownIt = COMMONMARK) -> list[Block]:
    """The blocks that a Markdown parser finds."""
    infos = [(token.info.strip(" \t"), token.content) for token in parser.parse(text) if token.type == "fence"]
    return [((info.split() or [""])[0], info, content) for info, content in infos]


def blocks(items: Sequence[Any]) -> list[Block]:
    """The blocks that came out as events."""
    out: list[list[str]] = []
    for item in items:
        if isinstance(item, sf.CodeStart):
            out.append([item.language, item.info, ""])
        elif isinstance(item, sf.CodeDelta):
            out[-1][2] += item.text
    return [(language, info, code) for language, info, code in out]


def outside(items: Sequence[Any]) -> str:
    return "".join(item for item in items if isinstance(item, str))


CASES: list[tuple[str, list[Block], str]] = [
    ("a\n```py\nb\n```\nc", [("py", "py", "b\n")], "a\nc"),
    ("```\na\n``\n````  \nb", [("", "", "a\n``\n")], "b"),
    ("~~~~ js  x=1 \na\n~~~\n```\n~~~~", [("js", "js  x=1", "a\n~~~\n```\n")], ""),
    ("``` a`b\nc", [], "``` a`b\nc"),
    ("~~~ a`b~\nc", [("a`b~", "a`b~", "c")], ""),
    ("   ```\n    a\n  b\n c\n ```\nd", [("", "", " a\nb\nc\n")], "d"),
    ("  ~~~\n\ta\n \tb\n~~~", [("", "", "  a\n  b\n")], ""),
    ("    ```\na", [], "    ```\na"),
    ("a ```\nb\n```", [("", "", "")], "a ```\nb\n"),
    ("```\na\n    ```\n```x\n```\t", [("", "", "a\n    ```\n```x\n")], ""),
    ("``\n~~\n```", [("", "", "")], "``\n~~\n"),
    ("```py", [("py", "py", "")], ""),
    ("```\n\n\n```", [("", "", "\n\n")], ""),
    ("``` \\x &amp;", [("\\x", "\\x &amp;", "")], ""),
    ("```a\nx\n```\n```b\ny\n```\n", [("a", "a", "x\n"), ("b", "b", "y\n")], ""),
]


@pytest.mark.parametrize(("text", "want", "around"), CASES)
def test_blocks_are_those_of_commonmark(text: str, want: list[Block], around: str) -> None:
    """Case by case, however the text is cut; the reference parser says the same."""
    assert found(text) == want
    for pieces in ways(text):
        out = list(sf.CodeFences().iter(pieces))
        assert (blocks(out), outside(out)) == (want, around), pieces


def test_random_texts_have_the_blocks_that_a_markdown_parser_finds() -> None:
    """Fences of both kinds, indented and cut in two, with all that may stand behind them."""
    rng = random.Random(1)
    tokens = [
        "```",
        "~~~",
        "`",
        "~",
        "\n",
        "\n",
        "\n",
        " ",
        "  ",
        "a",
        "\t",
        "py",
        "\n```\n",
        "\n~~~\n",
        "    ",
        "\n ```",
        "&",
        "\\`",
    ]
    for n in range(2000):
        text = "".join(rng.choice(tokens) for _ in range(rng.randint(1, 14)))
        if not text.rpartition("\n")[2].strip():
            text += "\n"  # the reference does not see a last line of blanks
        for pieces in ways(text, n)[:3]:
            out = list(sf.CodeFences().iter(pieces))
            assert blocks(out) == found(text), pieces
            assert outside(out) == fenced(text), pieces


def test_line_ends_stay_as_they_are() -> None:
    """A line may end with a carriage return, a line feed or both, cut in between or not."""
    for end in ("\r\n", "\r", "\n"):
        text = end.join(["a", "```py", "b", "", "```", "c", "~~~", ""])
        for pieces in ways(text):
            out = list(sf.CodeFences().iter(pieces))
            assert (blocks(out), outside(out)) == ([("py", "py", f"b{end}{end}"), ("", "", "")], f"a{end}c{end}")


def test_what_streams_leaves_at_once() -> None:
    """Only a line that may be a fence is held."""
    fed = ["Hi\n", "`", "``p", "y\n", "a", " ", "=\n", "`", "`x\n", "``", "`", "\n", "b"]
    machine = sf.CodeFences().machine()
    scope = sf.Channel()
    assert [list(machine.feed(piece)) for piece in fed] == [
        ["Hi\n"], [], [], [sf.CodeStart("py", "py")], [sf.CodeDelta("a")], [sf.CodeDelta(" ")], [sf.CodeDelta("=\n")],
        [], [sf.CodeDelta("``x\n")], [], [], [sf.CodeEnd(scope=scope)], ["b"],
    ]  # fmt: skip


def test_a_block_that_is_not_closed_ends_with_the_text() -> None:
    """And says so."""
    assert [item.closed for item in sf.CodeFences().iter(["```\na\n```\n```"]) if isinstance(item, sf.CodeEnd)] == [True, False]


@pytest.mark.parametrize("line", ["```" + "x" * 20, "~~~" + "x" * 20])
def test_a_line_that_is_too_long_is_no_fence(line: str) -> None:
    """It opens nothing, and it closes nothing; however it is cut."""
    stage = sf.CodeFences(max_line=10)
    closing = f"{line[:3]}{' ' * 8}\n"
    for pieces in ways(f"{line}\n"):
        assert outside(list(stage.iter(pieces))) == f"{line}\n"
    for pieces in ways(f"{line[:3]}\na\n{closing}b"):
        assert blocks(list(stage.iter(pieces))) == [("", "", f"a\n{closing}b")]


@pytest.mark.parametrize(
    ("stage", "means", "alphabet"), [row for row in LAWFUL3 if "CodeFences" in repr(row[0])], ids=lambda row: repr(row)[:60]
)
def test_it_obeys_the_laws(stage: Any, means: Any, alphabet: Sequence[str]) -> None:
    """Every law of a text stage, in several configurations."""
    check_stage(stage, means, alphabet=alphabet, examples=60)


def test_nothing_is_held_where_no_continuation_could_change_it() -> None:
    """By brute force over all continuations."""
    promptness(sf.CodeFences(), "a\n ```\n```\nb `", fenced, alphabet="`a\n ", depth=4)
    within = sf.CodeFences(to="code") | Shown("code")
    promptness(within, " ```\n a\n `\n  \n  ```\n", lambda text: fenced(text, within=True), alphabet="`a\n", depth=4)


def test_arguments_of_tool_calls_are_refused() -> None:
    """They are JSON; a limit below the shortest fence is none."""
    with pytest.raises(ValueError, match="JSON"):
        sf.CodeFences(to="tool_arguments")
    with pytest.raises(ValueError, match="JSON"):
        sf.CodeFences(channels=("tool_arguments",))
    with pytest.raises(ValueError, match="max_line"):
        sf.CodeFences(max_line=2)


# ------------------------------------------------------------------ channels and events


def test_code_in_a_channel_of_its_own() -> None:
    """Text stages apply to it by kind, block by block: its end is a boundary."""
    beside = sf.Channel("code")
    pipeline = sf.CodeFences(to="code") | sf.Redact("secret", to="*") | sf.MapText(str.upper).on("code")
    assert list(pipeline.iter(["a\n```py\nsecr", "et\nsecr\n```\n```\net```"])) == [
        "a\n",
        sf.CodeStart("py", "py", scope=beside),
        sf.TextDelta("*", beside),
        sf.TextDelta("\nSECR\n", beside),
        sf.CodeEnd(scope=beside, boundary=True),
        sf.CodeStart("", "", scope=beside),
        sf.TextDelta("ET```", beside),
        sf.CodeEnd(closed=False, scope=beside, boundary=True),
    ]


def test_events_keep_their_place() -> None:
    """In text and in code where they stood, in a fence behind it."""
    items: list[sf.Item] = ["a\n`", Mark(name=1), "``\nb", Mark(name=2), "c\n```", Mark(name=3), "\nd"]
    assert list(sf.CodeFences().iter(items)) == [
        "a\n", sf.CodeStart(""), Mark(name=1), sf.CodeDelta("b"), Mark(name=2), sf.CodeDelta("c\n"), sf.CodeEnd(), Mark(name=3), "d",
    ]  # fmt: skip


def test_each_channel_has_its_own_blocks() -> None:
    """Two choices at once; events stand in the channel, and on the chunk, of what they stand for. A finish ends a block."""
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    items = [
        sf.TextDelta("```a\n", one, 1),
        sf.TextDelta("```b\n", two, 2),
        sf.TextDelta("x", one, 3),
        sf.Finish("stop", scope=(0, 0)),
    ]
    out = list(sf.CodeFences().iter(items))
    assert out == [
        sf.CodeStart("a", "a", scope=one),
        sf.CodeStart("b", "b", scope=two),
        sf.CodeDelta("x", scope=one),
        sf.CodeEnd(closed=False, scope=one),
        sf.Finish("stop", scope=(0, 0)),
        sf.CodeEnd(closed=False, scope=two),
    ]
    assert [item.origin for item in out if isinstance(item, sf.Event)] == [1, 2, 3, None, None, None]


def test_in_a_chat_completion_code_is_left_out() -> None:
    """The format has no field for it: the text around it leaves."""

    def chunk(content: str) -> dict[str, Any]:
        return {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}],
        }

    for to in ("events", "code", "drop"):
        out = list(chat.wrap(sf.CodeFences(to=to)).iter([chunk("a\n``"), chunk("`\nx\n```\nb")]))
        assert [choice["delta"].get("content") for each in out for choice in each["choices"]] == ["a\n", "b"]


def test_recorded_answers_have_the_blocks_that_a_markdown_parser_finds() -> None:
    """All recordings. What stands in lists, quotes and HTML is read without them, here as there."""
    seen = 0
    for entry in shared("openai.chat"):
        try:
            parts = [
                choice["delta"].get("content")
                for each in chunks(body(entry))
                for choice in each.get("choices") or ()
                if choice.get("delta")
            ]
        except ValueError:
            continue
        texts = [part for part in parts if isinstance(part, str)]
        text = "".join(texts)
        for pieces in (texts, list(text[:20_000])):
            out = list(sf.CodeFences().iter(pieces))
            whole = "".join(pieces)
            assert blocks(out) == found(whole), entry["file"]
            assert outside(out) == fenced(whole), entry["file"]
        seen += 1
    if not seen:
        pytest.skip("the recordings are not here")


@pytest.mark.parametrize(
    "flood", ["`", "~", "```", "```\n", "~~~\n\n", " ", "\n", "\r", "   ", "```a", "` ", "x", "\ud800\0", "\t"]
)
def test_floods_cost_what_other_text_costs(flood: str) -> None:
    """Four times the text, about four times the time, inside a block and outside."""
    for before in ("", "```\n", "  ~~~~\n"):

        def taken(chars: int, before: str = before) -> float:
            text = before + flood * (chars // len(flood))
            pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
            begun = time.process_time()
            released(sf.CodeFences(), pieces)
            return time.process_time() - begun

        short = min(taken(10_000) for _ in range(3))
        long = min(taken(40_000) for _ in range(3))
        assert long < 10 * short + 0.01, (before, short, long)
