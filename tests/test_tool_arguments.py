"""The arguments of tool calls: text stages apply to what the JSON says, and to malformed JSON as to any text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.testing import cut

CALL = sf.Channel("tool_arguments", (0, 0, "tool_calls", 0))
SECRET = sf.Redact(r"s3cret|jo@x\.org", to='["x"]')


def through(stage: Any, *pieces: str, **options: Any) -> str:
    """The arguments that come out."""
    out = stage.iter([*(sf.TextDelta(piece, CALL) for piece in pieces), sf.Finish("tool_calls", scope=(0, 0))], **options)
    return "".join(item.text for item in out if isinstance(item, sf.TextDelta))


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value with all its strings changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [mapped(each, change) for each in value]
    return {change(key): mapped(each, change) for key, each in value.items()} if isinstance(value, dict) else value


def a_value(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.randint(0, 8 if depth else 5)
    if kind < 4:
        return "".join(
            rng.choice(["s3", "cret", "jo", "@x.org", '"', "\\", "\n", "é", "😀", " ", "/"]) for _ in range(rng.randint(0, 6))
        )
    if kind < 6:
        return rng.choice([0, -1.5, True, None, 1e300])
    if kind < 7:
        return [a_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {f"{n}{a_value(rng, 0)}": a_value(rng, depth - 1) for n in range(rng.randint(0, 3))}


def written(rng: random.Random, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
    if rng.random() < 0.5:
        text = (
            text.replace("@", "\\u0040").replace("3", "\\u0033")
            if not any(c in text for c in "3.015")
            else text.replace("@", "\\u0040")
        )
    return text


def cuts(text: str, rng: random.Random) -> list[Sequence[str]]:
    return [[text], list(text), *(cut(text, rng.randint(1, 5), seed) for seed in range(3))] if text else [[text]]


def test_what_the_json_says_is_filtered() -> None:
    """Keys and strings are as the batch operation gives them; the rest is what `json.loads` had; the cuts do not matter."""
    rng = random.Random(1)
    for _ in range(300):
        value = {"arguments": a_value(rng), "s3cret": a_value(rng, 1)}
        text = written(rng, value)
        outs = {through(SECRET, *pieces) for pieces in cuts(text, rng)}
        assert len(outs) == 1
        assert json.loads(outs.pop()) == mapped(value, SECRET.apply)


def test_text_that_is_no_json_is_filtered_as_text() -> None:
    """It may be none from some place on. Nothing that a rule matches in it is left, and nothing else is changed."""
    rng = random.Random(2)
    nothing = sf.Redact("never there")
    for _ in range(600):
        text = json.dumps({"a": a_value(rng), "s3cret": "jo@x.org"})
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(text))
            text = (
                text[:at]
                + rng.choice(['"', "\n", "s3cret", "{", "]", "\\", "", "\\q", "01", "tru"])
                + text[at + rng.randint(0, 2) :]
            )
        assert {through(nothing, *pieces) for pieces in cuts(text, rng)} == {text}
        outs = {through(SECRET, *pieces) for pieces in cuts(text, rng)}
        assert len(outs) == 1
        out = outs.pop()
        assert "s3cret" not in out
        assert "jo@x.org" not in out


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("plain s3cret", 'plain ["x"]'),
        ('{"a": "s3\ncret s3cret', '{"a": "s3\ncret ["x"]'),
        ('{"a": "s3cret" "b": "s3cret"}', '{"a": "[\\"x\\"]" "b": "["x"]"}'),
        ('{"a": 1, "s3cret', '{"a": 1, '),
        ('{"a": 01, "s3cret": {"b": "s3\\u0063ret"}}', '{"a": 01, "["x"]": {"b": "[\\"x\\"]"}}'),
        ('{"a": "s3cret', '{"a": "[\\"x\\"]'),
        ("", ""),
    ],
)
def test_malformed_and_cut_off(text: str, want: str) -> None:
    """What still is JSON is read as such; a key that is cut off, and so was never looked at, is left out."""
    for pieces in cuts(text, random.Random(3)):
        assert through(SECRET, *pieces) == want


def test_each_stage_of_a_pipeline_reads_the_json() -> None:
    """A quote and a backslash that one stage puts in are plain characters to the next, and escaped in what leaves."""
    pipeline = sf.Redact("a", to='"') | sf.Redact('"b', to="\\") | sf.Block(r"never")
    assert json.loads(through(pipeline, '{"k": "', "a", 'b"}')) == {"k": "\\"}


def test_the_block_of_a_string_ends_the_stream() -> None:
    """Also if an escape hides the word; with `action="stop"` the message stands in the string, and the JSON is closed."""
    with pytest.raises(sf.Blocked):
        through(sf.Block("s3cret"), '{"a": "s3', '\\u0063ret"}')
    assert through(sf.Block("s3cret", action="stop", message='"no"'), '{"a": ["s3', '\\u0063ret"}') == '{"a": ["\\"no\\""]}'


def test_what_was_taken_out_is_put_back_into_arguments() -> None:
    """A text with quotes in it is escaped there, so that the arguments stay JSON."""
    context = sf.Context(vault=sf.Vault())
    sf.Redact(sf.Rule("name", 'Ann "Lee"'), to=sf.Placeholder()).apply('Ann "Lee"', context=context)
    out = through(sf.Restore(), '{"to": "<NA', 'ME_1>"}', context=context)
    assert json.loads(out) == {"to": 'Ann "Lee"'}


def test_stages_that_are_no_guards_leave_arguments_alone_unless_told() -> None:
    """Told, they apply to strings, and not to keys."""
    text = '{"Key": "value END more"}'
    for stage in (sf.StopAt("END"), sf.Replace("value", "x"), sf.MapText(str.upper)):
        assert through(stage, text) == text
    assert through(sf.StopAt("END").on("tool_arguments"), text) == '{"Key": "value "}'
    assert through(sf.Replace("[kK]ey|value", "x").on("tool_arguments"), text) == '{"Key": "x END more"}'
    assert through(sf.MapText(str.upper).on("tool_arguments"), '{"Key": "val\\nue"}') == '{"Key": "VAL\\nUE"}'
    assert through(SECRET.on("answer"), '{"a": "s3cret"}') == '{"a": "s3cret"}'


def test_json_in_json_is_text_of_the_string() -> None:
    """A document inside of a string is what the string says, and not read once more."""
    inner = json.dumps({"a": "s3cret \u00e9"})
    out = json.loads(through(SECRET, json.dumps({"text": inner})))
    assert out == {"text": SECRET.apply(inner)}


def test_a_guard_of_ones_own() -> None:
    """A stage that somebody has written is given what the strings say, keys too, and not the JSON around them."""

    class Machine(sf.TextMachine):
        def feed(self, text: str) -> None:
            self.hold.replace(len(text), '"' * len(text))

    @sf.stage
    class Quotes(sf.TextStage):
        channels: tuple[str, ...] | None = None
        is_guard = True

        def start(self, context: sf.Context | None = None) -> sf.TextMachine:
            return Machine()

    assert json.loads(through(Quotes(), '{"a": ["b', 'c"]}')) == {'"': ['""']}


def test_the_report_names_the_channel() -> None:
    """Of a finding in the arguments of a call; its place is counted in what the string says."""
    items = [sf.TextDelta(piece, CALL) for piece in ('{"a": "a s3', 'cret"}')]
    with SECRET.iter(items) as stream:
        list(stream)
    (found,) = stream.report.findings
    assert (found.channel, found.start, found.end) == (CALL, 2, 8)
