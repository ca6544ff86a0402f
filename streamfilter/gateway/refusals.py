"""What the gateway itself answers: a status, and words that quote nothing."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.providers.frames import json_text
from streamfilter.web.bodies import Unreadable
from streamfilter.web.problems import Code, Problem, body_of


class Refused(Unreadable):
    """A request that is answered here, or a response that is not sent on. It has no content, no key and no URL in it.

    Args:
        status: of HTTP.
        words: for the client.
        headers: to be sent with them.
        code: what kind of problem it is.
    """

    def __init__(self, status: int, words: str, *, headers: Sequence[tuple[bytes, bytes]] = (), code: Code = "failed") -> None:
        super().__init__(words, status)
        self.headers: list[tuple[bytes, bytes]] = [*headers]
        self.code: Code = code

    def body(self, name: str) -> bytes:
        """The body of the answer, in the words of a format.

        Args:
            name: of the format; "" if that is not known.
        """
        said = str(self)
        return json_text(body_of(name, Problem(self.code, f"{said[:1].upper()}{said[1:]}.", self.status))).encode()
