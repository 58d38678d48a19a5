"""The page about a fit: its data, what was found and how sure it is, what it predicts, and what it hangs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from isoloss import diagnostics, plot
from isoloss.checks import level_between
from isoloss.config import made_by
from isoloss.curves.fit import CurveFit
from isoloss.errors import IsolossError, MissingExtraError, without_repeats
from isoloss.plan.decisions import largest
from isoloss.report import page
from isoloss.report.answers import checklist
from isoloss.report.holdout import Holdout, holdout
from isoloss.units import format_number, format_si
from isoloss.writing import write_whole

if TYPE_CHECKING:
    from os import PathLike

    from isoloss.errors import Notice
    from isoloss.fit.object import Fit

__all__ = ["write_report"]

_AHEAD = (1.0, 10.0, 100.0)  # times the compute of the largest run, to plan for


def write_report(fit: Fit, path: str | PathLike[str], *, level: float, n_threads: int | None) -> None:
    """Write the page; see `isoloss.Fit.report`."""
    level_between(level)
    held, refused = _held_out(fit, n_threads)
    parts = [
        *_head(fit),
        *_data(fit),
        page.section("Fit"),
        page.code(fit.summary(level=level)),
        page.notices(_untold(fit, fit.warnings)),
        *_figures(fit),
        *_bands(fit, level),
        page.section("Held-out runs"),
        *_holdout(held, refused),
        page.section("What the fit hangs on"),
        *_influence(fit, n_threads),
        page.section("Reporting checklist"),
        *_checklist(fit, None if held is None else str(held)),
        page.section("Versions and hashes"),
        *_provenance(fit),
    ]
    write_whole(path, page.page(f"Fit of {fit.law.name}", parts))


def _head(fit: Fit) -> Iterator[str]:
    values = ", ".join(f"{name} {format_number(value, 5)}" for name, value in fit.params.items())
    yield page.text(f"{fit.law.target} = {fit.law.expr}")
    yield page.answer(values)


def _data(fit: Fit) -> Iterator[str]:
    yield page.section("Data")
    if isinstance(fit, CurveFit):
        yield page.code(str(fit.curves))
        return
    yield page.code(str(fit.runs))
    checked = fit.runs.check()
    yield page.text(str(checked).split("\n", maxsplit=1)[0])
    yield page.notices(_untold(fit, checked.warnings))


def _untold(fit: Fit, found: Iterable[Notice]) -> tuple[Notice, ...]:
    """Of some notices those that the text of the runs, at the head of the page, does not tell."""
    told = () if isinstance(fit, CurveFit) else without_repeats(fit.runs.warnings)
    return without_repeats(told, found)[len(told) :]


def _figures(fit: Fit) -> Iterator[str]:
    yield page.section("Figures")
    figures: list[tuple[str, Any]] = [
        ("residuals", lambda: plot.residuals(fit, against=_axis(fit), ax=plot.free_figure(*plot.PANEL).subplots()))
    ]
    if set(fit.law.variables) == {"N", "D"}:
        figures.insert(0, ("loss against compute, and contours", lambda: plot.overview(fit)[0]))
    for name, draw in figures:
        try:
            yield page.picture(draw().figure, name)
        except MissingExtraError:
            raise
        except IsolossError as error:
            yield page.text(f"No figure of {name}: {error}")


def _axis(fit: Fit) -> str:
    """The column that residuals are drawn against: compute, else the first that is above zero."""
    runs = fit.runs
    names = ["C", *fit.law.variables, *runs.names]
    return next((name for name in names if name in runs and bool(np.all(runs[name] > 0.0))), names[1])


def _bands(fit: Fit, level: float) -> Iterator[str]:
    yield page.section("Predictions")
    if isinstance(fit, CurveFit) or fit.law.inner:
        yield page.text("This law predicts along a schedule or an inner table: fit.predict(...) takes one.")
        return
    at = largest(fit)
    where = ", ".join(f"{name} {format_si(value, 3)}" for name, value in at.items())
    if fit.draws is None:
        yield page.text(f"At the largest run ({where}) the law gives {float(fit.bound(**at)):.4g}.")
        yield page.text(
            "No draws are attached, so there are no bands: attach them with fit.with_draws(fit.bootstrap())."
        )
    else:
        share = f"{100.0 * level:g} %"
        try:
            given: dict[str, Any] = dict(at)
            law, new = (fit.draws.predict(level=level, kind=kind, **given) for kind in ("mean", "new-run"))
            rows = [("the law", str(law)), ("a new run", str(new))]
            yield page.table((f"at the largest run ({where})", f"loss, {share}"), rows)
            yield page.notices(law.warnings)
        except IsolossError as error:
            yield page.text(f"No band at the largest run ({where}): {error}")
    if set(fit.law.variables) == {"N", "D"} and "C" in fit.ranges:
        budgets = [ahead * fit.ranges["C"][1] for ahead in _AHEAD]
        yield page.text(
            "Compute-optimal sizes at the compute of the largest run, and at ten and a hundred times as much:"
        )
        try:
            plan = fit.allocate(budgets, level=level)
        except IsolossError as error:
            yield page.text(str(error))
        else:
            yield page.code(str(plan))


def _held_out(fit: Fit, n_threads: int | None) -> tuple[Holdout | None, str]:
    """The rollout, or why there is none."""
    if isinstance(fit, CurveFit):
        return None, "A fit of loss curves is tested on whole curves: fit.holdout(curves)."
    try:
        return holdout(fit, n_threads=n_threads), ""
    except IsolossError as error:
        return None, f"No rollout: {error}"


def _holdout(held: Holdout | None, refused: str) -> Iterator[str]:
    if held is None:
        yield page.text(refused)
        return
    yield page.text(f"{held}.")
    head = ("fitted", "runs", "held out", "next rung", "all larger", "bias", "nearest run", "note")
    yield page.table(head, held.rows)


def _influence(fit: Fit, n_threads: int | None) -> Iterator[str]:
    if isinstance(fit, CurveFit):
        yield page.text("Influence is looked for among runs, not among the points of loss curves.")
        return
    for ask in (lambda: diagnostics.influence(fit, n_threads=n_threads), lambda: diagnostics.outliers(fit)):
        try:
            yield page.code(str(ask()))
        except IsolossError as error:
            yield page.text(str(error))


def _checklist(fit: Fit, validation: str | None) -> Iterator[str]:
    made = checklist(fit, validation=validation)
    yield page.text(made.tally)
    for part, items in groupby(made.items, key=lambda item: item.section):
        yield page.section(part, level=3)
        yield page.items((item.question, item.said, "" if item.answer is not None else "open") for item in items)


def _provenance(fit: Fit) -> Iterator[str]:
    source = fit.runs.source
    settings = f"seed {fit.settings.seed}" + ("" if fit.draws is None else f", draws with seed {fit.draws.seed}")
    yield page.items(
        [
            ("fitted with", _versions(fit.made_by), ""),
            ("page made with", _versions(made_by()), ""),
            ("seeds", settings, ""),
            ("data", f"{source.description}, {source.rows:,} rows", ""),
            ("SHA-256 of the columns in use", source.sha256, ""),
        ]
    )


def _versions(found: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items()) or "not stored"
