"""Runs that could be trained next: their settings and what each would cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64
from isoloss.errors import DataError, OptionError
from isoloss.runs.table import open_table
from isoloss.shown import Shown
from isoloss.units import complete_compute, format_range, parse_number, real_numbers

__all__ = ["Candidates", "as_candidates", "grid"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Candidates(Shown):
    """Runs to choose from; made by `grid`.

    Attributes
    ----------
    columns : mapping of str to (k,) float64
        N [parameters], D [tokens], C [FLOPs] and further variables.
    cost : (k,) float64
        Of each, in the unit of the budget: FLOPs, unless given otherwise.
    """

    columns: Mapping[str, F64]
    cost: F64

    def __len__(self) -> int:
        return len(self.cost)

    def __str__(self) -> str:
        ranges = (f"{name} {format_range(name, float(x.min()), float(x.max()))}" for name, x in self.columns.items())
        return f"{len(self)} candidates: {', '.join(ranges)}"


def grid(
    *,
    N: ArrayLike | None = None,
    D: ArrayLike | None = None,
    C: ArrayLike | None = None,
    tpp: ArrayLike | None = None,
    cost: Any = None,
    **further: ArrayLike,
) -> Candidates:
    """Candidates on a grid: every combination of two of size, tokens, compute and tokens per parameter.

    Parameters
    ----------
    N, D, C, tpp : array_like, optional
        Two of them: parameters, tokens, FLOPs (C = 6 N D), tokens per parameter (D / N). Texts such as ``"70B"`` are
        understood.
    cost : callable, optional
        ``cost(N, D)`` gives what runs cost, in the unit of the budget; by default the FLOPs 6 N D.
    **further
        Values of further variables of the law, crossed with the rest.

    Returns
    -------
    Candidates

    Raises
    ------
    OptionError
        Code ``option``: not two of the four.
    DataError
        Code ``data-empty`` for an axis without values, ``data-nonpositive`` for what is not above zero.

    Examples
    --------
    >>> import isoloss as iso
    >>> print(iso.grid(C=[1e19, 1e20], tpp=[10, 20, 40]))
    6 candidates: N 204M .. 1.29B, D 4.08B .. 25.8B, C 1e19 .. 1e20
    """
    given = {"N": N, "D": D, "C": C, "tpp": tpp}
    axes = {name: _axis(name, values) for name, values in given.items() if values is not None}
    if len(axes) != 2:
        message = f"grid takes two of N, D, C and tpp, not {', '.join(axes) or 'none'}"
        meant = [name for name in further if name.upper() in ("N", "D", "C") or name.lower() == "tpp"]
        message += f"; {', '.join(meant)} is taken for a further variable of the law" if meant else ""
        raise OptionError(message, argument="N")
    axes |= {name: _axis(name, values, positive=False) for name, values in further.items()}
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    columns = {name: np.ascontiguousarray(values.ravel()) for name, values in zip(axes, mesh, strict=True)}
    return _complete(columns, cost)


def as_candidates(given: Any) -> Candidates:
    """Candidates as they are, or from a table whose columns are two of N, D, C and tpp, and perhaps ``cost``.

    Parameters
    ----------
    given : Candidates, frame, mapping of columns, or path of a CSV or Parquet file

    Raises
    ------
    DataError
        Codes ``data-empty``, ``data-missing-role``, ``data-shape``, ``data-nonpositive``, and ``data-source`` for what
        is no table.
    """
    if isinstance(given, Candidates):
        made = given
    else:
        if not isinstance(given, Mapping):
            table = open_table(given)
            given = table.select(table.names)
        columns = {str(name): _axis(str(name), values, positive=False) for name, values in given.items()}
        if len({len(column) for column in columns.values()}) != 1:
            lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise DataError(f"candidates: columns of one length are needed, not {lengths}", code="data-shape")
        own = columns.pop("cost", None)
        made = _complete(columns, own)
    if len(made) == 0:
        raise DataError("candidates: there is none to choose from", code="data-empty")
    return made


def _axis(name: str, values: Any, *, positive: bool = True) -> F64:
    single = isinstance(values, str) or (not isinstance(values, (list, tuple)) and np.ndim(values) == 0)
    listed = [values] if single else list(values)
    axis = real_numbers(name, [parse_number(x, name) if isinstance(x, str) else x for x in listed])
    if axis.ndim != 1 or axis.size == 0:
        raise DataError(f"{name}={values!r} holds no values", code="data-empty", column=name)
    bad = ~np.isfinite(axis) | (positive & (axis <= 0.0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        message = f"{name}[{row}] = {axis[row]:g} is not a number{' above zero' if positive else ''}"
        raise DataError(message, code="data-nonpositive", column=name, row=row, value=float(axis[row]))
    return axis


def _complete(columns: dict[str, F64], cost: Any) -> Candidates:
    """N, D and C of every candidate, and its cost."""
    ratio = columns.get("tpp")
    columns = {name: column for name, column in columns.items() if name != "tpp"}
    with np.errstate(all="ignore"):  # what is out of range is named below
        if ratio is not None and {"N", "D"} & set(columns):
            columns |= {"D": columns["N"] * ratio} if "N" in columns else {"N": columns["D"] / ratio}
        elif ratio is not None:
            columns["N"] = np.sqrt(columns["C"] / (6.0 * ratio))
        done: dict[str, F64] = complete_compute(columns)
    missing = [name for name in ("N", "D", "C") if name not in done]
    if missing:
        message = (
            f"candidates: {', '.join(missing)} is not given and does not follow from the columns "
            f"{', '.join(columns)}; give two of N, D, C and tpp"
        )
        raise DataError(message, code="data-missing-role", role=missing[0])
    first = ("N", "D", "C")
    ordered = {name: done[name] for name in (*first, *(name for name in done if name not in first))}
    asked = cost(ordered["N"], ordered["D"]) if callable(cost) else cost
    spent = ordered["C"] if asked is None else real_numbers("cost", asked)
    if spent.shape not in ((), ordered["N"].shape):
        message = f"cost has shape {spent.shape}, and there are {len(ordered['N'])} candidates"
        raise DataError(message, code="data-shape", column="cost")
    spent = np.array(np.broadcast_to(spent, ordered["N"].shape))
    for name, column in (*((one, ordered[one]) for one in first), ("cost", spent)):
        bad = ~(np.isfinite(column) & (column > 0.0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            message = f"candidates, column {name!r}, row {row}: {column[row]:g} is not above zero"
            raise DataError(message, code="data-nonpositive", column=name, row=row, value=float(column[row]))
    return Candidates(columns=ordered, cost=spent)
