"""Runs: the measurements a law is fitted to, validated once and held as aligned columns.

`read` takes a file, a frame of any common library or a dict of arrays, and the roles of its columns: N (parameters),
D (training tokens seen), C (FLOPs), loss, lr, batch, group, weights, and any other column a law mentions. Two of N, D
and C complete the third by C = 6 N D. Whatever is wrong is refused by column, row and value; nothing is lost silently.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isoloss.checks import several
from isoloss.errors import DataError, Notice, OptionError, did_you_mean, out_of_memory
from isoloss.plain import plain_dict
from isoloss.runs.build import (
    Cells,
    batch_in_tokens,
    fill_compute,
    group_codes,
    note_duplicates,
    note_narrow,
    role_columns,
    where_mask,
)
from isoloss.runs.checkpoints import trail_of
from isoloss.runs.object import Runs, sha256_of
from isoloss.runs.source import DataSource, Dropped
from isoloss.runs.table import Table, open_table
from isoloss.units import ROLES, parse_number

__all__ = ["DataSource", "Dropped", "Runs", "as_runs", "read"]

F64 = NDArray[np.float64]
BatchUnit = Literal["tokens", "sequences"]
_ASIDE = ("lr", "batch", "S", "U")
"""Roles that many laws do without."""


@out_of_memory("read")
def read(
    source: Any,
    *,
    N: str | None = None,
    D: str | None = None,
    C: str | None = None,
    loss: str | None = None,
    lr: str | None = None,
    batch: str | None = None,
    batch_unit: BatchUnit = "tokens",
    seq_len: float | str | None = None,
    group: str | None = None,
    weights: str | None = None,
    labels: str | Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    drop_invalid: bool = False,
    n_counts: str | None = None,
    **roles: str | None,
) -> Runs:
    """Read runs from a file, a frame or a dict of arrays.

    Parameters
    ----------
    source : path, frame, mapping or Runs
        CSV (also TSV, and gzipped) or Parquet; a pandas, polars or pyarrow table; a dict of (n,) arrays.
    N, D, C, loss, lr, batch, group : str, optional
        Column of each role: parameters, training tokens seen, FLOPs, loss in nats per token, peak learning rate, batch
        size, group of the run. Left out, the column with the role's own name is taken if there is one; so are S
        (steps), U (unique tokens) and trials (behind a pass fraction); lr, batch, S and U not where cells are missing,
        which a notice tells. Two of N, D and C complete the third by C = 6 N D.
    batch_unit : {"tokens", "sequences"}
        Unit of the batch column; the batch is held in tokens.
    seq_len : float or str, optional
        Tokens per sequence, or the column that holds them; needed for ``"sequences"``.
    weights : str, optional
        Column of weights of the runs in the objective, zero or above; never taken unasked.
    labels : str or sequence of str
        Columns of texts to keep, such as a recipe or a corpus: each becomes a column of numbers 0, 1, ... in order of
        first appearance, whose texts are in ``Runs.labels``.
    where : mapping, optional
        Keep the rows whose source columns have these values (or one of a list of values), whether or not the column
        has a role: ``where={"schedule": "cosine", "dropped": 0}``.
    drop_invalid : bool
        Leave rows with unusable cells out, and say so in ``dropped`` and ``warnings``, instead of refusing them.
    n_counts : str, optional
        What N counts; read off the column's name if left out.
    **roles
        Further columns a law mentions, by the name it uses: ``S="step"``.

    Returns
    -------
    Runs

    Raises
    ------
    DataError
        ``data-missing-column`` with the nearest names; ``data-nonnumeric``, ``data-nonfinite``, ``data-nonpositive``,
        ``data-negative-weight`` with column, row (0 is the first row of data) and value; ``data-shape``,
        ``data-duplicate-column``, ``data-no-roles``, ``data-batch-unit``, ``data-empty``, ``data-unreadable``,
        ``data-source``.
    MissingExtraError
        Parquet without polars, pyarrow or pandas.

    Examples
    --------
    >>> import isoloss as iso
    >>> table = {"params": ["100M", "1B"], "tokens": [2e9, 2e10], "gbs": [512, 1024], "val": [3.21, 2.63]}
    >>> runs = iso.read(table, N="params", D="tokens", loss="val", batch="gbs", batch_unit="sequences", seq_len=2048)
    >>> print(runs)
    2 runs from a dict of arrays
      N      100M .. 1.00B [parameters]  2 distinct  from 'params'
      D      2.00B .. 20.0B [tokens]  2 distinct  from 'tokens'
      C      1.2e18 .. 1.2e20 [FLOPs]  2 distinct  = 6 N D
      batch  1.05M .. 2.10M [tokens]  2 distinct  from 'gbs'
      loss   2.63 .. 3.21 [nats per token]  2 distinct  from 'val'
    """
    named = {"N": N, "D": D, "C": C, "lr": lr, "batch": batch, "S": None, "U": None, "loss": loss}
    named["trials"] = None
    texts = list(several("labels", labels, what="names of columns"))
    asked = [x for x in (*named.values(), seq_len, group, weights, where, n_counts, *roles.values()) if x is not None]
    options: dict[str, Any] | None = None
    if isinstance(source, Runs):
        if not asked and set(texts) <= set(source.labels):
            return source
        table = _table_of(source)
        texts = list(dict.fromkeys([*source.labels, *texts]))
    else:
        table = open_table(source)
        given: dict[str, Any] = {**named, **roles, "seq_len": seq_len, "group": group, "weights": weights}
        given["labels"] = texts or None
        if where:
            given["where"] = {column: _listed(wanted) for column, wanted in where.items()}
        given |= {"n_counts": n_counts, "drop_invalid": drop_invalid or None}
        given |= {"batch_unit": None if batch_unit == "tokens" else batch_unit}
        options = plain_dict({name: value for name, value in given.items() if value is not None})
    _check_labels(table, texts, {**named, **roles})
    column_of = role_columns(table, {**named, "weight": weights, **roles, **{x: x for x in texts}, "group": group})
    conditions = dict(where or {})
    for column in conditions:
        _known_column(table, column, "where")
    per_row_length = seq_len if isinstance(seq_len, str) and seq_len in table.names else None
    wanted = [*column_of.values(), *conditions, *([per_row_length] if per_row_length else [])]
    textual = {*conditions, *texts, column_of.get("group")}  # compared and labelled as they are written
    raw = table.select(list(dict.fromkeys(wanted)), [name for name in wanted if name not in textual])
    total = len(next(iter(raw.values())))
    if total == 0:
        raise DataError(f"{table.label} has no rows", code="data-empty")

    keep, left_out = where_mask(table, raw, conditions, total)
    cells = Cells(keep)
    columns: dict[str, F64] = {}
    for role, column in sorted(column_of.items(), key=_role_order):
        if role in texts:
            columns[role] = np.zeros(total)  # numbered when it is known which rows stay
            cells.add(column, role, group_codes(raw[column], keep)[2])
        elif role != "group":
            columns[role] = cells.numbers(raw[column], column, role)
            cells.require_sign(columns[role], column, role)
    notices: list[Notice] = []
    for role in _ASIDE:
        if named[role] is None and column_of.get(role) == role and (count := cells.missing(role, role)):
            # A column that nobody asked for must not cost runs that are whole without it.
            cells.forget(role, role)
            del columns[role], column_of[role]
            message = f"column {role!r} was not taken: {count} of its cells are missing; {role}={role!r} asks for it"
            details = {"column": role, "cells": count}
            notices.append(Notice(code="column-not-taken", severity="warning", message=message, details=details))
    length: F64 | float | None = None
    if per_row_length is not None:
        length = cells.numbers(raw[per_row_length], per_row_length, "seq_len")
    elif seq_len is not None:
        length = _sequence_length(table, seq_len)
    codes: NDArray[np.int64] | None = None
    group_labels: tuple[str, ...] = ()
    if "group" in column_of:
        codes, _, missing = group_codes(raw[column_of["group"]], keep)
        cells.add(column_of["group"], "group", missing)
    if drop_invalid:
        faults = cells.drop()
        left_out += faults
        notices += _note_dropped(faults)
    else:
        cells.refuse()
    if not cells.keep.any():
        raise DataError(f"no usable row is left of {total} in {table.label}", code="data-empty")
    kept = cells.keep
    batch_in_tokens(columns, batch_unit, length)
    named_by: dict[str, tuple[str, ...]] = {}
    for name in texts:
        numbered, named_by[name], _ = group_codes(raw[name], kept)
        columns[name] = numbered.astype(np.float64)
    columns = {role: np.ascontiguousarray(numbers[kept]) for role, numbers in columns.items()}
    if codes is not None:
        codes, group_labels, _ = group_codes(raw[column_of["group"]], kept)
        codes = codes[kept]
    trail = None
    if codes is None:
        trail = source.trail if isinstance(source, Runs) else trail_of(table, wanted, columns, kept)
        if isinstance(source, Runs) and trail is not None:
            trail = trail[kept]
    columns, derived, notes = fill_compute(columns)
    columns = dict(sorted(columns.items(), key=_role_order))
    return Runs(
        columns=columns,
        group=codes,
        group_labels=group_labels,
        column_of={**column_of, **derived},
        dropped=tuple(Dropped(len(rows), reason, rows) for reason, rows in left_out if rows),
        source=DataSource(table.label, sha256_of(columns, codes), total, table.names, options),
        frame=table.backend,
        warnings=(*notices, *notes, *note_narrow(raw, column_of), *note_duplicates(columns, codes)),
        n_counts=n_counts if n_counts is not None else _what_n_counts(column_of.get("N", "")),
        seq_len=_one_length(length, kept),
        trail=trail,
        labels=named_by,
    )


def _check_labels(table: Table, texts: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse labels that are no column, or that have a role."""
    for name in texts:
        _known_column(table, name, "labels")
        if name in ROLES or name in given or name == "group":
            message = f"labels: column {name!r} has the role of that name, which holds "
            message += "the groups of runs" if name == "group" else "numbers"
            raise OptionError(message, argument="labels")


def as_runs(source: Any, variables: Sequence[str] = (), **options: Any) -> Runs:
    """Runs from anything `read` takes, with the columns a law needs under their own names.

    Parameters
    ----------
    source : Runs or anything `read` takes
    variables : sequence of str
        Names the law uses; those that are columns of the source and no roles are taken along.
    **options
        For `read`.

    Returns
    -------
    Runs

    Raises
    ------
    DataError
        As `read`; ``data-missing-role`` when a variable is absent.
    """
    if isinstance(source, Runs) and not options:
        runs = source
    else:
        further = [v for v in variables if v not in ROLES and v not in options and v != "group"]
        if further:
            table = _table_of(source) if isinstance(source, Runs) else open_table(source)
            options = {**options, **{v: v for v in further if v in table.names}}
        runs = read(source, **options)
    runs.require(*variables)
    return runs


def _listed(wanted: Any) -> Any:
    """A value to look for, or a list of them, whatever collection they came in."""
    return list(wanted) if isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes)) else wanted


def _role_order(item: tuple[str, Any]) -> int:
    """Roles in the order of the field, further columns after them (the sort keeps their own order)."""
    names = list(ROLES)
    return names.index(item[0]) if item[0] in names else len(names)


def _table_of(runs: Runs) -> Table:
    columns: dict[str, Any] = {**runs.columns, **{name: runs.texts(name) for name in runs.labels}}
    if runs.group is not None:
        columns["group"] = np.array(runs.group_labels)[runs.group]
    table = open_table(columns)
    return Table(table.names, table.select, runs.frame, runs.source.description)


def _known_column(table: Table, column: str, argument: str) -> None:
    if column not in table.names:
        near = did_you_mean(column, table.names)
        message = f"{argument}: there is no column {column!r} in {table.label}{near}; columns: {', '.join(table.names)}"
        raise DataError(message, code="data-missing-column", column=column, role=argument)


def _sequence_length(table: Table, seq_len: float | str) -> float:
    try:
        length = parse_number(seq_len)
    except DataError:
        _known_column(table, str(seq_len), "seq_len")
        raise
    if not (np.isfinite(length) and length > 0.0):
        raise OptionError(f"seq_len={seq_len!r} is not above zero", argument="seq_len")
    return length


def _one_length(length: F64 | float | None, kept: NDArray[np.bool_]) -> float | None:
    """The sequence length where all runs in use share one."""
    if length is None or isinstance(length, float):
        return length
    used = np.unique(length[kept])
    return float(used[0]) if len(used) == 1 else None


def _note_dropped(faults: Sequence[tuple[str, tuple[int, ...]]]) -> list[Notice]:
    if not faults:
        return []
    listed = "; ".join(f"{len(rows)} where {reason}" for reason, rows in faults)
    count = sum(len(rows) for _, rows in faults)
    message = f"{count} rows were left out: {listed}"
    return [Notice(code="rows-dropped", severity="warning", message=message, details={"rows": count})]


def _what_n_counts(column: str) -> str:
    name = column.lower().replace("-", "_")
    if "active" in name or "activated" in name:
        return "active"
    if "non_emb" in name or "no_emb" in name or "nonemb" in name:
        return "non-embedding"
    return "total" if "total" in name else ""
