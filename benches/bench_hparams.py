"""The journey from a sweep to learning rate, batch and plateau, on the released Step Law runs.

Time: reading, checking, choosing the threshold, the joint fit and 1,000 refits to resampled cells, prediction and
plateau. Quality: every cell predicted from the others alone, the threshold chosen without it too, against the published
law, which was fitted with these cells, and all other laws of learning rate or batch in the registry. Needs the released
file ``steplaw_dense.csv`` in $ISOLOSS_DATA or ../shared/data; simulated runs stand in for the time only.
"""

import os
import time
from pathlib import Path

import numpy as np
from common import ROOT, Bar, Report, Spread, Table, main, number, rounds

import isoloss as iso
from isoloss.hparams.surface import cost

WITHIN = 0.0025
EXTRAPOLATIONS = ("largest N", "largest D")


def released() -> Path | None:
    folder = Path(os.environ.get("ISOLOSS_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "steplaw_dense.csv"
    return path if path.is_file() else None


def journey(source: object) -> "iso.HParamLaw":
    runs = (
        iso.read(source, N="params_non_embedding", D="tokens", loss="loss_smooth", lr="lr",
                 batch="batch_size_sequences", batch_unit="sequences", seq_len=2048)
        if isinstance(source, Path)
        else iso.read(source)
    )  # fmt: skip
    runs.check()
    hp = iso.fit_hparams(runs, draws=1000)
    hp.predict(N=7e9, D=1.4e12)
    hp.plateau(N=7e9, D=1.4e12, within=0.002)
    return hp


def run(quick: bool = False) -> Report:
    path = released()
    source: object = path or iso.simulate.sweep(N=np.geomspace(2e8, 1e9, 4), settings=8, step=2**0.5)
    hp = journey(source)
    seconds = Spread.of(rounds({"": lambda: journey(source)}, 2 if quick else 7, time.perf_counter)[""])
    work = f"{hp.sweep.runs.n:,} runs: read, check, fit_hparams with 1,000 cluster draws, predict, plateau"
    bars = [Bar(work, seconds.show(" s"), "≤ 3 s", seconds.median <= 3.0)]
    if path is None:
        return Report(
            "Learning rate and batch size", bars, [], ["left out: quality, the released runs are not at hand"]
        )
    left_out = hp.holdout("cell", within=WITHIN)
    published = [row for row in hp.compare().rows if not row.name.startswith("joint")]
    law = next(row for row in published if row.name == "steplaw:table2")
    rivals = [row for row in published if not row.name.startswith("steplaw")]
    best_rival = min(rivals, key=lambda row: row.mean.nearest)
    per_cent = [100.0 * value for value in left_out.cost]
    bars += [
        Bar("… each cell left out: mean excess loss at the nearest grid run", f"{per_cent[0]:.4f} %", "≤ 0.0957 %",
            per_cent[0] <= 0.0957),
        Bar("… the same above the cell's own convex surface", f"{per_cent[2]:.4f} %", "≤ 0.03 %", per_cent[2] <= 0.03),
        Bar(f"… the best other law of the registry ({best_rival.name}), nearest grid run",
            f"{100 * best_rival.mean.nearest:.4f} %", "above ours", best_rival.mean.nearest > left_out.cost.nearest),
    ]  # fmt: skip
    predicted, measured = left_out.widths
    areas = left_out.areas
    surface = hp.holdout("cell", within=WITHIN, reference="surface", draws=0)
    bars += [
        Bar("… box of the 0.25 % plateau holds the best held-out run, share of cells",
            f"{100 * left_out.best_inside:.0f} %", "≥ 90 %", left_out.best_inside >= 0.9),
        Bar("… mean area of that box over the mean area of the measured ones", number(areas[0] / areas[1], 3), "≤ 2",
            areas[0] <= 2.0 * areas[1]),
        Bar("… 95 % intervals hold the own optimum of the cell left out, lr and batch, of 17 cells",
            " and ".join(f"{17 * share:.0f}" for share in left_out.covered), "about 16",
            min(left_out.covered) >= 14.5 / 17),
    ]  # fmt: skip
    rows = [_row("this fit, each cell left out", left_out.cost, left_out.worst.nearest)]
    rows += [
        _row(f"{recipe} recipe, each cell left out", found.cost, found.worst.nearest)
        for recipe in ("steplaw", "within", "argmin", "surfaces")
        if (found := hp.holdout("cell", recipe=recipe, draws=0))
    ]
    rows += [_row(row.name, row.mean, row.worst.nearest) for row in published]
    columns = ("law", "nearest run", "interpolated", "own surface", "largest, nearest run")
    tables = [Table("Excess loss on the 17 cells, mean", columns, rows)]
    beyond = []
    for by in EXTRAPOLATIONS:
        for row in hp.holdout(by, draws=0).rows:
            c = hp.sweep.nearest(row.N, row.D)
            theirs = cost(hp.sweep, hp.surfaces, c, 1.79 * row.N**-0.713 * row.D**0.307, 0.58 * row.D**0.571)
            beyond.append((by, row.cell, *(f"{100 * v:.3f} %" for v in (row.cost.nearest, row.cost.surface)),
                           *(f"{100 * v:.3f} %" for v in (theirs.nearest, theirs.surface))))  # fmt: skip
    tables.append(
        Table(
            "Extrapolation: the cells of the largest N, or D, from all others",
            ("left out", "cell", "nearest run", "own surface", "published: nearest", "published: own surface"),
            beyond,
        )
    )
    thresholds = ", ".join(f"{100 * t:g} %" for t in sorted({row.threshold for row in left_out.rows}))
    boxes = (
        f"boxes in octaves, lr x batch: predicted {predicted[0]:.2f} x {predicted[1]:.2f}, area {areas[0]:.2f}; "
        f"measured from run to run of the grid {measured[0]:.2f} x {measured[1]:.2f}, area {areas[1]:.2f}; both count "
        f"from the best run. Counted from the surface: {surface.widths[0][0]:.2f} x {surface.widths[0][1]:.2f}, area "
        f"{surface.areas[0]:.2f}"
    )
    known = (
        f"published Step Law: mean {100 * law.mean.nearest:.4f} %, median {100 * law.median.nearest:.4f} %, largest "
        f"{100 * law.worst.nearest:.3f} % at the nearest run"
    )
    notes = [f"thresholds chosen without the cell: {thresholds}", boxes, known]
    return Report("Learning rate and batch size", bars, tables, notes)


def _row(name: str, mean: "iso.hparams.Cost", worst: float) -> tuple[str, ...]:
    shown = ("-" if np.isnan(v) else f"{100 * v:.4f} %" for v in mean)
    return (name, *shown, f"{100 * worst:.3f} %")


if __name__ == "__main__":
    main(run)
