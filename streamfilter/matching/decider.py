"""What matches at one place, and how far: the automaton of one rule, by priority.

A *state* is the threads of one start, in the order in which a backtracking matcher would try them, cut off behind the first that is
accepted. The match is decided when no thread is left: it is the last that was accepted. As `finder`, it is made while it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from streamfilter.matching.alphabet import Alphabet, Numbers, Symbol
from streamfilter.matching.cache import Cache, Compiled, Steps
from streamfilter.matching.program import NONE, Conditions, Left, Program, Thread, weight
from streamfilter.matching.regular import Expression


class Effect(NamedTuple):
    """What a step does to the places that a decision remembers: those at which a thread was accepted but for its lookaheads.

    Attributes:
        keep: which live on, by their numbers before the step; -1 is the place behind this character.
        matched: where a match ends now, likewise; None if it ends where it did.
    """

    keep: tuple[int, ...]
    matched: int | None


Step: TypeAlias = "tuple[State, Effect | None]"


class State(Steps[Step]):
    """A state, which is the dictionary of its steps. The one by "" is that at the end of a text.

    Attributes:
        threads: by priority.
        left: what lookbehinds have seen.
        places: how many places its threads remember.
    """

    __slots__ = ("decider", "left", "places", "threads")

    def __init__(self, decider: Decider, threads: tuple[Thread, ...], left: Left) -> None:
        self.decider: Decider = decider
        self.threads: tuple[Thread, ...] = threads
        self.left: Left = left
        self.places: int = sum(number == decider.program.accept for number, _ in threads)

    def __missing__(self, character: str) -> Step:
        decider = self.decider
        step = self[character] = decider.step(self, decider.alphabet[character] if character else decider.alphabet.end)
        decider.count(1)
        return step


class Decider(Compiled):
    """The automaton of one rule.

    Args:
        expression: of the rule.
        numbers: of the predicates.
        alphabet: made of them.
        cache: of the engine.
    """

    def __init__(self, expression: Expression, numbers: Numbers, alphabet: Alphabet, cache: Cache) -> None:
        self.program: Program = Program(expression, numbers, cache)
        self.count: Callable[[int], None] = cache.count
        cache.members.append(self)
        self.alphabet = alphabet
        self._states: dict[tuple[tuple[Thread, ...], Left], State] = {}
        self._begins: dict[tuple[Left, bool, bool], tuple[State, bool]] = {}

    def begin(self, left: Left, *, begin: bool, nonempty: bool) -> tuple[State, bool]:
        """The state at a start, and whether the empty text matches there.

        Args:
            left: what lookbehinds have seen.
            begin: whether it is the beginning of the text.
            nonempty: whether the match may not be empty.
        """
        key = left, begin, nonempty
        begun = self._begins.get(key)
        if begun is None:
            out: list[Thread] = []
            place = self.program.place(left.place.behind, begin, nonempty)
            accepted = self.program.reach((self.program.start, NONE), place, set(), out)
            begun = self._begins[key] = self._state(tuple(out), left), accepted
        return begun

    def step(self, state: State, symbol: Symbol) -> Step:
        """What a state becomes with one symbol."""
        program = self.program
        left = program.step_left(state.left, symbol)
        out: list[Thread] = []
        seen: set[Thread] = set()
        stepped: dict[Conditions, Conditions | None] = {}
        keep: list[int] = []
        matched: int | None = None
        remembered = 0
        for thread in state.threads:
            before = len(out)
            accepted = program.follow(thread, symbol, left.place, seen, out, stepped)
            source = -1
            if thread[0] == program.accept:
                source = remembered
                remembered += 1
            keep += [source for number, _ in out[before:] if number == program.accept]
            if accepted:
                matched = source
                break
        following = self._state(tuple(out), left)
        same = matched is None and out and keep == list(range(state.places))
        return following, None if same else Effect(tuple(keep), matched)

    def _state(self, threads: tuple[Thread, ...], left: Left) -> State:
        state = self._states.get((threads, left))
        if state is None:
            state = self._states.setdefault((threads, left), State(self, threads, left))
            self.count(1 + weight(threads))
        return state

    def forget(self) -> None:
        """As `Forgetful.forget`."""
        for state in list(self._states.values()):
            state.clear()
        self._states = {}
        self._begins = {}
