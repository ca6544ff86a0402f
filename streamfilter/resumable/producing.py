"""`Producer`: the task that writes a stream into a store, item by item, as they leave the pipeline.

Three tasks: one reads; one writes, what has come while it was writing in one go, so that a store far away delays nobody; one
gives signs of life, and hears whether the stream is to stop. Whatever happens, the source is closed, by the task that has read
it; what it has given before its end is written; then the store is told how it ended, if it can be.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Any

from streamfilter.closing import Closing
from streamfilter.declaration import check_seconds
from streamfilter.errors import LimitExceeded
from streamfilter.resumable.encoding import END, ITEM, Encoding, ending_encoded
from streamfilter.resumable.failures import Ended, How, StoreFailed
from streamfilter.resumable.store import Store, Terms
from streamfilter.stream import Stream

BEAT_SECONDS = 1.0
"""How often a sign of life is given at least. So long it may take until a source that is silent is stopped."""

LAST_SECONDS = 1.0
"""How long a writer that is cancelled behind its source's end tries to tell that: a server that goes down waits no longer for a
store that does not answer."""

BATCH_ITEMS = 100
"""Items that may wait to be written, before no more are read: some seconds of a model's, and what a script takes in one go."""

LOG = logging.getLogger("streamfilter.resumable")
_RUNNING: set[Producer] = set()


class Producer:
    """Who writes a stream into a store: a task of its own, which goes on whoever started it.

    Attributes:
        ended: how it ended; None while it goes on.

    Example:
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def tokens():
        ...     yield "Hi"
        >>> async def main():
        ...     producer = await ResumableStream(MemoryStore(), "answer-1").start(tokens())
        ...     return await producer.wait(), producer
        >>> asyncio.run(main())
        (Ended(how='finished', error=None, facts=(), is_timeout=False), <Producer finished>)
    """

    def __init__(
        self,
        store: Store,
        id: str,  # noqa: A002  # what it is called everywhere here
        owner: str,
        source: AsyncIterable[Any],
        *,
        terms: Terms,
        encoding: Encoding,
        max_bytes: int,
        unread_seconds: float | None,
    ) -> None:
        self.ended: Ended | None = None
        self._store = store
        self._id = id
        self._owner = owner
        self._source = source
        self._closing = Closing(source, ())
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._unread = unread_seconds
        self._lease = terms.lease_seconds
        self._items = 0  # in the store
        self._waiting: list[str] = []  # to be written
        self._added = asyncio.Event()
        self._taken = asyncio.Event()
        self._is_over = False
        self._bytes = 0
        self._why: How | None = None  # it is to end
        self._error: Exception | None = None  # what it ended with
        self._reading: asyncio.Timeout | None = None  # ends what waits for the source
        loop = asyncio.get_running_loop()
        self._until = loop.time() + self._lease
        self._task = loop.create_task(self._run())
        _RUNNING.add(self)
        self._task.add_done_callback(lambda _: _RUNNING.discard(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'running' if self.ended is None else self.ended.how}>"

    async def wait(self) -> Ended:
        """Wait for its end. A cancel of this does not reach it.

        Raises:
            Exception: the one of the source or a stage, as it was; `StoreFailed`; `TypeError` for an item that cannot be stored;
                `LimitExceeded` for more than `max_bytes`.
        """
        await asyncio.wait([self._task])
        if self._error is not None:
            raise self._error
        return self.ended or Ended("cancelled", "CancelledError")

    async def aclose(self) -> None:
        """Cancel it: held text dies, the source is closed, and readers are told."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self.ended is None:  # the task was cancelled before it had begun
            try:
                await self._closing.close()
            finally:
                await self._tell(asyncio.CancelledError())

    # ------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        beside = [loop.create_task(self._beat()), loop.create_task(self._write())]
        error: BaseException | None = None
        try:
            try:
                await self._copy()
            finally:
                await self._closing.close()
        except BaseException as caught:
            error = caught
        try:
            if error is None or isinstance(error, Exception):
                try:
                    await self._drain()
                except asyncio.CancelledError as cancelled:  # what waits is lost
                    error = cancelled
                    self._hurry()
            await self._tell(self._error or error)
        except BaseException as caught:
            error = caught
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        if error is not None and not isinstance(error, Exception):
            self.ended = self.ended or Ended.by(error)
            raise error

    async def _copy(self) -> None:
        """Item by item, from the source to the store, until it ends or is to end."""
        try:
            async with asyncio.timeout(None) as self._reading:
                if self._why is not None:
                    return
                iterator = self._source.__aiter__()
                self._closing.begin(iterator)
                step: Callable[[], Awaitable[Any]] = iterator.__anext__
                while True:
                    try:
                        item = await step()
                    except StopAsyncIteration:
                        return
                    if self._why is not None:  # a source may lose the cancel that said so
                        return
                    await self._add(item)
        except TimeoutError:
            if self._why is None:  # the source's own
                raise
        finally:
            self._reading = None

    async def _add(self, item: Any) -> None:
        payload = self._encoding.encoded(item)
        self._bytes += len(payload) if payload.isascii() else len(payload.encode())
        if self._bytes > self._max_bytes:
            number = self._items + len(self._waiting) + 1
            raise LimitExceeded("max_bytes", self._max_bytes, f"a resumable stream, at its item {number}")
        self._waiting.append(payload)
        self._added.set()
        while len(self._waiting) >= BATCH_ITEMS:
            self._taken.clear()
            await self._taken.wait()

    async def _drain(self) -> None:
        """Wait until everything is written, unless the stream is to end without."""
        while self._waiting and self._why is None:
            self._taken.clear()
            await self._taken.wait()

    async def _write(self) -> None:
        """Write what waits."""
        while await self._added.wait():
            self._added.clear()
            while self._waiting:
                batch = self._waiting[:BATCH_ITEMS]
                if not await self._said(self._items + 1, batch):
                    return
                self._items += len(batch)
                del self._waiting[: len(batch)]
                self._taken.set()

    async def _beat(self) -> None:
        """Signs of life, until the end is told."""
        while True:
            await asyncio.sleep(min(BEAT_SECONDS, self._lease / 3))
            if not await self._said(self._items + 1, ()):
                return

    async def _said(self, first: int, payloads: Sequence[str]) -> bool:
        """Tell the store something, within the lease, which begins anew with it, and heed the answer. Whether there was one."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._until):
                sign = await self._store.append(self._id, self._owner, first, ITEM, payloads)
        except Exception as error:
            self._fail(self._failure(error))
            return False
        self._until = max(self._until, now + self._lease)
        if sign.is_asked:
            self._end("asked")
        elif self._unread is not None and sign.unread_seconds > 0 and sign.unread_seconds >= self._unread:
            self._end("unread")
        return True

    def _failure(self, error: Exception) -> Exception:
        """What a call of the store has ended with."""
        return StoreFailed(f"no answer for the {self._lease} s of the lease") if isinstance(error, TimeoutError) else error

    def _fail(self, error: Exception) -> None:
        """The store has failed."""
        if not self._is_over:
            self._error = self._error or error
            self._end("failed")

    def _end(self, how: How) -> None:
        """Let nothing more be read, nor written."""
        if self._why is None and not self._is_over:
            self._why = how
            self._taken.set()
            if self._reading is not None:
                self._reading.reschedule(asyncio.get_running_loop().time())

    async def _tell(self, error: BaseException | None) -> None:
        """Tell the store how it ended."""
        self._is_over = True
        if error is not None:
            ended = Ended.by(error)
            LOG.warning("a resumable stream was cut off: %s (%s)", ended.how, ended.error)
        else:
            ended = Ended(self._why or ("stopped" if _is_stopped(self._source) else "finished"))
        if isinstance(error, Exception):
            self._error = error
        self.ended = ended
        if isinstance(error, StoreFailed):
            return  # its readers see that it is silent
        try:
            try:
                await self._say_end(ended)
            except asyncio.CancelledError:  # it may have been said, or not
                self._hurry()
                with contextlib.suppress(Exception):
                    await self._say_end(ended)
                raise
        except Exception as failed:
            LOG.warning("the end of a resumable stream could not be written")
            if error is None:  # what its readers do not get has not ended well
                self._error = self._failure(failed)
                self.ended = Ended.by(self._error)

    async def _say_end(self, ended: Ended) -> None:
        async with asyncio.timeout_at(self._until):
            await self._store.end(self._id, self._owner, self._items + 1, END, ending_encoded(ended))

    def _hurry(self) -> None:
        """There is a cancel, and all was read: the end is still told, if the store answers."""
        self._until = min(self._until, asyncio.get_running_loop().time() + LAST_SECONDS)


async def close_producers(store: Store, seconds: float | None = 0.0) -> None:
    """End the streams that this event loop writes into a store, as a server does that goes down, before it closes its client.

    Tasks of a process that ends just die: sources would not be closed, and readers elsewhere learn of it by the lease alone.

    Args:
        store: as it was given to `ResumableStream`.
        seconds: that streams have to end by themselves. Those that have not are cancelled, which their readers are told
            (`ProducerFailed`). None: as long as they take.

    Raises:
        ValueError: the seconds are none.

    Example:
        >>> from streamfilter.resumable import MemoryStore, ResumableStream
        >>> async def endless():
        ...     while True:
        ...         yield "tick "
        >>> async def main():
        ...     store = MemoryStore()
        ...     producer = await ResumableStream(store, "answer-1").start(endless())
        ...     await close_producers(store)
        ...     return producer
        >>> asyncio.run(main())
        <Producer cancelled>
    """
    if seconds is not None:
        check_seconds("seconds", seconds, zero=True)
    loop = asyncio.get_running_loop()
    running = [each for each in _RUNNING.copy() if each._store is store and each._task.get_loop() is loop]  # noqa: SLF001
    if running:
        await asyncio.wait([each._task for each in running], timeout=seconds)  # noqa: SLF001
        await asyncio.gather(*(each.aclose() for each in running), return_exceptions=True)


def _is_stopped(source: object) -> bool:
    """Whether a stage has ended the stream, with no error."""
    return isinstance(source, Stream) and source._outcome.is_stopped  # noqa: SLF001  # only observers of its context are told
