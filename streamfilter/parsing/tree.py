"""The value of a document, as it grows: one live value, and snapshots of it that later text does not change."""

from __future__ import annotations

from typing import Any

from streamfilter.parsing.parser import Sink


class _Missing:
    """Stands for a document of which there is no value yet."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING = _Missing()


class Tree(Sink):
    """Builds the live value.

    Args:
        strings: whether a string is there while it grows; else only once it is whole.

    Attributes:
        root: the live value, or `MISSING`.
        changed: whether it has changed since that was set to False.

    Example:
        >>> from streamfilter.parsing.parser import Parser
        >>> tree = Tree()
        >>> parser = Parser(tree)
        >>> for piece in ('{"a": [1, 2', '3, "so', ' on"]}'):
        ...     _ = parser.feed(piece)
        ...     print(tree.root)
        {'a': [1]}
        {'a': [1, 23, 'so']}
        {'a': [1, 23, 'so on']}
    """

    takes_many = True

    def __init__(self, *, strings: bool = True) -> None:
        self._top: list[Any] = []
        self._container: Any = self._top  # the innermost open one
        self._place: Any = 0  # in it, of what was put last; of an object, the key for what comes next
        self._open: list[tuple[Any, Any]] = []  # the open ones inside the root, each behind its place in the one around it
        self._strings = strings
        self._parts: list[str] = []
        self.changed: bool = False

    @property
    def root(self) -> Any:
        return self._top[0] if self._top else MISSING

    def begin_object(self) -> None:
        self._begin({})

    def begin_array(self) -> None:
        self._begin([])

    def end(self) -> None:
        spine = self._open
        if spine:
            spine.pop()
            self._container = spine[-1][1] if spine else self._top[0]
        else:
            self._container = self._top

    def key(self, key: str) -> None:
        self._place = key

    def begin_string(self) -> None:
        if self._strings:
            self.value("")
        else:
            self._parts = []

    def text(self, text: str, raw: str | None = None) -> None:
        if not self._strings:
            self._parts.append(text)
            return
        # With no other reference to it, CPython grows a string in place: a long one costs nothing to extend.
        container, place = self._container, self._place
        string = container[place]
        container[place] = None
        string += text
        container[place] = string
        self.changed = True

    def end_string(self) -> None:
        if not self._strings:
            self.value("".join(self._parts))

    def value(self, value: Any) -> None:
        container = self._container
        if type(container) is list:
            self._place = len(container)
            container.append(value)
        else:
            container[self._place] = value
        self.changed = True

    def values(self, values: list[Any]) -> None:
        self._container += values
        self.changed = True

    def snapshot(self) -> Any:
        """The value as it is now. What is complete is shared with later ones, open containers are copied."""
        if self._container is self._top:
            return self.root
        copied = inner = self._top[0].copy()
        for place, container in self._open:
            inner[place] = inner = container.copy()
        return copied

    def _begin(self, container: Any) -> None:
        outer, place = self._container, self._place
        if type(outer) is list:
            place = len(outer)
            outer.append(container)
        else:
            outer[place] = container
        if outer is not self._top:
            self._open.append((place, container))
        self._container = container
        self.changed = True
