"""A thread with an asyncio loop: what the fake exchange runs on.

It begins, runs functions that other threads hand it, and ends. It knows nothing of WebSocket.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from wsresilient.errors import ConfigurationError
from wsresilient.runtime.threads import spawn

__all__ = ["AsyncThread"]

logger = logging.getLogger("wsresilient.testing")

_Result = TypeVar("_Result")
_Step = Callable[[], Coroutine[Any, Any, None]]

_CALL_TIMEOUT = 10.0
_STOP_TIMEOUT = 10.0


class AsyncThread:
    """One thread that runs one event loop; every method is thread-safe.

    :param name: the thread's name.
    :param begin: awaited first; what it raises, :meth:`start` raises.
    :param end: awaited last.
    """

    def __init__(self, name: str, begin: _Step, end: _Step) -> None:
        self.name = name
        self._begin = begin
        self._end = end
        # _lock guards the fields below, and keeps the loop open while it is handed something.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    @property
    def is_running(self) -> bool:
        """Whether there is a loop."""
        return self._loop is not None

    def start(self) -> None:
        """Start the thread and wait until it has begun.

        :raises ConfigurationError: it runs already.
        """
        begun: Future[None] = Future()
        with self._lock:
            if self._loop is not None:
                raise ConfigurationError(f"{self.name} is already started")
            # Not the default: Windows' has no add_reader.
            loop = self._loop = asyncio.SelectorEventLoop()
            self._is_stopping = False
            thread = self._thread = spawn(lambda: self._run(loop, begun), name=self.name)
        try:
            begun.result(_CALL_TIMEOUT)
        except OSError:
            thread.join(_STOP_TIMEOUT)
            raise

    def stop(self) -> None:
        """End the thread and wait for that, within a bound; does nothing when there is none."""
        with self._lock:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None:
                return
            if not self._is_stopping:
                self._is_stopping = True
                loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_TIMEOUT)
        if thread.is_alive():
            logger.error("%s has not ended within %g s", self.name, _STOP_TIMEOUT)

    def call(self, function: Callable[[], _Result]) -> _Result:
        """Run a function on the loop's thread and return what it returns, or raises.

        While the loop does not run, the function is run here.

        :raises TimeoutError: the loop has not come to it within 10 s.
        """
        future: Future[_Result] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # it belongs to the caller, who gets it by the future
                future.set_exception(error)

        with self._lock:
            loop = self._loop
            if loop is not None:
                loop.call_soon_threadsafe(run)
        return future.result(_CALL_TIMEOUT) if loop is not None else function()

    def submit(self, step: _Step) -> Future[None]:
        """Begin to run a coroutine on the loop; without a loop it is not run.

        :returns: done when the coroutine is, cancelled when the loop ends before that.
        """
        with self._lock:
            if self._loop is not None:
                return asyncio.run_coroutine_threadsafe(step(), self._loop)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def _run(self, loop: asyncio.AbstractEventLoop, begun: Future[None]) -> None:
        try:
            try:
                loop.run_until_complete(self._begin())
            except BaseException as error:  # it belongs to start()
                begun.set_exception(error)
                return
            begun.set_result(None)
            loop.run_forever()
        except Exception:
            logger.exception("%s failed and ends", self.name)
        finally:
            self._finish(loop)

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._end())
            loop.run_until_complete(_cancel_all())
        except Exception:
            logger.exception("%s did not end as it should", self.name)
        with self._lock:
            self._loop = None
        # Functions that were handed in before that are waited for.
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _cancel_all() -> None:
    """Cancel what still runs, such as TLS handshakes that nobody goes on with."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Transports that were closed by that call their connection_lost in the next turns.
    for _ in range(3):
        await asyncio.sleep(0)
