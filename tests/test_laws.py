"""Every public stage obeys every law. A stage that is missing from the table fails."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import itertools
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

import pytest
import regex

import streamfilter as sf
from streamfilter.matching import AnyRule, Rule, replace_all
from streamfilter.testing import check_stage, run_virtually
from streamfilter.testing.laws import AnyStage

WORD_A = Rule("x", r"\ba\b")
BS = Rule("y", r"b+(?= )")
TERMS = sf.Terms(["ab", "b a", "b"])
EVEN = Rule("even", r"\d+", check=lambda text: int(text) % 2 == 0)


def _redacted(*rules: AnyRule, to: str = "[{rule}]") -> Callable[[str], str]:
    return lambda text: replace_all(rules, text, lambda match: to.format(rule=match.rule.name))


def _until(*stops: str, include: bool = False) -> Callable[[str], str]:
    def means(text: str) -> str:
        found = [(at, len(stop)) for stop in stops if (at := text.find(stop)) >= 0]
        return text[: min(found)[0] + include * min(found)[1]] if found else text

    return means


def _before(pattern: str, message: str = "") -> Callable[[str], str]:
    def means(text: str) -> str:
        match = regex.search(pattern, text)
        return text[: match.start()] + message if match else text

    return means


def _upper(match: Any) -> str:
    return str(match.group()).upper()


def _place(match: Any) -> str:
    return str(match.start())


@sf.stage
class WithVault(sf.TextStage):
    """A stage each of whose runs has a vault of its own, in which some texts are."""

    inner: Any
    texts: tuple[str, ...] = ()

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        vault = sf.Vault()
        for text in self.texts:
            vault.issue("a", text)
        text_stage: sf.TextStage = self.inner
        return text_stage.start(sf.Context(vault=vault))


def _hidden(text: str) -> str:
    """`Redact(Rule("a", "a+"), to=Placeholder())`, written out for one text and a new vault."""
    issued: dict[tuple[str, str], str] = {}
    typed: set[str] = set()

    def issue(name: str, text: str) -> str:
        numbers = [number for number in range(1, 99) if f"<{name}_{number}>" not in typed | set(issued.values())]
        return issued.setdefault((name, text), f"<{name}_{numbers[0]}>")

    out, at = "", 0
    while at < len(text):
        match = regex.compile("a+").match(text, at)
        looks = regex.compile(r"< {0,3}(a(?:[ _]?[a1])*[ _]1+) {0,3}>").match(text, at)
        placeholder = f"<{looks[1].replace(' ', '_').upper()}>" if looks else ""
        if match:
            out += issue("A", match[0])
        elif looks and placeholder in issued.values():
            out += issue("TEXT", looks[0])
            match = looks
        else:
            typed.add(placeholder)
            out += text[at]
        at = match.end() if match else at + 1
    return out


def _masked(match: Any) -> str:
    return "•" if len(match[0]) < 2 else "•" * (len(match[0]) - 1) + str(match[0][-1])


def _hash(match: Any) -> str:
    return f"[redacted:{hmac.new(b'pepper and salt', match[0].encode(), 'sha256').hexdigest()[:12]}]"


def _windows(window: sf.Segmentation, becomes: Callable[[str], str]) -> Callable[[str], str]:
    """Each window of the whole text by itself. The windows are the finder's: `test_segment` has their reference."""

    def means(text: str) -> str:
        ends = [0, *window.start().feed(text), len(text)]
        return "".join(becomes(text[start:end]) for start, end in itertools.pairwise(ends))

    return means


def _replaced(window: sf.Window) -> sf.Verdict:
    return sf.Verdict.replace(window.text.swapcase() + "|" if "a" in window.text else "")


LAWFUL: list[tuple[AnyStage, Callable[[str], str]]] = [
    (sf.MapText(str.upper), str.upper),
    (sf.MapText(lambda text: text.replace("a", "")), lambda text: text.replace("a", "")),
    (sf.Redact("ab"), lambda text: regex.sub("ab", "[redacted]", text)),
    (sf.Redact("a+b?", to=""), lambda text: regex.sub("a+b?", "", text)),
    (
        sf.Redact(Rule("x", r"\ba\b"), Rule("y", r"b+(?= )"), to="<{rule}>"),
        _redacted(Rule("x", r"\ba\b"), Rule("y", r"b+(?= )"), to="<{rule}>"),
    ),
    (sf.Redact(EVEN, Rule("ab", "ab")), _redacted(EVEN, Rule("ab", "ab"))),
    (
        sf.Redact("ab|a b", to=lambda match: match.group().upper()),
        lambda text: regex.sub("ab|a b", lambda match: match.group().upper(), text),
    ),
    (sf.Redact("a+b?", to=sf.Mask(keep_last=1)), lambda text: regex.sub("a+b?", _masked, text)),
    (sf.Redact("[ab]+", to=sf.Hash("pepper and salt")), lambda text: regex.sub("[ab]+", _hash, text)),
    (WithVault(sf.Redact(Rule("a", "a+"), to=sf.Placeholder())), _hidden),
    (WithVault(sf.Restore(), ("a<", "> <A_1>")), lambda text: regex.sub(r"< {0,3}a[ _]1 {0,3}>", "a<", text)),
    (sf.Redact(TERMS, "12", to="<{rule}>"), _redacted(TERMS, Rule("redacted", "12"), to="<{rule}>")),
    (
        sf.Redact(r"(a|b)\1", "a+b?", TERMS, to="<{rule}>"),
        _redacted(Rule("redacted", r"(a|b)\1"), Rule("redacted", "a+b?"), TERMS, to="<{rule}>"),
    ),
    (sf.Redact("b[^b]?a", to="", max_hold=3), lambda text: regex.sub("b[^b]?a", "", text)),
    (sf.Replace("a*", "-"), lambda text: regex.sub("a*", "-", text)),
    (sf.Replace(r"(a)(b)?", r"<\2\1>", 2), lambda text: regex.sub(r"(a)(b)?", r"<\2\1>", text, 2)),
    (sf.Replace(r"(a)b{0,2}", r"-\n\1"), lambda text: regex.sub("(a)b{0,2}", r"-\n\1", text)),
    (sf.Replace(r"^b|b$", "#"), lambda text: regex.sub(r"^b|b$", "#", text)),
    (sf.Replace(r"a+", _place), lambda text: regex.sub("a+", _place, text)),
    (sf.FilterJSON(sf.Redact("ab")), lambda text: regex.sub("ab", "[redacted]", text)),
    (sf.Moderate(lambda window: True), str),
    (sf.Moderate(lambda window: "a" not in window.text, window=sf.by_chars(1), action="stop", message="#"), _before("a", "#")),
    (
        sf.Moderate(_replaced, window=sf.by_words(2), concurrency=2, lookback_chars=2),
        _windows(sf.by_words(2), lambda text: text.swapcase() + "|" if "a" in text else ""),
    ),
    (
        sf.Moderate(lambda window: "aa" not in window.text, mode="optimistic", window=sf.whole(), action="stop", message="#"),
        lambda text: text + "#" * ("aa" in text),
    ),
    (sf.StopAt("ab", "b b"), _until("ab", "b b")),
    (sf.StopAt("a", "ab", include=True), _until("a", "ab", include=True)),
    (sf.Block("ab+ ", action="stop", message="!"), _before("ab+ ", "!")),
    (sf.Drop("reasoning"), str),
    (sf.Drop("answer"), lambda _: ""),
    (sf.Tap(id), str),
    (sf.Pipeline(), str),
    (
        sf.Redact("ab", to="b") | sf.Replace("bb", "c") | sf.StopAt("c "),
        lambda text: _until("c ")(text.replace("ab", "b").replace("bb", "c")),
    ),
]


@pytest.mark.parametrize(("stage", "means"), LAWFUL, ids=[repr(stage) for stage, _ in LAWFUL])
def test_every_stage_obeys_every_law(stage: AnyStage, means: Callable[[str], str]) -> None:
    """Batch, prefix, place, ending, done, grouping and independence hold for texts and cuts that Hypothesis finds."""
    without = ("place",) if stage == sf.Drop("answer") else ()  # what stands in a channel goes with it
    check_stage(stage, means, alphabet=[*"<a_1> ", "< a_1 >"] if isinstance(stage, WithVault) else "ab \n12", without=without)


TABLES = ("extract", "limits", "links", "markdown", "regroup", "shape", "sources", "timed")
"""The tables of other families: their own tests run the laws on them, with the texts that they are about."""


ROWS: list[tuple[Any, ...]] = [
    *LAWFUL,
    *(row for name in TABLES for table in ("LAWFUL", "LAWFUL3") for row in getattr(import_module(f"laws_{name}"), table, ())),
]
"""All of them."""


def broken_off() -> sf.End:
    """What a decoder gives where it cannot read on."""
    return sf.End("error", sf.MalformedInput("an event cannot be read", 0))


@pytest.mark.parametrize("stage", {repr(stage): stage for stage, *_ in ROWS}.values(), ids=repr)
def test_what_is_held_dies_where_a_decoder_cannot_read_on(stage: AnyStage) -> None:
    """As on an error of the source; usage that waits in the text does not. What was decided before has left, whatever the cuts."""
    if any(part.function is not None for part in stage.stages):
        pytest.skip("it has no machine; to it, that is an error of the source")
    for text in ("a b 12\nab", "<a_1", "**bold [a](b ab", "x <think> y ab a"):
        for delta in (str, sf.TextDelta):
            given: list[Any] = []
            for pieces in ([text], list(text)):
                machine = stage.machine()
                given.append([item for piece in pieces for item in machine.feed(delta(piece))])
                if any(isinstance(item, sf.End) for item in given[-1]):
                    break
                usage, end = sf.Usage({"tokens": 9}), broken_off()
                early, late = machine.feed(usage), machine.feed(end)
                assert [item for item in (*early, *late) if isinstance(item, sf.Usage)] == [usage]
                assert [item for item in late if item is not usage] == [end]
                assert (machine.held, [*machine.finish()]) == (0, [])


def test_a_moderated_text_without_a_verdict_dies_where_a_decoder_cannot_read_on() -> None:
    """Nobody is asked any more, and no verdict is waited for."""
    asked: list[str] = []

    async def check(window: sf.Window) -> bool:
        asked.append(window.text)
        await asyncio.sleep(1)
        return True

    async def source() -> AsyncIterator[sf.Item]:
        yield "One is said. Two is "
        yield sf.Usage({"tokens": 9})
        await asyncio.sleep(0.5)
        yield broken_off()

    async def main() -> tuple[list[Any], float]:
        left: list[Any] = []
        stage: sf.Stage[Any, Any] = sf.Pipeline(sf.Moderate(check, window=sf.by_sentence()), sf.Redact("zzz"))
        with pytest.raises(sf.MalformedInput):
            async for item in stage(source()):
                left.append(item)  # noqa: PERF401  # what came before the error is looked at
        return left, asyncio.get_running_loop().time()

    left, seconds = run_virtually(main())
    assert left == [sf.Usage({"tokens": 9})]  # which waits in the text, and is all that survives
    assert seconds == pytest.approx(0.5, abs=1e-3)
    assert asked == ["One is said. "]


def test_every_public_stage_is_in_a_table() -> None:
    """A stage that is exported and not checked is found. Some give no text, read none, or have no machine for plain code."""
    public = {each for name in sf.__all__ if inspect.isclass(each := getattr(sf, name)) and issubclass(each, sf.Stage)}
    checked = {type(part) for stage, *_ in ROWS for part in (stage, *stage.stages, getattr(stage, "inner", stage))}
    give_values = {sf.JSONItems, sf.JSONText, sf.JSONEvents, sf.ParseJSON, sf.ToolCalls}
    of_chunks = {sf.wrap}  # whose laws are those of the formats: test_providers
    assert public - checked == {sf.Stage, sf.TextStage, sf.Buffer, sf.Timeout, sf.KeepAlive, *give_values, *of_chunks}
