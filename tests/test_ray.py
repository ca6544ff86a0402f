"""Offline on Ray Data: the rows are those of the serial run, whatever cuts the work up; bad ones are set aside."""

from __future__ import annotations

import json
import os
import random
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.cli.app import run_app
from streamfilter.detectors import EMAIL
from streamfilter.ray import map_streams, read_lines, write_lines
from streamfilter.records import filter_records

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # by default its workers give way to whatever else the machine does
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, which are not ours to mend

STAGE: sf.Pipeline[str, str] = sf.Pipeline(sf.Redact(EMAIL, to="[{rule}]"))
DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def data() -> Iterator[Any]:
    """Ray Data on this machine, with two CPUs and nothing else; stopped afterwards."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'streamfilter[ray]'")
    pytest.importorskip("ray.data", reason="Ray Data is not installed: pip install 'streamfilter[ray]'")
    options = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR", "object_store_memory": 100 * 2**20}
    ray.init(num_cpus=2, **options)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray.data
    ray.shutdown()


def texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    words = ["mail joe@example.com", "ann.b@mail.example.org now", "nothing", "", "é \u2028 😀", '"quoted" \\ {}', "a@b"]
    return [" ".join(rng.choices(words, k=rng.randrange(5))) for _ in range(count)]


def reference(text: str) -> str:
    """What the texts above are to become, by a pattern that is made for them."""
    return re.sub(r"joe@example\.com|ann\.b@mail\.example\.org", "[email]", text)


def cut(text: str, rng: random.Random) -> list[str]:
    at = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(4)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def test_ten_thousand_lines_are_those_of_the_serial_run(data: Any, tmp_path: Path) -> None:
    """JSONL in and out: serial, in processes and on Ray, byte for byte; texts and lists of chunks; the same ones bad, for the same
    reasons."""
    rng = random.Random(1)
    want: dict[int, str] = {}
    lines = []
    for n, text in enumerate(texts(2, 10_000)):
        pieces = cut(text, rng)
        lines.append(
            json.dumps({"id": n, "answer": pieces if n % 3 == 0 else text, "p": 0.1234567890123456}, ensure_ascii=n % 2 == 0)
        )
        want[n] = reference(text)
    wrong = {17: "?", 400: '{"answer": 3}', 5000: '{"id": 5000}', 7777: "[]", 9999: '{"answer": ["a", 1]}'}
    for at, line in wrong.items():
        lines[at] = line
        del want[at]
    source = tmp_path / "logs"
    source.mkdir()
    (source / "all.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    for jobs in (1, 2):
        out = str(tmp_path / f"jobs{jobs}")
        args = ["run", "--redact", "email", str(source / "all.jsonl"), "--field", "answer", "-o", out, "--jobs", str(jobs)]
        assert run_app(args) == 1
    serial = (tmp_path / "jobs1").read_bytes()
    assert (tmp_path / "jobs2").read_bytes() == serial
    assert (tmp_path / "jobs2.bad").read_bytes() == (tmp_path / "jobs1.bad").read_bytes()
    got = [json.loads(line) for line in serial.splitlines()]
    assert {row["id"]: "".join(row["answer"]) for row in got} == want
    for n in range(4):  # several files, for several workers
        (source / f"{n}.jsonl").write_text("\n".join(lines[n::4]) + "\n", "utf-8")
    (source / "all.jsonl").unlink()
    done = map_streams(read_lines(str(source)), STAGE, field="answer", json_in="text", actors=2).materialize()
    write_lines(done, str(tmp_path / "ray"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "ray").iterdir())
    assert sorted(written.splitlines()) == sorted(serial.splitlines())
    rows = done.take_all()
    assert len(rows) == 10_000
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "jobs1.bad").read_text().splitlines()]
    bad = [row for row in rows if row["answer_reason"] is not None]
    assert sorted(row["answer_reason"] for row in bad) == sorted(reasons)
    assert {row["text"] for row in bad} == {None}
    found = sum(report["count"] for row in rows for report in row["answer_counts"])
    assert found == sum(text.count("[email]") for text in want.values())


def test_ten_thousand_rows_of_parquet(data: Any, tmp_path: Path) -> None:
    """Each row as `filter_records` has it; the columns beside it are as they were, with their types; the report is columns."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    given: list[str | None] = [*texts(3, 10_000)]
    given[5] = given[9000] = None
    size = pa.array([2**60 + n for n in range(10_000)], pa.int64())
    table = pa.table({"id": size, "text": pa.array(given, pa.large_string())})
    (tmp_path / "in").mkdir()
    for n in range(4):
        pq.write_table(table.slice(n * 2500, 2500), tmp_path / "in" / f"{n}.parquet")
    map_streams(data.read_parquet(str(tmp_path / "in")), STAGE, actors=1).write_parquet(str(tmp_path / "out"))
    got = pq.read_table(tmp_path / "out").sort_by("id")
    assert got.schema.field("id").type == pa.int64()
    assert got.column("id").to_pylist() == size.to_pylist()
    serial = list(filter_records(STAGE, ({"text": text} for text in given)))
    for row, record, text in zip(got.to_pylist(), serial, given, strict=True):
        assert row["text"] == (record.record["text"] if record.record else None)
        assert row["text"] == (None if text is None else reference(text))
        assert {each["rule"]: each["count"] for each in row["text_counts"]} == record.counts
        assert row["text_reason"] == (record.reason or None)


def chunk(text: str, **more: object) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}], **more}


def test_lists_of_chunks(data: Any) -> None:
    """Those of text come out as those that left; those of a provider as such, where one has a field that another has not."""
    rng = random.Random(4)
    rows = [{"id": n, "text": cut(text, rng)} for n, text in enumerate(texts(5, 100))]
    got = map_streams(data.from_items(rows, override_num_blocks=2), STAGE, actors=1).take_all()
    serial = {row["id"]: done for row, done in zip(rows, filter_records(STAGE, rows), strict=True)}
    assert {row["id"]: list(row["text"]) for row in got} == {n: done.record["text"] for n, done in serial.items() if done.record}
    items = [{"chunks": [chunk("mail joe@exam"), chunk("ple.com", usage={"total_tokens": 3})]}, {"chunks": [chunk("no")]}]
    got = map_streams(data.from_items(items, override_num_blocks=1), STAGE, field="chunks", actors=1).take_all()
    said = ["".join(choice["delta"]["content"] for each in row["chunks"] for choice in each["choices"] or ()) for row in got]
    assert sorted(said) == ["mail [email]", "no"]
    assert [each["usage"] for row in got for each in row["chunks"] if each["usage"]] == [{"total_tokens": 3}]


def test_what_a_table_cannot_hold_is_a_bad_row() -> None:
    """Half a surrogate pair, values of no one type, a missing column: reasons, without text. Each row by itself."""
    pa = pytest.importorskip("pyarrow")
    from streamfilter.ray.rows import FilterRows

    odd = sf.Redact("joe", to="\ud83d")
    got = FilterRows(odd, "text", None)(pa.table({"text": ["a joe", "b"]})).to_pylist()
    assert [(row["text"], row["text_reason"]) for row in got] == [
        (None, "what came out does not fit the type of the column"),
        ("b", None),
    ]
    got = FilterRows(STAGE, "text", None)(pa.table({"n": [1]})).to_pylist()
    assert got == [{"n": 1, "text_counts": [], "text_reason": "the column 'text' is missing"}]
    got = FilterRows(STAGE, "text", "body")(pa.table({"body": pa.array([None, "{"])})).to_pylist()
    assert [row["text_reason"] for row in got] == [
        "the column 'body' holds NoneType: records as JSON are needed",
        "it is no JSON at column 2",
    ]
    got = FilterRows(STAGE, "text", None)(pa.table({"text": pa.array([1, 2])})).to_pylist()
    assert [row["text"] for row in got] == [None, None]
    assert FilterRows(STAGE, "text", None)(pa.table({"text": pa.array([], pa.string())})).num_rows == 0
    raises = sf.Block("joe", action="raise")
    (row,) = FilterRows(raises, "text", None)(pa.table({"text": ["secret joe"]})).to_pylist()
    assert row["text"] is None
    assert row["text_reason"].startswith("Blocked: ")
    assert "joe" not in str(row)


def test_stages_that_wait_and_json_in_bytes() -> None:
    """They run in an event loop of the actor; a column of bytes stays one."""
    pa = pytest.importorskip("pyarrow")
    from streamfilter.ray.rows import FilterRows

    waits = STAGE | sf.Coalesce(seconds=0.001)
    table = pa.table({"body": [b'{"text": "mail joe@example.com"}', b"\xff"]})
    got = FilterRows(waits, "text", "body")(table)
    assert got.column("body").to_pylist() == [b'{"text":"mail [email]"}', None]
    assert got.column("text_reason").to_pylist() == [None, "it is no JSON"]


def test_a_wrong_call_fails_before_anything_runs(data: Any) -> None:
    """With what would be right."""
    rows = data.from_items([{"text": "x", "text_reason": "y", "n_counts": 1, "n": "z"}])
    for error, message, args in (
        (ValueError, "there is no column 'no': there are 'text'", {"field": "no"}),
        (ValueError, "there is a column 'text_reason' already", {}),
        (ValueError, "there is a column 'n_counts' already", {"field": "n"}),
        (ValueError, "actors is to be a number from 1", {"actors": 0}),
        (TypeError, "batch_size cannot be chosen", {"batch_size": 3}),
    ):
        with pytest.raises(error, match=message):
            map_streams(rows, STAGE, **args)
    with pytest.raises(TypeError, match="list is no dataset"):
        map_streams([], STAGE)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        map_streams(rows, "no stage")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ParseJSON gives values, and map_streams joins text"):
        map_streams(rows, sf.ParseJSON())
    with pytest.raises(ValueError, match="there is no column 'no'"):
        write_lines(rows, "nowhere", column="no")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And importing the part needs nothing."""
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "ray.data", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "streamfilter\[ray\]"'):
        map_streams(None, STAGE)  # type: ignore[arg-type]


def test_the_example(data: Any, tmp_path: Path) -> None:
    """What the page tells one to run, here within this Ray."""
    log = tmp_path / "log.jsonl"
    log.write_text('{"answer": "mail joe@example.com"}\n{"answer": ["mail joe@exa", "mple.com"]}\nno JSON\n')
    example = runpy.run_path(str(DOCS / "examples" / "offline_ray.py"))
    assert example["clean"](str(log), str(tmp_path / "clean")) == (2, 1)
    written = b"".join(path.read_bytes() for path in (tmp_path / "clean" / "lines").iterdir())
    answers = [json.loads(line)["answer"] for line in written.splitlines()]  # files are named at random
    assert sorted(answers, key=str) == [["mail ", "[email]"], "mail [email]"]
    (bad,) = data.read_parquet(str(tmp_path / "clean" / "bad")).take_all()
    assert bad == {"path": str(log), "line": 3, "answer_reason": "it is no JSON at column 1"}


def test_each_line_tells_where_it_stood(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines count; however the file is read."""
    (tmp_path / "a").write_bytes(b"one\n\ntwo\n" + b"x" * 50 + b"\n\n\nlast")
    (tmp_path / "b").write_bytes(b"\nonly\n")
    for size in (8, 64, 1 << 20):
        monkeypatch.setattr("streamfilter.ray.lines.READ_BYTES", size)
        from streamfilter.ray.lines import LinesIn  # needs Ray

        source = LinesIn([str(tmp_path / "a")], "text", places=True)
        with (tmp_path / "a").open("rb") as file:
            tables = [*source._read_stream(file, "a")]
        rows = [row for table in tables for row in table.to_pylist()]
        assert [(row["line"], row["text"][:4]) for row in rows] == [(1, b"one"), (3, b"two"), (4, b"xxxx"), (7, b"last")]
    found = {(Path(row["path"]).name, row["line"], row["text"][:4]) for row in read_lines(str(tmp_path), places=True).take_all()}
    assert found == {("a", 1, b"one"), ("a", 3, b"two"), ("a", 4, b"xxxx"), ("a", 7, b"last"), ("b", 2, b"only")}
    with pytest.raises(ValueError, match="column='line': with places=True"):
        read_lines(str(tmp_path), column="line", places=True)
