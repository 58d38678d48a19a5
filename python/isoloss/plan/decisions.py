"""What the optima of a multi-start would have you do: the same decision under each of them.

Two optima of nearly the same objective are harmless where they lead to the same decision, and a warning where they do
not. A decision is either a compute-optimal allocation or a prediction, by default that of the largest run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.engine.problem import F64
from isoloss.errors import OptionError
from isoloss.plain import plain_dict
from isoloss.plan.allocation import allocate
from isoloss.plan.optimum import least_loss
from isoloss.shown import Shown
from isoloss.units import format_number, format_si, parse_number

if TYPE_CHECKING:
    from isoloss.fit.object import Fit

__all__ = ["Decisions", "decide", "decision", "shown"]

_AHEAD = 10.0  # times the largest budget, that a decision without a budget of its own is about


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Decisions(Shown):
    """One decision under each optimum of a census; made by `Fit.decisions`.

    Attributes
    ----------
    question : str
        What was asked.
    quantities : mapping of str to (k,) float64
        ``N``, ``D``, ``tokens_per_parameter`` and ``loss`` of an allocation, or ``loss`` of a prediction.
    gap : (k,) float64
        Relative excess of each optimum's objective over the best; the first is 0.
    share : (k,) float64
        Share of the starts that ended there.
    """

    question: str
    quantities: Mapping[str, F64]
    gap: F64
    share: F64

    def __len__(self) -> int:
        return len(self.gap)

    def __str__(self) -> str:
        lines = [self.question]
        for k in range(len(self)):
            values = ", ".join(f"{name} {shown(name, float(column[k]))}" for name, column in self.quantities.items())
            where = "best" if k == 0 else f"{100 * self.gap[k]:.2g} % worse"
            lines.append(f"  {where}, {100 * self.share[k]:.0f} % of starts: {values}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        quantities = {name: column.tolist() for name, column in self.quantities.items()}
        return plain_dict(
            {
                "question": self.question,
                "quantities": quantities,
                "gap": self.gap.tolist(),
                "share": self.share.tolist(),
            }
        )


def shown(name: str, value: float) -> str:
    """A quantity of a decision, as it is printed."""
    return format_si(value, 3) if name in ("N", "D") else format_number(value, 4)


def decide(fit: Fit, C: float | str | None, columns: Mapping[str, ArrayLike | str]) -> Decisions:
    """The same decision under each optimum; see `isoloss.fit.object.Fit.decisions`."""
    optima = fit.basins.optima
    fits = [replace(fit, params=optimum.params, draws=None) for optimum in optima]
    if C is not None:
        budget = parse_number(C, "C")
        further = {name: float(parse_number(value, name)) for name, value in columns.items()}  # type: ignore[arg-type]
        plans = [allocate(one, budget, flops="6ND", draws=None, level=0.95, fixed=further) for one in fits]
        names = ("N", "D", "tokens_per_parameter", "loss")
        quantities = {name: np.array([getattr(plan, name) for plan in plans], dtype=np.float64) for name in names}
        question = f"compute-optimal at C = {budget:.4g}"
    else:
        at = dict(columns) if columns else largest(fit)
        losses = [one.predict(**at) for one in fits]
        if any(np.ndim(loss) for loss in losses):
            raise OptionError("a decision is one number: give one value for each variable", argument="columns")
        quantities = {"loss": np.array(losses, dtype=np.float64)}
        place = ", ".join(
            f"{name} = {value if isinstance(value, str) else f'{value:.4g}'}" for name, value in at.items()
        )
        question = f"prediction at {place}" + ("" if columns else ", the largest run")
    best = optima[0].value if optima else np.nan
    value = np.array([optimum.value for optimum in optima], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(value == best, 0.0, (value - best) / abs(best))
    share = np.array([optimum.count / fit.basins.starts for optimum in optima], dtype=np.float64)
    return Decisions(question=question, quantities=quantities, gap=gap, share=share)


def largest(fit: Fit) -> dict[str, float]:
    """The variables of the run of most compute, or without compute of the largest first variable."""
    present = fit.counted()
    row = _largest_row(present)
    return {name: float(present.runs.columns[name][row]) for name in fit.law.variables}


def _largest_row(present: Fit) -> int:
    columns = present.runs.columns
    keys = ["C"] if "C" in columns else []
    keys += [name for name in present.law.variables if name not in keys]
    return int(np.lexsort([columns[name] for name in reversed(keys)])[-1])


def decision(fit: Fit, params: F64) -> tuple[str, dict[str, F64]]:
    """The question, and what parameters (B, p) answer."""
    if {"N", "D"} == set(fit.law.variables) and not fit.law.inner:
        budget = _AHEAD * float(fit.counted().runs.columns["C"].max())
        known = np.isfinite(params).all(axis=1)
        N, loss = np.full(len(params), np.nan), np.full(len(params), np.nan)
        N[known], loss[known] = least_loss(fit.bound, params[known], budget)
        return f"compute-optimal at C = {budget:.3g}", {"N": N, "loss": loss}
    # At the row itself, which knows its stretches of inner tables.
    present = fit.counted()
    row = _largest_row(present)
    with np.errstate(all="ignore"):
        loss = present.problem.predict(params, slice(row, row + 1))[:, 0]
    return "prediction of the largest run", {"loss": np.asarray(loss)}
