r"""Which runs to add: those of the candidates that tell most about a target, within a budget.

The information of the runs there are and of each candidate (`isoloss.design.information`) is taken at several draws of
the parameters, since it depends on them, and on request under other laws fitted to the same runs, since the law may be
wrong. The runs are then chosen by exchange (`isoloss.design.exchange`).

What is expected is a shrinkage: the standard error of the target after over that before, from the information alone.
`isoloss.score_design` simulates whether it comes true.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import several, whole
from isoloss.design.candidates import as_candidates
from isoloss.design.exchange import choose
from isoloss.design.information import Model, columns_of, model_for, noise_of
from isoloss.design.target import Target
from isoloss.engine.posing import as_law
from isoloss.engine.problem import F64, seed_number
from isoloss.errors import FitError, Notice, OptionError, serious, without_repeats
from isoloss.fit.object import Fit, fit
from isoloss.law.object import Law
from isoloss.plain import plain_dict
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.stats.bands import decades_beyond, extrapolated
from isoloss.stats.draws import Draws
from isoloss.units import format_number, format_si, parse_number

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Design", "next_runs"]

_MOST = 1_000  # runs to add at once


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Design(Shown):
    """Runs to add; made by `next_runs` or `isoloss.load`.

    Attributes
    ----------
    fit : Fit
        Of the runs there are.
    target : Target
    columns : mapping of str to (n,) float64
        N, D, C and further variables of the chosen runs, the most useful first.
    cost : (n,) float64
    shrinkage : (n,) float64
        By how much the target's interval is expected to shrink, as a share, with this run and those before it.
    alone : (n,) float64
        The same with this run alone.
    by_law : mapping of str to float
        Expected shrinkage with all of them, by law that might be true.
    before, after : float
        Standard error of the target under the fitted law, by information, with the runs there are and all: of a
        logarithm where `factor`.
    factor : bool
    budget : float
        Infinite where none was given.
    candidates : int
        How many there were to choose from.
    open : float
        Share of the draws at which the runs there are leave the target open: there the shrinkage is from an interval
        without end.
    warnings : tuple of Notice
    """

    fit: Fit
    target: Target
    columns: Mapping[str, F64]
    cost: F64
    shrinkage: F64
    alone: F64
    by_law: Mapping[str, float]
    before: float
    after: float
    factor: bool
    budget: float
    candidates: int
    open: float
    warnings: tuple[Notice, ...] = ()

    def __len__(self) -> int:
        return len(self.cost)

    @property
    def table(self) -> Any:
        """A row for each run to add, as a frame of the kind the runs came in (a dict of arrays if they were one)."""
        columns: dict[str, NDArray[Any]] = {name: np.asarray(column) for name, column in self.columns.items()}
        columns |= {"shrinkage": self.shrinkage, "alone": self.alone, "cost": self.cost}
        return make_frame(columns, self.fit.runs.frame)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the plan with its fit to a JSON file; `isoloss.load` reads it.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        """
        from isoloss.store import save

        save(self, "isoloss.design", path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; an infinite budget is null."""
        names = ("cost", "shrinkage", "alone", "by_law", "before", "after", "factor", "budget", "candidates", "open")
        return plain_dict(
            {
                "target": self.target.to_dict(),
                "columns": dict(self.columns),
                **{name: getattr(self, name) for name in names},
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def __str__(self) -> str:
        limit = "" if math.isinf(self.budget) else f" of {format_number(self.budget, 3)}"
        with np.errstate(over="ignore"):
            spent = float(self.cost.sum())
        lines = [
            f"{len(self)} runs, chosen among {self.candidates} candidates, for {format_number(spent, 3)}{limit}",
            f"{self.target}: {self._change()}",
        ]
        others = [
            f"by {_percent(share)} if {law} is true" for law, share in self.by_law.items() if law != self.fit.law.name
        ]
        lines += [f"  {', '.join(others)}"] if others else []
        further = [name for name in self.columns if name not in ("N", "D", "C")]
        for k in range(len(self)):
            settings = [
                f"N {format_si(float(self.columns['N'][k]), 3)}",
                f"D {format_si(float(self.columns['D'][k]), 3)}",
                *(f"{name} {format_number(float(self.columns[name][k]), 3)}" for name in ("C", *further)),
            ]
            told = f"shrinks by {_percent(self.shrinkage[k])}, alone {_percent(self.alone[k])}"
            lines.append(f"  {' | '.join(settings)} | {told} | cost {format_number(float(self.cost[k]), 3)}")
        return "\n".join([*lines, *map(str, self.warnings)])

    def _change(self) -> str:
        if self.open > 0.5:
            return f"left open by the runs; with these its standard error is {self._size(self.after)}"
        share = f"its interval is expected to shrink by {_percent(self.shrinkage[-1])}"
        return f"{share}, its standard error from {self._size(self.before)} to {self._size(self.after)}"

    def _size(self, error: float) -> str:
        if not self.factor:
            return format_number(error, 3)
        return f"a factor of {format_number(math.exp(min(error, 700.0)), 3)}"


def next_runs(
    made: Fit,
    target: Target,
    *,
    candidates: Any,
    budget: float | str | None = None,
    n: int = 8,
    robust_to: Iterable[str | Law] = (),
    draws: int = 48,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
) -> Design:
    """Choose the runs that will tell most about a target.

    Parameters
    ----------
    made : Fit
        Of the runs there are. Its attached draws are used, if any.
    target : Target
        What is to be known better.
    candidates : Candidates, frame, mapping of columns, or path
        From `isoloss.grid`, or a table with the columns N, D (or C, or tpp), perhaps further variables and ``cost``.
        One may be chosen several times: runs of other seeds.
    budget : float or text, optional
        What all may cost together, in the unit of their costs: FLOPs, unless given otherwise.
    n : int
        At most so many runs.
    robust_to : iterable of str or Law
        Laws that might be true instead; each is fitted to the same runs and counts as much as the fitted one.
    draws : int
        Draws of the parameters at which information is taken, besides the estimate.
    seed : int or numpy Generator
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    Design

    Raises
    ------
    OptionError
        Code ``budget-too-small``: no candidate can be paid. Code ``option``: a number out of its range, a target that
        is none, or one parameter for several laws.
    DataError
        Code ``data-empty``: no candidates. Code ``data-too-few-points``: no residuals to take noise from.
    LawError
        Code ``law-missing-name``: a law that is not one of N and D, or a candidate without one of its variables.
    FitError
        Code ``target-undetermined``: the target has no value at the fit or at its draws.

    References
    ----------
    Chaloner and Verdinelli 1995; Fedorov 1972; Elfving 1952.

    Examples
    --------
    >>> import isoloss as iso
    >>> fit = iso.fit("chinchilla", iso.simulate.sweep(settings=1, noise=0.003, seed=0))
    >>> plan = iso.next_runs(
    ...     fit,
    ...     iso.Target.allocation(C=1e25),
    ...     candidates=iso.grid(C=[1e20, 3e20, 1e21], tpp=[5, 20, 80, 320]),
    ...     budget=3e21,
    ...     n=6,
    ... )
    >>> len(plan) <= 6, bool(plan.cost.sum() <= 3e21), bool(0.05 < plan.shrinkage[-1] < 0.95)
    (True, True, True)
    """
    if not isinstance(made, Fit):
        raise OptionError(f"made={made!r:.80} is no fit: isoloss.fit gives one", argument="made")
    if not isinstance(target, Target):
        message = f"target={target!r} is no target: Target.allocation(C=...), Target.loss(...), Target.parameter(...)"
        raise OptionError(message, argument="target")
    offered = as_candidates(candidates)
    n, draws, number = whole("n", n, 1, _MOST), whole("draws", draws, 0, 10_000), seed_number(seed)
    limit = math.inf if budget is None else parse_number(budget, "budget")
    if not limit >= offered.cost.min():
        message = f"budget={limit:.4g} pays for none of the candidates: the cheapest costs {offered.cost.min():.4g}"
        raise OptionError(message, code="budget-too-small", argument="budget")
    fits = [made.counted(), *_others(made, target, robust_to, number, n_threads)]
    for one in fits:
        target.check(one.bound, made.runs.n_counts)
        columns_of(one, offered.columns)
    models, notices = [], []
    for one in fits:
        drawn = _draws(one, draws, number, n_threads)
        models.append(_model(one, target, offered.columns, drawn, draws))
        notices.append(drawn.warnings)
    with np.errstate(over="ignore"):  # costs near the end of the range of doubles
        chosen = choose(models, offered.cost, n=n, budget=limit, seed=number)
    columns = {name: column[chosen] for name, column in offered.columns.items()}
    errors = [np.array([_error(model, chosen[:k]) for k in range(len(chosen) + 1)]) for model in models]
    gains = [np.log(_error(model, [])) - np.log([_error(model, [k]) for k in chosen]) for model in models]
    together = np.mean([np.log(error[0]) - np.log(error[1:]) for error in errors], axis=0)
    far = decades_beyond(made.ranges, columns)
    goal = decades_beyond(made.ranges, dict(target.at))
    return Design(
        fit=made,
        target=target,
        columns=columns,
        cost=offered.cost[chosen],
        shrinkage=1.0 - np.exp(-together),
        alone=1.0 - np.exp(-np.mean(gains, axis=0)),
        by_law={model.name: float(1.0 - error[-1] / error[0]) for model, error in zip(models, errors, strict=True)},
        before=float(errors[0][0]),
        after=float(errors[0][-1]),
        factor=target.factor(made.bound),
        budget=limit,
        candidates=len(offered),
        open=models[0].open,
        warnings=without_repeats(_doubts(notices), _far("target", goal), _far("runs to add", far)),
    )


def _percent(share: float) -> str:
    """A share in per cent; small ones with a decimal, so that little is told from nothing."""
    return f"{100 * share:.{0 if abs(share) >= 0.0995 else 1}f} %"


def _others(made: Fit, target: Target, robust_to: Iterable[str | Law], seed: int, n_threads: int | None) -> list[Fit]:
    """The other laws, fitted to the same runs with the same objective."""
    laws = [as_law(one) for one in several("robust_to", robust_to, (str, Law), "laws")]
    laws = [law for law in laws if law.name != made.law.name]
    if laws and target.kind == "parameter":
        message = f"robust_to={[law.name for law in laws]!r}: {target.name!r} is a parameter of one law alone"
        raise OptionError(message, argument="robust_to")
    runs = made.counted().runs
    weights = made.counted().settings.weights
    options: dict[str, Any] = {"objective": made.objective, "weights": weights, "seed": seed, "n_threads": n_threads}
    return [fit(law, runs, **options) for law in laws]


def _draws(made: Fit, draws: int, seed: int, n_threads: int | None) -> Draws:
    """The attached draws where there are as many, else new ones."""
    if made.draws is not None and len(made.draws) >= max(draws, 1):
        return made.draws
    return made.bootstrap(max(draws, 1), seed=seed, n_threads=n_threads)


def _model(made: Fit, target: Target, columns: Mapping[str, F64], drawn: Draws, draws: int) -> Model:
    """One law at its estimate and some draws."""
    params = np.vstack([made.vector, drawn.params[:draws]])
    model = model_for(made, params, target, columns, noise_of(made))
    if len(model.base) == 0 or not np.any(model.slope):
        message = f"{target} has no value at the fit of {made.law.name!r}, or does not depend on its free parameters"
        raise FitError(message, code="target-undetermined")
    return model


def _error(model: Model, chosen: list[int]) -> float:
    """Geometric mean over the draws of the target's standard error."""
    return float(np.exp(0.5 * np.mean(np.log(model.variance(chosen)))))


def _far(what: str, decades: Mapping[str, Any]) -> tuple[Notice, ...]:
    """That something is far from the runs there are."""
    return tuple(replace(notice, message=f"{what}: {notice.message}") for notice in extrapolated(decades))


def _doubts(notices: Iterable[Iterable[Notice]]) -> tuple[Notice, ...]:
    """What makes the fits doubtful; that the runs lie on a ray, or their draws are few, is no fault of a plan."""
    return tuple(notice for notice in serious(*notices) if notice.code not in ("few-draws", "design-ray"))
