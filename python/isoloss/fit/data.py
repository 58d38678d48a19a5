"""The fields of a fit and what follows from them: the base of `isoloss.Fit`, which adds what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from isoloss.config import made_by
from isoloss.engine.basins import Basins
from isoloss.engine.posing import Settings
from isoloss.engine.problem import F64, Problem
from isoloss.engine.status import Status
from isoloss.law.object import BoundLaw, Law
from isoloss.objective import Objective
from isoloss.runs.reading import Runs
from isoloss.stats.inference import Covariance, correlation

if TYPE_CHECKING:
    from isoloss.errors import Notice
    from isoloss.stats.draws import Draws
    from isoloss.stats.identifiability import Sloppiness

__all__ = ["FitData"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class FitData:
    """What a fit holds; see `isoloss.fit.object.Fit`."""

    law: Law
    runs: Runs
    params: Mapping[str, float]
    value: float
    status: Status
    basins: Basins
    covariance: Covariance
    at_bound: Mapping[str, int]
    warnings: tuple[Notice, ...]
    seconds: float
    settings: Settings
    problem: Problem
    reserve: F64
    rivals: int
    draws: Draws | None = None
    made_by: Mapping[str, str] = field(default_factory=made_by)

    # What it found ---------------------------------------------------------------------------------------------

    @property
    def objective(self) -> Objective:
        """The objective that was minimised; a delta that was asked for as ``"auto"`` is a number here."""
        return self.problem.objective

    @property
    def success(self) -> bool:
        """Whether the parameters are an optimum to working precision."""
        return self.status.success

    @property
    def n(self) -> int:
        """Number of runs that carry weight."""
        weights = self.problem.weights
        return self.runs.n if weights is None else int(np.count_nonzero(weights > 0.0))

    def counted(self) -> Self:
        """The same fit of the runs that carry weight alone: what asks how sure it is shall not see the others."""
        if self.n in (0, self.runs.n):
            return self
        rows, weights = self.problem.present, self.settings.weights
        settings = replace(self.settings, weights=None if weights is None else weights[rows])
        runs = self.runs.counted(self.problem.weights)
        return replace(self, runs=runs, problem=self.problem.counted(), settings=settings)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in the order of all arrays."""
        return self.problem.names

    @property
    def vector(self) -> F64:
        """(p,) the parameters as an array."""
        return np.array([self.params[name] for name in self.names], dtype=np.float64)

    @property
    def dropped(self) -> Any:
        """Rows that were left out when the runs were read, with the reasons."""
        return self.runs.dropped

    @property
    def cov(self) -> F64 | None:
        """(p, p) covariance of the parameters, or None."""
        return self.covariance.cov

    @property
    def cov_reason(self) -> str | None:
        """Why there is no covariance; None where there is one."""
        return self.covariance.reason

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors by name: zero where fixed, NaN where there is none."""
        if self.cov is None:
            return dict.fromkeys(self.names, float("nan"))
        with np.errstate(invalid="ignore"):  # a variance lost to rounding
            return dict(zip(self.names, np.sqrt(np.diag(self.cov)).tolist(), strict=True))

    @property
    def correlations(self) -> F64 | None:
        """(p, p) correlations of the parameters, or None; NaN for fixed ones."""
        return None if self.cov is None else correlation(self.cov)

    @property
    def sloppiness(self) -> Sloppiness | None:
        """Condition of the fit after scaling, and the direction in which parameters move most freely.

        None with fewer than two parameters free to move, or where a derivative is not finite.
        """
        from isoloss.stats.identifiability import sloppiness

        held = np.array([name in self.at_bound for name in self.names], dtype=np.bool_)
        return sloppiness(self.problem, self.vector, held)

    @property
    def residuals(self) -> F64:
        """(n,) T(prediction) - T(loss) of every run, in the space of the objective."""
        return self.objective.residuals(self.problem.predict(self.vector)[0], self.problem.target)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Least and largest N, D and C of the runs that carry weight, where known and above zero."""
        weights = self.problem.weights
        alive = slice(None) if weights is None else weights > 0.0
        columns = {n: self.runs.columns[n][alive] for n in ("N", "D", "C") if n in self.runs.columns}
        return {n: (float(x.min()), float(x.max())) for n, x in columns.items() if np.all(x > 0.0)}

    @property
    def bound(self) -> BoundLaw:
        """The law with the fitted parameters: a function of its variables."""
        if not self.law.pivots:
            return self.law.bind(self.params)
        constants = self.law.resolve_constants(self.runs.counted(self.problem.weights).columns)
        pivots = {name: constants[name] for name in self.law.pivots}
        return self.law.bind({**self.params, **pivots})
