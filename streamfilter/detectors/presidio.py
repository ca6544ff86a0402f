"""The pattern recognisers of Microsoft's Presidio, so that users bring those they have.

Recognisers are taken as they come: what they need to have is said by `Recognizer`, and nothing of Presidio is imported. A score
means here what it means without context words: Presidio looks for them among spaCy's lemmas of the words around, and a
check sees the match alone. What could not be reported without them is listed, not dropped.

Source: presidio-analyzer 2.2.366, `pattern_recognizer.py`, `lemma_context_aware_enhancer.py`, `iban_recognizer.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import regex

from streamfilter.declaration import Declared, declared
from streamfilter.detectors.taken import LeftOut, TakenRules
from streamfilter.matching import Rule
from streamfilter.matching.tree import Call, Conditional, Node, Reference, children, width

THRESHOLD = 0.4
"""What Presidio raises a score to, at least, when a context word stands by (`min_score_with_context_similarity`): with such a score
of its own, a pattern is as good as a weak one is with its word. Presidio's own threshold is 0, which reports every row of nine
digits as four kinds of number, and leaves it to its user to ask for more."""

FLAGS = int(regex.DOTALL | regex.MULTILINE | regex.IGNORECASE)
"""Of a recogniser that does not say (`global_regex_flags`)."""

_BASE = "presidio_analyzer.pattern_recognizer"
"""Where the methods are from that recognisers inherit and that decide nothing."""

_WHOLE_FLAGS = regex.compile(r"\(\?(?![imsx]+\))[A-Za-z0-9]+\)")
"""Flags at the beginning of a pattern that cannot be those of a part of one."""


class Pattern(Protocol):
    """A pattern of a recogniser: `presidio_analyzer.Pattern`, or what looks like one."""

    @property
    def name(self) -> str:
        """What it is called where it is left out."""
        ...

    @property
    def regex(self) -> str:
        """In the syntax of `regex`, version 0."""
        ...

    @property
    def score(self) -> float:
        """From 0 to 1: how sure a match is without a check."""
        ...


class Recognizer(Protocol):
    """A recogniser by patterns: `presidio_analyzer.PatternRecognizer`, or what looks like one.

    It has `supported_entities`, of which the first counts, or `supported_entity`. It may have `global_regex_flags`,
    `validate_result` and `invalidate_result`, which take the text of a match and say yes, no, or None for neither. A deny list is
    one of the patterns already.
    """

    @property
    def patterns(self) -> Sequence[Pattern]:
        """What it looks for."""
        ...


@declared
class Recognized(Declared):
    """Whether a recogniser accepts what one of its patterns has matched: the check of the rules of `from_presidio`.

    Two are equal if their recognisers are made of the same.

    Args:
        recognizer: whose `validate_result` and `invalidate_result` are asked.
        must_validate: whether None from `validate_result` is not enough, because the pattern's own score is not.

    Example:
        >>> class Even:
        ...     def validate_result(self, text):
        ...         return int(text) % 2 == 0 if len(text) > 1 else None
        >>> [Recognized(Even())(text) for text in ("1", "11", "12")]
        [True, False, True]
        >>> Recognized(Even(), must_validate=True)("1")
        False
    """

    recognizer: object
    must_validate: bool = False

    def __call__(self, text: str) -> bool:
        """Whether a match is to be reported."""
        if not text:  # which Presidio skips
            return False
        asked = cast("Any", self.recognizer)
        valid = asked.validate_result(text) if hasattr(asked, "validate_result") else None
        if self.must_validate if valid is None else not valid:
            return False
        return not (hasattr(asked, "invalidate_result") and asked.invalidate_result(text))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recognized):
            return NotImplemented
        same = self.recognizer is other.recognizer or _definition(self.recognizer) == _definition(other.recognizer)
        return same and self.must_validate == other.must_validate

    def __hash__(self) -> int:
        return hash((type(self.recognizer), self.must_validate))

    def __repr__(self) -> str:  # a recogniser's own shows its address
        return f"Recognized({type(self.recognizer).__name__}(...){', must_validate=True' if self.must_validate else ''})"


def from_presidio(*recognizers: Recognizer, threshold: float = THRESHOLD) -> TakenRules:
    r"""Rules that find what pattern recognisers of Presidio report without context words, each named by its entity: "us_ssn".

    A match counts by the recogniser's own `validate_result` and `invalidate_result`, and if they do not say, by the score of its
    pattern. A pattern below the threshold needs a `validate_result` that says yes; if there is none, it is left out.

    The patterns of a recogniser are one rule, the widest first. Further rules of the entity are numbered, "us_npi_2": for patterns
    below the threshold, patterns that refer to their groups or set flags, other recognisers of the entity, and what is left for
    `IbanRecognizer` when words behind an account number look like a part of it. The same recogniser twice counts once.

    Args:
        recognizers: such as `UsSsnRecognizer()`, with their patterns.
        threshold: the score from which a match is reported, from 0 to 1.

    Raises:
        ValueError: a recogniser has no patterns, or the threshold is no score.

    Example:
        >>> import streamfilter as sf
        >>> from types import SimpleNamespace as Of  # stand-ins for those of presidio_analyzer
        >>> desk = Of(name="desk", regex=r"\bD-[0-9]{3}\b", score=0.5)
        >>> digits = Of(name="digits", regex="[0-9]{3}", score=0.01)
        >>> rules = from_presidio(Of(supported_entities=["DESK_ID"], patterns=[desk, digits]))
        >>> sf.Redact(*rules).apply("at D-123, room 456")
        'at [desk_id], room 456'
        >>> print(rules.left_out[0])
        desk_id: pattern 'digits': its score is 0.01, below 0.4, and without context words nothing raises it
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold: {threshold} is no score: one from 0 to 1 is needed")
    left_out: list[LeftOut] = []
    rules: list[Rule] = []
    count: Counter[str] = Counter()
    for part in dict.fromkeys(part for each in recognizers for part in _parts(each, threshold, left_out)):
        count[part.entity] += 1
        name = part.entity if count[part.entity] == 1 else f"{part.entity}_{count[part.entity]}"
        rules.append(Rule(name, part.pattern, check=part.check, flags=part.flags))
    return TakenRules(tuple(rules), tuple(dict.fromkeys(left_out)))


class _Part(NamedTuple):
    """A rule without its final name."""

    entity: str
    pattern: str
    flags: int
    check: Recognized | None


def _parts(recognizer: Recognizer, threshold: float, left_out: list[LeftOut]) -> Iterator[_Part]:
    """What becomes of a recogniser."""
    entity = _entity(recognizer)
    validates = _has_own(recognizer, "validate_result")
    tries_groups = getattr(getattr(recognizer, "analyze", None), "__qualname__", "") == "IbanRecognizer.analyze"
    if _has_own(recognizer, "analyze") and not tries_groups:
        left_out.append(LeftOut(entity, "analyze", "it is not Presidio's, and is not asked: only patterns and checks are"))
    strong: list[Rule] = []
    weak: list[Rule] = []
    for pattern in recognizer.patterns:
        is_weak = pattern.score < threshold or pattern.score <= 0
        try:
            if is_weak and not validates:
                raise ValueError(f"its score is {pattern.score}, below {threshold}, and without context words nothing raises it")
            rule = Rule(entity, pattern.regex, flags=int(getattr(recognizer, "global_regex_flags", FLAGS)))
        except ValueError as error:
            left_out.append(LeftOut(entity, f"pattern {pattern.name!r}", str(error).removeprefix("Rule: ")))
        else:
            (weak if is_weak else strong).append(rule)
    for rules in (strong, weak):
        may_be_empty = any(width(rule.tree.root)[0] == 0 for rule in rules)
        is_asked = validates or may_be_empty or _has_own(recognizer, "invalidate_result")
        check = Recognized(recognizer, must_validate=rules is weak) if is_asked else None
        for source in _sources(rules, tries_groups=tries_groups):
            yield _Part(entity, source, rules[0].flags, check)


def _entity(recognizer: Recognizer) -> str:
    """What a recogniser finds, in small letters.

    Raises:
        ValueError: it is none, or has no patterns.
    """
    if isinstance(recognizer, type):
        raise ValueError(f"it is the class {recognizer.__name__}: write {recognizer.__name__}(...)")
    kind = type(recognizer).__name__
    entity = (getattr(recognizer, "supported_entities", None) or [getattr(recognizer, "supported_entity", None)])[0]
    if not isinstance(entity, str):
        raise ValueError(f"a recogniser with a supported entity is needed, not {kind}")
    if not getattr(recognizer, "patterns", ()):
        raise ValueError(f"{kind} has no patterns: it needs a window of text, so it belongs in the check of a moderation stage")
    return entity.lower()


def _has_own(recognizer: Recognizer, name: str) -> bool:
    """Whether a recogniser has a method that it does not inherit from where it decides nothing."""
    method = getattr(recognizer, name, None)
    return method is not None and getattr(method, "__module__", "") != _BASE


def _sources(rules: Sequence[Rule], *, tries_groups: bool) -> Iterator[str]:
    """Patterns as few as possible, the widest first: of two that match at one place, the end of the longer must not stay.

    Args:
        rules: one for each pattern.
        tries_groups: whether to do as `IbanRecognizer`: if a match is refused, the same up to its last group but one is asked
            about, and so on.
    """
    rows: list[list[str]] = []
    shared: list[str] = []
    for rule in sorted(rules, key=lambda rule: width(rule.tree.root)[::-1], reverse=True):
        source = rule.pattern + "\n" * rule.tree.verbose  # a comment could swallow the parenthesis
        row = [] if _stands_alone(rule) else shared
        if not row:
            rows.append(row)
        row.append(source)
        if tries_groups:
            rows += ([_up_to(group, source)] for group in range(rule.compiled.groups - 1, 0, -1))
    for row in rows:
        yield row[0] if len(row) == 1 else "|".join(f"(?:{source})" for source in row)


def _up_to(group: int, source: str) -> str:
    r"""What a pattern matches, up to the end of a group. One rule does not try twice at one place, so it is a pattern of its own.

    The groups follow one another from the beginning, so what they have matched, once more, is the beginning of the match.

    Example:
        >>> regex.match(_up_to(1, "(a+)(b)?c"), "aabc")
        <regex.Match object; span=(0, 2), match='aa'>
    """
    return f"(?={source})" + "".join(rf"\{each}" for each in range(1, group + 1))


def _stands_alone(rule: Rule) -> bool:
    """Whether a pattern would mean something else among others: it counts its groups, or sets flags for the whole."""

    def refers(node: Node) -> bool:
        return isinstance(node, Reference | Call | Conditional) or any(map(refers, children(node)))

    return _WHOLE_FLAGS.match(rule.pattern) is not None or refers(rule.tree.root)


def _definition(recognizer: object) -> object:
    """What a recogniser is made of, others within it too, without its number and what its patterns keep from being used."""
    if not hasattr(recognizer, "__dict__"):
        return recognizer
    state = {
        name: _definition(value) if hasattr(value, "patterns") else value
        for name, value in vars(recognizer).items()
        if name != "_id"
    }
    state["patterns"] = [(each.name, each.regex, each.score) for each in getattr(recognizer, "patterns", ())]
    return type(recognizer), state
