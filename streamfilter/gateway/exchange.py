"""One request and its answer, as far as the gateway itself knows them. Nothing of what they say is in here."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["ok", "blocked", "timed_out", "failed", "refused", "left"]
"""How an exchange ended.

`ok`: all of an answer has left, be it an error that the upstream says. `blocked`: a rule has stopped it. `timed_out`: it took too
long, the upstream or a stage, or the client with its request. `failed`: the upstream gave no answer that could be sent on to its
end, or a stage failed. `refused`: the gateway did not take the request, for what it is or because there are too many. `left`: the
client has gone, or did not read.
"""

KEY = "streamfilter.gateway"
"""Where it stands in the scope of ASGI."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        method: of the request, once it is known to be one of HTTP's.
        path: to ask the upstream for; "-" until it is known to be plain.
        query: of the request. It may have a key in it, and is never logged.
        pipeline: the name of the one that filters the response; "" if nothing was chosen yet.
        request: the name of the one that filters the request, if any.
        format: of the bodies, where the path tells it.
        status: that the client was sent; 0 before.
        is_complete: whether all was sent.
        ending: how it ended, so far.
    """

    method: str = "-"
    path: str = "-"
    query: bytes = b""
    pipeline: str = ""
    request: str | None = None
    format: str | None = None
    status: int = 0
    is_complete: bool = False
    ending: Ending = "ok"


CURRENT: ContextVar[Exchange] = ContextVar("streamfilter.gateway")
"""The one that a task serves: what went wrong is told by callbacks that are given an exception and nothing else."""
