"""The printed summary of a fit: what went in, what came out, and what to distrust. Private."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from isoloss.engine.starts import describe
from isoloss.errors import without_repeats
from isoloss.fit.judgement import CORRELATED, NEAR, strong_correlations
from isoloss.objective.base import AUTO
from isoloss.units import format_number, format_range

if TYPE_CHECKING:
    from isoloss.fit.data import FitData
    from isoloss.fit.object import Fit

__all__ = ["quality", "summarise"]

_LABEL = 13


def summarise(fit: Fit, *, level: float, width: int) -> str:
    """The summary as text of at most `width` columns; see `isoloss.fit.object.Fit.summary`."""
    name = fit.law.name
    equation = f"{fit.law.target} = {fit.law.expr}"
    title = equation if name == fit.law.expr else f"{name}: {equation}"
    blocks = [
        [title],
        _entries(_head(fit), width),
        _parameter_table(fit, level),
        _entries(_judgement(fit), width),
        _notices(fit, width),
    ]
    rule = "-" * min(width, 80)
    return f"\n{rule}\n".join("\n".join(block) for block in blocks if block)


def _entries(entries: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Labelled lines, wrapped under their text."""
    lines: list[str] = []
    for label, text in entries:
        head = f"{label:<{_LABEL}}"
        lines += textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * _LABEL) or [head]
    return lines


def _head(fit: Fit) -> list[tuple[str, str]]:
    runs = fit.runs
    groups = "" if runs.group is None else f" in {len(runs.group_labels)} groups"
    absent = runs.n - fit.n
    weightless = f", {absent} more of weight zero" if absent else ""
    entries = [("data", f"{fit.n} runs{groups}{weightless}, from {runs.source.description}")]
    counted = fit.counted().runs
    ranges = [
        f"{name} {format_range(name, float(counted[name].min()), float(counted[name].max()))}"
        for name in (*fit.law.variables, "loss")
    ]
    entries.append(("", ", ".join(ranges)))
    dropped = "; ".join(str(item) for item in runs.dropped) if runs.dropped else "none"
    entries.append(("dropped", dropped))
    entries.append(("objective", f"{fit.objective.describe()} = {format_number(fit.value, 10)}"))
    if fit.settings.objective.delta == AUTO:
        entries.append(("", "delta auto: 1.345 times the robust sigma of the residuals"))
    entries.append(("fit quality", quality(fit)))
    return entries


def quality(fit: FitData) -> str:
    """Size of the residuals in the space of the objective, in units one can judge."""
    size = np.abs(fit.residuals)
    if fit.problem.weights is not None:
        size = size[fit.problem.weights > 0.0]
    scale, unit = {"log": (100.0, " %"), "raw": (1.0, ""), "logit": (1.0, "")}[fit.objective.space]
    parts = [("median", np.median(size)), ("rms", np.sqrt(np.mean(size**2))), ("largest", size.max())]
    return "residuals: " + ", ".join(f"{label} {format_number(scale * float(x), 3)}{unit}" for label, x in parts)


def _parameter_table(fit: Fit, level: float) -> list[str]:
    header = ["parameter", "estimate", "std error"]
    draws = fit.draws
    intervals = {} if draws is None else draws.conf_int(level)
    if draws is not None:
        word = "interval" if draws.calibrated(level) else "of draws"
        header.append(f"{100 * level:g} % bootstrap {word}")
    header.append("")
    rows = [header]
    for name in fit.names:
        row = [name, format_number(fit.params[name], 6), _error(fit, name)]
        if name in intervals:
            row.append("[" + ", ".join(format_number(x, 4) for x in intervals[name]) + "]")
        row.append(_remark(fit, name))
        rows.append(row)
    lines = _aligned(rows)
    if draws is not None:
        left_out = f", {draws.failed:,} failed and left out" if draws.failed else ""
        made = f"{len(draws):,} {draws.method} draws by {draws.by}{left_out}"
        lines += (
            [f"{draws.describe_interval(level)},", made]
            if not draws.calibrated(level)
            else [f"{draws.describe_interval(level)}, {made}"]
        )
    return lines


def _error(fit: Fit, name: str) -> str:
    parameters = fit.problem.parameters
    if parameters.fixed[fit.names.index(name)]:
        return "-"
    error = fit.stderr[name]
    return format_number(error, 3) if np.isfinite(error) else "-"


def _remark(fit: Fit, name: str) -> str:
    """Why a parameter has no error of its own."""
    parameters = fit.problem.parameters
    j = fit.names.index(name)
    root = int(parameters.tied[j])
    if root != j:
        return f"= {fit.names[root]}"
    if parameters.fixed[j]:
        return "fixed"
    if name in fit.at_bound:
        return "at its upper bound" if fit.at_bound[name] > 0 else "at its lower bound"
    return ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns: names left, numbers right, the remark left."""
    last = len(rows[0]) - 1
    widths = [max(len(row[k]) for row in rows) for k in range(last + 1)]
    return [
        "  ".join(
            f"{cell:<{widths[k]}}" if k in (0, last) else f"{cell:>{widths[k]}}" for k, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _judgement(fit: Fit) -> list[tuple[str, str]]:
    entries = []
    if fit.cov is None:
        entries.append(("std errors", f"none: {fit.cov_reason}"))
        entries.append(("correlated", "not known without a covariance"))
    else:
        note = f" ({fit.covariance.note})" if fit.covariance.note else ""
        entries.append(("std errors", fit.covariance.kind + note))
        pairs = strong_correlations(fit.problem.parameters, fit.covariance)
        shown = ", ".join(f"{a}, {b} {rho:+.4f}" for a, b, rho in pairs)
        entries.append(("correlated", shown or f"no pair above {CORRELATED}"))
    if fit.success and (sloppy := fit.sloppiness) is not None:
        entries.append(("condition", str(sloppy)))
    hit = ", ".join(f"{name} {'upper' if side > 0 else 'lower'}" for name, side in fit.at_bound.items())
    entries.append(("bounds hit", hit or "none"))
    entries.append(("basins", f"{fit.basins} ({describe(fit.settings.starts)})"))
    if fit.basins.level and fit.basins.ranges:
        entries.append(("", f"starts at the best ended at {fit.basins.ended}"))
    if fit.basins.gap is not None and fit.basins.gap < NEAR:
        made = fit.decisions()
        losses = made.quantities["loss"]
        entries.append(("", f"{made.question}: {losses[0]:.4g} at the best, {losses[1]:.4g} at the runner-up"))
    if fit.basins.challengers:
        entries.append(("challenged", fit.basins.challenge))
    # The messages of failures begin with what failed; capitals make it hard to miss.
    message = fit.status.message
    if not fit.success:
        head, colon, rest = message.partition(":")
        message = head.upper() + colon + rest
    entries.append(("status", f"{message} ({fit.seconds:.2g} s)"))
    return entries


def _notices(fit: Fit, width: int) -> list[str]:
    """What is not already said above."""
    said = {"correlated-parameters", "at-bound", "covariance-unavailable", "rows-dropped"}
    lines: list[str] = []
    draws = () if fit.draws is None else fit.draws.warnings
    for notice in without_repeats(fit.warnings, draws):
        if notice.code not in said:
            lines += textwrap.wrap(str(notice), width, subsequent_indent="  ")
    return lines
