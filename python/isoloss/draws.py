"""Bootstrap draws: the law refitted to resampled runs, all in one batch.

A draw is a vector of counts: how often each run (or group of runs) was drawn with replacement. Every draw is solved
from the optimum of the full data and from a few different points, because a warm start alone hides second basins; the
least objective among the converged ones is the draw. Draws of which none converged, or whose distinct points are fewer
than the parameters, are counted and left out, never averaged over (Efron and Tibshirani 1993, chapters 6 and 13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import _core
from isoloss._watch import OnInterrupt, Progress, Watch
from isoloss.errors import DataError, FitError, Notice, OptionError, did_you_mean
from isoloss.predict import Band, band
from isoloss.problem import F64, Problem, Solved, seed_number
from isoloss.status import Status
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.fit import Fit
    from isoloss.law import BoundLaw
    from isoloss.runs import Runs

__all__ = ["Draws", "bootstrap"]

_MOST_WEIGHTS = 30_000_000  # numbers in one matrix of resampling weights (240 MB)
_LOOK_UP = 1_000_000  # numbers that NumPy handles between two chances to interrupt it
_CANCELLED = int(Status["CANCELLED"])
_METHODS = ("case",)
RANK_DEFICIENT = 255
"""Stands in `Draws.status` for a resample with fewer distinct points than parameters."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Draws:
    """Parameters of a law refitted to resampled runs.

    Attributes
    ----------
    params : (m, p) float64
        Natural values of the draws that converged, in the order of `names`.
    names : tuple of str
    value : (m,) float64
        Objective of each.
    index : (m,) int64
        Number of each among those drawn: draws of two fits with the same index and seed share their resample.
    status : (n,) uint8
        Code of `Status` of every draw asked for; 255 where the resample had too few distinct points, ``CANCELLED``
        where an interrupt came first.
    won_by_start : tuple of int
        How often each start gave the least objective; the first is the warm start.
    method, by : str
        How runs were resampled, and what was resampled as one.
    units : int
        How many runs, or groups of runs, were resampled.
    seed : int
    bound : BoundLaw
        The law with the estimates of the full data.
    warnings : tuple of Notice
    """

    params: F64
    names: tuple[str, ...]
    value: F64
    index: NDArray[np.int64]
    status: NDArray[np.uint8]
    won_by_start: tuple[int, ...]
    method: str
    by: str
    units: int
    seed: int
    bound: BoundLaw
    warnings: tuple[Notice, ...] = ()

    def __len__(self) -> int:
        return len(self.params)

    @property
    def requested(self) -> int:
        """Number of draws asked for."""
        return len(self.status)

    @property
    def failed(self) -> int:
        """Number of draws that are left out."""
        return self.requested - len(self.params)

    def __getitem__(self, name: str) -> F64:
        """(m,) the draws of one parameter."""
        if name not in self.names:
            message = f"no parameter {name!r} among {', '.join(self.names)}{did_you_mean(name, self.names)}"
            raise OptionError(message, name=name)
        return self.params[:, self.names.index(name)]

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Percentile intervals.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        dict of str to (low, high)
            NaN when no draw converged.

        Raises
        ------
        OptionError
            Code ``option``: the level is not between 0 and 1.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> low, high = iso.fit("chinchilla", runs).bootstrap(500, seed=0).conf_int(0.9)["alpha"]
        >>> low < 0.348 < high
        True
        """
        low, high = percentiles(self.params, level)
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}

    def std(self) -> dict[str, float]:
        """Standard deviation of each parameter over the draws."""
        spread = np.std(self.params, axis=0, ddof=1) if len(self) > 1 else np.full(len(self.names), np.nan)
        return dict(zip(self.names, spread.tolist(), strict=True))

    def predict(self, *, level: float = 0.95, **columns: ArrayLike | str) -> Band:
        """Predicted loss with a percentile band of the draws (of the mean, not of a new run).

        Parameters
        ----------
        level : float
        **columns
            Variables by role, as for `Fit.predict`.

        Returns
        -------
        Band
            ``estimate``, ``low`` and ``high``: floats for scalars, else arrays.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> band = iso.fit("chinchilla", runs).bootstrap(200, seed=0).predict(N="70B", D="1.4T")
        >>> bool(band.low < band.estimate < band.high)
        True
        """
        return band(self.bound, self.params, columns, level)

    def summary(self, *, level: float = 0.95) -> str:
        """Intervals of all parameters and what was resampled, for a terminal."""
        spread = self.std()
        rows = [
            (name, format_number(self.bound.params[name], 5), format_number(spread[name], 3), *map(_short, interval))
            for name, interval in self.conf_int(level).items()
        ]
        rows.insert(0, ("", "estimate", "std", f"{100 * level:g} % low", "high"))
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        lines = [self._headline()]
        lines += [f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[k]:>{widths[k]}}" for k in range(1, 5)) for row in rows]
        lines.append(f"  {self._wins()}")
        lines += [f"  {notice}" for notice in self.warnings]
        return "\n".join(lines)

    def _headline(self) -> str:
        what = "runs" if self.by == "row" else f"groups (by {self.by})"
        left_out = f", {self.failed:,} failed and left out" if self.failed else ""
        return f"{len(self):,} {self.method} bootstrap draws of {self.units:,} {what}, seed {self.seed}{left_out}"

    def _wins(self) -> str:
        total = max(sum(self.won_by_start), 1)
        if len(self.won_by_start) == 1:
            return "warm start only"
        other = total - self.won_by_start[0]
        return f"warm start best in {100 * (total - other) / total:.1f} % of the draws, another start in {other:,}"

    def __repr__(self) -> str:
        return f"Draws({len(self):,} of {self.bound.law.name}: {', '.join(self.names)}; {self.failed:,} failed)"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.summary())


def _short(value: float) -> str:
    return format_number(value, 4)


def percentiles(samples: F64, level: float) -> tuple[F64, F64]:
    """Percentiles that leave (1 - level)/2 on either side, over the first axis."""
    if not 0.0 < level < 1.0:
        message = f"level={level!r} is not between 0 and 1"
        raise OptionError(message, argument="level")
    if len(samples) == 0:
        nothing = np.full(samples.shape[1:], np.nan)
        return nothing, nothing
    low, high = np.quantile(samples, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    return np.asarray(low), np.asarray(high)


def bootstrap(
    fit: Fit,
    n: int,
    *,
    method: str,
    by: str | None,
    seed: int | np.random.Generator,
    starts: int,
    n_threads: int | None,
    progress: Progress | None,
    on_interrupt: OnInterrupt = "raise",
) -> Draws:
    """Refit to resampled runs; see `isoloss.fit.Fit.bootstrap`."""
    watch = Watch(progress, on_interrupt, n_threads)
    asked: tuple[tuple[str, Any, int], ...] = (("n", n, 1), ("starts", starts, 0))
    for name, value, least in asked:
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            message = f"{name}={value!r} is not a whole number from {least} up"
            raise OptionError(message, argument=name)
    if method not in _METHODS:
        message = f"method={method!r} is not a way to resample{did_you_mean(method, _METHODS)}; known: case"
        raise OptionError(message, argument="method")
    if not np.isfinite(fit.value):
        message = f"there is no optimum to resample around: {fit.status.message}"
        raise FitError(message, code="fit-failed")
    unit, clusters, units = _clusters(fit.runs, by)
    number = seed_number(seed)
    points = _starting_points(fit, int(starts))
    solved, deficient = _solve(fit.problem, points, int(n), clusters, units, number, watch)
    return _pick(fit, solved, deficient, method=method, by=unit, units=units, seed=number)


def _clusters(runs: Runs, by: str | None) -> tuple[str, NDArray[np.int64], int]:
    """What is resampled as one: its name, the code of each run, and how many codes there are."""
    if by is None:
        by = "row" if runs.group is None else "group"
    if by == "row":
        return by, np.arange(runs.n, dtype=np.int64), runs.n
    if by == "group":
        if runs.group is None:
            message = "by='group': these runs have no group; name one with read(..., group=...)"
            raise DataError(message, code="data-missing-column", column="group")
        values: NDArray[Any] = runs.group
    elif by in runs.columns:
        values = runs.columns[by]
    else:
        message = f"by={by!r} names no column of the runs{did_you_mean(by, runs.columns)}"
        raise DataError(message, code="data-missing-column", column=by)
    labels, codes = np.unique(values, return_inverse=True)
    if len(labels) < 2:
        message = f"resampling by {by!r} needs at least two groups; there is {len(labels)}"
        raise DataError(message, code="data-too-few-points", groups=len(labels))
    return by, codes.astype(np.int64).ravel(), len(labels)


def _starting_points(fit: Fit, extra: int) -> F64:
    """(1 + extra, p): the optimum, then other optima and start points in about equal parts."""
    rivals = min(fit.rivals, (extra + 1) // 2)
    cold = fit.reserve[fit.rivals :]
    wanted = min(extra - rivals, len(cold))
    spread = cold[np.linspace(0, len(cold) - 1, wanted).astype(np.intp)] if wanted else cold[:0]
    return np.concatenate([fit.vector[None, :], fit.reserve[:rivals], spread])


def _solve(
    problem: Problem,
    points: F64,
    n: int,
    clusters: NDArray[np.int64],
    units: int,
    seed: int,
    watch: Watch,
) -> tuple[Solved, NDArray[np.bool_]]:
    """All draws from all points, draw-major, and which resamples are rank-deficient."""
    each = len(points)
    chunk = max(1, min(n, _MOST_WEIGHTS // max(len(clusters), 1)))
    parts: list[Solved] = []
    lacking: list[NDArray[np.bool_]] = []
    watch.total = n * each
    try:
        # One chunk, and so one call of the engine, unless the weights would not fit in memory comfortably.
        for first in range(0, n, chunk):
            size = min(chunk, n - first)
            stream = seed if first == 0 else int(np.random.SeedSequence([seed, first]).generate_state(1, np.uint64)[0])
            counts = _core.resample_counts(stream, size, clusters, units, threads=watch.threads)
            deficient = _rank_deficient(problem, counts)
            if problem.weights is not None:
                counts *= problem.weights
            watch.before = first * each
            solved = problem.solve(
                np.tile(points, (size, 1)),
                weights=counts,
                weight_index=np.repeat(np.arange(size, dtype=np.int64), each),
                watch=watch,
            )
            parts.append(solved)
            lacking.append(deficient)
            if watch.stopped:
                break
    except KeyboardInterrupt:
        # Between two calls of the engine; inside of one it is the engine that hears it.
        if not watch.partial:
            raise
    del lacking[len(parts) :], parts[len(lacking) :]
    missing = n - sum(len(some) for some in lacking)
    if missing:
        parts.append(_unfinished(missing, points))
        lacking.append(np.zeros(missing, dtype=np.bool_))
    return _joined(parts), np.concatenate(lacking)


def _unfinished(draws: int, points: F64) -> Solved:
    """Draws that an interrupt kept from being solved."""
    rows = draws * len(points)
    return Solved(
        params=np.tile(points, (draws, 1)),
        value=np.full(rows, np.nan),
        status=np.full(rows, _CANCELLED, dtype=np.uint8),
        iterations=np.zeros(rows, dtype=np.uint32),
        at_bound=np.zeros((rows, points.shape[1]), dtype=np.int8),
    )


def _joined(parts: list[Solved]) -> Solved:
    if len(parts) == 1:
        return parts[0]
    fields = Solved.__dataclass_fields__
    return Solved(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


def _rank_deficient(problem: Problem, counts: F64) -> NDArray[np.bool_]:
    """(draws,) whether a resample has fewer distinct points than there are free parameters."""
    free = int(problem.parameters.free.sum())
    codes = np.zeros(len(problem.target), dtype=np.int64)
    for column in problem.columns:
        _, rank = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * (int(rank.max()) + 1) + rank, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    firsts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    alive = None if problem.weights is None else problem.weights > 0.0
    lacking = np.empty(len(counts), dtype=np.bool_)
    # Some draws at a time: the copies stay small, and Python looks up between them.
    step = max(1, _LOOK_UP // max(counts.shape[1], 1))
    for first in range(0, len(counts), step):
        present = counts[first : first + step] > 0.0
        if alive is not None:
            present &= alive
        if len(firsts) < present.shape[1]:
            present = np.logical_or.reduceat(present[:, order], firsts, axis=1)
        lacking[first : first + step] = np.count_nonzero(present, axis=1) < free
    return lacking


def _pick(
    fit: Fit, solved: Solved, deficient: NDArray[np.bool_], *, method: str, by: str, units: int, seed: int
) -> Draws:
    """The least objective among the converged starts of each draw."""
    n = len(deficient)
    score = np.where(solved.ok, solved.score(), np.inf).reshape(n, -1)
    best = np.argmin(score, axis=1)
    rows = np.arange(n)
    least = score[rows, best]
    # A draw that lacks a start may lack its best one.
    cut = (solved.status == _CANCELLED).reshape(n, -1).any(axis=1)
    kept = np.isfinite(least) & ~deficient & ~cut
    # Equal to rounding is a tie, which the earlier start wins: only real improvements count for the later ones.
    winner = np.argmax(score <= (least + 1e-9 * np.abs(least))[:, None], axis=1)
    at = rows * score.shape[1] + best
    status = solved.status[at].copy()
    status[deficient] = RANK_DEFICIENT
    status[cut] = _CANCELLED
    undone = int(cut.sum())
    failed = int(n - kept.sum()) - undone
    warnings: tuple[Notice, ...] = ()
    if undone:
        message = f"interrupted: {n - undone:,} of {n:,} draws were finished"
        counted = {"finished": n - undone, "draws": n}
        warnings = (Notice(code="interrupted", severity="serious", message=message, details=counted),)
    if failed:
        few = int((deficient & ~cut).sum())
        reason = f", {few:,} of them for too few distinct points" if few else ""
        message = f"{failed:,} of {n:,} draws failed and are left out{reason}"
        details = {"failed": failed, "draws": n, "rank_deficient": few}
        severe = failed > 0.05 * n
        warnings += (
            Notice(code="draws-failed", severity="serious" if severe else "warning", message=message, details=details),
        )
    return Draws(
        params=np.ascontiguousarray(solved.params[at][kept]),
        names=fit.names,
        value=solved.value[at][kept],
        index=np.flatnonzero(kept).astype(np.int64),
        status=status,
        won_by_start=tuple(np.bincount(winner[kept], minlength=score.shape[1]).tolist()),
        method=method,
        by=by,
        units=units,
        seed=seed,
        bound=fit.bound,
        warnings=warnings,
    )


def from_parts(parts: Mapping[str, Any], bound: BoundLaw) -> Draws:
    """Draws from their stored parts, for `isoloss.store`."""
    made = Draws(
        params=np.array(parts["params"], dtype=np.float64).reshape(-1, len(parts["names"])),
        names=tuple(parts["names"]),
        value=np.array(parts["value"], dtype=np.float64),
        index=np.array(parts["index"], dtype=np.int64),
        status=np.array(parts["status"], dtype=np.uint8),
        won_by_start=tuple(int(count) for count in parts["won_by_start"]),
        method=str(parts["method"]),
        by=str(parts["by"]),
        units=int(parts["units"]),
        seed=int(parts["seed"]),
        bound=bound,
    )
    return replace(made, warnings=tuple(Notice.from_dict(notice) for notice in parts["warnings"]))
