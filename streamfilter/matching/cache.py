"""What automata keep of what they have worked out: states with their steps, up to a limit for each engine."""

from __future__ import annotations

from typing import Protocol, Self, TypeVar

V = TypeVar("V")

MAX_ENTRIES = 150_000
"""Steps, threads and nodes that an engine keeps before it forgets all of them: some 20 MB. Four rules on ordinary text need a
thousand, a hundred rules that scan for secrets a hundred thousand; `a[ab]{20}c` has a million states, any of which is quickly made
again."""


class Forgetful(Protocol):
    """What can forget."""

    def forget(self) -> None:
        """Drop what was worked out. Searches that are under way go on from where they are, and make what they need anew."""
        ...


class Cache:
    """Counts what the automata of one engine keep, and has them forget it when it is too much.

    There are no locks: that two threads count at once, or make the same state twice, does no harm.
    """

    def __init__(self) -> None:
        self.members: list[Forgetful] = []
        self._most = MAX_ENTRIES
        self._entries = 0

    def count(self, entries: int) -> None:
        """So much more is kept."""
        self._entries += entries
        if self._entries > self._most:
            self._entries = 0
            for member in list(self.members):
                member.forget()


class Compiled:
    """What all searches share. So does a copy of one that is under way."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Steps(Compiled, dict[str, V]):
    """A state, which is the dictionary of its steps by character; one that is missing is taken."""

    __slots__ = ()
