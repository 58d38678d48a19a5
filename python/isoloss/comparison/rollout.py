"""Tests of extrapolation: fit the small runs, predict the larger ones.

A rollout sorts the runs by a variable, mostly compute, cuts them into rungs, and fits each law to the first k rungs for
every k; what comes after is held out (expanding window; Hyndman and Athanasopoulos 2021, section 5.10). It asks a law
the question that matters, and asks it of the user's own runs. Leaving out one rung at a time tests interpolation, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import whole
from isoloss.errors import DataError, OptionError, did_you_mean
from isoloss.runs.rungs import by_value
from isoloss.units import format_si

if TYPE_CHECKING:
    from isoloss.engine.problem import F64
    from isoloss.runs.reading import Runs

__all__ = ["Rollout", "Split"]

_MOST_RUNGS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Runs to fit and runs to predict.

    Attributes
    ----------
    label : str
        Such as ``"C to 3e+20"``.
    train, test : (n,) bool
    distance : (n,) float64
        Decades of the variable from the nearest fitted run outwards: zero among the fitted ones.
    """

    label: str
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    distance: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How to hold runs out.

    Parameters
    ----------
    by : str
        Column whose values make the rungs: ``"C"``, ``"N"``, ``"D"``, or any other positive one.
    min_groups : int
        Rungs that are fitted at least.
    groups : int, optional
        Cut the runs into so many rungs of about equal numbers of runs. By default runs whose values agree to 2 % of a
        decade make a rung, and where these are more than eight, eight of equal size.
    kind : {"rollout", "leave-one-out"}
        Expanding window, or every rung held out in turn.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(iso.simulate.sweep(settings=1, seed=0))
    >>> [split.label for split in iso.Rollout(by="N", min_groups=5).splits(runs)]
    ['N to 661M', 'N to 1.20B', 'N to 2.20B']
    """

    by: str = "C"
    min_groups: int = 4
    groups: int | None = None
    kind: Literal["rollout", "leave-one-out"] = "rollout"

    def __post_init__(self) -> None:
        if self.kind not in ("rollout", "leave-one-out"):
            message = f"kind={self.kind!r} is neither 'rollout' nor 'leave-one-out'"
            raise OptionError(message, argument="kind")
        counts: tuple[tuple[str, Any, int], ...] = (("min_groups", self.min_groups, 1), ("groups", self.groups, 2))
        for name, value, least in counts:
            if value is not None:
                whole(name, value, least)

    def rungs(self, runs: Runs) -> NDArray[np.int64]:
        """(n,) number of the rung of each run, from the smallest value up.

        Raises
        ------
        DataError
            Codes ``data-missing-column``, ``data-nonpositive``; ``data-too-few-rungs`` when nothing can be held out.
        """
        if self.by not in runs.columns:
            message = f"by={self.by!r} names no column of the runs{did_you_mean(self.by, runs.columns)}"
            raise DataError(message, code="data-missing-column", column=self.by)
        values = runs.columns[self.by]
        if not np.all(values > 0.0):
            row = int(np.argmin(values))
            message = f"column {self.by!r}, row {row}: {values[row]:g} is not above zero, so it makes no rungs"
            raise DataError(message, code="data-nonpositive", column=self.by, row=row, value=float(values[row]))
        rungs = by_value(values)
        wanted = self.groups if self.groups is not None else _MOST_RUNGS
        if self.groups is not None or rungs[-1] >= _MOST_RUNGS:
            rungs = _of_equal_size(rungs, min(wanted, int(rungs.max()) + 1))
        found = int(rungs.max()) + 1
        if found <= self.min_groups and self.kind == "rollout":
            message = (
                f"{self.by!r} makes {found} rung{'s' if found != 1 else ''}; fitting {self.min_groups} of them leaves "
                "none to predict: lower min_groups, or roll out by another column"
            )
            raise DataError(message, code="data-too-few-rungs", column=self.by, rungs=found)
        if found < 2:
            message = f"{self.by!r} makes a single rung: there is nothing to leave out"
            raise DataError(message, code="data-too-few-rungs", column=self.by, rungs=found)
        return rungs

    def splits(self, runs: Runs) -> tuple[Split, ...]:
        """All splits of the runs, the one with the fewest fitted runs first.

        Raises
        ------
        DataError
            As `rungs`.
        """
        rungs = self.rungs(runs)
        values = np.log10(runs.columns[self.by])
        last = int(rungs.max())
        made = []
        if self.kind == "rollout":
            for k in range(self.min_groups - 1, last):
                train = rungs <= k
                top = float(values[train].max())
                made.append(
                    Split(
                        label=f"{self.by} to {_shown(self.by, 10.0**top)}",
                        train=train,
                        test=rungs > k,
                        distance=np.maximum(values - top, 0.0),
                    )
                )
        else:
            for k in range(last + 1):
                test = rungs == k
                low, high = float(values[~test].min()), float(values[~test].max())
                made.append(
                    Split(
                        label=f"without {self.by} {_shown(self.by, 10.0 ** float(np.median(values[test])))}",
                        train=~test,
                        test=test,
                        distance=np.maximum(values - high, 0.0) + np.maximum(low - values, 0.0),
                    )
                )
        return tuple(made)

    def describe(self) -> str:
        """In words."""
        if self.kind == "leave-one-out":
            return f"every rung of {self.by} left out in turn"
        return f"rollout by {self.by}, at least {self.min_groups} rungs fitted"


def _of_equal_size(rungs: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Neighbouring rungs joined until each has about the same number of runs; none is cut."""
    counts = np.bincount(rungs)
    middle = np.cumsum(counts) - 0.5 * counts
    joined = np.minimum((middle * wanted / len(rungs)).astype(np.int64), wanted - 1)
    _, joined = np.unique(joined, return_inverse=True)
    return np.asarray(joined[rungs], dtype=np.int64)


def _shown(name: str, value: float) -> str:
    return format_si(value) if name in ("N", "D", "batch", "U") else f"{value:.2g}" if math.isfinite(value) else "?"
