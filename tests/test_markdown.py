"""`Markdown` against a real parser: whatever has left renders to a beginning of what the whole document renders to."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import pytest
from laws_markdown import LAWFUL3
from recordings import body, shared
from rendering import known, seen

import streamfilter as sf
from streamfilter.markup.markdown_blocks import Blocks
from streamfilter.testing import Mark, batch, check_stage, cut, prefix, released, run_virtually, ways
from streamfilter.testing.laws import AnyStage
from streamfilter.testing.tracing import text_in


def shown(text: str, **options: Any) -> Iterator[tuple[str, str]]:
    """Each beginning of a text, and what has left of it when it was fed one character at a time. Only where something leaves."""
    machine = sf.Markdown(**options).machine()
    out = ""
    for n, character in enumerate(text, 1):
        if new := machine.feed(character):
            out += "".join(item for item in new if isinstance(item, str))
            yield text[:n], out
    assert out + "".join(str(item) for item in machine.finish()) == text


def check(text: str, env: dict[str, Any] | None = None) -> None:
    """The law. By default the renderer knows all that the document defines anywhere."""
    env = known(text) if env is None else env
    whole = seen(text, env)
    for begun, left in shown(text):
        assert begun.startswith(left)
        assert whole.startswith(seen(left, env)), f"after {begun!r} {left!r} was shown, of {whole!r}"


# fmt: off
CASES: dict[str, tuple[str, ...]] = {
    "emphasis": (
        "so **bold** it is", "*a*", "***a** b*", "**a *b* c**", "*a **b***", "a * b * c", "2*3*4 = 24", "snake_case_name and _em_", "__init__.py", "_a_b_c_",
        "**not closed\n\nnext", "*a\nb*", "*a\n\nb*", "**a*", "*a**b*", 'a*"b"*', "*(a*)", "**Gomphocarpus (*G. physocarpus*, syn.\n*A. physocarpa*)**",
        "foo***bar***baz", "****a****", "*a_b*c_", "**bold**text", "**„Zitat“**wort", "é*à*è", "* not a list*\n", "****", "*", "a **b", "**€5**ab", "*a*b*c*",
        "a_*b*_",
    ),
    "strikethrough": (
        "~~gone~~", "~~a *b~~ c*", "about ~5 or ~6", "~~~a~~", "a ~~b\n\nc~~", "~~~~a~~~~", "*a ~~b* c~~",
    ),
    "code": (
        "`code` and ``a ` b``", "`not closed\n\nx", "`a *b` c*", "*a `b* c`", "`` ` ``", "a `b\nc` d", "```inline``` text", '`<a href="`">`', "\\`a`", "`a``b`",
        "``a`", "`\\`*b*",
    ),
    "links": (
        "[text](http://example.org)", "[a](<b c> 'title')", '[a](/u "t" x)', "[a] (b)", "[a](b(c)d)", "[a](b", "[a](b c)", "[a *b](c) d*", "*a [b* c](d)",
        "[a [b](c) d](e)", "[a]", "[ ]", "- [ ] task\n- [x] done", "[a][b]", "[`a](b)`", "[a](b\\)c)", "[1, 2, 3] is a list", "[[a]](b)", '[a\nb](c\n"d\ne")',
        "[](x)", "[a]()", "[x](<y", "see [a](b).",
    ),
    "images": (
        "![alt](src.png)", "! [a](b)", 'Hello! ![a *b*](c "d")', "[![a](b)](c)", "![a", "![a][b]", "wow![x](y)",
    ),
    "references": (
        "[a]: /u\n\n[a] and [b][a] and [b][]", "[a]: /u 'title\nof two lines'\n[a]", "[a]: /u\n'title' x\n\n[a]", "[a]:\n/u\n[A]", "[a]: /u\n===\n[a]",
        "[a]: <>\n[a]", "[a]: /u x\n[a]", "[b][a] comes *before*\n\n[a]: /u", "*[foo*]\n\n[foo]: /u", "[x][y][z]\n\n[z]: /u", "[a]: /u\n[b]: /v\n[a] [b]",
        "text\n[a]: /u\n[a]", "[a b\nc]: /u\n[A  B C]", "- [a]: /u\n\n[a]",
    ),
    "footnotes": (
        "a[^1] b\n\n[^1]: note *with* emphasis\n", "[^1]: first\n    second\n\n    third\n\nback[^1]", "a[^x", "^[inline *note*] and x^2", "x[^1](y)\n\n[^1]: n",
        "a\n[^n]: b\n[^n]", "[^1]", "[^a b]: c",
    ),
    "autolinks and tags": (
        "<http://example.org/*x*>", "<me@example.org>", "a < b and b > c", "if x<y then", "<b>bold</b>", 'a <span class="x *y*">z</span>',
        "<!-- a *comment* --> b", "<?php x ?> y", "<a b='c\nd'>e", "a <- b", "<3", "<b", "x <b c", "<http://a b>", "a <!-- b", "<![CDATA[*]]> *a*",
        "text <br/> text", "</ b>",
    ),
    "HTML blocks": (
        "<div>\n*a*\n\n*b*", '<div\n class="x">\na', "<script>\nx *y\n\nz*\n</script>\n*a*", "<!-- a\n\nb -->\n*c*", "<pre>a\n", "<b>\n*x*\n\n*y*", "a\n<b>\nc",
        "<divx>y", "<details><summary>s</summary>\n\n*a*\n",
    ),
    "entities and escapes": (
        "a &amp; b", "AT&T &copy; &#35; &#x22; &nope; &", "\\*a\\*", "a\\\nb", "a\\", "a  \nb", "a\\\n*b*", "\\\\*a*", "&ampx &amp;amp;", "\\[a](b)",
        "C:\\dir\\*x*",
    ),
    "headings": (
        "# a *b* c\nd", "#a", "####### a", "# a #", "# a ## b", "#", "##  \nx", "a *b\n# c* d", "# [x](y)\n", "a\n===\nb", "a\n---\n*b*", "a **b\n---\nc**",
        "a\n= b", "### 1. **x**",
    ),
    "rules and lists": (
        "---\na", "***", "* * *\n", "- - a", "--", "_ _ _", "**a**\n", "- a\n- *b*\n  c\n\n  d\n- e", "1. a\n2. b\n   - c", "1) a\n\n   b", "2024 was",
        "2024. was", "a\n2. b", "a\n1. b", "a\n-\nb", "-\n\n  a", "- a\nlazy *b*", "- a\n\n      code *x", "-     code *x", "* a *b\n* c* d", "+ a", "+1", "-5",
        "1.5 is", "10) x", "-\ta\n\n\tb", "- # a\n- > b\n  > c", "- a\n***\nb", "- `a\n- b`", "1234567890. a",
    ),
    "quotes": (
        "> a *b*\n> c", "> a *b\n> c* d", "> a\nlazy", "> a\n---", "> a\n===\nb", ">> a\n> b", "> ```\n> *a\nb*", ">", ">a\n>\n> b", "> - a\n>   b\n> - c",
        "> `a\n> b` c",
    ),
    "fences and code blocks": (
        "```python\nx = **y\n```\n*a*", "~~~\na\n~~~~\nb", "```\na\n``\n```", "````\n```\n````\na", "```a`b", "```\nnot *closed", "- ```\n  a\n  ```\n- *b*",
        "1. x\n\n   ```js\n   *a\n\n   b\n   ```\n", "    code *a\n\n    b", "  ```\n  a\n ```\nb", "a\n```\n*b\n```\nc", "``` \na", "```\n   ```\na",
        "```\n    ```\na", "\tx*\n*a*", "~~~ a`b\nc\n~~~", "- ```\n  a\nb *c*", "``",
    ),
    "tables": (
        "| a | b |\n|---|---|\n| *c* | d |\n| e | f |\n\ng", "a | b\n-|-\nc | d\ne", "a | b\nc | d", "| a |\n| b |", "*a | b*\nc", "x *y\nz* a | b\n--|--",
        "| a | b |\n|---|\n", "a\n| b | c |\n|:-:|--:|\n| `d|e` | f\n# g", "a \\| b\n---\nc", "a | b\n--- | ---", "| a |\n|---|\n> q",
        "- | a | b |\n  |---|---|\n  | c | d |\n- e", "> | a |\n> |---|\n> | *b* |\n\nc", "a | b\n- c", "\\\\| a\n---|---\nb", "a | b\n---\nc", "|\n|-|",
        "`a | b`\nc", "| [x](y) | **z** |\n| --- | --- |\n| <b>q</b> | ~~r~~ |\nlast", "a | *b*\n\n---",
    ),
    "line ends": (
        "a\r\n\r\n*b*\r\n", "```\r\na\r\n```\r\n*b*", "a | b\r\n-|-\r\nc | d\r\n\r\ne", "", "\n\n\n", " ", "\t", "a\n", "*a\x00b*", "*a\u2028b*", "\xa0*a*\u3000",
    ),
}
# fmt: on

EXAMPLES = [text for texts in CASES.values() for text in texts]

DOCUMENT = """# Rivers

A *river* runs to the **sea**; see [the map](https://example.org/map "all of it") or `flow()`.

1. First, `measure` the _depth_:

   ```python
   depth = [x ** 2 for x in rope]
   ```

2. Then the **width**[^1].
   - with a rope
   - or ~~a guess~~ <kbd>eye</kbd>

> Quoted, and *not
> closed on one line*.

| name | km | note |
|:-----|---:|------|
| Elbe | 1094 | `a` \\| b |
| Oder | 866 | [x](y) |

![a boat](boat.png) &copy; 2 * 3 * 4 snake_case
***
[^1]: From bank to bank.
"""


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_was_shown_renders_to_a_beginning_of_the_whole(text: str) -> None:
    """The law, for every construct, after every character; and the text is unchanged, however it is cut."""
    check(text)
    for follower in ("\n\nend", " *x* [y](z)", "`"):
        check(text + follower)
    rng = random.Random(text)
    for _ in range(3):
        pieces = cut(text, *(rng.randint(0, len(text)) for _ in range(3)))
        batch(sf.Markdown(), pieces, str)
        prefix(sf.Markdown(), pieces)


@pytest.mark.parametrize("text", EXAMPLES)
def test_no_piece_of_a_providers_stream_is_half_of_something(text: str) -> None:
    """Deltas on chunks of their own: after each that leaves, what was shown renders to a beginning of the whole."""
    whole = seen(text, known(text))
    for pieces in ways(text):
        out = ""
        for item in sf.Pipeline[Any, Any](sf.Markdown()).iter([sf.TextDelta(piece, origin=n) for n, piece in enumerate(pieces)]):
            out += text_in([item])
            assert whole.startswith(seen(out, known(text))), f"{out!r} was shown, of {whole!r}"
        assert out == text


def test_a_held_construct_leaves_on_the_chunk_that_brought_its_first_character() -> None:
    """Its other chunks leave no text; chunks behind it keep theirs; events stay where they stood, two at one place too."""
    markdown: sf.Stage[Any, Any] = sf.Pipeline(sf.Markdown())
    pieces = ["see ", "[a li", "nk](http:", "//x) o", "k", " *a", "*"]
    assert [
        (item.text, item.origin) for item in markdown.iter([sf.TextDelta(each, origin=n) for n, each in enumerate(pieces)])
    ] == [("see ", 0), ("[a link](http://x) o", 1), ("k", 4), (" ", 5), ("*a*", 5)]
    marked = [
        sf.TextDelta("a [b", origin=0),
        Mark(name=1),
        Mark(name=2),
        sf.TextDelta("c](d", origin=1),
        sf.TextDelta(") e", origin=2),
    ]
    left: list[Any] = list(markdown.iter(marked))
    left = [item.name if isinstance(item, Mark) else (item.text, item.origin) for item in left]
    assert left == [("a ", 0), ("[b", 0), 1, 2, ("c](d) e", 1)]


@pytest.mark.parametrize("by", ["word", "char", "line", "chunk"])
@pytest.mark.parametrize("text", EXAMPLES)
def test_a_steady_pace_shows_no_half_of_it_either(text: str, by: Literal["word", "char", "line", "chunk"]) -> None:
    """What `Pace` lets leave at a time renders to a beginning of the whole, however the text came and on whichever chunks."""
    stage: sf.Stage[Any, Any] = sf.Pipeline(sf.Markdown(), sf.Pace(chars_per_second=200, by=by))
    env = known(text)
    whole = seen(text, env)
    for pieces in ways(text)[:3]:
        for items in (pieces, [sf.TextDelta(piece, origin=n) for n, piece in enumerate(pieces)]):
            out = ""
            for item in stage.iter(items):
                out += text_in([item])
                assert whole.startswith(seen(out, env)), f"{out!r} was shown, of {whole!r}"
            assert out == text


def test_pace_cuts_text_that_is_no_markup_and_that_no_markdown_stands_before() -> None:
    """Words outside of markup leave one by one; other channels and other stages are cut as ever; what is not paced stays as it came."""
    markdown, pace = sf.Markdown(), sf.Pace(chars_per_second=200, channels=None)
    text = "see **the long map** and go on"
    units = ["see ", "**the long map** ", "and ", "go ", "on"]
    other = sf.Channel("reasoning")
    assert list((markdown | pace).iter([text])) == units
    assert list((markdown | sf.MapText(str) | pace).iter([text])) == units
    stage: sf.Stage[Any, Any] = sf.Pipeline(markdown, pace)
    assert list(stage.iter([sf.TextDelta("a *b", other), sf.TextDelta("* c", other)])) == [
        sf.TextDelta(each, other) for each in ("a ", "*b", "* ", "c")
    ]
    stage = sf.Pipeline(markdown, sf.Pace(delay=1))
    assert list(stage.iter([sf.TextDelta("a *b c* d", other)])) == [sf.TextDelta("a *b c* d", other)]
    assert list((pace | markdown).iter([text])) == ["see ", "**the long map** ", "and ", "go ", "on"]
    assert list(markdown.iter([text])) == [text]
    with (markdown | pace).iter([text], context=sf.Context(stats=True)) as measured:
        assert list(measured) == units


def test_what_stands_between_markdown_and_pace_may_have_a_task_of_its_own() -> None:
    """Behind a `Buffer`, or a function, Pace still gets its units: a burst leaves bit by bit, and shows no half."""

    async def passing(source: AsyncIterator[str]) -> AsyncIterator[str]:
        async for text in source:
            yield text

    async def main(stage: sf.Stage[Any, Any]) -> list[str]:
        async with stage(burst()) as stream:
            return [text async for text in stream]

    async def burst() -> AsyncIterator[str]:
        yield "see **the long map** and go on"

    for between in (sf.Buffer(1), passing):
        stage: sf.Stage[Any, Any] = sf.Markdown() | between | sf.Pace(delay=0.1)
        assert run_virtually(main(stage)) == ["see ", "**the long map** ", "and ", "go ", "on"]


def test_only_what_is_paced_comes_in_units_and_in_those_of_each_pace() -> None:
    """Of several rates each cuts its own channels; what none paces stays as it came; Markdown in strings of JSON is no Markdown."""
    answer, thought, call = sf.Channel("answer"), sf.Channel("reasoning"), sf.Channel("tool_arguments", (0, 0, "a"))
    items = [sf.TextDelta("a *b c* d", channel) for channel in (answer, thought, call)]
    rates = sf.Pace(delay=1) | sf.Pace(delay=2, by="char", channels=("reasoning",))
    left = list(sf.Pipeline[Any, Any](sf.Markdown(channels=None), rates).iter(items))
    assert [item.text for item in left if item.channel == answer] == ["a ", "*b c* ", "d"]
    assert [item.text for item in left if item.channel == thought] == ["a", " ", "*b c* ", "d"]
    assert [item.text for item in left if item.channel == call] == ["a *b c* d"]
    lines = list(sf.Pipeline[Any, Any](sf.Markdown(), sf.Pace(delay=1, by="line"), sf.Pace(delay=1)).iter(["a b\nc"]))
    assert lines == ["a ", "b\n", "c"]
    assert list((sf.FilterJSON(sf.Markdown()) | sf.Pace(delay=1)).iter(['{"a": "one two"}'])) == ['{"a": ', '"one ', 'two"}']
    decoded = sf.Context().decoded()
    sf.Markdown().machine(decoded)
    assert not decoded.unbroken, "each string in a JSON text has a machine, and all would be kept to the end of the stream"


def test_a_whole_document_is_shown_piece_by_piece_as_it_renders() -> None:
    """The law for a document of all constructs, and for each part of it behind each other."""
    check(DOCUMENT)
    blocks = DOCUMENT.split("\n\n")
    for one, other in itertools.permutations(blocks, 2):
        check(f"{one}\n\n{other}")


def test_without_forward_references_the_renderer_needs_to_know_nothing() -> None:
    """Where definitions come first, what has come is all that rendering it needs."""
    for text in EXAMPLES:
        if text.startswith("[a]:") or not ("[^" in text or known(text).get("references")):
            check(text, {})


# fmt: off
FRAGMENTS = (
    "a", "b c", "**b**", "**", "*", "_", "__", "`", "``", "`x`", "[", "]", "![", "](u)", '](/u "t")', "[t](http://e.org/x_y)", "![p](q)", "[r]",
    "[t][r]", "[^1]", "~~", "~~s~~", "<b>", "</b>", "<http://e.org>", "<", "&amp;", "&", "\\", "\\*", "  \n", "\\\n", "\n", "\n\n", "\n", "- ", "  - ",
    "* ", "1. ", "2) ", "> ", "# ", "###", "```\n", "```py\n", "~~~\n", "---\n", "***\n", "===\n", "    ", "   ", "\t", "[r]: /u\n", "[r]: <u> 't'\n",
    "[^1]: n", "\n[r]: /u", "\n[^1]: ", "<div>\n", "</div>\n", "<!-- c -->", "<!--", ":", "!", "x_y_z", " ", "1", ".", " a * b ", '"t"', "(x)", "+ ",
    "\r\n", "^[", "| a | b |\n", "|---|---|\n", "|-|-|", "| c |", "|", "|",
)
# fmt: on


def composed(rng: random.Random, most: int) -> str:
    return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, most)))


INDENTS = ("", "", "", "", " ", "  ", "   ", ">", "> ", "> > ", ">>", "   > ", ">  ")
DEEPER = ("    ", "     ", "      ", "\t", "  \t")
MARKS = (
    "", "", "", "- ", "* ", "+ ", "1. ", "2) ", "12. ", "# ", "### ", "#", "> ", ">", "- - ", "1. - ", "-", "*", "1.", "```\n", "```py\n", "~~~\n", "---",
    "| a | b |\n|---|---|\n", "<div>", "<b>", "[r]: /u", "[^1]: ", "==", "--", "-  ", "1.   ", "-      ",
)  # fmt: skip
BODIES = (
    "", "a", "word and", "**b** c", "*x", "`c` d", "``", "_u_", "**", "__", "`", "*`x", "a | b", "|", "[r]", "(q)", "'t'", "3 x", "\u00e9", "!x", "\\*", " ",
)  # fmt: skip
ENDS = ("\n", "\n", "\n", "\n\n", "\r\n", "  \n", " \n \n")


def lined(rng: random.Random, most: int, indents: tuple[str, ...] = INDENTS) -> str:
    """Lines that begin in many ways, inside of what the ones before have begun."""
    return "".join("".join(rng.choice(parts) for parts in (indents, MARKS, BODIES, ENDS)) for _ in range(rng.randint(1, most)))


@pytest.mark.parametrize("most", [3, 6])
def test_the_law_holds_for_lines_that_begin_in_many_ways(most: int) -> None:
    """Items, quotes, headings, fences and text in each other. Not where a line continues the paragraph of a container that it does not
    belong to, and is indented like code: there the renderer takes marks for more than the text that they are in CommonMark."""
    rng = random.Random(most)
    for _ in range(500):
        check(lined(rng, most))


def test_lines_read_by_one_pattern_are_what_the_long_way_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most lines are told by one pattern: what leaves, and when, is what it is without that."""
    rng = random.Random(7)
    texts = [*EXAMPLES, DOCUMENT, *(lined(rng, 8, INDENTS + DEEPER) for _ in range(1500)), *(composed(rng, 12) for _ in range(500))]
    pieces = [cut(text, *(rng.randint(0, len(text)) for _ in range(len(text) // 2))) for text in texts]
    short = [released(sf.Markdown(), each) for each in pieces]
    monkeypatch.setattr(Blocks, "_usual", lambda self, line, is_whole: False)
    for each, found in zip(pieces, short, strict=True):
        assert released(sf.Markdown(), each) == found, each


@pytest.mark.parametrize("depth", [58, 59, 60, 61])
@pytest.mark.parametrize("line", ["> *a* b", "- *a* b", "*a* b", "# *a*", "1. `a` b"])
def test_the_depth_that_is_followed_does_not_depend_on_the_cuts(depth: int, line: str) -> None:
    """As many quotes as are followed, one less, and one more: what has left of a beginning is the same however that was cut."""
    text = f"{'> ' * depth}{line}\n{'> ' * depth}*c* d"
    slow = dict(shown(text))
    for at in range(2 * depth, len(text), 3):
        left = "".join(str(item) for item in sf.Markdown().machine().feed(text[:at]))
        assert left == max((slow[begun] for begun in slow if len(begun) <= at), key=len, default="")


@pytest.mark.parametrize("most", [4, 8, 16])
def test_the_law_holds_for_what_fragments_make_at_random(most: int) -> None:
    """Compositions that nobody would write: half constructs in each other, in lists, quotes and tables."""
    rng = random.Random(most)
    for _ in range(700):
        check(composed(rng, most))


def test_what_has_left_does_not_depend_on_the_cuts_even_where_constructs_overflow() -> None:
    """With small limits too: a construct overflows at the same character however the text is cut."""
    rng = random.Random(1)
    for _ in range(500):
        text = composed(rng, 16)
        stage = sf.Markdown(max_hold=rng.choice([1, 2, 3, 5, 8, 13, 1000]))
        pieces = cut(text, *(rng.randint(0, len(text)) for _ in range(4)))
        batch(stage, pieces, str)
        prefix(stage, pieces)


@pytest.mark.parametrize(("text", "left"), [
    ("see **bo", "see "), ("see [text](http://exa", "see "), ("see [te", "see "), ("see ![alt](x", "see "), ("wow!", "wow"), ("a `co", "a "),
    ("```pyth", ""), ("```py\n", "```py\n"), ("```py\nx = *y", "```py\nx = *y"), ("```\na\n``", "```\na\n"), ("| a | b |\n", ""), ("| a | b |\n|--", ""), ("| a |\n|---|\n", "| a |\n|---|\n"), ("| a |\n|---|\n| b ", "| a |\n|---|\n"),
    ("a[^1", "a"), ("[^1]:", ""), ("[^1]: n", "[^1]: n"), ("#", ""), ("# T", "# T"), ("- ", ""), ("- a", "- a"), ("> ", ""), ("> a", "> a"), ("--", ""), ("a <b", "a "), ("a <b>", "a <b>"), ("a <http://x", "a "), ("a &am", "a "), ("a &amp;", "a &amp;"),
    ("a \\", "a "), ("a ~~b", "a "), ("[a]: http://x", ""), ("[a]: http://x\n", "[a]: http://x\n"), ("<div cl", ""), ("12", ""), ("12 a", "12 a"), ("1. a", "1. a"), ("a **b\n\n", "a **b\n\n"), ("x [y](z)", "x [y](z)"), ("x ^[n", "x "),
    ("*a\nb* c", ""), ("*a\nb* c\n", "*a\nb* c\n"), ("a | b", "a "), ("a | b\nc", "a | b\nc"),
])  # fmt: skip
def test_what_is_held(text: str, left: str) -> None:
    """The table of docs/markdown.md."""
    assert "".join(str(item) for item in released(sf.Markdown(), list(text))[0]) == left


@pytest.mark.parametrize("text", [
    "a * b * c", "snake_case_name", "a < b", "2 > 1", "AT&T, R&D", "about ~5", "f(x) = x^2", "3 ] 4", "Really! Yes.", "5_000_000", "a - b - c", "a # b", "5 * 3 = 15", "e.g. 1. this: that", '"quoted" (so)', "x = y; # z",
])  # fmt: skip
def test_what_is_no_markup_leaves_at_once(text: str) -> None:
    """At most one character is held, until the one behind it says that it is nothing."""
    machine = sf.Markdown().machine()
    machine.feed("So ")
    for character in text:
        machine.feed(character)
        assert machine.held <= 2, character


def test_nothing_is_held_that_no_continuation_could_change() -> None:
    """By brute force: where something is held, with its next character shown some continuation would break the law."""
    endings = ["".join(letters) for n in range(5) for letters in itertools.product("*`_a) \n", repeat=n)]
    for text in ("a*b", "a * b", "`a", "x_y _z", "**a* b", "[a](b", "a\nb_"):
        for begun, left in shown(text):
            if begun == left:
                continue
            more = begun[: len(left) + 1]
            wholes = [begun + ending for ending in endings] + [begun + "](u)"]
            assert any(not seen(whole).startswith(seen(more)) for whole in wholes), (begun, left)


@pytest.mark.parametrize(
    "mark",
    [
        "*",
        "_",
        "[",
        "![",
        "`",
        "<",
        "|",
        "&",
        "~~",
        "\\",
        "*a ",
        "_a *b ",
        "`a ``b ",
        "<a ",
        "[a](",
        "[a][",
        "<!--",
        "- ",
        "> ",
        "1. ",
        "#",
        "=",
        " ",
        "\n",
        "a|\n",
        "[[a]",
        "[](a",
        "^[",
        "a**b*c",
        "\\\n",
        "<div>\n",
        "\t",
        "[^a]: ",
    ],
)
def test_a_flood_of_marks_is_bounded(mark: str) -> None:
    """Never more than `max_hold` characters are held, and nothing is lost."""
    text = mark * (8_000 // len(mark))
    machine = sf.Markdown(max_hold=200).machine()
    out = ""
    for at in range(0, len(text), 7):
        out += "".join(str(item) for item in machine.feed(text[at : at + 7]))
        assert machine.held <= 200
    assert out + "".join(str(item) for item in machine.finish()) == text


@pytest.mark.parametrize("before", ["", "> ", "a\n", "- x\n"])
@pytest.mark.parametrize("mark", [*" \t*-_", "* ", "_ "])
def test_a_line_that_stays_open_is_not_read_again(monkeypatch: pytest.MonkeyPatch, mark: str, before: str) -> None:
    """Blanks, and what may be a rule, say nothing new however many come: a large `max_hold` does not make them dear."""
    read: list[int] = []
    real = Blocks.read

    def counted(self: Blocks, line: str, *, is_whole: bool) -> Any:
        read.append(len(line))
        return real(self, line, is_whole=is_whole)

    monkeypatch.setattr(Blocks, "read", counted)
    text = before + mark * 1500 + "\n\n*a* b"
    assert "".join(sf.Markdown(max_hold=20_000).iter(list(text))) == text
    assert sum(read) < 4 * len(text)


def test_what_overflows_leaves_as_it_is_and_the_rest_is_read_on() -> None:
    """Behind a construct that is too long the law goes on."""
    long = "[" + "a " * 20
    left = [out for _, out in shown(f"{long}\n\nand **bold** [x](y) z", max_hold=20)]
    assert left[0] == long[:21]
    assert f"{long}\n\nand " in left
    assert f"{long}\n\nand **bold** " in left
    assert not any(out.endswith(("**bo", "[x](")) for out in left)


def test_events_keep_their_place_and_channels_are_apart() -> None:
    """An event in the middle of a link leaves behind the text before it; each channel is a document."""
    fed, rest = released(sf.Markdown(), ["a [b", Mark(name=1), "](c) d"])
    assert "".join("|" if isinstance(item, Mark) else str(item) for item in [*fed, *rest]) == "a [b|](c) d"
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    machine = sf.Markdown().machine()
    assert list(machine.feed(sf.TextDelta("a **b", one))) == [sf.TextDelta("a ", one)]
    assert list(machine.feed(sf.TextDelta("c** d", two))) == [sf.TextDelta("c** d", two)]  # nothing is open there


def test_lone_surrogates_and_unfinished_ends_pass() -> None:
    """Any str is text, and what is held at the end leaves."""
    for text in ("*\ud800*", "a **b", "[a](", "```", "| a |", "\x00`", "&#"):
        assert sf.Markdown().apply(text) == text
        batch(sf.Markdown(), list(text), str)


def test_bad_limits_fail_when_the_stage_is_built() -> None:
    """A hold of nothing would hold no markup."""
    with pytest.raises(ValueError, match="max_hold"):
        sf.Markdown(max_hold=0)
    assert "at most 7 characters" in sf.Markdown(max_hold=7).explain()


@pytest.mark.parametrize(("stage", "means", "alphabet"), LAWFUL3, ids=[repr(stage) for stage, _, _ in LAWFUL3])
def test_markdown_obeys_every_law(stage: AnyStage, means: Callable[[str], str], alphabet: str) -> None:
    """Batch, prefix, place, ending, done, grouping and independence."""
    check_stage(stage, means, alphabet=alphabet, examples=60)


def _recorded() -> list[str]:
    texts = ("".join(sf.text_of([body(entry)])) for entry in shared("openai.chat"))
    return [text for text in texts if text]


def test_the_law_holds_for_recorded_answers() -> None:
    """What models wrote, character by character; of long answers the beginning."""
    texts = _recorded()
    if not texts:
        pytest.skip("the shared recordings are not beside this checkout")
    for text in texts:
        check(text[:1500])
