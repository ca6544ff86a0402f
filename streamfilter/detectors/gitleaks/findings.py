"""What gitleaks asks about a match before it reports it, as the check of a rule: keywords, entropy, allow-lists.

Source: gitleaks 8.30, `detect/detect.go`, `config/allowlist.go`. All values, so that a rule with such a check can be compared and
pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, cast

import regex
from pydantic import Field

from streamfilter.declaration import Declared, declared
from streamfilter.detectors.checks import entropy
from streamfilter.errors import LimitExceeded
from streamfilter.matching.rules import MAX_SECONDS


def _timed(method: Callable[..., regex.Match[str] | None], text: str) -> regex.Match[str] | None:
    """Search in a match, no longer than a rule may: patterns that Go searches in linear time can backtrack without an end here.

    Raises:
        LimitExceeded: it takes longer.
    """
    try:
        return method(text, timeout=MAX_SECONDS)
    except TimeoutError:
        raise LimitExceeded("timeout", MAX_SECONDS, "the check of a match by a rule of gitleaks, in seconds") from None


@declared
class AllowList(Declared):
    """What is no secret though a rule finds it.

    Args:
        patterns: in the syntax of `regex`; any of them is found in the target.
        stopwords: any of them is in the secret, in small or capital letters.
        target: what the patterns are asked about.
        condition: whether one of the two is enough, or both must hold.

    Example:
        >>> AllowList(stopwords=("example",)).allows("my-EXAMPLE-key", "key: my-EXAMPLE-key")
        True
    """

    patterns: tuple[str, ...] = ()
    stopwords: tuple[str, ...] = ()
    target: Literal["secret", "match"] = "secret"
    condition: Literal["or", "and"] = "or"

    def compile(self) -> None:
        object.__setattr__(self, "_compiled", tuple(map(regex.compile, self.patterns)))

    def allows(self, secret: str, match: str) -> bool:
        """Whether a secret, found in a match, is none."""
        target = secret if self.target == "secret" else match
        compiled = cast("tuple[regex.Pattern[str], ...]", self.__dict__["_compiled"])
        by_pattern = target != "" and any(_timed(each.search, target) for each in compiled)
        small = secret.lower()
        by_word = any(word.lower() in small for word in self.stopwords)
        if self.condition == "or":
            return by_pattern or by_word
        return (by_pattern or not self.patterns) and (by_word or not self.stopwords)


@declared
class Finding(Declared):
    """Whether what a rule of gitleaks has found is to be reported: the check of the rules of `from_gitleaks`.

    Args:
        keywords: in small letters; one must be in the match.
        above: bits per character; the secret's entropy must be more, if this is not 0.
        allowed: none may allow it.
        inner: how the secret is found in the match, in the syntax of `regex`; None if it is the match.
        group: which group of `inner` it is; 0 for the first that is not empty.

    Example:
        >>> Finding(above=3.0)("aaaaaaaaaaaaaaaa"), Finding(above=3.0)("q8Zr2Lx7Vb1Nw5Tk")
        (False, True)
        >>> Finding(inner="key=(.*)", allowed=(AllowList(patterns=("^x+$",)),))("key=xxxx")
        False
    """

    keywords: tuple[str, ...] = ()
    above: Annotated[float, Field(ge=0)] = 0.0
    allowed: tuple[AllowList, ...] = ()
    inner: str | None = None
    group: int = 0

    def compile(self) -> None:
        object.__setattr__(self, "_compiled", self.inner and regex.compile(self.inner))

    def __call__(self, match: str) -> bool:
        """Whether a match is to be reported.

        Raises:
            LimitExceeded: a search in it takes too long.
        """
        match = match.strip("\n")
        if self.keywords and not any(keyword in match.lower() for keyword in self.keywords):
            return False
        secret = self._secret(match)
        if self.above and entropy(secret) <= self.above:
            return False
        return not any(each.allows(secret, match) for each in self.allowed)

    def _secret(self, match: str) -> str:
        compiled = cast("regex.Pattern[str] | None", self.__dict__["_compiled"])
        found = _timed(compiled.fullmatch, match) if compiled else None
        if found is None:
            return match
        if self.group:
            return found.group(self.group) or ""
        return next((group for group in found.groups() if group), match)
