"""How the answer moves with each arbitrary choice: the same fit again, one choice changed at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64
from isoloss.errors import IsolossError, OptionError, did_you_mean, serious
from isoloss.hparams.choosing import THRESHOLDS
from isoloss.hparams.holdout import rest_of
from isoloss.hparams.predictions import scientific, share
from isoloss.hparams.sweep import sweep_of
from isoloss.objective import AbsoluteError, Huber, SquaredError
from isoloss.plain import plain_dict
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.units import format_si

if TYPE_CHECKING:
    from collections.abc import Iterator

    from isoloss.hparams.law import HParamLaw

__all__ = ["CHOICES", "Sensitivity", "SensitivityRow", "sensitivity_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRow:
    """The answer under one choice.

    Attributes
    ----------
    choice, value : str
    used : bool
        Whether it is what the fit uses.
    lr, batch : float
        The answer; NaN where the fit is not possible.
    excess : float
        What that setting costs by the surface of the fit itself.
    note : str
        Why there is no answer; empty where there is one.
    doubts : str
        Codes of the serious notices of that fit, joined by "; ".
    """

    choice: str
    value: str
    used: bool
    lr: float
    batch: float
    excess: float
    note: str = ""
    doubts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sensitivity(Shown):
    """Answers at one N and D under other choices; made by `HParamLaw.sensitivity`.

    Attributes
    ----------
    N, D : float
    rows : tuple of SensitivityRow
    """

    N: float
    D: float
    rows: tuple[SensitivityRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lr(self) -> tuple[float, float]:
        """Least and greatest learning rate."""
        values = [row.lr for row in self.rows]
        return float(np.nanmin(values)), float(np.nanmax(values))

    @property
    def batch(self) -> tuple[float, float]:
        """Least and greatest batch in tokens."""
        values = [row.batch for row in self.rows]
        return float(np.nanmin(values)), float(np.nanmax(values))

    def to_frame(self, backend: str = "dict") -> Any:
        """Rows as a frame of a library, or a dict of arrays."""
        names = SensitivityRow.__dataclass_fields__
        return make_frame({name: np.array([getattr(row, name) for row in self.rows]) for name in names}, backend)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = SensitivityRow.__dataclass_fields__
        rows = [{name: getattr(row, name) for name in names} for row in self.rows]
        return plain_dict({"N": self.N, "D": self.D, "rows": rows})

    def __str__(self) -> str:
        lines = [
            f"at N {format_si(self.N)}, D {format_si(self.D)}; * is what the fit uses",
            f"    {'choice':<12}{'value':<22}{'lr':>10}{'batch':>9}{'excess':>10}",
        ]
        reasons: dict[str, int] = {}  # long ones stand below the table, each once
        for row in self.rows:
            mark = "*" if row.used else " "
            head = f"  {mark} {row.choice:<12}{row.value:<22}"
            if row.note:
                lines.append(f"{head}{'none':>10}  [{reasons.setdefault(row.note, len(reasons) + 1)}]")
            else:
                answer = f"{head}{scientific(row.lr):>10}{format_si(row.batch):>9}{share(row.excess):>10}"
                lines.append(f"{answer}  {row.doubts}" if row.doubts else answer)
        lines += [f"[{number}] {reason}" for reason, number in reasons.items()]
        return "\n".join(lines)


def _thresholds(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    used = hp.joint.choice.threshold
    for value in sorted({*THRESHOLDS, used}):
        settings = replace(hp.settings, threshold=value, draws=0, batch_on=hp.joint.choice.batch_size_law)
        yield f"{100 * value:g} %", value == used, lambda s=settings: fit_sweep(hp.sweep, s)


def _batch_laws(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    for value in ("D", "N, D"):
        settings = replace(_pinned(hp), batch_on=value)
        yield f"on {value}", value == hp.joint.choice.batch_size_law, lambda s=settings: fit_sweep(hp.sweep, s)


def _asymmetry(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    for value in (True, False):
        settings = replace(_pinned(hp), asymmetric=value)
        name = "lr asymmetric" if value else "symmetric"
        yield name, value == hp.settings.asymmetric, lambda s=settings: fit_sweep(hp.sweep, s)


def _objectives(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    used = hp.settings.objective
    for name, value in (
        ("Huber 0.001", None),
        ("Huber 0.0003", Huber(3e-4, space="raw")),
        ("squared errors", SquaredError()),
        ("absolute errors", AbsoluteError(space="raw")),
    ):
        settings = replace(_pinned(hp), objective=value)
        yield name, value == used, lambda s=settings: fit_sweep(hp.sweep, s)


def _recipes(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep
    from isoloss.hparams.powers import RECIPES

    for value in RECIPES:
        settings = replace(_pinned(hp), recipe=value)
        yield value, value == hp.settings.recipe, lambda s=settings: fit_sweep(hp.sweep, s)


def _cells(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    """Without the cells at each end of the design, and without those whose optimum is at an edge of the grid."""
    from isoloss.hparams.fit import fit_sweep

    sweep, settings = hp.sweep, _pinned(hp)
    yield "all cells", True, lambda: fit_sweep(sweep, settings)
    sides = sweep.edges()
    sets = {
        "no largest N": _ends(sweep.N)[1],
        "no smallest N": _ends(sweep.N)[0],
        "no largest D": _ends(sweep.D)[1],
        "no smallest D": _ends(sweep.D)[0],
        "no optimum at an edge": np.flatnonzero((sides[0] != 0) | (sides[1] != 0)),
    }
    for name, out in sets.items():
        if 0 < len(out) < sweep.cells:
            yield name, False, lambda left_out=out: fit_sweep(rest_of(sweep, left_out), settings)


def _ends(column: F64) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Cells with the least, and with the greatest, value of a column."""
    low, high = column.min() / 0.98, column.max() * 0.98
    return np.flatnonzero(column <= low), np.flatnonzero(column >= high)


def _diverged(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    for value in sorted({0.05, 0.1, 0.25, 1.0, hp.settings.diverged}):
        sweep = replace(hp.sweep, diverged=hp.sweep.excess > value)
        yield f"{100 * value:g} %", value == hp.settings.diverged, lambda s=sweep: fit_sweep(s, _pinned(hp))


def _tolerances(hp: HParamLaw) -> Iterator[tuple[str, bool, Any]]:
    from isoloss.hparams.fit import fit_sweep

    used = hp.settings
    for value in sorted({0.001, 0.02, 0.1, used.tolerance}):

        def again(tolerance: float = value) -> HParamLaw:
            sweep = sweep_of(hp.sweep.runs, by=used.by, tolerance=tolerance, diverged=used.diverged)
            return fit_sweep(sweep, _pinned(hp))

        yield f"{100 * value:g} %", value == used.tolerance, again


def _pinned(hp: HParamLaw) -> Any:
    """The settings with what was chosen from the data held, so that one choice is changed at a time."""
    choice = hp.joint.choice
    return replace(hp.settings, threshold=choice.threshold, batch_on=choice.batch_size_law, draws=0)


CHOICES = {
    "threshold": _thresholds,
    "batch law": _batch_laws,
    "asymmetry": _asymmetry,
    "objective": _objectives,
    "recipe": _recipes,
    "cells": _cells,
    "diverged": _diverged,
    "tolerance": _tolerances,
}
"""What can be varied, by name."""


def sensitivity_of(hp: HParamLaw, choice: str | None, N: float, D: float) -> Sensitivity:
    """The answer at N and D under other choices.

    Parameters
    ----------
    hp : HParamLaw
    choice : str, optional
        One of ``"threshold"``, ``"batch law"``, ``"asymmetry"``, ``"objective"``, ``"recipe"``, ``"cells"``,
        ``"diverged"``, ``"tolerance"``; all of them if left out.
    N, D : float

    Returns
    -------
    Sensitivity

    Raises
    ------
    OptionError
        Unknown choice.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(N=[1e8, 3e8, 1e9], tokens_per_parameter=[10, 40, 160]))
    >>> table = iso.fit_hparams(runs, draws=0, threshold=0.01).sensitivity("batch law", N="1B", D="20B")
    >>> [row.value for row in table.rows]
    ['on D', 'on N, D']
    """
    if choice is not None and choice not in CHOICES:
        message = f"choice={choice!r} is none of {', '.join(CHOICES)}{did_you_mean(str(choice), CHOICES)}"
        raise OptionError(message, argument="choice")
    rows = []
    for name in CHOICES if choice is None else (choice,):
        for value, used, refit in CHOICES[name](hp):
            try:
                found = refit()
            except IsolossError as error:
                nan = float("nan")
                rows.append(
                    SensitivityRow(choice=name, value=value, used=used, lr=nan, batch=nan, excess=nan, note=str(error))
                )
                continue
            lr, batch = (float(v) for v in found.powers.at(N, D))
            excess = float(hp.regret(lr, batch, N, D).estimate)
            doubts = "; ".join(dict.fromkeys(notice.code for notice in serious(found.warnings)))
            rows.append(
                SensitivityRow(choice=name, value=value, used=used, lr=lr, batch=batch, excess=excess, doubts=doubts)
            )
    return Sensitivity(N=N, D=D, rows=tuple(rows))
