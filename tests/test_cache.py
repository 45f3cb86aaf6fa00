"""Tests of the cache of opened models."""

import os
import threading
import time

import pytest

import kerasface
from kerasface.cache import Cache, cached, file_key


def test_a_value_is_made_once():
    cache = Cache(2)
    value = cache.get("a", object)
    assert cache.get("a", object) is value
    assert cache.get("b", object) is not value


def test_the_entry_that_was_not_used_for_longest_is_forgotten():
    cache = Cache(2)
    first, second = cache.get("a", object), cache.get("b", object)
    assert cache.get("a", object) is first  # now "b" is the oldest
    cache.get("c", object)
    assert len(cache) == 2
    assert cache.get("a", object) is first
    assert cache.get("b", object) is not second


def test_errors_are_not_kept():
    cache = Cache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0)
    assert cache.get("a", lambda: 3) == 3


def test_values_may_need_each_other():
    cache = Cache(2)
    assert cache.get("sum", lambda: cache.get("one", lambda: 1) + 1) == 2
    assert cache.get("one", lambda: 9) == 1


def test_threads_wait_for_one_value_and_not_for_others():
    cache, made, started = Cache(4), [], threading.Event()

    def slow():
        started.set()
        time.sleep(0.2)
        made.append(1)
        return object()

    found = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("a", slow))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(5)
    assert cache.get("b", lambda: 3) == 3
    assert not made  # "b" was made while "a" was not ready
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(map(id, found))) == 1


def test_clear_during_making_keeps_nothing():
    cache = Cache(2)

    def make():
        cache.clear()
        return 1

    assert cache.get("a", make) == 1
    assert len(cache) == 0


def test_a_file_that_is_written_again_replaces_its_older_version(tmp_path):
    path, other = tmp_path / "a", tmp_path / "b"
    for file in (path, other):
        file.write_text("1")
    cache = Cache(4)
    cache.get(("model", file_key(other)), object)
    value = cache.get(("model", file_key(path)), object)
    assert cache.get(("model", file_key(path)), object) is value
    cache.get(("embedder", file_key(path)), object)
    assert len(cache) == 3
    path.write_text("22")
    assert cache.get(("model", file_key(path)), object) is not value
    assert len(cache) == 2
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert cache.get(("model", file_key(path)), object) is not value


def test_key_of_a_file_does_not_depend_on_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("1")
    monkeypatch.chdir(tmp_path)
    assert file_key("a") == file_key(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        file_key("b")


def test_clear_cache_empties_the_shared_cache():
    value = cached(("test of the cache",), object)
    assert cached(("test of the cache",), object) is value
    kerasface.clear_cache()
    assert cached(("test of the cache",), object) is not value
