r"""One surface for all cells of a sweep: the optimum moves by power laws, the shape around it is shared.

With x = ln(lr / lr\*) and y = ln(batch / batch\*), where

    lr\*(N, D) = c N^lr_N D^lr_D        batch\*(N, D) = d N^batch_N D^batch_D

the logarithm of the loss is a floor of the cell plus the excess

    a (exp(k w) - 1 - k w) / k^2 + b y^2,        w = x - ridge y.

For a, b, k > 0 it is convex in (x, y), whatever the data: both terms are convex functions of linear forms. The first is
the linear-exponential loss (Varian 1975): a learning rate that is too high costs more than one too low by the same
factor, by so much the more the larger k; as k vanishes it is the parabola a w^2 / 2. `ridge` is the exponent along the
valley: the best learning rate of a batch that is off by a factor r is off by r^ridge.

Everything is estimated at once by a robust fit to the logarithm of the loss, from the runs near the optimum: far away
no simple surface holds. A run whose excess *by the surface itself* is e counts 2^-((e / t)^4), t the threshold: hardly
less than one inside, half at t, nothing beyond 1.5 t. (Taking the runs whose own excess is below a threshold would
select on the outcome, keep the lucky runs at the rim, and make the surface too flat; it only serves as the first round.
A hard limit in place of the weights can make two surfaces choose each other's runs for ever.) The weights are moved
half way to their new values in each round until the surface stays. The threshold is chosen by leaving one cell out at a
time: the one whose prediction for the cell left out costs least. What a prediction costs there is the mean excess of
that cell's runs around it, a run one step of the grid away counting half.

Intervals resample cells, not runs: runs
of one cell share its floor and its luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import DataError
from isoloss.fit.many import fit_many
from isoloss.hparams.sweep import Sweep
from isoloss.law.object import Law, law
from isoloss.objective import Huber, Objective

__all__ = ["SHARED", "THRESHOLDS", "Choice", "Joint", "Shape", "costs_left_out", "fit_joint", "free_powers"]

SHARED = ("ln_lr", "lr_N", "lr_D", "ln_batch", "batch_N", "batch_D", "ridge", "a", "k", "b")
"""Parameters that all cells share, in the order of arrays; ln_lr and ln_batch at the geometric mean of the cells."""

THRESHOLDS = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05)
_NARROW = 1e-3  # below this the asymmetry k cannot be told from none
_OUTSIDE = 3.0  # how far outside the settings, in logarithms, an optimum may lie
_MOST_CELLS = 240  # parameters that an expression can have, less the shared ones
_DEFAULT = 0.01
_ROUNDS = 15  # of weighing runs by the surface, at most
_STAYS = 1e-3  # the surface stays when no parameter moves by more
_COUNTS = 0.03  # runs of less weight are left out, which saves time
ROBUST = Huber(1e-3, space="raw")
"""The objective by default: a tenth of a per cent is what seeds do; beyond it a run no longer pulls with its square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the joint surface leaves open.

    Attributes
    ----------
    threshold : float
        Excess, by the surface, at which a run counts half.
    batch_size_law : {"D", "N, D"}
        What the best batch depends on.
    asymmetric : bool
        Whether too high and too low a learning rate may cost differently.
    objective : Objective
        On the logarithm of the loss.
    """

    threshold: float
    batch_size_law: str = "N, D"
    asymmetric: bool = True
    objective: Objective = ROBUST


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Shape:
    """The shared parameters as arrays that broadcast: one set, or one for each draw.

    Attributes
    ----------
    values : (..., 10) float64
        In the order of `SHARED`.
    pivot : (4,) float64
        Means of ln N, ln D, ln lr and ln batch that the parameters are counted from.
    """

    values: F64
    pivot: F64

    def optimum(self, N: Any, D: Any) -> tuple[F64, F64]:
        """Logarithms of the best learning rate and of the best batch."""
        n, d = np.log(N) - self.pivot[0], np.log(D) - self.pivot[1]
        p = np.moveaxis(self.values, -1, 0)
        lr = self.pivot[2] + p[0] + p[1] * n + p[2] * d
        return np.asarray(lr), np.asarray(self.pivot[3] + p[3] + p[4] * n + p[5] * d)

    def excess(self, x: Any, y: Any) -> F64:
        """Relative excess loss at ln(lr / lr*) = x and ln(batch / batch*) = y."""
        ridge, a, k, b = np.moveaxis(self.values, -1, 0)[6:]
        w = k * np.clip(x - ridge * y, -500.0 / k, 500.0 / k)
        with np.errstate(over="ignore"):
            # The parts are logarithms of the loss; exp(...) - 1 makes a relative excess of their sum.
            return np.asarray(np.expm1(np.minimum(a * (np.expm1(w) - w) / k**2 + b * np.square(y), 500.0)))

    def powers(self) -> dict[str, F64]:
        """Ln c, exponents of N and D for lr; ln d, exponents of N and D for batch; each of the shape of the draws."""
        p = np.moveaxis(self.values, -1, 0)
        n, d, x, y = self.pivot
        return {
            "lr_c": x + p[0] - p[1] * n - p[2] * d,
            "lr_N": p[1],
            "lr_D": p[2],
            "batch_d": y + p[3] - p[4] * n - p[5] * d,
            "batch_N": p[4],
            "batch_D": p[5],
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Joint:
    """A joint surface fitted to a sweep.

    Attributes
    ----------
    shape : Shape
        The estimates.
    draws : Shape
        (m, 10): refits to resampled cells.
    failed : int
        Draws that are left out: too few different cells, or no convergence.
    requested : int
    floor : (c,) float64
        Least loss of each cell by the surface.
    choice : Choice
    fixed : tuple of str
        Shared parameters that the sweep cannot tell; they are zero.
    kept : (m,) int64
        Rows of the sweep that were fitted.
    kept_weights : (m,) float64
        How much each counted.
    rms : float
        Root mean square residual of the logarithm of the loss.
    at_bound : tuple of str
        Shared parameters at a bound.
    """

    shape: Shape
    draws: Shape
    failed: int
    requested: int
    floor: F64
    choice: Choice
    fixed: tuple[str, ...]
    kept: NDArray[np.int64]
    kept_weights: F64
    rms: float
    at_bound: tuple[str, ...]


def _law(cells: int) -> Law:
    w = "((x - ln_lr - lr_N * n - lr_D * d) - ridge * (y - ln_batch - batch_N * n - batch_D * d))"
    y = "(y - ln_batch - batch_N * n - batch_D * d)"
    floors = " + ".join(f"f{c} * c{c}" for c in range(cells))
    return law(
        f"{floors} + a * (exp(k * {w}) - 1 - k * {w}) / k**2 + b * {y}**2",
        vars=["x", "y", "n", "d", *(f"c{c}" for c in range(cells))],
        positive=["a", "k", "b"],
        bounds={"k": (_NARROW, 10.0), "a": (1e-9, 1e3), "b": (1e-9, 1e3), "ridge": (-3.0, 3.0)},
        name="hparam_surface",
    )


def free_powers(N: F64, D: F64) -> tuple[str, ...]:
    """Which of the exponents of N and D the cells cannot tell, and are held at zero.

    Examples
    --------
    >>> import numpy as np
    >>> free_powers(np.array([1e8, 1e8, 1e8]), np.array([1e9, 2e9, 4e9]))
    ('lr_N', 'batch_N')
    """
    n, d = np.log(N) - np.log(N).mean(), np.log(D) - np.log(D).mean()
    many, size, data = len(N) > 2, np.ptp(n) > 0.05, np.ptp(d) > 0.05
    # At one ratio of tokens to parameters the two exponents cannot be told apart: D carries both.
    along = size and data and (not many or abs(float(n @ d)) > 0.999 * float(np.sqrt((n @ n) * (d @ d))))
    fixed = () if size and not along else ("lr_N", "batch_N")
    return fixed if data else (*fixed, "lr_D", "batch_D")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class _Posed:
    """The runs below one threshold as the engine takes them."""

    law: Law
    columns: Mapping[str, F64]
    target: F64
    rows: NDArray[np.int64]
    cell: NDArray[np.int64]
    weights: F64
    pivot: F64
    start: F64

    @classmethod
    def of(cls, sweep: Sweep, rows: NDArray[np.intp], threshold: float, near: F64 | None = None) -> _Posed:
        cell = sweep.cell[rows]
        n, d = np.log(sweep.N), np.log(sweep.D)
        best = sweep.best
        pivot = np.array([n.mean(), d.mean(), sweep.ln_lr[best].mean(), sweep.ln_batch[best].mean()])
        columns = {
            "x": sweep.ln_lr[rows] - pivot[2],
            "y": sweep.ln_batch[rows] - pivot[3],
            "n": n[cell] - pivot[0],
            "d": d[cell] - pivot[1],
            **{f"c{c}": (cell == c).astype(np.float64) for c in range(sweep.cells)},
        }
        made = _law(sweep.cells)
        start = {f"f{c}": float(np.log(sweep.loss[row])) for c, row in enumerate(best)}
        # Curvatures such that the threshold is reached where the kept runs end.
        wide = [max(float(np.std(columns[name])), 0.1) for name in ("x", "y")]
        start |= {"a": 0.5 * threshold / wide[0] ** 2, "k": 0.6, "b": 0.25 * threshold / wide[1] ** 2, "ridge": 0.3}
        start |= dict.fromkeys(SHARED[:6], 0.0)
        return cls(
            law=made,
            columns=columns,
            target=np.log(sweep.loss[rows]),
            rows=rows.astype(np.int64),
            cell=cell,
            weights=sweep.weights[rows] * (1.0 if near is None else near),
            pivot=pivot,
            start=np.array([start[name] for name in made.parameters]),
        )

    def solve(
        self, choice: Choice, fixed: tuple[str, ...], weights: F64, starts: F64, n_threads: int | None
    ) -> tuple[F64, NDArray[np.bool_], F64, Any]:
        """(B, 10) shared parameters, (B,) whether converged, (B, c) floors, and the table."""
        held = dict.fromkeys(fixed, 0.0)
        if choice.batch_size_law == "D":
            held["batch_N"] = 0.0
        if not choice.asymmetric:
            held["k"] = _NARROW
        table = fit_many(
            self.law,
            self.columns,
            self.target,
            weights=weights * self.weights,
            starts=starts,
            objective=choice.objective,
            fix=held,
            # An optimum far outside the settings that were tried is no optimum: it would say that there is none.
            bounds={
                name: (float(self.columns[of].min()) - _OUTSIDE, float(self.columns[of].max()) + _OUTSIDE)
                for name, of in (("ln_lr", "x"), ("ln_batch", "y"))
            },
            n_threads=n_threads,
        )
        index = [table.names.index(name) for name in SHARED]
        floors = [table.names.index(f"f{c}") for c in range(len(self.columns) - 4)]
        return table.params[:, index], table.success, table.params[:, floors], table


def nearness(sweep: Sweep, shape: Shape, threshold: float) -> F64:
    """(n,) weight of each run by its excess on the surface; diverged runs have none."""
    x, y = shape.optimum(sweep.N, sweep.D)
    excess = shape.excess(sweep.ln_lr - x[sweep.cell], sweep.ln_batch - y[sweep.cell])
    with np.errstate(over="ignore"):  # far beyond the threshold the weight is zero
        return np.where(sweep.diverged, 0.0, np.exp2(-((excess / threshold) ** 4)))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class _Settled:
    """A surface and the runs it chose."""

    posed: _Posed
    values: F64
    params: F64
    floors: F64
    table: Any

    @property
    def shape(self) -> Shape:
        return Shape(values=self.values, pivot=self.posed.pivot)

    def start_in(self, posed: _Posed) -> F64:
        """The same surface as a start for other runs; all runs share one pivot."""
        start = posed.start.copy()
        names = list(posed.law.parameters)
        for name, value in zip(self.table.names, self.params, strict=True):
            start[names.index(name)] = value
        return start


def _settle(sweep: Sweep, choice: Choice, fixed: tuple[str, ...], n_threads: int | None) -> _Settled:
    """Fit the runs near the best of their cells, then all by their weights on the surface, until it stays."""
    rows = np.flatnonzero((sweep.excess <= choice.threshold) & ~sweep.diverged)
    posed = _Posed.of(sweep, rows, choice.threshold)
    # Several starts: the asymmetry is where a second optimum could hide.
    starts = np.repeat(posed.start[None, None, :], 3, axis=1)
    starts[0, :, list(posed.law.parameters).index("k")] = (0.6, 0.1, 2.0)
    found = _solved(posed, choice, fixed, starts, n_threads)
    weights: F64 | None = None
    for _ in range(_ROUNDS):
        near = nearness(sweep, found.shape, choice.threshold)
        weights = near if weights is None else 0.5 * (weights + near)
        rows = np.flatnonzero(weights > _COUNTS)
        # A surface that leaves a cell without runs has run away from them: the round before is the better answer.
        if len(np.unique(sweep.cell[rows])) < sweep.cells or len(rows) < sweep.cells + len(SHARED):
            break
        posed = _Posed.of(sweep, rows, choice.threshold, weights[rows])
        before, found = found, _solved(posed, choice, fixed, found.start_in(posed), n_threads)
        if np.abs(found.values - before.values).max() < _STAYS:
            break
    return found


def _solved(posed: _Posed, choice: Choice, fixed: tuple[str, ...], starts: F64, n_threads: int | None) -> _Settled:
    values, ok, floors, table = posed.solve(choice, fixed, np.ones((1, len(posed.rows))), starts, n_threads)
    if not ok[0]:
        raise DataError(f"no surface fits these runs: {table}", code="hparams-too-few-runs")
    return _Settled(posed=posed, values=values[0], params=table.params[0], floors=floors[0], table=table)


def candidates(sweep: Sweep, fixed: tuple[str, ...], thresholds: tuple[float, ...]) -> list[float]:
    """Thresholds below which there are runs enough to tell the surface."""
    free = len(SHARED) - len(fixed)
    found = []
    for threshold in thresholds:
        kept = sweep.cell[(sweep.excess <= threshold) & ~sweep.diverged]
        # Half of the cells with at least four runs, and in all more runs than there are parameters, with some to spare.
        counts = np.bincount(kept, minlength=sweep.cells)
        if np.median(counts) >= 4 and len(kept) >= 1.25 * (sweep.cells + free):
            found.append(threshold)
    return found


def costs_left_out(
    sweep: Sweep, left_out: NDArray[np.intp], shapes: Shape, steps: tuple[float, float] | None = None
) -> F64:
    """Mean excess of the runs around each prediction for a cell that was left out.

    Parameters
    ----------
    sweep : Sweep
    left_out : (B,) int
        Cell that each set of parameters did not see.
    shapes : Shape
        (B, 10).
    steps : (float, float), optional
        Distances in ln lr and ln batch at which a run counts half; by default the steps of the sweep's grid.

    Returns
    -------
    (B,) float64
    """
    steps = sweep.spacing() if steps is None else steps
    scale = np.array([step if np.isfinite(step) else 1.0 for step in steps])
    out = np.empty(len(left_out))
    for c in np.unique(left_out):
        mine, rows = np.flatnonzero(left_out == c), sweep.rows(int(c))
        at = Shape(values=shapes.values[mine], pivot=shapes.pivot).optimum(sweep.N[c], sweep.D[c])
        far = ((sweep.ln_lr[rows] - at[0][:, None]) / scale[0]) ** 2
        far += ((sweep.ln_batch[rows] - at[1][:, None]) / scale[1]) ** 2
        share = np.exp2(far.min(axis=1, keepdims=True) - far)
        limit = np.minimum(sweep.excess[rows], 1.0)
        out[mine] = share @ limit / share.sum(axis=1)
    return out


def choose(
    sweep: Sweep, options: list[Choice], fixed: tuple[str, ...], n_threads: int | None
) -> tuple[Choice, dict[Choice, float]]:
    """The option whose predictions for cells left out cost least, and the cost of each (mean over the cells).

    Options come by ascending threshold; once the cost has risen twice in a row, wider ones are not tried.
    """
    cells = np.arange(sweep.cells)
    found: dict[Choice, float] = {}
    for option in options:
        try:
            settled = _settle(sweep, option, fixed, n_threads)
        except DataError:  # no surface at this threshold; another one may have it
            continue
        posed = settled.posed
        mask = (posed.cell[None, :] != cells[:, None]).astype(np.float64)
        values, ok, _, _ = posed.solve(option, fixed, mask, settled.start_in(posed), n_threads)
        cost = costs_left_out(sweep, cells, Shape(values=values, pivot=posed.pivot))
        found[option] = float(np.where(ok, cost, 1.0).mean())
        costs = list(found.values())
        if len(costs) > 2 and costs[-1] > costs[-2] > costs[-3]:
            break
    if not found:
        message = "no surface fits these runs at any threshold"
        raise DataError(message, code="hparams-too-few-runs", runs=sweep.runs.n, cells=sweep.cells)
    return min(found, key=lambda option: found[option]), found


def options_of(
    sweep: Sweep,
    fixed: tuple[str, ...],
    *,
    threshold: float | None,
    batch_size_law: str,
    asymmetric: bool,
    objective: Objective,
) -> list[Choice]:
    """What is to be chosen from, as far as the caller leaves it open."""
    given = candidates(sweep, fixed, THRESHOLDS if threshold is None else (threshold,))
    if not given:
        counts = np.bincount(sweep.cell, minlength=sweep.cells)
        message = (
            f"{sweep.runs.n} runs in {sweep.cells} cells (median {np.median(counts):g} a cell) cannot determine a "
            "surface over learning rate and batch; it takes at least four runs near the best of most cells"
        )
        raise DataError(message, code="hparams-too-few-runs", runs=sweep.runs.n, cells=sweep.cells)
    on = "D" if "batch_N" in fixed else batch_size_law
    return [Choice(threshold=limit, batch_size_law=on, asymmetric=asymmetric, objective=objective) for limit in given]


def fit_joint(
    sweep: Sweep,
    *,
    threshold: float | None = None,
    batch_size_law: str = "N, D",
    asymmetric: bool = True,
    objective: Objective | None = None,
    draws: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[Joint, dict[Choice, float]]:
    """Fit the joint surface, and choose what is left open.

    Raises
    ------
    DataError
        ``hparams-too-few-runs``, ``hparams-too-many-cells``.
    """
    if sweep.cells > _MOST_CELLS:
        message = (
            f"the runs fall into {sweep.cells} cells of N and D, of which at most {_MOST_CELLS} can be fitted at once; "
            "a larger tolerance= joins sizes and token counts that nearly agree"
        )
        raise DataError(message, code="hparams-too-many-cells", cells=sweep.cells)
    fixed = free_powers(sweep.N, sweep.D)
    options = options_of(
        sweep,
        fixed,
        threshold=threshold,
        batch_size_law=batch_size_law,
        asymmetric=asymmetric,
        objective=ROBUST if objective is None else objective,
    )
    scores: dict[Choice, float] = {}
    exponents = 3 - len(fixed) // 2
    if len(options) == 1:
        choice = options[0]
    elif sweep.cells > exponents + 1:
        choice, scores = choose(sweep, options, fixed, n_threads)
    else:  # too few cells to leave one out
        choice = min(options, key=lambda option: abs(np.log(option.threshold / _DEFAULT)))
    settled = _settle(sweep, choice, fixed, n_threads)
    posed, table = settled.posed, settled.table
    residual = table.law.core().evaluate(
        [posed.columns[name] for name in table.law.core().variables], settled.params[None, :]
    )[0]
    drawn, failed = _draws(sweep, settled, choice, fixed, draws, seed, n_threads)
    touched = table.at_bound[0]
    return (
        Joint(
            shape=settled.shape,
            draws=Shape(values=drawn, pivot=posed.pivot),
            failed=failed,
            requested=draws,
            floor=np.exp(settled.floors),
            choice=choice,
            fixed=fixed,
            kept=posed.rows,
            kept_weights=posed.weights,
            rms=float(np.sqrt(np.average((residual - posed.target) ** 2, weights=posed.weights))),
            at_bound=tuple(name for name in SHARED if touched[table.names.index(name)]),
        ),
        scores,
    )


def _draws(
    sweep: Sweep,
    settled: _Settled,
    choice: Choice,
    fixed: tuple[str, ...],
    draws: int,
    seed: int,
    n_threads: int | None,
) -> tuple[F64, int]:
    """(m, 10) refits to resampled cells, and how many were left out."""
    if draws == 0 or sweep.cells < 2:
        return np.empty((0, len(SHARED))), draws
    posed = settled.posed
    counts = _core.resample_counts(seed, draws, np.arange(sweep.cells, dtype=np.int64), sweep.cells)
    values, ok, _, _ = posed.solve(choice, fixed, counts[:, posed.cell], settled.start_in(posed), n_threads)
    # The exponents need cells in general position: as many directions of (1, ln N, ln D) as there are exponents.
    design = [np.ones(sweep.cells)]
    design += [
        np.log(column) - np.log(column).mean()
        for column, name in ((sweep.N, "lr_N"), (sweep.D, "lr_D"))
        if name not in fixed
    ]
    X = np.column_stack(design)
    gram = np.einsum("bc,ci,cj->bij", (counts > 0).astype(np.float64), X, X)
    enough = np.linalg.eigvalsh(gram)[:, 0] > 1e-3 * np.linalg.eigvalsh(X.T @ X)[0]
    kept = ok & enough
    return values[kept], int(draws - kept.sum())
