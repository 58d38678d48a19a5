"""Runs of several recipes as one law: whose each parameter is, what the runs leave open, and whether sharing is right.

A joint law has the parameters that are shared once and all others once for each recipe (`isoloss.law.groups`).
What holds for all runs need not hold for those of one recipe: rays and numbers of runs are looked at by recipe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import several
from isoloss.errors import DataError, FitError, Notice, OptionError, did_you_mean
from isoloss.fit.object import Fit, fit
from isoloss.law.groups import by_group, suffix
from isoloss.plain import plain_dict
from isoloss.runs.build import group_codes
from isoloss.runs.object import sha256_of
from isoloss.runs.reading import Runs, as_runs
from isoloss.shown import Shown
from isoloss.stats.design import Ray, open_ray, ray_notice, refuse_ray
from isoloss.stats.nested import nested
from isoloss.units import format_number

if TYPE_CHECKING:
    from isoloss.engine.problem import F64
    from isoloss.law.object import Law
    from isoloss.objective import Objective

__all__ = ["Joint", "Sharing", "join", "own_doubts", "sharing"]

_DOUBTFUL, _REFUTED = 0.05, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """One law for several recipes.

    Attributes
    ----------
    law : Law
        Of a single recipe.
    column : str
        Variable of the joint law, and column of the runs, that numbers the recipes.
    recipes : tuple of str
    share : tuple of str
        Parameters in common.
    """

    law: Law
    column: str
    recipes: tuple[str, ...]
    share: tuple[str, ...]

    @property
    def whole(self) -> Law:
        """The law of all recipes."""
        return by_group(self.law, self.column, self.recipes, share=self.share)

    def names(self, recipe: int) -> list[str]:
        """What the parameters of one recipe are called in the joint law, in the order of its own."""
        end = suffix(self.recipes[recipe])
        return [name if name in self.share else f"{name}_{end}" for name in self.law.parameters]

    @property
    def places(self) -> list[NDArray[np.intp]]:
        """By recipe: where its parameters stand among those of the joint law."""
        order = list(self.whole.parameters)
        return [np.array([order.index(name) for name in self.names(k)]) for k in range(len(self.recipes))]

    def of(self, vector: F64, recipe: int) -> dict[str, float]:
        """Parameters of one recipe out of the joint ones."""
        return dict(zip(self.law.parameters, vector[self.places[recipe]].tolist(), strict=True))

    def runs_of(self, runs: Runs, recipe: int) -> Runs:
        """The runs of one recipe."""
        return runs.counted((runs[self.column] == recipe).astype(np.float64))

    def fitted(self, runs: Runs, objective: Objective | str | None, seed: int, n_threads: int | None) -> Fit:
        """The joint law fitted to all runs."""
        # A bound at the least loss is that of the recipe's own runs: another may go far lower.
        bounds: dict[str, tuple[Any, Any]] = {}
        for k in range(len(self.recipes)):
            least = float(self.runs_of(runs, k)["loss"].min())
            for own, parameter in zip(self.names(k), self.law.parameters.values(), strict=True):
                if "min_loss" in parameter.bounds and own not in self.share:
                    low, high = (least if end == "min_loss" else end for end in parameter.bounds)
                    bounds[own] = (low, high)
        return fit(self.whole, runs, objective=objective, bounds=bounds, seed=seed, n_threads=n_threads)


def join(runs: Any, by: str, law: Law, share: Iterable[str]) -> tuple[Joint, Runs, str | None]:
    """The joint law, the runs with a column that numbers their recipes, and what is to be resampled as one.

    Raises
    ------
    DataError
        Codes ``data-missing-column``, ``recipes-too-few``, and those of `read`.
    """
    shared = several("share", share, what="names of parameters")
    if not isinstance(by, str):
        raise OptionError(f"by={by!r:.80} is not the name of a column", argument="by")
    if set(shared) >= set(law.parameters):
        message = f"share names every parameter of {law.name!r}: nothing is left for recipes to differ in"
        raise OptionError(message, argument="share")
    given = isinstance(runs, Runs) or by == "group"
    table = as_runs(runs, law.variables) if given else as_runs(runs, law.variables, labels=by)
    table.require("loss", *law.variables)
    table = table.counted(table.weights)
    texts = _texts(table, by)
    codes, recipes, _ = group_codes(texts, np.ones(table.n, dtype=np.bool_))
    if len(recipes) < 2:
        message = f"column {by!r} holds one recipe only, {recipes[0]!r}: there is nothing to compare it with"
        raise DataError(message, code="recipes-too-few", column=by)
    names = {*law.variables, *law.parameters, *law.constants, *law.pivots, "group"}
    column = by if by.isidentifier() and by not in names else "recipe"
    columns = {**table.columns, column: codes.astype(np.float64)}
    labels = {name: one for name, one in table.labels.items() if name != column} | {column: recipes}
    source = replace(table.source, sha256=sha256_of(columns, table.group))
    joint = Joint(law=law, column=column, recipes=recipes, share=shared)
    return joint, replace(table, columns=columns, labels=labels, source=source), "row" if by == "group" else None


def _texts(runs: Runs, by: str) -> Any:
    """The name of each run's recipe."""
    if by == "group" and runs.group is not None:
        return np.array(runs.group_labels)[runs.group]
    if by in runs.labels:
        return runs.texts(by)
    if by in runs.columns:
        return runs.columns[by]
    known = [*runs.labels, *(["group"] if runs.group is not None else [])]
    message = f"by={by!r} names no column of the runs{did_you_mean(by, known)}"
    if by in runs.source.names:
        message += f"; read them with labels={by!r}"
    elif known:
        message += f"; what names runs is {', '.join(known)}"
    else:
        message += "; read them with labels=, the column that names the recipe"
    raise DataError(message, code="data-missing-column", column=by)


def own_doubts(joint: Joint, made: Fit, *, refuse: bool) -> tuple[Notice, ...]:
    """What the runs of each recipe leave open, though all runs together may not.

    Raises
    ------
    FitError
        Code ``design-ray``, where it is to be refused.
    """
    if refuse:
        refuse_ray(made.runs, made.problem, made.vector)
    found: list[Notice] = []
    for k, recipe in enumerate(joint.recipes):
        runs = joint.runs_of(made.runs, k)
        line = _own_ray(joint, made, runs, k)
        if line is not None:
            if refuse:
                message = (
                    f"all runs of recipe {recipe!r} lie on the ray {line}: they cannot say how to split a budget; add "
                    "runs off the ray, or compare along it with tokens_per_parameter="
                )
                raise FitError(message, code="design-ray", recipe=recipe, slope=line.slope, scale=line.scale)
            notice = ray_notice(line)
            found.append(replace(notice, message=f"recipe {recipe!r}: {notice.message}"))
        free = len(joint.law.parameters) - len(joint.share)
        units, what = (runs.n, "runs") if runs.group is None else (len(np.unique(runs.group)), "groups")
        if units <= free:
            message = (
                f"{units} {what} of recipe {recipe!r} for the {free} parameters of its own: the law goes through them "
                "whatever their loss, and the noise of this recipe is not known"
            )
            details = {"units": units, "parameters": free, "recipe": recipe}
            found.append(Notice(code="few-units", severity="serious", message=message, details=details))
    return tuple(found)


def _own_ray(joint: Joint, made: Fit, runs: Runs, recipe: int) -> Ray | None:
    """The line on which the runs of one recipe lie, where its own parameters act through both sides of it."""
    problem = made.problem
    rows = np.flatnonzero(made.runs[joint.column] == recipe)
    mine = np.isin(problem.names, [name for name in joint.names(recipe) if name not in joint.share])
    part = replace(
        problem,
        columns=tuple(np.ascontiguousarray(column[rows]) for column in problem.columns),
        target=np.ascontiguousarray(problem.target[rows]),
        weights=None if problem.weights is None else np.ascontiguousarray(problem.weights[rows]),
        parameters=replace(problem.parameters, fixed=problem.parameters.fixed | ~mine),
    )
    return open_ray(runs, part, made.vector)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sharing(Shown):
    """Whether the runs allow some parameters to be shared; see `isoloss.stats.nested`.

    Attributes
    ----------
    share : tuple of str
    p : float
        Of the hypothesis that they are the same in all recipes; NaN where there is no test.
    statistic : float
        Relative fall of the objective when they are freed.
    draws : int
        Behind the p-value.
    free : mapping of str to mapping of str to float
        By parameter and recipe: the estimates when all are free.
    reason : str
        Why there is no test; empty where there is one.
    """

    share: tuple[str, ...]
    p: float
    statistic: float
    draws: int
    free: Mapping[str, Mapping[str, float]]
    reason: str = ""

    @property
    def refuted(self) -> bool:
        """Whether the test speaks against sharing at 5 %."""
        return self.p < _DOUBTFUL

    def notices(self) -> tuple[Notice, ...]:
        """A notice where the test speaks against sharing: serious below 1 %."""
        if not self.refuted:
            return ()
        message = (
            f"the runs speak against sharing {', '.join(self.share)} (p = {self.p:.2g}): what is extrapolated rests "
            "on it; compare with share=[]"
        )
        severe = self.p < _REFUTED
        details = {"share": list(self.share), "p": self.p}
        notice = Notice(
            code="sharing-refuted", severity="serious" if severe else "warning", message=message, details=details
        )
        return (notice,)

    def __str__(self) -> str:
        shared = ", ".join(self.share)
        if self.reason:
            return f"sharing {shared}: not tested, {self.reason}"
        values = "; ".join(
            f"{name} {', '.join(format_number(value, 3) for value in each.values())}"
            for name, each in self.free.items()
        )
        told = "the runs speak against it" if self.refuted else "the runs do not speak against it"
        return f"sharing {shared}: {told} (p = {self.p:.2g}); free they are {values}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict({name: getattr(self, name) for name in self.__dataclass_fields__})


def sharing(
    joint: Joint, narrow: Fit, units: str | None, draws: int, seed: int, n_threads: int | None
) -> Sharing | None:
    """The test of the shared parameters; None where nothing is shared."""
    if not joint.share:
        return None
    apart = replace(joint, share=())
    try:
        wide = apart.fitted(narrow.runs, narrow.objective, seed, n_threads)
    except DataError as error:
        if error.code != "data-too-few-points":
            raise
        return Sharing(share=joint.share, p=np.nan, statistic=np.nan, draws=0, free={}, reason=str(error))
    lifted = np.empty(len(wide.names))
    for into, out in zip(apart.places, joint.places, strict=True):
        lifted[into] = narrow.vector[out]
    found = nested(narrow, wide, lifted, draws=draws, by=units, seed=seed, n_threads=n_threads)
    values = [apart.of(wide.vector, k) for k in range(len(joint.recipes))]
    return Sharing(
        share=joint.share,
        p=found.p,
        statistic=found.statistic,
        draws=found.draws,
        free={name: dict(zip(joint.recipes, (one[name] for one in values), strict=True)) for name in joint.share},
        reason=found.reason,
    )
