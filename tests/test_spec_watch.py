"""A watched file: new streams get what it says now, running ones keep theirs, and a broken version changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import streamfilter as sf
from streamfilter.spec import watching

SECONDS = 30.0
"""No test waits so long: what it waits for comes, or the test fails."""


def says(to: str, *names: str) -> str:
    """A declaration of pipelines that redact digits by a text."""
    body = "".join(f'[[pipeline.{name}]]\nstage = "redact"\nrules = [{{pattern = \'[0-9]+\'}}]\nto = "{to}"\n' for name in names)
    return f"version = 1\n{body or 'pipeline = {}'}\n"


class Looks:
    """The waits of a watch: each ends when the test says so."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._waits = threading.Semaphore(0)

    def __call__(self, closing: threading.Event) -> None:
        self._waits.release()
        while not closing.is_set() and not self._go.acquire(timeout=0.01):
            pass

    def once(self) -> None:
        """Let the watch look once; returns when it waits again."""
        assert self._waits.acquire(timeout=SECONDS)
        self._go.release()
        assert self._waits.acquire(timeout=SECONDS)
        self._waits.release()


def replaced(path: Path, text: str) -> None:
    """Another file in the place of one, as editors and deployments do it."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def test_new_streams_get_the_new_pipeline_and_running_ones_keep_theirs(tmp_path: Path) -> None:
    """Also behind another file of the same size in its place."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    looks = Looks()
    with sf.watch(path, wait=looks) as config:
        running = config.get("a").iter(iter(["x1", " y2", " z3"]))
        assert next(running) == "x"
        replaced(path, says("<b>", "a", "b"))
        looks.once()
        assert (config.version, config.error, config.names) == (2, None, ("a", "b"))
        assert config.get("a").apply("x1") == "x<b>"
        assert "x" + "".join(running) == "x<a> y<a> z<a>"
        path.write_text(says("<c>", "a", "b"))  # in place, of the same size, perhaps within one tick of the clock
        looks.once()
        assert config.get("b").apply("1") == "<c>"
        looks.once()
        assert config.version == 3, "what has not changed is not compiled again"


def test_a_broken_file_keeps_the_last_good_one_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In `error`, once to the callback and once to the log; and it is over when the file is good again, even as it was."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    looks = Looks()
    told: list[sf.SpecError] = []
    with caplog.at_level(logging.WARNING, "streamfilter"), sf.watch(path, wait=looks, on_error=told.append) as config:
        replaced(path, says("{x}", "a"))
        looks.once()
        looks.once()
        assert config.get("a").apply("1") == "<a>"
        assert config.error is not None and "to has a field {x}" in str(config.error)
        assert (told, config.version) == ([config.error], 1)
        assert "broken" in repr(config)
        path.unlink()
        looks.once()
        looks.once()
        assert [error.problem for error in told[1:]] == ["there is no such file"]
        assert config.get("a").apply("1") == "<a>"
        replaced(path, says("<a>", "a"))
        looks.once()
        assert (str(config.error), config.version) == ("None", 2)
        path.write_bytes(b"\xff")
        looks.once()
        assert "not UTF-8" in str(config.error)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert all("stay as they were" in record.getMessage() for record in caplog.records)


def test_a_callback_that_raises_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next version is still seen."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))

    def refuse(error: sf.SpecError) -> None:
        raise RuntimeError("no")

    with caplog.at_level(logging.ERROR, "streamfilter"):
        looks = Looks()
        with sf.watch(path, wait=looks, on_error=refuse) as config:
            path.write_text("version = 1")
            looks.once()
            replaced(path, says("<b>", "a"))
            looks.once()
            assert config.get("a").apply("1") == "<b>"
    assert ["on_error" in record.getMessage() for record in caplog.records] == [True]


def test_the_first_version_must_be_good_and_names_must_be_there(tmp_path: Path) -> None:
    """There is nothing to fall back to."""
    path = tmp_path / "p.toml"
    with pytest.raises(sf.SpecError, match="there is no such file"):
        sf.watch(path)
    path.write_text(says("{x}", "a"))
    with pytest.raises(sf.SpecError, match=r"line 2: pipeline.a"):
        sf.watch(path)
    path.write_text(says("<a>", "tenant-a"))
    with pytest.raises(ValueError, match="seconds=0: seconds above 0"):
        sf.watch(path, seconds=0)
    with sf.watch(path) as config, pytest.raises(sf.SpecError, match="unknown pipeline 'tenant-b': did you mean 'tenant-a'"):
        config.get("tenant-b")


def test_reload_reads_again_though_the_file_is_as_it_was(tmp_path: Path) -> None:
    """Because a file of words may have changed; its answer is whether all is well."""
    words = tmp_path / "words.txt"
    words.write_text("Ann")
    path = tmp_path / "p.toml"
    path.write_text('version = 1\n[[pipeline.a]]\nstage = "redact"\nrules = [{words = {file = "words.txt"}}]\n')
    with sf.watch(path, wait=Looks()) as config:
        words.write_text("Joe")
        assert config.reload()
        assert config.get("a").apply("Ann, Joe") == "Ann, [terms]"
        words.unlink()
        assert not config.reload()
        assert config.get("a").apply("Ann, Joe") == "Ann, [terms]"
        assert config.error is not None and "there is no file words.txt" in str(config.error)

    async def reloaded() -> bool:
        return await asyncio.to_thread(config.reload)

    words.write_text("Ann")
    assert asyncio.run(reloaded())


def test_closing_ends_the_thread(tmp_path: Path) -> None:
    """At once, however long it would wait, any number of times; the pipelines stay."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    before = threading.active_count()
    config = sf.watch(path, seconds=3600)
    assert threading.active_count() == before + 1
    config.close()
    config.close()
    assert threading.active_count() == before
    assert config.get("a").apply("1") == "<a>"


def test_live_objects_are_those_of_the_watch(tmp_path: Path) -> None:
    """Of every version."""

    async def allowed(window: sf.Window) -> bool:
        return True

    path = tmp_path / "p.json"
    text = '{"version": 1, "pipeline": {"a": [{"stage": "moderate", "check": "mod", "retries": %d}]}}'
    path.write_text(text % 1)
    with sf.watch(path, checks={"mod": allowed}, wait=Looks()) as config:
        path.write_text(text % 2)
        config.reload()
        assert config.get("a") == sf.Moderate(allowed, retries=2)


def test_many_threads_see_whole_versions(tmp_path: Path) -> None:
    """While the file changes: every reader gets one version or the other."""
    path = tmp_path / "p.toml"
    path.write_text(says("<0>", "a"))
    seen: set[str] = set()
    stop = threading.Event()

    def read(config: Any) -> None:
        while not stop.is_set():
            seen.add(config.get("a").apply("x1"))

    with sf.watch(path, wait=Looks()) as config:
        readers = [threading.Thread(target=read, args=(config,)) for _ in range(3)]
        for each in readers:
            each.start()
        for number in range(1, 20):
            replaced(path, says(f"<{number}>", "a"))
            assert config.reload()
        stop.set()
        for each in readers:
            each.join()
        assert config.get("a").apply("x1") == "x<19>"
    assert seen <= {f"x<{number}>" for number in range(20)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of forks with threads, which is what is tested
def test_a_child_of_a_fork_watches_too(tmp_path: Path) -> None:
    """As the workers of a server do that loads the application once: the thread stays in the parent, so the child begins its own."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    with sf.watch(path, seconds=0.01) as config:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                config.get("a")
                replaced(path, says("<b>", "a"))
                for _ in range(3000):
                    if config.get("a").apply("1") == "<b>":
                        code = 0
                        break
                    threading.Event().wait(0.01)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("away", ["too large", "a directory", "a circle of links"])
def test_a_file_that_is_as_it_was_again_is_good_again(tmp_path: Path, away: str) -> None:
    """Whatever stood in its place, or kept it from being read."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    looks = Looks()
    with sf.watch(path, wait=looks) as config:
        if away == "too large":
            path.write_bytes(b"#" * 5_000_000)
        else:
            path.unlink()
            path.mkdir() if away == "a directory" else path.symlink_to(path.name)
        looks.once()
        assert config.error is not None
        path.rmdir() if path.is_dir() else path.unlink()
        path.write_text(says("<a>", "a"))
        looks.once()
        assert (str(config.error), config.version) == ("None", 2)


def test_files_of_words_are_watched_too(tmp_path: Path) -> None:
    """Written anew, gone and there again; also where all files are links that change places at once, as Kubernetes mounts them."""

    def deployed(number: int, words: str) -> None:
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "p.toml").write_text('version = 1\n[[pipeline.a]]\nstage = "redact"\nrules = [{words = {file = "words.txt"}}]\n')
        (folder / "words.txt").write_text(words)
        (tmp_path / "..new").symlink_to(folder.name)
        (tmp_path / "..new").replace(tmp_path / "..data")

    deployed(1, "Ann")
    path = tmp_path / "p.toml"
    for name in ("p.toml", "words.txt"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    looks = Looks()
    with sf.watch(path, wait=looks) as config:
        deployed(2, "Joe")
        looks.once()
        assert config.get("a").apply("Ann, Joe") == "Ann, [terms]"
        (tmp_path / "..2" / "words.txt").unlink()
        looks.once()
        assert "there is no file words.txt" in str(config.error)
        assert config.get("a").apply("Ann, Joe") == "Ann, [terms]"
        (tmp_path / "..2" / "words.txt").write_text("Ann")
        looks.once()
        assert (config.error, config.get("a").apply("Ann, Joe")) == (None, "[terms], Joe")
        looks.once()
        assert config.version == 3


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half of a TOML file may be a good one, with half of the guards."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    two = says("<b>", "a") + says("<c>", "a").removeprefix("version = 1\n").replace("[0-9]", "[x-z]")
    half = two[: two.rindex("[[")]
    told: list[sf.SpecError] = []
    with sf.watch(path, wait=Looks(), on_error=told.append) as config:
        versions = ["", half[:30], half, two]
        monkeypatch.setattr(watching, "content_of", lambda _: (versions.pop(0) if len(versions) > 1 else two).encode())
        assert config.reload()
        assert config.get("a").apply("x1") == "<c><b>"
        assert (config.version, told) == (2, [])


def test_a_module_that_leaves_does_not_end_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the file would silently be watched no more."""
    (tmp_path / "leaving_shop.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    looks = Looks()
    with sf.watch(path, wait=looks, allow_imports=["leaving_shop"]) as config:
        path.write_text('version = 1\n[[pipeline.a]]\nstage = "leaving_shop:Shout"\n')
        looks.once()
        assert "SystemExit" in str(config.error)
        path.write_text(says("<b>", "a"))
        looks.once()
        assert config.get("a").apply("1") == "<b>"


def test_a_new_version_is_told_to_who_asks_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log, at the level of information: which file, and that it counts now. Its words and patterns are not told."""
    path = tmp_path / "p.toml"
    path.write_text(says("<a>", "a"))
    with caplog.at_level(logging.INFO, "streamfilter"), sf.watch(path, wait=Looks()) as config:
        path.write_text(says("<b>", "a"))
        config.reload()
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.getMessage() == f"{path}: version 2 of its pipelines, for new streams"
