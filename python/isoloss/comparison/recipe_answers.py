"""What a comparison of recipes answers: differences of loss, the compute where they cross, multipliers of compute.

A row is one recipe against the base, and mostly one compute. All come from the same draws, so differences are paired.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoloss.plain import plain_dict
from isoloss.runs.table import make_frame
from isoloss.shown import Shown
from isoloss.stats.bands import describe_decades, uncalibrated
from isoloss.units import format_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from isoloss.engine.problem import F64
    from isoloss.errors import Notice

__all__ = ["ComputeMultiplier", "Crossover", "RecipeDifference"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Answer(Shown):
    """What all answers have.

    Attributes
    ----------
    base : str
        What the others are compared with.
    recipe : tuple of str
        By row.
    level : float
    draws : int
    calibrated : bool
        False where the draws allow no confidence interval; `warnings` says why.
    warnings : tuple of Notice
    frame : str
    """

    base: str
    recipe: tuple[str, ...]
    level: float
    draws: int
    calibrated: bool
    warnings: tuple[Notice, ...]
    frame: str

    def __len__(self) -> int:
        return len(self.recipe)

    @property
    def table(self) -> Any:
        """A row for each recipe and compute, as a frame of the kind the runs came in (a dict of arrays if a dict)."""
        return make_frame({"recipe": np.array(self.recipe), **self._columns()}, self.frame)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; what is infinite or not known is null."""
        return plain_dict(
            {
                "base": self.base,
                "recipe": list(self.recipe),
                **self._columns(),
                "level": self.level,
                "draws": self.draws,
                "calibrated": self.calibrated,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )

    def _columns(self) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def _line(self, row: int) -> str:
        raise NotImplementedError

    def _headline(self) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        lines = [self._headline()]
        several = len(set(self.recipe)) > 1
        for row, recipe in enumerate(self.recipe):
            lines.append(f"  {recipe}: {self._line(row)}" if several else f"  {self._line(row)}")
        lines += [] if self.calibrated else [uncalibrated(self.level)]
        return "\n".join([*lines, *map(str, self.warnings)])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecipeDifference(_Answer):
    """By how much the loss of a recipe lies above that of the base; made by `RecipeComparison.difference`.

    Attributes
    ----------
    base, recipe, level, draws, calibrated, warnings, frame
        What is compared, the level of the intervals, the number of draws, and whether they are calibrated.
    C : (r,) float64
        FLOPs.
    estimate, median, low, high : (r,) float64
        Loss of the recipe minus loss of the base: from the runs, and the median and interval over the draws. Below zero
        the recipe is better.
    better : (r,) float64
        How sure it is that the recipe is better (`isoloss.stats.intervals.chance`).
    loss, loss_base : (r,) float64
    N, D, N_base, D_base : (r,) float64
        The sizes and tokens compared.
    decades : mapping of str to (r,) float64
        By how many decades of N, D and C the point lies beyond the runs of the recipe or of the base, the farther one.
    where : str
        How N and D were chosen.
    """

    C: F64
    estimate: F64
    median: F64
    low: F64
    high: F64
    better: F64
    loss: F64
    loss_base: F64
    N: F64
    D: F64
    N_base: F64
    D_base: F64
    decades: Mapping[str, F64] = field(default_factory=dict)
    where: str = ""

    def _columns(self) -> dict[str, NDArray[Any]]:
        names = ("C", "estimate", "median", "low", "high", "better", "loss", "loss_base", "N", "D", "N_base", "D_base")
        return {name: getattr(self, name) for name in names}

    def _headline(self) -> str:
        return f"loss minus that of {self.base}, {self.where}"

    def _line(self, row: int) -> str:
        gap, low, high = (format_number(float(column[row]), 3) for column in (self.estimate, self.low, self.high))
        own, other = (format_number(float(column[row]), 4) for column in (self.loss, self.loss_base))
        better = _chance(float(self.better[row]), self.draws)
        text = f"C {_compute(self.C[row])} | {gap} [{low}, {high}] | P(better) {better} | loss {own} against {other}"
        if not self.decades:
            return text
        return f"{text} | {describe_decades({name: float(values[row]) for name, values in self.decades.items()})}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Crossover(_Answer):
    """The compute at which one recipe overtakes the other; made by `RecipeComparison.crossover`.

    Attributes
    ----------
    base, recipe, level, draws, calibrated, warnings, frame
        As of `RecipeDifference`.
    ahead : tuple of str
        By row: which of the two is ahead beyond the crossing; empty where neither the runs nor a draw show any.
    first : tuple of str
        By row: which of the two the fit has ahead at `start`.
    C, low, high : (r,) float64
        FLOPs: from the runs, and the interval over the draws. Zero where the one is ahead from `start` on,
        infinite where it does not overtake before `before`.
    crosses, throughout, never : (r,) float64
        Shares of the draws in which it overtakes in between, is ahead from the start, and does not come to be ahead;
        they add up to one.
    start, before : (r,) float64
        Between which FLOPs was looked: the smallest run of the two, and what was asked for.
    decades : mapping of str to (r,) float64
        By how many decades of C the crossing lies beyond the runs; NaN where there is none.
    """

    ahead: tuple[str, ...]
    first: tuple[str, ...]
    C: F64
    low: F64
    high: F64
    crosses: F64
    throughout: F64
    never: F64
    start: F64
    before: F64
    decades: Mapping[str, F64] = field(default_factory=dict)

    def _columns(self) -> dict[str, NDArray[Any]]:
        names = ("C", "low", "high", "crosses", "throughout", "never", "start", "before")
        return {
            "ahead": np.array(self.ahead),
            "first": np.array(self.first),
            **{name: getattr(self, name) for name in names},
        }

    def _headline(self) -> str:
        return f"crossing of {self.base}, between C = {_compute(self.start.min())} and {_compute(self.before.max())}"

    def _line(self, row: int) -> str:
        if not self.ahead[row]:
            return f"none, and none in any draw: {self.first[row]} is ahead throughout"
        low, high = self._end(float(self.low[row]), row), self._end(float(self.high[row]), row)
        before = _compute(float(self.before[row]))
        shares = [_chance(float(column[row]), self.draws) for column in (self.crosses, self.throughout, self.never)]
        found = float(self.C[row])
        told = f"ahead from C = {self._end(found, row)} [{low}, {high}] on"
        if np.isinf(found):
            told = f"ahead in some draws only, from C = [{low}, {high}] on"
        return (
            f"{self.ahead[row]} {told} | "
            f"P(crosses before {before}) {shares[0]}, P(ahead throughout) {shares[1]}, P(does not overtake) {shares[2]}"
        )

    def _end(self, C: float, row: int) -> str:
        if C == 0.0:
            return f"below {_compute(float(self.start[row]))}"
        return "none" if np.isinf(C) else _compute(C)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ComputeMultiplier(_Answer):
    """With how many times the compute a recipe reaches the base's loss; made by `RecipeComparison.compute_multiplier`.

    Attributes
    ----------
    base, recipe, level, draws, calibrated, warnings, frame
        As of `RecipeDifference`.
    C : (r,) float64
        FLOPs of the base.
    factor, low, high : (r,) float64
        Below one the recipe needs less: from the runs, and the interval over the draws. Infinite where no compute
        reaches the loss within a factor of a million, zero where a millionth is more than enough.
    better : (r,) float64
        How sure it is that the factor is below one.
    decades : mapping of str to (r,) float64
        By how many decades the base's N, D and C, or the recipe's compute, lie beyond the runs.
    """

    C: F64
    factor: F64
    low: F64
    high: F64
    better: F64
    decades: Mapping[str, F64] = field(default_factory=dict)

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ("C", "factor", "low", "high", "better")}

    def _headline(self) -> str:
        return f"compute to reach the loss of {self.base}, as a multiple of its own"

    def _line(self, row: int) -> str:
        factor, low, high = (_factor(float(column[row])) for column in (self.factor, self.low, self.high))
        text = (
            f"C {_compute(self.C[row])} | {factor} [{low}, {high}] "
            f"| P(below 1) {_chance(float(self.better[row]), self.draws)}"
        )
        if not self.decades:
            return text
        return f"{text} | {describe_decades({name: float(values[row]) for name, values in self.decades.items()})}"


def _compute(C: Any) -> str:
    return format_number(float(C), 3)


def _factor(value: float) -> str:
    return "none" if np.isinf(value) else f"{format_number(value, 3)}x"


def _chance(value: float, draws: int) -> str:
    """A probability with no more digits than the draws can tell."""
    least = 1.0 / (draws + 1.0)
    if value < least or value > 1.0 - least:
        return f"below {least:.1g}" if value < 0.5 else f"above {1.0 - least:.{len(str(draws))}f}"
    return f"{value:.2f}" if 0.01 < value < 0.99 else f"{value:.3f}"
