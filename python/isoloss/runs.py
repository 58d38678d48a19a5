"""Runs: the measurements a law is fitted to, validated once and held as aligned columns.

`read` takes a file, a frame of any common library or a dict of arrays, and the roles of its columns: N (parameters),
D (training tokens seen), C (FLOPs), loss, lr, batch, group, weights, and any other column a law mentions. Two of N, D
and C complete the third by C = 6 N D. Whatever is wrong is refused by column, row and value; nothing is lost silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss._runsbuild import (
    Cells,
    batch_in_tokens,
    fill_compute,
    group_codes,
    note_duplicates,
    role_columns,
    where_mask,
)
from isoloss._table import Table, make_frame, open_table
from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.units import ROLES, format_range, parse_number

__all__ = ["DataSource", "Dropped", "Runs", "as_runs", "read"]

F64 = NDArray[np.float64]
BatchUnit = Literal["tokens", "sequences"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Rows left out: how many, why, and their numbers in the source (0 is the first row of data)."""

    count: int
    reason: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.count} ({self.reason})"


@dataclass(frozen=True, slots=True)
class DataSource:
    """Where runs came from: a short description, the SHA-256 of the columns in use, and the rows it held."""

    description: str
    sha256: str
    rows: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False, eq=False)
class Runs:
    """Validated runs; make them with `isoloss.read`.

    Attributes
    ----------
    columns : mapping of str to (n,) ndarray of float64
        By role name, read-only arrays: N [parameters], D [tokens], C [FLOPs], lr, batch [tokens], loss
        [nats per token], weight, and further columns.
    group : (n,) ndarray of int64 or None
        Number of each run's group, in order of first appearance.
    group_labels : tuple of str
    column_of : mapping of str to str
        Column of the source behind each role; ``"6 N D"`` and the like for derived ones.
    dropped : tuple of Dropped
    source : DataSource
    frame : str
        Library results are handed back in: ``"pandas"``, ``"polars"``, ``"pyarrow"``, ... or ``"dict"``.
    notices : tuple of Notice
    n_counts : str
        What N counts, as far as known: ``"total"``, ``"non-embedding"``, ``"active"`` or ``""``.

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read(
    ...     {"params": [1e8, 4e8], "tokens": [2e9, 8e9], "loss": [3.2, 2.8]}, N="params", D="tokens"
    ... )
    >>> len(runs), runs.names
    (2, ('N', 'D', 'C', 'loss'))
    >>> print(runs.to_dict()["column_of"]["C"])
    6 N D
    """

    columns: Mapping[str, F64]
    group: NDArray[np.int64] | None = None
    group_labels: tuple[str, ...] = ()
    column_of: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    source: DataSource = field(default_factory=lambda: DataSource("arrays", "", 0))
    frame: str = "dict"
    notices: tuple[Notice, ...] = ()
    n_counts: str = ""

    def __post_init__(self) -> None:
        for array in (*self.columns.values(), *([] if self.group is None else [self.group])):
            array.flags.writeable = False
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "column_of", MappingProxyType(dict(self.column_of)))

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(next(iter(self.columns.values())))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.columns)

    @property
    def weights(self) -> F64 | None:
        """The weight column, or None when all runs count the same."""
        return self.columns.get("weight")

    def __len__(self) -> int:
        return self.n

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> F64:
        return self.require(name)[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Runs):
            return NotImplemented
        return (
            self.source.sha256 == other.source.sha256
            and self.names == other.names
            and self.n == other.n
        )

    def __hash__(self) -> int:
        return hash(self.source.sha256)

    def require(self, *names: str) -> list[F64]:
        """The columns of those names.

        Raises
        ------
        DataError
            Code ``data-missing-role``: these runs lack one; the message says what they and their source hold.
        """
        for name in names:
            if name not in self.columns:
                unused = [c for c in self.source.names if c not in self.column_of.values()]
                of_source = f"; unused columns of the source: {', '.join(unused)}" if unused else ""
                meaning = f" ({ROLES[name].meaning})" if name in ROLES else ""
                message = (
                    f"the runs have no {name!r}{meaning}{did_you_mean(name, self.columns)}; they have "
                    f"{', '.join(self.columns)}{of_source}; name its column in read(..., {name}='...')"
                )
                raise DataError(message, code="data-missing-role", role=name)
        return [self.columns[name] for name in names]

    def where(self, mask: ArrayLike | None = None, /, **conditions: Any) -> Runs:
        """The runs that meet every condition.

        Parameters
        ----------
        mask : (n,) array_like of bool, optional
        **conditions
            By column: a value (``N="7B"``), a list of values, or a pair ``(low, high)`` as a tuple for a closed range;
            ``group=`` takes labels.

        Returns
        -------
        Runs
            What was left out is added to ``dropped``.

        Raises
        ------
        DataError
            Code ``data-empty`` when none is left; ``data-missing-role``; ``data-shape`` for a mask of another length.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read({"N": [1e8, 4e8, 1e9], "D": [2e9, 8e9, 2e10], "loss": [3.2, 2.8, 2.5]})
        >>> runs.where(N=("200M", "2B"))["loss"]
        array([2.8, 2.5])
        """
        keep = np.ones(self.n, dtype=bool)
        reasons: list[str] = []
        if mask is not None:
            given = np.asarray(mask)
            if given.dtype != np.bool_ or given.shape != (self.n,):
                message = f"a mask of {self.n} booleans is needed, not {given.dtype} of shape {given.shape}"
                raise DataError(message, code="data-shape")
            keep &= given
            reasons.append("mask")
        for name, wanted in conditions.items():
            keep &= self._matches(name, wanted)
            reasons.append(f"{name} = {wanted!r}")
        if not keep.any():
            raise DataError(f"no run is left where {', '.join(reasons)}", code="data-empty")
        if keep.all():
            return self
        left_out = tuple(np.flatnonzero(~keep).tolist())
        return self._take(keep, Dropped(len(left_out), f"not where {', '.join(reasons)}", left_out))

    def _matches(self, name: str, wanted: Any) -> NDArray[np.bool_]:
        several = isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes))
        if name == "group":
            if self.group is None:
                raise DataError("the runs have no groups", code="data-missing-role", role="group")
            labels = {str(x) for x in wanted} if several else {str(wanted)}
            for label in sorted(labels - {*self.group_labels}):
                message = f"no group is named {label!r}{did_you_mean(label, self.group_labels)}"
                raise DataError(message, code="data-empty", group=label)
            return np.isin(self.group, [i for i, x in enumerate(self.group_labels) if x in labels])
        column = self.require(name)[0]
        if isinstance(wanted, tuple) and len(wanted) == 2:
            low, high = (parse_number(x) for x in wanted)
            return (column >= low) & (column <= high)
        return np.isin(
            column, [parse_number(x) for x in wanted] if several else [parse_number(wanted)]
        )

    def _take(self, keep: NDArray[np.bool_], dropped: Dropped) -> Runs:
        group, labels = self.group, self.group_labels
        if group is not None:
            used, group = np.unique(group[keep], return_inverse=True)
            group, labels = group.astype(np.int64), tuple(labels[i] for i in used)
        columns = {name: column[keep] for name, column in self.columns.items()}
        return Runs(
            columns=columns,
            group=group,
            group_labels=labels,
            column_of=self.column_of,
            dropped=(*self.dropped, dropped),
            source=DataSource(
                self.source.description,
                _sha256(columns, group),
                self.source.rows,
                self.source.names,
            ),
            frame=self.frame,
            notices=self.notices,
            n_counts=self.n_counts,
        )

    def to_frame(self, columns: Mapping[str, ArrayLike] | None = None) -> Any:
        """Columns as a frame of the library the runs came in.

        Parameters
        ----------
        columns : mapping of str to (m,) array_like, optional
            Any results; the runs' own columns if left out.

        Returns
        -------
        frame or dict of arrays
            A dict where the runs came as one, or from a file with no frame library installed.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read({"N": [1e8], "D": [2e9], "loss": [3.2]})
        >>> runs.to_frame({"loss_pred": [3.1]})
        {'loss_pred': array([3.1])}
        """
        return make_frame(self.columns if columns is None else columns, self.frame)

    def __repr__(self) -> str:
        return f"<Runs: {self.n} runs of {', '.join(self.names)} from {self.source.description}>"

    def __str__(self) -> str:
        lines = [f"{self.n} runs from {self.source.description}"]
        width = max(len(name) for name in (*self.names, "group"))
        for name, column in self.columns.items():
            unit = f"[{ROLES[name].unit}]" if name in ROLES and ROLES[name].unit != "1" else ""
            behind = self.column_of.get(name, name)
            origin = (
                f"= {behind}"
                if " " in behind and name in "NDC"
                else ("" if behind == name else f"from {behind!r}")
            )
            kind = f"({self.n_counts})" if name == "N" and self.n_counts else ""
            values = (
                f"{format_range(name, float(column.min()), float(column.max()))} {unit}".rstrip()
            )
            distinct = len(np.unique(column))
            parts = [values, f"{distinct} distinct", kind, origin]
            lines.append(f"  {name:<{width}}  " + "  ".join(part for part in parts if part))
        if self.group is not None:
            origin = self.column_of.get("group", "group")
            lines.append(f"  {'group':<{width}}  {len(self.group_labels)} groups  from {origin!r}")
        if self.dropped:
            lines.append(
                f"  dropped: {'; '.join(str(d) for d in self.dropped)} of {self.source.rows} rows"
            )
        lines += [f"  {notice}" for notice in self.notices if notice.code != "rows-dropped"]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return Runs.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; numbers keep all their bits."""
        return {
            "columns": {name: column.tolist() for name, column in self.columns.items()},
            "group": None if self.group is None else self.group.tolist(),
            "group_labels": list(self.group_labels),
            "column_of": dict(self.column_of),
            "dropped": [
                {"count": d.count, "reason": d.reason, "rows": list(d.rows)} for d in self.dropped
            ],
            "source": {
                "description": self.source.description,
                "sha256": self.source.sha256,
                "rows": self.source.rows,
                "names": list(self.source.names),
            },
            "frame": self.frame,
            "notices": [notice.to_dict() for notice in self.notices],
            "n_counts": self.n_counts,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Runs:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            Code ``file-schema``: something is missing, or the columns do not have the SHA-256 they were stored with.
        """
        try:
            source = data["source"]
            columns = {
                name: np.array(values, dtype=np.float64) for name, values in data["columns"].items()
            }
            group = None if data["group"] is None else np.array(data["group"], dtype=np.int64)
            runs = Runs(
                columns=columns,
                group=group,
                group_labels=tuple(data["group_labels"]),
                column_of=data["column_of"],
                dropped=tuple(
                    Dropped(d["count"], d["reason"], tuple(d["rows"])) for d in data["dropped"]
                ),
                source=DataSource(
                    source["description"], source["sha256"], source["rows"], tuple(source["names"])
                ),
                frame=data["frame"],
                notices=tuple(Notice.from_dict(notice) for notice in data["notices"]),
                n_counts=data["n_counts"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"stored runs are not readable: {error!r}", code="file-schema"
            ) from error
        if _sha256(columns, group) != runs.source.sha256:
            raise DataError(
                "stored runs were altered: their SHA-256 does not match", code="file-schema"
            )
        return runs


def _sha256(columns: Mapping[str, F64], group: NDArray[np.int64] | None) -> str:
    digest = hashlib.sha256()
    for name, column in columns.items():
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(column, dtype="<f8").tobytes())
    if group is not None:
        digest.update(b"group\0" + np.ascontiguousarray(group, dtype="<i8").tobytes())
    return digest.hexdigest()


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
        size, group of the run. Left out, the column with the role's own name is taken if there is one. Two of N, D and
        C complete the third by C = 6 N D.
    batch_unit : {"tokens", "sequences"}
        Unit of the batch column; the batch is held in tokens.
    seq_len : float or str, optional
        Tokens per sequence, or the column that holds them; needed for ``"sequences"``.
    weights : str, optional
        Column of weights of the runs in the objective, zero or above; never taken unasked.
    where : mapping, optional
        Keep the rows whose source columns have these values (or one of a list of values), whether or not the column
        has a role: ``where={"schedule": "cosine", "dropped": 0}``.
    drop_invalid : bool
        Leave rows with unusable cells out, and say so in ``dropped`` and ``notices``, instead of refusing them.
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
    >>> table = {
    ...     "params": ["100M", "1B"],
    ...     "tokens": [2e9, 2e10],
    ...     "gbs": [512, 1024],
    ...     "val_loss": [3.21, 2.63],
    ... }
    >>> print(
    ...     iso.read(
    ...         table,
    ...         N="params",
    ...         D="tokens",
    ...         loss="val_loss",
    ...         batch="gbs",
    ...         batch_unit="sequences",
    ...         seq_len=2048,
    ...     )
    ... )
    2 runs from a dict of arrays
      N      100M .. 1.00B [parameters]  2 distinct  from 'params'
      D      2.00B .. 20.0B [tokens]  2 distinct  from 'tokens'
      C      1.2e18 .. 1.2e20 [FLOPs]  2 distinct  = 6 N D
      batch  1.05M .. 2.10M [tokens]  2 distinct  from 'gbs'
      loss   2.63 .. 3.21 [nats per token]  2 distinct  from 'val_loss'
    """
    named = {"N": N, "D": D, "C": C, "lr": lr, "batch": batch, "S": None, "U": None, "loss": loss}
    asked = [
        x
        for x in (*named.values(), seq_len, group, weights, where, n_counts, *roles.values())
        if x is not None
    ]
    if isinstance(source, Runs):
        if not asked:
            return source
        table = _table_of(source)
    else:
        table = open_table(source)
    column_of = role_columns(table, {**named, "weight": weights, **roles, "group": group})
    conditions = dict(where or {})
    for column in conditions:
        _known_column(table, column, "where")
    per_row_length = seq_len if isinstance(seq_len, str) and seq_len in table.names else None
    wanted = [*column_of.values(), *conditions, *([per_row_length] if per_row_length else [])]
    raw = table.select(list(dict.fromkeys(wanted)))
    total = len(next(iter(raw.values())))
    if total == 0:
        raise DataError(f"{table.label} has no rows", code="data-empty")

    keep, left_out = where_mask(table, raw, conditions, total)
    cells = Cells(keep)
    columns = {
        role: cells.numbers(raw[column], column, role)
        for role, column in sorted(column_of.items(), key=_role_order)
        if role != "group"
    }
    for role, numbers in columns.items():
        cells.require_sign(numbers, column_of[role], role)
    length: F64 | float | None = None
    if per_row_length is not None:
        length = cells.numbers(raw[per_row_length], per_row_length, "seq_len")
    elif seq_len is not None:
        length = _sequence_length(table, seq_len)
    codes, labels = None, ()
    if "group" in column_of:
        codes, _, missing = group_codes(raw[column_of["group"]], keep)
        cells.add(column_of["group"], "group", missing)
    notices: list[Notice] = []
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
    columns = {role: np.ascontiguousarray(numbers[kept]) for role, numbers in columns.items()}
    if codes is not None:
        codes, labels, _ = group_codes(raw[column_of["group"]], kept)
        codes = codes[kept]
    columns, derived, notes = fill_compute(columns)
    columns = dict(sorted(columns.items(), key=_role_order))
    return Runs(
        columns=columns,
        group=codes,
        group_labels=labels,
        column_of={**column_of, **derived},
        dropped=tuple(Dropped(len(rows), reason, rows) for reason, rows in left_out if rows),
        source=DataSource(table.label, _sha256(columns, codes), total, table.names),
        frame=table.backend,
        notices=(*notices, *notes, *note_duplicates(columns, codes)),
        n_counts=n_counts if n_counts is not None else _what_n_counts(column_of.get("N", "")),
    )


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


def _role_order(item: tuple[str, Any]) -> int:
    """Roles in the order of the field, further columns after them (the sort keeps their own order)."""
    names = list(ROLES)
    return names.index(item[0]) if item[0] in names else len(names)


def _table_of(runs: Runs) -> Table:
    columns: dict[str, Any] = dict(runs.columns)
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


def _note_dropped(faults: Sequence[tuple[str, tuple[int, ...]]]) -> list[Notice]:
    if not faults:
        return []
    listed = "; ".join(f"{len(rows)} where {reason}" for reason, rows in faults)
    count = sum(len(rows) for _, rows in faults)
    message = f"{count} rows were left out: {listed}"
    return [
        Notice(code="rows-dropped", severity="warning", message=message, details={"rows": count})
    ]


def _what_n_counts(column: str) -> str:
    name = column.lower().replace("-", "_")
    if "active" in name or "activated" in name:
        return "active"
    if "non_emb" in name or "no_emb" in name or "nonemb" in name:
        return "non-embedding"
    return "total" if "total" in name else ""
