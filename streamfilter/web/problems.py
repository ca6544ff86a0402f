"""What a client is told when a stream does not end well, in the words of each format.

Three things are told apart: a rule has blocked it, it took too long, it failed. The words are fixed, or the caller's: what an
exception says is for the caller, and what was held is for nobody.
Sources: the errors of OpenAI's API and of its streams (`openai.APIError`); "Errors" in Anthropic's documentation, where output that
a policy blocks is an `invalid_request_error`; the AI SDK's UI message stream; `google.rpc.Status`; ResponseStream of Bedrock.
"""

from __future__ import annotations

import logging
import re
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, replace
from traceback import walk_tb
from typing import Any, Literal, TypeAlias, cast

from streamfilter.declaration import check_plain
from streamfilter.errors import Blocked, MalformedInput, StreamFilterError, Unfit
from streamfilter.providers.frames import AWS, json_text
from streamfilter.web.messages import DONE, Message, said

Code: TypeAlias = Literal["blocked", "timed_out", "failed"]

OnError: TypeAlias = Callable[[Exception], "Problem | str | None"]
"""Is told of what went wrong. It may say what the client is told, instead of the usual words."""

LOG = logging.getLogger("streamfilter.web")


class Unreadable(StreamFilterError):
    """A body that was to be filtered cannot be.

    Attributes:
        problem: why, and nothing of what came.
        status: of HTTP, for whoever sent it.

    Example:
        >>> Unreadable("a body of more than 10 bytes cannot be filtered", 413).status
        413
    """

    def __init__(self, problem: str, status: int = 415) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told.

    Args:
        code: which of the three.
        message: in words. They are shown to the client.
        status: of HTTP, for an answer of which nothing has left yet; by default that of the code.

    Example:
        >>> Problem("timed_out", "Try again later.").status
        504
    """

    code: Code
    message: str
    status: int = 0

    def __post_init__(self) -> None:
        if self.code not in _STATUS:
            raise ValueError(f"code={self.code!r}: 'blocked', 'timed_out' or 'failed' is needed")
        if not isinstance(self.message, str):
            raise TypeError(f"the message of a problem is {type(self.message).__qualname__}: a str is needed")
        if not self.status:
            object.__setattr__(self, "status", _STATUS[self.code])


_STATUS: dict[str, int] = {"blocked": 403, "timed_out": 504, "failed": 502}
"""What is blocked would be blocked again, and clients repeat what has a status from 500 on."""

BLOCKED = Problem("blocked", "The answer was stopped by a content rule.")
TIMED_OUT = Problem("timed_out", "The answer took too long.")
FAILED = Problem("failed", "The answer could not be completed.")


def problem_of(error: Exception, on_error: OnError | None = None) -> Problem:
    """What a client is told of an exception; logged with no more than its class, and what this library says of wrong input or use.

    Args:
        error: of a stage, a source, or the application.
        on_error: is told first; see `sse_response`.

    Example:
        >>> problem_of(TimeoutError("secret"))
        Problem(code='timed_out', message='The answer took too long.', status=504)
    """
    usual = usual_problem(error)
    LOG.warning("a stream was cut off: %s (%s)", usual.code, reason_of(error))
    if on_error is None:
        return usual
    try:
        given = on_error(error)
    except Exception as failure:  # the client is to be told all the same
        LOG.error("on_error failed: %s", origin_of(failure))  # noqa: TRY400  # a traceback could quote the text
        return usual
    if isinstance(given, Problem):
        return given
    return replace(usual, message=given) if isinstance(given, str) else usual


def check_on_error(on_error: object) -> None:
    """Refuse what is no function.

    Raises:
        TypeError: it is none, or async.
    """
    if on_error is not None and not callable(on_error):
        raise TypeError(f"on_error is {type(on_error).__qualname__}: a function is needed")
    check_plain("on_error", on_error)


def origin_of(error: BaseException) -> str:
    """What the log is told of an exception: its class, and the line that it comes from. Its message may quote text.

    That is the last line on the way to it which is neither this library's nor that of what is installed; else the very last.

    Example:
        >>> origin_of(ValueError("secret"))
        'ValueError'
    """
    places = [(frame.f_globals.get("__name__", "?"), line) for frame, line in walk_tb(error.__traceback__)]
    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    own = [place for place, file in zip(places, files, strict=True) if not _is_installed(place[0], file)]
    at = "".join(f", {module}:{line}" for module, line in (own or places)[-1:])
    return type(error).__qualname__ + at


def reason_of(error: BaseException) -> str:
    """What the log is told of an exception: `origin_of`, and what is wrong with the input, or the use, in words of this library.

    Those quote nothing.

    Example:
        >>> reason_of(Unreadable("its content-encoding is not known")), reason_of(ValueError("secret"))
        ('Unreadable: its content-encoding is not known', 'ValueError')
    """
    said = error.problem if isinstance(error, (Unfit, Unreadable, MalformedInput)) else ""
    return ": ".join(filter(None, (origin_of(error), said)))


_PATHS = sysconfig.get_paths()


def _is_installed(module: str, file: str) -> bool:
    folders = (_PATHS["stdlib"], _PATHS["platstdlib"], _PATHS["purelib"], _PATHS["platlib"])
    return module.partition(".")[0] == "streamfilter" or file.startswith("<") or any(map(file.startswith, folders))


def usual_problem(error: Exception) -> Problem:
    """What a client is told of an exception, if nobody says otherwise.

    Example:
        >>> usual_problem(ValueError("secret")).code
        'failed'
    """
    return BLOCKED if isinstance(error, Blocked) else TIMED_OUT if _is_timeout(error) else FAILED


def _is_timeout(error: Exception) -> bool:
    """HTTP clients and SDKs have time-outs that are no `TimeoutError`: `httpx.ReadTimeout`, `openai.APITimeoutError`."""
    return isinstance(error, TimeoutError) or any("Timeout" in kind.__name__ for kind in type(error).__mro__)


_ANTHROPIC = {"blocked": "invalid_request_error", "timed_out": "timeout_error", "failed": "api_error"}
_OPENAI = {"blocked": "content_filter", "timed_out": "timeout", "failed": "server_error"}
_GOOGLE = {"blocked": "PERMISSION_DENIED", "timed_out": "DEADLINE_EXCEEDED", "failed": "INTERNAL"}
_BEDROCK = {"blocked": "validationException", "timed_out": "modelTimeoutException", "failed": "internalServerException"}


_WRONG: dict[int, tuple[str, str, str]] = {
    400: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    403: ("invalid_request_error", "permission_error", "PERMISSION_DENIED"),
    404: ("invalid_request_error", "not_found_error", "NOT_FOUND"),
    405: ("invalid_request_error", "invalid_request_error", "UNIMPLEMENTED"),
    408: ("invalid_request_error", "timeout_error", "DEADLINE_EXCEEDED"),
    413: ("invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
    415: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    503: ("server_error", "overloaded_error", "UNAVAILABLE"),
}
"""What OpenAI, Anthropic and Google call what is wrong with a request, or with its moment, by the status."""


def body_of(name: str, problem: Problem) -> dict[str, Any]:
    """A problem as the whole body of a response, in the words of a format.

    Args:
        name: of the format; of one that is not known here, those of OpenAI, which most others have taken.
        problem: what to say.

    Example:
        >>> body_of("ollama", BLOCKED)
        {'error': 'The answer was stopped by a content rule.'}
    """
    code, message = problem.code, problem.message
    usual = (_OPENAI[code], _ANTHROPIC[code], _GOOGLE[code])
    openai, anthropic, google = usual if code == "blocked" else _WRONG.get(problem.status, usual)
    if name == "anthropic.messages":
        return {"type": "error", "error": {"type": anthropic, "message": message}}
    if name == "gemini":
        return {"error": {"code": problem.status, "message": message, "status": google}}
    if name == "ollama":
        return {"error": message}
    return {"error": {"message": message, "type": openai, "param": None, "code": code}}


def messages_of(name: str, problem: Problem, *, number: int = 0) -> list[Message]:
    """A problem in the middle of a stream, in the words of its format, and what ends the stream then.

    Args:
        name: of the format, as one writes it (`"openai.chat"`); or `"text"`, `"events"`.
        problem: what to say.
        number: of the event, where a format numbers its events.

    Example:
        >>> messages_of("vercel", BLOCKED)[1].data
        '{"type":"error","errorText":"The answer was stopped by a content rule."}'
    """
    code, message = problem.code, problem.message
    if name == "vercel":
        told = {"type": "data-problem", "data": {"code": code}, "transient": True}  # errors have only words
        return [said(told), said({"type": "error", "errorText": message}), DONE]
    if name == "openai.responses":
        event = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": number}
        return [said(event, named=True)]
    if name in ("text", "events", "patches"):
        return [said({"type": "error", "code": code, "message": message}, named=True)]
    if name in ("openai.chat", "openai.completions"):
        return [said(body_of(name, problem)), DONE]
    if name == "gemini":
        return [said(body_of(name, problem))]
    return [Message(json_text(body_of(name, problem)), "error")]


_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,18})')
"""In a string the quotes would be escaped."""


def number_behind(piece: bytes, number: int) -> int:
    r"""The number of the event that follows a piece of a body, where a format numbers its events.

    Args:
        piece: whole events.
        number: what it would be without the piece.

    Example:
        >>> number_behind(b'data: {"type":"response.created","sequence_number":0}\n\n', 0), number_behind(b": ping\n\n", 7)
        (1, 7)
    """
    found = _NUMBER.findall(piece)
    return int(found[-1]) + 1 if found else number


def last_piece(name: str, framing: str, problem: Problem, *, number: int = 0) -> bytes:
    r"""The same as the last bytes of a body.

    Args:
        name: of the format; "" if nothing has told it.
        framing: `"sse"`, `"lines"` or `"messages"`.
        problem: what to say.
        number: of the event, where a format numbers its events.

    Example:
        >>> last_piece("ollama", "lines", FAILED)
        b'{"error":"The answer could not be completed."}\n'
    """
    if framing == "lines":
        return f"{json_text(body_of(name, problem))}\n".encode()
    if framing == "messages":
        kind = _BEDROCK[problem.code]
        return AWS.encode(cast("dict[str, Any]", {kind: {"message": problem.message}}), "", None)
    return b"".join(each.frame() for each in messages_of(name, problem, number=number))
