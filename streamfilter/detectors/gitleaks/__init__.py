"""The rules of a gitleaks configuration, so that users bring the community's.

What gitleaks decides by more than the match, the path of a file or the line around it, cannot be decided in a stream. It is
listed, not dropped: `left_out` says what, and why.

`go` reads patterns, into a `tree`, `secret` finds the secret in what they match, `config` reads the file, `findings` are the
checks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import regex

from streamfilter.detectors.gitleaks import go, secret
from streamfilter.detectors.gitleaks.config import Allowed, Config, Entry, read
from streamfilter.detectors.gitleaks.findings import AllowList, Finding
from streamfilter.detectors.gitleaks.tree import written
from streamfilter.detectors.taken import LeftOut, TakenRules
from streamfilter.matching import Rule

__all__ = ["AllowList", "Finding", "from_gitleaks"]


def from_gitleaks(path: str | os.PathLike[str], *, default: str | os.PathLike[str] | None = None) -> TakenRules:
    r"""The rules of a gitleaks configuration (version 8), with their keywords, entropy and allow-lists.

    A match is the secret alone where that finds the same secrets: the label before it stays, and so does what follows. One of a
    rule's keywords must be in its match, where gitleaks is content with one anywhere in the file: a stream is not there as a
    whole. Where the pattern cannot match without a keyword, which is so for nearly all rules, that is the same.

    Args:
        path: of the TOML file. What it extends by `path` is looked for beside it.
        default: of the file that `useDefault` stands for, gitleaks' own `config/gitleaks.toml`, which is not shipped here.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is not a configuration of gitleaks, or not a right one; the message says where, and what would be right.

    Example:
        >>> import pathlib, tempfile
        >>> import streamfilter as sf
        >>> path = pathlib.Path(tempfile.mkdtemp(), "gitleaks.toml")
        >>> _ = path.write_text("[[rules]]\nid = 'shop-key'\nregex = 'shop_[a-z0-9]{8}'\nkeywords = ['shop_']\n")
        >>> taken = from_gitleaks(path)
        >>> sf.Redact(*taken.rules).apply("my key is shop_1a2b3c4d"), taken.left_out
        ('my key is [shop-key]', ())
    """
    config = read(Path(path), None if default is None else Path(default))
    notes = _Notes()
    notes.add_config(config)
    shared = tuple(notes.allow_list("", each) for each in config.allowlists if not each.targetrules)
    rules: list[Rule] = []
    for entry in config.rules:
        targeted = [each for each in config.allowlists if entry.id in each.targetrules]
        if (rule := notes.rule(entry, [*entry.allowlists, *targeted], shared)) is not None:
            rules.append(rule)
    return TakenRules(tuple(rules), tuple(notes.left_out))


@dataclass(frozen=True, slots=True)
class _Notes:
    """What was left out so far."""

    left_out: list[LeftOut] = field(default_factory=list)

    def add(self, rule: str, what: str, reason: str) -> None:
        self.left_out.append(LeftOut(rule, what, reason))

    def add_unknown(self, rule: str, names: Sequence[str]) -> None:
        for name in names:
            self.add(rule, name, "this field is not known here")

    def add_config(self, config: Config) -> None:
        self.add_unknown("", config.unknown)
        self.add_unknown("", config.extend.unknown)
        if config.extend.usedefault:
            self.add("", "extend.useDefault", "gitleaks' own configuration is not shipped: give a copy of it as default=")
        if config.extend.url:
            self.add("", "extend.url", "nothing is fetched: give a copy of it by extend.path")

    def rule(self, entry: Entry, lists: Sequence[Allowed], shared: Sequence[AllowList | None]) -> Rule | None:
        """A rule, if it can be taken over."""
        self.add_unknown(entry.id, entry.unknown)
        try:
            pattern = go.parse(entry.regex)
        except go.NotGoError as error:
            self.add(entry.id, "rule", f"its pattern is not one of Go: {error}")
            return None
        if reason := _unusable(entry, pattern):
            self.add(entry.id, "rule", reason)
            return None
        keywords = tuple(word.lower() for word in entry.keywords)
        implied = not keywords or "" in keywords or secret.implies(pattern.root, keywords)
        found = secret.find(pattern.root, entry.secretgroup, label=not implied)
        allowed = [*shared, *(self.allow_list(entry.id, each) for each in lists)]
        check = Finding(
            keywords=() if implied else keywords,
            above=entry.entropy,
            allowed=tuple(each for each in allowed if each is not None),
            inner=None if found.inner is None else _with_flags(found.inner, pattern),
            group=found.group,
        )
        try:
            rule = Rule(entry.id, found.pattern, check=None if check == Finding() else check, flags=pattern.flags)
        except ValueError as error:
            self.add(entry.id, "rule", str(error).removeprefix("Rule: "))
            return None
        if entry.path:
            self.add(entry.id, "path", "a stream has no path: the rule holds for all text")
        if not implied:
            self.add(entry.id, "keywords", "a stream is not there as a whole: one must be in the match, not only in the same file")
        return rule

    def allow_list(self, rule: str, given: Allowed) -> AllowList | None:
        """An allow-list, if anything of it can be taken over."""
        self.add_unknown(rule, given.unknown)
        missing = [name for name in ("paths", "commits") if getattr(given, name)]
        for name in missing:
            self.add(rule, f"allowlists.{name}", f"a stream has no {name}")
        patterns = self.patterns(rule, given)
        is_whole = len(patterns) == len(given.regexes) and not missing
        if given.condition == "and" and not is_whole:
            self.add(rule, "allowlists", "all its conditions must hold, and one of them cannot be known: it allows nothing")
            return None
        if not (patterns or given.stopwords):
            return None
        target = "match" if given.regextarget == "match" else "secret"
        return AllowList(
            patterns, tuple(given.stopwords), target=cast("Literal['secret', 'match']", target), condition=given.condition
        )

    def patterns(self, rule: str, given: Allowed) -> tuple[str, ...]:
        """Those patterns of an allow-list that can be asked."""
        if given.regextarget == "line" and given.regexes:
            self.add(rule, "allowlists.regexTarget", "the line around a match is not there yet when it is decided")
            return ()
        patterns: list[str] = []
        for each in given.regexes:
            try:
                pattern = go.parse(each)
                patterns.append(_with_flags(written(pattern.root), pattern))
                regex.compile(patterns[-1])
            except (go.NotGoError, regex.error) as error:
                self.add(rule, "allowlists.regexes", f"{each!r} is not a pattern of Go: {error}")
        return tuple(patterns)


def _unusable(entry: Entry, pattern: go.Pattern) -> str:
    """Why a rule cannot be taken over, as far as one can tell from what the file says."""
    if not entry.regex and not entry.path:
        return "it amends one of gitleaks' own rules, and those are not there"
    if not entry.regex:
        return "it looks for paths only"
    if entry.required:
        return "it needs what other rules find near it"
    if entry.skipreport:
        return "it reports nothing by itself"
    if entry.secretgroup > pattern.groups:
        return f"its secretGroup is {entry.secretgroup}, and its pattern has {pattern.groups} groups"
    if secret.has_endless_label(pattern.root):
        return "any text may stand between its label and its secret: a stream would hold all that follows such a label"
    return ""


def _with_flags(source: str, pattern: go.Pattern) -> str:
    return f"(?{'ai' if pattern.flags & regex.IGNORECASE else 'a'}){source}"
