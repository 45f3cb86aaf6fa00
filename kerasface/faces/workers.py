"""Jobs shared out to processes of their own."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


def spawned(
    make: Callable[..., Callable], arguments: tuple, jobs: Sequence, processes: int
) -> Iterator:
    """Does jobs in several new processes, each of which prepares itself once.

    The processes are spawned, for a fork hangs once TensorFlow has been used. They ignore Ctrl-C,
    which is for this process to answer, and end when it ends, however it does.

    Args:
        make: Called as ``make(*arguments)`` in each process; gives what does a job. A function
            of a module, as spawning pickles it.
        arguments: Picklable.
        jobs: Picklable, one a call.
        processes: How many, 1 or more.

    Yields:
        The results, as they come in. When the caller stops early the processes are ended.

    Raises:
        RuntimeError: If a process dies. What a job raises is raised here.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, tuple[BaseProcess, Any]] = {}
    waiting = iter(jobs)
    try:
        with _interrupts_ignored():  # which the new processes inherit from their first moment on
            for job in (next(waiting) for _ in range(min(processes, len(jobs)))):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, make, arguments))
                process.daemon = True
                process.start()
                theirs.close()
                workers[ours] = process, job
                ours.send(job)
        while workers:
            ready = multiprocessing.connection.wait(list(workers))
            for connection in [ours for ours in workers if ours in ready]:
                worker, job = workers[connection]
                result = _received(connection, worker, job)
                job = next(waiting, None)
                if job is None:
                    connection.close()  # which ends the process
                    del workers[connection]
                    worker.join()
                else:
                    workers[connection] = worker, job
                    with contextlib.suppress(OSError):  # a dead one is told of in the next round
                        connection.send(job)
                yield result
    finally:
        for left, _ in workers.values():
            left.terminate()
        for left, _ in workers.values():
            left.join()


def _received(connection: Connection, process: BaseProcess, job):
    try:
        failure, result = connection.recv()
    except (EOFError, OSError) as error:
        process.join()
        raise RuntimeError(
            f"A process that crops ended on its own. Received: exit code {process.exitcode} at "
            f"{job}. If its memory was too small, ask for fewer processes. A script must call "
            "from under `if __name__ == '__main__':`, or with `processes=0`, which starts none."
        ) from error
    if failure:
        raise result
    return result


def _serve(connection: Connection, make: Callable, arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Callable | None = None
    # The connection breaks when the first process ends, however it does.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job = connection.recv()
            try:
                work = work or make(*arguments)
                answer = (False, work(job))
            except Exception as error:
                answer = (True, _portable(error))
            connection.send(answer)


def _portable(error: Exception) -> Exception:
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # an exception's class may take what its pickle does not hold
        return RuntimeError(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
