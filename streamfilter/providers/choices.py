"""Which choice of which response an item is of, for formats whose message is one answer. This module knows no format."""

from __future__ import annotations

from streamfilter.items import Channel, Finish, Item, Key, TextDelta, ToolCall


def place_of(item: Item) -> Key:
    """The key of the place where an item stands, if it says something of an answer; plain text has none.

    Example:
        >>> place_of(Finish("stop", scope=(0, 1))), place_of("text")
        ((0, 1), ())
    """
    if isinstance(item, TextDelta | ToolCall):
        return item.channel.key if isinstance(item, TextDelta) else item.arguments.key
    scope = item.scope if isinstance(item, Finish) else None
    return scope.key if isinstance(scope, Channel) else scope or ()


class FirstChoice:
    """Takes of each response the choice that comes first: a message has no place for another.

    Attributes:
        response: the one that goes on.

    Example:
        >>> first = FirstChoice()
        >>> [first.takes(ToolCall("c", "f", Channel("tool_arguments", key))) for key in ((0, 1), (0, 0), (0, 1), (1, 0))]
        [True, False, True, True]
    """

    def __init__(self) -> None:
        self.response: object = None
        self._choice: object = None

    def takes(self, item: Item) -> bool:
        """Whether an item is of it, or of none."""
        key = place_of(item)
        if key and key[0] != self.response:
            self.response, self._choice = key[0], None
        if len(key) < 2:
            return True
        self._choice = key[1] if self._choice is None else self._choice
        return key[1] == self._choice
