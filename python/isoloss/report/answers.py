"""What a fit knows of its checklist: each question, with the answer that the fit's own record gives, or none.

Nothing is guessed. A column that is named ``val_loss`` says what the column is called, not on which text the loss was
measured; so the question stays open, and the column's name is told as what is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from isoloss.curves.fit import CurveFit
from isoloss.engine.starts import describe
from isoloss.errors import without_repeats
from isoloss.fit.summary import quality
from isoloss.objective.base import AUTO
from isoloss.report.checklist import Checklist, Item
from isoloss.runs.checkpoints import looks_like_checkpoints
from isoloss.runs.object import BLOCK
from isoloss.units import FORMULAS, ROLES, format_number, format_range

if TYPE_CHECKING:
    from isoloss.fit.data import FitData

__all__ = ["checklist"]


def checklist(fit: FitData, *, validation: str | None = None) -> Checklist:
    """The checklist of a fit; see `isoloss.Fit.checklist`.

    Parameters
    ----------
    fit : Fit
    validation : str, optional
        What a test on held-out runs gave, where one was made.
    """
    parts = (_hypothesis, _setup, _data, partial(_fitting, validation=validation), _repeating)
    return Checklist(items=tuple(item for part in parts for item in part(fit)))


def _hypothesis(fit: FitData) -> Iterator[Item]:
    item = partial(Item, section="Hypothesis")
    law = fit.law
    form = f"{law.target} = {law.expr}"
    yield item(
        key="form",
        question="What is the form of the law?",
        answer=form if law.name == law.expr else f"{form} ({law.name})",
    )
    yield item(
        key="variables",
        question="Which variables does it relate, and in which units?",
        answer=", ".join(f"{name}{_unit(fit, name)}" for name in law.variables),
    )
    own = fit.problem.parameters
    free = [name for name, estimated in zip(own.names, own.free, strict=True) if estimated]
    parts = [f"{len(free)} ({', '.join(free)})"]
    parts += [f"{name} fixed at {value:g}" for name, value in fit.settings.fix.items()]
    parts += [f"{name} equal to {other}" for name, other in fit.settings.tie.items()]
    yield item(key="parameters", question="How many parameters are estimated?", answer="; ".join(parts))
    yield item(
        key="origin",
        question="Where does the form come from?",
        answer=None if law.source is None else str(law.source),
    )
    yield item(
        key="purpose",
        question="What is the law for: predicting a loss, dividing compute, comparing recipes?",
        answer=None,
    )


def _setup(fit: FitData) -> Iterator[Item]:
    item = partial(Item, section="Training set-up")
    runs = fit.counted().runs
    if isinstance(fit, CurveFit):
        models: str | None = f"{len(fit.curves):,} training runs"
    elif runs.group is not None:
        models = f"{len(runs.group_labels):,} groups, by the column {runs.column_of.get('group', 'group')!r}"
    else:
        models = None
    yield item(
        key="models",
        question="How many models were trained?",
        answer=models,
        known="" if models else f"{runs.n:,} rows, which name no run",
    )
    spans = [f"{name} {format_range(name, low, high)}" for name, (low, high) in fit.ranges.items()]
    if {"N", "D"} <= set(fit.ranges):
        ratio = runs["D"] / runs["N"]
        spans.append(f"D/N {format_range('', float(ratio.min()), float(ratio.max()))}")
    yield item(
        key="range",
        question="Over which sizes, tokens and compute?",
        answer=", ".join(spans) or None,
    )
    yield item(
        key="n_counts",
        question="What does N count: are the embeddings in it?",
        answer=runs.n_counts or None,
        known=_column(fit, "N"),
    )
    derived = runs.column_of.get("C") == FORMULAS["C"] and FORMULAS["C"] not in runs.source.names
    yield item(
        key="flops",
        question="How was compute counted?",
        answer=f"C = {FORMULAS['C']}" if derived else None,
        known="" if derived else _column(fit, "C"),
    )
    yield item(
        key="architecture",
        question="Which architecture, and how do width, depth and heads grow with N?",
        answer=None,
    )
    yield item(
        key="corpus",
        question="Which corpus, tokenizer and mixture were trained on, and were tokens repeated?",
        answer=None,
        known=_column(fit, "U"),
    )
    tuned = [_column(fit, name) for name in ("lr", "batch")]
    yield item(
        key="hyperparameters",
        question="Which optimiser, learning rates, schedules and batch sizes, and were they tuned at every scale?",
        answer=None,
        known=", ".join(part for part in tuned if part),
    )
    yield item(
        key="released",
        question="Are training code, checkpoints and losses published?",
        answer=None,
    )


def _data(fit: FitData) -> Iterator[Item]:
    item = partial(Item, section="Data collection")
    runs = fit.runs
    absent = runs.n - fit.n
    yield item(
        key="points",
        question="How many points are fitted?",
        answer=f"{fit.n:,}" + (f", and {absent:,} more of weight zero" if absent else ""),
    )
    answer, known = _checkpoints(fit)
    yield item(
        key="checkpoints",
        question="Are the points final losses, or checkpoints within a run?",
        answer=answer,
        known=known,
    )
    yield item(
        key="metric",
        question="Which loss or other metric, and on which held-out data?",
        answer=None,
        known=_column(fit, "loss"),
    )
    yield item(
        key="dropped",
        question="Which runs were left out, and why?",
        answer="; ".join(map(str, runs.dropped)) or "none of those that were read",
    )
    yield item(
        key="modified",
        question="Were losses smoothed, interpolated or changed otherwise before the fit?",
        answer=None,
    )
    weights = []
    if "weight" in runs.columns:
        weights.append(_column(fit, "weight"))
    if fit.settings.weights is not None:
        weights.append("weights given to the fit, which are stored with it")
    if fit.objective.kind == "binomial" and "trials" in runs.columns:
        weights.append(_column(fit, "trials"))
    yield item(
        key="weights",
        question="Do all points count the same?",
        answer="; ".join(weights) if weights else "yes",
    )


def _fitting(fit: FitData, *, validation: str | None) -> Iterator[Item]:
    item = partial(Item, section="Fitting")
    auto = fit.settings.objective.delta == AUTO
    yield item(
        key="objective",
        question="Which objective is minimised?",
        answer=fit.objective.describe() + (", delta from the residuals (auto)" if auto else ""),
    )
    yield item(
        key="optimiser",
        question="With which optimiser, and did it converge?",
        answer=f"damped Newton steps with exact second derivatives, positive parameters in logarithms; "
        f"{fit.status.message}",
    )
    yield item(
        key="starts",
        question="From which starting points?",
        answer=f"{describe(fit.settings.starts)}, seed {fit.settings.seed}: {fit.basins}",
    )
    yield item(key="bounds", question="Within which bounds?", answer=_bounds(fit))
    yield item(key="quality", question="How well does the law fit the points?", answer=quality(fit))
    yield item(
        key="uncertainty",
        question="How sure are the estimates, and how was that found?",
        answer=_uncertainty(fit),
    )
    yield item(
        key="validation",
        question="Was the law tested on runs it was not fitted to?",
        answer=validation,
    )
    notices = without_repeats(fit.warnings, () if fit.draws is None else fit.draws.warnings)
    doubts = [notice for notice in notices if notice.severity != "info"]
    yield item(
        key="doubts",
        question="What speaks against the fit?",
        answer="; ".join(notice.message for notice in doubts) or "nothing was noticed",
    )


def _repeating(fit: FitData) -> Iterator[Item]:
    item = partial(Item, section="Repeating it")
    source = fit.runs.source
    yield item(
        key="data",
        question="Which data exactly?",
        answer=f"{source.description}, {source.rows:,} rows; SHA-256 of the columns in use {source.sha256}",
    )
    versions = ", ".join(f"{name} {version}" for name, version in fit.made_by.items())
    yield item(
        key="versions",
        question="Which software?",
        answer=versions or None,
    )
    seeds = [f"fit {fit.settings.seed}"] + ([] if fit.draws is None else [f"draws {fit.draws.seed}"])
    yield item(
        key="seeds",
        question="Which seeds?",
        answer=", ".join(seeds),
    )


def _unit(fit: FitData, name: str) -> str:
    unit = fit.law.units.get(name) or (ROLES[name].unit if name in ROLES else "")
    return f" [{unit}]" if unit and unit != "1" else ""


def _column(fit: FitData, role: str) -> str:
    """Where a role came from and what it spans; empty where the runs lack it."""
    runs = fit.runs
    if role not in runs:
        return ""
    span = format_range(role, float(runs[role].min()), float(runs[role].max()))
    return f"{role} from the column {runs.column_of.get(role, role)!r}, {span}"


def _checkpoints(fit: FitData) -> tuple[str | None, str]:
    """What the rows say of checkpoints: an answer where they do, else what is known."""
    if isinstance(fit, CurveFit):
        return f"{fit.runs.n:,} points along {len(fit.curves):,} loss curves", ""
    runs = fit.counted().runs
    if runs.group is not None and len(runs.group_labels) < runs.n:
        return None, f"{runs.n:,} rows in {len(runs.group_labels):,} groups"
    found = looks_like_checkpoints(runs)
    if found is not None:
        return None, f"{found.rows:,} rows look like checkpoints of {found.runs:,} runs ({found.why})"
    return None, "nothing in the rows looks like checkpoints"


def _bounds(fit: FitData) -> str:
    own = fit.problem.parameters
    parts = []
    for name, positive, low, high in zip(own.names, own.positive, own.lower, own.upper, strict=True):
        if not np.isfinite(high):
            if positive and low <= 0.0:
                parts.append(f"{name} > 0")
            elif np.isfinite(low):
                parts.append(f"{name} >= {format_number(float(low), 4)}")
        elif np.isfinite(low):
            parts.append(f"{name} in [{low:.4g}, {high:.4g}]")
        else:
            parts.append(f"{name} <= {high:.4g}")
    hit = [f"{name} at its {'upper' if side > 0 else 'lower'} bound" for name, side in fit.at_bound.items()]
    return "; ".join([", ".join(parts) or "none", *hit])


def _uncertainty(fit: FitData) -> str | None:
    draws = fit.draws
    if draws is not None:
        what = {"row": "runs", BLOCK: "stretches of the curves"}.get(draws.by, f"units, by {draws.by}")
        lost = f", {draws.failed:,} failed and left out" if draws.failed else ""
        ends = "; ".join(
            f"{name} [{format_number(low, 4)}, {format_number(high, 4)}]"
            for name, (low, high) in draws.conf_int().items()
        )
        kind = draws.describe_interval()
        return f"{len(draws):,} {draws.method} draws of {draws.units:,} {what}{lost}; 95 % {kind}: {ends}"
    if fit.cov is not None:
        errors = ", ".join(f"{name} {format_number(error, 3)}" for name, error in fit.stderr.items())
        return f"standard errors, {fit.covariance.kind}: {errors}"
    return None
