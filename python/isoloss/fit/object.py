"""Fit one law to one set of runs, from many starts, and keep everything one needs to judge the result.

The objective is summed over runs exactly as the papers write it (see `isoloss.objective`). All starts are solved in one
batch; the best optimum is the fit, the others its census (`Fit.basins`). A fit that does not converge says so in its
`status` and `warnings`; only wrong input raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike

from isoloss.curves.object import Curves
from isoloss.curves.rows import curve_runs
from isoloss.engine.posing import Bounds, Settings, as_law, frozen_starts, given_weights
from isoloss.engine.problem import seed_number
from isoloss.engine.run import run
from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.fit.data import FitData
from isoloss.fit.summary import summarise
from isoloss.law.object import Law
from isoloss.objective import Objective, resolve
from isoloss.objective.base import Delta
from isoloss.plan.allocation import Allocation, allocate
from isoloss.plan.decisions import Decisions, decide
from isoloss.plan.predict import predict
from isoloss.runs.reading import as_runs
from isoloss.starts import AnyStarts
from isoloss.stats.bootstrap import bootstrap
from isoloss.stats.coverage import Coverage
from isoloss.stats.draws import Draws
from isoloss.stats.identifiability import Identifiability, identify
from isoloss.stats.posterior import Posterior, posterior
from isoloss.stats.profiles import Profile, profile
from isoloss.stats.studies import coverage
from isoloss.stats.surfaces import Surface, surface
from isoloss.stats.wald import conf_int

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.curves.fit import CurveFit


__all__ = ["Fit", "fit"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Fit(FitData):
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
        from isoloss.store import from_plain

        return from_plain, (self.to_dict(),)

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
        method: str = "auto",
        by: str | None = None,
        seed: int | np.random.Generator = 0,
        starts: int = 3,
        noise: float | None = None,
        studentize: bool = False,
        n_threads: int | None = None,
        progress: Progress | None = None,
        on_interrupt: OnInterrupt = "raise",
    ) -> Draws:
        """Refit to resampled runs.

        Parameters
        ----------
        n : int
            Number of draws, up to a hundred million; for the jackknife at most so many blocks.
        method : str
            ``"case"``: runs (or groups) drawn with replacement. Around the fit: ``"wild"`` turns residuals around at
            random, all rows of a group alike; ``"residual"`` draws them from all runs, rescaled where the noise changes
            with scale; ``"parametric"`` takes normal noise of that size; ``"seed-noise"`` that of repeated runs.
            ``"jackknife"`` leaves out one block after another. ``"run-cluster"`` and ``"wild-cluster"`` are
            ``"case"`` and ``"wild"``, refused without groups. ``"auto"`` is ``"wild"``, since it covers best and needs
            no noise of one size; ``"parametric"`` for pass counts; under an objective with two unlike sides
            ``"residual"``, and ``"case"`` for groups or where there are no more runs than parameters.
        by : str, optional
            What is resampled: ``"row"`` for single runs, ``"group"`` for the groups of the runs, or a column whose
            equal values belong together. By default groups where the runs have them, else rows.
        seed : int or numpy Generator
        starts : int
            Starts of each draw besides the warm one at the optimum: other optima of the census, then start points.
        noise : float, optional
            For ``"seed-noise"``: standard deviation of a run between seeds, in the space of the objective; by default
            that of runs with the same settings.
        studentize : bool
            Also compute the covariance of each draw, for ``conf_int(interval="studentized")``.
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
            Code ``option``: an unknown method, one that these runs or this objective do not allow, or a number out of
            its range.
        DataError
            Code ``data-missing-column``: `by` names no column; ``data-too-few-points``: fewer than two groups, or no
            residual to resample; ``data-no-replicates``: no runs of the same settings.

        References
        ----------
        Efron and Tibshirani 1993; Davidson and Flachaire 2008 (wild); Hesterberg 2015 (which intervals, and why).
        `isoloss.stats.resampling` gives the formulas; docs/coverage.md how often each interval covers.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> draws = iso.fit("chinchilla", runs).bootstrap(200, seed=0)
        >>> draws.method, draws.params.shape
        ('wild', (200, 5))
        """
        return bootstrap(
            self,
            n,
            method=method,
            by=by,
            seed=seed,
            starts=starts,
            noise=noise,
            studentize=studentize,
            n_threads=n_threads,
            progress=progress,
            on_interrupt=on_interrupt,
        )

    def conf_int(
        self, level: float = 0.95, *, method: str = "auto", n_threads: int | None = None
    ) -> dict[str, tuple[float, float]]:
        """Confidence intervals of the parameters.

        Parameters
        ----------
        level : float
            Between 0 and 1.
        method : {"auto", "draws", "profile", "wald"}
            From the attached draws, from profiles of the likelihood, or from the covariance (HC3). ``"auto"`` takes the
            first that is to be had.
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        dict of str to (low, high)

        Raises
        ------
        FitError
            Code ``covariance-unavailable``, with the reason: curvature or likelihood give no honest interval here.
        OptionError
            Code ``option``: an unknown method, a level outside (0, 1), or no draws attached.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> fit = iso.fit("chinchilla", runs, objective="squared_log")
        >>> [round(end, 4) for end in fit.conf_int()["alpha"]]
        [0.3436, 0.3573]
        >>> iso.fit("chinchilla", runs, objective="absolute_log").conf_int()
        Traceback (most recent call last):
        isoloss.errors.FitError: no Wald intervals: absolute error has no curvature in its residuals; use bootstrap()
        """
        return conf_int(self, level, method, n_threads=n_threads)

    def coverage(
        self,
        studies: int = 500,
        *,
        draws: int = 399,
        level: float = 0.95,
        method: str = "auto",
        by: str | None = None,
        at: Mapping[str, ArrayLike | str] | None = None,
        seed: int | np.random.Generator = 0,
        n_threads: int | None = None,
        progress: Progress | None = None,
    ) -> Coverage:
        """How often the intervals of a study at these very runs hold the truth.

        Losses are simulated from this fit with normal noise of the size its residuals show, by groups where there are
        any; each study is fitted and resampled, and every kind of interval is checked.

        Parameters
        ----------
        studies, draws : int
            Simulated studies, and draws of each.
        level : float
            What the intervals claim.
        method, by
            As for `bootstrap`.
        at : mapping of str to number, optional
            The point whose loss is predicted, such as ``{"N": "70B", "D": "1.4T"}``; by default the run of most
            compute.
        seed : int or numpy Generator
        n_threads : int, optional
            The result does not depend on it.
        progress : callable, optional
            Called as ``progress(studies done, studies)``; True stops.

        Returns
        -------
        Coverage
            A row for each kind of interval, Wald and profile intervals among them where they exist.

        Raises
        ------
        OptionError, DataError
            As `bootstrap`.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> made = iso.fit("chinchilla", runs, objective="squared_log").coverage(60, draws=99)
        >>> made.default, bool(made["expanded"].covered["alpha"] > 0.8)
        ('expanded', True)
        """
        return coverage(
            self,
            studies,
            draws=draws,
            level=level,
            method=method,
            by=by,
            at=at,
            seed=seed,
            n_threads=n_threads,
            progress=progress,
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

    def decisions(self, C: float | str | None = None, **columns: ArrayLike | str) -> Decisions:
        """One decision under each optimum of the census, which tells whether the rivals of the best matter.

        Parameters
        ----------
        C : float or text such as ``"1e24"``, optional
            Compute in FLOPs: the decision is the compute-optimal allocation.
        **columns
            Variables by role: without `C` the decision is the prediction there, by default at the largest run; with
            it, these are the further variables of the law.

        Returns
        -------
        Decisions
            The best optimum first.

        Raises
        ------
        LawError, DataError
            As `allocate` and `predict`.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> print(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).decisions(C=1e24))
        compute-optimal at C = 1e+24
          best, 100 % of starts: N 96.0B, D 1.74T, tokens_per_parameter 18.08, loss 1.959
        """
        return decide(self, C, columns)

    def profile(
        self, name: str, values: ArrayLike | None = None, *, level: float = 0.95, n_threads: int | None = None
    ) -> Profile:
        """The least objective when one parameter is held at each of many values.

        Parameters
        ----------
        name : str
            A parameter that is not fixed.
        values : (m,) array_like, optional
            Values to hold it at. By default values around the estimate, far enough to hold the interval.
        level : float
            Of the interval.
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        Profile
            With a likelihood-ratio interval where the objective is a likelihood: squared errors, taken as normal with
            an unknown variance, and pass counts.

        Raises
        ------
        LawError
            Code ``law-unknown-name`` for a name that is no parameter, ``law-bounds`` for a fixed one.
        OptionError
            Code ``option``: values that the parameter cannot take, or a level outside (0, 1).

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> print(iso.fit("chinchilla", runs, objective="squared_log").profile("alpha"))
        alpha 0.350437, 95 % profile interval [0.3436, 0.3573]
        """
        return profile(self, name, values, level=level, n_threads=n_threads)

    def profile2(
        self,
        first: str,
        second: str,
        values: tuple[ArrayLike | None, ArrayLike | None] | None = None,
        *,
        level: float = 0.95,
        n_threads: int | None = None,
    ) -> Surface:
        """The least objective when two parameters are held at each point of a grid.

        Parameters
        ----------
        first, second : str
            Two parameters that are not fixed.
        values : ((m,) array_like, (k,) array_like), optional
            Values to hold each at. By default 25 around its interval.
        level : float
            Of the joint region.
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        Surface

        Raises
        ------
        LawError, OptionError
            As `profile`.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> made = iso.fit("chinchilla", runs, objective="squared_log").profile2("alpha", "beta")
        >>> made.objective.shape, made.open
        ((25, 25), False)
        """
        return surface(self, (first, second), values, level=level, n_threads=n_threads)

    def identify(self, *, level: float = 0.95, n_threads: int | None = None) -> Identifiability:
        """What the runs determine and what they leave open: profiles of all parameters, and the sloppy direction.

        Parameters
        ----------
        level : float
        n_threads : int, optional
            The result does not depend on it.

        Returns
        -------
        Identifiability
            Ridges in words, with a notice ``flat-ridge`` for each.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> made = iso.fit("chinchilla", runs, objective="squared_log").identify()
        >>> made.ridges
        ()
        >>> print(made.sloppiness)
        230, sloppiest along A +1.00, B -0.22, alpha +0.17
        """
        return identify(self, level=level, n_threads=n_threads)

    def posterior(
        self,
        n: int = 4000,
        *,
        method: str = "laplace",
        prior: Mapping[str, tuple[float, float]] | None = None,
        seed: int | np.random.Generator = 0,
        n_threads: int | None = None,
    ) -> Posterior:
        """Draws from the posterior distribution of the parameters.

        Parameters
        ----------
        n : int
            Number of draws, from 100 to a million; the ensemble gives no fewer than 2,560.
        method : {"laplace", "ensemble"}
            Importance resampling around the optimum, or an affine-invariant ensemble where the posterior is curved.
        prior : mapping of str to (mean, sd), optional
            Normal priors of natural values. Else flat in the logarithm of positive parameters, within a factor of a
            thousand of the estimate, and in the value of others, within their bounds.
        seed : int or numpy Generator
        n_threads : int, optional
            The draws do not depend on it.

        Returns
        -------
        Posterior
            With effective sizes and R-hat; ``to_arviz()`` hands it on.

        Raises
        ------
        FitError
            Code ``no-likelihood``: the objective is none, or rows of a group are not independent.
        OptionError
            Code ``option``: an unknown sampler, a number out of range, or a prior that is not (mean, sd).

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> made = iso.fit("chinchilla", runs, objective="squared_log").posterior(1000, seed=0)
        >>> made.params.shape, made.r_hat["alpha"] < 1.02
        ((4, 250, 5), True)
        """
        return posterior(self, n, method=method, prior=prior, seed=seed, n_threads=n_threads)

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

        save(self if draws is None else self.with_draws(draws), "isoloss.fit", path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; what `save` writes."""
        from isoloss.store import to_plain

        return to_plain(self, "isoloss.fit")


@overload
def fit(law: Law | str, runs: Curves, **options: Any) -> CurveFit: ...
@overload
def fit(
    law: Law | str,
    runs: Any,
    *,
    objective: Objective | str | None = None,
    delta: Delta | None = None,
    starts: AnyStarts = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    weights: ArrayLike | str | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
    on_interrupt: OnInterrupt = "raise",
) -> Fit: ...
def fit(  # type: ignore[misc]  # the options of the first overload are those of the second
    law: Law | str,
    runs: Any,
    *,
    objective: Objective | str | None = None,
    delta: Delta | None = None,
    starts: AnyStarts = None,
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
    runs : Runs, anything that `isoloss.read` takes, or Curves
        With a loss and the law's variables. Loss curves, from `isoloss.read_curves`, give a `CurveFit`.
    objective : Objective or str, optional
        By default the law's recipe. Texts such as ``"huber_log"`` are understood.
    delta : float or "auto", optional
        Width of the objective, where it has one. ``"auto"``, here or in the objective, is 1.345 times the robust sigma
        of the residuals (from their median absolute deviation), iterated to a fixed point; it ends up in
        ``Fit.objective.delta``.
    starts : int, mapping, Box, array_like, optional
        Number of automatic starts; values by name, of which the product is taken, or a box from
        `isoloss.starts.halton` or `isoloss.starts.sobol` (parameters left out are found automatically); one point (p,)
        or several (S, p). By default the law's own rule.
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
    curves = runs if isinstance(runs, Curves) else None
    table = as_runs(runs, chosen.variables) if curves is None else curve_runs(chosen, curves)
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
    made = run(chosen, table, settings, watch)
    if curves is None:
        return made
    from isoloss.curves.fit import with_curves

    return with_curves(made, curves)
