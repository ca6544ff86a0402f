"""`run` in bulk when things go wrong: processes that die, disks that fill, inputs that change, names that are no text."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.cli import bulk, journal
from streamfilter.cli.app import run_app
from streamfilter.cli.bulk import filter_files, filter_lines, inputs_in
from streamfilter.cli.running import Format
from streamfilter.cli.workers import Task, WorkerError, workers
from streamfilter.detectors import EMAIL

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits as POSIX has them")

COMMAND = [sys.executable, "-m", "streamfilter", "run"]
MAIL = "mail joe@example.com now"
CLEAN = "mail [email] now"
STAGE: sf.Pipeline[str, str] = sf.Pipeline(sf.Redact(EMAIL, to="[{rule}]"))
CHECKS = """
import os, signal, time

def die(match):
    if os.path.exists(os.environ["DOOM"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return True

def fail(match):
    raise MemoryError("joe")

def stay(match):
    open(os.path.join(os.environ["DOOM"], str(os.getpid())), "w").close()
    time.sleep(600)
"""


def lines(path: Path, count: int, text: str = MAIL) -> Path:
    path.write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n in range(count)))
    return path


def ignore(read: int) -> None:
    """What nobody watches."""


def checking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pattern: str = "joe") -> sf.Pipeline[str, str]:
    """A pipeline whose check is in a module that worker processes can import, too."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "doomed_checks.py").write_text(CHECKS)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setenv("DOOM", str(tmp_path / "doom"))
    monkeypatch.delitem(sys.modules, "doomed_checks", raising=False)
    import doomed_checks  # type: ignore[import-not-found]

    return sf.Pipeline(sf.Redact(sf.Rule("x", pattern, check=getattr(doomed_checks, name)), to="*"))


def hidden(path: Path) -> list[str]:
    return sorted(each.name for each in path.rglob(".*"))


def test_a_worker_that_dies_is_told_and_the_rest_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the midst, as for want of memory: one line with the place; what was done before is not done again."""
    stage = checking(tmp_path, monkeypatch, "die")
    source, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"text": "joe" if n == 555 else "ann"}) + "\n" for n in range(1000)))
    (tmp_path / "doom").touch()
    with pytest.raises(WorkerError, match=r"log.jsonl:501-600: the process that filtered this was killed by signal 9") as caught:
        filter_lines(stage, source, out, "text", 2, ignore, resume=False)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    (tmp_path / "doom").unlink()
    outcome = filter_lines(stage, source, out, "text", 2, ignore, resume=True)
    assert (outcome.skipped, outcome.done) == (500, 500)
    got = [json.loads(line)["text"] for line in out.read_text().splitlines()]
    assert got == ["*" if n == 555 else "ann" for n in range(1000)]
    assert hidden(tmp_path) == []


def test_files_when_a_worker_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half file stays; those that were complete stay."""
    stage = checking(tmp_path, monkeypatch, "die")
    files = []
    for n in range(6):
        (tmp_path / f"{n}.txt").write_text("joe" if n == 4 else "ann")
        files.append((tmp_path / f"{n}.txt", Path(f"{n}.txt")))
    (tmp_path / "doom").touch()
    with pytest.raises(WorkerError, match=r"4.txt: the process that filtered this was killed by signal 9"):
        filter_files(stage, files, tmp_path / "out", Format.AUTO, 2, ignore, resume=False)
    assert (
        {f"{n}.txt" for n in range(4)}
        <= {path.name for path in (tmp_path / "out").iterdir()}
        <= {f"{n}.txt" for n in (0, 1, 2, 3, 5)}
    )
    (tmp_path / "doom").unlink()
    outcome = filter_files(stage, files, tmp_path / "out", Format.AUTO, 2, ignore, resume=True)
    assert outcome.skipped + outcome.done == 6
    assert (tmp_path / "out" / "4.txt").read_text() == "*"


def test_a_check_without_memory_makes_its_record_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by its name, without its message, which may quote the text."""
    stage = checking(tmp_path, monkeypatch, "fail")
    outcome = filter_lines(stage, lines(tmp_path / "a", 3), tmp_path / "b", "text", 2, ignore, resume=False)
    assert [each.reason for each in outcome.bad] == ["MemoryError"] * 3


def fails(stage: object, text: str) -> None:
    raise ValueError(text)


def test_a_task_that_fails_ends_the_run_without_its_message() -> None:
    """And the other processes with it."""
    with pytest.raises(WorkerError) as caught, workers(STAGE, 2) as run:
        list(run(Task(f"place {n}", fails, (MAIL,)) for n in range(9)))
    assert "ValueError in the process that filtered this" in str(caught.value)
    assert "joe" not in repr(caught.value)


def test_results_come_in_the_order_of_tasks_which_are_not_drawn_far_ahead() -> None:
    """However long each takes: memory is bounded by the number of processes."""
    drawn = 0

    def tasks() -> Any:
        nonlocal drawn
        for n in range(40):
            drawn += 1
            yield Task("", spent, (n, 40_000 if n % 7 == 0 else 1))

    with workers(STAGE, 2) as run:
        for at, (task, got) in enumerate(run(tasks())):
            assert task.args[0] == got == at
            assert drawn <= at + 7


def spent(stage: object, n: int, rounds: int) -> int:
    for _ in range(rounds):
        n ^= 1
    return n if rounds % 2 == 0 else n ^ 1


def test_a_pipeline_that_cannot_be_handed_over_is_told(tmp_path: Path) -> None:
    """Which stage, why, and what would be right; in one process it runs."""
    stage = sf.Redact(EMAIL) | sf.MapText(lambda text: text.upper())
    with pytest.raises(WorkerError, match=r"the stage MapText cannot go to another process \(\w+\): .*no lambda"):
        filter_lines(stage, lines(tmp_path / "a", 3), tmp_path / "b", "text", 2, ignore, resume=False)
    assert filter_lines(stage, tmp_path / "a", tmp_path / "b", "text", 1, ignore, resume=False).done == 3


def children(pid: int) -> list[int]:
    """All processes that have it, or one of its, as parent."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(a): int(b) for a, b in (line.split() for line in table.splitlines())}
    found = [child for child, parent in parents.items() if parent == pid]
    return found + [each for child in found for each in children(child)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(fact: Any, seconds: float = 30) -> None:
    """Polls what other processes do: there is nothing to wait on."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_an_interrupted_run(tmp_path: Path, sign: signal.Signals) -> None:
    """Four of them, in the midst of inputs that never end. Ctrl-C goes to all, says nothing, and leaves only whole files."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a").write_text(MAIL)
    for n in range(4):
        os.mkfifo(source / f"never{n}")
    args = [*COMMAND, "--redact", "email", "--jobs", "4", *map(str, sorted(source.iterdir())), "-o", str(out)]
    with subprocess.Popen(args, stderr=subprocess.PIPE, start_new_session=True) as process:
        pipes = [(source / f"never{n}").open("wb") for n in range(4)]  # each waits until somebody reads
        until((out / "a").exists)
        below = children(process.pid)
        assert len(below) >= 4
        os.killpg(process.pid, sign) if sign == signal.SIGINT else process.send_signal(sign)
        assert process.stderr is not None
        code, err = process.wait(30), process.stderr.read()
        until(lambda: not any(map(alive, below)))
        for pipe in pipes:
            pipe.close()
    if sign == signal.SIGINT:
        assert (code, err.strip()) == (130, b"")
        assert [path.name for path in out.iterdir()] == ["a"]


@pytest.mark.parametrize("delay", [0.05, 0.15])
def test_ctrl_c_while_processes_start(tmp_path: Path, delay: float) -> None:
    """They are deaf to it from their first moment: no traceback of theirs."""
    log, out = lines(tmp_path / "log.jsonl", 20_000), tmp_path / "out.jsonl"
    args = [*COMMAND, "--redact", "email", "--jobs", "4", str(log), "--field", "text", "-o", str(out)]
    with subprocess.Popen(args, stderr=subprocess.PIPE, start_new_session=True) as process:
        until((tmp_path / ".out.jsonl.part").exists)
        time.sleep(delay)  # any moment is a right one
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr is not None
        assert (process.wait(30), process.stderr.read().strip()) == (130, b"")
    outcome = filter_lines(STAGE, log, out, "text", 1, ignore, resume=False)
    assert outcome.done == 20_000


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """One line, exit code 1, nothing under the final name; with room, the run is gone on with to the same bytes."""
    log, out = lines(tmp_path / "log.jsonl", 3000), tmp_path / "out.jsonl"
    args = [*COMMAND, "--redact", "email", str(log), "--field", "text", "-o", str(out)]

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    ended = subprocess.run(args, capture_output=True, text=True, preexec_fn=little_room, check=False)
    assert (ended.returncode, ended.stderr) == (1, "streamfilter: [Errno 27] File too large\n")
    assert not out.exists()
    ended = subprocess.run([*args, "--resume"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line) for line in out.read_text().splitlines()] == [{"id": n, "text": CLEAN} for n in range(3000)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "small").write_text(MAIL)
    (tmp_path / "in" / "large").write_text("x" * 100_000)
    args = [*COMMAND, "--redact", "email", str(tmp_path / "in"), "-o", str(tmp_path / "outs")]
    ended = subprocess.run(args, capture_output=True, text=True, preexec_fn=little_room, check=False)
    assert f"streamfilter: {tmp_path}/in/large: File too large\n1 files filtered, 1 bad, 1 email\n" == ended.stderr
    assert [path.name for path in (tmp_path / "outs").iterdir()] == ["small"]


def test_an_input_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it grows or is written over: it is refused, and there is no output. Where it is only renamed, all is well."""
    monkeypatch.setattr(journal, "NOTE_SECONDS", -1.0)
    log, out = lines(tmp_path / "log.jsonl", 300), tmp_path / "out.jsonl"

    def grow(read: int) -> None:
        with log.open("a") as file:
            file.write("{}\n")

    with pytest.raises(journal.JournalError, match="was changed while it was read: filter a copy of it"):
        filter_lines(STAGE, log, out, "text", 1, grow, resume=False)
    assert not out.exists()
    lines(log, 300)
    moved = filter_lines(STAGE, log, out, "text", 1, lambda _: log.exists() and log.rename(tmp_path / "old"), resume=False)
    assert moved.done == 300


def test_two_runs_that_write_one_output(tmp_path: Path) -> None:
    """The second is refused, and spoils nothing."""
    log, out = lines(tmp_path / "log.jsonl", 300), tmp_path / "out.jsonl"

    def again(read: int) -> None:
        with pytest.raises(journal.JournalError, match="is being written by another run"):
            filter_lines(STAGE, log, out, "text", 1, ignore, resume=False)

    assert filter_lines(STAGE, log, out, "text", 1, again, resume=False).done == 300
    assert len(out.read_text().splitlines()) == 300


def test_a_line_that_is_too_long_is_a_bad_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed over, and never in memory as a whole; the lines behind it are what they are."""
    monkeypatch.setattr(bulk, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(bulk, "BATCH_BYTES", 700)
    log = tmp_path / "log.jsonl"
    for last in ("\n", ""):
        log.write_text(f"{json.dumps({'text': MAIL})}\n{'x' * 5000}\n{json.dumps({'text': MAIL})}\n{'y' * 1001}{last}")
        outcome = filter_lines(STAGE, log, tmp_path / "out", "text", 1, ignore, resume=False)
        assert [(each.place, each.reason) for each in outcome.bad] == [
            (f"{log}:{at}", "it is longer than 1000 bytes") for at in (2, 4)
        ]
        assert [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()] == [{"text": CLEAN}] * 2


def test_memory_stays_flat_over_many_lines(tmp_path: Path) -> None:
    """Ten times the lines, all of them bad or good, cost no more memory."""
    code = "import resource, sys; from streamfilter.cli.app import run_app; run_app(sys.argv[1:]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    most = []
    for count in (1000, 11_000):
        log = tmp_path / "log.jsonl"
        log.write_text('{"text": "a"}\n{"text": 1}\n' * count)
        args = [
            "run",
            "--pattern",
            "secret",
            str(log),
            "--field",
            "text",
            "-o",
            str(tmp_path / "out"),
            "--report",
            str(tmp_path / "r"),
        ]
        most.append(int(subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True).stdout))
    report = json.loads((tmp_path / "r").read_text())
    assert (report["done"], report["failed"], len(report["bad"])) == (11_000, 11_000, bulk.MAX_BAD)
    assert most[1] - most[0] < 12_000  # KiB: what is kept of bad ones


def test_bad_records_of_an_interrupted_run_are_not_forgotten(tmp_path: Path) -> None:
    """Who goes on is told of them by number and exit code."""
    log, out = tmp_path / "log.jsonl", tmp_path / "out.jsonl"
    log.write_text("?\n" + '{"text": "a"}\n' * 300)

    def interrupt(read: int) -> None:
        if read:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filter_lines(STAGE, log, out, "text", 1, interrupt, resume=False)
    outcome = filter_lines(STAGE, log, out, "text", 1, ignore, resume=True)
    assert (outcome.skipped, outcome.done, outcome.failed, outcome.bad) == (100, 201, 1, [])


def test_links_names_and_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Loops of links are no inputs; names that are no text, outputs within the inputs, and what is in the way of an output are."""
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a").write_text(MAIL)
    (source / "deep" / "up").symlink_to(source)
    (source / "self").symlink_to(source / "self")
    (source / "link").symlink_to(source / "deep" / "a")
    name = os.fsdecode(b"b\xff.txt")
    try:
        (source / name).write_text(MAIL)
    except OSError:
        pytest.skip("the file system takes only names that are text")
    out = source / "out"
    for _ in range(2):
        assert run_app(["run", "--redact", "email", str(source), "-o", str(out)]) == 0
        assert capsys.readouterr().err == "3 files filtered, 0 bad, 3 email\n"
        assert sorted(os.fsencode(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
            b"b\xff.txt",
            b"deep/a",
            b"link",
        ]
        assert (source / "deep" / "a").read_text() == MAIL
    other = tmp_path / "other"
    other.mkdir()
    (other / "deep").write_text("in the way")
    (other / "link").mkdir()
    code = run_app(["run", "--redact", "email", str(source), "-o", str(other), "--report", str(tmp_path / "r.json")])
    assert code == 1
    told = {
        each["place"].removeprefix(f"{source}/"): each["reason"] for each in json.loads((tmp_path / "r.json").read_text())["bad"]
    }
    assert told == {"deep/a": "File exists", "link": "Is a directory"}
    assert hidden(other) == []


def test_a_directory_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files are not passed over in silence."""
    (tmp_path / "in" / "closed").mkdir(parents=True)
    (tmp_path / "in" / "a").write_text(MAIL)
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(inputs_in([tmp_path / "in"], tmp_path / "out"))
    assert [name.name for _, name in found] == ["a", "closed"]
    outcome = filter_files(STAGE, found, tmp_path / "out", Format.AUTO, 1, ignore, resume=False)
    assert (outcome.done, outcome.bad[0].place) == (1, str(tmp_path / "in" / "closed"))


@pytest.mark.parametrize("place", ["/proc/no/out.jsonl", "file/out.jsonl", "x" * 250])
def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    """Exit code 1, no traceback."""
    (tmp_path / "file").touch()
    log = lines(tmp_path / "log.jsonl", 3)
    for jobs in ("1", "2"):
        code = run_app(["run", "--redact", "email", str(log), "--field", "text", "-o", str(tmp_path / place), "--jobs", jobs])
        err = capsys.readouterr().err
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith("streamfilter: [Errno ")


def test_lines_from_a_pipe(tmp_path: Path) -> None:
    """What has no size is read to its end, and cannot be gone on with."""
    script = f"{sys.executable} -m streamfilter run --redact email <(printf '%s\\n' '{{\"text\": \"{MAIL}\"}}') --field text -o {tmp_path}/out"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "1 records filtered, 0 bad, 1 email\n")
    assert json.loads((tmp_path / "out").read_text()) == {"text": CLEAN}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a", "x": 1e999}', "it has a number, or a depth, that cannot be written again"),
        ('{"text": "NaN is no number", "x": 1e999}', "it has a number, or a depth, that cannot be written again"),
        ('{"text": "a", "x": -1e999, "y": NaN, "Infinity": 1}', "it has a number, or a depth, that cannot be written again"),
        ('{"text": "a", "x": NaN}', ""),
        ('{"text": "Infinity", "x": [-Infinity, Infinity, 1e308]}', ""),
        ('{"text": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "it is no JSON"),
        ('{"text": "a", "x": ' + "9" * 5000 + "}", "it is no JSON"),
        ('\ufeff{"text": "a"}', ""),
        ('{"text": "\\ud83d"}', ""),
    ],
)
def test_json_at_its_edges(tmp_path: Path, line: str, reason: str) -> None:
    """Each line comes out meaning what it meant, or is bad."""
    (tmp_path / "a").write_text(line, "utf-8")
    outcome = filter_lines(STAGE, tmp_path / "a", tmp_path / "b", "text", 1, ignore, resume=False)
    if reason:
        assert [each.reason for each in outcome.bad] == [reason]
    else:
        assert repr(json.loads((tmp_path / "b").read_bytes())) == repr(json.loads(line.removeprefix("\ufeff")))
