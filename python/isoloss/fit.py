"""Fit one law to one set of runs, from many starts, and keep everything one needs to judge the result.

The objective is summed over runs exactly as the papers write it (see `isoloss.objective`). All starts are solved in one
batch; the best optimum is the fit, the others its census (`Fit.basins`). A fit that does not converge says so in its
`status` and `warnings`; only wrong input raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss._fitrun import run
from isoloss._objectivebase import Delta
from isoloss._watch import OnInterrupt, Progress, Watch
from isoloss.basins import Basins
from isoloss.draws import Draws, bootstrap
from isoloss.inference import Covariance, correlation
from isoloss.law import BoundLaw, Law
from isoloss.objective import Objective, resolve
from isoloss.plan import Allocation, allocate
from isoloss.posing import Bounds, Settings, as_law, frozen_starts, given_weights
from isoloss.predict import predict
from isoloss.problem import F64, Problem, seed_number
from isoloss.runs import Runs, as_runs
from isoloss.starts import Starts
from isoloss.status import Status
from isoloss.summary import summarise

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.errors import Notice

__all__ = ["Fit", "fit"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Fit:
    """A fitted law; made by `isoloss.fit` or `isoloss.load`.

    Attributes
    ----------
    law : Law
    runs : Runs
    objective : Objective
    params : mapping of str to float
        Natural values, in the order of ``law.parameters``.
    value : float
        The objective at `params`: a sum over runs.
    status : Status
        Why the best start stopped; ``status.message`` says it in words.
    basins : Basins
        What became of all starts.
    cov : (p, p) ndarray or None
        Sandwich covariance in natural parameters, cluster-robust when the runs have a group. None where it would
        mislead; `cov_reason` says why.
    at_bound : mapping of str to int
        -1 or +1 for each parameter at its lower or upper bound; others are absent.
    warnings : tuple of Notice
    seconds : float
        Wall time.
    draws : Draws or None
        Bootstrap draws attached by `with_draws`, or read from a file.
    """

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
        return dict(zip(self.names, np.sqrt(np.diag(self.cov)).tolist(), strict=True))

    @property
    def correlations(self) -> F64 | None:
        """(p, p) correlations of the parameters, or None; NaN for fixed ones."""
        return None if self.cov is None else correlation(self.cov)

    @property
    def residuals(self) -> F64:
        """(n,) T(prediction) - T(loss) of every run, in the space of the objective."""
        return self.objective.residuals(self.problem.predict(self.vector)[0], self.problem.target)

    @property
    def bound(self) -> BoundLaw:
        """The law with the fitted parameters: a function of its variables."""
        constants = self.law.resolve_constants(self.runs.columns)
        pivots = {name: constants[name] for name in self.law.pivots}
        return self.law.bind({**self.params, **pivots})

    def summary(self, *, level: float = 0.95, width: int = 88) -> str:
        """The fit in words and numbers, for a terminal.

        Parameters
        ----------
        level : float
            Of the bootstrap intervals, where draws are attached.
        width : int
            Columns to keep to.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> print(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).summary())
        chinchilla: L = E + A / N**alpha + B / D**beta
        ...
        """
        return summarise(self, level=level, width=width)

    def __reduce__(self) -> tuple[Any, ...]:
        # The compiled expression cannot be pickled; it is made again from the text.
        from isoloss.store import fit_from_dict

        return fit_from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.params.items())
        return f"Fit({self.law.name}: {values}; value {self.value:.6g}, {self.status.name.lower()})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.summary())

    # What one does with it -------------------------------------------------------------------------------------

    def predict(self, frame: Any = None, **columns: ArrayLike | str) -> Any:
        """Loss predicted by the fitted law.

        Parameters
        ----------
        frame : pandas, polars or pyarrow table, or Runs, optional
            Its columns are found by role, under the names the runs were read with or the roles' own names; a batch in
            tokens, under the name ``batch``.
        **columns
            Variables by role instead: numbers, texts such as ``"70B"``, or arrays, which broadcast. N, D and C
            complete each other.

        Returns
        -------
        float, ndarray or frame
            A float for scalars, an array for arrays, and for a frame one of the same type with a further column
            ``loss_pred``.

        Raises
        ------
        LawError, DataError
            A variable is missing, unknown, or cannot take the value.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss})
        >>> round(fit.predict(N="70B", D="1.4T"), 3)
        1.973
        """
        return predict(self, frame, columns)

    def bootstrap(
        self,
        n: int = 4000,
        *,
        method: str = "case",
        by: str | None = None,
        seed: int | np.random.Generator = 0,
        starts: int = 3,
        n_threads: int | None = None,
        progress: Progress | None = None,
        on_interrupt: OnInterrupt = "raise",
    ) -> Draws:
        """Refit to resampled runs.

        Parameters
        ----------
        n : int
            Number of draws.
        method : {"case"}
            Resampling of runs with replacement.
        by : str, optional
            What is resampled: ``"row"`` for single runs, ``"group"`` for the groups of the runs, or a column whose
            equal values belong together. By default groups where the runs have them, else rows.
        seed : int or numpy Generator
        starts : int
            Starts of each draw besides the warm one at the optimum: other optima of the census, then start points.
        n_threads : int, optional
            The draws do not depend on it.
        progress : callable, optional
            Called as ``progress(done, total)``; True stops as Ctrl-C does.
        on_interrupt : {"raise", "partial"}
            What Ctrl-C does: raise KeyboardInterrupt, or return the draws that are finished.

        Returns
        -------
        Draws

        Raises
        ------
        OptionError
            Code ``option``: an unknown method, or a number below one.
        DataError
            Code ``data-missing-column``: `by` names no column; ``data-too-few-points``: fewer than two groups.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> draws = iso.fit("chinchilla", runs).bootstrap(200, seed=0)
        >>> draws.params.shape
        (200, 5)
        """
        return bootstrap(
            self,
            n,
            method=method,
            by=by,
            seed=seed,
            starts=starts,
            n_threads=n_threads,
            progress=progress,
            on_interrupt=on_interrupt,
        )

    def with_draws(self, draws: Draws) -> Fit:
        """The same fit with draws attached: its summary, plans and file then carry intervals."""
        return replace(self, draws=draws)

    def allocate(
        self,
        C: ArrayLike | str,
        *,
        flops: str | float = "6ND",
        draws: Draws | None = None,
        level: float = 0.95,
        **fixed: float,
    ) -> Allocation:
        """Compute-optimal N and D.

        Parameters
        ----------
        C : float, text such as ``"1e24"``, or array_like
            Compute in FLOPs.
        flops : {"6ND"} or float
            FLOPs per parameter and token; ``"6ND"`` is 6.
        draws : Draws, optional
            For intervals; by default the attached draws, if any.
        level : float
        **fixed
            Values of further variables of the law.

        Returns
        -------
        Allocation

        Raises
        ------
        LawError
            Code ``law-missing-name``: the law does not depend on N and D, or another variable has no value.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> print(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).allocate(C=5.76e23))
        N 72.4B | D 1.33T | D/N 18.3 | loss 1.974
        """
        return allocate(self, C, flops=flops, draws=self.draws if draws is None else draws, level=level, fixed=fixed)

    def rerun(self, *, n_threads: int | None = None) -> Fit:
        """Fit the same law to the same data with the same settings again; the same bits with the same version."""
        return run(self.law, self.runs, self.settings, Watch(n_threads=n_threads))

    def save(self, path: str | PathLike[str], *, draws: Draws | None = None) -> None:
        """Write the fit, its data and its draws to a JSON file; `isoloss.load` reads it.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        draws : Draws, optional
            To store with it, instead of the attached ones.
        """
        from isoloss.store import save

        save(self if draws is None else self.with_draws(draws), path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; what `save` writes."""
        from isoloss.store import fit_to_dict

        return fit_to_dict(self)


def fit(
    law: Law | str,
    runs: Any,
    *,
    objective: Objective | str | None = None,
    delta: Delta | None = None,
    starts: Starts = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    weights: ArrayLike | str | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: OnInterrupt = "raise",
) -> Fit:
    """Fit a law to runs.

    Parameters
    ----------
    law : Law or str
        A law, the name of one (`isoloss.laws.names`), or a text such as ``"E + A / N**alpha"``.
    runs : Runs or anything that `isoloss.read` takes
        With a loss and the law's variables.
    objective : Objective or str, optional
        By default the law's recipe. Texts such as ``"huber_log"`` are understood.
    delta : float or "auto", optional
        Width of the objective, where it has one. ``"auto"``, here or in the objective, is 1.345 times the robust sigma
        of the residuals (from their median absolute deviation), iterated to a fixed point; it ends up in
        ``Fit.objective.delta``.
    starts : int, mapping, array_like, optional
        Number of automatic starts; values by name, of which the product is taken (parameters left out are found
        automatically); one point (p,) or several (S, p). By default the law's own rule.
    fix : mapping of str to float, optional
        Parameters to hold at a value.
    tie : mapping of str to str, optional
        Parameters that must equal another one: ``{"beta": "alpha"}``.
    bounds : mapping of str to (low, high), optional
        Instead of the law's; None is open, ``"min_loss"`` the least loss.
    weights : (n,) array_like or str, optional
        Zero or above, by run or the name of a column; multiplied with the weights of the runs, if these have any. A
        run of weight zero counts as absent.
    seed : int or numpy Generator
        Shifts the automatic starts.
    n_threads : int, optional
        The result does not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)``; True stops as Ctrl-C does, an exception comes back unchanged.
    on_interrupt : {"raise", "partial"}
        What Ctrl-C does: raise KeyboardInterrupt, or return the best of the starts that are finished, with a warning
        ``interrupted``. Before the first start is on its way it raises.

    Returns
    -------
    Fit
        Also when no start converged: look at `status`.

    Raises
    ------
    DataError
        Codes ``data-missing-role``, ``data-nonpositive``, ``data-too-few-points`` (fewer distinct points than free
        parameters), and those of `isoloss.read`.
    LawError
        Unknown law, or names in `fix`, `tie`, `bounds` or `starts` that the law does not have.
    OptionError
        Another argument is not understood.

    Examples
    --------
    >>> import isoloss as iso
    >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
    >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
    >>> fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}, objective="squared_log")
    >>> {name: round(value, 4) for name, value in fit.params.items()}
    {'E': 1.8169, 'A': 482.0057, 'alpha': 0.3478, 'B': 2085.4342, 'beta': 0.3659}
    """
    watch = Watch(progress, on_interrupt, n_threads)
    chosen = as_law(law)
    table = as_runs(runs, chosen.variables)
    goal = resolve(chosen.recipe.objective if objective is None else objective, delta)
    given = None if weights is None else given_weights(table, weights)
    settings = Settings(
        objective=goal,
        starts=frozen_starts(starts),
        fix=dict(fix or {}),
        tie=dict(tie or {}),
        bounds=dict(bounds or {}),
        weights=given,
        seed=seed_number(seed),
    )
    return run(chosen, table, settings, watch)
