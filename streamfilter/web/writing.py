"""What comes out of a stream, as messages of the format that the client reads.

The first item says what the stream is: chunks of the client's own format leave as they are, those of another provider and plain
items are written in its words, bytes are sent frame by frame, so that nothing ever stands behind half of one. Everything here is
a machine: nothing is known of connections.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from streamfilter.chain import Chain
from streamfilter.context import Context
from streamfilter.errors import ProviderError, Unfit
from streamfilter.items import Channel, End, Event, Failure, Finish, Raw, TextDelta, ToolCall, Usage
from streamfilter.json.events import JSONEvent
from streamfilter.machine import Machine
from streamfilter.providers import sse
from streamfilter.providers.data import parsed
from streamfilter.providers.detecting import Decode, detect
from streamfilter.providers.frames import SSE, framing_of
from streamfilter.providers.shapes import edited, get, plain
from streamfilter.web.messages import DONE, Message, jsonable, said

ExitFormat: TypeAlias = Literal["openai", "anthropic", "vercel-ui", "text", "events", "patches"]
"""What the client reads."""

_SDKS = frozenset({"openai", "anthropic", "google", "ollama", "langchain_core", "pydantic_ai"})
"""The packages whose objects are chunks of a provider, and nobody's values."""

_WIRE = frozenset(
    {
        *("message_start", "message_delta", "message_stop", "ping", "error"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
    }
)
"""The types of events that Anthropic sends. The SDK's helper makes others of them, which no client reads."""


class _Shape(NamedTuple):
    """A provider's format for clients.

    Attributes:
        module: what writes items in it.
        own: the formats whose chunks are sent as they are.
        named: those whose frames have the name of their event.
    """

    module: str
    own: tuple[str, ...]
    named: frozenset[str]


_SHAPES = {
    "openai": _Shape("openai.chat", ("openai.chat", "openai.completions", "openai.responses"), frozenset({"openai.responses"})),
    "anthropic": _Shape("anthropic.messages", ("anthropic.messages",), frozenset({"anthropic.messages"})),
    "vercel-ui": _Shape("vercel", ("vercel",), frozenset()),
}
_WITH_DONE = ("openai.chat", "openai.completions", "vercel")


def check_format(given: str) -> None:
    """Refuse what is no format.

    Raises:
        ValueError: it is none.
    """
    if given not in get_args(ExitFormat):
        raise ValueError(f"format={given!r}: one of {', '.join(map(repr, get_args(ExitFormat)))} is needed")


class Writing(Machine):
    r"""Items of any kind to `Message`s; what ends the stream is written last.

    Args:
        form: the format.
        model: the model's name, where a format has one and the chunks do not bring it.
        context: as for streams.
        in_lines: whether text is sent as the lines of a frame.

    Attributes:
        name: of the format in which errors are told, as `messages_of` knows it.
        count: of messages so far.

    Raises:
        Unfit: while streaming: an item cannot be sent in this format.
        MalformedInput: while streaming: bytes are no event stream.
        ProviderError: while streaming: an item says that the provider reports an error.

    Example:
        >>> writing = Writing("text")
        >>> [message.frame() for message in [*writing.feed("Hi"), *writing.finish()]]
        [b'data: Hi\n\n', b'event: done\ndata: {"type":"done"}\n\n']
    """

    def __init__(self, form: ExitFormat, model: str = "", context: Context | None = None, *, in_lines: bool = True) -> None:
        self._form = form
        self._in_lines = in_lines
        self._model = model
        self._context = context or Context()
        self._inner: Machine | None = None
        shape = _SHAPES.get(form)
        self.name: str = shape.module if shape else str(form)
        self.count: int = 0

    def feed(self, item: Any) -> Sequence[Any]:
        if self._inner is None:
            self._inner = self._begun(item)
        return self._counted(self._inner.feed(item))

    def finish(self) -> Sequence[Any]:
        if self._inner is None:
            self._inner = self._items()
        return self._counted(self._inner.finish())

    def _counted(self, made: Sequence[Any]) -> Sequence[Any]:
        if isinstance(self._inner, _Frames | _Chunks):
            self.name = self._inner.name or self.name
        self.count += len(made)
        self.ended: bool = bool(made) and type(made[-1]) is End
        return made

    def _begun(self, item: Any) -> Machine:
        """The machine for a stream that begins with this item."""
        shape = _SHAPES.get(self._form)
        is_bytes = isinstance(item, bytes | bytearray | memoryview)
        is_sdk = type(item).__module__.partition(".")[0] in _SDKS
        if shape is None:
            reads = is_bytes or is_sdk or (self._form == "text" and isinstance(item, Mapping))
            return self._converting() if reads else self._items()
        if is_bytes:
            return _Frames(shape, self._converting)
        if isinstance(item, str | Event):
            return self._items()
        name = detect(item)
        if name is None and self._form == "vercel-ui" and isinstance(get(item, "type"), str):
            name = "vercel"
        if name is None:
            kind = type(item).__qualname__
            raise Unfit(f"the stream gives {kind}, which cannot be sent as {self._form!r}: send values with format='events'")
        return _Chunks(name, named=name in shape.named) if name in shape.own else self._converting()

    def _items(self) -> Machine:
        """What writes items."""
        shape = _SHAPES.get(self._form)
        if shape is None:
            return _Texts(in_lines=self._in_lines) if self._form == "text" else _Events(is_patch=self._form == "patches")
        encode = import_module(f"streamfilter.providers.{shape.module}").Encode(model=self._model)
        return _Encoded(encode.machine(self._context), shape)

    def _converting(self) -> Machine:
        return Chain([Decode().machine(self._context), self._items()])


# ---------------------------------------------------------------------- in a provider's words


class _Encoded(Machine):
    """Items in the words of a provider."""

    def __init__(self, encode: Machine, shape: _Shape) -> None:
        self._encode = encode
        self._named = shape.module in shape.named
        self._done = (DONE,) if shape.module in _WITH_DONE else ()

    def feed(self, item: Any) -> Sequence[Any]:
        if not isinstance(item, str | Event):
            raise Unfit(f"the stream gives {type(item).__qualname__} among its items: items are text and events")
        if isinstance(item, Failure):  # what the provider says may quote the prompt, and nothing has filtered it
            raise ProviderError(item.error)
        return self._said(self._encode.feed(item))

    def finish(self) -> Sequence[Any]:
        return [*self._said(self._encode.finish()), *self._done]

    def _said(self, made: Sequence[Any]) -> list[Any]:
        self.ended = self._encode.ended
        if made and type(made[-1]) is End and made[-1].error is not None:
            self._done = ()  # that was not all
        return [each if type(each) is End else said(each, named=self._named) for each in made]


class _Chunks(Machine):
    """Chunks of the client's format, as dicts or objects of an SDK."""

    def __init__(self, name: str, *, named: bool) -> None:
        self.name = name
        self._named = named
        self._is_open = False  # a message of Anthropic's has begun and not ended

    def feed(self, item: Any) -> Sequence[Any]:
        if isinstance(item, str | Event | bytes | bytearray | memoryview):
            raise Unfit(f"the stream gives {type(item).__qualname__} among chunks of {self.name}")
        if self.name == "anthropic.messages":
            kind = get(item, "type")
            if kind not in _WIRE:
                return ()
            self._is_open = kind not in ("message_stop", "error") and (self._is_open or kind == "message_start")
            if kind in ("content_block_stop", "message_stop"):  # the helper of the SDK has put there what is complete
                item = edited(plain(item), {}, ("content_block", "message"))
        return (said(item, named=self._named),)

    def finish(self) -> Sequence[Any]:
        if self._is_open:
            return (said({"type": "message_stop"}, named=True),)
        return (DONE,) if self.name in _WITH_DONE else ()


class _Frames(Machine):
    """The bytes of an event stream, cut anywhere: frame by frame if it is of the client's format, else written in its words.

    Args:
        shape: the client's.
        convert: starts what writes another provider's stream in its words.
    """

    def __init__(self, shape: _Shape, convert: Callable[[], Machine]) -> None:
        self._shape = shape
        self._convert = convert
        self._decoder: sse.Decoder | None = None
        self._inner: Machine | None = None  # it writes in other words
        self._waiting = bytearray()  # what has come while the format is not known
        self._is_known = False
        self._is_done = False
        self.name = ""

    def feed(self, item: Any) -> Sequence[Any]:
        if not isinstance(item, bytes | bytearray | memoryview):
            raise Unfit(f"the stream gives {type(item).__qualname__} among bytes")
        piece = bytes(item)
        if self._inner is not None:
            return self._fed(piece)
        if not self._is_known:
            self._waiting += piece
            if self._decoder is None:
                framing = framing_of(bytes(self._waiting)) if piece.strip() else None
                if framing is None:
                    return ()
                if framing is not SSE:
                    return self._converted()
                self._decoder, piece = sse.Decoder(), bytes(self._waiting)
        assert self._decoder is not None
        return self._framed([*self._decoder.feed(piece)])

    def finish(self) -> Sequence[Any]:
        if self._inner is not None:
            return self._inner.finish()
        out = [*self._framed([*self._decoder.finish()])] if self._decoder is not None else []
        if (inner := self._inner_now()) is not None:
            return [*out, *inner.finish()]
        is_missing = not self._is_done and (self.name or self._shape.module) in _WITH_DONE
        return [*out, DONE] if is_missing else out

    def _framed(self, frames: list[sse.Frame]) -> Sequence[Any]:
        out: list[Any] = []
        for frame in frames:
            frame.checked()
            is_end = frame.data is not None and frame.data.startswith("[DONE]")
            if not self._is_known and frame.data and not is_end:
                self._is_known = True
                name = detect(parsed(frame.data, frame.offset))
                if name is not None and name not in self._shape.own:
                    return self._converted()
                self.name = name or ""
                self._waiting.clear()
            elif not self._is_known:  # it leaves now, and is not read again
                del self._waiting[: len(frame.raw)]
            self._is_done = self._is_done or is_end
            out.append(Message(frame.data, frame.event, frame.raw if frame.complete else frame.raw + SSE.gap))
        return out

    def _converted(self) -> Sequence[Any]:
        """It is another provider's: what has come is read again, as that."""
        self._inner = self._convert()
        waiting, self._waiting = bytes(self._waiting), bytearray()
        return self._fed(waiting)

    def _inner_now(self) -> Machine | None:
        """What a frame may just have begun."""
        return self._inner

    def _fed(self, piece: Any) -> Sequence[Any]:
        assert self._inner is not None
        out = self._inner.feed(piece)
        self.ended = self._inner.ended
        return out


# ---------------------------------------------------------------------- in words of our own

_END = said({"type": "done"}, named=True)


class _Said(Machine):
    """Items in words of our own. The last of them is that this was all, unless an error has ended it."""

    _last: Sequence[Message] = (_END,)

    def feed(self, item: Any) -> Sequence[Any]:
        if isinstance(item, Failure):
            raise ProviderError(item.error)
        if type(item) is End:
            self.ended = True
            self._last = self._last if item.error is None else ()
            return (item,)
        return self.said(item)

    def said(self, item: Any) -> Sequence[Message]:
        """What an item becomes."""
        raise NotImplementedError

    def finish(self) -> Sequence[Any]:
        return self._last


class _Texts(_Said):
    r"""The text of the answer alone. A frame has lines: what ends one, `\r\n` or `\r`, is a line feed behind it."""

    def __init__(self, *, in_lines: bool) -> None:
        self._in_lines = in_lines
        self._after_cr = False

    def said(self, item: Any) -> Sequence[Message]:
        if isinstance(item, TextDelta):
            item = item.text if item.channel.kind == "answer" else ""
        if isinstance(item, Event):
            return ()
        if not isinstance(item, str):
            raise Unfit(f"the stream gives {type(item).__qualname__}, which is no text: send values with format='events'")
        if not self._in_lines:
            return (Message(item),) if item else ()
        if self._after_cr and item:
            item = item.removeprefix("\n")
            self._after_cr = False
        if item.endswith("\r"):
            self._after_cr = True
        return (Message(re.sub("\r\n?", "\n", item)),) if item else ()


class _Events(_Said):
    """Each item as an event with a type: text, values, steps of a document."""

    def __init__(self, *, is_patch: bool) -> None:
        self._is_patch = is_patch

    def said(self, item: Any) -> Sequence[Message]:
        if self._is_patch:
            if not isinstance(item, Mapping) or not {"op", "path"} <= item.keys():
                raise Unfit(f"the stream gives {type(item).__qualname__}, which is no operation of JSONEvents(patch=True)")
            return (said({"type": "patch", "patch": [jsonable(item)]}, named=True),)
        event = _event(item)
        return () if event is None else (said(event, named=True),)


def _event(item: Any) -> dict[str, Any] | None:
    """An item as plain data; None if it is the provider's own, and perhaps not filtered."""
    match item:
        case str():
            return {"type": "text", "text": item, "channel": "answer"}
        case TextDelta():
            return {"type": "text", "text": item.text, "channel": item.channel.kind, **_key(item.channel)}
        case ToolCall():
            return {"type": "tool_call", "id": item.id, "name": item.name, **_key(item.arguments)}
        case Finish():
            return {"type": "finish", "reason": item.reason}
        case Usage():
            return {"type": "usage", "usage": jsonable(plain(item.usage))}
        case Raw():
            return None
        case Event():
            names = [field.name for field in dataclasses.fields(item) if field.name not in ("scope", "boundary", "origin")]
            kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(item).__name__).lower()
            return {**{name: jsonable(getattr(item, name)) for name in names}, "type": kind}
        case JSONEvent():
            return {"type": "json", "path": [*item.path], "kind": item.kind, "value": jsonable(item.value)}
        case _:
            return {"type": "value", "value": jsonable(item)}


def _key(channel: Channel) -> dict[str, Any]:
    return {"key": jsonable(list(channel.key))} if channel.key else {}
