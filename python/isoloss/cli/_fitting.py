"""The commands that fit: ``isoloss fit``, and ``isoloss demo``."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

import isoloss as iso
from isoloss.cli import _parse, _render
from isoloss.cli._app import NO_WORDS, Json, Words, app, bars, print_json, verdict
from isoloss.cli._files import must_be_writable, must_exist, read_options
from isoloss.cli._parse import UsageError

__all__ = ["demo", "fit"]


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
    with bars(as_json=json) as progress:
        shown = iso.demo.run(
            data,
            roles=read_options(None, role, batch_unit, seq_len),
            C=_parse.number(compute, "--compute"),
            draws=_parse.bootstrap(bootstrap).draws,
            seed=seed,
            n_threads=threads,
            figure=plot,
            progress=progress,
        )
    if json:
        print_json(_render.demo_record(shown))
    else:
        _render.demo(shown)
    return verdict(shown.fit)


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
    runs = iso.read(data, drop_invalid=drop_invalid, **options)
    if resampling is not None and resampling.by == "group" and runs.group is None:
        raise UsageError(
            "--bootstrap run:N resamples whole runs, and needs --role group=COLUMN that names the run of each row, "
            "or a column that is called group; where each row is a run of its own, give --bootstrap N"
        )
    with bars(as_json=json) as progress:
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
            progress=progress("fit"),
        )
        if resampling is not None and fitted.success:
            draws = fitted.bootstrap(
                resampling.draws,
                method=resampling.method,
                by=resampling.by,
                seed=seed,
                n_threads=threads,
                progress=progress("bootstrap"),
            )
            fitted = fitted.with_draws(draws)
    if output is not None:
        fitted.save(output)
    if json:
        print_json(_render.fit_record(fitted, level, output))
    else:
        _render.fit(fitted, level, output)
    return verdict(fitted)
