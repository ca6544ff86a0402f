"""The pytest plugin: fixtures for tests of streams. pytest finds it by itself where `streamfilter` is installed.

What a fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from streamfilter.testing.clock import FakeClock
    from streamfilter.testing.leaks import LeakCheck
    from streamfilter.testing.recording import RecordedStream
    from streamfilter.testing.sources import ScriptedSource

T = TypeVar("T")


@pytest.fixture
def virtual_time() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Run a coroutine in virtual time: `virtual_time(main())`. See `run_virtually`."""
    from streamfilter.testing.clock import run_virtually

    return run_virtually


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until it is told to advance: `Context(clock=fake_clock)`."""
    from streamfilter.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def scripted_source() -> Iterator[Callable[..., ScriptedSource[Any]]]:
    """Make sources that follow a script, as `ScriptedSource` does. Each has to be closed exactly once when the test ends."""
    from streamfilter.testing.leaks import LeakCheck
    from streamfilter.testing.sources import ScriptedSource

    with LeakCheck() as leaks:

        def make(items: Iterable[Any], **options: Any) -> ScriptedSource[Any]:
            return leaks.source(ScriptedSource(items, **options))

        yield make


@pytest.fixture
def recorded_stream(request: pytest.FixtureRequest) -> Callable[[str], RecordedStream]:
    """Load a recording, by its path from the folder of the test's file: `recorded_stream("streams/answer.jsonl")`."""
    from streamfilter.testing.recording import RecordedStream

    folder = Path(request.path).parent
    return lambda path: RecordedStream.load(folder / path)


@pytest.fixture
def leak_check() -> Iterator[Callable[..., LeakCheck]]:
    """A block in which nothing may leak, for secrets that it is given; one that is made and not entered fails the test.

    It is entered with `with leak_check("the secret"):`. See `LeakCheck`.
    """
    from streamfilter.testing.leaks import LeakCheck

    made: list[LeakCheck] = []

    def make(*secrets: str, **options: Any) -> LeakCheck:
        made.append(LeakCheck(*secrets, **options))
        return made[-1]

    yield make
    if not all(check.is_entered for check in made):
        pytest.fail("a leak_check(…) was not entered, so nothing was looked for: write `with leak_check(…):`", pytrace=False)
