"""The commands that ask a saved fit: ``isoloss predict``, ``allocate`` and ``search``."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

import isoloss as iso
from isoloss.cli import _parse, _render
from isoloss.cli._app import NO_WORDS, REFUSED, Json, Words, app, bars, load_fit, print_json, refuse, verdict
from isoloss.cli._parse import UsageError
from isoloss.errors import serious, without_repeats
from isoloss.stats.bands import decades_beyond, describe_decades, extrapolated
from isoloss.units import complete_compute

__all__ = ["allocate", "predict", "search"]


@app.command
def predict(
    saved: Path,
    /,
    *,
    at: Words,
    level: float = 0.95,
    kind: Literal["mean", "new-run"] = "mean",
    json: Json = False,
) -> int:
    """Predict the loss of planned runs with a saved fit.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`.
    at
        Values of the law's variables, as N=70B,D=1.4T; repeat for more points.
    level
        Confidence level of the interval, when the fit was saved with bootstrap draws.
    kind
        Whether the interval is for the law itself, or for the loss of one new run.
    json
        Print the result as JSON and nothing else.
    """
    _parse.check_level(level)
    fitted = load_fit(saved)
    rows, notices = [], serious(fitted.warnings)
    for point in _parse.points(at):
        where: dict[str, Any] = dict(point)
        row: dict[str, Any] = {**point, "loss": float(fitted.predict(**where))}
        far = decades_beyond(fitted.ranges, complete_compute(where))
        notices = without_repeats(notices, extrapolated(far))
        if fitted.draws is not None:
            band = fitted.draws.predict(level=level, kind=kind, **where)
            row["interval"] = [band.low, band.high]
            notices = without_repeats(notices, band.warnings)
        if far:
            row["decades"] = far if json else describe_decades(far)
        rows.append(row)
    calibrated = None if fitted.draws is None else fitted.draws.calibrated(level)
    if json:
        head = {"command": "predict", "law": fitted.law.name, "level": level, "kind": kind, "calibrated": calibrated}
        print_json({**head, "predictions": rows, "warnings": [notice.to_dict() for notice in notices]})
    else:
        _render.predictions(rows, level, calibrated=calibrated is not False)
        for notice in notices:
            _render.line(str(notice))
    return verdict(fitted)


@app.command
def allocate(
    saved: Path,
    /,
    *,
    compute: Words,
    transformer: str | None = None,
    inference_tokens: str = "0",
    json: Json = False,
) -> int:
    """Find the compute-optimal N and D with a saved fit.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`.
    compute
        FLOPs to spend, as 1e24; repeat for more budgets.
    transformer
        Count them from an architecture, as layers=80,vocab=32000,seq=4096 or aspect=128,...; 6ND without it.
    inference_tokens
        Tokens that the model will serve, out of the same FLOPs, as 5T.
    json
        Print the result as JSON and nothing else.
    """
    budgets = [_parse.number(word, "--compute") for word in _parse.words(compute)]
    if not budgets:
        raise UsageError("--compute: expected FLOPs such as 1e24, and found none")
    counted = "6ND" if transformer is None else _parse.transformer(transformer)
    served = _parse.number(inference_tokens, "--inference-tokens")
    fitted = load_fit(saved)
    plans = [fitted.allocate(C=budget, flops=counted, inference_tokens=served) for budget in budgets]
    if json:
        records = [_render.allocation_record(plan) for plan in plans]
        print_json({"command": "allocate", "law": fitted.law.name, "allocations": records})
    else:
        for plan in plans:
            _render.line(f"C {iso.units.format_number(plan.C, 3)} | {plan}")
    return verdict(fitted)


@app.command
def search(
    saved: Path,
    /,
    *,
    axis: Words,
    where: Words = NO_WORDS,
    define: Words = NO_WORDS,
    minimize: str | None = None,
    by: Words = NO_WORDS,
    within: str | None = None,
    top: int | None = None,
    pareto: str | None = None,
    refine: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    draws: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    threads: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> int:
    """Search a grid for the settings of the least predicted loss, and all that are nearly as good.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`; the fit is called loss in expressions.
    axis
        NAME=LOW:HIGH:COUNTlog (or COUNTlin), NAME=VALUE,VALUE,... or NAME=VALUE, repeated: N=1e8:1e12:100log.
    where
        Condition on a cell, as "6 * N * D <= 1e24"; repeated ones must all hold.
    define
        NAME=EXPRESSION, repeated: further quantities, as cost="6 * N * D / 1e18".
    minimize
        Expression to make least; loss without it.
    by
        Axes with one best cell for each value, as N or N,D.
    within
        Also all cells so near to the best, as 0.1% or 0.001.
    top
        Also list so many of the best cells.
    pareto
        Two expressions, as loss,cost: also list the cells that none beats in both.
    refine
        Also look between the cells around the best one.
    draws
        Also search under every bootstrap draw of the fit.
    threads
        Threads to use; all by default.
    output
        Also save the search to this JSON file.
    json
        Print the result as JSON and nothing else.
    """
    fitted = load_fit(saved)
    if draws and fitted.draws is None:
        raise UsageError(f"--draws: {saved} was saved without bootstrap draws")
    pair = None if pareto is None else tuple(part.strip() for part in pareto.split(","))
    with bars(as_json=json) as progress:
        found = iso.search(
            {"loss": fitted.draws if draws else fitted, **_parse.definitions(define)},
            _parse.axes(axis),
            where=where or None,
            minimize=minimize,
            by=_parse.words(by),
            within=within,
            top=top,
            pareto=pair,  # type: ignore[arg-type]
            refine=refine,
            n_threads=threads,
            progress=progress("search"),
        )
    if output is not None:
        found.save(output)
    if json:
        print_json({"command": "search", **found.to_dict()})
    else:
        _render.line(str(found))
    if not np.any(found.feasible):
        return refuse("search-empty", "no cell counts: there is no best one", REFUSED, as_json=False)
    return verdict(fitted)
