"""What a check is asked about."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamfilter.context import Context
from streamfilter.items import PLAIN, Channel


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of text that a check is asked about, with what came before it.

    Attributes:
        text: what is to be judged. Cumulative windows begin at the beginning of the run and grow.
        lookback: the text before it, at most `lookback_chars` of it, as it reached the stage: context, already decided on.
        index: its number among the windows of its channel, from 0.
        start: its first character, counted in the channel's text as it reached the stage.
        final: whether the text is known to end here. The last window of a text that ends with a sentence may not know it.
        channel: which text it is of.
        context: what the stream was started with: its `tags` say whose it is.
        decided: how many characters at the beginning of a cumulative `text` have been decided before: the verdict is on the rest.

    Example:
        >>> Window("How are you?", lookback="Hello. ").seen
        'Hello. How are you?'
    """

    text: str = field(repr=False)
    lookback: str = field(default="", repr=False)
    index: int = 0
    start: int = 0
    final: bool = False
    channel: Channel = PLAIN
    context: Context = field(default_factory=Context, repr=False, compare=False)
    decided: int = 0

    @property
    def seen(self) -> str:
        """The text and what came before it, as one."""
        return self.lookback + self.text
