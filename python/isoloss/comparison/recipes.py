"""Fit runs of several recipes as one law; what is then asked of it, `isoloss.comparison.recipe_comparison` answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.checks import by_name, whole
from isoloss.comparison.joint import join, own_doubts, sharing
from isoloss.comparison.recipe_comparison import RecipeComparison
from isoloss.engine.posing import as_law
from isoloss.engine.problem import seed_number
from isoloss.engine.watch import Progress
from isoloss.errors import OptionError, did_you_mean, serious, without_repeats
from isoloss.plan.allocation import further_variables
from isoloss.plan.flops import Flops, cost_of
from isoloss.plan.optimum import check_rising
from isoloss.units import parse_number

if TYPE_CHECKING:
    from isoloss.law.object import Law
    from isoloss.objective import Objective

__all__ = ["compare_recipes"]

_LEAST_TESTED = 99  # draws of the test of sharing: p can then be told from 1 %


def _ratio(given: float | str | None) -> float | None:
    """Tokens per parameter, checked."""
    if given is None:
        return None
    value = parse_number(given, "tokens_per_parameter")
    if not (np.isfinite(value) and value > 0.0):
        message = f"tokens_per_parameter={given!r} is not a number above zero"
        raise OptionError(message, argument="tokens_per_parameter")
    return value


def compare_recipes(
    runs: Any,
    by: str = "recipe",
    *,
    law: Law | str = "chinchilla",
    share: Iterable[str] = ("alpha", "beta"),
    base: str | None = None,
    objective: Objective | str | None = None,
    draws: int = 999,
    flops: Flops = "6ND",
    tokens_per_parameter: float | None = None,
    at: Mapping[str, float] | None = None,
    seed: int | np.random.Generator = 0,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> RecipeComparison:
    """Fit runs of several recipes as one law, to ask which is better at scale.

    Parameters
    ----------
    runs : Runs or anything `read` takes
        `Runs` that were read with ``labels="recipe"``, or with a column of numbers of that name. Where the runs have
        groups, whole groups are resampled; a group may hold runs of several recipes, such as pairs of one seed.
    by : str
        Column that names each run's recipe; ``"group"`` for the groups of the runs, whose rows are then resampled
        one by one.
    law : Law or str
        A law of N and D.
    share : iterable of str
        Parameters that all recipes have in common; none frees them all.
    base : str, optional
        What the others are compared with; by default the recipe of the first run.
    objective : Objective or str, optional
        By default the law's recipe.
    draws : int
        Of the bootstrap, and half as many of the test of sharing.
    flops : "6ND", float, Transformer or callable
        How compute is counted, as in `Fit.allocate`: C = 6 N D, so many FLOPs per parameter and token, those of an
        architecture, or a function of N that gives the FLOPs to train on one token.
    tokens_per_parameter : float, optional
        Compare at this D / N instead of each recipe at its own optimum, which runs on a ray cannot tell.
    at : mapping of str to float, optional
        Values of further variables of the law.
    seed : int or numpy Generator
    n_threads : int, optional
        Results do not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` by the draws; True stops with KeyboardInterrupt.

    Returns
    -------
    RecipeComparison

    Raises
    ------
    DataError
        Code ``recipes-too-few``: one recipe only. ``data-missing-column``: no column `by`. Those of `read` and `fit`.
    LawError
        Code ``law-missing-name``: the law is not one of N and D, or a further variable has no value in `at`;
        ``law-unknown-name``: `share` names no parameter.
    FitError
        Code ``design-ray``: the runs of a recipe lie on one line of ln N and ln D.
    OptionError
        Code ``option``: an unknown base, a number out of its range, or `flops` that fall with N or count N otherwise
        than the runs.

    Examples
    --------
    >>> import numpy as np
    >>> import isoloss as iso
    >>> table = iso.simulate.sweep(settings=1, noise=0.002, seed=0)
    >>> recipe = np.where(np.arange(56) % 2, "new", "old")
    >>> loss = table["loss"] * np.where(recipe == "new", 0.98, 1.0)
    >>> made = iso.compare_recipes({"N": table["N"], "D": table["D"], "loss": loss, "recipe": recipe}, draws=200)
    >>> made
    RecipeComparison(old, new by chinchilla; base old)
    """
    chosen, number = as_law(law), seed_number(seed)
    draws = whole("draws", draws, 1)
    ratio = _ratio(tokens_per_parameter)
    others = further_variables(chosen, by_name("at", at, "{'U': 1e11}"), "at")
    joint, table, units = join(runs, by, chosen, share)
    rate, cost = cost_of(flops, table.n_counts)
    with np.errstate(over="ignore"):
        check_rising(cost, rate * table["N"] * table["D"], rate)
    first = joint.recipes[0] if base is None else base
    if first not in joint.recipes:
        message = f"base={first!r} is none of the recipes {', '.join(joint.recipes)}"
        raise OptionError(f"{message}{did_you_mean(str(first), joint.recipes)}", argument="base")
    made = joint.fitted(table, objective, number, n_threads)
    doubts = own_doubts(joint, made, refuse=ratio is None)
    drawn = made.bootstrap(draws, by=units, seed=number, n_threads=n_threads, progress=progress)
    tested = sharing(joint, made, units, max(draws // 2, _LEAST_TESTED), number, n_threads)
    notices = () if tested is None else tested.notices()
    return RecipeComparison(
        fit=made.with_draws(drawn),
        joint=joint,
        base=first,
        sharing=tested,
        flops=flops,
        tokens_per_parameter=ratio,
        others=others,
        warnings=without_repeats(serious(made.warnings), drawn.warnings, doubts, notices),
    )
