r"""The best point between cells, and how far the best cell is from it. See `isoloss.search`.

Around the best cell of each group lies a box that reaches to its neighbours. In it the least value is found by
comparing a point with all points a step away along any of the ordered axes, moving to the best of them, and halving the
step when none is better, until the step is 2^-30 of that of the grid: derivatives are not needed, and all groups move
at once.

If the value is convex in the coordinates of the axes (log2 where these are above zero), the slopes on either side of
the point found bound the value in the whole box: f(y) >= f(x) - sum_i max(0, -s_i^+ r_i^+, s_i^- r_i^-), where s_i^+
and s_i^- are the slopes to the points a little above and below x along axis i and r_i the ways to the ends of the box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.errors import OptionError
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.make import item
from isoloss.gridsearch.names import Definition
from isoloss.gridsearch.result import Search, show

__all__ = ["Refined", "refine"]

F64 = NDArray[np.float64]
_HALVINGS = 30
_NEAR = 2.0**-10
"""How far from the point found its slopes are taken, as a share of the grid's step."""
_MOST_AXES = 6


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Refined:
    """The least value between cells, in the box around the best cell of each group; arrays of the shape of `by`.

    Attributes
    ----------
    best : float or array
        Never above the best of the cells.
    at : mapping of str to float or array
        Every column there; tables and groups stay where they are.
    gap : float or array
        How much the best cell is above `best`.
    bound : float or array
        How much the best cell can be above any point of the box, if the value is convex in it; `gap` and a margin.
    convex : bool or array
        Whether the values at the neighbours of the best cell are those of a convex function: no such test proves it.
    step : mapping of str to float
        The widest step of each ordered axis, in octaves where its values are above zero.
    """

    best: Any
    at: Mapping[str, Any]
    gap: Any
    bound: Any
    convex: Any
    step: Mapping[str, float]

    def lines(self) -> list[str]:
        """For a terminal; of a search without groups."""
        if np.ndim(self.best):
            gap = np.asarray(self.gap)
            return [f"between cells at most {np.nanmax(gap, initial=0.0):.2g} less"]
        at = ", ".join(f"{name} {show(name, value)}" for name, value in self.at.items())
        known = f", at most {self.bound:.2g} if convex" if self.convex else ""
        return [f"between cells {self.best:.9g} at {at}: {self.gap:.2g} less{known}"]

    def __repr__(self) -> str:
        return f"Refined(gap={np.max(self.gap):.2g})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def refine(search: Search, definitions: Sequence[Definition], minimize: str, condition: str | None) -> Refined:
    """Look between the cells around the best one of each group."""
    moving = [axis for axis in search.axes if axis.name not in search.by and axis.ordered and len(axis) > 1]
    if len(moving) > _MOST_AXES:
        message = f"refine looks along at most {_MOST_AXES} axes at once; there are {len(moving)}"
        raise OptionError(message, argument="refine")
    shape = np.shape(search.best)
    still = {name: np.ravel(values) for name, values in search.argbest.items()}
    found = np.isfinite(np.ravel(search.best))
    evaluate = _evaluator(definitions, minimize, condition)

    def value(x: F64) -> F64:
        """(g, k) values at coordinates (g, k, m); infinite where a point does not count."""
        k = x.shape[1]
        columns = {name: np.repeat(values, k) for name, values in still.items() if values.dtype.kind == "f"}
        for j, axis in enumerate(moving):
            columns[axis.name] = (np.exp2(x[:, :, j]) if axis.unit == "octaves" else x[:, :, j]).ravel()
        return evaluate(columns).reshape(x.shape[:2])

    start, low, high, step = _boxes(moving, still)
    x, least = start.copy(), np.where(found, np.ravel(search.best), np.inf)
    turns = np.array([turn for turn in product((-1.0, 0.0, 1.0), repeat=len(moving)) if any(turn)])
    convex = _looks_convex(value, start, low, high, turns, least)
    if len(turns):
        x, least = _descend(value, x, least, low, high, step, turns)
    margin = _margin(value, x, least, low, high, step) if len(turns) else np.zeros(len(x))
    best = np.where(found, least, np.nan)
    gap = np.ravel(search.best) - best
    at = dict(still)
    for j, axis in enumerate(moving):
        here = np.exp2(x[:, j]) if axis.unit == "octaves" else x[:, j]
        # A point that has not moved is the cell itself, to the bit.
        at[axis.name] = np.where(x[:, j] == start[:, j], still[axis.name], here)
    return Refined(
        best=item(best.reshape(shape)),
        at={name: item(np.asarray(values).reshape(shape)) for name, values in at.items()},
        gap=item(gap.reshape(shape)),
        bound=item((gap + margin).reshape(shape)),
        convex=item((convex & found).reshape(shape)),
        step={axis.name: axis.step for axis in moving},
    )


def _boxes(moving: Sequence[Axis], still: Mapping[str, Any]) -> tuple[F64, F64, F64, F64]:
    """(g, m) coordinates of the best cells, of their boxes' ends, and half the steps around them."""
    groups = len(next(iter(still.values())))
    start, low, high, step = (np.zeros((groups, len(moving))) for _ in range(4))
    for j, axis in enumerate(moving):
        x = axis.coordinate
        order = np.argsort(x)
        values = axis.columns[axis.name][order]
        at = np.searchsorted(values, np.nan_to_num(still[axis.name], nan=values[0])).clip(0, len(values) - 1)
        place = x[order]
        start[:, j] = place[at]
        low[:, j] = place[np.maximum(at - 1, 0)]
        high[:, j] = place[np.minimum(at + 1, len(values) - 1)]
        step[:, j] = 0.5 * np.maximum(high[:, j] - start[:, j], start[:, j] - low[:, j])
    return start, low, high, step


def _descend(
    value: Callable[[F64], F64], x: F64, least: F64, low: F64, high: F64, step: F64, turns: F64
) -> tuple[F64, F64]:
    rows = np.arange(len(x))
    finest = step * 2.0**-_HALVINGS
    for _ in range(8 * _HALVINGS):
        if np.all(step <= finest):
            break
        around = np.clip(x[:, None, :] + turns * step[:, None, :], low[:, None, :], high[:, None, :])
        values = value(around)
        best = np.argmin(values, axis=1)
        better = values[rows, best] < least
        x = np.where(better[:, None], around[rows, best], x)
        least = np.where(better, values[rows, best], least)
        step = np.where(better[:, None], step, 0.5 * step)
    return x, least


def _margin(value: Callable[[F64], F64], x: F64, least: F64, low: F64, high: F64, step: F64) -> F64:
    """How much lower than at x a convex function can be anywhere in the box, by its slopes on either side of x."""
    total = np.zeros(len(x))
    for j in range(x.shape[1]):
        near = np.zeros(x.shape[1])
        near[j] = 2.0 * _NEAR
        above = np.minimum(x + near * step, high)
        below = np.maximum(x - near * step, low)
        with np.errstate(divide="ignore", invalid="ignore"):
            values = value(np.stack([above, below], axis=1))
            rise = (values[:, 0] - least) / (above - x)[:, j]
            fall = (least - values[:, 1]) / (x - below)[:, j]
        up = np.where(above[:, j] > x[:, j], -rise * (high - x)[:, j], 0.0)
        down = np.where(below[:, j] < x[:, j], fall * (x - low)[:, j], 0.0)
        total += np.maximum(0.0, np.maximum(np.nan_to_num(up, posinf=np.inf), np.nan_to_num(down, posinf=np.inf)))
    return total


def _looks_convex(
    value: Callable[[F64], F64], start: F64, low: F64, high: F64, turns: F64, least: F64
) -> NDArray[np.bool_]:
    """Whether the mean of the values on opposite sides is nowhere below the value between them."""
    convex = np.ones(len(start), dtype=np.bool_)
    reach = np.minimum(high - start, start - low)
    for turn in turns[: len(turns) // 2]:
        sides = np.stack([start + turn * reach, start - turn * reach], axis=1)
        values = value(sides)
        with np.errstate(invalid="ignore"):  # infinite where no cell counts
            convex &= ~(0.5 * (values[:, 0] + values[:, 1]) < least - 1e-14 * np.abs(least))
    return convex


def _evaluator(
    definitions: Sequence[Definition], minimize: str, condition: str | None
) -> Callable[[Mapping[str, F64]], F64]:
    """A function of columns: the value, infinite where it is not finite or the condition does not hold."""

    def one(text: str, constants: Mapping[str, float], known: Mapping[str, F64]) -> F64:
        names = [name for name in known if name not in constants]
        expression = _core.Expression(text, variables=names, constants=dict(constants))
        size = len(next(iter(known.values())))
        columns = [np.ascontiguousarray(known[name]) for name in expression.variables]
        values = expression.evaluate(columns, np.empty((1, 0)))[0]
        return values if columns else np.full(size, values[0])

    def evaluate(columns: Mapping[str, F64]) -> F64:
        known = dict(columns)
        for name, text, constants, _ in definitions:
            known[name] = one(text, constants, known)
        values = one(minimize, {}, known)
        counts = np.isfinite(values)
        if condition is not None:
            counts &= one(condition, {}, known) != 0.0
        return np.where(counts, values, np.inf)

    return evaluate
