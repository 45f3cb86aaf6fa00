"""Runs jobs in several new processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

NAME = "kerasface worker"  # of the processes
UNGUARDED = 113  # exit code of a process whose script calls `crop` while it is imported


def spawned(
    make: Callable[..., Callable], arguments: tuple, jobs: Sequence, processes: int
) -> Iterator:
    """Runs jobs in several new processes, each of which is set up once.

    The processes are spawned, because a fork hangs once TensorFlow was used. They ignore Ctrl-C,
    which this process handles, and end when this process ends, even if it is killed. They import
    the script that runs here only if an argument comes from it. So scripts without
    ``if __name__ == "__main__":`` work, and so does code from standard input.

    Args:
        make: Called as ``make(*arguments)`` in each process; returns a function that runs a job.
            Must be a function of a module, because spawning pickles it.
        arguments: Picklable arguments.
        jobs: Picklable jobs, one for each call.
        processes: Number of processes, 1 or more.

    Yields:
        The results, in the order in which they arrive. If the caller stops early, the processes
        are ended.

    Raises:
        RuntimeError: If a process dies. An exception of a job is raised here.
    """
    leave_unguarded_import()
    from_script = b"__main__" in pickle.dumps((make, arguments))
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, tuple[BaseProcess, Any]] = {}
    waiting = iter(jobs)
    try:
        # Both are inherited by the new processes.
        with _interrupts_ignored(), contextlib.nullcontext() if from_script else _without_script():
            for job in (next(waiting) for _ in range(min(processes, len(jobs)))):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, make, arguments), name=NAME)
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
                    with contextlib.suppress(OSError):  # reported in the next round
                        connection.send(job)
                yield result
    finally:
        for left, _ in workers.values():
            left.terminate()
        for left, _ in workers.values():
            left.join()


def leave_unguarded_import() -> None:
    """Ends a worker that imports a script which starts workers while it is imported.

    Raises:
        SystemExit: In such a worker. The process that started it explains the problem.
        RuntimeError: In such a process of another library.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):  # True while a new process imports the script
        return
    if process.name == NAME:
        sys.exit(UNGUARDED)
    raise RuntimeError(
        "A new process must not start processes while it imports its script. Received: a call of "
        "`crop` outside `if __name__ == '__main__':`. Move the call under it."
    )


def can_start_processes() -> bool:
    """Whether this process may start others; a worker of `multiprocessing.Pool` may not."""
    return not multiprocessing.current_process().daemon


def _received(connection: Connection, process: BaseProcess, job: Any) -> Any:
    try:
        failure, result = connection.recv()
    except (EOFError, OSError) as error:
        process.join()
        if process.exitcode == UNGUARDED:
            raise RuntimeError(
                "A script with a custom detector must call `crop` under "
                "`if __name__ == '__main__':`, because new processes import the script. "
                "Received: a call outside. Move the call, or use processes=0."
            ) from error
        raise RuntimeError(
            "A process of `crop` must not end before its jobs are done. Received: exit code "
            f"{process.exitcode} at {job}. If the memory was too small, use fewer processes, or "
            "processes=0."
        ) from error
    if failure:
        raise result
    return result


def _serve(connection: Connection, make: Callable, arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work: Callable | None = None
    # The connection breaks when the first process ends, even if it is killed.
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
    except Exception:  # an exception's class may need arguments that its pickle lacks
        return RuntimeError(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """Hides this process's script from `multiprocessing`, so that new processes skip it."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


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
