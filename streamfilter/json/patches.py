"""Operations of JSON Patch (RFC 6902) that build a value elsewhere, in step with its text, and end with a test of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streamfilter.parsing.documents import Reading
from streamfilter.parsing.tree import Tree


class Placed(Reading):
    """A reading that knows where it is.

    Attributes:
        path: keys and indexes, from the root to the value that stands or will stand next.
    """

    def __init__(self) -> None:
        self.path: list[str | int] = []

    def begin_object(self) -> None:
        self.path.append("")

    def begin_array(self) -> None:
        self.path.append(0)

    def key(self, key: str) -> None:
        self.path[-1] = key

    def leave(self) -> None:
        """The innermost container ends, and is itself the value that stands there."""
        self.path.pop()

    def over(self) -> None:
        """A value is over."""
        if self.path and isinstance(place := self.path[-1], int):
            self.path[-1] = place + 1


class Patches(Placed):
    """One document, as operations.

    What is complete in one piece comes in one operation, and a string that grows at most once in a piece.

    Args:
        validate: what the whole value must pass.
        strings: whether a string is there while it grows; else only once it is whole.

    Example:
        >>> from streamfilter.parsing.parser import Parser
        >>> patches = Patches(None, strings=True)
        >>> Parser(patches).feed('{"a/b": [1, {"c": "d"')
        21
        >>> [(operation["path"], operation["value"]) for operation in patches.given()]
        [('', {}), ('/a~1b', []), ('/a~1b/0', 1), ('/a~1b/1', {}), ('/a~1b/1/c', 'd')]
    """

    def __init__(self, validate: Callable[[Any], Any] | None, *, strings: bool) -> None:
        super().__init__()
        self._tree = Tree()
        self._validate = validate
        self._strings = strings
        self._ready: list[dict[str, Any]] = []
        self._parts: list[str] = []  # of the string that came last
        self._shown: str | None = ""  # as much of it as was given, if it was

    def begin_object(self) -> None:
        self._give("add", {})
        self._tree.begin_object()
        super().begin_object()

    def begin_array(self) -> None:
        self._give("add", [])
        self._tree.begin_array()
        super().begin_array()

    def end(self) -> None:
        self._tree.end()
        self.leave()
        self.over()

    def key(self, key: str) -> None:
        super().key(key)
        self._tree.key(key)

    def begin_string(self) -> None:
        self._parts = []
        self._shown = None

    def text(self, text: str, raw: str | None = None) -> None:
        self._parts.append(text)

    def end_string(self) -> None:
        self._tree.value(self._string())
        self.over()

    def value(self, value: Any) -> None:
        self._give("add", value)
        self._tree.value(value)
        self.over()

    def given(self) -> Sequence[dict[str, Any]]:
        if self._strings:
            self._string()
        ready, self._ready = self._ready, []
        return ready

    def over(self) -> None:
        super().over()
        if not self.path and self._validate is not None:  # here, so that what comes before an error is given
            self._validate(self._tree.root)

    def finish(self) -> Sequence[dict[str, Any]]:
        self._give("test", self._tree.root)
        return self.given()

    def _string(self) -> str:
        """The string that came last, so far, which is given if it is not what was given."""
        string = "".join(self._parts)
        if string != self._shown:
            self._give("add" if self._shown is None else "replace", string)
            self._parts = [string]
            self._shown = string
        return string

    def _give(self, operation: str, value: Any) -> None:
        self._ready.append({"op": operation, "path": pointer(self.path), "value": value})


def pointer(path: Sequence[str | int]) -> str:
    """A path as a JSON Pointer (RFC 6901).

    Example:
        >>> pointer(["a/b", 0, "~"]), pointer([])
        ('/a~1b/0/~0', '')
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
