"""What all benchmarks share: data, clocks, paired rounds, and the tables they print.

Every comparison is *paired*: in each round the contenders run one after the other, in turning order, and the ratio is
taken within the round, so that a machine that is busy for a while slows both. What is printed is the median ratio over
the rounds with the least and the largest. Costs per fit and core are CPU time (`time.process_time`, all threads of the
process), which other programs on the machine disturb least; where a user waits, it is wall time.
"""

import argparse
import csv
import ctypes
import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# One thread for every library that would start its own: the comparison is per core. Set before NumPy is imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
from numpy.typing import NDArray

import isoloss as iso
from isoloss import _core
from isoloss.engine.problem import Problem, Solved
from isoloss.laws.compute_optimal import hoffmann_starts
from isoloss.stats.resampling import units_of

F64 = NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
CLOSE = 1e-6
"""A fit counts as found when its objective is within this, relatively, of the best that any method found."""


# --- results ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Median of the rounds, with the least and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def show(self, unit: str = "", digits: int = 3) -> str:
        middle, low, high = (number(value, digits) for value in (self.median, self.low, self.high))
        return f"{middle}{unit} ({low}–{high})"


@dataclass(frozen=True)
class Bar:
    """One row of the summary: what was measured, against what it must reach."""

    work: str
    measured: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Table:
    """A table of the report."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass
class Report:
    """What one benchmark found."""

    name: str
    bars: list[Bar] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def number(value: float, digits: int = 3) -> str:
    """A number to some significant digits, never in exponents below a million."""
    if np.isnan(value):
        return "–"
    if value == 0.0:
        return "0"
    places = max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
    return f"{value:,.{places}f}"


def percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[k]) for row in [columns, *rows]) for k in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [columns, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def bar_table(bars: Sequence[Bar]) -> str:
    marks = {True: "met", False: "missed", None: ""}
    return markdown(
        ("work", "measured", "bar", ""), [(bar.work, bar.measured, bar.target, marks[bar.met]) for bar in bars]
    )


def show(report: Report) -> str:
    """The report as Markdown."""
    parts = [f"## {report.name}"]
    if report.bars:
        parts.append(bar_table(report.bars))
    parts += [f"{table.title}\n\n{markdown(table.columns, table.rows)}" for table in report.tables]
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join(parts)


def main(run: Callable[[bool], Report]) -> None:
    """Run one benchmark from the command line."""
    parser = argparse.ArgumentParser(description=sys.modules[run.__module__].__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller sizes")
    print(show(run(parser.parse_args().quick)))


# --- clocks -------------------------------------------------------------------------------------


def timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


def rounds(
    jobs: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds of each job in each round; every round runs all of them, starting with another one each time."""
    names = list(jobs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(repeats):
        for k in range(len(names)):
            name = names[(turn + k) % len(names)]
            seconds[name].append(timed(jobs[name], clock))
    return seconds


def ratio(above: Sequence[float], below: Sequence[float], scale: float = 1.0) -> Spread:
    """Spread of scale · above / below, round by round."""
    return Spread.of([scale * a / b for a, b in zip(above, below, strict=True)])


# --- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sweep:
    """Losses of training runs of size N on D tokens."""

    N: F64
    D: F64
    loss: F64
    source: str


def sweep() -> Sweep:
    """The 240 Chinchilla points if they are at hand ($ISOLOSS_DATA or ../shared/data), else 240 simulated ones."""
    folder = Path(os.environ.get("ISOLOSS_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "chinchilla_epoch.csv" if folder.is_dir() else folder
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["dropped_by_epoch"] == "0"]
        N, D, loss = (np.array([float(row[name]) for row in rows]) for name in ("params", "tokens", "loss"))
        return Sweep(N, D, loss, f"{len(loss)} points of the Chinchilla sweep as recovered by Epoch AI")
    runs = iso.simulate.sweep(
        N=np.geomspace(5e7, 1.5e10, 20), tokens_per_parameter=np.geomspace(1.0, 300.0, 12), settings=1, noise=8e-3
    )
    return Sweep(runs["N"], runs["D"], runs["loss"], "240 simulated points (the Chinchilla data are not at hand)")


@dataclass(frozen=True)
class Case:
    """Bootstrap draws of the sweep under one objective, for isoloss and its peers."""

    data: Sweep
    problem: Problem
    delta: float
    """Of the Huber loss; zero for least squares. Residuals are differences of logarithms."""
    warm: F64
    """(5,) the optimum of the full data: E, A, alpha, B, beta."""
    counts: F64
    """(draws, n) how often each draw holds each point."""

    @property
    def columns(self) -> tuple[F64, F64, F64]:
        """ln N, ln D, ln loss."""
        return np.log(self.data.N), np.log(self.data.D), np.log(self.data.loss)

    @property
    def start(self) -> F64:
        """(5,) the optimum of the full data as peers take it: ln E, ln A, alpha, ln B, beta."""
        return to_log(self.warm)

    def solve(self, starts: F64, draws: NDArray[np.int64], *, threads: int | None = 1) -> Solved:
        """isoloss on draws, each from its row of natural starts."""
        return self.problem.solve(starts, weights=self.counts, weight_index=draws, threads=threads)

    def value(self, x: F64, counts: F64) -> F64:
        """(k,) the objective at (k, 5) ln E, ln A, alpha, ln B, beta under (k, n) or (n,) weights.

        One function judges all methods, isoloss too.
        """
        x = np.atleast_2d(x)
        size, tokens, target = self.columns
        with np.errstate(over="ignore", invalid="ignore"):
            r = (
                np.logaddexp(np.logaddexp(x[:, 1:2] - x[:, 2:3] * size, x[:, 3:4] - x[:, 4:5] * tokens), x[:, 0:1])
                - target
            )
            a = np.abs(r)
            rho = np.where(a <= self.delta, 0.5 * r * r, self.delta * (a - 0.5 * self.delta)) if self.delta else r * r
            total = np.sum(counts * rho, axis=1)
        return np.where(np.isfinite(total), total, np.inf)


def to_log(params: F64) -> F64:
    """E, A, alpha, B, beta to ln E, ln A, alpha, ln B, beta."""
    made = np.array(params, dtype=np.float64)
    made[..., [0, 1, 3]] = np.log(made[..., [0, 1, 3]])
    return made


def to_natural(x: F64) -> F64:
    made = np.array(x, dtype=np.float64)
    made[..., [0, 1, 3]] = np.exp(made[..., [0, 1, 3]])
    return made


def case(delta: float, draws: int = 4000, seed: int = 0) -> Case:
    data = sweep()
    objective = iso.Huber(delta, space="log") if delta else iso.SquaredError(space="log")
    runs = iso.read({"N": data.N, "D": data.D, "loss": data.loss})
    fit = iso.fit("chinchilla", runs, objective=objective, seed=0)
    units = units_of(fit.runs, fit.problem, "row")
    counts = _core.resample_counts(seed, draws, units.codes, units.count)
    return Case(data, fit.problem, delta, fit.vector, counts)


def spread_starts(warm: F64) -> F64:
    """(4, 5) natural starts for a draw: the warm one, and three of Hoffmann's, far from it and from one another."""
    return np.concatenate([warm[None, :], hoffmann_starts()[[1000, 2222, 3333]]])


# --- native code --------------------------------------------------------------------------------


class Ledger:
    """Parts of a long measurement, a line of JSON each, so that an interrupted one goes on where it was.

    Parameters
    ----------
    name : str
        Of the file in target/benches.
    rooms : sequence of str
        Folders of the package whose sources decide the result: parts of other sources are not added up.
    """

    def __init__(self, name: str, rooms: Sequence[str]) -> None:
        self.path = ROOT / "target" / "benches" / name
        package = Path(iso.__file__).parent
        sources = sorted(path for room in rooms for path in (package / room).glob("*.py"))
        self.version = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
        self.parts: dict[str, Any] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            entry = json.loads(line)
            if entry["version"] == self.version:
                self.parts[entry["part"]] = entry["data"]

    def work(self, jobs: Mapping[str, Callable[[], Any]], seconds: float) -> int:
        """Do what is missing until the time is up, and write it down; how many parts are left.

        Each core works on a part of its own, with a single thread: most of a part is not in the engine.
        """
        left = [name for name in jobs if name not in self.parts]
        began, slowest = time.perf_counter(), 0.0
        os.environ["ISOLOSS_THREADS"] = "1"  # of the workers, which start anew
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
            running: dict[Future[Any], tuple[str, float]] = {}
            while left or running:
                now = time.perf_counter()
                while left and len(running) < (os.cpu_count() or 1) and now - began + slowest < seconds:
                    name = left.pop(0)
                    running[pool.submit(jobs[name])] = (name, now)
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    name, since = running.pop(done)
                    self._write(name, done.result())
                    slowest = max(slowest, time.perf_counter() - since)
                    print(f"{name}: {time.perf_counter() - since:.0f} s", flush=True)
        return len(left)

    def _write(self, name: str, data: Any) -> None:
        self.parts[name] = data
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"version": self.version, "part": name, "data": data}) + "\n")


class MissingError(Exception):
    """Something optional is not installed; the message says what."""


def compiled(source: str, compiler: str, *flags: str, link: Sequence[str] = ()) -> ctypes.CDLL:
    """A library from a source beside this file, built anew only when source, flags or compiler change."""
    path = ROOT / "benches" / "native" / source
    found = shutil.which(compiler)
    if found is None:
        raise MissingError(f"{compiler} not installed")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    text = "\0".join([path.read_text(encoding="utf-8"), version, platform.processor(), *flags, *link])
    made = ROOT / "target" / "benches" / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.so"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        command = [found, *flags, "-shared", "-fPIC", "-o", str(made), str(path), *link]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            reason = next((line for line in result.stderr.splitlines() if "error" in line), "the compiler failed")
            raise MissingError(f"{source} does not compile here: {reason.strip()}")
    return ctypes.CDLL(str(made))


def pointer(array: F64) -> ctypes.c_void_p:
    """The address of an array that C reads or writes."""
    assert array.flags.c_contiguous
    assert array.dtype == np.float64
    return ctypes.c_void_p(array.ctypes.data)


def machine() -> str:
    """CPU, cores and instruction set, as the reader needs them to judge the figures."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    simd = _core.build_info()["simd"]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, isoloss using {simd}"
