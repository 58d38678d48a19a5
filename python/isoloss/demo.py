"""The main job from end to end, as ``isoloss demo`` runs it.

Runs come from a file or, without one, from a sweep over (N, D, lr, batch) that `isoloss.simulate`
makes up from published laws. The best run of every (N, D) cell is kept (a law of N and D describes
models trained well, not every learning rate that was tried), a law is fitted from many starts, the
kept runs are resampled for intervals, and the compute-optimal N and D are read off the fit.
When the runs are simulated the truth is known and stands beside the estimates.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import simulate
from isoloss.fit.object import Fit, fit
from isoloss.plot import free_figure, overview
from isoloss.runs.reading import Runs, read
from isoloss.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from numpy.typing import NDArray

    from isoloss.plan.allocation import Allocation
    from isoloss.stats.draws import Draws

__all__ = ["Demo", "best_per_cell", "run"]

NOISE = 1e-3
"""Standard deviation of the log loss between simulated runs that differ by seed alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demonstration found.

    Attributes
    ----------
    source : str
        Where the runs came from, in words; says when they are simulated.
    runs, cells : Runs
        All runs, and the best run of each (N, D) cell, which were fitted.
    fit : Fit
    draws : Draws
    allocation : Allocation
        Compute-optimal N and D with 95 % intervals from the draws.
    truth : dict or None
        Parameters the runs were simulated from; None for runs from a file.
    true_optimum : dict or None
        N, D, tokens per parameter and loss that are truly optimal, when the truth is known.
    seconds : dict of str to float
        Wall time of each step.
    figure : Path or None
        The saved plot.
    """

    source: str
    runs: Runs
    cells: Runs
    fit: Fit
    draws: Draws
    allocation: Allocation
    truth: dict[str, float] | None
    true_optimum: dict[str, float] | None
    seconds: dict[str, float]
    figure: Path | None

    @property
    def simulated(self) -> bool:
        """Whether the runs were made up from published laws."""
        return self.truth is not None


def best_per_cell(runs: Runs) -> Runs:
    """Keep the run of least loss of every distinct (N, D).

    Parameters
    ----------
    runs : Runs
        Runs with N, D and loss.

    Returns
    -------
    Runs
        One row per cell, in the order of first appearance. The same runs when all cells differ.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read({"N": [1e8, 1e8, 2e8], "D": [2e9, 2e9, 2e9], "loss": [3.2, 3.1, 3.0]})
    >>> iso.demo.best_per_cell(runs)["loss"].tolist()
    [3.1, 3.0]
    """
    keys = np.column_stack([runs["N"], runs["D"]])
    cells, cell = np.unique(keys, axis=0, return_inverse=True)
    if len(cells) == runs.n:
        return runs
    cell = cell.reshape(-1)
    order = np.lexsort((runs["loss"], cell))
    first = np.r_[True, np.diff(cell[order]) > 0]
    keep: NDArray[np.bool_] = np.zeros(runs.n, dtype=bool)
    keep[order[first]] = True
    return runs.where(keep)


def run(
    data: str | PathLike[str] | None = None,
    *,
    roles: Mapping[str, Any] | None = None,
    C: float = 1e24,
    draws: int = 4000,
    seed: int = 0,
    n_threads: int | None = None,
    figure: str | PathLike[str] | None = None,
    progress: Callable[[str], Callable[[int, int], object]] | None = None,
) -> Demo:
    """Fit the Chinchilla law to a sweep and plan for `C` FLOPs.

    Parameters
    ----------
    data : path, optional
        CSV or Parquet file of runs; a simulated sweep without one.
    roles : mapping, optional
        Keyword arguments of `isoloss.read` for `data`, such as ``{"N": "params"}``.
    C : float
        Compute in FLOPs to plan for.
    draws : int
        Bootstrap draws.
    seed : int
        Seed of the simulated noise, of the starts and of the bootstrap.
    n_threads : int, optional
        Threads; all by default. The results do not depend on it.
    figure : path, optional
        Where to save the plot as PNG; no plot without it.
    progress : callable, optional
        Called with the name of each long step; returns a ``(done, total)`` callable for it.

    Returns
    -------
    Demo

    Raises
    ------
    DataError
        When the file is refused.
    MissingExtraError
        When `figure` is given and matplotlib is not installed.

    Examples
    --------
    >>> import isoloss as iso
    >>> shown = iso.demo.run(draws=50)
    >>> shown.simulated, shown.runs.n, shown.cells.n
    (True, 1400, 56)
    """
    canvas = None if figure is None else free_figure()  # before the work: matplotlib may be missing
    seconds: dict[str, float] = {}
    mark = perf_counter()

    def lap(step: str) -> None:
        nonlocal mark
        now = perf_counter()
        seconds[step] = now - mark
        mark = now

    def report(step: str) -> Callable[[int, int], object] | None:
        return None if progress is None else progress(step)

    if data is None:
        runs = read(simulate.sweep(noise=NOISE, seed=seed), group="run")
        source = (
            "simulated from published laws (Besiroglu et al. 2024 for the loss, Step Law for lr and batch), "
            f"{100 * NOISE:g} % noise per run"
        )
        truth = simulate.truth()
    else:
        runs, source, truth = read(data, **dict(roles or {})), str(data), None
    cells = best_per_cell(runs)
    lap("read")
    fitted = fit("chinchilla", cells, seed=seed, n_threads=n_threads, progress=report("fit"))
    lap("fit")
    resampled = fitted.bootstrap(draws, seed=seed, n_threads=n_threads, progress=report("bootstrap"))
    lap("bootstrap")
    allocation = fitted.allocate(C=C, draws=resampled)
    lap("allocate")
    saved = None
    if canvas is not None and figure is not None:
        saved = Path(figure)
        kind = "runs" if truth is None else "simulated runs"
        overview(
            fitted,
            draws=resampled,
            at=C,
            title=f"{fitted.law.expr} fitted to {fitted.n} {kind}, 95 % bands from {len(resampled):,} bootstrap draws",
            figure=canvas,
        )
        drawn = io.BytesIO()
        canvas.savefig(drawn, dpi=160, format=saved.suffix.removeprefix(".") or "png")
        write_whole(saved, drawn.getvalue())
        lap("plot")
    return Demo(
        source=source,
        runs=runs,
        cells=cells,
        fit=fitted,
        draws=resampled,
        allocation=allocation,
        truth=truth,
        true_optimum=None if truth is None else _closed_form_optimum(truth, C),
        seconds=seconds,
        figure=saved,
    )


def _closed_form_optimum(p: Mapping[str, float], C: float) -> dict[str, float]:
    """Hoffmann et al. 2022, equation 4: N* = G (C/6)^a, with D* = C / (6 N*)."""
    total = p["alpha"] + p["beta"]
    G = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1.0 / total)
    N = G * (C / 6.0) ** (p["beta"] / total)
    D = C / (6.0 * N)
    loss = p["E"] + p["A"] / N ** p["alpha"] + p["B"] / D ** p["beta"]
    return {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}
