"""How a stream has ended, and the streams it stands on: kept while it runs, and told to those who watch it.

What an ending does is not known here.
"""

from __future__ import annotations

from streamfilter.observer import Ending


class Outcome:
    """One for all the streams of a pipeline."""

    __slots__ = ("error", "fault", "is_complete", "is_stopped")

    def __init__(self) -> None:
        self.error: BaseException | None = None  # a stage's, beneath an async generator function
        self.fault: BaseException | None = None  # what else the consumer got, or raised
        self.is_complete: bool = False  # all that was to leave has left
        self.is_stopped: bool = False  # because a stage said so

    def ending(self, error: BaseException | None) -> Ending:
        """How it has ended, for those who watch it.

        Args:
            error: of the stage that has ended it, if one has.

        Example:
            >>> outcome = Outcome()
            >>> outcome.fault = OSError("its message may quote the text")
            >>> outcome.ending(None)
            Ending(how='failed', error='OSError')
        """
        if self.fault is not None:
            if isinstance(self.fault, GeneratorExit):
                return Ending("left")
            return Ending("failed" if isinstance(self.fault, Exception) else "cancelled", type(self.fault).__name__)
        if self.is_stopped:
            return Ending("stopped", None if error is None else type(error).__name__)
        return Ending("finished" if self.is_complete else "left")
