"""Tests of jobs in several processes: real processes, which import nothing heavy."""

import os
import signal
import subprocess
import sys
import time

import pytest

PREAMBLE = """
import os, signal, sys, time
from kerasface.faces.workers import spawned

def doubler(log):
    open(log, "a").write(f"{os.getpid()}\\n")
    return lambda job: job * 2

def sleeper(log):
    open(log, "a").write(f"{os.getpid()}\\n")
    return lambda job: time.sleep(job)

def failing(log):
    def work(job):
        raise ValueError(f"job {job} is not wanted")
    return work

def dying(log):
    return lambda job: os._exit(7)
"""


def script(tmp_path, body, **options):
    path = tmp_path / "script.py"
    path.write_text(f"{PREAMBLE}\n{body}")
    return subprocess.Popen(
        [sys.executable, path, tmp_path / "log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(tmp_path, body):
    with script(tmp_path, body) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended; only nobody has asked yet.
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def started(tmp_path, count):
    log = tmp_path / "log"
    wait_for(lambda: log.exists() and len(log.read_text().split()) == count)
    return [int(word) for word in log.read_text().split()]


def test_all_jobs_are_done_in_other_processes(tmp_path):
    code, out, err = finished(
        tmp_path,
        "if __name__ == '__main__':\n"
        "    print(sorted(spawned(doubler, (sys.argv[1],), list(range(9)), 2)), os.getpid())",
    )
    assert (code, err) == (0, "")
    *numbers, pid = out.replace("[", "").replace("]", "").replace(",", "").split()
    assert [int(number) for number in numbers] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    workers = (tmp_path / "log").read_text().split()
    assert len(set(workers)) == 2
    assert pid not in workers


def test_no_more_processes_than_jobs_and_none_without(tmp_path):
    code, out, err = finished(
        tmp_path,
        "if __name__ == '__main__':\n"
        "    print(list(spawned(doubler, (sys.argv[1],), [], 3)))\n"
        "    print(list(spawned(doubler, (sys.argv[1],), [4], 3)))",
    )
    assert (code, out.split(), err) == (0, ["[]", "[8]"], "")
    assert len((tmp_path / "log").read_text().split()) == 1


def test_exception_of_a_job_is_raised(tmp_path):
    code, out, err = finished(
        tmp_path,
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        list(spawned(failing, (sys.argv[1],), [3], 1))\n"
        "    except ValueError as error:\n"
        "        print(error)",
    )
    assert (code, out, err) == (0, "job 3 is not wanted\n", "")


def test_dead_process_raises(tmp_path):
    code, out, _ = finished(
        tmp_path,
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        list(spawned(dying, (sys.argv[1],), [3, 4], 1))\n"
        "    except RuntimeError as error:\n"
        "        print(error)",
    )
    assert code == 0
    assert "exit code 7" in out and "fewer processes" in out


def test_unguarded_script_with_functions_of_its_own_raises(tmp_path):
    code, _, err = finished(tmp_path, "list(spawned(doubler, (sys.argv[1],), [3], 1))")
    assert code == 1
    assert "`if __name__ == '__main__':`" in err.strip().splitlines()[-1]
    assert err.count("Traceback") == 2  # of one process: the cause, and the error


def test_unguarded_process_of_another_library_raises(tmp_path):
    body = (
        "import multiprocessing\n"
        "process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "if __name__ == '__mp_main__':\n    list(spawned(doubler, (0,), [3], 1))\n"
        "process.start(); process.join()"
    )
    _, out, err = finished(tmp_path, body)
    assert out == ""
    assert "RuntimeError: A new process must not start processes while it imports" in err


IMPORTED = """
import pathlib
def lengths(log):
    return len
"""
UNGUARDED = """
import sys
sys.path.insert(0, {folder!r})
import own_jobs
from kerasface.faces.workers import spawned
print("imported")
print(sorted(spawned(own_jobs.lengths, (0,), ["a", "bcd"], 2)))
"""


@pytest.mark.parametrize("way", ["script", "standard input"])
def test_functions_of_a_module_need_no_guard(tmp_path, way, monkeypatch):
    (tmp_path / "own_jobs.py").write_text(IMPORTED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    code = UNGUARDED.format(folder=str(tmp_path))
    (tmp_path / "script.py").write_text(code)
    words, text = (["-"], code) if way == "standard input" else ([tmp_path / "script.py"], None)
    done = subprocess.run(
        [sys.executable, *words], input=text, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == ["imported", "[1, 3]", ""]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_processes_end_with_the_first_one(tmp_path, name):
    number = getattr(signal, name)
    # Tests that run in the background of a shell ignore SIGINT.
    body = (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "if __name__ == '__main__':\n    list(spawned(sleeper, (sys.argv[1],), [1.5] * 20, 2))"
    )
    with script(tmp_path, body, start_new_session=True) as process:
        pids = started(tmp_path, 2)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to all of them
        else:
            process.kill()
        _, err = process.communicate(timeout=60)
    wait_for(lambda: not any(is_alive(pid) for pid in pids))
    # One traceback at most, that of the first process.
    assert err.count("KeyboardInterrupt") == (number == signal.SIGINT)


def test_processes_end_if_the_caller_stops_early(tmp_path):
    code, out, err = finished(
        tmp_path,
        "if __name__ == '__main__':\n"
        "    start = time.monotonic()\n"
        "    for result in spawned(sleeper, (sys.argv[1],), [0] + [600] * 3, 1):\n"
        "        break\n"
        "    del result\n"
        "    print('stopped')",
    )
    assert (code, out, err) == (0, "stopped\n", "")
