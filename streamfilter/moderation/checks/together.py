"""Several checks as one: `all_of` and `any_of`.

The answers are looked at in the order of the parts, whichever comes first, so that a verdict, or an error, does not depend on who
is quick. Then nobody is asked any more, and nothing is left under way but threads, which nobody listens to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from streamfilter.declaration import declared, is_async
from streamfilter.moderation.asking import Check, verdict_of
from streamfilter.moderation.checks.judging import Judging, Ready, answered, ready, shown
from streamfilter.moderation.window import Window
from streamfilter.plain import run_through
from streamfilter.verdict import Verdict


@declared
class Together(Judging):
    """Checks of which each has a say."""

    parts: Annotated[tuple[Check, ...], Field(min_length=1)]

    @property
    def is_async(self) -> bool:
        return any(map(is_async, self.parts))

    async def judge(self, window: Window) -> Verdict:
        if not self.is_async:
            return await self._decide(_asked(part, window) for part in self.parts)
        asked = [_asked(part, window) if is_async(part) else asyncio.to_thread(_plainly, part, window) for part in self.parts]
        tasks = [*map(asyncio.create_task, asked)]
        try:
            return await self._decide(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _decide(self, asked: Iterable[Awaitable[Verdict]]) -> Verdict:
        verdicts: list[Verdict] = []
        for each in asked:
            verdict = await each
            if self.settles(verdict):
                return verdict
            verdicts.append(verdict)
        return self.otherwise(verdicts)

    def settles(self, verdict: Verdict) -> bool:
        """Whether this one decides, whatever the parts behind it say."""
        raise NotImplementedError

    def otherwise(self, verdicts: Sequence[Verdict]) -> Verdict:
        """What decides if none of them does so alone."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{self._named}({', '.join(map(shown, self.parts))})"


async def _asked(part: Check, window: Window) -> Verdict:
    verdict = verdict_of(await answered(part(window), part), shown(part))
    if isinstance(verdict, TypeError):
        raise verdict
    return verdict


def _plainly(part: Check, window: Window) -> Verdict:
    return run_through(_asked(part, window))


@declared
class AllOf(Together):
    """What `all_of` asks."""

    _named: ClassVar[str] = "all_of"

    def settles(self, verdict: Verdict) -> bool:
        return verdict.action in ("refuse", "stop")

    def otherwise(self, verdicts: Sequence[Verdict]) -> Verdict:
        return next((verdict for verdict in verdicts if verdict.action != "allow"), verdicts[0])


@declared
class AnyOf(Together):
    """What `any_of` asks."""

    _named: ClassVar[str] = "any_of"

    def settles(self, verdict: Verdict) -> bool:
        return verdict.action == "allow"

    def otherwise(self, verdicts: Sequence[Verdict]) -> Verdict:
        return verdicts[0]


def all_of(*checks: Check) -> Ready:
    """Allow what all of some checks allow; the first, in their order, that does not allow it decides.

    A replacement only decides if no check refuses: what one would put right must not hide what another forbids. Of several
    replacements the first is taken alone, so what is to be replaced for several reasons is for a stage each.

    Args:
        checks: async ones are asked at the same time, and plain ones beside them in threads; if all are plain, one after another as
            long as it is open.

    Raises:
        ValueError: there are none.
        TypeError: when it is asked, a check gives no verdict. What a check raises is raised.

    Example:
        >>> import streamfilter as sf
        >>> def short(window):
        ...     return len(window.text) < 20
        >>> def calm(window):
        ...     return sf.Verdict.allow() if "!" not in window.text else sf.Verdict.refuse(rule="loud")
        >>> all_of(short, calm)
        all_of(short, calm)
        >>> all_of(short, calm)(sf.Window("Now!"))
        Verdict(action='refuse', rule='loud', score=None)
    """
    return ready(AllOf(checks))


def any_of(*checks: Check) -> Ready:
    """Allow what any of some checks allows; if none does, the first decides.

    Args:
        checks: asked as by `all_of`; the quickest belongs in front.

    Raises:
        ValueError: there are none.
        TypeError: when it is asked, a check gives no verdict. What a check raises is raised, unless one before it allows.

    Example:
        >>> import streamfilter as sf
        >>> def known(window):
        ...     return window.text in ("Hello.", "Bye.")
        >>> def short(window):
        ...     return len(window.text) < 5
        >>> [any_of(known, short)(sf.Window(text)).action for text in ("Hello.", "So?", "And then what?")]
        ['allow', 'allow', 'refuse']
    """
    return ready(AnyOf(checks))
