"""Exceptions, notices and the table of stable codes.

Everything that can go wrong carries a short ``code`` that never changes, so that a script or an agent can branch
on it, and a message that names the thing (column, row, value; law; option) for a person. Wrong input raises;
something worth knowing about a result that is otherwise usable is a `Notice` attached to that result.

The exceptions derive from the matching builtin as well, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "CODES",
    "DataError",
    "FitError",
    "IsolossError",
    "LawError",
    "MissingExtraError",
    "Notice",
    "OptionError",
    "OutOfMemoryError",
    "OutputError",
    "did_you_mean",
    "missing_extra",
    "out_of_memory",
    "serious",
    "without_repeats",
]

Severity = Literal["info", "warning", "serious"]

CODES: dict[str, str] = {
    # data
    "data-empty": "No rows are left; check the file, `where` and what was dropped.",
    "data-missing-column": "Name an existing column for the role, e.g. read(..., N='params').",
    "data-missing-role": "The law needs a variable these runs do not have; give its column to read().",
    "data-no-roles": "No column carries a role; say which are which, e.g. N='params', D='tokens'.",
    "data-duplicate-column": "Two columns share a name, or two roles share a column; make them distinct.",
    "data-nonnumeric": "Clean or remove the named cell; read(..., drop_invalid=True) leaves such rows out.",
    "data-nonfinite": "Fill or remove the named missing, NaN or infinite cell, or pass drop_invalid=True.",
    "data-nonpositive": "Counts, learning rates and losses in log space must be above zero.",
    "data-negative-weight": "Weights must be zero or above.",
    "data-shape": "Columns must be one-dimensional and of one length.",
    "data-batch-unit": "Say batch_unit='tokens', or 'sequences' together with seq_len.",
    "data-source": "Give a CSV or Parquet file, a pandas, polars or pyarrow table, or a dict of arrays.",
    "data-unreadable": "The file is missing, empty, or not what its name says.",
    "data-too-few-points": "Add runs, fix parameters, or choose a law with fewer of them.",
    "curve-steps": "Steps must be whole numbers and occur once in a run; tell runs apart with run=.",
    "curve-constant": "The named column must be the same over a run; tell runs apart with run=.",
    "curve-schedule": "Correct the schedule given for the run, or leave it out to take the logged learning rates.",
    "curve-start-assumed": "Say warmup= (0 for none): the learning rate before the first logged step is not known.",
    "curves-few": "Add runs, or take the interval as a rough guide: stretches of the curves were resampled.",
    "extrapolated-peak": "Fit to curves with this peak, or optimise for one that the law was fitted to.",
    "curve-zero-tail": "Cut off the steps of learning rate zero at the end of the schedule.",
    "data-inner": "Attach the inner table that the law sums over: runs.with_inner(k=isoloss.inner.Inner(...)).",
    "number-syntax": "Write numbers as 7e9, 7B or 1.4T.",
    "rows-dropped": "Rows were left out on request; see `dropped` for how many and why.",
    "column-not-taken": "Name the column if it matters; drop_invalid=True then leaves out the rows that lack it.",
    "repeats-disagree": "Read what else was varied as a column, or keep one kind of run with `where`.",
    "tuning-varies": "Keep the best run of each, as in runs.best('N', 'D'), or fit a law that knows what was varied.",
    "rows-duplicated": "Several runs share the same settings; consider grouping or averaging them.",
    "compute-not-6nd": "The compute column differs from 6ND; check what it counts.",
    "compute-contradictory": "Give two of N, D and C; the third follows by C = 6ND.",
    "compute-out-of-range": "Check N and D: their product is larger or smaller than a double can hold.",
    "counts-may-wrap": "Hold token counts in 64-bit integers or floats: 32 bits wrap around beyond 2.1e9.",
    "data-too-few-rungs": "Roll out by a column with more distinct values, or lower min_groups.",
    "dataset-unknown": "Use a name from isoloss.datasets.names().",
    "dataset-unreachable": "Check the network, or name a mirror in ISOLOSS_DATASETS_URL.",
    "dataset-checksum": "The file upstream or the download changed; try again, then report it.",
    # laws
    "law-unknown": "Use a name from isoloss.laws.names(), or pass the text of a law.",
    "rule-unknown": "Use a name from isoloss.rules.names().",
    "rule-domain": "Give the rule's input within the range that its card states.",
    "law-syntax": "Correct the expression at the marked position.",
    "law-unknown-name": "Use the names of the law's own variables and parameters.",
    "law-missing-name": "Give a value for every parameter and variable of the law.",
    "law-column": "List the names that are columns, as in isoloss.law(text, vars=['N', 'x']), or rename the column.",
    "law-target": "Read the quantity that the law gives as the loss: read(..., loss='its column').",
    "law-no-variables": "Say which names are columns of data, e.g. vars=['x'].",
    "law-bounds": "Give bounds as (low, high) with low < high, and 0 <= low for positive parameters.",
    "law-starts": "Give starts as lists of values by name, or as an array with one column per parameter.",
    "law-pivot": "A pivot takes 'geomean', 'median', 'min', 'max' or a number, and a variable of its name.",
    "law-name-taken": "Choose another name, or pass replace=True for a law of your own.",
    "law-published": "A published set must give each of the law's parameters once.",
    # options
    "objective-unknown": "Use an objective of isoloss.objective, or a text such as 'huber_log'.",
    "objective-delta": "delta='auto' is found by isoloss.fit from its data; elsewhere give delta as a number.",
    "option": "Check the named argument against the documentation of the function.",
    "missing-extra": "Install the optional dependency named in the message.",
    # hyper-parameters
    "unit-doubtful": "Check the unit of the named column; batch_unit='sequences' with seq_len gives tokens.",
    "settings-repeated": "Repeated settings tell the noise between seeds; they are fitted as runs of their own.",
    "runs-diverged": "Diverged runs are never fitted; diverged= of fit_hparams moves the limit.",
    "optimum-at-edge": "Extend the grid beyond the named end: the best setting may lie outside it.",
    "narrow-tokens-per-parameter": "Add runs at other ratios of tokens to parameters.",
    "cells-small": "Add runs to the named cells, or expect little from them.",
    "cell-not-convex": "Look at the landscape of the named cells; a wider grid or another seed may explain it.",
    "hparams-too-few-runs": "Sweep more cells, or learning rate and batch more finely near the best of each.",
    "hparams-too-many-cells": "Join sizes and token counts that nearly agree with tolerance=.",
    "hparams-active-n": "Read N as the total number of parameters of a mixture of experts.",
    "extrapolated": "Measure nearer to the target, or treat the interval as a lower limit of the uncertainty.",
    "scatter-unknown": "Sweep more cells of N and D; without them intervals are too narrow.",
    "plateau-below-noise": "Ask for a wider plateau, or count from the surface: reference='surface'.",
    "critical-batch-unreached": "Sweep larger batches, at more than one number of tokens.",
    # fits
    "fit-failed": "No start reached an optimum; look at `status`, widen the bounds or give other starts.",
    "fit-not-converged": "The best start stopped before meeting its convergence test; add starts or rescale.",
    "delta-not-settled": "delta='auto' found no fixed point; look at the basins, or give delta as a number.",
    "delta-at-floor": "The residuals vanish, so delta='auto' took the least width that can be told from rounding.",
    "few-starts-at-best": "Few starts reached the best optimum; add starts before trusting it.",
    "no-trials": "Name the column of trials behind each pass fraction (`trials=`), or give weights.",
    "rival-optimum": "A different optimum is nearly as good; report a profile rather than a point.",
    "not-identified": "Vary the settings that are the same in all runs, or fix or tie the named parameters.",
    "misfit": "Look at the residuals: rows of another kind, another unit, or a law of another form.",
    "gross-outlier": "Look the named rows up; leave out what diverged or was mistyped, with `where`.",
    "at-bound": "A parameter sits on its bound; its error bar does not apply there.",
    "correlated-parameters": "Parameters are nearly collinear; compare predictions rather than parameters.",
    "covariance-unavailable": "Use bootstrap(); the curvature at the optimum gives no error bars.",
    "interrupted": "What was finished is here and right; run again, or with fewer starts or draws, for the rest.",
    "data-no-replicates": "Give noise=, add repeated runs of the same settings, or use method='residual'.",
    "checkpoints-as-runs": "Name the run of each row with read(..., group=...); whole runs are then resampled.",
    "flat-ridge": "Report the open interval rather than the estimate; runs where the parameter matters would close it.",
    "no-likelihood": "Fit with squared or absolute errors, without groups, or use bootstrap().",
    "posterior-few-draws": "Ask for more draws, or for method='ensemble'.",
    "posterior-open": "Give a prior for the parameter, or report the open end.",
    "few-units": "Add runs, or fix or tie parameters; with so few units no interval can be trusted.",
    "no-noise": "Check that the losses are measured, not computed; of a mere design, method='seed-noise' takes noise=.",
    "few-draws": "Take more draws: 39 at the very least for 95 %, and a thousand for ends that another seed keeps.",
    "design-ray": "Add runs whose tokens per parameter differ; predictions along the ray are still good.",
    "recipes-too-few": "Give runs of two recipes or more, and name their column with by=.",
    "sharing-refuted": "Free the parameters with share=[], or add runs until each recipe tells its own.",
    "baseline-wins": "A baseline predicted better than every law; do not extrapolate with any of them.",
    "undercoverage": "Intervals of the best law held too few held-out runs; use the ensemble's.",
    "ensemble-empty": "Give more runs, or laws that can be fitted to the smallest of them, and draws above 0.",
    "laws-misfit": "Add laws; the widened intervals say how far off the present ones are.",
    "few-splits": "Roll out with more rungs, or add runs, so that enough held-out runs stand behind the calibration.",
    "draws-failed": "Some resamples did not converge; they are counted and left out of the intervals.",
    "allocation-unbounded": "The law has no interior optimum at this compute; do not plan with it.",
    "budget-too-small": "Raise the budget, which pays for no candidate or not for the tokens to be served.",
    "target-undetermined": "Ask for a target that the law has: a loss at a point, or a smaller compute.",
    "search-empty": "Loosen the condition, or widen the axes; `feasible` says which groups have cells that count.",
    "search-nonfinite": "Look at the law outside its range, or exclude the cells by a condition.",
    "search-edge": "Widen the axis unless its end is a bound of its own.",
    "search-unused-axis": "Leave the axis out, or see whether an expression should name one of its columns.",
    "file-unwritable": "Free space, or name another place; a file that stood there before is untouched.",
    "out-of-memory": "Ask for fewer fits, draws or cells at once; fit_many_chunks() streams fits.",
    "file-schema": "The file is truncated, altered or from another version; write it again.",
}
"""Every stable code and, in one line, what to do about it."""


class IsolossError(Exception):
    """Base of all errors raised on purpose by isoloss.

    Parameters
    ----------
    message : str
        What is wrong, naming the offending thing.
    code : str
        Stable kebab-case code, a key of `CODES`.
    **details
        The facts in the message, for programs (column, row, value, ...).

    Attributes
    ----------
    code : str
    details : dict

    Examples
    --------
    >>> from isoloss.errors import DataError
    >>> error = DataError("column 'N', row 3: -1.0 is not above zero", code="data-nonpositive", column="N", row=3)
    >>> error.code, error.details["row"]
    ('data-nonpositive', 3)
    """

    default_code = "option"

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.code = self.default_code if code is None else code
        self.details = details

    @property
    def advice(self) -> str:
        """One line on what to do, from `CODES`."""
        return CODES.get(self.code, "")


class DataError(IsolossError, ValueError):
    """The data are refused; the message names column, row and value."""

    default_code = "data-source"


class LawError(IsolossError, ValueError):
    """A law is unknown, malformed, or used with names it does not have."""

    default_code = "law-unknown-name"


class OptionError(IsolossError, ValueError):
    """An argument other than data or law is not understood."""

    default_code = "option"


class FitError(IsolossError, RuntimeError):
    """A single fit could not be made at all (in a batch this is a status instead)."""

    default_code = "fit-failed"


class MissingExtraError(IsolossError, ImportError):
    """An optional dependency is not installed."""

    default_code = "missing-extra"


class OutputError(IsolossError, OSError):
    """A result cannot be written; what stood in its place is untouched."""

    default_code = "file-unwritable"


class OutOfMemoryError(IsolossError, MemoryError):
    """A call asks for more than memory holds."""

    default_code = "out-of-memory"


@contextmanager
def out_of_memory(what: str) -> Iterator[None]:
    """Give a MemoryError of NumPy or of the core the code ``out-of-memory``; as a decorator too.

    Parameters
    ----------
    what : str
        The call, for the message.

    Examples
    --------
    >>> from isoloss.errors import out_of_memory
    >>> with out_of_memory("fit_many"):
    ...     raise MemoryError("Unable to allocate 8.00 EiB")
    Traceback (most recent call last):
    isoloss.errors.OutOfMemoryError: fit_many: Unable to allocate 8.00 EiB
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"{what}: {str(error) or 'memory is used up'}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something worth knowing about a result.

    Parameters
    ----------
    code : str
        Stable code, a key of `CODES`.
    severity : {"info", "warning", "serious"}
        ``serious`` means the result should not be used without acting on it.
    message : str
        For a person.
    details : dict
        For a program.

    Examples
    --------
    >>> from isoloss.errors import Notice
    >>> print(Notice(code="at-bound", severity="warning", message="alpha is at its upper bound 2"))
    warning [at-bound]: alpha is at its upper bound 2
    """

    code: str
    severity: Severity
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.severity} [{self.code}]: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(
            code=data["code"],
            severity=data["severity"],
            message=data["message"],
            details=dict(data.get("details", {})),
        )


def without_repeats(*found: Iterable[Notice]) -> tuple[Notice, ...]:
    """The notices of several results, each fact once.

    Parameters
    ----------
    *found : iterable of Notice
        Of one result after another; the first to tell a fact tells it.

    Examples
    --------
    >>> from isoloss.errors import Notice, without_repeats
    >>> told = Notice(code="few-units", severity="serious", message="5 runs for 5 parameters", details={"units": 5})
    >>> len(without_repeats([told], [told]))
    1
    """
    kept: list[Notice] = []
    for notice in (notice for notices in found for notice in notices):
        fact = (notice.code, notice.severity, notice.details)
        if not any(fact == (other.code, other.severity, other.details) for other in kept):
            kept.append(notice)
    return tuple(kept)


def serious(*found: Iterable[Notice]) -> tuple[Notice, ...]:
    """The serious ones among the notices of several results, without repeats: what rests on those carries them on.

    Parameters
    ----------
    *found : iterable of Notice

    Examples
    --------
    >>> from isoloss.errors import Notice, serious
    >>> told = Notice(code="design-ray", severity="serious", message="all runs lie on the ray D = 20 N")
    >>> aside = Notice(code="covariance-unavailable", severity="info", message="no covariance")
    >>> [notice.code for notice in serious([told, aside], [told])]
    ['design-ray']
    """
    return tuple(notice for notice in without_repeats(*found) if notice.severity == "serious")


def did_you_mean(name: str, candidates: Iterable[str], *, count: int = 3) -> str:
    """A clause naming the candidates nearest to `name`, or the empty string.

    Parameters
    ----------
    name : str
    candidates : iterable of str
    count : int
        At most so many names.

    Returns
    -------
    str
        For example ``"; did you mean 'params' or 'n_params'?"``.

    Examples
    --------
    >>> from isoloss.errors import did_you_mean
    >>> did_you_mean("chincilla", ["chinchilla", "kaplan"])
    "; did you mean 'chinchilla'?"
    """
    from difflib import get_close_matches

    by_folded: dict[str, str] = {}
    for candidate in candidates:
        by_folded.setdefault(candidate.casefold(), candidate)
    folded = str(name).casefold()  # what is no text is like no name
    matches = get_close_matches(folded, by_folded, n=count, cutoff=0.6)
    # A short name inside a long one ("params" in "params_non_embedding") scores low in difflib but is what is meant.
    if len(folded) >= 3:
        matches += [c for c in by_folded if (folded in c or (len(c) >= 3 and c in folded)) and c not in matches]
    if not matches:
        return ""
    return f"; did you mean {' or '.join(repr(by_folded[m]) for m in matches[:count])}?"


def missing_extra(name: str, extra: str) -> MissingExtraError:
    """The error to raise when an optional dependency is absent.

    Parameters
    ----------
    name : str
        The module that could not be imported.
    extra : str
        The extra of isoloss that brings it.

    Examples
    --------
    >>> from isoloss.errors import missing_extra
    >>> print(missing_extra("matplotlib", "plot"))
    this needs matplotlib, which is not installed: pip install 'isoloss[plot]'
    """
    return MissingExtraError(
        f"this needs {name}, which is not installed: pip install 'isoloss[{extra}]'",
        module=name,
        extra=extra,
    )
