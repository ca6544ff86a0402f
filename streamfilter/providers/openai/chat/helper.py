"""The SDK's helper stream, `client.chat.completions.stream(...)`, over filtered chunks.

Every event of the helper is made of the chunks, by a state that the SDK publishes. So only the chunks are filtered; all else, from
`content.delta` to the parsed message, is made of what has left, by a new state of the very same kind. No SDK is imported: the
helper's own module has it.
Source: `openai.lib.streaming.chat`, `ChatCompletionStreamState`.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

from streamfilter.plain import SyncStream
from streamfilter.providers.accessors import Events, SyncEvents
from streamfilter.providers.shapes import get
from streamfilter.stream import Stream


def is_helper(source: object) -> bool:
    """Whether it is the helper stream, and not one of chunks."""
    return hasattr(source, "get_final_completion")


class Chunks:
    """The chunks below the events of a helper stream.

    Args:
        helper: the helper stream.
    """

    def __init__(self, helper: Any) -> None:
        self._helper = helper

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for event in self._helper:
            if get(event, "type") == "chunk":
                yield get(event, "chunk")

    async def aclose(self) -> None:
        """Close the helper stream, and with it the response."""
        await self._helper.close()


class SyncChunks:
    """The same for plain code.

    Args:
        helper: the helper stream.
    """

    def __init__(self, helper: Any) -> None:
        self._helper = helper

    def __iter__(self) -> Iterator[Any]:
        return (get(event, "chunk") for event in self._helper if get(event, "type") == "chunk")

    def close(self) -> None:
        """Close the helper stream, and with it the response."""
        self._helper.close()


class _Made:
    """The events of filtered chunks."""

    def __init__(self, helper: Any) -> None:
        make: Callable[..., Any] = sys.modules[type(helper).__module__].ChatCompletionStreamState
        given = helper._state  # noqa: SLF001  # what the caller has asked for is kept nowhere else
        self.state = make(input_tools=given._input_tools, response_format=given._response_format)  # noqa: SLF001
        self.waiting: deque[Any] = deque()

    def feed(self, chunk: Any) -> None:
        self.waiting.extend(self.state.handle_chunk(chunk))


class CompletionEvents(Events[Any]):
    """What `wrap(pipeline)(client.chat.completions.stream(...))` gives: the helper's events and accessors, over filtered chunks.

    Args:
        stream: the filtered chunks.
        helper: the helper stream they come from.
    """

    def __init__(self, stream: Stream[Any], helper: Any) -> None:
        super().__init__(stream)
        self._made = _Made(helper)

    async def __anext__(self) -> Any:
        while not self._made.waiting:
            self._made.feed(await self._stream.__anext__())
        return self._made.waiting.popleft()

    @property
    def current_completion_snapshot(self) -> Any:
        """The completion so far."""
        return self._made.state.current_completion_snapshot

    async def get_final_completion(self) -> Any:
        """The whole completion, parsed as the SDK does it, when all has come."""
        await self.until_done()
        return self._made.state.get_final_completion()


class SyncCompletionEvents(SyncEvents[Any]):
    """The same for plain code.

    Args:
        stream: the filtered chunks.
        helper: the helper stream they come from.
    """

    def __init__(self, stream: SyncStream[Any], helper: Any) -> None:
        super().__init__(stream)
        self._made = _Made(helper)

    def __next__(self) -> Any:
        while not self._made.waiting:
            self._made.feed(next(self._stream))
        return self._made.waiting.popleft()

    @property
    def current_completion_snapshot(self) -> Any:
        """The completion so far."""
        return self._made.state.current_completion_snapshot

    def get_final_completion(self) -> Any:
        """The whole completion, parsed as the SDK does it, when all has come."""
        self.until_done()
        return cast("Any", self._made.state.get_final_completion())
