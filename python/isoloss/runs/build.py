"""The steps of `isoloss.runs.read`: roles to columns, checks of cells, C = 6ND, groups, notices."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.runs.table import BadCell, Table, as_numbers
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, FORMULAS, ROLES, complete_compute, parse_number

__all__ = [
    "Cells",
    "batch_in_tokens",
    "fill_compute",
    "group_codes",
    "note_duplicates",
    "note_narrow",
    "role_columns",
    "where_mask",
]

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
_COUNTS = frozenset({"N", "D", "C", "batch", "S", "U"})
"""Roles whose cells may be written as 7B or 1.4T; anywhere else a suffix is a mistake."""


def role_columns(table: Table, given: Mapping[str, str | None]) -> dict[str, str]:
    """Source column of each role: the one named, else the one with the role's own name.

    Weights are never taken unasked: they would change a fit silently.
    """
    found: dict[str, str] = {}
    for role, column in given.items():
        meant = next((own for own in ROLES if own.lower() == role.lower() and own != role), None)
        # A column of that very name is what a law of its own calls it.
        named = column is not None and column != role
        if named and meant is not None and given.get(meant) is None and meant not in table.names:
            meaning = ROLES[meant].meaning
            message = f"role {role!r} differs from {meant} ({meaning}) by case alone; write {meant}={column!r}"
            raise OptionError(message, argument=role)
        if column is None:
            if role != "weight" and role in table.names:
                found[role] = role
            continue
        if not isinstance(column, str):
            message = f"role {role!r} takes the name of a column, not {type(column).__name__}"
            raise OptionError(message, argument=role)
        if column not in table.names:
            near = did_you_mean(column, table.names)
            message = (
                f"there is no column {column!r} (role {role}) in {table.label}{near}; columns: {', '.join(table.names)}"
            )
            raise DataError(message, code="data-missing-column", column=column, role=role)
        taken = next((r for r, c in found.items() if c == column and {r, role} <= {*ROLES}), None)
        if taken is not None:
            message = f"column {column!r} has two roles, {taken} and {role}"
            raise DataError(message, code="data-duplicate-column", column=column)
        found[role] = column
    if not found:
        message = (
            f"no column of {table.label} has the name of a role; say which is which, e.g. read(..., N='...', "
            f"loss='...'), on the command line --role N=... --role loss=...; columns: {', '.join(table.names)}"
        )
        raise DataError(message, code="data-no-roles")
    return found


@dataclass
class Cells:
    """Gathers the rows that cannot be used, so that they are refused, or left out and counted.

    ``keep`` is the rows still in use; ``bad`` maps (column, role) to the cells at fault among them.
    """

    keep: Bool
    bad: dict[tuple[str, str], list[BadCell]] = field(default_factory=dict)

    def numbers(self, values: Any, column: str, role: str) -> F64:
        """The column as numbers; cells at fault are recorded."""
        numbers, bad = as_numbers(values, suffixes=role in _COUNTS)
        self.add(column, role, list(bad.values()))
        return numbers

    def require_sign(self, numbers: F64, column: str, role: str) -> None:
        """Record what is not above zero where the role must be, and weights below zero."""
        if role in ROLES and ROLES[role].positive:
            with np.errstate(invalid="ignore"):
                rows = np.flatnonzero(numbers <= 0.0)
            code, reason = "data-nonpositive", "is not above zero"
        elif role == "weight":
            with np.errstate(invalid="ignore"):
                rows = np.flatnonzero(numbers < 0.0)
            code, reason = "data-negative-weight", "is below zero"
        else:
            return
        # Infinite cells were recorded as such already.
        cells = [BadCell(r, f"{numbers[r]:g}", code, reason) for r in rows.tolist() if np.isfinite(numbers[r])]
        self.add(column, role, cells)

    def add(self, column: str, role: str, cells: Sequence[BadCell]) -> None:
        """Record cells at fault in rows that are in use."""
        used = [cell for cell in cells if self.keep[cell.row]]
        if used:
            self.bad.setdefault((column, role), []).extend(used)

    def missing(self, column: str, role: str) -> int:
        """How many cells of a column are missing; 0 where any other fault is among them."""
        faults = self.bad.get((column, role), [])
        return len(faults) if all("missing" in cell.reason for cell in faults) else 0

    def forget(self, column: str, role: str) -> None:
        """Leave out of account what is wrong with a column."""
        self.bad.pop((column, role), None)

    def refuse(self) -> None:
        """Raise for the first cell at fault."""
        if not self.bad:
            return
        (column, role), cells = next(iter(self.bad.items()))
        cell = min(cells, key=lambda found: found.row)
        total = sum(len(found) for found in self.bad.values())
        also = [f"{len(found)} in {name!r}" for (name, _), found in self.bad.items() if name != column]
        named = f"column {column!r}" + (f" (role {role})" if role != column else "")
        rest = len(cells) - 1
        more = f"; {rest} more such cell{'s' if rest > 1 else ''} in it" if rest else ""
        more += f"; cells at fault also {', '.join(also)}" if also else ""
        more += " (drop_invalid=True leaves such rows out)"
        shown = f" {cell.shown}" if cell.shown else ""
        message = f"{named}, row {cell.row}:{shown} {cell.reason}{more}"
        raise DataError(
            message,
            code=cell.code,
            column=column,
            role=role,
            row=cell.row,
            value=cell.shown,
            cells=total,
        )

    def drop(self) -> list[tuple[str, tuple[int, ...]]]:
        """Leave the rows at fault out; (reason, rows) for each column and kind of fault."""
        reasons: dict[str, list[int]] = {}
        for (column, _), cells in self.bad.items():
            for cell in cells:
                # A row with several faults is counted once, under the first.
                if self.keep[cell.row]:
                    reason = "is missing" if "missing" in cell.reason else cell.reason
                    reasons.setdefault(f"{column} {reason}", []).append(cell.row)
                    self.keep[cell.row] = False
        return [(reason, tuple(sorted(rows))) for reason, rows in reasons.items()]


def where_mask(
    table: Table, raw: Mapping[str, Any], where: Mapping[str, Any], n: int
) -> tuple[Bool, list[tuple[str, tuple[int, ...]]]]:
    """Rows whose source columns equal the wanted values, and (condition, rows left out) of each column."""
    keep = np.ones(n, dtype=bool)
    left_out: list[tuple[str, tuple[int, ...]]] = []
    for column, wanted in where.items():
        several = not isinstance(wanted, (str, bytes)) and isinstance(wanted, Collection)
        matches = _equal_to_any(raw[column], list(wanted) if several else [wanted])
        rows = np.flatnonzero(keep & ~matches)
        keep &= matches
        left_out.append((f"where {column} is not {wanted}", tuple(rows.tolist())))
    if not keep.any():
        conditions = ", ".join(f"{column} = {wanted!r}" for column, wanted in where.items())
        raise DataError(f"no row of {table.label} has {conditions}", code="data-empty")
    return keep, left_out


def _equal_to_any(values: Any, wanted: list[Any]) -> Bool:
    """Equality by number where both sides are numbers, else by text; so 0 finds the cell "0" of a CSV."""
    texts = {str(w).strip() for w in wanted}
    numbers = {x for w in wanted if (x := _number_or_none(w)) is not None}
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return np.isin(values.astype(np.float64), sorted(numbers))
    cells = [str(v).strip() for v in values]
    return np.array([c in texts or _number_or_none(c) in numbers for c in cells], dtype=bool)


def _number_or_none(value: Any) -> float | None:
    try:
        return parse_number(value)
    except (DataError, TypeError, ValueError):
        return None


def batch_in_tokens(columns: dict[str, F64], unit: str, seq_len: F64 | float | None) -> None:
    """Turn the batch column into tokens in place."""
    if unit not in ("tokens", "sequences"):
        message = f"batch_unit={unit!r} is neither 'tokens' nor 'sequences'"
        raise OptionError(message, argument="batch_unit")
    if "batch" not in columns or unit == "tokens":
        return
    if seq_len is None:
        message = "batch_unit='sequences' needs seq_len, the tokens of one sequence"
        raise DataError(message, code="data-batch-unit")
    columns["batch"] = columns["batch"] * seq_len


def fill_compute(columns: dict[str, F64]) -> tuple[dict[str, F64], dict[str, str], list[Notice]]:
    """Complete N, D and C; say how, and whether a given C disagrees with 6ND."""
    completed = complete_compute(columns)
    notices: list[Notice] = []
    for name in [name for name in completed if name not in columns]:
        lost = np.flatnonzero(~(np.isfinite(completed[name]) & (completed[name] > 0.0)))
        if not len(lost):
            continue
        row, value = int(lost[0]), float(completed[name][lost[0]])
        message = f"{name} = {FORMULAS[name]} is {value:g} in {len(lost)} of {len(completed[name])} rows (first: {row})"
        if name != "C":
            raise DataError(f"{message}: beyond the range of numbers", code="data-nonfinite", column=name, row=row)
        # Most laws are about N and D alone: the compute is left out rather than the runs.
        del completed[name]
        message += ", beyond the range of numbers; C is left out"
        notices.append(Notice(code="compute-out-of-range", severity="warning", message=message, details={"row": row}))
    derived = {name: FORMULAS[name] for name in completed if name not in columns}
    if {"N", "D", "C"} <= {*columns}:
        with np.errstate(all="ignore"):
            ratio = columns["C"] / (FLOPS_PER_PARAMETER_TOKEN * columns["N"] * columns["D"])
        low, high = float(ratio.min()), float(ratio.max())
        if low < 0.99 or high > 1.01:
            least, most = f"{low:.3g}", f"{high:.3g}"
            span = least if least == most else f"{least} to {most}"
            notices.append(
                Notice(
                    code="compute-not-6nd",
                    severity="info",
                    message=f"C is {span} times 6ND; it is used as given",
                    details={"low": low, "high": high},
                )
            )
    return completed, derived, notices


def group_codes(values: Any, keep: Bool) -> tuple[NDArray[np.int64], tuple[str, ...], list[BadCell]]:
    """Group numbers in order of first appearance among the kept rows, their labels, and missing cells."""
    labels: dict[str, int] = {}
    codes = np.full(len(keep), -1, dtype=np.int64)
    bad: list[BadCell] = []
    for row, value in enumerate(values):
        if not keep[row]:
            continue
        label = _label(value)
        if label == "":
            bad.append(BadCell(row, "", "data-nonfinite", "is missing"))
        else:
            codes[row] = labels.setdefault(label, len(labels))
    return codes, tuple(labels), bad


def _label(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        # Integers that became floats on the way (a nullable column, say) keep their plain name.
        return "" if np.isnan(value) else (str(int(value)) if float(value).is_integer() else str(value))
    text = str(value).strip()
    return "" if text in ("<NA>", "NaT") else text


_MOST_ROWS_COMPARED = 1_000_000


def note_duplicates(columns: Mapping[str, F64], group: NDArray[np.int64] | None) -> list[Notice]:
    """A notice when rows agree in every column: usually a file joined or appended twice."""
    stacked = list(columns.values()) if group is None else [*columns.values(), group.astype(np.float64)]
    n = len(stacked[0])
    if n > _MOST_ROWS_COMPARED or "loss" not in columns:
        return []
    order = np.lexsort(stacked)
    differs = np.zeros(n - 1, dtype=bool)
    for column in stacked:
        sorted_column = column[order]
        differs |= sorted_column[1:] != sorted_column[:-1]
    extra = n - 1 - int(np.count_nonzero(differs))
    if not extra:
        return []
    message = (
        f"{extra} of {n} rows repeat another row in every column that was read ({', '.join(columns)}); "
        "each counts as a run of its own"
    )
    return [Notice(code="rows-duplicated", severity="warning", message=message, details={"rows": extra})]


_WRAPPING = ("N", "D", "C", "U", "batch")
_NEAR_WRAPPING = 2**28


def note_narrow(raw: Mapping[str, Any], column_of: Mapping[str, str]) -> list[Notice]:
    """A notice for counts held in integers of 32 bits and near their limit: larger ones will have wrapped around.

    Those that came out negative are refused as such; those that came out positive look like any other number.
    """
    found = []
    for role in _WRAPPING:
        values = raw.get(column_of.get(role, ""))
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or values.dtype.itemsize > 4:
            continue
        if len(values) and int(values.max()) >= _NEAR_WRAPPING:
            message = (
                f"column {column_of[role]!r} (role {role}) holds {values.dtype}: numbers beyond "
                f"{np.iinfo(values.dtype).max:,} will have wrapped around before they came here"
            )
            details = {"column": column_of[role], "dtype": str(values.dtype)}
            found.append(Notice(code="counts-may-wrap", severity="info", message=message, details=details))
    return found
