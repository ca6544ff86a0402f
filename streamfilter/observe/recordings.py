"""What a recording says, in pieces: the body of a provider's response, a text, or pieces of text.

Nothing is known here of what is done with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from streamfilter.errors import MalformedInput
from streamfilter.items import End, TextDelta
from streamfilter.pipeline import Stage
from streamfilter.providers.kinds import kind_of, legible
from streamfilter.providers.machines import Decoding
from streamfilter.providers.objects import elements, lines
from streamfilter.providers.text import text_of
from streamfilter.providers.text_events import IN_PYTHON, TextReader
from streamfilter.providers.wrapping import WrapStage

MAX_BYTES = 8 * 1024 * 1024
"""Of a recording: a model's longest answers, with all that a provider's stream says beside them. Every step of it is kept."""

CHUNKS_PER_SECOND = 30.0
"""The pace of a recording, which does not say it: about that of a fast reader, and of a model. 30 chunks of 3.5 characters
are 20 words a second."""

Recording: TypeAlias = "bytes | os.PathLike[str] | Iterable[str]"
"""The body of a provider's response (an event stream, lines of JSON) or of a text, or a file of it, or pieces of text."""

_TOKEN = re.compile(r"\s*\S{1,5}|\s+\Z")
"""A piece of a plain text, of about the size of a model's token."""


def over_text(stage: Stage[Any, Any]) -> Stage[Any, Any]:
    """The pipeline inside a `wrap`: it is what the text of a recording goes through. Any other is given as it is."""
    only = stage.stages[0] if len(stage.stages) == 1 else stage
    return only.pipeline if isinstance(only, WrapStage) else stage


def pieces_of(recording: Recording) -> list[str]:
    """The pieces of text of a recording. A plain text is cut to pieces of about the size of tokens.

    Raises:
        TypeError: it is no recording.
        MalformedInput: it is the body of a response and cannot be read, is compressed, is text and not UTF-8, or is longer than
            8 MiB.

    Example:
        >>> pieces_of(b"A plain text.")
        ['A', ' plain', ' text.']
    """
    if isinstance(recording, os.PathLike):
        with Path(recording).open("rb") as file:
            recording = file.read(MAX_BYTES + 1)
    if isinstance(recording, str):
        raise TypeError("the recording is a str: give a Path for a file, the bytes of a body, or a list of pieces of text")
    if isinstance(recording, bytes | bytearray):
        if len(recording) > MAX_BYTES:
            raise MalformedInput(f"the recording is longer than {MAX_BYTES} bytes, of which every step would be kept", MAX_BYTES)
        body = bytes(recording)
        list(legible(iter([body])))
        kind = kind_of(body, is_whole=True)
        if kind == "text-events":
            return _data_of(body)
        if kind != "text":
            whole = iter([body])
            chunks = lines(whole) if kind == "ndjson" else elements(whole, MAX_BYTES) if kind == "array" else whole
            with text_of(chunks) as stream:
                return [*stream]
        try:
            return _TOKEN.findall(recording.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise MalformedInput("the recording is neither a provider's stream nor text in UTF-8", error.start) from None
    if not hasattr(recording, "__iter__"):
        raise TypeError(f"the recording is {type(recording).__qualname__}: bytes, a Path or pieces of text are needed")
    pieces = list(recording)
    for piece in pieces:
        if not isinstance(piece, str):
            raise TypeError(f"the recording has {type(piece).__qualname__} among its pieces: str is needed")
    return pieces


def _data_of(body: bytes) -> list[str]:
    """The text of an event stream whose data is text."""
    machine = Decoding(TextReader(is_named=False))
    items = [*machine.feed(body), *machine.finish()]
    end = items[-1] if items else None
    if isinstance(end, End) and isinstance(end.error, MalformedInput):
        raise MalformedInput(end.error.problem.removesuffix(IN_PYTHON), end.error.offset)
    return [item.text for item in items if isinstance(item, TextDelta)]
