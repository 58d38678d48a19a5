"""isoloss's general programs against a kernel of the same law fused by hand (native/fused.c), for Huber on log loss.

Both compute value, gradient and full curvature of eight problems side by side. isoloss has no entry for one evaluation,
so fits are stopped after few and after many iterations and the difference is divided by the evaluations between. That
holds the solver's own step too, whose cost does not depend on the number of points; the slope between few and many
points is free of it. The hand-written kernel is checked against differences of isoloss's objective before it is timed.
"""

import ctypes
import time

import numpy as np
from common import (
    F64,
    Bar,
    Case,
    MissingError,
    Report,
    Spread,
    Table,
    case,
    compiled,
    hoffmann_starts,
    main,
    pointer,
    rounds,
    to_log,
)

import isoloss as iso

LANES = 8
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
WIDE = 1.0  # a delta above every mean residual: no stages, so that evaluations can be counted


class Fused:
    """The hand-written kernel on the points of a case, repeated `copies` times."""

    def __init__(self, given: Case, copies: int) -> None:
        self.library = compiled("fused.c", "gcc", *FLAGS)
        self.columns = [np.ascontiguousarray(np.tile(column, copies)) for column in given.columns]
        self.n = len(self.columns[0])
        self.theta = aligned((5, LANES))
        self.theta[:] = to_log(given.warm)[:, None] + 0.01 * np.arange(1, LANES + 1)
        self.weights = aligned((self.n, LANES))
        self.weights[:] = 1.0
        self.out = aligned((21, LANES))
        self.delta = given.delta

    def run(self, repeats: int) -> F64:
        self.library.fused_often(
            ctypes.c_long(repeats), ctypes.c_long(self.n), *map(pointer, self.columns), pointer(self.weights),
            ctypes.c_double(self.delta), pointer(self.theta), pointer(self.out),
        )  # fmt: skip
        return self.out


def aligned(shape: tuple[int, ...]) -> F64:
    """Zeros that begin on a cache line."""
    size = int(np.prod(shape))
    raw = np.zeros(size + 8)
    first = (-raw.ctypes.data // 8) % 8
    return raw[first : first + size].reshape(shape)


def check(fused: Fused, given: Case) -> float:
    """Largest error of the kernel's value and slopes against central differences, relative to the largest entry."""
    out = fused.run(1).copy()
    ones = np.ones(len(given.data.loss))
    x = fused.theta.T.copy()
    worst = float(np.abs(out[0] / given.value(x, ones) - 1.0).max())
    step = 1e-5

    def slopes(at: F64) -> F64:
        moved = [(given.value(at + e, ones) - given.value(at - e, ones)) / (2 * step) for e in step * np.eye(5)]
        return np.stack(moved, axis=1)

    gradient = slopes(x)
    worst = max(worst, float((np.abs(out[1:6].T - gradient) / np.abs(gradient).max(axis=1, keepdims=True)).max()))
    wide = 1e-3
    rows, columns = np.tril_indices(5)
    curvature = np.stack([(slopes(x + e) - slopes(x - e)) / (2 * wide) for e in wide * np.eye(5)], axis=1)
    error = np.abs(out[6:].T - curvature[:, rows, columns]) / np.abs(curvature).max(axis=(1, 2))[:, None]
    return max(worst, float(error.max()))


class General:
    """isoloss on the same points: fits that are stopped after `few` and after `many` iterations."""

    def __init__(self, given: Case, copies: int, fits: int, few: int = 3, many: int = 11) -> None:
        data = given.data
        runs = {name: np.tile(values, copies) for name, values in (("N", data.N), ("D", data.D), ("loss", data.loss))}
        objective = iso.Huber(WIDE, space="log")
        fit = iso.fit("chinchilla", runs, objective=objective, starts=given.warm)
        self.problem, self.few, self.many = fit.problem, few, many
        # Starts at rising distances, none near enough to arrive early: exponents are moved most.
        starts = hoffmann_starts()
        far = self.problem.solve(starts, max_iterations=many, threads=1)
        mean = np.abs(fit.objective.residuals(self.problem.predict(starts), self.problem.target)).mean(axis=1)
        kept = starts[(far.iterations == many) & (mean < WIDE)]
        if not len(kept):
            raise MissingError("no start takes enough iterations on these data")
        self.starts = np.resize(kept, (fits, 5))
        self.evaluations = fits * (many - few)

    def run(self, iterations: int) -> None:
        self.problem.solve(self.starts, max_iterations=iterations, threads=1)


def run(quick: bool = False) -> Report:
    given = case(WIDE, draws=1)
    n = len(given.data.loss)
    sizes = {n: 1, 8 * n: 8}
    repeats = 3 if quick else 11
    cost: dict[str, dict[int, list[float]]] = {"hand": {}, "isoloss": {}}
    error = 0.0
    try:
        for points, copies in sizes.items():
            fused = Fused(given, copies)
            error = max(error, check(fused, given)) if copies == 1 else error
            general = General(given, copies, fits=(1600 if quick else 6400) // copies)
            often = (10_000 if quick else 40_000) // copies
            jobs = {
                "hand": lambda fused=fused, often=often: fused.run(often),
                "few": lambda general=general: general.run(general.few),
                "many": lambda general=general: general.run(general.many),
            }
            for job in jobs.values():
                job()
            seconds = rounds(jobs, repeats, time.process_time)
            # ns per evaluation of one problem
            cost["hand"][points] = [1e9 * s / (often * LANES) for s in seconds["hand"]]
            cost["isoloss"][points] = [
                1e9 * (b - a) / general.evaluations for a, b in zip(seconds["few"], seconds["many"], strict=True)
            ]
    except MissingError as reason:
        return Report("Against a kernel fused by hand", [], [], [f"left out: {reason}"])
    few, many = sizes
    whole = {name: [c / few for c in by[few]] for name, by in cost.items()}
    slope = {
        name: [(b - a) / (many - few) for a, b in zip(by[few], by[many], strict=True)] for name, by in cost.items()
    }
    step = [cost["isoloss"][few][k] - few * slope["isoloss"][k] for k in range(repeats)]

    def compared(part: dict[str, list[float]]) -> Spread:
        return Spread.of([a / b for a, b in zip(part["isoloss"], part["hand"], strict=True)])

    bars = [
        Bar("value + gradient + curvature, beside a kernel fused by hand, per point", compared(slope).show("×"),
            "≤ 1.5×", compared(slope).median <= 1.5),
        Bar(f"… with the solver's step, {few} points", compared(whole).show("×")),
    ]  # fmt: skip
    rows = [
        (f"fused by hand, {few} points", Spread.of(whole["hand"]).show()),
        ("fused by hand, slope", Spread.of(slope["hand"]).show()),
        (f"isoloss, {few} points, with the solver's step", Spread.of(whole["isoloss"]).show()),
        ("isoloss, slope", Spread.of(slope["isoloss"]).show()),
    ]
    table = Table("Value, gradient and curvature, ns per point and problem, one core", ("kernel", "ns"), rows)
    notes = [
        f"the solver's step itself: {Spread.of(step).show(' ns')} per iteration and problem",
        f"the hand-written kernel agrees with differences of the objective to {error:.0e}",
    ]
    return Report("Against a kernel fused by hand", bars, [table], notes)


if __name__ == "__main__":
    main(run)
