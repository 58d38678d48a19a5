"""Fit one law to one set of runs, from many starts, and keep everything one needs to judge the result.

The objective is summed over runs exactly as the papers write it (see `isoloss.objective`). All starts are solved in one
batch; the best optimum is the fit, the others its census (`Fit.basins`). A fit that does not converge says so in its
`status` and `warnings`; only wrong input raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import by_name, level_between
from isoloss.engine.posing import Bounds, Settings, as_law, frozen_starts, given_weights, no_columns_among
from isoloss.engine.problem import seed_number
from isoloss.engine.starts import AnyStarts
from isoloss.engine.watch import OnInterrupt, Progress, Watch
from isoloss.errors import OptionError, out_of_memory
from isoloss.fit.keeping import Keeping
from isoloss.fit.run import run
from isoloss.law.object import Law
from isoloss.objective import Objective, resolve
from isoloss.objective.base import Delta
from isoloss.runs.reading import as_runs

if TYPE_CHECKING:
    from isoloss.curves.fit import CurveFit
    from isoloss.curves.object import Curves
    from isoloss.plan.allocation import Allocation
    from isoloss.plan.decisions import Decisions
    from isoloss.plan.flops import Flops
    from isoloss.plan.isoflop import IsoFlop
    from isoloss.stats.draws import Draws


__all__ = ["Fit", "fit"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Fit(Keeping):
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
    made_by : mapping of str to str
        Versions and SIMD level that it was fitted with (`isoloss.config.made_by`); a file keeps them.
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
        from isoloss.fit.summary import summarise

        return summarise(self, level=level, width=width)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.params.items())
        return f"Fit({self.law.name}: {values}; value {self.value:.6g}, {self.status.name.lower()})"

    def __str__(self) -> str:
        return self.summary()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else self.summary())

    # What one does with it -------------------------------------------------------------------------------------

    def predict(
        self,
        frame: Any = None,
        *,
        level: float | None = None,
        kind: str = "mean",
        interval: str | None = None,
        **columns: ArrayLike | str,
    ) -> Any:
        """Loss predicted by the fitted law, on request with an interval.

        Parameters
        ----------
        frame : pandas, polars or pyarrow table, or Runs, optional
            Its columns are found by role, under the names the runs were read with or the roles' own names; a batch in
            tokens, under the name ``batch``.
        level : float, optional
            Of an interval from the attached draws (`with_draws`).
        kind : {"mean", "new-run"}
            Whether the interval is of the law, or of the loss of one new run.
        interval : str, optional
            Kind of interval, as for `Draws.conf_int`.
        **columns
            Variables by role instead: numbers, texts such as ``"70B"``, or arrays, which broadcast. N, D and C
            complete each other.

        Returns
        -------
        float, ndarray or frame
            A float for scalars, an array for arrays, and for a frame one of the same type with a further column
            ``loss_pred``. With an interval a `Band` instead, which says how far beyond the runs it lies, and for a
            frame the columns ``loss_pred_low``, ``loss_pred_high``, ``decades_N`` and the like, and
            ``loss_pred_warnings`` besides: the codes of the notices that a `Band` there would carry.
            Predictions without an interval carry no notices: those of the fit are in `warnings`.

        Raises
        ------
        LawError, DataError
            A variable is missing, unknown, or cannot take the value; code ``compute-contradictory`` where C is not 6ND.
        OptionError
            Code ``option``: an interval without draws, or of an unknown kind.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> fit = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss})
        >>> round(fit.predict(N="70B", D="1.4T"), 3)
        1.973
        >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
        >>> fit = iso.fit("chinchilla", runs)
        >>> print(fit.with_draws(fit.bootstrap(500)).predict(N="70B", D="1.4T", level=0.95))
        1.979 [1.97..., 1.98...], beyond the runs by 1.2 decades of N, 1.3 of C
        """
        from isoloss.plan.predict import predict

        return predict(self, frame, columns, level, kind, interval)

    def allocate(
        self,
        C: ArrayLike | str,
        *,
        flops: Flops = "6ND",
        draws: Draws | None = None,
        level: float = 0.95,
        interval: str | None = None,
        inference_tokens: float | str = 0.0,
        **fixed: float,
    ) -> Allocation:
        """Compute-optimal N and D.

        Parameters
        ----------
        C : float, text such as ``"1e24"``, or array_like
            Compute in FLOPs.
        flops : {"6ND"}, float, Transformer or callable
            FLOPs per parameter and token, where ``"6ND"`` is 6; a `Transformer`, which counts them from the
            architecture; or a function that takes an array of N and gives FLOPs to train on one token, which may not
            fall with N.
        draws : Draws, optional
            For intervals; by default the attached draws, if any.
        level : float
        interval : str, optional
            Kind of interval, as for `Draws.conf_int`.
        inference_tokens : float or text such as ``"5T"``
            Tokens that the model will serve: each takes 2 N FLOPs of C, or those of a forward pass (for a function a
            third of the training), and the best model becomes smaller.
        **fixed
            Values of further variables of the law.

        Returns
        -------
        Allocation

        Raises
        ------
        LawError
            Code ``law-missing-name``: the law does not depend on N and D, or another variable has no value.
        OptionError
            Code ``option``: `flops` is none of these, falls with N, or counts another N than the runs. Code
            ``budget-too-small``: serving takes all of C.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> print(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).allocate(C=5.76e23))
        N 72.4B | D 1.33T | D/N 18.3 | loss 1.974
          beyond the runs by 0.9 decades of N, 1.1 of D, 2.0 of C
        >>> model = iso.Transformer(aspect=128, vocab=32_000, seq=4096)
        >>> print(iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).allocate(C=5.76e23, flops=model))
        N 72.2B | D 1.23T | D/N 17.1 | loss 1.976
          71.5 layers of width 9152, 6.47 FLOPs per parameter and token
          beyond the runs by 0.9 decades of N, 1.1 of D, 2.0 of C
        """
        used = self.draws if draws is None else draws
        options: dict[str, Any] = {"interval": interval, "inference_tokens": inference_tokens}
        from isoloss.plan.allocation import allocate
        from isoloss.stats.draws import Draws

        if used is not None and not isinstance(used, Draws):
            raise OptionError(f"draws={draws!r} is not what bootstrap() gives", argument="draws")
        level_between(level)
        return allocate(self, C, flops=flops, draws=used, level=level, fixed=fixed, **options)

    def isoflop(self, *, within: float = 3.0) -> IsoFlop:
        """Best sizes straight from the runs: a parabola in ln N through the runs of each budget (approach 2).

        Parameters
        ----------
        within : float
            Factor around the best run's N inside which runs count.

        Returns
        -------
        IsoFlop
            ``agrees(fit)`` puts them beside what the fitted law allocates.

        Raises
        ------
        DataError
            Code ``data-missing-role`` without N, C and loss; ``data-too-few-points`` where no budget brackets an
            optimum.

        Examples
        --------
        >>> import isoloss as iso
        >>> import numpy as np
        >>> C, s = (a.ravel() for a in np.meshgrid([1e19, 1e20, 1e21], np.geomspace(0.4, 2.5, 7)))
        >>> N = 0.12 * C**0.5 * s
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, C=C)
        >>> fit = iso.fit("chinchilla", iso.read({"N": N, "C": C, "loss": loss}))
        >>> print(fit.isoflop().agrees(fit))
        C 1e19: parabola 262M, law 262M, ratio 1.00
        C 1e20: parabola 853M, law 855M, ratio 1.00
        C 1e21: parabola 2.78B, law 2.78B, ratio 1.00
        exponents: parabolas 0.513, law 0.513
        """
        from isoloss.plan.isoflop import isoflop

        return isoflop(self, within)

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
        from isoloss.plan.decisions import decide

        return decide(self, C, columns)


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


@out_of_memory("fit")  # type: ignore[misc]  # the options of the first overload are those of the second
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
        run of weight zero counts as absent. Only their ratios matter, apart from the objective's value, unless they
        count the trials of pass counts. Where noise is asked for they are read as precisions: 1/sigma**2 of a run,
        under absolute errors 1/sigma.
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
    from isoloss.curves.object import Curves
    from isoloss.curves.rows import curve_runs

    watch = Watch(progress, on_interrupt, n_threads)
    chosen = as_law(law)
    curves = runs if isinstance(runs, Curves) else None
    table = as_runs(runs, chosen.variables) if curves is None else curve_runs(chosen, curves)
    if isinstance(law, str) and curves is None:
        no_columns_among(chosen, table, {*(fix or ()), *(tie or ()), *(bounds or ())})
    goal = resolve(chosen.recipe.objective if objective is None else objective, delta)
    given = None if weights is None else given_weights(table, weights)
    settings = Settings(
        objective=goal,
        starts=frozen_starts(starts),
        fix=by_name("fix", fix, "{'E': 1.69}"),
        tie=by_name("tie", tie, "{'beta': 'alpha'}"),
        bounds=by_name("bounds", bounds, "{'alpha': (0, 2)}"),
        weights=given,
        seed=seed_number(seed),
    )
    made = run(chosen, table, settings, watch)
    if curves is None:
        return made
    from isoloss.curves.fit import with_curves

    return with_curves(made, curves)
