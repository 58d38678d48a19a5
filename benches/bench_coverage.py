"""How often nominal 95 % intervals hold the truth, in simulated studies; writes the tables of docs/coverage.md.

    python benches/bench_coverage.py                # 2,000 studies each, about an hour on two cores; writes the page
    python benches/bench_coverage.py --seconds 200  # the same in slices: go on, and stop after 200 s
    python benches/bench_coverage.py --quick        # 60 studies each, about a minute; prints only

What is finished is kept in target/benches/coverage.jsonl, so that an interrupted measurement goes on where it was;
other sources of the statistics measure anew.

The truth is the Chinchilla law with the coefficients of Besiroglu et al. (2024). A study has n runs: sizes from 50M to
5B times 5 to 160 tokens per parameter, both evenly spaced in their logarithms. Without offsets a run is one row with
normal noise of 0.4 % of its loss. With offsets a run is five checkpoints at even steps; 0.4 % are shared by the
checkpoints of a run, 0.2 % are each one's own. The loss predicted is that of the best model for 100 times the compute
of the largest run.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from common import F64, ROOT, Ledger, machine, markdown

import isoloss as iso
from isoloss.engine.watch import Watch
from isoloss.stats.coverage import Coverage
from isoloss.stats.intervals import t_quantile
from isoloss.stats.resampling import units_of
from isoloss.stats.studies import run_studies

SHAPES = {12: (4, 3), 20: (5, 4), 42: (7, 6), 108: (12, 9)}
OFFSETS = {False: (0.004, 0.0, 1), True: (0.002, 0.004, 5)}
"""Noise of a row and of a run, and checkpoints of a run."""

OBJECTIVES = {"least squares": "squared_log", "Huber 1e-3": "huber_log"}
METHODS = ("wild", "residual", "parametric", "case", "jackknife")
DRAWS = {12: 999, 20: 999, 42: 499, 108: 499}
PART = 250
MARKS = ("<!-- coverage:start -->", "<!-- coverage:end -->")
FURTHER = 100.0
NEAR, FAR = 93.0, 97.0


def design(n: int, offsets: bool) -> dict[str, F64]:
    sizes, ratios = SHAPES[n]
    N = np.repeat(np.geomspace(5e7, 5e9, sizes), ratios)
    D = N * np.tile(np.geomspace(5.0, 160.0, ratios), sizes)
    points = OFFSETS[offsets][2]
    along = np.linspace(1.0 / points, 1.0, points)
    run = np.repeat(np.arange(float(n)), points)
    return {"N": np.repeat(N, points), "D": (D[:, None] * along).ravel(), "run": run}


@dataclass(frozen=True)
class Cell:
    """One design, objective and method of resampling, measured in parts of `PART` studies."""

    n: int
    offsets: bool
    objective: str
    method: str
    studies: int
    draws: int

    @property
    def parts(self) -> list[int]:
        """Studies of each part."""
        return [min(PART, self.studies - first) for first in range(0, self.studies, PART)]


def whole(ledger: Ledger, cell: Cell) -> Coverage:
    """All parts of a cell as one: shares weighted by their studies, the median of the parts' median widths."""
    parts = [Coverage.from_dict(ledger.parts[f"{cell}, part {part}"]) for part in range(len(cell.parts))]
    rows = []
    for row in parts[0].rows:
        same = [part[row.interval] for part in parts]
        weight = [one.studies for one in same]
        covered = {name: float(np.average([one.covered[name] for one in same], weights=weight)) for name in row.covered}
        width = {name: float(np.median([one.width[name] for one in same])) for name in row.width}
        rows.append(replace(row, covered=covered, width=width, studies=sum(weight)))
    return replace(parts[0], rows=tuple(rows), studies=cell.studies, failed=sum(part.failed for part in parts))


def measure(n: int, offsets: bool, objective: str, method: str, studies: int, draws: int, part: int = 0) -> Coverage:
    """One part of a cell."""
    truth = iso.laws.get("chinchilla").bind("besiroglu2024")
    table = design(n, offsets)
    mean = truth(N=table["N"], D=table["D"])
    row, run, _ = OFFSETS[offsets]
    code = table["run"].astype(int)

    def simulate(count: int, stream: int) -> F64:
        rng = np.random.default_rng(stream)
        noise = row * rng.standard_normal((count, len(mean))) + run * rng.standard_normal((count, n))[:, code]
        return mean * np.exp(noise)

    largest = float(np.max(6.0 * table["N"] * table["D"]))
    runs = iso.read({**table, "loss": simulate(1, 0)[0]}, group="run" if offsets else None)
    fit = iso.fit("chinchilla", runs, objective=objective)
    best = iso.fit("chinchilla", {**table, "loss": mean}, objective="squared_log").allocate(C=FURTHER * largest)
    at = {"N": np.array([best.N]), "D": np.array([best.D])}
    there = float(truth(N=best.N, D=best.D))

    def new_run(count: int, stream: int) -> F64:
        return there * np.exp(np.hypot(row, run) * np.random.default_rng(stream).standard_normal(count))

    return run_studies(
        fit.problem,
        np.array([truth.params[name] for name in fit.names]),
        units_of(runs, fit.problem, None),
        simulate,
        studies=studies,
        draws=draws,
        level=0.95,
        method=method,
        place=[at[name] for name in fit.problem.expression.variables],
        seed=1000 * n + part,
        watch=Watch(),
        new_run=None if method == "jackknife" else new_run,
        kinds={"auto": ("expanded",), "wild": None}.get(method, ("percentile", "expanded", "bca")),
    )


def measure_part(cell: Cell, part: int) -> dict[str, Any]:
    """One part of a cell, as plain data."""
    studies = cell.parts[part]
    return measure(cell.n, cell.offsets, cell.objective, cell.method, studies, cell.draws, part).to_dict()


def cells(found: Coverage, interval: str, names: list[str]) -> list[str]:
    covered = found[interval].covered
    return [f"{100 * covered[name]:.1f}" if name in covered else "–" for name in names]


def outside(found: Coverage, interval: str, names: list[str]) -> list[str]:
    return [name for name, cell in zip(names, cells(found, interval, names), strict=True)
            if not NEAR <= float(cell) <= FAR]  # fmt: skip


def cells_of(quick: bool) -> tuple[list[Cell], list[Cell]]:
    """The cells of the default, and those of the other methods."""
    studies, others = (60, 40) if quick else (2000, 500)
    default = [
        Cell(n, offsets, objective, "auto", studies, 199 if quick else DRAWS[n])
        for n in SHAPES
        for offsets in (False, True)
        for objective in OBJECTIVES.values()
    ]
    rest = [
        Cell(n, offsets, "squared_log", method, others, 399)
        for n in (12, 42)
        for offsets in (False, True)
        for method in METHODS
        if not (method == "residual" and offsets)
    ]
    return default, rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 studies each; prints only")
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop before so many are over, to go on later")
    options = parser.parse_args()
    quick = options.quick
    first, second = cells_of(quick)
    ledger = Ledger(f"coverage{'-quick' if quick else ''}.jsonl", ("stats", "objective", "engine"))
    every = [(cell, part) for cell in first + second for part in range(len(cell.parts))]
    jobs = {f"{cell}, part {part}": partial(measure_part, cell, part) for cell, part in every}
    left = ledger.work(jobs, options.seconds)
    if left:
        sys.exit(f"{left} parts are left: run again to go on")
    studies, others = first[0].studies, second[0].studies
    names = [*iso.laws.get("chinchilla").parameters, "loss"]
    words = {objective: label for label, objective in OBJECTIVES.items()}
    default, missed, met = [], [], 0
    for cell in first:
        found = whole(ledger, cell)
        label = words[cell.objective]
        default.append(
            (str(cell.n), "yes" if cell.offsets else "no", label, *cells(found, found.default, [*names, "new run"]))
        )
        bad = outside(found, found.default, names)
        met += len(names) - len(bad)
        missed += [f"{name} at n = {cell.n}, {'with' if cell.offsets else 'without'} offsets, {label}" for name in bad]
    rest = []
    for cell in second:
        found = whole(ledger, cell)
        for row in found.rows:
            kind = row.interval if row.interval.startswith(("wald", "profile")) else f"{cell.method}, {row.interval}"
            shown = "–" if np.isnan(row.width["alpha"]) else f"{row.width['alpha']:.4f}"
            where = (str(cell.n), "yes" if cell.offsets else "no")
            rest.append((*where, kind, *cells(found, row.interval, names), shown))
    titles = ("runs", "offsets", "objective", *names, "new run")
    today = datetime.now(tz=UTC).date().isoformat()
    conditions = [
        f"Measured {today} with isoloss {iso.__version__} on {machine()}.",
        f"Shares of {studies:,} studies whose nominal 95 % interval holds the truth, in per cent;",
        f"standard error {100 * np.sqrt(0.95 * 0.05 / studies):.1f}. Student's quantile behind the expanded",
        f"percentiles of wild draws is {t_quantile(0.975, 11):.2f} at 12 runs and {t_quantile(0.975, 107):.2f} at 108.",
    ]
    text = "\n\n".join(
        [
            " ".join(conditions),
            "## The default: wild bootstrap, expanded percentiles, 999 draws (499 from 42 runs on)",
            markdown(titles, default),
            f"{met} of {met + len(missed)} lie between {NEAR:g} and {FAR:g} %"
            + (f"; outside: {'; '.join(missed)}." if missed else "."),
            f"## Other methods and intervals, least squares, {others:,} studies of 399 draws",
            f"Standard error {100 * np.sqrt(0.95 * 0.05 / others):.1f}; the last column is the median width for alpha.",
            markdown(("runs", "offsets", "interval", *names, "width"), rest),
        ]
    )
    print(text)
    if quick:
        return
    path = ROOT / "docs" / "coverage.md"
    old = path.read_text(encoding="utf-8")
    if MARKS[0] not in old or MARKS[1] not in old:
        sys.exit(f"{path.name} has no {MARKS[0]} … {MARKS[1]}")
    head, tail = old.split(MARKS[0])[0], old.split(MARKS[1])[1]
    path.write_text(f"{head}{MARKS[0]}\n{text}\n{MARKS[1]}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
