"""One bounded cache of opened models, runs and detectors, which all functions share.

Opening a model takes seconds. So functions that are called again with the same path find it open.
This is the only state that kerasface keeps between calls; `clear_cache` empties it.
"""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

# More than one task needs (a model, its embedder, a detector and the landmarks); small enough
# that large models do not fill the memory.
CAPACITY = 16


class FileKey(NamedTuple):
    """A file in a certain version: another size or time of modification is another key."""

    path: str
    modified: int
    size: int


class Cache:
    """A bounded cache that forgets the entry that was not used for the longest time.

    It is safe to use from several threads: a value is made once, and other threads that need it
    wait. Different values are made at the same time.

    Args:
        capacity: Largest number of entries, at least 1.

    Example:
        >>> cache = Cache(2)
        >>> [cache.get("a", list) is cache.get("a", list), len(cache)]
        [True, 1]
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._entries: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()
        self._clears = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns the entry of a key, which is made if it is missing.

        Args:
            key: As in `cached`.
            make: As in `cached`.
        """
        with self._lock:
            if key in self._entries:
                return self._found(key)
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._entries:  # another thread has made it in the meantime
                    return self._found(key)
                clears = self._clears
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                if clears == self._clears:
                    self._store(key, value)
            return value

    def clear(self) -> None:
        """Removes all entries."""
        with self._lock:
            self._entries.clear()
            self._clears += 1

    def _found(self, key: Hashable) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key]

    def _store(self, key: Hashable, value: object) -> None:
        files = {part.path for part in _file_keys(key)}
        # A file that was written again leaves no entries of its older versions.
        for other in [each for each in self._entries if each != key]:
            if any(
                part.path in files and part not in _file_keys(key) for part in _file_keys(other)
            ):
                del self._entries[other]
        self._entries[key] = value
        while len(self._entries) > self.capacity:
            self._entries.popitem(last=False)


def cached(key: Hashable, make: Callable[[], T]) -> T:
    """Returns what was made for a key before, or makes it.

    Args:
        key: Everything that the value depends on. It begins with a word for the kind of value, and
            a file is part of it as `file_key`: ``("model", file_key(path))``.
        make: Function without arguments that makes the value. It may use the cache for other
            keys. If it raises an error, nothing is kept.

    Returns:
        The value, shared with all other callers: nobody may change it.

    Example:
        >>> first = cached(("example", 1), list)
        >>> cached(("example", 1), list) is first
        True
    """
    return _CACHE.get(key, make)


def file_key(path: str | os.PathLike) -> FileKey:
    """Returns a key for a file's content, without reading it.

    Args:
        path: An existing file.

    Returns:
        Absolute path, time of modification in nanoseconds, and size in bytes.

    Raises:
        FileNotFoundError: If the file does not exist.

    Example:
        >>> file_key(__file__) == file_key(__file__)
        True
    """
    status = os.stat(path)
    return FileKey(os.path.abspath(path), status.st_mtime_ns, status.st_size)


def clear_cache() -> None:
    """Closes the models, runs and detectors that are kept open between calls.

    The next call opens them again. Models that you hold yourself stay as they are.

    Example:
        >>> clear_cache()
    """
    _CACHE.clear()


def _file_keys(key: Hashable) -> list[FileKey]:
    parts = key if isinstance(key, tuple) else (key,)
    if isinstance(key, FileKey):
        return [key]
    return [part for part in parts if isinstance(part, FileKey)]


_CACHE = Cache(CAPACITY)
