"""What the SDK's helper stream, `client.responses.stream(...)`, has beside its events, over filtered ones: the final response."""

from __future__ import annotations

from typing import Any, TypeVar

from streamfilter.plain import SyncStream
from streamfilter.providers.accessors import Events, SyncEvents
from streamfilter.providers.shapes import get
from streamfilter.stream import Stream

Chunk = TypeVar("Chunk")


class _Last:
    """The response that the last event has whole."""

    def __init__(self) -> None:
        self._response: Any = None

    def note(self, event: Any) -> None:
        if get(event, "type") == "response.completed":
            self._response = get(event, "response")

    def given(self) -> Any:
        if self._response is None:  # as the SDK says it
            raise RuntimeError("Didn't receive a `response.completed` event.")
        return self._response


class ResponseEvents(Events[Chunk]):
    """What `wrap(pipeline)(stream)` gives of the Responses API: filtered events, and the helper's accessors over them.

    Args:
        stream: the filtered events.
    """

    def __init__(self, stream: Stream[Chunk]) -> None:
        super().__init__(stream)
        self._last = _Last()

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._last.note(event)

    async def get_final_response(self) -> Any:
        """The whole response, when all has come.

        Raises:
            RuntimeError: it was not completed.
        """
        await self.until_done()
        return self._last.given()


class SyncResponseEvents(SyncEvents[Chunk]):
    """The same for plain code.

    Args:
        stream: the filtered events.
    """

    def __init__(self, stream: SyncStream[Chunk]) -> None:
        super().__init__(stream)
        self._last = _Last()

    def note(self, event: Chunk) -> None:
        """An event leaves."""
        self._last.note(event)

    def get_final_response(self) -> Any:
        """The whole response, when all has come.

        Raises:
            RuntimeError: it was not completed.
        """
        self.until_done()
        return self._last.given()
