"""The exit to the web: streams as responses of a server, and a filter around any ASGI application.

`sse_response` is what a handler of FastAPI or Starlette returns, `resumable_response` the same for streams that outlive their
connection, `websocket` sends a stream over a web socket of theirs, and
`StreamFilterMiddleware` filters what any ASGI application sends; it needs neither of the two. `ResponseBody` and `request_body` are
what it is made of, for those who have bodies in their hands, such as a proxy.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfilter.web.bodies import Filter, ResponseBody, request_body
    from streamfilter.web.middleware import StreamFilterMiddleware
    from streamfilter.web.problems import Problem, Unreadable, problem_of
    from streamfilter.web.responses import ResumableResponse, StreamResponse, resumable_response, sse_response
    from streamfilter.web.sockets import websocket

__all__ = [
    "Filter",
    "Problem",
    "ResponseBody",
    "ResumableResponse",
    "StreamFilterMiddleware",
    "StreamResponse",
    "Unreadable",
    "problem_of",
    "request_body",
    "resumable_response",
    "sse_response",
    "websocket",
]

_LATE = {
    **dict.fromkeys(("Filter", "ResponseBody", "request_body"), "bodies"),
    "StreamFilterMiddleware": "middleware",
    **dict.fromkeys(("Problem", "Unreadable", "problem_of"), "problems"),
    **dict.fromkeys(("ResumableResponse", "StreamResponse", "resumable_response", "sse_response"), "responses"),
    "websocket": "sockets",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of this module's

    def __getattr__(name: str) -> object:
        """Import what is asked for: the middleware does without starlette."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(f"streamfilter.web.{_LATE[name]}"), name)
