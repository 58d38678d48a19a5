r"""Compute-optimal size and data: minimise the loss over N with D = C / (k N).

For E + A/N^alpha + B/D^beta there is a closed form (Hoffmann et al. 2022, equation 4). Any law of N and D is served
here by a search in log N over a wide range of tokens per parameter: a coarse grid, three refinements around its least
point, and a parabola through the last three points, for the estimates, all draws and all budgets at once. An optimum
at the end of the range means that the law has none, and is said so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss import _core
from isoloss.engine.problem import F64
from isoloss.errors import DataError, LawError, Notice, OptionError, did_you_mean
from isoloss.stats.design import refuse_ray
from isoloss.stats.draws import Draws
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, format_number, format_si, parse_number

if TYPE_CHECKING:
    from isoloss.fit.object import Fit
    from isoloss.law.object import BoundLaw

__all__ = ["Allocation", "allocate", "least_loss"]

_LEAST_RATIO, _MOST_RATIO = 1e-8, 1e12  # tokens per parameter that are searched
_COARSE, _FINE, _REFINEMENTS = 65, 17, 3
_STEP = 1e-3  # relative step of parameters, for slopes of an optimum
_QUANTITIES = ("N", "D", "tokens_per_parameter", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Compute-optimal N and D for one budget or several.

    Attributes
    ----------
    N, D : float or (k,) ndarray
        Parameters and tokens.
    C : float or (k,) ndarray
        FLOPs.
    loss : float or (k,) ndarray
        Predicted at the optimum.
    tokens_per_parameter : float or (k,) ndarray
        D / N.
    intervals : mapping of str to (low, high)
        Over the draws, for ``"N"``, ``"D"``, ``"tokens_per_parameter"`` and ``"loss"``; empty without
        draws.
    level : float
        Of the intervals.
    flops : float
        FLOPs per parameter and token.
    calibrated : bool
        False where the draws allow no confidence interval; `warnings` says why.
    warnings : tuple of Notice
        Code ``allocation-unbounded`` where there is no interior optimum.
    """

    N: Any
    D: Any
    C: Any
    loss: Any
    tokens_per_parameter: Any
    intervals: Mapping[str, tuple[Any, Any]]
    level: float
    flops: float
    warnings: tuple[Notice, ...] = ()
    calibrated: bool = True

    def __str__(self) -> str:
        count = np.size(self.C)
        lines = [self._line(k, budget=np.ndim(self.C) > 0) for k in range(count)]
        return "\n".join(lines + [str(notice) for notice in self.warnings])

    def _line(self, k: int, *, budget: bool) -> str:
        shown = [
            self._quantity("N", "N", k, format_si, 3),
            self._quantity("D", "D", k, format_si, 3),
            self._quantity("tokens_per_parameter", "D/N", k, format_number, 3),
            self._quantity("loss", "loss", k, format_number, 4),
        ]
        if budget:
            shown.insert(0, f"C {format_number(_item(self.C, k), 3)}")
        return " | ".join(shown)

    def _quantity(self, name: str, label: str, k: int, show: Any, digits: int) -> str:
        text = f"{label} {show(_item(getattr(self, name), k), digits)}"
        if name not in self.intervals:
            return text
        low, high = (show(_item(side, k), digits) for side in self.intervals[name])
        return f"{text} [{low}, {high}]"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""

        def plain(value: Any) -> Any:
            return value.tolist() if isinstance(value, np.ndarray) else value

        return {
            **{name: plain(getattr(self, name)) for name in ("C", *_QUANTITIES)},
            "intervals": {name: [plain(low), plain(high)] for name, (low, high) in self.intervals.items()},
            "level": self.level,
            "calibrated": self.calibrated,
            "flops": self.flops,
            "warnings": [notice.to_dict() for notice in self.warnings],
        }


def _item(value: Any, k: int) -> float:
    return float(np.ravel(value)[k])


def allocate(
    fit: Fit,
    C: ArrayLike | str,
    *,
    flops: str | float,
    draws: Draws | None,
    level: float,
    fixed: Mapping[str, float],
    interval: str | None = None,
) -> Allocation:
    """Compute-optimal N and D; see `isoloss.fit.object.Fit.allocate`."""
    budget = np.asarray(parse_number(C) if isinstance(C, str) else C, dtype=np.float64)
    if budget.ndim > 1 or budget.size == 0 or not np.all(np.isfinite(budget) & (budget > 0.0)):
        message = f"C={C!r} is not FLOPs above zero: a number, or a list of numbers"
        raise DataError(message, code="data-nonpositive", column="C")
    rate = _flops_rate(flops)
    refuse_ray(fit.runs, fit.problem.weights)
    bound = fit.bound
    others = _further_variables(bound, fixed)
    budgets = np.atleast_1d(budget)

    def optima(params: F64) -> tuple[dict[str, F64], NDArray[np.bool_]]:
        N, loss, edge = _least(bound, params, budgets, rate, others)
        D = budgets / (rate * N)
        return {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}, edge

    found, edge = optima(fit.vector[None, :] if draws is None else np.vstack([fit.vector, draws.params]))

    def shaped(values: F64) -> Any:
        return float(values[0]) if budget.ndim == 0 else values

    intervals: dict[str, tuple[Any, Any]] = {}
    if draws is not None:
        chosen = draws.basis.interval if interval is None else interval
        left_out = draws.basis.left_out if chosen == "bca" else None
        without = None if left_out is None else optima(left_out)[0]
        errors = _errors(draws, lambda params: optima(params)[0]) if chosen == "studentized" else {}
        for name, values in found.items():
            curved = np.full(budgets.shape, name != "loss")
            error = errors.get(name)
            if error is not None and name != "loss":
                error = (error[0] / values[0], error[1] / values[1:])
            low, high = draws.ends(
                values[1:], values[0], level, interval, None if without is None else without[name], error, curved
            )
            intervals[name] = (shaped(low), shaped(high))
    return Allocation(
        C=shaped(budgets),
        **{name: shaped(values[0]) for name, values in found.items()},
        intervals=intervals,
        level=level,
        flops=rate,
        # What makes the fit or its draws doubtful makes the plan doubtful.
        warnings=(
            *(notice for notice in fit.warnings if notice.severity == "serious"),
            *(notice for notice in (draws.warnings if draws is not None else ()) if notice.severity == "serious"),
            *_warnings(edge),
        ),
        calibrated=draws is None or draws.calibrated(level),
    )


def _errors(draws: Draws, optima: Callable[[F64], dict[str, F64]]) -> dict[str, tuple[F64, F64]]:
    """Standard errors of each quantity at the estimates and at each draw, from their covariances (the delta method)."""
    cov, covs = draws.basis.cov, draws.basis.covs
    if cov is None or covs is None:
        return {}
    at = np.vstack([draws.estimate, draws.params])
    m, p = at.shape
    step = _STEP * np.where(at == 0.0, 1.0, np.abs(at))
    moved = np.eye(p)[None, :, :] * step[:, None, :]
    high, low = (optima((at[:, None, :] + side * moved).reshape(m * p, p)) for side in (1.0, -1.0))
    spread = np.concatenate([cov[None], covs])
    found = {}
    for name, values in high.items():
        slope = (values - low[name]).reshape(m, p, -1) / (2.0 * step[:, :, None])
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.einsum("mjk,mjl,mlk->mk", slope, spread, slope))
        found[name] = (error[0], error[1:])
    return found


def least_loss(bound: BoundLaw, params: F64, budget: float) -> tuple[F64, F64]:
    """Compute-optimal N and its loss at C = 6 N D for parameters (B, p) of a law of N and D.

    Returns
    -------
    N, loss : (B,) float64
    """
    N, loss, _ = _least(bound, params, np.array([budget]), FLOPS_PER_PARAMETER_TOKEN, {})
    return N[:, 0], loss[:, 0]


def _flops_rate(flops: str | float) -> float:
    """FLOPs per parameter and token."""
    if flops == "6ND":
        return FLOPS_PER_PARAMETER_TOKEN
    if isinstance(flops, (int, float)) and not isinstance(flops, bool) and math.isfinite(flops) and flops > 0.0:
        return float(flops)
    message = f"flops={flops!r} is neither '6ND' nor a number of FLOPs per parameter and token"
    raise OptionError(message, argument="flops")


def _further_variables(bound: BoundLaw, fixed: Mapping[str, float]) -> dict[str, float]:
    """Values of the variables besides N and D."""
    law = bound.law
    if not {"N", "D"} <= set(law.variables):
        message = f"law {law.name!r} is one of {', '.join(law.variables)}; an allocation needs a law of N and D"
        raise LawError(message, code="law-missing-name", names=[n for n in ("N", "D") if n not in law.variables])
    further = [name for name in law.variables if name not in ("N", "D", "C")]
    for name in fixed:
        if name not in further:
            message = f"law {law.name!r} has no further variable {name!r}{did_you_mean(name, further)}"
            raise LawError(message, code="law-unknown-name", name=name)
    missing = [name for name in further if name not in fixed]
    if missing:
        message = f"law {law.name!r} needs a value for {', '.join(missing)} to allocate"
        raise LawError(message, code="law-missing-name", names=missing)
    return {name: float(fixed[name]) for name in further}


@lru_cache(maxsize=64)
def _elementwise(text: str, names: tuple[str, ...], constants: tuple[tuple[str, float], ...]) -> _core.Expression:
    """The law with its parameters as columns too, so that each draw has its own N."""
    return _core.Expression(text, variables=list(names), constants=dict(constants))


def _least(
    bound: BoundLaw, params: F64, budget: F64, rate: float, others: Mapping[str, float]
) -> tuple[F64, F64, NDArray[np.bool_]]:
    """N (m, k), loss (m, k) and whether the least point is at the end of the range, for m draws and k budgets."""
    law = bound.law
    # The parameters stand in the order of the law, which is that of the draws.
    names = (*law.variables, *law.parameters)
    constants = {**law.constants, **bound.constants}
    expression = _elementwise(law.expr, names, tuple(sorted(constants.items())))
    m, k = len(params), len(budget)
    own = {name: np.repeat(params[:, j], k) for j, name in enumerate(law.parameters)}
    lanes = np.tile(budget, m)

    def loss(x: F64) -> F64:
        """At log N (lanes, g)."""
        g = x.shape[1]
        N = np.exp(x).ravel()
        C = np.repeat(lanes, g)
        at: dict[str, F64] = {"N": N, "D": C / (rate * N), "C": C}
        at |= {name: np.full(len(N), value) for name, value in others.items()}
        at |= {name: np.repeat(values, g) for name, values in own.items()}
        value = expression.evaluate([at[name] for name in expression.variables], np.empty((1, 0)))[0]
        return np.where(np.isfinite(value), value, np.inf).reshape(x.shape)

    middle = 0.5 * np.log(lanes / rate)
    low = middle - 0.5 * math.log(_MOST_RATIO)
    high = middle - 0.5 * math.log(_LEAST_RATIO)
    rows = np.arange(len(lanes))
    edge = np.zeros(len(lanes), dtype=np.bool_)
    for step in range(_REFINEMENTS + 1):
        grid = np.linspace(low, high, _COARSE if step == 0 else _FINE, axis=1)
        values = loss(grid)
        best = np.argmin(values, axis=1)
        if step == 0:
            edge = (best == 0) | (best == grid.shape[1] - 1)
        inner = np.clip(best, 1, grid.shape[1] - 2)
        low, high = grid[rows, inner - 1], grid[rows, inner + 1]
    x, y = grid[rows, inner], values[rows, inner]
    before, after = values[rows, inner - 1], values[rows, inner + 1]
    bend = before - 2.0 * y + after
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(bend > 0.0, 0.25 * (high - low) * (before - after) / bend, 0.0)
    x = np.where(edge, grid[rows, best], x + np.clip(np.nan_to_num(shift), low - x, high - x))
    return np.exp(x).reshape(m, k), loss(x[:, None]).reshape(m, k), edge.reshape(m, k)


def _warnings(edge: NDArray[np.bool_]) -> tuple[Notice, ...]:
    """What to say about optima at the end of the range."""
    if edge[0].any():
        message = (
            "the law has no interior optimum here: the least loss is at the end of the range of tokens per parameter"
        )
        return (Notice(code="allocation-unbounded", severity="serious", message=message, details={}),)
    share = float(edge[1:].mean()) if len(edge) > 1 else 0.0
    if share > 0.0:
        message = f"{100 * share:.2g} % of the draws have no interior optimum; their ends of the range are counted in"
        return (Notice(code="allocation-unbounded", severity="warning", message=message, details={"share": share}),)
    return ()
