"""Other answers beside that of a fit: all recipes at one N and D, and all published laws on the measured cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.engine.problem import F64
from isoloss.errors import IsolossError
from isoloss.hparams.between import between_of
from isoloss.hparams.powers import RECIPES, from_joint, from_recipe
from isoloss.hparams.predictions import HParams, predict_at, scientific, share
from isoloss.hparams.published import published
from isoloss.hparams.surface import Cost, cost
from isoloss.plain import plain_dict
from isoloss.shown import Shown
from isoloss.units import format_si

if TYPE_CHECKING:
    from isoloss.hparams.law import HParamLaw

__all__ = ["Alternatives", "Comparison", "ComparisonRow", "alternatives_of", "comparison_of"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Alternatives(Shown):
    """The answers of several recipes and published laws at one N and D.

    Attributes
    ----------
    N, D : float
    answers : mapping of str to HParams
        By recipe, then by ``name:key`` of published laws.
    excess : mapping of str to float
        What each answer costs by the joint surface; NaN where an answer lacks learning rate or batch.
    notes : mapping of str to str
        Why a recipe has no answer.
    """

    N: float
    D: float
    answers: dict[str, HParams]
    excess: dict[str, float]
    notes: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        rows = [{"name": name, **found.to_dict(), "excess": self.excess[name]} for name, found in self.answers.items()]
        return plain_dict({"N": self.N, "D": self.D, "answers": rows, "notes": self.notes})

    def __str__(self) -> str:
        lines = [
            f"at N {format_si(self.N)}, D {format_si(self.D)}",
            f"  {'recipe or law':<28}{'lr':>10}  {'interval':<22}{'batch':>8}  {'interval':<18}{'excess':>9}",
        ]
        for name, found in self.answers.items():
            a, b = found.lr_interval
            low, high = found.batch_interval
            lr = scientific(found.lr) if np.isfinite(found.lr) else "-"
            batch = format_si(found.batch) if np.isfinite(found.batch) else "-"
            lr_interval = f"[{scientific(a)}, {scientific(b)}]" if np.isfinite(a) else ""
            batch_interval = f"[{format_si(low)}, {format_si(high)}]" if np.isfinite(low) else ""
            lines.append(
                f"  {name:<28}{lr:>10}  {lr_interval:<22}{batch:>8}  {batch_interval:<18}{share(self.excess[name]):>9}"
            )
        lines += [f"  {name:<28}  {note}" for name, note in self.notes.items()]
        return "\n".join(lines)


def alternatives_of(hp: HParamLaw, N: float, D: float, level: float) -> Alternatives:
    """All recipes, and all published laws that need no loss, at N and D.

    Parameters
    ----------
    hp : HParamLaw
    N, D : float
    level : float

    Returns
    -------
    Alternatives

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> side_by_side = iso.fit_hparams(runs, draws=100, threshold=0.01).alternatives(N="1B", D="20B")
    >>> list(side_by_side.answers)[:3]
    ['joint', 'steplaw', 'within']
    """
    answers: dict[str, HParams] = {}
    notes: dict[str, str] = {}
    settings = hp.settings
    for recipe in RECIPES:
        try:
            powers = (
                from_joint(hp.joint)
                if recipe == "joint"
                else from_recipe(recipe, hp.sweep, hp.surfaces, draws=max(settings.draws, 1), seed=settings.seed)
            )
        except IsolossError as error:
            notes[recipe] = str(error)
            continue
        if settings.draws == 0:
            powers = type(powers)(recipe=powers.recipe, values=powers.values, draws=powers.draws[:0])
        around = between_of(hp.between.optimum, hp.between.error, powers, hp.sweep, hp.joint.fixed)
        answers[recipe] = predict_at(powers, around, N, D, level, seed=settings.seed, sweep=hp.sweep)
    none = (float("nan"), float("nan"))
    for row in published():
        if row.needs_loss:
            notes[row.title] = "needs the loss that training ends at"
            continue
        lr, batch = (float(v) for v in row.at(N, D))
        answers[row.title] = HParams(
            N=N, D=D, lr=lr, batch=batch, lr_interval=none, batch_interval=none, level=level, draws=0, recipe=row.title
        )
    excess = {
        name: float(hp.regret(found.lr, found.batch, N, D).estimate)
        if np.isfinite(found.lr) and np.isfinite(found.batch)
        else float("nan")
        for name, found in answers.items()
    }
    return Alternatives(N=N, D=D, answers=answers, excess=excess, notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One law on all measured cells.

    Attributes
    ----------
    name : str
    what : {"lr, batch", "lr", "batch"}
        What the law gives; the other is the best of the joint surface at that N and D.
    mean, median, worst : Cost
        Excess over the cells, by the three definitions.
    note : str
    """

    name: str
    what: str
    mean: Cost
    median: Cost
    worst: Cost
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(Shown):
    """Published laws, and optionally this fit on cells it did not see, on the measured cells.

    Attributes
    ----------
    cells : int
    rows : tuple of ComparisonRow
        In the order of the mean excess at the nearest run.
    """

    cells: int
    rows: tuple[ComparisonRow, ...]

    def __getitem__(self, name: str) -> ComparisonRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        rows = [
            {
                "name": row.name,
                "what": row.what,
                "mean": row.mean._asdict(),
                "median": row.median._asdict(),
                "worst": row.worst._asdict(),
                "note": row.note,
            }
            for row in self.rows
        ]
        return plain_dict({"cells": self.cells, "rows": rows})

    def __str__(self) -> str:
        head = f"excess loss on {self.cells} cells: mean at the nearest run (largest), interpolated, on the own surface"
        lines = [head, f"  {'law':<34}{'gives':<11}{'nearest':>9}{'largest':>10}{'interp.':>10}{'surface':>10}"]
        for row in self.rows:
            near, between, own = (share(v) for v in row.mean)
            lines.append(
                f"  {row.name:<34}{row.what:<11}{near:>9}{share(row.worst.nearest):>10}{between:>10}{own:>10}"
                + (f"  {row.note}" if row.note else "")
            )
        return "\n".join(lines)


def comparison_of(hp: HParamLaw, *, holdout: bool = False) -> Comparison:
    """Every published law of learning rate or batch in the registry, on the measured cells.

    Parameters
    ----------
    hp : HParamLaw
    holdout : bool
        Add this fit as well, each cell predicted from the others alone (some seconds).

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> table = iso.fit_hparams(runs, draws=0, threshold=0.01).compare()
    >>> bool(table["joint (in sample)"].mean.nearest < 0.01)
    True
    """
    sweep = hp.sweep
    size, tokens, loss = sweep.N, sweep.D, hp.joint.floor
    best_lr, best_batch = (np.exp(v) for v in hp.joint.shape.optimum(size, tokens))
    rows = [_row(hp, "joint (in sample)", "lr, batch", best_lr, best_batch, "fitted with these cells")]
    for law in published():
        lr, batch = (np.broadcast_to(v, size.shape) for v in law.at(size, tokens, loss))
        what = (
            "lr, batch" if law.lr is not None and law.batch is not None else ("lr" if law.lr is not None else "batch")
        )
        notes = [] if what == "lr, batch" else [f"{'batch' if what == 'lr' else 'lr'} of the joint surface"]
        if law.needs_loss:
            notes.append("at the loss of the cell")
        lr = best_lr if law.lr is None else lr
        batch = best_batch if law.batch is None else batch
        rows.append(_row(hp, law.title, what, lr, batch, ", ".join(notes)))
    if holdout:
        left_out = hp.holdout("cell")
        rows.append(
            ComparisonRow(
                name=f"{left_out.recipe} (cell left out)",
                what="lr, batch",
                mean=left_out.cost,
                median=left_out.median,
                worst=left_out.worst,
            )
        )
    return Comparison(cells=sweep.cells, rows=tuple(sorted(rows, key=lambda row: row.mean.nearest)))


def _row(hp: HParamLaw, name: str, what: str, lr: F64, batch: F64, note: str) -> ComparisonRow:
    sweep = hp.sweep
    costs = np.array([cost(sweep, hp.surfaces, c, float(lr[c]), float(batch[c])) for c in range(sweep.cells)])
    # A setting outside the grid has no interpolated excess, and a cell without a surface none over it.
    known = ~np.isnan(costs)
    mean = np.array([column[ok].mean() if ok.any() else np.nan for column, ok in zip(costs.T, known.T, strict=True)])
    middle = np.array(
        [np.median(column[ok]) if ok.any() else np.nan for column, ok in zip(costs.T, known.T, strict=True)]
    )
    worst = np.array([column[ok].max() if ok.any() else np.nan for column, ok in zip(costs.T, known.T, strict=True)])
    missing = int((~known[:, 1]).sum())
    if missing:
        note = ", ".join([*([note] if note else []), f"outside the grid in {missing} cells"])
    return ComparisonRow(name=name, what=what, mean=Cost(*mean), median=Cost(*middle), worst=Cost(*worst), note=note)
