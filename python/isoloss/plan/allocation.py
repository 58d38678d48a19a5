r"""Compute-optimal size and data: minimise the loss over N with D = C / (k N).

The search is that of `isoloss.plan.optimum`, for the estimates, all draws and all budgets at once. An optimum at the
end of its range means that the law has none, and is said so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isoloss.engine.problem import F64
from isoloss.errors import DataError, LawError, Notice, OptionError, did_you_mean, serious
from isoloss.plain import plain_dict
from isoloss.plan.flops import Flops, Transformer, cost_of
from isoloss.plan.optimum import Plan, Split, check_rising
from isoloss.plan.regret import Regret, regret
from isoloss.shown import Shown
from isoloss.stats.bands import decades_beyond, describe_decades, extrapolated, uncalibrated
from isoloss.stats.design import refuse_ray
from isoloss.stats.draws import Draws
from isoloss.units import format_number, format_si, parse_number, real_numbers

if TYPE_CHECKING:
    from isoloss.fit.object import Fit
    from isoloss.law.object import Law

__all__ = ["Allocation", "allocate", "further_variables", "unbounded"]

_STEP = 1e-3  # relative step of parameters, for slopes of an optimum
_QUANTITIES = ("N", "D", "tokens_per_parameter", "loss")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Allocation(Shown):
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
    flops : float or (k,) ndarray
        FLOPs per parameter and token, at the optimum where they depend on N.
    calibrated : bool
        False where the draws allow no confidence interval; `warnings` says why.
    inference_tokens : float
        Tokens that the model will serve, whose compute is part of C.
    plan : Plan or None
        What `regret` works with.
    warnings : tuple of Notice
        What makes the fit or its draws doubtful; ``allocation-unbounded`` where there is no interior optimum;
        ``extrapolated`` far from the runs.
    decades : mapping of str to float or (k,) ndarray
        For N, D and C, where known: by how many decades the plan lies above the largest run (negative: below the
        smallest); zero among the runs.
    """

    N: Any
    D: Any
    C: Any
    loss: Any
    tokens_per_parameter: Any
    intervals: Mapping[str, tuple[Any, Any]]
    level: float
    flops: Any
    warnings: tuple[Notice, ...] = ()
    calibrated: bool = True
    inference_tokens: float = 0.0
    plan: Plan | None = field(default=None, repr=False, compare=False)
    decades: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        count = np.size(self.C)
        lines = [self._line(k, budget=np.ndim(self.C) > 0) for k in range(count)]
        lines += [uncalibrated(self.level)] if self.intervals and not self.calibrated else []
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
        lines = [" | ".join(shown)]
        model = None if self.plan is None else self.plan.split.cost
        if isinstance(model, Transformer):
            N = _item(self.N, k)
            each = format_number(_item(self.flops, k), 3)
            shape = f"{format_number(model.depth(N), 3)} layers of width {format_number(model.width(N), 3)}"
            lines.append(f"  {shape}, {each} FLOPs per parameter and token")
        if self.decades:
            lines.append(f"  {describe_decades({name: _item(values, k) for name, values in self.decades.items()})}")
        return "\n".join(lines)

    def _quantity(self, name: str, label: str, k: int, show: Any, digits: int) -> str:
        text = f"{label} {show(_item(getattr(self, name), k), digits)}"
        if name not in self.intervals:
            return text
        low, high = (show(_item(side, k), digits) for side in self.intervals[name])
        return f"{text} [{low}, {high}]"

    def regret(self, N: ArrayLike | str, *, level: float | None = None) -> Regret:
        """What it costs to train another size with the same compute.

        Parameters
        ----------
        N : float, text such as ``"70B"``, or array_like of either
            Parameters; one for each budget, or one for all.
        level : float, optional
            Of the intervals; by default that of the allocation.

        Returns
        -------
        Regret
            The loss above the optimum, and the compute with which the best size would reach that loss.

        Raises
        ------
        DataError
            Code ``data-nonpositive``: N is not above zero, or its compute leaves no tokens to train on.

        Examples
        --------
        >>> import isoloss as iso
        >>> N, D = [1e8, 1e9, 1e10] * 3, [1e9, 1e10, 1e11, 1e10, 1e11, 1e9, 1e11, 1e9, 1e10]
        >>> loss = iso.laws.get("chinchilla").bind("besiroglu2024")(N=N, D=D)
        >>> plan = iso.fit("chinchilla", {"N": N, "D": D, "loss": loss}).allocate(C=5.76e23)
        >>> print(plan.regret(N="30B"))
        N 30.0B | D 3.20T | loss 1.982, 0.007770 above the optimum | worth 0.763 of the compute
        """
        return regret(self, N, level)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return plain_dict(
            {
                **{name: getattr(self, name) for name in ("C", *_QUANTITIES)},
                "intervals": self.intervals,
                "level": self.level,
                "calibrated": self.calibrated,
                "flops": self.flops,
                "inference_tokens": self.inference_tokens,
                "decades": self.decades,
                "warnings": [notice.to_dict() for notice in self.warnings],
            }
        )


def _item(value: Any, k: int) -> float:
    return float(np.ravel(value)[k])


def allocate(
    fit: Fit,
    C: ArrayLike | str,
    *,
    flops: Flops,
    draws: Draws | None,
    level: float,
    fixed: Mapping[str, float],
    interval: str | None = None,
    inference_tokens: float | str = 0.0,
) -> Allocation:
    """Compute-optimal N and D; see `isoloss.fit.object.Fit.allocate`."""
    budget = real_numbers("C", C)
    if budget.ndim > 1 or budget.size == 0 or not np.all(np.isfinite(budget) & (budget > 0.0)):
        message = f"C={C!r} is not FLOPs above zero: a number, or a list of numbers"
        raise DataError(message, code="data-nonpositive", column="C")
    rate, cost = cost_of(flops, fit.runs.n_counts)
    refuse_ray(fit.runs, fit.problem, fit.vector)
    split = Split(
        bound=fit.bound,
        rate=rate,
        others=further_variables(fit.law, fixed),
        served=_served(inference_tokens),
        cost=cost,
    )
    budgets = np.atleast_1d(budget)
    check_rising(cost, budgets, rate)

    def optima(params: F64) -> tuple[dict[str, F64], NDArray[np.bool_]]:
        N, loss, edge = split.least(params, budgets)
        D = split.tokens(N, budgets)
        return {"N": N, "D": D, "tokens_per_parameter": D / N, "loss": loss}, edge

    params = fit.vector[None, :] if draws is None else np.vstack([fit.vector, draws.params])
    found, edge = optima(params)
    lost = np.flatnonzero(~(found["D"][0] > 0.0))
    if split.served and len(lost):
        message = (
            f"C={budgets[lost[0]]:.4g} does not pay for serving {split.served:.4g} tokens: nothing is left to train "
            "with, even at the smallest size that is looked at"
        )
        raise OptionError(message, code="budget-too-small", argument="inference_tokens")

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
    best = {name: values[0] for name, values in found.items()}
    each = split.per_token(best["N"])
    far = decades_beyond(fit.ranges, {"N": best["N"], "D": best["D"], "C": each * best["D"]})
    return Allocation(
        C=shaped(budgets),
        **{name: shaped(values) for name, values in best.items()},
        intervals=intervals,
        level=level,
        flops=rate if cost is None else shaped(each / best["N"]),
        # What makes the fit or its draws doubtful makes the plan doubtful.
        warnings=(
            *serious(fit.warnings, () if draws is None else draws.warnings),
            *unbounded(edge),
            *extrapolated(far),
        ),
        decades={name: shaped(values) for name, values in far.items()},
        calibrated=draws is None or draws.calibrated(level),
        inference_tokens=split.served,
        plan=Plan(split=split, params=params, draws=draws),
    )


def _served(tokens: float | str) -> float:
    """Tokens to be served, checked."""
    value = parse_number(tokens, "inference_tokens")
    if not (math.isfinite(value) and value >= 0.0):
        message = f"inference_tokens={tokens!r} is not a number of tokens, zero or above"
        raise OptionError(message, argument="inference_tokens")
    return value


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


def further_variables(law: Law, fixed: Mapping[str, float], argument: str = "") -> dict[str, float]:
    """Values of the variables besides N and D; `argument` is the one that takes them, where they are not keywords."""
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
        how = f"{argument}={{{', '.join(f'{m!r}: ...' for m in missing)}}}"
        how = how if argument else ", ".join(f"{m}=..." for m in missing)
        message = f"law {law.name!r} needs a value for {', '.join(missing)} to split a compute: give {how}"
        raise LawError(message, code="law-missing-name", names=missing)
    return {name: float(fixed[name]) for name in further}


def unbounded(edge: NDArray[np.bool_]) -> tuple[Notice, ...]:
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
