r"""Which of several recipes is better at scale: one law for all of them, and paired draws of what each reaches.

Runs of several recipes (optimisers, corpora, architectures) are fitted as one law in which some parameters, by default
the exponents, are shared and the others each recipe's own (`isoloss.by_group`). With L_r(C) the least loss of recipe r
over all ways to spend the compute C (k N D, or what `isoloss.plan.flops` counts), three things are asked of it and of
the base b:

- the difference L_r(C) - L_b(C);
- the compute at which that difference changes its sign;
- the factor m with L_r(m C) = L_b(C): how much compute the recipe saves.

Every draw of the bootstrap refits all recipes to the same resampled runs, and each question is asked of each draw: the
answers are paired, and what two recipes have in common, above all the exponents, does not blur their difference.
Whether the exponents may be shared is itself tested (`isoloss.stats.nested`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.checks import level_between
from isoloss.comparison.frontier import MOST, Frontier, crossings, multiplier
from isoloss.comparison.joint import Joint, Sharing
from isoloss.comparison.recipe_answers import ComputeMultiplier, Crossover, RecipeDifference
from isoloss.engine.problem import F64
from isoloss.errors import DataError, Notice, OptionError, did_you_mean, serious, without_repeats
from isoloss.fit.object import Fit
from isoloss.plain import plain_dict
from isoloss.plan.allocation import unbounded
from isoloss.plan.flops import Flops, cost_of, describe_flops
from isoloss.plan.optimum import Split
from isoloss.stats.bands import decades_beyond, extrapolated
from isoloss.stats.intervals import chance
from isoloss.units import FORMULAS, format_number, parse_number, real_numbers

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.stats.draws import Draws

__all__ = ["RecipeComparison"]

_AHEAD = 1e3  # times the largest run, up to which crossings are looked for
_OUTSIDE = 1.0  # by how much a draw without a crossing lies beyond the range, in ln C


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class RecipeComparison:
    """Recipes fitted as one law; made by `compare_recipes` or `isoloss.load`.

    Attributes
    ----------
    fit : Fit
        Of all recipes at once, with its draws; parameters that are not shared are called ``E_A`` and the like.
    joint : Joint
        Which parameters of the joint law are whose.
    base : str
        What the others are compared with.
    sharing : Sharing or None
        Whether the runs allow what is shared to be shared; None where nothing is.
    flops : "6ND", float, Transformer or callable
        How compute is counted, as given to `compare_recipes`.
    tokens_per_parameter : float or None
        Where N and D are not each recipe's best.
    others : mapping of str to float
        Further variables of the law.
    warnings : tuple of Notice
        What makes the answers doubtful.
    """

    fit: Fit
    joint: Joint
    base: str
    sharing: Sharing | None
    flops: Flops
    tokens_per_parameter: float | None
    others: Mapping[str, float]
    warnings: tuple[Notice, ...]

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of all recipes, in order of first appearance."""
        return self.joint.recipes

    @property
    def draws(self) -> Draws:
        """The draws behind all intervals."""
        if self.fit.draws is None:
            raise OptionError("this comparison has no draws", argument="draws")
        return self.fit.draws

    def calibrated(self, level: float = 0.95) -> bool:
        """Whether intervals may be called confidence intervals: the draws allow it, and no serious notice forbids."""
        doubts = [notice for notice in serious(self.warnings) if notice.code != "unit-doubtful"]
        return self.draws.calibrated(level) and not doubts

    def frontier(self, recipe: str) -> Frontier:
        """What one recipe reaches, by the estimates and by every draw.

        Raises
        ------
        OptionError
            Code ``option``: no recipe has that name.
        """
        k = self._number(recipe)
        bound = self.joint.law.bind({**self.joint.of(self.fit.vector, k), **self._pivots()})
        params = np.vstack([self.fit.vector, self.draws.params])[:, self.joint.places[k]]
        rate, cost = cost_of(self.flops, self.fit.runs.n_counts)
        split = Split(bound=bound, rate=rate, others=dict(self.others), cost=cost)
        runs = self.joint.runs_of(self.fit.runs, k)
        # Compute that follows from N and D is counted as the budgets are; what was measured stays as it is.
        measured = "C" in runs and runs.column_of.get("C") != FORMULAS["C"]
        with np.errstate(over="ignore"):
            spent = runs["C"] if measured else split.per_token(runs["N"]) * runs["D"]
        ranges = {
            name: (float(x.min()), float(x.max())) for name, x in (("N", runs["N"]), ("D", runs["D"]), ("C", spent))
        }
        return Frontier(split=split, params=params, ratio=self.tokens_per_parameter, ranges=ranges)

    @np.errstate(all="ignore")  # beyond the range of doubles losses are infinite, and their differences NaN
    def difference(self, C: ArrayLike | str, *, recipe: str | None = None, level: float = 0.95) -> RecipeDifference:
        """Loss of the recipes minus that of the base, each at its own compute-optimal size.

        Parameters
        ----------
        C : float, text such as ``"1e24"``, or array_like
            FLOPs.
        recipe : str, optional
            By default all but the base.
        level : float

        Returns
        -------
        RecipeDifference
            A row for each recipe and compute.

        Raises
        ------
        DataError
            Code ``data-nonpositive``: C is not above zero.
        OptionError
            Code ``option``: an unknown recipe, or a level that is none.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> table = iso.simulate.sweep(settings=1, noise=0.002, seed=0)
        >>> recipe = np.where(np.arange(56) % 2, "new", "old")
        >>> loss = table["loss"] * np.where(recipe == "new", 0.98, 1.0)
        >>> runs = {"N": table["N"], "D": table["D"], "loss": loss, "recipe": recipe}
        >>> made = iso.compare_recipes(runs, draws=200)
        >>> found = made.difference(C=[1e21, 1e22])
        >>> bool((found.high < 0).all()), found.recipe
        (True, ('new', 'new'))
        """
        level, budgets = level_between(level), _budgets(C)
        base = self.frontier(self.base)
        base_N, base_loss, base_edge = base.at(budgets)
        rows: list[dict[str, Any]] = []
        names = self._others(recipe)
        edges = [base_edge]
        far: list[dict[str, Any]] = []
        for name in names:
            own = self.frontier(name)
            N, loss, edge = own.at(budgets)
            gap = loss - base_loss
            low, high = self._ends(gap, level)
            D, base_D = own.split.tokens(N, budgets), base.split.tokens(base_N, budgets)
            rows.append(
                {
                    "C": budgets,
                    "estimate": gap[0],
                    "median": np.median(gap[1:], axis=0) if len(gap) > 1 else np.full(len(budgets), np.nan),
                    "low": low,
                    "high": high,
                    "better": chance(self.draws.basis.interval, gap[1:], df=self.draws.basis.df),
                    "loss": loss[0],
                    "loss_base": base_loss[0],
                    "N": N[0],
                    "D": D[0],
                    "N_base": base_N[0],
                    "D_base": base_D[0],
                }
            )
            edges.append(edge)
            far.append(
                _farther(
                    decades_beyond(own.ranges, {"N": N[0], "D": D[0], "C": budgets}),
                    decades_beyond(base.ranges, {"N": base_N[0], "D": base_D[0], "C": budgets}),
                )
            )
        decades = _stacked(far)
        return RecipeDifference(
            **self._shared(
                np.repeat(names, len(budgets)), level, (*unbounded(np.hstack(edges)), *extrapolated(decades))
            ),
            **_stacked(rows),
            decades=decades,
            where="each at its compute-optimal size" if self.tokens_per_parameter is None else self._at_ratio(),
        )

    def crossover(
        self, *, before: float | str | None = None, recipe: str | None = None, level: float = 0.95
    ) -> Crossover:
        """The compute at which the recipe that is behind at the smallest run overtakes the other.

        The first crossing counts, between the smallest run of the two and `before`. Draws that cross the other way
        do not overtake; they count among ``never``.

        Parameters
        ----------
        before : float or text, optional
            FLOPs up to which is looked; by default a thousand times the largest run.
        recipe : str, optional
            By default all but the base.
        level : float

        Returns
        -------
        Crossover
            A row for each recipe.

        Raises
        ------
        OptionError
            Code ``option``: `before` is not above the smallest run, an unknown recipe, or a level that is none.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> law = iso.laws.get("chinchilla").bind("besiroglu2024")
        >>> table = iso.simulate.sweep(settings=1, noise=0.002, seed=0)
        >>> recipe = np.where(np.arange(56) % 2, "new", "old")
        >>> loss = np.where(recipe == "new", 1.1 * (table["loss"] - 2.6) + 2.55, table["loss"])
        >>> made = iso.compare_recipes({"N": table["N"], "D": table["D"], "loss": loss, "recipe": recipe}, draws=200)
        >>> found = made.crossover(before=1e24)
        >>> found.ahead, bool(found.low[0] < found.C[0] < found.high[0])
        (('new',), True)
        """
        level = level_between(level)
        names = self._others(recipe)
        largest = max(self.frontier(name).ranges["C"][1] for name in (self.base, *names))
        end = _AHEAD * largest if before is None else parse_number(before, "before")
        rows = [self._crossing(name, end, level) for name in names]
        words = {name: tuple(str(row[name]) for row in rows) for name in ("ahead", "first")}
        columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in rows[0] if name not in words}
        decades = {"C": columns.pop("decades")}
        return Crossover(
            **self._shared(names, level, extrapolated({"C": decades["C"][np.isfinite(decades["C"])]})),
            ahead=words["ahead"],
            first=words["first"],
            **columns,
            decades=decades,
        )

    @np.errstate(all="ignore")  # beyond the range of doubles losses are infinite, and their differences NaN
    def compute_multiplier(
        self, C: ArrayLike | str, *, recipe: str | None = None, level: float = 0.95
    ) -> ComputeMultiplier:
        """With how many times the compute of the base a recipe reaches the base's loss.

        Parameters
        ----------
        C : float, text or array_like
            FLOPs of the base.
        recipe : str, optional
            By default all but the base.
        level : float

        Returns
        -------
        ComputeMultiplier
            A row for each recipe and compute.

        Raises
        ------
        DataError, OptionError
            As `difference`.

        Examples
        --------
        >>> import numpy as np
        >>> import isoloss as iso
        >>> table = iso.simulate.sweep(settings=1, noise=0.002, seed=0)
        >>> recipe = np.where(np.arange(56) % 2, "new", "old")
        >>> loss = table["loss"] * np.where(recipe == "new", 0.98, 1.0)
        >>> made = iso.compare_recipes({"N": table["N"], "D": table["D"], "loss": loss, "recipe": recipe}, draws=200)
        >>> found = made.compute_multiplier(C=1e21)
        >>> bool(0.5 < found.factor[0] < 0.9), bool(found.better[0] > 0.99)
        (True, True)
        """
        level, budgets = level_between(level), _budgets(C)
        base, names = self.frontier(self.base), self._others(recipe)
        base_N, target, edge = base.at(budgets)
        beyond = decades_beyond(base.ranges, {"N": base_N[0], "D": base.split.tokens(base_N, budgets)[0], "C": budgets})
        rows: list[dict[str, Any]] = []
        far: list[dict[str, Any]] = []
        for name in names:
            own = self.frontier(name)
            ln = multiplier(own, budgets, target)
            most = math.log(MOST)
            low, high = self._ends(np.clip(ln, -most - _OUTSIDE, most + _OUTSIDE), level)
            rows.append(
                {
                    "C": budgets,
                    **{
                        key: _outside(end, -most, most)
                        for key, end in (("factor", ln[0]), ("low", low), ("high", high))
                    },
                    "better": chance(self.draws.basis.interval, ln[1:], df=self.draws.basis.df),
                }
            )
            reached = np.where(
                np.isfinite(ln[0]), budgets * np.exp(np.nan_to_num(ln[0], posinf=0.0, neginf=0.0)), budgets
            )
            far.append(_farther(beyond, decades_beyond(own.ranges, {"C": reached})))
        decades = _stacked(far)
        return ComputeMultiplier(
            **self._shared(np.repeat(names, len(budgets)), level, (*unbounded(edge), *extrapolated(decades))),
            **_stacked(rows),
            decades=decades,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the comparison with its runs and draws to a JSON file; `isoloss.load` reads it.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        """
        from isoloss.store import save

        save(self, "isoloss.recipes", path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON: what is shared, the test of that, and the parameters with intervals."""
        return plain_dict(
            {
                "recipes": list(self.recipes),
                "base": self.base,
                "law": self.joint.law.name,
                "flops": describe_flops(self.flops) or "6ND",
                "share": list(self.joint.share),
                "sharing": None if self.sharing is None else self.sharing.to_dict(),
                "params": dict(self.fit.params),
                "conf_int": self.draws.conf_int(),
                "calibrated": self.calibrated(),
                "data": self.fit.runs.source.sha256,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def __str__(self) -> str:
        counts = [
            f"{name} ({len(self.joint.runs_of(self.fit.runs, k)['loss'])} runs)" for k, name in enumerate(self.recipes)
        ]
        shared = ", ".join(self.joint.share) or "nothing"
        counted = describe_flops(self.flops)
        compute = f"; C in {counted}" if counted else ""
        lines = [f"{', '.join(counts)}; {self.joint.law.name} with {shared} shared; base {self.base}{compute}"]
        intervals = self.draws.conf_int()
        width = max(map(len, self.fit.params))
        for name, value in self.fit.params.items():
            low, high = (format_number(end, 4) for end in intervals[name])
            lines.append(f"  {name:<{width}}  {format_number(value, 4)} [{low}, {high}]")
        lines += [] if self.sharing is None else [str(self.sharing)]
        return "\n".join([*lines, *map(str, self.warnings)])

    def __repr__(self) -> str:
        return f"RecipeComparison({', '.join(self.recipes)} by {self.joint.law.name}; base {self.base})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    # Parts -----------------------------------------------------------------------------------------------------

    def _number(self, recipe: str) -> int:
        if recipe not in self.recipes:
            message = f"no recipe {recipe!r} among {', '.join(self.recipes)}{did_you_mean(str(recipe), self.recipes)}"
            raise OptionError(message, argument="recipe")
        return self.recipes.index(recipe)

    def _others(self, recipe: str | None) -> tuple[str, ...]:
        if recipe is None:
            return tuple(name for name in self.recipes if name != self.base)
        if self.recipes[self._number(recipe)] == self.base:
            message = f"recipe={recipe!r} is the base, which the others are compared with"
            raise OptionError(message, argument="recipe")
        return (recipe,)

    def _pivots(self) -> dict[str, float]:
        """Pivots of the law, which the joint fit took from all runs."""
        constants = self.fit.bound.constants
        return {name: constants[name] for name in self.joint.law.pivots}

    def _ends(self, values: F64, level: float) -> tuple[F64, F64]:
        return self.draws.ends(values[1:], values[0], level)

    def _at_ratio(self) -> str:
        return f"at {self.tokens_per_parameter:g} tokens per parameter"

    def _shared(self, recipe: Iterable[str], level: float, notices: Iterable[Notice]) -> dict[str, Any]:
        """What every answer carries."""
        return {
            "base": self.base,
            "recipe": tuple(map(str, recipe)),
            "level": level,
            "draws": len(self.draws),
            "calibrated": self.calibrated(level),
            "warnings": without_repeats(self.warnings, notices),
            "frame": self.fit.runs.frame,
        }

    def _crossing(self, recipe: str, end: float, level: float) -> dict[str, Any]:
        """One row of a `Crossover`."""
        own, base = self.frontier(recipe), self.frontier(self.base)
        start = min(own.ranges["C"][0], base.ranges["C"][0])
        if not (np.isfinite(end) and end > start):
            message = f"before={end:.4g} is not above the smallest run's C = {start:.4g}"
            raise OptionError(message, argument="before")
        side, place = crossings(own, base, np.log(start), np.log(end))
        direction = side[0] if np.isfinite(place[0]) else int(np.sign(side[np.isfinite(place)].sum()))
        crossed = np.isfinite(place)
        # `side` is the sign of the difference beyond the crossing, or throughout where there is none.
        x = np.where(side == direction, np.where(crossed, place, np.log(start) - _OUTSIDE), np.log(end) + _OUTSIDE)
        low, high = self._ends(x, level)
        ahead = "" if direction == 0 else (recipe if direction < 0 else self.base)
        # The sign turns at the first crossing.
        begins = -side[0] if crossed[0] else side[0]
        ends = {
            key: _outside(value, np.log(start), np.log(end))
            for key, value in (("C", x[0]), ("low", low), ("high", high))
        }
        if direction == 0:
            ends = dict.fromkeys(ends, np.array(np.inf))
        right = side[1:] == direction
        shares = {"crosses": right & crossed[1:], "throughout": right & ~crossed[1:], "never": ~right}
        known = 0.0 < ends["C"] < np.inf
        far = (
            _farther(*(decades_beyond({"C": one.ranges["C"]}, {"C": ends["C"]}) for one in (own, base)))
            if known
            else {}
        )
        return {
            "ahead": ahead,
            "first": recipe if begins < 0 else self.base,
            **{name: float(end) for name, end in ends.items()},
            **{
                name: float(np.mean(share)) if direction and len(share) else float(name == "never")
                for name, share in shares.items()
            },
            "start": start,
            "before": end,
            "decades": float(far["C"]) if known else np.nan,
        }


def _budgets(C: ArrayLike | str) -> F64:
    """(k,) FLOPs, checked."""
    values = np.atleast_1d(real_numbers("C", C))
    if values.ndim > 1 or values.size == 0 or not np.all(np.isfinite(values) & (values > 0.0)):
        message = f"C={C!r} is not FLOPs above zero: a number, or a list of numbers"
        raise DataError(message, code="data-nonpositive", column="C")
    return values


def _stacked(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of several recipes, one after another."""
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _outside(ln: F64, low: float, high: float) -> F64:
    """Natural values; zero below the range that was looked at, infinite above."""
    return np.where(ln < low, 0.0, np.where(ln > high, np.inf, np.exp(np.clip(ln, low, high))))


def _farther(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Of two distances from the runs the larger in size."""
    names = [name for name in ("N", "D", "C") if name in one or name in other]
    pairs = {name: (one.get(name, other.get(name)), other.get(name, one.get(name))) for name in names}
    return {name: np.where(np.abs(a) >= np.abs(b), a, b) for name, (a, b) in pairs.items()}
