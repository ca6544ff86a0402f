"""`FilterJSON`: against `json.loads` and the pipeline on each string, for every spelling and cut; ends, keys, paths, text around."""

from __future__ import annotations

import contextlib
import itertools
import json
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import regex

import streamfilter as sf
from streamfilter.json.filtering import FilterJSON
from streamfilter.parsing import filtering as filter_run
from streamfilter.parsing import passage as filter_passage
from streamfilter.parsing.passage import escaped
from streamfilter.parsing.paths import JSONPath
from streamfilter.providers.openai import chat
from streamfilter.testing import Mark, check_stage, cut, done, ending, independence, place, prefix, released

SUITE = Path(__file__).resolve().parent.parent.parent / "shared" / "jsontestsuite"
FILES = sorted(SUITE.glob("*.json"))
UNTYPED: Any = FilterJSON
ROUNDS = 300

IDENTITY: sf.Pipeline[str, str] = sf.Pipeline()
AT = sf.Redact("[a-z]+@[a-z]+", to="[email]")

PIPELINES: list[sf.Stage[str, str]] = [
    IDENTITY,
    sf.MapText(str.upper),
    sf.MapText(lambda text: text.replace("a", "")),
    sf.Redact("a+b?", to=""),
    sf.Redact("@", to='"\\'),
    sf.Redact('[@"]+'),
    sf.Redact("a+", to="aa"),  # often gives what it was fed, but earlier
    sf.Redact("a|b", to=lambda match: match.group()),
    sf.Redact("[\U0001f600é]", to="\n"),
    sf.Redact("[ab][^1]*1", max_hold=5),
    sf.Replace("a", "aa"),
    sf.Replace("a*", "-"),
    sf.Replace("(a)(b)?", r"\2\1"),
    sf.Replace("a", "b") | sf.Replace("b", "a"),
    sf.Redact("ab", to="b") | sf.Replace("bb", "c") | sf.Replace("b", "a\n"),
    sf.Drop("answer"),
]


# ------------------------------------------------------------------ documents


def a_text(rng: random.Random) -> str:
    """A short text, with much that needs escapes, or may have them."""
    return "".join(rng.choice('ab@"\\/\n\té你\U0001f600 1\ud83d') for _ in range(rng.choice([0, 1, 2, 5, 12])))


def spelled(rng: random.Random, text: str) -> str:
    """A JSON string that says this, with escapes by chance."""
    out = []
    for character in text:
        code = ord(character)
        short = {'"': r"\"", "\\": r"\\", "/": r"\/", "\n": r"\n", "\t": r"\t"}.get(character)
        if character not in '"\\' and code >= 32 and rng.random() < 0.7:
            out.append(character)
        elif short and rng.random() < 0.5:
            out.append(short)
        else:
            units = [code] if code < 0x10000 else [0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)]
            out += [rng.choice([f"\\u{unit:04x}", f"\\u{unit:04X}"]) for unit in units]
    return f'"{"".join(out)}"'


def a_document(rng: random.Random, depth: int = 4) -> str:
    """A JSON text, written by hand."""

    def blank() -> str:
        return rng.choice(["", "", "", " ", "\n", "  \t"])

    kind = rng.random()
    if not depth or kind < 0.45:
        return spelled(rng, a_text(rng))
    if kind < 0.6:
        return rng.choice(["0", "-12", "1.5e+10", "12E3", "true", "false", "null", "123456789012345678901234567890"])
    between = f"{blank()},{blank()}"
    if kind < 0.8:
        return f"[{blank()}{between.join(a_document(rng, depth - 1) for _ in range(rng.randrange(4)))}{blank()}]"
    colon = f"{blank()}:{blank()}"
    items = (f"{spelled(rng, f'{a_text(rng)}{n}')}{colon}{a_document(rng, depth - 1)}" for n in range(rng.randrange(4)))
    return f"{{{blank()}{between.join(items)}{blank()}}}"


def documents(rounds: int = ROUNDS, seed: int = 0) -> Iterator[tuple[random.Random, str]]:
    """Texts written by hand and by `json.dumps`, with white space around them."""
    for n in range(rounds):
        rng = random.Random(seed * rounds + n)
        text = a_document(rng)
        if rng.random() < 0.3:
            ascii_only, indent = rng.random() < 0.5, rng.choice([None, 1])
            text = json.dumps(json.loads(text), ensure_ascii=ascii_only, indent=indent, separators=rng.choice([None, (",", ":")]))
        yield rng, rng.choice(["", " ", "\n"]) + text + rng.choice(["", " ", "\n"])


def cuts(rng: random.Random, text: str) -> list[list[str]]:
    """At once, one character at a time, at random."""
    return [[text], list(text), cut(text, *(rng.randint(0, len(text)) for _ in range(rng.randint(1, 8))))]


def text_of(items: Sequence[Any]) -> str:
    return "".join(item if isinstance(item, str) else item.text for item in items if isinstance(item, str | sf.TextDelta))


def outcome(stage: sf.Stage[str, str], pieces: Sequence[Any]) -> tuple[str, sf.End | None]:
    """All text that leaves, and how it ended."""
    fed, rest = released(stage, pieces)
    items = fed + rest
    return text_of(items), items[-1] if items and isinstance(items[-1], sf.End) else None


def mapped(value: Any, becomes: Callable[[str], str], *, keys: bool = False) -> Any:
    """The reference: a value with each of its strings filtered."""
    if isinstance(value, str):
        return becomes(value)
    if isinstance(value, list):
        return [mapped(inner, becomes, keys=keys) for inner in value]
    if isinstance(value, dict):
        return {becomes(key) if keys else key: mapped(inner, becomes, keys=keys) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("pipeline", PIPELINES, ids=map(repr, PIPELINES))
def test_each_string_becomes_what_the_pipeline_makes_of_it(pipeline: sf.Stage[str, str]) -> None:
    """Values and keys, however they are written and cut; always the same text, and always JSON."""
    for rng, text in documents(ROUNDS // 6, seed=PIPELINES.index(pipeline)):
        for keys in (False, True):
            stage = FilterJSON(pipeline, keys=keys)
            want = mapped(json.loads(text), pipeline.apply, keys=keys)
            whole = stage.apply(text)
            assert json.loads(whole) == want, (text, whole)
            assert [outcome(stage, pieces) for pieces in cuts(rng, text)] == [(whole, None)] * 3, text


def test_what_does_not_change_keeps_every_byte() -> None:
    """Escapes, white space, numbers; by a pipeline that does nothing, or finds nothing, or puts back what it took."""
    for rng, text in documents():
        for pipeline in (IDENTITY, sf.Redact("nothing"), sf.Replace("[ab]+", lambda match: match.group())):
            assert [outcome(FilterJSON(pipeline, keys=True), pieces)[0] for pieces in cuts(rng, text)] == [text] * 3


def test_strings_beside_a_changed_one_keep_theirs() -> None:
    """And a changed one keeps its own up to the change. What is new has no more escapes than it needs."""
    text = r'{"n\u0061me":"caf\u00e9 joe\u0040home \/ \u00e9", "b" :[ "\u0061\/\ud83d\ude00" ,1e5 ]}'
    want = r'{"n\u0061me":"caf\u00e9 [email] / é", "b" :[ "\u0061\/\ud83d\ude00" ,1e5 ]}'
    assert FilterJSON(AT).apply(text) == want
    assert FilterJSON(sf.MapText(lambda text: text.translate({97: '"\\\n\x01\ud800é'}))).apply('"a"') == r'"\"\\\n\u0001\ud800é"'
    every = "".join(map(chr, [*range(300), 0xD7FF, 0xD800, 0xE000, 0xDFFF, 0x1F600]))
    assert json.loads(f'"{escaped(every)}"') == every


def as_units(text: str) -> str:
    """Written with four digits for everything."""
    data = text.encode("utf-16-be")
    return "".join(f"\\u{data[at] << 8 | data[at + 1]:04x}" for at in range(0, len(data), 2))


@pytest.mark.parametrize("secret", ["joe@home", '"joe\\', "é\U0001f600\n"])
def test_no_spelling_slips_past(secret: str) -> None:
    """With escapes for all, for as much as is needed, for ASCII; cut in two everywhere, also inside of surrogate pairs."""
    stage = FilterJSON(sf.Redact(regex.escape(secret), to="#"))
    for written in (as_units(secret), json.dumps(secret)[1:-1], escaped(secret)):
        text = f'{{"a": "to {written}!", "b": "{written}"}}'
        for pieces in (list(text), *([text[:at], text[at:]] for at in range(1, len(text)))):
            assert outcome(stage, pieces) == ('{"a": "to #!", "b": "#"}', None)


# ------------------------------------------------------------------ the laws


@pytest.mark.parametrize("pipeline", PIPELINES, ids=map(repr, PIPELINES))
def test_what_has_left_does_not_depend_on_the_cuts(pipeline: sf.Stage[str, str]) -> None:
    """Texts that are cut off anywhere, and events in them, which keep their place; two streams share nothing."""
    for rng, text in documents(15, seed=100 + PIPELINES.index(pipeline)):
        stage = FilterJSON(pipeline, keys=rng.random() < 0.5, at=rng.choice([None, "$[*]", "$..*"]))
        text = text[: rng.randint(1, len(text))]  # noqa: PLW2901
        for pieces in cuts(rng, text):
            prefix(stage, pieces)
        places = [rng.randint(0, len(text)) for _ in range(4)]
        place(stage, text, rng.randint(0, len(text)), places)
        ending(stage, cut(text, *places))
        done(stage, cut(text, *places))
        independence(stage, cut(text, *places), list(text))


@pytest.mark.parametrize("marks", [1, 64])
def test_the_spelling_does_not_depend_on_the_cuts(marks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short strings of two letters in two spellings, where text comes out early, is deleted, is put back."""
    monkeypatch.setattr(filter_passage, "MARK_CHARS", marks)
    pipelines = [sf.Redact("a+", to="aa"), sf.Replace("ab", ""), sf.Replace("b", ""), sf.Replace("a", "aa") | sf.Replace("ab", "b")]
    every = list(itertools.product(["a", "b", "\\u0061", "\\u0062"], repeat=5))
    for pipeline, parts in itertools.product(pipelines, random.Random(marks).sample(every, 100)):
        stage = FilterJSON(pipeline)
        text = f'{{"k":"{"".join(parts)}"}}'
        said = json.loads(text)["k"]
        whole = stage.apply(text)
        assert json.loads(whole)["k"] == pipeline.apply(said)
        if pipeline is not pipelines[0]:  # which gives what is new, though it looks the same
            assert whole == text or json.loads(whole)["k"] != said
        for pieces in (list(text), ['{"k":"', *parts, '"}'], cut(text, 8, 12)):
            assert outcome(stage, pieces) == (whole, None)
        prefix(stage, ['{"k":"', *parts])


def test_text_without_documents_goes_through_the_pipeline() -> None:
    """All laws, with the pipeline's own meaning."""
    check_stage(FilterJSON(sf.Redact("ab")), lambda text: text.replace("ab", "[redacted]"), alphabet="ab \n")
    check_stage(FilterJSON(sf.Redact("a+b?", to="")), lambda text: regex.sub("a+b?", "", text), alphabet="ab ")
    check_stage(FilterJSON(sf.StopAt("ab")), lambda text: text.partition("ab")[0], alphabet="ab \n")
    check_stage(FilterJSON(IDENTITY), str, alphabet='"\\u0061 \n')


def test_text_leaves_at_the_first_moment() -> None:
    """Of a string everything but half an escape; keys, numbers and literals when they are whole; all else at once."""
    script = [
        ('{"k', ""), ("ey", ""), ('" ', ""), (": [", '{"key" : ['), ('"a', '"a'), ('", "', '", "'), ('", ', '", '), ("12", ""), ("3", ""), (", ", "123, "), ("tr", ""), ("ue", "true"),
        (', "te', ', "te'), ("xt ", "xt "), ("\\", ""), ("u00", ""), ("e9s", "\\u00e9s"), ("\\ud83d", ""), ("\\ude", ""),
        ("00", "\\ud83d\\ude00"), ('"', '"'), ("]", "]"), ("}", "}"), ("\n", ""), (" ", ""), ('{"', ""), ('a":', '\n {"a":'), ("{}", "{}"), (', "b', ", "), ('"', '"b"'),
    ]  # fmt: skip
    machine = FilterJSON(IDENTITY).machine()
    assert [(piece, text_of(machine.feed(piece))) for piece, _ in script] == script
    machine = FilterJSON(AT).machine()
    pieces = ['{"a": "to ', "jo", "e\\u0040", "home", ", \\u0061nd", ' joe"']
    assert [text_of(machine.feed(piece)) for piece in pieces] == ['{"a": "to ', "", "", "[email]", ", ", 'and joe"']


def test_large_pieces_are_read_in_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which nobody notices, wherever they end."""
    for rng, text in documents(100):
        stage = FilterJSON(rng.choice(PIPELINES), keys=True)
        for text_or_less in (text, text[: rng.randint(0, len(text))] + rng.choice('x"1]')):
            want = outcome(stage, [text_or_less])
            monkeypatch.setattr(filter_run, "READ_CHARS", rng.randint(1, 5))
            got = outcome(stage, [text_or_less])
            monkeypatch.undo()
            assert (got[0], repr(got[1])) == (want[0], repr(want[1]))


def test_memory_is_bounded() -> None:
    """Of a string whose text is deleted, or comes out twice, nothing piles up; nor of one that is not there to be filtered."""
    for stage, most in (
        (FilterJSON(sf.MapText(lambda text: "")), 100),
        (FilterJSON(sf.MapText(lambda text: text * 2)), 100),
        (FilterJSON(IDENTITY, at="$.b"), 0),
    ):
        machine = stage.machine()
        machine.feed('{"a": "')
        for _ in range(2000):
            machine.feed("aaaa\\u0061")
            assert machine.held <= most


# ------------------------------------------------------------------ stops


def cut_off(value: Any, stop: str) -> tuple[Any, bool]:
    """The reference: a value up to the first string with a stop string in it, in the order of the text."""
    if isinstance(value, str):
        before, found, _ = value.partition(stop)
        return before, bool(found)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    kept: list[tuple[Any, Any]] = []
    for key, inner in pairs:
        short, stopped = cut_off(inner, stop)
        kept.append((key, short))
        if stopped:
            break
    else:
        return value, False
    return dict(kept) if isinstance(value, dict) else [inner for _, inner in kept], True


@pytest.mark.parametrize("stop", ["a", "@", '"', "\U0001f600", "1"])
def test_a_stop_inside_a_string_leaves_valid_json(stop: str) -> None:
    """The string and every container around it are closed; all before it is there, nothing behind it."""
    for pipeline in (sf.StopAt(stop), sf.Block(regex.escape(stop), action="stop"), sf.Redact("b", to="b") | sf.StopAt(stop)):
        stops = 0
        for rng, text in documents(ROUNDS // 6):
            want, stopped = cut_off(json.loads(text), stop)
            whole, end = outcome(FilterJSON(pipeline), [text])
            stops += stopped
            assert json.loads(whole) == want
            assert (end is not None) == stopped
            assert {outcome(FilterJSON(pipeline), pieces)[0] for pieces in cuts(rng, text)} == {whole}
        assert stops


def test_a_stop_inside_a_key() -> None:
    """What came before it of the key has no value."""
    stage = FilterJSON(sf.StopAt("END"), keys=True)
    assert stage.apply('{"a": [{"b": 1, "the END of": 2}]}') == '{"a": [{"b": 1, "the ": null}]}'
    assert stage.apply('{"END": 1}') == '{"": null}'
    assert FilterJSON(sf.Block("END", action="stop", message='"no"'), keys=True).apply('{"END": 1}') == r'{"\"no\"": null}'
    assert FilterJSON(sf.StopAt("END")).apply('{"END": 1}') == '{"END": 1}'


def test_a_stop_at_the_end_of_a_string_or_of_the_text() -> None:
    """Where it is only certain there; a text that is cut off is closed then too."""
    stage = FilterJSON(sf.Block(r"\d+$", action="stop"))
    assert stage.apply('[{"a": "x12"}, 3]') == '[{"a": "x"}]'
    assert stage.apply('[{"a": "x12') == '[{"a": "x"}]'
    assert stage.apply("see 12") == "see "
    assert stage.apply('see 12{"a": 1}') == "see "


def test_an_error_leaves_what_was_decided() -> None:
    """The string is not closed: nobody should take it for whole."""
    stage = FilterJSON(sf.Block(sf.Rule("canary", "c4n4ry")))
    for pieces in (['{"a": "so c4n4ry"}'], list('{"a": "so c4n4ry"}'), list(r'{"a": "so \u0063\u0034n4ry"}')):
        text, end = outcome(stage, pieces)
        assert text == '{"a": "so '
        assert end
        assert isinstance(end.error, sf.Blocked)
        assert (end.error.rule, end.error.offset) == ("canary", 3)


def test_a_function_that_raises_ends_the_stream() -> None:
    """With its own exception, unwrapped."""

    def fail(match: sf.Match) -> str:
        raise KeyError(match.rule.name)

    with pytest.raises(KeyError):
        FilterJSON(sf.Redact("a", to=fail)).apply('["b", "a"]')


# ------------------------------------------------------------------ keys, paths


def test_keys_are_filtered_where_that_is_asked_for() -> None:
    """They keep their spelling too, and what surrounds them."""
    text = r'{"joe\u0040home" : {"\u0061": "joe@home"}}'
    assert FilterJSON(AT).apply(text) == r'{"joe\u0040home" : {"\u0061": "[email]"}}'
    assert FilterJSON(AT, keys=True).apply(text) == r'{"[email]" : {"\u0061": "[email]"}}'


def test_strings_at_paths() -> None:
    """One path or several; with keys, those of the values there. Nothing else is touched."""
    text = 'A {"a": "x", "b": [{"a": "x", "c": ["x", "x"]}, "x"], "x": 1} A'
    upper = sf.MapText(str.upper)
    for at, want in {
        "$.a": 'A {"a": "X", "b": [{"a": "x", "c": ["x", "x"]}, "x"], "x": 1} A',
        "$..a": 'A {"a": "X", "b": [{"a": "X", "c": ["x", "x"]}, "x"], "x": 1} A',
        "$.b[0].c[1]": 'A {"a": "x", "b": [{"a": "x", "c": ["x", "X"]}, "x"], "x": 1} A',
        ("$.b[1]", JSONPath("$.b[*].a")): 'A {"a": "x", "b": [{"a": "X", "c": ["x", "x"]}, "X"], "x": 1} A',
        "$": 'A {"a": "x", "b": [{"a": "x", "c": ["x", "x"]}, "x"], "x": 1} A',
    }.items():
        for pieces in (text, *cuts(random.Random(1), text)):
            assert outcome(FilterJSON(upper, at=at), list(pieces))[0] == want
    assert FilterJSON(upper, at="$..a", keys=True).apply(text) == text.replace('"a": "x"', '"A": "X"')
    assert FilterJSON(upper, at="$").apply('"x"') == '"X"'


def test_paths_agree_with_their_own_meaning() -> None:
    """The strings that `JSONPath.matches` names, in random documents."""

    def there(value: Any, path: list[str | int]) -> Any:
        if isinstance(value, str):
            return f"<{value}" if wanted.matches(path) else value
        if isinstance(value, list):
            return [there(inner, [*path, n]) for n, inner in enumerate(value)]
        return {k: there(inner, [*path, k]) for k, inner in value.items()} if isinstance(value, dict) else value

    for (_, text), at in zip(documents(), itertools.cycle(["$..*", "$[1]", "$[*][0]", "$..[1]", "$"])):
        wanted = JSONPath(at)
        assert json.loads(FilterJSON(sf.Replace("^", "<"), at=at).apply(text)) == there(json.loads(text), [])


# ------------------------------------------------------------------ text around documents


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('Sure, a: {"a": "a"} and a', 'SURE, A: {"A": "A"} AND A'),
        ('```json\n{"a": "a"}\n```', '```JSON\n{"A": "A"}\n```'),
        ('use {a} or [a]: ["a"]', 'USE {A} OR [A]: ["A"]'),
        ('<think>{"a": "\\u0061"}</think>["\\u0061"]', '<THINK>{"A": "\\U0061"}</THINK>["A"]'),
        ('{"a": "a"}\n{"a": "a"}\n\n[]\n["a"]\n', '{"A": "A"}\n{"A": "A"}\n\n[]\n["A"]\n'),
        ('{"a":\n"a"}a{"a": "a"}', '{"A":\n"A"}A{"A": "A"}'),
        ("true", "true"),
        (" null\n", " null\n"),
        ("true, a", "TRUE, A"),
        ("1e5", "1e5"),
        ("1e", "1E"),
        ("nul", "NUL"),
        ("[ ]", "[ ]"),
        (" \n", " \n"),
        ("[ ] a", "[ ] A"),
        ('"\\u0061"', '"A"'),
        (' "a"\n"a" ', ' "A"\n"A" '),
        ('"a," she said', '"A," SHE SAID'),
        ('"a\na" {"a": "\\u0061"}', '"A\nA" {"A": "A"}'),
        ('"\\u0061 \\a" a', '"A \\A" A'),
        ('{"a', '{"A'),
        ("[[ {", "[[ {"),
    ],
    ids=repr,
)
def test_text_around_documents_goes_through_the_pipeline(text: str, want: str) -> None:
    """As it is written. White space, and a number, literal or empty array that is all there is, stay."""
    stage = FilterJSON(sf.MapText(lambda text: text.upper().replace(" ", " ")), keys=True)
    for pieces in cuts(random.Random(text), text) if len(text) < 1000 else [[text]]:
        assert outcome(stage, pieces) == (want, None)


@pytest.mark.parametrize("blanks", [1000, 1001, 5000])
@pytest.mark.parametrize("before", ["", "[1]", r'"\u0061"'])
def test_white_space_around_documents_is_no_text(blanks: int, before: str) -> None:
    """However much there is. Before text, the last thousand of it are text."""
    stage = FilterJSON(sf.Replace(" ", "_"))
    blank, shown = " " * blanks, before.replace(r"\u0061", "a")
    for behind, want in (
        ('["a b"]', blank + '["a_b"]'),
        ('"a b"', blank + '"a_b"'),
        ("", blank),
        ("x", " " * (blanks - 1000) + "_" * 1000 + "x"),
    ):
        for pieces in cuts(random.Random(1), before + blank + behind):
            out, end = outcome(stage, pieces)
            assert (out.replace(r"\u0061", "a"), end) == (shown + want, None)
    for text in (f"{blank}true{blank[:900]}", f"\n{blank}-1.5e3"):
        for pieces in cuts(random.Random(1), text):
            assert outcome(FilterJSON(sf.MapText(lambda text: text.replace("e", "x"))), pieces) == (text, None)


READERS: list[sf.Stage[Any, Any]] = [
    sf.ParseJSON(truncated="partial", strict=strict, many=many) for strict in (False, True) for many in (False, True)
]
READERS += [sf.ParseJSON(dict, truncated="partial"), sf.ParseJSON(list, truncated="partial"), sf.JSONItems("$[*]")]


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        (r'"Here you are: {"to": "joe\u0040home"}', True),
        (r'"Sure! [{"to": "joe\u0040home"}]"', True),
        (r'{"to": "x"} "and {"to": "joe\u0040home"}', True),
        ('"see {\n"to": "joe\\u0040home"}', True),
        (r'Hi {"a": 1} "and [1, "\u0040"]', True),
        (r'"see [" "," "\u0040 "] x', True),
        ('["{} joe\\u0040home\n"] x', True),  # read strictly, the string is shown before it is malformed
        (r' [["joe\u0040home\x"]] x', True),
        (r'"to {", said \u0040', True),
        (r'1 "joe\u0040home"', False),
        (r'true"joe\u0040home"', False),
        ('{"a": 1}\n2\n"joe\\u0040home"\n', False),
        ("1 " * 800 + r'"joe\u0040home"', False),
        (r'["joe\u0040home', False),
        ('\x1e["joe\\u0040home\\', False),
        ('{"k": 1}<think>["\\u0040"]', False),
        ('"see [1] {}" [1]', False),
        ('"see {" {"a": "\\u0040"}', False),
        (r'"a," [said] "{\u0040', False),
        (r'["{"] x":1,"to":"joe\u0040home"}', True),  # who looks for an object alone begins inside of that string
        (r'{"a":"["} joe\u0040home"]', True),
        (r'Use ["{"] like so": 0, "to": "joe\u0040home"}', True),
        (r'{"[": 1} joe\u0040home"]', True),
        (r'[1, {"a": "see { "}] and {"b": 2} joe\u0040home"]', True),
        (r'{"a": "see [1, [2], "} joe\u0040home"]', True),
        (r'[1, {"a": "see {x}"}] and {"b": 2} joe\u0040home"]', False),  # nothing can go on behind that string
        (r'{"a": "see [1]", "k[0]": "[a-z]+"} joe\u0040home"]', False),
        (r'["{}"] is \(x^2\), C:\temp or \d+', False),
        (r'["{"] so it is {"k": "\u0040"}', False),
        (r'["{", "\u0040"] and "more"', False),
        (r'{"a":"{"} joe\u0040home"}', False),
        (r'["["] joe\u0040home"]', False),
        (r'"a" <think>{"k":"\u0040"}', False),  # which is no leading thought
        (r'"a <think>" <think>{"k":"\u0040"}</think>{"k":"\u0040"}', False),
        (r'"a"' + " " * 1001 + r'<think>["\u0040"]', False),
        ("1" * 1001 + r' <think>["\u0040"]', False),
        ("[ ]" + " " * 1001 + r'<think>["\u0040"]', False),
        ("[ ]" * 400 + r'<think>["\u0040"]', False),
        ("\x1e" * 1001 + r'["\u0040"]', False),
    ],
)
def test_no_reader_of_json_finds_an_escape_that_was_not_filtered(text: str, is_refused: bool) -> None:
    """What begins with a quotation mark is a string for one, and prose with a document in it for another: who could be misled by it
    gets an error. Alike at every cut."""
    stage = FilterJSON(sf.Redact("@", to="#"), keys=True)
    found = set()
    for pieces in cuts(random.Random(1), text):
        out, end = outcome(stage, pieces)
        assert (end is not None) == is_refused
        found.add(out)
        for reader in READERS:
            values: list[Any] = []
            with contextlib.suppress(sf.StreamFilterError):
                for value in reader.iter([out]):
                    values.append(value)  # noqa: PERF402  # what was given before an exception counts
            assert "@" not in repr(values)
    assert len(found) == 1


def test_a_quotation_goes_on_as_one_text() -> None:
    """Where it turns out to be no JSON, what was open is still found; a document behind it is read rightly."""
    for text in ('"to joe@\nhome"', '"to joe@\\home"', '"to \\u006aoe@\x01home", \\'):
        stage = FilterJSON(sf.Redact(r"joe@[\n\\\x01]*home", to="#"))
        for pieces in cuts(random.Random(1), text + ' {"a": "\\u006aoe@home"}'):
            assert outcome(stage, pieces)[0].replace(", \\", "") == '"to #" {"a": "#"}'


# ------------------------------------------------------------------ malformed, truncated, too deep


@pytest.mark.parametrize(
    ("text", "left", "offset", "path"),
    [
        ('{"a": "joe" x, "b": "joe@home"}', '{"a": "joe" ', 12, ("a",)),
        ('{"a": "joe@\x01home"}', '{"a": "', 11, ("a",)),
        ('{"a": "to \\x"}', '{"a": "to ', 10, ("a",)),
        ('{"a": "\\ud83d\\u12 "}', '{"a": "', 13, ("a",)),
        ("[1, nul]", "[1, ", 4, (1,)),
        ('["a", -x]', '["a", ', 6, (1,)),
        ('["a", 01]', '["a", ', 6, (1,)),
        ('["a", 1 2]', '["a", 1 ', 8, (1,)),
        ('{"a":1,\n"b\x01": 1}', '{"a":1,\n', 10, ("a",)),
        ('{"a":1, "b"; 1}', '{"a":1, "b"', 11, ("b",)),
        ('so: {"a": 1,}', 'so: {"a": 1,', 12, ("a",)),
    ],
)  # fmt: skip
def test_malformed_json_ends_the_stream(text: str, left: str, offset: int, path: tuple[str | int, ...]) -> None:
    """At the place, with what was decided before it, whatever the cuts; nothing held leaves."""
    for pieces in cuts(random.Random(1), text):
        got, end = outcome(FilterJSON(AT), pieces)
        assert got == left
        assert end
        assert isinstance(end.error, sf.MalformedInput)
        assert (end.error.offset, end.error.path) == (offset, path)


def test_places_count_from_the_beginning_of_the_run() -> None:
    """Through text, documents and quotations; a second run begins anew."""
    text = 'a\n{"a": 1}\n"b\n" [1,\n x'
    machine = FilterJSON(IDENTITY).machine()
    for run in range(2):
        items = [item for piece in text for item in machine.feed(piece)] if run else list(machine.feed("ok " + text[:1]))
        if not run:
            machine.feed(sf.Event(boundary=True))
    error = items[-1].error  # type: ignore[union-attr]
    assert isinstance(error, sf.MalformedInput)
    assert (error.offset, error.line, error.column) == (text.index("x"), 5, 2)


def test_json_that_is_cut_off_stays_cut_off() -> None:
    """Held text is filtered and leaves, half an escape too; a key that was to be filtered and is not whole does not."""
    for text, want in {
        '{"a": "to joe@home': '{"a": "to [email]',
        '{"a": "to joe\\u0040home\\u00': '{"a": "to [email]\\u00',
        '{"a": [1, 12': '{"a": [1, 12',
        '{"a": tr': '{"a": tr',
        '{"a": 1, "b\\u00': '{"a": 1, "b\\u00',
        '{"a": 1, "b"': '{"a": 1, "b"',
    }.items():
        assert FilterJSON(AT).apply(text) == want
    assert FilterJSON(AT, keys=True).apply('{"a": 1, "joe@ho') == '{"a": 1, '
    with pytest.raises(sf.MalformedInput):
        FilterJSON(AT).apply('{"a": [1, 01')


def test_depth_is_limited() -> None:
    """What has left does not depend on the cuts."""
    text = '{"a": ' + '{"a": ' * 5
    for pieces in (*cuts(random.Random(1), text), *cuts(random.Random(2), text)):
        left, end = outcome(FilterJSON(AT, max_depth=3), pieces)
        assert left == '{"a": ' * 3
        assert end
        assert isinstance(end.error, sf.LimitExceeded)
    assert FilterJSON(sf.MapText(str.upper), max_depth=3).apply('[[["a"]]] [[["b"]]]') == '[[["A"]]] [[["B"]]]'
    deep = '{"a":' + "[" * 999 + '"joe@home"' + "]" * 999 + "}"
    assert FilterJSON(AT).apply(deep) == deep.replace("joe@home", "[email]")


@pytest.mark.skipif(not FILES, reason="the suite is not there")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_suite(path: Path) -> None:
    """What is valid comes out byte for byte; what is not ends as it should, and gives the same whatever the cuts."""
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("utf-8", "surrogateescape")
    if path.name.startswith("y_"):
        assert FilterJSON(IDENTITY, keys=True).apply(text) == text
        upper = FilterJSON(sf.MapText(str.upper), keys=True).apply(text)
        assert json.loads(upper) == mapped(json.loads(text), str.upper, keys=True)
    pieces = cuts(random.Random(1), text) if len(text) < 2000 else [[text]]
    endings = [outcome(FilterJSON(sf.Redact("a"), keys=True), each) for each in pieces]
    assert len({(left, repr(end)) for left, end in endings}) == 1
    for _, end in endings:
        assert end is None or isinstance(end.error, sf.MalformedInput | sf.LimitExceeded)


# ------------------------------------------------------------------ in a pipeline, in a stream


def test_it_composes_with_what_reads_json() -> None:
    """Escapes do not slip past to a parser."""
    stage = FilterJSON(AT) | sf.ParseJSON()
    values: list[Any] = list(stage.iter(list(r'Sure, ask joe@home: {"a": "to joe\u0040home", "b": [1]} bye')))
    assert values[-1] == {"a": "to [email]", "b": [1]}
    assert all("joe" not in repr(value) for value in values)


def test_json_inside_of_json() -> None:
    """A string that is itself JSON text."""
    inner = json.dumps({"mail": "joe@home"}).replace("@", r"\u0040")
    out = FilterJSON(FilterJSON(AT)).apply(json.dumps({"a": inner}))
    assert json.loads(json.loads(out)["a"]) == {"mail": "[email]"}


def test_the_report_counts_in_decoded_strings() -> None:
    """With the channel that the string is in; findings of all strings, also one whose end is open."""
    channel = sf.Channel("tool_arguments", (0, 0, "t1"))
    stage = FilterJSON(sf.Redact(sf.Rule("at", "@+")))
    with stage.iter([sf.TextDelta(piece, channel) for piece in ('{"a": "\\u0061\\u00', '40!", "b": "', "@@")]) as stream:
        list(stream)
        assert [(found.rule, found.channel, found.start, found.end) for found in stream.report.findings] == [
            ("at", channel, 1, 2),
            ("at", channel, 0, 2),
        ]


def test_the_vault_is_that_of_the_stream() -> None:
    """Placeholders are the same in all strings; without a vault the stream does not begin."""
    stage = FilterJSON(sf.Redact(sf.Rule("mail", "[a-z]+@[a-z]+"), to=sf.Placeholder()))
    context = sf.Context(vault=sf.Vault())
    text = stage.apply('["joe@home", "ann@home", "joe@home"]', context=context)
    assert text == '["<MAIL_1>", "<MAIL_2>", "<MAIL_1>"]'
    assert FilterJSON(sf.Restore()).apply(text, context=context) == '["joe@home", "ann@home", "joe@home"]'
    with pytest.raises(ValueError, match="vault"):
        stage.apply("[1]")


def test_an_event_between_pieces_keeps_its_place() -> None:
    """Behind a replacement it stands in, and at once where nothing is held."""
    script: list[Any] = ['["a jo', Mark(name=1), "e@ho", Mark(name=2), 'me b"', Mark(name=3), "]", Mark(name=4)]
    items = list(FilterJSON(AT).iter(script))
    assert [item if isinstance(item, str) else item.name for item in items if isinstance(item, str | Mark)] == [
        '["a ', "[email]", 1, 2, " ", "b", '"', 3, "]", 4,
    ]  # fmt: skip


@sf.stage
class Noting(sf.Stage[str, str]):
    """Puts an event behind each piece of text."""

    def machine(self, context: sf.Context | None = None) -> sf.Machine:
        class Machine(sf.Machine):
            def feed(self, item: sf.Item) -> Sequence[sf.Item]:
                return (item, Mark(name=item)) if isinstance(item, str) else (item,)

        return Machine()


def test_events_of_the_pipeline_pass() -> None:
    """Where they come out."""
    assert list(FilterJSON(Noting()).iter(['{"a": "b', 'c", "d": "e"}'])) == [
        '{"a": "b', Mark(name="b"), "c", Mark(name="c"), '", "d": "e', Mark(name="e"), '"}',
    ]  # fmt: skip


def test_a_chunk_in_which_nothing_changed_leaves_as_it_came() -> None:
    """As one item, the same one, however many strings it has."""
    delta = sf.TextDelta('{"a": "b", "c": ["d", "e"], "f": {}}', sf.Channel("tool_arguments", (0, 0)))
    (out,) = FilterJSON(AT).iter([delta])
    assert out is delta


def test_choices_stop_by_themselves() -> None:
    """A stop ends its choice, and the stream when all are over."""
    one, two = sf.Channel("answer", (0, 0)), sf.Channel("answer", (0, 1))
    script = [
        sf.TextDelta('["go', one),
        sf.TextDelta('["no', two),
        sf.TextDelta(' STOP"', one),
        sf.TextDelta('", 1]', two),
        sf.Finish("length", scope=two.key),
    ]
    out = list(FilterJSON(sf.StopAt("STOP", choices=2)).iter(script))
    assert text_of([item for item in out if isinstance(item, sf.TextDelta) and item.channel == one]) == '["go "]'
    assert text_of([item for item in out if isinstance(item, sf.TextDelta) and item.channel == two]) == '["no", 1]'
    assert [item.reason for item in out if isinstance(item, sf.Finish)] == ["stop", "length"]


def fragment(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    """A part of a tool call."""
    return {"index": index, "id": name, "type": "function", "function": {"name": name, "arguments": arguments}}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def arguments(chunks: Sequence[dict[str, Any]]) -> dict[int, str]:
    """What the calls of a stream were called with."""
    joined: dict[int, str] = {}
    for each in chunks:
        for call in each["choices"][0]["delta"].get("tool_calls", ()):
            joined[call["index"]] = joined.get(call["index"], "") + (call["function"]["arguments"] or "")
    return joined


def test_tool_calls_of_a_provider() -> None:
    """Arguments in fragments, of calls that take turns; each is its own JSON. What is untouched leaves on its own chunk, as it came."""
    written = [r'{"to": "joe\u0040home", "n": 1}', r'{"body": "d\u00e9j\u00e0 vu from ann@home"}', "{}"]
    chunks = [chunk(role="assistant", content=None), chunk(reasoning_content="hm, joe@home")]
    chunks += [chunk(tool_calls=[fragment(n, "", f"f{n}")]) for n in range(3)]
    for at in range(0, 50, 3):
        chunks += [chunk(tool_calls=[fragment(n, each[at : at + 3])]) for n, each in enumerate(written) if each[at:]]
    chunks += [chunk("tool_calls")]
    out = list(chat.wrap(sf.Drop("reasoning") | FilterJSON(AT)).iter(chunks))
    assert arguments(out) == {0: '{"to": "[email]", "n": 1}', 1: r'{"body": "d\u00e9j\u00e0 vu from [email]"}', 2: "{}"}
    assert "hm" not in repr(out)
    assert out[-1] == chunk("tool_calls")
    assert all(each in out for each in chunks if each["choices"][0]["delta"].get("tool_calls", [{"index": 0}])[0]["index"] == 2)


def test_answers_that_are_prose_beside_tool_calls() -> None:
    """Text stages for the one, `FilterJSON` for the others; a stop there closes the arguments and ends the choice."""
    chunks = [
        chunk(content='see [1, "2'),
        chunk(tool_calls=[fragment(0, '{"a": ["so ST', "f")]),
        chunk(tool_calls=[fragment(0, 'OP it"]}')]),
        chunk("tool_calls"),
    ]
    out = list(chat.wrap(AT | FilterJSON(AT | sf.StopAt("STOP")).on("tool_arguments")).iter(chunks))
    assert out[0] == chunks[0]
    assert arguments(out) == {0: '{"a": ["so "]}'}
    assert [each["choices"][0]["finish_reason"] for each in out if each["choices"]][-1] == "stop"


# ------------------------------------------------------------------ the value


def test_all_stages_of_the_pipeline_apply() -> None:
    """Whatever channels they name, and though guards leave tool arguments alone otherwise."""
    pipeline = AT.on("reasoning") | sf.MapText(str.upper)
    for kind in ("answer", "tool_arguments"):
        deltas = list(FilterJSON(pipeline).iter([sf.TextDelta('["joe@home"]', sf.Channel(kind, (0, 0)))]))
        assert text_of(deltas) == '["[EMAIL]"]'
    untouched = sf.TextDelta('["joe@home"]', sf.Channel("reasoning", (0, 0)))
    assert list(FilterJSON(pipeline).iter([untouched])) == [untouched]


def test_it_is_a_value() -> None:
    """Shown as it is written, comparable, picklable."""
    stage = FilterJSON(sf.Redact("a") | sf.StopAt("b"), at="$.a", keys=True)
    assert repr(stage) == ("FilterJSON(Pipeline(Redact(Rule('redacted', 'a')), StopAt('b')), at=(JSONPath('$.a'),), keys=True)")
    assert stage == FilterJSON(sf.Redact("a") | sf.StopAt("b"), at=[JSONPath("$.a")], keys=True)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert "answer, tool_arguments; holds what its pipeline holds" in stage.explain()


async def waiting(source: Any) -> Any:
    async for item in source:
        yield item


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: FilterJSON(sf.Moderate(lambda window: True)), TypeError, "Moderate.* must wait"),
        (lambda: FilterJSON(sf.Redact("a") | waiting), TypeError, "waiting must wait"),
        (lambda: UNTYPED(chat.Decode()), TypeError, "Decode.* reads chunks"),
        (lambda: FilterJSON(sf.ParseJSON()), TypeError, "gives values"),
        (lambda: UNTYPED("a"), TypeError, "joined|stage"),
        (lambda: UNTYPED(sf.Redact), TypeError, "class of stages"),
        (lambda: FilterJSON(AT, at="a"), ValueError, "a path begins with"),
        (lambda: FilterJSON(AT, at=()), ValueError, "at"),
        (lambda: UNTYPED(AT, at=3), ValueError, "at"),
        (lambda: FilterJSON(AT, max_depth=0), ValueError, "max_depth"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_built(build: Callable[[], Any], error: type[Exception], match: str) -> None:
    """With what would be right."""
    with pytest.raises(error, match=match):
        build()
