"""The machine of `FilterJSON`: one run of JSON text, of which the strings go through a pipeline.

The text is cut at its quotation marks: what is between strings goes to the parser and leaves; what is in a string goes to the
parser, and what that says of it through the pipeline. So the parser says what is JSON, and here is only known where in the text
things stand. Nothing that may turn out to be malformed leaves, so that what has left does not depend on the cuts.

Text around documents goes through the pipeline as it is: it would slip past otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamfilter.errors import LimitExceeded, MalformedInput, TruncatedInput
from streamfilter.items import End, Finish
from streamfilter.machine import Machine, TextMachine, refusal
from streamfilter.parsing.listening import Listener
from streamfilter.parsing.parser import MAX_DEPTH, Limits, Parser, Position
from streamfilter.parsing.passage import Outlet, Passage, Token
from streamfilter.parsing.paths import JSONPath
from streamfilter.parsing.quotes import Quotes
from streamfilter.parsing.scalars import is_scalar, may_go_on, part_of_word, quiet_end, scalars_end
from streamfilter.parsing.search import Search

READ_CHARS = 4096
"""Characters that are read at once: at each quotation mark the rest of them is copied."""

QUIET_CHARS = 1000
"""White space around a document is left alone; before text it is text, so the last of it waits for what follows: so much. A number
that is all there is may be as long."""


class Run(TextMachine):
    """One run of JSON text.

    Args:
        begin: starts the pipeline for a text in a channel of this kind.
        paths: where the strings are that are filtered, and no text around documents; None: all are, and that is.
        keys: whether keys are filtered too.
        max_depth: containers inside one another.
        is_lenient: whether what is malformed goes on as text; else it ends the stream.
    """

    def __init__(
        self,
        begin: Callable[[str], Machine],
        *,
        paths: Sequence[JSONPath] | None = None,
        keys: bool = False,
        max_depth: int = MAX_DEPTH,
        is_lenient: bool = False,
    ) -> None:
        self._pipeline = begin
        self._paths = paths
        self._keys = keys
        self._is_lenient = is_lenient
        self._limits = Limits(max_depth=max_depth, parse_float=str, parse_int=str)
        self._outlet: Outlet | None = None
        self._begin = 0  # of the run, in characters of the channel
        self._position = Position()  # in the run, of what is read
        self._passage: Passage | None = None  # the text that is going through the pipeline
        # Between documents:
        self._head: str | None = ""  # the text so far, while it is none yet; see `_between`
        self._is_first = True
        self._search = Search("{[", self._limits)
        self._searched = 0  # characters that wait in it
        self._quiet = ""  # what is no text if a document follows
        self._is_json = True  # all so far
        # In a document:
        self._parser: Parser | None = None
        self._document = Listener(None)
        self._is_in_key = False
        self._quotes = Quotes()

    @property
    def _out(self) -> Outlet:
        if self._outlet is None:
            self._outlet = Outlet(self.hold)
            self._begin = self.hold.offset
        return self._outlet

    def feed(self, text: str) -> None:
        out = self._out
        try:
            for at in range(0, len(text), READ_CHARS):
                out.unread = max(0, len(text) - at - READ_CHARS)
                self._read(text[at : at + READ_CHARS])
        except (MalformedInput, LimitExceeded) as error:
            self.done = refusal(error)
        finally:
            out.settle()

    def finish(self) -> None:
        out = self._out
        try:
            if self._parser is None:
                self._finish_text()
            if self._parser is not None and self.done is None:
                self._finish_document(self._parser)
        except (MalformedInput, LimitExceeded) as error:
            self.done = refusal(error)
        finally:
            out.settle()

    def leave(self) -> None:
        for each in (self._search, self._passage, self._parser):
            if each is not None:
                each.leave()

    def _read(self, text: str) -> None:
        while text and self.done is None:
            parser = self._parser
            if parser is None:
                text = self._between(text)
            elif self._document.is_open:
                text = self._string(parser, text)
            elif self._is_in_key:
                text = self._key(parser, text)
            else:
                text = self._structure(parser, text)

    def _started(self, *, is_spelled: bool) -> Passage:
        return Passage(self._pipeline(self.hold.channel.kind), self._out, is_spelled=is_spelled)

    def _stopped(self, done: Finish | End, closing: str = "") -> None:
        """The pipeline has ended more than a text. If that is no error, what is open is closed."""
        self.done: Finish | End | None = done
        if not isinstance(done, End) or done.error is None:
            self._out.replace(0, closing + "".join(reversed(self._document.closers)))

    # ------------------------------------------------------------------ between documents
    # The head can still be white space, or a number or literal that is all there is. Other text goes through the search.

    def _between(self, text: str) -> str:
        """Text that is in no document. What is left of it, and is."""
        if self._head is not None:
            text, front = self._rested(self._head + text)
            self._search.skip(front)
            self._position = self._position.behind(front)
            at = scalars_end(text)
            if may_go_on(text, at):
                if len(text) - quiet_end(text) <= QUIET_CHARS:
                    self._head = text
                    return ""
                if at:  # what is more than a number is text, and may still be followed by a string
                    self._is_first, self._head = False, text[at:]
                    self._unsearched(text[:at])
                    return ""
            self._head = None
            if text.startswith('"', at):
                self._unsearched(text[:at])
                self._search.skip(text[at:])
                self._begin_document()
                return text[at:]
        skipped, candidate = self._search.feed(text, self._position.offset)
        self._searched += len(text) - len(skipped) - len(candidate)
        self._text(skipped)
        self._position = self._position.behind(skipped)
        if not candidate or self.done is not None:
            return ""
        self._begin_document()
        return candidate

    def _unsearched(self, text: str) -> None:
        """Text in which no document begins."""
        self._text(text)
        self._search.skip(text)
        self._position = self._position.behind(text)

    def _begin_document(self) -> None:
        """A document begins here, if the text before it does not end the stream."""
        self._out.keep(len(self._quiet))
        self._quiet = ""
        if self._end_text():
            self._open()

    def _text(self, text: str) -> None:
        """Text that is in no document, and behind it neither is what comes before the next."""
        if not text:
            return
        at = scalars_end(text)
        if at < len(text):
            at, problem = self._problem(text, at)
            self._is_json = False
            if problem:
                self._text(text[:at])
                if self.done is not None:
                    return
                self._out.keep(len(self._quiet))
                raise MalformedInput(problem, path=(), **self._position.behind(text[:at]).place)
        if self._paths is not None:
            self._out.keep(len(text))
            return
        if self._passage is None:
            text, _ = self._rested(self._quiet + text)
            self._quiet = text if quiet_end(text) == len(text) else ""
            if self._quiet:
                return
            self._passage = self._started(is_spelled=False)
        self._passage.feed([Token(text)])
        if self._passage.done is not None:
            self._stopped(self._passage.done)

    def _rested(self, text: str) -> tuple[str, str]:
        """Of text that begins with more white space than waits for what follows: the rest, and what of it is left alone now."""
        front = quiet_end(text, max(0, quiet_end(text) - QUIET_CHARS))
        self._out.keep(front)
        return text[front:], text[:front]

    def _problem(self, text: str, at: int) -> tuple[int, str]:
        """Where what is no JSON from a place on is no text either, and why: others may read its escapes before they find out."""
        if self._is_lenient:
            return at, ""
        if self._quotes.has_bracket:
            return at, "text behind a string with a bracket in it, which may begin a document"
        if self._is_json and self._search.escaped == self._position.offset + at:
            return at, "an array whose first string has a control character, or an escape that is none"
        if self._quotes.has_other and self._paths is None and "\\" in text:
            return text.index("\\"), "an escape in text behind a document with an open bracket in a string, which may begin another"
        return at, ""

    def _end_text(self) -> bool:
        """The text before a document ends. Whether the document may begin."""
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.finish()
            if passage.done is not None:
                self._stopped(passage.done)
        return self.done is None

    def _finish_text(self) -> None:
        """The run ends, not in a document as far as is known."""
        out = self._out
        while (self._head is not None or self._searched) and self._parser is None and self.done is None:
            if self._head is not None:
                head, self._head = self._head, None
                if self._is_first and is_scalar(head):
                    out.keep(len(head))
                else:
                    self._read(head)
                continue
            held = out.last(self._searched)
            prose, rest = self._search.finish()
            self._searched = 0
            if "\\" in held and self._end_text():  # who reads strictly takes it for one that is cut off
                self._open()
                self._read(held)
                break
            # It was no document; there may be one inside.
            self._text(held[: len(held) - len(rest)])
            self._position = self._position.behind(prose)
            self._read(rest)
        if self._parser is None and self.done is None:
            out.keep(len(self._quiet))
            self._end_text()

    # ------------------------------------------------------------------ in a document

    def _open(self) -> None:
        self._is_first = False
        self._document = Listener(self._paths)
        self._parser = Parser(self._document, self._limits, self._position)
        self._document.path = self._parser.path

    def _close(self, parser: Parser) -> None:
        self._parser = None
        self._position = parser.position
        self._head = ""

    def _structure(self, parser: Parser, text: str) -> str:
        """Outside of strings and keys, up to the next or the end."""
        out = self._out
        quote = text.find('"') + 1
        part = text[:quote] if quote else text
        held = len(out) - len(text)  # of a number or literal
        try:
            taken = self._fed(parser, part)
        except (MalformedInput, LimitExceeded) as error:
            out.keep(max(0, parser.position.offset + self._begin - out.offset))
            if self._is_lenient and isinstance(error, MalformedInput):
                return self._as_text(parser)
            raise
        if parser.is_complete:
            out.keep(held + taken)
            self._close(parser)
            return text[taken:]
        if not quote:
            out.keep(held + len(text) - self._unfinished(held, text))
            return ""
        if self._document.is_open:
            out.keep(held + quote)
            if self._document.is_meant():
                self._passage = self._started(is_spelled=True)
        else:
            out.keep(held + quote - 1)
            self._is_in_key = True
        return text[quote:]

    def _fed(self, parser: Parser, text: str) -> int:
        """Feed the parser; where it gets too deep, so that it is known where."""
        depth = self._limits.max_depth - len(parser.path)
        if len(text) > depth and text.count("[") + text.count("{") > depth:
            for n, character in enumerate(text):
                if parser.is_complete:
                    return n
                parser.feed(character)
            return len(text)
        return parser.feed(text)

    def _unfinished(self, held: int, text: str) -> int:
        """How many characters at the end are of a number or a literal that is not whole: it may be malformed."""
        before = len(text.rstrip("-+.eE0123456789"))
        chars = len(text) - before if before else held + len(text)
        if chars and self._out.last(chars, 1) in "-0123456789":
            return chars
        return part_of_word(self._out.last)

    def _string(self, parser: Parser, text: str) -> str:
        """In a string, up to its end."""
        out, document, passage = self._out, self._document, self._passage
        quote = self._quotes.end(text)
        wrong: MalformedInput | LimitExceeded | None = None
        begin = parser.end
        try:
            parser.feed(text[:quote] if quote else text)
        except (MalformedInput, LimitExceeded) as error:
            wrong = error
        if not self._is_lenient:
            read = max(0, parser.end - begin)
            self._quotes.look(text[: min(read, quote - 1) if quote else read], document.closers, is_over=quote > 0)
        tokens = document.take()
        if passage is None:
            out.keep(sum([token.chars for token in tokens]))
        elif tokens:
            passage.feed(tokens)
        if wrong is None and not document.is_open and passage is not None and passage.done is None:
            passage.finish()
        if passage is not None and passage.done is not None:
            self._stopped(passage.done, '"')
            return ""
        if wrong is not None:
            if isinstance(wrong, MalformedInput) and (self._is_lenient or not (parser.path or self._quotes.has_bracket)):
                return self._as_text(parser)
            raise wrong
        if quote:
            self._passage = None
            out.keep(1)
            if parser.is_complete:
                self._close(parser)
        return text[quote:] if quote else ""

    def _as_text(self, parser: Parser) -> str:
        """What was taken for JSON is none, such as text that begins with a quotation mark. What is left of it goes on as text."""
        self._parser = None
        self._is_json = False
        self._document.closers.clear()  # a stop in text closes nothing
        self._quotes.is_escaped = self._is_in_key = False
        if (passage := self._passage) is not None:
            passage.is_spelled = False
        rest = self._out.last(len(self._out) - (passage.held if passage else 0))
        self._position = parser.position._replace(offset=self._out.offset + len(self._out) - len(rest) - self._begin)
        return rest

    def _key(self, parser: Parser, text: str) -> str:
        """In a key, up to its end. It is held until it is whole."""
        out = self._out
        quote = self._quotes.end(text)
        try:
            parser.feed(text[:quote] if quote else text)
        except MalformedInput:
            if self._is_lenient:
                return self._as_text(parser)
            raise
        self._quotes.look(text[: quote - 1] if quote else text, self._document.closers, is_over=quote > 0)
        if not quote:
            return ""
        self._is_in_key = False
        chars = len(out) - len(text) + quote
        if not self._keys or not self._document.is_meant():
            out.keep(chars)
            return text[quote:]
        written = out.last(len(out))[:chars]
        key = Listener(None)
        Parser(key).feed(written)
        passage = self._started(is_spelled=True)
        out.keep(1)
        passage.feed(key.take())
        if passage.done is None:
            passage.finish()
        if passage.done is not None:
            self._stopped(passage.done, '": null')
            return ""
        out.keep(1)
        return text[quote:]

    def _finish_document(self, parser: Parser) -> None:
        """The run ends inside of a document."""
        out, passage = self._out, self._passage
        if passage is not None:
            passage.finish()
            if passage.done is not None:
                self._stopped(passage.done, '"')
                return
        if self._is_in_key and self._keys:
            out.replace(len(out), "")  # it was not looked at
            return
        try:
            parser.finish()
        except TruncatedInput:
            out.keep(len(out))
        except MalformedInput:
            if not self._is_lenient:
                raise
            self._text(self._as_text(parser))
            self._end_text()
