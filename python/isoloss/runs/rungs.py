"""Rungs of a ladder of scales: runs whose compute, or another value, nearly agrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_value"]

_SAME = 0.02  # decades: values closer than this belong to one rung


def by_value(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rungs of values that nearly agree."""
    logs = np.log10(values)
    order = np.argsort(logs, kind="stable")
    number = np.concatenate([[0], np.cumsum(np.diff(logs[order]) > _SAME)])
    rungs = np.empty(len(values), dtype=np.int64)
    rungs[order] = number
    # A chain of close values may have crept far: then it is no rung, and each step of 2 % of a decade is its own.
    spans = [np.ptp(logs[rungs == k]) for k in range(int(number[-1]) + 1)]
    if max(spans) > 5.0 * _SAME:
        _, rungs = np.unique(np.round(logs / _SAME), return_inverse=True)
    return np.asarray(rungs, dtype=np.int64)
