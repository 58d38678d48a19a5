"""What the results of a search take, before it begins. Private; see `isoloss.search`.

The grid itself is never written out; what grows is what is kept for each group, and for each cell where draws are
counted. The sizes are those of the arrays that are alive at once at the end, in the engine and in the result.
"""

from __future__ import annotations

import math

from isoloss import _core
from isoloss.engine.memory import require
from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.refine import moving_axes

__all__ = ["require_memory"]

_NUMBER = 8
_COUNT = 4
"""Bytes of a number, and of the count of draws of a cell."""


def require_memory(asked: Asked, threads: int) -> None:
    """Refuse a search whose results are more than memory holds; `threads` is 0 for those of the machine.

    Raises
    ------
    OutOfMemoryError
        Naming what is too large, and what to do.
    OptionError
        Code ``option``: more axes to refine along than can be.
    """
    groups = math.prod(len(asked.axes[k]) for k in asked.by)
    by = f"{groups:,} groups ({' x '.join(asked.names)})" if asked.by else "one group"
    each = _group(asked)
    listed = f" with {asked.top:,} least cells each" if asked.top else ""
    advice = [
        *(["name fewer axes in by="] if groups > 1 else []),
        *(["list fewer cells by a smaller top="] if asked.top > 1 else []),
        *(["leave out refine="] if asked.refine else []),
    ]
    require(groups * each, f"search: the results of {by}{listed}", ", or ".join(advice) or "no memory is left")
    if asked.drawn is None:
        return
    draws = len(next(iter(asked.draws.values())))
    threads = threads or int(str(_core.build_info()["threads"]))
    # best, cell, feasible, nonfinite, visited; best, count and columns as results.
    drawn = _NUMBER * (7 + _columns(asked)) + _near(asked, shape=False)
    what = f"search: the results of {by} under {draws:,} draws"
    fewer = "take fewer draws, or name fewer axes in by=" if groups > 1 else "take fewer draws"
    require(groups * (each + draws * drawn), what, fewer)
    if asked.within is not None:
        cells = math.prod(len(axis) for axis in asked.axes)
        what = f"search: the shares of draws of {cells:,} cells"
        # A tally of each thread and their sum, and the shares.
        size = cells * (_COUNT * (threads + 1) + _NUMBER)
        require(size, what, "take axes of fewer values, or leave out within=")


def _group(asked: Asked) -> int:
    """Bytes for each group."""
    columns = _columns(asked)
    # best, cell, feasible, nonfinite, visited; three of these copied as signed numbers.
    size = _NUMBER * (8 + columns) + asked.top * _NUMBER * (2 + columns) + _near(asked, shape=asked.shape)
    if asked.refine:
        moving = len(moving_axes(asked))
        # All points a step away, with their columns and values, are alive at once.
        size += (3**moving - 1) * _NUMBER * (2 * moving + columns + 2)
    return size


def _near(asked: Asked, *, shape: bool) -> int:
    """Bytes for the plateau of each group."""
    if asked.within is None:
        return 0
    m = len(asked.free)
    # known, count twice, first and last step, and box and extent of every column.
    size = 1 + 2 * _NUMBER + 2 * _COUNT * m + 3 * _NUMBER * sum(len(axis.names) for axis in asked.free)
    # volume, parts, sums of coordinates and of their products; means, covariances, directions and spreads.
    return size + (_NUMBER * (2 + 5 * m + 2 * m * m + m * (m + 1) // 2) if shape else 0)


def _columns(asked: Asked) -> int:
    return sum(len(axis.names) for axis in asked.axes)
