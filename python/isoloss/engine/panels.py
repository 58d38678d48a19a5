"""Sums and means over the rows of each panel, held as flat arrays and offsets. Private."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["means", "sums"]

F64 = NDArray[np.float64]


def sums(values: F64, offsets: NDArray[np.int64]) -> F64:
    """(B,) the sum of each panel's rows; zero where it has none.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.engine.panels import sums
    >>> sums(np.array([1.0, 2.0, 3.0]), np.array([0, 2, 2, 3]))
    array([3., 0., 3.])
    """
    some = np.diff(offsets) > 0
    total = np.zeros(len(some))
    if some.any():  # an empty panel ends where the next begins, so leaving it out moves no edge
        total[some] = np.add.reduceat(values, offsets[:-1][some])
    return total


def means(values: F64, offsets: NDArray[np.int64]) -> F64:
    """(B,) the mean of each panel's rows; zero where it has none."""
    return np.asarray(sums(values, offsets) / np.maximum(np.diff(offsets), 1))
