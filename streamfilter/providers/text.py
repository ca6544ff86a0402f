"""Only the answer of a provider's stream, as plain text."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, overload

from streamfilter.context import Context
from streamfilter.errors import ProviderError
from streamfilter.items import End, Failure, Item, TextDelta
from streamfilter.machine import Machine
from streamfilter.pipeline import Pipeline, Stage, stage
from streamfilter.plain import SyncStream
from streamfilter.providers.bodies import Response, opened
from streamfilter.providers.detecting import Decode
from streamfilter.stream import Stream


@stage
class Answer(Stage[Item, str]):
    """The text of the answer, and nothing else.

    Args:
        choice: which choice; None is every one, in the order in which their text arrives.

    Raises:
        ProviderError: while streaming, if the provider reports an error.
    """

    choice: int | None = None

    def machine(self, context: Context | None = None) -> Machine:
        return _Answering(self.choice)


class _Answering(Machine):
    def __init__(self, choice: int | None) -> None:
        self._choice = choice

    def feed(self, item: Item) -> Sequence[Item]:
        if isinstance(item, str):
            return (item,)
        if isinstance(item, TextDelta):
            kind, key = item.channel
            wanted = kind == "answer" and (self._choice is None or key[1:2] in ((), (self._choice,)))
            return (item.text,) if wanted else ()
        if isinstance(item, Failure):
            self.ended = True
            return (End("error", ProviderError(item.error)),)
        if isinstance(item, End):
            self.ended = True
            return (item,)
        return ()

    def drain(self, item: Item) -> Sequence[Item]:
        return ()


@overload
def text_of(stream: AsyncIterable[Any] | Response, *, choice: int | None = ...) -> Stream[str]: ...
@overload
def text_of(stream: Iterable[Any], *, choice: int | None = ...) -> SyncStream[str]: ...
def text_of(stream: Any, *, choice: int | None = None) -> Any:
    r"""Only the answer of a provider's stream, as plain text: a source for any text pipeline.

    Args:
        stream: chunks of any provider whose format is known: SDK objects, dicts, raw bytes, or the response of an HTTP client
            (httpx, httpx2, aiohttp; of a plain client its `iter_bytes()`). The first event tells the format.
        choice: of several choices (`n` > 1), which; None is every one, in the order in which their text arrives. To filter
            several choices, each by itself, use `wrap`.

    Raises:
        TypeError: `stream` is nothing to iterate; while streaming, an item is no chunk.
        MalformedInput: while streaming, if bytes are no event stream of chunks, or no event has told the format.
        ProviderError: while streaming, if the provider reports an error.

    Example:
        >>> import streamfilter as sf
        >>> chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("call 555", "-1234")]
        >>> list(sf.Redact(r"\d{3}-\d{4}", to="[phone]").iter(sf.text_of(chunks)))
        ['call ', '[phone]']
    """
    answer: Pipeline[Any, str] = Decode() | Answer(choice)
    source = opened(stream)
    return answer.iter(source) if hasattr(source, "__iter__") and not hasattr(source, "__aiter__") else answer(source)
