"""Arguments that would be wrong in silence later: refused where they are given, in words that say what would be right."""

from __future__ import annotations

import asyncio
import functools
import http.client
import inspect
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, cast

import pytest
import redis.asyncio as redis
from pydantic import BeforeValidator

import streamfilter as sf
from streamfilter import detectors, gateway, observe
from streamfilter.providers import openai
from streamfilter.records import filter_json, filter_records
from streamfilter.resumable import MemoryStore, RedisStore, ResumableStream, Store, store
from streamfilter.testing import FakeClock, check_stage
from streamfilter.web import StreamFilterMiddleware, resumable_response, sse_response


async def _later(*given: object) -> bool:
    raise AssertionError("nobody calls it")


class _Later:
    async def __call__(self, *given: object) -> bool:
        raise AssertionError("nobody calls it")


async def _connect(point: sf.ResumePoint) -> AsyncIterator[str]:
    raise AssertionError("nobody calls it")


async def _app(scope: Any, receive: Any, send: Any) -> None: ...


async def _source() -> Any:
    yield "x"


ASYNC: dict[str, Any] = {
    "function": _later,
    "partial": functools.partial(_later, 1),
    "object": _Later(),
    "partial of an object": functools.partial(_Later(), 1),
    "bound": _Later().__call__,
}
"""What nobody awaits runs never, and is true."""

FIELDS: dict[str, Callable[[Any], Any]] = {
    "Rule: check": lambda fn: sf.Rule("card", "a", check=fn),
    "Redact: to": lambda fn: sf.Redact("a", to=fn),
    "Replace: to": lambda fn: sf.Replace("a", fn),
    "MapText: fn": sf.MapText,
    "Tap: fn": sf.Tap,
    "Collect: fn": sf.Collect,
    "Segments: boundary": sf.Segments,
    "Segments: at_end": lambda fn: sf.Segments(len, at_end=fn),
    "Timeout: pauses": lambda fn: sf.Timeout(between=1, pauses=fn),
    "Resume: id": lambda fn: sf.Resume(_connect, id=fn),
    "Resume: is_complete": lambda fn: sf.Resume(_connect, is_complete=fn),
    "Resume: text": lambda fn: sf.Resume(_connect, text=fn),
    "Resume: backoff": lambda fn: sf.Resume(_connect, backoff=fn),
    "ParseJSON: parse_float": lambda fn: sf.ParseJSON(parse_float=fn),
    "JSONEvents: parse_int": lambda fn: sf.JSONEvents(parse_int=fn),
}

ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "observe": lambda fn: sf.Context(observe=[fn]),
    "sink": observe.audit,
    "now": lambda fn: observe.audit(print, now=fn),
    "wait": lambda fn: sf.watch(Path("none.toml"), wait=fn),
    "on_error of a watch": lambda fn: sf.watch(Path("none.toml"), on_error=fn),
    "on_error of a response": lambda fn: sse_response(_source(), on_error=fn),
    "on_error": lambda fn: StreamFilterMiddleware(_app, sf.Redact("a"), on_error=fn),
    "on_report": lambda fn: StreamFilterMiddleware(_app, sf.Redact("a"), on_report=fn),
    "context": lambda fn: StreamFilterMiddleware(_app, sf.Redact("a"), context=fn),
    "format": lambda fn: StreamFilterMiddleware(_app, sf.Redact("a"), format=fn),
}


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.parametrize("field", FIELDS)
def test_a_stage_refuses_a_function_that_it_would_not_await(field: str, kind: str) -> None:
    """Its coroutine would count as true: every match would pass its check, and every answer be complete."""
    with pytest.raises(ValueError, match=rf"^{field}\b.* is async, and nobody would await it: give a plain function$"):
        FIELDS[field](ASYNC[kind])


@pytest.mark.parametrize("kind", ASYNC)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_who_would_not_await_a_function_refuses_an_async_one(argument: str, kind: str) -> None:
    """An observer or a handler of errors that never runs is found out when it is given."""
    with pytest.raises(TypeError, match=r"async.*(nothing awaits|nobody would await) it: give a plain"):
        ARGUMENTS[argument](ASYNC[kind])


@pytest.mark.parametrize("field", FIELDS)
def test_a_stage_refuses_a_function_that_it_could_not_call(field: str) -> None:
    """When it is built: else the first match would end the stream."""
    wrong: list[Any] = [lambda: True, lambda one, two: True, functools.partial(str.join, " ", []), sf.by_line]
    for function in wrong:
        with pytest.raises(ValueError, match=rf"^{field}\b.* cannot be called with one value and nothing else$"):
            FIELDS[field](function)

    @functools.wraps(str.replace)
    def handed(value: str) -> str:  # it says of itself what it hands on
        return value

    right: list[Any] = [
        lambda one, two=0, *, three=1: "a",
        lambda *given: "a",
        handed,
        functools.partial(max, "a"),
        str,
        SimpleNamespace,
    ]
    handed.__signature__ = inspect.signature(str.replace)  # type: ignore[attr-defined]
    for function in right[: -2 if field == "Resume: backoff" else None]:
        FIELDS[field](function)


def test_functions_that_make_a_context_or_a_verdict_are_those_that_can() -> None:
    """One is called without arguments, the other with a window."""
    with pytest.raises(ValueError, match="cannot be called without arguments"):
        sf.guard(OpenAI(), response=SAFE, context=cast("Any", lambda request: sf.Context()))
    with pytest.raises(ValueError, match="cannot be called with a window and nothing else"):
        sf.Moderate(cast("Any", lambda: True))
    with pytest.raises(TypeError, match="context is dict: a Context is needed, or a function that makes one"):
        sf.guard(OpenAI(), response=SAFE, context=cast("Any", {}))


def test_functions_that_are_awaited_may_be_async() -> None:
    """A check of `Moderate`, and what `Resume` connects and sleeps with."""
    assert sf.Moderate(_Later()).must_wait and sf.Moderate(functools.partial(_Later())).must_wait
    assert sf.Resume(_connect, sleep=_later).sleep is _later


GATEWAY = gateway.Gateway("https://api.openai.com", {"main": sf.Redact("a")}, "main")

TIMES: dict[str, Callable[[Any], Any]] = {
    "Rule: timeout": lambda seconds: sf.Rule("card", "a", timeout=seconds),
    "Timeout: first": lambda seconds: sf.Timeout(first=seconds),
    "Pace: delay": lambda seconds: sf.Pace(delay=seconds),
    "Pace: max_lag": lambda seconds: sf.Pace(delay=1, max_lag=seconds),
    "Coalesce: seconds": sf.Coalesce,
    "KeepAlive: seconds": lambda seconds: sf.KeepAlive(seconds, b"x"),
    "Moderate: timeout": lambda seconds: sf.Moderate(print, timeout=seconds),
    "Segmentation: max_wait": lambda seconds: sf.by_line(max_wait=seconds),
    "Resume: backoff": lambda seconds: sf.Resume(_connect, backoff=(0.0, 1.0, seconds)),
    "seconds": lambda seconds: sf.watch(Path("none.toml"), seconds=seconds),
    "keep_alive": lambda seconds: sse_response(_source(), keep_alive=seconds),
    "unread_seconds": lambda seconds: StreamFilterMiddleware(_app, sf.Redact("a"), unread_seconds=seconds),
    "unread_seconds=": lambda seconds: ResumableStream(MemoryStore(), "a", unread_seconds=seconds),
    "patience_seconds": lambda seconds: RedisStore(redis.Redis(), patience_seconds=seconds),
    "grace": lambda seconds: gateway.serve(GATEWAY, grace=seconds),
    "total": lambda seconds: gateway.Limits(total=seconds),
}


@pytest.mark.parametrize("seconds", [math.inf, math.nan, 1e18, -1.0])
@pytest.mark.parametrize("argument", TIMES)
def test_a_time_that_nothing_can_count_is_refused(argument: str, seconds: float) -> None:
    """Infinite, none, below 0, or so long that a clock overflows: `regex` then has run out of it at once."""
    with pytest.raises(ValueError, match=rf"^{argument}.*(finite|than|needed)"):
        TIMES[argument](seconds)


@pytest.mark.parametrize("seconds", ["5", True])
@pytest.mark.parametrize("argument", [name for name in TIMES if not name[0].isupper()])
def test_a_time_is_a_number(argument: str, seconds: object) -> None:
    """A text is not compared with numbers, and a bool is none."""
    with pytest.raises(ValueError, match=rf"^{argument}.*{seconds!r}.* seconds"):
        TIMES[argument](seconds)


def test_a_search_may_take_a_year() -> None:
    """The longest time that a rule may have is one that `regex` can count."""
    assert sf.Redact(sf.Rule("twice", r"(a|b)\1", timeout=365 * 86_400)).apply("xaax") == "x[twice]x"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"observe": None}, "observe is NoneType: a list of functions or Observers is needed"),
        ({"observe": "audit"}, "observe is str: a list of functions or Observers is needed"),
        ({"observe": (each for each in [print])}, "observe is generator: a list of functions or Observers is needed"),
        ({"observe": {print}}, "observe is set: a list of functions or Observers is needed"),
        ({"clock": 5}, r"clock is int: time\(\) and call_at\(when, callback\) are needed"),
        ({"clock": time}, r"clock is module: time\(\) and call_at"),
        ({"clock": FakeClock}, r"clock is type: time\(\) and call_at"),
        ({"stats": "yes"}, "stats is str: a bool is needed"),
        ({"stats": None}, "stats is NoneType: a bool is needed"),
        ({"tags": [("a", 1)]}, "tags is list: a dict is needed"),
    ],
)
def test_a_context_says_what_it_needs(given: dict[str, Any], error: str) -> None:
    """When it is made: a stream would find it out too late, or never."""
    with pytest.raises(TypeError, match=f"^{error}"):
        sf.Context(**given)


def test_a_context_takes_any_clock_and_sequence() -> None:
    """The loops of asyncio are clocks, and so is what has their two methods; a tuple is as good as a list."""
    assert sf.Context(clock=FakeClock(), observe=(print,), stats=True).stats
    loop = asyncio.new_event_loop()
    assert sf.Context(clock=loop, observe=[print]).clock is loop
    loop.close()


@pytest.mark.parametrize("count", [True, 0, 1.5, "1"])
def test_how_much_is_remembered_is_a_number(count: Any) -> None:
    """A bool is none, here as everywhere: `Vault(True)` would remember one entry."""
    for kind in (sf.Vault, sf.VerdictCache):
        with pytest.raises(ValueError, match=r"^max_entries=.* is needed"):
            kind(count)
    for name in ("max_items", "max_bytes"):
        with pytest.raises(ValueError, match=f"^{name}="):
            ResumableStream(MemoryStore(), "a", **{name: count})
    with pytest.raises(ValueError, match="max_body_bytes"):
        StreamFilterMiddleware(_app, sf.Redact("a"), max_body_bytes=count)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"headers": {"x n": "hunter2"}}, ValueError, "headers: 'x n' is no name that a header can have"),
        ({"headers": {"x-a": "1", 5: "hunter2"}}, ValueError, "headers: 5 is no name that a header can have"),
        ({"headers": {"X-N": 1}}, TypeError, "headers: the value of X-N is int: a str is needed"),
        ({"headers": {"X-N": "hunter2\r\nx: 1"}}, ValueError, "headers: the value of X-N has characters that a header cannot have"),
        ({"headers": {"Content-Type": "hunter2"}}, ValueError, "headers: content-type is that of an event stream"),
        ({"status": 9999}, ValueError, "status=9999: a status of HTTP is needed"),
        ({"status": "200"}, ValueError, "status='200': a status of HTTP is needed"),
        ({"status": 100}, ValueError, "status=100: a status of HTTP is needed"),
    ],
)
def test_responses_name_what_is_wrong(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """The header, but never its value, which may be a secret; and a status that is none, for both kinds of response alike."""
    with pytest.raises(error, match=f"^{message}") as caught:
        sse_response(_source(), **options)
    with pytest.raises(error, match=f"^{message}"):
        resumable_response(ResumableStream(MemoryStore(), "a"), _source, **options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "query"}, ValueError, "by='query': one of 'header', 'path' is needed"),
        ({"others": "x"}, ValueError, "others='x': one of 'filter', 'pass', 'block' is needed"),
        ({"unread_seconds": -1}, ValueError, "unread_seconds=-1: seconds of at least 0 are needed"),
        ({"unread_seconds": -1, "resumable": MemoryStore()}, ValueError, "unread_seconds=-1: seconds of at least 0 are needed"),
        ({"resumable": 5}, TypeError, "resumable is int: a MemoryStore, a RedisStore or another Store is needed"),
        ({"resumable": MemoryStore}, TypeError, "resumable is type: a MemoryStore, a RedisStore or another Store is needed"),
    ],
)
def test_a_gateway_names_the_argument_that_is_wrong(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Whether it is used or not: a store may be added later."""
    with pytest.raises(error, match=f"^{message}"):
        gateway.Gateway("https://api.openai.com", {"main": sf.Redact("a")}, "main", **options)


def test_a_stream_is_kept_in_a_store() -> None:
    """What has not its methods is refused when the stream is named, not when it is started; one of somebody's own is as good."""
    with pytest.raises(TypeError, match=r"^store is int: a MemoryStore"):
        ResumableStream(cast("Any", 5), "a")
    methods = [name for name in vars(Store) if not name.startswith("_")]
    assert sorted(methods) == sorted(store.METHODS)
    other = SimpleNamespace(**dict.fromkeys(methods, print))
    assert repr(ResumableStream(cast("Any", other), "a")).startswith("ResumableStream(")
    del other.leave
    with pytest.raises(TypeError, match=r"^store is SimpleNamespace"):
        ResumableStream(cast("Any", other), "a")


def test_where_an_answer_is_kept_may_be_said_by_an_async_function() -> None:
    """It is awaited, as one that gives pipelines is; what it gives is checked before the application is called."""
    places: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: an answer\n\n"})

    async def where(scope: Any) -> Any:
        return places[-1]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False} if not sent else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        safe = StreamFilterMiddleware(app, sf.Redact("answer"), format="text", resumable=where)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        places.append(ResumableStream(MemoryStore(), "a"))
        await safe(scope, receive, send)
        assert b"".join(each.get("body", b"") for each in sent).count(b"[redacted]") == 1
        assert await places[-1].status() == "ended"
        del sent[:]
        for given, name in ((5, "int"), (MemoryStore(), "MemoryStore")):
            places.append(given)
            with pytest.raises(TypeError, match=f"^resumable gave {name}: a ResumableStream is needed, or None$"):
                await safe(scope, receive, send)
        assert sent == []

    asyncio.run(main())


class OpenAI:
    """What a class of a client looks like from outside."""


SAFE = sf.Redact("a")
MISUSES: dict[str, tuple[Callable[[], object], str]] = {
    "guard of nothing": (lambda: sf.guard(OpenAI()), "request= or response= is needed"),
    "guard of a class": (lambda: sf.guard(OpenAI, response=SAFE), "OpenAI is a class: give what it makes"),
    "guard with a text": (lambda: sf.guard(OpenAI(), response=cast("Any", "x")), "str is no stage"),
    "a list of stages": (lambda: sf.Pipeline(cast("Any", [SAFE, SAFE])), r"list is no stage: join stages with `\|`"),
    "a request before its pipeline": (
        lambda: openai.chat.filter_request(cast("Any", [{"role": "user", "content": "a"}]), cast("Any", SAFE)),
        "list is no stage",
    ),
    "pipelines without names": (
        lambda: gateway.Gateway("https://api.example.com", cast("Any", SAFE), "main"),
        "pipelines is Redact: a dict of pipelines by name is needed",
    ),
    "a pipeline that is not there": (
        lambda: gateway.Gateway("https://api.example.com", {"main": SAFE}, "mian"),
        "there is no pipeline 'mian': did you mean 'main'",
    ),
    "headers in a list": (
        lambda: sse_response(SAFE(_source()), "text", headers=cast("Any", [("a", "b")])),
        "headers is list: a dict is needed",
    ),
    "a stream's id alone": (
        lambda: resumable_response(cast("Any", "a"), _source, "text"),
        "resumable is str: a ResumableStream is needed",
    ),
    "fields in a list": (lambda: filter_records(SAFE, [], field=cast("Any", ["a"])), "field is list: the name of one is needed"),
    "records in a text": (lambda: filter_records(SAFE, "text"), "records is str: several of them are needed"),
    "a record alone": (lambda: filter_records(SAFE, {"text": "a"}), "records is dict: several of them are needed"),
    "lines in a text": (lambda: filter_json(SAFE, '{"text": "a"}'), "lines is str: several of them are needed"),
    "an argument where there is none": (lambda: sf.Placeholder(format="x"), "unknown field 'format': there are none"),  # type: ignore[call-arg]
    "a model that prose has none of": (lambda: sf.ParseJSON(int), "a value of it is neither: write strict=True"),
    "a choice of such models": (lambda: sf.ParseJSON(cast("Any", Literal["a"] | int | None)), "a value of it is neither"),
    "a rule in capitals": (
        lambda: sf.load({"version": 1, "pipeline": {"a": [{"stage": "redact", "rules": ["EMIAL"]}]}}),
        "unknown rule 'EMIAL': did you mean 'email'",
    ),
    "rules in other letters": (lambda: detectors.named("piii"), "unknown rule 'piii': did you mean 'PII'"),
    "a law as a text": (
        lambda: check_stage(SAFE, str.upper, without=cast("Any", "constancy")),
        r"without is str: a sequence is needed, such as \['constancy'\]",
    ),
}


@pytest.mark.parametrize("case", MISUSES)
def test_what_is_given_wrongly_is_told_in_words(case: str) -> None:
    """What it is, and what is needed: not an error from inside that names neither."""
    wrong, message = MISUSES[case]
    with pytest.raises((TypeError, ValueError, sf.SpecError), match=message):
        wrong()


def test_what_looks_unlikely_may_be_right() -> None:
    """A validator makes a number of an object; headers are what has items; records may have any keys."""
    model: Any = Annotated[int, BeforeValidator(lambda value: value["a"])]
    assert list(sf.ParseJSON(model).iter(['so: {"a": 1}.']))[-1] == 1
    headers = http.client.HTTPMessage()
    headers["x-a"] = "1"
    assert sse_response(SAFE(_source()), "text", headers=cast("Any", headers)).headers["x-a"] == "1"
    rows: list[Any] = [row.record for row in filter_records(SAFE, [{0: "a"}], field=cast("Any", 0))]
    assert rows == [{0: "[redacted]"}]


def test_what_a_vault_is_given_by_mistake_is_not_quoted() -> None:
    """It may be what is to be remembered."""
    with pytest.raises(ValueError, match="max_entries=dict: at least 1 is needed") as caught:
        sf.Vault(cast("Any", {"joe@example.org": "x"}))
    assert "joe" not in str(caught.value)
