"""Tables of whole loss curves: `read_curves`.

A row is one logged loss: step, loss, learning rate, and the run it belongs to. Laws of loss curves need the learning
rate of *every* step, from the first: between logged steps it is interpolated, before the first one it is a linear
warm-up where that is given, and an exact `Schedule` can be given instead. Whatever is wrong is refused by column, row
and value, and what is left out is said in `Curves.dropped`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.curves.object import Curve, Curves, Spacing, start_assumed
from isoloss.curves.schedule import Schedule
from isoloss.curves.shapes import from_points
from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.runs.build import Cells, group_codes, where_mask
from isoloss.runs.source import Dropped
from isoloss.runs.table import BadCell, Table, open_table

__all__ = ["Curve", "Curves", "read_curves", "recognised"]

F64 = NDArray[np.float64]
Schedules = Mapping[str, Schedule] | Callable[[str], Schedule | None]
_DISAGREE = 0.01  # share of the peak by which a logged learning rate may differ from the schedule's


def read_curves(
    source: Any,
    *,
    step: str | None = None,
    loss: str | None = None,
    lr: str | None = None,
    run: str | Sequence[str] | None = None,
    schedule: str | None = None,
    N: str | None = None,
    warmup: int | None = None,
    jumps: bool | None = None,
    schedules: Schedules | None = None,
    after: int | None = None,
    every: int | None = None,
    points: int | None = None,
    spacing: Spacing = "linear",
    where: Mapping[str, Any] | None = None,
    drop_invalid: bool = False,
    **further: str,
) -> Curves:
    """Read loss curves from a file, a frame or a dict of arrays.

    Parameters
    ----------
    source : path, frame or mapping
        As for `isoloss.read`: CSV or Parquet; a pandas, polars or pyarrow table; a dict of (n,) arrays.
    step, loss, lr, schedule : str, optional
        Columns of the step, the loss in nats per token, the learning rate at the step, and the name of the schedule;
        by default those with these names, where there are any.
    run : str or sequence of str, optional
        Column, or columns, whose values tell runs apart. By default a column ``run``, else all rows are one run.
    N : str, optional
        Column of the model size.
    warmup : int, optional
        Steps of linear warm-up from zero. Left out, a rise that was logged is taken as the warm-up.
    jumps : bool, optional
        Whether the learning rate keeps each logged value until the next logged step, instead of following a straight
        line between. Left out, it does so where a single change stands between flat stretches.
    schedules : mapping or callable, optional
        Exact schedules by label of the run or by name of the schedule; a callable takes either, and gives None where
        it has nothing to say. They must agree with the logged learning rates within 1 % of the peak.
    after : int, optional
        Leave out the losses up to this step; by default those before the warm-up's end, for which no law is made.
    every, points, spacing
        Thinning, as in `Curves.thin`.
    where : mapping, optional
        Keep the rows whose source columns have these values.
    drop_invalid : bool
        Leave rows with unusable cells out, and say so, instead of refusing them.
    **further
        Further columns that are constant over each run, by the name they get: ``split="split_in_paper"``.

    Returns
    -------
    Curves

    Raises
    ------
    DataError
        As `isoloss.read`, with column, row and value; ``curve-steps`` for a step that occurs twice in a run or is no
        whole number; ``curve-constant`` for a column that changes within a run; ``curve-schedule`` where schedule and
        logged learning rate disagree or a loss lies beyond the schedule; ``data-missing-role`` without a learning rate.

    Examples
    --------
    >>> import isoloss as iso
    >>> table = {"step": [100, 200, 300, 400], "loss": [4.0, 3.5, 3.3, 3.2], "lr": [1e-3, 1e-3, 6e-4, 1e-4]}
    >>> print(iso.read_curves(table, warmup=50))
    1 curve, 4 losses, from a dict of arrays
      run  schedule  steps  losses  peak lr  last lr  first loss  last loss
      all  wsd         400       4    0.001   0.0001      4.0000     3.2000
    """
    table = open_table(source)
    single = {"step": step, "loss": loss, "lr": lr, "schedule": schedule, "N": N}
    column_of = {role: _column(table, role, given) for role, given in single.items()}
    for role in ("step", "loss"):
        if column_of[role] is None:
            message = f"there is no column {role!r} in {table.label}; name it in read_curves(..., {role}='...')"
            raise DataError(message, code="data-missing-role", role=role)
    run_columns = _run_columns(table, run)
    extra = {name: _known(table, column, name) for name, column in further.items()}
    conditions = {_known(table, column, "where"): wanted for column, wanted in (where or {}).items()}
    wanted = [*(c for c in column_of.values() if c), *run_columns, *extra.values(), *conditions]
    raw = table.select(list(dict.fromkeys(wanted)))
    total = len(next(iter(raw.values())))
    if total == 0:
        raise DataError(f"{table.label} has no rows", code="data-empty")
    keep, left_out = where_mask(table, raw, conditions, total)
    cells = Cells(keep)
    numbers = _numbers(cells, raw, column_of)
    codes, labels = _runs(cells, raw, run_columns, total)
    notices: list[Notice] = []
    if drop_invalid:
        faults = cells.drop()
        left_out += faults
        if faults:
            count = sum(len(rows) for _, rows in faults)
            message = f"{count} rows were left out: {'; '.join(f'{len(rows)} where {why}' for why, rows in faults)}"
            notices.append(Notice(code="rows-dropped", severity="warning", message=message, details={"rows": count}))
    else:
        cells.refuse()
    if not cells.keep.any():
        raise DataError(f"no usable row is left of {total} in {table.label}", code="data-empty")
    reader = _Reader(raw, numbers, column_of, extra, warmup, jumps, schedules, after)
    curves = [reader.curve(label, np.flatnonzero(cells.keep & (codes == code))) for code, label in enumerate(labels)]
    found = Curves(
        curves=tuple(curve for curve in curves if curve is not None),
        dropped=tuple(
            Dropped(len(rows), why, tuple(rows)) for why, rows in [*left_out, *reader.left_out.items()] if rows
        ),
        source=table.label,
        warnings=(*notices, *reader.notices()),
    )
    if not found.curves:
        raise DataError(f"no loss is left after the warm-up in {table.label}", code="data-empty")
    if every is None and points is None:
        return found
    return found.thin(every=every, points=points, spacing=spacing)


def _column(table: Table, role: str, given: str | None) -> str | None:
    if given is None:
        return role if role in table.names else None
    return _known(table, given, role)


def _known(table: Table, column: Any, role: str) -> str:
    if not isinstance(column, str):
        message = f"{role!r} takes the name of a column, not {type(column).__name__}"
        raise OptionError(message, argument=role)
    if column not in table.names:
        near = did_you_mean(column, table.names)
        message = f"there is no column {column!r} ({role}) in {table.label}{near}; columns: {', '.join(table.names)}"
        raise DataError(message, code="data-missing-column", column=column, role=role)
    return column


def _run_columns(table: Table, run: str | Sequence[str] | None) -> list[str]:
    if run is None:
        return ["run"] if "run" in table.names else []
    return [_known(table, column, "run") for column in ([run] if isinstance(run, str) else run)]


def _numbers(cells: Cells, raw: Mapping[str, Any], column_of: Mapping[str, str | None]) -> dict[str, F64]:
    """Step, loss, lr and N as numbers, with the cells that cannot be such recorded."""
    numbers: dict[str, F64] = {}
    for role in ("step", "loss", "lr", "N"):
        column = column_of[role]
        if column is None:
            continue
        values = numbers[role] = cells.numbers(raw[column], column, "N" if role in ("N", "step") else role)
        with np.errstate(invalid="ignore"):
            below = values <= 0.0 if role == "N" else values < 0.0
            fraction = (values != np.floor(values)) & np.isfinite(values) & ~below & (role == "step")
        reason = "is not above zero" if role == "N" else "is below zero"
        found = [BadCell(r, f"{values[r]:g}", "data-nonpositive", reason) for r in np.flatnonzero(below).tolist()]
        found += [
            BadCell(r, f"{values[r]:g}", "curve-steps", "is not a whole number")
            for r in np.flatnonzero(fraction).tolist()
        ]
        if role != "loss":
            cells.add(column, role, [cell for cell in found if np.isfinite(values[cell.row])])
    return numbers


def _runs(
    cells: Cells, raw: Mapping[str, Any], columns: list[str], total: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number of each row's run, and the labels of the runs in order of first appearance."""
    if not columns:
        return np.zeros(total, dtype=np.int64), ("all",)
    parts = []
    for column in columns:
        codes, labels, missing = group_codes(raw[column], cells.keep)
        cells.add(column, "run", missing)
        parts.append((codes, labels))
    if len(parts) == 1:
        return parts[0]
    known: dict[str, int] = {}
    joined = np.full(total, -1, dtype=np.int64)
    for row in np.flatnonzero(cells.keep):
        label = " ".join(labels[codes[row]] if codes[row] >= 0 else "" for codes, labels in parts)
        joined[row] = known.setdefault(label, len(known))
    return joined, tuple(known)


class _Reader:
    """Makes one curve after the other and gathers what was left out or assumed."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        numbers: Mapping[str, F64],
        column_of: Mapping[str, str | None],
        extra: Mapping[str, str],
        warmup: int | None,
        jumps: bool | None,
        schedules: Schedules | None,
        after: int | None,
    ) -> None:
        self.raw, self.numbers, self.column_of, self.extra = raw, numbers, column_of, extra
        self.warmup, self.jumps, self.after = warmup, jumps, after
        self.given: Callable[[str], Schedule | None] = schedules if callable(schedules) else (schedules or {}).get
        self.left_out: dict[str, list[int]] = {}
        self.assumed: list[tuple[str, int]] = []

    def curve(self, label: str, rows: NDArray[np.intp]) -> Curve | None:
        if not len(rows):
            return None
        step = self.numbers["step"][rows].astype(np.int64)
        order = np.argsort(step, kind="stable")
        rows, step = rows[order], step[order]
        again = np.flatnonzero(np.diff(step) == 0)
        if len(again):
            first, second = (int(rows[again[0] + k]) for k in (0, 1))
            message = (
                f"column {self.column_of['step']!r}, row {second}: step {step[again[0]]} of run {label!r} was "
                f"already in row {first}; keep one of them, or tell runs apart with run="
            )
            raise DataError(message, code="curve-steps", row=second, value=int(step[again[0]]), run=label)
        name = self._constant("schedule", self.column_of["schedule"], label, rows)
        schedule = self._schedule(label, name, rows, step)
        labels, constants = {}, {}
        for key, column in self.extra.items():
            text = labels[key] = str(self._constant(key, column, label, rows))
            try:
                constants[key] = float(text)
            except ValueError:
                continue
        if "N" in self.numbers:
            constants["N"] = float(self._constant("N", self.column_of["N"], label, rows, self.numbers["N"]))
        least = schedule.warmup - 1 if self.after is None else self.after
        late = step > max(least, 0)
        if not late.all():
            why = (
                "step 0 comes before any update"
                if least <= 0
                else ("steps of the warm-up" if self.after is None else f"steps up to {self.after}")
            )
            self.left_out.setdefault(why, []).extend(rows[~late].tolist())
        if not late.any():
            return None
        return Curve(
            run=label,
            step=step[late],
            loss=self.numbers["loss"][rows[late]],
            schedule=schedule,
            kind=recognised(schedule) if name is None else str(name),
            labels=labels,
            constants=constants,
        )

    def _constant(self, key: str, column: str | None, label: str, rows: NDArray[np.intp], values: Any = None) -> Any:
        """The one value that a column has over a run."""
        if column is None:
            return None
        cells = self.raw[column] if values is None else values
        first = cells[rows[0]]
        for row in rows[1:]:
            if cells[row] != first:
                message = (
                    f"column {column!r}, row {row}: {cells[row]} where run {label!r} began with {first}; "
                    f"{key!r} must be the same over a run (are several runs taken as one? see run=)"
                )
                raise DataError(message, code="curve-constant", column=column, row=int(row), run=label)
        return first.item() if isinstance(first, np.generic) else first

    def _schedule(self, label: str, name: Any, rows: NDArray[np.intp], step: NDArray[np.int64]) -> Schedule:
        lr = self.numbers["lr"][rows] if "lr" in self.numbers else None
        exact = self.given(label)
        if exact is None and name is not None:
            exact = self.given(str(name))
        if exact is not None:
            if step[-1] > exact.steps:
                message = f"row {rows[-1]}: step {step[-1]} of run {label!r} lies beyond its schedule {exact.name}"
                raise DataError(message, code="curve-schedule", row=int(rows[-1]), value=int(step[-1]), run=label)
            if lr is not None:
                off = np.flatnonzero(np.abs(exact.values[step] - lr) > _DISAGREE * exact.peak)
                if len(off):
                    at = int(off[0])
                    message = (
                        f"column {self.column_of['lr']!r}, row {rows[at]}: {lr[at]:.6g} at step {step[at]} of run "
                        f"{label!r}, where its schedule {exact.name} has {exact.values[step[at]]:.6g}"
                    )
                    raise DataError(message, code="curve-schedule", row=int(rows[at]), value=float(lr[at]), run=label)
            return exact
        if lr is None:
            message = (
                f"run {label!r} has no learning rate; name its column in read_curves(..., lr='...') or give schedules="
            )
            raise DataError(message, code="data-missing-role", role="lr", run=label)
        warmup = _logged_rise(step, lr) if self.warmup is None else self.warmup
        if warmup == 0 and step[0] > 1:
            self.assumed.append((label, int(step[0])))
        if self.jumps is None:
            step, lr = _jumps_kept(step, lr)
        return from_points(step, lr, warmup=min(warmup, int(step[-1]) - 1), jumps=bool(self.jumps))

    def notices(self) -> list[Notice]:
        """What was assumed about steps that were not logged."""
        return [start_assumed(dict(self.assumed))] if self.assumed and self.warmup is None else []


def _jumps_kept(step: NDArray[np.int64], lr: F64) -> tuple[NDArray[np.int64], F64]:
    """Logged points with one more just before each change that stands alone between flat stretches."""
    changed = np.concatenate([[True], np.diff(lr) != 0.0, [False]])  # before each point, and none after the last
    alone = np.flatnonzero(changed[1:-1] & ~changed[:-2] & ~changed[2:]) + 1
    alone = alone[step[alone] - step[alone - 1] > 1]
    return np.insert(step, alone, step[alone] - 1), np.insert(lr, alone, lr[alone - 1])


def _logged_rise(step: NDArray[np.int64], lr: F64) -> int:
    """Where a rise at the beginning of a logged learning rate ends; 0 where there is none."""
    top = int(np.argmax(lr >= lr.max() * (1.0 - 1e-9)))
    if top == 0 or not bool((np.diff(lr[: top + 1]) > 0.0).all()):
        return 0
    # A straight line from zero meets the highest value between two logged steps.
    end = lr[top] * step[top - 1] / lr[top - 1] if lr[top - 1] > 0.0 else float(step[top])
    return int(np.clip(round(end), step[top - 1] + 1, step[top]))


def recognised(schedule: Schedule) -> str:
    """The family a schedule looks like, to 1 % of its peak: what `where(schedule=...)` finds without names.

    Parameters
    ----------
    schedule : Schedule

    Returns
    -------
    {"constant", "cosine", "linear", "wsd", "inverse_sqrt", "multi_step", "other"}

    Examples
    --------
    >>> import isoloss as iso
    >>> from isoloss.curves.reading import recognised
    >>> recognised(iso.schedules.from_array([1.0] * 80 + [1.0 - k / 20 for k in range(20)]))
    'wsd'
    """
    if schedule.kind in ("constant", "cosine", "linear", "wsd", "inverse_sqrt", "multi_step", "power"):
        return schedule.kind
    values = schedule.values[max(schedule.warmup, 1) :] / schedule.peak
    n, last = len(values), float(values[-1])
    if n < 3 or float(values.max() - values.min()) < 0.01:
        return "constant"
    # Straight lines between logged values smear a jump over the steps between.
    logged = values if schedule.kind != "from_points" else np.array(schedule.arguments["lr"]) / schedule.peak
    falls = np.count_nonzero(np.diff(logged))
    u = np.arange(n) / (n - 1.0)
    step = np.arange(n) + float(max(schedule.warmup, 1))

    def near(shape: F64) -> bool:
        return float(np.abs(values - shape).max()) < 0.01

    if near(last + (values[0] - last) * (1.0 - u)):
        return "linear"
    if near(last + 0.5 * (values[0] - last) * (1.0 + np.cos(np.pi * u))):
        return "cosine"
    if schedule.warmup and near(values[0] * np.sqrt(step[0] / step)):
        return "inverse_sqrt"
    if falls <= 10 and falls < 0.1 * len(logged):
        return "multi_step"
    flat = int(np.argmax(values < 0.99)) / n
    return "wsd" if flat >= 0.05 and bool((np.diff(values) <= 1e-9).all()) else "other"
