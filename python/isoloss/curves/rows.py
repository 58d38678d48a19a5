"""From loss curves to rows that a law can be fitted to: one row per logged loss, its columns read off the schedule.

The columns a law of curves may name: ``S1`` (area under the schedule up to the step), ``S2`` (momentum annealing area
with lambda 0.999; ``S2_998`` has 0.998, the digits after the point), ``S`` (the step), ``lr`` (peak learning rate), and
whatever is constant over each run, such as ``N``. A sum over the drops of the learning rate is an inner table with the
columns ``drop``, ``lr`` and ``S``, see `isoloss.curves.step_sums`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoloss.curves.object import Curves, joined
from isoloss.curves.schedule import Schedule
from isoloss.curves.step_sums import drop_points
from isoloss.errors import DataError
from isoloss.inner import Inner
from isoloss.laws.annealing import LAMBDA
from isoloss.runs.object import BLOCK, Runs
from isoloss.runs.source import DataSource

if TYPE_CHECKING:
    from isoloss.law.object import Law

__all__ = ["curve_runs", "features", "lam_of", "points"]

F64 = NDArray[np.float64]
Int = NDArray[np.int64]
POINTS = ("drop", "lr", "S")
"""Columns of the points that sums over drops run over: the drop, the learning rate after it, the area before it."""
_BLOCKS = 20  # stretches of each curve
_S2 = re.compile(r"S2(?:_(\d+))?")


def lam_of(name: str) -> float | None:
    """The lambda that a variable's name asks for, None where it is no momentum annealing area.

    Examples
    --------
    >>> from isoloss.curves.rows import lam_of
    >>> lam_of("S2"), lam_of("S2_998"), lam_of("S1")
    (0.999, 0.998, None)
    """
    match = _S2.fullmatch(name)
    if match is None:
        return None
    return LAMBDA if match[1] is None else float(f"0.{match[1]}")


def features(
    law: Law, schedule: Schedule, step: Int, constants: Mapping[str, float], where: str = "the schedule"
) -> dict[str, F64]:
    """What a law needs, by name, at some steps of one schedule.

    Raises
    ------
    DataError
        Code ``data-missing-role``: a name is none of them. Code ``curve-zero-tail``: a momentum annealing area would
        count steps of a zero learning rate.
    """
    found: dict[str, F64] = {}
    for name in law.variables:
        lam = lam_of(name)
        if name in constants:
            found[name] = np.full(len(step), constants[name])
        elif lam is not None:
            _refuse_zero_tail(schedule, step, where)
            found[name] = schedule.S2(lam)[step]
        elif name == "S1":
            found[name] = schedule.S1[step]
        elif name in ("S", "step"):
            found[name] = step.astype(np.float64)
        elif name == "lr":
            found[name] = np.full(len(step), schedule.peak)
        else:
            known = ", ".join(["S1", "S2", "S", "lr", *constants])
            message = f"{where} has no {name!r}; it has {known}; name a column in read_curves(..., {name}='...')"
            raise DataError(message, code="data-missing-role", role=name)
    return found


def _refuse_zero_tail(schedule: Schedule, step: Int, where: str) -> None:
    """Steps without an update lower the annealing law's loss, which is no property of training."""
    if schedule.zero_tail > 1 and len(step) and int(step.max()) > schedule.steps - schedule.zero_tail + 1:
        message = (
            f"{where} ends with {schedule.zero_tail:,} steps of learning rate zero, for which S2 keeps growing though "
            "nothing is trained; cut them off"
        )
        raise DataError(message, code="curve-zero-tail", steps=schedule.zero_tail)


def points(law: Law, schedule: Schedule, step: Int, where: str = "the schedule") -> dict[str, Inner]:
    """What the sums of a law run over, by the name of the table, at some steps of one schedule.

    Raises
    ------
    DataError
        Code ``data-missing-role``: a table has a column that is none of drop, lr and S.
    """
    found: dict[str, Inner] = {}
    for name, columns in law.inner.items():
        unknown = [column for column in columns if column not in POINTS]
        if unknown:
            message = f"{where} has no {name}.{unknown[0]}; sums over its drops have {', '.join(POINTS)}"
            raise DataError(message, code="data-missing-role", role=f"{name}.{unknown[0]}")
        made = drop_points(schedule, step)
        found[name] = Inner({"drop": made.drop, "lr": made.lr, "S": made.S}, offsets=made.offsets)
    return found


def curve_runs(law: Law, curves: Curves) -> Runs:
    """The rows of curves with the columns a law needs; each curve is a group.

    Raises
    ------
    DataError
        As `features`, naming the run.
    """
    group, loss = joined(curves.curves)
    parts = [features(law, c.schedule, c.step, c.constants, f"run {c.run!r}") for c in curves]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in law.variables}
    columns["loss"] = loss
    columns.setdefault("step", np.concatenate([c.step for c in curves]).astype(np.float64))
    within = np.concatenate([np.arange(c.n) * _BLOCKS // c.n for c in curves])
    columns[BLOCK] = (group * _BLOCKS + within).astype(np.float64)
    runs = Runs(
        columns=columns,
        group=group,
        group_labels=curves.runs,
        column_of={"group": "run"},
        dropped=curves.dropped,
        source=DataSource(f"{len(curves)} loss curves of {curves.source}", "", curves.n),
        warnings=curves.warnings,
    )
    if not law.inner:
        return runs
    tables = [points(law, c.schedule, c.step, f"run {c.run!r}") for c in curves]
    return runs.with_inner(**{name: Inner.concat([table[name] for table in tables]) for name in law.inner})
