"""Where a match begins or could still begin: the automaton that goes through the text.

It follows all rules from all places at once. Which rule has priority and how far a match goes do not matter here, which keeps it
small: rules that begin alike share their beginning. A *state* is the threads by the place at which they began, earliest first; a
thread that an earlier place has too is left out, for it can do nothing that the earlier one would not. States and their steps are
made when they are first met, and kept, so ordinary text costs one dictionary step a character.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TypeAlias

from streamfilter.matching.alphabet import Alphabet, Numbers, Symbol
from streamfilter.matching.cache import Cache, Compiled, Steps
from streamfilter.matching.program import MAX_VAIN, Left, Place, Program, Thread, weight
from streamfilter.matching.regular import Either, Expression, Row, row

MAX_FACTORED = 50
"""How far into rules it is looked for whether they begin alike: each further one nests the expression deeper."""

Keep: TypeAlias = "tuple[int, ...] | None"
"""Which places live on, by their numbers before the step; -1 is the place of this character. None if nothing changed."""

NONE_IDLE: frozenset[str] = frozenset()
"""Of most states: a set for each of ten thousand would be two megabytes, which the garbage collector goes through."""

HERE = (-1,)
"""Only the place of this character: words begin with it."""


class Group(Compiled):
    """The threads of one place. Equal ones are one object."""

    __slots__ = ("accepted", "steps", "threads")

    def __init__(self, threads: frozenset[Thread], accepted: bool = False) -> None:
        self.threads: frozenset[Thread] = threads
        self.accepted: bool = accepted
        self.steps: dict[tuple[Symbol, Place], Group] = {}


ACCEPTED = Group(frozenset(), accepted=True)
"""Something matches from there, whatever comes: no later place matters any more."""


class State(Steps["tuple[State, Keep]"]):
    """A state, which is the dictionary of its steps. The one by "" is that at the end of a text.

    Attributes:
        groups: the threads of each place, but for the present one.
        fresh: the threads that begin here.
        left: what lookbehinds have seen.
        certain: whether the first place has a match, whatever comes.
        idle: characters, of those that have come, that leave it as it is where no place before is left.
    """

    __slots__ = ("certain", "finder", "fresh", "groups", "idle", "left")

    def __init__(self, finder: Finder, groups: tuple[Group, ...], fresh: Group, left: Left) -> None:
        self.finder: Finder = finder
        self.groups: tuple[Group, ...] = groups
        self.fresh: Group = fresh
        self.left: Left = left
        self.idle: frozenset[str] = NONE_IDLE
        self.certain: bool = (groups[0] if groups else fresh).accepted

    @property
    def may_end(self) -> bool:
        """Whether something matches from one of the places if the text ends here."""
        return bool(self[""][0].groups)  # no thread takes the end and goes on: what is left has matched

    def __missing__(self, character: str) -> tuple[State, Keep]:
        return self.finder.step(self, character)


class Finder(Compiled):
    """The automaton of some rules.

    Args:
        expressions: of the rules.
        numbers: of their predicates; new ones are added.
        cache: of the engine.

    Raises:
        NotRegularError: they have too many nodes.
    """

    alphabet: Alphabet

    def __init__(self, expressions: Sequence[Expression], numbers: Numbers, cache: Cache) -> None:
        self.program: Program = Program(factored([_items(each) for each in expressions]), numbers, cache)
        self._count = cache.count
        cache.members.append(self)
        self._groups: dict[frozenset[Thread], Group] = {}
        self._states: dict[tuple[object, ...], State] = {}

    def begin(self, left: Left, *, begin: bool, nonempty: bool) -> State:
        """The state in which a search begins.

        Args:
            left: what lookbehinds have seen.
            begin: whether it is the beginning of the text.
            nonempty: whether a match that begins here may not be empty.
        """
        return self._state((), self._begin(self.program.place(left.place.behind, begin, nonempty)), left)

    def step(self, state: State, character: str) -> tuple[State, Keep]:
        """Take a step that was not taken before, and keep it."""
        symbol = self.alphabet[character] if character else self.alphabet.end
        left = self.program.step_left(state.left, symbol)
        known = symbol, left.place
        groups: list[Group] = []
        keep: list[int] = []
        seen: set[Thread] = set()
        vain = 0
        for number, group in enumerate((*state.groups, state.fresh)):
            if vain > MAX_VAIN:
                after = self._follow(group, symbol, left.place, seen)
                if not (after.threads or after.accepted):
                    continue
            else:
                after = group.steps.get(known) or self._follow(group, symbol, left.place)
                threads = after.threads
                if threads:
                    if not seen.isdisjoint(threads):
                        vain += len(threads)
                        threads = threads - seen
                        if not threads:
                            continue
                        after = self._group(threads)
                    seen |= threads
                elif not after.accepted:
                    continue
            groups.append(after)
            keep.append(number)
            if after.accepted:
                break
        old = len(state.groups)
        if keep and keep[-1] == old:
            keep[-1] = -1
        following = self._state(tuple(groups), self._begin(left.place), left)
        same = not following.certain and len(keep) == old and keep == list(range(old))
        step = state[character] = (following, None if same else HERE if keep == [-1] else tuple(keep))
        if following is state and same and not old:
            state.idle |= {character}
        self._count(1)
        return step

    def _begin(self, place: Place) -> Group:
        threads = self.program.closure(self.program.start, place)
        return ACCEPTED if threads is None else self._group(threads)

    def _follow(self, group: Group, symbol: Symbol, place: Place, seen: set[Thread] | None = None) -> Group:
        """What a group becomes, but for the threads that were seen; only without these is it kept."""
        if group.accepted:
            return group
        threads = self.program.follow_all(group.threads, symbol, place, seen)
        after = ACCEPTED if threads is None else self._group(threads)
        if seen is None:
            group.steps[symbol, place] = after
            self._count(1)
        return after

    def _group(self, threads: frozenset[Thread]) -> Group:
        group = self._groups.get(threads)
        if group is None:
            group = self._groups.setdefault(threads, Group(threads))
            self._count(weight(threads))
        return group

    def _state(self, groups: tuple[Group, ...], fresh: Group, left: Left) -> State:
        key = (groups, fresh, left)
        state = self._states.get(key)
        if state is None:
            state = self._states.setdefault(key, State(self, groups, fresh, left))
            self._count(1 + len(groups))
        return state

    def forget(self) -> None:
        """As `Forgetful.forget`."""
        for state in list(self._states.values()):
            state.clear()
            state.idle = NONE_IDLE
        for group in list(self._groups.values()):
            group.steps.clear()
        self._states = {}
        self._groups = {}


def _items(expression: Expression) -> tuple[Expression, ...]:
    return expression.items if isinstance(expression, Row) else (expression,)


def factored(rows: Sequence[tuple[Expression, ...]], depth: int = 0) -> Expression:
    """One expression for several rows, in which those that begin alike share their beginning. Priorities are lost.

    Example:
        >>> from streamfilter.matching.regular import lower
        >>> from streamfilter.matching.syntax import parse
        >>> one, two = (lower(parse(pattern)) for pattern in ("abc", "abd"))
        >>> shared = factored([one.items, two.items])
        >>> [type(item).__name__ for item in shared.items]
        ['One', 'One', 'Either']
    """
    if depth == MAX_FACTORED:
        return Either(tuple(row(list(items)) for items in rows))
    numbers: dict[Expression | None, int] = {}
    by_first = [(numbers.setdefault(items[0] if items else None, len(numbers)), items) for items in rows]
    by_first.sort(key=lambda pair: pair[0])
    branches: list[Expression] = []
    for _, group in groupby(by_first, key=lambda pair: pair[0]):
        members = [items for _, items in group]
        first, *more = members
        if not first or not more:
            branches.append(row(list(first)))
            continue
        shared = next((n for n, parts in enumerate(zip(*members, strict=False)) if len(set(parts)) > 1), min(map(len, members)))
        branches.append(row([*first[:shared], factored([items[shared:] for items in members], depth + 1)]))
    return branches[0] if len(branches) == 1 else Either(tuple(branches))
