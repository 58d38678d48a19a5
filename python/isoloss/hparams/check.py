"""What to know about runs before fitting them: units, repeats, divergence, odd losses, optima at an edge.

Nothing here changes or refuses runs. Each finding is a `Notice` with a stable code; what needs a learning rate or a
batch is left out where the runs have none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isoloss.errors import Notice
from isoloss.hparams.sweep import TWINS, Sweep, clusters, sweep_of
from isoloss.runs.doubts import unit_doubts
from isoloss.runs.order import disagreeing, out_of_order
from isoloss.runs.reading import Runs
from isoloss.shown import Shown
from isoloss.units import format_number

__all__ = ["RunsCheck", "check_runs"]

_NARROW = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RunsCheck(Shown):
    """Findings about runs; made by `Runs.check`.

    Attributes
    ----------
    warnings : tuple of Notice
    runs, cells : int
        Runs, and different pairs of N and D among them (0 without both).
    diverged : int
    repeated : int
        Runs that share all their settings with another one.
    noise : float
        Standard deviation of ln(loss) among repeated runs; NaN without any.
    tokens_per_parameter : (low, high)
        NaN without N and D.
    """

    warnings: tuple[Notice, ...]
    runs: int
    cells: int
    diverged: int
    repeated: int
    noise: float
    tokens_per_parameter: tuple[float, float]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the notices."""
        return tuple(notice.code for notice in self.warnings)

    def __str__(self) -> str:
        low, high = self.tokens_per_parameter
        head = f"{self.runs:,} runs"
        if self.cells:
            span = f"{format_number(low, 3)} to {format_number(high, 3)} tokens per parameter"
            head += f" in {self.cells} cells of N and D, {span}"
        if np.isfinite(self.noise):
            head += f"; repeated runs scatter by {100 * self.noise:.2g} %"
        lines = [head, *(f"  {notice}" for notice in self.warnings)]
        return "\n".join(lines if self.warnings else [*lines, "  nothing calls for care"])


def check_runs(runs: Runs) -> RunsCheck:
    """Look runs over; see `isoloss.Runs.check`."""
    found = list(runs.warnings)
    found += unit_doubts(runs)
    low = high = float("nan")
    if "N" in runs and "D" in runs:
        ratio = runs["D"] / runs["N"]
        low, high = float(ratio.min()), float(ratio.max())
        found += _spread(runs, low, high)
    repeated, noise, notice = _repeats(runs)
    found += notice
    found += disagreeing(runs)
    sweep = None
    if {"N", "D", "lr", "batch", "loss"} <= {*runs.names} and np.all(runs["loss"] > 0.0):
        sweep = sweep_of(runs)
        found += _grid(sweep)
    else:
        found += out_of_order(runs)
    diverged = 0 if sweep is None else int(sweep.diverged.sum())
    cells = sweep.cells if sweep is not None else 0
    if sweep is None and "N" in runs and "D" in runs:
        pairs = [clusters(np.log(runs[name]), 0.02) for name in ("N", "D")]
        cells = len(np.unique(np.column_stack(pairs), axis=0))
    return RunsCheck(
        warnings=tuple(found),
        runs=runs.n,
        cells=cells,
        diverged=diverged,
        repeated=repeated,
        noise=noise,
        tokens_per_parameter=(low, high),
    )


def _spread(runs: Runs, low: float, high: float) -> list[Notice]:
    if high / low >= _NARROW or runs.n < 2:
        return []
    shown = format_number(low, 3) if high / low < 1.01 else f"{format_number(low, 3)} to {format_number(high, 3)}"
    message = f"all runs have {shown} tokens per parameter: what N and what D does cannot be told apart"
    details = {"low": low, "high": high}
    return [Notice(code="narrow-tokens-per-parameter", severity="warning", message=message, details=details)]


def _repeats(runs: Runs) -> tuple[int, float, list[Notice]]:
    """Runs of equal settings (seeds, or rows twice), and how much their losses scatter."""
    settings = [name for name in ("N", "D", "lr", "batch") if name in runs]
    if "loss" not in runs or "lr" not in settings:
        return 0, float("nan"), []
    codes = [clusters(np.log(runs[name]), TWINS if name != "lr" else 0.005) for name in settings]
    _, inverse, counts = np.unique(np.column_stack(codes), axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    repeated = counts[inverse] > 1
    if not repeated.any():
        return 0, float("nan"), []
    with np.errstate(invalid="ignore", divide="ignore"):
        ln = np.log(runs["loss"])
    means = np.bincount(inverse, weights=ln) / counts
    spare = int((counts - 1)[counts > 1].sum())
    # The median guards against pairs of which one diverged.
    scatter = np.abs(ln - means[inverse])[repeated] * np.sqrt(2.0)
    noise = float(1.4826 * np.median(scatter)) if spare else float("nan")
    message = f"{int(repeated.sum())} runs share all their settings with another one"
    return int(repeated.sum()), noise, [Notice(code="settings-repeated", severity="info", message=message)]


def _grid(sweep: Sweep) -> list[Notice]:
    """Diverged runs, optima at an edge, cells with few runs."""
    found = []
    count = int(sweep.diverged.sum())
    if count:
        high = sweep.diverged & (sweep.ln_lr > sweep.ln_lr[sweep.best][sweep.cell])
        message = (
            f"{count} runs end more than 25 % above the best of their cell and count as diverged, {int(high.sum())} of "
            "them at a higher learning rate than the best"
        )
        details = {"runs": count, "rows": np.flatnonzero(sweep.diverged).tolist()[:100]}
        found.append(Notice(code="runs-diverged", severity="info", message=message, details=details))
    for label, side in zip(("learning rate", "batch"), sweep.edges(), strict=True):
        at = np.flatnonzero(side)
        if len(at):
            ends = ", ".join(f"{sweep.name(c)} ({'lowest' if side[c] < 0 else 'highest'})" for c in at[:5])
            more = f" and {len(at) - 5} more" if len(at) > 5 else ""
            message = f"the best run has the lowest or highest {label} of its cell: {ends}{more}"
            found.append(
                Notice(code="optimum-at-edge", severity="warning", message=message, details={"cells": at.tolist()})
            )
    sizes = np.bincount(sweep.cell, minlength=sweep.cells)
    few = np.flatnonzero(sizes < 6)
    if len(few):
        least = int(np.argmin(sizes))
        message = (
            f"{len(few)} of {sweep.cells} cells have fewer than 6 runs, the least {int(sizes[least])} "
            f"({sweep.name(least)})"
        )
        found.append(Notice(code="cells-small", severity="info", message=message, details={"cells": few.tolist()}))
    return found
