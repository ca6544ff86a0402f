"""What a filter of JSON text hears of a document: what is open, what a string says, and whether that string is meant."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.parsing.passage import Token
from streamfilter.parsing.paths import JSONPath, State
from streamfilter.parsing.sink import Path, Sink


class Listener(Sink):
    """Listens to a document.

    Args:
        paths: where the strings are that are meant; None: all are.

    Attributes:
        closers: what closes the open containers, outermost first.
        is_open: whether a string is.
        tokens: what it has said since they were last taken.
        path: the parser's, which whoever has that puts here.

    Example:
        >>> from streamfilter.parsing.parser import Parser
        >>> listener = Listener(None)
        >>> _ = Parser(listener).feed('{"a": ["b')
        >>> listener.closers, listener.is_open, listener.take()
        (['}', ']'], True, [Token(text='b', raw=None)])
    """

    takes_whole = False

    def __init__(self, paths: Sequence[JSONPath] | None) -> None:
        self.closers: list[str] = []
        self.is_open: bool = False
        self.tokens: list[Token] = []
        self.path: Path = []
        self._paths = paths
        self._states: list[tuple[State, ...]] = []  # of the open containers

    def begin_object(self) -> None:
        self._begin("}")

    def begin_array(self) -> None:
        self._begin("]")

    def end(self) -> None:
        self.closers.pop()
        if self._paths is not None:
            self._states.pop()

    def begin_string(self) -> None:
        self.is_open = True

    def text(self, text: str, raw: str | None = None) -> None:
        self.tokens.append(Token(text, raw))

    def end_string(self) -> None:
        self.is_open = False

    def is_meant(self) -> bool:
        """Whether what stands here is to be filtered."""
        return self._paths is None or any(path.is_end(state) for path, state in zip(self._paths, self._here(), strict=True))

    def take(self) -> list[Token]:
        """The tokens since this was last called."""
        tokens, self.tokens = self.tokens, []
        return tokens

    def _begin(self, closer: str) -> None:
        if self._paths is not None:
            self._states.append(self._here())
        self.closers.append(closer)

    def _here(self) -> tuple[State, ...]:
        paths = self._paths or ()
        if not self._states:
            return (1,) * len(paths)
        part = self.path[-1]
        return tuple(path.step(state, part) for path, state in zip(paths, self._states[-1], strict=True))
