"""Verdicts: what a check says of a piece of text, and a cache of what it has said before.

Nothing here knows who asks, or when. A cache holds digests of text, never text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from streamfilter.declaration import check_count

MAX_ENTRIES = 10_000
"""Verdicts that a cache keeps: some two megabytes."""

_Key: TypeAlias = tuple[Hashable, str, bytes]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of a window of text: `allow()`, `replace(text)`, `stop(message)` or `refuse(reason)`.

    Attributes:
        action: which of the four.
        text: what stands in for the window, or the last text of a stopped stream; None is the stage's own message.
        reason: for those who are told of a refusal. It is never shown in a message or a repr: it may quote the text.
        rule: the name under which it is reported.
        score: how sure the check was.

    Example:
        >>> Verdict.refuse(rule="violence", score=0.93)
        Verdict(action='refuse', rule='violence', score=0.93)
    """

    action: Literal["allow", "replace", "stop", "refuse"]
    text: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    rule: str = "moderation"
    score: float | None = None

    def __post_init__(self) -> None:
        if self.action not in ("allow", "replace", "stop", "refuse"):
            raise ValueError(f"action={self.action!r}: 'allow', 'replace', 'stop' or 'refuse' is needed")
        if not (isinstance(self.text, str) or (self.text is None and self.action != "replace")):
            raise TypeError(f"the text of a verdict is {type(self.text).__qualname__}: a str is needed")
        if not isinstance(self.rule, str) or not self.rule:
            raise TypeError("the rule of a verdict is no name: a str that is not empty is needed")

    @classmethod
    def allow(cls, *, rule: str = "moderation", score: float | None = None) -> Verdict:
        """The window may leave as it is."""
        return cls("allow", rule=rule, score=score)

    @classmethod
    def replace(cls, text: str, *, rule: str = "moderation", score: float | None = None) -> Verdict:
        """Another text leaves in place of the window."""
        return cls("replace", text, rule=rule, score=score)

    @classmethod
    def stop(cls, message: str | None = None, *, rule: str = "moderation", score: float | None = None) -> Verdict:
        """The stream ends before the window, without an error, with a message as its last text."""
        return cls("stop", message, rule=rule, score=score)

    @classmethod
    def refuse(cls, reason: str | None = None, *, rule: str = "moderation", score: float | None = None) -> Verdict:
        """The stream ends before the window, as the stage's `action` says."""
        return cls("refuse", reason=reason, rule=rule, score=score)


class VerdictCache:
    r"""What checks have said of the same text before, for one caller's streams: `Context(verdicts=VerdictCache())`.

    The text that was asked about longest ago is forgotten first. Only for checks that look at nothing but the window's text, its
    lookback and the kind of its channel. Failures are not remembered.

    Args:
        max_entries: how many verdicts are kept.

    Raises:
        ValueError: it could keep none.

    Example:
        >>> import streamfilter as sf
        >>> asked = []
        >>> stage = sf.Moderate(lambda window: not asked.append(window.text), window=sf.by_line())
        >>> context = sf.Context(verdicts=sf.VerdictCache())
        >>> stage.apply("again\nagain\n", context=context), asked, len(context.verdicts)
        ('again\nagain\n', ['again\n'], 1)
    """

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = check_count("max_entries", max_entries)
        self._verdicts: OrderedDict[_Key, Verdict] = OrderedDict()

    def __len__(self) -> int:
        return len(self._verdicts)

    def __repr__(self) -> str:
        return f"<VerdictCache of {len(self)} verdicts, at most {self._max_entries}>"

    @staticmethod
    def key(check: Hashable, kind: str, lookback: str, text: str, decided: int = 0) -> _Key:
        """What tells one question from another.

        Args:
            check: what is asked.
            kind: of the channel.
            lookback: what stands before the text.
            text: what is asked about.
            decided: characters at its beginning that the answer can no longer change: what stands in for the rest is without them.

        Raises:
            TypeError: the check is not hashable, and so not to be told from another.
        """
        try:
            hash(check)
        except TypeError:
            raise TypeError(
                f"the check is a {type(check).__qualname__}, which is not hashable, as a verdict cache needs it"
            ) from None
        both = f"{len(lookback)}:{decided}:{lookback}{text}".encode("utf-8", "surrogatepass")
        import hashlib  # noqa: PLC0415  # few streams have a cache

        return check, kind, hashlib.blake2b(both, digest_size=16).digest()

    def get(self, key: _Key) -> Verdict | None:
        """What was said, if it is still known."""
        verdict = self._verdicts.get(key)
        if verdict is not None:
            self._verdicts.move_to_end(key)
        return verdict

    def put(self, key: _Key, verdict: Verdict) -> None:
        """Remember it."""
        self._verdicts[key] = verdict
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > self._max_entries:
            self._verdicts.popitem(last=False)
