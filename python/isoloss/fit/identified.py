"""Parameters that the runs leave open at the optimum of a fit. Private; `isoloss.fit.judgement` asks.

Two ways to be open are told apart. Parameters can move together without changing a single prediction: they span the
null space of the Jacobian of the predictions. Or predictions do change, but not the objective: robust losses grow in
proportion beyond their delta, and where as many runs pull up as down the minimum is a level stretch, as the median of
two numbers is anything between them. The curvature of the objective then vanishes in some direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from isoloss.engine.problem import F64, Problem
from isoloss.errors import Notice
from isoloss.stats.inference import transform_slopes

__all__ = ["unidentified"]

_GLANCE = 2_000  # runs that mostly suffice to see that every parameter matters
_NULL = 1e-11  # share of the largest singular value below which a direction is rounding
_KINKED = ("huber", "asymmetric_huber", "absolute", "quantile")
_LEVEL = 1e-9  # curvature, as a share of what its terms would add up to, that is rounding
_TOUCHED = 1e-6  # of the median residual: a residual that a kinked loss holds at zero
_PART = 1e-6  # of a direction of length one: a parameter that takes part in it


def unidentified(problem: Problem, params: Mapping[str, float], at_bound: Mapping[str, int]) -> list[Notice]:
    """What the runs do not determine; parameters at a bound are held there.

    Parameters
    ----------
    problem : Problem
    params : mapping of str to float
        The optimum.
    at_bound : mapping of str to int
    """
    own = problem.parameters
    held = np.array([name in at_bound for name in own.names])
    estimated = np.flatnonzero(own.free & ~held[own.tied])
    if len(estimated) == 0:
        return []
    selection = np.asarray(own.tied[:, None] == estimated[None, :], dtype=np.float64)
    point = np.array([params[name] for name in own.names])
    present = problem.present
    glance = present[:: max(1, len(present) // _GLANCE)]
    open_, scale = _null_space(problem, point, selection, glance)
    if open_.size and len(glance) < len(present):
        open_, scale = _null_space(problem, point, selection, present)
    loose = _taking_part(open_)
    if len(loose):
        along = _relative(problem, point, estimated, open_ / scale[:, None])
        return [_without_effect(problem, [own.names[estimated[k]] for k in loose], along, present)]
    residual = problem.objective.residuals(problem.predict(point)[0], problem.target)
    open_, scale, inside = _level(problem, point, selection, present, residual)
    loose = _taking_part(open_)
    if len(loose) == 0:
        return []
    names = [own.names[estimated[k]] for k in loose]
    width = problem.objective.width
    near = f"within delta = {width:g} of the law" if width > 0.0 else "on the law"
    message = (
        f"the objective is level at the optimum, with {inside} of {len(present)} runs {near} and the others pulling as "
        f"much one way as the other: it does not determine {', '.join(names)}"
    )
    along = _relative(problem, point, estimated, open_ / scale[:, None])
    details = {"parameters": names, "constant": [], "directions": along, "inside": inside}
    return [Notice(code="not-identified", severity="serious", message=message, details=details)]


def _without_effect(
    problem: Problem, names: list[str], along: list[dict[str, float]], present: NDArray[np.intp]
) -> Notice:
    """The notice about parameters that move without changing a prediction."""
    constant = [
        name
        for name, column in zip(problem.expression.variables, problem.columns, strict=True)
        if np.ptp(column[present]) == 0.0
    ]
    why = (
        f"; {' and '.join(constant)} {'is' if len(constant) == 1 else 'are'} the same in every run" if constant else ""
    )
    message = f"the runs do not determine {', '.join(names)}: other values predict every run alike{why}"
    details = {"parameters": names, "constant": constant, "directions": along}
    return Notice(code="not-identified", severity="serious", message=message, details=details)


def _taking_part(directions: F64) -> NDArray[np.intp]:
    """Numbers of the parameters with a part in any of the directions, the columns of (q, k)."""
    return np.asarray(np.flatnonzero(np.abs(directions).max(axis=1, initial=0.0) > _PART))


def _relative(problem: Problem, point: F64, estimated: NDArray[np.intp], directions: F64) -> list[dict[str, float]]:
    """Directions (q, k) as relative changes of the parameters that take part, the largest of size one.

    Several directions span a space. Of its bases the one is given in which each direction has a parameter of its own.
    """
    own = problem.parameters
    at = np.where(point[estimated] != 0.0, np.abs(point[estimated]), 1.0)
    with np.errstate(all="ignore"):
        rows = (directions / at[:, None]).T
    rows = rows / np.max(np.abs(rows), axis=1, keepdims=True)
    if not np.all(np.isfinite(rows)):
        return []
    for k in range(len(rows)):  # Gauss and Jordan, each time by the largest number that is left
        rest = np.abs(rows[k:])
        first, pivot = (int(i) for i in np.unravel_index(np.argmax(rest), rest.shape))
        rows[[k, k + first]] = rows[[k + first, k]]
        rows[k] /= rows[k, pivot]
        others = np.arange(len(rows)) != k
        rows[others] -= rows[others][:, [pivot]] * rows[k]
    names = [own.names[j] for j in estimated]
    rows = rows / np.take_along_axis(rows, np.argmax(np.abs(rows), axis=1)[:, None], axis=1)
    return [{name: float(x) for name, x in zip(names, row, strict=True) if abs(x) > _PART} for row in rows]


def _null_space(problem: Problem, point: F64, selection: F64, rows: NDArray[np.intp]) -> tuple[F64, F64]:
    """(q, k) directions that change no prediction, in parameters scaled to columns of length one; the scales."""
    q = selection.shape[1]
    triangle = np.zeros((0, q))
    for block in problem.derivatives(point, rows):
        triangle = np.linalg.qr(np.vstack([triangle, block.gradient @ selection])).R
    if not np.all(np.isfinite(triangle)):
        return np.zeros((q, 0)), np.ones(q)
    length = np.linalg.norm(triangle, axis=0)
    scale = np.where(length > 0.0, length, 1.0)
    _, size, directions = np.linalg.svd(triangle / scale)
    rank = int(np.sum(size > _NULL * size[0])) if len(size) and size[0] > 0.0 else 0
    return np.asarray(directions[rank:].T), scale


def _level(
    problem: Problem, point: F64, selection: F64, present: NDArray[np.intp], residual: F64
) -> tuple[F64, F64, int]:
    """(q, k) directions along which the objective is level, the scales, and how many runs lie within delta.

    Runs within delta curve the objective along their gradients. In what is left, a law that is not linear curves it
    too, by terms of both signs; where these cancel to rounding it is level.
    """
    goal, q = problem.objective, selection.shape[1]
    nothing, scale = np.zeros((q, 0)), np.ones(q)
    size = np.abs(residual[present])
    if goal.kind not in _KINKED or not np.all(np.isfinite(size)):
        return nothing, scale, 0
    inside = present[size <= max((1.0 + _TOUCHED) * goal.width, _TOUCHED * float(np.median(size)))]
    if len(inside) >= 3 * q:  # as many as the covariance asks for
        return nothing, scale, len(inside)
    squares = np.zeros(q)
    for block in problem.derivatives(point, present):
        squares += np.sum((block.gradient @ selection) ** 2, axis=0)
    length = np.sqrt(squares)
    if not np.all(np.isfinite(length)):
        return nothing, scale, len(inside)
    scale = np.where(length > 0.0, length, 1.0)
    unit = selection / scale
    free = np.eye(q)
    if len(inside):
        (near,) = problem.derivatives(point, inside)
        _, strength, axes = np.linalg.svd(near.gradient @ unit)
        free = axes[int(np.sum(strength > _NULL * strength[0])) :].T
    if free.shape[1] == 0:
        return nothing, scale, len(inside)
    curved = sum(terms.sum(axis=0) for terms in _curvature(problem, point, unit @ free, present))
    if not np.all(np.isfinite(curved)):
        return nothing, scale, len(inside)
    directions = free @ np.linalg.eigh(curved)[1]
    net, gross = np.zeros(directions.shape[1]), np.zeros(directions.shape[1])
    for terms in _curvature(problem, point, unit @ directions, present):
        each = np.einsum("nkk->nk", terms)
        net += each.sum(axis=0)
        gross += np.abs(each).sum(axis=0)
    return directions[:, np.abs(net) <= _LEVEL * gross], scale, len(inside)


def _curvature(problem: Problem, point: F64, directions: F64, rows: NDArray[np.intp]) -> Iterator[F64]:
    """(b, k, k) second derivatives of the runs' contributions along directions, without those of residuals in delta."""
    goal, weights = problem.objective, problem.weights
    with np.errstate(all="ignore"):
        for block in problem.derivatives(point, rows):
            slope, bend = transform_slopes(block.value, goal)
            pull = goal.slopes(block.value, problem.target[block.rows])[0]
            pull = pull if weights is None else weights[block.rows] * pull
            along = block.gradient @ directions
            bent = np.einsum("nij,ik,jl->nkl", block.hessian, directions, directions, optimize=True)
            squared = along[:, :, None] * along[:, None, :]
            yield (pull * slope)[:, None, None] * bent + (pull * bend)[:, None, None] * squared
