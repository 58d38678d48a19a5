"""The command ``isoloss hparams``: learning rate and batch from a sweep, or from a published law alone."""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import isoloss as iso
from isoloss.cli import _parse, _render
from isoloss.cli._app import DONE, NO_WORDS, Json, Words, app, print_json
from isoloss.cli._files import must_be_writable, must_exist, read_options
from isoloss.cli._parse import UsageError

__all__ = ["hparams"]

_WITHIN = "0.25%"


@app.command
def hparams(
    data: Path | None = None,
    /,
    *,
    at: Words,
    within: str = _WITHIN,
    law: str | None = None,
    loss: float | None = None,
    map: Path | None = None,
    role: Words = NO_WORDS,
    batch_unit: str | None = None,
    seq_len: int | None = None,
    by: Words = NO_WORDS,
    recipe: str = "joint",
    threshold: str | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
    sensitivity: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    report: Path | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    json: Json = False,
) -> int:
    """Best learning rate and batch size at N and D, from the runs of a sweep or by a published law.

    Parameters
    ----------
    data
        CSV or Parquet file of runs with N, D, lr, batch and loss; none with --law.
    at
        N,D as 7e9,1.4e12 or 7B,1.4T; repeat for more.
    within
        Excess loss of the plateau, as 0.2% or 0.002.
    law
        A published law instead of runs, as steplaw, porian or deepseek.
    loss
        Loss that training ends at, for published laws that ask for it.
    map
        TOML file that says which column is what: N = "params", batch_unit = "sequences", seq_len = 2048, ...
    role
        NAME=COLUMN, repeated: which column of the file is N, D, lr, batch, loss, ...
    batch_unit
        Unit of the batch column: tokens or sequences.
    seq_len
        Tokens per sequence, when batches are in sequences.
    by
        Further columns that tell cells apart, as the activated parameters of mixtures of experts.
    recipe
        joint, steplaw, within, argmin or surfaces.
    threshold
        Excess up to which runs are fitted, as 1%; chosen from the data without it.
    draws
        Refits to resampled cells, for the intervals.
    level
        Confidence level of the intervals.
    seed
        Seed of the resampling.
    threads
        Threads to use; all by default.
    sensitivity
        Show how the answer moves with each arbitrary choice.
    report
        HTML file to write: one page with everything.
    output
        File to save the law to, with its runs and draws; ``isoloss.load`` reads it.
    json
        Print the result as JSON and nothing else.
    """
    _parse.check_level(level)
    targets = [_target(word) for word in at]
    if (data is None) == (law is None):
        raise UsageError("hparams: give a file of runs, or --law NAME for a published law, one of the two")
    if data is None:
        _refuse(
            "a published law knows no runs",
            within=within != _WITHIN,
            map=map,
            role=role,
            batch_unit=batch_unit,
            by=by,
            recipe=recipe != "joint",
            threshold=threshold,
            sensitivity=sensitivity,
            report=report,
            output=output,
        )
        return _published(str(law), targets, loss, level, seq_len, as_json=json)
    _refuse("the law comes from the runs", loss=loss is not None)
    must_exist(data)
    from isoloss.hparams.plateau import relative

    relative("within", within)  # before the fit, not after it
    for path in (report, output):
        if path is not None:
            must_be_writable(path)
    options = read_options(map, role, batch_unit, seq_len)
    options |= {name: name for name in _parse.words(by) if name not in options}
    runs = iso.read(data, **options)
    hp = iso.fit_hparams(
        runs,
        recipe=recipe,
        threshold=threshold,
        by=_parse.words(by),
        draws=draws,
        seed=seed,
        n_threads=threads,
    )
    checked = runs.check()
    answers = []
    for N, D in targets:
        flat = hp.plateau(N=N, D=D, within=within, level=level)
        answers.append((hp.predict(N=N, D=D, level=level), flat, hp.sensitivity(N=N, D=D) if sensitivity else None))
    if report is not None:
        hp.report(report, at=targets, within=within)
    if output is not None:
        hp.save(output)
    if json:
        record = {
            "command": "hparams",
            "law": hp.to_dict(),
            "check": [notice.to_dict() for notice in checked.warnings],
            "answers": [
                {
                    "predict": best.to_dict(),
                    "plateau": flat.to_dict(),
                    "sensitivity": None if table is None else table.to_dict(),
                }
                for best, flat, table in answers
            ],
            "report": report,
            "saved": output,
        }
        print_json(record)
        return DONE
    _render.line(str(checked))
    _render.line(hp.summary(level=level))
    for best, flat, table in answers:
        _render.line(f"\nat N {iso.units.format_si(best.N)}, D {iso.units.format_si(best.D)}")
        _render.line(str(best))
        _render.line(str(flat))
        if table is not None:
            _render.line(str(table))
    for path in (report, output):
        if path is not None:
            _render.line(f"saved {path}")
    return DONE


def _refuse(why: str, **options: object) -> None:
    """Refuse options that would change nothing."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise UsageError(f"hparams: {why}: {', '.join(given)} would do nothing")


def _target(word: str) -> tuple[float, float]:
    """Read ``7B,1.4T`` or ``N=7B,D=1.4T``."""
    if "=" in word:
        found = _parse.numbers([word], "--at")
        if set(found) != {"N", "D"}:
            raise UsageError(f"--at: N and D are needed, not {word!r}")
        return found["N"], found["D"]
    parts = word.split(",")
    if len(parts) != 2:
        raise UsageError(f"--at: expected N,D such as 7B,1.4T, not {word!r}")
    return _parse.number(parts[0], "--at"), _parse.number(parts[1], "--at")


def _published(
    name: str,
    targets: list[tuple[float, float]],
    loss: float | None,
    level: float,
    seq_len: int | None,
    *,
    as_json: bool,
) -> int:
    from isoloss.hparams import predict_published

    found = [predict_published(name, N=N, D=D, L=loss, level=level, seq_len=seq_len) for N, D in targets]
    if as_json:
        print_json({"command": "hparams", "law": found[0].recipe, "answers": [{"predict": f.to_dict()} for f in found]})
        return DONE
    for best in found:
        where = f"{best.recipe} at N {iso.units.format_si(best.N)}, D {iso.units.format_si(best.D)}"
        _render.line(f"{where}: {best}" if len(found) > 1 else f"{where}\n{best}")
    return DONE
