"""The same law under every combination of choices that a report would call defensible.

Objective, cut-offs and the definition of N are chosen by somebody, and the decision may hang on them. A multiverse
makes every choice and shows what becomes of the decision (Steegen et al. 2016). What the decision is,
`isoloss.diagnostics` says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from isoloss.errors import DataError, FitError, LawError, OptionError, serious
from isoloss.fit.object import Fit, fit
from isoloss.objective import Huber, resolve
from isoloss.plan.decisions import decision, shown
from isoloss.runs.table import make_frame

if TYPE_CHECKING:
    from isoloss.engine.problem import F64
    from isoloss.errors import Notice
    from isoloss.objective.base import Objective
    from isoloss.runs.reading import Runs

__all__ = ["Multiverse", "multiverse"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Multiverse:
    """The same law under every combination of choices.

    Attributes
    ----------
    choices : mapping of str to tuple of str
        The value of each choice, fit by fit.
    params : (k, p) float64
        NaN where the fit failed.
    names : tuple of str
    quantities : mapping of str to (k,) float64
        The decision of each.
    status : tuple of str
    question : str
    frame : str
    warnings : tuple of Notice
        What makes the fit doubtful whose choices were varied.
    """

    choices: Mapping[str, tuple[str, ...]]
    params: F64
    names: tuple[str, ...]
    quantities: Mapping[str, F64]
    status: tuple[str, ...]
    question: str
    frame: str
    warnings: tuple[Notice, ...] = ()

    def __len__(self) -> int:
        return len(self.status)

    @property
    def table(self) -> Any:
        """A row for each fit."""
        columns: dict[str, Any] = {name: np.array(values) for name, values in self.choices.items()}
        columns |= dict(self.quantities)
        columns |= {name: self.params[:, j] for j, name in enumerate(self.names)}
        columns["status"] = np.array(self.status)
        return make_frame(columns, self.frame)

    def spread(self) -> dict[str, dict[str, float]]:
        """By quantity and choice: the largest over the smallest geometric mean among the choice's values."""
        found: dict[str, dict[str, float]] = {}
        for quantity, values in self.quantities.items():
            found[quantity] = {}
            for name, taken in self.choices.items():
                means = []
                for one in dict.fromkeys(taken):
                    here = values[np.array([value == one for value in taken])]
                    here = here[np.isfinite(here)]
                    if len(here):
                        means.append(float(np.mean(np.log(here))))
                found[quantity][name] = math.exp(max(means) - min(means)) if means else math.nan
        return found

    def __str__(self) -> str:
        lines = [f"{len(self)} fits, {self.question}"]
        for quantity, values in self.quantities.items():
            known = values[np.isfinite(values)]
            if len(known) == 0:
                continue
            low, middle, high = (shown(quantity, float(q)) for q in np.quantile(known, [0.0, 0.5, 1.0]))
            lines.append(f"{quantity}: {low} .. {high}, median {middle}")
            moved = sorted(self.spread()[quantity].items(), key=lambda pair: -pair[1])
            told = [f"{name} ({_factor(factor)})" for name, factor in moved if factor > 1.0005]
            lines.append(f"  moved most by {', '.join(told)}" if told else "  moved by none of the choices")
        counts = Counter(word for word in self.status if word != "converged")
        if counts:
            why = ", ".join(f"{word} {count}" for word, count in counts.most_common())
            lines.append(f"{counts.total()} gave no answer ({why})")
        return "\n".join([*lines, *map(str, self.warnings)])

    def __repr__(self) -> str:
        return f"Multiverse({len(self)} fits over {', '.join(self.choices)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


def _factor(factor: float) -> str:
    """How far apart the answers of a choice lie: in per cent, or as a factor where that is more than two."""
    return f"factor {factor:.3g}" if factor >= 2.0 else f"{100.0 * (factor - 1.0):.2g} %"


def multiverse(
    made: Fit,
    *,
    objectives: Sequence[str | Objective] = (Huber(1e-3), Huber(1e-2), "squared_log", "absolute_log"),
    smallest: Sequence[float] = (0.0, 0.1, 0.25),
    worst: Sequence[int] = (0, 5),
    N: Mapping[str, ArrayLike] | None = None,
    n_threads: int | None = None,
) -> Multiverse:
    """Fit the same law under every combination of defensible choices.

    Parameters
    ----------
    made : Fit
    objectives : sequence of str or Objective
    smallest : sequence of float
        Shares of the runs of least compute that are cut off; 0 cuts nothing.
    worst : sequence of int
        Numbers of runs of highest loss that are cut off.
    N : mapping of str to (n,) array_like, optional
        Other counts of the same models' parameters, such as ``{"non-embedding": ...}``; D stays as it is.
    n_threads : int, optional

    Returns
    -------
    Multiverse

    Raises
    ------
    OptionError
        Code ``option``: a share or a number out of its range, or a count of another length.

    Examples
    --------
    >>> import isoloss as iso
    >>> made = iso.fit("chinchilla", iso.simulate.sweep(settings=1, seed=0))
    >>> found = iso.multiverse(made, objectives=["huber_log", "squared_log"], smallest=[0, 0.2], worst=[0])
    >>> len(found), sorted(found.choices)
    (4, ['N', 'objective', 'smallest', 'worst'])
    """
    present, given = made.problem.present, made.runs
    made = made.counted()
    runs, weights = made.runs, made.settings.weights
    for share in smallest:
        if not 0.0 <= share < 1.0:
            message = f"smallest={share!r} is not a share from 0 to below 1"
            raise OptionError(message, argument="smallest")
    for number in worst:
        if not 0 <= number < runs.n:
            message = f"worst={number!r} is not a number of runs from 0 to {runs.n - 1}"
            raise OptionError(message, argument="worst")
    counts = {"as read": runs}
    for name, values in (N or {}).items():
        counts[name] = _recounted(runs, _sizes(given, name, values)[present])
    key = "C" if "C" in runs.columns else made.law.variables[0]
    order = np.argsort(np.argsort(runs.columns[key], kind="stable"), kind="stable")
    rank = np.argsort(np.argsort(-runs.columns["loss"], kind="stable"), kind="stable")
    taken: dict[str, list[str]] = {"objective": [], "smallest": [], "worst": [], "N": []}
    found: list[F64] = []
    status: list[str] = []
    for objective in objectives:
        for share in smallest:
            for number in worst:
                keep = (order >= int(share * runs.n)) & (rank >= number)
                for name, counted in counts.items():
                    options: dict[str, Any] = {"seed": made.settings.seed, "n_threads": n_threads}
                    options["weights"] = None if weights is None else weights[keep]
                    one, told = _attempt(made, counted.where(keep), objective, options)
                    found.append(one)
                    status.append(told)
                    words = (resolve(objective).describe(), f"{100 * share:g} %", str(number), name)
                    for choice, word in zip(taken, words, strict=True):
                        taken[choice].append(word)
    params = np.array(found)
    question, quantities = decision(made, params)
    return Multiverse(
        choices={name: tuple(values) for name, values in taken.items()},
        params=params,
        names=made.names,
        quantities=quantities,
        status=tuple(status),
        question=question,
        frame=runs.frame,
        warnings=serious(made.warnings),
    )


def _sizes(runs: Runs, name: str, values: ArrayLike) -> F64:
    """(n,) another count of parameters for each run that was given, checked."""
    other = np.asarray(values, dtype=np.float64)
    if "N" not in runs.columns or other.shape != (runs.n,) or not np.all(np.isfinite(other) & (other > 0.0)):
        message = f"N[{name!r}] is not a count above zero for each of the {runs.n} runs"
        raise OptionError(message, argument="N")
    return other


def _recounted(runs: Runs, values: F64) -> Runs:
    """The runs with another count of parameters."""
    return replace(runs, columns={**runs.columns, "N": np.ascontiguousarray(values)})


def _attempt(made: Fit, runs: Runs, objective: str | Objective, options: Mapping[str, Any]) -> tuple[F64, str]:
    """Parameters and status of one fit; NaN where it is refused or does not converge."""
    nothing = np.full(len(made.names), np.nan)
    try:
        one = fit(
            made.law,
            runs,
            objective=objective,
            fix=made.settings.fix,
            tie=made.settings.tie,
            bounds=made.settings.bounds,
            **options,
        )
    except (DataError, FitError, LawError) as error:
        return nothing, str(error.code)
    return (one.vector, "converged") if one.success else (nothing, one.status.name.lower())
