"""The commands. Each reads its words, calls the public API once, and hands the result to print."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
import numpy as np
from cyclopts import App, Parameter

import isoloss as iso
from isoloss.cli import _parse, _render
from isoloss.cli._files import must_be_writable, must_exist, read_options
from isoloss.cli._parse import UsageError
from isoloss.errors import (
    DataError,
    FitError,
    IsolossError,
    OutOfMemoryError,
    OutputError,
    serious,
    without_repeats,
)
from isoloss.laws._markdown import markdown, papers
from isoloss.plain import plain
from isoloss.progress import bar
from isoloss.stats.bands import decades_beyond, describe_decades, extrapolated
from isoloss.units import complete_compute

__all__ = ["app", "run"]

DONE, REFUSED, USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

app = App(
    name="isoloss",
    help="Fit neural scaling laws at volume and turn the fits into decisions.",
    version=iso.__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `run` says one line about it
)

Words = Annotated[list[str], Parameter(negative=(), show_default=False)]
Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
NO_WORDS: list[str] = []


class TerminatedError(BaseException):
    """SIGTERM, as an exception: work ends as it does on Ctrl-C, and files stay whole."""


def end_on_sigterm() -> None:
    """Let SIGTERM raise `TerminatedError`; the library itself leaves signals alone."""

    def raise_it(_number: int, _frame: object) -> None:
        raise TerminatedError

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, raise_it)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; nothing escapes but bugs."""
    as_json = "--json" in arguments
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except cyclopts.UnusedCliTokensError as error:
        return _refuse("option", _unexpected(error.unused_tokens or []), USAGE, as_json=as_json)
    except cyclopts.CycloptsError as error:
        return _refuse("option", str(error), USAGE, as_json=as_json)
    except UsageError as error:
        return _refuse("option", str(error), USAGE, as_json=as_json)
    except (DataError, FitError, OutputError, OutOfMemoryError) as error:
        return _refuse(error.code, str(error), REFUSED, as_json=as_json)
    except IsolossError as error:
        return _refuse(error.code, str(error), USAGE, as_json=as_json)
    except BrokenPipeError:
        # The reader of the pipe has seen enough (`isoloss laws | head`). What is still buffered goes
        # nowhere, so that Python does not complain about the same pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _refuse("option", f"{error.strerror or error}{where}", USAGE, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("isoloss: interrupted\n")
        return INTERRUPTED
    except TerminatedError:
        sys.stderr.write("isoloss: terminated\n")
        return TERMINATED
    return code if isinstance(code, int) else DONE


@app.command
def demo(
    *,
    data: Path | None = None,
    role: Words = NO_WORDS,
    batch_unit: str = "tokens",
    seq_len: int | None = None,
    compute: str = "1e24",
    bootstrap: str = "4000",
    seed: int = 0,
    threads: int | None = None,
    plot: Path = Path("isoloss-demo.png"),
    json: Json = False,
) -> int:
    """Run the main job from end to end on a simulated sweep, or on a file of yours.

    Parameters
    ----------
    data
        CSV or Parquet file of runs; a sweep simulated from published laws without it.
    role
        NAME=COLUMN, repeated: which column of the file is N, D, C, loss, lr, batch, ...
    batch_unit
        Unit of the batch column: tokens or sequences.
    seq_len
        Tokens per sequence, when batches are in sequences.
    compute
        FLOPs to plan for.
    bootstrap
        Number of bootstrap draws.
    seed
        Seed of everything random.
    threads
        Threads to use; all by default.
    plot
        PNG file to write.
    json
        Print the result as JSON and nothing else.
    """
    if data is not None:
        must_exist(data)
    elif role:
        raise UsageError("--role needs --data: the simulated sweep has its roles already")
    must_be_writable(plot)
    with _bars(as_json=json) as bars:
        shown = iso.demo.run(
            data,
            roles=read_options(None, role, batch_unit, seq_len),
            C=_parse.number(compute, "--compute"),
            draws=_parse.bootstrap(bootstrap).draws,
            seed=seed,
            n_threads=threads,
            figure=plot,
            progress=bars,
        )
    if json:
        _print_json(_render.demo_record(shown))
    else:
        _render.demo(shown)
    return _verdict(shown.fit)


@app.command
def fit(
    data: Path,
    /,
    *,
    law: str = "chinchilla",
    map: Path | None = None,
    role: Words = NO_WORDS,
    batch_unit: str | None = None,
    seq_len: int | None = None,
    drop_invalid: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    positive: Words = NO_WORDS,
    bounds: Words = NO_WORDS,
    fix: Words = NO_WORDS,
    tie: Words = NO_WORDS,
    objective: str | None = None,
    delta: float | Literal["auto"] | None = None,
    bootstrap: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> int:
    """Fit a law to a table of runs.

    Parameters
    ----------
    data
        CSV or Parquet file of runs.
    law
        Name from `isoloss laws`, or the text of a law such as "E + A / N**alpha".
    map
        TOML file that says which column is what: N = "params", loss = "val_loss", batch_unit = "sequences", ...
    role
        NAME=COLUMN, repeated: which column of the file is N, D, C, loss, lr, batch, group, ...
    batch_unit
        Unit of the batch column: tokens or sequences.
    seq_len
        Tokens per sequence, when batches are in sequences.
    drop_invalid
        Leave out rows with missing or impossible values instead of refusing the file.
    positive
        Parameters of a law given as text that are above zero, as A,B.
    bounds
        NAME=LOW:HIGH of parameters, as alpha=0:2.
    fix
        NAME=VALUE of parameters that are known, as E=1.69.
    tie
        NAME=OTHER of parameters that are equal, as beta=alpha.
    objective
        huber_log, squared_raw, soft_l1_log, cauchy_log, quantile_log:0.1, ...; the law's own recipe without it.
    delta
        Width of the objective, where it has one; auto takes it from the residuals.
    bootstrap
        Draws for intervals, as 4000; case:4000 draws rows with replacement, run:4000 resamples whole groups.
    level
        Confidence level of the intervals.
    seed
        Seed of the starts and of the bootstrap.
    threads
        Threads to use; all by default.
    output
        File to save the fit to, for `isoloss predict`.
    json
        Print the result as JSON and nothing else.
    """
    must_exist(data)
    _parse.check_level(level)
    if output is not None:
        must_be_writable(output)
    resampling = None if bootstrap is None else _parse.bootstrap(bootstrap)
    limits = _parse.bounds(bounds)
    chosen: Any = law
    if positive:
        chosen = iso.law(law, positive=_parse.words(positive), bounds=limits or None)
        limits = {}
    options = read_options(map, role, batch_unit, seq_len)
    if resampling is not None and resampling.by == "group" and "group" not in options:
        raise UsageError("--bootstrap run:N needs --role group=COLUMN")
    runs = iso.read(data, drop_invalid=drop_invalid, **options)
    with _bars(as_json=json) as bars:
        fitted = iso.fit(
            chosen,
            runs,
            objective=objective,
            delta=delta,
            fix=_parse.numbers(fix, "--fix") or None,
            tie=_parse.assignments(tie, "--tie") or None,
            bounds=limits or None,
            seed=seed,
            n_threads=threads,
            progress=bars("fit"),
        )
        if resampling is not None and fitted.success:
            draws = fitted.bootstrap(
                resampling.draws,
                method=resampling.method,
                by=resampling.by,
                seed=seed,
                n_threads=threads,
                progress=bars("bootstrap"),
            )
            fitted = fitted.with_draws(draws)
    if output is not None:
        fitted.save(output)
    if json:
        _print_json(_render.fit_record(fitted, level, output))
    else:
        _render.fit(fitted, level, output)
    return _verdict(fitted)


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
    fitted = _load(saved)
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
        _print_json({**head, "predictions": rows, "warnings": [notice.to_dict() for notice in notices]})
    else:
        _render.predictions(rows, level, calibrated=calibrated is not False)
        for notice in notices:
            _render.line(str(notice))
    return _verdict(fitted)


@app.command
def allocate(saved: Path, /, *, compute: Words, json: Json = False) -> int:
    """Find the compute-optimal N and D with a saved fit.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`.
    compute
        FLOPs to spend, as 1e24; repeat for more budgets.
    json
        Print the result as JSON and nothing else.
    """
    fitted = _load(saved)
    plans = [fitted.allocate(C=_parse.number(word, "--compute")) for word in _parse.words(compute)]
    if json:
        records = [_render.allocation_record(plan) for plan in plans]
        _print_json({"command": "allocate", "law": fitted.law.name, "allocations": records})
    else:
        for plan in plans:
            _render.line(f"C {iso.units.format_number(plan.C, 3)} | {plan}")
    return _verdict(fitted)


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
    fitted = _load(saved)
    if draws and fitted.draws is None:
        raise UsageError(f"--draws: {saved} was saved without bootstrap draws")
    pair = None if pareto is None else tuple(part.strip() for part in pareto.split(","))
    with _bars(as_json=json) as bars:
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
            progress=bars("search"),
        )
    if output is not None:
        found.save(output)
    if json:
        _print_json({"command": "search", **found.to_dict()})
    else:
        _render.line(str(found))
    if not np.any(found.feasible):
        return _refuse("search-empty", "no cell counts: there is no best one", REFUSED, as_json=False)
    return _verdict(fitted)


@app.command
def laws(
    name: str | None = None,
    /,
    *,
    family: str | None = None,
    table: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """List the laws and rules of the registry by family, or describe one.

    Parameters
    ----------
    name
        A law or rule to describe, or a short name such as steplaw for all that a paper states.
    family
        List this family only.
    table
        Write the table of papers as Markdown: their laws and rules, and what works.
    json
        Print the result as JSON and nothing else.
    """
    if name is not None:
        if table or family is not None:
            raise UsageError("--table and --family list the registry; they take no name")
        entries = iso.laws.named(name)
        if json and len(entries) == 1:
            _print_json({"command": "laws", entries[0].kind: entries[0].to_dict()})
        elif json:
            _print_json({"command": "laws", "entries": [entry.to_dict() for entry in entries]})
        else:
            _render.line("\n\n".join(str(entry) for entry in entries))
        return DONE
    rows = iso.laws.table()
    if family is not None:
        known = sorted({row["family"] for row in rows})
        if family not in known:
            raise UsageError(f"no family {family!r}; families: {', '.join(known)}")
        rows = [row for row in rows if row["family"] == family]
    if json:
        listed = {"papers": papers(rows)} if table else {"laws": rows, "aliases": dict(iso.laws.ALIASES)}
        _print_json({"command": "laws", **listed})
    elif table:
        _render.line(markdown(rows))
    else:
        _render.laws(rows, iso.laws.ALIASES if family is None else {})
    return DONE


@app.command
def config(*, json: Json = False) -> int:
    """Show version, build, SIMD level and threads.

    Parameters
    ----------
    json
        Print the result as JSON and nothing else.
    """
    described = iso.config.info()
    if json:
        _print_json(described)
    else:
        _render.line(iso.config.as_text(described))
    return DONE


class _Bars(ExitStack):
    """Makes one progress bar per step; all are off the screen when the block ends."""

    def __init__(self, *, show: bool) -> None:
        super().__init__()
        self.show = show

    def __call__(self, step: str) -> Callable[[int, int], object]:
        self.close()  # the bar of the step before
        return self.enter_context(bar(step, show=self.show))


def _bars(*, as_json: bool) -> _Bars:
    # Only where a person watches: both streams on a terminal, and text rather than JSON asked for.
    return _Bars(show=not as_json and sys.stdout.isatty() and sys.stderr.isatty())


def _load(path: Path) -> "iso.Fit":
    must_exist(path)
    loaded = iso.load(path)
    if not isinstance(loaded, iso.Fit):
        raise UsageError(f"{path} does not hold a fit")
    return loaded


def _verdict(fitted: "iso.Fit") -> int:
    if fitted.success:
        return DONE
    message = f"the fit did not converge: {fitted.status.message}"
    return _refuse("fit-not-converged", message, REFUSED, as_json=False)


def _refuse(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    sys.stderr.write(f"isoloss: error [{code}]: {message}\n")
    if as_json:
        _print_json({"error": {"code": code, "message": message}})
    return exit_code


def _unexpected(words: list[str]) -> str:
    """What to say of words that no option takes: mostly a list given to an option that is repeated instead."""
    listed = " ".join(repr(word) for word in words)
    hint = "; an option is repeated for each of its values, as --role N=params --role D=tokens" if "=" in listed else ""
    return f"not expected here: {listed}{hint}"


def _print_json(record: Any) -> None:
    sys.stdout.write(json.dumps(plain(record), indent=2, allow_nan=False) + "\n")
