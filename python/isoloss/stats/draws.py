"""Draws: the law refitted to resampled runs, with the intervals and bands that follow.

A draw is a fit to other weights or other losses (`isoloss.stats.resampling`). Draws that did not converge, or whose
points cannot determine the parameters (`isoloss.stats.rank`), are counted and left out, never averaged over (Efron and
Tibshirani 1993, chapters 6 and 13). What kinds of intervals there are, `isoloss.stats.intervals` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.problem import F64
from isoloss.errors import Notice, OptionError, did_you_mean, out_of_memory
from isoloss.objective import Objective, SquaredError
from isoloss.stats.bands import Band, band
from isoloss.stats.intervals import check_interval, ends, jackknife_error, least_draws
from isoloss.stats.noise import NoiseModel
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.law.object import BoundLaw

__all__ = ["RANK_DEFICIENT", "Basis", "Draws", "from_parts"]

RANK_DEFICIENT = 255
"""Stands in `Draws.status` for a resample that cannot determine the parameters (`isoloss.stats.rank`)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """What intervals need to know beside the draws.

    Attributes
    ----------
    interval : str
        The kind of interval by default, one of `isoloss.stats.intervals.INTERVALS`.
    df : float
        Degrees of freedom behind the size of the noise.
    calibrated : bool
        False where the draws are known to be too much alike, or too few units: then their percentiles are no confidence
        interval, and are not called one.
    positive : (p,) bool
        Parameters above zero.
    left_out : (units, p) float64 or None
        Parameters without each unit; NaN where that fit failed.
    cov : (p, p) float64 or None
        Covariance of the estimates, and `covs`, (m, p, p), of each draw: for studentised intervals.
    covs : (m, p, p) float64 or None
    noise : NoiseModel or None
        Of a single run, for ``kind="new-run"``.
    objective : Objective
        In whose space the noise is measured.
    ranges : mapping of str to (low, high)
        Least and largest N, D and C of the runs, from which extrapolation is measured.
    """

    interval: str = "percentile"
    df: float = math.inf
    calibrated: bool = True
    positive: NDArray[np.bool_] | None = None
    left_out: F64 | None = None
    cov: F64 | None = None
    covs: F64 | None = None
    noise: NoiseModel | None = None
    objective: Objective = field(default_factory=SquaredError)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        names = ("interval", "df", "calibrated", "positive", "left_out", "cov", "covs")
        return {
            **{name: getattr(self, name) for name in names},
            "noise": None if self.noise is None else self.noise.to_dict(),
            "objective": self.objective.to_dict(),
            "ranges": {name: list(pair) for name, pair in self.ranges.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Basis:
        """Inverse of `to_dict`."""
        arrays = {
            name: None if data[name] is None else np.array(data[name], dtype=np.float64)
            for name in ("left_out", "cov", "covs")
        }
        return cls(
            interval=check_interval(data["interval"]),
            df=float(data["df"]),
            calibrated=bool(data["calibrated"]),
            positive=None if data["positive"] is None else np.array(data["positive"], dtype=np.bool_),
            noise=None if data["noise"] is None else NoiseModel.from_dict(data["noise"]),
            objective=Objective.from_dict(data["objective"]),
            ranges={name: (float(low), float(high)) for name, (low, high) in data["ranges"].items()},
            **arrays,
        )


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
        Code of `Status` of every draw asked for; 255 where the resample cannot determine the parameters, ``CANCELLED``
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
    basis : Basis
        What the intervals rest on: their default kind, degrees of freedom, the noise of a run.
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
    basis: Basis = field(default_factory=Basis)

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

    @property
    def estimate(self) -> F64:
        """(p,) the estimates of the full data."""
        return np.array([self.bound.params[name] for name in self.names], dtype=np.float64)

    def calibrated(self, level: float = 0.95) -> bool:
        """Whether intervals of these draws may be called confidence intervals at a level.

        Not so where `Basis.calibrated` says no, where there are fewer draws than
        `isoloss.stats.intervals.least_draws`, nor where a jackknife lost a block: its error lacks the part of it.
        """
        enough = self.failed == 0 and len(self) > 1 if self.method == "jackknife" else len(self) >= least_draws(level)
        return self.basis.calibrated and enough

    def __getitem__(self, name: str) -> F64:
        """(m,) the draws of one parameter."""
        if name not in self.names:
            message = f"no parameter {name!r} among {', '.join(self.names)}{did_you_mean(name, self.names)}"
            raise OptionError(message, name=name)
        return self.params[:, self.names.index(name)]

    def conf_int(self, level: float = 0.95, *, interval: str | None = None) -> dict[str, tuple[float, float]]:
        """Confidence intervals of the parameters.

        Parameters
        ----------
        level : float
            Between 0 and 1.
        interval : {"percentile", "expanded", "bca", "studentized", "jackknife"}, optional
            By default what was measured to cover best with the method of these draws, ``basis.interval``:
            ``"expanded"`` percentiles around the fit, plain ``"percentile"`` for resampled runs.

        Returns
        -------
        dict of str to (low, high)
            NaN when no draw converged, or but one block of a jackknife.

        Raises
        ------
        OptionError
            Code ``option``: the level is not between 0 and 1, or the kind of interval is unknown or not to be had.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> low, high = iso.fit("chinchilla", runs).bootstrap(500, seed=0).conf_int(0.9)["alpha"]
        >>> low < 0.348 < high
        True
        """
        left_out = self.basis.left_out
        errors = None
        if self.basis.covs is not None and self.basis.cov is not None:
            curved = self._curved()
            with np.errstate(divide="ignore", invalid="ignore"):
                own = np.sqrt(np.diag(self.basis.cov))
                each = np.sqrt(np.einsum("mii->mi", self.basis.covs))
                errors = (own / np.where(curved, self.estimate, 1.0), each / np.where(curved, self.params, 1.0))
        low, high = self.ends(self.params, self.estimate, level, interval, left_out, errors, self._curved())
        fixed = self._still()
        low, high = np.where(fixed, self.estimate, low), np.where(fixed, self.estimate, high)
        return {name: (float(a), float(b)) for name, a, b in zip(self.names, low, high, strict=True)}

    def ends(
        self,
        samples: F64,
        estimate: F64,
        level: float,
        interval: str | None = None,
        left_out: F64 | None = None,
        errors: tuple[F64, F64] | None = None,
        logarithm: NDArray[np.bool_] | None = None,
    ) -> tuple[F64, F64]:
        """Interval of any statistic computed from each draw.

        Parameters
        ----------
        samples : (m, ...) float64
            The statistic of each draw.
        estimate : (...) float64
            That of the fit.
        level : float
        interval : str, optional
        left_out, errors, logarithm
            As `isoloss.stats.intervals.ends` takes them.

        Returns
        -------
        low, high : (...) float64
        """
        kind = self.basis.interval if interval is None else check_interval(interval)
        if self.method == "jackknife" and kind != "jackknife":
            message = f"interval={kind!r} needs draws; leaving blocks out gives interval='jackknife'"
            raise OptionError(message, argument="interval")
        if kind == "jackknife" and self.method != "jackknife":
            message = "interval='jackknife' needs bootstrap(method='jackknife')"
            raise OptionError(message, argument="interval")
        return ends(
            kind,
            samples,
            estimate,
            level,
            df=self.basis.df,
            left_out=left_out,
            errors=errors,
            logarithm=logarithm,
        )

    def _still(self) -> NDArray[np.bool_]:
        """(p,) which parameters are the same in all draws, as fixed ones are."""
        return np.ptp(self.params, axis=0) == 0.0 if len(self) > 1 else np.zeros(len(self.names), dtype=np.bool_)

    def _curved(self) -> NDArray[np.bool_]:
        """(p,) which parameters are studentised in their logarithms."""
        positive = self.basis.positive
        return np.zeros(len(self.names), dtype=np.bool_) if positive is None else positive

    def std(self) -> dict[str, float]:
        """Standard deviation of each parameter over the draws; for the jackknife its standard error."""
        if len(self) < 2:
            spread = np.full(len(self.names), np.nan)
        elif self.method == "jackknife":
            spread = jackknife_error(self.params)
        else:
            spread = np.std(self.params, axis=0, ddof=1)
        spread = np.where(self._still(), 0.0, spread)  # a mean of equal numbers may be off by a rounding
        return dict(zip(self.names, spread.tolist(), strict=True))

    @out_of_memory("predict")
    def predict(
        self, *, level: float = 0.95, kind: str = "mean", interval: str | None = None, **columns: ArrayLike | str
    ) -> Band:
        """Predicted loss with an interval.

        Parameters
        ----------
        level : float
        kind : {"mean", "new-run"}
            Where the law itself lies, or where the loss of one new run will: that adds the noise of a run, whose size
            may depend on the scale (`Basis.noise`). Of weighted runs it is the noise of one of the middle weight.
        interval : str, optional
            As for `conf_int`.
        **columns
            Variables by role, as for `Fit.predict`.

        Returns
        -------
        Band
            ``estimate``, ``low`` and ``high``: floats for scalars, else arrays; and by how many decades each point lies
            beyond the runs.

        Raises
        ------
        OptionError
            Code ``option``: an unknown kind, or the noise of a run is not known.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> draws = iso.fit("chinchilla", runs).bootstrap(200, seed=0)
        >>> print(draws.predict(N="70B", D="1.4T"))
        1.979 [1.97..., 1.98...], beyond the runs by 1.2 decades of N, 1.3 of C
        >>> new = draws.predict(kind="new-run", N="70B", D="1.4T")
        >>> bool(new.high - new.low > 0.002)
        True
        """
        return band(self, columns, level, kind, interval)

    def summary(self, *, level: float = 0.95) -> str:
        """Intervals of all parameters and what was resampled, for a terminal."""
        spread = self.std()
        rows = [
            (name, format_number(self.bound.params[name], 5), format_number(spread[name], 3), *map(_short, interval))
            for name, interval in self.conf_int(level).items()
        ]
        share = f"{100 * level:g} %" if self.calibrated(level) else f"{100 * level:g} % of draws,"
        rows.insert(0, ("", "estimate", "std", f"{share} low", "high"))
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        lines = [self._headline()]
        lines += [f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[k]:>{widths[k]}}" for k in range(1, 5)) for row in rows]
        lines.append(f"  {self.describe_interval(level)}")
        lines.append(f"  {self._wins()}")
        lines += [f"  {notice}" for notice in self.warnings]
        return "\n".join(lines)

    def describe_interval(self, level: float = 0.95) -> str:
        """What the intervals are, in words."""
        if not self.calibrated(level):
            what = (
                "jackknife errors, which make" if self.method == "jackknife" else "percentiles of the draws, which are"
            )
            return f"{what} no confidence interval here"
        kind = self.basis.interval
        if kind == "expanded" and math.isinf(self.basis.df):  # the noise is given, so there is nothing to expand for
            kind = "percentile"
        words = {
            "percentile": "percentile intervals",
            "expanded": f"percentile intervals expanded for {self.basis.df:g} degrees of freedom",
            "bca": "bias-corrected and accelerated intervals",
            "studentized": "studentised intervals",
            "jackknife": "jackknife intervals",
        }[kind]
        return f"{words} of what other seeds would change, and no more" if self.method == "seed-noise" else words

    def _headline(self) -> str:
        what = "runs" if self.by == "row" else f"groups (by {self.by})"
        left_out = f", {self.failed:,} failed and left out" if self.failed else ""
        if self.method == "jackknife":
            return f"jackknife of {self.units:,} {what} in {self.requested:,} blocks, seed {self.seed}{left_out}"
        return f"{len(self):,} {self.method} bootstrap draws of {self.units:,} {what}, seed {self.seed}{left_out}"

    def _wins(self) -> str:
        total = sum(self.won_by_start)
        if total == 0:
            return "no draw to tell which start is best"
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
    notices = tuple(Notice.from_dict(notice) for notice in parts["warnings"])
    return replace(made, warnings=notices, basis=Basis.from_dict(parts["basis"]))
