r"""The best point between cells, and how far the best cell is from it. Private; see `isoloss.search`.

Around the best cell of each group lies a box that reaches to its neighbours. In it the least value is found by
comparing a point with all points a step away along any of the ordered axes, moving to the best of them, and halving the
step when none is better, until the step is 2^-30 of that of the grid: derivatives are not needed, and all groups move
at once.

How much lower the value can be anywhere in the box is *proven*, for any expression: by interval arithmetic over parts
of the box, with slopes over each part from exact derivatives, in ever smaller parts until the bound is close to what
was found (branch and bound; E. Hansen and G. W. Walster, *Global Optimization Using Interval Analysis*, 2nd ed. 2004).
Nothing is assumed of the shape. Where the parts run out first the bound is wider than need be, but holds; an expression
of which intervals know nothing (a root, a sum over a table) has no bound, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.watch import Watch
from isoloss.errors import OptionError
from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.make import item
from isoloss.gridsearch.names import Definition
from isoloss.gridsearch.parts import show
from isoloss.gridsearch.result import Search

__all__ = ["Refined", "moving_axes", "refine"]

F64 = NDArray[np.float64]
_HALVINGS = 30
_MOST_AXES = 6
_PARTS = 400_000
"""Parts of boxes that are looked at for the bounds of all groups together."""
_MOST_PARTS, _LEAST_PARTS = 20_000, 100
"""Most and fewest parts for one group."""
_CLOSE = 0.01
"""A bound is close enough within this share of the gap, or ..."""
_EXACT = 1e-10
"""... within this share of the value."""


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
        No point of the box that fulfils the condition has a value more than this below that of the best cell: proven,
        whatever the expression. Infinite where nothing can be proven.
    step : mapping of str to float
        The widest step of each ordered axis, in octaves where its values are above zero.
    """

    best: Any
    at: Mapping[str, Any]
    gap: Any
    bound: Any
    step: Mapping[str, float]

    def lines(self) -> list[str]:
        """For a terminal; of a search without groups."""
        if np.ndim(self.best):
            gap, bound = np.nanmax(self.gap, initial=0.0), np.nanmax(self.bound, initial=0.0)
            return [f"between cells up to {gap:.2g} less, {_proven(bound)}"]
        if not np.isfinite(self.best):
            return []
        at = ", ".join(f"{name} {show(name, value)}" for name, value in self.at.items())
        return [f"between cells {self.best:.9g} at {at}: {self.gap:.2g} less, {_proven(self.bound)}"]

    def __repr__(self) -> str:
        return f"Refined(gap={np.max(self.gap):.2g})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def _proven(bound: float) -> str:
    return f"proven at most {bound:.2g}" if np.isfinite(bound) else "no bound is proven"


def moving_axes(asked: Asked) -> list[Axis]:
    """The axes along which to look: ordered ones that are no groups.

    Raises
    ------
    OptionError
        Code ``option``: more than can be looked along at once.
    """
    moving = [axis for axis in asked.free if axis.ordered and len(axis) > 1]
    if len(moving) > _MOST_AXES:
        message = f"refine looks along at most {_MOST_AXES} axes at once; there are {len(moving)}"
        raise OptionError(message, argument="refine")
    return moving


def refine(search: Search, asked: Asked, watch: Watch) -> Refined:
    """Look between the cells around the best one of each group."""
    moving = moving_axes(asked)
    shape = np.shape(search.best)
    still = {name: np.ravel(values) for name, values in search.argbest.items()}
    found = np.isfinite(np.ravel(search.best))
    evaluate = _evaluator(asked.definitions, asked.minimize, asked.condition)

    start, low, high, step = _boxes(moving, still)
    ends = _ends(moving, still)

    def place(x: F64, j: int) -> F64:
        """(g, ...) values of an axis at coordinates: those of the cell and of its neighbours to the bit."""
        lead = (-1,) + (1,) * (x.ndim - 1)
        at, least, most = (column.reshape(lead) for column in (still[moving[j].name], *ends[moving[j].name]))
        here = np.clip(np.exp2(x), least, most) if moving[j].unit == "octaves" else x
        return np.where(x == start[:, j].reshape(lead), at, here)

    def value(x: F64) -> F64:
        """(g, k) values at coordinates (g, k, m); infinite where a point does not count."""
        k = x.shape[1]
        columns = {name: np.repeat(values, k) for name, values in still.items() if values.dtype.kind == "f"}
        for j, axis in enumerate(moving):
            columns[axis.name] = place(x[:, :, j], j).ravel()
        return evaluate(columns).reshape(x.shape[:2])

    x, least = start.copy(), np.where(found, np.ravel(search.best), np.inf)
    turns = np.array([turn for turn in product((-1.0, 0.0, 1.0), repeat=len(moving)) if any(turn)])
    if len(turns):
        x, least = _descend(value, x, least, low, high, step, turns)
    best = np.where(found, least, np.nan)
    gap = np.ravel(search.best) - best
    at = dict(still)
    for j, axis in enumerate(moving):
        at[axis.name] = place(x[:, j], j)
    bound = np.ravel(search.best) - _least(asked, ends, still, best, gap, watch)
    return Refined(
        best=item(best.reshape(shape)),
        at={name: item(np.asarray(values).reshape(shape)) for name, values in at.items()},
        gap=item(gap.reshape(shape)),
        bound=item(np.where(found, np.maximum(bound, gap), np.nan).reshape(shape)),
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


def _ends(moving: Sequence[Axis], still: Mapping[str, Any]) -> dict[str, tuple[F64, F64]]:
    """(g,) least and largest value of each axis in the boxes: those of the neighbours of the best cells."""
    made = {}
    for axis in moving:
        values = np.sort(axis.columns[axis.name])
        at = np.searchsorted(values, np.nan_to_num(still[axis.name], nan=values[0])).clip(0, len(values) - 1)
        made[axis.name] = (values[np.maximum(at - 1, 0)], values[np.minimum(at + 1, len(values) - 1)])
    return made


def _least(
    asked: Asked, ends: Mapping[str, tuple[F64, F64]], still: Mapping[str, Any], best: F64, gap: F64, watch: Watch
) -> F64:
    """For each group a number that no point of its box is below; minus infinity where none is proven."""
    names = [name for name, values in still.items() if values.dtype.kind == "f"]
    low = np.column_stack([ends[name][0] if name in ends else still[name] for name in names])
    high = np.column_stack([ends[name][1] if name in ends else still[name] for name in names])
    close = np.maximum(_CLOSE * gap, _EXACT * np.abs(best))
    most = min(max(_PARTS // max(len(best), 1), _LEAST_PARTS), _MOST_PARTS)
    return _core.search_between(
        asked.definitions,
        asked.minimize,
        names,
        low,
        high,
        best,
        np.nan_to_num(close),
        condition=asked.condition,
        most=most,
        threads=watch.threads,
    )


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
