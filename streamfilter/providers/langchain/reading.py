"""What LangChain streams to items: the chunks of a message (`astream`), and the events of runs (`astream_events`, version 2).

Every run has its own channels. The events of a chain say again what the runs in it have said: in pieces, when it ends, and as what
goes into the next one. Pieces are a text of their own; what is said whole is found by what it says, wherever it stands.
Source: the reference of `astream_events`, and `langchain_core.messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from streamfilter.items import Channel, Event, Finish, Key, Raw, Usage
from streamfilter.providers.events import Origin
from streamfilter.providers.foreign import check
from streamfilter.providers.places import Opaque, Path, at, is_mute, merged, strings, within
from streamfilter.providers.recent import Recent
from streamfilter.providers.said import Said
from streamfilter.providers.shapes import edited, fields, get, listed

NAME = "langchain"

T = TypeVar("T")

BLOCK_TEXTS = {
    "text": "answer",
    "refusal": "refusal",
    "thinking": "reasoning",
    "reasoning": "reasoning",
    "partial_json": "tool_arguments",  # Anthropic
    "args": "tool_arguments",
    "arguments": "tool_arguments",  # OpenAI's Responses
    "input": "tool_arguments",
}
"""The fields of a content block that are text, and the kind of channel each is."""

ADDITIONAL_TEXTS = {"reasoning_content": "reasoning", "reasoning": "reasoning", "refusal": "refusal"}
"""The additional fields of a chunk that are text: those of DeepSeek, Groq, xAI, OpenAI."""

OPAQUE: Opaque = frozenset(
    {
        *("type", "id", "role", "event", "run_id", "parent_ids", "tool_call_id", "status", "chunk_position"),
        *("model_name", "model_provider", "model", "finish_reason", "stop_reason", "system_fingerprint", "service_tier"),
        *("mime_type", "ls_provider", "ls_model_name"),
        *("ls_model_type", "ls_integration", "lc_versions", "thread_id", "checkpoint_ns", "checkpoint_id", "langgraph_node"),
        *("langgraph_path", "langgraph_triggers", "langgraph_checkpoint_ns"),
        *within("tags", ""),
        *(("response_metadata", name) for name in ("object", "created_at", "done_reason", "stopReason", "output_version")),
        *within("name", "", "tool_calls", "tool_call_chunks", "invalid_tool_calls", "function", "function_call"),
        *within("name", "tool_call", "tool_call_chunk", "tool_use", "server_tool_use", "mcp_tool_use"),
        *within("signature", "thinking", "reasoning", "reasoning_content", "extras"),
        *within("encrypted_content", "reasoning", "web_search_result"),
        *within("base64", "image", "audio", "video", "file"),
    }
)
"""Fields whose strings are no text: names, ids, what the framework tells of a run, and what only a model's provider can read."""

_SIMPLE = frozenset({"content", "type", "id", "name", "chunk_position"})


MAX_OPEN = 10_000
"""Runs that have no end yet. Not all have one: of a model that failed, and that another one stands in for, no event tells it. If
there are more, that which was silent for the longest time is over."""


class Reading:
    """One stream of chunks or events.

    Args:
        seen: the choices that have come so far.
        is_decoded: whether only models are to answer, because nothing is put back: text that chains pass on is of kind `"chain"`.
    """

    def __init__(self, seen: set[Key], *, is_decoded: bool = False) -> None:
        self._seen = seen
        self._passed_on = "chain" if is_decoded else "answer"
        self._runs: dict[object, int] = {}  # the one that said something last comes last
        self._count = 0  # of runs
        self._over: Recent[object] = Recent(self._forget)
        self._turn = 0  # of messages without a run
        self._last_name: object = None
        self._is_over = False  # the last of these has a reason to finish
        self._calls: dict[Key, dict[Channel, str]] = {}  # those that have begun, with their names
        self._said = Said(OPAQUE)

    def read(self, origin: Origin) -> None:
        """Read one chunk or event."""
        event = origin.event
        kind = get(event, "event")
        run = get(event, "run_id") if isinstance(kind, str) else self._named(get(event, "id"))
        run = run if run is None or isinstance(run, str | int) else repr(run)
        choice = self._choice(origin, run)
        if not isinstance(kind, str):
            self._message(origin, (), choice)
        elif kind.endswith("_stream"):
            self._streamed(origin, kind, choice)
        else:
            self._whole(origin, kind, choice)
        check(NAME, origin)
        self._said.note(origin)
        if any(isinstance(item, Event) and item.scope == choice for item in origin.items):
            self._over.end(run)

    def _named(self, name: object) -> object:
        """The run of a chunk that came by itself. Only names that LangChain gives are known to last: some services give each chunk
        another id, and a text would be cut in pieces."""
        if isinstance(name, str) and name.startswith(("lc_run-", "run-")):
            return name
        if self._is_over and name != self._last_name:
            self._turn, self._is_over = self._turn + 1, False
        self._last_name = name
        return self._turn

    def _choice(self, origin: Origin, run: object) -> Key:
        """The choice of a run. One that goes on after its end is the same for a while; later it begins anew."""
        number = self._runs.pop(run, None)
        if number is None:
            number, self._count = self._count, self._count + 1
        self._over.goes_on(run)
        self._runs[run] = number
        if len(self._runs) > MAX_OPEN:
            silent = next(iter(self._runs))
            origin.items.append(Raw(None, scope=(self._runs[silent], 0), origin=origin))
            self._over.goes_on(silent)
            self._forget(silent)
        self._seen.add((number, 0))
        return number, 0

    def _forget(self, run: object) -> None:
        choice = (self._runs.pop(run), 0)
        self._seen.discard(choice)
        self._calls.pop(choice, None)

    # ------------------------------------------------------------------ pieces

    def _streamed(self, origin: Origin, kind: str, choice: Key) -> None:
        piece = at(origin.event, ("data", "chunk"))
        if isinstance(piece, str):
            is_model = kind in ("on_llm_stream", "on_chat_model_stream")
            channel = Channel("answer" if is_model else self._passed_on, (*choice, "text"))
            origin.text(("data", "chunk"), channel)
            if not origin.items:
                origin.rest(channel)
        elif _is_chunk(piece) or get(piece, "text") is not None:
            self._message(origin, ("data", "chunk"), choice, is_passed_on=kind != "on_chat_model_stream")
        else:
            self._said.find(origin)
            for path, shown, key in _pieces(piece, ("data", "chunk")):
                origin.repeats.pop(path, None)  # what it says goes on in the next event
                origin.text(path, Channel(self._passed_on if shown == "answer" else shown, (*choice, "piece", *key)))
            origin.rest(Channel(self._passed_on, (*choice, "text")))

    def _message(self, origin: Origin, at_path: Path, choice: Key, *, is_passed_on: bool = False) -> None:
        """A chunk of a message, or a whole one where none has come."""
        message = at(origin.event, at_path) if at_path else origin.event
        given = fields(message)
        answer = Channel("answer", (*choice, "content"))
        if not _is_chunk(message) and given.get("type") != "ai":
            if isinstance(given.get("text"), str) and "content" not in given:  # of a model that is no chat model
                origin.text((*at_path, "text"), answer)
            else:
                self._said.find(origin)
            origin.rest(answer)
            return
        for path, kind, key in _texts(given):
            shown = self._passed_on if is_passed_on and kind == "answer" else kind
            channel = Channel(shown, (*choice, *key))
            if kind == "tool_arguments":
                self._call(origin, (*at_path, *_place(path)), at(message, path[:-1]), channel)
            origin.text((*at_path, *path), channel)
            if isinstance(at(message, (*path[:-1], "signature")), str):
                origin.spans[*at_path, *path[:-1], "signature"] = channel
        for name in ("content", "refusal"):
            tokens: Path = ("response_metadata", "logprobs", name)
            if at(message, tokens):
                origin.tokens[*at_path, *tokens] = answer
        if given.get("usage_metadata"):
            origin.items.append(Usage(given["usage_metadata"], scope=answer, origin=origin))
        reason = reason_of(given.get("response_metadata"))
        if reason is not None:
            self._is_over = True
            origin.items.append(Finish(reason, scope=choice, origin=origin))
        is_last = given.get("chunk_position") == "last" or not _is_chunk(message)
        beside = {name for name, value in given.items() if value not in ("", [], {})} - _SIMPLE
        is_simple = not beside and isinstance(given.get("content"), str)
        origin.is_plain = is_simple and not at_path and is_mute(given, OPAQUE, ("content",), "")
        if not origin.items or not is_simple or is_last:
            origin.rest(choice if is_last else answer)

    def _call(self, origin: Origin, place: Path, fragment: Any, channel: Channel) -> None:
        name = get(fragment, "name") or get(get(fragment, "function"), "name")
        begun = self._calls.setdefault(channel.choice, {})
        if name and begun.setdefault(channel, "") != str(name):  # LangChain joins them
            begun[channel] = begun[channel] or str(name)
            origin.call(place, get(fragment, "id"), name, channel)
        elif channel in begun:
            origin.calls[place] = channel
            origin.due += (channel,)

    # ------------------------------------------------------------------ what is said whole

    def _whole(self, origin: Origin, kind: str, choice: Key) -> None:
        self._said.find(origin)
        origin.rest(choice if kind.endswith(("_end", "_error")) else None)


def _texts(message: Mapping[str, Any]) -> Iterator[tuple[Path, str, tuple[Any, ...]]]:
    """The places of text in a chunk: (path, kind, what of the message it is)."""
    taken = set()
    for path, kind, key in _known(message):
        taken.add(path)
        yield path, kind, key
    for name in ("content", "additional_kwargs", "response_metadata"):
        node = message.get(name)
        for path, _ in strings(node, OPAQUE, (name,)) if node and not isinstance(node, str) else ():
            if path not in taken and _is_added(message, path):
                kind = ADDITIONAL_TEXTS.get(str(path[1]), "other") if name == "additional_kwargs" else "other"
                yield path, kind, ("added", *merged(message, path))


def _is_added(message: Mapping[str, Any], path: Path) -> bool:
    """Whether LangChain adds up the strings at a place, whatever they are: of what a list holds only those that have an index, and
    all others come one behind the other."""
    node: Any = message
    for step in path:
        node = at(node, (step,))
        if isinstance(step, int) and get(node, "index") is None:
            return False
    return True


def _known(message: Mapping[str, Any]) -> Iterator[tuple[Path, str, tuple[Any, ...]]]:
    """The same, of those that are known."""
    content = message.get("content")
    if isinstance(content, str):
        yield ("content",), "answer", ("content",)
    for n, block in enumerate(content) if isinstance(content, list | tuple) else ():
        if isinstance(block, str):
            yield ("content", n), "answer", ("content",)
            continue
        index = get(block, "index")
        for name, value in fields(block).items():
            if isinstance(value, str) and name in BLOCK_TEXTS:
                where = "tool" if name == "input" and get(block, "type") != "custom_tool_call" else name  # else it is no JSON
                yield ("content", n, name), BLOCK_TEXTS[name], ("content", where) if index is None else ("content", where, index)
        for name in ("summary", "thinking", "reasoning"):
            parts = get(block, name)
            for m, _ in enumerate(parts) if isinstance(parts, list | tuple) else ():
                yield ("content", n, name, m, "text"), "reasoning", ("content", name, index, get(parts[m], "index"))
        if isinstance(get(get(block, "reasoning_content"), "text"), str):  # Bedrock
            yield ("content", n, "reasoning_content", "text"), "reasoning", ("content", "reasoning_content", index)
    for n, fragment in enumerate(listed(message.get("tool_call_chunks"))):
        index = get(fragment, "index")
        yield ("tool_call_chunks", n, "args"), "tool_arguments", ("tool", n if index is None else index)
    beside = message.get("additional_kwargs")
    if not beside:
        return
    for n, each in enumerate(listed(get(get(beside, "reasoning"), "summary"))):  # OpenAI, in LangChain's older form
        yield ("additional_kwargs", "reasoning", "summary", n, "text"), "reasoning", ("additional", "summary", get(each, "index"))
    for n, fragment in enumerate(listed(get(beside, "tool_calls"))):
        index = get(fragment, "index")
        place: Path = ("additional_kwargs", "tool_calls", n, "function", "arguments")
        yield place, "tool_arguments", ("additional", "tool", n if index is None else index)
    yield ("additional_kwargs", "function_call", "arguments"), "tool_arguments", ("additional", "function")


def _place(path: Path) -> Path:
    """Where a call stands whose arguments stand at a place: in a list, or in a field of its own."""
    return path[: max((n for n, step in enumerate(path, 1) if isinstance(step, int)), default=len(path) - 1)]


def _pieces(node: Any, path: Path, *, is_top: bool = True) -> Iterator[tuple[Path, str, tuple[Any, ...]]]:
    """The places of text in what a chain passes on that is no message: its strings, which LangChain's readers add up key by key,
    and chunks of messages wherever they stand, as a graph passes them on. All others are whole."""
    if isinstance(node, list | tuple):
        for n, each in enumerate(node):
            yield from _pieces(each, (*path, n), is_top=False)
    elif str(get(node, "type")).endswith("MessageChunk"):
        for inside, kind, key in _texts(fields(node)):
            yield (*path, *inside), kind, (*path, get(node, "id"), *key)
    elif isinstance(node, Mapping):
        for name, each in node.items():
            if not isinstance(each, str):
                yield from _pieces(each, (*path, name), is_top=False)
            elif is_top and name not in OPAQUE:
                yield (*path, name), "answer", (*path, name)


def _is_chunk(message: object) -> bool:
    kind = get(message, "type")  # a dump without what was not set has none
    return get(message, "content") is not None if kind is None else str(kind).endswith("MessageChunk")


def read_whole(origin: Origin) -> None:
    """A message that did not stream: its text, and the arguments of its calls, which are parsed."""
    message = origin.event
    for path, kind, key in _texts(fields(message)):
        if kind == "other":  # it goes on nowhere: a quote
            continue
        channel = Channel(kind, (0, 0, *key, *path))
        if kind == "tool_arguments":
            place = _place(path)
            origin.call(place, get(at(message, place), "id"), get(at(message, place), "name"), channel)
        origin.text(path, channel)
        for name in ("content", "refusal") if path == ("content",) else ():
            if at(message, ("response_metadata", "logprobs", name)):
                origin.tokens["response_metadata", "logprobs", name] = channel
        for sign in (("signature",), ("extras", "signature"), ("annotations",)):
            if len(path) > 1 and at(message, (*path[:-1], *sign)):
                origin.spans[*path[:-1], *sign] = channel
    parsed = [("tool_calls", "args"), ("content", "args"), ("content", "input")]
    for name, field in (*parsed, ("invalid_tool_calls", "args")):
        listed = get(message, name)
        for n, call in enumerate(listed) if isinstance(listed, list | tuple) else ():
            value, path = get(call, field), (name, n, field)
            channel = Channel("tool_arguments", (0, 0, *path))
            if value is not None and path not in origin.slots:
                origin.call((name, n), get(call, "id"), get(call, "name"), channel)
            if isinstance(value, str) and path not in origin.slots:
                origin.text(path, channel)
            elif isinstance(value, Mapping) and value:
                origin.arguments(path, channel)
    if not origin.items:
        origin.rest(())


def reason_of(metadata: object) -> str | None:
    """Why a message is complete, if its metadata say so."""
    found = next((get(metadata, name) for name in ("finish_reason", "stop_reason", "done_reason") if get(metadata, name)), None)
    return None if found is None else str(found)


def without_tokens(came: T, made: T) -> T:
    """A whole message that was filtered; if that changed what it says, without the tokens that it was made of."""
    metadata = get(made, "response_metadata")
    is_changed = any(get(made, name) != get(came, name) for name in ("content", "additional_kwargs", "tool_calls"))
    if not is_changed or get(metadata, "logprobs") is None:
        return made
    kept = {name: value for name, value in metadata.items() if name != "logprobs"}
    changed: T = edited(made, {"response_metadata": kept})
    return changed
