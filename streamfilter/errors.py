"""Every exception of this library's own.

No message here, or anywhere else in the package, holds text that was held or redacted: errors end up in logs.
The exceptions of a source, a consumer or a user's function are never wrapped in one of these.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import opcode
import re
from collections.abc import Callable
from types import FrameType
from typing import Literal


class StreamFilterError(Exception):
    """The base of every exception that this library defines.

    Example:
        >>> issubclass(Blocked, StreamFilterError)
        True
    """


class Blocked(StreamFilterError):
    """A rule of `Block` matched, or a check of `Moderate` refused: everything before that was delivered.

    Of what matched or was refused nothing was, unless `left` is beyond `offset`.

    Attributes:
        rule: the name of the rule.
        offset: where the match or the window began, in characters of that channel's text as it reached the stage.
        channel: the kind of text it was found in (`"answer"`, `"reasoning"`, …).
        left: how many characters of that text had left the stage by then: `offset`, or more under `mode="optimistic"`.
        reason: what the check said, if it said anything. It is not part of the message: it may quote the text.
        score: how sure the check was, if it said so.

    Example:
        >>> Blocked("canary", 120, "answer")
        Blocked('rule canary matched at character 120 of the answer')
        >>> Blocked("violence", 120, "answer", left=200)
        Blocked('rule violence matched at character 120 of the answer, when 200 characters of it had left')
    """

    def __init__(
        self,
        rule: str,
        offset: int,
        channel: str = "answer",
        *,
        left: int | None = None,
        reason: str | None = None,
        score: float | None = None,
    ) -> None:
        gone = f", when {left} characters of it had left" if left is not None and left > offset else ""
        super().__init__(f"rule {rule} matched at character {offset} of the {channel}{gone}")
        self.rule = rule
        self.offset = offset
        self.channel = channel
        self.left: int = offset if left is None else left
        self.reason = reason
        self.score = score

    def __reduce__(self) -> tuple[Callable[..., Blocked], tuple[str, int, str]]:
        again = functools.partial(type(self), left=self.left, reason=self.reason, score=self.score)
        return again, (self.rule, self.offset, self.channel)


class ModerationError(StreamFilterError):
    """A check of `Moderate` gave no verdict, and its failure is to block: nothing of the window was delivered.

    What the check raised is its `__cause__`.

    Attributes:
        check: the check, as one would write it.
        problem: what happened.
        offset: where the window began, in characters of that channel's text as it reached the stage.
        channel: the kind of text it was asked about.

    Example:
        >>> ModerationError("allowed", "gave no verdict within 2.0 s", 120)
        ModerationError('the check allowed gave no verdict within 2.0 s, on the window at character 120 of the answer')
    """

    def __init__(self, check: str, problem: str, offset: int, channel: str = "answer") -> None:
        super().__init__(f"the check {check} {problem}, on the window at character {offset} of the {channel}")
        self.check = check
        self.problem = problem
        self.offset = offset
        self.channel = channel

    def __reduce__(self) -> tuple[type[ModerationError], tuple[str, str, int, str]]:
        return type(self), (self.check, self.problem, self.offset, self.channel)


class SourceTimeout(StreamFilterError, TimeoutError):
    """The source gave nothing for too long. It is also a `TimeoutError`.

    Attributes:
        limit: which limit of `Timeout` was reached: `"first"`, `"between"` or `"total"`.
        seconds: how much it was.

    Example:
        >>> SourceTimeout("between", 10.0)
        SourceTimeout('the source gave nothing for 10.0 s after an item (between)')
    """

    def __init__(self, limit: Literal["first", "between", "total"], seconds: float) -> None:
        what = {
            "first": f"gave nothing for {seconds} s",
            "between": f"gave nothing for {seconds} s after an item",
            "total": f"was waited for {seconds} s in all",
        }
        super().__init__(f"the source {what[limit]} ({limit})")
        self.limit = limit
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[SourceTimeout], tuple[str, float]]:
        return type(self), (self.limit, self.seconds)


class LimitExceeded(StreamFilterError):
    """A declared limit was reached, and its policy is to raise.

    Attributes:
        limit: the name of the argument that declares it.
        value: how much it is.
        where: what has reached it, and where, without quoting the text.

    Example:
        >>> LimitExceeded("max_hold", 1000, "rule redacted at character 17 of the answer")
        LimitExceeded('max_hold of 1000 exceeded: rule redacted at character 17 of the answer')
    """

    def __init__(self, limit: str, value: float, where: str) -> None:
        super().__init__(f"{limit} of {value} exceeded: {where}")
        self.limit = limit
        self.value = value
        self.where = where

    def __reduce__(self) -> tuple[type[LimitExceeded], tuple[str, float, str]]:
        return type(self), (self.limit, self.value, self.where)


class MalformedInput(StreamFilterError):
    """The source sent something that is not what its format allows.

    Attributes:
        problem: what was wrong, without quoting the input.
        offset: where, in bytes or characters from the beginning of the source.
        line: where, in lines from 1, if the format has any.
        column: where, in characters of the line from 1.
        path: keys and indexes down to the place, if the format has any. They are not part of the message: keys are text.

    Example:
        >>> MalformedInput("the data of an event is not JSON", 512)
        MalformedInput('the data of an event is not JSON, at offset 512')
        >>> MalformedInput("a value is missing", 12, line=2, column=3, path=("items", 0)).path
        ('items', 0)
    """

    def __init__(
        self,
        problem: str,
        offset: int,
        *,
        line: int | None = None,
        column: int | None = None,
        path: tuple[str | int, ...] | None = None,
    ) -> None:
        place = f"offset {offset}" if line is None else f"line {line}, column {column} (offset {offset})"
        super().__init__(f"{problem}, at {place}")
        self.problem = problem
        self.offset = offset
        self.line = line
        self.column = column
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., MalformedInput], tuple[str, int]]:
        again = functools.partial(type(self), line=self.line, column=self.column, path=self.path)
        return again, (self.problem, self.offset)


class TruncatedInput(MalformedInput):
    """The source ended where its format does not allow it to; all that came was right.

    Example:
        >>> TruncatedInput("the text ends inside the document", 7, line=1, column=8, path=("a",))
        TruncatedInput('the text ends inside the document, at line 1, column 8 (offset 7)')
    """


class ProviderError(StreamFilterError):
    r"""The provider reported an error in the middle of its stream, and the consumer reads plain text.

    Attributes:
        payload: the provider's own error object, as it came. It is not part of the message: a provider may quote the prompt in it.

    Example:
        >>> import streamfilter as sf
        >>> try:
        ...     list(sf.text_of([b'data: {"error": {"message": "overloaded"}}\n\n']))
        ... except ProviderError as error:
        ...     error, error.payload
        (ProviderError('the provider reported an error in its stream (see .payload)'), {'message': 'overloaded'})
    """

    def __init__(self, payload: object = None) -> None:
        super().__init__("the provider reported an error in its stream (see .payload)")
        self.payload = payload


class SpecError(StreamFilterError, ValueError):
    """A declared pipeline is wrong, or a pipeline cannot be declared. It is also a `ValueError`.

    Attributes:
        problem: what is wrong, and what would be right.
        file: the file, as it was named; None if it came from no file.
        line: where, in lines from 1, if that is known.
        column: where, in characters of the line from 1, if that is known.
        path: keys and indexes down to the place.

    Example:
        >>> print(SpecError("unknown rule 'emial': did you mean 'email'?", file="a.toml", line=4, path=("pipeline", "acme", 0)))
        a.toml, line 4: pipeline.acme[0]: unknown rule 'emial': did you mean 'email'?
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        path: tuple[str | int, ...] = (),
    ) -> None:
        place = [] if file is None else [file]
        place += [] if line is None else [f"line {line}"]
        place += [] if column is None else [f"column {column}"]
        # What is no plain name is quoted: a file could say what a terminal obeys.
        within = "".join(
            f".{step}" if re.fullmatch(r"[\w-]+", str(step)) and isinstance(step, str) else f"[{step!r}]" for step in path
        )
        within = within.removeprefix(".")
        super().__init__(": ".join(filter(None, [", ".join(place), within, problem])))
        self.problem = problem
        self.file = file
        self.line = line
        self.column = column
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., SpecError], tuple[str]]:
        return functools.partial(type(self), file=self.file, line=self.line, column=self.column, path=self.path), (self.problem,)


class Unfit(TypeError):
    """What came is of a kind that is not taken here, such as a provider's chunk where text is needed.

    Attributes:
        problem: what kind, and what would be right; nothing of what came.

    Example:
        >>> import streamfilter as sf
        >>> list(sf.Redact("a").iter([{"content": "secret"}]))
        Traceback (most recent call last):
        streamfilter.errors.Unfit: Redact was fed dict where text is expected: read a provider's stream with ...
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


_PAUSING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR


_PAUSES = frozenset(opcode.opmap[name] for name in ("YIELD_VALUE", "RETURN_GENERATOR") if name in opcode.opmap)
"""Instructions at which generators and coroutines are suspended. One that ended there, by what was thrown into it, looks alike."""


def _may_go_on(frame: FrameType) -> bool:
    """Whether it is of a generator or coroutine that may be suspended: before Python 3.13, to clear it would close that."""
    return bool(frame.f_code.co_flags & _PAUSING) and (frame.f_lasti < 0 or frame.f_code.co_code[frame.f_lasti] in _PAUSES)


def clear_text(error: BaseException) -> None:
    """Clear the variables of this library's own frames in the tracebacks of an error and of what led to it.

    They hold text of the stream, and what reports errors records variables by default. Frames of others stay as they are, and so do
    those that may go on, as of a generator that has handled the error.

    Example:
        >>> import streamfilter as sf
        >>> try:
        ...     sf.Redact("a").apply(b"secret")
        ... except TypeError as error:
        ...     clear_text(error)
    """
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback = each.__traceback__
        while traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if frame.f_globals.get("__name__", "").startswith("streamfilter.") and not _may_go_on(frame):
                with contextlib.suppress(RuntimeError):  # it still runs
                    frame.clear()
        waiting += [each.__cause__, each.__context__]
