"""What the engine solves: columns, targets, weights, an objective, and how the parameters may move.

`fit`, `fit_many`, the bootstrap and the start rule all build one `Problem` and call `Problem.solve` with
other arrays of starts, weights or targets; there is no other way to the engine.

A parameter can be *fixed* (it keeps its value), *tied* (it equals another one), *bounded*, or *positive* (the solver
then works in its logarithm). All four are handled exactly by the engine, as projections and not as penalties.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import _core
from isoloss.engine.outside import Asked, bring_back
from isoloss.engine.status import succeeded
from isoloss.engine.watch import Progress, Watch
from isoloss.errors import DataError, LawError, OptionError, did_you_mean
from isoloss.objective import Objective
from isoloss.units import parse_number

__all__ = ["F64", "Derivatives", "Parameters", "Problem", "Progress", "Solved", "arrange", "seed_number"]

F64 = NDArray[np.float64]
_LARGEST, _SMALLEST = 1e308, 1e-307  # between them positive starts are kept
_BLOCK = 50_000  # rows whose second derivatives are held at once


def seed_number(seed: Any) -> int:
    """The integer behind a seed: an integer itself, or the next number of a NumPy generator.

    Raises
    ------
    OptionError
        Code ``option``: neither an integer from 0 up nor a Generator.

    Examples
    --------
    >>> from isoloss.engine.problem import seed_number
    >>> seed_number(7)
    7
    """
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and 0 <= seed < 2**64:
        return int(seed)
    message = f"seed={seed!r} is neither an integer from 0 up nor a numpy Generator"
    raise OptionError(message, argument="seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How the parameters of one law may move; arrays in the order of `names`.

    Attributes
    ----------
    names : tuple of str
        The p parameters, in the order of every array of parameters.
    positive : (p,) bool
        Solved in the logarithm.
    lower, upper : (p,) float64
        Bounds in natural values; infinite where there are none.
    fixed : (p,) bool
        Kept at `values`.
    values : (p,) float64
        Values of the fixed ones; NaN elsewhere, and for those fixed wherever each start puts them.
    tied : (p,) int64
        Index of the parameter that each equals; its own where it stands for itself.
    """

    names: tuple[str, ...]
    positive: NDArray[np.bool_]
    lower: F64
    upper: F64
    fixed: NDArray[np.bool_]
    values: F64
    tied: NDArray[np.int64]

    @property
    def free(self) -> NDArray[np.bool_]:
        """(p,) whether a parameter is estimated in its own right: neither fixed nor tied to another."""
        return np.asarray(~self.fixed & (self.tied == np.arange(len(self.names))))

    def settle(self, starts: ArrayLike) -> F64:
        """Starts with fixed values written in, ties applied, bounds and the range of numbers kept; (S, p), a copy."""
        settled = np.array(starts, dtype=np.float64, ndmin=2)
        # A fixed parameter without a value of its own keeps that of each start: the start rule's projections.
        given = self.fixed & ~np.isnan(self.values)
        # A product of two magnitudes, or what an earlier fit ran off to, may lie beyond the numbers.
        lower = np.maximum(self.lower, np.where(self.positive, _SMALLEST, -_LARGEST))
        settled = np.where(given, self.values, np.clip(settled, lower, np.minimum(self.upper, _LARGEST)))
        return np.ascontiguousarray(settled[:, self.tied])

    def index(self, name: str, where: str) -> int:
        """Position of a parameter named by the user in the argument `where`."""
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            message = f"{where} names {name!r}, which is no parameter of the law (it has {', '.join(self.names)}){hint}"
            raise LawError(message, code="law-unknown-name", name=name, argument=where)
        return self.names.index(name)


def arrange(
    names: Sequence[str],
    positive: Sequence[bool],
    lower: F64,
    upper: F64,
    *,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
) -> Parameters:
    """The parameters of a law under a user's `fix` and `tie`.

    Parameters
    ----------
    names, positive : sequences of length p
        From the law.
    lower, upper : (p,) float64
        Bounds in natural values, from ``Law.resolve_bounds``.
    fix : mapping, optional
        Name to value.
    tie : mapping, optional
        Name to the name it must equal; chains are followed.

    Raises
    ------
    LawError
        Code ``law-unknown-name``: a name is no parameter of the law. Code ``law-bounds``: a value to fix is not finite
        or not above zero where it must be, or a tie runs in a circle, meets a fixed value or leaves no room.

    Examples
    --------
    >>> import numpy as np
    >>> from isoloss.engine.problem import arrange
    >>> arrange(["E", "A"], [True, True], np.zeros(2), np.full(2, np.inf), fix={"E": 1.69}).free
    array([False,  True])
    """
    p = len(names)
    made = Parameters(
        names=tuple(names),
        positive=np.array(positive, dtype=np.bool_),
        lower=np.array(lower, dtype=np.float64),
        upper=np.array(upper, dtype=np.float64),
        fixed=np.zeros(p, dtype=np.bool_),
        values=np.full(p, np.nan),
        tied=np.arange(p, dtype=np.int64),
    )
    made.lower[made.positive] = np.maximum(made.lower[made.positive], 0.0)
    for name, given in (fix or {}).items():
        j = made.index(name, "fix")
        value = parse_number(given, name)
        if not np.isfinite(value) or (made.positive[j] and value <= 0.0):
            need = "finite and above zero" if made.positive[j] else "finite"
            message = f"fix gives {name!r} the value {given!r}, which is not {need}"
            raise LawError(message, code="law-bounds", name=name)
        # A user who fixes a value outside the law's bounds means it.
        made.fixed[j], made.values[j] = True, value
        made.lower[j], made.upper[j] = min(made.lower[j], value), max(made.upper[j], value)
    _tie(made, tie or {})
    return made


def _tie(made: Parameters, tie: Mapping[str, str]) -> None:
    """Follow the ties to their roots and let each root keep to the bounds of all that equal it."""
    target = {made.index(a, "tie"): made.index(b, "tie") for a, b in tie.items()}
    for j in target:
        if made.fixed[j]:
            message = f"{made.names[j]!r} is both fixed and tied; fix the one it is tied to instead"
            raise LawError(message, code="law-bounds", name=made.names[j])
        root, seen = j, {j}
        while root in target:
            root = target[root]
            if root in seen:
                message = f"tie runs in a circle through {made.names[root]!r}"
                raise LawError(message, code="law-bounds", name=made.names[root])
            seen.add(root)
        made.tied[j] = root
    for j in target:
        root = int(made.tied[j])
        made.positive[root] |= made.positive[j]
        if made.fixed[root]:
            continue
        made.lower[root] = max(made.lower[root], made.lower[j])
        made.upper[root] = min(made.upper[root], made.upper[j])
        if not made.lower[root] < made.upper[root]:
            message = f"tie: no value lies within the bounds of both {made.names[j]!r} and {made.names[root]!r}"
            raise LawError(message, code="law-bounds", name=made.names[j])
    for j in target:  # a tied parameter is a copy, whose own marks the engine does not read
        root = int(made.tied[j])
        made.positive[j], made.lower[j], made.upper[j] = made.positive[root], made.lower[root], made.upper[root]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Results of one call of the engine, a row for each problem.

    Attributes
    ----------
    params : (B, p) float64
    value : (B,) float64
        Objective; NaN where it could not be evaluated.
    status : (B,) uint8
        Codes of `Status`.
    iterations : (B,) uint32
    at_bound : (B, p) int8
        -1 at the lower bound, +1 at the upper, 0 inside.
    """

    params: F64
    value: F64
    status: NDArray[np.uint8]
    iterations: NDArray[np.uint32]
    at_bound: NDArray[np.int8]

    @property
    def ok(self) -> NDArray[np.bool_]:
        """(B,) whether each row is an optimum."""
        return succeeded(self.status) & np.isfinite(self.value)

    def score(self) -> F64:
        """(B,) the objective for choosing a winner: infinite where it is not a number."""
        return np.where(np.isfinite(self.value), self.value, np.inf)

    def take(self, rows: NDArray[np.intp] | list[int]) -> Solved:
        """Some rows, as a result of their own."""
        return Solved(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    def put(self, rows: NDArray[np.intp] | list[int], other: Solved) -> Solved:
        """A copy in which some rows are those of another result."""
        copies = {name: getattr(self, name).copy() for name in self.__dataclass_fields__}
        for name, array in copies.items():
            array[rows] = getattr(other, name)
        return Solved(**copies)

    @classmethod
    def concat(cls, parts: Sequence[Solved]) -> Solved:
        """The rows of several results, one after another."""
        if len(parts) == 1:
            return parts[0]
        fields = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivatives:
    """Predictions at some rows, and how they move with the parameters.

    Attributes
    ----------
    rows : (k,) int64
        Which rows of the problem.
    place : slice
        Where they stand among the rows that were asked for.
    value : (k,) float64
    gradient : (k, p) float64
    hessian : (k, p, p) float64
    """

    rows: NDArray[np.intp]
    place: slice
    value: F64
    gradient: F64
    hessian: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Aligned data and the question asked of them.

    Attributes
    ----------
    expression : _core.Expression
    columns : tuple of (n,) float64
        In the order of ``expression.variables``.
    target : (n,) or (T, n) float64
    weights : (n,) or (W, n) float64 or None
    objective : Objective
    parameters : Parameters
    """

    expression: _core.Expression
    columns: tuple[F64, ...]
    target: F64
    weights: F64 | None
    objective: Objective
    parameters: Parameters

    @property
    def names(self) -> tuple[str, ...]:
        """The p parameters in the order of all arrays."""
        return self.parameters.names

    def solve(
        self,
        starts: F64,
        *,
        weights: F64 | None = None,
        weight_index: NDArray[np.int64] | None = None,
        target_index: NDArray[np.int64] | None = None,
        offsets: NDArray[np.int64] | None = None,
        deltas: F64 | None = None,
        max_iterations: int = 0,
        threads: int | None = None,
        progress: Progress | None = None,
        watch: Watch | None = None,
    ) -> Solved:
        """Solve a problem for each row of `starts` in one call of the engine.

        Parameters
        ----------
        starts : (B, p) float64
            Natural values; fixed parameters, ties and bounds are applied here.
        weights : (W, n) float64, optional
            Instead of the problem's own.
        weight_index, target_index : (B,) int64, optional
            Which row of the weights and targets each problem takes.
        offsets : (B + 1,) int64, optional
            Panels: problem b owns rows offsets[b] to offsets[b + 1] of the flat columns.
        deltas : (B,) float64, optional
            A width for each problem, in place of the objective's.
        threads, progress, watch
            A watch brings its own threads and progress, and learns whether the call was stopped.
        """
        watch = Watch(progress, n_threads=threads) if watch is None else watch
        taken = self.weights if weights is None else weights
        asked = Asked(starts, taken, weight_index, target_index, offsets, deltas, max_iterations)
        solved = self.answer(asked, watch)
        bring_back(self, asked, solved, watch)
        return solved

    def answer(self, asked: Asked, watch: Watch) -> Solved:
        """What the engine says, also of fits that leave the range of numbers; `solve` sees to those."""
        own = self.parameters
        result = _core.fit_batch(
            self.expression,
            self.columns,
            self.target,
            own.settle(asked.starts),
            weights=asked.weights,
            target_index=asked.target_index,
            weight_index=asked.weight_index,
            offsets=asked.offsets,
            log_scale=own.positive.tolist(),
            lower=own.lower,
            upper=own.upper,
            fixed=own.fixed.tolist(),
            tied=own.tied.tolist(),
            objective=self.objective.kind,
            delta=self.objective.width if asked.deltas is None else 1.0,
            deltas=asked.deltas,
            shape=self.objective.shape,
            space=self.objective.space,
            max_iterations=asked.max_iterations,
            threads=watch.threads,
            progress=watch.report,
            partial=watch.partial,
        )
        watch.stopped |= result["stopped"]
        return Solved(
            params=result["params"],
            value=result["value"],
            status=result["status"],
            iterations=result["iterations"],
            at_bound=result["at_bound"],
        )

    @property
    def present(self) -> NDArray[np.intp]:
        """Rows that carry weight; the others may lie outside the law's domain."""
        n = self.target.shape[-1]
        return np.arange(n) if self.weights is None else np.flatnonzero(self.weights > 0.0)

    def counted(self) -> Problem:
        """The same problem without the rows of weight zero, of which nothing shall depend: itself if there are none."""
        rows = self.present
        if self.weights is None or len(rows) in (0, self.target.shape[-1]):
            return self
        return replace(
            self,
            columns=tuple(self._columns(rows)),
            target=np.ascontiguousarray(self.target[..., rows]),
            weights=np.ascontiguousarray(self.weights[rows]),
        )

    def predict(self, params: F64, rows: NDArray[np.intp] | slice | None = None) -> F64:
        """(B, n) predictions at the problem's own rows, or at some of them, for parameters (B, p)."""
        return self.expression.evaluate(self.columns if rows is None else self._columns(rows), np.atleast_2d(params))

    def derivatives(self, params: F64, rows: NDArray[np.intp]) -> Iterator[Derivatives]:
        """Predictions at some rows with their derivatives, in blocks, since second derivatives are wide.

        Parameters
        ----------
        params : (p,) float64
        rows : (k,) int64
        """
        for first in range(0, len(rows), _BLOCK):
            block = rows[first : first + _BLOCK]
            value, gradient, hessian = self.expression.derivatives(self._columns(block), params)
            place = slice(first, first + len(block))
            yield Derivatives(rows=block, place=place, value=value, gradient=gradient, hessian=hessian)

    def _columns(self, rows: NDArray[np.intp] | slice) -> list[F64]:
        return [np.ascontiguousarray(column[rows]) for column in self.columns]

    def with_parameters(self, parameters: Parameters) -> Problem:
        """The same data under other constraints."""
        return replace(self, parameters=parameters)


def check_target(target: F64, objective: Objective, name: str) -> None:
    """Refuse targets outside the domain of the objective's space, naming the first row.

    Raises
    ------
    DataError
        Code ``data-nonpositive``.
    """
    bad = ~objective.valid(target)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=0) if bad.ndim > 1 else bad)[0])
        value = float(target[..., row].ravel()[0])
        message = f"column {name!r}, row {row}: {value!r} is not {objective.domain}, as {objective.describe()} needs"
        raise DataError(message, code="data-nonpositive", column=name, row=row, value=value)
