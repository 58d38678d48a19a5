r"""What is to be known better: a compute-optimal size, a predicted loss, or a parameter.

A target is a function of the parameters of a law. Its gradient tells how errors of the parameters become errors of the
target (the delta method); for the compute-optimal size, which has no formula in general, it follows from optima at
parameters a little to either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss.checks import by_name
from isoloss.engine.problem import F64
from isoloss.errors import DataError, LawError, OptionError, did_you_mean
from isoloss.plan.allocation import further_variables
from isoloss.plan.flops import Flops, cost_of, describe_flops, flops_from, flops_to_plain
from isoloss.plan.optimum import Split, check_rising
from isoloss.units import FLOPS_PER_PARAMETER_TOKEN, complete_compute, format_number, format_si, parse_number

if TYPE_CHECKING:
    from isoloss.law.object import BoundLaw

__all__ = ["Target"]

_STEP = 1e-3  # relative step of parameters, for slopes
_KINDS = ("allocation", "loss", "parameter")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be known better; make one with `allocation`, `loss` or `parameter`.

    Attributes
    ----------
    kind : {"allocation", "loss", "parameter"}
    at : mapping of str to float
        Compute, or the point of the prediction, and further variables of the law.
    name : str
        Of a parameter.
    flops : "6ND", float, Transformer or callable
        How the compute of an allocation is counted.

    Examples
    --------
    >>> import isoloss as iso
    >>> print(
    ...     iso.Target.allocation(C=1e25), "|", iso.Target.loss(N="70B", D="1.4T"), "|", iso.Target.parameter("alpha")
    ... )
    compute-optimal N at C = 1e25 | loss at N = 70.0B, D = 1.40T | alpha
    """

    kind: str
    at: Mapping[str, float] = field(default_factory=dict)
    name: str = ""
    flops: Flops = "6ND"

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            message = f"kind={self.kind!r:.80} is no kind of target: {', '.join(_KINDS)}"
            raise OptionError(message, argument="kind")
        if self.kind == "parameter" and not isinstance(self.name, str):
            raise OptionError(f"name={self.name!r:.80} is not the name of a parameter", argument="name")
        if not by_name("at", self.at, "{'N': 7e10, 'D': 1.4e12}") and self.kind != "parameter":
            raise OptionError(f"a target of {self.kind} needs the point: Target.loss(N=..., D=...)", argument="at")
        cost_of(self.flops)

    @classmethod
    def allocation(cls, C: float | str, *, flops: Flops = "6ND", **further: float | str) -> Target:
        """The compute-optimal size: its logarithm. At 6ND that of the tokens is its mirror image.

        Parameters
        ----------
        C : float or text
            FLOPs.
        flops : "6ND", float, Transformer or callable
            How they are counted, as in `Fit.allocate`.
        **further
            Further variables of the law.

        Raises
        ------
        OptionError
            Code ``option``: `flops` is none of these.
        """
        return cls(kind="allocation", at=_numbers({"C": C, **further}), flops=flops)

    @classmethod
    def loss(cls, **at: float | str) -> Target:
        """The loss that the law predicts at a point.

        Parameters
        ----------
        **at
            The law's variables; N, D and C complete each other.
        """
        return cls(kind="loss", at=_numbers(at))

    @classmethod
    def parameter(cls, name: str) -> Target:
        """A parameter of the law; a positive one by its logarithm.

        Parameters
        ----------
        name : str
        """
        return cls(kind="parameter", name=name)

    def __str__(self) -> str:
        if self.kind == "parameter":
            return self.name
        shown = ", ".join(
            f"{name} = {format_si(value, 3) if name in ('N', 'D') else format_number(value, 3)}"
            for name, value in self.at.items()
        )
        if self.kind == "loss":
            return f"loss at {shown}"
        counted = describe_flops(self.flops)
        return f"compute-optimal N at {shown}{f' ({counted})' if counted else ''}"

    def factor(self, bound: BoundLaw) -> bool:
        """Whether the target is a logarithm, so that its errors are factors."""
        if self.kind == "parameter":
            return bound.law.parameters[self.name].positive
        return self.kind == "allocation"

    def check(self, bound: BoundLaw, n_counts: str = "") -> None:
        """Refuse what this law cannot answer.

        Parameters
        ----------
        bound : BoundLaw
        n_counts : str
            What N counts in the runs, where that is known.

        Raises
        ------
        LawError
            Codes ``law-missing-name``, ``law-unknown-name``.
        OptionError
            Code ``option``: FLOPs that count N otherwise than the runs, or fall with it.
        """
        law = bound.law
        if self.kind == "parameter":
            if self.name not in law.parameters:
                message = f"{self.name!r} is no parameter of {law.name!r}{did_you_mean(self.name, law.parameters)}"
                raise LawError(message, code="law-unknown-name", name=self.name)
        elif self.kind == "allocation":
            split = self._split(bound, n_counts)
            check_rising(split.cost, np.array([self.at["C"]]), split.rate)
        else:
            bound(**self.at)

    def values(self, bound: BoundLaw, params: F64) -> F64:
        """(m,) the target for parameters (m, p) of a law; NaN where there is no optimum inside of what is searched."""
        if self.kind == "parameter":
            column = params[:, list(bound.law.parameters).index(self.name)]
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(column) if self.factor(bound) else column.copy()
        if self.kind == "loss":
            expression = bound.law.core(bound.constants)
            at = complete_compute(dict(self.at))
            columns = [np.array([at[name]]) for name in expression.variables]
            with np.errstate(all="ignore"):
                return np.asarray(expression.evaluate(columns, np.ascontiguousarray(params))[:, 0])
        N, _, edge = self._split(bound).least(np.ascontiguousarray(params), np.array([self.at["C"]]))
        return np.where(edge[:, 0], np.nan, np.log(N[:, 0]))

    def _split(self, bound: BoundLaw, n_counts: str = "") -> Split:
        """How the compute of an allocation may be spent."""
        rate, cost = cost_of(self.flops, n_counts)
        others = further_variables(bound.law, {name: value for name, value in self.at.items() if name != "C"})
        return Split(bound=bound, rate=rate, others=others, cost=cost)

    def slopes(self, bound: BoundLaw, params: F64, selection: F64) -> F64:
        """(m, q) derivatives of the target by the free parameters.

        Parameters
        ----------
        params : (m, p) float64
        selection : (p, q) float64
            Column k carries the k-th free parameter and all that are tied to it.
        """
        m, p = params.shape
        q = selection.shape[1]
        root = np.argmax(selection, axis=0)
        step = _STEP * np.where(params[:, root] == 0.0, 1.0, np.abs(params[:, root]))
        moved = step[:, :, None] * selection.T[None, :, :]
        high, low = (
            self.values(bound, (params[:, None, :] + side * moved).reshape(m * q, p)).reshape(m, q)
            for side in (1.0, -1.0)
        )
        return (high - low) / (2.0 * step)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {"kind": self.kind, "at": dict(self.at), "name": self.name, "flops": flops_to_plain(self.flops)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Target:
        """Inverse of `to_dict`."""
        at, flops = _numbers(data["at"]), data.get("flops", FLOPS_PER_PARAMETER_TOKEN)
        return cls(kind=data["kind"], at=at, name=str(data["name"]), flops=flops_from(flops))


def _numbers(given: Mapping[str, float | str]) -> dict[str, float]:
    made = {name: parse_number(value, name) for name, value in given.items()}
    for name, value in made.items():
        if not np.isfinite(value) or (name in ("N", "D", "C") and value <= 0.0):
            raise DataError(f"{name}={given[name]!r} is not a number above zero", code="data-nonpositive", column=name)
    return made
