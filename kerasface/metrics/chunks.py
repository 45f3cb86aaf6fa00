"""Large arrays in chunks, so that temporary copies stay small."""

from __future__ import annotations

from collections.abc import Iterator

CHUNK = 2**24  # numbers


def chunks(length: int, width: int) -> Iterator[slice]:
    """Divides the rows of an array into slices of at most `CHUNK` numbers.

    Args:
        length: Number of rows.
        width: Numbers per row, at least 1.

    Yields:
        Slices that cover ``range(length)`` in order; a slice has at least one row.

    Example:
        >>> list(chunks(3, 2**23))
        [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, CHUNK // width)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))
