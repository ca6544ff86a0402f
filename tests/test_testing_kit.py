"""The rest of the testing kit: clocks, recordings, leak checks, the test of endpoints, exploring, the plugin, the public names."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from pydantic import BaseModel

import streamfilter as sf
from streamfilter import testing
from streamfilter.testing import (
    FakeClock,
    LawBroken,
    Leak,
    LeakCheck,
    Mark,
    RecordedError,
    RecordedStream,
    Script,
    ScriptedSource,
    Sleep,
    StageMachine,
    check_endpoint,
    check_stage,
    endpoint,
    run_virtually,
)

SECRET = "4111 1111 1111 1111"
HEADER = '{"recording": "streamfilter", "version": 1}'


def test_the_public_names_are_the_exported_ones() -> None:
    """Each can be had, and nothing is imported before it is asked for."""
    assert sorted(testing.__all__, key=lambda name: (not name.isupper(), name.islower(), name)) == testing.__all__
    assert set(testing._LATE) - {"strategies"} == set(testing.__all__)
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(testing, "nothing")  # noqa: B009  # a type checker knows that it is not there
    code = "import sys, streamfilter.testing; print([m for m in ('hypothesis', 'httpx2', 'asyncio') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ------------------------------------------------------------------ clocks


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans())), st.lists(st.floats(0, 5), max_size=5))
def test_a_fake_clock_calls_what_is_due_in_its_order(timers: list[tuple[float, bool]], steps: list[float]) -> None:
    """As a sort of the times says; what was cancelled is not called, and each is called at its time."""
    clock = FakeClock()
    called: list[tuple[int, float]] = []

    def call(n: int) -> None:
        called.append((n, clock.time()))

    for n, (when, is_cancelled) in enumerate(timers):
        timer = clock.call_at(when, partial(call, n))
        if is_cancelled:
            timer.cancel()
    for step in steps:
        clock.advance(step)
    left = [(when, n) for n, (when, is_cancelled) in enumerate(timers) if not is_cancelled]
    due = sorted((when, n) for when, n in left if when <= clock.time()) if steps else []
    assert called == [(n, when) for when, n in due]
    assert clock.time() == pytest.approx(sum(steps))
    assert clock.due == min((when for when, n in left if (when, n) not in due), default=None)


def test_a_stage_goes_by_a_fake_clock() -> None:
    """`Pace` lets a unit out when the clock is told that its time has come."""
    clock = FakeClock()

    async def main() -> list[str]:
        got: list[str] = []

        async def read() -> None:
            async with sf.Pace(delay=10)(ScriptedSource(["a b c"]), context=sf.Context(clock=clock)) as stream:
                got.extend([text async for text in stream])

        task = asyncio.ensure_future(read())
        shown = []
        for _ in range(5):
            for _ in range(20):
                await asyncio.sleep(0)
            shown.append("".join(got))
            if clock.due is not None:
                clock.advance(10)
        await task
        return got

    assert asyncio.run(main()) == ["a ", "b ", "c"]
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_scripts_refuse_what_they_cannot_do() -> None:
    """Time does not run backwards there either."""
    with pytest.raises(ValueError, match="0 or more"):
        Sleep(-1)
    source = Script(("a", Sleep(5), "b")).source()
    assert run_virtually(_collected(source)) == (["a", "b"], 5.0)
    assert (source.given, source.is_over) == (2, True)


async def _collected(source: Any) -> tuple[list[Any], float]:
    got = [item async for item in source]
    return got, asyncio.get_running_loop().time()


# ------------------------------------------------------------------ recordings


class Chunk(BaseModel):
    """As SDK objects are."""

    content: str


ANSWER, CALL = sf.Channel("answer", (0, 1)), sf.Channel("tool_arguments", (0, 0, "c"))
ITEMS: list[Any] = [
    "plain é\n\u2028", b"\x00data: ", {"choices": [1, None]}, Chunk(content="x"), sf.TextDelta("a", ANSWER), sf.Finish("stop", scope=(0, 1)),
    sf.Usage({"n": 1}), sf.Usage(None, scope=None), sf.ToolCall("c", "f", CALL, scope=CALL), sf.Failure({"m": "x"}), sf.Raw([1], boundary=True),
]  # fmt: skip


@pytest.mark.parametrize("error", [None, OSError("with a secret")])
def test_a_recording_is_replayed_as_it_came(tmp_path: Path, error: Exception | None) -> None:
    """Items, pieces and times, and the ending; an SDK's object as plain data, an exception by its class."""
    path = tmp_path / "a.jsonl"
    steps = [step for n, item in enumerate(ITEMS) for step in (Sleep(n / 4), item)]
    source = ScriptedSource([*steps, Sleep(2)], error=error)

    async def record() -> list[Any]:
        got: list[Any] = []
        try:
            async with RecordedStream.record(source, path) as stream:
                async for item in stream:
                    got.append(item)  # noqa: PERF401  # what came before an exception counts
        except OSError:
            pass
        return got

    assert run_virtually(record()) == ITEMS
    assert source.closed == 1
    wanted = [each.model_dump() if isinstance(each, Chunk) else each for each in ITEMS]
    loaded = RecordedStream.load(path)
    assert list(loaded.items) == wanted
    assert [getattr(item, "scope", 0) for item in loaded.items] == [getattr(item, "scope", 0) for item in wanted]
    assert loaded.times == pytest.approx([n * (n + 1) / 8 for n in range(len(ITEMS))])
    assert (loaded.ending, loaded.error) == (("complete", None) if error is None else ("error", "OSError"))
    assert "secret" not in path.read_text()
    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    assert lines[0] == json.loads(HEADER)
    assert len(lines) == len(ITEMS) + 2

    async def replay(speed: float | None) -> tuple[list[Any], float]:
        got: list[Any] = []
        try:
            async for item in loaded.replay(speed=speed):
                got.append(item)  # noqa: PERF401
        except RecordedError as raised:
            assert str(raised) == "OSError"  # noqa: PT017  # it fails in one of two cases
        return got, asyncio.get_running_loop().time()

    for speed, seconds in ((1.0, loaded.end_at), (4.0, loaded.end_at / 4), (None, 0)):
        got, took = run_virtually(replay(speed))
        assert got == wanted
        assert took == pytest.approx(seconds)
    with pytest.raises(ValueError, match="more than 0"):
        loaded.replay(speed=0)


def test_a_recording_that_is_left_says_so(tmp_path: Path) -> None:
    """What came before is there; one that was cut off by a crash counts as left too. Without asyncio it goes by the machine's clock."""
    path = tmp_path / "a.jsonl"

    async def leave() -> None:
        async with RecordedStream.record(ScriptedSource(["a", "b"]), path) as stream:
            async for _ in stream:
                break

    leave_it = leave()
    with pytest.raises(StopIteration):
        leave_it.send(None)
    assert (RecordedStream.load(path).items, RecordedStream.load(path).ending) == (("a",), "closed")
    assert RecordedStream.of([HEADER, '{"at": 0, "text": "a"}']).ending == "closed"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "recording: it is empty"),
        (["{}"], "line 1: this is no recording: the first line has to be"),
        (["no"], "line 1: "),
        (['{"recording": "streamfilter", "version": 2}'], "line 1: version 2 is not known"),
        ([HEADER, '{"text": "a"}'], "line 2: 'at' is missing"),
        ([HEADER, '{"at": 0, "text": 5}'], "line 2: text is no string"),
        ([HEADER, '{"at": 0, "base64": "?"}'], "line 2: "),
        ([HEADER, '{"at": 0, "event": "os.system"}'], "line 2: a line has to say text, base64, chunk, event or end"),
        ([HEADER, "[]"], "line 2: "),
    ],
)
def test_what_is_no_recording_is_refused(lines: list[str], message: str) -> None:
    """With the line that says what is not known."""
    with pytest.raises(ValueError, match=message):
        RecordedStream.of(lines)


@pytest.mark.parametrize("item", [Mark(), sf.End("stop"), object(), {1, 2}])
def test_what_cannot_be_recorded_is_refused(tmp_path: Path, item: Any) -> None:
    """By its type: nothing is pickled. The source is closed."""
    source = ScriptedSource(["a", item])

    async def main() -> None:
        async with RecordedStream.record(source, tmp_path / "a.jsonl") as stream:
            async for _ in stream:
                pass

    with pytest.raises(TypeError, match="cannot be recorded"):
        asyncio.run(main())
    assert source.closed == 1
    assert RecordedStream.load(tmp_path / "a.jsonl").items == ("a",)


# ------------------------------------------------------------------ leaks


def _raises() -> None:
    try:
        raise KeyError(f"no {SECRET}")
    except KeyError as error:
        raise ValueError("harmless") from error


LEAKS: list[tuple[str, Callable[[LeakCheck], object], str]] = [
    ("a log", lambda leaks: logging.getLogger("app").debug("card %s", SECRET), "a log record holds 6 or more characters of secret 1"),
    ("the cause of an exception", lambda leaks: _raises(), "a ValueError holds"),
    ("a repr", lambda leaks: leaks.look([f"x{SECRET[4:10]}y"]), "a list holds"),
    ("an open source", lambda leaks: leaks.source(ScriptedSource(["a"])), "source 1 was closed 0 times after 0 items"),
    ("no leak", lambda leaks: logging.getLogger("app").warning("card of %d characters", len(SECRET)), ""),
]  # fmt: skip


@pytest.mark.parametrize(("what", "do", "message"), LEAKS, ids=[what for what, *_ in LEAKS])
def test_leaks_are_found_and_never_quoted(what: str, do: Callable[[LeakCheck], object], message: str) -> None:
    """Wherever an operator could read them; the report of a leak is none itself."""
    if not message:
        with LeakCheck(SECRET) as leaks:
            do(leaks)
        return
    with pytest.raises(Leak, match=message) as caught, LeakCheck(SECRET) as leaks:
        do(leaks)
    assert SECRET[:6] not in str(caught.value)


def test_tasks_that_are_left_are_found() -> None:
    """By their names, once what was cancelled has ended."""

    async def main(is_left: bool) -> None:
        async with LeakCheck() as leaks:
            task = asyncio.get_running_loop().create_task(asyncio.sleep(9), name="heartbeat")
            leaks.look("nothing")
            if not is_left:
                task.cancel()
        task.cancel()

    run_virtually(main(is_left=False))
    with pytest.raises(Leak, match="1 tasks are still there: heartbeat"):
        run_virtually(main(is_left=True))
    with pytest.raises(ValueError, match="texts of one character or more"):
        LeakCheck("")


@pytest.mark.parametrize(
    "stage", [sf.Redact(r"[0-9 ]{12,}"), sf.Block(r"[0-9 ]{12,}"), sf.Block(r"[0-9 ]{12,}", action="stop")], ids=repr
)
def test_guards_leak_nothing_however_a_stream_ends(stage: Any) -> None:
    """Neither their streams, reports and errors, nor the logs; on errors too."""
    for error in (None, OSError("gone")):
        with LeakCheck(SECRET) as leaks:
            source = leaks.source(ScriptedSource(["card 4111 11", "11 1111 11", "11."], error=error))

            async def main(source: Any = source, leaks: LeakCheck = leaks) -> None:
                stream = stage(source)
                try:
                    async with stream:
                        leaks.look([item async for item in stream])
                except (sf.Blocked, OSError) as raised:
                    leaks.look(raised)
                leaks.look(stream, stream.report, stage)

            asyncio.run(main())


# ------------------------------------------------------------------ endpoints

GUARD = sf.Redact(sf.Rule("card", r"\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}"), to="[card]")


def answered(body: bytes, *, misses: str = "") -> bytes:
    """An application that says the fields of a request again, filtered; but for one."""
    said = json.loads(body)
    return "".join(value if name == misses else GUARD.apply(value) for name, value in said.items()).encode()


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The same, as an application."""
    body = (await receive())["body"]
    status = 200 if scope["path"] == "/chat" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": answered(body), "more_body": False})


def test_an_endpoint_that_filters_everything_passes() -> None:
    """As a function, and as an ASGI application; spared fields do not count."""

    async def call(body: bytes) -> bytes:
        return answered(body)

    for each in (call, endpoint(asgi, "/chat")):
        assert asyncio.run(check_endpoint(each, {"message": "hi ", "title": "x", "model": "m"}, SECRET, spared={"model"})) == 2
    with pytest.raises(RuntimeError, match="status 404, which proves nothing"):
        asyncio.run(check_endpoint(endpoint(asgi, "/elsewhere"), {"message": "hi"}, SECRET))


def test_an_endpoint_that_misses_a_field_is_caught() -> None:
    """The places are named, the secret is not; nor does an application that swallows all prove anything."""

    async def misses(body: bytes) -> bytes:
        return answered(body, misses="title")

    with pytest.raises(Leak, match=r"came out from 1 of 2 places: title$") as caught:
        asyncio.run(check_endpoint(misses, {"message": "hi ", "title": "x"}, SECRET))
    assert SECRET[:6] not in str(caught.value)

    async def silent(body: bytes) -> bytes:
        return b"ok"

    async def quotes(body: bytes) -> bytes:
        if SECRET.encode() in body:
            raise ValueError(body)
        return answered(body)

    with pytest.raises(ValueError, match="nothing that is sent comes out"):
        asyncio.run(check_endpoint(silent, {"message": "hi "}, SECRET))
    with pytest.raises(Leak, match="raised ValueError, which holds the secret"):
        asyncio.run(check_endpoint(quotes, {"message": "hi "}, SECRET))
    with pytest.raises(ValueError, match="no text"):
        asyncio.run(check_endpoint(silent, {"n": 1}, SECRET))
    with pytest.raises(TypeError, match="a dict, or a list of events"):
        asyncio.run(check_endpoint(silent, "text", SECRET))


@pytest.mark.parametrize(("pipeline", "leaks"), [(GUARD, False), (sf.Pipeline(), True)], ids=["guarded", "not"])
def test_what_a_provider_sends_is_planted_too(pipeline: Any, leaks: bool) -> None:
    """An event stream in, an event stream out; in halves over two events as well."""
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Hello ", "there")]

    async def call(body: bytes) -> bytes:
        return b"".join(sf.wrap(pipeline).iter([body[:50], body[50:]]))

    def goes_on(event: Any, path: Any) -> object:
        return path

    if not leaks:
        assert asyncio.run(check_endpoint(call, events, SECRET, goes_on=goes_on)) == 2
        return
    with pytest.raises(Leak, match=r"2 of 2 places: event 0: choices\.0\.delta\.content$"):
        asyncio.run(check_endpoint(call, events, SECRET, goes_on=goes_on))


class Server(BaseHTTPRequestHandler):
    """A real one."""

    def do_POST(self) -> None:
        body = answered(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def test_a_url_is_asked_over_http() -> None:
    """Over a real socket."""
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            call = endpoint(f"http://127.0.0.1:{server.server_port}", "/chat", seconds=20)
            assert asyncio.run(check_endpoint(call, {"message": "hi "}, SECRET)) == 1
        finally:
            server.shutdown()
            thread.join()


# ------------------------------------------------------------------ exploring


class PerChunk(sf.TextMachine):
    """Wrong."""

    def feed(self, text: str) -> None:
        self.hold.replace(len(text), text.replace("ab", "#"))


@sf.stage
class Wrong(sf.TextStage):
    """Replaces in each piece by itself."""

    def start(self, context: sf.Context | None = None) -> sf.TextMachine:
        return PerChunk()


def means(text: str) -> str:
    """What both should do."""
    return text.replace("ab", "#")


TestRedactExplored = StageMachine(sf.Redact("ab", to="#"), means, alphabet="ab", steps=15).TestCase
TestRedactExplored.settings = settings(TestRedactExplored.settings, max_examples=20)


def test_exploring_finds_what_is_wrong() -> None:
    """With the steps that lead there; what waits is refused."""
    with pytest.raises(LawBroken, match=r"(batch|prefix): what"):
        run_state_machine_as_test(StageMachine(Wrong(), means, alphabet="ab", steps=15))
    with pytest.raises(TypeError, match="check this one with check_stage"):
        StageMachine(sf.Pace(delay=1), str)


# ------------------------------------------------------------------ the plugin

USES = """
import asyncio
import streamfilter as sf

def test_time(virtual_time):
    assert virtual_time(asyncio.sleep(86_400, "a day")) == "a day"

def test_clock(fake_clock):
    fake_clock.advance(5)
    assert fake_clock.time() == 5

def test_source(scripted_source, virtual_time):
    source = scripted_source(["a", "b"])
    async def main():
        async with sf.MapText(str.upper)(source) as stream:
            return [text async for text in stream]
    assert virtual_time(main()) == ["A", "B"]

def test_unclosed(scripted_source):
    scripted_source(["a"])

def test_recorded(recorded_stream):
    assert recorded_stream("answer.jsonl").items == ("Hi",)

def test_leaks(leak_check):
    with leak_check("secret") as leaks:
        leaks.look("nothing")
"""


def test_the_plugin_gives_fixtures(tmp_path: Path) -> None:
    """Each as documented; a source that was not closed is an error of its test."""
    (tmp_path / "test_uses.py").write_text(USES)
    (tmp_path / "answer.jsonl").write_text(HEADER + '\n{"at": 0.1, "text": "Hi"}\n')
    installed = importlib.metadata.entry_points(group="pytest11", name="streamfilter")
    plugin = [] if installed else ["-p", "streamfilter.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *plugin, str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    assert "6 passed, 1 error" in out
    assert "source 1 was closed 0 times after 0 items: once is right" in out


FORGETS = """
import logging

def test_forgets_the_with(leak_check):
    leak_check("4111 1111 1111 1111")
    logging.getLogger("shop").warning("card 4111 1111 1111 1111")

async def entered(check):
    async with check:
        pass

def test_enters(leak_check, virtual_time):
    virtual_time(entered(leak_check("4111 1111 1111 1111", chars=4)))
"""


def test_a_leak_check_that_is_not_entered_fails_its_test(tmp_path: Path) -> None:
    """It would look for nothing, and pass whatever leaks."""
    (tmp_path / "test_forgets.py").write_text(FORGETS)
    installed = importlib.metadata.entry_points(group="pytest11", name="streamfilter")
    plugin = [] if installed else ["-p", "streamfilter.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), *plugin, str(tmp_path)]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path).stdout
    assert "2 passed, 1 error" in out
    assert "a leak_check(…) was not entered, so nothing was looked for: write `with leak_check(…):`" in out


def no_document(text: str) -> object:
    raise sf.TruncatedInput("there is no JSON document in the text", len(text))


@pytest.mark.parametrize(
    ("stage", "means", "options", "said"),
    [
        (sf.Redact("secret", to="#"), lambda text: text.replace("secret", "#"), {}, "changes nothing in any of .* alphabet='ab "),
        (sf.JSONItems("$[*].a"), lambda _: [], {"gives": "items", "texts": st.just("[1, 2]")}, "finds nothing in any of the 1 "),
        (sf.ParseJSON(), no_document, {"gives": "last", "alphabet": " "}, "gives nothing of any of"),
        (sf.Redact("secret", to="#"), lambda text: text, {"texts": st.sampled_from(["xy", "x"])}, ".* 2 texts that texts= gave"),
    ],
)
def test_a_check_whose_texts_show_nothing_says_so(stage: Any, means: Any, options: Any, said: str) -> None:
    """The most usual mistake: the stage never finds in the texts what it looks for, and any stage would pass."""
    with pytest.warns(UserWarning, match=f"nothing is shown: means {said}.* texts=strategies.texts_for"):
        check_stage(stage, means, examples=20, **options)


def test_a_stage_that_changes_no_text_is_said_to_by_str() -> None:
    """As one that regroups; and a meaning that raises says something too."""

    def refuses(text: str) -> str:
        if "a" in text:
            raise sf.Blocked("redacted", 0)
        return text

    check_stage(sf.Words(), str, examples=20)
    check_stage(sf.Block("a"), refuses, examples=20)
