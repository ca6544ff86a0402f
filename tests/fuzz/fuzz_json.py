"""JSON: `Parser`, `ParseJSON`, `JSONItems` and `FilterJSON` against `json.loads`, at every cut.

Run: `python tests/fuzz/fuzz_json.py -max_total_time=300`
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fuzzing import RECORDING, SEED_BYTES, SUITE, Draw, instrumented, run, ways

with instrumented(__name__):
    import streamfilter as sf
    import streamfilter.json.filtering
    import streamfilter.json.items
    import streamfilter.json.parse
    from streamfilter.parsing.parser import Limits, Parser, Sink

MAX_CHARS = 2000
"""Longer texts say nothing new, and are fed one character at a time a dozen times."""

COMPLETED_CHARS = 120
"""Texts up to this are tried with a thousand ends."""

WORDS = ("true", "false", "null")
FILTERS: list[tuple[sf.Stage[str, str], Callable[[str], str]]] = [
    (sf.Pipeline(), lambda text: text),
    (sf.Redact("a+b?", to="\"'\\\n"), lambda text: re.sub("a+b?", lambda _: "\"'\\\n", text)),
    (sf.MapText(str.upper), str.upper),
    (sf.Replace("[^a]", r"\g<0>\g<0>"), lambda text: re.sub("[^a]", r"\g<0>\g<0>", text)),
]


# ------------------------------------------------------------------ the reference


def refused(name: str) -> Any:
    """NaN and Infinity are no JSON."""
    raise ValueError(name)


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if no key stands in it twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def loaded(text: str, unique: bool = False) -> tuple[bool, Any]:
    """Whether `json.loads` takes it, and what it gives."""
    try:
        return True, json.loads(text, parse_constant=refused, object_pairs_hook=no_twins if unique else None)
    except (ValueError, RecursionError):
        return False, None


def depth(value: Any) -> int:
    """Containers inside one another, of what `json.loads` gives with all pairs of an object."""
    if isinstance(value, Pairs):
        return 1 + max((depth(inner) for _, inner in value), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


class Pairs(tuple[tuple[str, Any], ...]):
    """An object, with keys that stand in it twice."""

    __slots__ = ()


def mapped(value: Any, becomes: Callable[[str], str]) -> Any:
    """A value with each of its strings filtered; keys stay."""
    if isinstance(value, str):
        return becomes(value)
    if isinstance(value, list):
        return [mapped(inner, becomes) for inner in value]
    return {key: mapped(inner, becomes) for key, inner in value.items()} if isinstance(value, dict) else value


def may_go_on(text: str) -> bool:
    """Whether something can stand behind a text with which it is JSON: by trying all that may be missing."""
    closing, is_string = "", False
    for token in re.findall(r'\\.|["\[\]{}]', text, re.DOTALL):
        if token == '"':
            is_string = not is_string
        elif not is_string and token in "[{":
            closing = "]}"[token == "{"] + closing
        elif not is_string and token in "]}":
            closing = closing[1:]
    tokens = ["", "0"] + [word[at:] for word in WORDS for at in range(1, len(word))]
    if is_string:
        tokens = ['"', '\\"', "\\\\"[1:] + '"', *("0" * digits + '"' for digits in range(1, 5))]
    return any(loaded(text + token + behind + closing)[0] for token in tokens for behind in ("", "0", ":0", '"":0'))


# ------------------------------------------------------------------ what is checked


class Told(Sink):
    """Writes down what it is told: text and what is taken whole as its parts, so that no cut shows."""

    def __init__(self, whole: bool, many: bool) -> None:
        self.takes_whole, self.takes_many = whole, many
        self.told: list[Any] = []

    def begin_object(self) -> None:
        self.told.append("{")

    def begin_array(self) -> None:
        self.told.append("[")

    def end(self) -> None:
        self.told.append("end")

    def key(self, key: str) -> None:
        self.told.append(("key", key))

    def begin_string(self) -> None:
        self.told.append(("text", ""))

    def text(self, text: str, raw: str | None = None) -> None:
        assert text
        self.told[-1] = ("text", self.told[-1][1] + text)

    def value(self, value: Any) -> None:
        if isinstance(value, dict):
            self.told.append("{")
            for key, inner in value.items():
                self.key(key)
                self.value(inner)
            self.told.append("end")
        elif isinstance(value, list):
            self.told.append("[")
            self.values(value)
            self.told.append("end")
        else:
            self.told.append(("text", value) if isinstance(value, str) else ("value", repr(value)))


def place(error: BaseException | None) -> Any:
    """What an error says, to be compared."""
    if error is None or isinstance(error, sf.LimitExceeded):
        return type(error), getattr(error, "limit", None)
    assert isinstance(error, sf.MalformedInput), error
    return type(error), error.offset, error.line, error.column, error.path


def read(pieces: Sequence[str], sink: Told, limits: Limits) -> Any:
    """One document, through the parser: how it ended, where the parser then stood, and how much it took of the last piece."""
    parser = Parser(sink, limits)
    fed = 0
    error: BaseException | None = None
    try:
        for piece in pieces:
            if (
                (take := parser.take)
                and piece
                and not re.search(r'["\\\x00-\x1f]', piece)
                and parser.end + len(piece) <= parser.last
            ):
                take(piece)
                parser.end += len(piece)
                taken = len(piece)
            else:
                taken = parser.feed(piece)
            fed += taken
            assert parser.end >= 0
            if parser.is_complete:
                assert parser.feed("[") == 0  # what follows it is not taken
                break
            assert taken == len(piece)
        parser.finish()
    except sf.StreamFilterError as raised:
        error = raised
    text = "".join(pieces)
    if error is None:
        assert parser.end == fed or parser.end == len(text.rstrip())
        position = parser.position
        assert position.lines == text.count("\n", 0, parser.end)
        assert position.line == text.rfind("\n", 0, parser.end) + 1
    return place(error), parser.end if error is None else None


def outcome(stage: Any, pieces: Sequence[Any]) -> tuple[list[Any], Any]:
    """What a stream gives, and how it ends."""
    out: list[Any] = []
    try:
        for each in stage.iter(pieces):
            out.append(each)  # noqa: PERF402  # what was given before an error counts
    except sf.StreamFilterError as error:
        return out, place(error)
    return out, None


def check(case: bytes) -> None:
    """One case: a text, its cuts, and limits."""
    draw = Draw(case)
    what = draw.of(CHECKS)
    places = draw.places()
    option = draw.number(256)
    text = draw.text()[:MAX_CHARS]
    what(text, ways(text, places), option)


def check_parser(text: str, cuts: list[list[str]], option: int) -> None:
    """What a sink is told, and where it ends, is the same at every cut and whatever is taken whole."""
    limits = Limits(max_depth=option % 7 or 1000, max_string=option % 11 or 10**6, duplicates=("last", "raise")[option % 2])
    ends = set()
    told = []
    for pieces in cuts:
        for whole, many in ((False, False), (True, False), (True, True)):
            sink = Told(whole, many)
            ends.add(repr(read(pieces, sink, limits)))
            if limits.duplicates == "raise":  # else what is taken whole tells the last of equal keys only
                told.append(repr(sink.told))
    assert len(ends) == 1, ends
    assert len(set(told)) <= 1, told


def check_strict(text: str, cuts: list[list[str]], option: int) -> None:
    """`json.loads` takes what is taken, and gives what is given; malformed is what nothing could be put behind."""
    unique = bool(option % 2)
    accepted, want = loaded(text, unique)
    options: Any = {"duplicates": "raise"} if unique else {}
    options |= ({}, {"live": True}, {"strings": "whole"})[option % 3]
    found = [outcome(sf.ParseJSON(strict=True, **options), pieces) for pieces in cuts]
    assert len({repr(end) for _, end in found}) == 1, found
    for out, end in found:
        if end is not None and end[0] is sf.LimitExceeded:
            continue
        assert (end is None) is accepted, (end, want)
        if accepted:
            assert repr(out[-1]) == repr(want)
    end = found[0][1]
    if end is not None and end[0] is not sf.LimitExceeded and len(text) <= COMPLETED_CHARS and not unique:
        assert may_go_on(text) is (end[0] is sf.TruncatedInput), end
        if end[0] is sf.MalformedInput:
            assert may_go_on(text[: end[1]]) or loaded(text[: end[1]])[0] or not text[: end[1]].strip(" \t\r\n"), end


def check_limits(text: str, cuts: list[list[str]], option: int) -> None:
    """A document is as deep as it is, to the level."""
    accepted, want = loaded(text)
    if not accepted:
        return
    deep = depth(json.loads(text, object_pairs_hook=Pairs))
    most = option % 8 + 1
    for pieces in cuts:
        out, end = outcome(sf.ParseJSON(strict=True, max_depth=most), pieces)
        assert (end is None) is (deep <= most), (end, deep)
        if end is None:
            assert repr(out[-1]) == repr(want)


def check_prose(text: str, cuts: list[list[str]], option: int) -> None:
    """Among prose too, the last value and the end are the same at every cut; a document without prose is that document."""
    for options in ({}, {"many": True}, {"truncated": "partial"}, {"many": True, "strict": True}):
        stage: Any = sf.ParseJSON(**options)
        found = [outcome(stage, pieces) for pieces in cuts]
        ends = {repr((last(out), end)) for out, end in found}
        assert len(ends) == 1, (options, found)
        accepted, want = loaded(text)
        if accepted and isinstance(want, dict | list) and want and not options:
            assert repr(found[0][0][-1]) == repr(want)
        if found[0][1] is not None and len(found[0][1]) > 2:
            _, offset, line, column, _ = found[0][1]
            if line is not None:
                before = text[:offset]
                assert (line, column) == (before.count("\n") + 1, offset - before.rfind("\n")), found[0][1]


def last(out: list[Any]) -> Any:
    """Of each document the last value."""
    if out and isinstance(out[0], sf.Document):
        return [list(group)[-1] for _, group in itertools.groupby(out, lambda each: each.index)]
    return out[-1:]


def check_bytes(text: str, cuts: list[list[str]], option: int) -> None:
    """Bytes, cut in characters too, are the text that they say."""
    raw = text.encode()
    want = outcome(sf.ParseJSON(strict=True), [text])
    for pieces in ways(raw, [option]):
        out, end = outcome(sf.ParseJSON(strict=True), pieces)
        assert end == want[1]
        assert out[-1:] == want[0][-1:] or repr(out[-1:]) == repr(want[0][-1:])


def check_items(text: str, cuts: list[list[str]], option: int) -> None:
    """The items of a path are those of the document."""
    accepted, want = loaded(text)
    if not accepted or not isinstance(want, dict | list):
        return
    inner = list(want.values()) if isinstance(want, dict) else want
    if isinstance(want, dict) and not loaded(text, unique=True)[0]:
        return
    for pieces in cuts:
        out, end = outcome(sf.JSONItems("$[*]", strict=True), pieces)
        assert end is None
        assert repr(out) == repr(inner)


def check_filter(text: str, cuts: list[list[str]], option: int) -> None:
    """Valid JSON stays valid, and its strings are filtered; all else is the same at every cut."""
    stage, becomes = FILTERS[option % len(FILTERS)]
    found = {repr(("".join(out), end)) for out, end in (outcome(sf.FilterJSON(stage), pieces) for pieces in cuts)}
    assert len(found) == 1, found
    out, end = outcome(sf.FilterJSON(stage), [text])
    accepted, want = loaded(text)
    if accepted and loaded(text, unique=True)[0]:
        assert end is None, end
        assert repr(loaded("".join(out))) == repr((True, mapped(want, becomes)))
    if option % len(FILTERS) == 0 and end is None:
        assert "".join(out) == text


CHECKS = (check_parser, check_strict, check_limits, check_prose, check_bytes, check_items, check_filter)


def seeds() -> Iterator[bytes]:
    """What is shipped, and the parsing suite where it is there, for each of the checks."""
    documents = [
        b'{"a": [1, -2.5e3, "x\\n\\u00e9\\ud83d\\ude00", {"b": null}], "c": true}',
        b'[[],{},"",0] ',
        b'So: {"a":\n1.5}, and [2].',
    ]
    documents += [
        line.removeprefix(b"data: ")[:SEED_BYTES]
        for line in RECORDING.read_bytes().splitlines()[:40]
        if line.startswith(b"data: {")
    ][:3]
    documents += [path.read_bytes() for path in sorted(SUITE.glob("*.json")) if path.stat().st_size <= SEED_BYTES]
    for number, document in enumerate(documents):
        yield document + bytes([64, 128, 2, number % len(CHECKS)])


if __name__ == "__main__":
    run(check, seeds())
    sys.exit()
