"""`Patience`: a client that reads nothing is given up, in time, and nobody else's cancel is taken for that."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streamfilter.testing import run_virtually
from streamfilter.web.patience import Patience, Unread


def timed(main: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    """What it gives or raises, and how long that took."""

    async def run() -> tuple[Any, float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            given = await main()
        except BaseException as error:
            given = type(error)
        return given, round(loop.time() - begun, 3)

    return run_virtually(run())


@pytest.mark.parametrize(("waits", "seconds"), [([20], 10.0), ([9, 20], 19.0), ([0, 3, 9.9, 11], 22.9), ([9] * 5 + [20], 55.0)])
def test_a_message_that_takes_too_long_is_given_up_at_that_moment(waits: list[float], seconds: float) -> None:
    """Ten seconds after it was begun, however long those before took; what was to send it is cancelled."""
    ended: list[str] = []

    async def send(wait: float) -> None:
        try:
            await asyncio.sleep(wait)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        patience = Patience(10.0)
        try:
            for wait in waits:
                await patience.of(send(wait))
        finally:
            patience.close()
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

    assert timed(main) == (Unread, seconds)
    assert ended == ["cancelled"]


@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_silence_between_messages_is_nobodys_fault(wait: float) -> None:
    """A model may be silent for as long as it likes, if what is sent is taken."""

    async def main() -> str:
        patience = Patience(10.0)
        for silence in (0, 9, 11, 35, 10):
            await asyncio.sleep(silence)
            await patience.of(asyncio.sleep(wait))
        patience.close()
        return "sent"

    assert timed(main) == ("sent", 65 + 5 * wait)


@pytest.mark.parametrize("at", [1.0, 10.0])
def test_a_cancel_of_others_stays_one(at: float) -> None:
    """Also at the moment at which the time is over."""

    async def main() -> str:
        patience = Patience(10.0)
        task = asyncio.ensure_future(patience.of(asyncio.Event().wait()))
        asyncio.get_running_loop().call_later(at, task.cancel)
        await asyncio.wait([task])
        patience.close()
        return "cancelled" if task.cancelled() else repr(task.exception())

    given, seconds = timed(main)
    assert seconds == at
    assert given == "cancelled" or (at == 10.0 and given == "Unread()")


def test_what_sending_raises_is_raised_and_no_time_is_no_end() -> None:
    """As it was; and with None there is no timer at all."""

    async def fails() -> None:
        raise ConnectionResetError

    async def main() -> list[type]:
        raised = []
        for seconds in (10.0, None):
            patience = Patience(seconds)
            try:
                await patience.of(fails())
            except OSError as error:
                raised.append(type(error))
            await patience.of(asyncio.sleep(9 if seconds else 1000))
            patience.close()
        return raised

    assert timed(main) == ([ConnectionResetError] * 2, 1009.0)


def test_a_server_that_cancels_twice_is_not_outlived() -> None:
    """What is sent in the face of a cancel is given up too, in its own time."""

    async def main() -> list[str]:
        told = []

        async def respond() -> None:
            patience = Patience(10.0)
            try:
                await patience.of(asyncio.Event().wait())
            except asyncio.CancelledError:
                for _ in itertools.repeat(None, 2):
                    try:
                        await patience.of(asyncio.Event().wait())
                    except OSError as error:
                        told.append(type(error).__name__)
                raise
            finally:
                patience.close()

        task = asyncio.ensure_future(respond())
        asyncio.get_running_loop().call_later(1, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()
        return told

    assert timed(main) == (["Unread", "Unread"], 21.0)
