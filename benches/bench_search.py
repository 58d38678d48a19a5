"""The exhaustive search against NumPy, numexpr, numba and hand-written C.

The work is 10^9 cells of

    E + A N^-a + B D^-b + c1 (ln lr - p0 - p1 ln N - p2 ln D)^2 + c2 (ln batch - q0 - q1 ln D)^2

with the best cell and the number of cells within 0.1 % for each (N, D). isoloss is given the expression as text; the
others are written for it. Slow contenders do a part of the groups and are compared by cells per second. All agree
on the best values, and on the counts but for cells whose value is the limit to rounding.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from ctypes import c_double, c_int, c_size_t
from typing import Any

import common
import numpy as np
from common import Bar, MissingError, Report, Table, compiled, number, pointer, ratio, rounds

import isoloss as iso
from isoloss import _core

TEXT = (
    "E + A * N**-a + B * D**-b + c1 * (log(lr) - (p0 + p1 * log(N) + p2 * log(D)))**2"
    " + c2 * (log(batch) - (q0 + q1 * log(D)))**2"
)
VALUES = {
    "E": 1.69, "A": 406.4, "a": 0.34, "B": 410.7, "b": 0.28,
    "c1": 0.02, "p0": -0.5, "p1": -0.4, "p2": 0.1, "c2": 0.01, "q0": -2.0, "q1": 0.57,
}  # fmt: skip
WITHIN = 1e-3


def axes(groups: int, along: int) -> dict[str, Any]:
    return {
        "N": iso.geomspace(1e8, 1e12, groups),
        "D": iso.geomspace(1e9, 1e13, groups),
        "lr": iso.geomspace(1e-4, 1e-2, along),
        "batch": iso.geomspace(1e4, 1e7, along),
    }


def bound() -> Any:
    return iso.law(TEXT, vars=["N", "D", "lr", "batch"]).bind(VALUES)


def search(grid: dict[str, Any], threads: int, method: str = "auto") -> Callable[[], Any]:
    law = bound()
    return lambda: iso.search(law, grid, by=["N", "D"], within=WITHIN, shape=False, method=method, n_threads=threads)


# --- contenders: each gives best, cell and count by (N, D) --------------------------------------------


def by_c(grid: dict[str, Any], *, separable: bool) -> Callable[[], Any]:
    # The least of a row vectorises only where the compiler may reorder it, which changes no minimum.
    flags = ("-fno-math-errno", "-ffinite-math-only", "-fno-signed-zeros", "-fassociative-math", "-fno-trapping-math")
    library = compiled("search.c", "gcc", "-O3", "-march=native", *flags, link=["-lm"])
    shape = (len(grid["N"]), len(grid["D"]))
    order = ("E", "A", "a", "B", "b", "c1", "p0", "p1", "p2", "c2", "q0", "q1")
    parameters = np.array([VALUES[name] for name in order])

    def run() -> Any:
        best, cell, count = np.empty(shape), np.empty(shape), np.empty(shape)
        sizes: list[Any] = []
        for name in ("N", "D", "lr", "batch"):
            sizes += [pointer(grid[name]), c_size_t(len(grid[name]))]
        library.search(
            pointer(parameters),
            *sizes,
            c_double(WITHIN),
            c_int(separable),
            pointer(best),
            pointer(cell),
            pointer(count),
        )
        return best, cell.view(np.int64), count.view(np.int64)

    return run


def by_numba(grid: dict[str, Any], kind: str) -> Callable[[], Any]:
    from peers import numba_search

    kernel = getattr(numba_search, kind)()
    order = ("E", "A", "a", "B", "b", "c1", "p0", "p1", "p2", "c2", "q0", "q1")
    parameters = tuple(VALUES[name] for name in order)
    small = axes(2, 4)
    kernel(parameters, small["N"], small["D"], small["lr"], small["batch"], WITHIN)  # compiles
    return lambda: kernel(parameters, grid["N"], grid["D"], grid["lr"], grid["batch"], WITHIN)


def by_numpy(grid: dict[str, Any], part: int) -> Callable[[], Any]:
    """All cells of some of the sizes written out at once, as one writes it first."""
    v = VALUES

    def run() -> Any:
        n, d, lr, batch = np.meshgrid(grid["N"][:part], grid["D"], grid["lr"], grid["batch"], indexing="ij")
        loss = (
            v["E"]
            + v["A"] * n ** -v["a"]
            + v["B"] * d ** -v["b"]
            + v["c1"] * (np.log(lr) - (v["p0"] + v["p1"] * np.log(n) + v["p2"] * np.log(d))) ** 2
            + v["c2"] * (np.log(batch) - (v["q0"] + v["q1"] * np.log(d))) ** 2
        )
        return _reduce(loss)

    return run


def by_numexpr(grid: dict[str, Any], part: int) -> Callable[[], Any]:
    try:
        import numexpr
    except ModuleNotFoundError:
        raise MissingError("numexpr not installed") from None
    numexpr.set_num_threads(1)

    def run() -> Any:
        n, d, lr, batch = np.meshgrid(grid["N"][:part], grid["D"], grid["lr"], grid["batch"], indexing="ij")
        names = {**VALUES, "N": n, "D": d, "lr": lr, "batch": batch}
        return _reduce(numexpr.evaluate(TEXT.replace("N**-a", "N**(-a)").replace("D**-b", "D**(-b)"), local_dict=names))

    return run


def by_chunks(grid: dict[str, Any], part: int) -> Callable[[], Any]:
    """One (N, D) after the other, its parts along lr and batch broadcast: NumPy by someone who has thought about it."""
    v = VALUES
    log_lr, log_batch = np.log(grid["lr"]), np.log(grid["batch"])

    def run() -> Any:
        shape = (part, len(grid["D"]))
        best, cell, count = np.empty(shape), np.empty(shape, np.int64), np.empty(shape, np.int64)
        for a, n in enumerate(grid["N"][:part]):
            for b, d in enumerate(grid["D"]):
                base = v["E"] + v["A"] * n ** -v["a"] + v["B"] * d ** -v["b"]
                u = base + v["c1"] * (log_lr - (v["p0"] + v["p1"] * np.log(n) + v["p2"] * np.log(d))) ** 2
                w = v["c2"] * (log_batch - (v["q0"] + v["q1"] * np.log(d))) ** 2
                loss = u[:, None] + w
                at = int(loss.argmin())
                best[a, b], cell[a, b] = loss.flat[at], at
                count[a, b] = np.count_nonzero(loss <= best[a, b] * (1.0 + WITHIN))
        return best, cell, count

    return run


def _reduce(loss: Any) -> Any:
    flat = loss.reshape(*loss.shape[:2], -1)
    cell = flat.argmin(axis=-1)
    best = np.take_along_axis(flat, cell[..., None], axis=-1)[..., 0]
    return best, cell, np.count_nonzero(flat <= (best * (1.0 + WITHIN))[..., None], axis=-1)


# --- the parts of the report ---------------------------------------------------------------------------


def contest(report: Report, quick: bool) -> None:
    along = 100 if quick else 316
    grid = axes(20 if quick else 100, along)
    cells = int(np.prod([len(axis) for axis in grid.values()]))
    sheet = along * along
    groups = len(grid["D"])
    # Slow ones do so many sizes N that a round stays short.
    parts = {name: max(1, min(len(grid["N"]), round(most / (groups * sheet)))) for name, most in PARTS.items()}
    makers: dict[str, tuple[int, Callable[[], Callable[[], Any]]]] = {
        "isoloss, 2 threads": (len(grid["N"]), lambda: search(grid, 2)),
        "isoloss, 1 thread": (len(grid["N"]), lambda: search(grid, 1)),
        "isoloss, every cell visited, 1 thread": (len(grid["N"]), lambda: search(grid, 1, "visit")),
        "C hoisted by hand, separable": (len(grid["N"]), lambda: by_c(grid, separable=True)),
        "C hoisted by hand": (len(grid["N"]), lambda: by_c(grid, separable=False)),
        "numba hoisted by hand": (parts["hoisted"], lambda: by_numba(_part(grid, parts["hoisted"]), "hoisted")),
        "numba naive": (parts["naive"], lambda: by_numba(_part(grid, parts["naive"]), "naive")),
        "NumPy in chunks": (parts["chunks"], lambda: by_chunks(grid, parts["chunks"])),
        "NumPy full broadcast": (parts["numpy"], lambda: by_numpy(grid, parts["numpy"])),
        "numexpr": (parts["numexpr"], lambda: by_numexpr(grid, parts["numexpr"])),
    }
    jobs: dict[str, Callable[[], Any]] = {}
    done: dict[str, int] = {}
    for name, (part, make) in makers.items():
        try:
            jobs[name] = make()
            done[name] = part * groups * sheet
        except MissingError as error:
            report.notes.append(f"{name}: left out, {error}")
    ours = jobs["isoloss, 2 threads"]()
    for name, job in jobs.items():
        if not name.startswith("isoloss"):
            best, _, count = job()
            part = len(best)
            assert np.allclose(best, ours.best[:part], rtol=1e-13)
            # Another order of the same additions rounds otherwise: cells on the limit may fall to either side.
            assert np.abs(count - ours.count[:part]).max() <= 4, name
    seconds = rounds(jobs, 3 if quick else 7, time.perf_counter)
    rate = {name: [done[name] / s / 1e9 for s in each] for name, each in seconds.items()}
    report.tables.append(
        Table(
            f"Cells per second, {cells:,} cells, best cell and cells within 0.1 % by (N, D)",
            ("contender", "10^9 cells/s", "cells in a round"),
            [(name, common.Spread.of(each).show(), f"{done[name]:,}") for name, each in rate.items()],
        )
    )
    two = seconds["isoloss, 2 threads"]
    median = common.Spread.of(two)
    if quick:
        report.bars.append(Bar(f"search of {cells:,} cells", median.show(" s")))
    else:
        report.bars.append(
            Bar(
                "search of 10^9 cells, best and within 0.1 %, 2 threads",
                median.show(" s"),
                "≤ 0.3 s",
                median.median <= 0.3,
            )
        )
    for name, least in LEAST.items():
        if name in rate:
            gain = ratio(rate["isoloss, 2 threads"], rate[name])
            met = None if quick else gain.median >= least
            report.bars.append(Bar(f"search, against {name} (one thread)", gain.show("×"), f"≥ {least:g}×", met))
    if "C hoisted by hand" in rate:
        visited = ratio(seconds["isoloss, every cell visited, 1 thread"], seconds["C hoisted by hand"])
        report.bars.append(
            Bar(
                "every cell visited, time over hand-hoisted C, 1 thread each",
                visited.show("×"),
                "≤ 1.5×",
                None if quick else visited.median <= 1.5,
            )
        )
        gain = ratio(seconds["C hoisted by hand"], seconds["isoloss, 1 thread"])
        report.bars.append(
            Bar(
                "separable, against hand-hoisted C, 1 thread each",
                gain.show("×"),
                "> 1×",
                None if quick else gain.median > 1.0,
            )
        )


PARTS = {"hoisted": 2.5e8, "naive": 5e7, "chunks": 1e8, "numpy": 1e7, "numexpr": 1e7}
LEAST = {
    "NumPy full broadcast": 100.0,
    "numexpr": 100.0,
    "numba naive": 15.0,
    "NumPy in chunks": 6.0,
    "numba hoisted by hand": 2.5,
}


def _part(grid: dict[str, Any], part: int) -> dict[str, Any]:
    return {**grid, "N": grid["N"][:part]}


MEMORY = """
import sys
sys.path.insert(0, {here!r})
import bench_search
grid = bench_search.axes({groups}, {along})
bench_search.search(grid, 2)()
# Not getrusage: its maximum is inherited from the process that started this one.
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def memory(report: Report, quick: bool) -> None:
    script = MEMORY.format(here=str(common.ROOT / "benches"), groups=20 if quick else 100, along=100 if quick else 316)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    peak = int(told.stdout) / 1000
    report.bars.append(
        Bar("the same search, peak memory of the whole process", f"{peak:.0f} MB", "≤ 200 MB", peak <= 200)
    )


def draws(report: Report, quick: bool) -> None:
    fit = iso.fit("chinchilla", iso.read(iso.simulate.sweep(settings=1, seed=0)))
    drawn = fit.bootstrap(100 if quick else 1000, seed=0)
    along = 300 if quick else 1000
    grid = {"N": iso.geomspace(1e9, 1e12, along), "D": iso.geomspace(1e10, 1e14, along)}
    jobs = {
        "free": lambda: iso.search(drawn, grid, within=0.005, n_threads=2),
        "constrained": lambda: iso.search(drawn, grid, where="6 * N * D <= 5.76e23", within=0.005, n_threads=2),
    }
    seconds = rounds(jobs, 3 if quick else 7, time.perf_counter)
    for name, each in seconds.items():
        spread = common.Spread.of(each)
        what = f"{len(drawn):,} draws x {along * along:,} cells, probability of the plateau"
        what += ", under a budget 6ND" if name == "constrained" else ""
        report.bars.append(Bar(what, spread.show(" s"), "≤ 0.5 s", None if quick else spread.median <= 0.5))


def throughput(report: Report, quick: bool) -> None:
    """A law of which every node is on every axis, against the block kernels on columns that are written out."""
    text = "exp(0.3 * log(x * y * z)) + tanh(x * y - z) * log1p(x * y * z)"
    columns = ["x", "y", "z"]
    law = iso.law(text, vars=columns).bind()
    rows: list[tuple[str, ...]] = []
    rates = []
    sizes = (100, 160) if quick else (100, 215, 464, 1000)
    expression = _core.Expression(text, variables=columns)
    rng = np.random.default_rng(0)
    plain = [rng.uniform(0.1, 2.0, 1_000_000) for _ in columns]
    nothing = np.empty((1, 0))
    grids = {size: {name: iso.geomspace(0.1, 2.0, size) for name in columns} for size in sizes}

    def searched(size: int) -> Callable[[], Any]:
        return lambda: iso.search(law, grids[size], n_threads=1)

    # Seconds of the processor, as all have one thread. Sizes take turns, before and after the largest, which is
    # searched once: a machine that others use drifts.
    turns: dict[str, Callable[[], Any]] = {str(size): searched(size) for size in sizes if size <= 500}
    turns["kernels"] = lambda: expression.evaluate(plain, nothing, threads=1)
    before = rounds(turns, 3)
    largest = rounds({str(size): searched(size) for size in sizes if size > 500}, 1)
    after = rounds(turns, 3)
    seconds = {name: before[name] + after[name] for name in turns} | largest
    kernels = min(seconds.pop("kernels")) / 1e6
    for size in sizes:
        each = min(seconds[str(size)]) / size**3
        rates.append(kernels / each)
        rows.append((f"{size**3:,}", number(1e9 * each), common.percent(rates[-1])))
    report.tables.append(
        Table(
            "A law whose every node is on every axis, one thread: time for each cell, and throughput as a share of "
            "that of the block kernels on columns written out",
            ("cells", "ns a cell", "share"),
            rows,
        )
    )
    times = [float(row[1]) for row in rows]
    report.bars.append(
        Bar(
            "non-separable law, throughput of the block kernels",
            common.percent(min(rates)),
            "≥ 80 %",
            None if quick else min(rates) >= 0.8,
        )
    )
    spread = max(times) / min(times)
    report.bars.append(
        Bar(
            f"the same, time for each cell from 10^6 to {sizes[-1] ** 3:,} cells, largest over least",
            number(spread) + "×",
            "linear",
            None if quick else spread <= 1.25,
        )
    )


def run(quick: bool) -> Report:
    report = Report("Exhaustive search")
    contest(report, quick)
    memory(report, quick)
    draws(report, quick)
    throughput(report, quick)
    return report


if __name__ == "__main__":
    common.main(run)
