"""An asyncio event loop in a thread, for libraries that want one."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, daemon=True, name="ssh"
        )
        self._thread.start()

    def call(self, work: Awaitable[T], seconds: float) -> T:
        """Wait for its result. Raises TimeoutError after so many seconds."""
        future = asyncio.run_coroutine_threadsafe(_awaited(work), self._loop)
        try:
            return future.result(seconds)
        except (FutureTimeout, KeyboardInterrupt):
            future.cancel()
            raise

    def begin(self, work: Awaitable[None]) -> object:
        """Have it go on by itself."""
        return asyncio.run_coroutine_threadsafe(_awaited(work), self._loop)

    def soon(self, call: Callable[[], object]) -> None:
        """Call it in the loop."""
        self._loop.call_soon_threadsafe(call)

    def stop(self) -> None:
        """End everything that still goes on."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@contextmanager
def loop_thread() -> Iterator[LoopThread]:
    """Give a loop that runs while the context is open."""
    loop = LoopThread()
    try:
        yield loop
    finally:
        loop.stop()


async def _awaited(work: Awaitable[T]) -> T:
    return await work
