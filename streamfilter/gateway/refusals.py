"""What the gateway itself answers: a status, and words that quote nothing; and how an exchange has ended by an exception."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.gateway.exchange import Ending
from streamfilter.providers.frames import json_text
from streamfilter.web.problems import FAILED, Code, Problem, Unreadable, body_of, usual_problem


class Refused(Unreadable):
    """A request that is answered here, or a response that is not sent on. It has no content, no key and no URL in it.

    Args:
        status: of HTTP.
        words: for the client.
        headers: to be sent with them.
        ending: how the exchange ends by it.
    """

    def __init__(self, status: int, words: str, *, headers: Sequence[tuple[bytes, bytes]] = (), ending: Ending = "refused") -> None:
        super().__init__(words, status)
        self.headers: list[tuple[bytes, bytes]] = [*headers]
        self.ending: Ending = ending

    def body(self, name: str) -> bytes:
        """The body of the answer, in the words of a format.

        Args:
            name: of the format; "" if that is not known.
        """
        said = str(self)
        code: Code = "timed_out" if self.ending == "timed_out" else FAILED.code
        return json_text(body_of(name, Problem(code, f"{said[:1].upper()}{said[1:]}.", self.status))).encode()


def ending_of(error: Exception, *, has_begun: bool) -> Ending:
    """How an exchange has ended that an exception ends.

    Args:
        error: what was raised.
        has_begun: whether something of the answer had left.

    Example:
        >>> ending_of(Unreadable("the body of a request is no JSON", 400), has_begun=False)
        'refused'
        >>> ending_of(Unreadable("the body of a response is no JSON", 502), has_begun=False)
        'failed'
    """
    if isinstance(error, Refused):
        ending = error.ending
    elif isinstance(error, Unreadable) and error.status < 500:
        ending = "refused"
    else:
        ending = usual_problem(error).code
    return "failed" if has_begun and ending == "refused" else ending
