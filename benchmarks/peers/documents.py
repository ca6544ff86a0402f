"""Partial JSON: a value after every chunk of 4 characters, from those who give one.

Of each it is measured whether the last value is that of `json.loads`, whether a value that was shown is taken back later, how many
characters of the document's strings have come and are not shown, and what a chunk costs, by the length of the document.
"""

from __future__ import annotations

import abc
import copy
import itertools
import json
import statistics
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

from pydantic import BaseModel

import streamfilter as sf
from benchmarks.figures import compare
from benchmarks.peers.measure import chunked, cuts
from benchmarks.structured import Items, items

SIZES = {"1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000}
ROUNDS = 3
MOST_SECONDS = 15.0
"""A size is left out where it would take longer, by what a tenth took: who parses again takes ten times as long for a chunk."""
TRICKY = json.dumps(
    [
        {"id": 4711, "title": 'Rivers \u2013 "long"', "done": True, "text": "some are short \U0001f30a" * 3, "rate": -12.5e-3},
        {"id": 12, "title": "", "done": None, "text": "\\tab\t", "rate": 0},
    ]
    * 4
)
"""Numbers, literals and escapes that a chunk cuts; not what a model of `Items` takes."""


class Parser(abc.ABC):
    """A way to values of a document that is still arriving."""

    package: ClassVar[str]
    detail: ClassVar[str] = ""
    typed: ClassVar[bool] = False
    """Whether it knows values of a model only."""

    @abc.abstractmethod
    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        """The values, as the chunks come."""


class Live(Parser):
    """`ParseJSON(live=True)`: the one growing object."""

    package, detail = "streamfilter", "live"

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        return iter(sf.ParseJSON(live=True).iter(chunks))


class Snapshots(Parser):
    """`ParseJSON()`: values that stay what they were."""

    package, detail = "streamfilter", "snapshots"

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        return iter(sf.ParseJSON().iter(chunks))


class Typed(Parser):
    """`ParseJSON(Model)`."""

    package, detail, typed = "streamfilter", "of a model", True

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        return iter(sf.ParseJSON(Items).iter(chunks))


class _Again(Parser):
    """Who parses all that has come after every chunk, and shows nothing where that fails."""

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        text = ""
        for chunk in chunks:
            text += chunk
            try:
                yield self.parse(text)
            except Exception:  # noqa: S112  # of each its own; a beginning of a document may be none
                continue

    @abc.abstractmethod
    def parse(self, text: str) -> Any:
        """The value of a beginning."""


class Jiter(_Again):
    """`from_json(…, partial_mode="trailing-strings")`, as the OpenAI and Anthropic SDKs call it."""

    package = "jiter"

    def __init__(self) -> None:
        self._from_json = import_module("jiter").from_json

    def parse(self, text: str) -> Any:
        return self._from_json(text.encode(), partial_mode="trailing-strings")


class PydanticCore(_Again):
    """`from_json(…, allow_partial="trailing-strings")`."""

    package = "pydantic_core"

    def __init__(self) -> None:
        self._from_json = import_module("pydantic_core").from_json

    def parse(self, text: str) -> Any:
        return self._from_json(text, allow_partial="trailing-strings")


class PartialJsonParser(_Again):
    """`loads`, everything allowed, its default."""

    package = "partial-json-parser"

    def __init__(self) -> None:
        self._loads = import_module("partial_json_parser").loads

    def parse(self, text: str) -> Any:
        return self._loads(text)


class LangChain(Parser):
    """`JsonOutputParser().transform`, which gives a value when it has changed."""

    package, detail = "langchain-core", "JsonOutputParser"

    def __init__(self) -> None:
        self._parser = import_module("langchain_core.output_parsers").JsonOutputParser()

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        return iter(self._parser.transform(iter(chunks)))


class Ijson(Parser):
    """Its events, by the backend it chooses, pushed into its own `ObjectBuilder`: a value after every chunk."""

    package, detail = "ijson", "events into ObjectBuilder"

    def __init__(self) -> None:
        self._module = import_module("ijson")
        self._builder = import_module("ijson.common").ObjectBuilder

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        builder = self._builder()
        events: list[Any] = self._module.sendable_list()
        push = self._module.basic_parse_coro(events, use_float=True)
        for chunk in chunks:
            push.send(chunk.encode())
            for event, value in events:
                builder.event(event, value)
            del events[:]
            if hasattr(builder, "value"):
                yield builder.value
        push.close()


class Instructor(Parser):
    """`Partial[Model].model_from_chunks`, behind `create_partial`."""

    package, detail, typed = "instructor", "Partial, of a model", True

    def __init__(self) -> None:
        self._partial = import_module("instructor").Partial[Items]

    def values(self, chunks: Iterable[str]) -> Iterator[Any]:
        return iter(self._partial.model_from_chunks(chunks))


PARSERS: tuple[type[Parser], ...] = (
    Live,
    Snapshots,
    Jiter,
    PydanticCore,
    PartialJsonParser,
    LangChain,
    Ijson,
    Typed,
    Instructor,
)


@dataclass(frozen=True)
class Shown:
    """What a parser showed of a document, over all cuttings.

    Args:
        right: cuttings whose last value was that of `json.loads`.
        cuttings: of how many.
        back: values that were shown and were not true of the document, in chunks of 4.
        hidden: characters of strings that had come and were not shown, after each chunk of 4, on average and at most.
        first: chunks until the first value.
    """

    right: int
    cuttings: int
    back: int
    hidden: tuple[float, int]
    first: int


def shown(parser: Parser) -> Shown:
    """One document that its model takes, or one that is tricky."""
    text = items(6) if parser.typed else TRICKY
    final = json.loads(text)
    ways = list(cuts(text))
    right = sum(_last(parser, chunks) == final for chunks in ways)
    back, hidden, first = 0, [], 0
    taken: list[str] = []

    def watched() -> Iterator[str]:
        for chunk in chunked(text):
            if taken:
                hidden.append(max(0, _characters("".join(taken)) - strings))
            taken.append(chunk)
            yield chunk

    strings = 0
    for value in parser.values(watched()):
        plain = _plain(copy.deepcopy(value))
        first = first or len(taken)
        back += not _begins(plain, final)
        strings = _shown(plain)
    return Shown(right, len(ways), back, (statistics.mean(hidden), max(hidden)), first)


def _last(parser: Parser, chunks: Sequence[str]) -> Any:
    value = None
    for value in parser.values(chunks):  # noqa: B007  # the last one counts
        pass
    return _plain(value)


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


def _begins(value: Any, final: Any) -> bool:
    """Whether a value may be shown on the way to the last one: containers and strings may be beginnings, all else is whole.

    What is not there yet is absent or, of a model, None.
    """
    match value, final:
        case dict(), dict():
            return all(key in final and (each is None or _begins(each, final[key])) for key, each in value.items())
        case list(), list():
            return len(value) <= len(final) and all(_begins(one, other) for one, other in zip(value, final, strict=False))
        case str(), str():
            return final.startswith(value)
        case _:
            return value is final or (type(value) is type(final) and value == final)


def _shown(value: Any) -> int:
    """Characters of the strings in it, keys left out."""
    match value:
        case dict():
            return sum(map(_shown, value.values()))
        case list():
            return sum(map(_shown, value))
        case str():
            return len(value)
        case _:
            return 0


def _characters(text: str) -> int:
    """Characters of the strings in a beginning of a document, keys left out, of an escape only once it is whole.

    Character by character, by the grammar of RFC 8259; not by any of those that are measured.
    """
    count = at = 0
    stack: list[str] = []
    is_key = False
    while at < len(text):
        character = text[at]
        if character in "[{":
            stack.append(character)
            is_key = character == "{"
        elif character in "]}":
            stack.pop()
        elif character in ",:":
            is_key = character == "," and stack[-1] == "{"
        elif character == '"':
            at, chars = _string(text, at + 1)
            count += 0 if is_key else chars
        at += 1
    return count


def _string(text: str, at: int) -> tuple[int, int]:
    """Where a string ends, and how many characters of it are certain."""
    chars = 0
    while at < len(text) and text[at] != '"':
        width = 1
        if text[at] == "\\":
            width = 6 if text[at + 1 : at + 2] == "u" else 2
            if width == 6 and text[at + 2 : at + 3].lower() == "d" and text[at + 3 : at + 4].lower() in tuple("89ab"):
                width = 12  # the other half of the pair belongs to it
        chars += at + width <= len(text)
        at += width
    return at, chars


async def micros(parsers: Sequence[Parser]) -> list[dict[str, float]]:
    """For each parser microseconds of CPU per chunk of 4 characters, least of some rounds, by the size of the document."""
    found: list[dict[str, float]] = [{} for _ in parsers]
    for name, chars in SIZES.items():
        chunks = chunked(items(chars // 150))
        again = max(1, 2500 // len(chunks))
        runs = {}
        for number, (parser, before) in enumerate(zip(parsers, found, strict=True)):
            feared = 10 * next(reversed(before.values()), 0.0) * len(chunks) * (ROUNDS + 1) / 1e6
            if list(SIZES).index(name) == len(before) and feared < MOST_SECONDS:
                runs[str(number)] = _running(parser, chunks, again)
        for key, taken in (await compare(runs, ROUNDS)).items():
            found[int(key)][name] = min(taken) / len(chunks) / again * 1e6
    return found


def _running(parser: Parser, chunks: Sequence[str], again: int) -> Callable[[], Awaitable[object]]:
    async def run() -> None:
        for values in itertools.repeat(parser.values, again):
            for _ in values(chunks):
                pass

    return run
