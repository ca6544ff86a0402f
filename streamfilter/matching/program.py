"""The automaton of an expression before it is made deterministic: nodes, threads, and what a thread becomes with one symbol.

A *thread* is a node and what must still come true for it: lookaheads that are open yet, each as the set of nodes that it has got
to. Lookbehinds run along with the text, so that whether one holds is known at each place (`Left`).

Nothing here knows of starts, rules, or where in a text it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, TypeAlias

from streamfilter.matching.alphabet import Numbers, Symbol
from streamfilter.matching.cache import Cache, Compiled
from streamfilter.matching.folding import Trie, trie
from streamfilter.matching.regular import Around, Begin, Either, Expression, Loop, NotRegularError, One, Row, Words

MAX_NODES = 100_000
"""Nodes of one program; a repeat `{1000}` of one character takes a thousand. That many take some 20 MB."""

MAX_VAIN = 1000
"""Threads that may be come upon in one step, though others lead there too: some 100 µs. As long as there are fewer, each place and
each node is followed by itself, which is kept and need not be done again. Where there are more, as in `(?:a?){500}a{500}`, in which
each of a thousand places has hundreds of threads, the rest of the step goes through each node once."""

Nodes: TypeAlias = frozenset[int]
Conditions: TypeAlias = frozenset[tuple[bool, Nodes]]
"""Lookaheads that are open: (whether it is wanted, where it has got to)."""
Thread: TypeAlias = tuple[int, Conditions]

NONE: Conditions = frozenset()
CHAR, SPLIT, ACCEPT, AHEAD, BEHIND, BEGIN = range(6)
TRIE = 1 << 32
"""Threads in a trie have numbers from here on: of the trie, times this, and the position in it."""


class Place(Compiled):
    """What is known of a place in the text before its next character. Within a program, equal ones are one object.

    Attributes:
        behind: for each lookbehind, whether it holds.
        begin: whether it is the beginning of the text.
        nonempty: whether no match may end here.
    """

    __slots__ = ("begin", "behind", "nonempty")

    def __init__(self, behind: tuple[bool, ...], begin: bool, nonempty: bool) -> None:
        self.behind: tuple[bool, ...] = behind
        self.begin: bool = begin
        self.nonempty: bool = nonempty


class Left(Compiled):
    """What the lookbehinds have seen. Within a program, equal ones are one object.

    Attributes:
        nodes: those that they have got to, but for the ones that they begin with at any place.
        place: what that says of the place.
    """

    __slots__ = ("nodes", "place", "steps")

    def __init__(self, nodes: Nodes, place: Place) -> None:
        self.nodes: Nodes = nodes
        self.place: Place = place
        self.steps: dict[Symbol, Left] = {}


class _Walk(NamedTuple):
    """A trie in a program: which, how text is folded for it, and the nodes behind its words."""

    trie: Trie
    folding: int
    after_word: int
    after_other: int


class Program(Compiled):
    """Nodes, built from the end, so that what follows a node is there when it is made. Equal nodes are one.

    Args:
        expression: what to match.
        numbers: of predicates and foldings; new ones are added.
        cache: of the engine.

    Attributes:
        start: the first node.
        accept: the last.
        left: what lookbehinds have seen where nothing is before.

    Raises:
        NotRegularError: it has too many nodes.
    """

    def __init__(self, expression: Expression, numbers: Numbers, cache: Cache) -> None:
        self._numbers = numbers
        self._cache = cache
        cache.members.append(self)
        self._nodes: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], int] = {}
        self._behinds: dict[Expression, int] = {}
        self._behind_ends: list[int] = []  # each has an end of its own: all of them run as one
        self._behind_starts: Nodes = frozenset()
        self._behind_steps: dict[Symbol, Nodes] = {}  # of these
        self._walks: list[_Walk] = []
        self._lefts: dict[Nodes, Left] = {}
        self._closures: dict[tuple[int, Place], frozenset[Thread] | None] = {}
        self._places: dict[tuple[tuple[bool, ...], bool, bool], Place] = {}
        self.accept: int = self._node(ACCEPT)
        self.start: int = self._build(expression, self.accept)
        self.left: Left = self._left(frozenset())

    # ------------------------------------------------------------------ building

    def _node(self, *node: Any) -> int:
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = self._new(*node)
        return known

    def _new(self, *node: Any) -> int:
        if len(self._nodes) >= MAX_NODES:
            raise NotRegularError(f"its repeats, written out, have more than {MAX_NODES:,} characters")
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _build(self, expression: Expression, then: int) -> int:
        match expression:
            case One(predicate):
                return self._node(CHAR, self._numbers.predicate(predicate), then)
            case Row(items):
                for item in reversed(items):
                    then = self._build(item, then)
                return then
            case Either(branches):
                return self._node(SPLIT, *(self._build(branch, then) for branch in branches))
            case Loop():
                return self._build_loop(expression, then)
            case Begin():
                return self._node(BEGIN, then)
            case Around(body, behind, wanted):
                if behind:
                    return self._node(BEHIND, self._behind(body), wanted, then)
                return self._node(AHEAD, self._flat([self._build(body, self.accept)]), wanted, then)
            case Words(words, _, after_word, after_other):
                number = self._numbers.words(expression)
                self._walks.append(_Walk(trie(words), number, self._build(after_word, then), self._build(after_other, then)))
                return len(self._walks) * TRIE

    def _build_loop(self, loop: Loop, then: int) -> int:
        if loop.most is None:
            first = self._new(SPLIT)
            body = self._build(loop.body, first)
            self._nodes[first] = (SPLIT, body, then) if loop.greedy else (SPLIT, then, body)
            then = first
        else:
            end = then
            for _ in range(loop.most - loop.least):
                body = self._build(loop.body, then)
                then = self._node(SPLIT, body, end) if loop.greedy else self._node(SPLIT, end, body)
        for _ in range(loop.least):
            then = self._build(loop.body, then)
        return then

    def _behind(self, body: Expression) -> int:
        number = self._behinds.get(body)
        if number is None:
            number = self._behinds[body] = len(self._behinds)
            end = self._new(ACCEPT)
            self._behind_ends.append(end)
            self._behind_starts |= self._flat([self._build(body, end)])
        return number

    # ------------------------------------------------------------------ lookarounds: sets of nodes

    def _flat(self, numbers: Iterable[int]) -> Nodes:
        """The nodes that take a character, or accept, that are reached from these without one."""
        found: set[int] = set()
        seen: set[int] = set()
        todo = list(numbers)
        while todo:
            number = todo.pop()
            if number in seen:
                continue
            seen.add(number)
            node = self._nodes[number]
            if node[0] == SPLIT:
                todo += node[1:]
            else:
                found.add(number)
        return frozenset(found)

    def _step_flat(self, numbers: Nodes, symbol: Symbol) -> Nodes:
        takes = symbol.takes
        reached = [node[2] for number in numbers if (node := self._nodes[number])[0] == CHAR and takes[node[1]]]
        return self._flat(reached)

    def _left(self, nodes: Nodes) -> Left:
        left = self._lefts.get(nodes)
        if left is None:
            place = self.place(tuple(end in nodes or end in self._behind_starts for end in self._behind_ends))
            left = self._lefts.setdefault(nodes, Left(nodes, place))
            self._cache.count(2 + len(nodes) + len(self._behind_ends))
        return left

    def place(self, behind: tuple[bool, ...], begin: bool = False, nonempty: bool = False) -> Place:
        """A place; arguments as of `Place`."""
        key = (behind, begin, nonempty)
        return self._places.setdefault(key, Place(*key))

    @property
    def looks_behind(self) -> bool:
        """Whether there is a lookbehind in it."""
        return bool(self._behinds)

    def forget(self) -> None:
        """As `Forgetful.forget`."""
        for left in list(self._lefts.values()):
            left.steps.clear()
        self._lefts = {self.left.nodes: self.left}
        self._closures = {}
        self._places = {}
        self._behind_steps = {}

    def step_left(self, left: Left, symbol: Symbol) -> Left:
        """What the lookbehinds have seen with one symbol more."""
        stepped = left.steps.get(symbol)
        if stepped is None:
            begun = self._behind_steps.get(symbol)
            if begun is None:
                begun = self._behind_steps[symbol] = self._step_flat(self._behind_starts, symbol)
            stepped = left.steps[symbol] = self._left(self._step_flat(left.nodes, symbol) | begun)
        return stepped

    def _with(self, conditions: Conditions, wanted: bool, nodes: Nodes) -> Conditions | None:
        """Conditions and one more; None if it has failed."""
        if self.accept in nodes:
            return conditions if wanted else None
        if not nodes:
            return None if wanted else conditions
        return conditions | {(wanted, nodes)}

    def _step_conditions(self, conditions: Conditions, symbol: Symbol) -> Conditions | None:
        """What open lookaheads become; None if one has failed."""
        left: set[tuple[bool, Nodes]] = set()
        for wanted, nodes in conditions:
            more = self._with(NONE, wanted, self._step_flat(nodes, symbol))
            if more is None:
                return None
            left |= more
        return frozenset(left)

    # ------------------------------------------------------------------ threads

    def reach(self, thread: Thread, place: Place, seen: set[Thread], out: list[Thread]) -> bool:
        """Follow a thread as far as it goes without a character, by priority.

        Args:
            thread: where to begin.
            place: what is known of the place.
            seen: threads that were reached here before, and so have priority; added to.
            out: the threads that wait for a character, or for their conditions to be accepted; added to.

        Returns:
            Whether it is accepted, which cuts off what has less priority.
        """
        todo = [thread]
        while todo:
            thread = todo.pop()
            number, conditions = thread
            if thread in seen or (conditions and (number, NONE) in seen):
                continue
            seen.add(thread)
            if number >= TRIE:
                out.append(thread)
                continue
            node = self._nodes[number]
            kind = node[0]
            if kind == CHAR:
                out.append(thread)
            elif kind == SPLIT:
                todo += [(branch, conditions) for branch in node[:0:-1]]
            elif kind == ACCEPT:
                if not place.nonempty:
                    if not conditions:
                        return True
                    out.append(thread)
            elif kind == AHEAD:
                more = self._with(conditions, node[2], node[1])
                if more is not None:
                    todo.append((node[3], more))
            elif place.behind[node[1]] == node[2] if kind == BEHIND else place.begin:
                todo.append((node[-1], conditions))
        return False

    def follow(
        self,
        thread: Thread,
        symbol: Symbol,
        place: Place,
        seen: set[Thread],
        out: list[Thread],
        stepped: dict[Conditions, Conditions | None],
    ) -> bool:
        """What a thread becomes with one symbol, at the place behind it; arguments and result as of `reach`.

        Args:
            stepped: what conditions become with it, which many threads may share; added to.
        """
        number, conditions = thread
        if conditions:
            if conditions not in stepped:
                stepped[conditions] = self._step_conditions(conditions, symbol)
            after = stepped[conditions]
            if after is None:
                return False
            conditions = after
        if number >= TRIE:
            return self._follow_trie(number, conditions, symbol, place, seen, out)
        if number == self.accept:
            return self.reach((number, conditions), place, seen, out)
        node = self._nodes[number]
        return bool(symbol.takes[node[1]]) and self.reach((node[2], conditions), place, seen, out)

    def follow_all(
        self, threads: frozenset[Thread], symbol: Symbol, place: Place, seen: set[Thread] | None = None
    ) -> frozenset[Thread] | None:
        """What threads become together, whatever their priority; None if one is accepted.

        Args:
            threads: from where.
            symbol: with what.
            place: what is known of the place behind it.
            seen: threads that count for nothing here, as of `reach`; added to.
        """
        nodes = self._nodes
        takes = symbol.takes
        found: set[Thread] = set()
        out: list[Thread] = []
        bound: list[Thread] = []
        vain = 0
        for thread in threads:
            number, conditions = thread
            if conditions or number >= TRIE:
                bound.append(thread)
            elif takes[nodes[number][1]]:
                number = nodes[number][2]
                if seen is None:
                    closed = self.closure(number, place)
                    if closed is None:
                        return None
                    vain += len(closed)
                    found |= closed
                    if vain > len(found) + MAX_VAIN:
                        seen = set(found)
                elif self.reach((number, NONE), place, seen, out):
                    return None
        if bound:
            seen = set(found) if seen is None else seen
            stepped: dict[Conditions, Conditions | None] = {}
            for thread in bound:
                if self.follow(thread, symbol, place, seen, out, stepped):
                    return None
        return frozenset(found.union(out))

    def closure(self, number: int, place: Place) -> frozenset[Thread] | None:
        """What is reached from a node without a character, whatever its priority; None if that is the end."""
        key = number, place
        closures = self._closures  # which another thread may replace
        if key not in closures:
            out: list[Thread] = []
            accepted = self.reach((number, NONE), place, set(), out)
            closures[key] = None if accepted else frozenset(out)
            self._cache.count(len(out))
        return closures[key]

    def _follow_trie(
        self, number: int, conditions: Conditions, symbol: Symbol, place: Place, seen: set[Thread], out: list[Thread]
    ) -> bool:
        which, at = divmod(number, TRIE)
        walk = self._walks[which - 1]
        folded = symbol.folded[walk.folding]
        if folded is None or not (folded or at):
            return False
        if not folded:  # what is not compared changes nothing, and neither begins nor ends a word
            return self.reach((number, conditions), place, seen, out)
        at = walk.trie.walk(at, folded)
        if at < 0:
            return False
        if walk.trie.children[at]:  # the longest word has priority
            self.reach((which * TRIE + at, conditions), place, seen, out)
        ends = walk.trie.ends.get(at)
        if ends is None:
            return False
        return self.reach((walk.after_word if ends else walk.after_other, conditions), place, seen, out)


def weight(threads: Collection[Thread]) -> int:
    """How much threads are to keep: each is one, and so is each node of the lookaheads that they carry."""
    return len(threads) + sum(len(nodes) for _, conditions in threads if conditions for _, nodes in conditions)
