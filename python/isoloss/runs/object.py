"""The runs themselves: aligned read-only columns with their provenance. `isoloss.runs.read` makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.errors import DataError, Notice, OptionError, did_you_mean
from isoloss.inner import Inner, Table
from isoloss.runs.order import lowest
from isoloss.runs.source import DataSource, Dropped
from isoloss.runs.table import make_frame
from isoloss.units import FORMULAS, ROLES, format_range, parse_number

if TYPE_CHECKING:
    from isoloss.hparams.check import RunsCheck

__all__ = ["BLOCK", "Runs", "sha256_of"]

F64 = NDArray[np.float64]
Kind = TypeVar("Kind", bound=np.generic)

BLOCK = "block"
"""Column of the rows of loss curves that numbers stretches of consecutive losses, for resampling within a curve."""
_LISTED = 4
"""Labels of a column that are shown."""


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
    warnings : tuple of Notice
    n_counts : str
        What N counts, as far as known: ``"total"``, ``"non-embedding"``, ``"active"`` or ``""``.
    seq_len : float or None
        Tokens of a sequence, where one length for all runs was given.
    inner : mapping of str to Table
        Points of inner tables; the columns ``k.first`` and ``k.last`` hold the stretch of table ``k`` that a run sums.
    trail : (n,) ndarray of int64 or None
        Run of each row where no group was named and columns that were not read show checkpoints.
    labels : mapping of str to tuple of str
        Texts of the columns that hold labels; the column itself holds their numbers, 0, 1, ...

    Examples
    --------
    >>> import isoloss as iso
    >>> runs = iso.read({"params": [1e8, 4e8], "tokens": [2e9, 8e9], "loss": [3.2, 2.8]}, N="params", D="tokens")
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
    warnings: tuple[Notice, ...] = ()
    n_counts: str = ""
    seq_len: float | None = None
    inner: Mapping[str, Table] = field(default_factory=dict)
    trail: NDArray[np.int64] | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {name: _read_only(column) for name, column in self.columns.items()}
        object.__setattr__(self, "columns", MappingProxyType(columns))
        if self.group is not None:
            object.__setattr__(self, "group", _read_only(self.group))
        if not self.source.sha256:
            fingerprint = sha256_of(columns, self.group)
            object.__setattr__(self, "source", replace(self.source, sha256=fingerprint))
        object.__setattr__(self, "column_of", MappingProxyType(dict(self.column_of)))
        object.__setattr__(self, "inner", MappingProxyType(dict(self.inner)))
        object.__setattr__(self, "labels", MappingProxyType({name: tuple(one) for name, one in self.labels.items()}))

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
        return self.source.sha256 == other.source.sha256 and self.names == other.names and self.n == other.n

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
                    f"{', '.join(self.columns)}{of_source}; name its column in read(..., {name}='...'), "
                    f"on the command line --role {name}=..."
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
            ``group=`` and columns of labels take texts.

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
        reason = f"not where {', '.join(reasons)}"
        return self._take(keep, Dropped(len(left_out), reason, left_out, later=True))

    def best(self, *by: str) -> Runs:
        """The run of the lowest loss at each setting: of a sweep, what a law of N and D is about.

        Parameters
        ----------
        *by : str
            Columns that make up the setting, such as ``"N", "D"``.

        Returns
        -------
        Runs
            In their order, the first of equals. What was left out is added to ``dropped``.

        Raises
        ------
        DataError
            Code ``data-missing-role``: no such column, or no losses.
        OptionError
            Code ``option``: no column was named.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read({"N": [1e8, 1e8, 4e8], "lr": [1e-3, 2e-3, 1e-3], "loss": [3.2, 3.1, 2.8]})
        >>> runs.best("N")["lr"]
        array([0.002, 0.001])
        """
        if not by:
            raise OptionError(
                "name the columns that make up a setting, as in best('N', 'D')", code="option", option="by"
            )
        loss, *settings = self.require("loss", *by)
        keep = lowest(settings, loss)
        if keep.all():
            return self
        left_out = tuple(np.flatnonzero(~keep).tolist())
        return self._take(keep, Dropped(len(left_out), f"not the best of its {', '.join(by)}", left_out, later=True))

    def check(self) -> RunsCheck:
        """What to know about the runs before fitting them: units, repeats, divergence, optima at the edge of a grid.

        Returns
        -------
        RunsCheck
            ``warnings`` holds a notice for each thing found; it prints as a list.

        Examples
        --------
        >>> import isoloss as iso
        >>> runs = iso.read(iso.simulate.sweep(settings=3, seed=0))
        >>> runs.check().cells
        56
        """
        from isoloss.hparams.check import check_runs

        return check_runs(self)

    def _matches(self, name: str, wanted: Any) -> NDArray[np.bool_]:
        several = isinstance(wanted, Collection) and not isinstance(wanted, (str, bytes))
        if name == "group":
            if self.group is None:
                raise DataError("the runs have no groups", code="data-missing-role", role="group")
            return _labelled("group", self.group, self.group_labels, wanted if several else [wanted])
        column = self.require(name)[0]
        if name in self.labels:
            return _labelled(name, column, self.labels[name], wanted if several else [wanted])
        if isinstance(wanted, tuple) and len(wanted) == 2:
            low, high = (parse_number(x) for x in wanted)
            return (column >= low) & (column <= high)
        return np.isin(column, [parse_number(x) for x in wanted] if several else [parse_number(wanted)])

    def counted(self, weights: F64 | None) -> Runs:
        """The runs of weight above zero. The others count as absent, and not as lost: ``dropped`` stays as it is.

        Parameters
        ----------
        weights : (n,) float64 or None
            None, and weights all of zero, leave the runs as they are.
        """
        keep = None if weights is None else weights > 0.0
        return self if keep is None or keep.all() or not keep.any() else self._take(keep)

    def _take(self, keep: NDArray[np.bool_], *dropped: Dropped) -> Runs:
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
            dropped=(*self.dropped, *dropped),
            source=replace(self.source, sha256=sha256_of(columns, group)),
            frame=self.frame,
            warnings=self.warnings,
            n_counts=self.n_counts,
            seq_len=self.seq_len,
            inner=self.inner,
            trail=None if self.trail is None else self.trail[keep],
            labels=self.labels,
        )

    def with_inner(self, **tables: Inner) -> Runs:
        """The runs with inner tables for laws that sum over them.

        Parameters
        ----------
        **tables : Inner
            By the name that the law uses, each with a stretch for every run.

        Raises
        ------
        DataError
            Code ``data-shape``: a table has another number of rows.

        Examples
        --------
        >>> import isoloss as iso
        >>> from isoloss.inner import Inner
        >>> runs = iso.read({"N": [1e8, 2e8], "loss": [3.2, 2.8]})
        >>> runs.with_inner(k=Inner({"lr": [1.0, 2.0, 2.0]}, first=[0, 0], last=[2, 3])).names
        ('N', 'loss', 'k.first', 'k.last')
        """
        columns = dict(self.columns)
        for name, inner in tables.items():
            if len(inner) != self.n:
                message = f"the inner table {name!r} has {len(inner)} rows where there are {self.n} runs"
                raise DataError(message, code="data-shape", column=name)
            columns |= inner.ends(name)
        source = replace(self.source, sha256=sha256_of(columns, self.group))
        points = {**self.inner, **{name: inner.table for name, inner in tables.items()}}
        return replace(self, columns=columns, source=source, inner=points)

    def inner_of(self, name: str) -> Inner:
        """An inner table with the stretches of these runs."""
        first, last = self.require(f"{name}.first", f"{name}.last")
        return Inner(self.inner[name], first=first, last=last)

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
        own = {name: self.texts(name) if name in self.labels else column for name, column in self.columns.items()}
        return make_frame(own if columns is None else columns, self.frame)

    def texts(self, name: str) -> NDArray[np.str_]:
        """(n,) the texts of a column of labels."""
        return np.array(self.labels[name], dtype=np.str_)[self.columns[name].astype(np.int64)]

    def __repr__(self) -> str:
        return f"<Runs: {self.n} runs of {', '.join(self.names)} from {self.source.description}>"

    def __str__(self) -> str:
        lines = [f"{self.n} runs from {self.source.description}"]
        width = max(len(name) for name in (*self.names, "group"))
        for name, column in self.columns.items():
            unit = f"[{ROLES[name].unit}]" if name in ROLES and ROLES[name].unit != "1" else ""
            behind = self.column_of.get(name, name)
            if behind == FORMULAS.get(name) and behind not in self.source.names:
                origin = f"= {behind}"
            else:
                origin = "" if behind == name else f"from {behind!r}"
            kind = f"({self.n_counts})" if name == "N" and self.n_counts else ""
            values = f"{format_range(name, float(column.min()), float(column.max()))} {unit}".rstrip()
            if name in self.labels:
                values = ", ".join(self.labels[name][:_LISTED]) + (", ..." if len(self.labels[name]) > _LISTED else "")
            distinct = len(np.unique(column))
            parts = [values, f"{distinct} distinct", kind, origin]
            lines.append(f"  {name:<{width}}  " + "  ".join(part for part in parts if part))
        if self.group is not None:
            origin = self.column_of.get("group", "group")
            lines.append(f"  {'group':<{width}}  {len(self.group_labels)} groups  from {origin!r}")
        if self.dropped:
            lines.append(f"  dropped: {'; '.join(str(d) for d in self.dropped)} of {self.source.rows} rows")
        lines += [f"  {notice}" for notice in self.warnings if notice.code != "rows-dropped"]
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
                {"count": d.count, "reason": d.reason, "rows": list(d.rows), **({"later": True} if d.later else {})}
                for d in self.dropped
            ],
            "source": {
                "description": self.source.description,
                "sha256": self.source.sha256,
                "rows": self.source.rows,
                "names": list(self.source.names),
                "options": None if self.source.options is None else dict(self.source.options),
            },
            "frame": self.frame,
            "warnings": [notice.to_dict() for notice in self.warnings],
            "n_counts": self.n_counts,
            "seq_len": self.seq_len,
            **({"inner": {name: table.to_dict() for name, table in self.inner.items()}} if self.inner else {}),
            **({} if self.trail is None else {"trail": self.trail.tolist()}),
            **({"labels": {name: list(one) for name, one in self.labels.items()}} if self.labels else {}),
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
            columns = {name: np.array(values, dtype=np.float64) for name, values in data["columns"].items()}
            group = None if data["group"] is None else np.array(data["group"], dtype=np.int64)
            runs = Runs(
                columns=columns,
                group=group,
                group_labels=tuple(data["group_labels"]),
                column_of=data["column_of"],
                dropped=tuple(
                    Dropped(d["count"], d["reason"], tuple(d["rows"]), bool(d.get("later", False)))
                    for d in data["dropped"]
                ),
                source=DataSource(
                    source["description"],
                    source["sha256"],
                    int(source["rows"]),
                    tuple(source["names"]),
                    None if source.get("options") is None else {**source["options"]},
                ),
                frame=_text(data["frame"]),
                warnings=tuple(Notice.from_dict(notice) for notice in data["warnings"]),
                n_counts=_text(data["n_counts"]),
                seq_len=data["seq_len"],
                inner={name: Table(points) for name, points in data.get("inner", {}).items()},
                trail=np.array(data["trail"], dtype=np.int64) if "trail" in data else None,
                labels={name: tuple(map(str, one)) for name, one in data.get("labels", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"stored runs are not readable: {error!r}", code="file-schema") from error
        if sha256_of(columns, group) != runs.source.sha256:
            raise DataError("stored runs were altered: their SHA-256 does not match", code="file-schema")
        return runs


def _labelled(name: str, codes: NDArray[Any], labels: tuple[str, ...], wanted: Collection[Any]) -> NDArray[np.bool_]:
    """Rows whose label is one of those wanted, each of which must exist."""
    texts = {str(x) for x in wanted}
    for label in sorted(texts - {*labels}):
        message = f"no {name} is named {label!r}{did_you_mean(label, labels)}"
        raise DataError(message, code="data-empty", **{name: label})
    return np.isin(codes, [i for i, x in enumerate(labels) if x in texts])


def _read_only(array: NDArray[Kind]) -> NDArray[Kind]:
    view = array.view()
    view.flags.writeable = False
    return view


def sha256_of(columns: Mapping[str, F64], group: NDArray[np.int64] | None) -> str:
    """Fingerprint of the columns in use, whatever file or frame they came from."""
    digest = hashlib.sha256()
    for name, column in columns.items():
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(column, dtype="<f8").tobytes())
    if group is not None:
        digest.update(b"group\0" + np.ascontiguousarray(group, dtype="<i8").tobytes())
    return digest.hexdigest()


def _text(stored: Any) -> str:
    if not isinstance(stored, str):
        raise TypeError(f"{stored!r:.80} is no text")
    return stored
