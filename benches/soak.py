"""A long run of mixed work with random sizes, options and faults: nothing wrong, memory flat.

``python benches/soak.py --minutes 30`` draws one task after another (a fit, many fits, a bootstrap, a search, a saved
file, a table with a fault in it, an interrupt, a callback that raises) on two Python threads, each with its own stream
of random numbers. Results are checked as they come: fits against SciPy's minimiser from the same optimum, rows of a
batch against the same row alone, searches against a plain loop of NumPy, refusals by their codes. Memory is told by
fifths of the time: caches and the allocator's pools fill in the first. The resident set also holds what was freed and
the allocator keeps, one pool for each thread; on Linux what is in use (malloc's own count, and Python's of its blocks)
is told beside it, and what stays resident when the allocator is told to give back what it can. Exit code 1 if anything
was wrong, a thread is left over, or the last fifth of what is in use (of the resident set, where that is not known) is
more than 5 % above the most of the middle three.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

import isoloss as iso
from isoloss.errors import CODES, IsolossError

TRUTH = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 410.0, "beta": 0.28}
NAMES = tuple(TRUTH)
LAW = iso.laws.get("chinchilla")


class WrongError(AssertionError):
    """A result that is not what it should be."""


def check(condition: bool, what: str) -> None:
    if not condition:
        raise WrongError(what)


# Data and oracles ---------------------------------------------------------------------------------------------------


def make_runs(random: np.random.Generator, least: int = 20, most: int = 400) -> dict[str, np.ndarray]:
    n = int(np.exp(random.uniform(np.log(least), np.log(most))))
    N, D = np.exp(random.uniform(16, 24, n)), np.exp(random.uniform(20, 27, n))
    noise = np.exp(random.uniform(1e-3, 0.03) * random.standard_t(4, n))
    return {"N": N, "D": D, "loss": plain_law(np.array(list(TRUTH.values())), N, D) * noise}


def plain_law(params: np.ndarray, N: np.ndarray, D: np.ndarray) -> np.ndarray:
    E, A, alpha, B, beta = params
    return E + A / N**alpha + B / D**beta


def plain_objective(params: np.ndarray, runs: dict[str, np.ndarray], delta: float | None) -> float:
    """Sum of squares or of Huber's function on the logarithm, as the papers write it."""
    r = np.log(plain_law(params, runs["N"], runs["D"])) - np.log(runs["loss"])
    if delta is None:
        return float(0.5 * np.sum(r**2))
    size = np.abs(r)
    return float(np.sum(np.where(size <= delta, 0.5 * r**2, delta * (size - 0.5 * delta))))


def scipy_improves(params: np.ndarray, runs: dict[str, np.ndarray], delta: float | None, value: float) -> float:
    """By how much, relatively, SciPy gets below `value` from the optimum found and from a point beside it."""
    best = value
    for scale in (1.0, 1.05):
        z = np.log(params * scale)
        found = minimize(
            lambda z: plain_objective(np.exp(z), runs, delta), z, method="L-BFGS-B", options={"maxiter": 300}
        )
        best = min(best, float(found.fun))
    return (value - best) / max(abs(value), 1e-300)


# Tasks ----------------------------------------------------------------------------------------------------------------


def fit(random: np.random.Generator, _folder: Path) -> None:
    runs = make_runs(random)
    delta = None if random.random() < 0.3 else float(10.0 ** random.uniform(-3.5, -1.5))
    objective = iso.SquaredError(space="log") if delta is None else iso.Huber(delta, space="log")
    made = iso.fit("chinchilla", runs, objective=objective, seed=int(random.integers(1000)))
    params = np.array([made.params[name] for name in NAMES])
    # The core's squares are whole squares or halves as the objective defines them: only ratios are compared.
    own = plain_objective(params, runs, delta)
    scale = made.value / own
    check(abs(scale / round(scale) - 1.0) < 1e-9, f"value {made.value!r} is not that of its parameters, {own!r}")
    if made.success and not any(notice.code == "at-bound" for notice in made.warnings):
        gain = scipy_improves(params, runs, delta, own)
        check(gain < 1e-6, f"SciPy gets {gain:.2e} lower than a converged fit of {len(runs['N'])} runs, delta {delta}")


def many(random: np.random.Generator, _folder: Path) -> None:
    runs, count = make_runs(random, 12, 120), int(np.exp(random.uniform(0, 7)))
    targets = runs["loss"] * np.exp(0.01 * random.standard_normal((count, len(runs["loss"]))))
    columns = {name: runs[name] for name in ("N", "D")}
    options = {"starts": list(TRUTH.values()), "objective": "huber_log", "n_threads": int(random.integers(1, 4))}
    table = iso.fit_many("chinchilla", columns, targets, **options)
    row = int(random.integers(count))
    alone = iso.fit_many("chinchilla", columns, targets[row], **options)
    check(np.array_equal(alone.params[0], table.params[row]), "a row of a batch differs from the same row alone")


def bootstrap(random: np.random.Generator, folder: Path) -> None:
    made = iso.fit("chinchilla", make_runs(random), starts=8)
    count, seed = int(random.integers(5, 300)), int(random.integers(99))
    draws = made.bootstrap(count, seed=seed, n_threads=1)
    again = made.bootstrap(count, seed=seed, n_threads=2)
    check(draws.params.tobytes() == again.params.tobytes(), "draws differ between one thread and two")
    path = folder / f"{threading.get_ident()}.json"
    made.save(path, draws=draws)
    check(iso.load(path).draws.params.tobytes() == draws.params.tobytes(), "a saved file gives other draws back")


def search(random: np.random.Generator, _folder: Path) -> None:
    bound = LAW.bind(**TRUTH)
    axes = {
        "N": np.exp(np.sort(random.uniform(18, 27, int(random.integers(1, 200))))),
        "D": np.exp(np.sort(random.uniform(20, 30, int(random.integers(1, 200))))),
    }
    budget = float(np.exp(random.uniform(40, 60)))
    found = iso.search(bound, axes, where=f"6*N*D <= {budget!r}")
    N, D = np.meshgrid(axes["N"], axes["D"], indexing="ij")
    inside = budget >= 6.0 * N * D
    count = int(np.sum(inside))
    check(int(np.sum(found.feasible)) == count, f"{found.feasible} cells where a loop counts {count}")
    if count:
        least = float(np.min(np.where(inside, plain_law(np.array(list(TRUTH.values())), N, D), np.inf)))
        check(abs(float(np.ravel(found.best)[0]) / least - 1.0) < 1e-12, "the best cell is not the least of a loop")


def fault(random: np.random.Generator, _folder: Path) -> None:
    """A table with one thing wrong is refused with a code, or its fit carries a notice."""
    runs = {name: values.copy() for name, values in make_runs(random).items()}
    column = str(random.choice(list(runs)))
    row = int(random.integers(len(runs[column])))
    runs[column][row] = random.choice([np.nan, np.inf, -np.inf, 0.0, -1.0])
    try:
        iso.fit("chinchilla", runs)
    except IsolossError as error:
        check(error.code in CODES and error.details.get("row") == row, f"refused without its row: {error}")
    else:
        raise WrongError(f"{column}[{row}] = {runs[column][row]} was fitted")


class StopError(Exception):
    """What a callback raises."""


def stopped(random: np.random.Generator, _folder: Path) -> None:
    """A callback that raises gets its own exception back; one that stops gets rows that are right."""
    runs = make_runs(random, 100, 200)
    targets = runs["loss"] * np.exp(0.02 * random.standard_normal((5_000, len(runs["loss"]))))
    columns, options = {name: runs[name] for name in ("N", "D")}, {"starts": list(TRUTH.values())}
    error = StopError()

    def fail(_done: int, _total: int) -> None:
        raise error

    try:
        iso.fit_many("chinchilla", columns, targets, progress=fail, **options)
    except StopError as caught:
        check(caught is error, "another exception than the callback's came back")
    when = float(random.uniform(0.0, 1.0))
    table = iso.fit_many(
        "chinchilla", columns, targets, progress=lambda d, t: d >= when * t, on_interrupt="partial", **options
    )
    done = np.flatnonzero(~table.cancelled)
    if len(done):
        row = int(random.choice(done))
        alone = iso.fit_many("chinchilla", columns, targets[row], **options)
        check(np.array_equal(alone.params[0], table.params[row]), "a row of an interrupted batch is not right")


TASKS = {"fit": fit, "fit_many": many, "bootstrap": bootstrap, "search": search, "fault": fault, "stopped": stopped}


# The run --------------------------------------------------------------------------------------------------------------


MEGA = 2.0**20


class Mallinfo(ctypes.Structure):
    """What glibc's mallinfo2 counts, in bytes, over the pools of all threads."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def glibc() -> ctypes.CDLL | None:
    """The C library, where it is one that counts."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if library is None or not hasattr(library, "mallinfo2"):
        return None
    library.mallinfo2.restype = Mallinfo
    return library


def resident() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGA


def sample(library: ctypes.CDLL | None) -> tuple[float, float, float]:
    """Resident memory and what malloc has handed out, in MB; Python's own blocks, in thousands."""
    counted = library.mallinfo2() if library else None
    used = (counted.uordblks + counted.hblkhd) / MEGA if counted else np.nan
    return resident(), used, sys.getallocatedblocks() / 1000.0


def by_fifths(samples: list[float]) -> tuple[str, float]:
    """Medians of five parts of the time, and the growth of the last over the most of the middle three."""
    fifths = [float(np.median(part)) for part in np.array_split(np.array(samples), 5)]
    growth = fifths[-1] / max(fifths[1:-1]) - 1.0
    return ", ".join(f"{size:.0f}" for size in fifths), growth


def work(seed: int, until: float, folder: Path, done: Counter[str], wrong: list[str]) -> None:
    number = 0
    while time.monotonic() < until:
        name = list(TASKS)[number % len(TASKS)]
        random = np.random.default_rng([seed, number])
        try:
            TASKS[name](random, folder)
        except Exception as error:  # noqa: BLE001 - a soak goes on, and counts
            wrong.append(f"{name} (seed {seed}, number {number}): {type(error).__name__}: {error}")
        done[name] += 1
        number += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    begun = time.monotonic()
    until = begun + 60.0 * asked.minutes
    done: Counter[str] = Counter()
    wrong: list[str] = []
    samples: list[tuple[float, float, float]] = []
    library = glibc()
    with tempfile.TemporaryDirectory() as name:
        threads = [
            threading.Thread(target=work, args=(asked.seed + k, until, Path(name), done, wrong))
            for k in range(asked.threads)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(min(5.0, 0.6 * asked.minutes))
            samples.append(sample(library))
        left = [path.name for path in Path(name).iterdir() if path.suffix == ".part"]
    gc.collect()
    print(
        f"time           {(time.monotonic() - begun) / 60.0:.1f} min, {asked.threads} Python threads, seed {asked.seed}"
    )
    for task, count in sorted(done.items()):
        print(f"{task:14s} {count:,}")
    print(f"in all         {sum(done.values()):,} tasks, {len(wrong)} wrong")
    growths: list[float] = []
    series = zip(("resident", "in use", "blocks"), ("MB", "MB", "thousand"), zip(*samples, strict=True), strict=True)
    for label, unit, values in series:
        listed, growth = by_fifths(list(values))
        growths.append(growth)
        print(f"{label:14s} {listed} {unit} by fifths of the time; the last {growth:+.1%} against the middle three")
    if library is not None:
        before = resident()
        library.malloc_trim(0)
        print(f"given back     {before:.0f} -> {resident():.0f} MB resident, when the allocator is asked to")
    print(f"threads left   {threading.active_count() - 1} of Python, files left {len(left)}")
    for message in wrong[:20]:
        print(f"WRONG {message}")
    grown = max(growths[1:]) if library else growths[0]
    return int(bool(wrong) or bool(left) or grown > 0.05 or threading.active_count() > 1)


if __name__ == "__main__":
    sys.exit(main())
