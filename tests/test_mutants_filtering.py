"""The machine of `FilterJSON`, fact by fact: what mutants of it showed that nothing had stated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from fuzzing import ways

import streamfilter as sf
from streamfilter.json.filtering import FilterJSON
from streamfilter.lift import Lift
from streamfilter.machine import TextMachine
from streamfilter.parsing.filtering import Run
from streamfilter.testing import Mark

IDENTITY: sf.Pipeline[str, str] = sf.Pipeline()
UPPER = sf.MapText(str.upper)


def outcome(machine: Any, pieces: Sequence[str]) -> tuple[str, Any]:
    """The text that leaves, and the error."""
    items: list[Any] = []
    for piece in pieces:
        if not machine.ended:
            items += machine.feed(piece)
    if not machine.ended:
        items += machine.finish()
    end = items[-1] if items and isinstance(items[-1], sf.End) else None
    return "".join(item for item in items if isinstance(item, str)), None if end is None else end.error


def lenient(pipeline: sf.Stage[str, str], *, keys: bool = False) -> Lift:
    """What is malformed goes on as text."""
    return Lift(lambda: Run(lambda _: pipeline.machine(), keys=keys, is_lenient=True), "Lenient")


def junk(rng: random.Random) -> str:
    """Nearly JSON: parts of it in any order."""
    parts = [
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        " ",
        "\n",
        "a",
        '"a"',
        '{"a": ',
        "1",
        "-2.5e3",
        "true",
        "nul",
        "\\",
        "\\n",
        "\\u0061",
        "\\ud83d",
        "\x01",
        "<think>",
        "[]",
    ]
    return "".join(rng.choice(parts) for _ in range(rng.randint(1, 14)))  # fmt: skip


@pytest.mark.parametrize("text", ['{"{} ', '["Use {} ', 'Prose. ["Use {}\n', '["a {} [', '["a [1] {"', '["\\u0061 {} '])
def test_what_is_cut_off_may_have_documents_in_it(text: str) -> None:
    """And anything behind these: all of it leaves at the end."""
    for pieces in ways(text, [9, 130]):
        assert outcome(lenient(IDENTITY), pieces) == outcome(FilterJSON(IDENTITY).machine(), pieces) == (text, None)


@pytest.mark.parametrize("keys", [False, True])
def test_what_does_nothing_changes_nothing(keys: bool) -> None:
    """Of whatever text. What is malformed goes on where that is allowed; else it ends the stream, at the same place at every cut."""
    for seed in range(300):
        rng = random.Random(seed)
        text = junk(rng)
        cuts = ways(text, [rng.randrange(256) for _ in range(3)])
        for pieces in cuts:
            assert outcome(lenient(IDENTITY), pieces) == (text, None), pieces
        endings = set()
        for pieces in cuts:
            left, error = outcome(FilterJSON(IDENTITY, keys=keys).machine(), pieces)
            assert text.startswith(left)
            assert left == text or error is not None or keys  # of a key that is not whole nothing leaves
            endings.add((left, repr(error), getattr(error, "offset", None), getattr(error, "path", None)))
        assert len(endings) == 1, (text, endings)


def test_all_text_is_filtered_whatever_it_turns_out_to_be() -> None:
    """In strings and around documents; only white space, and what is no string in a document, is not. Each cut gives the same."""
    for seed in range(300):
        rng = random.Random(seed)
        text = junk(rng).replace("\\", "")
        cuts = ways(text, [rng.randrange(256) for _ in range(3)])
        found = {outcome(lenient(sf.Redact("a|b", to="a"), keys=True), pieces) for pieces in cuts}
        assert found == {(text, None)}
        found = {outcome(lenient(UPPER, keys=True), pieces) for pieces in cuts}
        ((left, error),) = found
        assert error is None
        assert left.upper() == text.upper()
        assert "a" not in left
        for what in ("A", "\n", "<think>"):
            assert left.upper().count(what.upper()) == text.upper().count(what.upper())


NUMBERS = ["21", "-1.5", "0.25e+10", "100", "98765", "-10", "5E-3"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("before", ["[1, ", '{"a": [', '["x",\n', "[[], "])
def test_a_number_leaves_when_it_is_whole(before: str, number: str) -> None:
    """Wherever it is cut, and not before: it may turn out to be malformed."""
    for at in range(1, len(number)):
        for pieces in ([before + number[:at], number[at:]], [before, number[:at], number[at:]], [*before, *number]):
            machine = FilterJSON(UPPER, at="$.none").machine()
            assert "".join(item for piece in pieces for item in machine.feed(piece) if isinstance(item, str)) == before
            assert machine.held == len(number)
            assert "".join(map(str, machine.feed("]"))) == f"{number}]"


@pytest.mark.parametrize("word", ["true", "false", "null"])
def test_a_literal_leaves_when_it_is_whole(word: str) -> None:
    """At once then; half of one that goes on wrongly never does."""
    for at in range(1, len(word)):
        for before in ("[1, ", '{"a":'):
            machine = FilterJSON(UPPER).machine()
            assert (list(machine.feed(before + word[:at])), machine.held) == ([before], at)
            assert (list(machine.feed(word[at:])), machine.held) == ([word], 0)
            left, error = outcome(FilterJSON(UPPER).machine(), [before + word[:at], "x"])
            assert (left, type(error)) == (before, sf.MalformedInput)


@pytest.mark.parametrize("quiet", [3, 4])
def test_white_space_up_to_so_much_is_no_text(quiet: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, between and behind documents and quotations, however much there is; only so much of it is text before text."""
    monkeypatch.setattr("streamfilter.parsing.filtering.QUIET_CHARS", quiet)
    stage = FilterJSON(sf.MapText(lambda text: text.replace(" ", "_").upper()))
    for n in range(1, 7):
        blank = " " * n
        waits = " " * max(0, n - quiet) + "_" * min(n, quiet)
        for text, want in (
            (f'{blank}["a"]', f'{blank}["A"]'),
            (f'{blank}"a"', f'{blank}"A"'),
            (f'["a"]{blank}["a"]', f'["A"]{blank}["A"]'),
            (f'["a"]{blank}"a"', f'["A"]{blank}"A"'),
            (f'"a"{blank}{{"a": "a b"}}', f'"A"{blank}{{"a": "A_B"}}'),
            (f'["a"]{blank}', f'["A"]{blank}'),
            (blank, blank),
            (f'["a"]{blank}[ ]{blank}["a"]', f'["A"]{blank}[ ]{blank}["A"]'),
            (f'["a"]{blank}a', f'["A"]{waits}A'),
            (f'x{blank}["a"]', f'X{"_" * n}["A"]'),
        ):
            for pieces in ways(text, [9, 130]):
                assert outcome(stage.machine(), pieces) == (want, None), pieces


def test_a_stop_in_text_is_one() -> None:
    """Of a string or a key that is not over yet, it is closed, though it might have turned out to be none."""
    for text, want in (
        ('"a STOP\n b', '"a "'),
        ("a STOP b", "a "),
        ('{"k STOP": 1}', '{"k ": null}'),
        ('[1] "STOP', '[1] ""'),
        ("[1] STOP", "[1] "),
    ):
        for pieces in ways(text, [9, 130]):
            left, error = outcome(lenient(sf.StopAt("STOP"), keys=True), pieces)
            assert error is None
            assert left == want, (text, pieces)
            machine = lenient(sf.StopAt("STOP"), keys=True)
            for piece in pieces:
                if not machine.ended:
                    machine.feed(piece)
            assert machine.ended


def test_only_all_of_a_text_is_a_literal() -> None:
    """Behind a document it is text."""
    for text, want in (('["a"] true', '["A"] TRUE'), ("true", "true")):
        for pieces in ways(text, [9, 130]):
            assert outcome(FilterJSON(UPPER).machine(), pieces) == (want, None)


@pytest.mark.parametrize("text", ['{"a": 01', "[1, 1e+-", '{"a": 1-', '["x", 1.2.3', '{"a": "b", "c": --1'])
def test_a_number_that_is_none_at_the_end_goes_on_as_text(text: str) -> None:
    """All of it, where what is malformed may."""
    for pieces in ways(text, [9, 130]):
        assert outcome(lenient(IDENTITY), pieces) == (text, None)
        left, error = outcome(lenient(sf.Replace("1", "#")), pieces)
        assert error is None
        assert len(left) == len(text)
        assert left[-1] == text[-1].replace("1", "#")


def test_keys_and_numbers_stay_as_they_are() -> None:
    """Unless keys are asked for; numbers however long they are."""
    text = '{"key": ["value", ' + "9" * 5000 + ', -0.10e+05, 1E400], "\\u006bey": 0}'
    lift = Lift(lambda: Run(lambda _: UPPER.machine()), "Bare")
    for pieces in ([text], list(text)):
        assert outcome(FilterJSON(UPPER).machine(), pieces) == (text.replace("value", "VALUE"), None)
    assert outcome(lift, [text]) == (text.replace("value", "VALUE"), None)


@pytest.mark.parametrize(("text", "shown"), [('["a" x STOP', '["a" x '), ('{"a": STOP', '{"a": '), ('[1, "STOP', '[1, ""]')])
def test_a_stop_in_text_that_was_taken_for_json_closes_nothing(text: str, shown: str) -> None:
    """Behind a stop in a string everything is closed; what has turned out to be no JSON is not."""
    for pieces in ways(text, [40, 99, 170]):
        assert outcome(lenient(sf.StopAt("STOP"), keys=True), pieces)[0] == shown


@pytest.mark.parametrize(("before", "after"), [('["a",[[', '[],"b"'), ('{"a":[{"b":', '{"c":1'), ("[[1], [2,", "[[3")])
def test_what_is_too_deep_leaves_up_to_there(before: str, after: str) -> None:
    """Up to the bracket that is too deep, whatever its kind and wherever the text is cut."""
    limits = [before.count(bracket) - before.count(end) for bracket, end in ("[]", "{}")]
    for pieces in ways(f'so: ["x"] {before}{after}', [9, 99, 130, 200]):
        left, error = outcome(FilterJSON(IDENTITY, max_depth=sum(limits)).machine(), pieces)
        assert isinstance(error, sf.LimitExceeded)
        assert left == f'so: ["x"] {before}'


class Late(TextMachine):
    """Finds when its text is over where it should have been."""

    def feed(self, text: str) -> None:
        pass

    def finish(self) -> None:
        end = self.hold.text.find(" ")
        self.hold.keep(end if end >= 0 else len(self.hold))
        self.done = None if end < 0 else sf.Finish("stop")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{"a[1," ', '{"a[1,""]'),  # `{` was none, which shows when the text is over
        ('{"a[{"b":["c ', '{"a[{"b":["c"]}]'),
        ('{"a"[1,"b"', '{"a"[1,"b"'),
        ('["a","b c"]', '["a","b"]'),
        ('["a"]b c', '["a"]b'),
        ("{x y [", "{x"),
    ],
)
def test_what_is_open_is_closed_behind_a_stop(text: str, want: str) -> None:
    """Though the document was only found, and stopped, when the text was over."""
    for pieces in ways(text, [9, 99, 200]):
        machine = Lift(lambda: Run(lambda _: Lift(Late, "Late"), is_lenient=True), "Lenient")
        assert outcome(machine, pieces) == (want, None)


@pytest.mark.parametrize("text", ['["a", x', '{"a": 1, "b": 01}', '[1, "a\n"]', "[1]\n[}", '{"a": [12', "so [1, 2"])
def test_each_run_is_read_as_if_it_were_the_only_one(text: str) -> None:
    """Also up to where it is malformed, and in the place of that."""
    for pieces in ways(text, [9, 99, 200]):
        want, wrong = outcome(FilterJSON(UPPER).machine(), pieces)
        for before in (["[1]"], ["some text"], ['["a long string"', "]"]):
            machine = FilterJSON(UPPER).machine()
            for piece in before:
                machine.feed(piece)
            machine.feed(Mark(boundary=True))
            left, error = outcome(machine, pieces)
            assert (left, repr(error), getattr(error, "offset", None)) == (want, repr(wrong), getattr(wrong, "offset", None))


def test_a_key_that_is_none_goes_on_as_text() -> None:
    """With all that follows, where what is malformed may."""
    for text in ('{"a\n": "b"}', '{"a": 1, "b\\x": 2} c', '{"\x00'):
        for pieces in ways(text, [9, 99, 130, 200]):
            assert outcome(lenient(IDENTITY), pieces) == (text, None)
            assert outcome(lenient(IDENTITY, keys=True), pieces) == (text, None)


BRACKET = "text behind a string with a bracket in it, which may begin a document"
ESCAPE = "an array whose first string has a control character, or an escape that is none"


@pytest.mark.parametrize(
    ("text", "offset", "problem"),
    [
        ('"a [" more', 6, BRACKET),
        ('"{"\n 12 more', 8, BRACKET),
        ('["\\u0041\\x"] x', 0, ESCAPE),
        ('\n ["\\u0041\\x"] x', 2, ESCAPE),
        ('"b" ["\\u0041\x01"] x', 4, ESCAPE),
    ],
)
def test_what_readers_may_take_differently_is_refused_where_it_begins(text: str, offset: int, problem: str) -> None:
    """All before it leaves; where it is, is said as for anything malformed."""
    for pieces in ways(text, [9, 130]):
        left, error = outcome(FilterJSON(UPPER).machine(), pieces)
        assert left == text[:offset].upper() and isinstance(error, sf.MalformedInput)
        line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
        assert (error.problem, error.offset, error.line, error.column, error.path) == (problem, offset, line, column, ())


@pytest.mark.parametrize("before", ["so: ", '"a b" so ', "12 so "])
def test_behind_text_no_strict_reader_is_left(before: str) -> None:
    """So an array whose first string is malformed is text there, as anything is."""
    text = before + '["\\u0041\\x"] yes'
    for pieces in ways(text, [9, 130]):
        assert outcome(FilterJSON(UPPER).machine(), pieces) == (text.upper(), None)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (" 12 ", " 12 "),
        ("12 so", "# so"),
        ('12 "a34"', '# "a#"'),
        ('12 34 "a34" 5', '# # "a#" #'),
        ('12 {"a": "5"} 7', '# {"a": "#"} #'),
    ],
)
def test_a_number_is_a_document_where_it_is_all_there_is(text: str, want: str) -> None:
    """Beside anything else it is text, and goes through the pipeline."""
    digits = sf.Redact(sf.Rule("digits", "[0-9]+"), to="#")
    for pieces in ways(text, [9, 130]):
        assert outcome(FilterJSON(digits).machine(), pieces) == (want, None)


def test_a_stop_before_what_is_refused_is_the_end() -> None:
    """What stands behind it, nobody reads."""
    text = '"{" 12 more'
    for pieces in ways(text, [9, 130]):
        assert outcome(FilterJSON(sf.StopAt("12")).machine(), pieces) == ('"{" ', None)
