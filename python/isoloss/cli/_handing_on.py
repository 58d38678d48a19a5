"""The commands for reviewers and colleagues: ``isoloss report``, ``checklist`` and ``rerun``."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import isoloss as iso
from isoloss.cli import _render
from isoloss.cli._app import DIFFERENT, DONE, NO_WORDS, Json, Words, app, as_fit, load_fit, print_json, verdict
from isoloss.cli._files import must_be_writable, must_exist, read_options
from isoloss.cli._parse import UsageError, check_level

__all__ = ["checklist", "report", "rerun"]

DEFAULT_LEVEL = 0.95


@app.command
def report(
    saved: Path,
    /,
    *,
    html: Path,
    level: float = DEFAULT_LEVEL,
    threads: int | None = None,
) -> int:
    """Write one self-contained page about a saved fit: data, fit, bands, holdout, influence, checklist, hashes.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`; or by `save` of a law of hyper-parameters, which has a page of its own.
    html
        HTML file to write; the same saved fit gives the same bytes.
    level
        Confidence level of the intervals, when the fit was saved with bootstrap draws.
    threads
        Threads to use; all by default.
    """
    check_level(level)
    must_be_writable(html)
    must_exist(saved)
    loaded = iso.load(saved)
    if isinstance(loaded, iso.HParamLaw):
        if level != DEFAULT_LEVEL:
            raise UsageError("--level: the page of a law of hyper-parameters has intervals of 95 %")
        loaded.report(html)
        _render.line(f"saved {html}")
        return DONE
    fitted = as_fit(loaded, saved)
    fitted.report(html, level=level, n_threads=threads)
    _render.line(f"saved {html}")
    return verdict(fitted)


@app.command
def checklist(
    saved: Path,
    /,
    *,
    md: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Json = False,
) -> int:
    """Print what a paper should report about a saved fit, answered as far as the fit itself knows.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`.
    md
        Print Markdown, a list to tick off.
    json
        Print the result as JSON and nothing else.
    """
    if md and json:
        raise UsageError("--md and --json are two forms of the same: give one of them")
    made = load_fit(saved).checklist()
    if json:
        print_json({"command": "checklist", **made.to_dict()})
    else:
        _render.line(made.to_markdown() if md else str(made))
    return DONE


@app.command
def rerun(
    saved: Path,
    /,
    *,
    data: Path | None = None,
    map: Path | None = None,
    role: Words = NO_WORDS,
    batch_unit: str | None = None,
    seq_len: int | None = None,
    threads: int | None = None,
    json: Json = False,
) -> int:
    """Run a saved fit again, with its draws, and say what differs; exit code 3 if the data or a result does.

    Parameters
    ----------
    saved
        File written by `isoloss fit -o`.
    data
        CSV or Parquet file of runs, read as the fit's own was; the runs stored with the fit without it.
    map
        TOML file that says which column is what, where it differs in this file.
    role
        NAME=COLUMN, repeated: columns that have another name in this file.
    batch_unit
        Unit of the batch column, where it differs: tokens or sequences.
    seq_len
        Tokens per sequence, where they differ.
    threads
        Threads to use; all by default.
    json
        Print the result as JSON and nothing else.
    """
    options = read_options(map, role, batch_unit, seq_len)
    if batch_unit is not None:
        options["batch_unit"] = batch_unit  # tokens too, where the fit's own file had sequences
    if data is not None:
        must_exist(data)
    elif options:
        raise UsageError(
            f"{', '.join(options)}: roles and units say how to read a file of runs; give it by --data FILE"
        )
    found = load_fit(saved).reproduce(data, n_threads=threads, **options)
    if json:
        print_json({"command": "rerun", **found.to_dict()})
    else:
        _render.line(str(found))
    return DONE if found.same else DIFFERENT
