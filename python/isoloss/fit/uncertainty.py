"""What can be asked about the uncertainty of a fit: draws, intervals, profiles, posterior, measured coverage.

The methods of `isoloss.Fit` that `isoloss.stats` answers; here they have their signatures and their documentation. Each
imports its answer when it is first asked, so that a program that only fits does not wait for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.watch import OnInterrupt, Progress
from isoloss.errors import out_of_memory
from isoloss.fit.data import FitData

if TYPE_CHECKING:
    from isoloss.stats.coverage import Coverage
    from isoloss.stats.draws import Draws
    from isoloss.stats.identifiability import Identifiability
    from isoloss.stats.posterior import Posterior
    from isoloss.stats.profiles import Profile
    from isoloss.stats.surfaces import Surface

__all__ = ["Uncertainty"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Uncertainty(FitData):
    """How sure a fit is; see `isoloss.fit.object.Fit`."""

    @out_of_memory("bootstrap")
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
            with scale; ``"parametric"`` takes normal noise of that size; ``"seed-noise"`` that of repeated runs. These
            three read weights as precisions: a run of four times the weight gets half the noise.
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
            For ``"seed-noise"``: standard deviation of a run (of the middle weight) between seeds, in the space of the
            objective; by default that of runs with the same settings.
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
        from isoloss.stats.bootstrap import bootstrap

        return bootstrap(
            self.counted(),
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
        from isoloss.stats.wald import conf_int

        return conf_int(self.counted(), level, method, n_threads=n_threads)

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
        any, and smaller for runs of more weight, as for ``bootstrap(method="parametric")``; each study is fitted and
        resampled, and every kind of interval is checked.

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
            As `bootstrap`. Code ``no-noise``: the law goes through every run.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> made = iso.fit("chinchilla", runs, objective="squared_log").coverage(60, draws=99)
        >>> made.default, bool(made["expanded"].covered["alpha"] > 0.8)
        ('expanded', True)
        """
        from isoloss.stats.studies import coverage

        return coverage(
            self.counted(),
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

    def with_draws(self, draws: Draws) -> Self:
        """The same fit with draws attached: its summary, plans and file then carry intervals."""
        return replace(self, draws=draws)

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
        from isoloss.stats.profiles import profile

        return profile(self.counted(), name, values, level=level, n_threads=n_threads)

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
        from isoloss.stats.surfaces import surface

        return surface(self.counted(), (first, second), values, level=level, n_threads=n_threads)

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
        from isoloss.stats.identifiability import identify

        return identify(self.counted(), level=level, n_threads=n_threads)

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
            Code ``no-likelihood``: the objective is none, rows of a group are not independent, or the runs leave no
            residual; ``covariance-unavailable``: the curvature at the optimum does not tell where to look.
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
        from isoloss.stats.posterior import posterior

        return posterior(self.counted(), n, method=method, prior=prior, seed=seed, n_threads=n_threads)
