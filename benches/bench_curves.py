"""Laws of loss curves: a Multi-Power fit, whose loss at every step sums over all steps before it."""

import os
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from common import ROOT, Bar, Report, Spread, Table, main, rounds

import isoloss as iso
from isoloss.curves.rows import features, points
from isoloss.curves.step_sums import drop_points

S = iso.schedules
STEPS, PEAK, WARMUP, EVERY = 72_000, 3e-4, 2_160, 128
NAMES = ("L0", "A", "alpha", "B", "C", "beta", "gamma")
DATA = Path(os.environ.get("ISOLOSS_DATA", ROOT.parent / "shared" / "data")) / "lr_schedule_curves.csv"
NINE = {
    "constant": S.constant(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "cosine": S.cosine(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "linear": S.linear(steps=STEPS, peak=PEAK, to=0.1, warmup=WARMUP),
    "inverse sqrt": S.inverse_sqrt(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "wsd": S.wsd(steps=STEPS, peak=PEAK, warmup=WARMUP),
    "wsd linear": S.wsd(steps=STEPS, peak=PEAK, shape="linear", warmup=WARMUP),
    "wsd sqrt": S.wsd(steps=STEPS, peak=PEAK, shape="sqrt", warmup=WARMUP),
    "two stages": S.multi_step(steps=STEPS, peak=PEAK, at=[1 / 3], to=[0.3], warmup=WARMUP),
    "three stages": S.multi_step(steps=STEPS, peak=PEAK, at=[0.8, 0.9], to=[0.316, 0.1], warmup=WARMUP),
}


def by_steps(schedule: iso.schedules.Schedule, step: np.ndarray, params: dict[str, float]) -> np.ndarray:
    """Loss by the sum over every step, as the paper writes it."""
    L0, A, alpha, B, C, beta, gamma = (params[name] for name in NAMES)
    lr = schedule.values
    area, drop = schedule.S1, schedule.drops
    changed = np.flatnonzero(drop)
    loss = np.empty(len(step))
    for row, t in enumerate(step):
        k = changed[changed <= t]
        gain = 1.0 - (1.0 + C * lr[k] ** -gamma * (area[t] - area[k - 1])) ** -beta
        loss[row] = L0 + A * area[t] ** -alpha - B * (drop[k] @ gain)
    return loss


def simulated(params: dict[str, float]) -> tuple[iso.Curves, float]:
    """Nine curves with lasting noise of 0.05 %, and the seconds that one pass over their sums takes in NumPy."""
    rng = np.random.default_rng(0)
    table: dict[str, list[np.ndarray]] = {"run": [], "step": [], "loss": []}
    began = perf_counter()
    losses = {}
    step = np.arange(WARMUP + 16, STEPS + 1, EVERY)
    for name, schedule in NINE.items():
        losses[name] = by_steps(schedule, step, params)
    seconds = perf_counter() - began
    for name, loss in losses.items():
        noise = np.convolve(rng.standard_normal(len(step) + 19), np.ones(20) / 20**0.5, "valid")
        table["run"].append(np.full(len(step), name))
        table["step"].append(step)
        table["loss"].append(loss * np.exp(5e-4 * noise))
    joined = {name: np.concatenate(parts) for name, parts in table.items()}
    return iso.read_curves(joined, schedules=NINE), seconds


def released_schedule(name: str) -> iso.schedules.Schedule | None:
    """The schedule of a released curve, by its name."""
    kind, *numbers = name.split("_")
    if kind in ("constant", "cosine"):
        return S.KINDS[kind](steps=int(numbers[0]), peak=PEAK, warmup=WARMUP)
    if kind == "wsdcon":
        return S.multi_step(steps=16_000, peak=PEAK, at=[8_000], to=[int(numbers[0]) * 1e-5 / PEAK], warmup=WARMUP)
    shape = {"wsd": "exponential", "wsdld": "linear"}.get(kind)
    return S.wsd(steps=24_000, peak=PEAK, decay=4_000, shape=shape, warmup=WARMUP) if shape else None


def error_of_points(params: dict[str, float]) -> float:
    """Largest relative difference of the loss from the sum over every step, over the nine schedules."""
    law = iso.laws.get("multi_power").bind(params)
    worst = 0.0
    for schedule in NINE.values():
        step = np.unique(np.geomspace(WARMUP + 100, STEPS, 40).astype(np.int64))
        loss = law(**features(law.law, schedule, step, {}), **points(law.law, schedule, step))
        worst = max(worst, float(np.abs(loss / by_steps(schedule, step, params) - 1.0).max()))
    return worst


def released() -> Table | None:
    """Fits to the released curves, judged on the curves that the authors hold out."""
    if not DATA.is_file():
        return None
    curves = iso.read_curves(
        DATA,
        run=["model_size_millions", "schedule"],
        N="model_size_millions",
        split="split_in_paper",
        schedules=released_schedule,
    )
    rows = []
    for size in (25, 100, 400):
        mine = curves.where(N=size)
        began = perf_counter()
        fit = iso.fit("multi_power", mine.where(split="fit"))
        seconds = perf_counter() - began
        test = fit.holdout(mine.where(split="test"))
        law = fit.law.published[f"luo2025_{size}m"]
        published = iso.fit("multi_power", mine.where(split="fit"), fix=dict(law.params))
        other = published.holdout(mine.where(split="test"))
        rows.append(
            (f"{size}M", f"{seconds:.2f} s", f"{fit.value:.3g}", f"{published.value:.3g}", f"{test.r2:.5f}",
             f"{test.mae:.5f}", f"{other.r2:.5f}", f"{other.mae:.5f}")
        )  # fmt: skip
    head = ("model", "fit", "objective", "published set's", "test R2", "test MAE", "published R2", "published MAE")
    return Table("Multi-Power Law on the released curves (three fitted, six held out)", head, rows)


def run(quick: bool = False) -> Report:
    truth = dict(iso.laws.get("multi_power").published["luo2025_100m"].params)
    curves, numpy_seconds = simulated(truth)
    work = {"fit": lambda: iso.fit("multi_power", curves)}
    repeats = 3 if quick else 5
    cpu, wall = (Spread.of(rounds(work, repeats, clock)["fit"]) for clock in (process_time, perf_counter))
    fit = iso.fit("multi_power", curves)
    began = perf_counter()
    fit.predict(NINE["wsd"]).band()
    band = perf_counter() - began
    error = error_of_points(truth)
    points = sum(len(drop_points(c.schedule, c.step).drop) for c in curves)
    far = max(abs(fit.params[name] / truth[name] - 1.0) for name in ("L0", "A", "alpha"))
    starts = fit.basins.starts + fit.basins.challengers
    bars = [
        Bar(
            "Multi-Power fit, nine curves of 72,000 steps, CPU time of all threads",
            cpu.show(" s"),
            "≤ 2 s",
            cpu.median <= 2.0,
        ),
        Bar("… as the clock on the wall saw it", wall.show(" s")),
        Bar("… loss from points for the steps, largest relative error", f"{error:.1e}", "≤ 1e-6", error <= 1e-6),
        Bar("… one pass over all steps in NumPy, without derivatives", f"{numpy_seconds:.1f} s"),
    ]
    rows = [
        ("losses", f"{curves.n:,}"),
        ("points of the sums, of all losses", f"{points:,}"),
        ("starts, challengers among them", f"{starts}"),
        ("share of starts at the best optimum", f"{100 * fit.basins.share:.0f} %"),
        ("largest error of L0, A, alpha", f"{100 * far:.2f} %"),
        ("95 % band of a predicted curve, 200 draws", f"{band:.1f} s"),
    ]
    tables = [Table("The simulated fit", ("what", "value"), rows)]
    real = None if quick else released()
    return Report("Loss curves", bars, tables if real is None else [*tables, real])


if __name__ == "__main__":
    main(run)
