"""A search under every draw: how sure the best and the plateau are. See `isoloss.search`.

Every draw of the parameters is one more axis, along which the parameters move together. Each draw has its own best cell
and its own plateau; over the draws these give intervals of the best, and for each cell the share of draws under which
it lies on the plateau.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import level_between
from isoloss.engine.watch import Watch
from isoloss.errors import OptionError
from isoloss.gridsearch.args import run
from isoloss.gridsearch.asked import Asked
from isoloss.gridsearch.grids import Axis
from isoloss.gridsearch.make import columns_at, item
from isoloss.gridsearch.parts import show

__all__ = ["SearchDraws", "make_draws", "run_draws"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SearchDraws:
    """What a search finds under each of m draws; arrays of shape (m, ...) with the dimensions of `by` behind.

    Attributes
    ----------
    best : (m, ...) float64
        The least value under each draw; NaN where no cell counts, and where an interrupt came first.
    argbest : mapping of str to (m, ...) arrays
        Where it is, by column of the axes that are no groups.
    count : (m, ...) int64
        Cells within the tolerance of the draw's own best, else the cells that count; -1 where an interrupt came first.
    probability : float64 array or None
        Share of the draws under which each cell lies on the plateau; of the shape of `by` and then of the other axes,
        in their order. None without a tolerance, and where an interrupt came before it could be told. After an
        interrupt it is the share of the draws that were finished.
    found : mapping
        What the engine gave, from which the rest is made.
    """

    best: F64
    argbest: Mapping[str, NDArray[Any]]
    count: NDArray[np.int64]
    probability: F64 | None
    found: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.best)

    def quantile(self, q: float | Sequence[float]) -> dict[str, Any]:
        """Quantiles over the draws.

        Parameters
        ----------
        q : float or sequence of float
            Between 0 and 1.

        Returns
        -------
        dict of str to float or array
            ``best`` and each column of numbers at the best cell, the dimension of `q` first. Draws without a best are
            left out; NaN where none has one.

        Raises
        ------
        OptionError
            Code ``option``: a share outside of [0, 1].
        """
        shares = np.asarray(q, dtype=np.float64)
        if not bool(np.all((shares >= 0.0) & (shares <= 1.0))):
            raise OptionError(f"q={q!r} is not between 0 and 1", argument="q")
        columns = {"best": self.best} | {name: v for name, v in self.argbest.items() if v.dtype.kind == "f"}
        return {name: item(_quantile(values, shares)) for name, values in columns.items()}

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[Any, Any]]:
        """Percentile intervals of ``best`` and of each column at the best cell.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        dict of str to (low, high)
        """
        level = level_between(level)
        sides = self.quantile([0.5 * (1.0 - level), 0.5 * (1.0 + level)])
        return {name: (item(np.asarray(v[0])), item(np.asarray(v[1]))) for name, v in sides.items()}

    def lines(self, level: float = 0.95) -> list[str]:
        """For a terminal; of a search without groups."""
        if self.best.ndim > 1:
            return [f"{len(self):,} draws for each group"]
        sides = self.conf_int(level).items()
        shown = [f"{name} {show(name, low)} .. {show(name, high)}" for name, (low, high) in sides]
        lines = [f"{100 * level:g} % of {len(self):,} draws: {', '.join(shown)}"]
        if self.probability is not None:
            sure = int(np.count_nonzero(self.probability >= level))
            most = float(self.probability.max(initial=0.0))
            lines.append(
                f"{sure:,} cells are on the plateau of {100 * level:g} % of the draws, the surest of {100 * most:.3g} %"
            )
        return lines

    def __repr__(self) -> str:
        return f"SearchDraws({len(self):,} draws)"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def _quantile(values: F64, shares: F64) -> NDArray[Any]:
    empty = np.isnan(values).all(axis=0)
    filled = np.where(empty, 0.0, values)
    return np.where(empty, np.nan, np.nanquantile(filled, shares, axis=0))


def run_draws(asked: Asked, watch: Watch) -> dict[str, Any]:
    """Search under every draw: what the engine gives."""
    drawn = Axis(name="draw", columns=asked.draws, labels={}, unit="category")
    return run(
        (drawn, *asked.axes),
        [0, *(k + 1 for k in asked.by)],
        asked.drawn or (),
        asked.minimize,
        asked.condition,
        within=asked.within,
        tally=asked.within is not None,
        visit=asked.visit,
        watch=watch,
    )


def make_draws(asked: Asked, found: Mapping[str, Any]) -> SearchDraws:
    """The result from what the engine gave."""
    draws = len(next(iter(asked.draws.values())))
    groups = tuple(len(asked.axes[k]) for k in asked.by)
    shape = (draws, *groups)
    finished = (found["visited"] == found["cells"]).reshape(shape)
    count = found["feasible"].astype(np.int64).reshape(shape)
    probability = None
    if asked.within is not None:
        finished = found["known"].reshape(shape)
        count = found["count"].astype(np.int64).reshape(shape)
        if len(found["tally"]):
            cells = found["tally"].reshape(*groups, *(len(axis) for axis in asked.free))
            done = finished.sum(axis=0).reshape(*groups, *(1 for _ in asked.free))
            with np.errstate(invalid="ignore"):
                probability = cells / done
    return SearchDraws(
        best=np.where(finished, found["best"].reshape(shape), np.nan),
        argbest=columns_at(asked.free, np.where(finished, found["cell"].reshape(shape), -1)),
        count=np.where(finished, count, -1),
        probability=probability,
        found=found,
    )
