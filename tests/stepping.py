"""An event loop that does something between any two things that can happen: cancels at every moment there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from streamfilter.testing.clock import VirtualLoop


class Stepping(VirtualLoop):
    """Does something before a step of its own."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.steps = 0
        self.at = at
        self.then: Callable[[], object] = lambda: None

    def _run_once(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            self.then()
        super()._run_once()  # type: ignore[misc]  # the one place through which all that happens goes


def cancelled(reading: Callable[[], Coroutine[Any, Any, object]], at: int) -> bool:
    """Cancel what is being read before a step of the event loop; whether there was still something to cancel. No task stays."""
    loop = Stepping(at)

    async def main() -> bool:
        task = asyncio.ensure_future(reading())
        loop.then = task.cancel
        await asyncio.sleep(0)
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return task.cancelled()

    with asyncio.Runner(debug=True, loop_factory=lambda: loop) as runner:
        return runner.run(main())
