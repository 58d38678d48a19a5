r"""Sums over the steps of a schedule with a handful of points instead of tens of thousands.

The Multi-Power law needs, for the loss at step t, a sum over all steps up to it,

.. math:: \sum_{k \le t} d_k\, g\bigl(\eta_k,\; P_t - P_{k-1}\bigr), \qquad P_k = \sum_{i \le k} \eta_i,

with a g that is smooth in :math:`\ln \eta` and in the area behind it, but changes quickly when that area is small. The
drops are a measure on the axis of P. As in a tree code for gravity (Barnes and Hut 1986), blocks of 4, 8, 16, ... steps
are made once per schedule, and each holds its drops as a two-point Gauss rule: weights, places and :math:`\ln \eta`
that keep the moments 0 to 3 of P and the moments 0 and 1 of :math:`\ln \eta` against P. A block's rule follows from
those of its halves, so all of them take O(T). A row then reads large blocks far behind it, smaller ones close by, and
the last few steps one by one: O(log T) points. Rises and falls are two measures, each with weights of one sign.

Where :math:`\ln \eta` is no straight line of P within a block (a jump, a fall to zero), the block is read as its
halves. The measured error of the loss is below 1e-6 of it; `tests/test_stepsums.py` holds us to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoloss.curves.schedule import Schedule

__all__ = ["Points", "drop_points", "floored"]

F64 = NDArray[np.float64]
Int = NDArray[np.int64]
_LEAF = 4  # steps in the smallest block
_REACH = 1.0  # a block is read whole from so many of its own sizes (in area) behind the row
_BEND = 1e-3  # mean squared bend of the logarithm of the learning rate that a block may have, for a drop of the peak
_NOISE = 1e-13  # drops below this share of the peak are rounding
_ZERO = 1e-9  # share of the peak that stands for a learning rate of zero, whose logarithm is needed


@dataclass(frozen=True, slots=True)
class Points:
    """Points of the sums of several rows: row r owns ``offsets[r]:offsets[r + 1]``.

    ``drop`` is the weight, ``lr`` the learning rate after the drop, ``S`` the area before it.
    """

    drop: F64
    lr: F64
    S: F64
    offsets: Int


def floored(schedule: Schedule) -> F64:
    """Learning rates with a tiny one in the place of zero, so that logarithms exist."""
    return np.maximum(schedule.values, _ZERO * schedule.peak)


def drop_points(schedule: Schedule, steps: Int) -> Points:
    """Points of the sums over drops up to each of some steps.

    Parameters
    ----------
    schedule : Schedule
    steps : (n,) int64
        From 1 to T, in any order.
    """
    lr = floored(schedule)
    area = np.cumsum(lr) - lr[0]
    drops = np.concatenate([[0.0], lr[:-1] - lr[1:]])
    drops[np.abs(drops) <= _NOISE * schedule.peak] = 0.0
    before = np.concatenate([[0.0], area[:-1]])
    parts, logs = [], np.log(lr)
    for sign in (1.0, -1.0):
        weight = np.maximum(sign * drops, 0.0)
        if weight.any():
            last = int(np.flatnonzero(weight)[-1]) + 1
            parts.append((sign, _Tree.of(weight[:last], before[:last], logs[:last], schedule.peak), last))
    found = [
        (sign, tree, *tree.read(np.minimum(steps, last - 1), area[steps], before[:last], area[:last]))
        for sign, tree, last in parts
    ]
    counts = [np.diff(ends) for *_, ends in found]
    offsets = np.concatenate([[0], np.cumsum(np.sum(counts, axis=0) if counts else np.zeros(len(steps)))])
    offsets = offsets.astype(np.int64)
    columns = [np.empty(offsets[-1]) for _ in range(3)]
    filled = offsets[:-1].copy()
    for (sign, tree, at, ends), count in zip(found, counts, strict=True):
        place = np.repeat(filled - ends[:-1], count) + np.arange(len(at))
        columns[0][place] = sign * tree.weight[at]
        columns[1][place] = np.exp(tree.log_lr[at])
        columns[2][place] = tree.place[at]
        filled += count
    return Points(drop=columns[0], lr=columns[1], S=columns[2], offsets=offsets)


@dataclass(frozen=True, slots=True)
class _Tree:
    """All blocks of one measure, flat: what level j stands for in block b is starts[j][b]:starts[j][b + 1].

    The single steps come first, then the levels from small blocks to large ones.
    """

    weight: F64
    place: F64
    log_lr: F64
    steps: Int
    """(T + 2,) number of points of the single steps before each step."""
    starts: list[Int]

    @classmethod
    def of(cls, weight: F64, place: F64, log_lr: F64, scale: float) -> _Tree:
        single = np.flatnonzero(weight)
        steps = np.concatenate([[0], np.cumsum(weight > 0.0)])
        tables = [np.stack([weight[single], place[single], log_lr[single]])]
        blocks = -(-len(weight) // _LEAF)
        padded = np.zeros((3, blocks * _LEAF))
        padded[:, : len(weight)] = weight, place, log_lr
        # Points of a block along the second axis, blocks along the last: sums over points are then sums of long rows.
        nodes = np.ascontiguousarray(padded.reshape(3, blocks, _LEAF).transpose(0, 2, 1))
        good = np.ones(blocks, dtype=np.bool_)
        # Where the points lie that stand for each half of a block: first the single steps.
        low = steps[np.minimum(np.arange(0, blocks * _LEAF, _LEAF), len(weight))]
        high = steps[np.minimum(np.arange(_LEAF, blocks * _LEAF + 1, _LEAF), len(weight))]
        starts, size = [], len(single)
        while True:
            nodes, fits = _gauss(nodes, scale)
            good &= fits | (high - low <= 2)
            count = np.where(good, np.count_nonzero(nodes[0], axis=0), high - low)
            start = np.concatenate([[0], np.cumsum(count)])
            table = np.empty((3, start[-1]))
            _scatter(table, start, nodes[:, :, good], good)
            _copy(table, start, tables[-1], low - (size - tables[-1].shape[1]), good, count)
            tables.append(table)
            starts.append(start + size)
            size += table.shape[1]
            if len(good) == 1:
                break
            if len(good) % 2:
                nodes = np.concatenate([nodes, np.zeros((3, 2, 1))], axis=2)
                good = np.append(good, True)
                starts[-1] = np.append(starts[-1], starts[-1][-1])
            low, high = starts[-1][:-1:2], starts[-1][2::2]
            nodes = np.concatenate([nodes[:, :, ::2], nodes[:, :, 1::2]], axis=1)
            good = good[::2] & good[1::2]
        joined = np.concatenate(tables, axis=1)
        return cls(joined[0], joined[1], joined[2], steps, starts)

    def read(self, rows: Int, reached: F64, before: F64, area: F64) -> tuple[Int, Int]:
        """Indices of the points of each row, and where each row's begin among them."""
        last = len(before)  # one past the last step
        ranges: list[tuple[Int, Int]] = []
        covered = np.zeros(len(rows), dtype=np.int64)  # steps read so far, from the first
        for level in reversed(range(len(self.starts))):
            size = _LEAF << level
            edges = np.minimum(np.arange(0, last + size, size), last)
            edges = edges[: len(self.starts[level])]
            left, right = before[np.minimum(edges[:-1], last - 1)], area[np.minimum(edges[1:], last) - 1]
            # A block may be read whole by rows that have come this far; never before its own end.
            key = np.maximum.accumulate(right + _REACH * (right - left))
            whole = np.searchsorted(key, reached, side="right")
            # Only blocks that lie before the row; past the last step of the measure that is all of them.
            whole = np.minimum(whole, np.where(rows == last - 1, len(key), (rows + 1) // size))
            begin = -(-covered // size)  # the last block of a level may be cut short
            end = np.maximum(begin, whole)
            ranges.append((self.starts[level][begin], self.starts[level][end]))
            covered = np.maximum(covered, np.minimum(end * size, last))
        covered = np.minimum(covered, rows + 1)
        ranges.append((self.steps[covered], self.steps[rows + 1]))
        counts = np.stack([high - low for low, high in ranges], axis=1)
        ends = np.concatenate([[0], np.cumsum(counts.sum(axis=1))]).astype(np.int64)
        first = np.stack([low for low, _ in ranges], axis=1).ravel()
        flat = counts.ravel()
        shift = first - (np.cumsum(flat) - flat)
        return np.repeat(shift, flat) + np.arange(ends[-1]), ends


def _gauss(nodes: F64, scale: float) -> tuple[F64, NDArray[np.bool_]]:
    """Two-point rules for blocks of points (3, points, blocks), and whether each is good enough."""
    weight, place, log_lr = nodes
    total = weight.sum(axis=0)
    some = total > 0.0
    share = weight / np.where(some, total, 1.0)
    middle = (share * place).sum(axis=0)
    off = place - middle
    first = share * off
    second = (first * off).sum(axis=0)
    third = (first * off * off).sum(axis=0)
    # Points that coincide up to rounding are one.
    spread = second > 1e-24 * np.maximum(middle * middle, 1e-300)
    variance = np.where(spread, second, 1.0)
    half = 0.5 * third / variance
    reach = np.sqrt(half * half + variance)
    low, high = half - reach, half + reach
    part = np.where(spread, high / (high - low), 1.0)
    mean = (share * log_lr).sum(axis=0)
    lean = log_lr - mean
    slope = np.where(spread, (first * lean).sum(axis=0) / variance, 0.0)
    bend = (weight * (lean - slope * off) ** 2).sum(axis=0)
    made = np.empty((3, 2, len(total)))
    made[0] = total * part, np.where(spread, total * (1.0 - part), 0.0)
    made[1] = np.where(spread, low, 0.0), np.where(spread, high, 0.0)
    made[2] = mean + slope * made[1]
    made[1] += middle
    made[:, :, ~some] = 0.0
    return made, ~some | (bend <= _BEND * scale)


def _scatter(table: F64, start: Int, own: F64, good: NDArray[np.bool_]) -> None:
    """Write the rules of the good blocks to their places."""
    used = own[0] != 0.0
    place = start[:-1][good] + np.cumsum(used, axis=0) - 1
    table[:, place[used]] = own[:, used]


def _copy(table: F64, start: Int, below: F64, low: Int, good: NDArray[np.bool_], count: Int) -> None:
    """Write what stands for the halves of the other blocks."""
    these = np.flatnonzero(~good)
    sizes = count[these]
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    table[:, np.repeat(start[these], sizes) + within] = below[:, np.repeat(low[these], sizes) + within]
