r"""Predictions for cells that were left out: what they cost there, and whether the plateau holds the best run.

Everything is repeated without the cell, the choice of the threshold included, so that a cell never has a say in its own
prediction. Cells can be left out one at a time (``by="cell"``), or all cells of the largest size (``"largest N"``) or
of the most tokens (``"largest D"``) together, which asks for extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.hparams.plateau import Box
from isoloss.hparams.powers import RECIPES
from isoloss.hparams.predictions import scientific, share
from isoloss.hparams.surface import Cost, cost
from isoloss.hparams.sweep import Sweep
from isoloss.plain import plain_dict
from isoloss.runs.reading import Runs
from isoloss.shown import Shown
from isoloss.units import format_si

if TYPE_CHECKING:
    from isoloss.hparams.law import HParamLaw

__all__ = ["BY", "Holdout", "HoldoutRow", "holdout_of", "rest_of"]

BY = ("cell", "largest N", "largest D")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutRow:
    """One cell that was left out.

    Attributes
    ----------
    cell : str
    N, D : float
    lr, batch : float
        Predicted without it.
    lr_interval, batch_interval : (low, high)
        For the cell's own optimum.
    cost : Cost
        What that setting costs in the cell.
    threshold : float
        Chosen without the cell.
    box : Box
        Of the plateau predicted without it.
    measured : Box
        The least rectangle around the cell's runs within the same excess of its best run.
    best_lr, best_batch : float
        Of the cell's best run.
    own_lr, own_batch : float
        The cell's own optimum, by its own runs under the shape of all cells; NaN where it has too few.
    """

    cell: str
    N: float
    D: float
    lr: float
    batch: float
    lr_interval: tuple[float, float]
    batch_interval: tuple[float, float]
    cost: Cost
    threshold: float
    box: Box
    measured: Box
    best_lr: float
    best_batch: float
    own_lr: float
    own_batch: float

    @property
    def covered(self) -> tuple[bool, bool]:
        """Whether the intervals hold the cell's own best learning rate and batch."""
        lr, batch = self.lr_interval, self.batch_interval
        return lr[0] <= self.own_lr <= lr[1], batch[0] <= self.own_batch <= batch[1]

    @property
    def best_inside(self) -> bool:
        """Whether the predicted box holds the cell's best run."""
        return self.box.holds(self.best_lr, self.best_batch)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Holdout(Shown):
    """Predictions for cells that were left out; made by `HParamLaw.holdout`.

    Attributes
    ----------
    by, recipe : str
    within : float
        Excess of the plateaus.
    reference : {"run", "surface"}
        What the predicted plateaus are counted from.
    level : float
        Of the intervals.
    rows : tuple of HoldoutRow
    """

    by: str
    recipe: str
    within: float
    reference: str
    level: float
    rows: tuple[HoldoutRow, ...]

    @property
    def cost(self) -> Cost:
        """Mean over the cells; those where a definition does not apply are left out of its mean."""
        return Cost(*(float(column) for column in np.nanmean(self._costs, axis=0)))

    @property
    def median(self) -> Cost:
        """Median over the cells."""
        return Cost(*(float(column) for column in np.nanmedian(self._costs, axis=0)))

    @property
    def worst(self) -> Cost:
        """Largest over the cells."""
        return Cost(*(float(column) for column in np.nanmax(self._costs, axis=0)))

    @property
    def _costs(self) -> F64:
        return np.array([row.cost for row in self.rows], dtype=np.float64)

    @property
    def best_inside(self) -> float:
        """Share of the cells whose best run lies in the box predicted without them."""
        return float(np.mean([row.best_inside for row in self.rows]))

    @property
    def widths(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean widths in octaves (lr, batch) of the predicted and of the measured boxes."""
        predicted = np.mean([row.box.octaves for row in self.rows], axis=0)
        measured = np.mean([row.measured.octaves for row in self.rows], axis=0)
        return (float(predicted[0]), float(predicted[1])), (float(measured[0]), float(measured[1]))

    @property
    def areas(self) -> tuple[float, float]:
        """Mean areas of the predicted and of the measured boxes, in octaves squared."""
        areas = np.mean([[row.box.area, row.measured.area] for row in self.rows], axis=0)
        return float(areas[0]), float(areas[1])

    @property
    def covered(self) -> tuple[float, float]:
        """Share of the cells whose own best learning rate, and batch, lie in the predicted interval."""
        told = [row.covered for row in self.rows if np.isfinite(row.own_lr) and np.isfinite(row.lr_interval[0])]
        lr, batch = np.mean(told, axis=0) if told else (np.nan, np.nan)
        return float(lr), float(batch)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        predicted, measured = self.widths
        return plain_dict(
            {
                "by": self.by,
                "recipe": self.recipe,
                "within": self.within,
                "reference": self.reference,
                "level": self.level,
                "cost": self.cost._asdict(),
                "median": self.median._asdict(),
                "worst": self.worst._asdict(),
                "best_inside": self.best_inside,
                "widths_predicted": list(predicted),
                "widths_measured": list(measured),
                "areas": list(self.areas),
                "covered": list(self.covered),
                "rows": [
                    {
                        "cell": row.cell,
                        "N": row.N,
                        "D": row.D,
                        "lr": row.lr,
                        "batch": row.batch,
                        "lr_interval": list(row.lr_interval),
                        "batch_interval": list(row.batch_interval),
                        "own": [row.own_lr, row.own_batch],
                        "cost": row.cost._asdict(),
                        "threshold": row.threshold,
                        "best_inside": row.best_inside,
                    }
                    for row in self.rows
                ],
            }
        )

    def __str__(self) -> str:
        predicted, measured = self.widths
        lines = [
            f"{len(self.rows)} cells left out ({self.by}), recipe {self.recipe}: excess loss of the predicted setting",
            f"  {'cell':<24}{'lr':>10}{'batch':>9}{'nearest':>10}{'interp.':>10}{'surface':>10}  best run",
        ]
        for row in self.rows:
            near, between, own = (share(v) for v in row.cost)
            inside = "inside" if row.best_inside else "outside"
            lines.append(
                f"  {row.cell:<24}{scientific(row.lr):>10}{format_si(row.batch):>9}"
                f"{near:>10}{between:>10}{own:>10}  {inside}"
            )
        for label, costs in (("mean", self.cost), ("median", self.median), ("largest", self.worst)):
            near, between, own = (share(v) for v in costs)
            lines.append(f"  {label:<24}{'':>19}{near:>10}{between:>10}{own:>10}")
        lines.append(
            f"  box of {100 * self.within:g} %: holds the best run in {100 * self.best_inside:.0f} % of the cells; "
            f"{predicted[0]:.2f} x {predicted[1]:.2f} octaves, measured {measured[0]:.2f} x {measured[1]:.2f}"
        )
        if np.isfinite(self.covered[0]):
            lr, batch = (100 * held for held in self.covered)
            lines.append(
                f"  intervals of {100 * self.level:g} %: hold the cell's own best lr in {lr:.0f} %, batch in "
                f"{batch:.0f} %"
            )
        return "\n".join(lines)


def holdout_of(
    hp: HParamLaw, by: str, recipe: str, within: float, reference: str = "run", draws: int = 400, level: float = 0.95
) -> Holdout:
    """Leave cells out and predict them.

    Parameters
    ----------
    hp : HParamLaw
    by : {"cell", "largest N", "largest D"}
        What is left out: each cell in turn, or together the cells of the largest size, or of the most tokens.
    recipe : str
        As for `isoloss.fit_hparams`.
    within : float
        Excess of the plateaus whose boxes are judged.
    reference : {"run", "surface"}
        What the predicted plateaus are counted from; the measured ones are counted from the best run.
    draws : int
        Refits behind the intervals of each prediction.
    level : float
        Of those intervals.

    Returns
    -------
    Holdout

    Raises
    ------
    OptionError
        Unknown `by` or recipe.
    DataError
        ``hparams-too-few-runs``: too little is left.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> left_out = iso.fit_hparams(runs, draws=0, threshold=0.01).holdout("largest N")
    >>> left_out.cost.surface < 0.01
    True
    """
    if by not in BY:
        message = f"by={by!r} is none of {', '.join(map(repr, BY))}{did_you_mean(str(by), BY)}"
        raise OptionError(message, argument="by")
    if recipe not in RECIPES:
        message = f"recipe={recipe!r} is none of {', '.join(RECIPES)}{did_you_mean(str(recipe), RECIPES)}"
        raise OptionError(message, argument="recipe")
    sweep = hp.sweep
    if by == "cell":
        sets = [np.array([c]) for c in range(sweep.cells)]
    else:
        column = sweep.N if by == "largest N" else sweep.D
        sets = [np.flatnonzero(column >= 0.98 * column.max())]
    rows: list[HoldoutRow] = []
    for left_out in sets:
        rows += _without(hp, left_out, recipe, within, reference, draws, level)
    return Holdout(by=by, recipe=recipe, within=within, reference=reference, level=level, rows=tuple(rows))


def _without(
    hp: HParamLaw, left_out: NDArray[np.intp], recipe: str, within: float, reference: str, draws: int, level: float
) -> list[HoldoutRow]:
    """Predictions for cells from the others alone."""
    from isoloss.hparams.fit import fit_sweep

    sweep = hp.sweep
    if len(left_out) >= sweep.cells:
        message = "all cells have the same size or number of tokens: nothing is left to predict them from"
        raise DataError(message, code="hparams-too-few-runs", cells=0)
    rest = fit_sweep(rest_of(sweep, left_out), replace(hp.settings, recipe=recipe, draws=draws))
    found = []
    for c in left_out.tolist():
        N, D = float(sweep.N[c]), float(sweep.D[c])
        said = rest.predict(N=N, D=D, level=level)
        flat = rest.plateau(N=N, D=D, within=within, reference=reference, level=level)
        rows = sweep.rows(c)
        near = rows[sweep.excess[rows] < within]
        best = int(sweep.best[c])
        own = np.exp(hp.between.optimum[c])
        found.append(
            HoldoutRow(
                cell=sweep.name(c),
                N=N,
                D=D,
                lr=said.lr,
                batch=said.batch,
                lr_interval=said.lr_interval,
                batch_interval=said.batch_interval,
                cost=cost(sweep, hp.surfaces, c, said.lr, said.batch),
                threshold=rest.joint.choice.threshold,
                box=flat.box,
                measured=_around(sweep, near),
                best_lr=float(np.exp(sweep.ln_lr[best])),
                best_batch=float(np.exp(sweep.ln_batch[best])),
                own_lr=float(own[0]),
                own_batch=float(own[1]),
            )
        )
    return found


def _around(sweep: Sweep, rows: NDArray[np.intp]) -> Box:
    lr, batch = np.exp(sweep.ln_lr[rows]), np.exp(sweep.ln_batch[rows])
    return Box(lr=(float(lr.min()), float(lr.max())), batch=(float(batch.min()), float(batch.max())))


def rest_of(sweep: Sweep, left_out: NDArray[np.intp]) -> Sweep:
    """The sweep without some cells; nothing of them is left."""
    stay = ~np.isin(sweep.cell, left_out)
    cells = np.setdiff1d(np.arange(sweep.cells), left_out)
    renumber = np.full(sweep.cells, -1, dtype=np.int64)
    renumber[cells] = np.arange(len(cells))
    place = np.cumsum(stay) - 1
    runs: Runs = sweep.runs.where(stay)
    return Sweep(
        runs=runs,
        ln_lr=sweep.ln_lr[stay],
        ln_batch=sweep.ln_batch[stay],
        loss=sweep.loss[stay],
        weights=sweep.weights[stay],
        cell=renumber[sweep.cell[stay]],
        N=sweep.N[cells],
        D=sweep.D[cells],
        labels=tuple(sweep.labels[c] for c in cells),
        best=place[sweep.best[cells]].astype(np.int64),
        excess=sweep.excess[stay],
        diverged=sweep.diverged[stay],
    )
