"""Redaction that can be taken back: placeholders on the way out, `Restore` on the way in.

Restoring is exact because of what `Redact(to=Placeholder())` does with text that already looks like a placeholder. If the vault has
issued that one, the text gets a placeholder itself; if not, it stays as typed, is searched like any other text, and the vault will
never issue it. So every text between brackets that comes out and that the vault has issued is where a rule has matched, or such a
text. Pieces cannot join to another one: whatever reads as a placeholder begins at a bracket and has no second one inside, so if it
begins in text that was kept, all of it was kept, and was looked at.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import ClassVar

from streamfilter.context import Context
from streamfilter.declaration import Declared, declared
from streamfilter.machine import Machine, TextMachine
from streamfilter.matching import Rule
from streamfilter.pipeline import TextStage, stage
from streamfilter.vault import LONGEST, PLACEHOLDER, Vault

_BEGINS = re.compile("<").search


@declared
class Placeholder(Declared):
    """Stand-ins that `Restore` can take back: `<EMAIL_1>` for the first text that the rule "email" finds, `<EMAIL_2>` for the next.

    What they stand for is remembered in the vault of the stream's context. The name is the rule's in capitals, with an underscore
    for anything but ASCII letters and digits. Text that looks like a placeholder comes back as it was typed.

    A match longer than `max_hold` is not remembered: with `overflow="redact"` it becomes `[EMAIL]`, for good. Redacting twice takes
    restoring twice, so give one `Redact` all the rules.

    Example:
        >>> import streamfilter as sf
        >>> context = sf.Context(vault=sf.Vault())
        >>> private = sf.Redact(sf.Rule("name", "Ann|Joe"), to=sf.Placeholder())
        >>> private.apply("Ann to Joe: Ann here", context=context)
        '<NAME_1> to <NAME_2>: <NAME_1> here'
        >>> sf.Restore().apply("Dear < name 1 >,", context=context)
        'Dear Ann,'
    """


@stage
class Restore(TextStage):
    r"""Put back what `Redact(..., to=Placeholder())` has taken out, from the vault of the stream's context.

    Models rewrite what they repeat: case does not matter, nor blanks inside the brackets, nor a blank, a hyphen or `\_` for an
    underscore. What the vault has not issued passes as it came. What is restored is not looked at again. It applies to every text
    channel, as redaction does: whatever the model says is for the one whose text it was.

    Args:
        channels: the kinds of channel it applies to; None is every kind. The arguments of tool calls are read as JSON.

    Raises:
        ValueError: when it is started without a vault.

    Example:
        >>> import streamfilter as sf
        >>> context = sf.Context(vault=sf.Vault())
        >>> sf.Redact(sf.Rule("name", "Ann"), to=sf.Placeholder()).apply("I am Ann.", context=context)
        'I am <NAME_1>.'
        >>> list(sf.Restore().iter(["Hi <na", "me 1", ">! <NAME_2>?"], context=context))
        ['Hi ', 'Ann', '! <NAME_2>?']
    """

    channels: tuple[str, ...] | None = dataclasses.field(default=None, kw_only=True)

    is_guard: ClassVar[bool] = True

    def machine(self, context: Context | None = None) -> Machine:
        if context is not None and context.is_started:
            vault_of(context, "Restore()")
        return self._lift(context)

    def start(self, context: Context | None = None) -> TextMachine:
        given = context or Context()
        return _Restorer(vault_of(given, "Restore()"), given)

    def holds(self) -> str:
        return f"holds the beginning of a placeholder of the vault, at most {LONGEST} characters"


class _Restorer(TextMachine):
    """Not a `Scan`: what there is to find grows with the vault, and is asked for, not compiled."""

    def __init__(self, vault: Vault, context: Context) -> None:
        self._vault = vault
        self._found = context.found

    def feed(self, text: str) -> None:
        hold = self.hold
        buf = hold.buf
        at = hold.pos
        while (at := buf.find("<", at)) >= 0:
            end = buf.find(">", at, at + LONGEST) + 1
            if not end:
                if self._vault.may_begin(buf[at : at + LONGEST]):
                    hold.keep(at - hold.pos)
                    return
            elif (original := self._vault.restore(buf[at:end])) is not None:
                hold.keep(at - hold.pos)
                self._report(buf[at:end])
                hold.replace(end - at, original)
            at += 1
        hold.keep(len(hold))
        hold.stops = _BEGINS

    def _report(self, placeholder: str) -> None:
        if rule := self._vault.rule(placeholder):  # text that only looked like a placeholder has none
            self._found(rule, "restore", self.hold.channel, self.hold.offset, self.hold.offset + len(placeholder))


def vault_of(context: Context, stage: str) -> Vault:
    """The vault that a stage needs.

    Raises:
        ValueError: there is none; the message says where to put one.
    """
    if context.vault is None:
        raise ValueError(f"{stage} needs a vault: start it with context=sf.Context(vault=sf.Vault())")
    return context.vault


@cache
def lookalike() -> Rule:
    """The rule, behind all others, for text that would be restored if the vault had issued it."""
    return Rule("placeholder", PLACEHOLDER)
