"""What everything that is guarded has: a pipeline for what is sent, one for what comes back, and a context for each call.

This module knows no provider, no SDK and no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, get_args

from streamfilter.context import AfterStop, Context
from streamfilter.declaration import check_plain, check_takes
from streamfilter.pipeline import Stage, as_stage
from streamfilter.providers.detecting import wrap

Contexts: TypeAlias = Context | Callable[[], Context] | None
"""The context of all calls, or what makes one for each; None: each has one of its own."""


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """What something is guarded with.

    Args:
        request: the pipeline for what is sent; None if that is not filtered.
        response: the pipeline for what comes back.
        context: of the calls.
        after_stop: as for streams.
    """

    request: Stage[str, str] | None
    response: Stage[str, str] | None
    context: Contexts
    after_stop: AfterStop

    def begun(self) -> Context:
        """The context of a call that begins. It has a vault, which its request and its response share.

        Raises:
            TypeError: what was to make it has made something else.
        """
        given = self.context() if callable(self.context) else self.context
        if given is not None and not isinstance(given, Context):
            raise TypeError(f"context gave {type(given).__qualname__}: a Context is needed")
        return Context.with_vault(given)

    def must_wait(self) -> Stage[str, str] | None:
        """The pipeline that can only be used in an event loop, if one is such."""
        return next((each for each in (self.request, self.response) if each is not None and waits(each)), None)


def checked(
    request: Stage[str, str] | None, response: Stage[str, str] | None, context: Contexts
) -> tuple[Stage[str, str] | None, Stage[str, str] | None]:
    """The pipelines that were given, for what is sent and what comes back; None for an empty one.

    Raises:
        TypeError: there is none, or one is no pipeline of text stages; the context is none, nor a plain function.
        ValueError: that function takes arguments.
    """
    if request is None and response is None:
        raise TypeError("request= or response= is needed, or both: without either, nothing is filtered")
    if callable(context):
        check_plain("context", context)
        check_takes(context)
    elif context is not None and not isinstance(context, Context):
        raise TypeError(f"context is {type(context).__qualname__}: a Context is needed, or a function that makes one")
    return _checked("request", request), _checked("response", response)


def _checked(name: str, pipeline: Stage[str, str] | None) -> Stage[str, str] | None:
    if pipeline is None:
        return None
    given = as_stage(pipeline)
    try:
        wrap(given)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    return given if given.stages else None


def check_after_stop(after_stop: AfterStop) -> AfterStop:
    """The same for what happens after a stop.

    Raises:
        ValueError: it is none of what there is.
    """
    if after_stop not in get_args(AfterStop):
        raise ValueError(f"after_stop={after_stop!r}: 'close' or 'drain' is needed")
    return after_stop


def waits(pipeline: Stage[str, str]) -> bool:
    """Whether a pipeline can only be used in an event loop."""
    return pipeline.must_wait or bool(pipeline.machine().waits)
